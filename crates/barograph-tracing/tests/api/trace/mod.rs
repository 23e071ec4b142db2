//! Spans from `tracing`.

mod setup;

mod extensions;
mod fields;
mod layers;
mod load;
mod parents;
mod sampled;
mod span_end;
mod span_pool;
