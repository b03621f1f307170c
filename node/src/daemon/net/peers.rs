//! Whom to dial, and when: places that somebody said a peer is at, and friends whom we want to be connected to.
//!
//! Places come from many sources, and none may decide alone whom we know first: of the first eight dials at most three
//! go to one source while others may still speak. A place that fails is tried later and later, and forgotten in the
//! end unless the operator wrote it down. Friends are dialled for ever. Nothing is dialled here; `swarm` asks what is
//! due.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::chance::Chance;
use super::convert;

/// How many places are kept. When full, the one that failed most often goes; if none failed, the new one is not kept.
pub(super) const PLACES_MAX: usize = 512;
/// How many of our own connections are enough.
pub(super) const ENOUGH: usize = 8;
/// How many dials from one source while others may still speak.
const SHARE_MAX: usize = 3;
/// How long others may still speak.
const FIRST: Duration = Duration::from_secs(5);
/// A place that failed so often is forgotten.
const FAILURES_MAX: u32 = 6;
/// The longest pause between two dials of one place.
const PLACE_PAUSE_MAX: Duration = Duration::from_secs(600);
/// How many friends there can be: siblings and vouchees whom messages always reach.
pub(super) const FRIENDS_MAX: usize = 256;
/// How many addresses of one friend are kept, the newest.
const FRIEND_ADDRESSES_MAX: usize = 16;
/// The longest pause between two dials of a friend.
const FRIEND_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The operator, in the config.
    Static,
    /// Ourselves, in the last run.
    Cached,
    /// A ticket.
    Ticket,
    /// A DNS seed.
    Dns,
    /// The local network.
    Mdns,
    /// The distributed hash table.
    Kad,
}

impl Source {
    /// One word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Source::Static => "static",
            Source::Cached => "cached",
            Source::Ticket => "ticket",
            Source::Dns => "dns",
            Source::Mdns => "mdns",
            Source::Kad => "kad",
        }
    }
}

/// A place to dial.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Where.
    pub(super) address: Multiaddr,
    /// Whom we expect there.
    pub(super) peer: Option<PeerId>,
    source: Source,
    failures: u32,
    next: Instant,
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    dialled: BTreeMap<Source, usize>,
    started: Instant,
}

impl Places {
    /// None yet.
    pub(super) fn new(now: Instant) -> Self {
        Places {
            places: Vec::new(),
            dialled: BTreeMap::new(),
            started: now,
        }
    }

    /// Somebody said a peer is here. Whether that is news.
    pub(super) fn add(
        &mut self,
        address: Multiaddr,
        source: Source,
        now: Instant,
        chance: &mut Chance,
    ) -> bool {
        if self.places.iter().any(|place| place.address == address) {
            return false;
        }
        if self.places.len() >= PLACES_MAX && !self.forget_the_worst() {
            return false;
        }
        let peer = convert::peer_of(&address);
        // All nodes of a rack that start together shall not dial together.
        let next = match source {
            Source::Ticket => now,
            _ => now + Duration::from_millis(chance.below(500) as u64),
        };
        self.places.push(Place {
            address,
            peer,
            source,
            failures: 0,
            next,
        });
        true
    }

    fn forget_the_worst(&mut self) -> bool {
        let worst = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.failures > 0 && place.source != Source::Static)
            .max_by_key(|(_, place)| place.failures)
            .map(|(at, _)| at);
        match worst {
            Some(at) => {
                self.places.swap_remove(at);
                true
            }
            None => false,
        }
    }

    /// The next place to dial, from the source that was dialled least. Not where somebody is whom we know already.
    pub(super) fn next(
        &mut self,
        now: Instant,
        chance: &mut Chance,
        is_known: impl Fn(&PeerId) -> bool,
    ) -> Option<Place> {
        let first = now < self.started + FIRST;
        let due =
            |place: &&mut Place| place.next <= now && !place.peer.as_ref().is_some_and(&is_known);
        let mut least: Vec<&mut Place> = Vec::new();
        let mut fewest = usize::MAX;
        for place in self.places.iter_mut().filter(due) {
            let dialled = self.dialled.get(&place.source).copied().unwrap_or(0);
            if dialled > fewest || (first && dialled >= SHARE_MAX && place.source != Source::Ticket)
            {
                continue;
            }
            if dialled < fewest {
                least.clear();
                fewest = dialled;
            }
            least.push(place);
        }
        let chosen = chance.below(least.len());
        let place = least.into_iter().nth(chosen)?;
        *self.dialled.entry(place.source).or_default() += 1;
        // Until we hear how it went.
        place.next = now + PLACE_PAUSE_MAX;
        Some(place.clone())
    }

    /// A dial worked, and this is who was there.
    pub(super) fn worked(&mut self, address: &Multiaddr, peer: PeerId, now: Instant) {
        if let Some(place) = self.find(address) {
            place.peer = Some(peer);
            place.failures = 0;
            place.next = now + Duration::from_secs(5);
        }
    }

    /// A dial did not work.
    pub(super) fn failed(&mut self, address: &Multiaddr, now: Instant, chance: &mut Chance) {
        let Some(place) = self.find(address) else {
            return;
        };
        place.failures += 1;
        let pause = pause_after(place.failures, PLACE_PAUSE_MAX);
        place.next = now + pause.mul_f64(chance.jitter());
        let forget = place.failures >= FAILURES_MAX && place.source != Source::Static;
        if forget {
            self.places.retain(|place| place.address != *address);
        }
    }

    fn find(&mut self, address: &Multiaddr) -> Option<&mut Place> {
        self.places
            .iter_mut()
            .find(|place| place.address == *address)
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.places.len()
    }
}

/// 1 s, 2 s, 4 s ... up to a limit.
fn pause_after(failures: u32, longest: Duration) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// A peer whom we want to be connected to.
#[derive(Clone, Debug)]
pub(super) struct Friend {
    /// Where it may be, the newest last.
    pub(super) addresses: Vec<Multiaddr>,
    failures: u32,
    next: Instant,
}

/// All friends.
#[derive(Debug, Default)]
pub(super) struct Friends {
    friends: BTreeMap<PeerId, Friend>,
}

impl Friends {
    /// Want to be connected to a peer, from now on. False if there are too many already.
    pub(super) fn add(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) -> bool {
        if self.friends.len() >= FRIENDS_MAX && !self.friends.contains_key(&peer) {
            return false;
        }
        let friend = self.friends.entry(peer).or_insert_with(|| Friend {
            addresses: Vec::new(),
            failures: 0,
            next: now,
        });
        friend.next = now;
        friend.failures = 0;
        for address in addresses {
            friend.addresses.retain(|known| *known != address);
            friend.addresses.push(address);
        }
        let surplus = friend.addresses.len().saturating_sub(FRIEND_ADDRESSES_MAX);
        friend.addresses.drain(..surplus);
        true
    }

    /// No longer.
    pub(super) fn remove(&mut self, peer: &PeerId) {
        self.friends.remove(peer);
    }

    /// Whether a peer is one.
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.friends.contains_key(peer)
    }

    /// Whom to dial now; each is next due after a longer pause.
    pub(super) fn due(
        &mut self,
        now: Instant,
        chance: &mut Chance,
        is_connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (peer, friend) in &mut self.friends {
            if friend.next > now || is_connected(peer) {
                continue;
            }
            friend.failures = friend.failures.saturating_add(1);
            let pause = pause_after(friend.failures, FRIEND_PAUSE_MAX);
            friend.next = now + pause.mul_f64(chance.jitter());
            due.push((*peer, friend.addresses.clone()));
        }
        due
    }

    /// A friend came.
    pub(super) fn connected(&mut self, peer: &PeerId) {
        if let Some(friend) = self.friends.get_mut(peer) {
            friend.failures = 0;
        }
    }

    /// A friend went: dial again, but not in the same instant in which it does.
    pub(super) fn disconnected(&mut self, peer: &PeerId, now: Instant, chance: &mut Chance) {
        if let Some(friend) = self.friends.get_mut(peer) {
            friend.next = now + Duration::from_millis(500).mul_f64(chance.jitter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(n: usize) -> Multiaddr {
        format!("/ip4/10.0.{}.{}/tcp/1", n / 256, n % 256)
            .parse()
            .unwrap()
    }

    #[test]
    fn the_first_dials_come_from_three_sources() {
        let mut chance = Chance::default();
        let now = Instant::now();
        let mut places = Places::new(now);
        for n in 0..100 {
            places.add(place(n), Source::Cached, now, &mut chance);
        }
        for n in 100..120 {
            places.add(place(n), Source::Static, now, &mut chance);
        }
        let soon = now + Duration::from_secs(1);
        let mut dialled = Vec::new();
        while let Some(place) = places.next(soon, &mut chance, |_| false) {
            dialled.push(place.source);
        }
        assert_eq!(dialled.len(), 6, "room is left for a third source");
        places.add(place(200), Source::Dns, now, &mut chance);
        places.add(place(201), Source::Dns, now, &mut chance);
        while let Some(place) = places.next(soon, &mut chance, |_| false) {
            dialled.push(place.source);
        }
        dialled.sort();
        dialled.dedup();
        assert_eq!(dialled, [Source::Static, Source::Cached, Source::Dns]);
        // If no third source speaks, the two are enough.
        let later = now + Duration::from_secs(6);
        assert!(places.next(later, &mut chance, |_| false).is_some());
    }

    #[test]
    fn a_full_book_drops_what_failed_most() {
        let mut chance = Chance::default();
        let now = Instant::now();
        let mut places = Places::new(now);
        for n in 0..PLACES_MAX {
            assert!(places.add(place(n), Source::Mdns, now, &mut chance));
        }
        assert!(!places.add(place(0), Source::Mdns, now, &mut chance));
        assert!(!places.add(place(1000), Source::Mdns, now, &mut chance));
        places.failed(&place(3), now, &mut chance);
        assert!(places.add(place(1000), Source::Mdns, now, &mut chance));
        assert_eq!(places.len(), PLACES_MAX);
        assert!(places.find(&place(3)).is_none());
    }

    #[test]
    fn what_fails_is_forgotten_unless_the_operator_wrote_it() {
        let mut chance = Chance::default();
        let now = Instant::now();
        let mut places = Places::new(now);
        places.add(place(1), Source::Static, now, &mut chance);
        places.add(place(2), Source::Cached, now, &mut chance);
        for _ in 0..100 {
            places.failed(&place(1), now, &mut chance);
            places.failed(&place(2), now, &mut chance);
        }
        assert_eq!(places.len(), 1);
        let pause = places.find(&place(1)).unwrap().next - now;
        assert!(pause <= PLACE_PAUSE_MAX.mul_f64(1.5));
    }

    #[test]
    fn whoever_is_connected_is_not_dialled() {
        let mut chance = Chance::default();
        let now = Instant::now();
        let mut places = Places::new(now);
        let peer = PeerId::random();
        places.add(
            place(1).with_p2p(peer).unwrap(),
            Source::Ticket,
            now,
            &mut chance,
        );
        assert!(
            places
                .next(now, &mut chance, |known| *known == peer)
                .is_none()
        );
        assert!(places.next(now, &mut chance, |_| false).is_some());
    }

    #[test]
    fn friends_are_dialled_later_and_later_and_bounded() {
        let mut chance = Chance::default();
        let mut now = Instant::now();
        let mut friends = Friends::default();
        let peer = PeerId::random();
        assert!(friends.add(peer, (0..100).map(place).collect(), now));
        let mut dials = 0;
        for _ in 0..600 {
            now += Duration::from_secs(1);
            for (_, addresses) in friends.due(now, &mut chance, |_| false) {
                assert_eq!(addresses.len(), FRIEND_ADDRESSES_MAX);
                dials += 1;
            }
        }
        assert!((10..40).contains(&dials), "{dials} dials in ten minutes");
        assert!(
            friends
                .due(now + FRIEND_PAUSE_MAX * 2, &mut chance, |_| true)
                .is_empty()
        );
        for _ in 1..FRIENDS_MAX {
            assert!(friends.add(PeerId::random(), Vec::new(), now));
        }
        assert!(!friends.add(PeerId::random(), Vec::new(), now));
        assert!(friends.add(peer, Vec::new(), now));
    }
}
