//! Record once; let Prometheus read it. Every number leads to its trace.
//!
//! ```
//! use barograph::counter;
//!
//! let telemetry = barograph::Telemetry::builder("shop").without_listener().start()?;
//! counter!("orders", kind = "web").inc();
//! assert!(telemetry.render(None).body.contains("orders_total{kind=\"web\"} 1\n"));
//! # Ok::<(), barograph::StartError>(())
//! ```
//!
//! This crate is what services depend on. It reads the environment, starts threads and sets globals; the
//! crates below it do not.
//!
//! * [`init()`] starts everything; [`Telemetry::builder`] configures each part.
//! * [`counter!`], [`gauge!`], [`histogram!`] and the other macros record in one line. A [`Registry`]
//!   returns [`Counter`], [`Gauge`], [`Histogram`] and others to hold, which are faster, and a [`Family`]
//!   of them with typed labels.
//! * [`HttpServerLayer`], [`HttpClientLayer`], [`GrpcServerLayer`] and [`GrpcClientLayer`] record
//!   requests and pass the context of a trace on; [`kafka`] does so for records.
//! * [`observe()`] and [`#[observe]`](macro@observe) around an operation give it a span, a duration,
//!   an error counter and a log line; see [`observe`](mod@observe).
//! * [`Telemetry::serve`] runs an axum app and shuts it down in order;
//!   [`Telemetry::shutdown_signal`] and [`Telemetry::shutdown`] do so for everything else.
//! * [`testing`] has telemetry for tests.
//!
//! Instruments are `Send`, `Sync` and cheap to clone: they can be kept in structs and over an `.await`.
//! Only the [`Ref`](instruments::Ref) that [`Family::with`] returns must not; [`Family::bind`] returns an
//! instrument to keep.
//!
//! # Features
//!
//! * `axum` (default): [`Telemetry::serve`], and routes and client addresses of requests in
//!   [`HttpServerLayer`].
//! * `otlp` (default): [`export`], which pushes what is recorded to any OTLP receiver.
//! * `reqwest-middleware`: `HttpClientMiddleware`, for clients built with reqwest.
//! * `rdkafka`: `kafka::KafkaHeaders`, for records of the rdkafka client; [`kafka`] works with any
//!   client without this feature.
//! * `zstd`: adds zstd compression of export requests.
//! * `test-util`: captures the telemetry of code in a test, for `assert_telemetry!`; see [`testing`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// Dependency order: a module uses only the modules above it.
mod error;
mod stderr;
mod diagnostics;
mod resource;
mod listen;
#[cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
mod supervise;
mod process;
mod tokio_metrics;
mod self_metrics;
mod page;
mod readiness;
mod accept;
mod admin;
#[cfg(feature = "otlp")]
#[cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]
mod push;
#[cfg(not(feature = "otlp"))]
#[path = "no_push.rs"]
mod push;
#[cfg(feature = "otlp")]
mod console;
#[cfg(feature = "otlp")]
mod exports;
mod subscriber;
mod exit;
mod signals;
mod telemetry;
mod start_line;
mod builder;
mod start;
pub mod testing;
#[cfg(feature = "axum")]
pub mod serve;

// What services name. The crates below this one are not part of its API; their items are documented
// here.
#[doc(inline)]
pub use barograph_core::{
    Counter, Family, Gauge, Histogram, Info, RegisterError, StateSet, UpDownCounter, counter,
    counter_f64, current, describe, exemplar::ExemplarFilter, gauge, gauge_i64, histogram,
    labels::LabelSet, labels::LabelValue, limits::Limits, registry::Registry, up_down_counter,
};
#[doc(inline)]
pub use barograph_kafka as kafka;
#[doc(inline)]
pub use barograph_model::{bounds::Bounds, context, propagator::Propagators, resource::Resource};
#[cfg(feature = "reqwest-middleware")]
#[doc(inline)]
pub use barograph_tower::http::client::HttpClientMiddleware;
#[doc(inline)]
pub use barograph_tower::{
    grpc::{GrpcClientLayer, GrpcServerLayer},
    http::{HttpClientLayer, HttpServerLayer},
};
#[doc(inline)]
pub use barograph_tracing::{
    filter,
    log::RateLimit,
    observe::{self, observe},
    redact::{Redaction, RedactionRule},
    sampling::Sampler,
    sampling::tail::TailSampling,
    trace::SpanExt,
};

pub use crate::builder::TelemetryBuilder;
#[cfg(feature = "axum")]
pub use crate::error::ServeError;
pub use crate::error::StartError;
pub use crate::page::{Page, Pages};
pub use crate::readiness::Readiness;
pub use crate::start::init;
pub use crate::subscriber::Filters;
pub use crate::telemetry::Telemetry;

pub mod instruments {
    //! The parts of instruments, families and registries: builders, guards, errors, statistics.

    #[doc(inline)]
    pub use barograph_core::{
        Difference, InFlightGuard, Instrument, Number, Observer, Ref, SourceLocation, TimerGuard,
        UpDownGuard,
        clock::{Clock, ManualClock, SystemClock},
        registry::{FreeForm, InfoBuilder, MetricBuilder, ObservableBuilder, RegistryBuilder},
        stats::{Conflict, FamilyStats, LabelsRefused, Refusal, Rejection, Stats},
    };
    #[doc(inline)]
    pub use barograph_model::{
        bounds::InvalidBounds,
        name::{InvalidLabel, InvalidName},
    };
}

pub mod source {
    //! Sources of metrics besides the registry, for
    //! [`TelemetryBuilder::with_source`](crate::TelemetryBuilder::with_source).

    #[doc(inline)]
    pub use barograph_model::{
        descriptor::{Descriptor, Kind, Scope},
        exemplar::Exemplar,
        label::{Labels, PackedLabels},
        snapshot::{FamilyView, HistogramValue, Point, Source, Value},
    };
}

pub mod exposition {
    //! The form of the pages, for
    //! [`TelemetryBuilder::with_prometheus_config`](crate::TelemetryBuilder::with_prometheus_config).

    #[doc(inline)]
    pub use barograph_encode::prometheus::{Config, Escaping, Switch, Translation};
}

pub mod layers {
    //! The builders of the tower layers at the root of this crate, with the types that they take, and
    //! the services, bodies and futures that the layers make.

    #[doc(inline)]
    pub use barograph_tower::{
        grpc::{
            GrpcClient, GrpcClientLayerBuilder, GrpcClientResponseBody, GrpcClientResponseFuture,
            GrpcResponseBody, GrpcResponseFuture, GrpcServer, GrpcServerLayerBuilder,
        },
        http::client::{
            Attempts, HttpClient, HttpClientLayerBuilder, HttpClientResponseBody,
            HttpClientResponseFuture,
        },
        http::{
            HttpResponseBody, HttpResponseFuture, HttpServer, HttpServerLayerBuilder,
            InvalidNetwork, Origin, Route, Scheme, TrustedProxies,
        },
    };
}

pub mod propagation {
    //! Headers that carry a context between services: their formats, and the maps that hold them.

    #[doc(inline)]
    pub use barograph_core::propagation::{propagators, set_propagators};
    #[doc(inline)]
    pub use barograph_model::{
        carrier::{Carrier, CarrierMut, Environment, Values, Variables},
        propagator::{B3, Jaeger, Propagator, UnknownPropagator, W3cBaggage, W3cTraceContext},
    };
    #[doc(inline)]
    pub use barograph_tower::carrier::{Headers, HeadersMut};
}

pub mod sampling {
    //! Samplers, for [`TelemetryBuilder::with_sampler`](crate::TelemetryBuilder::with_sampler), and
    //! the configuration of [`TailSampling`](crate::TailSampling). [`configured`] describes the values
    //! of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.

    #[doc(inline)]
    pub use barograph_tracing::sampling::{
        AlwaysOff, AlwaysOn, AlwaysRecord, Decision, InvalidRate, InvalidRatio, ParentBased,
        Probability, Randomness, RateLimited, Rule, Rules, SamplingResult, SpanStart, Threshold,
        TraceIdRatio, configured,
        tail::{Reason, TailSamplingConfig, TailSamplingCounts},
    };
}

pub mod span {
    //! Data of spans that the macros of `tracing` have no syntax for: see
    //! [`SpanExt`](crate::SpanExt).

    #[doc(inline)]
    pub use barograph_model::{
        span::{SpanKind, SpanLink, Status},
        value::{AnyValue, Attribute, Text},
    };
}

#[cfg(feature = "otlp")]
pub mod export {
    //! Pushes to further receivers, for
    //! [`TelemetryBuilder::with_push`](crate::TelemetryBuilder::with_push).

    #[doc(inline)]
    pub use barograph_encode::otlp::{Encoding, Request, Signal, Temporalities, Temporality};
    #[doc(inline)]
    pub use barograph_export::{
        Outcome, PartialSuccess, Permanent, RetryPolicy, Retryable, Schedule, Target, Transport,
        client::{
            Client, ClientConfig, Compression, Endpoint, Headers, InvalidClient, InvalidFile,
            InvalidHeader, InvalidUrl, MissingFeature, Protocol, Proxy, ProxyConfig, TlsConfig,
        },
        persistent_queue::{PersistentQueueConfig, PersistentQueueError, SyncPolicy, WhenFull},
    };

    pub use crate::push::{Push, Unfinished};
}

// For the macros.
#[doc(hidden)]
pub use barograph_core::{callsite, labels};

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
