//! Who says what about whom: the reports that are alive, by address, one voice for each author, family and class of evidence:
//! whoever saw a thing well and then something like it badly has still seen the first.
//!
//! Full, it gives up the word of those who weigh least here, and of that what ends soonest. Weights are compared by the power
//! of four that they are in, as they were when the voice was heard: a crowd that shares what one fooled node gives it takes
//! the place of nobody who weighs more than one of the crowd. And nobody has more than their share of the room, or one corrupt
//! friend who reports all the time for as long as can be would be the only one who is heard: see [`OF_ROOM`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::family::Family;
use lymph_protocol::report::{Evidence, Report};
use lymph_protocol::{NodeId, Subject, Timestamp};

use crate::clock::Step;
use crate::fixed::Fixed;
use crate::policy::{CLOCK_SLACK, REPORTS_MAX, VOICES_MAX};
use crate::verdict::{Level, Rule};
use crate::view::Branch;

/// What somebody says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Who.
    pub by: NodeId,
    /// What kind of thing they saw.
    pub family: Family,
    /// When we heard it.
    pub heard_at: Timestamp,
    /// When they say it was.
    pub said_at: Timestamp,
    /// When it is forgotten.
    pub expires: Timestamp,
    /// Whether somebody else can have sent it in that name.
    pub is_spoofable: bool,
    /// Whether this node knows the rule by which it was seen.
    pub is_rule_known: bool,
    /// Its number.
    pub seq: u64,
    /// The author took it back.
    pub is_retracted: bool,
}

impl Voice {
    /// What a checked report says.
    #[must_use]
    pub fn of(report: &Report, by: NodeId, is_rule_known: bool, now: Timestamp) -> Self {
        Voice {
            by,
            family: report.family,
            heard_at: now,
            said_at: report.time(),
            // A clock that is ahead makes nothing live longer than it says.
            expires: report.expires().min(now + report.ttl()),
            is_spoofable: report.evidence == Evidence::Spoofable,
            is_rule_known,
            seq: report.seq,
            is_retracted: false,
        }
    }

    /// How old it is: since we heard it, or as it says of itself, less what clocks differ.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        let said = now.since(self.said_at).saturating_sub(CLOCK_SLACK);
        now.since(self.heard_at).max(said)
    }
}

/// What is known of one address.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Sorted by author, family and class.
    pub(crate) voices: Vec<Voice>,
    pub(crate) level: Level,
    pub(crate) since: Timestamp,
    /// Whose word counted while the level was above clear.
    pub(crate) contributors: BTreeSet<NodeId>,
    /// The last count of ways, and for whom it was made.
    pub(crate) ways: Option<Ways>,
    /// The most that its evidence can be, and since when that falls as evidence does.
    pub(crate) most: Fixed,
    pub(crate) most_at: Timestamp,
    /// What the last look at all voices said.
    pub(crate) rule: Option<Rule>,
    pub(crate) until: Timestamp,
}

/// What each branch gives somebody, shared by all who ask.
pub(crate) type Weights = Arc<[(Branch, Fixed)]>;

/// A count of ways: it holds as long as nobody of those to whom they lead falls away or is weighed anew.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    pub(crate) to: Vec<(NodeId, Weights)>,
    pub(crate) count: u32,
    /// Whether none leads through a sibling.
    pub(crate) is_strict: bool,
}

/// How many classes of weight there are: see [`rank_of`].
const RANKS: usize = 8;

/// In which class a weight, all branches together, is: 0 for nothing, 7 from a quarter on, one less for each quarter of that.
fn rank_of(weight: Fixed) -> usize {
    match weight {
        Fixed::ZERO => 0,
        _ => {
            let quarters = weight.min(Fixed::ONE).to_bits().leading_zeros() as usize;
            let least = Fixed::ONE.to_bits().leading_zeros() as usize;
            (RANKS - 1)
                .saturating_sub((quarters - least).saturating_sub(1) / 2)
                .max(1)
        }
    }
}

/// An author of weight 1 has one part in so many of the room, others less in the same measure: with as many friends as that
/// each has the same, and no one of them leaves the others none. Beyond it their own voice that ends soonest gives way.
const OF_ROOM: u64 = 32;
/// Voices that everybody may have: what a small machine sees in a busy day.
const EACH_MIN: usize = 64;

type Key = (Timestamp, Subject, NodeId, Family, Class);
/// The same among those of one author.
type Own = (Timestamp, Subject, Family, Class);

fn own((expires, subject, _, family, class): Key) -> Own {
    (expires, subject, family, class)
}

fn whole(by: NodeId, (expires, subject, family, class): Own) -> Key {
    (expires, subject, by, family, class)
}

/// How good evidence is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Spoofable,
    RuleUnknown,
    RuleKnown,
}

impl Class {
    const fn of(voice: &Voice) -> Self {
        match (voice.is_spoofable, voice.is_rule_known) {
            (true, _) => Class::Spoofable,
            (false, false) => Class::RuleUnknown,
            (false, true) => Class::RuleKnown,
        }
    }
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    subjects: BTreeMap<Subject, About>,
    /// The voices, by how much their authors weighed when we heard them.
    ranks: [BTreeSet<Key>; RANKS],
    /// The same, by author.
    authors: BTreeMap<NodeId, BTreeSet<Own>>,
    max: usize,
    each_min: usize,
    voices_max: usize,
}

impl Ledger {
    pub(crate) const fn new() -> Self {
        Ledger {
            subjects: BTreeMap::new(),
            ranks: [const { BTreeSet::new() }; RANKS],
            authors: BTreeMap::new(),
            max: REPORTS_MAX,
            each_min: EACH_MIN,
            voices_max: VOICES_MAX,
        }
    }

    /// One address of it, to look at.
    pub(crate) fn only(&self, subject: Subject) -> Ledger {
        let mut only = Ledger::new();
        let about = self.subjects.get(&subject).cloned();
        only.subjects.extend(about.map(|about| (subject, about)));
        only
    }

    /// Keep as many voices about one address, and of one author, as about all.
    pub(crate) fn lift_voices_max(&mut self) {
        (self.voices_max, self.each_min) = (self.max, self.max);
    }

    pub(crate) fn set_room(&mut self, max: usize) {
        self.max = max.max(1);
    }

    pub(crate) fn len(&self) -> usize {
        self.ranks.iter().map(BTreeSet::len).sum()
    }

    pub(crate) fn about(&self, subject: Subject) -> Option<&About> {
        self.subjects.get(&subject)
    }

    pub(crate) fn about_mut(&mut self, subject: Subject) -> Option<&mut About> {
        self.subjects.get_mut(&subject)
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = (Subject, &About)> {
        self.subjects
            .iter()
            .map(|(subject, about)| (*subject, about))
    }

    /// How many addresses somebody speaks of, or something is done about.
    pub(crate) fn count(&self) -> usize {
        self.subjects.len()
    }

    /// The next addresses after one.
    pub(crate) fn after(&self, last: Option<Subject>, most: usize) -> Vec<Subject> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = last.map_or(Unbounded, Excluded);
        let rest = self.subjects.range((from, Unbounded));
        rest.take(most).map(|(subject, _)| *subject).collect()
    }

    /// How many voices somebody of a weight may have.
    fn share(&self, weight: Fixed) -> usize {
        let room = Fixed::ratio(self.max as u64, OF_ROOM);
        let share = room.times(weight.min(Fixed::ONE)).to_f64();
        (share as usize).max(self.each_min)
    }

    /// Hear a voice of somebody of a weight. Whether anything is new; the address about which another had to be forgotten.
    pub(crate) fn hear(
        &mut self,
        subject: Subject,
        voice: Voice,
        weight: Fixed,
        now: Timestamp,
    ) -> (bool, Option<Subject>) {
        if voice.expires <= now {
            return (false, None);
        }
        let rank = rank_of(weight);
        let key = |voice: &Voice| {
            let class = Class::of(voice);
            (voice.expires, subject, voice.by, voice.family, class)
        };
        let about = self.subjects.get(&subject);
        let of_kind = about.map(|about| &about.voices[about.of_kind(voice.by, voice.family)]);
        let back = of_kind.into_iter().flatten().filter(|old| old.is_retracted);
        let back: Vec<Voice> = back.copied().collect();
        if back.iter().any(|old| old.seq >= voice.seq) {
            return (false, None);
        }
        // Whoever says it again has taken nothing back.
        for old in &back {
            self.forget(key(old));
        }
        let about = self.subjects.get(&subject);
        let place = about.map(|about| about.place(&voice));
        if let (Some(about), Some(Ok(place))) = (about, place) {
            let old = about.voices[place];
            if old.seq >= voice.seq {
                return (false, None);
            }
            self.remove(&key(&old));
            self.put(rank, key(&voice));
            if let Some(about) = self.subjects.get_mut(&subject) {
                about.voices[place] = voice;
            }
            return (true, None);
        }
        if let Some(about) = about.filter(|about| about.voices.len() >= self.voices_max) {
            let keys: Vec<Key> = about.voices.iter().map(key).collect();
            let least = (0..rank).find_map(|rank| {
                let of_rank = keys.iter().filter(|key| self.ranks[rank].contains(key));
                of_rank.min().copied()
            });
            let Some(least) = least else {
                return (false, None);
            };
            self.forget(least);
        }
        let mut dropped = None;
        if let Some(own) = self.authors.get(&voice.by)
            && own.len() >= self.share(weight)
            && let Some(least) = own.first().map(|own| whole(voice.by, *own))
        {
            self.forget(least);
            dropped = Some(least.1);
        }
        if self.len() >= self.max {
            let least = self.ranks[..=rank].iter().find_map(BTreeSet::first);
            let Some(least) = least.copied() else {
                return (false, None);
            };
            self.forget(least);
            dropped = Some(least.1);
        }
        self.put(rank, key(&voice));
        let about = self.subjects.entry(subject).or_default();
        if let Err(place) = about.place(&voice) {
            about.voices.insert(place, voice);
        }
        (true, dropped)
    }

    fn put(&mut self, rank: usize, key: Key) {
        self.ranks[rank].insert(key);
        self.authors.entry(key.2).or_default().insert(own(key));
    }

    /// Somebody is believed no longer: what they said is the first to give way.
    pub(crate) fn demote(&mut self, author: NodeId) {
        let [least, others @ ..] = &mut self.ranks;
        for own in self.authors.get(&author).into_iter().flatten() {
            let key = whole(author, *own);
            if others.iter_mut().rev().any(|rank| rank.remove(&key)) {
                least.insert(key);
            }
        }
    }

    /// The clock was set: what was heard by it moves along.
    pub(crate) fn step(&mut self, step: Step) {
        for about in self.subjects.values_mut() {
            about.since = step.moved(about.since);
            about.until = step.moved(about.until);
            about.most_at = step.moved(about.most_at);
        }
        self.authors.clear();
        for rank in 0..RANKS {
            for (expires, subject, by, family, class) in std::mem::take(&mut self.ranks[rank]) {
                let mut key = (expires, subject, by, family, class);
                if let Some(about) = self.subjects.get_mut(&subject)
                    && let Ok(place) = about.place_of((by, family, class))
                {
                    let voice = &mut about.voices[place];
                    // What was restored keeps its end; what was heard, the rest of its life.
                    if step.is_of_this_run(voice.heard_at) {
                        voice.expires = step.moved(voice.expires);
                    }
                    voice.heard_at = step.moved(voice.heard_at);
                    key.0 = voice.expires;
                }
                self.put(rank, key);
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(all) = self.authors.get_mut(&key.2) {
            all.remove(&own(*key));
            if all.is_empty() {
                self.authors.remove(&key.2);
            }
        }
        // Most are found at once: who is heard weighs something.
        let _ = self.ranks.iter_mut().rev().any(|rank| rank.remove(key));
    }

    /// An author takes back what they said before. Whether there was anything.
    pub(crate) fn retract(
        &mut self,
        by: NodeId,
        subject: Subject,
        family: Family,
        seq: u64,
    ) -> bool {
        let Some(about) = self.subjects.get_mut(&subject) else {
            return false;
        };
        let of_kind = about.of_kind(by, family);
        let mut is_news = false;
        for voice in &mut about.voices[of_kind] {
            let is_meant = voice.seq < seq && !voice.is_retracted;
            voice.is_retracted |= is_meant;
            is_news |= is_meant;
        }
        is_news
    }

    fn forget(&mut self, key: Key) {
        self.remove(&key);
        let (_, subject, by, family, class) = key;
        if let Some(about) = self.subjects.get_mut(&subject)
            && let Ok(place) = about.place_of((by, family, class))
        {
            about.voices.remove(place);
        }
    }

    /// Forget all voices but these: about whom they were.
    pub(crate) fn keep(&mut self, keep: impl Fn(&Voice) -> bool) -> BTreeSet<Subject> {
        let keys = self.authors.iter();
        let keys = keys.flat_map(|(by, own)| own.iter().map(|own| whole(*by, *own)));
        let is_kept = |(_, subject, by, family, class): &Key| {
            let about = self.subjects.get(subject);
            about.is_some_and(|about| {
                let place = about.place_of((*by, *family, *class));
                place.is_ok_and(|place| keep(&about.voices[place]))
            })
        };
        let gone: Vec<Key> = keys.filter(|key| !is_kept(key)).collect();
        for key in &gone {
            self.forget(*key);
        }
        gone.into_iter().map(|key| key.1).collect()
    }

    /// Forget an address of which nobody speaks any more.
    pub(crate) fn leave(&mut self, subject: Subject) {
        if let Some(about) = self.subjects.get(&subject)
            && about.voices.is_empty()
            && about.level == Level::Clear
        {
            self.subjects.remove(&subject);
        }
    }

    /// Forget what is over, no more than so many: about whom that was.
    pub(crate) fn forget_before(&mut self, now: Timestamp, most: usize) -> BTreeSet<Subject> {
        let mut subjects = BTreeSet::new();
        for _ in 0..most {
            let Some(first) = self.next().filter(|first| first.0 <= now) else {
                break;
            };
            self.forget(first);
            subjects.insert(first.1);
        }
        subjects
    }

    fn next(&self) -> Option<Key> {
        let firsts = self.ranks.iter().filter_map(BTreeSet::first);
        firsts.min().copied()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.next().map(|key| key.0)
    }
}

impl About {
    fn place(&self, voice: &Voice) -> Result<usize, usize> {
        self.place_of((voice.by, voice.family, Class::of(voice)))
    }

    fn place_of(&self, key: (NodeId, Family, Class)) -> Result<usize, usize> {
        let key_of = |voice: &Voice| (voice.by, voice.family, Class::of(voice));
        self.voices.binary_search_by_key(&key, key_of)
    }

    /// All that an author says of one family.
    fn of_kind(&self, by: NodeId, family: Family) -> std::ops::Range<usize> {
        let key = |voice: &Voice| (voice.by, voice.family);
        let first = self
            .voices
            .partition_point(|voice| key(voice) < (by, family));
        let after = self
            .voices
            .partition_point(|voice| key(voice) <= (by, family));
        first..after
    }
}
