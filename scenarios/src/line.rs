//! A raw log line and where it comes from: what goes in at the start of the path.
//!
//! The next step is `parser`, which makes an `Event` of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use lymph_protocol::{Timestamp, canonical_address};

use crate::date::Zone;

/// Longest line that is looked at, in bytes. The longest that a daemon of our table writes by itself is about
/// 8 KiB (a request line and a user agent at their servers' limits); 64 KiB leaves room for JSON logs.
/// What is beyond is cut off and counted.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line of a log, without its line end.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The bytes, which need not be UTF-8.
    pub text: &'a [u8],
    /// Where it was read.
    pub source: &'a Arc<Source>,
    /// The same for this line whenever it is read again, and for no other line: made from the identity of its
    /// file and the offset in it (or the journal's cursor). A detection is known by its first line's id.
    pub id: u64,
    /// When it was read.
    pub received_at: Timestamp,
}

/// A log that is read: a file, a journal, the standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Path of the file, or a name: `journal`, `stdin`. Rules read it as `evt.Line.Src`.
    pub name: String,
    /// What reads it: `file`, `journalctl`, `docker`, `stdin`. Rules read it as `evt.Line.Module`.
    pub module: String,
    /// Facts that the operator gives along; `type` says which parsers may understand it.
    pub labels: BTreeMap<String, String>,
    /// Reverse proxies whose lines name the real client elsewhere. None of them is ever a subject.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the log's own time counts, however young the line is (a replay), or the time it is read
    /// where that is about the same (a log that is followed).
    pub log_time: bool,
    /// Where its dates without an offset were written; UTC if nobody says.
    pub zone: Zone,
}

impl Source {
    /// A followed file whose lines are of the given type.
    #[must_use]
    pub fn file(path: &str, log_type: &str) -> Self {
        Source {
            name: path.to_owned(),
            module: "file".to_owned(),
            labels: BTreeMap::from([("type".to_owned(), log_type.to_owned())]),
            ..Source::default()
        }
    }

    /// The value of a label, empty where there is none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether the address is one of the trusted proxies.
    #[must_use]
    pub fn trusts_proxy(&self, address: IpAddr) -> bool {
        let address = canonical_address(address);
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }
}
