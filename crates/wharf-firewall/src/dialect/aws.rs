//! Amazon Web Services: a security group in Terraform, for the instance that the server or the client runs on.
//!
//! Written from the documentation of AWS and of its Terraform provider (5.x, one resource a rule); `terraform fmt`
//! takes the text, the provider has not seen it. Security groups remember connections, deny by default, allow only,
//! and match no source port: active data connections cannot be held to port 20.

use std::fmt::Write as _;

use super::steps::{cidrs, families, first_step, steps, without_helper, word};
use super::terraform::{arguments, quoted, variable};
use super::{Dialect, Style, Unsupported};
use crate::deployment::Family;
use crate::explain;
use crate::rule::{Chain, Rule};
use crate::rule_set::RuleSet;

pub(super) const DIALECT: Dialect = Dialect {
    name: "aws",
    what: "AWS security group, Terraform",
    extension: "tf",
    load: "put FILE into the Terraform module, terraform apply",
    write,
};

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let side = rules.deployment.side;
    without_helper(rules, "security groups")?;
    if side.is_gateway() {
        return Err(Unsupported::new(
            "AWS' internet and NAT gateways have no rules of their own",
            format!(
                "use --side {} for the security group of the instance, behind its public address",
                if side.is_servers() {
                    "server"
                } else {
                    "client"
                }
            ),
        ));
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    out.push_str(&explain::comment(
        "A security group without rules lets nothing pass, either way; replies pass by themselves. Groups that hang on \
         the same interface add to it. Terraform removes the rule by which AWS lets out everything.",
        "# ",
        110,
    ));
    if steps(rules).any(|it| !it.matching.source_ports.is_any()) {
        out.push_str(&explain::comment(
            "Wider than it should be: a security group matches no source port, so active data connections are not held \
             to the server's port. Without active data mode (--modes passive) the rule goes away.",
            "# ",
            110,
        ));
    }
    out.push('\n');
    out.push_str(&variable("vpc_id", "The VPC of the instance"));
    let about = format!("FTP, {side}: wharf firewall");
    let group = [
        ("name", quoted("wharf")),
        ("description", quoted(&about)),
        ("vpc_id", "var.vpc_id".to_owned()),
    ];
    let _ = write!(
        out,
        "resource \"aws_security_group\" \"wharf\" {{\n{}}}\n",
        arguments("  ", &group)
    );
    for rule in steps(rules) {
        out.push('\n');
        out.push_str(&style.comment(rule, rules, "# "));
        let blocks: Vec<String> = families(rule, rules)
            .into_iter()
            .flat_map(|family| resources(rule, family))
            .collect();
        out.push_str(&blocks.join("\n"));
    }
    Ok(out)
}

/// One resource for each network and each range of ports
fn resources(rule: &Rule, family: Family) -> Vec<String> {
    let of = &rule.matching;
    let inbound = rule.chain == Chain::Input;
    let (direction, others) = if inbound {
        ("ingress", &of.source)
    } else {
        ("egress", &of.destination)
    };
    let (argument, short) = match family {
        Family::V4 => ("cidr_ipv4", "v4"),
        Family::V6 => ("cidr_ipv6", "v6"),
    };
    let step = word(first_step(rule));
    let mut blocks = Vec::new();
    for (number, cidr) in cidrs(others, family).iter().enumerate() {
        for (lo, hi) in of.destination_ports.ranges() {
            let mut name = format!("{step}_{short}");
            if others.iter().len() > 1 {
                let _ = write!(name, "_{}", number + 1);
            }
            if of.destination_ports.ranges().len() > 1 {
                let _ = write!(name, "_port_{lo}");
            }
            let lines = [
                (
                    "security_group_id",
                    "aws_security_group.wharf.id".to_owned(),
                ),
                ("description", quoted(&format!("FTP {}", first_step(rule)))),
                (argument, quoted(cidr)),
                ("ip_protocol", quoted("tcp")),
                ("from_port", lo.to_string()),
                ("to_port", hi.to_string()),
            ];
            blocks.push(format!(
                "resource \"aws_vpc_security_group_{direction}_rule\" \"{name}\" {{\n{}}}\n",
                arguments("  ", &lines)
            ));
        }
    }
    blocks
}
