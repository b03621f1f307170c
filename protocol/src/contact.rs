//! Where a node can be reached, in its own words. Handed to peers that were paired with, never gossiped to strangers.

use serde::{Deserialize, Serialize};

use crate::id::TransportId;
use crate::limits;
use crate::report::Nonsense;
use crate::vouch::{Minute, check_life};

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// The key of its transport.
    pub transport: TransportId,
    /// When it was said.
    pub issued: Minute,
    /// Until when it holds.
    pub expires: Minute,
    /// Its number: the highest one holds.
    pub seq: u64,
    /// Multiaddresses, without the peer's id.
    pub addresses: Vec<String>,
    /// What its owner calls the machine; may be empty.
    pub name: String,
}

impl Contact {
    /// Whether every node of this version sees that it can be no honest one.
    pub fn check(&self) -> Result<(), Nonsense> {
        if self.addresses.len() > limits::ADDRESSES_MAX {
            return Err(Nonsense::Length);
        }
        let is_address = |text: &String| {
            text.starts_with('/')
                && text.len() <= limits::ADDRESS_BYTES_MAX
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.addresses.iter().all(is_address) || !is_name(&self.name) {
            return Err(Nonsense::Text);
        }
        check_life(self.issued, self.expires, limits::CONTACT_LIFE_MAX)
    }
}

/// Whether a text may be a machine's name: short and printable.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 63 && text.chars().all(|c| !c.is_control())
}
