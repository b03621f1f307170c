//! What the operator says: lists in and out, the allowlist, what is held back, and that all of it survives.

use std::fs;
use std::path::Path;

use crate::lab::{Lab, eventually, skipped};
use crate::support::{Daemon, Said, fail_to_log_in, lymph, say_to};

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(config: &str) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lymph.toml"), config).unwrap();
        fs::write(dir.path().join("auth.log"), "").unwrap();
        Desk { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, arguments: &[&str]) -> Daemon {
        let source = format!("sshd={}", self.path("auth.log").display());
        let config = self.path("lymph.toml");
        let mut all = vec!["--source", &source, "--config", config.to_str().unwrap()];
        all.extend(arguments);
        Daemon::start(&self.path("state"), &all)
    }
}

fn done(daemon: &Daemon, arguments: &[&str]) -> String {
    let said = daemon.say(arguments);
    assert_eq!(
        said.code,
        0,
        "{arguments:?}: {}{}\n{}",
        said.out,
        said.err,
        daemon.told()
    );
    said.out
}

#[test]
fn lists_go_in_and_out_and_a_hundred_thousand_at_once() {
    let desk = Desk::new("");
    let daemon = desk.start(&[]);
    let many: String = (0..100_000u32)
        .map(|n| format!("{}\n", std::net::Ipv4Addr::from_bits(0x0b00_0000 + n)))
        .collect();
    fs::write(desk.path("many.txt"), many).unwrap();
    let path = desk.path("many.txt");
    let said = done(
        &daemon,
        &[
            "decisions",
            "import",
            path.to_str().unwrap(),
            "--name",
            "many",
        ],
    );
    assert!(said.contains("100,000 new decisions"), "{said}");
    let state = desk.path("state");
    let import = |list: &str, arguments: &[&str]| {
        let mut all = vec![
            "--state",
            state.to_str().unwrap(),
            "decisions",
            "import",
            "-",
        ];
        all.extend(arguments);
        let said = say_to(&all, list.as_bytes());
        (said.code, said.out + &said.err)
    };
    let (code, said) = import(
        r#"[{"duration":"2h","reason":"r","scope":"Ip","type":"ban","value":"198.51.100.9"}]"#,
        &[],
    );
    assert!(code == 0 && said.contains("1 new decision,"), "{said}");
    let (code, said) = import(
        "duration,reason,scope,type,value\n1h,x,Range,captcha,198.51.100.0/24\n",
        &[],
    );
    assert!(code == 0 && said.contains("1 new decision,"), "{said}");
    let (_, said) = import("203.0.113.1\t9\n203.0.113.2\t2\n", &[]);
    assert!(
        said.contains("1 new decision,") && said.contains("1 are on too few lists"),
        "{said}"
    );
    let (code, said) = import("to be, or not to be\n", &[]);
    assert!(
        code == 1 && said.contains("this is not such a list"),
        "{said}"
    );
    let exported = done(&daemon, &["decisions", "export", "--format", "csv"]);
    assert_eq!(exported.lines().count(), 100_003 + 1);
    let listed = done(
        &daemon,
        &["decisions", "list", "--origin", "crowdsec", "--json"],
    );
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);

    // It survives kill -9 whole, and goes as one.
    daemon.kill();
    let daemon = desk.start(&[]);
    assert_eq!(daemon.decided().len(), 100_003);
    let said = done(&daemon, &["decisions", "delete", "--reason", "many"]);
    assert!(said.contains("and 99,990 others"), "{said}");
    let exported = done(&daemon, &["decisions", "export", "--format", "plain"]);
    assert_eq!(
        exported.lines().collect::<Vec<_>>(),
        ["198.51.100.9", "203.0.113.1", "198.51.100.0/24"]
    );
    let said = done(&daemon, &["undo"]);
    assert!(said.contains("203.0.113.1"), "{said}");
    assert_eq!(daemon.say(&["decisions", "delete"]).code, 1);
}

#[test]
fn a_rule_gone_wild_is_stopped_by_the_breaker() {
    let desk = Desk::new("[breaker]\nbans_per_minute = 1\nburst = 3\n");
    let daemon = desk.start(&[]);
    for n in 1..=20 {
        fail_to_log_in(&desk.path("auth.log"), &format!("198.18.9.{n}"), 7);
    }
    let held = || {
        let held = daemon.say(&["decisions", "held", "--json"]).json();
        held.as_array().unwrap().len()
    };
    // Three rules see the same attack; each has its own budget.
    eventually(20, || (daemon.decided().len() + held() >= 20).then_some(())).unwrap();
    assert!(
        daemon.decided().len() <= 13 && held() >= 7,
        "{:?}, {} held\n{}",
        daemon.decided(),
        held(),
        daemon.told()
    );
    let status = done(&daemon, &["status"]);
    assert!(status.contains("decisions are held back"), "{status}");
    let listed = done(&daemon, &["decisions", "held"]);
    assert!(listed.contains("too many new bans"), "{listed}");
    let why = done(&daemon, &["why", "198.18.9.20"]);
    assert!(why.contains("Held back"), "{why}");
    done(&daemon, &["decisions", "release", "198.18.9.20"]);
    assert!(daemon.decided().contains(&"198.18.9.20".to_owned()));
    daemon.kill();
    let daemon = desk.start(&[]);
    let said = done(&daemon, &["decisions", "drop", "--all"]);
    assert!(said.contains("forgotten"), "{said}");
    assert_eq!(daemon.say(&["decisions", "release", "--all"]).code, 1);
}

#[test]
fn an_import_gone_wild_is_stopped_and_one_command_ends_it() {
    let desk = Desk::new("[breaker]\nimports_per_minute = 1\nimport_burst = 20\n");
    let daemon = desk.start(&[]);
    let import = |daemon: &Daemon, first: u32, count: u32| {
        let list: String = (first..first + count)
            .map(|n| format!("{}\n", std::net::Ipv4Addr::from_bits(0x0b00_0000 + n)))
            .collect();
        fs::write(desk.path("list.txt"), list).unwrap();
        let path = desk.path("list.txt");
        done(daemon, &["decisions", "import", path.to_str().unwrap()])
    };
    let said = import(&daemon, 0, 15);
    assert!(
        said.contains("15 new decisions") && !said.contains("Held"),
        "{said}"
    );
    let said = import(&daemon, 0, 15);
    assert!(
        said.contains("0 new decisions, 15 made longer") && !said.contains("Held"),
        "renewing costs nothing: {said}"
    );
    let said = import(&daemon, 100, 30);
    let (carry_out, forget) = (
        "lymph decisions release --origin lists",
        "lymph decisions drop --origin lists",
    );
    // Five are left, or six if a minute has passed.
    let held = if said.contains("Held: 25 new ones") {
        25
    } else {
        24
    };
    for words in [
        format!("{} new decisions", 30 - held),
        format!("Held: {held} new ones are more than lists may add at once"),
        carry_out.to_owned(),
        forget.to_owned(),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    assert_eq!(daemon.decided().len(), 45 - held);
    // What is CrowdSec's has a budget of its own, and the operator has none.
    let crowdsec = "duration,reason,scope,type,value\n1h,x,Ip,ban,198.18.9.1\n";
    fs::write(desk.path("list.csv"), crowdsec).unwrap();
    let path = desk.path("list.csv");
    let said = done(&daemon, &["decisions", "import", path.to_str().unwrap()]);
    assert!(said.contains("1 new decision,"), "{said}");
    done(&daemon, &["ban", "198.18.9.2"]);
    let status = done(&daemon, &["status"]);
    let words = format!("{held} decisions are held back");
    assert!(status.contains(&words), "{status}");
    let listed = done(&daemon, &["decisions", "held"]);
    assert!(listed.contains("too many new bans"), "{listed}");
    assert!(
        daemon.told().contains("more than lists may add at once"),
        "{}",
        daemon.told()
    );
    daemon.say(&["decisions", "release", "11.0.0.120"]);
    let said = done(&daemon, &["decisions", "release", "--origin", "lists"]);
    let words = format!("{} decisions carried out", held - 1);
    assert!(said.contains(&words), "{said}");
    assert_eq!(daemon.decided().len(), 45 + 2);

    // More than there is room for, even among what is held.
    let said = import(&daemon, 1_000, 12_000);
    assert!(
        said.contains("Held: 10,000 new ones") && said.contains("found no room among what is held"),
        "{said}"
    );
    let status = done(&daemon, &["status"]);
    let words = "10000 decisions are held back (";
    assert!(
        status.contains(words) && status.contains("more found no room there"),
        "{status}"
    );
    let said = done(&daemon, &["decisions", "drop", "--origin", "lists"]);
    assert!(said.contains("10,000 decisions forgotten"), "{said}");
    // What was held of an import is undone with it.
    let said = import(&daemon, 20_000, 30);
    let (_, id) = said.rsplit_once("lymph undo ").unwrap();
    let id = id.split_whitespace().next().unwrap();
    let said = done(&daemon, &["undo", id]);
    assert!(said.contains("that were held back are forgotten"), "{said}");
    let status = done(&daemon, &["status"]);
    assert!(!status.contains("held back"), "{status}");
    daemon.kill();
    let daemon = desk.start(&[]);
    assert_eq!(
        daemon.say(&["decisions", "held", "--json"]).json(),
        serde_json::json!([])
    );
}

#[test]
fn a_false_positive_raises_the_threshold_and_says_so() {
    let desk = Desk::new("");
    let daemon = desk.start(&[]);
    fail_to_log_in(&desk.path("auth.log"), "198.18.9.1", 7);
    daemon.wait_for("198.18.9.1");
    let said = done(&daemon, &["unban", "198.18.9.1", "--false-positive"]);
    assert!(said.contains("must now run over 2 times"), "{said}");
    daemon.kill();
    let daemon = desk.start(&[]);
    let why = done(&daemon, &["why", "198.18.9.1"]);
    assert!(why.contains("Raised threshold"), "{why}");
}

/// The operator's own program hears of everything, is missed when it dies, and is told everything anew.
#[test]
fn the_operators_program_is_told() {
    let desk = Desk::new("");
    let heard = desk.path("heard");
    let program = format!(
        "firewall = \"command\"\nfirewall_command = [\"sh\", \"-c\", \"cat >> {}\"]\n",
        heard.display()
    );
    fs::write(desk.path("lymph.toml"), program).unwrap();
    let daemon = desk.start(&["--firewall", "command"]);
    let read = || fs::read_to_string(&heard).unwrap_or_default();
    done(&daemon, &["ban", "198.18.9.1", "--for", "1h"]);
    let wait = |text: &str, times: usize| {
        eventually(20, || (read().matches(text).count() >= times).then_some(()))
            .unwrap_or_else(|| panic!("{text}: {}\n{}", read(), daemon.told()));
    };
    wait(r#"{"op":"add","subject":"198.18.9.1""#, 1);
    done(&daemon, &["unban", "198.18.9.1"]);
    wait(r#"{"op":"remove","subject":"198.18.9.1""#, 1);
    done(&daemon, &["ban", "198.18.9.2", "--for", "2s"]);
    wait(r#"{"op":"remove","subject":"198.18.9.2""#, 1);
    done(&daemon, &["ban", "198.18.9.3"]);
    wait(r#"{"op":"add","subject":"198.18.9.3""#, 1);
    let pid = child_of(daemon.pid()).expect("it runs");
    assert!(
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap()
            .success()
    );
    wait(r#"{"op":"add","subject":"198.18.9.3""#, 2);
    assert!(daemon.told().contains("has ended"), "{}", daemon.told());
    wait(r#"{"op":"flush"}"#, 2);
}

/// A process whose parent this one is: the fourth field of `stat`, behind the name in brackets.
fn child_of(parent: u32) -> Option<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut children = processes.filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let of = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        (of == parent.to_string()).then(|| entry.file_name().to_string_lossy().into_owned())
    });
    children.next()
}

/// A disk that fills up under the daemon: it is said, it goes on, and what was said meanwhile is saved in the end.
#[test]
fn a_full_disk_loses_nothing_that_was_said() {
    let lab = match Lab::new() {
        Ok(lab) => lab,
        Err(reason) => return skipped(&reason),
    };
    let state = lab.path("small");
    fs::create_dir(&state).unwrap();
    let on_server = |program: &str, arguments: &[&str]| {
        let output = lab.server_command(program).args(arguments).output();
        Said::of(output.unwrap())
    };
    let mounted = on_server(
        "mount",
        &[
            "-t",
            "tmpfs",
            "-o",
            "size=3m,mode=700",
            "small",
            state.to_str().unwrap(),
        ],
    );
    assert_eq!(mounted.code, 0, "{}", mounted.err);
    let start = || {
        let mut command = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
        command.arg("--state").arg(&state);
        command.args(["run", "--no-mesh"]);
        command.args(["--source", "sshd=/nonexistent", "--firewall", "dry-run"]);
        command.stdout(std::process::Stdio::null());
        let out = fs::File::create(lab.path("small.out")).unwrap();
        let daemon = crate::lab::Running(command.stderr(out).spawn().unwrap());
        eventually(30, || {
            (ask(&lab, &state, &["status"]).code == 0).then_some(())
        })
        .unwrap();
        daemon
    };
    let told = || fs::read_to_string(lab.path("small.out")).unwrap_or_default();
    let daemon = start();
    assert_eq!(ask(&lab, &state, &["ban", "198.18.9.1"]).code, 0);
    let filler = state.join("filler");
    let fill = format!("cat /dev/zero > {} 2> /dev/null; true", filler.display());
    on_server("sh", &["-c", &fill]);
    let said = ask(&lab, &state, &["ban", "198.18.9.2"]);
    // What still fits into the last page may be saved; sooner or later something is not.
    let mut was_refused = said.out.contains("Not saved");
    for n in 3..120 {
        if was_refused {
            break;
        }
        let said = ask(&lab, &state, &["ban", &format!("198.18.9.{n}")]);
        was_refused = said.out.contains("Not saved");
    }
    assert!(was_refused, "{}", told());
    let said = ask(&lab, &state, &["ban", "198.18.9.200"]);
    assert!(
        said.code == 0 && said.out.contains("Not saved"),
        "{}{}",
        said.out,
        said.err
    );
    assert!(
        ask(&lab, &state, &["status"])
            .out
            .contains("no space is left"),
        "{}",
        told()
    );
    assert_eq!(on_server("rm", &[filler.to_str().unwrap()]).code, 0);
    eventually(40, || told().contains("saved again").then_some(()))
        .unwrap_or_else(|| panic!("{}", told()));
    eventually(40, || {
        (!ask(&lab, &state, &["status"])
            .out
            .contains("no space is left"))
        .then_some(())
    })
    .unwrap_or_else(|| panic!("{}", told()));
    drop(daemon);
    let _daemon = start();
    let listed = ask(&lab, &state, &["decisions", "list", "--json"]).out;
    for subject in ["198.18.9.1\"", "198.18.9.2\"", "198.18.9.200\""] {
        assert!(listed.contains(subject), "{subject}: {listed}\n{}", told());
    }
}

fn ask(lab: &Lab, state: &Path, arguments: &[&str]) -> Said {
    let mut command = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
    command.arg("--state").arg(state).args(arguments);
    Said::of(command.output().unwrap())
}

/// With nobody there to ask, the commands say what to do.
#[test]
fn without_a_daemon_commands_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    for command in [
        vec!["ban", "198.18.9.1"],
        vec!["undo"],
        vec!["allow", "list"],
        vec!["decisions", "held"],
        vec!["decisions", "export"],
    ] {
        let mut all = vec!["--state", state];
        all.extend(&command);
        let said = Said::of(lymph(&all).output().unwrap());
        assert!(
            said.code == 1 && said.err.contains("no daemon runs"),
            "{command:?}: {}",
            said.err
        );
    }
    let said = Said::of(lymph(&["--state", state, "resume"]).output().unwrap());
    assert!(
        said.code == 1 && said.err.contains("no panic"),
        "{}",
        said.err
    );
}
