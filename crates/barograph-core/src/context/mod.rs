//! The trace context of a thread, ids of traces and spans, and the propagators of the process.

pub mod ids;
pub mod current;
pub mod propagation;
