//! Who a node is: its keys on disk, how they end, and that they come back from a backup.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Daemon, Said, say};

/// The files of two nodes, as they were first written: whoever changes their form has to read these still.
const FIRST: Keys = Keys {
    digits: ["01", "02", "03"],
    id: "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
    kill: "\
01068a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c7538c701\
ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1\
341b1c980de4f251a0f734ba2db0255c9fb273ccd27997b9b5f345f8f39c6675\
c6e65ea453fa5c0e8ac5dfd9e50634c8a23ecf00ccdc0050d4ddd88c3e050d03",
};
const OTHER: Keys = Keys {
    digits: ["04", "05", "06"],
    id: "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c",
    kill: "\
0106ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c7538c701\
8a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17\
a8a1b5280f7a9e38cd57afe2f0e1732d72637931b8651eaa86a11af5fdc27524\
4cd9e95b8f50fd360a785b4b4a4f5999e591a82179c8c0bee98570f34e43fa0c",
};

/// A node's keys: the digits that identity, transport and successor repeat, and what follows from them.
struct Keys {
    digits: [&'static str; 3],
    id: &'static str,
    kill: &'static str,
}

/// A machine: a state folder and a configuration.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        fs::set_permissions(dir.path().join("state"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(dir.path().join("auth.log"), "").unwrap();
        Machine { dir }
    }

    /// One that is a node already.
    fn node(keys: &Keys) -> Machine {
        let machine = Machine::new();
        let config = "# of the first\nfirewall = \"dry-run\"\n";
        fs::write(machine.path("lymph.toml"), config).unwrap();
        let [identity, transport, successor] = keys.digits.map(|digits| digits.repeat(32));
        for (name, text) in [
            ("identity.key", format!("lymph-identity-key-1 {identity}")),
            (
                "transport.key",
                format!("lymph-transport-key-1 {transport}"),
            ),
            (
                "successor.key",
                format!("lymph-successor-key-1 {successor}"),
            ),
            (
                "kill.cert",
                format!("lymph-kill-certificate-1 {}", keys.kill),
            ),
            ("sequence", "lymph-sequence-1 1790000000000".to_owned()),
        ] {
            let path = machine.path("state").join(name);
            fs::write(&path, text + "\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let (state, config) = (self.path("state"), self.path("lymph.toml"));
        let mut all = vec!["--state", state.to_str().unwrap()];
        if config.exists() || arguments[0] == "restore" {
            all.extend(["--config", config.to_str().unwrap()]);
        }
        all.extend(arguments);
        say(&all)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let said = self.say(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
        self.tells_no_secret(&said);
        said.out
    }

    fn refused(&self, arguments: &[&str], expected: &str) {
        let before = self.files();
        let said = self.say(arguments);
        assert_eq!(said.code, 1, "{arguments:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
        self.tells_no_secret(&said);
        assert_eq!(self.files(), before, "{arguments:?}");
    }

    fn tells_no_secret(&self, said: &Said) {
        for (name, bytes) in self.files() {
            let text = String::from_utf8_lossy(&bytes);
            let secret = text.split_whitespace().next_back().unwrap_or_default();
            if name.contains(".key") && secret.len() > 30 {
                let told = said.out.contains(secret) || said.err.contains(secret);
                assert!(!told, "{name}: {}{}", said.out, said.err);
            }
        }
    }

    /// What is in the state folder, but for the lock.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.path("state")).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file() && !path.ends_with("lock"))
            .map(|path| (name(&path), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn id(&self) -> String {
        let said = self.say(&["id", "--json"]).json();
        said["id"].as_str().unwrap().to_owned()
    }

    fn start(&self) -> Daemon {
        let source = format!("sshd={}", self.path("auth.log").display());
        Daemon::start(&self.path("state"), &["--source", &source])
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_node_says_who_it_is_without_a_daemon() {
    let machine = Machine::node(&FIRST);
    let said = machine.say(&["id", "--json"]).json();
    let id = said["id"].as_str().unwrap();
    assert_eq!(id, FIRST.id);
    assert_eq!(said["made"], "2026-09-21T14:13:00Z");
    assert_eq!(
        (&said["dead"], &said["successor_key_here"]),
        (&false.into(), &true.into())
    );
    let text = machine.done(&["id"]);
    for expected in [
        id,
        said["successor"].as_str().unwrap(),
        "somewhere else, offline",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    for (name, _) in machine.files() {
        assert_eq!(mode(&machine.path("state").join(&name)), 0o600, "{name}");
    }
    let key = machine.path("state/identity.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    machine.refused(&["id"], &format!("chmod 600 {}", key.display()));
    Machine::new().refused(&["id"], "holds no identity yet");
}

#[test]
fn a_key_ends_and_its_successor_takes_over() {
    let machine = Machine::node(&FIRST);
    let before = machine.say(&["id", "--json"]).json();
    for command in ["rotate", "kill"] {
        machine.refused(&["id", command], "say --yes");
        Machine::new().refused(&["id", command, "--yes"], "holds no identity yet");
    }
    let daemon = machine.start();
    for command in ["rotate", "kill"] {
        let said = machine.say(&["id", command, "--yes"]);
        let is_refused = said.code == 1 && said.err.contains("stop it first");
        assert!(is_refused, "{}{}", said.out, said.err);
    }
    assert_eq!(daemon.stop(), 0);
    assert_eq!(machine.say(&["id", "--json"]).json(), before);

    let said = machine.done(&["id", "kill", "--yes"]);
    assert!(said.contains(before["id"].as_str().unwrap()), "{said}");
    assert!(machine.path("state/dead").exists());
    assert!(machine.done(&["id"]).contains("DEAD"));
    let said = machine.done(&["id", "rotate", "--yes"]);
    assert!(said.contains("vouch"), "{said}");
    let after = machine.say(&["id", "--json"]).json();
    assert_eq!(after["id"], before["successor"]);
    assert_eq!(after["dead"], false);
    assert_ne!(after["successor"], before["successor"]);
    assert_ne!(after["transport"], before["transport"]);
}

#[test]
fn a_backup_brings_the_node_back() {
    let first = Machine::node(&FIRST);
    // A daemon may run meanwhile, and what the operator said goes along.
    let daemon = first.start();
    let banned = daemon.say(&["ban", "203.0.113.9", "--for", "7d"]);
    assert_eq!(banned.code, 0, "{}", banned.err);
    let backup = first.path("web1.lymph");
    let backup = backup.to_str().unwrap();
    let said = first.done(&["backup", backup]);
    assert!(said.contains("It is not sealed"), "{said}");
    assert!(said.contains("operator.book"), "{said}");
    assert_eq!(mode(Path::new(backup)), 0o600);
    let written = fs::read(backup).unwrap();
    first.refused(&["backup", backup], "is there already");
    assert_eq!(fs::read(backup).unwrap(), written);
    first.done(&["backup", backup, "--force"]);
    // Nothing comes in under a daemon, nor over a node.
    let said = first.say(&["restore", backup, "--force"]);
    assert!(
        said.code == 1 && said.err.contains("stop it first"),
        "{}",
        said.err
    );
    assert_eq!(daemon.stop(), 0);
    first.refused(&["restore", backup], "is there already");

    let second = Machine::new();
    let said = second.done(&["restore", backup]);
    assert!(said.contains("Stop the other machine"), "{said}");
    assert_eq!(second.id(), first.id());
    let config = fs::read_to_string(second.path("lymph.toml")).unwrap();
    assert!(config.contains("# of the first"), "{config}");
    for (name, _) in second.files() {
        assert_eq!(mode(&second.path("state").join(&name)), 0o600, "{name}");
    }
    let number = |machine: &Machine| {
        let text = fs::read_to_string(machine.path("state/sequence")).unwrap();
        let number = text.split_whitespace().next_back().unwrap().to_owned();
        number.parse::<u64>().unwrap()
    };
    assert!(number(&second) > number(&first) + 3_600_000);
    let daemon = second.start();
    daemon.wait_for("203.0.113.9");
    assert_eq!(daemon.stop(), 0);

    // Over another node, whose files are moved aside.
    let third = Machine::node(&OTHER);
    assert_eq!(third.id(), OTHER.id);
    let own = fs::read(third.path("state/identity.key")).unwrap();
    third.refused(&["restore", backup], "--force");
    third.done(&["restore", backup, "--force"]);
    assert_eq!(third.id(), first.id());
    let files = third.files();
    let aside = files
        .iter()
        .find(|(name, _)| name.starts_with("identity.key.before-"));
    assert_eq!(aside.unwrap().1, own);
}

#[test]
fn a_sealed_backup_opens_with_its_passphrase_alone() {
    let first = Machine::node(&FIRST);
    let (backup, right, wrong) = (
        first.path("sealed.lymph"),
        first.path("right"),
        first.path("wrong"),
    );
    fs::write(&right, "correct horse\n").unwrap();
    fs::write(&wrong, "battery staple\n").unwrap();
    let [backup, right, wrong] = [&backup, &right, &wrong].map(|path| path.to_str().unwrap());
    let said = first.done(&["backup", backup, "--passphrase-file", right]);
    assert!(!said.contains("not sealed"), "{said}");
    let bytes = fs::read(backup).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
    assert_eq!(mode(Path::new(backup)), 0o600);

    let second = Machine::new();
    second.refused(&["restore", backup], "--passphrase");
    second.refused(
        &["restore", backup, "--passphrase-file", wrong],
        "not the passphrase",
    );
    second.refused(
        &["restore", backup, "--passphrase-file", "/nonexistent"],
        "cannot read the passphrase",
    );
    second.done(&["restore", backup, "--passphrase-file", right]);
    assert_eq!(second.id(), first.id());
    let plain = first.path("plain.lymph");
    let plain = plain.to_str().unwrap();
    first.done(&["backup", plain]);
    Machine::new().refused(
        &["restore", plain, "--passphrase-file", right],
        "not sealed",
    );
}

#[test]
fn what_is_no_backup_is_refused() {
    let first = Machine::node(&FIRST);
    let file = first.path("file");
    let file = file.to_str().unwrap();
    Machine::new().refused(&["backup", file], "holds no identity yet");
    Machine::new().refused(&["restore", file], "there is no file");
    first.done(&["backup", file]);
    let whole = fs::read(file).unwrap();
    for bytes in [&whole[..whole.len() / 2], b"", b"hello", &whole[512..]] {
        fs::write(file, bytes).unwrap();
        let machine = Machine::new();
        machine.refused(&["restore", file], "no backup that lymph made");
        assert!(machine.files().is_empty());
        assert!(!machine.path("lymph.toml").exists());
    }
    fs::remove_file(first.path("state/sequence")).unwrap();
    first.refused(&["backup", file, "--force"], "sequence");
}
