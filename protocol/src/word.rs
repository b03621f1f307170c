//! What the machines of one operator tell each other beside reports: what the operator wants, on all of them at once.
//! Only ever sealed with the fleet's secret.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::report::Nonsense;
use crate::vouch::Minute;

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Word {
    /// When.
    pub issued: Minute,
    /// Its number.
    pub seq: u64,
    /// What.
    pub wish: Wish,
}

/// An address or a network, host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Net {
    /// Its lowest address.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}

/// What an operator may want of the whole fleet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// Ban this for so many seconds.
    Ban {
        /// Whom.
        net: Net,
        /// For how long.
        secs: u32,
        /// Why.
        reason: String,
    },
    /// Lift whatever stands about this.
    Lift {
        /// About whom.
        net: Net,
        /// It was wrong to begin with.
        false_positive: bool,
    },
    /// Never block this.
    AllowNet {
        /// Whom.
        net: Net,
        /// Why.
        comment: String,
    },
    /// Never block what this name stands for.
    AllowName {
        /// The name.
        name: String,
        /// Why.
        comment: String,
    },
    /// Take it off the allowlist.
    DisallowNet(Net),
    /// Take it off the allowlist.
    DisallowName(String),
    /// Enforce nothing.
    Panic,
    /// Enforce again.
    Resume,
    /// This node is one of us no longer.
    Expel(crate::id::NodeId),
}

impl Word {
    /// Whether every node of this version sees that it can be no honest one.
    pub fn check(&self) -> Result<(), Nonsense> {
        let check_net = |net: &Net| {
            let most = if net.address.is_ipv4() { 32 } else { 128 };
            (net.prefix <= most).then_some(()).ok_or(Nonsense::Text)
        };
        let check_text = |text: &String| {
            let is_fine = text.len() <= limits::WORDS_BYTES_MAX && !text.contains('\0');
            is_fine.then_some(()).ok_or(Nonsense::Text)
        };
        match &self.wish {
            Wish::Ban {
                net, reason: text, ..
            }
            | Wish::AllowNet { net, comment: text } => {
                check_net(net)?;
                check_text(text)
            }
            Wish::Lift { net, .. } | Wish::DisallowNet(net) => check_net(net),
            Wish::AllowName { name, comment } => {
                check_text(name)?;
                check_text(comment)
            }
            Wish::DisallowName(name) => check_text(name),
            Wish::Panic | Wish::Resume | Wish::Expel(_) => Ok(()),
        }
    }
}
