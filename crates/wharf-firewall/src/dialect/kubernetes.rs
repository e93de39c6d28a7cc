//! Kubernetes: a `Service` of type `LoadBalancer` and a `NetworkPolicy` for the server's pod; for a client's pod the
//! policy.
//!
//! Written from the documentation of Kubernetes (`endPort` since 1.25); read by a YAML parser, no cluster has seen it.
//! A Service knows no ranges (kubernetes/kubernetes#23864): every data port is an entry of its own, so only small
//! ranges are written; a large one stays closed where the server sends clients to its control port instead
//! (`--one-port auto`). A policy matches no source port.

use std::fmt::Write as _;

use wharf_proto::data_connection::passive::PortRange;

use super::steps::{cidrs, families, first_step, steps, without_helper};
use super::{Dialect, Style, Unsupported};
use crate::deployment::{Deployment, Passive, Side};
use crate::explain;
use crate::flow::Step;
use crate::rule::{Addresses, Chain, Rule};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "kubernetes",
    what: "Kubernetes Service and NetworkPolicy",
    extension: "yaml",
    load: "kubectl apply -f FILE",
    write,
};

/// The most data ports that are listed; cloud balancers take 50 to 100 ports
const LISTED: u32 = 40;

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let side = rules.deployment.side;
    without_helper(rules, "Services and network policies")?;
    if side.is_gateway() {
        return Err(Unsupported::new(
            "in Kubernetes the way in front of a pod is its Service",
            format!(
                "use --side {}, with which the Service is written as well",
                if side.is_servers() {
                    "server"
                } else {
                    "client"
                }
            ),
        ));
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    if side == Side::Server {
        out.push_str(&service(rules)?);
        out.push_str("---\n");
    }
    out.push_str(&policy(rules, style));
    Ok(out)
}

/// The data ports, if they are few enough
fn listed(of: &Deployment) -> Option<PortRange> {
    let ports = of.passive.and_then(Passive::ports);
    ports.filter(|it| u32::from(it.hi()) - u32::from(it.lo()) < LISTED)
}

fn service(rules: &RuleSet) -> Result<String, Unsupported> {
    let of = &rules.deployment;
    let data = listed(of);
    if let Some(ports) = of.passive.and_then(Passive::ports)
        && data.is_none()
        && !of.one_port_auto
    {
        return Err(Unsupported::new(
            format!(
                "a Service has no port ranges, and {ports} would be {} entries, more than a balancer takes",
                u32::from(ports.hi()) - u32::from(ports.lo()) + 1
            ),
            format!(
                "use --one-port on, one entry for everything; or a few shared ports (--data-port 50000-50003), or a \
                 range of at most {LISTED}"
            ),
        ));
    }
    let mut out = String::new();
    let mut remark = "One pod only (replicas: 1): the data connection must come to the pod that has the control \
                      connection. externalTrafficPolicy: Local keeps the clients' addresses, by which the server knows \
                      their data connections. Tell the server the balancer's address: --advertise."
        .to_owned();
    if let (None, Some(ports)) = (data, of.passive.and_then(Passive::ports)) {
        let _ = write!(
            remark,
            " A Service has no ranges, so ports {ports} stay closed: with --one-port auto the server sends clients to the \
             control port when they do not get there, a few seconds late. --one-port on does it at once."
        );
    } else if data.is_some() {
        remark.push_str(" With --one-port on port and Service are one entry.");
    }
    if of.active.is_some() {
        remark.push_str(
            " Active data connections leave the cluster with a node's address, which most clients refuse: passive data \
             mode is what works here.",
        );
    }
    out.push_str(&explain::comment(&remark, "# ", 110));
    out.push_str(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: wharf\nspec:\n  type: LoadBalancer\n  \
         externalTrafficPolicy: Local\n  sessionAffinity: ClientIP\n",
    );
    let families: Vec<String> = of.families().map(|it| format!("{it:?}")).collect();
    if let [one] = families.as_slice() {
        let name = if one == "V4" { "IPv4" } else { "IPv6" };
        let _ = write!(
            out,
            "  ipFamilyPolicy: SingleStack\n  ipFamilies: [{name}]\n"
        );
    } else {
        out.push_str("  ipFamilyPolicy: PreferDualStack\n");
    }
    if !of.clients.is_empty() {
        out.push_str("  loadBalancerSourceRanges:\n");
        for client in Addresses::networks(of.clients.iter().copied()).cidrs() {
            let _ = writeln!(out, "    - {client:?}");
        }
    }
    out.push_str("  selector:\n    app: wharf\n  ports:\n");
    for port in &of.control_ports {
        let _ = write!(
            out,
            "    - name: control-{port}\n      protocol: TCP\n      port: {port}\n      targetPort: {port}\n"
        );
    }
    if let Some(ports) = data {
        for port in ports.lo()..=ports.hi() {
            let _ = write!(
                out,
                "    - name: data-{port}\n      protocol: TCP\n      port: {port}\n      targetPort: {port}\n"
            );
        }
    }
    Ok(out)
}

fn policy(rules: &RuleSet, style: Style) -> String {
    let side = rules.deployment.side;
    let (name, complete) = match side {
        Side::Server | Side::ServerGateway => ("wharf", rules.scope == Scope::Complete),
        Side::Client | Side::ClientGateway => ("ftp-client", rules.scope == Scope::Complete),
    };
    let ways: Vec<(&str, Chain)> = [("Ingress", Chain::Input), ("Egress", Chain::Output)]
        .into_iter()
        .filter(|(_, chain)| complete || (*chain == Chain::Input) == side.is_servers())
        .collect();
    let mut out = String::new();
    let types: Vec<&str> = ways.iter().map(|it| it.0).collect();
    let remark = if complete {
        "Whatever the pod's policies do not allow is denied both ways, names (DNS) included."
    } else if side.is_servers() {
        "What comes in is denied but for this; what goes out is not touched (--complete does)."
    } else {
        "What goes out is denied but for this, names (DNS) included: allow port 53 in a policy of its own. What comes in \
         is not touched (--complete does)."
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    let unmatched = |it: &Rule| {
        !it.matching.source_ports.is_any() && ways.iter().any(|(_, chain)| *chain == it.chain)
    };
    if steps(rules).any(unmatched) {
        out.push_str(&explain::comment(
            "Wider than it should be: a policy matches no source port, so active data connections are not held to the \
             server's port.",
            "# ",
            110,
        ));
    }
    let _ = write!(
        out,
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {name}\nspec:\n  podSelector:\n    \
         matchLabels:\n      app: {name}\n  policyTypes: [{}]\n",
        types.join(", ")
    );
    for (word, chain) in ways {
        let entries: String = steps(rules)
            .filter(|it| it.chain == chain && !is_unlisted(it, &rules.deployment))
            .map(|it| style.comment(it, rules, "    # ") + &entry(it, rules))
            .collect();
        let word = word.to_lowercase();
        if entries.is_empty() {
            let _ = writeln!(out, "  {word}: []");
        } else {
            let _ = write!(out, "  {word}:\n{entries}");
        }
    }
    out
}

/// Data connections to ports that the Service does not have
fn is_unlisted(rule: &Rule, of: &Deployment) -> bool {
    of.side.is_servers()
        && first_step(rule) == Step::PassiveData
        && of.passive.and_then(Passive::ports).is_some()
        && listed(of).is_none()
}

fn entry(rule: &Rule, rules: &RuleSet) -> String {
    let of = &rule.matching;
    let (word, others) = if rule.chain == Chain::Input {
        ("from", &of.source)
    } else {
        ("to", &of.destination)
    };
    let mut out = String::from("    - ports:\n");
    for (lo, hi) in of.destination_ports.ranges() {
        let _ = write!(out, "        - protocol: TCP\n          port: {lo}\n");
        if hi > lo {
            let _ = writeln!(out, "          endPort: {hi}");
        }
    }
    let families = families(rule, rules);
    if others.is_any() && families.len() == 2 {
        return out;
    }
    let _ = writeln!(out, "      {word}:");
    for family in families {
        for cidr in cidrs(others, family) {
            let _ = write!(out, "        - ipBlock:\n            cidr: {cidr:?}\n");
        }
    }
    out
}
