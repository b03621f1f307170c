//! Between the engine's mesh and the wire: actions become orders, words become inputs, signatures are checked beside the
//! loop, and the addresses at which this machine can be reached are told.
//!
//! Deciding is the engine's. What is here is bounded: orders that find the wire busy wait in a queue, the oldest of what
//! can be lost (gossip) goes first when that is full; signatures wait in a channel as long as the engine lets them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};

use lymph_protocol::TransportId;
use lymph_protocol::signed::{BadSignature, Object, Signed, Verified};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::net::{Acceptance, Figures, MessageHandle, Net, NetConfig, Order, Word};
use crate::config::MeshSettings;
use crate::engine::mesh::{Input, Judgement, Net as Wish};

/// Orders that wait for the wire.
const ORDERS_MAX: usize = 8_192;
/// Signatures that wait to be checked; the engine asks for no more than it may have open.
const SIGNATURES_MAX: usize = 4_096;
/// Threads that check them: one core verifies 20,000 a second, so two are for bursts.
const CHECKERS: usize = 2;
/// Peers that are remembered for the next start.
const CACHE_MAX: usize = 128;
/// How often they are written down, in looks of a second.
const CACHE_EVERY: u32 = 60;

type Checked = (u64, Result<Verified<Object>, BadSignature>);

/// This machine's end of the network.
#[derive(Debug)]
pub(super) struct Network {
    key: Zeroizing<[u8; 32]>,
    settings: MeshSettings,
    state: PathBuf,
    net: Option<Net>,
    /// Why there is none, if there should be one.
    pub(super) failure: Option<String>,
    waiting: VecDeque<Order>,
    to_check: std_mpsc::SyncSender<(u64, Signed<Object>)>,
    checked: mpsc::Receiver<Checked>,
    connected: BTreeSet<TransportId>,
    listening: BTreeSet<String>,
    external: BTreeSet<String>,
    not_listening: BTreeMap<String, String>,
    reachable: Option<bool>,
    cache: VecDeque<String>,
    cache_is_new: bool,
    looks: u32,
    pub(super) lost_orders: u64,
    /// What comes right after what was said last.
    pending: VecDeque<Input>,
}

impl Network {
    /// Listen and dial as the settings say. `is_public` has strangers found and finds them.
    pub(super) fn start(
        settings: MeshSettings,
        state: &Path,
        key: Zeroizing<[u8; 32]>,
        is_public: bool,
    ) -> Self {
        let (to_check, checked) = checkers();
        let cache = read_cache(&state.join("peers.cache"));
        let mut network = Network {
            key,
            settings,
            state: state.to_owned(),
            net: None,
            failure: None,
            waiting: VecDeque::new(),
            to_check,
            checked,
            connected: BTreeSet::new(),
            listening: BTreeSet::new(),
            external: BTreeSet::new(),
            not_listening: BTreeMap::new(),
            reachable: None,
            cache,
            cache_is_new: false,
            looks: 0,
            lost_orders: 0,
            pending: VecDeque::new(),
        };
        network.open(is_public);
        network
    }

    fn open(&mut self, is_public: bool) {
        let config = NetConfig {
            listen: self.settings.listen.clone(),
            external: self.settings.external.clone(),
            static_peers: self.settings.peers.clone(),
            // Strangers are looked for only by who wants to hear them.
            cached_peers: if is_public {
                self.cache.iter().cloned().collect()
            } else {
                Vec::new()
            },
            dns_seeds: if is_public {
                self.settings.dns_seeds.clone()
            } else {
                Vec::new()
            },
            mdns: self.settings.mdns,
            kademlia: is_public && self.settings.kademlia,
            relay_server: self.settings.relay,
            ..NetConfig::new(self.key.clone())
        };
        // Other tests share the process.
        #[cfg(test)]
        let config = NetConfig {
            memory_bytes_max: usize::MAX,
            ..config
        };
        match Net::start(config) {
            Ok(net) => (self.net, self.failure) = (Some(net), None),
            Err(error) => {
                let why = format!("the mesh cannot be started: {error}");
                tracing::error!("{why}");
                self.failure = Some(why);
            }
        }
    }

    /// Begin anew, for another audience. What is to be told of those who were connected is returned.
    pub(super) async fn reopen(&mut self, is_public: bool) -> Vec<Input> {
        if let Some(net) = self.net.take() {
            net.stop().await;
        }
        self.waiting.clear();
        self.listening.clear();
        self.external.clear();
        self.open(is_public);
        std::mem::take(&mut self.connected)
            .into_iter()
            .map(Input::Disconnected)
            .collect()
    }

    /// What the wire says next or a signature that was checked, as far as the engine should know. Can be dropped while it
    /// waits.
    pub(super) async fn event(&mut self) -> Option<Input> {
        let Some(net) = &mut self.net else {
            return std::future::pending().await;
        };
        if let Some(input) = self.pending.pop_front() {
            return Some(input);
        }
        tokio::select! {
            Some((number, object)) = self.checked.recv() => Some(Input::Verified { number, object }),
            word = net.word() => match word {
                Some(word) => self.heard(word),
                None => {
                    self.net = None;
                    self.failure = Some("the mesh has stopped; restart lymph".to_owned());
                    tracing::error!("the mesh has stopped; restart lymph");
                    None
                }
            },
        }
    }

    fn heard(&mut self, word: Word) -> Option<Input> {
        let input = match word {
            Word::Listening { address } => {
                self.not_listening.clear();
                let is_new = self.listening.insert(address.clone());
                if is_new && !address.contains("/127.0.0.1/") && !address.contains("/::1/") {
                    tracing::info!("the mesh listens at {address}");
                }
                Input::Reachable(self.addresses())
            }
            Word::NotListening { address, why } => {
                let is_news = self
                    .not_listening
                    .insert(address.clone(), why.clone())
                    .is_none();
                if is_news {
                    tracing::warn!("the mesh does not listen at {address}: {why}");
                }
                if !self.listening.remove(&address) {
                    return None;
                }
                Input::Reachable(self.addresses())
            }
            Word::External { address } => {
                let is_new = self.external.insert(without_peer(&address));
                while self.external.len() > 16 {
                    self.external.pop_first();
                }
                if !is_new {
                    return None;
                }
                Input::Reachable(self.addresses())
            }
            Word::Reachable { yes } => {
                self.reachable = yes;
                return None;
            }
            Word::Connected {
                peer,
                address,
                inbound,
                relayed,
            } => {
                if !inbound && !relayed {
                    self.remember(format!(
                        "{}/p2p/{}",
                        without_peer(&address),
                        super::net::peer_text(peer)
                    ));
                }
                let is_new = self.connected.insert(peer);
                let seen = ip_of(&address).filter(|_| !relayed);
                let seen = seen.map(|ip| Input::SeenAt(peer, ip));
                if !is_new {
                    return seen;
                }
                self.pending.extend(seen);
                Input::Connected(peer)
            }
            Word::Disconnected { peer } => {
                self.connected.remove(&peer);
                Input::Disconnected(peer)
            }
            Word::Message {
                message,
                from,
                topic,
                bytes,
            } => Input::Frame {
                message: message.number(),
                from,
                topic,
                bytes,
            },
            Word::Asked {
                channel,
                from,
                bytes,
            } => Input::Asked {
                channel,
                from,
                bytes,
            },
            Word::Answered { id, answer, .. } => Input::Answered { number: id, answer },
            Word::Slow { peer } => {
                tracing::debug!("a peer is slow: {}", super::net::peer_text(peer));
                return None;
            }
            Word::NotPublished { topic, why } => {
                // Whoever comes later hears it by catching up.
                tracing::debug!("nobody hears {topic}: {why}");
                return None;
            }
            Word::Found { address, how } => {
                tracing::debug!("{how} found {address}");
                return None;
            }
        };
        Some(input)
    }

    /// Have the wire do what the engine wants.
    pub(super) fn carry(&mut self, wishes: impl Iterator<Item = Wish>) {
        for wish in wishes {
            let order = match wish {
                Wish::Verify { number, object } => {
                    // Full: it is as if the signature were wrong for nobody's fault; the engine forgets it by its cap.
                    if self.to_check.try_send((number, object)).is_err() {
                        self.lost_orders += 1;
                    }
                    continue;
                }
                Wish::Judge { message, verdict } => Order::Judge {
                    message: MessageHandle::from_number(message),
                    verdict: match verdict {
                        Judgement::Accept => Acceptance::Accept,
                        Judgement::Ignore => Acceptance::Ignore,
                        Judgement::Reject => Acceptance::Reject,
                    },
                },
                // Whom we know gets everything anyway; nobody else is to get more than gossip needs.
                Wish::Join(topic) => Order::Join {
                    topic,
                    flood: false,
                },
                Wish::Leave(topic) => Order::Leave { topic },
                Wish::Publish { topic, bytes } => Order::Publish { topic, bytes },
                Wish::Befriend {
                    peer,
                    addresses,
                    is_mutual,
                } => Order::Befriend {
                    peer,
                    addresses,
                    explicit: is_mutual,
                },
                Wish::Unfriend(peer) => Order::Unfriend { peer },
                Wish::Score { peer, score } => Order::Score {
                    peer,
                    score: score.into(),
                },
                Wish::Block(peer) => Order::Block { peer },
                Wish::Unblock(peer) => Order::Unblock { peer },
                Wish::Ask {
                    number,
                    peer,
                    addresses,
                    bytes,
                } => Order::Ask {
                    id: number,
                    peer,
                    addresses,
                    bytes,
                },
                Wish::Reply { channel, bytes } => Order::Reply { channel, bytes },
            };
            if self.net.is_none() {
                continue;
            }
            if self.waiting.len() >= ORDERS_MAX {
                let loses = |order: &Order| {
                    matches!(
                        order,
                        Order::Judge { .. } | Order::Publish { .. } | Order::Reply { .. }
                    )
                };
                let at = self.waiting.iter().position(loses).unwrap_or(0);
                self.waiting.remove(at);
                self.lost_orders += 1;
            }
            self.waiting.push_back(order);
        }
        self.flush();
    }

    fn flush(&mut self) {
        let Some(net) = &self.net else { return };
        while let Some(order) = self.waiting.pop_front() {
            if !net.order(order.clone()) {
                self.waiting.push_front(order);
                return;
            }
        }
    }

    /// Once a second.
    pub(super) fn look_after(&mut self) {
        self.flush();
        self.looks += 1;
        if self.cache_is_new && self.looks.is_multiple_of(CACHE_EVERY) {
            self.write_cache();
        }
    }

    fn remember(&mut self, address: String) {
        if self.cache.contains(&address) {
            return;
        }
        self.cache.push_front(address);
        self.cache.truncate(CACHE_MAX);
        self.cache_is_new = true;
    }

    /// What can be dialled next time. It is a help and nothing else: not being able to write it is no failure.
    fn write_cache(&mut self) {
        self.cache_is_new = false;
        let (path, new) = (
            self.state.join("peers.cache"),
            self.state.join("peers.cache.new"),
        );
        let lines: String = self.cache.iter().flat_map(|line| [line, "\n"]).collect();
        let written = fs::File::create(&new).and_then(|mut file| file.write_all(lines.as_bytes()));
        if let Err(error) = written.and_then(|()| fs::rename(&new, &path)) {
            tracing::debug!("{}: {error}", path.display());
        }
    }

    /// Where others may reach this machine, the best first: what was confirmed from outside, public addresses, private ones,
    /// and loopback if there is nothing else.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut all: Vec<_> = self
            .settings
            .external
            .iter()
            .chain(&self.external)
            .chain(&self.listening)
            .map(|text| without_peer(text))
            .collect();
        let rank = |text: &String| match ip_of(text) {
            _ if self.external.contains(text) || self.settings.external.contains(text) => 0,
            Some(ip) if ip.is_unspecified() => 9,
            Some(ip) if ip.is_loopback() => 4,
            Some(ip) if lymph_protocol::Subject::of(ip).is_public() => 1,
            Some(std::net::IpAddr::V6(v6)) if v6.is_unicast_link_local() => 9,
            Some(_) => 2,
            None => 1,
        };
        all.retain(|text| rank(text) < 9);
        all.sort_by_key(|text| (rank(text), text.clone()));
        all.dedup();
        if all.iter().any(|text| rank(text) < 4) {
            all.retain(|text| rank(text) < 4);
        }
        all
    }

    /// Where it listens.
    pub(super) fn listening(&self) -> impl Iterator<Item = &String> {
        self.listening.iter()
    }

    /// Where it does not, and why.
    pub(super) fn not_listening(&self) -> impl Iterator<Item = (&String, &String)> {
        self.not_listening.iter()
    }

    /// Whether others reach it, as far as somebody tried.
    pub(super) fn reachable(&self) -> Option<bool> {
        self.reachable
    }

    /// What the wire counts.
    pub(super) fn figures(&self) -> Option<Figures> {
        self.net.as_ref().map(Net::figures)
    }

    /// Whether there is a wire.
    pub(super) fn is_on(&self) -> bool {
        self.net.is_some()
    }

    /// Say goodbye.
    pub(super) async fn stop(mut self) {
        self.write_cache();
        if let Some(net) = self.net.take() {
            net.stop().await;
        }
    }
}

/// A node with `--no-mesh` has a network that never says anything.
pub(super) async fn event(network: &mut Option<Network>) -> Option<Input> {
    match network {
        Some(network) => network.event().await,
        None => std::future::pending().await,
    }
}

fn checkers() -> (
    std_mpsc::SyncSender<(u64, Signed<Object>)>,
    mpsc::Receiver<Checked>,
) {
    let (to_check, waiting) = std_mpsc::sync_channel::<(u64, Signed<Object>)>(SIGNATURES_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    let (done, checked) = mpsc::channel(SIGNATURES_MAX);
    for number in 0..CHECKERS {
        let (waiting, done) = (Arc::clone(&waiting), done.clone());
        let work = move || {
            loop {
                let next = waiting.lock().ok().and_then(|waiting| waiting.recv().ok());
                let Some((number, object)) = next else { return };
                if done.blocking_send((number, object.verify())).is_err() {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new()
            .name(format!("signatures-{number}"))
            .spawn(work);
        if let Err(error) = started {
            tracing::error!("signatures cannot be checked: {error}");
        }
    }
    (to_check, checked)
}

fn read_cache(path: &Path) -> VecDeque<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().take(CACHE_MAX).map(str::to_owned).collect()
}

fn without_peer(address: &str) -> String {
    match address.rfind("/p2p/") {
        // In `…/p2p/RELAY/p2p-circuit/p2p/PEER` only the last one is the peer itself.
        Some(at) if !address[at + 5..].contains('/') => address[..at].to_owned(),
        Some(_) | None => address.to_owned(),
    }
}

fn ip_of(address: &str) -> Option<std::net::IpAddr> {
    let mut parts = address.split('/').skip(1);
    match (parts.next()?, parts.next()?) {
        ("ip4" | "ip6", ip) => ip.parse().ok(),
        _ => None,
    }
}

/// Fresh bytes that nobody can guess, from the operating system.
pub(super) fn fresh<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// What the machine is called, for the operator's other machines.
pub(super) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let is_fit = lymph_protocol::contact::is_name(name);
    if is_fit {
        name.to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod flood;

#[cfg(test)]
mod crowd;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_not_part_of_its_address() {
        for (address, expected) in [
            ("/ip4/192.0.2.1/tcp/4747", "/ip4/192.0.2.1/tcp/4747"),
            (
                "/ip4/192.0.2.1/tcp/4747/p2p/12D3",
                "/ip4/192.0.2.1/tcp/4747",
            ),
            (
                "/ip4/192.0.2.1/tcp/1/p2p/12D3/p2p-circuit",
                "/ip4/192.0.2.1/tcp/1/p2p/12D3/p2p-circuit",
            ),
            (
                "/ip4/192.0.2.1/tcp/1/p2p/12D3/p2p-circuit/p2p/AB",
                "/ip4/192.0.2.1/tcp/1/p2p/12D3/p2p-circuit",
            ),
            ("", ""),
        ] {
            assert_eq!(without_peer(address), expected);
        }
    }
}
