//! Replaces `exports` without the feature `otlp`: adds a notice if pushing is requested.

use crate::config::Config;
use crate::env::Notice;
use crate::push::Pushes;

pub(crate) fn add(_pushes: &mut Pushes, config: &mut Config) {
    if config.otlp.is_wanted() {
        let text = "nothing is pushed: the feature `otlp` of barograph is not compiled in";
        config.notices.push(Notice::new(text.into()));
    }
}
