//! Checks barograph from outside: real servers scrape a real service under load, receive its
//! exports and carry its records.
//!
//! This is a separate crate because it is not part of the product and needs programs that a new
//! contributor does not have: two Prometheus servers, promtool, two collectors, Jaeger, Zipkin,
//! Kafka, and Python. `tools/backends/install` installs them; a missing program is a failure that
//! names that command, never a skip.
//!
//! ```text
//! cargo xtask conformance        installs the backends, then runs `cargo test -p conformance`
//! cargo xtask attacks            attacks a service from all sides; needs none of the backends
//! cargo xtask soak               runs it for long under load
//! ```
//!
//! Every child process listens on its own loopback port, keeps its files in a directory that is
//! removed with it, and is killed by its id when its [`child::Child`] is dropped. Every wait has a
//! time limit.
#![forbid(unsafe_code)]

pub mod backends;
pub mod child;
pub mod samples;
pub mod lines;
pub mod ask;
pub mod usage;
pub mod page;
pub mod service;
pub mod load;
pub mod prometheus;
pub mod authority;
pub mod receiver;
pub mod frames;
pub mod fake_receiver;
pub mod target;
pub mod collector;
pub mod points;
pub mod events;
pub mod account;
pub mod jaeger;
pub mod zipkin;
pub mod kafka;
