//! What commands print, refuse and return, without a daemon.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{ATTACK, lymph, say, say_to};

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn help_is_there_for_everything() {
    let help = say(&["--help"]);
    assert_eq!(help.code, 0);
    for command in [
        "run",
        "status",
        "replay",
        "explain",
        "rules",
        "decisions",
        "alerts",
        "why",
        "completions",
        "man",
    ] {
        assert!(help.out.contains(command), "{command}\n{}", help.out);
        assert_eq!(say(&[command, "--help"]).code, 0);
    }
    assert!(help.out.contains("Exit codes"));
    assert!(say(&["replay", "--help"]).out.contains("Example"));
    assert_eq!(say(&["--version"]).code, 0);
}

#[test]
fn wrong_usage_is_2_and_a_refusal_is_1() {
    for wrong in [
        &["frobnicate"][..],
        &["replay"],
        &["why"],
        &["run", "--source", "/var/log/auth.log"],
        &["run", "--firewall", "nft"],
    ] {
        let said = say(wrong);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{wrong:?}");
        assert!(said.err.starts_with("error: "), "{}", said.err);
    }
    assert!(
        say(&["run", "--source", "/var/log/auth.log"])
            .err
            .contains("sshd=/var/log/auth.log")
    );
    assert!(
        say(&["run", "--firewall", "dryrun"])
            .err
            .contains("did you mean \"dry-run\"")
    );
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    for ask in [
        &["status"][..],
        &["decisions", "list"],
        &["alerts", "list"],
        &["why", "192.0.2.1"],
        &["unban", "192.0.2.1"],
    ] {
        let said = say(&[&["--state", state], ask].concat());
        assert_eq!(said.code, 1, "{ask:?}");
        assert!(
            said.err.contains(&format!(
                "no daemon runs on {state}: start one with `lymph run`"
            )),
            "{}",
            said.err
        );
    }
    let said = say(&["why", "somebody"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("expected an address such as 192.0.2.1"),
        "{}",
        said.err
    );
}

#[test]
fn replay_finds_the_attacker() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(dir.path(), "auth.log", ATTACK);
    let said = say(&["replay", &log, "--type", "sshd", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let rows = said.json_lines();
    let row = rows
        .iter()
        .find(|row| row["scenario"] == "lymph/ssh-bf")
        .expect("found");
    assert_eq!(row["subject"], "203.0.113.9");
    assert_eq!(row["first_seen"], "2026-03-01T10:00:00Z");
    assert_eq!(row["last_seen"], "2026-03-01T10:00:05Z");
    assert_eq!(row["events"], 6);
    assert!(
        rows.iter().all(|row| row["subject"] == "203.0.113.9"),
        "{rows:?}"
    );
    assert!(
        said.err.contains("8 lines") && said.err.contains("1 subject"),
        "{}",
        said.err
    );

    let text = say(&["replay", &log]);
    assert_eq!((text.code, text.err.as_str()), (0, ""));
    assert!(
        text.out.contains("lymph/ssh-bf") && text.out.contains("attacks by 1 subject found"),
        "{}",
        text.out
    );
    assert!(!text.out.contains('\x1b'), "no colours outside a terminal");
}

/// Clocks in Berlin are set back at 03:00 on that day; the hour before comes twice.
#[test]
fn dates_without_an_offset_are_in_the_zone_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let line = |time: &str, n: u32| {
        format!(
            "{time} web1 sshd[{n}]: Failed password for root from 203.0.113.9 port 40{n} ssh2\n"
        )
    };
    let times = [
        "2025-10-25 23:00:00",
        "2025-10-26 02:30:00",
        "2025-10-26 02:59:00",
    ];
    let again = [
        "2025-10-26 02:10:00",
        "2025-10-26 02:30:00",
        "2025-10-26 03:30:00",
    ];
    let classic = |time: &&str| format!("Oct {} {}", &time[8..10], &time[11..]);
    let text: String = times
        .iter()
        .chain(&again)
        .flat_map(|time| (0..6).map(move |n| line(&classic(time), 100 + n)))
        .collect();
    let log = write(dir.path(), "auth.log", &text);
    let touch = std::fs::File::options().append(true).open(&log).unwrap();
    // The year is the one that the file was last written in.
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_761_500_000);
    touch.set_modified(written).unwrap();
    let times = |arguments: &[&str]| -> Vec<String> {
        let mut all = vec!["replay", &log, "--type", "sshd", "--json"];
        all.extend(arguments);
        let rows = say(&all).json_lines();
        let bruteforce = rows.iter().filter(|row| row["scenario"] == "lymph/ssh-bf");
        bruteforce
            .map(|row| row["first_seen"].as_str().unwrap()[..16].to_owned())
            .collect()
    };
    assert_eq!(times(&[])[..2], ["2025-10-25T23:00", "2025-10-26T02:30"]);
    assert_eq!(
        times(&["--timezone", "Europe/Berlin"]),
        [
            "2025-10-25T21:00",
            "2025-10-26T00:30",
            "2025-10-26T00:59",
            "2025-10-26T01:10",
            "2025-10-26T01:30",
            "2025-10-26T02:30"
        ]
    );
    let explained = say(&[
        "explain",
        "--file",
        &log,
        "--type",
        "sshd",
        "--timezone",
        "Europe/Berlin",
    ]);
    assert!(
        explained
            .out
            .contains("understood at 2025-10-25T23:00:00+02:00"),
        "{}",
        explained.out
    );
    let wrong = say(&["replay", &log, "--timezone", "Europe/Berlim"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.contains("no time zone \"Europe/Berlim\""),
        "{}",
        wrong.err
    );
}

#[test]
fn replay_reads_gzip_and_the_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(dir.path(), "auth.log", ATTACK);
    assert!(Command::new("gzip").arg(&log).status().unwrap().success());
    let plain = say_to(&["replay", "--json", "-"], ATTACK.as_bytes());
    let zipped = say(&["replay", "--json", &format!("{log}.gz")]);
    assert_eq!(
        (zipped.code, plain.code),
        (0, 0),
        "{}{}",
        zipped.err,
        plain.err
    );
    assert!(!plain.out.is_empty());
    assert_eq!(zipped.out, plain.out);
    let piped = fs::read(format!("{log}.gz")).unwrap();
    assert_eq!(say_to(&["replay", "--json", "-"], &piped).out, plain.out);
}

#[test]
fn replay_says_what_it_cannot_read() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.log");
    let said = say(&["replay", missing.to_str().unwrap()]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("missing.log") && said.err.contains("No such file"),
        "{}",
        said.err
    );
    let said = say(&["replay", dir.path().to_str().unwrap()]);
    assert!(
        said.code == 1 && said.err.contains("it is a folder"),
        "{}",
        said.err
    );
    let poem = write(dir.path(), "poem.txt", "roses are red\nviolets are blue\n");
    let said = say(&["replay", &poem]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("cannot tell what wrote") && said.err.contains("--type"),
        "{}",
        said.err
    );
    let empty = write(dir.path(), "empty.log", "");
    assert_eq!(say(&["replay", &empty]).code, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let many: String = (0..20_000)
        .map(|n| ATTACK.replace("203.0.113", &format!("203.{}.{}", n / 250, n % 250)))
        .collect();
    let log = write(dir.path(), "auth.log", &many);
    let mut command = lymph(&["replay", &log, "--type", "sshd", "--json"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).as_ref()
        ),
        (Some(0), "")
    );
}

#[test]
fn what_attackers_wrote_cannot_steer_the_terminal() {
    let line = "2026-03-01T10:00:00+00:00 web1 sshd[801]: Failed password for invalid user a\x1b[2Jb\u{9b}31m from 203.0.113.9 port 4001 ssh2\n";
    for arguments in [
        &["explain", "--file", "-", "--type", "sshd"][..],
        &["explain", "--file", "-", "--type", "sshd", "--json"],
    ] {
        let said = say_to(arguments, line.as_bytes());
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.out.contains("203.0.113.9"), "{}", said.out);
        let steering = |character: char| character.is_control() && character != '\n';
        assert!(!said.out.contains(steering), "{:?}", said.out);
    }
}

#[test]
fn explain_goes_line_by_line() {
    let log = format!("{ATTACK}this is no log line\n");
    let said = say_to(
        &["explain", "--file", "-", "--type", "sshd", "--json"],
        log.as_bytes(),
    );
    assert_eq!(said.code, 0, "{}", said.err);
    let lines = said.json_lines();
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[0]["line"], 1);
    assert_eq!(lines[0]["parsed"], true);
    assert_eq!(lines[0]["time"], "2026-03-01T10:00:00Z");
    assert_eq!(lines[0]["meta"]["source_ip"], "203.0.113.9");
    assert_eq!(lines[0]["meta"]["service"], "ssh");
    assert!(lines[0]["meta"]["log_type"].is_string());
    let scenarios = lines[0]["scenarios"].as_array().unwrap();
    assert!(
        scenarios.iter().any(|name| name == "lymph/ssh-bf"),
        "{scenarios:?}"
    );
    assert_eq!(lines[8]["parsed"], false);
    assert_eq!(lines[8]["time"], serde_json::Value::Null);
    let text = say_to(
        &["explain", "--file", "-", "--type", "sshd"],
        log.as_bytes(),
    );
    assert!(
        text.out.contains("s01-parse") && text.out.contains("not understood"),
        "{}",
        text.out
    );
}

#[test]
fn rules_are_listed_inspected_and_tested() {
    let rules = say(&["rules", "list", "--json"]).json();
    let rules = rules.as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["kind"] == "parser"));
    assert!(
        rules
            .iter()
            .any(|rule| rule["kind"] == "scenario" && rule["name"] == "lymph/ssh-bf")
    );
    assert!(say(&["rules", "list"]).out.contains("lymph/ssh-bf"));

    let said = say(&["rules", "inspect", "lymph/ssh-bf"]);
    assert!(
        said.code == 0 && said.out.contains("leaky") && said.out.contains("filter:"),
        "{}",
        said.out
    );
    assert_eq!(
        say(&["rules", "inspect", "lymph/ssh-bf", "--json"]).json()["scenario"]["type"],
        "leaky"
    );
    let said = say(&["rules", "inspect", "lymph/ssh-bt"]);
    assert!(
        said.code == 1 && said.err.contains("did you mean \"lymph/ssh-bf\""),
        "{}",
        said.err
    );

    let tested = say(&["rules", "test", "--json"]);
    assert_eq!(tested.code, 0, "{}", tested.out);
    let tested = tested.json();
    assert!(tested["totals"]["passed"].as_u64().unwrap() > 10 && tested["totals"]["failed"] == 0);
    assert!(tested["lines"]["passed"].as_u64().unwrap() > 10 && tested["cases"].is_array());
}

const OWN_SCENARIO: &str = "\
type: trigger
name: me/any-failure
description: one failed login is enough
filter: evt.Meta.log_type == 'ssh_failed-auth'
groupby: evt.Meta.source_ip
labels:
  remediation: true
";

#[test]
fn own_rules_are_used_beside_the_bundled_ones() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    write(&rules, "scenarios/mine.yaml", OWN_SCENARIO);
    let rules = rules.to_str().unwrap();
    let said = say_to(
        &["replay", "--rules", rules, "--type", "sshd", "--json", "-"],
        ATTACK.as_bytes(),
    );
    assert_eq!(said.code, 0, "{}", said.err);
    let names: Vec<_> = said
        .json_lines()
        .iter()
        .map(|row| row["scenario"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        names.contains(&"me/any-failure".to_owned()) && names.contains(&"lymph/ssh-bf".to_owned()),
        "{names:?}"
    );
}

#[test]
fn a_sample_that_does_not_come_out_fails_the_test_of_rules() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    write(&rules, "scenarios/mine.yaml", OWN_SCENARIO);
    write(&rules, "scenarios/mine.log", ATTACK);
    write(
        &rules,
        "scenarios/mine.expect",
        "{\"type\":\"sshd\"}\n{\"scenario\":\"me/any-failure\",\"subject\":\"192.0.2.1\"}\n",
    );
    let said = say(&["rules", "test", "--rules", rules.to_str().unwrap()]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("FAIL  scenarios/mine.yaml")
            && said.err.contains("do not come out as expected"),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn a_bad_rule_is_named_with_file_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    write(
        &rules,
        "scenarios/one.yaml",
        &OWN_SCENARIO.replace("groupby:", "groupbi:"),
    );
    write(
        &rules,
        "scenarios/two.yaml",
        &OWN_SCENARIO.replace("log_type ==", "log_type =!="),
    );
    for command in [
        &["rules", "list"][..],
        &["replay", "-"],
        &["run", "--no-mesh"],
    ] {
        let state = dir.path().join("state");
        let state = state.to_str().unwrap();
        let said = say(&[
            command,
            &["--rules", rules.to_str().unwrap(), "--state", state],
        ]
        .concat());
        assert_eq!(said.code, 1, "{command:?}");
        assert!(said.err.contains("2 mistakes in the rules"), "{}", said.err);
        assert!(
            said.err.contains("scenarios/one.yaml:5") && said.err.contains("groupby"),
            "{}",
            said.err
        );
        assert!(
            said.err.contains("scenarios/two.yaml:4: filter"),
            "{}",
            said.err
        );
    }
    let empty = tempfile::tempdir().unwrap();
    let said = say(&["rules", "list", "--rules", empty.path().to_str().unwrap()]);
    assert!(
        said.code == 1 && said.err.contains("no rules in"),
        "{}",
        said.err
    );
}

#[test]
fn a_bad_configuration_is_named_with_its_line_and_the_right_key() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "lymph.toml", "[ban]\nfrist = \"1h\"\n");
    let said = say(&["--config", &config, "run", "--no-mesh"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("lymph.toml:2: unknown key `frist`, did you mean `first`?"),
        "{}",
        said.err
    );
    let said = say(&["--config", "/nonexistent/lymph.toml", "run", "--no-mesh"]);
    assert!(
        said.code == 1
            && said
                .err
                .contains("cannot read the configuration /nonexistent/lymph.toml"),
        "{}",
        said.err
    );
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(say(&["completions", shell]).out.contains("lymph"));
    }
    assert!(say(&["man"]).out.contains(".TH lymph 1"));
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(say(&["man", dir.path().to_str().unwrap()]).code, 0);
    for page in ["lymph.1", "lymph-run.1", "lymph-decisions-list.1"] {
        assert!(dir.path().join(page).exists(), "{page}");
    }
}

#[test]
fn what_if_says_what_a_node_would_decide() {
    let vouch = |to| json!({"from": "me", "to": to, "weight": 1});
    let report =
        |by: &str| json!({"by": by, "age_s": 0, "evidence": "handshake", "rule_known": true});
    let question = |by: &[&str]| {
        let reports: Vec<_> = by.iter().map(|by| report(by)).collect();
        let vouches = ["anna", "ben", "carl"].map(vouch);
        json!({"ego": "me", "vouches": vouches, "reports": reports}).to_string()
    };
    let whole = ["anna", "ben", "carl"];
    for (count, verdict, rule) in [
        (0, "clear", "none"),
        (1, "prime", "evidence"),
        (2, "throttle", "two-paths"),
        (3, "block", "paths"),
    ] {
        let text = question(&whole[..count]);
        let said = say_to(&["trust", "what-if", "-", "--json"], text.as_bytes());
        assert_eq!(said.code, 0, "{}", said.err);
        let answer = said.json();
        assert_eq!(
            (&answer["verdict"], &answer["rule"]),
            (&json!(verdict), &json!(rule))
        );
        assert_eq!(answer["paths"], count);
        assert_eq!(answer["T"]["ben"], json!({"ben": 1.0}));
        for key in ["branches", "T", "q", "e", "E_b", "E", "S", "C"] {
            assert!(!answer[key].is_null(), "{key}: {answer}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "question.json", &question(&whole));
    let said = say(&["trust", "what-if", &file]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("block: "), "{}", said.out);
    for name in whole {
        assert!(said.out.contains(name), "{}", said.out);
    }
    for (text, error) in [
        ("{", "at line 1 column"),
        (
            r#"{"ego": "me", "vouches": [{"from": "me", "to": "x", "weight": 7}]}"#,
            "vouches[0]",
        ),
    ] {
        let file = write(dir.path(), "wrong.json", text);
        let said = say(&["trust", "what-if", &file]);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(
            said.err.contains(&file) && said.err.contains(error),
            "{}",
            said.err
        );
    }
    assert_eq!(say(&["trust", "what-if", "/nonexistent"]).code, 1);
    assert_eq!(say(&["trust", "what-if"]).code, 2);
}
