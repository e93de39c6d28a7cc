//! Pictures of sessions: from a trace, and while they run.

use std::process::Stdio;

use crate::boundary::{Ended, Place, Running, Server};
use crate::fake_server::Fake;

/// Runs with a locale that has the signs of a picture.
#[track_caller]
fn run(place: &Place, words: &[&str]) -> Ended {
    let mut command = place.command(words);
    command.env("LC_ALL", "C.UTF-8");
    Running::start(command).end()
}

/// The rungs without their ports and what fills the arrows, which differ from run to run.
fn rungs(picture: &str) -> Vec<String> {
    picture
        .lines()
        .filter_map(|line| line.split_once(['│', '├', '╞']))
        .map(|(_, rung)| {
            let rung = rung.trim_matches(|c: char| " ─═▶◀│┤╡".contains(c));
            let rung = rung.split(['─', '═', '│']).next().unwrap_or_default();
            rung.trim()
                .split(" (")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .filter(|rung| !rung.is_empty())
        .collect()
}

#[test]
fn a_trace_becomes_a_picture_in_every_format() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--trace", "server.trace"]);
    place.write("files/notes", "hello\n");
    let url = server.url("notes");
    for mode in ["epsv", "port"] {
        place
            .run(["get", "-o", "x", "--mode", mode, "--trace", mode, &url])
            .expect(0);
    }
    let passive = run(&place, &["ladder", "epsv"]).expect(0);
    assert_eq!(
        rungs(&passive.text()),
        [
            "control connection",
            "login, then FEAT, OPTS, MLST, TYPE",
            "EPSV",
            "229 Entering Extended Passive Mode",
            "data connection",
            "RETR notes",
            "150 Opening data connection for notes",
            "6 bytes",
            "226 Transfer complete",
            "QUIT",
        ],
        "{}",
        passive.text()
    );
    assert_eq!(passive.stderr, "");
    let active = run(&place, &["ladder", "port"]).expect(0).text();
    let opened = active
        .lines()
        .find(|line| line.contains("═ data connection ═"))
        .expect("the data connection");
    assert!(opened.contains("│◀═"), "the server opens it: {active}");

    let svg = run(&place, &["ladder", "port", "--format", "svg"]).expect(0);
    assert!(svg.text().starts_with("<svg "));
    assert!(svg.text().ends_with("</svg>\n"));
    let mermaid = run(&place, &["ladder", "port", "--format", "mermaid"]).expect(0);
    assert!(mermaid.text().starts_with("sequenceDiagram\n"));

    // the server's own trace of both sessions, one of them, all of it, with times, from standard input
    let both = run(&place, &["ladder", "server.trace"]).expect(0).text();
    assert!(
        both.contains("session 1\n") && both.contains("session 2\n"),
        "{both}"
    );
    let one = run(
        &place,
        &[
            "ladder",
            "server.trace",
            "--session",
            "2",
            "--all",
            "--times",
        ],
    )
    .expect(0);
    assert!(!one.text().contains("session 1\n"));
    assert!(one.text().contains("PASS ****"), "{}", one.text());
    let mut command = place.command(["ladder", "-", "--ascii"]);
    command.stdin(Stdio::piped());
    let mut piped = Running::start(command);
    piped.feed(&place.read("port")).expect("it reads");
    let piped = piped.end().expect(0).text();
    assert!(
        piped.is_ascii() && piped.contains("|<= data connection ="),
        "{piped}"
    );
    for picture in [both, one.text(), svg.text(), mermaid.text()] {
        assert!(!picture.contains("geheim"), "{picture}");
    }
}

#[test]
fn what_is_no_trace_is_told_with_a_status() {
    let place = Place::new();
    place.write("poem", "Roses are red\nViolets are blue\n");
    place.write("mixed", "> NOOP\nwhat?\n< 200 fine\n");
    let ended = place.run(["ladder", "missing"]).expect(12);
    assert!(
        ended.stderr.contains("cannot read missing"),
        "{}",
        ended.stderr
    );
    let ended = place.run(["ladder", "poem"]).expect(12);
    assert!(
        ended
            .stderr
            .contains("neither a trace nor a capture; line 1: Roses"),
        "{}",
        ended.stderr
    );
    let ended = place.run(["ladder", "mixed"]).expect(0);
    assert!(
        ended.stderr.contains("1 line not understood"),
        "{}",
        ended.stderr
    );
    place.run(["ladder", "mixed", "--session", "7"]).expect(2);
    place.run(["ladder"]).expect(2);
    place.run(["ladder", "mixed", "--format", "gif"]).expect(2);
}

#[test]
fn a_running_session_is_drawn_on_stderr() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/notes", "hello\n");
    place.write("new", "new\n");
    let (url, root) = (server.url("notes"), server.url(""));
    let cat = run(&place, &["cat", "--ladder", &url]).expect(0);
    assert_eq!(cat.stdout, b"hello\n");
    let drawn = rungs(&cat.stderr);
    let wanted = [
        "data connection",
        "RETR notes",
        "6 bytes",
        "226 Transfer complete",
        "QUIT",
    ];
    assert!(
        wanted.iter().all(|rung| drawn.iter().any(|it| it == rung)),
        "{}",
        cat.stderr
    );
    let put = run(&place, &["put", "--ladder", "-v", "new", &root]).expect(0);
    assert!(put.stderr.contains("├─ PASS **** ─"), "{}", put.stderr);
    assert!(put.stderr.contains("╞═ 4 bytes ═"), "{}", put.stderr);
    assert!(!put.stderr.contains("> PASS"), "{}", put.stderr);
    // without a locale: nothing but ASCII; and a transcript beside it
    let ls = place
        .run(["ls", "--ladder", "--trace", "beside", &root])
        .expect(0);
    assert!(
        ls.stderr.is_ascii() && ls.stderr.contains("|- "),
        "{}",
        ls.stderr
    );
    assert!(place.read("beside").starts_with(b"# wharf trace 1\n"));
}

#[test]
fn a_server_cannot_speak_to_the_terminal_through_a_picture() {
    let place = Place::new();
    let url = Fake {
        greeting: "220 \x1b[2J\x1b]0;owned\x07 \u{202e}hello",
        size: "213 \x1b[31m",
        ..Fake::default()
    }
    .url();
    let ended = run(&place, &["get", "--ladder", "-v", "-o", "x", &url]);
    assert!(ended.stderr.contains("␛[2J"), "{}", ended.stderr);
    let stray = ended
        .stderr
        .chars()
        .find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
    assert_eq!(stray, None);
}
