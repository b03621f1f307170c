//! The command line as it is typed. What it means is for the commands, one file each beside this one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lymph_scenarios::date::Zone;

use crate::config::settings::{Firewall, SourceSetting, parse_duration};
use crate::config::zone;

/// An immune system for servers: reads the logs, detects attacks, blocks the attackers.
#[derive(Debug, Parser)]
#[command(
    name = "lymph",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Start with `lymph run`; find attackers in any log file with `lymph replay FILE`.\n\nExit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub struct Cli {
    /// What all commands understand.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands understand.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Folder of the daemon's data and socket [default: /var/lib/lymph for root, else ~/.local/state/lymph].
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub state: Option<PathBuf>,
    /// Configuration file [default: /etc/lymph/lymph.toml for root, else ~/.config/lymph/lymph.toml].
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Print JSON for machines: one array for lists, one object a line for streams.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this machine's logs and block attackers.
    #[command(
        after_help = "Example: lymph run --source sshd=/var/log/auth.log --source nginx='/var/log/nginx/*access*.log'"
    )]
    Run(Run),
    /// How the daemon is: what it watches, what it decided, what needs a look.
    #[command(after_help = "Example: lymph status && echo running")]
    Status,
    /// Find the attackers in log files, by the files' own clock.
    #[command(
        after_help = "Example: lymph replay --type nginx /var/log/nginx/access.log.*.gz\n         zcat old.log.gz | lymph replay --type sshd --json -"
    )]
    Replay(Replay),
    /// Show line by line how rules understand a log, and why they do not.
    #[command(
        after_help = "Example: tail -n 5 /var/log/auth.log | lymph explain --file - --type sshd"
    )]
    Explain(Explain),
    /// The rules: which there are, what one says, whether their samples come out as expected.
    #[command(subcommand)]
    Rules(Rules),
    /// What the daemon has decided.
    #[command(subcommand)]
    Decisions(Decisions),
    /// What the daemon has seen.
    #[command(subcommand)]
    Alerts(Alerts),
    /// Why an address is banned, or is not.
    #[command(after_help = "Example: lymph why 203.0.113.9")]
    Why {
        /// Address or network.
        address: String,
    },
    /// Block an address or network now.
    #[command(
        after_help = "Example: lymph ban 203.0.113.9 --for 24h --reason 'mails from hell'\n         lymph ban 2001:db8:7::/48"
    )]
    Ban(Ban),
    /// Lift what stands about an address or network.
    #[command(
        after_help = "Example: lymph unban 203.0.113.9\n         lymph unban 203.0.113.9 --false-positive"
    )]
    Unban {
        /// Address or network.
        subject: String,
        /// It was wrong: for 30 days the same scenario must run over twice as often before it bans this one again, and
        /// what was reported to others is taken back.
        #[arg(long)]
        false_positive: bool,
        /// Where it holds.
        #[command(flatten)]
        reach: Reach,
    },
    /// Take back what was decided last (a ban, or an import as a whole), or what has this id.
    #[command(after_help = "Example: lymph undo\n         lymph undo 0123456789abcdef")]
    Undo {
        /// Id of a decision or an import, as the list shows it.
        id: Option<String>,
        /// Where it holds.
        #[command(flatten)]
        reach: Reach,
    },
    /// Addresses, networks and names that are never blocked, whoever wants them blocked.
    #[command(subcommand)]
    Allow(Allow),
    /// Invite another machine: print a ticket, wait until it is used, and show the words to compare.
    #[command(
        after_help = "Example: lymph invite --fleet        another machine of your own\n         lymph invite                a friend's machine\n         lymph invite --circle --uses 20 --for 24h"
    )]
    Invite(Invite),
    /// Take an invitation: what `lymph invite` printed on the other machine.
    #[command(after_help = "Example: lymph join lymph1abc…")]
    Join(Join),
    /// The machines that this one knows, and how it stands with them.
    #[command(after_help = "Example: lymph peers")]
    Peers,
    /// What goes out to others and what comes in. Nothing does until you say so.
    #[command(subcommand)]
    Share(Share),
    /// Whom this machine believes.
    #[command(subcommand)]
    Trust(Trust),
    /// Your own machines.
    #[command(subcommand)]
    Fleet(Fleet),
    /// Circles: many who are vouched for by a curator. What this machine curates, and what it belongs to.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Example: lymph circle\n         lymph circle leave circle-0123"
    )]
    Circle {
        /// What is done; without it circles and their members are shown.
        #[command(subcommand)]
        command: Option<Circle>,
    },
    /// Make allowlist, vouches and sharing what a file says; for configuration management. What is so already stays.
    #[command(
        after_help = "Example: lymph apply fleet.toml\n\nThe file is TOML:\n  allow = [\"192.0.2.0/24\", \"home.example.org\"]\n  [share]\n  publish = true\n  consume = true\n  [[vouch]]\n  node = \"0123…\"\n  weight = 1.0"
    )]
    Apply {
        /// The file; - is the standard input.
        file: PathBuf,
        /// Only say what would be changed.
        #[arg(long)]
        check: bool,
    },
    /// Break the glass: open everything now, and keep it open until `lymph resume`. Works without the daemon.
    #[command(
        after_help = "Example: lymph panic\n\nThe table `inet lymph` is taken out of the firewall, and the daemon (if it runs, and whenever it is\nstarted, also after a reboot) goes on deciding but blocks nobody. In a fleet all machines do, unless you say --here."
    )]
    Panic(Reach),
    /// End the panic: block again what is decided.
    #[command(after_help = "Example: lymph resume")]
    Resume(Reach),
    /// The firewall without the daemon.
    #[command(subcommand)]
    Firewall(Firewalls),
    /// Who this node is, and where its keys lie. Works without the daemon.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Example: lymph id\n         lymph id --json | jq -r .id"
    )]
    Id {
        /// What is done; without it the node is shown.
        #[command(subcommand)]
        command: Option<Ids>,
    },
    /// Write the keys, what the operator said and the configuration into one file.
    #[command(
        after_help = "Example: lymph backup /root/web1.lymph --passphrase\n         lymph backup web1.lymph --passphrase-file /root/backup.pass --force\n\nThe daemon may run meanwhile. Bans that lymph decided by itself are not in it: they are made again."
    )]
    Backup(Backup),
    /// Put a backup in place, on this machine or a new one. The daemon must not run.
    #[command(
        after_help = "Example: lymph restore web1.lymph --passphrase\n\nStop the other machine first: two nodes with one key stop each other."
    )]
    Restore(Restore),
    /// Print completions for a shell.
    #[command(after_help = "Example: lymph completions bash > /etc/bash_completion.d/lymph")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write one for every command.
    #[command(
        after_help = "Example: lymph man | man -l -\n         lymph man /usr/local/share/man/man1"
    )]
    Man {
        /// Folder to write the pages to.
        dir: Option<PathBuf>,
    },
}

/// Where something holds.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Reach {
    /// On this machine alone, also if it is in a fleet.
    #[arg(long, conflicts_with = "fleet")]
    pub here: bool,
    /// On all machines of the fleet, as is usual; an error if there is none.
    #[arg(long)]
    pub fleet: bool,
}

/// `lymph invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// Another machine of your own: it shares bans, unbans, allowlist and panic with this one, and nothing leaves.
    #[arg(long, alias = "sibling", conflicts_with = "circle")]
    pub fleet: bool,
    /// A member of the circle that this machine curates.
    #[arg(long)]
    pub circle: bool,
    /// How often the ticket can be used.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub uses: u16,
    /// For how long.
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub life: Duration,
    /// Print the ticket and do not wait.
    #[arg(long)]
    pub no_wait: bool,
}

/// `lymph join`.
#[derive(Debug, Args)]
pub struct Join {
    /// The ticket; - reads it from the standard input.
    pub ticket: String,
    /// Share with the public mesh from now on, without being asked.
    #[arg(long, conflicts_with = "no_share")]
    pub share: bool,
    /// Do not share, and do not ask.
    #[arg(long)]
    pub no_share: bool,
}

/// `lymph share`.
#[derive(Debug, Subcommand)]
pub enum Share {
    /// Let own reports out and others' in.
    #[command(after_help = "Example: lymph share on\n         lymph share on --consume-only")]
    On {
        /// Only let own reports out.
        #[arg(long, conflicts_with = "consume_only")]
        publish_only: bool,
        /// Only let others' reports in.
        #[arg(long)]
        consume_only: bool,
        /// Of a circle rather than the public mesh.
        #[arg(long, value_name = "NAME")]
        circle: Option<String>,
    },
    /// Let nothing out and in.
    #[command(after_help = "Example: lymph share off")]
    Off {
        /// Of a circle rather than the public mesh.
        #[arg(long, value_name = "NAME")]
        circle: Option<String>,
    },
    /// What goes out and comes in.
    #[command(after_help = "Example: lymph share status")]
    Status,
    /// What would leave this machine: the reports that wait, field by field.
    #[command(after_help = "Example: lymph share preview")]
    Preview,
}

/// `lymph trust`.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Vouch for a node: what it reports counts here, and others hear that you vouch for it.
    #[command(after_help = "Example: lymph trust vouch 0123abcd… --weight 0.5")]
    Vouch {
        /// Its id, or name, or the first digits of an id that is known.
        node: String,
        /// How much, over 0 and at most 1.
        #[arg(long, default_value_t = 1.0)]
        weight: f64,
        /// Nobody else hears of it.
        #[arg(long)]
        unlisted: bool,
    },
    /// Vouch for a node no longer.
    #[command(after_help = "Example: lymph trust revoke 0123abcd")]
    Revoke {
        /// Which.
        node: String,
    },
    /// Believe nothing that a node says, and have nothing to do with it.
    #[command(after_help = "Example: lymph trust mute 0123abcd")]
    Mute {
        /// Which.
        node: String,
    },
    /// Hear it again.
    #[command(after_help = "Example: lymph trust unmute 0123abcd")]
    Unmute {
        /// Which.
        node: String,
    },
    /// Whom this machine vouches for, how often they were right and wrong, and how well that protects it.
    #[command(after_help = "Example: lymph trust list")]
    List,
    /// What this machine makes of a node, and why.
    #[command(after_help = "Example: lymph trust explain 0123abcd")]
    Explain {
        /// Its id, its name, or the first digits of its id.
        node: String,
    },
    /// Strangers whose reports have proved right: they have earned a vouch.
    #[command(after_help = "Example: lymph trust suggest")]
    Suggest,
    /// What this machine curates, and what it belongs to; the same as `lymph circle`.
    #[command(after_help = "Example: lymph trust circle")]
    Circle,
    /// Say for ever that this node's key is dead, after it was stolen; the same as `lymph id kill`.
    #[command(after_help = "Example: lymph trust kill-key\n\nTo go on afterwards: lymph id rotate")]
    KillKey {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// What a node would decide about an address that others report. Offline: no daemon is asked.
    #[command(after_help = WHAT_IF)]
    WhatIf {
        /// The question, as JSON; - for the standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

const WHAT_IF: &str = r#"FILE is one JSON object. Peers have any names; all but "ego" may be left out:
  {"ego": "me", "now": 1700000000,
   "vouches": [{"from": "me", "to": "ann", "weight": 1, "seq": 7, "expires": 1707000000}, …],
   "siblings": ["my-other-server"], "muted": [], "strangers": [],
   "experience": {"ann": {"a": 3, "b": 0}},
   "reports": [{"by": "ann", "age_s": 60, "evidence": "handshake", "rule_known": true,
                "ttl_s": 86400, "family": "ssh-auth"}, …],
   "params": {"alpha": 0.8, "W0": 4, "hops": 4, "kappa": 0.02,
              "k": 3, "block_at": 2.5, "gate_q": 0.25}}

"evidence" is handshake or spoofable.
A weight of 0 revokes; weights are rounded to ten-thousandths.
Of two vouches of one node for another the higher "seq" holds, without "seq" the later in FILE.
Without "kappa" the formula holds. Keys that are not known are passed over.
The words are those of docs/trust.md.

Example: lymph trust what-if question.json --json"#;

/// `lymph fleet`.
#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// The machines of the fleet.
    #[command(after_help = "Example: lymph fleet list")]
    List,
    /// Leave the fleet.
    #[command(after_help = "Example: lymph fleet leave")]
    Leave,
    /// Send a machine away. The others get a new secret.
    #[command(after_help = "Example: lymph fleet expel oldserver")]
    Expel {
        /// Which.
        node: String,
    },
}

/// `lymph circle`.
#[derive(Debug, Subcommand)]
pub enum Circle {
    /// Circles that this machine is in.
    #[command(after_help = "Example: lymph circle list")]
    List,
    /// Leave a circle.
    #[command(after_help = "Example: lymph circle leave circle-0123")]
    Leave {
        /// Which.
        circle: String,
    },
    /// Send a member away.
    #[command(after_help = "Example: lymph circle expel 0123abcd")]
    Expel {
        /// Which.
        node: String,
    },
}

/// Which rules are used.
#[derive(Clone, Debug, Args)]
pub struct RuleArgs {
    /// Folder of own rules beside the bundled ones, laid out as CrowdSec's hub; a file with the path of a
    /// bundled one takes its place.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Use only the rules of that folder.
    #[arg(long)]
    pub no_bundled_rules: bool,
}

/// `lymph run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Log to watch: TYPE=PATH with a path or pattern, TYPE=docker:NAME, journald=UNIT, TYPE=- for the
    /// standard input. May be repeated; without any, lymph looks for the logs itself.
    #[arg(long = "source", value_name = "TYPE=PATH")]
    pub sources: Vec<SourceSetting>,
    /// What enforces decisions: auto, nftables, command or dry-run.
    #[arg(long, value_name = "NAME")]
    pub firewall: Option<Firewall>,
    /// Do not talk to other machines.
    #[arg(long)]
    pub no_mesh: bool,
    /// Where to listen for other machines, such as /ip4/0.0.0.0/tcp/4747. May be repeated [default: port 4747, TCP and
    /// QUIC, on all addresses].
    #[arg(long, value_name = "MULTIADDR", value_parser = crate::config::settings::multiaddress)]
    pub listen: Vec<String>,
    /// Which rules are used.
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `lymph replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Log files, plain or gzipped, oldest first; - is the standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What wrote them: sshd, nginx, apache, caddy, traefik, haproxy, syslog, or a type of own rules [default:
    /// what the first lines look like].
    #[arg(long = "type", value_name = "TYPE")]
    pub log_type: Option<String>,
    /// Zone of dates that have no offset, such as Europe/Berlin [default: this machine's].
    #[arg(long, value_name = "ZONE", value_parser = zone::named)]
    pub timezone: Option<Zone>,
    /// Which rules are used.
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `lymph explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The log, plain or gzipped; - is the standard input.
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// What wrote it, as for replay.
    #[arg(long = "type", value_name = "TYPE")]
    pub log_type: Option<String>,
    /// Zone of dates that have no offset, such as Europe/Berlin [default: this machine's].
    #[arg(long, value_name = "ZONE", value_parser = zone::named)]
    pub timezone: Option<Zone>,
    /// Which rules are used.
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `lymph rules`.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Every rule in use.
    #[command(after_help = "Example: lymph rules list --rules /etc/lymph/rules")]
    List(RuleArgs),
    /// One rule: what it does, its numbers, its file.
    #[command(after_help = "Example: lymph rules inspect lymph/ssh-bf")]
    Inspect {
        /// Its name.
        name: String,
        /// Which rules are used.
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Put the sample logs beside rules through them and compare with what is expected.
    #[command(after_help = "Example: lymph rules test --rules ./rules")]
    Test(RuleArgs),
}

/// `lymph decisions`.
#[derive(Debug, Subcommand)]
pub enum Decisions {
    /// Every decision that stands.
    #[command(
        after_help = "Example: lymph decisions list --json | jq -r '.[].subject'\n         lymph decisions list --origin lists"
    )]
    List {
        /// Only of this origin: lymph, mesh, operator, lists, predicted or crowdsec.
        #[arg(long)]
        origin: Option<String>,
        /// Only for this reason: a scenario or the name of a list.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Decide something about an address or network; the same as `lymph ban`.
    #[command(after_help = "Example: lymph decisions add 203.0.113.9 --kind throttle --for 2h")]
    Add(Ban),
    /// Take decisions back: those that fit everything that is said.
    #[command(
        after_help = "Example: lymph decisions delete 203.0.113.9\n         lymph decisions delete --origin lists --reason spamhaus-drop\n         lymph decisions delete --id 0123456789abcdef"
    )]
    Delete(Delete),
    /// Read decisions from a file: CrowdSec's JSON or CSV, ipsum, or a plain list of addresses and networks.
    #[command(
        after_help = "Example: lymph decisions import blocklist.txt --name my-list --for 7d\n         cscli decisions list -o json | lymph decisions import -\n\nTake it back with `lymph undo`, or with `lymph decisions delete --reason my-list`."
    )]
    Import(Import),
    /// Write what stands in a form that CrowdSec or other programs read.
    #[command(
        after_help = "Example: lymph decisions export > decisions.json\n         lymph decisions export --format plain | sort -u"
    )]
    Export {
        /// json and csv as CrowdSec imports them, or plain: one address or network a line.
        #[arg(long, default_value = "json")]
        format: Written,
    },
    /// What is decided but held back: a rule or an import banned too many at once, or somebody has logged in from there.
    #[command(after_help = "Example: lymph decisions held")]
    Held,
    /// Carry out what is held back.
    #[command(
        after_help = "Example: lymph decisions release --all\n         lymph decisions release --reason lymph/http-probing\n         lymph decisions release --origin lists"
    )]
    Release(HeldArgs),
    /// Forget what is held back.
    #[command(after_help = "Example: lymph decisions drop --reason lymph/http-probing")]
    Drop(HeldArgs),
}

/// `lymph ban`.
#[derive(Debug, Args)]
pub struct Ban {
    /// Address or network.
    pub subject: String,
    /// For how long: 90s, 4h, 7d.
    #[arg(long = "for", value_name = "TIME", default_value = "4h", value_parser = parse_duration)]
    pub length: Duration,
    /// Why; `lymph why` shows it.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What is done: ban, throttle (fewer new connections) or captcha.
    #[arg(long, default_value = "ban")]
    pub kind: String,
    /// Also if it is an address of this machine, its gateway, a peer of an SSH session and so on. Not even this
    /// overcomes the allowlist.
    #[arg(long)]
    pub force: bool,
    /// Where it holds.
    #[command(flatten)]
    pub reach: Reach,
}

/// `lymph decisions delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Address or network.
    pub subject: Option<String>,
    /// Id of a decision, or of the import that made it.
    #[arg(long)]
    pub id: Option<String>,
    /// Whose: lymph, mesh, operator, lists, predicted or crowdsec.
    #[arg(long)]
    pub origin: Option<String>,
    /// For this reason: a scenario or the name of a list.
    #[arg(long)]
    pub reason: Option<String>,
    /// Every one, as far as nothing else is said.
    #[arg(long)]
    pub all: bool,
}

/// `lymph decisions import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The list; - is the standard input.
    pub file: PathBuf,
    /// What it is; what its beginning looks like if not said.
    #[arg(long)]
    pub format: Option<Read>,
    /// Name of the list: the reason of its decisions where it gives none [default: the name of the file].
    #[arg(long)]
    pub name: Option<String>,
    /// For how long, where the list does not say: 90s, 4h, 7d.
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = parse_duration)]
    pub length: Duration,
    /// Of an ipsum list only what is on so many lists at least.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub min_count: u32,
}

/// Which of the held decisions.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct HeldArgs {
    /// About this address or network.
    pub subject: Option<String>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
    /// Of this scenario or list.
    #[arg(long)]
    pub reason: Option<String>,
    /// Of this origin, such as lists.
    #[arg(long)]
    pub origin: Option<String>,
}

/// A form of lists that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Read {
    /// CrowdSec's JSON.
    Json,
    /// CrowdSec's CSV.
    Csv,
    /// An address and on how many lists it is.
    Ipsum,
    /// One address or network a line.
    Plain,
}

/// A form of lists that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// CrowdSec's JSON.
    Json,
    /// CrowdSec's CSV.
    Csv,
    /// One address or network a line.
    Plain,
}

/// `lymph allow`.
#[derive(Debug, Subcommand)]
pub enum Allow {
    /// Everything that is allowed, by command or by the configuration.
    #[command(after_help = "Example: lymph allow list")]
    List,
    /// Never block this; what stands about it ends. A name is looked up again every few minutes.
    #[command(
        after_help = "Example: lymph allow add 198.51.100.0/24 --reason office\n         lymph allow add home.example.org"
    )]
    Add {
        /// Address, network or host name.
        what: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Where it holds.
        #[command(flatten)]
        reach: Reach,
    },
    /// Take it off the list.
    #[command(after_help = "Example: lymph allow remove home.example.org")]
    Remove {
        /// Address, network or host name, as the list shows it.
        what: String,
        /// Where it holds.
        #[command(flatten)]
        reach: Reach,
    },
}

/// `lymph firewall`.
#[derive(Debug, Subcommand)]
pub enum Firewalls {
    /// Take lymph's table out of the firewall, for good: when lymph is no longer wanted. The daemon must not run.
    #[command(after_help = "Example: lymph firewall remove")]
    Remove,
}

/// `lymph id`.
#[derive(Debug, Subcommand)]
pub enum Ids {
    /// Go on with the successor's key: the present one is stolen, or may be. The daemon must not run.
    #[command(
        after_help = "Example: lymph id rotate\n\nThe old key ends for ever. Your friends must vouch for the new id."
    )]
    Rotate {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// End this node's key, for ever. The daemon must not run; at its next start it tells everybody.
    #[command(after_help = "Example: lymph id kill\n\nTo go on afterwards: lymph id rotate")]
    Kill {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// `lymph backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write.
    pub file: PathBuf,
    /// How it is sealed.
    #[command(flatten)]
    pub passphrase: Passphrase,
    /// Write it also if there is such a file already.
    #[arg(long)]
    pub force: bool,
}

/// `lymph restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup.
    pub file: PathBuf,
    /// How it was sealed.
    #[command(flatten)]
    pub passphrase: Passphrase,
    /// Also over another node: its files and the configuration are moved aside.
    #[arg(long)]
    pub force: bool,
}

/// A passphrase, typed or in a file.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Passphrase {
    /// Ask for a passphrase that seals it.
    #[arg(long)]
    pub passphrase: bool,
    /// The passphrase is the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `lymph alerts`.
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// The newest detections and what came of them.
    #[command(after_help = "Example: lymph alerts list --limit 20")]
    List {
        /// How many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One detection: what its lines said.
    #[command(after_help = "Example: lymph alerts inspect 0123456789abcdef")]
    Inspect {
        /// Its id, as the list shows it.
        id: String,
    },
}
