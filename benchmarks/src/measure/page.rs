//! Nanoseconds per sample line of rendering a page, from the live series to the last byte.

use std::hint::black_box;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::clock::thread_cpu_ns;
use crate::measure::{Plan, Subject};
use crate::page::Expected;

/// Receives the bytes of a page in one piece or in many.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]);

/// Renders a library's page each time it is called.
pub(crate) type Page = Box<dyn FnMut(Sink<'_>)>;

/// Returns a page that is compressed after rendering, for libraries that do not compress.
pub(crate) fn gzipped(mut page: Page) -> Page {
    let mut compressed = Vec::new();
    Box::new(move |sink: Sink<'_>| {
        compressed.clear();
        let mut encoder = GzEncoder::new(&mut compressed, Compression::new(GZIP_LEVEL));
        page(&mut |bytes| {
            encoder
                .write_all(bytes)
                .expect("a vector takes all that is written")
        });
        encoder
            .finish()
            .expect("a vector takes all that is written");
        sink(&compressed);
    })
}

/// Parses rendered bytes and returns the differences.
type Check = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// Renders a page, discards it and measures the time; the check parses it.
pub(crate) struct Rendered {
    page: Page,
    lines: u64,
    check: Check,
    /// The number of renderings in a round.
    times: usize,
}

impl Rendered {
    /// A page in a text format.
    pub(crate) fn new(page: Page, expected: Expected) -> Self {
        Self::checked(
            page,
            expected.lines(),
            Box::new(move |body| expected.check(body)),
        )
    }

    /// Any other output with this number of parts.
    pub(crate) fn checked(page: Page, lines: u64, check: Check) -> Self {
        Self {
            page,
            lines,
            check,
            times: 1,
        }
    }

    pub(crate) fn render(&mut self, sink: Sink<'_>) {
        (self.page)(sink);
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    fn timed(&mut self) -> f64 {
        let start = thread_cpu_ns();
        for _ in 0..self.times {
            self.once();
        }
        (thread_cpu_ns() - start) as f64
    }

    fn once(&mut self) {
        (self.page)(&mut |bytes| {
            black_box(bytes);
        });
    }
}

impl Subject for Rendered {
    fn warm(&mut self, plan: Plan) {
        let mut took = self.timed();
        if took < plan.slice_ns() {
            // The first rendering grew the buffer. For a long page that does not matter.
            took = self.timed();
        }
        self.times = ((plan.slice_ns() / took) as usize).max(1);
    }

    fn round(&mut self, _plan: Plan) -> Option<f64> {
        if self.times > 1 {
            // Other libraries have filled the caches since the last round.
            self.once();
        }
        Some(self.timed() / self.times as f64 / self.lines as f64)
    }

    fn check(&mut self) -> Result<(), String> {
        let mut body = Vec::new();
        (self.page)(&mut |bytes| body.extend_from_slice(bytes));
        (self.check)(&body)
    }
}

/// The fastest level with a usual ratio, for all libraries.
pub(crate) const GZIP_LEVEL: u32 = 1;
