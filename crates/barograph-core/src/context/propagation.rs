//! The default propagators of layers.

use std::sync::OnceLock;

use barograph_model::propagator::Propagators;

/// Returns the propagators of the process: `tracecontext` and `baggage`, unless others were set.
///
/// Layers without their own propagators use them.
pub fn propagators() -> &'static Propagators {
    static DEFAULT: OnceLock<Propagators> = OnceLock::new();
    let set = PROPAGATORS.get();
    set.unwrap_or_else(|| DEFAULT.get_or_init(Propagators::default))
}

/// Sets the propagators of the process. To be called once by the code that initializes telemetry.
///
/// # Errors
/// Returns the propagators if others were set before; those stay in effect.
pub fn set_propagators(propagators: Propagators) -> Result<(), Propagators> {
    PROPAGATORS.set(propagators)
}

static PROPAGATORS: OnceLock<Propagators> = OnceLock::new();
