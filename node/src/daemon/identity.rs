//! Who this node is: its keys on disk, the certificate that can end them, and how far its numbers have gone.
//!
//! One file each in the state folder, one line of text, for nobody else to read:
//!
//! | file | what it is |
//! |---|---|
//! | `identity.key` | the secret key of the node: whoever has it speaks for it |
//! | `transport.key` | the secret key of its connections |
//! | `successor.key` | the secret key to go on with once the first is stolen; may be kept elsewhere |
//! | `kill.cert` | "this key is dead, go on with the successor", signed in advance; no secret |
//! | `sequence` | the highest number that reports may have been given; see [`HighWater`] |
//! | `dead` | only after `lymph id kill`: the certificate, to be published at every start |
//!
//! They are made at the first start in the order transport, successor, sequence, identity, certificate, each whole
//! or not at all. So what may be missing after a crash is known, and whatever else is missing was lost: that is an
//! error which says how to get it back, never a reason to make it anew.
//!
//! A change of key ([`Identity::rotate`]) is decided once `kill.cert.next` is on disk; from there on it is brought to
//! its end by whoever comes next. The old key stays as `identity.key.dead-MILLISECONDS`, its certificate as
//! `kill.cert.dead-MILLISECONDS`.
//!
//! Nothing here is ever printed but names and public keys. The next step of the path is whatever says something:
//! `lymph_protocol::signed`.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use lymph_protocol::audience::Audience;
use lymph_protocol::signed::{Keypair, Object, Signed};
use lymph_protocol::vouch::{Kill, Minute};
use lymph_protocol::{NodeId, Timestamp};
use zeroize::Zeroizing;

use super::state::effective_user;

/// A file of the identity: its name and the word that its line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in the state folder.
    pub name: &'static str,
    word: &'static str,
}

/// The secret key of the node.
pub const IDENTITY: Part = Part {
    name: "identity.key",
    word: "lymph-identity-key-1",
};
/// The secret key of its connections.
pub const TRANSPORT: Part = Part {
    name: "transport.key",
    word: "lymph-transport-key-1",
};
/// The secret key to go on with.
pub const SUCCESSOR: Part = Part {
    name: "successor.key",
    word: "lymph-successor-key-1",
};
/// The certificate that ends the first.
pub const KILL: Part = Part {
    name: "kill.cert",
    word: "lymph-kill-certificate-1",
};
/// The highest number.
pub const SEQUENCE: Part = Part {
    name: "sequence",
    word: "lymph-sequence-1",
};
/// The certificate of a node that was ended.
pub const DEAD: Part = Part {
    name: "dead",
    word: "lymph-kill-certificate-1",
};
const KILL_NEXT: Part = Part {
    name: "kill.cert.next",
    word: KILL.word,
};
const SUCCESSOR_NEXT: Part = Part {
    name: "successor.key.next",
    word: SUCCESSOR.word,
};
const TRANSPORT_NEXT: Part = Part {
    name: "transport.key.next",
    word: TRANSPORT.word,
};

/// What an interrupted change of keys leaves.
pub(super) const NEXT_NAMES: [&str; 3] = [KILL_NEXT.name, SUCCESSOR_NEXT.name, TRANSPORT_NEXT.name];

/// Longest file. The longest that we write, a certificate, has some 300 bytes.
pub const FILE_BYTES_MAX: usize = 1024;
/// Most certificates of old keys that are published; nobody changes keys as often.
pub const DEATHS_MAX: usize = 64;

/// 32 bytes that nobody else may know.
type Secret = Zeroizing<[u8; 32]>;

/// Why there is no identity. Says where, and what mends it; never what a file holds.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk or the permissions.
    #[error("cannot {doing} {}: {error}; run lymph as the user who owns the state folder, and look for room on the disk: df -h {}", .path.display(), folder_of(.path).display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Something else has its name.
    #[error("{path} is a link or no ordinary file, and lymph makes none: find out who did, then put the file itself there: mv {path} {path}.strange", path = .0.display())]
    NotAFile(PathBuf),
    /// Others may read it, or write it.
    #[error("others may read or write {path} (mode {mode:03o}): chmod 600 {path}; if somebody else was on this machine, change the key with `lymph id rotate`", path = .path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to another user (uid {uid}), who could exchange it: chown {expected} {path}", path = .path.display())]
    Owner {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// It does not hold what it should.
    #[error("{path} is damaged ({why}): put back a copy of it, or everything with `lymph restore FILE --force`", path = .path.display())]
    Malformed {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The number cannot be known any more.
    #[error("{path} is damaged or lost ({why}), and a number that is given twice makes others distrust this node; unless its clock was ever ahead, the present time is above all of them: (umask 077; echo \"{word} $(date +%s%3N)\" > {path})", path = .path.display(), word = SEQUENCE.word)]
    Sequence {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The certificate of a key that is not there.
    #[error("{key} is missing, but {cert} of the node {node} is there: put the key back, or everything with `lymph restore FILE --force`; to begin as a new node: mv {cert} {cert}.old", key = .state.join(IDENTITY.name).display(), cert = .state.join(KILL.name).display())]
    KeyLost {
        /// The state folder.
        state: PathBuf,
        /// Whose certificate it is.
        node: NodeId,
    },
    /// Key, successor and certificate are of different nodes.
    #[error("{} {what}: put back the one that belongs to it, or everything with `lymph restore FILE --force`", .path.display())]
    Mismatch {
        /// Where.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// Kept elsewhere, and needed now.
    #[error("{path} is not here, where it is needed now: copy it back from where you keep it, then: chmod 600 {path}", path = .0.display())]
    Away(PathBuf),
    /// There is no node yet.
    #[error("{} holds no identity yet: `lymph run` makes one at its first start; another folder: --state DIR", .0.display())]
    None(PathBuf),
    /// A change of keys was interrupted.
    #[error("a change of keys in {} was interrupted: start the daemon or say `lymph id rotate`, and it is brought to its end", .0.display())]
    Interrupted(PathBuf),
    /// The system has no random numbers.
    #[error(
        "the system gives no random numbers ({0}), so no key can be made: see whether /dev/urandom is there"
    )]
    Random(getrandom::Error),
    /// What we sign is refused by our own protocol.
    #[error("the kill certificate cannot be signed ({0}); nothing was changed: please report this")]
    Sign(lymph_protocol::signed::ParseError),
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// A node's keys.
pub struct Identity {
    /// The key that it signs with.
    pub keypair: Keypair,
    /// The secret key of its connections.
    pub transport: Zeroizing<[u8; 32]>,
    /// The certificate that ends the key: a signed object, as it is published.
    pub kill: Vec<u8>,
    /// The node that comes after it.
    pub successor: NodeId,
    /// Whether it is a new node.
    pub made_now: bool,
}

/// A change of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The certificate of the old key, to be published.
    pub kill: Vec<u8>,
    /// The old key's node, dead now.
    pub dead: NodeId,
    /// The new one.
    pub id: NodeId,
    /// The one that comes after that.
    pub successor: NodeId,
}

impl Identity {
    /// The node's keys. What is missing at the first start is made; a set that a crash left half-made is completed.
    /// Call it with the folder's lock in hand.
    pub fn open(state: &Path, now: Timestamp) -> Result<Identity, IdentityError> {
        finish_rotation(state, now)?;
        let made_now = load(state, &IDENTITY)?.is_none();
        if made_now {
            make(state, now)?;
        }
        if load(state, &TRANSPORT)?.is_none() {
            save(state, &TRANSPORT, &*random()?)?;
        }
        HighWater::open(state)?;
        if load(state, &KILL)?.is_none() {
            let keypair = key(state, &IDENTITY)?.ok_or_else(|| away(state, &IDENTITY))?;
            let successor = key(state, &SUCCESSOR)?.ok_or_else(|| away(state, &KILL))?;
            let kill = sign_kill(&keypair, successor.id(), now)?;
            save(state, &KILL, &kill)?;
        }
        let identity = Identity::read(state)?;
        Ok(Identity {
            made_now,
            ..identity
        })
    }

    /// The same, but it makes and changes nothing.
    pub fn read(state: &Path) -> Result<Identity, IdentityError> {
        let next = certificate(state, &KILL_NEXT)?;
        if next.is_some() {
            return Err(IdentityError::Interrupted(state.to_owned()));
        }
        let keypair =
            key(state, &IDENTITY)?.ok_or_else(|| IdentityError::None(state.to_owned()))?;
        let transport = secret(state, &TRANSPORT)?.ok_or_else(|| away(state, &TRANSPORT))?;
        let kill = certificate(state, &KILL)?.ok_or_else(|| away(state, &KILL))?;
        if kill.author != keypair.id() {
            return Err(mismatch(
                state,
                &KILL,
                "belongs to",
                kill.author,
                keypair.id(),
            ));
        }
        if let Some(successor) = key(state, &SUCCESSOR)?
            && successor.id() != kill.successor
        {
            return Err(mismatch(
                state,
                &SUCCESSOR,
                "is the key of",
                successor.id(),
                kill.successor,
            ));
        }
        Ok(Identity {
            keypair,
            transport,
            kill: kill.bytes,
            successor: kill.successor,
            made_now: false,
        })
    }

    /// When the key became the node's: when its certificate was signed, to the minute.
    #[must_use]
    pub fn made(&self) -> Timestamp {
        Certificate::check(&self.kill).map_or(Timestamp::EPOCH, |kill| kill.issued)
    }

    /// The successor's key becomes the node's, and gets a successor and a certificate of its own; the connections get
    /// a new key too, since whoever took the one took the other. Call it with the folder's lock in hand.
    ///
    /// A change that was interrupted is brought to its end and returned; it does not begin another.
    pub fn rotate(state: &Path, now: Timestamp) -> Result<Rotated, IdentityError> {
        if let Some(rotated) = finish_rotation(state, now)? {
            return Ok(rotated);
        }
        Identity::read(state)?;
        let heir = key(state, &SUCCESSOR)?.ok_or_else(|| away(state, &SUCCESSOR))?;
        let (successor, transport) = (random()?, random()?);
        let kill = sign_kill(&heir, Keypair::from_secret(&successor).id(), now)?;
        save(state, &SUCCESSOR_NEXT, &*successor)?;
        save(state, &TRANSPORT_NEXT, &*transport)?;
        save(state, &KILL_NEXT, &kill)?;
        finish_rotation(state, now)?.ok_or_else(|| away(state, &KILL_NEXT))
    }

    /// Marks the node as dead, for ever: its certificate lies in `dead` from now on. Returns the certificate.
    pub fn kill(state: &Path, now: Timestamp) -> Result<Vec<u8>, IdentityError> {
        finish_rotation(state, now)?;
        let identity = Identity::read(state)?;
        save(state, &DEAD, &identity.kill)?;
        Ok(identity.kill)
    }

    /// Whether this key was ended: then it must say nothing any more but this certificate.
    pub fn death(state: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
        let Some(dead) = certificate(state, &DEAD)? else {
            return Ok(None);
        };
        let id = key(state, &IDENTITY)?.map(|key| key.id());
        Ok((id == Some(dead.author)).then_some(dead.bytes))
    }

    /// The certificates of all keys that died here, newest last and at most [`DEATHS_MAX`]: to be published at every
    /// start, since a change of keys while the daemon was down has told nobody.
    pub fn deaths(state: &Path) -> Result<Vec<Vec<u8>>, IdentityError> {
        let dead = dead_certificates(state)?;
        Ok(dead.into_iter().map(|dead| dead.bytes).collect())
    }

    /// The nodes that died here.
    pub fn dead_here(state: &Path) -> Result<Vec<NodeId>, IdentityError> {
        let dead = dead_certificates(state)?;
        Ok(dead.into_iter().map(|dead| dead.author).collect())
    }
}

fn dead_certificates(state: &Path) -> Result<Vec<Certificate>, IdentityError> {
    let io = |error| failed(state, "list", error);
    let mut names = Vec::new();
    for entry in fs::read_dir(state).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let stamp = name
            .to_str()
            .and_then(|name| name.strip_prefix("kill.cert.dead-"))
            .and_then(|stamp| stamp.parse::<u64>().ok());
        names.extend(stamp.map(|stamp| (stamp, state.join(name))));
    }
    names.sort();
    let alive = key(state, &IDENTITY)?.map(|key| key.id());
    let mut dead = Vec::new();
    for (_, path) in names.into_iter().rev().take(DEATHS_MAX).rev() {
        if let Some(bytes) = read(&path, KILL.word)? {
            dead.push(Certificate::of(&bytes, &path)?);
        }
    }
    // A key that lives here is not ended by a copy of its certificate, only by `dead`.
    dead.retain(|dead| Some(dead.author) != alive);
    let own = certificate(state, &DEAD)?;
    dead.extend(own.filter(|dead| Some(dead.author) == alive));
    Ok(dead)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("keypair", &self.keypair)
            .field("successor", &self.successor)
            .field("made_now", &self.made_now)
            .finish_non_exhaustive()
    }
}

/// The keys of a new node, as far as they are not there yet; the certificate is for [`Identity::open`].
fn make(state: &Path, now: Timestamp) -> Result<(), IdentityError> {
    if let Some(kill) = certificate(state, &KILL)? {
        return Err(IdentityError::KeyLost {
            state: state.to_owned(),
            node: kill.author,
        });
    }
    for part in [&TRANSPORT, &SUCCESSOR] {
        if secret(state, part)?.is_none() {
            save(state, part, &*random()?)?;
        }
    }
    if read_text(&state.join(SEQUENCE.name))?.is_none() {
        save_sequence(state, now.millis())?;
    }
    save(state, &IDENTITY, &*random()?)
}

/// Brings a change of keys to its end, if one was decided. Each step may be the last before a crash.
fn finish_rotation(state: &Path, now: Timestamp) -> Result<Option<Rotated>, IdentityError> {
    let Some(next) = certificate(state, &KILL_NEXT)? else {
        return Ok(None);
    };
    let old = certificate(state, &KILL)?.ok_or_else(|| away(state, &KILL))?;
    let current = key(state, &IDENTITY)?.ok_or_else(|| away(state, &IDENTITY))?;
    if current.id() != next.author {
        let heir = secret(state, &SUCCESSOR)?.ok_or_else(|| away(state, &SUCCESSOR))?;
        let heir_id = Keypair::from_secret(&heir).id();
        if heir_id != next.author {
            let what = "is the key of";
            return Err(mismatch(state, &SUCCESSOR, what, heir_id, next.author));
        }
        let dead = secret(state, &IDENTITY)?.ok_or_else(|| away(state, &IDENTITY))?;
        let aside = |part: Part| state.join(format!("{}.dead-{}", part.name, now.millis()));
        write(&aside(IDENTITY), &line(IDENTITY.word, &*dead))?;
        write(&aside(KILL), &line(KILL.word, &old.bytes))?;
        save(state, &IDENTITY, &*heir)?;
    }
    for (from, to) in [(SUCCESSOR_NEXT, SUCCESSOR), (TRANSPORT_NEXT, TRANSPORT)] {
        rename_if_there(&state.join(from.name), &state.join(to.name))?;
    }
    remove_if_there(&state.join(DEAD.name))?;
    rename_if_there(&state.join(KILL_NEXT.name), &state.join(KILL.name))?;
    Ok(Some(Rotated {
        kill: old.bytes,
        dead: old.author,
        id: next.author,
        successor: next.successor,
    }))
}

/// The highest number that a report of this node may have been given. It is raised on disk before a number is used, so
/// that no number is used twice, whatever happens in between.
#[derive(Debug)]
pub struct HighWater {
    state: PathBuf,
    value: u64,
}

impl HighWater {
    /// What the file says. A file that is damaged, or lost beside an identity, is an error and not zero: from zero on
    /// numbers would be given again.
    pub fn open(state: &Path) -> Result<HighWater, IdentityError> {
        let path = state.join(SEQUENCE.name);
        let value = match read_text(&path)? {
            Some(text) => {
                sequence_of(&text).map_err(|why| IdentityError::Sequence { path, why })?
            }
            None if state.join(IDENTITY.name).exists() => {
                let why = "it is not there";
                return Err(IdentityError::Sequence { path, why });
            }
            None => 0,
        };
        Ok(HighWater {
            state: state.to_owned(),
            value,
        })
    }

    /// The highest number so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Makes sure that it is this high at least. On disk when it returns; after an error it is as high as it was.
    pub fn raise(&mut self, to: u64) -> io::Result<()> {
        if to <= self.value {
            return Ok(());
        }
        save_sequence(&self.state, to).map_err(|error| match error {
            IdentityError::Io { error, .. } => {
                let path = self.state.join(SEQUENCE.name);
                io::Error::new(error.kind(), failed(&path, "write", error))
            }
            other => io::Error::other(other),
        })?;
        self.value = to;
        Ok(())
    }
}

fn save_sequence(state: &Path, value: u64) -> Result<(), IdentityError> {
    let text = sequence_line(value);
    write(&state.join(SEQUENCE.name), text.as_bytes())
}

/// The line of a number.
#[must_use]
pub fn sequence_line(value: u64) -> String {
    format!("{} {value}\n", SEQUENCE.word)
}

/// The number in a line. A line without its end may be half of one.
pub fn sequence_of(text: &[u8]) -> Result<u64, &'static str> {
    let digits = text
        .strip_suffix(b"\n")
        .ok_or("it is cut short")?
        .strip_prefix(SEQUENCE.word.as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
        .ok_or("it does not begin as such a file does")?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number);
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or("its number is none")
}

/// A kill certificate that was checked.
struct Certificate {
    author: NodeId,
    successor: NodeId,
    issued: Timestamp,
    bytes: Vec<u8>,
}

impl Certificate {
    fn of(bytes: &[u8], path: &Path) -> Result<Certificate, IdentityError> {
        Certificate::check(bytes).map_err(|why| IdentityError::Malformed {
            path: path.to_owned(),
            why,
        })
    }

    fn check(bytes: &[u8]) -> Result<Certificate, &'static str> {
        let signed = Signed::parse(bytes, Audience::Public)
            .map_err(|_| "no signed object")?
            .verify()
            .map_err(|_| "its signature is wrong")?;
        let Object::Kill(kill) = signed.object() else {
            return Err("no kill certificate");
        };
        Ok(Certificate {
            author: signed.author(),
            issued: kill.issued.start(),
            successor: kill.successor.ok_or("it names no successor")?,
            bytes: bytes.to_vec(),
        })
    }
}

fn certificate(state: &Path, part: &Part) -> Result<Option<Certificate>, IdentityError> {
    let path = state.join(part.name);
    let bytes = load(state, part)?;
    bytes
        .map(|bytes| Certificate::of(&bytes, &path))
        .transpose()
}

fn sign_kill(
    keypair: &Keypair,
    successor: NodeId,
    now: Timestamp,
) -> Result<Vec<u8>, IdentityError> {
    let kill = Kill {
        issued: Minute::of(now),
        successor: Some(successor),
    };
    let signed = keypair
        .sign(Object::Kill(kill), Audience::Public)
        .map_err(IdentityError::Sign)?;
    Ok(signed.bytes().to_vec())
}

/// Which file of a set is wrong, and why.
pub type SetError = (&'static str, &'static str);

/// What the files of a set say about each other, for an archive that is to become one. Returns the node.
pub fn check_set<'a>(content: impl Fn(&str) -> Option<&'a [u8]>) -> Result<NodeId, SetError> {
    let decoded = |part: Part| {
        let bytes = content(part.name).map(|text| parse(text, part.word));
        bytes.transpose().map_err(|why| (part.name, why))
    };
    let keypair = |part: Part| -> Result<Option<Keypair>, SetError> {
        match decoded(part)? {
            Some(bytes) => {
                let secret = to_secret(&bytes).map_err(|why| (part.name, why))?;
                Ok(Some(Keypair::from_secret(&secret)))
            }
            None => Ok(None),
        }
    };
    let kill_of = |part: Part| match decoded(part)? {
        Some(bytes) => Certificate::check(&bytes)
            .map(Some)
            .map_err(|why| (part.name, why)),
        None => Ok(None),
    };
    let id = keypair(IDENTITY)?.ok_or((IDENTITY.name, "missing"))?.id();
    keypair(TRANSPORT)?.ok_or((TRANSPORT.name, "missing"))?;
    let kill = kill_of(KILL)?.ok_or((KILL.name, "missing"))?;
    if kill.author != id {
        return Err((KILL.name, "not of this key"));
    }
    if keypair(SUCCESSOR)?.is_some_and(|key| key.id() != kill.successor) {
        return Err((SUCCESSOR.name, "not the one that the certificate names"));
    }
    if kill_of(DEAD)?.is_some_and(|dead| dead.author != id) {
        return Err((DEAD.name, "not of this key"));
    }
    let text = content(SEQUENCE.name).ok_or((SEQUENCE.name, "missing"))?;
    sequence_of(text).map_err(|why| (SEQUENCE.name, why))?;
    Ok(id)
}

fn key(state: &Path, part: &Part) -> Result<Option<Keypair>, IdentityError> {
    Ok(secret(state, part)?.map(|secret| Keypair::from_secret(&secret)))
}

fn secret(state: &Path, part: &Part) -> Result<Option<Secret>, IdentityError> {
    let Some(bytes) = load(state, part)? else {
        return Ok(None);
    };
    let secret = to_secret(&bytes).map_err(|why| IdentityError::Malformed {
        path: state.join(part.name),
        why,
    })?;
    Ok(Some(secret))
}

fn to_secret(bytes: &[u8]) -> Result<Secret, &'static str> {
    let mut secret = Secret::default();
    if bytes.len() != secret.len() {
        return Err("a key has 64 hexadecimal digits");
    }
    secret.copy_from_slice(bytes);
    Ok(secret)
}

fn random() -> Result<Secret, IdentityError> {
    let mut secret = Secret::default();
    getrandom::fill(&mut *secret).map_err(IdentityError::Random)?;
    Ok(secret)
}

fn away(state: &Path, part: &Part) -> IdentityError {
    IdentityError::Away(state.join(part.name))
}

fn mismatch(state: &Path, part: &Part, what: &str, found: NodeId, wanted: NodeId) -> IdentityError {
    IdentityError::Mismatch {
        path: state.join(part.name),
        what: format!("{what} the node {found}, not {wanted}"),
    }
}

fn failed(path: &Path, doing: &'static str, error: io::Error) -> IdentityError {
    IdentityError::Io {
        path: path.to_owned(),
        doing,
        error,
    }
}

fn load(state: &Path, part: &Part) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    read(&state.join(part.name), part.word)
}

fn save(state: &Path, part: &Part, bytes: &[u8]) -> Result<(), IdentityError> {
    write(&state.join(part.name), &line(part.word, bytes))
}

fn read(path: &Path, word: &str) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let bytes = parse(&text, word).map_err(|why| IdentityError::Malformed {
        path: path.to_owned(),
        why,
    })?;
    Ok(Some(bytes))
}

/// What a file of ours holds, if it is there and nobody else's.
pub(super) fn read_text(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    let mut options = File::options();
    options.read(true);
    // Whoever could put a link or a pipe here would choose what we read, and when.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => {
            return Err(IdentityError::NotAFile(path.to_owned()));
        }
        Err(error) => return Err(failed(path, "read", error)),
    };
    let meta = file
        .metadata()
        .map_err(|error| failed(path, "read", error))?;
    let (mode, uid, expected) = (meta.mode() & 0o777, meta.uid(), owner(folder_of(path)));
    if !meta.is_file() {
        return Err(IdentityError::NotAFile(path.to_owned()));
    }
    if uid != expected {
        return Err(IdentityError::Owner {
            path: path.to_owned(),
            uid,
            expected,
        });
    }
    if mode & 0o077 != 0 {
        return Err(IdentityError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    // As long as it can become, so that no copy of a secret is left where it grew out of.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| failed(path, "read", error))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(IdentityError::Malformed {
            path: path.to_owned(),
            why: "it is too long",
        });
    }
    Ok(Some(text))
}

/// Whose our files are: ours, or of the daemon's user where root looks after them.
fn owner(state: &Path) -> u32 {
    let us = effective_user();
    match fs::metadata(state) {
        Ok(folder) if us == 0 => folder.uid(),
        _ => us,
    }
}

fn line(word: &str, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(Vec::with_capacity(word.len() + 2 + 2 * bytes.len()));
    text.extend_from_slice(word.as_bytes());
    text.push(b' ');
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text.push(b'\n');
    text
}

fn parse(text: &[u8], word: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let digits = text
        .trim_ascii_end()
        .strip_prefix(word.as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
        .ok_or("it does not begin as such a file does")?;
    if !digits.len().is_multiple_of(2) {
        return Err("it is cut short");
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err("it holds other things than hexadecimal digits"),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        bytes.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Ok(bytes)
}

/// Puts a file in place, whole and on disk, or leaves what was there. It belongs to whom its folder belongs to.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<(), IdentityError> {
    write_for(path, text, owner(folder_of(path)))
}

/// The same outside the state folder, where the owner of a folder is not to read our secrets.
pub(super) fn write_as_ourselves(path: &Path, text: &[u8]) -> Result<(), IdentityError> {
    write_for(path, text, effective_user())
}

fn write_for(path: &Path, text: &[u8], owner: u32) -> Result<(), IdentityError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = try_write(path, &temporary, text, owner);
    if written.is_err() {
        // A half-written one would only take room where there is none.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| failed(path, "write", error))
}

fn try_write(path: &Path, temporary: &Path, text: &[u8], owner: u32) -> io::Result<()> {
    // What a kill left behind; or a link, which is not followed but taken away.
    let _ = fs::remove_file(temporary);
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.custom_flags(libc::O_NOFOLLOW).open(temporary)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    if owner != effective_user() {
        fchown(&file, Some(owner), None)?;
    }
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_folder(path)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    let is_named = !folder.as_os_str().is_empty();
    File::open(if is_named { folder } else { Path::new(".") })?.sync_all()
}

fn rename_if_there(from: &Path, to: &Path) -> Result<(), IdentityError> {
    match fs::rename(from, to) {
        Ok(()) => sync_folder(to).map_err(|error| failed(to, "write", error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(to, "write", error)),
    }
}

fn remove_if_there(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path).map_err(|error| failed(path, "remove", error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, "remove", error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

    fn files(state: &Path) -> BTreeMap<String, String> {
        let names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap());
        names
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect()
    }

    fn fresh() -> (tempfile::TempDir, Identity) {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path(), NOW).unwrap();
        (folder, identity)
    }

    /// The secrets in a folder, as they stand in their files.
    fn secrets(state: &Path) -> Vec<String> {
        let all = files(state).into_iter();
        all.filter(|(name, _)| name.contains(".key"))
            .map(|(_, text)| {
                let digits = text.split_whitespace().next_back();
                digits.unwrap_or_default().to_owned()
            })
            .collect()
    }

    fn opens_with(state: &Path, expected: &str) {
        let before = files(state);
        let error = Identity::open(state, NOW).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            let leaks = |secret: &String| secret.len() > 8 && text.contains(secret.as_str());
            assert!(!secrets(state).iter().any(leaks), "{text}");
        }
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&state.display().to_string()), "{error}");
        assert_eq!(files(state), before, "{expected}");
    }

    #[test]
    fn the_first_start_makes_it_and_the_second_finds_it() {
        let (folder, first) = fresh();
        let state = folder.path();
        assert!(first.made_now);
        let before = files(state);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            [
                "identity.key",
                "kill.cert",
                "sequence",
                "successor.key",
                "transport.key"
            ]
        );
        for (name, text) in &before {
            let mode = fs::metadata(state.join(name)).unwrap().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
            let is_one_line = text.ends_with('\n') && text.lines().count() == 1;
            assert!(text.starts_with("lymph-") && is_one_line, "{name}");
        }
        let second = Identity::open(state, NOW).unwrap();
        assert!(!second.made_now);
        assert_eq!(second.keypair.id(), first.keypair.id());
        assert_eq!(*second.transport, *first.transport);
        assert_eq!(
            (second.kill, second.successor),
            (first.kill, first.successor)
        );
        assert_eq!(files(state), before);
        let (_folder, other) = fresh();
        assert_ne!(other.keypair.id(), first.keypair.id());
        assert_ne!(*other.transport, *first.transport);
    }

    #[test]
    fn the_certificate_ends_this_key_for_everybody() {
        let (_folder, identity) = fresh();
        let kill = Certificate::check(&identity.kill).unwrap();
        assert_eq!(kill.author, identity.keypair.id());
        assert_eq!(kill.successor, identity.successor);
        assert_ne!(identity.successor, identity.keypair.id());
    }

    #[test]
    fn a_crash_between_two_files_is_completed() {
        let (whole, _) = fresh();
        let order = [TRANSPORT, SUCCESSOR, SEQUENCE, IDENTITY, KILL];
        for made in 0..=order.len() {
            let folder = tempfile::tempdir().unwrap();
            let state = folder.path();
            for part in &order[..made] {
                fs::copy(whole.path().join(part.name), state.join(part.name)).unwrap();
            }
            // What the crash left of the next one.
            fs::write(state.join("identity.key.new"), "lymph-ide").unwrap();
            let before = files(state);
            let identity = Identity::open(state, NOW).unwrap();
            let after = files(state);
            for part in &order[..made] {
                assert_eq!(after[part.name], before[part.name], "{made}");
            }
            assert_eq!(identity.made_now, made < 4);
            let again = Identity::open(state, NOW).unwrap();
            assert_eq!(again.keypair.id(), identity.keypair.id());
        }
    }

    #[test]
    fn what_was_lost_is_not_made_anew() {
        let (folder, identity) = fresh();
        let state = folder.path();
        let aside = folder.path().join("kept");
        let lose = |part: Part, expected: &str| {
            fs::rename(state.join(part.name), &aside).unwrap();
            opens_with(state, expected);
            fs::rename(&aside, state.join(part.name)).unwrap();
        };
        lose(IDENTITY, "to begin as a new node: mv");
        lose(SEQUENCE, "date +%s%3N");
        // The successor's key may be kept elsewhere, but not that and the certificate.
        fs::rename(state.join(SUCCESSOR.name), &aside).unwrap();
        let without = Identity::open(state, NOW).unwrap();
        assert_eq!(without.successor, identity.successor);
        assert!(!state.join(SUCCESSOR.name).exists());
        let error = Identity::rotate(state, NOW).unwrap_err().to_string();
        assert!(error.contains("successor.key is not here"), "{error}");
        fs::remove_file(state.join(KILL.name)).unwrap();
        opens_with(state, "kill.cert is not here");
    }

    #[test]
    fn what_others_may_read_is_refused() {
        for part in [IDENTITY, TRANSPORT, SUCCESSOR, KILL, SEQUENCE] {
            let (folder, _) = fresh();
            let (state, path) = (folder.path(), folder.path().join(part.name));
            let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            for mode in [0o640, 0o604, 0o620, 0o644, 0o666] {
                set(mode);
                opens_with(state, &format!("chmod 600 {}", path.display()));
            }
            set(0o400);
            Identity::open(state, NOW).unwrap();
            if effective_user() == 0 {
                set(0o600);
                chown(&path, Some(12_345), None).unwrap();
                opens_with(state, &format!("chown 0 {}", path.display()));
                chown(&path, Some(0), None).unwrap();
            }
            let elsewhere = folder.path().join("elsewhere");
            fs::rename(&path, &elsewhere).unwrap();
            symlink(&elsewhere, &path).unwrap();
            opens_with(state, "is a link");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (folder, _) = fresh();
        let path = folder.path().join(IDENTITY.name);
        let good = fs::read_to_string(&path).unwrap();
        let broken = [
            String::new(),
            "\n".to_owned(),
            good.replace("identity", "transport"),
            good.replace(' ', "  "),
            good[..good.len() - 2].to_owned(),
            good[..good.len() - 3].to_owned(),
            good.trim_end().to_owned() + "00\n",
            good.trim_end()[..good.len() - 2].to_owned() + "G\n",
            good.clone() + &good,
            "\0".repeat(good.len()),
            good.clone() + &" ".repeat(FILE_BYTES_MAX),
        ];
        for text in broken {
            fs::write(&path, &text).unwrap();
            opens_with(folder.path(), "is damaged");
        }
        fs::write(&path, &good).unwrap();
        Identity::open(folder.path(), NOW).unwrap();
        let (other, _) = fresh();
        for part in [IDENTITY, SUCCESSOR] {
            let path = folder.path().join(part.name);
            let own = fs::read(&path).unwrap();
            fs::copy(other.path().join(part.name), &path).unwrap();
            opens_with(folder.path(), "put back the one that belongs to it");
            fs::write(&path, own).unwrap();
        }
        let kill = folder.path().join(KILL.name);
        let text = fs::read_to_string(&kill).unwrap();
        let changed = match text.chars().nth(120) {
            Some('0') => "1",
            _ => "0",
        };
        fs::write(&kill, format!("{}{changed}{}", &text[..120], &text[121..])).unwrap();
        opens_with(folder.path(), "is damaged");
    }

    #[test]
    fn the_successor_takes_over() {
        let (folder, old) = fresh();
        let state = folder.path();
        let before = files(state);
        Identity::kill(state, NOW).unwrap();
        let rotated = Identity::rotate(state, NOW).unwrap();
        assert_eq!(rotated.kill, old.kill);
        assert_eq!(
            (rotated.dead, rotated.id),
            (old.keypair.id(), old.successor)
        );
        let new = Identity::open(state, NOW).unwrap();
        assert_eq!(new.keypair.id(), old.successor);
        assert_eq!(new.successor, rotated.successor);
        assert!(![old.keypair.id(), old.successor].contains(&new.successor));
        assert_ne!(*new.transport, *old.transport);
        let after = files(state);
        assert_eq!(after["sequence"], before["sequence"]);
        let kept = "identity.key.dead-1800000000123";
        assert_eq!(after[kept], before["identity.key"]);
        assert_eq!(
            fs::metadata(state.join(kept)).unwrap().mode() & 0o777,
            0o600
        );
        assert!(after.keys().all(|name| !name.contains("next")), "{after:?}");
        assert_eq!(Identity::death(state).unwrap(), None);
        assert_eq!(Identity::deaths(state).unwrap(), [old.kill]);
    }

    #[test]
    fn a_change_of_keys_that_was_interrupted_is_brought_to_its_end() {
        // The folder as each step leaves it: the files that are of the new key already.
        let (old, _) = fresh();
        let new = tempfile::tempdir().unwrap();
        for name in files(old.path()).keys() {
            fs::copy(old.path().join(name), new.path().join(name)).unwrap();
        }
        let rotated = Identity::rotate(new.path(), NOW).unwrap();
        let kept = [
            ("identity.key.dead-1800000000123", IDENTITY),
            ("kill.cert.dead-1800000000123", KILL),
        ];
        for step in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let state = folder.path();
            let copy = |from: &Path, name: &str, to: &str| {
                fs::copy(from.join(name), state.join(to)).unwrap();
            };
            copy(old.path(), SEQUENCE.name, SEQUENCE.name);
            copy(old.path(), KILL.name, KILL.name);
            copy(new.path(), KILL.name, KILL_NEXT.name);
            let steps = [IDENTITY, SUCCESSOR, TRANSPORT];
            for (index, part) in steps.into_iter().enumerate() {
                let is_done = step > index + 1;
                copy(
                    if is_done { new.path() } else { old.path() },
                    part.name,
                    part.name,
                );
                if !is_done && part != IDENTITY {
                    copy(new.path(), part.name, &format!("{}.next", part.name));
                }
            }
            if step > 0 {
                for (name, part) in kept {
                    copy(old.path(), part.name, name);
                }
            }
            let error = Identity::read(state).unwrap_err().to_string();
            assert!(error.contains("was interrupted"), "{error}");
            match step % 2 {
                0 => assert_eq!(Identity::rotate(state, NOW).unwrap(), rotated, "{step}"),
                _ => assert!(!Identity::open(state, NOW).unwrap().made_now),
            }
            assert_eq!(files(state), files(new.path()), "{step}");
        }
    }

    #[test]
    fn a_dead_node_stays_dead() {
        let (folder, identity) = fresh();
        let state = folder.path();
        assert_eq!(Identity::death(state).unwrap(), None);
        assert!(Identity::deaths(state).unwrap().is_empty());
        assert_eq!(Identity::kill(state, NOW).unwrap(), identity.kill);
        let dead = Some(identity.kill.clone());
        assert_eq!(Identity::death(state).unwrap(), dead);
        Identity::open(state, NOW).unwrap();
        assert_eq!(Identity::death(state).unwrap(), dead);
        assert_eq!(Identity::deaths(state).unwrap(), [identity.kill]);
    }

    #[test]
    fn nothing_tells_a_secret() {
        let (folder, identity) = fresh();
        let rotated = Identity::rotate(folder.path(), NOW).unwrap();
        let told = format!(
            "{identity:?} {rotated:?} {:?}",
            Identity::open(folder.path(), NOW)
        );
        let bytes = format!("{:?}", &identity.transport[..4]);
        assert!(!told.contains(bytes.trim_matches(['[', ']'])), "{told}");
        for secret in secrets(folder.path()) {
            assert!(!told.contains(&secret), "{told}");
        }
    }

    #[test]
    fn the_mark_only_rises_and_survives() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let mut mark = HighWater::open(state).unwrap();
        assert_eq!(mark.value(), 0);
        for (to, expected) in [(5, 5), (3, 5), (5, 5), (u64::MAX, u64::MAX), (0, u64::MAX)] {
            mark.raise(to).unwrap();
            assert_eq!(mark.value(), expected);
            assert_eq!(HighWater::open(state).unwrap().value(), expected);
        }
        let (folder, _) = fresh();
        let found = HighWater::open(folder.path()).unwrap().value();
        assert_eq!(found, NOW.millis());
    }

    #[test]
    fn a_damaged_mark_is_not_zero() {
        let (folder, _) = fresh();
        let path = folder.path().join(SEQUENCE.name);
        for text in [
            "",
            "\n",
            "lymph-sequence-1 18000000",
            "lymph-sequence-1 \n",
            "lymph-sequence-1 -5\n",
            "lymph-sequence-1 +5\n",
            "lymph-sequence-1 5 5\n",
            "lymph-sequence-1 99999999999999999999999\n",
            "lymph-sequence-2 5\n",
            "5\n",
            "\0\0\0\0\0\0\0\0\n",
        ] {
            fs::write(&path, text).unwrap();
            opens_with(folder.path(), "date +%s%3N");
        }
        // The remedy, as it is said.
        let error = HighWater::open(folder.path()).unwrap_err().to_string();
        let command = error.split_once("all of them: ").unwrap().1;
        let done = std::process::Command::new("sh")
            .args(["-c", command])
            .status();
        assert!(done.unwrap().success());
        let mark = HighWater::open(folder.path()).unwrap();
        assert!(mark.value() > 1_700_000_000_000, "{}", mark.value());
    }

    #[test]
    fn a_mark_that_cannot_be_written_is_not_raised() {
        let (folder, _) = fresh();
        let mut mark = HighWater::open(folder.path()).unwrap();
        let before = mark.value();
        // A folder where the temporary file should be.
        fs::create_dir(folder.path().join("sequence.new")).unwrap();
        let error = mark.raise(before + 1).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
        assert_eq!(mark.value(), before);
        assert_eq!(HighWater::open(folder.path()).unwrap().value(), before);
    }

    #[test]
    fn a_set_is_checked_without_a_folder() {
        let (folder, identity) = fresh();
        let whole = files(folder.path());
        let check = |set: &BTreeMap<String, String>| {
            check_set(|name| set.get(name).map(|text| text.as_bytes()))
        };
        assert_eq!(check(&whole), Ok(identity.keypair.id()));
        for (name, may_miss) in [
            ("identity.key", false),
            ("transport.key", false),
            ("successor.key", true),
            ("kill.cert", false),
            ("sequence", false),
        ] {
            let mut set = whole.clone();
            set.remove(name);
            assert_eq!(check(&set).is_ok(), may_miss, "{name}");
            set.insert(name.to_owned(), "lymph".to_owned());
            assert_eq!(check(&set).unwrap_err().0, name);
        }
        let other = files(fresh().0.path());
        for name in ["identity.key", "successor.key", "kill.cert"] {
            let mut set = whole.clone();
            set.insert(name.to_owned(), other[name].clone());
            assert!(check(&set).is_err(), "{name}");
        }
    }
}
