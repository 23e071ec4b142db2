//! Tests of the driver as a whole, under a paused clock.

mod world;
mod rounds;
mod outage;
mod ends;
mod kept;
mod unusable;
mod model;
mod numbers;
mod record_queue;
mod panics;
mod on_disk;
#[cfg(unix)]
mod damage;
