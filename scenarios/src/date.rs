//! The time that a log line gives itself, with the offset it was written in.
//!
//! `LogTime` is an instant and an offset; it compares as an instant and prints as Go's RFC 3339 text, which is
//! what rules see as `evt.Enriched.MarshaledTime`. Nothing here reads a clock or the machine's time zone: a
//! date without an offset is read as UTC and marked, and `date/zone` says which instant it is in the zone of the
//! log. How a date is written is in `date/layout`, which dates the `ParseDate`
//! enricher understands is in `date/parse`, lengths of time (`1h30m`) are in `date/duration`.

mod calendar;
mod duration;
mod layout;
mod parse;
mod short;
mod zone;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use lymph_protocol::Timestamp;

pub use calendar::Calendar;
pub use duration::{DurationError, GoDuration};
pub use layout::Layout;
pub use parse::{Yearless, parse_date, parse_unix};
pub use zone::Zone;

use calendar::{MONTHS, WEEKDAYS, civil_from_days, days_from_civil};

const DAY_SECS: i64 = 86_400;

/// A log's own time: an instant, and the offset from UTC in which it was written.
///
/// Two of them are equal when they are the same instant, whatever their offsets.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogTime {
    secs: i64,
    nanos: u32,
    offset_secs: i32,
    /// Whether the date had no offset: it is what the clock on the wall showed, wherever that was.
    is_local: bool,
}

impl LogTime {
    /// Go's zero time, the first instant of the year 1: what an unset `time.Time` is.
    pub const GO_ZERO: LogTime = LogTime {
        secs: -62_135_596_800,
        nanos: 0,
        offset_secs: 0,
        is_local: false,
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
            is_local: false,
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
        let shown = Calendar {
            year,
            ..self.calendar()
        };
        LogTime {
            is_local: self.is_local,
            ..Self::from_calendar(shown, self.offset_secs)
        }
    }

    /// The same, as a date that had no offset.
    #[must_use]
    pub(crate) fn local(self) -> Self {
        LogTime {
            is_local: true,
            ..self
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_crowdsec_marshals() {
        let cases = [
            (0, 0, 0, "1970-01-01T00:00:00Z"),
            (951_782_400, 500_000_000, 0, "2000-02-29T00:00:00.5Z"),
            (
                1_767_434_400,
                1,
                7200,
                "2026-01-03T12:00:00.000000001+02:00",
            ),
            (
                1_767_434_400,
                120_000,
                -12_600,
                "2026-01-03T06:30:00.00012-03:30",
            ),
            (-1, 0, 0, "1969-12-31T23:59:59Z"),
            (-62_167_219_200, 0, 0, "0000-01-01T00:00:00Z"),
            (
                253_402_300_799,
                999_999_999,
                0,
                "9999-12-31T23:59:59.999999999Z",
            ),
        ];
        for (secs, nanos, offset, expected) in cases {
            assert_eq!(
                LogTime::from_unix(secs, nanos)
                    .in_offset(offset)
                    .to_string(),
                expected
            );
        }
    }

    #[test]
    fn compares_as_an_instant() {
        let utc = LogTime::from_unix(1_767_434_400, 0);
        assert_eq!(utc, utc.in_offset(3600));
        assert!(utc < LogTime::from_unix(1_767_434_400, 1).in_offset(-3600));
    }

    #[test]
    fn no_time_is_out_of_reach() {
        for secs in [i64::MIN, -1, 0, 1, i64::MAX] {
            let time = LogTime::from_unix(secs, u32::MAX).in_offset(i32::MIN);
            let _ = (
                time.to_string(),
                time.weekday_name(),
                time.year_day(),
                time.in_year(9999),
                time.timestamp(),
            );
            let _ = time.plus(GoDuration::from_nanos(i64::MAX)).since(time);
        }
        assert_eq!(
            LogTime::from_unix(-1, 999_000_000).timestamp(),
            Timestamp::EPOCH
        );
        assert_eq!(
            LogTime::from_unix(1, 999_999_999).timestamp(),
            Timestamp::from_millis(1999)
        );
        assert_eq!(LogTime::from(Timestamp::MAX).year(), 10_000);
        assert_eq!(
            LogTime::from(Timestamp::from_millis(1500)).to_string(),
            "1970-01-01T00:00:01.5Z"
        );
    }

    #[test]
    fn knows_the_calendar() {
        let new_year = LogTime::from_unix(1_767_225_600, 0);
        assert_eq!(
            (
                new_year.weekday_name(),
                new_year.year_day(),
                new_year.month_name()
            ),
            ("Thursday", 1, "January")
        );
        let still_old = new_year.in_offset(-3600);
        assert_eq!(
            (
                still_old.weekday_name(),
                still_old.year_day(),
                still_old.hour()
            ),
            ("Wednesday", 365, 23)
        );
        assert_eq!(
            still_old.in_year(2024).to_string(),
            "2024-12-31T23:00:00-01:00"
        );
        assert_eq!(
            new_year
                .since(LogTime::from_unix(1_767_225_598, 500_000_000))
                .to_string(),
            "1.5s"
        );
    }

    proptest::proptest! {
        #[test]
        fn the_calendar_is_the_instant(secs in -62_167_219_200i64..253_402_300_799, quarters in -56i32..=56) {
            let time = LogTime::from_unix(secs, 7).in_offset(quarters * 900);
            proptest::prop_assert_eq!(LogTime::from_calendar(time.calendar(), time.offset_secs()), time);
        }
    }
}
