//! Parsers for the kernel's files about processes.
//!
//! Source: proc_pid_stat(5), proc_stat(5), proc_pid_limits(5).

/// The fields of `/proc/<pid>/stat` that are used.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stat {
    /// In user and kernel mode.
    pub(super) cpu_ticks: u64,
    pub(super) threads: u64,
    /// Since boot.
    pub(super) start_ticks: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
}

/// Parses `/proc/<pid>/stat`.
pub(super) fn stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, which may hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The manual counts from one, and the first two fields are already removed.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)?.saturating_add(field(15)?),
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// Returns the boot time in `/proc/stat`, in seconds since the Unix epoch.
pub(super) fn boot_time(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Returns the soft limit of open files in `/proc/<pid>/limits`.
pub(super) fn max_fds(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        limit => limit.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let text = "42 (a) b (c\n) S 1 42 42 0 -1 4194304 9 0 0 0 150 25 7 8 20 0 3 0 12345 1048576 \
                    77 18446744073709551615 1 1 0\n";
        let expected = Stat {
            cpu_ticks: 175,
            threads: 3,
            start_ticks: 12345,
            virtual_bytes: 1_048_576,
            resident_pages: 77,
        };
        assert_eq!(stat(text), Some(expected));
    }

    #[test]
    fn truncated_files_are_not_read() {
        assert_eq!(stat(""), None);
        assert_eq!(stat("42 (a) S 1 42 42 0 -1 4194304 9 0 0 0 150 25"), None);
        assert_eq!(boot_time("cpu  1 2 3\n"), None);
        assert_eq!(max_fds("Max open files"), None);
    }

    #[test]
    fn boot_time_and_limits_are_found_among_other_lines() {
        assert_eq!(
            boot_time("cpu  1 2 3\nctxt 99\nbtime 1790000000\nprocesses 7\n"),
            Some(1_790_000_000)
        );
        let limits = |limit| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max cpu time              unlimited            unlimited            seconds   \n\
                 Max open files            {limit:<20} 524288               files     \n"
            )
        };
        assert_eq!(max_fds(&limits("1024")), Some(1024));
        assert_eq!(max_fds(&limits("unlimited")), Some(u64::MAX));
    }
}
