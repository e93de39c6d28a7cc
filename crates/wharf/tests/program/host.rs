//! `wharf doctor` on a server's own host, and its helper elsewhere.

use crate::boundary::{Place, Running, Server};

#[test]
fn the_doctor_finds_the_server_on_its_host() {
    let place = Place::new();
    let server = Server::start_bare(&place, &["--anonymous"]);
    let listen = format!("--listen={}", server.address);
    let ended = place.run(["doctor", "--server", "--json", "--", &listen]);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let paths = report["paths"].as_array().expect("paths");
    let found = paths.iter().find(|it| it["way"] == "control-listener");
    let found = found.expect("a line for the control port");
    assert_eq!(found["outcome"], "works", "{found}");
    assert_eq!(found["at"][0], server.address.clone());
    let works = report["verdict"]["works"].as_bool().expect("a verdict");
    ended.expect(i32::from(!works));
}

#[test]
fn nobody_on_the_port_is_something_to_do() {
    let place = Place::new();
    // Port 1 belongs to nobody (tcpmux).
    let ended = place.run(["doctor", "--server", "--", "--listen=127.0.0.1:1"]);
    let ended = ended.expect(1);
    assert!(ended.text().contains("nobody listens"), "{}", ended.text());
}

#[test]
fn contradicting_flags_are_wrong_usage() {
    let place = Place::new();
    place.run(["doctor", "--server", "ftp://h/"]).expect(2);
    place.run(["doctor", "--ask", "h", "t"]).expect(2);
    place
        .run(["doctor", "--server", "--", "--nonsense"])
        .expect(2);
}

/// A wharf that waits, and the command that it prints for the server.
fn waiting(place: &Place) -> (Running, Vec<String>) {
    let mut waiting = Running::start(place.command(["doctor", "--listen", "127.0.0.1:0"]));
    let line = waiting.says("wharf doctor --server --ask ");
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    assert_eq!(words.len(), 6, "{line}");
    (waiting, words)
}

#[test]
fn another_wharf_reaches_the_server_and_says_so() {
    let place = Place::new();
    let server = Server::start_bare(&place, &["--anonymous", "--one-port", "on"]);
    let (waiting, words) = waiting(&place);
    let listen = format!("--listen={}", server.address);
    let mut command: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    command.extend(["--json", "--", &listen, "--one-port=on", "--active-port=0"]);
    let ended = place.run(&command);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let paths = report["paths"].as_array().expect("paths");
    let outcome = |way: &str| {
        let found = paths.iter().find(|it| it["way"] == way);
        found.map(|it| it["outcome"].as_str().expect("a word").to_owned())
    };
    assert_eq!(
        outcome("reach-control").as_deref(),
        Some("works"),
        "{report}"
    );
    assert_eq!(
        outcome("reach-active").as_deref(),
        Some("works"),
        "{report}"
    );
    waiting.end_by_itself().expect(0);
}

#[test]
fn a_token_that_is_not_known_there_is_refused() {
    let place = Place::new();
    let (waiting, words) = waiting(&place);
    let wrong = "0".repeat(32);
    let ask = ["doctor", "--server", "--ask", &words[4], &wrong];
    let ended = place.run([&ask[..], &["--", "--listen=127.0.0.1:1"]].concat());
    let ended = ended.expect(3);
    assert!(ended.stderr.contains("refuses"), "{}", ended.stderr);
    waiting.signal("INT");
    waiting.end_by_itself().expect(130);
}

#[test]
fn waiting_for_a_server_ends_by_itself() {
    let place = Place::new();
    let words = ["doctor", "--listen", "127.0.0.1:0", "--wait", "50ms"];
    let ended = place.run(words).expect(8);
    assert!(ended.stderr.contains("no server asked"), "{}", ended.stderr);
}
