//! The state folder: nobody else may write into it, or look.
//!
//! Whoever can put a link there has the daemon, which is often root, write to where the link leads; whoever can
//! read it knows who was seen. So it is checked before anything in it is opened. The only user of rustix.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

/// What shows that a folder is one of lymph's.
const OWN_FILES: [&str; 5] = [
    "lock",
    "checkpoint",
    "operator.book",
    "panic",
    "identity.key",
];

/// From now on nobody else may read what this process makes. sled makes its files with the mode that is usual.
pub(super) fn keep_to_ourselves() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// The user as whom this process acts.
pub(super) fn effective_user() -> u32 {
    geteuid().as_raw()
}

/// Make the folder if it is not there.
pub(crate) fn make_state_folder(state: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.with_context(|| {
        format!(
            "cannot make the state folder {}; choose another one with --state DIR",
            state.display()
        )
    })
}

/// Make the folder if it is not there, or make sure that it is ours alone. Returns what was changed about it.
pub(crate) fn prepare(state: &Path) -> anyhow::Result<Option<String>> {
    make_state_folder(state)?;
    let shown = state.display();
    let unreadable = || format!("cannot look at the state folder {shown}");
    // systemd puts a link of root's own before the folder of a user that it makes up.
    let link = fs::symlink_metadata(state).with_context(unreadable)?;
    let meta = fs::metadata(state).with_context(unreadable)?;
    for meta in [&link, &meta] {
        if !is_trusted(meta) {
            bail!(
                "the state folder {shown} belongs to another user (uid {}), who could have lymph overwrite any file; give lymph \
                 a folder of its own with --state DIR, or make this one its own: chown -R {} {shown}",
                meta.uid(),
                geteuid().as_raw()
            );
        }
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o022 != 0 {
        bail!(
            "others may write into the state folder {shown} (mode {mode:03o}), who could have lymph overwrite any file; look at \
             what is in it, then: chmod 700 {shown}; or choose another one with --state DIR"
        );
    }
    let is_ours = meta.uid() == geteuid().as_raw() || geteuid().is_root();
    if mode == 0o700 || !is_ours {
        return Ok(None);
    }
    if !is_empty(state) && !OWN_FILES.iter().any(|file| state.join(file).exists()) {
        bail!(
            "the state folder {shown} holds other things and others may look into it (mode {mode:03o}); give lymph a folder of \
             its own with --state DIR"
        );
    }
    fs::set_permissions(state, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot keep others out of {shown}: chmod 700 {shown}"))?;
    Ok(Some(format!(
        "others could look into the state folder {shown} (mode {mode:03o}); its mode is 700 now"
    )))
}

/// Whether it belongs to us or to the one who can do everything anyway.
fn is_trusted(meta: &Metadata) -> bool {
    meta.uid() == geteuid().as_raw() || meta.uid() == 0
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut names| names.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn folder(root: &Path, name: &str, mode: u32, file: Option<&str>) -> std::path::PathBuf {
        let path = root.join(name);
        fs::create_dir(&path).unwrap();
        file.iter()
            .for_each(|file| fs::write(path.join(file), "").unwrap());
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn it_is_ours_alone_or_refused() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("a/b");
        assert_eq!(prepare(&state).unwrap(), None);
        assert_eq!(mode(&state), 0o700);
        for (name, before, file, expected) in [
            ("private", 0o700, Some("other"), Ok(false)),
            ("empty", 0o755, None, Ok(true)),
            ("older", 0o755, Some("lock"), Ok(true)),
            ("shared", 0o750, Some("checkpoint"), Ok(true)),
            ("system", 0o755, Some("other"), Err("holds other things")),
            ("group", 0o770, Some("lock"), Err("chmod 700")),
            ("public", 0o777, None, Err("chmod 700")),
        ] {
            let state = folder(root.path(), name, before, file);
            match (prepare(&state), expected) {
                (Ok(said), Ok(changes)) => {
                    assert_eq!((said.is_some(), mode(&state)), (changes, 0o700), "{name}");
                }
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{name}: {error}");
                    assert_eq!(mode(&state), before, "{name}");
                }
                (got, expected) => panic!("{name}: {got:?}, not {expected:?}"),
            }
        }
        fs::write(root.path().join("file"), "").unwrap();
        assert!(prepare(&root.path().join("file")).is_err());
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let state = folder(root.path(), "theirs", 0o700, None);
        lchown(&state, Some(12_345), None).unwrap();
        let link = root.path().join("link");
        symlink(folder(root.path(), "ours", 0o700, None), &link).unwrap();
        assert_eq!(prepare(&link).unwrap(), None, "a link of root's own");
        lchown(&link, Some(12_345), None).unwrap();
        for path in [&state, &link] {
            let error = prepare(path).unwrap_err().to_string();
            assert!(
                error.contains("uid 12345") && error.contains("chown"),
                "{error}"
            );
        }
    }
}
