//! Two versions of the wire together: this build, and one of the version to come that `.ci/run` makes of the same sources
//! (feature `next-wire`) and names in `LYMPH_NEXT`. Without one the tests skip, loudly.
//!
//! The next version speaks its own and this one. Neither punishes the other for what it does not know.
#![allow(
    clippy::disallowed_methods,
    reason = "patience is measured by the real clock"
)]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::lab::{Running, eventually, skipped};
use crate::support::{Said, fail_to_log_in};

struct Node {
    dir: tempfile::TempDir,
    binary: OsString,
    _process: Running,
}

impl Node {
    fn start(binary: &OsString) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("auth.log"), "").unwrap();
        fs::write(path("lymph.toml"), "").unwrap();
        let out = fs::File::create(path("out")).unwrap();
        let child = Command::new(binary)
            .arg("--state")
            .arg(path("state"))
            .arg("--config")
            .arg(path("lymph.toml"))
            .args(["run", "--firewall", "dry-run", "--listen"])
            .arg("/ip4/127.0.0.1/tcp/0")
            .arg("--source")
            .arg(format!("sshd={}", path("auth.log").display()))
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let node = Node {
            binary: binary.clone(),
            _process: Running(child),
            dir,
        };
        let listens = || {
            let said = node.say(&["invite", "--json", "--for", "1s"]);
            (said.code == 0).then_some(())
        };
        eventually(30, listens).unwrap_or_else(|| panic!("it does not listen: {}", node.told()));
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(&self.binary);
        command.arg("--state").arg(self.path("state"));
        command.arg("--config").arg(self.path("lymph.toml"));
        Said::of(command.args(arguments).output().unwrap())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.say(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.err, self.told());
        said.json()
    }

    fn bans(&self, address: &str) -> bool {
        let all = self.json(&["decisions", "list"]);
        let mut all = all.as_array().unwrap().iter();
        all.any(|row| row["subject"] == address)
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Node) -> bool) {
        let so = eventually(30, || is_so(self).then_some(()));
        so.unwrap_or_else(|| panic!("{what}: {}", self.told()));
    }
}

#[test]
fn two_versions_of_the_wire_get_on_with_each_other() {
    let Some(next) = std::env::var_os("LYMPH_NEXT") else {
        return skipped("no build of the next wire version: LYMPH_NEXT is not set");
    };
    let this = OsString::from(env!("CARGO_BIN_EXE_lymph"));
    // Each invites once: what is said first is said in words that both know.
    for (inviter, joiner) in [(&this, &next), (&next, &this)] {
        let (one, two) = (Node::start(inviter), Node::start(joiner));
        let ticket = one.json(&["invite", "--fleet"])["ticket"].clone();
        let joined = two.json(&["join", ticket.as_str().unwrap()]);
        assert_eq!(joined["degree"], "sibling", "{joined}");
        for (from, to, address) in [(&one, &two, "8.8.4.4"), (&two, &one, "8.8.4.5")] {
            fail_to_log_in(&from.path("auth.log"), address, 8);
            from.wait("its own ban", |node| node.bans(address));
            to.wait("the sibling's ban", |node| node.bans(address));
            let lifted = to.say(&["unban", address, "--fleet"]);
            assert_eq!(lifted.code, 0, "{}", lifted.err);
            from.wait("the lift", |node| !node.bans(address));
        }
        // Nobody was punished, and each still vouches for the other.
        for node in [&one, &two] {
            let peers = node.json(&["peers"]);
            assert_eq!(peers[0]["connected"], true, "{peers} {}", node.told());
            assert!(peers[0]["vouches_until"].is_string(), "{peers}");
        }
    }
}
