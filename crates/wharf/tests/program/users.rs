//! `wharf user`, and a server that reads what it writes.

use std::process::Stdio;

use crate::boundary::{Ended, Place, Running, Server};

#[track_caller]
fn user(place: &Place, words: &[&str], password: &str) -> Ended {
    let mut command = place.command([&["user"], words].concat());
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    // The program may end before it has read everything: a user that exists already.
    let _ = running.feed(format!("{password}\n").as_bytes());
    running.end()
}

#[test]
fn users_are_added_changed_listed_and_removed() {
    let place = Place::new();
    let file = ["--file", "users.toml"];
    let with = |words: &[&'static str]| [words, &file].concat();
    user(&place, &with(&["add", "ann"]), "first").expect(0);
    user(
        &place,
        &with(&["add", "bob", "--home", "sub", "--read-only"]),
        "second",
    )
    .expect(0);
    user(&place, &with(&["add", "ann"]), "again").expect(64);
    user(&place, &with(&["add", "a/b"]), "x").expect(64);
    user(&place, &with(&["add", "eve"]), "").expect(64);
    let list = place.run(with(&["user", "list"])).expect(0).text();
    assert_eq!(
        list,
        "ann                  may write  /\nbob                  read-only  /sub\n"
    );
    let text = String::from_utf8(place.read("users.toml")).unwrap();
    assert!(
        text.contains("$argon2id$") && !text.contains("first"),
        "{text}"
    );
    user(&place, &with(&["passwd", "ann"]), "third").expect(0);
    user(&place, &with(&["passwd", "nobody"]), "x").expect(67);
    user(&place, &with(&["remove", "nobody"]), "").expect(67);

    place.write("files/a", "abc");
    place.write("files/sub/a", "inside");
    let server = Server::start_bare(&place, &["--users", "users.toml"]);
    let url = |login: &str| format!("ftp://{login}@{}/a", server.address);
    place.run(["cat", &url("ann:first")]).expect(4);
    assert_eq!(
        place.run(["cat", &url("ann:third")]).expect(0).text(),
        "abc"
    );
    assert_eq!(
        place.run(["cat", &url("bob:second")]).expect(0).text(),
        "inside"
    );
    place.run(["rm", &url("bob:second")]).expect(6);

    user(&place, &with(&["remove", "ann"]), "").expect(0);
    place.run(["cat", &url("ann:third")]).expect(4);
    place.run(["cat", &url("bob:second")]).expect(0);
}

#[test]
fn the_default_file_is_in_the_configuration_directory() {
    let place = Place::new();
    place.write("password", "pw\n");
    place
        .run(["user", "add", "ann", "--password-file", "password"])
        .expect(0);
    assert!(place.path("config/wharf/users.toml").exists());
    let json = place.run(["user", "list", "--json"]).expect(0);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["name"], "ann");
}

#[test]
fn a_damaged_file_is_reported_with_its_lines() {
    let place = Place::new();
    place.write("users.toml", "[[user]]\nname = 7\n");
    let ended = place
        .run(["user", "list", "--file", "users.toml"])
        .expect(78);
    assert!(ended.stderr.contains("line "), "{}", ended.stderr);
}
