//! The report as JSON, for programs that compare runs.

use crate::report::Measured;

/// Returns a list of `{"id","unit","ours","peers":{name:value},"best_peer","ratio"}`.
///
/// `peers` has the rated peers; `best_peer` and `ratio` are null if no peer does the work. Names
/// come from this program and need no escaping.
pub(crate) fn json(rows: &[Measured]) -> String {
    let rows: Vec<String> = rows.iter().map(object).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

fn object((row, outcome): &Measured) -> String {
    let peers: Vec<String> = outcome
        .peers
        .iter()
        .map(|(name, value)| format!("\"{name}\":{}", number(*value)))
        .collect();
    let best = outcome.best.as_ref();
    format!(
        "{{\"id\":\"{}\",\"unit\":\"{}\",\"ours\":{},\"peers\":{{{}}},\"best_peer\":{},\"ratio\":{}}}",
        row.id,
        row.unit,
        number(outcome.ours),
        peers.join(","),
        best.map_or_else(|| "null".into(), |best| format!("\"{}\"", best.peer)),
        number(best.map(|best| best.ratio)),
    )
}

fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() => value.to_string(),
        _ => "null".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Best, Outcome, Row};

    static ROW: Row = Row::new("scrape", "ns/line", "", Vec::new);

    #[test]
    fn a_row_is_one_object() {
        let best = Some(Best {
            peer: "b",
            ratio: 2.0,
            spread: (1.5, 2.5),
        });
        let peers = vec![("a", None), ("b", Some(3.0))];
        let outcome = Outcome {
            ours: Some(1.5),
            peers,
            shown: vec![("c", Some(0.1))],
            wrong: vec![],
            best,
        };
        assert_eq!(
            json(&[(&ROW, outcome), (&ROW, Outcome::default())]),
            concat!(
                "[\n",
                r#"{"id":"scrape","unit":"ns/line","ours":1.5,"peers":{"a":null,"b":3},"#,
                r#""best_peer":"b","ratio":2},"#,
                "\n",
                r#"{"id":"scrape","unit":"ns/line","ours":null,"peers":{},"#,
                r#""best_peer":null,"ratio":null}"#,
                "\n]\n"
            )
        );
    }
}
