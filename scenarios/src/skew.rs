//! Sources whose dates are off by whole quarters of an hour: their zone is not the one they are read in, or their
//! clock is wrong.
//!
//! A burst that was written a while ago and is read in one go is late by about one amount, too. So an amount only
//! counts once it has stayed the same for a minute of reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::Timestamp;

use crate::line::Source;

/// Offsets of zones are multiples of this.
const STEP_SECS: i64 = 15 * 60;
/// How far off a multiple a date may be.
const TOLERANCE_SECS: i64 = 60;
/// How long, and in how many lines, an amount must stay the same.
const SPAN: Duration = Duration::from_secs(60);
const LINES_MIN: u32 = 5;
/// Most sources that are kept in mind. Beyond that none is added: what is known of them is better than a bit of all.
const SOURCES_MAX: usize = 64;

/// A source whose dates are off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skewed {
    /// Its name.
    pub source: Arc<str>,
    /// How late its dates are, in seconds; negative if they are ahead. 0 says that they are right again.
    pub late_secs: i64,
}

/// What the dates of each source were off by lately.
#[derive(Debug, Default)]
pub(crate) struct Skew {
    sources: BTreeMap<Arc<str>, Seen>,
    news: Option<Skewed>,
}

#[derive(Debug)]
struct Seen {
    late_secs: i64,
    since: Timestamp,
    lines: u32,
    was_said: bool,
}

impl Skew {
    /// A line of a followed source was read at `now` and says that it happened at `said`.
    pub(crate) fn see(&mut self, source: &Source, said: Timestamp, now: Timestamp) {
        let late = (now.millis() as i64).saturating_sub(said.millis() as i64) / 1000;
        let off = (late + late.signum() * STEP_SECS / 2) / STEP_SECS * STEP_SECS;
        let is_right = late.abs() < STEP_SECS - TOLERANCE_SECS;
        if is_right && self.sources.is_empty() {
            return;
        }
        if is_right || (late - off).abs() > TOLERANCE_SECS {
            self.drop_doubt(source, is_right);
            return;
        }
        let Some(seen) = self.sources.get_mut(source.name.as_str()) else {
            if self.sources.len() < SOURCES_MAX {
                let seen = Seen {
                    late_secs: off,
                    since: now,
                    lines: 1,
                    was_said: false,
                };
                self.sources.insert(source.name.as_str().into(), seen);
            }
            return;
        };
        if seen.late_secs != off {
            (seen.late_secs, seen.since, seen.lines) = (off, now, 0);
        }
        seen.lines = seen.lines.saturating_add(1);
        if !seen.was_said && seen.lines >= LINES_MIN && now.since(seen.since) >= SPAN {
            seen.was_said = true;
            self.news = Some(Skewed {
                source: source.name.as_str().into(),
                late_secs: off,
            });
        }
    }

    /// What there is to say since the last call.
    pub(crate) fn news(&mut self) -> Option<Skewed> {
        self.news.take()
    }

    fn drop_doubt(&mut self, source: &Source, is_right: bool) {
        match self.sources.get_mut(source.name.as_str()) {
            // A late line among others proves nothing once it was said.
            Some(seen) if seen.was_said && !is_right => {}
            Some(seen) => {
                let was_said = seen.was_said;
                self.sources.remove(source.name.as_str());
                self.news = was_said.then(|| Skewed {
                    source: source.name.as_str().into(),
                    late_secs: 0,
                });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    /// Lines as (read after so many seconds, late by so many); returns what was said.
    fn said(lines: impl IntoIterator<Item = (u64, i64)>) -> Vec<i64> {
        let (mut skew, source) = (Skew::default(), Source::file("auth.log", "sshd"));
        let mut said = Vec::new();
        for (after, late) in lines {
            let now = Timestamp::from_secs(START + after);
            let date = Timestamp::from_secs((START + after).saturating_add_signed(-late));
            skew.see(&source, date, now);
            said.extend(skew.news().map(|skewed| skewed.late_secs));
        }
        said
    }

    #[test]
    fn a_zone_that_is_wrong_is_said_once() {
        let hours = |late: i64| (0..100).map(move |n| (n * 10, late + n as i64 % 3));
        assert_eq!(said(hours(5 * 3600)), [5 * 3600]);
        assert_eq!(said(hours(-7200)), [-7200]);
        assert_eq!(said(hours(5 * 3600 + 45 * 60)), [5 * 3600 + 45 * 60]);
        assert_eq!(said(hours(15 * 60)), [15 * 60]);
    }

    #[test]
    fn what_is_in_time_or_read_late_is_no_reason() {
        assert!(said((0..100).map(|n| (n * 10, 3))).is_empty());
        assert!(
            said((0..100).map(|n| (n * 10, 20 * 60))).is_empty(),
            "no quarter"
        );
        // All of an attack of an hour ago, read in a moment.
        assert!(said((0..1000).map(|n| (n / 100, 3600))).is_empty());
        // Hours of a log, read in some minutes.
        assert!(said((0..1000).map(|n| (n, 9000 - 9 * n as i64))).is_empty());
        // Now and then one line of another host.
        assert!(said((0..100).map(|n| (n * 10, if n % 4 == 0 { 3600 } else { 0 }))).is_empty());
    }

    #[test]
    fn the_end_of_it_is_said_too() {
        let lines = (0..100).map(|n| (n * 10, if n < 50 { 3600 } else { 0 }));
        assert_eq!(said(lines), [3600, 0]);
    }
}
