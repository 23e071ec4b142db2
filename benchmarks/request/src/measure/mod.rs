//! Starts the servers in turn, loads each, and compares the cost of a request.

mod child;
mod load;
mod receiver;
mod report;

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use crate::servers::Stack;
use child::Child;
use load::Wrk;
use receiver::{Received, Receiver};
use report::Rounds;

/// The parameters of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// The time that each server is loaded in a round.
    pub(crate) slice: Duration,
    pub(crate) connections: u32,
    /// The ratio of added costs above which the program fails.
    pub(crate) most: Option<f64>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            rounds: 7,
            slice: Duration::from_secs(3),
            connections: 64,
            most: None,
        }
    }
}

/// The result of one server in one round.
#[derive(Clone, Copy, Debug)]
struct Figure {
    requests: f64,
    /// The number of requests per second.
    rate: f64,
    /// The CPU time of the server per request, in microseconds, of all its threads and including
    /// the kernel.
    micros: f64,
    received: Received,
}

/// Runs the measurement, and prints the figures to stdout.
pub(crate) fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let wrk = Wrk::find()?;
    let receiver = Receiver::start()?;
    let mut rounds = Rounds::default();
    for round in 1..=plan.rounds {
        let mut figures = Vec::new();
        for stack in Stack::ALL {
            figures.push(measure(stack, plan, &wrk, &receiver)?);
        }
        let cells = figures.iter().map(|f| format!("{:.2}", f.micros));
        writeln!(
            io::stderr(),
            "round {round} of {}: {} us",
            plan.rounds,
            cells.collect::<Vec<_>>().join(" ")
        )?;
        rounds.push(figures)?;
    }
    let summary = rounds.summary();
    write!(io::stdout(), "{summary}")?;
    match plan.most {
        // If a figure is missing, the ratio is NaN.
        Some(most) if summary.ratio().is_nan() || summary.ratio() > most => Err(format!(
            "ours adds {:.2} of what OpenTelemetry adds, more than {most}",
            summary.ratio()
        )
        .into()),
        _ => Ok(()),
    }
}

fn measure(
    stack: Stack,
    plan: &Plan,
    wrk: &Wrk,
    receiver: &Receiver,
) -> Result<Figure, Box<dyn Error>> {
    let child = Child::start(stack, receiver.address())?;
    let url = format!("http://{}/orders/7", child.address());
    // The warm-up keeps the cost of filling caches, creating series and connecting exporters out of
    // the figure.
    let warm = wrk.load(&url, plan.connections, Duration::from_secs(1))?;
    let before = child.cpu_time()?;
    let load = wrk.load(&url, plan.connections, plan.slice)?;
    let cpu_time = child.cpu_time()? - before;
    child.stop()?;
    let received = receiver.take();
    let figure = Figure {
        requests: warm.requests + load.requests,
        rate: load.rate,
        micros: cpu_time.as_secs_f64() * 1e6 / load.requests,
        received,
    };
    figure.prove(stack)?;
    Ok(figure)
}

impl Figure {
    /// Checks that the server did the work.
    fn prove(&self, stack: Stack) -> Result<(), String> {
        let Received {
            spans,
            records,
            orders,
        } = self.received;
        let is_pushed = match stack {
            Stack::Bare => return Ok(()),
            Stack::Barograph | Stack::Oxtel => spans > 0 && records > 0,
            Stack::Lines | Stack::OxtelLines | Stack::OpenTelemetry => spans > 0,
        };
        let name = stack.name();
        if !is_pushed {
            return Err(format!("{name} did not push: {:?}", self.received));
        }
        // `wrk` does not count the requests that were in flight when it stopped.
        if (orders as f64) < self.requests || orders as f64 > self.requests * 1.01 + 1_000.0 {
            let requests = self.requests;
            return Err(format!("{name} counted {orders} orders of {requests}"));
        }
        Ok(())
    }
}
