//! The server's passive ports do not answer, or refuse: whose firewall, whose NAT?

use wharf_client::examine::Probed;
use wharf_net::Touch;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::advertise::is_private;
use wharf_proto::data_connection::evidence::Evidence;

use super::{Case, Check, told};
use crate::distance::{End, end};
use crate::facts::{Seen, path_evidence};
use crate::finding::{Finding, Remedy, WhoActs};
use crate::remedy::Wording;

pub(super) const CHECK: Check = Check {
    words: &["passive-dropped", "passive-refused"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    let tried: Vec<&Probed> = seen.passive().filter(|it| it.replied.is_some()).collect();
    if tried.is_empty() || seen.passive().any(|it| it.result.is_ok()) {
        return None;
    }
    let silent = |it: &&&Probed| {
        matches!(
            path_evidence(it),
            Some(Evidence::Silent | Evidence::Unreachable)
        )
    };
    let refused = |it: &&&Probed| path_evidence(it) == Some(Evidence::Refused);
    let (silent, refused) = (
        tried.iter().filter(silent).count(),
        tried.iter().filter(refused).count(),
    );
    let finding = if silent > 0 && silent + refused == tried.len() {
        dropped(case)
    } else if refused == tried.len() {
        not_forwarded(case)
    } else {
        return None;
    };
    Some(finding.because_of(told(tried)))
}

fn dropped(case: Case<'_>) -> Finding {
    let seen = case.seen;
    let (side, perhaps, why) = blamed(seen);
    let cause = match side {
        WhoActs::ClientFirewall => format!(
            "this side's firewall lets port {} out and drops connections to the server's passive ports",
            seen.peer.port()
        ),
        _ => "a firewall drops connections to the server's passive ports".to_owned(),
    };
    let finding = Finding::new("passive-dropped", case.grave(), side, cause).because_of(why);
    remedied(perhaps.into_iter().fold(finding, Finding::or), case)
}

fn not_forwarded(case: Case<'_>) -> Finding {
    let seen = case.seen;
    let (place, why) = end(seen);
    let private_told = seen
        .other_address_told()
        .is_some_and(|at| is_private(at.ip()));
    let hidden = super::nat::hides(seen);
    let server_nat = place == End::InFrontOfServer || private_told || hidden;
    let mut evidence: Vec<String> = why.into_iter().collect();
    if private_told {
        evidence.push(
            "the server names a private address in its 227: a NAT or balancer stands in front of it".to_owned(),
        );
    }
    let (side, perhaps, cause) = match place {
        End::OurSide => (
            WhoActs::ClientFirewall,
            vec![],
            "this side's firewall rejects connections to the server's passive ports",
        ),
        _ if server_nat => (
            WhoActs::ServerNat,
            vec![],
            "the NAT or balancer in front of the server forwards the control port and not the passive ports",
        ),
        End::ServerSide | End::InFrontOfServer | End::Unknown => (
            WhoActs::ServerFirewall,
            vec![WhoActs::ServerNat],
            "connections to the server's passive ports are rejected, or not forwarded to it",
        ),
    };
    let finding = Finding::new("passive-refused", case.grave(), side, cause).because_of(evidence);
    remedied(perhaps.into_iter().fold(finding, Finding::or), case)
}

/// Who drops, who else it may be, and what shows it.
fn blamed(seen: &Seen) -> (WhoActs, Vec<WhoActs>, Vec<String>) {
    let (place, why) = end(seen);
    let mut evidence: Vec<String> = why.into_iter().collect();
    let answering: Vec<u16> = seen
        .touched
        .iter()
        .filter(|(_, touch)| matches!(touch, Touch::Refused | Touch::Open))
        .map(|(port, _)| *port)
        .collect();
    if !answering.is_empty() {
        let ports: Vec<String> = answering.iter().map(ToString::to_string).collect();
        evidence.push(format!(
            "other ports of the server do answer: {}",
            ports.join(", ")
        ));
    } else if !seen.touched.is_empty() {
        let ports: Vec<String> = seen
            .touched
            .iter()
            .map(|(port, _)| port.to_string())
            .collect();
        evidence.push(format!(
            "other ports of the server are silent as well: {}",
            ports.join(", ")
        ));
    }
    let active = seen.carries(Opener::Server);
    if active {
        evidence.push("the server's connections to us come through".to_owned());
    }
    match place {
        End::OurSide => (WhoActs::ClientFirewall, vec![], evidence),
        End::ServerSide | End::InFrontOfServer => (WhoActs::ServerFirewall, vec![], evidence),
        // A port that answers shows that we may reach more than the control port.
        End::Unknown if active || !answering.is_empty() => {
            (WhoActs::ServerFirewall, vec![], evidence)
        }
        End::Unknown => (
            WhoActs::ServerFirewall,
            vec![WhoActs::ClientFirewall],
            evidence,
        ),
    }
}

fn remedied(finding: Finding, case: Case<'_>) -> Finding {
    let seen = case.seen;
    let doubt = !finding.perhaps.is_empty();
    let finding = match finding.side {
        WhoActs::ClientFirewall => finding.cure(case.wording.let_out(seen)),
        WhoActs::ServerNat => finding
            .cure(case.wording.forward_passive(seen))
            .cure(Wording::tell_range(seen)),
        _ => finding
            .cure(case.wording.open_passive(seen))
            .cure(Wording::tell_range(seen)),
    };
    let finding = if finding.perhaps.contains(&WhoActs::ClientFirewall) {
        finding.cure(case.wording.perhaps_let_out(seen))
    } else {
        finding
    };
    let finding = finding.cure(Wording::one_port(seen));
    if doubt {
        finding.cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "to find out which side it is, on the server",
            "wharf doctor --server",
        ))
    } else {
        finding
    }
}
