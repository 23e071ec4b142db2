//! The house rules that no compiler holds, as functions that name what breaks them.
//!
//! This is a crate of its own because it reads all the others and none of them may know it. Its
//! test `tests/house.rs` runs over the whole workspace in every plain `cargo test`; each rule is
//! also shown to find a snippet that breaks it.
//!
//! * [`floors`]: crates depend only downwards, siblings do not know each other.
//! * [`modules`]: inside a crate the order of `mod` lines is a floor plan that is kept.
//! * [`lines`]: the length of files, notes left in place of work, `unsafe`, atomic orderings.
//!
//! The rules read text with a small lexer ([`source`]), not with a parser of Rust: what they need
//! is which characters are code, which are comment, and which belong to a test.
#![forbid(unsafe_code)]

pub mod source;
pub mod floors;
pub mod modules;
pub mod lines;
