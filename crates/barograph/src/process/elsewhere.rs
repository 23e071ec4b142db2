//! Systems for which process metrics are not implemented.

use super::family::Reading;

/// Returns an empty reading.
pub(super) fn read() -> Reading {
    Reading::default()
}
