//! Lines and records together with the layer that creates spans.

use std::time::Duration;

use barograph_core::record_queue::RecordQueue;
use barograph_model::context::TraceContext;
use barograph_model::span::SpanRecord;
use barograph_tracing::filter::{AnyFilter, Filter};
use barograph_tracing::log::Format;
use barograph_tracing::trace::{SpanExt as _, TraceLayer};
use tracing::{Span, debug_span, info, info_span, warn};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};

use crate::sheet::{Sheet, terminal};

/// The way in which the layers and their filters are put together.
#[derive(Clone, Copy)]
enum Setup {
    LinesFirst,
    SpansFirst,
    OwnFilters,
}

/// Returns the lines and spans of `f` with the terminal at `level` and the spans at `info`, for
/// each setup.
fn lines(level: &str, f: impl Fn()) -> [(Vec<serde_json::Value>, Vec<SpanRecord>); 3] {
    [Setup::LinesFirst, Setup::SpansFirst, Setup::OwnFilters].map(|setup| {
        let queue = RecordQueue::new(64);
        let (terminal, writer) = terminal(Format::Json).build();
        let sheet = Sheet::default();
        let out = sheet.clone();
        let thread = std::thread::spawn(|| writer.run(out));
        let (of_lines, of_spans): (Filter, Filter) =
            (level.parse().unwrap(), "info".parse().unwrap());
        let (lines, spans) = (terminal.layer(), TraceLayer::new(queue.clone()));
        let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = match setup {
            Setup::LinesFirst => vec![
                lines.with_filter(of_lines).boxed(),
                spans.with_filter(of_spans).boxed(),
            ],
            Setup::SpansFirst => vec![
                spans.with_filter(of_spans).boxed(),
                lines.with_filter(of_lines).boxed(),
            ],
            Setup::OwnFilters => vec![
                AnyFilter::new([of_lines.clone(), of_spans.clone()]).boxed(),
                lines.with_own_filter(of_lines).boxed(),
                spans.with_own_filter(of_spans).boxed(),
            ],
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), &f);
        terminal.shutdown(Duration::from_secs(20)).unwrap();
        thread.join().unwrap();
        let parse = |line: &str| serde_json::from_str(line).unwrap();
        let lines = sheet.text().lines().map(parse).collect();
        let spans = std::iter::from_fn(|| queue.pop()).map(|span| *span);
        (lines, spans.collect())
    })
}

fn has_ids_of(line: &serde_json::Value, context: &TraceContext) -> bool {
    line["trace_id"] == context.trace_id().to_string()
        && line["span_id"] == context.span_id().to_string()
}

#[test]
fn a_line_has_the_ids_of_the_span_that_is_exported() {
    let outputs = lines("info", || {
        let span = info_span!("request", id = 7);
        span.in_scope(|| {
            info!("inside");
            // The layer of spans does not see this span, so the ids are those of the enclosing
            // span.
            debug_span!("detail").in_scope(|| info!("deeper"));
        });
        info!("outside");
    });
    for (lines, spans) in outputs {
        assert_eq!((lines.len(), spans.len()), (3, 1));
        assert!(has_ids_of(&lines[0], &spans[0].context), "{lines:?}");
        assert!(has_ids_of(&lines[1], &spans[0].context), "{lines:?}");
        assert!(lines[2].get("trace_id").is_none());
        assert_eq!(lines[0]["spans"][0]["id"], 7);
    }
}

#[test]
fn fewer_lines_leave_the_spans() {
    let outputs = lines("warn", || {
        let span = info_span!("request", id = 7, size = tracing::field::Empty);
        span.record("size", 8);
        span.in_scope(|| {
            info!("not outputs");
            warn!("told");
        });
    });
    for (lines, spans) in outputs {
        assert_eq!((lines.len(), spans.len()), (1, 1));
        assert!(has_ids_of(&lines[0], &spans[0].context));
        assert!(lines[0].get("spans").is_none(), "{lines:?}");
    }
}

#[test]
fn an_event_that_names_its_parent_has_the_ids_of_that() {
    let outputs = lines("warn", || {
        let (one, other) = (info_span!("one"), info_span!("other"));
        let detail = other.in_scope(|| debug_span!("detail"));
        let _guard = one.entered();
        warn!(parent: &other, "of the other");
        warn!(parent: &detail, "of what is not outputs of");
        warn!(parent: Span::none().id(), "of none");
        let wanted = other.trace_context().unwrap();
        warn!(span = %wanted.span_id(), "of one");
    });
    for (lines, spans) in outputs {
        let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap().context;
        assert!(has_ids_of(&lines[0], &of("other")), "{lines:?}");
        assert!(lines[2].get("trace_id").is_none(), "{lines:?}");
        assert!(has_ids_of(&lines[3], &of("one")), "{lines:?}");
        assert_eq!(lines[3]["span"], lines[0]["span_id"]);
    }
}

#[test]
fn spans_hide_the_same_secrets() {
    let outputs = lines("off", || {
        let span = info_span!("login", password = "hunter2", pin.token = 42, late = "x");
        span.set_attribute("http.request.header.cookie", "a=hunter2");
        span.set_attribute("url.query", "token=hunter2");
        span.record("late", "y");
        span.in_scope(|| {
            let error = std::io::Error::other("cannot reach redis://me:hunter2@db");
            info!(secret = ?"hunter2", error = &error as &dyn std::error::Error, "password=hunter2");
        });
    });
    for (_, spans) in outputs {
        let all = format!("{spans:?}");
        assert!(
            !all.contains("hunter2") && !all.contains("I64(42)"),
            "{all}"
        );
        for there in [
            "token=REDACTED",
            "redis://REDACTED:REDACTED@db",
            "password=REDACTED",
        ] {
            assert!(all.contains(there), "{there}: {all}");
        }
    }
}
