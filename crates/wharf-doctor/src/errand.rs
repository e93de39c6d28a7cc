//! What the doctor sends a session for, and what follows from what came back: which question is the next one. No
//! judgement, and no waiting either.

use std::net::{IpAddr, SocketAddr};

use wharf_client::examine::Probed;
use wharf_net::Touch;
use wharf_proto::data_connection::as_seen::Nat;
use wharf_proto::data_connection::canonical;
use wharf_proto::data_connection::evidence::Evidence;
use wharf_proto::data_connection::path::{Address, Path};

use crate::facts::{Seen, path_evidence};

/// So many ports of the range are tried.
pub(crate) const PORTS: usize = 3;

/// Firewalls and NATs of the client's side stand within so many hops, as a rule.
pub(crate) const NEAR: u8 = 5;

/// So far packets to a silent port are followed.
pub(crate) const FAR: u8 = 12;

/// Another port of the server, where nothing listens as a rule: 20 is `ftp-data`, and near the control port in every rule.
/// The other one is just high.
pub(crate) const OTHER_PORTS: [u16; 2] = [20, 64_999];

/// One thing to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// A way, on a session of its own; several ports one after the other.
    Try(Path, usize),
    /// A way once more, while no other session is being opened: the server takes data connections at its control port,
    /// and could not tell this one from our own further sessions.
    Alone(Path),
    /// Other ports of the server.
    OtherPorts,
    /// How far packets to the control port get.
    Near,
    /// How far packets to this passive port get.
    Far(SocketAddr),
    /// Active, after a packet that got so many hops has gone the other way.
    Punch(Path, u8),
}

impl Errand {
    /// Whether it needs a control connection.
    pub(crate) fn needs_session(self) -> bool {
        matches!(self, Self::Try(..) | Self::Alone(_) | Self::Punch(..))
    }

    /// What it is, where it was not done.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Try(path, _) | Self::Alone(path) => path.to_string(),
            Self::OtherPorts => "other ports of the server".to_owned(),
            Self::Near | Self::Far(_) => "how far packets get".to_owned(),
            Self::Punch(path, _) => format!("{path} through an opened hole"),
        }
    }
}

/// What to begin with. Ways that leave a server stuck in connect() come last: where it allows one session only, they are
/// the end of it.
pub(crate) fn first(seen: &Seen) -> Vec<Errand> {
    let mut errands = vec![Errand::Try(Path::EPSV, PORTS)];
    if !seen.is_ipv6() {
        errands.push(Errand::Try(Path::PASV, PORTS));
        errands.push(Errand::Try(Path::PORT, 1));
    }
    errands.push(Errand::Try(Path::EPRT, 1));
    if seen.nat().outside().is_some() {
        errands.extend(behind_nat(seen));
    }
    errands
}

/// The ways that only have a meaning behind a NAT.
fn behind_nat(seen: &Seen) -> Vec<Errand> {
    let family_alike = seen
        .outside()
        .is_none_or(|outside| outside.is_ipv6() == seen.own.is_ipv6());
    if !family_alike || seen.is_ipv6() {
        return Vec::new();
    }
    let mut errands = Vec::new();
    if seen.outside().is_some() {
        errands.push(Errand::Try(Path::PORT_OUTSIDE, 1));
    }
    if seen.nat().is_on_our_side(seen.own) {
        errands.push(Errand::Try(Path::PORT_MAPPED, 1));
    }
    errands
}

/// What follows from an attempt; `begun` is everything that was ever begun or waits.
pub(crate) fn after(seen: &Seen, probed: &Probed, begun: &[Errand]) -> Vec<Errand> {
    let mut next = Vec::new();
    if probed.path == Path::PASV
        && let Some(replied) = probed.replied
        && canonical(replied.ip()) != seen.server()
    {
        next.push(Errand::Try(Path::PASV_AS_REPLIED, 1));
    }
    if probed.result.is_err() && at_control_port(seen, probed) {
        next.push(Errand::Alone(probed.path));
    }
    match (probed.path.address, path_evidence(probed)) {
        (
            Address::ControlPeer,
            Some(Evidence::Silent | Evidence::Refused | Evidence::Unreachable),
        ) => {
            next.push(Errand::OtherPorts);
            next.push(Errand::Near);
            next.extend(probed.target.map(Errand::Far));
        }
        (Address::Own, Some(Evidence::AddressRefused { .. })) => next.extend(behind_nat(seen)),
        (Address::Own, Some(Evidence::NobodyCame | Evidence::NoDataConnection { .. }))
            if !matches!(seen.nat(), Nat::Behind { .. }) =>
        {
            next.push(Errand::Near);
        }
        _ => {}
    }
    next.retain(|errand| !begun.iter().any(|it| same(*it, *errand)));
    next
}

/// Whether the server named its control port for the data connection.
pub(crate) fn at_control_port(seen: &Seen, probed: &Probed) -> bool {
    probed
        .replied
        .is_some_and(|at| at.port() == seen.peer.port())
}

/// The hole that is worth opening, once it is known where our side ends.
pub(crate) fn punch(seen: &Seen, begun: &[Errand]) -> Option<Errand> {
    let done = begun.iter().any(|it| matches!(it, Errand::Punch(..)));
    if done || seen.near.is_empty() || matches!(seen.nat(), Nat::Behind { .. }) {
        return None;
    }
    let failed = seen.active().find(|it| {
        matches!(
            path_evidence(it),
            Some(Evidence::NobodyCame | Evidence::NoDataConnection { .. })
        )
    })?;
    // The packet must pass our own side and must not arrive: an answer would close the hole again.
    let arrives = seen.near.iter().filter(|(_, touch)| *touch == Touch::Open);
    let hops = match arrives.map(|(hops, _)| *hops).min() {
        Some(hops) => hops.checked_sub(1).filter(|hops| *hops > 0)?,
        None => NEAR,
    };
    let answered = seen
        .near
        .iter()
        .any(|(_, touch)| matches!(touch, Touch::Unreachable | Touch::Open));
    answered.then_some(Errand::Punch(failed.path, hops))
}

/// Not twice: one silent port is followed, not every one of them.
fn same(one: Errand, other: Errand) -> bool {
    match (one, other) {
        (Errand::Try(one, _), Errand::Try(other, _)) => one == other,
        (Errand::Far(_), Errand::Far(_)) | (Errand::Punch(..), Errand::Punch(..)) => true,
        (one, other) => one == other,
    }
}

/// The address that an attempt needs besides its way.
pub(crate) fn outside(seen: &Seen) -> Option<IpAddr> {
    seen.outside()
}
