//! What can be chosen about pages.

use crate::prometheus::name::Translation;

/// What is chosen about all pages of a process, whoever reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) translation: Translation,
    pub(super) created_lines: Switch,
    pub(super) target_info: Switch,
}

/// Whether something optional stands on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third position")]
pub enum Switch {
    /// It does.
    On,
    /// It does not.
    Off,
}

impl Config {
    /// Names in the default translation, `target_info` on, `_created` lines off.
    pub fn new() -> Self {
        Config {
            translation: Translation::default(),
            created_lines: Switch::Off,
            target_info: Switch::On,
        }
    }

    /// With another way to make names.
    #[must_use]
    pub fn with_translation(mut self, translation: Translation) -> Self {
        self.translation = translation;
        self
    }

    /// With or without `_created` lines, in OpenMetrics only: when a series began to count.
    ///
    /// A line more for each counter and histogram, and readers older than Prometheus 3 store it as
    /// a series of its own.
    #[must_use]
    pub fn with_created_lines(mut self, switch: Switch) -> Self {
        self.created_lines = switch;
        self
    }

    /// With or without `target_info`, which shows the resource's attributes.
    #[must_use]
    pub fn with_target_info(mut self, switch: Switch) -> Self {
        self.target_info = switch;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
