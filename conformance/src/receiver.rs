//! The strict OTLP receiver of `conformance/otlp_receiver`, and the records that it wrote.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    ask::{self, LIMIT, agent},
    authority::Identity,
    backends::{program, workspace},
    child::Child,
    service::Variables,
};

/// The TLS settings of a receiver.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Its certificate; without one the receiver uses plaintext.
    pub identity: Option<Identity>,
    /// The root certificate of the accepted clients; without one every client is accepted.
    pub clients: Option<PathBuf>,
}

/// A receiver with gRPC and HTTP on separate ports.
#[derive(Debug)]
pub struct Receiver {
    security: Security,
    grpc: u16,
    http: u16,
    directory: TempDir,
    child: Option<Child>,
}

impl Receiver {
    /// Starts a plaintext receiver.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(Security::default())
    }

    /// Starts a receiver with these TLS settings.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or not ready in time.
    #[track_caller]
    pub fn start_with(security: Security) -> Self {
        let directory = TempDir::with_prefix("barograph-receiver-").expect("a directory");
        File::create(directory.path().join("records")).expect("a file");
        let mut receiver = Self {
            security,
            grpc: 0,
            http: 0,
            directory,
            child: None,
        };
        receiver.resume();
        receiver
    }

    /// Starts it again on the same ports.
    ///
    /// # Panics
    ///
    /// Panics if it is not ready in time.
    #[track_caller]
    pub fn resume(&mut self) {
        let python = program("python-otlp/bin/python");
        let mut child = Child::start("the receiver", |_| {
            let mut command = Command::new(python);
            // `-B` writes no compiled files beside the sources.
            command
                .arg("-B")
                .arg(workspace().join("conformance/otlp_receiver"))
                .arg(self.directory.path().join("records"))
                .args(["--grpc", &self.grpc.to_string()])
                .args(["--http", &self.http.to_string()]);
            if let Some(identity) = &self.security.identity {
                command
                    .arg("--tls")
                    .args([&identity.certificate, &identity.key]);
            }
            if let Some(clients) = &self.security.clients {
                command.arg("--client-ca").arg(clients);
            }
            command
        });
        let ports = child.wait_for("line that names its ports", |child| {
            serde_json::from_str::<Value>(child.log().lines().next_back()?).ok()
        });
        let port = |name: &str| ports[name].as_u64().and_then(|port| port.try_into().ok());
        self.grpc = port("grpc").expect("a port of gRPC");
        self.http = port("http").expect("a port of HTTP");
        self.child = Some(child);
    }

    /// Stops it; its ports and its records are kept.
    pub fn stop(&mut self) {
        self.child = None;
    }

    /// Sets the certificate that is used from the next start on.
    pub fn set_security(&mut self, security: Security) {
        self.security = security;
    }

    /// The endpoint of a transport.
    pub fn endpoint(&self, transport: Transport) -> String {
        let scheme = match self.security.identity {
            Some(_) => "https",
            None => "http",
        };
        match transport {
            Transport::Grpc => format!("{scheme}://127.0.0.1:{}", self.grpc),
            Transport::Protobuf | Transport::Json => format!("{scheme}://127.0.0.1:{}", self.http),
        }
    }

    /// Sets the faults for the next requests of a case, one fault per request.
    ///
    /// # Panics
    ///
    /// Panics if it does not listen, or uses TLS.
    #[track_caller]
    pub fn set_faults(&self, case: &str, faults: &[Value]) {
        agent(LIMIT)
            .post(format!("http://127.0.0.1:{}/faults/{case}", self.http))
            .send(json!(faults).to_string())
            .expect("a receiver is told its faults");
    }

    /// Posts JSON requests that each break one rule, and checks that the verdict has the expected
    /// words.
    ///
    /// Each entry of `broken` has the text to replace in the clean request, its replacement, and
    /// the words.
    ///
    /// # Panics
    ///
    /// Panics if a broken rule is not detected.
    #[track_caller]
    pub fn check_rules(&self, path: &str, clean: &str, broken: &[(&str, &str, &str)]) {
        let url = format!("{}{path}", self.endpoint(Transport::Json));
        for (taken, put, words) in broken {
            let request = clean.replacen(taken, put, 1);
            assert_ne!(request, clean, "{taken} is not in the clean request");
            assert_eq!(ask::post(&url, &[], &request), 200, "{put}");
            let records = self.records();
            let wrong = records.last().expect("a record").wrong();
            assert!(
                wrong.iter().any(|line| line.contains(words)),
                "{put}: no word of {words} in {wrong:?}"
            );
        }
    }

    /// Returns all records, in the order in which the requests arrived.
    ///
    /// # Panics
    ///
    /// Panics if a line is not a valid record.
    pub fn records(&self) -> Vec<Record> {
        let text = fs::read_to_string(self.directory.path().join("records")).expect("records");
        // The last line may be incomplete.
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines
            .map(|line| Record(serde_json::from_str(line).expect("a record is JSON")))
            .collect()
    }

    /// Returns the records of a case: the requests with this `x-case` header.
    pub fn case(&self, case: &str) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.headers().get("x-case").map(String::as_str) == Some(case));
        records
    }
}

/// The three OTLP transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are all that OTLP has")]
pub enum Transport {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP with protobuf.
    Protobuf,
    /// OTLP over HTTP with JSON.
    Json,
}

impl Transport {
    /// All transports.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::Protobuf, Self::Json];

    /// The name as in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Protobuf => "http/protobuf",
            Self::Json => "http/json",
        }
    }
}

/// Returns the variables that make a service push metrics alone to an endpoint, and be scraped as
/// well. The service identifies itself by its `service.name` and by the header `x-case`.
pub fn pushing(name: &str, endpoint: &str, transport: Transport) -> Variables {
    let mut variables = pushing_events(name, endpoint, transport);
    variables.extend([
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus".to_owned()),
        ("OTEL_TRACES_EXPORTER", "none".to_owned()),
        ("OTEL_LOGS_EXPORTER", "none".to_owned()),
    ]);
    variables
}

/// Returns the variables that make a service push spans and log records; metrics are on the page
/// only.
pub fn pushing_events(name: &str, endpoint: &str, transport: Transport) -> Variables {
    Variables::from([
        ("OTEL_SERVICE_NAME", name.to_owned()),
        ("OTEL_METRICS_EXPORTER", "prometheus".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", transport.as_str().to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-case={name}")),
    ])
}

/// One request as the receiver recorded it.
#[derive(Clone, Debug)]
pub struct Record(Value);

impl Record {
    /// The time at which the request had arrived, in seconds since 1970.
    pub fn time(&self) -> f64 {
        self.0["time"].as_f64().unwrap_or_default()
    }

    /// The name of the transport, as in the environment variables.
    pub fn transport(&self) -> &str {
        self.text("transport")
    }

    /// The path of the request.
    pub fn path(&self) -> &str {
        self.text("path")
    }

    /// The content encoding; unknown for gRPC.
    pub fn encoding(&self) -> &str {
        self.text("encoding")
    }

    /// `ok`, or the kind of fault that was injected.
    pub fn outcome(&self) -> &str {
        self.text("outcome")
    }

    /// The headers or metadata, with names in lower case.
    pub fn headers(&self) -> BTreeMap<String, String> {
        let headers = self.0["headers"].as_object().into_iter().flatten();
        headers
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// The bytes on the wire; for gRPC those of the whole connection so far.
    pub fn wire(&self) -> u64 {
        self.0["wire"].as_u64().unwrap_or_default()
    }

    /// The size of the decoded request in bytes.
    pub fn size(&self) -> u64 {
        self.0["size"].as_u64().unwrap_or_default()
    }

    /// The violations of the OTLP specification.
    pub fn wrong(&self) -> Vec<&str> {
        let wrong = self.0["wrong"].as_array().into_iter().flatten();
        wrong.filter_map(Value::as_str).collect()
    }

    /// The request, as OTLP/JSON writes it.
    pub fn body(&self) -> &Value {
        &self.0["body"]
    }

    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }
}
