use std::error::Error;
use std::fmt;

use barograph_core::current;
use barograph_tracing::log::{Colors, Format};
use tracing::{debug, error, info, info_span, trace, warn};

use crate::failed::Failed;
use crate::sheet::{TIME, context, terminal, written};

const IDS: &str = " trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331";
const JSON_IDS: &str = r#","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","trace_flags":"01""#;

/// Checks the line for people and the line for machines of the same events, without the time.
#[track_caller]
fn check(f: impl Fn(), pretty: &str, json: &str) {
    let output = written(terminal(Format::Pretty(Colors::Off)), &f);
    assert_eq!(output, format!("{TIME} {pretty}\n"));
    let output = written(terminal(Format::Json), &f);
    assert_eq!(output, format!("{{\"timestamp\":\"{TIME}\",{json}}}\n"));
    serde_json::from_str::<serde_json::Value>(&output).unwrap();
}

#[test]
fn a_line_outside_of_a_span_has_no_ids() {
    check(
        || info!(target: "shop", "taken"),
        " INFO shop: taken",
        r#""severity":"INFO","target":"shop","message":"taken""#,
    );
    check(
        || trace!(target: "shop", n = 1),
        "TRACE shop: n=1",
        r#""severity":"TRACE","target":"shop","n":1"#,
    );
}

#[test]
fn a_line_inside_of_a_span_has_its_ids() {
    let log = || {
        let _guard = current::enter(context());
        warn!(target: "shop", id = 7, "taken {}", "now");
    };
    check(
        log,
        &format!(" WARN shop: taken now id=7{IDS}"),
        &format!(r#""severity":"WARN","target":"shop"{JSON_IDS},"message":"taken now","id":7"#),
    );
}

#[test]
fn spans_are_written_with_their_fields() {
    let log = || {
        let outer = info_span!("request", method = "GET", route = "/a b", status = 200);
        let _outer = outer.enter();
        let inner = info_span!("query", rows = tracing::field::Empty);
        let _inner = inner.enter();
        outer.record("status", 500);
        inner.record("rows", 3);
        error!(target: "shop", parent: &inner, "failed");
        let _plain = info_span!("plain").entered();
        debug!(target: "shop", "more");
    };
    let output = written(terminal(Format::Pretty(Colors::Off)), log);
    let request = "request{method=GET route=\"/a b\" status=500}";
    assert_eq!(
        output,
        format!(
            "{TIME} ERROR shop: failed in {request} > query{{rows=3}}\n\
             {TIME} DEBUG shop: more in {request} > query{{rows=3}} > plain\n"
        )
    );
    let output = written(terminal(Format::Json), log);
    let spans = r#"{"name":"request","method":"GET","route":"/a b","status":500},{"name":"query","rows":3}"#;
    assert_eq!(
        output,
        format!(
            "{{\"timestamp\":\"{TIME}\",\"severity\":\"ERROR\",\"target\":\"shop\",\"message\":\"failed\",\
             \"spans\":[{spans}]}}\n\
             {{\"timestamp\":\"{TIME}\",\"severity\":\"DEBUG\",\"target\":\"shop\",\"message\":\"more\",\
             \"spans\":[{spans},{{\"name\":\"plain\"}}]}}\n"
        )
    );
}

#[test]
fn people_read_the_name_of_a_request_and_not_its_conventions() {
    let log = || {
        let name = "GET /orders/{id}";
        let span = info_span!(
            "http",
            otel.name = name,
            http.route = "/orders/{id}",
            id = 7
        );
        let _span = span.entered();
        info!(target: "shop", { http.status = 200 }, "read");
    };
    let output = written(terminal(Format::Pretty(Colors::Off)), log);
    let expected = "read http.status=200 in GET /orders/{id}{id=7}";
    assert_eq!(output, format!("{TIME}  INFO shop: {expected}\n"));
    let output = written(terminal(Format::Json), log);
    let span =
        r#"{"name":"http","otel.name":"GET /orders/{id}","http.route":"/orders/{id}","id":7}"#;
    assert!(output.contains(span), "{output}");
}

#[test]
fn a_field_recorded_again_and_again_keeps_its_last_value() {
    let output = written(terminal(Format::Json), || {
        let span = info_span!("s", n = 0, text = "kept").entered();
        for n in 0..10_000 {
            span.record("n", n);
        }
        info!("x");
    });
    assert!(
        output.ends_with("\"spans\":[{\"name\":\"s\",\"n\":9999,\"text\":\"kept\"}]}\n"),
        "{output}"
    );
}

#[test]
fn values_keep_their_types() {
    check(
        || {
            info!(
                target: "shop",
                yes = true,
                whole = -3_i64,
                large = u64::MAX,
                larger = u128::MAX,
                half = 0.5,
                huge = 1e300,
                nan = f64::NAN,
                word = "plain",
                words = "two words",
                empty = "",
                quoted = "say \"x\"",
                debug = ?"text",
                shape = ?Some(1),
                shown = %"a=b",
                bytes = &[0_u8, 255][..],
            );
        },
        " INFO shop: yes=true whole=-3 large=18446744073709551615 \
         larger=340282366920938463463374607431768211455 half=0.5 huge=1e+300 nan=NaN word=plain \
         words=\"two words\" empty=\"\" quoted=\"say \\\"x\\\"\" debug=\"text\" shape=Some(1) \
         shown=\"a=b\" bytes=00ff",
        r#""severity":"INFO","target":"shop","yes":true,"whole":-3,"large":18446744073709551615,"larger":"340282366920938463463374607431768211455","half":0.5,"huge":1e+300,"nan":"NaN","word":"plain","words":"two words","empty":"","quoted":"say \"x\"","debug":"\"text\"","shape":"Some(1)","shown":"a=b","bytes":"00ff""#,
    );
}

#[test]
fn the_message_comes_first_for_people() {
    check(
        || info!(target: "shop", a = 1, message = "later", b = 2),
        " INFO shop: later a=1 b=2",
        r#""severity":"INFO","target":"shop","a":1,"message":"later","b":2"#,
    );
}

#[test]
fn fields_do_not_take_the_place_of_what_each_line_has() {
    check(
        || info!(target: "shop", trace_id = "x", severity = 1, r#type = "y", "m"),
        " INFO shop: m trace_id=x severity=1 type=y",
        r#""severity":"INFO","target":"shop","message":"m","fields.trace_id":"x","fields.severity":1,"type":"y""#,
    );
}

#[test]
fn no_field_is_lost_beside_one_that_is_called_as_the_line_calls_it() {
    let log = || {
        info!(target: "shop", timestamp = 1, "fields.timestamp" = 2, "m");
        info!(target: "shop", severity = 1, "fields.severity" = 2, "m");
        info!(target: "shop", r#target = 1, "fields.target" = 2, "m");
        info!(target: "shop", trace_id = 1, "fields.trace_id" = 2, "m");
        info!(target: "shop", span_id = 1, "fields.span_id" = 2, "m");
        info!(target: "shop", trace_flags = 1, "fields.trace_flags" = 2, "m");
        info!(target: "shop", spans = 1, "fields.spans" = 2, "m");
        info!(target: "shop", suppressed = 1, "fields.suppressed" = 2, "m");
        info!(target: "shop", cut = 1, "fields.cut" = 2, "m");
        info!(target: "shop", level = 1, "fields.level" = 2, "m");
    };
    let output = written(terminal(Format::Json), log);
    assert_eq!(output.lines().count(), 10);
    for line in output.lines() {
        let fields: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        // The four members of each line, and two fields.
        assert_eq!(fields.len(), 6, "{line}");
        for value in [1, 2] {
            let is_it = |field: &&serde_json::Value| **field == value;
            assert_eq!(fields.values().filter(is_it).count(), 1, "{line}");
        }
        // A JSON parser hides repeated names, so the names are also counted in the text.
        assert_eq!(line.matches("\":").count(), 6, "{line}");
    }
}

#[test]
fn each_name_is_in_a_line_once() {
    let head = r#""severity":"INFO","target":"shop""#;
    let json = |fields: &str| format!("{head}{fields}");
    check(
        || info!(target: "shop", a = 1, b = 2, a = 3, "twice"),
        " INFO shop: twice a=1 b=2 a=3",
        &json(r#","message":"twice","b":2,"a":3"#),
    );
    check(
        || info!(target: "shop", a = 1, a = Option::<u8>::None, "once"),
        " INFO shop: once a=1",
        &json(r#","message":"once","a":1"#),
    );
    check(
        || info!(target: "shop", message = "a field", a = 1, "the message"),
        " INFO shop: the message fields.message=\"a field\" a=1",
        &json(r#","message":"the message","fields.message":"a field","a":1"#),
    );
    check(
        || info!(target: "shop", a = 1, message = "the message"),
        " INFO shop: the message a=1",
        &json(r#","a":1,"message":"the message""#),
    );
    check(
        || info!(target: "shop", trace_id = 1, "fields.trace_id" = 2, r#type = 3, "type" = 4, r#target = 5),
        " INFO shop: trace_id=1 fields.trace_id=2 type=3 type=4 target=5",
        &json(r#","fields.trace_id":1,"fields.fields.trace_id":2,"type":4,"fields.target":5"#),
    );
    check(
        || info!(target: "shop", message = 1, "fields.message" = 2, "fields.fields.message" = 3, "m"),
        " INFO shop: m fields.message=1 fields.message=2 fields.fields.message=3",
        &json(
            r#","message":"m","fields.message":1,"fields.fields.message":2,"fields.fields.fields.message":3"#,
        ),
    );
    let spans = || {
        let _span = info_span!(
            "s",
            a = 1,
            name = 2,
            "fields.name" = 3,
            r#type = 4,
            "type" = 5,
            a = 6
        )
        .entered();
        info!(target: "shop", "m");
    };
    let output = written(terminal(Format::Json), spans);
    let spans = r#""spans":[{"name":"s","a":6,"fields.name":2,"fields.fields.name":3,"type":5}]}"#;
    assert!(output.ends_with(&format!("{spans}\n")), "{output}");
}

#[test]
fn no_value_can_forge_a_line() {
    let evil = "x\n2026-09-12T10:11:12.000000Z ERROR shop: broken\u{1b}[2J\u{9b}1m\r\u{7f}\u{202e}";
    let log = || {
        let _span = info_span!("s", name = evil).entered();
        info!(target: "a\nb", text = evil, shown = %evil, "{evil}");
        info!(target: "shop", user = "x\" admin=true", path = r"C:\x y", quoted = ?evil, "m");
    };
    for format in [Format::Pretty(Colors::Off), Format::Json] {
        let output = written(terminal(format), log);
        assert_eq!(output.lines().count(), 2, "{output}");
        assert!(output.ends_with('\n'));
        let controls = |character: char| character.is_control() && character != '\n';
        assert!(!output.contains('\u{202e}'), "{output:?}");
        assert!(!output.contains(controls), "{output:?}");
        if format == Format::Json {
            for line in output.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["spans"][0]["fields.name"], evil);
            }
            let first: serde_json::Value =
                serde_json::from_str(output.lines().next().unwrap()).unwrap();
            assert_eq!(first["message"], evil);
            assert_eq!(first["text"], evil);
            assert_eq!(first["shown"], evil);
        }
    }
    let output = written(terminal(Format::Pretty(Colors::Off)), log);
    assert!(
        output.contains(r#" user="x\" admin=true" path="C:\\x y" "#),
        "{output}"
    );
    let colored = written(terminal(Format::Pretty(Colors::On)), log);
    assert!(colored.contains(r"\u{1b}[2J") && !colored.contains("\u{1b}[2J"));
}

#[test]
fn colored_and_plain_lines_differ_only_in_colors() {
    let log = || {
        let _guard = current::enter(context());
        let _span = info_span!("request", method = "GET").entered();
        error!(target: "shop", id = 7, "failed");
    };
    let plain = written(terminal(Format::Pretty(Colors::Off)), log);
    let colored = written(terminal(Format::Pretty(Colors::On)), log);
    assert!(colored.contains("\u{1b}[31mERROR\u{1b}[0m"), "{colored:?}");
    let mut rest = colored.as_str();
    let mut stripped = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(stripped + rest, plain);
}

#[test]
fn secrets_are_hidden() {
    let log = || {
        let _span =
            info_span!("login", user = "me", password = "hunter2", api.token = 42).entered();
        info!(
            http.request.header.authorization = "Bearer x",
            url.query = "page=1&token=abc",
            url.full = "https://me:hunter2@shop/?sig=x",
            secret = ?Some("x"),
            "login with password=hunter2"
        );
    };
    for format in [Format::Pretty(Colors::Off), Format::Json] {
        let output = written(terminal(format), log);
        for secret in ["hunter2", "Bearer", "abc", "42", "=x", "Some"] {
            assert!(!output.contains(secret), "{secret}: {output}");
        }
        assert!(output.contains("login with password=REDACTED"), "{output}");
        assert!(output.contains("page=1&token=REDACTED"), "{output}");
        assert!(
            output.contains("https://REDACTED:REDACTED@shop/?sig=REDACTED"),
            "{output}"
        );
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "read by `Debug`")]
struct Settings {
    db_password: Option<&'static str>,
    tokens: u32,
}

#[test]
fn secrets_in_structures_and_headers_are_hidden() {
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", "Bearer hunter2".parse().unwrap());
    headers.insert("cookie", "a=hunter2; b=hunter2".parse().unwrap());
    let settings = Settings {
        db_password: Some("hunter2"),
        tokens: 5,
    };
    let log = || {
        let _span = info_span!("a", ?headers, sessionId = "hunter2").entered();
        info!(
            ?settings,
            ?headers,
            r#"sent {{"token":["hunter2"]}} and --jwt hunter2"#
        );
    };
    for format in [Format::Pretty(Colors::Off), Format::Json] {
        let output = written(terminal(format), log);
        assert!(!output.contains("hunter2"), "{output}");
        assert!(output.contains("tokens: 5"), "{output}");
        if !matches!(format, Format::Pretty(_)) {
            let read: Result<serde_json::Value, _> = serde_json::from_str(output.trim());
            assert!(read.is_ok(), "{output}");
        }
    }
}

#[test]
fn an_error_is_written_with_its_causes() {
    let refused = Failed("refused: postgres://me:hunter2@db", None);
    let failed = Failed("cannot save", Some(Box::new(refused)));
    check(
        || error!(target: "shop", reason = &failed as &dyn Error, "m"),
        r#"ERROR shop: m reason="cannot save: refused: postgres://REDACTED:REDACTED@db""#,
        r#""severity":"ERROR","target":"shop","message":"m","reason":"cannot save: refused: postgres://REDACTED:REDACTED@db""#,
    );
    let repeated = Failed("outer: inner", Some(Box::new(Failed("inner", None))));
    check(
        || error!(target: "shop", reason = &repeated as &dyn Error),
        r#"ERROR shop: reason="outer: inner""#,
        r#""severity":"ERROR","target":"shop","reason":"outer: inner""#,
    );
}

#[test]
fn a_line_is_cut_and_stays_whole() {
    let long = "\u{1b}ä\"".repeat(100_000);
    for format in [Format::Pretty(Colors::On), Format::Json] {
        let texts: [(&str, &str); 4] =
            [(&long, "x"), ("m", &long), ("password=x ", "x"), ("m", "x")];
        for (message, value) in texts {
            let message = if message.len() < 20 {
                message.repeat(2_000)
            } else {
                message.to_owned()
            };
            let output = written(terminal(format), || {
                let _guard = current::enter(context());
                let _span = info_span!("s", long).entered();
                let _more = info_span!("more", long).entered();
                info!(target: "shop", value, debug = ?value, n = 7, "{message}");
            });
            assert!(output.len() <= 16 * 1024, "{}", output.len());
            assert!(output.contains('…'), "{output}");
            assert!(output.contains("0af7651916cd43dd8448eb211c80319c"));
            assert!(output.ends_with('\n') && output.lines().count() == 1);
            if !matches!(format, Format::Pretty(_)) {
                serde_json::from_str::<serde_json::Value>(&output).unwrap();
            }
        }
    }
}

struct Failing(&'static str);

impl fmt::Debug for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        Err(fmt::Error)
    }
}

#[test]
fn a_debug_that_fails_is_replaced() {
    check(
        || info!(target: "shop", a = ?Failing("half"), "m"),
        r#" INFO shop: m a="<error in Debug>""#,
        r#""severity":"INFO","target":"shop","message":"m","a":"<error in Debug>""#,
    );
}

#[test]
fn a_debug_that_panics_takes_its_own_line_alone() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose");
        }
    }
    let output = written(terminal(Format::Json), || {
        let caught = std::panic::catch_unwind(|| info!(a = ?Panics, "lost"));
        assert!(caught.is_err());
        info!(target: "shop", "still here");
    });
    assert!(
        output.contains("still here") && !output.contains("lost"),
        "{output}"
    );
}

#[test]
fn two_terminals_do_not_read_each_others_notes() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let sheets = [
        crate::sheet::Sheet::default(),
        crate::sheet::Sheet::default(),
    ];
    let (people, people_writer) = terminal(Format::Pretty(Colors::Off)).build();
    let (machines, machines_writer) = terminal(Format::Json).build();
    let outs = sheets.clone();
    let threads = [
        (people_writer, outs[0].clone()),
        (machines_writer, outs[1].clone()),
    ]
    .map(|(writer, out)| std::thread::spawn(|| writer.run(out)));
    let subscriber = tracing_subscriber::registry()
        .with(people.layer())
        .with(machines.layer());
    drop((people, machines));
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("s", a = "x y").entered();
        span.record("a", "z");
        info!("m");
    });
    // The subscriber and all its layers are dropped, so the writers end by themselves.
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(
        sheets[0].text().ends_with(" in s{a=z}\n"),
        "{}",
        sheets[0].text()
    );
    assert!(
        sheets[1]
            .text()
            .ends_with("[{\"name\":\"s\",\"a\":\"z\"}]}\n"),
        "{}",
        sheets[1].text()
    );
}
