//! One operator's machines: what is wanted on one is wanted on all.
//!
//! Whoever holds the secret is a sibling and says so with a contact that is sealed with it. When one is sent away, the
//! others get a new secret, each directly; one that is away at that time gets it when it comes back.

use std::collections::BTreeSet;

use lymph_protocol::NodeId;
use lymph_protocol::Timestamp;
use lymph_protocol::TransportId;
use lymph_protocol::ask::Ask;
use lymph_protocol::audience::Audience;
use lymph_protocol::contact::Contact;
use lymph_protocol::seal::FleetSecret;
use lymph_protocol::signed::Object;
use lymph_protocol::vouch::{Degree, Minute};
use lymph_protocol::word::{Wish, Word};

use super::kept::{Kept, KeptKey};
use super::{Effect, FOLLOW, Mesh, Net, Notice, Question};

/// What siblings share.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) secret: FleetSecret,
    /// Those who were sent away.
    pub(super) expelled: BTreeSet<NodeId>,
}

impl Fleet {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Fleet {
            secret: FleetSecret::from_bytes(secret),
            expelled: BTreeSet::new(),
        }
    }
}

/// How many that were sent away are remembered; their secret is dead anyway.
const EXPELLED_MAX: usize = 256;

impl Mesh {
    /// Tell the fleet what the operator wants. Nothing happens without one.
    ///
    /// Of two wishes about one thing the one with the higher number holds. `after` is the highest that was heard about this
    /// thing: a clock that is behind, or numbers that run ahead after a restart, let no new word be taken for an old one.
    pub fn tell_fleet(&mut self, wish: Wish, after: u64, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(audience) = self.fleet() {
            if after <= (now + FOLLOW).millis() {
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
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let fleet = Fleet::new(secret);
        let audience = Audience::Fleet(fleet.secret.fleet());
        if self.fleet() == Some(audience) {
            return;
        }
        self.nobody_is_behind(effects);
        let before = self.fleet.replace(fleet);
        if let Some(before) = before {
            let old = Audience::Fleet(before.secret.fleet());
            effects.extend(
                old.topics()
                    .into_iter()
                    .map(|topic| Effect::Net(Net::Leave(topic))),
            );
            effects.extend(
                self.shelf
                    .forget_audience(old)
                    .into_iter()
                    .map(Effect::Remove),
            );
        }
        effects.push(Effect::Save(Kept::Fleet(secret)));
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
            .is_none_or(|fleet| fleet.expelled.contains(&node))
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
            let mut expelled = self
                .fleet
                .as_mut()
                .map(|fleet| std::mem::take(&mut fleet.expelled))
                .unwrap_or_default();
            while expelled.len() >= EXPELLED_MAX {
                expelled.pop_first();
            }
            expelled.insert(node);
            let old = self
                .known
                .iter()
                .filter(|(_, known)| known.degree == Degree::Sibling);
            let rest: BTreeSet<_> = old.map(|(node, _)| *node).collect();
            self.enter_fleet(secret, now, &mut effects);
            if let Some(fleet) = &mut self.fleet {
                fleet.expelled = expelled;
            }
            effects.extend(
                rest.iter()
                    .map(|sibling| Effect::Save(Kept::Behind(*sibling))),
            );
            self.behind.clone_from(&rest);
            for sibling in rest {
                if let Some(transport) = self.known.get(&sibling).and_then(|known| known.transport)
                {
                    self.rekey_if_behind(sibling, transport, &mut effects);
                }
            }
            effects.extend(self.tell_fleet(Wish::Expel(node), 0, now));
            effects.push(Effect::Notice(Notice::SiblingWent(node)));
        }
        (true, effects)
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
        effects.extend(
            self.shelf
                .forget_audience(audience)
                .into_iter()
                .map(Effect::Remove),
        );
        self.fleet = None;
        self.nobody_is_behind(&mut effects);
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
    pub(super) fn expelled(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        if let Some(fleet) = &mut self.fleet
            && fleet.expelled.len() < EXPELLED_MAX
        {
            fleet.expelled.insert(node);
        }
        if self
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
        let Some(fleet) = self.fleet.as_ref().filter(|_| self.behind.contains(&node)) else {
            return;
        };
        let ask = Ask::Rekey {
            secret: *fleet.secret.as_bytes(),
        };
        let addresses = self
            .known
            .get(&node)
            .map(|known| known.addresses.clone())
            .unwrap_or_default();
        self.ask(peer, addresses, &ask, Question::Rekey(node), effects);
    }

    /// A sibling has the newest secret, or is one no longer.
    pub(super) fn rekeyed(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        if self.behind.remove(&node) {
            effects.push(Effect::Remove(KeptKey::Behind(node)));
        }
    }

    fn nobody_is_behind(&mut self, effects: &mut Vec<Effect>) {
        let behind = std::mem::take(&mut self.behind).into_iter();
        effects.extend(behind.map(|node| Effect::Remove(KeptKey::Behind(node))));
    }
}
