//! What is signed and what is not: sizes, tampering, audiences, keys that are none, and any value there and back.

use proptest::prelude::*;

use super::arb;
use super::make::*;
use crate::ask::{Answer, Ask, Joined, PLAIN, fetched};
use crate::audience::Audience;
use crate::codec::CodecError;
use crate::report::{Nonsense, Slot};
use crate::signed::{Kind, Object, ParseError, Signed};
use crate::sync::salted;
use crate::ticket::{Ticket, TicketError};
use crate::vouch::{Kill, Minute, VouchWeight};
use crate::word::Wish;
use crate::{ObjectId, Subject, limits};

fn bytes_of(object: Object, audience: Audience) -> Vec<u8> {
    key(2).sign(object, audience).unwrap().bytes().to_vec()
}

/// Whether a node would take these bytes for the author's word.
fn is_taken(bytes: &[u8], audience: Audience) -> bool {
    Signed::parse(bytes, audience).is_ok_and(|signed| signed.verify().is_ok())
}

#[test]
fn sizes() {
    let check = |name: &str, object: Object, expected: usize| {
        assert_eq!(bytes_of(object, fleet()).len(), expected, "{name}");
    };
    for ((name, object), expected) in one_of_each()
        .into_iter()
        .zip([127, 131, 164, 117, 149, 146, 134, 134, 168, 138, 196, 141])
    {
        check(name, object, expected);
    }
    check(
        "a full batch",
        Object::Batch(reports(64, 1)),
        98 + 8 + 64 * 29,
    );
    let digest = Object::Digest(digest(reports(limits::DIGEST_MAX as u32, 1)));
    check("a full digest", digest, 98 + 12 + 2_000 * 29);
}

#[test]
fn the_largest_of_every_kind_fits() {
    let mut contact = contact(1);
    contact.addresses =
        vec![format!("/{}", "x".repeat(limits::ADDRESS_BYTES_MAX - 1)); limits::ADDRESSES_MAX];
    contact.name = "n".repeat(63);
    let text = || "r".repeat(limits::WORDS_BYTES_MAX);
    let widest = |count, first_seq| {
        let mut all = reports(count, first_seq);
        for (upper, report) in (0x2a01_04f8_0000_0000..).zip(&mut all) {
            report.subject = Subject::V6(upper);
        }
        all
    };
    for object in [
        Object::Contact(contact),
        Object::Word(word(Wish::AllowName {
            name: text(),
            comment: text(),
        })),
        Object::Batch(widest(limits::BATCH_MAX as u32, 1)),
        Object::Digest(digest(widest(limits::DIGEST_MAX as u32, 1))),
    ] {
        let bytes = bytes_of(object, fleet());
        assert!(is_taken(&bytes, fleet()));
        assert!(bytes.len() + limits::SEAL_BYTES < limits::ASK_BYTES_MAX);
    }
}

#[test]
fn one_more_than_the_most_is_not_signed() {
    let check = |object: Object, expected: Nonsense| {
        assert_eq!(
            key(2).sign(object, fleet()),
            Err(ParseError::Nonsense(expected))
        );
    };
    check(Object::Batch(reports(65, 1)), Nonsense::Length);
    check(Object::Batch(vec![]), Nonsense::Length);
    check(Object::Digest(digest(reports(2_001, 1))), Nonsense::Length);
    let mut long = contact(1);
    long.addresses = vec!["/x".to_owned(); 9];
    check(Object::Contact(long), Nonsense::Length);
}

/// Bytes that an honest node's `sign` would not make: signed all the same.
fn check_nonsense(object: Object, expected: Nonsense) {
    assert_eq!(object.check(node(2)), Err(expected));
    assert_eq!(
        key(2).sign(object, Audience::Public),
        Err(ParseError::Nonsense(expected))
    );
}

#[test]
fn nonsense() {
    let of_report = |change: &dyn Fn(&mut crate::report::Report), expected| {
        let mut report = report("5.9.1.1", 1);
        change(&mut report);
        check_nonsense(Object::Report(report), expected);
        check_nonsense(Object::Batch(vec![report]), expected);
        check_nonsense(Object::Digest(digest(vec![report])), expected);
    };
    for subject in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.31.0.1",
        "192.168.1.1",
        "198.51.100.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fc00::1",
        "2001:db8::1",
        "ff02::1",
    ] {
        of_report(
            &|report| report.subject = subject.parse().unwrap(),
            Nonsense::NotPublic,
        );
        let mut retraction = retraction("5.9.1.1", 1);
        retraction.subject = subject.parse().unwrap();
        check_nonsense(Object::Retraction(retraction), Nonsense::NotPublic);
    }
    // 6to4 and Teredo in the spelling that only a forger uses.
    of_report(
        &|report| report.subject = Subject::V6(0x2002_0509_0101_0000),
        Nonsense::NotPublic,
    );
    of_report(
        &|report| report.subject = Subject::V6(0x2001_0000_0509_0101),
        Nonsense::NotPublic,
    );
    of_report(&|report| report.ttl_hours = 0, Nonsense::Life);
    of_report(&|report| report.ttl_hours = 169, Nonsense::Life);
    of_report(&|report| report.count_log2 = 64, Nonsense::Count);
    let twice = vec![report("5.9.1.1", 1), report("5.9.1.2", 1)];
    check_nonsense(Object::Batch(twice.clone()), Nonsense::Order);
    check_nonsense(Object::Digest(digest(twice)), Nonsense::Order);
    let mut mixed = reports(2, 1);
    mixed[1].family = crate::family::Family::WEB_SCAN;
    check_nonsense(Object::Batch(mixed), Nonsense::Order);

    let of_vouch = |change: &dyn Fn(&mut crate::vouch::Vouch), expected| {
        let mut vouch = vouch(node(9), 1);
        change(&mut vouch);
        check_nonsense(Object::Vouch(vouch), expected);
    };
    of_vouch(&|vouch| vouch.subject = node(2), Nonsense::OwnAuthor);
    of_vouch(&|vouch| vouch.weight = VouchWeight(0), Nonsense::Weight);
    of_vouch(
        &|vouch| vouch.weight = VouchWeight(10_001),
        Nonsense::Weight,
    );
    of_vouch(&|vouch| vouch.expires = vouch.issued, Nonsense::Life);
    of_vouch(
        &|vouch| vouch.expires = Minute(vouch.issued.0 - 1),
        Nonsense::Life,
    );
    of_vouch(
        &|vouch| vouch.expires = Minute(vouch.issued.0 + 90 * 1440 + 1),
        Nonsense::Life,
    );
    check_nonsense(
        Object::Revocation(revocation(node(2), 1)),
        Nonsense::OwnAuthor,
    );
    let kill = Kill {
        issued: Minute(0),
        successor: Some(node(2)),
    };
    check_nonsense(Object::Kill(kill), Nonsense::OwnAuthor);

    let of_contact = |change: &dyn Fn(&mut crate::contact::Contact)| {
        let mut contact = contact(1);
        change(&mut contact);
        check_nonsense(Object::Contact(contact), Nonsense::Text);
    };
    of_contact(&|contact| contact.addresses = vec!["x".to_owned()]);
    of_contact(&|contact| contact.addresses = vec!["/ip4 x".to_owned()]);
    of_contact(&|contact| contact.addresses = vec![format!("/{}", "x".repeat(160))]);
    of_contact(&|contact| contact.name = "a\nb".to_owned());
    of_contact(&|contact| contact.name = "x".repeat(64));
    for wish in [
        Wish::Ban {
            net: net("5.9.0.0/33"),
            secs: 1,
            reason: String::new(),
        },
        Wish::Lift {
            net: net("2a01::/129"),
            false_positive: true,
        },
        Wish::DisallowName("x".repeat(257)),
        Wish::AllowName {
            name: "a\0b".to_owned(),
            comment: String::new(),
        },
        Wish::AllowNet {
            net: net("5.9.0.0/16"),
            comment: "x".repeat(257),
        },
    ] {
        check_nonsense(Object::Word(word(wish)), Nonsense::Text);
    }
}

#[test]
fn every_bent_bit_is_noticed() {
    for (name, object) in one_of_each() {
        let bytes = bytes_of(object, fleet());
        assert!(is_taken(&bytes, fleet()), "{name}");
        for at in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                assert!(!is_taken(&bent, fleet()), "{name}, byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_noticed() {
    for (name, object) in one_of_each() {
        let bytes = bytes_of(object, fleet());
        for at in 0..bytes.len() {
            assert!(!is_taken(&bytes[..at], fleet()), "{name}, cut at {at}");
            let longer = [&bytes[..at], &[0], &bytes[at..]].concat();
            assert!(!is_taken(&longer, fleet()), "{name}, longer at {at}");
        }
        assert!(
            !is_taken(&[bytes.as_slice(), &[0]].concat(), fleet()),
            "{name}"
        );
    }
}

#[test]
fn what_is_said_to_one_is_not_said_to_another() {
    let others = |of: Audience| {
        let mut other_fleet = [0xf1; 32];
        other_fleet[31] = 0;
        let all = [
            Audience::Public,
            fleet(),
            circle(),
            Audience::Fleet(crate::audience::FleetId(other_fleet)),
            // The same name, of another sort.
            Audience::Circle(crate::audience::CircleId([0xf1; 32])),
            Audience::Circle(crate::audience::CircleId([0; 32])),
            Audience::Fleet(crate::audience::FleetId([0; 32])),
        ];
        all.into_iter().filter(move |other| *other != of)
    };
    for audience in [Audience::Public, fleet(), circle()] {
        for (name, object) in one_of_each() {
            let bytes = bytes_of(object, audience);
            let id = Signed::parse(&bytes, audience).unwrap().id();
            assert!(is_taken(&bytes, audience), "{name}");
            for other in others(audience) {
                assert!(
                    !is_taken(&bytes, other),
                    "{name}: {audience:?} as {other:?}"
                );
                assert_ne!(Signed::parse(&bytes, other).unwrap().id(), id, "{name}");
            }
        }
    }
}

#[test]
fn a_ticket_is_signed_by_who_it_says_and_holds_no_more_than_it_may() {
    let ticket = |addresses: usize| Ticket {
        relation: crate::ticket::Relation::Friend,
        issuer: node(2),
        transport: key(3).transport_id(),
        token: crate::ticket::Token([1; 16]),
        expires: Minute(1),
        addresses: vec!["/ip4/5.9.1.1/tcp/4747".to_owned(); addresses],
    };
    let most = ticket(limits::ADDRESSES_MAX);
    let text = most.write(&key(2)).unwrap();
    assert_eq!(Ticket::read(&text), Ok(most.clone()));
    let forged = most.write(&key(3)).unwrap();
    assert_eq!(Ticket::read(&forged), Err(TicketError::Mangled));
    assert!(ticket(limits::ADDRESSES_MAX + 1).write(&key(2)).is_err());
}

#[test]
fn other_spellings_of_a_value_are_refused() {
    // A flag of a lifted ban that is 2: true for a lax reader.
    let lift = word(Wish::Lift {
        net: net("5.9.0.0/16"),
        false_positive: true,
    });
    let mut bytes = bytes_of(Object::Word(lift), fleet());
    let flag = bytes.len() - 65;
    assert_eq!(bytes[flag], 1);
    bytes[flag] = 2;
    assert!(matches!(
        Signed::parse(&bytes, fleet()),
        Err(ParseError::Codec(_))
    ));
    // A batch that says it is longer than it is, and one that is followed by more.
    let batch = bytes_of(Object::Batch(reports(2, 1)), fleet());
    for count in [0u8, 1, 3, 255] {
        let mut bytes = batch.clone();
        bytes[34] = count;
        assert!(
            matches!(Signed::parse(&bytes, fleet()), Err(ParseError::Codec(_))),
            "{count}"
        );
    }
    let mut bytes = batch;
    bytes[41] = 0xff;
    assert!(matches!(
        Signed::parse(&bytes, fleet()),
        Err(ParseError::Codec(CodecError::Malformed(_)))
    ));
    // A subject of a kind that is none, evidence that is none.
    let report = bytes_of(Object::Report(report("5.9.1.1", 1)), fleet());
    for (at, byte) in [(34, 5), (34, 0), (48, 2)] {
        let mut bytes = report.clone();
        bytes[at] = byte;
        assert!(
            matches!(Signed::parse(&bytes, fleet()), Err(ParseError::Codec(_))),
            "byte {at}"
        );
    }
}

/// A reader that takes any number but 0 for "yes", as none of ours does; one may come in with a library.
#[derive(Debug, PartialEq)]
struct Lax(bool);

impl serde::Serialize for Lax {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0.into())
    }
}

impl<'de> serde::Deserialize<'de> for Lax {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(|number| Lax(number != 0))
    }
}

#[test]
fn a_lax_reader_does_not_make_two_spellings() {
    let read = crate::codec::decode_body::<Lax, 10>;
    assert_eq!(read(&[1]), Ok(Lax(true)));
    assert_eq!(read(&[2]), Err(CodecError::NotCanonical));
    assert_eq!(read(&[1, 0]), Err(CodecError::TrailingBytes(1)));
}

#[test]
fn what_nobody_knows_yet_is_no_guilt() {
    let bytes = bytes_of(Object::Report(report("5.9.1.1", 1)), Audience::Public);
    for version in [0, 2, 255] {
        let other = [&[version], &bytes[1..]].concat();
        let error = Signed::parse(&other, Audience::Public).unwrap_err();
        assert!(error.is_unknown() && error == ParseError::Version(version));
    }
    let known = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12];
    for kind in (0..=255).filter(|kind| !known.contains(kind)) {
        let other = [&[1, kind], &bytes[2..]].concat();
        let error = Signed::parse(&other, Audience::Public).unwrap_err();
        assert!(error.is_unknown() && error == ParseError::Kind(kind));
    }
}

/// The encodings of points of small order: for these as keys, a lax check finds one signature good for many messages.
const WEAK_KEYS: [[u8; 32]; 9] = {
    const fn y(first: u8, middle: u8, last: u8) -> [u8; 32] {
        let mut bytes = [middle; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    }
    [
        y(1, 0, 0),
        y(1, 0, 0x80),
        y(0, 0, 0),
        y(0, 0, 0x80),
        y(0xec, 0xff, 0x7f),
        y(0xed, 0xff, 0x7f),
        y(0xee, 0xff, 0x7f),
        // The two of order eight.
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

#[test]
fn weak_keys_sign_nothing() {
    let template = bytes_of(Object::Report(report("5.9.1.1", 1)), Audience::Public);
    for key in WEAK_KEYS {
        for point in WEAK_KEYS {
            // Many messages: a lax check takes one in eight or more of them.
            for seq in 0..16 {
                let mut bytes = template.clone();
                bytes[2..34].copy_from_slice(&key);
                bytes[55] = seq;
                bytes[63..95].copy_from_slice(&point);
                bytes[95..].fill(0);
                assert!(Signed::parse(&bytes, Audience::Public).is_ok());
                assert!(
                    !is_taken(&bytes, Audience::Public),
                    "{key:02x?} {point:02x?} {seq}"
                );
            }
        }
    }
    // No key at all.
    let mut bytes = template;
    bytes[2..34].fill(0xff);
    assert!(!is_taken(&bytes, Audience::Public));
}

#[test]
fn a_signature_has_one_spelling() {
    // The order of the group: added to the scalar, it gives the same equation.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = bytes_of(Object::Report(report("5.9.1.1", 1)), Audience::Public);
    assert!(is_taken(&bytes, Audience::Public));
    let mut carry = 0;
    let scalar = bytes.len() - 32;
    for (byte, add) in bytes[scalar..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!is_taken(&bytes, Audience::Public));
}

#[test]
fn nobody_speaks_for_another() {
    let mut bytes = bytes_of(Object::Report(report("5.9.1.1", 1)), Audience::Public);
    bytes[2..34].copy_from_slice(node(3).as_bytes());
    assert!(!is_taken(&bytes, Audience::Public));
}

#[test]
fn kinds_have_their_limits() {
    for (_, object) in one_of_each() {
        let kind = object.kind();
        let most = match kind == Kind::Digest {
            true => limits::DIGEST_BYTES_MAX,
            false => limits::OBJECT_BYTES_MAX,
        };
        assert_eq!(kind.bytes_max(), most);
        let mut bytes = bytes_of(object, fleet());
        bytes.resize(most + 1, 0);
        assert!(matches!(
            Signed::parse(&bytes, fleet()),
            Err(ParseError::Codec(CodecError::TooLong { .. }))
        ));
    }
}

#[test]
fn fetched_by_plain_or_by_salted_ids() {
    let held = || (0..5u8).map(|i| ObjectId([i; 32]));
    let salt = [9; 16];
    let wanted = [ObjectId([3; 32]), ObjectId([1; 32]), ObjectId([7; 32])];
    let found = vec![ObjectId([1; 32]), ObjectId([3; 32])];
    assert_eq!(fetched(held(), PLAIN, &wanted.map(|id| id.0)), found);
    assert_eq!(
        fetched(held(), salt, &wanted.map(|id| salted(&salt, &id))),
        found
    );
    assert!(fetched(held(), salt, &wanted.map(|id| id.0)).is_empty());
    // No more than may be asked for.
    let mut many = vec![[0xff; 32]; limits::FETCH_MAX];
    many.push([1; 32]);
    assert!(fetched(held(), PLAIN, &many).is_empty());
}

#[test]
fn what_is_printed_tells_no_secret() {
    let rekey = Ask::Rekey {
        secret: [201; 32],
        epoch: 1,
        expelled: Vec::new(),
    };
    let joined = Answer::Joined(Box::new(Joined {
        relation: crate::ticket::Relation::Fleet,
        contact: vec![],
        secret: Some([201; 32]),
        circle: None,
        objects: vec![],
        pending: false,
    }));
    let token = Ask::Join {
        token: crate::ticket::Token([201; 16]),
        contact: vec![],
    };
    for text in [
        format!("{rekey:?}"),
        format!("{joined:?}"),
        format!("{token:?}"),
    ] {
        assert!(!text.contains("201") && !text.contains("c9"), "{text}");
    }
}

#[test]
fn the_largest_questions_and_answers_fit() {
    let ids = vec![[1; 32]; limits::FETCH_MAX];
    let fetch = Ask::Fetch {
        audience: fleet(),
        ids,
        salt: [1; 16],
        since: Slot(u32::MAX),
    };
    assert!(fetch.encode().is_ok());
    let frame = vec![0; limits::SYNC_FRAME_MAX];
    assert!(
        Ask::Reconcile {
            audience: fleet(),
            since: Slot(u32::MAX),
            frame
        }
        .encode()
        .is_ok()
    );
    let objects = vec![vec![0; limits::OBJECT_BYTES_MAX]; 127];
    assert!(
        Answer::Objects {
            objects,
            cursor: u64::MAX
        }
        .encode()
        .is_ok()
    );
    let objects = vec![vec![0; limits::OBJECT_BYTES_MAX]; 128];
    let too_many = Answer::Objects {
        objects,
        cursor: u64::MAX,
    }
    .encode();
    assert!(matches!(too_many, Err(CodecError::TooLong { .. })));
}

proptest! {
    #[test]
    fn any_object_there_and_back(object in arb::object(), audience in arb::audience(), secret: [u8; 32]) {
        let keypair = crate::signed::Keypair::from_secret(&secret);
        prop_assume!(object.check(keypair.id()).is_ok());
        let said = keypair.sign(object.clone(), audience).unwrap();
        let heard = Signed::parse(said.bytes(), audience).unwrap().verify().unwrap();
        prop_assert_eq!(&heard, &said);
        prop_assert_eq!((heard.object(), heard.author(), heard.audience()), (&object, keypair.id(), audience));
        prop_assert_eq!(heard.reports().count(), object.reports().len());
        prop_assert!(object.expires() >= object.time());
    }

    #[test]
    fn any_bytes_are_an_object_or_an_error(kind in 0..14u8, tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [&[1, kind], tail.as_slice()].concat();
        if let Ok(signed) = Signed::parse(&bytes, Audience::Public) {
            prop_assert_eq!(&**signed.bytes(), bytes.as_slice());
            prop_assert!(signed.verify().is_err(), "nobody guesses a signature");
        }
    }

    #[test]
    fn any_two_objects_have_two_ids(one in arb::object(), two in arb::object(), audience in arb::audience()) {
        prop_assume!(one.check(node(2)).is_ok() && two.check(node(2)).is_ok());
        let id = |object: &Object| key(2).sign(object.clone(), audience).unwrap().id();
        prop_assert_eq!(one == two, id(&one) == id(&two));
    }

    #[test]
    fn any_question_there_and_back(ask in arb::ask()) {
        let bytes = ask.encode().unwrap();
        prop_assert_eq!(Ask::decode(&bytes), Ok(ask));
        prop_assert!(Ask::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        prop_assert!(Ask::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn any_answer_there_and_back(answer in arb::answer()) {
        let bytes = answer.encode().unwrap();
        prop_assert_eq!(Answer::decode(&bytes), Ok(answer));
        prop_assert!(Answer::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn any_ticket_there_and_back(ticket in arb::ticket(), at: prop::sample::Index) {
        let text = ticket.write(&key(2)).unwrap();
        prop_assert_eq!(Ticket::read(&text), Ok(ticket.clone()));
        prop_assert_eq!(Ticket::read(&text.to_ascii_uppercase()), Ok(ticket));
        let mut bent = text.into_bytes();
        let at = at.index(bent.len());
        bent[at] = if bent[at] == b'a' { b'b' } else { b'a' };
        prop_assert!(Ticket::read(std::str::from_utf8(&bent).unwrap()).is_err());
    }

    #[test]
    fn fetched_is_what_was_wanted_and_is_held(held in prop::collection::btree_set(arb::object_id(), 0..20), salt: [u8; 16], every in 1..4usize) {
        let wanted: Vec<ObjectId> = held.iter().copied().step_by(every).collect();
        let ids: Vec<[u8; 32]> = wanted.iter().map(|id| salted(&salt, id)).collect();
        prop_assert_eq!(fetched(held.iter().copied(), salt, &ids), wanted);
    }
}
