//! A real Prometheus that scrapes one page, and queries to it.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

use crate::{
    ask::{LIMIT, agent},
    backends::program,
    child::Child,
    samples::{Samples, bound},
};

/// A version of the Prometheus server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Release {
    /// Version 3.15: supports UTF-8 names and start times.
    V3,
    /// Version 2.42: supports neither.
    V2,
}

/// A running Prometheus server.
#[derive(Debug)]
pub struct Prometheus {
    address: String,
    child: Child,
}

impl Prometheus {
    /// Starts a server that scrapes `target` (`host:port`) every half second; its job is `pulled`.
    ///
    /// # Panics
    ///
    /// Panics if the server is not installed, has the wrong version, or is not ready in time.
    #[track_caller]
    pub fn start(release: Release, target: &str) -> Self {
        let (binary, features, version) = match release {
            Release::V3 => (
                "bin/prometheus",
                "exemplar-storage,created-timestamp-zero-ingestion",
                "3.15.",
            ),
            Release::V2 => ("bin/prometheus-old", "exemplar-storage", "2.42."),
        };
        let receives = matches!(release, Release::V3).then_some("--web.enable-otlp-receiver");
        let binary = program(binary);
        let mut child = Child::start("Prometheus", |directory| {
            let config = directory.join("prometheus.yml");
            fs::write(&config, configuration(target)).expect("a directory that can be written");
            let mut command = Command::new(binary);
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    directory.join("data").display()
                ))
                .arg(format!("--enable-feature={features}"))
                .args(receives)
                .arg("--web.listen-address=127.0.0.1:0");
            command
        });
        let address = child.wait_for("listener", |child| listener_in(&child.log()));
        let mut server = Self { address, child };
        let build = server.wait_for("build information", |server| {
            server.get("status/buildinfo", &[])
        });
        let found = build["version"].as_str().unwrap_or_default();
        assert!(
            found.starts_with(version),
            "wanted Prometheus {version}x, found {found}"
        );
        server
    }

    /// Calls `ask` repeatedly until it returns a value.
    ///
    /// # Panics
    ///
    /// Panics if there is none in time.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, ask: impl Fn(&Client<'_>) -> Option<T>) -> T {
        let address = self.address.clone();
        self.child
            .wait_for(what, |_| ask(&Client { address: &address }))
    }

    /// The OTLP/HTTP endpoint; only 3.x has one. Data that it receives has the `service.name` as
    /// its job.
    pub fn endpoint(&self) -> String {
        format!("http://{}/api/v1/otlp", self.address)
    }

    /// Returns a client for single queries.
    pub fn client(&self) -> Client<'_> {
        Client {
            address: &self.address,
        }
    }
}

/// The HTTP API of a server.
#[derive(Debug)]
pub struct Client<'a> {
    address: &'a str,
}

impl Client<'_> {
    /// Returns the `data` of a response of `/api/v1/…`, or `None` while the server does not answer.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let request = agent(LIMIT)
            .get(url)
            .query_pairs(parameters.iter().copied());
        let text = request.call().ok()?.body_mut().read_to_string().ok()?;
        let mut answer: Value = serde_json::from_str(&text).ok()?;
        Some(answer["data"].take())
    }

    /// Returns the result of an instant query: one entry per series.
    pub fn query(&self, query: &str) -> Vec<Value> {
        self.get("query", &[("query", query)]).map_or_else(
            Vec::new,
            |mut data| match data["result"].take() {
                Value::Array(series) => series,
                _ => Vec::new(),
            },
        )
    }

    /// Returns the value of a query that has exactly one series.
    pub fn value(&self, query: &str) -> Option<f64> {
        match self.query(query).as_slice() {
            [series] => series["value"][1].as_str()?.parse().ok(),
            _ => None,
        }
    }

    /// Returns all current series of a job, each with its last exemplar, and without the labels
    /// that Prometheus adds for the target.
    ///
    /// # Panics
    ///
    /// Panics if a value is not a number.
    pub fn samples(&self, job: &str) -> Samples {
        let mut samples = Samples::default();
        let selector = format!("{{job=\"{job}\"}}");
        for series in self.query(&selector) {
            let value = series["value"][1].as_str().unwrap_or_default();
            let value = value.replace("Inf", "inf").parse();
            let (name, labels) = labels_of(&series["metric"]);
            samples.put(&name, &labels, value.expect("a value is a number"));
        }
        let range = [("query", &*selector), ("start", "0"), ("end", "9999999999")];
        let found = self.get("query_exemplars", &range).unwrap_or_default();
        for series in found.as_array().into_iter().flatten() {
            let (name, labels) = labels_of(&series["seriesLabels"]);
            // They are ordered by time.
            for exemplar in series["exemplars"].as_array().into_iter().flatten() {
                let id = |name: &str| exemplar["labels"][name].as_str().unwrap_or_default();
                let value = exemplar["value"]
                    .as_str()
                    .and_then(|text| text.parse().ok());
                let value = value.expect("an exemplar has a value");
                samples.put_exemplar(&name, &labels, (id("trace_id"), id("span_id"), value));
            }
        }
        samples
    }

    /// Returns the labels of every exemplar of the series that match.
    pub fn exemplars(&self, query: &str) -> Vec<Value> {
        // The API requires a time range; this one includes every time at which a test can run.
        let range = [("query", query), ("start", "0"), ("end", "9999999999")];
        let found = self.get("query_exemplars", &range).unwrap_or_default();
        let series = found.as_array().into_iter().flatten();
        series
            .flat_map(|series| series["exemplars"].as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// Returns type, unit and help of a family, as the page gave them.
    pub fn metadata(&self, family: &str) -> Option<(String, String, String)> {
        let found = self.get("metadata", &[("metric", family)])?;
        let entry = &found[family][0];
        let text = |field: &str| entry[field].as_str().map(str::to_owned);
        Some((text("type")?, text("unit")?, text("help")?))
    }

    /// Returns the error of the last scrape of the target; empty if it succeeded.
    pub fn last_error(&self) -> Option<String> {
        let targets = self.get("targets", &[("state", "active")])?;
        let target = &targets["activeTargets"][0];
        (target["health"] != "unknown").then_some(())?;
        Some(target["lastError"].as_str()?.to_owned())
    }
}

/// Returns the name and the labels of a series. Bucket bounds are normalized as numbers, since
/// scraped and pushed series write them differently.
fn labels_of(metric: &Value) -> (String, BTreeMap<String, String>) {
    let text = |name: &str| metric[name].as_str().unwrap_or_default().to_owned();
    let labels = metric
        .as_object()
        .into_iter()
        .flat_map(|labels| labels.keys());
    let own = labels.filter(|name| !["__name__", "job", "instance"].contains(&name.as_str()));
    let value = |name: &str| match name {
        "le" => bound(&text(name)),
        _ => text(name),
    };
    let labels = own.map(|name| (name.clone(), value(name))).collect();
    (text("__name__"), labels)
}

/// There is no `fallback_scrape_protocol`: a page without a proper content type is a failed scrape.
fn configuration(target: &str) -> String {
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
         scrape_configs:\n\
         - job_name: pulled\n  \
           static_configs: [{{targets: ['{target}']}}]\n"
    )
}

/// Returns the address that the server has bound, from its log.
fn listener_in(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("\"Listening on\""))?;
    let address = line.split("address=").nth(1)?;
    Some(address.split_whitespace().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_either_release_gives_the_address() {
        let lines = [
            "level=INFO source=tls.go:381 msg=\"Listening on\" component=web address=127.0.0.1:42897",
            "ts=1 msg=\"Start listening for connections\" address=127.0.0.1:0\n\
             ts=2 caller=tls.go:232 component=web msg=\"Listening on\" address=127.0.0.1:42897\nts=3",
        ];
        for line in lines {
            assert_eq!(listener_in(line).as_deref(), Some("127.0.0.1:42897"));
        }
    }
}
