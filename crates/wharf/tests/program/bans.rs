//! `wharf ban`, and a server that hears of it.

use std::time::{Duration, Instant};

use crate::boundary::{Place, Server};

#[test]
fn bans_are_added_listed_and_removed() {
    let place = Place::new();
    let list = ["--ban-list", "state/bans"];
    let ban = |words: &[&str]| place.run([&["ban"], words, &list].concat());
    assert_eq!(ban(&["list"]).expect(0).text(), "");
    ban(&["add", "192.0.2.7", "2001:db8::/48", "--reason", "scanner"]).expect(0);
    ban(&["add", "--user", "root", "--for", "1h"]).expect(0);
    ban(&["add"]).expect(64);
    ban(&["add", "nowhere"]).expect(64);
    let text = ban(&["list"]).expect(0).text();
    let mut first: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split("  ").next())
        .collect();
    first.sort_unstable();
    assert_eq!(first, ["192.0.2.7", "2001:db8::/48", "user root"], "{text}");
    assert!(
        text.contains("for ever") && text.contains("scanner"),
        "{text}"
    );
    let json = ban(&["list", "--json"]).expect(0).text();
    assert!(json.contains(r#""user":"root""#), "{json}");
    ban(&["remove", "192.0.2.7", "--user", "root"]).expect(0);
    ban(&["remove", "192.0.2.7"]).expect(67);
    assert_eq!(ban(&["list"]).expect(0).text().lines().count(), 1);
    place.write("state/bans", "[[ban]]\nclients = 7\n");
    ban(&["list"]).expect(78);
    place
        .run([
            "check",
            ".",
            "--anonymous",
            "--listen",
            "127.0.0.1:0",
            "--ban-list",
            "state/bans",
        ])
        .expect(78);
}

#[test]
fn a_running_server_hears_of_bans() {
    let place = Place::new();
    place.write("files/a", "abc");
    let server = Server::start_bare(&place, &["--anonymous", "--ban-list", "bans"]);
    let url = format!("ftp://{}/a", server.address);
    assert_eq!(place.run(["cat", &url]).expect(0).text(), "abc");
    place
        .run(["ban", "add", "127.0.0.1", "--ban-list", "bans"])
        .expect(0);
    // The list is looked at once a second.
    let start = Instant::now();
    while place.run(["cat", &url]).code == Some(0) {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the ban is not heard of"
        );
    }
    place
        .run(["ban", "remove", "127.0.0.1", "--ban-list", "bans"])
        .expect(0);
    while place.run(["cat", &url]).code != Some(0) {
        assert!(
            start.elapsed() < Duration::from_secs(40),
            "its end is not heard of"
        );
    }
}
