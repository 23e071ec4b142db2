//! The spans that this thread has entered, by layer.
//!
//! `tracing` tells of entering and leaving in two calls, and need not tell in order: a guard that was
//! held over an await is dropped when another is on top. So there is a list: leaving what is not on
//! top changes nothing that is current, only what will be found below.

use std::cell::RefCell;

use barograph_core::current::Current;

struct Entered {
    layer: u64,
    id: u64,
    is_recorded: bool,
    /// What was current before.
    before: Current,
}

thread_local! {
    static STACK: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Enters a span of a layer. On a thread that dies nothing happens.
#[inline]
pub(super) fn enter(layer: u64, id: u64, current: Current, is_recorded: bool) {
    let _ = STACK.try_with(|stack| {
        stack.borrow_mut().push(Entered {
            layer,
            id,
            is_recorded,
            before: current.replace(),
        });
    });
}

/// Leaves a span of a layer: the one of this id that was entered last.
#[inline]
pub(super) fn exit(layer: u64, id: u64) {
    let _ = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        let is_it = |entered: &Entered| entered.id == id && entered.layer == layer;
        if stack.last().is_some_and(is_it) {
            if let Some(top) = stack.pop() {
                top.before.restore();
            }
        } else if let Some(at) = stack.iter().rposition(is_it) {
            let below = stack.remove(at).before;
            stack[at].before = below;
        }
    });
}

/// The span that this thread has entered last of those that a layer knows, if something is recorded
/// of it.
#[inline]
pub(super) fn recorded(layer: u64) -> Option<u64> {
    top(layer, |entered| entered.is_recorded.then_some(entered.id)).flatten()
}

/// The span that this thread has entered last of those that a layer knows.
#[inline]
pub(super) fn last(layer: u64) -> Option<u64> {
    top(layer, |entered| entered.id)
}

/// Something else is current in a span now, wherever this thread has entered it.
pub(super) fn change(layer: u64, id: u64, current: &Current, is_recorded: bool) {
    let _ = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        for at in 0..stack.len() {
            if stack[at].id != id || stack[at].layer != layer {
                continue;
            }
            stack[at].is_recorded = is_recorded;
            match stack.get_mut(at + 1) {
                Some(above) => above.before = current.clone(),
                None => current.clone().restore(),
            }
        }
    });
}

#[inline]
fn top<T>(layer: u64, read: impl FnOnce(&Entered) -> T) -> Option<T> {
    let found = STACK.try_with(|stack| {
        let stack = stack.borrow();
        let mut from_top = stack.iter().rev();
        from_top.find(|entered| entered.layer == layer).map(read)
    });
    found.ok().flatten()
}
