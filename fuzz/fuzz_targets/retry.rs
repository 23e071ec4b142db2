//! For any responses of a receiver, and any pause that it asks for, the push loop retries, and its
//! account is balanced.
#![no_main]

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use barograph_encode::otlp::{Encoding, Request, RpcStatus, Signal};
use barograph_export::{
    Driver, Ack, RequestSource, Ledger, Outcome, PartialSuccess, Pipeline, Permanent, RetryPolicy, Retryable,
    Target, Transport,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Answer {
    Taken,
    Partial(u64),
    Refused,
    /// The receiver asks for a pause with `Retry-After`.
    Asks {
        pause: (u64, u32),
        may_have_arrived: bool,
    },
    /// The receiver asks for a pause with a `google.rpc.Status`.
    Status(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Input {
    answers: VecDeque<Answer>,
    is_superseded: bool,
    /// The retry policy. Without one it is the default, with which the receiver must be tried again.
    policy: Option<[(u64, u32); 3]>,
    factor: f64,
}

fn duration((seconds, nanos): (u64, u32)) -> Duration {
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
}

/// Makes one request with one item per export cycle.
struct One {
    is_superseded: bool,
    is_due: bool,
}

impl RequestSource for One {
    fn signal(&self) -> Signal {
        Signal::Metrics
    }

    fn begin(&mut self, _now: SystemTime) {
        self.is_due = true;
    }

    fn next(&mut self) -> Option<Request> {
        std::mem::take(&mut self.is_due).then(|| Request {
            signal: Signal::Metrics,
            encoding: Encoding::Protobuf,
            body: Default::default(),
            items: 1,
        })
    }

    fn ack(&mut self, _ack: Ack) {}

    fn is_superseded(&self) -> bool {
        self.is_superseded
    }
}

/// Returns the scripted answers in turn, then accepts everything.
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    target: Target,
}

impl Transport for Script {
    fn send<'a>(
        &'a mut self,
        _request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let answer = self.answers.lock().expect("nobody panics").pop_front();
        let setback = |retry_after, may_have_arrived| {
            Outcome::Retryable(Retryable {
                error_type: "503".into(),
                message: String::new(),
                retry_after,
                may_have_arrived,
            })
        };
        Box::pin(ready(match answer {
            None | Some(Answer::Taken) => Outcome::Delivered(None),
            Some(Answer::Partial(rejected)) => Outcome::Delivered(Some(PartialSuccess {
                rejected,
                message: String::new(),
            })),
            Some(Answer::Refused) => Outcome::Permanent(Permanent {
                error_type: "400".into(),
                message: String::new(),
            }),
            Some(Answer::Asks {
                pause,
                may_have_arrived,
            }) => setback(Some(duration(pause)), may_have_arrived),
            Some(Answer::Status(bytes)) => {
                let status = RpcStatus::from_protobuf(&bytes);
                setback(status.ok().and_then(|status| status.retry), false)
            }
        }))
    }

    fn target(&self) -> &Target {
        &self.target
    }
}

fuzz_target!(|input: Input| {
    let mut input = input;
    input.answers.truncate(20);
    let rounds = input.answers.len() as u32 + 2;
    let answers = Arc::new(Mutex::new(input.answers));
    let target = Target::default();
    let ledger = Ledger::new(Signal::Metrics, "otlp", &target);
    let source = One {
        is_superseded: input.is_superseded,
        is_due: false,
    };
    let transport = Script {
        answers: Arc::clone(&answers),
        target,
    };
    let mut pipeline = Pipeline::new(ledger.clone(), Box::new(source), Box::new(transport));
    if let Some([first, longest, pause]) = input.policy {
        pipeline = pipeline.with_retry(
            RetryPolicy::new()
                .with_initial_interval(duration(first))
                .with_max_interval(duration(longest))
                .with_max_open(duration(pause))
                .with_multiplier(input.factor),
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut driver, handle) = Driver::new([pipeline]);
        let running = tokio::spawn(async move { driver.run().await });
        // At most five minutes between two cycles, and a minute to the next one that is due.
        tokio::time::sleep(rounds * Duration::from_secs(360)).await;
        let (totals, queued) = ledger.balance();
        assert_eq!(totals.produced, totals.settled() + queued);
        if input.policy.is_none() {
            assert!(
                answers.lock().expect("nobody panics").is_empty(),
                "it is tried again"
            );
        }
        let _ = handle.shutdown_async(Duration::from_secs(5)).await;
        running.await.expect("it does not panic");
        let totals = ledger.snapshot();
        assert_eq!(totals.produced, totals.settled());
        assert_eq!(ledger.restarts(), 0);
    });
});
