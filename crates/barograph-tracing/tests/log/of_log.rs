//! Records of the `log` crate.

use std::sync::Once;
use std::time::Duration;

use barograph_core::current;
use barograph_tracing::filter::Filter;
use barograph_tracing::log::{Colors, Format};
use tracing_log::log;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::sheet::{Sheet, TIME, context, terminal, written};

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_log::LogTracer::init().unwrap());
}

#[test]
fn records_of_the_log_crate_are_lines_too() {
    install();
    let log = || {
        let _guard = current::enter(context());
        log::warn!(target: "old::crate", "said {}\n", 7);
    };
    let output = written(terminal(Format::Pretty(Colors::Off)), log);
    let ids = "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331";
    assert_eq!(
        output,
        format!("{TIME}  WARN old::crate: said 7\\n {ids}\n")
    );
    let output = written(terminal(Format::Json), log);
    assert_eq!(
        output,
        format!(
            "{{\"timestamp\":\"{TIME}\",\"severity\":\"WARN\",\"target\":\"old::crate\",\
             \"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\",\
             \"trace_flags\":\"01\",\"message\":\"said 7\\n\"}}\n"
        )
    );
}

#[test]
fn records_of_the_log_crate_are_filtered_by_their_own_target() {
    install();
    let filter: Filter = "error,old::crate=warn".parse().unwrap();
    let (terminal, writer) = terminal(Format::Pretty(Colors::Off)).build();
    let sheet = Sheet::default();
    let out = sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    let subscriber = tracing_subscriber::registry().with(terminal.layer().with_filter(filter));
    tracing::subscriber::with_default(subscriber, || {
        log::warn!(target: "old::crate", "shown");
        log::warn!(target: "other::crate", "not shown");
        log::info!(target: "old::crate", "not shown");
        log::error!(target: "other::crate", "shown");
    });
    terminal.shutdown(Duration::from_secs(20)).unwrap();
    thread.join().unwrap();
    assert_eq!(
        sheet.text(),
        format!("{TIME}  WARN old::crate: shown\n{TIME} ERROR other::crate: shown\n")
    );
}
