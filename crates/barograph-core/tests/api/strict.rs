//! `Limits::strict`: each limit, by every way that labels come in, before and after registration.

use barograph_core::labels::LabelSet;
use barograph_core::limits::Limits;
use barograph_core::registry::Registry;
use barograph_core::stats::{Conflict, Refusal, Rejection};
use barograph_core::{counter, gauge};
use barograph_model::snapshot::Source;

use crate::reports::{hear, reports_with};

const OVERFLOW: [(&str, &str); 1] = [("otel.metric.overflow", "true")];
const FORBIDDEN: [&str; 4] = ["user_id", "session_id", "request_id", "trace_id"];

fn strict() -> Registry {
    let builder = Registry::builder().with_limits(Limits::strict());
    builder.build().unwrap()
}

/// Returns the lookups that went to the overflow series of the only family.
fn refused(registry: &Registry) -> Vec<(Refusal, u64)> {
    let mut families = registry.stats().families;
    assert_eq!(families.len(), 1);
    families.remove(0).refused
}

#[derive(LabelSet)]
struct Visit<'a> {
    page: &'a str,
    #[label(name = "session.id")]
    session: &'a str,
}

#[test]
fn the_numbers_are_those_of_the_documents() {
    let strict = Limits::strict();
    assert_eq!((strict.total_series, strict.family_series), (10_000, 1_000));
    assert_eq!((strict.labels, strict.value_length), (10, 256));
    let forbidden: Vec<&str> = strict.forbidden_labels.iter().map(|name| &**name).collect();
    assert_eq!(forbidden, FORBIDDEN);
    let new = Limits::new();
    assert_eq!((new.total_series, new.family_series), (usize::MAX, 2_000));
    assert_eq!((new.labels, new.value_length), (32, 1_024));
    assert!(new.forbidden_labels.is_empty());
}

#[test]
fn a_registration_with_a_forbidden_label_fails_and_names_it() {
    let registry = strict();
    for label in FORBIDDEN {
        let family = registry.counter("visits");
        let error = family.build_with_label_names(["page", label]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "\"visits\": label {label:?} is forbidden in this registry, expected one with few \
                 values"
            )
        );
        assert_eq!(error.reason(), Conflict::ForbiddenLabel);
    }
    let error = registry.gauge("visits").build_with_labels::<Visit<'_>>();
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("label \"session.id\" is forbidden"),
        "{message}"
    );
    let stats = registry.stats();
    assert_eq!(stats.conflicts_by_reason, [(Conflict::ForbiddenLabel, 5)]);
    assert_eq!(stats.conflicts, 5);
    assert!(stats.families.is_empty());
    // Without the limits it is a label like any other.
    let free = Registry::new()
        .gauge("visits")
        .build_with_labels::<Visit<'_>>();
    let visit = Visit {
        page: "/",
        session: "1",
    };
    free.unwrap().with(&visit).set(1.0);
}

#[test]
fn a_registration_with_more_than_10_labels_fails() {
    let registry = strict();
    let labels = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let error = registry.counter("wide").build_with_label_names(labels);
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"wide\": 11 labels, expected at most 10"
    );
    assert_eq!(error.reason(), Conflict::TooManyLabels);
    let ten: [&str; 10] = labels[..10].try_into().unwrap();
    registry
        .counter("wide")
        .build_with_label_names(ten)
        .unwrap()
        .with(&ten)
        .inc();
    assert_eq!(
        registry.stats().conflicts_by_reason,
        [(Conflict::TooManyLabels, 1)]
    );
}

#[test]
fn a_value_of_more_than_256_characters_goes_to_the_overflow_series() {
    hear();
    let registry = strict();
    let hits = registry
        .counter("strict.long")
        .build_with_label_names(["k"])
        .unwrap();
    let (longest, too_long) = ("ü".repeat(256), "ü".repeat(257));
    for _ in 0..3 {
        hits.with(&[&longest]).inc();
        hits.with(&[&too_long]).add(2);
    }
    // Another one with the same first 256 characters is not confused with the first.
    hits.with(&[&format!("{longest}x")]).add(5);
    hits.bind(&[&too_long]).add(7);
    assert_eq!(registry.value("strict.long", &[("k", &longest)]), Some(3.0));
    assert_eq!(registry.value("strict.long", &OVERFLOW), Some(18.0));
    assert_eq!(refused(&registry), [(Refusal::ValueTooLong, 5)]);
    let reports = reports_with("\"strict.long\"");
    assert_eq!(reports.len(), 1, "{reports:?}");
    let value = "ü".repeat(64);
    assert_eq!(
        reports[0],
        format!(
            "\"strict.long\": label value too long: \"{value}\"... of 257 characters, expected at most \
             256; measurements go to the overflow series"
        )
    );
}

#[test]
fn free_form_labels_that_break_a_limit_go_to_the_overflow_series_by_reason() {
    let registry = strict();
    let any = registry.counter("any").build_with_any_labels().unwrap();
    let names: Vec<String> = (0..11).map(|i| format!("l{i}")).collect();
    let eleven: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "1")).collect();
    any.with(&eleven).inc();
    any.with(&eleven[..10]).inc();
    any.with(&[("page", "/"), ("request.id", "7")]).inc();
    any.with(&[("page", &"x".repeat(257))]).inc();
    any.with(&[("le", "1")]).inc();
    assert_eq!(registry.value("any", &OVERFLOW), Some(4.0));
    assert_eq!(registry.value("any", &eleven[..10]), Some(1.0));
    assert_eq!(
        refused(&registry),
        [
            (Refusal::ValueTooLong, 1),
            (Refusal::TooManyLabels, 1),
            (Refusal::InvalidLabel, 1),
            (Refusal::ForbiddenLabel, 1)
        ]
    );
}

#[test]
fn observed_labels_that_break_a_limit_add_up_in_the_overflow_series() {
    hear();
    let registry = strict();
    registry
        .observable_counter("strict.observed")
        .observe(|observer| {
            observer.observe(1, &[("page", "/")]);
            observer.observe(2, &[("user_id", "7")]);
            observer.observe(4, &[("page", &"x".repeat(257))]);
        })
        .unwrap();
    assert_eq!(registry.value("strict.observed", &OVERFLOW), Some(6.0));
    assert_eq!(
        registry.value("strict.observed", &[("page", "/")]),
        Some(1.0)
    );
    let reports = reports_with("\"strict.observed\": forbidden label: \"user_id\"");
    assert_eq!(reports.len(), 1, "{reports:?}");
    let counts: Vec<_> = refused(&registry)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(counts, [Refusal::ValueTooLong, Refusal::ForbiddenLabel]);
}

#[test]
fn facts_that_break_a_limit_are_left_out_of_an_info() {
    hear();
    let registry = strict();
    let info = registry.info("strict.build").build().unwrap();
    let names: Vec<String> = (0..12).map(|i| format!("fact{i:02}")).collect();
    let long = "x".repeat(257);
    let mut facts = vec![("trace_id", "1"), ("flags", &*long)];
    facts.extend(names.iter().map(|name| (&**name, "1")));
    for _ in 0..2 {
        info.set(&facts);
    }
    let families = registry.collect();
    let mut shown = Vec::new();
    families[0].read(0, &mut |point| {
        shown.extend(point.labels.iter().map(|(name, _)| name.to_owned()));
    });
    assert_eq!(shown, names[..10]);
    let stats = registry.stats();
    assert_eq!(
        stats.families[0].rejected,
        [
            (Rejection::ForbiddenLabel, 2),
            (Rejection::TooManyLabels, 4),
            (Rejection::ValueTooLong, 2)
        ]
    );
    let reports = reports_with("\"strict.build\"");
    assert_eq!(reports.len(), 3, "{reports:?}");
    assert_eq!(
        reports[0],
        "\"strict.build\": forbidden label: \"trace_id\", expected one with few values; it is left out \
         of the info"
    );
}

#[test]
fn a_family_that_was_there_before_the_limits_keeps_its_series_and_gets_no_new_ones() {
    let registry = Registry::new();
    let visits = registry
        .counter("visits")
        .build_with_label_names(["user_id"])
        .unwrap();
    visits.with(&["1"]).inc();
    let old = visits.bind(&["2"]);
    registry.set_limits(Limits::strict());
    visits.with(&["1"]).inc();
    old.inc();
    visits.with(&["3"]).inc();
    visits.bind(&["4"]).inc();
    assert_eq!(registry.value("visits", &[("user_id", "1")]), Some(2.0));
    assert_eq!(registry.value("visits", &[("user_id", "2")]), Some(1.0));
    assert_eq!(registry.value("visits", &OVERFLOW), Some(2.0));
    assert_eq!(refused(&registry), [(Refusal::ForbiddenLabel, 2)]);
}

#[test]
fn a_limit_of_a_family_takes_precedence_over_that_of_all_families() {
    let registry = Registry::builder().with_namespace("shop").build().unwrap();
    let family = |name: &str| {
        registry
            .counter(name)
            .build_with_label_names(["k"])
            .unwrap()
    };
    let by_name = family("by_name");
    let in_code = registry.counter("in_code").with_series_limit(70);
    let in_code = in_code.build_with_label_names(["k"]).unwrap();
    let by_default = family("by_default");
    registry
        .observable_gauge("observed")
        .observe(|observer| {
            (0..200).for_each(|k| observer.observe(1.0, &[("k", &k.to_string())]));
        })
        .unwrap();
    registry.set_family_limit("by_name", 60);
    registry.set_family_limit("observed", 40);
    registry.set_limits(Limits::new().with_family_series(50));
    let later = family("later");
    for k in 0..100 {
        for family in [&by_name, &in_code, &by_default, &later] {
            family.with(&[&k.to_string()]).inc();
        }
    }
    registry.collect();
    let stats = registry.stats();
    let series: Vec<_> = stats
        .families
        .iter()
        .map(|f| (&*f.name, f.series, f.limit))
        .collect();
    assert_eq!(
        series,
        [
            ("shop_by_name", 60, 60),
            ("shop_in_code", 70, 70),
            ("shop_by_default", 50, 50),
            ("shop_observed", 40, 40),
            ("shop_later", 50, 50)
        ]
    );
    // A higher limit makes room.
    registry.set_limits(Limits::new());
    by_default.with(&["51"]).inc();
    assert_eq!(by_default.len(), 51);
}

#[test]
fn a_macro_with_a_forbidden_label_records_nothing_and_is_counted_and_reported_once() {
    // Its own scope: limits of the global registry would hold for all tests of this process.
    use barograph_core::clock::ManualClock;
    use barograph_core::registry::CaptureScope;

    hear();
    let registry = strict();
    let scope = CaptureScope::new(&registry, &ManualClock::at(0));
    let _inside = scope.enter();
    for user in ["1", "2", "3"] {
        counter!("strict.macro", user_id = user).inc();
        gauge!("strict.constant", trace_id = "7").set(1.0);
    }
    assert!(registry.collect().is_empty());
    assert_eq!(
        registry.stats().conflicts_by_reason,
        [(Conflict::ForbiddenLabel, 2)]
    );
    for name in ["strict.macro", "strict.constant"] {
        let reports = reports_with(&format!("{name:?}"));
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(
            reports[0].contains("is forbidden in this registry"),
            "{reports:?}"
        );
        assert!(reports[0].contains("strict.rs:"), "{reports:?}");
        assert!(
            reports[0].ends_with("what is recorded there is dropped"),
            "{reports:?}"
        );
    }
    // The same name without that label is a family like any other.
    counter!("strict.macro", page = "/").inc();
    assert_eq!(registry.value("strict.macro", &[("page", "/")]), Some(1.0));
}

/// Text past 65,535 bytes is cut off where it is packed, so two label sets would become one.
#[test]
fn label_sets_that_do_not_fit_into_a_series_are_not_confused() {
    let limits = Limits::new().with_value_length(usize::MAX);
    let registry = Registry::builder().with_limits(limits).build().unwrap();
    let long = "x".repeat(70_000);
    let fixed = registry
        .counter("fixed")
        .build_with_label_names(["k"])
        .unwrap();
    let free = registry.counter("free").build_with_any_labels().unwrap();
    for last in ["a", "b"] {
        let value = format!("{long}{last}");
        fixed.with(&[&value]).inc();
        free.with(&[("k", &value)]).inc();
    }
    let fits = "x".repeat(65_531);
    fixed.with(&[&fits]).inc();
    assert_eq!(registry.value("fixed", &[("k", &fits)]), Some(1.0));
    assert_eq!(fixed.len(), 1);
    assert_eq!(free.len(), 0);
    for name in ["fixed", "free"] {
        assert_eq!(registry.value(name, &OVERFLOW), Some(2.0));
    }
    for family in registry.stats().families {
        assert_eq!(family.refused, [(Refusal::ValueTooLong, 2)]);
    }
}
