//! The command: reads both pages, and reports how they differ.

use barograph_encode::prometheus::parse::{ParsedPage, parse};
use barograph_model::text::{counted, one_line};
use serde_json::{Value, json};

use super::compare::{Values, compare};
use super::difference::{Difference, DifferenceKind};
use super::family::Family;
use super::pairs::Pairs;
use crate::arguments::PageDiff;
use crate::input::Input;
use crate::report::{Paint, Report, Unusable};

/// The result of comparing two pages.
#[derive(Debug)]
pub(crate) struct Compared {
    pages: [Side; 2],
    differences: Vec<Difference>,
}

/// One of the pages.
#[derive(Debug)]
struct Side {
    name: String,
    families: usize,
    series: usize,
}

/// Reads two pages and compares them.
pub(crate) fn diff(arguments: &PageDiff) -> Result<Compared, Unusable> {
    if arguments.before == "-" && arguments.after == "-" {
        return Err(Unusable::new(
            "both pages are to come from the standard input",
            "expected a file or a URL as one of them",
        ));
    }
    let inputs =
        [&arguments.before, &arguments.after].map(|it| Input::read(it, &arguments.reading));
    let [before, after] = inputs;
    let (before, after) = (before?, after?);
    let parsed = [&before, &after].map(|input| parse(&input.page, input.dialect));
    let mut differences: Vec<_> = [&before, &after]
        .into_iter()
        .zip(&parsed)
        .filter_map(|(input, page)| invalid(&input.name, page))
        .collect();
    let is_ignored = |family: &Family| arguments.ignore.iter().any(|it| matches(it, &family.name));
    let families = parsed.each_ref().map(|page| {
        let mut families = Family::all(page);
        families.retain(|family| !is_ignored(family));
        families
    });
    let values = match arguments.ignore_values {
        true => Values::Ignored,
        false => Values::Within(arguments.tolerance),
    };
    let pairs = Pairs::of(&families[0], &families[1]);
    differences.extend(
        pairs
            .missing
            .iter()
            .map(|it| alone(DifferenceKind::Missing, it)),
    );
    for pair in &pairs.both {
        compare(*pair, values, &mut differences);
    }
    differences.extend(
        pairs
            .added
            .iter()
            .map(|it| alone(DifferenceKind::Added, it)),
    );
    // Stable: families stay in the order of the page.
    differences.sort_by_key(|difference| difference.kind);
    let side = |index: usize, name: &str| Side {
        name: name.to_owned(),
        families: families[index].len(),
        series: families[index]
            .iter()
            .map(|family| family.series.len())
            .sum(),
    };
    Ok(Compared {
        pages: [side(0, &before.name), side(1, &after.name)],
        differences,
    })
}

fn invalid(name: &str, page: &ParsedPage<'_>) -> Option<Difference> {
    let first = page.problems.first()?;
    let count = page.problems.len() + page.more_problems;
    let count = counted(count as u64, "error", "errors");
    let message = format!("{count}, the first in {first}; barograph page check lists all of them");
    Some(Difference::new(DifferenceKind::Invalid, name, message))
}

fn alone(kind: DifferenceKind, family: &Family) -> Difference {
    let series = counted(family.series.len() as u64, "series", "series");
    Difference::new(
        kind,
        family.name.clone(),
        format!("{}, {series}", family.kind()),
    )
}

/// Returns true if a name matches a pattern, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

impl Report for Compared {
    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for (mark, page) in ["-", "+"].into_iter().zip(&self.pages) {
            let name = paint.heading(&one_line(&page.name));
            let families = counted(page.families as u64, "family", "families");
            let series = counted(page.series as u64, "series", "series");
            text += &format!("{mark} {name}: {families}, {series}\n");
        }
        for difference in &self.differences {
            text += &difference.text(paint);
        }
        let verdict = match self.differences.len() {
            0 => paint.fine("no differences"),
            many => {
                let count = counted(many as u64, "difference", "differences");
                paint.warning(&count.to_string())
            }
        };
        text + &verdict + "\n"
    }

    fn json(&self) -> Value {
        let pages = self.pages.iter().map(
            |page| json!({ "page": page.name, "families": page.families, "series": page.series }),
        );
        json!({
            "pages": pages.collect::<Vec<_>>(),
            "is_same": self.differences.is_empty(),
            "differences": self.differences.iter().map(Difference::json).collect::<Vec<_>>(),
        })
    }

    fn has_findings(&self) -> bool {
        !self.differences.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*", "", true),
            ("*b", "ab", true),
            ("*b", "abc", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("ab*bc", "abc", false),
            ("a**c", "abc", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
