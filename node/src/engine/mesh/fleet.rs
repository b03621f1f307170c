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
use super::kept::{Away, Kept, KeptKey};
use super::{Effect, Mesh, Net, Notice, Question};

/// What siblings share.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) secret: FleetSecret,
    /// When it was made, in milliseconds by whoever made it.
    pub(super) epoch: u64,
    /// Siblings that have not heard the newest secret yet.
    pub(super) behind: BTreeSet<NodeId>,
}

impl Fleet {
    pub(super) fn new(secret: [u8; 32], epoch: u64) -> Self {
        Fleet {
            secret: FleetSecret::from_bytes(secret),
            epoch,
            behind: BTreeSet::new(),
        }
    }
}

/// Which of two secrets holds: the later one, and of two that were made in the same millisecond the one with the greater
/// hash, whoever looks.
fn rank_of(secret: &[u8; 32], epoch: u64) -> (u64, [u8; 32]) {
    let hash = Sha256::new_with_prefix(b"lymph/1 which secret\0").chain_update(secret);
    (epoch, hash.finalize().into())
}

/// How far ahead of our clock a sibling's numbers may be, to be overtaken.
pub(super) const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many that were sent away are remembered; their secret is dead anyway.
pub(super) const EXPELLED_MAX: usize = 256;
/// How many of our own words are said again under a new secret, the newest: one is well within what the others remember
/// of us.
const SAID_AGAIN_MAX: usize = 400;

/// What a wish is about; of two about the same the newer one holds.
fn about(wish: &Wish) -> Option<String> {
    Some(match wish {
        Wish::Ban { net, .. } | Wish::Lift { net, .. } => format!("ban {net:?}"),
        Wish::AllowNet { net, .. } | Wish::DisallowNet(net) => format!("allow {net:?}"),
        Wish::AllowName { name, .. } | Wish::DisallowName(name) => format!("allow {name}"),
        Wish::Panic | Wish::Resume => "enforcement".to_owned(),
        // It is said to each with the secret.
        Wish::Expel(_) => return None,
    })
}

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
        let is_away = self.away.get(&node);
        if self.fleet.is_none() || is_away.is_some_and(|away| away.seq >= contact.seq) {
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
        let before = fleet.epoch;
        let number = now.millis().max(self.last_seq);
        for node in away {
            self.is_away(*node, number, true, effects);
        }
        let own = self.own_words(now);
        let enforcement = self.newest_enforcement();
        let epoch = now.millis().max(before.saturating_add(1));
        let siblings = self.known.iter();
        let siblings = siblings.filter(|(_, known)| known.degree == Degree::Sibling);
        let rest: BTreeSet<_> = siblings.map(|(node, _)| *node).collect();
        self.enter_fleet(secret, epoch, now, effects);
        let behind = rest.iter().copied();
        effects.extend(behind.map(|node| Effect::Save(Kept::Behind(node))));
        if let Some(fleet) = &mut self.fleet {
            fleet.behind.clone_from(&rest);
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
        self.say_again(own, now, effects);
    }

    /// What the operator wanted on this machine and still holds: of each thing the newest, as it was said.
    fn own_words(&self, now: Timestamp) -> Vec<Word> {
        let Some(audience) = self.fleet() else {
            return Vec::new();
        };
        let me = self.keypair.id();
        let words = self.shelf.of_kind(audience, Kind::Word);
        let own = words.filter(|(author, _)| *author == me);
        let own = own.filter_map(|(_, bytes)| Signed::parse(bytes, audience).ok());
        let mut newest: BTreeMap<String, Word> = BTreeMap::new();
        for signed in own {
            let Object::Word(word) = signed.unverified() else {
                continue;
            };
            let Some(about) = about(&word.wish) else {
                continue;
            };
            let before = newest.get(&about).map(|before| before.seq);
            if before < Some(word.seq) {
                newest.insert(about, word.clone());
            }
        }
        let mut live: Vec<_> = newest
            .into_values()
            .filter(|word| match word.wish {
                Wish::Ban { secs, .. } => {
                    let end = Timestamp::from_millis(word.seq) + Duration::from_secs(secs.into());
                    end > now
                }
                _ => true,
            })
            .collect();
        live.sort_by_key(|word| std::cmp::Reverse(word.seq));
        live.truncate(SAID_AGAIN_MAX);
        live.reverse();
        live
    }

    /// Whoever was away when this was said under another secret hears it under this one. Each says its own, under the
    /// numbers that it had: so whatever was wanted since still holds, and who has heard it already does nothing.
    fn say_again(&mut self, words: Vec<Word>, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(audience) = self.fleet() else { return };
        for word in words {
            self.say(Object::Word(word), audience, now, effects);
        }
    }

    /// A node has left the fleet, or was sent away. Full, who left first is forgotten.
    fn is_away(&mut self, node: NodeId, seq: u64, is_ours: bool, effects: &mut Vec<Effect>) {
        let before = self.away.get(&node);
        let away = Away {
            seq: before.map_or(seq, |before| before.seq.max(seq)),
            is_ours: is_ours || before.is_some_and(|before| before.is_ours),
        };
        if before == Some(&away) {
            return;
        }
        self.away.insert(node, away);
        effects.push(Effect::Save(Kept::Away(node, away)));
        while self.away.len() > EXPELLED_MAX {
            let first = self.away.iter().filter(|(of, _)| **of != node);
            let first = first.min_by_key(|(_, away)| (away.is_ours, away.seq));
            let Some(first) = first.map(|(node, _)| *node) else {
                return;
            };
            self.is_back(first, effects);
        }
    }

    /// What was kept of that.
    pub(super) fn restore_away(&mut self, node: NodeId, away: Away) {
        if self.away.len() < EXPELLED_MAX {
            self.away.insert(node, away);
        }
    }

    /// A node is one of us again.
    pub(super) fn is_back(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        if self.away.remove(&node).is_some() {
            effects.push(Effect::Remove(KeptKey::Away(node)));
        }
    }

    /// This node is in another fleet, or in none.
    pub(super) fn forget_away(&mut self, effects: &mut Vec<Effect>) {
        for node in std::mem::take(&mut self.away).into_keys() {
            effects.push(Effect::Remove(KeptKey::Away(node)));
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
        if self.away.contains_key(&from) && !self.known.contains_key(&from) {
            return false;
        }
        let ours = *fleet.secret.as_bytes();
        // Heard before, or overtaken by a later one. A clock that is as wrong as that is not followed.
        if rank_of(&secret, epoch) <= rank_of(&ours, fleet.epoch)
            || epoch > (now + AHEAD_MAX).millis()
        {
            return fleet.epoch == epoch && ours == secret;
        }
        let words = self.own_words(now);
        self.enter_fleet(secret, epoch, now, effects);
        let listed: Vec<_> = expelled.iter().take(EXPELLED_MAX).copied().collect();
        for node in listed.iter().filter(|node| **node != me) {
            self.expelled(*node, epoch, effects);
        }
        // Two machines have sent somebody away at once: whom we sent away knows the other one's secret. The next one is
        // made of both, and so is known to neither.
        let sent_away = self.away.iter().filter(|(_, away)| away.is_ours);
        let again = sent_away
            .map(|(node, _)| *node)
            .filter(|node| !listed.contains(node) && !self.known.contains_key(node));
        let again: Vec<_> = again.collect();
        self.say_again(words, now, effects);
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
        self.forget_away(&mut effects);
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
        if self.fleet.is_some() {
            self.is_away(node, seq, false, effects);
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
            // Never more than there is room for.
            expelled: self.away.keys().copied().collect(),
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
