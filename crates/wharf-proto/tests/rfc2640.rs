//! RFC 2640: names in any language.

use wharf_proto::{Command, Pathname, Verb};

#[test]
fn s3_1_names_are_bytes_and_utf_8_is_not_forced_on_them() {
    for name in [
        "Grüße".as_bytes(),
        "日本語".as_bytes(),
        b"caf\xe9",
        b"\xff\xfe\x80",
    ] {
        let path = Pathname::new(name).unwrap();
        let encoded = Command::Retr(path.clone()).encode();
        let mut decoder = wharf_proto::LineDecoder::new(100);
        decoder.push(&encoded);
        let Some(wharf_proto::Line::Command(line)) = decoder.next() else {
            panic!("no line")
        };
        assert_eq!(Command::parse(&line), Ok(Command::Retr(path)));
    }
}

#[test]
fn s3_1_no_name_carries_a_line_end() {
    for byte in [b'\r', b'\n', 0] {
        assert!(Pathname::new(vec![b'a', byte, b'b']).is_err());
    }
}

#[test]
fn s4_1_lang_takes_an_optional_tag() {
    assert_eq!(Command::parse(b"LANG"), Ok(Command::Lang(None)));
    assert_eq!(
        Command::parse(b"LANG de-AT"),
        Ok(Command::Lang(Some("de-AT".parse().unwrap())))
    );
    assert!(
        [200, 500, 501, 504]
            .iter()
            .all(|code| Verb::find(b"LANG").unwrap().allows(*code))
    );
}
