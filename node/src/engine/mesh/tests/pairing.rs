//! Two machines come together, and everything that a ticket can be wrong about.

use lymph_protocol::ask::Refusal as No;
use lymph_protocol::contact::Contact;

use super::*;

/// What one knows of the other.
fn known(table: &Table, n: usize, other: usize) -> Option<Known> {
    let other = table.id(other);
    let mut known = table.mesh(n).known();
    known
        .find(|(node, _)| *node == other)
        .map(|(_, known)| known.clone())
}

fn failed(progress: Result<Progress, String>) -> String {
    match progress {
        Ok(Progress::Failed(why)) | Err(why) => why,
        other => panic!("not failed but {other:?}"),
    }
}

#[test]
fn both_know_each_other_and_both_vouch() {
    for (offer, joiner_is, issuer_is) in [
        (Relation::Friend, Degree::Friend, Degree::Friend),
        (Relation::Fleet, Degree::Sibling, Degree::Sibling),
        (Relation::Circle, Degree::Member, Degree::Friend),
    ] {
        let mut table = Table::new(2);
        table.pair(0, 1, offer);
        for (n, other, degree) in [(0, 1, joiner_is), (1, 0, issuer_is)] {
            let known = known(&table, n, other).expect("they know each other");
            assert_eq!(known.degree, degree, "{offer:?}: {n}");
            let in_weeks = Minute::of(table.now + HOUR * 24 * 80);
            assert!(
                known.vouches_until.is_some_and(|until| until > in_weeks),
                "{offer:?}: {n} has no vouch: {known:?}"
            );
            assert_eq!(known.transport, Some(table.machines[other].transport));
            let address = format!("/ip4/{}/tcp/4747", table.machines[other].address);
            assert_eq!(known.addresses, [address], "{offer:?}: {n}");
        }
        let words = |n: usize| {
            let done = table.mesh(n).pairing().done().last().cloned();
            done.expect("it is done").words
        };
        assert_eq!(words(0), words(1), "{offer:?}");
        assert_eq!(
            table.mesh(0).fleet().is_some(),
            offer == Relation::Fleet,
            "{offer:?}"
        );
        assert_eq!(table.mesh(0).fleet(), table.mesh(1).fleet());
        assert!(table.mesh(0).circles().eq(table.mesh(1).circles()) || offer == Relation::Circle);
        assert_eq!(
            table
                .mesh(0)
                .circles()
                .map(|(id, _)| id)
                .collect::<Vec<_>>(),
            table
                .mesh(1)
                .circles()
                .map(|(id, _)| id)
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_restart_on_both_sides_forgets_nothing() {
    for offer in [Relation::Friend, Relation::Fleet, Relation::Circle] {
        let mut table = Table::new(2);
        table.pair(0, 1, offer);
        let before = [known(&table, 0, 1), known(&table, 1, 0)];
        table.restart(0);
        table.restart(1);
        table.run(SECOND * 5);
        for (n, before) in before.into_iter().enumerate() {
            let (before, now) = (before.unwrap(), known(&table, n, 1 - n).unwrap());
            assert_eq!((now.degree, now.weight), (before.degree, before.weight));
            assert_eq!(now.addresses, before.addresses);
            assert!(now.vouches_until >= before.vouches_until, "{offer:?}");
            assert!(table.mesh(n).is_connected(table.machines[1 - n].transport));
        }
        assert!(table.mesh(0).silenced().is_none() && table.mesh(1).silenced().is_none());
    }
}

#[test]
fn a_ticket_is_good_for_so_many() {
    for (uses, expected) in [(1, [true, false, false]), (2, [true, true, false])] {
        let mut table = Table::new(4);
        let (text, _) = table.invite(0, Relation::Friend, uses, MINUTE * 10);
        for (joiner, expected) in (1..).zip(expected) {
            let progress = table.join(joiner, &text);
            match expected {
                true => assert!(matches!(progress, Ok(Progress::Done(_))), "{progress:?}"),
                false => assert!(failed(progress).contains("used already")),
            }
            assert_eq!(known(&table, 0, joiner).is_some(), expected);
            assert_eq!(known(&table, joiner, 0).is_some(), expected);
        }
    }
}

#[test]
fn a_ticket_that_is_wrong_says_how() {
    let mut table = Table::new(3);
    let (text, _) = table.invite(0, Relation::Friend, 9, MINUTE * 10);
    let mut mangled = text.clone();
    mangled.replace_range(30..31, if &text[30..31] == "a" { "b" } else { "a" });
    for (n, text, expected) in [
        (0, text.as_str(), "made on this machine"),
        (1, mangled.as_str(), "mangled"),
        (1, &text[..text.len() - 9], "mangled"),
        (1, "hello", "begins with lymph1"),
        (1, "", "begins with lymph1"),
    ] {
        let why = failed(table.join(n, text));
        assert!(why.contains(expected), "{why}");
    }
    table.run(MINUTE * 12);
    let why = failed(table.join(1, &text));
    assert!(why.contains("has expired"), "{why}");
    assert_eq!(table.mesh(0).known().count(), 0);
}

#[test]
fn an_expired_ticket_is_refused_by_its_issuer_too() {
    let mut table = Table::new(2);
    let (_, token) = table.invite(0, Relation::Friend, 1, MINUTE);
    table.run(MINUTE * 4);
    let answer = ask_to_join(&mut table, 0, 1, 1, token);
    assert_eq!(answer, Answer::Refused(No::Expired));
    let answer = ask_to_join(&mut table, 0, 1, 1, Token([9; 16]));
    assert_eq!(answer, Answer::Refused(No::UnknownTicket));
}

/// `from`'s transport asks with a contact of `author` that names `transport_of`.
fn ask_to_join(table: &mut Table, to: usize, from: usize, author: usize, token: Token) -> Answer {
    let contact = Contact {
        transport: table.machines[author].transport,
        issued: Minute::of(table.now),
        expires: Minute::of(table.now + HOUR),
        seq: table.now.millis(),
        addresses: Vec::new(),
        name: String::new(),
    };
    let contact = sign(
        &table.keypair(author),
        Object::Contact(contact),
        Audience::Public,
    );
    let ask = Ask::Join {
        token,
        contact: contact.bytes().to_vec(),
    };
    let from = table.machines[from].transport;
    table.question(to, from, &ask)
}

#[test]
fn a_token_is_no_use_with_somebody_elses_contact() {
    let mut table = Table::new(3);
    let (_, token) = table.invite(0, Relation::Fleet, 1, MINUTE * 10);
    assert_eq!(
        ask_to_join(&mut table, 0, 1, 2, token),
        Answer::Refused(No::BadContact)
    );
    assert_eq!(
        ask_to_join(&mut table, 0, 1, 0, token),
        Answer::Refused(No::OwnTicket)
    );
    assert_eq!(table.mesh(0).known().count(), 0);
    // The ticket is still good.
    assert!(matches!(
        ask_to_join(&mut table, 0, 1, 1, token),
        Answer::Joined(_)
    ));
}

#[test]
fn a_fleet_is_not_left_by_joining_another() {
    let mut table = Table::new(3);
    table.pair(0, 1, Relation::Fleet);
    let (text, _) = table.invite(2, Relation::Fleet, 1, MINUTE * 10);
    let why = failed(table.join(1, &text));
    assert!(why.contains("in a fleet already"), "{why}");
    assert_eq!(table.mesh(0).fleet(), table.mesh(1).fleet());
}

#[test]
fn an_issuer_who_is_away_is_asked_again_and_then_named() {
    let mut table = Table::new(2);
    let (text, token) = table.invite(0, Relation::Friend, 1, MINUTE * 10);
    table.part(&[0], &[1]);
    assert_eq!(table.join(1, &text), Ok(Progress::Asking));
    table.run(SECOND * 20);
    assert_eq!(table.mesh(1).pairing().progress(token), Progress::Asking);
    table.cut.clear();
    table.run(SECOND * 10);
    assert!(matches!(
        table.mesh(1).pairing().progress(token),
        Progress::Done(_)
    ));

    let mut table = Table::new(2);
    let (text, token) = table.invite(0, Relation::Friend, 1, MINUTE * 10);
    table.part(&[0], &[1]);
    assert_eq!(table.join(1, &text), Ok(Progress::Asking));
    table.run(SECOND * 90);
    let why = failed(Ok(table.mesh(1).pairing().progress(token)));
    assert!(why.contains("/ip4/45.9.0.1/tcp/4747"), "{why}");
}

#[test]
fn a_joiner_who_did_not_hear_the_answer_asks_again_and_is_in() {
    let mut table = Table::new(2);
    let (text, token) = table.invite(0, Relation::Friend, 1, MINUTE * 10);
    let answer = table.ask_mesh(1, MeshRequest::Join(text));
    assert!(matches!(answer, MeshAnswer::Joining(..)));
    while known(&table, 0, 1).is_none() {
        table.run(Duration::from_millis(1));
    }
    // The issuer has let it in; the answer gets lost.
    table
        .queue
        .retain(|_, (to, event)| !matches!((to, event), (1, Event::Mesh(Input::Answered { .. }))));
    let number = *table.mesh(1).asking.keys().next().unwrap();
    let answer = Err("connection lost".to_owned());
    table.later(SECOND, 1, Event::Mesh(Input::Answered { number, answer }));
    table.run(SECOND * 10);
    let progress = table.mesh(1).pairing().progress(token);
    assert!(matches!(progress, Progress::Done(_)), "{progress:?}");
}

#[test]
fn who_has_no_room_says_so_and_the_ticket_stays_good() {
    let mut table = Table::new(0);
    let small = MeshLimits {
        known_max: 1,
        ..MeshLimits::default()
    };
    table.add(small);
    for _ in 0..2 {
        table.add(MeshLimits::default());
    }
    let (text, _) = table.invite(0, Relation::Friend, 2, MINUTE * 10);
    assert!(matches!(table.join(1, &text), Ok(Progress::Done(_))));
    let why = failed(table.join(2, &text));
    assert!(why.contains("no room"), "{why}");
    assert_eq!(table.mesh(0).pairing().open().count(), 1);
}

#[test]
fn an_invitation_survives_a_restart_and_its_uses_are_counted_on() {
    let mut table = Table::new(4);
    let (text, _) = table.invite(0, Relation::Friend, 2, MINUTE * 10);
    assert!(matches!(table.join(1, &text), Ok(Progress::Done(_))));
    // Once from the disk, once from everything that there is to keep.
    let records: Vec<_> = table.engine(0).records().collect();
    for record in records {
        if let Record::Mesh(Kept::Invitation(..)) = &record {
            assert_eq!(table.machines[0].disk.get(&record.key()), Some(&record));
        }
    }
    table.restart(0);
    assert!(matches!(table.join(2, &text), Ok(Progress::Done(_))));
    table.restart(0);
    let why = failed(table.join(3, &text));
    assert!(
        why.contains("used") || why.contains("does not know"),
        "{why}"
    );
}

#[test]
fn one_who_was_told_nothing_cannot_finish_a_join() {
    // Answers that do not fit the question.
    for answer in [
        Answer::Taken,
        Answer::Objects {
            objects: Vec::new(),
            cursor: 0,
        },
    ] {
        let mut table = Table::new(2);
        let (text, token) = table.invite(0, Relation::Friend, 1, MINUTE * 10);
        table.ask_mesh(1, MeshRequest::Join(text));
        let number = *table.mesh(1).asking.keys().next().unwrap();
        let answer = Ok(answer.encode().unwrap());
        table.handle(1, EngineInput::Mesh(Input::Answered { number, answer }));
        assert!(matches!(
            table.mesh(1).pairing().progress(token),
            Progress::Failed(_)
        ));
    }
}

#[test]
fn what_we_say_goes_directly_to_siblings_and_to_whom_we_vouch_for_each_other() {
    let mut table = Table::new(4);
    table.pair(0, 1, Relation::Friend);
    table.pair(0, 2, Relation::Fleet);
    table.pair(0, 3, Relation::Friend);
    let is_mutual = |table: &Table| {
        [1, 2, 3].map(|n| {
            let transport = table.machines[n].transport;
            table.machines[0].mutual.contains(&transport)
        })
    };
    assert_eq!(is_mutual(&table), [true; 3]);
    // One of them trusts us no longer.
    let me = table.id(0);
    table.ask_mesh(1, MeshRequest::Revoke(me));
    table.run(SECOND * 2);
    assert_eq!(is_mutual(&table), [false, true, true]);
    assert!(
        table.machines[0]
            .friends
            .contains(&table.machines[1].transport)
    );
    // Another one is away until its vouch has lapsed.
    table.kill(3);
    table.now = table.now + HOUR * 24 * 91;
    table.handle(0, EngineInput::Tick);
    assert_eq!(is_mutual(&table), [false, true, false]);
}
