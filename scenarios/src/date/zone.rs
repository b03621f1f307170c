//! How far the clocks of a place are ahead of UTC, and since when: what turns a date without an offset into an
//! instant.
//!
//! A zone is a table that others make (the daemon asks the machine for its own), so that nothing here reads
//! one. Looking a date up is a search in some hundred numbers, which a line does not feel.

use std::sync::Arc;

use lymph_protocol::Timestamp;

use super::LogTime;

/// How far a date may lie in the future before the other reading of it, where it has two, is the likelier one.
const AHEAD_MAX_SECS: i64 = 60;

/// The offsets of a place. Without any change it is UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Before the first change.
    first: i32,
    /// The instant of each change in seconds since the epoch, in order, and the offset from then on.
    changes: Arc<[(i64, i32)]>,
}

impl Zone {
    /// A zone with `first` as its offset in seconds until the first of the changes: since when (seconds since the
    /// epoch), and which offset then.
    #[must_use]
    pub fn new(first: i32, mut changes: Vec<(i64, i32)>) -> Self {
        changes.sort_unstable();
        let within =
            |offset: i32| offset.clamp(-LogTime::OFFSET_SECS_MAX, LogTime::OFFSET_SECS_MAX);
        Zone {
            first: within(first),
            changes: changes
                .into_iter()
                .map(|(since, offset)| (since, within(offset)))
                .collect(),
        }
    }

    /// The instant that a date means. One that has an offset of its own is returned as it is.
    ///
    /// Where clocks go back, an hour has two readings: it is the later one, unless that is still to come. A time
    /// that clocks skip is read as if they had not yet been set.
    #[must_use]
    pub fn place(&self, date: LogTime, now: Timestamp) -> LogTime {
        if !date.is_local || self.is_utc() {
            return date;
        }
        let shown = date.local_secs();
        let mut period = self.period(shown + i64::from(LogTime::OFFSET_SECS_MAX));
        while period > 0 && shown - i64::from(self.offset(period)) < self.start(period) {
            period -= 1;
        }
        let later = date.reading(shown, self.offset(period));
        let is_to_come = later.secs > LogTime::from(now).secs + AHEAD_MAX_SECS;
        match self.earlier(later) {
            Some(earlier) if is_to_come => earlier,
            Some(_) | None => later,
        }
    }

    /// The earlier reading of a date that was placed here and has two.
    #[must_use]
    pub fn earlier(&self, placed: LogTime) -> Option<LogTime> {
        if !placed.is_local || self.is_utc() {
            return None;
        }
        let period = self.period(placed.secs);
        let before = self.offset(period.checked_sub(1)?);
        let earlier = placed.reading(placed.local_secs(), before);
        (earlier.secs < self.start(period)).then_some(earlier)
    }

    fn is_utc(&self) -> bool {
        self.first == 0 && self.changes.is_empty()
    }

    /// How many changes there were by then.
    fn period(&self, at: i64) -> usize {
        self.changes.partition_point(|(since, _)| *since <= at)
    }

    fn offset(&self, period: usize) -> i32 {
        match period.checked_sub(1) {
            Some(change) => self.changes[change].1,
            None => self.first,
        }
    }

    fn start(&self, period: usize) -> i64 {
        match period.checked_sub(1) {
            Some(change) => self.changes[change].0,
            None => i64::MIN,
        }
    }
}

impl LogTime {
    /// The same date on a clock that is so far ahead of UTC.
    fn reading(self, shown: i64, offset_secs: i32) -> LogTime {
        let kept = LogTime::from_unix(shown - i64::from(offset_secs), self.nanos);
        LogTime {
            offset_secs,
            is_local: true,
            ..kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Yearless, parse_date};
    use super::*;

    /// Berlin about 2026: summer time from 29 March, 01:00 UTC, to 25 October, 01:00 UTC.
    fn berlin() -> Zone {
        Zone::new(3600, vec![(1_774_746_000, 7200), (1_792_890_000, 3600)])
    }

    fn new_york() -> Zone {
        Zone::new(
            -18_000,
            vec![(1_772_953_200, -14_400), (1_793_512_800, -18_000)],
        )
    }

    fn read(zone: &Zone, text: &str, now: &str) -> String {
        let now = parse_date(now.as_bytes(), b"", Timestamp::EPOCH, Yearless::Latest).unwrap();
        let now = now.timestamp();
        let date = parse_date(text.as_bytes(), b"", now, Yearless::Latest).unwrap();
        zone.place(date, now).to_string()
    }

    #[test]
    fn a_date_without_an_offset_is_one_of_the_zone() {
        let now = "2026-12-01T00:00:00Z";
        for (zone, text, expected) in [
            (berlin(), "Mar 28 12:00:00", "2026-03-28T12:00:00+01:00"),
            (berlin(), "Mar 29 01:59:59", "2026-03-29T01:59:59+01:00"),
            // Clocks skip this hour; whoever shows it was not yet set.
            (berlin(), "Mar 29 02:30:00", "2026-03-29T02:30:00+01:00"),
            (berlin(), "Mar 29 03:00:00", "2026-03-29T03:00:00+02:00"),
            (berlin(), "Oct 25 01:59:59", "2026-10-25T01:59:59+02:00"),
            (berlin(), "Oct 25 02:00:00", "2026-10-25T02:00:00+01:00"),
            (berlin(), "Oct 25 03:00:00", "2026-10-25T03:00:00+01:00"),
            (berlin(), "2026/07/01 12:00:00", "2026-07-01T12:00:00+02:00"),
            (new_york(), "Nov 24 06:02:44", "2026-11-24T06:02:44-05:00"),
            (
                new_york(),
                "2026-07-01 12:00:00",
                "2026-07-01T12:00:00-04:00",
            ),
            (Zone::default(), "Nov 24 06:02:44", "2026-11-24T06:02:44Z"),
            (
                Zone::new(20_700, vec![]),
                "Nov 24 06:02:44",
                "2026-11-24T06:02:44+05:45",
            ),
        ] {
            assert_eq!(read(&zone, text, now), expected, "{text}");
        }
    }

    #[test]
    fn an_offset_in_the_date_counts() {
        let now = "2026-12-01T00:00:00Z";
        for (text, expected) in [
            ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z"),
            ("2026-07-01T12:00:00+00:00", "2026-07-01T12:00:00Z"),
            ("2026-07-01T12:00:00-08:00", "2026-07-01T12:00:00-08:00"),
            ("01/Jul/2026:12:00:00 +0000", "2026-07-01T12:00:00Z"),
            ("2026-07-01 12:00:00 +0000 UTC", "2026-07-01T12:00:00Z"),
            ("1782907200", "2026-07-01T12:00:00Z"),
        ] {
            assert_eq!(read(&new_york(), text, now), expected, "{text}");
        }
    }

    #[test]
    fn the_hour_that_comes_twice_is_the_one_that_is_not_to_come() {
        let first = read(&berlin(), "Oct 25 02:30:00", "2026-10-25T00:30:01Z");
        assert_eq!(first, "2026-10-25T02:30:00+02:00");
        let second = read(&berlin(), "Oct 25 02:30:00", "2026-10-25T01:30:01Z");
        assert_eq!(second, "2026-10-25T02:30:00+01:00");
    }

    #[test]
    fn the_year_begins_with_the_zone() {
        // In Auckland it is the new year already, in Honolulu the old one still.
        let auckland = Zone::new(46_800, vec![]);
        let text = read(&auckland, "Jan  1 09:00:00", "2026-12-31T20:00:01Z");
        assert_eq!(text, "2027-01-01T09:00:00+13:00");
        let honolulu = Zone::new(-36_000, vec![]);
        let text = read(&honolulu, "Dec 31 20:00:00", "2027-01-01T06:00:01Z");
        assert_eq!(text, "2026-12-31T20:00:00-10:00");
    }

    proptest::proptest! {
        #[test]
        fn what_a_clock_of_the_zone_shows_is_read_as_that_instant(at in 1_767_225_600u64..1_798_761_600) {
            for zone in [berlin(), new_york()] {
                let offset = zone.offset(zone.period(at as i64));
                let shown = LogTime::from_unix(at as i64 + i64::from(offset), 0);
                let placed = zone.place(LogTime { is_local: true, ..shown }, Timestamp::from_secs(at));
                proptest::prop_assert_eq!(placed.unix_secs(), at as i64);
            }
        }
    }
}
