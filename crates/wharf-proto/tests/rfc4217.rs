//! RFC 4217: FTP over TLS, as commands, replies and what must be known before the handshake.

use wharf_proto::{Command, LineDecoder, ReplyDecoder, ReplyLimits, Verb};

#[test]
fn s4_auth_tls_is_answered_234() {
    assert_eq!(
        Command::parse(b"AUTH TLS"),
        Ok(Command::Auth("TLS".parse().unwrap()))
    );
    assert!(Verb::find(b"AUTH").unwrap().allows(234));
    assert!(!Verb::find(b"AUTH").unwrap().needs_login);
}

#[test]
fn s4_what_was_sent_in_clear_after_auth_is_seen_before_the_handshake() {
    let mut server = LineDecoder::new(100);
    server.push(b"AUTH TLS\r\nUSER injected\r\n");
    assert!(server.next().is_some());
    assert!(!server.is_empty());
    let mut user = ReplyDecoder::new(ReplyLimits {
        line: 100,
        lines: 9,
        bytes: 900,
    });
    user.push(b"234 go\r\n230 injected\r\n");
    assert!(user.next().unwrap().is_some());
    assert!(!user.is_empty());
}

#[test]
fn pbsz_and_prot_come_before_or_after_login() {
    for word in ["PBSZ", "PROT"] {
        assert!(!Verb::find(word.as_bytes()).unwrap().needs_login);
    }
    assert_eq!(
        Command::parse(b"PBSZ 0"),
        Ok(Command::Pbsz("0".parse().unwrap()))
    );
    assert_eq!(
        Command::parse(b"PROT P"),
        Ok(Command::Prot("P".parse().unwrap()))
    );
}

#[test]
fn a_transfer_may_be_refused_for_its_protection() {
    for word in ["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"] {
        assert!(Verb::find(word.as_bytes()).unwrap().allows(522), "{word}");
    }
}
