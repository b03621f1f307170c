//! The addresses round this machine that must never be blocked: its own, its gateways, its name servers,
//! and those of people who are logged in (`sessions`).
//!
//! Read from the kernel's text files; whatever cannot be read or understood is left out, since the fixed
//! part of the never-block list holds without it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::sessions;
use crate::engine::protected::{Protection, Shield};
use crate::engine::target::{IpNet, canonical_network};

/// All that is known now.
#[must_use]
pub(super) fn look() -> Vec<Shield> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let own = own_v4(&read("/proc/net/fib_trie"))
        .into_iter()
        .chain(own_v6(&read("/proc/net/if_inet6")));
    let gateways = gateways_v4(&read("/proc/net/route"))
        .into_iter()
        .chain(gateways_v6(&read("/proc/net/ipv6_route")));
    let shield = |protection| {
        move |address: IpAddr| Shield {
            network: canonical_network(IpNet::from(address)),
            protection,
        }
    };
    let all = own.map(shield(Protection::OwnAddress));
    let all = all.chain(gateways.map(shield(Protection::Gateway)));
    let mut all: Vec<_> = all
        .chain(
            resolvers(&read("/etc/resolv.conf"))
                .into_iter()
                .map(shield(Protection::Resolver)),
        )
        .collect();
    let sessions = sessions::peers(Path::new("/proc"));
    all.extend(sessions.into_iter().map(shield(Protection::SshPeer)));
    all.sort_unstable();
    all.dedup();
    all
}

/// Addresses are the lines before `/32 host LOCAL`.
fn own_v4(trie: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut found = Vec::new();
    for line in trie.lines().map(str::trim) {
        match line.strip_prefix("|-- ") {
            Some(address) => last = address.parse::<Ipv4Addr>().ok(),
            None if line == "/32 host LOCAL" => found.extend(last.map(IpAddr::from)),
            None => {}
        }
    }
    found
}

/// First column: 32 hexadecimal digits.
fn own_v6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| hex_v6(line.split_whitespace().next()?))
        .collect()
}

/// Third column, in the byte order of the machine; zero where the network is reached directly.
fn gateways_v4(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let number = u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok()?;
        (number != 0).then(|| IpAddr::from(Ipv4Addr::from(number.to_ne_bytes())))
    };
    table.lines().skip(1).filter_map(gateway).collect()
}

/// Fifth column.
fn gateways_v6(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| hex_v6(line.split_whitespace().nth(4)?);
    table
        .lines()
        .filter_map(gateway)
        .filter(|address| !address.is_unspecified())
        .collect()
}

fn resolvers(conf: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        line.trim()
            .strip_prefix("nameserver")?
            .split_whitespace()
            .next()?
            .split('%')
            .next()?
            .parse()
            .ok()
    };
    conf.lines().filter_map(server).collect()
}

fn hex_v6(digits: &str) -> Option<IpAddr> {
    (digits.len() == 32)
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten()
        .map(Ipv6Addr::from_bits)
        .map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(addresses: &[IpAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 192.0.2.0/24 2 0 2\n        |-- 192.0.2.0\n           /24 link UNICAST\n        |-- 192.0.2.17\n           /32 host LOCAL\n        |-- 192.0.2.255\n           /32 link BROADCAST\n";
        assert_eq!(printed(&own_v4(trie)), ["192.0.2.17"]);
        let table = "20010db8000000000000000000000005 02 40 00 80     eth0\nnonsense\n";
        assert_eq!(printed(&own_v6(table)), ["2001:db8::5"]);
        let route = "Iface Destination Gateway Flags\neth0 00000000 010200C0 0003\neth0 000200C0 00000000 0001\n";
        assert_eq!(printed(&gateways_v4(route)), ["192.0.2.1"]);
        let zero = "0".repeat(32);
        let route = format!(
            "{zero} 00 {zero} 00 20010db8000000000000000000000001 400 1 0 3 eth0\n{zero} 40 {zero} 00 {zero} 0 1 0 1 eth0\n"
        );
        assert_eq!(printed(&gateways_v6(&route)), ["2001:db8::1"]);
        assert_eq!(
            printed(&resolvers(
                "# x\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch a\n"
            )),
            ["192.0.2.53", "fe80::1"]
        );
    }

    #[test]
    fn this_machine_has_itself() {
        assert!(
            look()
                .iter()
                .any(|shield| shield.protection == Protection::OwnAddress)
        );
    }
}
