//! `wharf firewall --check`: whether what is loaded on this host lets pass what the deployment needs.

use std::io::Write;
use std::process::Stdio;

use wharf_firewall::RuleSet;
use wharf_firewall::comparison::{Answer, Verdict, compare, open_to_strangers};
use wharf_firewall::loaded::Ruleset;

use super::apply;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Ends with 1 where something differs or cannot be said
pub(super) fn run(rules: &RuleSet, output: &Output) -> Result<(), Failure> {
    let loaded = loaded()?;
    if loaded.is_empty() {
        output.note("no rules are loaded on this host: everything passes");
    }
    let mut differs = false;
    for answer in compare(rules, &loaded) {
        match answer.verdict {
            Verdict::AsNeeded(_) => good(&answer, output),
            Verdict::Differs(_) => {
                differs = true;
                output.failure(&Failure::new(Exit::Partial, answer.to_string()));
            }
            Verdict::Unknown(_) => {
                differs = true;
                output.warning(&answer.to_string());
            }
        }
    }
    if !loaded.is_empty() {
        for wide in open_to_strangers(rules, &loaded) {
            output.warning(&wide);
        }
    }
    if !differs {
        return Ok(());
    }
    if loaded.has_iptables() {
        output.note(
            "rules of iptables are loaded, which nft does not tell: iptables-save shows them",
        );
    }
    output.note("wharf firewall --dialect nftables, with the same flags, prints what is missing; on a server `wharf doctor --server` names the line and the chain where it belongs");
    Err(Failure::told(Exit::Partial))
}

/// What was just loaded may not be enough: an accept in one table does not override a drop in another
pub(super) fn after_loading(rules: &RuleSet, output: &Output) -> Result<(), Failure> {
    let loaded = loaded()?;
    for answer in compare(rules, &loaded) {
        if let Verdict::Differs(_) = answer.verdict {
            output.warning(&format!(
                "{answer}; an accept in the table inet wharf does not override it"
            ));
        }
    }
    Ok(())
}

fn good(answer: &Answer, output: &Output) {
    if !output.is_quiet() {
        // A closed stdout must not hide the findings on stderr.
        let _ = writeln!(std::io::stdout(), "ok: {answer}");
    }
}

/// What the kernel has loaded
fn loaded() -> Result<Ruleset, Failure> {
    let ended = apply::start(|nft| {
        nft.args(["-j", "list", "ruleset"])
            .stdin(Stdio::null())
            .output()
    })?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() || (ended.stdout.is_empty() && !said.is_empty()) {
        return Err(apply::refused(&said));
    }
    Ruleset::from_nft_json(&String::from_utf8_lossy(&ended.stdout)).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!("cannot understand what nft says: {error}"),
        )
    })
}
