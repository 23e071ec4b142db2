//! The arguments of the command, with their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Checks pages, queues, configuration and running services.
#[derive(Debug, Parser)]
#[command(name = "barograph", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print the report as one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check or compare pages that Prometheus scrapes
    #[command(subcommand)]
    Page(PageCommand),
    /// Look into the persistent queues of undelivered telemetry
    #[command(subcommand)]
    Queue(QueueCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Show what waits in persistent queues, and what is damaged
    ///
    /// The files are only read, and no lock is taken: a service that uses them does not notice. It may add
    /// and deliver requests meanwhile.
    #[command(after_help = QUEUE_INSPECT_EXAMPLES)]
    Inspect(QueueInspect),
}

#[derive(Args, Debug)]
pub(crate) struct QueueInspect {
    /// The directory of a persistent queue, or that above the queues of a service
    ///
    /// The latter is the value of BAROGRAPH_PERSISTENT_QUEUE_DIR.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PageCommand {
    /// Check that a page is valid and follows the naming conventions
    ///
    /// The page is parsed strictly, as Prometheus text 0.0.4 or OpenMetrics 1.0. What a scraper rejects or
    /// misreads is an error; what breaks the conventions for names and units is a warning. The report also
    /// lists the families with the most series, the labels with the most values, and exemplars.
    #[command(after_help = PAGE_CHECK_EXAMPLES)]
    Check(PageCheck),
    /// Compare two pages: names, types, labels, series and values
    ///
    /// Formats may differ: the same metrics in Prometheus text and in OpenMetrics are no difference, and
    /// neither are times of creation, exemplars, help texts and the order. A family whose name changed by
    /// the rules for suffixes, units and escapes, or that has the labels and values of another one, is
    /// reported as renamed and compared under its new name.
    #[command(after_help = PAGE_DIFF_EXAMPLES)]
    Diff(PageDiff),
}

#[derive(Args, Debug)]
pub(crate) struct PageCheck {
    /// A URL (http or https), a file, or - for the standard input
    #[arg(value_name = "URL|FILE|-")]
    pub(crate) page: String,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// A rule whose findings are left out; may be repeated
    ///
    /// The name of a rule is in brackets at the end of a finding. Rules of the format cannot be left out.
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,
    /// Report a page without exemplars
    #[arg(long)]
    pub(crate) require_exemplars: bool,
    /// The number of families and labels in the lists of those with the most series and values
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub(crate) top: usize,
}

#[derive(Args, Debug)]
pub(crate) struct PageDiff {
    /// The page before: a URL, a file, or - for the standard input
    #[arg(value_name = "BEFORE")]
    pub(crate) before: String,
    /// The page after
    #[arg(value_name = "AFTER")]
    pub(crate) after: String,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The most that two values may differ: a percentage of the larger one, such as 1%, or a number
    #[arg(long, value_parser = tolerance, default_value = "0")]
    pub(crate) tolerance: Tolerance,
    /// Do not compare values, only names, types, labels and series
    #[arg(long, conflicts_with = "tolerance")]
    pub(crate) ignore_values: bool,
    /// Names of families that are left out; * stands for any text; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) ignore: Vec<String>,
}

/// The most that two values may differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tolerance {
    /// By this number.
    Absolute(f64),
    /// By this part of the larger one.
    Relative(f64),
}

fn tolerance(text: &str) -> Result<Tolerance, String> {
    let parse = |text: &str| {
        text.parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
    };
    let tolerance = match text.strip_suffix('%') {
        Some(percent) => parse(percent).map(|percent| Tolerance::Relative(percent / 100.0)),
        None => parse(text).map(Tolerance::Absolute),
    };
    tolerance.ok_or_else(|| "expected a number from 0, or a percentage such as 1%".to_owned())
}

/// The way in which pages are fetched and parsed.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reading {
    /// The format: that of the Content-Type or of the contents, unless given
    #[arg(long, value_enum, default_value_t = PageFormat::Auto)]
    pub(crate) format: PageFormat,
    /// The time limit of a request
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    /// OpenMetrics if the server has it, and what the page seems to be otherwise
    Auto,
    /// Prometheus text 0.0.4
    Text,
    /// OpenMetrics 1.0
    Openmetrics,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let expected = "expected a number of seconds from 0.001 to 3600";
    let seconds: f64 = text.parse().map_err(|_| expected)?;
    match (0.001..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(expected.to_owned()),
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing to change
  1  there are findings
  2  wrong usage, or something cannot be read";

const PAGE_CHECK_EXAMPLES: &str = "\
Examples:
  barograph page check http://127.0.0.1:9464/metrics
  barograph page check page.prom --format text --allow no-help
  curl -s 127.0.0.1:9464/metrics | barograph page check - --json

Exit codes:
  0  the page is valid, and nothing breaks a convention
  1  there are errors or warnings
  2  wrong usage, or the page cannot be read";

const PAGE_DIFF_EXAMPLES: &str = "\
Examples:
  barograph page diff before.prom after.prom --tolerance 1%
  barograph page diff before.prom http://127.0.0.1:9464/metrics --ignore-values
  barograph page diff a.prom b.prom --ignore 'process_*' --ignore 'barograph_*' --json

Exit codes:
  0  no differences
  1  there are differences
  2  wrong usage, or a page cannot be read";

const QUEUE_INSPECT_EXAMPLES: &str = "\
Examples:
  barograph queue inspect /var/lib/shop/telemetry
  barograph queue inspect /var/lib/shop/telemetry/traces --json

Exit codes:
  0  nothing is damaged, and a process delivers what waits
  1  something is damaged or cannot be read, or waits while no process uses the queue
  2  wrong usage, or there is no persistent queue";
