//! What stands right now: every live decision, who made it, and until when.
//!
//! A target has at most one decision of each kind and origin. A second one lengthens the first or adds
//! nothing. When the table is full, lists give way first, then what was detected, the soonest to end of each; the
//! operator's own never do. So a long list cannot keep an attacker from being banned.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lymph_protocol::Timestamp;

use super::decision::{Decision, DecisionKey, DetectionId, Kind, Origin};
use super::target::{Target, network_round};

/// What became of a decision that was put to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is new.
    New,
    /// One was there that it made longer.
    Longer,
    /// One was there that lasts as long or longer.
    Nothing,
    /// The table is full of decisions that last longer or are the operator's.
    Full,
}

/// All live decisions.
#[derive(Clone, Debug)]
pub struct Decisions {
    live: BTreeMap<DecisionKey, Decision>,
    /// Who ends next, by how easily they give way.
    ends: [BTreeSet<(Timestamp, DecisionKey)>; RANKS],
    /// How many ranges there are of each prefix length, IPv4 and IPv6 apart: which lengths to look up.
    prefixes: BTreeMap<(bool, u8), usize>,
    max: usize,
}

impl Decisions {
    /// An empty table for at most `max` decisions.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Decisions {
            live: BTreeMap::new(),
            ends: Default::default(),
            prefixes: BTreeMap::new(),
            max: max.max(1),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// All of them, by target.
    pub fn iter(&self) -> impl Iterator<Item = &Decision> {
        self.live.values()
    }

    /// Whatever is to be enforced: until when each target is under each kind, whoever decided it.
    pub fn enforced(&self) -> impl Iterator<Item = (Target, Kind, Timestamp)> {
        let mut rest = self.live.values().peekable();
        std::iter::from_fn(move || {
            let first = rest.next()?;
            let (target, kind, mut until) = (first.target, first.kind, first.until);
            while let Some(next) = rest.next_if(|next| (next.target, next.kind) == (target, kind)) {
                until = until.max(next.until);
            }
            Some((target, kind, until))
        })
    }

    /// Those about exactly this target.
    pub fn about(&self, target: Target) -> impl Iterator<Item = &Decision> {
        let first = (target, Kind::Throttle, Origin::Lymph);
        self.live
            .range(first..)
            .take_while(move |((about, ..), _)| *about == target)
            .map(|(_, decision)| decision)
    }

    /// Those that an address falls under, the narrowest first.
    #[must_use]
    pub fn covering(&self, address: IpAddr) -> Vec<&Decision> {
        let own = Target::of_address(address);
        let network = own.network().addr();
        let lengths = self
            .prefixes
            .range((network.is_ipv6(), 0)..=(network.is_ipv6(), u8::MAX))
            .rev();
        let ranges = lengths
            .filter_map(|((_, len), _)| network_round(network, *len))
            .map(Target::Range);
        std::iter::once(own)
            .chain(ranges)
            .flat_map(|target| self.about(target))
            .collect()
    }

    /// The decision that a detection began.
    #[must_use]
    pub fn has(&self, key: DecisionKey, id: DetectionId) -> bool {
        self.live
            .get(&key)
            .is_some_and(|decision| decision.id == id)
    }

    /// Until when the target is under this kind, whoever decided it.
    #[must_use]
    pub fn until(&self, target: Target, kind: Kind) -> Option<Timestamp> {
        self.about(target)
            .filter(|decision| decision.kind == kind)
            .map(|decision| decision.until)
            .max()
    }

    /// When the next decision ends.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        let firsts = self.ends.iter().filter_map(BTreeSet::first);
        firsts.map(|(until, _)| *until).min()
    }

    /// Put a decision into the table. Also returns the one that had to give way for it.
    pub fn apply(&mut self, decision: Decision) -> (Applied, Option<Decision>) {
        let key = decision.key();
        if let Some(old) = self.live.get(&key) {
            if old.until >= decision.until {
                return (Applied::Nothing, None);
            }
            let longer = Decision {
                id: old.id,
                since: old.since,
                ..decision
            };
            self.remove(key);
            self.insert(longer);
            return (Applied::Longer, None);
        }
        if self.live.len() < self.max {
            self.insert(decision);
            return (Applied::New, None);
        }
        let own = rank(decision.origin);
        let weakest = (0..=own).find_map(|rank| Some((rank, *self.ends[rank].first()?)));
        let Some((rank, (soonest, gives_way))) = weakest.filter(|(rank, _)| *rank < RANKS - 1)
        else {
            return (Applied::Full, None);
        };
        if rank == own && decision.until <= soonest {
            return (Applied::Full, None);
        }
        let dropped = self.remove(gives_way);
        self.insert(decision);
        (Applied::New, dropped)
    }

    /// Take a decision out.
    pub fn remove(&mut self, key: DecisionKey) -> Option<Decision> {
        let decision = self.live.remove(&key)?;
        self.ends[rank(key.2)].remove(&(decision.until, key));
        if let Some(length) = prefix(key.0)
            && let Some(count) = self.prefixes.get_mut(&length)
        {
            *count -= 1;
            if *count == 0 {
                self.prefixes.remove(&length);
            }
        }
        Some(decision)
    }

    /// Take out a decision that has ended by `now`, one a call.
    pub fn pop_ended(&mut self, now: Timestamp) -> Option<Decision> {
        let firsts = self.ends.iter().filter_map(BTreeSet::first);
        let (_, key) = firsts
            .filter(|(until, _)| *until <= now)
            .min_by_key(|(until, _)| *until)?;
        self.remove(*key)
    }

    fn insert(&mut self, decision: Decision) {
        let key = decision.key();
        self.ends[rank(key.2)].insert((decision.until, key));
        if let Some(length) = prefix(key.0) {
            *self.prefixes.entry(length).or_default() += 1;
        }
        self.live.insert(key, decision);
    }
}

/// How many ranks there are.
const RANKS: usize = 3;

/// Who gives way to whom when there is no room: the lower rank to the higher.
const fn rank(origin: Origin) -> usize {
    match origin {
        // Read from somewhere, and can be read again.
        Origin::Lists | Origin::Crowdsec | Origin::Predicted => 0,
        Origin::Lymph | Origin::Mesh => 1,
        Origin::Operator => RANKS - 1,
    }
}

fn prefix(target: Target) -> Option<(bool, u8)> {
    match target {
        Target::Subject(_) => None,
        Target::Range(network) => Some((network.addr().is_ipv6(), network.prefix_len())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn decision(target: Target, kind: Kind, origin: Origin, until: u64) -> Decision {
        let reason = Arc::from("test/rule");
        let (since, until) = (Timestamp::EPOCH, Timestamp::from_secs(until));
        Decision {
            id: DetectionId(until.millis()),
            target,
            kind,
            origin,
            reason,
            since,
            until,
            step: 1,
        }
    }

    fn host(n: u32) -> Target {
        Target::of_address(Ipv4Addr::from_bits(0xc000_0200 | n).into())
    }

    #[test]
    fn the_longest_until_wins_and_the_first_id_stays() {
        let mut table = Decisions::new(9);
        let mut longer = decision(host(1), Kind::Ban, Origin::Lymph, 50);
        longer.since = Timestamp::from_secs(30);
        assert_eq!(
            table
                .apply(decision(host(1), Kind::Ban, Origin::Lymph, 10))
                .0,
            Applied::New
        );
        assert_eq!(table.apply(longer).0, Applied::Longer);
        assert_eq!(
            table
                .apply(decision(host(1), Kind::Ban, Origin::Lymph, 20))
                .0,
            Applied::Nothing
        );
        assert_eq!(
            table
                .apply(decision(host(1), Kind::Ban, Origin::Operator, 40))
                .0,
            Applied::New
        );
        let mine = table.about(host(1)).next().unwrap();
        assert_eq!(
            (mine.id, mine.since, mine.until.secs()),
            (DetectionId(10_000), Timestamp::EPOCH, 50)
        );
        assert_eq!(table.until(host(1), Kind::Ban).unwrap().secs(), 50);
        assert_eq!(table.until(host(1), Kind::Throttle), None);
        assert_eq!(
            table.pop_ended(Timestamp::from_secs(40)).unwrap().origin,
            Origin::Operator
        );
        assert_eq!(table.pop_ended(Timestamp::from_secs(40)), None);
    }

    #[test]
    fn an_address_falls_under_its_ranges_narrowest_first() {
        let mut table = Decisions::new(9);
        for text in [
            "192.0.0.0/16",
            "192.0.2.0/24",
            "192.0.2.1",
            "192.0.3.0/24",
            "2001:db8::/32",
            "0.0.0.0/1",
        ] {
            table.apply(decision(
                text.parse().unwrap(),
                Kind::Ban,
                Origin::Lists,
                10,
            ));
        }
        let found = |table: &Decisions, address: &str| {
            table
                .covering(address.parse().unwrap())
                .iter()
                .map(|d| d.target.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found(&table, "192.0.2.1"),
            ["192.0.2.1", "192.0.2.0/24", "192.0.0.0/16"]
        );
        assert_eq!(
            found(&table, "::ffff:192.0.2.9"),
            ["192.0.2.0/24", "192.0.0.0/16"]
        );
        assert_eq!(found(&table, "9.9.9.9"), ["0.0.0.0/1"]);
        assert_eq!(found(&table, "2001:db8:5::1"), ["2001:db8::/32"]);
        table.remove(("192.0.2.0/24".parse().unwrap(), Kind::Ban, Origin::Lists));
        assert_eq!(found(&table, "192.0.2.9"), ["192.0.0.0/16"]);
        table.remove(("192.0.3.0/24".parse().unwrap(), Kind::Ban, Origin::Lists));
        assert!(!table.prefixes.contains_key(&(false, 24)));
    }

    #[test]
    fn when_full_lists_give_way_first_and_the_operators_never() {
        let mut table = Decisions::new(3);
        table.apply(decision(host(1), Kind::Ban, Origin::Operator, 5));
        table.apply(decision(host(2), Kind::Ban, Origin::Lymph, 10));
        table.apply(decision(host(3), Kind::Ban, Origin::Lists, 20));
        assert_eq!(
            table.apply(decision(host(9), Kind::Ban, Origin::Lists, 20)),
            (Applied::Full, None),
            "no longer than the other one of the list"
        );
        let (applied, dropped) = table.apply(decision(host(4), Kind::Ban, Origin::Lymph, 2));
        assert_eq!((applied, dropped.unwrap().target), (Applied::New, host(3)));
        assert_eq!(
            table.apply(decision(host(5), Kind::Ban, Origin::Lymph, 1)),
            (Applied::Full, None)
        );
        let (applied, dropped) = table.apply(decision(host(5), Kind::Ban, Origin::Lymph, 15));
        assert_eq!((applied, dropped.unwrap().target), (Applied::New, host(4)));
        let (applied, dropped) = table.apply(decision(host(6), Kind::Ban, Origin::Operator, 1));
        assert_eq!((applied, dropped.unwrap().target), (Applied::New, host(2)));
        table.apply(decision(host(7), Kind::Ban, Origin::Operator, 1));
        assert_eq!(
            table.apply(decision(host(8), Kind::Ban, Origin::Operator, 99)),
            (Applied::Full, None)
        );
        assert_eq!(table.len(), 3);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Apply(u32, usize, bool, u64),
        Remove(u32, usize, bool),
        Pass(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0u32..6, 0usize..3, any::<bool>(), 0u64..100).prop_map(|(n, k, o, t)| Step::Apply(n, k, o, t)),
            1 => (0u32..6, 0usize..3, any::<bool>()).prop_map(|(n, k, o)| Step::Remove(n, k, o)),
            1 => (0u64..100).prop_map(Step::Pass),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        /// The same against a plain list that is searched from end to end.
        #[test]
        fn behaves_like_a_plain_list(steps in steps()) {
            let origin = |operator| if operator { Origin::Operator } else { Origin::Lymph };
            let (mut table, mut list): (_, Vec<Decision>) = (Decisions::new(1000), Vec::new());
            for step in steps {
                match step {
                    Step::Apply(n, kind, operator, until) => {
                        let new = decision(host(n), Kind::ALL[kind], origin(operator), until);
                        match list.iter_mut().find(|old| old.key() == new.key()) {
                            Some(old) => old.until = old.until.max(new.until),
                            None => list.push(new.clone()),
                        }
                        table.apply(new);
                    }
                    Step::Remove(n, kind, operator) => {
                        let key = (host(n), Kind::ALL[kind], origin(operator));
                        list.retain(|decision| decision.key() != key);
                        table.remove(key);
                    }
                    Step::Pass(now) => {
                        list.retain(|decision| decision.until > Timestamp::from_secs(now));
                        while table.pop_ended(Timestamp::from_secs(now)).is_some() {}
                    }
                }
                list.sort_by_key(Decision::key);
                prop_assert!(table.iter().eq(list.iter()));
                prop_assert_eq!(table.next_end(), list.iter().map(|decision| decision.until).min());
                prop_assert_eq!(table.ends.iter().map(BTreeSet::len).sum::<usize>(), table.len());
                let mut enforced: BTreeMap<_, Timestamp> = BTreeMap::new();
                for decision in &list {
                    let until = enforced.entry((decision.target, decision.kind)).or_default();
                    *until = (*until).max(decision.until);
                }
                prop_assert!(table.enforced().eq(enforced.into_iter().map(|((target, kind), until)| (target, kind, until))));
                let covering = table.covering(host(3).network().addr());
                prop_assert!(covering.into_iter().eq(list.iter().filter(|decision| decision.target == host(3))));
            }
        }
    }
}
