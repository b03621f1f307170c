//! Questions and answers on the wire: four bytes of length, then as many bytes.
//!
//! The length is checked before anything is allocated, and room grows with what has come in, so a peer that promises
//! a megabyte and sends nothing costs a few bytes. A length of `0xffff_ffff` with nothing behind it says that the
//! question is refused. What the bytes mean is for others to say.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

/// What the protocol is called.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/lymph/ask/1");
/// The longest question and the longest answer.
pub const ASK_BYTES_MAX: usize = 1024 * 1024;
/// How much room is made at a time.
const CHUNK: usize = 16 * 1024;
/// Stands for a length: refused.
const REFUSED: u32 = u32::MAX;
/// How many bytes all questions and answers that are being read may hold together. Who wants more is cut off.
const READING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An answer.
    Bytes(Vec<u8>),
    /// The other side will not answer.
    Refused,
}

/// Reads and writes frames; all connections of a node share one budget.
#[derive(Clone, Debug, Default)]
pub(super) struct Codec {
    reading: Arc<AtomicUsize>,
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Answer;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read(io, &self.reading).await? {
            Answer::Bytes(bytes) => Ok(bytes),
            Answer::Refused => Err(invalid("a question cannot be a refusal")),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Answer>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, &self.reading).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        question: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &question).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        answer: Answer,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match answer {
            Answer::Bytes(bytes) => write(io, &bytes).await,
            Answer::Refused => io.write_all(&REFUSED.to_be_bytes()).await,
        }
    }
}

/// Read one frame out of any bytes, as a peer's are read: the frame's content, nothing for a refusal, or why not.
/// For fuzzing and tests.
pub fn decode(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let reading = AtomicUsize::new(0);
    let mut io = futures::io::Cursor::new(bytes);
    // A cursor is always ready, so one poll runs to the end.
    let read = futures::FutureExt::now_or_never(read(&mut io, &reading));
    match read {
        Some(Ok(Answer::Bytes(bytes))) => Ok(Some(bytes)),
        Some(Ok(Answer::Refused)) => Ok(None),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("not ready".to_owned()),
    }
}

async fn read<T>(io: &mut T, reading: &AtomicUsize) -> io::Result<Answer>
where
    T: AsyncRead + Unpin + Send,
{
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    if length == REFUSED {
        return Ok(Answer::Refused);
    }
    let length = length as usize;
    if length > ASK_BYTES_MAX {
        return Err(invalid("longer than a mebibyte"));
    }
    let mut hold = Hold::new(reading);
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < length {
        let rest = length - bytes.len();
        let more = rest.min(CHUNK);
        if bytes.capacity() - bytes.len() < more {
            let room = rest.min(bytes.len().max(CHUNK));
            hold.grow(room)?;
            bytes.reserve_exact(room);
        }
        let from = bytes.len();
        bytes.resize(from + more, 0);
        io.read_exact(&mut bytes[from..]).await?;
    }
    Ok(Answer::Bytes(bytes))
}

async fn write<T>(io: &mut T, bytes: &[u8]) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= ASK_BYTES_MAX)
        .ok_or_else(|| invalid("longer than a mebibyte"))?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A part of the common budget, given back when dropped.
struct Hold<'a> {
    all: &'a AtomicUsize,
    mine: usize,
}

impl<'a> Hold<'a> {
    fn new(all: &'a AtomicUsize) -> Self {
        Hold { all, mine: 0 }
    }

    fn grow(&mut self, by: usize) -> io::Result<()> {
        self.mine += by;
        let before = self.all.fetch_add(by, Ordering::Relaxed);
        if before + by > READING_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "too much is being read at once",
            ));
        }
        Ok(())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: u32, bytes: &[u8]) -> Vec<u8> {
        [&length.to_be_bytes(), bytes].concat()
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, ASK_BYTES_MAX] {
            let bytes = vec![7; length];
            let mut written = Vec::new();
            futures::FutureExt::now_or_never(write(&mut written, &bytes))
                .unwrap()
                .unwrap();
            assert_eq!(decode(&written), Ok(Some(bytes)));
        }
        assert_eq!(decode(&frame(REFUSED, &[])), Ok(None));
    }

    #[test]
    fn what_is_too_long_is_neither_read_nor_written() {
        let long = u32::try_from(ASK_BYTES_MAX + 1).unwrap();
        assert!(decode(&frame(long, &[0; 100])).is_err());
        assert!(decode(&frame(REFUSED - 1, &[0; 100])).is_err());
        let mut written = Vec::new();
        let wrote =
            futures::FutureExt::now_or_never(write(&mut written, &vec![0; ASK_BYTES_MAX + 1]));
        assert!(wrote.unwrap().is_err());
        assert!(written.is_empty());
    }

    #[test]
    fn a_promise_costs_no_room_and_the_budget_is_given_back() {
        let all = AtomicUsize::new(0);
        let promise = frame(u32::try_from(ASK_BYTES_MAX).unwrap(), &[0; 100]);
        let mut io = futures::io::Cursor::new(&promise);
        let read = futures::FutureExt::now_or_never(read(&mut io, &all)).unwrap();
        assert!(read.is_err());
        assert_eq!(all.load(Ordering::Relaxed), 0);

        let mut hold = Hold::new(&all);
        assert!(hold.grow(READING_BYTES_MAX).is_ok());
        let mut other = Hold::new(&all);
        assert!(other.grow(1).is_err());
        drop(other);
        drop(hold);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000), honest: bool) {
            let bytes = if honest { frame(u32::try_from(bytes.len()).unwrap(), &bytes) } else { bytes };
            match decode(&bytes) {
                Ok(Some(read)) => {
                    prop_assert_eq!(&bytes[4..4 + read.len()], &read[..]);
                    prop_assert!(read.capacity() <= ASK_BYTES_MAX);
                }
                Ok(None) => prop_assert_eq!(&bytes[..4], &[0xff; 4]),
                Err(_) => prop_assert!(!honest),
            }
        }
    }
}
