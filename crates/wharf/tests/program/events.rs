//! `--json`: what a program reads of a run, held against the published schema.

use serde_json::Value;

use crate::boundary::{Ended, Place, Server};
use crate::fake_server::Fake;
use crate::schema::Schema;

/// The events of a run that prints them to stdout.
fn events(ended: &Ended) -> Vec<Value> {
    Schema::of_events().lines(&ended.text())
}

fn names(events: &[Value]) -> Vec<&str> {
    let name = |event: &Value| event["ev"].as_str().map(str::to_owned);
    debug_assert!(events.iter().all(|event| name(event).is_some()));
    events
        .iter()
        .filter_map(|event| event["ev"].as_str())
        .collect()
}

fn only<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let mut found = events.iter().filter(|event| event["ev"] == name);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {events:?}"));
    assert!(found.next().is_none(), "several {name}");
    first
}

#[test]
fn a_download_from_connect_to_summary() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    let server = Server::start(&place);
    let ended = place.run(["get", "--json", &server.url("there")]).expect(0);
    let events = events(&ended);
    assert_eq!(
        names(&events),
        [
            "connect",
            "login",
            "file.start",
            "data.try",
            "data.open",
            "data.close",
            "file.end",
            "disconnect",
            "summary"
        ]
    );
    let end = only(&events, "file.end");
    assert_eq!(end["outcome"], "complete");
    assert_eq!(end["verified"], "size");
    assert_eq!(
        (&end["bytes"], &end["remote"], &end["local"]),
        (&10.into(), &"there".into(), &"there".into())
    );
    let summary = only(&events, "summary");
    assert_eq!(
        (&summary["exit"], &summary["files"], &summary["bytes"]),
        (&0.into(), &1.into(), &10.into())
    );
    assert!(!ended.text().contains("geheim"));
}

#[test]
fn with_v_the_dialogue_too_and_no_password() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    let server = Server::start(&place);
    let ended = place
        .run(["get", "--json", "-v", &server.url("there")])
        .expect(0);
    let events = events(&ended);
    let said = |event: &Value| {
        event["line"]
            .as_str()
            .is_some_and(|it| it.starts_with("RETR"))
    };
    assert!(events.iter().any(said), "{}", ended.text());
    assert!(events.iter().any(|event| event["code"] == 226));
    assert!(!ended.text().contains("geheim"));
}

#[test]
fn every_end_of_a_transfer_is_told_as_what_it_is() {
    let cut = Fake {
        sent: 10,
        ..Fake::default()
    };
    let lost = Fake {
        lost: true,
        size: "500 what",
        ..Fake::default()
    };
    for (fake, code, outcome) in [(cut, 10, "incomplete"), (lost, 3, "unknown")] {
        let place = Place::new();
        let ended = place.run(["get", "--json", "--timeout", "2s", &fake.url()]);
        let events = events(&ended);
        let end = only(&events, "file.end");
        assert_eq!(end["outcome"], outcome, "{end}");
        assert_eq!(end["exit"], ended.code.expect("a status"), "{end}");
        let error = only(&events, "error");
        assert_eq!(
            (&error["exit"], &error["message"]),
            (&end["exit"], &end["message"])
        );
        assert_eq!(only(&events, "summary")["failed"], 1);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("error"),
            "people are told, too: {}",
            ended.stderr
        );
    }
}

#[test]
fn ways_that_fail_are_told_each() {
    let place = Place::new();
    let url = Fake {
        data: false,
        ..Fake::default()
    }
    .url();
    let ended = place.run(["get", "--json", &url]).expect(7);
    let events = events(&ended);
    let failed: Vec<&Value> = events
        .iter()
        .filter(|event| event["ev"] == "data.fail")
        .collect();
    for way in ["epsv", "pasv", "port"] {
        assert!(
            failed.iter().any(|event| event["way"] == way),
            "{way}: {failed:?}"
        );
    }
}

#[test]
fn where_stdout_is_a_listing_or_a_file_stderr_has_the_events() {
    let place = Place::new();
    place.write("files/there", "0123456789");
    let server = Server::start(&place);
    let schema = Schema::of_events();
    let (there, missing) = (server.url("there"), server.url("missing"));
    let ended = place.run(["cat", "--json", &there, &missing]).expect(1);
    assert_eq!(ended.text(), "0123456789");
    assert_eq!(names(&schema.lines(&ended.stderr)), ["error"]);
    let ended = place.run(["ls", "--json", &server.url("")]).expect(0);
    let entry: Value = serde_json::from_str(&ended.text()).expect("one entry");
    assert_eq!(entry["name"], "there");
    assert_eq!(ended.stderr, "");
    let ended = place.run(["ls", "--json", "-v", &server.url("")]).expect(0);
    let told = schema.lines(&ended.stderr);
    assert!(names(&told).contains(&"summary"), "{}", ended.stderr);
}

#[test]
fn uploads_too() {
    let place = Place::new();
    place.write("local", "x");
    let server = Server::start(&place);
    for words in [
        &["put", "--json", "local"][..],
        &["put", "--json", "/dev/stdin"],
    ] {
        let url = server.url("goal");
        let ended = place.run(words.iter().copied().chain([url.as_str()]));
        let events = events(&ended.expect(0));
        let end = only(&events, "file.end");
        assert_eq!(
            (&end["direction"], &end["outcome"]),
            (&"put".into(), &"complete".into())
        );
    }
}
