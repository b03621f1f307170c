//! All rules of a node, compiled: stages of parsers, scenarios, postoverflows, and the indexes over them.
//!
//! `Rules` never changes and is shared by all threads. `RulesBuilder` makes it of rule files; what a file is for
//! follows from its path, as the hub lays them out: `parsers/STAGE/…`, `postoverflows/STAGE/…`, `scenarios/…`.
//! The next step of the path is `detector`, which pours what is parsed here.

use std::collections::BTreeMap;
use std::sync::Arc;

use lymph_protocol::Timestamp;

use crate::data::{DataFiles, DataKind};
use crate::document::{self, DataDocument, LoadError, NodeDocument, ScenarioDocument, line_of};
use crate::event::{Event, Keys, Namespace, Slot};
use crate::grok::Patterns;
use crate::index::Index;
use crate::line::Line;
use crate::parser::{Context, Node, OnSuccess, Scratch};
use crate::proxy;
use crate::scenario::Scenario;
use crate::stash::{Stash, StashAt};
use crate::trace::{Observer, Trace};

/// A rule file: where it lies and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Path below the rules' folder, `parsers/s01-parse/sshd.yaml`.
    pub path: String,
    /// The YAML.
    pub text: String,
}

/// What a rule is, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// `parser`, `postoverflow` or `scenario`.
    pub kind: &'static str,
    /// `author/name`.
    pub name: String,
    /// One line on what it does.
    pub description: String,
    /// The stage, of a parser or postoverflow.
    pub stage: String,
    /// The file.
    pub path: String,
}

#[derive(Clone, Debug)]
struct Stage {
    name: Arc<str>,
    nodes: Vec<Node>,
    index: Index,
}

/// The fields that the engine itself reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnSlots {
    pub(crate) source_ip: Slot,
    pub(crate) forwarded_for: Slot,
    pub(crate) attempt: Slot,
    pub(crate) attempt_part: Slot,
    pub(crate) repeated: Slot,
    pub(crate) log_type: Slot,
    pub(crate) service: Slot,
}

/// All rules of a node, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(crate) keys: Arc<Keys>,
    stages: Vec<Stage>,
    postoverflows: Vec<Stage>,
    pub(crate) scenarios: Vec<Arc<Scenario>>,
    pub(crate) scenario_index: Index,
    pub(crate) own: OwnSlots,
    files: Vec<RuleFile>,
    infos: Vec<RuleInfo>,
    warnings: Vec<LoadError>,
}

/// Makes [`Rules`] of rule files.
#[derive(Debug)]
pub struct RulesBuilder {
    keys: Keys,
    patterns: Patterns,
    /// Data files as they are, by name; a rule's `data:` says how to read them.
    texts: BTreeMap<String, Vec<u8>>,
    data: DataFiles,
    nodes: BTreeMap<String, Vec<(String, Node)>>,
    postoverflows: BTreeMap<String, Vec<(String, Node)>>,
    scenarios: Vec<Arc<Scenario>>,
    files: Vec<RuleFile>,
    infos: Vec<RuleInfo>,
    warnings: Vec<LoadError>,
}

/// Scenarios that may be loaded at once; the hub has 846.
pub const SCENARIOS_MAX: usize = 10_000;

impl RulesBuilder {
    /// With these data files, by the name that rules give them.
    #[must_use]
    pub fn new(data: BTreeMap<String, Vec<u8>>) -> Self {
        RulesBuilder {
            keys: Keys::default(),
            patterns: Patterns::default(),
            texts: data,
            data: DataFiles::default(),
            nodes: BTreeMap::new(),
            postoverflows: BTreeMap::new(),
            scenarios: Vec::new(),
            files: Vec::new(),
            infos: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Take in a file. After an error nothing of the file counts.
    pub fn add(&mut self, file: &RuleFile) -> Result<(), LoadError> {
        let mut parts = file.path.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("parsers"), Some(stage), Some(_)) => self.add_nodes(file, "parser", stage),
            (Some("postoverflows"), Some(stage), Some(_)) => {
                self.add_nodes(file, "postoverflow", stage)
            }
            (Some("scenarios"), Some(_), _) => self.add_scenarios(file),
            _ => {
                let message =
                    "lies neither in parsers/STAGE/ nor in postoverflows/STAGE/ nor in scenarios/";
                Err(LoadError::new(&file.path, 0, "", message))
            }
        }?;
        self.files.push(file.clone());
        Ok(())
    }

    fn add_nodes(
        &mut self,
        file: &RuleFile,
        kind: &'static str,
        stage: &str,
    ) -> Result<(), LoadError> {
        let documents: Vec<NodeDocument> = document::read(&file.path, &file.text)?;
        let (mut nodes, mut infos) = (Vec::new(), Vec::new());
        for document in &documents {
            if document.name.is_none()
                && document.description.is_none()
                && document.author.is_none()
            {
                continue;
            }
            check_format(&file.path, document.format.as_deref())?;
            self.add_data(&file.path, &document.data)?;
            let node = Node::compile(
                &file.path,
                document,
                &mut self.keys,
                &mut self.patterns,
                &self.data,
                0,
            )?;
            let remarks = self.patterns.take_remarks().into_iter();
            self.warnings
                .extend(remarks.map(|remark| LoadError::new(&file.path, 0, "grok", remark)));
            infos.push(RuleInfo {
                kind,
                name: document.name.clone().unwrap_or_default(),
                description: document.description.clone().unwrap_or_default(),
                stage: stage.to_owned(),
                path: file.path.clone(),
            });
            nodes.push((file.path.clone(), node));
        }
        let stages = if kind == "parser" {
            &mut self.nodes
        } else {
            &mut self.postoverflows
        };
        stages.entry(stage.to_owned()).or_default().extend(nodes);
        self.infos.extend(infos);
        Ok(())
    }

    /// Read the data files that a rule names.
    fn add_data(&mut self, file: &str, entries: &[DataDocument]) -> Result<(), LoadError> {
        for entry in entries {
            let Some(name) = &entry.dest_file else {
                continue;
            };
            let line = line_of(name);
            let kind = entry.kind.as_deref().unwrap_or("string");
            let kind = DataKind::named(kind).ok_or_else(|| {
                LoadError::new(
                    file,
                    line,
                    "data.type",
                    format!("{kind} is none of string, regexp, map"),
                )
            })?;
            let Some(text) = self.texts.get(&name.value) else {
                let message = format!("{} is not there; what asks it finds nothing", name.value);
                self.warnings
                    .push(LoadError::new(file, line, "data.dest_file", message));
                continue;
            };
            if let Some(error) = self.data.insert(&name.value, kind, text).into_iter().next() {
                return Err(LoadError::new(
                    &format!("data/{}", error.file),
                    error.line as u64,
                    "",
                    error.message,
                ));
            }
        }
        Ok(())
    }

    fn add_scenarios(&mut self, file: &RuleFile) -> Result<(), LoadError> {
        let documents: Vec<ScenarioDocument> = document::read(&file.path, &file.text)?;
        let mut scenarios = Vec::new();
        for document in &documents {
            check_format(&file.path, document.format.as_deref())?;
            self.add_data(&file.path, &document.data)?;
            let scenario = Scenario::compile(&file.path, document, &mut self.keys, &self.data)?;
            if self
                .scenarios
                .iter()
                .chain(&scenarios)
                .any(|known| known.name == scenario.name)
            {
                let message = format!("a scenario {} is loaded already", scenario.name);
                return Err(LoadError::new(&file.path, scenario.line, "name", message));
            }
            scenarios.push(Arc::new(scenario));
        }
        if self.scenarios.len() + scenarios.len() > SCENARIOS_MAX {
            return Err(LoadError::new(
                &file.path,
                0,
                "",
                format!("more than {SCENARIOS_MAX} scenarios"),
            ));
        }
        self.infos.extend(scenarios.iter().map(|scenario| RuleInfo {
            kind: "scenario",
            name: scenario.name.to_string(),
            description: scenario.description.to_string(),
            stage: String::new(),
            path: file.path.clone(),
        }));
        self.scenarios.extend(scenarios);
        Ok(())
    }

    /// The finished rules.
    pub fn finish(mut self) -> Result<Rules, LoadError> {
        let mut own = |name| {
            self.keys
                .intern(Namespace::Meta, name)
                .map_err(|error| LoadError::new("rules", 0, name, error))
        };
        let own = OwnSlots {
            source_ip: own("source_ip")?,
            forwarded_for: own("forwarded_for")?,
            attempt: own("attempt")?,
            attempt_part: own("attempt_part")?,
            repeated: own("repeated")?,
            log_type: own("log_type")?,
            service: own("service")?,
        };
        let keys = Arc::new(self.keys);
        let scenario_index =
            Index::over(self.scenarios.iter().map(|scenario| &scenario.guards[..]));
        Ok(Rules {
            stages: stages(self.nodes, &keys),
            postoverflows: stages(self.postoverflows, &keys),
            keys,
            scenarios: self.scenarios,
            scenario_index,
            own,
            files: self.files,
            infos: self.infos,
            warnings: self.warnings,
        })
    }
}

fn stages(nodes: BTreeMap<String, Vec<(String, Node)>>, keys: &Keys) -> Vec<Stage> {
    let stage = |(name, mut nodes): (String, Vec<(String, Node)>)| {
        // By file name within the stage, as CrowdSec runs what it has installed.
        nodes.sort_by(|(a, _), (b, _)| file_name(a).cmp(file_name(b)));
        let mut nodes: Vec<Node> = nodes.into_iter().map(|(_, node)| node).collect();
        nodes.iter_mut().for_each(|node| node.finish(keys));
        let index = Index::over(nodes.iter().map(|node| &node.guards[..]));
        Stage {
            name: name.into(),
            nodes,
            index,
        }
    };
    nodes.into_iter().map(stage).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Formats 1.0 to 3.x are understood.
fn check_format(file: &str, format: Option<&str>) -> Result<(), LoadError> {
    let Some(format) = format else { return Ok(()) };
    let major: Option<u32> = format
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    match major {
        Some(1..=3) => Ok(()),
        _ => Err(LoadError::new(
            file,
            0,
            "format",
            format!("format {format} is not one of 1.0 to 3.0"),
        )),
    }
}

impl Rules {
    /// An event that these rules can fill.
    #[must_use]
    pub fn new_event(&self) -> Event {
        Event::new(Arc::clone(&self.keys))
    }

    /// Understand a line. Whether every stage did.
    ///
    /// Any number of threads may do this at once, each with an event and a scratch of its own.
    pub fn parse(
        &self,
        line: &Line<'_>,
        event: &mut Event,
        scratch: &mut Scratch,
        stash: &Stash,
    ) -> bool {
        event.start(line);
        self.run(
            &self.stages,
            event,
            line.received_at,
            scratch,
            stash,
            &mut (),
        )
    }

    /// Understand a line and write down every node that was tried.
    #[must_use]
    pub fn trace(
        &self,
        line: &Line<'_>,
        event: &mut Event,
        scratch: &mut Scratch,
        stash: &Stash,
    ) -> (bool, Trace) {
        let mut trace = Trace::default();
        event.start(line);
        let understood = self.run(
            &self.stages,
            event,
            line.received_at,
            scratch,
            stash,
            &mut trace,
        );
        (understood, trace)
    }

    /// Put a detection through the postoverflows, which may allowlist it.
    pub(crate) fn postprocess(
        &self,
        event: &mut Event,
        now: Timestamp,
        scratch: &mut Scratch,
        stash: &Stash,
    ) {
        self.run(&self.postoverflows, event, now, scratch, stash, &mut ());
    }

    pub(crate) fn has_postoverflows(&self) -> bool {
        !self.postoverflows.is_empty()
    }

    fn run<O: Observer>(
        &self,
        stages: &[Stage],
        event: &mut Event,
        now: Timestamp,
        scratch: &mut Scratch,
        stash: &Stash,
        observer: &mut O,
    ) -> bool {
        let context = Context {
            stash: StashAt { stash, now },
            source_ip: self.own.source_ip,
            forwarded_for: self.own.forwarded_for,
        };
        let mut candidates = std::mem::take(&mut scratch.candidates);
        let understood = stages.iter().all(|stage| {
            observer.stage(&stage.name);
            event.stage = Arc::clone(&stage.name);
            stage.run(event, &context, scratch, &mut candidates, observer)
        });
        scratch.candidates = candidates;
        understood
    }

    /// The scenarios, in the order they are poured into.
    #[must_use]
    pub fn scenarios(&self) -> &[Arc<Scenario>] {
        &self.scenarios
    }

    /// Every rule, for lists.
    #[must_use]
    pub fn infos(&self) -> &[RuleInfo] {
        &self.infos
    }

    /// The file with that path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&RuleFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// What is worth knowing about the rules though they work: data files that nobody supplied.
    #[must_use]
    pub fn warnings(&self) -> &[LoadError] {
        &self.warnings
    }
}

impl Stage {
    fn run<O: Observer>(
        &self,
        event: &mut Event,
        context: &Context<'_>,
        scratch: &mut Scratch,
        candidates: &mut Vec<u32>,
        observer: &mut O,
    ) -> bool {
        let mut understood = false;
        self.index.candidates(event, candidates);
        let mut position = 0;
        while let Some(number) = candidates.get(position).copied() {
            let node = &self.nodes[number as usize];
            if node.run(event, context, scratch, observer) {
                understood = true;
                proxy::resolve(event, context.source_ip, context.forwarded_for);
                if node.on_success == OnSuccess::NextStage {
                    break;
                }
                // It may have set a field that later nodes are filed under.
                self.index.candidates(event, candidates);
                position = candidates.partition_point(|candidate| *candidate <= number);
            } else {
                position += 1;
            }
        }
        understood
    }
}
