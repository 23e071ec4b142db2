//! There is nothing to build: cargo wants a build script where a package links under a name.

fn main() {}
