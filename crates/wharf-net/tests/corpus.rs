//! Replays what fuzzing keeps under fuzz/corpus through the bodies of the fuzz targets that look at connections.

#[path = "../../../fuzz/checks/client_hello.rs"]
mod client_hello;
#[path = "../../../fuzz/checks/proxy_protocol.rs"]
mod proxy_protocol;

use std::path::Path;

type Check = fn(&[u8]);

#[test]
fn the_kept_corpora_pass() {
    let table: [(&str, Check); 2] = [
        ("client_hello", client_hello::check),
        ("proxy_protocol", proxy_protocol::check),
    ];
    for (name, check) in table {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let folder = folder.join(name);
        let mut seen = 0;
        for entry in std::fs::read_dir(&folder).expect("the corpus is in the repository") {
            check(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            seen += 1;
        }
        assert!(seen > 0, "{} is empty", folder.display());
    }
}
