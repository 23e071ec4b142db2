//! Configuration of pages.

use crate::prometheus::name::Translation;

/// The options that apply to all pages of a process, whatever the scraper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(super) translation: Translation,
    pub(super) created_lines: Switch,
    pub(super) target_info: Switch,
}

/// The state of an optional part of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third position")]
pub enum Switch {
    /// The part is on the page.
    On,
    /// The part is not on the page.
    Off,
}

impl Config {
    /// Creates the default configuration: default name translation, `target_info` on, `_created`
    /// lines off.
    pub fn new() -> Self {
        Config {
            translation: Translation::default(),
            created_lines: Switch::Off,
            target_info: Switch::On,
        }
    }

    /// Sets the translation of names.
    #[must_use]
    pub fn with_translation(mut self, translation: Translation) -> Self {
        self.translation = translation;
        self
    }

    /// Turns `_created` lines, with the start time of each series, on or off; they exist in
    /// OpenMetrics only.
    ///
    /// They add one line for each counter and histogram, and scrapers older than Prometheus 3 store
    /// them as separate series.
    #[must_use]
    pub fn with_created_lines(mut self, switch: Switch) -> Self {
        self.created_lines = switch;
        self
    }

    /// Turns `target_info`, which shows the resource's attributes, on or off.
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
