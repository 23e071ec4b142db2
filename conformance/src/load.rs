//! A fixed number of real HTTP requests, some of them inside sampled traces.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use ureq::{RequestBuilder, typestate::WithoutBody};

use crate::ask::calm_agent;

const CLIENTS: u64 = 4;
/// Of `TRACED` requests, one carries a sampled `traceparent`, and another one an unsampled one.
const TRACED: u64 = 10;

/// The requests that were sent, for comparison with what arrives.
#[derive(Debug)]
pub struct Load {
    /// The number of requests to `/orders/{id}`.
    pub orders: u64,
    /// The number of requests to a path that no route matches.
    pub strays: u64,
    /// The sampled traces, from trace id to span id.
    pub sampled: BTreeMap<String, String>,
    /// The trace ids of the unsampled traces.
    pub unsampled: BTreeSet<String>,
}

impl Load {
    /// Returns true if these can be the ids of a server span in a sampled trace: either a trace
    /// that was sent, or one that began with a request without a trace context.
    pub fn may_have_made(&self, trace_id: &str, span_id: &str) -> bool {
        let is_id = |id: &str, length| {
            id.len() == length && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let is_callers = self.sampled.get(trace_id).is_some_and(|id| id == span_id);
        is_id(trace_id, 32)
            && is_id(span_id, 16)
            && !is_callers
            && !self.unsampled.contains(trace_id)
    }
}

/// Sends `orders` requests for orders and `strays` requests that no route matches, over several
/// connections at once, and returns when all have a response.
///
/// # Panics
///
/// Panics if a response is not the expected one.
pub fn send(base: &str, orders: u64, strays: u64) -> Load {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let agent = calm_agent();
                for id in (client..orders).step_by(CLIENTS as usize) {
                    let request = agent.get(format!("{base}/orders/{id}"));
                    let request = match traceparent(id) {
                        Some(value) => request.header("traceparent", value),
                        None => request,
                    };
                    order(request, id);
                }
                for id in (client..strays).step_by(CLIENTS as usize) {
                    let answer = agent.get(format!("{base}/stray/{id}")).call();
                    assert_eq!(answer.expect("the service answers").status(), 404);
                }
            });
        }
    });
    let sampled = (0..orders)
        .step_by(TRACED as usize)
        .map(|id| (trace_id(id), span_id(id)));
    Load {
        orders,
        strays,
        sampled: sampled.collect(),
        unsampled: (1..orders).step_by(TRACED as usize).map(trace_id).collect(),
    }
}

/// Sends requests for orders without a trace context, over several connections at once.
///
/// # Panics
///
/// Panics if a response is not the expected one.
pub fn send_bare(base: &str, orders: u64) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let agent = calm_agent();
                for id in (client..orders).step_by(CLIENTS as usize) {
                    order(agent.get(format!("{base}/orders/{id}")), id);
                }
            });
        }
    });
}

fn order(request: RequestBuilder<WithoutBody>, id: u64) {
    let mut answer = request.call().expect("the service answers");
    let body = answer.body_mut().read_to_string().expect("a body of text");
    assert_eq!(body, format!("order {id}"));
}

fn traceparent(id: u64) -> Option<String> {
    let flags = match id % TRACED {
        0 => "01",
        1 => "00",
        _ => return None,
    };
    Some(format!("00-{}-{}-{flags}", trace_id(id), span_id(id)))
}

fn trace_id(id: u64) -> String {
    format!("{:032x}", (0xba60_u128 << 112) | u128::from(id))
}

fn span_id(id: u64) -> String {
    format!("{:016x}", (0x5ba4_u64 << 48) | id)
}
