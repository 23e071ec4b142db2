//! Where the log lines of the service and of this library go.

use std::io::IsTerminal as _;

use barograph_core::report;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints log lines on stderr, unless the service has set somebody who takes them. Returns whether
/// it does.
///
/// `RUST_LOG` says which lines, `info` when that is not set; `NO_COLOR` takes the colors away.
pub(crate) fn print_unless_set(lookup: &dyn Fn(&str) -> Option<String>) -> bool {
    let set = |variable| lookup(variable).filter(|value| !value.is_empty());
    let filter = set("RUST_LOG");
    let parsed = filter.map(|filter| filter.parse::<Targets>());
    let (targets, error) = match parsed {
        Some(Ok(targets)) => (targets, None),
        Some(Err(error)) => (default_targets(), Some(error.to_string())),
        None => (default_targets(), None),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && set("NO_COLOR").is_none());
    // An error says that a subscriber is set already: the lines go where it sends them.
    let prints = tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init()
        .is_ok();
    if let (true, Some(error)) = (prints, error) {
        tracing::warn!(target: "barograph", "RUST_LOG is ignored: {error}");
    }
    prints
}

/// Logs what the rooms below report.
pub(crate) fn hear_reports() {
    report::set_hook(|report| tracing::warn!(target: "barograph", "{}", report.message));
}

fn default_targets() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}
