//! References of documents to lines of code point to the code that they name.
//!
//! A reference is written `` `crates/NAME/src/FILE.rs:LINE` (`CODE`) ``: the file from the root of the
//! workspace, a line number from 1, and text that the line contains.

/// A reference to a line of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The path of the file from the root of the workspace.
    pub file: &'a str,
    /// The number of the line, from 1.
    pub line: usize,
    /// Text that the line contains.
    pub code: &'a str,
}

/// Returns the references in a document.
pub fn find(document: &str) -> Vec<Reference<'_>> {
    let pieces: Vec<&str> = document.split('`').collect();
    let inside = (1..pieces.len()).step_by(2);
    let found = inside.filter_map(|at| {
        let (file, line) = pieces[at].rsplit_once(".rs:")?;
        let end = file.len() + ".rs".len();
        let is_named = pieces.get(at + 1)?.trim_start() == "(";
        let code = is_named.then(|| pieces.get(at + 2))??;
        Some(Reference {
            file: &pieces[at][..end],
            line: line.parse().ok()?,
            code,
        })
    });
    found.collect()
}

/// Returns a finding if the line does not contain the code, with the line that does, if there is one.
pub fn check(reference: &Reference<'_>, text: &str) -> Option<String> {
    let Reference { file, line, code } = reference;
    let lines: Vec<&str> = text.lines().collect();
    let is_right = line
        .checked_sub(1)
        .and_then(|at| lines.get(at))
        .is_some_and(|line| line.contains(code));
    if is_right {
        return None;
    }
    Some(match lines.iter().position(|line| line.contains(code)) {
        Some(at) => format!("{file}:{line} is not `{code}`, which is in line {}", at + 1),
        None => format!("{file}:{line} is not `{code}`, which is nowhere in the file"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "See `a/b.rs:2`\n  (`fn b`), and `a/b.rs` or `a/b.rs:3` for more.\n";

    #[test]
    fn references_are_found() {
        let reference = Reference {
            file: "a/b.rs",
            line: 2,
            code: "fn b",
        };
        assert_eq!(find(DOCUMENT), [reference]);
    }

    #[test]
    fn a_reference_to_another_line_is_found() {
        let reference = find(DOCUMENT)[0];
        assert_eq!(check(&reference, "fn a() {}\nfn b() {}\n"), None);
        let moved = check(&reference, "fn b() {}\n").unwrap_or_default();
        assert!(moved.ends_with("line 1"), "{moved}");
        assert!(check(&reference, "fn a() {}\n").is_some());
    }
}
