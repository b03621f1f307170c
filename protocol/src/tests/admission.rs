//! What is let in: steps, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::make::*;
use crate::admission::{Admission, Admitted, Caps, Path, Refusal, Standing};
use crate::audience::Audience;
use crate::family::Family;
use crate::report::{Report, Slot};
use crate::signed::{Keypair, Object, Signed};
use crate::vouch::{Kill, Minute, VouchWeight};
use crate::word::Wish;
use crate::{ObjectId, Subject, Timestamp, TransportId, limits};

/// Somebody says something, and a peer hands it over.
struct Step {
    bytes: Vec<u8>,
    audience: Audience,
    from: u8,
    path: Path,
    at: Timestamp,
    standing: Standing,
}

fn says(author: u8, object: Object) -> Step {
    says_to(author, object, Audience::Public)
}

fn says_to(author: u8, object: Object, audience: Audience) -> Step {
    let said = key(author).sign(object, audience).unwrap();
    raw(said.bytes().to_vec(), audience)
}

fn raw(bytes: Vec<u8>, audience: Audience) -> Step {
    Step {
        bytes,
        audience,
        from: 1,
        path: Path::Gossip,
        at: NOW,
        standing: Standing::Vouched(10_000),
    }
}

impl Step {
    fn asked(self) -> Step {
        Step {
            path: Path::Asked,
            ..self
        }
    }

    fn from(self, from: u8) -> Step {
        Step { from, ..self }
    }

    fn after(self, secs: i64) -> Step {
        let shift = Duration::from_secs(secs.unsigned_abs());
        let at = if secs < 0 { NOW - shift } else { NOW + shift };
        Step { at, ..self }
    }

    fn by(self, standing: Standing) -> Step {
        Step { standing, ..self }
    }
}

/// Both halves of admission, the signature checked in between.
fn take(admission: &mut Admission, step: &Step) -> Result<Admitted, Refusal> {
    let from = TransportId::from_bytes([step.from; 32]);
    let signed = admission.first(from, step.path, step.audience, &step.bytes, step.at, |_| {
        step.standing
    })?;
    let verified = signed.verify().map_err(Refusal::from)?;
    admission.verified(&verified, step.at, step.standing)
}

fn outcome(result: &Result<Admitted, Refusal>) -> String {
    match result {
        Err(refusal) => refusal.to_string(),
        Ok(admitted) => {
            let mut words = vec!["in".to_owned()];
            if !admitted.fresh_reports.is_empty() {
                words.push(format!("fresh {:?}", admitted.fresh_reports));
            }
            if admitted.is_overtaken {
                words.push("overtaken".to_owned());
            }
            if admitted.equivocation.is_some() {
                words.push("a lie".to_owned());
            }
            words.join(", ")
        }
    }
}

fn check_with(mut admission: Admission, steps: Vec<(Step, &str)>) -> Admission {
    for (index, (step, expected)) in steps.iter().enumerate() {
        let result = take(&mut admission, step);
        assert_eq!(&outcome(&result), expected, "step {index}");
    }
    admission
}

fn check(steps: Vec<(Step, &str)>) -> Admission {
    check_with(Admission::new(Caps::default()), steps)
}

fn said(subject: &str, seq: u64) -> Object {
    Object::Report(report(subject, seq))
}

fn changed(change: impl FnOnce(&mut Report)) -> Object {
    let mut report = report("5.9.1.1", 1);
    change(&mut report);
    Object::Report(report)
}

#[test]
fn one_of_each_is_let_in_once() {
    for (name, object) in one_of_each() {
        let first = match object.reports().len() {
            0 => "in",
            1 => "in, fresh [0]",
            _ => "in, fresh [0, 1]",
        };
        eprintln!("{name}");
        check(vec![
            (says_to(2, object.clone(), fleet()).asked(), first),
            (
                says_to(2, object.clone(), fleet()).asked(),
                "ignored: seen before",
            ),
            (
                says_to(2, object.clone(), fleet()).from(9).asked(),
                "ignored: seen before",
            ),
        ]);
        let by_gossip = match matches!(object, Object::Digest(_)) {
            true => "rejected: not for this channel",
            false => first,
        };
        check(vec![(says_to(2, object, fleet()), by_gossip)]);
    }
}

#[test]
fn what_every_node_sees_is_rejected() {
    let good = key(2).sign(said("5.9.1.1", 1), Audience::Public).unwrap();
    let good = good.bytes().to_vec();
    let check_bytes = |bytes: Vec<u8>, expected: &str| {
        check(vec![(raw(bytes, Audience::Public), expected)]);
    };
    check_bytes(vec![], "rejected: malformed: cut short");
    check_bytes(good[..97].to_vec(), "rejected: malformed: cut short");
    check_bytes(
        good[..126].to_vec(),
        "rejected: malformed: no value of its kind",
    );
    check_bytes(
        [&good[..63], &[0], &good[63..]].concat(),
        "rejected: malformed: bytes too many behind the value",
    );
    check_bytes(
        [&good[..34], &[5], &good[35..]].concat(),
        "rejected: malformed: no value of its kind",
    );
    check_bytes(
        [good.clone(), vec![0; 5_000]].concat(),
        "rejected: too long",
    );
    // 10.9.1.1.
    check_bytes(
        [&good[..35], &[10], &good[36..]].concat(),
        "rejected: nonsense: its subject is no public address",
    );
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    check_bytes(forged, "rejected: the signature is wrong");
    check(vec![(
        raw(good, circle()),
        "rejected: the signature is wrong",
    )]);
}

#[test]
fn what_a_later_version_may_know_is_ignored() {
    let good = key(2).sign(said("5.9.1.1", 1), Audience::Public).unwrap();
    let check_bytes = |bytes: Vec<u8>, expected: &str| {
        check(vec![(raw(bytes, Audience::Public), expected)]);
    };
    check_bytes(
        [&[2], &good.bytes()[1..]].concat(),
        "ignored: of an unknown version",
    );
    check_bytes(
        [&[0], &good.bytes()[1..]].concat(),
        "ignored: of an unknown version",
    );
    check_bytes(vec![7; 100_000], "ignored: of an unknown version");
    for kind in [0, 9, 10, 13, 255] {
        check_bytes(
            [&[1, kind], &good.bytes()[2..]].concat(),
            "ignored: of an unknown kind",
        );
    }
    let new_family = |report: &mut Report| report.family = Family::from_number(200);
    check(vec![(
        says(2, changed(new_family)),
        "ignored: of an unknown family of behaviour",
    )]);
    // A batch is let in for the rest of it, also where the new family may be of the same channel in a later version.
    let mut batch = reports(3, 1);
    new_family(&mut batch[0]);
    check(vec![(
        says(2, Object::Batch(batch.clone())),
        "in, fresh [1, 2]",
    )]);
    batch.iter_mut().for_each(new_family);
    check(vec![(
        says(2, Object::Batch(batch)),
        "ignored: of an unknown family of behaviour",
    )]);
    let mut retraction = retraction("5.9.1.1", 1);
    retraction.family = Family::from_number(16);
    check(vec![(
        says(2, Object::Retraction(retraction)),
        "ignored: of an unknown family of behaviour",
    )]);
}

#[test]
fn some_things_are_said_in_some_places_only() {
    let word = || Object::Word(word(Wish::Panic));
    let contact = || Object::Contact(contact(1));
    let digest = || Object::Digest(digest(reports(1, 1)));
    check(vec![
        (
            says_to(2, word(), Audience::Public),
            "rejected: not for this channel",
        ),
        (
            says_to(2, word(), circle()),
            "rejected: not for this channel",
        ),
        (
            says_to(2, word(), circle()).asked(),
            "rejected: not for this channel",
        ),
        (says_to(2, word(), fleet()), "in"),
        (
            says_to(2, contact(), Audience::Public),
            "rejected: not for this channel",
        ),
        (says_to(2, contact(), Audience::Public).asked(), "in"),
        (says_to(2, contact(), circle()), "in"),
        (
            says_to(2, digest(), Audience::Public),
            "rejected: not for this channel",
        ),
        (
            says_to(2, digest(), Audience::Public).asked(),
            "in, fresh [0]",
        ),
    ]);
}

#[test]
fn time_is_no_guilt() {
    let life = 24 * 3600;
    let object = || said("5.9.1.1", 1);
    for (after, gossip, asked) in [
        (-901, "ignored: from the future", "ignored: from the future"),
        (-900, "ignored: from the future", "in, fresh [0]"),
        (-121, "ignored: from the future", "in, fresh [0]"),
        (-120, "in, fresh [0]", "in, fresh [0]"),
        (life - 1, "in, fresh [0]", "in, fresh [0]"),
        (life, "ignored: expired", "ignored: expired"),
        (life * 1000, "ignored: expired", "ignored: expired"),
    ] {
        check(vec![(says(2, object()).after(after), gossip)]);
        check(vec![(says(2, object()).after(after).asked(), asked)]);
    }
    // Of a batch, what is over is not fresh.
    let mut batch = reports(2, 1);
    batch[0].slot = Slot(batch[0].slot.0 - 24 * 12);
    check(vec![(says(2, Object::Batch(batch)), "in, fresh [1]")]);
    // A key that is dead is dead at once, and for ever.
    let kill = |issued| {
        Object::Kill(Kill {
            issued,
            successor: None,
        })
    };
    check(vec![
        (says(2, kill(Minute(u32::MAX))), "in"),
        (says(3, kill(Minute(0))), "in"),
        (
            says(3, kill(Minute(0))).after(life * 80),
            "ignored: seen before",
        ),
    ]);
}

#[test]
fn the_newest_about_a_subject_holds() {
    let admission = check(vec![
        (says(2, said("5.9.1.1", 10)), "in, fresh [0]"),
        (
            says(2, said("5.9.1.1", 9)),
            "ignored: older than what is known",
        ),
        (says(2, said("5.9.1.2", 8)), "in, fresh [0]"),
        (says(3, said("5.9.1.1", 7)), "in, fresh [0]"),
        (says(2, said("5.9.1.1", 11)), "in, fresh [0]"),
        // Asked for, it is kept, or the sets would never be equal.
        (says(2, said("5.9.1.1", 6)).asked(), "in, overtaken"),
        (says(2, Object::Retraction(retraction("5.9.1.1", 12))), "in"),
        (
            says(2, said("5.9.1.1", 5)),
            "ignored: older than what is known",
        ),
        (
            says(2, Object::Retraction(retraction("5.9.1.1", 3))),
            "ignored: older than what is known",
        ),
        (says(2, said("5.9.1.1", 13)), "in, fresh [0]"),
    ]);
    let newest = |author, subject: &str| {
        admission.newest(node(author), subject.parse().unwrap(), Family::SSH_AUTH)
    };
    assert_eq!(newest(2, "5.9.1.1"), Some(13));
    assert_eq!(newest(2, "5.9.1.2"), Some(8));
    assert_eq!(newest(4, "5.9.1.2"), None);
    let other = admission.newest(node(2), "5.9.1.1".parse().unwrap(), Family::SIP);
    assert_eq!(other, None);
}

#[test]
fn a_batch_is_stale_only_as_a_whole() {
    let batch = |subjects: [&str; 2], seqs: [u64; 2]| {
        Object::Batch(vec![
            report(subjects[0], seqs[0]),
            report(subjects[1], seqs[1]),
        ])
    };
    check(vec![
        (says(2, said("5.9.1.1", 10)), "in, fresh [0]"),
        (
            says(2, batch(["5.9.1.1", "5.9.1.2"], [4, 5])),
            "in, fresh [1]",
        ),
        (
            says(2, batch(["5.9.1.1", "5.9.1.2"], [2, 3])),
            "ignored: older than what is known",
        ),
        (
            says(2, batch(["5.9.1.3", "5.9.1.3"], [20, 21])),
            "in, fresh [1]",
        ),
    ]);
}

#[test]
fn a_revocation_outranks_the_vouch_before_it() {
    let vouch = |seq| Object::Vouch(vouch(node(9), seq));
    check(vec![
        (says(2, vouch(10)), "in"),
        (says(2, Object::Revocation(revocation(node(9), 12))), "in"),
        (says(2, vouch(11)), "ignored: older than what is known"),
        (says(3, vouch(11)), "in"),
        (says(2, Object::Vouch(super::make::vouch(node(8), 1))), "in"),
        (says(2, vouch(13)), "in"),
    ]);
}

#[test]
fn what_expired_is_overtaken_no_more_only_when_all_of_it_has() {
    let lived = |hours: u8, seq| {
        changed(|report| {
            report.ttl_hours = hours;
            report.seq = seq;
        })
    };
    let mut admission = check(vec![
        (says(2, lived(48, 1)), "in, fresh [0]"),
        (says(2, lived(24, 2)), "in, fresh [0]"),
    ]);
    admission.forget_before(NOW + Duration::from_secs(30 * 3600));
    let again = says(2, lived(47, 1)).after(30 * 3600);
    assert_eq!(
        outcome(&take(&mut admission, &again)),
        "in, overtaken, a lie"
    );
}

#[test]
fn the_same_words_in_another_envelope_are_no_lie() {
    let all = reports(3, 1);
    check(vec![
        (says(2, Object::Report(all[0])), "in, fresh [0]"),
        (says(2, Object::Batch(all.clone())), "in, fresh [1, 2]"),
        (says(2, Object::Digest(digest(all.clone()))).asked(), "in"),
        (says_to(2, Object::Report(all[0]), circle()), "in"),
        (says(2, Object::Root(digest(all).root())), "in"),
        (says(3, said("5.9.9.9", 1)), "in, fresh [0]"),
    ]);
}

#[test]
fn two_things_under_one_number_are_a_lie() {
    let one = || says(2, said("5.9.1.1", 7));
    for other in [
        said("5.9.1.2", 7),
        changed(|report| {
            report.seq = 7;
            report.count_log2 = 6;
        }),
        Object::Retraction(retraction("5.9.1.1", 7)),
        Object::Batch(vec![report("5.9.1.2", 6), report("5.9.1.3", 7)]),
    ] {
        let lie = |step: Step| {
            let mut admission = check(vec![(one(), "in, fresh [0]")]);
            take(&mut admission, &step).unwrap().equivocation.is_some()
        };
        assert!(lie(says(2, other.clone())));
        assert!(lie(says_to(2, other.clone(), circle()).asked()));
        assert!(!lie(says(3, other)));
    }
    let late_lie = changed(|report| {
        report.seq = 7;
        report.count_log2 = 6;
    });
    check(vec![
        (one(), "in, fresh [0]"),
        (says(2, said("5.9.1.1", 8)), "in, fresh [0]"),
        (says(2, late_lie), "in, overtaken, a lie"),
    ]);
}

#[test]
fn an_equivocation_names_both() {
    let mut admission = Admission::new(Caps::default());
    let one = key(2).sign(said("5.9.1.1", 7), Audience::Public).unwrap();
    let two = key(2).sign(said("5.9.1.2", 7), circle()).unwrap();
    let friend = Standing::Vouched(1);
    assert_eq!(
        admission.verified(&one, NOW, friend).unwrap().equivocation,
        None
    );
    let lie = admission.verified(&two, NOW, friend).unwrap().equivocation;
    assert_eq!(lie, Some((one.id(), two.id())));
}

#[test]
fn vouches_and_roots_can_be_lies_too() {
    let vouch = |to: u8, weight: u16| {
        let mut vouch = vouch(node(to), 7);
        vouch.weight = VouchWeight(weight);
        Object::Vouch(vouch)
    };
    check(vec![
        (says(2, vouch(9, 10_000)), "in"),
        (says_to(2, vouch(9, 10_000), circle()), "in"),
        (says(2, vouch(9, 5_000)), "in, a lie"),
        (says(2, vouch(8, 10_000)), "in, a lie"),
        (
            says(2, Object::Revocation(revocation(node(8), 7))),
            "in, a lie",
        ),
        // Reports are counted apart.
        (says(2, said("5.9.1.1", 7)), "in, fresh [0]"),
    ]);
    let root = |count| Object::Root(digest(reports(count, 1)).root());
    check(vec![
        (says(2, root(1)), "in"),
        (says_to(2, root(2), circle()), "in"),
        (says(3, root(2)), "in"),
        (says(2, root(2)), "in, a lie"),
    ]);
    check(vec![
        (says(2, root(1)), "in"),
        (
            says(2, Object::Digest(digest(reports(2, 1)))).asked(),
            "in, fresh [0, 1], a lie",
        ),
    ]);
}

#[test]
fn standing_decides_who_is_heard() {
    let object = || said("5.9.1.1", 1);
    check(vec![
        (
            says(2, object()).by(Standing::Muted),
            "ignored: its author is muted",
        ),
        (
            says(2, object()).by(Standing::Muted).asked(),
            "ignored: its author is muted",
        ),
        (
            says(2, object()).by(Standing::Own),
            "ignored: signed with this node's own key, but not known here",
        ),
        (
            says(2, object()).by(Standing::Own).asked(),
            "ignored: signed with this node's own key, but not known here",
        ),
        (says(2, object()).by(Standing::Stranger), "in, fresh [0]"),
        (says(2, object()).by(Standing::Own), "ignored: seen before"),
    ]);
    let mut admission = Admission::new(Caps::default());
    let own = key(2).sign(object(), Audience::Public).unwrap();
    assert!(admission.verified(&own, NOW, Standing::Own).is_ok());
    assert_eq!(
        outcome(&take(&mut admission, &says(2, object()).by(Standing::Own))),
        "ignored: seen before"
    );
}

#[test]
fn what_is_restored_is_known_and_costs_nothing() {
    let mut admission = Admission::new(Caps::default());
    let friend = Standing::Vouched(1);
    for seq in 1..=20 {
        let object = said(&format!("5.9.1.{seq}"), seq);
        let kept = key(2).sign(object.clone(), Audience::Public).unwrap();
        let restored = admission.restored(&kept, NOW, friend);
        assert_eq!(restored.fresh_reports, [0]);
        let again = outcome(&take(&mut admission, &says(2, object).by(friend)));
        assert_eq!(again, "ignored: seen before");
    }
    let own = key(3).sign(said("5.9.1.1", 1), Audience::Public).unwrap();
    admission.restored(&own, NOW, Standing::Own);
    check_with(
        admission,
        vec![
            (says(2, said("5.9.1.99", 99)).by(friend), "in, fresh [0]"),
            (
                says(3, said("5.9.1.1", 1)).by(Standing::Own),
                "ignored: seen before",
            ),
        ],
    );
}

#[test]
fn two_copies_in_flight_are_let_in_once() {
    let mut admission = Admission::new(Caps::default());
    let step = says(2, said("5.9.1.1", 1));
    let mut first = |from| {
        let from = TransportId::from_bytes([from; 32]);
        admission.first(from, Path::Gossip, step.audience, &step.bytes, NOW, |_| {
            Standing::Stranger
        })
    };
    let (one, two) = (
        first(1).unwrap().verify().unwrap(),
        first(2).unwrap().verify().unwrap(),
    );
    assert!(admission.verified(&one, NOW, Standing::Stranger).is_ok());
    let second = admission.verified(&two, NOW, Standing::Stranger);
    assert_eq!(outcome(&second), "ignored: seen before");
}

#[test]
fn a_forged_copy_neither_hides_the_true_one_nor_costs_its_author() {
    let mut admission = Admission::new(Caps {
        whole_per_sec: 1,
        ..Caps::default()
    });
    let good = says(2, said("5.9.1.1", 1)).by(Standing::Vouched(1));
    for _ in 0..100 {
        let mut forged = good.bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        let forged = raw(forged, Audience::Public)
            .by(Standing::Vouched(1))
            .from(9);
        assert_eq!(
            outcome(&take(&mut admission, &forged)),
            "rejected: the signature is wrong"
        );
    }
    assert_eq!(outcome(&take(&mut admission, &good)), "in, fresh [0]");
}

/// How many of `count` reports of `author` are let in by gossip, each from a peer of its own.
fn let_in(admission: &mut Admission, author: u8, standing: Standing, count: u64, at: i64) -> usize {
    let let_in = |seq: &u64| {
        let subject = format!("5.{author}.{}.{}", seq / 250, seq % 250 + 1);
        let step = says(author, said(&subject, seq + 1)).by(standing).after(at);
        take(admission, &step.from((seq % 256) as u8)).is_ok()
    };
    (0..count).filter(let_in).count()
}

#[test]
fn a_peer_hands_over_so_much_and_no_more() {
    let mut admission = Admission::new(Caps::default());
    let rubbish = || raw(vec![1], Audience::Public);
    for _ in 0..limits::PEER_BURST {
        assert_eq!(
            outcome(&take(&mut admission, &rubbish())),
            "rejected: malformed: cut short"
        );
    }
    let steps = vec![
        (rubbish(), "ignored: its peer sends too fast"),
        (
            says(2, said("5.9.1.1", 1)),
            "ignored: its peer sends too fast",
        ),
        (says(2, said("5.9.1.1", 1)).from(2), "in, fresh [0]"),
        (says(2, said("5.9.1.2", 2)).asked(), "in, fresh [0]"),
        (says(2, said("5.9.1.3", 3)).after(1), "in, fresh [0]"),
    ];
    check_with(admission, steps);
}

#[test]
fn room_flows_along_trust() {
    let caps = Caps {
        whole_per_sec: 32,
        ..Caps::default()
    };
    let of = |standing| let_in(&mut Admission::new(caps), 2, standing, 2_100, 0);
    assert_eq!(of(Standing::Sibling), 32 * 60);
    assert_eq!(of(Standing::Vouched(10_000)), 60);
    assert_eq!(of(Standing::Vouched(5_000)), 30);
    assert_eq!(of(Standing::Vouched(1)), 4);
    assert_eq!(of(Standing::Stranger), 192);
    assert_eq!(of(Standing::Vouched(0)), 192);
}

#[test]
fn strangers_share_a_tenth_however_many_they_are() {
    let caps = Caps {
        whole_per_sec: 10,
        ..Caps::default()
    };
    let mut admission = Admission::new(caps);
    let all: usize = (10..40)
        .map(|author| let_in(&mut admission, author, Standing::Stranger, 10, 0))
        .sum();
    assert_eq!(all, 60);
    assert_eq!(
        let_in(&mut admission, 2, Standing::Vouched(10_000), 5, 0),
        5,
        "the trusted are not their affair"
    );
    // One more a second.
    assert_eq!(let_in(&mut admission, 50, Standing::Stranger, 10, 5), 5);
}

#[test]
fn a_batch_costs_what_its_reports_cost() {
    let caps = Caps {
        whole_per_sec: 32,
        ..Caps::default()
    };
    let batch = |author: u8, seq| Object::Batch(reports(64, u64::from(author) * 1_000 + seq));
    let weak = Standing::Vouched(10_000);
    let fresh: Vec<usize> = (0..64).collect();
    let fresh = format!("in, fresh {fresh:?}");
    check_with(
        Admission::new(caps),
        vec![
            (says(2, batch(2, 0)).by(weak), fresh.as_str()),
            (
                says(2, batch(2, 100)).by(weak),
                "ignored: its author sends too fast",
            ),
            (
                says(2, batch(2, 100)).by(weak).after(4),
                "ignored: its author sends too fast",
            ),
            (says(2, batch(2, 100)).by(weak).after(5), fresh.as_str()),
            (
                says(2, batch(2, 200)).by(weak).after(5).asked(),
                fresh.as_str(),
            ),
        ],
    );
}

#[test]
fn who_finds_no_room_in_the_table_of_authors_pays_as_strangers_do() {
    let caps = Caps {
        authors_max: 2,
        whole_per_sec: 10,
        ..Caps::default()
    };
    let mut admission = Admission::new(caps);
    let friend = Standing::Vouched(10_000);
    assert_eq!(let_in(&mut admission, 2, friend, 100, 0), 18);
    assert_eq!(let_in(&mut admission, 3, friend, 100, 0), 18);
    assert_eq!(
        let_in(&mut admission, 4, friend, 100, 0),
        60,
        "the strangers' part"
    );
    assert_eq!(let_in(&mut admission, 5, friend, 100, 0), 0);
    assert_eq!(
        let_in(&mut admission, 6, Standing::Sibling, 100, 0),
        100,
        "displaces a friend"
    );
    admission.forget_before(NOW + Duration::from_secs(3600));
    assert_eq!(
        let_in(&mut admission, 7, friend, 100, 3600),
        18,
        "full buckets are forgotten"
    );
}

#[test]
fn the_table_of_peers_is_bounded() {
    let caps = Caps {
        peers_max: 2,
        ..Caps::default()
    };
    let mut admission = Admission::new(caps);
    let mut drain = |from: u8| {
        let rubbish = raw(vec![], Audience::Public).from(from);
        (0..1_000)
            .filter(|_| outcome(&take(&mut admission, &rubbish)).starts_with("rej"))
            .count()
    };
    assert_eq!(drain(1), 200);
    assert_eq!(drain(2), 200);
    assert_eq!(drain(3), 200, "somebody is forgotten for them");
}

fn id_of(author: u8, object: Object) -> ObjectId {
    key(author).sign(object, Audience::Public).unwrap().id()
}

#[test]
fn of_what_was_seen_strangers_words_are_forgotten_first_and_in_them_what_expires_first() {
    let caps = Caps {
        seen_max: 4,
        newest_max: 4,
        numbers_max: 4,
        ..Caps::default()
    };
    let lived = |hours: u8, last: u8| {
        changed(|report| {
            report.subject = format!("5.9.1.{last}").parse().unwrap();
            report.ttl_hours = hours;
            report.seq = u64::from(last);
        })
    };
    let admission = check_with(
        Admission::new(caps),
        vec![
            (says(2, lived(1, 1)).by(Standing::Sibling), "in, fresh [0]"),
            (says(2, lived(9, 2)).by(Standing::Stranger), "in, fresh [0]"),
            (says(2, lived(8, 3)).by(Standing::Stranger), "in, fresh [0]"),
            (
                says(2, lived(2, 4)).by(Standing::Vouched(5_000)),
                "in, fresh [0]",
            ),
            (
                says(2, lived(2, 5)).by(Standing::Vouched(6_000)),
                "in, fresh [0]",
            ),
            (says(2, lived(7, 6)).by(Standing::Stranger), "in, fresh [0]"),
            (
                says(2, lived(1, 7)).by(Standing::Vouched(9_000)),
                "in, fresh [0]",
            ),
            (
                says(2, lived(1, 8)).by(Standing::Vouched(10_000)),
                "in, fresh [0]",
            ),
        ],
    );
    let all = [
        (1, 1),
        (9, 2),
        (8, 3),
        (2, 4),
        (2, 5),
        (7, 6),
        (1, 7),
        (1, 8),
    ];
    let seen: Vec<u8> = all
        .into_iter()
        .filter(|(hours, last)| admission.has_seen(&id_of(2, lived(*hours, *last))))
        .map(|(_, last)| last)
        .collect();
    assert_eq!((seen, admission.seen_len()), (vec![1, 5, 7, 8], 4));
}

#[test]
fn everything_stays_bounded_and_is_forgotten_in_time() {
    let caps = Caps {
        seen_max: 50,
        newest_max: 40,
        numbers_max: 30,
        authors_max: 3,
        peers_max: 3,
        asked_max: 3,
        whole_per_sec: u32::MAX,
    };
    let mut admission = Admission::new(caps);
    for author in 10..20 {
        let standing = if author % 2 == 0 {
            Standing::Stranger
        } else {
            Standing::Vouched(9_000)
        };
        assert_eq!(let_in(&mut admission, author, standing, 100, 0), 100);
    }
    assert_eq!(admission.sizes(), [50, 40, 30, 3, 3, 0]);
    let deadline = admission.next_deadline().unwrap();
    assert_eq!(deadline, NOW + Duration::from_secs(24 * 3600));
    admission.forget_before(deadline - Duration::from_millis(1));
    assert_eq!(admission.sizes()[..3], [50, 40, 30]);
    admission.forget_before(deadline);
    assert_eq!(admission.sizes(), [0; 6]);
    assert_eq!(admission.next_deadline(), None);
}

#[test]
fn what_was_asked_for_and_never_came_good_is_forgotten() {
    let caps = Caps {
        asked_max: 3,
        ..Caps::default()
    };
    let mut admission = Admission::new(caps);
    let mut ask = |seq| {
        let step = says(2, said("5.9.1.1", seq)).asked();
        let from = TransportId::from_bytes([1; 32]);
        let first = admission.first(from, step.path, step.audience, &step.bytes, NOW, |_| {
            Standing::Stranger
        });
        assert!(first.is_ok());
    };
    (1..10).for_each(&mut ask);
    assert_eq!(admission.sizes(), [0, 0, 0, 0, 0, 3]);
    admission.forget_before(NOW + Duration::from_secs(60));
    assert_eq!(admission.sizes(), [0; 6]);
}

#[test]
fn any_bytes_are_refused_or_let_in() {
    let keypair: Keypair = key(2);
    let good = keypair.sign(said("5.9.1.1", 1), Audience::Public).unwrap();
    let mut admission = Admission::new(Caps::default());
    for at in 0..good.bytes().len() {
        for byte in [0, 1, 127, 255] {
            let mut bytes = good.bytes().to_vec();
            bytes[at] = byte;
            let is_same = bytes == **good.bytes();
            let result = take(
                &mut admission,
                &raw(bytes, Audience::Public)
                    .from((at % 200) as u8)
                    .by(Standing::Sibling),
            );
            assert!(is_same || result.is_err(), "byte {at} as {byte}");
        }
    }
    assert!(Signed::parse(good.bytes(), Audience::Public).is_ok());
}

/// What admission should say, told as simply as can be: everything is remembered, for ever.
#[derive(Default)]
struct Model {
    seen: BTreeSet<ObjectId>,
    spoken: BTreeMap<(u8, u64), Object>,
    newest: BTreeMap<(u8, Subject), u64>,
}

impl Model {
    fn take(&mut self, author: u8, object: &Object, path: Path) -> String {
        let (subject, seq, is_report) = match object {
            Object::Report(report) => (report.subject, report.seq, true),
            Object::Retraction(retraction) => (retraction.subject, retraction.seq, false),
            Object::Batch(_)
            | Object::Vouch(_)
            | Object::Revocation(_)
            | Object::Kill(_)
            | Object::Digest(_)
            | Object::Root(_)
            | Object::Contact(_)
            | Object::Word(_) => panic!("{object:?} is not in the model"),
        };
        if self.seen.contains(&id_of(author, object.clone())) {
            return "ignored: seen before".to_owned();
        }
        let spoken = self.spoken.get(&(author, seq));
        let is_lie = spoken.is_some_and(|spoken| spoken != object);
        let newest = self.newest.get(&(author, subject)).copied();
        let is_overtaken = newest.is_some_and(|newest| seq < newest);
        if is_overtaken && !is_lie && path == Path::Gossip {
            return "ignored: older than what is known".to_owned();
        }
        self.seen.insert(id_of(author, object.clone()));
        self.spoken
            .entry((author, seq))
            .or_insert_with(|| object.clone());
        let newest = self.newest.entry((author, subject)).or_insert(0);
        let is_fresh = is_report && seq > *newest;
        *newest = seq.max(*newest);
        let words = [
            ("in", true),
            (", fresh [0]", is_fresh),
            (", overtaken", is_overtaken),
            (", a lie", is_lie),
        ];
        let words = words.into_iter().filter(|(_, is_so)| *is_so);
        words.map(|(word, _)| word).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_order_of_words_is_judged_as_the_model_does(
        all in prop::collection::vec((2..4u8, 1..3u8, 1..8u64, 0..3u8, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut admission = Admission::new(Caps::default());
        let mut model = Model::default();
        for (author, last, seq, count_log2, is_report, is_asked) in all {
            let subject = format!("5.9.1.{last}");
            let object = match is_report {
                true => Object::Report(Report { count_log2, ..report(&subject, seq) }),
                false => Object::Retraction(retraction(&subject, seq)),
            };
            let path = if is_asked { Path::Asked } else { Path::Gossip };
            let expected = model.take(author, &object, path);
            let step = Step { path, ..says(author, object) };
            prop_assert_eq!(outcome(&take(&mut admission, &step)), expected);
        }
        for ((author, subject), newest) in model.newest {
            prop_assert_eq!(admission.newest(node(author), subject, Family::SSH_AUTH), Some(newest));
        }
    }

    /// What strangers say, whatever it is, costs nobody else anything.
    #[test]
    fn no_flood_of_strangers_displaces_what_the_trusted_said(
        flood in prop::collection::vec((20..60u8, 1..3_000u64), 1..200),
    ) {
        let caps = Caps { seen_max: 20, newest_max: 20, numbers_max: 20, ..Caps::default() };
        let mut admission = Admission::new(caps);
        let trusted: Vec<Object> = (1..=10).map(|seq| said(&format!("5.9.1.{seq}"), seq)).collect();
        for object in &trusted {
            let step = says(2, object.clone()).by(Standing::Vouched(1)).asked();
            prop_assert!(take(&mut admission, &step).is_ok());
        }
        for (author, seq) in flood {
            let object = said(&format!("5.{author}.{}.{}", seq / 250, seq % 250 + 1), seq);
            let step = says(author, object).by(Standing::Stranger).asked();
            let _ = take(&mut admission, &step);
        }
        prop_assert!(admission.sizes()[..3].iter().all(|size| *size <= 20));
        for object in trusted {
            prop_assert!(admission.has_seen(&id_of(2, object.clone())));
            let report = object.reports()[0];
            prop_assert_eq!(admission.newest(node(2), report.subject, report.family), Some(report.seq));
        }
    }
}
