//! A table of networks that answers which of them overlaps another one, however many there are.
//!
//! Looking up costs one search a prefix length in use, for those that contain the network asked for, and one for
//! those that it contains.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::target::{IpNet, canonical_network, network_round};

/// Networks with something known about each.
#[derive(Clone, Debug)]
pub struct Networks<T> {
    /// By family, first address and length, so that what lies within a network stands together.
    known: BTreeMap<(bool, u128, u8), T>,
    /// How many there are of each family and length.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Networks {
            known: BTreeMap::new(),
            lengths: BTreeMap::new(),
        }
    }
}

impl<T> Networks<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Put a network in. The first thing known about it stays.
    pub fn insert(&mut self, network: IpNet, about: T) {
        let network = canonical_network(network);
        let key = key(network);
        if let std::collections::btree_map::Entry::Vacant(place) = self.known.entry(key) {
            place.insert(about);
            *self.lengths.entry((key.0, key.2)).or_default() += 1;
        }
    }

    /// A network that has an address in common with `network`: the narrowest round it, or else the first within.
    #[must_use]
    pub fn overlapping(&self, network: IpNet) -> Option<(IpNet, &T)> {
        let network = canonical_network(network);
        let (family, first, len) = key(network);
        let round = self.lengths.range((family, 0)..=(family, len)).rev();
        let round = round.filter_map(|((_, len), _)| network_round(network.addr(), *len));
        let mut round =
            round.filter_map(|wide| self.known.get(&key(wide)).map(|about| (wide, about)));
        round.next().or_else(|| {
            let last = number(network.broadcast());
            let mut within = self
                .known
                .range((family, first, 0)..=(family, last, u8::MAX));
            within
                .next()
                .map(|(within, about)| (of_key(*within), about))
        })
    }
}

impl<T> FromIterator<(IpNet, T)> for Networks<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(all: I) -> Self {
        let mut networks = Networks::default();
        for (network, about) in all {
            networks.insert(network, about);
        }
        networks
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn key(network: IpNet) -> (bool, u128, u8) {
    let first = network.network();
    (first.is_ipv6(), number(first), network.prefix_len())
}

fn of_key((is_v6, first, len): (bool, u128, u8)) -> IpNet {
    let address = match is_v6 {
        true => IpAddr::V6(first.into()),
        // What was put in came from 32 bits.
        false => IpAddr::V4(u32::try_from(first).unwrap_or_default().into()),
    };
    network_round(address, len).unwrap_or_else(|| IpNet::from(address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::target::parse_network;
    use super::*;

    fn net(text: &str) -> IpNet {
        parse_network(text).unwrap()
    }

    #[test]
    fn finds_what_is_round_and_what_is_within() {
        let networks: Networks<u8> = [("192.0.2.0/24", 1), ("192.0.2.7", 2), ("2001:db8::/32", 3)]
            .map(|(text, about)| (net(text), about))
            .into_iter()
            .collect();
        let found = |text| networks.overlapping(net(text)).map(|(_, about)| *about);
        assert_eq!(found("192.0.2.7"), Some(2), "the narrowest");
        assert_eq!(found("192.0.2.8"), Some(1));
        assert_eq!(found("192.0.0.0/16"), Some(1));
        assert_eq!(found("192.0.3.0/24"), None);
        assert_eq!(found("0.0.0.0/0"), Some(1));
        assert_eq!(found("2001:db8:5::/48"), Some(3));
        assert_eq!(found("::/0"), Some(3));
        assert_eq!(
            found("::ffff:192.0.2.7"),
            Some(2),
            "an IPv6 spelling of IPv4"
        );
        assert_eq!(Networks::<u8>::default().overlapping(net("::/0")), None);
    }

    proptest! {
        #[test]
        fn finds_one_exactly_if_there_is_one(
            all in prop::collection::vec((any::<u8>(), 24u8..=32), 0..8), asked in (any::<u8>(), 24u8..=32)
        ) {
            let of = |(last, len): (u8, u8)| network_round(IpAddr::from([192, 0, 2, last]), len).unwrap();
            let networks: Networks<()> = all.iter().map(|one| (of(*one), ())).collect();
            let asked = of(asked);
            let overlaps = |one: &IpNet| one.contains(&asked) || asked.contains(one);
            let expected = all.iter().map(|one| of(*one)).any(|one| overlaps(&one));
            let found = networks.overlapping(asked).map(|(network, ())| network);
            prop_assert_eq!(found.is_some(), expected);
            prop_assert!(found.is_none_or(|found| overlaps(&found)));
        }
    }
}
