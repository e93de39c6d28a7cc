//! A TCP load balancer in front of the server, which then sees the balancer instead of the client,
//! unless a PROXY header tells.

use super::Expected::Refused;
use super::{Middlebox, OPEN, PASSIVE_ACTIVE_REFUSED, ServerSide, Topology, ways};

/// The server may go out; nothing comes in but through the balancer.
const GATEWAY: &str = r#"
table ip lab {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

const BALANCED: Topology = Topology {
    server: ServerSide::Forwarded,
    server_gateway: GATEWAY,
    advertise: Some("203.0.113.1"),
    ..OPEN
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
        ways: ways(Refused, Refused, Refused, Refused, Refused),
        ..BALANCED
    },
    Topology {
        name: "haproxy-range",
        what: "a TCP load balancer, 21 and the range, the server told the public address",
        middlebox: Some(Middlebox::Balancer {
            range: true,
            header: None,
        }),
        ways: PASSIVE_ACTIVE_REFUSED,
        ..BALANCED
    },
];
