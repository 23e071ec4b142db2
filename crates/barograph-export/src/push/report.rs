//! What a person should hear about a pipeline: few words, and each only once.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

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
    /// The journal is full: what is not delivered is lost.
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
    /// The program ended before everything was delivered.
    Left {
        /// Items that were not.
        items: u64,
    },
    /// The account does not add up at the end, which is a fault of this library.
    Unaccounted {
        /// Items that were made.
        produced: u64,
        /// Items that were delivered, dropped or kept in the journal.
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
        let items = items_of(self.signal);
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
                "{signal} reach {url} again after {} s; {dropped} {items} were dropped meanwhile",
                outage.as_secs()
            ),
            Event::Refused {
                error_type,
                message,
                items: count,
            } => {
                write!(f, "{url} refused {count} {items}: ")?;
                // The message of an answer begins with its status, which the type is too.
                match message.starts_with(&**error_type) {
                    true => f.write_str(message),
                    false => write!(f, "{error_type}: {message}"),
                }
            }
            Event::Partial { rejected, message } => {
                write!(f, "{url} rejected {rejected} {items}: {message}")
            }
            Event::Warning { message } => write!(f, "{url} takes {signal}, but warns: {message}"),
            Event::TooLarge {
                bytes,
                items: count,
            } => write!(
                f,
                "{count} {items} were not sent to {url}: a request of {bytes} bytes is too large"
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
            Event::QueueFull { items: count } => write!(
                f,
                "{count} {items} for {url} were dropped: the queue was full"
            ),
            Event::JournalFull => write!(
                f,
                "{signal} for {url} that are not delivered are dropped: the journal is full"
            ),
            Event::PersistentQueueFailed { message, .. } => write!(
                f,
                "{signal} for {url} wait in memory only, and it is tried again: {message}"
            ),
            Event::PersistentQueueUsable { items: count } => write!(
                f,
                "the persistent queue of {signal} for {url} can be used now; {count} {items} wait in it"
            ),
            Event::Left { items: count } => write!(
                f,
                "{count} {items} could not be delivered to {url} before the end"
            ),
            Event::Unaccounted {
                produced,
                accounted,
            } => write!(
                f,
                "{signal} for {url}: {produced} {items} were made, but {accounted} are accounted for"
            ),
        }
    }
}

/// What is counted.
fn items_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "data points",
        Signal::Traces => "spans",
        Signal::Logs => "log records",
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
            "metrics reach http://collector:4318 again after 90 s; 7 data points were dropped \
             meanwhile"
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
    }
}
