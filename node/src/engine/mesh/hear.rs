//! From bytes that somebody handed on to something that was heard: the way of a frame.

use lymph_protocol::admission::{Path, Refusal, Standing, Why};
use lymph_protocol::ask::{Answer, Ask, Refusal as No};
use lymph_protocol::audience::Audience;
use lymph_protocol::limits;
use lymph_protocol::signed::{BadSignature, Kind, Object, Signed, Verified};
use lymph_protocol::vouch::Minute;
use lymph_protocol::word::Wish;
use lymph_protocol::{NodeId, Timestamp, TransportId};

use super::fleet::AHEAD_MAX;
use super::kept::{Kept, KeptKey};
use super::shelf::{Place, Rank};
use super::{Checking, Effect, Heard, Judgement, Mesh, Net, Notice, Purpose, Question, Silenced};

impl From<Refusal> for Judgement {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ignore(_) => Judgement::Ignore,
            Refusal::Reject(_) => Judgement::Reject,
        }
    }
}

/// Words of one sibling that are remembered: two thousand unbans, and the rest of a week.
const WORDS_MAX: usize = 4_096;
/// Objects that were given to us lately; beyond that they are not handed on, should they come by gossip as well.
const GIVEN_MAX: usize = 4_096;
/// How long that matters: what is said by gossip is everywhere within seconds.
const GIVEN_LATELY: std::time::Duration = std::time::Duration::from_secs(60);
/// Keys of nobody we know that are remembered as dead or as liars'.
const STRANGERS_MAX: usize = 4_096;

fn judge(message: u64, verdict: Judgement) -> Effect {
    Effect::Net(Net::Judge { message, verdict })
}

impl Mesh {
    /// Audiences whose topics this node listens to.
    pub(super) fn joined(&self) -> Vec<Audience> {
        let circles = self
            .circles
            .iter()
            .filter(|(_, circle)| circle.consent.consume);
        let mut joined: Vec<_> = circles.map(|(id, _)| Audience::Circle(*id)).collect();
        joined.extend(self.fleet());
        if self.public.consume {
            joined.push(Audience::Public);
        }
        joined
    }

    /// Whether others' reports to this audience count here.
    fn consumes(&self, audience: Audience) -> bool {
        match audience {
            Audience::Fleet(_) => self.fleet() == Some(audience),
            Audience::Circle(id) => self
                .circles
                .get(&id)
                .is_some_and(|circle| circle.consent.consume),
            Audience::Public => self.public.consume,
        }
    }

    /// Whether this node says anything to this audience unasked.
    pub(super) fn publishes(&self, audience: Audience) -> bool {
        match audience {
            Audience::Fleet(_) => self.fleet() == Some(audience),
            Audience::Circle(id) => self
                .circles
                .get(&id)
                .is_some_and(|circle| circle.consent.publish),
            Audience::Public => self.public.publish,
        }
    }

    /// Somebody handed something on, by gossip.
    pub(super) fn frame(
        &mut self,
        message: u64,
        from: TransportId,
        topic: &str,
        bytes: &[u8],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let joined = self.joined();
        let Some(audience) = Audience::of_topic(topic, joined.iter()) else {
            return effects.push(judge(message, Judgement::Ignore));
        };
        let opened = match self.secret_of(audience) {
            Some(secret) => secret.open(bytes),
            None => Some(bytes.to_vec()),
        };
        // No sibling or member makes bytes that the secret does not open, and all of them see that.
        let Some(bytes) = opened else {
            return effects.push(judge(message, Judgement::Reject));
        };
        // Only siblings can seal: they are not slowed down, since the word that matters most may come after a thousand others.
        let path = match audience {
            Audience::Fleet(_) => Path::Asked,
            Audience::Circle(_) | Audience::Public => Path::Gossip,
        };
        match self.first(from, path, audience, &bytes, now) {
            Err(Refusal::Ignore(Why::Seen)) if self.was_given(audience, &bytes, now) => {
                effects.push(judge(message, Judgement::Accept));
            }
            Err(refusal) => {
                self.count_refused(refusal.why());
                effects.push(judge(message, refusal.into()));
            }
            Ok(signed) => {
                if !self.check(signed, from, Purpose::Gossip { message }, effects) {
                    effects.push(judge(message, Judgement::Ignore));
                }
            }
        }
    }

    /// Whether these very bytes were given to us lately, and now come by gossip for the first time: whoever hears it from
    /// us alone still has to. Once each, so that nobody has old words handed on again and again.
    fn was_given(&mut self, audience: Audience, bytes: &[u8], now: Timestamp) -> bool {
        let Ok(signed) = Signed::parse(bytes, audience) else {
            return false;
        };
        let id = signed.id();
        let at = self.given_lately.remove(&id);
        let envelope = self.shelf.envelope_for_others(audience, id);
        at.is_some_and(|at| now.since(at) < GIVEN_LATELY)
            && envelope.is_some_and(|envelope| **envelope == *bytes)
    }

    fn note_given(&mut self, id: lymph_protocol::ObjectId, now: Timestamp) {
        if self.given_lately.len() >= GIVEN_MAX {
            self.given_lately
                .retain(|_, at| now.since(*at) < GIVEN_LATELY);
        }
        if self.given_lately.len() < GIVEN_MAX {
            self.given_lately.insert(id, now);
        }
    }

    /// The cheap looks.
    fn first(
        &mut self,
        from: TransportId,
        path: Path,
        audience: Audience,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Signed<Object>, Refusal> {
        let me = self.keypair.id();
        let (known, muted, dead, distrusted) =
            (&self.known, &self.muted, &self.dead, &self.distrusted);
        let reach = &self.reach;
        let standing = |node: NodeId| match known.get(&node) {
            // Our own words from outside: whose they are is seen when the signature is checked.
            _ if node == me => Standing::Vouched(10_000),
            _ if muted.contains(&node)
                || distrusted.contains_key(&node)
                || dead.contains_key(&node) =>
            {
                Standing::Muted
            }
            Some(known) if known.degree == lymph_protocol::vouch::Degree::Sibling => {
                Standing::Sibling
            }
            Some(known) => Standing::Vouched(known.weight.0),
            // Whoever knows the fleet's secret is a sibling, even before they have introduced themselves.
            None if matches!(audience, Audience::Fleet(_)) => Standing::Sibling,
            None => match reach.get(&node) {
                Some(weight) => Standing::Vouched(*weight),
                None => Standing::Stranger,
            },
        };
        self.admission
            .first(from, path, audience, bytes, now, standing)
    }

    /// Somebody gave these. What was asked for, or comes from somebody we know, costs them nothing; a stranger who hands
    /// something over pays for it as for gossip. Some room is left for gossip's own signatures. Returns how many are looked
    /// at more closely.
    pub(super) fn given(
        &mut self,
        from: TransportId,
        audience: Audience,
        objects: &[Vec<u8>],
        is_wanted: bool,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> usize {
        let mut news = 0;
        let path = match is_wanted || self.transports.contains_key(&from) {
            true => Path::Asked,
            false => Path::Gossip,
        };
        for bytes in objects.iter().take(limits::FETCH_MAX) {
            if self.checking.len() >= self.limits.verifying_max / 4 * 3 {
                return news;
            }
            match self.first(from, path, audience, bytes, now) {
                Ok(signed) => {
                    news += usize::from(self.check(signed, from, Purpose::Given, effects));
                }
                Err(Refusal::Ignore(Why::PeerTooFast)) => return news,
                Err(_) => {}
            }
        }
        news
    }

    /// Check what was kept on disk from a run before, as many at once as there is room for.
    pub(super) fn check_restored(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while self.checking.len() < self.limits.verifying_max / 2
            && let Some((_, (id, audience, bytes))) = self.restoring.pop_first()
        {
            match Signed::parse(&bytes, audience) {
                Ok(signed) if signed.unverified().expires() > now => {
                    self.check(signed, self.transport, Purpose::Restored, effects);
                }
                // Over, or written by another version.
                Ok(_) | Err(_) => effects.push(Effect::Remove(KeptKey::Object(id))),
            }
        }
    }

    /// A signature was checked.
    pub(super) fn verified(
        &mut self,
        number: u64,
        object: Result<Verified<Object>, BadSignature>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Checking { from, purpose }) = self.checking.remove(&number) else {
            return;
        };
        match (purpose, object) {
            (Purpose::Gossip { message }, Err(BadSignature)) => {
                self.count_refused(Why::BadSignature);
                effects.push(judge(message, Judgement::Reject))
            }
            (Purpose::Gossip { message }, Ok(object)) => {
                let verdict = match self.admit(&object, true, now, effects) {
                    Ok(()) => Judgement::Accept,
                    // It was given to us while its signature was checked.
                    Err(Refusal::Ignore(Why::Seen))
                        if self.was_given(object.audience(), object.bytes(), now) =>
                    {
                        Judgement::Accept
                    }
                    Err(refusal) => {
                        self.count_refused(refusal.why());
                        refusal.into()
                    }
                };
                effects.push(judge(message, verdict));
            }
            (Purpose::Given, Ok(object)) => {
                // What is refused here was asked for, so nobody is to blame.
                if self.admit(&object, false, now, effects).is_ok() {
                    self.note_given(object.id(), now);
                }
            }
            (Purpose::Restored, Ok(object)) => {
                self.remember_restored(&object, now, effects);
                self.check_restored(now, effects);
            }
            (Purpose::Hello { channel }, Ok(object)) => {
                self.hello_checked(from, channel, &object, now, effects)
            }
            (Purpose::Join { channel, token }, Ok(object)) => {
                self.join_checked(from, channel, token, &object, now, effects)
            }
            (Purpose::Joined { token, joined }, Ok(object)) => {
                self.joined_checked(from, token, *joined, &object, now, effects)
            }
            (
                Purpose::Hello {
                    channel: Some(channel),
                }
                | Purpose::Join { channel, .. },
                Err(BadSignature),
            ) => {
                self.refuse(channel, No::BadContact, effects);
            }
            (Purpose::Joined { token, .. }, Err(BadSignature)) => {
                self.pairing.fail(
                    token,
                    "the other node's contact is not signed by the key on the ticket",
                    now,
                );
            }
            (
                Purpose::Given | Purpose::Restored | Purpose::Hello { channel: None },
                Err(BadSignature),
            ) => {}
        }
    }

    /// The author is who it says: charge them, and hear what is new.
    fn admit(
        &mut self,
        object: &Verified<Object>,
        is_gossip: bool,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let (author, audience) = (object.author(), object.audience());
        if author == self.keypair.id() {
            return self.own_voice(object, now, effects);
        }
        let standing = match (self.standing(author), audience) {
            (Standing::Stranger, Audience::Fleet(_)) => Standing::Sibling,
            (standing, _) => standing,
        };
        let admitted = self.admission.verified(object, now, standing)?;
        if let Some((one, other)) = admitted.equivocation {
            // Of strangers it does not matter much: nothing follows from what they say.
            let counts = self.counts(author);
            if counts || self.distrusted.len() < STRANGERS_MAX {
                // Until both are over. What is not on the shelf any more lives no longer than anything of its kind.
                let longest = match object.object().kind() {
                    Kind::Vouch | Kind::Revocation | Kind::Contact => limits::VOUCH_LIFE_MAX,
                    _ => limits::WORD_LIFE,
                };
                let before = [one, other].into_iter().filter(|id| *id != object.id());
                let before = before.filter_map(|id| self.shelf.expires(id)).max();
                let until = object.object().expires();
                let until = until.max(before.unwrap_or(now + longest));
                self.distrusted.insert(author, until);
                if counts {
                    effects.push(Effect::Save(Kept::Barred(author, until)));
                }
                effects.push(Effect::Notice(Notice::Equivocated(author)));
                effects.push(Effect::Heard(Heard::Barred {
                    node: author,
                    until,
                }));
            }
            return Err(Refusal::Ignore(Why::Muted));
        }
        self.heard += 1;
        self.shelve(object, now, effects);
        if is_gossip {
            // Whoever said it has told everybody.
            self.shelf.open(object.id());
        }
        let reports: Vec<_> = object.reports().collect();
        let fresh = admitted
            .fresh_reports
            .iter()
            .filter_map(|index| reports.get(*index));
        for report in fresh {
            self.shelf.report(author, report.object(), audience, now);
            // Strangers could be one, and the attacker.
            if self.known.contains_key(&author) {
                self.reporting
                    .others_report(report.object().subject, author, now);
            }
            if self.consumes(audience) {
                effects.push(Effect::Heard(Heard::Report {
                    report: report.clone(),
                    standing,
                }));
            }
        }
        // What comes late, after what holds in its place, is kept for others and changes nothing here.
        if !admitted.is_overtaken {
            self.hear(object, standing, now, effects);
        }
        Ok(())
    }

    /// What is no report.
    fn hear(
        &mut self,
        object: &Verified<Object>,
        standing: Standing,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        // Numbers are times. What is a day ahead would overtake all that anybody wants for a day, or for ever.
        let is_ahead = number_of(object.object()) > Some((now + AHEAD_MAX).millis());
        if is_ahead && matches!(object.object(), Object::Word(_) | Object::Contact(_)) {
            return;
        }
        let (author, audience, me) = (object.author(), object.audience(), self.keypair.id());
        match object.object() {
            Object::Report(_) | Object::Batch(_) | Object::Digest(_) | Object::Root(_) => {}
            Object::Retraction(retraction) => {
                self.shelf.retract(
                    author,
                    retraction.subject,
                    retraction.family,
                    retraction.seq,
                );
                if self.consumes(audience) {
                    effects.push(Effect::Heard(Heard::Retracted {
                        author,
                        standing,
                        subject: retraction.subject,
                        family: retraction.family,
                        seq: retraction.seq,
                    }));
                }
            }
            Object::Vouch(_) | Object::Revocation(_) => {
                self.heard_vouch(object, effects);
                match object.object() {
                    Object::Vouch(vouch) if vouch.subject == me => {
                        self.vouched_by(author, Some(vouch.expires), now, effects)
                    }
                    Object::Revocation(revocation) if revocation.subject == me => {
                        self.vouched_by(author, None, now, effects)
                    }
                    _ => {}
                }
            }
            Object::Kill(kill) => {
                let is_known = self.known.contains_key(&author);
                let counts = self.counts(author);
                if counts && self.dead.len() >= STRANGERS_MAX {
                    // Anybody can make keys and kill them; one that is believed matters more.
                    let stranger = self.dead.keys().find(|node| !self.counts(**node)).copied();
                    if let Some(stranger) = stranger {
                        self.dead.remove(&stranger);
                    }
                }
                if counts || self.dead.len() < STRANGERS_MAX {
                    self.dead.insert(author, *kill);
                    effects.push(Effect::Heard(Heard::Barred {
                        node: author,
                        until: Timestamp::MAX,
                    }));
                }
                if counts {
                    effects.push(Effect::Save(Kept::Dead(author, kill.successor)));
                }
                if is_known {
                    effects.push(Effect::Notice(Notice::KeyDied {
                        node: author,
                        successor: kill.successor,
                    }));
                    effects.push(Effect::Heard(Heard::SiblingsChanged));
                }
            }
            Object::Contact(contact) => match audience {
                Audience::Fleet(_) => self.sibling_contact(author, contact, now, effects),
                // Where somebody else is, they say themselves, face to face.
                Audience::Circle(_) | Audience::Public => {}
            },
            Object::Word(word) => {
                if let Wish::Expel(node) = &word.wish {
                    match *node == me {
                        // Said by one who leaves about itself, or by one who has sent us away: the secret is changed
                        // already then, and nobody reaches us with it.
                        true => {}
                        false => self.expelled(*node, word.seq, effects),
                    }
                }
                effects.push(Effect::Heard(Heard::Word {
                    author,
                    seq: word.seq,
                    wish: word.wish.clone(),
                }));
            }
        }
    }

    /// Whether what a node says counts here: we know it, or hear it through those we know.
    fn counts(&self, node: NodeId) -> bool {
        self.known.contains_key(&node) || self.reach.contains_key(&node)
    }

    /// Who vouches for whom, as trust counts it.
    fn heard_vouch(&self, object: &Verified<Object>, effects: &mut Vec<Effect>) {
        self.heard_vouch_of(object.author(), object.object(), object.audience(), effects);
    }

    fn heard_vouch_of(
        &self,
        author: NodeId,
        object: &Object,
        audience: Audience,
        effects: &mut Vec<Effect>,
    ) {
        let (subject, weight, seq, issued, expires) = match object {
            Object::Vouch(vouch) => (
                vouch.subject,
                vouch.weight.0,
                vouch.seq,
                vouch.issued,
                vouch.expires,
            ),
            Object::Revocation(revocation) => (
                revocation.subject,
                0,
                revocation.seq,
                revocation.issued,
                revocation.expires,
            ),
            _ => return,
        };
        if !self.consumes(audience) && !self.known.contains_key(&author) {
            return;
        }
        effects.push(Effect::Heard(Heard::Vouch(lymph_trust::Statement {
            issuer: author,
            subject,
            weight,
            seq,
            expires,
            // Whatever was said before it ends by then.
            kept_until: Minute::of(issued.start() + limits::VOUCH_LIFE_MAX).max(expires),
        })));
    }

    fn vouched_by(
        &mut self,
        author: NodeId,
        until: Option<lymph_protocol::vouch::Minute>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(known) = self.known.get_mut(&author) {
            known.vouches_until = until;
            effects.push(Effect::Save(Kept::Known(author, known.clone())));
        }
        self.befriend_anew(now, effects);
    }

    /// Something with our own signature came from outside. What was said by an earlier run comes back like this when the
    /// store was lost; what has a number that only this run gives, but not to that, was said by somebody else with our key.
    pub(super) fn own_voice(
        &mut self,
        object: &Verified<Object>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if let Object::Kill(kill) = object.object() {
            self.dead.insert(object.author(), *kill);
            effects.push(Effect::Save(Kept::Dead(object.author(), kill.successor)));
            if self.silenced.replace(Silenced::Dead) != Some(Silenced::Dead) {
                effects.push(Effect::Notice(Notice::WeAreDead));
            }
            self.shelve(object, now, effects);
            return Ok(());
        }
        let number = number_of(object.object());
        let is_known = number.is_some_and(|seq| self.spoken.contains(&(seq, object.id())));
        if is_known || self.admission.has_seen(&object.id()) {
            return Err(Refusal::Ignore(Why::Seen));
        }
        if number.is_some_and(|seq| seq >= self.own_from) {
            if self.silenced.is_none() {
                self.silenced = Some(Silenced::Cloned);
                effects.push(Effect::Notice(Notice::Cloned));
            }
            return Err(Refusal::Ignore(Why::OwnKey));
        }
        let _ = self.admission.verified(object, now, Standing::Own);
        self.shelve(object, now, effects);
        for report in object.reports() {
            self.shelf
                .report(object.author(), report.object(), object.audience(), now);
        }
        Ok(())
    }

    /// From a run before: known again, but nothing follows from it again.
    fn remember_restored(
        &mut self,
        object: &Verified<Object>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let standing = self.standing(object.author());
        self.admission.restored(object, now, standing);
        if let Object::Word(word) = object.object() {
            effects.push(Effect::Heard(Heard::Remembered {
                seq: word.seq,
                wish: word.wish.clone(),
            }));
        }
        self.heard_vouch(object, effects);
        let mut unsaid = Vec::new();
        self.shelve(object, now, &mut unsaid);
        for report in object.reports() {
            self.shelf
                .report(object.author(), report.object(), object.audience(), now);
        }
    }

    /// Put something on the shelf that somebody said, as if it had been heard: for benches and simulations.
    pub fn remember(&mut self, object: &Verified<Object>, now: Timestamp) {
        let standing = self.standing(object.author());
        self.admission.restored(object, now, standing);
        self.shelve(object, now, &mut Vec::new());
        self.shelf.open(object.id());
        for report in object.reports() {
            let audience = object.audience();
            self.shelf
                .report(object.author(), report.object(), audience, now);
        }
    }

    /// Whether others may hear of it from us. What is said face to face is not handed on: where somebody is, a vouch for
    /// us, and a vouch of ours that is not listed or not shared.
    fn is_for_others(&self, object: &Verified<Object>) -> bool {
        let me = self.keypair.id();
        let about = match object.object() {
            Object::Vouch(vouch) => vouch.subject,
            Object::Revocation(revocation) => revocation.subject,
            Object::Contact(_) => return object.audience() != Audience::Public,
            Object::Report(_)
            | Object::Batch(_)
            | Object::Retraction(_)
            | Object::Kill(_)
            | Object::Digest(_)
            | Object::Root(_)
            | Object::Word(_) => return true,
        };
        match object.audience() {
            Audience::Fleet(_) => true,
            audience if object.author() == me => {
                let known = self.known.get(&about);
                known.is_some_and(|known| known.is_listed) && self.publishes(audience)
            }
            Audience::Public | Audience::Circle(_) => about != me,
        }
    }

    /// Put it on the shelf, and keep it on disk if nothing else would bring it back.
    pub(super) fn shelve(
        &mut self,
        object: &Verified<Object>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let author = object.author();
        let is_own = author == self.keypair.id();
        let (audience, kind) = (object.audience(), object.object().kind());
        let most = match kind {
            Kind::Vouch | Kind::Revocation | Kind::Contact => limits::VOUCHES_PER_ISSUER,
            Kind::Word => WORDS_MAX,
            _ => usize::MAX,
        };
        // Whoever says more than anybody honest needs is not remembered with all of it.
        if !is_own && self.shelf.count_of(audience, kind, author) >= most {
            return;
        }
        let is_report = matches!(
            object.object(),
            Object::Report(_)
                | Object::Batch(_)
                | Object::Retraction(_)
                | Object::Digest(_)
                | Object::Root(_)
        );
        let rank = match self.standing(author) {
            Standing::Own | Standing::Sibling => Rank::Own,
            Standing::Vouched(_) => Rank::Known,
            Standing::Stranger | Standing::Muted
                if matches!(object.audience(), Audience::Fleet(_)) =>
            {
                Rank::Own
            }
            Standing::Stranger | Standing::Muted => Rank::Stranger,
        };
        let is_kept = is_own || !is_report && rank != Rank::Stranger;
        if let Object::Vouch(vouch) = object.object()
            && is_own
            && self.known.contains_key(&vouch.subject)
        {
            let newest = self
                .own_vouches
                .get(&vouch.subject)
                .and_then(|old| number_of(old.object()));
            if newest.is_none_or(|newest| newest < vouch.seq) {
                self.own_vouches.insert(vouch.subject, object.clone());
            }
        }
        let place = Place {
            is_kept,
            is_open: self.is_for_others(object),
        };
        let dropped = self.shelf.add(object, rank, place, now);
        effects.extend(dropped.into_iter().map(Effect::Remove));
        if is_kept
            && self
                .shelf
                .envelope(object.audience(), object.id())
                .is_some()
        {
            effects.push(Effect::Save(Kept::Object(
                object.id(),
                object.audience(),
                std::sync::Arc::clone(object.bytes()),
            )));
        }
    }

    /// A peer asks.
    pub(super) fn asked(
        &mut self,
        channel: u64,
        from: TransportId,
        bytes: &[u8],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let node = self.node_at(from);
        if node.is_some_and(|node| self.standing(node) == Standing::Muted) {
            return self.refuse(channel, No::NotYours, effects);
        }
        let is_known = node.is_some();
        if !self.catching_up.may_ask(from, is_known, bytes.len(), now) {
            return self.refuse(channel, No::Busy, effects);
        }
        // Bytes that are no question are one that this version does not know.
        let Ok(ask) = Ask::decode(bytes) else {
            return self.refuse(channel, No::NotYours, effects);
        };
        let is_shared = |audience: &Audience| match audience {
            Audience::Public => self.public.is_any(),
            Audience::Circle(_) | Audience::Fleet(_) => {
                node.is_some_and(|node| self.shared_with(node).contains(audience))
            }
        };
        match ask {
            Ask::Join { token, contact } => {
                self.join_asked(from, channel, token, &contact, now, effects)
            }
            Ask::Hello { audience, contact } => match Signed::parse(&contact, audience) {
                Ok(signed) if node == Some(signed.author()) => {
                    if !self.check(
                        signed,
                        from,
                        Purpose::Hello {
                            channel: Some(channel),
                        },
                        effects,
                    ) {
                        self.refuse(channel, No::Busy, effects);
                    }
                }
                Ok(_) => self.refuse(channel, No::NotYours, effects),
                Err(_) => self.refuse(channel, No::BadContact, effects),
            },
            Ask::Push { audience, objects } => {
                // A vouch for us and a fleet's words are taken from those we know, whatever else is shared.
                if is_shared(&audience) || node.is_some() && audience == Audience::Public {
                    self.given(from, audience, &objects, false, now, effects);
                    self.reply(channel, &Answer::Taken, effects);
                } else {
                    self.refuse(channel, No::NotYours, effects);
                }
            }
            Ask::Rekey {
                secret,
                epoch,
                expelled,
            } => {
                let sibling = node.filter(|node| self.standing(*node) == Standing::Sibling);
                let is_taken = sibling.is_some_and(|sibling| {
                    self.rekey_heard(sibling, (secret, epoch), &expelled, now, effects)
                });
                if is_taken {
                    // What was said with the new secret before we had it.
                    if let Some(audience) = self.fleet() {
                        self.catching_up.want(from, audience, now, true);
                    }
                    self.reply(channel, &Answer::Taken, effects);
                } else {
                    self.refuse(channel, No::NotYours, effects);
                }
            }
            Ask::Vouches { audience, .. }
            | Ask::Digest { audience, .. }
            | Ask::Reconcile { audience, .. }
            | Ask::Fetch { audience, .. }
                if !is_shared(&audience) =>
            {
                self.refuse(channel, No::NotYours, effects);
            }
            Ask::Vouches { audience, cursor } => {
                let (envelopes, cursor) =
                    self.shelf
                        .after_place(audience, cursor, limits::FETCH_MAX / 2);
                let objects = envelopes.iter().map(|bytes| bytes.to_vec()).collect();
                self.reply(channel, &Answer::Objects { objects, cursor }, effects);
            }
            // It is for those who vouch for somebody; to find it costs too much for anybody to ask.
            Ask::Digest { .. } if node.is_none() => self.refuse(channel, No::NotYours, effects),
            Ask::Digest {
                audience,
                author,
                after,
            } => {
                let digest = self.digest_of(audience, author, after, now, effects);
                self.reply(
                    channel,
                    &Answer::Objects {
                        objects: digest.into_iter().collect(),
                        cursor: 0,
                    },
                    effects,
                );
            }
            Ask::Reconcile { .. } | Ask::Fetch { .. } => {
                self.reconcile_asked(channel, from, ask, now, effects)
            }
        }
    }

    pub(super) fn reply(&mut self, channel: u64, answer: &Answer, effects: &mut Vec<Effect>) {
        let bytes = answer
            .encode()
            .or_else(|_| Answer::Refused(No::Full).encode());
        if let Ok(bytes) = bytes {
            effects.push(Effect::Net(Net::Reply { channel, bytes }));
        }
    }

    pub(super) fn refuse(&mut self, channel: u64, why: No, effects: &mut Vec<Effect>) {
        self.reply(channel, &Answer::Refused(why), effects);
    }

    fn hello_checked(
        &mut self,
        from: TransportId,
        channel: Option<u64>,
        object: &Verified<Object>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Object::Contact(contact) = object.object() else {
            if let Some(channel) = channel {
                self.refuse(channel, No::BadContact, effects);
            }
            return;
        };
        if contact.transport == from {
            self.keep_contact(object.author(), contact, now, effects);
        }
        if let Some(channel) = channel {
            match self.own_contact(object.audience(), now, effects) {
                Some(own) => self.reply(
                    channel,
                    &Answer::Hello {
                        contact: self.for_all(&own),
                    },
                    effects,
                ),
                None => self.refuse(channel, No::Busy, effects),
            }
        }
    }

    /// A peer answers, or does not.
    pub(super) fn answered(
        &mut self,
        number: u64,
        answer: Result<Vec<u8>, String>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some((peer, question)) = self.asking.remove(&number) else {
            return;
        };
        let answer = answer.and_then(|bytes| {
            Answer::decode(&bytes)
                .map_err(|error| format!("an answer that cannot be read: {error}"))
        });
        match (question, answer) {
            (Question::Join(token), answer) => {
                self.join_answered(peer, token, answer, now, effects)
            }
            (Question::CatchUp, answer) => self.caught_up(peer, answer.ok(), now, effects),
            (Question::Fetch(audience), answer) => {
                self.fetched(peer, audience, answer.ok(), now, effects)
            }
            (Question::Hello(audience), Ok(Answer::Hello { contact })) => {
                let Some(node) = self.node_at(peer) else {
                    return;
                };
                let signed = Signed::parse(&contact, audience).ok();
                if let Some(signed) = signed.filter(|signed| signed.author() == node) {
                    self.check(signed, peer, Purpose::Hello { channel: None }, effects);
                }
            }
            (Question::Vouches { audience, pages }, Ok(Answer::Objects { objects, cursor })) => {
                let news = self.given(peer, audience, &objects, true, now, effects);
                self.catching_up.read_to(peer, audience, cursor);
                // Whoever tells nothing new, or goes on and on, is asked on the next time.
                if let Some(pages) = pages.checked_sub(1).filter(|_| news > 0) {
                    let ask = Ask::Vouches { audience, cursor };
                    let question = Question::Vouches { audience, pages };
                    self.ask(peer, Vec::new(), &ask, question, effects);
                }
            }
            (Question::Digest(audience), Ok(Answer::Objects { objects, .. })) => {
                self.given(peer, audience, &objects, true, now, effects);
            }
            (Question::Rekey(node), Ok(Answer::Taken)) => self.rekeyed(node, peer, now, effects),
            (
                Question::Hello(_)
                | Question::Digest(_)
                | Question::Vouches { .. }
                | Question::Rekey(_)
                | Question::Push,
                _,
            ) => {}
        }
    }

    /// Declare a key dead that was ours, the one in use or an earlier one: with the certificate that was made with it.
    pub fn kill(&mut self, certificate: &[u8], now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let signed = Signed::parse(certificate, Audience::Public).ok();
        let signed = signed.filter(|signed| matches!(signed.unverified(), Object::Kill(_)));
        let Some(object) = signed.and_then(|signed| signed.verify().ok()) else {
            return effects;
        };
        // It is said to everybody and to whom we know, and then nothing any more.
        self.publish(&object, &mut effects);
        let known = self.known.values().filter_map(|known| known.transport);
        for peer in known
            .filter(|peer| self.connected.contains(peer))
            .collect::<Vec<_>>()
        {
            let ask = Ask::Push {
                audience: Audience::Public,
                objects: vec![object.bytes().to_vec()],
            };
            self.ask(peer, Vec::new(), &ask, Question::Push, &mut effects);
        }
        match object.author() == self.keypair.id() {
            true => drop(self.own_voice(&object, now, &mut effects)),
            false => self.shelve(&object, now, &mut effects),
        }
        effects
    }

    /// What was kept on disk comes back.
    pub fn restore(&mut self, kept: Kept, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match kept {
            Kept::Known(node, known) => {
                if self.known.len() < self.limits.known_max || self.known.contains_key(&node) {
                    if let Some(transport) = known.transport {
                        self.transports.insert(transport, node);
                    }
                    self.known.insert(node, known);
                }
            }
            Kept::Muted(node) => {
                self.muted.insert(node);
            }
            Kept::Dead(node, successor) => {
                let issued = lymph_protocol::vouch::Minute(0);
                self.dead
                    .insert(node, lymph_protocol::vouch::Kill { issued, successor });
                if node == self.keypair.id() {
                    self.silenced = Some(Silenced::Dead);
                }
            }
            Kept::Barred(node, until) => {
                self.distrusted.insert(node, until);
            }
            Kept::Fleet(secret, epoch) => {
                self.fleet = Some(super::fleet::Fleet::new(secret, epoch));
            }
            Kept::Behind(node) => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.behind.insert(node);
                }
            }
            Kept::Away(node, away) => self.restore_away(node, away),
            Kept::Circle(id, circle) => {
                self.circles.insert(id, circle);
            }
            Kept::Public(consent) => self.public = consent,
            Kept::Invitation(token, invitation) => self.pairing.restore(token, invitation, now),
            // Words first: they keep older ones from doing anything. Then own reports and whom to believe.
            Kept::Object(id, audience, bytes) => {
                let kind = bytes.get(1).copied().unwrap_or(0);
                let rank = (kind != Kind::Word as u8, self.restoring.len());
                if self.restoring.len() < self.limits.objects_max {
                    self.restoring.insert(rank, (id, audience, bytes));
                }
            }
            Kept::Lifted(net, seq) => {
                if Timestamp::from_millis(seq) + limits::WORD_LIFE <= now {
                    effects.push(Effect::Remove(KeptKey::Lifted(net)));
                } else {
                    self.lifted.insert(net, seq);
                    let wish = Wish::Lift {
                        net,
                        false_positive: false,
                    };
                    effects.push(Effect::Heard(Heard::Remembered { seq, wish }));
                }
            }
            Kept::Sequence(seq) => {
                self.last_seq = self.last_seq.max(seq);
                self.reserved_seq = self.reserved_seq.max(seq);
                self.own_from = self.own_from.max(seq.saturating_add(1));
            }
        }
        effects
    }

    /// Everything is restored: take up the connections and topics again.
    pub fn start(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.give_up_asking(|_| true, now, &mut effects);
        self.check_restored(now, &mut effects);
        for audience in self.joined() {
            effects.extend(
                audience
                    .topics()
                    .into_iter()
                    .map(|topic| Effect::Net(Net::Join(topic))),
            );
        }
        for node in self.known.keys().copied().collect::<Vec<_>>() {
            self.befriend(node, now, &mut effects);
        }
        for node in &self.muted {
            if let Some(transport) = self.known.get(node).and_then(|known| known.transport) {
                effects.push(Effect::Net(Net::Block(transport)));
            }
        }
        effects.push(Effect::Heard(Heard::SiblingsChanged));
        // Until it is known where this node can be reached, what it said of that before holds.
        if !self.addresses.is_empty() {
            self.announce(now, &mut effects);
        }
        effects
    }

    /// What goes into and out of the public mesh, from now on.
    pub fn share(
        &mut self,
        audience: Audience,
        consent: super::Consent,
        now: Timestamp,
    ) -> (bool, Vec<Effect>) {
        let mut effects = Vec::new();
        let before = self.joined();
        match audience {
            Audience::Public => {
                self.public = consent;
                effects.push(Effect::Save(Kept::Public(consent)));
            }
            Audience::Circle(id) => {
                let Some(circle) = self.circles.get_mut(&id) else {
                    return (false, effects);
                };
                circle.consent = consent;
                effects.push(Effect::Save(Kept::Circle(id, circle.clone())));
            }
            Audience::Fleet(_) => return (false, effects),
        }
        let after = self.joined();
        let topics = |of: &[Audience], not: &[Audience]| {
            of.iter()
                .filter(|audience| !not.contains(audience))
                .flat_map(Audience::topics)
                .collect::<Vec<_>>()
        };
        effects.extend(
            topics(&after, &before)
                .into_iter()
                .map(|topic| Effect::Net(Net::Join(topic))),
        );
        effects.extend(
            topics(&before, &after)
                .into_iter()
                .map(|topic| Effect::Net(Net::Leave(topic))),
        );
        if !consent.publish {
            self.reporting.forget(audience);
        }
        if consent.consume && !before.contains(&audience) {
            self.hear_what_is_there(audience, now, &mut effects);
        }
        if consent.consume {
            for peer in self.connected.iter().copied() {
                let is_known = self.transports.contains_key(&peer);
                self.catching_up.want(peer, audience, now, is_known);
            }
        }
        if consent.publish && audience == Audience::Public {
            let open: Vec<_> = self
                .own_vouches
                .iter()
                .filter(|(node, vouch)| {
                    vouch.audience() == Audience::Public
                        && self.known.get(node).is_some_and(|known| known.is_listed)
                })
                .map(|(_, vouch)| vouch.clone())
                .collect();
            for vouch in open {
                self.shelf.open(vouch.id());
                self.publish(&vouch, &mut effects);
            }
        }
        (true, effects)
    }

    /// What was passed on for others and not listened to counts from now on.
    fn hear_what_is_there(&self, audience: Audience, now: Timestamp, effects: &mut Vec<Effect>) {
        for kind in [Kind::Vouch, Kind::Revocation] {
            for (author, bytes) in self.shelf.of_kind(audience, kind) {
                // Only what was checked is on the shelf.
                if let Ok(signed) = Signed::parse(bytes, audience) {
                    self.heard_vouch_of(author, signed.unverified(), audience, effects);
                }
            }
        }
        let live = self.shelf.live_of(audience, now);
        effects.extend(live.map(|(author, report)| Effect::Heard(Heard::Live { author, report })));
    }

    /// Leave a circle: nothing of it is heard or said any more.
    pub fn leave_circle(
        &mut self,
        id: lymph_protocol::audience::CircleId,
        now: Timestamp,
    ) -> (bool, Vec<Effect>) {
        let audience = Audience::Circle(id);
        let (was_in, mut effects) = self.share(audience, super::Consent::default(), now);
        if was_in {
            self.circles.remove(&id);
            effects.push(Effect::Remove(KeptKey::Circle(id)));
            self.forget_audience(audience, &mut effects);
        }
        (was_in, effects)
    }
}

/// The number of an object, where it has one.
pub(super) fn number_of(object: &Object) -> Option<u64> {
    match object {
        Object::Report(_) | Object::Batch(_) => {
            object.reports().iter().map(|report| report.seq).max()
        }
        Object::Retraction(retraction) => Some(retraction.seq),
        Object::Vouch(vouch) => Some(vouch.seq),
        Object::Revocation(revocation) => Some(revocation.seq),
        Object::Contact(contact) => Some(contact.seq),
        Object::Word(word) => Some(word.seq),
        // A digest repeats numbers that were said before.
        Object::Kill(_) | Object::Root(_) | Object::Digest(_) => None,
    }
}
