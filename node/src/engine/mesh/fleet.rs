//! One operator's machines: what is wanted on one is wanted on all.
//!
//! Whoever holds the secret is a sibling and says so with a contact that is sealed with it. When one is sent away, the
//! others get a new secret, each directly; one that is away at that time gets it when it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lymph_protocol::NodeId;
use lymph_protocol::Timestamp;
use lymph_protocol::TransportId;
use lymph_protocol::ask::Ask;
use lymph_protocol::audience::Audience;
use lymph_protocol::contact::Contact;
use lymph_protocol::limits;
use lymph_protocol::seal::FleetSecret;
use lymph_protocol::signed::{Kind, Object, Signed};
use lymph_protocol::vouch::{Degree, Minute};
use lymph_protocol::word::{Wish, Word};

use sha2::{Digest, Sha256};

use super::hear::number_of;
use super::kept::{Kept, KeptKey};
use super::{Effect, Mesh, Net, Notice, Question};

/// What siblings share.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) secret: FleetSecret,
    /// When it was made, in milliseconds by whoever made it.
    pub(super) epoch: u64,
    /// Siblings that have not heard the newest secret yet.
    pub(super) behind: BTreeSet<NodeId>,
    /// Those who were sent away or left, and under which number: what they said before that brings nobody back.
    pub(super) expelled: BTreeMap<NodeId, u64>,
    /// Those of them whom this machine itself has sent away: a new secret that somebody else makes must not be theirs.
    sent_away: BTreeSet<NodeId>,
}

impl Fleet {
    pub(super) fn new(secret: [u8; 32], epoch: u64) -> Self {
        Fleet {
            secret: FleetSecret::from_bytes(secret),
            epoch,
            behind: BTreeSet::new(),
            expelled: BTreeMap::new(),
            sent_away: BTreeSet::new(),
        }
    }
}

impl Fleet {
    /// A node is one of us again.
    pub(super) fn is_back(&mut self, node: NodeId) {
        self.expelled.remove(&node);
        self.sent_away.remove(&node);
    }
}

/// How far ahead of our clock a sibling's numbers may be, to be overtaken.
pub(super) const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many that were sent away are remembered; their secret is dead anyway.
const EXPELLED_MAX: usize = 256;

impl Mesh {
    /// Tell the fleet what the operator wants, under a number beyond `after`: that of what it overtakes. Nothing happens
    /// without a fleet.
    pub fn tell_fleet(&mut self, wish: Wish, after: u64, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(audience) = self.fleet() {
            // A clock that is as wrong as that is nothing to follow: there would soon be no numbers left.
            if after < (now + AHEAD_MAX).millis() {
                self.last_seq = self.last_seq.max(after);
            }
            let seq = self.next_seq(now, &mut effects);
            let word = Word {
                issued: Minute::of(now),
                seq,
                wish,
            };
            self.say(Object::Word(word), audience, now, &mut effects);
        }
        effects
    }

    /// Be in the fleet with this secret, and in no other.
    pub(super) fn enter_fleet(
        &mut self,
        secret: [u8; 32],
        epoch: u64,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let fleet = Fleet::new(secret, epoch);
        let audience = Audience::Fleet(fleet.secret.fleet());
        if self.fleet() == Some(audience) {
            return;
        }
        let before = self.fleet.replace(fleet);
        if let Some(before) = before {
            let behind = before.behind.iter();
            effects.extend(behind.map(|node| Effect::Remove(KeptKey::Behind(*node))));
            let old = Audience::Fleet(before.secret.fleet());
            effects.extend(
                old.topics()
                    .into_iter()
                    .map(|topic| Effect::Net(Net::Leave(topic))),
            );
            self.forget_audience(old, effects);
        }
        effects.push(Effect::Save(Kept::Fleet(secret, epoch)));
        effects.extend(
            audience
                .topics()
                .into_iter()
                .map(|topic| Effect::Net(Net::Join(topic))),
        );
        if let Some(contact) = self.own_contact(audience, now, effects) {
            let _ =
                self.admission
                    .verified(&contact, now, lymph_protocol::admission::Standing::Own);
            self.shelve(&contact, now, effects);
            self.publish(&contact, effects);
        }
    }

    /// Forget all that was said to an audience, so that it can be heard again.
    pub(super) fn forget_audience(&mut self, audience: Audience, effects: &mut Vec<Effect>) {
        for (id, key) in self.shelf.forget_audience(audience) {
            self.admission.forget(&id);
            effects.extend(key.map(Effect::Remove));
        }
    }

    /// Somebody who knows the secret says where they are: a sibling.
    pub(super) fn sibling_contact(
        &mut self,
        node: NodeId,
        contact: &Contact,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if self
            .fleet
            .as_ref()
            .is_none_or(|fleet| fleet.expelled.get(&node) >= Some(&contact.seq))
        {
            return;
        }
        let is_new = self
            .known
            .get(&node)
            .is_none_or(|known| known.degree != Degree::Sibling);
        if self.know(node, Degree::Sibling, contact, now, effects) && is_new {
            self.vouch_for(node, now, effects);
            effects.push(Effect::Notice(Notice::SiblingCame(node)));
        }
    }

    /// Send a node away: the others get a new secret.
    pub fn expel(&mut self, node: NodeId, secret: [u8; 32], now: Timestamp) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let Some(known) = self.known.get(&node) else {
            return (false, effects);
        };
        let degree = known.degree;
        self.revoke_vouch(node, now, &mut effects);
        self.forget(node, &mut effects);
        if degree == Degree::Sibling {
            self.new_secret(secret, &[node], now, &mut effects);
            effects.push(Effect::Notice(Notice::SiblingWent(node)));
        }
        (true, effects)
    }

    /// Have a new secret, which those who are sent away do not learn.
    fn new_secret(
        &mut self,
        secret: [u8; 32],
        away: &[NodeId],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(fleet) = &self.fleet else { return };
        let mut sent_away = fleet.sent_away.clone();
        let mut expelled = fleet.expelled.clone();
        let number = now.millis().max(self.last_seq);
        for node in away {
            while expelled.len() >= EXPELLED_MAX {
                expelled.pop_first();
            }
            expelled.insert(*node, number);
            sent_away.insert(*node);
            while sent_away.len() > limits::FLEET_MAX {
                sent_away.pop_first();
            }
        }
        let enforcement = self.newest_enforcement();
        let epoch = now.millis().max(fleet.epoch.saturating_add(1));
        let siblings = self.known.iter();
        let siblings = siblings.filter(|(_, known)| known.degree == Degree::Sibling);
        let rest: BTreeSet<_> = siblings.map(|(node, _)| *node).collect();
        self.enter_fleet(secret, epoch, now, effects);
        let behind = rest.iter().copied();
        effects.extend(behind.map(|node| Effect::Save(Kept::Behind(node))));
        if let Some(fleet) = &mut self.fleet {
            (fleet.behind, fleet.expelled) = (rest.clone(), expelled);
            fleet.sent_away = sent_away;
        }
        for sibling in rest {
            let transport = self.known.get(&sibling).and_then(|known| known.transport);
            if let Some(transport) = transport {
                self.rekey_if_behind(sibling, transport, effects);
            }
        }
        for node in away {
            effects.extend(self.tell_fleet(Wish::Expel(*node), 0, now));
        }
        // What was said under the old secret reaches nobody who was away. Of that it matters most whether anything is
        // enforced at all.
        if let Some((seq, wish)) = enforcement {
            effects.extend(self.tell_fleet(wish, seq, now));
        }
    }

    /// The last word on whether anything is enforced, and its number.
    fn newest_enforcement(&self) -> Option<(u64, Wish)> {
        let audience = self.fleet()?;
        let words = self.shelf.of_kind(audience, Kind::Word);
        let words = words.filter_map(|(_, bytes)| Signed::parse(bytes, audience).ok());
        let words = words.filter_map(|signed| match signed.unverified() {
            Object::Word(Word { seq, wish, .. }) if matches!(wish, Wish::Panic | Wish::Resume) => {
                Some((*seq, wish.clone()))
            }
            _ => None,
        });
        words.max_by_key(|(seq, _)| *seq)
    }

    /// A sibling says that there is a new secret, and who was sent away. Says whether it holds.
    pub(super) fn rekey_heard(
        &mut self,
        from: NodeId,
        (secret, epoch): ([u8; 32], u64),
        expelled: &[NodeId],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let me = self.keypair.id();
        let Some(fleet) = &self.fleet else {
            return false;
        };
        if fleet.expelled.contains_key(&from) && !self.known.contains_key(&from) {
            return false;
        }
        // Heard before, or overtaken by a later one. A clock that is as wrong as that is not followed.
        if epoch <= fleet.epoch || epoch > (now + AHEAD_MAX).millis() {
            return fleet.epoch == epoch && *fleet.secret.as_bytes() == secret;
        }
        let (ours, own) = (*fleet.secret.as_bytes(), fleet.expelled.clone());
        let sent_away = fleet.sent_away.clone();
        self.enter_fleet(secret, epoch, now, effects);
        let listed: Vec<_> = expelled.iter().take(EXPELLED_MAX).copied().collect();
        if let Some(fleet) = &mut self.fleet {
            fleet.expelled = own.clone();
        }
        for node in listed.iter().filter(|node| **node != me) {
            self.expelled(*node, epoch, effects);
        }
        // Two machines have sent somebody away at once: whom we sent away knows the other one's secret. The next one is
        // made of both, and so is known to neither.
        let again = sent_away
            .iter()
            .filter(|node| !listed.contains(node) && !self.known.contains_key(node));
        let again: Vec<_> = again.copied().collect();
        if !again.is_empty() {
            let both = Sha256::new_with_prefix(b"lymph/1 fleet again\0");
            let both = both.chain_update(ours).chain_update(secret).finalize();
            self.new_secret(both.into(), &again, now, effects);
        }
        true
    }

    /// Leave the fleet: its secret is forgotten, and so are the siblings.
    pub fn leave_fleet(&mut self, now: Timestamp) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let Some(audience) = self.fleet() else {
            return (false, effects);
        };
        let me = self.keypair.id();
        effects.extend(self.tell_fleet(Wish::Expel(me), 0, now));
        effects.extend(
            audience
                .topics()
                .into_iter()
                .map(|topic| Effect::Net(Net::Leave(topic))),
        );
        self.forget_audience(audience, &mut effects);
        let behind = self.fleet.take().map(|fleet| fleet.behind);
        let behind = behind.into_iter().flatten();
        effects.extend(behind.map(|node| Effect::Remove(KeptKey::Behind(node))));
        effects.push(Effect::Remove(KeptKey::Fleet));
        let siblings = self
            .known
            .iter()
            .filter(|(_, known)| known.degree == Degree::Sibling);
        for node in siblings.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.forget(node, &mut effects);
        }
        (true, effects)
    }

    /// A sibling says that a node is one of us no longer.
    pub(super) fn expelled(&mut self, node: NodeId, seq: u64, effects: &mut Vec<Effect>) {
        if let Some(fleet) = &mut self.fleet
            && (fleet.expelled.len() < EXPELLED_MAX || fleet.expelled.contains_key(&node))
        {
            let last = fleet.expelled.entry(node).or_default();
            *last = seq.max(*last);
        }
        // Whoever was invited again since has said so under this secret, and stays.
        let is_back = self.fleet().is_some_and(|audience| {
            let contacts = self.shelf.of_kind(audience, Kind::Contact);
            let own = contacts.filter(|(author, _)| *author == node);
            own.filter_map(|(_, bytes)| Signed::parse(bytes, audience).ok())
                .any(|signed| number_of(signed.unverified()) > Some(seq))
        });
        if !is_back
            && self
                .known
                .get(&node)
                .is_some_and(|known| known.degree == Degree::Sibling)
        {
            self.forget(node, effects);
            effects.push(Effect::Notice(Notice::SiblingWent(node)));
        }
    }

    /// Give a sibling the new secret, if it has not heard it.
    pub(super) fn rekey_if_behind(
        &mut self,
        node: NodeId,
        peer: TransportId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(fleet) = self
            .fleet
            .as_ref()
            .filter(|fleet| fleet.behind.contains(&node))
        else {
            return;
        };
        let ask = Ask::Rekey {
            secret: *fleet.secret.as_bytes(),
            epoch: fleet.epoch,
            expelled: {
                let others = fleet.expelled.keys();
                let others = others.filter(|node| !fleet.sent_away.contains(node));
                let all = fleet.sent_away.iter().chain(others);
                all.take(EXPELLED_MAX).copied().collect()
            },
        };
        let addresses = self
            .known
            .get(&node)
            .map(|known| known.addresses.clone())
            .unwrap_or_default();
        self.ask(peer, addresses, &ask, Question::Rekey(node), effects);
    }

    /// A sibling has the new secret: it is told at once what was said under it, first of all who is gone.
    pub(super) fn rekeyed(
        &mut self,
        node: NodeId,
        peer: TransportId,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(fleet) = &mut self.fleet else {
            return;
        };
        if fleet.behind.remove(&node) {
            effects.push(Effect::Remove(KeptKey::Behind(node)));
        }
        let audience = Audience::Fleet(fleet.secret.fleet());
        let words = self.shelf.of_kind(audience, Kind::Word);
        let objects: Vec<_> = words
            .map(|(_, bytes)| bytes.to_vec())
            .take(limits::FETCH_MAX / 2)
            .collect();
        let ask = Ask::Push { audience, objects };
        self.ask(peer, Vec::new(), &ask, Question::Push, effects);
        self.catching_up.want(peer, audience, now, true);
    }
}
