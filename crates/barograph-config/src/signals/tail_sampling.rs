//! Tail sampling: the export of traces that were not sampled.
//!
//! The variables are specific to barograph: OpenTelemetry has none for it.

use std::time::Duration;

use barograph_tracing::sampling::Rule;
use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig};

use crate::environment::Environment;
use crate::variables::{TAIL_SAMPLING_RATE, TAIL_SAMPLING_SLOW_THRESHOLD};

/// The configuration of tail sampling.
#[derive(Clone, Debug, Default)]
pub enum TailSamplingChoice {
    /// Unset: the program chooses.
    #[default]
    Unset,
    /// No tail sampling.
    Off,
    /// Tail sampling with this budget and these rules.
    On(TailSamplingConfig),
}

impl TailSamplingChoice {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let choice = environment.parsed(&TAIL_SAMPLING_RATE, |value| {
            match value.trim().parse::<f64>().ok()? {
                0.0 => Some(TailSamplingChoice::Off),
                rate => TailSamplingConfig::new(rate)
                    .ok()
                    .map(TailSamplingChoice::On),
            }
        });
        let slow = environment.interval(&TAIL_SAMPLING_SLOW_THRESHOLD);
        match (choice, slow) {
            (Some(TailSamplingChoice::On(config)), Some(slow)) => {
                TailSamplingChoice::On(config.with_slow(Rule::new(), slow))
            }
            (choice, slow) => {
                if let Some(slow) = slow.filter(|_| choice.is_none()) {
                    let slow = Duration::as_millis(&slow).to_string();
                    let expected = format!("{} beside it", TAIL_SAMPLING_RATE.name);
                    environment.ignore(TAIL_SAMPLING_SLOW_THRESHOLD.name, &slow, &expected);
                }
                choice.unwrap_or_default()
            }
        }
    }

    /// Returns the tail sampler that applies, given the one that the program sets.
    pub fn or(self, program: Option<TailSampling>) -> Option<TailSampling> {
        match self {
            TailSamplingChoice::Unset => program,
            TailSamplingChoice::Off => None,
            TailSamplingChoice::On(config) => Some(TailSampling::new(config)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the `Debug` text of the configuration read from the two variables, and the number of
    /// notices.
    fn read(rate: &str, slow: &str) -> (String, usize) {
        let lookup = |variable: &str| match variable {
            "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND" => Some(rate.into()),
            "BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD" => Some(slow.into()),
            _ => None,
        };
        let mut environment = Environment::new(&lookup);
        let choice = TailSamplingChoice::read(&mut environment);
        (format!("{choice:?}"), environment.into_notices().len())
    }

    #[test]
    fn tail_sampling_has_a_rate_and_a_threshold() {
        let config = |rate| TailSamplingConfig::new(rate).unwrap();
        let second = Duration::from_secs(1);
        for (rate, slow, expected, notices) in [
            ("", "", TailSamplingChoice::Unset, 0),
            ("0", "", TailSamplingChoice::Off, 0),
            ("0", "1000", TailSamplingChoice::Off, 0),
            (" 2.5 ", "", TailSamplingChoice::On(config(2.5)), 0),
            (
                "10",
                "1000",
                TailSamplingChoice::On(config(10.0).with_slow(Rule::new(), second)),
                0,
            ),
            ("10", "0", TailSamplingChoice::On(config(10.0)), 1),
            ("10", "1s", TailSamplingChoice::On(config(10.0)), 1),
            ("", "1000", TailSamplingChoice::Unset, 1),
            ("error", "", TailSamplingChoice::Unset, 1),
            ("-1", "", TailSamplingChoice::Unset, 1),
            ("NaN", "", TailSamplingChoice::Unset, 1),
            ("1e10", "1000", TailSamplingChoice::Unset, 2),
        ] {
            let expected = (format!("{expected:?}"), notices);
            assert_eq!(read(rate, slow), expected, "{rate:?} {slow:?}");
        }
    }

    #[test]
    fn the_environment_precedes_the_program() {
        let program = || Some(TailSampling::new(TailSamplingConfig::default()));
        assert!(TailSamplingChoice::Unset.or(None).is_none());
        assert!(TailSamplingChoice::Unset.or(program()).is_some());
        assert!(TailSamplingChoice::Off.or(program()).is_none());
        assert!(
            TailSamplingChoice::On(TailSamplingConfig::default())
                .or(None)
                .is_some()
        );
    }
}
