//! What the API is asked for, as JSON, and what the engine is then asked for.

use std::sync::Arc;
use std::time::Duration;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::allowlist;
use crate::engine::decision::{DetectionId, Kind, Origin};
use crate::engine::request::{Ban, HeldSelection, Request, Selection, Wish};

/// How many decisions one request may make. More come in several, with the same id.
pub const WISHES_MAX: usize = 5_000;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 200;
/// How long a ban lasts if nobody says.
pub const BAN_FOR: Duration = Duration::from_secs(4 * 60 * 60);
/// Longest ban: a year. What shall never come back belongs into a firewall of its own.
pub const BAN_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Decisions to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BanRequest {
    /// `operator` (default), `lists` or `crowdsec`.
    pub origin: Option<String>,
    /// Also about those that are protected, as far as that is possible.
    pub force: bool,
    /// The id of an earlier request that this one continues.
    pub id: Option<String>,
    /// About whom.
    pub entries: Vec<WishRequest>,
    /// On this machine alone, also if it is in a fleet.
    pub here: bool,
}

/// One decision to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WishRequest {
    /// Address or network.
    pub subject: String,
    /// `ban` (default), `throttle` or `captcha`.
    pub kind: Option<String>,
    /// For so many seconds; four hours if it does not say.
    pub seconds: Option<u64>,
    /// Why.
    pub reason: Option<String>,
}

/// Decisions to take back: those that fit everything that is said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiftRequest {
    /// Address or network.
    pub subject: Option<String>,
    /// Id of a decision, or of the import that made it.
    pub id: Option<String>,
    /// Whose.
    pub origin: Option<String>,
    /// For this reason: a scenario or the name of a list.
    pub reason: Option<String>,
    /// Every one.
    pub all: bool,
    /// They were wrong.
    pub false_positive: bool,
    /// On this machine alone, also if it is in a fleet.
    pub here: bool,
}

/// What to undo.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UndoRequest {
    /// Id; without it the last thing.
    pub id: Option<String>,
    /// On this machine alone, also if it is in a fleet.
    pub here: bool,
}

/// What to allow, or no longer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllowRequest {
    /// Address, network or host name.
    pub what: String,
    /// Why.
    pub reason: Option<String>,
    /// On this machine alone, also if it is in a fleet.
    pub here: bool,
}

/// What of that which is held: one of the four.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldRequest {
    /// All of it.
    pub all: bool,
    /// Of this scenario or list.
    pub reason: Option<String>,
    /// About this address or network.
    pub subject: Option<String>,
    /// Of this origin.
    pub origin: Option<String>,
}

/// A request that the whole fleet hears of, unless it is for this machine alone.
fn everywhere(request: Request, here: bool) -> Request {
    match here {
        true => request,
        false => Request::Everywhere(Box::new(request)),
    }
}

impl BanRequest {
    /// What the engine is asked for, and the id that it gets. Errors say what is wrong with the request.
    pub fn meant(self, now: Timestamp) -> Result<(Request, DetectionId), String> {
        let origin = match self.origin.as_deref() {
            None => Origin::Operator,
            Some(name) => origin(name)?,
        };
        if !matches!(origin, Origin::Operator | Origin::Lists | Origin::Crowdsec) {
            return Err(format!("nobody else decides for {}", origin.name()));
        }
        if self.entries.len() > WISHES_MAX {
            return Err(format!(
                "{} entries in one request, at most {WISHES_MAX}: send the rest with the id of the first",
                self.entries.len()
            ));
        }
        let first = self
            .entries
            .first()
            .map_or("", |entry| entry.subject.as_str());
        let id = match &self.id {
            Some(id) => parsed(id)?,
            None => DetectionId::of(origin.name(), first, now.millis()),
        };
        let wishes = self
            .entries
            .into_iter()
            .map(|entry| entry.meant(origin))
            .collect::<Result<_, _>>()?;
        let force = self.force;
        let ban = Ban {
            id,
            origin,
            force,
            wishes,
        };
        // A list is imported on each machine; what is forced is forced where its reason is known.
        let here = self.here || force || origin != Origin::Operator;
        Ok((everywhere(Request::Ban(ban), here), id))
    }
}

impl WishRequest {
    fn meant(self, origin: Origin) -> Result<Wish, String> {
        let length = self.seconds.map_or(BAN_FOR, Duration::from_secs);
        if length.is_zero() || length > BAN_MAX {
            return Err(format!(
                "{}: a decision lasts between a second and a year",
                self.subject
            ));
        }
        let reason = self.reason.unwrap_or_else(|| match origin {
            Origin::Operator => "by hand".to_owned(),
            Origin::Lists | Origin::Crowdsec | Origin::Lymph | Origin::Mesh | Origin::Predicted => {
                "a list".to_owned()
            }
        });
        Ok(Wish {
            target: parsed(&self.subject)?,
            kind: self.kind.as_deref().map_or(Ok(Kind::Ban), kind)?,
            length,
            reason: plain(&reason),
        })
    }
}

impl LiftRequest {
    /// What the engine is asked for.
    pub fn meant(self) -> Result<Request, String> {
        let which = Selection {
            target: self.subject.as_deref().map(parsed).transpose()?,
            id: self.id.as_deref().map(parsed).transpose()?,
            origin: self.origin.as_deref().map(origin).transpose()?,
            reason: self.reason,
            all: self.all,
        };
        if which == Selection::default() {
            return Err(
                "say which decisions: a subject, an id, an origin, a reason, or all".to_owned(),
            );
        }
        let false_positive = self.false_positive;
        let lift = Request::Lift {
            which,
            false_positive,
        };
        Ok(everywhere(lift, self.here))
    }
}

impl UndoRequest {
    /// What the engine is asked for.
    pub fn meant(self) -> Result<Request, String> {
        let undo = Request::Undo(self.id.as_deref().map(parsed).transpose()?);
        Ok(everywhere(undo, self.here))
    }
}

impl AllowRequest {
    /// What the engine is asked for.
    pub fn allow(self, now: Timestamp) -> Result<Request, String> {
        let entry = allowlist::Entry {
            what: parsed(&self.what)?,
            reason: plain(&self.reason.unwrap_or_default()),
            since: now,
            addresses: Vec::new(),
        };
        Ok(everywhere(Request::Allow(entry), self.here))
    }

    /// The opposite.
    pub fn disallow(self) -> Result<Request, String> {
        Ok(everywhere(
            Request::Disallow(parsed(&self.what)?),
            self.here,
        ))
    }
}

impl HeldRequest {
    /// Which of the held decisions.
    pub fn meant(self) -> Result<HeldSelection, String> {
        match (self.all, self.reason, self.subject, self.origin) {
            (true, None, None, None) => Ok(HeldSelection::All),
            (false, Some(reason), None, None) => Ok(HeldSelection::Reason(reason)),
            (false, None, Some(subject), None) => Ok(HeldSelection::Target(parsed(&subject)?)),
            (false, None, None, Some(name)) => Ok(HeldSelection::Origin(origin(&name)?)),
            _ => Err(
                "say which of the held decisions: all, a reason, a subject, or an origin"
                    .to_owned(),
            ),
        }
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

fn kind(name: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("unknown kind {name:?}, expected ban, throttle or captcha"))
}

fn origin(name: &str) -> Result<Origin, String> {
    let found = Origin::ALL.into_iter().find(|origin| origin.name() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = Origin::ALL.into_iter().map(Origin::name).collect();
        format!(
            "unknown origin {name:?}, expected one of {}",
            names.join(", ")
        )
    })
}

/// A reason as it is kept: no control characters, not too long.
fn plain(text: &str) -> Arc<str> {
    let text: String = text.chars().filter(|char| !char.is_control()).collect();
    text[..text.floor_char_boundary(REASON_BYTES_MAX)]
        .trim()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn ban(json: &str) -> Result<Ban, String> {
        let request: BanRequest = serde_json::from_str(json).map_err(|error| error.to_string())?;
        match request.meant(NOW)?.0 {
            Request::Ban(ban) => Ok(ban),
            Request::Everywhere(request) => match *request {
                Request::Ban(ban) => Ok(ban),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fleet_hears_what_the_operator_wants_and_no_list() {
        let check = |json: &str, expected: bool| {
            let request: BanRequest = serde_json::from_str(json).unwrap();
            let (request, _) = request.meant(NOW).unwrap();
            assert_eq!(
                matches!(request, Request::Everywhere(_)),
                expected,
                "{json}"
            );
        };
        check(r#"{"entries":[{"subject":"192.0.2.1"}]}"#, true);
        check(
            r#"{"entries":[{"subject":"192.0.2.1"}],"here":true}"#,
            false,
        );
        check(
            r#"{"entries":[{"subject":"192.0.2.1"}],"force":true}"#,
            false,
        );
        check(
            r#"{"entries":[{"subject":"192.0.2.1"}],"origin":"lists"}"#,
            false,
        );
        let lift: LiftRequest = serde_json::from_str(r#"{"subject":"192.0.2.1"}"#).unwrap();
        assert!(matches!(lift.meant(), Ok(Request::Everywhere(_))));
    }

    #[test]
    fn a_ban_needs_only_its_subject() {
        let one = ban(r#"{"entries":[{"subject":"192.0.2.1"}]}"#).unwrap();
        assert_eq!((one.origin, one.force), (Origin::Operator, false));
        let wish = &one.wishes[0];
        assert_eq!(
            (wish.kind, wish.length, &*wish.reason),
            (Kind::Ban, BAN_FOR, "by hand")
        );
        let list = ban(r#"{"origin":"lists","id":"00000000000000ff","entries":[{"subject":"192.0.2.0/24","kind":"throttle","seconds":60,"reason":"a\u001b[31m\nb"}]}"#).unwrap();
        assert_eq!((list.id, list.origin), (DetectionId(255), Origin::Lists));
        assert_eq!(&*list.wishes[0].reason, "a[31mb");
    }

    #[test]
    fn says_what_is_wrong() {
        for (json, expected) in [
            (
                r#"{"entries":[{"subject":"me"}]}"#,
                "\"me\": expected an address",
            ),
            (
                r#"{"entries":[{"subject":"192.0.2.1","kind":"bann"}]}"#,
                "unknown kind \"bann\"",
            ),
            (
                r#"{"entries":[{"subject":"192.0.2.1","seconds":0}]}"#,
                "192.0.2.1: a decision lasts",
            ),
            (r#"{"origin":"lymph","entries":[]}"#, "nobody else decides"),
            (
                r#"{"origin":"me","entries":[]}"#,
                "unknown origin \"me\", expected one of lymph, mesh",
            ),
            (r#"{"enties":[]}"#, "unknown field `enties`"),
        ] {
            let error = ban(json).unwrap_err();
            assert!(error.starts_with(expected), "{json}: {error}");
        }
        let many = BanRequest {
            entries: vec![WishRequest::default(); WISHES_MAX + 1],
            ..BanRequest::default()
        };
        assert!(
            many.meant(NOW)
                .unwrap_err()
                .starts_with("5001 entries in one request")
        );
        assert!(
            LiftRequest::default()
                .meant()
                .unwrap_err()
                .starts_with("say which")
        );
        let held = |text: &str| serde_json::from_str::<HeldRequest>(text).unwrap().meant();
        for (text, meant) in [
            (r#"{"all":true}"#, HeldSelection::All),
            (
                r#"{"origin":"lists"}"#,
                HeldSelection::Origin(Origin::Lists),
            ),
            (
                r#"{"reason":"a/b"}"#,
                HeldSelection::Reason("a/b".to_owned()),
            ),
        ] {
            assert_eq!(held(text), Ok(meant), "{text}");
        }
        for text in [
            "{}",
            r#"{"origin":"list"}"#,
            r#"{"origin":"lists","all":true}"#,
        ] {
            assert!(held(text).is_err(), "{text}");
        }
    }
}
