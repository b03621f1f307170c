//! How many peers share a place, and what that costs them: P6 of GossipSub 1.1.
//!
//! gossipsub's own P6 counts single addresses and knows no exempt peer. Here a place is an IPv4 address or an IPv6
//! /48; loopback is no place, and whoever we befriended is neither counted nor charged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use libp2p::PeerId;

/// So many peers of one place cost nothing: a family, an office, a rack behind one address.
const FREE: usize = 5;
/// Weight of the square of how many there are beyond that.
const WEIGHT: f64 = -5.0;

/// Who is where. As long as the list of connected peers.
#[derive(Debug, Default)]
pub(super) struct Places {
    peers: BTreeMap<IpAddr, BTreeSet<PeerId>>,
}

impl Places {
    /// A peer came. Whose score changes comes back.
    pub(super) fn enter(&mut self, place: IpAddr, peer: PeerId) -> Vec<PeerId> {
        self.peers.entry(place).or_default().insert(peer);
        self.at(place)
    }

    /// A peer went. Whose score changes comes back.
    pub(super) fn leave(&mut self, place: IpAddr, peer: &PeerId) -> Vec<PeerId> {
        let Some(peers) = self.peers.get_mut(&place) else {
            return Vec::new();
        };
        peers.remove(peer);
        if peers.is_empty() {
            self.peers.remove(&place);
        }
        self.at(place)
    }

    fn at(&self, place: IpAddr) -> Vec<PeerId> {
        self.peers
            .get(&place)
            .map(|peers| peers.iter().copied().collect())
            .unwrap_or_default()
    }

    /// What a place costs each who is there: 0 or less.
    pub(super) fn penalty(&self, place: IpAddr) -> f64 {
        let there = self.peers.get(&place).map_or(0, BTreeSet::len);
        let beyond = u32::try_from(there.saturating_sub(FREE)).unwrap_or(u32::MAX);
        WEIGHT * f64::from(beyond).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowds_pay() {
        let place = "9.9.9.9".parse().unwrap();
        let mut places = Places::default();
        let peers: Vec<PeerId> = (0..8).map(|_| PeerId::random()).collect();
        for peer in &peers[..5] {
            places.enter(place, *peer);
        }
        assert_eq!(places.penalty(place), 0.0);
        for peer in &peers[5..] {
            places.enter(place, *peer);
        }
        assert_eq!(places.penalty(place), -45.0);
        assert_eq!(places.leave(place, &peers[0]).len(), 7);
        assert_eq!(places.penalty(place), -20.0);
        for peer in &peers {
            places.leave(place, peer);
        }
        assert!(places.peers.is_empty());
    }
}
