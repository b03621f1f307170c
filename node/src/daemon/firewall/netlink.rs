//! Asks the kernel for the generation of its ruleset: a number that every change by anybody raises. The only user of
//! netlink-sys.
//!
//! Twenty bytes there and about fifty back, so that it can be asked every second. Layout: `struct nlmsghdr`,
//! `struct nfgenmsg`, attributes; `NFT_MSG_GETGEN` and `NFTA_GEN_ID` in the kernel's `nf_tables.h`.

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// `NFT_MSG_NEWGEN`.
const NEWGEN: u16 = 15;
/// `NFT_MSG_GETGEN`.
const GETGEN: u16 = 16;
/// `NFTA_GEN_ID`.
const GEN_ID: u16 = 1;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;

/// A line to the kernel.
#[derive(Debug)]
pub(super) struct Generation(Socket);

impl Generation {
    /// Open the line; `None` where that is not permitted.
    #[must_use]
    pub(super) fn connect() -> Option<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER).ok()?;
        socket.bind_auto().ok()?;
        socket.connect(&SocketAddr::new(0, 0)).ok()?;
        let line = Generation(socket);
        line.get().is_some().then_some(line)
    }

    /// The number.
    #[must_use]
    pub(super) fn get(&self) -> Option<u32> {
        self.0.send(&request(), 0).ok()?;
        let (bytes, _) = self.0.recv_from_full().ok()?;
        generation(&bytes)
    }
}

fn request() -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[0..4].copy_from_slice(&20u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&(NFTABLES << 8 | GETGEN).to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    bytes
}

fn generation(bytes: &[u8]) -> Option<u32> {
    let u16_at = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if u16_at(4)? != NFTABLES << 8 | NEWGEN {
        return None;
    }
    let mut at = 20;
    loop {
        let (len, kind) = (usize::from(u16_at(at)?), u16_at(at + 2)?);
        if kind == GEN_ID {
            return Some(u32::from_be_bytes(
                bytes.get(at + 4..at + 8)?.try_into().ok()?,
            ));
        }
        // Attributes are padded to four bytes; one of no length would never end.
        at += len.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_generation_from_an_answer() {
        let mut answer = vec![0; 20];
        answer[4..6].copy_from_slice(&(NFTABLES << 8 | NEWGEN).to_ne_bytes());
        let mut with = |kind: u16, value: &[u8]| {
            let len = u16::try_from(4 + value.len()).unwrap();
            answer.extend(len.to_ne_bytes());
            answer.extend(kind.to_ne_bytes());
            answer.extend(value);
            answer.resize(answer.len().next_multiple_of(4), 0);
        };
        with(3, b"nft\0\0");
        with(GEN_ID, &7u32.to_be_bytes());
        assert_eq!(generation(&answer), Some(7));
        for len in 0..answer.len() {
            assert_eq!(generation(&answer[..len]), None, "{len}");
        }
        answer[4] = 0;
        assert_eq!(generation(&answer), None);
    }
}
