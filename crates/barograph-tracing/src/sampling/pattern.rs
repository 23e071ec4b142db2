//! Text patterns with wildcards.

/// A pattern in which `*` matches any text, including the empty text, and `?` matches one
/// character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        Pattern(pattern.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the whole text matches. Takes time up to the product of both lengths, and
    /// allocates nothing.
    pub(super) fn fits(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // The position to continue from, one character later, if the text after the last star does
        // not match.
        let mut star = None;
        loop {
            let there = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    star = Some((pattern.clone(), there.clone()));
                    rest = there;
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                _ => {
                    let Some((after, from)) = &mut star else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    pattern = after.clone();
                    rest = from.clone();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of matching, which may be slow.
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', pattern @ ..], text) => (0..=text.len()).any(|at| fits(pattern, &text[at..])),
            (['?', pattern @ ..], [_, text @ ..]) => fits(pattern, text),
            ([wanted, pattern @ ..], [found, text @ ..]) => wanted == found && fits(pattern, text),
            (_, []) => false,
        }
    }

    #[test]
    fn stars_and_question_marks_stand_for_something() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("GET /health*", "GET /healthz", true),
            ("GET /health*", "POST /healthz", false),
            ("* /health?", "GET /healthz", true),
            ("/a/*/c", "/a/b/b/c", true),
            ("/a/*/c", "/a/b/c/d", false),
            ("?", "ä", true),
            ("*ab", "aab", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).fits(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_as_defined(pattern in "[ab?*]{0,8}", text in "[ab]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = fits(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Pattern::new(&pattern).fits(&text), expected);
        }
    }
}
