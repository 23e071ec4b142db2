//! An empty build script: cargo requires one in a package with a `links` key.

fn main() {}
