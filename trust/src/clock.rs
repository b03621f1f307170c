//! What a step of the wall clock does to what is remembered.
//!
//! A machine without a clock of its own boots in 1970 and is put right once it has a network. What was noted down by the wrong
//! time moves along with the clock; what is from an earlier run, or says its own time, stays. The two are told apart by how
//! far they are from the time before the step: whatever is noted down here is no more than some months away from when it was.

use std::time::Duration;

use lymph_protocol::Timestamp;

/// So far from the clock is at most what was noted down by it: longer than any bar but the one that never ends.
const OF_THIS_RUN: Duration = Duration::from_secs(100 * 24 * 60 * 60);
/// A clock that is ahead by more than this since it was last looked at is not believed at once: nothing waits that long while
/// a machine runs.
const JUMP: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// It is believed when it has been there for so long: until then nobody's vouches and no experience are forgotten, and who is
/// barred stays so. A time server that is wrong for a moment must not make a node forget whom it knows.
const BELIEVED_AFTER: Duration = Duration::from_secs(60 * 60);

/// From when to when the clock was set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) before: Timestamp,
    pub(crate) now: Timestamp,
}

impl Step {
    fn is_ahead(self) -> bool {
        self.now >= self.before
    }

    /// Whether a time was noted down by the clock before it was set.
    pub(crate) fn is_of_this_run(self, time: Timestamp) -> bool {
        time != Timestamp::MAX
            && time != Timestamp::default()
            && self.before.since(time).max(time.since(self.before)) <= OF_THIS_RUN
    }

    /// The same time, by the clock as it is now.
    pub(crate) fn moved(self, time: Timestamp) -> Timestamp {
        match (self.is_of_this_run(time), self.is_ahead()) {
            (false, _) => time,
            (true, true) => time + self.now.since(self.before),
            (true, false) => time - self.before.since(self.now),
        }
    }
}

/// Whether the clock is believed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    last: Timestamp,
    /// From when on, if it jumped.
    from: Option<Timestamp>,
}

impl Watch {
    /// It is now so late: whether that is believed.
    pub(crate) fn look(&mut self, now: Timestamp) -> bool {
        let is_first = self.last == Timestamp::default();
        if now < self.last {
            self.from = None;
        } else if !is_first && now.since(self.last) > JUMP {
            self.from = Some(now + BELIEVED_AFTER);
        }
        self.last = now;
        self.from = self.from.filter(|from| now < *from);
        self.from.is_none()
    }

    /// What is due at a time is done at this one.
    pub(crate) fn not_before(&self, due: Timestamp) -> Timestamp {
        self.from.map_or(due, |from| from.max(due))
    }
}
