//! From a detection to what is done about it. Pure functions of the detection, the settings and the past.
//!
//! The never-block list is asked first and always. Then: does the scenario ask for a remedy, is there an
//! address or network to act upon, is that network too wide, how often was it here, and is what would be
//! decided over already. The next step of the path is `decisions`, which holds what was decided.

use std::collections::BTreeMap;
use std::time::Duration;

use lymph_protocol::Timestamp;
use lymph_protocol::admission::Standing;
use lymph_protocol::report::{Evidence, Report};
use lymph_scenarios::overflow::{Attacker, Overflow, Scope};
use serde::{Deserialize, Serialize};

use super::breaker::Why;
use super::decision::Kind;
use super::ladder::{Rung, Terms};
use super::protected::{Protected, Shield};
use super::target::{IpNet, Target, parse_network};

/// Widest IPv4 network that a rule may block: a million addresses, as a large access provider has in one
/// route. Wider ones are more likely a mistake in a rule than an attacker.
pub const RANGE_V4_PREFIX_MIN: u8 = 12;
/// Widest IPv6 network that a rule may block: what a registry gives to one provider.
pub const RANGE_V6_PREFIX_MIN: u8 = 29;

/// What the operator wants of one scenario, in place of what holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// What is done; `Some(None)` only informs.
    pub remedy: Option<Option<Kind>>,
    /// Length of the first ban.
    pub first: Option<Duration>,
}

/// What the operator wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How long decisions last.
    pub terms: Terms,
    /// Scenarios that are treated differently, by name.
    pub overrides: BTreeMap<String, Override>,
}

/// What came of a detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Something is done about it.
    Decided {
        /// What.
        kind: Kind,
        /// Until when.
        until: Timestamp,
        /// The how-manieth visit it is.
        step: u8,
    },
    /// As above, but it would be over by now: the lines were read late.
    Ended {
        /// What would have been done.
        kind: Kind,
        /// Until when.
        until: Timestamp,
        /// The how-manieth visit it was.
        step: u8,
    },
    /// It is never blocked.
    Protected(Shield),
    /// A rule says that it is harmless, and why.
    Whitelisted(String),
    /// The scenario only informs.
    Informed,
    /// It is about something that no firewall knows, such as a user.
    NoAddress,
    /// It is about a network that is too wide to be blocked by a rule.
    TooWide,
    /// There was no room for another decision.
    NoRoom,
    /// It is decided but not carried out.
    Held {
        /// What would be done.
        kind: Kind,
        /// Why it is not.
        why: Why,
    },
    /// It takes more, for this scenario and this target.
    Tolerated {
        /// How often it ran over within the hour.
        seen: u8,
        /// How often it must.
        needed: u8,
    },
}

/// The address or network that a detection is about.
#[must_use]
pub fn target(attacker: &Attacker) -> Option<Target> {
    match attacker.scope {
        Scope::Ip => attacker.subject().map(Target::from),
        Scope::Range => parse_network(attacker.range.as_deref().unwrap_or(&attacker.value))
            .ok()
            .map(Target::of_network),
        Scope::Other(_) => None,
    }
}

/// What is to be done about a detection, and where its target then stands on the ladder.
#[must_use]
pub fn judge(
    policy: &Policy,
    protected: &Protected,
    overflow: &Overflow,
    target: Option<Target>,
    past: Option<Rung>,
    now: Timestamp,
) -> (Outcome, Option<Rung>) {
    if let Some(shield) = target.and_then(|target| protected.shield_of(target)) {
        return (Outcome::Protected(shield), None);
    }
    if let Some(reason) = &overflow.whitelisted {
        return (Outcome::Whitelisted(reason.clone()), None);
    }
    let special = policy.overrides.get(&*overflow.scenario);
    let asked = overflow.remediation.then_some(Kind::Ban);
    let Some(kind) = special.and_then(|special| special.remedy).unwrap_or(asked) else {
        return (Outcome::Informed, None);
    };
    let Some(target) = target else {
        return (Outcome::NoAddress, None);
    };
    if too_wide(target) {
        return (Outcome::TooWide, None);
    }
    let first = special
        .and_then(|special| special.first)
        .unwrap_or(policy.terms.first);
    // A log may be dated in the future; a ban begins now at the latest.
    let at = overflow.last_seen.min(now);
    let mut rung = Rung::after(past, at, &policy.terms);
    let (step, until) = (rung.step, at + policy.terms.length(first, rung.step));
    rung.free_at = rung.free_at.max(until);
    let outcome = if until > now {
        Outcome::Decided { kind, until, step }
    } else {
        Outcome::Ended { kind, until, step }
    };
    (outcome, Some(rung))
}

/// What a checked report of somebody else is worth: until when its subject is banned, if it is.
///
/// A sibling is the operator's own machine and has banned the address itself, so its word is enough for as long as it lives,
/// unless anybody can have sent what it saw. Of everybody else `trusting` makes what there is to make.
#[must_use]
pub fn judge_report(standing: Standing, report: &Report, now: Timestamp) -> Option<Timestamp> {
    match standing {
        Standing::Sibling if report.evidence == Evidence::Handshake => {
            let until = report.expires().min(now + report.ttl());
            (until > now).then_some(until)
        }
        Standing::Own
        | Standing::Sibling
        | Standing::Vouched(_)
        | Standing::Stranger
        | Standing::Muted => None,
    }
}

/// Until when a ban lasts that rests on others' word alone: as long as an own one would, and no longer than as many of them
/// say so as it takes.
#[must_use]
pub fn mesh_ban_until(
    terms: &Terms,
    rung: Rung,
    said_until: Timestamp,
    now: Timestamp,
) -> Timestamp {
    said_until.min(now + terms.length(terms.first, rung.step))
}

fn too_wide(target: Target) -> bool {
    match target {
        Target::Subject(_) => false,
        Target::Range(IpNet::V4(network)) => network.prefix_len() < RANGE_V4_PREFIX_MIN,
        Target::Range(IpNet::V6(network)) => network.prefix_len() < RANGE_V6_PREFIX_MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::super::protected::Protection;
    use super::super::testing::{attacker, overflow, range};
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn seen(
        who: &Attacker,
        change: impl FnOnce(&mut Overflow),
        past: Option<Rung>,
    ) -> (Outcome, Option<Rung>) {
        let mut policy = Policy::default();
        let (gentle, silent) = ("test/gentle".to_owned(), "test/silent".to_owned());
        policy.overrides.insert(
            gentle,
            Override {
                remedy: Some(Some(Kind::Throttle)),
                first: Some(HOUR * 300),
            },
        );
        policy.overrides.insert(
            silent,
            Override {
                remedy: Some(None),
                first: None,
            },
        );
        let mut overflow = overflow("test/rule", &who.value, 1);
        (overflow.first_seen, overflow.last_seen) = (NOW - Duration::from_secs(60), NOW);
        overflow.attackers = vec![who.clone()];
        change(&mut overflow);
        let allowed = [parse_network("198.51.100.0/24").unwrap()];
        judge(
            &policy,
            &Protected::new(&allowed, &[]),
            &overflow,
            target(who),
            past,
            NOW,
        )
    }

    fn ban(until: Timestamp, step: u8) -> Outcome {
        Outcome::Decided {
            kind: Kind::Ban,
            until,
            step,
        }
    }

    #[test]
    fn the_first_ban_lasts_an_hour_and_a_return_doubles_it() {
        let who = attacker("192.0.2.1");
        let (outcome, rung) = seen(&who, |_| (), None);
        assert_eq!(outcome, ban(NOW + HOUR, 1));
        assert_eq!(
            seen(&who, |_| (), rung).0,
            ban(NOW + HOUR, 1),
            "the same visit"
        );
        let back = rung.map(|rung| Rung {
            free_at: NOW,
            ..rung
        });
        assert_eq!(seen(&who, |_| (), back).0, ban(NOW + HOUR * 2, 2));
        let long_ago = back.map(|rung| Rung {
            last_seen: NOW - HOUR * 24 * 31,
            ..rung
        });
        assert_eq!(seen(&who, |_| (), long_ago).0, ban(NOW + HOUR, 1));
    }

    #[test]
    fn late_lines_ban_only_for_what_is_left() {
        let who = attacker("192.0.2.1");
        let late = |by| seen(&who, move |overflow| overflow.last_seen = NOW - by, None).0;
        assert_eq!(late(HOUR / 2), ban(NOW + HOUR / 2, 1));
        assert_eq!(
            late(HOUR),
            Outcome::Ended {
                kind: Kind::Ban,
                until: NOW,
                step: 1
            }
        );
        let future = seen(
            &who,
            |overflow| overflow.last_seen = NOW + HOUR * 1000,
            None,
        )
        .0;
        assert_eq!(future, ban(NOW + HOUR, 1));
    }

    #[test]
    fn the_protected_are_never_decided_about() {
        for (who, why) in [
            (attacker("127.0.0.1"), Protection::Loopback),
            (attacker("::ffff:10.0.0.1"), Protection::Private),
            (attacker("198.51.100.9"), Protection::Allowlist),
            (range("198.51.0.0/16"), Protection::Allowlist),
        ] {
            let (outcome, rung) = seen(&who, |_| (), None);
            assert!(
                matches!(outcome, Outcome::Protected(shield) if shield.protection == why),
                "{who:?}: {outcome:?}"
            );
            assert_eq!(rung, None);
        }
    }

    #[test]
    fn some_only_inform() {
        let who = attacker("192.0.2.1");
        assert_eq!(
            seen(&who, |overflow| overflow.remediation = false, None),
            (Outcome::Informed, None)
        );
        assert_eq!(
            seen(
                &who,
                |overflow| overflow.scenario = "test/silent".into(),
                None
            ),
            (Outcome::Informed, None)
        );
        let reason = Outcome::Whitelisted("monitoring".to_owned());
        assert_eq!(
            seen(
                &who,
                |overflow| overflow.whitelisted = Some("monitoring".to_owned()),
                None
            ),
            (reason, None)
        );
        let user = Attacker {
            scope: Scope::Other("user".into()),
            ..attacker("root")
        };
        assert_eq!(seen(&user, |_| (), None), (Outcome::NoAddress, None));
    }

    #[test]
    fn a_scenario_may_have_its_own_terms() {
        let outcome = seen(
            &attacker("192.0.2.1"),
            |overflow| overflow.scenario = "test/gentle".into(),
            None,
        )
        .0;
        assert_eq!(
            outcome,
            Outcome::Decided {
                kind: Kind::Throttle,
                until: NOW + HOUR * 300,
                step: 1
            }
        );
    }

    #[test]
    fn networks_are_blocked_up_to_a_width() {
        assert_eq!(
            seen(&range("192.0.2.0/24"), |_| (), None).0,
            ban(NOW + HOUR, 1)
        );
        assert_eq!(
            seen(&range("11.0.0.0/11"), |_| (), None).0,
            Outcome::TooWide
        );
        assert_eq!(seen(&range("2a00::/28"), |_| (), None).0, Outcome::TooWide);
        assert_eq!(
            seen(&range("2a00::/29"), |_| (), None).0,
            ban(NOW + HOUR, 1)
        );
        assert_eq!(seen(&range("nonsense"), |_| (), None).0, Outcome::NoAddress);
    }

    #[test]
    fn a_siblings_report_blocks_and_nobody_elses_does() {
        use lymph_protocol::family::Family;
        use lymph_protocol::report::{Evidence, RuleHash, Slot};
        let slot = Slot::of(NOW);
        let report = |slot: Slot, ttl_hours: u8| Report {
            subject: "5.9.1.1".parse().unwrap(),
            family: Family::SSH_AUTH,
            rule: RuleHash([0; 8]),
            evidence: Evidence::Handshake,
            count_log2: 3,
            slot,
            ttl_hours,
            seq: 1,
        };
        let later = Slot(slot.0 + 3);
        let earlier = Slot(slot.0 - 24);
        for (standing, report, expected) in [
            (
                Standing::Sibling,
                report(slot, 1),
                Some(slot.start() + HOUR),
            ),
            (
                Standing::Sibling,
                report(slot, 168),
                Some(slot.start() + HOUR * 168),
            ),
            // From a clock that is ahead: no longer than it says from now on.
            (Standing::Sibling, report(later, 1), Some(NOW + HOUR)),
            (
                Standing::Sibling,
                report(earlier, 3),
                Some(earlier.start() + HOUR * 3),
            ),
            (Standing::Sibling, report(earlier, 2), None),
            (Standing::Sibling, report(earlier, 1), None),
            (Standing::Own, report(slot, 1), None),
            (Standing::Vouched(10_000), report(slot, 1), None),
            (Standing::Vouched(0), report(slot, 1), None),
            (Standing::Stranger, report(slot, 1), None),
            (Standing::Muted, report(slot, 1), None),
        ] {
            assert_eq!(
                judge_report(standing, &report, NOW),
                expected,
                "{standing:?} {report:?}"
            );
        }
    }
}
