//! A node in one file: what cannot be made again, as a tar archive, sealed with a passphrase if wanted. The only user of
//! tar and age.
//!
//! The first entry, `lymph-backup`, says the version and lists the others with their SHA-256 and length; so an archive
//! that was cut short or changed is noticed before anything of it is used. [`open`] takes nothing but plain files with
//! the names in [`NAMES`], each once and below its cap; paths, links, devices and whatever else an archive can hold are
//! refused. It works in memory: only [`install`] writes, after everything was checked.
//!
//! A sealed archive is one of age's, by passphrase: `age -d FILE | tar tv` shows it without lymph.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use age::DecryptError;
/// A passphrase, as age takes it: emptied from memory when it is dropped, never printed.
pub use age::secrecy::{ExposeSecret, SecretString};
use lymph_protocol::{NodeId, Timestamp};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, EntryType, Header};
use zeroize::Zeroizing;

use super::identity::{self, Identity, IdentityError};

/// The entry that says what is in the archive.
const MANIFEST: &str = "lymph-backup";
const MANIFEST_WORD: &str = "lymph-backup-1";
/// The configuration file's name in an archive, whatever it is on disk.
pub const CONFIG: &str = "lymph.toml";
const KEY_BYTES_MAX: usize = identity::FILE_BYTES_MAX;
/// A million entries of the usual length fit.
const BOOK_BYTES_MAX: usize = 512 * 1024 * 1024;
const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Longest archive: two books, and the rest.
pub const ARCHIVE_BYTES_MAX: usize = 2 * BOOK_BYTES_MAX + 4 * 1024 * 1024;

/// Everything that an archive may hold, and how long each may be. In the order in which it is put in place: a crash in
/// between leaves a certificate without its key, which the daemon refuses, and never a key without its numbers.
pub const NAMES: [(&str, usize); 9] = [
    (identity::KILL.name, KEY_BYTES_MAX),
    (identity::DEAD.name, KEY_BYTES_MAX),
    (CONFIG, CONFIG_BYTES_MAX),
    ("operator.book", BOOK_BYTES_MAX),
    ("mesh.book", BOOK_BYTES_MAX),
    (identity::TRANSPORT.name, KEY_BYTES_MAX),
    (identity::SUCCESSOR.name, KEY_BYTES_MAX),
    (identity::SEQUENCE.name, KEY_BYTES_MAX),
    (identity::IDENTITY.name, KEY_BYTES_MAX),
];

/// log2 of what scrypt costs: 128 MiB and about half a second.
const WORK_LOG2: u8 = 17;
/// The most that an archive may ask for, 256 MiB: what the program age uses.
const WORK_LOG2_MAX: u8 = 18;

/// How far a restored node's numbers are ahead of all that it may have given: the clocks of two machines, and what the
/// old one said after the backup.
pub const SEQUENCE_AHEAD: Duration = Duration::from_secs(3600);

/// Files by their names.
pub type Contents = BTreeMap<&'static str, Zeroizing<Vec<u8>>>;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk.
    #[error("cannot {doing} {}: {error}; nothing was changed: see who may write there and whether there is room: df -h {}", .path.display(), .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Too much for an archive.
    #[error(
        "{0} is longer than a backup holds ({1} bytes); nothing was written: remove imported lists with `lymph undo`, or copy the state folder as a whole"
    )]
    TooLong(String, usize),
    /// No archive of ours, or not the whole of one.
    #[error(
        "this is no backup that lymph made, or not the whole of it ({0}); nothing was changed: take another copy of it"
    )]
    Damaged(String),
    /// Made by a later version.
    #[error("a newer lymph made this backup; nothing was changed: update lymph first")]
    Newer,
    /// It is sealed.
    #[error(
        "this backup is sealed: say --passphrase and type its passphrase, or --passphrase-file FILE"
    )]
    Sealed,
    /// It is not.
    #[error(
        "this backup is not sealed, so it may be another one than you mean; if it is the right one, leave out the passphrase"
    )]
    NotSealed,
    /// The wrong passphrase.
    #[error("this is not the passphrase of that backup; nothing was changed: try again")]
    Passphrase,
    /// Something with that name is there.
    #[error("{} is there already; nothing was changed: say --force, and it gives way", .0.display())]
    Exists(PathBuf),
    /// A key that was declared dead on this machine.
    #[error(
        "the node {0} in this backup was declared dead here (lymph id rotate, or kill), and others will not believe it any more; nothing was changed: restore a newer backup, or none"
    )]
    Dead(NodeId),
    /// The identity itself.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

fn damaged(why: impl Into<String>) -> BackupError {
    BackupError::Damaged(why.into())
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Io { path, doing, error }
}

/// What of a state folder belongs into a backup. A daemon may run meanwhile: its files are replaced as a whole, or only
/// grow, and the highest number is raised when they are restored.
pub fn gather(state: &Path, config: Option<&Path>) -> Result<(NodeId, Contents), BackupError> {
    let id = Identity::read(state)?.keypair.id();
    let mut contents = Contents::new();
    for (name, bytes_max) in NAMES {
        let path = match name {
            CONFIG => match config {
                Some(path) => path.to_owned(),
                None => continue,
            },
            name => state.join(name),
        };
        let found = match name.ends_with(".book") || name == CONFIG {
            true => read_capped(&path, bytes_max)?,
            false => identity::read_text(&path)?,
        };
        contents.extend(found.map(|bytes| (name, bytes)));
    }
    check(&contents)?;
    Ok((id, contents))
}

/// A file that is no longer than it may be; `None` if there is none.
pub fn read_capped(
    path: &Path,
    bytes_max: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, BackupError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "read")(error)),
    };
    let length = file.metadata().map_err(failed(path, "read"))?.len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(bytes_max) + 1));
    file.take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed(path, "read"))?;
    match bytes.len() > bytes_max {
        true => Err(BackupError::TooLong(path.display().to_string(), bytes_max)),
        false => Ok(Some(bytes)),
    }
}

/// The archive of these files.
#[must_use]
pub fn pack(contents: &Contents, now: Timestamp) -> Zeroizing<Vec<u8>> {
    let mut manifest = format!("{MANIFEST_WORD} {now}\n");
    for (name, bytes) in contents {
        manifest.push_str(&manifest_line(name, bytes));
    }
    // Each has a header and is filled up to 512 bytes; then the end. No copy of a secret is left where it grew out of.
    let length: usize = contents.values().map(|bytes| bytes.len() + 1024).sum();
    let mut archive = Zeroizing::new(Vec::with_capacity(length + manifest.len() + 4096));
    let manifest = (MANIFEST, manifest.as_bytes());
    let files = contents
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()));
    let mut builder = Builder::new(&mut *archive);
    let written = std::iter::once(manifest)
        .chain(files)
        .try_for_each(|(name, bytes)| {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o600);
            header.set_mtime(now.secs());
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes)
        });
    written
        .and_then(|()| builder.finish())
        .expect("memory takes whatever is written to it, and our names are short");
    drop(builder);
    archive
}

fn manifest_line(name: &str, bytes: &[u8]) -> String {
    let sum: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{sum} {} {name}\n", bytes.len())
}

/// Sealed, so that only the passphrase opens it.
pub fn seal(archive: &[u8], passphrase: &SecretString) -> Result<Vec<u8>, BackupError> {
    seal_with(archive, passphrase, WORK_LOG2)
}

fn seal_with(
    archive: &[u8],
    passphrase: &SecretString,
    work_log2: u8,
) -> Result<Vec<u8>, BackupError> {
    let cannot = |why: String| BackupError::Io {
        path: PathBuf::from(MANIFEST),
        doing: "seal",
        error: io::Error::other(why),
    };
    let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(work_log2);
    age::encrypt(&recipient, archive).map_err(|error| cannot(error.to_string()))
}

/// An archive that was checked through and through.
pub struct Opened {
    /// The node in it.
    pub id: NodeId,
    /// Its files.
    pub contents: Contents,
}

/// Names only: what they hold is secret.
impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.contents.keys().collect();
        f.debug_struct("Opened")
            .field("id", &self.id)
            .field("names", &names)
            .finish()
    }
}

/// Whether it is sealed.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/")
}

/// Opens an archive and checks everything about it. Writes nothing.
pub fn open(bytes: &[u8], passphrase: Option<&SecretString>) -> Result<Opened, BackupError> {
    let contents = match (is_sealed(bytes), passphrase) {
        (true, None) => return Err(BackupError::Sealed),
        (false, Some(_)) => return Err(BackupError::NotSealed),
        (true, Some(passphrase)) => unpack(&unseal(bytes, passphrase)?)?,
        (false, None) => unpack(bytes)?,
    };
    let id = check(&contents)?;
    Ok(Opened { id, contents })
}

fn unseal(bytes: &[u8], passphrase: &SecretString) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let mut key = age::scrypt::Identity::new(passphrase.clone());
    key.set_max_work_factor(WORK_LOG2_MAX);
    match age::decrypt(&key, bytes) {
        Ok(archive) => Ok(Zeroizing::new(archive)),
        Err(DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed) => {
            Err(BackupError::Passphrase)
        }
        Err(DecryptError::NoMatchingKeys) => {
            Err(damaged("it is sealed with a key and not with a passphrase"))
        }
        Err(DecryptError::ExcessiveWork { required, .. }) => Err(damaged(format!(
            "it asks for 2^{required} steps of scrypt, more than 2^{WORK_LOG2_MAX}"
        ))),
        Err(error) => Err(damaged(format!("its seal is broken: {error}"))),
    }
}

fn unpack(bytes: &[u8]) -> Result<Contents, BackupError> {
    if bytes.len() > ARCHIVE_BYTES_MAX {
        return Err(damaged("it is longer than any backup"));
    }
    let broken = |error: io::Error| damaged(format!("the archive is broken: {error}"));
    let mut archive = Archive::new(bytes);
    let mut manifest = None;
    let mut contents = Contents::new();
    // Raw: an extension that would give another name or length is an entry of a type that is refused.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind != EntryType::Regular || entry.link_name_bytes().is_some() {
            return Err(damaged(format!("{shown} is no plain file")));
        }
        let is_manifest = shown == MANIFEST && manifest.is_none() && contents.is_empty();
        let known = NAMES.iter().find(|(name, _)| *name == shown);
        let (name, bytes_max) = match known {
            _ if is_manifest => (MANIFEST, KEY_BYTES_MAX * 4),
            Some((name, _)) if manifest.is_none() || contents.contains_key(name) => {
                return Err(damaged(format!("{shown} comes twice or before the list")));
            }
            Some((name, bytes_max)) => (*name, *bytes_max),
            None => return Err(damaged(format!("{shown:?} does not belong there"))),
        };
        let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if length > bytes_max {
            return Err(damaged(format!("{name} is longer than {bytes_max} bytes")));
        }
        let mut content = Zeroizing::new(Vec::with_capacity(length.min(bytes.len()) + 1));
        entry.read_to_end(&mut content).map_err(broken)?;
        if content.len() != length {
            return Err(damaged(format!("{name} is cut short")));
        }
        match is_manifest {
            true => manifest = Some(content),
            false => drop(contents.insert(name, content)),
        }
    }
    let manifest = manifest.ok_or_else(|| damaged("it has no list of what is in it"))?;
    check_manifest(&manifest, &contents)?;
    Ok(contents)
}

/// Whether the list says what is there, no more and no less.
fn check_manifest(manifest: &[u8], contents: &Contents) -> Result<(), BackupError> {
    let text = std::str::from_utf8(manifest).map_err(|_| damaged("its list is no text"))?;
    let (head, list) = text
        .split_once('\n')
        .ok_or_else(|| damaged("its list is cut short"))?;
    match head.split_once(' ') {
        Some((MANIFEST_WORD, _)) => {}
        Some((word, _)) if word.starts_with("lymph-backup-") => return Err(BackupError::Newer),
        _ => return Err(damaged("its list is none")),
    }
    let found: String = contents
        .iter()
        .map(|(name, bytes)| manifest_line(name, bytes))
        .collect();
    match found == list {
        true => Ok(()),
        false => Err(damaged("what is in it is not what its list says")),
    }
}

fn check(contents: &Contents) -> Result<NodeId, BackupError> {
    let content = |name: &str| contents.get(name).map(|bytes| bytes.as_slice());
    if contents
        .get(CONFIG)
        .is_some_and(|text| std::str::from_utf8(text).is_err())
    {
        return Err(damaged(format!("{CONFIG} is no text")));
    }
    identity::check_set(content).map_err(|(name, why)| damaged(format!("{name}: {why}")))
}

/// Where a backup goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The state folder, whose lock the caller holds.
    pub state: &'a Path,
    /// The configuration file.
    pub config: &'a Path,
    /// Whether what is there is moved aside.
    pub force: bool,
    /// The time now.
    pub now: Timestamp,
}

/// What was put where.
#[derive(Debug, PartialEq, Eq)]
pub struct Installed {
    /// What was there before, and lies here now.
    pub moved: Vec<PathBuf>,
    /// Where the configuration lies, if there was one.
    pub config: Option<PathBuf>,
    /// The number that everything said from now on is above.
    pub sequence: u64,
}

/// Puts a checked backup in place. Until all of it is on disk under other names nothing is changed.
pub fn install(opened: &Opened, target: Target<'_>) -> Result<Installed, BackupError> {
    let Target { state, now, .. } = target;
    for dead in Identity::dead_here(state)? {
        if dead == opened.id && !opened.contents.contains_key(identity::DEAD.name) {
            return Err(BackupError::Dead(dead));
        }
    }
    let old: Vec<_> = NAMES
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| *name != CONFIG)
        .chain(identity::NEXT_NAMES)
        .map(|name| state.join(name))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    if let Some(path) = old.first().filter(|_| !target.force) {
        return Err(BackupError::Exists(path.clone()));
    }
    let (mut files, sequence) = with_raised_sequence(opened, now)?;
    let config = files.remove(CONFIG).map(|text| {
        let is_there = target.config.symlink_metadata().is_ok();
        let is_same = fs::read(target.config).is_ok_and(|present| present == *text);
        match is_there && !is_same && !target.force {
            true => (target.config.with_extension("toml.restored"), text),
            false => (target.config.to_owned(), text),
        }
    });
    let names = NAMES.into_iter().map(|(name, _)| name);
    let mut staged: Vec<_> = names
        .filter_map(|name| Some((state.join(name), files.remove(name)?)))
        .collect();
    let config_path = config.as_ref().map(|(path, _)| path.clone());
    if let Some((path, _)) = &config
        && let Some(folder) = path.parent()
    {
        fs::create_dir_all(folder).map_err(failed(folder, "make"))?;
    }
    staged.extend(config);
    stage(&staged)?;
    let mut moved = Vec::new();
    let displaced = config_path
        .iter()
        .filter(|path| path.symlink_metadata().is_ok());
    for path in old.iter().chain(displaced) {
        let aside = beside(path, &format!(".before-{}", now.millis()));
        fs::rename(path, &aside).map_err(failed(path, "move aside"))?;
        moved.push(aside);
    }
    for (path, _) in &staged {
        fs::rename(beside(path, STAGED), path).map_err(failed(path, "put in place"))?;
        identity::sync_folder(path).map_err(failed(path, "put in place"))?;
    }
    Ok(Installed {
        moved,
        config: config_path,
        sequence,
    })
}

const STAGED: &str = ".restoring";

/// Writes everything beside where it goes; after an error nothing of it is left.
fn stage(files: &[(PathBuf, Zeroizing<Vec<u8>>)]) -> Result<(), BackupError> {
    let written = files
        .iter()
        .try_for_each(|(path, bytes)| identity::write(&beside(path, STAGED), bytes));
    if written.is_err() {
        for (path, _) in files {
            let _ = fs::remove_file(beside(path, STAGED));
        }
    }
    Ok(written?)
}

/// The files, with a number that is above whatever the node has said, here or there.
fn with_raised_sequence(opened: &Opened, now: Timestamp) -> Result<(Contents, u64), BackupError> {
    let mut files = opened.contents.clone();
    let stored = files
        .get(identity::SEQUENCE.name)
        .map_or(Err("missing"), |text| identity::sequence_of(text))
        .map_err(damaged)?;
    let sequence = (Timestamp::from_millis(stored).max(now) + SEQUENCE_AHEAD).millis();
    let text = identity::sequence_line(sequence).into_bytes();
    files.insert(identity::SEQUENCE.name, Zeroizing::new(text));
    Ok((files, sequence))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes a backup: whole or not at all, for its owner alone.
pub fn save(path: &Path, bytes: &[u8], force: bool) -> Result<(), BackupError> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(path.to_owned()));
    }
    Ok(identity::write_as_ourselves(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

    /// A node with everything that a backup holds, and its backup.
    struct Sample {
        id: NodeId,
        contents: Contents,
        archive: Vec<u8>,
    }

    static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        Identity::open(state, NOW).unwrap();
        fs::write(state.join("operator.book"), "a book").unwrap();
        fs::write(state.join("checkpoint"), "not in it").unwrap();
        let config = state.join("my.toml");
        fs::write(&config, "firewall = \"dry-run\"\n").unwrap();
        let (id, contents) = gather(state, Some(&config)).unwrap();
        let archive = pack(&contents, NOW).to_vec();
        Sample {
            id,
            contents,
            archive,
        }
    });

    fn passphrase(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    /// A folder to restore into, in a folder where nothing else may appear.
    struct Place {
        root: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("state")).unwrap();
            Place { root }
        }

        fn state(&self) -> PathBuf {
            self.root.path().join("state")
        }

        fn restore(&self, bytes: &[u8], force: bool) -> Result<Installed, BackupError> {
            let opened = open(bytes, None)?;
            install(
                &opened,
                Target {
                    state: &self.state(),
                    config: &self.root.path().join("etc/lymph.toml"),
                    force,
                    now: NOW,
                },
            )
        }

        /// Every file below the root and what it holds.
        fn files(&self) -> BTreeMap<String, Vec<u8>> {
            fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        walk(root, &path, files);
                        continue;
                    }
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
            let mut files = BTreeMap::new();
            walk(self.root.path(), self.root.path(), &mut files);
            files
        }
    }

    /// An archive with whatever entries, under a list that says what is in it.
    fn archive_of(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut manifest = format!("{MANIFEST_WORD} {NOW}\n");
        let mut sorted = entries.to_vec();
        sorted.sort_by_key(|(name, _, _)| *name);
        for (name, _, bytes) in sorted {
            manifest.push_str(&manifest_line(name, bytes));
        }
        raw_archive(
            &[
                &[(MANIFEST, EntryType::Regular, manifest.as_bytes())],
                entries,
            ]
            .concat(),
        )
    }

    fn raw_archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, bytes) in entries {
            let mut header = Header::new_ustar();
            // As it is: the crate's own setter refuses what an attacker would write.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_mode(0o4755);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn good_entries() -> Vec<(&'static str, EntryType, &'static [u8])> {
        let sample: &'static Sample = &SAMPLE;
        let all = sample.contents.iter();
        all.map(|(name, bytes)| (*name, EntryType::Regular, bytes.as_slice()))
            .collect()
    }

    fn refused(bytes: &[u8], expected: &str) {
        let place = Place::new();
        let error = place.restore(bytes, true).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(place.files().is_empty(), "{expected}: {:?}", place.files());
    }

    #[test]
    fn what_goes_in_comes_out() {
        let names: Vec<_> = SAMPLE.contents.keys().copied().collect();
        assert_eq!(
            names,
            [
                "identity.key",
                "kill.cert",
                "lymph.toml",
                "operator.book",
                "sequence",
                "successor.key",
                "transport.key"
            ]
        );
        let place = Place::new();
        let installed = place.restore(&SAMPLE.archive, false).unwrap();
        let config = place.root.path().join("etc/lymph.toml");
        assert_eq!(installed.config, Some(config));
        assert!(installed.moved.is_empty());
        let files = place.files();
        assert_eq!(files.len(), names.len());
        for (name, bytes) in &SAMPLE.contents {
            let path = match *name {
                CONFIG => "etc/lymph.toml".to_owned(),
                name => format!("state/{name}"),
            };
            if *name != "sequence" {
                assert_eq!(files[&path], **bytes, "{name}");
            }
            let meta = fs::metadata(place.root.path().join(&path)).unwrap();
            assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
        }
        let identity = Identity::open(&place.state(), NOW).unwrap();
        assert_eq!(identity.keypair.id(), SAMPLE.id);
        assert!(!identity.made_now);
    }

    #[test]
    fn no_number_is_given_again() {
        let hour = 3_600_000;
        for (stored, expected) in [
            (5, NOW.millis() + hour),
            (NOW.millis() + 7, NOW.millis() + 7 + hour),
            (u64::MAX - 1, u64::MAX),
        ] {
            let mut contents = SAMPLE.contents.clone();
            let text = identity::sequence_line(stored).into_bytes();
            contents.insert("sequence", Zeroizing::new(text));
            let place = Place::new();
            let installed = place.restore(&pack(&contents, NOW), false).unwrap();
            assert_eq!(installed.sequence, expected);
            let mark = identity::HighWater::open(&place.state()).unwrap();
            assert_eq!(mark.value(), expected);
        }
    }

    #[test]
    fn what_is_there_stays_or_is_moved_aside() {
        let place = Place::new();
        let other = Identity::open(&place.state(), NOW).unwrap();
        fs::create_dir(place.root.path().join("etc")).unwrap();
        fs::write(place.root.path().join("etc/lymph.toml"), "own = 1").unwrap();
        fs::write(place.state().join("kill.cert.next"), "").unwrap();
        fs::write(place.state().join("mesh.book"), "old").unwrap();
        let before = place.files();
        let error = place.restore(&SAMPLE.archive, false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!(place.files(), before);

        let installed = place.restore(&SAMPLE.archive, true).unwrap();
        let after = place.files();
        assert_eq!(installed.moved.len(), before.len());
        for (name, bytes) in &before {
            let aside = format!("{name}.before-1800000000123");
            assert_eq!(after[&aside], *bytes, "{name}");
        }
        assert!(!after.contains_key("state/mesh.book"));
        assert!(!after.contains_key("state/kill.cert.next"));
        let identity = Identity::open(&place.state(), NOW).unwrap();
        assert_eq!(identity.keypair.id(), SAMPLE.id);
        assert_ne!(identity.keypair.id(), other.keypair.id());
    }

    #[test]
    fn the_configuration_of_this_machine_stays() {
        let place = Place::new();
        fs::create_dir(place.root.path().join("etc")).unwrap();
        fs::write(place.root.path().join("etc/lymph.toml"), "own = 1").unwrap();
        let installed = place.restore(&SAMPLE.archive, false).unwrap();
        let beside = place.root.path().join("etc/lymph.toml.restored");
        assert_eq!(installed.config, Some(beside));
        let files = place.files();
        assert_eq!(files["etc/lymph.toml"], b"own = 1");
        assert_eq!(
            files["etc/lymph.toml.restored"],
            *SAMPLE.contents["lymph.toml"]
        );
    }

    #[test]
    fn a_dead_key_is_not_revived() {
        let place = Place::new();
        place.restore(&SAMPLE.archive, false).unwrap();
        Identity::rotate(&place.state(), NOW).unwrap();
        let before = place.files();
        let error = place.restore(&SAMPLE.archive, true).unwrap_err();
        assert!(error.to_string().contains("declared dead here"), "{error}");
        assert_eq!(place.files(), before);
        // Its death goes into a backup, and comes out of it.
        let place = Place::new();
        place.restore(&SAMPLE.archive, false).unwrap();
        Identity::kill(&place.state(), NOW).unwrap();
        let error = place.restore(&SAMPLE.archive, true).unwrap_err();
        assert!(error.to_string().contains("declared dead here"), "{error}");
        let (_, contents) = gather(&place.state(), None).unwrap();
        let other = Place::new();
        other.restore(&pack(&contents, NOW), false).unwrap();
        assert!(Identity::death(&other.state()).unwrap().is_some());
    }

    #[test]
    fn a_full_disk_changes_nothing() {
        let place = Place::new();
        Identity::open(&place.state(), NOW).unwrap();
        let before = place.files();
        // A folder where one of the temporary files should be stands for a disk that refuses.
        fs::create_dir(place.state().join("identity.key.restoring.new")).unwrap();
        let error = place.restore(&SAMPLE.archive, true).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(place.files(), before);
    }

    #[test]
    fn hostile_archives_are_refused() {
        let file = EntryType::Regular;
        let with = |name: &str, kind, bytes: &[u8]| {
            let entries = good_entries();
            let mut all: Vec<(&str, EntryType, &[u8])> = entries.clone();
            all.push((name, kind, bytes));
            archive_of(&all)
        };
        assert!(open(&archive_of(&good_entries()), None).is_ok());
        for name in [
            "../identity.key",
            "/etc/passwd",
            "./sequence",
            "a/../../b",
            "state/identity.key",
            "checkpoint",
            "lymph.sock",
            "identity.key.next",
            "identity.key/",
            "",
            "kill.cert.next",
            "ident\u{131}ty.key",
        ] {
            refused(&with(name, file, b"x"), "backup that lymph made");
        }
        let kinds = [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Block,
            EntryType::Directory,
            EntryType::Fifo,
            EntryType::Continuous,
            EntryType::GNULongName,
            EntryType::GNULongLink,
            EntryType::GNUSparse,
            EntryType::XGlobalHeader,
            EntryType::XHeader,
        ];
        for kind in kinds {
            refused(&with("dead", kind, b""), "no plain file");
            refused(&with("mesh.book", kind, b"20 path=../x\n"), "no plain file");
        }
        refused(&with("sequence", file, b"x"), "comes twice");
        refused(&with(MANIFEST, file, b"x"), "does not belong there");
        refused(
            &with("dead", file, &[b'x'; KEY_BYTES_MAX + 1]),
            "longer than",
        );
        refused(&with("dead", file, b"x"), "dead: ");
        for name in ["identity.key", "transport.key", "kill.cert", "sequence"] {
            let mut entries = good_entries();
            entries.retain(|(entry, _, _)| *entry != name);
            refused(&archive_of(&entries), &format!("{name}: missing"));
            entries.push((name, file, b"lymph"));
            entries.sort_by_key(|(name, _, _)| *name);
            refused(&archive_of(&entries), &format!("{name}: it"));
        }
        let mut entries = good_entries();
        entries.retain(|(entry, _, _)| *entry != CONFIG);
        entries.insert(0, (CONFIG, file, b"\xff"));
        entries.sort_by_key(|(name, _, _)| *name);
        refused(&archive_of(&entries), "no text");
        // Without a list, after others, of another version.
        refused(&raw_archive(&good_entries()), "before the list");
        refused(&raw_archive(&[]), "no list");
        let of = |text: &str| raw_archive(&[(MANIFEST, file, text.as_bytes())]);
        refused(&of("lymph-backup-2 x\n"), "a newer lymph");
        refused(&of("lymph-backup-1 x\n"), "missing");
        refused(&of("lymph-backup-1 x"), "cut short");
        refused(&of("\n"), "its list is none");
        // A length that the archive does not have.
        let mut header = Header::new_ustar();
        header.set_path("operator.book").unwrap();
        header.set_entry_type(file);
        for size in [BOOK_BYTES_MAX as u64, u64::MAX >> 1] {
            header.set_size(size);
            header.set_cksum();
            let manifest = of("lymph-backup-1 x\n");
            let all = [&manifest[..1024], header.as_bytes().as_slice()].concat();
            refused(&all, "backup that lymph made");
        }
    }

    #[test]
    fn an_archive_that_was_cut_short_is_refused() {
        let whole = &SAMPLE.archive;
        // The end of an archive is 1,024 bytes of nothing; without them everything is there all the same.
        for length in (0..whole.len() - 1024)
            .step_by(61)
            .chain([1, 511, 512, 513])
        {
            refused(&whole[..length], "backup that lymph made");
        }
    }

    #[test]
    fn a_seal_opens_with_its_passphrase_alone() {
        let sealed = seal_with(&SAMPLE.archive, &passphrase("right"), 4).unwrap();
        let opened = open(&sealed, Some(&passphrase("right"))).unwrap();
        assert_eq!(opened.id, SAMPLE.id);
        assert_eq!(opened.contents, SAMPLE.contents);
        let check = |bytes: &[u8], with: Option<&str>, expected: &str| {
            let error = open(bytes, with.map(passphrase).as_ref()).unwrap_err();
            assert!(error.to_string().contains(expected), "{expected}: {error}");
        };
        check(&sealed, Some("wrong"), "not the passphrase");
        check(&sealed, Some(""), "not the passphrase");
        check(&sealed, None, "--passphrase");
        check(&SAMPLE.archive, Some("right"), "not sealed");
        check(&sealed[..sealed.len() - 1], Some("right"), "seal is broken");
        check(&sealed[..60], Some("right"), "seal is broken");
        // An archive that would take all memory.
        let text = String::from_utf8_lossy(&sealed[..100]).into_owned();
        let at = text.find(" 4\n").unwrap();
        let greedy = [&sealed[..at], b" 30", &sealed[at + 2..]].concat();
        check(&greedy, Some("right"), "steps of scrypt");
        let debug = format!("{opened:?}");
        assert!(debug.contains("identity.key") && !debug.contains("lymph-identity-key"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_backup_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let place = Place::new();
            prop_assert!(place.restore(&bytes, true).is_err());
            prop_assert!(place.files().is_empty());
            let sealed = [b"age-encryption.org/v1\n-> scrypt ".as_slice(), &bytes].concat();
            prop_assert!(open(&sealed, Some(&passphrase("x"))).is_err());
        }

        #[test]
        fn a_changed_backup_is_the_same_node_or_an_error(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            let mut bytes = SAMPLE.archive.clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
            let place = Place::new();
            match place.restore(&bytes, false) {
                Ok(_) => {
                    let known = |name: &String| {
                        let name = name.strip_prefix("state/").unwrap_or("lymph.toml");
                        NAMES.iter().any(|(known, _)| *known == name)
                    };
                    prop_assert!(place.files().keys().all(known), "{:?}", place.files().keys());
                    let id = Identity::read(&place.state()).unwrap().keypair.id();
                    prop_assert_eq!(id, SAMPLE.id);
                }
                Err(_) => prop_assert!(place.files().is_empty()),
            }
        }
    }
}
