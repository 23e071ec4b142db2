//! Collects written lines for inspection.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barograph_core::clock::ManualClock;
use barograph_model::context::TraceContext;
use barograph_tracing::log::{ConsoleLog, ConsoleLogBuilder, Format};
use tracing_subscriber::layer::SubscriberExt as _;

/// 2026-09-12T10:11:12.123456Z, and some nanoseconds.
pub(crate) const NOW: u64 = 1_789_207_872_123_456_789;

pub(crate) const TIME: &str = "2026-09-12T10:11:12.123456Z";

/// A writer that keeps all output. All clones share it.
#[derive(Clone, Default)]
pub(crate) struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Sheet {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn context() -> TraceContext {
    TraceContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .unwrap()
}

/// Returns a terminal whose clock does not advance.
pub(crate) fn terminal(format: Format) -> ConsoleLogBuilder {
    ConsoleLog::builder()
        .with_format(format)
        .with_clock(ManualClock::at(NOW))
}

/// Returns the output of a terminal for the events of `f`.
pub(crate) fn written(terminal: ConsoleLogBuilder, f: impl FnOnce()) -> String {
    let (terminal, writer) = terminal.build();
    let sheet = Sheet::default();
    let out = sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    let subscriber = tracing_subscriber::registry().with(terminal.layer());
    tracing::subscriber::with_default(subscriber, f);
    terminal.shutdown(Duration::from_secs(20)).unwrap();
    thread.join().unwrap();
    let counts = terminal.counts();
    let left_out = counts.dropped_rate;
    assert_eq!(counts.offered, counts.written + left_out, "{counts:?}");
    sheet.text()
}
