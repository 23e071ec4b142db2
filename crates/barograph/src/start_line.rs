//! The line printed at the start that says where telemetry is exported.

use std::fmt;
use std::net::SocketAddr;

use barograph_config::variables::DISABLED;
use barograph_encode::otlp::Signal;

use crate::diagnostics;

/// The start line. It is one line for every service name.
#[derive(Clone, Copy)]
pub(crate) struct StartLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: Option<SocketAddr>,
    /// True if the address is taken and is bound later.
    pub(crate) is_late: bool,
    pub(crate) is_disabled: bool,
    pub(crate) is_served: bool,
    pub(crate) targets: &'a [(Signal, String)],
    pub(crate) subscriber_owner: SubscriberOwner,
}

/// The owner of the `tracing` subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriberOwner {
    /// This library, which prints lines.
    Printing,
    /// This library, which prints nothing.
    Silent,
    /// A subscriber that was set before.
    Somebody,
    /// Earlier telemetry of this process.
    Earlier,
    /// The service, by its own choice.
    Service,
}

impl SubscriberOwner {
    /// Returns the owner of the subscriber that is installed: earlier telemetry, or the service.
    pub(crate) fn of_installed() -> Self {
        match diagnostics::is_ours() {
            true => SubscriberOwner::Earlier,
            false => SubscriberOwner::Somebody,
        }
    }

    /// Returns false if this telemetry gets no spans and log records from the subscriber.
    fn has_our_layers(self) -> bool {
        match self {
            SubscriberOwner::Printing | SubscriberOwner::Silent | SubscriberOwner::Service => true,
            SubscriberOwner::Somebody | SubscriberOwner::Earlier => false,
        }
    }
}

impl fmt::Display for StartLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disabled = DISABLED.name;
        write!(f, "{}: ", self.name.escape_debug())?;
        match (self.address, self.is_disabled, self.is_served) {
            (Some(address), false, true) => write!(
                f,
                "metrics at http://{address}/metrics, also /health and /ready"
            )?,
            (Some(address), false, false) => {
                write!(f, "no page of metrics; http://{address}/health and /ready")?
            }
            (Some(address), true, _) => write!(
                f,
                "no metrics since {disabled} is true; http://{address}/health and /ready stay"
            )?,
            (None, _, _) if self.is_late => f.write_str("no pages until their address is free")?,
            (None, false, _) => f.write_str("no listener for metrics")?,
            (None, true, _) => write!(f, "no metrics since {disabled} is true")?,
        }
        for (signal, target) in self.targets {
            if *signal != Signal::Metrics && !self.subscriber_owner.has_our_layers() {
                continue;
            }
            let what = match signal {
                Signal::Metrics => "metrics",
                Signal::Traces => "spans",
                Signal::Logs => "log records",
            };
            write!(f, "; {what} pushed to {}", target.escape_debug())?;
        }
        match self.subscriber_owner {
            SubscriberOwner::Printing => f.write_str("; logs on stderr"),
            SubscriberOwner::Somebody => f.write_str(
                "; another subscriber for tracing is set, so spans and logs are not ours: give it \
                 Telemetry::reload_layer",
            ),
            SubscriberOwner::Earlier => f.write_str(
                "; telemetry was started in this process before, and spans and logs stay with that: \
                 call init once, and share what it returns",
            ),
            SubscriberOwner::Silent | SubscriberOwner::Service => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_line_is_one_line() {
        let here = SocketAddr::from(([127, 0, 0, 1], 9464));
        let mut line = StartLine {
            name: "shop",
            address: Some(here),
            is_late: false,
            is_disabled: false,
            is_served: true,
            targets: &[],
            subscriber_owner: SubscriberOwner::Printing,
        };
        assert_eq!(
            line.to_string(),
            "shop: metrics at http://127.0.0.1:9464/metrics, also /health and \
             /ready; logs on stderr"
        );
        line.targets = &[];
        line.name = "a\nb\u{1b}[31m";
        for address in [Some(here), None] {
            for is_disabled in [true, false] {
                line = StartLine {
                    address,
                    is_disabled,
                    ..line
                };
                let text = line.to_string();
                assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
            }
        }
    }

    #[test]
    fn spans_and_log_records_are_pushed_only_by_our_layers() {
        let targets = [Signal::Metrics, Signal::Traces, Signal::Logs];
        let targets = targets.map(|signal| (signal, "http://receiver:4318".to_owned()));
        let pushed = |subscriber_owner| {
            let line = StartLine {
                name: "shop",
                address: None,
                is_late: false,
                is_disabled: false,
                is_served: true,
                targets: &targets,
                subscriber_owner,
            };
            line.to_string().matches("pushed to").count()
        };
        assert_eq!(pushed(SubscriberOwner::Printing), 3);
        assert_eq!(pushed(SubscriberOwner::Service), 3);
        assert_eq!(pushed(SubscriberOwner::Somebody), 1);
        assert_eq!(pushed(SubscriberOwner::Earlier), 1);
    }
}
