//! The schema is made of the types; the format of a line.

use std::collections::BTreeSet;

use expect_test::expect_file;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

/// The schema of a line: that of the events, each with what stands in every line.
fn schema() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(Event)).expect("JSON");
    schema["$id"] = json!("wharf-events-1");
    schema["title"] = json!("A line of `wharf --json`, version 1");
    schema["description"] = json!(
        "Made from crates/wharf/src/event/mod.rs. Members and events may be added: skip what you do not know."
    );
    let events = schema["oneOf"].as_array_mut().expect("events");
    for event in events {
        let members = event["properties"].as_object_mut().expect("members");
        members.insert("v".to_owned(), json!({ "const": 1 }));
        members.insert(
            "time".to_owned(),
            json!({ "type": "string", "format": "date-time" }),
        );
        let required = event["required"].as_array_mut().expect("names");
        required.extend([json!("v"), json!("time")]);
    }
    schema
}

#[test]
fn the_published_schema_is_the_one_of_the_types() {
    let mut text = serde_json::to_string_pretty(&schema()).expect("JSON");
    text.push('\n');
    expect_file!["../../../../docs/events.schema.json"].assert_eq(&text);
}

#[test]
fn every_event_is_described_and_none_that_is_not() {
    let page = include_str!("../../../../docs/events.md");
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let schema = schema();
    let events: BTreeSet<&str> = schema["oneOf"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["properties"]["ev"]["const"].as_str())
        .collect();
    assert_eq!(described, events);
}

#[test]
fn a_line_says_version_time_and_event() {
    let now: Timestamp = "2026-11-23T03:04:05.678901Z".parse().expect("a time");
    let event = Event::Note {
        text: "x".to_owned(),
    };
    assert_eq!(
        stream::line(&event, now),
        "{\"v\":1,\"time\":\"2026-11-23T03:04:05.678Z\",\"ev\":\"note\",\"text\":\"x\"}\n"
    );
}
