//! `wharf mirror` and `wharf watch`, between this machine and a server: trees, plans, statuses.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::boundary::{Ended, Place, Running, Server};
use crate::schema::Schema;

/// A directory with a few files, one of them old.
fn plant(place: &Place) {
    for (name, text) in [
        ("tree/a", "a"),
        ("tree/d/b [*]? ", "b"),
        ("tree/d/e/c", "c"),
    ] {
        let path = place.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir(place.path("tree/empty")).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options()
        .write(true)
        .open(place.path("tree/a"))
        .unwrap();
    file.set_modified(old).unwrap();
}

/// Pathnames below a directory, with what is in the files.
fn tree(top: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut todo = vec![top.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().display().to_string();
            if path.is_dir() {
                todo.push(path);
                all.push((name, "/".to_owned()));
            } else {
                all.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

fn mirror(place: &Place, words: &[&str], code: i32) -> Ended {
    let words = [&["mirror"], words].concat();
    place.run(words).expect(code)
}

#[test]
fn there_and_back_and_nothing_to_do_then() {
    let place = Place::new();
    plant(&place);
    let server = Server::start(&place);
    let there = server.url("deep/up/");
    let (local, back) = (place.path("tree"), place.path("back"));
    let (local, back) = (local.to_str().unwrap(), back.to_str().unwrap());
    mirror(&place, &[local, &there, "--check", "-q"], 20);
    let ended = mirror(&place, &[local, &there, "-j3"], 0);
    assert!(ended.stderr.contains("3 files copied"), "{}", ended.stderr);
    assert_eq!(tree(&place.path("files/deep/up")), tree(Path::new(local)));
    mirror(&place, &[local, &there, "--check"], 0);
    mirror(&place, &[&there, back, "-j3", "-q"], 0);
    assert_eq!(tree(Path::new(back)), tree(Path::new(local)));
    let time = |top: &str| {
        fs::metadata(Path::new(top).join("a"))
            .unwrap()
            .modified()
            .unwrap()
    };
    assert_eq!(time(back), time(local));
    let ended = mirror(&place, &[&there, back, "--check", "--delete"], 0);
    assert_eq!(ended.text(), "");
}

#[test]
fn a_plan_is_printed_and_nothing_done() {
    let place = Place::new();
    plant(&place);
    let server = Server::start(&place);
    place.write("files/a", "longer");
    place.write("files/old", "x");
    let local = place.path("tree");
    let local = local.to_str().unwrap();
    let ended = mirror(
        &place,
        &[local, &server.url(""), "--dry-run", "--delete", "-x", "e/"],
        0,
    );
    assert_eq!(
        ended.text(),
        "copy    a  (size, 1 bytes)\n\
         mkdir   d/\n\
         copy    d/b [*]?   (new, 1 bytes)\n\
         mkdir   empty/\n\
         delete  old\n"
    );
    assert_eq!(place.names("files"), ["a", "old"]);
    mirror(
        &place,
        &[local, &server.url(""), "--delete", "--max-delete", "0"],
        1,
    );
    assert!(place.path("files/old").exists());
    mirror(&place, &[local, &server.url(""), "--delete"], 0);
    assert_eq!(tree(&place.path("files")), tree(Path::new(local)));
}

#[test]
fn steps_are_events_of_the_schema() {
    let place = Place::new();
    plant(&place);
    let server = Server::start(&place);
    let local = place.path("tree");
    let ended = mirror(
        &place,
        &[local.to_str().unwrap(), &server.url(""), "--json"],
        0,
    );
    let events: Vec<Value> = Schema::of_events().lines(&ended.text());
    let steps = events.iter().filter(|event| event["ev"] == "mirror.step");
    assert_eq!(steps.count(), 6, "{events:?}");
    let end = events
        .iter()
        .find(|event| event["ev"] == "mirror.end")
        .unwrap();
    assert_eq!((&end["copied"], &end["made"]), (&3.into(), &3.into()));
    let summary = events.last().unwrap();
    assert_eq!(summary["files"], 3);
}

#[test]
fn what_cannot_be_mirrored_is_told_by_its_status() {
    let place = Place::new();
    plant(&place);
    let server = Server::start(&place);
    let missing = server.url("missing/");
    for (words, code) in [
        (["tree", "tree/d"], 2),
        (["tree", "tree"], 2),
        (["missing", "x"], 12),
        (["tree/a", "x"], 12),
        (["tree", "gopher://host/"], 2),
        ([missing.as_str(), "x"], 5),
        (["tree", "ftp://tester:wrong@127.0.0.1:1/"], 3),
    ] {
        mirror(&place, &words, code);
    }
    mirror(&place, &["tree", "x", "--exclude-regex", "("], 2);
    mirror(&place, &["tree", "x", "--newer-than", "soon"], 2);
}

#[test]
fn a_watched_directory_is_followed_until_it_is_interrupted() {
    let place = Place::new();
    plant(&place);
    let server = Server::start(&place);
    let url = server.url("kept/");
    let words = ["watch", "tree", &url, "--delete", "--settle", "20ms"];
    let mut running = Running::start(place.command(words));
    running.complains("watching");
    fs::create_dir(place.path("tree/new")).unwrap();
    fs::write(place.path("tree/new/file"), "new").unwrap();
    running.complains("new/file: 3 B");
    fs::remove_file(place.path("tree/a")).unwrap();
    running.complains("a: deleted");
    running.signal("INT");
    running.end().expect(0);
    assert_eq!(tree(&place.path("files/kept")), tree(&place.path("tree")));
}
