//! Objects to test with, all at [`NOW`]: one of each kind, and any.

use std::time::Duration;

use crate::audience::{Audience, CircleId, FleetId};
use crate::contact::Contact;
use crate::digest::{Digest, Epoch};
use crate::family::Family;
use crate::report::{Evidence, Report, Retraction, RuleHash, Slot};
use crate::signed::{Keypair, Object};
use crate::vouch::{Degree, Kill, Minute, Revocation, Vouch, VouchWeight};
use crate::word::{Net, Wish, Word};
use crate::{NodeId, Subject, Timestamp, TransportId};

/// 2026-03-01T12:00:00Z: a slot, a minute and an hour begin.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_772_366_400);

pub(super) fn key(seed: u8) -> Keypair {
    Keypair::from_secret(&[seed; 32])
}

pub(super) fn node(seed: u8) -> NodeId {
    key(seed).id()
}

pub(super) fn fleet() -> Audience {
    Audience::Fleet(FleetId([0xf1; 32]))
}

pub(super) fn circle() -> Audience {
    Audience::Circle(CircleId([0xc1; 32]))
}

pub(super) fn report(subject: &str, seq: u64) -> Report {
    Report {
        subject: subject.parse().unwrap(),
        family: Family::SSH_AUTH,
        rule: RuleHash([0xab; 8]),
        evidence: Evidence::Handshake,
        count_log2: 5,
        slot: Slot::of(NOW),
        ttl_hours: 24,
        seq,
    }
}

pub(super) fn retraction(subject: &str, seq: u64) -> Retraction {
    Retraction {
        subject: subject.parse().unwrap(),
        family: Family::SSH_AUTH,
        slot: Slot::of(NOW),
        ttl_hours: 24,
        seq,
    }
}

pub(super) fn vouch(subject: NodeId, seq: u64) -> Vouch {
    Vouch {
        subject,
        degree: Degree::Friend,
        weight: VouchWeight::ONE,
        issued: Minute::of(NOW),
        expires: Minute::of(NOW + Duration::from_secs(86_400)),
        seq,
    }
}

pub(super) fn revocation(subject: NodeId, seq: u64) -> Revocation {
    Revocation {
        subject,
        issued: Minute::of(NOW),
        expires: Minute::of(NOW + Duration::from_secs(86_400)),
        seq,
    }
}

pub(super) fn contact(seq: u64) -> Contact {
    Contact {
        transport: TransportId::from_bytes([7; 32]),
        issued: Minute::of(NOW),
        expires: Minute::of(NOW + Duration::from_secs(86_400)),
        seq,
        addresses: vec!["/ip4/5.9.1.1/tcp/4747".to_owned()],
        name: "web-1".to_owned(),
    }
}

pub(super) fn word(wish: Wish) -> Word {
    Word {
        issued: Minute::of(NOW),
        seq: 9,
        wish,
    }
}

pub(super) fn net(text: &str) -> Net {
    let (address, prefix) = text.split_once('/').unwrap();
    Net {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

pub(super) fn digest(reports: Vec<Report>) -> Digest {
    Digest {
        epoch: epoch(),
        reports,
    }
}

pub(super) fn epoch() -> Epoch {
    Epoch(u32::try_from(NOW.secs() / 3600).unwrap())
}

/// So many reports about different subjects, under these numbers on.
pub(super) fn reports(count: u32, first_seq: u64) -> Vec<Report> {
    let subject = |i: u32| Subject::V4((0x0509_0000 + i).into());
    (0..count)
        .map(|i| Report {
            subject: subject(i),
            seq: first_seq + u64::from(i),
            ..report("5.9.1.1", 0)
        })
        .collect()
}

/// One of every kind, each with the name of its kind.
pub(super) fn one_of_each() -> Vec<(&'static str, Object)> {
    vec![
        ("report", Object::Report(report("5.9.1.1", 1))),
        (
            "report, IPv6",
            Object::Report(report("2a01:4f8:1:2::/64", 2)),
        ),
        ("batch", Object::Batch(reports(2, 3))),
        ("retraction", Object::Retraction(retraction("5.9.1.1", 5))),
        ("vouch", Object::Vouch(vouch(node(9), 6))),
        ("revocation", Object::Revocation(revocation(node(9), 7))),
        (
            "kill",
            Object::Kill(Kill {
                issued: Minute::of(NOW),
                successor: None,
            }),
        ),
        (
            "kill with successor",
            Object::Kill(Kill {
                issued: Minute::of(NOW),
                successor: Some(node(9)),
            }),
        ),
        ("digest", Object::Digest(digest(reports(2, 3)))),
        ("root", Object::Root(digest(reports(2, 3)).root())),
        ("contact", Object::Contact(contact(8))),
        (
            "word",
            Object::Word(word(Wish::Ban {
                net: net("5.9.0.0/16"),
                secs: 3600,
                reason: "enough".to_owned(),
            })),
        ),
    ]
}
