//! The lab: builds the released program, then lets `wharf-lab` drive it against real peers.

use crate::ci;
use crate::run::{Outcome, cargo, check, root};

/// `tested`: the tests of the whole workspace, with all features, have just been built.
pub(crate) fn lab(args: &[String], tested: bool) -> Outcome {
    check(cargo(&[
        "build",
        "--release",
        "-p",
        "wharf",
        "-p",
        "wharf-lab",
    ]))?;
    let all = args.is_empty() || args.iter().any(|it| it == "all");
    let named = |part: &str| all || args.iter().any(|it| it == part);
    if named("system-users") {
        ci::pam()?;
        hooked("drill,pam", tested)?;
    } else if named("drill") {
        hooked("drill", tested)?;
    }
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "wharf-lab", "--"]);
    if args.is_empty() {
        command.arg("all");
    }
    command.args(args);
    check(command)
}

/// The program with the hook of the drill, and with PAM where that is asked for, beside the others and never in their place.
/// Unoptimized, and with all features: in CI it is what the tests were built with, so that next to nothing is left to do.
fn hooked(features: &str, tested: bool) -> Outcome {
    check(if tested {
        cargo(&["test", "--workspace", "--all-features", "--no-run"])
    } else {
        cargo(&["build", "-p", "wharf", "--features", features])
    })?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), std::path::PathBuf::from);
    let (built, folder) = (target.join("debug/wharf"), target.join("drill"));
    // Nobody shall find it where the usual one is; cargo puts that back.
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::copy(&built, folder.join("wharf")))
        .and_then(|_| std::fs::remove_file(&built))
        .map_err(|error| format!("{}: {error}", built.display()))
}
