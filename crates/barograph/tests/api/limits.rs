//! The limits of the registry, as an operator sees them on the page.

use std::error::Error;

use barograph::instruments::Refusal;
use barograph::{Limits, Registry, Telemetry};

use crate::service::builder;

/// Returns the value of the line that begins like this.
fn value(page: &str, start: &str) -> Option<f64> {
    let value = page.lines().find_map(|line| line.strip_prefix(start))?;
    Some(value.trim().parse().unwrap())
}

fn start(registry: &Registry, limits: Limits) -> Result<Telemetry, Box<dyn Error>> {
    let builder = builder(registry).without_listener();
    Ok(builder.with_limits(limits).start()?)
}

#[test]
fn the_page_shows_the_share_of_each_limit_that_is_used() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let limits = Limits::strict()
        .with_family_series(100)
        .with_total_series(1000);
    let telemetry = start(&registry, limits)?;
    let hits = registry.counter("hits").build_with_label_names(["k"])?;
    registry.counter("alone").build()?.inc();
    for series in [0, 79, 80, 81, 94, 95, 96, 100] {
        for label in hits.len()..series {
            hits.with(&[&label.to_string()]).inc();
        }
        let page = telemetry.render(None).body;
        let family = r#"barograph_family_utilization{registry="default",family="hits"}"#;
        let total = r#"barograph_registry_utilization{registry="default"}"#;
        assert_eq!(value(&page, family), Some(series as f64 / 100.0), "{page}");
        assert_eq!(value(&page, total), Some((series + 1) as f64 / 1000.0));
        assert!(!page.contains(r#"family="alone""#), "{page}");
    }
    Ok(())
}

#[test]
fn a_registry_without_a_limit_has_no_utilization() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let telemetry = builder(&registry).without_listener().start()?;
    let hits = registry.counter("hits").build_with_label_names(["k"])?;
    hits.with(&["a"]).inc();
    let page = telemetry.render(None).body;
    assert!(!page.contains("barograph_registry_utilization"), "{page}");
    let family = r#"barograph_family_utilization{registry="default",family="hits"}"#;
    assert_eq!(value(&page, family), Some(1.0 / 2000.0), "{page}");
    Ok(())
}

#[test]
fn strict_limits_hold_for_all_families_and_nothing_is_lost() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let builder = builder(&registry).without_listener();
    let builder = builder.with_limits(Limits::strict());
    let telemetry = builder.with_series_limit("family2", 2_000).start()?;
    for family in 0..12 {
        let counter = registry.counter(&format!("family{family}"));
        let counter = counter.build_with_label_names(["k"])?;
        for label in 0..2_500 {
            counter.with(&[&label.to_string()]).inc();
        }
    }
    let stats = registry.stats();
    let series: Vec<usize> = stats.families.iter().map(|family| family.series).collect();
    let expected = [
        1000, 1000, 2000, 1000, 1000, 1000, 1000, 1000, 1000, 0, 0, 0,
    ];
    assert_eq!(series, expected);
    let page = telemetry.render(None).body;
    for (family, series) in expected.into_iter().enumerate() {
        let name = format!("family{family}_total{{");
        let lines = page.lines().filter_map(|line| line.strip_prefix(&name));
        let lines: Vec<_> = lines.map(|line| line.split_once("} ").unwrap()).collect();
        let sum: u64 = lines
            .iter()
            .map(|(_, value)| value.parse::<u64>().unwrap())
            .sum();
        assert_eq!((lines.len(), sum), (series + 1, 2_500), "family {family}");
        let overflow = format!(
            "barograph_lookups_overflowed_total{{registry=\"default\",family=\"family{family}\",\
             reason=\"{}\"}}",
            match family {
                0..9 => Refusal::FamilyFull.as_str(),
                _ => Refusal::RegistryFull.as_str(),
            }
        );
        assert_eq!(
            value(&page, &overflow),
            Some((2_500 - series) as f64),
            "{overflow}"
        );
    }
    let total = r#"barograph_registry_utilization{registry="default"}"#;
    assert_eq!(value(&page, total), Some(1.0));
    Ok(())
}

#[test]
fn what_strict_limits_refuse_is_counted_by_reason() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let telemetry = start(&registry, Limits::strict())?;
    let visits = registry.counter("visits");
    let error = visits
        .build_with_label_names(["page", "user_id"])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#""visits": label "user_id" is forbidden in this registry, expected one with few values"#
    );
    let wide = registry
        .counter("wide")
        .build_with_label_names(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]);
    assert_eq!(
        wide.unwrap_err().to_string(),
        r#""wide": 11 labels, expected at most 10"#
    );
    let any = registry.counter("any").build_with_any_labels()?;
    any.with(&[("request.id", "1")]).inc();
    any.with(&[("page", &"x".repeat(257))]).inc();
    let build = registry.info("build").build()?;
    build.set(&[("version", "1"), ("trace_id", "2")]);
    let page = telemetry.render(None).body;
    for line in [
        r#"barograph_conflicts_total{registry="default",reason="forbidden_label"} 1"#,
        r#"barograph_conflicts_total{registry="default",reason="too_many_labels"} 1"#,
        r#"barograph_conflicts_total{registry="default",reason="already_registered"} 0"#,
        r#"barograph_lookups_overflowed_total{registry="default",family="any",reason="forbidden_label"} 1"#,
        r#"barograph_lookups_overflowed_total{registry="default",family="any",reason="value_too_long"} 1"#,
        r#"barograph_measurements_rejected_total{registry="default",family="build",reason="forbidden_label"} 1"#,
        r#"any_total{otel_metric_overflow="true"} 2"#,
        r#"build_info{version="1"} 1"#,
    ] {
        assert!(page.lines().any(|there| there == line), "{line}\n{page}");
    }
    assert!(
        !page.contains("request_id") && !page.contains("trace_id="),
        "{page}"
    );
    Ok(())
}

#[test]
fn limits_apply_to_families_that_were_there_before_the_start() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let visits = registry
        .counter("visits")
        .build_with_label_names(["user_id"])?;
    visits.with(&["1"]).inc();
    let telemetry = start(&registry, Limits::strict())?;
    visits.with(&["1"]).inc();
    visits.with(&["2"]).inc();
    let page = telemetry.render(None).body;
    for line in [
        r#"visits_total{user_id="1"} 2"#,
        r#"visits_total{otel_metric_overflow="true"} 1"#,
        r#"barograph_family_utilization{registry="default",family="visits"} 0.001"#,
    ] {
        assert!(page.lines().any(|there| there == line), "{line}\n{page}");
    }
    Ok(())
}
