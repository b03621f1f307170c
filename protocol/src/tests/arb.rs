//! Any object that a node could sign, any question, any answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::ask::{Answer, Ask, Joined, Refusal};
use crate::audience::{Audience, CircleId, FleetId};
use crate::contact::Contact;
use crate::digest::{Digest, Epoch, Root};
use crate::family::Family;
use crate::report::{Evidence, Report, Retraction, RuleHash, Slot};
use crate::signed::Object;
use crate::ticket::{Relation, Ticket, Token};
use crate::vouch::{Degree, Kill, Minute, Revocation, Vouch, VouchWeight};
use crate::word::{Net, Wish, Word};
use crate::{NodeId, ObjectId, Subject, TransportId, limits};

const DAY_MINUTES: u32 = 24 * 60;

pub(super) fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId::from_bytes)
}

pub(super) fn transport() -> impl Strategy<Value = TransportId> {
    any::<[u8; 32]>().prop_map(TransportId::from_bytes)
}

pub(super) fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        Just(Audience::Public),
        any::<[u8; 32]>().prop_map(|id| Audience::Circle(CircleId(id))),
        any::<[u8; 32]>().prop_map(|id| Audience::Fleet(FleetId(id))),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    let any = prop_oneof![
        any::<u32>().prop_map(|bits| Subject::V4(bits.into())),
        any::<u64>().prop_map(|upper| Subject::V6(upper >> 3 | 1 << 61)),
    ];
    any.prop_filter("public", |subject| subject.is_public())
}

pub(super) fn report() -> impl Strategy<Value = Report> {
    let evidence = prop_oneof![Just(Evidence::Spoofable), Just(Evidence::Handshake)];
    let meaning = (any::<u8>(), any::<[u8; 8]>(), evidence);
    let numbers = (
        0..64u8,
        any::<u32>(),
        1..=limits::TTL_HOURS_MAX,
        any::<u64>(),
    );
    (subject(), meaning, numbers).prop_map(
        |(subject, (family, rule, evidence), (count_log2, slot, ttl_hours, seq))| Report {
            subject,
            family: Family::from_number(family),
            rule: RuleHash(rule),
            evidence,
            count_log2,
            slot: Slot(slot),
            ttl_hours,
            seq,
        },
    )
}

/// With numbers that rise.
fn reports(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Report>> {
    prop::collection::vec(report(), count).prop_map(|mut reports| {
        reports.sort_by_key(|report| report.seq);
        reports.dedup_by_key(|report| report.seq);
        reports
    })
}

fn batch() -> impl Strategy<Value = Vec<Report>> {
    reports(1..=limits::BATCH_MAX).prop_map(|mut batch| {
        // Of one channel.
        for report in &mut batch {
            if report.family.name().is_some() {
                report.family = Family::from_number(2 + report.family.number() % 3);
            }
        }
        batch
    })
}

fn retraction() -> impl Strategy<Value = Retraction> {
    report().prop_map(|report| Retraction {
        subject: report.subject,
        family: report.family,
        slot: report.slot,
        ttl_hours: report.ttl_hours,
        seq: report.seq,
    })
}

fn life(days_max: u32) -> impl Strategy<Value = (Minute, Minute)> {
    let longest = days_max * DAY_MINUTES;
    (0..u32::MAX - longest, 1..=longest)
        .prop_map(|(from, life)| (Minute(from), Minute(from + life)))
}

fn vouch() -> impl Strategy<Value = Vouch> {
    let degree = prop_oneof![
        Just(Degree::Friend),
        Just(Degree::Member),
        Just(Degree::Sibling)
    ];
    (node(), degree, 1..=10_000u16, life(90), any::<u64>()).prop_map(
        |(subject, degree, weight, (issued, expires), seq)| Vouch {
            subject,
            degree,
            weight: VouchWeight(weight),
            issued,
            expires,
            seq,
        },
    )
}

fn revocation() -> impl Strategy<Value = Revocation> {
    vouch().prop_map(|vouch| Revocation {
        subject: vouch.subject,
        issued: vouch.issued,
        expires: vouch.expires,
        seq: vouch.seq,
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    (any::<u32>(), reports(0..=200)).prop_map(|(epoch, reports)| Digest {
        epoch: Epoch(epoch),
        reports,
    })
}

fn contact() -> impl Strategy<Value = Contact> {
    let addresses = prop::collection::vec("/[!-~]{0,159}", 0..=limits::ADDRESSES_MAX);
    let name = "\\PC{0,15}".prop_filter("short", |name| crate::contact::is_name(name));
    (transport(), life(90), any::<u64>(), addresses, name).prop_map(
        |(transport, (issued, expires), seq, addresses, name)| Contact {
            transport,
            issued,
            expires,
            seq,
            addresses,
            name,
        },
    )
}

fn net() -> impl Strategy<Value = Net> {
    prop_oneof![
        (any::<u32>(), 0..=32u8).prop_map(|(bits, prefix)| Net {
            address: IpAddr::V4(Ipv4Addr::from_bits(
                bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
            )),
            prefix,
        }),
        (any::<u128>(), 0..=128u8).prop_map(|(bits, prefix)| Net {
            address: IpAddr::V6(Ipv6Addr::from_bits(
                bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
            )),
            prefix,
        }),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let text = || "\\PC{0,60}";
    prop_oneof![
        (net(), any::<u32>(), text()).prop_map(|(net, secs, reason)| Wish::Ban {
            net,
            secs,
            reason
        }),
        (net(), any::<bool>()).prop_map(|(net, false_positive)| Wish::Lift {
            net,
            false_positive
        }),
        (net(), text()).prop_map(|(net, comment)| Wish::AllowNet { net, comment }),
        (text(), text()).prop_map(|(name, comment)| Wish::AllowName { name, comment }),
        net().prop_map(Wish::DisallowNet),
        text().prop_map(Wish::DisallowName),
        Just(Wish::Panic),
        Just(Wish::Resume),
        node().prop_map(Wish::Expel),
    ]
}

/// Valid ones of every kind.
pub(super) fn object() -> impl Strategy<Value = Object> {
    let kill = (any::<u32>(), prop::option::of(node())).prop_map(|(issued, successor)| Kill {
        issued: Minute(issued),
        successor,
    });
    let root =
        (any::<u32>(), any::<u32>(), any::<[u8; 32]>()).prop_map(|(epoch, count, root)| Root {
            epoch: Epoch(epoch),
            count,
            root,
        });
    let word = (any::<u32>(), any::<u64>(), wish()).prop_map(|(issued, seq, wish)| Word {
        issued: Minute(issued),
        seq,
        wish,
    });
    prop_oneof![
        report().prop_map(Object::Report),
        batch().prop_map(Object::Batch),
        retraction().prop_map(Object::Retraction),
        vouch().prop_map(Object::Vouch),
        revocation().prop_map(Object::Revocation),
        kill.prop_map(Object::Kill),
        digest().prop_map(Object::Digest),
        root.prop_map(Object::Root),
        contact().prop_map(Object::Contact),
        word.prop_map(Object::Word),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn envelopes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(bytes(), 0..20)
}

pub(super) fn ask() -> impl Strategy<Value = Ask> {
    let ids = || prop::collection::vec(any::<[u8; 32]>(), 0..50);
    prop_oneof![
        (audience(), bytes()).prop_map(|(audience, contact)| Ask::Hello { audience, contact }),
        (any::<[u8; 16]>(), bytes()).prop_map(|(token, contact)| Ask::Join {
            token: Token(token),
            contact
        }),
        (audience(), any::<u32>(), bytes()).prop_map(|(audience, since, frame)| Ask::Reconcile {
            audience,
            since: Slot(since),
            frame
        }),
        (audience(), ids(), any::<[u8; 16]>(), any::<u32>()).prop_map(
            |(audience, ids, salt, since)| Ask::Fetch {
                audience,
                ids,
                salt,
                since: Slot(since)
            }
        ),
        (audience(), envelopes()).prop_map(|(audience, objects)| Ask::Push { audience, objects }),
        (audience(), any::<u64>()).prop_map(|(audience, cursor)| Ask::Vouches { audience, cursor }),
        (audience(), node(), any::<u32>()).prop_map(|(audience, author, after)| Ask::Digest {
            audience,
            author,
            after: Epoch(after)
        }),
        (
            any::<[u8; 32]>(),
            any::<u64>(),
            prop::collection::vec(node(), 0..4)
        )
            .prop_map(|(secret, epoch, expelled)| Ask::Rekey {
                secret,
                epoch,
                expelled,
            }),
    ]
}

pub(super) fn relation() -> impl Strategy<Value = Relation> {
    prop_oneof![
        Just(Relation::Friend),
        Just(Relation::Fleet),
        Just(Relation::Circle)
    ]
}

pub(super) fn answer() -> impl Strategy<Value = Answer> {
    let secret = || prop::option::of(any::<[u8; 32]>());
    let joined = (
        relation(),
        bytes(),
        secret(),
        secret(),
        envelopes(),
        any::<bool>(),
    )
        .prop_map(
            |(relation, contact, secret, circle, objects, pending)| Joined {
                relation,
                contact,
                secret,
                circle,
                objects,
                pending,
            },
        );
    let refusal = prop::sample::select(super::golden::REFUSALS.to_vec());
    prop_oneof![
        bytes().prop_map(|contact| Answer::Hello { contact }),
        joined.prop_map(|joined| Answer::Joined(Box::new(joined))),
        refusal.prop_map(|refusal: Refusal| Answer::Refused(refusal)),
        bytes().prop_map(|frame| Answer::Reconcile { frame }),
        (envelopes(), any::<u64>())
            .prop_map(|(objects, cursor)| Answer::Objects { objects, cursor }),
        Just(Answer::Taken),
    ]
}

pub(super) fn ticket() -> impl Strategy<Value = Ticket> {
    let addresses = prop::collection::vec("/[!-~]{0,80}", 0..=limits::ADDRESSES_MAX);
    (
        relation(),
        transport(),
        any::<[u8; 16]>(),
        any::<u32>(),
        addresses,
    )
        .prop_map(|(relation, transport, token, expires, addresses)| Ticket {
            relation,
            issuer: super::make::node(2),
            transport,
            token: Token(token),
            expires: Minute(expires),
            addresses,
        })
}

pub(super) fn object_id() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 32]>().prop_map(ObjectId)
}
