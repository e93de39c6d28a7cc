//! Bounded fuzzing of every target under fuzz/, each starting from its kept corpus.

use std::path::Path;

use crate::run::{Outcome, cargo, check, ensure_cargo_tool, ensure_program, root};

const FUZZ_VERSION: &str = "0.13.2";
const SMOKE_SECONDS: u32 = 20;

pub(crate) fn fuzz(args: &[String]) -> Outcome {
    let (seconds, only) = match args {
        [] => (SMOKE_SECONDS, None),
        [seconds, rest @ ..] => {
            let seconds = seconds
                .parse()
                .map_err(|_| format!("{seconds:?} is not a number of seconds"))?;
            (seconds, rest.first())
        }
    };
    // libFuzzer itself is C++.
    ensure_program("c++", "g++")?;
    ensure_cargo_tool("fuzz", FUZZ_VERSION)?;
    let targets = targets(&root().join("fuzz/fuzz_targets"))?;
    if targets.is_empty() {
        return Err("fuzz/fuzz_targets holds no target".to_owned());
    }
    for target in targets {
        if only.is_some_and(|name| *name != target) {
            continue;
        }
        // A scratch corpus comes first: libFuzzer writes what it finds there and only reads the kept one.
        let scratch = root().join("target/fuzz-corpus").join(&target);
        std::fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
        let kept = root().join("fuzz/corpus").join(&target);
        // No crate of ours has unsafe code for a sanitizer to look into; without one there are three times as many runs.
        let mut command = cargo(&["fuzz", "run", "--sanitizer", "none", &target]);
        // cargo-fuzz asks for nightly flags; the pinned stable compiler takes them with this.
        command.env("RUSTC_BOOTSTRAP", "1");
        command.arg(&scratch);
        if kept.is_dir() {
            command.arg(&kept);
        }
        command.args([
            "--",
            &format!("-max_total_time={seconds}"),
            "-timeout=10",
            "-rss_limit_mb=2048",
        ]);
        let words = root().join(format!("fuzz/dictionaries/{target}.dict"));
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        check(command)?;
    }
    Ok(())
}

fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter_map(|n| n.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
