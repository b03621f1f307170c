//! What the operator wants: `file` is the configuration as it is written, `settings` what it means together
//! with the flags of the command line, `rules` the rule files that it names.

pub mod file;
pub mod places;
pub mod rules;
pub mod settings;
pub mod zone;

pub use file::{ConfigError, ConfigFile};
pub use settings::{Firewall, MeshSettings, Settings, SourceSetting, Where};
