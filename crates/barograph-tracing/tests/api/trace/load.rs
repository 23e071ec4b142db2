//! Many spans on many threads.

use std::sync::atomic::{AtomicBool, Ordering};

use barograph_core::current;
use barograph_core::record_queue::RecordQueue;
use barograph_tracing::sampling::{Decision, ParentBased, TraceIdRatio};
use barograph_tracing::trace::TraceLayer;
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::prelude::*;

use super::setup::all;

#[test]
fn a_storm_of_spans_is_bounded_and_counted_concurrently() {
    const THREADS: usize = 6;
    const EACH: usize = 2_000;
    let queue = RecordQueue::new(500);
    let sampler = ParentBased::new(TraceIdRatio::new(0.5).unwrap());
    let layer = TraceLayer::builder(queue.clone())
        .with_sampler(sampler)
        .build();
    let handle = layer.handle();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let is_over = AtomicBool::new(false);
    let (send, receive) = std::sync::mpsc::channel::<tracing::Span>();
    let taken = std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let mut taken = 0;
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                assert!(queue.len() <= queue.capacity());
                let some = all(&queue);
                for span in &some {
                    assert!(
                        span.context.is_sampled() && span.end_unix_nano >= span.start_unix_nano
                    );
                    assert!(span.events.len() == 1 || span.name == "inner");
                }
                taken += some.len();
                if is_last && some.is_empty() {
                    return taken;
                }
            }
        });
        // A thread that closes the spans of all other threads.
        let closer = scope.spawn(move || receive.into_iter().for_each(drop));
        let makers: Vec<_> = (0..THREADS)
            .map(|_| {
                let (dispatch, send) = (dispatch.clone(), send.clone());
                scope.spawn(move || {
                    let _guard = tracing::dispatcher::set_default(&dispatch);
                    for at in 0..EACH {
                        let span = info_span!("outer", at);
                        span.in_scope(|| {
                            info!("something");
                            drop(info_span!("inner"));
                        });
                        assert_eq!(current::context(), None);
                        send.send(span).unwrap();
                    }
                })
            })
            .collect();
        drop(send);
        for maker in makers {
            maker.join().unwrap();
        }
        closer.join().unwrap();
        is_over.store(true, Ordering::Release);
        taker.join().unwrap()
    });
    let counts = queue.counts();
    let started = |decision| handle.metrics().started(decision);
    let (sampled, dropped) = (started(Decision::RecordAndSample), started(Decision::Drop));
    assert_eq!(sampled + dropped, (2 * THREADS * EACH) as u64);
    assert_eq!(sampled % 2, 0, "a trace is sampled whole");
    assert!(sampled > 0 && dropped > 0);
    assert_eq!(counts.accepted + counts.refused_full, sampled);
    assert_eq!(counts.accepted, taken as u64);
    assert_eq!((handle.metrics().live(), handle.untracked()), (0, 0));
}
