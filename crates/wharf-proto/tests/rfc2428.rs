//! RFC 2428: EPRT and EPSV.

use wharf_proto::server_pi::ServerPi;
use wharf_proto::{Command, EprtArgument, EpsvArgument, Pathname, Verb, host_port};

#[test]
fn s2_eprt_examples_of_the_section() {
    for (line, address) in [
        ("EPRT |1|132.235.1.2|6275|", "132.235.1.2:6275"),
        (
            "EPRT |2|1080::8:800:200C:417A|5282|",
            "[1080::8:800:200c:417a]:5282",
        ),
    ] {
        let command = Command::Eprt(EprtArgument::Address(address.parse().unwrap()));
        assert_eq!(Command::parse(line.as_bytes()), Ok(command));
    }
}

#[test]
fn s2_the_delimiter_is_any_of_ascii_33_to_126() {
    for delimiter in (33u8..=126)
        .map(char::from)
        .filter(|c| !"0123456789.".contains(*c))
    {
        let line = format!("EPRT {delimiter}1{delimiter}192.0.2.1{delimiter}5000{delimiter}");
        let command = Command::Eprt(EprtArgument::Address("192.0.2.1:5000".parse().unwrap()));
        assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{delimiter}");
    }
    assert_eq!(
        Command::parse(b"EPRT \x7f1\x7f1.2.3.4\x7f5\x7f")
            .unwrap_err()
            .reply()
            .code(),
        501
    );
}

#[test]
fn s2_an_unknown_protocol_is_told_apart_for_522() {
    assert_eq!(
        Command::parse(b"EPRT |3|x|5000|"),
        Ok(Command::Eprt(EprtArgument::UnknownProtocol(3)))
    );
    assert!(Verb::find(b"EPRT").unwrap().allows(522));
    assert!(Verb::find(b"EPSV").unwrap().allows(522));
}

#[test]
fn s2_the_tcp_port_is_a_decimal_number() {
    for line in [
        "EPRT |1|192.0.2.1|0x50|",
        "EPRT |1|192.0.2.1|65536|",
        "EPRT |1|192.0.2.1||",
    ] {
        assert_eq!(
            Command::parse(line.as_bytes()).unwrap_err().reply().code(),
            501,
            "{line}"
        );
    }
}

#[test]
fn s3_229_names_the_port_only() {
    assert_eq!(
        host_port::write_229_text(6446),
        "Entering Extended Passive Mode (|||6446|)"
    );
    assert_eq!(
        host_port::read_229(b"Entering Extended Passive Mode (|||6446|)"),
        Some(6446)
    );
}

#[test]
fn s3_229_may_use_any_delimiter() {
    for delimiter in (33u8..=126)
        .map(char::from)
        .filter(|c| !"()0123456789".contains(*c))
    {
        let text = format!(
            "Entering Extended Passive Mode ({delimiter}{delimiter}{delimiter}6446{delimiter})"
        );
        assert_eq!(
            host_port::read_229(text.as_bytes()),
            Some(6446),
            "{delimiter}"
        );
    }
}

#[test]
fn s3_epsv_may_name_a_protocol() {
    for (line, argument) in [
        ("EPSV", EpsvArgument::Unspecified),
        ("EPSV 1", EpsvArgument::Ipv4),
        ("EPSV 2", EpsvArgument::Ipv6),
        ("EPSV 7", EpsvArgument::UnknownProtocol(7)),
        ("EPSV ALL", EpsvArgument::All),
        ("epsv all", EpsvArgument::All),
    ] {
        assert_eq!(Command::parse(line.as_bytes()), Ok(Command::Epsv(argument)));
    }
}

#[test]
fn s4_after_epsv_all_every_other_set_up_command_is_rejected() {
    let mut pi = ServerPi::new();
    pi.logged_in("anna".parse().unwrap(), &Pathname::root());
    pi.set_epsv_all();
    for word in ["PORT", "PASV", "EPRT", "LPRT", "LPSV"] {
        let verb = Verb::find(word.as_bytes()).unwrap();
        let reply = pi
            .admit(&Command::parse(verb.example.as_bytes()).unwrap())
            .unwrap_err();
        assert!(!reply.is_positive() && verb.allows(reply.code()), "{word}");
    }
    assert_eq!(pi.admit(&Command::Epsv(EpsvArgument::Unspecified)), Ok(()));
}
