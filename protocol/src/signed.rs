//! Who said it: the envelope round every object, signatures, and the proof in types that one was checked. The only user
//! of ed25519-dalek.
//!
//! An envelope on the wire, version 1:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version: 1 |
//! | 1 | kind of object, see [`Kind`] |
//! | 32 | the author's key |
//! | … | the object, in fixed lengths, little endian |
//! | 64 | signature |
//!
//! What is signed is `"lymph object\0"`, the [`Audience`] (33 bytes, never sent: the channel it came by says it) and all
//! bytes before the signature as they were received, never a re-encoding. The [`ObjectId`] is the SHA-256 of the same.
//! Signatures are checked by `verify_strict` alone: batch checking may disagree with it, and nodes must not disagree.
//!
//! Bytes become a [`Signed`] by [`Signed::parse`] and that a [`Verified`] by [`Signed::verify`]; nothing else makes one,
//! so whatever takes a `Verified` cannot have forgotten to check.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::audience::{Audience, Channel};
use crate::codec::{CodecError, decode_body, encode_body};
use crate::contact::Contact;
use crate::digest::{Digest, Epoch, Root, check_reports};
use crate::id::{NodeId, ObjectId, TransportId};
use crate::limits;
use crate::report::{Nonsense, Report, ReportWire, Retraction, RetractionWire};
use crate::time::Timestamp;
use crate::vouch::{Kill, KillWire, Revocation, RevocationWire, Vouch, VouchWire};
use crate::word::Word;

/// The version of the wire that this build speaks. The feature `next-wire` makes a build of the version to come, the same but
/// for its number, to test that two versions get on with each other.
pub const WIRE_VERSION: u8 = if cfg!(feature = "next-wire") { 2 } else { 1 };
/// The one before, which it speaks as well; there is none before the first.
pub const OLDEST_VERSION: u8 = if WIRE_VERSION > 1 {
    WIRE_VERSION - 1
} else {
    1
};
const HEAD: usize = 2 + 32;
const SIGNATURE: usize = 64;
const DOMAIN: &[u8] = b"lymph object\0";

/// What an object is; its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A report.
    Report = 1,
    /// Several under one signature.
    Batch = 2,
    /// A retraction.
    Retraction = 3,
    /// A vouch.
    Vouch = 4,
    /// A revocation.
    Revocation = 5,
    /// A key that is dead.
    Kill = 6,
    /// An author's live reports.
    Digest = 7,
    /// What they hash to.
    Root = 8,
    // 9 is for disputes, 10 for campaigns: reserved, ignored.
    /// Where the author can be reached.
    Contact = 11,
    /// What an operator wants of their fleet.
    Word = 12,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Report,
        Kind::Batch,
        Kind::Retraction,
        Kind::Vouch,
        Kind::Revocation,
        Kind::Kill,
        Kind::Digest,
        Kind::Root,
        Kind::Contact,
        Kind::Word,
    ];

    fn of_number(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Bytes of the largest, envelope included.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        match self {
            Kind::Digest => limits::DIGEST_BYTES_MAX,
            Kind::Report
            | Kind::Batch
            | Kind::Retraction
            | Kind::Vouch
            | Kind::Revocation
            | Kind::Kill
            | Kind::Root
            | Kind::Contact
            | Kind::Word => limits::OBJECT_BYTES_MAX,
        }
    }
}

/// Whatever nodes say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// What one address did.
    Report(Report),
    /// What several did.
    Batch(Vec<Report>),
    /// Taken back.
    Retraction(Retraction),
    /// Whom to believe.
    Vouch(Vouch),
    /// Whom no longer.
    Revocation(Revocation),
    /// A key that is dead.
    Kill(Kill),
    /// All that the author has live.
    Digest(Digest),
    /// What it hashes to.
    Root(Root),
    /// Where the author can be reached.
    Contact(Contact),
    /// What the operator wants.
    Word(Word),
}

impl Object {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Object::Report(_) => Kind::Report,
            Object::Batch(_) => Kind::Batch,
            Object::Retraction(_) => Kind::Retraction,
            Object::Vouch(_) => Kind::Vouch,
            Object::Revocation(_) => Kind::Revocation,
            Object::Kill(_) => Kind::Kill,
            Object::Digest(_) => Kind::Digest,
            Object::Root(_) => Kind::Root,
            Object::Contact(_) => Kind::Contact,
            Object::Word(_) => Kind::Word,
        }
    }

    /// The channel that it is said on, in an audience of many.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self {
            Object::Report(report) => report.family.channel(),
            Object::Batch(reports) => known_channels(reports).next().unwrap_or(Channel::Other),
            Object::Retraction(retraction) => retraction.family.channel(),
            Object::Vouch(_) | Object::Revocation(_) | Object::Contact(_) => Channel::Vouch,
            Object::Kill(_) | Object::Root(_) | Object::Digest(_) => Channel::Revoke,
            Object::Word(_) => Channel::All,
        }
    }

    /// The reports in it.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        match self {
            Object::Report(report) => std::slice::from_ref(report),
            Object::Batch(reports) => reports,
            Object::Digest(digest) => &digest.reports,
            Object::Retraction(_)
            | Object::Vouch(_)
            | Object::Revocation(_)
            | Object::Kill(_)
            | Object::Root(_)
            | Object::Contact(_)
            | Object::Word(_) => &[],
        }
    }

    /// When it was said, as far as it tells.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Object::Report(_) | Object::Batch(_) => self
                .reports()
                .iter()
                .map(Report::time)
                .max()
                .unwrap_or_default(),
            Object::Retraction(retraction) => retraction.slot.start(),
            Object::Vouch(vouch) => vouch.issued.start(),
            Object::Revocation(revocation) => revocation.issued.start(),
            Object::Kill(kill) => kill.issued.start(),
            Object::Digest(Digest { epoch, .. }) | Object::Root(Root { epoch, .. }) => {
                Timestamp::from_secs(u64::from(epoch.0) * 3600)
            }
            Object::Contact(contact) => contact.issued.start(),
            Object::Word(word) => word.issued.start(),
        }
    }

    /// When it is forgotten. A dead key never is.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        match self {
            Object::Report(_) | Object::Batch(_) => self
                .reports()
                .iter()
                .map(Report::expires)
                .max()
                .unwrap_or_default(),
            Object::Retraction(retraction) => retraction.expires(),
            Object::Vouch(vouch) => vouch.expires.start(),
            Object::Revocation(revocation) => revocation.expires.start(),
            Object::Kill(_) => Timestamp::MAX,
            Object::Digest(_) | Object::Root(_) => self.time() + limits::SLOT * 24,
            Object::Contact(contact) => contact.expires.start(),
            Object::Word(word) => word.issued.start() + limits::WORD_LIFE,
        }
    }

    /// Whether every node of this version sees that it can be no honest one.
    pub fn check(&self, author: NodeId) -> Result<(), Nonsense> {
        match self {
            Object::Report(report) => report.check(),
            Object::Batch(reports) if !(1..=limits::BATCH_MAX).contains(&reports.len()) => {
                Err(Nonsense::Length)
            }
            Object::Batch(reports) => {
                let channel = self.channel();
                match known_channels(reports).all(|other| other == channel) {
                    true => check_reports(reports),
                    false => Err(Nonsense::Order),
                }
            }
            Object::Retraction(retraction) => retraction.check(),
            Object::Vouch(vouch) => vouch.check(author),
            Object::Revocation(revocation) => revocation.check(author),
            Object::Kill(kill) => kill.check(author),
            Object::Digest(digest) => digest.check(),
            Object::Root(_) => Ok(()),
            Object::Contact(contact) => contact.check(),
            Object::Word(word) => word.check(),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let wire = |reports: &[Report]| reports.iter().map(ReportWire::from).collect::<Vec<_>>();
        match self {
            Object::Report(report) => encode_body(&ReportWire::from(report)),
            Object::Batch(reports) => encode_body(&wire(reports)),
            Object::Retraction(retraction) => encode_body(&RetractionWire::from(retraction)),
            Object::Vouch(vouch) => encode_body(&VouchWire::from(vouch)),
            Object::Revocation(revocation) => encode_body(&RevocationWire::from(revocation)),
            Object::Kill(kill) => encode_body(&KillWire::from(kill)),
            Object::Digest(digest) => encode_body(&(digest.epoch, wire(&digest.reports))),
            Object::Root(root) => encode_body(root),
            Object::Contact(contact) => encode_body(contact),
            Object::Word(word) => encode_body(word),
        }
    }

    fn decode(kind: Kind, body: &[u8]) -> Result<Object, CodecError> {
        const LIMIT: usize = limits::OBJECT_BYTES_MAX;
        let unwire = |wire: Vec<ReportWire>| {
            wire.into_iter()
                .map(Report::try_from)
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match kind {
            Kind::Report => Object::Report(decode_body::<ReportWire, LIMIT>(body)?.try_into()?),
            Kind::Batch => Object::Batch(unwire(decode_body::<Vec<ReportWire>, { LIMIT * 4 }>(
                body,
            )?)?),
            Kind::Retraction => {
                Object::Retraction(decode_body::<RetractionWire, LIMIT>(body)?.into())
            }
            Kind::Vouch => Object::Vouch(decode_body::<VouchWire, LIMIT>(body)?.try_into()?),
            Kind::Revocation => {
                Object::Revocation(decode_body::<RevocationWire, LIMIT>(body)?.into())
            }
            Kind::Kill => Object::Kill(decode_body::<KillWire, LIMIT>(body)?.into()),
            Kind::Digest => {
                let (epoch, wire): (Epoch, Vec<ReportWire>) =
                    decode_body::<_, { limits::DIGEST_BYTES_MAX * 4 }>(body)?;
                Object::Digest(Digest {
                    epoch,
                    reports: unwire(wire)?,
                })
            }
            Kind::Root => Object::Root(decode_body::<Root, LIMIT>(body)?),
            Kind::Contact => Object::Contact(decode_body::<Contact, LIMIT>(body)?),
            Kind::Word => Object::Word(decode_body::<Word, LIMIT>(body)?),
        })
    }
}

/// The channels of those whose families this version knows: of the rest only a later version can say.
fn known_channels(reports: &[Report]) -> impl Iterator<Item = Channel> + '_ {
    let known = reports
        .iter()
        .filter(|report| report.family.name().is_some());
    known.map(|report| report.family.channel())
}

/// Why bytes are no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Of a version that we do not read.
    #[error("wire version {0}")]
    Version(u8),
    /// Of a kind that we do not know.
    #[error("an object of kind {0}, which this version does not know")]
    Kind(u8),
    /// Shorter than an envelope.
    #[error("cut short")]
    Short,
    /// Not the one spelling of a value.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Nothing that an honest node says.
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
}

impl ParseError {
    /// Whether a later version may see it otherwise: then it is ignored, never punished.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, ParseError::Version(_) | ParseError::Kind(_))
    }
}

/// An object in its envelope. Whether the signature is right is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    author: NodeId,
    id: ObjectId,
    audience: Audience,
    bytes: Arc<[u8]>,
    object: T,
}

/// An object whose signature was checked. See the head of the file.
///
/// Only checking makes one:
///
/// ```
/// use lymph_protocol::signed::{Object, Signed, Verified};
///
/// fn honest(signed: Signed<Object>) -> Option<Verified<Object>> {
///     signed.verify().ok()
/// }
/// ```
///
/// By hand there is no way:
///
/// ```compile_fail
/// use lymph_protocol::signed::{Object, Signed, Verified};
///
/// fn cheat(signed: Signed<Object>) -> Option<Verified<Object>> {
///     Some(Verified(signed))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(Signed<T>);

/// A signature that is not of the author, not over this, or not for this audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not the author's, not over these bytes or not for this audience")]
pub struct BadSignature;

impl Signed<Object> {
    /// Reads an envelope that was said to `audience`.
    pub fn parse(bytes: &[u8], audience: Audience) -> Result<Self, ParseError> {
        let (&version, &kind) = match bytes {
            [version, kind, ..] => (version, kind),
            _ => return Err(ParseError::Short),
        };
        if !(OLDEST_VERSION..=WIRE_VERSION).contains(&version) {
            return Err(ParseError::Version(version));
        }
        let kind = Kind::of_number(kind).ok_or(ParseError::Kind(kind))?;
        if bytes.len() > kind.bytes_max() {
            return Err(CodecError::TooLong {
                bytes: bytes.len(),
                limit: kind.bytes_max(),
            }
            .into());
        }
        let end = bytes
            .len()
            .checked_sub(SIGNATURE)
            .filter(|end| *end >= HEAD)
            .ok_or(ParseError::Short)?;
        let mut author = [0; 32];
        author.copy_from_slice(&bytes[2..HEAD]);
        let author = NodeId::from_bytes(author);
        let object = Object::decode(kind, &bytes[HEAD..end])?;
        object.check(author)?;
        Ok(Signed {
            author,
            id: object_id(&audience, &bytes[..end]),
            audience,
            bytes: bytes.into(),
            object,
        })
    }
}

impl<T> Signed<T> {
    /// Checks the signature; about 44 µs.
    pub fn verify(self) -> Result<Verified<T>, BadSignature> {
        let end = self.bytes.len() - SIGNATURE;
        let key = VerifyingKey::from_bytes(self.author.as_bytes()).map_err(|_| BadSignature)?;
        let signature = Signature::from_slice(&self.bytes[end..]).map_err(|_| BadSignature)?;
        key.verify_strict(&preimage(&self.audience, &self.bytes[..end]), &signature)
            .map_err(|_| BadSignature)?;
        Ok(Verified(self))
    }

    /// Who says to have said it.
    #[must_use]
    pub const fn author(&self) -> NodeId {
        self.author
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ObjectId {
        self.id
    }

    /// Whom it was said to.
    #[must_use]
    pub const fn audience(&self) -> Audience {
        self.audience
    }

    /// The envelope.
    #[must_use]
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// What it says. Nobody has checked who said it.
    #[must_use]
    pub const fn unverified(&self) -> &T {
        &self.object
    }
}

impl<T> Verified<T> {
    /// Who said it.
    #[must_use]
    pub const fn author(&self) -> NodeId {
        self.0.author
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ObjectId {
        self.0.id
    }

    /// Whom it was said to.
    #[must_use]
    pub const fn audience(&self) -> Audience {
        self.0.audience
    }

    /// The envelope.
    #[must_use]
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.0.bytes
    }

    /// What it says.
    #[must_use]
    pub const fn object(&self) -> &T {
        &self.0.object
    }

    /// Another view of the same words: the part of it that `choose` picks is as well signed as the whole.
    fn part<U>(&self, object: U) -> Verified<U> {
        let Signed {
            author,
            id,
            audience,
            bytes,
            ..
        } = &self.0;
        Verified(Signed {
            author: *author,
            id: *id,
            audience: *audience,
            bytes: Arc::clone(bytes),
            object,
        })
    }
}

impl Verified<Object> {
    /// Each report in it, as well signed as the whole.
    pub fn reports(&self) -> impl Iterator<Item = Verified<Report>> + '_ {
        self.object()
            .reports()
            .iter()
            .map(|report| self.part(*report))
    }
}

fn preimage(audience: &Audience, content: &[u8]) -> Vec<u8> {
    [DOMAIN, &audience.preimage(), content].concat()
}

fn object_id(audience: &Audience, content: &[u8]) -> ObjectId {
    ObjectId(Sha256::digest(preimage(audience, content)).into())
}

/// A node's secret key. Emptied from memory when it is dropped, and never printed.
pub struct Keypair(SigningKey);

impl Keypair {
    /// The key that 32 secret bytes are.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Keypair(SigningKey::from_bytes(secret))
    }

    /// The node that it speaks for.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// The same, where the key is a transport's.
    #[must_use]
    pub fn transport_id(&self) -> TransportId {
        TransportId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// A number that nobody else can know and that is the same for this key and purpose for ever: for choices that others
    /// must not foresee. It says nothing about the key.
    #[must_use]
    pub fn secret_number(&self, purpose: &str) -> u64 {
        // A signature under a name that no object's bytes begin with.
        let said = self
            .0
            .sign(format!("lymph secret number: {purpose}").as_bytes());
        let hash = Sha256::digest(said.to_bytes());
        hash.iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Says something to an audience; about 19 µs.
    ///
    /// # Errors
    /// If it is nothing that a node accepts: too long, or nonsense.
    pub fn sign(&self, object: Object, audience: Audience) -> Result<Verified<Object>, ParseError> {
        self.sign_as(WIRE_VERSION, object, audience)
    }

    /// The same in one of the versions that this build speaks.
    ///
    /// # Errors
    /// As for [`Keypair::sign`], and for a version that it does not speak.
    pub fn sign_as(
        &self,
        version: u8,
        object: Object,
        audience: Audience,
    ) -> Result<Verified<Object>, ParseError> {
        if !(OLDEST_VERSION..=WIRE_VERSION).contains(&version) {
            return Err(ParseError::Version(version));
        }
        let author = self.id();
        object.check(author)?;
        let kind = object.kind();
        let mut bytes = vec![version, kind as u8];
        bytes.extend(author.as_bytes());
        bytes.extend(object.encode()?);
        let id = object_id(&audience, &bytes);
        let signature = self.0.sign(&preimage(&audience, &bytes));
        bytes.extend(signature.to_bytes());
        if bytes.len() > kind.bytes_max() {
            return Err(CodecError::TooLong {
                bytes: bytes.len(),
                limit: kind.bytes_max(),
            }
            .into());
        }
        Ok(Verified(Signed {
            author,
            id,
            audience,
            bytes: bytes.into(),
            object,
        }))
    }

    /// A signature over bytes of another kind than objects, under a domain of their own.
    pub(crate) fn sign_raw(&self, domain: &[u8], bytes: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(&[domain, bytes].concat()).to_bytes()
    }
}

/// Checks what [`Keypair::sign_raw`] made.
pub(crate) fn verify_raw(
    author: NodeId,
    domain: &[u8],
    bytes: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(author.as_bytes()).map_err(|_| BadSignature)?;
    let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
    key.verify_strict(&[domain, bytes].concat(), &signature)
        .map_err(|_| BadSignature)
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({:?})", self.id())
    }
}
