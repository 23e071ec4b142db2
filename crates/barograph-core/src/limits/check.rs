//! The checks of labels against limits.

use barograph_model::name;

use super::{Limits, MOST_LABELS};
use crate::stats::{LabelsRefused, Refusal};

/// The length of the labels of one series in bytes. Longer text is cut off by `PackedLabels`, at a
/// character of at most four bytes: what is no longer than this was not cut.
const MOST_BYTES: usize = u16::MAX as usize - 4;

/// The limit that a label set breaks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) reason: Refusal,
    /// The offending name, value or number.
    pub(crate) offender: String,
    pub(crate) expected: String,
}

impl Violation {
    pub(crate) fn new(reason: Refusal, offender: String, expected: String) -> Self {
        Violation {
            reason,
            offender,
            expected,
        }
    }

    /// Returns the error of a label set of this family.
    pub(crate) fn in_family(self, family: &str) -> LabelsRefused {
        LabelsRefused {
            family: family.into(),
            reason: self.reason,
            offender: self.offender.into(),
            expected: self.expected.into(),
        }
    }
}

impl Limits {
    /// Returns the number of labels that a metric may have.
    pub(crate) fn most_labels(&self) -> usize {
        self.labels.min(MOST_LABELS)
    }

    /// Checks the number of labels.
    pub(crate) fn check_count(&self, count: usize) -> Result<(), Violation> {
        let most = self.most_labels();
        if count <= most {
            return Ok(());
        }
        let (offender, expected) = (count.to_string(), format!("at most {most}"));
        Err(Violation::new(Refusal::TooManyLabels, offender, expected))
    }

    /// Checks the length of all labels of a series together, in bytes.
    pub(crate) fn check_total(bytes: usize) -> Result<(), Violation> {
        if bytes <= MOST_BYTES {
            return Ok(());
        }
        let offender = format!("more than {MOST_BYTES} bytes in all labels");
        let expected = "fewer".to_owned();
        Err(Violation::new(Refusal::ValueTooLong, offender, expected))
    }

    /// Checks that a label may have this name.
    pub(crate) fn check_name(&self, label: &str) -> Result<(), Violation> {
        if name::check_label(label).is_err() {
            let expected = "a name that is not empty, not reserved and without control characters";
            let (offender, expected) = (format!("{label:?}"), expected.to_owned());
            return Err(Violation::new(Refusal::InvalidLabel, offender, expected));
        }
        self.check_allowed(label)
    }

    /// Checks that a label of this name is not forbidden.
    pub(crate) fn check_allowed(&self, label: &str) -> Result<(), Violation> {
        if !self.forbids(label) {
            return Ok(());
        }
        let (offender, expected) = (format!("{label:?}"), "one with few values".to_owned());
        Err(Violation::new(Refusal::ForbiddenLabel, offender, expected))
    }

    /// Returns true if a label of this name is forbidden.
    pub(crate) fn forbids(&self, label: &str) -> bool {
        let mut forbidden = self.forbidden_labels.iter();
        forbidden.any(|name| is_same(name, label))
    }

    /// Checks the length of a label value.
    pub(crate) fn check_value(&self, value: &str) -> Result<(), Violation> {
        // Most values need no count: there are no more characters than bytes.
        let is_short = value.len() <= self.value_length;
        if is_short || value.chars().count() <= self.value_length {
            return Ok(());
        }
        let cut: String = value.chars().take(64).collect();
        let offender = format!("{cut:?}... of {} characters", value.chars().count());
        let expected = format!("at most {}", self.value_length);
        Err(Violation::new(Refusal::ValueTooLong, offender, expected))
    }
}

/// Returns true if two names differ only in their separators and in the case of ASCII letters.
fn is_same(forbidden: &str, label: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'.' | b'-' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    let same_bytes = || forbidden.bytes().map(fold).eq(label.bytes().map(fold));
    forbidden.len() == label.len() && same_bytes()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn reason(result: Result<(), Violation>) -> Option<Refusal> {
        result.err().map(|violation| violation.reason)
    }

    #[test]
    fn a_value_is_measured_in_characters() {
        let limits = Limits::strict();
        for (value, is_allowed) in [
            ("x".repeat(256), true),
            ("x".repeat(257), false),
            ("\u{1f980}".repeat(256), true),
            ("\u{1f980}".repeat(257), false),
            (String::new(), true),
        ] {
            assert_eq!(limits.check_value(&value).is_ok(), is_allowed, "{value}");
        }
        assert!(Limits::new().check_value(&"x".repeat(1024)).is_ok());
        let too_long = Limits::new().check_value(&"x".repeat(1025));
        assert_eq!(reason(too_long), Some(Refusal::ValueTooLong));
        let none = Limits::new().with_value_length(usize::MAX);
        assert!(none.check_value(&"x".repeat(70_000)).is_ok());
    }

    #[test]
    fn a_name_is_forbidden_in_every_spelling_that_a_page_shows_alike() {
        let limits = Limits::strict().with_forbidden_labels(&["größe"]);
        for name in ["user_id", "user.id", "user-id", "USER_ID", "größe"] {
            let forbidden = limits.check_name(name);
            assert_eq!(reason(forbidden), Some(Refusal::ForbiddenLabel), "{name}");
        }
        for name in ["user", "user_ids", "enduser_id", "user__id", "userid"] {
            assert_eq!(limits.check_name(name), Ok(()), "{name}");
        }
        assert_eq!(Limits::new().check_name("user_id"), Ok(()));
        let invalid = limits.check_name("le");
        assert_eq!(reason(invalid), Some(Refusal::InvalidLabel));
    }

    #[test]
    fn no_limit_allows_more_labels_than_a_series_can_have() {
        let limits = Limits::new().with_labels(usize::MAX);
        assert_eq!(limits.check_count(64), Ok(()));
        let too_many = limits.check_count(65).unwrap_err();
        assert_eq!(
            (&*too_many.offender, &*too_many.expected),
            ("65", "at most 64")
        );
    }
}
