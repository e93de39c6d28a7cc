//! Rows without tests.

use super::File;

pub(crate) fn tables(files: &[File], faults: &mut Vec<String>) {
    verbs_have_transcripts(files, faults);
    fuzz_targets_have_a_corpus(files, faults);
}

/// Every verb of the table is spoken by a server transcript or the reply-sequence table.
fn verbs_have_transcripts(files: &[File], faults: &mut Vec<String>) {
    let spoken: String = files
        .iter()
        .filter(|f| f.path.starts_with("crates/wharf-server/tests/"))
        .map(|f| f.text.to_uppercase())
        .collect();
    for verb in wharf_proto::VERBS {
        if !spoken.contains(verb.word) {
            faults.push(format!(
                "verb without transcript: {} is never sent in crates/wharf-server/tests",
                verb.word
            ));
        }
    }
}

/// Every fuzz target's kept corpus is replayed by an ordinary test, which looks for the folder.
fn fuzz_targets_have_a_corpus(files: &[File], faults: &mut Vec<String>) {
    let corpus = crate::run::root().join("fuzz/corpus");
    for file in files {
        let Some(name) = file
            .path
            .strip_prefix("fuzz/fuzz_targets/")
            .and_then(|n| n.strip_suffix(".rs"))
        else {
            continue;
        };
        let filled = std::fs::read_dir(corpus.join(name)).is_ok_and(|mut d| d.next().is_some());
        if !filled {
            faults.push(format!("fuzz target without corpus: fuzz/corpus/{name}"));
        }
    }
}
