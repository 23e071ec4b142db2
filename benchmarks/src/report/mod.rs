//! What is printed and written about the rows.

mod json;
mod table;

use crate::row::{Outcome, Row};

pub(crate) use json::json;
pub(crate) use table::{head, line};

/// A row with what came of it.
pub(crate) type Measured = (&'static Row, Outcome);
