//! The bytes of version 1, as they are for ever: whoever changes them makes a version 2. Signed by the key of 32 bytes 2,
//! for the public; a word for a fleet.

use super::make::*;
use crate::ask::{Answer, Ask, Joined, PLAIN, Refusal};
use crate::audience::Audience;
use crate::digest::Epoch;
use crate::family::Family;
use crate::id::hex;
use crate::report::Slot;
use crate::signed::{Object, Signed};
use crate::ticket::{Relation, Ticket, Token, words};
use crate::vouch::Minute;

/// All there are, in the order of the wire.
pub(super) const REFUSALS: [Refusal; 8] = [
    Refusal::UnknownTicket,
    Refusal::Expired,
    Refusal::Used,
    Refusal::OwnTicket,
    Refusal::BadContact,
    Refusal::Full,
    Refusal::NotYours,
    Refusal::Busy,
];

const OBJECTS: &[(&str, &str)] = &[
    (
        "report",
        "01018139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394040509010101abababababababab0105b0255a00180100000000000000f34fc2421937cd9bd7dddb0daaab6e639a97d2323275bd30533d8960513de67e27c68645bf708b61fa6d3805cf8c7ee397a5e3eb04368a21b08e81d7226c810d",
    ),
    (
        "report, IPv6",
        "01018139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394062a0104f80001000201abababababababab0105b0255a001802000000000000007b93e8661427eecfdc9475f81c0060c7596755fd08def018b5ecf90bd39db90320b1610349796f52c91701238a4f551d48d4afe7a5cf2a9dc1bfd1018bc32d0d",
    ),
    (
        "batch",
        "01028139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3940200000000000000040509000001abababababababab0105b0255a00180300000000000000040509000101abababababababab0105b0255a00180400000000000000961dc358b17051c65f579e870c168e1717ae8c69bfb66c610869a99ba01613b1bd38fa283f04ca06f70bd7d6e4b7b0885fee92c7142b1cd75b5040534ebb7406",
    ),
    (
        "retraction",
        "01038139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394040509010101b0255a00180500000000000000bbfe584b5f48f3d1b0d060196b3b53c9a34a0b3ce212adb350f2fe71988df239eb87da1c825a4caa186d9266f1c3fe8b032075de1ca31ea423dfeac9a6be7203",
    ),
    (
        "vouch",
        "01048139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f61800102770bcc20110c2c2010600000000000000ece1c981e009f726e6e20bbd46e1b7042ff10d7fa1d7284390c7fc0d86b81a1dafcd3787fde1979f7ecf1001f93b1c5cbb78d25b48e5210d48bf0efea34b4e07",
    ),
    (
        "revocation",
        "01058139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f61870bcc20110c2c2010700000000000000c62ca6c48590c2b88cc5c2c55fab23a86de9b43179c4876cc3509d59b39446da1038f58cb38eef8520c5b3784b54ce078719a23bb4c0cadf73159e8a4c1e2806",
    ),
    (
        "kill",
        "01068139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39470bcc2010000000000000000000000000000000000000000000000000000000000000000d435da1c09a4b0ffd2049fc3301437d9aebe3bb7a4a308353427ab80f1427b766fa81fae431214bc6f542b99ebbd19b217b987dd6ff5dbba26080e9eb00c410e",
    ),
    (
        "kill with successor",
        "01068139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39470bcc201fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618446d434c3b1eb102e4e7c086c3b18539b8f26cd138a02f321c4612f0524e09ee0cb73282acb9a6e4af751552966a15ebb2cd714cc7c73289f98ffec53944c50e",
    ),
    (
        "digest",
        "01078139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394248307000200000000000000040509000001abababababababab0105b0255a00180300000000000000040509000101abababababababab0105b0255a0018040000000000000082798c3e5ded8abbda3f14079fe5cc45aad16c084aa47d30af12181b702a60421c0b3a1948c47352bf9ddd9ead387a2d159d9c4890ba1cdfa45ce47dfdeff90a",
    ),
    (
        "root",
        "01088139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39424830700020000000874242233b9001af6fb07db6bc58cf8efb869fe72b1c7a19911f7c311c10318b6d5e9369054111ca761d87c6f50869563ae161d3ae6a7cb6182d25cc3c3c01dc8935d2e41e5c90606a6ad3804f9abdd012b6e27c66a7fcab7618578696a4009",
    ),
    (
        "contact",
        "010b8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394070707070707070707070707070707070707070707070707070707070707070770bcc20110c2c2010800000000000000010000000000000015000000000000002f6970342f352e392e312e312f7463702f3437343705000000000000007765622d31bbf404a2b28b637ba1f0a1b2181d16208ec279eb9fdb2067a49743dae1dc266692c560a10854b52c3915973c9001cb32eb4ff7cb065f65739f5c57d529b89b01",
    ),
    (
        "word",
        "010c8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39470bcc201090000000000000000000000000000000509000010100e00000600000000000000656e6f75676846596af79206ad6da805e5982883d348f17a39c23f402efaf84f389060a6366360fe2a3fe8368600a4978305b54cc8289dfc25038855d0fb4f52eabac2b86404",
    ),
];

const ASKS: &[(&str, &str)] = &[
    (
        "hello",
        "010002f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f103010203",
    ),
    ("join", "01010707070707070707070707070707070703010203"),
    (
        "reconcile",
        "010201c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1fcb0255a000461616161",
    ),
    (
        "fetch",
        "010300020101010101010101010101010101010101010101010101010101010101010101020202020202020202020202020202020202020202020202020202020202020203030303030303030303030303030303fcb0255a00",
    ),
    (
        "fetch plain",
        "0103000101010101010101010101010101010101010101010101010101010101010101010000000000000000000000000000000000",
    ),
    ("push", "010400020201020103"),
    ("vouches", "010500fb2c01"),
    (
        "digest",
        "0106008139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39405",
    ),
    (
        "rekey",
        "01070909090909090909090909090909090909090909090909090909090909090909fb2c0101ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c",
    ),
];

const ANSWERS: &[(&str, &str)] = &[
    ("hello", "010003010203"),
    (
        "joined",
        "010101030102030109090909090909090909090909090909090909090909090909090909090909090001010400",
    ),
    ("reconcile", "01030161"),
    ("objects", "0104020201020103fb2c01"),
    ("taken", "0105"),
    ("refused", "010200"),
    ("refused", "010201"),
    ("refused", "010202"),
    ("refused", "010203"),
    ("refused", "010204"),
    ("refused", "010205"),
    ("refused", "010206"),
    ("refused", "010207"),
];

const TICKET: &str = "lymph1aeaycolxb2uh2f27k2rvizwdjr7mzs4nrki3j3rxujo7md23r7e3hfhnjeummkgryldov2idhciftflbffmsoos4mp4tmnwbiykkzbzx2edqobyha4dqobyha4dqobyha4d7y4f4yiaqcfjpnfydilzvfy4s4mjogexxiy3qf42donbxuqiy7eoxk4jreluzcfspf4damybbeieyvd6nga2crtze4tv4wfesijzxhg52t3t3h54cvgoz423vmgxnsx6oi3xkcm5tczkhrb2wobi";

fn asks() -> Vec<(&'static str, Ask)> {
    let audience = Audience::Public;
    vec![
        (
            "hello",
            Ask::Hello {
                audience: fleet(),
                contact: vec![1, 2, 3],
            },
        ),
        (
            "join",
            Ask::Join {
                token: Token([7; 16]),
                contact: vec![1, 2, 3],
            },
        ),
        (
            "reconcile",
            Ask::Reconcile {
                audience: circle(),
                since: Slot::of(NOW),
                frame: vec![0x61; 4],
            },
        ),
        (
            "fetch",
            Ask::Fetch {
                audience,
                ids: vec![[1; 32], [2; 32]],
                salt: [3; 16],
                since: Slot::of(NOW),
            },
        ),
        (
            "fetch plain",
            Ask::Fetch {
                audience,
                ids: vec![[1; 32]],
                salt: PLAIN,
                since: Slot(0),
            },
        ),
        (
            "push",
            Ask::Push {
                audience,
                objects: vec![vec![1, 2], vec![3]],
            },
        ),
        (
            "vouches",
            Ask::Vouches {
                audience,
                cursor: 300,
            },
        ),
        (
            "digest",
            Ask::Digest {
                audience,
                author: node(2),
                after: Epoch(5),
            },
        ),
        (
            "rekey",
            Ask::Rekey {
                secret: [9; 32],
                epoch: 300,
                expelled: vec![node(4)],
            },
        ),
    ]
}

fn answers() -> Vec<(&'static str, Answer)> {
    let joined = Joined {
        relation: Relation::Fleet,
        contact: vec![1, 2, 3],
        secret: Some([9; 32]),
        circle: None,
        objects: vec![vec![4]],
        pending: false,
    };
    let mut all = vec![
        (
            "hello",
            Answer::Hello {
                contact: vec![1, 2, 3],
            },
        ),
        ("joined", Answer::Joined(Box::new(joined))),
        ("reconcile", Answer::Reconcile { frame: vec![0x61] }),
        (
            "objects",
            Answer::Objects {
                objects: vec![vec![1, 2], vec![3]],
                cursor: 300,
            },
        ),
        ("taken", Answer::Taken),
    ];
    all.extend(REFUSALS.map(|refusal| ("refused", Answer::Refused(refusal))));
    all
}

fn ticket() -> Ticket {
    Ticket {
        relation: Relation::Fleet,
        issuer: node(2),
        transport: key(3).transport_id(),
        token: Token([7; 16]),
        expires: Minute::of(NOW),
        addresses: vec!["/ip4/5.9.1.1/tcp/4747".to_owned()],
    }
}

fn check<T>(all: Vec<(&'static str, T)>, golden: &[(&str, &str)], encode: impl Fn(&T) -> String) {
    let found: Vec<(&str, String)> = all
        .iter()
        .map(|(name, value)| (*name, encode(value)))
        .collect();
    for (name, bytes) in &found {
        // To be copied, should a version 2 be meant.
        println!("    (\"{name}\", \"{bytes}\"),");
    }
    assert_eq!(found.len(), golden.len());
    for ((name, bytes), expected) in found.iter().zip(golden) {
        assert_eq!((*name, bytes.as_str()), *expected);
    }
}

fn audience_of(object: &Object) -> Audience {
    match matches!(object, Object::Word(_)) {
        true => fleet(),
        false => Audience::Public,
    }
}

#[test]
fn objects() {
    check(one_of_each(), OBJECTS, |object| {
        let said = key(2).sign(object.clone(), audience_of(object)).unwrap();
        hex(said.bytes())
    });
}

#[test]
fn objects_are_read_back() {
    for ((name, bytes), (_, object)) in OBJECTS.iter().zip(one_of_each()) {
        let signed = Signed::parse(&unhex(bytes), audience_of(&object)).unwrap();
        let verified = signed.verify().unwrap();
        assert_eq!(
            (verified.object(), verified.author()),
            (&object, node(2)),
            "{name}"
        );
    }
}

#[test]
fn questions() {
    check(asks(), ASKS, |ask| hex(&ask.encode().unwrap()));
    for ((_, bytes), (_, ask)) in ASKS.iter().zip(asks()) {
        assert_eq!(Ask::decode(&unhex(bytes)), Ok(ask));
    }
}

#[test]
fn answers_() {
    check(answers(), ANSWERS, |answer| hex(&answer.encode().unwrap()));
    for ((_, bytes), (_, answer)) in ANSWERS.iter().zip(answers()) {
        assert_eq!(Answer::decode(&unhex(bytes)), Ok(answer));
    }
}

#[test]
fn a_ticket() {
    let text = ticket().write(&key(2)).unwrap();
    println!("{text}");
    assert_eq!(text, TICKET);
    assert_eq!(Ticket::read(TICKET), Ok(ticket()));
}

/// Names, topics and hashes are as much part of the wire.
#[test]
fn names() {
    let id = key(2)
        .sign(Object::Report(report("5.9.1.1", 1)), Audience::Public)
        .unwrap()
        .id();
    assert_eq!(
        hex(&id.0),
        "6a39638413a6c09abf04d5c312f63debe323b5276f51d6782de62b88476a6684"
    );
    let root = digest(reports(2, 3)).root();
    assert_eq!(
        hex(&root.root),
        "0874242233b9001af6fb07db6bc58cf8efb869fe72b1c7a19911f7c311c10318"
    );
    let founded = crate::audience::CircleId::of(node(2), [1; 16]);
    assert_eq!(
        hex(&founded.0),
        "6a04df989e1927fec29e588fe5526c67a7f4422c861c9a195dd2a1a81623c6ef"
    );
    let secret = crate::seal::FleetSecret::from_bytes([5; 32]);
    assert_eq!(
        hex(&secret.fleet().0),
        "4a050879fbf321a54a67b9c79171a7ceb39e1d37a63bbaa97032d9f219f1a75a"
    );
    assert_eq!(
        hex(&secret.seal(b"word")),
        "bbd0a6c88605bffadcea4e9f9026e1a4034fe00a8b5faa7e5754c279300070b548ad86035b5c2a6b6bf8bff4"
    );
    let ticket = ticket();
    let four = words(ticket.issuer, node(4), ticket.token);
    assert_eq!(four, [1298, 111, 661, 1535]);
    let salted = crate::sync::salted(&[3; 16], &id);
    assert_eq!(
        hex(&salted),
        "8e1dac86182d5bfdaf3d37126a368d23fc81e9c5f80d08d11539a61d1f32be39"
    );
}

/// On which channel a family is reported is part of the wire: who listens elsewhere does not hear it.
#[test]
fn channels() {
    use crate::audience::Channel;
    let of = |channel: Channel| -> Vec<&str> {
        let known = Family::KNOWN.into_iter();
        let on_it = known.filter(|(family, _)| family.channel() == channel);
        on_it.map(|(_, name)| name).collect()
    };
    assert_eq!(
        of(Channel::Auth),
        [
            "ssh-auth",
            "mail-auth",
            "sip",
            "db-auth",
            "file-auth",
            "desktop-auth",
            "vpn-auth"
        ]
    );
    assert_eq!(
        of(Channel::Web),
        ["web-scan", "web-auth", "web-exploit", "web-flood"]
    );
    assert_eq!(
        of(Channel::Other),
        ["port-scan", "mail-abuse", "dns", "exploit"]
    );
    assert_eq!(
        Audience::Public.topics(),
        [
            "lymph/1/public/report/auth",
            "lymph/1/public/report/web",
            "lymph/1/public/report/other",
            "lymph/1/public/vouch",
            "lymph/1/public/revoke",
        ]
    );
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
