//! Names with blanks, slashes, newlines and bytes that are no text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::boundary::{Place, Server};

#[test]
fn odd_names_survive_both_ways() {
    let place = Place::new();
    let server = Server::start(&place);
    for (name, encoded) in [
        (&b"with blank"[..], "with%20blank"),
        (b" leading", "%20leading"),
        (b"trailing ", "trailing%20"),
        (b"star*[x]?", "star*%5Bx%5D%3F"),
        (b"hash#percent%", "hash%23percent%25"),
        (b"-rf", "-rf"),
        (b"semi;type=x", "semi%3Btype=x"),
        ("\u{fc}ml\u{e4}ut".as_bytes(), "%C3%BCml%C3%A4ut"),
        (b"not\xfftext\xfe", "not%FFtext%FE"),
        (b"quote\"s", "quote%22s"),
    ] {
        let shown = String::from_utf8_lossy(name);
        place.write(OsStr::from_bytes(name), name);
        let put = [
            OsStr::new("put").to_owned(),
            place.path(OsStr::from_bytes(name)).into_os_string(),
            server.url("").into(),
        ];
        place.run(put).expect(0);
        let stored = place.path("files").join(OsStr::from_bytes(name));
        assert_eq!(std::fs::read(&stored).unwrap(), name, "{shown}");
        std::fs::remove_file(place.path(OsStr::from_bytes(name))).unwrap();
        place.run(["get", &server.url(encoded)]).expect(0);
        assert_eq!(place.read(OsStr::from_bytes(name)), name, "{shown}");
        let ls = place.run(["ls", &server.url("")]).expect(0);
        assert_eq!(ls.stdout, [name, b"\n"].concat(), "{shown}");
        let json = place.run(["ls", "--json", &server.url("")]).expect(0);
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let back = json["name_encoded"].as_str().unwrap().to_owned();
        place.run(["rm", &server.url(&back)]).expect(0);
        assert!(!stored.exists(), "{shown}");
    }
}

#[test]
fn absolute_paths_begin_at_the_root_and_relative_ones_at_home() {
    let place = Place::new();
    place.write("files/a", "at the root");
    place.write("files/home/a", "at home");
    let server = Server::start_with(&place, &["--home", "home"]);
    for (path, expected) in [
        ("a", "at home"),
        ("%2Fa", "at the root"),
        ("/a", "at the root"),
        ("%2Fhome/a", "at home"),
        ("../a", "at the root"),
    ] {
        let cat = place.run(["cat", &server.url(path)]).expect(0);
        assert_eq!(cat.text(), expected, "{path}");
    }
}

#[test]
fn names_cannot_forge_lines_or_steer_a_terminal() {
    let place = Place::new();
    place.write("files/a\nforged", "");
    place.write("files/\u{1b}[2Jclear", "");
    let server = Server::start(&place);
    for more in [&[][..], &["-l"], &["--json"]] {
        let url = server.url("");
        let words = [&["ls"], more, &[url.as_str()]].concat();
        let ls = place.run(words).expect(0);
        assert!(!ls.stdout.contains(&0x1b), "{more:?}: {}", ls.text());
        let forged = ls.text().lines().any(|line| line == "forged");
        assert!(!forged, "{more:?}: {}", ls.text());
    }
}
