//! Log lines on the terminal, or in another output stream.

use std::cell::Cell;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use barograph_core::clock::{Clock, SystemClock};
use barograph_model::suppression;
use barograph_model::text::counted;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::buffer::{self, Buffer, ConsoleCounts, LeftOut, Unwritten, Urgency};
use super::format::{self, Colors, EventContext, Format, Notice};
use super::line::{self, Line};
use super::origin::{self, Origin};
use super::rate::{Limiter, RateDecision, RateLimit};
use crate::filter::Filter;
use crate::redact::Redaction;

/// A buffer of formatted log lines that wait to be written. All clones share the lines.
///
/// A line is formatted by the thread that logs, and written by the thread that runs the
/// [`ConsoleWriter`]. When the waiting lines reach the capacity, new lines are dropped and
/// counted, and their number is written as soon as there is room.
///
/// ```
/// use barograph_tracing::filter::Filter;
/// use barograph_tracing::log::{Format, ConsoleLog};
/// use std::time::Duration;
/// use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
///
/// let (terminal, writer) = ConsoleLog::builder().with_format(Format::Json).build();
/// let writes = std::thread::spawn(|| writer.run(std::io::stderr()));
/// let filter: Filter = "info".parse()?;
/// let subscriber = tracing_subscriber::registry().with(terminal.layer().with_filter(filter));
/// tracing::subscriber::with_default(subscriber, || tracing::info!(id = 7, "taken"));
/// terminal.shutdown(Duration::from_secs(1))?;
/// # writes.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConsoleLog {
    open: Arc<Open>,
}

impl ConsoleLog {
    /// Returns a builder.
    pub fn builder() -> ConsoleLogBuilder {
        ConsoleLogBuilder {
            format: Format::Pretty(Colors::Off),
            capacity: 1024 * 1024,
            redaction: Redaction::default(),
            rate_limit: None,
            clock: Arc::new(SystemClock),
            child_output: None,
        }
    }

    /// Returns a layer that writes a line for each event. All layers of a terminal share their
    /// notes on spans, so a subscriber needs only one.
    pub fn layer(&self) -> ConsoleLayer {
        ConsoleLayer {
            open: self.open.clone(),
            filter: None,
        }
    }

    /// Returns counts of the lines by outcome.
    pub fn counts(&self) -> ConsoleCounts {
        self.open.0.buffer.counts()
    }

    /// Waits until the lines logged so far were written, and the number of those that the rate limit
    /// dropped, but no longer than `limit`.
    ///
    /// # Errors
    /// Returns [`Unwritten`] if some lines still wait.
    pub fn flush(&self, limit: Duration) -> Result<(), Unwritten> {
        self.buffer().map_or(Ok(()), |buffer| buffer.flush(limit))
    }

    /// From now on each logging thread waits until its line is written, but no longer than `limit`.
    /// This is for the end of a process, when waiting lines would be lost. After the first line
    /// that was not written in time, no thread waits.
    pub fn write_through(&self, limit: Duration) {
        if let Some(buffer) = self.buffer() {
            buffer.write_through(limit);
        }
    }

    /// Stops accepting lines, and waits until the lines logged so far were written, but no longer
    /// than `limit`. The writer returns, unless its output blocks.
    ///
    /// # Errors
    /// Returns [`Unwritten`] if some lines were not written; they are dropped and counted.
    pub fn shutdown(&self, limit: Duration) -> Result<(), Unwritten> {
        self.buffer()
            .map_or(Ok(()), |buffer| buffer.shutdown(limit))
    }

    /// Returns the buffer, or `None` in a forked child, which has no writer.
    fn buffer(&self) -> Option<&Buffer> {
        let buffer = &self.open.0.buffer;
        (!buffer.is_of_a_parent()).then_some(buffer)
    }
}

/// A builder for a [`ConsoleLog`].
#[must_use = "nothing is written before `build`"]
pub struct ConsoleLogBuilder {
    format: Format,
    capacity: usize,
    redaction: Redaction,
    rate_limit: Option<RateLimit>,
    clock: Arc<dyn Clock>,
    child_output: Option<fn(&[u8])>,
}

impl fmt::Debug for ConsoleLogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleLogBuilder").finish_non_exhaustive()
    }
}

impl ConsoleLogBuilder {
    /// Sets the format of lines. The default is for people and without colors.
    pub fn with_format(self, format: Format) -> Self {
        ConsoleLogBuilder { format, ..self }
    }

    /// Sets the maximum number of bytes of waiting lines: 1 MiB by default, at least one line, and
    /// at most 256 MiB. Twice as much memory is used while the writer cannot keep up.
    pub fn with_capacity(self, bytes: usize) -> Self {
        ConsoleLogBuilder {
            capacity: bytes.clamp(line::MOST, LARGEST),
            ..self
        }
    }

    /// Sets the redaction.
    pub fn with_redaction(self, redaction: Redaction) -> Self {
        ConsoleLogBuilder { redaction, ..self }
    }

    /// Sets the rate limit of each callsite. Lines are not limited by default: a rate limit can
    /// drop the line that is needed later, and a slow terminal is bounded without it.
    pub fn with_rate_limit(self, limit: RateLimit) -> Self {
        ConsoleLogBuilder {
            rate_limit: Some(limit),
            ..self
        }
    }

    /// Sets the clock.
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        ConsoleLogBuilder {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Sets a function that writes each line logged in a forked child, on the thread that logs,
    /// because the thread of the [`ConsoleWriter`] exists only in the parent. By default such
    /// lines are dropped. The function must not take a lock that another thread may have held at
    /// the fork.
    pub fn with_child_output(self, write: fn(&[u8])) -> Self {
        ConsoleLogBuilder {
            child_output: Some(write),
            ..self
        }
    }

    /// Builds the terminal and its writer, which has to be run on a separate thread.
    pub fn build(self) -> (ConsoleLog, ConsoleWriter) {
        static OWNERS: AtomicUsize = AtomicUsize::new(1);
        let shared = Arc::new(Shared {
            format: self.format,
            redaction: self.redaction,
            limiter: self.rate_limit.map(Limiter::new),
            clock: self.clock,
            buffer: Buffer::new(self.capacity),
            capacity: self.capacity,
            child_output: self.child_output,
            owner: OWNERS.fetch_add(1, Ordering::Relaxed),
        });
        let open = Arc::new(Open(shared.clone()));
        (ConsoleLog { open }, ConsoleWriter { shared })
    }
}

/// The maximum capacity, because all of it is allocated at once.
const LARGEST: usize = 256 << 20;

struct Shared {
    format: Format,
    redaction: Redaction,
    limiter: Option<Limiter>,
    clock: Arc<dyn Clock>,
    buffer: Buffer,
    capacity: usize,
    child_output: Option<fn(&[u8])>,
    owner: usize,
}

/// Held by the terminal and its layers. When the last one is dropped, the writer ends.
struct Open(Arc<Shared>);

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { format, buffer, .. } = &*self.0;
        f.debug_struct("Open")
            .field("format", format)
            .field("counts", &buffer.counts())
            .finish_non_exhaustive()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.0.buffer.is_of_a_parent() {
            self.0.buffer.close();
        }
    }
}

/// A layer that writes a line for each event. Created by [`ConsoleLog::layer`].
#[derive(Debug)]
pub struct ConsoleLayer {
    open: Arc<Open>,
    filter: Option<Filter>,
}

impl ConsoleLayer {
    /// Makes the layer ignore what `filter` disables. Unlike `Layer::with_filter`, this also works for a
    /// layer that is added to a subscriber in use, and the subscriber does not know about it: see
    /// [`filter`](crate::filter).
    ///
    /// A line shows the spans around it that the filter enables when the line is logged, with the fields
    /// that it enabled when they were recorded.
    #[must_use]
    pub fn with_own_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }
}

impl<S> Layer<S> for ConsoleLayer
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
        let is_enabled = || {
            let filter = self.filter.as_ref();
            filter.is_none_or(|it| it.enables(attributes.metadata()))
        };
        if !attributes.is_empty() && is_enabled() {
            format::note(attributes, id, &layers, (*format, *owner), redaction);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, layers: Context<'_, S>) {
        let Shared {
            format,
            owner,
            redaction,
            ..
        } = &*self.open.0;
        if let Some(filter) = &self.filter
            && !layers.metadata(id).is_some_and(|it| filter.enables(it))
        {
            return;
        }
        format::note(values, id, &layers, (*format, *owner), redaction);
    }

    fn on_event(&self, event: &Event<'_>, layers: Context<'_, S>) {
        if suppression::is_suppressed() {
            return;
        }
        let shared = &*self.open.0;
        let origin = Origin::of(event);
        if !origin.is_enabled_by(self.filter.as_ref()) {
            return;
        }
        let unix_nanos = shared.clock.unix_nanos();
        let suppressed = match &shared.limiter {
            None => 0,
            Some(limiter) => match limiter.ask(&origin, event, unix_nanos) {
                RateDecision::Pass { suppressed } => suppressed,
                RateDecision::Suppress => return shared.suppress(),
            },
        };
        let scene = EventContext {
            unix_nanos,
            event,
            origin: &origin,
            context: origin::context(event, &layers),
            redaction: &shared.redaction,
            suppressed,
            owner: shared.owner,
            filter: self.filter.as_ref(),
        };
        // If a `Debug` logs, the nested call finds an empty line, and so does a thread that is
        // exiting.
        let taken = LINE.try_with(|line| line.replace(Line::new()));
        let mut line = taken.unwrap_or(Line::new());
        line.clear();
        shared.format.write(&mut line, &scene, &layers);
        let urgency = match *origin.metadata().level() {
            Level::ERROR => Urgency::Urgent,
            _ => Urgency::Batched,
        };
        shared.offer(&line, urgency);
        let _ = LINE.try_with(|place| place.set(line));
    }
}

thread_local! {
    /// The memory of the last line of this thread.
    static LINE: Cell<Line> = const { Cell::new(Line::new()) };
}

/// Writes the lines of a [`ConsoleLog`].
///
/// Until it runs nothing is written: lines wait until the capacity is reached. When it is dropped,
/// the waiting lines are dropped.
pub struct ConsoleWriter {
    shared: Arc<Shared>,
}

impl ConsoleWriter {
    /// Writes lines as they arrive, until the terminal is shut down, the terminal and all its
    /// layers are dropped, or the reader has closed (a broken pipe). It blocks the thread, and no
    /// other thread waits for `out`. Lines that are lost because `out` fails or panics are counted,
    /// and their number is written when `out` works again.
    pub fn run(self, mut out: impl Write) {
        let shared = &*self.shared;
        let mut writing = Writing {
            text: Vec::with_capacity(shared.capacity),
            lines: 0,
            is_broken: false,
            swept: Instant::now(),
        };
        loop {
            // In practice only `out` can panic. A panic is handled like a failed write of the lines
            // at hand, and later lines are written again.
            let turn = catch_unwind(AssertUnwindSafe(|| shared.turn(&mut out, &mut writing)));
            match turn {
                Ok(Turn::Next) => {}
                Ok(Turn::End) => break,
                Err(_) => {
                    writing.text.clear();
                    let lines = std::mem::take(&mut writing.lines);
                    shared.buffer.settle(lines, 0, Some(ErrorKind::Other));
                    std::thread::sleep(AFTER_PANIC);
                }
            }
        }
        buffer::write_all(&mut out, shared.sweep(u64::MAX).as_bytes());
    }
}

/// The state of the writer while lines are written.
struct Writing {
    text: Vec<u8>,
    /// The number of lines in `text` that are not settled.
    lines: u64,
    /// True if the last batch ended inside of a line.
    is_broken: bool,
    /// The time at which lines dropped by the rate limit were last reported.
    swept: Instant,
}

/// The next step after a turn of the writer.
enum Turn {
    Next,
    End,
}

impl Drop for ConsoleWriter {
    fn drop(&mut self) {
        self.shared.buffer.end();
    }
}

impl fmt::Debug for ConsoleWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleWriter").finish_non_exhaustive()
    }
}

/// The interval at which lines dropped by the rate limit are reported.
const SWEEP: Duration = Duration::from_secs(1);

/// The pause after a panic of the output.
const AFTER_PANIC: Duration = Duration::from_millis(100);

impl Shared {
    /// Passes a line to the writer, or to the child output in a forked child.
    #[inline]
    fn offer(&self, line: &Line, urgency: Urgency) {
        if !self.buffer.is_of_a_parent() {
            self.buffer.offer(line.as_str(), line.is_cut(), urgency);
        } else if let Some(write) = self.child_output {
            write(line.as_str().as_bytes());
        }
    }

    /// Counts a line that the rate limit drops.
    fn suppress(&self) {
        if !self.buffer.is_of_a_parent() {
            self.buffer.suppress();
        }
    }

    /// Waits for lines and writes them.
    fn turn(&self, out: &mut dyn Write, writing: &mut Writing) -> Turn {
        let idle = self.limiter.is_some().then_some(SWEEP);
        let Some(lines) = self.buffer.take(&mut writing.text, idle) else {
            return Turn::End;
        };
        writing.lines = lines;
        let is_written = self.write(out, writing);
        writing.text.clear();
        if is_written {
            let text = self.left_out(self.buffer.take_left_out());
            buffer::write_all(out, text.as_bytes());
        }
        // Read before the sweep: a line that is dropped meanwhile may not be in it.
        if let Some(dropped) = self.buffer.awaited_suppressed() {
            // The process may end after the flush, so callsites that may not log again yet count too.
            buffer::write_all(out, self.sweep(u64::MAX).as_bytes());
            self.buffer.settle_suppressed(dropped);
        }
        if idle.is_some() && writing.swept.elapsed() >= SWEEP {
            writing.swept = Instant::now();
            buffer::write_all(out, self.sweep(self.clock.unix_nanos()).as_bytes());
        }
        self.buffer.linger();
        Turn::Next
    }

    /// Writes the lines at hand. Returns true if all of them were written.
    fn write(&self, out: &mut dyn Write, writing: &mut Writing) -> bool {
        let text = &writing.text;
        if text.is_empty() {
            return true;
        }
        let (mut written, mut failure) = (0, None);
        if writing.is_broken {
            failure = buffer::write_all(out, b"\n").1;
        }
        if failure.is_none() {
            (written, failure) = buffer::write_all(out, text);
        }
        let lines = match failure {
            None => writing.lines,
            Some(_) => text[..written]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count() as u64,
        };
        self.buffer.settle(writing.lines, lines, failure);
        writing.lines = 0;
        writing.is_broken = match (written, failure) {
            (_, None) => false,
            (0, Some(_)) => writing.is_broken,
            (written, Some(_)) => text[written - 1] != b'\n',
        };
        failure.is_none()
    }

    /// Formats notices about dropped lines.
    fn left_out(&self, LeftOut { full, failed }: LeftOut) -> String {
        let mut text = String::new();
        for (lines, why) in [
            (full, "they came faster than they were written"),
            (failed, "they could not be written"),
        ] {
            if lines > 0 {
                let mut line = Line::new();
                self.format.write_notice(
                    &mut line,
                    &Notice {
                        unix_nanos: self.clock.unix_nanos(),
                        target: "barograph",
                        message: format_args!(
                            "{} left out because {why}",
                            counted(lines, "log line was", "log lines were")
                        ),
                        suppressed: lines,
                    },
                );
                text.push_str(line.as_str());
            }
        }
        text
    }

    /// Formats notices about lines that the rate limit dropped, for callsites that may log again at
    /// this time.
    fn sweep(&self, at: u64) -> String {
        let mut text = String::new();
        let Some(limiter) = &self.limiter else {
            return text;
        };
        let unix_nanos = self.clock.unix_nanos();
        limiter.sweep(at, |suppressed, callsite| {
            let mut line = Line::new();
            let target = callsite.map_or("log", |callsite| callsite.target());
            let place = callsite.map_or_else(
                || "the log crate".to_owned(),
                |callsite| match (callsite.file(), callsite.line()) {
                    (Some(file), Some(line)) => format!("{file}:{line}"),
                    // The operation of the failures.
                    _ => format!("{:?}", callsite.name()),
                },
            );
            self.format.write_notice(
                &mut line,
                &Notice {
                    unix_nanos,
                    target,
                    message: format_args!("{suppressed} more like the line of {place}"),
                    suppressed,
                },
            );
            text.push_str(line.as_str());
        });
        text
    }
}
