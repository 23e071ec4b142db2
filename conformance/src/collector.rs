//! Third-party collectors, each of which forwards what it receives to a [`Receiver`].

use std::{fs, net::TcpStream, process::Command};

use crate::{
    authority::{Authority, Identity},
    backends::program,
    child::Child,
    receiver::{Receiver, Transport},
    service::free_address,
};

/// The OpenTelemetry Collector, in plaintext and with TLS.
#[derive(Debug)]
pub struct Collector {
    ports: Ports,
    secure: Ports,
    // Held for its drop, which kills the collector.
    _child: Child,
}

#[derive(Debug)]
struct Ports {
    grpc: u16,
    http: u16,
}

impl Collector {
    /// Starts one that responds to a request only after it has forwarded it, so that every
    /// acknowledged request is in the receiver's records.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed, has the wrong version, or is not ready in time.
    #[track_caller]
    pub fn start(authority: &Authority, next: &Receiver) -> Self {
        let binary = program("bin/collector");
        let version = Command::new(&binary).arg("--version").output();
        let version = version.expect("the Collector tells its version").stdout;
        assert_eq!(
            String::from_utf8_lossy(&version).trim(),
            "otelcol version 0.155.0"
        );
        let identity = authority.vouch("collector");
        let (ports, secure) = (Ports::free(), Ports::free());
        let mut child = Child::start("the Collector", |directory| {
            let config = directory.join("collector.yaml");
            let text = configuration(&ports, &secure, &identity, next);
            fs::write(&config, text).expect("a directory that can be written");
            let mut command = Command::new(binary);
            command.arg(format!("--config={}", config.display()));
            command
        });
        child.wait_for("line that it is ready", |child| {
            child.log().contains("Everything is ready").then_some(())
        });
        Self {
            ports,
            secure,
            _child: child,
        }
    }

    /// The plaintext endpoint of a transport.
    pub fn endpoint(&self, transport: Transport) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(transport))
    }

    /// The TLS endpoint of a transport.
    pub fn secure_endpoint(&self, transport: Transport) -> String {
        format!("https://127.0.0.1:{}", self.secure.of(transport))
    }
}

impl Ports {
    fn free() -> Self {
        let [grpc, http] = [free_address().port(), free_address().port()];
        Self { grpc, http }
    }

    fn of(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Grpc => self.grpc,
            Transport::Protobuf | Transport::Json => self.http,
        }
    }
}

/// The rotel collector, in plaintext.
#[derive(Debug)]
pub struct Rotel {
    ports: Ports,
    // Held for its drop, which kills the collector.
    _child: Child,
}

impl Rotel {
    /// Starts a rotel collector.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or not ready in time.
    #[track_caller]
    pub fn start(next: &Receiver) -> Self {
        let binary = program("bin/rotel");
        let ports = Ports::free();
        let mut child = Child::start("rotel", |_| {
            let mut command = Command::new(binary);
            command
                .arg("start")
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{}", ports.grpc)])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{}", ports.http)])
                .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
                .args([
                    "--otlp-exporter-endpoint",
                    &next.endpoint(Transport::Protobuf),
                ]);
            command
        });
        for port in [ports.grpc, ports.http] {
            child.wait_for("open port", |_| {
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        Self {
            ports,
            _child: child,
        }
    }

    /// The endpoint of a transport.
    pub fn endpoint(&self, transport: Transport) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(transport))
    }
}

/// The configuration has no queue and no retries: the response is the response of the next
/// receiver.
fn configuration(ports: &Ports, secure: &Ports, identity: &Identity, next: &Receiver) -> String {
    let tls = format!(
        "tls: {{cert_file: {}, key_file: {}}}",
        identity.certificate.display(),
        identity.key.display()
    );
    format!(
        "receivers:\n  \
           otlp:\n    \
             protocols:\n      \
               grpc: {{endpoint: '127.0.0.1:{}'}}\n      \
               http: {{endpoint: '127.0.0.1:{}'}}\n  \
           otlp/secure:\n    \
             protocols:\n      \
               grpc: {{endpoint: '127.0.0.1:{}', {tls}}}\n      \
               http: {{endpoint: '127.0.0.1:{}', {tls}}}\n\
         exporters:\n  \
           otlp_http:\n    \
             endpoint: {}\n    \
             encoding: json\n    \
             sending_queue: {{enabled: false}}\n    \
             retry_on_failure: {{enabled: false}}\n\
         service:\n  \
           telemetry: {{metrics: {{level: none}}}}\n  \
           pipelines:\n    \
             metrics: &all {{receivers: [otlp, otlp/secure], exporters: [otlp_http]}}\n    \
             traces: *all\n    \
             logs: *all\n",
        ports.grpc,
        ports.http,
        secure.grpc,
        secure.http,
        next.endpoint(Transport::Json)
    )
}
