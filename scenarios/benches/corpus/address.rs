//! Addresses of globally routable space, each given out once. They are text in a file; nothing is ever sent to them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Gives out addresses, in a fixed order, none twice.
#[derive(Debug)]
pub struct Addresses {
    given: u32,
    offset: u32,
}

impl Addresses {
    /// The order that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Addresses {
            given: 0,
            offset: (seed as u32).wrapping_mul(0x85eb_ca6b) ^ (seed >> 32) as u32,
        }
    }

    /// The next address: IPv4, or an IPv6 address in a /64 of its own for one in sixteen.
    pub fn next(&mut self) -> String {
        let v4 = self.next_v4();
        if v4.to_bits() % 16 == 5 {
            v6_of(v4).to_string()
        } else {
            v4.to_string()
        }
    }

    /// The next IPv4 address.
    pub fn next_v4(&mut self) -> Ipv4Addr {
        loop {
            // An odd multiplier walks through all 2^32 values before one comes back.
            let bits = self
                .given
                .wrapping_mul(0x9e37_79b1)
                .wrapping_add(self.offset);
            self.given = self.given.wrapping_add(1);
            let address = Ipv4Addr::from_bits(bits);
            if is_global(address) {
                return address;
            }
        }
    }
}

/// An address below 2a00::/12, in the /64 that the IPv4 address numbers.
fn v6_of(v4: Ipv4Addr) -> Ipv6Addr {
    let bits = v4.to_bits();
    let [high, low] = [(bits >> 16) as u16, bits as u16];
    Ipv6Addr::new(
        0x2a01 + (bits >> 29) as u16,
        high,
        low,
        0x10,
        0,
        0,
        low ^ 0x5a5a,
        0x0001 | high,
    )
}

/// Whether an address belongs to the public Internet: none of IANA's special-purpose blocks.
pub fn is_global(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let special = matches!(a, 0 | 10 | 127 | 224..)
        || (a == 100 && (64..128).contains(&b))
        || (a, b) == (169, 254)
        || (a == 172 && (16..32).contains(&b))
        || (a, b) == (192, 168)
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 0, 2)
        || (a, b, c) == (192, 31, 196)
        || (a, b, c) == (192, 52, 193)
        || (a, b, c) == (192, 88, 99)
        || (a, b, c) == (192, 175, 48)
        || (a == 198 && (b == 18 || b == 19))
        || (a, b, c) == (198, 51, 100)
        || (a, b, c) == (203, 0, 113);
    !special && d != 0 && d != 255
}
