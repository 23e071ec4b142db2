//! Lints of this repository that neither the compiler nor clippy has: functions that return the
//! violations.
//!
//! This is a separate crate because it reads all other crates, none of which may depend on it. Its
//! test `tests/workspace.rs` checks the whole workspace in every plain `cargo test`. Unit tests
//! show that each lint finds code that violates it.
//!
//! * [`layers`]: crates depend on crates of lower layers only, never on one of their own layer.
//! * [`modules`]: a module uses only modules that its parent declares above it.
//! * [`names`]: no two public types of one crate have the same name.
//! * [`references`]: references of documents to lines of code point to the code that they name.
//! * [`lines`]: the length of files, notes left in place of work, summaries of docs,
//!   `unsafe`, atomic orderings.
//!
//! The lints read text with a small lexer ([`source`]), not with a parser of Rust. They need to know
//! which characters are code, which are comments, and which belong to a test.
#![forbid(unsafe_code)]

pub mod source;
pub mod layers;
pub mod modules;
pub mod lines;
pub mod names;
pub mod references;
