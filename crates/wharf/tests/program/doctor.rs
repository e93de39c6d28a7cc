//! `wharf doctor URL`: what a person and what a program gets.

use serde_json::Value;

use crate::boundary::{Place, Server};
use crate::fake_server::Fake;

#[test]
fn a_person_reads_the_ways_and_the_verdict() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    let server = Server::start(&place);
    let ended = place.run(["doctor", &server.url("")]).expect(0);
    let text = ended.text();
    for part in [
        "  server: 127.0.0.1:",
        ", wharf\n",
        "and so the server sees it: no NAT between",
        "✓ EPSV  127.0.0.1:",
        "✓ PASV  127.0.0.1:",
        "✓ PORT  127.0.0.1:",
        "✓ EPRT  127.0.0.1:",
        "verdict: passive (EPSV) works; nothing to do",
        "wharf get uses EPSV",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!text.contains('\x1b'), "colour into a pipe: {text}");
    assert!(!text.contains(" tester:"), "a password is shown: {text}");
}

/// The doctor's own sessions must not be what confuses a server that sorts connections at its control port.
#[test]
fn a_server_with_one_port_works_as_well() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    let server = Server::start_with(&place, &["--one-port", "on"]);
    let ended = place.run(["doctor", &server.url("")]).expect(0);
    let text = ended.text();
    for part in [
        "✓ EPSV",
        "✓ PASV",
        "verdict: passive (EPSV) works; nothing to do",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_program_reads_one_object() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    let server = Server::start(&place);
    let ended = place.run(["doctor", "--json", &server.url("")]).expect(0);
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["verdict"]["works"], true);
    let ways: Vec<&str> = report["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path["way"].as_str().unwrap())
        .collect();
    assert_eq!(ways, ["epsv", "pasv", "port", "eprt"]);
    assert_eq!(report["unfinished"], Value::Array(Vec::new()));
}

#[test]
fn where_nothing_works_the_status_is_7_and_somebody_must_act() {
    let place = Place::new();
    let url = Fake {
        data: false,
        ..Fake::default()
    }
    .url();
    let ended = place.run(["doctor", &url]).expect(7);
    let text = ended.text();
    for part in [
        "✗ EPSV",
        "✗ PASV",
        "who acts: ",
        "do: ",
        "verdict: no data connection comes about",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}
