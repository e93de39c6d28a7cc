//! One golden file for each case and dialect: `tests/golden/CASE.DIALECT.txt`. `UPDATE_EXPECT=1` writes them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use expect_test::expect_file;
use wharf_firewall::{DIALECTS, RuleSet, Style};

use crate::cases::CASES;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// What a dialect makes of a case; what it has no words for, too
fn written(case: &crate::cases::Case, dialect: &wharf_firewall::Dialect) -> String {
    let rules = RuleSet::new(&(case.deployment)(), case.scope).unwrap();
    let style = Style {
        explain: case.explain,
    };
    match (dialect.write)(&rules, style) {
        Ok(text) => text,
        Err(it) => format!("unsupported: {}\ninstead: {}\n", it.why, it.instead),
    }
}

#[test]
fn every_dialect_writes_every_case_as_it_always_did() {
    let mut wanted = BTreeSet::new();
    for dialect in DIALECTS {
        for case in CASES {
            let name = format!("{}.{}.txt", case.name, dialect.name);
            expect_file![folder().join(&name)].assert_eq(&written(case, dialect));
            wanted.insert(name);
        }
    }
    let there = std::fs::read_dir(folder()).unwrap();
    let there: BTreeSet<String> = there
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    let stray: Vec<_> = there.difference(&wanted).collect();
    assert!(
        stray.is_empty(),
        "golden files of no case or dialect: {stray:?}"
    );
}

#[test]
fn every_output_is_text_that_ends_a_line_and_names_are_unique() {
    let names: BTreeSet<_> = DIALECTS.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), DIALECTS.len());
    let names: BTreeSet<_> = CASES.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), CASES.len());
    for dialect in DIALECTS {
        assert!(
            dialect.load.contains("FILE"),
            "{}: how is it loaded?",
            dialect.name
        );
        for case in CASES {
            let text = written(case, dialect);
            let (name, dialect) = (case.name, dialect.name);
            assert!(text.ends_with('\n'), "{name}, {dialect}");
            for line in text.lines() {
                assert_eq!(
                    line,
                    line.trim_end(),
                    "{name}, {dialect}: spaces at the end"
                );
                assert!(!line.contains('\r'), "{name}, {dialect}");
            }
        }
    }
}
