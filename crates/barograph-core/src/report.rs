//! Things that a person should hear of once: conflicts, full families, rejected values.
//!
//! This room does not log. Whoever does, the roof, sets a hook; what happened before is kept for it,
//! some dozens of reports at most.

use std::sync::{Mutex, PoisonError};

/// The most reports that wait for a hook.
const MOST_WAITING: usize = 64;

/// A sentence for people. Each cause reports once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened, in lower case and without a full stop, as log lines are.
    pub message: String,
}

/// Receives reports. It must not block: it runs where the cause is.
pub type Hook = fn(&Report);

struct Desk {
    hook: Option<Hook>,
    waiting: Vec<Report>,
}

static DESK: Mutex<Desk> = Mutex::new(Desk {
    hook: None,
    waiting: Vec::new(),
});

/// Sets who receives reports in this process, from now on and those that wait.
pub fn set_hook(hook: Hook) {
    let waiting = {
        let mut desk = DESK.lock().unwrap_or_else(PoisonError::into_inner);
        desk.hook = Some(hook);
        std::mem::take(&mut desk.waiting)
    };
    for report in &waiting {
        hook(report);
    }
}

/// Hands in a report. The caller does so once for each cause.
pub fn report(message: String) {
    let report = Report { message };
    let hook = {
        let mut desk = DESK.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(hook) = desk.hook else {
            if desk.waiting.len() < MOST_WAITING {
                desk.waiting.push(report);
            }
            return;
        };
        hook
    };
    hook(&report);
}
