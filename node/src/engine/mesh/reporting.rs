//! From what this machine saw to what it tells others, when, and whom.
//!
//! A fleet and a circle hear at once. The public hears after 30 to 300 seconds, drawn at random, or as soon as two others
//! that this node vouches for have reported the same address: who reports first would otherwise tell an attacker with one
//! address per target which target runs lymph (Bethencourt, Franklin and Vernon: Mapping Internet Sensors with Probe
//! Response Attacks, 2005). What others have blocked for this node anyway is not said again as long as that holds (after
//! Trickle, RFC 6206): the flood then costs per attacker, not per node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lymph_protocol::ask::Ask;
use lymph_protocol::audience::{Audience, Channel};
use lymph_protocol::digest::{Digest, Epoch};
use lymph_protocol::family::Family;
use lymph_protocol::limits;
use lymph_protocol::report::{Evidence, Report, Retraction, RuleHash, Slot};
use lymph_protocol::signed::{Kind, Object, Signed};
use lymph_protocol::vouch::Degree;
use lymph_protocol::{NodeId, Subject, Timestamp};

use super::{Effect, Mesh, Question};

/// A detection, as far as others may know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub subject: Subject,
    /// What kind of thing.
    pub family: Family,
    /// By which rule.
    pub rule: RuleHash,
    /// How sure.
    pub evidence: Evidence,
    /// How many events.
    pub count: u32,
    /// When.
    pub at: Timestamp,
    /// Until when this node bans them.
    pub until: Timestamp,
    /// Until when others' word alone would have them banned here, if it does.
    pub others_until: Option<Timestamp>,
}

/// What others shut out already is said again after so long at the latest: well before the report itself is over.
const SUPPRESSED_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// The public hears no sooner than this.
const DELAY_MIN: Duration = Duration::from_secs(30);
/// And about no later than this.
const DELAY_MAX: Duration = Duration::from_secs(300);
/// So many others must have reported the same for it to be said at once.
const COMPANY: usize = 2;

/// A report that waits for its time.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    audience: Audience,
    report: Report,
    /// It waits until what others say no longer holds, whoever says the same meanwhile.
    is_suppressed: bool,
}

/// Reports that wait for their time.
#[derive(Debug)]
pub(super) struct Reporting {
    max: usize,
    next: u64,
    waiting: BTreeMap<(Timestamp, u64), Waiting>,
    subjects: BTreeMap<Subject, BTreeSet<NodeId>>,
}

impl Reporting {
    pub(super) fn new(max: usize) -> Self {
        Reporting {
            max,
            next: 0,
            waiting: BTreeMap::new(),
            subjects: BTreeMap::new(),
        }
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = (Timestamp, Audience, &Report)> {
        self.waiting
            .iter()
            .map(|((at, _), waiting)| (*at, waiting.audience, &waiting.report))
    }

    /// Let it wait. Full, the one that would have waited longest is not said: others have it blocked, or it is among the
    /// newest.
    fn wait(&mut self, at: Timestamp, waiting: Waiting) {
        self.next += 1;
        self.waiting.insert((at, self.next), waiting);
        self.subjects.entry(waiting.report.subject).or_default();
        while self.waiting.len() > self.max {
            self.waiting.pop_last();
        }
        self.tidy();
    }

    /// Somebody else reports a subject. Only what waits here is counted.
    pub(super) fn others_report(&mut self, subject: Subject, author: NodeId, now: Timestamp) {
        let Some(others) = self.subjects.get_mut(&subject) else {
            return;
        };
        others.insert(author);
        if others.len() < COMPANY {
            return;
        }
        let of_subject = |(_, waiting): &(&(Timestamp, u64), &Waiting)| {
            waiting.report.subject == subject && !waiting.is_suppressed
        };
        let keys: Vec<_> = self
            .waiting
            .iter()
            .filter(of_subject)
            .map(|(key, _)| *key)
            .collect();
        for (at, number) in keys {
            if let Some(waiting) = self.waiting.remove(&(at, number)) {
                self.waiting.insert((at.min(now), number), waiting);
            }
        }
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<(Audience, Report)> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            let Waiting {
                audience, report, ..
            } = first.remove();
            due.push((audience, report));
        }
        self.tidy();
        due
    }

    /// Nothing about this subject is said. Whether something would have been.
    fn drop_subject(&mut self, subject: Subject) -> bool {
        let before = self.waiting.len();
        self.waiting
            .retain(|_, waiting| waiting.report.subject != subject);
        self.tidy();
        before != self.waiting.len()
    }

    pub(super) fn forget(&mut self, audience: Audience) {
        self.waiting
            .retain(|_, waiting| waiting.audience != audience);
        self.tidy();
    }

    pub(super) fn clock_stepped(&mut self, now: Timestamp) {
        let waiting = std::mem::take(&mut self.waiting);
        for ((_, number), waiting) in waiting {
            self.waiting.insert((now + DELAY_MIN, number), waiting);
        }
    }

    fn tidy(&mut self) {
        if self.subjects.len() > self.waiting.len() {
            let subjects: BTreeSet<_> = self
                .waiting
                .values()
                .map(|waiting| waiting.report.subject)
                .collect();
            self.subjects
                .retain(|subject, _| subjects.contains(subject));
        }
    }
}

/// A life in whole hours that ends by then, but at least one: nobody bans longer for a report than who made it, unless
/// that is less than an hour.
fn hours_within(from: Timestamp, until: Timestamp) -> u8 {
    life(until.since(from).as_secs() / 3600)
}

/// A life in whole hours that ends no sooner.
fn hours_over(from: Timestamp, until: Timestamp) -> u8 {
    life(until.since(from).as_secs().div_ceil(3600))
}

fn life(hours: u64) -> u8 {
    u8::try_from(hours)
        .unwrap_or(u8::MAX)
        .clamp(1, limits::TTL_HOURS_MAX)
}

impl Mesh {
    /// This machine saw something, by a threshold that nobody else's word had lowered, and bans for it.
    pub fn saw(&mut self, seen: &Seen, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !seen.subject.is_public() || self.silenced.is_some() {
            return effects;
        }
        let slot = Slot::of(seen.at);
        let report = |ttl_hours: u8| Report {
            subject: seen.subject,
            family: seen.family,
            rule: seen.rule,
            evidence: seen.evidence,
            count_log2: u8::try_from(seen.count.max(1).ilog2()).unwrap_or(0),
            slot,
            ttl_hours,
            seq: 0,
        };
        if let Some(fleet) = self.fleet() {
            self.report(
                vec![report(hours_within(slot.start(), seen.until))],
                fleet,
                true,
                now,
                &mut effects,
            );
        }
        let circles = self
            .circles
            .iter()
            .filter(|(_, circle)| circle.consent.publish);
        for circle in circles
            .map(|(id, _)| Audience::Circle(*id))
            .collect::<Vec<_>>()
        {
            self.report(
                vec![report(limits::TTL_HOURS)],
                circle,
                true,
                now,
                &mut effects,
            );
        }
        if self.public.publish {
            let spread = DELAY_MAX.as_millis() as u64 - DELAY_MIN.as_millis() as u64;
            let delay = DELAY_MIN + Duration::from_millis(self.rng.below(spread));
            let at = seen.others_until.map_or(now + delay, |until| {
                until.min(now + SUPPRESSED_MAX).max(now + delay)
            });
            let waiting = Waiting {
                audience: Audience::Public,
                report: report(limits::TTL_HOURS),
                is_suppressed: seen.others_until.is_some(),
            };
            self.reporting.wait(at, waiting);
            let authors: Vec<_> = self
                .shelf
                .about(seen.subject)
                .map(|(author, _)| author)
                .collect();
            for author in authors
                .into_iter()
                .filter(|author| self.known.contains_key(author))
            {
                if seen.others_until.is_none() {
                    self.reporting.others_report(seen.subject, author, now);
                }
            }
        }
        effects
    }

    /// Say what is due, several under one signature where they go the same way.
    pub(super) fn release_reports(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut groups: BTreeMap<(Audience, Channel), Vec<Report>> = BTreeMap::new();
        for (audience, report) in self.reporting.take_due(now) {
            if report.expires() > now {
                groups
                    .entry((audience, report.family.channel()))
                    .or_default()
                    .push(report);
            }
        }
        for ((audience, _), reports) in groups {
            for part in reports.chunks(limits::BATCH_MAX) {
                self.report(part.to_vec(), audience, true, now, effects);
            }
        }
    }

    fn report(
        &mut self,
        mut reports: Vec<Report>,
        audience: Audience,
        is_said: bool,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        for report in &mut reports {
            report.seq = self.next_seq(now, effects);
        }
        let object = match reports.as_slice() {
            [one] => Object::Report(*one),
            _ => Object::Batch(reports.clone()),
        };
        let Some(said) = self.sign(object, audience, now, effects) else {
            return;
        };
        let me = self.keypair.id();
        for report in &reports {
            self.shelf.report(me, report, audience, now);
        }
        if is_said {
            self.publish(&said, effects);
        }
        // Friends hear it whatever the mesh does with it.
        if audience == Audience::Public {
            let friends = self
                .known
                .values()
                .filter(|known| known.degree == Degree::Friend)
                .filter_map(|known| known.transport);
            let friends: Vec<_> = friends
                .filter(|peer| self.connected.contains(peer))
                .take(8)
                .collect();
            for peer in friends {
                let ask = Ask::Push {
                    audience,
                    objects: vec![self.for_all(&said)],
                };
                self.ask(peer, Vec::new(), &ask, Question::Push, effects);
            }
        }
    }

    /// The operator says that it was wrong: take back what this node said about a subject. How often it did.
    pub fn retract(&mut self, subject: Subject, now: Timestamp) -> (usize, Vec<Effect>) {
        let mut effects = Vec::new();
        let mut count = usize::from(self.reporting.drop_subject(subject));
        let me = self.keypair.id();
        let own = self
            .shelf
            .about(subject)
            .filter(|(author, live)| *author == me && !live.is_retracted);
        let own: Vec<_> = own.map(|(_, live)| live.report).collect();
        for report in own {
            for audience in self.told_of(subject, report.family) {
                let retraction = Retraction {
                    subject,
                    family: report.family,
                    slot: Slot::of(now),
                    ttl_hours: hours_over(Slot::of(now).start(), report.expires()),
                    seq: self.next_seq(now, &mut effects),
                };
                self.say(Object::Retraction(retraction), audience, now, &mut effects);
                self.shelf
                    .retract(me, subject, report.family, retraction.seq);
            }
            count += 1;
        }
        (count, effects)
    }

    /// The audiences that this node has told of a subject: nobody else is to hear that there was something to take back.
    fn told_of(&self, subject: Subject, family: Family) -> Vec<Audience> {
        let me = self.keypair.id();
        let circles = self.circles.keys().map(|id| Audience::Circle(*id));
        let all = self.fleet().into_iter().chain(circles);
        let is_it = |report: &Report| report.subject == subject && report.family == family;
        all.chain([Audience::Public])
            .filter(|audience| {
                let kinds = [Kind::Report, Kind::Batch].into_iter();
                let mut said = kinds.flat_map(|kind| self.shelf.of_kind(*audience, kind));
                said.any(|(author, bytes)| {
                    let signed = (author == me).then(|| Signed::parse(bytes, *audience).ok());
                    let signed = signed.flatten();
                    signed.is_some_and(|signed| signed.unverified().reports().iter().any(is_it))
                })
            })
            .collect()
    }

    /// The digest of an author: of our own one is made, once an hour; another's is handed on if we have it.
    pub(super) fn digest_of(
        &mut self,
        audience: Audience,
        author: NodeId,
        after: Epoch,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Vec<u8>> {
        let epoch = Epoch::of(now);
        let newest = |mesh: &Mesh| {
            let all = mesh
                .shelf
                .of_kind(audience, Kind::Digest)
                .filter(|(by, _)| *by == author);
            let all = all.filter_map(|(_, bytes)| {
                match Signed::parse(bytes, audience).ok()?.unverified() {
                    Object::Digest(digest) => Some((digest.epoch, bytes.to_vec())),
                    _ => None,
                }
            });
            all.max_by_key(|(epoch, _)| *epoch)
        };
        let have = newest(self);
        if author == self.keypair.id()
            && epoch >= self.digests_from
            && have.as_ref().is_none_or(|(made, _)| *made < epoch)
        {
            let own = self
                .shelf
                .by(author)
                .filter(|live| live.audience == audience && !live.is_retracted);
            let mut reports: Vec<_> = own.map(|live| live.report).collect();
            reports.sort_by_key(|report| std::cmp::Reverse(report.seq));
            reports.truncate(limits::DIGEST_MAX);
            reports.reverse();
            let digest = Digest { epoch, reports };
            let root = digest.root();
            let said = self.sign(Object::Digest(digest), audience, now, effects)?;
            // What was made may not be lost by a step of the clock, and made again from other reports.
            self.last_digest = self.last_digest.max(epoch);
            if self.publishes(audience) {
                self.say(Object::Root(root), audience, now, effects);
            }
            return Some(self.for_all(&said));
        }
        have.filter(|(made, _)| *made > after)
            .map(|(_, bytes)| bytes)
    }
}
