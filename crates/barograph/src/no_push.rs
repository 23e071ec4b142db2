//! In the place of `push` where that is left out: nothing is pushed.

use std::sync::Arc;
use std::time::Instant;

use barograph_model::resource::Resource;
use barograph_model::snapshot::Source;

use crate::error::StartError;
use crate::own::Own;

#[derive(Default)]
pub(crate) struct Pushes {}

impl Pushes {
    pub(crate) fn targets(&self) -> Vec<String> {
        Vec::new()
    }

    pub(crate) fn tell_left_out(&mut self, _own: &Arc<Own>) {}

    pub(crate) fn accounts(&self) -> Option<Arc<dyn Source>> {
        None
    }

    pub(crate) fn start(
        self,
        _resource: &Resource,
        _sources: &[Arc<dyn Source>],
    ) -> Result<Option<Pushing>, StartError> {
        Ok(None)
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Pushing {}

impl Pushing {
    pub(crate) fn shutdown(self, _deadline: Instant) {
        match self {}
    }
}
