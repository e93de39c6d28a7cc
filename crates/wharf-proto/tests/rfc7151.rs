//! RFC 7151: HOST.

use wharf_proto::{Command, Verb};

#[test]
fn s3_1_host_takes_a_name_or_an_address() {
    for host in ["ftp.example.com", "192.0.2.1", "[2001:db8::1]"] {
        let line = format!("HOST {host}");
        assert_eq!(
            Command::parse(line.as_bytes()),
            Ok(Command::Host(host.parse().unwrap()))
        );
    }
    assert_eq!(Command::parse(b"HOST").unwrap_err().reply().code(), 501);
}

#[test]
fn s3_2_host_is_sent_before_user_and_answered_220() {
    let host = Verb::find(b"HOST").unwrap();
    assert!(!host.needs_login);
    assert!([220, 504, 503, 501].iter().all(|code| host.allows(*code)));
}
