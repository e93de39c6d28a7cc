//! The lab: builds the released program, then lets `wharf-lab` drive it against real peers.

use crate::run::{Outcome, cargo, check, root};

pub(crate) fn lab(args: &[String]) -> Outcome {
    check(cargo(&[
        "build",
        "--release",
        "-p",
        "wharf",
        "-p",
        "wharf-lab",
    ]))?;
    if args.is_empty() || args.iter().any(|it| it == "all" || it == "drill") {
        hooked()?;
    }
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "wharf-lab", "--"]);
    if args.is_empty() {
        command.arg("all");
    }
    command.args(args);
    check(command)
}

/// The program with the hook of the drill, beside the others and never in their place. Unoptimized: `cargo test` has built
/// nearly all of it already.
fn hooked() -> Outcome {
    check(cargo(&["build", "-p", "wharf", "--features", "drill"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), std::path::PathBuf::from);
    let folder = target.join("drill");
    let copied = std::fs::create_dir_all(&folder).and_then(|()| {
        let built = target.join("debug");
        std::fs::copy(built.join("wharf"), folder.join("wharf"))
    });
    copied.map_err(|error| format!("{}: {error}", folder.display()))?;
    // Nobody shall find it where the usual one is.
    check(cargo(&["build", "-p", "wharf"]))
}
