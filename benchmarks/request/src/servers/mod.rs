//! The same service, without and with telemetry.

mod bare;
mod opentelemetry;
mod ours;
mod oxtel;

use std::error::Error;
use std::io::{self, Write as _};

use tokio::net::TcpListener;

/// The telemetry of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// axum without telemetry.
    Bare,
    /// barograph, with all three signals pushed.
    Barograph,
    /// barograph without log records: the line is only printed, as in the service with
    /// OpenTelemetry.
    Lines,
    /// oxtel, with all three signals pushed.
    Oxtel,
    /// oxtel without log records.
    OxtelLines,
    /// The usual OpenTelemetry crates.
    OpenTelemetry,
}

impl Stack {
    pub(crate) const ALL: [Stack; 6] = [
        Stack::Bare,
        Stack::Barograph,
        Stack::Lines,
        Stack::Oxtel,
        Stack::OxtelLines,
        Stack::OpenTelemetry,
    ];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stack::Bare => "bare",
            Stack::Barograph => "barograph",
            Stack::Lines => "lines",
            Stack::Oxtel => "oxtel",
            Stack::OxtelLines => "oxtel-lines",
            Stack::OpenTelemetry => "opentelemetry",
        }
    }
}

/// Runs the server until SIGTERM, on a port that it prints to stdout.
pub(crate) fn run(stack: Stack) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(io::stdout(), "{}", listener.local_addr()?)?;
        match stack {
            Stack::Bare => bare::serve(listener).await,
            // The environment distinguishes the two, and those of oxtel.
            Stack::Barograph | Stack::Lines => ours::serve(listener).await,
            Stack::Oxtel | Stack::OxtelLines => oxtel::serve(listener).await,
            Stack::OpenTelemetry => opentelemetry::serve(listener).await,
        }
    })
}

/// Completes when the process receives SIGTERM.
async fn stopped() {
    let stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match stop {
        Ok(mut stop) => drop(stop.recv().await),
        // Without the handler the signal ends the process.
        Err(_) => std::future::pending().await,
    }
}
