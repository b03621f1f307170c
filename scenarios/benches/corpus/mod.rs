//! Generated logs with the truth about them.
//!
//! A corpus is a log of sshd (`auth.log`) or nginx (combined access log) as hundreds of clients at a time would
//! write it, each an actor with a behaviour of its own, interleaved in time by one priority queue. About a third
//! of the lines come from attackers. The truth (`truth.rs`) says of every client what it was and what it did.
//! One seed gives one log, on every machine.
//!
//! It is streamed: memory grows with the number of clients (some hundred bytes each), not with lines.
//!
//! What it is not: a record of a real network. The attackers' behaviours are those that scenarios look for, so
//! that finding them proves little; what benign clients do is the harder half, and is modelled on what real
//! ones are known to do. The classes are `sshd.rs` and `nginx.rs`.
//!
//! Benches use it as a module, tests and the simulator by `#[path]`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

pub mod address;
pub mod chance;
pub mod clock;
pub mod judge;
pub mod nginx;
pub mod pen;
pub mod sshd;
pub mod truth;

use address::Addresses;
use chance::Chance;
pub use pen::{Header, OpenSsh, Pen, Style, Written};
pub use truth::{Record, Truth};

/// Which log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `auth.log` of a machine with an OpenSSH server.
    Sshd,
    /// The access log of an nginx.
    Nginx,
}

impl Service {
    /// The service's name.
    pub fn name(self) -> &'static str {
        match self {
            Service::Sshd => "sshd",
            Service::Nginx => "nginx",
        }
    }

    /// What kinds of client there are.
    pub fn classes(self) -> &'static [Class] {
        match self {
            Service::Sshd => sshd::CLASSES,
            Service::Nginx => nginx::CLASSES,
        }
    }
}

/// What a client does when its time comes: it writes, and says after how many milliseconds it wants to go on.
pub type Step = Box<dyn FnMut(&mut Pen<'_>) -> Option<u64> + Send>;

/// A kind of client.
#[derive(Debug)]
pub struct Class {
    /// Its name in the truth.
    pub name: &'static str,
    /// Whether it means no harm.
    pub benign: bool,
    /// How many new clients of the kind come in a day.
    pub per_day: u64,
    /// How many are there from the start.
    pub standing: u64,
    /// How many tries within ten minutes make a client of this kind loud.
    pub loud_tries: usize,
    /// Makes a client's behaviour.
    pub make: fn(&mut Birth<'_>) -> Step,
}

/// What a client gets at its birth.
#[derive(Debug)]
pub struct Birth<'a> {
    /// The source of chance.
    pub chance: &'a mut Chance,
    /// When.
    pub now_ms: u64,
    /// The seed of the log.
    pub seed: u64,
    /// An address that takes no part: attackers try to put blame on it.
    pub bystander: &'a str,
}

/// What log is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which service's.
    pub service: Service,
    /// How many lines.
    pub lines: u64,
    /// From which seed.
    pub seed: u64,
    /// The time of the first line.
    pub start_ms: u64,
    /// How it is written.
    pub style: Style,
}

impl Wanted {
    /// Monday, 9 March 2026, 07:30 UTC: before the offices open, on the last day with a one-digit date.
    pub const START_MS: u64 = 1_773_041_400_000;

    /// A log of so many lines.
    pub fn new(service: Service, lines: u64, seed: u64) -> Self {
        Wanted {
            service,
            lines,
            seed,
            start_ms: Self::START_MS,
            style: Style::default(),
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A line of an actor is to be written.
    Line {
        actor: u32,
        tries: u16,
        text: String,
    },
    /// An actor goes on.
    Step { actor: u32 },
    /// A new client of a class comes.
    Arrival { class: usize },
}

/// A log in the making.
pub struct Corpus {
    wanted: Wanted,
    queue: BinaryHeap<Reverse<(u64, u64, Due)>>,
    queued: u64,
    chance: Chance,
    addresses: Addresses,
    actors: Vec<Option<Step>>,
    records: Vec<Record>,
    bystander: Option<u32>,
    pids: u32,
    scratch: Vec<Written>,
    lines: u64,
    hostile_lines: u64,
}

impl std::fmt::Debug for Corpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Corpus")
            .field("wanted", &self.wanted)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

impl Corpus {
    /// A log that is still empty.
    pub fn new(wanted: Wanted) -> Self {
        let mut corpus = Corpus {
            queue: BinaryHeap::new(),
            queued: 0,
            chance: Chance::new(wanted.seed, 1),
            addresses: Addresses::new(wanted.seed),
            actors: Vec::new(),
            records: Vec::new(),
            bystander: None,
            pids: 40_000,
            scratch: Vec::new(),
            lines: 0,
            hostile_lines: 0,
            wanted,
        };
        for (index, class) in corpus.wanted.service.classes().iter().enumerate() {
            for _ in 0..class.standing {
                corpus.arrive(index, corpus.wanted.start_ms);
            }
            corpus.expect_arrival(index, corpus.wanted.start_ms);
        }
        corpus
    }

    /// The next line, without its end; `None` once there are as many as were wanted.
    pub fn next_line(&mut self) -> Option<(u64, String)> {
        if self.lines == self.wanted.lines {
            return None;
        }
        loop {
            let Reverse((now, _, due)) = self.queue.pop()?;
            match due {
                Due::Line { actor, tries, text } => {
                    let record = &mut self.records[actor as usize];
                    record.note(now, tries);
                    self.hostile_lines += u64::from(!record.benign);
                    self.lines += 1;
                    return Some((now, text));
                }
                Due::Step { actor } => self.step(actor, now),
                Due::Arrival { class } => {
                    self.arrive(class, now);
                    self.expect_arrival(class, now);
                }
            }
        }
    }

    /// Writes the whole log and says the truth about it.
    pub fn write(mut self, out: &mut impl Write) -> io::Result<Truth> {
        while let Some((_, line)) = self.next_line() {
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(self.into_truth())
    }

    /// The truth about the lines so far.
    pub fn into_truth(self) -> Truth {
        Truth {
            service: self.wanted.service.name(),
            seed: self.wanted.seed,
            lines: self.lines,
            hostile_lines: self.hostile_lines,
            actors: self
                .records
                .into_iter()
                .filter(|record| record.lines > 0 || record.class == FRAMED)
                .collect(),
        }
    }

    fn expect_arrival(&mut self, index: usize, now: u64) {
        let class = &self.wanted.service.classes()[index];
        if let Some(mean) = 86_400_000_u64.checked_div(class.per_day) {
            let pause = self.chance.pause(mean);
            self.enqueue(now + pause, Due::Arrival { class: index });
        }
    }

    fn arrive(&mut self, index: usize, now: u64) {
        let class = &self.wanted.service.classes()[index];
        let bystander = self.bystander();
        let bystander = &self.records[bystander as usize].address;
        let mut birth = Birth {
            chance: &mut self.chance,
            now_ms: now,
            seed: self.wanted.seed,
            bystander,
        };
        let step = (class.make)(&mut birth);
        let actor = self.records.len() as u32;
        let address = self.addresses.next();
        self.records.push(Record::new(
            address,
            class.name,
            class.benign,
            class.loud_tries,
        ));
        self.actors.push(Some(step));
        self.enqueue(now, Due::Step { actor });
    }

    /// The address that attackers put blame on at present: it takes no part, and changes now and then.
    fn bystander(&mut self) -> u32 {
        let kept = self.bystander.filter(|_| !self.chance.one_in(400));
        let bystander = kept.unwrap_or_else(|| {
            let address = self.addresses.next_v4().to_string();
            self.records.push(Record::new(address, FRAMED, true, 0));
            self.actors.push(None);
            self.records.len() as u32 - 1
        });
        self.bystander = Some(bystander);
        bystander
    }

    fn step(&mut self, actor: u32, now: u64) {
        let Some(step) = &mut self.actors[actor as usize] else {
            return;
        };
        let mut pen = Pen {
            chance: &mut self.chance,
            address: &self.records[actor as usize].address,
            now_ms: now,
            style: &self.wanted.style,
            pids: &mut self.pids,
            written: &mut self.scratch,
        };
        let next = step(&mut pen);
        for Written { at_ms, tries, text } in std::mem::take(&mut self.scratch) {
            self.enqueue(at_ms, Due::Line { actor, tries, text });
        }
        match next {
            Some(pause) => self.enqueue(now + pause.max(1), Due::Step { actor }),
            None => self.actors[actor as usize] = None,
        }
    }

    fn enqueue(&mut self, at: u64, due: Due) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, due)));
    }
}

/// The class of addresses that attackers try to put blame on.
pub const FRAMED: &str = "framed";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn written(service: Service, lines: u64, seed: u64) -> (String, Truth) {
        let mut out = Vec::new();
        let truth = Corpus::new(Wanted::new(service, lines, seed))
            .write(&mut out)
            .unwrap();
        (String::from_utf8(out).unwrap(), truth)
    }

    fn check(service: Service) {
        let (log, truth) = written(service, 60_000, 7);
        assert_eq!(log.lines().count(), 60_000);
        assert_eq!((truth.lines, truth.service), (60_000, service.name()));
        assert_eq!(
            truth.actors.iter().map(|actor| actor.lines).sum::<u64>(),
            60_000
        );
        let share = truth.hostile_lines * 100 / truth.lines;
        assert!(
            (25..=45).contains(&share),
            "{share} % of the lines are hostile"
        );

        let addresses: BTreeSet<_> = truth.actors.iter().map(|actor| &actor.address).collect();
        assert_eq!(
            addresses.len(),
            truth.actors.len(),
            "an address stands for one client"
        );
        for actor in &truth.actors {
            match actor.address.parse().unwrap() {
                std::net::IpAddr::V4(v4) => assert!(address::is_global(v4), "{v4}"),
                std::net::IpAddr::V6(v6) => {
                    assert!((0x2a01..0x2a10).contains(&v6.segments()[0]), "{v6}")
                }
            }
            assert!(actor.first_ms <= actor.last_ms);
            assert!(!(actor.benign && actor.loud), "{actor:?}");
        }
        for class in service.classes() {
            let seen = truth
                .actors
                .iter()
                .filter(|actor| actor.class == class.name);
            let loud = seen.clone().filter(|actor| actor.loud).count();
            assert!(seen.count() > 0, "{} takes part", class.name);
            let quiet = class.benign || ["stealth", "spray", "distributed"].contains(&class.name);
            assert_eq!(loud == 0, quiet, "{} has {loud} loud ones", class.name);
        }
    }

    #[test]
    fn an_sshd_log_holds_every_class() {
        check(Service::Sshd);
    }

    #[test]
    fn an_nginx_log_holds_every_class() {
        check(Service::Nginx);
    }

    #[test]
    fn one_seed_gives_one_log() {
        let (log, _) = written(Service::Sshd, 3000, 3);
        assert!(log == written(Service::Sshd, 3000, 3).0);
        assert!(log != written(Service::Sshd, 3000, 4).0);
    }

    #[test]
    fn lines_are_in_order_of_time() {
        let mut corpus = Corpus::new(Wanted::new(Service::Nginx, 20_000, 5));
        let mut before = 0;
        while let Some((at, _)) = corpus.next_line() {
            assert!(before <= at);
            before = at;
        }
    }

    #[test]
    fn six_tries_in_ten_minutes_are_loud() {
        let loud = |pause_ms: u64, tries: u64| {
            let mut record = Record::new("192.0.2.1".to_owned(), "x", false, truth::LOUD_TRIES);
            (0..tries).for_each(|number| record.note(1_000_000 + number * pause_ms, 1));
            record.loud
        };
        assert!(loud(120_000, 6));
        assert!(!loud(120_001, 60));
        assert!(!loud(1, 5));
    }
}
