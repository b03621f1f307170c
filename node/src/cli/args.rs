//! The command line as it is typed. What it means is for the commands, one file each beside this one.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use lymph_scenarios::date::Zone;

use crate::config::settings::{Firewall, SourceSetting};
use crate::config::zone;

/// An immune system for servers: reads the logs, detects attacks, decides whom to ban.
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
    /// Watch this machine's logs and decide whom to ban.
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
    /// Lift what stands about an address or network.
    #[command(after_help = "Example: lymph unban 203.0.113.9")]
    Unban {
        /// Address or network.
        subject: String,
    },
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
    /// Do not talk to other machines. There is nothing to talk with yet; scripts may say it already.
    #[arg(long)]
    pub no_mesh: bool,
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
    #[command(after_help = "Example: lymph decisions list --json | jq -r '.[].subject'")]
    List,
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
