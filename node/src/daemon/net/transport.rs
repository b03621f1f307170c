//! How bytes travel: TCP with noise and yamux, QUIC beside it if built with it, names looked up, relays.
//!
//! The next step of the path is `behaviour`: what is spoken over it.

use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, MemoryTransport, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, dns, noise, relay, tcp, yamux};

use super::NetError;
use super::seeds::Lookup;

/// What the swarm stands on.
pub(super) type Wire = Boxed<(PeerId, StreamMuxerBox)>;

/// How long a connection may take from its first byte to its last handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many streams one connection may have. Gossip needs two, questions 64, the rest a handful.
const STREAMS_MAX: usize = 128;

fn streams() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    config
}

fn secure(key: &Keypair) -> Result<noise::Config, NetError> {
    noise::Config::new(key).map_err(|error| NetError::Transport(error.to_string()))
}

/// TCP, QUIC and relays.
pub(super) fn network(
    key: &Keypair,
    relay: relay::client::Transport,
    lookup: &Lookup,
) -> Result<Wire, NetError> {
    let direct = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(secure(key)?)
        .multiplex(streams())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    #[cfg(feature = "quic")]
    let direct = OrTransport::new(
        libp2p::quic::tokio::Transport::new(libp2p::quic::Config::new(key))
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))),
        direct,
    )
    .map(|either, _| either.into_inner());
    let (config, options) = lookup.parts();
    let direct = dns::tokio::Transport::custom(direct, config, options);
    let relayed = relay
        .upgrade(Version::V1Lazy)
        .authenticate(secure(key)?)
        .multiplex(streams())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = OrTransport::new(relayed, direct).map(|either, _| either.into_inner());
    Ok(TransportTimeout::new(both, HANDSHAKE).boxed())
}

/// Channels within this process, with the same handshakes: for tests and benches of many nodes.
pub(super) fn memory(key: &Keypair, relay: relay::client::Transport) -> Result<Wire, NetError> {
    let direct = MemoryTransport::default()
        .upgrade(Version::V1Lazy)
        .authenticate(secure(key)?)
        .multiplex(streams())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let relayed = relay
        .upgrade(Version::V1Lazy)
        .authenticate(secure(key)?)
        .multiplex(streams())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = OrTransport::new(relayed, direct).map(|either, _| either.into_inner());
    Ok(TransportTimeout::new(both, HANDSHAKE).boxed())
}
