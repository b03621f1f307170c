//! How many incoming connections one place may have, so that one machine cannot take everybody's room; and who was sent
//! away for a while and is not let in again before that is over.
//!
//! A place is an IPv4 address or an IPv6 /48; loopback and relayed connections have none and are bounded by the limits
//! on all connections alone. Whoever is over the bound is denied; whoever is there stays. Friends are let in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::convert;

/// How many handshakes from one place at a time.
const PENDING_MAX: usize = 8;
/// How many connections from one place.
const ESTABLISHED_MAX: usize = 16;

/// How many that were sent away are remembered. When full, the first is forgotten.
const SENT_AWAY_MAX: usize = 1024;
/// For how long.
const SENT_AWAY: Duration = Duration::from_secs(10 * 60);

/// Why a connection is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// Too many from one place.
    #[error("too many connections from one place")]
    Crowded,
    /// It has flooded us lately.
    #[error("sent away for a while")]
    SentAway,
}

/// Where incoming connections come from. As long as the list of connections.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pending: BTreeMap<ConnectionId, IpAddr>,
    established: BTreeMap<ConnectionId, IpAddr>,
    friends: BTreeSet<PeerId>,
    /// Who was sent away, and until when; the first one ends first.
    sent_away: VecDeque<(PeerId, Instant)>,
}

impl Gate {
    /// Let a peer in wherever it comes from.
    pub(super) fn befriend(&mut self, peer: PeerId) {
        self.friends.insert(peer);
    }

    /// No longer.
    pub(super) fn unfriend(&mut self, peer: &PeerId) {
        self.friends.remove(peer);
    }

    /// Do not let a peer in for a while. Whether that is news.
    pub(super) fn send_away(&mut self, peer: PeerId, now: Instant) -> bool {
        if self.is_sent_away(&peer, now) {
            return false;
        }
        while self.sent_away.len() >= SENT_AWAY_MAX {
            self.sent_away.pop_front();
        }
        self.sent_away.push_back((peer, now + SENT_AWAY));
        true
    }

    fn is_sent_away(&mut self, peer: &PeerId, now: Instant) -> bool {
        while self
            .sent_away
            .front()
            .is_some_and(|(_, until)| *until <= now)
        {
            self.sent_away.pop_front();
        }
        !self.friends.contains(peer) && self.sent_away.iter().any(|(away, _)| away == peer)
    }

    fn knock(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), Denied> {
        let Some(place) = place(remote) else {
            return Ok(());
        };
        if count(&self.pending, place) >= PENDING_MAX {
            return Err(Denied::Crowded);
        }
        self.pending.insert(connection, place);
        Ok(())
    }

    fn enter(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        remote: &Multiaddr,
    ) -> Result<(), Denied> {
        self.pending.remove(&connection);
        if self.is_sent_away(peer, tokio::time::Instant::now()) {
            return Err(Denied::SentAway);
        }
        let Some(place) = place(remote) else {
            return Ok(());
        };
        if count(&self.established, place) >= ESTABLISHED_MAX && !self.friends.contains(peer) {
            return Err(Denied::Crowded);
        }
        self.established.insert(connection, place);
        Ok(())
    }

    fn leave(&mut self, connection: ConnectionId) {
        self.pending.remove(&connection);
        self.established.remove(&connection);
    }
}

fn place(remote: &Multiaddr) -> Option<IpAddr> {
    if convert::is_relayed(remote) {
        return None;
    }
    convert::ip_of(remote).and_then(convert::place_of)
}

fn count(connections: &BTreeMap<ConnectionId, IpAddr>, place: IpAddr) -> usize {
    connections.values().filter(|at| **at == place).count()
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.knock(connection, remote)
            .map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(connection, &peer, remote)
            .map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.is_sent_away(&peer, tokio::time::Instant::now()) {
            return Err(ConnectionDenied::new(Denied::SentAway));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.leave(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_cannot_take_all_the_room() {
        let there: Multiaddr = "/ip4/9.9.9.9/tcp/1".parse().unwrap();
        let elsewhere: Multiaddr = "/ip4/9.9.9.8/tcp/1".parse().unwrap();
        let here: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let id = ConnectionId::new_unchecked;
        let mut gate = Gate::default();
        for n in 0..PENDING_MAX {
            assert!(gate.knock(id(n), &there).is_ok());
        }
        assert!(gate.knock(id(100), &there).is_err());
        assert!(gate.knock(id(101), &elsewhere).is_ok());
        for n in 200..300 {
            assert!(gate.knock(id(n), &here).is_ok());
        }
        let stranger = PeerId::random();
        for n in 0..ESTABLISHED_MAX {
            assert!(gate.enter(id(n), &stranger, &there).is_ok());
        }
        assert!(gate.enter(id(100), &stranger, &there).is_err());
        let friend = PeerId::random();
        gate.befriend(friend);
        assert!(gate.enter(id(102), &friend, &there).is_ok());
        for n in 0..300 {
            gate.leave(id(n));
        }
        assert!(gate.pending.is_empty() && gate.established.is_empty());
    }

    #[test]
    fn who_was_sent_away_stays_away_for_a_while() {
        let here: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let id = ConnectionId::new_unchecked;
        let (peer, other) = (PeerId::random(), PeerId::random());
        let mut gate = Gate::default();
        let now = tokio::time::Instant::now();
        assert!(gate.send_away(peer, now) && !gate.send_away(peer, now));
        assert_eq!(gate.enter(id(1), &peer, &here), Err(Denied::SentAway));
        assert_eq!(gate.enter(id(2), &other, &here), Ok(()));
        gate.befriend(peer);
        assert_eq!(
            gate.enter(id(3), &peer, &here),
            Ok(()),
            "a friend is let in"
        );
        gate.unfriend(&peer);
        assert!(gate.is_sent_away(&peer, now));
        assert!(!gate.is_sent_away(&peer, now + SENT_AWAY));
        for _ in 0..2 * SENT_AWAY_MAX {
            gate.send_away(PeerId::random(), now);
        }
        assert_eq!(gate.sent_away.len(), SENT_AWAY_MAX);
    }
}
