//! An error with a cause.

use std::error::Error;
use std::fmt;

/// An error with its message and its cause.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) &'static str, pub(crate) Option<Box<Failed>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}
