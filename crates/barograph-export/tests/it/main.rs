//! Pages and requests as readers see them, through the public API alone.
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
#[cfg(all(unix, feature = "journal"))]
mod journal;
