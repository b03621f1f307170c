//! Two machines come together: an invitation on one, a ticket in somebody's hands, and a join on the other.
//!
//! The ticket says where the issuer is and holds a token. The joiner's transport sees by the issuer's transport key that
//! it speaks to whom the ticket names; the issuer knows the joiner by the token. Then both vouch for each other. A sibling
//! hears the fleet's secret in the answer, over the encrypted connection; it is never in a ticket.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lymph_protocol::ask::{Answer, Ask, Joined, Refusal as No};
use lymph_protocol::audience::{Audience, CircleId};
use lymph_protocol::limits;
use lymph_protocol::seal::FleetSecret;
use lymph_protocol::signed::{Kind, Object, Signed, Verified};
use lymph_protocol::ticket::{Relation as Offer, Ticket, TicketError, Token};
use lymph_protocol::vouch::{Degree, Minute};
use lymph_protocol::{NodeId, Timestamp, TransportId};
use serde::{Deserialize, Serialize};

use super::kept::{Circle, Consent, Kept, KeptKey};
use super::{Effect, Mesh, Notice, Purpose, Question, degree_of};

/// Invitations that are open at once.
pub const INVITATIONS_MAX: usize = 64;
/// Longest life of one.
pub const INVITATION_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most uses of one: a circle's members.
pub const USES_MAX: u16 = 1_000;
/// Joins that go on at once.
const JOINS_MAX: usize = 16;
/// How long the issuer is asked again and again.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);
/// How often.
const JOIN_RETRY: Duration = Duration::from_secs(3);
/// How long a token that is over is remembered, to say why.
const OVER_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Tokens that are over and remembered.
const OVER_MAX: usize = INVITATIONS_MAX * 4;
/// Pairings that are shown.
const DONE_MAX: usize = 64;

/// An invitation that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// What it makes of who takes it.
    pub offer: Offer,
    /// Until when.
    pub expires: Timestamp,
    /// How often it can still be used.
    pub uses_left: u16,
    /// The circle it invites to, if it does.
    pub circle: Option<CircleId>,
}

/// A pairing that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// By which token.
    pub token: Token,
    /// With whom.
    pub node: NodeId,
    /// What they are.
    pub degree: Degree,
    /// What both sides show.
    pub words: [u16; 4],
    /// When.
    pub at: Timestamp,
}

/// A join that goes on, or has failed.
#[derive(Clone, Debug)]
struct Join {
    ticket: Ticket,
    since: Timestamp,
    retry_at: Option<Timestamp>,
    failed: Option<String>,
}

/// Why a ticket was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It is none.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// It is this node's own.
    #[error("this ticket was made on this machine: run `lymph join` on the other one")]
    Own,
    /// Its time is over.
    #[error(
        "the ticket has expired (at {0}): ask for a new one, which `lymph invite --for 1h` makes to live longer"
    )]
    Expired(Timestamp),
    /// There is a fleet already.
    #[error("this machine is in a fleet already: leave that first with `lymph fleet leave`")]
    InAFleet,
    /// Too many at once.
    #[error("too many joins go on at once: wait a minute")]
    TooMany,
    /// This node says nothing any more.
    #[error("this node's key is dead or used by another machine; see `lymph id`")]
    Silenced,
}

/// Why no invitation was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Too many are open.
    #[error("{INVITATIONS_MAX} invitations are open: wait until some of them end")]
    TooMany,
    /// Nobody could reach this node.
    #[error(
        "this node listens nowhere, so nobody could join it: is it run with --no-mesh, or is its port taken? `lymph status` says"
    )]
    Unreachable,
    /// This node says nothing any more.
    #[error("this node's key is dead or used by another machine; see `lymph id`")]
    Silenced,
    /// Not this node's circle.
    #[error("this node does not curate that circle")]
    NotCurated,
}

/// How a join stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Asking,
    /// It is done.
    Done(Done),
    /// It has failed, and why.
    Failed(String),
    /// It is not known.
    Unknown,
}

/// Invitations and joins.
#[derive(Debug, Default)]
pub struct Pairing {
    open: BTreeMap<Token, Invitation>,
    /// Tokens that are used up or expired, and since when.
    over: BTreeMap<Token, (No, Timestamp)>,
    joins: BTreeMap<Token, Join>,
    done: VecDeque<Done>,
    done_count: usize,
}

impl Pairing {
    /// Open invitations.
    pub fn open(&self) -> impl Iterator<Item = (&Token, &Invitation)> {
        self.open.iter()
    }

    /// Pairings that came about since the start, the newest last.
    pub fn done(&self) -> impl Iterator<Item = &Done> {
        self.done.iter()
    }

    /// How many came about since the start.
    #[must_use]
    pub fn done_count(&self) -> usize {
        self.done_count
    }

    /// How a join stands.
    #[must_use]
    pub fn progress(&self, token: Token) -> Progress {
        if let Some(done) = self.done.iter().rev().find(|done| done.token == token) {
            return Progress::Done(done.clone());
        }
        match self.joins.get(&token) {
            Some(Join {
                failed: Some(why), ..
            }) => Progress::Failed(why.clone()),
            Some(_) => Progress::Asking,
            None => Progress::Unknown,
        }
    }

    /// Whether somebody, or this one, has used this token of ours.
    fn has_let_in(&self, token: Token, node: Option<NodeId>) -> bool {
        let is_ours = self.open.contains_key(&token) || self.over.contains_key(&token);
        let mut done = self.done.iter().filter(|done| done.token == token);
        is_ours && done.any(|done| node.is_none_or(|node| node == done.node))
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = Kept> + '_ {
        self.open
            .iter()
            .map(|(token, invitation)| Kept::Invitation(*token, invitation.clone()))
    }

    pub(super) fn restore(&mut self, token: Token, invitation: Invitation, now: Timestamp) {
        if invitation.expires > now && self.open.len() < INVITATIONS_MAX {
            self.open.insert(token, invitation);
        }
    }

    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let ends = self.open.values().map(|invitation| invitation.expires);
        let retries = self.joins.values().filter_map(|join| join.retry_at);
        ends.chain(retries).min()
    }

    pub(super) fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let ended: Vec<_> = self
            .open
            .iter()
            .filter(|(_, invitation)| invitation.expires <= now)
            .map(|(token, _)| *token)
            .collect();
        for token in ended {
            self.open.remove(&token);
            self.end(token, No::Expired, now);
            effects.push(Effect::Remove(KeptKey::Invitation(token)));
        }
        self.over
            .retain(|_, (_, since)| now.since(*since) < OVER_KEPT);
        self.joins
            .retain(|_, join| join.failed.is_none() || now.since(join.since) < JOIN_PATIENCE * 10);
    }

    /// A token is over. Full, the one that was so first is forgotten.
    fn end(&mut self, token: Token, why: No, now: Timestamp) {
        self.over.insert(token, (why, now));
        if self.over.len() > OVER_MAX {
            let oldest = self.over.iter().min_by_key(|(_, (_, since))| *since);
            if let Some(oldest) = oldest.map(|(token, _)| *token) {
                self.over.remove(&oldest);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn check_bounds(&self) {
        assert!(self.open.len() <= INVITATIONS_MAX && self.over.len() <= OVER_MAX);
        assert!(self.joins.len() <= JOINS_MAX && self.done.len() <= DONE_MAX);
    }

    pub(super) fn fail(&mut self, token: Token, why: &str, now: Timestamp) {
        if let Some(join) = self.joins.get_mut(&token) {
            join.failed = Some(why.to_owned());
            (join.retry_at, join.since) = (None, now);
        }
    }

    fn finish(&mut self, done: Done) {
        if self.done.len() >= DONE_MAX {
            self.done.pop_front();
        }
        self.done.push_back(done);
        self.done_count += 1;
    }
}

impl Mesh {
    /// Make an invitation. `token` and `secret` are fresh and nobody can guess them; the secret is used if there is no
    /// fleet yet.
    pub fn invite(
        &mut self,
        offer: Offer,
        uses: u16,
        life: Duration,
        token: [u8; 16],
        secret: [u8; 32],
        now: Timestamp,
    ) -> Result<(String, Vec<Effect>), InviteError> {
        if self.silenced.is_some() {
            return Err(InviteError::Silenced);
        }
        if self.pairing.open.len() >= INVITATIONS_MAX {
            return Err(InviteError::TooMany);
        }
        if self.addresses.is_empty() {
            return Err(InviteError::Unreachable);
        }
        let mut effects = Vec::new();
        let circle = match offer {
            Offer::Fleet => {
                if self.fleet.is_none() {
                    self.forget_away(&mut effects);
                    self.enter_fleet(secret, now.millis(), now, &mut effects);
                }
                None
            }
            Offer::Circle => Some(self.own_circle(token, now, &mut effects)),
            Offer::Friend => None,
        };
        // The issuer's word counts; a ticket says minutes only, and none too few.
        let expires = now + life.min(INVITATION_LIFE_MAX);
        let token = Token(token);
        let ticket = Ticket {
            relation: offer,
            issuer: self.keypair.id(),
            transport: self.transport,
            token,
            expires: Minute::of(expires + Duration::from_millis(59_999)),
            addresses: self
                .addresses
                .iter()
                .take(limits::ADDRESSES_MAX)
                .cloned()
                .collect(),
        };
        let invitation = Invitation {
            offer,
            expires,
            uses_left: uses.clamp(1, USES_MAX),
            circle,
        };
        let text = ticket
            .write(&self.keypair)
            .map_err(|_| InviteError::Unreachable)?;
        effects.push(Effect::Save(Kept::Invitation(token, invitation.clone())));
        self.pairing.open.insert(token, invitation);
        Ok((text, effects))
    }

    /// The circle that this node curates; founded if there is none yet.
    fn own_circle(
        &mut self,
        nonce: [u8; 16],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> CircleId {
        let me = self.keypair.id();
        if let Some((id, _)) = self.circles.iter().find(|(_, circle)| circle.founder == me) {
            return *id;
        }
        let id = CircleId::of(me, nonce);
        self.enter_circle(id, me, now, effects);
        id
    }

    fn enter_circle(
        &mut self,
        id: CircleId,
        founder: NodeId,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        // Whoever founds or joins a circle wants to hear and be heard there; `lymph share` changes that.
        let circle = Circle {
            founder,
            consent: Consent::BOTH,
            since: now,
        };
        effects.push(Effect::Save(Kept::Circle(id, circle.clone())));
        self.circles.insert(id, circle);
        effects.extend(
            Audience::Circle(id)
                .topics()
                .into_iter()
                .map(|topic| Effect::Net(super::Net::Join(topic))),
        );
    }

    /// Take an invitation. How it goes on, [`Pairing::progress`] tells.
    pub fn join(&mut self, text: &str, now: Timestamp) -> Result<(Ticket, Vec<Effect>), JoinError> {
        let ticket = Ticket::read(text)?;
        if self.silenced.is_some() {
            return Err(JoinError::Silenced);
        }
        if ticket.issuer == self.keypair.id() || ticket.transport == self.transport {
            return Err(JoinError::Own);
        }
        if ticket.expires.start() <= now {
            return Err(JoinError::Expired(ticket.expires.start()));
        }
        let is_sibling = self
            .known
            .get(&ticket.issuer)
            .is_some_and(|known| known.degree == Degree::Sibling);
        if ticket.relation == Offer::Fleet && self.fleet.is_some() && !is_sibling {
            return Err(JoinError::InAFleet);
        }
        // What has failed is only still told.
        if self.pairing.joins.len() >= JOINS_MAX {
            self.pairing.joins.retain(|_, join| join.failed.is_none());
        }
        if self.pairing.joins.len() >= JOINS_MAX && !self.pairing.joins.contains_key(&ticket.token)
        {
            return Err(JoinError::TooMany);
        }
        let mut effects = Vec::new();
        let join = Join {
            ticket: ticket.clone(),
            since: now,
            retry_at: None,
            failed: None,
        };
        self.pairing.joins.insert(ticket.token, join);
        self.pairing.done.retain(|done| done.token != ticket.token);
        self.ask_to_join(ticket.token, now, &mut effects);
        Ok((ticket, effects))
    }

    fn ask_to_join(&mut self, token: Token, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(contact) = self.own_contact(Audience::Public, now, effects) else {
            return;
        };
        let Some(join) = self.pairing.joins.get_mut(&token) else {
            return;
        };
        join.retry_at = None;
        let (peer, addresses) = (join.ticket.transport, join.ticket.addresses.clone());
        let ask = Ask::Join {
            token,
            contact: self.for_all(&contact),
        };
        if !self.ask(peer, addresses, &ask, Question::Join(token), effects) {
            self.pairing
                .fail(token, "too many questions wait for an answer", now);
        }
    }

    /// Ask again whom we could not reach.
    pub(super) fn retry_joins(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let due = self
            .pairing
            .joins
            .iter()
            .filter(|(_, join)| join.retry_at.is_some_and(|at| at <= now));
        for token in due.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.ask_to_join(token, now, effects);
        }
    }

    /// Somebody has a ticket of ours.
    pub(super) fn join_asked(
        &mut self,
        from: TransportId,
        channel: u64,
        token: Token,
        contact: &[u8],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        // Whoever was let in by it may not have heard so, and asks again: that is seen once the signature is checked.
        if let Err(why) = self.is_open(token, now)
            && !self.pairing.has_let_in(token, None)
        {
            return self.refuse(channel, why, effects);
        }
        match Signed::parse(contact, Audience::Public) {
            Ok(signed) if signed.author() == self.keypair.id() => {
                self.refuse(channel, No::OwnTicket, effects)
            }
            Ok(signed) => {
                if !self.check(signed, from, Purpose::Join { channel, token }, effects) {
                    self.refuse(channel, No::Busy, effects);
                }
            }
            Err(_) => self.refuse(channel, No::BadContact, effects),
        }
    }

    fn is_open(&self, token: Token, now: Timestamp) -> Result<Invitation, No> {
        match (self.pairing.open.get(&token), self.pairing.over.get(&token)) {
            (Some(invitation), _) if invitation.expires <= now => Err(No::Expired),
            (Some(invitation), _) => Ok(invitation.clone()),
            (None, Some((why, _))) => Err(*why),
            (None, None) => Err(No::UnknownTicket),
        }
    }

    /// An invitation was used once more.
    fn used(
        &mut self,
        token: Token,
        invitation: &Invitation,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        match invitation.uses_left {
            0 => {
                self.pairing.open.remove(&token);
                self.pairing.end(token, No::Used, now);
                effects.push(Effect::Remove(KeptKey::Invitation(token)));
            }
            _ => {
                effects.push(Effect::Save(Kept::Invitation(token, invitation.clone())));
                self.pairing.open.insert(token, invitation.clone());
            }
        }
    }

    /// The invitation by which a node was let in that is still what it became then. It may have missed the answer: asking
    /// once more costs no use.
    fn let_in_before(&self, token: Token, node: NodeId, now: Timestamp) -> Option<Invitation> {
        let done = self.pairing.has_let_in(token, Some(node));
        let known = self.known.get(&node).filter(|_| done)?;
        let offer = match known.degree {
            Degree::Friend => Offer::Friend,
            Degree::Member => Offer::Circle,
            Degree::Sibling => Offer::Fleet,
        };
        Some(Invitation {
            offer,
            expires: now,
            uses_left: 0,
            circle: known.circle,
        })
    }

    /// The joiner holds the key that its contact names.
    pub(super) fn join_checked(
        &mut self,
        from: TransportId,
        channel: u64,
        token: Token,
        object: &Verified<Object>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let again = self.let_in_before(token, object.author(), now);
        let mut invitation = match (again.clone(), self.is_open(token, now)) {
            (Some(again), _) => again,
            (None, Ok(invitation)) => invitation,
            (None, Err(why)) => return self.refuse(channel, why, effects),
        };
        let (node, Object::Contact(contact)) = (object.author(), object.object()) else {
            return self.refuse(channel, No::BadContact, effects);
        };
        if contact.transport != from {
            return self.refuse(channel, No::BadContact, effects);
        }
        let degree = degree_of(invitation.offer);
        let (Some(own), true) = (
            self.own_contact(Audience::Public, now, effects),
            self.know(node, degree, contact, now, effects),
        ) else {
            return self.refuse(channel, No::Full, effects);
        };
        if let (Some(known), Some(circle)) = (self.known.get_mut(&node), invitation.circle) {
            known.circle = Some(circle);
            effects.push(Effect::Save(Kept::Known(node, known.clone())));
        }
        if again.is_none() {
            invitation.uses_left = invitation.uses_left.saturating_sub(1);
            self.used(token, &invitation, now, effects);
        }
        self.vouch_for(node, now, effects);
        let joined = Joined {
            relation: invitation.offer,
            contact: self.for_all(&own),
            secret: self
                .fleet
                .as_ref()
                .filter(|_| degree == Degree::Sibling)
                .map(|fleet| *fleet.secret.as_bytes()),
            circle: invitation.circle.map(|circle| circle.0),
            objects: self.for_newcomer(node, degree, invitation.circle),
            pending: false,
        };
        self.reply(channel, &Answer::Joined(Box::new(joined)), effects);
        self.paired(token, node, degree, node, now, effects);
        self.greet(from, now, effects);
    }

    /// What a newcomer should know at once: where the others are, what the operator wants, and that we vouch for them.
    fn for_newcomer(&self, node: NodeId, degree: Degree, circle: Option<CircleId>) -> Vec<Vec<u8>> {
        let vouch = self.own_vouches.get(&node).map(|vouch| self.for_all(vouch));
        let audience = match (degree, circle) {
            (Degree::Sibling, _) => self.fleet(),
            (Degree::Member, Some(circle)) => Some(Audience::Circle(circle)),
            (Degree::Friend | Degree::Member, _) => None,
        };
        let mut objects: Vec<_> = vouch.into_iter().collect();
        for kind in [Kind::Contact, Kind::Word] {
            if let Some(audience) = audience {
                let all = self.shelf.of_kind(audience, kind);
                objects.extend(
                    all.map(|(_, bytes)| bytes.to_vec())
                        .take(limits::FETCH_MAX / 2),
                );
            }
        }
        objects
    }

    fn paired(
        &mut self,
        token: Token,
        node: NodeId,
        degree: Degree,
        joiner: NodeId,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let issuer = if joiner == node {
            self.keypair.id()
        } else {
            node
        };
        let words = lymph_protocol::ticket::words(issuer, joiner, token);
        self.pairing.finish(Done {
            token,
            node,
            degree,
            words,
            at: now,
        });
        effects.push(Effect::Notice(Notice::Paired {
            node,
            degree,
            words,
        }));
    }

    /// The issuer answered.
    pub(super) fn join_answered(
        &mut self,
        peer: TransportId,
        token: Token,
        answer: Result<Answer, String>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(join) = self.pairing.joins.get_mut(&token) else {
            return;
        };
        match answer {
            Ok(Answer::Joined(joined)) => match Signed::parse(&joined.contact, Audience::Public) {
                Ok(signed) if signed.author() == join.ticket.issuer => {
                    if !self.check(signed, peer, Purpose::Joined { token, joined }, effects) {
                        self.pairing
                            .fail(token, "too many signatures wait to be checked", now);
                    }
                }
                Ok(_) | Err(_) => {
                    self.pairing
                        .fail(token, "the other node is not the one on the ticket", now)
                }
            },
            // Others ask a lot just now.
            Ok(Answer::Refused(No::Busy)) if now.since(join.since) < JOIN_PATIENCE => {
                join.retry_at = Some(now + JOIN_RETRY);
            }
            Ok(Answer::Refused(why)) => self.pairing.fail(token, &why.to_string(), now),
            Ok(_) => self.pairing.fail(
                token,
                "the other node gave an answer to something else",
                now,
            ),
            Err(why) if now.since(join.since) > JOIN_PATIENCE => {
                let places = join.ticket.addresses.join(", ");
                let why = format!(
                    "the other node cannot be reached at {places}: {why}; is lymph running there, and does its firewall let its port in?"
                );
                self.pairing.fail(token, &why, now);
            }
            Err(_) => join.retry_at = Some(now + JOIN_RETRY),
        }
    }

    /// The issuer is who the ticket says.
    pub(super) fn joined_checked(
        &mut self,
        from: TransportId,
        token: Token,
        joined: Joined,
        object: &Verified<Object>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(join) = self.pairing.joins.get(&token) else {
            return;
        };
        let (node, offer) = (object.author(), join.ticket.relation);
        let Object::Contact(contact) = object.object() else {
            return self
                .pairing
                .fail(token, "the other node sent no contact", now);
        };
        let degree = degree_of(offer);
        if joined.relation != offer || contact.transport != from {
            return self.pairing.fail(
                token,
                "the other node offers something else than its ticket",
                now,
            );
        }
        // Whoever joins a circle has its curator for a friend.
        let theirs = if degree == Degree::Member {
            Degree::Friend
        } else {
            degree
        };
        if !self.know(node, theirs, contact, now, effects) {
            return self
                .pairing
                .fail(token, "there is no room for one more node here", now);
        }
        let audience = match (degree, joined.secret, joined.circle) {
            (Degree::Sibling, Some(secret), _) => {
                let theirs = FleetSecret::from_bytes(secret).fleet();
                if self.fleet() != Some(Audience::Fleet(theirs)) {
                    self.forget_away(effects);
                }
                // Whatever new secret there is later is later than this one, whatever this machine's clock says.
                self.enter_fleet(secret, 0, now, effects);
                self.fleet()
            }
            (Degree::Member, _, Some(circle)) => {
                self.enter_circle(CircleId(circle), node, now, effects);
                Some(Audience::Circle(CircleId(circle)))
            }
            (Degree::Friend, _, _) => Some(Audience::Public),
            (Degree::Sibling | Degree::Member, _, _) => {
                return self.pairing.fail(
                    token,
                    "the other node did not say which fleet or circle this is",
                    now,
                );
            }
        };
        self.vouch_for(node, now, effects);
        if let Some(audience) = audience {
            self.given(from, audience, &joined.objects, true, now, effects);
            let own = self
                .shelf
                .of_kind(audience, Kind::Contact)
                .filter(|(author, _)| *author == self.keypair.id());
            let own: Vec<_> = own.map(|(_, bytes)| bytes.to_vec()).collect();
            if degree == Degree::Sibling && !own.is_empty() {
                let ask = Ask::Push {
                    audience,
                    objects: own,
                };
                self.ask(from, Vec::new(), &ask, Question::Push, effects);
            }
            self.catching_up.want(from, audience, now, true);
        }
        self.pairing.joins.remove(&token);
        let me = self.keypair.id();
        self.paired(token, node, theirs, me, now, effects);
        self.hand_over_vouch(node, effects);
    }
}
