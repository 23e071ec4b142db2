//! Tests of pages and requests as their consumers see them, by the public API only.
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod parser;
mod table;
mod golden;
mod evidence;
mod hostile;
mod page;
mod otlp;
mod records;
mod zipkin;
