//! The world: one clock, one queue of (time, what is due), hosts, and the clients that write to their logs.
//!
//! A client visits one host, an attacker up to three of them with the same address. Time goes from one entry of
//! the queue to the next; nothing happens in between.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use lymph_node::engine::Action;
use lymph_protocol::Timestamp;
use lymph_scenarios::bundled;
use sha2::{Digest, Sha256};

use crate::checkers;
use crate::corpus::address::Addresses;
use crate::corpus::chance::Chance;
use crate::corpus::{Birth, Class, Pen, Record, Service, Step, Wanted, Written};
use crate::host::Host;
use crate::measures::{Measures, Visit};

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) hosts: u64,
    pub(crate) hours: u64,
    pub(crate) seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            hosts: 5,
            hours: 6,
            seed: 1,
        }
    }
}

/// The generated logs are those of a busy machine; a host here sees one client in so many of theirs.
const QUIETER: u64 = 12;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A client writes a line, if the host still hears it.
    Line {
        visit: usize,
        tries: u16,
        text: String,
    },
    /// A client goes on.
    Step { visit: usize },
    /// A new client comes to a host.
    Arrival {
        host: usize,
        service: usize,
        class: usize,
    },
    /// A host's engine wants to be woken.
    Alarm { host: usize },
}

struct Guest {
    host: usize,
    service: Service,
    address: IpAddr,
    step: Option<Step>,
}

/// The world.
pub(crate) struct World {
    plan: Plan,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Due)>>,
    queued: u64,
    hosts: Vec<Host>,
    /// Who visits, by the number of the visit.
    guests: Vec<Guest>,
    visits: Vec<Visit>,
    chance: Chance,
    addresses: Addresses,
    hash: Sha256,
    actions: u64,
}

const SERVICES: [Service; 2] = [Service::Sshd, Service::Nginx];

impl World {
    /// A world in which nothing has happened yet.
    pub(crate) fn new(plan: &Plan) -> Result<Self, String> {
        let rules = Arc::new(bundled::rules().map_err(|error| error.to_string())?);
        let mut world = World {
            plan: plan.clone(),
            now_ms: Wanted::START_MS,
            queue: BinaryHeap::new(),
            queued: 0,
            hosts: (0..plan.hosts)
                .map(|number| Host::new(number as usize, &rules, plan.seed ^ number))
                .collect(),
            guests: Vec::new(),
            visits: Vec::new(),
            chance: Chance::new(plan.seed, 1),
            addresses: Addresses::new(plan.seed),
            hash: Sha256::new(),
            actions: 0,
        };
        for host in 0..world.hosts.len() {
            for (service, of) in SERVICES.into_iter().enumerate() {
                for (class, kind) in of.classes().iter().enumerate() {
                    for _ in 0..kind.standing.div_ceil(QUIETER) {
                        world.arrive(host, service, class);
                    }
                    world.expect_arrival(host, service, class);
                }
            }
            world.neighbour(host);
        }
        Ok(world)
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Result<Measures, String> {
        let end_ms = Wanted::START_MS + self.plan.hours * 3_600_000;
        while let Some(Reverse((at, _, due))) = self.queue.pop() {
            if at > end_ms {
                break;
            }
            self.now_ms = at;
            match due {
                Due::Line { visit, tries, text } => self.write(visit, tries, &text)?,
                Due::Step { visit } => self.step(visit),
                Due::Arrival {
                    host,
                    service,
                    class,
                } => {
                    self.arrive(host, service, class);
                    self.expect_arrival(host, service, class);
                }
                Due::Alarm { host } => self.alarm(host)?,
            }
        }
        for host in &self.hosts {
            checkers::end(host, self.now())?;
        }
        let hash = self
            .hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let lines = self.hosts.iter().map(|host| host.lines).sum();
        let Plan { hosts, hours, seed } = self.plan;
        Ok(Measures::new(
            (seed, hosts, hours),
            (lines, self.actions),
            hash,
            &self.visits,
        ))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms)
    }

    fn expect_arrival(&mut self, host: usize, service: usize, class: usize) {
        let per_day = SERVICES[service].classes()[class].per_day;
        if let Some(mean) = (86_400_000 * QUIETER).checked_div(per_day) {
            let pause = self.chance.pause(mean);
            self.enqueue(
                pause,
                Due::Arrival {
                    host,
                    service,
                    class,
                },
            );
        }
    }

    fn arrive(&mut self, host: usize, service: usize, class: usize) {
        let address = self.addresses.next();
        let kind = &SERVICES[service].classes()[class];
        let more = if kind.benign {
            0
        } else {
            self.chance.below(3) as usize
        };
        for other in 0..=more.min(self.hosts.len() - 1) {
            let host = (host + other) % self.hosts.len();
            let after = if other == 0 {
                0
            } else {
                self.chance.below(20 * 60_000)
            };
            self.visit(host, SERVICES[service], kind, &address, after);
        }
    }

    fn visit(
        &mut self,
        host: usize,
        service: Service,
        class: &'static Class,
        address: &str,
        after: u64,
    ) {
        let bystander = self.addresses.next_v4().to_string();
        let (now_ms, seed) = (self.now_ms, self.plan.seed);
        let step = (class.make)(&mut Birth {
            chance: &mut self.chance,
            now_ms,
            seed,
            bystander: &bystander,
        });
        let record = Record::new(
            address.to_owned(),
            class.name,
            class.benign,
            class.loud_tries,
        );
        self.welcome(host, service, record, step, after);
    }

    /// A machine of the local network whose backup job has an old password, for ever.
    fn neighbour(&mut self, host: usize) {
        let record = Record::new(format!("10.0.{host}.7"), "neighbour", true, 6);
        let mut step = None;
        let job: Step = Box::new(move |pen| {
            let class = SERVICES[0]
                .classes()
                .iter()
                .find(|class| class.name == "brute_force")?;
            let bystander = "192.0.2.1";
            let next = step.get_or_insert_with(|| {
                let mut birth = Birth {
                    chance: pen.chance,
                    now_ms: pen.now_ms,
                    seed: 0,
                    bystander,
                };
                (class.make)(&mut birth)
            })(pen);
            if next.is_none() {
                step = None;
            }
            Some(next.unwrap_or(600_000))
        });
        self.welcome(host, Service::Sshd, record, job, 0);
    }

    fn welcome(&mut self, host: usize, service: Service, record: Record, step: Step, after: u64) {
        let visit = self.visits.len();
        let address = record.address.parse().expect("clients have addresses");
        self.guests.push(Guest {
            host,
            service,
            address,
            step: Some(step),
        });
        self.visits.push(Visit {
            record,
            first_try_ms: None,
            banned_ms: None,
            refused: 0,
        });
        self.enqueue(after, Due::Step { visit });
    }

    fn step(&mut self, visit: usize) {
        let guest = &mut self.guests[visit];
        let Some(step) = &mut guest.step else { return };
        let host = &mut self.hosts[guest.host];
        let mut written = Vec::new();
        let next = step(&mut Pen {
            chance: &mut self.chance,
            address: &self.visits[visit].record.address,
            now_ms: self.now_ms,
            style: &host.style,
            pids: &mut host.pids,
            written: &mut written,
        });
        if next.is_none() {
            guest.step = None;
        }
        for Written { at_ms, tries, text } in written {
            self.enqueue(at_ms - self.now_ms, Due::Line { visit, tries, text });
        }
        if let Some(pause) = next {
            self.enqueue(pause.max(1), Due::Step { visit });
        }
    }

    fn write(&mut self, number: usize, tries: u16, text: &str) -> Result<(), String> {
        let now = self.now();
        let (guest, visit) = (&self.guests[number], &mut self.visits[number]);
        let host = &mut self.hosts[guest.host];
        if host.refuses(guest.address, now) {
            visit.refused += 1;
            return Ok(());
        }
        visit.record.note(self.now_ms, tries);
        if tries > 0 {
            visit.first_try_ms.get_or_insert(self.now_ms);
        }
        let (at, actions) = (guest.host, host.read(guest.service, text, now));
        self.obey(at, actions)?;
        let (guest, visit) = (&self.guests[number], &mut self.visits[number]);
        if visit.banned_ms.is_none() && self.hosts[at].refuses(guest.address, now) {
            visit.banned_ms = Some(self.now_ms);
        }
        Ok(())
    }

    fn alarm(&mut self, at: usize) -> Result<(), String> {
        let now = self.now();
        let host = &mut self.hosts[at];
        if host.alarm.is_some_and(|alarm| alarm > now) {
            return Ok(());
        }
        host.alarm = None;
        let actions = host.tick(now);
        self.obey(at, actions)
    }

    fn obey(&mut self, at: usize, actions: impl IntoIterator<Item = Action>) -> Result<(), String> {
        let now = self.now();
        for action in actions {
            checkers::action(&action, now)?;
            self.hosts[at].obey(&action, &mut self.hash);
            self.actions += 1;
        }
        checkers::host(&self.hosts[at], now)?;
        let host = &mut self.hosts[at];
        let deadline = host.engine.next_deadline().map(|(deadline, _)| deadline);
        if let Some(deadline) =
            deadline.filter(|deadline| host.alarm.is_none_or(|alarm| *deadline < alarm))
        {
            host.alarm = Some(deadline);
            let pause = deadline.millis().saturating_sub(self.now_ms).max(1);
            self.enqueue(pause, Due::Alarm { host: at });
        }
        Ok(())
    }

    fn enqueue(&mut self, after: u64, due: Due) {
        self.queued += 1;
        self.queue
            .push(Reverse((self.now_ms + after, self.queued, due)));
    }
}
