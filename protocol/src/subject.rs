//! The address that a report, a detection or a decision speaks of, in exactly one spelling.
//!
//! One attacker must be one subject however its address was written down: IPv6 forms that only carry an
//! IPv4 address (mapped, NAT64, 6to4) become that address, and every other IPv6 address stands for its /64,
//! the smallest network that a provider hands out and within which a host changes addresses at will.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One IPv4 address, or one IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address: its /64.
    V6(u64),
}

impl Subject {
    /// The subject that an address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match canonical_address(address) {
            IpAddr::V4(v4) => Subject::V4(v4),
            IpAddr::V6(v6) => Subject::V6((v6.to_bits() >> 64) as u64),
        }
    }

    /// The lowest address in it.
    #[must_use]
    pub fn network_address(self) -> IpAddr {
        match self {
            Subject::V4(v4) => IpAddr::V4(v4),
            Subject::V6(upper) => IpAddr::V6(Ipv6Addr::from_bits(u128::from(upper) << 64)),
        }
    }

    /// How many leading bits are fixed: 32 or 64.
    #[must_use]
    pub const fn prefix_len(self) -> u8 {
        match self {
            Subject::V4(_) => 32,
            Subject::V6(_) => 64,
        }
    }

    /// Whether the address is (in) this subject.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Subject::of(address) == self
    }
}

/// The address itself, or the IPv4 address that an IPv6 form only wraps.
///
/// `::ffff:a.b.c.d` (mapped, RFC 4291), `64:ff9b::a.b.c.d` (NAT64, RFC 6052) and `2002:aabb:ccdd::/48`
/// (6to4, RFC 3056) are unfolded.
#[must_use]
pub fn canonical_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let segments = v6.segments();
    let embedded = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

/// IPv4 as usual; IPv6 as the network that it is: `2001:db8:1:2::/64`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::V4(v4) => v4.fmt(f),
            Subject::V6(_) => write!(f, "{}/64", self.network_address()),
        }
    }
}

/// A text that names no subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IPv4 address, an IPv6 address or an IPv6 /64")]
pub struct ParseSubjectError;

/// Reads an address, with or without `/32` (IPv4), `/128` or `/64` (IPv6).
impl FromStr for Subject {
    type Err = ParseSubjectError;

    fn from_str(text: &str) -> Result<Self, ParseSubjectError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParseSubjectError)?;
        match (address, prefix) {
            (_, None) | (IpAddr::V4(_), Some("32")) | (IpAddr::V6(_), Some("128")) => {
                Ok(Subject::of(address))
            }
            (IpAddr::V6(v6), Some("64")) if v6.to_bits() as u64 == 0 => {
                Ok(Subject::V6((v6.to_bits() >> 64) as u64))
            }
            _ => Err(ParseSubjectError),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let printed = text.parse::<Subject>().map(|subject| subject.to_string());
        assert_eq!(printed.as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn one_attacker_has_one_spelling() {
        check("192.0.2.1", "192.0.2.1");
        check("192.0.2.1/32", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("::ffff:c000:201", "192.0.2.1");
        check("64:ff9b::192.0.2.1", "192.0.2.1");
        check("2002:c000:201:7::5", "192.0.2.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:DB8:1:2::", "2001:db8:1:2::/64");
        check("2001:db8:1:2::/64", "2001:db8:1:2::/64");
        check("2001:db8:1:2::9/128", "2001:db8:1:2::/64");
        check("::1", "::/64");
    }

    #[test]
    fn refuses_what_is_no_subject() {
        for text in [
            "",
            "1.2.3",
            "1.2.3.4/24",
            "1.2.3.4/",
            "2001:db8::/48",
            "2001:db8::1/64",
            "01.2.3.4",
            "a.b.c.d",
            "fe80::1%eth0",
        ] {
            assert_eq!(text.parse::<Subject>(), Err(ParseSubjectError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(bits: u128, v4: bool) {
            let address = if v4 { IpAddr::V4(Ipv4Addr::from_bits(bits as u32)) } else { IpAddr::V6(Ipv6Addr::from_bits(bits)) };
            let subject = Subject::of(address);
            prop_assert_eq!(subject.to_string().parse(), Ok(subject));
            prop_assert!(subject.contains(address));
            prop_assert!(subject.contains(canonical_address(address)));
        }
    }
}
