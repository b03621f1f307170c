//! Whom this node knows: who they are to us, where they are, and when the network shall stay connected to them.

use lymph_protocol::admission::Standing;
use lymph_protocol::ask::Ask;
use lymph_protocol::audience::Audience;
use lymph_protocol::contact::Contact;
use lymph_protocol::digest::Epoch;
use lymph_protocol::limits;
use lymph_protocol::signed::{Kind, OLDEST_VERSION, Object, Verified, WIRE_VERSION};
use lymph_protocol::vouch::{Degree, Minute};
use lymph_protocol::{NodeId, Timestamp, TransportId};

use super::kept::{Kept, KeptKey, Known};
use super::{Effect, Heard, Mesh, Net, Notice, Question, first_weight};

/// At how many addresses a node was met, as far as that is remembered.
const SEEN_MAX: usize = 4;
/// How long what this node says of where it is holds.
const CONTACT_LIFE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);
/// How much later than the first of a pair the second one compares.
const SECOND_LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// What is thought of a peer whose reports are always right.
pub(in crate::engine) const SCORE_MAX: u8 = 50;
/// Friends of friends that are told from strangers.
pub(in crate::engine) const REACH_MAX: usize = 4_096;

/// Pages of a peer's vouches that are read at once: 32,000 of them.
const VOUCH_PAGES: u32 = 64;

impl Mesh {
    /// Who a node is to us.
    pub fn standing(&self, node: NodeId) -> Standing {
        if node == self.keypair.id() {
            return Standing::Own;
        }
        if self.muted.contains(&node)
            || self.dead.contains_key(&node)
            || self.distrusted.contains_key(&node)
        {
            return Standing::Muted;
        }
        match self.known.get(&node) {
            Some(known) if known.degree == Degree::Sibling => Standing::Sibling,
            Some(known) => Standing::Vouched(known.weight.0),
            None => match self.reach.get(&node) {
                Some(weight) => Standing::Vouched(*weight),
                None => Standing::Stranger,
            },
        }
    }

    /// How much the quality of each known node is thought of: 0 to 50.
    pub fn think_of(&self, quality: impl Fn(NodeId) -> u8) -> Vec<Effect> {
        let known = self.known.iter();
        let score = known.filter_map(|(node, known)| {
            Some(Effect::Net(Net::Score {
                peer: known.transport?,
                score: quality(*node).min(SCORE_MAX),
            }))
        });
        score.collect()
    }

    /// Whom those we know vouch for, and so on, and how much they weigh: what they say has room apart from what strangers say.
    pub fn set_reach(&mut self, reach: impl Iterator<Item = (NodeId, u16)>) {
        self.reach = reach.take(REACH_MAX).collect();
    }

    /// The node that uses a transport, if it was paired with.
    pub(super) fn node_at(&self, transport: TransportId) -> Option<NodeId> {
        self.transports.get(&transport).copied()
    }

    /// The audiences that this node and another one are both in.
    pub(super) fn shared_with(&self, node: NodeId) -> Vec<Audience> {
        let Some(known) = self.known.get(&node) else {
            return Vec::new();
        };
        let mut shared = Vec::new();
        match known.degree {
            Degree::Sibling => shared.extend(self.fleet()),
            Degree::Member | Degree::Friend => {}
        }
        let circles = self
            .circles
            .iter()
            .filter(|(id, circle)| circle.founder == node || known.circle == Some(**id));
        shared.extend(circles.map(|(id, _)| Audience::Circle(*id)));
        if self.public.is_any() {
            shared.push(Audience::Public);
        }
        shared
    }

    /// What this node says of itself to an audience. Nothing but where it is: the machine's name only to its siblings,
    /// unless its owner gave it one for everybody.
    pub(super) fn own_contact(
        &mut self,
        audience: Audience,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Verified<Object>> {
        if self.silenced.is_some() {
            return None;
        }
        let contact = Contact {
            transport: self.transport,
            issued: Minute::of(now),
            expires: Minute::of(now + CONTACT_LIFE),
            seq: self.next_seq(now, effects),
            addresses: self
                .addresses
                .iter()
                .take(limits::ADDRESSES_MAX)
                .cloned()
                .collect(),
            name: match audience {
                Audience::Fleet(_) if self.name.is_empty() => self.host.clone(),
                Audience::Fleet(_) | Audience::Circle(_) | Audience::Public => self.name.clone(),
            },
        };
        let mut newest = None;
        for version in OLDEST_VERSION..=WIRE_VERSION {
            let contact = Object::Contact(contact.clone());
            let said = self.keypair.sign_as(version, contact, audience).ok()?;
            self.spoke(&said);
            newest = Some(said);
        }
        newest
    }

    /// This machine can be reached elsewhere.
    pub(super) fn reachable(
        &mut self,
        mut addresses: Vec<String>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        addresses.retain(|text| text.len() <= limits::ADDRESS_BYTES_MAX && text.starts_with('/'));
        addresses.truncate(limits::ADDRESSES_MAX);
        if addresses == self.addresses {
            return;
        }
        self.addresses = addresses;
        self.announce(now, effects);
    }

    /// Tell those who were paired with where this node is: siblings through their channel, the others when they are
    /// connected.
    pub(super) fn announce(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.announced_at = now;
        if let Some(audience) = self.fleet()
            && let Some(contact) = self.own_contact(audience, now, effects)
        {
            let _ = self.admission.verified(&contact, now, Standing::Own);
            self.shelve(&contact, now, effects);
            self.publish(&contact, effects);
        }
        for transport in self.connected.iter().copied().collect::<Vec<_>>() {
            self.hello(transport, now, effects);
        }
    }

    /// A peer is connected: if we know each other, say hello and see what either has missed.
    pub(super) fn greet(&mut self, peer: TransportId, now: Timestamp, effects: &mut Vec<Effect>) {
        self.hello(peer, now, effects);
        let node = self.node_at(peer);
        let shared = node.map_or_else(
            || {
                if self.public.consume {
                    vec![Audience::Public]
                } else {
                    Vec::new()
                }
            },
            |node| self.shared_with(node),
        );
        // Among those who are paired one of the two begins, so that they do not tell each other everything twice. The other
        // one looks again a little later: the first may not have noticed yet that this one was away, and what is said before
        // both know each other's topics reaches nobody. Strangers only ask: each what it lacks itself.
        let begins = self.transport < peer || node.is_none();
        for audience in shared {
            let at = if begins { now } else { now + SECOND_LOOK };
            self.catching_up.want(peer, audience, at, node.is_some());
        }
        if let Some(node) = node {
            self.ask_first(peer, node, effects);
            self.hand_over_vouch(node, effects);
            self.hand_over_deaths(peer, effects);
            self.rekey_if_behind(node, peer, effects);
        }
    }

    /// Tell a known peer whose keys are dead, ours among them: a fleet has no other way to hear it.
    fn hand_over_deaths(&mut self, peer: TransportId, effects: &mut Vec<Effect>) {
        let me = self.keypair.id();
        let all = self.shelf.of_kind(Audience::Public, Kind::Kill);
        let told = all.filter(|(dead, _)| *dead == me || self.known.contains_key(dead));
        let objects: Vec<_> = told
            .map(|(_, bytes)| bytes.to_vec())
            .take(limits::FETCH_MAX / 2)
            .collect();
        if !objects.is_empty() {
            let ask = Ask::Push {
                audience: Audience::Public,
                objects,
            };
            self.ask(peer, Vec::new(), &ask, Question::Push, effects);
        }
    }

    /// Whom to believe, and what those we believe have live, is asked for first: it is little, and it is what counts.
    fn ask_first(&mut self, peer: TransportId, node: NodeId, effects: &mut Vec<Effect>) {
        let many = self
            .shared_with(node)
            .into_iter()
            .filter(|audience| !matches!(audience, Audience::Fleet(_)));
        for audience in many
            .filter(|audience| self.joined().contains(audience))
            .collect::<Vec<_>>()
        {
            let cursor = self.catching_up.cursor(peer, audience);
            self.ask(
                peer,
                Vec::new(),
                &Ask::Vouches { audience, cursor },
                Question::Vouches {
                    audience,
                    pages: VOUCH_PAGES,
                },
                effects,
            );
            let ask = Ask::Digest {
                audience,
                author: node,
                after: Epoch(0),
            };
            self.ask(peer, Vec::new(), &ask, Question::Digest(audience), effects);
        }
    }

    /// Tell a known peer where this node is.
    fn hello(&mut self, peer: TransportId, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(node) = self.node_at(peer) else {
            return;
        };
        let degree = self.known.get(&node).map(|known| known.degree);
        let audience = match (degree, self.fleet()) {
            (Some(Degree::Sibling), Some(fleet)) => fleet,
            _ => Audience::Public,
        };
        if let Some(contact) = self.own_contact(audience, now, effects) {
            let ask = Ask::Hello {
                audience,
                contact: self.for_all(&contact),
            };
            self.ask(peer, Vec::new(), &ask, Question::Hello(audience), effects);
        }
    }

    /// A peer was met at an address.
    pub(super) fn seen_at(
        &mut self,
        peer: TransportId,
        address: std::net::IpAddr,
        effects: &mut Vec<Effect>,
    ) {
        if self.connected.contains(&peer) {
            self.met.insert(peer, address);
        }
        let Some(node) = self.node_at(peer) else {
            return;
        };
        let Some(known) = self.known.get_mut(&node) else {
            return;
        };
        if known.seen.contains(&address) {
            return;
        }
        known.seen.push(address);
        if known.seen.len() > SEEN_MAX {
            known.seen.remove(0);
        }
        effects.push(Effect::Save(Kept::Known(node, known.clone())));
        effects.push(Effect::Heard(Heard::SiblingsChanged));
    }

    /// Whether what we say goes to a node directly: it is a sibling, or each of us vouches for the other and neither vouch has ended.
    fn is_mutual(&self, node: NodeId, now: Timestamp) -> bool {
        let Some(known) = self.known.get(&node) else {
            return false;
        };
        let theirs = known.vouches_until.is_some_and(|until| until.start() > now);
        let ours = self.own_vouches.get(&node);
        let ours = ours.is_some_and(|vouch| vouch.object().expires() > now);
        known.degree == Degree::Sibling || theirs && ours
    }

    /// Have the network stay connected to a node.
    pub(super) fn befriend(&mut self, node: NodeId, now: Timestamp, effects: &mut Vec<Effect>) {
        let is_mutual = self.is_mutual(node, now);
        let Some(known) = self.known.get(&node) else {
            return;
        };
        let Some(peer) = known.transport else { return };
        match is_mutual {
            true => self.mutual.insert(node),
            false => self.mutual.remove(&node),
        };
        effects.push(Effect::Net(Net::Befriend {
            peer,
            addresses: known.addresses.clone(),
            is_mutual,
        }));
    }

    /// Tell the network of whom it is otherwise than it was told.
    pub(super) fn befriend_anew(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let all = self.known.iter();
        let with_transport = all.filter(|(_, known)| known.transport.is_some());
        let other = with_transport
            .map(|(node, _)| *node)
            .filter(|node| self.is_mutual(*node, now) != self.mutual.contains(node));
        for node in other.collect::<Vec<_>>() {
            self.befriend(node, now, effects);
        }
    }

    /// Keep what a node says about where it is, if we know it.
    pub(super) fn keep_contact(
        &mut self,
        node: NodeId,
        contact: &Contact,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        // Nobody takes over the transport of somebody else.
        let holder = self.transports.get(&contact.transport);
        if holder.is_some_and(|holder| *holder != node) {
            return;
        }
        let Some(known) = self
            .known
            .get_mut(&node)
            .filter(|known| known.contact_seq < contact.seq)
        else {
            return;
        };
        let before = (known.transport, known.addresses.clone());
        known.transport = Some(contact.transport);
        known.addresses.clone_from(&contact.addresses);
        known.name.clone_from(&contact.name);
        (known.contact_seq, known.contact_expires) = (contact.seq, contact.expires);
        let (known, degree) = (known.clone(), known.degree);
        if let Some(old) = before.0.filter(|old| *old != contact.transport) {
            self.transports.remove(&old);
            effects.push(Effect::Net(Net::Unfriend(old)));
        }
        self.transports.insert(contact.transport, node);
        let met = self.met.get(&contact.transport).copied();
        if before != (known.transport, known.addresses.clone()) {
            self.befriend(node, now, effects);
            if degree == Degree::Sibling {
                effects.push(Effect::Heard(Heard::SiblingsChanged));
            }
        }
        effects.push(Effect::Save(Kept::Known(node, known)));
        if let Some(address) = met {
            self.seen_at(contact.transport, address, effects);
        }
    }

    /// A node is known from now on, or known better. Says whether there was room.
    pub(super) fn know(
        &mut self,
        node: NodeId,
        degree: Degree,
        contact: &Contact,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if node == self.keypair.id() {
            return false;
        }
        if !self.known.contains_key(&node) && self.known.len() >= self.limits.known_max {
            effects.push(Effect::Notice(Notice::Full(
                "nodes that were paired with: one more is not known",
            )));
            return false;
        }
        let siblings = self
            .known
            .values()
            .filter(|known| known.degree == Degree::Sibling)
            .count();
        if degree == Degree::Sibling
            && siblings + 1 >= limits::FLEET_MAX
            && !self.known.contains_key(&node)
        {
            effects.push(Effect::Notice(Notice::Full(
                "the fleet: one more sibling is not taken",
            )));
            return false;
        }
        let weight = first_weight(degree);
        let is_listed = degree != Degree::Sibling;
        let new = || Known::new(degree, weight, is_listed, now);
        let known = self.known.entry(node).or_insert_with(new);
        // A friend who becomes a sibling is more than before; a sibling who is invited as a friend stays one.
        if degree == Degree::Sibling && known.degree != Degree::Sibling {
            (known.degree, known.weight, known.is_listed) = (degree, weight, false);
            effects.push(Effect::Heard(Heard::SiblingsChanged));
        } else if degree == Degree::Friend && known.degree == Degree::Member {
            (known.degree, known.weight) = (degree, weight);
        }
        if degree == Degree::Sibling {
            self.is_back(node, effects);
        }
        if self.muted.remove(&node) {
            effects.push(Effect::Remove(KeptKey::Muted(node)));
        }
        self.keep_contact(node, contact, now, effects);
        if let Some(known) = self.known.get(&node) {
            effects.push(Effect::Save(Kept::Known(node, known.clone())));
        }
        true
    }

    /// A node is known no longer.
    pub(super) fn forget(&mut self, node: NodeId, effects: &mut Vec<Effect>) -> Option<Known> {
        let known = self.known.remove(&node)?;
        effects.push(Effect::Remove(KeptKey::Known(node)));
        self.own_vouches.remove(&node);
        self.mutual.remove(&node);
        if let Some(fleet) = &mut self.fleet
            && fleet.behind.remove(&node)
        {
            effects.push(Effect::Remove(KeptKey::Behind(node)));
        }
        if let Some(transport) = known.transport {
            self.transports.remove(&transport);
            effects.push(Effect::Net(Net::Unfriend(transport)));
        }
        if known.degree == Degree::Sibling {
            effects.push(Effect::Heard(Heard::SiblingsChanged));
        }
        Some(known)
    }

    /// Nothing that this node says is believed or handed on any more; or it is again. Says whether that is news.
    pub fn mute(&mut self, node: NodeId, is_muted: bool) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let is_news = match is_muted {
            true => self.muted.len() < self.limits.known_max && self.muted.insert(node),
            false => self.muted.remove(&node),
        };
        if is_news {
            effects.push(match is_muted {
                true => Effect::Save(Kept::Muted(node)),
                false => Effect::Remove(KeptKey::Muted(node)),
            });
            if let Some(transport) = self.known.get(&node).and_then(|known| known.transport) {
                effects.push(Effect::Net(match is_muted {
                    true => Net::Block(transport),
                    false => Net::Unblock(transport),
                }));
            }
        }
        (is_news, effects)
    }
}
