//! A server in a child process.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::servers::Stack;

/// A running server. It is killed on drop unless it was stopped before.
pub(super) struct Child {
    process: process::Child,
    address: SocketAddr,
}

impl Child {
    /// Starts a server that pushes to this receiver.
    pub(super) fn start(stack: Stack, receiver: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let records = match stack {
            Stack::Barograph | Stack::Oxtel => "otlp",
            _ => "none",
        };
        let mut process = Command::new(std::env::current_exe()?)
            .arg(stack.name())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{receiver}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_LOGS_EXPORTER", records)
            .env("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
            .env("OTEL_TRACES_SAMPLER_ARG", "0.1")
            .env("BAROGRAPH_LOG_FORMAT", "json")
            .env("OXTEL_LOG_FORMAT", "json")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        // A server that prints no address has ended.
        let address = line.trim().parse();
        let address = address.map_err(|_| format!("{} did not start", stack.name()))?;
        Ok(Child { process, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time that the process has used, including threads that have ended.
    ///
    /// Source: proc_pid_stat(5), fields 14 and 15.
    pub(super) fn cpu_time(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let ticks = ticks(&stat).ok_or_else(|| format!("unexpected stat: {stat}"))?;
        let in_a_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / in_a_second as f64))
    }

    /// Sends SIGTERM, and waits until the server has exported what was queued and has ended.
    pub(super) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let start = Instant::now();
        while self.process.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                return Err("a server did not end".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The call fails if it has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The time limit for a server to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Parses the user and the system time. The name of the program before them may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ticks_follow_a_name_that_holds_anything() {
        let stat = "7 (a (b) 1 2) S 1 7 7 0 -1 4194560 1 0 0 0 250 34 0 0 20 0 3 0 1 1 1";
        assert_eq!(super::ticks(stat), Some(284));
        assert_eq!(super::ticks("7 (a) S 1"), None);
    }
}
