//! A strict parser of both text formats, written from their specifications alone.
//!
//! It accepts less than real parsers do: what it rejects, at least one of them rejects.

use std::collections::{BTreeMap, HashSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Text,
    OpenMetrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Legacy,
    Utf8,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) unit: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    pub(crate) time: Option<f64>,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| &**value)
    }

    fn without(&self, name: &str) -> Vec<(String, String)> {
        let mut labels = self.labels.clone();
        labels.retain(|(key, value)| key != name && !value.is_empty());
        labels.sort();
        labels
    }
}

/// Parses a page, or returns the invalid line and the reason.
pub(crate) fn parse(page: &str, dialect: Dialect, names: Names) -> Result<Vec<Family>, String> {
    if page.contains('\0') {
        return Err("a NUL".into());
    }
    let body = match dialect {
        Dialect::Text if page.is_empty() => return Ok(Vec::new()),
        Dialect::Text => page.strip_suffix('\n').ok_or("no line feed at the end")?,
        Dialect::OpenMetrics => {
            let body = page.strip_suffix("# EOF\n").ok_or("no EOF at the end")?;
            if body.is_empty() {
                return Ok(Vec::new());
            }
            body.strip_suffix('\n').ok_or("EOF on no line of its own")?
        }
    };
    let mut families: Vec<Family> = Vec::new();
    for line in body.split('\n') {
        read_line(line, dialect, names, &mut families).map_err(|why| format!("{why}: {line:?}"))?;
    }
    check_page(&families, dialect)?;
    for family in &families {
        check_family(family, dialect).map_err(|why| format!("{why}: family {:?}", family.name))?;
    }
    Ok(families)
}

fn read_line(
    line: &str,
    dialect: Dialect,
    names: Names,
    families: &mut Vec<Family>,
) -> Result<(), String> {
    let mut cursor = Cursor { rest: line, names };
    if let Some(rest) = line.strip_prefix("# ") {
        let (what, rest) = rest.split_once(' ').ok_or("a comment")?;
        cursor.rest = rest;
        let name = cursor.metric_name()?;
        cursor.expect(" ")?;
        let text = cursor.rest;
        return match what {
            "HELP" => {
                families.push(Family {
                    name,
                    help: unescape(text, dialect == Dialect::OpenMetrics)?,
                    ..Family::default()
                });
                Ok(())
            }
            "TYPE" => {
                let family = families.last_mut().filter(|family| family.name == name);
                let family = family.ok_or("TYPE without HELP")?;
                let known: &[&str] = match dialect {
                    Dialect::Text => &["counter", "gauge", "histogram", "untyped"],
                    Dialect::OpenMetrics => &[
                        "counter",
                        "gauge",
                        "histogram",
                        "info",
                        "stateset",
                        "unknown",
                    ],
                };
                if !family.kind.is_empty() || !known.contains(&text) {
                    return Err("a second or unknown TYPE".into());
                }
                family.kind = text.into();
                Ok(())
            }
            "UNIT" if dialect == Dialect::OpenMetrics => {
                let family = families.last_mut().filter(|family| family.name == name);
                let family = family.ok_or("UNIT without HELP")?;
                if family.unit.is_some() || !family.samples.is_empty() {
                    return Err("a second or late UNIT".into());
                }
                family.unit = Some(text.into());
                Ok(())
            }
            _ => Err("an unknown comment".into()),
        };
    }
    let sample = cursor.sample(dialect)?;
    let family = families.last_mut().ok_or("a sample without a family")?;
    if family.kind.is_empty() {
        return Err("a sample before its TYPE".into());
    }
    let suffix = sample.name.strip_prefix(&*family.name);
    if !suffix.is_some_and(|suffix| suffixes(&family.kind, dialect).contains(&suffix)) {
        return Err(format!(
            "a sample that is not of the family {:?}",
            family.name
        ));
    }
    family.samples.push(sample);
    Ok(())
}

fn suffixes(kind: &str, dialect: Dialect) -> &'static [&'static str] {
    match (dialect, kind) {
        (Dialect::Text, "histogram") => &["_bucket", "_sum", "_count"],
        (Dialect::Text, _) => &[""],
        (_, "counter") => &["_total", "_created"],
        (_, "histogram") => &["_bucket", "_sum", "_count", "_created"],
        (_, "info") => &["_info"],
        _ => &[""],
    }
}

/// Checks the page as a whole: no header, name or series may occur twice.
fn check_page(families: &[Family], dialect: Dialect) -> Result<(), String> {
    let (mut headers, mut names, mut series) = (HashSet::new(), HashSet::new(), HashSet::new());
    for family in families {
        if !headers.insert(&family.name) {
            return Err(format!("a second header for {:?}", family.name));
        }
        for suffix in suffixes(&family.kind, dialect) {
            if !names.insert(format!("{}{suffix}", family.name)) {
                return Err(format!("two families have {}{suffix}", family.name));
            }
        }
        for sample in &family.samples {
            if !series.insert((&sample.name, sample.without(""))) {
                return Err(format!("a series twice: {sample:?}"));
            }
        }
    }
    match headers.iter().find(|name| {
        let owner = |family: &&Family| family.name != ***name;
        families.iter().filter(owner).any(|family| {
            suffixes(&family.kind, dialect)
                .iter()
                .any(|s| format!("{}{s}", family.name) == ***name)
        })
    }) {
        Some(name) => Err(format!("{name:?} is a family and another's sample")),
        None => Ok(()),
    }
}

fn check_family(family: &Family, dialect: Dialect) -> Result<(), String> {
    if family.kind.is_empty() {
        return Err("no TYPE".into());
    }
    if let Some(unit) = &family.unit {
        let is_suffix = family.name.ends_with(&format!("_{unit}"));
        if unit.is_empty() || !is_suffix || ["info", "stateset"].contains(&&*family.kind) {
            return Err(format!("a unit {unit:?} that the name does not end with"));
        }
    }
    for sample in &family.samples {
        let suffix = &sample.name[family.name.len()..];
        let counts = ["_total", "_bucket", "_count"].contains(&suffix)
            || (dialect == Dialect::OpenMetrics && suffix == "_sum")
            || family.kind == "counter";
        let is_ok = match &*family.kind {
            _ if counts => sample.value >= 0.0,
            "info" => sample.value == 1.0,
            "stateset" => {
                sample.label(&family.name).is_some() && [0.0, 1.0].contains(&sample.value)
            }
            _ => true,
        };
        if !is_ok {
            return Err(format!("a value that cannot be: {sample:?}"));
        }
        if let Some(exemplar) = &sample.exemplar {
            let le = match suffix {
                "_bucket" => number(sample.label("le").unwrap_or_default())?,
                _ => f64::INFINITY,
            };
            let points =
                |(key, value): &(String, String)| key.chars().count() + value.chars().count();
            let length: usize = exemplar.labels.iter().map(points).sum();
            if !["_total", "_bucket"].contains(&suffix) || length > 128 || exemplar.value > le {
                return Err(format!("an exemplar that cannot be: {sample:?}"));
            }
        }
    }
    match &*family.kind {
        "histogram" => check_histogram(family, dialect),
        _ => Ok(()),
    }
}

fn check_histogram(family: &Family, dialect: Dialect) -> Result<(), String> {
    type Buckets = Vec<(f64, f64)>;
    #[derive(Default)]
    struct Series {
        buckets: Buckets,
        sum: Option<f64>,
        count: Option<f64>,
    }
    let mut all: BTreeMap<Vec<(String, String)>, Series> = BTreeMap::new();
    let mut last = None;
    for sample in &family.samples {
        let key = sample.without("le");
        if last.as_ref() != Some(&key) && all.contains_key(&key) {
            return Err(format!("a histogram in two places: {sample:?}"));
        }
        let series = all.entry(key.clone()).or_default();
        last = Some(key);
        match &sample.name[family.name.len()..] {
            "_bucket" => {
                let le = sample.label("le").ok_or("a bucket without le")?;
                let is_canonical = le == "+Inf" || le.contains(['.', 'e']);
                if dialect == Dialect::OpenMetrics && !is_canonical {
                    return Err(format!("le {le:?} is not canonical"));
                }
                series.buckets.push((number(le)?, sample.value));
            }
            "_sum" => series.sum = Some(sample.value),
            "_count" => series.count = Some(sample.value),
            _ => {}
        }
    }
    for (key, series) in &all {
        let rises = series
            .buckets
            .windows(2)
            .all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
        let total = series.buckets.last().filter(|(le, _)| *le == f64::INFINITY);
        let total = total.ok_or_else(|| format!("no +Inf bucket: {key:?}"))?.1;
        let whole = match (series.count, series.sum) {
            (Some(count), Some(_)) => count == total,
            (None, None) => dialect == Dialect::OpenMetrics,
            _ => false,
        };
        let negative = series.buckets[0].0 < 0.0;
        let lean = dialect == Dialect::Text || !negative || series.sum.is_none();
        if !(rises && whole && lean) {
            return Err(format!("a histogram that does not add up: {key:?}"));
        }
    }
    Ok(())
}

struct Cursor<'a> {
    rest: &'a str,
    names: Names,
}

impl<'a> Cursor<'a> {
    fn sample(&mut self, dialect: Dialect) -> Result<Sample, String> {
        let (name, labels) = if self.rest.starts_with('{') {
            self.expect("{")?;
            let name = self.quoted_name()?;
            let labels = if self.take(",") {
                self.labels()?
            } else {
                Vec::new()
            };
            self.expect("}")?;
            (name, labels)
        } else {
            let name = self.metric_name()?;
            let mut labels = Vec::new();
            if self.take("{") {
                labels = self.labels()?;
                self.expect("}")?;
            }
            (name, labels)
        };
        self.expect(" ")?;
        let value = number(self.word())?;
        let mut exemplar = None;
        if dialect == Dialect::OpenMetrics && self.take(" # {") {
            let labels = self.labels()?;
            self.expect("} ")?;
            let value = number(self.word())?;
            let time = if self.take(" ") {
                Some(number(self.word())?)
            } else {
                None
            };
            exemplar = Some(Exemplar {
                labels,
                value,
                time,
            });
        }
        if !self.rest.is_empty() {
            return Err(format!("more than a sample: {:?}", self.rest));
        }
        Ok(Sample {
            name,
            labels,
            value,
            exemplar,
        })
    }

    fn labels(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut labels: Vec<(String, String)> = Vec::new();
        loop {
            let name = if self.rest.starts_with('"') {
                self.quoted_name()?
            } else {
                self.legacy_name(|c| c == '_')?
            };
            self.expect("=")?;
            let value = self.quoted()?;
            if name.starts_with("__") || labels.iter().any(|(key, _)| *key == name) {
                return Err(format!("a label reserved or twice: {name:?}"));
            }
            labels.push((name, value));
            if !self.take(",") {
                return Ok(labels);
            }
        }
    }

    fn metric_name(&mut self) -> Result<String, String> {
        if self.rest.starts_with('"') {
            self.quoted_name()
        } else {
            self.legacy_name(|c| c == '_' || c == ':')
        }
    }

    fn legacy_name(&mut self, other: impl Fn(char) -> bool) -> Result<String, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || other(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("no name at {:?}", self.rest));
        }
        self.rest = rest;
        Ok(name.into())
    }

    fn quoted_name(&mut self) -> Result<String, String> {
        let name = self.quoted()?;
        if self.names == Names::Legacy || name.is_empty() {
            return Err(format!("a quoted name {name:?}"));
        }
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut escaped = false;
        for (i, c) in self.rest.char_indices() {
            match c {
                '"' if !escaped => {
                    let text = unescape(&self.rest[..i], true)?;
                    self.rest = &self.rest[i + 1..];
                    return Ok(text);
                }
                _ => escaped = c == '\\' && !escaped,
            }
        }
        Err("a text that does not end".into())
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        match self.take(text) {
            true => Ok(()),
            false => Err(format!("no {text:?} at {:?}", self.rest)),
        }
    }
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quotes => '"',
                other => return Err(format!("an escape of {other:?}")),
            },
            c => c,
        });
    }
    Ok(plain)
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "+Inf" => return Ok(f64::INFINITY),
        "-Inf" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    let is_decimal = |c: char| c.is_ascii_digit() || ['+', '-', '.', 'e'].contains(&c);
    match text.parse() {
        Ok(value) if text.chars().all(is_decimal) => Ok(value),
        _ => Err(format!("a number {text:?}")),
    }
}

#[test]
fn the_parser_rejects_invalid_pages() {
    let text = |page: &str| parse(page, Dialect::Text, Names::Legacy);
    let open_metrics = |page: &str| parse(page, Dialect::OpenMetrics, Names::Legacy);
    let head = "# HELP a h\n# TYPE a gauge\n";
    assert!(text(&format!("{head}a{{b=\"c\"}} 1\n")).is_ok());
    for wrong in [
        "a 1".into(),
        "a 1\n".into(),
        format!("{head}a 1\na 2\n"),
        format!("{head}a{{b=\"\"}} 1\na 2\n"),
        format!("{head}{head}a 1\n"),
        format!("{head}a{{b=\"c\",b=\"d\"}} 1\n"),
        format!("{head}a{{1b=\"c\"}} 1\n"),
        format!("{head}a{{b:c=\"c\"}} 1\n"),
        format!("{head}a{{__name__=\"c\"}} 1\n"),
        format!("{head}a{{b=\"\\x\"}} 1\n"),
        format!("{head}a{{b=\"\0\"}} 1\n"),
        format!("{head}a{{\"b\"=\"c\"}} 1\n"),
        format!("{head}a one\n"),
        format!("{head}a_total 1\n"),
        format!("{head}a 1 # {{b=\"c\"}} 1\n"),
        "# HELP a b\nc\n# TYPE a gauge\na 1\n".into(),
        "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n".into(),
        "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n".into(),
    ] {
        assert!(text(&wrong).is_err(), "{wrong}");
    }
    let counter = "# HELP a h\n# TYPE a counter\n";
    assert!(open_metrics(&format!("{counter}a_total 1 # {{b=\"c\"}} 1\n# EOF\n")).is_ok());
    for wrong in [
        format!("{counter}a_total 1\n"),
        format!("{counter}a 1\n# EOF\n"),
        format!("{counter}a_total -1\n# EOF\n"),
        format!("{counter}a_total NaN\n# EOF\n"),
        format!("{counter}# UNIT a seconds\na_total 1\n# EOF\n"),
        format!(
            "{counter}a_total 1 # {{b=\"{}\"}} 1\n# EOF\n",
            "x".repeat(128)
        ),
        format!("{counter}# HELP a_total h\n# TYPE a_total gauge\na_total 1\n# EOF\n"),
    ] {
        assert!(open_metrics(&wrong).is_err(), "{wrong}");
    }
}
