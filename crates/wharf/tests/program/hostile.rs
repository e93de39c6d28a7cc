//! What the commands do with the words of a hostile server: names become files nowhere else and run nothing, no text steers
//! the terminal, no secret is shown. The rows below the commands are in `crates/wharf-client/tests/attacks.rs`.

use std::process::Stdio;

use crate::boundary::{Ended, Place, Running};
use crate::fake_server::Fake;

/// A name in a listing, and the local file that `mget *` makes of it.
const NAMES: &[(&str, &str, Option<&str>)] = &[
    ("an ordinary name", "good", Some("good")),
    ("up", "../evil", None),
    ("up and up", "../../evil", None),
    ("down and up", "sub/../../evil", None),
    ("absolute", "/tmp/wharf-evil", None),
    ("the directory itself", ".", None),
    ("the directory above", "..", None),
    ("a settings file, which `*` does not fit", ".netrc", None),
    ("a partial file, which `*` does not fit", ".part", None),
    ("a command (VU#258721)", "|touch ran", Some("|touch ran")),
    ("standard output", "-", Some("-")),
    ("an option", "-rf", Some("-rf")),
    ("a home", "~root", Some("~root")),
    ("a path of Windows", "..\\evil", None),
    ("a share of Windows", "\\\\host\\evil", None),
    ("a drive, a file here", "C:evil", Some("C:evil")),
    ("a device of Windows, a file here", "CON", Some("CON")),
    ("the same in other case", "GOOD", Some("GOOD")),
    ("an escape sequence", "\u{1b}[2Jx", None),
    ("C1, the same in one character", "a\u{9b}2Jx", None),
    ("a carriage return", "a\rb", None),
];

fn script(place: &Place, url: &str, lines: &str) -> Ended {
    let address = url
        .strip_prefix("ftp://u:p@")
        .and_then(|it| it.strip_suffix("/file"));
    let (host, port) = address
        .and_then(|it| it.split_once(':'))
        .expect("an address");
    let mut command = place.command_as("ftp", ["-n", host, port]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let _ = running.feed(format!("user u p\n{lines}bye\n").as_bytes());
    running.end()
}

#[test]
fn names_from_a_server_stay_in_the_directory_and_run_nothing() {
    for (attack, name, local) in NAMES {
        let place = Place::new();
        place.write("evil", "as it was");
        std::fs::create_dir_all(place.path("around/own")).unwrap();
        let line = format!("-rw-r--r--   1 ftp ftp        100 Jan 02  2020 {name}\r\n");
        let list = Box::leak(line.into_boxed_str());
        let url = Fake {
            list,
            ..Fake::default()
        }
        .url();
        let ended = script(&place, &url, "lcd around/own\nprompt\nmget *\n");
        let expected: Vec<&str> = local.iter().copied().collect();
        assert_eq!(
            place.names("around/own"),
            expected,
            "{attack}: {}",
            ended.stderr
        );
        assert_eq!(place.names("around"), ["own"], "{attack}");
        assert_eq!(place.read("evil"), b"as it was", "{attack}");
        assert!(
            !std::path::Path::new("/tmp/wharf-evil").exists(),
            "{attack}"
        );
        assert!(
            !ended.stderr.contains('\u{1b}'),
            "{attack}: {}",
            ended.stderr
        );
    }
}

#[test]
fn no_text_of_a_server_steers_the_terminal() {
    const ESCAPES: &str =
        "-rw-r--r--   1 \u{1b}[1m \u{9b}2J        100 Jan 02  2020 \u{1b}]0;owned\u{7}\r\n";
    for (text, fake) in [
        (
            "greeting",
            Fake {
                greeting: "220 \u{1b}[2Jready",
                ..Fake::default()
            },
        ),
        (
            "a greeting that refuses",
            Fake {
                greeting: "421 \u{1b}[2Jno",
                ..Fake::default()
            },
        ),
        (
            "no greeting",
            Fake {
                greeting: "\u{1b}[2J",
                ..Fake::default()
            },
        ),
        (
            "size",
            Fake {
                size: "550 \u{1b}[2Jno",
                ..Fake::default()
            },
        ),
        (
            "final reply",
            Fake {
                after_retr: "451 \u{1b}[2Jno",
                ..Fake::default()
            },
        ),
        (
            "upload refused",
            Fake {
                stor: "553 \u{1b}[2Jno",
                ..Fake::default()
            },
        ),
        (
            "listing",
            Fake {
                list: ESCAPES,
                ..Fake::default()
            },
        ),
    ] {
        let place = Place::new();
        place.write("x", "x");
        let url = fake.url();
        let directory = url.strip_suffix("file").unwrap();
        for words in [
            &["get", "-v", &url, "-o", "got"][..],
            &["ls", directory],
            &["ls", "-lv", directory],
            &["ls", "--json", directory],
            &["stat", &url],
            &["put", "-v", "x", &url],
        ] {
            let ended = place.run(words);
            let shown = ended.text() + &ended.stderr;
            let bad = |c: char| c.is_control() && c != '\n' && c != '\r';
            assert!(!shown.contains(bad), "{text}, {words:?}: {shown:?}");
        }
        let ended = script(&place, &url, "ls\ndir\nget file\nstatus\n");
        let shown = ended.text() + &ended.stderr;
        assert!(!shown.contains('\u{1b}'), "{text}, ftp: {shown:?}");
    }
}

#[test]
fn a_password_is_nowhere_but_on_the_wire() {
    let place = Place::new();
    let url = Fake::default().url().replace("u:p@", "u:word-x9@");
    for words in [
        &["get", "-vvv", "--trace", "trace", &url, "-o", "got"][..],
        &["ls", "-v", &url],
        &["get", &format!("{url}/nothing\n")],
        &["rm", "-v", &url],
    ] {
        let ended = place.run(words);
        let mut shown = ended.text() + &ended.stderr;
        if place.path("trace").exists() {
            shown += &String::from_utf8_lossy(&place.read("trace"));
        }
        assert!(!shown.contains("x9"), "{words:?}: {shown}");
    }
}
