//! Who is logged in over SSH right now: peers of authenticated sessions.
//!
//! Only a connection that has passed authentication counts. It belongs to a process that sshd has named after the
//! user and the terminal (`sshd: alice@pts/0`) and that is root's or the child of root's sshd, so that nobody can
//! make one of those by a name alone; before authentication the name ends in `[preauth]`, `[priv]`, `[net]` or
//! `[accepted]`, or names nobody. And it came in on a port that sshd (or systemd for it) listens on: what a user
//! forwards through a session protects nobody. What cannot be read (processes of others, without root) is left out.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Sessions that are looked at. More people than this on one machine share few addresses.
const SESSIONS_MAX: usize = 256;

/// The other ends of all authenticated SSH connections.
#[must_use]
pub(super) fn peers(proc: &Path) -> BTreeSet<IpAddr> {
    let servers = servers(proc);
    let sessions: Vec<_> = servers
        .iter()
        .filter(|server| is_session(proc, server))
        .take(SESSIONS_MAX)
        .collect();
    if sessions.is_empty() {
        return BTreeSet::new();
    }
    let of_sessions = sessions.iter().flat_map(|process| sockets(process));
    let of_sessions: BTreeSet<u64> = of_sessions.collect();
    let roots = servers.iter().filter(|server| is_roots(server));
    let listening = roots.flat_map(|server| sockets(server));
    let listening: BTreeSet<u64> = listening.chain(sockets(&proc.join("1"))).collect();
    let read = |path: &str| fs::read_to_string(proc.join(path)).unwrap_or_default();
    let tables = [read("self/net/tcp"), read("self/net/tcp6")];
    let connections: Vec<_> = tables.iter().flat_map(|table| connections(table)).collect();
    let ports: BTreeSet<u16> = connections
        .iter()
        .filter(|one| one.state == LISTENING && listening.contains(&one.inode))
        .map(|one| one.local_port)
        .collect();
    let came_in = connections.into_iter().filter(|one| {
        one.state == ESTABLISHED
            && of_sessions.contains(&one.inode)
            && ports.contains(&one.local_port)
    });
    came_in.map(|one| one.peer).collect()
}

/// All processes of sshd.
fn servers(proc: &Path) -> Vec<PathBuf> {
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
    processes.filter(|process| is_sshd(process)).collect()
}

fn is_sshd(process: &Path) -> bool {
    let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
    matches!(comm.trim_end(), "sshd" | "sshd-session")
}

fn is_session(proc: &Path, process: &Path) -> bool {
    let is_named = fs::read(process.join("cmdline")).is_ok_and(|title| is_authenticated(&title));
    let is_child = || {
        let parent = parent(process).map(|parent| proc.join(parent.to_string()));
        parent.is_some_and(|parent| is_sshd(&parent) && is_roots(&parent))
    };
    is_named && (is_roots(process) || is_child())
}

/// Whether a process runs as root, really and effectively. The owner of its folder says less: that is root's as
/// well for a process that may not be dumped.
fn is_roots(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.is_some_and(|uids| uids.split_whitespace().all(|uid| uid == "0"))
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

/// States of a connection in the kernel's table.
const ESTABLISHED: &str = "01";
const LISTENING: &str = "0A";

/// A line of that table.
#[derive(Debug)]
struct Connection<'a> {
    local_port: u16,
    peer: IpAddr,
    state: &'a str,
    inode: u64,
}

fn connections(table: &str) -> Vec<Connection<'_>> {
    table.lines().skip(1).filter_map(connection_of).collect()
}

fn connection_of(line: &str) -> Option<Connection<'_>> {
    let mut fields = line.split_whitespace();
    let (local, remote, state) = (fields.nth(1)?, fields.next()?, fields.next()?);
    Some(Connection {
        local_port: u16::from_str_radix(local.split_once(':')?.1, 16).ok()?,
        peer: address(remote.split_once(':')?.0)?,
        state,
        inode: fields.nth(5)?.parse().ok()?,
    })
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

    fn number(octets: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(octets))
    }

    /// A line of the kernel's table.
    fn line(local_port: u16, remote: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: 010200C0:{local_port:04X} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0\n"
        )
    }

    #[test]
    fn reads_the_kernels_table_of_connections() {
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
            + &line(22, &v4, "01", 4242)
            + &line(22, &v6, "01", 7)
            + &line(2222, &mapped, "0A", 7)
            + "nonsense\n";
        let found: Vec<_> = connections(&table)
            .iter()
            .map(|one| (one.local_port, one.peer.to_string(), one.inode))
            .collect();
        assert_eq!(
            found,
            [
                (22, "192.0.2.9".to_owned(), 4242),
                (22, "2001:db8::5".to_owned(), 7),
                (2222, "192.0.2.8".to_owned(), 7)
            ]
        );
    }

    /// A recorded tree: sessions with their monitors, somebody who has not logged in, somebody who pretends, and a
    /// connection that a user forwards through a session.
    #[test]
    fn finds_the_peers_of_sessions() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: u32, parent: u32, uid: u32, comm: &str, title: &str, held: &[u64]| {
            let folder = proc.path().join(pid.to_string());
            fs::create_dir_all(folder.join("fd")).unwrap();
            fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(folder.join("cmdline"), title).unwrap();
            fs::write(folder.join("stat"), format!("{pid} (x) ) S {parent} 1 1")).unwrap();
            fs::write(
                folder.join("status"),
                format!("Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"),
            )
            .unwrap();
            for (n, socket) in held.iter().enumerate() {
                let fd = folder.join(format!("fd/{n}"));
                std::os::unix::fs::symlink(format!("socket:[{socket}]"), fd).unwrap();
            }
        };
        process(1, 0, 0, "init", "init", &[1]);
        process(10, 1, 0, "sshd", "sshd: /usr/sbin/sshd [listener]", &[2]);
        process(11, 10, 0, "sshd", "sshd: alice [priv]", &[3]);
        process(12, 11, 1000, "sshd", "sshd: alice@pts/0", &[3, 30, 31]);
        process(13, 10, 0, "sshd", "sshd: bob [preauth]", &[4]);
        process(14, 1, 1000, "sshd", "sshd: mallory@pts/7", &[5]);
        process(15, 12, 1000, "sshd", "sshd: mallory@pts/8", &[6]);
        process(16, 1, 0, "sshd-session", "sshd-session: root@notty", &[7]);
        let remote = |last: u8| format!("{}:D431", number([192, 0, 2, last]));
        let table = "head\n".to_owned()
            + &line(22, "00000000:0000", "0A", 2)
            + &line(22, &remote(3), "01", 3)
            + &line(22, &remote(4), "01", 4)
            + &line(22, &remote(5), "01", 5)
            + &line(22, &remote(6), "01", 6)
            + &line(22, &remote(7), "01", 7)
            // Forwarded: out of an ephemeral port, and in on a port that the session listens on.
            + &line(40_000, &remote(30), "01", 30)
            + &line(8080, "00000000:0000", "0A", 31);
        fs::create_dir_all(proc.path().join("self/net")).unwrap();
        fs::write(proc.path().join("self/net/tcp"), table).unwrap();
        let found: Vec<_> = peers(proc.path()).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.3", "192.0.2.7"]);
    }
}
