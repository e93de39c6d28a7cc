//! RFC 2228: the security extensions, as commands and replies.

use wharf_proto::security::{Demands, Requirement, Security};
use wharf_proto::{Command, Protection, Reply, ReplyClass, ReplyDecoder, ReplyLimits, Verb};

fn allows(word: &str, codes: &[u16]) {
    let verb = Verb::find(word.as_bytes()).unwrap();
    for code in codes {
        assert!(verb.allows(*code), "{word} {code}");
    }
}

#[test]
fn s3_auth_names_a_mechanism_case_insensitively() {
    let Command::Auth(mechanism) = Command::parse(b"AUTH tls").unwrap() else {
        panic!("not AUTH")
    };
    assert!(mechanism.is_word("TLS"));
    assert_eq!(Command::parse(b"AUTH").unwrap_err().reply().code(), 501);
}

#[test]
fn s3_adat_mic_conf_and_enc_carry_base64_and_stay_out_of_logs() {
    for word in ["ADAT", "MIC", "CONF", "ENC"] {
        let line = format!("{word} c2VjcmV0");
        let command = Command::parse(line.as_bytes()).unwrap();
        assert_eq!(command.redacted(), format!("{word} ****"));
        assert_eq!(command.encode(), format!("{line}\r\n").as_bytes());
        assert_eq!(
            Command::parse(word.as_bytes()).unwrap_err().reply().code(),
            501
        );
    }
}

#[test]
fn s3_prot_takes_c_s_e_p() {
    for (code, protection) in [
        ("C", Protection::Clear),
        ("S", Protection::Safe),
        ("E", Protection::Confidential),
        ("P", Protection::Private),
    ] {
        assert_eq!(Protection::read(code.as_bytes()), Ok(protection));
        assert_eq!(protection.to_string(), code);
    }
    assert!(Protection::read(b"X").is_err());
}

#[test]
fn s3_the_default_protection_level_is_clear() {
    assert_eq!(Protection::default(), Protection::Clear);
}

#[test]
fn s8_2_replies_of_the_new_commands() {
    allows("AUTH", &[234, 334, 502, 504, 534, 431, 500, 501, 421]);
    allows("ADAT", &[235, 335, 503, 501, 535, 500, 421]);
    allows("PBSZ", &[200, 503, 500, 501, 421, 530]);
    allows("PROT", &[200, 504, 536, 503, 534, 431, 500, 501, 421, 530]);
    allows("CCC", &[200, 533, 534, 500, 421]);
    for word in ["MIC", "CONF", "ENC"] {
        allows(word, &[535, 533, 500, 501, 421]);
    }
    allows("MIC", &[631]);
    allows("ENC", &[632]);
    allows("CONF", &[633]);
}

#[test]
fn s8_2_replies_added_to_the_commands_of_rfc_959() {
    allows("USER", &[232, 336]);
    for word in ["RETR", "STOR", "STOU", "APPE", "LIST", "NLST"] {
        allows(word, &[534, 535]);
    }
}

#[test]
fn s5_2_protected_replies_are_of_the_class_6yz() {
    assert_eq!(Reply::new(631, "AAAA").class(), ReplyClass::Protected);
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 100,
        lines: 9,
        bytes: 900,
    });
    decoder.push(b"632 AAAA\r\n");
    assert_eq!(
        decoder.next().unwrap().unwrap().class(),
        ReplyClass::Protected
    );
}

#[test]
fn s3_auth_that_is_not_offered_or_not_known_is_told_apart() {
    let auth = |line: &str| Command::parse(line.as_bytes()).unwrap();
    let mut security = Security::default();
    let code = |security: &Security, line| security.admit(&auth(line)).unwrap_err().code();
    assert_eq!(code(&security, "AUTH TLS"), 502);
    security.set_demands(Demands {
        control: Requirement::Allowed,
        data: Requirement::Off,
        ccc: false,
    });
    assert_eq!(code(&security, "AUTH KERBEROS_V4"), 504);
    assert_eq!(code(&security, "PBSZ 0"), 503);
    assert_eq!(code(&security, "PROT P"), 503);
    assert_eq!(code(&security, "CCC"), 533);
    security.secured();
    assert_eq!(code(&security, "CCC"), 534);
    assert_eq!(code(&security, "PROT P"), 503);
    security.set_buffer();
    assert_eq!(code(&security, "PROT P"), 534);
}
