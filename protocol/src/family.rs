//! What kind of behaviour a report speaks of: a fixed public vocabulary, one byte on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::audience::Channel;

/// A family of behaviour. One that this version does not know is kept as its number and ignored, never punished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Family(u8);

impl Family {
    /// Guessing at logins over SSH.
    pub const SSH_AUTH: Family = Family(1);
    /// Looking for what a web server may have.
    pub const WEB_SCAN: Family = Family(2);
    /// Guessing at logins of web applications.
    pub const WEB_AUTH: Family = Family(3);
    /// Trying a known hole of a web application.
    pub const WEB_EXPLOIT: Family = Family(4);
    /// Guessing at mailboxes.
    pub const MAIL_AUTH: Family = Family(5);
    /// Guessing at telephones.
    pub const SIP: Family = Family(6);
    /// Guessing at databases.
    pub const DB_AUTH: Family = Family(7);
    /// Guessing at file servers.
    pub const FILE_AUTH: Family = Family(8);
    /// Guessing at remote desktops.
    pub const DESKTOP_AUTH: Family = Family(9);
    /// Guessing at tunnels.
    pub const VPN_AUTH: Family = Family(10);
    /// More requests than a server can bear.
    pub const WEB_FLOOD: Family = Family(11);
    /// Looking for open ports.
    pub const PORT_SCAN: Family = Family(12);
    /// Sending unwanted mail, or looking for a relay.
    pub const MAIL_ABUSE: Family = Family(13);
    /// Abuse of name servers.
    pub const DNS: Family = Family(14);
    /// Trying a known hole of anything else.
    pub const EXPLOIT: Family = Family(15);

    /// All that this version knows, with their names.
    pub const KNOWN: [(Family, &'static str); 15] = [
        (Family::SSH_AUTH, "ssh-auth"),
        (Family::WEB_SCAN, "web-scan"),
        (Family::WEB_AUTH, "web-auth"),
        (Family::WEB_EXPLOIT, "web-exploit"),
        (Family::MAIL_AUTH, "mail-auth"),
        (Family::SIP, "sip"),
        (Family::DB_AUTH, "db-auth"),
        (Family::FILE_AUTH, "file-auth"),
        (Family::DESKTOP_AUTH, "desktop-auth"),
        (Family::VPN_AUTH, "vpn-auth"),
        (Family::WEB_FLOOD, "web-flood"),
        (Family::PORT_SCAN, "port-scan"),
        (Family::MAIL_ABUSE, "mail-abuse"),
        (Family::DNS, "dns"),
        (Family::EXPLOIT, "exploit"),
    ];

    /// The family with this number, whether known or not.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Family(number)
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name, if this version knows it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let known = Family::KNOWN.iter().find(|(family, _)| *family == self);
        known.map(|(_, name)| *name)
    }

    /// Whether a web page can make an innocent visitor behave so.
    #[must_use]
    pub fn is_inducible(self) -> bool {
        [
            Family::WEB_SCAN,
            Family::WEB_AUTH,
            Family::WEB_EXPLOIT,
            Family::WEB_FLOOD,
        ]
        .contains(&self)
    }

    /// The channel of its reports.
    #[must_use]
    pub fn channel(self) -> Channel {
        match self {
            Family::SSH_AUTH
            | Family::MAIL_AUTH
            | Family::SIP
            | Family::DB_AUTH
            | Family::FILE_AUTH
            | Family::DESKTOP_AUTH
            | Family::VPN_AUTH => Channel::Auth,
            Family::WEB_SCAN | Family::WEB_AUTH | Family::WEB_EXPLOIT | Family::WEB_FLOOD => {
                Channel::Web
            }
            _ => Channel::Other,
        }
    }
}

/// Its name; `family-200` for one that is not known.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "family-{}", self.0),
        }
    }
}

/// A text that names no family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such family of behaviour; ssh-auth and web-scan are two")]
pub struct ParseFamilyError;

impl FromStr for Family {
    type Err = ParseFamilyError;

    fn from_str(text: &str) -> Result<Self, ParseFamilyError> {
        let known = Family::KNOWN.iter().find(|(_, name)| *name == text);
        known.map(|(family, _)| *family).ok_or(ParseFamilyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_for_ever() {
        for (index, (family, name)) in Family::KNOWN.into_iter().enumerate() {
            assert_eq!(usize::from(family.number()), index + 1, "{name}");
            assert_eq!(name.parse(), Ok(family));
            assert_eq!(family.to_string(), name);
        }
        assert_eq!(Family::from_number(200).to_string(), "family-200");
        assert_eq!("family-200".parse::<Family>(), Err(ParseFamilyError));
    }
}
