//! What others can make the admin thread do is bounded.

use std::io::{Read as _, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use barograph::model::snapshot::{FamilyView, Source};
use barograph::registry::Registry;

use crate::client::{connect, get, read};
use crate::service::{Wide, address, builder};

const ASK: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn connections_that_do_nothing_keep_no_scraper_out() -> Result<(), barograph::Error> {
    let telemetry = builder(&Registry::new()).start()?;
    let there = address(&telemetry);
    let mut idle = Vec::new();
    for n in 0..300 {
        let mut stream = connect(there);
        if n % 2 == 0 {
            stream.write_all(b"GET /metr").unwrap();
        }
        idle.push(stream);
    }
    let began = Instant::now();
    assert_eq!(get(there, "/metrics").status, 200);
    assert!(began.elapsed() < Duration::from_secs(5));
    // The oldest made room.
    let mut end = Vec::new();
    let _ = idle[0].read_to_end(&mut end);
    assert!(end.is_empty());
    Ok(())
}

#[test]
fn readers_who_take_nothing_are_bounded_and_let_go() -> Result<(), barograph::Error> {
    let telemetry = builder(&Registry::new())
        .with_source(Wide { series: 100_000 })
        .start()?;
    let there = address(&telemetry);
    // They ask for 20 MB each and read the first byte only, which says that the page has begun.
    let mut slow: Vec<_> = (0..8).map(|_| connect(there)).collect();
    for stream in &mut slow {
        stream.write_all(ASK).unwrap();
    }
    for stream in &mut slow {
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(get(there, "/health").status, 200);
    let busy = get(there, "/metrics");
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    // A reader who leaves makes room at once.
    drop(slow.pop());
    let mut stream = connect(there);
    stream.write_all(ASK).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    drop((stream, slow));
    let page = telemetry.page(None).body;
    assert!(page.contains("\nbarograph_scrapes_total{outcome=\"busy\"} 1\n"));
    Ok(())
}

/// A source that does not return until it may.
struct Stuck {
    entered: Mutex<Sender<()>>,
    may_go: Mutex<Receiver<()>>,
}

impl Source for Stuck {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        self.entered.lock().unwrap().send(()).unwrap();
        // Ends when the other side is dropped.
        let _ = self.may_go.lock().unwrap().recv();
        Vec::new()
    }
}

#[test]
fn a_callback_that_does_not_return_stops_its_own_page_only() -> Result<(), barograph::Error> {
    let (entered, has_entered) = channel();
    let (let_go, may_go) = channel();
    let telemetry = builder(&Registry::new())
        .with_source(Stuck {
            entered: Mutex::new(entered),
            may_go: Mutex::new(may_go),
        })
        .start()?;
    let there = address(&telemetry);
    let mut stream = connect(there);
    stream.write_all(ASK).unwrap();
    has_entered.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(get(there, "/health").status, 200);
    assert_eq!(get(there, "/ready").status, 200);
    drop(let_go);
    assert_eq!(read(stream).status, 200);
    Ok(())
}

#[test]
fn a_callback_that_never_returns_does_not_stop_the_end() -> Result<(), barograph::Error> {
    let (entered, has_entered) = channel();
    let (_let_go, may_go) = channel();
    let telemetry = builder(&Registry::new())
        .with_source(Stuck {
            entered: Mutex::new(entered),
            may_go: Mutex::new(may_go),
        })
        .start()?;
    let mut stream = connect(address(&telemetry));
    stream.write_all(ASK).unwrap();
    has_entered.recv_timeout(Duration::from_secs(10)).unwrap();
    let began = Instant::now();
    drop(telemetry);
    assert!(began.elapsed() < Duration::from_secs(3));
    Ok(())
}
