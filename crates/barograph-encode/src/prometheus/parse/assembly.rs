//! Assembles the lines of a page into families, and checks what concerns more than one line.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Dialect;
use super::cursor::Unexpected;
use super::family::{FamilyKind, ParsedFamily, ParsedPage, ParsedSample};
use super::family_check;
use super::line::{self, Line};
use super::problem::{PageRule, Problems};

/// The families of the lines that were read.
pub(super) struct Assembly<'a> {
    dialect: Dialect,
    families: Vec<ParsedFamily<'a>>,
    /// The state of each family, at the same index.
    states: Vec<FamilyState>,
    by_name: HashMap<Cow<'a, str>, usize>,
    /// The family of the last line.
    current: Option<usize>,
    /// The line and the timestamp of the last sample of each series.
    series: HashMap<Box<str>, (usize, Option<f64>)>,
    problems: Problems,
    quoted_name: Option<usize>,
    last_line: usize,
    /// The number of the line `# EOF`.
    eof: Option<usize>,
    has_line_after_eof: bool,
    has_carriage_return: bool,
}

/// The state of a family while its lines are read.
#[derive(Clone, Copy, Debug, Default)]
struct FamilyState {
    /// The line of its `TYPE`.
    type_line: Option<usize>,
    /// The line of its `UNIT`.
    unit_line: Option<usize>,
    /// True if it was reported that its lines are not together.
    is_scattered: bool,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(dialect: Dialect) -> Self {
        Assembly {
            dialect,
            families: Vec::new(),
            states: Vec::new(),
            by_name: HashMap::new(),
            current: None,
            series: HashMap::new(),
            problems: Problems::default(),
            quoted_name: None,
            last_line: 0,
            eof: None,
            has_line_after_eof: false,
            has_carriage_return: false,
        }
    }

    /// Adds a line, without its line feed.
    pub(super) fn line(&mut self, number: usize, bytes: &'a [u8]) {
        self.last_line = number;
        let Some(text) = self.text_of(number, bytes) else {
            return;
        };
        if self.eof.is_some() {
            if !std::mem::replace(&mut self.has_line_after_eof, true) {
                let expected = "nothing after # EOF";
                self.problems
                    .add((number, 1), PageRule::End, text, expected);
            }
            return;
        }
        let (parsed, has_quoted_name) = line::parse(text, number, self.dialect);
        if has_quoted_name {
            self.quoted_name.get_or_insert(number);
        }
        match parsed {
            Ok(Line::Nothing) => {}
            Ok(Line::Eof) => self.eof = Some(number),
            Ok(Line::Help(name, help)) => self.help(number, name, help),
            Ok(Line::Type(name, kind)) => self.kind(number, name, kind),
            Ok(Line::Unit(name, unit)) => self.unit(number, name, unit),
            Ok(Line::Sample(sample)) => self.sample(sample),
            Err(Unexpected {
                rule,
                at,
                found,
                expected,
            }) => {
                let column = column_of(text, at);
                self.problems.add((number, column), rule, &found, expected);
            }
        }
    }

    /// Returns the page, of which all lines were added.
    pub(super) fn finish(mut self, is_terminated: bool) -> ParsedPage<'a> {
        // The line feed after `# EOF` is optional.
        if !is_terminated && self.eof.is_none() {
            let place = (self.last_line, 1);
            let expected = "a line feed at the end of the page: it seems to be cut off";
            self.problems.add(place, PageRule::End, "", expected);
        }
        if self.dialect == Dialect::OpenMetrics && self.eof.is_none() {
            let place = (self.last_line + 1, 1);
            let expected = "# EOF at the end of the page: without it the page may be cut off";
            self.problems.add(place, PageRule::End, "", expected);
        }
        self.check_names();
        for (family, state) in self.families.iter().zip(&self.states) {
            let unit_line = state.unit_line.unwrap_or(family.line);
            family_check::check(family, unit_line, self.dialect, &mut self.problems);
        }
        let (problems, more_problems) = self.problems.into_sorted();
        ParsedPage {
            dialect: self.dialect,
            families: self.families,
            problems,
            more_problems,
            quoted_name: self.quoted_name,
        }
    }

    /// Returns a line as text, or reports that it is not.
    fn text_of(&mut self, number: usize, bytes: &'a [u8]) -> Option<&'a str> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let column = bytes[..error.valid_up_to()]
                    .utf8_chunks()
                    .flat_map(|chunk| chunk.valid().chars())
                    .count()
                    + 1;
                let found = bytes[error.valid_up_to()..].escape_ascii().to_string();
                let expected = "text in UTF-8";
                self.problems
                    .add((number, column), PageRule::Encoding, &found, expected);
                return None;
            }
        };
        if let Some(at) = text.find('\0') {
            let place = (number, column_of(text, at));
            self.problems
                .add(place, PageRule::Encoding, &text[at..], "text without NUL");
            return None;
        }
        // The end of a help text may be anything.
        let is_help = text
            .trim_start_matches(['#', ' ', '\t'])
            .starts_with("HELP");
        match text.strip_suffix('\r').filter(|_| !is_help) {
            Some(stripped) => {
                if !std::mem::replace(&mut self.has_carriage_return, true) {
                    let place = (number, column_of(text, stripped.len()));
                    let expected = "lines that end with a line feed alone";
                    self.problems.add(place, PageRule::Encoding, "\r", expected);
                }
                Some(stripped)
            }
            None => Some(text),
        }
    }

    fn help(&mut self, line: usize, name: Cow<'a, str>, help: Cow<'a, str>) {
        let index = self.described(line, name, "HELP");
        let family = &mut self.families[index];
        if family.help.is_some() {
            let expected = "one HELP for each family";
            self.problems
                .add((line, 1), PageRule::Metadata, &family.name, expected);
            return;
        }
        family.help = Some(help);
    }

    fn kind(&mut self, line: usize, name: Cow<'a, str>, kind: FamilyKind) {
        let index = self.described(line, name, "TYPE");
        let (family, state) = (&mut self.families[index], &mut self.states[index]);
        if let Some(before) = state.type_line {
            let expected = format!("one TYPE for each family, the first is in line {before}");
            self.problems
                .add((line, 1), PageRule::Metadata, &family.name, expected);
            return;
        }
        state.type_line = Some(line);
        if family.samples.is_empty() {
            family.kind = kind;
        }
    }

    fn unit(&mut self, line: usize, name: Cow<'a, str>, unit: Cow<'a, str>) {
        let index = self.described(line, name, "UNIT");
        let (family, state) = (&mut self.families[index], &mut self.states[index]);
        if let Some(before) = state.unit_line {
            let expected = format!("one UNIT for each family, the first is in line {before}");
            self.problems
                .add((line, 1), PageRule::Metadata, &family.name, expected);
            return;
        }
        state.unit_line = Some(line);
        family.unit = Some(unit);
    }

    /// Returns the family that a comment describes, and makes it the current one.
    fn described(&mut self, line: usize, name: Cow<'a, str>, keyword: &str) -> usize {
        let index = match self.by_name.get(&name) {
            Some(index) => *index,
            None => self.add_family(line, name),
        };
        let family = &self.families[index];
        if let Some(first) = family.samples.first() {
            let expected = format!(
                "{keyword} before the samples, which begin in line {}",
                first.line
            );
            let name = &family.name;
            self.problems
                .add((line, 1), PageRule::Metadata, name, expected);
            self.current = Some(index);
        } else {
            self.go_to(index, line);
        }
        index
    }

    fn sample(&mut self, sample: ParsedSample<'a>) {
        let line = sample.line;
        let index = match self.owner(&sample.name) {
            Some(index) => index,
            None => match self.by_name.get(&sample.name) {
                Some(index) => {
                    let family = &self.families[*index];
                    let suffixes = family.kind.suffixes(self.dialect).iter();
                    let names: Vec<_> = suffixes
                        .map(|suffix| format!("{}{suffix}", family.name))
                        .collect();
                    let kind = family.kind.as_str_in(self.dialect);
                    let expected = format!("a sample of this {kind}: {}", names.join(", "));
                    self.problems
                        .add((line, 1), PageRule::Suffix, &sample.name, expected);
                    return;
                }
                None => self.add_family(line, sample.name.clone()),
            },
        };
        self.go_to(index, line);
        self.check_series(&sample);
        self.families[index].samples.push(sample);
    }

    /// Returns the family that may have a sample with this name.
    fn owner(&self, name: &str) -> Option<usize> {
        let has = |index: usize, suffix: &str| {
            let kind = self.families[index].kind;
            kind.suffixes(self.dialect).contains(&suffix)
        };
        let current = self.current.filter(|index| {
            let suffix = name.strip_prefix(&*self.families[*index].name);
            suffix.is_some_and(|suffix| has(*index, suffix))
        });
        current.or_else(|| {
            SUFFIXES.into_iter().find_map(|suffix| {
                let index = *self.by_name.get(name.strip_suffix(suffix)?)?;
                has(index, suffix).then_some(index)
            })
        })
    }

    fn add_family(&mut self, line: usize, name: Cow<'a, str>) -> usize {
        let index = self.families.len();
        self.by_name.insert(name.clone(), index);
        self.families.push(ParsedFamily {
            name,
            kind: FamilyKind::Unknown,
            help: None,
            unit: None,
            line,
            samples: Vec::new(),
        });
        self.states.push(FamilyState::default());
        self.current = Some(index);
        index
    }

    /// Makes a family the current one, and reports when it was left before.
    fn go_to(&mut self, index: usize, line: usize) {
        let before = self.current.replace(index);
        if before == Some(index) || std::mem::replace(&mut self.states[index].is_scattered, true) {
            return;
        }
        let family = &self.families[index];
        let expected = format!(
            "all lines of a family together, those of this one begin in line {}",
            family.line
        );
        self.problems
            .add((line, 1), PageRule::Grouping, &family.name, expected);
    }

    /// Reports a series that was there before.
    fn check_series(&mut self, sample: &ParsedSample<'a>) {
        let mut key = String::from(&*sample.name);
        for (name, value) in sample.labels_without("") {
            for part in [name, value] {
                // No part contains this: it would have ended the page.
                key.push('\0');
                key.push_str(part);
            }
        }
        let place = (sample.line, 1);
        let now = (sample.line, sample.timestamp);
        let Some((line, before)) = self.series.insert(key.into(), now) else {
            return;
        };
        let rises = match (before, sample.timestamp) {
            // A series may have several samples in OpenMetrics, one for each point in time.
            (Some(before), Some(now)) if self.dialect == Dialect::OpenMetrics => now > before,
            _ => {
                let expected = format!("each series once, this one is in line {line} too");
                self.problems
                    .add(place, PageRule::DuplicateSeries, &sample.name, expected);
                return;
            }
        };
        if !rises {
            let expected = format!("a timestamp after that of line {line}");
            self.problems
                .add(place, PageRule::Timestamp, &sample.name, expected);
        }
    }

    /// Reports families that share the name of a sample, or have that of another's sample.
    fn check_names(&mut self) {
        let mut taken: HashMap<String, usize> = HashMap::new();
        for (index, family) in self.families.iter().enumerate() {
            let suffixes = family.kind.suffixes(self.dialect).iter();
            let suffixes = suffixes.copied().filter(|suffix| !suffix.is_empty());
            for suffix in std::iter::once("").chain(suffixes) {
                let name = format!("{}{suffix}", family.name);
                if let Some(other) = taken.get(&name) {
                    let other = &self.families[*other];
                    let expected = format!(
                        "a name that the family {} in line {} does not need",
                        other.name, other.line
                    );
                    let place = (family.line, 1);
                    self.problems
                        .add(place, PageRule::NameClash, &name, expected);
                    break;
                }
                taken.insert(name, index);
            }
        }
    }
}

fn column_of(line: &str, at: usize) -> usize {
    line[..at].chars().count() + 1
}

/// The suffixes of all types, the longest first.
const SUFFIXES: [&str; 9] = [
    "_created", "_bucket", "_gcount", "_count", "_total", "_gsum", "_info", "_sum", "",
];
