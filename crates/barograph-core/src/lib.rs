//! Instruments, families and registries: the part of barograph on the hot path of an application.
//!
//! This is a separate crate because it is the hot path: it has no heavy dependency, its lock-free
//! protocols are checked by loom, and `unsafe` is confined to it. It has a `links` key, so that cargo
//! refuses two versions of it in one program instead of silently splitting its metrics. It spawns no
//! thread and reads no environment variable.
//!
//! [`Registry`] is the entry point: it makes [`Counter`], [`Gauge`], [`Histogram`] and the others, alone
//! or in a [`Family`]; [`counter!`] and the similar macros do so in one line. [`current`] has the trace
//! context of a thread, [`record_queue`] passes spans and log records to exporters, and
//! [`snapshot`](barograph_model::snapshot) is the form in which exporters read metrics.
//!
//! The fast path, from the bottom up: `pool` gives each thread its own cells, so that an addition is a
//! load and a store; a histogram's `row` is such a cell with buckets, readable while it is written;
//! `table` finds a label set without a lock. Each of these modules explains its protocol before its
//! code.
#![warn(missing_docs)]

// The modules are in dependency order: each uses only those above it. A folder is a layer; what it has
// for other crates is exported here.
mod sync;
mod queue;
pub mod record_queue;
pub mod process;
pub mod clock;
pub mod report;
pub mod stats;
pub mod limits;
mod series;
mod context;
pub mod labels;
mod instruments;
pub mod registry;
mod macros;

pub use crate::context::{current, ids, propagation};
pub use crate::instruments::{
    counter::Counter,
    family::Family,
    gauge::{Gauge, InFlightGuard},
    handle::{Instrument, Ref},
    histogram::{Histogram, TimerGuard},
    info::Info,
    number::Number,
    observable::Observer,
    spec::{Difference, RegisterError, SourceLocation},
    state_set::StateSet,
    updown::{UpDownCounter, UpDownGuard},
};
pub use crate::registry::Registry;
#[doc(hidden)]
pub use crate::registry::callsite;
pub use crate::series::exemplar;
pub use crate::sync::cache;

#[cfg(all(test, loom))]
mod models;

#[doc(hidden)]
pub mod __private {
    //! For the macros of this crate only.
    pub use barograph_macros::callsite;
}
