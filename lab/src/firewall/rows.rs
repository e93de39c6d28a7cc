//! Deployments and sides as data: what `wharf firewall` is asked for, which data modes then work, and, written
//! down by hand and not taken from the program, every connection that may be opened through its rules.

use Mode::{Eprt, EprtV6, Epsv, EpsvV6, Pasv, Port};
use Party::{Anybody, Peer};
use Way::{ToClient, ToServer};

use crate::topology::RANGE;

/// Where the rules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The server's machine.
    Server,
    /// The machine in front of the server.
    ServerGateway,
    /// The client's machine.
    Client,
    /// The machine in front of the client.
    ClientGateway,
}

impl Side {
    /// The word of the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ServerGateway => "server-gateway",
            Self::Client => "client",
            Self::ClientGateway => "client-gateway",
        }
    }
}

/// How the data connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// PASV, IPv4.
    Pasv,
    /// EPSV, IPv4.
    Epsv,
    /// PORT, IPv4.
    Port,
    /// EPRT, IPv4.
    Eprt,
    /// EPSV, IPv6.
    EpsvV6,
    /// EPRT, IPv6.
    EprtV6,
}

impl Mode {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [Pasv, Epsv, Port, Eprt, EpsvV6, EprtV6];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pasv => "pasv",
            Epsv => "epsv",
            Port => "port",
            Eprt => "eprt",
            EpsvV6 => "epsv6",
            EprtV6 => "eprt6",
        }
    }

    /// Whether the server is dialled by its IPv6 address.
    pub(super) fn is_ipv6(self) -> bool {
        matches!(self, EpsvV6 | EprtV6)
    }

    /// Whether the server opens the data connection.
    pub(super) fn is_active(self) -> bool {
        matches!(self, Port | Eprt | EprtV6)
    }
}

const PASSIVE: &[Mode] = &[Pasv, Epsv, EpsvV6];
const ACTIVE: &[Mode] = &[Port, Eprt, EprtV6];
const BOTH: &[Mode] = &Mode::ALL;
const BOTH_V4: &[Mode] = &[Pasv, Epsv, Port, Eprt];
const PASSIVE_V4: &[Mode] = &[Pasv, Epsv];

/// Which way a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the clients' side.
    ToServer,
    /// From the server's side.
    ToClient,
}

/// Who is meant on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// The client, or the server.
    Peer,
    /// Its neighbours, too.
    Anybody,
}

/// A kind of connection that may be opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passes {
    /// From where to where.
    pub(super) way: Way,
    /// Who opens it.
    pub(super) from: Party,
    /// To whom.
    pub(super) to: Party,
    /// From these ports, both included.
    pub(super) sources: (u16, u16),
    /// To these ports.
    pub(super) destinations: (u16, u16),
}

const ANY: (u16, u16) = (0, 65_535);
const HIGH: (u16, u16) = (1_024, 65_535);
const FTP: (u16, u16) = (21, 21);
/// The ports that clients with active rules are told to listen at.
const LISTENS: (u16, u16) = (45_100, 45_399);

const fn passes(
    way: Way,
    from: Party,
    to: Party,
    sources: (u16, u16),
    destinations: (u16, u16),
) -> Passes {
    Passes {
        way,
        from,
        to,
        sources,
        destinations,
    }
}

/// Everybody to port 21 of the server.
const CONTROL: Passes = passes(ToServer, Anybody, Peer, ANY, FTP);
/// Everybody to the passive range of the server.
const DATA: Passes = passes(ToServer, Anybody, Peer, ANY, RANGE);
/// The server from port 20 to everybody's high ports.
const FROM_20: Passes = passes(ToClient, Peer, Anybody, (20, 20), HIGH);

/// Which rules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// `--complete`: what they do not let pass is dropped.
    Complete,
    /// Those that stand beside others' rules: what is not FTP's is not touched.
    Beside,
    /// Not the program's, but these, which have holes: probes that do not find them find nothing.
    Holes(&'static str),
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// Where the rules are loaded.
    pub(super) side: Side,
    /// Which rules.
    pub(super) rules: Rules,
    /// What `wharf firewall` is told besides dialect and side.
    pub(super) flags: &'static [&'static str],
    /// What `wharf serve` is told.
    pub(super) serve: &'static [&'static str],
    /// The server has a private address, and the rules translate.
    pub(super) translated: bool,
    /// The client has a private address, and its gateway masquerades besides the rules.
    pub(super) masqueraded: bool,
    /// The client is the server's neighbour and dials the address outside all the same.
    pub(super) hairpin: bool,
    /// The client listens in this range.
    pub(super) listens: Option<(u16, u16)>,
    /// The data modes that work with `wharf serve`; all others must not.
    pub(super) works: &'static [Mode],
    /// The same with vsftpd, which knows no port but those of its range; not tried when the rules are for
    /// something that it cannot do.
    pub(super) foreign: Option<&'static [Mode]>,
    /// Everything that may be opened.
    pub(super) passes: &'static [Passes],
    /// Loaded with the kernel's own iptables as well.
    pub(super) legacy: bool,
    /// A data port that was just told is open to this client, and to nobody else.
    pub(super) helper: bool,
}

impl Row {
    /// Whether so little passes that what does can be written down port by port.
    pub(super) fn opens_little(&self) -> bool {
        let width = |(low, high): (u16, u16)| high - low;
        let mut passes = self.passes.iter();
        self.rules == Rules::Complete
            && passes.all(|it| width(it.sources) == 0 || width(it.destinations) < 10_000)
    }

    /// Where data connections share a port, those of one address take turns.
    pub(super) fn one_at_a_time(&self) -> bool {
        self.serve.contains(&"on") || self.serve.contains(&"--data-port")
    }
}

const SERVER: Row = Row {
    name: "",
    side: Side::Server,
    rules: Rules::Complete,
    flags: &[],
    serve: &["--one-port", "off"],
    translated: false,
    masqueraded: false,
    hairpin: false,
    listens: None,
    works: BOTH,
    foreign: Some(BOTH),
    passes: &[],
    legacy: false,
    helper: false,
};

const SERVES_ONE_PORT: &[&str] = &["--one-port", "on"];

const GATEWAY: Row = Row {
    side: Side::ServerGateway,
    ..SERVER
};

const CLIENT: Row = Row {
    side: Side::Client,
    ..SERVER
};

const CLIENTS: Row = Row {
    side: Side::ClientGateway,
    ..SERVER
};

/// From the client alone to port 21, and to the range, of the server alone.
const OWN_CONTROL: Passes = passes(ToServer, Peer, Peer, ANY, FTP);
const OWN_DATA: Passes = passes(ToServer, Peer, Peer, ANY, RANGE);
/// From the server alone to the ports at which the client listens.
const OWN_ACTIVE: Passes = passes(ToClient, Peer, Peer, (20, 20), LISTENS);
/// From everybody behind a gateway to the server.
const THEIR_ACTIVE: Passes = passes(ToClient, Peer, Anybody, (20, 20), LISTENS);

/// The well-known article's four rules for passive data mode, literally, on the server's machine.
const ARTICLE: &str = r#"
table inet article {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport 21 accept
    tcp dport 1024-65535 accept
  }
  chain output { type filter hook output priority filter; policy drop;
    oif "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp sport 21 tcp dport 1024-65535 accept
    tcp sport 1024-65535 tcp dport 1024-65535 accept
  }
}"#;

/// The rows.
pub(super) static ROWS: &[Row] = &[
    Row {
        name: "the article's rules",
        rules: Rules::Holes(ARTICLE),
        works: PASSIVE,
        foreign: None,
        passes: &[CONTROL, DATA],
        ..SERVER
    },
    Row {
        name: "server, beside: some clients",
        rules: Rules::Beside,
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--clients",
            "198.51.100.130/32",
            "--clients",
            "2001:db8:c::2/128",
        ],
        foreign: None,
        legacy: true,
        passes: &[
            OWN_CONTROL,
            OWN_DATA,
            passes(ToClient, Peer, Peer, (20, 20), HIGH),
            // What is not FTP's.
            passes(ToServer, Anybody, Peer, ANY, (0, 20)),
            passes(ToServer, Anybody, Peer, ANY, (22, 49_999)),
            passes(ToServer, Anybody, Peer, ANY, (50_200, 65_535)),
            passes(ToClient, Peer, Anybody, (0, 19), ANY),
            passes(ToClient, Peer, Anybody, (21, 65_535), ANY),
        ],
        ..SERVER
    },
    Row {
        name: "server: range, active",
        legacy: true,
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
        ],
        passes: &[CONTROL, DATA, FROM_20],
        ..SERVER
    },
    Row {
        name: "server: range",
        flags: &["--passive-ports", "50000-50199", "--modes", "passive"],
        works: PASSIVE,
        foreign: Some(PASSIVE),
        passes: &[CONTROL, DATA],
        ..SERVER
    },
    Row {
        name: "server: active",
        flags: &["--modes", "active"],
        works: ACTIVE,
        foreign: Some(ACTIVE),
        passes: &[CONTROL, FROM_20],
        ..SERVER
    },
    Row {
        name: "server: one-port",
        flags: &["--one-port", "on", "--modes", "passive"],
        serve: SERVES_ONE_PORT,
        works: PASSIVE,
        foreign: None,
        passes: &[CONTROL],
        ..SERVER
    },
    Row {
        name: "server: one-port, active",
        flags: &["--one-port", "on", "--modes", "active,passive"],
        serve: SERVES_ONE_PORT,
        foreign: None,
        passes: &[CONTROL, FROM_20],
        ..SERVER
    },
    Row {
        name: "server: data port",
        flags: &["--data-port", "50000", "--modes", "passive"],
        serve: &["--one-port", "off", "--data-port", "50000"],
        works: PASSIVE,
        foreign: None,
        passes: &[
            CONTROL,
            passes(ToServer, Anybody, Peer, ANY, (50_000, 50_000)),
        ],
        ..SERVER
    },
    Row {
        name: "server: any source port",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--active-port",
            "0",
        ],
        serve: &["--one-port", "off", "--active-port", "0"],
        passes: &[CONTROL, DATA, passes(ToClient, Peer, Anybody, ANY, HIGH)],
        ..SERVER
    },
    Row {
        name: "server: some clients",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--clients",
            "198.51.100.130/32",
            "--clients",
            "2001:db8:c::2/128",
        ],
        passes: &[
            OWN_CONTROL,
            OWN_DATA,
            passes(ToClient, Peer, Peer, (20, 20), HIGH),
        ],
        ..SERVER
    },
    Row {
        name: "server: helper",
        legacy: true,
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--helper",
        ],
        passes: &[CONTROL],
        helper: true,
        ..SERVER
    },
    Row {
        name: "server gateway: range, active",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        passes: &[CONTROL, DATA, FROM_20],
        ..GATEWAY
    },
    Row {
        name: "server gateway: one-port",
        flags: &[
            "--one-port",
            "on",
            "--modes",
            "passive",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        serve: SERVES_ONE_PORT,
        works: PASSIVE,
        foreign: None,
        passes: &[CONTROL],
        ..GATEWAY
    },
    Row {
        name: "server gateway: helper",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--helper",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        passes: &[CONTROL],
        helper: true,
        ..GATEWAY
    },
    Row {
        name: "server NAT: range, active",
        legacy: true,
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--server",
            "203.0.113.1",
            "--inside",
            "10.20.0.2",
        ],
        translated: true,
        works: BOTH_V4,
        foreign: Some(BOTH_V4),
        passes: &[CONTROL, DATA, FROM_20],
        ..GATEWAY
    },
    Row {
        name: "server NAT: one-port",
        flags: &[
            "--one-port",
            "on",
            "--modes",
            "passive",
            "--server",
            "203.0.113.1",
            "--inside",
            "10.20.0.2",
        ],
        serve: SERVES_ONE_PORT,
        translated: true,
        works: PASSIVE_V4,
        foreign: None,
        passes: &[CONTROL],
        ..GATEWAY
    },
    Row {
        name: "server NAT: hairpin",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "passive",
            "--server",
            "203.0.113.1",
            "--inside",
            "10.20.0.2",
            "--hairpin",
            "10.20.0.0/24",
        ],
        translated: true,
        hairpin: true,
        works: PASSIVE_V4,
        foreign: Some(PASSIVE_V4),
        passes: &[CONTROL, DATA],
        ..GATEWAY
    },
    Row {
        name: "client: passive",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "passive",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        works: PASSIVE,
        foreign: Some(PASSIVE),
        passes: &[OWN_CONTROL, OWN_DATA],
        ..CLIENT
    },
    Row {
        name: "client: active",
        legacy: true,
        flags: &[
            "--modes",
            "active",
            "--client-ports",
            "45100-45399",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        listens: Some(LISTENS),
        works: ACTIVE,
        foreign: Some(ACTIVE),
        passes: &[OWN_CONTROL, OWN_ACTIVE],
        ..CLIENT
    },
    Row {
        name: "client: active, helper",
        flags: &[
            "--modes",
            "active",
            "--helper",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        works: ACTIVE,
        foreign: Some(ACTIVE),
        passes: &[OWN_CONTROL],
        ..CLIENT
    },
    Row {
        name: "client: one-port",
        flags: &[
            "--one-port",
            "on",
            "--modes",
            "passive",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        serve: SERVES_ONE_PORT,
        works: PASSIVE,
        foreign: None,
        passes: &[OWN_CONTROL],
        ..CLIENT
    },
    Row {
        name: "client gateway: passive",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "passive",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        works: PASSIVE,
        foreign: Some(PASSIVE),
        passes: &[CONTROL, DATA],
        ..CLIENTS
    },
    Row {
        name: "client gateway: both, helper",
        legacy: true,
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--helper",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        passes: &[CONTROL, DATA],
        ..CLIENTS
    },
    Row {
        name: "client gateway: active",
        flags: &[
            "--modes",
            "active",
            "--client-ports",
            "45100-45399",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        listens: Some(LISTENS),
        works: ACTIVE,
        foreign: Some(ACTIVE),
        passes: &[CONTROL, THEIR_ACTIVE],
        ..CLIENTS
    },
    Row {
        name: "client NAT: both, helper",
        flags: &[
            "--passive-ports",
            "50000-50199",
            "--modes",
            "active,passive",
            "--helper",
            "--server",
            "203.0.113.130",
            "--server",
            "2001:db8:5::2",
        ],
        masqueraded: true,
        passes: &[CONTROL, DATA],
        ..CLIENTS
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_has_rows_and_names_are_unique() {
        for side in [
            Side::Server,
            Side::ServerGateway,
            Side::Client,
            Side::ClientGateway,
        ] {
            assert!(ROWS.iter().any(|row| row.side == side), "{side:?}");
        }
        let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
