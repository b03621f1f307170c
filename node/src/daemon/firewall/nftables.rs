//! The kernel's packet filter: one table of our own, `inet lymph`, and nothing else is touched.
//!
//! **Layout.** Two base chains, on input and on forward, at priority mangle: after conntrack, before Docker's and
//! everybody's filter chains, so that a packet for a container's published port is refused whatever they accept. Both
//! lead to `sources`. There answers to connections that this side opened pass (`ct direction reply`); everything
//! else from a source in `banned` goes to `refuse`, connections that were open already included, and new connections
//! from a source in `throttled` go to `slow`. Neighbours on the same cable are always found (IPv6 has no ARP beside
//! it): else not even answers from a banned one would come.
//!
//! **Sets** are plain hash sets with timeouts, one for each measure, family and prefix length in use (`ban4_32`,
//! `ban6_64`, `ban4_24`), made together with their rule. An interval set would take a second for one more element
//! among a hundred thousand, and refuses a network within another one. The kernel counts time down itself: bans end
//! also if the daemon is dead.
//!
//! **Counting.** A dropped packet is never confirmed by conntrack, so that each retry of a connection looks new.
//! `seen` remembers address and ports for as long as that goes on: a retry is dropped uncounted. A set that is full
//! breaks its rule off, so whatever counts stands in rules of their own before the one that drops.
//!
//! **Commands.** One `nft -f -` a batch, never one an address. Listing a set, and also `nft get element`, reads all
//! of it (a second for a hundred thousand); whether elements are there is asked by checking (`-c`) whether they could
//! be deleted, which costs 20 ms for a thousand and changes nothing. That nobody else has changed anything is known
//! from the ruleset's generation (`netlink`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::child::{complaint, run};
use super::netlink::Generation;
use super::{Backend, Entry, Health, Hit, Measure};
use crate::engine::target::{IpNet, Target};

/// Most elements of a set: more than there may be decisions. The kernel takes no memory in advance.
const ELEMENTS_MAX: usize = 1 << 20;
const _: () = assert!(ELEMENTS_MAX > crate::config::settings::DECISIONS_MAX);
/// Connections that are remembered, to tell a retry from a new one: Linux repeats a SYN for 127 seconds.
const SEEN_MAX: usize = 1 << 16;
/// Sources whose refused connections are counted at a time; reading them all takes some tens of milliseconds.
const HITS_MAX: usize = 1 << 13;
/// New connections a minute of a throttled source: a person who retries is served, a program is not.
const THROTTLED_PER_MINUTE: u32 = 6;
/// The same at once.
const THROTTLED_BURST: u32 = 6;
/// How often everything is made anew if others change the firewall at the same moment.
const REPLACE_TRIES: usize = 3;
/// An abstract socket's name is taken by one process a network namespace, and given back whatever ends it.
const LOCK_NAME: &[u8] = b"lymph-firewall";

/// Which set an entry belongs to: its measure, whether it is IPv6, its prefix length.
type SetKey = (Measure, bool, u8);

/// The back end.
#[derive(Debug)]
pub struct Nftables {
    nft: Nft,
    generation: Option<Generation>,
    /// The generation after our last change.
    known_generation: Option<u32>,
    /// Our table as it was after our last change of it, without elements.
    known_table: Option<String>,
    /// Sets that there are.
    sets: BTreeSet<SetKey>,
    /// Counts at the last reading.
    counted: BTreeMap<IpAddr, u64>,
    counted_packets: u64,
    _lock: Option<UnixListener>,
}

/// How `nft` is run.
#[derive(Debug)]
struct Nft {
    command: Vec<String>,
}

impl Nft {
    fn find() -> Result<Self, String> {
        let folders = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
        let mut paths = folders.iter().map(|folder| Path::new(folder).join("nft"));
        let path = paths
            .find(|path| path.exists())
            .ok_or("the program nft is not installed (package nftables)")?;
        Ok(Nft {
            command: vec![path.display().to_string()],
        })
    }

    /// Run it. `Err` is what it complained about.
    fn run(&self, arguments: &[&str], script: &str) -> Result<Vec<u8>, Vec<u8>> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(arguments);
        match run(command, script) {
            Ok(output) if output.status.success() => Ok(output.stdout),
            Ok(output) => Err(output.stderr),
            Err(error) => Err(error.into_bytes()),
        }
    }

    fn script(&self, script: &str) -> Result<(), String> {
        let done = self.run(&["-f", "-"], script);
        done.map(drop).map_err(|error| why(&error))
    }

    /// Our table without elements and without counts; `None` if there is none.
    fn table(&self) -> Result<Option<String>, String> {
        let listed = self.run(&["-s", "-t", "list", "ruleset", "inet"], "");
        let listed = listed.map_err(|error| why(&error))?;
        Ok(own_table(&String::from_utf8_lossy(&listed)).map(str::to_owned))
    }
}

/// Take our table out of the firewall, if it is there.
pub fn drop_table() -> Result<(), String> {
    Nft::find()?.script(NO_TABLE)
}

const NO_TABLE: &str = "add table inet lymph\ndelete table inet lymph\n";

fn why(error: &[u8]) -> String {
    let text = complaint(error);
    match text.contains("Operation not permitted") {
        true => "this user may not change the firewall: run lymph as root".to_owned(),
        false => text,
    }
}

impl Nftables {
    /// Ready to enforce. Errors say what is in the way.
    pub fn new() -> Result<Self, String> {
        let nft = Nft::find()?;
        let listed = nft.run(&["list", "tables"], "");
        listed.map_err(|error| why(&error))?;
        let name = SocketAddr::from_abstract_name(LOCK_NAME).map_err(|error| error.to_string())?;
        let lock = UnixListener::bind_addr(&name).map_err(|_| {
            "another lymph keeps this machine's firewall already: stop that one first, or give this one --firewall dry-run".to_owned()
        })?;
        Ok(Nftables::with(nft, Generation::connect(), Some(lock)))
    }

    /// One that runs nft by another command line.
    #[doc(hidden)]
    #[must_use]
    pub fn by(command: Vec<String>) -> Self {
        Nftables::with(Nft { command }, None, None)
    }

    fn with(nft: Nft, generation: Option<Generation>, lock: Option<UnixListener>) -> Self {
        Nftables {
            nft,
            generation,
            known_generation: None,
            known_table: None,
            sets: BTreeSet::new(),
            counted: BTreeMap::new(),
            counted_packets: 0,
            _lock: lock,
        }
    }

    fn generation(&self) -> Option<u32> {
        self.generation.as_ref().and_then(Generation::get)
    }

    /// Carry out a script that leaves the table as it is but for elements.
    fn commit(&mut self, script: &str) -> Result<(), String> {
        self.nft.script(script)?;
        // One more than before: ours. Any other number says that somebody else was at it too.
        self.known_generation = match (self.known_generation, self.generation()) {
            (Some(before), Some(now)) if now == before.wrapping_add(1) => Some(now),
            (Some(before), Some(_)) => Some(before),
            (None, now) => now,
            (Some(_), None) => None,
        };
        Ok(())
    }

    /// The table was changed by us: remember what it looks like.
    fn remember_table(&mut self) -> Result<(), String> {
        self.known_table = self.nft.table()?;
        Ok(())
    }
}

impl Backend for Nftables {
    fn replace(&mut self, all: &[(Entry, Duration)]) -> Result<(), String> {
        let mut script = NO_TABLE.to_owned();
        script.push_str(&base());
        let mut sets = BTreeSet::from(BASE_SETS);
        sets.extend(all.iter().map(|(entry, _)| set_of(*entry)));
        sets.iter().for_each(|set| add_set(&mut script, *set));
        let entries = all.iter().map(|(entry, left)| (*entry, Some(*left)));
        add_elements(&mut script, entries);
        for _ in 0..REPLACE_TRIES {
            let before = self.generation();
            self.nft.script(&script)?;
            self.remember_table()?;
            self.known_generation = self.generation();
            // If somebody else was at it meanwhile, what is remembered may be what they left.
            let is_ours = match (before, self.known_generation) {
                (Some(before), Some(now)) => now == before.wrapping_add(1),
                (None, _) | (_, None) => true,
            };
            if is_ours && self.known_table.is_some() {
                break;
            }
        }
        self.sets = sets;
        (self.counted, self.counted_packets) = (BTreeMap::new(), 0);
        match self.known_table {
            Some(_) => Ok(()),
            None => Err("somebody takes the table inet lymph out again and again".to_owned()),
        }
    }

    fn change(&mut self, changes: &[(Entry, Option<Duration>)]) -> Result<(), String> {
        let mut script = String::new();
        let wanted = changes
            .iter()
            .filter_map(|(entry, left)| left.map(|_| set_of(*entry)));
        let new: BTreeSet<_> = wanted.filter(|set| !self.sets.contains(set)).collect();
        new.iter().for_each(|set| add_set(&mut script, *set));
        let known = changes
            .iter()
            .filter(|(entry, left)| left.is_some() || self.sets.contains(&set_of(*entry)));
        let known: Vec<_> = known.copied().collect();
        if known.is_empty() {
            return Ok(());
        }
        let entries = || known.iter().copied();
        // Most of what comes is new, and the kernel is done with that at once.
        let is_done = known.iter().all(|(_, left)| left.is_some()) && {
            let mut script = script.clone();
            elements(&mut script, "create", entries());
            match self.commit(&script) {
                Ok(()) => true,
                Err(error) if error.contains("File exists") => false,
                Err(error) => return Err(error),
            }
        };
        if !is_done {
            // An element keeps the time that it was given, so it is taken out first; and only what is there can be.
            // What is taken out costs the kernel a moment in which nobody looks at it any more: 15 ms.
            let bare = || entries().map(|(entry, _)| (entry, None));
            elements(&mut script, "add", bare());
            elements(&mut script, "delete", bare());
            add_elements(&mut script, entries());
            self.commit(&script)?;
        }
        if !new.is_empty() {
            self.sets.extend(new);
            self.remember_table()?;
        }
        Ok(())
    }

    fn look(&mut self, entries: &[Entry]) -> Result<Vec<bool>, String> {
        let mut found: Vec<_> = entries
            .iter()
            .map(|entry| self.sets.contains(&set_of(*entry)))
            .collect();
        let (mut script, mut lines) = (String::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate().filter(|(at, _)| found[*at]) {
            let network = entry.target.network();
            let _ = writeln!(
                script,
                "delete element inet lymph {} {{ {} }}",
                name(set_of(*entry)),
                network.addr()
            );
            lines.push(at);
        }
        let Err(complaints) = self.nft.run(&["-c", "-f", "-"], &script) else {
            return Ok(found);
        };
        let text = String::from_utf8_lossy(&complaints);
        let missing = missing_lines(&text).ok_or_else(|| why(&complaints))?;
        for line in missing {
            let at = line.checked_sub(1).and_then(|line| lines.get(line));
            found[*at.ok_or_else(|| why(&complaints))?] = false;
        }
        Ok(found)
    }

    fn open(&mut self) -> Result<(), String> {
        self.sets.clear();
        (self.known_table, self.known_generation) = (None, None);
        self.nft.script(NO_TABLE)
    }

    fn check(&mut self) -> Health {
        let generation = self.generation();
        if generation.is_some() && generation == self.known_generation {
            return Health::Sound;
        }
        match self.nft.table() {
            Ok(None) => Health::Lost("the table inet lymph is gone".to_owned()),
            Ok(table) if table != self.known_table => Health::Lost(
                "a chain, a set or a rule of the table inet lymph was changed".to_owned(),
            ),
            Ok(_) if generation.is_none() => Health::Sound,
            Ok(_) => {
                self.known_generation = generation;
                Health::Doubtful
            }
            Err(error) => Health::Lost(error),
        }
    }

    fn hits(&mut self) -> Result<Option<(Vec<Hit>, u64)>, String> {
        let list = |arguments: &[&str]| {
            let listed = self.nft.run(arguments, "").map_err(|error| why(&error))?;
            serde_json::from_slice::<serde_json::Value>(&listed)
                .map_err(|error| format!("nft's answer is no JSON: {error}"))
        };
        // Asked for counters alone, nft reads every set of the table.
        let counter = list(&["-j", "-t", "list", "ruleset", "inet"])?;
        let packets = packets(&counter);
        if packets == self.counted_packets {
            return Ok(Some((Vec::new(), packets)));
        }
        let mut counts = BTreeMap::new();
        for set in ["hits4", "hits6"] {
            counts.extend(counts_of(&list(&[
                "-j", "list", "set", "inet", "lymph", set,
            ])?));
        }
        let hits = increase(&self.counted, &counts);
        (self.counted, self.counted_packets) = (counts, packets);
        Ok(Some((hits, packets)))
    }
}

/// Sets that are there from the beginning.
const BASE_SETS: [SetKey; 2] = [(Measure::Ban, false, 32), (Measure::Ban, true, 64)];

/// The table without the sets that the entries need.
fn base() -> String {
    format!(
        "add table inet lymph
add counter inet lymph refused
add set inet lymph seen4 {{ type ipv4_addr . inet_service . inet_service; size {SEEN_MAX}; flags dynamic,timeout; timeout 130s; }}
add set inet lymph seen6 {{ type ipv6_addr . inet_service . inet_service; size {SEEN_MAX}; flags dynamic,timeout; timeout 130s; }}
add set inet lymph hits4 {{ type ipv4_addr; size {HITS_MAX}; flags dynamic,timeout; timeout 5m; counter; }}
add set inet lymph hits6 {{ type ipv6_addr; size {HITS_MAX}; flags dynamic,timeout; timeout 5m; counter; }}
add set inet lymph pace4 {{ type ipv4_addr; size {SEEN_MAX}; flags dynamic,timeout; timeout 5m; }}
add set inet lymph pace6 {{ type ipv6_addr; size {SEEN_MAX}; flags dynamic,timeout; timeout 5m; }}
add chain inet lymph refuse
add rule inet lymph refuse ip saddr . th sport . th dport @seen4 counter name refused drop
add rule inet lymph refuse ip6 saddr . th sport . th dport @seen6 counter name refused drop
add rule inet lymph refuse meta l4proto {{ tcp, udp }} add @seen4 {{ ip saddr . th sport . th dport }}
add rule inet lymph refuse meta l4proto {{ tcp, udp }} add @seen6 {{ ip6 saddr . th sport . th dport }}
add rule inet lymph refuse meta l4proto {{ tcp, udp }} update @hits4 {{ ip saddr }}
add rule inet lymph refuse meta l4proto {{ tcp, udp }} update @hits6 {{ ip6 saddr & {V6_64} }}
add rule inet lymph refuse counter name refused drop
add chain inet lymph slow
add rule inet lymph slow update @pace4 {{ ip saddr limit rate over {THROTTLED_PER_MINUTE}/minute burst {THROTTLED_BURST} packets }} goto refuse
add rule inet lymph slow update @pace6 {{ ip6 saddr & {V6_64} limit rate over {THROTTLED_PER_MINUTE}/minute burst {THROTTLED_BURST} packets }} goto refuse
add chain inet lymph banned
add chain inet lymph throttled
add chain inet lymph sources
add rule inet lymph sources ct direction reply return
add rule inet lymph sources icmpv6 type {{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} return
add rule inet lymph sources jump banned
add rule inet lymph sources jump throttled
add chain inet lymph input {{ type filter hook input priority mangle; policy accept; }}
add rule inet lymph input jump sources
add chain inet lymph forward {{ type filter hook forward priority mangle; policy accept; }}
add rule inet lymph forward jump sources
"
    )
}

/// The first 64 bits.
const V6_64: &str = "ffff:ffff:ffff:ffff::";

fn set_of(entry: Entry) -> SetKey {
    let network = entry.target.network();
    (
        entry.measure,
        network.addr().is_ipv6(),
        network.prefix_len(),
    )
}

fn name((measure, is_v6, len): SetKey) -> String {
    let family = if is_v6 { 6 } else { 4 };
    format!("{}{family}_{len}", measure.name())
}

/// A set and the rule that asks it.
fn add_set(script: &mut String, set: SetKey) {
    let (measure, is_v6, len) = set;
    let (name, family, kind) = match is_v6 {
        true => (name(set), "ip6", "ipv6_addr"),
        false => (name(set), "ip", "ipv4_addr"),
    };
    let source = match (is_v6, len) {
        (false, 32) => "saddr".to_owned(),
        (false, len) => format!("saddr & {}", Ipv4Addr::from_bits(ones(len, 32) as u32)),
        (true, len) => format!("saddr & {}", Ipv6Addr::from_bits(ones(len, 128))),
    };
    let (chain, condition, then) = match measure {
        Measure::Ban => ("banned", "", "goto refuse"),
        Measure::Throttle => ("throttled", "ct state new ", "goto slow"),
    };
    let _ = writeln!(
        script,
        "add set inet lymph {name} {{ type {kind}; size {ELEMENTS_MAX}; flags timeout; }}"
    );
    let _ = writeln!(
        script,
        "add rule inet lymph {chain} {condition}{family} {source} @{name} {then}"
    );
}

/// So many ones, and zeros up to `width` bits.
fn ones(len: u8, width: u8) -> u128 {
    let all = u128::MAX >> (128 - u32::from(width));
    match len {
        0 => 0,
        len => all & !(all.checked_shr(u32::from(len)).unwrap_or(0)),
    }
}

/// Statements about elements, one for each set.
fn elements(
    script: &mut String,
    verb: &str,
    entries: impl Iterator<Item = (Entry, Option<Duration>)>,
) {
    let mut by_set: BTreeMap<SetKey, String> = BTreeMap::new();
    for (entry, left) in entries {
        let text = by_set.entry(set_of(entry)).or_default();
        let _ = match entry.target {
            Target::Subject(subject) => write!(text, "{}", subject.network_address()),
            Target::Range(network) => write!(text, "{}", IpNet::addr(&network)),
        };
        if let Some(left) = left {
            // The kernel ends it by itself; a second more is no harm, one less would be.
            let secs = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            let _ = write!(text, " timeout {}s", secs.max(1));
        }
        text.push_str(",\n");
    }
    for (set, text) in by_set {
        let _ = write!(
            script,
            "{verb} element inet lymph {} {{\n{text}}}\n",
            name(set)
        );
    }
}

fn add_elements(script: &mut String, entries: impl Iterator<Item = (Entry, Option<Duration>)>) {
    elements(script, "add", entries.filter(|(_, left)| left.is_some()));
}

/// Our table within a listing of all.
fn own_table(listing: &str) -> Option<&str> {
    let start = listing
        .match_indices("table inet lymph {")
        .map(|(at, _)| at)
        .find(|at| *at == 0 || listing.as_bytes()[at - 1] == b'\n')?;
    let rest = &listing[start..];
    rest.find("\n}").map(|end| &rest[..end + 2])
}

/// Lines of a script about which nft says that there is no such element; `None` if it says anything else.
fn missing_lines(complaints: &str) -> Option<Vec<usize>> {
    let mut lines = Vec::new();
    for complaint in complaints.lines().filter(|line| line.contains("Error:")) {
        if !complaint.contains("No such file or directory") {
            return None;
        }
        // `/dev/stdin:12:37-43: Error: …`
        let place = complaint.split(": Error:").next()?;
        lines.push(place.rsplit(':').nth(1)?.parse().ok()?);
    }
    (!lines.is_empty()).then_some(lines)
}

fn packets(answer: &serde_json::Value) -> u64 {
    let all = answer["nftables"].as_array().into_iter().flatten();
    let is_own =
        |counter: &serde_json::Value| counter["name"] == "refused" && counter["table"] == "lymph";
    let own = all.filter(|object| is_own(&object["counter"]));
    own.filter_map(|object| object["counter"]["packets"].as_u64())
        .sum()
}

/// How often each element of a counting set was met.
fn counts_of(answer: &serde_json::Value) -> BTreeMap<IpAddr, u64> {
    let all = answer["nftables"].as_array().into_iter().flatten();
    let elements = all.filter_map(|object| object["set"]["elem"].as_array());
    let count = |element: &serde_json::Value| {
        let element = &element["elem"];
        let address = element["val"].as_str()?.parse().ok()?;
        Some((address, element["counter"]["packets"].as_u64()?))
    };
    elements.flatten().filter_map(count).collect()
}

/// What has been added since `before`. An element that vanished and came back counts from zero.
fn increase(before: &BTreeMap<IpAddr, u64>, now: &BTreeMap<IpAddr, u64>) -> Vec<Hit> {
    let hit = |(address, count): (&IpAddr, &u64)| {
        let known = before.get(address).copied().unwrap_or_default();
        let connections = if *count >= known {
            count - known
        } else {
            *count
        };
        let address = *address;
        (connections > 0).then_some(Hit {
            address,
            connections,
        })
    };
    now.iter().filter_map(hit).collect()
}

#[cfg(test)]
mod tests;
