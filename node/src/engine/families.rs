//! From a rule's own words to the vocabulary that nodes share: which family of behaviour a detection belongs to, and how
//! sure it is that the address is who did it.
//!
//! Rules say it in their labels, as CrowdSec's do: `behavior: "ssh:bruteforce"`, `spoofable: 0`. What fits no family is
//! told to nobody.

use std::collections::BTreeMap;

use lymph_protocol::family::Family;
use lymph_protocol::report::Evidence;

/// The family that a rule's labels speak of.
#[must_use]
pub fn of_labels(labels: &BTreeMap<String, String>) -> Option<Family> {
    let behavior = labels.get("behavior")?;
    let (place, deed) = behavior.split_once(':')?;
    let family = match (place, deed) {
        ("http", "bruteforce" | "spam") => Family::WEB_AUTH,
        ("http", "exploit") => Family::WEB_EXPLOIT,
        ("http", "scan" | "crawl" | "discovery" | "bad-user-agent") => Family::WEB_SCAN,
        ("http", "dos" | "flood") => Family::WEB_FLOOD,
        ("ssh", "bruteforce" | "scan") => Family::SSH_AUTH,
        ("smtp" | "mail" | "postfix", "spam" | "relay") => Family::MAIL_ABUSE,
        (
            "smtp" | "imap" | "pop3" | "pop3/imap" | "mail" | "postfix" | "dovecot" | "exim",
            "bruteforce" | "scan",
        ) => Family::MAIL_AUTH,
        ("sip" | "voip", _) => Family::SIP,
        (
            "mysql" | "pgsql" | "postgres" | "mssql" | "mongodb" | "redis" | "database",
            "bruteforce" | "scan",
        ) => Family::DB_AUTH,
        ("ftp" | "smb" | "sftp" | "webdav", "bruteforce" | "scan") => Family::FILE_AUTH,
        ("rdp" | "vnc" | "telnet" | "windows", "bruteforce" | "scan") => Family::DESKTOP_AUTH,
        ("vpn" | "openvpn" | "ikev2" | "pptp" | "wireguard", "bruteforce" | "scan") => {
            Family::VPN_AUTH
        }
        ("tcp" | "udp" | "ip", "scan") => Family::PORT_SCAN,
        ("dns", _) => Family::DNS,
        (_, "exploit") => Family::EXPLOIT,
        _ => return None,
    };
    Some(family)
}

/// How sure it is, by the rule's own word; a rule that does not say is not sure.
#[must_use]
pub fn evidence(labels: &BTreeMap<String, String>) -> Evidence {
    match labels.get("spoofable").map(String::as_str) {
        Some("0") => Evidence::Handshake,
        Some(_) | None => Evidence::Spoofable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn behaviours_have_families() {
        let check = |behavior: &str, expected: Option<Family>| {
            assert_eq!(
                of_labels(&labels(&[("behavior", behavior)])),
                expected,
                "{behavior}"
            );
        };
        check("ssh:bruteforce", Some(Family::SSH_AUTH));
        check("ssh:scan", Some(Family::SSH_AUTH));
        check("http:scan", Some(Family::WEB_SCAN));
        check("http:crawl", Some(Family::WEB_SCAN));
        check("http:discovery", Some(Family::WEB_SCAN));
        check("http:exploit", Some(Family::WEB_EXPLOIT));
        check("http:bruteforce", Some(Family::WEB_AUTH));
        check("imap:bruteforce", Some(Family::MAIL_AUTH));
        check("tcp:scan", Some(Family::PORT_SCAN));
        check("vm-management:exploit", Some(Family::EXPLOIT));
        check("generic:bruteforce", None);
        check("", None);
        assert_eq!(of_labels(&labels(&[])), None);
    }

    #[test]
    fn every_bundled_rule_that_bans_has_a_family() {
        for scenario in lymph_scenarios::bundled::rules()
            .expect("they load")
            .scenarios()
        {
            if scenario.remediation {
                assert!(
                    of_labels(&scenario.labels).is_some(),
                    "{}: {:?}",
                    scenario.name,
                    scenario.labels
                );
            }
        }
    }

    #[test]
    fn only_a_rule_that_says_so_is_sure() {
        assert_eq!(
            evidence(&labels(&[("spoofable", "0")])),
            Evidence::Handshake
        );
        assert_eq!(
            evidence(&labels(&[("spoofable", "1")])),
            Evidence::Spoofable
        );
        assert_eq!(evidence(&labels(&[])), Evidence::Spoofable);
    }
}
