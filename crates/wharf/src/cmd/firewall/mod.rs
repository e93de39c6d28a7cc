//! `wharf firewall`: the rules that FTP needs, printed, loaded, or compared with those that are loaded.

mod apply;
mod check;
mod deployment;

use std::io::Write;

use wharf_firewall::{RuleSet, Scope, Style};

use crate::args::FirewallArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(crate) fn run(args: &FirewallArgs, output: &Output) -> Result<(), Failure> {
    let deployment = deployment::from(args, output)?;
    let scope = if args.complete {
        Scope::Complete
    } else {
        Scope::Beside
    };
    let rules = RuleSet::new(&deployment, scope).map_err(|error| {
        let failure = Failure::usage(error.to_string());
        match deployment::remedy(error) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    if args.apply.is_some() {
        return apply::run(args, &rules, output);
    }
    if args.check {
        return check::run(&rules, output);
    }
    let Some(dialect) = args.dialect else {
        return Err(Failure::usage("which dialect?").with_hint("--dialect nftables"));
    };
    let style = Style {
        explain: args.explain,
    };
    let text = (dialect.write)(&rules, style).map_err(|error| {
        Failure::usage(format!("{}: {}", dialect.name, error.why)).with_hint(error.instead)
    })?;
    if !args.explain {
        // with --explain they are in the text
        notes(&rules, output);
    }
    print(&text)?;
    if args.yes || args.dry_run {
        output.note("nothing was loaded: --apply nftables does that");
    }
    Ok(())
}

/// What should be known about the rules
fn notes(rules: &RuleSet, output: &Output) {
    for note in rules.notes() {
        output.note(&note.to_string());
    }
}

/// To standard output; `wharf firewall ... | head` is no failure
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::LocalFile,
            format!("cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}
