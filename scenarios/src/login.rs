//! Successful logins, for whoever must not lock out the people who work here.
//!
//! A line tells of one by its `Meta.log_type`: `ssh_success-auth` here, `auth_success` in most of the hub, and what ends
//! like either (`pbs_success-auth`, `x_auth_success`).

use std::net::IpAddr;

/// Different logins that a detector keeps until they are taken; beyond it the oldest is forgotten.
pub const LOGINS_MAX: usize = 1024;

/// Somebody proved who he is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login {
    /// From where: the client, behind trusted proxies.
    pub address: IpAddr,
    /// To what: `Meta.service`, empty if the rules do not say.
    pub service: String,
}

/// Whether a line of that `Meta.log_type` tells of a successful login.
pub(crate) fn is_login(log_type: &[u8]) -> bool {
    ["auth_success", "success-auth"].iter().any(|end| {
        let before = log_type.strip_suffix(end.as_bytes());
        before.is_some_and(|before| before.is_empty() || before.ends_with(b"_"))
    })
}

/// Logins that nobody has taken yet, each once, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Logins(Vec<Login>);

impl Logins {
    pub(crate) fn add(&mut self, address: IpAddr, service: &[u8]) {
        let service = String::from_utf8_lossy(service).into_owned();
        let login = Login { address, service };
        if self.0.contains(&login) {
            return;
        }
        if self.0.len() >= LOGINS_MAX {
            self.0.remove(0);
        }
        self.0.push(login);
    }

    pub(crate) fn take(&mut self) -> Vec<Login> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_types_that_tell_of_a_login() {
        for (log_type, expected) in [
            ("ssh_success-auth", true),
            ("auth_success", true),
            ("success-auth", true),
            ("pbs_success-auth", true),
            ("x_auth_success", true),
            ("unauth_success", false),
            ("ssh_unsuccess-auth", false),
            ("ssh_failed-auth", false),
            ("auth_failed", false),
            ("auth_success_", false),
            ("http_access-log", false),
            ("", false),
        ] {
            assert_eq!(is_login(log_type.as_bytes()), expected, "{log_type}");
        }
    }

    #[test]
    fn each_is_kept_once_and_the_oldest_is_forgotten() {
        let mut logins = Logins::default();
        let address = |number: usize| IpAddr::from((number as u32).to_be_bytes());
        for number in 0..LOGINS_MAX + 10 {
            logins.add(address(number), b"ssh");
            logins.add(address(number), b"ssh");
        }
        logins.add(address(20), b"http");
        let taken = logins.take();
        assert_eq!((taken.len(), taken[0].address), (LOGINS_MAX, address(11)));
        assert_eq!(logins.take(), []);
    }
}
