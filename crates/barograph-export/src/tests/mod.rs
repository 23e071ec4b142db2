//! Tests of the driver as a whole, under a paused clock.

mod harness;
mod export_cycles;
mod outage;
mod shutdown;
mod persistent_queue;
mod unusable_persistent_queue;
mod random_histories;
mod numbers;
mod record_queue;
mod panics;
mod on_disk;
#[cfg(unix)]
mod damaged_files;
