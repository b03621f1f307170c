//! A line as far as it is understood: fields, times, subject.
//!
//! An `Event` owns one buffer: first the line, behind it every text that rules compute. A field is a span of
//! that buffer in a slot whose number was given to its name when the rules were loaded, so that setting and
//! reading a field is an index and allocates nothing; an event is cleared and used again for the next line.
//!
//! Written by `parser`, read by `expr`, poured into `bucket`.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use lymph_protocol::{Timestamp, canonical_address};

use crate::date::LogTime;
use crate::line::{Line, Source};
use crate::overflow::Overflow;

/// Which of an event's string maps a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// `evt.Parsed`: captures of patterns.
    Parsed,
    /// `evt.Meta`: what leaves with a detection.
    Meta,
    /// `evt.Enriched`: what enrichers found out.
    Enriched,
}

/// The number of a key that some rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot as a number, for packing.
    #[must_use]
    pub(crate) fn number(self) -> u16 {
        self.0
    }

    /// The slot with that number; only for numbers that came from [`Slot::number`].
    #[must_use]
    pub(crate) fn from_number(number: u16) -> Slot {
        Slot(number)
    }
}

/// Every key that the loaded rules name, numbered.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    names: Vec<(Namespace, Box<str>)>,
    slots: HashMap<(Namespace, Box<str>), Slot>,
}

/// More keys than an event has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rules name more than {} different fields", Keys::MAX)]
pub struct TooManyKeys;

impl Keys {
    /// How many keys all rules together may name. The whole hub names about 2,000.
    pub const MAX: usize = 16_384;

    /// The key's slot, a new one if it has none yet.
    pub fn intern(&mut self, namespace: Namespace, name: &str) -> Result<Slot, TooManyKeys> {
        if let Some(slot) = self.find(namespace, name) {
            return Ok(slot);
        }
        if self.names.len() >= Self::MAX {
            return Err(TooManyKeys);
        }
        let slot = Slot(self.names.len() as u16);
        self.names.push((namespace, name.into()));
        self.slots.insert((namespace, name.into()), slot);
        Ok(slot)
    }

    /// The key's slot, if some rule names it.
    #[must_use]
    pub fn find(&self, namespace: Namespace, name: &str) -> Option<Slot> {
        self.slots.get(&(namespace, Box::from(name))).copied()
    }

    /// Map and name of the key with that slot.
    #[must_use]
    pub fn name(&self, slot: Slot) -> (Namespace, &str) {
        let (namespace, name) = &self.names[usize::from(slot.0)];
        (*namespace, name)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// A piece of the event's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    const UNSET: Span = Span {
        start: u32::MAX,
        end: u32::MAX,
    };
    const EMPTY: Span = Span { start: 0, end: 0 };

    fn is_set(self) -> bool {
        self != Span::UNSET
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A structured value that a rule unfolded (JSON, key-value, XML): `evt.Unmarshaled`.
pub type Data = serde_json::Value;

/// What an event is about.
#[derive(Clone, Debug, Default)]
pub enum Kind {
    /// A line of a log.
    #[default]
    Log,
    /// A detection that is poured again (`reprocess`) or that a postoverflow looks at.
    Overflow(Arc<Overflow>),
}

/// A line as far as it is understood.
#[derive(Clone, Debug)]
pub struct Event {
    keys: Arc<Keys>,
    buffer: Vec<u8>,
    line_bytes: usize,
    fields: Vec<Span>,
    touched: Vec<Slot>,
    /// Fields whose key no rule names: set through a computed key only.
    unnamed: BTreeMap<(Namespace, Box<str>), Span>,
    str_time: Span,
    str_time_format: Span,
    /// What the event is about.
    pub kind: Kind,
    /// Where the line was read.
    pub source: Arc<Source>,
    /// The line's id.
    pub line_id: u64,
    /// When the line was read.
    pub received_at: Timestamp,
    /// The log's own time, once a rule has read it.
    pub log_time: Option<LogTime>,
    /// `evt.Unmarshaled`, by name.
    pub unmarshaled: Vec<(Box<str>, Data)>,
    /// Set by a whitelist: the line is understood, and harmless; with its reason.
    pub whitelisted: Option<Arc<str>>,
    /// The stage that is at work, or `Stage::DONE`'s name: `evt.Stage`.
    pub stage: Arc<str>,
}

impl Event {
    /// How many bytes computed fields of one event may add to its line. What does not fit is left unset.
    pub const COMPUTED_BYTES_MAX: usize = 4 * crate::line::LINE_BYTES_MAX;

    /// An empty event with room for these keys.
    #[must_use]
    pub fn new(keys: Arc<Keys>) -> Self {
        Event {
            fields: vec![Span::UNSET; keys.len()],
            keys,
            buffer: Vec::with_capacity(1024),
            line_bytes: 0,
            touched: Vec::with_capacity(64),
            unnamed: BTreeMap::new(),
            str_time: Span::EMPTY,
            str_time_format: Span::EMPTY,
            kind: Kind::Log,
            source: Arc::default(),
            line_id: 0,
            received_at: Timestamp::EPOCH,
            log_time: None,
            unmarshaled: Vec::new(),
            whitelisted: None,
            stage: Arc::from(""),
        }
    }

    /// Forget everything and take up a line, cut to [`crate::line::LINE_BYTES_MAX`].
    pub fn start(&mut self, line: &Line<'_>) {
        self.clear();
        let text = &line.text[..line.text.len().min(crate::line::LINE_BYTES_MAX)];
        self.buffer.extend_from_slice(text);
        self.line_bytes = text.len();
        if !Arc::ptr_eq(&self.source, line.source) {
            self.source = Arc::clone(line.source);
        }
        self.line_id = line.id;
        self.received_at = line.received_at;
    }

    /// Forget everything and take up a detection.
    pub fn start_overflow(&mut self, overflow: Arc<Overflow>, received_at: Timestamp) {
        self.clear();
        self.line_bytes = 0;
        self.line_id = overflow.first_line;
        self.received_at = received_at;
        self.log_time = Some(LogTime::from(overflow.last_seen));
        self.kind = Kind::Overflow(overflow);
    }

    fn clear(&mut self) {
        for slot in self.touched.drain(..) {
            self.fields[usize::from(slot.0)] = Span::UNSET;
        }
        if !self.unnamed.is_empty() {
            self.unnamed.clear();
        }
        self.buffer.clear();
        self.str_time = Span::EMPTY;
        self.str_time_format = Span::EMPTY;
        if !matches!(self.kind, Kind::Log) {
            self.kind = Kind::Log;
        }
        self.log_time = None;
        self.unmarshaled.clear();
        self.whitelisted = None;
    }

    /// The keys this event has slots for.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// The line: `evt.Line.Raw`.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.buffer[..self.line_bytes]
    }

    /// The field, or `None` where it was never set.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&[u8]> {
        let span = self.fields[usize::from(slot.0)];
        span.is_set().then(|| self.text(span))
    }

    /// The field, empty where it was never set: what rules read.
    #[must_use]
    #[inline]
    pub fn field(&self, slot: Slot) -> &[u8] {
        self.get(slot).unwrap_or_default()
    }

    /// The field with that name, empty where it was never set.
    #[must_use]
    pub fn by_name(&self, namespace: Namespace, name: &str) -> &[u8] {
        self.get_by_name(namespace, name).unwrap_or_default()
    }

    /// The field with that name, if it was set.
    #[must_use]
    pub fn get_by_name(&self, namespace: Namespace, name: &str) -> Option<&[u8]> {
        match self.keys.find(namespace, name) {
            Some(slot) => self.get(slot),
            None => self
                .unnamed
                .get(&(namespace, Box::from(name)))
                .map(|span| self.text(*span)),
        }
    }

    /// Every field of a map that is set, in order of its name.
    #[must_use]
    pub fn map(&self, namespace: Namespace) -> Vec<(&str, &[u8])> {
        let named = self.touched.iter().filter_map(|slot| {
            let (in_map, name) = self.keys.name(*slot);
            (in_map == namespace).then(|| (name, self.field(*slot)))
        });
        let unnamed = self
            .unnamed
            .iter()
            .filter(|((in_map, _), _)| *in_map == namespace);
        let mut all: Vec<_> = named
            .chain(unnamed.map(|((_, name), span)| (&**name, self.text(*span))))
            .collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }

    /// The named fields of a map that are set, in the order they were first set.
    pub(crate) fn set_slots(&self, namespace: Namespace) -> impl Iterator<Item = (Slot, &[u8])> {
        self.touched
            .iter()
            .filter(move |slot| self.keys.name(**slot).0 == namespace)
            .map(|slot| (*slot, self.field(*slot)))
    }

    /// The bytes of a span of this event.
    #[must_use]
    #[inline]
    pub fn text(&self, span: Span) -> &[u8] {
        &self.buffer[span.start as usize..span.end as usize]
    }

    /// The span of a field, for patterns that cut pieces out of it.
    #[must_use]
    #[inline]
    pub fn span(&self, slot: Slot) -> Option<Span> {
        let span = self.fields[usize::from(slot.0)];
        span.is_set().then_some(span)
    }

    /// The span of the whole line.
    #[must_use]
    pub fn raw_span(&self) -> Span {
        Span {
            start: 0,
            end: self.line_bytes as u32,
        }
    }

    /// Set a field to the piece `start..end` of a span.
    #[inline]
    pub fn set_piece(&mut self, slot: Slot, of: Span, start: usize, end: usize) {
        let piece = Span {
            start: of.start + start as u32,
            end: of.start + end as u32,
        };
        debug_assert!(piece.start <= piece.end && piece.end <= of.end);
        self.set_span(slot, piece);
    }

    /// Set a field to a span of this event.
    #[inline]
    pub fn set_span(&mut self, slot: Slot, span: Span) {
        let field = &mut self.fields[usize::from(slot.0)];
        if !field.is_set() {
            self.touched.push(slot);
        }
        *field = span;
    }

    /// Set a field to a computed text. Does nothing once [`Event::COMPUTED_BYTES_MAX`] is reached.
    pub fn set(&mut self, slot: Slot, text: &[u8]) {
        if let Some(span) = self.push(text) {
            self.set_span(slot, span);
        }
    }

    /// Set a field by name.
    pub fn set_by_name(&mut self, namespace: Namespace, name: &str, text: &[u8]) {
        match self.keys.find(namespace, name) {
            Some(slot) => self.set(slot, text),
            None => {
                if let Some(span) = self.push(text) {
                    self.unnamed.insert((namespace, name.into()), span);
                }
            }
        }
    }

    /// Put a computed text behind the line.
    pub fn push(&mut self, text: &[u8]) -> Option<Span> {
        if self.buffer.len() + text.len() > self.line_bytes + Self::COMPUTED_BYTES_MAX {
            return None;
        }
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(text);
        Some(Span {
            start,
            end: self.buffer.len() as u32,
        })
    }

    /// The span of a text that lies in this event's own buffer.
    #[must_use]
    pub fn span_of(&self, text: &[u8]) -> Option<Span> {
        let base = self.buffer.as_ptr() as usize;
        let start = (text.as_ptr() as usize).checked_sub(base)?;
        let end = start + text.len();
        (end <= self.buffer.len()).then_some(Span {
            start: start as u32,
            end: end as u32,
        })
    }

    /// `evt.StrTime`: the log's own time, still as text.
    #[must_use]
    pub fn str_time(&self) -> &[u8] {
        self.text(self.str_time)
    }

    /// Set `evt.StrTime`.
    pub fn set_str_time(&mut self, text: &[u8]) {
        if let Some(span) = self.push(text) {
            self.str_time = span;
        }
    }

    /// Set `evt.StrTime` to a span of this event.
    pub fn set_str_time_span(&mut self, span: Span) {
        self.str_time = span;
    }

    /// `evt.StrTimeFormat`: how to read it, as a Go layout.
    #[must_use]
    pub fn str_time_format(&self) -> &[u8] {
        self.text(self.str_time_format)
    }

    /// Set `evt.StrTimeFormat`.
    pub fn set_str_time_format(&mut self, text: &[u8]) {
        if let Some(span) = self.push(text) {
            self.str_time_format = span;
        }
    }

    /// `Meta.source_ip` as an address in canonical form, if it is one.
    #[must_use]
    pub fn source_address(&self, source_ip: Slot) -> Option<IpAddr> {
        parse_address(self.field(source_ip))
    }

    /// The structured value with that name.
    #[must_use]
    pub fn data(&self, name: &str) -> Option<&Data> {
        self.unmarshaled
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, data)| data)
    }

    /// Put a structured value under a name, in place of the one that was there.
    pub fn set_data(&mut self, name: &str, data: Data) {
        match self.unmarshaled.iter_mut().find(|(key, _)| &**key == name) {
            Some((_, old)) => *old = data,
            None => self.unmarshaled.push((name.into(), data)),
        }
    }
}

/// The address that a text is, in canonical form.
#[must_use]
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    IpAddr::parse_ascii_or_none(text).map(canonical_address)
}

trait ParseAscii: Sized {
    fn parse_ascii_or_none(text: &[u8]) -> Option<Self>;
}

impl ParseAscii for IpAddr {
    fn parse_ascii_or_none(text: &[u8]) -> Option<Self> {
        // The longest address is 45 bytes; anything longer is not worth the check for UTF-8.
        if text.is_empty() || text.len() > 45 {
            return None;
        }
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}
