//! Decides which paths are methods.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The methods that have a label value of their own; every other one is `_OTHER`.
///
/// At most [`Methods::MOST`] unlisted methods are learned: otherwise a server that answers every path
/// would create a series for each.
#[derive(Default)]
pub(super) struct Methods {
    /// The listed methods. If set, no other method is known.
    listed: Option<HashSet<Arc<str>>>,
    /// The services whose methods may be learned; none for all services.
    services: Option<HashSet<Box<str>>>,
    learnt: RwLock<HashSet<Arc<str>>>,
}

impl Methods {
    /// The maximum number of methods that are learned.
    pub(super) const MOST: usize = 1000;

    /// The maximum length of a learned method, in bytes.
    const LONGEST: usize = 256;

    pub(super) fn list(&mut self, methods: impl Iterator<Item = Arc<str>>) {
        self.listed = Some(methods.collect());
    }

    pub(super) fn learn_of(&mut self, services: impl Iterator<Item = Box<str>>) {
        self.services = Some(services.collect());
    }

    /// Returns the method of this name, if it is known.
    pub(super) fn get(&self, method: &str) -> Option<Arc<str>> {
        match &self.listed {
            Some(listed) => listed.get(method).cloned(),
            None => {
                let learnt = self.learnt.read();
                let learnt = learnt.unwrap_or_else(PoisonError::into_inner);
                learnt.get(method).cloned()
            }
        }
    }

    /// Learns a method, and returns it unless it cannot be one, the limit is reached, or methods are
    /// listed.
    pub(super) fn learn(&self, method: &str) -> Option<Arc<str>> {
        let (service, name) = method.split_once('/')?;
        let may_be = self.listed.is_none()
            && method.len() <= Self::LONGEST
            && !service.is_empty()
            && !name.is_empty()
            && !name.contains('/')
            && self
                .services
                .as_ref()
                .is_none_or(|all| all.contains(service));
        if !may_be {
            return None;
        }
        let learnt = self.learnt.write();
        let mut learnt = learnt.unwrap_or_else(PoisonError::into_inner);
        if let Some(method) = learnt.get(method) {
            return Some(method.clone());
        }
        if learnt.len() >= Self::MOST {
            return None;
        }
        let method: Arc<str> = method.into();
        learnt.insert(method.clone());
        Some(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_learned_within_limits() {
        let methods = Methods::default();
        assert_eq!(methods.get("shop.Orders/Get"), None);
        assert!(methods.learn("shop.Orders/Get").is_some());
        assert!(methods.get("shop.Orders/Get").is_some());
        let long = format!("shop.Orders/{}", "x".repeat(Methods::LONGEST));
        for none in ["", "shop.Orders", "/Get", "shop.Orders/", "a/b/c", &long] {
            assert_eq!(methods.learn(none), None, "{none}");
        }
        for number in 0..2 * Methods::MOST {
            let _ = methods.learn(&format!("a/{number}"));
        }
        assert_eq!(methods.learnt.read().unwrap().len(), Methods::MOST);
        assert!(methods.learn("shop.Orders/Get").is_some());
    }

    #[test]
    fn lists_decide_which_methods_are_known() {
        let mut methods = Methods::default();
        methods.learn_of(["a.B".into()].into_iter());
        assert!(methods.learn("a.B/C").is_some());
        assert_eq!(methods.learn("a.X/C"), None);
        methods.list(["a.B/D".into()].into_iter());
        assert!(methods.get("a.B/D").is_some());
        assert_eq!((methods.get("a.B/C"), methods.learn("a.B/C")), (None, None));
    }
}
