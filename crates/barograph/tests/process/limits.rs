//! The log lines about limits, as a service writes them.

use barograph::{Limits, Telemetry, counter};
use serde_json::Value;

use crate::{Seen, WELL, look};

/// Returns the warnings of the library with this text.
fn warnings(seen: &Seen, text: &str) -> Vec<String> {
    let lines = seen.lines().into_iter();
    let ours = lines.filter(|line| line["target"] == "barograph" && line["severity"] == "WARN");
    let messages = ours.filter_map(|line| line["message"].as_str().map(str::to_owned));
    messages.filter(|message| message.contains(text)).collect()
}

#[test]
fn each_level_of_a_limit_is_logged_once_and_not_with_each_scrape() {
    let test = "limits::each_level_of_a_limit_is_logged_once_and_not_with_each_scrape";
    let Some(seen) = look(test, &[("BAROGRAPH_LOG_FORMAT", "json")]) else {
        let limits = Limits::strict()
            .with_family_series(100)
            .with_total_series(160);
        let telemetry = Telemetry::builder("shop")
            .with_limits(limits)
            .start()
            .unwrap();
        let record = |label: usize| {
            counter!("orders", shop = label).inc();
            if label < 60 {
                counter!("visits", page = label).inc();
            }
            counter!("logins", user_id = label).inc();
        };
        for label in 0..110 {
            record(label);
            // All threads and all scrapes see the same levels.
            std::thread::scope(|scope| {
                scope.spawn(|| record(label));
                telemetry.render(None);
            });
        }
        counter!("refunds").inc();
        let page = telemetry.render(None).body;
        assert!(page.contains(r#"barograph_registry_utilization{registry="default"} 1"#));
        drop(telemetry);
        eprintln!("{WELL}");
        return;
    };
    seen.assert_well();
    for (family, levels) in [("orders", vec![80, 95]), ("visits", vec![])] {
        let lines = warnings(&seen, &format!("family \"{family}\" has "));
        let lines: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("family"))
            .collect();
        assert_eq!(lines.len(), levels.len(), "{lines:?}");
        for (line, level) in lines.iter().zip(levels) {
            let start =
                format!("family \"{family}\" has {level} series, {level} % of its limit of 100:");
            assert!(line.starts_with(&start), "{line}");
            assert!(
                line.ends_with("or raise the limit with `with_series_limit`"),
                "{line}"
            );
        }
    }
    let total = warnings(&seen, "the registry has ");
    assert_eq!(total.len(), 2, "{total:?}");
    for (line, used) in total.iter().zip(["128 series, 80 %", "152 series, 95 %"]) {
        let start = format!(
            "the registry has {used} of its limit of 160, the newest in family \"orders\":"
        );
        assert!(line.starts_with(&start), "{line}");
    }
    let forbidden = warnings(&seen, "\"logins\"");
    assert_eq!(forbidden.len(), 1, "{forbidden:?}");
    let start =
        "\"logins\": label \"user_id\" is forbidden in this registry, expected one with few values";
    assert!(forbidden[0].starts_with(start), "{forbidden:?}");
    assert!(forbidden[0].contains("limits.rs:"), "{forbidden:?}");
    for full in [
        "\"orders\": too many series in the family",
        "\"refunds\": too many series in the registry",
    ] {
        assert_eq!(warnings(&seen, full).len(), 1, "{full}");
    }
    let all: Vec<Value> = seen.lines();
    assert_eq!(all.len(), 7, "{all:?}");
}
