//! Spans from `tracing`.

mod setup;

mod again;
mod extensions;
mod fields;
mod layers;
mod lives;
mod load;
mod parents;
mod sampled;
