//! Reads files that are meant to be small: certificates, keys, tokens.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The contents of a file of at most 4 MiB.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe would wait for who writes to it, and a device would not end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut contents = Vec::new();
    File::open(path)?
        .take(MAX_LENGTH + 1)
        .read_to_end(&mut contents)?;
    match contents.len() as u64 > MAX_LENGTH {
        true => Err(io::Error::other("larger than 4 MiB")),
        false => Ok(contents),
    }
}

const MAX_LENGTH: u64 = 4 << 20;
