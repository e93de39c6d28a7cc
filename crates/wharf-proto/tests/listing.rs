//! The corpus of listings: `tests/listing/DIALECT.txt` holds lines as servers send them, each with what is read from it.
//!
//! A line that begins with `#` is a comment; `= ` is what the line before means; `@ fresh` begins another listing; behind
//! `@ rejected` stand lines that look like the dialect and are none: nobody may read them. `\t` and `\xNN` stand for
//! bytes. `UPDATE_EXPECT=1` writes the `=` lines anew: then the difference is to be read by a person.
//!
//! `kind mode size time links owner:group |name| -> target`; `?` is what is not told, `~` a size that is about right, a time
//! is as long as it is precise, `Z` means that it is UTC.

#![expect(
    clippy::disallowed_methods,
    reason = "law 1 is for the library; a corpus is files"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wharf_proto::Timestamp;
use wharf_proto::listing::{DIALECTS, Entry, EntryKind, ListLine, ListReader, Precision};

fn now() -> Timestamp {
    Timestamp::from_wire(b"20260601120000").expect("a time")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/listing")
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace('\t', "\\t"),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

fn told<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

fn shown(line: &ListLine) -> String {
    let Entry {
        name,
        kind,
        size,
        about,
        modified,
        mode,
        links,
        owner,
        group,
    } = match line {
        ListLine::Nothing => return "nothing".to_owned(),
        ListLine::Unknown => return "unknown".to_owned(),
        ListLine::Entry(entry) => entry,
    };
    let word = match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "dir",
        EntryKind::Symlink { .. } => "link",
        EntryKind::Other => "other",
    };
    let size = match about {
        Some(about) => format!("~{about}"),
        None => told(*size),
    };
    let time = modified.map(|time| {
        let wire = time.at.to_wire();
        let length = match time.precision {
            Precision::Day => 8,
            Precision::Minute => 12,
            Precision::Second => 14,
        };
        format!("{}{}", &wire[..length], if time.utc { "Z" } else { "" })
    });
    let mut shown = format!(
        "{word} {} {size} {} {} {}:{} |{}|",
        told(mode.map(|mode| format!("{mode:o}"))),
        told(time),
        told(*links),
        told(owner.as_deref().map(text)),
        told(group.as_deref().map(text)),
        text(name),
    );
    if let EntryKind::Symlink { target } = kind {
        let _ = write!(shown, " -> {}", told(target.as_deref().map(text)));
    }
    shown
}

/// The bytes of a line of the corpus.
fn bytes(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('t') {
            bytes.push(b'\t');
            rest = behind;
        } else if let Some(digits) = rest.strip_prefix('x') {
            bytes.push(u8::from_str_radix(&digits[..2], 16).expect("two digits"));
            rest = &digits[2..];
        } else {
            bytes.push(b'\\');
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The dialects besides its own that read this line, taken alone.
fn others(own: &str, line: &[u8]) -> Vec<&'static str> {
    let reads = |name: &str| {
        let dialect = DIALECTS.iter().find(|dialect| dialect.name == name);
        let mut reader = ListReader::new(now()).in_dialect(dialect.expect("a dialect"));
        matches!(reader.read(line), ListLine::Entry(_))
    };
    let others = DIALECTS.iter().map(|dialect| dialect.name);
    others
        .filter(|name| *name != own && reads(name))
        // Peter's lines have the form of Unix and other numbers; he is asked first
        .filter(|name| !(own == "macos-peter" && *name == "unix"))
        .collect()
}

/// Nobody takes the line for an entry, and it is reported.
fn is_rejected(line: &[u8]) -> bool {
    let mut reader = ListReader::new(now());
    let unread = reader.read(line) == ListLine::Unknown || reader.finish().is_some();
    unread && others("", line).is_empty()
}

#[derive(Default)]
struct Counts {
    read: usize,
    rejected: usize,
}

/// Checks the file; returns it with what is read now.
fn check(name: &str, corpus: &str, wrong: &mut Vec<String>) -> (String, Counts) {
    let mut counts = Counts::default();
    let mut written = String::new();
    let mut reader = ListReader::new(now());
    let mut rejecting = false;
    let mut lines = corpus.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("= ") {
            continue;
        }
        let _ = writeln!(written, "{line}");
        match line {
            "@ fresh" => reader = ListReader::new(now()),
            "@ rejected" => rejecting = true,
            _ if line.is_empty() || line.starts_with('#') => {}
            _ if rejecting => {
                counts.rejected += 1;
                if !is_rejected(&bytes(line)) {
                    wrong.push(format!("{name}: read by somebody: {line}"));
                }
            }
            _ => {
                counts.read += 1;
                let line = bytes(line);
                let read = reader.read(&line);
                let found = format!("= {}", shown(&read));
                if lines.peek() != Some(&found.as_str()) {
                    let expected = lines.peek().unwrap_or(&"nothing there");
                    wrong.push(format!(
                        "{name}: {}\n  expected {expected}\n  found    {found}",
                        text(&line)
                    ));
                }
                let _ = writeln!(written, "{found}");
                if matches!(read, ListLine::Entry(_)) {
                    let dialect = reader.dialect().map(|dialect| dialect.name);
                    if dialect != Some(name) {
                        wrong.push(format!("{name}: read as {dialect:?}: {}", text(&line)));
                    }
                    for other in others(name, &line) {
                        wrong.push(format!("{name}: read by {other}, too: {}", text(&line)));
                    }
                }
            }
        }
    }
    if let Some(half) = reader.finish() {
        wrong.push(format!("{name}: half an entry left: {}", text(&half)));
    }
    (written, counts)
}

#[test]
fn every_dialect_reads_its_lines_and_nobody_reads_the_wrong_ones() {
    let mut wrong = Vec::new();
    let mut all = Counts::default();
    for dialect in DIALECTS {
        let path = folder().join(format!("{}.txt", dialect.name));
        let corpus = std::fs::read_to_string(&path).expect("every dialect has its corpus");
        let mut faults = Vec::new();
        let (written, counts) = check(dialect.name, &corpus, &mut faults);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, written).expect("the corpus can be written");
            faults.retain(|fault| !fault.contains("expected"));
        }
        wrong.append(&mut faults);
        if counts.read < 5 || counts.rejected < 4 {
            wrong.push(format!("{}: too few lines", dialect.name));
        }
        all.read += counts.read;
        all.rejected += counts.rejected;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // what the corpus is for: many lines of many servers
    assert!(all.read >= 300, "{} lines", all.read);
    assert!(DIALECTS.len() >= 15);
    assert!(all.rejected >= 100, "{} rejected lines", all.rejected);
}

#[test]
fn lines_of_no_dialect_are_reported() {
    let corpus = std::fs::read_to_string(folder().join("none.txt")).expect("a corpus");
    for line in corpus
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        assert!(is_rejected(&bytes(line)), "{line}");
    }
}
