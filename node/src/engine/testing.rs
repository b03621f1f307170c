//! Detections to test with.

use std::collections::BTreeMap;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use lymph_scenarios::overflow::{Attacker, Overflow, Poured, Scope};

pub(crate) fn attacker(value: &str) -> Attacker {
    Attacker {
        scope: Scope::Ip,
        value: value.to_owned(),
        address: value.parse().ok(),
        range: None,
    }
}

pub(crate) fn range(network: &str) -> Attacker {
    Attacker {
        scope: Scope::Range,
        value: network.to_owned(),
        address: None,
        range: Some(network.to_owned()),
    }
}

/// A detection of an address whose lines came one a second; `first_line` is also its time in seconds.
pub(crate) fn overflow(scenario: &str, who: &str, first_line: u64) -> Overflow {
    let first_seen = Timestamp::from_secs(first_line);
    let meta = BTreeMap::from([
        ("log_type".to_owned(), "test".to_owned()),
        ("source_ip".to_owned(), who.to_owned()),
    ]);
    Overflow {
        scenario: Arc::from(scenario),
        description: Arc::from("something that is tested"),
        labels: Arc::default(),
        rule: [7; 8],
        remediation: true,
        attackers: vec![attacker(who)],
        events_count: 6,
        events: vec![Poured {
            at: first_seen,
            line: first_line,
            log_time: None,
            meta,
        }],
        first_line,
        first_seen,
        last_seen: first_seen + std::time::Duration::from_secs(5),
        capacity: 5,
        leakspeed_ms: 10_000,
        whitelisted: None,
        is_primed: false,
    }
}
