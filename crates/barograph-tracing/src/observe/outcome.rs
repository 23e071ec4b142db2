//! The output of an operation, which may be a failure.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use super::failure::Failure;

/// The output of an operation, which may be a failure.
///
/// A [`Result`] is a failure if it is an error, and an HTTP response if its status is 500 or higher.
/// Numbers, text, collections and the like never are. Implement it for a custom type, or use
/// [`observe_infallible`](super::observe_infallible).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether it is a failure",
    note = "a `Result` does, if its error is `Display + 'static`",
    note = "implement `Outcome` for a type of your own",
    note = "`observe_infallible` takes whatever cannot fail"
)]
pub trait Outcome {
    /// Returns the failure, if the output is one.
    fn failure(&self) -> Option<Failure<'_>>;
}

impl<T, E: Display + 'static> Outcome for Result<T, E> {
    fn failure(&self) -> Option<Failure<'_>> {
        self.as_ref().err().map(Failure::of)
    }
}

impl<B> Outcome for http::Response<B> {
    fn failure(&self) -> Option<Failure<'_>> {
        let status = self.status();
        let failed = status.is_server_error();
        failed.then(|| Failure::new(status.as_str().to_owned()))
    }
}

macro_rules! never {
    ($([$($parameters:tt)*] $infallible:ty),* $(,)?) => {$(
        impl<$($parameters)*> Outcome for $infallible {
            #[inline]
            fn failure(&self) -> Option<Failure<'_>> {
                None
            }
        }
    )*};
}

never!(
    [] (), [] bool, [] char, [] String, [] &str, [] f32, [] f64,
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize,
    [] i8, [] i16, [] i32, [] i64, [] i128, [] isize,
    [T] Option<T>, [T] Vec<T>, [T] Box<[T]>, [T: ?Sized] Arc<T>,
    [K, V, S] HashMap<K, V, S>,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_fail_from_500_on() {
        let respond = |status: u16| {
            let response = http::Response::builder().status(status).body(()).unwrap();
            response
                .failure()
                .map(|failure| failure.error_type.as_str().to_owned())
        };
        assert_eq!(respond(404), None);
        assert_eq!(respond(503).as_deref(), Some("503"));
    }
}
