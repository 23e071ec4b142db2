//! Instruments, families and registries: the part of barograph that runs where things happen.
//!
//! This room is a crate of its own because it is the hot path: it has no heavy dependency, its
//! lock-free protocols are checked by loom, and `unsafe` lives here and nowhere else. It links under a
//! name, so that cargo refuses two versions of it in one program instead of splitting its numbers in
//! silence. It spawns no thread and reads no environment.
//!
//! Where to start: [`registry::Registry`] makes [`counter::Counter`], [`gauge::Gauge`],
//! [`histogram::Histogram`] and the others, alone or in a [`family::Family`]; [`counter!`] and its
//! like do so in one line. [`current`] says which trace a thread works for, and
//! [`snapshot`](barograph_model::snapshot) is what readers see.
//!
//! How it is fast, from the bottom up: `pool` gives each thread cells of its own, so that an addition
//! is a load and a store; a histogram's `row` is such a cell with buckets, readable while it is
//! written; `table` finds a label set without a lock. Each of them tells its protocol before its code.
#![warn(missing_docs)]
#![cfg_attr(
    loom,
    expect(dead_code, reason = "the models use a part of what instruments use")
)]

// The order is the floor plan: a module uses only those above it. Loom checks what comes first;
// under it the rest, which has statics and thread-locals, is left out.
mod sync;
#[cfg(not(loom))]
pub mod cache;
mod row;
mod pool;
mod table;
pub mod queue;
pub mod exemplar;
#[cfg(not(loom))]
mod hash;
#[cfg(not(loom))]
mod thread;
#[cfg(not(loom))]
pub mod current;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod ids;
#[cfg(not(loom))]
pub mod clock;
#[cfg(not(loom))]
pub mod report;
#[cfg(not(loom))]
pub mod stats;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod buckets;
#[cfg(not(loom))]
mod series;
#[cfg(all(not(loom), target_arch = "x86_64"))]
mod wide;
#[cfg(not(loom))]
mod storage;
#[cfg(not(loom))]
mod key;
#[cfg(not(loom))]
pub mod labels;
#[cfg(not(loom))]
pub mod spec;
#[cfg(not(loom))]
pub mod handle;
#[cfg(not(loom))]
pub mod number;
#[cfg(not(loom))]
pub mod counter;
#[cfg(not(loom))]
pub mod updown;
#[cfg(not(loom))]
pub mod gauge;
#[cfg(not(loom))]
pub mod histogram;
#[cfg(not(loom))]
pub mod state_set;
#[cfg(not(loom))]
pub mod family;
#[cfg(not(loom))]
pub mod info;
#[cfg(not(loom))]
pub mod observable;
#[cfg(not(loom))]
pub mod registry;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod site;
#[cfg(not(loom))]
mod macros;

#[cfg(all(test, loom))]
mod models;

#[doc(hidden)]
pub mod __private {
    //! For the macros of this crate only.
    pub use barograph_macros::site;
}
