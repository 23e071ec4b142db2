//! The chain of the process, which can be installed only once.

use std::sync::{Arc, Mutex, PoisonError};

use barograph_tracing::observe::{self, Call, Chain, ChainInstalled, Interceptor};

struct Notes(Arc<Mutex<Vec<String>>>);

impl Interceptor for Notes {
    fn before(&self, call: &Call<'_>) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(format!("{call:?}"));
    }
}

#[test]
fn a_chain_is_installed_once_and_called_for_all_operations() {
    let notes = Arc::default();
    assert!(Chain::installed().is_none());
    observe::begin("Before", "op").succeed();
    let chain = Chain::new().with(Notes(Arc::clone(&notes)));
    assert_eq!(chain.install(), Ok(()));
    assert_eq!(Chain::new().install(), Err(ChainInstalled));
    observe::begin("After", "op").succeed();
    let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*notes, ["Call(\"After\", \"op\")"]);
}
