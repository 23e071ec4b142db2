//! The metrics of a registry as lines.

use barograph_model::descriptor::{Descriptor, Kind};
use barograph_model::name;
use barograph_model::snapshot::{Point, Source, Value};

use super::line::Line;
use super::text;

/// Returns a line for each series, sorted by the name of the metric and then by labels.
pub(super) fn lines(source: &dyn Source) -> Vec<Line> {
    let mut lines = Vec::new();
    for family in source.collect() {
        let descriptor = family.descriptor();
        let mut from = Some(0);
        while let Some(cursor) = from {
            from = family.read(cursor, &mut |point| {
                let labels = labels(&descriptor, point);
                let key = (descriptor.name.clone(), labels.clone());
                lines.push((key, line(&descriptor, point, labels)));
            });
        }
    }
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn line(descriptor: &Descriptor, point: &Point<'_>, labels: Vec<(String, String)>) -> Line {
    let kind = match descriptor.kind {
        Kind::UpDownCounter => "up_down_counter",
        Kind::StateSet => "state_set",
        other => other.as_str(),
    };
    let line = Line::new(0)
        .fixed(format!("{kind} {}", text::plain(&descriptor.name)))
        .fields(labels);
    let line = match point.value {
        Value::U64(number) => line.fixed(" ").value(number.to_string()),
        Value::I64(number) => line.fixed(" ").value(number.to_string()),
        Value::F64(number) => line.fixed(" ").value(number.to_string()),
        Value::Histogram(histogram) => line
            .named("count", histogram.count().to_string())
            .named("sum", histogram.sum.to_string()),
        Value::StateSet(bits) => line.named("on", text::quoted(&states(descriptor, bits))),
        _ => line,
    };
    match &*descriptor.unit {
        "" => line,
        unit if unit.contains(char::is_whitespace) => line.named("unit", text::quoted(unit)),
        unit => line.named("unit", text::plain(unit)),
    }
}

fn states(descriptor: &Descriptor, bits: u64) -> String {
    let states = descriptor.states.iter().zip(0..64);
    let on = states.filter(|(_, bit)| bits >> bit & 1 == 1);
    let on: Vec<&str> = on.map(|(state, _)| &**state).collect();
    on.join(",")
}

/// Returns all labels of a series, sorted. Those with an empty value are as if they were not there.
fn labels(descriptor: &Descriptor, point: &Point<'_>) -> Vec<(String, String)> {
    let constant = descriptor.constant_labels.iter();
    let constant = constant.map(|(name, value)| (&**name, &**value));
    let mut labels: Vec<_> = if point.is_overflow {
        constant.chain([(name::OVERFLOW, "true")]).collect()
    } else {
        constant.chain(point.labels.iter()).collect()
    };
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort_unstable();
    let owned = |(name, value): (&str, &str)| (name.to_owned(), text::quoted(value));
    labels.into_iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use barograph_core::registry::Registry;

    use super::*;

    fn text(registry: &Registry) -> String {
        let lines = lines(registry);
        let lines: Vec<_> = lines.iter().map(Line::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn each_kind_has_its_line() {
        let registry = Registry::builder()
            .with_constant_label("zone", "a")
            .with_series_limit("few", 1)
            .build()
            .unwrap();
        let orders = registry.counter("orders").with_unit("{order}");
        let orders = orders.build_with_label_names(["kind", "region"]).unwrap();
        orders.with(&["web", "eu"]).add(3);
        orders.with(&["app", ""]).inc();
        registry.up_down_counter("queue").build().unwrap().dec();
        registry.gauge("heat").build().unwrap().set(12.5);
        registry.gauge_i64("workers").build().unwrap().set(4);
        registry.counter_f64("cost").build().unwrap().add(0.1);
        let time = registry.histogram("time").with_unit("s").build().unwrap();
        time.observe(0.5);
        time.observe(1.0);
        let build = registry.info("build").build().unwrap();
        build.set(&[("version", "1\"")]);
        let door = registry.state_set("door", ["open", "locked"]);
        door.build().unwrap().turn_on("locked");
        registry
            .counter("none")
            .build_with_label_names(["a"])
            .unwrap();
        let few = registry
            .counter("few")
            .build_with_label_names(["a"])
            .unwrap();
        few.with(&["1"]).inc();
        few.with(&["2"]).inc();
        let observed = registry.observable_gauge("observed");
        observed
            .observe(|observer| observer.observe(0.5, &[("a", "b")]))
            .unwrap();
        let expected = r#"info build{version="1\"", zone="a"}
counter cost{zone="a"} 0.1
state_set door{zone="a"} on="locked"
counter few{a="1", zone="a"} 1
counter few{otel.metric.overflow="true", zone="a"} 1
gauge heat{zone="a"} 12.5
gauge observed{a="b", zone="a"} 0.5
counter orders{kind="app", zone="a"} 1 unit={order}
counter orders{kind="web", region="eu", zone="a"} 3 unit={order}
up_down_counter queue{zone="a"} -1
histogram time{zone="a"} count=2 sum=1.5 unit=s
gauge workers{zone="a"} 4"#;
        assert_eq!(text(&registry), expected);
    }
}
