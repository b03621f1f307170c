//! Statics: the assignments that a node makes once it has understood a line.
//!
//! The common ones (a constant, a field copied from another) are done without evaluating anything.

use lymph_protocol::Timestamp;

use crate::data::DataFiles;
use crate::date::{LogTime, Yearless, parse_date};
use crate::document::{LoadError, Spanned, StaticDocument, line_of, nearest};
use crate::enrich::Enricher;
use crate::event::{Event, Keys, Namespace, Slot};
use crate::expr::{Effects, Env, Expr, Globals, StashRead};
use crate::scenario::{compile_expression, plain_field};

/// One assignment.
#[derive(Clone, Debug)]
pub(crate) struct Static {
    target: Target,
    source: Source,
}

#[derive(Clone, Debug)]
enum Target {
    Field(Slot),
    StrTime,
    StrTimeFormat,
    /// The log's own time, as RFC 3339 text.
    MarshaledTime,
    /// `Unmarshaled.name`.
    Unmarshaled(Box<str>),
    Enricher(Enricher),
}

#[derive(Clone, Debug)]
enum Source {
    Constant(Box<[u8]>),
    Field(Slot),
    /// `evt.StrTime`.
    StrTime,
    Raw,
    /// `evt.Enriched.MarshaledTime` into `MarshaledTime`: the time is there already.
    Nothing,
    Expression(Expr),
}

impl Static {
    pub(crate) fn compile(
        file: &str,
        document: &Spanned<StaticDocument>,
        keys: &mut Keys,
        data: &DataFiles,
    ) -> Result<Static, LoadError> {
        let line = line_of(document);
        let wrong = |key: &str, message: String| LoadError::new(file, line, key, message);
        let written = &document.value;
        let mut intern = |namespace, name: &str| {
            keys.intern(namespace, name)
                .map_err(|error| wrong("statics", error.to_string()))
        };
        let target = match written {
            StaticDocument {
                method: Some(method),
                ..
            } => Target::Enricher(Enricher::named(method).ok_or_else(|| {
                let known = Enricher::NAMES.join(", ");
                wrong(
                    "method",
                    format!("unknown method {method}; there are {known}"),
                )
            })?),
            StaticDocument {
                parsed: Some(name), ..
            } => Target::Field(intern(Namespace::Parsed, name)?),
            StaticDocument {
                meta: Some(name), ..
            } => Target::Field(intern(Namespace::Meta, name)?),
            StaticDocument {
                enriched: Some(name),
                ..
            } => Target::Field(intern(Namespace::Enriched, name)?),
            StaticDocument {
                target: Some(path), ..
            } => target_of(path, &mut intern).map_err(|message| wrong("target", message))??,
            StaticDocument { .. } => {
                return Err(wrong(
                    "statics",
                    "names no target: write one of parsed, meta, enriched, target, method".into(),
                ));
            }
        };
        let source = match (&written.value, &written.expression) {
            (Some(value), _) if !value.is_empty() => Source::Constant(value.as_bytes().into()),
            (_, Some(text)) => {
                let source = text.value.trim();
                if matches!(target, Target::MarshaledTime) && source == "evt.Enriched.MarshaledTime"
                {
                    Source::Nothing
                } else if source == "evt.StrTime" {
                    Source::StrTime
                } else if source == "evt.Line.Raw" {
                    Source::Raw
                } else if let Some((namespace, name)) = plain_field(source) {
                    Source::Field(intern(namespace, name)?)
                } else {
                    Source::Expression(compile_expression(
                        file,
                        text,
                        "expression",
                        Globals::Parser,
                        keys,
                        data,
                    )?)
                }
            }
            (Some(_), None) => Source::Nothing,
            (None, None) => {
                return Err(wrong(
                    "statics",
                    "says nothing to assign: write value or expression".into(),
                ));
            }
        };
        Ok(Static { target, source })
    }

    /// Assign. Whether the expression, if there is one, could be evaluated to a text.
    pub(crate) fn apply(
        &self,
        event: &mut Event,
        now: Timestamp,
        stash: &dyn StashRead,
        scratch: &mut Vec<u8>,
    ) -> bool {
        match (&self.source, &self.target) {
            (Source::Nothing, _) => true,
            (Source::Field(from), Target::Field(to)) => {
                // An empty value sets nothing.
                if let Some(span) = event.span(*from).filter(|span| !span.is_empty()) {
                    event.set_span(*to, span);
                }
                true
            }
            (Source::Field(from), Target::StrTime) => {
                if let Some(span) = event.span(*from).filter(|span| !span.is_empty()) {
                    event.set_str_time_span(span);
                }
                true
            }
            (Source::Constant(value), Target::Field(to)) => {
                event.set(*to, value);
                true
            }
            _ => {
                scratch.clear();
                let understood = self.value(event, now, stash, scratch);
                if !scratch.is_empty()
                    || matches!(self.target, Target::Enricher(Enricher::ParseDate(_)))
                {
                    self.target.set(event, scratch, now);
                }
                understood
            }
        }
    }

    fn value(
        &self,
        event: &mut Event,
        now: Timestamp,
        stash: &dyn StashRead,
        scratch: &mut Vec<u8>,
    ) -> bool {
        match &self.source {
            Source::Nothing => true,
            Source::Constant(value) => {
                scratch.extend_from_slice(value);
                true
            }
            Source::Field(slot) => {
                scratch.extend_from_slice(event.field(*slot));
                true
            }
            Source::StrTime => {
                scratch.extend_from_slice(event.str_time());
                true
            }
            Source::Raw => {
                scratch.extend_from_slice(event.raw());
                true
            }
            Source::Expression(expression) => {
                let effects = Effects::default();
                let env = Env::of(event, now).with_stash(stash).with_effects(&effects);
                let understood = match expression.eval_text(&env) {
                    Ok(Some(text)) => {
                        scratch.extend_from_slice(&text);
                        true
                    }
                    Ok(None) => true,
                    Err(_) => false,
                };
                effects.apply(event);
                understood
            }
        }
    }

    /// Tell the ParseDate enricher whether anybody reads what it puts into `Enriched`.
    pub(crate) fn finish(&mut self, keys: &Keys) {
        if let Target::Enricher(Enricher::ParseDate(slot)) = &mut self.target {
            *slot = keys.find(Namespace::Enriched, "MarshaledTime");
        }
    }
}

impl Target {
    fn set(&self, event: &mut Event, text: &[u8], now: Timestamp) {
        match self {
            Target::Field(slot) => event.set(*slot, text),
            Target::StrTime => event.set_str_time(text),
            Target::StrTimeFormat => event.set_str_time_format(text),
            Target::MarshaledTime => {
                let read = parse_rfc3339(text, now).map(|date| event.source.zone.place(date, now));
                // Rules put back what ParseDate made; that knows more than its text.
                if read != event.log_time {
                    event.log_time = read.or(event.log_time);
                }
            }
            Target::Unmarshaled(name) => {
                event.set_data(
                    name,
                    serde_json::Value::String(String::from_utf8_lossy(text).into_owned()),
                );
            }
            Target::Enricher(enricher) => enricher.run(event, text, now),
        }
    }
}

fn parse_rfc3339(text: &[u8], now: Timestamp) -> Option<LogTime> {
    parse_date(text, b"2006-01-02T15:04:05Z07:00", now, Yearless::Current)
}

type Interned<T> = Result<T, LoadError>;

/// The target that a dotted path names, with or without `evt.` before it.
fn target_of(
    path: &str,
    intern: &mut dyn FnMut(Namespace, &str) -> Interned<Slot>,
) -> Result<Interned<Target>, String> {
    let path = path.strip_prefix("evt.").unwrap_or(path);
    if let Some((map, name)) = path.split_once('.') {
        let namespace = match map {
            "Parsed" => Namespace::Parsed,
            "Meta" => Namespace::Meta,
            "Enriched" => Namespace::Enriched,
            "Unmarshaled" => return Ok(Ok(Target::Unmarshaled(name.into()))),
            _ => return Err(unknown_target(path)),
        };
        return Ok(intern(namespace, name).map(Target::Field));
    }
    match path {
        "StrTime" => Ok(Ok(Target::StrTime)),
        "StrTimeFormat" => Ok(Ok(Target::StrTimeFormat)),
        "MarshaledTime" => Ok(Ok(Target::MarshaledTime)),
        _ => Err(unknown_target(path)),
    }
}

fn unknown_target(path: &str) -> String {
    let known = [
        "StrTime",
        "StrTimeFormat",
        "MarshaledTime",
        "Parsed.NAME",
        "Meta.NAME",
        "Enriched.NAME",
        "Unmarshaled.NAME",
    ];
    match nearest(path, known) {
        Some(near) => format!("{path} cannot be set, did you mean {near}?"),
        None => format!("{path} cannot be set; these can: {}", known.join(", ")),
    }
}
