//! Log lines on the terminal, or wherever else one stream of lines goes.

use std::cell::Cell;
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

use super::buffer::{self, Buffer, LeftOut, TerminalCounts, Unwritten, Urgency};
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
            child_output: None,
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
        self.buffer().map_or(Ok(()), |buffer| buffer.flush(limit))
    }

    /// From now on whoever brings a line waits until it is written, but no longer than this: for the
    /// end of a process, with which lines that wait would be lost. When one was not written in time,
    /// nobody waits any more.
    pub fn write_through(&self, limit: Duration) {
        if let Some(buffer) = self.buffer() {
            buffer.write_through(limit);
        }
    }

    /// Takes no more lines, and waits until those of before were written, but no longer than this.
    /// The writer returns, unless what it writes to stands still.
    ///
    /// # Errors
    /// [`Unwritten`] when some were not; they are left out and counted.
    pub fn shutdown(&self, limit: Duration) -> Result<(), Unwritten> {
        self.buffer()
            .map_or(Ok(()), |buffer| buffer.shutdown(limit))
    }

    /// The lines that wait; none in the child of a fork, where nobody writes them.
    fn buffer(&self) -> Option<&Buffer> {
        let buffer = &self.open.0.buffer;
        (!buffer.is_of_a_parent()).then_some(buffer)
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
    child_output: Option<fn(&[u8])>,
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

    /// Writes each line that is logged in the child of a fork, on the thread that logs: the thread of
    /// the [`TerminalWriter`] is only in the parent. Unless this is set such lines are left out. It must
    /// not take a lock that another thread may have held at the fork.
    pub fn with_child_output(self, write: fn(&[u8])) -> Self {
        TerminalBuilder {
            child_output: Some(write),
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
            child_output: self.child_output,
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
    child_output: Option<fn(&[u8])>,
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
        if !self.0.buffer.is_of_a_parent() {
            self.0.buffer.close();
        }
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
                Verdict::Suppress => return shared.suppress(),
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
        let urgency = match *origin.metadata().level() {
            Level::ERROR => Urgency::Urgent,
            _ => Urgency::Batched,
        };
        shared.offer(&line, urgency);
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
    /// `out`. Lines during whose writing `out` fails or panics are left out, counted, and told of when
    /// it works again.
    pub fn run(self, mut out: impl Write) {
        let shared = &*self.shared;
        let mut writing = Writing {
            text: Vec::with_capacity(shared.capacity),
            lines: 0,
            is_broken: false,
            swept: Instant::now(),
        };
        loop {
            // Only a panic of `out` comes to mind. It costs the lines at hand, and is as if they could
            // not be written: whoever logs next is heard again.
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

/// What is at hand while lines are written.
struct Writing {
    text: Vec<u8>,
    /// Lines in it that are not settled.
    lines: u64,
    /// Whether the last batch broke off inside of a line.
    is_broken: bool,
    /// When it was told last what a rate limit left out.
    swept: Instant,
}

/// What comes after a turn of the writer.
enum Turn {
    Next,
    End,
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

/// How long a writer that panicked is let alone.
const AFTER_PANIC: Duration = Duration::from_millis(100);

impl Shared {
    /// Hands a line to the writer. In the child of a fork there is none.
    #[inline]
    fn offer(&self, line: &Line, urgency: Urgency) {
        if !self.buffer.is_of_a_parent() {
            self.buffer.offer(line.as_str(), line.is_cut(), urgency);
        } else if let Some(write) = self.child_output {
            write(line.as_str().as_bytes());
        }
    }

    /// Counts a line that is left out because too many were like it.
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
        if idle.is_some() && writing.swept.elapsed() >= SWEEP {
            writing.swept = Instant::now();
            buffer::write_all(out, self.sweep(self.clock.unix_nanos()).as_bytes());
        }
        self.buffer.linger();
        Turn::Next
    }

    /// Writes the lines at hand; whether all of them were.
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

    /// Says that lines were left out.
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
