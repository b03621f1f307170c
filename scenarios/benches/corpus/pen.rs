//! What a client writes with: lines of the log, in the order and with the delays in which the daemons write them.

use std::fmt::Write as _;

use super::chance::Chance;
use super::clock;

/// How the header of a syslog line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `Mar  9 10:00:00 web1 sshd[12]: …`
    Rfc3164,
    /// `2026-03-09T10:00:00.123417+00:00 web1 sshd[12]: …`
    Iso8601,
}

/// Which OpenSSH writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenSsh {
    /// Before 9.8: one program, `sshd`.
    Classic,
    /// From 9.8 on: connections are served by `sshd-session`.
    Split,
}

/// How a machine writes its log.
#[derive(Clone, Debug)]
pub struct Style {
    /// The header of syslog lines.
    pub header: Header,
    /// The OpenSSH in use.
    pub openssh: OpenSsh,
    /// The machine's name.
    pub host: String,
    /// Whether rsyslog folds repeated messages.
    pub folds: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style {
            header: Header::Rfc3164,
            openssh: OpenSsh::Classic,
            host: "web1".to_owned(),
            folds: true,
        }
    }
}

/// A line that will stand in the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// When.
    pub at_ms: u64,
    /// How many tries it stands for.
    pub tries: u16,
    /// The line, without its end.
    pub text: String,
}

/// A client's pen during one step.
#[derive(Debug)]
pub struct Pen<'a> {
    /// The client's chance.
    pub chance: &'a mut Chance,
    /// The client's address.
    pub address: &'a str,
    /// When the step begins.
    pub now_ms: u64,
    /// How the machine writes.
    pub style: &'a Style,
    /// The machine's last process id.
    pub pids: &'a mut u32,
    /// What was written in this step.
    pub written: &'a mut Vec<Written>,
}

impl Pen<'_> {
    /// The id of a new process.
    pub fn pid(&mut self) -> u32 {
        *self.pids = 300 + (*self.pids - 300 + self.chance.between(1, 3) as u32) % 4_190_000;
        *self.pids
    }

    /// A client's port.
    pub fn port(&mut self) -> u64 {
        self.chance.between(32_768, 60_999)
    }

    /// The program that serves an SSH connection.
    pub fn sshd(&self) -> &'static str {
        match self.style.openssh {
            OpenSsh::Classic => "sshd",
            OpenSsh::Split => "sshd-session",
        }
    }

    /// Whether the machine has an OpenSSH of 9.8 or later.
    pub fn is_split(&self) -> bool {
        self.style.openssh == OpenSsh::Split
    }

    /// Whether repeated messages are folded.
    pub fn folds(&self) -> bool {
        self.style.folds
    }

    /// A syslog line that is no try, `after` milliseconds after the step's begin.
    pub fn say(&mut self, after: u64, program: &str, pid: u32, message: &str) {
        self.tried(after, 0, program, pid, message);
    }

    /// A syslog line that stands for so many tries.
    pub fn tried(&mut self, after: u64, tries: u16, program: &str, pid: u32, message: &str) {
        let at_ms = self.now_ms + after;
        let mut text = match self.style.header {
            Header::Rfc3164 => clock::rfc3164(at_ms),
            Header::Iso8601 => clock::iso8601(at_ms),
        };
        let host = &self.style.host;
        write!(text, " {host} {program}[{pid}]: {message}").expect("a string takes every text");
        self.written.push(Written { at_ms, tries, text });
    }

    /// A line of an access log in nginx's combined format.
    pub fn request(&mut self, after: u64, tries: u16, request: &Request<'_>) {
        let at_ms = self.now_ms + after;
        let Request {
            user,
            line,
            status,
            bytes,
            referer,
            agent,
        } = request;
        let (address, time) = (self.address, clock::time_local(at_ms));
        let text = format!(
            r#"{address} - {user} [{time}] "{line}" {status} {bytes} "{referer}" "{agent}""#
        );
        self.written.push(Written { at_ms, tries, text });
    }
}

/// The fields of an access log's line that are not its time and its address, already escaped as nginx does it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `$remote_user`
    pub user: &'a str,
    /// `$request`
    pub line: &'a str,
    /// `$status`
    pub status: u16,
    /// `$body_bytes_sent`
    pub bytes: u64,
    /// `$http_referer`
    pub referer: &'a str,
    /// `$http_user_agent`
    pub agent: &'a str,
}
