//! `barograph page`: checks and compares pages.

mod finding;
mod lint;
mod exemplars;
mod cardinality;
mod check;
mod diff;

pub(crate) use check::check;
pub(crate) use diff::diff;
