//! In the place of `exports` where pushing is left out: says so to whoever wants it.

use crate::config::Config;
use crate::error::StartError;
use crate::otlp_env::{Export, Otlp};
use crate::push::Pushes;

#[expect(clippy::unnecessary_wraps, reason = "as the other")]
pub(crate) fn add(_pushes: &mut Pushes, config: &Config) -> Result<(), StartError> {
    let Otlp {
        metrics,
        traces,
        logs,
        ..
    } = &config.otlp;
    let is_wanted = |export: &Export| export.is_pushed() || export.is_printed();
    if [metrics, traces, logs].into_iter().any(is_wanted) || traces.is_for_zipkin() {
        tracing::warn!(
            target: "barograph",
            "nothing is pushed: the feature `otlp` of barograph is not compiled in"
        );
    }
    Ok(())
}
