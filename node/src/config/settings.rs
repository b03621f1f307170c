//! What is meant: the configuration file and the flags together, checked. A flag beats the file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lymph_scenarios::date::{GoDuration, Zone};
use lymph_scenarios::nearest;

use super::file::{ConfigError, ConfigFile, MeshTable, SourceTable, Spanned, line_at};
use super::{places, zone};
use crate::engine;
use crate::engine::allowlist::Allowed;
use crate::engine::breaker::Budget;
use crate::engine::decision::Kind;
use crate::engine::policy::Override;
use crate::engine::protected::Protected;
use crate::engine::target::{IpNet, parse_network};

/// Types of logs that the bundled rules read.
pub const LOG_TYPES: [&str; 7] = [
    "syslog", "nginx", "apache", "caddy", "traefik", "haproxy", "sshd",
];

/// Most decisions that may be asked for: as many as the operator's book holds.
pub const DECISIONS_MAX: usize = 1_000_000;

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// A file or a pattern of files.
    Path(String),
    /// A unit of the systemd journal.
    Journal(String),
    /// A Docker container.
    Docker(String),
    /// The standard input.
    Stdin,
}

/// A log that the operator wants watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSetting {
    /// What writes it; `None` has it found out.
    pub log_type: Option<String>,
    /// Where it is.
    pub place: Where,
    /// Reverse proxies whose lines name the real client elsewhere.
    pub trusted_proxies: Vec<IpNet>,
    /// The zone of its dates without an offset; `None` is this machine's, or a container's usual one.
    pub zone: Option<Zone>,
    /// Facts for rules.
    pub labels: BTreeMap<String, String>,
}

/// How this node meets others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSettings {
    /// Whether it does.
    pub enabled: bool,
    /// What others see it called; may be empty.
    pub name: String,
    /// Where to listen.
    pub listen: Vec<String>,
    /// Where others reach it.
    pub external: Vec<String>,
    /// Nodes to dial.
    pub peers: Vec<String>,
    /// Names whose TXT records hold nodes to dial.
    pub dns_seeds: Vec<String>,
    /// Whether to find nodes in the local network.
    pub mdns: bool,
    /// Whether to use the distributed hash table.
    pub kademlia: bool,
    /// Whether to relay for others.
    pub relay: bool,
}

impl Default for MeshSettings {
    fn default() -> Self {
        let listen = [
            "/ip4/0.0.0.0/tcp/4747",
            "/ip6/::/tcp/4747",
            #[cfg(feature = "quic")]
            "/ip4/0.0.0.0/udp/4747/quic-v1",
            #[cfg(feature = "quic")]
            "/ip6/::/udp/4747/quic-v1",
        ];
        MeshSettings {
            enabled: true,
            name: String::new(),
            listen: listen.map(str::to_owned).to_vec(),
            external: Vec::new(),
            peers: Vec::new(),
            dns_seeds: Vec::new(),
            mdns: false,
            kademlia: true,
            relay: false,
        }
    }
}

/// Longest multiaddress.
const MULTIADDRESS_BYTES_MAX: usize = 512;
/// Most of each kind.
const MULTIADDRESSES_MAX: usize = 64;

/// What enforces decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Firewall {
    /// The best there is.
    #[default]
    Auto,
    /// The kernel's packet filter.
    Nftables,
    /// The operator's own program.
    Command,
    /// Nothing: decisions are only written down.
    DryRun,
}

impl Firewall {
    const NAMES: [(&'static str, Firewall); 4] = [
        ("auto", Firewall::Auto),
        ("nftables", Firewall::Nftables),
        ("command", Firewall::Command),
        ("dry-run", Firewall::DryRun),
    ];
}

impl FromStr for Firewall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choose(text, &Self::NAMES)
    }
}

impl FromStr for SourceSetting {
    type Err = String;

    /// `TYPE=PATH`, `TYPE=docker:NAME`, `journald=UNIT`, `TYPE=-` or `-`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = match text.split_once('=') {
            None if text == "-" => (None, Where::Stdin),
            None => {
                return Err(format!(
                    "expected TYPE=PATH such as sshd=/var/log/auth.log, not {text:?}"
                ));
            }
            Some((name, place)) if name.is_empty() || place.is_empty() => {
                return Err(format!(
                    "expected TYPE=PATH such as sshd=/var/log/auth.log, not {name:?}={place:?}"
                ));
            }
            Some(("journald", unit)) => (None, Where::Journal(unit.to_owned())),
            Some((name, place)) if place.starts_with("docker:") => (
                Some(name),
                Where::Docker(place["docker:".len()..].to_owned()),
            ),
            Some((name, "-")) => (Some(name), Where::Stdin),
            Some((name, path)) => (Some(name), Where::Path(path.to_owned())),
        };
        Ok(SourceSetting {
            log_type: name.map(str::to_owned),
            place,
            trusted_proxies: Vec::new(),
            zone: None,
            labels: BTreeMap::new(),
        })
    }
}

/// What was typed, of the things that the file can say too.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--state`.
    pub state: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--rules`.
    pub rules: Option<PathBuf>,
    /// `--no-bundled-rules`.
    pub no_bundled_rules: bool,
    /// `--firewall`.
    pub firewall: Option<Firewall>,
    /// `--source`.
    pub sources: Vec<SourceSetting>,
    /// `--no-mesh`.
    pub no_mesh: bool,
    /// `--listen`.
    pub listen: Vec<String>,
}

/// What is meant.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration file, if there is one.
    pub config: Option<PathBuf>,
    /// Folder of the daemon's data and socket.
    pub state: PathBuf,
    /// Folder of own rules.
    pub rules: Option<PathBuf>,
    /// Whether the bundled rules are used.
    pub bundled_rules: bool,
    /// What enforces decisions.
    pub firewall: Firewall,
    /// The operator's own program that enforces, with its arguments.
    pub firewall_command: Vec<String>,
    /// Logs to watch; none means those that are found.
    pub sources: Vec<SourceSetting>,
    /// What the engine goes by.
    pub engine: engine::Settings,
    /// How this node meets others.
    pub mesh: MeshSettings,
}

impl Settings {
    /// Read the configuration file and put the flags over it.
    pub fn load(flags: Flags) -> anyhow::Result<Self> {
        let (path, must_be_there) = match &flags.config {
            Some(path) => (path.clone(), true),
            None => (places::default_config(), false),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Reader {
                file: &path,
                text: &text,
            }
            .settings(flags)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be_there => {
                Ok(Reader {
                    file: &path,
                    text: "",
                }
                .settings(flags)
                .map(|settings| Settings {
                    config: None,
                    ..settings
                })?)
            }
            Err(error) => Err(anyhow::anyhow!(
                "cannot read the configuration {}: {error}",
                path.display()
            )),
        }
    }
}

/// The text of a configuration file, to find lines in.
struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
}

/// A multiaddress looks like one; the wire says more when it uses it.
pub fn multiaddress(text: &str) -> Result<String, String> {
    let is_one = text.starts_with('/')
        && text.len() <= MULTIADDRESS_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    match is_one {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "expected a multiaddress such as /ip4/0.0.0.0/tcp/4747, not {text:?}"
        )),
    }
}

impl Reader<'_> {
    fn settings(&self, flags: Flags) -> Result<Settings, ConfigError> {
        let file = ConfigFile::parse(self.file, self.text)?;
        let mut settings = engine::Settings::default();
        let terms = &mut settings.policy.terms;
        terms.first = self
            .duration(file.ban.first.as_ref())?
            .unwrap_or(terms.first);
        terms.max = self.duration(file.ban.max.as_ref())?.unwrap_or(terms.max);
        terms.forget_after = self
            .duration(file.ban.forget_after.as_ref())?
            .unwrap_or(terms.forget_after);
        for (name, table) in &file.scenario {
            let remedy = table
                .remedy
                .as_ref()
                .map(|remedy| self.at(remedy, choose(remedy.get_ref(), &REMEDIES)));
            let special = Override {
                remedy: remedy.transpose()?,
                first: self.duration(table.first.as_ref())?,
            };
            settings.policy.overrides.insert(name.clone(), special);
        }
        settings.allowlist = self.networks(&file.allow)?;
        self.check_allowed(&file.allow)?;
        let breaker = &file.breaker;
        settings.budget = self.budget(
            breaker.bans_per_minute.as_ref(),
            breaker.burst.as_ref(),
            settings.budget,
        )?;
        settings.import_budget = self.budget(
            breaker.imports_per_minute.as_ref(),
            breaker.import_burst.as_ref(),
            settings.import_budget,
        )?;
        if let (Some(at), Some(count)) = (
            &file.limits.decisions,
            self.count(file.limits.decisions.as_ref())?,
        ) {
            let fits = (count <= DECISIONS_MAX).then_some(count);
            settings.decisions_max =
                self.at(at, fits.ok_or(format!("must be at most {DECISIONS_MAX}")))?;
        }
        settings.alerts_max = self
            .count(file.limits.alerts.as_ref())?
            .unwrap_or(settings.alerts_max);
        settings.holdout = file.mesh.holdout.unwrap_or(settings.holdout);
        let from_file = file
            .source
            .iter()
            .map(|table| self.source(table))
            .collect::<Result<Vec<_>, _>>()?;
        let sources = if flags.sources.is_empty() {
            from_file
        } else {
            flags.sources
        };
        settings.trusted_proxies = sources
            .iter()
            .flat_map(|source| source.trusted_proxies.clone())
            .collect();
        let firewall = file
            .firewall
            .as_ref()
            .map(|name| self.at(name, name.get_ref().parse()))
            .transpose()?;
        Ok(Settings {
            config: Some(self.file.to_owned()),
            state: flags
                .state
                .or(file.state)
                .unwrap_or_else(places::default_state),
            rules: flags.rules.or(file.rules),
            bundled_rules: !flags.no_bundled_rules && file.bundled_rules.unwrap_or(true),
            firewall: flags.firewall.or(firewall).unwrap_or_default(),
            firewall_command: file.firewall_command,
            sources,
            engine: settings,
            mesh: self.mesh(&file.mesh, flags.no_mesh, flags.listen)?,
        })
    }

    fn mesh(
        &self,
        table: &MeshTable,
        no_mesh: bool,
        listen: Vec<String>,
    ) -> Result<MeshSettings, ConfigError> {
        let defaults = MeshSettings::default();
        let addresses = |texts: &[Spanned<String>]| {
            if let Some(one_more) = texts.get(MULTIADDRESSES_MAX) {
                return self.at(
                    one_more,
                    Err(format!("at most {MULTIADDRESSES_MAX} of them")),
                );
            }
            texts
                .iter()
                .map(|text| self.at(text, multiaddress(text.get_ref())))
                .collect::<Result<Vec<_>, _>>()
        };
        let from_file = table
            .listen
            .as_ref()
            .map(|texts| addresses(texts))
            .transpose()?;
        let name = table.name.as_ref().map(|name| {
            let is_name = lymph_protocol::contact::is_name(name.get_ref());
            self.at(
                name,
                is_name
                    .then(|| name.get_ref().clone())
                    .ok_or("a name has at most 63 bytes, all of them printable"),
            )
        });
        Ok(MeshSettings {
            enabled: !no_mesh && table.enabled.unwrap_or(true),
            name: name.transpose()?.unwrap_or_default(),
            listen: if listen.is_empty() {
                from_file.unwrap_or(defaults.listen)
            } else {
                listen
            },
            external: addresses(&table.external)?,
            peers: addresses(&table.peers)?,
            dns_seeds: table
                .dns_seeds
                .iter()
                .take(16)
                .map(|name| name.get_ref().clone())
                .collect(),
            mdns: table.mdns,
            kademlia: table.kademlia.unwrap_or(true),
            relay: table.relay,
        })
    }

    /// What is not said is as it was.
    fn budget(
        &self,
        per_minute: Option<&Spanned<usize>>,
        burst: Option<&Spanned<usize>>,
        budget: Option<Budget>,
    ) -> Result<Option<Budget>, ConfigError> {
        let mut budget = budget.unwrap_or_default();
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        budget.per_minute = self.count(per_minute)?.map_or(budget.per_minute, number);
        budget.burst = self.count(burst)?.map_or(budget.burst, number);
        Ok(Some(budget))
    }

    fn source(&self, table: &SourceTable) -> Result<SourceSetting, ConfigError> {
        let places = [
            table.path.clone().map(Where::Path),
            table.journald.clone().map(Where::Journal),
            table.docker.clone().map(Where::Docker),
        ];
        let mut places = places.into_iter().flatten();
        let (Some(place), None) = (places.next(), places.next()) else {
            let line = table
                .log_type
                .as_ref()
                .map(|name| line_at(self.text, name.span().start));
            let message = "a [[source]] needs exactly one of path, journald and docker".to_owned();
            return Err(ConfigError {
                file: self.file.to_owned(),
                line,
                message,
            });
        };
        Ok(SourceSetting {
            log_type: table.log_type.as_ref().map(|name| name.get_ref().clone()),
            place,
            trusted_proxies: self.networks(&table.trusted_proxies)?,
            zone: table
                .timezone
                .as_ref()
                .map(|name| self.at(name, zone::named(name.get_ref())))
                .transpose()?,
            labels: table.labels.clone(),
        })
    }

    fn networks(&self, texts: &[Spanned<String>]) -> Result<Vec<IpNet>, ConfigError> {
        texts
            .iter()
            .map(|text| self.at(text, parse_network(text.get_ref())))
            .collect()
    }

    /// Whoever allows everybody, or more than is looked at, hears of it.
    fn check_allowed(&self, texts: &[Spanned<String>]) -> Result<(), ConfigError> {
        for text in texts {
            self.at(text, text.get_ref().parse::<Allowed>())?;
        }
        let too_many = texts.get(Protected::SHIELDS_MAX);
        let message = format!(
            "the allowlist has {} entries, at most {}",
            texts.len(),
            Protected::SHIELDS_MAX
        );
        too_many.map_or(Ok(()), |first| self.at(first, Err(message)))
    }

    fn duration(&self, text: Option<&Spanned<String>>) -> Result<Option<Duration>, ConfigError> {
        text.map(|text| self.at(text, parse_duration(text.get_ref())))
            .transpose()
    }

    fn count(&self, number: Option<&Spanned<usize>>) -> Result<Option<usize>, ConfigError> {
        let check = |number: &Spanned<usize>| match *number.get_ref() {
            0 => Err("must be at least 1"),
            number => Ok(number),
        };
        number
            .map(|number| self.at(number, check(number)))
            .transpose()
    }

    fn at<T, V, E: fmt::Display>(
        &self,
        place: &Spanned<T>,
        result: Result<V, E>,
    ) -> Result<V, ConfigError> {
        result.map_err(|error| ConfigError {
            file: self.file.to_owned(),
            line: Some(line_at(self.text, place.span().start)),
            message: error.to_string(),
        })
    }
}

const REMEDIES: [(&str, Option<Kind>); 4] = [
    ("ban", Some(Kind::Ban)),
    ("throttle", Some(Kind::Throttle)),
    ("captcha", Some(Kind::Captcha)),
    ("none", None),
];

/// A length of time as people write it: `90s`, `4h`, `7d`, `1h30m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a length of time such as 90s, 4h or 7d, not {text:?}");
    let duration = GoDuration::parse_with_days(text).map_err(|_| expected())?;
    duration
        .duration()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(expected)
}

fn choose<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, String> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*choice);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    match nearest(text, names.iter().copied()) {
        Some(near) => Err(format!("unknown value {text:?}, did you mean {near:?}?")),
        None => Err(format!(
            "unknown value {text:?}, expected one of {}",
            names.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, flags: Flags) -> Result<Settings, String> {
        Reader {
            file: Path::new("lymph.toml"),
            text,
        }
        .settings(flags)
        .map_err(|error| error.to_string())
    }

    fn fails(text: &str, expected: &str) {
        assert_eq!(
            read(text, Flags::default()).unwrap_err(),
            format!("lymph.toml:{expected}"),
            "{text}"
        );
    }

    #[test]
    fn a_flag_beats_the_file() {
        let text = "state = '/a'\nfirewall = 'nftables'\n[[source]]\ntype = 'nginx'\npath = '/x'\n";
        let flags = Flags {
            state: Some("/b".into()),
            firewall: Some(Firewall::DryRun),
            sources: vec!["sshd=/y".parse().unwrap()],
            ..Flags::default()
        };
        let settings = read(text, flags).unwrap();
        assert_eq!(
            (settings.state, settings.firewall),
            ("/b".into(), Firewall::DryRun)
        );
        assert_eq!(settings.sources[0].place, Where::Path("/y".to_owned()));
        let settings = read(text, Flags::default()).unwrap();
        assert_eq!(
            (settings.state, settings.firewall),
            ("/a".into(), Firewall::Nftables)
        );
        assert_eq!(settings.sources[0].place, Where::Path("/x".to_owned()));
    }

    #[test]
    fn sources_are_written_as_type_and_place() {
        let place = |text: &str| {
            text.parse::<SourceSetting>()
                .map(|source| (source.log_type, source.place))
        };
        assert_eq!(
            place("nginx=/a=b"),
            Ok((Some("nginx".to_owned()), Where::Path("/a=b".to_owned())))
        );
        assert_eq!(
            place("journald=ssh.service"),
            Ok((None, Where::Journal("ssh.service".to_owned())))
        );
        assert_eq!(
            place("nginx=docker:web"),
            Ok((Some("nginx".to_owned()), Where::Docker("web".to_owned())))
        );
        assert_eq!(place("sshd=-"), Ok((Some("sshd".to_owned()), Where::Stdin)));
        assert_eq!(place("-"), Ok((None, Where::Stdin)));
        assert!(
            place("/var/log/auth.log").is_err() && place("=x").is_err() && place("x=").is_err()
        );
    }

    #[test]
    fn values_are_checked_where_they_stand() {
        fails(
            "\nfirewall = 'nft'\n",
            "2: unknown value \"nft\", expected one of auto, nftables, command, dry-run",
        );
        fails(
            "firewall = 'dryrun'\n",
            "1: unknown value \"dryrun\", did you mean \"dry-run\"?",
        );
        fails(
            "[ban]\nfirst = '1 hour'\n",
            "2: expected a length of time such as 90s, 4h or 7d, not \"1 hour\"",
        );
        fails(
            "[ban]\n\nmax = '0s'\n",
            "3: expected a length of time such as 90s, 4h or 7d, not \"0s\"",
        );
        fails(
            "allow = [\n '10.0.0.1',\n 'home' ]\n",
            "3: expected an address such as 192.0.2.1 or a network such as 192.0.2.0/24",
        );
        fails(
            "[[source]]\ntype = 'x'\n",
            "2: a [[source]] needs exactly one of path, journald and docker",
        );
        fails(
            "[[source]]\npath = '/x'\ntimezone = 'Mars'\n",
            "3: no time zone \"Mars\" on this machine, expected one such as Europe/Berlin or UTC: `timedatectl list-timezones` lists them; if it lists none, install tzdata",
        );
        fails("[limits]\ndecisions = 0\n", "2: must be at least 1");
        fails(
            "[limits]\ndecisions = 2000000\n",
            "2: must be at most 1000000",
        );
        fails(
            "allow = [\n '10.0.0.1',\n '64:ff9b::/96' ]\n",
            "3: 64:ff9b::/96 is everybody: to block nobody at all use `lymph panic` or `lymph run --firewall dry-run`",
        );
        fails("[breaker]\nburst = 0\n", "2: must be at least 1");
        fails(
            "[breaker]\nburst = 9\nimport_burst = 0\n",
            "3: must be at least 1",
        );
        fails(
            "[breaker]\nimports_per_minut = 9\n",
            "2: unknown key `imports_per_minut`, did you mean `imports_per_minute`?",
        );
        fails(
            "[scenario.'a/b']\nremedy = 'bann'\n",
            "2: unknown value \"bann\", did you mean \"ban\"?",
        );
    }

    #[test]
    fn rules_and_imports_have_budgets_of_their_own() {
        let default = Budget::default();
        let imports = Budget::of_imports();
        let budget = |per_minute, burst| Budget { per_minute, burst };
        for (text, rules, lists) in [
            ("", default, imports),
            ("burst = 9", budget(default.per_minute, 9), imports),
            ("import_burst = 9", default, budget(imports.per_minute, 9)),
            (
                "imports_per_minute = 7\nbans_per_minute = 5",
                budget(5, default.burst),
                budget(7, imports.burst),
            ),
        ] {
            let settings = read(&format!("[breaker]\n{text}\n"), Flags::default()).unwrap();
            let found = (settings.engine.budget, settings.engine.import_budget);
            assert_eq!(found, (Some(rules), Some(lists)), "{text}");
        }
    }

    #[test]
    fn proxies_of_all_sources_are_protected() {
        let text = "[[source]]\npath='/a'\ntrusted_proxies=['192.0.2.7']\n[[source]]\npath='/b'\ntrusted_proxies=['192.0.2.8/31']\n";
        let settings = read(text, Flags::default()).unwrap();
        let proxies: Vec<_> = settings
            .engine
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(proxies, ["192.0.2.7/32", "192.0.2.8/31"]);
    }
}
