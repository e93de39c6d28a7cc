//! Sizes and names of files, and what must not stand in any of them.

use super::File;
use crate::run::note;

const WARN_LINES: usize = 500;
const MAX_LINES: usize = 700;

/// Files that are one table; their length is their content.
const TABLES: &[&str] = &["crates/wharf-proto/src/command/table.rs"];

const FORBIDDEN_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "misc", "manager",
];

/// Leftovers, and traces of one particular machine. Written in halves so that this file is clean itself.
const FORBIDDEN_TEXT: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ig", "nore"),
    concat!("/wo", "rk/"),
    concat!("kill", "all "),
    concat!("pkill ", "-f"),
];

pub(crate) fn shape(files: &[File], faults: &mut Vec<String>) {
    for file in files {
        if file.is_rust() {
            size(file, faults);
            name(file, faults);
        }
        for word in FORBIDDEN_TEXT {
            if let Some(at) = file.text.find(word) {
                let line = file.text[..at].lines().count().max(1);
                faults.push(format!("{}:{line}: {word:?} must not land", file.path));
            }
        }
    }
}

fn size(file: &File, faults: &mut Vec<String>) {
    if TABLES.contains(&file.path.as_str()) || file.path.contains("/tests/") {
        return;
    }
    let body = file
        .text
        .find("\n#[cfg(test)]\nmod tests")
        .unwrap_or(file.text.len());
    let lines = file.text[..body].lines().count();
    if lines > MAX_LINES {
        faults.push(format!(
            "{}: {lines} lines without tests, {MAX_LINES} at most: is it two things in one room?",
            file.path
        ));
    } else if lines > WARN_LINES {
        note(&format!("tidy: note: {} has {lines} lines", file.path));
    }
}

fn name(file: &File, faults: &mut Vec<String>) {
    let parts = file.path.trim_end_matches(".rs").split('/');
    for part in parts {
        if FORBIDDEN_NAMES.contains(&part) {
            faults.push(format!("{}: {part:?} names nothing", file.path));
        }
    }
}
