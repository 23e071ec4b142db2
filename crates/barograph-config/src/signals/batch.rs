//! The queues and batches of spans and log records.
//!
//! Source: OpenTelemetry environment variables, "Batch Span Processor", "Batch LogRecord Processor".

use std::time::Duration;

use crate::environment::Environment;
use crate::variables::{
    LOG_BATCH, LOG_DELAY, LOG_QUEUE, LOG_TIMEOUT, SPAN_BATCH, SPAN_DELAY, SPAN_QUEUE, SPAN_TIMEOUT,
    Variable,
};

/// The settings of the queue of one signal and of its export cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchConfig {
    /// The time between two export cycles.
    pub delay: Option<Duration>,
    /// The time limit of a whole export cycle.
    pub timeout: Option<Duration>,
    /// The maximum number of queued records.
    pub max_queue: Option<usize>,
    /// The maximum number of records in one request.
    pub max_batch: Option<usize>,
}

/// The variables of one signal.
pub(crate) struct Variables {
    delay: Variable,
    timeout: Variable,
    max_queue: Variable,
    max_batch: Variable,
}

pub(crate) const SPANS: Variables = Variables {
    delay: SPAN_DELAY,
    timeout: SPAN_TIMEOUT,
    max_queue: SPAN_QUEUE,
    max_batch: SPAN_BATCH,
};

pub(crate) const LOG_RECORDS: Variables = Variables {
    delay: LOG_DELAY,
    timeout: LOG_TIMEOUT,
    max_queue: LOG_QUEUE,
    max_batch: LOG_BATCH,
};

/// The default maximum number of queued records.
pub const DEFAULT_QUEUE: usize = 2048;
/// The default maximum number of records in one request.
pub const DEFAULT_BATCH: usize = 512;
/// The limit of the queue size: at some hundred bytes a record, a larger queue takes too much memory.
pub const MAX_QUEUE: usize = 1 << 20;

impl BatchConfig {
    pub(crate) fn read(environment: &mut Environment<'_>, variables: &Variables) -> Self {
        let max_queue = size(environment, &variables.max_queue);
        let mut max_batch = size(environment, &variables.max_batch);
        let queue = max_queue.unwrap_or(DEFAULT_QUEUE);
        if let Some(batch) = max_batch.filter(|batch| *batch > queue) {
            let text = format!(
                "{}={batch} is more than the queue of {queue} holds; {queue} go together",
                variables.max_batch.name
            );
            environment.notice(text);
            max_batch = Some(queue);
        }
        BatchConfig {
            delay: environment.interval(&variables.delay),
            timeout: environment.timeout(&variables.timeout),
            max_queue,
            max_batch,
        }
    }

    /// Returns the maximum number of queued records.
    pub fn queue(&self) -> usize {
        self.max_queue.unwrap_or(DEFAULT_QUEUE)
    }

    /// Returns the maximum number of records in one request, at most the queue size.
    pub fn batch(&self) -> usize {
        self.max_batch.unwrap_or(DEFAULT_BATCH).min(self.queue())
    }
}

fn size(environment: &mut Environment<'_>, variable: &Variable) -> Option<usize> {
    environment.parsed(variable, |value| {
        let size = value.trim().parse().ok()?;
        (1..=MAX_QUEUE).contains(&size).then_some(size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(queue: &str, batch: &str, expected: (usize, usize), notices: usize) {
        let lookup = |variable: &str| match variable {
            "OTEL_BSP_MAX_QUEUE_SIZE" => Some(queue.into()),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => Some(batch.into()),
            "OTEL_BSP_SCHEDULE_DELAY" => Some("7".into()),
            _ => None,
        };
        let mut environment = Environment::new(&lookup);
        let read = BatchConfig::read(&mut environment, &SPANS);
        assert_eq!((read.queue(), read.batch()), expected, "{queue} {batch}");
        assert_eq!(read.delay, Some(Duration::from_millis(7)));
        assert_eq!(environment.into_notices().len(), notices, "{queue} {batch}");
        // The other signal has its own variables.
        let mut environment = Environment::new(&lookup);
        let logs = BatchConfig::read(&mut environment, &LOG_RECORDS);
        assert_eq!(logs, BatchConfig::default());
    }

    #[test]
    fn a_batch_is_no_larger_than_its_queue() {
        check("", "", (2048, 512), 0);
        check("100", "", (100, 100), 0);
        check("100", "200", (100, 100), 1);
        check("4096", "4096", (4096, 4096), 0);
        check("0", "0", (2048, 512), 2);
        check("1048577", "-1", (2048, 512), 2);
    }
}
