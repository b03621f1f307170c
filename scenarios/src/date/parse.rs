//! The `ParseDate` enricher: a date in one of sixteen layouts, or Unix time, to a `LogTime`.
//!
//! The shape of a text says which of the layouts can fit at all, and the three that nearly every log uses
//! (`Jan _2 15:04:05`, `02/Jan/2006:15:04:05 -0700`, RFC 3339) are read by hand when they are in the form in
//! which programs write them (`date/short`). Whatever that does not know goes the long way, and both agree.

use std::sync::LazyLock;

use lymph_protocol::Timestamp;

use super::short::short;
use super::{DAY_SECS, Layout, LogTime};

/// Which year a date without one is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Yearless {
    /// In the latest year in which it does not lie in the future: the log of December, read in January, is of
    /// the year before. A day is allowed for clocks and time zones.
    #[default]
    Latest,
    /// In the current one, as CrowdSec has it.
    Current,
}

/// Longest text that can be a date. The longest layout takes about 50 bytes; a fraction may have more digits
/// than anyone needs.
const DATE_BYTES_MAX: usize = 128;

/// The time that a text is, tried with `format` first if that is not empty, then with the layouts that
/// CrowdSec knows, then as Unix time. `None` means that the text is no date.
#[must_use]
pub fn parse_date(
    text: &[u8],
    format: &[u8],
    now: Timestamp,
    yearless: Yearless,
) -> Option<LogTime> {
    if text.is_empty() || text.len() > DATE_BYTES_MAX {
        return None;
    }
    if !format.is_empty()
        && let Some(time) = known(Layout::parse_once(format, text))
    {
        return Some(with_year(time, now, yearless));
    }
    let time = short(text).or_else(|| slow(text))?;
    Some(with_year(time, now, yearless))
}

/// Seconds since the epoch. What is behind a point does not count, as in CrowdSec. A number that would be
/// beyond the year 5138 counts milliseconds, or micro- or nanoseconds: programs write those, and CrowdSec's
/// reading of them is a year that no bucket can use.
#[must_use]
pub fn parse_unix(text: &[u8]) -> Option<LogTime> {
    let whole = text.split(|byte| *byte == b'.').next()?;
    let number: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let per_second = match number {
        ..=0 => return None,
        1..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    let nanos = (number % per_second) * (1_000_000_000 / per_second);
    Some(LogTime::from_unix(number / per_second, nanos as u32))
}

/// Go's zero time counts as no time.
fn known(time: Option<LogTime>) -> Option<LogTime> {
    time.filter(|time| *time != LogTime::GO_ZERO)
}

fn with_year(time: LogTime, now: Timestamp, yearless: Yearless) -> LogTime {
    if time.year() != 0 {
        return time;
    }
    let now = LogTime::from(now);
    let this_year = time.in_year(now.year());
    match yearless {
        // Where clocks are ahead of UTC the new year has begun already.
        Yearless::Latest if (time.month(), now.month()) == (1, 12) => {
            let next_year = time.in_year(now.year() + 1);
            let is_near = next_year.unix_secs() <= now.unix_secs() + DAY_SECS;
            if is_near { next_year } else { this_year }
        }
        Yearless::Latest if this_year.unix_secs() > now.unix_secs() + DAY_SECS => {
            time.in_year(now.year() - 1)
        }
        Yearless::Latest | Yearless::Current => this_year,
    }
}

/// The layouts in CrowdSec's order, without the two that accept nothing that another does not: a fraction is
/// accepted after any seconds, and RFC 3339 is in the list twice.
struct Layouts {
    rfc3339: Layout,
    common_log: Layout,
    ansi: Layout,
    paris: Layout,
    american: Layout,
    go_string: Layout,
    syslog: Layout,
    slashed: [Layout; 3],
    dashed: [Layout; 4],
}

static LAYOUTS: LazyLock<Layouts> = LazyLock::new(|| Layouts {
    rfc3339: Layout::compile("2006-01-02T15:04:05Z07:00"),
    common_log: Layout::compile("02/Jan/2006:15:04:05 -0700"),
    ansi: Layout::compile("Mon Jan 2 15:04:05 2006"),
    paris: Layout::compile("02-Jan-2006 15:04:05 europe/paris"),
    american: Layout::compile("01/02/2006 15:04:05"),
    go_string: Layout::compile("2006-01-02 15:04:05.999999999 -0700 MST"),
    syslog: Layout::compile("Jan  2 15:04:05"),
    slashed: ["2006/01/02", "2006/01/02 15:04", "2006/01/02 15:04:05"].map(Layout::compile),
    dashed: [
        "2006-01-02",
        "2006-01-02 15:04",
        "2006-01-02 15:04:05",
        "2006-01-02T15:04:05",
    ]
    .map(Layout::compile),
});

/// The long way: every layout that the shape of the text allows.
fn slow(text: &[u8]) -> Option<LogTime> {
    let layouts = &*LAYOUTS;
    let one = |layout: &Layout| known(layout.parse(text));
    let first_of = |all: &[Layout]| all.iter().find_map(one);
    let by_layout = match (text[0], text.get(2), text.get(4)) {
        (b'a'..=b'z' | b'A'..=b'Z', ..) => one(&layouts.syslog).or_else(|| one(&layouts.ansi)),
        (b'0'..=b'9', Some(b'/'), _) => one(&layouts.common_log).or_else(|| one(&layouts.american)),
        (b'0'..=b'9', Some(b'-'), _) => one(&layouts.paris),
        (b'0'..=b'9', _, Some(b'/')) => first_of(&layouts.slashed),
        (b'0'..=b'9', _, Some(b'-')) => one(&layouts.rfc3339)
            .or_else(|| first_of(&layouts.dashed))
            .or_else(|| one(&layouts.go_string)),
        _ => None,
    };
    by_layout.or_else(|| parse_unix(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-03T10:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_767_434_400);

    fn read(text: &[u8], yearless: Yearless) -> String {
        parse_date(text, b"", NOW, yearless).map_or("none".to_owned(), |time| time.to_string())
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(read(text.as_bytes(), Yearless::Current), expected, "{text}");
    }

    #[test]
    fn every_layout() {
        check("2024-02-29T23:59:59+02:00", "2024-02-29T23:59:59+02:00");
        check("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z");
        check("2024-02-29T23:59:59.120Z", "2024-02-29T23:59:59.12Z");
        check(
            "2024-02-29T23:59:59,000001-03:30",
            "2024-02-29T23:59:59.000001-03:30",
        );
        check("2024-02-29T23:59:59+00:00", "2024-02-29T23:59:59Z");
        check("2024-02-29T3:59:59Z", "2024-02-29T03:59:59Z");
        check("31/Dec/2025:23:59:59 +1400", "2025-12-31T23:59:59+14:00");
        check("31/dec/2025:23:59:59 -0000", "2025-12-31T23:59:59Z");
        check(
            "31/Dec/2025:23:59:59.5   +0100",
            "2025-12-31T23:59:59.5+01:00",
        );
        check("Sat Jan 3 09:00:00 2026", "2026-01-03T09:00:00Z");
        check("Sat Jan  3 09:00:00 2026", "2026-01-03T09:00:00Z");
        check("Sun Jan 3 09:00:00 2026", "2026-01-03T09:00:00Z");
        check(
            "Sat Jan 03 09:00:00.123456 2026",
            "2026-01-03T09:00:00.123456Z",
        );
        check("03-Jan-2026 09:00:00 europe/paris", "2026-01-03T09:00:00Z");
        check("01/31/2026 09:00:00", "2026-01-31T09:00:00Z");
        check(
            "2026-01-03 09:00:00.5 +0200 CEST",
            "2026-01-03T09:00:00.5+02:00",
        );
        check("2026-01-03 09:00:00 +0000 UTC", "2026-01-03T09:00:00Z");
        check("Jan  3 09:00:00", "2026-01-03T09:00:00Z");
        check("Jan 3 09:00:00", "2026-01-03T09:00:00Z");
        check("jan 13 09:00:00.25", "2026-01-13T09:00:00.25Z");
        check("2026/01/03", "2026-01-03T00:00:00Z");
        check("2026/01/03 09:05", "2026-01-03T09:05:00Z");
        check("2026-01-03", "2026-01-03T00:00:00Z");
        check("2026-01-03 09:05", "2026-01-03T09:05:00Z");
        check("2026/01/03 09:05:07", "2026-01-03T09:05:07Z");
        check("2026-01-03 09:05:07", "2026-01-03T09:05:07Z");
        check("2026-01-03  9:05:07.000", "2026-01-03T09:05:07Z");
        check("2026-01-03T09:05:07", "2026-01-03T09:05:07Z");
        check(
            "2026-01-03T09:05:07.1234567891234",
            "2026-01-03T09:05:07.123456789Z",
        );
    }

    #[test]
    fn unix_time() {
        check("1767434400", "2026-01-03T10:00:00Z");
        check("1767434400.987", "2026-01-03T10:00:00Z");
        check("+1767434400.x", "2026-01-03T10:00:00Z");
        check("1767434400987", "2026-01-03T10:00:00.987Z");
        check("1767434400987654", "2026-01-03T10:00:00.987654Z");
        check("1767434400987654321", "2026-01-03T10:00:00.987654321Z");
        check("1", "1970-01-01T00:00:01Z");
        check("99999999999", "5138-11-16T09:46:39Z");
        for text in ["0", "-5", "99999999999999999999", "1e9", ".5", "12 "] {
            check(text, "none");
        }
    }

    #[test]
    fn what_is_no_date() {
        let texts = [
            "",
            " ",
            "-",
            "now",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-01-32T00:00:00Z",
            "2026-01-03T24:00:00Z",
            "2026-01-03T23:60:00Z",
            "2026-01-03T23:59:60Z",
            "2026-01-03T23:59:59+25:00",
            "2026-01-03T23:59:59+0200",
            "2026-01-03T23:59:59Z ",
            " 2026-01-03T23:59:59Z",
            "2026-01-03T23:59:59.Z",
            "0001-01-01T00:00:00Z",
            "Jan 32 00:00:00",
            "Feb 30 00:00:00",
            "Jan  3 09:00",
            "Jan  3 09:00:00 x",
            "Jänner 3 09:00:00",
            "1/Jan/2026:09:00:00 +0000",
            "01/Jan/26:09:00:00 +0000",
            "01/Jan/2026:09:00:00",
            "13/01/2026 09:00:00",
            "2026/1/3",
        ];
        for text in texts {
            check(text, "none");
        }
        assert_eq!(read(&[0xff; 15], Yearless::Latest), "none");
        assert_eq!(read(&[b'1'; DATE_BYTES_MAX + 1], Yearless::Latest), "none");
    }

    #[test]
    fn own_layout_comes_first() {
        let own = |text: &str, format: &str| {
            parse_date(text.as_bytes(), format.as_bytes(), NOW, Yearless::Current)
                .map(|time| time.to_string())
        };
        assert_eq!(
            own("03/01/2026 10:00:00", "02/01/2006 15:04:05").as_deref(),
            Some("2026-01-03T10:00:00Z")
        );
        assert_eq!(
            own("03/01/2026 10:00:00", "").as_deref(),
            Some("2026-03-01T10:00:00Z")
        );
        // One that does not fit leaves it to the others.
        assert_eq!(
            own("2026-01-03", "15:04").as_deref(),
            Some("2026-01-03T00:00:00Z")
        );
        assert_eq!(
            own("260103 9:05:07", "060102 15:04:05").as_deref(),
            Some("2026-01-03T09:05:07Z")
        );
        assert_eq!(
            own("0103 9:05:07", "0102 15:04:05").as_deref(),
            Some("2026-01-03T09:05:07Z")
        );
        assert_eq!(own("junk", "junk"), Some("2026-01-01T00:00:00Z".to_owned()));
    }

    #[test]
    fn a_date_without_a_year() {
        let cases = [
            (
                "Jan  3 09:00:00",
                "2026-01-03T09:00:00Z",
                "2026-01-03T09:00:00Z",
            ),
            (
                "Jan  4 09:59:59",
                "2026-01-04T09:59:59Z",
                "2026-01-04T09:59:59Z",
            ),
            (
                "Jan  4 10:00:01",
                "2025-01-04T10:00:01Z",
                "2026-01-04T10:00:01Z",
            ),
            (
                "Dec 31 23:59:59",
                "2025-12-31T23:59:59Z",
                "2026-12-31T23:59:59Z",
            ),
            // Read in the leap year 0, then moved: in a common year it is the day after.
            (
                "Feb 29 00:00:00",
                "2025-03-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
            ),
        ];
        for (text, latest, current) in cases {
            assert_eq!(read(text.as_bytes(), Yearless::Latest), latest, "{text}");
            assert_eq!(read(text.as_bytes(), Yearless::Current), current, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_agrees_with_the_long(text in r"[ 0-9JFjaneb]{0,3}([ 0-9]{2}/[JFD][ae][nbc]/[0-9]{4}|[0-9]{4}-[0-1][0-9]-[0-3][0-9]| [ 0-3][0-9] ?)[:T ]?[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?( ?[-+][0-2][0-9]:?[0-6][0-9]|Z)?") {
            if let Some(time) = short(text.as_bytes()) {
                proptest::prop_assert_eq!(slow(text.as_bytes()).map(|t| t.to_string()), Some(time.to_string()));
            }
        }

        #[test]
        fn no_bytes_panic(text: Vec<u8>, format: Vec<u8>, now: u64) {
            let now = Timestamp::from_millis(now);
            let _ = parse_date(&text, &format, now, Yearless::Latest).map(|time| (time.to_string(), time.timestamp()));
            let _ = parse_date(&text, &text, now, Yearless::Current);
        }

        #[test]
        fn what_is_printed_reads_back(secs in -62_135_596_799i64..253_402_300_799, nanos in 0u32..1_000_000_000, quarters in -56i32..=56) {
            let time = LogTime::from_unix(secs, nanos).in_offset(quarters * 900);
            if (1..=9999).contains(&time.year()) {
                let again = parse_date(time.to_string().as_bytes(), b"", NOW, Yearless::Latest);
                proptest::prop_assert_eq!(again.map(|t| (t, t.offset_secs())), Some((time, time.offset_secs())));
            }
        }
    }
}
