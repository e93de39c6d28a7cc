//! Google Cloud: VPC firewall rules in Terraform, for the machines that carry a network tag.
//!
//! Written from the documentation of Google Cloud and of its Terraform provider (6.x); `terraform fmt` takes the text,
//! the provider has not seen it. The rules remember connections, a rule has ranges of one family, and none matches a
//! source port: active data connections cannot be held to port 20.

use std::fmt::Write as _;

use super::steps::{cidrs, everywhere, families, first_step, steps, without_helper, word};
use super::terraform::{arguments, list, quoted, variable};
use super::{Dialect, Style, Unsupported};
use crate::deployment::Family;
use crate::explain;
use crate::rule::{Chain, Rule};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "gcp",
    what: "Google Cloud VPC firewall, Terraform",
    extension: "tf",
    load: "put FILE into the Terraform module, terraform apply",
    write,
};

/// Behind every rule that names no priority (1000), before Google's own (65535)
const LAST: u32 = 65_534;

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let side = rules.deployment.side;
    without_helper(rules, "VPC firewall rules")?;
    if side.is_gateway() {
        return Err(Unsupported::new(
            "VPC firewall rules are for machines; Google's gateways and Cloud NAT have none",
            format!(
                "use --side {} for the machine's tag",
                if side.is_servers() {
                    "server"
                } else {
                    "client"
                }
            ),
        ));
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    let remark = match rules.scope {
        Scope::Beside => {
            "A network denies what comes in and allows what goes out unless rules say otherwise: EGRESS rules have a \
             meaning where something denies it. Rules of others that allow more stay in force."
        }
        Scope::Complete => {
            "Everything else is denied for these machines both ways, behind every rule of others that allows more."
        }
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    if steps(rules).any(|it| !it.matching.source_ports.is_any()) {
        out.push_str(&explain::comment(
            "Wider than it should be: no source port can be matched, so active data connections are not held to the \
             server's port. Without active data mode (--modes passive) the rule goes away.",
            "# ",
            110,
        ));
    }
    out.push('\n');
    out.push_str(&variable("network", "The VPC network"));
    let mut blocks: Vec<String> = Vec::new();
    for rule in steps(rules) {
        let mut comment = style.comment(rule, rules, "# ");
        for family in families(rule, rules) {
            let block = resource(rule, family);
            blocks.push(format!("{}{block}", std::mem::take(&mut comment)));
        }
    }
    if rules.scope == Scope::Complete {
        for family in rules.deployment.families() {
            for direction in ["INGRESS", "EGRESS"] {
                blocks.push(nothing_else(direction, family));
            }
        }
    }
    out.push_str(&blocks.join("\n"));
    Ok(out)
}

fn short(family: Family) -> &'static str {
    match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    }
}

fn resource(rule: &Rule, family: Family) -> String {
    let of = &rule.matching;
    let inbound = rule.chain == Chain::Input;
    let step = word(first_step(rule)).replace('_', "-");
    let (direction, others) = if inbound {
        ("INGRESS", &of.source)
    } else {
        ("EGRESS", &of.destination)
    };
    let name = format!("wharf-{step}-{}", short(family));
    let ports = format!(
        "\n  allow {{\n{}  }}\n",
        arguments(
            "    ",
            &[
                ("protocol", quoted("tcp")),
                ("ports", list(&of.destination_ports.texts("-"))),
            ]
        )
    );
    block(&name, direction, &cidrs(others, family), None, &ports)
}

fn nothing_else(direction: &str, family: Family) -> String {
    let name = format!(
        "wharf-nothing-else-{}-{}",
        direction.to_lowercase(),
        short(family)
    );
    let all = [everywhere(family).to_owned()];
    let deny = "\n  deny {\n    protocol = \"all\"\n  }\n";
    block(&name, direction, &all, Some(LAST), deny)
}

fn block(
    name: &str,
    direction: &str,
    others: &[String],
    priority: Option<u32>,
    what: &str,
) -> String {
    let ranges = if direction == "INGRESS" {
        "source_ranges"
    } else {
        "destination_ranges"
    };
    let mut lines = vec![
        ("name", quoted(name)),
        ("network", "var.network".to_owned()),
        ("direction", quoted(direction)),
    ];
    lines.extend(priority.map(|it| ("priority", it.to_string())));
    lines.push((ranges, list(others)));
    lines.push(("target_tags", list(&["wharf".to_owned()])));
    let mut out = String::new();
    let _ = write!(
        out,
        "resource \"google_compute_firewall\" \"{}\" {{\n{}{what}}}\n",
        name.replace('-', "_"),
        arguments("  ", &lines)
    );
    out
}
