//! The benchmark: wharf and its peers, interleaved in one run.

use crate::run::{Outcome, cargo, check};

pub(crate) fn bench(args: &[String]) -> Outcome {
    check(cargo(&[
        "build",
        "--release",
        "-p",
        "wharf",
        "-p",
        "wharf-lab",
        "-p",
        "wharf-bench",
    ]))?;
    check(cargo(&[
        "run",
        "--quiet",
        "--release",
        "-p",
        "wharf-lab",
        "--",
        "setup",
    ]))?;
    let mut command = cargo(&["run", "--quiet", "--release", "-p", "wharf-bench", "--"]);
    command.args(args);
    check(command)
}
