//! What enforcing costs beside a plain `nft -f` of the same entries, how long it takes from a line in a log to a
//! dropped packet, and what a hundred thousand bans take in memory: `cargo bench -p lymph-node --bench firewall` as
//! root.
//!
//! It runs itself again in a network namespace of its own; the machine's own rules are not touched.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures the time that passes"
)]

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lymph_node::daemon::firewall::{Backend, Entry, Health, Measure, Nftables};
use lymph_node::engine::target::Target;

/// Holds the network namespace that the bench was started in.
const OUTSIDE: &str = "LYMPH_FIREWALL_OUTSIDE";
/// The address that a probe sends from.
const PROBE: &str = "LYMPH_FIREWALL_PROBE";
/// Where probes send to.
const TARGET: &str = "198.18.0.1:9999";
/// How often a probe sends. More often, it takes the processor from what it measures.
const PROBE_EVERY: Duration = Duration::from_millis(1);
/// Nothing for so long is silence.
const SILENCE: Duration = Duration::from_millis(300);
/// How many trials from a line to a dropped packet.
const TRIALS: usize = 30;
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let here = fs::read_link("/proc/self/ns/net").expect("a process has a namespace");
    if let Some(from) = std::env::var_os(PROBE) {
        return probe(&from.to_string_lossy());
    }
    match std::env::var_os(OUTSIDE) {
        Some(outside) => {
            assert_ne!(
                Path::new(&outside),
                here,
                "this must not run in the machine's namespace"
            );
            // First, since a kernel that still tidies up after half a million entries is slower for a while;
            // `-- drop` measures only this.
            from_line_to_drop();
            if !std::env::args().any(|argument| argument == "drop") {
                bench();
            }
            ExitCode::SUCCESS
        }
        None => {
            let own = std::env::current_exe().expect("the bench knows itself");
            let status = Command::new("unshare")
                .arg("-n")
                .arg(own)
                .args(std::env::args().skip(1))
                .env(OUTSIDE, here)
                .status();
            if status.is_ok_and(|status| status.success()) {
                return ExitCode::SUCCESS;
            }
            println!("SKIPPED: it needs root, unshare, nft and a kernel with nf_tables");
            ExitCode::FAILURE
        }
    }
}

fn bench() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let file = dir.path().join("plain.nft");
    let mut nftables = Nftables::new().expect("nftables can be used here");
    println!(
        "CPU is user and system time of this process and of nft; entries are IPv4 addresses with a timeout"
    );
    for (count, rounds) in [(10_000, 40), (100_000, 5), (500_000, 2)] {
        let entries = entries(count);
        fs::write(&file, plain(&entries)).expect("there is room for a file");
        let (mut ours, mut theirs) = (Cost::default(), Cost::default());
        for _ in 0..rounds {
            theirs += measure(|| nft(&file));
            ours += measure(|| nftables.replace(&entries).expect("it works"));
        }
        println!(
            "{count} entries in: {:.3} s CPU, {:.3} s wall; plain nft -f: {:.3} s CPU, {:.3} s wall; ratio of CPU {:.2} ({rounds} rounds)",
            ours.cpu / f64::from(rounds),
            ours.wall / f64::from(rounds),
            theirs.cpu / f64::from(rounds),
            theirs.wall / f64::from(rounds),
            ours.cpu / theirs.cpu
        );
    }
    in_a_full_set(&mut nftables, &dir.path().join("one.nft"));
    nftables.open().expect("it works");
    // What was compared with would drop the packets of what follows.
    shell("nft delete table inet plain");
}

/// Sends a packet now and then, until nobody wants any more.
fn probe(from: &str) -> ExitCode {
    let socket = UdpSocket::bind((from, 0)).expect("the address is here");
    loop {
        // A packet that is refused on its way is what this is about.
        let _ = socket.send_to(b"here", TARGET);
        thread::sleep(PROBE_EVERY);
    }
}

/// A daemon on this side, attackers on the other side of a cable.
fn from_line_to_drop() {
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let log = dir.path().join("auth.log");
    fs::write(&log, "").expect("a file can be made");
    let other_side = Child(
        Command::new("unshare")
            .args(["-n", "sleep", "600"])
            .spawn()
            .expect("a second namespace"),
    );
    thread::sleep(Duration::from_millis(500));
    let pid = other_side.0.id().to_string();
    shell(&format!(
        "ip link set lo up; ip link add here type veth peer name there; ip addr add 198.18.0.1/16 dev here; \
         ip link set here up; ip link set there netns {pid}; \
         nsenter -n -t {pid} sh -ec 'ip link set there up; for n in $(seq 1 {TRIALS}); do ip addr add 198.18.1.$n/16 dev there; done'"
    ));
    let mut command = Command::new(env!("CARGO_BIN_EXE_lymph"));
    command
        .arg("--state")
        .arg(dir.path().join("state"))
        .arg("run");
    command
        .arg("--source")
        .arg(format!("sshd={}", log.display()));
    command
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdout(Stdio::null());
    let out = fs::File::create(dir.path().join("out")).expect("there is room");
    let daemon = Child(command.stderr(out).spawn().expect("lymph starts"));
    thread::sleep(Duration::from_secs(3));

    let socket = UdpSocket::bind(TARGET).expect("the address is here");
    socket
        .set_read_timeout(Some(SILENCE))
        .expect("a timeout can be set");
    let own = std::env::current_exe().expect("the bench knows itself");
    let mut delays = Vec::new();
    for trial in 1..=TRIALS {
        let from = format!("198.18.1.{trial}");
        let mut probe = Command::new("nsenter");
        probe
            .args(["-n", "-t", &pid, "--"])
            .arg(&own)
            .env(PROBE, &from);
        let probe = Child(probe.spawn().expect("a probe starts"));
        let mut buffer = [0; 16];
        let began = Instant::now();
        let mut got = 0;
        while got < 100 {
            got += u32::from(socket.recv_from(&mut buffer).is_ok());
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{from} does not get through before"
            );
        }
        let time = now();
        let lines: String = (0..6)
            .map(|n| {
                format!(
                    "{time} web1 sshd[{}]: Failed password for root from {from} port {} ssh2\n",
                    1000 * trial + n,
                    4000 + n
                )
            })
            .collect();
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&log)
            .expect("it is there");
        std::io::Write::write_all(&mut file, lines.as_bytes()).expect("there is room");
        let written = Instant::now();
        let mut last = written;
        while socket.recv_from(&mut buffer).is_ok() {
            last = Instant::now();
            if last.duration_since(written) > Duration::from_secs(5) {
                let said = fs::read_to_string(dir.path().join("out")).unwrap_or_default();
                panic!("{from} is not dropped:\n{said}");
            }
        }
        delays.push(last.duration_since(written).as_secs_f64() * 1e3);
        drop(probe);
    }
    delays.sort_unstable_by(f64::total_cmp);
    println!(
        "line written to packet dropped: median {:.1} ms, nine in ten within {:.1} ms, {:.1} to {:.1} ms ({TRIALS} trials, a probe every ms)",
        delays[TRIALS / 2],
        delays[TRIALS * 9 / 10],
        delays[0],
        delays[TRIALS - 1]
    );

    println!(
        "memory with {TRIALS} bans: {} KiB resident",
        resident_kib(daemon.0.id())
    );
    let list: String = entries(100_000)
        .iter()
        .map(|(entry, _)| format!("{}\n", entry.target).replace("198.", "11."))
        .collect();
    fs::write(dir.path().join("list.txt"), list).expect("there is room");
    let began = Instant::now();
    let imported = Command::new(env!("CARGO_BIN_EXE_lymph"))
        .arg("--state")
        .arg(dir.path().join("state"))
        .args(["decisions", "import"])
        .arg(dir.path().join("list.txt"))
        .stdout(Stdio::null())
        .status();
    assert!(imported.is_ok_and(|imported| imported.success()));
    println!(
        "lymph decisions import of 100000, until they are on disk and in force: {:.2} s",
        began.elapsed().as_secs_f64()
    );
    println!(
        "memory with 100000 bans: {} KiB resident",
        resident_kib(daemon.0.id())
    );
}

/// A process that ends with the bench.
struct Child(process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shell(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status();
    assert!(status.is_ok_and(|status| status.success()), "{script}");
}

/// The time as rsyslog writes it.
fn now() -> String {
    let output = Command::new("date").args(["-u", "+%FT%T%:z"]).output();
    let text = output.expect("date tells the time").stdout;
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().split(' ').next()?.parse().ok())
        .unwrap_or_default()
}

/// Single operations with 100,000 entries in force.
fn in_a_full_set(nftables: &mut Nftables, file: &PathBuf) {
    let entries = entries(100_000);
    nftables.replace(&entries).expect("it works");
    let one = |number: u32| Entry {
        target: Target::of_address(IpAddr::V4(Ipv4Addr::new(
            198,
            20,
            0,
            number.to_le_bytes()[0],
        ))),
        measure: Measure::Ban,
    };
    let plain = median(20, |number| {
        let text =
            format!("add element inet lymph ban4_32 {{ 198.21.0.{number} timeout 3600s }}\n");
        fs::write(file, text).expect("there is room for a file");
        measure(|| nft(file)).wall
    });
    while nftables.check() != Health::Sound {}
    let ours = median(20, |number| {
        measure(|| {
            nftables
                .change(&[(one(number), Some(HOUR))])
                .expect("it works")
        })
        .wall
    });
    println!(
        "one more into 100000: median {:.2} ms; plain nft -f: {:.2} ms",
        ours * 1e3,
        plain * 1e3
    );
    let again = median(20, |number| {
        measure(|| {
            nftables
                .change(&[(one(number), Some(HOUR * 2))])
                .expect("it works")
        })
        .wall
    });
    let out = median(20, |number| {
        measure(|| nftables.change(&[(one(number), None)]).expect("it works")).wall
    });
    println!(
        "another time for one of them: median {:.2} ms; one out: {:.2} ms",
        again * 1e3,
        out * 1e3
    );
    let cost = measure(|| {
        for _ in 0..10_000 {
            assert_eq!(nftables.check(), Health::Sound);
        }
    });
    println!(
        "check, nothing changed: {:.1} us CPU",
        cost.cpu / 10_000.0 * 1e6
    );
    let looked = median(20, |number| {
        fs::write(file, format!("add table ip other{number}\n")).expect("there is room for a file");
        nft(file);
        measure(|| assert_eq!(nftables.check(), Health::Doubtful)).wall
    });
    println!(
        "check after somebody else's change: median {:.3} ms",
        looked * 1e3
    );
    let chunk: Vec<_> = entries[5000..6000]
        .iter()
        .map(|(entry, _)| *entry)
        .collect();
    let cost = measure(|| {
        for _ in 0..100 {
            let found = nftables.look(&chunk).expect("it works");
            assert!(found.into_iter().all(|found| found));
        }
    });
    println!(
        "looking for 1000 of 100000: {:.2} ms CPU, {:.2} ms wall",
        cost.cpu * 10.0,
        cost.wall * 10.0
    );
    let cost = measure(|| {
        for _ in 0..20 {
            nftables.hits().expect("it works");
        }
    });
    println!(
        "reading what was refused, nobody there: {:.1} ms CPU",
        cost.cpu / 20.0 * 1e3
    );
}

fn entries(count: u32) -> Vec<(Entry, Duration)> {
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    let entry = |number| Entry {
        target: Target::of_address(IpAddr::V4(Ipv4Addr::from(first + number))),
        measure: Measure::Ban,
    };
    (0..count).map(|number| (entry(number), HOUR)).collect()
}

/// What somebody would write by hand: a table, a set, one statement.
fn plain(entries: &[(Entry, Duration)]) -> String {
    let mut text = String::from(
        "add table inet plain\ndelete table inet plain\ntable inet plain {\nset banned { type ipv4_addr; flags timeout; }\n\
         chain input { type filter hook input priority mangle; ip saddr @banned drop; }\n}\nadd element inet plain banned {\n",
    );
    for (entry, rest) in entries {
        let _ = writeln!(text, "{} timeout {}s,", entry.target, rest.as_secs());
    }
    text.push_str("}\n");
    text
}

fn nft(file: &PathBuf) {
    let status = Command::new("nft")
        .arg("-f")
        .arg(file)
        .status()
        .expect("nft starts");
    assert!(status.success());
}

#[derive(Clone, Copy, Default)]
struct Cost {
    cpu: f64,
    wall: f64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.cpu += other.cpu;
        self.wall += other.wall;
    }
}

fn measure(work: impl FnOnce()) -> Cost {
    let (cpu, began) = (cpu_s(), Instant::now());
    work();
    Cost {
        wall: began.elapsed().as_secs_f64(),
        cpu: cpu_s() - cpu,
    }
}

fn median(rounds: u32, work: impl FnMut(u32) -> f64) -> f64 {
    let mut all: Vec<f64> = (0..rounds).map(work).collect();
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

/// User and system time of this process and of those that it has waited for, in steps of 10 ms.
fn cpu_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").expect("it runs");
    let after_name = text.rsplit(") ").next().unwrap_or_default();
    // State is the first of these, so utime, stime, cutime and cstime are the 12th to 15th.
    let ticks: u32 = after_name
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    f64::from(ticks) / 100.0
}
