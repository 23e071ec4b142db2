//! Tests of the parser: what it reads, and what it names with its place.

use super::*;

/// Returns the rule and the message of each problem.
fn problems(page: &str, dialect: Dialect) -> Vec<(PageRule, String)> {
    let parsed = parse(page.as_bytes(), dialect);
    let problems = parsed.problems.iter();
    problems
        .map(|problem| (problem.rule, problem.to_string()))
        .collect()
}

#[track_caller]
fn check(page: &str, dialect: Dialect, rule: PageRule, message: &str) {
    let found = problems(page, dialect);
    assert_eq!(found, [(rule, message.to_owned())], "{page}");
}

#[track_caller]
fn check_text(page: &str, rule: PageRule, message: &str) {
    check(page, Dialect::Text, rule, message);
}

/// Checks a page without its last line `# EOF`.
#[track_caller]
fn check_open_metrics(page: &str, rule: PageRule, message: &str) {
    check(
        &format!("{page}# EOF\n"),
        Dialect::OpenMetrics,
        rule,
        message,
    );
}

#[test]
fn text_may_have_blanks_comments_timestamps_and_no_types() {
    let page = "\n# a comment\n#\n  # HELP  a\tsays \"a\\\\b\\nc\"\n# TYPE a  gauge \n\
                a { x = \"1\" , } 1 1700000000123\na{} +Inf -5\nb nan\n\n# HELP c\nc 0.5e1\n\
                {\"d.e\",x=\"1\"} 3\n# TYPE s summary\ns{quantile=\"0.5\"} 2\ns_sum 4\ns_count 2\n";
    let parsed = parse(page.as_bytes(), Dialect::Text);
    assert_eq!(parsed.problems, []);
    let names: Vec<_> = parsed.families.iter().map(|family| &*family.name).collect();
    assert_eq!(names, ["a", "b", "c", "d.e", "s"]);
    let a = &parsed.families[0];
    assert_eq!((a.kind, a.line), (FamilyKind::Gauge, 4));
    assert_eq!(a.help.as_deref(), Some("says \"a\\b\nc\""));
    assert_eq!(a.samples[0].label("x"), Some("1"));
    assert_eq!(a.samples[0].timestamp, Some(1_700_000_000.123));
    assert_eq!(
        (a.samples[1].value, a.samples[1].timestamp),
        (f64::INFINITY, Some(-0.005))
    );
    assert!(parsed.families[1].samples[0].value.is_nan());
    assert_eq!(parsed.families[2].help.as_deref(), Some(""));
    assert_eq!(parsed.quoted_name, Some(12));
    assert_eq!(parsed.families[4].samples.len(), 3);
    assert_eq!(parse(b"", Dialect::Text).problems, []);
}

#[test]
fn open_metrics_has_exemplars_units_and_points_in_time() {
    let page = "# TYPE w_seconds histogram\n# UNIT w_seconds seconds\n# HELP w_seconds a \\\"b\\\"\n\
                w_seconds_bucket{le=\"1.0\"} 1 # {trace_id=\"ab\"} 0.5 1700000000.25\n\
                w_seconds_bucket{le=\"+Inf\"} 2 1.5 # {} 3\nw_seconds_count 2\nw_seconds_sum 3\n\
                w_seconds_created 1.5\n# TYPE o counter\no_total 1 1\no_total 2 2.5\n\
                # TYPE i info\ni_info{v=\"1\"} 1\n# TYPE st stateset\nst{st=\"on\"} 1\n\
                # TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 2\ng_gcount 2\ng_gsum -1\n\
                u{x=\"\\\"\"} 1\n# EOF";
    let parsed = parse(page.as_bytes(), Dialect::OpenMetrics);
    // A timestamp makes another point of a metric, which needs all buckets.
    let messages: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        ["line 4, column 1: found \"w_seconds\", expected a last bucket with the bound +Inf"]
    );
    let histogram = &parsed.families[0];
    assert_eq!(histogram.unit.as_deref(), Some("seconds"));
    assert_eq!(histogram.help.as_deref(), Some("a \"b\""));
    let exemplar = histogram.samples[0].exemplar.as_ref().unwrap();
    assert_eq!(exemplar.labels, [("trace_id".into(), "ab".into())]);
    assert_eq!(
        (exemplar.value, exemplar.timestamp),
        (0.5, Some(1_700_000_000.25))
    );
    assert!(
        histogram.samples[1]
            .exemplar
            .as_ref()
            .unwrap()
            .labels
            .is_empty()
    );
    assert_eq!(parsed.families[5].samples[0].label("x"), Some("\""));
    assert_eq!(parsed.sample_count(), 13);
}

#[test]
fn a_line_that_is_not_one_is_named_with_its_place() {
    use PageRule::*;
    for (line, rule, message) in [
        (
            "1a 1",
            Name,
            r#"column 1: found "1a 1", expected the name of a metric, [a-zA-Z_:][a-zA-Z0-9_:]* or quoted"#,
        ),
        (
            "größe 1",
            Syntax,
            r#"column 3: found "öße 1", expected a space"#,
        ),
        ("a", Syntax, "column 2: expected a space"),
        (
            "a{b=\"c\" 1",
            Syntax,
            r#"column 9: found "1", expected , or } after a label"#,
        ),
        (
            "a{b=\"c",
            Syntax,
            r#"column 5: found "\"c", expected a label value in double quotes, with an end on this line"#,
        ),
        (
            "a{b=c} 1",
            Syntax,
            r#"column 5: found "c} 1", expected a label value in double quotes"#,
        ),
        (
            "a{é=\"c\"} 1",
            Name,
            r#"column 3: found "é=\"c\"} 1", expected the name of a label, [a-zA-Z_][a-zA-Z0-9_]* or quoted"#,
        ),
        (
            "a{b=\"é\\x\"} 1",
            Syntax,
            r#"column 7: found "\\x\"} 1", expected one of the escapes \\, \" and \n"#,
        ),
        (
            "a{b:c=\"\"} 1",
            Syntax,
            r#"column 4: found ":c=\"\"} 1", expected = after the name of a label"#,
        ),
        (
            "a{__b=\"\"} 1",
            Name,
            r#"column 3: found "__b=\"\"} 1", expected another name: those that begin with __ are reserved"#,
        ),
        (
            "a{b=\"1\",b=\"2\"} 1",
            DuplicateLabel,
            r#"column 9: found "b=\"2\"} 1", expected each label once in a sample"#,
        ),
        (
            "{\"\"} 1",
            Name,
            r#"column 2: found "\"\"} 1", expected a name of at least one character"#,
        ),
        (
            "a one",
            Value,
            r#"column 3: found "one", expected a number, +Inf, -Inf or NaN"#,
        ),
        (
            "a -NaN",
            Value,
            r#"column 3: found "-NaN", expected a number, +Inf, -Inf or NaN"#,
        ),
        (
            "a 0x1p1",
            Value,
            r#"column 3: found "0x1p1", expected a number, +Inf, -Inf or NaN"#,
        ),
        (
            "a 1 1.5",
            Timestamp,
            r#"column 5: found "1.5", expected a timestamp, a whole number of milliseconds"#,
        ),
        (
            "a 1 1 1",
            Syntax,
            r#"column 7: found "1", expected the end of the line"#,
        ),
        (
            "a 1 # {} 1",
            Exemplar,
            r##"column 5: found "# {} 1", expected the end of the line: only OpenMetrics has exemplars"##,
        ),
        (
            "# TYPE a number",
            Metadata,
            r#"column 10: found "number", expected a type: counter, gauge, histogram, summary, untyped"#,
        ),
        ("# TYPE a", Syntax, "column 9: expected a space"),
        (
            "# HELP a b\\c",
            Syntax,
            r#"column 11: found "\\c", expected one of the escapes \\ and \n"#,
        ),
        (
            "# HELP a.b c",
            Name,
            r#"column 9: found ".b c", expected a space after the name of a metric"#,
        ),
        (
            "a 1\r",
            Encoding,
            r#"column 4: found "\r", expected lines that end with a line feed alone"#,
        ),
        (
            "a{b=\"\0\"} 1",
            Encoding,
            r#"column 6: found "\0\"} 1", expected text without NUL"#,
        ),
    ] {
        check_text(
            &format!("x 1\n{line}\n"),
            rule,
            &format!("line 2, {message}"),
        );
    }
    let parsed = parse(b"a{b=\"\xc3\xa9\xff\"} 1\nb 1\n", Dialect::Text);
    assert_eq!(
        parsed.problems[0].to_string(),
        r#"line 1, column 7: found "\\xff\\\"} 1", expected text in UTF-8"#
    );
    assert_eq!(parsed.families.len(), 1, "the other lines are read");
}

#[test]
fn open_metrics_has_less_freedom() {
    use PageRule::*;
    const COMMENTS: &str =
        "expected # HELP, # TYPE, # UNIT or # EOF: OpenMetrics has no other comments";
    for (line, rule, message) in [
        ("", Syntax, "column 1: expected no blank line in OpenMetrics".to_owned()),
        ("# a comment", Syntax, format!("column 1: found \"# a comment\", {COMMENTS}")),
        ("#HELP a b", Syntax, format!("column 1: found \"#HELP a b\", {COMMENTS}")),
        ("a  1", Value, "column 3: expected a number, +Inf, -Inf or NaN".to_owned()),
        ("a{b=\"1\",} 1", Name, "column 9: found \"} 1\", expected the name of a label, [a-zA-Z_][a-zA-Z0-9_]* or quoted".to_owned()),
        ("a 1 ", Timestamp, "column 5: expected a timestamp, a number of seconds".to_owned()),
        ("a 1 # 1", Exemplar, "column 7: found \"1\", expected the labels of an exemplar in braces".to_owned()),
        ("# TYPE a untyped", Metadata, "column 10: found \"untyped\", expected a type: counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown".to_owned()),
    ] {
        check_open_metrics(&format!("x 1\n{line}\n"), rule, &format!("line 2, {message}"));
    }
}

#[test]
fn a_page_that_is_cut_off_is_found() {
    use PageRule::End;
    check_text(
        "a 1",
        End,
        "line 1, column 1: expected a line feed at the end of the page: it seems to be cut off",
    );
    let expected = "line 2, column 1: expected # EOF at the end of the page: without it the page may be cut off";
    check("a 1\n", Dialect::OpenMetrics, End, expected);
    let expected = "line 3, column 1: found \"b 1\", expected nothing after # EOF";
    check(
        "a 1\n# EOF\nb 1\nc 1\n",
        Dialect::OpenMetrics,
        End,
        expected,
    );
}

#[test]
fn descriptions_come_once_and_before_the_samples() {
    use PageRule::{Grouping, Metadata};
    check_text(
        "# TYPE a gauge\n# TYPE a counter\na 1\n",
        Metadata,
        "line 2, column 1: found \"a\", expected one TYPE for each family, the first is in line 1",
    );
    check_text(
        "# HELP a 1\n# HELP a 2\na 1\n",
        Metadata,
        "line 2, column 1: found \"a\", expected one HELP for each family",
    );
    check_text(
        "a 1\n# TYPE a gauge\na{b=\"c\"} 1\n",
        Metadata,
        "line 2, column 1: found \"a\", expected TYPE before the samples, which begin in line 1",
    );
    check_text(
        "a 1\nb 1\na{b=\"c\"} 1\na{b=\"d\"} 1\n# HELP c c\na{b=\"e\"} 1\n",
        Grouping,
        "line 3, column 1: found \"a\", expected all lines of a family together, those of this one begin in line 1",
    );
}

#[test]
fn a_series_is_there_once() {
    use PageRule::{DuplicateSeries, Timestamp};
    for page in [
        "a{b=\"\",c=\"1\",d=\"2\"} 1\na{d=\"2\",c=\"1\"} 2\n",
        "a{c=\"1\"} 1 5\na{c=\"1\"} 2 6\n",
    ] {
        check_text(
            page,
            DuplicateSeries,
            "line 2, column 1: found \"a\", expected each series once, this one is in line 1 too",
        );
    }
    check_open_metrics(
        "a 1 5\na 2 5\n",
        Timestamp,
        "line 2, column 1: found \"a\", expected a timestamp after that of line 1",
    );
}

#[test]
fn samples_have_the_names_of_their_family() {
    use PageRule::{NameClash, Suffix};
    check_text(
        "# TYPE h histogram\nh 1\n",
        Suffix,
        "line 2, column 1: found \"h\", expected a sample of this histogram: h_bucket, h_sum, h_count",
    );
    check_open_metrics(
        "# TYPE a counter\na 1\n",
        Suffix,
        "line 2, column 1: found \"a\", expected a sample of this counter: a_total, a_created",
    );
    check_open_metrics(
        "# TYPE a counter\na_total 1\n# TYPE a_total gauge\n",
        NameClash,
        "line 3, column 1: found \"a_total\", expected a name that the family a in line 1 does not need",
    );
    check_text(
        "# TYPE h histogram\n# TYPE h_sum gauge\n",
        NameClash,
        "line 2, column 1: found \"h_sum\", expected a name that the family h in line 1 does not need",
    );
}

#[test]
fn values_units_and_states_are_possible() {
    use PageRule::{Summary, Unit, Value};
    for (page, rule, message) in [
        (
            "# TYPE a counter\na_total -1\n",
            Value,
            "line 2, column 1: found \"a_total -1\", expected a number from 0: this is a count",
        ),
        (
            "# TYPE a counter\na_total NaN\n",
            Value,
            "line 2, column 1: found \"a_total NaN\", expected a number from 0: this is a count",
        ),
        (
            "# TYPE a info\na_info 2\n",
            Value,
            "line 2, column 1: found \"a_info 2\", expected 1, the value of every info",
        ),
        (
            "# TYPE a stateset\na{a=\"b\"} 2\n",
            Value,
            "line 2, column 1: found \"a 2\", expected 0 or 1, the values of a state",
        ),
        (
            "# TYPE a stateset\na{b=\"b\"} 1\n",
            Value,
            "line 2, column 1: found \"a 1\", expected a label with the name of the family, whose value is the state",
        ),
        (
            "# TYPE a gauge\n# UNIT a seconds\na 1\n",
            Unit,
            "line 2, column 1: found \"seconds\", expected a unit that the name \"a\" ends with, after _",
        ),
        (
            "# TYPE a_s info\n# UNIT a_s s\na_s_info 1\n",
            Unit,
            "line 2, column 1: found \"s\", expected no unit: this is of type info",
        ),
        (
            "# TYPE a summary\na 1\n",
            Summary,
            "line 2, column 1: found \"a\", expected a label quantile with a number from 0 to 1",
        ),
        (
            "# TYPE a summary\na{quantile=\"2\"} 1\n",
            Summary,
            "line 2, column 1: found \"2\", expected a label quantile with a number from 0 to 1",
        ),
    ] {
        check_open_metrics(page, rule, message);
    }
    assert_eq!(problems("# TYPE a gauge\na -1\n", Dialect::Text), []);
}

#[test]
fn the_parts_of_a_histogram_fit_together() {
    let h = |lines: &str| format!("# TYPE h histogram\n{lines}");
    for (lines, message) in [
        (
            "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
            "line 2, column 1: found \"h\", expected a last bucket with the bound +Inf",
        ),
        (
            "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
            "line 2, column 1: found \"a count of 2\", expected 1, as in the bucket +Inf",
        ),
        (
            "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
            "line 2, column 1: found \"le 1 after 2\", expected bounds that rise",
        ),
        (
            "h_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 1\nh_count 3\n",
            "line 2, column 1: found \"2 at 2, and 3 at 1\", expected buckets that contain those with lower bounds",
        ),
        (
            "h_bucket{le=\"+Inf\"} 1\nh_count 1\n",
            "line 2, column 1: found \"h\", expected a sum beside the count",
        ),
        (
            "h_bucket{le=\"+Inf\"} 1\nh_sum 1\n",
            "line 2, column 1: found \"h\", expected a count beside the sum",
        ),
        (
            "h_bucket{le=\"+Inf\"} 1\n",
            "line 2, column 1: found \"h\", expected a count and a sum beside the buckets",
        ),
        (
            "h_bucket{le=\"x\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
            "line 2, column 1: found \"x\", expected a number as the bound of a bucket",
        ),
        (
            "h_bucket 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
            "line 2, column 1: found \"h_bucket\", expected a label le with the bound of the bucket",
        ),
    ] {
        check_text(&h(lines), PageRule::Histogram, message);
    }
    check_open_metrics(
        &h("h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n"),
        PageRule::Histogram,
        "line 2, column 1: found \"1\", expected a bound that is written as a float, such as 1.0",
    );
    check_open_metrics(
        &h("h_bucket{le=\"-1.0\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"),
        PageRule::Histogram,
        "line 2, column 1: found \"h\", expected no sum, because a bucket is for negative values",
    );
    check_open_metrics(
        "# TYPE c counter\nc_total{a=\"1\"} 1\nc_created{a=\"2\"} 1\nc_created{a=\"1\"} 1\n",
        PageRule::Grouping,
        "line 4, column 1: found \"c_created\", expected all lines of a metric, those with the same labels, together",
    );
}

#[test]
fn exemplars_are_where_they_may_be() {
    use PageRule::Exemplar;
    check_open_metrics(
        "# TYPE a gauge\na 1 # {} 1\n",
        Exemplar,
        "line 2, column 1: found \"a\", expected exemplars of counters and buckets only",
    );
    check_open_metrics(
        "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {} 2\nh_bucket{le=\"+Inf\"} 1\n",
        Exemplar,
        "line 2, column 1: found \"2\", expected an exemplar of at most 1, the bound of its bucket",
    );
    check_open_metrics(
        &format!(
            "# TYPE a counter\na_total 1 # {{b=\"{}\"}} 1\n",
            "é".repeat(128)
        ),
        Exemplar,
        "line 2, column 1: found \"129 characters\", expected 128 characters at most in the labels of an exemplar",
    );
}

#[test]
fn a_long_list_of_problems_has_an_end() {
    let page = "1\n".repeat(5000);
    let parsed = parse(page.as_bytes(), Dialect::Text);
    assert_eq!((parsed.problems.len(), parsed.more_problems), (1000, 4000));
    let long = format!("{}\n", "é".repeat(1000));
    let problem = &parse(long.as_bytes(), Dialect::Text).problems[0];
    assert_eq!(*problem.found, format!("{}...", "é".repeat(80)));
}

#[test]
fn the_format_is_recognized_by_its_content_type_and_by_its_content() {
    for (kind, expected) in [
        ("text/plain", Some(Dialect::Text)),
        (
            "Text/Plain; version=0.0.4; charset=utf-8",
            Some(Dialect::Text),
        ),
        (
            "application/openmetrics-text;version=1.0.0",
            Some(Dialect::OpenMetrics),
        ),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily",
            None,
        ),
        ("text/html", None),
        ("", None),
    ] {
        assert_eq!(Dialect::from_content_type(kind), expected, "{kind}");
    }
    for (page, expected) in [
        ("", Dialect::Text),
        ("a 1\n", Dialect::Text),
        ("# TYPE a counter\n# EOF of another text\n", Dialect::Text),
        (
            "# TYPE a_s gauge\n# UNIT a_s s\na_s 1\n",
            Dialect::OpenMetrics,
        ),
        ("# EOF", Dialect::OpenMetrics),
    ] {
        assert_eq!(Dialect::from_content(page.as_bytes()), expected, "{page}");
    }
}
