//! What a fleet of built programs does: from the deciding line on one machine to the order at the firewall of another, and
//! what a machine with 20 siblings takes when nothing happens; and how fast a late joiner catches up with 100,000 reports:
//! `cargo bench -p lymph-node --bench fleet [-- TRIALS]`.
//!
//! The daemons speak libp2p over loopback. The other machine's firewall is a program of the operator's that writes down what
//! it is told, so that nothing here needs root; what nftables adds to that stands with the firewall's own figures. The late
//! joiner and whom it asks are two nodes in this process, with real connections between them.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures the time that passes"
)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lymph_node::daemon::net::{Acceptance, MessageHandle, Net, NetConfig, Order, Word};
use lymph_node::engine::mesh::{
    Consent, Effect, Identity, Input, Judgement, Mesh, MeshLimits, Net as Wish,
};
use lymph_protocol::audience::Audience;
use lymph_protocol::family::Family;
use lymph_protocol::report::{Evidence, Report, RuleHash, Slot};
use lymph_protocol::signed::{Keypair, Object};
use lymph_protocol::{Subject, Timestamp};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(60);
const LATE_OBJECTS: u32 = 100_000;

fn main() {
    let trials = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(30);
    line_to_remote(trials);
    at_rest(20);
    late_joiner();
}

struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn start(config: &str, extra: &[&str]) -> Daemon {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("auth.log"), "").expect("a file can be made");
        let config = config.replace("FOLDER", &folder.path().display().to_string());
        fs::write(path("lymph.toml"), config).expect("a file can be made");
        let child = Command::new(env!("CARGO_BIN_EXE_lymph"))
            .arg("--state")
            .arg(path("state"))
            .arg("--config")
            .arg(path("lymph.toml"))
            .args(["run", "--listen", "/ip4/127.0.0.1/tcp/0", "--source"])
            .arg(format!("sshd={}", path("auth.log").display()))
            .args(extra)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let daemon = Daemon { child, folder };
        daemon.until(|daemon| daemon.say(&["status"]).is_some());
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command prints; none if it fails.
    fn say(&self, arguments: &[&str]) -> Option<String> {
        let said = Command::new(env!("CARGO_BIN_EXE_lymph"))
            .arg("--state")
            .arg(self.path("state"))
            .args(arguments)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        said.status.success().then_some(text)
    }

    fn until(&self, is_so: impl Fn(&Daemon) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < PATIENCE, "it takes too long");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn join(&self, first: &Daemon) {
        let ticket = || first.say(&["invite", "--fleet", "--json"]);
        self.until(|_| first.say(&["peers"]).is_some());
        let mut text = ticket();
        let started = Instant::now();
        while text.is_none() {
            assert!(started.elapsed() < PATIENCE, "no ticket");
            thread::sleep(Duration::from_millis(100));
            text = ticket();
        }
        let text = text.expect("a ticket");
        let ticket = text.split('"').nth(3).expect("a ticket").to_owned();
        self.say(&["join", &ticket]).expect("it joins");
    }
}

fn line_to_remote(trials: usize) {
    let one = Daemon::start("", &["--firewall", "dry-run"]);
    let program = "firewall_command = [\"/bin/sh\", \"-c\", \"cat > FOLDER/orders\"]\n";
    let two = Daemon::start(program, &["--firewall", "command"]);
    two.join(&one);
    thread::sleep(Duration::from_secs(3));
    let mut delays: Vec<Duration> = (0..trials).map(|trial| remote(&one, &two, trial)).collect();
    delays.sort_unstable();
    let ms = |delay: Duration| delay.as_secs_f64() * 1000.0;
    println!(
        "line on one machine to the order at another's firewall: median {:.1} ms, nine in ten within {:.1} ms, {:.1} to {:.1} ms ({trials} trials)",
        ms(delays[delays.len() / 2]),
        ms(delays[delays.len() * 9 / 10]),
        ms(delays[0]),
        ms(delays[delays.len() - 1])
    );
}

fn remote(one: &Daemon, two: &Daemon, trial: usize) -> Duration {
    let address = format!("45.9.{}.{}", trial / 250, trial % 250 + 1);
    let lines: String = (0..7)
        .map(|n| {
            format!(
                "{} host sshd[{}]: Failed password for root from {address} port {} ssh2\n",
                stamp(),
                10_000 + trial * 10 + n,
                50_000 + n
            )
        })
        .collect();
    let mut log = OpenOptions::new()
        .append(true)
        .open(one.path("auth.log"))
        .expect("the log is there");
    let needle = format!("\"{address}\"");
    let started = Instant::now();
    log.write_all(lines.as_bytes()).expect("it can be written");
    while !fs::read_to_string(two.path("orders"))
        .unwrap_or_default()
        .contains(&needle)
    {
        assert!(started.elapsed() < PATIENCE, "{address} never came");
        thread::sleep(Duration::from_micros(500));
    }
    let delay = started.elapsed();
    thread::sleep(Duration::from_millis(300));
    delay
}

/// Now, as syslog writes it.
fn stamp() -> String {
    let said = Command::new("date")
        .arg("+%b %e %H:%M:%S")
        .output()
        .expect("date is there");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn at_rest(siblings: usize) {
    let first = Daemon::start("", &["--firewall", "dry-run"]);
    let others: Vec<_> = (0..siblings)
        .map(|_| {
            let other = Daemon::start("", &["--firewall", "dry-run"]);
            other.join(&first);
            other
        })
        .collect();
    thread::sleep(Duration::from_secs(45));
    let connected = first.say(&["peers", "--json"]).unwrap_or_default();
    let connected = connected.matches("\"connected\":true").count();
    let pids: Vec<_> = [&first]
        .into_iter()
        .chain(&others)
        .map(|daemon| daemon.child.id())
        .collect();
    let before: u64 = pids.iter().map(|pid| cpu_ms(*pid)).sum();
    let (own, started) = (cpu_ms(pids[0]), Instant::now());
    thread::sleep(Duration::from_secs(60));
    let seconds = started.elapsed().as_secs_f64();
    let own = cpu_ms(pids[0]) - own;
    let all: u64 = pids.iter().map(|pid| cpu_ms(*pid)).sum::<u64>() - before;
    let memory: Vec<_> = pids.iter().map(|pid| resident_kib(*pid)).collect();
    println!(
        "at rest with {connected} siblings connected: {} KiB resident (all {}: {} to {} KiB), {:.2} % of a core ({:.2} % on average over all)",
        memory[0],
        pids.len(),
        memory.iter().min().expect("one"),
        memory.iter().max().expect("one"),
        own as f64 / seconds / 10.0,
        all as f64 / pids.len() as f64 / seconds / 10.0
    );
}

fn cpu_ms(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after_name = text.rsplit(") ").next().unwrap_or_default();
    let fields = after_name.split(' ').skip(11).take(2);
    fields
        .filter_map(|field| field.parse::<u64>().ok())
        .sum::<u64>()
        * 10
}

fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A node in this process: a mesh and a wire, and what passes between them.
struct Here {
    mesh: Mesh,
    net: Net,
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    Timestamp::from_millis(since.as_millis() as u64)
}

impl Here {
    fn new(number: u8) -> Here {
        let secret = [number; 32];
        let identity = Identity {
            keypair: Keypair::from_secret(&secret),
            transport: Keypair::from_secret(&secret).transport_id(),
            name: String::new(),
            host: String::new(),
            sequence: 0,
        };
        let mut mesh = Mesh::new(identity, MeshLimits::default(), u64::from(number), now());
        let mut config = NetConfig::new(Zeroizing::new(secret));
        config.listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
        config.memory_bytes_max = usize::MAX;
        let net = Net::start(config).expect("it starts");
        let mut here = {
            let effects = mesh.share(Audience::Public, Consent::BOTH, now()).1;
            let mut here = Here { mesh, net };
            here.carry(effects);
            here
        };
        let effects = here.mesh.start(now());
        here.carry(effects);
        here
    }

    fn carry(&mut self, effects: Vec<Effect>) {
        let mut effects: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = effects.pop_front() {
            let Effect::Net(wish) = effect else { continue };
            let order = match wish {
                Wish::Verify { number, object } => {
                    let object = object.verify();
                    effects.extend(self.mesh.handle(Input::Verified { number, object }, now()));
                    continue;
                }
                Wish::Judge { message, verdict } => Order::Judge {
                    message: MessageHandle::from_number(message),
                    verdict: match verdict {
                        Judgement::Accept => Acceptance::Accept,
                        Judgement::Ignore => Acceptance::Ignore,
                        Judgement::Reject => Acceptance::Reject,
                    },
                },
                Wish::Join(topic) => Order::Join {
                    topic,
                    flood: false,
                },
                Wish::Leave(topic) => Order::Leave { topic },
                Wish::Publish { topic, bytes } => Order::Publish { topic, bytes },
                Wish::Befriend {
                    peer,
                    addresses,
                    is_mutual,
                } => Order::Befriend {
                    peer,
                    addresses,
                    explicit: is_mutual,
                },
                Wish::Unfriend(peer) => Order::Unfriend { peer },
                Wish::Score { peer, score } => Order::Score {
                    peer,
                    score: score.into(),
                },
                Wish::Block(peer) => Order::Block { peer },
                Wish::Unblock(peer) => Order::Unblock { peer },
                Wish::Ask {
                    number,
                    peer,
                    addresses,
                    bytes,
                } => Order::Ask {
                    id: number,
                    peer,
                    addresses,
                    bytes,
                },
                Wish::Reply { channel, bytes } => Order::Reply { channel, bytes },
            };
            assert!(self.net.order(order), "the wire is behind");
        }
    }

    /// Take in what comes within a moment, and do what is due.
    async fn step(&mut self) {
        let pause = Duration::from_millis(5);
        if let Ok(Some(word)) = tokio::time::timeout(pause, self.net.word()).await {
            let input = match word {
                Word::Listening { address } => Some(Input::Reachable(vec![address])),
                Word::Connected { peer, .. } => Some(Input::Connected(peer)),
                Word::Disconnected { peer } => Some(Input::Disconnected(peer)),
                Word::Message {
                    message,
                    from,
                    topic,
                    bytes,
                } => Some(Input::Frame {
                    message: message.number(),
                    from,
                    topic,
                    bytes,
                }),
                Word::Asked {
                    channel,
                    from,
                    bytes,
                } => Some(Input::Asked {
                    channel,
                    from,
                    bytes,
                }),
                Word::Answered { id, answer, .. } => Some(Input::Answered { number: id, answer }),
                _ => None,
            };
            if let Some(input) = input {
                let effects = self.mesh.handle(input, now());
                self.carry(effects);
            }
        }
        if self.mesh.next_deadline().0 <= now() {
            let effects = self.mesh.tick(now());
            self.carry(effects);
        }
    }
}

/// Two who are friends, one with 100,000 live reports of many authors and one with none.
fn late_joiner() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut old, mut new) = (Here::new(1), Here::new(2));
        while old.mesh.addresses().is_empty() || new.mesh.addresses().is_empty() {
            old.step().await;
            new.step().await;
        }
        let slot = Slot::of(now());
        for number in 0..LATE_OBJECTS {
            let author = number % 1_000;
            let mut secret = [9; 32];
            secret[..4].copy_from_slice(&author.to_le_bytes());
            let report = Report {
                subject: Subject::V4(Ipv4Addr::from(0x2d00_0000 + number)),
                family: Family::SSH_AUTH,
                rule: RuleHash([1; 8]),
                evidence: Evidence::Handshake,
                count_log2: 3,
                slot,
                ttl_hours: 24,
                seq: now().millis() + u64::from(number),
            };
            let said = Keypair::from_secret(&secret).sign(Object::Report(report), Audience::Public).expect("a report");
            old.mesh.remember(&said, now());
        }
        let have = old.mesh.shelf().len();
        let (ticket, effects) = old
            .mesh
            .invite(lymph_protocol::ticket::Relation::Friend, 1, PATIENCE, [1; 16], [2; 32], now())
            .expect("a ticket");
        old.carry(effects);
        let started = Instant::now();
        let (_, effects) = new.mesh.join(&ticket, now()).expect("it joins");
        new.carry(effects);
        let mut at_99 = None;
        while started.elapsed() < PATIENCE * 5 && new.mesh.shelf().reports() < LATE_OBJECTS as usize {
            old.step().await;
            new.step().await;
            if at_99.is_none() && new.mesh.shelf().reports() >= LATE_OBJECTS as usize / 100 * 99 {
                at_99 = Some(started.elapsed());
            }
        }
        println!(
            "a late joiner among {have} live reports holds 99 % after {:.1} s and {} of them after {:.1} s; both sides, and all signatures, on one core",
            at_99.map_or(f64::NAN, |at| at.as_secs_f64()),
            new.mesh.shelf().reports(),
            started.elapsed().as_secs_f64()
        );
    });
}
