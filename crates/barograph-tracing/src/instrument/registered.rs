//! Families that may not be registered.

use barograph_core::RegisterError;
use barograph_core::report;

/// Returns a registered family, or none if it could not be registered. Then it is not recorded, which
/// is reported.
pub fn registered<T>(result: Result<T, RegisterError>) -> Option<T> {
    let report =
        |error: &RegisterError| report::report(format!("a metric is not recorded: {error}"));
    result.inspect_err(report).ok()
}
