//! What a person should hear about a pipeline: few words, and each only once.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use barograph_model::text::counted;

use crate::otlp::Signal;

/// Something that happened to a pipeline. Displayed, it is a sentence for a log line.
///
/// An outage is told when it begins and when it ends. Anything else is told once, and again only when
/// a round without it, and an hour, lie in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was to be pushed.
    pub signal: Signal,
    /// For which reader.
    pub reader: Box<str>,
    /// Where to, without credentials.
    pub url: Box<str>,
    /// What happened.
    pub event: Event,
}

/// What happened to a pipeline. Texts of a receiver are bounded, and escaped by the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The receiver cannot be reached, or asks to be left alone.
    Away {
        /// Why the last try failed.
        message: String,
        /// The longest time until it is tried again.
        longest_pause: Duration,
    },
    /// The receiver takes requests again.
    Back {
        /// How long it was away.
        outage: Duration,
        /// Items that were lost, or overtaken by newer ones, meanwhile.
        dropped: u64,
    },
    /// The receiver refused a request for good.
    Refused {
        /// The kind, as in `error.type`.
        error_type: Cow<'static, str>,
        /// What the receiver said.
        message: String,
        /// How many items were in the request.
        items: u64,
    },
    /// The receiver took a request but for a part of it.
    Partial {
        /// Items that it did not want.
        rejected: u64,
        /// What it said.
        message: String,
    },
    /// The receiver took a request, and warns.
    Warning {
        /// What it said.
        message: String,
    },
    /// A request is larger than any may be.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// How many items were in it.
        items: u64,
    },
    /// The time of a round was over before all of it was sent, though the receiver answers.
    Slow {
        /// How long a round may take.
        limit: Duration,
    },
    /// What makes the requests has not come back in time: a callback that hangs.
    Stuck {
        /// How long was waited for it.
        limit: Duration,
    },
    /// What makes the requests, what carries them, or the pipeline between them panicked. It goes on.
    Panicked {
        /// Which of them.
        part: &'static str,
    },
    /// The queue was full: what was made meanwhile is lost.
    QueueFull {
        /// Items that it refused, since this was looked at last.
        items: u64,
    },
    /// The persistent queue is full: what is not delivered is lost.
    JournalFull,
    /// The persistent queue cannot be opened, read or written now. What is in it stays there, what comes
    /// waits in memory, and it is tried again.
    PersistentQueueFailed {
        /// The kind, as in `error.type`.
        error_type: Cow<'static, str>,
        /// What was tried, and why it failed.
        message: String,
    },
    /// The persistent queue, which failed before, can be used.
    PersistentQueueUsable {
        /// Items that wait in it.
        items: u64,
    },
    /// Files of the persistent queue were removed, replaced or damaged. It goes on without what was in
    /// them.
    PersistentQueueDamaged {
        /// Items that were in it and cannot be read any more.
        items: u64,
    },
    /// The program ended before everything was delivered.
    Left {
        /// Items that were not.
        items: u64,
        /// Why the last try failed that was not followed by one that succeeded; empty where there was
        /// none.
        message: String,
    },
    /// The account does not add up at the end, which is a fault of this library.
    Unaccounted {
        /// Items that were made.
        produced: u64,
        /// Items that were delivered, dropped or kept in the persistent queue.
        accounted: u64,
    },
}

impl Event {
    /// Whether it is good news.
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Event::Back { .. } | Event::PersistentQueueUsable { .. }
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
            Event::Away {
                message,
                longest_pause,
            } => write!(
                f,
                "{signal} do not reach {url}: {message}; tried again at least every {longest_pause:?}"
            ),
            Event::Back { outage, dropped } => write!(
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
                // The message of an answer begins with its status, which the type is too.
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
            Event::Slow { limit } => write!(
                f,
                "not all {signal} could be sent to {url} within {limit:?}"
            ),
            Event::Stuck { limit } => write!(
                f,
                "{signal} for {url} could not be collected within {limit:?}: a callback hangs"
            ),
            Event::Panicked { part } => write!(f, "{signal} for {url}: the {part} panicked"),
            Event::QueueFull { items } => write!(
                f,
                "{} for {url} dropped: the queue was full",
                counted(*items)
            ),
            Event::JournalFull => write!(
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
            Event::Left { items, message } => {
                let items = counted(*items);
                write!(f, "{items} could not be delivered to {url} before the end")?;
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

/// What is counted.
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
            report(Event::Away {
                message: "connection refused".into(),
                longest_pause: Duration::from_secs(300)
            }),
            "metrics do not reach http://collector:4318: connection refused; tried again at least \
             every 300s"
        );
        assert_eq!(
            report(Event::Back {
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
        let left = |message: &str| Event::Left {
            items: 2,
            message: message.to_owned(),
        };
        assert_eq!(
            report(left("connection refused")),
            "2 data points could not be delivered to http://collector:4318 before the end: \
             connection refused"
        );
        assert_eq!(
            report(left("")),
            "2 data points could not be delivered to http://collector:4318 before the end"
        );
    }

    #[test]
    fn what_is_one_is_told_of_as_one() {
        let told = |signal, count| {
            let message = String::from("busy");
            [
                Event::Back {
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
                Event::QueueFull { items: count },
                Event::PersistentQueueUsable { items: count },
                Event::PersistentQueueDamaged { items: count },
                Event::Left {
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
                for text in told(signal, count) {
                    let text = text.replace(':', " ");
                    assert!(text.contains(expected), "{text}");
                    assert!(!text.contains("were dropped"), "{text}");
                }
            }
        }
    }
}
