//! A map that is bounded, and knows whom to drop: the lowest rank first, in it what ends soonest.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// Ranks are 0 to this, without it.
pub(crate) const RANKS: u8 = 16;

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    rank: u8,
    until: Timestamp,
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Ledger<K, V> {
    max: usize,
    entries: BTreeMap<K, Entry<V>>,
    /// `None` sorts before every key: where a rank, or a time in it, begins.
    order: BTreeSet<(u8, Timestamp, Option<K>)>,
}

impl<K: Ord + Copy, V> Ledger<K, V> {
    pub(crate) const fn new(max: usize) -> Self {
        Ledger {
            max,
            entries: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn until(&self, key: &K) -> Option<Timestamp> {
        self.entries.get(key).map(|entry| entry.until)
    }

    /// Whether something of this rank and time stays, once put in.
    pub(crate) fn has_room(&self, key: &K, rank: u8, until: Timestamp) -> bool {
        self.entries.len() < self.max
            || self.entries.contains_key(key)
            || self
                .order
                .first()
                .is_some_and(|first| (first.0, first.1) < (rank, until))
    }

    /// Keeps it if there is room for it, dropping what comes before it.
    pub(crate) fn keep(&mut self, key: K, value: V, rank: u8, until: Timestamp) {
        if self.has_room(&key, rank, until) {
            self.put(key, value, rank, until);
        }
    }

    /// Keeps it whatever its rank, dropping the first of the others if it must.
    pub(crate) fn put(&mut self, key: K, value: V, rank: u8, until: Timestamp) {
        let rank = rank.min(RANKS - 1);
        self.remove(&key);
        while self.max > 0 && self.entries.len() >= self.max {
            let Some((_, _, Some(first))) = self.order.first().copied() else {
                break;
            };
            self.remove(&first);
        }
        if self.max == 0 {
            return;
        }
        self.order.insert((rank, until, Some(key)));
        self.entries.insert(key, Entry { value, rank, until });
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&(entry.rank, entry.until, Some(*key)));
        }
    }

    /// Drops what has ended.
    pub(crate) fn forget_before(&mut self, now: Timestamp) {
        for rank in 0..RANKS {
            while let Some((until, key)) = self.first_of(rank)
                && until <= now
            {
                self.remove(&key);
            }
        }
    }

    /// When the next one ends.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        let firsts = (0..RANKS).filter_map(|rank| self.first_of(rank));
        firsts.map(|(until, _)| until).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn first_of(&self, rank: u8) -> Option<(Timestamp, K)> {
        let from = (rank, Timestamp::EPOCH, None);
        let (found, until, key) = self.order.range(from..).next().copied()?;
        (found == rank).then_some((until, key?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_lowest_rank_goes_first_and_in_it_what_ends_soonest() {
        let mut ledger = Ledger::new(3);
        ledger.keep(1, "low, late", 0, at(90));
        ledger.keep(2, "low, soon", 0, at(10));
        ledger.keep(3, "high", 5, at(1));
        ledger.keep(4, "low, sooner than all", 0, at(5));
        assert_eq!(ledger.get(&4), None, "it would be the first to go");
        ledger.keep(5, "middle", 2, at(1));
        assert_eq!((ledger.get(&2), ledger.len()), (None, 3));
        ledger.keep(6, "middle", 2, at(2));
        assert_eq!((ledger.get(&1), ledger.len()), (None, 3));
        ledger.put(7, "low, but put", 0, at(1));
        assert_eq!(
            (ledger.get(&5), ledger.get(&7)),
            (None, Some(&"low, but put"))
        );
    }

    #[test]
    fn forgets_what_ended_in_every_rank() {
        let mut ledger = Ledger::new(100);
        for key in 0..60u64 {
            ledger.keep(key, (), (key % 20) as u8, at(key));
        }
        assert_eq!(ledger.next_end(), Some(at(0)));
        ledger.forget_before(at(29));
        assert_eq!((ledger.len(), ledger.next_end()), (30, Some(at(30))));
        ledger.keep(59, (), 0, at(20));
        assert_eq!((ledger.len(), ledger.next_end()), (30, Some(at(20))));
        ledger.forget_before(Timestamp::MAX);
        assert_eq!(
            (ledger.len(), ledger.order.len(), ledger.next_end()),
            (0, 0, None)
        );
    }

    #[test]
    fn a_ledger_of_nothing_keeps_nothing() {
        let mut ledger = Ledger::new(0);
        ledger.put(1, (), 3, at(1));
        ledger.keep(1, (), 3, at(1));
        assert_eq!(ledger.len(), 0);
    }
}
