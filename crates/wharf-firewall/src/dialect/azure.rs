//! Microsoft Azure: rules of a network security group in Terraform, for the subnet or the interface of the machine
//! that the server or the client runs on.
//!
//! Written from the documentation of Azure and of its Terraform provider (4.x); `terraform fmt` takes the text, the
//! provider has not seen it. The groups remember connections, go by priority, and match source ports. They see a
//! machine's own address, never its public one, so that one is not repeated. A rule has prefixes of one family.

use super::steps::{cidrs, families, first_step, without_helper, word};
use super::terraform::{arguments, list, quoted, variable};
use super::{Dialect, Style, Unsupported};
use crate::deployment::Family;
use crate::explain;
use crate::flow::Ports;
use crate::rule::{Action, Chain, Reason, Rule};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "azure",
    what: "Azure network security group, Terraform",
    extension: "tf",
    load: "put FILE into the Terraform module, terraform apply",
    write,
};

/// The first rule's priority; the lowest number that Azure takes
const FIRST: usize = 100;
/// Behind all others, before Azure's own
const LAST: usize = 4096;

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let side = rules.deployment.side;
    without_helper(rules, "network security groups")?;
    if side.is_gateway() {
        return Err(Unsupported::new(
            "a network security group hangs on a subnet or an interface, not on what forwards",
            format!(
                "use --side {} for the group of the machine",
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
            "Azure's own rules behind these let in the virtual network and the load balancer, and let out everything."
        }
        Scope::Complete => {
            "The last two rules deny everything else both ways, the virtual network and Azure's health probes included."
        }
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    out.push('\n');
    out.push_str(&variable(
        "resource_group_name",
        "The resource group of the security group",
    ));
    out.push_str(&variable(
        "network_security_group_name",
        "The security group",
    ));
    let mut names: Vec<String> = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    for rule in rules.rules.iter().filter(|it| is_meant(it)) {
        let mut comment = style.comment(rule, rules, "# ");
        for (family, suffix) in prefixes(rule, rules) {
            let mut name = match rule.action {
                Action::Drop => "others".to_owned(),
                _ => word(first_step(rule)).to_owned(),
            };
            name.push_str(suffix);
            while names.contains(&name) {
                name.push_str("_too");
            }
            let priority = FIRST + 10 * blocks.len();
            let block = resource(rule, family, &name, priority);
            blocks.push(format!("{}{block}", std::mem::take(&mut comment)));
            names.push(name);
        }
    }
    if rules.scope == Scope::Complete {
        blocks.push(everything("Inbound"));
        blocks.push(everything("Outbound"));
    }
    out.push_str(&blocks.join("\n"));
    Ok(out)
}

/// Steps, and that others do not get there; the rest Azure does by itself
fn is_meant(rule: &Rule) -> bool {
    let has = |it: &Reason| matches!(it, Reason::Step(_) | Reason::Guard);
    rule.chain.is_filter() && rule.reasons.iter().any(has)
}

/// Once where any address of both families is meant, else once for each family
fn prefixes(rule: &Rule, rules: &RuleSet) -> Vec<(Option<Family>, &'static str)> {
    let families = families(rule, rules);
    if families.len() == 2 {
        return vec![(None, "")];
    }
    let suffix = |family| match family {
        Family::V4 => "_v4",
        Family::V6 => "_v6",
    };
    families
        .into_iter()
        .map(|it| (Some(it), suffix(it)))
        .collect()
}

fn resource(rule: &Rule, family: Option<Family>, name: &str, priority: usize) -> String {
    let of = &rule.matching;
    let inbound = rule.chain == Chain::Input;
    let others = if inbound { &of.source } else { &of.destination };
    let others = match family {
        Some(family) => cidrs(others, family),
        None => vec!["*".to_owned()],
    };
    let (direction, there, here) = if inbound {
        ("Inbound", "source", "destination")
    } else {
        ("Outbound", "destination", "source")
    };
    let access = if rule.action == Action::Drop {
        "Deny"
    } else {
        "Allow"
    };
    let mut lines = vec![
        ("name".to_owned(), quoted(&format!("wharf_{name}"))),
        ("priority".to_owned(), priority.to_string()),
        ("direction".to_owned(), quoted(direction)),
        ("access".to_owned(), quoted(access)),
        ("protocol".to_owned(), quoted("Tcp")),
    ];
    lines.push(ports("source", &of.source_ports));
    lines.push(ports("destination", &of.destination_ports));
    lines.push(match others.as_slice() {
        [one] => (format!("{there}_address_prefix"), quoted(one)),
        several => (format!("{there}_address_prefixes"), list(several)),
    });
    lines.push((format!("{here}_address_prefix"), quoted("*")));
    block(name, &mut lines)
}

fn ports(side: &str, ports: &Ports) -> (String, String) {
    match ports.texts("-").as_slice() {
        [] => (format!("{side}_port_range"), quoted("*")),
        [one] => (format!("{side}_port_range"), quoted(one)),
        several => (format!("{side}_port_ranges"), list(several)),
    }
}

/// Denies what nothing allowed
fn everything(direction: &str) -> String {
    let name = format!("nothing_else_{}", direction.to_lowercase());
    let mut lines = vec![
        ("name".to_owned(), quoted(&format!("wharf_{name}"))),
        ("priority".to_owned(), LAST.to_string()),
        ("direction".to_owned(), quoted(direction)),
        ("access".to_owned(), quoted("Deny")),
        ("protocol".to_owned(), quoted("*")),
    ];
    for argument in [
        "source_port_range",
        "destination_port_range",
        "source_address_prefix",
        "destination_address_prefix",
    ] {
        lines.push((argument.to_owned(), quoted("*")));
    }
    block(&name, &mut lines)
}

fn block(name: &str, lines: &mut Vec<(String, String)>) -> String {
    for argument in ["resource_group_name", "network_security_group_name"] {
        lines.push((argument.to_owned(), format!("var.{argument}")));
    }
    let lines: Vec<(&str, String)> = lines.iter().map(|(a, b)| (a.as_str(), b.clone())).collect();
    format!(
        "resource \"azurerm_network_security_rule\" \"wharf_{name}\" {{\n{}}}\n",
        arguments("  ", &lines)
    )
}
