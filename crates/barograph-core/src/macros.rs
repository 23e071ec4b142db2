//! Macros that record into the global registry with one line at the callsite.

/// Returns the counter with a name and labels in the global registry:
/// `counter!("orders", kind = "web").inc()`.
///
/// Keys are names or text, values are text, integers, `bool`, `char` or enums that derive
/// [`LabelValue`](crate::labels::LabelValue). If all values are constant, the counter is found once and
/// kept at the callsite; otherwise the labels are looked up at each call.
///
/// A name must have the same kind of instrument and the same label names everywhere. A callsite that
/// conflicts with an earlier one gets a no-op instrument, is counted, and is reported once with both
/// source locations.
///
/// ```
/// use barograph::{counter, describe};
/// # extern crate barograph_core as barograph;
/// use barograph::Registry;
///
/// describe!("macro.orders", unit = "{order}", help = "Orders placed.");
/// let status: u16 = 200;
/// counter!("macro.orders", kind = "web", "http.status" => status).inc();
/// counter!("macro.orders", kind = "app", "http.status" => 200).add(2);
/// let web = [("kind", "web"), ("http.status", "200")];
/// assert_eq!(Registry::global().value("macro.orders", &web), Some(1.0));
/// ```
#[macro_export]
macro_rules! counter {
    ($($args:tt)*) => {
        $crate::__private::callsite!(
            $crate, $crate::Counter<::core::primitive::u64>, $($args)*
        )
    };
}

/// Returns the counter of non-negative floats with a name and labels:
/// `counter_f64!("cost", currency = "EUR").add(1.5)`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! counter_f64 {
    ($($args:tt)*) => {
        $crate::__private::callsite!(
            $crate, $crate::Counter<::core::primitive::f64>, $($args)*
        )
    };
}

/// Returns the up-down counter with a name and labels:
/// `up_down_counter!("queue", name = "mail").dec()`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! up_down_counter {
    ($($args:tt)*) => {
        $crate::__private::callsite!(
            $crate, $crate::UpDownCounter<::core::primitive::i64>, $($args)*
        )
    };
}

/// Returns the gauge with a name and labels: `gauge!("temperature", room = "cellar").set(12.5)`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! gauge {
    ($($args:tt)*) => {
        $crate::__private::callsite!(
            $crate, $crate::Gauge<::core::primitive::f64>, $($args)*
        )
    };
}

/// Returns the gauge of integers with a name and labels: `gauge_i64!("workers").set(4)`.
///
/// Arguments as in [`counter!`](crate::counter!).
#[macro_export]
macro_rules! gauge_i64 {
    ($($args:tt)*) => {
        $crate::__private::callsite!(
            $crate, $crate::Gauge<::core::primitive::i64>, $($args)*
        )
    };
}

/// Returns the histogram with a name and labels:
/// `histogram!("job.duration", job = "mail").observe(0.3)`.
///
/// Arguments as in [`counter!`](crate::counter!). Its bounds are those for seconds if
/// [`describe!`](crate::describe!) gave it the unit `s` before, or its name ends in `_seconds`.
#[macro_export]
macro_rules! histogram {
    ($($args:tt)*) => {
        $crate::__private::callsite!($crate, $crate::Histogram, $($args)*)
    };
}

/// Sets the unit and the help text of a family used by the macros:
/// `describe!("orders", unit = "{order}", help = "Orders placed.")`.
///
/// Best called before the first use. A family without a description has its name as its help.
#[macro_export]
macro_rules! describe {
    ($name:expr, unit = $unit:expr, help = $help:expr $(,)?) => {
        $crate::registry::Registry::current().describe($name, $unit, $help)
    };
}
