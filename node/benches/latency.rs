//! From the write of the deciding line to the decision, and what a resting daemon takes, measured on the built
//! program: `cargo bench -p lymph-node --bench latency [-- TRIALS]`.
//!
//! A trial appends six failed logins of a new address to a watched file in one write, and waits for the daemon to
//! tell of its decision about that address. The daemon runs with every bundled rule and a state folder of its own.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures the time that passes"
)]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

struct Daemon {
    child: Child,
    said: Receiver<(Instant, String)>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    let trials = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(30);
    let dir = tempfile::tempdir().expect("there is room for a folder");
    let log = dir.path().join("auth.log");
    fs::write(&log, "").expect("a file can be made");
    let daemon = start(dir.path(), &log);
    thread::sleep(Duration::from_secs(5));
    println!(
        "memory at rest, no line read yet: {} KiB resident",
        resident_kib(daemon.child.id())
    );

    let mut delays: Vec<Duration> = (0..trials)
        .map(|trial| trial_of(&daemon, &log, trial))
        .collect();
    delays.sort_unstable();
    let ms = |delay: Duration| format!("{:.1}", delay.as_secs_f64() * 1000.0);
    let (least, half, most) = (
        delays[0],
        delays[delays.len() / 2],
        delays[delays.len() - 1],
    );
    let nine_in_ten = delays[delays.len() * 9 / 10];
    println!(
        "line to decision: median {} ms, nine in ten within {} ms, {} to {} ms ({trials} trials)",
        ms(half),
        ms(nine_in_ten),
        ms(least),
        ms(most)
    );
    thread::sleep(Duration::from_secs(5));
    let (before, started) = (cpu_ms(daemon.child.id()), Instant::now());
    thread::sleep(Duration::from_secs(30));
    let used = cpu_ms(daemon.child.id()) - before;
    println!(
        "at rest after that: {} KiB resident, {used} CPU ms in {} s",
        resident_kib(daemon.child.id()),
        started.elapsed().as_secs()
    );
}

fn start(dir: &Path, log: &Path) -> Daemon {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lymph"));
    command
        .arg("--state")
        .arg(dir.join("state"))
        .arg("run")
        .args(["--firewall", "dry-run"])
        .arg("--source")
        .arg(format!("sshd={}", log.display()));
    let (tell, said) = sync_channel(10_000);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lymph starts");
    let (out, err) = (
        child.stdout.take().expect("piped"),
        child.stderr.take().expect("piped"),
    );
    let other = tell.clone();
    thread::spawn(move || listen(out, &|line| tell.send(line).is_ok()));
    thread::spawn(move || listen(err, &|line| other.send(line).is_ok()));
    let daemon = Daemon { child, said };
    daemon
        .said
        .recv_timeout(PATIENCE)
        .expect("lymph says what it watches");
    daemon
}

fn listen(from: impl std::io::Read, tell: &dyn Fn((Instant, String)) -> bool) {
    let mut lines = BufReader::new(from).lines();
    while let Some(Ok(line)) = lines.next() {
        if !tell((Instant::now(), line)) {
            return;
        }
    }
}

fn trial_of(daemon: &Daemon, log: &Path, trial: u32) -> Duration {
    let address = format!("198.18.{}.{}", trial / 200, 1 + trial % 200);
    // Another phase of whatever the daemon does by the clock, in each trial.
    thread::sleep(Duration::from_millis(300 + u64::from(trial) * 37 % 700));
    let time = now();
    let lines: String = (0..6)
        .map(|number| {
            format!(
                "{time} web1 sshd[{}]: Failed password for root from {address} port {} ssh2\n",
                9000 + trial * 10 + number,
                40_000 + number
            )
        })
        .collect();
    let mut file = OpenOptions::new()
        .append(true)
        .open(log)
        .expect("the file is there");
    let written = Instant::now();
    file.write_all(lines.as_bytes())
        .expect("the file takes lines");
    loop {
        let (at, line) = daemon
            .said
            .recv_timeout(PATIENCE)
            .expect("a decision comes");
        if line.contains(&address) {
            return at.duration_since(written);
        }
    }
}

fn now() -> String {
    let output = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%S.%6N+00:00"])
        .output()
        .expect("there is date(1)");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let row = text
        .lines()
        .find(|row| row.starts_with("VmRSS:"))
        .expect("there is such a row");
    row.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

/// User and system time, in steps of 10 ms.
fn cpu_ms(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<u64> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .filter_map(|field| field.parse().ok())
        .collect();
    // After the name: state is no number, so utime and stime are the 11th and 12th of the numbers.
    (fields[10] + fields[11]) * 10
}
