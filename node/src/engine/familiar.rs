//! Who has logged in here: subjects that are more likely a colleague with a wrong password than an attacker.
//!
//! A successful login to a privileged service counts for thirty days. It earns a second chance (see `leniency`), and
//! a ban that would hit such a subject through a list, a range or a peer is held (see `breaker`). It earns nothing
//! for attacks on the same service: there, a login may be the very guess that came true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::{Subject, Timestamp};
use serde::{Deserialize, Serialize};

use super::target::Target;

/// How long a login counts.
pub const COUNTS_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A login within this time after the last one changes nothing that is worth a write to the disk.
const AGAIN: Duration = Duration::from_secs(60 * 60);
/// Services of one subject that are remembered.
const SERVICES_MAX: usize = 4;
/// Longest name of a service, in bytes.
const SERVICE_BYTES_MAX: usize = 64;

/// When a subject last logged in, by service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    by_service: BTreeMap<Arc<str>, Timestamp>,
}

impl Logins {
    /// The last one of all.
    #[must_use]
    pub fn last(&self) -> Option<(&Arc<str>, Timestamp)> {
        let all = self.by_service.iter().map(|(service, at)| (service, *at));
        all.max_by_key(|(_, at)| *at)
    }
}

/// Everybody who has logged in.
#[derive(Clone, Debug)]
pub struct Familiar {
    subjects: BTreeMap<Subject, Logins>,
    by_last: BTreeSet<(Timestamp, Subject)>,
    max: usize,
}

impl Familiar {
    /// At most so many; the one who was away for longest gives way.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Familiar {
            subjects: BTreeMap::new(),
            by_last: BTreeSet::new(),
            max: max.max(1),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Everybody.
    pub fn iter(&self) -> impl Iterator<Item = (Subject, &Logins)> {
        self.subjects
            .iter()
            .map(|(subject, logins)| (*subject, logins))
    }

    /// The logins of one.
    #[must_use]
    pub fn get(&self, subject: Subject) -> Option<&Logins> {
        self.subjects.get(&subject)
    }

    /// Somebody logged in. Returns whether that is worth saving, and who was forgotten for it.
    pub fn logged_in(
        &mut self,
        subject: Subject,
        service: &str,
        at: Timestamp,
    ) -> (bool, Option<Subject>) {
        let service = &service[..service.floor_char_boundary(SERVICE_BYTES_MAX)];
        let mut logins = self.subjects.get(&subject).cloned().unwrap_or_default();
        let known = logins.by_service.get(service).copied();
        if known.is_some_and(|known| at.since(known) < AGAIN) {
            return (false, None);
        }
        logins.by_service.insert(service.into(), at);
        if logins.by_service.len() > SERVICES_MAX {
            let oldest = logins.by_service.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(service, _)| Arc::clone(service)) {
                logins.by_service.remove(&oldest);
            }
        }
        (true, self.restore(subject, logins))
    }

    /// Put back what was saved. Returns who was forgotten for it.
    pub fn restore(&mut self, subject: Subject, logins: Logins) -> Option<Subject> {
        let (_, last) = logins.last()?;
        self.remove(subject);
        self.by_last.insert((last, subject));
        self.subjects.insert(subject, logins);
        if self.subjects.len() <= self.max {
            return None;
        }
        let (_, longest_away) = *self.by_last.first()?;
        self.remove(longest_away);
        Some(longest_away)
    }

    /// Forget one.
    pub fn remove(&mut self, subject: Subject) -> Option<Logins> {
        let logins = self.subjects.remove(&subject)?;
        if let Some((_, last)) = logins.last() {
            self.by_last.remove(&(last, subject));
        }
        Some(logins)
    }

    /// When the one who was away for longest was here.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.by_last.first().map(|(last, _)| *last)
    }

    /// Forget who was last here before `horizon`, one a call.
    pub fn pop_before(&mut self, horizon: Timestamp) -> Option<Subject> {
        let (_, subject) = *self.by_last.first().filter(|(last, _)| *last < horizon)?;
        self.remove(subject);
        Some(subject)
    }

    /// The service that the target logged in to lately, other than those under attack.
    #[must_use]
    pub fn login_elsewhere(
        &self,
        target: Target,
        attacked: &BTreeSet<&str>,
        now: Timestamp,
    ) -> Option<Arc<str>> {
        let Target::Subject(subject) = target else {
            return None;
        };
        let logins = self.subjects.get(&subject)?.by_service.iter();
        let mut counting = logins.filter(|(service, at)| {
            now.since(**at) <= COUNTS_FOR && !attacked.contains(&***service)
        });
        counting.next().map(|(service, _)| Arc::clone(service))
    }

    /// Somebody within the target who has logged in lately.
    #[must_use]
    pub fn within(&self, target: Target, now: Timestamp) -> Option<Subject> {
        let counts = |(_, logins): &(&Subject, &Logins)| {
            logins
                .last()
                .is_some_and(|(_, at)| now.since(at) <= COUNTS_FOR)
        };
        match target {
            Target::Subject(subject) => {
                let one = self.subjects.get_key_value(&subject);
                one.filter(counts).map(|(subject, _)| *subject)
            }
            Target::Range(network) => {
                let (first, last) = (
                    Subject::of(network.network()),
                    Subject::of(network.broadcast()),
                );
                let mut within = self.subjects.range(first..=last).filter(counts);
                within.next().map(|(subject, _)| *subject)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn a_login_counts_for_thirty_days_and_not_for_its_own_service() {
        let mut familiar = Familiar::new(10);
        let home = subject("192.0.2.1");
        assert_eq!(familiar.logged_in(home, "ssh", NOW), (true, None));
        assert_eq!(
            familiar.logged_in(home, "ssh", NOW + Duration::from_secs(60)),
            (false, None)
        );
        let elsewhere = |attacked: &str, now| {
            familiar.login_elsewhere(home.into(), &BTreeSet::from([attacked]), now)
        };
        assert_eq!(elsewhere("http", NOW).as_deref(), Some("ssh"));
        assert_eq!(elsewhere("ssh", NOW), None);
        assert_eq!(elsewhere("http", NOW + DAY * 31), None);
        for (text, expected) in [
            ("192.0.2.0/24", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("192.0.3.0/24", false),
            ("2001:db8::/32", false),
        ] {
            let target = text.parse().unwrap();
            assert_eq!(familiar.within(target, NOW).is_some(), expected, "{text}");
            assert_eq!(
                familiar.within(target, NOW + DAY * 31),
                None,
                "{text}, later"
            );
        }
        familiar.logged_in(subject("2001:db8::7"), "ssh", NOW);
        assert!(
            familiar
                .within("2001:db8::/32".parse().unwrap(), NOW)
                .is_some()
        );
    }

    #[test]
    fn remembers_so_many_and_of_each_so_many_services() {
        let mut familiar = Familiar::new(2);
        let (a, b, c) = (
            subject("192.0.2.1"),
            subject("192.0.2.2"),
            subject("192.0.2.3"),
        );
        familiar.logged_in(a, "ssh", NOW);
        familiar.logged_in(b, "ssh", NOW + DAY);
        familiar.logged_in(a, "imap", NOW + DAY * 2);
        assert_eq!(
            familiar.logged_in(c, "ssh", NOW + DAY * 3),
            (true, Some(b)),
            "a was here later"
        );
        for (n, service) in ["s1", "s2", "s3", "s4"].into_iter().enumerate() {
            familiar.logged_in(a, service, NOW + DAY * (4 + n as u32));
        }
        let kept: Vec<_> = familiar.get(a).unwrap().by_service.keys().collect();
        assert_eq!(
            kept.iter().map(|name| &***name).collect::<Vec<_>>(),
            ["s1", "s2", "s3", "s4"]
        );
        familiar.logged_in(a, &"x".repeat(900), NOW + DAY * 9);
        assert!(
            familiar
                .get(a)
                .unwrap()
                .by_service
                .keys()
                .all(|name| name.len() <= 64)
        );
        assert_eq!(familiar.pop_before(NOW + DAY * 4), Some(c));
        assert_eq!(familiar.pop_before(NOW + DAY * 4), None);
        assert_eq!((familiar.len(), familiar.by_last.len()), (1, 1));
    }
}
