//! Who is logged in over SSH right now: peers of authenticated sessions.
//!
//! Only a connection that has passed authentication counts. It belongs to a process that sshd has named after the
//! user and the terminal (`sshd: alice@pts/0`), whose parent is sshd as root; before authentication the name ends in
//! `[preauth]`, `[priv]`, `[net]` or `[accepted]`, or names nobody. What cannot be read (processes of others, without
//! root) is left out.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Sessions that are looked at. More people than this on one machine share few addresses.
const SESSIONS_MAX: usize = 256;

/// The other ends of all authenticated SSH connections.
#[must_use]
pub(super) fn peers(proc: &Path) -> BTreeSet<IpAddr> {
    let sessions: Vec<PathBuf> = session_processes(proc);
    if sessions.is_empty() {
        return BTreeSet::new();
    }
    let sockets: BTreeSet<u64> = sessions
        .iter()
        .flat_map(|process| sockets(process))
        .collect();
    let read = |path: &str| fs::read_to_string(proc.join(path)).unwrap_or_default();
    let mut peers = established(&read("self/net/tcp"), &sockets);
    peers.extend(established(&read("self/net/tcp6"), &sockets));
    peers
}

fn session_processes(proc: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(proc) else {
        return Vec::new();
    };
    let processes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let is_process = name
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        is_process.then(|| entry.path())
    });
    let is_sshd = |process: &Path| {
        let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
        matches!(comm.trim_end(), "sshd" | "sshd-session")
    };
    let is_session = |process: &PathBuf| {
        is_sshd(process)
            && fs::read(process.join("cmdline")).is_ok_and(|title| is_authenticated(&title))
            && parent(process).is_some_and(|parent| {
                let parent = proc.join(parent.to_string());
                is_sshd(&parent) && fs::metadata(&parent).is_ok_and(|parent| parent.uid() == 0)
            })
    };
    processes.filter(is_session).take(SESSIONS_MAX).collect()
}

/// `sshd: alice@pts/0` or `sshd-session: alice@notty`, and nothing in brackets behind it.
fn is_authenticated(title: &[u8]) -> bool {
    let title = title.split(|byte| *byte == 0).next().unwrap_or_default();
    let Ok(title) = std::str::from_utf8(title) else {
        return false;
    };
    let rest = title
        .strip_prefix("sshd: ")
        .or(title.strip_prefix("sshd-session: "));
    let Some((user, terminal)) = rest.and_then(|rest| rest.trim_end().rsplit_once('@')) else {
        return false;
    };
    !user.is_empty()
        && (terminal == "notty" || terminal.starts_with("pts/") || terminal.starts_with("tty"))
        && !terminal.contains([' ', '['])
}

/// Fourth field of `stat`, behind the name in brackets, which may hold anything.
fn parent(process: &Path) -> Option<u32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// Numbers of the sockets that a process holds.
fn sockets(process: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(process.join("fd")) else {
        return Vec::new();
    };
    let number = |path: PathBuf| {
        let link = fs::read_link(path).ok()?;
        link.to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?
            .parse()
            .ok()
    };
    entries
        .filter_map(|entry| number(entry.ok()?.path()))
        .collect()
}

/// The other ends of established connections among these sockets.
fn established(table: &str, sockets: &BTreeSet<u64>) -> BTreeSet<IpAddr> {
    let peer = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (remote, state, inode) = (fields.get(2)?, fields.get(3)?, fields.get(9)?);
        let is_one = *state == "01" && sockets.contains(&inode.parse().ok()?);
        is_one.then(|| address(remote.split_once(':')?.0))?
    };
    table.lines().skip(1).filter_map(peer).collect()
}

/// 32-bit words in the byte order of the machine.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok();
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut octets = [0; 16];
            for (n, chunk) in octets.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(n * 8)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_logged_in_counts() {
        let check = |title: &str, expected| {
            assert_eq!(is_authenticated(title.as_bytes()), expected, "{title}");
        };
        check("sshd: alice@pts/0\0\0", true);
        check("sshd: root@pts/12    ", true);
        check("sshd: backup@notty", true);
        check("sshd-session: alice@pts/3", true);
        check("sshd: alice@pts/0,pts/1", true);
        check("sshd: alice [priv]", false);
        check("sshd: alice@pts/0 [priv]", false);
        check("sshd: root [preauth]", false);
        check("sshd: root@pts/0 [net]", false);
        check("sshd: unknown [priv]", false);
        check("sshd: [accepted]", false);
        check(
            "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
            false,
        );
        check("sshd: @pts/0", false);
        check("bash: alice@pts/0", false);
        check("", false);
    }

    #[test]
    fn reads_the_kernels_table_of_connections() {
        let sockets = BTreeSet::from([4242, 7]);
        let line = |remote: &str, state: &str, inode: u64| {
            format!(
                "   0: 010200C0:0016 {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0\n"
            )
        };
        let number = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let v4 = format!("{}:D431", number([192, 0, 2, 9]));
        let v6 = format!(
            "{}{}{}{}:D431",
            number([0x20, 1, 0xd, 0xb8]),
            number([0; 4]),
            number([0; 4]),
            number([0, 0, 0, 5])
        );
        let mapped = format!(
            "{}{}{}{}:D431",
            number([0; 4]),
            number([0; 4]),
            number([0, 0, 0xff, 0xff]),
            number([192, 0, 2, 8])
        );
        let table = "head\n".to_owned()
            + &line(&v4, "01", 4242)
            + &line(&v6, "01", 7)
            + &line(&mapped, "01", 7)
            + &line(&format!("{}:1", number([192, 0, 2, 1])), "01", 99)
            + &line(&format!("{}:1", number([192, 0, 2, 2])), "0A", 7)
            + "nonsense\n";
        let found: Vec<_> = established(&table, &sockets)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["192.0.2.8", "192.0.2.9", "2001:db8::5"]);
    }

    /// A recorded tree: a session with its monitor, and somebody who has not logged in.
    #[test]
    fn finds_sessions_among_processes() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: u32, parent: u32, comm: &str, title: &str, socket: u64| {
            let folder = proc.path().join(pid.to_string());
            fs::create_dir_all(folder.join("fd")).unwrap();
            fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(folder.join("cmdline"), title).unwrap();
            fs::write(folder.join("stat"), format!("{pid} (x) ) S {parent} 1 1")).unwrap();
            std::os::unix::fs::symlink(format!("socket:[{socket}]"), folder.join("fd/3")).unwrap();
        };
        process(1, 0, "init", "init", 1);
        process(10, 1, "sshd", "sshd: /usr/sbin/sshd [listener]", 2);
        process(11, 10, "sshd", "sshd: alice [priv]", 3);
        process(12, 11, "sshd", "sshd: alice@pts/0", 3);
        process(13, 10, "sshd", "sshd: bob [preauth]", 4);
        process(14, 1, "sshd", "sshd: mallory@pts/7", 5);
        let sessions = session_processes(proc.path());
        // Whoever runs this test is root, or else nobody's parent is.
        let is_root = fs::metadata(proc.path()).unwrap().uid() == 0;
        let expected: Vec<PathBuf> = is_root
            .then(|| proc.path().join("12"))
            .into_iter()
            .collect();
        assert_eq!(sessions, expected);
    }
}
