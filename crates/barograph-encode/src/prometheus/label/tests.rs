use barograph_model::descriptor::Kind;
use barograph_model::label::PackedLabels;
use barograph_model::snapshot::Value;

use super::*;

fn descriptor(fixed: &[&str], constant: &[(&str, &str)]) -> Descriptor {
    let mut descriptor = Descriptor::new("x", Kind::Gauge);
    descriptor.label_names = fixed.iter().map(|name| Box::from(*name)).collect();
    descriptor.constant_labels = constant
        .iter()
        .map(|(k, v)| (Box::from(*k), Box::from(*v)))
        .collect();
    descriptor
}

fn writer(descriptor: Descriptor, reserved: Option<&str>, uniqueness: Uniqueness) -> LabelWriter {
    let (translation, escaping) = (Translation::default(), Escaping::default());
    LabelWriter::new(
        Arc::new(descriptor),
        translation,
        escaping,
        reserved,
        uniqueness,
    )
}

#[track_caller]
fn write(writer: &mut LabelWriter, labels: Labels<'_>) -> Result<String, Rejection> {
    let mut content = Vec::new();
    writer.write(&mut content, &Point::new(0, labels, Value::U64(1)))?;
    Ok(String::from_utf8(content).unwrap())
}

fn inline(writer: &mut LabelWriter, pairs: &[(&str, &str)]) -> Result<String, Rejection> {
    let packed: PackedLabels = pairs.iter().copied().collect();
    write(writer, packed.inline())
}

#[test]
fn labels_that_collide_are_joined_in_the_order_of_their_keys() {
    let mut writer = writer(
        descriptor(&[], &[("region", "eu")]),
        None,
        Uniqueness::Guaranteed,
    );
    for (pairs, expected) in [
        (&[("b", "2"), ("a", "1")][..], r#"region="eu",b="2",a="1""#),
        (
            &[("a_b", "2"), ("a.b", "1"), ("a-b", "0")],
            r#"a_b="0;1;2",region="eu""#,
        ),
        (&[("region", "us")], r#"region="eu;us""#),
        (
            &[("k", "v\\\"\n\0")],
            "region=\"eu\",k=\"v\\\\\\\"\\n\u{fffd}\"",
        ),
    ] {
        assert_eq!(inline(&mut writer, pairs).as_deref(), Ok(expected));
    }
}

#[test]
fn labels_that_are_equal_for_a_scraper_are_a_duplicate() {
    let mut writer = writer(descriptor(&[], &[]), None, Uniqueness::Guaranteed);
    for pairs in [&[("a.b", "1")][..], &[("c", "2"), ("d", "3")], &[]] {
        assert!(inline(&mut writer, pairs).is_ok());
    }
    for pairs in [
        &[("a_b", "1")][..],
        &[("a.b", "1"), ("empty", "")],
        &[("d", "3"), ("c", "2")],
        &[("empty", "")],
    ] {
        assert_eq!(
            inline(&mut writer, pairs),
            Err(Rejection::Duplicate),
            "{pairs:?}"
        );
    }
}

#[test]
fn only_names_that_differ_on_the_page_make_a_pattern() {
    let pattern = |fixed: &[&str], constant: &[(&str, &str)], uniqueness| {
        let writer = writer(descriptor(fixed, constant), Some("le"), uniqueness);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let pattern = writer.pattern()?;
        Some((text(pattern.constant.clone()), text(pattern.names.concat())))
    };
    let promised = Uniqueness::Guaranteed;
    assert_eq!(
        pattern(&["http.route", "status"], &[("region", "eu")], promised),
        Some((r#"region="eu""#.into(), r#",http_route=",status=""#.into()))
    );
    assert_eq!(pattern(&["a.b", "a_b"], &[], promised), None);
    assert_eq!(pattern(&["a"], &[("a", "x")], promised), None);
    assert_eq!(pattern(&["le"], &[], promised), None);
    assert_eq!(pattern(&["otel.metric.overflow"], &[], promised), None);
    assert_eq!(pattern(&["a"], &[], Uniqueness::Unknown), None);
}

#[test]
fn labels_of_another_family_are_rejected() {
    let mut fixed = writer(descriptor(&["a", "b"], &[]), None, Uniqueness::Guaranteed);
    assert_eq!(
        inline(&mut fixed, &[("a", "1"), ("b", "2")]),
        Err(Rejection::WrongLabels)
    );
    let others: Vec<Box<str>> = vec!["b".into(), "a".into()];
    let labels = Labels::fixed(&others, &[1, 2], "12", true);
    assert_eq!(write(&mut fixed, labels), Err(Rejection::WrongLabels));
    let same: Vec<Box<str>> = vec!["a".into(), "b".into()];
    let labels = Labels::fixed(&same, &[1, 2], "12", true);
    assert_eq!(write(&mut fixed, labels).as_deref(), Ok(r#"a="1",b="2""#));
    for (ends, text) in [([2, 1], "12"), ([1, 3], "12"), ([1, 3], "éé")] {
        let labels = Labels::fixed(&same, &ends, text, true);
        assert_eq!(
            write(&mut fixed, labels),
            Err(Rejection::WrongLabels),
            "{ends:?} {text}"
        );
    }
    let mut reserved = writer(descriptor(&[], &[]), Some("le"), Uniqueness::Guaranteed);
    assert_eq!(
        inline(&mut reserved, &[("le", "1")]),
        Err(Rejection::ReservedLabel)
    );
}

#[test]
fn a_nul_and_its_replacement_are_duplicates() {
    for uniqueness in [Uniqueness::Guaranteed, Uniqueness::Unknown] {
        let mut writer = writer(descriptor(&["a"], &[]), None, uniqueness);
        let own = Arc::clone(&writer.descriptor);
        let alike: Vec<Box<str>> = vec!["a".into()];
        for (names, text, expected) in [
            (&*own.label_names, "\u{fffd}", Ok("a=\"\u{fffd}\"")),
            (&*own.label_names, "\0", Err(Rejection::Duplicate)),
            (&*alike, "\0", Err(Rejection::Duplicate)),
            (&*alike, "\0\u{fffd}", Ok("a=\"\u{fffd}\u{fffd}\"")),
            (
                &*own.label_names,
                "\u{fffd}\u{fffd}",
                Err(Rejection::Duplicate),
            ),
        ] {
            let end = u16::try_from(text.len()).unwrap();
            let written = write(&mut writer, Labels::fixed(names, &[end], text, true));
            assert_eq!(
                written.as_deref(),
                expected.as_ref().copied(),
                "{text:?} {uniqueness:?}"
            );
        }
    }
}

#[test]
fn a_scope_has_labels_of_its_own() {
    let mut described = descriptor(&["a"], &[]);
    described.scope = Some(Arc::new(Scope {
        name: "lib".into(),
        version: "".into(),
        schema_url: "http://x/1".into(),
        attributes: vec![
            ("name".into(), "clash".into()),
            ("team.id".into(), "7".into()),
        ],
    }));
    let mut writer = writer(described, None, Uniqueness::Guaranteed);
    let names: Vec<Box<str>> = vec!["a".into()];
    assert_eq!(
        write(&mut writer, Labels::fixed(&names, &[1], "1", true)).as_deref(),
        Ok(
            r#"otel_scope_name="lib",otel_scope_schema_url="http://x/1",otel_scope_team_id="7",a="1""#
        )
    );
}

#[test]
fn the_overflow_series_has_one_label() {
    let mut writer = writer(
        descriptor(&["a"], &[("c", "1")]),
        None,
        Uniqueness::Guaranteed,
    );
    let mut content = Vec::new();
    let point = Point::new(0, Labels::EMPTY, Value::U64(1)).as_overflow();
    assert_eq!(writer.write(&mut content, &point), Ok(()));
    assert_eq!(content, br#"c="1",otel_metric_overflow="true""#);
}
