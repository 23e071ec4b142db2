//! Checks barograph from outside: real servers scrape a real service under real load, are pushed to by
//! it, and carry its records.
//!
//! This is a crate of its own because it is no part of the product and needs what a newcomer does
//! not have: two Prometheus servers, promtool, two collectors, Jaeger, Zipkin, Kafka, and Python.
//! `tools/backends/install` puts them in place; a program that is missing is a failure that names that
//! command, never a skip.
//!
//! ```text
//! cargo xtask conformance        installs the backends, then runs `cargo test -p conformance`
//! cargo xtask attacks            attacks a service from all sides; needs none of the backends
//! cargo xtask soak               runs it for long under load
//! ```
//!
//! Every child listens on the loopback on a port of its own, keeps its files in a directory that
//! goes with it, and is ended by its own id when its [`child::Child`] is dropped. Every wait has a
//! limit.
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
