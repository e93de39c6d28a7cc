//! Known answers for lines, and the promises of the table.

use super::*;
use proptest::prelude::*;

fn parse(line: &str) -> Result<Command, CommandErrorKind> {
    Command::parse(line.as_bytes()).map_err(|error| error.kind)
}

fn p(name: &str) -> Pathname {
    name.parse().unwrap()
}

fn t(text: &str) -> Text {
    text.parse().unwrap()
}

#[test]
fn every_row_is_parsed() {
    for verb in VERBS {
        let command = Command::parse(verb.example.as_bytes()).unwrap();
        assert_eq!(command.verb(), verb, "{}", verb.example);
        assert_eq!(command.word(), verb.word);
        let encoded = command.encode();
        let line = encoded.strip_suffix(b"\r\n").unwrap();
        assert_eq!(Command::parse(line), Ok(command), "{}", verb.example);
        for alias in verb.aliases {
            let line = verb.example.replacen(verb.word, alias, 1);
            assert_eq!(Command::parse(line.as_bytes()).unwrap().verb(), verb);
        }
    }
}

#[test]
fn every_row_is_complete_and_unique() {
    let mut words: Vec<&str> = Vec::new();
    for verb in VERBS {
        words.push(verb.word);
        words.extend(verb.aliases);
        assert!(verb.syntax.starts_with(verb.word), "{}", verb.word);
        assert!(!verb.help.is_empty() && !verb.rfc.is_empty() && !verb.replies.is_empty());
        assert!(
            verb.replies
                .iter()
                .chain(verb.beyond)
                .all(|code| (100..700).contains(code))
        );
        assert!(verb.replies.is_sorted(), "{}", verb.word);
        for code in verb.replies.iter().chain(ALWAYS_ALLOWED) {
            assert!(verb.allows(*code));
        }
    }
    let count = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), count);
    // RFC 959 §5.3, which nobody kept who named verbs after digests.
    let is_digest = |word: &str| word.starts_with("XSHA");
    assert!(
        words
            .iter()
            .all(|word| matches!(word.len(), 3 | 4) || is_digest(word))
    );
}

#[test]
fn lines_that_are_commands() {
    let list = |all, recursive, path: Option<&str>| ListArgument {
        all,
        recursive,
        path: path.map(p),
    };
    let time = |wire: &str| Timestamp::from_wire(wire.as_bytes()).unwrap();
    for (line, command) in [
        ("user anna", Command::User(t("anna"))),
        ("USER anna b", Command::User(t("anna b"))),
        ("PASS", Command::Pass(Secret::default())),
        ("PASS ", Command::Pass(Secret::default())),
        ("PASS  a b ", Command::Pass(" a b ".parse().unwrap())),
        ("  nOOp", Command::Noop),
        ("NOOP ", Command::Noop),
        ("CWD  a ", Command::Cwd(p(" a "))),
        ("XCWD /", Command::Cwd(p("/"))),
        ("XCUP", Command::Cdup),
        ("XMKD a", Command::Mkd(p("a"))),
        ("XRMD a", Command::Rmd(p("a"))),
        ("xpwd", Command::Pwd),
        ("TYPE a", Command::Type(RepresentationType::default())),
        ("TYPE L 8", Command::Type(RepresentationType::Local(8))),
        ("MODE z", Command::Mode(TransferMode::Deflate)),
        ("STRU r", Command::Stru(Structure::Record)),
        ("REST 0", Command::Rest(0)),
        ("REST 18446744073709551615", Command::Rest(u64::MAX)),
        (
            "ALLO 5",
            Command::Allo {
                bytes: 5,
                record: None,
            },
        ),
        (
            "ALLO 5 r 80",
            Command::Allo {
                bytes: 5,
                record: Some(80),
            },
        ),
        ("STOU", Command::Stou(None)),
        ("STOU a", Command::Stou(Some(p("a")))),
        ("LIST", Command::List(ListArgument::default())),
        ("LIST ", Command::List(ListArgument::default())),
        ("LIST -la", Command::List(list(true, false, None))),
        (
            "LIST -la x y",
            Command::List(list(true, false, Some("x y"))),
        ),
        ("LIST -l -R x", Command::List(list(false, true, Some("x")))),
        ("LIST -1A", Command::List(list(true, false, None))),
        ("LIST -", Command::List(list(false, false, Some("-")))),
        (
            "LIST -x.txt",
            Command::List(list(false, false, Some("-x.txt"))),
        ),
        (
            "LIST -- -la",
            Command::List(list(false, false, Some("-la"))),
        ),
        ("LIST  -la", Command::List(list(false, false, Some(" -la")))),
        (
            "NLST *.txt",
            Command::Nlst(list(false, false, Some("*.txt"))),
        ),
        ("STAT", Command::Stat(None)),
        (
            "STAT -l x",
            Command::Stat(Some(list(false, false, Some("x")))),
        ),
        ("MLSD", Command::Mlsd(None)),
        ("MLST  x", Command::Mlst(Some(p(" x")))),
        ("HELP", Command::Help(None)),
        ("HELP site ", Command::Help(Some(t("site")))),
        ("MDTM 20260101120000", Command::Mdtm(p("20260101120000"))),
        (
            "MDTM 20260101120000 a b",
            Command::MdtmSet {
                time: time("20260101120000"),
                path: p("a b"),
            },
        ),
        (
            "MDTM 20260101120000.5 a",
            Command::MdtmSet {
                time: time("20260101120000.5"),
                path: p("a"),
            },
        ),
        (
            "MDTM 20261301120000 a",
            Command::Mdtm(p("20261301120000 a")),
        ),
        ("MDTM 2026 a", Command::Mdtm(p("2026 a"))),
        (
            "MFMT 20260101120000 a",
            Command::Mfmt {
                time: time("20260101120000"),
                path: p("a"),
            },
        ),
        (
            "MFF modify=20260101120000;UNIX.mode=0644; a b",
            Command::Mff {
                facts: vec![
                    (t("modify"), t("20260101120000")),
                    (t("UNIX.mode"), t("0644")),
                ],
                path: p("a b"),
            },
        ),
        (
            "OPTS UTF8 ON",
            Command::Opts {
                name: t("UTF8"),
                value: Some(t("ON")),
            },
        ),
        (
            "OPTS MLST",
            Command::Opts {
                name: t("MLST"),
                value: None,
            },
        ),
        (
            "OPTS MLST ",
            Command::Opts {
                name: t("MLST"),
                value: None,
            },
        ),
        ("EPSV", Command::Epsv(EpsvArgument::Unspecified)),
        ("EPSV ALL", Command::Epsv(EpsvArgument::All)),
        ("AUTH TLS ", Command::Auth(t("TLS"))),
        ("SITE CHMOD 644 a", Command::Site(t("CHMOD 644 a"))),
    ] {
        assert_eq!(parse(line), Ok(command), "{line:?}");
    }
}

#[test]
fn lines_that_are_none() {
    use CommandErrorKind::{ForeignProtocol, NotImplemented, Parameter, Syntax, Unknown};
    for (line, kind) in [
        ("", Unknown),
        ("   ", Unknown),
        ("XYZZY", Unknown),
        ("RETRX a", Unknown),
        ("RET", Unknown),
        ("get file", Unknown),
        ("MAIL anna", NotImplemented),
        ("xsen anna", NotImplemented),
        ("USER", Syntax),
        ("RETR", Syntax),
        ("RETR ", Syntax),
        ("CWD a\rb", Syntax),
        ("CWD a\0b", Syntax),
        ("USER a\rb", Syntax),
        ("PASS a\0", Syntax),
        ("PASV now", Syntax),
        ("QUIT now", Syntax),
        ("PORT 1,2,3,4,5", Syntax),
        ("TYPE", Syntax),
        ("TYPE X", Parameter),
        ("MODE X", Parameter),
        ("STRU X", Parameter),
        ("REST", Syntax),
        ("REST -1", Syntax),
        ("REST +1", Syntax),
        ("REST 1 2", Syntax),
        ("REST 99999999999999999999", Syntax),
        ("REST 18446744073709551616", Syntax),
        ("REST 0x10", Syntax),
        ("ALLO", Syntax),
        ("ALLO x", Syntax),
        ("ALLO 5 R", Syntax),
        ("ALLO 5 R 80 9", Syntax),
        ("EPRT |1|1.2.3|80|", Syntax),
        ("EPSV x", Syntax),
        ("MFMT 20261301120000 a", Syntax),
        ("MFMT 20260101120000", Syntax),
        ("MFF modify a", Syntax),
        ("MFF modify=1 a", Syntax),
        ("OPTS", Syntax),
        ("CLNT", Syntax),
        ("GET / HTTP/1.1", ForeignProtocol),
        ("POST / HTTP/1.1", ForeignProtocol),
        ("EHLO mail.example", ForeignProtocol),
        ("helo mail.example", ForeignProtocol),
        ("PRI * HTTP/2.0", ForeignProtocol),
        ("OPTIONS * HTTP/1.1", ForeignProtocol),
        ("CONNECT a:25 HTTP/1.1", ForeignProtocol),
        ("SSH-2.0-OpenSSH_9.9", ForeignProtocol),
        ("\x16\x03\x01", ForeignProtocol),
    ] {
        assert_eq!(parse(line), Err(kind), "{line:?}");
    }
    let long = format!("RETR {}", "x".repeat(Pathname::MAX_LENGTH + 1));
    assert_eq!(parse(&long), Err(Syntax));
}

#[test]
fn replies_to_bad_lines() {
    for (line, reply) in [
        ("XYZZY", "500 Unknown command."),
        ("MAIL x", "502 Command not implemented."),
        ("RNFR", "501 Syntax: RNFR <SP> <pathname>"),
        ("TYPE X", "504 Not implemented for that parameter."),
        ("GET / HTTP/1.1", "500 This is an FTP server, goodbye."),
    ] {
        let error = Command::parse(line.as_bytes()).unwrap_err();
        assert_eq!(error.reply().to_string(), reply);
        if let Some(verb) = error.verb {
            assert!(verb.allows(error.reply().code()));
        }
    }
}

#[test]
fn remains_of_a_telnet_synch_do_not_hide_abor() {
    for line in [&b"\xf2ABOR"[..], b"\xff\xf2ABOR", b"\xffABOR", b" ABOR"] {
        assert_eq!(Command::parse(line), Ok(Command::Abor));
    }
}

#[test]
fn names_that_are_not_utf8_come_back() {
    let line = b"RETR caf\xe9 \xff\xfe";
    let command = Command::parse(line).unwrap();
    assert_eq!(
        command,
        Command::Retr(Pathname::new(b"caf\xe9 \xff\xfe".to_vec()).unwrap())
    );
    assert_eq!(command.encode(), b"RETR caf\xe9 \xff\xff\xfe\r\n");
    assert_eq!(command.redacted(), "RETR caf\\xe9 \\xff\\xfe");
}

#[test]
fn secrets_stay_out_of_logs() {
    for line in [
        "PASS hunter2",
        "pass hunter2",
        " ACCT hunter2",
        "ADAT hunter2",
        "PASS hunter2\rx",
        "PSAS hunter2",
        "pass  hunter2",
        "PASS\thunter2",
        "PAS\thunter2",
        "PASS:hunter2",
        "passhunter2",
        "Acct=hunter2",
    ] {
        assert!(
            !Command::redact_line(line.as_bytes()).contains("hunter2"),
            "{line:?}"
        );
        if let Ok(command) = Command::parse(line.as_bytes()) {
            assert!(!command.redacted().contains("hunter2"));
            assert!(!format!("{command:?}{command}").contains("hunter2") || line.contains("ADAT"));
        }
    }
    assert_eq!(Command::redact_line(b"RETR a\x1bb"), "RETR a␛b");
    assert_eq!(Command::redact_line(b"NOOP"), "NOOP");
    assert_eq!(Command::redact_line(b"PASS"), "PASS");
    assert_eq!(Command::redact_line(b"P@SW"), "P@SW");
    assert_eq!(Command::redact_line(b"PAS hunter2"), "PAS ****");
}

/// Other servers change passwords with SITE; the rest of SITE stays readable.
#[test]
fn secrets_of_site_stay_out_of_logs() {
    for (line, shown) in [
        ("SITE PSWD hunter1 hunter2", "SITE PSWD ****"),
        ("site passwd hunter2", "SITE passwd ****"),
        ("SITE GPASS hunter2", "SITE GPASS ****"),
        ("SITE ADDUSER joe hunter2", "SITE ADDUSER ****"),
        ("SITE CHPASS", "SITE CHPASS"),
        (
            "SITE CHMOD 644 passwords.txt",
            "SITE CHMOD 644 passwords.txt",
        ),
        ("SITE", "SITE"),
    ] {
        let told = Command::redact_line(line.as_bytes());
        assert!(told.eq_ignore_ascii_case(shown), "{told}");
        if let Ok(command) = Command::parse(line.as_bytes()) {
            assert!(command.redacted().eq_ignore_ascii_case(shown), "{line}");
        }
    }
}

fn any_path() -> impl Strategy<Value = Pathname> {
    prop::collection::vec(any::<u8>(), 1..30)
        .prop_filter_map("pathname", |bytes| Pathname::new(bytes).ok())
}

fn any_text() -> impl Strategy<Value = Text> {
    "[!-~]{1,12}".prop_map(|text| t(&text))
}

fn any_list() -> impl Strategy<Value = ListArgument> {
    (any::<bool>(), any::<bool>(), prop::option::of(any_path()))
        .prop_map(|(all, recursive, path)| ListArgument {
            all,
            recursive,
            path,
        })
        // A path that looks like a flag is written with `./`, which is another value of the same meaning.
        .prop_filter("flag", |argument| {
            !argument
                .path
                .as_ref()
                .is_some_and(|path| path.as_bytes().starts_with(b"-"))
        })
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (0i64..253_402_300_799, 0u16..1000).prop_map(|(secs, millis)| Timestamp::new(secs, millis))
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any_text().prop_map(Command::User),
        any_text().prop_map(|text| Command::Pass(Secret::new(text))),
        any_path().prop_map(Command::Cwd),
        any_path().prop_map(Command::Retr),
        any_path().prop_map(Command::Rnto),
        prop::option::of(any_path()).prop_map(Command::Stou),
        prop::option::of(any_path()).prop_map(Command::Mlst),
        any_list().prop_map(Command::List),
        any_list().prop_map(Command::Nlst),
        (any::<std::net::Ipv4Addr>(), 1u16..)
            .prop_map(|(ip, port)| Command::Port(SocketAddrV4::new(ip, port))),
        (any::<std::net::IpAddr>(), 1u16..)
            .prop_map(|(ip, port)| Command::Eprt(EprtArgument::Address((ip, port).into()))),
        (any::<std::net::IpAddr>(), 1u16..)
            .prop_map(|(ip, port)| Command::Lprt(LprtArgument::Address((ip, port).into()))),
        (3u32..).prop_map(|protocol| Command::Eprt(EprtArgument::UnknownProtocol(protocol))),
        any::<u64>().prop_map(Command::Rest),
        (any::<u64>(), prop::option::of(any::<u64>()))
            .prop_map(|(bytes, record)| Command::Allo { bytes, record }),
        (1u8..).prop_map(|bits| Command::Type(RepresentationType::Local(bits))),
        (any_time(), any_path()).prop_map(|(time, path)| Command::MdtmSet { time, path }),
        (any_time(), any_path()).prop_map(|(time, path)| Command::Mfct { time, path }),
        (any_text(), prop::option::of(any_text()))
            .prop_map(|(name, value)| Command::Opts { name, value }),
        (
            prop::collection::vec(("[a-z.]{1,8}", "[a-z0-9=]{0,8}"), 1..4),
            any_path()
        )
            .prop_map(|(facts, path)| {
                Command::Mff {
                    facts: facts
                        .iter()
                        .map(|(name, value)| (t(name), t(value)))
                        .collect(),
                    path,
                }
            }),
        Just(Command::Feat),
    ]
}

proptest! {
    #[test]
    fn commands_round_trip(command in any_command()) {
        let mut decoder = crate::line::LineDecoder::new(10_000);
        decoder.push(&command.encode());
        let Some(crate::line::Line::Command(line)) = decoder.next() else { panic!("no line") };
        prop_assert_eq!(Command::parse(&line), Ok(command));
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn any_line_is_read_or_refused(
        word in prop::sample::select(VERBS.iter().map(|verb| verb.word).collect::<Vec<_>>()),
        argument in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let line = [word.as_bytes(), b" ", &argument].concat();
        match Command::parse(&line) {
            Ok(command) => {
                let encoded = command.encode();
                prop_assert_eq!(encoded.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count(), 2);
            }
            Err(error) => prop_assert!((500..=504).contains(&error.reply().code())),
        }
        let _ = Command::parse(&argument);
        let shown = Command::redact_line(&argument);
        prop_assert!(!shown.chars().any(char::is_control));
    }
}
