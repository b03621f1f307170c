//! The loop round libp2p's swarm: orders in, words out, and what the swarm tells in between.
//!
//! It decides nothing about content. What a peer can cause here is a word, a counter or silence, never an end. `obey`
//! carries out orders, `ways` listens and dials and finds; here is who is connected and what they brought.

mod obey;
mod unsent;
mod ways;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::request_response::{self, InboundRequestId, OutboundRequestId, ResponseChannel};
use libp2p::swarm::{self, ConnectionId, SwarmEvent};
use libp2p::{PeerId, Swarm, ping, relay};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::ask::Answer;
use super::behaviour::{Behaviour, BehaviourEvent};
use super::chance::Chance;
use super::convert::{self, from_peer};
use super::figures::Counters;
use super::gossip::GRAYLIST_THRESHOLD;
use super::judgements::Judgements;
use super::outbox::Outbox;
use super::peers::{self, Friends, Source};
use super::places::Places;
use super::seeds::{self, Lookup};
use super::{NetConfig, NetError, Order, TransportId, Word, transport};
use unsent::Unsent;
use ways::Ways;

/// How often what is due is looked for: dials, listeners, answers that never came.
const TICK: Duration = Duration::from_millis(500);
/// How long what was said last has to leave.
const FLUSH: Duration = Duration::from_millis(200);
/// How long good-byes may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Messages a second from one peer. More are ignored, so that nobody fills the memory with ids; the whole network of
/// ten thousand brings 25.
const PEER_RATE: f64 = 50.0;
/// So many bytes count as one message more.
const PEER_BYTES: u32 = 1024;
/// How many at once: what gathered while a connection stood still.
const PEER_BURST: f64 = 2000.0;
/// How many beyond that until the connection is closed.
const PEER_EXCESS_MAX: u32 = 2000;
/// How many questions of others may wait for our answer. More are refused.
pub(super) const ASKED_MAX: usize = 256;
/// How many of them from one peer.
pub(super) const ASKED_BY_ONE_MAX: usize = 8;
/// How many bytes they may have together.
const ASKED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A connection that closed sooner was none: the other side is full, or will not have us.
const STOOD: Duration = Duration::from_secs(10);
/// A second connection to a peer is closed after so long: it was dialled at the same time, or to try whether we can be
/// reached, or it led through a relay. Left alone they would use up what one peer may have.
const SURPLUS: Duration = Duration::from_secs(30);
/// A connection that is idle stays: whom we know is worth more than a socket. (A year.)
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the bytes travel through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// TCP, QUIC, relays.
    Network,
    /// This process.
    Memory,
}

/// A connection to a peer.
#[derive(Debug)]
struct Connection {
    place: Option<IpAddr>,
    remote: libp2p::Multiaddr,
    is_relayed: bool,
    is_ours: bool,
    since: Instant,
}

/// A peer that is connected.
#[derive(Debug)]
struct Link {
    id: TransportId,
    connections: BTreeMap<ConnectionId, Connection>,
    /// How many messages it may bring now.
    allowance: f64,
    allowed_at: Instant,
    excess: u32,
    /// How many of its questions wait.
    asks: usize,
    /// Whether it relays for others.
    relays: bool,
}

impl Link {
    /// Whether one more message is within bounds.
    fn may_bring(&mut self, bytes: usize, now: Instant) -> bool {
        let passed = now.duration_since(self.allowed_at).as_secs_f64();
        self.allowed_at = now;
        self.allowance = (self.allowance + passed * PEER_RATE).min(PEER_BURST);
        if self.allowance < 1.0 {
            self.excess = self.excess.saturating_add(1);
            return false;
        }
        let more = u32::try_from(bytes).unwrap_or(u32::MAX) / PEER_BYTES;
        self.allowance -= 1.0 + f64::from(more);
        if self.allowance > PEER_BURST / 2.0 {
            self.excess = 0;
        }
        true
    }

    /// Connections beside the oldest direct one that have had their time.
    fn surplus(&self, now: Instant) -> Vec<ConnectionId> {
        let mut by_age: Vec<_> = self.connections.iter().collect();
        by_age.sort_by_key(|(_, connection)| (connection.is_relayed, connection.since));
        let beside = by_age.into_iter().skip(1);
        beside
            .filter(|(_, connection)| connection.since + SURPLUS <= now)
            .map(|(id, _)| *id)
            .collect()
    }

    fn is_ours(&self) -> bool {
        self.connections.values().any(|c| c.is_ours)
    }

    fn is_relayed(&self) -> bool {
        self.connections.values().all(|c| c.is_relayed)
    }
}

/// A question of somebody that waits for our answer.
#[derive(Debug)]
struct Asked {
    channel: ResponseChannel<Answer>,
    request: InboundRequestId,
    from: PeerId,
    bytes: usize,
}

/// A question of ours.
#[derive(Debug)]
struct Asking {
    id: u64,
    to: TransportId,
    until: Instant,
}

/// The loop and all that it holds.
pub(super) struct Task {
    swarm: Swarm<Behaviour>,
    orders: mpsc::Receiver<Order>,
    seeds: mpsc::Receiver<String>,
    outbox: Outbox,
    unsent: Unsent,
    counters: Arc<Counters>,
    chance: Chance,
    links: BTreeMap<PeerId, Link>,
    judgements: Judgements,
    asked: BTreeMap<u64, Asked>,
    asked_next: u64,
    asked_bytes: usize,
    asking: BTreeMap<OutboundRequestId, Asking>,
    ask_timeout: Duration,
    crowds: Places,
    scores: BTreeMap<PeerId, f64>,
    blocked: VecDeque<PeerId>,
    topics: BTreeSet<String>,
    floods: BTreeSet<String>,
    friends: Friends,
    /// Those of them whom gossip tells everything.
    explicit: BTreeSet<PeerId>,
    places: peers::Places,
    ways: Ways,
}

impl Task {
    /// Build everything, and what is at its other ends.
    pub(super) fn new(
        config: &NetConfig,
        way: Way,
        orders: mpsc::Receiver<Order>,
        counters: Arc<Counters>,
    ) -> Result<(Self, mpsc::Receiver<Word>, TransportId), NetError> {
        let key = convert::key_pair(&config.key).ok_or(NetError::Key)?;
        let me = key.public().to_peer_id();
        let id = from_peer(&me).ok_or(NetError::Key)?;
        let (relay_transport, relay_client) = relay::client::new(me);
        let lookup = Lookup::new(config.resolver);
        let wire = match way {
            Way::Network => transport::network(&key, relay_transport, &lookup)?,
            Way::Memory => transport::memory(&key, relay_transport)?,
        };
        let (behaviour, without_mdns) = Behaviour::new(&key, relay_client, config)?;
        let swarm = Swarm::new(
            wire,
            behaviour,
            me,
            swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE),
        );
        let (outbox, words) = Outbox::new(counters.clone());
        let now = tokio::time::Instant::now();
        let mut task = Task {
            swarm,
            orders,
            seeds: seeds::start(&lookup, config.dns_seeds.clone()),
            outbox,
            unsent: Unsent::default(),
            counters,
            chance: Chance::default(),
            links: BTreeMap::new(),
            judgements: Judgements::default(),
            asked: BTreeMap::new(),
            asked_next: 0,
            asked_bytes: 0,
            asking: BTreeMap::new(),
            ask_timeout: config.ask_timeout,
            crowds: Places::default(),
            scores: BTreeMap::new(),
            blocked: VecDeque::new(),
            topics: BTreeSet::new(),
            floods: BTreeSet::new(),
            friends: Friends::default(),
            explicit: BTreeSet::new(),
            places: peers::Places::new(now),
            ways: Ways::new(now),
        };
        if let Some(why) = without_mdns {
            let address = "mdns".to_owned();
            task.outbox.say(Word::NotListening { address, why });
        }
        task.open(config);
        Ok((task, words, id))
    }

    /// Run until nobody gives orders any more.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let queue = self.outbox.queue();
        loop {
            let again = self.unsent.next_due();
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
                event = self.swarm.select_next_some(), if !self.outbox.is_full() => self.hear(event),
                _ = queue.reserve(), if self.outbox.is_waiting() => self.outbox.move_up(),
                Some(address) = self.seeds.recv() => self.found_text(&address, Source::Dns),
                () = at(again) => self.publish_unsent(),
                _ = tick.tick() => self.tick(),
            }
        }
        self.say_goodbye().await;
    }

    fn tick(&mut self) {
        let now = tokio::time::Instant::now();
        self.publish_unsent();
        self.give_up_asking(now);
        self.close_surplus(now);
        self.keep_ways_open(now);
        self.count_graylisted();
    }

    fn count_graylisted(&self) {
        let gossip = &self.swarm.behaviour().gossip;
        let scores = self.links.keys().filter_map(|peer| gossip.peer_score(peer));
        let graylisted = scores.filter(|score| *score < GRAYLIST_THRESHOLD).count();
        Counters::set(&self.counters.graylisted, graylisted);
    }

    async fn say_goodbye(mut self) {
        let flush = async {
            loop {
                self.swarm.select_next_some().await;
            }
        };
        let _flushed: Result<(), _> = tokio::time::timeout(FLUSH, flush).await;
        let peers: Vec<PeerId> = self.links.into_keys().collect();
        for peer in peers {
            // Fails if it is gone already.
            let _gone = self.swarm.disconnect_peer_id(peer);
        }
        let all_gone = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _late = tokio::time::timeout(GOODBYE, all_gone).await;
    }

    fn hear(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.hear_behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.connected(peer_id, connection_id, &endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                tracing::debug!(peer = %peer_id, ?cause, "a connection closed");
                self.disconnected(peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => self.dial_failed(connection_id, &error),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                Counters::add(&self.counters.incoming_failed, 1);
                tracing::debug!(%error, "an incoming connection failed");
            }
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => self.listening(listener_id, &address),
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } => {
                let why = reason.err().map(|error| error.to_string());
                self.listener_closed(listener_id, why.unwrap_or_else(|| "closed".to_owned()));
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::debug!(%error, "a listener had an error");
            }
            SwarmEvent::ExternalAddrConfirmed { address } => self.external(&address),
            SwarmEvent::ExternalAddrExpired { address } => self.external_no_more(&address),
            SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::IncomingConnection { .. }
            | SwarmEvent::Dialing { .. }
            | SwarmEvent::NewExternalAddrCandidate { .. }
            | SwarmEvent::NewExternalAddrOfPeer { .. } => {}
            // The enum may grow; what is new is nothing that we asked for.
            _ => {}
        }
    }

    fn hear_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gate(never)
            | BehaviourEvent::Limits(never)
            | BehaviourEvent::Memory(never)
            | BehaviourEvent::Blocked(never) => match never {},
            BehaviourEvent::Gossip(event) => self.hear_gossip(event),
            BehaviourEvent::Ask(event) => self.hear_ask(event),
            BehaviourEvent::Identify(event) => self.identified(event),
            BehaviourEvent::Ping(event) => self.pinged(&event),
            BehaviourEvent::RelayClient(event) => {
                tracing::debug!(?event, "relayed");
            }
            BehaviourEvent::Dcutr(event) => {
                tracing::debug!(?event, "a hole was punched or not");
            }
            BehaviourEvent::AutonatClient(event) => self.tried_from_outside(&event),
            BehaviourEvent::AutonatServer(event) => {
                tracing::trace!(?event, "tried whether somebody can be reached");
            }
            BehaviourEvent::RelayServer(event) => {
                tracing::debug!(?event, "we relay");
            }
            BehaviourEvent::Mdns(event) => self.hear_mdns(event),
            BehaviourEvent::Kad(event) => self.hear_kad(event),
        }
    }

    // --- who is connected

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let now = tokio::time::Instant::now();
        let Some(id) = from_peer(&peer) else {
            // Keys of other kinds are not built in, so this does not happen.
            self.swarm.close_connection(connection);
            return;
        };
        let remote = endpoint.get_remote_address().clone();
        let is_relayed = endpoint.is_relayed();
        let is_ours = endpoint.is_dialer();
        if is_ours {
            self.dial_worked(connection, &remote, peer, now);
        }
        let place = if is_relayed {
            None
        } else {
            convert::ip_of(&remote).and_then(convert::place_of)
        };
        let was_relayed = self.links.get(&peer).map(Link::is_relayed);
        let link = self.links.entry(peer).or_insert_with(|| Link {
            id,
            connections: BTreeMap::new(),
            allowance: PEER_BURST,
            allowed_at: now,
            excess: 0,
            asks: 0,
            relays: false,
        });
        let address = remote.to_string();
        link.connections.insert(
            connection,
            Connection {
                place,
                remote,
                is_relayed,
                is_ours,
                since: now,
            },
        );
        let shifted = match place {
            Some(place) if !self.friends.contains(&peer) => self.crowds.enter(place, peer),
            _ => Vec::new(),
        };
        self.apply_score(&peer);
        for other in shifted {
            self.apply_score(&other);
        }
        self.count_links();
        let is_new = was_relayed.is_none_or(|was_relayed| was_relayed && !is_relayed);
        if is_new {
            self.outbox.say(Word::Connected {
                peer: id,
                address,
                inbound: !is_ours,
                relayed: is_relayed,
            });
        }
    }

    fn disconnected(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        let closed = link.connections.remove(&connection);
        let now = tokio::time::Instant::now();
        let stood = closed
            .as_ref()
            .is_some_and(|closed| closed.since + STOOD <= now);
        let place = closed.and_then(|closed| closed.place);
        let still_there = link.connections.values().any(|c| c.place == place);
        let is_last = link.connections.is_empty();
        let id = link.id;
        if is_last {
            self.links.remove(&peer);
            self.friends.parted(&peer, stood, now, &mut self.chance);
            self.places.parted(&peer, stood, now, &mut self.chance);
        }
        if let Some(place) = place.filter(|_| !still_there) {
            for other in self.crowds.leave(place, &peer) {
                self.apply_score(&other);
            }
        }
        self.count_links();
        if is_last {
            self.outbox.say(Word::Disconnected { peer: id });
        }
    }

    /// One of two peers closes, or they would close different ones, and never under a question.
    fn close_surplus(&mut self, now: Instant) {
        let me = *self.swarm.local_peer_id();
        let links = self.links.iter();
        let surplus: Vec<ConnectionId> = links
            .filter(|(peer, link)| me < **peer && link.connections.len() > 1 && link.asks == 0)
            .filter(|(_, link)| self.asking.values().all(|asking| asking.to != link.id))
            .flat_map(|(_, link)| link.surplus(now))
            .collect();
        for connection in surplus {
            self.swarm.close_connection(connection);
        }
    }

    fn count_links(&mut self) {
        let connections = self.links.values().map(|link| link.connections.len()).sum();
        Counters::set(&self.counters.connections, connections);
        Counters::set(&self.counters.peers, self.links.len());
    }

    /// Tell gossip what is thought of a peer, and what its company costs it.
    fn apply_score(&mut self, peer: &PeerId) {
        let Some(link) = self.links.get(peer) else {
            return;
        };
        let thought = self.scores.get(peer).copied().unwrap_or(0.0);
        let company = if self.friends.contains(peer) {
            0.0
        } else {
            link.connections
                .values()
                .filter_map(|connection| connection.place)
                .map(|place| self.crowds.penalty(place))
                .fold(0.0, f64::min)
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.set_application_score(peer, thought + company);
    }

    fn pinged(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(_) | Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(peer = %event.peer, %error, "a peer does not answer");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    // --- what they brought

    fn hear_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => self.brought(propagation_source, message_id, message),
            gossipsub::Event::Subscribed { peer_id, .. } => self.apply_score(&peer_id),
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                Counters::add(&self.counters.slow, 1);
                // A stranger must not be able to slow us down.
                if self.friends.contains(&peer_id) {
                    self.unsent.slow_down(tokio::time::Instant::now());
                }
                if let Some(peer) = from_peer(&peer_id) {
                    self.outbox.say(Word::Slow { peer });
                }
            }
            gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn brought(
        &mut self,
        source: PeerId,
        message_id: gossipsub::MessageId,
        message: gossipsub::Message,
    ) {
        Counters::add(&self.counters.messages_in, 1);
        Counters::add(&self.counters.bytes_in, message.data.len());
        let now = tokio::time::Instant::now();
        let link = self.links.get_mut(&source);
        let from = from_peer(&source);
        let may = link.is_some_and(|link| link.may_bring(message.data.len(), now));
        let has_room = self.outbox.has_room(self.friends.contains(&source));
        let Some(from) = from.filter(|_| may && has_room) else {
            Counters::add(&self.counters.messages_dropped, 1);
            self.judge(&message_id, &source, MessageAcceptance::Ignore);
            self.close_if_flooding(&source);
            return;
        };
        let (handle, given_up) = self.judgements.wait(message_id, source, message.data.len());
        if let Some(oldest) = given_up {
            Counters::add(&self.counters.judgements_given_up, 1);
            self.judge(&oldest.message, &oldest.from, MessageAcceptance::Ignore);
        }
        Counters::set(&self.counters.judgements_pending, self.judgements.len());
        self.outbox.say(Word::Message {
            message: handle,
            from,
            topic: message.topic.into_string(),
            bytes: message.data,
        });
    }

    fn close_if_flooding(&mut self, peer: &PeerId) {
        let excess = self.links.get(peer).map_or(0, |link| link.excess);
        if excess > PEER_EXCESS_MAX && !self.friends.contains(peer) {
            tracing::debug!(%peer, "a peer brings far too much");
            let gate = &mut self.swarm.behaviour_mut().gate;
            if gate.send_away(*peer, tokio::time::Instant::now()) {
                Counters::add(&self.counters.flooders, 1);
            }
            let _gone = self.swarm.disconnect_peer_id(*peer);
        }
    }

    fn judge(&mut self, message: &gossipsub::MessageId, from: &PeerId, verdict: MessageAcceptance) {
        // False if gossip has forgotten it meanwhile, which hurts nobody.
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(message, from, verdict);
    }

    // --- questions and answers

    fn hear_ask(&mut self, event: request_response::Event<Vec<u8>, Answer>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request {
                    request_id,
                    request,
                    channel,
                } => self.asked(peer, request_id, request, channel),
                request_response::Message::Response {
                    request_id,
                    response,
                } => {
                    let answer = match response {
                        Answer::Bytes(bytes) => Ok(bytes),
                        Answer::Refused => Err("refused".to_owned()),
                    };
                    self.answered(request_id, answer);
                }
            },
            request_response::Event::OutboundFailure {
                request_id, error, ..
            } => self.answered(request_id, Err(error.to_string())),
            request_response::Event::InboundFailure {
                request_id, error, ..
            } => {
                tracing::debug!(%error, "a question came to nothing");
                let channel = self
                    .asked
                    .iter()
                    .find(|(_, asked)| asked.request == request_id)
                    .map(|(channel, _)| *channel);
                if let Some(channel) = channel {
                    self.take_asked(channel);
                }
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn asked(
        &mut self,
        peer: PeerId,
        request: InboundRequestId,
        bytes: Vec<u8>,
        channel: ResponseChannel<Answer>,
    ) {
        let has_room =
            self.asked.len() < ASKED_MAX && self.asked_bytes + bytes.len() <= ASKED_BYTES_MAX;
        let link = self.links.get_mut(&peer);
        let link = link.filter(|link| has_room && link.asks < ASKED_BY_ONE_MAX);
        let Some(link) = link else {
            Counters::add(&self.counters.asks_refused, 1);
            // Fails if it has given up already.
            let ask = &mut self.swarm.behaviour_mut().ask;
            let _late = ask.send_response(channel, Answer::Refused);
            return;
        };
        link.asks += 1;
        self.asked_bytes += bytes.len();
        let from = link.id;
        let number = self.asked_next;
        self.asked_next += 1;
        self.asked.insert(
            number,
            Asked {
                channel,
                request,
                from: peer,
                bytes: bytes.len(),
            },
        );
        Counters::set(&self.counters.asks_pending, self.asked.len());
        self.outbox.say(Word::Asked {
            channel: number,
            from,
            bytes,
        });
    }

    /// A question that is done with.
    fn take_asked(&mut self, channel: u64) -> Option<Asked> {
        let asked = self.asked.remove(&channel)?;
        self.asked_bytes -= asked.bytes;
        if let Some(link) = self.links.get_mut(&asked.from) {
            link.asks = link.asks.saturating_sub(1);
        }
        Counters::set(&self.counters.asks_pending, self.asked.len());
        Some(asked)
    }

    fn answered(&mut self, request: OutboundRequestId, answer: Result<Vec<u8>, String>) {
        // None if it was given up before.
        if let Some(asking) = self.asking.remove(&request) {
            self.outbox.say(Word::Answered {
                id: asking.id,
                from: asking.to,
                answer,
            });
        }
    }

    fn give_up_asking(&mut self, now: Instant) {
        while let Some(request) = self
            .asking
            .iter()
            .find(|(_, asking)| asking.until <= now)
            .map(|(request, _)| *request)
        {
            self.answered(request, Err("no answer in time".to_owned()));
        }
    }
}

/// Wait until then, or for ever.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(now: Instant) -> Link {
        Link {
            id: TransportId::from_bytes([0; 32]),
            connections: BTreeMap::new(),
            allowance: PEER_BURST,
            allowed_at: now,
            excess: 0,
            asks: 0,
            relays: false,
        }
    }

    fn task() -> (Task, mpsc::Receiver<Word>) {
        let config = NetConfig::new(zeroize::Zeroizing::new([1; 32]));
        let (_orders, taken) = mpsc::channel(1);
        let counters = Arc::new(Counters::default());
        let (task, words, _) = Task::new(&config, Way::Memory, taken, counters).unwrap();
        (task, words)
    }

    fn connect(task: &mut Task, peer: PeerId, connection: usize, from: &str) {
        let endpoint = ConnectedPoint::Listener {
            local_addr: "/ip4/10.0.0.1/tcp/4747".parse().unwrap(),
            send_back_addr: from.parse().unwrap(),
        };
        task.connected(peer, ConnectionId::new_unchecked(connection), &endpoint);
    }

    fn somebody() -> PeerId {
        libp2p::identity::Keypair::generate_ed25519()
            .public()
            .to_peer_id()
    }

    #[tokio::test]
    async fn when_nobody_listens_messages_are_dropped_and_nothing_else() {
        let (mut task, mut words) = task();
        let bring = |task: &mut Task, n: usize, peer: PeerId| {
            let data = n.to_string().into_bytes();
            let message = gossipsub::Message {
                source: None,
                data: data.clone(),
                sequence_number: None,
                topic: gossipsub::TopicHash::from_raw("topic"),
            };
            task.brought(peer, gossipsub::MessageId::new(&data), message);
        };
        for n in 0..6000 {
            // Each brings few, so that it is the queue that is full.
            let peer = somebody();
            connect(&mut task, peer, n, "/ip4/9.9.9.9/tcp/1");
            bring(&mut task, n, peer);
            task.disconnected(peer, ConnectionId::new_unchecked(n));
        }
        let figures = task.counters.figures();
        assert_eq!(figures.messages_in, 6000);
        assert!(figures.messages_dropped > 2000, "{figures:?}");
        assert_eq!(figures.judgements_pending, 6000 - figures.messages_dropped);
        assert!(task.outbox.is_full(), "the swarm pauses");
        let (mut came, mut went, mut messages) = (0, 0, 0);
        while let Ok(word) = words.try_recv() {
            task.outbox.move_up();
            match word {
                Word::Connected { .. } => came += 1,
                Word::Disconnected { .. } => went += 1,
                Word::Message { .. } => messages += 1,
                _ => {}
            }
        }
        assert_eq!((came, went), (6000, 6000));
        assert_eq!(messages, figures.judgements_pending);
        // A stranger to us, as if its connection were gone already: no panic, no word.
        bring(&mut task, 7000, somebody());
        assert!(words.try_recv().is_err());
        assert!(task.links.is_empty());
    }

    #[tokio::test]
    async fn a_crowd_pays_and_a_friend_does_not() {
        let (mut task, _words) = task();
        let peers: Vec<PeerId> = (0..8).map(|_| somebody()).collect();
        for (n, peer) in peers.iter().enumerate() {
            connect(&mut task, *peer, n, "/ip6/2a00:1:2:3::4/tcp/1");
        }
        let place = convert::place_of("2a00:1:2:ffff::1".parse().unwrap()).unwrap();
        assert_eq!(task.crowds.penalty(place), -45.0);
        let friend = from_peer(&peers[0]).unwrap();
        let addresses = Vec::new();
        task.obey(Order::Befriend {
            explicit: true,
            peer: friend,
            addresses,
        });
        assert_eq!(task.crowds.penalty(place), -20.0);
        task.obey(Order::Unfriend { peer: friend });
        assert_eq!(task.crowds.penalty(place), -45.0);
        for (n, peer) in peers.iter().enumerate() {
            task.disconnected(*peer, ConnectionId::new_unchecked(n));
        }
        assert_eq!(task.crowds.penalty(place), 0.0);
        assert!(task.links.is_empty());
    }

    #[test]
    fn of_several_connections_the_oldest_direct_one_stays() {
        let now = tokio::time::Instant::now();
        let mut link = link(now);
        for (n, is_relayed, age_s) in [
            (1, true, 100),
            (2, false, 50),
            (3, false, 40),
            (4, false, 5),
        ] {
            let connection = Connection {
                place: None,
                remote: "/ip4/9.9.9.9/tcp/1".parse().unwrap(),
                is_relayed,
                is_ours: false,
                since: now - Duration::from_secs(age_s),
            };
            let id = ConnectionId::new_unchecked(n);
            link.connections.insert(id, connection);
        }
        let ids = |ids: &[usize]| -> Vec<ConnectionId> {
            ids.iter()
                .map(|n| ConnectionId::new_unchecked(*n))
                .collect()
        };
        assert_eq!(link.surplus(now), ids(&[3, 1]));
        link.connections.retain(|_, c| c.is_relayed);
        assert!(link.surplus(now).is_empty());
    }

    #[test]
    fn nobody_brings_more_than_is_bounded() {
        let mut now = tokio::time::Instant::now();
        let mut busy = link(now);
        let taken = (0..5000).filter(|_| busy.may_bring(200, now)).count();
        assert_eq!(taken, PEER_BURST as usize);
        assert!(busy.excess > PEER_EXCESS_MAX, "it is sent away");
        // Whoever brings what a large network brings is heard, day after day.
        let mut honest = link(now);
        for _ in 0..100_000 {
            now += Duration::from_millis(40);
            assert!(honest.may_bring(300, now));
        }
        assert_eq!(honest.excess, 0);
        // Long messages count for more.
        let mut wordy = link(now);
        let taken = (0..5000)
            .filter(|_| wordy.may_bring(16 * 1024, now))
            .count();
        assert!(taken < 130, "{taken}");
    }
}
