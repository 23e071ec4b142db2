//! What is left to do when a panic ends the process.
//!
//! Where panics unwind there is nothing: spans close as the stack does, and the telemetry is dropped at
//! its end. With `panic = "abort"` nobody gets there. So a hook, behind the one that prints the panic,
//! ends the spans that are open, as they stand, and sends what waits, for [`LIMIT`] at the most.

use std::panic;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use barograph_edge::log::Terminal;
use barograph_edge::trace::TraceHandle;

use crate::push::Sender;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(1);

/// What is left to do when a panic ends the process.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) sender: Option<Sender>,
    pub(crate) spans: Option<TraceHandle>,
    pub(crate) terminal: Option<Terminal>,
}

impl Last {
    /// Has it done at every panic from now on: where each is the end of the process.
    pub(crate) fn follow_panics(self) {
        if thread::panicking() {
            // Whoever is called here must not change the hook.
            return;
        }
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            before(panic);
            self.clone().act();
        }));
    }

    /// Not on this thread: it may hold whatever is needed for it, and never comes back to let go.
    fn act(self) {
        let (done, all_done) = mpsc::channel::<()>();
        let run = move || {
            let deadline = Instant::now() + LIMIT;
            if let Some(sender) = &self.sender {
                sender.send_all(self.spans.as_ref(), deadline);
            }
            if let Some(terminal) = &self.terminal {
                // What is not written in time is lost with the process.
                let _ = terminal.flush(deadline.saturating_duration_since(Instant::now()));
            }
            drop(done);
        };
        let spawned = thread::Builder::new()
            .name("barograph-last".into())
            .spawn(run);
        if spawned.is_ok() {
            // Nothing is ever sent: it is over when the sender is gone.
            let _: Result<(), _> = all_done.recv_timeout(LIMIT);
        }
    }
}

#[cfg(all(test, unix, feature = "otlp"))]
mod tests {
    use std::process::{Command, abort};

    use super::*;
    use crate::Telemetry;

    const ENDS: &str = "BAROGRAPH_TEST_ENDS_BY_A_PANIC";

    /// In a process of its own: it ends as one where panics abort does.
    #[test]
    fn what_is_open_at_a_panic_that_aborts_is_sent() {
        if std::env::var_os(ENDS).is_some() {
            panic::set_hook(Box::new(|_| eprintln!("the hook of before")));
            let telemetry = Telemetry::builder("shop")
                .without_listener()
                .start()
                .expect("it needs no port");
            telemetry.last().follow_panics();
            let follow = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                follow(panic);
                abort();
            }));
            let _open = tracing::info_span!("charge").entered();
            tracing::info!("the last line");
            panic!("no more");
        }
        let output = Command::new(std::env::current_exe().expect("it runs"))
            .args([
                "--exact",
                "last::tests::what_is_open_at_a_panic_that_aborts_is_sent",
            ])
            .args(["--nocapture", "--test-threads=1"])
            .env(ENDS, "1")
            .env("OTEL_TRACES_EXPORTER", "console")
            .output()
            .expect("it runs once more");
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.code().is_none(), "aborted: {output:?}");
        assert!(out.contains(r#""name":"charge""#), "{out}");
        assert!(out.contains("barograph.span.unfinished"), "{out}");
        assert!(err.contains("the hook of before"), "{err}");
        assert!(err.contains("the last line"), "{err}");
    }
}
