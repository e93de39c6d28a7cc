//! The documented exit statuses, each caused: a status that `wharf help exit-codes` documents and no row here provokes is a
//! failure, and so is one that is provoked and not documented.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::Stdio;

use crate::boundary::{Ended, Place, Running, Server};
use crate::fake_server::Fake;
use crate::firewall::{firewall, with_nft};

/// A port where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What an end tells: its status, and where that is not 0 why, with a code of the catalogue that fits it.
#[track_caller]
fn told(ended: &Ended, what: &str) -> u8 {
    let code = u8::try_from(ended.code.expect("a status")).expect("a byte");
    let complaint = format!("{what}: {code}: {}", ended.stderr);
    match code {
        // 20: the plan on stdout says it.
        0 | 20 | 130 | 143 => {}
        // Several things failed, each for its own reason (`check` tells them all); or the help of a command without words.
        1 | 2 | 64 | 78 => {
            let told = ended.stderr.contains("error[WF-") || ended.stderr.contains("Usage:");
            assert!(told, "{complaint}");
        }
        // Its report says it, on stdout.
        _ if what.contains("doctor") => {}
        code => assert!(
            ended.stderr.contains(&format!("error[WF-{code:02}")),
            "{complaint}"
        ),
    }
    code
}

#[test]
fn every_documented_status_is_provoked() {
    let mut seen = one_shot_commands();
    seen.extend(signals());
    seen.extend(processes_of_the_server());
    let help = Place::new().run(["help", "exit-codes"]).expect(0).text();
    let documented: BTreeSet<u8> = help
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .collect();
    // Those that a test of another room provokes, which says so.
    let elsewhere: &[u8] = &[];
    seen.extend(elsewhere);
    assert_eq!(seen, documented, "provoked and documented differ:\n{help}");
}

fn one_shot_commands() -> BTreeSet<u8> {
    let place = Place::new();
    place.write("files/there", "0123456789");
    place.write("files/directory/x", "");
    std::fs::create_dir_all(place.path("files/empty")).expect("a directory");
    place.write("larger", "0123456789abcdef");
    place.write("local", "x");
    let server = Server::start(&place);
    let other = Place::new();
    other.write("files/there", "x");
    let anonymous = Server::start_bare(&other, &["--anonymous"]);
    let fake = Fake::default();
    let url = |path: &str| server.url(path);
    let bad_login = format!("ftp://tester:wrong@{}/", server.address);
    let refused = format!("ftp://u:p@127.0.0.1:{}/", closed_port());
    let no_data = Fake {
        data: false,
        ..fake
    }
    .url();
    let silent = Fake {
        after_retr: "",
        ..fake
    }
    .url();
    let short = Fake { sent: 10, ..fake }.url();
    let cut = Fake {
        sent: 10,
        after_retr: "426 cut",
        ..fake
    }
    .url();
    let no_ftp = Fake {
        greeting: "HTTP/1.1 400 Bad Request",
        ..fake
    }
    .url();
    let full = Fake {
        stor: "552 quota exceeded",
        ..fake
    }
    .url();
    let busy = Fake {
        greeting: "421 too many connections",
        ..fake
    }
    .url();
    let ends = |after_retr, sent| {
        Fake {
            sent,
            after_retr,
            ..fake
        }
        .url()
    };
    let failed = ends("451 local error", 10);
    let asks = ends("350 and then?", 100);
    let babbles = ends("transferred!", 100);
    let never_ready = Fake {
        greeting: concat!(
            "120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n",
            "120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n",
            "120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n120 soon\r\n120 soon"
        ),
        ..fake
    }
    .url();
    let lost = Fake {
        after_stor: "451 disk error",
        ..fake
    }
    .url();
    place.write("users", "");
    let table: &[(u8, &[&str])] = &[
        (0, &["ls", &url("")]),
        (1, &["cat", &url("there"), &url("missing")]),
        (2, &["get"]),
        (2, &["get", "--no-such-flag", &url("there")]),
        (2, &["get", "http://example.org/"]),
        (2, &["get", "ftp://example.org/a%0d%0aDELE%20b"]),
        (2, &["get", "-p", "-A", &url("there")]),
        (2, &["put", "local", "no-address"]),
        (2, &["put", "local", "larger", &url("there")]),
        (2, &["help", "no-such-topic"]),
        (0, &["doctor", &url("")]),
        (2, &["doctor"]),
        (2, &["doctor", "--dialect", "klingon", &url("")]),
        (3, &["doctor", &refused]),
        (4, &["doctor", &bad_login]),
        (11, &["doctor", &no_ftp]),
        (14, &["doctor", &busy]),
        (3, &["ls", &refused]),
        (4, &["ls", &bad_login]),
        (5, &["get", &url("missing")]),
        (5, &["ls", &url("missing")]),
        (6, &["get", &url("directory")]),
        (5, &["cat", &url("missing"), &url("missing-too")]),
        (6, &["put", "local", &anonymous.url("")]),
        (6, &["rm", &anonymous.url("there")]),
        (7, &["get", &no_data]),
        (8, &["get", "--timeout", "300ms", &silent]),
        (9, &["ls", "--tls", "require", &url("")]),
        (10, &["get", &short]),
        (10, &["get", &cut]),
        (10, &["get", &failed]),
        (10, &["put", "local", &lost]),
        (11, &["ls", &no_ftp]),
        (11, &["ls", &never_ready]),
        (11, &["get", &asks]),
        (11, &["get", &babbles]),
        (12, &["put", "no-such-file", &url("")]),
        (12, &["get", "-o", "no/such/directory/x", &url("there")]),
        (13, &["put", "local", &full]),
        (14, &["ls", &busy]),
        (15, &["get", "-c", "-o", "larger", &url("there")]),
        (0, &["ls", &url("empty/")]),
        (16, &["ls", "--fail-if-empty", &url("empty/")]),
        (0, &["ls", "--fail-if-empty", &url("")]),
        (20, &["mirror", "--check", &url("directory/"), "nowhere"]),
        (0, &["explain"]),
        (0, &["explain", "WF-0701"]),
        (2, &["explain", "WF-9999"]),
        (64, &["serve", "--no-such-flag"]),
        (64, &["serve", "--writable"]),
        (64, &["user"]),
        (67, &["user", "remove", "--file", "users", "nobody"]),
        (69, &["serve", "no-such-directory"]),
        (69, &["serve", "files", "--listen", &server.address]),
        (
            73,
            &[
                "serve",
                "files",
                "--listen",
                "127.0.0.1:0",
                "--anonymous",
                "--trace",
                "no/such/trace",
            ],
        ),
        (78, &["serve", "--config", "no-such-file"]),
        (78, &["check", "no-such-directory"]),
    ];
    let mut seen = BTreeSet::new();
    for (code, words) in table {
        let ended = place.run(*words);
        let status = told(&ended, &format!("{words:?}"));
        assert_eq!(status, *code, "{words:?}: {}", ended.stderr);
        seen.insert(status);
    }
    // What was cut short never stands under its own name.
    assert!(!place.path("file").exists());
    seen
}

/// Statuses that take more than words: a full pipe, a program that may not.
fn processes_of_the_server() -> BTreeSet<u8> {
    let place = Place::new();
    std::fs::create_dir_all(place.path("files")).expect("a directory");
    let full = OpenOptions::new().write(true).open("/dev/full");
    let mut command = place.command(["serve", "files", "--listen", "127.0.0.1:0", "--anonymous"]);
    command.stdout(full.expect("a device that is full"));
    let ended = command.stderr(Stdio::piped()).output().expect("an end");
    let ended = Ended {
        code: ended.status.code(),
        stdout: Vec::new(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    };
    let nft = with_nft("echo 'Operation not permitted (you must be root)' >&2; exit 1");
    let refused = firewall(&nft, &["--apply", "nftables", "--yes"]);
    let seen = [(70, ended, "serve > /dev/full"), (77, refused, "nft")];
    let status = |(code, ended, what): (u8, Ended, &str)| {
        let status = told(&ended, what);
        assert_eq!(status, code, "{what}: {}", ended.stderr);
        status
    };
    seen.into_iter().map(status).collect()
}

/// Sessions of `wharf ftp` with their lines from standard input: a script that ends in failure never ends with 0.
#[test]
fn a_script_ends_with_the_status_of_what_failed_first() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    std::fs::create_dir_all(place.path("files/directory")).expect("a directory");
    let server = Server::start(&place);
    let port = server.port();
    let login = "user tester geheim\n";
    let table: &[(u8, &str, String)] = &[
        (0, port, format!("{login}ls\nget there\nbye\n")),
        // Without bye, and without an end of the last line.
        (0, port, format!("{login}pwd")),
        (4, port, "user tester wrong\nbye\n".to_owned()),
        (5, port, format!("{login}get missing\nbye\n")),
        // What comes afterwards and succeeds does not heal it.
        (5, port, format!("{login}get missing\nget there\nls\nbye\n")),
        (5, port, format!("{login}cd nowhere\n")),
        (2, port, format!("{login}nosuchcommand\nls\nbye\n")),
        (2, port, format!("{login}get \"there\nbye\n")),
        (12, port, format!("{login}lcd nowhere\nbye\n")),
        (12, port, format!("{login}put no-such-file\nbye\n")),
        (6, port, format!("{login}get directory\nbye\n")),
    ];
    for (code, port, script) in table {
        let mut command = place.command(["ftp", "-n", "127.0.0.1", port]);
        command.stdin(Stdio::piped());
        let mut ftp = Running::start(command);
        // It may have ended before it read everything.
        let _ = ftp.feed(script.as_bytes());
        let ended = ftp.end();
        assert_eq!(
            ended.code,
            Some(i32::from(*code)),
            "{script}: {}",
            ended.stderr
        );
        assert!(
            *code == 0 || ended.stderr.contains("error["),
            "{script}: {}",
            ended.stderr
        );
    }
    let closed = closed_port().to_string();
    let mut command = place.command(["ftp", "-n", "127.0.0.1", &closed]);
    command.stdin(Stdio::piped());
    Running::start(command).end().expect(3);
}

#[test]
fn the_ways_to_a_data_connection_that_failed_are_told() {
    let place = Place::new();
    let url = Fake {
        data: false,
        ..Fake::default()
    }
    .url();
    let ended = place.run(["get", &url]).expect(7);
    for part in ["error[WF-0700]: ", "EPSV", "PASV", "PORT", "hint: "] {
        assert!(
            ended.stderr.contains(part),
            "{part} is not in: {}",
            ended.stderr
        );
    }
}

/// A signal ends a download, and nothing stands under its name.
fn signals() -> BTreeSet<u8> {
    let mut seen = BTreeSet::new();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let place = Place::new();
        let fake = Fake {
            after_retr: "",
            sent: 50,
            ..Fake::default()
        };
        let mut get = Running::start(place.command(["get", "-v", &fake.url()]));
        get.complains("< 150");
        get.signal(signal);
        seen.insert(told(&get.end().expect(code), signal));
        assert!(!place.path("file").exists());
    }
    seen
}

#[test]
fn the_help_of_a_command_has_the_table() {
    let place = Place::new();
    let long = place.run(["get", "--help"]).expect(0).text();
    assert!(long.contains("Exit status:"), "{long}");
}
