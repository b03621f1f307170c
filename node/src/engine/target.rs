//! What a decision is about: one subject, or a whole network. The only user of ipnet in the engine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpSubnets, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use lymph_protocol::{Subject, canonical_address};
use serde::{Deserialize, Serialize};

pub use ipnet::IpNet;

/// A subject, or a network that is wider than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// An IPv4 address or an IPv6 /64.
    Subject(Subject),
    /// An IPv4 network shorter than /32 or an IPv6 network shorter than /64, without host bits.
    Range(IpNet),
}

impl Target {
    /// The target that an address belongs to.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Target::Subject(Subject::of(address))
    }

    /// The target that a network is: host bits are cleared, IPv6 spellings of IPv4 become IPv4, and what is
    /// no wider than a subject is that subject.
    #[must_use]
    pub fn of_network(network: IpNet) -> Self {
        match canonical_network(network) {
            IpNet::V4(v4) if v4.prefix_len() == 32 => Target::of_address(v4.addr().into()),
            IpNet::V6(v6) if v6.prefix_len() >= 64 => Target::of_address(v6.addr().into()),
            wide @ (IpNet::V4(_) | IpNet::V6(_)) => Target::Range(wide),
        }
    }

    /// The fewest targets that hold all addresses from `first` to `last`; `None` if there is none between them.
    /// At most 62 (IPv4) or 126 (IPv6, whose ends widen to their /64).
    #[must_use]
    pub fn of_range(first: IpAddr, last: IpAddr) -> Option<impl Iterator<Item = Target>> {
        let subnets = match (canonical_address(first), canonical_address(last)) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                IpSubnets::V4(Ipv4Subnets::new(first, last, 0))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                let host_bits = u128::from(u64::MAX);
                let first = Ipv6Addr::from_bits(first.to_bits() & !host_bits);
                let last = Ipv6Addr::from_bits(last.to_bits() | host_bits);
                IpSubnets::V6(Ipv6Subnets::new(first, last, 0))
            }
            _ => return None,
        };
        Some(subnets.map(Target::of_network))
    }

    /// Every address in it.
    #[must_use]
    pub fn network(self) -> IpNet {
        match self {
            Target::Subject(Subject::V4(v4)) => IpNet::V4(Ipv4Net::from(v4)),
            Target::Subject(subject @ Subject::V6(_)) => {
                IpNet::new(subject.network_address(), subject.prefix_len())
                    .expect("64 is a prefix length of IPv6")
            }
            Target::Range(network) => network,
        }
    }

    /// Whether some address is in both.
    #[must_use]
    pub fn overlaps(self, network: IpNet) -> bool {
        let own = self.network();
        own.contains(&network) || network.contains(&own)
    }
}

/// The network without host bits, as IPv4 where it only wraps IPv4 addresses.
#[must_use]
pub fn canonical_network(network: IpNet) -> IpNet {
    let network = network.trunc();
    let IpNet::V6(v6) = network else {
        return network;
    };
    let IpAddr::V4(v4) = canonical_address(v6.addr().into()) else {
        return network;
    };
    // Mapped and NAT64 addresses carry IPv4 in their last 32 bits, 6to4 from bit 16 on.
    let before = if v6.addr().segments()[0] == 0x2002 {
        16
    } else {
        96
    };
    match v6.prefix_len().checked_sub(before) {
        Some(len) => IpNet::V4(Ipv4Net::new(v4, len.min(32)).expect("at most 32").trunc()),
        None => network,
    }
}

/// The network of `len` leading bits round an address.
#[must_use]
pub fn network_round(address: IpAddr, len: u8) -> Option<IpNet> {
    IpNet::new(address, len).ok().map(|network| network.trunc())
}

/// A fixed IPv4 network, for tables.
#[must_use]
pub const fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len))
}

/// A fixed IPv6 network by its first 16 bits, for tables.
#[must_use]
pub const fn v6(first: u16, last: u16, len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last),
        len,
    ))
}

impl From<Subject> for Target {
    fn from(subject: Subject) -> Self {
        Target::Subject(subject)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Subject(subject) => subject.fmt(f),
            Target::Range(network) => network.fmt(f),
        }
    }
}

/// A text that is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as 192.0.2.1 or a network such as 192.0.2.0/24")]
pub struct ParseTargetError;

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        parse_network(text).map(Target::of_network)
    }
}

/// Reads an address or a network; host bits are cleared.
pub fn parse_network(text: &str) -> Result<IpNet, ParseTargetError> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| ParseTargetError)?,
    };
    Ok(canonical_network(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let printed = text.parse::<Target>().map(|target| target.to_string());
        assert_eq!(printed.as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn one_network_has_one_spelling() {
        check("192.0.2.1", "192.0.2.1");
        check("192.0.2.77/24", "192.0.2.0/24");
        check("192.0.2.77/32", "192.0.2.77");
        check("::ffff:192.0.2.0/120", "192.0.2.0/24");
        check("64:ff9b::192.0.2.7/128", "192.0.2.7");
        check("2002:c000:201::/48", "192.0.2.1");
        check("2002:c000:201:5::/64", "192.0.2.1");
        check("2002:c000::/32", "192.0.0.0/16");
        check("2001:db8::/32", "2001:db8::/32");
        check("2001:db8:0:1::5/127", "2001:db8:0:1::/64");
        check("2001:db8:0:1::5", "2001:db8:0:1::/64");
    }

    #[test]
    fn a_range_is_the_fewest_networks() {
        let check = |first: &str, last: &str, expected: &[&str]| {
            let targets = Target::of_range(first.parse().unwrap(), last.parse().unwrap());
            let printed = targets.map(|targets| targets.map(|t| t.to_string()).collect::<Vec<_>>());
            assert_eq!(printed.unwrap_or_default(), expected, "{first}-{last}");
        };
        check("192.0.2.1", "192.0.2.1", &["192.0.2.1"]);
        check("192.0.2.0", "192.0.2.255", &["192.0.2.0/24"]);
        check(
            "192.0.2.1",
            "192.0.2.6",
            &["192.0.2.1", "192.0.2.2/31", "192.0.2.4/31", "192.0.2.6"],
        );
        check("0.0.0.0", "255.255.255.255", &["0.0.0.0/0"]);
        check(
            "255.255.255.254",
            "255.255.255.255",
            &["255.255.255.254/31"],
        );
        check("::ffff:192.0.2.0", "192.0.2.3", &["192.0.2.0/30"]);
        check("2001:db8::5", "2001:db8::9", &["2001:db8::/64"]);
        check("2001:db8::5", "2001:db8:0:1::9", &["2001:db8::/63"]);
        check("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &["::/0"]);
        check("192.0.2.2", "192.0.2.1", &[]);
        check("192.0.2.2", "2001:db8::", &[]);
        let ends = ["0.0.0.1", "255.255.255.254"].map(|text| text.parse().unwrap());
        assert_eq!(Target::of_range(ends[0], ends[1]).unwrap().count(), 62);
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in ["", "a", "1.2.3.4/33", "1.2.3/8", "::/129", "1.2.3.4/-1"] {
            assert_eq!(text.parse::<Target>(), Err(ParseTargetError), "{text}");
        }
    }

    #[test]
    fn overlaps_both_ways() {
        let target: Target = "2001:db8:0:1::5".parse().unwrap();
        assert!(target.overlaps(parse_network("2001:db8:0:1::99").unwrap()));
        assert!(target.overlaps(parse_network("2001:db8::/32").unwrap()));
        assert!(!target.overlaps(parse_network("2001:db8:0:2::99").unwrap()));
        assert!(!target.overlaps(parse_network("0.0.0.0/0").unwrap()));
    }
}
