//! The schemes of HTTP.

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS, whether it is terminated here or in front of the service.
    Https,
}

impl Scheme {
    pub(super) const COUNT: usize = 2;

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}
