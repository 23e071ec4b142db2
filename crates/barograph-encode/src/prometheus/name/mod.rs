//! Names on a page: first translated from OpenTelemetry, then escaped for the scraper.

use barograph_model::descriptor::{Descriptor, Kind};

use crate::prometheus::unit;

/// The translation of instrument and label names to Prometheus names.
///
/// It is the same for every scraper and format; [`Escaping`] is applied after it.
///
/// Source: OpenTelemetry, "Prometheus Exporter", `translation_strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Translation {
    /// `http.server.duration` in seconds becomes `http_server_duration_seconds`. Every scraper gets
    /// the same names.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `http.server.duration` becomes `http_server_duration`: no unit, and `_total` only where
    /// OpenMetrics requires it.
    UnderscoreEscapingWithoutSuffixes,
    /// `http.server.duration` becomes `http.server.duration_seconds` for scrapers that accept UTF-8
    /// names; for others it is escaped.
    NoUtf8EscapingWithSuffixes,
    /// `http.server.duration` stays unchanged for scrapers that accept UTF-8 names; for others it
    /// is escaped.
    NoTranslation,
}

impl Translation {
    /// Returns the escaping to use for names translated like this if the scraper asked for `asked`.
    ///
    /// Names that consist of legacy characters only need no escaping, and `dots` would double their
    /// underscores: they are sent unchanged, so that every scraper gets the same names.
    pub(super) fn escaping(self, asked: Escaping) -> Escaping {
        match asked {
            Escaping::Dots if self.is_legacy() => Escaping::Underscores,
            asked => asked,
        }
    }

    fn is_legacy(self) -> bool {
        match self {
            Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes => true,
            Self::NoUtf8EscapingWithSuffixes | Self::NoTranslation => false,
        }
    }

    fn has_suffixes(self) -> bool {
        match self {
            Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes => true,
            Self::UnderscoreEscapingWithoutSuffixes | Self::NoTranslation => false,
        }
    }
}

/// The escaping that a scraper asks for, for names that do not match `[a-zA-Z_:][a-zA-Z0-9_:]*`.
///
/// Source: Prometheus, "UTF-8 metric and label name escaping schemes".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Escaping {
    /// Every other character becomes `_`.
    #[default]
    Underscores,
    /// A dot becomes `_dot_`, `_` is doubled, every other character becomes `__`.
    Dots,
    /// The name is prefixed with `U__`, `_` is doubled, and every other character becomes its code
    /// point in hexadecimal between underscores.
    Values,
    /// The name is quoted.
    AllowUtf8,
}

impl Escaping {
    /// Returns the value of the `escaping` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
            Escaping::AllowUtf8 => "allow-utf-8",
        }
    }

    /// Returns the scheme that a value of the `escaping` parameter denotes.
    pub fn from_parameter(value: &str) -> Option<Self> {
        [Self::Underscores, Self::Dots, Self::Values, Self::AllowUtf8]
            .into_iter()
            .find(|escaping| escaping.as_str() == value)
    }

    fn apply(self, name: &str, kind: NameKind) -> String {
        if self == Escaping::AllowUtf8 || (self != Escaping::Dots && is_legacy(name, kind)) {
            return name.into();
        }
        let mut escaped = String::with_capacity(name.len() + 8);
        if self == Escaping::Values {
            escaped.push_str("U__");
        }
        for (i, c) in name.chars().enumerate() {
            match self {
                Escaping::Dots if c == '.' => escaped.push_str("_dot_"),
                Escaping::Dots | Escaping::Values if c == '_' => escaped.push_str("__"),
                _ if kind.allows(c, i) => escaped.push(c),
                Escaping::Dots => escaped.push_str("__"),
                Escaping::Values => escaped.push_str(&format!("_{:x}_", u32::from(c))),
                _ => escaped.push('_'),
            }
        }
        escaped
    }
}

/// The kind of a name. Only metric names may contain a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Metric,
    Label,
}

impl NameKind {
    fn allows(self, c: char, i: usize) -> bool {
        c.is_ascii_alphabetic()
            || c == '_'
            || (c == ':' && self == NameKind::Metric)
            || (i > 0 && c.is_ascii_digit())
    }
}

/// Returns true if a name needs no quotes.
pub(super) fn is_legacy(name: &str, kind: NameKind) -> bool {
    !name.is_empty() && name.chars().enumerate().all(|(i, c)| kind.allows(c, i))
}

/// The names of one family on a page, escaped but not quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FamilyName {
    /// The name of the family in OpenMetrics, without `_total` or `_info`.
    pub(super) family: String,
    /// The name of the family in the text format; different from `family` for counters and infos
    /// only.
    pub(super) text: String,
    /// The word for the unit, if the family's name ends with it.
    pub(super) unit: String,
}

impl FamilyName {
    /// Translates and escapes the name of a family, which is not empty.
    pub(super) fn new(
        descriptor: &Descriptor,
        translation: Translation,
        escaping: Escaping,
    ) -> Self {
        let kind = descriptor.kind;
        // The name of a state set is also the name of its label.
        let name_kind = match kind {
            Kind::StateSet => NameKind::Label,
            _ => NameKind::Metric,
        };
        let unit = match kind {
            Kind::Info | Kind::StateSet => String::new(),
            _ => unit::word(&descriptor.unit),
        };
        let mut name = if translation.is_legacy() {
            collapsed(&underscored(&descriptor.name, name_kind))
        } else {
            descriptor.name.replace('\0', "\u{fffd}")
        };
        if translation.has_suffixes() {
            name = with_suffixes(name, &unit, type_suffix(kind));
        }
        if translation.is_legacy() {
            name = collapsed(&name);
        }
        if let Some(word) = type_suffix(kind)
            && translation.has_suffixes()
            && name.strip_prefix('_') == Some(word)
        {
            // Without the suffix, no name would be left for the family.
            name = format!("{name}_{word}");
        }
        let mut text = translation.escaping(escaping).apply(&name, name_kind);
        if name_kind == NameKind::Label {
            text = not_reserved(text);
        }
        let family = match type_suffix(kind).and_then(|word| text.strip_suffix(word)) {
            Some(stem) if stem.len() > 1 && stem.ends_with('_') => stem[..stem.len() - 1].into(),
            _ => text.clone(),
        };
        let unit = match family.strip_suffix(&unit) {
            Some(stem) if !unit.is_empty() && stem.ends_with('_') => unit,
            _ => String::new(),
        };
        FamilyName { family, text, unit }
    }
}

/// Returns the name of a label on a page, escaped but not quoted.
pub(super) fn label(name: &str, translation: Translation, escaping: Escaping) -> String {
    let name = if translation.is_legacy() {
        collapsed(&underscored(name, NameKind::Label))
    } else {
        name.replace('\0', "\u{fffd}")
    };
    not_reserved(translation.escaping(escaping).apply(&name, NameKind::Label))
}

/// Names that begin with two underscores are reserved by Prometheus: many scrapers reject them, and
/// a second `__name__` invalidates the whole page.
fn not_reserved(label: String) -> String {
    match label.as_str() {
        "" => "_".into(),
        label if label.starts_with("__") => format!("_{}", label.trim_start_matches('_')),
        _ => label,
    }
}

/// Returns the suffix that OpenMetrics requires for the samples of this kind.
pub(super) fn type_suffix(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Counter => Some("total"),
        Kind::Info => Some("info"),
        _ => None,
    }
}

fn with_suffixes(name: String, unit: &str, suffix: Option<&str>) -> String {
    let mut name = match suffix {
        Some(word) => without_last_word(&name, word).into(),
        None => name,
    };
    // `a_seconds_` also ends with its unit.
    let end = name.trim_end_matches('_').len();
    if end > 0 && (suffix.is_some() || !unit.is_empty()) {
        name.truncate(end);
    }
    if !unit.is_empty() && !ends_with_word(&name, unit) {
        let missing = match unit.split_once("_per_") {
            Some((main, _)) if ends_with_word(&name, main) => &unit[main.len() + 1..],
            _ => unit,
        };
        name = format!("{name}_{missing}");
    }
    match suffix {
        Some(word) => format!("{name}_{word}"),
        None => name,
    }
}

fn ends_with_word(name: &str, word: &str) -> bool {
    name == word || without_last_word(name, word).len() < name.len()
}

fn without_last_word<'a>(name: &'a str, word: &str) -> &'a str {
    match name
        .strip_suffix(word)
        .map(|stem| (stem, stem.chars().next_back()))
    {
        Some((stem, Some(last))) if !last.is_alphanumeric() && stem.len() > last.len_utf8() => {
            &stem[..stem.len() - last.len_utf8()]
        }
        _ => name,
    }
}

/// Replaces every character that is invalid at this position by `_`; the name may still begin with
/// a digit.
fn underscored(name: &str, kind: NameKind) -> String {
    name.chars()
        .map(|c| if kind.allows(c, 1) { c } else { '_' })
        .collect()
}

/// Collapses runs of `_`, and adds a `_` in front of a leading digit.
fn collapsed(name: &str) -> String {
    let mut collapsed = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        collapsed.push('_');
    }
    for c in name.chars() {
        if c != '_' || !collapsed.ends_with('_') {
            collapsed.push(c);
        }
    }
    collapsed
}

#[cfg(test)]
mod tests;
