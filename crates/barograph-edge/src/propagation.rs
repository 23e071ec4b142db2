//! How contexts travel where a layer is told nothing else.

use std::sync::OnceLock;

use barograph_model::propagator::Propagators;

/// The propagators of the process: `tracecontext` and `baggage`, unless others were set.
///
/// Layers without propagators of their own use them.
pub fn propagators() -> &'static Propagators {
    static DEFAULT: OnceLock<Propagators> = OnceLock::new();
    let set = PROPAGATORS.get();
    set.unwrap_or_else(|| DEFAULT.get_or_init(Propagators::default))
}

/// Sets the propagators of the process, for whoever sets up the telemetry of a program.
///
/// # Errors
/// The same propagators when others were set before; those stay.
pub fn set_propagators(propagators: Propagators) -> Result<(), Propagators> {
    PROPAGATORS.set(propagators)
}

static PROPAGATORS: OnceLock<Propagators> = OnceLock::new();
