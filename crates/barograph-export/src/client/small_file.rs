//! Reads files that are expected to be small: certificates, keys, tokens.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::regular_file::{self, Links};

/// Reads a file of at most 4 MiB.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = regular_file::open(path, File::options().read(true), Links::Followed)?;
    let mut contents = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut contents)?;
    match contents.len() as u64 > MAX_LENGTH {
        true => Err(too_large()),
        false => Ok(contents),
    }
}

/// Checks that a file can be opened and is small enough, for a library that reads it by itself.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let file = regular_file::open(path, File::options().read(true), Links::Followed)?;
    match file.metadata()?.len() > MAX_LENGTH {
        true => Err(too_large()),
        false => Ok(()),
    }
}

fn too_large() -> io::Error {
    io::Error::other("larger than 4 MiB")
}

const MAX_LENGTH: u64 = 4 << 20;
