//! Why a transfer or a connection at a shared port is refused, in words for people.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why a transfer on a shared port does not come about. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Rule 18.
    ManyUsers {
        /// The address that they share.
        address: IpAddr,
    },
    /// Rule 11.
    CannotTell {
        /// So many were undecided.
        count: usize,
        /// The address that they came from.
        address: IpAddr,
    },
    /// Rule 27.
    AlikeInTls {
        /// So many could not be told apart.
        count: usize,
    },
    /// Rule 14: too many wait already.
    Crowded {
        /// The address whose sessions they are.
        address: IpAddr,
    },
    /// Rule 14: no turn came.
    NoTurn {
        /// After so long.
        waited: Duration,
        /// The address whose sessions were served meanwhile.
        address: IpAddr,
    },
    /// Rule 15.
    TurnOver {
        /// After so long without an arrival.
        waited: Duration,
    },
    /// None of the doors asked for exists any more (a configuration without them was loaded).
    NoDoor,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyUsers { address } => write!(
                f,
                "several users are logged in from {address}: data connections to the control port cannot be told apart; use active mode, or ask for a passive port range"
            ),
            Self::CannotTell { count, address } => write!(
                f,
                "cannot tell which of {count} connections from {address} is yours; try again, one at a time (a data port of its own, at the server, would tell)"
            ),
            Self::AlikeInTls { count } => write!(
                f,
                "cannot tell which of {count} data connections is yours: none resumed the TLS session of its control connection; try again, one at a time"
            ),
            Self::Crowded { address } => write!(
                f,
                "too many transfers from {address} are waiting for the shared port; try again"
            ),
            Self::NoTurn { waited, address } => write!(
                f,
                "other transfers from {address} kept the shared port busy for {} s; try again",
                waited.as_secs()
            ),
            Self::TurnOver { waited } => write!(
                f,
                "no data connection came to the shared port in {} s; ask for it again",
                waited.as_secs()
            ),
            Self::NoDoor => f.write_str(
                "the port of this session has been closed by a new configuration; log in again",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// Why an arrival is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Rule 2.
    Stranger,
    /// Rule 22.
    NotResumed,
    /// Rule 9.
    Gone,
    /// Rule 11.
    Ambiguous,
    /// Rule 19.
    Flood,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "nobody of its address waits for a data connection",
            Self::NotResumed => {
                "its TLS session is not that of a control connection that waits for one"
            }
            Self::Gone => "it ended without a word",
            Self::Ambiguous => "it cannot be told apart from another of its address",
            Self::Flood => "too many undecided connections",
        })
    }
}
