//! What is spoken: gossip, questions, and whatever finds peers and keeps ways to them open, all behind limits.
//!
//! The limits stand first, so that what they deny costs nothing else. The next step of the path is `swarm`.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, StreamProtocol, autonat, dcutr, gossipsub, identify, kad, mdns, ping, relay};
use libp2p_allow_block_list::{self as block_list, BlockedPeers};
use libp2p_connection_limits::{self as connection_limits, ConnectionLimits};
use libp2p_memory_connection_limits as memory_limits;

use super::gate::Gate;
use super::{NetConfig, NetError, ask, gossip};

/// What the distributed hash table speaks: a table of our own, not that of IPFS.
pub(super) const KAD: StreamProtocol = StreamProtocol::new("/lymph/kad/1");
/// What our own protocol family is called when peers introduce themselves.
const FAMILY: &str = "/lymph/id/1";
/// What we say about ourselves: nothing that tells one machine from another.
const AGENT: &str = "lymph";
/// How many connections may be in their handshake, each way.
const PENDING_MAX: u32 = 64;
/// How many connections to one peer. Two that dial each other at once have two; a third is how a peer tries whether we
/// can be reached from outside, or a hole that was punched beside a relayed one.
const PER_PEER_MAX: u32 = 3;
/// How often a connection is tried.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How many questions and answers may be on one connection at once.
const STREAMS_MAX: usize = 32;

/// Everything that is spoken.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(super) struct Behaviour {
    pub(super) gate: Gate,
    pub(super) limits: connection_limits::Behaviour,
    pub(super) memory: memory_limits::Behaviour,
    pub(super) blocked: block_list::Behaviour<BlockedPeers>,
    pub(super) gossip: gossipsub::Behaviour,
    pub(super) ask: request_response::Behaviour<ask::Codec>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) relay_client: relay::client::Behaviour,
    pub(super) dcutr: dcutr::Behaviour,
    pub(super) autonat_client: autonat::v2::client::Behaviour,
    pub(super) autonat_server: autonat::v2::server::Behaviour,
    pub(super) relay_server: Toggle<relay::Behaviour>,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) kad: Toggle<kad::Behaviour<MemoryStore>>,
}

impl Behaviour {
    /// All of it, and why the local network is not listened to if it should be.
    pub(super) fn new(
        key: &Keypair,
        relay_client: relay::client::Behaviour,
        config: &NetConfig,
    ) -> Result<(Self, Option<String>), NetError> {
        let me = key.public().to_peer_id();
        let (mdns, without_mdns) = match config.mdns.then(|| listen_to_mdns(me)) {
            Some(Ok(mdns)) => (Some(mdns), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None => (None, None),
        };
        let behaviour = Behaviour {
            gate: Gate::default(),
            limits: connection_limits::Behaviour::new(connection_limits(config.connections_max)),
            memory: memory_limits::Behaviour::with_max_bytes(config.memory_bytes_max),
            blocked: block_list::Behaviour::default(),
            gossip: gossip::behaviour()?,
            ask: request_response::Behaviour::with_codec(
                ask::Codec::default(),
                [(ask::PROTOCOL, ProtocolSupport::Full)],
                request_response::Config::default()
                    .with_request_timeout(config.ask_timeout)
                    .with_max_concurrent_streams(STREAMS_MAX),
            ),
            identify: identify::Behaviour::new(
                identify::Config::new(FAMILY.to_owned(), key.public())
                    .with_agent_version(AGENT.to_owned())
                    .with_push_listen_addr_updates(true),
            ),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY)),
            relay_client,
            dcutr: dcutr::Behaviour::new(me),
            autonat_client: autonat::v2::client::Behaviour::default(),
            autonat_server: autonat::v2::server::Behaviour::default(),
            relay_server: config
                .relay_server
                .then(|| relay::Behaviour::new(me, relay_limits()))
                .into(),
            mdns: mdns.into(),
            kad: config.kademlia.then(|| kademlia(me)).into(),
        };
        Ok((behaviour, without_mdns))
    }
}

fn listen_to_mdns(me: PeerId) -> std::io::Result<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), me)
}

/// Three quarters for others, half for ourselves, so that neither can take all.
fn connection_limits(connections_max: u32) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_established(Some(connections_max))
        .with_max_established_incoming(Some(connections_max / 4 * 3))
        .with_max_established_outgoing(Some(connections_max / 2))
        .with_max_established_per_peer(Some(PER_PEER_MAX))
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
}

/// What a volunteer gives. libp2p's two minutes and 128 KiB are for punching a hole; whoever cannot punch one lives
/// behind the relay, and its gossip needs about 13 MB an hour.
fn relay_limits() -> relay::Config {
    relay::Config {
        max_reservations: 64,
        max_reservations_per_peer: 2,
        max_circuits: 64,
        max_circuits_per_peer: 8,
        max_circuit_duration: Duration::from_secs(3600),
        max_circuit_bytes: 32 * 1024 * 1024,
        ..relay::Config::default()
    }
}

/// A table that holds who is here under one key, and nothing else.
fn kademlia(me: PeerId) -> kad::Behaviour<MemoryStore> {
    let store = MemoryStore::with_config(
        me,
        MemoryStoreConfig {
            max_records: 0,
            max_value_bytes: 0,
            max_providers_per_key: 64,
            max_provided_keys: 1,
        },
    );
    let mut config = kad::Config::new(KAD);
    config
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_query_timeout(Duration::from_secs(30))
        .set_provider_record_ttl(Some(Duration::from_secs(6 * 3600)))
        .set_provider_publication_interval(Some(Duration::from_secs(2 * 3600)));
    let mut kad = kad::Behaviour::with_config(me, store, config);
    // `swarm` makes it a server when we can be reached without a relay.
    kad.set_mode(Some(kad::Mode::Client));
    kad
}
