//! How many incoming connections one place may have, so that one machine cannot take everybody's room.
//!
//! A place is an IPv4 address or an IPv6 /48; loopback and relayed connections have none and are bounded by the limits
//! on all connections alone. Whoever is over the bound is denied; whoever is there stays. Friends are let in.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::convert;

/// How many handshakes from one place at a time.
const PENDING_MAX: usize = 8;
/// How many connections from one place.
const ESTABLISHED_MAX: usize = 16;

/// Too many from one place.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from one place")]
pub(super) struct Crowded;

/// Where incoming connections come from. As long as the list of connections.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pending: BTreeMap<ConnectionId, IpAddr>,
    established: BTreeMap<ConnectionId, IpAddr>,
    friends: BTreeSet<PeerId>,
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

    fn knock(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), Crowded> {
        let Some(place) = place(remote) else {
            return Ok(());
        };
        if count(&self.pending, place) >= PENDING_MAX {
            return Err(Crowded);
        }
        self.pending.insert(connection, place);
        Ok(())
    }

    fn enter(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        remote: &Multiaddr,
    ) -> Result<(), Crowded> {
        self.pending.remove(&connection);
        let Some(place) = place(remote) else {
            return Ok(());
        };
        if count(&self.established, place) >= ESTABLISHED_MAX && !self.friends.contains(peer) {
            return Err(Crowded);
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
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
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
}
