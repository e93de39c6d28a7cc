//! Replays what fuzzing keeps under fuzz/corpus through the very bodies of the fuzz targets.

#![expect(
    clippy::disallowed_methods,
    reason = "law 1 is for the library; a corpus is files"
)]

#[path = "../../../fuzz/checks/command.rs"]
mod command;
#[path = "../../../fuzz/checks/facts.rs"]
mod facts;
#[path = "../../../fuzz/checks/host_port.rs"]
mod host_port;
#[path = "../../../fuzz/checks/line.rs"]
mod line;
#[path = "../../../fuzz/checks/listing.rs"]
mod listing;
#[path = "../../../fuzz/checks/reply.rs"]
mod reply;

use std::path::Path;

/// What a target does with an input.
type Check = fn(&[u8]);

/// Target, its body.
const TARGETS: &[(&str, Check)] = &[
    ("command", command::check),
    ("facts", facts::check),
    ("host_port", host_port::check),
    ("line", line::check),
    ("listing", listing::check),
    ("reply", reply::check),
];

#[test]
fn the_kept_corpus_of_every_target_passes() {
    for (name, check) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(name);
        let mut seen = 0;
        for entry in std::fs::read_dir(&folder).expect("the corpus is in the repository") {
            check(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            seen += 1;
        }
        assert!(seen > 0, "{} is empty", folder.display());
    }
}
