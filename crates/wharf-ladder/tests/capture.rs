//! Captures of real sessions (`cargo xtask lab captures` records them anew), told as events; and the same packets in
//! every other file format, torn, or made up.

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proptest::prelude::*;
use wharf_ladder::render::{self, Look};
use wharf_ladder::source::capture::{CaptureError, read};
use wharf_ladder::{Ladder, Options};
use wharf_proto::trace;

mod recorded;

use recorded::{Endian, Link, Packets};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

const NAMES: [&str; 6] = [
    "active",
    "active-behind-nat",
    "active-blocked",
    "one-port",
    "passive",
    "passive-blocked",
];

fn capture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.pcap"))).expect("it is checked in")
}

fn told(bytes: &[u8]) -> String {
    match read(bytes) {
        Ok(events) => trace::write(&events),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn real_sessions() {
    for name in NAMES {
        let path = folder().join(format!("{name}.trace"));
        expect_file![path].assert_eq(&told(&capture(name)));
    }
}

type Draw = fn(&Ladder, &Look) -> String;

const PICTURES: [(&str, Draw); 3] = [
    ("txt", render::text),
    ("svg", render::svg),
    ("mmd", render::mermaid),
];

/// What README and docs/modes.md show.
#[test]
fn pictures() {
    for name in NAMES {
        let events = read(&capture(name)).expect("it is readable");
        let ladder = Ladder::from_events(&events, &Options::default());
        for (extension, draw) in PICTURES {
            let path = folder().join(format!("{name}.{extension}"));
            expect_file![path].assert_eq(&draw(&ladder, &Look::default()));
        }
    }
}

#[test]
fn no_capture_is_checked_in_without_a_test() {
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "pcap") {
            let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or("");
            assert!(NAMES.contains(&stem), "{stem}");
        }
    }
}

/// The same packets give the same events in every format, on every kind of interface.
#[test]
fn every_format_tells_the_same() {
    for name in NAMES {
        let bytes = capture(name);
        let expected = told(&bytes);
        let packets = Packets::of(&bytes);
        for link in Link::ALL {
            for endian in [Endian::Little, Endian::Big] {
                let linked = packets.on(link);
                assert_eq!(
                    told(&linked.pcap(endian, false)),
                    expected,
                    "{name} {link:?}"
                );
                assert_eq!(
                    told(&linked.pcap(endian, true)),
                    expected,
                    "{name} {link:?}"
                );
                for resolution in [6, 9] {
                    let text = told(&linked.pcapng(endian, resolution));
                    assert_eq!(text, expected, "{name} {link:?} {endian:?} {resolution}");
                }
            }
        }
    }
}

#[test]
fn packets_twice_or_out_of_order_change_nothing() {
    for name in NAMES {
        let bytes = capture(name);
        let expected = told(&bytes);
        let packets = Packets::of(&bytes);
        assert_eq!(
            told(&packets.twice().pcap(Endian::Little, false)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn what_is_missing_is_said() {
    let packets = Packets::of(&capture("active"));
    // The packet with the PORT command
    let without = packets.without(|payload| payload.starts_with(b"PORT"));
    let text = told(&without.pcap(Endian::Little, false));
    assert!(
        text.contains("# the capture lacks 29 bytes of what the user said here"),
        "{text}"
    );
    assert!(text.contains("< 200 PORT"), "{text}");
    // and it does not make up a data connection from it
    assert!(!text.contains("! opened"), "{text}");
    let cut = packets.cut_to(120);
    let text = told(&cut.pcap(Endian::Little, false));
    assert!(
        text.contains("! closed 1088 end"),
        "sequence numbers tell the size: {text}"
    );
}

#[test]
fn not_a_capture_and_not_ftp() {
    assert_eq!(read(b""), Err(CaptureError::NotACapture));
    assert_eq!(read(b"# wharf trace 1\n"), Err(CaptureError::NotACapture));
    let nothing = Packets::of(&capture("active")).none();
    let text = told(&nothing.pcap(Endian::Little, false));
    assert!(
        text.contains("no FTP control connection among the 0"),
        "{text}"
    );
    let radio = Packets::of(&capture("active")).pcap_of_link(127);
    assert_eq!(read(&radio), Err(CaptureError::LinkType(127)));
}

#[test]
fn a_file_that_is_cut_off_is_read_as_far_as_it_goes() {
    let bytes = capture("passive");
    for end in 0..bytes.len() {
        let _ = read(&bytes[..end]);
    }
    let text = told(&bytes[..bytes.len() - 10]);
    assert!(
        text.ends_with("# the capture file is cut off or damaged here\n"),
        "{text}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), magic in 0_usize..6) {
        let magics: [&[u8]; 6] = [
            b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a", b"",
        ];
        let _ = read(&[magics[magic], &bytes[..]].concat());
    }

    #[test]
    fn mutated_captures(
        name in 0_usize..NAMES.len(),
        ng in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = capture(NAMES[name]);
        if ng {
            bytes = Packets::of(&bytes).pcapng(Endian::Little, 6);
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(events) = read(&bytes) {
            let text = trace::write(&events);
            prop_assert!(!text.contains("lab-secret"), "{text}");
            prop_assert!(events.len() < 200);
        }
    }

    /// Packets in another order: nothing panics, no secret comes out.
    #[test]
    fn shuffled_captures(name in 0_usize..NAMES.len(), seed in any::<u64>()) {
        let packets = Packets::of(&capture(NAMES[name])).shuffled(seed);
        let text = told(&packets.pcap(Endian::Little, false));
        prop_assert!(!text.contains("lab-secret"), "{text}");
    }
}
