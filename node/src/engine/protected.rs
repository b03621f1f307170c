//! Who is never blocked, whatever a rule, a peer or a list says. Asked before anything else is decided.
//!
//! Whatever overlaps a protected network is spared as a whole: an IPv6 /64 with one allowed address in it,
//! or a range with the machine's gateway in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::target::{IpNet, Target, v4, v6};

/// Why a network is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protection {
    /// This machine talking to itself.
    Loopback,
    /// Valid on one cable only.
    LinkLocal,
    /// RFC 1918: the operator's own networks.
    Private,
    /// The same in IPv6, RFC 4193.
    UniqueLocal,
    /// A group, never a sender.
    Multicast,
    /// No address at all.
    Unspecified,
    /// The operator says so.
    Allowlist,
    /// A proxy that speaks for many clients.
    TrustedProxy,
    /// An address of this machine.
    OwnAddress,
    /// The way out of this machine's network.
    Gateway,
    /// Where this machine asks for names.
    Resolver,
}

impl Protection {
    /// Its name, as commands print it and records keep it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Protection::Loopback => "loopback",
            Protection::LinkLocal => "link-local",
            Protection::Private => "private",
            Protection::UniqueLocal => "unique-local",
            Protection::Multicast => "multicast",
            Protection::Unspecified => "unspecified",
            Protection::Allowlist => "allowlist",
            Protection::TrustedProxy => "trusted-proxy",
            Protection::OwnAddress => "own-address",
            Protection::Gateway => "gateway",
            Protection::Resolver => "resolver",
        }
    }

    /// What it means, as the end of "it is …".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Protection::Loopback => "loopback: this machine itself",
            Protection::LinkLocal => "link-local: on the same cable",
            Protection::Private => "private (RFC 1918): in one of your own networks",
            Protection::UniqueLocal => "unique local (RFC 4193): in one of your own networks",
            Protection::Multicast => "multicast: a group, never a sender",
            Protection::Unspecified => "unspecified: no sender at all",
            Protection::Allowlist => "on your allowlist",
            Protection::TrustedProxy => "a trusted proxy: it speaks for many clients",
            Protection::OwnAddress => "an address of this machine",
            Protection::Gateway => "the gateway of this machine",
            Protection::Resolver => "the name server of this machine",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A protected network and why it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shield {
    /// The network.
    pub network: IpNet,
    /// Why nothing in it is blocked.
    pub protection: Protection,
}

/// Protected on every machine. CGNAT (100.64.0.0/10) is not among them: it can be banned, never reported.
const ALWAYS: [Shield; 13] = [
    shield(v4(127, 0, 0, 0, 8), Protection::Loopback),
    shield(v4(169, 254, 0, 0, 16), Protection::LinkLocal),
    shield(v4(10, 0, 0, 0, 8), Protection::Private),
    shield(v4(172, 16, 0, 0, 12), Protection::Private),
    shield(v4(192, 168, 0, 0, 16), Protection::Private),
    shield(v4(224, 0, 0, 0, 4), Protection::Multicast),
    shield(v4(0, 0, 0, 0, 8), Protection::Unspecified),
    shield(v4(255, 255, 255, 255, 32), Protection::Multicast),
    shield(v6(0, 1, 128), Protection::Loopback),
    shield(v6(0, 0, 128), Protection::Unspecified),
    shield(v6(0xfe80, 0, 10), Protection::LinkLocal),
    shield(v6(0xfc00, 0, 7), Protection::UniqueLocal),
    shield(v6(0xff00, 0, 8), Protection::Multicast),
];

const fn shield(network: IpNet, protection: Protection) -> Shield {
    Shield {
        network,
        protection,
    }
}

/// The whole never-block list.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    by_operator: Vec<Shield>,
    surroundings: Vec<Shield>,
}

impl Protected {
    /// How many networks the operator's part and the surroundings may have each; what is beyond is refused
    /// when it is read. All are compared with each detection, so this bounds the work that one causes.
    pub const SHIELDS_MAX: usize = 16_384;

    /// The fixed list, the operator's allowlist and the trusted proxies.
    #[must_use]
    pub fn new(allowlist: &[IpNet], trusted_proxies: &[IpNet]) -> Self {
        let allowed = allowlist
            .iter()
            .map(|network| shield(*network, Protection::Allowlist));
        let proxies = trusted_proxies
            .iter()
            .map(|network| shield(*network, Protection::TrustedProxy));
        Protected {
            by_operator: allowed.chain(proxies).take(Self::SHIELDS_MAX).collect(),
            surroundings: Vec::new(),
        }
    }

    /// Replace what is known of this machine's surroundings.
    pub fn surround(&mut self, mut surroundings: Vec<Shield>) {
        surroundings.truncate(Self::SHIELDS_MAX);
        self.surroundings = surroundings;
    }

    /// The first network that forbids blocking the target, if there is one.
    #[must_use]
    pub fn shield_of(&self, target: Target) -> Option<Shield> {
        let all = self
            .by_operator
            .iter()
            .chain(&self.surroundings)
            .chain(&ALWAYS);
        all.copied().find(|shield| target.overlaps(shield.network))
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::parse_network;
    use super::*;

    fn check(protected: &Protected, text: &str, expected: Option<Protection>) {
        let found = protected
            .shield_of(text.parse().unwrap())
            .map(|shield| shield.protection);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn spares_what_no_machine_should_block() {
        let protected = Protected::default();
        check(&protected, "127.0.0.1", Some(Protection::Loopback));
        check(&protected, "::1", Some(Protection::Loopback));
        check(&protected, "::ffff:127.0.0.1", Some(Protection::Loopback));
        check(&protected, "169.254.169.254", Some(Protection::LinkLocal));
        check(&protected, "fe80::1", Some(Protection::LinkLocal));
        check(&protected, "10.1.2.3", Some(Protection::Private));
        check(&protected, "172.31.255.255", Some(Protection::Private));
        check(&protected, "172.32.0.0", None);
        check(&protected, "192.168.0.1", Some(Protection::Private));
        check(&protected, "fd12::1", Some(Protection::UniqueLocal));
        check(&protected, "239.1.1.1", Some(Protection::Multicast));
        check(&protected, "ff02::1", Some(Protection::Multicast));
        check(&protected, "0.0.0.0", Some(Protection::Unspecified));
        check(&protected, "255.255.255.255", Some(Protection::Multicast));
        check(&protected, "100.64.0.1", None);
        check(&protected, "192.0.2.1", None);
        check(&protected, "2001:db8::1", None);
        check(&protected, "192.0.0.0/8", Some(Protection::Private));
        check(&protected, "0.0.0.0/0", Some(Protection::Loopback));
    }

    #[test]
    fn spares_what_the_operator_and_the_surroundings_name() {
        let allow = [
            parse_network("198.51.100.0/24").unwrap(),
            parse_network("2001:db8:7::9").unwrap(),
        ];
        let proxies = [parse_network("203.0.113.10").unwrap()];
        let mut protected = Protected::new(&allow, &proxies);
        check(&protected, "198.51.100.7", Some(Protection::Allowlist));
        check(&protected, "2001:db8:7::1", Some(Protection::Allowlist));
        check(&protected, "2001:db8:7:1::1", None);
        check(&protected, "203.0.113.10", Some(Protection::TrustedProxy));
        check(&protected, "203.0.113.0/24", Some(Protection::TrustedProxy));
        check(&protected, "203.0.113.11", None);
        protected.surround(vec![shield(
            parse_network("203.0.113.11").unwrap(),
            Protection::OwnAddress,
        )]);
        check(&protected, "203.0.113.11", Some(Protection::OwnAddress));
        protected.surround(Vec::new());
        check(&protected, "203.0.113.11", None);
    }

    #[test]
    fn the_list_has_an_end() {
        let many: Vec<IpNet> = (0..20_000u32)
            .map(|i| IpNet::from(std::net::IpAddr::from(i.to_be_bytes())))
            .collect();
        let mut protected = Protected::new(&many, &many);
        assert_eq!(protected.by_operator.len(), Protected::SHIELDS_MAX);
        protected.surround(
            many.iter()
                .map(|network| shield(*network, Protection::Gateway))
                .collect(),
        );
        assert_eq!(protected.surroundings.len(), Protected::SHIELDS_MAX);
    }
}
