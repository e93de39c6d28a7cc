//! What is written is read, and nothing else is.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

fn facts() -> Metadata {
    Metadata {
        kind: Kind::File,
        size: 1 << 40,
        modified: SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5),
        mode: Some(0o640),
        uid: Some(1000),
        gid: None,
        links: 2,
        unique: Some("801g2a".to_owned()),
    }
}

fn asks() -> Vec<Ask> {
    let half = SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
    vec![
        Ask::Metadata(path("/a")),
        Ask::LinkMetadata(Pathname::new(b"/\xFF".to_vec()).unwrap()),
        Ask::ReadLink(path("/a")),
        Ask::List(path("/"), ListOrder::Name),
        Ask::List(path("/"), ListOrder::Unsorted),
        Ask::Next(4),
        Ask::Open(path("/a"), u64::MAX),
        Ask::Create(path("/a"), Write::Replace),
        Ask::Create(path("/a"), Write::New),
        Ask::Create(path("/a"), Write::Append),
        Ask::Create(path("/a"), Write::At(7)),
        Ask::Create(
            path("/a"),
            Write::Unique {
                prefix: b"p".to_vec(),
            },
        ),
        Ask::Commit(8),
        Ask::Abandon(9),
        Ask::RemoveFile(path("/a")),
        Ask::CreateDir(path("/a")),
        Ask::RemoveDir(path("/a")),
        Ask::Rename(path("/a"), path("/b")),
        Ask::SetModified(path("/a"), half),
        Ask::SetMode(path("/a"), 0o777),
        Ask::FreeSpace(path("/a")),
        Ask::Forget(u32::MAX),
    ]
}

fn answers() -> Vec<Answer> {
    let entry = Entry {
        name: b"line\nend".to_vec(),
        metadata: facts(),
        link_target: Some(b"../x".to_vec()),
    };
    let mut all = vec![
        Answer::Done,
        Answer::Metadata(facts()),
        Answer::Target(b"/a".to_vec()),
        Answer::Entries(vec![entry.clone(), entry]),
        Answer::Entries(Vec::new()),
        Answer::Reader { length: 12 },
        Answer::Upload {
            name: path("/a"),
            begins_at: 3,
        },
        Answer::Space(Some(5)),
        Answer::Space(None),
    ];
    all.extend(KINDS.map(|kind| Answer::Refused {
        kind,
        why: "why".to_owned(),
    }));
    all
}

#[test]
fn what_is_written_is_read() {
    for ask in asks() {
        let request = Request { number: 77, ask };
        let packet = request.encode();
        assert_eq!(Request::decode(&packet), Ok(request.clone()));
        for end in 0..packet.len() {
            let shorter = Request::decode(&packet[..end]);
            assert!(shorter.is_err(), "{request:?} {end}");
        }
        assert!(Request::decode(&[&packet[..], &[0]].concat()).is_err());
    }
    for answer in answers() {
        let reply = Reply { number: 78, answer };
        let packet = reply.encode();
        assert_eq!(Reply::decode(&packet), Ok(reply.clone()));
        for end in 0..packet.len() {
            let shorter = Reply::decode(&packet[..end]);
            assert!(shorter.is_err(), "{reply:?} {end}");
        }
        assert!(Reply::decode(&[&packet[..], &[0]].concat()).is_err());
    }
}

#[test]
fn what_nobody_would_write_is_refused() {
    let table: [(&[u8], &str); 8] = [
        (&[], "the packet is too short"),
        (&[0, 0, 0, 1], "the packet is too short"),
        (&[0, 0, 0, 1, 0], "no such question"),
        (&[0, 0, 0, 1, 18], "no such question"),
        (&[0, 0, 0, 1, 1, 255, 255], "a field is too long"),
        (&[0, 0, 0, 1, 1, 0, 3, b'/', 0, b'a'], "not a pathname"),
        (&[0, 0, 0, 1, 4, 0, 1, b'/', 2], "neither yes nor no"),
        (&[0, 0, 0, 1, 7, 0, 1, b'/', 9], "no such way to write"),
    ];
    for (packet, why) in table {
        assert_eq!(Request::decode(packet), Err(Malformed(why)), "{packet:?}");
    }
    let named = |name: &[u8]| {
        let entry = Entry {
            name: name.to_vec(),
            metadata: facts(),
            link_target: None,
        };
        let answer = Answer::Entries(vec![entry]);
        Reply::decode(&Reply { number: 1, answer }.encode())
    };
    assert!(named(b"a").is_ok());
    for name in [
        &b""[..],
        b".",
        b"..",
        b"a/b",
        b"/etc",
        b"a\0b",
        &[b'a'; 1025],
    ] {
        assert!(named(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_long_listing_is_several_packets() {
    let entry = |number: u32| Entry {
        name: number.to_string().repeat(30).into_bytes(),
        metadata: facts(),
        link_target: Some(vec![b'x'; LONGEST_TARGET]),
    };
    let all: VecDeque<_> = (100..200).map(entry).collect();
    let mut waiting = all.clone();
    let mut came = Vec::new();
    while !waiting.is_empty() {
        let answer = Answer::Entries(fitting(&mut waiting));
        let packet = Reply { number: 1, answer }.encode();
        assert!(packet.len() <= LONGEST);
        match Reply::decode(&packet).unwrap().answer {
            Answer::Entries(some) if !some.is_empty() => came.extend(some),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(VecDeque::from(came), all);
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let refused = |why: String| {
        let answer = Answer::Refused {
            kind: ErrorKind::Denied,
            why,
        };
        match Reply::decode(&Reply { number: 1, answer }.encode()).map(|it| it.answer) {
            Ok(Answer::Refused { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("ä".repeat(1000)), "ä".repeat(LONGEST_REASON / 2));
}

/// Whatever one bit makes of a packet, it is refused or it says one thing: nothing is read that would be written
/// otherwise.
#[test]
fn a_packet_says_one_thing() {
    let mut read = 0;
    let flipped = |packet: &[u8]| {
        let packet = packet.to_vec();
        (0..packet.len() * 8).map(move |bit| {
            let mut packet = packet.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            packet
        })
    };
    for ask in asks() {
        for packet in flipped(&Request { number: 77, ask }.encode()) {
            if let Ok(request) = Request::decode(&packet) {
                assert_eq!(request.encode(), packet, "{request:?}");
                read += 1;
            }
        }
    }
    for answer in answers() {
        for packet in flipped(&Reply { number: 78, answer }.encode()) {
            if let Ok(reply) = Reply::decode(&packet) {
                assert_eq!(reply.encode(), packet, "{reply:?}");
                read += 1;
            }
        }
    }
    assert!(read > 1000, "{read}");
}
