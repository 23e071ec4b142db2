//! Splits a Rust file into code and comments, and finds the lines that belong to tests.

/// One line of a file. Its code is without the contents of strings, so that no lint finds anything
/// in a string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The code, without the contents of strings and characters.
    pub code: String,
    /// The text of comments: everything in `//` and `/* */`.
    pub comment: String,
    /// True inside an item under `#[cfg(test)]`.
    pub test: bool,
}

/// The lexical context of a character.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Code,
    LineComment,
    /// A block comment, with its nesting depth.
    BlockComment(u32),
    Text,
    /// A raw string, with the number of `#` that close it.
    RawText(usize),
}

/// Splits a file into lines.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = split(text);
    mark_tests(&mut lines);
    lines
}

fn split(text: &str) -> Vec<Line> {
    let mut state = State::Code;
    let mut lines = Vec::new();
    for text in text.lines() {
        let mut line = Line::default();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let mut taken = next.len_utf8();
            match state {
                State::Code if rest.starts_with("//") => {
                    (state, taken) = (State::LineComment, 2);
                }
                State::Code if rest.starts_with("/*") => {
                    (state, taken) = (State::BlockComment(1), 2)
                }
                State::Code if next == '"' => {
                    state = match hashes_before(&line.code) {
                        Some(hashes) => State::RawText(hashes),
                        None => State::Text,
                    };
                    line.code.push(next);
                }
                State::Code if next == '\'' => {
                    taken = character(rest);
                    line.code.push_str(if taken > 1 { "''" } else { "'" });
                }
                State::Code => line.code.push(next),
                State::LineComment => {
                    line.comment.push_str(rest);
                    taken = rest.len();
                }
                State::BlockComment(depth) if rest.starts_with("*/") => {
                    taken = 2;
                    state = if depth == 1 {
                        State::Code
                    } else {
                        State::BlockComment(depth - 1)
                    };
                }
                State::BlockComment(depth) if rest.starts_with("/*") => {
                    (state, taken) = (State::BlockComment(depth + 1), 2);
                }
                State::BlockComment(_) => line.comment.push(next),
                State::Text if next == '\\' => {
                    taken = rest.chars().take(2).map(char::len_utf8).sum()
                }
                State::Text if next == '"' => {
                    state = State::Code;
                    line.code.push(next);
                }
                State::RawText(hashes) if next == '"' && closes(rest, hashes) => {
                    (state, taken) = (State::Code, 1 + hashes);
                    line.code.push(next);
                }
                State::Text | State::RawText(_) => {}
            }
            rest = &rest[taken..];
        }
        if state == State::LineComment {
            state = State::Code;
        }
        lines.push(line);
    }
    lines
}

/// Counts the `#` between an `r` and the quote that comes next. Returns `None` for a plain string.
fn hashes_before(code: &str) -> Option<usize> {
    let stem = code.trim_end_matches('#');
    stem.ends_with('r').then_some(code.len() - stem.len())
}

fn closes(rest: &str, hashes: usize) -> bool {
    rest[1..].bytes().take_while(|byte| *byte == b'#').count() >= hashes
}

/// Returns the length of the character literal that `rest` begins with, in bytes; 1 for a lifetime.
fn character(rest: &str) -> usize {
    let inside = &rest[1..];
    let length = match inside.strip_prefix('\\') {
        // The escaped character itself may be a quote.
        Some(escaped) => escaped
            .get(1..)
            .and_then(|rest| rest.find('\''))
            .map(|end| end + 2),
        None => inside.chars().next().map(char::len_utf8),
    };
    match length {
        Some(length) if inside[length..].starts_with('\'') => length + 2,
        _ => 1,
    }
}

/// Marks each item under `#[cfg(test)]` or `#[cfg(all(test, …))]`, from its attribute to the brace
/// that closes it, or to the semicolon of an item without a body.
fn mark_tests(lines: &mut [Line]) {
    let mut inside: Option<i32> = None;
    for line in lines {
        let begins = ["#[cfg(test)]", "#[cfg(all(test"];
        if inside.is_none()
            && begins
                .iter()
                .any(|begin| line.code.trim().starts_with(begin))
        {
            inside = Some(0);
        }
        let Some(depth) = &mut inside else { continue };
        line.test = true;
        let mut ended = false;
        let after_attribute = line.code.trim_start().starts_with("#[");
        for mark in line.code.chars() {
            match mark {
                '{' => *depth += 1,
                '}' => *depth -= 1,
                _ => {}
            }
            ended |= *depth == 0 && (mark == '}' || mark == ';' && !after_attribute);
        }
        if ended && *depth == 0 {
            inside = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &[&str], comments: &[&str]) {
        let lines = lines(text);
        assert_eq!(
            lines
                .iter()
                .map(|line| line.code.trim_end())
                .collect::<Vec<_>>(),
            code
        );
        assert_eq!(
            lines
                .iter()
                .map(|line| line.comment.as_str())
                .collect::<Vec<_>>(),
            comments
        );
    }

    #[test]
    fn comments_are_told_from_code() {
        check(
            "a(); // b\n/* c\nd */ e();",
            &["a();", "", " e();"],
            &[" b", " c", "d "],
        );
        check("/* a /* b */ c */ d", &[" d"], &[" a  b  c "]);
    }

    #[test]
    fn strings_and_characters_are_blanked() {
        check(
            r#"f("// \" no", '"', '\'', 'x')"#,
            &[r#"f("", '', '', '')"#],
            &[""],
        );
        check(
            "f(r#\"a \" // b\"#, r\"\\\"); // c",
            &["f(r#\"\", r\"\");"],
            &[" c"],
        );
        check(
            "let a: &'static str = \"x\ny // z\"; // c",
            &["let a: &'static str = \"", "\";"],
            &["", " c"],
        );
    }

    #[test]
    fn items_under_test_are_marked_to_their_end() {
        let text = "a();\n#[cfg(test)]\nmod tests {\n fn b() { c(); }\n}\nd();\n#[cfg(test)]\nmod e;\nf();";
        let marked: Vec<bool> = lines(text).iter().map(|line| line.test).collect();
        assert_eq!(
            marked,
            [false, true, true, true, true, false, true, true, false]
        );
    }
}
