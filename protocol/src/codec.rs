//! Values to bytes and back, always behind a size limit; the only user of bincode.
//!
//! A hostile length in front of a list makes an unlimited decoder ask for exabytes and abort the process,
//! so there is no way here to decode without a limit. Each format starts with a version byte of its own,
//! because the encoding carries no field names: a changed struct is a new version, not a guess.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is not even a version byte.
    #[error("empty")]
    Empty,
    /// More bytes than this format may have.
    #[error("{bytes} bytes, at most {limit} are allowed")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Written by a version that we do not read.
    #[error("format version {found}, we read version {expected}")]
    Version {
        /// The version byte that was there.
        found: u8,
        /// The one that we know.
        expected: u8,
    },
    /// Not a value of the type, or one that asks for more memory than the limit.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Another spelling of a value than the one that is signed.
    #[error("not in its canonical form")]
    NotCanonical,
    /// Bytes are left over behind the value.
    #[error("{0} bytes too many behind the value")]
    TrailingBytes(usize),
}

/// `version`, then the value; at most `LIMIT` bytes in all.
pub fn encode<T: Serialize, const LIMIT: usize>(
    version: u8,
    value: &T,
) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![version];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if bytes.len() > LIMIT {
        return Err(CodecError::TooLong {
            bytes: bytes.len(),
            limit: LIMIT,
        });
    }
    Ok(bytes)
}

/// The value behind a version byte, if that is `version` and nothing else follows.
///
/// Neither reads nor allocates more than `LIMIT` bytes. The encoding is not canonical: whoever signs or
/// hashes must do so over the bytes received.
pub fn decode<T: DeserializeOwned, const LIMIT: usize>(
    version: u8,
    bytes: &[u8],
) -> Result<T, CodecError> {
    if bytes.len() > LIMIT {
        return Err(CodecError::TooLong {
            bytes: bytes.len(),
            limit: LIMIT,
        });
    }
    let (&found, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if found != version {
        return Err(CodecError::Version {
            found,
            expected: version,
        });
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, consumed) = bincode::serde::decode_from_slice(body, config)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match body.len() - consumed {
        0 => Ok(value),
        left => Err(CodecError::TrailingBytes(left)),
    }
}

/// The body of an object as it is signed: fixed lengths, little endian (bincode's `legacy()` configuration), without a
/// version byte, which the envelope has.
pub(crate) fn encode_body<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, bincode::config::legacy())
        .map_err(|error| CodecError::Malformed(error.to_string()))
}

/// A value whose only spelling these bytes are. Neither reads nor allocates more than `LIMIT` bytes.
pub(crate) fn decode_body<T: Serialize + DeserializeOwned, const LIMIT: usize>(
    bytes: &[u8],
) -> Result<T, CodecError> {
    if bytes.len() > LIMIT {
        return Err(CodecError::TooLong {
            bytes: bytes.len(),
            limit: LIMIT,
        });
    }
    let config = bincode::config::legacy().with_limit::<LIMIT>();
    let (value, consumed) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match bytes.len() - consumed {
        0 => {}
        left => return Err(CodecError::TrailingBytes(left)),
    }
    if encode_body(&value)? != bytes {
        return Err(CodecError::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1024;

    #[test]
    fn refuses_by_version_length_and_leftovers() {
        let bytes = encode::<_, LIMIT>(7, &("word".to_owned(), 300u32)).unwrap();
        assert_eq!(
            decode::<(String, u32), LIMIT>(7, &bytes),
            Ok(("word".to_owned(), 300))
        );
        assert_eq!(
            decode::<(String, u32), LIMIT>(8, &bytes),
            Err(CodecError::Version {
                found: 7,
                expected: 8
            })
        );
        assert_eq!(decode::<String, LIMIT>(7, &[]), Err(CodecError::Empty));
        assert_eq!(
            decode::<(String, u32), 4>(7, &bytes),
            Err(CodecError::TooLong {
                bytes: bytes.len(),
                limit: 4
            })
        );
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(
            decode::<(String, u32), LIMIT>(7, &longer),
            Err(CodecError::TrailingBytes(1))
        );
        assert!(matches!(
            encode::<_, LIMIT>(1, &vec![0u8; 2000]),
            Err(CodecError::TooLong { .. })
        ));
    }

    #[test]
    fn a_hostile_length_allocates_nothing() {
        // 253 announces a u64 length: an exbibyte of list.
        let hostile = [1, 253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(
            decode::<Vec<u64>, LIMIT>(1, &hostile),
            Err(CodecError::Malformed(_))
        ));
        assert!(matches!(
            decode::<String, LIMIT>(1, &hostile),
            Err(CodecError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Vec<(String, Option<u64>)>, LIMIT>(1, &bytes);
        }
    }
}
