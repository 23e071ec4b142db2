//! Translation of UCUM units to the words used in Prometheus names.

/// Returns the word for a unit, made of letters, digits and `_`; empty if the unit does not appear
/// in names.
///
/// Annotations in braces are removed, `1` means no unit (and not a ratio), `a/b` becomes `a_per_b`,
/// and an unknown unit stays as it is, apart from invalid characters.
///
/// Source: OpenTelemetry, "Prometheus and OpenMetrics compatibility", Metric Metadata.
///
/// ```
/// use barograph_encode::prometheus::unit_word;
/// assert_eq!(unit_word("By/s"), "bytes_per_second");
/// ```
pub fn word(unit: &str) -> String {
    let unit = without_remarks(unit);
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main.trim(), per.trim()),
        None => (unit.trim(), ""),
    };
    let main = clean(lookup(&WORDS, main));
    let per = clean(lookup(&PER, per));
    match (main.is_empty(), per.is_empty()) {
        (_, true) => main,
        (true, false) => format!("per_{per}"),
        (false, false) => format!("{main}_per_{per}"),
    }
}

/// Returns a name without the word for a unit at its end, if it has one and is not that word alone.
#[cfg(feature = "parse")]
pub(super) fn without_word(name: &str) -> Option<&str> {
    let (rest, last) = name.rsplit_once('_').filter(|(rest, _)| !rest.is_empty())?;
    let is_in = |table: &[(&str, &str)], word: &str| {
        table
            .iter()
            .any(|(_, known)| *known == word && !word.is_empty())
    };
    match rest.strip_suffix("_per").filter(|rest| !rest.is_empty()) {
        Some(rest) if is_in(&PER, last) => Some(rest),
        _ => (is_in(&WORDS, last) || last == "ratio").then_some(rest),
    }
}

fn without_remarks(unit: &str) -> String {
    let mut depth = 0_usize;
    let mut rest = String::new();
    for c in unit.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => rest.push(c),
            _ => {}
        }
    }
    rest
}

fn lookup<'a>(table: &[(&str, &'static str)], unit: &'a str) -> &'a str {
    match table.iter().find(|(ucum, _)| *ucum == unit) {
        Some((_, word)) => word,
        None => unit,
    }
}

/// Replaces each run of characters other than letters and digits by one `_`, and trims them at both
/// ends.
fn clean(word: &str) -> String {
    let mut clean = String::new();
    for part in word.split(|c: char| !c.is_ascii_alphanumeric()) {
        if !part.is_empty() {
            if !clean.is_empty() {
                clean.push('_');
            }
            clean.push_str(part);
        }
    }
    clean
}

const WORDS: [(&str, &str); 38] = [
    ("1", ""),
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("wk", "weeks"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("bit", "bits"),
    ("B", "bytes"),
    ("KB", "kilobytes"),
    ("MB", "megabytes"),
    ("GB", "gigabytes"),
    ("TB", "terabytes"),
    ("KiB", "kibibytes"),
    ("MiB", "mebibytes"),
    ("GiB", "gibibytes"),
    ("TiB", "tebibytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

const PER: [(&str, &str); 8] = [
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_translated_by_the_table() {
        for (unit, expected) in [
            ("", ""),
            ("1", ""),
            ("s", "seconds"),
            ("ms", "milliseconds"),
            ("By", "bytes"),
            ("MiBy", "mebibytes"),
            ("%", "percent"),
            ("{request}", ""),
            ("By{sent}", "bytes"),
            ("{request}/s", "per_second"),
            ("1/s", "per_second"),
            ("By/s", "bytes_per_second"),
            ("m/s", "meters_per_second"),
            ("km/h", "km_per_hour"),
            ("furlong", "furlong"),
            ("a b\n\"c", "a_b_c"),
            ("é", ""),
            ("{unclosed", ""),
        ] {
            assert_eq!(word(unit), expected, "{unit:?}");
        }
    }
}
