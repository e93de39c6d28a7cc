//! The lab: builds the released program, then lets `wharf-lab` drive it against real peers.

use crate::run::{Outcome, cargo, check};

pub(crate) fn lab(args: &[String]) -> Outcome {
    check(cargo(&[
        "build",
        "--release",
        "-p",
        "wharf",
        "-p",
        "wharf-lab",
    ]))?;
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "wharf-lab", "--"]);
    if args.is_empty() {
        command.arg("all");
    }
    command.args(args);
    check(command)
}
