//! Derives and callsite macros of barograph.
//!
//! This is a separate crate because Rust requires one for procedural macros; it handles only syntax.
//! The traits that the output implements are documented where they are defined:
//! `barograph_core::labels` for the derives, `barograph_core::callsite` for callsites,
//! `barograph_tracing::observe` for observed functions. Users take the macros from `barograph`, which
//! re-exports them.
//!
//! A mistake that a macro can see is a compile error at the offending tokens.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod report;
mod name;
mod attribute;
mod field;
mod value;
mod set;
mod callsite;
mod observe;

use proc_macro::TokenStream;

/// Implements `LabelValue` for an enum whose variants have no fields.
///
/// The value of a variant is its name in snake case, or the name given with `#[label(name = "...")]`.
/// `#[label(crate = "...")]` on the enum is the path of the crate that has the `labels` module, by
/// default `::barograph`.
///
/// ```text
/// #[derive(LabelValue)]
/// enum Kind {
///     Web,            // "web"
///     PhoneCall,      // "phone_call"
///     #[label(name = "b2b")]
///     Partner,        // "b2b"
/// }
/// ```
#[proc_macro_derive(LabelValue, attributes(label))]
pub fn label_value(input: TokenStream) -> TokenStream {
    value::expand(input.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Implements `LabelSet` for a struct with named fields: one label for each field.
///
/// A field is text (`&str`, `String`, `Cow<str>`, `Box<str>`, `Rc<str>`, `Arc<str>`), an integer of up
/// to 64 bits, `bool`, or an enum with `#[derive(LabelValue)]`. Its kind is derived from how its type
/// is written; a type alias is taken for such an enum. The label has the name of the field, or the name
/// given with `#[label(name = "...")]`. `#[label(crate = "...")]` on the struct is the path of the
/// crate that has the `labels` module, by default `::barograph`.
///
/// ```text
/// #[derive(LabelSet)]
/// struct Order<'a> {
///     kind: Kind,
///     #[label(name = "http.route")]
///     route: &'a str,
/// }
/// ```
#[proc_macro_derive(LabelSet, attributes(label))]
pub fn label_set(input: TokenStream) -> TokenStream {
    set::expand(input.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Returns the instrument of one callsite; `counter!` and the similar macros expand to it.
///
/// Takes the path of the crate that has the `callsite` module, the type of the instrument, its name (a
/// constant), and labels: `key = value` or `"key" => value`, values being any expression. Values are
/// evaluated in the order they are written in, and borrowed. If all of them are literals, or there are
/// none, the series is resolved once; otherwise it is looked up at each call.
///
/// ```text
/// callsite!($crate, $crate::counter::Counter<u64>, "orders", kind = "web", "http.route" => route)
/// ```
#[proc_macro]
pub fn callsite(input: TokenStream) -> TokenStream {
    callsite::expand(input.into())
        .unwrap_or_else(|error| callsite::reject(&error))
        .into()
}

/// Observes a function: a span, a duration, and the error of its `Result`.
///
/// It is placed before functions, `async` or not, free or in an `impl`; before an `impl` it applies to
/// all methods with a `self`. If a function returns a future by `async move { ... }` at its end, or by
/// `Box::pin` of that, the operation lasts while the future runs. Arguments are never recorded unless
/// `fields` names them.
///
/// * `service = "..."`: the part of the program, by default the module; for an `impl` its type.
/// * `name = "..."`: the operation, by default the name of the function.
/// * `kind = "client"`: or `internal`, `server`, `producer`, `consumer`.
/// * `level = "debug"`: of the span, by default `info`; `error_level`: of the event that reports a
///   failure, by default `error`, `off` for no event.
/// * `fields(user.id = id, order, total = %total, items = ?items)`: attributes of the span, as they
///   are, by `Display` and by `Debug`. A text literal can be a label, too.
/// * `err = code`: a function from a reference to the error to its type, text that is `'static` or
///   owned.
/// * `skip`: excludes this method of an observed `impl`. A method with an `#[observe(...)]` of its own
///   keeps the options of the `impl` that it does not set.
/// * `crate = "..."`: the path of the crate that has the `observe` module, by default `::barograph`.
///
/// ```text
/// #[observe(service = "UserService", fields(user.id = id))]
/// async fn get_user(id: u64) -> Result<User, UserError> {
///     ...
/// }
/// ```
#[proc_macro_attribute]
pub fn observe(options: TokenStream, item: TokenStream) -> TokenStream {
    observe::expand(options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
