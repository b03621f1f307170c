//! Ways to others and from them: what we listen at, whether anybody reaches it, whom we dial, who was found.
//!
//! Nothing here trusts what it is told: a place is dialled, and whoever is there says who it is with its key. If we
//! cannot be reached, a volunteer relays for us. The order of dials is in `peers`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, autonat, identify, kad, mdns, relay};
use tokio::time::Instant;

use super::super::behaviour::KAD;
use super::super::convert::{self, Reach, reach_of, with_peer};
use super::super::figures::Counters;
use super::super::peers::{ENOUGH, Source};
use super::super::{NetConfig, Word};
use super::Task;

/// How many addresses the config may have of each kind.
const ADDRESSES_MAX: usize = 256;
/// How many of a peer's own addresses are believed to be worth a try.
const TOLD_MAX: usize = 8;
/// How many peers are taken from one answer of the local network or the table.
const FOUND_MAX: usize = 16;
/// How many found addresses are remembered, so that none is told twice. When full, all are forgotten.
const TOLD_BEFORE_MAX: usize = 2048;
/// How many relays we ask to relay for us.
const RELAYS_MAX: usize = 2;
/// After so long without a word on whether we are reached, a relay cannot hurt.
const RELAY_ANYWAY: Duration = Duration::from_secs(60);
/// The first pause before something is tried again, doubled each time up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The longest pause between two looks into the table.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(600);
/// How often we say in the table that we are here.
const PROVIDE_EVERY: Duration = Duration::from_secs(3600);
/// Everybody who is here is here under this key of the table.
const RENDEZVOUS: &[u8] = b"lymph rendezvous 1";

/// Something to listen at.
#[derive(Debug)]
struct Listener {
    address: Multiaddr,
    id: Option<ListenerId>,
    failures: u32,
    next: Instant,
}

/// Why a connection was dialled.
#[derive(Debug)]
enum Dial {
    /// Somebody said a peer is here.
    Place(Multiaddr),
    /// The table said that this peer is about.
    Kad,
}

/// What is listened at, dialled and found.
#[derive(Debug)]
pub(super) struct Ways {
    started: Instant,
    listeners: Vec<Listener>,
    relays: Vec<(ListenerId, PeerId)>,
    relays_next: Instant,
    /// Where we are reached without a relay.
    external: BTreeSet<Multiaddr>,
    is_told_external: bool,
    reachable: Option<bool>,
    dials: BTreeMap<ConnectionId, Dial>,
    told: BTreeSet<Multiaddr>,
    looks: u32,
    look_next: Option<Instant>,
    provide_next: Instant,
}

impl Ways {
    pub(super) fn new(now: Instant) -> Self {
        Ways {
            started: now,
            listeners: Vec::new(),
            relays: Vec::new(),
            relays_next: now,
            external: BTreeSet::new(),
            is_told_external: false,
            reachable: None,
            dials: BTreeMap::new(),
            told: BTreeSet::new(),
            looks: 0,
            look_next: None,
            provide_next: now,
        }
    }
}

fn pause_after(failures: u32, longest: Duration) -> Duration {
    PAUSE.saturating_mul(1 << failures.min(16)).min(longest)
}

impl Task {
    /// Listen, and note whom the config names.
    pub(super) fn open(&mut self, config: &NetConfig) {
        let now = tokio::time::Instant::now();
        for text in config.listen.iter().take(ADDRESSES_MAX) {
            match listenable(text) {
                Ok(address) => self.ways.listeners.push(Listener {
                    address,
                    id: None,
                    failures: 0,
                    next: now,
                }),
                Err(why) => self.outbox.say(Word::NotListening {
                    address: text.clone(),
                    why: why.to_owned(),
                }),
            }
        }
        self.listen(now);
        for text in config.external.iter().take(ADDRESSES_MAX) {
            let Some(address) = convert::address(text) else {
                tracing::warn!(address = text, "not a multiaddr");
                continue;
            };
            self.ways.is_told_external = true;
            self.swarm.add_external_address(address.clone());
            self.reached_at(address);
        }
        for text in config.static_peers.iter().take(ADDRESSES_MAX) {
            self.found_text(text, Source::Static);
        }
        for text in config.cached_peers.iter().take(ADDRESSES_MAX) {
            self.found_text(text, Source::Cached);
        }
    }

    /// What is due now.
    pub(super) fn keep_ways_open(&mut self, now: Instant) {
        self.listen(now);
        self.ask_relays(now);
        self.dial_friends(now);
        self.dial_places(now);
        self.look_into_table(now);
    }

    // --- from others to us

    fn listen(&mut self, now: Instant) {
        let mut failed = Vec::new();
        for listener in &mut self.ways.listeners {
            if listener.id.is_some() || listener.next > now {
                continue;
            }
            match self.swarm.listen_on(listener.address.clone()) {
                Ok(id) => listener.id = Some(id),
                Err(error) => failed.push((listener.address.clone(), error.to_string())),
            }
        }
        for (address, why) in failed {
            self.not_listening(&address, why, now);
        }
    }

    fn not_listening(&mut self, address: &Multiaddr, why: String, now: Instant) {
        let jitter = self.chance.jitter();
        let listener = self.ways.listeners.iter_mut();
        let Some(listener) = listener.into_iter().find(|l| l.address == *address) else {
            return;
        };
        listener.id = None;
        listener.next = now + pause_after(listener.failures, PAUSE_MAX).mul_f64(jitter);
        listener.failures = listener.failures.saturating_add(1);
        // It is tried again and again, but said once.
        if listener.failures == 1 {
            let address = address.to_string();
            self.outbox.say(Word::NotListening { address, why });
        }
    }

    pub(super) fn listening(&mut self, id: ListenerId, address: &Multiaddr) {
        let mut listeners = self.ways.listeners.iter_mut();
        if let Some(listener) = listeners.find(|listener| listener.id == Some(id)) {
            listener.failures = 0;
        }
        let address = address.to_string();
        self.outbox.say(Word::Listening { address });
    }

    pub(super) fn listener_closed(&mut self, id: ListenerId, why: String) {
        let now = tokio::time::Instant::now();
        tracing::debug!(why, "a listener closed");
        self.ways.relays.retain(|(relay, _)| *relay != id);
        let listeners = &self.ways.listeners;
        let address = listeners
            .iter()
            .find(|listener| listener.id == Some(id))
            .map(|listener| listener.address.clone());
        if let Some(address) = address {
            self.not_listening(&address, why, now);
        }
    }

    pub(super) fn external(&mut self, address: &Multiaddr) {
        self.outbox.say(Word::External {
            address: address.to_string(),
        });
        // A neighbour reaches us at a private address, which says nothing about the world.
        if !convert::is_relayed(address) && reach_of(address) == Reach::World {
            self.reached_at(address.clone());
            self.set_reachable(Some(true));
        }
    }

    fn reached_at(&mut self, address: Multiaddr) {
        self.ways.external.insert(address);
        self.serve_table(kad::Mode::Server);
    }

    pub(super) fn external_no_more(&mut self, address: &Multiaddr) {
        if self.ways.external.remove(address) && self.ways.external.is_empty() {
            self.serve_table(kad::Mode::Client);
            self.set_reachable(None);
        }
    }

    pub(super) fn tried_from_outside(&mut self, event: &autonat::v2::client::Event) {
        match &event.result {
            // The swarm says where in an event of its own.
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(address = %event.tested_addr, ?error, "not reached from outside");
                if self.ways.external.is_empty() {
                    self.set_reachable(Some(false));
                }
            }
        }
    }

    fn set_reachable(&mut self, yes: Option<bool>) {
        if self.ways.reachable != yes {
            self.ways.reachable = yes;
            self.outbox.say(Word::Reachable { yes });
        }
        if yes == Some(true) {
            // Others need the volunteers more.
            for (relay, _) in std::mem::take(&mut self.ways.relays) {
                self.swarm.remove_listener(relay);
            }
        }
    }

    /// Have somebody relay for us if nobody reaches us.
    fn ask_relays(&mut self, now: Instant) {
        let unreached = match self.ways.reachable {
            Some(yes) => !yes,
            None => now > self.ways.started + RELAY_ANYWAY,
        };
        let needed = unreached
            && !self.ways.is_told_external
            && self.ways.external.is_empty()
            && self.ways.relays.len() < RELAYS_MAX
            && self.ways.relays_next <= now;
        if !needed {
            return;
        }
        let relays = self.links.iter().filter(|(_, link)| link.relays);
        let mut unused = relays.filter(|(peer, _)| {
            let mut used = self.ways.relays.iter();
            !used.any(|(_, relay)| relay == *peer)
        });
        let found = unused.find_map(|(peer, link)| {
            let mut direct = link.connections.values();
            let direct = direct.find(|c| c.is_ours && !c.is_relayed)?;
            Some((*peer, with_peer(direct.remote.clone(), *peer)))
        });
        self.ways.relays_next = now + Duration::from_secs(10).mul_f64(self.chance.jitter());
        let Some((peer, address)) = found else {
            return;
        };
        match self.swarm.listen_on(address.with(Protocol::P2pCircuit)) {
            Ok(id) => self.ways.relays.push((id, peer)),
            Err(error) => tracing::debug!(%peer, %error, "a relay cannot be asked"),
        }
    }

    // --- from us to others

    pub(super) fn dial_friends(&mut self, now: Instant) {
        let links = &self.links;
        let blocked = self.swarm.behaviour().blocked.blocked_peers();
        let is_known = |peer: &PeerId| links.contains_key(peer) || blocked.contains(peer);
        for (peer, addresses) in self.friends.due(now, &mut self.chance, is_known) {
            let dial = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses)
                .extend_addresses_through_behaviour()
                .build();
            if let Err(error) = self.swarm.dial(dial) {
                tracing::debug!(%peer, %error, "a friend cannot be dialled");
            }
        }
    }

    pub(super) fn dial_places(&mut self, now: Instant) {
        while self.wants_more() {
            let me = *self.swarm.local_peer_id();
            let links = &self.links;
            let blocked = self.swarm.behaviour().blocked.blocked_peers();
            let is_known =
                |peer: &PeerId| *peer == me || links.contains_key(peer) || blocked.contains(peer);
            let Some(place) = self.places.next(now, &mut self.chance, is_known) else {
                return;
            };
            let dial = match place.peer {
                Some(peer) => DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(vec![place.address.clone()])
                    .build(),
                None => DialOpts::unknown_peer_id()
                    .address(place.address.clone())
                    .build(),
            };
            let connection = dial.connection_id();
            match self.swarm.dial(dial) {
                Ok(()) => {
                    self.ways
                        .dials
                        .insert(connection, Dial::Place(place.address));
                }
                Err(error) => {
                    tracing::debug!(address = %place.address, %error, "cannot be dialled");
                    self.places.failed(&place.address, now, &mut self.chance);
                }
            }
        }
    }

    /// Whether we have fewer connections of our own than are enough.
    fn wants_more(&self) -> bool {
        let ours = self
            .links
            .iter()
            .filter(|(peer, link)| link.is_ours() && !self.friends.contains(peer));
        ours.count() + self.ways.dials.len() < ENOUGH
    }

    pub(super) fn dial_worked(
        &mut self,
        connection: ConnectionId,
        remote: &Multiaddr,
        peer: PeerId,
        now: Instant,
    ) {
        match self.ways.dials.remove(&connection) {
            Some(Dial::Place(address)) => self.places.met(&address, peer, now),
            Some(Dial::Kad) => {
                let address = with_peer(remote.clone(), peer);
                self.tell_found(address, Source::Kad.name());
            }
            None => {}
        }
    }

    pub(super) fn dial_failed(&mut self, connection: ConnectionId, error: &DialError) {
        Counters::add(&self.counters.dials_failed, 1);
        tracing::debug!(%error, "a dial failed");
        if let Some(Dial::Place(address)) = self.ways.dials.remove(&connection) {
            let now = tokio::time::Instant::now();
            self.places.failed(&address, now, &mut self.chance);
        }
    }

    // --- who was found

    /// Somebody said that a peer is here.
    pub(super) fn found_text(&mut self, text: &str, source: Source) {
        match convert::address(text) {
            Some(address) => {
                if source == Source::Dns {
                    self.tell_found(address.clone(), source.name());
                }
                self.found(address, source);
            }
            None => tracing::debug!(source = source.name(), "not a multiaddr"),
        }
    }

    fn found(&mut self, address: Multiaddr, source: Source) {
        let now = tokio::time::Instant::now();
        self.places.add(address, source, now, &mut self.chance);
    }

    fn tell_found(&mut self, address: Multiaddr, how: &'static str) {
        if self.ways.told.len() >= TOLD_BEFORE_MAX {
            self.ways.told.clear();
        }
        if self.ways.told.insert(address.clone()) {
            let address = address.to_string();
            self.outbox.say(Word::Found { address, how });
        }
    }

    pub(super) fn identified(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else {
            return;
        };
        let Some(link) = self.links.get_mut(&peer_id) else {
            return;
        };
        link.relays = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        // An address is worth a try if it reaches as far as the one that we are connected by.
        let near = link.connections.values().map(|c| reach_of(&c.remote)).max();
        let near = near.unwrap_or(Reach::World);
        let in_table = info.protocols.contains(&KAD);
        for address in info.listen_addrs.into_iter().take(TOLD_MAX) {
            if address.len() > convert::ADDRESS_BYTES_MAX || reach_of(&address) < near {
                continue;
            }
            if in_table && let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
                kad.inner.add_address(&peer_id, address.clone());
            }
            self.tell_found(with_peer(address, peer_id), "identify");
        }
    }

    pub(super) fn hear_mdns(&mut self, event: mdns::Event) {
        match event {
            mdns::Event::Discovered(found) => {
                for (peer, address) in found.into_iter().take(FOUND_MAX) {
                    let address = with_peer(address, peer);
                    self.tell_found(address.clone(), Source::Mdns.name());
                    self.found(address, Source::Mdns);
                }
            }
            // Whoever is gone will not answer a dial.
            mdns::Event::Expired(_) => {}
        }
    }

    // --- the table

    fn serve_table(&mut self, mode: kad::Mode) {
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
            kad.inner.set_mode(Some(mode));
        }
    }

    pub(super) fn hear_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::RoutingUpdated { is_new_peer, .. } => {
                if is_new_peer && self.ways.look_next.is_none() {
                    self.ways.look_next = Some(tokio::time::Instant::now() + PAUSE);
                }
            }
            kad::Event::InboundRequest {
                request:
                    kad::InboundRequest::AddProvider {
                        record: Some(record),
                    },
            } => self.keep_provider(record),
            kad::Event::OutboundQueryProgressed {
                result:
                    kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
                        providers,
                        ..
                    })),
                ..
            } => {
                for peer in providers.into_iter().take(FOUND_MAX) {
                    self.dial_found(peer);
                }
            }
            kad::Event::InboundRequest { .. }
            | kad::Event::OutboundQueryProgressed { .. }
            | kad::Event::UnroutablePeer { .. }
            | kad::Event::RoutablePeer { .. }
            | kad::Event::PendingRoutablePeer { .. }
            | kad::Event::ModeChanged { .. } => {}
        }
    }

    /// The table keeps who is here, and nothing else for anybody.
    fn keep_provider(&mut self, record: kad::ProviderRecord) {
        use kad::store::RecordStore;
        if record.key.as_ref() != RENDEZVOUS || record.addresses.len() > TOLD_MAX {
            return;
        }
        if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut()
            && let Err(error) = kad.inner.store_mut().add_provider(record)
        {
            tracing::debug!(%error, "the table is full");
        }
    }

    /// The table knows the addresses while the question is under way, so this dials at once.
    fn dial_found(&mut self, peer: PeerId) {
        let me = *self.swarm.local_peer_id();
        let blocked = self.swarm.behaviour().blocked.blocked_peers();
        let is_known = peer == me || self.links.contains_key(&peer) || blocked.contains(&peer);
        if is_known || !self.wants_more() {
            return;
        }
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .build();
        let connection = dial.connection_id();
        match self.swarm.dial(dial) {
            Ok(()) => {
                self.ways.dials.insert(connection, Dial::Kad);
            }
            Err(error) => tracing::debug!(%peer, %error, "cannot be dialled"),
        }
    }

    fn look_into_table(&mut self, now: Instant) {
        let wants_more = self.wants_more();
        if self.ways.look_next.is_none_or(|next| next > now) {
            return;
        }
        let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() else {
            return;
        };
        let pause = pause_after(self.ways.looks, LOOK_PAUSE_MAX);
        self.ways.look_next = Some(now + pause.mul_f64(self.chance.jitter()));
        self.ways.looks = self.ways.looks.saturating_add(1);
        let key = kad::RecordKey::new(&RENDEZVOUS);
        if !self.ways.external.is_empty() && self.ways.provide_next <= now {
            self.ways.provide_next = now + PROVIDE_EVERY;
            if let Err(error) = kad.inner.start_providing(key.clone()) {
                tracing::debug!(%error, "we cannot say that we are here");
            }
        }
        if wants_more {
            kad.inner.get_providers(key);
        }
    }
}

/// An address to listen at, or why it cannot be one.
fn listenable(text: &str) -> Result<Multiaddr, &'static str> {
    let address = convert::address(text).ok_or("not a multiaddr")?;
    let is_quic = address
        .iter()
        .any(|part| matches!(part, Protocol::Quic | Protocol::QuicV1));
    if is_quic && !cfg!(feature = "quic") {
        return Err("built without QUIC");
    }
    Ok(address)
}
