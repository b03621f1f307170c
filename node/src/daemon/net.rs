//! The wire: everything that a node says to others and hears from them, as two closed enums round libp2p.
//!
//! Others give an [`Order`] and hear a [`Word`]. What bytes mean, who is believed, and what is signed are their
//! business; here is only who is connected and what was brought by whom. libp2p is named in this folder alone, and
//! none of its types leaves it. Every queue has a bound and a rule for who is dropped, beside its declaration.
//!
//! To read on: `net/swarm.rs` (the loop), from there `behaviour` (what is spoken), `gossip` (how it is set), `peers`
//! (whom to dial), `outbox` (words on their way out).

mod ask;
mod behaviour;
mod chance;
mod convert;
mod figures;
mod gate;
mod gossip;
mod guard;
mod judgements;
mod outbox;
mod peers;
mod places;
mod seeds;
mod swarm;
#[cfg(test)]
mod tests;
mod transport;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub use ask::{ASK_BYTES_MAX, decode as decode_ask};
pub use convert::{NoTransportId, TransportId, parse_peer, peer_text};
pub use figures::Figures;
pub use gossip::MESSAGE_BYTES_MAX;

use figures::Counters;
use swarm::Way;

/// How many orders may wait. Whoever gives one more is told to come again.
pub const ORDERS_MAX: usize = 1024;
/// The port that lymph listens at.
pub const PORT: u16 = 4747;

/// What a node on the wire is told at its start.
pub struct NetConfig {
    /// The transport secret.
    pub key: Zeroizing<[u8; 32]>,
    /// Addresses to listen at, as multiaddrs. What cannot be listened at is said and tried again.
    pub listen: Vec<String>,
    /// Addresses at which the operator says we can be reached.
    pub external: Vec<String>,
    /// Peers in the config, as multiaddrs with a peer id at the end or without.
    pub static_peers: Vec<String>,
    /// Peers of the last run, in the same form.
    pub cached_peers: Vec<String>,
    /// Names whose TXT records hold `lymph=<multiaddr>` or `dnsaddr=<multiaddr>`; 16 at most.
    pub dns_seeds: Vec<String>,
    /// Whether to find peers in the local network.
    pub mdns: bool,
    /// Whether to find peers in a distributed hash table, and be found: for the public audience only.
    pub kademlia: bool,
    /// Whether to relay for others.
    pub relay_server: bool,
    /// How many connections at most: up to three quarters incoming, up to half outgoing.
    pub connections_max: u32,
    /// The DNS server to ask instead of the system's.
    pub resolver: Option<SocketAddr>,
    /// No new connection is made while the process holds more memory than this.
    pub memory_bytes_max: usize,
    /// How long a question may wait for its answer.
    pub ask_timeout: Duration,
}

impl NetConfig {
    /// A node that listens nowhere, knows nobody, and has the usual limits.
    #[must_use]
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        NetConfig {
            key,
            listen: Vec::new(),
            external: Vec::new(),
            static_peers: Vec::new(),
            cached_peers: Vec::new(),
            dns_seeds: Vec::new(),
            mdns: false,
            kademlia: false,
            relay_server: false,
            connections_max: 200,
            resolver: None,
            memory_bytes_max: 256 * 1024 * 1024,
            ask_timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConfig")
            .field("listen", &self.listen)
            .field("external", &self.external)
            .field("mdns", &self.mdns)
            .field("kademlia", &self.kademlia)
            .field("relay_server", &self.relay_server)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// Stands for one message until it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHandle(u64);

impl MessageHandle {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The handle with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        MessageHandle(number)
    }
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Pass it on.
    Accept,
    /// Do not, and blame nobody.
    Ignore,
    /// Do not, and blame whoever brought it.
    Reject,
}

/// What others can ask of the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Hear a topic; 64 at most. With `flood`, own messages go to everybody on it: for fleets and circles.
    Join {
        /// The topic.
        topic: String,
        /// Whether own messages go to everybody that is known on it, not to the mesh alone.
        flood: bool,
    },
    /// Hear a topic no more.
    Leave {
        /// The topic.
        topic: String,
    },
    /// Say something on a topic; answered only if it fails, by [`Word::NotPublished`].
    Publish {
        /// The topic.
        topic: String,
        /// What, 16 KiB at most.
        bytes: Vec<u8>,
    },
    /// What to do with a message of a [`Word::Message`].
    Judge {
        /// Which.
        message: MessageHandle,
        /// What to do.
        verdict: Acceptance,
    },
    /// Be connected to a peer, always: it is dialled now and again, and no limit keeps it out; 256
    /// at most.
    Befriend {
        /// Whom.
        peer: TransportId,
        /// Where it may be.
        addresses: Vec<String>,
        /// Whether each message goes to it directly, beside what gossip does.
        explicit: bool,
    },
    /// No longer. A connection that stands is left standing.
    Unfriend {
        /// Whom.
        peer: TransportId,
    },
    /// How much is thought of a peer, from -1000 to 50: P5 of GossipSub 1.1.
    Score {
        /// Whom.
        peer: TransportId,
        /// How much.
        score: f64,
    },
    /// Have nothing to do with a peer; 16,384 at most, then the first is forgotten.
    Block {
        /// Whom.
        peer: TransportId,
    },
    /// Have to do with it again.
    Unblock {
        /// Whom.
        peer: TransportId,
    },
    /// Ask a peer something; [`Word::Answered`] comes back in any case. It is dialled if need be.
    Ask {
        /// Comes back with the answer.
        id: u64,
        /// Whom.
        peer: TransportId,
        /// Where it may be.
        addresses: Vec<String>,
        /// What, 1 MiB at most.
        bytes: Vec<u8>,
    },
    /// Answer a [`Word::Asked`].
    Reply {
        /// Which.
        channel: u64,
        /// With what, 1 MiB at most.
        bytes: Vec<u8>,
    },
    /// Do not answer a [`Word::Asked`].
    Refuse {
        /// Which.
        channel: u64,
    },
    /// More peers to dial, as multiaddrs; 64 of them are taken.
    AddPeers {
        /// Where.
        peers: Vec<String>,
    },
}

/// What others hear from the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// We listen here.
    Listening {
        /// Where.
        address: String,
    },
    /// We do not listen here.
    NotListening {
        /// Where; `mdns` for the local network.
        address: String,
        /// Why.
        why: String,
    },
    /// Others reach us here, as one of them tried, or through a relay.
    External {
        /// Where.
        address: String,
    },
    /// Whether others reach us without a relay; none while nobody knows.
    Reachable {
        /// Whether.
        yes: Option<bool>,
    },
    /// A peer is connected. Said once for a peer, and once more when a direct way replaces a relayed one.
    Connected {
        /// Who.
        peer: TransportId,
        /// Where it is.
        address: String,
        /// Whether it came to us.
        inbound: bool,
        /// Whether a relay is between us.
        relayed: bool,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// Who.
        peer: TransportId,
    },
    /// A message that nobody has brought before. It waits for [`Order::Judge`].
    Message {
        /// Stands for it.
        message: MessageHandle,
        /// Who brought it, which is not who wrote it.
        from: TransportId,
        /// On which topic.
        topic: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// A peer asks. It waits for [`Order::Reply`] or [`Order::Refuse`].
    Asked {
        /// Stands for the question.
        channel: u64,
        /// Who asks.
        from: TransportId,
        /// What.
        bytes: Vec<u8>,
    },
    /// What came of an [`Order::Ask`].
    Answered {
        /// The question's.
        id: u64,
        /// Who was asked.
        from: TransportId,
        /// The answer, or why there is none.
        answer: Result<Vec<u8>, String>,
    },
    /// A peer takes messages more slowly than they come.
    Slow {
        /// Who.
        peer: TransportId,
    },
    /// A message of ours went to nobody.
    NotPublished {
        /// On which topic.
        topic: String,
        /// Why.
        why: String,
    },
    /// Somebody may be here: for the cache of peers.
    Found {
        /// Where, with a peer id at the end.
        address: String,
        /// Who says so: `identify`, `mdns`, `dns`, `kad`.
        how: &'static str,
    },
}

/// Why there is no wire.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The secret is no key.
    #[error("the transport secret is no ed25519 key")]
    Key,
    /// There is no runtime to run in.
    #[error("no runtime")]
    Runtime,
    /// The transport cannot be built.
    #[error("transport: {0}")]
    Transport(String),
    /// Gossip cannot be built.
    #[error("gossip: {0}")]
    Gossip(String),
}

/// A node on the wire.
#[derive(Debug)]
pub struct Net {
    orders: mpsc::Sender<Order>,
    words: mpsc::Receiver<Word>,
    task: JoinHandle<()>,
    id: TransportId,
    counters: Arc<Counters>,
}

impl Net {
    /// Start on the runtime that this is called in.
    pub fn start(config: NetConfig) -> Result<Net, NetError> {
        Net::start_on(config, Way::Network)
    }

    /// Start with channels within this process instead of a network, for tests and benches; addresses are
    /// `/memory/<number>`.
    #[doc(hidden)]
    pub fn start_in_memory(config: NetConfig) -> Result<Net, NetError> {
        Net::start_on(config, Way::Memory)
    }

    fn start_on(config: NetConfig, way: Way) -> Result<Net, NetError> {
        let runtime = Handle::try_current().map_err(|_| NetError::Runtime)?;
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let counters = Arc::new(Counters::default());
        let (task, words, id) = swarm::Task::new(&config, way, taken, counters.clone())?;
        Ok(Net {
            orders,
            words,
            task: runtime.spawn(task.run()),
            id,
            counters,
        })
    }

    /// Give an order. False if too many wait already; it was not taken then.
    pub fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// The next word. None if the wire has come to an end, which it does not by itself. Nothing is lost if the future
    /// is dropped.
    pub async fn word(&mut self) -> Option<Word> {
        self.words.recv().await
    }

    /// Who we are on the wire.
    #[must_use]
    pub fn id(&self) -> TransportId {
        self.id
    }

    /// What was counted up to now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.counters.figures()
    }

    /// Say good-bye to all peers and end.
    pub async fn stop(self) {
        let Net {
            orders,
            words,
            task,
            ..
        } = self;
        drop(orders);
        drop(words);
        if let Err(error) = task.await {
            tracing::debug!(%error, "the wire ended badly");
        }
    }
}
