//! The `ParseDate` enricher: a date in one of sixteen layouts, or Unix time, to a `LogTime`.
//!
//! The shape of a text says which of the layouts can fit at all, and the three that nearly every log uses
//! (`Jan _2 15:04:05`, `02/Jan/2006:15:04:05 -0700`, RFC 3339) are read by hand when they are in the form in
//! which programs write them. Whatever the short way does not know goes the long way, and both agree.

use std::sync::LazyLock;

use lymph_protocol::Timestamp;

use super::{Calendar, DAY_SECS, Layout, LogTime, days_in_month};

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
    let time = fast(text).or_else(|| slow(text))?;
    Some(with_year(time, now, yearless))
}

/// Seconds since the epoch. What is behind a point does not count, as in CrowdSec.
#[must_use]
pub fn parse_unix(text: &[u8]) -> Option<LogTime> {
    let whole = text.split(|byte| *byte == b'.').next()?;
    let secs: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
    (secs > 0).then(|| LogTime::from_unix(secs, 0))
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

/// The short way. `None` means that the long way has to be asked.
fn fast(text: &[u8]) -> Option<LogTime> {
    match text {
        // Jan _2 15:04:05
        [a, b, c, b' ', day @ .., h, hh, b':', m, mm, b':', s, ss] if text.len() == 15 => {
            let [d, dd, b' '] = *day else { return None };
            let day = if d == b' ' {
                two(b'0', dd)?
            } else {
                two(d, dd)?
            };
            let time = [two(*h, *hh)?, two(*m, *mm)?, two(*s, *ss)?];
            at(0, month([*a, *b, *c])?, day, time, 0, 0)
        }
        // 02/Jan/2006:15:04:05 -0700
        [d, dd, b'/', a, b, c, b'/', y @ .., sign, oh, ohh, om, omm] if text.len() == 26 => {
            let [y1, y2, y3, y4, b':', h, hh, b':', m, mm, b':', s, ss, b' '] = *y else {
                return None;
            };
            let offset = offset(*sign, two(*oh, *ohh)?, two(*om, *omm)?)?;
            let time = [two(h, hh)?, two(m, mm)?, two(s, ss)?];
            at(
                year([y1, y2, y3, y4])?,
                month([*a, *b, *c])?,
                two(*d, *dd)?,
                time,
                0,
                offset,
            )
        }
        // 2006-01-02T15:04:05, then a fraction, then an offset; or with a space and no offset
        [
            y1,
            y2,
            y3,
            y4,
            b'-',
            o,
            oo,
            b'-',
            d,
            dd,
            between @ (b'T' | b' '),
            h,
            hh,
            b':',
            m,
            mm,
            b':',
            s,
            ss,
            rest @ ..,
        ] => {
            let (nanos, rest) = fraction(rest);
            let offset = match *rest {
                [] => 0,
                _ if *between == b' ' => return None,
                [b'Z'] => 0,
                [sign, h, hh, b':', m, mm] => offset(sign, two(h, hh)?, two(m, mm)?)?,
                _ => return None,
            };
            let time = [two(*h, *hh)?, two(*m, *mm)?, two(*s, *ss)?];
            at(
                year([*y1, *y2, *y3, *y4])?,
                two(*o, *oo)?,
                two(*d, *dd)?,
                time,
                nanos,
                offset,
            )
        }
        _ => None,
    }
}

fn at(
    year: i32,
    month: u8,
    day: u8,
    [hour, minute, second]: [u8; 3],
    nanos: u32,
    offset: i32,
) -> Option<LogTime> {
    if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day > 28 && day > days_in_month(month, year) {
        return None;
    }
    known(Some(LogTime::from_calendar(
        Calendar {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanos,
        },
        offset,
    )))
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

fn year([a, b, c, d]: [u8; 4]) -> Option<i32> {
    Some(i32::from(two(a, b)?) * 100 + i32::from(two(c, d)?))
}

fn month(name: [u8; 3]) -> Option<u8> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

fn offset(sign: u8, hours: u8, minutes: u8) -> Option<i32> {
    if hours > 24 || minutes > 60 {
        return None;
    }
    let secs = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    match sign {
        b'+' => Some(secs),
        b'-' => Some(-secs),
        _ => None,
    }
}

/// A fraction of at most nine digits, and what is behind it; zero where there is none.
fn fraction(text: &[u8]) -> (u32, &[u8]) {
    let [b'.' | b',', digits @ ..] = text else {
        return (0, text);
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 || count > 9 {
        return (0, text);
    }
    let value = digits[..count]
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    (value * 10u32.pow(9 - count as u32), &digits[count..])
}
