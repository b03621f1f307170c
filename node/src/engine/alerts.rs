//! What was seen: a bounded history of detections and what came of each.
//!
//! Holds facts that rules took from the lines, never the lines. Everything that an attacker wrote is cut to
//! size before it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lymph_protocol::Timestamp;
use lymph_scenarios::overflow::{Attacker, Overflow};
use serde::{Deserialize, Serialize};

use super::decision::DetectionId;
use super::policy::Outcome;
use super::target::Target;

/// One detection, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id, also that of the decision that began with it.
    pub id: DetectionId,
    /// When it was judged.
    pub at: Timestamp,
    /// The scenario that ran over.
    pub scenario: Arc<str>,
    /// What that scenario is about, in a line.
    pub description: Arc<str>,
    /// What kind of thing `value` is: `Ip`, `Range`, or a rule's own word.
    pub scope: String,
    /// Who did it.
    pub value: String,
    /// The same as an address or network, where it is one.
    pub target: Option<Target>,
    /// Time of the first line.
    pub first_seen: Timestamp,
    /// Time of the last line.
    pub last_seen: Timestamp,
    /// How many lines there were.
    pub events: u32,
    /// What the lines said, by key: the first few different values of each.
    pub meta: BTreeMap<String, Vec<String>>,
    /// What came of it.
    pub outcome: Outcome,
}

/// Longest text that is kept of what an attacker may have written, in bytes: a path or a user agent is still
/// recognised, and a whole alert stays below 20 kB.
pub const TEXT_BYTES_MAX: usize = 200;
/// How many keys of an alert's meta are kept. The bundled rules set about ten.
pub const KEYS_MAX: usize = 16;
/// How many different values of one key are kept: enough to see a pattern in user names or paths.
pub const VALUES_MAX: usize = 6;

/// Keys that only serve the detector, or say again what the alert says itself.
const KEYS_LEFT_OUT: [&str; 3] = ["attempt", "attempt_part", "timestamp"];

impl Alert {
    /// What is kept of a detection.
    #[must_use]
    pub fn new(
        id: DetectionId,
        overflow: &Overflow,
        attacker: &Attacker,
        target: Option<Target>,
        outcome: Outcome,
        at: Timestamp,
    ) -> Self {
        let mut meta: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in overflow.events.iter().flat_map(|event| &event.meta) {
            if value.is_empty()
                || KEYS_LEFT_OUT.contains(&key.as_str())
                || (meta.len() >= KEYS_MAX && !meta.contains_key(key.as_str()))
            {
                continue;
            }
            let (values, value) = (meta.entry(cut(key)).or_default(), cut(value));
            if values.len() < VALUES_MAX && !values.contains(&value) {
                values.push(value);
            }
        }
        Alert {
            id,
            at,
            scenario: Arc::clone(&overflow.scenario),
            description: Arc::clone(&overflow.description),
            scope: cut(attacker.scope.name()),
            value: cut(&attacker.value),
            target,
            first_seen: overflow.first_seen,
            last_seen: overflow.last_seen,
            events: overflow.events_count,
            meta,
            outcome,
        }
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let values = |(key, values): (&String, &Vec<String>)| {
            key.len() + 96 + values.iter().map(|value| value.len() + 32).sum::<usize>()
        };
        320 + self.scope.len() + self.value.len() + self.meta.iter().map(values).sum::<usize>()
    }
}

/// The text, or its beginning and an ellipsis.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

/// The history, oldest first.
#[derive(Clone, Debug)]
pub struct Alerts {
    by_time: BTreeMap<(Timestamp, DetectionId), Arc<Alert>>,
    times: BTreeMap<DetectionId, Timestamp>,
    /// Those that still have what their lines said.
    rich: BTreeSet<(Timestamp, DetectionId)>,
    bytes: usize,
    max: usize,
    bytes_max: usize,
}

impl Alerts {
    /// A history of at most `max` detections in about `bytes_max` bytes; the oldest give way. See [`Alerts::add`].
    #[must_use]
    pub fn new(max: usize, bytes_max: usize) -> Self {
        Alerts {
            by_time: BTreeMap::new(),
            times: BTreeMap::new(),
            rich: BTreeSet::new(),
            bytes: 0,
            max: max.max(1),
            bytes_max,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// About how much memory they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Alert>> {
        self.by_time.values()
    }

    /// The one with that id.
    #[must_use]
    pub fn get(&self, id: DetectionId) -> Option<&Arc<Alert>> {
        self.by_time.get(&(*self.times.get(&id)?, id))
    }

    /// When the oldest was judged.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }

    /// Add one. Returns those that had to give way for it.
    ///
    /// When memory is short, the oldest first lose what their lines said and keep who, what and when; only then do
    /// whole ones give way, the oldest of those that nothing stands on (`founds`) first. So nobody can have a
    /// standing ban forget its reason by a flood of detections.
    pub fn add(&mut self, alert: Arc<Alert>, founds: impl Fn(&Alert) -> bool) -> Vec<DetectionId> {
        self.remove(alert.id);
        let key = (alert.at, alert.id);
        self.bytes += alert.bytes();
        self.times.insert(alert.id, alert.at);
        if !alert.meta.is_empty() {
            self.rich.insert(key);
        }
        self.by_time.insert(key, alert);
        while self.bytes > self.bytes_max
            && self.rich.len() > 1
            && let Some(oldest) = self.rich.pop_first()
        {
            if let Some(alert) = self.by_time.get_mut(&oldest) {
                self.bytes -= alert.bytes();
                Arc::make_mut(alert).meta = BTreeMap::new();
                self.bytes += alert.bytes();
            }
        }
        let mut dropped = Vec::new();
        while self.by_time.len() > self.max
            || (self.bytes > self.bytes_max && self.by_time.len() > 1)
        {
            let gives_way = self
                .iter()
                .take(LOOKED_AT)
                .find(|alert| !founds(alert))
                .map(|alert| alert.id);
            match gives_way {
                Some(id) => dropped.extend(self.remove(id).map(|alert| alert.id)),
                None => dropped.extend(self.pop_oldest()),
            }
        }
        dropped
    }

    /// Take one out.
    pub fn remove(&mut self, id: DetectionId) -> Option<Arc<Alert>> {
        let key = (self.times.remove(&id)?, id);
        self.rich.remove(&key);
        let alert = self.by_time.remove(&key)?;
        self.bytes -= alert.bytes();
        Some(alert)
    }

    /// Take out one that was judged before `horizon`.
    pub fn pop_before(&mut self, horizon: Timestamp) -> Option<DetectionId> {
        self.oldest().filter(|oldest| *oldest < horizon)?;
        self.pop_oldest()
    }

    /// The ids of all that are about a target.
    #[must_use]
    pub fn about(&self, target: Target) -> BTreeSet<DetectionId> {
        self.iter()
            .filter(|alert| alert.target == Some(target))
            .map(|alert| alert.id)
            .collect()
    }

    fn pop_oldest(&mut self) -> Option<DetectionId> {
        let ((_, id), _) = self.by_time.first_key_value()?;
        let id = *id;
        self.remove(id).map(|alert| alert.id)
    }
}

/// How many of the oldest are looked at for one that nothing stands on.
const LOOKED_AT: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::testing::{attacker, overflow};
    use super::*;

    fn alert(n: u64, meta: &[(&str, &str)]) -> Arc<Alert> {
        let mut overflow = overflow("test/rule", "192.0.2.1", n);
        for event in &mut overflow.events {
            event.meta = meta
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
        }
        let who = attacker("192.0.2.1");
        Arc::new(Alert::new(
            DetectionId(n),
            &overflow,
            &who,
            None,
            Outcome::Informed,
            Timestamp::from_secs(n),
        ))
    }

    #[test]
    fn keeps_at_most_so_many_and_drops_the_oldest() {
        let mut alerts = Alerts::new(3, usize::MAX);
        for n in [5, 1, 3] {
            assert!(alerts.add(alert(n, &[]), |_| false).is_empty());
        }
        assert!(
            alerts.add(alert(3, &[]), |_| false).is_empty(),
            "the same again"
        );
        assert_eq!(alerts.add(alert(4, &[]), |_| false), [DetectionId(1)]);
        assert_eq!(
            alerts.iter().map(|alert| alert.id.0).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        assert_eq!(
            alerts.pop_before(Timestamp::from_secs(4)),
            Some(DetectionId(3))
        );
        assert_eq!(alerts.pop_before(Timestamp::from_secs(4)), None);
        assert!(alerts.get(DetectionId(3)).is_none() && alerts.get(DetectionId(4)).is_some());
    }

    #[test]
    fn keeps_at_most_so_many_bytes() {
        let long = "x".repeat(150);
        let size = alert(1, &[("path", &long)]).bytes();
        let mut alerts = Alerts::new(1000, size * 10);
        for n in 1..=100 {
            alerts.add(alert(n, &[("path", &long)]), |_| false);
        }
        assert!(alerts.bytes() <= size * 10, "{}", alerts.bytes());
        let (rich, all) = (alerts.rich.len(), alerts.len());
        assert!(rich >= 1 && all > 10, "{rich} of {all} are whole");
        assert!(
            alerts
                .iter()
                .rev()
                .take(rich)
                .all(|alert| !alert.meta.is_empty())
        );
        let mut none = Alerts::new(1000, 0);
        none.add(alert(1, &[]), |_| false);
        assert_eq!(none.len(), 1, "one is always kept");
    }

    /// A flood of detections takes neither the standing bans' reasons nor everything about them.
    #[test]
    fn what_a_decision_rests_on_goes_last() {
        let mut alerts = Alerts::new(50, usize::MAX);
        let founds = |alert: &Alert| alert.id.0 <= 3;
        for n in 1..=500 {
            alerts.add(alert(n, &[]), founds);
        }
        assert_eq!(alerts.len(), 50);
        assert!((1..=3).all(|n| alerts.get(DetectionId(n)).is_some()));
        assert!(alerts.get(DetectionId(4)).is_none() && alerts.get(DetectionId(500)).is_some());
        for n in 501..=600 {
            alerts.add(alert(n, &[]), |_| true);
        }
        assert_eq!(alerts.len(), 50, "if all are, the oldest go");
    }

    #[test]
    fn what_an_attacker_wrote_is_cut_to_size() {
        let mut overflow = overflow("test/rule", "192.0.2.1", 1);
        let event = overflow.events[0].clone();
        overflow.events = (0..100)
            .map(|n| {
                let mut event = event.clone();
                event.meta = (0..50)
                    .map(|key| (format!("key{key}"), format!("{n}{}", "é".repeat(5000))))
                    .collect();
                event
            })
            .collect();
        let alert = Alert::new(
            DetectionId(1),
            &overflow,
            &attacker("192.0.2.1"),
            None,
            Outcome::Informed,
            Timestamp::EPOCH,
        );
        assert_eq!(alert.meta.len(), KEYS_MAX);
        assert!(alert.meta.values().all(|values| values.len() == VALUES_MAX));
        assert!(
            alert
                .meta
                .values()
                .flatten()
                .all(|value| value.len() <= TEXT_BYTES_MAX + 3 && value.ends_with('…'))
        );
        assert!(alert.bytes() < 30_000, "{}", alert.bytes());
    }
}
