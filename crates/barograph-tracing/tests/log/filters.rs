use barograph_core::current::{self, ContextGuard};
use barograph_tracing::filter::Filter;
use barograph_tracing::log::{ConsoleLog, Format};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Subscriber, debug, info, info_span, warn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::sheet::{Sheet, context, terminal};

/// A stand-in for the layer that creates spans: it sees each span, and its context is current
/// inside.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<&'static str>>>);

thread_local! {
    static GUARDS: RefCell<Vec<ContextGuard>> = const { RefCell::new(Vec::new()) };
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.0.lock().unwrap().push(attributes.metadata().name());
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        GUARDS.with_borrow_mut(|guards| guards.push(current::enter(context())));
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        GUARDS.with_borrow_mut(|guards| drop(guards.pop()));
    }
}

struct Service {
    sheet: Sheet,
    terminal: ConsoleLog,
    spans: Spans,
}

impl Service {
    /// Returns the lines that were written so far.
    fn lines(&self) -> Vec<String> {
        self.terminal.flush(Duration::from_secs(20)).unwrap();
        self.sheet.text().lines().map(str::to_owned).collect()
    }
}

fn service(lines: Filter, spans: Filter, f: impl FnOnce(&Service)) {
    let (terminal, writer) = terminal(Format::Json).build();
    let service = Service {
        sheet: Sheet::default(),
        terminal,
        spans: Spans::default(),
    };
    let out = service.sheet.clone();
    let thread = std::thread::spawn(|| writer.run(out));
    // The layer of lines is below the layer of spans, because the order must not matter.
    let subscriber = tracing_subscriber::registry()
        .with(service.terminal.layer().with_filter(lines))
        .with(service.spans.clone().with_filter(spans));
    tracing::subscriber::with_default(subscriber, || f(&service));
    service.terminal.shutdown(Duration::from_secs(20)).unwrap();
    thread.join().unwrap();
}

#[test]
fn fewer_lines_leave_the_spans_and_their_ids() {
    service(
        "warn".parse().unwrap(),
        Filter::level(LevelFilter::INFO),
        |service| {
            let _span = info_span!("request", id = 7).entered();
            info!("not told");
            warn!("told");
            assert_eq!(*service.spans.0.lock().unwrap(), ["request"]);
            let lines = service.lines();
            assert_eq!(lines.len(), 1);
            assert!(lines[0].contains("\"message\":\"told\""));
            assert!(lines[0].contains("\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\""));
        },
    );
}

#[test]
fn levels_change_while_the_service_runs() {
    let filter: Filter = "warn".parse().unwrap();
    let handle = filter.handle();
    service(filter, Filter::level(LevelFilter::INFO), |service| {
        let talk = || {
            for round in 0..2 {
                debug!(target: "shop::db", round, "db");
                info!(target: "shop::http", round, "http");
            }
        };
        talk();
        assert_eq!(service.lines().len(), 0);
        handle.set("info,shop::db=debug").unwrap();
        assert_eq!(handle.directives(), "shop::db=debug,info");
        talk();
        assert_eq!(service.lines().len(), 4);
        handle.set("no=such=filter").unwrap_err();
        handle.set_level(LevelFilter::INFO);
        talk();
        assert_eq!(service.lines().len(), 6);
        handle.set_level(LevelFilter::OFF);
        talk();
        assert_eq!(service.lines().len(), 6);
        handle.set("[request{id=7}]=debug").unwrap_err();
        handle.set("shop::http").unwrap();
        talk();
        assert_eq!(service.lines().len(), 8);
    });
}

#[test]
fn filters_change_on_other_threads_concurrently() {
    let filter: Filter = "off".parse().unwrap();
    let handle = filter.handle();
    let spans = Filter::level(LevelFilter::INFO);
    service(filter, spans, |service| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200 {
                    handle.set("info,a=debug").unwrap();
                    handle.set("off").unwrap();
                }
                handle.set_level(LevelFilter::INFO);
            });
            for _ in 0..500 {
                let _span = info_span!("request", id = 7).entered();
                debug!(target: "a", "maybe");
            }
        });
        let before = service.lines().len();
        info!("surely");
        assert_eq!(service.lines().len(), before + 1);
    });
}
