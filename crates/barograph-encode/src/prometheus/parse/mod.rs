//! A strict parser of pages: Prometheus text and OpenMetrics 1.0, from any library.
//!
//! It accepts what the specifications allow, and names everything else: what it finds, at least one
//! scraper rejects or reads as something else. It continues after a line that it cannot parse, so that
//! all problems of a page are found at once. It is written from the specifications alone and shares no
//! code with the encoder, whose tests use it.
//!
//! Nothing is computed from the number of lines squared, and memory is proportional to the page.
//!
//! Source: Prometheus, "Text-based format"; OpenMetrics 1.0; Prometheus, "UTF-8 support".
//!
//! ```
//! use barograph_encode::prometheus::parse::{Dialect, parse};
//!
//! let page = b"# TYPE orders_total counter\norders_total{kind=\"web\"} 3\norders_total{kind=web} 4\n";
//! let parsed = parse(page, Dialect::Text);
//! assert_eq!(parsed.families[0].samples[0].value, 3.0);
//! assert_eq!(
//!     parsed.problems[0].to_string(),
//!     "line 3, column 19: found \"web} 4\", expected a label value in double quotes"
//! );
//! ```

mod dialect;
mod problem;
mod family;
mod cursor;
mod line;
mod histogram;
mod family_check;
mod assembly;

pub use dialect::Dialect;
pub use family::{FamilyKind, ParsedExemplar, ParsedFamily, ParsedPage, ParsedSample};
pub use problem::{PageProblem, PageRule};

use assembly::Assembly;

/// Parses a page. The problems are in the order of their lines; those beyond 1,000 are only counted.
pub fn parse(page: &[u8], dialect: Dialect) -> ParsedPage<'_> {
    let mut assembly = Assembly::new(dialect);
    let mut lines = page.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        // What follows the last line feed is not a line.
        if lines.peek().is_none() && line.is_empty() {
            break;
        }
        assembly.line(index + 1, line);
    }
    assembly.finish(page.is_empty() || page.ends_with(b"\n"))
}

#[cfg(test)]
mod tests;
