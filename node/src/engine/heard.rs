//! Between the engine and its mesh: what others say becomes what policy allows, and what was seen here is told to others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::admission::Standing;
use lymph_protocol::report::{Report, RuleHash};
use lymph_protocol::signed::Verified;
use lymph_protocol::vouch::Degree;
use lymph_protocol::word::{Net as WireNet, Wish as FleetWish};
use lymph_protocol::{NodeId, Timestamp};
use lymph_scenarios::overflow::Overflow;
use sha2::{Digest, Sha256};

use super::allowlist::{self, Allowed};
use super::breaker::{Spender, Why};
use super::decision::{Decision, DetectionId, Kind, Origin};
use super::mesh::{Effect, Heard, Mesh, Notice as MeshNotice, Seen};
use super::record::Record;
use super::request::{Answer, Ban, MeshAnswer, MeshRequest, Request, Selection, Wish};
use super::target::{IpNet, Target};
use super::{Action, Engine, Lifted, Notice, families, policy};

/// What the operator wants of one thing, wherever they said it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Target(Target),
    Entry(Allowed),
    Enforcement,
}

/// The newest number under which something was wanted, by thing.
#[derive(Clone, Debug, Default)]
pub(super) struct NewestWords(BTreeMap<About, u64>);

/// How many things are remembered; beyond that the one that was said first is forgotten.
const NEWEST_MAX: usize = 20_000;
/// Longest reason that is passed on.
const REASON_BYTES_MAX: usize = 200;
/// Entries of the allowlist that a new sibling is told.
const ENTRIES_TOLD_MAX: usize = 1_000;
/// Entries that the fleet is told again: a week of them is well within what is remembered of one sibling.
const ENTRIES_RETOLD_MAX: usize = 400;
/// How often the fleet is told the allowlist again.
const RETELL: Duration = Duration::from_secs(24 * 60 * 60);
/// Targets of one request that the fleet is told; a list is imported on each machine.
const TOLD_MAX: usize = 1_000;

impl NewestWords {
    /// Another fleet has not been told what this one was.
    fn forget_entries(&mut self) {
        self.0.retain(|about, _| !matches!(about, About::Entry(_)));
    }

    fn get(&self, about: &About) -> u64 {
        self.0.get(about).copied().unwrap_or(0)
    }

    /// Whether this is the newest.
    fn note(&mut self, about: About, seq: u64) -> bool {
        if self.get(&about) >= seq {
            return false;
        }
        if self.0.len() >= NEWEST_MAX && !self.0.contains_key(&about) {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, seq)| **seq)
                .map(|(about, _)| about.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(about, seq);
        true
    }
}

impl Engine {
    /// Have the mesh do something, and do what comes of it.
    pub(super) fn with_mesh(
        &mut self,
        now: Timestamp,
        actions: &mut Vec<Action>,
        ask: impl FnOnce(&mut Mesh) -> Vec<Effect>,
    ) {
        let effects = self.mesh.as_mut().map(|mesh| ask(mesh)).unwrap_or_default();
        for effect in effects {
            match effect {
                Effect::Net(net) => actions.push(Action::Net(net)),
                Effect::Save(kept) => {
                    self.learn_kept(&kept, false);
                    actions.push(Action::Save(Record::Mesh(kept)));
                }
                Effect::Remove(key) => {
                    self.learn_removed(&key);
                    actions.push(Action::Remove(super::record::RecordKey::Mesh(key)));
                }
                Effect::Heard(heard) => self.heard(heard, now, actions),
                Effect::Notice(notice) => {
                    if let MeshNotice::Paired {
                        degree: Degree::Sibling,
                        ..
                    } = notice
                    {
                        self.tell_newcomer(now, actions);
                    }
                    actions.push(Action::Notice(Notice::Mesh(notice)));
                }
            }
        }
    }

    fn heard(&mut self, heard: Heard, now: Timestamp, actions: &mut Vec<Action>) {
        match heard {
            Heard::Report { report, standing } => {
                self.heard_report(&report, standing, now, actions)
            }
            Heard::Retracted {
                author,
                standing,
                subject,
                family,
                seq,
            } => {
                self.weigh_retraction(author, subject, family, seq, now, actions);
                self.heard_retraction(standing, subject, actions);
            }
            Heard::Live { author, report } => {
                self.weigh_report(author, &report, now, actions);
            }
            Heard::Vouch(statement) => self.heard_vouch(&statement, now),
            Heard::Barred { node, until } => self.heard_barred(node, until),
            Heard::Word { author, seq, wish } => self.heard_word(author, seq, wish, now, actions),
            Heard::Remembered { seq, wish } => {
                if let Some(about) = about_of(&wish) {
                    self.newest_words.note(about, seq);
                }
            }
            Heard::SiblingsChanged => {
                if let Some(mesh) = &self.mesh {
                    self.protected
                        .siblings(mesh.sibling_addresses().into_iter());
                    self.lift_protected(actions);
                }
            }
        }
    }

    /// Somebody reports an address: policy says what that is worth.
    fn heard_report(
        &mut self,
        report: &Verified<Report>,
        standing: Standing,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let (author, report, object) = (report.author(), report.object(), report.id());
        self.weigh_report(author, report, now, actions);
        let target = Target::from(report.subject);
        let Some(until) = policy::judge_report(standing, report, now) else {
            return;
        };
        // What the operator has lifted since is not brought back by it.
        if self.newest_words.get(&About::Target(target)) > report.seq
            || self.protected.shield_of(target).is_some()
        {
            return;
        }
        let name = self
            .mesh
            .as_ref()
            .map(|mesh| mesh.name_of(author))
            .unwrap_or_default();
        let digest = Sha256::new_with_prefix(object.0)
            .chain_update(report.subject.to_string())
            .finalize();
        let id = digest
            .iter()
            .take(8)
            .fold(0, |id, byte| id << 8 | u64::from(*byte));
        let decision = Decision {
            id: DetectionId(id),
            target,
            kind: Kind::Ban,
            origin: Origin::Mesh,
            reason: Arc::from(format!("{} seen by {name}", report.family)),
            since: now,
            until,
            step: 0,
        };
        let is_new = self.decisions.until(target, Kind::Ban).is_none();
        if is_new && self.familiar.within(target, now).is_some() {
            self.held_back(decision, Why::GoodSession, actions);
        } else if is_new && !self.breaker.spend(&Spender::Sibling(author), now) {
            self.held_back(decision, Why::Budget, actions);
        } else {
            self.decide(decision, actions);
        }
    }

    /// A sibling takes a report back: what rested on it ends, unless another one still says so.
    fn heard_retraction(
        &mut self,
        standing: Standing,
        subject: lymph_protocol::Subject,
        actions: &mut Vec<Action>,
    ) {
        let Some(mesh) = self.mesh.as_ref().filter(|_| standing == Standing::Sibling) else {
            return;
        };
        // The author themselves may have seen it again since.
        let stands = mesh
            .shelf()
            .about(subject)
            .any(|(by, live)| !live.is_retracted && mesh.standing(by) == Standing::Sibling);
        if stands || self.others_say(subject) {
            return;
        }
        if let Some(decision) = self
            .decisions
            .remove((subject.into(), Kind::Ban, Origin::Mesh))
        {
            self.lifted(&decision, Lifted::ByOperator, actions);
        }
    }

    /// A sibling passes on what the operator wants: it is done here as if they had said it here.
    fn heard_word(
        &mut self,
        author: NodeId,
        seq: u64,
        wish: FleetWish,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if let Some(about) = about_of(&wish)
            && !self.newest_words.note(about, seq)
        {
            return;
        }
        let name = self
            .mesh
            .as_ref()
            .map(|mesh| mesh.name_of(author))
            .unwrap_or_default();
        // Numbers may run ahead of the clock.
        let said_at = Timestamp::from_millis(seq).min(now);
        let what = match wish {
            FleetWish::Ban { net, secs, reason } => {
                let Some(target) = target_of(net) else { return };
                let until = said_at + Duration::from_secs(u64::from(secs));
                if until <= now {
                    return;
                }
                let wish = Wish {
                    target,
                    kind: Kind::Ban,
                    length: until.since(now),
                    reason: Arc::from(format!("{reason} (said on {name})")),
                };
                let is_new = self.decisions.until(target, Kind::Ban).is_none();
                if is_new && !self.breaker.spend(&Spender::Sibling(author), now)
                    || self.familiar.within(target, now).is_some()
                {
                    return self.hold_word(author, target, seq, &wish, now, actions);
                }
                let id = word_id(author, seq);
                let ban = Ban {
                    id,
                    origin: Origin::Operator,
                    force: false,
                    wishes: vec![wish],
                };
                self.ban(ban, now, actions);
                format!("ban of {target}")
            }
            FleetWish::Lift {
                net,
                false_positive,
            } => {
                let Some(target) = target_of(net) else { return };
                let which = Selection {
                    target: Some(target),
                    ..Selection::default()
                };
                let mut taken_back = self.lift(&which, false_positive, now, actions);
                if false_positive {
                    self.refute_lifted(&which, &mut taken_back, now, actions);
                }
                format!("unban of {target}")
            }
            FleetWish::AllowNet { net, comment } => {
                let Some(target) = target_of(net) else { return };
                self.heard_entry(
                    Allowed::Network(target.network()),
                    &comment,
                    said_at,
                    actions,
                )
            }
            FleetWish::AllowName { name, comment } => match name.parse() {
                Ok(entry @ Allowed::Name(_)) => self.heard_entry(entry, &comment, said_at, actions),
                Ok(Allowed::Network(_)) | Err(_) => return,
            },
            FleetWish::DisallowNet(net) => {
                let Some(target) = target_of(net) else { return };
                self.disallow(&Allowed::Network(target.network()), actions);
                format!("{target} off the allowlist")
            }
            FleetWish::DisallowName(text) => {
                self.disallow(&Allowed::Name(text.as_str().into()), actions);
                format!("{text} off the allowlist")
            }
            FleetWish::Panic => {
                actions.push(Action::Enforce(false));
                "panic".to_owned()
            }
            FleetWish::Resume => {
                actions.push(Action::Enforce(true));
                "resume".to_owned()
            }
            FleetWish::Expel(_) => return,
        };
        actions.push(Action::Notice(Notice::FromSibling { node: author, what }));
    }

    /// A sibling passes on more bans than it may, or one that would hit people with good sessions here.
    fn hold_word(
        &mut self,
        author: NodeId,
        target: Target,
        seq: u64,
        wish: &Wish,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        if self.protected.shield_of(target).is_some() {
            return;
        }
        let why = match self.familiar.within(target, now) {
            Some(_) => Why::GoodSession,
            None => Why::Budget,
        };
        let decision = Decision {
            id: word_id(author, seq),
            target,
            kind: wish.kind,
            origin: Origin::Operator,
            reason: Arc::clone(&wish.reason),
            since: now,
            until: now + wish.length,
            step: 0,
        };
        self.held_back(decision, why, actions);
    }

    fn heard_entry(
        &mut self,
        what: Allowed,
        comment: &str,
        since: Timestamp,
        actions: &mut Vec<Action>,
    ) -> String {
        let said = format!("{what} on the allowlist");
        if self.allowlist.iter().all(|entry| entry.what != what) {
            let entry = allowlist::Entry {
                what,
                reason: comment.into(),
                since,
                addresses: Vec::new(),
            };
            // A full list here is said by `allow add` on the machine where there is room.
            let _ = self.allow(entry, actions);
        }
        said
    }

    /// A new sibling: it hears whom we never block.
    fn tell_newcomer(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        // What was said lately is handed to the newcomer with all other words.
        self.tell_entries(false, ENTRIES_TOLD_MAX, now, actions);
    }

    /// Tell the fleet entries of the allowlist: those that were said to it before, or those that were not.
    fn tell_entries(
        &mut self,
        were_said: bool,
        most: usize,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let is_meant = |entry: &&allowlist::Entry| {
            let about = About::Entry(entry.what.clone());
            (self.newest_words.get(&about) > 0) == were_said
        };
        let entries = self.allowlist.iter().filter(is_meant).take(most);
        let wishes: Vec<_> = entries.map(wish_to_allow).collect();
        for wish in wishes {
            self.tell_fleet(wish, now, actions);
        }
    }

    /// What is said now overtakes what was said of it before, whatever clocks that was said by.
    fn tell_fleet(&mut self, wish: FleetWish, now: Timestamp, actions: &mut Vec<Action>) {
        // What was said when there was no fleet, no fleet was told.
        if self.mesh.as_ref().is_none_or(|mesh| mesh.fleet().is_none()) {
            return;
        }
        let about = about_of(&wish);
        let after = about.as_ref().map_or(0, |about| self.newest_about(about));
        self.with_mesh(now, actions, |mesh| mesh.tell_fleet(wish, after, now));
        let said = self.mesh.as_ref().map_or(0, |mesh| mesh.last_seq());
        if let Some(about) = about {
            self.newest_words.note(about, said.max(now.millis()));
        }
    }

    /// The number under which the operator last lifted what stood about a target.
    pub(super) fn lifted_under(&self, target: Target) -> u64 {
        self.newest_words.get(&About::Target(target))
    }

    /// The newest number of a word or a report about it.
    fn newest_about(&self, about: &About) -> u64 {
        let reported = match (about, &self.mesh) {
            (About::Target(Target::Subject(subject)), Some(mesh)) => {
                let live = mesh.shelf().about(*subject);
                let ours = live.filter(|(by, _)| {
                    matches!(mesh.standing(*by), Standing::Own | Standing::Sibling)
                });
                ours.map(|(_, live)| live.report.seq).max()
            }
            _ => None,
        };
        self.newest_words.get(about).max(reported.unwrap_or(0))
    }

    /// Carry out a request here, and tell the fleet what came of it.
    pub(super) fn asked_everywhere(
        &mut self,
        request: Request,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let mut wishes: Vec<FleetWish> = Vec::new();
        let mut lifts = None;
        match &request {
            Request::Ban(ban) if ban.origin == Origin::Operator => {
                let bans = ban.wishes.iter().filter(|wish| wish.kind == Kind::Ban);
                wishes.extend(bans.take(TOLD_MAX).map(|wish| FleetWish::Ban {
                    net: net_of(wish.target),
                    secs: u32::try_from(wish.length.as_secs()).unwrap_or(u32::MAX),
                    reason: shortened(&wish.reason),
                }));
            }
            Request::Lift {
                which,
                false_positive,
            } => lifts = Some((which.target, *false_positive)),
            Request::Undo(_) => lifts = Some((None, false)),
            Request::Allow(entry) => wishes.push(wish_to_allow(entry)),
            Request::Disallow(Allowed::Network(network)) => {
                wishes.push(FleetWish::DisallowNet(net_of(Target::of_network(*network))));
            }
            Request::Disallow(Allowed::Name(name)) => {
                wishes.push(FleetWish::DisallowName(name.to_string()))
            }
            Request::Ban(_)
            | Request::Release(_)
            | Request::Drop(_)
            | Request::Everywhere(_)
            | Request::Mesh(_) => {}
        }
        let before = actions.len();
        self.asked(request, now, actions);
        let answer = actions.pop();
        if let (
            Some((asked_for, false_positive)),
            Some(Action::Answer(Answer::Lifted(taken_back))),
        ) = (lifts, &answer)
        {
            let targets = taken_back
                .decisions
                .iter()
                .map(|decision| decision.target)
                .chain(asked_for);
            let targets: std::collections::BTreeSet<_> = targets.take(TOLD_MAX).collect();
            wishes.extend(targets.into_iter().map(|target| FleetWish::Lift {
                net: net_of(target),
                false_positive,
            }));
        }
        // Nor of a ban that was not made here: somebody protected here may have no shield elsewhere.
        wishes.retain(|wish| match wish {
            FleetWish::Ban { net, .. } => target_of(*net).is_some_and(|target| {
                let mut about = self.decisions.about(target);
                about.any(|decision| decision.origin == Origin::Operator)
            }),
            _ => true,
        });
        // Nobody is told what was refused here: a protected address, a full list.
        let is_refused = matches!(answer, Some(Action::Answer(Answer::Allowed(Err(_)))));
        for wish in wishes.into_iter().filter(|_| !is_refused) {
            self.tell_fleet(wish, now, actions);
        }
        debug_assert!(actions.len() >= before);
        actions.extend(answer);
    }

    /// What the operator lifts here is not brought back by what siblings reported before, also after a restart.
    pub(super) fn note_lifted(
        &mut self,
        taken_back: &super::request::Lifted,
        asked_for: Option<Target>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let targets = taken_back.decisions.iter().map(|decision| decision.target);
        let targets: std::collections::BTreeSet<_> = targets.chain(asked_for).collect();
        for target in targets {
            self.with_mesh(now, actions, |mesh| mesh.lifted(net_of(target), now));
        }
    }

    /// Once in a while the fleet is told again whom we never block: a sibling that was away for longer than words live
    /// hears it then.
    pub(super) fn retell(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let due = *self.retell_at.get_or_insert(now + RETELL);
        if due <= now {
            self.retell_at = Some(now + RETELL);
            // One of those who are there is enough.
            if self.mesh.as_ref().is_some_and(|mesh| mesh.is_first()) {
                // What is allowed here alone stays here.
                self.tell_entries(true, ENTRIES_RETOLD_MAX, now, actions);
            }
        }
    }

    /// Carry out what is asked about the mesh.
    pub(super) fn asked_mesh(
        &mut self,
        request: MeshRequest,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> MeshAnswer {
        let Some(mesh) = &mut self.mesh else {
            return MeshAnswer::No(
                "this node runs without the mesh: start it without --no-mesh".to_owned(),
            );
        };
        let done = |(is_done, effects): (bool, Vec<Effect>)| (MeshAnswer::Done(is_done), effects);
        let (answer, effects) = match request {
            MeshRequest::Invite {
                offer,
                uses,
                life,
                token,
                secret,
            } => match mesh.invite(offer, uses, life, token, secret, now) {
                Ok((text, effects)) => (
                    MeshAnswer::Invited(text, lymph_protocol::ticket::Token(token)),
                    effects,
                ),
                Err(why) => (MeshAnswer::No(why.to_string()), Vec::new()),
            },
            MeshRequest::Join(text) => match mesh.join(&text, now) {
                Ok((ticket, effects)) => (
                    MeshAnswer::Joining(ticket.token, ticket.issuer, ticket.relation),
                    effects,
                ),
                Err(why) => (MeshAnswer::No(why.to_string()), Vec::new()),
            },
            MeshRequest::Share(audience, consent) => done(mesh.share(audience, consent, now)),
            MeshRequest::Vouch {
                node,
                weight,
                is_listed,
            } => done(mesh.vouch(node, weight, is_listed, now)),
            MeshRequest::Revoke(node) => done(mesh.revoke(node, now)),
            MeshRequest::Mute(node, is_muted) => done(mesh.mute(node, is_muted)),
            MeshRequest::Expel(node, secret) => done(mesh.expel(node, secret, now)),
            MeshRequest::Leave(lymph_protocol::audience::Audience::Circle(id)) => {
                done(mesh.leave_circle(id, now))
            }
            MeshRequest::Leave(_) => {
                self.newest_words.forget_entries();
                done(mesh.leave_fleet(now))
            }
            MeshRequest::Enforce(is_on) => {
                let wish = if is_on {
                    FleetWish::Resume
                } else {
                    FleetWish::Panic
                };
                if mesh.silenced().is_some() {
                    let why = "this node's key is dead or used by another machine, so it says nothing: `lymph status`";
                    return MeshAnswer::No(why.to_owned());
                }
                if mesh.fleet().is_none() {
                    return MeshAnswer::Done(false);
                }
                let siblings = mesh
                    .known()
                    .filter(|(_, known)| known.degree == Degree::Sibling);
                let connected = siblings
                    .clone()
                    .filter(|(_, known)| known.transport.is_some_and(|at| mesh.is_connected(at)))
                    .count();
                let siblings = siblings.count();
                self.tell_fleet(wish, now, actions);
                return MeshAnswer::Told {
                    siblings,
                    connected,
                };
            }
            MeshRequest::Kill(certificate) => {
                let effects = mesh.kill(&certificate, now);
                (MeshAnswer::Done(!effects.is_empty()), effects)
            }
        };
        self.with_mesh(now, actions, |_| effects);
        if matches!(answer, MeshAnswer::Done(true)) {
            self.forget_unheard();
        }
        answer
    }

    /// Something was seen here and is banned for: others may want to know, as far as the operator lets them.
    pub(super) fn tell_others(
        &mut self,
        overflow: &Overflow,
        target: Target,
        until: Timestamp,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let (Target::Subject(subject), Some(family)) =
            (target, families::of_labels(&overflow.labels))
        else {
            return;
        };
        // What only a lowered threshold caught would make evidence of a suspicion.
        if self.mesh.is_none() || overflow.is_primed || self.protected.shield_of(target).is_some() {
            return;
        }
        // Only what shuts the address out here: a slowed attacker is news to others still.
        let by_others = self
            .decisions
            .about(target)
            .filter(|decision| decision.origin == Origin::Mesh && decision.kind == Kind::Ban);
        let seen = Seen {
            subject,
            family,
            rule: RuleHash(overflow.rule),
            evidence: families::evidence(&overflow.labels),
            count: overflow.events_count,
            at: overflow.last_seen.min(now),
            until,
            others_until: by_others.map(|decision| decision.until).max(),
        };
        self.with_mesh(now, actions, |mesh| mesh.saw(&seen, now));
    }
}

/// The id of a decision that a word asks for.
fn word_id(author: NodeId, seq: u64) -> DetectionId {
    DetectionId(seq.rotate_left(32) ^ u64::from(author.as_bytes()[0]))
}

fn wish_to_allow(entry: &allowlist::Entry) -> FleetWish {
    let comment = shortened(&entry.reason);
    match &entry.what {
        Allowed::Network(network) => FleetWish::AllowNet {
            net: net_of(Target::of_network(*network)),
            comment,
        },
        Allowed::Name(name) => FleetWish::AllowName {
            name: name.to_string(),
            comment,
        },
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', " ")
}

fn net_of(target: Target) -> WireNet {
    let network = target.network();
    WireNet {
        address: network.addr(),
        prefix: network.prefix_len(),
    }
}

fn target_of(net: WireNet) -> Option<Target> {
    IpNet::new(net.address, net.prefix)
        .ok()
        .map(Target::of_network)
}

/// What a wish is about: of two about the same thing the later one holds.
fn about_of(wish: &FleetWish) -> Option<About> {
    match wish {
        FleetWish::Ban { net, .. } | FleetWish::Lift { net, .. } => {
            target_of(*net).map(About::Target)
        }
        FleetWish::AllowNet { net, .. } | FleetWish::DisallowNet(net) => {
            target_of(*net).map(|target| About::Entry(Allowed::Network(target.network())))
        }
        FleetWish::AllowName { name, .. } | FleetWish::DisallowName(name) => {
            Some(About::Entry(Allowed::Name(name.as_str().into())))
        }
        FleetWish::Panic | FleetWish::Resume => Some(About::Enforcement),
        FleetWish::Expel(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> WireNet {
        net_of(text.parse().unwrap())
    }

    #[test]
    fn of_two_words_about_the_same_the_later_one_holds() {
        let ban = FleetWish::Ban {
            net: net("5.9.1.1"),
            secs: 60,
            reason: "enough".to_owned(),
        };
        let lift = |text: &str| FleetWish::Lift {
            net: net(text),
            false_positive: false,
        };
        let allow = |text: &str| FleetWish::AllowNet {
            net: net(text),
            comment: String::new(),
        };
        let mut words = NewestWords::default();
        for (wish, seq, expected) in [
            (ban.clone(), 10, true),
            (ban.clone(), 10, false),
            (lift("5.9.1.1"), 9, false),
            (lift("5.9.1.1"), 11, true),
            (ban, 11, false),
            (lift("5.9.1.2"), 1, true),
            (lift("5.9.1.0/24"), 1, true),
            (allow("5.9.1.1"), 5, true),
            (FleetWish::DisallowNet(net("5.9.1.1")), 4, false),
            (FleetWish::DisallowNet(net("5.9.1.1")), 6, true),
            (FleetWish::Panic, 7, true),
            (FleetWish::Resume, 6, false),
            (FleetWish::Resume, 8, true),
            (FleetWish::Panic, 8, false),
        ] {
            let about = about_of(&wish).unwrap();
            assert_eq!(words.note(about, seq), expected, "{wish:?} as {seq}");
        }
        let node = NodeId::from_bytes([1; 32]);
        assert_eq!(about_of(&FleetWish::Expel(node)), None);
    }

    #[test]
    fn the_word_that_was_said_first_is_forgotten_when_there_are_too_many() {
        let about = |n: u32| {
            let address = std::net::Ipv4Addr::from_bits(0x0509_0000 + n);
            About::Target(Target::of_address(address.into()))
        };
        let mut words = NewestWords::default();
        for n in 0..u32::try_from(NEWEST_MAX).unwrap() {
            // The tenth is the oldest.
            let seq = if n == 10 { 1 } else { 1_000 + u64::from(n) };
            assert!(words.note(about(n), seq));
        }
        assert!(
            words.note(about(10), 2),
            "one that is known takes nobody's place"
        );
        assert_eq!((words.0.len(), words.get(&about(0))), (NEWEST_MAX, 1_000));
        assert!(words.note(about(1 << 20), 5));
        assert_eq!(words.0.len(), NEWEST_MAX);
        assert_eq!((words.get(&about(10)), words.get(&about(0))), (0, 1_000));
    }

    #[test]
    fn reasons_are_cut_at_a_letter() {
        for (text, bytes) in [
            (String::new(), 0),
            ("a".repeat(300), REASON_BYTES_MAX),
            (
                format!("{}ä", "a".repeat(REASON_BYTES_MAX - 1)),
                REASON_BYTES_MAX - 1,
            ),
            ("a\0b".to_owned(), 3),
        ] {
            let cut = shortened(&text);
            assert_eq!(cut.len(), bytes, "{text:?}");
            assert!(!cut.contains('\0'));
        }
    }

    #[test]
    fn networks_go_there_and_back() {
        for text in [
            "5.9.1.1",
            "5.9.0.0/16",
            "2a01:4f8:1:2::/64",
            "2a01:4f8::/32",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target_of(net_of(target)), Some(target), "{text}");
        }
        let wrong = WireNet {
            address: [5, 9, 1, 1].into(),
            prefix: 33,
        };
        assert_eq!(target_of(wrong), None);
    }
}
