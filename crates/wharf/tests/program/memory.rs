//! What is remembered between runs, and how it is forgotten.

use crate::boundary::{Place, Running, Server};

const WAYS: &str = "\
wharf ways 1
2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 epsv works
2026-11-18T11:06:40Z files.example:2121 203.0.113.5 192.168.1.0/24 pasv works
2026-11-18T11:06:40Z other.example:21 203.0.113.6 192.168.1.0/24 port works
";

/// The file with times of today.
fn remembering() -> Place {
    let place = Place::new();
    let now = std::time::SystemTime::now();
    let (year, month, day, ..) = wharf_proto::Timestamp::from(now).civil();
    let today = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
    place.write(".state/ways", WAYS.replace("2026-11-18T11:06:40Z", &today));
    place
}

#[test]
fn forget_says_how_much_it_forgot() {
    for (word, expected, left) in [
        (
            "files.example",
            "forgotten: 2 records about files.example",
            1,
        ),
        (
            "files.example:2121",
            "forgotten: 1 record about files.example:2121",
            2,
        ),
        (
            "ftp://me:secret@files.example/dir/",
            "forgotten: 1 record about files.example:21",
            2,
        ),
        ("203.0.113.6", "forgotten: 1 record about 203.0.113.6", 2),
        (
            "nobody.example",
            "nothing is remembered about nobody.example",
            3,
        ),
        ("--all", "forgotten: 3 records about any server", 0),
    ] {
        let place = remembering();
        let ended = place.run(["forget", word]).expect(0);
        assert_eq!(ended.stderr, format!("{expected}\n"), "{word}");
        assert_eq!(ended.text(), "");
        let file = String::from_utf8(place.read(".state/ways")).unwrap();
        assert_eq!(file.matches(" works").count(), left, "{word}: {file}");
        let again = place.run(["forget", word]).expect(0);
        assert!(
            again.stderr.contains("nothing is remembered"),
            "{}",
            again.stderr
        );
    }
}

#[test]
fn forget_needs_to_know_whom() {
    let place = Place::new();
    place.run(["forget"]).expect(2);
    place.run(["forget", ""]).expect(2);
    place.run(["forget", "http://files.example/"]).expect(2);
    place.run(["forget", "--all", "files.example"]).expect(2);
    assert!(!place.path(".state").exists());
    // A variable that is meant for `ls` does not widen it.
    let mut command = place.command(["forget", "-q", "files.example"]);
    command.env("WHARF_ALL", "1");
    let ended = Running::start(command).end().expect(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn the_state_directory_follows_xdg() {
    let place = remembering();
    std::fs::create_dir_all(place.path("xdg/wharf")).unwrap();
    std::fs::rename(place.path(".state/ways"), place.path("xdg/wharf/ways")).unwrap();
    let mut command = place.command(["forget", "--all"]);
    command
        .env("WHARF_STATE_DIR", "")
        .env("XDG_STATE_HOME", place.path("xdg"));
    let ended = Running::start(command).end().expect(0);
    assert_eq!(ended.stderr, "forgotten: 3 records about any server\n");
}

/// The last words of the lines about ways.
fn ways(place: &Place) -> Vec<String> {
    let file = String::from_utf8(place.read(".state/ways")).unwrap();
    let lines = file.lines().skip(1).filter(|line| !line.starts_with('#'));
    let last = |line: &str| {
        line.rsplitn(3, ' ')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    lines
        .map(|line| last(line).into_iter().rev().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn what_works_is_remembered_unless_it_is_not_wanted() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--one-port", "off"]);
    place.write("files/a", "hello");
    let url = server.url("a");
    place.run(["get", "--no-memory", &url]).expect(0);
    let mut command = place.command(["cat", &url]);
    command.env("WHARF_NO_MEMORY", "1");
    Running::start(command).end().expect(0);
    place.run(["get", "--mode", "pasv", &url]).expect(0);
    assert!(!place.path(".state/ways").exists());
    for words in [
        vec!["get", &url],
        vec!["cat", &url],
        vec!["ls", &server.url("")],
        vec!["put", "a", &server.url("b")],
    ] {
        place.run(&words).expect(0);
        assert_eq!(ways(&place), ["epsv works"], "{words:?}");
        let ended = place.run(["forget", &server.url("")]).expect(0);
        assert!(ended.stderr.contains("1 record"), "{}", ended.stderr);
        assert_eq!(ways(&place), [""; 0], "{words:?}");
    }
}

#[test]
fn a_remembered_way_goes_first_and_is_corrected_when_it_fails() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--one-port", "off", "--no-active"]);
    place.write("files/a", "hello");
    place.run(["get", &server.url("a")]).expect(0);
    let file = String::from_utf8(place.read(".state/ways")).unwrap();
    place.write(".state/ways", file.replace("epsv works", "pasv works"));
    let ended = place.run(["get", "-v", &server.url("a")]).expect(0);
    assert!(ended.stderr.contains("> PASV"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("> EPSV"), "{}", ended.stderr);
    place.write(".state/ways", file.replace("epsv works", "port works"));
    let ended = place.run(["get", &server.url("a")]).expect(0);
    assert_eq!(
        ended.stderr.matches("note: ").count(),
        1,
        "{}",
        ended.stderr
    );
    let mut now = ways(&place);
    now.sort();
    assert!(now.contains(&"epsv works".to_owned()), "{now:?}");
    assert!(!now.contains(&"port works".to_owned()), "{now:?}");
}

#[test]
fn a_damaged_memory_stops_nothing() {
    for damaged in [
        &b"\xff\0\n\n\x1b["[..],
        b"wharf ways 99\n",
        b"wharf ways 1\nx\n",
    ] {
        let place = Place::new();
        let server = Server::start_with(&place, &["--one-port", "off"]);
        place.write("files/a", "hello");
        place.write(".state/ways", damaged);
        let ended = place.run(["get", &server.url("a")]).expect(0);
        assert!(!ended.stderr.contains("ways"), "{}", ended.stderr);
        assert_eq!(ways(&place), ["epsv works"]);
    }
    // The server keeps its own state elsewhere.
    let (served, place) = (Place::new(), Place::new());
    let server = Server::start_with(&served, &["--one-port", "off"]);
    served.write("files/a", "hello");
    place.write(".state", "a file where the directory should be");
    let ended = place.run(["get", &server.url("a")]).expect(0);
    assert!(!ended.stderr.contains("state"), "{}", ended.stderr);
    place.run(["forget", "--all"]).expect(12);
}

#[test]
fn status_tells_the_way_and_whether_it_is_remembered() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--one-port", "off"]);
    let script = "user tester geheim\nstatus\nls\nstatus\npassive\nls\nstatus\n";
    let run = |words: &[&str]| {
        let first = ["ftp", "-n", "127.0.0.1", server.port()];
        let mut command = place.command(words.iter().chain(&first[1..]));
        command.stdin(std::process::Stdio::piped());
        let mut running = Running::start(command);
        running.feed(script.as_bytes()).unwrap();
        let text = running.end().text();
        let lines = text.lines().filter(|line| line.starts_with("data mode "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        run(&["ftp"]),
        [
            "data mode auto, no data connection yet",
            "data mode auto, works: EPSV (remembered)",
            "data mode passive, works: EPSV",
        ]
    );
    assert_eq!(
        run(&["ftp"])[0],
        "data mode auto, no data connection yet, remembered: EPSV"
    );
    assert_eq!(
        run(&["ftp", "--no-memory"])[..2],
        [
            "data mode auto, no data connection yet",
            "data mode auto, works: EPSV (not remembered)",
        ]
    );
}

/// `ftp: bind: Address already in use` is what other clients say.
#[test]
fn a_used_up_port_range_is_named() {
    let place = Place::new();
    let server = Server::start(&place);
    place.write("files/a", "hello");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["-A", "--mode=port", "--mode=eprt"] {
        let words = ["get", "-vv", flag, "--port-range", &port, &server.url("a")];
        let ended = place.run(words).expect(7);
        let told = format!("no free port in {port}-{port} (--port-range)");
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
        assert!(
            !ended.stderr.to_lowercase().contains("already in use"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("next: --mode auto"),
            "{}",
            ended.stderr
        );
    }
}
