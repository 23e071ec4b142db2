//! The configuration of spans and log records: plain values, nothing is opened or built.
//!
//! An unset variable is None here: the setting of the program applies, then the default.
//!
//! Source: OpenTelemetry specification 1.60, "Environment variable specification"; variables that
//! begin with `BAROGRAPH_` are specific to barograph.

use std::sync::Arc;

use barograph_model::propagator::Propagators;
use barograph_tracing::sampling::{self, Sampler};

use crate::env::Environment;

pub(crate) mod batch;
pub(crate) mod keep;
pub(crate) mod limits;
pub(crate) mod output;

use batch::Batch;
use keep::Kept;
use limits::Limits;
use output::Output;

/// The configuration of spans and log records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// The sampler.
    pub(crate) sampler: Option<Arc<dyn Sampler>>,
    /// Tail sampling.
    pub(crate) keep: Kept,
    /// The propagation formats. They apply even if telemetry is disabled.
    pub(crate) propagators: Option<Propagators>,
    /// The queue and batches of spans.
    pub(crate) spans: Batch,
    /// The queue and batches of log records.
    pub(crate) logs: Batch,
    /// The limits of spans and log records.
    pub(crate) limits: Limits,
    /// The log lines that are printed, and the filters of spans and log records.
    pub(crate) output: Output,
}

impl Events {
    /// Reads all variables about spans and log records.
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        Events {
            sampler: sampler(environment),
            keep: Kept::read(environment),
            propagators: propagators(environment),
            spans: Batch::read(environment, &batch::SPANS),
            logs: Batch::read(environment, &batch::LOG_RECORDS),
            limits: Limits::read(environment),
            output: Output::read(environment),
        }
    }
}

fn sampler(environment: &mut Environment<'_>) -> Option<Arc<dyn Sampler>> {
    let (name, argument) = (environment.text(SAMPLER), environment.text(SAMPLER_ARG));
    let (sampler, ignored) = sampling::configured(name.as_deref(), argument.as_deref());
    let is_chosen = name.is_some() && !ignored.iter().any(|ignored| ignored.variable == SAMPLER);
    for ignored in ignored {
        environment.ignore(ignored.variable, &ignored.value, ignored.expected);
    }
    is_chosen.then_some(sampler)
}

fn propagators(environment: &mut Environment<'_>) -> Option<Propagators> {
    let list = environment.text(PROPAGATORS)?;
    let (propagators, unknown) = Propagators::parse(&list);
    let unknown: Vec<_> = unknown.iter().map(|unknown| &*unknown.0).collect();
    let expected = "tracecontext, baggage, b3, b3multi, jaeger, none or a list of them";
    environment.ignore_entries(PROPAGATORS, &unknown, expected);
    Some(propagators)
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
