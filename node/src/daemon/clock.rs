//! The only reader of the system's clocks.
//!
//! The daemon's time starts at the wall clock and advances by the monotonic one, so that it never goes back
//! by itself. When somebody sets the wall clock, [`Clock::check`] notices and says what the time would have
//! been; the engine hears of it as an input of its own. Sleep of the whole machine is no such step: the boot
//! clock tells it apart, and the daemon's time then simply jumps ahead.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lymph_protocol::Timestamp;

/// How far the wall clock may be off before it counts as set. What slews a clock stays far below, since the
/// monotonic clock is slewed along with it.
pub const STEP_MIN: Duration = Duration::from_secs(2);

/// All clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: Timestamp,
    monotonic: Instant,
    /// Time since the machine started, sleep included.
    boot: Option<Duration>,
}

impl Reading {
    fn take() -> Self {
        Reading {
            wall: wall(),
            monotonic: monotonic(),
            boot: boot(),
        }
    }
}

/// The daemon's clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What the daemon's time was when `base` was read.
    time: Timestamp,
    base: Reading,
    /// Whether the machine has slept since this was last asked.
    has_slept: bool,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Clock::at(Reading::take())
    }

    fn at(base: Reading) -> Self {
        Clock {
            time: base.wall,
            base,
            has_slept: false,
        }
    }

    /// The daemon's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.time + monotonic().saturating_duration_since(self.base.monotonic)
    }

    /// The moment of the monotonic clock at which the daemon's time will be `at`, to sleep until.
    #[must_use]
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        // Nobody sleeps for more than a day, and this cannot overflow.
        let ahead = at
            .since(self.time)
            .min(Duration::from_secs(100 * 365 * 24 * 3600));
        self.base.monotonic + ahead
    }

    /// Follow the wall clock if it was set. Returns the time as it would be if it had not been.
    pub fn check(&mut self) -> Option<Timestamp> {
        self.check_at(Reading::take())
    }

    /// Whether the machine has slept since the last call: clocks in the kernel that stand still meanwhile are behind.
    pub fn take_sleep(&mut self) -> bool {
        std::mem::take(&mut self.has_slept)
    }

    fn check_at(&mut self, reading: Reading) -> Option<Timestamp> {
        let awake = reading
            .monotonic
            .saturating_duration_since(self.base.monotonic);
        let passed = match (self.base.boot, reading.boot) {
            (Some(then), Some(now)) if now.saturating_sub(then) > awake + STEP_MIN => {
                self.has_slept = true;
                now.saturating_sub(then)
            }
            _ => awake,
        };
        let would_be = self.time + passed;
        let off = would_be
            .since(reading.wall)
            .max(reading.wall.since(would_be));
        if off < STEP_MIN {
            (self.time, self.base) = (would_be, reading);
            return None;
        }
        (self.time, self.base) = (reading.wall, reading);
        Some(would_be)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the system"
)]
fn wall() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::EPOCH + since_epoch
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the system"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock, for commands that run for a moment and for names of files.
#[must_use]
pub fn wall_clock() -> Timestamp {
    wall()
}

/// A stopwatch for progress and rates.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// One that starts now.
    #[must_use]
    pub fn start() -> Self {
        Stopwatch(monotonic())
    }

    /// One that has been running for an hour, for tests of what takes its time.
    #[cfg(test)]
    pub(crate) fn long_ago() -> Self {
        Stopwatch(monotonic() - Duration::from_secs(3600))
    }

    /// How long it has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        monotonic().saturating_duration_since(self.0)
    }
}

fn boot() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    /// A clock that started at `START`, and a reading after so much wall, monotonic and boot time.
    fn after(wall: Duration, awake: Duration, boot: Duration) -> (Clock, Reading) {
        let start = monotonic();
        let clock = Clock::at(Reading {
            wall: START,
            monotonic: start,
            boot: Some(HOUR),
        });
        (
            clock,
            Reading {
                wall: START + wall,
                monotonic: start + awake,
                boot: Some(HOUR + boot),
            },
        )
    }

    #[test]
    fn time_that_passes_is_no_step() {
        let (mut clock, reading) = after(HOUR + Duration::from_millis(1500), HOUR, HOUR);
        assert_eq!(clock.check_at(reading), None);
        assert_eq!(clock.time, START + HOUR);
    }

    #[test]
    fn a_set_clock_is_followed_in_both_directions() {
        let (mut clock, reading) = after(HOUR * 100, HOUR, HOUR);
        assert_eq!(clock.check_at(reading), Some(START + HOUR));
        assert_eq!(clock.time, START + HOUR * 100);
        let (mut clock, mut reading) = after(HOUR, HOUR, HOUR);
        reading.wall = START - HOUR * 100;
        assert_eq!(clock.check_at(reading), Some(START + HOUR));
        assert_eq!(clock.time, START - HOUR * 100);
        assert_eq!(clock.check_at(reading), None);
    }

    #[test]
    fn sleep_is_no_step() {
        let (mut clock, reading) = after(HOUR * 9, HOUR, HOUR * 9);
        assert_eq!(clock.check_at(reading), None);
        assert_eq!(clock.time, START + HOUR * 9);
    }

    #[test]
    fn sleeps_until_a_time() {
        let clock = Clock::start();
        assert!(clock.instant_of(clock.now() + HOUR) > monotonic() + HOUR / 2);
        assert!(clock.instant_of(Timestamp::EPOCH) <= monotonic());
        let _ = clock.instant_of(Timestamp::MAX);
    }
}
