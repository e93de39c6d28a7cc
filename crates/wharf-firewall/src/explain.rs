//! Why a rule is there, in sentences: which step of which data mode needs it. The four rules that the well-known
//! article "Active FTP vs. Passive FTP" gives for each data mode, corrected where they are wrong or too wide.

use std::fmt::Write as _;

use crate::deployment::{Deployment, Passive};
use crate::flow::Step;
use crate::rule::{Reason, Rule};

/// The sentences for a rule, one for each of its reasons
pub fn rule(rule: &Rule, deployment: &Deployment) -> Vec<String> {
    let reasons = rule.reasons.iter();
    reasons.map(|it| reason(*it, deployment)).collect()
}

/// The sentence for one reason
pub fn reason(reason: Reason, deployment: &Deployment) -> String {
    let text = match reason {
        Reason::Loopback => "the host's conversation with itself",
        Reason::Replies => {
            "replies and all further packets of connections that were let pass: the article's rules 2 and 4, which \
             without connection tracking let anybody in who comes from the right port"
        }
        Reason::PathMtu => {
            "ICMP errors about such connections: without \"fragmentation needed\" and \"packet too big\" uploads hang, \
             without \"unreachable\" a failure takes minutes"
        }
        Reason::Neighbours => "IPv6 finds its neighbours and routers by ICMPv6 (RFC 4890)",
        Reason::Step(step) => return needed(step, deployment),
        Reason::Helper => {
            "the FTP helper must be assigned by name: the kernel no longer does it by itself (since Linux 4.7)"
        }
        Reason::Mapping(Step::Control) => {
            "NAT: what clients send to the outside address is for the server; the control connection"
        }
        Reason::Mapping(_) => {
            "NAT: passive data connections to the same address, port by port the same, because a 227 or 229 names the \
             port that the client must use"
        }
        Reason::MappingBack => {
            "NAT: an active data connection must come from the address that the client knows as the server's"
        }
        Reason::Hairpin => {
            "hosts beside the server that use its outside address: what they send must come back over the gateway"
        }
        Reason::Guard => {
            return format!(
                "nobody else gets to FTP's ports, whatever later rules say{}",
                if deployment.helper {
                    "; data ports only open when the helper has read the reply that names them"
                } else {
                    ""
                }
            );
        }
    };
    text.to_owned()
}

/// What a step is, and what the article says of it
fn needed(step: Step, deployment: &Deployment) -> String {
    let servers = deployment.side.is_servers();
    match (step, servers) {
        (Step::Control, true) => {
            "every data mode, step 1: the client opens the control connection, from any port of its own (the article's \
             rule 1)"
                .to_owned()
        }
        (Step::Control, false) => {
            "every data mode, step 1: the client opens the control connection".to_owned()
        }
        (Step::PassiveData, _) if deployment.passive == Some(Passive::OnePort) => {
            "passive data mode with one port: the reply 227 or 229 to PASV or EPSV names the control port itself, and \
             the server tells control and data connections apart; the article's rule 3 falls away"
                .to_owned()
        }
        (Step::PassiveData, true) if deployment.helper => {
            "passive data mode: the client connects to the port that the server's reply 227 or 229 names, and only to \
             that one; the helper reads the reply (plaintext only). The article's rule 3 opens every port above 1023"
                .to_owned()
        }
        (Step::PassiveData, true) => {
            "passive data mode: after PASV or EPSV the server's reply 227 or 229 names a port of this range, and the \
             client connects to it, from any port of its own, not from N+1. The article's rule 3 opens every port above \
             1023"
                .to_owned()
        }
        (Step::PassiveData, false) => {
            "passive data mode: the client connects to the port that the server's reply 227 or 229 names, from any port \
             of its own, not from N+1"
                .to_owned()
        }
        (Step::ActiveData, _) => active(deployment),
    }
}

fn active(deployment: &Deployment) -> String {
    let mut text = String::from(
        "active data mode: after PORT or EPRT and the transfer command the server connects to the port that the client \
         named",
    );
    match deployment.active.and_then(|it| it.source_port) {
        _ if deployment.helper => {
            text.push_str(", and the helper has read the command (plaintext only)");
        }
        Some(port) => {
            let _ = write!(
                text,
                ", from its port {port} (the article's rule 3; holds for servers that send from {port}, which ProFTPD \
                 since 1.3.7 by default does not)"
            );
        }
        None => text.push_str(", from any port of its own"),
    }
    text.push_str(if deployment.side.is_servers() {
        ". The article's rule 4 is only the way back of the same connection"
    } else {
        ". The client must be reachable there"
    });
    text
}

/// A text as comment lines: each begins with `mark`, none is longer than `width` characters where words allow
pub fn comment(text: &str, mark: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let together = mark.chars().count() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && together > width {
            out.push_str(mark);
            out.push_str(&line);
            out.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(mark);
        out.push_str(&line);
        out.push('\n');
    }
    out
}
