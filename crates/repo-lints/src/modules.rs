//! Modules use only modules that are declared above them.
//!
//! Module `a` may use `crate::b` when `b` is declared above `a`. In the folder of a module the same
//! holds between its children, by the order of the `mod` lines in its `mod.rs`. A parent and its
//! children may use each other. Tests may use everything, and so may macros by `$crate`, which is
//! another crate where they are expanded.

use std::collections::BTreeMap;

use crate::source::Line;

/// A crate's files: the path of each module (empty for the root) and its lines.
pub type Files = BTreeMap<Vec<String>, Vec<Line>>;

/// Returns all uses of modules that are declared below the user.
pub fn check(files: &Files) -> Vec<String> {
    let declared: BTreeMap<_, _> = files
        .iter()
        .map(|(path, lines)| (path, declarations(lines)))
        .collect();
    let mut found = Vec::new();
    for (user, lines) in files {
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.test) {
            // A group of imports may continue over several lines.
            let rest = lines[number..].iter().take_while(|line| !line.test);
            let rest: String = rest.take(40).map(|line| line.code.as_str()).collect();
            for used in uses(&rest, line.code.len(), user) {
                if let Some(upper) = declared_below(user, &used, &declared) {
                    let user = user.join("::");
                    found.push(format!(
                        "{user}:{}: uses {upper}, declared below it",
                        number + 1
                    ));
                    // Several names of one group are one finding.
                    found.dedup();
                }
            }
        }
    }
    found
}

/// Returns the modules that a file declares, in order.
fn declarations(lines: &[Line]) -> Vec<String> {
    let declared = lines.iter().filter(|line| !line.test).filter_map(|line| {
        let code = line.code.trim();
        // A visibility, such as `pub` or `pub(crate)`, may come before it.
        let code = match code.strip_prefix("pub") {
            Some(code) => code
                .split_once(')')
                .map_or(code, |(_, code)| code)
                .trim_start(),
            None => code,
        };
        code.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(str::to_owned).collect()
}

/// Returns the first module of the path `used` that is declared below the one that leads to `user`.
fn declared_below(
    user: &[String],
    used: &[String],
    declared: &BTreeMap<&Vec<String>, Vec<String>>,
) -> Option<String> {
    let shared = user.iter().zip(used).take_while(|(a, b)| a == b).count();
    let modules = declared.get(&user[..shared].to_vec())?;
    let place = |path: &[String]| {
        modules
            .iter()
            .position(|module| Some(module) == path.get(shared))
    };
    (place(used)? > place(user)?).then(|| used[..=shared].join("::"))
}

/// Returns the absolute paths behind each `crate::` and `super::` that begins in the first `limit` bytes.
fn uses(code: &str, limit: usize, user: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("::").filter(|(start, _)| *start < limit) {
        let before = &code[..start];
        let head = &before[before.rfind(|c| !is_word(c)).map_or(0, |end| end + 1)..];
        let earlier = &before[..before.len() - head.len()];
        if earlier.ends_with("::") || earlier.ends_with('$') {
            continue;
        }
        let (mut base, mut rest) = match head {
            "crate" => (Vec::new(), &code[start + 2..]),
            "super" => (parent(user), &code[start + 2..]),
            _ => continue,
        };
        while let Some(further) = rest.strip_prefix("super::") {
            (base, rest) = (parent(&base), further);
        }
        expand(&base, rest, &mut found);
    }
    found
}

/// Follows a path, and every path of a group in braces, as far as two modules deep or to its end.
fn expand(base: &[String], rest: &str, found: &mut Vec<Vec<String>>) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut begin) = (0, 0);
        for (place, mark) in group.char_indices() {
            match mark {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    expand(base, &group[begin..place], found);
                    begin = place + 1;
                    if mark == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
    let mut path = base.to_vec();
    if name.is_empty() || name == "self" {
        found.push(path);
        return;
    }
    path.push(name.to_owned());
    match rest[name.len()..].strip_prefix("::") {
        Some(further) => expand(&path, further, found),
        None => found.push(path),
    }
}

fn parent(path: &[String]) -> Vec<String> {
    path[..path.len().saturating_sub(1)].to_vec()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| {
            let path = path
                .split("::")
                .filter(|name| !name.is_empty())
                .map(str::to_owned);
            (path.collect(), source::lines(text))
        });
        check(&files.collect())
    }

    const ROOT: &str = "pub mod low;\n// A word.\npub(crate) mod middle;\nmod high;\n";

    #[test]
    fn modules_above_are_accepted() {
        for (user, code) in [
            ("high", "use crate::{low::A, middle::{B, C}};"),
            ("middle", "fn f() { crate::low::g(); }"),
            ("middle", "use crate::middle::B;"),
            (
                "low",
                "/// [`High`](crate::high::High)\n// crate::high\nfn f() { g(\"crate::high\"); }",
            ),
            ("low", "#[cfg(test)]\nmod tests {\n use crate::high::A;\n}"),
            ("low", "macro_rules! m { () => { $crate::high::f() } }"),
            ("low", "use other::high::A;"),
        ] {
            assert_eq!(
                found(&[("", ROOT), (user, code)]),
                [""; 0],
                "{user}: {code}"
            );
        }
    }

    #[test]
    fn modules_below_are_found() {
        for (user, code) in [
            ("low", "use crate::high::A;"),
            ("low", "use crate::{low::A,\n    middle::B};"),
            ("middle", "fn f() -> crate::high::A {}"),
            ("middle", "use super::high::A;"),
            ("low", "use crate::{\n    self as me,\n    high,\n};"),
        ] {
            assert_eq!(
                found(&[("", ROOT), (user, code)]).len(),
                1,
                "{user}: {code}"
            );
        }
    }

    #[test]
    fn the_order_holds_between_the_children_of_a_folder() {
        let folder = ("middle", "mod first;\nmod second;\nuse second::A;");
        let fine = (
            "middle::second",
            "use super::first::A;\nuse super::B;\nuse crate::low::C;",
        );
        assert_eq!(found(&[("", ROOT), folder, fine]), [""; 0]);
        for code in [
            "use super::second::A;",
            "use crate::middle::second::A;",
            "use crate::high::A;",
        ] {
            assert_eq!(
                found(&[("", ROOT), folder, ("middle::first", code)]).len(),
                1,
                "{code}"
            );
        }
    }
}
