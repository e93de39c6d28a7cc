//! RFC 4217: FTP over TLS, as commands, replies and what must be known before the handshake.

use wharf_proto::security::{Demands, Requirement, Security};
use wharf_proto::{Command, LineDecoder, Protection, ReplyDecoder, ReplyLimits, Verb};

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

/// The code of the refusal; 0 when it is admitted
fn judged(security: Security, line: &str) -> u16 {
    let command = Command::parse(line.as_bytes()).unwrap();
    security
        .admit(&command)
        .map_or_else(|reply| reply.code(), |()| 0)
}

fn offered(control: Requirement, data: Requirement) -> Security {
    let mut security = Security::default();
    security.set_demands(Demands {
        control,
        data,
        ccc: true,
    });
    security
}

#[test]
fn s4_1_tls_and_its_synonym_are_the_mechanism() {
    let security = offered(Requirement::Allowed, Requirement::Allowed);
    for (mechanism, code) in [("TLS", 0), ("TLS-C", 0), ("SSL", 0), ("TLS-P", 504)] {
        assert_eq!(judged(security, &format!("AUTH {mechanism}")), code);
    }
}

#[test]
fn s4_2_a_server_may_want_tls_before_a_login() {
    let mut security = offered(Requirement::Required, Requirement::Allowed);
    for line in ["USER joe", "PASS secret"] {
        assert_eq!(judged(security, line), 534);
    }
    security.secured();
    assert_eq!(judged(security, "USER joe"), 0);
}

#[test]
fn s9_pbsz_comes_before_prot_and_whatever_its_number_is_taken() {
    let mut security = offered(Requirement::Allowed, Requirement::Allowed);
    security.secured();
    assert_eq!(judged(security, "PROT P"), 503);
    for size in ["0", "1", "1048576"] {
        assert_eq!(judged(security, &format!("PBSZ {size}")), 0);
    }
}

#[test]
fn s9_prot_is_clear_or_private() {
    let mut security = offered(Requirement::Allowed, Requirement::Allowed);
    security.secured();
    security.set_buffer();
    for (level, code) in [("C", 0), ("P", 0), ("S", 536), ("E", 536), ("X", 504)] {
        assert_eq!(judged(security, &format!("PROT {level}")), code);
    }
}

#[test]
fn s10_a_transfer_whose_protection_is_not_enough_is_answered_521() {
    let mut security = offered(Requirement::Allowed, Requirement::Required);
    security.secured();
    security.set_buffer();
    for line in ["RETR a", "STOR a", "STOU", "APPE a", "LIST", "NLST", "MLSD"] {
        assert_eq!(judged(security, line), 521, "{line}");
    }
    security.set_protection(Protection::Private);
    assert_eq!(judged(security, "RETR a"), 0);
}

#[test]
fn s11_rein_leaves_nothing_of_tls() {
    let mut pi = wharf_proto::server_pi::ServerPi::new();
    pi.security_mut().set_demands(Demands {
        control: Requirement::Allowed,
        data: Requirement::Allowed,
        ccc: false,
    });
    pi.security_mut().secured();
    pi.security_mut().set_buffer();
    pi.security_mut().set_protection(Protection::Private);
    pi.reinitialize();
    assert!(!pi.security().is_secured());
    assert_eq!(pi.security().protection(), Protection::Clear);
    assert_eq!(judged(*pi.security(), "AUTH TLS"), 0);
}

#[test]
fn s12_3_after_ccc_data_connections_keep_their_protection() {
    let mut security = offered(Requirement::Allowed, Requirement::Required);
    assert_eq!(judged(security, "CCC"), 533);
    security.secured();
    security.set_buffer();
    security.set_protection(Protection::Private);
    assert_eq!(judged(security, "CCC"), 0);
    security.cleared();
    assert_eq!(security.protection(), Protection::Private);
    assert_eq!(judged(security, "RETR a"), 0);
}
