//! Tail sampling: the export of traces that were not sampled.
//!
//! The variables are specific to barograph: OpenTelemetry has none for it.

use std::time::Duration;

use barograph_tracing::sampling::tail::{TailSampling, TailSamplingConfig};

use crate::environment::Environment;
use crate::notice::Notice;
use crate::variables::{TAIL_SAMPLING_RATE, TAIL_SAMPLING_SLOW_THRESHOLD};

/// The settings of tail sampling that the environment sets. Each replaces that setting of the program
/// alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct TailSamplingOverrides {
    /// The number of traces per second; 0 disables tail sampling. Other values are valid rates.
    traces_per_second: Option<f64>,
    slow_threshold: Option<Duration>,
}

impl TailSamplingOverrides {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let traces_per_second = environment.parsed(&TAIL_SAMPLING_RATE, |value| {
            let rate = value.trim().parse().ok()?;
            (rate == 0.0 || TailSamplingConfig::new(rate).is_ok()).then_some(rate)
        });
        TailSamplingOverrides {
            traces_per_second,
            slow_threshold: environment.interval(&TAIL_SAMPLING_SLOW_THRESHOLD),
        }
    }

    /// Returns the tail sampler that applies, given the one that the program sets. A threshold without
    /// tail sampling adds a notice.
    pub fn apply_to(
        self,
        program: Option<TailSampling>,
        notices: &mut Vec<Notice>,
    ) -> Option<TailSampling> {
        match (self.traces_per_second, self.slow_threshold, program) {
            (Some(0.0), _, _) => None,
            (None, None, program) => program,
            (None, Some(threshold), None) => {
                let threshold = threshold.as_millis().to_string();
                let expected = format!(
                    "{} beside it, or a program with tail sampling",
                    TAIL_SAMPLING_RATE.name
                );
                let variable = TAIL_SAMPLING_SLOW_THRESHOLD.name;
                notices.push(Notice::ignored(variable, &threshold, &expected));
                None
            }
            (_, _, program) => {
                let config = program.map_or_else(TailSamplingConfig::default, |program| {
                    program.config().clone()
                });
                Some(TailSampling::new(self.replace_in(config)))
            }
        }
    }

    fn replace_in(self, mut config: TailSamplingConfig) -> TailSamplingConfig {
        if let Some(rate) = self.traces_per_second {
            config = config
                .with_traces_per_second(rate)
                .expect("it was validated when it was read");
        }
        match self.slow_threshold {
            Some(threshold) => config.with_slow_threshold(threshold),
            None => config,
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_tracing::sampling::Rule;

    use super::*;

    /// Returns the `Debug` text of the configuration that applies with these values of the two
    /// variables, and the number of notices.
    fn applied(
        rate: &str,
        slow: &str,
        program: Option<TailSamplingConfig>,
    ) -> (Option<String>, usize) {
        let lookup = |variable: &str| match variable {
            "BAROGRAPH_TAIL_SAMPLING_TRACES_PER_SECOND" => Some(rate.into()),
            "BAROGRAPH_TAIL_SAMPLING_SLOW_THRESHOLD" => Some(slow.into()),
            _ => None,
        };
        let mut environment = Environment::new(&lookup);
        let overrides = TailSamplingOverrides::read(&mut environment);
        let mut notices = environment.into_notices();
        let applied = overrides.apply_to(program.map(TailSampling::new), &mut notices);
        let config = applied.map(|tail_sampling| format!("{:?}", tail_sampling.config()));
        (config, notices.len())
    }

    fn config(rate: f64) -> TailSamplingConfig {
        TailSamplingConfig::new(rate).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn tail_sampling_has_a_rate_and_a_threshold() {
        let slow = |rate| config(rate).with_slow(Rule::new(), SECOND);
        for (rate, threshold, expected, notices) in [
            ("", "", None, 0),
            ("0", "", None, 0),
            ("0", "1000", None, 0),
            (" 2.5 ", "", Some(config(2.5)), 0),
            ("10", "1000", Some(slow(10.0)), 0),
            ("10", "0", Some(config(10.0)), 1),
            ("10", "1s", Some(config(10.0)), 1),
            ("", "1000", None, 1),
            ("error", "", None, 1),
            ("-1", "", None, 1),
            ("NaN", "", None, 1),
            ("1e10", "1000", None, 2),
        ] {
            let expected = (expected.map(|config| format!("{config:?}")), notices);
            assert_eq!(
                applied(rate, threshold, None),
                expected,
                "{rate:?} {threshold:?}"
            );
        }
    }

    #[test]
    fn each_variable_replaces_its_setting_of_the_program_alone() {
        let orders = Rule::new().with_route("/orders/*");
        let base = |rate| {
            let config = config(rate).with_max_spans(7).with_max_bytes(1000);
            config.with_slow(orders.clone(), 5 * SECOND)
        };
        let general = |rate, threshold| base(rate).with_slow(Rule::new(), threshold);
        for (rate, threshold, program, expected) in [
            ("", "", general(10.0, SECOND), Some(general(10.0, SECOND))),
            ("0", "100", general(10.0, SECOND), None),
            ("5", "", general(10.0, SECOND), Some(general(5.0, SECOND))),
            (
                "",
                "2000",
                general(10.0, SECOND),
                Some(general(10.0, 2 * SECOND)),
            ),
            ("", "2000", base(10.0), Some(general(10.0, 2 * SECOND))),
            (
                "5",
                "2000",
                general(10.0, SECOND),
                Some(general(5.0, 2 * SECOND)),
            ),
        ] {
            let expected = (expected.map(|config| format!("{config:?}")), 0);
            assert_eq!(
                applied(rate, threshold, Some(program)),
                expected,
                "{rate:?} {threshold:?}"
            );
        }
    }
}
