//! What believing costs: hearing reports, asking for a level, a changed vouch, and the graph in memory:
//! `cargo bench -p lymph-trust --bench trust`.
//!
//! A mesh of 10,000 nodes that vouch for eight each, half of them neighbours on a ring and half anybody; ego vouches for eight.
//! Reporters and addresses are drawn evenly. Signatures are not part of it: they are checked before anything gets here.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures the time that passes"
)]

use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lymph_protocol::family::Family;
use lymph_protocol::vouch::Minute;
use lymph_protocol::{NodeId, Subject, Timestamp};
use lymph_trust::{Kin, Level, Parameters, Statement, Trust, Voice, Vouchee};

const START: Timestamp = Timestamp::from_secs(20_700 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NODES: u32 = 10_000;
const VOUCHES: u32 = 8;
const ADDRESSES: u32 = 10_000;
const REPORTS: u64 = 300_000;

fn main() {
    // First, while the process is small.
    memory();
    let mut chance = Chance(1);
    let mut trust = mesh(&mut chance);
    vouches(&trust, &mut chance);
    reports(&mut trust, &mut chance);
    levels(&trust);
}

/// Numbers that look like chance and are the same in each run (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(end)) >> 32) as u32
    }
}

fn node(number: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn subject(number: u32) -> Subject {
    Subject::V4(Ipv4Addr::from_bits((1 << 24) + number * 97))
}

fn statement(issuer: u32, about: u32, weight: u16, seq: u64) -> Statement {
    let end = Minute::of(START + 30 * DAY);
    Statement {
        issuer: node(issuer),
        subject: node(about),
        weight,
        seq,
        expires: end,
        kept_until: end,
    }
}

fn voice(by: u32, seq: u64, now: Timestamp) -> Voice {
    Voice {
        by: node(by),
        family: Family::SSH_AUTH,
        heard_at: now,
        said_at: now,
        expires: now + DAY,
        is_spoofable: false,
        is_rule_known: true,
        seq,
        is_retracted: false,
    }
}

/// Everybody vouches for so many; node 0 is ego.
fn vouch(trust: &mut Trust, nodes: u32, each: u32, chance: &mut Chance) {
    for issuer in 1..nodes {
        for n in 0..each {
            let about = match n % 2 {
                0 => 1 + (issuer + n / 2) % (nodes - 1),
                _ => 1 + chance.below(nodes - 1),
            };
            trust.hear_vouch(&statement(issuer, about, 10_000, n.into()), START);
        }
    }
}

fn mesh(chance: &mut Chance) -> Trust {
    let mut trust = Trust::new(node(0), Parameters::default());
    vouch(&mut trust, NODES, VOUCHES, chance);
    let (kin, weight) = (Kin::Friend, 10_000);
    for _ in 0..8 {
        trust.vouch_for(node(1 + chance.below(NODES - 1)), Vouchee { kin, weight });
    }
    settle(&mut trust, START);
    println!(
        "{} nodes, {} vouches, {} branches, {} nodes are heard",
        trust.graph().len(),
        trust.graph().statements(),
        trust.standing().branches,
        trust.standing().heard
    );
    trust
}

/// All that is due.
fn settle(trust: &mut Trust, now: Timestamp) {
    while trust.next_deadline().is_some_and(|due| due <= now) {
        trust.tick(now);
    }
}

fn reports(trust: &mut Trust, chance: &mut Chance) {
    let voices: Vec<_> = (0..REPORTS)
        .map(|number| {
            let now = START + Duration::from_millis(number * 100);
            let by = 1 + chance.below(NODES - 1);
            (subject(chance.below(ADDRESSES)), voice(by, number, now))
        })
        .collect();
    let (mut heard, mut passed, mut slowest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for voices in voices.chunks(1_000) {
        let before = Instant::now();
        for (subject, voice) in voices {
            trust.hear(*subject, *voice, voice.heard_at);
        }
        let after = Instant::now();
        heard += after - before;
        let now = voices.last().map_or(START, |(_, voice)| voice.heard_at);
        settle(trust, now);
        passed += after.elapsed();
        slowest = slowest.max(after.elapsed());
    }
    println!(
        "{REPORTS} reports heard in {:.2} s: {:.0} a second",
        heard.as_secs_f64(),
        REPORTS as f64 / heard.as_secs_f64(),
    );
    println!(
        "meanwhile {:.1} h passed, which took {:.2} s: {:.3} % of a core (at most {:.1} ms at once)",
        REPORTS as f64 / 36_000.0,
        passed.as_secs_f64(),
        passed.as_secs_f64() * 100.0 / (REPORTS as f64 / 10.0),
        slowest.as_secs_f64() * 1e3,
    );
    let count = |level| trust.levels().filter(|(_, at)| *at == level).count();
    println!(
        "{} of them alive; {} addresses primed, {} throttled, {} blocked",
        trust.reports(),
        count(Level::Prime),
        count(Level::Throttle),
        count(Level::Block)
    );
}

fn levels(trust: &Trust) {
    let rounds = 100;
    let started = Instant::now();
    for _ in 0..rounds {
        for number in 0..ADDRESSES {
            black_box(trust.level(black_box(subject(number))));
        }
    }
    let each = started.elapsed().as_secs_f64() / f64::from(rounds * ADDRESSES);
    println!("the level of an address, asked for: {:.0} ns", each * 1e9);
}

/// From a changed vouch until the levels of 100 active addresses, of 10 reporters each, are right again.
fn vouches(trust: &Trust, chance: &mut Chance) {
    let mut trust = trust.clone();
    let mut seq = 1_000;
    let mut by = Vec::new();
    for address in 0..100 {
        for _ in 0..10 {
            seq += 1;
            by.push(1 + chance.below(NODES - 1));
            trust.hear(subject(address), voice(by[by.len() - 1], seq, START), START);
        }
    }
    settle(&mut trust, START);
    let friends: Vec<_> = trust.vouchees().map(|(node, _)| node).collect();
    let friends: Vec<u32> = (1..NODES)
        .filter(|number| friends.contains(&node(*number)))
        .collect();
    for (who, issuers) in [
        (
            "anybody's",
            (0..200).map(|_| 1 + chance.below(NODES - 1)).collect(),
        ),
        ("a reporter's", (0..200).map(|n| by[n * 5]).collect()),
        ("a friend's", friends.repeat(10)),
    ] {
        let issuers: Vec<u32> = issuers;
        let mut took: Vec<Duration> = Vec::new();
        for issuer in issuers {
            seq += 1;
            let said = statement(issuer, 1 + chance.below(NODES - 1), 10_000, seq);
            let started = Instant::now();
            trust.hear_vouch(&said, START);
            settle(&mut trust, START);
            for by in &by {
                black_box(trust.weights(node(*by)));
            }
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let ms = |at: usize| took[at].as_secs_f64() * 1e3;
        println!(
            "{who} vouch changed, until all is right again: median {:.2} ms, nine in ten within {:.2} ms, at most {:.2} ms ({} trials)",
            ms(took.len() / 2),
            ms(took.len() * 9 / 10),
            ms(took.len() - 1),
            took.len()
        );
    }
}

fn memory() {
    let before = resident_kib();
    let mut chance = Chance(2);
    let mut trust = Trust::new(node(0), Parameters::default());
    vouch(&mut trust, 100_000, 10, &mut chance);
    println!(
        "{} nodes and {} vouches in memory: {} KiB",
        trust.graph().len(),
        trust.graph().statements(),
        resident_kib() - before
    );
}

fn resident_kib() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number") * 4
}
