//! `barograph page diff`: compares two pages.
//!
//! 1. Each page becomes families that can be compared: without what differs between two formats or two
//!    moments although nothing was changed. ([`family`])
//! 2. Each family of one page is paired with one of the other. ([`pairs`])
//! 3. The pairs are compared. ([`compare`])

mod difference;
mod family;
mod pairs;
mod compare;
mod command;

pub(crate) use command::diff;
