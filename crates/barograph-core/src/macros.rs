//! The macros for the everyday case: one line where something happens.

/// The counter of a name and labels in the global registry: `counter!("orders", kind = "web").inc()`.
///
/// Keys are names or text, values are text, integers, `bool`, `char` or enums that derive
/// [`LabelValue`](crate::labels::LabelValue). Where all values are constant the counter is found once
/// and kept at the call site; else the labels are looked up.
///
/// The same name has the same kind of instrument and the same label names everywhere. A call site
/// that disagrees with an earlier one records nowhere, is counted, and is reported once with both
/// places.
///
/// ```
/// use barograph_core::{counter, describe};
/// use barograph_core::registry::Registry;
///
/// describe!("macro.orders", "{order}", "Orders placed.");
/// let status: u16 = 200;
/// counter!("macro.orders", kind = "web", "http.status" => status).inc();
/// counter!("macro.orders", kind = "app", "http.status" => 200).add(2);
/// let web = [("kind", "web"), ("http.status", "200")];
/// assert_eq!(Registry::global().value("macro.orders", &web), Some(1.0));
/// ```
#[macro_export]
macro_rules! counter {
    ($($args:tt)*) => {
        $crate::__private::site!(
            $crate, $crate::counter::Counter<::core::primitive::u64>, $($args)*
        )
    };
}

/// The counter of any numbers that are not negative: `counter_f64!("cost", currency = "EUR").add(1.5)`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! counter_f64 {
    ($($args:tt)*) => {
        $crate::__private::site!(
            $crate, $crate::counter::Counter<::core::primitive::f64>, $($args)*
        )
    };
}

/// The up-down counter of a name and labels: `up_down_counter!("queue", name = "mail").dec()`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! up_down_counter {
    ($($args:tt)*) => {
        $crate::__private::site!(
            $crate, $crate::updown::UpDownCounter<::core::primitive::i64>, $($args)*
        )
    };
}

/// The gauge of a name and labels: `gauge!("temperature", room = "cellar").set(12.5)`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! gauge {
    ($($args:tt)*) => {
        $crate::__private::site!(
            $crate, $crate::gauge::Gauge<::core::primitive::f64>, $($args)*
        )
    };
}

/// The gauge of whole numbers: `gauge_i64!("workers").set(4)`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! gauge_i64 {
    ($($args:tt)*) => {
        $crate::__private::site!(
            $crate, $crate::gauge::Gauge<::core::primitive::i64>, $($args)*
        )
    };
}

/// The histogram of a name and labels: `histogram!("job.duration", job = "mail").observe(0.3)`.
///
/// Arguments as in [`counter!`](crate::counter!). Its bounds are those for seconds when
/// [`describe!`](crate::describe!) gave it the unit `s` before, or its name ends in `_seconds`.
#[macro_export]
macro_rules! histogram {
    ($($args:tt)*) => {
        $crate::__private::site!($crate, $crate::histogram::Histogram, $($args)*)
    };
}

/// Says in which unit a family of the macros measures, and what: `describe!("orders", "{order}",
/// "Orders placed.")`.
///
/// Best before the first use. A family that nobody describes has its name as its help.
#[macro_export]
macro_rules! describe {
    ($name:expr, $unit:expr, $help:expr $(,)?) => {
        $crate::registry::Registry::global().describe($name, $unit, $help)
    };
}
