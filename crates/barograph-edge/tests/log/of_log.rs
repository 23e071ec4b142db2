//! Records of the `log` crate.

use std::sync::Once;

use barograph_core::current;
use barograph_edge::log::{Colors, Format};
use tracing_log::log;

use crate::sheet::{TIME, context, terminal, written};

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
    let told = written(terminal(Format::Pretty(Colors::Off)), log);
    let ids = "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331";
    assert_eq!(told, format!("{TIME}  WARN old::crate: said 7\\n {ids}\n"));
    let told = written(terminal(Format::Json), log);
    assert_eq!(
        told,
        format!(
            "{{\"timestamp\":\"{TIME}\",\"severity\":\"WARN\",\"target\":\"old::crate\",\
             \"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\",\
             \"trace_flags\":\"01\",\"message\":\"said 7\\n\"}}\n"
        )
    );
}
