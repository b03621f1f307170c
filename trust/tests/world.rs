//! A node in a mesh, in a few words.

use std::net::Ipv4Addr;
use std::time::Duration;

use lymph_protocol::family::Family;
use lymph_protocol::vouch::Minute;
use lymph_protocol::{NodeId, Subject, Timestamp};
use lymph_trust::{Change, Kin, Level, Parameters, Statement, Trust, Voice, Vouchee};

pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// When every test begins: an hour after midnight.
pub(crate) const START: Timestamp = Timestamp::from_secs(20_700 * 24 * 60 * 60 + 3_600);

/// Node 0 is ego.
pub(crate) fn node(number: u32) -> NodeId {
    let mut bytes = [0; 32];
    // Spread over the table of names, and in another order than the numbers.
    bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// An address with a /16 of its own for each 256.
pub(crate) fn subject(number: u32) -> Subject {
    Subject::V4(Ipv4Addr::from_bits((1 << 24) + (number << 8) + 7))
}

/// What a node says about an address that it saw at SSH's door.
pub(crate) fn voice(by: u32, seq: u64, now: Timestamp) -> Voice {
    Voice {
        by: node(by),
        family: Family::SSH_AUTH,
        heard_at: now,
        said_at: now,
        expires: now + DAY,
        is_spoofable: false,
        is_rule_known: true,
        seq,
        is_retracted: false,
    }
}

/// One vouch for a week.
pub(crate) fn statement(issuer: u32, about: u32, weight: u16, seq: u64) -> Statement {
    let end = Minute::of(START + 7 * DAY);
    Statement {
        issuer: node(issuer),
        subject: node(about),
        weight,
        seq,
        expires: end,
        kept_until: end,
    }
}

/// Ego, and the time.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) trust: Trust,
    pub(crate) now: Timestamp,
    seq: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        World::with(Parameters::default())
    }

    pub(crate) fn with(parameters: Parameters) -> Self {
        World {
            trust: Trust::new(node(0), parameters),
            now: START,
            seq: 1,
        }
    }

    pub(crate) fn with_friends(friends: impl IntoIterator<Item = u32>) -> Self {
        let mut world = World::new();
        for friend in friends {
            world.kin(friend, Kin::Friend, 10_000);
        }
        world
    }

    pub(crate) fn kin(&mut self, who: u32, kin: Kin, weight: u16) {
        assert!(self.trust.vouch_for(node(who), Vouchee { kin, weight }));
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn vouch(&mut self, issuer: u32, about: u32) {
        let seq = self.next_seq();
        let statement = statement(issuer, about, 10_000, seq);
        assert!(self.trust.hear_vouch(&statement, self.now));
    }

    pub(crate) fn revoke(&mut self, issuer: u32, about: u32) {
        let seq = self.next_seq();
        let statement = statement(issuer, about, 0, seq);
        assert!(self.trust.hear_vouch(&statement, self.now));
    }

    pub(crate) fn hear(&mut self, about: u32, voice: Voice) -> Option<Change> {
        self.trust.hear(subject(about), voice, self.now)
    }

    /// Somebody reports an address.
    pub(crate) fn report(&mut self, by: u32, about: u32) -> Level {
        let seq = self.next_seq();
        self.hear(about, voice(by, seq, self.now));
        self.level(about)
    }

    pub(crate) fn reports(&mut self, by: impl IntoIterator<Item = u32>, about: u32) -> Level {
        for by in by {
            self.report(by, about);
        }
        self.level(about)
    }

    pub(crate) fn retract(&mut self, by: u32, about: u32) -> Vec<NodeId> {
        let seq = self.next_seq();
        let subject = subject(about);
        let family = Family::SSH_AUTH;
        let (_, refuted) = self
            .trust
            .hear_retraction(node(by), subject, family, seq, self.now);
        refuted
    }

    pub(crate) fn level(&self, about: u32) -> Level {
        self.trust.level(subject(about))
    }

    /// Time passes, and all that is due happens.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Change> {
        let end = self.now + time;
        let mut changes = Vec::new();
        while let Some(due) = self.trust.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            changes.extend(self.trust.tick(self.now));
        }
        self.now = end;
        changes
    }

    /// What is due now happens.
    pub(crate) fn settle(&mut self) {
        self.wait(Duration::ZERO);
    }
}
