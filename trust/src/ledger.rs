//! Who says what about whom: the reports that are alive, by address, one voice for each author and family.
//!
//! Full, it gives up what nobody speaks for that we believe, and of that what ends soonest; then the same of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lymph_protocol::family::Family;
use lymph_protocol::report::{Evidence, Report};
use lymph_protocol::{NodeId, Subject, Timestamp};

use crate::policy::{CLOCK_SLACK, REPORTS_MAX, VOICES_MAX};
use crate::verdict::Level;

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
    /// Sorted by author and family.
    pub(crate) voices: Vec<Voice>,
    pub(crate) level: Level,
    pub(crate) since: Timestamp,
    /// Whose word counted while the level was above clear.
    pub(crate) contributors: BTreeSet<NodeId>,
    /// The last count of ways, for whom it was made, and in which view.
    pub(crate) ways: Option<Ways>,
}

/// A count of ways: it holds as long as the view does and nobody of them falls away.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    pub(crate) view: u64,
    pub(crate) to: Vec<NodeId>,
    pub(crate) count: u32,
}

type Key = (Timestamp, Subject, NodeId, Family);

/// See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    subjects: BTreeMap<Subject, About>,
    /// Those whose authors meant nothing to us when we heard them, and the others.
    strangers: BTreeSet<Key>,
    known: BTreeSet<Key>,
    max: usize,
}

impl Ledger {
    pub(crate) const fn new() -> Self {
        Ledger {
            subjects: BTreeMap::new(),
            strangers: BTreeSet::new(),
            known: BTreeSet::new(),
            max: REPORTS_MAX,
        }
    }

    /// One address of it, to look at.
    pub(crate) fn only(&self, subject: Subject) -> Ledger {
        let mut only = Ledger::new();
        let about = self.subjects.get(&subject).cloned();
        only.subjects.extend(about.map(|about| (subject, about)));
        only
    }

    pub(crate) fn set_room(&mut self, max: usize) {
        self.max = max.max(1);
    }

    pub(crate) fn len(&self) -> usize {
        self.strangers.len() + self.known.len()
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

    /// The next addresses after one.
    pub(crate) fn after(&self, last: Option<Subject>, most: usize) -> Vec<Subject> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = last.map_or(Unbounded, Excluded);
        let rest = self.subjects.range((from, Unbounded));
        rest.take(most).map(|(subject, _)| *subject).collect()
    }

    /// Hear a voice. Whether anything is new; the addresses about which somebody had to be forgotten for it.
    pub(crate) fn hear(
        &mut self,
        subject: Subject,
        voice: Voice,
        is_known: bool,
        now: Timestamp,
    ) -> (bool, Option<Subject>) {
        if voice.expires <= now {
            return (false, None);
        }
        let key = |voice: &Voice| (voice.expires, subject, voice.by, voice.family);
        let about = self.subjects.get(&subject);
        let place = about.map(|about| about.place(voice.by, voice.family));
        if let (Some(about), Some(Ok(place))) = (about, place) {
            let old = about.voices[place];
            if old.seq >= voice.seq {
                return (false, None);
            }
            self.strangers.remove(&key(&old));
            self.known.remove(&key(&old));
            self.keep(key(&voice), is_known);
            if let Some(about) = self.subjects.get_mut(&subject) {
                about.voices[place] = voice;
            }
            return (true, None);
        }
        if about.is_some_and(|about| about.voices.len() >= VOICES_MAX) {
            // Who is believed takes the place of who is not.
            let voices = self.subjects.get(&subject).map(|about| &about.voices);
            let first = voices.into_iter().flatten().map(key);
            let Some(first) = first.filter(|key| self.strangers.contains(key)).min() else {
                return (false, None);
            };
            if !is_known {
                return (false, None);
            }
            self.forget(first);
        }
        let mut dropped = None;
        if self.len() >= self.max {
            let Some(first) = self.strangers.first().or(self.known.first()).copied() else {
                return (false, None);
            };
            if !is_known && self.strangers.is_empty() {
                return (false, None);
            }
            self.forget(first);
            dropped = Some(first.1);
        }
        self.keep(key(&voice), is_known);
        let about = self.subjects.entry(subject).or_default();
        if let Err(place) = about.place(voice.by, voice.family) {
            about.voices.insert(place, voice);
        }
        (true, dropped)
    }

    fn keep(&mut self, key: Key, is_known: bool) {
        match is_known {
            true => self.known.insert(key),
            false => self.strangers.insert(key),
        };
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
        let Ok(place) = about.place(by, family) else {
            return false;
        };
        let voice = &mut about.voices[place];
        let is_news = voice.seq < seq && !voice.is_retracted;
        voice.is_retracted |= is_news;
        is_news
    }

    fn forget(&mut self, key: Key) {
        self.strangers.remove(&key);
        self.known.remove(&key);
        let (_, subject, by, family) = key;
        if let Some(about) = self.subjects.get_mut(&subject)
            && let Ok(place) = about.place(by, family)
        {
            about.voices.remove(place);
        }
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

    /// Forget what is over: about whom that was.
    pub(crate) fn forget_before(&mut self, now: Timestamp) -> BTreeSet<Subject> {
        let mut subjects = BTreeSet::new();
        while let Some(first) = self.next().filter(|first| first.0 <= now) {
            self.forget(first);
            subjects.insert(first.1);
        }
        subjects
    }

    fn next(&self) -> Option<Key> {
        let firsts = [self.strangers.first(), self.known.first()];
        firsts.into_iter().flatten().min().copied()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.next().map(|key| key.0)
    }
}

impl About {
    fn place(&self, by: NodeId, family: Family) -> Result<usize, usize> {
        let key = |voice: &Voice| (voice.by, voice.family);
        self.voices.binary_search_by_key(&(by, family), key)
    }
}
