//! Starts the servers in turn, loads each, and compares what a request costs.

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

/// How it is measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// How long each server is loaded in a round.
    pub(crate) slice: Duration,
    pub(crate) connections: u32,
    /// The ratio of added costs above which it fails.
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

/// What one server did in one round.
#[derive(Clone, Copy, Debug)]
struct Figure {
    requests: f64,
    /// Requests in a second.
    rate: f64,
    /// CPU time of the server for a request, in microseconds, of all its threads and in the kernel.
    micros: f64,
    received: Received,
}

/// Measures, and shows the figures on stdout.
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
        // Where a figure is missing, the ratio is no number.
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
    // Caches, series and connections of those who export are part of no figure.
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
    /// That the server did the work.
    fn prove(&self, stack: Stack) -> Result<(), String> {
        let Received {
            spans,
            records,
            orders,
        } = self.received;
        let is_pushed = match stack {
            Stack::Bare => return Ok(()),
            Stack::Barograph => spans > 0 && records > 0,
            Stack::Lines | Stack::OpenTelemetry => spans > 0,
        };
        let name = stack.name();
        if !is_pushed {
            return Err(format!("{name} did not push: {:?}", self.received));
        }
        // `wrk` does not count the requests that were under way when it stopped.
        if (orders as f64) < self.requests || orders as f64 > self.requests * 1.01 + 1_000.0 {
            let requests = self.requests;
            return Err(format!("{name} counted {orders} orders of {requests}"));
        }
        Ok(())
    }
}
