//! Runs `wrk`, which sends the next request as soon as the response has arrived.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The `wrk` program.
pub(super) struct Wrk {
    program: PathBuf,
}

/// The result of a load.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    pub(super) requests: f64,
    /// The number of requests per second.
    pub(super) rate: f64,
}

impl Wrk {
    /// Finds `wrk` on PATH, or among the programs that `tools/backends/install` installs.
    pub(super) fn find() -> Result<Self, Box<dyn Error>> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let installed = variable("BAROGRAPH_BACKENDS")
            .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("barograph/backends")))
            .or_else(|| Some(variable("HOME")?.join(".cache/barograph/backends")));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .chain(installed.map(|directory| directory.join("bin")))
            .map(|directory| directory.join("wrk"))
            .find(|program| program.is_file())
            .ok_or("wrk is missing: tools/backends/install wrk")?;
        Ok(Wrk { program })
    }

    /// Requests the URL over this number of connections for this time.
    pub(super) fn load(
        &self,
        url: &str,
        connections: u32,
        time: Duration,
    ) -> Result<Load, Box<dyn Error>> {
        let output = Command::new(&self.program)
            .args(["--threads", "1", "--connections", &connections.to_string()])
            .args(["--duration", &format!("{}s", time.as_secs()), url])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse(&text).ok_or_else(|| format!("wrk did not measure: {text}").into())
    }
}

/// Parses the output of `wrk`. Returns `None` if a request failed: its cost differs from that of a
/// successful one.
fn parse(text: &str) -> Option<Load> {
    let lines = || text.lines().map(str::trim);
    let requests = lines().find_map(|line| line.split_once(" requests in "))?.0;
    let rate = lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    let has_failed = lines().any(|line| {
        line.starts_with("Non-2xx or 3xx responses:") || line.starts_with("Socket errors:")
    });
    let load = Load {
        requests: requests.parse().ok()?,
        rate: rate.trim().parse().ok()?,
    };
    (load.requests > 0.0 && !has_failed).then_some(load)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "Running 3s test @ http://127.0.0.1:8080/orders/7
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.36ms    2.01ms  31.49ms   92.61%
    Req/Sec    71.16k     7.66k   83.87k    83.33%
  212364 requests in 3.00s, 25.11MB read
Requests/sec:  70730.97
Transfer/sec:      8.36MB
";

    #[test]
    fn what_wrk_prints_is_read() {
        let expected = Load {
            requests: 212_364.0,
            rate: 70_730.97,
        };
        assert_eq!(parse(PRINTED), Some(expected));
    }

    #[test]
    fn requests_that_failed_are_no_figure() {
        let failed = PRINTED.replace(
            "Requests/sec",
            "  Non-2xx or 3xx responses: 7\nRequests/sec",
        );
        assert_eq!(parse(&failed), None);
        assert_eq!(parse("unable to connect to 127.0.0.1:1"), None);
    }
}
