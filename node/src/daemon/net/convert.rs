//! Names of peers and of places: between plain bytes and text outside, and libp2p's types inside.
//!
//! Never a connection. The next step of the path is `peers`, which keeps the places that are to be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use libp2p::multiaddr::{Multiaddr, Protocol};
use libp2p::{PeerId, identity};
pub use lymph_protocol::TransportId;

/// The peer id as libp2p prints it.
#[must_use]
pub fn peer_text(id: TransportId) -> String {
    to_peer(id).to_string()
}

/// A text that is no peer id of an ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the peer id of an ed25519 key")]
pub struct NoTransportId;

/// Reads a peer id as libp2p prints it.
pub fn parse_peer(text: &str) -> Result<TransportId, NoTransportId> {
    let peer = PeerId::from_str(text).map_err(|_| NoTransportId)?;
    from_peer(&peer).ok_or(NoTransportId)
}

/// What stands before an ed25519 key in a peer id: identity multihash of 36 bytes, protobuf of key type and key.
const BEFORE_KEY: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// libp2p's name of a peer.
pub(super) fn to_peer(id: TransportId) -> PeerId {
    let mut bytes = [0; BEFORE_KEY.len() + 32];
    let (before, key) = bytes.split_at_mut(BEFORE_KEY.len());
    before.copy_from_slice(&BEFORE_KEY);
    key.copy_from_slice(id.as_bytes());
    PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a peer id")
}

/// Our name of a peer; none if its key is not ed25519.
pub(super) fn from_peer(peer: &PeerId) -> Option<TransportId> {
    let bytes = peer.to_bytes();
    let key = bytes.strip_prefix(&BEFORE_KEY)?;
    Some(TransportId::from_bytes(key.try_into().ok()?))
}

/// The key pair of a transport secret.
pub(super) fn key_pair(secret: &[u8; 32]) -> Option<identity::Keypair> {
    // The function empties the copy that it is given.
    let mut copy = *secret;
    identity::Keypair::ed25519_from_bytes(&mut copy).ok()
}

/// An address as text; none if it is not one or too long to be one.
pub(super) fn address(text: &str) -> Option<Multiaddr> {
    if text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    text.parse().ok()
}

/// The longest address that is read. One through a relay has about 200 bytes.
pub(super) const ADDRESS_BYTES_MAX: usize = 512;

/// The peer that an address ends with.
pub(super) fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address with the peer at its end, which it may have there already.
pub(super) fn with_peer(address: Multiaddr, peer: PeerId) -> Multiaddr {
    match address.with_p2p(peer) {
        Ok(address) | Err(address) => address,
    }
}

/// Whether the way leads through a relay.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The machine that an address leads to first.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    })
}

/// How far an address is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Nowhere: unspecified, multicast.
    Nowhere,
    /// On one machine.
    Machine,
    /// In one network.
    Network,
    /// Everywhere, or nobody can tell (a name).
    World,
}

/// How far an address is good for. One with two machines in it is good for nothing: which of them is dialled would hang
/// on who reads it.
pub(super) fn reach_of(address: &Multiaddr) -> Reach {
    let machines = address.iter().filter(is_machine).count();
    if machines > 1 {
        return Reach::Nowhere;
    }
    match address.iter().next() {
        Some(Protocol::Memory(_)) => Reach::Machine,
        Some(_) => ip_of(address).map_or(Reach::World, reach_of_ip),
        None => Reach::Nowhere,
    }
}

fn is_machine(part: &Protocol<'_>) -> bool {
    matches!(
        part,
        Protocol::Ip4(_)
            | Protocol::Ip6(_)
            | Protocol::Dns(_)
            | Protocol::Dns4(_)
            | Protocol::Dns6(_)
            | Protocol::Dnsaddr(_)
    )
}

fn reach_of_ip(ip: IpAddr) -> Reach {
    let (nowhere, machine, network) = match ip {
        IpAddr::V4(ip) => (
            ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            ip.is_loopback(),
            ip.is_private() || ip.is_link_local() || is_carrier(ip),
        ),
        IpAddr::V6(ip) => (
            ip.is_unspecified() || ip.is_multicast(),
            ip.is_loopback(),
            ip.is_unique_local() || ip.is_unicast_link_local(),
        ),
    };
    match (nowhere, machine, network) {
        (true, _, _) => Reach::Nowhere,
        (_, true, _) => Reach::Machine,
        (_, _, true) => Reach::Network,
        (false, false, false) => Reach::World,
    }
}

/// 100.64.0.0/10, the networks behind a provider's NAT.
fn is_carrier(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0xc0 == 64
}

/// Who shares a place: one IPv4 address, or an IPv6 /48, which is what one customer gets. None for loopback.
pub(super) fn place_of(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(IpAddr::V4(ip)),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip) & (u128::MAX << 80);
            Some(IpAddr::V6(Ipv6Addr::from(bits)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_key_and_reads_back() {
        let key = key_pair(&[7; 32]).unwrap();
        let peer = key.public().to_peer_id();
        let id = from_peer(&peer).unwrap();
        assert_eq!(to_peer(id), peer);
        assert_eq!(peer_text(id), peer.to_string());
        assert_eq!(parse_peer(&peer_text(id)), Ok(id));
        assert_eq!(
            *id.as_bytes(),
            key.public().try_into_ed25519().unwrap().to_bytes()
        );
        assert_eq!(parse_peer("nobody"), Err(NoTransportId));
        // A hash of some other key is a peer id, but not of an ed25519 key.
        let other = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
        assert_eq!(parse_peer(other), Err(NoTransportId));
    }

    #[test]
    fn any_bytes_are_an_id() {
        for byte in [0, 1, 127, 255] {
            let id = TransportId::from_bytes([byte; 32]);
            assert_eq!(from_peer(&to_peer(id)), Some(id));
        }
    }

    #[test]
    fn addresses_have_a_reach_and_a_place() {
        let check = |text: &str, reach: Reach, place: Option<&str>| {
            let address = address(text).unwrap();
            assert_eq!(reach_of(&address), reach, "{text}");
            let found = ip_of(&address).and_then(place_of);
            assert_eq!(found, place.map(|p| p.parse().unwrap()), "{text}");
        };
        check("/ip4/127.0.0.1/tcp/1", Reach::Machine, None);
        check("/ip6/::1/tcp/1", Reach::Machine, None);
        check("/ip4/10.1.2.3/tcp/1", Reach::Network, Some("10.1.2.3"));
        check("/ip4/100.64.0.1/tcp/1", Reach::Network, Some("100.64.0.1"));
        check("/ip4/0.0.0.0/tcp/1", Reach::Nowhere, Some("0.0.0.0"));
        check("/ip4/9.9.9.9/tcp/1", Reach::World, Some("9.9.9.9"));
        check("/ip6/::ffff:9.9.9.9/tcp/1", Reach::World, Some("9.9.9.9"));
        check("/ip6/2a00:1:2:3::4/tcp/1", Reach::World, Some("2a00:1:2::"));
        check("/dns/example.org/tcp/1", Reach::World, None);
        let two = "/ip4/9.9.9.9/ip4/127.0.0.1/tcp/1";
        check(two, Reach::Nowhere, Some("9.9.9.9"));
    }

    #[test]
    fn a_long_text_is_no_address() {
        assert!(address(&"/ip4/1.2.3.4".repeat(100)).is_none());
        assert!(address("1.2.3.4:5").is_none());
    }
}
