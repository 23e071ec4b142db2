//! The kernel's metrics of this process, under the names of the Prometheus client libraries.
//!
//! | metric | kind |
//! |---|---|
//! | `process_cpu_seconds_total` | counter |
//! | `process_resident_memory_bytes` | gauge |
//! | `process_virtual_memory_bytes` | gauge |
//! | `process_open_fds` | gauge |
//! | `process_max_fds` | gauge |
//! | `process_threads` | gauge |
//! | `process_start_time_seconds` | gauge |
//!
//! They are read when they are collected, and cost nothing in between. Values that cannot be read are
//! left out; on systems other than Linux that is all of them.
//!
//! Source: Prometheus, "Writing client libraries", Process metrics.

mod family;
#[cfg(target_os = "linux")]
mod stat;
#[cfg(target_os = "linux")]
mod linux;
mod source;
#[cfg(all(test, target_os = "linux"))]
mod tests;

pub(crate) use source::ProcessSource;
