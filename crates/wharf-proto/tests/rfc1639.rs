//! RFC 1639: long addresses.

use wharf_proto::{Command, LprtArgument, Verb, host_port};

#[test]
fn lprt_names_family_lengths_address_and_port() {
    let address = "[2001:db8::1]:5000".parse().unwrap();
    let line = format!("LPRT {}", host_port::write_lprt(address));
    assert_eq!(
        line,
        "LPRT 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,19,136"
    );
    assert_eq!(
        Command::parse(line.as_bytes()),
        Ok(Command::Lprt(LprtArgument::Address(address)))
    );
}

#[test]
fn a_family_that_is_not_offered_is_answered_521() {
    assert_eq!(
        Command::parse(b"LPRT 16,2,1,2,2,19,136"),
        Ok(Command::Lprt(LprtArgument::UnknownFamily(16)))
    );
    assert!(Verb::find(b"LPRT").unwrap().allows(521));
}

#[test]
fn lengths_that_do_not_fit_are_a_syntax_error() {
    for line in [
        "LPRT 4,4,1,2,3,2,19,136",
        "LPRT 6,4,1,2,3,4,2,19,136",
        "LPRT 4,4,1,2,3,4,1,19,136",
    ] {
        assert_eq!(
            Command::parse(line.as_bytes()).unwrap_err().reply().code(),
            501,
            "{line}"
        );
    }
}

#[test]
fn lpsv_is_answered_228_with_the_same_numbers() {
    let address = "192.0.2.1:5000".parse().unwrap();
    let text = host_port::write_228_text(address);
    assert_eq!(text, "Entering Long Passive Mode (4,4,192,0,2,1,2,19,136)");
    assert_eq!(host_port::read_228(text.as_bytes()), Some(address));
    assert!(Verb::find(b"LPSV").unwrap().allows(228));
}
