//! Exemplars, which follow the samples of OpenMetrics.

use std::io::Write as _;

use barograph_model::exemplar::Exemplar;

use crate::prometheus::label::write_label;
use crate::prometheus::name::{Escaping, Translation, label};
use crate::prometheus::number::Number;

/// Writes an exemplar after a value; writes nothing if the exemplar has no labels, or a value that
/// is not finite.
///
/// The ids of the trace and the span come first. Other labels are added as long as they fit; those
/// with a name that is already used on the page are skipped.
pub(super) fn write(
    out: &mut Vec<u8>,
    exemplar: &Exemplar,
    translation: Translation,
    escaping: Escaping,
) {
    let mut labels = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    let mut room = MAX_CODE_POINTS;
    let mut push = |page: String, value: &str| {
        let points = page.chars().count() + value.chars().count();
        if points <= room && !taken.contains(&page) {
            room -= points;
            write_label(&mut labels, &page, &[value]);
            taken.push(page);
        }
    };
    if let Some(context) = &exemplar.context {
        push("trace_id".into(), &context.trace_id().to_string());
        push("span_id".into(), &context.span_id().to_string());
    }
    for (key, value) in &exemplar.labels {
        push(label(key, translation, escaping), value);
    }
    if labels.is_empty() || !exemplar.value.is_finite() {
        return;
    }
    out.extend_from_slice(b" # {");
    out.extend_from_slice(&labels);
    out.extend_from_slice(b"} ");
    Number::F64(exemplar.value).push(out);
    if let Some(nanos) = exemplar.time_unix_nano {
        out.push(b' ');
        write_seconds(out, nanos);
    }
}

/// Writes a time in seconds with millisecond precision, which is all that scrapers store.
pub(super) fn write_seconds(out: &mut Vec<u8>, nanos: u64) {
    let millis = nanos / 1_000_000;
    write!(out, "{}.{:03}", millis / 1000, millis % 1000)
        .expect("writing into memory does not fail");
}

/// The maximum length of all label names and values together.
///
/// Source: OpenMetrics 1.0, "Exemplars".
const MAX_CODE_POINTS: usize = 128;

#[cfg(test)]
mod tests {
    use barograph_model::context::{TraceContext, TraceFlags};

    use super::*;

    fn text(exemplar: &Exemplar) -> String {
        let mut out = Vec::new();
        write(
            &mut out,
            exemplar,
            Translation::default(),
            Escaping::default(),
        );
        String::from_utf8(out).unwrap()
    }

    fn exemplar() -> Exemplar {
        Exemplar {
            value: 0.25,
            time_unix_nano: Some(1_700_000_000_123_456_789),
            context: TraceContext::new(0xabc, 0xdef, TraceFlags::SAMPLED),
            labels: vec![],
        }
    }

    const TRACE: &str = r#"trace_id="00000000000000000000000000000abc",span_id="0000000000000def""#;

    #[test]
    fn the_trace_context_comes_first_and_labels_are_added_as_far_as_they_fit() {
        let mut exemplar = exemplar();
        assert_eq!(
            text(&exemplar),
            format!(" # {{{TRACE}}} 0.25 1700000000.123")
        );
        exemplar.labels = vec![
            ("trace_id".into(), "other".into()),
            ("long".into(), "é".repeat(62).into()),
            ("k.1".into(), "é".repeat(62).into()),
            ("k_1".into(), "".into()),
            ("".into(), "".into()),
        ];
        exemplar.time_unix_nano = None;
        let fits = "é".repeat(62);
        // 63 code points of trace and span are there already, and 3 + 62 make it 128.
        assert_eq!(
            text(&exemplar),
            format!(" # {{{TRACE},k_1=\"{fits}\"}} 0.25")
        );
    }

    #[test]
    fn an_exemplar_without_labels_or_a_finite_value_is_not_written() {
        let nothing = Exemplar {
            context: None,
            ..exemplar()
        };
        assert_eq!(text(&nothing), "");
        let no_number = Exemplar {
            value: f64::NAN,
            ..exemplar()
        };
        assert_eq!(text(&no_number), "");
    }
}
