//! What must never happen, looked for after every step. A failure ends the run.

use std::net::IpAddr;
use std::time::Duration;

use lymph_node::engine::target::Target;
use lymph_node::engine::{Action, Settings};
use lymph_protocol::Timestamp;

use crate::host::Host;

/// Longest ban that the ladder may reach by itself.
const BAN_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Looks at one action before it is carried out.
pub(crate) fn action(action: &Action, now: Timestamp) -> Result<(), String> {
    let Action::Ban(decision) = action else {
        return Ok(());
    };
    if is_protected(decision.target) {
        return Err(format!(
            "safety: {} is on the never-block list and was banned at {now}",
            decision.target
        ));
    }
    if decision.until <= now || decision.until.since(now) > BAN_MAX {
        return Err(format!(
            "safety: the ban of {} at {now} lasts until {}",
            decision.target, decision.until
        ));
    }
    Ok(())
}

/// Looks at a host after a step.
pub(crate) fn host(host: &Host, now: Timestamp) -> Result<(), String> {
    let (decisions, most) = (
        host.engine.decisions().len(),
        Settings::default().decisions_max,
    );
    if decisions > most {
        return Err(format!(
            "bounds: {decisions} decisions stand on {} at {now}",
            host.style.host
        ));
    }
    if let Some((deadline, why)) = host
        .engine
        .next_deadline()
        .filter(|(deadline, _)| *deadline + Duration::from_secs(60) < now)
    {
        return Err(format!(
            "liveness: {} was not woken for {why} at {deadline}, it is {now}",
            host.style.host
        ));
    }
    Ok(())
}

/// Looks at a host when all is over: what the firewall holds is what the engine says.
pub(crate) fn end(host: &Host, now: Timestamp) -> Result<(), String> {
    for (target, until) in host.banned.iter().filter(|(_, until)| **until > now) {
        let decided = host
            .engine
            .decisions()
            .about(*target)
            .map(|decision| decision.until)
            .max();
        if decided != Some(*until) {
            return Err(format!(
                "state: {} enforces {target} until {until}, decided is {decided:?}",
                host.style.host
            ));
        }
    }
    Ok(())
}

/// The never-block list, written down once more, apart from the engine's.
fn is_protected(target: Target) -> bool {
    match target.network().addr() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_is_protected() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_protected(text.parse().unwrap()), expected, "{text}")
        };
        check("127.0.0.1", true);
        check("10.1.2.3", true);
        check("fd00::1", true);
        check("192.0.2.1", false);
        check("2001:db8::1", false);
    }
}
