//! The resources that a process uses, and its response times.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{ask::agent, child::Child};

/// The resources that a process uses at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in bytes.
    pub resident: u64,
    /// The number of threads.
    pub threads: u64,
    /// The number of open file descriptors.
    pub descriptors: u64,
}

impl Usage {
    /// Reads the usage from `/proc`.
    ///
    /// # Panics
    ///
    /// Panics if the process has ended.
    #[track_caller]
    pub fn of(child: &Child) -> Self {
        let directory = format!("/proc/{}", child.id());
        let status = fs::read_to_string(format!("{directory}/status"));
        let status = status.expect("a child that runs has a status");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.unwrap_or_else(|| panic!("{name} is not in {status}"))
        };
        let descriptors = fs::read_dir(format!("{directory}/fd"));
        Self {
            resident: number("VmRSS:") * 1024,
            threads: number("Threads:"),
            descriptors: descriptors.expect("a child has descriptors").count() as u64,
        }
    }
}

/// Converts bytes to mebibytes, for tables.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The response times of requests, and the reasons of failures.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The times of the requests with status 200, in any order.
    pub times: Vec<Duration>,
    /// The failures of the other requests.
    pub failures: Vec<String>,
}

impl Answers {
    /// Requests a URL repeatedly, with a pause between, while `goes_on`.
    ///
    /// `connections` says whether each request opens a new connection.
    pub fn collect(
        url: &str,
        connections: Connections,
        pause: Duration,
        goes_on: &AtomicBool,
    ) -> Self {
        const LIMIT: Duration = Duration::from_secs(5);
        let mut client = agent(LIMIT);
        let mut answers = Self::default();
        while goes_on.load(Ordering::Relaxed) {
            if connections == Connections::New {
                client = agent(LIMIT);
            }
            let begun = Instant::now();
            let answer = client.get(url).call();
            match answer.and_then(|mut answer| answer.body_mut().read_to_vec()) {
                Ok(_) => answers.times.push(begun.elapsed()),
                Err(error) => answers.failures.push(error.to_string()),
            }
            thread::sleep(pause);
        }
        answers
    }

    /// The time within which this share of the requests completed; zero if there are none.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let rank = (times.len() as f64 * share).ceil() as usize;
        times
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

/// The use of connections by requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Connections {
    /// One connection for all requests.
    Kept,
    /// A new connection for each request.
    New,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_one_of_the_times() {
        let answers = Answers {
            times: (1..=200).rev().map(Duration::from_millis).collect(),
            failures: Vec::new(),
        };
        assert_eq!(answers.percentile(0.99), Duration::from_millis(198));
        assert_eq!(answers.percentile(1.0), Duration::from_millis(200));
        assert_eq!(Answers::default().percentile(0.99), Duration::ZERO);
    }
}
