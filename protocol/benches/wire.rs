//! What an object costs on its way in: `cargo bench -p lymph-protocol --bench wire`. Plain timing of many rounds, the
//! fastest of several: for orders of magnitude, not for 2 %.

#![expect(clippy::print_stdout, reason = "the figures are its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use lymph_protocol::admission::{Admission, Caps, Path, Standing};
use lymph_protocol::audience::Audience;
use lymph_protocol::family::Family;
use lymph_protocol::report::{Evidence, Report, RuleHash, Slot};
use lymph_protocol::signed::{Keypair, Object, Signed, Verified};
use lymph_protocol::sync::{Initiator, Items, Salt, Step, respond};
use lymph_protocol::{ObjectId, Subject, Timestamp, TransportId};

const NOW: Timestamp = Timestamp::from_secs(1_772_366_400);
const OBJECTS: u32 = 20_000;
const SALT: Salt = [7; 16];

fn main() -> Result<(), Box<dyn Error>> {
    let keypair = Keypair::from_secret(&[2; 32]);
    let said: Vec<Verified<Object>> = (0..OBJECTS)
        .map(|number| keypair.sign(Object::Report(report(number)), Audience::Public))
        .collect::<Result<_, _>>()?;
    let first = &said[0];

    per_call("sign a report", 500, || {
        keypair.sign(first.object().clone(), Audience::Public)
    });
    per_call("parse a report", 5_000, || {
        Signed::parse(first.bytes(), Audience::Public)
    });
    let signed = Signed::parse(first.bytes(), Audience::Public)?;
    per_call("verify it", 500, || signed.clone().verify());
    let batch = keypair.sign(
        Object::Batch((0..64).map(report).collect()),
        Audience::Public,
    )?;
    per_call("parse a batch of 64", 500, || {
        Signed::parse(batch.bytes(), Audience::Public)
    });
    let signed = Signed::parse(batch.bytes(), Audience::Public)?;
    per_call("verify it", 500, || signed.clone().verify());

    let (mut asked, mut told) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let mut admission = Admission::new(Caps::default());
        asked = asked.min(timed(|| {
            for object in &said {
                let _ = black_box(first_of(&mut admission, object));
            }
        }));
        told = told.min(timed(|| {
            for object in &said {
                let _ = black_box(admission.verified(object, NOW, Standing::Own));
            }
        }));
    }
    print("admission, first", asked, OBJECTS);
    print("admission, verified", told, OBJECTS);

    let held = |own: std::ops::Range<u64>| {
        let all = (0..100_000u64).chain(own);
        Items::new(
            all.map(|number| (number * 7_919 % 86_400, id(number))),
            SALT,
        )
    };
    let gathering = timed(|| {
        black_box(held(0..0));
    });
    print("sync: 100,000 items gathered", gathering, 1);
    let (ours, theirs) = (held(200_000..200_050), held(300_000..300_050));
    let mut session = (0, 0);
    let mut failed = None;
    let took = timed(|| match reconcile(&ours, &theirs) {
        Ok(found) => session = found,
        Err(error) => failed = Some(error),
    });
    if let Some(error) = failed {
        return Err(error);
    }
    print("sync: a session with 100 differences", took, 1);
    println!("    {} questions, {} bytes both ways", session.0, session.1);
    Ok(())
}

fn report(number: u32) -> Report {
    Report {
        subject: Subject::V4((0x0509_0000 + number).into()),
        family: Family::SSH_AUTH,
        rule: RuleHash([1; 8]),
        evidence: Evidence::Handshake,
        count_log2: 5,
        slot: Slot::of(NOW),
        ttl_hours: 24,
        seq: u64::from(number),
    }
}

fn id(number: u64) -> ObjectId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    ObjectId(bytes)
}

fn first_of(admission: &mut Admission, object: &Verified<Object>) -> bool {
    let peer = TransportId::from_bytes([1; 32]);
    // Asked for: what a peer may hand over in a second is fewer.
    let heard = admission.first(
        peer,
        Path::Asked,
        Audience::Public,
        object.bytes(),
        NOW,
        |_| Standing::Stranger,
    );
    heard.is_ok()
}

fn reconcile(ours: &Items, theirs: &Items) -> Result<(u32, usize), Box<dyn Error>> {
    let (mut initiator, mut frame) = Initiator::start(ours.clone())?;
    loop {
        let answer = respond(|_| theirs.clone(), &frame)?;
        match initiator.next(&answer)? {
            Step::Ask { frame: next, .. } => frame = next,
            Step::Done { .. } => return Ok((initiator.rounds(), initiator.bytes())),
        }
    }
}

fn per_call<T>(name: &str, calls: u32, mut call: impl FnMut() -> T) {
    let rounds = (0..7).map(|_| {
        timed(|| {
            for _ in 0..calls {
                black_box(call());
            }
        })
    });
    print(name, rounds.min().unwrap_or_default(), calls);
}

fn timed(run: impl FnOnce()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

fn print(name: &str, took: Duration, calls: u32) {
    println!(
        "{name:40} {:>12.2} µs",
        took.as_secs_f64() * 1e6 / f64::from(calls)
    );
}
