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

    /// Whether somebody on the Internet can have this address: whether it may be in a report.
    ///
    /// The list is part of the wire version, so that every node of a version refuses the same: IANA's special-purpose
    /// registries (RFC 6890 and what came since) for what is private, shared (CGNAT), local, multicast, reserved, for
    /// documentation or for measurements, and IPv6 outside of 2000::/3 or only wrapping IPv4.
    #[must_use]
    pub fn is_public(self) -> bool {
        match self {
            Subject::V4(v4) => {
                let bits = v4.to_bits();
                !NOT_PUBLIC_V4
                    .iter()
                    .any(|(network, len)| (bits ^ network) >> (32 - len) == 0)
            }
            Subject::V6(upper) => {
                let is_global = upper >> 61 == 0b001;
                is_global
                    && !NOT_PUBLIC_V6
                        .iter()
                        .any(|(network, len)| (upper ^ network) >> (64 - len) == 0)
            }
        }
    }

    /// Whether the address is (in) this subject.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Subject::of(address) == self
    }
}

/// Networks that nobody on the Internet has, and the lengths of their prefixes.
const NOT_PUBLIC_V4: [(u32, u32); 16] = [
    (0x0000_0000, 8),  // this network
    (0x0a00_0000, 8),  // private
    (0x6440_0000, 10), // shared, for CGNAT
    (0x7f00_0000, 8),  // loopback
    (0xa9fe_0000, 16), // link-local
    (0xac10_0000, 12), // private
    (0xc000_0000, 24), // protocol assignments
    (0xc000_0200, 24), // documentation
    (0xc058_6300, 24), // 6to4 relays, gone
    (0xc0a8_0000, 16), // private
    (0xc612_0000, 15), // measurements
    (0xc633_6400, 24), // documentation
    (0xcb00_7100, 24), // documentation
    (0xe900_fc00, 24), // documentation, multicast
    (0xe000_0000, 4),  // multicast
    (0xf000_0000, 4),  // reserved, and broadcast
];

/// The same within 2000::/3, by the upper half of the address.
const NOT_PUBLIC_V6: [(u64, u32); 4] = [
    (0x2001_0000_0000_0000, 23), // protocol assignments, Teredo among them
    (0x2001_0db8_0000_0000, 32), // documentation
    (0x2002_0000_0000_0000, 16), // 6to4: is the IPv4 address in it
    (0x3fff_0000_0000_0000, 20), // documentation
];

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

/// A subject on the wire: 4 and an IPv4 address in its usual order, or 6 and the upper half of an IPv6 address.
pub(crate) mod wire {
    use std::fmt;
    use std::net::Ipv4Addr;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::ser::SerializeTuple;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Subject;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct SubjectWire(pub(crate) Subject);

    impl Serialize for SubjectWire {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut tuple = serializer.serialize_tuple(2)?;
            match self.0 {
                Subject::V4(v4) => {
                    tuple.serialize_element(&4u8)?;
                    tuple.serialize_element(&v4.octets())?;
                }
                Subject::V6(upper) => {
                    tuple.serialize_element(&6u8)?;
                    tuple.serialize_element(&upper.to_be_bytes())?;
                }
            }
            tuple.end()
        }
    }

    impl<'de> Deserialize<'de> for SubjectWire {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_tuple(2, Fields)
        }
    }

    struct Fields;

    impl<'de> Visitor<'de> for Fields {
        type Value = SubjectWire;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("4 and 4 bytes, or 6 and 8 bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<SubjectWire, A::Error> {
            let missing = || A::Error::custom("a subject is cut short");
            let subject = match fields.next_element::<u8>()?.ok_or_else(missing)? {
                4 => Subject::V4(Ipv4Addr::from(
                    fields.next_element::<[u8; 4]>()?.ok_or_else(missing)?,
                )),
                6 => Subject::V6(u64::from_be_bytes(
                    fields.next_element::<[u8; 8]>()?.ok_or_else(missing)?,
                )),
                other => return Err(A::Error::custom(format_args!("a subject of kind {other}"))),
            };
            Ok(SubjectWire(subject))
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

    #[test]
    fn only_what_the_internet_routes_is_public() {
        let check = |text: &str, expected: bool| {
            assert_eq!(
                text.parse::<Subject>().unwrap().is_public(),
                expected,
                "{text}"
            );
        };
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1",
            "2a01:4f8::1",
            "2003::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            check(text, true);
        }
        for text in [
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "4000::1",
        ] {
            check(text, false);
        }
        // A spelling that only wraps IPv4 is no subject of its own.
        assert!(!Subject::V6(0x2002_0808_0808_0000).is_public());
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
