//! Which logs a machine has: the known paths of the services whose attacks we know, what is there, what may be
//! read and what can be done where it may not. Looks only; opens nothing for longer than to see that it may.
//!
//! The same message is often kept in several places (rsyslog writes sshd's lines to `auth.log` and, on some
//! machines, to `syslog`; the journal has them all). Each service is read in one place only, because a line that
//! counts twice is an attacker who is banned for half of what he did. The first readable one wins, in this order:
//! the service's own file, the journal, the file that everything goes to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::journal::JournalSpec;
use super::sources::What;
use super::tail::{PATHS_MAX, files_that_match};

/// A source that a service is known to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The service: `sshd`, `nginx`, ….
    pub service: &'static str,
    /// The label `type` that its lines get.
    pub log_type: &'static str,
    /// What would be read.
    pub what: What,
    /// Whether it can be.
    pub state: FoundState,
}

/// Whether a source that was looked for can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundState {
    /// Yes, and it is to be.
    Readable,
    /// Yes, but the same lines are read elsewhere; the text says where.
    Covered(String),
    /// It is there and must not be read. The text says what to do.
    Denied(String),
    /// It is not there.
    Missing,
}

/// A service and where it writes, the best place first.
struct Known {
    service: &'static str,
    log_type: &'static str,
    places: &'static [Place],
}

enum Place {
    /// All of these are of the same service, and none holds what another does.
    Files(&'static [&'static str]),
    /// Its units in the journal.
    Journal(&'static [&'static str]),
}

/// Debian's unit of sshd is called ssh; `sshd.service` there is an alias that the journal does not know.
const KNOWN: &[Known] = &[
    Known {
        service: "sshd",
        log_type: "syslog",
        places: &[
            Place::Files(&["/var/log/auth.log"]),
            Place::Files(&["/var/log/secure"]),
            Place::Journal(&["ssh.service", "sshd.service"]),
            Place::Files(&["/var/log/syslog"]),
            Place::Files(&["/var/log/messages"]),
        ],
    },
    Known {
        service: "nginx",
        log_type: "nginx",
        places: &[Place::Files(&[
            "/var/log/nginx/*access*.log",
            "/var/log/nginx/*error*.log",
        ])],
    },
    Known {
        service: "apache",
        log_type: "apache",
        places: &[
            Place::Files(&[
                "/var/log/apache2/*access*.log",
                "/var/log/apache2/*error*.log",
            ]),
            Place::Files(&["/var/log/httpd/*access*log", "/var/log/httpd/*error*log"]),
        ],
    },
    Known {
        service: "caddy",
        log_type: "caddy",
        places: &[Place::Files(&["/var/log/caddy/*.log"])],
    },
    Known {
        service: "traefik",
        log_type: "traefik",
        places: &[Place::Files(&["/var/log/traefik/*access*.log"])],
    },
    Known {
        service: "haproxy",
        log_type: "syslog",
        places: &[
            Place::Files(&["/var/log/haproxy.log"]),
            Place::Journal(&["haproxy.service"]),
        ],
    },
];

/// What discovery asks of a machine.
pub trait Machine {
    /// The files that a pattern matches, and the directories that may not be listed.
    fn files(&self, pattern: &str) -> (Vec<PathBuf>, Vec<PathBuf>);
    /// Whether the file may be opened.
    fn open(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a journal, journalctl to read it and one of the units in it. An error if it may not be read.
    fn has_journal_of(&self, units: &[&str]) -> io::Result<bool>;
    /// When any of the files that a pattern matches was last written to.
    fn written(&self, pattern: &str) -> Option<SystemTime> {
        let times = self
            .files(pattern)
            .0
            .into_iter()
            .filter_map(|path| self.written_to(&path));
        times.max()
    }
    /// When the file was last written to.
    fn written_to(&self, path: &Path) -> Option<SystemTime>;
}

/// This machine.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn files(&self, pattern: &str) -> (Vec<PathBuf>, Vec<PathBuf>) {
        files_that_match(pattern)
    }

    fn open(&self, path: &Path) -> io::Result<()> {
        super::tail::open(path).map(drop)
    }

    fn written_to(&self, path: &Path) -> Option<SystemTime> {
        fs::metadata(path).and_then(|meta| meta.modified()).ok()
    }

    fn has_journal_of(&self, units: &[&str]) -> io::Result<bool> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_program =
            std::env::split_paths(&path).any(|path| path.join("journalctl").is_file());
        let has_unit = units.iter().any(|unit| {
            UNIT_FOLDERS
                .iter()
                .any(|folder| Path::new(folder).join(unit).exists())
        });
        if !has_program || !has_unit {
            return Ok(false);
        }
        let journals = JOURNALS.iter().flat_map(|pattern| self.files(pattern).0);
        let mut answers = journals.map(|journal| self.open(&journal));
        match answers
            .find(|answer| !matches!(answer, Err(error) if error.kind() == io::ErrorKind::NotFound))
        {
            None => Ok(false),
            Some(answer) => answer.map(|()| true),
        }
    }
}

/// How much longer than the journal a file must have been silent to be a leftover of another syslog daemon.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where systemd keeps units.
const UNIT_FOLDERS: [&str; 3] = [
    "/etc/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// The file that the journal of system services is written to.
const JOURNALS: [&str; 2] = [
    "/var/log/journal/*/system.journal",
    "/run/log/journal/*/system.journal",
];

/// Looks for the logs of every service that is known.
#[must_use]
pub fn discover(machine: &impl Machine) -> Vec<Found> {
    KNOWN
        .iter()
        .flat_map(|known| find(known, machine))
        .collect()
}

fn find(known: &Known, machine: &impl Machine) -> Vec<Found> {
    let mut found = Vec::new();
    let mut read_in: Option<String> = None;
    for place in known.places {
        let before = found.len();
        match place {
            Place::Files(patterns) => {
                found.extend(
                    patterns
                        .iter()
                        .flat_map(|pattern| find_files(known, pattern, machine)),
                );
            }
            Place::Journal(units) => {
                let state = match machine.has_journal_of(units) {
                    Ok(true) => FoundState::Readable,
                    Ok(false) => FoundState::Missing,
                    Err(_) => FoundState::Denied(
                        "may not be read: add the user that lymph runs as to the group systemd-journal".to_owned(),
                    ),
                };
                let units = units.iter().map(|unit| (*unit).to_owned()).collect();
                let what = What::Journal(JournalSpec {
                    units,
                    ..JournalSpec::default()
                });
                found.push(Found {
                    service: known.service,
                    log_type: "syslog",
                    what,
                    state,
                });
            }
        }
        let new = &mut found[before..];
        if let Place::Files(patterns) = place
            && is_leftover(known, patterns, machine)
        {
            for found in new
                .iter_mut()
                .filter(|found| found.state == FoundState::Readable)
            {
                let why = "nothing is written to it any more; the journal is read instead";
                found.state = FoundState::Covered(why.to_owned());
            }
        }
        match &read_in {
            Some(elsewhere) => {
                for found in new
                    .iter_mut()
                    .filter(|found| found.state == FoundState::Readable)
                {
                    found.state =
                        FoundState::Covered(format!("the same lines are read from {elsewhere}"));
                }
            }
            None => {
                let readable = new.iter().find(|found| found.state == FoundState::Readable);
                read_in = readable.map(|found| found.what.to_string());
            }
        }
    }
    found
}

/// Whether the service's journal is written to while the files have been silent for long.
fn is_leftover(known: &Known, patterns: &[&str], machine: &impl Machine) -> bool {
    let has_journal = known.places.iter().any(|place| match place {
        Place::Journal(units) => machine.has_journal_of(units).unwrap_or(false),
        Place::Files(_) => false,
    });
    let files = patterns
        .iter()
        .filter_map(|pattern| machine.written(pattern))
        .max();
    let journal = JOURNALS
        .iter()
        .filter_map(|pattern| machine.written(pattern))
        .max();
    let (Some(files), Some(journal)) = (files, journal) else {
        return false;
    };
    has_journal
        && journal
            .duration_since(files)
            .is_ok_and(|silence| silence > SILENCE)
}

/// One entry a pattern where all can be read (so that files that appear later are read too), and one for each
/// file that may not.
fn find_files(known: &Known, pattern: &str, machine: &impl Machine) -> Vec<Found> {
    let entry = |what: String, state| Found {
        service: known.service,
        log_type: known.log_type,
        what: What::Files(what),
        state,
    };
    let (files, denied) = machine.files(pattern);
    let mut found: Vec<Found> = denied
        .iter()
        .map(|directory| {
            entry(
                directory.display().to_string(),
                FoundState::Denied(how_to_allow(directory)),
            )
        })
        .collect();
    let mut is_readable = false;
    for file in files.iter().take(PATHS_MAX) {
        match machine.open(file) {
            Ok(()) => is_readable = true,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.push(entry(
                    file.display().to_string(),
                    FoundState::Denied(how_to_allow(file)),
                ));
            }
            Err(_) => {}
        }
    }
    if is_readable {
        found.push(entry(pattern.to_owned(), FoundState::Readable));
    } else if found.is_empty() {
        found.push(entry(pattern.to_owned(), FoundState::Missing));
    }
    found
}

/// What the operator can do so that a file or directory may be read: join its group if that is enough.
#[must_use]
pub fn how_to_allow(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = fs::metadata(path) else {
        return "may not be read: run lymph as root, or give its user access to the directory"
            .to_owned();
    };
    let needed = if meta.is_dir() { 0o050 } else { 0o040 };
    match group_name(meta.gid()) {
        Some(group) if meta.mode() & needed == needed && meta.gid() != 0 => {
            format!(
                "may not be read: add the user that lymph runs as to the group {group} (usermod -aG {group} USER), or run lymph as root"
            )
        }
        _ => "may not be read: run lymph as root, or give its user access (setfacl -m u:USER:r)"
            .to_owned(),
    }
}

fn group_name(id: u32) -> Option<String> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let mut fields = groups.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A tree in a directory, of which some files may not be read.
    struct Tree {
        root: tempfile::TempDir,
        denied: BTreeSet<&'static str>,
        journal: bool,
    }

    impl Tree {
        fn new(files: &[&str], denied: &[&'static str], journal: bool) -> Self {
            let root = tempfile::tempdir().unwrap();
            for file in files.iter().chain(denied) {
                let path = root.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            Tree {
                root,
                denied: denied.iter().copied().collect(),
                journal,
            }
        }
    }

    impl Machine for Tree {
        fn files(&self, pattern: &str) -> (Vec<PathBuf>, Vec<PathBuf>) {
            let root = self.root.path().to_str().unwrap();
            let (files, denied) = files_that_match(&format!("{root}{pattern}"));
            let strip = |path: &PathBuf| Path::new("/").join(path.strip_prefix(root).unwrap());
            (files.iter().map(strip).collect(), denied)
        }

        fn open(&self, path: &Path) -> io::Result<()> {
            let name = path.strip_prefix("/").unwrap();
            if self.denied.contains(name.to_str().unwrap()) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            super::super::tail::open(&self.root.path().join(name)).map(drop)
        }

        fn has_journal_of(&self, units: &[&str]) -> io::Result<bool> {
            if self.denied.contains("run/log/journal/1/system.journal") {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            Ok(self.journal && units.contains(&"ssh.service"))
        }

        fn written_to(&self, path: &Path) -> Option<SystemTime> {
            fs::metadata(self.root.path().join(path.strip_prefix("/").unwrap()))
                .and_then(|meta| meta.modified())
                .ok()
        }
    }

    fn check(tree: &Tree, expected: &[&str]) {
        let found = discover(tree);
        let found = found
            .iter()
            .filter(|found| found.state != FoundState::Missing)
            .map(|found| {
                let state = match &found.state {
                    FoundState::Readable => "read".to_owned(),
                    FoundState::Covered(why) => why.clone(),
                    FoundState::Denied(_) => "denied".to_owned(),
                    FoundState::Missing => unreachable!(),
                };
                format!("{} {}: {state}", found.service, found.what)
            });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_service_is_read_once() {
        let debian = [
            "var/log/auth.log",
            "var/log/syslog",
            "var/log/nginx/access.log",
            "var/log/nginx/blog.access.log",
            "var/log/nginx/access.log.1",
        ];
        check(
            &Tree::new(&debian, &[], true),
            &[
                "sshd /var/log/auth.log: read",
                "sshd journal:ssh.service,sshd.service: the same lines are read from /var/log/auth.log",
                "sshd /var/log/syslog: the same lines are read from /var/log/auth.log",
                "nginx /var/log/nginx/*access*.log: read",
            ],
        );
        check(
            &Tree::new(
                &["var/log/messages", "var/log/httpd/access_log"],
                &[],
                false,
            ),
            &[
                "sshd /var/log/messages: read",
                "apache /var/log/httpd/*access*log: read",
            ],
        );
    }

    #[test]
    fn what_may_not_be_read_is_said_and_the_next_best_is_taken() {
        check(
            &Tree::new(
                &["var/log/nginx/error.log"],
                &["var/log/auth.log", "var/log/nginx/access.log"],
                true,
            ),
            &[
                "sshd /var/log/auth.log: denied",
                "sshd journal:ssh.service,sshd.service: read",
                "nginx /var/log/nginx/access.log: denied",
                "nginx /var/log/nginx/*error*.log: read",
            ],
        );
    }

    #[test]
    fn a_file_that_a_former_syslog_daemon_left_is_not_taken() {
        let tree = Tree::new(
            &["var/log/auth.log", "var/log/journal/1/system.journal"],
            &[],
            true,
        );
        let log = fs::File::options()
            .write(true)
            .open(tree.root.path().join("var/log/auth.log"))
            .unwrap();
        log.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        check(
            &tree,
            &[
                "sshd /var/log/auth.log: nothing is written to it any more; the journal is read instead",
                "sshd journal:ssh.service,sshd.service: read",
            ],
        );
    }

    #[test]
    fn a_journal_that_may_not_be_read_is_said() {
        check(
            &Tree::new(&[], &["run/log/journal/1/system.journal"], true),
            &[
                "sshd journal:ssh.service,sshd.service: denied",
                "haproxy journal:haproxy.service: denied",
            ],
        );
    }

    #[test]
    fn an_empty_machine_has_nothing() {
        let found = discover(&Tree::new(&[], &[], false));
        assert!(found.iter().all(|found| found.state == FoundState::Missing));
        assert_eq!(
            found
                .iter()
                .map(|found| found.service)
                .collect::<BTreeSet<_>>()
                .len(),
            KNOWN.len()
        );
    }

    #[test]
    fn says_which_group_to_join() {
        assert!(how_to_allow(Path::new("/nowhere")).contains("root"));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("auth.log");
        fs::write(&file, "").unwrap();
        assert!(how_to_allow(&file).contains("root"));
    }
}
