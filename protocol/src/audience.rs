//! Whom something is said to. An object is signed for one audience and valid nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{NodeId, hex, write_hex};
use crate::signed::{OLDEST_VERSION, WIRE_VERSION};

/// A fleet, named by a hash of its secret: whoever knows the name does not know the secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetId(pub [u8; 32]);

/// A circle: who founded it, and under which number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CircleId(pub [u8; 32]);

impl CircleId {
    /// The circle that `founder` makes with `nonce`.
    #[must_use]
    pub fn of(founder: NodeId, nonce: [u8; 16]) -> Self {
        let hash = Sha256::new_with_prefix(b"lymph/1 circle\0");
        CircleId(
            hash.chain_update(founder.as_bytes())
                .chain_update(nonce)
                .finalize()
                .into(),
        )
    }
}

/// Whom something is said to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Audience {
    /// Everybody.
    Public,
    /// The members of a circle.
    Circle(CircleId),
    /// One operator's own machines.
    Fleet(FleetId),
}

impl Audience {
    /// What of it is signed: a tag and the name.
    #[must_use]
    pub fn preimage(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        let (tag, name) = match self {
            Audience::Public => (0, &[0; 32]),
            Audience::Circle(id) => (1, &id.0),
            Audience::Fleet(id) => (2, &id.0),
        };
        bytes[0] = tag;
        bytes[1..].copy_from_slice(name);
        bytes
    }

    /// The gossip topic of its reports, by group of families, or of its vouches and revocations, or all of a fleet.
    /// The number is the wire version.
    #[must_use]
    pub fn topic(&self, channel: Channel, version: u8) -> String {
        format!("lymph/{version}/{self}/{}", channel.name())
    }

    /// Its topics, in every version that this build speaks.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let channels: &[Channel] = match self {
            Audience::Public | Audience::Circle(_) => &Channel::OF_MANY,
            Audience::Fleet(_) => &[Channel::All],
        };
        let versions = OLDEST_VERSION..=WIRE_VERSION;
        versions
            .flat_map(|version| channels.iter().map(move |channel| (version, *channel)))
            .map(|(version, channel)| self.topic(channel, version))
            .collect()
    }

    /// The audience and the channel that a topic is of, among `joined`.
    #[must_use]
    pub fn of_topic<'a>(
        topic: &str,
        mut joined: impl Iterator<Item = &'a Audience>,
    ) -> Option<Audience> {
        let (version, rest) = topic.strip_prefix("lymph/")?.split_once('/')?;
        let version: u8 = version.parse().ok()?;
        if !(OLDEST_VERSION..=WIRE_VERSION).contains(&version) {
            return None;
        }
        joined
            .find(|audience| {
                rest.strip_prefix(&audience.to_string())
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            .copied()
    }
}

/// What is said on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Reports of attempts to log in.
    Auth,
    /// Reports of what happens to web servers.
    Web,
    /// All other reports.
    Other,
    /// Vouches and revocations, contacts of members.
    Vouch,
    /// Keys that died, and roots of digests.
    Revoke,
    /// Everything, in a fleet.
    All,
}

impl Channel {
    /// Those of a public audience or a circle.
    pub const OF_MANY: [Channel; 5] = [
        Channel::Auth,
        Channel::Web,
        Channel::Other,
        Channel::Vouch,
        Channel::Revoke,
    ];

    const fn name(self) -> &'static str {
        match self {
            Channel::Auth => "report/auth",
            Channel::Web => "report/web",
            Channel::Other => "report/other",
            Channel::Vouch => "vouch",
            Channel::Revoke => "revoke",
            Channel::All => "all",
        }
    }
}

/// As in topics and for people: `public`, `circle-0123456789abcdef`, `fleet-0123456789abcdef`.
impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Audience::Public => f.write_str("public"),
            Audience::Circle(id) => write!(f, "circle-{}", hex(&id.0[..8])),
            Audience::Fleet(id) => write!(f, "fleet-{}", hex(&id.0[..8])),
        }
    }
}

impl fmt::Debug for FleetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, "FleetId", &self.0)
    }
}

impl fmt::Debug for CircleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, "CircleId", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_belongs_to_one_audience() {
        let circle = Audience::Circle(CircleId::of(NodeId::from_bytes([1; 32]), [2; 16]));
        let fleet = Audience::Fleet(FleetId([3; 32]));
        let joined = [circle, fleet, Audience::Public];
        for audience in joined {
            for topic in audience.topics() {
                assert_eq!(
                    Audience::of_topic(&topic, joined.iter()),
                    Some(audience),
                    "{topic}"
                );
                let others = joined.iter().filter(|other| **other != audience);
                assert_eq!(Audience::of_topic(&topic, others), None, "{topic}");
            }
        }
        for topic in [
            "",
            "lymph/1/public",
            "lymph/9/public/vouch",
            "lymph/1/publicity/vouch",
        ] {
            assert_eq!(Audience::of_topic(topic, joined.iter()), None, "{topic}");
        }
        assert_eq!(
            fleet.topic(Channel::All, 1),
            "lymph/1/fleet-0303030303030303/all"
        );
        let preimages = joined.map(|audience| audience.preimage());
        assert!(
            preimages[0] != preimages[1]
                && preimages[1] != preimages[2]
                && preimages[0] != preimages[2]
        );
    }
}
