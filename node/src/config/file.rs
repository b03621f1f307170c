//! The configuration file as it is written; the only user of the TOML crate.
//!
//! Unknown keys are errors that name the line and the nearest right key. Nothing is interpreted here; the next
//! step is `settings`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lymph_scenarios::nearest;
use serde::Deserialize;
pub use toml::Spanned;

/// The whole file. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// Folder of the daemon's data and socket.
    pub state: Option<PathBuf>,
    /// Folder of own rules, laid out as CrowdSec's hub.
    pub rules: Option<PathBuf>,
    /// Whether the rules that lymph brings along are used; they are unless this is false.
    pub bundled_rules: Option<bool>,
    /// What enforces: `auto`, `nftables`, `command` or `dry-run`.
    pub firewall: Option<Spanned<String>>,
    /// The operator's own program that enforces, with its arguments, for `firewall = "command"`.
    pub firewall_command: Vec<String>,
    /// How many new bans a rule or an import may make before the rest is held.
    pub breaker: BreakerTable,
    /// Addresses and networks that are never blocked.
    pub allow: Vec<Spanned<String>>,
    /// Logs to watch. Without any, lymph looks for them itself.
    pub source: Vec<SourceTable>,
    /// How long bans last.
    pub ban: BanTable,
    /// Scenarios that are treated differently, by name.
    pub scenario: BTreeMap<String, ScenarioTable>,
    /// Bounds of memory.
    pub limits: LimitsTable,
    /// How this node meets others.
    pub mesh: MeshTable,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// What writes it, such as `nginx`.
    #[serde(rename = "type")]
    pub log_type: Option<Spanned<String>>,
    /// A file, or a pattern such as `/var/log/nginx/*.log`.
    pub path: Option<String>,
    /// A unit of the systemd journal.
    pub journald: Option<String>,
    /// A Docker container whose output is the log.
    pub docker: Option<String>,
    /// Reverse proxies whose lines name the real client elsewhere.
    #[serde(default)]
    pub trusted_proxies: Vec<Spanned<String>>,
    /// The zone of its dates without an offset, if it is not this machine's.
    pub timezone: Option<Spanned<String>>,
    /// Facts for rules.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// How long bans last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BanTable {
    /// The first one.
    pub first: Option<Spanned<String>>,
    /// The longest one.
    pub max: Option<Spanned<String>>,
    /// How long somebody stays away before they start anew.
    pub forget_after: Option<Spanned<String>>,
}

/// One scenario that is treated differently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScenarioTable {
    /// `ban`, `throttle`, `captcha` or `none`.
    pub remedy: Option<Spanned<String>>,
    /// Length of the first ban.
    pub first: Option<Spanned<String>>,
}

/// How many new bans a rule or an import may make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerTable {
    /// A rule in a minute, for as long as it likes.
    pub bans_per_minute: Option<Spanned<usize>>,
    /// A rule at once, after a quiet time.
    pub burst: Option<Spanned<usize>>,
    /// The imports of one origin in a minute.
    pub imports_per_minute: Option<Spanned<usize>>,
    /// The imports of one origin at once.
    pub import_burst: Option<Spanned<usize>>,
}

/// How this node meets others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshTable {
    /// Whether it does; it does unless this is false.
    pub enabled: Option<bool>,
    /// What others see it called; its friends see this too.
    pub name: Option<Spanned<String>>,
    /// Addresses to listen at, such as `/ip4/0.0.0.0/tcp/4747`.
    pub listen: Option<Vec<Spanned<String>>>,
    /// Addresses at which others reach it, where it cannot see that itself.
    pub external: Vec<Spanned<String>>,
    /// Nodes to dial, such as `/ip4/192.0.2.1/tcp/4747/p2p/12D3Koo…`.
    pub peers: Vec<Spanned<String>>,
    /// Names whose TXT records hold nodes to dial, once the public mesh is open.
    pub dns_seeds: Vec<Spanned<String>>,
    /// Whether to find nodes in the local network.
    pub mdns: bool,
    /// Whether to find and be found in the distributed hash table, once the public mesh is open.
    pub kademlia: Option<bool>,
    /// Whether to relay for nodes that cannot be reached.
    pub relay: bool,
    /// One address in so many is left alone whatever others say, to measure what that is worth; 0 for none.
    pub holdout: Option<u32>,
}

/// Bounds of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// How many decisions stand at most.
    pub decisions: Option<Spanned<usize>>,
    /// How many detections are remembered at most.
    pub alerts: Option<Spanned<usize>>,
}

/// A mistake in the configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ConfigFile {
    /// Read the text of a file.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError {
            file: file.to_owned(),
            line: error.span().map(|span| line_at(text, span.start)),
            message: with_suggestion(error.message()),
        })
    }
}

/// Read another TOML text than the configuration. The error says the line.
pub fn parse_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| format!("line {}: ", line_at(text, span.start)));
        format!(
            "{}{}",
            line.unwrap_or_default(),
            with_suggestion(error.message())
        )
    })
}

/// The line that a byte stands on, from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// serde says ``unknown field `frist`, expected one of `first`, `max` ``; people want to be asked whether they
/// meant `first`.
fn with_suggestion(message: &str) -> String {
    let message = message
        .replace("unknown field", "unknown key")
        .trim_end()
        .to_owned();
    let Some((before, after)) = message.split_once(", expected ") else {
        return message;
    };
    let quoted = |text: &str| {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (written, known) = (quoted(before), quoted(after));
    match written
        .first()
        .and_then(|written| nearest(written, known.iter().map(String::as_str)))
    {
        Some(near) => format!("{before}, did you mean `{near}`?"),
        None if known.is_empty() => message,
        None => format!("{before}; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = ConfigFile::parse(Path::new("/etc/lymph/lymph.toml"), text).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("/etc/lymph/lymph.toml:{expected}"),
            "{text}"
        );
    }

    #[test]
    fn reads_everything_there_is() {
        let text = r#"
            state = "/srv/lymph"
            rules = "/etc/lymph/rules"
            bundled_rules = false
            firewall = "command"
            firewall_command = ["/usr/local/bin/block", "--quiet"]
            allow = ["192.0.2.1", "2001:db8::/32"]
            [[source]]
            type = "nginx"
            path = "/var/log/nginx/*.log"
            trusted_proxies = ["10.0.0.0/8"]
            timezone = "Europe/Berlin"
            labels = { host = "web1" }
            [ban]
            first = "2h"
            max = "14d"
            forget_after = "60d"
            [scenario."lymph/http-crawl"]
            remedy = "throttle"
            first = "10m"
            [breaker]
            bans_per_minute = 30
            burst = 100
            imports_per_minute = 500
            import_burst = 20000
            [limits]
            decisions = 1000
            alerts = 100
        "#;
        let file = ConfigFile::parse(Path::new("x"), text).unwrap();
        assert_eq!(file.source[0].path.as_deref(), Some("/var/log/nginx/*.log"));
        assert_eq!(
            file.scenario["lymph/http-crawl"]
                .first
                .as_ref()
                .unwrap()
                .get_ref(),
            "10m"
        );
        assert_eq!(
            ConfigFile::parse(Path::new("x"), "").unwrap(),
            ConfigFile::default()
        );
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line_and_the_nearest_right_one() {
        check(
            "\n[ban]\nfrist = '1h'\n",
            "3: unknown key `frist`, did you mean `first`?",
        );
        check(
            "fierwall = 'auto'\n",
            "1: unknown key `fierwall`, did you mean `firewall`?",
        );
        check(
            "[ban]\nfirst = '1h'\nlength = '1h'\n",
            "3: unknown key `length`; known here: first, max, forget_after",
        );
        check(
            "[limits]\ndecisions = 'many'\n",
            "2: invalid type: string \"many\", expected usize",
        );
        check(
            "x = \n",
            "1: string values must be quoted, expected literal string",
        );
    }
}
