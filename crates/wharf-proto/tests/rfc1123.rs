//! RFC 1123 §4.1 (and §3.2.1 for Telnet), sentence by sentence, as far as values and rules can keep it.

use wharf_proto::{
    Command, Line, LineDecoder, Reply, ReplyDecoder, ReplyLimits, RepresentationType, Structure,
    Verb,
};
use wharf_proto::{host_port, server_pi::ServerPi};

fn read(bytes: &[u8]) -> Vec<Reply> {
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 500,
        lines: 50,
        bytes: 5000,
    });
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next().unwrap()).collect()
}

#[test]
fn s4_1_2_1_type_l_8_is_type_i_on_a_machine_of_bytes() {
    let Command::Type(local) = Command::parse(b"TYPE L 8").unwrap() else {
        panic!("not TYPE")
    };
    assert!(local.is_binary() && RepresentationType::Image.is_binary());
    assert!(!RepresentationType::Local(36).is_binary());
}

#[test]
fn s4_1_2_2_unused_telnet_format_control_is_refused_not_ignored() {
    let mut pi = ServerPi::new();
    pi.logged_in("anna".parse().unwrap(), &wharf_proto::Pathname::root());
    for line in [&b"TYPE A T"[..], b"TYPE A C"] {
        let reply = pi.admit(&Command::parse(line).unwrap()).unwrap_err();
        assert_eq!(reply.code(), 504);
    }
}

#[test]
fn s4_1_2_3_page_structure_is_a_value_and_may_be_refused() {
    assert_eq!(
        Command::parse(b"STRU P"),
        Ok(Command::Stru(Structure::Page))
    );
}

#[test]
fn s4_1_2_6_the_user_ftp_scans_227_for_digits() {
    for text in [
        "Entering Passive Mode (10,0,0,1,4,1)",
        "Entering Passive Mode 10,0,0,1,4,1",
        "Entering Passive Mode. 10,0,0,1,4,1",
        "=10,0,0,1,4,1",
        "ok(10,0,0,1,4,1",
    ] {
        assert_eq!(
            host_port::read_227(text.as_bytes()),
            Some("10.0.0.1:1025".parse().unwrap()),
            "{text}"
        );
    }
}

#[test]
fn s4_1_2_7_nlst_takes_what_mget_needs() {
    let Command::Nlst(argument) = Command::parse(b"NLST *.txt").unwrap() else {
        panic!("not NLST")
    };
    assert_eq!(argument.path, Some("*.txt".parse().unwrap()));
}

#[test]
fn s4_1_2_8_site_needs_its_string() {
    assert_eq!(Command::parse(b"SITE").unwrap_err().reply().code(), 501);
}

#[test]
fn s4_1_2_9_stou_may_come_without_a_pathname() {
    assert_eq!(Command::parse(b"STOU"), Ok(Command::Stou(None)));
    assert!(Verb::find(b"STOU").unwrap().allows(150));
}

#[test]
fn s4_1_2_10_a_line_ends_with_cr_lf_and_cr_nul_is_a_cr() {
    let mut decoder = LineDecoder::new(100);
    decoder.push(b"NOOP\r\0X\r\n");
    assert_eq!(decoder.next(), Some(Line::Command(b"NOOP\rX".to_vec())));
}

#[test]
fn s4_1_2_11_the_user_ftp_uses_only_the_digits_of_a_reply() {
    for bytes in [
        &b"226 done\r\n"[..],
        b"226\r\n",
        b"226 \r\n",
        b"226-x\r\n226 y\r\n",
    ] {
        assert_eq!(read(bytes)[0].code(), 226);
    }
}

#[test]
fn s4_1_2_11_unknown_codes_are_judged_by_their_first_digit() {
    let reply = &read(b"299 never heard of\r\n")[0];
    assert!(reply.is_positive() && !reply.is_preliminary());
}

#[test]
fn s3_2_1_telnet_options_are_refused() {
    let mut decoder = LineDecoder::new(100);
    decoder.push(b"\xff\xfb\x01\xff\xfd\x03NOOP\r\n");
    assert_eq!(decoder.next(), Some(Line::Command(b"NOOP".to_vec())));
    assert_eq!(decoder.take_answers(), b"\xff\xfe\x01\xff\xfc\x03");
}

#[test]
fn s3_2_1_telnet_options_of_a_server_are_refused_too() {
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 500,
        lines: 50,
        bytes: 5000,
    });
    decoder.push(b"\xff\xfb\x01220 hello\r\n");
    assert_eq!(decoder.next().unwrap().unwrap().code(), 220);
    assert_eq!(decoder.take_answers(), b"\xff\xfe\x01");
}

#[test]
fn s4_1_2_13_every_command_of_the_minimum_is_known() {
    let minimum = "USER PASS ACCT PORT PASV TYPE MODE STRU RETR STOR APPE RNFR RNTO DELE CWD CDUP RMD MKD PWD LIST NLST \
                   SYST STAT HELP NOOP QUIT";
    for word in minimum.split_whitespace() {
        assert!(Verb::find(word.as_bytes()).is_some(), "{word}");
    }
}

#[test]
fn s4_1_3_1_x_forms_are_the_same_commands() {
    for (x, word) in [
        ("XCUP", "CDUP"),
        ("XCWD", "CWD"),
        ("XMKD", "MKD"),
        ("XPWD", "PWD"),
        ("XRMD", "RMD"),
    ] {
        assert_eq!(Verb::find(x.as_bytes()), Verb::find(word.as_bytes()), "{x}");
    }
}

#[test]
fn s4_1_4_1_pathnames_may_hold_any_character() {
    let command = Command::parse(b"RETR  a;*?\"' \xe9 ").unwrap();
    assert_eq!(command.encode(), b"RETR  a;*?\"' \xe9 \r\n");
}

#[test]
fn s4_1_4_2_any_command_can_be_sent_as_it_is() {
    let command = Command::parse(b"SITE anything goes 42").unwrap();
    assert_eq!(command.encode(), b"SITE anything goes 42\r\n");
}
