//! Lints of one file: its length, notes, summaries of docs, `unsafe`, atomic orderings.

use crate::source::Line;

/// The most lines that a file may have, without its tests.
pub const LIMIT: usize = 600;

/// Returns a finding when a file has more than [`LIMIT`] lines, tests not counted.
pub fn length(lines: &[Line]) -> Vec<String> {
    let count = lines.iter().filter(|line| !line.test).count();
    match count > LIMIT {
        true => vec![format!(
            "{count} lines without tests, {LIMIT} are the limit"
        )],
        false => Vec::new(),
    }
}

/// Returns the lines with a note about unfinished work, in any text file.
pub fn notes(text: &str) -> Vec<String> {
    // Concatenated, so that the lint does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let lines = text.lines().enumerate();
    let noted = lines.filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
    noted
        .map(|(number, line)| format!("line {}: a note: {}", number + 1, line.trim()))
        .collect()
}

/// Returns a finding when the root of a crate does not forbid unsafe code.
pub fn forbids_unsafe(root: &[Line]) -> Vec<String> {
    match root
        .iter()
        .any(|line| line.code.trim() == "#![forbid(unsafe_code)]")
    {
        true => Vec::new(),
        false => vec!["expected #![forbid(unsafe_code)] in the root of a crate".to_owned()],
    }
}

/// Returns doc comments whose first word turns their summary into a clause. A summary says what the item
/// is or does: "Returns true if the queue is full", not "Whether the queue is full".
pub fn summaries(lines: &[Line]) -> Vec<String> {
    const CLAUSES: [&str; 5] = ["What", "Who", "How", "Whether", "Where"];
    // What follows the two slashes of a doc comment begins with one of these.
    let kind = |line: &Line| {
        line.comment
            .chars()
            .next()
            .filter(|c| matches!(c, '/' | '!'))
    };
    let mut before = None;
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let kind = kind(line).filter(|_| line.code.trim().is_empty());
        if kind.is_some() && kind != before {
            let summary = line.comment[1..].trim();
            let first = words(summary).next().unwrap_or_default();
            if CLAUSES.contains(&first) {
                found.push(format!(
                    "line {}: a summary begins with {first}: {summary}",
                    number + 1
                ));
            }
        }
        before = kind;
    }
    found
}

/// Returns `unsafe` blocks and impls without a SAFETY comment. Clippy has the same lint; this one
/// also reads code that is compiled under another `cfg` only.
pub fn safety(lines: &[Line]) -> Vec<String> {
    explained(
        lines,
        "SAFETY:",
        "an unsafe without a SAFETY comment",
        |code| {
            words(code).any(|word| word == "unsafe")
                && (code.contains("unsafe {") || code.contains("unsafe impl"))
        },
    )
}

/// Returns orderings stronger than `Relaxed` without a comment that names what they pair with.
pub fn orderings(lines: &[Line]) -> Vec<String> {
    let strong = ["Acquire", "Release", "AcqRel", "SeqCst"];
    explained(
        lines,
        "pairs with",
        "an ordering without a comment that says what it pairs with",
        |code| {
            words(code).any(|word| strong.contains(&word)) && !code.trim_start().starts_with("use ")
        },
    )
}

/// Returns lines outside tests that match and have no comment with `mark` beside them, or above
/// them in the same paragraph.
fn explained(
    lines: &[Line],
    mark: &str,
    verdict: &str,
    matches: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line.test || !matches(&line.code) {
            continue;
        }
        let above = lines[..number].iter().rev();
        let paragraph =
            above.take_while(|line| !line.code.trim().is_empty() || !line.comment.is_empty());
        if !paragraph
            .chain([line])
            .any(|line| line.comment.contains(mark))
        {
            found.push(format!(
                "line {}: {verdict}: {}",
                number + 1,
                line.code.trim()
            ));
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "f();\n".repeat(LIMIT);
        let tests = format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(length(&source::lines(&tests)), [""; 0]);
        assert_eq!(length(&source::lines(&format!("{code}f();\n"))).len(), 1);
    }

    #[test]
    fn notes_are_found() {
        assert_eq!(notes("Done.\n"), [""; 0]);
        assert_eq!(notes(concat!("// TO", "DO: later\n# FIX", "ME\n")).len(), 2);
    }

    #[test]
    fn a_root_forbids_unsafe() {
        assert_eq!(
            forbids_unsafe(&source::lines("//! A.\n#![forbid(unsafe_code)]\n")),
            [""; 0]
        );
        assert_eq!(
            forbids_unsafe(&source::lines("// #![forbid(unsafe_code)]\n")).len(),
            1
        );
    }

    #[test]
    fn a_summary_that_is_a_clause_is_found() {
        for fine in [
            "/// Returns the length.\n///\n/// Whether it is 0 is another question.\nfn f() {}",
            "//! Whole pages.",
            "// What a plain comment may say.",
            "let a = \"/// What\";",
        ] {
            assert_eq!(summaries(&source::lines(fine)), [""; 0], "{fine}");
        }
        for bad in [
            "/// Whether it is full.\nfn f() {}",
            "//! How it works.\n",
            "/// Fine.\nfn f() {}\n    /// What it holds.\n    a: u8,",
        ] {
            assert_eq!(summaries(&source::lines(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn unsafe_wants_an_argument() {
        for fine in [
            "// SAFETY: alone here.\nlet a = unsafe { f() };",
            "// SAFETY: sent whole.\nunsafe impl Send for A {}",
            "/// # Safety\n///\n/// Never null.\nunsafe fn f() {}",
            "#![forbid(unsafe_code)]",
            "let a = \"unsafe {\";",
        ] {
            assert_eq!(safety(&source::lines(fine)), [""; 0], "{fine}");
        }
        for bad in [
            "let a = unsafe { f() };",
            "// Why not.\nunsafe impl Send for A {}",
            "// SAFETY: another.\nf();\n\nunsafe { g() }",
        ] {
            assert_eq!(safety(&source::lines(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn an_ordering_names_its_partner() {
        for fine in [
            "// Acquire: pairs with the Release in g.\na.load(Ordering::Acquire);",
            "a.load(Acquire) // pairs with g",
            "a.load(Ordering::Relaxed);",
            "use std::sync::atomic::Ordering::{Acquire, Relaxed};",
            "#[cfg(test)]\nmod tests {\n a.load(SeqCst);\n}",
        ] {
            assert_eq!(orderings(&source::lines(fine)), [""; 0], "{fine}");
        }
        for bad in [
            "a.load(Ordering::Acquire);",
            "// Reads.\na.store(1, Release);",
            "// pairs with g\n\nfence(SeqCst);",
        ] {
            assert_eq!(orderings(&source::lines(bad)).len(), 1, "{bad}");
        }
    }
}
