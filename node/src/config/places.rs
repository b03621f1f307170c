//! Where things lie on this machine: state and configuration, for root and for everybody else.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    // The owner of this entry is the process's effective user.
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// Where the state lies if nobody says otherwise.
#[must_use]
pub fn default_state() -> PathBuf {
    if is_root() {
        return PathBuf::from("/var/lib/lymph");
    }
    base("XDG_STATE_HOME", ".local/state").join("lymph")
}

/// Where the configuration is looked for if nobody says otherwise.
#[must_use]
pub fn default_config() -> PathBuf {
    if is_root() {
        return PathBuf::from("/etc/lymph/lymph.toml");
    }
    base("XDG_CONFIG_HOME", ".config").join("lymph/lymph.toml")
}

/// A base folder of the XDG specification, which has relative paths ignored.
fn base(variable: &str, below_home: &str) -> PathBuf {
    let set = env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        env::home_dir()
            .unwrap_or_else(|| PathBuf::from("/"))
            .join(below_home)
    };
    set.unwrap_or_else(home)
}
