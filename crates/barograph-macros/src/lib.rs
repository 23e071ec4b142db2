//! Derives and call-site macros of barograph.
//!
//! A crate of its own because Rust wants procedural macros in one; nothing but syntax lives here.
//! The traits that the output implements, what they mean and how they are used is told where they
//! are defined: `barograph_core::labels` for the derives, `barograph_core::site` for call sites,
//! `barograph_edge::observe` for functions that are operations.
//! Users take the macros from `barograph`, which re-exports them.
//!
//! Whatever a macro can see to be wrong is a compile error at the tokens that are wrong.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod report;
mod name;
mod attribute;
mod field;
mod value;
mod set;
mod site;
mod observe;

use proc_macro::TokenStream;

/// Implements `LabelValue` for an enum whose variants have no fields.
///
/// A variant is written as its name in snake case, or as `#[label(name = "...")]` says.
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
/// A field is text (`&str`, `String`, `Cow<str>`, `Box<str>`, `Rc<str>`, `Arc<str>`), an integer of
/// up to 64 bits, `bool`, or an enum with `#[derive(LabelValue)]`, told from how its type is
/// written; behind a type alias only such an enum is understood. The label is named like the field,
/// or as `#[label(name = "...")]` says. `#[label(crate = "...")]` on the struct is the path of the
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

/// The instrument of one call site: what `counter!` and its siblings expand to.
///
/// Takes the path of the crate that has the `site` module, the type of the instrument, its name (a
/// constant), and labels: `key = value` or `"key" => value`, values being any expression. Values
/// are evaluated in the order they are written in, and borrowed. Where all of them are literals, or
/// there are none, the series is resolved once; else it is looked up at each call.
///
/// ```text
/// site!($crate, $crate::counter::Counter<u64>, "orders", kind = "web", "http.route" => route)
/// ```
#[proc_macro]
pub fn site(input: TokenStream) -> TokenStream {
    site::expand(input.into())
        .unwrap_or_else(|error| site::reject(&error))
        .into()
}

/// Observes a function: a span, a duration, and what went wrong of its `Result`.
///
/// Goes before functions, `async` or not, alone or in an `impl`; before an `impl` it takes all
/// methods with a `self`. A function that gives a future by `async move { ... }` at its end, or by
/// `Box::pin` of that, is an operation while that runs. Arguments are never recorded unless `fields`
/// names them.
///
/// * `service = "..."`: the part of the program, by default the module; of an `impl` its type.
/// * `name = "..."`: what is done, by default the name of the function.
/// * `kind = "client"`: or `internal`, `server`, `producer`, `consumer`.
/// * `level = "debug"`: of the span, by default `info`; `error_level` of the line that tells of a
///   failure, by default `error`, without one `off`.
/// * `fields(user.id = id, order, total = %total, items = ?items)`: attributes of the span, as they
///   are, by `Display` and by `Debug`. What is a text literal can be a label, too.
/// * `err = code`: a function from a reference to the error to its type, text that is `'static` or
///   owned.
/// * `skip`: not this method of an observed `impl`.
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
