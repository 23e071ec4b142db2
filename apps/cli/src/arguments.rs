//! The arguments of the command, with their help.

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
