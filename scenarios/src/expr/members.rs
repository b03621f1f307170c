//! The members of an event, by name.

use super::object::{NoAppsec, NoOverflow};
use super::value::Value;
use crate::date::LogTime;
use crate::event::{Event, Kind, Namespace};

/// A member of `evt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Parsed,
    Meta,
    Enriched,
    Unmarshaled,
    Line,
    Time,
    StrTime,
    StrTimeFormat,
    MarshaledTime,
    Type,
    ExpectMode,
    Whitelisted,
    WhitelistReason,
    Stage,
    Process,
    Overflow,
    Appsec,
}

impl Member {
    const ALL: [(&'static str, Member); 17] = [
        ("Parsed", Member::Parsed),
        ("Meta", Member::Meta),
        ("Enriched", Member::Enriched),
        ("Unmarshaled", Member::Unmarshaled),
        ("Line", Member::Line),
        ("Time", Member::Time),
        ("StrTime", Member::StrTime),
        ("StrTimeFormat", Member::StrTimeFormat),
        ("MarshaledTime", Member::MarshaledTime),
        ("Type", Member::Type),
        ("ExpectMode", Member::ExpectMode),
        ("Whitelisted", Member::Whitelisted),
        ("WhitelistReason", Member::WhitelistReason),
        ("Stage", Member::Stage),
        ("Process", Member::Process),
        ("Overflow", Member::Overflow),
        ("Appsec", Member::Appsec),
    ];

    pub(super) fn named(name: &str) -> Option<Member> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, member)| *member)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(name, _)| *name)
    }

    /// The string map that it is, if it is one.
    pub(super) fn namespace(self) -> Option<Namespace> {
        if self == Member::Parsed {
            Some(Namespace::Parsed)
        } else if self == Member::Meta {
            Some(Namespace::Meta)
        } else if self == Member::Enriched {
            Some(Namespace::Enriched)
        } else {
            None
        }
    }

    pub(super) fn read(self, event: &Event) -> Value<'_> {
        match self {
            Member::Parsed => Value::Fields(event, Namespace::Parsed),
            Member::Meta => Value::Fields(event, Namespace::Meta),
            Member::Enriched => Value::Fields(event, Namespace::Enriched),
            Member::Unmarshaled => Value::Unmarshaled(event),
            Member::Line => Value::Line(event),
            Member::Time => Value::Time(
                event
                    .log_time
                    .unwrap_or_else(|| LogTime::from(event.received_at)),
            ),
            Member::StrTime => Value::Str(event.str_time()),
            Member::StrTimeFormat => Value::Str(event.str_time_format()),
            Member::MarshaledTime => event
                .log_time
                .map_or(Value::from(""), |time| Value::text(time.to_string())),
            Member::Type => Value::Int(i64::from(matches!(event.kind, Kind::Overflow(_)))),
            Member::ExpectMode => Value::Int(event.source.log_time.into()),
            Member::Whitelisted => Value::Bool(event.whitelisted.is_some()),
            Member::WhitelistReason => {
                Value::from(event.whitelisted.as_deref().unwrap_or_default())
            }
            Member::Stage => Value::from(&*event.stage),
            Member::Process => Value::Bool(true),
            Member::Overflow => match &event.kind {
                Kind::Log => Value::Object(&NoOverflow),
                Kind::Overflow(overflow) => Value::Object(&**overflow),
            },
            Member::Appsec => Value::Object(&NoAppsec),
        }
    }
}

/// A member of `evt.Line`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineMember {
    Raw,
    Src,
    Time,
    Labels,
    Module,
    Process,
}

impl LineMember {
    const ALL: [(&'static str, LineMember); 6] = [
        ("Raw", LineMember::Raw),
        ("Src", LineMember::Src),
        ("Time", LineMember::Time),
        ("Labels", LineMember::Labels),
        ("Module", LineMember::Module),
        ("Process", LineMember::Process),
    ];

    pub(super) fn named(name: &str) -> Option<LineMember> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, member)| *member)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(name, _)| *name)
    }

    pub(super) fn read(self, event: &Event) -> Value<'_> {
        match self {
            LineMember::Raw => Value::Str(event.raw()),
            LineMember::Src => Value::from(&*event.source.name),
            LineMember::Time => Value::Time(LogTime::from(event.received_at)),
            LineMember::Labels => Value::Labels(&event.source.labels),
            LineMember::Module => Value::from(&*event.source.module),
            LineMember::Process => Value::Bool(true),
        }
    }
}

/// The methods of an event that only read it. Those that change it are functions of the compiler.
pub(super) const EVENT_METHODS: [&str; 5] = [
    "GetType",
    "GetMeta",
    "SetMeta",
    "SetParsed",
    "ParseIPSources",
];

/// `evt.GetType()`.
pub(super) fn type_name(event: &Event) -> &'static str {
    match event.kind {
        Kind::Log => "log",
        Kind::Overflow(_) => "overflow",
    }
}
