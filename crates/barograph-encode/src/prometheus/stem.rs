//! The part of a name that all translations and escapings have in common.

use crate::prometheus::unit;

/// Returns the part of a metric's name that stays the same however it is translated and escaped: its
/// words with `_` between them, without a unit, `total` and `info` at its end.
///
/// Two names with the same stem may be one metric under two of the rules by which OpenTelemetry,
/// Prometheus and their libraries write names. Whether they are is for the values to say.
///
/// ```
/// use barograph_encode::prometheus::stem;
/// assert_eq!(stem("http.server.duration"), "http_server_duration");
/// assert_eq!(stem("http_server_duration_seconds"), "http_server_duration");
/// assert_eq!(stem("U__shop_2e_orders__total"), "shop_orders");
/// ```
pub fn stem(name: &str) -> String {
    let mut stem = unescaped(name);
    // A name may have had such a word before a suffix was added.
    while let Some(rest) = without_suffix(&stem) {
        stem.truncate(rest.len());
    }
    stem
}

/// Returns a name of a label or a metric as it is with the escaping `underscores`, from any other escaping
/// and from none.
///
/// ```
/// use barograph_encode::prometheus::unescaped;
/// for name in ["http.route", "http_dot_route", "U__http_2e_route", "http_route"] {
///     assert_eq!(unescaped(name), "http_route");
/// }
/// ```
pub fn unescaped(name: &str) -> String {
    let values = name.strip_prefix("U__").and_then(from_values);
    let mut plain = String::with_capacity(name.len());
    for c in values.as_deref().unwrap_or(name).chars() {
        match c.is_ascii_alphanumeric() || c == ':' {
            true => plain.push(c),
            false if plain.ends_with('_') => {}
            false => plain.push('_'),
        }
    }
    let plain = plain.trim_matches('_');
    // The escaping `dots` has this word for each dot. A name that has it anyway loses it in all forms.
    let words = || plain.split('_');
    let kept: Vec<_> = words().filter(|word| *word != "dot").collect();
    match kept.is_empty() {
        true => plain.to_owned(),
        false => kept.join("_"),
    }
}

/// Returns a name without the suffix at its end, if it has one and is not that suffix alone.
fn without_suffix(name: &str) -> Option<&str> {
    let without = |suffix| name.strip_suffix(suffix).filter(|rest| !rest.is_empty());
    let of_type = without("_total").or_else(|| without("_info"));
    of_type.or_else(|| unit::without_word(name))
}

/// Decodes the escaping `values`, without its prefix. Returns `None` if the text is not encoded so.
fn from_values(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('_') {
        plain.push_str(before);
        rest = match after.strip_prefix('_') {
            Some(after) => {
                plain.push('_');
                after
            }
            // The first half of a `_` that was in front of `_total`, which is no part of the name of the
            // family in OpenMetrics.
            None if after.is_empty() => after,
            None => {
                // Its last `_` may have been that in front of `_total`, too.
                let (code, after) = after.split_once('_').unwrap_or((after, ""));
                plain.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                after
            }
        };
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use barograph_model::descriptor::{Descriptor, Kind};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::prometheus::name::{FamilyName, label};
    use crate::prometheus::{Escaping, Translation};

    const TRANSLATIONS: [Translation; 4] = [
        Translation::UnderscoreEscapingWithSuffixes,
        Translation::UnderscoreEscapingWithoutSuffixes,
        Translation::NoUtf8EscapingWithSuffixes,
        Translation::NoTranslation,
    ];
    const ESCAPINGS: [Escaping; 4] = [
        Escaping::Underscores,
        Escaping::Dots,
        Escaping::Values,
        Escaping::AllowUtf8,
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_forms_of_a_name_have_the_same_stem(
            words in vec(select(vec!["orders", "http", "duration", "bytes", "dot", "total", "9", "é"]), 1..5),
            delimiters in vec(select(vec![".", "_", "/", "-", "__"]), 5),
            unit in select(vec!["", "s", "ms", "By", "1", "{order}", "{order}/s", "By/s", "km/h", "%", "furlong"]),
            kind in select(vec![Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Info]),
        ) {
            // A word in front keeps a part of each name that is no suffix.
            let mut name = "shop".to_owned();
            for (word, delimiter) in words.iter().zip(&delimiters) {
                name += delimiter;
                name += word;
            }
            let mut descriptor = Descriptor::new(&name, kind);
            descriptor.unit = unit.into();
            let expected = stem(&name);
            for translation in TRANSLATIONS {
                for escaping in ESCAPINGS {
                    let on_page = FamilyName::new(&descriptor, translation, escaping);
                    for form in [&on_page.text, &on_page.family] {
                        // A unit that no table has stays at the end.
                        let has_own_unit = matches!(unit, "km/h" | "furlong");
                        let found = stem(form);
                        prop_assert!(found == expected || has_own_unit && found.starts_with(&expected), "{form}: {found}, expected {expected}");
                    }
                    let label = label(&name, translation, escaping);
                    prop_assert_eq!(unescaped(&label), unescaped(&name), "{}", label);
                }
            }
        }

        #[test]
        fn any_name_has_a_stem(name in ".*") {
            let once = stem(&name);
            prop_assert!(!once.contains("__"));
            unescaped(&name);
        }
    }

    #[test]
    fn only_suffixes_are_left_out() {
        for (name, expected) in [
            ("orders_total", "orders"),
            ("total", "total"),
            ("seconds", "seconds"),
            ("seconds_total", "seconds"),
            ("build_info", "build"),
            ("orders_total_ratio", "orders"),
            ("bytes_sent_total", "bytes_sent"),
            ("rate_bytes_per_second", "rate"),
            ("orders_per_second", "orders"),
            ("U__not_encoded", "U_not_encoded"),
            ("", ""),
            ("größe", "gr_e"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
