//! `wharf serve` under a service manager: sockets that it has opened, and what it is told.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use crate::boundary::{Place, Running};

/// What a manager does between fork and exec: the socket on standard input becomes descriptor 3.
const MANAGER: &str =
    "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET=\"$PWD/notify\" exec \"$@\"";

fn start(place: &Place, listening: &TcpListener, further: &[&str]) -> (Running, UnixDatagram) {
    let notified = UnixDatagram::bind(place.path("notify")).unwrap();
    notified
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut words = vec![
        "-c",
        MANAGER,
        "sh",
        env!("CARGO_BIN_EXE_wharf"),
        "serve",
        "srv",
        "--anonymous",
        "--listen",
        "127.0.0.1:1",
    ];
    words.extend(further);
    let mut command = place.program(Path::new("/bin/sh"), words);
    command.stdin(OwnedFd::from(listening.try_clone().unwrap()));
    (Running::start(command), notified)
}

fn told(notified: &UnixDatagram) -> String {
    let mut text = [0; 200];
    let length = notified.recv(&mut text).expect("the manager is told");
    String::from_utf8_lossy(&text[..length]).into_owned()
}

/// The clock in it is the only thing that nobody can know.
fn told_without_time(notified: &UnixDatagram) -> String {
    let text = told(notified);
    let (before, digits) = text.split_once("USEC=").unwrap_or((&text, "0"));
    assert!(digits.bytes().all(|it| it.is_ascii_digit()), "{text}");
    before.to_owned()
}

fn lives_with_a_manager(further: &[&str]) {
    let place = Place::new();
    place.write("srv/file", b"kept");
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listening.local_addr().unwrap();
    let (mut running, notified) = start(&place, &listening, further);
    running.says(&format!("listening on {address}"));
    assert_eq!(told(&notified), "READY=1");

    let url = format!("ftp://{address}/file");
    let got = place.run(["cat", &url]);
    assert_eq!(
        (got.code, got.text().as_str()),
        (Some(0), "kept"),
        "{}",
        got.stderr
    );

    running.signal("HUP");
    assert_eq!(told_without_time(&notified), "RELOADING=1\nMONOTONIC_");
    assert_eq!(told(&notified), "READY=1");
    let got = place.run(["cat", &url]);
    assert_eq!(
        (got.code, got.text().as_str()),
        (Some(0), "kept"),
        "{}",
        got.stderr
    );

    running.signal("TERM");
    assert_eq!(told(&notified), "STOPPING=1");
    assert_eq!(running.end_by_itself().code, Some(0));
}

#[test]
fn one_process_uses_the_socket_and_tells() {
    lives_with_a_manager(&["--sandbox", "off"]);
}

#[test]
fn so_does_one_in_its_sandbox_as_far_as_there_is_one() {
    lives_with_a_manager(&[]);
}

#[test]
fn so_does_a_server_with_a_broker() {
    // Everything that this kernel lacks ends it: then there is nothing to see here.
    let place = Place::new();
    place.write("srv/file", b"kept");
    let check = place.run(["check", "srv", "--anonymous", "--sandbox", "strict"]);
    if check.stderr.contains("sandbox") {
        return;
    }
    lives_with_a_manager(&["--sandbox", "strict"]);
}

#[test]
fn what_does_not_listen_is_refused() {
    let place = Place::new();
    place.write("srv/file", b"kept");
    let notified = UnixDatagram::bind(place.path("notify")).unwrap();
    let words = [
        "-c",
        MANAGER,
        "sh",
        env!("CARGO_BIN_EXE_wharf"),
        "serve",
        "srv",
        "--anonymous",
    ];
    let mut command = place.program(Path::new("/bin/sh"), words);
    command.stdin(OwnedFd::from(UnixDatagram::unbound().unwrap()));
    let ended = Running::start(command).end_by_itself();
    assert_eq!(ended.code, Some(64), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("socket 0 of the service manager"),
        "{}",
        ended.stderr
    );
    drop(notified);
}
