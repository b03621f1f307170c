//! One machine: its engine, its firewall (a map), its logs.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use lymph_node::engine::decision::Kind;
use lymph_node::engine::target::Target;
use lymph_node::engine::{Action, Engine, Input, Settings};
use lymph_protocol::Timestamp;
use lymph_scenarios::Rules;
use lymph_scenarios::line::{Line, Source};
use sha2::{Digest, Sha256};

use crate::corpus::{Service, Style};

/// One machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) engine: Engine,
    /// What its firewall holds: until when.
    pub(crate) banned: BTreeMap<Target, Timestamp>,
    /// When its engine wants to be woken, as far as that is queued.
    pub(crate) alarm: Option<Timestamp>,
    pub(crate) style: Style,
    pub(crate) pids: u32,
    pub(crate) lines: u64,
    logs: [Arc<Source>; 2],
}

impl Host {
    pub(crate) fn new(number: usize, rules: &Arc<Rules>, seed: u64) -> Self {
        let style = Style {
            host: format!("host{number}"),
            ..Style::default()
        };
        Host {
            engine: Engine::new(Arc::clone(rules), Settings::default(), seed),
            banned: BTreeMap::new(),
            alarm: None,
            style,
            pids: 40_000,
            lines: 0,
            logs: [
                Arc::new(Source::file("/var/log/auth.log", "sshd")),
                Arc::new(Source::file("/var/log/nginx/access.log", "nginx")),
            ],
        }
    }

    /// Whether the firewall lets nothing through from there.
    pub(crate) fn refuses(&self, address: IpAddr, now: Timestamp) -> bool {
        let single = Target::of_address(address);
        let own = self.banned.get(&single).is_some_and(|until| *until > now);
        own || self.banned.iter().any(|(target, until)| match target {
            Target::Range(network) => *until > now && network.contains(&address),
            Target::Subject(_) => false,
        })
    }

    /// A line is written to a log.
    pub(crate) fn read(
        &mut self,
        service: Service,
        text: &str,
        now: Timestamp,
    ) -> VecDeque<Action> {
        self.lines += 1;
        let source = &self.logs[usize::from(service == Service::Nginx)];
        let line = Line {
            text: text.as_bytes(),
            source,
            id: self.lines,
            received_at: now,
        };
        self.engine.handle(Input::Line(line), now).into()
    }

    /// The engine's deadline has come.
    pub(crate) fn tick(&mut self, now: Timestamp) -> VecDeque<Action> {
        self.engine.handle(Input::Tick, now).into()
    }

    /// Does what the engine says; the run's hash hears of all of it.
    pub(crate) fn obey(&mut self, action: &Action, hash: &mut Sha256) {
        hash.update(format!("{}: {action:?}\n", self.style.host));
        match action {
            Action::Ban(decision) if decision.kind == Kind::Ban => {
                self.banned.insert(decision.target, decision.until);
            }
            Action::Unban {
                target,
                kind: Kind::Ban,
                ..
            } => {
                self.banned.remove(target);
            }
            Action::Ban(_)
            | Action::Unban { .. }
            | Action::Save(_)
            | Action::Remove(_)
            | Action::Notice(_)
            | Action::Net(_)
            | Action::Enforce(_)
            | Action::Answer(_) => {}
        }
    }
}
