//! What a server's configuration offers, as far as a firewall, a NAT or the host can spoil it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_firewall::Passive;

/// Of `wharf serve`'s settings what is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Where control connections are taken.
    pub listen: Vec<SocketAddr>,
    /// How passive data connections are offered.
    pub passive: Passive,
    /// Clients to which that does not work are sent to the control port.
    pub one_port_auto: bool,
    /// What clients that no rule names are told as the server's address.
    pub told: Told,
    /// There are rules for networks of clients besides.
    pub told_by_network: bool,
    /// Active data connections are offered.
    pub active: bool,
    /// Their source port; `None` is any.
    pub active_port: Option<u16>,
    /// The most sessions; `None` is no limit.
    pub max_sessions: Option<usize>,
    /// Silence after which a control connection is probed; zero is never.
    pub keepalive: Duration,
    /// Balancers in front tell the client's address: rules see the balancer.
    pub balanced: bool,
}

/// The address that a 227 names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The one that the client reached.
    Reached,
    /// This one.
    Address(IpAddr),
    /// What this name stands for.
    Name(String),
    /// What the server finds out while it runs.
    Auto,
}

impl Offered {
    /// The ports of control connections, each once.
    pub fn control_ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.listen.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    pub(super) fn facts(&self) -> Vec<String> {
        let listen: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        let passive = match self.passive {
            Passive::Range(range) => format!("passive ports {range}"),
            Passive::DataPorts(range) => format!("shared data ports {range}"),
            Passive::OnePort => "passive data on the control port".to_owned(),
        };
        let active = match (self.active, self.active_port) {
            (false, _) => "no active data connections".to_owned(),
            (true, None) => "active data connections from any port".to_owned(),
            (true, Some(port)) => format!("active data connections from port {port}"),
        };
        vec![format!(
            "offers: control at {}, {passive}, {active}",
            listen.join(", ")
        )]
    }
}
