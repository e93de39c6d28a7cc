//! Replays what fuzzing keeps under fuzz/corpus/client through the body of that fuzz target.

#[path = "../../../fuzz/checks/client.rs"]
mod client;

use std::path::Path;

#[test]
fn the_kept_corpus_of_generated_servers_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/client");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is in the repository") {
        client::check(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
        seen += 1;
    }
    assert!(seen > 0, "{} is empty", folder.display());
}
