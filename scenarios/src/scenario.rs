//! The checked meaning of one scenario: a YAML document with every expression compiled.
//!
//! What its fields mean, and in which order they act, stands in `bucket`, which is the next step of the path.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::data::DataFiles;
use crate::date::GoDuration;
use crate::document::{LoadError, ScenarioDocument, Spanned, Text, line_of, nearest};
use crate::event::{Keys, Namespace, Slot};
use crate::expr::{self, Expr, Globals, Guard};
use crate::overflow::Scope;

/// How a bucket of the scenario decides that it runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `capacity` events at once, one more per `leakspeed`.
    Leaky,
    /// The first event.
    Trigger,
    /// At the end of `duration`, with all that was poured meanwhile.
    Counter,
    /// When `condition` holds.
    Conditional,
    /// When the conditions make evil more probable than the threshold.
    Bayesian,
}

impl Kind {
    const NAMES: [(&'static str, Kind); 5] = [
        ("leaky", Kind::Leaky),
        ("trigger", Kind::Trigger),
        ("counter", Kind::Counter),
        ("conditional", Kind::Conditional),
        ("bayesian", Kind::Bayesian),
    ];

    /// The word that stands in the YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }
}

/// What tells the buckets of one scenario apart.
#[derive(Clone, Debug)]
pub(crate) enum Partition {
    /// One bucket for everybody.
    All,
    /// A field, as it is.
    Field(Slot),
    /// What an expression says.
    Expression(Expr),
}

/// One of a bayesian scenario's conditions.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) condition: Expr,
    pub(crate) given_evil: f32,
    pub(crate) given_benign: f32,
    /// Once true, true for the rest of the bucket's life.
    pub(crate) guillotine: bool,
}

/// The bayesian part of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Bayes {
    pub(crate) prior: f32,
    pub(crate) threshold: f32,
    pub(crate) evidence: Vec<Evidence>,
}

/// One scenario, ready to be poured into.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `author/name`.
    pub name: Arc<str>,
    /// One line on what it looks for.
    pub description: Arc<str>,
    /// The file it stands in.
    pub file: Arc<str>,
    /// Line in that file where its name stands.
    pub line: u64,
    /// How its buckets run over.
    pub kind: Kind,
    /// Labels as written, values as text.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `labels.remediation` is true: a detection asks for a ban.
    pub remediation: bool,
    /// Events that a bucket holds; -1 for no bound.
    pub capacity: i64,
    /// Milliseconds in which one event leaks out.
    pub leakspeed_ms: u64,
    /// Milliseconds that a bucket lives: after its last event, or (counter) after its first.
    pub life_ms: u64,
    /// Milliseconds of silence about a bucket's key after it ran over.
    pub blackhole_ms: Option<u64>,
    /// What a detection is about.
    pub scope: Scope,
    pub(crate) filter: Expr,
    pub(crate) guards: Vec<Guard>,
    pub(crate) partition: Partition,
    pub(crate) distinct: Option<Expr>,
    pub(crate) condition: Option<Expr>,
    pub(crate) cancel_on: Option<Expr>,
    pub(crate) overflow_filter: Option<Expr>,
    pub(crate) scope_expression: Option<Expr>,
    pub(crate) queue_events_max: usize,
    pub(crate) reprocess: bool,
    pub(crate) bayes: Option<Bayes>,
    /// Events that a bucket holds of somebody whom others speak of, if that makes a difference.
    pub(crate) primed_capacity: Option<u64>,
    /// The first 8 bytes of a SHA-256 of its meaning: the checked scenario without name, description and labels. Two nodes
    /// with the same rule agree on it, whatever they call it.
    pub hash: [u8; 8],
    /// Changes with whatever decides what a bucket's state means.
    pub(crate) fingerprint: u64,
}

/// How many events a bucket keeps for its detection, whatever its capacity: what a person reads of one.
/// All are counted.
pub(crate) const QUEUE_EVENTS_MAX: usize = 1000;

/// Capacities are divided by this for somebody whom others speak of, but two events it always takes.
const PRIMED_PART: u64 = 4;

/// Events that a bucket holds of somebody whom others speak of: a quarter of its capacity, at least one. Only for what
/// guesses at logins or tries a hole; much traffic alone is no less innocent for what others say.
fn primed_capacity(document: &ScenarioDocument, kind: Kind, capacity: i64) -> Option<u64> {
    let behavior = document.labels.get("behavior").map(label_text)?;
    let (_, deed) = behavior.split_once(':')?;
    let by_source = document
        .groupby
        .as_ref()
        .is_some_and(|by| by.value.contains("source_ip"));
    if kind != Kind::Leaky || !by_source || !matches!(deed, "bruteforce" | "exploit") {
        return None;
    }
    let runs_over_at = u64::try_from(capacity).ok()?.saturating_add(1);
    let primed = runs_over_at.div_ceil(PRIMED_PART).max(2) - 1;
    (primed + 1 < runs_over_at).then_some(primed)
}

impl Scenario {
    /// What a leaky bucket holds, in milliseconds of leaking, by what is left in it.
    pub(crate) fn held(&self, tokens: u64) -> u64 {
        self.full_tokens().saturating_sub(tokens)
    }

    /// The filter's text.
    #[must_use]
    pub fn filter(&self) -> &str {
        self.filter.source()
    }

    pub(crate) fn compile(
        file: &str,
        document: &ScenarioDocument,
        keys: &mut Keys,
        data: &DataFiles,
    ) -> Result<Scenario, LoadError> {
        let mut compiler = Compiler { file, keys, data };
        compiler.scenario(document)
    }
}

struct Compiler<'a> {
    file: &'a str,
    keys: &'a mut Keys,
    data: &'a DataFiles,
}

impl Compiler<'_> {
    fn scenario(&mut self, document: &ScenarioDocument) -> Result<Scenario, LoadError> {
        let file = self.file;
        let required = |text: &Option<Text>, key: &str, line: u64| match text {
            Some(text) if !text.value.trim().is_empty() => Ok(text.clone()),
            _ => Err(LoadError::new(file, line, key, "every scenario needs one")),
        };
        let name = required(&document.name, "name", 0)?;
        let line = line_of(&name);
        let description = document.description.clone().unwrap_or_default();
        if description.is_empty() {
            return Err(LoadError::new(
                file,
                line,
                "description",
                "every scenario needs one",
            ));
        }
        let kind_text = required(&document.kind, "type", line)?;
        let kind = self.kind(&kind_text)?;
        let filter = required(&document.filter, "filter", line)?;
        let filter = self.expression(&filter, "filter", Globals::Scenario)?;

        let capacity = document
            .capacity
            .as_ref()
            .map_or(0, |capacity| capacity.value);
        let leakspeed_ms = self
            .duration(document.leakspeed.as_ref(), "leakspeed")?
            .unwrap_or(0);
        let duration_ms = self.duration(document.duration.as_ref(), "duration")?;
        self.check_shape(kind, line, document, capacity, leakspeed_ms, duration_ms)?;

        let (scope, scope_expression) = self.scope(document.scope.as_ref())?;
        let primed_capacity =
            primed_capacity(document, kind, capacity).filter(|_| matches!(scope, Scope::Ip));
        let labels: BTreeMap<String, String> = document
            .labels
            .iter()
            .map(|(key, value)| (key.clone(), label_text(value)))
            .collect();
        let life_ms = match kind {
            Kind::Leaky => leakspeed_ms.saturating_mul(capacity.unsigned_abs() + 1),
            Kind::Conditional | Kind::Bayesian => leakspeed_ms,
            Kind::Counter => duration_ms.unwrap_or(0),
            Kind::Trigger => 0,
        };
        Ok(Scenario {
            name: name.value.as_str().into(),
            description: description.into(),
            file: file.into(),
            line,
            kind,
            remediation: document.labels.get("remediation") == Some(&serde_json::Value::Bool(true)),
            labels: Arc::new(labels),
            capacity: if kind == Kind::Counter { -1 } else { capacity },
            leakspeed_ms,
            life_ms,
            blackhole_ms: self.duration(document.blackhole.as_ref(), "blackhole")?,
            scope,
            guards: filter.guards(),
            partition: self.partition(document.groupby.as_ref())?,
            distinct: self.optional(document.distinct.as_ref(), "distinct", Globals::Scenario)?,
            condition: self.optional(document.condition.as_ref(), "condition", Globals::Queue)?,
            cancel_on: self.optional(
                document.cancel_on.as_ref(),
                "cancel_on",
                Globals::Scenario,
            )?,
            overflow_filter: self.optional(
                document.overflow_filter.as_ref(),
                "overflow_filter",
                Globals::Overflow,
            )?,
            scope_expression,
            queue_events_max: queue_events_max(
                capacity,
                document.cache_size.as_ref().map(|size| size.value),
            ),
            reprocess: document.reprocess,
            bayes: self.bayes(document)?,
            primed_capacity,
            fingerprint: fingerprint(document),
            hash: hash(document, kind, capacity, leakspeed_ms, duration_ms),
            filter,
        })
    }

    fn kind(&self, text: &Text) -> Result<Kind, LoadError> {
        if let Some((_, kind)) = Kind::NAMES.iter().find(|(name, _)| *name == text.value) {
            return Ok(*kind);
        }
        let known = || Kind::NAMES.iter().map(|(name, _)| *name);
        let message = match nearest(&text.value, known()) {
            Some(near) => format!("unknown type {:?}, did you mean {near}?", text.value),
            None => format!(
                "unknown type {:?}; there are {}",
                text.value,
                known().collect::<Vec<_>>().join(", ")
            ),
        };
        Err(LoadError::new(self.file, line_of(text), "type", message))
    }

    /// What each type needs and what it cannot have.
    fn check_shape(
        &self,
        kind: Kind,
        line: u64,
        document: &ScenarioDocument,
        capacity: i64,
        leakspeed_ms: u64,
        duration_ms: Option<u64>,
    ) -> Result<(), LoadError> {
        let wrong = |key: &str, message: &str| Err(LoadError::new(self.file, line, key, message));
        match kind {
            Kind::Leaky if capacity <= 0 => {
                wrong("capacity", "a leaky bucket holds at least one event")
            }
            Kind::Leaky if leakspeed_ms == 0 => {
                wrong("leakspeed", "a leaky bucket needs one, such as 10s")
            }
            Kind::Trigger if capacity != 0 => {
                wrong("capacity", "a trigger runs over at once and has none")
            }
            Kind::Counter if duration_ms.unwrap_or(0) == 0 => {
                wrong("duration", "a counter needs one, such as 10m")
            }
            Kind::Counter if capacity != -1 => {
                wrong("capacity", "a counter has no bound: write -1")
            }
            Kind::Conditional if document.condition.is_none() => {
                wrong("condition", "a conditional bucket needs one")
            }
            Kind::Conditional | Kind::Bayesian if leakspeed_ms == 0 => wrong(
                "leakspeed",
                "it says how long the bucket lives after its last event, such as 10m",
            ),
            Kind::Bayesian if capacity != -1 => {
                wrong("capacity", "a bayesian bucket has no bound: write -1")
            }
            Kind::Bayesian if document.bayesian_conditions.is_empty() => wrong(
                "bayesian_conditions",
                "a bayesian bucket needs at least one",
            ),
            Kind::Bayesian if document.bayesian_prior.is_none() => {
                wrong("bayesian_prior", "a bayesian bucket needs one")
            }
            Kind::Bayesian if document.bayesian_threshold.is_none() => {
                wrong("bayesian_threshold", "a bayesian bucket needs one")
            }
            Kind::Leaky | Kind::Trigger | Kind::Counter | Kind::Conditional | Kind::Bayesian => {
                Ok(())
            }
        }
    }

    fn expression(&mut self, text: &Text, key: &str, globals: Globals) -> Result<Expr, LoadError> {
        compile_expression(self.file, text, key, globals, self.keys, self.data)
    }

    fn optional(
        &mut self,
        text: Option<&Text>,
        key: &str,
        globals: Globals,
    ) -> Result<Option<Expr>, LoadError> {
        match text {
            Some(text) if !text.value.trim().is_empty() => {
                self.expression(text, key, globals).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn partition(&mut self, group_by: Option<&Text>) -> Result<Partition, LoadError> {
        let Some(text) = group_by.filter(|text| !text.value.trim().is_empty()) else {
            return Ok(Partition::All);
        };
        let expression = self.expression(text, "groupby", Globals::Scenario)?;
        match plain_field(&text.value) {
            Some((namespace, name)) => {
                let slot = self.keys.intern(namespace, name);
                slot.map(Partition::Field)
                    .map_err(|error| LoadError::new(self.file, line_of(text), "groupby", error))
            }
            None => Ok(Partition::Expression(expression)),
        }
    }

    fn duration(&self, text: Option<&Text>, key: &str) -> Result<Option<u64>, LoadError> {
        let Some(text) = text.filter(|text| !text.value.is_empty()) else {
            return Ok(None);
        };
        let duration = GoDuration::parse(&text.value)
            .map_err(|error| LoadError::new(self.file, line_of(text), key, error))?;
        let Some(duration) = duration.duration() else {
            return Err(LoadError::new(
                self.file,
                line_of(text),
                key,
                "is less than nothing",
            ));
        };
        Ok(Some(
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        ))
    }

    fn scope(
        &mut self,
        scope: Option<&Spanned<crate::document::ScopeDocument>>,
    ) -> Result<(Scope, Option<Expr>), LoadError> {
        let Some(scope) = scope else {
            return Ok((Scope::Ip, None));
        };
        let line = line_of(scope);
        let expression = self.optional(
            scope.value.expression.as_ref(),
            "scope.expression",
            Globals::Scenario,
        )?;
        match (scope.value.kind.as_deref().unwrap_or_default(), expression) {
            ("" | "Ip" | "ip", None) => Ok((Scope::Ip, None)),
            ("" | "Ip" | "ip", Some(_)) => Err(LoadError::new(
                self.file,
                line,
                "scope.expression",
                "the scope Ip is Meta.source_ip and takes none",
            )),
            ("Range" | "range", expression) => Ok((Scope::Range, expression)),
            (_, None) => Err(LoadError::new(
                self.file,
                line,
                "scope.expression",
                "a scope of one's own needs one",
            )),
            (other, expression) => Ok((Scope::Other(other.into()), expression)),
        }
    }

    fn bayes(&mut self, document: &ScenarioDocument) -> Result<Option<Bayes>, LoadError> {
        let (Some(prior), Some(threshold)) = (document.bayesian_prior, document.bayesian_threshold)
        else {
            return Ok(None);
        };
        let mut evidence = Vec::new();
        for condition in &document.bayesian_conditions {
            evidence.push(Evidence {
                condition: self.expression(
                    &condition.condition,
                    "bayesian_conditions.condition",
                    Globals::Queue,
                )?,
                given_evil: condition.prob_given_evil as f32,
                given_benign: condition.prob_given_benign as f32,
                guillotine: condition.guillotine,
            });
        }
        if evidence.len() > 64 {
            return Err(LoadError::new(
                self.file,
                0,
                "bayesian_conditions",
                "at most 64",
            ));
        }
        Ok(Some(Bayes {
            prior: prior as f32,
            threshold: threshold as f32,
            evidence,
        }))
    }
}

/// How many events are kept: as many as fit, or `cache_size` if that is less (or there is no bound), and the
/// one that runs over.
fn queue_events_max(capacity: i64, cache_size: Option<i64>) -> usize {
    let limit = match cache_size {
        Some(size) if size > 0 && (size <= capacity || capacity == -1) => size,
        _ => capacity,
    };
    usize::try_from(limit).map_or(QUEUE_EVENTS_MAX, |limit| (limit + 1).min(QUEUE_EVENTS_MAX))
}

fn label_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => value.to_string(),
    }
}

/// A number for what a bucket's state depends on. Only compared by the program that made it.
fn fingerprint(document: &ScenarioDocument) -> u64 {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone());
    let bayes: Vec<_> = document
        .bayesian_conditions
        .iter()
        .map(|c| (&c.condition.value, c.guillotine))
        .collect();
    foldhash::quality::FixedState::with_seed(0).hash_one((
        (
            text(&document.kind),
            text(&document.name),
            text(&document.filter),
            text(&document.groupby),
        ),
        (
            text(&document.distinct),
            text(&document.leakspeed),
            text(&document.duration),
        ),
        document.capacity.as_ref().map(|capacity| capacity.value),
        document
            .scope
            .as_ref()
            .map(|scope| (&scope.value.kind, text(&scope.value.expression))),
        bayes,
    ))
}

/// A number for what a scenario means, the same on every machine and in every version that has these keys. Each part goes in
/// with its length; lengths of time as milliseconds, so that `1m` and `60s` are the same.
fn hash(
    document: &ScenarioDocument,
    kind: Kind,
    capacity: i64,
    leakspeed_ms: u64,
    duration_ms: Option<u64>,
) -> [u8; 8] {
    let text = |text: &Option<Text>| {
        text.as_ref()
            .map(|text| text.value.trim().to_owned())
            .unwrap_or_default()
    };
    let scope = document.scope.as_ref().map(|scope| {
        let kind = scope.value.kind.clone().unwrap_or_default();
        format!("{kind}\0{}", text(&scope.value.expression))
    });
    let bayes = document.bayesian_conditions.iter().map(|c| {
        let c = format!(
            "{:?}",
            (
                &c.condition.value,
                c.prob_given_evil,
                c.prob_given_benign,
                c.guillotine
            )
        );
        c
    });
    let parts = [
        kind.name().to_owned(),
        capacity.to_string(),
        leakspeed_ms.to_string(),
        duration_ms.unwrap_or(0).to_string(),
        text(&document.filter),
        text(&document.groupby),
        text(&document.distinct),
        text(&document.blackhole),
        text(&document.condition),
        text(&document.cancel_on),
        text(&document.overflow_filter),
        document.reprocess.to_string(),
        scope.unwrap_or_default(),
        format!(
            "{:?}",
            (document.bayesian_prior, document.bayesian_threshold)
        ),
    ];
    let mut hash = Sha256::new_with_prefix(b"lymph rule 1\0");
    for part in parts.into_iter().chain(bayes) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    std::array::from_fn(|i| digest[i])
}

/// The field that an expression is, if it is nothing else: `evt.Meta.source_ip`.
pub(crate) fn plain_field(source: &str) -> Option<(Namespace, &str)> {
    let path = source.trim().strip_prefix("evt.")?;
    let (map, name) = path.split_once('.')?;
    let namespace = match map {
        "Meta" => Namespace::Meta,
        "Parsed" => Namespace::Parsed,
        "Enriched" => Namespace::Enriched,
        _ => return None,
    };
    let word = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (word && !name.as_bytes()[0].is_ascii_digit()).then_some((namespace, name))
}

pub(crate) fn compile_expression(
    file: &str,
    text: &Text,
    key: &str,
    globals: Globals,
    keys: &mut Keys,
    data: &DataFiles,
) -> Result<Expr, LoadError> {
    expr::compile(&text.value, globals, keys, data)
        .map_err(|error| LoadError::new(file, line_of(text), key, error))
}
