//! The topologies of the article and its successors, as data: who stands behind what, which rules
//! hold there, and which way of making a data connection works.
//!
//! The names are those of the simulated network. Every topology is the same chain,
//! client - client's gateway - (carrier) - server's gateway - server, with other addresses and rules:
//! what a gateway does is nftables text, loaded into its namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSide {
    /// An address of its own behind a gateway that only forwards or filters.
    Public,
    /// A private address behind a gateway that masquerades.
    Nat,
    /// Like `Nat`, and the gateway's own address is the carrier's, masqueraded once more.
    CarrierNat,
    /// In the server's own network; it dials the server's public address.
    ServerNetwork,
}

/// Where the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerSide {
    /// An address of its own.
    Public,
    /// A private address behind a gateway that forwards ports to it.
    Forwarded,
}

/// What a way of making the data connection comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The file arrives.
    Works,
    /// It cannot; refused quickly.
    Refused,
    /// It cannot; packets vanish, so only patience ends it.
    Silent,
    /// It cannot, and whether at once or late is not this table's business.
    Fails,
}

use Expected::{Fails, Refused, Silent, Works};

/// What each data mode comes to, in the order of the matrix's columns.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// EPSV: the control connection's peer, the port of the 229.
    pub epsv: Expected,
    /// PASV with the control connection's peer as address, the port of the 227.
    pub pasv: Expected,
    /// PASV with the address that the 227 names.
    pub reply: Expected,
    /// Active, PORT.
    pub port: Expected,
    /// Active, EPRT.
    pub eprt: Expected,
}

impl Ways {
    /// Whether any of them works: then `auto` has to.
    pub fn any(&self) -> bool {
        [self.epsv, self.pasv, self.reply, self.port, self.eprt].contains(&Works)
    }
}

/// One topology.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// Its name, the same as in the simulated network.
    pub name: &'static str,
    /// What it is, in one line.
    pub what: &'static str,
    /// Where the client stands.
    pub client: ClientSide,
    /// Where the server stands.
    pub server: ServerSide,
    /// Whether the client dials the server's IPv6 address.
    pub ipv6: bool,
    /// Rules of the client's gateway; interfaces `lan` and `wan`.
    pub client_gateway: &'static str,
    /// Rules of the server's gateway; interfaces `lan` and `wan`.
    pub server_gateway: &'static str,
    /// Rules of the server's own machine; interface `eth`.
    pub server_host: &'static str,
    /// Passive ports the server is told to use.
    pub passive: (u16, u16),
    /// Address the server is told to announce.
    pub advertise: Option<&'static str>,
    /// What each data mode comes to.
    pub ways: Ways,
}

/// The range that the firewalls open.
pub const RANGE: (u16, u16) = (50_000, 50_199);

/// A range that no firewall opens.
const OTHER_RANGE: (u16, u16) = (40_000, 40_199);

/// Address of a server with an address of its own.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 130));
/// The same server's IPv6 address.
pub const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 2));
/// Address of the gateway of a server that has none of its own.
pub const SERVER_GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

const fn ways(
    epsv: Expected,
    pasv: Expected,
    reply: Expected,
    port: Expected,
    eprt: Expected,
) -> Ways {
    Ways {
        epsv,
        pasv,
        reply,
        port,
        eprt,
    }
}

const ALL: Ways = ways(Works, Works, Works, Works, Works);
const NONE: Ways = ways(Silent, Silent, Silent, Silent, Silent);
const PASSIVE_ACTIVE_SILENT: Ways = ways(Works, Works, Works, Silent, Silent);
const PASSIVE_ACTIVE_REFUSED: Ways = ways(Works, Works, Works, Refused, Refused);

const OPEN: Topology = Topology {
    name: "open",
    what: "no filter, no NAT",
    client: ClientSide::Public,
    server: ServerSide::Public,
    ipv6: false,
    client_gateway: "",
    server_gateway: "",
    server_host: "",
    passive: RANGE,
    advertise: None,
    ways: ALL,
};

const CLIENT_DROP: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

const CLIENT_REJECT: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    meta l4proto tcp reject with tcp reset
  }
}"#;

const CLIENT_HELPER: &str = r#"
table inet lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain pre { type filter hook prerouting priority filter; tcp dport 21 ct helper set "ftp"; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}"#;

const CLIENT_EGRESS_21: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" tcp dport 21 accept
  }
}"#;

const CLIENT_EGRESS_21_HELPER: &str = r#"
table inet lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain pre { type filter hook prerouting priority filter; tcp dport 21 ct helper set "ftp"; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" tcp dport 21 accept
  }
}"#;

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

const CLIENT_NAT: &str = r#"
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

const SERVER_21: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" tcp dport 21 accept
    iifname "lan" accept
  }
}"#;

const SERVER_21_STRICT: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" tcp dport 21 accept
  }
}"#;

const SERVER_RANGE: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" tcp dport { 21, 50000-50199 } accept
  }
}"#;

const SERVER_RANGE_REJECT: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" tcp dport { 21, 50000-50199 } accept
    meta l4proto tcp reject with tcp reset
  }
}"#;

const SERVER_HELPER: &str = r#"
table inet lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain pre { type filter hook prerouting priority filter; tcp dport 21 ct helper set "ftp"; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established accept
    ct state related ct helper "ftp" tcp dport 1024-65535 accept
    iifname "wan" tcp dport 21 accept
  }
}"#;

/// The article's four rules for active mode, literally: without state.
const ACL_ACTIVE: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    iifname "wan" tcp dport 21 accept
    iifname "lan" tcp sport 21 tcp dport 1024-65535 accept
    iifname "lan" tcp sport 20 tcp dport 1024-65535 accept
    iifname "wan" tcp sport 1024-65535 tcp dport 20 accept
  }
}"#;

/// The article's four rules for passive mode, literally: without state.
const ACL_PASSIVE: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    iifname "wan" tcp dport 21 accept
    iifname "wan" tcp sport 1024-65535 tcp dport 1024-65535 accept
    iifname "lan" tcp sport 21 tcp dport 1024-65535 accept
    iifname "lan" tcp sport 1024-65535 tcp dport 1024-65535 accept
  }
}"#;

const SERVER_HOST: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport { 21, 50000-50199 } ct state new accept
  }
  chain output { type filter hook output priority filter; policy drop;
    oif "lo" accept
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp sport 20 tcp dport 1024-65535 ct state new accept
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

/// The table: row by row what the research measured, for a server that sends active data from port
/// 20 and refuses a PORT that does not name the control connection's peer.
pub static TOPOLOGIES: &[Topology] = &[
    OPEN,
    Topology {
        name: "client-fw-drop",
        what: "client side: stateful firewall, inbound dropped",
        client_gateway: CLIENT_DROP,
        ways: PASSIVE_ACTIVE_SILENT,
        ..OPEN
    },
    Topology {
        name: "client-fw-reject",
        what: "client side: stateful firewall, inbound answered with RST",
        client_gateway: CLIENT_REJECT,
        ways: PASSIVE_ACTIVE_REFUSED,
        ..OPEN
    },
    Topology {
        name: "client-fw-helper",
        what: "client side: the same, with the kernel's ftp conntrack helper",
        client_gateway: CLIENT_HELPER,
        ..OPEN
    },
    Topology {
        name: "client-egress-21",
        what: "client side: only port 21 outbound, inbound dropped",
        client_gateway: CLIENT_EGRESS_21,
        ways: NONE,
        ..OPEN
    },
    Topology {
        name: "client-egress-21-helper",
        what: "the same, with the ftp conntrack helper",
        client_gateway: CLIENT_EGRESS_21_HELPER,
        ..OPEN
    },
    Topology {
        name: "server-fw-21",
        what: "server side: only 21 inbound, everything outbound",
        server_gateway: SERVER_21,
        ways: ways(Silent, Silent, Silent, Works, Works),
        ..OPEN
    },
    Topology {
        name: "server-fw-21-strict",
        what: "server side: only 21 inbound, nothing new outbound",
        server_gateway: SERVER_21_STRICT,
        ways: NONE,
        ..OPEN
    },
    Topology {
        name: "server-fw-range",
        what: "server side: 21 and the passive range inbound, nothing new outbound",
        server_gateway: SERVER_RANGE,
        ways: PASSIVE_ACTIVE_SILENT,
        ..OPEN
    },
    Topology {
        name: "server-fw-range-norange",
        what: "the firewall opens the range but the server was not told",
        server_gateway: SERVER_RANGE,
        passive: OTHER_RANGE,
        ways: NONE,
        ..OPEN
    },
    Topology {
        name: "server-fw-range-reject",
        what: "the same, refused with RST instead of dropped",
        server_gateway: SERVER_RANGE_REJECT,
        passive: OTHER_RANGE,
        ways: ways(Refused, Refused, Refused, Refused, Refused),
        ..OPEN
    },
    Topology {
        name: "server-fw-helper",
        what: "server side: only 21 plus the ftp conntrack helper",
        server_gateway: SERVER_HELPER,
        ..OPEN
    },
    Topology {
        name: "both-fw",
        what: "client inbound dropped and server only 21",
        client_gateway: CLIENT_DROP,
        server_gateway: SERVER_21,
        ways: NONE,
        ..OPEN
    },
    Topology {
        name: "client-nat",
        what: "client behind masquerading NAT, no helper",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT,
        ways: PASSIVE_ACTIVE_REFUSED,
        ..OPEN
    },
    Topology {
        name: "client-nat-helper",
        what: "client behind NAT with the nf_nat_ftp helper",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT_HELPER,
        ..OPEN
    },
    Topology {
        name: "cgnat",
        what: "client behind home NAT behind carrier NAT",
        client: ClientSide::CarrierNat,
        client_gateway: CLIENT_NAT,
        ways: PASSIVE_ACTIVE_REFUSED,
        ..OPEN
    },
    Topology {
        name: "cgnat-pool",
        what: "carrier NAT that gives control and data connections different addresses",
        client: ClientSide::Nat,
        client_gateway: NAT_POOL,
        ways: ways(Fails, Fails, Fails, Refused, Refused),
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
        ..OPEN
    },
    Topology {
        name: "server-dnat-snat",
        what: "DNAT plus SNAT of the client: the server cannot know who calls",
        server: ServerSide::Forwarded,
        server_gateway: DNAT_SNAT,
        advertise: Some("203.0.113.1"),
        ways: PASSIVE_ACTIVE_REFUSED,
        ..OPEN
    },
    Topology {
        name: "both-nat",
        what: "client NAT, and server DNAT that names the private address",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT,
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        ways: ways(Works, Works, Fails, Refused, Refused),
        ..OPEN
    },
    Topology {
        name: "both-nat-fixed",
        what: "client NAT and server DNAT, public address told",
        client: ClientSide::Nat,
        client_gateway: CLIENT_NAT,
        server: ServerSide::Forwarded,
        server_gateway: DNAT_RANGE,
        advertise: Some("203.0.113.1"),
        ways: PASSIVE_ACTIVE_REFUSED,
        ..OPEN
    },
    Topology {
        name: "hairpin",
        what: "client and server in one network, the client dials the public address",
        client: ClientSide::ServerNetwork,
        server: ServerSide::Forwarded,
        server_gateway: HAIRPIN,
        advertise: Some("203.0.113.1"),
        ways: PASSIVE_ACTIVE_REFUSED,
        ..OPEN
    },
    Topology {
        name: "acl-active",
        what: "server side: the article's four rules for active mode, stateless",
        server_gateway: ACL_ACTIVE,
        ways: ways(Silent, Silent, Silent, Works, Works),
        ..OPEN
    },
    Topology {
        name: "acl-passive",
        what: "server side: the article's four rules for passive mode, stateless",
        server_gateway: ACL_PASSIVE,
        ways: PASSIVE_ACTIVE_SILENT,
        ..OPEN
    },
    Topology {
        name: "server-hostfw",
        what: "nftables on the server: 21 and the range in, new outbound only from port 20",
        server_host: SERVER_HOST,
        ..OPEN
    },
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
];

/// The topology without filter or NAT, where programs are compared rather than networks.
pub static PLAIN: Topology = OPEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TOPOLOGIES.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
    }

    #[test]
    fn the_article_says_active_fails_behind_the_clients_firewall_and_passive_does_not() {
        let row = TOPOLOGIES
            .iter()
            .find(|row| row.name == "client-fw-drop")
            .unwrap();
        assert_eq!(row.ways.port, Silent);
        assert_eq!(row.ways.epsv, Works);
    }
}
