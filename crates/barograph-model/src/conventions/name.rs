//! The rules of names.

use super::unit;

/// Returns a better name, quoted, or a description of one, if this name has other characters than those
/// of the conventions: lower-case words and digits, with single `.` and `_` between them.
///
/// ```
/// use barograph_model::conventions::better_name;
/// assert_eq!(better_name("http.route"), None);
/// assert_eq!(better_name("orderCount").as_deref(), Some(r#""order_count""#));
/// ```
pub fn better(name: &str) -> Option<String> {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase());
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || is_delimiter(c);
    let has_pair = name.as_bytes().windows(2);
    let has_pair = has_pair.into_iter().any(|pair| {
        let [a, b] = [pair[0] as char, pair[1] as char];
        is_delimiter(a) && is_delimiter(b)
    });
    let is_fine = name.chars().all(is_word)
        && is_letter(name.chars().next())
        && !name.ends_with(is_delimiter)
        && !has_pair;
    if is_fine {
        return None;
    }
    let name = snake(name);
    Some(match is_letter(name.chars().next()) {
        true => format!("{name:?}"),
        false => "a name that begins with a letter".to_owned(),
    })
}

/// Returns the name without its last word, if that is `total`.
pub(super) fn without_total(name: &str) -> Option<&str> {
    name.strip_suffix("total")?
        .strip_suffix(|c: char| !c.is_alphanumeric())
}

/// A word of a name that is a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnitWord<'a> {
    /// The word.
    pub word: &'a str,
    /// The name without it, and without `total` at its end.
    pub rest: String,
    /// The base unit of what the word measures, in UCUM: `s` for `milliseconds`.
    pub unit: &'static str,
}

/// Returns the first word of the name that is a unit. Short words count only at the end of the name, and
/// very short ones only in that of a histogram, since they may mean something else. `total` at the end
/// does not count as a word.
///
/// ```
/// use barograph_model::conventions::unit_in;
/// let found = unit_in("order.wait_ms", true).expect("a unit");
/// assert_eq!((found.word, &*found.rest, found.unit), ("ms", "order.wait", "s"));
/// ```
pub fn unit(name: &str, is_histogram: bool) -> Option<UnitWord<'_>> {
    let name = without_total(name).unwrap_or(name);
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    let last = words.len().checked_sub(1).filter(|last| *last > 0)?;
    let found = words.iter().enumerate().find_map(|(at, word)| {
        let unit = unit::of_word(word).or_else(|| {
            let is_last = at == last;
            let short = unit::of_short_word(word).filter(|_| is_last);
            short.or_else(|| unit::of_symbol(word).filter(|_| is_last && is_histogram))
        })?;
        Some((at, *word, unit))
    });
    let (at, word, unit) = found?;
    // With the delimiter in front of it, or the one that follows if it is first.
    let begin: usize = words[..at].iter().map(|word| word.len() + 1).sum();
    let end = begin + word.len();
    let rest = match at {
        0 => name[end + 1..].to_owned(),
        _ => format!("{}{}", &name[..begin - 1], &name[end..]),
    };
    Some(UnitWord { word, rest, unit })
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '.' | '_')
}

/// Returns the name in lower case, with `_` for other characters and between the words of `camelCase`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            snake.push('_');
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => snake.push(c),
            c if !snake.ends_with(is_delimiter) => snake.push(if c == '.' { c } else { '_' }),
            _ => {}
        }
    }
    snake.trim_matches(is_delimiter).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_lower_case_words() {
        for fine in [
            "orders",
            "http.server.request.duration",
            "a.b_c",
            "k8s.pod.cpu2",
        ] {
            assert_eq!(better(fine), None, "{fine}");
        }
        for (name, expected) in [
            ("orderCount", r#""order_count""#),
            ("HTTPRequests", r#""httprequests""#),
            ("order-count/all", r#""order_count_all""#),
            ("order..count", r#""order.count""#),
            ("orders.", r#""orders""#),
            ("_orders", r#""orders""#),
            ("größe", r#""gr_e""#),
            ("2nd.order", "a name that begins with a letter"),
        ] {
            assert_eq!(better(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_total_is_a_word() {
        assert_eq!(without_total("orders_total"), Some("orders"));
        assert_eq!(without_total("orders.total"), Some("orders"));
        assert_eq!(without_total("subtotal"), None);
        assert_eq!(without_total("total"), None);
    }

    #[test]
    fn a_unit_is_a_word() {
        let found = |name, is_histogram| {
            unit(name, is_histogram).map(|found| (found.word, found.rest, found.unit))
        };
        for (name, word, rest, of) in [
            ("order.duration_seconds", "seconds", "order.duration", "s"),
            ("order.duration_ms", "ms", "order.duration", "s"),
            ("sent.bytes_total", "bytes", "sent", "By"),
            ("bytes.sent", "bytes", "sent", "By"),
            ("disk.bytes.free", "bytes", "disk.free", "By"),
            ("cpu.percent", "percent", "cpu", "1"),
        ] {
            let expected = Some((word, rest.to_owned(), of));
            assert_eq!(found(name, false), expected, "{name}");
        }
        for name in [
            "orders",
            "bytes",
            "order.ms.lost",
            "shop.us",
            "bytesize.max",
        ] {
            assert_eq!(found(name, false), None, "{name}");
        }
        assert_eq!(found("wait.us", true), Some(("us", "wait".to_owned(), "s")));
    }
}
