//! RFC 959, sentence by sentence, as far as values and rules can keep it. Test names begin with the section.

use wharf_proto::command::{ALWAYS_ALLOWED, DuringTransfer};
use wharf_proto::server_pi::ServerPi;
use wharf_proto::{
    AsciiDecoder, AsciiEncoder, Command, CommandErrorKind, Format, Line, LineDecoder, Pathname,
    Reply, ReplyClass, ReplyDecoder, ReplyLimits, RepresentationType, Structure, TransferMode,
    VERBS, Verb, host_port,
};

fn parse(line: &str) -> Command {
    Command::parse(line.as_bytes()).unwrap()
}

fn refusal(line: &str) -> u16 {
    Command::parse(line.as_bytes()).unwrap_err().reply().code()
}

fn replies(bytes: &str) -> Vec<Reply> {
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 500,
        lines: 50,
        bytes: 5000,
    });
    decoder.push(bytes.as_bytes());
    std::iter::from_fn(|| decoder.next().unwrap()).collect()
}

fn lines(bytes: &[u8]) -> Vec<Line> {
    let mut decoder = LineDecoder::new(500);
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next()).collect()
}

/// A server-PI after a login, and one exchange with it: admitted commands succeed.
fn logged_in() -> ServerPi {
    let mut pi = ServerPi::new();
    pi.logged_in("anna".parse().unwrap(), &Pathname::root());
    pi
}

fn ask(pi: &mut ServerPi, line: &str) -> Result<(), u16> {
    let command = parse(line);
    let admitted = pi.admit(&command).map_err(|reply| reply.code());
    if admitted.is_ok() {
        match &command {
            Command::Rnfr(path) => pi.set_rename_marker(pi.resolve(path)),
            Command::Rnto(_) => drop(pi.take_rename_marker()),
            Command::Rest(offset) => pi.set_restart_marker(*offset),
            _ => {}
        }
    }
    pi.finish(command.verb());
    admitted
}

#[test]
fn s3_1_1_1_ascii_is_the_default_type() {
    assert_eq!(
        RepresentationType::default(),
        RepresentationType::Ascii(Format::NonPrint)
    );
    assert_eq!(
        ServerPi::new().representation(),
        RepresentationType::default()
    );
}

#[test]
fn s3_1_1_1_the_crlf_sequence_denotes_the_end_of_a_line_of_text() {
    let mut wire = Vec::new();
    AsciiEncoder::new().convert(b"a\nb\n", &mut wire);
    assert_eq!(wire, b"a\r\nb\r\n");
}

#[test]
fn s3_1_1_1_the_receiver_converts_to_its_own_internal_form() {
    let (mut decoder, mut file) = (AsciiDecoder::new(), Vec::new());
    decoder.convert(b"1\r\n2\n3\r4\r\r\n", &mut file);
    decoder.finish(&mut file);
    assert_eq!(file, b"1\n2\n3\r4\r\n");
}

#[test]
fn s3_1_1_4_local_type_has_an_obligatory_byte_size() {
    assert_eq!(
        parse("TYPE L 36"),
        Command::Type(RepresentationType::Local(36))
    );
    assert_eq!(refusal("TYPE L"), 501);
}

#[test]
fn s3_1_1_5_the_default_format_is_non_print() {
    assert_eq!(parse("TYPE A"), parse("TYPE A N"));
    assert_eq!(parse("TYPE E"), parse("TYPE E N"));
}

#[test]
fn s3_1_2_file_structure_is_the_default() {
    assert_eq!(ServerPi::new().structure(), Structure::File);
}

#[test]
fn s3_4_stream_is_the_default_transfer_mode() {
    assert_eq!(ServerPi::new().transfer_mode(), TransferMode::Stream);
}

#[test]
fn s4_1_commands_end_with_the_telnet_end_of_line() {
    for verb in VERBS {
        let command = parse(verb.example);
        let encoded = command.encode();
        assert!(encoded.ends_with(b"\r\n"));
        let read = lines(&encoded);
        let [Line::Command(line)] = read.as_slice() else {
            panic!("not one line: {read:?}")
        };
        assert_eq!(Command::parse(line), Ok(command));
    }
}

#[test]
fn s4_1_1_user_and_pass_take_a_telnet_string() {
    assert_eq!(
        parse("USER anna lena"),
        Command::User("anna lena".parse().unwrap())
    );
    let Command::Pass(secret) = parse("PASS with space ") else {
        panic!("not PASS")
    };
    assert_eq!(secret.expose(), b"with space ");
}

#[test]
fn s4_1_1_pass_must_be_immediately_preceded_by_user() {
    let mut pi = ServerPi::new();
    assert_eq!(ask(&mut pi, "PASS x"), Err(503));
    pi.expect_password("anna".parse().unwrap());
    assert_eq!(ask(&mut pi, "PASS x"), Ok(()));
}

#[test]
fn s4_1_1_password_is_sensitive_and_masked() {
    assert_eq!(parse("PASS hunter2").redacted(), "PASS ****");
    assert_eq!(format!("{:?}", parse("PASS hunter2")), "Pass(****)");
}

#[test]
fn s4_1_1_rein_terminates_a_user_and_resets_all_parameters() {
    let mut pi = logged_in();
    pi.set_representation(RepresentationType::Image);
    pi.reinitialize();
    assert!(!pi.is_logged_in());
    assert_eq!(pi.representation(), RepresentationType::default());
}

#[test]
fn s4_1_1_cdup_has_the_reply_codes_of_cwd() {
    let (cdup, cwd) = (Verb::find(b"CDUP").unwrap(), Verb::find(b"CWD").unwrap());
    assert!(cwd.replies.iter().all(|code| cdup.allows(*code)));
}

#[test]
fn s4_1_1_quit_leaves_the_connection_open_for_the_result_of_a_transfer() {
    assert_eq!(
        Verb::find(b"QUIT").unwrap().during_transfer,
        DuringTransfer::Quit
    );
}

#[test]
fn s4_1_2_port_is_six_decimal_numbers_high_order_first() {
    let address = "132.235.1.2:6275".parse().unwrap();
    assert_eq!(parse("PORT 132,235,1,2,24,131"), Command::Port(address));
    assert_eq!(host_port::write_port(address), "132,235,1,2,24,131");
}

#[test]
fn s4_1_2_pasv_names_the_host_and_port_it_listens_on() {
    let address = "132.235.1.2:6275".parse().unwrap();
    let reply = Reply::new(227, host_port::write_227_text(address));
    assert_eq!(
        reply.to_string(),
        "227 Entering Passive Mode (132,235,1,2,24,131)"
    );
    assert_eq!(host_port::read_227(reply.text().as_bytes()), Some(address));
}

#[test]
fn s4_1_2_type_takes_the_codes_a_e_i_l_and_n_t_c() {
    for line in [
        "TYPE A", "TYPE A N", "TYPE A T", "TYPE A C", "TYPE E", "TYPE E C", "TYPE I", "TYPE L 8",
    ] {
        assert!(matches!(parse(line), Command::Type(_)));
    }
    assert_eq!(refusal("TYPE X"), 504);
}

#[test]
fn s4_1_2_stru_takes_f_r_p() {
    for (line, structure) in [
        ("STRU F", Structure::File),
        ("STRU R", Structure::Record),
        ("STRU P", Structure::Page),
    ] {
        assert_eq!(parse(line), Command::Stru(structure));
    }
}

#[test]
fn s4_1_2_mode_takes_s_b_c() {
    for (line, mode) in [
        ("MODE S", TransferMode::Stream),
        ("MODE B", TransferMode::Block),
        ("MODE C", TransferMode::Compressed),
    ] {
        assert_eq!(parse(line), Command::Mode(mode));
    }
}

#[test]
fn s4_1_3_allo_takes_an_optional_record_size_after_r() {
    assert_eq!(
        parse("ALLO 1000 R 80"),
        Command::Allo {
            bytes: 1000,
            record: Some(80)
        }
    );
    assert_eq!(refusal("ALLO 1000 80"), 501);
}

#[test]
fn s4_1_3_rest_is_followed_by_the_command_that_resumes() {
    let mut pi = logged_in();
    assert_eq!(ask(&mut pi, "REST 100"), Ok(()));
    assert_eq!(ask(&mut pi, "PASV"), Ok(()));
    assert_eq!(pi.take_restart_marker(), 100);
}

#[test]
fn s4_1_3_the_restart_marker_does_not_outlive_the_next_transfer() {
    let mut pi = logged_in();
    assert_eq!(ask(&mut pi, "REST 100"), Ok(()));
    assert_eq!(ask(&mut pi, "LIST"), Ok(()));
    assert_eq!(pi.take_restart_marker(), 0);
}

#[test]
fn s4_1_3_rnfr_must_be_followed_by_rnto() {
    let mut pi = logged_in();
    assert_eq!(ask(&mut pi, "RNFR a"), Ok(()));
    assert_eq!(ask(&mut pi, "NOOP"), Ok(()));
    assert_eq!(ask(&mut pi, "RNTO b"), Err(503));
    assert_eq!(ask(&mut pi, "RNFR a"), Ok(()));
    assert_eq!(ask(&mut pi, "RNTO b"), Ok(()));
    assert_eq!(ask(&mut pi, "RNTO c"), Err(503));
}

#[test]
fn s4_1_3_abor_and_stat_are_obeyed_during_a_transfer() {
    assert_eq!(
        Verb::find(b"ABOR").unwrap().during_transfer,
        DuringTransfer::Abort
    );
    assert_eq!(
        Verb::find(b"STAT").unwrap().during_transfer,
        DuringTransfer::Answer
    );
}

#[test]
fn s4_1_3_abor_arrives_after_telnet_ip_and_synch() {
    assert_eq!(
        lines(b"\xff\xf4\xff\xf2ABOR\r\n"),
        [Line::Synch, Line::Command(b"ABOR".to_vec())]
    );
}

#[test]
fn s4_1_3_an_unreadable_line_ends_the_markers() {
    let mut pi = logged_in();
    assert_eq!(ask(&mut pi, "REST 100"), Ok(()));
    pi.finish_unreadable();
    assert_eq!(pi.take_restart_marker(), 0);
}

#[test]
fn s4_1_3_list_and_nlst_without_a_pathname_mean_the_working_directory() {
    for (line, has_path) in [
        ("LIST", false),
        ("NLST", false),
        ("STAT", false),
        ("LIST x", true),
    ] {
        match parse(line) {
            Command::List(argument) | Command::Nlst(argument) => {
                assert_eq!(argument.path.is_some(), has_path);
            }
            Command::Stat(argument) => assert_eq!(argument.is_some(), has_path),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn s4_2_a_reply_is_three_digits_and_a_space_and_one_line() {
    assert_eq!(
        Reply::new(220, "Service ready").to_bytes(),
        b"220 Service ready\r\n"
    );
}

#[test]
fn s4_2_a_multi_line_reply_ends_at_the_same_code_and_a_space() {
    let read = replies(
        "123-First line\r\nSecond line\r\n  234 A line beginning with numbers\r\n123 The last line\r\n",
    );
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].lines().len(), 4);
    assert_eq!(read[0].text().as_bytes(), b"The last line");
}

#[test]
fn s4_2_a_middle_line_that_begins_with_digits_is_padded() {
    let lines = ["first", "123 not the end", "last"].map(|line| line.parse().unwrap());
    let bytes = Reply::with_lines(123, lines.to_vec()).to_bytes();
    assert_eq!(bytes, b"123-first\r\n 123 not the end\r\n123 last\r\n");
}

#[test]
fn s4_2_the_first_digit_tells_the_class() {
    for (code, class) in [
        (125, ReplyClass::Preliminary),
        (226, ReplyClass::Completion),
        (331, ReplyClass::Intermediate),
        (452, ReplyClass::TransientNegative),
        (553, ReplyClass::PermanentNegative),
    ] {
        assert_eq!(Reply::new(code, "").class(), class);
    }
}

#[test]
fn s5_1_the_minimum_implementation_is_in_the_table() {
    for word in [
        "USER", "QUIT", "PORT", "TYPE", "MODE", "STRU", "RETR", "STOR", "NOOP",
    ] {
        assert!(Verb::find(word.as_bytes()).is_some(), "{word}");
    }
    let mut pi = logged_in();
    for line in ["TYPE A N", "MODE S", "STRU F"] {
        assert_eq!(ask(&mut pi, line), Ok(()), "{line}");
    }
}

#[test]
fn s5_2_server_and_user_keep_one_control_connection_in_order() {
    let burst = b"USER a\r\nPASS b\r\nTYPE I\r\nPASV\r\nQUIT\r\n";
    let words: Vec<_> = lines(burst)
        .into_iter()
        .map(|line| match line {
            Line::Command(line) => Command::parse(&line).unwrap().word(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["USER", "PASS", "TYPE", "PASV", "QUIT"]);
}

#[test]
fn s5_3_commands_are_three_or_four_letters_of_either_case() {
    for word in ["RETR", "Retr", "retr", "ReTr", "rETr"] {
        assert_eq!(
            Command::parse(format!("{word} x").as_bytes())
                .unwrap()
                .word(),
            "RETR"
        );
    }
    // Who named verbs after digests did not keep it.
    let is_digest = |verb: &Verb| verb.word.starts_with("XSHA");
    assert!(
        VERBS
            .iter()
            .all(|verb| matches!(verb.word.len(), 3 | 4) || is_digest(verb))
    );
}

#[test]
fn s5_3_command_and_argument_are_separated_by_a_space() {
    assert_eq!(
        Command::parse(b"RETRx").unwrap_err().kind,
        CommandErrorKind::Unknown
    );
    assert_eq!(parse("RETR x"), Command::Retr("x".parse().unwrap()));
}

#[test]
fn s5_3_1_every_command_of_the_section_is_a_row() {
    let section = "USER PASS ACCT CWD CDUP SMNT QUIT REIN PORT PASV TYPE STRU MODE RETR STOR STOU APPE ALLO REST RNFR \
                   RNTO ABOR DELE RMD MKD PWD LIST NLST SITE SYST STAT HELP NOOP";
    for word in section.split_whitespace() {
        assert!(
            Verb::find(word.as_bytes()).is_some_and(|verb| verb.rfc.contains("RFC 959")),
            "{word}"
        );
    }
}

#[test]
fn s5_3_2_no_argument_holds_cr_or_lf() {
    for line in [&b"RETR a\rb"[..], b"USER a\rb", b"SITE a\rb", b"LIST a\rb"] {
        assert_eq!(Command::parse(line).unwrap_err().reply().code(), 501);
    }
    assert_eq!(lines(b"RETR a\nb\r\n").len(), 2);
}

#[test]
fn s5_3_2_host_number_and_port_number_are_0_to_255() {
    for line in [
        "PORT 256,0,0,1,1,1",
        "PORT 1,2,3,4,5,256",
        "PORT 1,2,3,4,5",
        "PORT 1,2,3,4,5,6,7",
        "PORT a",
    ] {
        assert_eq!(refusal(line), 501, "{line}");
    }
}

/// §5.4, transcribed: what may answer each command, 421 and 500 to 504 and 530 apart.
#[test]
fn s5_4_the_replies_of_every_command_are_allowed() {
    let transfer_in = "110 125 150 226 250 425 426 451 551 552 532 450 452 553";
    for (word, codes) in [
        ("USER", "230 530 331 332"),
        ("PASS", "230 202 530 332"),
        ("ACCT", "230 202 530"),
        ("CWD", "250 550"),
        ("CDUP", "200 550"),
        ("SMNT", "202 250 550"),
        ("REIN", "120 220"),
        ("QUIT", "221"),
        ("PORT", "200"),
        ("PASV", "227"),
        ("MODE", "200"),
        ("TYPE", "200"),
        ("STRU", "200"),
        ("ALLO", "200 202"),
        ("REST", "350"),
        ("STOR", transfer_in),
        ("STOU", transfer_in),
        ("RETR", "110 125 150 226 250 425 426 451 450 550"),
        ("LIST", "125 150 226 250 425 426 451 450"),
        ("NLST", "125 150 226 250 425 426 451 450"),
        (
            "APPE",
            "110 125 150 226 250 425 426 451 551 552 532 450 550 452 553",
        ),
        ("RNFR", "450 550 350"),
        ("RNTO", "250 532 553"),
        ("DELE", "250 450 550"),
        ("RMD", "250 550"),
        ("MKD", "257 550"),
        ("PWD", "257 550"),
        ("ABOR", "225 226"),
        ("SYST", "215"),
        ("STAT", "211 212 213 450"),
        ("HELP", "211 214"),
        ("SITE", "200 202"),
        ("NOOP", "200"),
    ] {
        let verb = Verb::find(word.as_bytes()).unwrap();
        for code in codes.split(' ').map(|code| code.parse().unwrap()) {
            assert!(
                verb.replies.contains(&code) || ALWAYS_ALLOWED.contains(&code),
                "{word} {code}"
            );
        }
        for code in verb.replies {
            let listed = codes.split(' ').any(|listed| listed == code.to_string());
            // RFC 2228 §5.1 added 232 and 336 to USER; §4.1.1 gives CDUP the codes of CWD.
            let added = matches!((word, code), ("USER", 232 | 336) | ("CDUP", 250));
            assert!(listed || added, "{word} {code} is not of §5.4");
        }
    }
}

#[test]
fn s5_4_a_code_of_another_command_is_not_allowed() {
    for (word, code) in [
        ("NOOP", 226),
        ("RETR", 257),
        ("QUIT", 230),
        ("PWD", 226),
        ("PASV", 200),
    ] {
        assert!(
            !Verb::find(word.as_bytes()).unwrap().allows(code),
            "{word} {code}"
        );
    }
}

#[test]
fn s5_4_commands_before_login_are_answered_530() {
    let mut pi = ServerPi::new();
    for verb in VERBS.iter().filter(|verb| verb.needs_login) {
        assert_eq!(ask(&mut pi, verb.example), Err(530), "{}", verb.word);
    }
}

#[test]
fn appendix_ii_quotes_in_257_are_doubled() {
    let path: Pathname = r#"/usr/dm/foo"bar"#.parse().unwrap();
    assert_eq!(path.quoted(), br#""/usr/dm/foo""bar""#);
    assert_eq!(
        Pathname::from_257(br#""/usr/dm/foo""bar" created"#),
        Some(path)
    );
}
