//! What a person should know who loads the rules, and that no rule can say.

use std::fmt;

use crate::deployment::{Passive, Side, unprivileged};
use crate::flow::Ports;
use crate::rule_set::RuleSet;

impl RuleSet {
    /// What a person should know who loads the rules, whatever the dialect
    pub fn notes(&self) -> Vec<Note> {
        let of = &self.deployment;
        let mut notes = Vec::new();
        if let (true, Some(ports)) = (of.one_port_auto, of.passive.and_then(Passive::ports))
            && of.side.is_servers()
            && !of.helper
        {
            notes.push(Note::DataPortsMayStayClosed {
                control: of.control_ports.first().copied().unwrap_or(21),
                ports: Ports::these([ports]),
            });
        }
        if of.helper {
            notes.push(if self.uses_helper() {
                Note::HelperReadsPlaintextOnly
            } else {
                Note::NothingForTheHelper
            });
        }
        if let Some(active) = of.active {
            match active.source_port {
                Some(port) if !of.helper => notes.push(Note::SourcePort(port)),
                None if !of.helper => notes.push(Note::AnySourcePort {
                    servers_side: of.side.is_servers(),
                }),
                _ => {}
            }
            if !of.side.is_servers() && !of.helper && of.server.addresses.is_empty() {
                notes.push(Note::ActiveFromAnybody {
                    ports: Ports::these([active.client_ports]),
                    source_port: active.source_port,
                });
            }
            if !of.side.is_servers() && !of.helper && Some(active.client_ports) == unprivileged() {
                notes.push(Note::ClientPortsWide);
            }
            if of.side == Side::ClientGateway && !of.helper {
                notes.push(Note::ActiveBehindNat);
            }
        }
        if !of.hairpin.is_empty() {
            notes.push(Note::HairpinHidesClients);
        }
        notes
    }
}

/// Something to know about the rules that is not in them. Displays as a sentence without full stop
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// `--one-port auto`: nobody is lost if the data ports stay closed
    DataPortsMayStayClosed {
        /// The control port
        control: u16,
        /// The data ports
        ports: Ports,
    },
    /// TLS blinds the helper
    HelperReadsPlaintextOnly,
    /// The helper was asked for where no data connection needs it
    NothingForTheHelper,
    /// The active rule holds only if the server sends from this port
    SourcePort(u16),
    /// The server sends from any port
    AnySourcePort {
        /// Whether the rules are for the server's side
        servers_side: bool,
    },
    /// A client that awaits active data connections from any host
    ActiveFromAnybody {
        /// Where it listens
        ports: Ports,
        /// The only thing that a stranger must do
        source_port: Option<u16>,
    },
    /// A client that awaits active data connections at any port
    ClientPortsWide,
    /// Active data mode, a client gateway and no helper
    ActiveBehindNat,
    /// Hairpin: the server sees the gateway instead of the client
    HairpinHidesClients,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataPortsMayStayClosed { control, ports } => write!(
                f,
                "one-port is auto: clients to which the data ports ({ports}) do not work are sent to the control port; with \
                 --one-port on the data ports stay closed, and port {control} is all that is open"
            ),
            Self::HelperReadsPlaintextOnly => f.write_str(
                "the helper reads the control connection: with TLS it is blind and the data connections that depend on \
                 it do not come about; without --helper the rules do not depend on what is encrypted",
            ),
            Self::NothingForTheHelper => f.write_str(
                "no data connection of this deployment needs the helper, so it is not assigned",
            ),
            Self::SourcePort(port) => write!(
                f,
                "the rule for active data connections holds for a server that sends from port {port}: wharf does where \
                 it may bind it, vsftpd and Pure-FTPd do, ProFTPD since 1.3.7 does not unless RootRevoke is off"
            ),
            Self::AnySourcePort { servers_side: true } => f.write_str(
                "active data connections come from any port of the server: nothing distinguishes them from other \
                 connections that it opens; a server that sends from port 20 needs less (--active-port 20)",
            ),
            Self::AnySourcePort {
                servers_side: false,
            } => f.write_str(
                "active data connections may come from any port of the server; where it sends from port 20 say \
                 --active-port 20",
            ),
            Self::ActiveFromAnybody { ports, source_port } => {
                write!(f, "every host can connect to ports {ports}")?;
                if let Some(port) = source_port {
                    write!(f, " if it only sends from port {port}")?;
                }
                f.write_str(": name the server with --server")
            }
            Self::ClientPortsWide => f.write_str(
                "the client may listen at any unprivileged port: let it use a few (wharf get --port-range) and name \
                 them with --client-ports",
            ),
            Self::ActiveBehindNat => f.write_str(
                "behind a NAT without helper active data connections need ports that are forwarded to the client as \
                 well; wharf's client asks the router for one by itself (PCP, NAT-PMP, UPnP)",
            ),
            Self::HairpinHidesClients => f.write_str(
                "hosts beside the server reach it with the gateway's address: passive data connections work, active \
                 ones are refused; tell such hosts the inside address where you can (--advertise NET=ADDR, DNS)",
            ),
        }
    }
}
