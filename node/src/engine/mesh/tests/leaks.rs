//! What never leaves: every byte that a node publishes, asks or replies is opened and looked through.

use super::*;

/// A text anywhere in bytes, whatever case it is in.
fn holds(bytes: &[u8], text: &str) -> bool {
    let bytes = bytes.to_ascii_lowercase();
    let text = text.to_ascii_lowercase();
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// All that left, with what was sealed opened, and envelopes inside questions and answers as they are.
fn opened(table: &Table) -> Vec<(&Left, Vec<u8>)> {
    let secrets: Vec<_> = (0..table.machines.len())
        .filter_map(|n| Some(table.mesh(n).fleet.as_ref()?.secret.clone()))
        .collect();
    let open = |left: &Left| {
        let opened = secrets.iter().find_map(|secret| secret.open(&left.bytes));
        opened.unwrap_or_else(|| left.bytes.clone())
    };
    table.wire.iter().map(|left| (left, open(left))).collect()
}

#[test]
fn no_target_user_name_log_text_scenario_or_host_name_leaves() {
    const HOST: &str = "secret-host.example.net";
    const TARGET: &str = "45.77.77.77";
    let mut table = Table::new(5);
    for n in 0..5 {
        let machine = &mut table.machines[n];
        let mesh = machine.engine.as_mut().unwrap().mesh.as_mut().unwrap();
        HOST.clone_into(&mut mesh.host);
    }
    table.pair(0, 1, Relation::Fleet);
    table.pair(0, 2, Relation::Friend);
    table.pair(0, 3, Relation::Circle);
    for n in 0..5 {
        table.share(n, Consent::BOTH);
        for other in 0..n {
            table.connect(n, other);
        }
    }
    table.run(MINUTE);
    // A detection as full of secrets as one can be.
    let mut overflow = overflow("secret/scenario", EVIL, 4711);
    overflow.description = "hunting for zaphod".into();
    let labels = [
        ("behavior", "ssh:bruteforce"),
        ("spoofable", "0"),
        ("label", "secret label"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    overflow.labels = Arc::new(labels.into());
    for poured in &mut overflow.events {
        for (key, value) in [
            ("target_user", "zaphod"),
            ("target_fqdn", HOST),
            ("target_ip", TARGET),
            ("http_path", "/secret-path"),
        ] {
            poured.meta.insert(key.to_owned(), value.to_owned());
        }
    }
    (overflow.first_seen, overflow.last_seen) = (table.now, table.now);
    let now = table.now;
    let mut actions = Vec::new();
    let engine = table.machines[0].engine.as_mut().unwrap();
    engine.take(vec![overflow], now, &mut actions);
    table.act(0, &actions);
    table.run(MINUTE * 20);
    table.unban(0, EVIL, true);
    table.run(HOUR * 2);
    for n in 0..5 {
        let from = table.machines[n].transport;
        let author = table.id(0);
        let ask = Ask::Digest {
            audience: Audience::Public,
            author,
            after: lymph_protocol::digest::Epoch(0),
        };
        if n > 0 {
            table.question(0, from, &ask);
        }
    }
    for n in [1, 2, 3, 4] {
        let heard = table.mesh(n).shelf().by(table.id(0)).count();
        assert!(heard > 0, "{n} has heard of it");
    }
    let target: std::net::Ipv4Addr = TARGET.parse().unwrap();
    let (mut bytes_total, mut to_siblings) = (0, 0);
    for (left, plain) in opened(&table) {
        bytes_total += plain.len();
        for text in [
            "zaphod",
            "secret-path",
            "secret/scenario",
            "scenario",
            "secret label",
            "hunting",
            TARGET,
            "test",
        ] {
            assert!(
                !holds(&plain, text),
                "{text} in what {} {:?}",
                left.from,
                left.how
            );
        }
        for order in [target.octets(), u32::from(target).to_le_bytes()] {
            assert!(!plain.windows(4).any(|window| window == order), "{left:?}");
        }
        let is_between_siblings =
            left.topic.contains("fleet") || matches!((left.from, left.to), (0 | 1, Some(0 | 1)));
        match is_between_siblings {
            true => to_siblings += usize::from(holds(&plain, HOST)),
            false => assert!(!holds(&plain, HOST), "its name in {left:?}"),
        }
    }
    assert!(
        bytes_total > 5_000 && to_siblings > 0,
        "{bytes_total} {to_siblings}"
    );
}

#[test]
fn where_a_machine_is_is_told_to_those_it_was_paired_with_only() {
    let mut table = Table::new(5);
    table.pair(0, 1, Relation::Fleet);
    table.pair(0, 2, Relation::Friend);
    table.pair(0, 3, Relation::Circle);
    for n in 0..5 {
        table.share(n, Consent::BOTH);
        for other in 0..n {
            table.connect(n, other);
        }
    }
    table.detect(0, EVIL);
    table.run(HOUR * 2);
    let addresses: Vec<_> = table
        .machines
        .iter()
        .map(|machine| machine.address.clone())
        .collect();
    let mut told = 0;
    for left in &table.wire {
        for (n, address) in addresses.iter().enumerate() {
            if !holds(&left.bytes, address) {
                continue;
            }
            told += 1;
            let to = left.to.expect("never published in the clear");
            let is_paired = |a: usize, b: usize| {
                let other = table.id(b);
                table.mesh(a).known().any(|(node, _)| node == other)
            };
            assert!(
                is_paired(n, to) || n == to,
                "{} told {to} where {n} is: {:?}",
                left.from,
                left.how
            );
        }
    }
    assert!(told > 0);
    // A stranger may ask for everything there is.
    let stranger = table.machines[4].transport;
    for ask in [
        Ask::Vouches {
            audience: Audience::Public,
            cursor: 0,
        },
        Ask::Vouches {
            audience: table.mesh(0).fleet().unwrap(),
            cursor: 0,
        },
        Ask::Hello {
            audience: Audience::Public,
            contact: Vec::new(),
        },
    ] {
        let answer = table.question(0, stranger, &ask).encode().unwrap();
        assert!(addresses.iter().all(|address| !holds(&answer, address)));
    }
}

#[test]
fn what_is_for_the_fleet_is_published_sealed_and_for_nobody_else() {
    let mut table = Table::new(3);
    table.pair(0, 1, Relation::Fleet);
    table.pair(0, 2, Relation::Friend);
    let before = table.wire.len();
    table.detect(0, EVIL);
    table.unban(1, EVIL, true);
    table.ask_mesh(0, MeshRequest::Enforce(false));
    table.run(MINUTE * 12);
    let evil: std::net::Ipv4Addr = EVIL.parse().unwrap();
    for left in &table.wire[before..] {
        let has = left.bytes.windows(4).any(|window| window == evil.octets());
        assert!(
            !(has && left.how == How::Published),
            "in the clear: {left:?}"
        );
        assert!(!(has && left.to == Some(2)), "told a friend: {left:?}");
    }
    let fleet = table.mesh(0).fleet().unwrap();
    assert!(table.published(0, fleet).len() >= 2);
    let friend = table.machines[2].transport;
    let salt = [3; 16];
    for ask in [
        Ask::Vouches {
            audience: fleet,
            cursor: 0,
        },
        Ask::Reconcile {
            audience: fleet,
            since: Slot(0),
            frame: salt.to_vec(),
        },
        Ask::Fetch {
            audience: fleet,
            ids: Vec::new(),
            salt,
            since: Slot(0),
        },
        Ask::Rekey {
            secret: [1; 32],
            epoch: u64::MAX,
            expelled: Vec::new(),
        },
        Ask::Push {
            audience: fleet,
            objects: Vec::new(),
        },
    ] {
        let answer = table.question(0, friend, &ask);
        assert!(matches!(answer, Answer::Refused(_)), "{ask:?}: {answer:?}");
    }
    assert_eq!(table.mesh(0).fleet(), Some(fleet));
}
