//! `wharf queue`, and downloads over several connections: what was begun is finished, whoever is killed.

use crate::boundary::{Place, Running, Server, noise};

/// The address without its password, which stands in a file named `password`.
fn without_password(place: &Place, url: &str) -> String {
    let (head, host) = url.rsplit_once('@').expect("a user");
    let (user, password) = head["ftp://".len()..].split_once(':').expect("a password");
    place.write("password", password.as_bytes());
    format!("ftp://{user}@{host}")
}

#[test]
fn what_is_in_the_queue_is_carried_out_and_goes() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", b"content");
    let there = without_password(&place, &server.url("a"));
    let missing = without_password(&place, &server.url("missing"));
    let add = ["queue", "add", "get", "--password-file", "password"];
    place.run([&add[..], &[&there]].concat()).expect(0);
    place.run([&add[..], &[&missing]].concat()).expect(0);
    place
        .run([&add[..], &[&there, "-o", "later"]].concat())
        .expect(0);
    place.run(["queue", "pause", "3"]).expect(0);
    place.run(["queue", "run", "-j", "2"]).expect(1);
    assert_eq!(place.read("a"), b"content");
    assert!(!place.path("later").exists());
    let left = place.run(["queue", "list"]).expect(0).text();
    assert!(left.contains("2  failed"), "{left}");
    assert!(left.contains("3  paused"), "{left}");
    place.run(["queue", "remove", "2"]).expect(0);
    place.run(["queue", "resume"]).expect(0);
    place.run(["queue", "run"]).expect(0);
    assert_eq!(place.read("later"), b"content");
    assert_eq!(place.run(["queue", "list"]).expect(0).text(), "");
}

#[test]
fn nothing_wrong_and_nothing_secret_gets_into_the_queue() {
    let place = Place::new();
    for words in [
        &["queue", "add", "get", "ftp://me:secret@host/a"][..],
        &["queue", "add", "get", "--no-such-flag", "ftp://host/a"],
        &["queue", "add", "serve"],
        &["queue", "remove", "1"],
    ] {
        place.run(words).expect(2);
    }
    assert_eq!(place.run(["queue", "list"]).expect(0).text(), "");
}

#[test]
fn a_queue_whose_runner_was_killed_goes_on() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(600_000);
    place.write("files/large", &bytes);
    let url = without_password(&place, &server.url("large"));
    let add = ["queue", "add", "get", "--password-file", "password"];
    place
        .run([&add[..], &["--limit-rate", "400k", &url]].concat())
        .expect(0);
    let mut runner = Running::start(place.command(["queue", "run"]));
    runner.complains("queue 1");
    runner.signal("KILL");
    runner.end();
    let left = place.run(["queue", "list"]).expect(0).text();
    assert!(left.contains("large"), "{left}");
    place.run(["queue", "run"]).expect(0);
    assert_eq!(place.read("large"), bytes);
}

#[test]
fn a_file_comes_over_several_connections_and_is_compared() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(5 << 20);
    place.write("files/large", &bytes);
    let url = server.url("large");
    let ended = place.run(["get", "-v", "-n", "3", &url]).expect(0);
    assert_eq!(place.read("large"), bytes);
    assert!(
        ended.stderr.matches("RETR large").count() >= 3,
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("HASH large"), "{}", ended.stderr);
    assert!(!place.path("large.part.journal").exists());
    place.write("sums", b"00000000000000000000000000000000  large\n");
    place
        .run(["get", "--sums", "sums", "-o", "other", &url])
        .expect(10);
    assert!(!place.path("other").exists() && !place.path("other.part").exists());
    place
        .run(["get", "--verify", "always", "-o", "other", &url])
        .expect(0);
    place
        .run(["put", "--verify", "always", "other", &server.url("up")])
        .expect(0);
    assert_eq!(place.read("files/up"), bytes);
}
