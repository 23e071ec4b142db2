//! The load that clients can put on the admin thread is limited.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use barograph::Registry;
use barograph::source::{Descriptor, Kind};
use barograph::source::{FamilyView, Point, Source};

use socket2::{Domain, Socket, Type};

use crate::client::{connect, get, read};
use crate::service::{Wide, address, builder};

const ASK: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn connections_that_do_nothing_keep_no_scraper_out() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new()).start()?;
    let there = address(&telemetry);
    let mut idle = Vec::new();
    for n in 0..600 {
        let mut stream = connect(there);
        if n % 2 == 0 {
            stream.write_all(b"GET /metr").unwrap();
        }
        idle.push(stream);
    }
    let began = Instant::now();
    assert_eq!(get(there, "/metrics").status, 200);
    assert!(began.elapsed() < Duration::from_secs(5));
    // The oldest one was closed to make room.
    let mut end = Vec::new();
    let _ = idle[0].read_to_end(&mut end);
    assert!(end.is_empty());
    Ok(())
}

/// Only Linux has other loopback addresses without configuration.
#[cfg(target_os = "linux")]
#[test]
fn the_peer_with_most_connections_makes_room_not_the_oldest_one() -> Result<(), Box<dyn Error>> {
    let from = |host: [u8; 4], there: SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((host, 0)).into()).unwrap();
        socket.connect(&there.into()).unwrap();
        TcpStream::from(socket)
    };
    let telemetry = builder(&Registry::new()).start()?;
    let there = address(&telemetry);
    let mut scraper = from([127, 0, 0, 3], there);
    let keep = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..3 {
        scraper.write_all(keep).unwrap();
        let mut page = Vec::new();
        while !page.ends_with(b"\r\n0\r\n\r\n") {
            let mut chunk = [0; 4096];
            let length = scraper.read(&mut chunk).unwrap();
            assert!(length > 0, "the connection of the scraper was closed");
            page.extend_from_slice(&chunk[..length]);
        }
        let mut flood: Vec<_> = (0..600).map(|_| from([127, 0, 0, 2], there)).collect();
        // A response to a later connection shows that all earlier ones were accepted.
        assert_eq!(get(there, "/health").status, 200);
        flood[0]
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(flood[0].read(&mut [0]).unwrap(), 0, "it made room");
    }
    Ok(())
}

/// Opens connections that request a page of 4 MB each and read its first bytes, which show that it
/// has begun. The system buffers little for them.
fn slow_readers(there: SocketAddr, count: usize) -> Vec<TcpStream> {
    let reader = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&there.into()).unwrap();
        let limit = Some(Duration::from_secs(20));
        socket.set_read_timeout(limit).unwrap();
        TcpStream::from(socket)
    };
    let mut slow: Vec<_> = (0..count).map(reader).collect();
    for stream in &mut slow {
        stream.write_all(ASK).unwrap();
    }
    for stream in &mut slow {
        begun(stream);
    }
    slow
}

#[track_caller]
fn begun(stream: &mut TcpStream) {
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
}

#[test]
fn slow_readers_make_room_for_one_who_waits() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new())
        .with_source(Wide { series: 20_000 })
        .start()?;
    let there = address(&telemetry);
    let mut slow = slow_readers(there, 8);
    assert_eq!(get(there, "/health").status, 200);
    // All slots are taken by clients that do not read: the next one gets the slot of one of them.
    let began = Instant::now();
    while get(there, "/metrics").status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(get(there, "/health").status, 200);
    let page = telemetry.render(None).body;
    assert!(
        !page.contains("\nbarograph_scrapes_total{outcome=\"cut\"} 0\n"),
        "{page}"
    );
    slow.clear();
    Ok(())
}

#[test]
fn scrapers_who_come_at_once_are_all_answered() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new())
        .with_source(Wide { series: 500 })
        .start()?;
    let there = address(&telemetry);
    let scrapers: Vec<_> = (0..200)
        .map(|_| std::thread::spawn(move || get(there, "/metrics")))
        .collect();
    let mut taken = 0;
    for scraper in scrapers {
        let page = scraper.join().unwrap();
        match page.status {
            200 => taken += 1,
            status => assert_eq!((status, page.header("retry-after")), (503, Some("1"))),
        }
    }
    assert!(taken >= 8, "{taken}");
    Ok(())
}

#[test]
fn health_is_answered_while_more_pages_are_asked_for_than_there_are_places()
-> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new())
        .with_source(Wide { series: 2_000 })
        .start()?;
    let there = address(&telemetry);
    let is_over = Arc::new(AtomicBool::new(false));
    // They send requests continuously, and not all of them read.
    let flood: Vec<_> = (0..24)
        .map(|n| {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(there) else {
                        continue;
                    };
                    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                    let _ = stream.write_all(ASK);
                    let mut part = [0; 4096];
                    while n % 2 == 0 && stream.read(&mut part).is_ok_and(|n| n > 0) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let mut times = Vec::new();
    for _ in 0..25 {
        let began = Instant::now();
        assert_eq!(get(there, "/health").status, 200);
        times.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    is_over.store(true, Ordering::Relaxed);
    for thread in flood {
        thread.join().unwrap();
    }
    times.sort();
    // More than on an idle machine: the flood runs on the same one.
    assert!(times[12] < Duration::from_secs(2), "{times:?}");
    Ok(())
}

/// A source that does not return until it is released.
struct Stuck {
    entered: Mutex<Sender<()>>,
    may_go: Mutex<Receiver<()>>,
}

impl Source for Stuck {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        self.entered.lock().unwrap().send(()).unwrap();
        // Ends when the sender is dropped.
        let _ = self.may_go.lock().unwrap().recv();
        Vec::new()
    }
}

#[test]
fn a_callback_that_does_not_return_stops_its_own_page_only() -> Result<(), Box<dyn Error>> {
    let (entered, has_entered) = channel();
    let (release, may_go) = channel();
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
    drop(release);
    assert_eq!(read(stream).status, 200);
    Ok(())
}

#[test]
fn a_callback_that_never_returns_does_not_stop_the_end() -> Result<(), Box<dyn Error>> {
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

/// A source whose family panics when it is read.
struct Broken;

impl Source for Broken {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        vec![Arc::new(Broken)]
    }
}

impl FamilyView for Broken {
    fn descriptor(&self) -> Arc<Descriptor> {
        Arc::new(Descriptor::new("broken", Kind::Gauge))
    }

    fn read(&self, _: usize, _: &mut dyn FnMut(&Point<'_>)) -> Option<usize> {
        panic!("a source that fails")
    }
}

/// A source that panics at once.
struct BrokenAtOnce;

impl Source for BrokenAtOnce {
    fn collect(&self) -> Vec<Arc<dyn FamilyView>> {
        panic!("a source that fails at once")
    }
}

#[test]
fn a_source_that_panics_leaves_itself_out() -> Result<(), Box<dyn Error>> {
    let telemetry = builder(&Registry::new())
        .with_source(Broken)
        .with_source(BrokenAtOnce)
        .with_source(Wide { series: 1 })
        .start()?;
    let there = address(&telemetry);
    let page = get(there, "/metrics");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("\nwide{"), "{}", page.text());
    assert_eq!(get(there, "/health").status, 200);
    Ok(())
}
