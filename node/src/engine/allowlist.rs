//! What the operator has allowed: networks, and names whose addresses are looked up again and again.
//!
//! Whatever is on it is never blocked, whoever wants it blocked; see `protected`. The configuration file has an
//! allowlist of its own that commands do not change.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use lymph_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::target::{IpNet, parse_network};

/// How many entries there may be: more than anybody keeps by hand.
pub const ENTRIES_MAX: usize = 10_000;
/// How many of them may be names; each is looked up every few minutes.
pub const NAMES_MAX: usize = 64;
/// How many addresses of one name count: a home connection has one or two, a load balancer a handful.
pub const ADDRESSES_MAX: usize = 16;
/// Longest name, as DNS has it.
pub const NAME_BYTES_MAX: usize = 253;

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Allowed {
    /// Every address of a network.
    Network(IpNet),
    /// Whatever a name stands for.
    Name(Arc<str>),
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Allowed::Network(network) => network.fmt(f),
            Allowed::Name(name) => f.write_str(name),
        }
    }
}

/// A text that can be no entry of an allowlist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAllowedError {
    /// It names everybody.
    #[error(
        "{0} is everybody: to block nobody at all use `lymph panic` or `lymph run --firewall dry-run`"
    )]
    Everybody(String),
    /// It names nothing.
    #[error(
        "{0:?} is no address, network or host name, such as 192.0.2.1, 192.0.2.0/24 or home.example.org"
    )]
    Nothing(String),
}

impl FromStr for Allowed {
    type Err = ParseAllowedError;

    fn from_str(text: &str) -> Result<Self, ParseAllowedError> {
        if let Ok(network) = parse_network(text) {
            return match network.prefix_len() {
                0 => Err(ParseAllowedError::Everybody(text.to_owned())),
                _ => Ok(Allowed::Network(network)),
            };
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let is_label = |label: &str| {
            let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(inside) && !label.starts_with('-')
        };
        // The last label of a name is never a number; `192.0.2` is a slip of the pen.
        let ends_well = name
            .rsplit('.')
            .next()
            .is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
        match name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label) && ends_well {
            true => Ok(Allowed::Name(name.into())),
            false => Err(ParseAllowedError::Nothing(text.to_owned())),
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is allowed.
    pub what: Allowed,
    /// Why, in the operator's words.
    pub reason: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// What a name stood for when it was last looked up with success.
    pub addresses: Vec<IpAddr>,
}

/// Why something was not put on the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// There is no room.
    #[error("the allowlist is full ({ENTRIES_MAX} entries)")]
    Full,
    /// There is no room for names.
    #[error("the allowlist holds {NAMES_MAX} names already; each is looked up every few minutes")]
    TooManyNames,
}

/// The list.
#[derive(Clone, Debug, Default)]
pub struct Allowlist {
    entries: BTreeMap<Allowed, Entry>,
}

impl Allowlist {
    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry about exactly this.
    #[must_use]
    pub fn get(&self, what: &Allowed) -> Option<&Entry> {
        self.entries.get(what)
    }

    /// The names on it.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.keys().filter_map(|what| match what {
            Allowed::Name(name) => Some(name),
            Allowed::Network(_) => None,
        })
    }

    /// Every network that is allowed now.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> {
        let of_names = self
            .entries
            .values()
            .flat_map(|entry| &entry.addresses)
            .map(|address| IpNet::from(*address));
        let plain = self.entries.keys().filter_map(|what| match what {
            Allowed::Network(network) => Some(*network),
            Allowed::Name(_) => None,
        });
        plain.chain(of_names)
    }

    /// Put an entry on the list, in place of one about the same.
    pub fn add(&mut self, entry: Entry) -> Result<(), AllowError> {
        if !self.entries.contains_key(&entry.what) {
            if self.entries.len() >= ENTRIES_MAX {
                return Err(AllowError::Full);
            }
            if matches!(entry.what, Allowed::Name(_)) && self.names().count() >= NAMES_MAX {
                return Err(AllowError::TooManyNames);
            }
        }
        self.entries.insert(entry.what.clone(), entry);
        Ok(())
    }

    /// Take an entry off.
    pub fn remove(&mut self, what: &Allowed) -> Option<Entry> {
        self.entries.remove(what)
    }

    /// A name was looked up. Returns its entry if that changed anything.
    pub fn resolved(&mut self, name: &str, addresses: &[IpAddr]) -> Option<&Entry> {
        let entry = self.entries.get_mut(&Allowed::Name(name.into()))?;
        let mut addresses: Vec<_> = addresses.iter().take(ADDRESSES_MAX).copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() || addresses == entry.addresses {
            return None;
        }
        entry.addresses = addresses;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, ()>) {
        let allowed = text.parse::<Allowed>().map(|allowed| allowed.to_string());
        assert_eq!(
            allowed.as_deref().map_err(|_| ()),
            expected,
            "{text}: {allowed:?}"
        );
    }

    #[test]
    fn an_entry_is_a_network_or_a_name() {
        check("192.0.2.1", Ok("192.0.2.1"));
        check("192.0.2.77/24", Ok("192.0.2.0/24"));
        check("2001:db8::7", Ok("2001:db8::7"));
        check("Home.Example.org.", Ok("home.example.org"));
        check("nas", Ok("nas"));
        check("_x.a-b.example", Ok("_x.a-b.example"));
        for text in [
            "",
            "0.0.0.0/0",
            "::/0",
            "64:ff9b::/96",
            "192.0.2",
            "a..b",
            "-a.b",
            "a b",
            "1.2.3.4/33",
            "ü.de",
        ] {
            check(text, Err(()));
        }
    }

    fn entry(text: &str) -> Entry {
        Entry {
            what: text.parse().unwrap(),
            reason: "test".into(),
            since: Timestamp::EPOCH,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn a_name_stands_for_what_it_was_last_found_to_be() {
        let mut list = Allowlist::default();
        list.add(entry("home.example")).unwrap();
        assert_eq!(list.networks().count(), 0);
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert!(
            list.resolved("home.example", &[address(2), address(1), address(2)])
                .is_some()
        );
        assert!(
            list.resolved("home.example", &[address(1), address(2)])
                .is_none()
        );
        assert!(
            list.resolved("home.example", &[]).is_none(),
            "a name that is gone keeps its last addresses"
        );
        assert!(list.resolved("other.example", &[address(1)]).is_none());
        assert_eq!(list.networks().count(), 2);
        let many: Vec<_> = (0..=255).map(address).collect();
        list.resolved("home.example", &many);
        assert_eq!(list.networks().count(), ADDRESSES_MAX);
    }

    #[test]
    fn the_list_has_an_end() {
        let mut list = Allowlist::default();
        for n in 0..NAMES_MAX {
            list.add(entry(&format!("h{n}.example"))).unwrap();
        }
        assert_eq!(list.add(entry("one.more")), Err(AllowError::TooManyNames));
        assert_eq!(list.add(entry("h1.example")), Ok(()), "again is no more");
        for n in 0..u32::try_from(ENTRIES_MAX - NAMES_MAX).unwrap() {
            let what = Allowed::Network(IpNet::from(IpAddr::from(n.to_be_bytes())));
            list.add(Entry {
                what,
                ..entry("x.y")
            })
            .unwrap();
        }
        assert_eq!(list.add(entry("192.0.2.1")), Err(AllowError::Full));
        assert!(list.remove(&"h1.example".parse().unwrap()).is_some());
        assert_eq!(list.add(entry("192.0.2.1")), Ok(()));
    }
}
