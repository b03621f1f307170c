//! Bans that hold: real packets between network namespaces, with real OpenSSH, nginx, nft and iptables.
//!
//! The daemon, the servers and the firewall are in the lab's server namespace; attackers and others come from another
//! one, and a third stands for a container behind the server. Without root or nft these tests skip, loudly.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::lab::{Lab, Running, SERVER, eventually, skipped};
use crate::support::Said;

const ATTACKER: &str = "198.18.1.11";
const OTHER: &str = "198.18.1.12";
const WEB: &str = "http://198.18.0.1:8080/";
const INSIDE: &str = "http://198.19.0.2:8080/";
const INSIDE_TLS: &str = "https://198.19.0.2:8443/";
const PUBLISHED: &str = "http://198.18.0.1:8081/";

/// A daemon that enforces in the lab.
struct Guard {
    process: Running,
    state: PathBuf,
}

impl Guard {
    fn start(lab: &Lab, arguments: &[&str]) -> Guard {
        let state = lab.path("guard");
        let out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(state.with_extension("out"))
            .unwrap();
        let mut command = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
        command
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .arg("--state")
            .arg(&state)
            .args(["run", "--no-mesh"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        let guard = Guard {
            process: Running(command.spawn().unwrap()),
            state,
        };
        eventually(30, || (guard.say(lab, &["status"]).code == 0).then_some(()))
            .unwrap_or_else(|| panic!("it does not serve:\n{}", guard.told()));
        guard
    }

    fn say(&self, lab: &Lab, arguments: &[&str]) -> Said {
        let mut command = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
        command.arg("--state").arg(&self.state).args(arguments);
        Said::of(command.stdin(Stdio::null()).output().unwrap())
    }

    /// Something that must succeed.
    fn done(&self, lab: &Lab, arguments: &[&str]) -> String {
        let said = self.say(lab, arguments);
        assert_eq!(
            said.code,
            0,
            "{arguments:?}: {}{}\n{}",
            said.out,
            said.err,
            self.told()
        );
        said.out
    }

    /// Something that must be refused, with these words.
    fn refused(&self, lab: &Lab, arguments: &[&str], words: &str) {
        let said = self.say(lab, arguments);
        let text = said.out.clone() + &said.err;
        assert!(
            said.code == 1 && text.contains(words),
            "{arguments:?}: {} {text}",
            said.code
        );
    }

    fn told(&self) -> String {
        fs::read_to_string(self.state.with_extension("out")).unwrap_or_default()
    }

    fn kill(mut self) -> PathBuf {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
        self.state.clone()
    }
}

fn lab() -> Option<Lab> {
    Lab::new().map_err(|reason| skipped(&reason)).ok()
}

/// Waits until a client gets through, or no longer does.
fn wait_until(lab: &Lab, from: &str, url: &str, through: bool, guard: &Guard) {
    eventually(10, || {
        (lab.gets_through(from, url) == through).then_some(())
    })
    .unwrap_or_else(|| {
        panic!(
            "{from} to {url}: not {through}\n{}\n{}",
            guard.told(),
            lab.nft(&["list", "ruleset"])
        )
    });
}

#[test]
fn six_failures_and_the_next_packet_is_dropped() {
    let Some(mut lab) = lab() else { return };
    let auth = lab.start_sshd();
    lab.start_nginx();
    if let Err(reason) = lab.start_container() {
        return skipped(&reason);
    }
    let source = format!("sshd={}", auth.display());
    let guard = Guard::start(&lab, &["--source", &source]);
    assert!(
        guard.told().contains("It blocks attackers with nftables"),
        "{}",
        guard.told()
    );
    for url in [WEB, INSIDE, PUBLISHED] {
        for from in [ATTACKER, OTHER] {
            assert!(lab.gets_through(from, url), "{from} to {url} before");
        }
    }
    lab.fail_to_log_in(ATTACKER, "root", 7);
    wait_until(&lab, ATTACKER, WEB, false, &guard);
    // The container, by its own address and by the published port, although DOCKER-USER accepts everything.
    for url in [WEB, INSIDE, PUBLISHED] {
        assert!(!lab.gets_through(ATTACKER, url), "attacker to {url}");
        assert!(lab.gets_through(OTHER, url), "other to {url}");
    }
    let why = guard.done(&lab, &["why", ATTACKER]);
    assert!(why.contains("Enforcement: the firewall has it"), "{why}");

    // What was refused is counted as connections, though curl's kernel has sent its SYN again and again.
    let refused = eventually(30, || {
        let why: serde_json::Value =
            serde_json::from_str(&guard.done(&lab, &["why", ATTACKER, "--json"])).unwrap();
        why["refused"].as_u64().filter(|refused| *refused > 0)
    });
    let refused = refused.expect("refused connections are counted");
    assert!((4..=20).contains(&refused), "{refused} connections");

    guard.done(&lab, &["unban", ATTACKER]);
    for url in [WEB, INSIDE, PUBLISHED] {
        assert!(lab.gets_through(ATTACKER, url), "{url} after the unban");
    }
}

#[test]
fn networks_ipv6_and_throttles_and_everything_ends() {
    let Some(mut lab) = lab() else { return };
    lab.start_nginx();
    let guard = Guard::start(&lab, &["--source", "sshd=/nonexistent"]);
    let web6 = "http://[2001:db8:18::1]:8080/";
    let (v6, v6_other) = ("2001:db8:18:7::5", "2001:db8:18:8::5");
    assert!(lab.gets_through(v6, web6) && lab.gets_through(v6_other, web6));
    // One address of a /64 stands for all of it.
    guard.done(&lab, &["ban", "2001:db8:18:7::99"]);
    assert!(!lab.gets_through(v6, web6) && lab.gets_through(v6_other, web6));
    guard.done(&lab, &["ban", "2001:db8:18::/45", "--for", "1h", "--force"]);
    guard.done(&lab, &["undo"]);
    guard.done(&lab, &["unban", "2001:db8:18:7::1"]);
    assert!(lab.gets_through(v6, web6));

    // A network, a network in it, and one address in that; each goes by itself.
    for subject in ["198.18.1.32/27", "198.18.1.40/29", "198.18.1.41"] {
        guard.done(&lab, &["ban", subject]);
    }
    assert!(!lab.gets_through("198.18.1.41", WEB) && !lab.gets_through("198.18.1.33", WEB));
    assert!(lab.gets_through("198.18.1.31", WEB));
    guard.done(&lab, &["unban", "198.18.1.32/27"]);
    assert!(lab.gets_through("198.18.1.33", WEB) && !lab.gets_through("198.18.1.42", WEB));
    guard.done(&lab, &["unban", "198.18.1.40/29"]);
    assert!(lab.gets_through("198.18.1.42", WEB) && !lab.gets_through("198.18.1.41", WEB));

    // A ban ends by itself.
    guard.done(&lab, &["ban", ATTACKER, "--for", "3s"]);
    assert!(!lab.gets_through(ATTACKER, WEB));
    wait_until(&lab, ATTACKER, WEB, true, &guard);

    // Slowed down: some of many connections, and others are not.
    guard.done(&lab, &["decisions", "add", OTHER, "--kind", "throttle"]);
    let paths: Vec<String> = (0..12).map(|_| WEB.to_owned()).collect();
    let through = paths.iter().filter(|url| lab.gets_through(OTHER, url));
    let through = through.count();
    assert!((3..=8).contains(&through), "{through} of 12");
    assert!((0..12).all(|_| lab.gets_through(ATTACKER, WEB)));
}

#[test]
fn live_connections_are_cut_and_own_ones_pass() {
    let Some(mut lab) = lab() else { return };
    lab.start_nginx();
    if let Err(reason) = lab.start_container() {
        return skipped(&reason);
    }
    let guard = Guard::start(&lab, &["--source", "sshd=/nonexistent"]);
    let big = fs::File::create(lab.path("site").join("big")).unwrap();
    big.set_len(50_000_000).unwrap();
    let got = lab.path("got");
    let mut download = lab.client_command("curl");
    download.args(["-s", "--limit-rate", "200k", "--interface", ATTACKER, "-o"]);
    download.arg(&got).arg(format!("{WEB}big"));
    let _download = Running(download.stdout(Stdio::null()).spawn().unwrap());
    let size = || fs::metadata(&got).map_or(0, |file| file.len());
    eventually(10, || (size() > 0).then_some(())).expect("it has begun");
    guard.done(&lab, &["ban", ATTACKER]);
    // What its kernel had received already still comes.
    let stopped = eventually(40, || {
        let before = size();
        sleep(Duration::from_secs(2));
        (size() == before).then_some(before)
    });
    assert!(
        stopped.is_some_and(|size| size < 40_000_000),
        "{stopped:?}: an open connection is cut"
    );

    // This machine may still go where it wants: answers pass, also with the other side banned. HTTPS as well, with
    // its several exchanges before the first byte and more than one packet of answer.
    let big = fs::File::create(lab.path("inside").join("big")).unwrap();
    big.set_len(3_000_000).unwrap();
    let big_tls = format!("{INSIDE_TLS}big");
    let from_server = |url: &str| {
        let mut curl = lab.server_command("curl");
        curl.args(["-s", "-m", "5", "-o", "/dev/null"]);
        curl.args(["-w", "%{http_code} %{size_download}", "-k", url]);
        Said::of(curl.output().unwrap()).out
    };
    let back = || {
        let mut curl = lab.container_command("curl");
        curl.args(["-s", "-m", "1.5", "-o", "/dev/null", WEB]);
        curl.status().unwrap().success()
    };
    assert!(back(), "before the ban the other side gets here");
    guard.done(&lab, &["ban", "198.19.0.2"]);
    let why = guard.done(&lab, &["why", "198.19.0.2"]);
    assert!(why.contains("Enforcement: the firewall has it"), "{why}");
    for (url, expected) in [
        (INSIDE, "200 7"),
        (INSIDE_TLS, "200 7"),
        (&big_tls, "200 3000000"),
    ] {
        let got = from_server(url);
        assert_eq!(got, expected, "{url}, which is banned");
        assert!(!back(), "but not the other way");
    }

    // It is the certificate of the other side, and no other one, that came through.
    let mut curl = lab.server_command("curl");
    curl.args(["-s", "-m", "5", "-o", "/dev/null", "--cacert"]);
    curl.arg(lab.path("inside.pem")).arg(INSIDE_TLS);
    assert!(curl.status().unwrap().success(), "with its certificate");
}

#[test]
fn nobody_locks_themselves_out() {
    let Some(mut lab) = lab() else { return };
    let auth = lab.start_sshd();
    lab.start_nginx();
    fs::write(
        lab.path("hosts"),
        "127.0.0.1 localhost\n198.18.1.30 home.lab\n",
    )
    .unwrap();
    let hosts = lab.path("hosts");
    let mounted = lab
        .server_command("mount")
        .args(["--bind", hosts.to_str().unwrap(), "/etc/hosts"])
        .status();
    assert!(mounted.unwrap().success());
    let gateway = "ip route add default via 198.18.1.60";
    assert!(
        lab.server_command("sh")
            .args(["-c", gateway])
            .status()
            .unwrap()
            .success()
    );
    let (admin, pre_auth) = ("198.18.1.20", "198.18.1.21");
    let _session = lab.log_in(admin);
    let mut waiting = lab.client_command("bash");
    waiting.args(["-c", "exec 3<>/dev/tcp/198.18.0.1/22022; sleep 30"]);
    let _waiting = Running(waiting.spawn().unwrap());
    let source = format!("sshd={}", auth.display());
    let guard = Guard::start(&lab, &["--source", &source]);
    eventually(15, || {
        let said = guard.say(&lab, &["why", admin]);
        said.out.contains("logged in to this machine").then_some(())
    })
    .unwrap_or_else(|| panic!("{}", guard.say(&lab, &["why", admin]).out));
    let list = lab.path("list.txt");
    fs::write(
        &list,
        format!("{SERVER}\n198.18.1.60\n{admin}\n198.18.1.29\n"),
    )
    .unwrap();
    for (subject, words) in [
        (SERVER, "an address of this machine"),
        ("198.18.1.60", "the gateway"),
        (admin, "logged in to this machine over SSH"),
        ("198.18.0.0/24", "an address of this machine"),
    ] {
        guard.refused(&lab, &["ban", subject], words);
        guard.refused(&lab, &["ban", subject], "--force");
    }
    let said = guard.done(&lab, &["decisions", "import", list.to_str().unwrap()]);
    assert!(
        said.contains("1 new decision") && said.contains("3 are protected"),
        "{said}"
    );
    // By a rule: the administrator mistypes a password seven times.
    lab.fail_to_log_in(admin, "root", 7);
    lab.fail_to_log_in("198.18.1.22", "root", 7);
    wait_until(&lab, "198.18.1.22", WEB, false, &guard);
    assert!(lab.gets_through(admin, WEB), "{}", guard.told());
    let alerts = guard.done(&lab, &["alerts", "list"]);
    assert!(alerts.contains("protected"), "{alerts}");
    guard.done(&lab, &["ban", pre_auth]);
    guard.done(&lab, &["ban", "198.18.1.60", "--force"]);
    guard.done(&lab, &["undo"]);

    // The allowlist beats everything, force included, and lifts what stands; a name is what it stands for.
    guard.done(&lab, &["ban", "198.18.1.30"]);
    assert!(!lab.gets_through("198.18.1.30", WEB));
    guard.done(&lab, &["allow", "add", "home.lab", "--reason", "me"]);
    wait_until(&lab, "198.18.1.30", WEB, true, &guard);
    guard.refused(&lab, &["ban", "198.18.1.30", "--force"], "allowlist");
    guard.done(&lab, &["allow", "add", "198.18.1.22"]);
    assert!(lab.gets_through("198.18.1.22", WEB));
    guard.done(&lab, &["allow", "remove", "home.lab"]);
    guard.done(&lab, &["ban", "198.18.1.30"]);
    assert!(!lab.gets_through("198.18.1.30", WEB));
}

#[test]
fn what_is_shown_is_enforced_whatever_others_and_kill_9_do() {
    let Some(mut lab) = lab() else { return };
    lab.start_nginx();
    let guard = Guard::start(&lab, &["--source", "sshd=/nonexistent"]);
    lab.nft(&["add table inet theirs; add chain inet theirs x { type filter hook input priority 5; }; add rule inet theirs x counter"]);
    let theirs = lab.nft(&["-s", "list", "table", "inet", "theirs"]);
    guard.done(&lab, &["ban", ATTACKER]);
    assert!(!lab.gets_through(ATTACKER, WEB));

    // Another daemon has no business here.
    let mut second = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
    second.arg("--state").arg(lab.path("second"));
    let second = second
        .args(["run", "--no-mesh", "--firewall", "nftables"])
        .output();
    let second = Said::of(second.unwrap());
    assert!(
        second.code == 1 && second.err.contains("another lymph"),
        "{}",
        second.err
    );

    lab.nft(&["delete element inet lymph ban4_32 { 198.18.1.11 }"]);
    assert!(lab.gets_through(ATTACKER, WEB));
    wait_until(&lab, ATTACKER, WEB, false, &guard);
    assert!(guard.told().contains("SOMEBODY TOOK"), "{}", guard.told());
    lab.nft(&["flush chain inet lymph banned"]);
    wait_until(&lab, ATTACKER, WEB, false, &guard);
    lab.nft(&["delete table inet lymph"]);
    wait_until(&lab, ATTACKER, WEB, false, &guard);
    assert_eq!(lab.nft(&["-s", "list", "table", "inet", "theirs"]), theirs);
    lab.nft(&["flush ruleset"]);
    wait_until(&lab, ATTACKER, WEB, false, &guard);
    assert!(
        guard
            .told()
            .contains("THE FIREWALL WAS CHANGED BY SOMEBODY ELSE"),
        "{}",
        guard.told()
    );
    assert!(
        guard
            .done(&lab, &["status"])
            .contains("everything that is decided is in force")
    );

    // Dead and gone, the kernel keeps it; back again after a reboot of the firewall.
    guard.kill();
    assert!(!lab.gets_through(ATTACKER, WEB));
    lab.nft(&["flush ruleset"]);
    assert!(lab.gets_through(ATTACKER, WEB));
    let guard = Guard::start(&lab, &["--source", "sshd=/nonexistent"]);
    assert!(!lab.gets_through(ATTACKER, WEB), "{}", guard.told());
}

#[test]
fn panic_opens_everything_with_the_daemon_dead_and_the_store_damaged() {
    let Some(mut lab) = lab() else { return };
    lab.start_nginx();
    let run: &[&str] = &["--source", "sshd=/nonexistent"];
    let guard = Guard::start(&lab, run);
    guard.done(&lab, &["ban", ATTACKER]);
    guard.done(&lab, &["ban", OTHER]);
    assert!(!lab.gets_through(ATTACKER, WEB));
    let state = guard.kill();
    let damage = |name: &str, at: usize| {
        let mut bytes = fs::read(state.join(name)).unwrap();
        let end = (at + 40).min(bytes.len());
        bytes[at.min(end)..end].fill(b'#');
        fs::write(state.join(name), bytes).unwrap();
    };
    damage("store/db", 0);
    damage("store/conf", 0);
    damage("checkpoint", 10);
    // The line about the first of the two.
    damage("operator.book", 60);
    assert!(!lab.gets_through(ATTACKER, WEB));
    let lymph = |arguments: &[&str]| {
        let mut command = lab.server_command(env!("CARGO_BIN_EXE_lymph"));
        command.arg("--state").arg(&state).args(arguments);
        Said::of(command.output().unwrap())
    };
    let said = lymph(&["panic"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(lab.gets_through(ATTACKER, WEB) && lab.gets_through(OTHER, WEB));
    assert!(lymph(&["status"]).err.contains("PANIC"));

    // Also over a restart.
    let guard = Guard::start(&lab, run);
    sleep(Duration::from_secs(3));
    assert!(lab.gets_through(ATTACKER, WEB) && lab.gets_through(OTHER, WEB));
    assert!(!lab.nft(&["list", "tables"]).contains("lymph"));
    let status = guard.done(&lab, &["status"]);
    assert!(status.contains("PANIC"), "{status}");
    assert!(guard.told().contains("DAMAGED"), "{}", guard.told());
    let said = guard.done(&lab, &["ban", "198.18.1.13"]);
    assert!(said.contains("panic"), "{said}");
    guard.done(&lab, &["resume"]);
    wait_until(&lab, "198.18.1.13", WEB, false, &guard);
    assert!(
        !lab.gets_through(OTHER, WEB),
        "what could be read still holds"
    );

    // With the daemon alive, and then for good.
    guard.done(&lab, &["panic"]);
    assert!(lab.gets_through(OTHER, WEB));
    sleep(Duration::from_secs(2));
    assert!(!lab.nft(&["list", "tables"]).contains("lymph"));
    guard.done(&lab, &["resume"]);
    wait_until(&lab, OTHER, WEB, false, &guard);
    guard.refused(&lab, &["firewall", "remove"], "the daemon runs");
    guard.kill();
    assert_eq!(lymph(&["firewall", "remove"]).code, 0);
    assert!(lab.gets_through(OTHER, WEB));
}

#[test]
fn a_firewall_that_refuses_blocks_nobody_and_says_so() {
    let Some(mut lab) = lab() else { return };
    lab.start_nginx();
    // A program in place of nft that can be told to refuse.
    let nft = lab.path("nft");
    let script = format!(
        "#!/bin/sh\n[ -e {0}/refuse ] && {{ echo 'Error: no buffer space' >&2; exit 1; }}\nexec {0}/nft.real \"$@\"\n",
        lab.path("").display()
    );
    fs::write(&nft, script).unwrap();
    let path = ["/usr/sbin/nft", "/sbin/nft"]
        .into_iter()
        .find(|path| fs::metadata(path).is_ok())
        .unwrap();
    fs::copy(path, lab.path("nft.real")).unwrap();
    for name in ["nft", "nft.real"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(lab.path(name), mode).unwrap();
    }
    let mounted = lab
        .server_command("mount")
        .args(["--bind", nft.to_str().unwrap(), path])
        .status();
    assert!(mounted.unwrap().success());
    let guard = Guard::start(&lab, &["--source", "sshd=/nonexistent"]);
    guard.done(&lab, &["ban", ATTACKER]);
    fs::write(lab.path("refuse"), "").unwrap();
    let said = guard.done(&lab, &["ban", OTHER]);
    assert!(
        said.contains("Not done by the firewall") && said.contains("no buffer space"),
        "{said}"
    );
    let status = guard.done(&lab, &["status"]);
    assert!(status.contains("What is new is not enforced"), "{status}");
    assert!(
        guard.told().contains("THE FIREWALL REFUSES"),
        "{}",
        guard.told()
    );
    fs::remove_file(lab.path("refuse")).unwrap();
    wait_until(&lab, OTHER, WEB, false, &guard);
    assert!(
        guard.told().contains("the firewall works again"),
        "{}",
        guard.told()
    );
}
