//! The configuration of spans, log records and log lines.
//!
//! Source: OpenTelemetry specification 1.60, "Environment variable specification"; variables that
//! begin with `BAROGRAPH_` are specific to barograph.

use std::sync::Arc;

use barograph_model::propagator::Propagators;
use barograph_tracing::log::{Colors, Format, LogLimits};
use barograph_tracing::sampling::{self, Sampler};
use barograph_tracing::trace::SpanLimits;

use crate::environment::Environment;
use crate::variables::{LOG_FORMAT, NO_COLOR, PROPAGATORS, SAMPLER, SAMPLER_ARG};

pub mod batch;
mod filters;
mod limits;
mod tail_sampling;

pub use batch::BatchConfig;
pub use filters::Filters;
pub use tail_sampling::TailSamplingOverrides;

/// The configuration of spans, log records and log lines.
#[derive(Debug)]
pub struct Signals {
    /// The sampler.
    pub sampler: Option<Arc<dyn Sampler>>,
    /// The settings of tail sampling.
    pub tail_sampling: TailSamplingOverrides,
    /// The propagation formats. They apply even if telemetry is disabled.
    pub propagators: Option<Propagators>,
    /// The queue and batches of spans.
    pub spans: BatchConfig,
    /// The queue and batches of log records.
    pub logs: BatchConfig,
    /// The limits of spans.
    pub span_limits: SpanLimits,
    /// The limits of log records.
    pub log_limits: LogLimits,
    /// The filters of log lines, spans and log records.
    pub filters: Filters,
    /// The format of log lines. Its colors are on unless `NO_COLOR` is set; whether the output is a
    /// terminal is for the caller to find out.
    pub format: Format,
}

impl Signals {
    /// Reads all variables about spans, log records and log lines.
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let sampler = sampler(environment);
        let tail_sampling = TailSamplingOverrides::read(environment);
        let propagators = propagators(environment);
        let spans = BatchConfig::read(environment, &batch::SPANS);
        let logs = BatchConfig::read(environment, &batch::LOG_RECORDS);
        let (span_limits, log_limits) = limits::read(environment);
        Signals {
            sampler,
            tail_sampling,
            propagators,
            spans,
            logs,
            span_limits,
            log_limits,
            filters: Filters::read(environment),
            format: format(environment),
        }
    }
}

fn sampler(environment: &mut Environment<'_>) -> Option<Arc<dyn Sampler>> {
    let (name, argument) = (environment.text(&SAMPLER), environment.text(&SAMPLER_ARG));
    let (sampler, ignored) = sampling::configured(name.as_deref(), argument.as_deref());
    let is_chosen = name.is_some()
        && !ignored
            .iter()
            .any(|ignored| ignored.variable == SAMPLER.name);
    for ignored in ignored {
        environment.ignore(ignored.variable, &ignored.value, ignored.expected);
    }
    is_chosen.then_some(sampler)
}

fn propagators(environment: &mut Environment<'_>) -> Option<Propagators> {
    let list = environment.text(&PROPAGATORS)?;
    let (propagators, unknown) = Propagators::parse(&list);
    let unknown: Vec<_> = unknown.iter().map(|unknown| &*unknown.0).collect();
    environment.ignore_entries(&PROPAGATORS, &unknown);
    Some(propagators)
}

fn format(environment: &mut Environment<'_>) -> Format {
    // Any value counts (no-color.org).
    let colors = match environment.is_set(&NO_COLOR) {
        true => Colors::Off,
        false => Colors::On,
    };
    let pretty = Format::Pretty(colors);
    let choices = [("pretty", pretty), ("json", Format::Json)];
    let chosen = environment.choice(&LOG_FORMAT, &choices);
    chosen.unwrap_or(pretty)
}
