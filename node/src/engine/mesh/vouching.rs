//! Whom this node vouches for, said and said again before it lapses.

use std::time::Duration;

use lymph_protocol::NodeId;
use lymph_protocol::Timestamp;
use lymph_protocol::admission::Standing;
use lymph_protocol::ask::Ask;
use lymph_protocol::audience::Audience;
use lymph_protocol::limits;
use lymph_protocol::signed::Object;
use lymph_protocol::vouch::{Degree, Minute, Revocation, Vouch, VouchWeight};

use super::kept::{Kept, Known};
use super::{Effect, Mesh, Question};

/// So long a new member of a circle weighs less: whoever joins to lie has to wait, and may be seen through.
const PROBATION: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// A vouch is said again when less than this is left of it.
const RENEW_BEFORE: Duration = Duration::from_secs(45 * 24 * 60 * 60);
/// `status` warns when somebody's vouch for this node has less left than this.
pub(super) const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

impl Mesh {
    /// Vouch for a node from now on.
    pub fn vouch(
        &mut self,
        node: NodeId,
        weight: VouchWeight,
        is_listed: bool,
        now: Timestamp,
    ) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let live = self.known.len();
        if node == self.keypair.id()
            || (live >= limits::VOUCHES_PER_ISSUER && !self.known.contains_key(&node))
        {
            return (false, effects);
        }
        let new = || Known::new(Degree::Friend, weight, is_listed, now);
        let known = self.known.entry(node).or_insert_with(new);
        (known.weight, known.is_listed) = (weight, is_listed && known.degree != Degree::Sibling);
        known.is_on_probation = false;
        effects.push(Effect::Save(Kept::Known(node, known.clone())));
        self.vouch_for(node, now, &mut effects);
        (true, effects)
    }

    /// Vouch for a node no longer, and know it no longer.
    pub fn revoke(&mut self, node: NodeId, now: Timestamp) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let is_sibling = self
            .known
            .get(&node)
            .is_some_and(|known| known.degree == Degree::Sibling);
        if !self.known.contains_key(&node) || is_sibling {
            return (false, effects);
        }
        self.revoke_vouch(node, now, &mut effects);
        self.forget(node, &mut effects);
        (true, effects)
    }

    /// To whom a vouch for a node is said.
    fn told(&self, known: &Known) -> Option<Audience> {
        match (known.degree, known.circle) {
            (Degree::Sibling, _) => self.fleet(),
            (Degree::Member, Some(circle)) => Some(Audience::Circle(circle)),
            (Degree::Friend | Degree::Member, _) => Some(Audience::Public),
        }
    }

    pub(super) fn vouch_for(&mut self, node: NodeId, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(known) = self.known.get(&node).cloned() else {
            return;
        };
        let Some(audience) = self.told(&known) else {
            return;
        };
        let vouch = Vouch {
            subject: node,
            degree: known.degree,
            weight: known.weight,
            issued: Minute::of(now),
            expires: Minute::of(now + limits::VOUCH_LIFE_MAX),
            seq: self.next_seq(now, effects),
        };
        let Some(said) = self.sign(Object::Vouch(vouch), audience, now, effects) else {
            return;
        };
        if self.is_told(&known, audience) {
            self.publish(&said, effects);
        }
        self.befriend_anew(now, effects);
        self.hand_over_vouch(node, effects);
    }

    pub(super) fn revoke_vouch(&mut self, node: NodeId, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(known) = self.known.get(&node).cloned() else {
            return;
        };
        let Some(audience) = self.told(&known) else {
            return;
        };
        let revocation = Revocation {
            subject: node,
            issued: Minute::of(now),
            expires: Minute::of(now + limits::VOUCH_LIFE_MAX),
            seq: self.next_seq(now, effects),
        };
        let Some(said) = self.sign(Object::Revocation(revocation), audience, now, effects) else {
            return;
        };
        self.own_vouches.remove(&node);
        if self.is_told(&known, audience) {
            self.publish(&said, effects);
        }
        // Whom it is about hears it in any case.
        if let Some(peer) = known.transport.filter(|peer| self.connected.contains(peer)) {
            let ask = Ask::Push {
                audience,
                objects: vec![self.for_all(&said)],
            };
            self.ask(peer, Vec::new(), &ask, Question::Push, effects);
        }
    }

    /// Whether all of an audience hear that we vouch for a node.
    fn is_told(&self, known: &Known, audience: Audience) -> bool {
        match audience {
            Audience::Public | Audience::Circle(_) => known.is_listed && self.publishes(audience),
            Audience::Fleet(_) => known.degree == Degree::Sibling,
        }
    }

    /// Let a connected node have our vouch for it, whatever else is shared.
    pub(super) fn hand_over_vouch(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        let transport = self.known.get(&node).and_then(|known| known.transport);
        let Some(peer) = transport.filter(|transport| self.connected.contains(transport)) else {
            return;
        };
        if let Some(vouch) = self.own_vouches.get(&node) {
            let ask = Ask::Push {
                audience: vouch.audience(),
                objects: vec![self.for_all(vouch)],
            };
            self.ask(peer, Vec::new(), &ask, Question::Push, effects);
        }
    }

    /// Whoever has been a member for long enough is believed like any other.
    pub(super) fn end_probations(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let members = self
            .known
            .iter_mut()
            .filter(|(_, known)| known.is_on_probation && now.since(known.since) >= PROBATION);
        let mut due = Vec::new();
        for (node, known) in members {
            (known.weight, known.is_on_probation) = (VouchWeight::ONE, false);
            effects.push(Effect::Save(Kept::Known(*node, known.clone())));
            due.push(*node);
        }
        for node in due {
            self.vouch_for(node, now, effects);
        }
    }

    /// Say again what would lapse.
    pub(super) fn renew(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let soon = Minute::of(now + RENEW_BEFORE);
        let due: Vec<_> = self
            .known
            .keys()
            .copied()
            .filter(|node| self.standing(*node) != Standing::Muted)
            .filter(|node| {
                self.own_vouches
                    .get(node)
                    .is_none_or(|vouch| vouch.object().expires() < soon.start())
            })
            .collect();
        for node in due {
            self.vouch_for(node, now, effects);
        }
    }

    /// Who vouched for us and has let it nearly lapse.
    pub fn lapsing(&self, now: Timestamp) -> impl Iterator<Item = (NodeId, Minute)> {
        let soon = Minute::of(now + WARN_BEFORE);
        let all = self
            .known
            .iter()
            .filter_map(|(node, known)| Some((*node, known.vouches_until?)));
        all.filter(move |(_, until)| *until < soon)
    }
}
