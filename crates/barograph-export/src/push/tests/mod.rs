//! Tests of the driver as a whole, under a paused clock.

mod world;
mod rounds;
mod outage;
mod ends;
mod kept;
mod unusable;
mod model;
mod queue;
mod taken;
mod panics;
#[cfg(feature = "journal")]
mod on_disk;
#[cfg(all(feature = "journal", unix))]
mod damage;
