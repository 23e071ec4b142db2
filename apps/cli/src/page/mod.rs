//! `barograph page`: checks and compares pages.

mod finding;
mod lint;
mod exemplars;
mod cardinality;
mod check;

pub(crate) use check::check;
