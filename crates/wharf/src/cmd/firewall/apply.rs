//! `wharf firewall --apply nftables`: shows the rules, asks, loads them as one transaction.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use wharf_firewall::{RuleSet, Scope, Style, dialect};

use crate::args::FirewallArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(args: &FirewallArgs, rules: &RuleSet, output: &Output) -> Result<(), Failure> {
    if let Some(other) = args.dialect
        && other.name != "nftables"
    {
        return Err(
            Failure::usage(format!("{} cannot be loaded from here", other.name)).with_hint(
                "print the rules without --apply and load them; --apply nftables needs no --dialect",
            ),
        );
    }
    let nftables = dialect::find("nftables")
        .ok_or_else(|| Failure::new(Exit::Software, "there is no dialect nftables"))?;
    let style = Style {
        explain: args.explain,
    };
    let text = (nftables.write)(rules, style)
        .map_err(|error| Failure::usage(error.why).with_hint(error.instead))?;
    let asks = std::io::stdin().is_terminal();
    if !args.dry_run && !args.yes && !asks {
        return Err(Failure::usage(
            "loading rules asks before, and there is no terminal to ask on",
        )
        .with_hint("--yes loads without asking, --dry-run only checks"));
    }
    super::print(&text)?;
    super::notes(rules, output);
    nft(&["--check", "--file", "-"], &text)?;
    if args.dry_run {
        output.info("nft accepts the rules; nothing was loaded");
        return Ok(());
    }
    if rules.scope == Scope::Complete {
        let side = rules.deployment.side;
        output.warning(if side.is_gateway() {
            "with these rules nothing else is forwarded any more"
        } else {
            "with these rules nothing else reaches this host any more: no new SSH session, no name service"
        });
    }
    if !args.yes && !agreed(output)? {
        return Err(Failure::told(Exit::Partial));
    }
    nft(&["--file", "-"], &text)?;
    output.info("loaded as table inet wharf");
    super::check::after_loading(rules, output)?;
    output.note(
        "until the next start of this machine: to keep it, write the rules to a file that /etc/nftables.conf includes; to \
         undo it: nft delete table inet wharf",
    );
    Ok(())
}

/// Asks on the terminal
fn agreed(output: &Output) -> Result<bool, Failure> {
    eprint_question("Load these rules into the table inet wharf? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| {
        Failure::new(Exit::LocalFile, format!("cannot read the answer: {error}"))
    })?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        output.info("nothing was loaded");
    }
    Ok(agreed)
}

fn eprint_question(text: &str) {
    let mut stderr = std::io::stderr();
    // Nobody who reads it is nobody who answers.
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

/// Runs nft with a text at its standard input
fn nft(words: &[&str], text: &str) -> Result<(), Failure> {
    let mut child = start(|nft| {
        nft.args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // nft that gives up early says why itself
        let _ = stdin.write_all(text.as_bytes());
    }
    let ended = child.wait_with_output().map_err(|error| missing(&error))?;
    if ended.status.success() {
        return Ok(());
    }
    Err(refused(&String::from_utf8_lossy(&ended.stderr)))
}

/// Does something with nft, which is not in everybody's PATH
pub(super) fn start<T>(run: impl Fn(&mut Command) -> std::io::Result<T>) -> Result<T, Failure> {
    match run(&mut Command::new("nft")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            run(&mut Command::new("/usr/sbin/nft"))
        }
        other => other,
    }
    .map_err(|error| missing(&error))
}

/// nft cannot be run at all
fn missing(error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::Unavailable, format!("cannot run nft: {error}"));
    if error.kind() == std::io::ErrorKind::NotFound {
        failure.with_hint("nft is in the package nftables; other firewalls: --dialect")
    } else {
        failure
    }
}

/// nft ran and failed
pub(super) fn refused(said: &str) -> Failure {
    let lines: Vec<String> = said
        .lines()
        .take(10)
        .map(|it| wharf_proto::visible(it.as_bytes()))
        .collect();
    if said.contains("Operation not permitted") || said.contains("Permission denied") {
        return Failure::new(
            Exit::NoPermission,
            "nft may not: rules need root (CAP_NET_ADMIN)",
        )
        .with_hint("run it with sudo, or print the rules without --apply");
    }
    Failure::new(Exit::Unavailable, "nft does not accept it").with_details(lines)
}
