//! One record of every shape, to compare with what earlier versions wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use lymph_protocol::{NodeId, Timestamp};

use crate::engine::alerts::Alert;
use crate::engine::decision::{Decision, DetectionId, Kind, Origin};
use crate::engine::ladder::Rung;
use crate::engine::policy::Outcome;
use crate::engine::protected::{Protection, Shield};
use crate::engine::record::Record;
use crate::engine::target::Target;
use crate::engine::trusting::KeptExperience;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(in crate::daemon) fn records() -> Vec<Record> {
    let targets: [Target; 4] = [
        "192.0.2.1",
        "2001:db8:1:2::",
        "192.0.2.0/24",
        "2001:db8::/32",
    ]
    .map(|text| text.parse().unwrap());
    let origins = [
        Origin::Lymph,
        Origin::Mesh,
        Origin::Operator,
        Origin::Lists,
        Origin::Predicted,
        Origin::Crowdsec,
    ];
    let kinds = Kind::ALL.into_iter().cycle();
    let decisions =
        targets
            .into_iter()
            .cycle()
            .zip(origins)
            .zip(kinds)
            .map(|((target, origin), kind)| {
                let (id, reason) = (
                    DetectionId(0x0123_4567_89ab_cdef),
                    Arc::from("lymph/ssh-bf"),
                );
                Record::Decision(Decision {
                    id,
                    target,
                    kind,
                    origin,
                    reason,
                    since: NOW,
                    until: NOW,
                    step: 3,
                })
            });
    let shield = Shield {
        network: targets[2].network(),
        protection: Protection::Resolver,
    };
    let (kind, until, step) = (Kind::Throttle, NOW, 2);
    let outcomes = [
        Outcome::Decided { kind, until, step },
        Outcome::Ended { kind, until, step },
        Outcome::Protected(shield),
        Outcome::Whitelisted("monitoring".to_owned()),
        Outcome::Informed,
        Outcome::NoAddress,
        Outcome::TooWide,
        Outcome::NoRoom,
    ];
    let alerts = outcomes.into_iter().map(|outcome| {
        Record::Alert(Arc::new(Alert {
            id: DetectionId(7),
            at: NOW,
            scenario: Arc::from("lymph/ssh-bf"),
            description: Arc::from("ssh brute force"),
            scope: "Ip".to_owned(),
            value: "192.0.2.1".to_owned(),
            target: Some(targets[0]),
            first_seen: NOW,
            last_seen: NOW,
            events: 6,
            meta: BTreeMap::from([(
                "target_user".to_owned(),
                vec!["root".to_owned(), "admin".to_owned()],
            )]),
            outcome,
        }))
    });
    let rung = Record::Rung(
        targets[1],
        Rung {
            step: 2,
            free_at: NOW,
            last_seen: NOW,
        },
    );
    let experience = KeptExperience {
        credits: vec![(20_833, 0x00c0_0002, 65_536), (20_834, 1 << 63 | 7, 46_340)],
        refutations: vec![(20_840, "192.0.2.1".parse().unwrap())],
    };
    let trust = [
        Record::Experience(NodeId::from_bytes([7; 32]), experience),
        Record::HeldOut(20_833, 300),
    ];
    let rest = [rung].into_iter().chain(trust);
    decisions.chain(alerts).chain(rest).collect()
}
