//! Real servers, real log files, rotation and kill -9: what the running daemon decides about all of it.
//!
//! Wherever a test asks whether a line was lost, every attacker makes exactly as many tries as it takes: a single
//! line lost anywhere is an attacker missing among the decisions.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::lab::{Lab, Running, eventually, skipped};

/// So many failed logins within seconds make an attacker.
const TRIES: usize = 6;

/// Paths that nobody asks for who means well.
const PROBES: [&str; 14] = [
    "/phpmyadmin/index.php",
    "/.env",
    "/.git/config",
    "/wp-admin/setup-config.php",
    "/cgi-bin/luci",
    "/manager/html",
    "/actuator/health",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/backup.sql",
    "/shell.php",
    "/adminer.php",
    "/.aws/credentials",
    "/HNAP1/",
    "/owa/auth/logon.aspx",
];

struct Daemon {
    process: Running,
    state: PathBuf,
}

impl Daemon {
    fn start(mut command: Command, state: &Path, sources: &[(&str, &Path)]) -> Daemon {
        command.arg("--state").arg(state);
        command.args(["run", "--no-mesh"]);
        // Only who is decided about is asked here, and the machine's own firewall is nobody's business.
        command.args(["--firewall", "dry-run"]);
        for (kind, path) in sources {
            command
                .arg("--source")
                .arg(format!("{kind}={}", path.display()));
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(state.with_extension("out"))
            .unwrap();
        let errors = log.try_clone().unwrap();
        let process = Running(
            command
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(errors)
                .spawn()
                .unwrap(),
        );
        Daemon {
            process,
            state: state.to_owned(),
        }
    }

    /// Starts here and waits until it answers.
    fn start_ready(command: Command, state: &Path, sources: &[(&str, &Path)]) -> Daemon {
        let daemon = Daemon::start(command, state, sources);
        eventually(30, || decisions(&daemon.state)).expect("the daemon answers");
        daemon
    }
}

fn lymph() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lymph"))
}

/// Who is decided about, if the daemon answers.
fn decisions(state: &Path) -> Option<BTreeSet<String>> {
    let output = lymph()
        .arg("--state")
        .arg(state)
        .args(["decisions", "list", "--json"])
        .output()
        .unwrap();
    if !output.status.success() {
        return None;
    }
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let subject = |row: &serde_json::Value| {
        row["subject"]
            .as_str()
            .or(row["target"].as_str())
            .map(str::to_owned)
    };
    Some(rows.as_array()?.iter().filter_map(subject).collect())
}

fn wait_for(state: &Path, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    eventually(30, || {
        decisions(state).filter(|decided| decided.is_superset(wanted))
    })
    .unwrap_or_else(|| decisions(state).unwrap_or_default())
}

fn told(state: &Path) -> String {
    fs::read_to_string(state.with_extension("out")).unwrap_or_default()
}

#[test]
fn real_sshd_and_nginx_logs_become_decisions() {
    let mut lab = match Lab::new() {
        Ok(lab) => lab,
        Err(reason) => return skipped(&reason),
    };
    let auth = lab.start_sshd();
    let (access, nginx) = lab.start_nginx();
    let state = lab.path("state");
    let command = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
    let _daemon = Daemon::start_ready(command, &state, &[("sshd", &auth), ("nginx", &access)]);

    lab.fail_to_log_in("198.18.1.11", "root", 7);
    lab.fail_to_log_in("198.18.1.12", "nosuchuser", 7);
    lab.fail_to_log_in("198.18.1.13", "root", 2);
    lab.request("198.18.1.21", &PROBES);
    lab.request(
        "198.18.1.22",
        &["/", "/index.html", "/favicon.ico", "/", "/", "/", "/", "/"],
    );
    let wanted = ["198.18.1.11", "198.18.1.12", "198.18.1.21"]
        .map(str::to_owned)
        .into();
    let decided = wait_for(&state, &wanted);
    assert_eq!(
        decided,
        wanted,
        "{}\n{}\n{}",
        told(&state),
        fs::read_to_string(&auth).unwrap(),
        fs::read_to_string(&access).unwrap()
    );

    // As logrotate does it for nginx: rename, then tell it to open the log anew, while requests come in.
    let wanted: BTreeSet<String> = (31..41)
        .map(|number| format!("198.18.1.{number}"))
        .collect();
    std::thread::scope(|scope| {
        for (number, half) in [&PROBES[..7], &PROBES[7..]].into_iter().enumerate() {
            for from in &wanted {
                scope.spawn(|| lab.request(from, half));
            }
            fs::rename(&access, lab.path(&format!("access.log.{number}"))).unwrap();
            assert!(
                Command::new("kill")
                    .args(["-USR1", &nginx.to_string()])
                    .status()
                    .unwrap()
                    .success()
            );
            eventually(5, || access.exists().then_some(())).expect("nginx opens its log anew");
        }
    });
    let decided = wait_for(&state, &wanted);
    assert!(
        decided.is_superset(&wanted),
        "{decided:?}\n{}",
        told(&state)
    );
}

/// Writes what sshd would: every attacker's tries, among those of ten others.
struct Writer {
    path: PathBuf,
    file: File,
    pid: u32,
}

impl Writer {
    fn new(path: &Path) -> Writer {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        Writer {
            path: path.to_owned(),
            file,
            pid: 1000,
        }
    }

    fn reopen(&mut self) {
        self.file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .unwrap();
    }

    fn fail(&mut self, address: &str) {
        self.pid += 1;
        let (time, pid) = (now(), self.pid);
        let line = format!(
            "{time} web1 sshd[{pid}]: Failed password for root from {address} port {} ssh2\n",
            20_000 + pid % 40_000
        );
        self.file.write_all(line.as_bytes()).unwrap();
    }
}

/// The time as rsyslog writes it.
#[expect(
    clippy::disallowed_methods,
    reason = "log lines that are written now say so"
)]
pub(crate) fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    crate::replay::corpus::clock::iso8601(since.as_millis() as u64)
}

fn attacker(group: usize, number: usize) -> String {
    format!("198.19.{group}.{}", number + 1)
}

#[test]
fn rotation_under_load_loses_no_line() {
    const GROUPS: usize = 12;
    const ATTACKERS: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let (log, state) = (dir.path().join("auth.log"), dir.path().join("state"));
    let mut writer = Writer::new(&log);
    let daemon = Daemon::start_ready(lymph(), &state, &[("sshd", &log)]);
    for group in 0..GROUPS {
        for round in 0..TRIES {
            for number in 0..ATTACKERS {
                writer.fail(&attacker(group, number));
                // In the midst of things, and at another place each time.
                if (round, number) != (group % TRIES, (group * 7) % ATTACKERS) {
                    continue;
                }
                if group % 2 == 0 {
                    // logrotate's create: what follows goes to the old file until the writer opens the new one.
                    fs::rename(&log, log.with_extension(format!("log.{group}"))).unwrap();
                    writer.fail(&attacker(group, 200));
                    File::create_new(&log).unwrap();
                    writer.fail(&attacker(group, 200));
                    writer.reopen();
                } else {
                    // logrotate's copytruncate. What is written in the last second before it may be lost, by nature.
                    sleep(Duration::from_millis(1500));
                    fs::copy(&log, log.with_extension(format!("log.{group}"))).unwrap();
                    OpenOptions::new()
                        .write(true)
                        .truncate(true)
                        .open(&log)
                        .unwrap();
                }
            }
        }
        sleep(Duration::from_millis(20));
    }
    let wanted: BTreeSet<String> = (0..GROUPS)
        .flat_map(|group| (0..ATTACKERS).map(move |number| attacker(group, number)))
        .collect();
    let decided = wait_for(&state, &wanted);
    let missing: Vec<_> = wanted.difference(&decided).collect();
    assert!(
        missing.is_empty(),
        "{} of {} missing: {missing:?}\n{}",
        missing.len(),
        wanted.len(),
        told(&state)
    );
    assert_eq!(decided.len(), wanted.len(), "nobody else is blamed");
    drop(daemon);
}

#[test]
fn twenty_times_kill_9_change_no_decision() {
    const SEED: u64 = 20_261_124;
    const KILLS: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    let (killed, undisturbed) = (dir.path().join("killed"), dir.path().join("undisturbed"));
    let mut writer = Writer::new(&log);
    let sources: &[(&str, &Path)] = &[("sshd", &log)];
    let _undisturbed = Daemon::start_ready(lymph(), &undisturbed, sources);
    let mut daemon = Daemon::start_ready(lymph(), &killed, sources);
    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    let mut wanted = BTreeSet::new();
    for kill in 0..KILLS {
        // Attackers with just enough tries and others with one too few, at work while the daemon dies and comes back.
        let lives_ms = 50 + chance.next_u64() % 1500;
        let dies_after = (chance.next_u64() % (TRIES as u64 * 20)) as usize;
        let mut written = 0;
        for round in 0..TRIES {
            for number in 0..20 {
                if number < 15 || round + 1 < TRIES {
                    writer.fail(&attacker(kill, number));
                }
                written += 1;
                if written == dies_after {
                    sleep(Duration::from_millis(lives_ms));
                    daemon.process.0.kill().unwrap();
                    daemon.process.0.wait().unwrap();
                    daemon = Daemon::start(lymph(), &killed, sources);
                }
            }
        }
        wanted.extend((0..15).map(|number| attacker(kill, number)));
    }
    let expected = wait_for(&undisturbed, &wanted);
    assert_eq!(
        expected,
        wanted,
        "the undisturbed one decides what it should\n{}",
        told(&undisturbed)
    );
    let decided = wait_for(&killed, &wanted);
    let missing: Vec<_> = wanted.difference(&decided).collect();
    let too_many: Vec<_> = decided.difference(&wanted).collect();
    assert!(
        missing.is_empty() && too_many.is_empty(),
        "seed {SEED}: missing {missing:?}, too many {too_many:?}\n{}",
        told(&killed)
    );
}
