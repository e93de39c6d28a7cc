//! `wharf doctor` on a server's own host, and its helper elsewhere.

use crate::boundary::{Place, Server};

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
