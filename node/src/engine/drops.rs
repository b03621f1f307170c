//! Who knocks although the door is shut: connections that the firewall refused, by subject.
//!
//! A dropped packet proves nothing about its sender, since its address may be forged; so this is shown, and may
//! make an own ban last somewhat longer, and that is all. Nothing of it is saved.

use std::collections::{BTreeMap, BTreeSet};

use lymph_protocol::{Subject, Timestamp};

/// Refused connections of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many since the start.
    pub connections: u64,
    /// When the last ones were counted.
    pub last: Timestamp,
}

/// Refused connections.
#[derive(Clone, Debug)]
pub struct Drops {
    subjects: BTreeMap<Subject, Refused>,
    by_last: BTreeSet<(Timestamp, Subject)>,
    total: u64,
    max: usize,
}

impl Drops {
    /// Of at most so many subjects; the one that was quiet for longest is forgotten.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Drops {
            subjects: BTreeMap::new(),
            by_last: BTreeSet::new(),
            total: 0,
            max: max.max(1),
        }
    }

    /// Of all subjects together, also the forgotten ones.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Of one.
    #[must_use]
    pub fn of(&self, subject: Subject) -> Option<Refused> {
        self.subjects.get(&subject).copied()
    }

    /// So many more.
    pub fn add(&mut self, subject: Subject, connections: u64, now: Timestamp) -> Refused {
        self.total = self.total.saturating_add(connections);
        let refused = self.subjects.entry(subject).or_default();
        self.by_last.remove(&(refused.last, subject));
        refused.connections = refused.connections.saturating_add(connections);
        refused.last = now;
        let refused = *refused;
        self.by_last.insert((now, subject));
        if self.subjects.len() > self.max
            && let Some((_, quiet)) = self.by_last.pop_first()
        {
            self.subjects.remove(&quiet);
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_subject_and_forgets_the_quietest() {
        let mut drops = Drops::new(2);
        let subject = |text: &str| text.parse::<Subject>().unwrap();
        let at = Timestamp::from_secs;
        drops.add(subject("192.0.2.1"), 3, at(1));
        drops.add(subject("2001:db8::1"), 1, at(2));
        drops.add(subject("192.0.2.1"), 4, at(3));
        drops.add(subject("192.0.2.2"), 1, at(4));
        assert_eq!(
            drops.of(subject("192.0.2.1")),
            Some(Refused {
                connections: 7,
                last: at(3)
            })
        );
        assert_eq!(drops.of(subject("2001:db8::1")), None);
        assert_eq!(
            (drops.total(), drops.subjects.len(), drops.by_last.len()),
            (9, 2, 2)
        );
    }
}
