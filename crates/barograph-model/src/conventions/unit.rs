//! The rules of units.

use super::finding::Rule;

/// Returns the rule that a unit breaks, and the unit that was expected.
pub(super) fn check(unit: &str) -> Option<(Rule, String)> {
    let mut broken = None;
    let mut better = String::new();
    for (delimiter, term) in terms(unit) {
        better.extend(delimiter);
        let Some((rule, expected)) = check_term(term) else {
            better.push_str(term);
            continue;
        };
        // What cannot be read is worse than what has another scale.
        if broken != Some(Rule::UnitSyntax) {
            broken = Some(rule);
        }
        match expected {
            Some(expected) => better.push_str(&expected),
            None => return Some((rule, "UCUM, such as `s`, `By` or `{request}`".to_owned())),
        }
    }
    broken.map(|rule| (rule, format!("{better:?}")))
}

/// Returns the base unit that a word such as `seconds` stands for.
pub(super) fn of_word(word: &str) -> Option<&'static str> {
    find(&WORDS, word)
}

/// Returns the base unit that a short word stands for, if it hardly means anything else.
pub(super) fn of_short_word(word: &str) -> Option<&'static str> {
    find(&SHORT_WORDS, word)
}

/// Returns the base unit that a symbol stands for, if it can be a word of a name.
pub(super) fn of_symbol(word: &str) -> Option<&'static str> {
    find(&SYMBOLS, word)
}

/// Splits a unit at each `.` and `/` outside of braces.
fn terms(unit: &str) -> Vec<(Option<char>, &str)> {
    let (mut terms, mut begin, mut before, mut depth) = (Vec::new(), 0, None, 0_usize);
    for (at, c) in unit.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '.' | '/' if depth == 0 => {
                terms.push((before, &unit[begin..at]));
                (begin, before) = (at + 1, Some(c));
            }
            _ => {}
        }
    }
    terms.push((before, &unit[begin..]));
    terms
}

/// Returns the rule that a term breaks, and the expected term if it is known.
fn check_term(term: &str) -> Option<(Rule, Option<String>)> {
    let (symbol, annotation) = match term.find('{') {
        Some(at) => term.split_at(at),
        None => (term, ""),
    };
    if !annotation.is_empty() {
        let inner = annotation
            .strip_prefix('{')
            .and_then(|it| it.strip_suffix('}'));
        let is_fine = |inner: &str| {
            let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}');
            !inner.is_empty() && inner.chars().all(is_plain)
        };
        if !inner.is_some_and(is_fine) {
            return Some((Rule::UnitSyntax, None));
        }
        if symbol.is_empty() {
            return None;
        }
    }
    let atom = symbol.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    let is_known =
        symbol == "1" || BASE.contains(&atom) || (symbol.starts_with('[') && symbol.ends_with(']'));
    if is_known {
        return None;
    }
    let power = &symbol[atom.len()..];
    if let Some(base) = find(&SCALED, atom) {
        return Some((Rule::BaseUnit, Some(format!("{base}{power}{annotation}"))));
    }
    let lower = symbol.to_ascii_lowercase();
    if let Some(base) = of_word(&lower).or_else(|| find(&NAMES, &lower)) {
        return Some((Rule::UnitSyntax, Some(base.to_owned())));
    }
    let is_word = !symbol.is_empty() && symbol.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    let annotation = is_word.then(|| format!("{{{}}}", singular(&lower)));
    Some((Rule::UnitSyntax, annotation))
}

fn singular(word: &str) -> &str {
    let is_plural = !["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    word.strip_suffix('s').filter(|_| is_plural).unwrap_or(word)
}

fn find(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    let found = table.iter().find(|(known, _)| *known == word);
    found.map(|(_, unit)| *unit)
}

/// Units of UCUM without a prefix. Prometheus counts mass in grams, physicists in kilograms; both stay.
const BASE: [&str; 32] = [
    "s", "By", "bit", "m", "g", "kg", "Hz", "V", "A", "W", "J", "K", "Cel", "Pa", "N", "C", "F",
    "Ohm", "H", "T", "Wb", "S", "mol", "cd", "lm", "lx", "rad", "deg", "eV", "L", "l", "Bq",
];

/// Units with a prefix, and those that are a multiple of a base unit.
const SCALED: [(&str, &str); 47] = [
    ("ms", "s"),
    ("us", "s"),
    ("ns", "s"),
    ("ps", "s"),
    ("min", "s"),
    ("h", "s"),
    ("d", "s"),
    ("wk", "s"),
    ("mo", "s"),
    ("a", "s"),
    ("kBy", "By"),
    ("KBy", "By"),
    ("MBy", "By"),
    ("GBy", "By"),
    ("TBy", "By"),
    ("KiBy", "By"),
    ("MiBy", "By"),
    ("GiBy", "By"),
    ("TiBy", "By"),
    ("B", "By"),
    ("kB", "By"),
    ("KB", "By"),
    ("MB", "By"),
    ("GB", "By"),
    ("TB", "By"),
    ("KiB", "By"),
    ("MiB", "By"),
    ("GiB", "By"),
    ("TiB", "By"),
    ("kbit", "bit"),
    ("Mbit", "bit"),
    ("Gbit", "bit"),
    ("Kibit", "bit"),
    ("Mibit", "bit"),
    ("%", "1"),
    ("km", "m"),
    ("cm", "m"),
    ("mm", "m"),
    ("kHz", "Hz"),
    ("MHz", "Hz"),
    ("GHz", "Hz"),
    ("mV", "V"),
    ("mA", "A"),
    ("mW", "W"),
    ("kW", "W"),
    ("kJ", "J"),
    ("mg", "g"),
];

/// Words for units, in names of metrics and where a unit is expected.
const WORDS: [(&str, &str); 26] = [
    ("seconds", "s"),
    ("milliseconds", "s"),
    ("microseconds", "s"),
    ("nanoseconds", "s"),
    ("millis", "s"),
    ("micros", "s"),
    ("nanos", "s"),
    ("minutes", "s"),
    ("hours", "s"),
    ("bytes", "By"),
    ("kilobytes", "By"),
    ("megabytes", "By"),
    ("gigabytes", "By"),
    ("terabytes", "By"),
    ("kibibytes", "By"),
    ("mebibytes", "By"),
    ("gibibytes", "By"),
    ("tebibytes", "By"),
    ("percent", "1"),
    ("percentage", "1"),
    ("celsius", "Cel"),
    ("hertz", "Hz"),
    ("volts", "V"),
    ("amperes", "A"),
    ("watts", "W"),
    ("joules", "J"),
];

/// Words for units that mean something else in names.
const NAMES: [(&str, &str); 14] = [
    ("second", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("millisecond", "s"),
    ("msec", "s"),
    ("microsecond", "s"),
    ("usec", "s"),
    ("nanosecond", "s"),
    ("days", "s"),
    ("byte", "By"),
    ("bits", "bit"),
    ("ratio", "1"),
    ("meters", "m"),
    ("grams", "g"),
];

const SHORT_WORDS: [(&str, &str); 11] = [
    ("ms", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("msec", "s"),
    ("usec", "s"),
    ("kb", "By"),
    ("mb", "By"),
    ("gb", "By"),
    ("kib", "By"),
    ("mib", "By"),
    ("gib", "By"),
];

const SYMBOLS: [(&str, &str); 4] = [("s", "s"), ("us", "s"), ("ns", "s"), ("min", "s")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_units_are_fine() {
        for unit in [
            "s",
            "By",
            "1",
            "{request}",
            "By/s",
            "{order}/s",
            "By{sent}",
            "m2",
            "s-1",
            "1/s",
            "Cel",
            "[degF]",
            "kg.m/s2",
            "{a/b}",
            "bit/s",
        ] {
            assert_eq!(check(unit), None, "{unit}");
        }
    }

    #[test]
    fn other_scales_are_found() {
        for (unit, expected) in [
            ("ms", r#""s""#),
            ("us", r#""s""#),
            ("ns", r#""s""#),
            ("KiB", r#""By""#),
            ("MiBy", r#""By""#),
            ("%", r#""1""#),
            ("By/min", r#""By/s""#),
            ("mm2", r#""m2""#),
            ("kBy{sent}", r#""By{sent}""#),
        ] {
            let expected = Some((Rule::BaseUnit, expected.to_owned()));
            assert_eq!(check(unit), expected, "{unit}");
        }
    }

    #[test]
    fn words_and_what_cannot_be_read_are_found() {
        let any = "UCUM, such as `s`, `By` or `{request}`";
        for (unit, expected) in [
            ("seconds", r#""s""#),
            ("Milliseconds", r#""s""#),
            ("bytes", r#""By""#),
            ("percent", r#""1""#),
            ("requests", r#""{request}""#),
            ("request", r#""{request}""#),
            ("status", r#""{status}""#),
            ("requests/min", r#""{request}/s""#),
            ("ms/requests", r#""s/{request}""#),
            ("bytes per second", any),
            ("{two words}", any),
            ("{open", any),
            ("{}", any),
            ("s/", any),
            ("größe", any),
        ] {
            let expected = Some((Rule::UnitSyntax, expected.to_owned()));
            assert_eq!(check(unit), expected, "{unit}");
        }
    }
}
