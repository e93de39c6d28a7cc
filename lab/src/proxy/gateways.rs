//! Where the proxy stands between two sides, as data: what their firewalls let through, how clients find the proxy, what it
//! is told.

use super::CLIENTS;
use super::scene::Plan;
use crate::client::Family;

/// The client's machine lets nobody in.
const NOTHING_IN: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
}"#;

/// The client's machine lets connections to port 21 out and active data connections in, as the article's first list has
/// it: nothing passive.
const ACTIVE_ALONE: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp sport 20 tcp dport 1024-65535 accept
  }
  chain output { type filter hook output priority filter; policy drop;
    oif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport 21 accept
  }
}"#;

/// The client's machine reaches port 21 and nothing else, and nobody reaches it.
const PORT_21_OUT: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain output { type filter hook output priority filter; policy drop;
    oif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport 21 accept
  }
}"#;

/// The server's machine takes connections to port 21 and opens others itself.
const PORT_21_IN: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport 21 accept
  }
}"#;

/// The server's machine takes connections to its range and opens none itself.
const RANGE_IN: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport { 21, 50000-50199 } accept
  }
  chain output { type filter hook output priority filter; policy drop;
    oif "lo" accept
    ct state established accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
}"#;

/// What docs/proxy.md has for `redirect`.
const REDIRECT: &str = r#"
table inet wharf {
  chain prerouting { type nat hook prerouting priority dstnat;
    iifname "lan" tcp dport 21 redirect to :2121
    iifname "lan" tcp dport 50000-50999 redirect
  }
}"#;

/// What docs/proxy.md has for `tproxy`.
const TPROXY: &str = r#"
table inet wharf {
  chain prerouting { type filter hook prerouting priority mangle;
    meta l4proto tcp socket transparent 1 meta mark set 1 accept
    iifname "lan" meta nfproto ipv4 tcp dport 21 tproxy ip to :2121 meta mark set 1 accept
    iifname "lan" meta nfproto ipv6 tcp dport 21 tproxy ip6 to :2121 meta mark set 1 accept
  }
}"#;

/// The routes that go with it: what is marked stays here.
pub(super) const TPROXY_ROUTES: &str =
    "rule add fwmark 1 lookup 100\nroute add local default dev lo table 100\n";
pub(super) const TPROXY_ROUTES_V6: [&str; 2] = [
    "-6 rule add fwmark 1 lookup 100",
    "-6 route add local default dev lo table 100",
];

/// How clients find the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// They dial it; it knows the server.
    Dialled,
    /// They dial it and name the server in USER.
    Named,
    /// They dial the server.
    Unseen,
}

/// A row: two sides, and what the proxy between them is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) plan: Plan,
    pub(super) found: Found,
    pub(super) arguments: &'static [&'static str],
    /// What the clients use.
    pub(super) family: Family,
    pub(super) passive: bool,
    /// Without the proxy no data mode works; shown with curl, both ways.
    pub(super) impossible: bool,
    /// The clients for which it has to work.
    pub(super) clients: &'static [&'static str],
    pub(super) routes: bool,
}

const ROW: Row = Row {
    name: "",
    plan: Plan {
        client: "",
        middle: "",
        servers: "",
        forwards: true,
        secured: false,
    },
    found: Found::Dialled,
    arguments: &[],
    family: Family::V4,
    passive: true,
    impossible: false,
    clients: &CLIENTS,
    routes: false,
};

/// NcFTP's and wharf's clients take active data connections from the server that they have dialled and from nobody else:
/// those of a redirected session come from the gateway's own address.
const WHO_DO_NOT_LOOK: [&str; 4] = ["curl", "lftp", "tnftp", "inetutils"];

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "client lets nobody in, server takes 21 alone",
        plan: Plan {
            client: NOTHING_IN,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        impossible: true,
        ..ROW
    },
    Row {
        name: "client active alone, server passive alone",
        plan: Plan {
            client: ACTIVE_ALONE,
            servers: RANGE_IN,
            ..ROW.plan
        },
        passive: false,
        impossible: true,
        ..ROW
    },
    Row {
        name: "one port: client reaches 21 alone, server passive",
        plan: Plan {
            client: PORT_21_OUT,
            servers: RANGE_IN,
            ..ROW.plan
        },
        arguments: &["--one-port", "on"],
        impossible: true,
        ..ROW
    },
    Row {
        name: "one port: client reaches 21 alone, server active",
        plan: Plan {
            client: PORT_21_OUT,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        arguments: &["--one-port", "on", "--upstream-mode", "active"],
        impossible: true,
        ..ROW
    },
    Row {
        // The proxy needs two and a half seconds to find out, with the client's data connection at the door.
        name: "one port: the same, and the proxy is not told",
        plan: Plan {
            client: PORT_21_OUT,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        arguments: &["--one-port", "on"],
        ..ROW
    },
    Row {
        name: "one port, IPv6",
        plan: Plan {
            client: PORT_21_OUT,
            servers: RANGE_IN,
            ..ROW.plan
        },
        arguments: &["--one-port", "on"],
        family: Family::V6,
        ..ROW
    },
    Row {
        name: "user@host",
        plan: Plan {
            forwards: false,
            ..ROW.plan
        },
        found: Found::Named,
        arguments: &["--allow", "203.0.113.0/24"],
        ..ROW
    },
    Row {
        name: "redirect, passive",
        plan: Plan {
            middle: REDIRECT,
            client: NOTHING_IN,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        arguments: &["--upstream-mode", "active"],
        ..ROW
    },
    Row {
        name: "redirect, active",
        plan: Plan {
            middle: REDIRECT,
            servers: RANGE_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        passive: false,
        clients: &WHO_DO_NOT_LOOK,
        ..ROW
    },
    Row {
        name: "redirect, passive, IPv6",
        plan: Plan {
            middle: REDIRECT,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        family: Family::V6,
        arguments: &["--upstream-mode", "active"],
        ..ROW
    },
    Row {
        name: "tproxy, passive",
        plan: Plan {
            middle: TPROXY,
            client: NOTHING_IN,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        routes: true,
        arguments: &["--upstream-mode", "active"],
        ..ROW
    },
    Row {
        name: "tproxy, active",
        plan: Plan {
            middle: TPROXY,
            servers: RANGE_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        passive: false,
        routes: true,
        ..ROW
    },
    Row {
        name: "tproxy, passive, IPv6",
        plan: Plan {
            middle: TPROXY,
            client: NOTHING_IN,
            servers: PORT_21_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        family: Family::V6,
        routes: true,
        arguments: &["--upstream-mode", "active"],
        ..ROW
    },
    Row {
        name: "redirect, one port",
        plan: Plan {
            middle: REDIRECT,
            client: PORT_21_OUT,
            servers: RANGE_IN,
            ..ROW.plan
        },
        found: Found::Unseen,
        arguments: &["--one-port", "on"],
        ..ROW
    },
];
