use super::*;

use Translation::{
    NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
};

fn names(name: &str, unit: &str, kind: Kind, translation: Translation) -> FamilyName {
    escaped(name, unit, kind, translation, Escaping::AllowUtf8)
}

fn escaped(
    name: &str,
    unit: &str,
    kind: Kind,
    translation: Translation,
    escaping: Escaping,
) -> FamilyName {
    let mut descriptor = Descriptor::new(name, kind);
    descriptor.unit = unit.into();
    FamilyName::new(&descriptor, translation, escaping)
}

#[test]
fn the_default_translation_adds_each_suffix_once() {
    for (name, unit, kind, expected) in [
        ("requests_total", "", Kind::Counter, "requests_total"),
        ("io_bytes_total", "By", Kind::Counter, "io_bytes_total"),
        ("io_total", "By", Kind::Counter, "io_bytes_total"),
        (
            "http_request_duration_seconds",
            "s",
            Kind::Histogram,
            "http_request_duration_seconds",
        ),
        (
            "http.server.request.duration",
            "s",
            Kind::Histogram,
            "http_server_request_duration_seconds",
        ),
        ("jobs", "1", Kind::Counter, "jobs_total"),
        ("jobs", "1", Kind::Gauge, "jobs"),
        ("a..b--c", "", Kind::Counter, "a_b_c_total"),
        ("orders", "{order}", Kind::Counter, "orders_total"),
        ("1st", "", Kind::Gauge, "_1st"),
        ("größe", "", Kind::Gauge, "gr_e"),
        ("_private", "", Kind::Gauge, "_private"),
        ("__name__", "", Kind::Gauge, "_name_"),
        ("rule:sum", "", Kind::Gauge, "rule:sum"),
        (
            "in milliseconds",
            "s",
            Kind::Gauge,
            "in_milliseconds_seconds",
        ),
        ("a_seconds_", "s", Kind::Gauge, "a_seconds"),
        ("a_seconds__total", "s", Kind::Counter, "a_seconds_total"),
        ("seconds", "s", Kind::Gauge, "seconds"),
        ("total", "", Kind::Counter, "total_total"),
        ("_total", "", Kind::Counter, "_total_total"),
        ("ö", "", Kind::Counter, "_total_total"),
        ("rate_bytes", "By/s", Kind::Gauge, "rate_bytes_per_second"),
        (
            "rate_bytes_per_second",
            "By/s",
            Kind::Gauge,
            "rate_bytes_per_second",
        ),
        ("hits", "{hit}/s", Kind::Gauge, "hits_per_second"),
        ("build_info", "", Kind::Info, "build_info"),
        ("build", "s", Kind::Info, "build_info"),
        ("feature:on", "s", Kind::StateSet, "feature_on"),
        ("cpu", "%", Kind::Unknown, "cpu_percent"),
        ("x\n\0y", "", Kind::Gauge, "x_y"),
    ] {
        let names = names(name, unit, kind, UnderscoreEscapingWithSuffixes);
        assert_eq!(names.text, expected, "{name} {unit} {kind:?}");
        let family = match type_suffix(kind) {
            Some(word) => expected
                .strip_suffix(&format!("_{word}"))
                .unwrap_or(expected),
            None => expected,
        };
        let family = if family.is_empty() { expected } else { family };
        assert_eq!(names.family, family, "{name}");
    }
}

#[test]
fn each_translation_has_its_own_result_for_a_name() {
    let name = |translation| {
        let names = names(
            "http.requests.total",
            "{request}",
            Kind::Counter,
            translation,
        );
        (names.family, names.text)
    };
    let pair = |family: &str, text: &str| (family.to_owned(), text.to_owned());
    assert_eq!(
        name(UnderscoreEscapingWithSuffixes),
        pair("http_requests", "http_requests_total")
    );
    assert_eq!(
        name(UnderscoreEscapingWithoutSuffixes),
        pair("http_requests", "http_requests_total")
    );
    assert_eq!(
        name(NoUtf8EscapingWithSuffixes),
        pair("http.requests", "http.requests_total")
    );
    assert_eq!(
        name(NoTranslation),
        pair("http.requests.total", "http.requests.total")
    );
    let unsuffixed = names(
        "queue.wait",
        "s",
        Kind::Gauge,
        UnderscoreEscapingWithoutSuffixes,
    );
    assert_eq!((&*unsuffixed.text, &*unsuffixed.unit), ("queue_wait", ""));
    let utf8 = names("queue.wait", "s", Kind::Gauge, NoUtf8EscapingWithSuffixes);
    assert_eq!(
        (&*utf8.text, &*utf8.unit),
        ("queue.wait_seconds", "seconds")
    );
    let colon = names("a:b", "", Kind::StateSet, NoTranslation);
    assert_eq!(colon.text, "a:b");
}

#[test]
fn escaping_is_applied_after_the_translation() {
    for (translation, escaping, family, text) in [
        (
            UnderscoreEscapingWithSuffixes,
            Escaping::Underscores,
            "a_b",
            "a_b_total",
        ),
        (
            UnderscoreEscapingWithSuffixes,
            Escaping::Dots,
            "a_b",
            "a_b_total",
        ),
        (
            UnderscoreEscapingWithSuffixes,
            Escaping::Values,
            "a_b",
            "a_b_total",
        ),
        (
            UnderscoreEscapingWithSuffixes,
            Escaping::AllowUtf8,
            "a_b",
            "a_b_total",
        ),
        (
            NoUtf8EscapingWithSuffixes,
            Escaping::Underscores,
            "a_b",
            "a_b_total",
        ),
        (
            NoUtf8EscapingWithSuffixes,
            Escaping::Dots,
            "a_dot_b_",
            "a_dot_b__total",
        ),
        (
            NoUtf8EscapingWithSuffixes,
            Escaping::Values,
            "U__a_2e_b_",
            "U__a_2e_b__total",
        ),
        (
            NoUtf8EscapingWithSuffixes,
            Escaping::AllowUtf8,
            "a.b",
            "a.b_total",
        ),
    ] {
        let names = escaped("a.b", "", Kind::Counter, translation, escaping);
        assert_eq!(
            (&*names.family, &*names.text),
            (family, text),
            "{translation:?} {escaping:?}"
        );
    }
}

#[test]
fn translated_label_names_are_valid() {
    for (name, translation, escaping, expected) in [
        (
            "http.route",
            UnderscoreEscapingWithSuffixes,
            Escaping::AllowUtf8,
            "http_route",
        ),
        (
            "1st",
            UnderscoreEscapingWithSuffixes,
            Escaping::Underscores,
            "_1st",
        ),
        (
            "k:colon",
            UnderscoreEscapingWithSuffixes,
            Escaping::Underscores,
            "k_colon",
        ),
        (
            "",
            UnderscoreEscapingWithSuffixes,
            Escaping::Underscores,
            "_",
        ),
        (
            "__name__",
            UnderscoreEscapingWithSuffixes,
            Escaping::Underscores,
            "_name_",
        ),
        (
            "a\n b",
            UnderscoreEscapingWithSuffixes,
            Escaping::Underscores,
            "a_b",
        ),
        (
            "http.route",
            NoTranslation,
            Escaping::AllowUtf8,
            "http.route",
        ),
        (
            "http.route",
            NoTranslation,
            Escaping::Underscores,
            "http_route",
        ),
        (
            "http.route_x",
            NoTranslation,
            Escaping::Dots,
            "http_dot_route__x",
        ),
        (
            "http.route_x",
            NoTranslation,
            Escaping::Values,
            "U__http_2e_route__x",
        ),
        ("1st", NoTranslation, Escaping::Values, "U___31_st"),
        ("k:colon", NoTranslation, Escaping::Underscores, "k_colon"),
        ("__name__", NoTranslation, Escaping::AllowUtf8, "_name__"),
        ("_name_", NoTranslation, Escaping::Dots, "_name__"),
        ("a\0b", NoTranslation, Escaping::AllowUtf8, "a\u{fffd}b"),
        ("", NoTranslation, Escaping::AllowUtf8, "_"),
    ] {
        let page = label(name, translation, escaping);
        assert_eq!(page, expected, "{name:?} {translation:?} {escaping:?}");
        assert!(escaping == Escaping::AllowUtf8 || is_legacy(&page, NameKind::Label));
    }
}
