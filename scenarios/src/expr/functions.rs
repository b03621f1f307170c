//! The functions that an expression may call: expr-lang's own and CrowdSec's helpers, by topic.
//!
//! A function that would need what is not here (a network, a database of addresses, a firewall of its own) is
//! refused when the rule is loaded.

mod address;
mod format;
mod json;
mod list;
mod map;
mod number;
mod search;
mod text;
mod time;
mod url;
mod xml;

use super::error::EvalError;
use super::eval::{Evaluated, Frame};
use super::value::Value;

/// A function.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// The least and the most arguments.
    pub(super) arity: (usize, usize),
    /// Whether it always gives the same for the same arguments, so that it can be computed at load.
    pub(super) pure: bool,
    pub(super) run: Run,
}

type Run = for<'a, 'e, 'v> fn(&mut Frame<'a, 'e>, &'v [Value<'a>]) -> Evaluated<'a>;

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Function({})", self.name)
    }
}

/// A pure function of a fixed number of arguments.
const fn fixed(name: &'static str, arguments: usize, run: Run) -> Function {
    Function {
        name,
        arity: (arguments, arguments),
        pure: true,
        run,
    }
}

/// A pure function of `least` to `most` arguments.
const fn between(name: &'static str, least: usize, most: usize, run: Run) -> Function {
    Function {
        name,
        arity: (least, most),
        pure: true,
        run,
    }
}

/// A function that asks its surroundings.
const fn asking(name: &'static str, least: usize, most: usize, run: Run) -> Function {
    Function {
        name,
        arity: (least, most),
        pure: false,
        run,
    }
}

static ALL: [&[Function]; 11] = [
    text::FUNCTIONS,
    search::FUNCTIONS,
    list::FUNCTIONS,
    map::FUNCTIONS,
    number::FUNCTIONS,
    format::FUNCTIONS,
    json::FUNCTIONS,
    xml::FUNCTIONS,
    address::FUNCTIONS,
    url::FUNCTIONS,
    time::FUNCTIONS,
];

/// Functions that the compiler makes nodes of.
const SPECIAL: [&str; 7] = [
    "File",
    "FileMap",
    "RegexpInFile",
    "LookupFile",
    "UnmarshalJSON",
    "ParseKV",
    "ParseKVLax",
];

/// The function with that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    ALL.iter()
        .flat_map(|topic| topic.iter())
        .find(|function| function.name == name)
}

/// Every name there is.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .flat_map(|topic| topic.iter())
        .map(|function| function.name)
        .chain(SPECIAL)
}

/// Why a helper of CrowdSec's is not here.
pub(super) fn refused(name: &str) -> Option<&'static str> {
    const NETWORK: &str = "it would ask the network for each line";
    const DECISIONS: &str = "it would ask CrowdSec's database of decisions";
    const GEOGRAPHY: &str = "there is no database of places and networks";
    const FIREWALL: &str = "it belongs to CrowdSec's web application firewall";
    Some(match name {
        "LookupHost" | "CrowdsecCTI" | "HTTPGet" | "HTTPHead" | "HTTPPost" | "HTTPRequest"
        | "MatchKnownBot" => NETWORK,
        "GetDecisionsCount"
        | "GetDecisionsSinceCount"
        | "GetActiveDecisionsCount"
        | "GetActiveDecisionsTimeLeft" => DECISIONS,
        "GeoIPEnrich" | "GeoIPASNEnrich" | "GeoIPRangeEnrich" | "IPToCountry" => GEOGRAPHY,
        "LibInjectionIsSQLI" | "LibInjectionIsXSS" | "JA4H" => FIREWALL,
        "SetInStash" => "write it as the stash: of a node",
        "Hostname" => "rules do not depend on the machine they run on",
        "timezone" => "there is no database of time zones",
        _ => return None,
    })
}

/// The argument as a text.
fn bytes<'v>(function: &'static str, argument: &'v Value<'_>) -> Result<&'v [u8], EvalError> {
    argument
        .as_bytes()
        .ok_or_else(|| EvalError::kind(function, "given a text", argument.kind()))
}

/// The argument as UTF-8: what is not is replaced.
fn string<'v>(
    function: &'static str,
    argument: &'v Value<'_>,
) -> Result<std::borrow::Cow<'v, str>, EvalError> {
    bytes(function, argument).map(String::from_utf8_lossy)
}

/// A piece of a text: it borrows what the text borrows.
fn piece<'a>(frame: &mut Frame<'a, '_>, of: &Value<'a>, start: usize, end: usize) -> Evaluated<'a> {
    if let Value::Str(text) = of {
        return Ok(Value::Str(&text[start..end]));
    }
    let text = of.as_bytes().unwrap_or_default();
    if (start, end) == (0, text.len()) {
        return Ok(of.clone());
    }
    frame.text(text[start..end].to_vec())
}

fn size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
