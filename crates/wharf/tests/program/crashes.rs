//! Whatever dies in the middle of an upload: never a partial file under its final name.

use std::process::Stdio;

use crate::boundary::{Place, Running, Server, noise};

/// An upload that has sent at least `bytes` minus what fits into a pipe, and has not ended.
fn begin(place: &Place, server: &Server, bytes: &[u8]) -> Running {
    let mut command = place.command(["put", "-v", "-", &server.url("victim")]);
    command.stdin(Stdio::piped());
    let mut put = Running::start(command);
    put.complains("< 150");
    put.feed(bytes).unwrap();
    put
}

/// Names a user would see: those of finished files.
fn visible(place: &Place) -> Vec<String> {
    let mut names = place.names("files");
    names.retain(|name| !name.starts_with(".wharf-"));
    names
}

#[test]
fn a_killed_server_leaves_no_final_name() {
    let bytes = noise(2 << 20);
    for length in [1, 70_000, 1 << 20, 2 << 20] {
        let place = Place::new();
        let server = Server::start(&place);
        let put = begin(&place, &server, &bytes[..length]);
        server.running.signal("KILL");
        server.running.end();
        assert_eq!(visible(&place), Vec::<String>::new(), "{length} bytes");
        let ended = put.end();
        assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    }
}

#[test]
fn a_killed_client_leaves_no_final_name() {
    let bytes = noise(2 << 20);
    let place = Place::new();
    let mut server = Server::start(&place);
    for length in [1, 70_000, 1 << 20, 2 << 20] {
        let put = begin(&place, &server, &bytes[..length]);
        put.signal("KILL");
        put.end_by_itself();
        server.running.complains("outcome=Incomplete");
        assert_eq!(visible(&place), Vec::<String>::new(), "{length} bytes");
    }
}

#[test]
fn an_interrupted_client_leaves_no_final_name() {
    let bytes = noise(1 << 20);
    let place = Place::new();
    let mut server = Server::start(&place);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let put = begin(&place, &server, &bytes);
        put.signal(signal);
        put.end_by_itself().expect(code);
        server.running.complains("outcome=Incomplete");
        assert_eq!(visible(&place), Vec::<String>::new(), "{signal}");
    }
}

#[test]
fn a_stopping_server_lets_a_transfer_finish() {
    let bytes = noise(1 << 20);
    let place = Place::new();
    let mut server = Server::start(&place);
    let mut put = begin(&place, &server, &bytes);
    server.running.signal("TERM");
    server.running.complains("stopping");
    put.feed(&bytes).unwrap();
    // The 226 comes; whether the client can still compare sizes before the 421 is a matter of luck.
    let ended = put.end();
    assert!(ended.stderr.contains("< 226 "), "{}", ended.stderr);
    server.running.end().expect(0);
    assert_eq!(
        place.read("files/victim"),
        [&bytes[..], &bytes[..]].concat()
    );
}
