//! What others may have us dial: not our own neighbourhood.
//!
//! Some protocols dial where a peer says: to try whether it can be reached, to punch a hole, to look into a table. Without
//! a guard anybody could have us knock at doors that only we can reach. So such a dial goes to addresses that everybody
//! reaches, or to the machine that the peer itself comes from. An operator whose own external address is a private one
//! lives in a private network, and there private addresses are everybody's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm, NetworkBehaviour,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::convert::{self, Reach, reach_of};

/// A peer would have us dial where it has no business.
#[derive(Debug, thiserror::Error)]
#[error("not an address that we dial for others")]
pub(super) struct TooNear;

/// A behaviour whose dials are looked at.
#[derive(Debug)]
pub(super) struct Guard<B> {
    /// What is guarded.
    pub(super) inner: B,
    least: Reach,
    /// Dials of the behaviour that are under way.
    dials: BTreeSet<ConnectionId>,
    /// Where each connection leads. As long as the list of connections.
    homes: BTreeMap<ConnectionId, (PeerId, IpAddr)>,
}

impl<B> Guard<B> {
    /// Let a behaviour dial what reaches at least so far.
    pub(super) fn new(inner: B, least: Reach) -> Self {
        Guard {
            inner,
            least,
            dials: BTreeSet::new(),
            homes: BTreeMap::new(),
        }
    }

    fn may_dial(&self, peer: Option<PeerId>, address: &Multiaddr) -> bool {
        // A name is whatever its owner says, `localhost` as well.
        let Some(ip) = convert::ip_of(address) else {
            return false;
        };
        match reach_of(address) {
            Reach::Nowhere => return false,
            reach if reach >= self.least => return true,
            _ => {}
        }
        let mut homes = self.homes.values();
        homes.any(|(at, home)| Some(*at) == peer && *home == ip)
    }

    fn note_home(&mut self, connection: ConnectionId, peer: PeerId, remote: &Multiaddr) {
        if !convert::is_relayed(remote)
            && let Some(ip) = convert::ip_of(remote)
        {
            self.homes.insert(connection, (peer, ip));
        }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Guard<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner
            .handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let handler = self
            .inner
            .handle_established_inbound_connection(connection, peer, local, remote)?;
        self.note_home(connection, peer, remote);
        Ok(handler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let is_its_own = self.dials.remove(&connection);
        if is_its_own && !addresses.iter().all(|address| self.may_dial(peer, address)) {
            return Err(ConnectionDenied::new(TooNear));
        }
        let mut known = self
            .inner
            .handle_pending_outbound_connection(connection, peer, addresses, role)?;
        known.retain(|address| self.may_dial(peer, address));
        Ok(known)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let handler = self
            .inner
            .handle_established_outbound_connection(connection, peer, remote, role, port)?;
        self.note_home(connection, peer, remote);
        Ok(handler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.homes.remove(connection_id);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. }) => {
                self.dials.remove(connection_id);
                self.homes.remove(connection_id);
            }
            FromSwarm::ListenFailure(failure) => {
                self.homes.remove(&failure.connection_id);
            }
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner
            .on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let polled = self.inner.poll(cx);
        if let Poll::Ready(ToSwarm::Dial { opts }) = &polled {
            self.dials.insert(opts.connection_id());
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::swarm::dummy;

    #[test]
    fn nobody_has_us_knock_at_our_neighbours() {
        let address = |text: &str| text.parse::<Multiaddr>().unwrap();
        let (peer, other) = (PeerId::random(), PeerId::random());
        let dial = |guard: &mut Guard<dummy::Behaviour>, peer, to: &str| {
            let connection = ConnectionId::new_unchecked(7);
            guard.dials.insert(connection);
            let addresses = [address(to)];
            let allowed = guard
                .handle_pending_outbound_connection(
                    connection,
                    Some(peer),
                    &addresses,
                    Endpoint::Dialer,
                )
                .is_ok();
            assert!(guard.dials.is_empty());
            allowed
        };
        let mut guard = Guard::new(dummy::Behaviour, Reach::World);
        assert!(dial(&mut guard, peer, "/ip4/9.9.9.9/tcp/1"));
        assert!(!dial(&mut guard, peer, "/ip4/10.0.0.7/tcp/22"));
        assert!(!dial(&mut guard, peer, "/ip4/127.0.0.1/tcp/22"));
        assert!(!dial(&mut guard, peer, "/dns/localhost/tcp/22"));
        assert!(!dial(&mut guard, peer, "/ip4/9.9.9.9/ip4/10.0.0.7/tcp/22"));
        let connection = ConnectionId::new_unchecked(8);
        guard.note_home(connection, peer, &address("/ip4/10.0.0.7/tcp/5"));
        assert!(dial(&mut guard, peer, "/ip4/10.0.0.7/tcp/4747"));
        assert!(!dial(&mut guard, other, "/ip4/10.0.0.7/tcp/4747"));

        let mut guard = Guard::new(dummy::Behaviour, Reach::Network);
        assert!(dial(&mut guard, peer, "/ip4/10.0.0.7/tcp/22"));
        assert!(!dial(&mut guard, peer, "/ip4/127.0.0.1/tcp/22"));
    }
}
