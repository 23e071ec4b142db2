//! Tail sampling: the export of traces that were not sampled.
//!
//! The variables are specific to barograph: OpenTelemetry has none for it.

use std::time::Duration;

use barograph_tracing::sampling::Rule;
use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig};

use crate::env::Environment;

/// The configuration of tail sampling.
#[derive(Clone, Debug, Default)]
pub(crate) enum Kept {
    /// Unset: the program chooses.
    #[default]
    Unsaid,
    /// No tail sampling.
    Off,
    /// Tail sampling with this budget and these rules.
    On(TailSamplingConfig),
}

impl Kept {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let expected = "traces a second from 0.000001 to 1000000000, or 0 for none";
        let kept = environment.parsed(KEEP, expected, |value| {
            match value.trim().parse::<f64>().ok()? {
                0.0 => Some(Kept::Off),
                rate => TailSamplingConfig::new(rate).ok().map(Kept::On),
            }
        });
        let slow = environment.interval(SLOW);
        match (kept, slow) {
            (Some(Kept::On(config)), Some(slow)) => Kept::On(config.with_slow(Rule::new(), slow)),
            (kept, slow) => {
                if let Some(slow) = slow.filter(|_| kept.is_none()) {
                    let slow = Duration::as_millis(&slow).to_string();
                    environment.ignore(
                        SLOW,
                        &slow,
                        "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND beside it",
                    );
                }
                kept.unwrap_or_default()
            }
        }
    }

    /// Returns the tail sampler that applies, given the one that the program sets.
    pub(crate) fn or(self, program: Option<TailSampling>) -> Option<TailSampling> {
        match self {
            Kept::Unsaid => program,
            Kept::Off => None,
            Kept::On(config) => Some(TailSampling::new(config)),
        }
    }
}

const KEEP: &str = "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND";
const SLOW: &str = "BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD";

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the `Debug` text of the configuration read from the two variables, and the number of
    /// notices.
    fn read(keep: &str, slow: &str) -> (String, usize) {
        let lookup = |variable: &str| match variable {
            KEEP => Some(keep.into()),
            SLOW => Some(slow.into()),
            _ => None,
        };
        let mut environment = Environment::new(&lookup);
        let kept = Kept::read(&mut environment);
        (format!("{kept:?}"), environment.into_notices().len())
    }

    #[test]
    fn what_is_kept_is_a_rate_and_a_threshold() {
        let config = |rate| TailSamplingConfig::new(rate).unwrap();
        let second = Duration::from_secs(1);
        for (keep, slow, expected, notices) in [
            ("", "", Kept::Unsaid, 0),
            ("0", "", Kept::Off, 0),
            ("0", "1000", Kept::Off, 0),
            (" 2.5 ", "", Kept::On(config(2.5)), 0),
            (
                "10",
                "1000",
                Kept::On(config(10.0).with_slow(Rule::new(), second)),
                0,
            ),
            ("10", "0", Kept::On(config(10.0)), 1),
            ("10", "1s", Kept::On(config(10.0)), 1),
            ("", "1000", Kept::Unsaid, 1),
            ("error", "", Kept::Unsaid, 1),
            ("-1", "", Kept::Unsaid, 1),
            ("NaN", "", Kept::Unsaid, 1),
            ("1e10", "1000", Kept::Unsaid, 2),
        ] {
            let expected = (format!("{expected:?}"), notices);
            assert_eq!(read(keep, slow), expected, "{keep:?} {slow:?}");
        }
    }

    #[test]
    fn the_environment_beats_the_program() {
        let program = || Some(TailSampling::new(TailSamplingConfig::default()));
        assert!(Kept::Unsaid.or(None).is_none());
        assert!(Kept::Unsaid.or(program()).is_some());
        assert!(Kept::Off.or(program()).is_none());
        assert!(Kept::On(TailSamplingConfig::default()).or(None).is_some());
    }
}
