//! The project's own commands: `cargo xtask ci` is what CI runs and what the README calls the tests.

mod bench;
mod ci;
mod docs;
mod figures;
mod fuzz;
mod lab;
mod run;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci              everything below that checks, in order; what CI runs (root, for the lab)
  tidy            the laws of the house, file sizes, names, tables without tests
  docs [--check]  write (or compare) the documents that are made from the code
  deny            licences, duplicate and foreign dependencies; installs cargo-deny when absent
  fuzz [SECONDS]  every fuzz target for so long (default 20 s each); installs cargo-fuzz when absent
  lab [ARGS]      real peers on the real kernel: network namespaces, nftables (root)
  bench [ARGS]    wharf beside its peers; writes BENCHMARKS.md (root, to install the peers)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", &[][..]),
    };
    let outcome = match command {
        "ci" => ci::ci(),
        "tidy" => tidy::tidy(),
        "docs" => docs::docs(rest.iter().any(|a| a == "--check")),
        "deny" => ci::deny(),
        "fuzz" => fuzz::fuzz(rest),
        "lab" => lab::lab(rest, false),
        "bench" => bench::bench(rest),
        "help" | "--help" | "-h" => {
            run::say(USAGE);
            Ok(())
        }
        other => Err(format!("no such command: {other:?}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            run::note(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}
