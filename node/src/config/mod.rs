//! What the operator wants: `file` is the configuration as it is written, `settings` what it means together
//! with the flags of the command line, `rules` the rule files that it names.

pub mod file;
pub mod places;
pub mod rules;
pub mod settings;
pub mod zone;

pub use file::{ConfigError, ConfigFile};
pub use places::default_config;
pub use settings::{Firewall, MeshSettings, Settings, SourceSetting, Where};

/// The state folder that the text of a configuration names, if it is one and names one.
#[must_use]
pub fn state_named_in(text: &str) -> Option<std::path::PathBuf> {
    let file = std::path::Path::new("lymph.toml");
    ConfigFile::parse(file, text).ok()?.state
}
