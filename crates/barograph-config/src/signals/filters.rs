//! The filters of log lines, spans and log records.

use barograph_tracing::filter::{Filter, InvalidFilter};

use crate::environment::Environment;
use crate::variables::{LINE_FILTER, LOG_FILTER, SPAN_FILTER, Variable};

/// The filters that are set. Their directives are those of `RUST_LOG`, such as `info,sqlx=warn`.
#[derive(Debug, Default)]
pub struct Filters {
    /// The filter of printed log lines.
    pub lines: Option<Filter>,
    /// The filter of spans.
    pub spans: Option<Filter>,
    /// The filter of exported log records.
    pub records: Option<Filter>,
}

impl Filters {
    pub(crate) fn read(environment: &mut Environment<'_>) -> Self {
        let mut filter = |variable: Variable| {
            let directives = environment.text(&variable)?;
            let parsed = directives.parse();
            parsed
                .map_err(|error: InvalidFilter| {
                    environment.ignore(variable.name, &directives, error.expected());
                })
                .ok()
        };
        Filters {
            lines: filter(LINE_FILTER),
            spans: filter(SPAN_FILTER),
            records: filter(LOG_FILTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_directives_leave_the_filter_unset() {
        let lookup = |variable: &str| {
            let value = match variable {
                "RUST_LOG" => "warn,shop=debug",
                "BAROGRAPH_SPANS" => "[span]=info",
                _ => return None,
            };
            Some(value.into())
        };
        let mut environment = Environment::new(&lookup);
        let filters = Filters::read(&mut environment);
        let lines = filters.lines.expect("it is valid").handle().directives();
        assert!(lines.contains("shop=debug"), "{lines}");
        assert!(filters.spans.is_none() && filters.records.is_none());
        let notices = environment.into_notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(
            notices[0].to_string().contains("by span or field"),
            "{notices:?}"
        );
    }
}
