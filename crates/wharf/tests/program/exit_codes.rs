//! The documented exit statuses, each caused.

use std::net::TcpListener;

use crate::boundary::{Place, Running, Server};
use crate::fake_server::Fake;

/// A port where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn client_commands_end_with_the_status_of_the_table() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    place.write("files/directory/x", "");
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
        (64, &["serve", "--no-such-flag"]),
        (64, &["serve", "--writable"]),
        (64, &["user"]),
        (69, &["serve", "no-such-directory"]),
        (69, &["serve", "files", "--listen", &server.address]),
        (78, &["serve", "--config", "no-such-file"]),
        (78, &["check", "no-such-directory"]),
    ];
    for (code, words) in table {
        let ended = place.run(*words);
        assert_eq!(
            ended.code,
            Some(i32::from(*code)),
            "{words:?}: {}",
            ended.stderr
        );
        if *code != 0 {
            let told = ended.stderr.contains("error: ") || ended.stderr.contains("Usage:");
            assert!(told, "{words:?}: {}", ended.stderr);
        }
    }
    // What was cut short never stands under its own name.
    assert!(!place.path("file").exists());
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
    for part in ["error: ", "EPSV", "PASV", "PORT", "hint: "] {
        assert!(
            ended.stderr.contains(part),
            "{part} is not in: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_signal_ends_a_download_and_keeps_its_partial_file() {
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
        get.end().expect(code);
        assert!(!place.path("file").exists());
    }
}

#[test]
fn every_code_is_explained() {
    let place = Place::new();
    let help = place.run(["help", "exit-codes"]).expect(0).text();
    for code in [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 64, 69, 77, 78, 130, 143,
    ] {
        let found = help
            .lines()
            .any(|line| line.trim_start().starts_with(&format!("{code}  ")));
        assert!(found, "{code} is not in: {help}");
    }
    let long = place.run(["get", "--help"]).expect(0).text();
    assert!(long.contains("Exit status:"), "{long}");
}
