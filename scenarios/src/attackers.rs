//! Who a full bucket is about: the sources of the events that it keeps, each once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use lymph_protocol::Subject;

use crate::bucket::Bucket;
use crate::event::{Keys, Namespace};
use crate::kept::Kept;
use crate::overflow::{Attacker, Scope};
use crate::scenario::Scenario;

/// Sources that one detection names at most; a spray from more names the first.
pub(crate) const ATTACKERS_MAX: usize = 256;

/// The sources, in order of their value.
pub(crate) fn attackers(scenario: &Scenario, bucket: &Bucket, keys: &Keys) -> Vec<Attacker> {
    let mut found = BTreeMap::new();
    for (index, kept) in bucket.queue.iter().enumerate() {
        let scoped = bucket.scoped.get(index).map(|scoped| &**scoped);
        match &kept.overflow {
            Some(overflow) => overflow
                .attackers
                .iter()
                .filter_map(|old| adapt(scenario, old, scoped))
                .for_each(|new| {
                    found.insert(new.value.clone(), new);
                }),
            None => found
                .extend(of_line(scenario, kept, scoped, keys).map(|new| (new.value.clone(), new))),
        }
        if found.len() >= ATTACKERS_MAX {
            break;
        }
    }
    found.into_values().collect()
}

fn of_line(
    scenario: &Scenario,
    kept: &Kept,
    scoped: Option<&str>,
    keys: &Keys,
) -> Option<Attacker> {
    let slot = keys.find(Namespace::Meta, "SourceRange");
    let range = slot
        .and_then(|slot| kept.meta_value(slot))
        .and_then(range_text);
    let value = match (&scenario.scope, scoped) {
        (Scope::Ip, _) => subject_text(kept.address?),
        (Scope::Range, Some(scoped)) => scoped.to_owned(),
        (Scope::Range, None) => range.clone()?,
        (Scope::Other(_), scoped) => scoped?.to_owned(),
    };
    (!value.is_empty()).then(|| Attacker {
        scope: scenario.scope.clone(),
        value,
        address: kept.address,
        range,
    })
}

/// The source of a detection that was poured again, in the scope of this scenario.
fn adapt(scenario: &Scenario, old: &Attacker, scoped: Option<&str>) -> Option<Attacker> {
    if scenario.scope == old.scope {
        return Some(old.clone());
    }
    if scenario.scope != Scope::Range || old.scope != Scope::Ip {
        return None;
    }
    let value = scoped.map(str::to_owned).or_else(|| old.range.clone())?;
    (!value.is_empty()).then(|| Attacker {
        scope: Scope::Range,
        value,
        ..old.clone()
    })
}

/// An address as it is spoken of: IPv4 as it is, IPv6 as its /64.
fn subject_text(address: IpAddr) -> String {
    Subject::of(address).to_string()
}

fn range_text(text: &[u8]) -> Option<String> {
    let range: IpNet = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(range.trunc().to_string())
}
