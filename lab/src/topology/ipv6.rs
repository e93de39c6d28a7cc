//! IPv6, and IPv6 that a gateway translates to IPv4.

use super::Expected::{Fails, Silent, Works};
use super::filters::{CLIENT_DROP, CLIENT_HELPER, SERVER_RANGE};
use super::{ClientSide, Middlebox, OPEN, Topology, ways};

/// tayga gives every IPv6 address an IPv4 one of its own; all of them leave by the gateway's.
const NAT64: &str = r#"
table inet lab {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname { "lan", "nat64" } accept
  }
}"#;

/// The rows.
pub(super) static ROWS: &[Topology] = &[
    Topology {
        name: "ipv6-open",
        what: "IPv6 only, no filter",
        ipv6: true,
        ways: ways(Works, Fails, Fails, Fails, Works),
        ..OPEN
    },
    Topology {
        name: "ipv6-client-fw",
        what: "IPv6 only, client inbound dropped",
        ipv6: true,
        client_gateway: CLIENT_DROP,
        ways: ways(Works, Fails, Fails, Fails, Silent),
        ..OPEN
    },
    Topology {
        name: "ipv6-client-fw-helper",
        what: "IPv6 only, client inbound dropped, ftp helper",
        ipv6: true,
        client_gateway: CLIENT_HELPER,
        ways: ways(Works, Fails, Fails, Fails, Works),
        blind: Some(ways(Works, Fails, Fails, Fails, Silent)),
        ..OPEN
    },
    Topology {
        name: "ipv6-server-range",
        what: "IPv6 only, server 21 and range",
        ipv6: true,
        server_gateway: SERVER_RANGE,
        ways: ways(Works, Fails, Fails, Fails, Silent),
        ..OPEN
    },
    Topology {
        name: "nat64",
        what: "a client with IPv6 alone, NAT64, a server with IPv4",
        client: ClientSide::Ipv6Only,
        ipv6: true,
        client_gateway: NAT64,
        middlebox: Some(Middlebox::Translator),
        ways: ways(Works, Fails, Fails, Fails, Fails),
        ..OPEN
    },
];
