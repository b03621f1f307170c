//! An invitation as a text: who invites, where they can be reached, and a token that is good for a few uses and minutes.
//!
//! `lymph1` and base32 (RFC 4648, upper or lower case, no padding), so that a QR code can hold it in its alphanumeric mode
//! and a person can read it out. The issuer's signature is also the check that nothing was mangled on the way. What is
//! shared by a fleet is not in it: a joiner hears that over the encrypted connection, after the token was good.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::{self, CodecError};
use crate::id::{NodeId, TransportId};
use crate::limits;
use crate::signed::{Keypair, verify_raw};
use crate::vouch::Minute;

const VERSION: u8 = 1;
const PREFIX: &str = "lymph1";
const DOMAIN: &[u8] = b"lymph ticket\0";
const SIGNATURE: usize = 64;

/// What an invitation makes of who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Relation {
    /// Friends: both vouch for each other.
    Friend,
    /// One operator's machines.
    Fleet,
    /// A member of a circle that the issuer curates.
    Circle,
}

impl Relation {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Relation::Friend => "friend",
            Relation::Fleet => "fleet",
            Relation::Circle => "circle",
        }
    }
}

/// Good for a few uses; known to the issuer and whom they hand the ticket to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub [u8; 16]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// What it makes of who takes it.
    pub relation: Relation,
    /// Who invites.
    pub issuer: NodeId,
    /// The key of the issuer's transport.
    pub transport: TransportId,
    /// Shows that the ticket was handed over.
    pub token: Token,
    /// Until when.
    pub expires: Minute,
    /// Where the issuer can be reached: multiaddresses without the peer's id.
    pub addresses: Vec<String>,
}

/// Why a text is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin as tickets do.
    #[error("a ticket begins with {PREFIX}: copy the whole line that `lymph invite` printed")]
    NoTicket,
    /// Letters are missing, wrong or added.
    #[error(
        "the ticket is mangled: a part of it is missing or mistyped; copy it again, the whole line"
    )]
    Mangled,
    /// Made by a later lymph.
    #[error("the ticket was made by a newer lymph (format {0}): update this one")]
    Version(u8),
}

impl Ticket {
    /// As a text, signed.
    ///
    /// # Errors
    /// If it holds more addresses than it may.
    pub fn write(&self, keypair: &Keypair) -> Result<String, CodecError> {
        let mut bytes = codec::encode::<_, { limits::TICKET_TEXT_MAX / 2 }>(VERSION, self)?;
        bytes.extend(keypair.sign_raw(DOMAIN, &bytes));
        Ok(format!(
            "{PREFIX}{}",
            BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
        ))
    }

    /// Reads a text; spaces and line breaks in it are overlooked.
    pub fn read(text: &str) -> Result<Ticket, TicketError> {
        if text.len() > limits::TICKET_TEXT_MAX {
            return Err(TicketError::Mangled);
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let text = text.to_ascii_lowercase();
        let digits = text.strip_prefix(PREFIX).ok_or(TicketError::NoTicket)?;
        let digits = digits.to_ascii_uppercase();
        let bytes = BASE32_NOPAD
            .decode(digits.as_bytes())
            .map_err(|_| TicketError::Mangled)?;
        let (body, signature) = bytes
            .split_last_chunk::<SIGNATURE>()
            .ok_or(TicketError::Mangled)?;
        let decoded = codec::decode::<Ticket, { limits::TICKET_TEXT_MAX }>(VERSION, body);
        let ticket = decoded.map_err(|error| match error {
            CodecError::Version { found, .. } => TicketError::Version(found),
            CodecError::Empty
            | CodecError::TooLong { .. }
            | CodecError::Malformed(_)
            | CodecError::NotCanonical
            | CodecError::TrailingBytes(_) => TicketError::Mangled,
        })?;
        verify_raw(ticket.issuer, DOMAIN, body, signature).map_err(|_| TicketError::Mangled)?;
        match ticket.addresses.len() <= limits::ADDRESSES_MAX {
            true => Ok(ticket),
            false => Err(TicketError::Mangled),
        }
    }

    /// 44 bits that both sides of a pairing compute alike, to be shown as four words of 11 bits each: if a stranger sits
    /// between, the words differ.
    #[must_use]
    pub fn words(&self, joiner: NodeId) -> [u16; 4] {
        let hash = Sha256::new_with_prefix(b"lymph/1 four words\0")
            .chain_update(self.issuer.as_bytes())
            .chain_update(joiner.as_bytes())
            .chain_update(self.token.0)
            .finalize();
        std::array::from_fn(|i| u16::from_be_bytes([hash[2 * i], hash[2 * i + 1]]) & 0x7ff)
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        Ticket::read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(keypair: &Keypair) -> Ticket {
        Ticket {
            relation: Relation::Fleet,
            issuer: keypair.id(),
            transport: TransportId::from_bytes([7; 32]),
            token: Token([9; 16]),
            expires: Minute(29_000_000),
            addresses: vec!["/ip4/192.0.2.1/tcp/4747".to_owned()],
        }
    }

    #[test]
    fn a_ticket_survives_being_read_out() {
        let keypair = Keypair::from_secret(&[3; 32]);
        let ticket = ticket(&keypair);
        let text = ticket.write(&keypair).unwrap();
        assert_eq!(Ticket::read(&text), Ok(ticket.clone()));
        assert_eq!(Ticket::read(&text.to_uppercase()), Ok(ticket.clone()));
        let broken: String = text
            .chars()
            .enumerate()
            .flat_map(|(i, c)| (i % 40 == 39).then_some('\n').into_iter().chain([c]))
            .collect();
        assert_eq!(Ticket::read(&format!("  {broken}\n")), Ok(ticket));
    }

    #[test]
    fn a_ticket_with_one_wrong_letter_is_none() {
        let keypair = Keypair::from_secret(&[3; 32]);
        let text = ticket(&keypair).write(&keypair).unwrap();
        for at in PREFIX.len()..text.len() {
            let mut bent = text.clone().into_bytes();
            bent[at] = if bent[at] == b'a' { b'b' } else { b'a' };
            let read = Ticket::read(std::str::from_utf8(&bent).unwrap());
            assert!(
                matches!(read, Err(TicketError::Mangled | TicketError::Version(_))),
                "letter {at}: {read:?}"
            );
            assert_eq!(
                Ticket::read(&text[..at]),
                Err(TicketError::Mangled),
                "cut at {at}"
            );
        }
        assert_eq!(Ticket::read("hello"), Err(TicketError::NoTicket));
        assert_eq!(Ticket::read(""), Err(TicketError::NoTicket));
    }

    #[test]
    fn both_sides_see_the_same_four_words_and_nobody_else_does() {
        let keypair = Keypair::from_secret(&[3; 32]);
        let ticket = ticket(&keypair);
        let joiner = NodeId::from_bytes([5; 32]);
        assert_eq!(ticket.words(joiner), ticket.clone().words(joiner));
        assert_ne!(
            ticket.words(joiner),
            ticket.words(NodeId::from_bytes([6; 32]))
        );
        assert!(ticket.words(joiner).iter().all(|word| *word < 2048));
    }
}
