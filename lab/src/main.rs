//! The laboratory's face: `wharf-lab [--wharf PATH] [--full] [--only WORD] [COMMAND...]`, run as root.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf_lab::run(std::env::args().skip(1).collect())
}
