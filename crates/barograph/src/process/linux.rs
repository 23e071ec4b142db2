//! Reads the files in `/proc` that describe a process.

use std::fs;

use barograph_core::process::{clock_ticks_per_second, page_size};

use super::family::Reading;
use super::stat::{boot_time, max_fds, stat};

/// Reads all values that are available.
pub(super) fn read() -> Reading {
    let seconds = |ticks: u64| Some(ticks as f64 / clock_ticks_per_second()? as f64);
    let stat = text("/proc/self/stat").and_then(|text| stat(&text));
    // The boot time changes when the clock is set, so it is read each time.
    let boot = text("/proc/stat").and_then(|text| boot_time(&text));
    Reading {
        cpu_seconds: stat.as_ref().and_then(|stat| seconds(stat.cpu_ticks)),
        resident_bytes: stat
            .as_ref()
            .and_then(|stat| Some(stat.resident_pages.saturating_mul(page_size()?))),
        virtual_bytes: stat.as_ref().map(|stat| stat.virtual_bytes),
        open_fds: open_fds(),
        max_fds: text("/proc/self/limits").and_then(|text| max_fds(&text)),
        threads: stat.as_ref().map(|stat| stat.threads),
        start_seconds: stat
            .zip(boot)
            .and_then(|(stat, boot)| Some(boot as f64 + seconds(stat.start_ticks)?)),
    }
}

fn text(path: &str) -> Option<String> {
    // The program's name, which the kernel puts among the numbers, is not always UTF-8.
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn open_fds() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is the open directory itself.
    Some(open.saturating_sub(1))
}
