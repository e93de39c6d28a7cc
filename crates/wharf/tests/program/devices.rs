//! Pipes and devices as files: written and read as they are, never replaced.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use crate::boundary::{Place, Running, Server, noise};

/// A named pipe. It stands for every file that is not a regular one, `/dev/null` included.
fn pipe(place: &Place, name: &str) -> PathBuf {
    let path = place.path(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    path
}

#[test]
fn a_download_goes_through_a_pipe_and_does_not_replace_it() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(300_000);
    place.write("files/a", &bytes);
    let path = pipe(&place, "goal");
    for more in [&[][..], &["-c"]] {
        let reading = thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).expect("a pipe")
        });
        let url = server.url("a");
        let words = [&["get", "-o", "goal", &url][..], more].concat();
        place.run(words).expect(0);
        assert_eq!(reading.join().unwrap(), bytes);
        assert!(path.metadata().unwrap().file_type().is_fifo());
        assert!(!place.path("goal.part").exists());
    }
}

#[test]
fn an_open_file_named_as_a_device_is_written_not_replaced() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "abc");
    let out = std::fs::File::create(place.path("out")).unwrap();
    let mut get = place.command(["get", "-q", "-o", "/proc/self/fd/1", &server.url("a")]);
    assert!(get.stdout(out).status().unwrap().success());
    assert_eq!(place.read("out"), b"abc");
}

#[test]
fn a_partial_file_that_is_a_link_or_a_pipe_is_not_written_through() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "new");
    place.write("victim", "old");
    std::os::unix::fs::symlink(place.path("victim"), place.path("a.part")).unwrap();
    place.run(["get", &server.url("a")]).expect(12);
    assert_eq!(place.read("victim"), b"old");
    std::fs::remove_file(place.path("a.part")).unwrap();
    pipe(&place, "a.part");
    place.run(["get", &server.url("a")]).expect(12);
}

#[test]
fn what_a_pipe_brings_is_uploaded() {
    let place = Place::new();
    let server = Server::start(&place);
    let bytes = noise(300_000);
    let path = pipe(&place, "source");
    let put = Running::start(place.command(["put", "source", &server.url("")]));
    std::fs::write(path, &bytes).unwrap();
    put.end().expect(0);
    assert_eq!(place.read("files/source"), bytes);
    place
        .run(["put", "-c", "source", &server.url("")])
        .expect(2);
    place.run(["put", "files", &server.url("")]).expect(12);
}
