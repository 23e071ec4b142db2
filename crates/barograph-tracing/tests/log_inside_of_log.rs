//! A value that logs while it is formatted. This works only with a global subscriber.

use std::fmt;
use std::io::Read as _;
use std::time::Duration;

use barograph_tracing::log::{Colors, ConsoleLog, Format};
use tracing::{info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

struct Talking;

impl fmt::Debug for Talking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(target: "inner", "said while formatting");
        f.write_str("talking")
    }
}

#[test]
fn a_debug_that_logs_has_a_line_of_its_own() {
    let (mut reader, pipe) = std::io::pipe().unwrap();
    let (terminal, writer) = ConsoleLog::builder()
        .with_format(Format::Pretty(Colors::Off))
        .build();
    let thread = std::thread::spawn(|| writer.run(pipe));
    let subscriber = tracing_subscriber::registry().with(terminal.layer());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let span = info_span!("s", a = ?Talking).entered();
    span.record("a", tracing::field::debug(Talking));
    info!(target: "shop", a = ?Talking, "m");
    terminal.shutdown(Duration::from_secs(20)).unwrap();
    thread.join().unwrap();
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    let lines: Vec<_> = output
        .lines()
        .map(|line| line.split_once("INFO ").unwrap().1)
        .collect();
    assert_eq!(
        lines,
        [
            "inner: said while formatting",
            // While a span records fields, the recording code holds all of them, so this line has none.
            "inner: said while formatting in s",
            "inner: said while formatting in s{a=talking}",
            "shop: m a=talking in s{a=talking}",
        ]
    );
}
