//! A real Jaeger that receives OTLP, and queries for traces.

use std::{collections::BTreeSet, net::TcpStream, process::Command};

use serde_json::Value;

use crate::{
    ask,
    backends::program,
    child::Child,
    lines,
    receiver::Transport,
    service::{Variables, free_address},
};

/// Jaeger in one process, with its traces in memory.
#[derive(Debug)]
pub struct Jaeger {
    grpc: u16,
    http: u16,
    query: u16,
    child: Child,
}

impl Jaeger {
    /// Starts a Jaeger.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or not ready in time.
    #[track_caller]
    pub fn start() -> Self {
        let binary = program("bin/jaeger");
        // Jaeger does not report which ports it was given, so all are chosen here.
        let ports: [u16; 12] = std::array::from_fn(|_| free_address().port());
        let flags = [
            "collector.otlp.grpc.host-port",
            "collector.otlp.http.host-port",
            "query.http-server.host-port",
            "query.grpc-server.host-port",
            "admin.http.host-port",
            "collector.grpc-server.host-port",
            "collector.http-server.host-port",
            "processor.jaeger-binary.server-host-port",
            "processor.jaeger-compact.server-host-port",
            "processor.zipkin-compact.server-host-port",
            "http-server.host-port",
            "collector.zipkin.host-port",
        ];
        let mut child = Child::start("Jaeger", |_| {
            let mut command = Command::new(binary);
            let settings = flags.iter().zip(ports);
            command.args(settings.map(|(flag, port)| format!("--{flag}=127.0.0.1:{port}")));
            command
        });
        let [grpc, http, query, ..] = ports;
        for port in [grpc, http, query] {
            child.wait_for("open port", |_| {
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        Self {
            grpc,
            http,
            query,
            child,
        }
    }

    /// The endpoint of a transport.
    pub fn endpoint(&self, transport: Transport) -> String {
        let port = match transport {
            Transport::Grpc => self.grpc,
            Transport::Protobuf | Transport::Json => self.http,
        };
        format!("http://127.0.0.1:{port}")
    }

    /// Returns the variables that make a service of this name export its spans to this Jaeger, and
    /// print lines with their ids.
    pub fn exporting(&self, name: &str, transport: Transport) -> Variables {
        Variables::from([
            ("OTEL_SERVICE_NAME", name.to_owned()),
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_METRICS_EXPORTER", "prometheus".to_owned()),
            ("OTEL_LOGS_EXPORTER", "none".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.endpoint(transport)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", transport.as_str().to_owned()),
            ("BAROGRAPH_LOG_FORMAT", lines::FORMAT.to_owned()),
        ])
    }

    /// Returns the ids of all traces that include spans of a service, once there are at least
    /// `at_least`.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer when the time is over.
    #[track_caller]
    pub fn traces_of(&mut self, service: &str, at_least: usize) -> BTreeSet<String> {
        let path = format!("/api/traces?service={service}&lookback=1h&limit=100000");
        let query = self.query;
        self.child.wait_for("traces of the service", |_| {
            let answer = get(query, &path)?;
            let traces = answer["data"].as_array()?.iter();
            let ids: BTreeSet<_> = traces.map(|trace| text_of(&trace["traceID"])).collect();
            (ids.len() >= at_least).then_some(ids)
        })
    }

    /// Returns the spans of a trace, once there are that many.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer when the time is over.
    #[track_caller]
    pub fn trace(&mut self, trace_id: &str, spans: usize) -> Vec<Span> {
        let query = self.query;
        self.child.wait_for("whole trace", |_| {
            let found = trace(query, trace_id)?;
            (found.len() >= spans).then_some(found)
        })
    }
}

fn get(query: u16, path: &str) -> Option<Value> {
    ask::json(&format!("http://127.0.0.1:{query}{path}"))
}

fn trace(query: u16, trace_id: &str) -> Option<Vec<Span>> {
    let mut answer = get(query, &format!("/api/traces/{trace_id}"))?;
    let trace = answer["data"].get_mut(0)?.take();
    let service = |process: &Value| {
        let name = &trace["processes"][process.as_str().unwrap_or_default()]["serviceName"];
        name.as_str().unwrap_or_default().to_owned()
    };
    let spans = trace["spans"].as_array()?.iter();
    let spans = spans.map(|span| Span {
        id: text_of(&span["spanID"]),
        name: text_of(&span["operationName"]),
        service: service(&span["processID"]),
        start: span["startTime"].as_u64().unwrap_or_default(),
        duration: span["duration"].as_u64().unwrap_or_default(),
        references: references(span),
        tags: span["tags"].clone(),
        logs: span["logs"].clone(),
    });
    Some(spans.collect())
}

fn references(span: &Value) -> Vec<Reference> {
    let references = span["references"].as_array().into_iter().flatten();
    let reference = |reference: &Value| Reference {
        is_parent: reference["refType"] == "CHILD_OF",
        trace_id: text_of(&reference["traceID"]),
        span_id: text_of(&reference["spanID"]),
    };
    references.map(reference).collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A span as Jaeger returns it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id, in hexadecimal digits.
    pub id: String,
    /// The name of the span.
    pub name: String,
    /// The `service.name` of the process that made it.
    pub service: String,
    /// The start time, in microseconds since 1970.
    pub start: u64,
    /// The duration, in microseconds.
    pub duration: u64,
    /// Its parent and its links.
    pub references: Vec<Reference>,
    tags: Value,
    logs: Value,
}

/// A reference from a span to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// True if the referenced span is the parent, false if it is linked.
    pub is_parent: bool,
    /// The trace id of the referenced span.
    pub trace_id: String,
    /// The span id of the referenced span.
    pub span_id: String,
}

impl Span {
    /// The id of its parent.
    pub fn parent(&self) -> Option<&str> {
        let parent = self.references.iter().find(|other| other.is_parent)?;
        Some(&parent.span_id)
    }

    /// The links to other spans.
    pub fn links(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter().filter(|other| !other.is_parent)
    }

    /// All attributes, and the tags that Jaeger derives from the rest.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &Value)> {
        let tags = self.tags.as_array().into_iter().flatten();
        tags.filter_map(|tag| Some((tag["key"].as_str()?, &tag["value"])))
    }

    /// The value of an attribute.
    pub fn tag(&self, key: &str) -> Option<&Value> {
        let mut tags = self.tags();
        tags.find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The names of its events.
    pub fn events(&self) -> Vec<&str> {
        let events = self.logs.as_array().into_iter().flatten();
        let fields = events.flat_map(|event| event["fields"].as_array().into_iter().flatten());
        let names = fields.filter(|field| field["key"] == "event");
        names.filter_map(|field| field["value"].as_str()).collect()
    }
}
