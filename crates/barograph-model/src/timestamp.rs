//! The text form of a time.

/// Appends a time, in nanoseconds since 1970, in the format of RFC 3339, in UTC, with microseconds.
///
/// The calendar is Gregorian at all times. Nanoseconds since 1970 reach the year 2554, so a year
/// has four digits.
///
/// ```
/// let mut text = String::new();
/// barograph_model::timestamp::push_rfc3339(&mut text, 1_789_207_872_123_456_789);
/// assert_eq!(text, "2026-09-12T10:11:12.123456Z");
/// ```
#[expect(
    clippy::missing_panics_doc,
    reason = "it never panics: digits are ASCII"
)]
pub fn push_rfc3339(out: &mut String, unix_nanos: u64) {
    let micros = unix_nanos / 1_000;
    let (seconds, micros) = (micros / 1_000_000, (micros % 1_000_000) as u32);
    let (days, second) = ((seconds / 86_400) as u32, (seconds % 86_400) as u32);
    let (year, month, day) = date(days);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (at, two) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, second / 3_600),
        (14, second / 60 % 60),
        (17, second % 60),
        (20, micros / 10_000),
        (22, micros / 100 % 100),
        (24, micros % 100),
    ] {
        text[at] += (two / 10) as u8;
        text[at + 1] += (two % 10) as u8;
    }
    out.push_str(str::from_utf8(&text).expect("digits are ASCII"));
}

/// Returns year, month and day of a day since 1970.
///
/// Years are counted from the first of March on, so that the leap day is the last day of a year,
/// and in periods of four hundred years, which all have the same number of days.
fn date(days: u32) -> (u32, u32, u32) {
    const DAYS_BEFORE_1970: u32 = 719_468;
    const DAYS_OF_400_YEARS: u32 = 146_097;
    let days = days + DAYS_BEFORE_1970;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, every five months have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (400 * era + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(seconds: u64, nanos: u64) -> String {
        let mut out = String::new();
        push_rfc3339(&mut out, seconds * 1_000_000_000 + nanos);
        out
    }

    #[test]
    fn times_are_formatted_as_date_does() {
        for (seconds, time) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_789_207_872, "2026-09-12T10:11:12.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(formatted(seconds, 0), time);
        }
        assert_eq!(formatted(0, 123_456_789), "1970-01-01T00:00:00.123456Z");
        let mut last = String::new();
        push_rfc3339(&mut last, u64::MAX);
        assert_eq!(last, "2554-07-21T23:34:33.709551Z");
    }

    #[test]
    fn each_day_is_the_one_after_the_day_before() {
        let mut before = date(0);
        for days in 1..213_503 {
            let (year, month, day) = date(days);
            let next = if day > 1 {
                (before.0, before.1, before.2 + 1)
            } else if month > 1 {
                assert!((28..=31).contains(&before.2));
                (before.0, before.1 + 1, 1)
            } else {
                assert_eq!((before.1, before.2), (12, 31));
                (before.0 + 1, 1, 1)
            };
            assert_eq!((year, month, day), next);
            before = next;
        }
    }
}
