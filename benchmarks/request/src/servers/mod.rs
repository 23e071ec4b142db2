//! The same service, bare and with telemetry.

mod bare;
mod opentelemetry;
mod ours;

use std::error::Error;
use std::io::{self, Write as _};

use tokio::net::TcpListener;

/// What a service is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// axum alone.
    Bare,
    /// Ours, with all three signals pushed.
    Barograph,
    /// Ours without log records: the line is printed only, as it is by OpenTelemetry's.
    Lines,
    /// What a service with OpenTelemetry is usually made of.
    OpenTelemetry,
}

impl Stack {
    pub(crate) const ALL: [Stack; 4] = [
        Stack::Bare,
        Stack::Barograph,
        Stack::Lines,
        Stack::OpenTelemetry,
    ];

    /// How the command line calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stack::Bare => "bare",
            Stack::Barograph => "barograph",
            Stack::Lines => "lines",
            Stack::OpenTelemetry => "opentelemetry",
        }
    }
}

/// Is that server until SIGTERM, on a port that it says on stdout.
pub(crate) fn run(stack: Stack) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(io::stdout(), "{}", listener.local_addr()?)?;
        match stack {
            Stack::Bare => bare::serve(listener).await,
            // The environment tells them apart.
            Stack::Barograph | Stack::Lines => ours::serve(listener).await,
            Stack::OpenTelemetry => opentelemetry::serve(listener).await,
        }
    })
}

/// When the process is asked to end.
async fn stopped() {
    let stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match stop {
        Ok(mut stop) => drop(stop.recv().await),
        // Nobody will ask.
        Err(_) => std::future::pending().await,
    }
}
