//! The spans that this thread has entered, for each layer.
//!
//! `tracing` reports entering and exiting in two separate calls, which may come out of order: a
//! guard that was held over an await is dropped while another span is on top. So this is a list:
//! exiting a span that is not on top leaves the current context unchanged, and changes only the
//! context that is restored later.
//!
//! The first entries are in thread-local memory, where they are written and read field by field,
//! and no destructor has to be registered. Entries deeper than programs usually nest are in a
//! vector.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::thread;

use barograph_core::current::Current;

/// The number of entries in thread-local memory; spans are rarely nested deeper.
const DEPTH: usize = 16;

struct Stack {
    /// The number of frames in use.
    depth: Cell<usize>,
    /// The number of entries in [`DEEPER`]; 0 while a frame is free.
    deeper: Cell<usize>,
    frames: [Frame; DEPTH],
}

struct Frame {
    layer: Cell<u64>,
    id: Cell<u64>,
    is_recorded: Cell<bool>,
    /// True if the thread was already unwinding when the span was entered.
    in_panic: Cell<bool>,
    /// The context that was current before. Empty while the frame is not in use. It is not dropped
    /// if the thread exits inside of a span.
    before: ManuallyDrop<Cell<Current>>,
}

struct Entered {
    layer: u64,
    id: u64,
    is_recorded: bool,
    in_panic: bool,
    before: Current,
}

thread_local! {
    static STACK: Stack = const {
        Stack {
            depth: Cell::new(0),
            deeper: Cell::new(0),
            frames: [const {
                Frame {
                    layer: Cell::new(0),
                    id: Cell::new(0),
                    is_recorded: Cell::new(false),
                    in_panic: Cell::new(false),
                    before: ManuallyDrop::new(Cell::new(Current::NONE)),
                }
            }; DEPTH],
        }
    };
    static DEEPER: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Enters a span of a layer, and makes `current` the current context.
#[inline]
pub(super) fn enter(layer: u64, id: u64, current: Current, is_recorded: bool) {
    STACK.with(|stack| {
        let depth = stack.depth.get();
        match stack.frames.get(depth) {
            Some(frame) => {
                frame.layer.set(layer);
                frame.id.set(id);
                frame.is_recorded.set(is_recorded);
                frame.in_panic.set(thread::panicking());
                frame.before.set(current.replace());
                stack.depth.set(depth + 1);
            }
            None => stack.edit(|all| {
                all.push(Entered {
                    layer,
                    id,
                    is_recorded,
                    in_panic: thread::panicking(),
                    before: current.replace(),
                });
            }),
        }
    });
}

/// Exits a span of a layer: the latest entry with this id. Returns true if it is exited because of
/// a panic that began inside of it.
#[inline]
pub(super) fn exit(layer: u64, id: u64) -> bool {
    STACK.with(|stack| {
        let depth = stack.depth.get();
        if stack.deeper.get() == 0
            && let Some(frame) = depth.checked_sub(1).and_then(|top| stack.frames.get(top))
            && frame.is(layer, id)
        {
            stack.depth.set(depth - 1);
            frame.before.replace(Current::NONE).restore();
            thread::panicking() && !frame.in_panic.get()
        } else {
            stack.edit(|all| remove(all, layer, id))
        }
    })
}

fn remove(all: &mut Vec<Entered>, layer: u64, id: u64) -> bool {
    let is_it = |entered: &Entered| entered.id == id && entered.layer == layer;
    let Some(at) = all.iter().rposition(is_it) else {
        return false;
    };
    let Entered {
        before, in_panic, ..
    } = all.remove(at);
    match all.get_mut(at) {
        Some(above) => above.before = before,
        None => before.restore(),
    }
    thread::panicking() && !in_panic
}

/// Returns the id of the span of a layer that this thread entered last, if that span is recorded.
#[inline]
pub(super) fn recorded(layer: u64) -> Option<u64> {
    let (id, is_recorded) = top(layer)?;
    is_recorded.then_some(id)
}

/// Returns the id of the span of a layer that this thread entered last.
#[inline]
pub(super) fn last(layer: u64) -> Option<u64> {
    top(layer).map(|(id, _)| id)
}

/// Replaces the current context of a span in every place where this thread has entered it.
pub(super) fn change(layer: u64, id: u64, current: &Current, is_recorded: bool) {
    STACK.with(|stack| {
        stack.edit(|all| {
            for at in 0..all.len() {
                if all[at].id != id || all[at].layer != layer {
                    continue;
                }
                all[at].is_recorded = is_recorded;
                match all.get_mut(at + 1) {
                    Some(above) => above.before = current.clone(),
                    None => current.clone().restore(),
                }
            }
        });
    });
}

#[inline]
fn top(layer: u64) -> Option<(u64, bool)> {
    STACK.with(|stack| {
        if stack.deeper.get() > 0
            && let Some(found) = stack.deeper_top(layer)
        {
            return Some(found);
        }
        let frames = stack.frames[..stack.depth.get().min(DEPTH)].iter();
        let frame = frames.rev().find(|frame| frame.layer.get() == layer)?;
        Some((frame.id.get(), frame.is_recorded.get()))
    })
}

impl Stack {
    #[cold]
    fn deeper_top(&self, layer: u64) -> Option<(u64, bool)> {
        let found = DEEPER.try_with(|deeper| {
            let deeper = deeper.borrow();
            let mut from_top = deeper.iter().rev();
            let entered = from_top.find(|entered| entered.layer == layer)?;
            Some((entered.id, entered.is_recorded))
        });
        found.ok().flatten()
    }

    /// Changes the list as a whole. On a thread that is exiting, the entries deeper than the frames
    /// are lost.
    #[cold]
    fn edit<T>(&self, change: impl FnOnce(&mut Vec<Entered>) -> T) -> T {
        let used = &self.frames[..self.depth.get().min(DEPTH)];
        let mut all: Vec<_> = used.iter().map(Frame::take).collect();
        let _ = DEEPER.try_with(|deeper| all.append(&mut deeper.borrow_mut()));
        let changed = change(&mut all);
        let deeper = all.split_off(all.len().min(DEPTH));
        self.depth.set(all.len());
        for (frame, entered) in self.frames.iter().zip(all) {
            frame.put(entered);
        }
        let count = deeper.len();
        let stored = DEEPER.try_with(|all| *all.borrow_mut() = deeper);
        self.deeper.set(if stored.is_ok() { count } else { 0 });
        changed
    }
}

impl Frame {
    #[inline]
    fn is(&self, layer: u64, id: u64) -> bool {
        self.id.get() == id && self.layer.get() == layer
    }

    fn take(&self) -> Entered {
        Entered {
            layer: self.layer.get(),
            id: self.id.get(),
            is_recorded: self.is_recorded.get(),
            in_panic: self.in_panic.get(),
            before: self.before.replace(Current::NONE),
        }
    }

    fn put(&self, entered: Entered) {
        self.layer.set(entered.layer);
        self.id.set(entered.id);
        self.is_recorded.set(entered.is_recorded);
        self.in_panic.set(entered.in_panic);
        self.before.set(entered.before);
    }
}

#[cfg(test)]
mod tests {
    use barograph_core::{current, ids};

    use super::*;

    #[test]
    fn any_depth_is_left_in_any_order() {
        let contexts: Vec<_> = (0..3 * DEPTH).map(|_| ids::new_trace()).collect();
        let orders: [fn(usize) -> usize; 3] = [
            |at| 3 * DEPTH - 1 - at,
            |at| at,
            // The factor is coprime to the length.
            |at| at * 7 % (3 * DEPTH),
        ];
        for order in orders {
            let mut inside: Vec<_> = (0..contexts.len()).collect();
            for (id, context) in contexts.iter().enumerate() {
                enter(1, id as u64, (*context).into(), id % 2 == 0);
                assert_eq!(last(1), Some(id as u64));
                assert_eq!(recorded(1), (id % 2 == 0).then_some(id as u64));
                assert_eq!(last(2), None);
            }
            for at in 0..contexts.len() {
                exit(2, order(at) as u64);
                exit(1, order(at) as u64);
                inside.retain(|id| *id != order(at));
                let top = inside.last().copied();
                assert_eq!(current::context(), top.map(|id| contexts[id]));
                assert_eq!(last(1), top.map(|id| id as u64));
            }
        }
        assert_eq!(current::context(), None);
    }

    #[test]
    fn a_changed_context_is_found_wherever_its_span_was_entered() {
        let [a, b, changed] = [(); 3].map(|()| ids::new_trace());
        enter(1, 1, a.into(), false);
        enter(1, 2, b.into(), false);
        enter(1, 1, a.into(), false);
        change(1, 1, &changed.into(), true);
        assert_eq!((current::context(), recorded(1)), (Some(changed), Some(1)));
        exit(1, 1);
        assert_eq!((current::context(), recorded(1)), (Some(b), None));
        exit(1, 2);
        assert_eq!((current::context(), recorded(1)), (Some(changed), Some(1)));
        exit(1, 1);
        assert_eq!(current::context(), None);
    }
}
