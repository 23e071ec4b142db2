//! The metrics of operations, and how they are recorded.

use std::sync::OnceLock;
use std::time::Duration;

use barograph_core::labels::LabelBuffer;
use barograph_core::registry::Registry;
use barograph_core::{Counter, Family, Histogram};
use barograph_model::bounds::Bounds;

use super::attribute::{Attribute, AttributeValue};
use super::convention::{Convention, DATABASE, GENERAL};
use crate::instrument::messaging::{BATCH, MESSAGING_LABELS, MessagingMetrics, OPERATION_TYPE};
use crate::instrument::registered;

/// A family with `N` labels. None if it could not be registered.
type Of<I, const N: usize> = Option<Family<I, [&'static str; N]>>;

/// The families of a registry, each created by the first operation that needs it.
pub(super) struct Instruments {
    registry: Registry,
    general: OnceLock<General>,
    database: OnceLock<Of<Histogram, { DATABASE.len() }>>,
    messaging: OnceLock<MessagingMetrics>,
}

struct General {
    duration: Of<Histogram, { GENERAL.len() }>,
    errors: Of<Counter, { GENERAL.len() }>,
}

/// An operation that has ended.
pub(super) struct Completion<'a> {
    pub(super) service: &'a str,
    pub(super) name: &'a str,
    /// The attributes that are the same for all operations of the site.
    pub(super) constants: &'a [(&'static str, &'static str)],
    pub(super) attributes: &'a [Attribute<'a>],
    /// Empty if the operation succeeded.
    pub(super) error_type: &'a str,
    pub(super) duration: Duration,
}

impl Instruments {
    pub(super) fn new(registry: &Registry) -> Self {
        Instruments {
            registry: registry.clone(),
            general: OnceLock::new(),
            database: OnceLock::new(),
            messaging: OnceLock::new(),
        }
    }

    /// Returns true if the registry is disabled.
    pub(super) fn is_off(&self) -> bool {
        self.registry.is_disabled()
    }

    /// Returns the histogram for successful operations without a convention, to be cached.
    pub(super) fn bind(&self, service: &str, name: &str) -> Option<Histogram> {
        let family = self.general().duration.as_ref()?;
        // Shortens the lifetime of the labels, so that borrowed ones are accepted.
        let family: &Family<Histogram, [&str; 3]> = family;
        Some(family.bind(&[service, name, ""]))
    }

    pub(super) fn record(&self, convention: Convention, over: &Completion<'_>) {
        let seconds = over.duration.as_secs_f64();
        match convention {
            Convention::General => self.record_general(seconds, over),
            Convention::Database => {
                if let Some(family) = self.database() {
                    over.labels(&DATABASE, |labels| family.with(labels).observe(seconds));
                }
            }
            Convention::MessagingClient => self.record_messaging(seconds, over),
            Convention::MessagingProcess => {
                if let Some(family) = &self.messaging().process_duration {
                    over.labels(&MESSAGING_LABELS, |labels| {
                        family.with(labels).observe(seconds)
                    });
                }
            }
        }
    }

    fn record_general(&self, seconds: f64, over: &Completion<'_>) {
        let General { duration, errors } = self.general();
        let labels = [over.service, over.name, over.error_type];
        if let Some(family) = duration {
            let family: &Family<Histogram, [&str; 3]> = family;
            family.with(&labels).observe(seconds);
        }
        if let Some(family) = errors
            && !over.error_type.is_empty()
        {
            let family: &Family<Counter, [&str; 3]> = family;
            family.with(&labels).inc();
        }
    }

    fn record_messaging(&self, seconds: f64, over: &Completion<'_>) {
        let metrics = self.messaging();
        let messages = match over.text(OPERATION_TYPE) {
            "send" => &metrics.sent,
            "receive" => &metrics.consumed,
            _ => &None,
        };
        over.labels(&MESSAGING_LABELS, |labels| {
            if let Some(family) = &metrics.client_duration {
                family.with(labels).observe(seconds);
            }
            if let Some(family) = messages {
                family.with(labels).add(over.messages());
            }
        });
    }

    fn general(&self) -> &General {
        self.general.get_or_init(|| {
            let duration = self.registry.histogram("operation.duration");
            let errors = self.registry.counter("operation.errors");
            General {
                duration: registered(
                    duration
                        .with_help("Duration of operations.")
                        .with_unit("s")
                        .with_bounds(Bounds::latency())
                        .build_with_label_names(GENERAL),
                ),
                errors: registered(
                    errors
                        .with_help("Operations that failed, were canceled or panicked.")
                        .with_unit("{error}")
                        .build_with_label_names(GENERAL),
                ),
            }
        })
    }

    fn database(&self) -> Option<&Family<Histogram, [&'static str; DATABASE.len()]>> {
        let family = self.database.get_or_init(|| {
            let bounds = Bounds::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
            let duration = self
                .registry
                .histogram("db.client.operation.duration")
                .with_help("Duration of database client operations.")
                .with_unit("s")
                .with_bounds(bounds.expect("they are finite and rise"));
            registered(duration.build_with_label_names(DATABASE))
        });
        family.as_ref()
    }

    fn messaging(&self) -> &MessagingMetrics {
        let register = || MessagingMetrics::register(&self.registry);
        self.messaging.get_or_init(register)
    }
}

impl Completion<'_> {
    /// Passes the values of these labels to a function.
    fn labels<const N: usize>(&self, names: &[&'static str; N], use_them: impl FnOnce(&[&str; N])) {
        let mut buffers: [LabelBuffer; N] = std::array::from_fn(|_| LabelBuffer::new());
        let mut values = [""; N];
        for ((value, name), buffer) in values.iter_mut().zip(names).zip(&mut buffers) {
            *value = match *name {
                "error.type" => self.error_type,
                name => match self.attribute(name) {
                    Some(attribute) => attribute.as_label(buffer),
                    None => self.constant(name),
                },
            };
        }
        use_them(&values);
    }

    fn attribute(&self, key: &str) -> Option<&AttributeValue<'_>> {
        let found = self
            .attributes
            .iter()
            .find(|attribute| attribute.key == key);
        found.map(|attribute| &attribute.value)
    }

    fn constant(&self, key: &str) -> &'static str {
        let found = self.constants.iter().find(|(constant, _)| *constant == key);
        found.map_or("", |(_, value)| value)
    }

    fn text(&self, key: &str) -> &str {
        match self.attribute(key) {
            Some(AttributeValue::Text(text)) => text,
            _ => self.constant(key),
        }
    }

    /// Returns the number of messages of the operation.
    fn messages(&self) -> u64 {
        match self.attribute(BATCH) {
            Some(AttributeValue::Int(count)) => u64::try_from(*count).unwrap_or(0),
            _ => 1,
        }
    }
}
