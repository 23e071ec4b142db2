//! In the place of `exports` where pushing is left out: says so to whoever wants it.

use crate::error::StartError;
use crate::otlp_env::Otlp;
use crate::push::Pushes;

#[expect(clippy::unnecessary_wraps, reason = "as the other")]
pub(crate) fn add(_pushes: &mut Pushes, otlp: &Otlp) -> Result<(), StartError> {
    if otlp.metrics.is_pushed() || otlp.metrics.is_printed() {
        tracing::warn!(
            target: "barograph",
            "metrics are not pushed: the feature `otlp` of barograph is not compiled in"
        );
    }
    Ok(())
}
