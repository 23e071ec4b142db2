//! Functions that a program sets for errors of a type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Functions of errors, by the type of the error.
pub(super) struct ByError<T>(OnceLock<RwLock<HashMap<TypeId, Function<T>>>>);

/// Returns none for an error of another type.
type Function<T> = Arc<dyn Fn(&dyn Any) -> Option<T> + Send + Sync>;

impl<T> ByError<T> {
    pub(super) const fn new() -> Self {
        ByError(OnceLock::new())
    }

    /// Sets the function for errors of a type.
    pub(super) fn set<E: 'static>(&self, function: impl Fn(&E) -> T + Send + Sync + 'static) {
        let function = move |error: &dyn Any| error.downcast_ref().map(&function);
        let functions = self.0.get_or_init(RwLock::default).write();
        let mut functions = functions.unwrap_or_else(PoisonError::into_inner);
        functions.insert(TypeId::of::<E>(), Arc::new(function));
    }

    /// Applies the function for errors of this type, if there is one.
    pub(super) fn apply<E: 'static>(&self, error: &E) -> Option<T> {
        // Most programs set none, and take no lock.
        let functions = self.0.get()?;
        let function = {
            let functions = functions.read().unwrap_or_else(PoisonError::into_inner);
            functions.get(&TypeId::of::<E>()).cloned()?
        };
        function(error)
    }
}
