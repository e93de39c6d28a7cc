//! The rules that let a step of a data mode pass, and nothing else: what is left for dialects whose filters deny by
//! default and know connections by themselves.

use super::Unsupported;
use crate::deployment::Family;
use crate::flow::Step;
use crate::rule::{Action, Addresses, Reason, Rule};
use crate::rule_set::RuleSet;

/// The rules that accept a connection of FTP's, each once, in the order of the steps
pub(super) fn steps(rules: &RuleSet) -> impl Iterator<Item = &Rule> + '_ {
    let mut filtered = rules.rules.iter();
    std::iter::from_fn(move || {
        filtered.find(|it| {
            let of_step = it.reasons.iter().any(|it| matches!(it, Reason::Step(_)));
            it.chain.is_filter() && it.action == Action::Accept && of_step
        })
    })
}

/// The step that needs a rule first
pub(super) fn first_step(rule: &Rule) -> Step {
    let mut reasons = rule.reasons.iter();
    let found = reasons.find_map(|it| match it {
        Reason::Step(step) => Some(*step),
        _ => None,
    });
    found.unwrap_or(Step::Control)
}

/// A step as a name in programs
pub(super) fn word(step: Step) -> &'static str {
    match step {
        Step::Control => "control",
        Step::PassiveData => "passive_data",
        Step::ActiveData => "active_data",
    }
}

/// Each network as `ADDRESS/BITS`; where any is meant, the whole family
pub(super) fn cidrs(addresses: &Addresses, family: Family) -> Vec<String> {
    if addresses.is_any() {
        vec![everywhere(family).to_owned()]
    } else {
        addresses.cidrs()
    }
}

/// All addresses of a family
pub(super) fn everywhere(family: Family) -> &'static str {
    match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    }
}

/// The families of a rule that the deployment has
pub(super) fn families(rule: &Rule, rules: &RuleSet) -> Vec<Family> {
    let families = rules.deployment.families();
    families.filter(|it| rule.matching.is_about(*it)).collect()
}

/// For dialects without anybody who reads the control connection
pub(super) fn without_helper(rules: &RuleSet, who: &str) -> Result<(), Unsupported> {
    if rules.uses_helper() {
        return Err(Unsupported::new(
            format!(
                "{who} do not read the control connection, so no helper can open the data ports"
            ),
            "leave --helper out: open a range (--passive-ports), or only the control port (--one-port on)",
        ));
    }
    Ok(())
}
