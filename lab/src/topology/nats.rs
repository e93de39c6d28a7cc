//! Address translation on either side.

use std::time::Duration;

use super::Expected::{Fails, Misaddressed, Refused, Works};
use super::{ClientSide, Middlebox, OPEN, PASSIVE_ACTIVE_MISADDRESSED, ServerSide, Topology, ways};

/// Control connections leave by one address, everything else by another.
const NAT_POOL: &str = r#"
table ip lab {
  chain post { type nat hook postrouting priority srcnat;
    oifname "wan" tcp dport 21 snat to 198.51.100.1
    oifname "wan" snat to 198.51.100.2
  }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

/// The plain masquerading gateway: a home router, a carrier, the network behind a balancer.
pub(crate) const MASQUERADE: &str = r#"
table ip lab {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

const CLIENT_NAT_HELPER: &str = r#"
table ip lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain pre { type filter hook prerouting priority filter; tcp dport 21 ct helper set "ftp"; }
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

/// Every connection leaves by another address than the one before.
const NAT_EVERY: &str = r#"
table ip lab {
  chain post { type nat hook postrouting priority srcnat;
    oifname "wan" snat to numgen inc mod 3 map {
      0 : 198.51.100.1, 1 : 198.51.100.2, 2 : 198.51.100.3
    }
  }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

/// A balancer of several machines, or nodes of a cluster: the server sees one of them, and for the next
/// connection another one.
const DNAT_EVERY: &str = r#"
table ip lab {
  chain pre { type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport { 21, 50000-50199 } dnat to 10.20.0.2
  }
  chain post { type nat hook postrouting priority srcnat;
    oifname "wan" masquerade
    oifname "lan" ct status dnat snat to numgen inc mod 3 map {
      0 : 172.16.0.1, 1 : 172.16.0.2, 2 : 172.16.0.3
    }
  }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" ct status dnat accept
    iifname "lan" accept
  }
}"#;

const DNAT_RANGE: &str = r#"
table ip lab {
  chain pre { type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport { 21, 50000-50199 } dnat to 10.20.0.2
  }
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" ct status dnat accept
    iifname "lan" accept
  }
}"#;

const DNAT_21: &str = r#"
table ip lab {
  chain pre { type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport 21 dnat to 10.20.0.2
  }
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" ct status dnat accept
    iifname "lan" accept
  }
}"#;

const DNAT_HELPER: &str = r#"
table ip lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain helper { type filter hook prerouting priority filter; tcp dport 21 ct helper set "ftp"; }
  chain pre { type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport 21 dnat to 10.20.0.2
  }
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" ct status dnat accept
    iifname "lan" accept
  }
}"#;

/// The gateway hides the client from the server, as a Kubernetes node port does.
const DNAT_SNAT: &str = r#"
table ip lab {
  chain pre { type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport { 21, 50000-50199 } dnat to 10.20.0.2
  }
  chain post { type nat hook postrouting priority srcnat;
    oifname "wan" masquerade
    oifname "lan" ct status dnat masquerade
  }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" ct status dnat accept
    iifname "lan" accept
  }
}"#;

const HAIRPIN: &str = r#"
table ip lab {
  chain pre { type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.1 tcp dport { 21, 50000-50199 } dnat to 10.20.0.2
  }
  chain post { type nat hook postrouting priority srcnat; oifname "lan" ct status dnat masquerade; }
}"#;

/// A public address that miniupnpd takes for one.
const MAPPABLE: &str = "9.0.0.1";

/// With the chains that miniupnpd writes to.
const CLIENT_NAT_UPNP: &str = r#"
table inet filter {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    jump miniupnpd
  }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting { type nat hook postrouting priority srcnat;
    jump postrouting_miniupnpd
    oifname "wan" masquerade
  }
  chain postrouting_miniupnpd { }
}"#;

/// What it has forgotten it drops, in both directions; a connection in mid-stream is not taken up
/// again, because `nf_conntrack_tcp_loose` is 0.
const CLIENT_NAT_IDLE: &str = r#"
table ip lab {
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname "lan" accept
  }
  chain input { type filter hook input priority filter;
    iifname "wan" ct state invalid drop
  }
}"#;

/// The rows.
pub(super) static ROWS: &[Topology] = &[
    Topology {
        name: "client-nat",
        what: "client behind masquerading NAT, no helper",
        client: ClientSide::Nat,
        client_gateway: MASQUERADE,
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..OPEN
    },
    Topology {
        name: "client-nat-helper",
        what: "client behind NAT with the nf_nat_ftp helper",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT_HELPER,
        blind: Some(PASSIVE_ACTIVE_MISADDRESSED),
        ..OPEN
    },
    Topology {
        name: "cgnat",
        what: "client behind home NAT behind carrier NAT",
        client: ClientSide::CarrierNat,
        client_gateway: MASQUERADE,
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..OPEN
    },
    Topology {
        name: "cgnat-pool",
        what: "carrier NAT that gives control and data connections different addresses",
        client: ClientSide::Nat,
        client_gateway: NAT_POOL,
        ways: ways(Fails, Fails, Fails, Misaddressed, Misaddressed),
        proved: Some(PASSIVE_ACTIVE_MISADDRESSED),
        ..OPEN
    },
    Topology {
        name: "server-dnat-leak",
        what: "server behind DNAT of 21 and the range; the 227 names the private address",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        ways: ways(Works, Works, Fails, Works, Works),
        ..OPEN
    },
    Topology {
        name: "server-dnat-fixed",
        what: "the same, the server told its public address",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        advertise: Some("203.0.113.1"),
        ..OPEN
    },
    Topology {
        name: "server-dnat-wrongaddr",
        what: "the same, the server told an outdated public address",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        advertise: Some("203.0.113.99"),
        ways: ways(Works, Works, Fails, Works, Works),
        ..OPEN
    },
    Topology {
        name: "server-dnat-21",
        what: "server behind DNAT, only 21 forwarded",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_21,
        advertise: Some("203.0.113.1"),
        ways: ways(Refused, Refused, Refused, Works, Works),
        ..OPEN
    },
    Topology {
        name: "server-dnat-helper",
        what: "server behind DNAT of 21 only, the gateway has the nf_nat_ftp helper",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_HELPER,
        blind: Some(ways(Refused, Refused, Fails, Works, Works)),
        ..OPEN
    },
    Topology {
        name: "server-dnat-snat",
        what: "DNAT plus SNAT of the client: the server cannot know who calls",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_SNAT,
        advertise: Some("203.0.113.1"),
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..OPEN
    },
    Topology {
        name: "both-nat",
        what: "client NAT, and server DNAT that names the private address",
        client: ClientSide::Nat,
        client_gateway: MASQUERADE,
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        ways: ways(Works, Works, Fails, Misaddressed, Misaddressed),
        ..OPEN
    },
    Topology {
        name: "both-nat-fixed",
        what: "client NAT and server DNAT, public address told",
        client: ClientSide::Nat,
        client_gateway: MASQUERADE,
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        advertise: Some("203.0.113.1"),
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..OPEN
    },
    Topology {
        name: "hairpin",
        what: "client and server in one network, the client dials the public address",
        client: ClientSide::ServerNetwork,
        server: ServerSide::Forwarded,
        server_gateway: HAIRPIN,
        advertise: Some("203.0.113.1"),
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..OPEN
    },
    Topology {
        name: "client-nat-upnp",
        what: "client behind NAT with miniupnpd: PCP, NAT-PMP, UPnP-IGD",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT_UPNP,
        middlebox: Some(Middlebox::PortMapper),
        outside: MAPPABLE,
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        ..OPEN
    },
    Topology {
        name: "both-nat-upnp",
        what: "client NAT with miniupnpd, server DNAT of 21 only",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT_UPNP,
        middlebox: Some(Middlebox::PortMapper),
        outside: MAPPABLE,
        server: ServerSide::Forwarded,
        server_gateway: DNAT_21,
        advertise: Some("203.0.113.1"),
        ways: ways(Refused, Refused, Refused, Misaddressed, Misaddressed),
        ..OPEN
    },
    Topology {
        name: "nat-idle",
        what: "client NAT that forgets a silent control connection during a slow transfer",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT_IDLE,
        takes: Duration::from_secs(12),
        // wharf's server probes the control connection while data flows.
        ways: PASSIVE_ACTIVE_MISADDRESSED,
        foreign: Some(ways(Fails, Fails, Fails, Misaddressed, Misaddressed)),
        ..OPEN
    },
];

/// Only over TLS, and with a server that knows its data connections by their session.
pub(super) static POOLS: &[Topology] = &[
    Topology {
        name: "nat-every-address",
        what: "a NAT that gives every connection another address",
        client: ClientSide::Nat,
        client_gateway: NAT_EVERY,
        ways: ways(Fails, Fails, Fails, Misaddressed, Misaddressed),
        proved: Some(PASSIVE_ACTIVE_MISADDRESSED),
        ..OPEN
    },
    Topology {
        name: "balancers",
        what: "several balancers in front, each connection by another one",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_EVERY,
        advertise: Some("203.0.113.1"),
        ways: ways(Fails, Fails, Fails, Misaddressed, Misaddressed),
        proved: Some(PASSIVE_ACTIVE_MISADDRESSED),
        ..OPEN
    },
];
