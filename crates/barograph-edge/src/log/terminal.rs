//! Log lines on the terminal, or wherever else one stream of lines goes.

use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use barograph_core::clock::{Clock, SystemClock};
use barograph_model::suppression;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::buffer::{self, Batch, Buffer, TerminalCounts, Unwritten};
use super::format::{self, Colors, Format, Notice, Scene};
use super::line::{self, Line};
use super::origin::{self, Origin};
use super::rate::{Limiter, RateLimit, Verdict};
use crate::redact::Redaction;

/// Where log lines are formed and wait to be written. Clones share the lines.
///
/// Forming a line is done by the thread that logs, writing it by the one that runs the
/// [`TerminalWriter`]. When the lines that wait reach the capacity, new ones are left out, counted,
/// and told of as soon as there is room.
///
/// ```
/// use barograph_edge::filter::Filter;
/// use barograph_edge::log::{Format, Terminal};
/// use std::time::Duration;
/// use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
///
/// let (terminal, writer) = Terminal::builder().with_format(Format::Json).build();
/// let writes = std::thread::spawn(|| writer.run(std::io::stderr()));
/// let filter: Filter = "info".parse()?;
/// let subscriber = tracing_subscriber::registry().with(terminal.layer().with_filter(filter));
/// tracing::subscriber::with_default(subscriber, || tracing::info!(id = 7, "taken"));
/// terminal.shutdown(Duration::from_secs(1))?;
/// # writes.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Terminal {
    open: Arc<Open>,
}

impl Terminal {
    /// What can be set about it.
    pub fn builder() -> TerminalBuilder {
        TerminalBuilder {
            format: Format::Pretty(Colors::Off),
            capacity: 1024 * 1024,
            redaction: Redaction::default(),
            rate_limit: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// A layer that makes a line of each event. All layers of one terminal take the same notes, so
    /// that one is enough for a subscriber.
    pub fn layer(&self) -> TerminalLayer {
        TerminalLayer {
            open: self.open.clone(),
        }
    }

    /// What became of the lines.
    pub fn counts(&self) -> TerminalCounts {
        self.open.0.buffer.counts()
    }

    /// Waits until the lines of before were written, but no longer than this.
    ///
    /// # Errors
    /// [`Unwritten`] when some still wait.
    pub fn flush(&self, limit: Duration) -> Result<(), Unwritten> {
        self.open.0.buffer.flush(limit)
    }

    /// From now on whoever brings a line waits until it is written, but no longer than this: for the
    /// end of a process, with which lines that wait would be lost. When one was not written in time,
    /// nobody waits any more.
    pub fn write_through(&self, limit: Duration) {
        self.open.0.buffer.write_through(limit);
    }

    /// Takes no more lines, and waits until those of before were written, but no longer than this.
    /// The writer returns, unless what it writes to stands still.
    ///
    /// # Errors
    /// [`Unwritten`] when some were not; they are left out and counted.
    pub fn shutdown(&self, limit: Duration) -> Result<(), Unwritten> {
        self.open.0.buffer.shutdown(limit)
    }
}

/// What can be set about a [`Terminal`].
#[must_use = "nothing is written before `build`"]
pub struct TerminalBuilder {
    format: Format,
    capacity: usize,
    redaction: Redaction,
    rate_limit: Option<RateLimit>,
    clock: Arc<dyn Clock>,
}

impl TerminalBuilder {
    /// How lines look; for people and without colors unless this is set.
    pub fn with_format(self, format: Format) -> Self {
        TerminalBuilder { format, ..self }
    }

    /// How many bytes of lines may wait; 1 MiB unless this is set, never less than one line, and 256 MiB
    /// at most. Twice as much memory is used when the writer cannot keep up.
    pub fn with_capacity(self, bytes: usize) -> Self {
        TerminalBuilder {
            capacity: bytes.clamp(line::MOST, LARGEST),
            ..self
        }
    }

    /// What is hidden.
    pub fn with_redaction(self, redaction: Redaction) -> Self {
        TerminalBuilder { redaction, ..self }
    }

    /// How many lines of one callsite come through; all of them unless this is set. What may be lost
    /// for this is the line that somebody will look for, and a terminal that is too slow is bounded
    /// without it.
    pub fn with_rate_limit(self, limit: RateLimit) -> Self {
        TerminalBuilder {
            rate_limit: Some(limit),
            ..self
        }
    }

    /// Where the time comes from.
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        TerminalBuilder {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The terminal, and what writes its lines, to be run on a thread of its own.
    pub fn build(self) -> (Terminal, TerminalWriter) {
        static OWNERS: AtomicUsize = AtomicUsize::new(1);
        let shared = Arc::new(Shared {
            format: self.format,
            redaction: self.redaction,
            limiter: self.rate_limit.map(Limiter::new),
            clock: self.clock,
            buffer: Buffer::new(self.capacity),
            capacity: self.capacity,
            owner: OWNERS.fetch_add(1, Ordering::Relaxed),
        });
        let open = Arc::new(Open(shared.clone()));
        (Terminal { open }, TerminalWriter { shared })
    }
}

/// All of it is asked for at once.
const LARGEST: usize = 256 << 20;

struct Shared {
    format: Format,
    redaction: Redaction,
    limiter: Option<Limiter>,
    clock: Arc<dyn Clock>,
    buffer: Buffer,
    capacity: usize,
    owner: usize,
}

/// Held by everybody who brings lines. When the last of them is gone the writer ends.
struct Open(Arc<Shared>);

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { format, buffer, .. } = &*self.0;
        f.debug_struct("Open")
            .field("format", format)
            .field("counts", &buffer.counts())
            .finish_non_exhaustive()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.buffer.close();
    }
}

/// Makes a line of each event. Comes from [`Terminal::layer`].
#[derive(Debug)]
pub struct TerminalLayer {
    open: Arc<Open>,
}

impl<S> Layer<S> for TerminalLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, layers: Context<'_, S>) {
        let Shared {
            format,
            owner,
            redaction,
            ..
        } = &*self.open.0;
        format::note_new(attributes, id, &layers, (*format, *owner), redaction);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, layers: Context<'_, S>) {
        let Shared {
            format,
            owner,
            redaction,
            ..
        } = &*self.open.0;
        format::note_record(values, id, &layers, (*format, *owner), redaction);
    }

    fn on_event(&self, event: &Event<'_>, layers: Context<'_, S>) {
        if suppression::is_suppressed() {
            return;
        }
        let shared = &*self.open.0;
        let origin = Origin::of(event);
        let unix_nanos = shared.clock.unix_nanos();
        let suppressed = match &shared.limiter {
            None => 0,
            Some(limiter) => match limiter.ask(&origin, unix_nanos) {
                Verdict::Pass { suppressed } => suppressed,
                Verdict::Suppress => return shared.buffer.suppress(),
            },
        };
        let scene = Scene {
            unix_nanos,
            event,
            origin: &origin,
            context: origin::context(event, &layers),
            redaction: &shared.redaction,
            suppressed,
            owner: shared.owner,
        };
        // A `Debug` that logs finds an empty line, as does a thread that is ending.
        let taken = LINE.try_with(|line| line.replace(Line::new()));
        let mut line = taken.unwrap_or(Line::new());
        line.clear();
        shared.format.write(&mut line, &scene, &layers);
        shared.buffer.offer(line.as_str(), line.is_cut());
        let _ = LINE.try_with(|place| place.set(line));
    }
}

thread_local! {
    /// The memory of this thread's last line.
    static LINE: Cell<Line> = const { Cell::new(Line::new()) };
}

/// Writes the lines of a [`Terminal`].
///
/// Without it nothing is written: the lines that come wait until the capacity is reached. When it is
/// dropped they are left out.
pub struct TerminalWriter {
    shared: Arc<Shared>,
}

impl TerminalWriter {
    /// Writes lines as they come, until the terminal is shut down, all that bring lines are gone, or
    /// nobody reads what is written (a broken pipe). Blocks the thread; this one alone waits for
    /// `out`.
    pub fn run(self, mut out: impl Write) {
        let shared = &*self.shared;
        let idle = shared.limiter.is_some().then_some(SWEEP);
        let mut text = Vec::with_capacity(shared.capacity);
        let mut swept = Instant::now();
        let mut is_broken = false;
        while let Some(batch) = shared.buffer.take(&mut text, idle) {
            is_broken = shared.write(&mut out, &text, &batch, is_broken);
            text.clear();
            if batch.left_out > 0 {
                let text = shared.left_out(batch.left_out);
                buffer::write_all(&mut out, text.as_bytes());
            }
            if idle.is_some() && swept.elapsed() >= SWEEP {
                swept = Instant::now();
                buffer::write_all(&mut out, shared.sweep(shared.clock.unix_nanos()).as_bytes());
            }
            shared.buffer.linger();
        }
        buffer::write_all(&mut out, shared.sweep(u64::MAX).as_bytes());
    }
}

impl Drop for TerminalWriter {
    fn drop(&mut self) {
        self.shared.buffer.end();
    }
}

impl std::fmt::Debug for TerminalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TerminalWriter").finish_non_exhaustive()
    }
}

/// How often it is told what a rate limit left out.
const SWEEP: Duration = Duration::from_secs(1);

impl Shared {
    /// Writes a batch; whether it broke off inside of a line, as the one before may have.
    fn write(&self, out: &mut dyn Write, text: &[u8], batch: &Batch, is_broken: bool) -> bool {
        if text.is_empty() {
            return is_broken;
        }
        let (mut written, mut failure) = (0, None);
        if is_broken {
            failure = buffer::write_all(out, b"\n").1;
        }
        if failure.is_none() {
            (written, failure) = buffer::write_all(out, text);
        }
        let lines = match failure {
            None => batch.lines,
            Some(_) => text[..written]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count() as u64,
        };
        self.buffer.settle(batch.lines, lines, failure);
        match (written, failure) {
            (_, None) => false,
            (0, Some(_)) => is_broken,
            (written, Some(_)) => text[written - 1] != b'\n',
        }
    }

    /// Says that lines were left out.
    fn left_out(&self, lines: u64) -> String {
        let mut line = Line::new();
        self.format.write_notice(
            &mut line,
            &Notice {
                unix_nanos: self.clock.unix_nanos(),
                target: "barograph",
                message: format_args!(
                    "{lines} log lines were left out because they came faster than they were written"
                ),
                suppressed: lines,
            },
        );
        line.into_text()
    }

    /// Says what a rate limit left out of callsites that would come through again at this time.
    fn sweep(&self, at: u64) -> String {
        let mut text = String::new();
        let Some(limiter) = &self.limiter else {
            return text;
        };
        let unix_nanos = self.clock.unix_nanos();
        limiter.sweep(at, |suppressed, callsite| {
            let mut line = Line::new();
            let target = callsite.map_or("log", |callsite| callsite.target());
            let file = callsite.and_then(|callsite| callsite.file());
            let number = callsite.and_then(|callsite| callsite.line());
            self.format.write_notice(
                &mut line,
                &Notice {
                    unix_nanos,
                    target,
                    message: format_args!(
                        "{suppressed} more like the line of {}:{}",
                        file.unwrap_or("the log crate"),
                        number.unwrap_or(0),
                    ),
                    suppressed,
                },
            );
            text.push_str(line.as_str());
        });
        text
    }
}
