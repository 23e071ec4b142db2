//! The printed table and the JSON report.

mod json;
mod table;

use crate::row::{Outcome, Row};

pub(crate) use json::json;
pub(crate) use table::{head, line};

/// A row with its outcome.
pub(crate) type Measured = (&'static Row, Outcome);
