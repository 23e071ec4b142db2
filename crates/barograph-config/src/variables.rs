//! The table of all variables that are read.
//!
//! The functions that read variables and the notices about invalid values take names and expected
//! values from here, and so does the documentation: [`document`] writes the tables in the docs of
//! `barograph::init`, which a test in `tests/variables.rs` of `barograph` compares with it, and writes
//! with `UPDATE_DOCS=1`.

use std::fmt::Write as _;

use barograph_encode::otlp::Signal;

/// An environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// The names of the variables for one signal, which take precedence: those of metrics, traces and
    /// logs.
    pub for_signals: Option<[&'static str; 3]>,
    /// The setting.
    pub meaning: &'static str,
    /// The form of a valid value.
    pub expected: &'static str,
    /// The value if it is unset.
    pub default: &'static str,
}

impl Variable {
    pub(crate) const fn new(
        name: &'static str,
        meaning: &'static str,
        expected: &'static str,
        default: &'static str,
    ) -> Self {
        Variable {
            name,
            for_signals: None,
            meaning,
            expected,
            default,
        }
    }

    /// Returns the variable for one signal.
    pub(crate) fn for_signal(&self, signal: Signal) -> Variable {
        let index = match signal {
            Signal::Metrics => 0,
            Signal::Traces => 1,
            Signal::Logs => 2,
        };
        let name = self.for_signals.map_or(self.name, |names| names[index]);
        Variable { name, ..*self }
    }

    /// Returns the variable for one signal and the one for all signals: the second applies if the first is
    /// unset or invalid.
    pub(crate) fn in_precedence(&self, signal: Signal) -> [Variable; 2] {
        [self.for_signal(signal), *self]
    }

    /// Returns the name, and those for one signal.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name]
            .into_iter()
            .chain(self.for_signals.into_iter().flatten())
    }
}

/// Returns the documentation of all variables in Markdown.
pub fn document() -> String {
    format!(
        "{}\nThe next variables also have a form for one signal, such as \
         `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, which takes precedence; likewise `TRACES` and \
         `LOGS`.\n\n{}\n{}",
        table(GENERAL),
        table(RECEIVER),
        table(PUSH)
    )
}

fn table(variables: &[Variable]) -> String {
    let mut table = String::from("| variable | meaning | value | default |\n|---|---|---|---|\n");
    for variable in variables {
        let Variable {
            name,
            meaning,
            expected,
            default,
            ..
        } = variable;
        // Writing to a string does not fail.
        let _ = writeln!(table, "| `{name}` | {meaning} | {expected} | {default} |");
    }
    table
}

/// Returns the variables of all tables.
pub fn all() -> impl Iterator<Item = &'static Variable> {
    [GENERAL, RECEIVER, PUSH].into_iter().flatten()
}

macro_rules! variables {
    (
        $(#[$doc:meta])*
        $list:ident:
        $($id:ident = $name:literal, $meaning:literal, $expected:expr, $default:literal;)+
    ) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning, ".")]
            pub const $id: Variable = Variable::new($name, $meaning, $expected, $default);
        )+
        $(#[$doc])*
        pub static $list: &[Variable] = &[$($id),+];
    };
}

macro_rules! signal_variables {
    (
        $(#[$doc:meta])*
        $list:ident:
        $($id:ident = $name:literal, $meaning:literal, $expected:expr, $default:literal;)+
    ) => {
        $(
            #[doc = concat!("`OTEL_EXPORTER_OTLP_", $name, "`: ", $meaning, ".")]
            pub const $id: Variable = Variable {
                for_signals: Some([
                    concat!("OTEL_EXPORTER_OTLP_METRICS_", $name),
                    concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
                    concat!("OTEL_EXPORTER_OTLP_LOGS_", $name),
                ]),
                ..Variable::new(
                    concat!("OTEL_EXPORTER_OTLP_", $name),
                    $meaning,
                    $expected,
                    $default,
                )
            };
        )+
        $(#[$doc])*
        pub static $list: &[Variable] = &[$($id),+];
    };
}

const BOOLEAN: &str = "true or false";
const INTERVAL: &str = "a whole number of milliseconds from 1 to 2147483647";
const TIMEOUT: &str = "a whole number of milliseconds from 0 to 2147483647";
const SIZE: &str = "a whole number from 1 to 1048576";
const LIMIT: &str = "a whole number from 0";
const DIRECTIVES: &str = "directives such as info,hyper=warn";
const FILE: &str = "the path of a file in PEM form";
const PROXY: &str = "a proxy as http://host:port or https://host:port";

variables! {
    /// The variables of the service, its pages, and spans, log records and log lines.
    GENERAL:
    SERVICE_NAME = "OTEL_SERVICE_NAME", "the service's name", "text",
        "`service.name` of the next variable, else the name given to `init`";
    RESOURCE_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES", "more resource attributes",
        "key=value pairs with commas between them, percent-encoded", "none";
    HOST = "OTEL_EXPORTER_PROMETHEUS_HOST", "the host on which the pages are served; in a container `0.0.0.0`",
        "a name or address of this machine", "`localhost`, which is 127.0.0.1";
    PORT = "OTEL_EXPORTER_PROMETHEUS_PORT", "the port of the pages; 0 picks a free one",
        "a port from 0 to 65535", "9464";
    ALLOWED_HOSTS = "BAROGRAPH_ALLOWED_HOSTS",
        "the host names by which `/metrics` may be requested on a loopback address; `*` allows every name",
        "host names and addresses without ports, or `*`, with commas between them", "`localhost`, loopback addresses, and the host above";
    METRICS_EXPORTER = "OTEL_METRICS_EXPORTER", "the exporters of metrics; `console` prints each request as a line of JSON",
        "otlp, prometheus, console, a list of them, or none alone",
        "`prometheus`, and `otlp` where an endpoint is set: without one no connection is made";
    TRACES_EXPORTER = "OTEL_TRACES_EXPORTER", "the exporters of spans, each with its own queue",
        "otlp, zipkin, console, a list of them, or none alone",
        "`otlp` where an endpoint is set; else spans stay in the process, and log lines and exemplars have their ids";
    LOGS_EXPORTER = "OTEL_LOGS_EXPORTER", "the exporters of log records",
        "otlp, console, a list of them, or none alone", "`otlp` where an endpoint is set";
    EXEMPLAR_FILTER = "OTEL_METRICS_EXEMPLAR_FILTER", "the measurements that may become exemplars",
        "trace_based, always_on or always_off", "`trace_based`";
    SAMPLER = "OTEL_TRACES_SAMPLER", "the sampler",
        "always_on, always_off, traceidratio, probability, ratelimited or rules, alone or after parentbased_",
        "`parentbased_always_on`";
    SAMPLER_ARG = "OTEL_TRACES_SAMPLER_ARG", "the argument of the sampler",
        "a number from 0 to 1, a number of spans per second, or rules", "that of the sampler";
    TAIL_SAMPLING_RATE = "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND",
        "tail sampling: the number of unsampled traces exported per second because they failed, were slow, or have an exemplar",
        "traces a second from 0.000001 to 1000000000, or 0 for none", "none";
    TAIL_SAMPLING_SLOW_THRESHOLD = "BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD",
        "tail sampling: the duration from which a trace counts as slow", INTERVAL, "no trace is slow";
    PROPAGATORS = "OTEL_PROPAGATORS", "the propagation formats",
        "tracecontext, baggage, b3, b3multi, jaeger, none or a list of them", "`tracecontext,baggage`";
    SPAN_DELAY = "OTEL_BSP_SCHEDULE_DELAY",
        "the time between two export cycles of spans; a full batch is exported at once", INTERVAL, "5000";
    SPAN_TIMEOUT = "OTEL_BSP_EXPORT_TIMEOUT", "the time limit of an export cycle of spans; 0 means none", TIMEOUT, "30000";
    SPAN_QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE", "the maximum number of queued spans", SIZE, "2048";
    SPAN_BATCH = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "the maximum number of spans in one request", SIZE, "512";
    LOG_DELAY = "OTEL_BLRP_SCHEDULE_DELAY",
        "the time between two export cycles of log records; a full batch is exported at once", INTERVAL, "1000";
    LOG_TIMEOUT = "OTEL_BLRP_EXPORT_TIMEOUT", "the time limit of an export cycle of log records; 0 means none", TIMEOUT, "30000";
    LOG_QUEUE = "OTEL_BLRP_MAX_QUEUE_SIZE", "the maximum number of queued log records", SIZE, "2048";
    LOG_BATCH = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "the maximum number of log records in one request", SIZE, "512";
    ATTRIBUTES = "OTEL_ATTRIBUTE_COUNT_LIMIT", "the maximum number of attributes", LIMIT, "128";
    SPAN_ATTRIBUTES = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "the maximum number of attributes of a span", LIMIT,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`";
    EVENT_ATTRIBUTES = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "the maximum number of attributes of an event", LIMIT,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`";
    LINK_ATTRIBUTES = "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "the maximum number of attributes of a link", LIMIT,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`";
    LOG_ATTRIBUTES = "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "the maximum number of attributes of a log record", LIMIT,
        "`OTEL_ATTRIBUTE_COUNT_LIMIT`";
    VALUE_LENGTH = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the maximum number of characters of a text value", LIMIT,
        "no limit in spans, 65536 in log records";
    SPAN_VALUE_LENGTH = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the same in spans", LIMIT,
        "`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`";
    LOG_VALUE_LENGTH = "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the same in log records", LIMIT,
        "`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`";
    SPAN_EVENTS = "OTEL_SPAN_EVENT_COUNT_LIMIT", "the maximum number of events of a span", LIMIT, "128";
    SPAN_LINKS = "OTEL_SPAN_LINK_COUNT_LIMIT", "the maximum number of links of a span", LIMIT, "128";
    KNOWN_METHODS = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        "the known HTTP methods, case-sensitive; others are reported as `_OTHER`",
        "methods of HTTP with commas between them", "those of RFC 9110, `PATCH`, `QUERY`";
    DISABLED = "OTEL_SDK_DISABLED",
        "`true`: nothing is recorded or exported; contexts are still propagated, and log lines, `/health` and `/ready` stay",
        BOOLEAN, "`false`";
    LINE_FILTER = "RUST_LOG", "the filter of printed log lines, by target and level", DIRECTIVES, "`info`";
    SPAN_FILTER = "BAROGRAPH_SPANS", "the filter of spans", DIRECTIVES, "`info`";
    LOG_FILTER = "BAROGRAPH_LOGS", "the filter of exported log records", DIRECTIVES, "`info`";
    LOG_FORMAT = "BAROGRAPH_LOG_FORMAT", "the format of log lines", "pretty or json", "`pretty`";
    NO_COLOR = "NO_COLOR", "log lines have no colors", "any value", "colors on a terminal";
    EXIT_TIMEOUT = "BAROGRAPH_EXIT_TIMEOUT",
        "the time that an exit of the process waits until pending telemetry is exported and written; 0 does not wait",
        TIMEOUT, "2000";
}

signal_variables! {
    /// The variables of OTLP receivers. Each also has a form for one signal.
    RECEIVER:
    ENDPOINT = "ENDPOINT",
        "the URL of the receiver; `/v1/metrics`, `/v1/traces` or `/v1/logs` is appended, but not to the form for one signal; gRPC uses no path",
        "http://host:port, https://host:port, unix:/path, or host:port for gRPC",
        "`http://localhost:4318`, for gRPC `http://localhost:4317`";
    PROTOCOL = "PROTOCOL", "the protocol of requests", "grpc, http/protobuf or http/json", "`http/protobuf`";
    HEADERS = "HEADERS", "the headers of requests",
        "name=value, percent-encoded, and no name that the transport sets itself", "none";
    REQUEST_TIMEOUT = "TIMEOUT", "the time limit of one request with all its retries; 0 means none", TIMEOUT, "10000";
    COMPRESSION = "COMPRESSION", "the compression of requests",
        "gzip, none, or zstd, which needs the feature `zstd` of barograph", "`none`";
    CERTIFICATE = "CERTIFICATE",
        "the trusted root certificates, read again when the file changes; while it cannot be read nothing is sent", FILE, "the system's";
    CLIENT_CERTIFICATE = "CLIENT_CERTIFICATE", "the client's certificate, for mutual TLS", FILE, "none";
    CLIENT_KEY = "CLIENT_KEY", "the key of the client's certificate", FILE, "none";
    INSECURE = "INSECURE", "`true`: gRPC to an endpoint without a scheme uses plaintext", BOOLEAN, "`false`";
}

variables! {
    /// The variables of pushes other than the receivers: metrics, Zipkin, persistent queues, proxies.
    PUSH:
    METRIC_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL", "the time between two export cycles of metrics", INTERVAL, "60000";
    METRIC_TIMEOUT = "OTEL_METRIC_EXPORT_TIMEOUT", "the time limit of an export cycle of metrics; 0 means none", TIMEOUT, "30000";
    TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "the temporality of metrics",
        "cumulative, delta or lowmemory", "`cumulative`";
    AGGREGATION = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "the buckets of histograms, which are explicit in any case",
        "explicit_bucket_histogram or base2_exponential_bucket_histogram", "`explicit_bucket_histogram`";
    ZIPKIN_ENDPOINT = "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "the full URL at which Zipkin takes spans",
        "http://host:port, https://host:port or unix:/path", "`http://localhost:9411/api/v2/spans`";
    ZIPKIN_TIMEOUT = "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
        "the time limit of one request with all its retries; 0 means none", TIMEOUT, "10000";
    QUEUE_DIRECTORY = "BAROGRAPH_PERSISTENT_QUEUE_DIR",
        "the directory of the persistent queues of undelivered requests, which are its directories `metrics`, `traces`, `logs` and `zipkin`",
        "the path of a directory", "no persistent queue";
    QUEUE_MAX_BYTES = "BAROGRAPH_PERSISTENT_QUEUE_MAX_BYTES",
        "the maximum number of bytes on disk; beyond it the oldest requests are dropped",
        "a whole number of bytes above 0", "268435456";
    QUEUE_REQUIRED = "BAROGRAPH_PERSISTENT_QUEUE_REQUIRED",
        "`true`: the start fails if a persistent queue cannot be opened", BOOLEAN, "`false`";
    HTTPS_PROXY = "HTTPS_PROXY", "the proxy for `https` and gRPC, never used for this machine", PROXY, "`https_proxy`";
    HTTPS_PROXY_LOWER = "https_proxy", "the same", PROXY, "no proxy";
    HTTP_PROXY = "HTTP_PROXY", "the proxy for `http`, never used for this machine", PROXY, "`http_proxy`";
    HTTP_PROXY_LOWER = "http_proxy", "the same", PROXY, "no proxy";
    NO_PROXY = "NO_PROXY", "the hosts that are reached without a proxy",
        "names, which include all their subdomains, addresses, ranges such as 10.0.0.0/8, or `*`, with commas between them", "`no_proxy`";
    NO_PROXY_LOWER = "no_proxy", "the same", "the same", "none";
    REQUEST_METHOD = "REQUEST_METHOD", "set in a CGI program, where `HTTP_PROXY` is ignored: a request could set it", "any value", "no CGI program";
}
