//! A JSON log line: an event with three fields and a message, inside a span with two fields.

use std::io;
use std::ops::Range;
use std::time::Duration;

use barograph_core::current;
use barograph_model::context::{TraceContext, TraceFlags};
use barograph_tracing::log::{ConsoleLog, Format};
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::measure::{Done, OneThread, Subject, Work, expect};
use crate::row::{Contender, Row};

pub(crate) const ROWS: &[Row] = &[Row::new(
    "log_line_json",
    "ns",
    "an event of 3 fields in a span of 2, to a writer that discards; ours with ids",
    || {
        vec![
            Contender::ours(ours(Format::Json)),
            Contender::peer("tracing-subscriber", theirs()),
        ]
    },
)];

/// Lines of barograph go through a buffer to another thread; the figure is the cost on the thread
/// that logs.
fn ours(format: Format) -> Box<dyn Subject> {
    let (terminal, writer) = ConsoleLog::builder()
        .with_format(format)
        // Large enough for all lines that arrive while the other thread is not scheduled.
        .with_capacity(16 << 20)
        .build();
    std::thread::spawn(|| writer.run(io::sink()));
    let subscriber = tracing_subscriber::registry().with(terminal.layer());
    let flags = TraceFlags::SAMPLED;
    Box::new(OneThread::new(Lines {
        dispatch: Dispatch::new(subscriber),
        context: TraceContext::new(TRACE, SPAN, flags),
        terminal: Some(terminal),
    }))
}

fn theirs() -> Box<dyn Subject> {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(io::sink);
    let subscriber = tracing_subscriber::registry().with(lines);
    Box::new(OneThread::new(Lines {
        dispatch: Dispatch::new(subscriber),
        context: None,
        terminal: None,
    }))
}

struct Lines {
    dispatch: Dispatch,
    context: Option<TraceContext>,
    terminal: Option<ConsoleLog>,
}

impl Work for Lines {
    fn run(&self, range: Range<u64>) {
        tracing::dispatcher::with_default(&self.dispatch, || {
            let _context = self.context.map(current::enter);
            let _span = info_span!("request", method = "GET", route = "/orders/{id}").entered();
            for id in range {
                info!(id, price = 12.5, customer = "ACME Ltd.", "order taken");
            }
        });
    }

    fn check(&self, done: &Done) -> Result<(), String> {
        let Some(terminal) = &self.terminal else {
            return Ok(());
        };
        let flushed = terminal.flush(Duration::from_secs(10));
        flushed.map_err(|error| error.to_string())?;
        let counts = terminal.counts();
        let lines = done.operations() as f64;
        expect("lines", lines, counts.offered as f64)?;
        expect("lines written", lines, counts.written as f64)
    }
}

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;
