//! One login attempt is one event, though the daemon writes several lines about it.
//!
//! Rules give each such line `Meta.attempt` (who tries: process, address, user) and `Meta.attempt_part` (which
//! of the lines it is). The first line of an attempt is poured; a line with the same `attempt` within five
//! seconds of the one before belongs to it and is not poured, unless its part has been seen already: then it is
//! the first line of the next attempt. So "Invalid user" and "Failed password" are one attempt, and six "Failed
//! password" of one connection are six.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::FixedState;
use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// How long after a line the next of the same attempt may come: PAM holds back a refusal by two to three
/// seconds, and a log's clock may have whole seconds. A part that comes again starts a new attempt anyway.
pub(crate) const ATTEMPT_WINDOW: Duration = Duration::from_secs(5);
/// Attempts that are remembered at a time; beyond it the oldest is forgotten.
pub(crate) const ATTEMPTS_MAX: usize = 16_384;
/// Different parts of one attempt.
const PARTS_MAX: usize = 6;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    last: Timestamp,
    parts: Vec<u64>,
}

/// The attempts of the last seconds.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    seed: u64,
    open: HashMap<u64, Attempt, FixedState>,
    /// Keys by the time they were last seen; an entry whose time is not the attempt's own is stale.
    order: VecDeque<(Timestamp, u64)>,
}

impl Attempts {
    pub(crate) fn new(seed: u64) -> Self {
        Attempts {
            seed,
            open: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: VecDeque::new(),
        }
    }

    /// Whether this line starts an attempt.
    pub(crate) fn starts(&mut self, attempt: &[u8], part: &[u8], at: Timestamp) -> bool {
        self.forget_old(at);
        let hash = |bytes: &[u8]| FixedState::with_seed(self.seed).hash_one(bytes);
        let (key, part) = (hash(attempt), hash(part));
        self.order.push_back((at, key));
        match self.open.get_mut(&key) {
            Some(open)
                if at.since(open.last) <= ATTEMPT_WINDOW
                    && !open.parts.contains(&part)
                    && open.parts.len() < PARTS_MAX =>
            {
                open.last = open.last.max(at);
                open.parts.push(part);
                false
            }
            _ => {
                self.open.insert(
                    key,
                    Attempt {
                        last: at,
                        parts: vec![part],
                    },
                );
                true
            }
        }
    }

    fn forget_old(&mut self, at: Timestamp) {
        while let Some((seen, key)) = self.order.front().copied()
            && (at.since(seen) > ATTEMPT_WINDOW || self.order.len() >= ATTEMPTS_MAX)
        {
            self.order.pop_front();
            if self.open.get(&key).is_some_and(|open| open.last <= seen) {
                self.open.remove(&key);
            }
        }
    }

    pub(crate) fn record(&self) -> AttemptsRecord {
        let mut open: Vec<_> = self
            .order
            .iter()
            .filter_map(|(_, key)| Some((*key, self.open.get(key)?.clone())))
            .collect();
        open.sort_by_key(|(key, attempt)| (attempt.last, *key));
        open.dedup_by_key(|(key, _)| *key);
        AttemptsRecord(open)
    }

    pub(crate) fn restore(&mut self, record: AttemptsRecord) {
        for (key, attempt) in record.0.into_iter().take(ATTEMPTS_MAX) {
            self.order.push_back((attempt.last, key));
            self.open.insert(key, attempt);
        }
    }
}

/// Open attempts in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptsRecord(Vec<(u64, Attempt)>);

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as `second.part`, all of one attempt key; expected: which start an attempt.
    fn check(lines: &[(u64, &str)], expected: &[bool]) {
        let mut attempts = Attempts::new(1);
        let starts: Vec<bool> = lines
            .iter()
            .map(|(millis, part)| {
                attempts.starts(
                    b"host/12/192.0.2.1/root",
                    part.as_bytes(),
                    Timestamp::from_millis(*millis),
                )
            })
            .collect();
        assert_eq!(starts, expected, "{lines:?}");
    }

    #[test]
    fn lines_of_one_attempt_are_one() {
        check(
            &[(0, "invalid"), (0, "pam"), (4900, "failed")],
            &[true, false, false],
        );
        check(
            &[(0, "failed"), (0, "failed"), (0, "failed")],
            &[true, true, true],
        );
        check(
            &[(0, "pam"), (0, "failed"), (100, "pam"), (100, "failed")],
            &[true, false, true, false],
        );
        check(&[(0, "invalid"), (5001, "failed")], &[true, true]);
        check(&[(5000, "invalid"), (3000, "failed")], &[true, false]);
    }

    #[test]
    fn other_keys_are_other_attempts_and_the_oldest_is_forgotten() {
        let mut attempts = Attempts::new(1);
        for number in 0..2 * ATTEMPTS_MAX {
            assert!(attempts.starts(number.to_string().as_bytes(), b"invalid", Timestamp::EPOCH));
            assert!(attempts.open.len() <= ATTEMPTS_MAX && attempts.order.len() <= ATTEMPTS_MAX);
        }
        assert!(
            attempts.starts(b"0", b"failed", Timestamp::EPOCH),
            "forgotten, so it starts again"
        );
        let last = (2 * ATTEMPTS_MAX - 1).to_string();
        assert!(!attempts.starts(last.as_bytes(), b"failed", Timestamp::EPOCH));
    }

    #[test]
    fn a_snapshot_continues_where_it_was() {
        let mut attempts = Attempts::new(1);
        attempts.starts(b"a", b"invalid", Timestamp::EPOCH);
        let mut restored = Attempts::new(1);
        restored.restore(attempts.record());
        assert!(!restored.starts(b"a", b"failed", Timestamp::EPOCH));
        assert!(restored.starts(b"a", b"failed", Timestamp::EPOCH));
    }
}
