//! What the fuzz targets in `fuzz/` call, one function each: bytes in, and an assertion that fails or nothing.
//! The committed seeds go through the same functions in an ordinary test (`fuzz/replay.rs`).

use std::collections::BTreeSet;

use crate::admission::{Admission, Caps, Path, Standing};
use crate::ask::{Answer, Ask, fetched};
use crate::audience::{Audience, CircleId, FleetId};
use crate::report::Slot;
use crate::seal::FleetSecret;
use crate::signed::{Keypair, Signed};
use crate::sync::{Initiator, Items, Salt, Step, respond};
use crate::ticket::{Relation, Ticket, Token};
use crate::vouch::Minute;
use crate::{ObjectId, Timestamp, TransportId, limits};

/// The time at which everything happens: 2026-03-01T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_772_366_400);
const SALT: Salt = [7; 16];

/// A byte that chooses the audience, then an envelope: parsed, signed anew by a key that we have, let in once.
pub fn envelope(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let audience = match choice % 3 {
        0 => Audience::Public,
        1 => Audience::Circle(CircleId([1; 32])),
        _ => Audience::Fleet(FleetId([0xf1; 32])),
    };
    let mut admission = Admission::new(Caps::default());
    let peer = TransportId::from_bytes([1; 32]);
    for path in [Path::Gossip, Path::Asked] {
        let heard = admission.first(peer, path, audience, bytes, NOW, |_| Standing::Stranger);
        if let Ok(heard) = &heard {
            assert_eq!(&**heard.bytes(), bytes, "the bytes are kept as they came");
        }
    }
    let Ok(signed) = Signed::parse(bytes, audience) else {
        return;
    };
    // If the key is the fuzzer's invention, ours says the same.
    let keypair = Keypair::from_secret(&[2; 32]);
    let Ok(said) = keypair.sign(signed.unverified().clone(), audience) else {
        return;
    };
    let body = 34..bytes.len() - 64;
    assert_eq!(
        said.bytes()[body.clone()],
        bytes[body],
        "a value has one spelling"
    );
    let again = Signed::parse(said.bytes(), audience);
    assert!(
        again.is_ok_and(|again| again.verify().is_ok()),
        "what was signed is read"
    );
    let first = admission.verified(&said, NOW, Standing::Sibling);
    let reports = said.object().reports();
    assert!(first.is_ok_and(|first| {
        let is_fresh = |index: &usize| reports[*index].expires() > NOW;
        first.equivocation.is_none() && first.fresh_reports.iter().all(is_fresh)
    }));
    if said.object().expires() > NOW {
        let second = admission.verified(&said, NOW, Standing::Sibling);
        assert!(second.is_err(), "it is let in once");
    }
    admission.forget_before(Timestamp::MAX);
    assert_eq!(
        admission.next_deadline(),
        None,
        "all is forgotten in the end"
    );
}

/// A question.
pub fn ask(data: &[u8]) {
    let Ok(ask) = Ask::decode(data) else { return };
    let again = ask.encode().and_then(|bytes| Ask::decode(&bytes));
    assert_eq!(again.as_ref(), Ok(&ask), "a question reads back");
    if let Ask::Fetch { ids, salt, .. } = &ask {
        let held = ids.iter().map(|id| ObjectId(*id));
        assert!(fetched(held, *salt, ids).len() <= ids.len());
    }
}

/// An answer.
pub fn answer(data: &[u8]) {
    let Ok(answer) = Answer::decode(data) else {
        return;
    };
    let again = answer.encode().and_then(|bytes| Answer::decode(&bytes));
    assert_eq!(again.as_ref(), Ok(&answer), "an answer reads back");
}

/// A text: read, and put into a ticket of ours.
pub fn ticket(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(ticket) = Ticket::read(text) {
        assert!(ticket.addresses.len() <= limits::ADDRESSES_MAX);
    }
    let keypair = Keypair::from_secret(&[2; 32]);
    let ticket = Ticket {
        relation: Relation::Friend,
        issuer: keypair.id(),
        transport: keypair.transport_id(),
        token: Token([1; 16]),
        expires: Minute::of(NOW),
        addresses: text.lines().map(str::to_owned).collect(),
    };
    if let Ok(written) = ticket.write(&keypair) {
        assert_eq!(Ticket::read(&written), Ok(ticket), "a ticket reads back");
    }
}

/// A byte for the size of a set, then a frame: a question, an answer, and what tells one set from another.
pub fn sync(data: &[u8]) {
    let Some((size, message)) = data.split_first() else {
        return;
    };
    let held = |salt: Salt| items((0..*size).map(|number| [number; 32]), salt);
    let question = [SALT.as_slice(), message].concat();
    if let Ok(answer) = respond(held, &question) {
        assert!(answer.len() <= limits::SYNC_FRAME_MAX);
    }
    let started = Initiator::start(held(SALT));
    if let Ok((mut initiator, _)) = started {
        while let Ok(Step::Ask { frame, have, .. }) = initiator.next(message) {
            assert!(frame.len() <= limits::SYNC_FRAME_MAX && have.len() <= usize::from(*size));
        }
        assert!(initiator.rounds() <= limits::SYNC_ROUNDS_MAX);
    }
    let theirs: BTreeSet<[u8; 32]> = message.chunks(2).map(id_of).collect();
    let session = session(&held(SALT), &items(theirs.iter().copied(), SALT));
    let ours: BTreeSet<[u8; 32]> = (0..*size).map(|number| [number; 32]).collect();
    let differing = (
        ours.difference(&theirs).count(),
        theirs.difference(&ours).count(),
    );
    assert_eq!(session, Some(differing), "each side learns what it lacks");
}

fn id_of(chunk: &[u8]) -> [u8; 32] {
    // Some are in the other set too.
    std::array::from_fn(|i| {
        if i < 16 {
            chunk[0]
        } else {
            chunk[chunk.len() - 1]
        }
    })
}

fn items(ids: impl Iterator<Item = [u8; 32]>, salt: Salt) -> Items {
    let slot = |id: &[u8; 32]| Slot(u32::from(id[0] % 8)).start().secs();
    Items::new(ids.map(|id| (slot(&id), ObjectId(id))), salt)
}

/// How many each of two sets lacks, if a session tells.
fn session(ours: &Items, theirs: &Items) -> Option<(usize, usize)> {
    let (mut initiator, mut frame) = Initiator::start(ours.clone()).ok()?;
    let mut lacking = (0, 0);
    loop {
        let answer = respond(|_| theirs.clone(), &frame).ok()?;
        let (next, have, need) = match initiator.next(&answer).ok()? {
            Step::Ask { frame, have, need } => (Some(frame), have, need),
            Step::Done { have, need } => (None, have, need),
        };
        lacking = (lacking.0 + have.len(), lacking.1 + need.len());
        match next {
            Some(next) => frame = next,
            None => return Some(lacking),
        }
    }
}

/// Bytes: opened, and sealed to be opened.
pub fn sealed(data: &[u8]) {
    let secret = FleetSecret::from_bytes([5; 32]);
    if let Some(plain) = secret.open(data) {
        assert_eq!(secret.seal(&plain), data, "a text is sealed in one way");
    }
    let sealed = secret.seal(data);
    assert_eq!(sealed.len(), data.len() + limits::SEAL_BYTES);
    assert_eq!(secret.open(&sealed).as_deref(), Some(data));
}
