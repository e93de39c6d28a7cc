//! Filters: firewalls on either side, on the gateways or on the machines themselves, and the
//! article's own lists.

use super::Expected::{Refused, Silent, Works};
use super::{
    NONE, OPEN, OTHER_RANGE, PASSIVE_ACTIVE_REFUSED, PASSIVE_ACTIVE_SILENT, Topology, ways,
};

pub(super) const CLIENT_DROP: &str = r#"
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

pub(super) const CLIENT_HELPER: &str = r#"
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

pub(super) const SERVER_RANGE: &str = r#"
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

/// The passive rules narrowed to the server's range.
const ACL_PASSIVE_RANGE: &str = r#"
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    iifname "wan" tcp dport 21 accept
    iifname "wan" tcp sport 1024-65535 tcp dport 50000-50199 accept
    iifname "lan" tcp sport 21 tcp dport 1024-65535 accept
    iifname "lan" tcp sport 50000-50199 tcp dport 1024-65535 accept
  }
}"#;

const CLIENT_HOST_HELPER: &str = r#"
table inet lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain helper { type filter hook output priority filter; tcp dport 21 ct helper set "ftp"; }
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established accept
    ct state related ct helper "ftp" tcp dport 1024-65535 accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
}"#;

/// The rows.
pub(super) static ROWS: &[Topology] = &[
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
        blind: Some(PASSIVE_ACTIVE_SILENT),
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
        blind: Some(NONE),
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
        blind: Some(NONE),
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
        name: "acl-passive-range",
        what: "server side: the passive rules narrowed to the range, stateless",
        server_gateway: ACL_PASSIVE_RANGE,
        ways: PASSIVE_ACTIVE_SILENT,
        ..OPEN
    },
    Topology {
        name: "client-hostfw-helper",
        what: "nftables on the client: nothing new inbound, the ftp helper on output",
        client_host: CLIENT_HOST_HELPER,
        blind: Some(PASSIVE_ACTIVE_SILENT),
        ..OPEN
    },
];
