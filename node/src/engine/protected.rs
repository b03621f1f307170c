//! Who is never blocked, whatever a rule, a peer or a list says. Asked before anything else is decided.
//!
//! Whatever overlaps a protected network is spared as a whole: an IPv6 /64 with one allowed address in it,
//! or a range with the machine's gateway in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::networks::Networks;
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
    /// Somebody is logged in from there right now.
    SshPeer,
    /// One of the operator's other machines.
    Sibling,
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
            Protection::SshPeer => "ssh-peer",
            Protection::Sibling => "sibling",
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
            Protection::SshPeer => "logged in to this machine over SSH right now",
            Protection::Sibling => "another machine of your fleet",
        }
    }

    /// Whether the operator may ban it all the same, with `--force`. What they put on the allowlist themselves they
    /// take off it first; a machine without its loopback does not work.
    #[must_use]
    pub const fn yields_to_force(self) -> bool {
        match self {
            Protection::LinkLocal
            | Protection::Private
            | Protection::UniqueLocal
            | Protection::TrustedProxy
            | Protection::OwnAddress
            | Protection::Gateway
            | Protection::Resolver
            | Protection::SshPeer
            | Protection::Sibling => true,
            Protection::Loopback
            | Protection::Multicast
            | Protection::Unspecified
            | Protection::Allowlist => false,
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
const ALWAYS: [Shield; 12] = [
    shield(v4(127, 0, 0, 0, 8), Protection::Loopback),
    shield(v4(169, 254, 0, 0, 16), Protection::LinkLocal),
    shield(v4(10, 0, 0, 0, 8), Protection::Private),
    shield(v4(172, 16, 0, 0, 12), Protection::Private),
    shield(v4(192, 168, 0, 0, 16), Protection::Private),
    shield(v4(224, 0, 0, 0, 4), Protection::Multicast),
    shield(v4(0, 0, 0, 0, 8), Protection::Unspecified),
    shield(v4(255, 255, 255, 255, 32), Protection::Multicast),
    // `::1`, and `::` beside it.
    shield(v6(0, 0, 64), Protection::Loopback),
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
#[derive(Clone, Debug)]
pub struct Protected {
    /// What the configuration allows.
    configured: Networks<Protection>,
    /// Proxies of all sources.
    proxies: Networks<Protection>,
    /// The operator's other machines.
    siblings: Networks<Protection>,
    /// What the operator has allowed since.
    allowed: Networks<Protection>,
    /// What is round this machine.
    surroundings: Networks<Protection>,
    /// The same as it came, to see whether anything is new.
    surroundings_seen: Vec<Shield>,
    /// What nobody can override, and what force can.
    always: [Networks<Protection>; 2],
}

impl Protected {
    /// How many networks each part may have: the configuration is refused beyond that, of the surroundings the
    /// rest is left out.
    pub const SHIELDS_MAX: usize = 65_536;

    /// The fixed list, the configuration's allowlist and the trusted proxies.
    #[must_use]
    pub fn new(allowlist: &[IpNet], trusted_proxies: &[IpNet]) -> Self {
        let all = |networks: &[IpNet], why| networks.iter().map(|net| (*net, why)).collect();
        Protected {
            configured: all(allowlist, Protection::Allowlist),
            proxies: all(trusted_proxies, Protection::TrustedProxy),
            allowed: Networks::default(),
            siblings: Networks::default(),
            surroundings: Networks::default(),
            surroundings_seen: Vec::new(),
            always: [false, true].map(|yields| {
                ALWAYS
                    .into_iter()
                    .filter(|shield| shield.protection.yields_to_force() == yields)
                    .map(|shield| (shield.network, shield.protection))
                    .collect()
            }),
        }
    }

    /// Replace what is known of this machine's surroundings. Says whether that is anything else than before.
    pub fn surround(&mut self, mut surroundings: Vec<Shield>) -> bool {
        surroundings.truncate(Self::SHIELDS_MAX);
        if surroundings == self.surroundings_seen {
            return false;
        }
        self.surroundings = surroundings
            .iter()
            .map(|shield| (shield.network, shield.protection))
            .collect();
        self.surroundings_seen = surroundings;
        true
    }

    /// Replace what the operator has allowed beside the configuration.
    pub fn allow(&mut self, networks: impl Iterator<Item = IpNet>) {
        self.allowed = networks.map(|net| (net, Protection::Allowlist)).collect();
    }

    /// Replace what is known of the operator's other machines. Their private addresses are not: those may be anybody's.
    pub fn siblings(&mut self, addresses: impl Iterator<Item = std::net::IpAddr>) {
        let networks =
            addresses.map(|address| (Target::of_address(address).network(), Protection::Sibling));
        self.siblings = networks.collect();
    }

    /// A network that forbids blocking the target, if there is one; what nobody can override comes first.
    #[must_use]
    pub fn shield_of(&self, target: Target) -> Option<Shield> {
        let parts = [
            &self.configured,
            &self.allowed,
            &self.proxies,
            &self.surroundings,
            &self.siblings,
            &self.always[0],
            &self.always[1],
        ];
        let shields = parts.into_iter().filter_map(|part| {
            let (network, protection) = part.overlapping(target.network())?;
            Some(shield(network, *protection))
        });
        shields.min_by_key(|shield| shield.protection.yields_to_force())
    }
}

impl Default for Protected {
    fn default() -> Self {
        Protected::new(&[], &[])
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
        // What not even force overcomes is named first.
        check(&protected, "192.0.0.0/2", Some(Protection::Multicast));
        check(&protected, "f000::/4", Some(Protection::Multicast));
        check(&protected, "0.0.0.0/0", Some(Protection::Unspecified));
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
    fn what_the_operator_allowed_is_in_front_of_what_yields() {
        let mut protected = Protected::default();
        let gateway = shield(parse_network("203.0.113.1").unwrap(), Protection::Gateway);
        assert!(protected.surround(vec![gateway]));
        assert!(!protected.surround(vec![gateway]), "nothing new");
        check(&protected, "203.0.113.0/24", Some(Protection::Gateway));
        protected.allow([parse_network("203.0.113.9").unwrap()].into_iter());
        check(&protected, "203.0.113.0/24", Some(Protection::Allowlist));
        check(&protected, "203.0.113.1", Some(Protection::Gateway));
        assert!(Protection::Gateway.yields_to_force() && !Protection::Allowlist.yields_to_force());
    }

    #[test]
    fn the_surroundings_have_an_end() {
        let last = u32::try_from(Protected::SHIELDS_MAX).unwrap();
        let many = (0..=last).map(|n| std::net::IpAddr::from((0x0b00_0000 + n).to_be_bytes()));
        let many: Vec<_> = many
            .map(|address| shield(IpNet::from(address), Protection::Gateway))
            .collect();
        let mut protected = Protected::default();
        protected.surround(many);
        assert_eq!(protected.surroundings.len(), Protected::SHIELDS_MAX);
        check(&protected, "11.0.255.255", Some(Protection::Gateway));
        check(&protected, "11.1.0.0", None);
    }
}
