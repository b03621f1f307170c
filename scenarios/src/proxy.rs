//! The client behind a trusted proxy.
//!
//! If `Meta.source_ip` is a trusted proxy of the line's source, the client is the last address in
//! `Meta.forwarded_for` that is no such proxy. `rules` puts it in the proxy's place as soon as a node has set both,
//! so that every later node, allowlists above all, judges the client.

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::{Event, Slot, parse_address};

/// Put the client in the place of a trusted proxy, if the event names both.
pub(crate) fn resolve(event: &mut Event, source_ip: Slot, forwarded_for: Slot) {
    if event.source.trusted_proxies.is_empty() {
        return;
    }
    let proxy = parse_address(event.field(source_ip));
    if !proxy.is_some_and(|proxy| event.source.trusts_proxy(proxy)) {
        return;
    }
    let source = Arc::clone(&event.source);
    let is_proxy = |hop| source.trusts_proxy(hop);
    if let Some(client) = client_behind(event.field(forwarded_for), is_proxy) {
        event.set(source_ip, client.to_string().as_bytes());
    }
}

/// The last hop of an `X-Forwarded-For` list that is no proxy of ours. What stands before it, the client wrote.
fn client_behind(forwarded_for: &[u8], is_proxy: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    for hop in forwarded_for.rsplit(|byte| *byte == b',') {
        let address = hop_address(hop.trim_ascii())?;
        if !is_proxy(address) {
            return Some(address);
        }
    }
    None
}

/// `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    if let Some(address) = parse_address(hop) {
        return Some(address);
    }
    match hop.strip_prefix(b"[") {
        Some(rest) => parse_address(rest.split(|byte| *byte == b']').next()?),
        None => parse_address(hop.split(|byte| *byte == b':').next()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(forwarded_for: &str, expected: Option<&str>) {
        let proxies =
            ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|proxy| proxy.parse::<IpAddr>().unwrap());
        let client = client_behind(forwarded_for.as_bytes(), |hop| proxies.contains(&hop));
        assert_eq!(
            client,
            expected.map(|address| address.parse().unwrap()),
            "{forwarded_for}"
        );
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy() {
        check("203.0.113.9", Some("203.0.113.9"));
        check("203.0.113.9, 192.0.2.1", Some("203.0.113.9"));
        check(
            "8.8.8.8, 203.0.113.9,192.0.2.2 , 192.0.2.1",
            Some("203.0.113.9"),
        );
        check("203.0.113.9:4711", Some("203.0.113.9"));
        check("[2001:db8::9]:80, [2001:db8::1]", Some("2001:db8::9"));
        check("::ffff:203.0.113.9", Some("203.0.113.9"));
        check("192.0.2.1, 192.0.2.2", None);
        check("", None);
        check("-", None);
        check("unknown, 192.0.2.1", None);
        check("203.0.113.9, garbage", None);
    }
}
