//! What is remembered between runs, and how it is forgotten.

use crate::boundary::Place;

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
    let ended = crate::boundary::Running::start(command).end().expect(0);
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
    let ended = crate::boundary::Running::start(command).end().expect(0);
    assert_eq!(ended.stderr, "forgotten: 3 records about any server\n");
}
