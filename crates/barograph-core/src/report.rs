//! Reports for people, one for each cause: conflicts, full families, rejected values.
//!
//! This crate does not log. The facade sets a hook that does; reports made before that are kept for it,
//! at most `MOST_WAITING`.

use std::sync::{Mutex, PoisonError};

/// The most reports that are kept until a hook is set.
const MOST_WAITING: usize = 64;

/// A sentence for people. Each cause is reported once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The event, in lower case and without a full stop, like log lines.
    pub message: String,
}

/// A function that receives reports. It must not block: it runs on the thread that caused the report.
pub type Hook = fn(&Report);

struct Desk {
    hook: Option<Hook>,
    waiting: Vec<Report>,
}

static DESK: Mutex<Desk> = Mutex::new(Desk {
    hook: None,
    waiting: Vec::new(),
});

/// Sets the function that receives the reports of this process: those kept so far, and those to come.
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

/// Makes a report. The caller does so once for each cause.
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
