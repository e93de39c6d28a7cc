//! Golden pictures: every trace in `tests/pictures/` as text, Mermaid and SVG. `UPDATE_EXPECT=1` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use wharf_ladder::render::{self, Look};
use wharf_ladder::source::Source;
use wharf_ladder::{Ladder, Options};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

/// Name and bytes of every trace.
fn traces() -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "trace"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() >= 14, "traces are missing");
    found
}

fn ladder(bytes: &[u8], options: &Options) -> Ladder {
    Ladder::from_events(&Source::open(bytes).unwrap().events, options)
}

fn check(file: &str, picture: &str) {
    expect_file![folder().join(file)].assert_eq(picture);
}

#[test]
fn every_trace_has_its_pictures() {
    for (name, bytes) in traces() {
        let (ladder, look) = (ladder(&bytes, &Options::default()), Look::default());
        check(&format!("{name}.txt"), &render::text(&ladder, &look));
        check(&format!("{name}.mmd"), &render::mermaid(&ladder, &look));
        check(&format!("{name}.svg"), &render::svg(&ladder, &look));
    }
}

/// One trace of each kind in every other way to look at it.
#[test]
fn looks_and_options() {
    let all = Options {
        all: true,
        ..Options::default()
    };
    let plain = Look::default();
    let looks: [(&str, &str, &Options, Look); 5] = [
        (
            "active",
            "all-times",
            &all,
            Look {
                times: true,
                ..plain.clone()
            },
        ),
        (
            "active-silent",
            "colour",
            &Options::default(),
            Look {
                colour: true,
                ..plain.clone()
            },
        ),
        (
            "hostile",
            "all-ascii",
            &all,
            Look {
                ascii: true,
                ..plain.clone()
            },
        ),
        (
            "stranger",
            "narrow",
            &Options::default(),
            Look {
                width: 50,
                ..plain.clone()
            },
        ),
        (
            "sessions",
            "second",
            &Options {
                session: Some(2),
                ..Options::default()
            },
            plain,
        ),
    ];
    for (name, kind, options, look) in looks {
        let bytes = fs::read(folder().join(format!("{name}.trace"))).unwrap();
        let picture = render::text(&ladder(&bytes, options), &look);
        check(&format!("{name}.{kind}.txt"), &picture);
    }
}

/// What a peer or a file says never reaches the terminal, the page or the diagram as more than text.
#[test]
fn nothing_foreign_gets_out() {
    let everything = Options {
        all: true,
        ..Options::default()
    };
    for (name, bytes) in traces() {
        for options in [&Options::default(), &everything] {
            let ladder = ladder(&bytes, options);
            let look = Look::default();
            let pictures = [
                render::text(&ladder, &look),
                render::svg(&ladder, &look),
                render::mermaid(&ladder, &look),
            ];
            for picture in &pictures {
                for secret in ["hunter2", "old-secret", "new-secret", "slipped", "c2VjcmV0"] {
                    assert!(!picture.contains(secret), "{name}: {secret}\n{picture}");
                }
                let stray = picture
                    .chars()
                    .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
                assert_eq!(stray, None, "{name}");
            }
            let [text, svg, mermaid] = &pictures;
            assert!(!svg.contains("<script"), "{name}");
            assert!(
                text.lines().all(|line| line.chars().count() <= 80),
                "{name}"
            );
            assert!(
                mermaid.lines().skip(1).all(|line| line.starts_with("    ")),
                "{name}"
            );
            let ascii = render::text(
                &ladder,
                &Look {
                    ascii: true,
                    ..look
                },
            );
            assert!(ascii.is_ascii(), "{name}");
        }
    }
}
