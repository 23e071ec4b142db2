//! Events of a pipeline that operators should know about. They are brief, and are not repeated.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use barograph_model::text::counted;

use barograph_encode::otlp::Signal;

/// An event of a pipeline. Its `Display` output is a sentence for a log line.
///
/// An outage is reported when it begins and when it ends. Any other event is reported once, and again
/// only when an export cycle without it, and an hour, have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The signal of the pipeline.
    pub signal: Signal,
    /// The name of the reader that the pipeline exports for.
    pub reader: Box<str>,
    /// The URL of the receiver, without credentials.
    pub url: Box<str>,
    /// The event.
    pub event: Event,
}

/// The kind of an event. Texts from a receiver are bounded, and escaped by the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The receiver cannot be reached, or asks clients to wait.
    Unavailable {
        /// The reason why the last attempt failed.
        message: String,
        /// The longest time between two attempts.
        longest_pause: Duration,
    },
    /// The receiver responds to requests again.
    Recovered {
        /// The duration of the outage.
        outage: Duration,
        /// The number of items that were lost, or superseded by newer ones, during the outage.
        dropped: u64,
    },
    /// The receiver refused a request permanently.
    Refused {
        /// The kind of error, as in `error.type`.
        error_type: Cow<'static, str>,
        /// The receiver's message.
        message: String,
        /// The number of items in the request.
        items: u64,
    },
    /// The receiver accepted a request except for a part of it.
    Partial {
        /// The number of rejected items.
        rejected: u64,
        /// The receiver's message.
        message: String,
    },
    /// The receiver accepted a request, with a warning.
    Warning {
        /// The receiver's message.
        message: String,
    },
    /// A request exceeds the maximum size.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The number of items in it.
        items: u64,
    },
    /// An export cycle reached its time limit before everything was sent, although the receiver
    /// responds.
    ExportTimedOut {
        /// The time limit of the cycle.
        limit: Duration,
    },
    /// Collection did not end in time, usually because a callback hangs.
    CollectionTimedOut {
        /// The time that the pipeline waited for it.
        waited: Duration,
    },
    /// Collection, the transport or the pipeline itself panicked. The pipeline continues.
    Panicked {
        /// The part that panicked.
        part: &'static str,
    },
    /// The record queue was full, and new records were lost. At shutdown, those that were lost since
    /// the last such report are reported however recent it is.
    QueueFull {
        /// The number of items that the queue refused since the last such report.
        items: u64,
        /// The number of items that it refused in total.
        total: u64,
    },
    /// The persistent queue is full, and requests that are not delivered are lost.
    PersistentQueueFull,
    /// The persistent queue cannot be opened, read or written at present. Its contents stay there, new
    /// requests wait in memory, and the operation is retried.
    PersistentQueueFailed {
        /// The kind of error, as in `error.type`.
        error_type: Cow<'static, str>,
        /// The operation that failed, and the reason.
        message: String,
    },
    /// The persistent queue can be used again after a failure.
    PersistentQueueUsable {
        /// The number of items that wait in it.
        items: u64,
    },
    /// Files of the persistent queue were removed, replaced or damaged. The queue continues without
    /// their contents.
    PersistentQueueDamaged {
        /// The number of items in them that can no longer be read.
        items: u64,
    },
    /// The program ended before everything was delivered.
    LostAtShutdown {
        /// The number of items that were neither delivered nor in the persistent queue.
        items: u64,
        /// The reason why the last attempt failed; empty if a later one succeeded, or if none failed.
        message: String,
    },
    /// The account does not balance at shutdown, which is a bug in this library.
    Unaccounted {
        /// The number of items that were produced.
        produced: u64,
        /// The number of items that were delivered, dropped or left in the persistent queue.
        accounted: u64,
    },
}

impl Event {
    /// Returns true if the event is a recovery.
    pub fn is_recovery(&self) -> bool {
        matches!(
            self,
            Event::Recovered { .. } | Event::PersistentQueueUsable { .. }
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (signal, url) = (self.signal.as_str(), &*self.url);
        let counted = |count: u64| {
            let (one, many) = items_of(self.signal);
            counted(count, one, many)
        };
        match &self.event {
            Event::Unavailable {
                message,
                longest_pause,
            } => write!(
                f,
                "{signal} do not reach {url}: {message}; tried again, after {longest_pause:?} at the latest"
            ),
            Event::Recovered { outage, dropped } => write!(
                f,
                "{signal} reach {url} again after {} s; {} dropped meanwhile",
                outage.as_secs(),
                counted(*dropped)
            ),
            Event::Refused {
                error_type,
                message,
                items,
            } => {
                write!(f, "{url} refused {}: ", counted(*items))?;
                // The message of a response may begin with its status, which is also the error type.
                match message.starts_with(&**error_type) {
                    true => f.write_str(message),
                    false => write!(f, "{error_type}: {message}"),
                }
            }
            Event::Partial { rejected, message } => {
                write!(f, "{url} rejected {}: {message}", counted(*rejected))
            }
            Event::Warning { message } => write!(f, "{url} takes {signal}, but warns: {message}"),
            Event::TooLarge { bytes, items } => write!(
                f,
                "{} not sent to {url}: a request of {bytes} bytes is too large",
                counted(*items)
            ),
            Event::ExportTimedOut { limit } => write!(
                f,
                "not all {signal} could be sent to {url} within {limit:?}"
            ),
            Event::CollectionTimedOut { waited } => write!(
                f,
                "{signal} for {url} could not be collected within {waited:?}: a callback hangs"
            ),
            Event::Panicked { part } => write!(f, "{signal} for {url}: the {part} panicked"),
            Event::QueueFull { items, total } => {
                write!(f, "{} for {url} dropped", counted(*items))?;
                if total > items {
                    write!(f, ", {total} in total")?;
                }
                f.write_str(": the queue was full")
            }
            Event::PersistentQueueFull => write!(
                f,
                "{signal} for {url} that are not delivered are dropped: the persistent queue is full"
            ),
            Event::PersistentQueueFailed { message, .. } => write!(
                f,
                "{signal} for {url} wait in memory only, and it is tried again: {message}"
            ),
            Event::PersistentQueueUsable { items } => write!(
                f,
                "the persistent queue of {signal} for {url} can be used now, with {} in it",
                counted(*items)
            ),
            Event::PersistentQueueDamaged { items } => write!(
                f,
                "files of the persistent queue of {signal} for {url} were removed, replaced or \
                 damaged; {} lost with them",
                counted(*items)
            ),
            Event::LostAtShutdown { items, message } => {
                let items = counted(*items);
                write!(f, "{items} could not be delivered to {url} before shutdown")?;
                match message.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {message}"),
                }
            }
            Event::Unaccounted {
                produced,
                accounted,
            } => write!(
                f,
                "{signal} for {url}: {} made, but {accounted} accounted for",
                counted(*produced)
            ),
        }
    }
}

/// Returns the singular and the plural name of a signal's items.
fn items_of(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Metrics => ("data point", "data points"),
        Signal::Traces => ("span", "spans"),
        Signal::Logs => ("log record", "log records"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_sentences() {
        let report = |event| {
            let report = Report {
                signal: Signal::Metrics,
                reader: "otlp".into(),
                url: "http://collector:4318".into(),
                event,
            };
            report.to_string()
        };
        assert_eq!(
            report(Event::Unavailable {
                message: "connection refused".into(),
                longest_pause: Duration::from_secs(300)
            }),
            "metrics do not reach http://collector:4318: connection refused; tried again, \
             after 300s at the latest"
        );
        assert_eq!(
            report(Event::Recovered {
                outage: Duration::from_millis(90_400),
                dropped: 7
            }),
            "metrics reach http://collector:4318 again after 90 s; 7 data points dropped meanwhile"
        );
        assert_eq!(
            report(Event::Refused {
                error_type: "400".into(),
                message: "bad data".into(),
                items: 3
            }),
            "http://collector:4318 refused 3 data points: 400: bad data"
        );
        assert_eq!(
            report(Event::Refused {
                error_type: "404".into(),
                message: "404 Not Found".into(),
                items: 3
            }),
            "http://collector:4318 refused 3 data points: 404 Not Found"
        );
        let left = |message: &str| Event::LostAtShutdown {
            items: 2,
            message: message.to_owned(),
        };
        assert_eq!(
            report(left("connection refused")),
            "2 data points could not be delivered to http://collector:4318 before shutdown: \
             connection refused"
        );
        assert_eq!(
            report(left("")),
            "2 data points could not be delivered to http://collector:4318 before shutdown"
        );
        let full = |items| Event::QueueFull { items, total: 7 };
        assert_eq!(
            report(full(7)),
            "7 data points for http://collector:4318 dropped: the queue was full"
        );
        assert_eq!(
            report(full(5)),
            "5 data points for http://collector:4318 dropped, 7 in total: the queue was full"
        );
    }

    #[test]
    fn a_count_of_one_is_in_the_singular() {
        let reported = |signal, count| {
            let message = String::from("busy");
            [
                Event::Recovered {
                    outage: Duration::from_secs(1),
                    dropped: count,
                },
                Event::Refused {
                    error_type: "400".into(),
                    message: message.clone(),
                    items: count,
                },
                Event::Partial {
                    rejected: count,
                    message: message.clone(),
                },
                Event::TooLarge {
                    bytes: 100,
                    items: count,
                },
                Event::QueueFull {
                    items: count,
                    total: count,
                },
                Event::PersistentQueueUsable { items: count },
                Event::PersistentQueueDamaged { items: count },
                Event::LostAtShutdown {
                    items: count,
                    message,
                },
                Event::Unaccounted {
                    produced: count,
                    accounted: 0,
                },
            ]
            .map(|event| {
                let report = Report {
                    signal,
                    reader: "otlp".into(),
                    url: "http://collector:4318".into(),
                    event,
                };
                report.to_string()
            })
        };
        for (signal, one, many) in [
            (Signal::Metrics, "1 data point ", "2 data points "),
            (Signal::Traces, "1 span ", "2 spans "),
            (Signal::Logs, "1 log record ", "2 log records "),
        ] {
            for (count, expected) in [(1, one), (2, many)] {
                for text in reported(signal, count) {
                    let text = text.replace(':', " ");
                    assert!(text.contains(expected), "{text}");
                    assert!(!text.contains("were dropped"), "{text}");
                }
            }
        }
    }
}
