//! Telemetry for tests: no port, no globals, nothing shared between two tests.
//!
//! A [`Capture`] is the telemetry of one test. With the feature `test-util`, it captures the metrics, spans
//! and log records of the code that runs in it, and `assert_telemetry!` compares all of them with a text.
#![cfg_attr(feature = "test-util", doc = include_str!("../../docs/testing.md"))]
//!
//! [`TestBuilder`] gives a [`TelemetryBuilder`](crate::TelemetryBuilder) another environment.

#[cfg(feature = "test-util")]
mod recording;
mod capture;
mod test_builder;
#[cfg(feature = "test-util")]
mod scope;
#[cfg(feature = "test-util")]
mod assertion;
#[cfg(feature = "test-util")]
mod conventions;

#[cfg(feature = "test-util")]
pub use self::assertion::Mismatch;
pub use self::capture::Capture;
#[cfg(feature = "test-util")]
pub use self::scope::CaptureGuard;
pub use self::test_builder::TestBuilder;
#[cfg(feature = "test-util")]
#[doc(inline)]
pub use barograph_model::conventions::{Finding, Rule};
