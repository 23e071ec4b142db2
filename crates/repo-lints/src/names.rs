//! No two public types of one crate have the same name.
//!
//! A reader who searches for a type finds one. Types that only share a name also cannot be imported
//! together, nor exported from the root of a crate.

use std::collections::BTreeMap;

use crate::source::Line;

/// Returns the names that are defined more than once in a crate, each with the files that define it.
pub fn check(files: &BTreeMap<String, Vec<Line>>) -> Vec<String> {
    let mut defined: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, lines) in files {
        for name in lines.iter().filter_map(public_type) {
            defined.entry(name).or_default().push(file);
        }
    }
    let repeated = defined.into_iter().filter(|(_, files)| files.len() > 1);
    repeated
        .map(|(name, files)| format!("{name} is public in {}", files.join(" and ")))
        .collect()
}

/// Returns the name of the public type that a line defines. `Sealed` is an idiom: it is never exported.
fn public_type(line: &Line) -> Option<String> {
    let rest = line.code.trim_start().strip_prefix("pub ")?;
    let kinds = ["struct ", "enum ", "union ", "trait ", "type "];
    let rest = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
    let name = rest
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    (!line.test && name != "Sealed").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter();
        let files = files.map(|(name, text)| ((*name).to_owned(), source::lines(text)));
        check(&files.collect())
    }

    #[test]
    fn a_name_that_is_defined_twice_is_found() {
        let files = [
            ("a.rs", "pub struct Body<B>(B);\nstruct Place;\n"),
            (
                "b.rs",
                "mod c {\n    pub type Body = u8;\n    pub struct Place;\n}\n",
            ),
        ];
        assert_eq!(found(&files), ["Body is public in a.rs and b.rs"]);
    }

    #[test]
    fn names_of_tests_and_within_the_crate_are_not_compared() {
        let files = [
            ("a.rs", "pub struct Body;\npub trait Sealed {}\n"),
            ("b.rs", "pub(crate) struct Body;\npub trait Sealed {}\n"),
            (
                "c.rs",
                "#[cfg(test)]\nmod tests {\n    pub struct Body;\n}\n",
            ),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
