//! The time that a log line gives itself, with the offset it was written in.
//!
//! `LogTime` is an instant and an offset; it compares as an instant and prints as Go's RFC 3339 text, which is
//! what rules see as `evt.Enriched.MarshaledTime`. Nothing here reads a clock or the machine's time zone: a
//! date without an offset is UTC. How a date is written is in `date/layout`, which dates the `ParseDate`
//! enricher understands is in `date/parse`, lengths of time (`1h30m`) are in `date/duration`.

mod duration;
mod layout;
mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use lymph_protocol::Timestamp;

pub use duration::{DurationError, GoDuration};
pub use layout::Layout;
pub use parse::{Yearless, parse_date, parse_unix};

const DAY_SECS: i64 = 86_400;

/// A log's own time: an instant, and the offset from UTC in which it was written.
///
/// Two of them are equal when they are the same instant, whatever their offsets.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogTime {
    secs: i64,
    nanos: u32,
    offset_secs: i32,
}

/// Year, month, day and time of day of an instant in its own offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The year; 0 where a date has none.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59: a leap second is not a time that Go reads.
    pub second: u8,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl LogTime {
    /// Go's zero time, the first instant of the year 1: what an unset `time.Time` is.
    pub const GO_ZERO: LogTime = LogTime {
        secs: -62_135_596_800,
        nanos: 0,
        offset_secs: 0,
    };

    /// The earliest that is kept, a day before the year 0: earlier ones become this.
    const SECS_MIN: i64 = -62_167_219_200 - DAY_SECS;
    /// The latest that is kept, a day after the year 9999: later ones become this. A number of seconds in a
    /// log can be any number, and nothing that is computed from a time may overflow.
    const SECS_MAX: i64 = 253_402_300_799 + DAY_SECS;
    /// The largest offset, in either direction. Go reads offsets up to 24:60.
    const OFFSET_SECS_MAX: i32 = 25 * 3600;

    /// An instant by its seconds since the Unix epoch and the nanoseconds after them, in UTC.
    #[must_use]
    pub fn from_unix(secs: i64, nanos: u32) -> Self {
        let carried = secs.saturating_add(i64::from(nanos / 1_000_000_000));
        let kept = carried.clamp(Self::SECS_MIN, Self::SECS_MAX);
        LogTime {
            secs: kept,
            nanos: if kept == carried {
                nanos % 1_000_000_000
            } else {
                0
            },
            offset_secs: 0,
        }
    }

    /// The instant at which a clock that is `offset_secs` ahead of UTC shows this. Fields beyond their range
    /// carry over, as in Go: the 30th of February is a day in March. A month is 1 to 12.
    #[must_use]
    pub fn from_calendar(shown: Calendar, offset_secs: i32) -> Self {
        let days =
            days_from_civil(shown.year, u32::from(shown.month), 1) + i64::from(shown.day) - 1;
        let in_day =
            i64::from(shown.hour) * 3600 + i64::from(shown.minute) * 60 + i64::from(shown.second);
        let local = Self::from_unix(days * DAY_SECS + in_day, shown.nanos);
        let offset_secs = offset_secs.clamp(-Self::OFFSET_SECS_MAX, Self::OFFSET_SECS_MAX);
        let instant = Self::from_unix(local.secs - i64::from(offset_secs), local.nanos);
        LogTime {
            offset_secs,
            ..instant
        }
    }

    /// The same instant, shown in another offset.
    #[must_use]
    pub fn in_offset(self, offset_secs: i32) -> Self {
        LogTime {
            offset_secs: offset_secs.clamp(-Self::OFFSET_SECS_MAX, Self::OFFSET_SECS_MAX),
            ..self
        }
    }

    /// Milliseconds since the epoch; a time before the epoch is the epoch.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let secs = u64::try_from(self.secs).unwrap_or(0);
        let millis = if self.secs < 0 {
            0
        } else {
            u64::from(self.nanos / 1_000_000)
        };
        Timestamp::from_millis(secs.saturating_mul(1000).saturating_add(millis))
    }

    /// Whole seconds since the Unix epoch, negative before it.
    #[must_use]
    pub fn unix_secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.secs) * 1_000_000_000 + i128::from(self.nanos)
    }

    /// Seconds that the clock of the log is ahead of UTC.
    #[must_use]
    pub fn offset_secs(self) -> i32 {
        self.offset_secs
    }

    /// How long after `earlier` this is; as in Go it saturates at about 292 years.
    #[must_use]
    pub fn since(self, earlier: LogTime) -> GoDuration {
        let nanos = self.unix_nanos() - earlier.unix_nanos();
        GoDuration::from_nanos(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// The instant so much later, in the same offset.
    #[must_use]
    pub fn plus(self, duration: GoDuration) -> Self {
        let nanos = self.unix_nanos() + i128::from(duration.nanos());
        let secs = nanos.div_euclid(1_000_000_000) as i64;
        let moved = Self::from_unix(secs, nanos.rem_euclid(1_000_000_000) as u32);
        LogTime {
            offset_secs: self.offset_secs,
            ..moved
        }
    }

    /// What a clock in this time's offset shows.
    #[must_use]
    pub fn calendar(self) -> Calendar {
        let local = self.local_secs();
        let (year, month, day) = civil_from_days(local.div_euclid(DAY_SECS));
        let in_day = local.rem_euclid(DAY_SECS);
        Calendar {
            year,
            month,
            day,
            hour: (in_day / 3600) as u8,
            minute: (in_day / 60 % 60) as u8,
            second: (in_day % 60) as u8,
            nanos: self.nanos,
        }
    }

    /// The year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.calendar().year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        self.calendar().month
    }

    /// The name of the month.
    #[must_use]
    pub fn month_name(self) -> &'static str {
        MONTHS[usize::from(self.month() - 1)]
    }

    /// The day of the month.
    #[must_use]
    pub fn day(self) -> u8 {
        self.calendar().day
    }

    /// The day of the year, from 1.
    #[must_use]
    pub fn year_day(self) -> u16 {
        let days = self.local_secs().div_euclid(DAY_SECS);
        (days - days_from_civil(self.year(), 1, 1) + 1) as u16
    }

    /// The hour, 0 to 23.
    #[must_use]
    pub fn hour(self) -> u8 {
        self.calendar().hour
    }

    /// The minute.
    #[must_use]
    pub fn minute(self) -> u8 {
        self.calendar().minute
    }

    /// The second.
    #[must_use]
    pub fn second(self) -> u8 {
        self.calendar().second
    }

    /// Nanoseconds within the second.
    #[must_use]
    pub fn nanosecond(self) -> u32 {
        self.nanos
    }

    /// The day of the week, 0 for Sunday.
    #[must_use]
    pub fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        (self.local_secs().div_euclid(DAY_SECS) + 4).rem_euclid(7) as u8
    }

    /// The name of the day of the week.
    #[must_use]
    pub fn weekday_name(self) -> &'static str {
        WEEKDAYS[usize::from(self.weekday())]
    }

    /// The same day and time of day in another year: Go's `AddDate`, for which the 29th of February of a
    /// common year is the 1st of March.
    #[must_use]
    pub fn in_year(self, year: i32) -> Self {
        Self::from_calendar(
            Calendar {
                year,
                ..self.calendar()
            },
            self.offset_secs,
        )
    }

    fn local_secs(self) -> i64 {
        self.secs + i64::from(self.offset_secs)
    }
}

impl From<Timestamp> for LogTime {
    fn from(at: Timestamp) -> Self {
        let secs = i64::try_from(at.secs()).unwrap_or(i64::MAX);
        LogTime::from_unix(secs, (at.millis() % 1000) as u32 * 1_000_000)
    }
}

impl PartialEq for LogTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for LogTime {}

impl PartialOrd for LogTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LogTime {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.secs, self.nanos).cmp(&(other.secs, other.nanos))
    }
}

impl Hash for LogTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.secs, self.nanos).hash(state);
    }
}

/// Go's `MarshalText`: RFC 3339 with the offset kept and the fraction without trailing zeros.
impl fmt::Display for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Calendar {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanos,
        } = self.calendar();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if nanos != 0 {
            let (fraction, width) = without_trailing_zeros(nanos);
            write!(f, ".{fraction:0width$}")?;
        }
        if self.offset_secs == 0 {
            return f.write_str("Z");
        }
        let sign = if self.offset_secs < 0 { '-' } else { '+' };
        let minutes = self.offset_secs.unsigned_abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A fraction of a second as the digits that it needs, and how many they are.
pub(crate) fn without_trailing_zeros(nanos: u32) -> (u32, usize) {
    let (mut fraction, mut width) = (nanos, 9);
    while width > 1 && fraction % 10 == 0 {
        (fraction, width) = (fraction / 10, width - 1);
    }
    (fraction, width)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, carried back beyond its introduction.
///
/// Howard Hinnant's `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
pub(crate) fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way round: his `civil_from_days`.
fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

pub(crate) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(month: u8, year: i32) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
