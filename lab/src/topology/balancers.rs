//! A TCP load balancer in front of the server, which then sees the balancer instead of the client,
//! unless a PROXY header tells.

use super::Expected::{Fails, Misaddressed, Refused, Works};
use super::nats::MASQUERADE;
use super::{ALL, Middlebox, OPEN, PASSIVE_ACTIVE_MISADDRESSED, ServerSide, Topology, Ways, ways};

const BALANCED: Topology = Topology {
    server: ServerSide::Forwarded,
    // The server may go out; nothing comes in but through the balancer.
    server_gateway: MASQUERADE,
    advertise: Some("203.0.113.1"),
    ..OPEN
};

/// A server that has never heard of the header takes it for a command.
const NO_CONTROL: Option<Ways> = Some(ways(Fails, Fails, Fails, Fails, Fails));

/// Told who calls and what was dialled, the server needs no address to announce, and may connect back.
const TOLD: Topology = Topology {
    advertise: None,
    wharf: &["--proxy-protocol", "10.20.0.1/32"],
    foreign: NO_CONTROL,
    ..BALANCED
};

/// The rows.
pub(super) static ROWS: &[Topology] = &[
    Topology {
        name: "haproxy-21",
        what: "a TCP load balancer in front, port 21 only",
        middlebox: Some(Middlebox::Balancer {
            range: false,
            header: None,
        }),
        ways: ways(Refused, Refused, Refused, Misaddressed, Misaddressed),
        ..BALANCED
    },
    Topology {
        name: "haproxy-range",
        what: "a TCP load balancer, 21 and the range, the server told the public address",
        middlebox: Some(Middlebox::Balancer {
            range: true,
            header: None,
        }),
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..BALANCED
    },
    Topology {
        name: "haproxy-21-proxy",
        what: "a TCP load balancer, port 21 only, with the PROXY protocol's version 2",
        middlebox: Some(Middlebox::Balancer {
            range: false,
            header: Some("send-proxy-v2"),
        }),
        ways: ways(Refused, Refused, Refused, Works, Works),
        ..TOLD
    },
    Topology {
        name: "haproxy-range-proxy",
        what: "a TCP load balancer, 21 and the range, with the PROXY protocol's version 1",
        middlebox: Some(Middlebox::Balancer {
            range: true,
            header: Some("send-proxy"),
        }),
        ways: ALL,
        ..TOLD
    },
];
