//! The program and its daemon, as tests start them, and log lines that are written now.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::lab::{Running, eventually};

/// The program, with nothing of this machine's own configuration.
pub(crate) fn lymph(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lymph"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("COLUMNS", "200")
        .env("TZ", "UTC")
        .env_remove("RUST_LOG");
    command
}

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("what is printed is UTF-8"),
            err: String::from_utf8(output.stderr).expect("errors are UTF-8"),
        }
    }

    /// One JSON value a line.
    pub(crate) fn json_lines(&self) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// The one JSON value.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Runs a command to its end.
pub(crate) fn say(arguments: &[&str]) -> Said {
    Said::of(lymph(arguments).output().unwrap())
}

/// The same with something on the standard input.
pub(crate) fn say_to(arguments: &[&str], input: &[u8]) -> Said {
    let mut command = lymph(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Whoever ends early does not read to the end.
        scope.spawn(move || drop(stdin.write_all(input)));
        Said::of(child.wait_with_output().unwrap())
    })
}

/// A daemon on a state folder of its own.
pub(crate) struct Daemon {
    process: Running,
    pub(crate) state: PathBuf,
}

impl Daemon {
    /// Starts one and waits until it serves.
    pub(crate) fn start(state: &Path, arguments: &[&str]) -> Daemon {
        Daemon::start_in(state, arguments, "UTC")
    }

    /// The same on a machine in another time zone.
    pub(crate) fn start_in(state: &Path, arguments: &[&str], zone: &str) -> Daemon {
        let daemon = Daemon::start_unready(state, arguments, zone);
        eventually(30, || (daemon.say(&["status"]).code == 0).then_some(()))
            .unwrap_or_else(|| panic!("the daemon does not serve:\n{}", daemon.told()));
        daemon
    }

    fn start_unready(state: &Path, arguments: &[&str], zone: &str) -> Daemon {
        let log = state.with_extension("out");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let mut command = lymph(&["--state", state.to_str().unwrap(), "run"]);
        // Nothing here may touch the firewall of the machine that runs the tests.
        if !arguments.contains(&"--firewall") {
            command.args(["--firewall", "dry-run"]);
        }
        // Nor talk to anybody, but for the tests that say where.
        if !arguments.contains(&"--listen") && !arguments.contains(&"--no-mesh") {
            command.arg("--no-mesh");
        }
        command
            .args(arguments)
            .env("TZ", zone)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Daemon {
            process: Running(command.spawn().unwrap()),
            state: state.to_owned(),
        }
    }

    /// Asks it something.
    pub(crate) fn say(&self, arguments: &[&str]) -> Said {
        let mut all = vec!["--state", self.state.to_str().unwrap()];
        all.extend(arguments);
        say(&all)
    }

    /// What it has said so far.
    pub(crate) fn told(&self) -> String {
        fs::read_to_string(self.state.with_extension("out")).unwrap_or_default()
    }

    /// Who is decided about.
    pub(crate) fn decided(&self) -> Vec<String> {
        let decisions = self.say(&["decisions", "list", "--json"]).json();
        let subject = |row: &serde_json::Value| row["subject"].as_str().unwrap().to_owned();
        decisions.as_array().unwrap().iter().map(subject).collect()
    }

    /// Waits until somebody is.
    pub(crate) fn wait_for(&self, subject: &str) {
        eventually(20, || {
            self.decided().contains(&subject.to_owned()).then_some(())
        })
        .unwrap_or_else(|| panic!("{subject} is not decided about:\n{}", self.told()));
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> i32 {
        let pid = self.process.0.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let status = eventually(20, || self.process.0.try_wait().unwrap());
        status.expect("it ends when asked to").code().unwrap_or(-1)
    }

    /// Sends it a signal that should not end it.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Gives it no chance.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

/// Failed logins as sshd writes them now.
pub(crate) fn fail_to_log_in(log: &Path, address: &str, times: u32) {
    let mut file = open(log);
    for n in 0..times {
        let (time, pid) = (crate::services::now(), 3000 + n);
        let text = format!(
            "{time} web1 sshd[{pid}]: Failed password for root from {address} port {} ssh2\n",
            40_000 + n
        );
        file.write_all(text.as_bytes()).unwrap();
    }
}

/// The same in the classic format, whose dates have neither a year nor a zone, on a machine in this zone.
pub(crate) fn fail_to_log_in_at(zone: &str, log: &Path, address: &str, times: u32) {
    let date = Command::new("date")
        .arg("+%b %e %H:%M:%S")
        .envs([("LC_ALL", "C"), ("TZ", zone)])
        .output();
    let now = String::from_utf8(date.unwrap().stdout).unwrap();
    let line = |n: u32| {
        format!(
            "{} web1 sshd[{}]: Failed password for root from {address} port {} ssh2\n",
            now.trim_end(),
            3000 + n,
            40_000 + n
        )
    };
    let text: String = (0..times).map(line).collect();
    open(log).write_all(text.as_bytes()).unwrap();
}

fn open(log: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap()
}

/// Seven failed logins of one address within seconds, at a fixed time, and a line of somebody else.
pub(crate) const ATTACK: &str = "\
2026-03-01T10:00:00+00:00 web1 sshd[801]: Failed password for root from 203.0.113.9 port 4001 ssh2
2026-03-01T10:00:01+00:00 web1 sshd[802]: Failed password for root from 203.0.113.9 port 4002 ssh2
2026-03-01T10:00:02+00:00 web1 sshd[803]: Failed password for root from 203.0.113.9 port 4003 ssh2
2026-03-01T10:00:02+00:00 web1 sshd[810]: Failed password for alice from 198.51.100.7 port 4444 ssh2
2026-03-01T10:00:03+00:00 web1 sshd[804]: Failed password for root from 203.0.113.9 port 4004 ssh2
2026-03-01T10:00:04+00:00 web1 sshd[805]: Failed password for root from 203.0.113.9 port 4005 ssh2
2026-03-01T10:00:05+00:00 web1 sshd[806]: Failed password for root from 203.0.113.9 port 4006 ssh2
2026-03-01T10:00:06+00:00 web1 sshd[807]: Failed password for root from 203.0.113.9 port 4007 ssh2
";
