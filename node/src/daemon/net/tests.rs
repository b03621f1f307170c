//! Real nodes on loopback, or in memory where that is said: what one says, another hears.
//!
//! Helpers are below the tests.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use super::swarm::{ASKED_BY_ONE_MAX, ASKED_MAX};
use super::*;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long nothing has to be heard to count as silence.
const SILENCE: Duration = Duration::from_secs(2);
const TOPIC: &str = "lymph/1/test/report";
/// Tells a test that it runs in a network of its own.
const INSIDE: &str = "LYMPH_NET_INSIDE";

// --- messages

#[tokio::test]
async fn two_friends_pair_and_a_message_arrives() {
    let (mut alice, mut bob) = (Node::tcp(1).await, Node::tcp(2).await);
    for node in [&alice, &bob] {
        node.join(true);
    }
    alice.befriend(&bob);
    let (peer, inbound) = bob.connected().await;
    assert_eq!((peer, inbound), (alice.id(), true));
    let (message, from, bytes) = alice.publish_until_heard(&mut bob, b"hello").await;
    assert_eq!((from, bytes), (alice.id(), b"hello".to_vec()));
    assert_eq!(bob.net.figures().judgements_pending, 1);
    bob.judge(message, Acceptance::Accept);
    // A handle is good for once, and one that was never given out hurts nobody.
    bob.judge(message, Acceptance::Reject);
    bob.judge(MessageHandle(u64::MAX), Acceptance::Reject);
    alice.publish_until_heard(&mut bob, b"still here").await;
    let figures = alice.net.figures();
    assert_eq!((figures.peers, figures.messages_out), (1, 2));
    alice.net.stop().await;
    assert_eq!(bob.disconnected().await, peer);
}

#[tokio::test]
async fn whoever_brings_what_is_rejected_is_not_heard_any_more() {
    let (mut alice, mut bob) = (Node::tcp(1).await, Node::tcp(2).await);
    for node in [&alice, &bob] {
        node.join(false);
    }
    alice.add_peer(&bob.address);
    bob.connected().await;
    for bad in [b"bad 1", b"bad 2"] {
        let (message, ..) = alice.publish_until_heard(&mut bob, bad).await;
        bob.judge(message, Acceptance::Reject);
    }
    // The order to reject has to be carried out first.
    tokio::time::sleep(Duration::from_millis(200)).await;
    alice.publish(b"not heard");
    let heard = bob.within(SILENCE, |word| match word {
        Word::Message { .. } => Some(()),
        _ => None,
    });
    assert_eq!(heard.await, None);
}

#[tokio::test]
async fn what_is_too_long_or_goes_to_nobody_is_said() {
    let mut alice = Node::memory(1).await;
    alice.join(true);
    for bytes in [vec![0; MESSAGE_BYTES_MAX + 1], vec![0; 10]] {
        alice.publish(&bytes);
        let why = alice.until(|word| match word {
            Word::NotPublished { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert!(!why.await.is_empty());
    }
}

#[tokio::test]
async fn more_than_a_peer_can_take_at_once_arrives_in_the_end() {
    const MESSAGES: usize = 1_000;
    let (mut alice, mut bob) = (Node::tcp(1).await, Node::tcp(2).await);
    for node in [&alice, &bob] {
        node.join(true);
    }
    alice.befriend(&bob);
    alice.publish_until_heard(&mut bob, b"hello").await;
    let bytes = |n: usize| {
        let mut bytes = vec![0; 4_000];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        bytes
    };
    // One thread, and more than fits into what lies between the two.
    for n in 0..MESSAGES {
        alice.publish(&bytes(n));
    }
    // Bob drops what is too much for one peer, but sees it.
    eventually("all arrives", || {
        bob.net.figures().messages_in > MESSAGES as u64
    })
    .await;
    let figures = alice.net.figures();
    assert_eq!((figures.unsent, figures.lost), (0, 0));
}

#[tokio::test]
async fn the_longest_message_arrives() {
    let (mut alice, mut bob) = (Node::memory(1).await, Node::memory(2).await);
    for node in [&alice, &bob] {
        node.join(true);
    }
    alice.befriend(&bob);
    let long = vec![7; MESSAGE_BYTES_MAX];
    let (_, _, bytes) = alice.publish_until_heard(&mut bob, &long).await;
    assert_eq!(bytes, long);
}

#[tokio::test]
async fn a_topic_that_floods_reaches_more_than_the_mesh() {
    let mut hub = Node::memory(1).await;
    hub.join(true);
    let mut others = Vec::new();
    for n in 2..22 {
        let node = Node::memory(n).await;
        node.join(true);
        node.add_peer(&hub.address);
        hub.connected().await;
        others.push(node);
    }
    // Subscriptions arrive a moment after the connection.
    tokio::time::sleep(Duration::from_millis(500)).await;
    hub.publish(b"to everybody");
    for other in &mut others {
        // Nobody judges, so nobody passes it on: each has it from the hub.
        let (message, from, _) = other.message().await;
        assert_eq!(from, hub.id());
        other.judge(message, Acceptance::Ignore);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_messages_reach_all_of_fifty_nodes() {
    const NODES: usize = 50;
    const MESSAGES: usize = 100;
    let mut nodes = Vec::new();
    for n in 0..NODES {
        let node = Node::tcp(u8::try_from(n + 1).unwrap()).await;
        node.join(false);
        nodes.push(node);
    }
    let addresses: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    for (n, node) in nodes.iter().enumerate() {
        // A ring with chords, so that it is connected whatever else happens.
        for step in [1, 2, 3, 7, 11, 19] {
            node.add_peer(&addresses[(n + step) % NODES]);
        }
    }
    for node in &mut nodes {
        while node.net.figures().peers < 6 {
            node.connected().await;
        }
    }
    // Meshes form at the first heartbeat.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let mut speakers = Vec::new();
    for mut node in nodes {
        let heard = heard.clone();
        let (speak, mut spoken) = tokio::sync::mpsc::channel::<Vec<u8>>(MESSAGES);
        speakers.push(speak);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    word = node.net.word() => match word {
                        Some(Word::Message { message, .. }) => {
                            heard.fetch_add(1, Ordering::Relaxed);
                            node.judge(message, Acceptance::Accept);
                        }
                        Some(_) => {}
                        None => return,
                    },
                    bytes = spoken.recv() => match bytes {
                        Some(bytes) => node.publish(&bytes),
                        None => return,
                    },
                }
            }
        });
    }
    for n in 0..MESSAGES {
        let bytes = format!("message {n}").into_bytes();
        speakers[n * 7 % NODES].send(bytes).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = MESSAGES * (NODES - 1);
    eventually("all is heard", || heard.load(Ordering::Relaxed) >= all).await;
    assert_eq!(heard.load(Ordering::Relaxed), all, "each hears each once");
}

// --- questions

#[tokio::test]
async fn questions_go_both_ways() {
    let (mut alice, mut bob) = (Node::tcp(1).await, Node::tcp(2).await);
    alice.ask(7, &bob, b"who?");
    let (channel, from, bytes) = bob.asked().await;
    assert_eq!((from, bytes), (alice.id(), b"who?".to_vec()));
    bob.reply(channel, vec![1; ASK_BYTES_MAX]);
    assert_eq!(alice.answered(7).await, Ok(vec![1; ASK_BYTES_MAX]));

    // The same connection serves the other way; no address is needed.
    let id = alice.id();
    bob.order(Order::Ask {
        id: 8,
        peer: id,
        addresses: Vec::new(),
        bytes: Vec::new(),
    });
    let (channel, _, bytes) = alice.asked().await;
    assert!(bytes.is_empty());
    alice.reply(channel, Vec::new());
    assert_eq!(bob.answered(8).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_question_is_answered_in_any_case() {
    let mut config = config(1);
    config.ask_timeout = Duration::from_secs(1);
    let mut alice = Node::start(config, "/ip4/127.0.0.1/tcp/0").await;
    let mut bob = Node::tcp(2).await;

    alice.ask(1, &bob, b"refuse me");
    let (channel, ..) = bob.asked().await;
    bob.order(Order::Refuse { channel });
    assert_eq!(alice.answered(1).await, Err("refused".to_owned()));

    alice.ask(2, &bob, b"say too much");
    let (channel, ..) = bob.asked().await;
    bob.reply(channel, vec![0; ASK_BYTES_MAX + 1]);
    assert_eq!(alice.answered(2).await, Err("refused".to_owned()));

    alice.ask(3, &bob, b"say nothing");
    bob.asked().await;
    assert!(alice.answered(3).await.is_err());

    alice.ask(4, &bob, &vec![0; ASK_BYTES_MAX + 1]);
    assert!(alice.answered(4).await.is_err());

    let nobody = TransportId::from_bytes([9; 32]);
    for (id, peer) in [(5, nobody), (6, alice.id())] {
        alice.order(Order::Ask {
            id,
            peer,
            addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned(), "nonsense".to_owned()],
            bytes: Vec::new(),
        });
        assert!(alice.answered(id).await.is_err());
    }
    // A channel that never was, and one that is closed.
    bob.reply(u64::MAX, Vec::new());
    bob.reply(channel, Vec::new());
}

#[tokio::test]
async fn questions_that_nobody_answers_are_bounded() {
    let mut bob = Node::memory(1).await;
    let mut askers = Vec::new();
    for n in 0..=ASKED_MAX / ASKED_BY_ONE_MAX {
        let asker = Node::memory(u8::try_from(n + 2).unwrap()).await;
        askers.push(asker);
    }
    let (last, first) = askers.split_last_mut().unwrap();
    for asker in first.iter_mut() {
        for id in 0..=ASKED_BY_ONE_MAX as u64 {
            asker.ask(id, &bob, b"?");
        }
        // One too many for one peer.
        let refused = asker.until(|word| match word {
            Word::Answered { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        assert_eq!(refused.await, Err("refused".to_owned()));
    }
    eventually("all wait", || {
        bob.net.figures().asks_pending == ASKED_MAX as u64
    })
    .await;
    // And one too many for all.
    last.ask(0, &bob, b"?");
    assert_eq!(last.answered(0).await, Err("refused".to_owned()));
    // Whoever goes makes room.
    let (channel, ..) = bob.asked().await;
    bob.reply(channel, Vec::new());
    last.ask(1, &bob, b"!");
    eventually("room again", || {
        bob.net.figures().asks_pending == ASKED_MAX as u64
    })
    .await;
}

#[tokio::test]
async fn our_own_questions_are_bounded() {
    // It lets us in and says nothing, so dials to it hang.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", mute.local_addr().unwrap().port());
    let mut alice = Node::tcp(1).await;
    for id in 0..300 {
        alice.order(Order::Ask {
            id,
            peer: TransportId::from_bytes([9; 32]),
            addresses: vec![address.clone()],
            bytes: Vec::new(),
        });
    }
    for id in 256..300 {
        let too_many = Err("too many questions wait".to_owned());
        assert_eq!(alice.answered(id).await, too_many);
    }
}

#[tokio::test]
async fn orders_are_bounded() {
    let alice = Node::memory(1).await;
    // One thread, so nothing is taken before this is over.
    let taken = (0..2 * ORDERS_MAX)
        .filter(|_| alice.net.order(Order::Refuse { channel: 0 }))
        .count();
    assert_eq!(taken, ORDERS_MAX);
    eventually("there is room again", || {
        alice.net.order(Order::Refuse { channel: 0 })
    })
    .await;
}

#[tokio::test]
async fn nonsense_in_orders_hurts_nobody() {
    let mut alice = Node::memory(1).await;
    let bob = Node::memory(2).await;
    let score = f64::NAN;
    alice.order(Order::Score {
        peer: bob.id(),
        score,
    });
    alice.order(Order::AddPeers {
        peers: vec!["nonsense".to_owned(), bob.address.clone()],
    });
    assert_eq!(alice.connected().await.0, bob.id());
}

// --- who is connected

#[tokio::test]
async fn a_friend_that_comes_back_is_dialled_again() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let mut alice = Node::tcp(1).await;
    let bob = Node::start(config(2), &address).await;
    alice.befriend(&bob);
    alice.connected().await;
    let id = bob.id();
    bob.net.stop().await;
    assert_eq!(alice.disconnected().await, id);
    let _bob = Node::start(config(2), &address).await;
    assert_eq!(alice.connected().await, (id, false));
}

#[tokio::test]
async fn whoever_is_blocked_is_gone_until_unblocked() {
    let (mut alice, mut bob) = (Node::tcp(1).await, Node::tcp(2).await);
    bob.ask(1, &alice, b"hello");
    let (channel, ..) = alice.asked().await;
    alice.reply(channel, Vec::new());
    assert!(bob.answered(1).await.is_ok());

    alice.order(Order::Block { peer: bob.id() });
    assert_eq!(alice.disconnected().await, bob.id());
    bob.ask(2, &alice, b"hello?");
    assert!(bob.answered(2).await.is_err());

    alice.order(Order::Unblock { peer: bob.id() });
    tokio::time::sleep(Duration::from_millis(200)).await;
    bob.ask(3, &alice, b"hello again");
    let (channel, ..) = alice.asked().await;
    alice.reply(channel, Vec::new());
    assert!(bob.answered(3).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_connections_do_not_take_an_honest_pair_down() {
    let mut config = config(1);
    config.connections_max = 20;
    let mut alice = Node::start(config, "/ip4/127.0.0.1/tcp/0").await;
    let mut bob = Node::tcp(2).await;
    bob.befriend(&alice);
    alice.connected().await;
    let port: u16 = alice.address.split('/').nth(4).unwrap().parse().unwrap();
    let attack = tokio::task::spawn_blocking(move || {
        let mut held = Vec::new();
        for n in 0..1000u32 {
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) else {
                continue;
            };
            if n % 2 == 0 {
                // Fails if it was closed already, which is well.
                let _closed = stream.write_all(&n.to_be_bytes().repeat(200));
            }
            held.push(stream);
        }
        held
    });
    let mut id = 0;
    while !attack.is_finished() || id < 5 {
        bob.ask(id, &alice, b"are you well?");
        let (channel, ..) = alice.asked().await;
        alice.reply(channel, b"yes".to_vec());
        assert_eq!(bob.answered(id).await, Ok(b"yes".to_vec()));
        assert!(alice.net.figures().connections <= 20);
        id += 1;
    }
    let held = attack.await.unwrap();
    assert!(alice.net.figures().incoming_failed > 100);
    drop(held);
    let carol = Node::tcp(3).await;
    carol.befriend(&alice);
    assert_eq!(alice.connected().await.0, carol.id());
}

#[tokio::test]
async fn real_peers_stay_under_the_cap_and_a_friend_gets_in() {
    let mut config = config(1);
    config.connections_max = 4;
    let mut alice = Node::start_in_memory(config).await;
    let mut others = Vec::new();
    for n in 2..12 {
        let node = Node::memory(n).await;
        node.add_peer(&alice.address);
        others.push(node);
    }
    eventually("somebody is denied", || {
        let figures = alice.net.figures();
        figures.connections >= 3 && figures.incoming_failed >= 7
    })
    .await;
    assert_eq!(alice.net.figures().connections, 3);
    let mut friend = Node::memory(20).await;
    alice.order(Order::Befriend {
        explicit: true,
        peer: friend.id(),
        addresses: Vec::new(),
    });
    friend.befriend(&alice);
    friend.connected().await;
    eventually("the friend is in", || alice.net.figures().connections == 4).await;
    alice.connected().await;
}

// --- how peers find each other: each way alone suffices once

#[tokio::test]
async fn a_static_peer_is_found_with_its_id_or_without() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let mut reached = config(2);
    reached.external = vec![address.clone()];
    let bob = Node::start(reached, &address).await;
    let bare = bob.address.split("/p2p/").next().unwrap().to_owned();
    for (n, address) in [(3, bob.address.clone()), (4, bare)] {
        let mut config = config(n);
        config.static_peers = vec!["nonsense".to_owned(), address];
        let mut alice = Node::start(config, "/ip4/127.0.0.1/tcp/0").await;
        assert_eq!(alice.connected().await.0, bob.id());
        // What it says about itself is for the next run's cache.
        let found = alice.until(|word| match word {
            Word::Found { address, how } => Some((address.clone(), *how)),
            _ => None,
        });
        assert_eq!(found.await, (bob.address.clone(), "identify"));
    }
}

#[tokio::test]
async fn a_cached_peer_is_found() {
    let bob = Node::tcp(2).await;
    let mut config = config(1);
    // The first two are long gone.
    config.cached_peers = vec![
        "/ip4/127.0.0.1/tcp/1".to_owned(),
        format!("/ip4/127.0.0.1/tcp/{}", free_port()),
        bob.address.clone(),
    ];
    let mut alice = Node::start(config, "/ip4/127.0.0.1/tcp/0").await;
    assert_eq!(alice.connected().await.0, bob.id());
}

#[tokio::test]
async fn a_dns_seed_names_a_peer() {
    let bob = Node::tcp(2).await;
    let mut config = config(1);
    config.dns_seeds = vec!["seed.lymph.test".to_owned()];
    config.resolver = Some(serve_dns(format!("lymph={}", bob.address)));
    let mut alice = Node::start(config, "/ip4/127.0.0.1/tcp/0").await;
    assert_eq!(alice.connected().await.0, bob.id());
}

#[tokio::test]
async fn a_third_node_tells_of_another_through_the_table() {
    let member = |n: u8, known: Option<&Node>| {
        let mut config = config(n);
        config.kademlia = true;
        let address = format!("/ip4/127.0.0.1/tcp/{}", free_port());
        config.external = vec![address.clone()];
        config.static_peers = known.map(|node| node.address.clone()).into_iter().collect();
        (config, address)
    };
    let (config, address) = member(3, None);
    let carol = Node::start(config, &address).await;
    let (config, address) = member(1, Some(&carol));
    let alice = Node::start(config, &address).await;
    let (config, address) = member(2, Some(&carol));
    let mut bob = Node::start(config, &address).await;
    let mut found = Vec::new();
    while found.len() < 2 {
        found.push(bob.connected().await.0);
    }
    assert!(found.contains(&alice.id()), "through carol");
}

#[test]
fn the_local_network_tells_of_a_peer() {
    if std::env::var_os(INSIDE).is_none() {
        let test = "the_local_network_tells_of_a_peer";
        return in_networks_of_its_own(test, ONE_NETWORK);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let with_mdns = |n: u8| {
            let mut config = config(n);
            config.mdns = true;
            config
        };
        let bob = Node::start(with_mdns(2), "/ip4/10.77.0.1/tcp/0").await;
        let mut alice = Node::start(with_mdns(1), "/ip4/10.77.0.1/tcp/0").await;
        assert_eq!(alice.connected().await.0, bob.id());
    });
}

// --- ways in

#[tokio::test]
async fn whoever_cannot_be_reached_is_reached_through_a_relay() {
    let address = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let mut relaying = config(3);
    relaying.relay_server = true;
    relaying.external = vec![address.clone()];
    let relay = Node::start(relaying, &address).await;

    let through = format!("{}/p2p-circuit", relay.address);
    let mut alice = Node::start(config(1), &through).await;
    assert!(alice.address.contains("p2p-circuit"));

    let mut bob = Node::start_silent(config(2));
    bob.ask(1, &alice, b"through there?");
    let relayed = bob.until(|word| match word {
        Word::Connected { peer, relayed, .. } => Some((*peer, *relayed)),
        _ => None,
    });
    assert_eq!(relayed.await, (relay.id(), false));
    let (channel, from, _) = alice.asked().await;
    assert_eq!(from, bob.id());
    alice.reply(channel, b"yes".to_vec());
    assert_eq!(bob.answered(1).await, Ok(b"yes".to_vec()));
}

#[test]
fn two_homes_behind_routers_meet_through_a_volunteer() {
    let Some(role) = std::env::var_os(INSIDE) else {
        let test = "two_homes_behind_routers_meet_through_a_volunteer";
        return in_networks_of_its_own(test, TWO_HOMES);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let id = |n: u8| {
        let key = convert::key_pair(&[n; 32]).unwrap();
        convert::from_peer(&key.public().to_peer_id()).unwrap()
    };
    let volunteer = |net: &str| format!("/ip4/{net}.1/tcp/4747/p2p/{}", peer_text(id(3)));
    runtime.block_on(async move {
        let home = |n: u8, net: &str| {
            let mut config = config(n);
            config.static_peers = vec![volunteer(net)];
            Node::start(config, "/ip4/0.0.0.0/tcp/4747")
        };
        match role.to_str().unwrap() {
            "volunteer" => {
                let mut config = config(3);
                config.relay_server = true;
                config.external = ["198.51.100", "203.0.113"]
                    .map(|net| format!("/ip4/{net}.1/tcp/4747"))
                    .to_vec();
                let mut node = Node::start(config, "/ip4/0.0.0.0/tcp/4747").await;
                // Until it is killed.
                node.within(3 * PATIENCE, |_| None::<()>).await;
            }
            "alice" => {
                let mut alice = home(1, "198.51.100").await;
                alice.join(true);
                let reachable = alice.until(|word| match word {
                    Word::Reachable { yes } => Some(*yes),
                    _ => None,
                });
                assert_eq!(reachable.await, Some(false));
                let external = alice.until(|word| match word {
                    Word::External { address } => Some(address.clone()),
                    _ => None,
                });
                assert!(external.await.contains("p2p-circuit"));
                let (message, from, bytes) = alice.message().await;
                assert_eq!((from, bytes), (id(2), b"a report".to_vec()));
                alice.judge(message, Acceptance::Accept);
                alice.net.stop().await;
            }
            _ => {
                let mut bob = home(2, "203.0.113").await;
                bob.join(true);
                let through = volunteer("203.0.113");
                let through = format!("{through}/p2p-circuit/p2p/{}", peer_text(id(1)));
                bob.order(Order::Befriend {
                    explicit: true,
                    peer: id(1),
                    addresses: vec![through],
                });
                loop {
                    bob.publish(b"a report");
                    let pause = Duration::from_millis(500);
                    bob.within(pause, |_| None::<()>).await;
                }
            }
        }
    });
}

#[tokio::test]
async fn what_cannot_be_listened_at_is_said_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut config = config(1);
    config.listen = vec!["nonsense".to_owned(), format!("/ip4/127.0.0.1/tcp/{port}")];
    let mut alice = Node::start_silent(config);
    for _ in 0..2 {
        alice
            .until(|word| match word {
                Word::NotListening { .. } => Some(()),
                _ => None,
            })
            .await;
    }
    drop(taken);
    alice.listening().await;
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn quic_works_as_well() {
    let mut bob = Node::start(config(2), "/ip4/127.0.0.1/udp/0/quic-v1").await;
    let mut alice = Node::start_silent(config(1));
    alice.ask(1, &bob, b"quick?");
    let (channel, ..) = bob.asked().await;
    bob.reply(channel, b"yes".to_vec());
    assert_eq!(alice.answered(1).await, Ok(b"yes".to_vec()));
}

#[tokio::test]
async fn a_wire_needs_a_runtime_and_ends_when_it_is_let_go() {
    let without = std::thread::spawn(|| Net::start(config(1)).map(|_| ()).unwrap_err());
    assert!(matches!(without.join().unwrap(), NetError::Runtime));
    let Net { words, task, .. } = Node::memory(1).await.net;
    drop(words);
    let ended = tokio::time::timeout(PATIENCE, task).await;
    assert!(ended.unwrap().is_ok());
}

// --- helpers

struct Node {
    net: Net,
    address: String,
}

impl Node {
    async fn tcp(n: u8) -> Node {
        Node::start(config(n), "/ip4/127.0.0.1/tcp/0").await
    }

    async fn memory(n: u8) -> Node {
        Node::start_in_memory(config(n)).await
    }

    async fn start_in_memory(mut config: NetConfig) -> Node {
        config.listen = vec!["/memory/0".to_owned()];
        Node::opened(Net::start_in_memory(config).unwrap()).await
    }

    async fn start(mut config: NetConfig, listen: &str) -> Node {
        config.listen = vec![listen.to_owned()];
        Node::opened(Net::start(config).unwrap()).await
    }

    fn start_silent(config: NetConfig) -> Node {
        let net = Net::start(config).unwrap();
        let address = String::new();
        Node { net, address }
    }

    async fn opened(net: Net) -> Node {
        let mut node = Node {
            net,
            address: String::new(),
        };
        let address = node.listening().await;
        let suffix = format!("/p2p/{}", peer_text(node.id()));
        node.address = format!("{}{suffix}", address.trim_end_matches(&suffix));
        node
    }

    fn id(&self) -> TransportId {
        self.net.id()
    }

    fn order(&self, order: Order) {
        // Full for a moment only in the tests that fill it.
        self.net.order(order);
    }

    fn join(&self, flood: bool) {
        let topic = TOPIC.to_owned();
        self.order(Order::Join { topic, flood });
    }

    fn publish(&self, bytes: &[u8]) {
        self.order(Order::Publish {
            topic: TOPIC.to_owned(),
            bytes: bytes.to_vec(),
        });
    }

    fn judge(&self, message: MessageHandle, verdict: Acceptance) {
        self.order(Order::Judge { message, verdict });
    }

    fn befriend(&self, other: &Node) {
        self.order(Order::Befriend {
            explicit: true,
            peer: other.id(),
            addresses: vec![other.address.clone()],
        });
    }

    fn add_peer(&self, address: &str) {
        let peers = vec![address.to_owned()];
        self.order(Order::AddPeers { peers });
    }

    fn ask(&self, id: u64, other: &Node, bytes: &[u8]) {
        self.order(Order::Ask {
            id,
            peer: other.id(),
            addresses: vec![other.address.clone()],
            bytes: bytes.to_vec(),
        });
    }

    fn reply(&self, channel: u64, bytes: Vec<u8>) {
        self.order(Order::Reply { channel, bytes });
    }

    async fn within<T>(
        &mut self,
        patience: Duration,
        mut wanted: impl FnMut(&Word) -> Option<T>,
    ) -> Option<T> {
        let found = async {
            while let Some(word) = self.net.word().await {
                if let Some(found) = wanted(&word) {
                    return Some(found);
                }
            }
            None
        };
        tokio::time::timeout(patience, found).await.ok().flatten()
    }

    async fn until<T>(&mut self, wanted: impl FnMut(&Word) -> Option<T>) -> T {
        let found = self.within(PATIENCE, wanted).await;
        found.expect("heard in time")
    }

    async fn listening(&mut self) -> String {
        self.until(|word| match word {
            Word::Listening { address } => Some(address.clone()),
            _ => None,
        })
        .await
    }

    async fn connected(&mut self) -> (TransportId, bool) {
        self.until(|word| match word {
            Word::Connected { peer, inbound, .. } => Some((*peer, *inbound)),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self) -> TransportId {
        self.until(|word| match word {
            Word::Disconnected { peer } => Some(*peer),
            _ => None,
        })
        .await
    }

    async fn message(&mut self) -> (MessageHandle, TransportId, Vec<u8>) {
        self.until(heard).await
    }

    async fn asked(&mut self) -> (u64, TransportId, Vec<u8>) {
        self.until(|word| match word {
            Word::Asked {
                channel,
                from,
                bytes,
            } => Some((*channel, *from, bytes.clone())),
            _ => None,
        })
        .await
    }

    async fn answered(&mut self, wanted: u64) -> Result<Vec<u8>, String> {
        self.until(|word| match word {
            Word::Answered { id, answer, .. } if *id == wanted => Some(answer.clone()),
            _ => None,
        })
        .await
    }

    /// Publish again and again until the subscription of the other has arrived.
    async fn publish_until_heard(
        &mut self,
        other: &mut Node,
        bytes: &[u8],
    ) -> (MessageHandle, TransportId, Vec<u8>) {
        for _ in 0..100 {
            self.publish(bytes);
            let heard = other.within(Duration::from_millis(300), heard).await;
            if let Some(heard) = heard {
                return heard;
            }
        }
        panic!("not heard in time");
    }
}

fn heard(word: &Word) -> Option<(MessageHandle, TransportId, Vec<u8>)> {
    match word {
        Word::Message {
            message,
            from,
            bytes,
            ..
        } => Some((*message, *from, bytes.clone())),
        _ => None,
    }
}

fn config(n: u8) -> NetConfig {
    let mut config = NetConfig::new(Zeroizing::new([n; 32]));
    // Other tests run in the same process.
    config.memory_bytes_max = usize::MAX;
    config
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

async fn eventually(what: &'static str, mut holds: impl FnMut() -> bool) {
    let patience = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, patience).await.expect(what);
}

/// A name server that answers every question with one text.
fn serve_dns(text: String) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let query = &query[..length];
            // The name ends with an empty label; type and class follow.
            let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
            let question = &query[12..12 + name + 5];
            let mut answer = query[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend(question);
            answer.extend([0xc0, 0x0c, 0, 16, 0, 1, 0, 0, 0, 60]);
            answer.extend(u16::try_from(text.len() + 1).unwrap().to_be_bytes());
            answer.push(u8::try_from(text.len()).unwrap());
            answer.extend(text.as_bytes());
            socket.send_to(&answer, from).unwrap();
        }
    });
    address
}

/// One interface, no way out.
const ONE_NETWORK: &str = r#"
ip link add lymph0 type veth peer name lymph1
ip link set lymph1 up
ip link set lymph0 multicast on up
ip addr add 10.77.0.1/24 dev lymph0
ip route add 224.0.0.0/4 dev lymph0
touch "$ready"
LYMPH_NET_INSIDE=1 "$@"
"#;

/// Two homes, each behind a router that masquerades, and between the routers a volunteer who passes packets on.
const TWO_HOMES: &str = r#"
echo 1 >/proc/sys/net/ipv4/ip_forward
home() {
    ip netns add "$1"
    ip netns add "$1-router"
    ip link add "$1" type veth peer name outer netns "$1-router"
    ip addr add "$2.1/24" dev "$1"
    ip link set "$1" up
    ip -n "$1-router" link add inner type veth peer name eth0 netns "$1"
    ip -n "$1-router" addr add "$2.2/24" dev outer
    ip -n "$1-router" addr add 192.168.7.1/24 dev inner
    ip -n "$1-router" link set outer up
    ip -n "$1-router" link set inner up
    ip -n "$1-router" route add default via "$2.1"
    ip netns exec "$1-router" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    ip netns exec "$1-router" nft 'add table ip home; add chain ip home out { type nat hook postrouting priority 100; }; add rule ip home out oifname "outer" masquerade'
    ip -n "$1" addr add 192.168.7.2/24 dev eth0
    ip -n "$1" link set lo up
    ip -n "$1" link set eth0 up
    ip -n "$1" route add default via 192.168.7.1
}
home alice 198.51.100
home bob 203.0.113
touch "$ready"
LYMPH_NET_INSIDE=volunteer "$@" & volunteer=$!
LYMPH_NET_INSIDE=bob ip netns exec bob "$@" & bob=$!
status=0
LYMPH_NET_INSIDE=alice ip netns exec alice "$@" || status=$?
kill "$volunteer" "$bob"
exit "$status"
"#;

/// Run a test again in networks that a script makes and that end with it; it says `ready` when they stand.
fn in_networks_of_its_own(test: &str, script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = format!("set -e\nmount -t tmpfs none /run\nip link set lo up\n{script}");
    let ran = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("daemon::net::tests::{test}")])
        .arg("--nocapture")
        .env("ready", &ready)
        .status();
    match ran {
        Ok(status) if status.success() => {}
        Ok(status) if !ready.exists() => {
            skipped(test, &format!("no networks can be made here ({status})"));
        }
        Ok(status) => panic!("inside: {status}"),
        Err(error) => skipped(test, &error.to_string()),
    }
}

/// Said loudly and counted.
fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("LYMPH_SKIPPED_LOG") {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        log.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
