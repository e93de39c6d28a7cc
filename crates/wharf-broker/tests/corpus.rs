//! Replays what fuzzing keeps under fuzz/corpus through the body of the fuzz target that looks at the two processes'
//! messages.

#[path = "../../../fuzz/checks/broker.rs"]
mod broker;

use std::path::Path;

#[test]
fn the_kept_corpus_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/broker");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is in the repository") {
        broker::check(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        seen += 1;
    }
    assert!(seen > 0, "{} is empty", folder.display());
}
