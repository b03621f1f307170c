//! The running daemon: it decides, answers, remembers, refuses a second one, and gets over damage.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::lab::{eventually, skipped};
use crate::support::{Daemon, fail_to_log_in, fail_to_log_in_at, say};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn source(&self) -> String {
        format!("sshd={}", self.path("auth.log").display())
    }

    fn start(&self) -> Daemon {
        Daemon::start(
            &self.path("state"),
            &[
                "--source",
                &self.source(),
                "--firewall",
                "dry-run",
                "--no-mesh",
            ],
        )
    }

    fn attack(&self, address: &str) {
        fail_to_log_in(&self.path("auth.log"), address, 6);
    }
}

#[test]
fn failed_logins_become_a_decision_that_can_be_asked_about() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    let daemon = place.start();
    place.attack("203.0.113.9");
    place.attack("10.1.2.3");
    daemon.wait_for("203.0.113.9");
    assert_eq!(
        daemon.decided(),
        ["203.0.113.9"],
        "who is in a network of one's own is never decided about"
    );

    let decision = &daemon.say(&["decisions", "list", "--json"]).json()[0];
    assert_eq!(
        (&decision["kind"], &decision["origin"]),
        (&"ban".into(), &"lymph".into())
    );
    assert!(decision["seconds_left"].as_u64().unwrap() > 3500);
    assert!(
        daemon
            .say(&["decisions", "list"])
            .out
            .contains("203.0.113.9")
    );

    let alerts = daemon.say(&["alerts", "list", "--json"]).json();
    let alert = alerts
        .as_array()
        .unwrap()
        .iter()
        .find(|alert| alert["scenario"] == "lymph/ssh-bf" && alert["subject"] == "203.0.113.9")
        .unwrap();
    assert_eq!(alert["outcome"], "ban");
    let inspected = daemon
        .say(&["alerts", "inspect", alert["id"].as_str().unwrap(), "--json"])
        .json();
    assert_eq!(&inspected, alert);
    assert_eq!(
        daemon.say(&["alerts", "inspect", "0000000000000000"]).code,
        1
    );

    let why = daemon.say(&["why", "203.0.113.9"]);
    assert!(
        why.out.contains("under a ban by lymph") && why.out.contains("lymph unban 203.0.113.9"),
        "{}",
        why.out
    );
    assert_eq!(
        daemon.say(&["why", "::ffff:203.0.113.9", "--json"]).json()["visits"],
        1
    );
    assert!(
        daemon
            .say(&["why", "10.1.2.3"])
            .out
            .contains("is never blocked: it is private")
    );
    assert_eq!(
        daemon.say(&["why", "192.0.2.200"]).out.lines().next(),
        Some("nothing is known about 192.0.2.200")
    );

    let status = daemon.say(&["status", "--json"]).json();
    assert_eq!(
        (&status["decisions"], &status["counters"]["lines"]),
        (&1.into(), &12.into())
    );
    assert_eq!(status["enforcing"], false);
    assert_eq!(status["pid"], daemon.pid());
    assert!(daemon.say(&["status"]).out.contains("Nobody is blocked"));

    assert!(
        daemon
            .say(&["unban", "203.0.113.9"])
            .out
            .contains("lifted: ban of 203.0.113.9")
    );
    assert!(daemon.decided().is_empty());
    assert_eq!(
        daemon.say(&["unban", "203.0.113.9"]).code,
        1,
        "there is nothing to lift"
    );
    assert_eq!(daemon.stop(), 0);
}

/// Dates without an offset are meant in the zone of the machine, or of the host that a source is from.
#[test]
fn local_dates_are_understood_wherever_the_machine_is() {
    let place = Place::new();
    for zone in ["America/New_York", "Asia/Kolkata"] {
        let log = place.path("auth.log");
        fs::write(&log, "").unwrap();
        let remote = place.path("remote.log");
        fs::write(&remote, "").unwrap();
        let config = format!(
            "[[source]]\ntype = \"sshd\"\npath = {log:?}\n\
             [[source]]\ntype = \"sshd\"\npath = {remote:?}\ntimezone = \"America/Caracas\"\n"
        );
        let path = place.path("lymph.toml");
        fs::write(&path, config).unwrap();
        let state = place.path(&format!("state-{}", &zone[..4]));
        let daemon = Daemon::start_in(&state, &["--config", path.to_str().unwrap()], zone);
        fail_to_log_in_at(zone, &log, "203.0.113.9", 6);
        fail_to_log_in_at("America/Caracas", &remote, "203.0.113.10", 6);
        daemon.wait_for("203.0.113.9");
        daemon.wait_for("203.0.113.10");
        let decisions = daemon.say(&["decisions", "list", "--json"]).json();
        let left = |row: &serde_json::Value| row["seconds_left"].as_u64().unwrap();
        assert!(
            decisions
                .as_array()
                .unwrap()
                .iter()
                .all(|row| left(row) > 3500),
            "{zone}: {decisions}"
        );
    }
}

#[test]
fn nothing_is_forgotten_over_a_restart_and_lines_of_meanwhile_are_read() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    let daemon = place.start();
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
    fail_to_log_in(&place.path("auth.log"), "203.0.113.10", 3);
    let before = daemon.say(&["decisions", "list", "--json"]).json()[0].clone();
    assert_eq!(daemon.stop(), 0);

    fail_to_log_in(&place.path("auth.log"), "203.0.113.10", 3);
    place.attack("203.0.113.11");
    let daemon = place.start();
    daemon.wait_for("203.0.113.11");
    daemon.wait_for("203.0.113.10");
    let after = daemon.say(&["decisions", "list", "--json"]).json();
    let after = after
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["subject"] == "203.0.113.9")
        .unwrap();
    for key in ["id", "since", "until", "step"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    daemon.kill();
    let daemon = place.start();
    assert_eq!(
        daemon.decided(),
        ["203.0.113.9", "203.0.113.10", "203.0.113.11"]
    );
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    let daemon = place.start();
    let state = daemon.state.to_str().unwrap();
    let said = say(&[
        "--state",
        state,
        "run",
        "--no-mesh",
        "--source",
        &place.source(),
    ]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains(&format!(
            "another lymph daemon (pid {}) already runs on {state}",
            daemon.pid()
        )),
        "{}",
        said.err
    );
    assert_eq!(daemon.say(&["status"]).code, 0, "the first one goes on");
    let mode = fs::metadata(daemon.state.join("lymph.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        fs::metadata(&daemon.state).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for file in ["store", "store/db", "checkpoint", "lock"] {
        let mode = fs::metadata(daemon.state.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[test]
fn a_damaged_store_is_moved_aside_loudly() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    let daemon = place.start();
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
    daemon.stop();
    let db = place.path("state").join("store/db");
    let len = fs::metadata(&db).unwrap().len() as usize;
    fs::write(&db, vec![0x5a; len]).unwrap();

    let daemon = place.start();
    assert!(
        daemon.told().contains("THE STORE WAS DAMAGED"),
        "{}",
        daemon.told()
    );
    let folders: Vec<_> = fs::read_dir(place.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        folders
            .iter()
            .any(|name| name.starts_with("store.damaged-")),
        "{folders:?}"
    );
    place.attack("203.0.113.12");
    daemon.wait_for("203.0.113.12");
}

#[test]
fn a_damaged_checkpoint_is_moved_aside_loudly() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    place.start().stop();
    let checkpoint = place.path("state").join("checkpoint");
    fs::write(&checkpoint, b"nonsense").unwrap();
    let daemon = place.start();
    assert!(
        daemon.told().contains("THE CHECKPOINT WAS DAMAGED"),
        "{}",
        daemon.told()
    );
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
}

#[test]
fn an_unreadable_log_is_named_with_what_to_do_and_the_rest_is_watched() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    fs::create_dir(place.path("folder.log")).unwrap();
    let state = place.path("state");
    let other = format!("nginx={}", place.path("folder.log").display());
    let daemon = Daemon::start(&state, &["--source", &place.source(), "--source", &other]);
    let attention = eventually(10, || {
        let status = daemon.say(&["status", "--json"]).json();
        status["attention"]
            .as_array()
            .filter(|list| !list.is_empty())
            .map(|list| list[0].to_string())
    });
    assert!(
        attention.is_some_and(|text| text.contains("folder.log")),
        "{}",
        daemon.told()
    );
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
}

#[test]
fn a_container_that_is_not_there_is_waited_for_and_the_rest_is_watched() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    let container = "nginx=docker:lymph-test-none";
    let arguments = ["--source", container, "--source", &place.source()];
    let daemon = Daemon::start(&place.path("state"), &arguments);
    let attention = daemon.say(&["status", "--json"]).json()["attention"].to_string();
    assert!(
        attention.contains("docker:lymph-test-none: there is no such container"),
        "{attention}"
    );
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
}

#[test]
fn trouble_that_is_over_is_no_longer_worth_a_look() {
    let place = Place::new();
    let pattern = format!("sshd={}", place.path("*.log").display());
    let daemon = Daemon::start(&place.path("state"), &["--source", &pattern]);
    let attention = || daemon.say(&["status", "--json"]).json()["attention"].to_string();
    assert!(attention().contains("matches no file"), "{}", attention());
    fs::write(place.path("auth.log"), "").unwrap();
    eventually(10, || (attention() == "[]").then_some(()))
        .unwrap_or_else(|| panic!("{}", attention()));
}

/// The usual way to have a daemon reload; there is nothing that this one could.
#[test]
fn a_hangup_does_not_end_it() {
    let place = Place::new();
    fs::write(place.path("auth.log"), "").unwrap();
    let daemon = place.start();
    daemon.signal("HUP");
    eventually(10, || daemon.told().contains("restart lymph").then_some(()))
        .unwrap_or_else(|| panic!("{}", daemon.told()));
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_scenario_that_no_rule_has_is_named_with_the_nearest() {
    let place = Place::new();
    let path = place.path("lymph.toml");
    fs::write(
        &path,
        "[scenario.\"lymph/ssh-bff\"]\nremedy = \"none\"\n[scenario.\"lymph/ssh-bf\"]\nfirst = \"10m\"\n",
    )
    .unwrap();
    let daemon = Daemon::start(&place.path("state"), &["--config", path.to_str().unwrap()]);
    let told = daemon.told();
    assert!(told.contains("\"lymph/ssh-bff\""), "{told}");
    assert!(told.contains("did you mean \"lymph/ssh-bf\"?"), "{told}");
    assert_eq!(told.matches("no loaded rule").count(), 1, "{told}");
}

#[test]
fn file_names_do_not_steer_the_terminal_of_who_starts_it() {
    let place = Place::new();
    let log = place.path("a\x1b[2J\nIts state is elsewhere.log");
    fs::write(&log, "").unwrap();
    let source = format!("sshd={}", log.display());
    let daemon = Daemon::start(&place.path("state"), &["--source", &source]);
    let told = daemon.told();
    let words = told.split("Ask it with").next().unwrap();
    assert!(
        !words.contains('\x1b') && !words.contains("\nIts state is elsewhere"),
        "{words:?}"
    );
    assert!(
        words.contains("a\\u{1b}[2J\\nIts state is elsewhere.log"),
        "{words:?}"
    );
}

#[test]
fn without_root_or_configuration_it_says_what_it_does() {
    if std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) != 0 {
        return skipped("another user can be had by root only");
    }
    let place = Place::new();
    fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let home = place.path("home");
    fs::create_dir(&home).unwrap();
    let binary = place.path("lymph");
    fs::copy(env!("CARGO_BIN_EXE_lymph"), &binary).unwrap();
    assert!(
        Command::new("chown")
            .args(["nobody", home.to_str().unwrap()])
            .status()
            .unwrap()
            .success()
    );
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "timeout",
        "-s",
        "TERM",
        "5",
    ]);
    command
        .arg(&binary)
        .args(["run", "--no-mesh"])
        .current_dir("/")
        .env_clear()
        .env("HOME", &home)
        .env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let state = home.join(".local/state/lymph");
    assert!(
        text.contains("watches"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains(&format!("Its state is in {}", state.display())),
        "{text}"
    );
    assert!(text.contains("does not block anybody"), "{text}");
    assert!(state.join("checkpoint").exists());
}

/// Probes through a proxy, as nginx writes them with its usual `main` format.
fn probes(proxy: &str, client: &str) -> String {
    let date = Command::new("date")
        .arg("+%d/%b/%Y:%H:%M:%S %z")
        .env("LC_ALL", "C")
        .output();
    let now = String::from_utf8(date.unwrap().stdout).unwrap();
    let now = now.trim();
    let line = |n: usize| {
        format!(
            "{proxy} - - [{now}] \"GET /{n}/.env HTTP/1.1\" 404 162 \"-\" \"Mozilla/5.0\" \"{client}\"\n"
        )
    };
    (0..30).map(line).collect()
}

#[test]
fn the_configuration_is_obeyed() {
    let place = Place::new();
    let (auth, access) = (place.path("auth.log"), place.path("access.log"));
    fs::write(&auth, "").unwrap();
    fs::write(&access, "").unwrap();
    let config = format!(
        "allow = [\"203.0.113.77\"]\n\
         [[source]]\ntype = \"sshd\"\npath = {auth:?}\n\
         [[source]]\ntype = \"nginx\"\npath = {access:?}\ntrusted_proxies = [\"198.51.100.0/24\"]\n\
         [ban]\nfirst = \"3h\"\n\
         [scenario.\"lymph/ssh-slow-bf\"]\nremedy = \"none\"\n\
         [scenario.\"lymph/ssh-slow-bf-names\"]\nremedy = \"none\"\n\
         [scenario.\"lymph/ssh-bf\"]\nremedy = \"throttle\"\nfirst = \"10m\"\n"
    );
    let path = place.path("lymph.toml");
    fs::write(&path, config).unwrap();
    let daemon = Daemon::start(&place.path("state"), &["--config", path.to_str().unwrap()]);
    fs::write(&access, probes("198.51.100.7", "203.0.113.50")).unwrap();
    place.attack("203.0.113.77");
    place.attack("203.0.113.9");
    daemon.wait_for("203.0.113.9");
    daemon.wait_for("203.0.113.50");
    assert_eq!(
        daemon.decided(),
        ["203.0.113.9", "203.0.113.50"],
        "{}",
        daemon.told()
    );
    let decisions = daemon.say(&["decisions", "list", "--json"]).json();
    let (throttled, banned) = (&decisions[0], &decisions[1]);
    assert_eq!(
        (&throttled["kind"], &banned["kind"]),
        (&"throttle".into(), &"ban".into())
    );
    let left = |row: &serde_json::Value| row["seconds_left"].as_u64().unwrap();
    assert!((500..=600).contains(&left(throttled)), "{throttled}");
    assert!((10_500..=10_800).contains(&left(banned)), "{banned}");
    assert!(
        daemon
            .say(&["why", "203.0.113.77"])
            .out
            .contains("it is on your allowlist")
    );
    assert!(
        daemon
            .say(&["why", "198.51.100.7"])
            .out
            .contains("a trusted proxy")
    );
    assert_eq!(
        daemon.say(&["status", "--json"]).json()["config"],
        path.to_str().unwrap()
    );
}

#[test]
fn what_cannot_be_done_is_refused() {
    let place = Place::new();
    let state = place.path("state");
    let said = say(&[
        "--state",
        state.to_str().unwrap(),
        "run",
        "--no-mesh",
        "--firewall",
        "command",
    ]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("needs firewall_command"), "{}", said.err);
}
