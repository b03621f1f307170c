//! Nodes of parsers and postoverflows: what understands a line.
//!
//! A node acts in this order: filter, whitelist, grok with its statics, stash, sub-nodes, statics. A node whose
//! grok failed has failed, but its sub-nodes still run and a later successful one makes it succeed. A sub-node
//! that succeeds ends the loop only if the parent says `onsuccess: next_stage`; one that fails makes a parent
//! without a grok of its own fail. A node without a success in the end assigns nothing.
//!
//! `rules` walks the stages; the fields end up in an `Event`.

use aho_corasick::AhoCorasick;

use crate::data::DataFiles;
use crate::document::{
    GrokDocument, LoadError, NodeDocument, Spanned, StaticDocument, line_of, nearest,
};
use crate::event::{Event, Keys, Namespace, Slot, Span};
use crate::expr::{Effects, Env, Expr, Globals, Guard};
use crate::grok::{Grok, GrokCache, Patterns};
use crate::scenario::compile_expression;
use crate::stash::{StashAt, StashRule};
use crate::statics::Static;
use crate::trace::Observer;
use crate::whitelist::Whitelist;

/// How deep nodes may lie in nodes. The hub's deepest is 4.
pub(crate) const NODE_DEPTH_MAX: usize = 16;

/// What a success means for the rest of the stage, or of the parent's sub-nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSuccess {
    Continue,
    NextStage,
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: Box<str>,
    pub(crate) on_success: OnSuccess,
    pub(crate) guards: Vec<Guard>,
    filter: Option<Expr>,
    whitelist: Option<Whitelist>,
    grok: Option<GrokRule>,
    stash: Vec<StashRule>,
    nodes: Vec<Node>,
    /// Which sub-nodes' patterns cannot match, found in one pass over the text.
    screen: Option<Screen>,
    statics: Vec<Static>,
}

#[derive(Clone, Debug)]
struct GrokRule {
    grok: Grok,
    on: On,
    statics: Vec<Static>,
}

#[derive(Clone, Debug)]
enum On {
    Parsed(Slot),
    Raw,
    Expression(Expr),
}

/// One search for the literals that sub-nodes' patterns cannot do without.
#[derive(Clone, Debug)]
struct Screen {
    on: Slot,
    literals: AhoCorasick,
    /// For each literal, the bits of the sub-nodes that need it.
    needed_by: Vec<u128>,
    /// The sub-nodes that need a literal.
    screened: u128,
}

/// What parsing writes on, kept from line to line so that it allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) grok: GrokCache,
    pub(crate) text: Vec<u8>,
    pub(crate) candidates: Vec<u32>,
    /// Expressions that failed since the last look.
    pub(crate) failures: u64,
}

/// What a node needs beside its event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) stash: StashAt<'a>,
    pub(crate) source_ip: Slot,
    pub(crate) forwarded_for: Slot,
}

impl Context<'_> {
    fn env<'e>(&'e self, event: &'e Event) -> Env<'e> {
        Env::of(event, self.stash.now).with_stash(&self.stash)
    }
}

impl Node {
    pub(crate) fn compile(
        file: &str,
        document: &NodeDocument,
        keys: &mut Keys,
        patterns: &mut Patterns,
        data: &DataFiles,
        depth: usize,
    ) -> Result<Node, LoadError> {
        if depth > NODE_DEPTH_MAX {
            return Err(LoadError::new(
                file,
                0,
                "nodes",
                format!("deeper than {NODE_DEPTH_MAX}"),
            ));
        }
        for (name, pattern) in &document.pattern_syntax.0 {
            patterns.define(name, &pattern.value).map_err(|error| {
                LoadError::new(
                    file,
                    line_of(pattern),
                    &format!("pattern_syntax.{name}"),
                    error,
                )
            })?;
        }
        let filter = match &document.filter {
            Some(text) if !text.value.trim().is_empty() => Some(compile_expression(
                file,
                text,
                "filter",
                Globals::Parser,
                keys,
                data,
            )?),
            _ => None,
        };
        let on_success = match document
            .onsuccess
            .as_ref()
            .map(|text| (text.value.as_str(), line_of(text)))
        {
            None | Some(("continue" | "", _)) => OnSuccess::Continue,
            Some(("next_stage", _)) => OnSuccess::NextStage,
            Some((other, line)) => {
                let near =
                    nearest(other, ["continue", "next_stage"]).unwrap_or("continue or next_stage");
                let message = format!("unknown value {other:?}, did you mean {near}?");
                return Err(LoadError::new(file, line, "onsuccess", message));
            }
        };
        let whitelist = document
            .whitelist
            .as_ref()
            .map(|list| Whitelist::compile(file, list, keys, data))
            .transpose()?;
        let grok = document
            .grok
            .as_ref()
            .map(|grok| GrokRule::compile(file, grok, keys, patterns, data))
            .transpose()?;
        let mut stash = Vec::new();
        for rule in &document.stash {
            stash.push(StashRule::compile(file, rule, keys, data)?);
        }
        let mut nodes = Vec::new();
        for (index, node) in document.nodes.iter().enumerate() {
            let mut node = Node::compile(file, node, keys, patterns, data, depth + 1)?;
            if node.name.is_empty() {
                node.name = format!("child-{index}").into();
            }
            nodes.push(node);
        }
        Ok(Node {
            name: document.name.as_deref().unwrap_or_default().into(),
            on_success,
            guards: filter.as_ref().map(Expr::guards).unwrap_or_default(),
            filter,
            whitelist: whitelist.filter(|list| !list.is_empty()),
            grok: grok.flatten(),
            stash,
            screen: Screen::over(&nodes),
            nodes,
            statics: compile_statics(file, &document.statics, keys, data)?,
        })
    }

    /// Last word once all keys are known.
    pub(crate) fn finish(&mut self, keys: &Keys) {
        let own = self.statics.iter_mut();
        own.chain(
            self.grok
                .iter_mut()
                .flat_map(|grok| grok.statics.iter_mut()),
        )
        .for_each(|one| one.finish(keys));
        self.nodes.iter_mut().for_each(|node| node.finish(keys));
    }

    /// Whether the node understood the event.
    pub(crate) fn run<O: Observer>(
        &self,
        event: &mut Event,
        context: &Context<'_>,
        scratch: &mut Scratch,
        observer: &mut O,
    ) -> bool {
        observer.enter(&self.name);
        let understood = self.attempt(event, context, scratch, observer);
        observer.leave(understood);
        understood
    }

    fn attempt<O: Observer>(
        &self,
        event: &mut Event,
        context: &Context<'_>,
        scratch: &mut Scratch,
        observer: &mut O,
    ) -> bool {
        if let Some(filter) = &self.filter {
            let effects = Effects::default();
            let passes = filter.eval_bool(&context.env(event).with_effects(&effects));
            effects.apply(event);
            scratch.failures += u64::from(passes.is_err());
            if passes != Ok(true) {
                observer.filtered(filter.source(), passes.err());
                return false;
            }
        }
        let listed = self
            .whitelist
            .as_ref()
            .map(|list| list.apply(event, context.stash.now, &context.stash, context.source_ip));
        let matched = self
            .grok
            .as_ref()
            .map(|grok| grok.apply(event, context, scratch, observer));
        if matched != Some(false) {
            self.stash
                .iter()
                .for_each(|rule| rule.apply(event, context.stash.now, context.stash.stash));
        }
        let understood = self.run_nodes(matched, event, context, scratch, observer);
        if understood && listed != Some(false) {
            apply_statics(&self.statics, event, context, scratch);
        }
        understood
    }

    fn run_nodes<O: Observer>(
        &self,
        matched: Option<bool>,
        event: &mut Event,
        context: &Context<'_>,
        scratch: &mut Scratch,
        observer: &mut O,
    ) -> bool {
        let mut understood = matched != Some(false);
        let mut screened: Option<(Option<Span>, u128)> = None;
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(screen) = &self.screen {
                let span = event.span(screen.on);
                let hopeless = match screened {
                    Some((seen, hopeless)) if seen == span => hopeless,
                    _ => screen.hopeless(event.field(screen.on)),
                };
                screened = Some((span, hopeless));
                if index < 128 && hopeless & (1 << index) != 0 && !O::WANTS_ALL {
                    understood &= matched == Some(true);
                    continue;
                }
            }
            if node.run(event, context, scratch, observer) {
                understood = true;
                if self.on_success == OnSuccess::NextStage {
                    break;
                }
            } else if matched != Some(true) {
                understood = false;
            }
        }
        understood
    }

    /// The pattern's literal and field, if all that this node can do hangs on its pattern.
    fn literal(&self) -> Option<(Slot, &[u8])> {
        let grok = self.grok.as_ref()?;
        let On::Parsed(slot) = grok.on else {
            return None;
        };
        let only_pattern = self.whitelist.is_none() && self.nodes.is_empty();
        only_pattern
            .then_some(slot)
            .zip(grok.grok.required_literal())
    }
}

impl Screen {
    /// Worth it from three patterns on; fewer are searched for one by one.
    fn over(nodes: &[Node]) -> Option<Screen> {
        let on = nodes
            .iter()
            .find_map(|node| node.literal())
            .map(|(slot, _)| slot)?;
        let mut literals: Vec<&[u8]> = Vec::new();
        let mut needed_by: Vec<u128> = Vec::new();
        let mut screened = 0u128;
        for (index, node) in nodes.iter().enumerate().take(128) {
            let Some((slot, literal)) = node.literal() else {
                continue;
            };
            if slot != on {
                continue;
            }
            screened |= 1 << index;
            match literals.iter().position(|known| *known == literal) {
                Some(known) => needed_by[known] |= 1 << index,
                None => {
                    literals.push(literal);
                    needed_by.push(1 << index);
                }
            }
        }
        if literals.len() < 3 {
            return None;
        }
        let literals = AhoCorasick::new(&literals).ok()?;
        Some(Screen {
            on,
            literals,
            needed_by,
            screened,
        })
    }

    /// The sub-nodes whose literal is not in the text.
    fn hopeless(&self, text: &[u8]) -> u128 {
        let mut hopeless = self.screened;
        for found in self.literals.find_overlapping_iter(text) {
            hopeless &= !self.needed_by[found.pattern().as_usize()];
        }
        hopeless
    }
}

impl GrokRule {
    fn compile(
        file: &str,
        document: &GrokDocument,
        keys: &mut Keys,
        patterns: &Patterns,
        data: &DataFiles,
    ) -> Result<Option<GrokRule>, LoadError> {
        let (pattern, key, line) = match (&document.pattern, &document.name) {
            (Some(pattern), _) if !pattern.value.is_empty() => {
                (pattern.value.clone(), "grok.pattern", line_of(pattern))
            }
            (_, Some(name)) if !name.value.is_empty() => {
                (format!("%{{{}}}", name.value), "grok.name", line_of(name))
            }
            _ => return Ok(None),
        };
        let grok = Grok::compile(&pattern, patterns, keys)
            .map_err(|error| LoadError::new(file, line, key, error))?;
        let on = match (&document.apply_on, &document.expression) {
            (Some(field), _) if field.value == "Line.Raw" => On::Raw,
            (Some(field), _) if !field.value.is_empty() => {
                let slot = keys.intern(Namespace::Parsed, &field.value);
                On::Parsed(slot.map_err(|error| {
                    LoadError::new(file, line_of(field), "grok.apply_on", error)
                })?)
            }
            (_, Some(text)) => On::Expression(compile_expression(
                file,
                text,
                "grok.expression",
                Globals::Parser,
                keys,
                data,
            )?),
            _ => {
                return Err(LoadError::new(
                    file,
                    line,
                    "grok",
                    "write apply_on or expression: what the pattern reads",
                ));
            }
        };
        Ok(Some(GrokRule {
            grok,
            on,
            statics: compile_statics(file, &document.statics, keys, data)?,
        }))
    }

    fn apply<O: Observer>(
        &self,
        event: &mut Event,
        context: &Context<'_>,
        scratch: &mut Scratch,
        observer: &mut O,
    ) -> bool {
        let span = match &self.on {
            On::Raw => Some(event.raw_span()),
            On::Parsed(slot) => event.span(*slot),
            On::Expression(expression) => {
                let text = expression
                    .eval_text(&context.env(event))
                    .ok()
                    .flatten()
                    .map(|text| text.to_vec());
                event.push(&text.unwrap_or_default())
            }
        };
        let matched = span.is_some_and(|span| self.grok.apply(event, span, &mut scratch.grok));
        observer.matched(self.grok.pattern(), matched);
        if matched {
            apply_statics(&self.statics, event, context, scratch);
        }
        matched
    }
}

fn compile_statics(
    file: &str,
    documents: &[Spanned<StaticDocument>],
    keys: &mut Keys,
    data: &DataFiles,
) -> Result<Vec<Static>, LoadError> {
    documents
        .iter()
        .map(|document| Static::compile(file, document, keys, data))
        .collect()
}

fn apply_statics(
    statics: &[Static],
    event: &mut Event,
    context: &Context<'_>,
    scratch: &mut Scratch,
) {
    for one in statics {
        let understood = one.apply(event, context.stash.now, &context.stash, &mut scratch.text);
        scratch.failures += u64::from(!understood);
    }
}
