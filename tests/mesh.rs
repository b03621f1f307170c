//! Machines together, from outside: real daemons that speak real libp2p, on loopback and between namespaces.
//!
//! Nothing here leaves loopback or the namespaces: those have no default route. On loopback nobody's firewall is touched;
//! in the namespaces nftables is real, and without root or nft those tests skip, loudly.
#![allow(
    clippy::disallowed_methods,
    reason = "patience is measured, and a slow line is slow, by the real clock"
)]

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::{Running, eventually, skipped};
use crate::support::{Said, fail_to_log_in, lymph};

const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/0";
/// Reports are about addresses that somebody may have; nothing is ever sent to these.
const ATTACKER: &str = "8.8.4.4";
const OTHER: &str = "8.8.4.5";
/// Enough for everything that should take a second.
const SOON: u32 = 20;

/// A machine: its state, its log, and a daemon while one runs.
struct Node {
    dir: tempfile::TempDir,
    /// The process whose network namespace it lives in.
    place: Option<u32>,
    arguments: Vec<String>,
    process: Option<Running>,
}

impl Node {
    /// One that is not started.
    fn new(place: Option<u32>, arguments: &[&str]) -> Node {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("auth.log"), "").unwrap();
        fs::write(dir.path().join("lymph.toml"), "").unwrap();
        Node {
            dir,
            place,
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            process: None,
        }
    }

    /// One that listens on loopback.
    fn started() -> Node {
        let mut node = Node::new(None, &["--listen", LOOPBACK]);
        node.start();
        node
    }

    /// One that will listen on loopback at the same port after a restart.
    fn settled() -> Node {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr();
        let listen = format!("/ip4/127.0.0.1/tcp/{}", free.unwrap().port());
        let mut node = Node::new(None, &["--listen", &listen]);
        node.start();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = match self.place {
            None => lymph(&[]),
            Some(pid) => {
                let mut command = Command::new("nsenter");
                command
                    .args(["-n", "-t", &pid.to_string(), "--"])
                    .arg(env!("CARGO_BIN_EXE_lymph"))
                    .env("COLUMNS", "200")
                    .env("TZ", "UTC")
                    .env_remove("RUST_LOG");
                command
            }
        };
        command.arg("--state").arg(self.path("state"));
        command.arg("--config").arg(self.path("lymph.toml"));
        command.stdin(Stdio::null());
        command
    }

    /// Starts it and does not wait.
    fn spawn(&mut self) {
        let out = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("out"))
            .unwrap();
        let mut command = self.command();
        command.arg("run");
        if self.place.is_none() {
            command.args(["--firewall", "dry-run"]);
        }
        command
            .arg("--source")
            .arg(format!("sshd={}", self.path("auth.log").display()))
            .args(&self.arguments)
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        self.process = Some(Running(command.spawn().unwrap()));
    }

    /// Starts it and waits until others could reach it.
    fn start(&mut self) {
        self.spawn();
        self.until("it listens", |node| !node.mesh()["listening"][0].is_null());
    }

    fn say(&self, arguments: &[&str]) -> Said {
        Said::of(self.command().args(arguments).output().unwrap())
    }

    /// Something that must succeed.
    fn done(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        let (out, err, told) = (&said.out, &said.err, self.told());
        assert_eq!(said.code, 0, "{arguments:?}: {out}{err}\n{told}");
        said.out
    }

    /// Something that must succeed and answer in JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.done(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Something that must be refused, with these words.
    fn refused(&self, arguments: &[&str], words: &str) {
        let said = self.say(arguments);
        let is_refused = said.code == 1 && said.err.contains(words);
        let (code, out, err) = (said.code, said.out, said.err);
        assert!(
            is_refused,
            "{arguments:?}: not {words:?}: {code} {out}{err}"
        );
    }

    /// Asks the daemon without a command; nothing if it does not answer.
    fn asked(&self, method: &str, path: &str, body: &str) -> Option<Value> {
        let mut socket = UnixStream::connect(self.path("state/lymph.sock")).ok()?;
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .ok()?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: lymph\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200")
            .then(|| serde_json::from_str(body).ok())?
    }

    fn mesh(&self) -> Value {
        self.asked("GET", "/mesh", "").unwrap_or_default()
    }

    fn status(&self) -> Value {
        self.asked("GET", "/status", "").unwrap_or_default()
    }

    fn id(&self) -> String {
        self.mesh()["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Who is decided about, and whose word that is.
    fn decided(&self) -> Vec<(String, String)> {
        let decisions = self.asked("GET", "/decisions", "").unwrap_or_default();
        let rows = decisions.as_array().cloned().unwrap_or_default();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.iter()
            .map(|row| (text(row, "subject"), text(row, "origin")))
            .collect()
    }

    fn has(&self, subject: &str) -> bool {
        self.decided().iter().any(|(who, _)| who == subject)
    }

    fn has_of(&self, subject: &str, origin: &str) -> bool {
        self.decided()
            .contains(&(subject.to_owned(), origin.to_owned()))
    }

    fn allows(&self, what: &str) -> bool {
        let entries = self.asked("GET", "/allow", "").unwrap_or_default();
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["what"] == what)
    }

    fn until(&self, what: &str, holds: impl Fn(&Node) -> bool) {
        self.until_within(SOON, what, holds);
    }

    fn until_within(&self, seconds: u32, what: &str, holds: impl Fn(&Node) -> bool) {
        let since = Instant::now();
        while !holds(self) {
            assert!(
                since.elapsed() < Duration::from_secs(seconds.into()),
                "{what}: not so\n{:?}\n{}\n{}\n{}",
                self.decided(),
                self.mesh(),
                self.status()["attention"],
                self.told()
            );
            sleep(Duration::from_millis(30));
        }
    }

    /// Waits until all of these are decided about.
    fn has_all(&self, subjects: &[String]) {
        let missing = || {
            let decided = self.decided();
            let mut missing = subjects.to_vec();
            missing.retain(|subject| decided.iter().all(|(who, _)| who != subject));
            missing
        };
        let all = eventually(60, || missing().is_empty().then_some(()));
        assert!(
            all.is_some(),
            "not everything has come: {:?}\n{}\n{}",
            missing(),
            self.mesh(),
            self.told()
        );
    }

    /// Somebody tries passwords.
    fn attacked_by(&self, address: &str) {
        fail_to_log_in(&self.path("auth.log"), address, 7);
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    fn attention(&self) -> String {
        self.status()["attention"].to_string()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Gives it no chance.
    fn kill(&mut self) {
        self.process.take();
    }

    fn stop(&mut self) {
        self.signal("TERM");
        let mut process = self.process.take().unwrap();
        eventually(20, || process.0.try_wait().unwrap()).expect("it ends when asked to");
    }

    /// `lymph panic` and `lymph resume` take a table out of the firewall: not out of this machine's.
    fn out_of_reach(&self, arguments: &[&str]) {
        let command = self.command();
        let is_root = fs::metadata("/proc/self")
            .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
        let mut wrapped = Command::new(if is_root { "unshare" } else { "env" });
        wrapped.args(if is_root { &["-n"][..] } else { &[] });
        wrapped.arg(command.get_program()).args(command.get_args());
        let said = Said::of(wrapped.args(arguments).output().unwrap());
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
    }
}

/// Two commands; what the second one says.
fn pair(inviter: &Node, joiner: &Node, invite: &[&str], join: &[&str]) -> Value {
    let invited = inviter.json(&[&["invite"], invite].concat());
    let ticket = invited["ticket"].as_str().unwrap();
    joiner.json(&[&["join", ticket], join].concat())
}

fn knows(node: &Node, other: &str, degree: &str) -> bool {
    let peers = node.mesh()["peers"].as_array().cloned().unwrap_or_default();
    let is_it = |peer: &Value| {
        peer["node"] == other && peer["degree"] == degree && peer["connected"] == true
    };
    peers.iter().any(is_it)
}

/// So many machines of one operator, all of which know each other.
fn fleet(nodes: &[Node]) {
    for joiner in &nodes[1..] {
        pair(&nodes[0], joiner, &["--fleet"], &[]);
    }
    for node in nodes {
        for other in nodes {
            let other = other.id();
            if other != node.id() {
                node.until("all siblings are connected", |node| {
                    knows(node, &other, "sibling")
                });
            }
        }
    }
}

fn fleet_of(count: usize) -> Vec<Node> {
    let nodes: Vec<_> = (0..count).map(|_| Node::started()).collect();
    fleet(&nodes);
    nodes
}

#[test]
fn what_is_wanted_on_one_machine_of_a_fleet_is_wanted_on_all() {
    let (one, two) = (Node::started(), Node::started());
    let joined = pair(&one, &two, &["--fleet"], &[]);
    assert_eq!(
        (&joined["state"], &joined["degree"], &joined["node"]),
        (&json!("done"), &json!("sibling"), &json!(one.id()))
    );
    let words = joined["words"].as_str().unwrap().to_owned();
    assert_eq!(words.split(' ').count(), 4, "{words}");
    one.until("both show the same words", |one| {
        one.mesh()["paired"][0]["words"] == words
    });
    assert_eq!(two.mesh()["paired"][0]["words"], words);
    for (node, other) in [(&one, &two), (&two, &one)] {
        let other = other.id();
        node.until("they know each other", |node| {
            let peers = node.json(&["peers"]);
            peers.as_array().unwrap().len() == 1
                && peers[0]["node"] == other
                && peers[0]["degree"] == "sibling"
                && peers[0]["connected"] == true
                && !peers[0]["vouches_until"].is_null()
        });
    }
    assert_eq!(one.mesh()["fleet"], two.mesh()["fleet"]);
    assert_eq!(two.json(&["fleet", "list"]).as_array().unwrap().len(), 1);

    one.attacked_by(ATTACKER);
    one.until("it is attacked", |one| one.has_of(ATTACKER, "lymph"));
    two.until("a report blocks", |two| two.has_of(ATTACKER, "mesh"));
    let why = two.done(&["why", ATTACKER]);
    assert!(why.contains("ssh"), "{why}");
    two.done(&["unban", "--fleet", ATTACKER]);
    assert!(!two.has(ATTACKER));
    one.until("an unban lifts", |one| !one.has(ATTACKER));

    two.attacked_by(OTHER);
    one.until("a report blocks", |one| one.has_of(OTHER, "mesh"));
    two.done(&["allow", "add", OTHER, "--reason", "a friend"]);
    assert!(two.allows(OTHER) && !two.has(OTHER));
    one.until("the allowlist is one", |one| {
        one.allows(OTHER) && !one.has(OTHER)
    });
    two.done(&["allow", "remove", OTHER]);
    one.until("the allowlist is one", |one| !one.allows(OTHER));

    one.done(&["ban", "8.8.5.1", "--reason", "by hand"]);
    two.until("a ban is everywhere", |two| {
        two.has_of("8.8.5.1", "operator")
    });
    one.done(&["undo"]);
    two.until("and undone everywhere", |two| !two.has("8.8.5.1"));

    // What holds here alone stays here: whatever is said afterwards has arrived, and this has not.
    one.done(&["ban", "8.8.5.2", "--here"]);
    one.done(&["allow", "add", "8.8.5.3", "--here"]);
    one.done(&["ban", "8.8.5.4"]);
    two.until("a ban is everywhere", |two| two.has("8.8.5.4"));
    one.done(&["unban", "8.8.5.4", "--here"]);
    one.done(&["ban", "8.8.5.5"]);
    two.until("a ban is everywhere", |two| two.has("8.8.5.5"));
    assert!(!two.has("8.8.5.2") && !two.allows("8.8.5.3") && two.has("8.8.5.4"));

    one.out_of_reach(&["panic"]);
    two.until("a panic is everywhere", |two| {
        two.attention().contains("PANIC")
    });
    two.out_of_reach(&["resume"]);
    one.until("so is its end", |one| !one.attention().contains("PANIC"));
    one.out_of_reach(&["panic", "--here"]);
    one.done(&["ban", "8.8.5.6"]);
    two.until("a ban is everywhere", |two| two.has("8.8.5.6"));
    assert!(!two.attention().contains("PANIC"));
    one.out_of_reach(&["resume", "--here"]);

    // Leaving is one command.
    two.done(&["fleet", "leave"]);
    one.until("it has left", |one| one.mesh()["peers"] == json!([]));
    two.refused(&["ban", "8.8.5.7", "--fleet"], "in no fleet");
}

#[test]
fn a_newcomer_hears_what_was_said_before() {
    let nodes = fleet_of(2);
    nodes[0].attacked_by(ATTACKER);
    nodes[0].done(&["ban", "8.8.5.1"]);
    nodes[0].done(&["allow", "add", "8.8.5.2"]);
    nodes[1].until("they share", |node| {
        node.has(ATTACKER) && node.has("8.8.5.1") && node.allows("8.8.5.2")
    });
    let third = Node::started();
    third.done(&["allow", "add", "8.8.5.3"]);
    pair(&nodes[1], &third, &["--fleet"], &[]);
    third.until("it has caught up", |third| {
        third.has(ATTACKER) && third.has("8.8.5.1") && third.allows("8.8.5.2")
    });
    for node in &nodes {
        node.until("all hear whom it never blocks", |node| {
            node.allows("8.8.5.3")
        });
    }
    // Whoever is sent away hears nothing any more.
    let gone = third.id();
    nodes[0].done(&["fleet", "expel", &gone]);
    nodes[1].until("it is gone", |node| !knows(node, &gone, "sibling"));
    nodes[1].done(&["ban", "8.8.5.4"]);
    nodes[0].until("the others share on", |node| node.has("8.8.5.4"));
    assert!(!third.has("8.8.5.4"));
}

/// The others get a new secret then: also one that was away, and although the one that knows it was restarted since.
#[test]
fn whoever_was_away_when_a_machine_was_sent_away_gets_the_new_secret() {
    let mut nodes = [Node::settled(), Node::settled(), Node::settled()];
    fleet(&nodes);
    let gone = nodes[2].id();
    nodes[1].kill();
    nodes[0].done(&["fleet", "expel", &gone]);
    let fleet = nodes[0].mesh()["fleet"].clone();
    nodes[0].kill();
    nodes[0].start();
    assert_eq!(nodes[0].mesh()["fleet"], fleet);
    nodes[1].start();
    nodes[1].until("it has the new secret", |node| {
        node.mesh()["fleet"] == fleet
    });
    nodes[1].until("it knows who is gone", |node| {
        node.mesh()["peers"]
            .as_array()
            .is_some_and(|peers| peers.len() == 1)
    });
    for (from, to) in [(0, 1), (1, 0)] {
        let subject = format!("8.8.5.{from}");
        nodes[from].done(&["ban", &subject]);
        nodes[to].until("they share", |node| node.has(&subject));
        assert!(!nodes[2].has(&subject));
    }
}

#[test]
fn a_ticket_that_does_not_work_says_why_and_what_to_do() {
    let (one, two, three) = (Node::started(), Node::started(), Node::started());
    let ticket = |node: &Node, arguments: &[&str]| {
        let invited = node.json(&[&["invite", "--no-wait"], arguments].concat());
        assert_eq!(invited["token"].as_str().unwrap().len(), 32, "{invited}");
        invited["ticket"].as_str().unwrap().to_owned()
    };
    let short = ticket(&one, &["--for", "1s"]);
    sleep(Duration::from_millis(1_500));
    two.refused(&["join", &short], "expired");

    let fleet = ticket(&one, &["--fleet"]);
    one.refused(&["join", &fleet], "run `lymph join` on the other one");
    for (place, letter) in [(8, 'z'), (60, 'q'), (fleet.len() - 1, '7')] {
        let mut mangled: Vec<char> = fleet.chars().collect();
        mangled[place] = if mangled[place] == letter {
            'b'
        } else {
            letter
        };
        let mangled: String = mangled.into_iter().collect();
        let said = two.say(&["join", &mangled]);
        assert_eq!(said.code, 1, "{place}: {}", said.out);
        let is_clear = said.err.contains("mangled") || said.err.contains("newer lymph");
        assert!(is_clear, "{place}: {}", said.err);
    }
    two.refused(&["join", &fleet[..fleet.len() - 9]], "mangled");
    for garbage in ["", "lymph", "hello", "ключ", "https://example.org/"] {
        two.refused(&["join", garbage], "a ticket begins with lymph1");
    }
    two.refused(&["join", "lymph1"], "mangled");
    two.refused(
        &["join", &format!("lymph1{}", "a".repeat(9_000))],
        "mangled",
    );

    // Read from a mail, with its line broken, in capitals.
    let broken = format!(
        " {}\n{}\n",
        fleet[..50].to_uppercase(),
        fleet[50..].to_uppercase()
    );
    let mut join = two.command();
    join.args(["join", "-", "--json"]).stdin(Stdio::piped());
    join.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut join = join.spawn().unwrap();
    let mut stdin = join.stdin.take().unwrap();
    stdin.write_all(broken.as_bytes()).unwrap();
    drop(stdin);
    let joined = Said::of(join.wait_with_output().unwrap());
    assert_eq!(joined.code, 0, "{}", joined.err);
    assert_eq!(joined.json()["state"], "done");
    three.refused(&["join", &fleet], "used");

    let other = ticket(&three, &["--fleet"]);
    two.refused(&["join", &other], "lymph fleet leave");
    // Twice is twice, and not three times.
    let twice = ticket(&one, &["--uses", "2"]);
    for joiner in [&two, &three] {
        joiner.done(&["join", &twice, "--no-share"]);
    }
    Node::started().refused(&["join", &twice], "used");

    // It outlives the daemon.
    let mut four = Node::settled();
    let kept = ticket(&four, &["--for", "1h", "--uses", "2"]);
    two.done(&["join", &kept, "--no-share"]);
    four.kill();
    four.start();
    assert_eq!(four.mesh()["invitations"][0]["uses_left"], 1);
    three.done(&["join", &kept, "--no-share"]);
    Node::started().refused(&["join", &kept], "used");

    for (arguments, code) in [
        (&["invite", "--uses", "0"][..], 2),
        (&["invite", "--fleet", "--circle"], 2),
        (&["invite", "--for", "soon"], 2),
        (&["join"], 2),
        (&["join", "lymph1", "--share", "--no-share"], 2),
        (&["ban", "8.8.5.1", "--here", "--fleet"], 2),
        (&["trust", "vouch", "0123"], 1),
        (&["trust", "vouch", &one.id(), "--weight", "2"], 1),
        (&["trust", "revoke", "nobody"], 1),
        (&["fleet", "expel", "nobody"], 1),
        (&["circle", "leave", "circle-0123"], 1),
        (&["share", "on", "--circle", "circle-0123"], 1),
    ] {
        let said = two.say(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}{}", said.out, said.err);
        assert!(!said.err.is_empty() && !said.err.contains("panicked"));
    }
}

#[test]
fn commands_answer_in_json_and_keys_are_for_nobody_else() {
    let nodes = fleet_of(2);
    let (one, two) = (&nodes[0], &nodes[1]);
    let friend = Node::started();
    pair(one, &friend, &[], &["--no-share"]);
    pair(
        two,
        &friend,
        &["--circle", "--uses", "3", "--for", "1h"],
        &[],
    );
    for (command, keys) in [
        (
            &["peers"][..],
            &[
                "node",
                "name",
                "degree",
                "weight",
                "listed",
                "connected",
                "muted",
                "addresses",
                "since",
                "vouches_until",
                "reports",
            ][..],
        ),
        (
            &["trust", "list"],
            &["node", "degree", "weight", "quality", "hits", "refutations"],
        ),
        (&["fleet", "list"], &["node", "degree"]),
    ] {
        let said = one.json(command);
        for key in keys {
            assert!(said[0].get(key).is_some(), "{command:?}: no {key}: {said}");
        }
    }
    let shared = friend.json(&["share", "status"]);
    assert_eq!(
        shared["public"],
        json!({"publish": false, "consume": false})
    );
    assert_eq!(shared["circles"].as_array().unwrap().len(), 1);
    assert_eq!(one.json(&["share", "status"])["fleet"], two.mesh()["fleet"]);
    assert_eq!(one.json(&["share", "preview"]), json!([]));
    assert_eq!(one.json(&["trust", "suggest"]), json!([]));
    assert_eq!(one.json(&["trust", "circle"]), json!([]));
    let explained = one.json(&["trust", "explain", &friend.id()]);
    assert_eq!(explained["standing"], "friend", "{explained}");
    assert_eq!(explained["through"][0]["weight"], 1.0, "{explained}");
    assert_eq!(
        one.json(&["trust", "explain", &two.id()[..12]])["standing"],
        "sibling"
    );
    let trust = one.json(&["status"])["trust"].clone();
    assert_eq!(
        (
            &trust["branches"],
            &trust["siblings"],
            &trust["must_be_fooled"]
        ),
        (&json!(1), &json!(1), &Value::Null),
        "{trust}"
    );
    one.refused(&["trust", "explain", "no body"], "no body");
    let circles = friend.json(&["circle"]);
    assert_eq!(circles[0]["founder"], two.id());
    assert_eq!(circles[0]["curated"], false);
    assert_eq!(two.json(&["circle", "list"])[0]["curated"], true);

    let id = friend.id();
    let name = &id[..12];
    for (command, done) in [
        (&["trust", "mute", name][..], true),
        (&["trust", "unmute", name], true),
        (
            &["trust", "vouch", name, "--weight", "0.5", "--unlisted"],
            true,
        ),
        (&["trust", "revoke", name], true),
    ] {
        assert_eq!(one.json(command)["done"], done, "{command:?}");
    }
    // What a file says is made so, and the second time there is nothing to do.
    let wanted = format!(
        "allow = [\"8.8.6.0/24\"]\n[share]\npublish = false\nconsume = false\n[[vouch]]\nnode = \"{id}\"\nweight = 0.25\n"
    );
    fs::write(one.path("wanted.toml"), wanted).unwrap();
    let file = one.path("wanted.toml");
    let file = file.to_str().unwrap();
    let checked = one.json(&["apply", "--check", file]);
    assert_eq!(
        (
            &checked["applied"],
            checked["changes"].as_array().unwrap().len()
        ),
        (&json!(false), 2),
        "{checked}"
    );
    assert_eq!(one.json(&["apply", file])["applied"], true);
    assert_eq!(one.json(&["apply", file])["changes"], json!([]));
    let circle = circles[0]["name"].as_str().unwrap();
    assert_eq!(friend.json(&["circle", "leave", circle])["done"], true);

    for node in [one, two, &friend] {
        assert_eq!(node.json(&["id"])["id"], node.id());
        let state = node.path("state");
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&state) & 0o077, 0);
        for name in [
            "identity.key",
            "transport.key",
            "successor.key",
            "kill.cert",
            "sequence",
        ] {
            let mode = mode(&state.join(name)) & 0o777;
            assert_eq!(mode, 0o600, "{name}: {mode:o}");
        }
        // No secret is on a screen.
        let screens = node.told() + &node.mesh().to_string() + &node.status().to_string();
        for name in ["identity.key", "transport.key", "successor.key"] {
            let key = fs::read_to_string(state.join(name)).unwrap();
            let secret = key.split_whitespace().next_back().unwrap();
            assert!(!screens.contains(secret), "{name}");
        }
    }
}

/// Until trust is weighed, only one's own machines block; others' reports are shown, where both want that.
#[test]
fn what_a_member_of_a_circle_reports_is_shown_and_blocks_nobody() {
    let (curator, member) = (Node::started(), Node::started());
    pair(&curator, &member, &["--circle", "--uses", "5"], &[]);
    curator.until("they know each other", |node| {
        knows(node, &member.id(), "member")
    });
    member.attacked_by(ATTACKER);
    curator.until("it has heard", |node| {
        node.mesh()["peers"][0]["reports"] != 0
    });
    curator.done(&["ban", "8.8.5.1"]);
    assert_eq!(curator.decided().len(), 1, "{:?}", curator.decided());
    // Nobody else's ban by hand is heard in a circle.
    assert!(!member.has("8.8.5.1"));
    let name = curator.json(&["circle", "list"])[0]["name"].clone();
    let name = name.as_str().unwrap();
    member.done(&["share", "off", "--circle", name]);
    member.attacked_by(OTHER);
    member.until("it is attacked", |node| node.has(OTHER));
    curator.attacked_by("8.8.4.9");
    curator.until("it is attacked", |node| node.has("8.8.4.9"));
    assert_eq!(member.mesh()["peers"][0]["reports"], 0);
    curator.done(&["circle", "expel", &member.id()[..16]]);
    curator.until("it is gone", |node| node.mesh()["peers"] == json!([]));
}

#[test]
fn whoever_is_muted_is_not_believed_until_heard_again() {
    let nodes = [Node::settled(), Node::settled()];
    fleet(&nodes);
    let [one, two] = &nodes;
    let id = one.id();
    two.done(&["trust", "mute", &id[..16]]);
    two.until("it is cut off", |two| two.mesh()["connections"] == 0);
    one.attacked_by(ATTACKER);
    one.until("it is attacked", |one| one.has(ATTACKER));
    one.done(&["ban", "8.8.5.1"]);
    sleep(Duration::from_secs(2));
    assert_eq!(two.decided(), []);
    let muted = two.done(&["trust", "list"]);
    assert!(muted.contains("muted"), "{muted}");
    two.done(&["trust", "unmute", &id[..16]]);
    two.until_within(60, "it is heard again", |two| {
        two.has_of(ATTACKER, "mesh") && two.has_of("8.8.5.1", "operator")
    });
}

/// Whether a friend's word, heard by gossip in its own time, does what it should: the first makes the detector look closer, the
/// second slows the attacker down, the third shuts him out.
#[test]
fn an_attacker_is_refused_when_three_friends_have_seen_him() {
    // Of whoever is left alone for the sake of measuring, nothing would be seen here.
    let start = || {
        let mut node = Node::settled();
        node.stop();
        fs::write(node.path("lymph.toml"), "[mesh]\nholdout = 0\n").unwrap();
        node.start();
        node
    };
    let me = start();
    let friends = [start(), start(), start()];
    for friend in &friends {
        pair(&me, friend, &[], &[]);
        friend.done(&["share", "on"]);
    }
    me.done(&["share", "on"]);
    for friend in &friends {
        me.until("they know each other", |me| {
            knows(me, &friend.id(), "friend")
        });
    }
    // Only one of them has seen the first, all of them the other.
    friends[0].attacked_by(OTHER);
    for friend in &friends {
        friend.attacked_by(ATTACKER);
    }
    let kinds = |address: &str| {
        let decided = me.json(&["why", address])["decisions"].clone();
        let decided = decided.as_array().cloned().unwrap_or_default();
        let mesh = decided
            .iter()
            .filter(|decision| decision["origin"] == "mesh");
        let mut kinds: Vec<_> = mesh.map(|decision| decision["kind"].to_string()).collect();
        kinds.sort();
        kinds
    };
    let heard = |address: &str| {
        let reports = me.json(&["why", address])["reports"].clone();
        reports.as_array().map_or(0, Vec::len)
    };
    // Public reports are said half a minute to five later, each in its own time.
    let seen = Mutex::new(Vec::new());
    me.until_within(400, "three have said so", |_| {
        sleep(Duration::from_millis(300));
        let before = heard(ATTACKER);
        let kinds = kinds(ATTACKER);
        if before == heard(ATTACKER) {
            seen.lock().unwrap().push((before, kinds));
        }
        before == 3
    });
    me.until("he is shut out", |_| {
        kinds(ATTACKER).contains(&"\"ban\"".to_owned())
    });
    for (heard, kinds) in seen.into_inner().unwrap() {
        let is_as_expected = match heard {
            0 | 1 => kinds.is_empty(),
            2 => kinds == ["\"throttle\""],
            _ => true,
        };
        assert!(is_as_expected, "{heard} friends said so: {kinds:?}");
    }
    let why = me.done(&["why", ATTACKER]);
    for said in [
        "is under a ban by mesh until",
        "ssh-auth seen by",
        "as much as 3.00 friends' word (2.50 are needed), by 3 ways that share nobody (3 are needed)",
        "score 0.78, confidence 0.67",
        "QUALITY  WORTH NOW  HEARD THROUGH",
        "it rests on 3 ways and not one more",
        "--false-positive",
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
    for friend in &friends {
        let id = friend.id();
        let name = &id[..12];
        let peers = me.mesh()["peers"].clone();
        let peers = peers.as_array().unwrap();
        let peer = peers.iter().find(|peer| peer["node"] == id.as_str());
        let called = peer.unwrap()["name"].as_str().unwrap().to_owned();
        let called = if called.is_empty() { name } else { &called };
        assert!(why.contains(&format!("{called} 1.00")), "{called}: {why}");
    }
    let status = me.done(&["status"]);
    for said in [
        "3 branches, 3 nodes are heard: 3 of them must be fooled",
        "more friends (`lymph invite`)",
    ] {
        assert!(status.contains(said), "{said}: {status}");
    }
    // One friend's word about the other: two tries are enough, in place of six.
    me.until_within(400, "the first has said so", |_| heard(OTHER) == 1);
    assert!(!me.has(OTHER));
    let why = me.done(&["why", OTHER]);
    assert!(why.contains("own detectors look closer (2 events"), "{why}");
    fail_to_log_in(&me.path("auth.log"), OTHER, 2);
    me.until("two tries were enough", |me| me.has_of(OTHER, "lymph"));
    // And whoever believes a friend no longer, no longer acts on their word.
    me.done(&["trust", "revoke", &friends[1].id()[..16]]);
    me.until("it is lifted", |_| kinds(ATTACKER) == ["\"throttle\""]);
    me.done(&["trust", "mute", &friends[2].id()[..16]]);
    me.until("all of it is lifted", |_| kinds(ATTACKER).is_empty());
    // It was somebody who mistyped: whoever reported it is believed less.
    let lifted = me.done(&["unban", OTHER, "--false-positive"]);
    assert!(lifted.contains("believed less from now on"), "{lifted}");
    let explained = me.json(&["trust", "explain", &friends[0].id()]);
    assert_eq!(explained["refutations"], 1, "{explained}");
    assert_eq!(explained["refuted"][0]["subject"], OTHER, "{explained}");
    let trusted = me.done(&["trust", "list"]);
    assert!(trusted.contains("REFUTED"), "{trusted}");
}

/// Whether these bytes are in a file of the folder, or of one in it.
fn is_written(folder: &std::path::Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_written(&path, text);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[test]
fn nothing_leaves_before_the_operator_says_so_and_never_more_than_said() {
    let (mut one, two) = (Node::started(), Node::started());
    let joined = pair(&one, &two, &[], &["--no-share"]);
    assert_eq!(joined["degree"], "friend");
    let preview = two.done(&["share", "preview"]);
    assert!(preview.contains("nothing goes out"), "{preview}");
    let status = two.done(&["share", "status"]);
    assert!(status.contains("nothing goes out or comes in"), "{status}");
    let secret = |n: u32| {
        format!(
            "{} hiddenhost sshd[{}]: Failed password for zebedee from 8.8.7.{n} port 40123 ssh2\n",
            crate::services::now(),
            7_000 + n
        )
    };
    let attack = |n: u32| {
        let lines: String = (0..7).map(|_| secret(n)).collect();
        let mut log = fs::OpenOptions::new()
            .append(true)
            .open(two.path("auth.log"))
            .unwrap();
        log.write_all(lines.as_bytes()).unwrap();
        two.until("it is attacked", |two| two.has(&format!("8.8.7.{n}")));
    };
    attack(1);
    assert_eq!(two.mesh()["waiting"], json!([]));
    assert_eq!(two.mesh()["reports"], 0);

    two.done(&["share", "on"]);
    assert_eq!(
        two.json(&["share", "status"])["public"],
        json!({"publish": true, "consume": true})
    );
    attack(2);
    let waiting = two.mesh()["waiting"].as_array().cloned().unwrap();
    assert!(!waiting.is_empty());
    for report in &waiting {
        assert_eq!(
            (&report["subject"], &report["audience"]),
            (&json!("8.8.7.2"), &json!("public"))
        );
        let fields = report["fields"].as_str().unwrap();
        let names: Vec<_> = fields
            .split(' ')
            .filter_map(|field| Some(field.split_once('=')?.0))
            .collect();
        assert_eq!(
            names,
            [
                "subject", "family", "rule", "evidence", "count", "time", "ttl"
            ],
            "{fields}"
        );
    }
    assert_eq!(two.json(&["share", "preview"]), Value::Array(waiting));
    let preview = two.done(&["share", "preview"]);
    assert!(preview.contains("subject=8.8.7.2"), "{preview}");
    two.done(&["share", "off"]);
    assert_eq!(two.mesh()["waiting"], json!([]), "what waited is not said");
    two.done(&["share", "on", "--consume-only"]);
    attack(3);
    assert_eq!(two.mesh()["waiting"], json!([]));

    // Whoever joins may say so at once.
    let three = Node::started();
    pair(&one, &three, &[], &["--share"]);
    assert_eq!(
        three.json(&["share", "status"])["public"],
        json!({"publish": true, "consume": true})
    );
    assert_eq!(
        one.json(&["share", "status"])["public"],
        json!({"publish": false, "consume": false})
    );

    // In a fleet it leaves at once. What has arrived there says nothing about the log that it was seen in.
    pair(&one, &two, &["--fleet"], &[]);
    attack(4);
    one.until("a report blocks", |one| one.has_of("8.8.7.4", "mesh"));
    two.done(&["ban", "8.8.7.9"]);
    one.until("a ban is everywhere", |one| one.has("8.8.7.9"));
    assert!(!one.has("8.8.7.1") && !one.has("8.8.7.3"));
    one.stop();
    assert!(is_written(two.dir.path(), "zebedee"));
    for text in ["zebedee", "hiddenhost", "40123", "Failed password"] {
        assert!(!is_written(&one.path("state"), text), "{text} has left");
    }
}

/// A stream of attacks on one machine while the other is killed fifty times in the middle of everything.
#[test]
fn fifty_kills_in_mid_gossip_cost_neither_identity_nor_siblings_nor_bans() {
    const KILLS: usize = 50;
    let mut nodes = fleet_of(2);
    let mut victim = nodes.pop().unwrap();
    let other = nodes.pop().unwrap();
    let (id, sibling) = (victim.id(), other.id());
    let number = |node: &Node| {
        let text = fs::read_to_string(node.path("state/sequence")).unwrap();
        let number = text.split_whitespace().next_back().unwrap().to_owned();
        number.parse::<u64>().unwrap()
    };
    let mut last = number(&victim);
    let mut chance = 0x9e37_79b9_u32;
    for round in 0..KILLS {
        other.attacked_by(&format!("8.9.1.{round}"));
        victim.attacked_by(&format!("8.9.2.{round}"));
        let mine = format!("8.9.3.{round}");
        let ban = json!({"entries": [{"subject": mine}]}).to_string();
        assert!(victim.asked("POST", "/decisions/add", &ban).is_some());
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sleep(Duration::from_millis(u64::from(chance >> 25)));
        victim.kill();
        victim.spawn();
        victim.until("it is back", |victim| !victim.id().is_empty());
        assert_eq!(victim.id(), id, "round {round}");
        let view = victim.mesh();
        assert_eq!(view["peers"][0]["node"], sibling, "round {round}: {view}");
        let decided = victim.decided();
        for before in 0..=round {
            let ban = (format!("8.9.3.{before}"), "operator".to_owned());
            assert!(decided.contains(&ban), "round {round}: {ban:?}");
        }
        let now = number(&victim);
        assert!(now >= last, "round {round}: {last} and then {now}");
        last = now;
    }
    // However far its numbers are by now: what is said last holds.
    let lifted = format!("8.9.3.{}", KILLS - 1);
    other.until_within(60, "all bans are everywhere", |other| other.has(&lifted));
    other.done(&["unban", &lifted]);
    victim.until("an unban lifts", |victim| !victim.has(&lifted));
    victim.done(&["ban", &lifted]);
    let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    other.until("a ban is everywhere", |other| other.has(&lifted));
    assert!(
        number(&victim) < clock.as_millis() as u64 + 180_000,
        "numbers stay near the clock"
    );
    for node in [&victim, &other] {
        let all = (1..=3).flat_map(|of| (0..KILLS).map(move |round| format!("8.9.{of}.{round}")));
        node.has_all(&all.collect::<Vec<_>>());
        let told = node.told();
        assert!(!told.contains("SAYS DIFFERENT THINGS"), "{told}");
        assert!(!told.contains("ANOTHER MACHINE SPEAKS"), "{told}");
        assert_eq!(node.mesh()["failure"], Value::Null);
    }
}

#[test]
fn whoever_was_away_has_it_all_when_it_is_back() {
    let mut nodes = fleet_of(3);
    let everywhere = |nodes: &[Node], subjects: &[String]| {
        for node in nodes {
            node.has_all(subjects);
        }
    };
    let mut said = Vec::new();
    let mut say = |nodes: &[Node], round: u32| {
        for n in 0..5 {
            nodes[0].attacked_by(&format!("8.10.{round}.{n}"));
            said.push(format!("8.10.{round}.{n}"));
        }
        let banned = format!("8.11.{round}.1");
        nodes[1].done(&["ban", &banned]);
        said.push(banned);
        everywhere(&nodes[..2], &said);
        said.clone()
    };
    // It stands still, as a machine does whose cable is out.
    nodes[2].signal("STOP");
    let all = say(&nodes, 1);
    nodes[2].signal("CONT");
    everywhere(&nodes, &all);
    // It is dead.
    nodes[2].kill();
    let all = say(&nodes, 2);
    nodes[2].start();
    everywhere(&nodes, &all);

    // Alone it guards its machine as before, and tells the others when they are back.
    nodes[0].kill();
    nodes[1].kill();
    nodes[2].until("it is alone", |node| node.mesh()["connections"] == 0);
    nodes[2].attacked_by("8.12.1.1");
    nodes[2].until("it guards", |node| node.has_of("8.12.1.1", "lymph"));
    nodes[2].done(&["ban", "8.12.1.2"]);
    nodes[2].done(&["unban", "8.11.2.1"]);
    nodes[0].start();
    nodes[1].start();
    everywhere(&nodes, &["8.12.1.1".to_owned(), "8.12.1.2".to_owned()]);
    for node in &nodes {
        node.until_within(60, "the unban is everywhere", |node| !node.has("8.11.2.1"));
    }
}

#[test]
fn whoever_speaks_no_libp2p_harms_nobody() {
    let nodes = fleet_of(2);
    let (one, two) = (&nodes[0], &nodes[1]);
    let listening = one.mesh()["listening"][0].as_str().unwrap().to_owned();
    let port: u16 = listening.split('/').nth(4).unwrap().parse().unwrap();
    let memory = |node: &Node| {
        let pid = node.process.as_ref().unwrap().0.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        let kilobytes = line.split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap()
    };
    let before = memory(one);
    let garbage: Vec<u8> = (0..70_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let multistream = b"\x13/multistream/1.0.0\n";
    let noise = [&multistream[..], b"\x07/noise\n"].concat();
    let long = [&noise[..], &[0xff; 60_000]].concat();
    let openings: [&[u8]; 7] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &garbage,
        &multistream[..9],
        multistream,
        &noise,
        &long,
    ];
    let call = |opening: &[u8]| {
        // Turned away is as good as let in.
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
        let _ = stream.write_all(opening);
        Some(stream)
    };
    let mut open: Vec<_> = (0..5).flat_map(|_| openings).filter_map(call).collect();
    open.extend((0..1_000).filter_map(|n: usize| call(openings[n % 2 * 4])));
    assert!(open.len() > 100, "{}", open.len());
    two.attacked_by(ATTACKER);
    one.until("siblings are heard all the same", |one| {
        one.has_of(ATTACKER, "mesh")
    });
    one.attacked_by(OTHER);
    two.until("siblings are heard all the same", |two| {
        two.has_of(OTHER, "mesh")
    });
    let grown = memory(one).saturating_sub(before);
    assert!(grown < 150_000, "{grown} kB more");
    drop(open);
    // Whoever comes later is let in.
    let third = Node::started();
    pair(one, &third, &["--fleet"], &[]);
    third.until("it has caught up", |third| third.has(ATTACKER));
    assert!(!one.told().contains("panicked"), "{}", one.told());
}

#[test]
fn a_port_that_is_taken_is_said_and_the_machine_is_guarded() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let mut node = Node::new(None, &["--listen", &address]);
    node.spawn();
    node.until("it says so", |node| {
        node.attention()
            .contains(&format!("the mesh does not listen at {address}"))
    });
    node.attacked_by(ATTACKER);
    node.until("it guards", |node| node.has_of(ATTACKER, "lymph"));
    node.refused(&["invite", "--fleet"], "listens nowhere");
    drop(taken);
    // It can still join somebody who does listen.
    let other = Node::started();
    pair(&other, &node, &["--fleet"], &[]);
    node.attacked_by(OTHER);
    other.until("they share", |other| other.has_of(OTHER, "mesh"));
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_mends_it() {
    let mut node = Node::started();
    node.stop();
    for name in ["identity.key", "transport.key", "successor.key"] {
        let key = node.path("state").join(name);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let mut run = Command::new("timeout");
        let command = node.command();
        run.args(["-k", "5", "20"])
            .arg(command.get_program())
            .args(command.get_args())
            .args([
                "run",
                "--firewall",
                "dry-run",
                "--source",
                "sshd=/nonexistent",
            ])
            .args(["--listen", LOOPBACK]);
        let said = Said::of(run.output().unwrap());
        let mend = format!("chmod 600 {}", key.display());
        assert!(
            said.code == 1 && said.err.contains(&mend),
            "{name}: {} {}",
            said.code,
            said.err
        );
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    node.start();
}

#[test]
fn without_the_mesh_its_commands_say_so() {
    let mut node = Node::new(None, &["--no-mesh"]);
    node.spawn();
    node.until("it serves", |node| !node.status().is_null());
    assert!(node.done(&["status"]).contains("off (--no-mesh)"));
    assert_eq!(node.status()["mesh"]["on"], false);
    for command in [
        &["invite", "--fleet"][..],
        &["invite"],
        &["join", "lymph1abc"],
        &["share", "on"],
        &["trust", "vouch", "0123abcd"],
        &["trust", "mute", "0123abcd"],
        &["fleet", "leave"],
        &["circle", "leave", "circle-01"],
    ] {
        node.refused(command, "--no-mesh");
    }
    let peers = node.done(&["peers"]);
    assert!(peers.contains("--no-mesh"), "{peers}");
    node.done(&["ban", "8.8.5.1"]);
    assert!(!node.path("state/identity.key").exists());
}

/// Two machines with one key: one of them notices, says so and falls silent, and the fleet goes on.
#[test]
fn a_clone_is_noticed() {
    let mut nodes = [Node::settled(), Node::settled()];
    fleet(&nodes);
    let [one, two] = &mut nodes;
    let one = &*one;
    let backup = one.path("one.backup");
    let backup = backup.to_str().unwrap();
    one.done(&["ban", "8.8.5.1"]);
    one.done(&["backup", backup]);
    let mut clone = Node::new(None, &["--listen", LOOPBACK]);
    fs::remove_file(clone.path("lymph.toml")).unwrap();
    clone.done(&["restore", backup]);
    clone.start();
    assert_eq!(clone.id(), one.id());
    let says = |node: &Node| {
        node.attention().contains("ANOTHER MACHINE SPEAKS")
            && node.mesh()["failure"]
                .as_str()
                .is_some_and(|why| why.contains("ANOTHER MACHINE SPEAKS"))
    };
    // Both have said something since; what the one said comes to the other when they next meet a third one.
    one.done(&["ban", "8.8.6.1"]);
    clone.done(&["ban", "8.8.6.2"]);
    let noticed = (0..4).find_map(|_| {
        two.kill();
        two.start();
        eventually(12, || (says(one) || says(&clone)).then_some(()))
    });
    assert!(
        noticed.is_some(),
        "nobody notices:\n{}\n{}\n{}",
        one.mesh(),
        clone.mesh(),
        two.mesh()
    );
    let silent = if says(one) { one } else { &clone };
    // It still guards its own machine.
    silent.attacked_by(ATTACKER);
    silent.until("it guards", |silent| silent.has_of(ATTACKER, "lymph"));
    silent.refused(&["invite", "--fleet"], "lymph id");
    let said = silent.done(&["status"]);
    assert!(said.contains("lymph id rotate"), "{said}");
}

/// Three namespaces: two machines, and between them one that stands for the world, with addresses of attackers.
struct World {
    world: Running,
    machines: [Running; 2],
    parts: Vec<Running>,
}

const MACHINES: [&str; 2] = ["9.9.1.2", "9.9.2.2"];

impl World {
    /// Builds it, or says why it cannot. `is_open` lets the machines reach each other.
    fn new(is_open: bool) -> Result<World, String> {
        let own = fs::metadata("/proc/self");
        if own.is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) != 0) {
            return Err("namespaces need root".to_owned());
        }
        for tool in ["unshare", "nsenter", "ip", "curl", "nft"] {
            let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
            let is_there = |folder: &&str| std::path::Path::new(folder).join(tool).exists();
            if !folders.iter().any(is_there) {
                return Err(format!("{tool} is not installed"));
            }
        }
        let namespace = || {
            let script = "ip link set lo up; exec sleep 600";
            let mut command = Command::new("unshare");
            command.args(["-n", "sh", "-ec", script]);
            let running = Running(command.stdin(Stdio::null()).spawn().unwrap());
            let own = fs::read_link("/proc/self/ns/net").unwrap();
            let link = format!("/proc/{}/ns/net", running.0.id());
            let is_there = || fs::read_link(&link).ok().filter(|link| *link != own);
            eventually(5, is_there).ok_or("the machine lets no namespace be made")?;
            Ok::<_, String>(running)
        };
        let world = World {
            world: namespace()?,
            machines: [namespace()?, namespace()?],
            parts: Vec::new(),
        };
        let router = world.world.0.id();
        let run = |pid: u32, script: &str| {
            let done = within(pid, "sh").args(["-ec", script]).status();
            assert!(done.unwrap().success(), "{script}");
        };
        let addresses: String = (4..20)
            .map(|n| format!("ip addr add 8.8.4.{n}/32 dev lo; "))
            .collect();
        run(router, &addresses);
        for (n, machine) in world.machines.iter().enumerate() {
            let (n, pid) = (n + 1, machine.0.id());
            run(
                router,
                &format!(
                    "ip link add to{n} type veth peer name out netns {pid}; \
                     ip addr add 9.9.{n}.1/24 dev to{n}; ip link set to{n} up"
                ),
            );
            run(
                pid,
                &format!(
                    "ip addr add 9.9.{n}.2/24 dev out; ip link set out up; \
                     ip route add 8.8.4.0/24 via 9.9.{n}.1; ip route add 9.9.0.0/16 via 9.9.{n}.1; \
                     test -z \"$(ip route show default)\""
                ),
            );
        }
        let forward = u8::from(is_open);
        run(
            router,
            &format!(
                "echo {forward} > /proc/sys/net/ipv4/ip_forward; test -z \"$(ip route show default)\""
            ),
        );
        Ok(world)
    }

    /// A daemon on one of the machines, with nftables.
    fn node(&self, n: usize, listen: &str, config: &str) -> Node {
        let listen = listen.replace("HERE", MACHINES[n]);
        let place = Some(self.machines[n].0.id());
        let mut node = Node::new(place, &["--listen", &listen, "--firewall", "nftables"]);
        fs::write(node.path("lymph.toml"), config).unwrap();
        node.start();
        node
    }

    /// Has a part played in a namespace until the end of the test.
    fn play(&mut self, pid: u32, role: &str) {
        let mut command = within(pid, env::current_exe().unwrap().to_str().unwrap());
        command
            .args(["--exact", "mesh::a_part_in_another_test", "--nocapture"])
            .env("LYMPH_TEST_ROLE", role)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.parts.push(Running(command.spawn().unwrap()));
    }

    /// A web server on each machine.
    fn serve(&mut self) {
        for (n, address) in MACHINES.iter().enumerate() {
            let pid = self.machines[n].0.id();
            self.play(pid, &format!("web {address}:8080"));
            let served = eventually(10, || self.gets_through(OTHER, n).then_some(()));
            served.expect("it serves");
        }
    }

    /// Whether an address of the world gets a new connection to a machine.
    fn gets_through(&self, from: &str, n: usize) -> bool {
        let mut curl = within(self.world.0.id(), "curl");
        curl.args(["-s", "-m", "1.5", "-o", "/dev/null", "--interface", from]);
        curl.arg(format!("http://{}:8080/", MACHINES[n]));
        curl.status().unwrap().success()
    }

    fn until_through(&self, from: &str, n: usize, through: bool, node: &Node) {
        let is_so = || (self.gets_through(from, n) == through).then_some(());
        eventually(10, is_so).unwrap_or_else(|| {
            panic!(
                "{from} to machine {n}: not {through}\n{:?}\n{}\n{}",
                node.decided(),
                node.mesh(),
                node.told()
            )
        });
    }
}

fn within(pid: u32, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-n", "-t", &pid.to_string(), "--", program]);
    command
}

/// Not a test by itself: what other tests have run in a namespace, where this program has to be started anew.
#[test]
fn a_part_in_another_test() {
    let Ok(role) = env::var("LYMPH_TEST_ROLE") else {
        return;
    };
    match role.split(' ').collect::<Vec<_>>().as_slice() {
        ["web", at] => {
            for stream in TcpListener::bind(at).unwrap().incoming().flatten() {
                let mut stream = stream;
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        }
        ["relay", outside, inside, to] => {
            let (outside, inside) = (UdpSocket::bind(outside), UdpSocket::bind(inside));
            let (outside, inside) = (outside.unwrap(), inside.unwrap());
            inside.connect(to).unwrap();
            let caller = Arc::new(Mutex::new(None));
            let (there, back) = (slow_line(), slow_line());
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut bytes = [0; 2048];
                    while let Ok((count, from)) = outside.recv_from(&mut bytes) {
                        *caller.lock().unwrap() = Some(from);
                        (there.0)(&bytes[..count]);
                    }
                });
                scope.spawn(|| {
                    let mut bytes = [0; 2048];
                    loop {
                        // Nobody is there yet: that is an error of the socket and no end.
                        if let Ok(count) = inside.recv(&mut bytes) {
                            (back.0)(&bytes[..count]);
                        }
                    }
                });
                scope.spawn(|| {
                    for bytes in late(&there.1) {
                        let _ = inside.send(&bytes);
                    }
                });
                for bytes in late(&back.1) {
                    let to = *caller.lock().unwrap();
                    let _ = to.map(|to| outside.send_to(&bytes, to));
                }
            });
        }
        other => panic!("no such part: {other:?}"),
    }
}

type Late = (Instant, Vec<u8>);
type Line = (
    Box<dyn Fn(&[u8]) + Send + Sync>,
    Mutex<mpsc::Receiver<Late>>,
);

/// What goes in comes out 50 milliseconds later, but for one packet in a hundred.
fn slow_line() -> Line {
    let (sender, receiver) = mpsc::sync_channel(4_096);
    let count = std::sync::atomic::AtomicU32::new(0);
    let put = move |bytes: &[u8]| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if n % 100 != 37 {
            let _ = sender.try_send((Instant::now() + Duration::from_millis(50), bytes.to_vec()));
        }
    };
    (Box::new(put), Mutex::new(receiver))
}

fn late(receiver: &Mutex<mpsc::Receiver<Late>>) -> impl Iterator<Item = Vec<u8>> + '_ {
    std::iter::from_fn(|| {
        let (at, bytes) = receiver.lock().unwrap().recv().ok()?;
        sleep(at.saturating_duration_since(Instant::now()));
        Some(bytes)
    })
}

/// The attacker tries passwords on the first machine and is refused by the second.
fn refused_by_the_sibling(listen: &str) {
    let mut world = match World::new(true) {
        Ok(world) => world,
        Err(reason) => return skipped(&reason),
    };
    world.serve();
    let nodes = [world.node(0, listen, ""), world.node(1, listen, "")];
    fleet(&nodes);
    for n in [0, 1] {
        assert!(world.gets_through(ATTACKER, n), "{n} before");
    }
    nodes[0].attacked_by(ATTACKER);
    for n in [1, 0] {
        world.until_through(ATTACKER, n, false, &nodes[n]);
        assert!(world.gets_through(OTHER, n), "another one to {n}");
    }
    assert!(nodes[1].has_of(ATTACKER, "mesh"));
    let why = nodes[1].done(&["why", ATTACKER]);
    assert!(why.contains("the firewall has it"), "{why}");
    nodes[1].done(&["unban", "--fleet", ATTACKER]);
    for n in [1, 0] {
        world.until_through(ATTACKER, n, true, &nodes[n]);
    }
    let third = "8.8.4.6";
    nodes[0].attacked_by(third);
    for n in [1, 0] {
        world.until_through(third, n, false, &nodes[n]);
    }
    nodes[1].done(&["allow", "add", third]);
    for n in [1, 0] {
        world.until_through(third, n, true, &nodes[n]);
    }
    nodes[0].attacked_by(third);
    nodes[0].done(&["ban", OTHER]);
    world.until_through(OTHER, 1, false, &nodes[1]);
    for n in [1, 0] {
        assert!(world.gets_through(third, n), "it is allowed on {n}");
    }
    nodes[0].done(&["panic"]);
    world.until_through(OTHER, 1, true, &nodes[1]);
    nodes[0].done(&["resume"]);
    world.until_through(OTHER, 1, false, &nodes[1]);
}

#[test]
fn the_sibling_drops_the_attackers_packets_over_tcp() {
    refused_by_the_sibling("/ip4/HERE/tcp/4747");
}

#[test]
fn the_sibling_drops_the_attackers_packets_over_quic() {
    refused_by_the_sibling("/ip4/HERE/udp/4747/quic-v1");
}

/// The machines reach each other only through somebody who takes his time and loses packets.
#[test]
fn a_report_gets_through_a_slow_line_that_loses_packets() {
    let mut world = match World::new(false) {
        Ok(world) => world,
        Err(reason) => return skipped(&reason),
    };
    world.serve();
    let listen = "/ip4/HERE/udp/4747/quic-v1";
    let external = "[mesh]\nexternal = [\"/ip4/9.9.1.1/udp/5747/quic-v1\"]\n";
    let relay = "relay 9.9.1.1:5747 9.9.2.1:5748 9.9.2.2:4747";
    world.play(world.world.0.id(), relay);
    let nodes = [world.node(0, listen, ""), world.node(1, listen, external)];
    let since = Instant::now();
    pair(&nodes[1], &nodes[0], &["--fleet"], &[]);
    // A handshake and two questions, each there and back.
    assert!(since.elapsed() > Duration::from_millis(200));
    for (attacked, other) in [(0, 1), (1, 0)] {
        let attacker = format!("8.8.4.{}", 7 + attacked);
        nodes[attacked].attacked_by(&attacker);
        nodes[other].until("a report blocks", |node| node.has_of(&attacker, "mesh"));
        world.until_through(&attacker, other, false, &nodes[other]);
        assert!(world.gets_through(OTHER, other));
    }
    for n in 0..40 {
        nodes[0].attacked_by(&format!("8.10.1.{n}"));
    }
    let all = (0..40).map(|n| format!("8.10.1.{n}"));
    nodes[1].has_all(&all.collect::<Vec<_>>());
}
