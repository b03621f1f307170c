//! Where an expression is evaluated: which event, what time it is, which queue.

use std::fmt;
use std::sync::{Arc, LazyLock};

use lymph_protocol::Timestamp;

use super::effects::Effects;
use super::object::Object;
use crate::event::{Event, Keys};

/// Which roots an expression may name, by the place of a rule where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Globals {
    /// A parser's or postoverflow's node: `evt`.
    Parser,
    /// A scenario's filter and keys: `evt`.
    Scenario,
    /// `condition`: `evt`, `queue`, `leaky`.
    Queue,
    /// `overflow_filter`: `queue`, `signal`, `leaky`.
    Overflow,
    /// A profile's filter: `Alert`.
    Alert,
    /// A test's assertion: `results`.
    Tests,
}

impl Globals {
    pub(super) fn roots(self) -> &'static [(&'static str, Root)] {
        match self {
            Globals::Parser | Globals::Scenario => &[("evt", Root::Event)],
            Globals::Queue => &[
                ("evt", Root::Event),
                ("queue", Root::Queue),
                ("leaky", Root::Leaky),
            ],
            Globals::Overflow => &[
                ("queue", Root::Queue),
                ("signal", Root::Signal),
                ("leaky", Root::Leaky),
            ],
            Globals::Alert => &[("Alert", Root::Alert)],
            Globals::Tests => &[("results", Root::Results)],
        }
    }
}

/// A name that an expression may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Event,
    Queue,
    Leaky,
    Signal,
    Alert,
    Results,
}

impl Root {
    pub(super) fn name(self) -> &'static str {
        match self {
            Root::Event => "evt",
            Root::Queue => "queue",
            Root::Leaky => "leaky",
            Root::Signal => "signal",
            Root::Alert => "Alert",
            Root::Results => "results",
        }
    }
}

/// Keeps values that parsers put aside: what `GetFromStash` asks.
pub trait StashRead: fmt::Debug {
    /// The value that is kept under that key in that stash.
    fn get(&self, stash: &str, key: &[u8]) -> Option<Arc<[u8]>>;
}

/// Where an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    pub(super) event: Option<&'a Event>,
    pub(super) now: Timestamp,
    pub(super) stash: Option<&'a dyn StashRead>,
    pub(super) effects: Option<&'a Effects>,
    queue: Option<&'a dyn Object>,
    leaky: Option<&'a dyn Object>,
    /// What `signal`, `Alert` or `results` is; no place has two of them.
    subject: Option<&'a dyn Object>,
}

impl<'a> Env<'a> {
    /// Without any root, for constants.
    pub(super) fn nowhere(now: Timestamp) -> Self {
        Env {
            event: None,
            now,
            stash: None,
            effects: None,
            queue: None,
            leaky: None,
            subject: None,
        }
    }

    /// For an event.
    #[must_use]
    pub fn of(event: &'a Event, now: Timestamp) -> Self {
        Env {
            event: Some(event),
            ..Env::nowhere(now)
        }
    }

    /// For [`Globals::Overflow`].
    #[must_use]
    pub fn overflow(
        queue: &'a dyn Object,
        leaky: &'a dyn Object,
        signal: &'a dyn Object,
        now: Timestamp,
    ) -> Self {
        Env {
            queue: Some(queue),
            leaky: Some(leaky),
            subject: Some(signal),
            ..Env::nowhere(now)
        }
    }

    /// For [`Globals::Alert`].
    #[must_use]
    pub fn alert(alert: &'a dyn Object, now: Timestamp) -> Self {
        Env {
            subject: Some(alert),
            ..Env::nowhere(now)
        }
    }

    /// For [`Globals::Tests`].
    #[must_use]
    pub fn results(results: &'a dyn Object, now: Timestamp) -> Self {
        Env {
            subject: Some(results),
            ..Env::nowhere(now)
        }
    }

    /// The same with a bucket, for [`Globals::Queue`].
    #[must_use]
    pub fn with_queue(&self, queue: &'a dyn Object, leaky: &'a dyn Object) -> Self {
        Env {
            queue: Some(queue),
            leaky: Some(leaky),
            ..*self
        }
    }

    /// The same with stashes to read from.
    #[must_use]
    pub fn with_stash(&self, stash: &'a dyn StashRead) -> Self {
        Env {
            stash: Some(stash),
            ..*self
        }
    }

    /// The same with a place for what the expression changes. Without one, changes are seen by the expression
    /// only.
    #[must_use]
    pub fn with_effects(&self, effects: &'a Effects) -> Self {
        Env {
            effects: Some(effects),
            ..*self
        }
    }

    /// The keys of the event; none where there is no event.
    #[must_use]
    pub fn keys(&self) -> &'a Keys {
        static NONE: LazyLock<Keys> = LazyLock::new(Keys::default);
        self.event.map_or(&NONE, |event| event.keys())
    }

    pub(super) fn root(&self, root: Root) -> Option<&'a dyn Object> {
        match root {
            Root::Event => None,
            Root::Queue => self.queue,
            Root::Leaky => self.leaky,
            Root::Signal | Root::Alert | Root::Results => self.subject,
        }
    }
}
