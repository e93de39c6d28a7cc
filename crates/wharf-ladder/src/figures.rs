//! The sessions that explain FTP's data modes: real ones, recorded as packets in the lab (`cargo xtask lab captures`)
//! and kept as traces beside the captures from which a test reads them anew.

/// An active data connection: vsftpd, from its port 20.
pub const ACTIVE: &str = include_str!("../tests/captures/active.trace");

/// A passive data connection.
pub const PASSIVE: &str = include_str!("../tests/captures/passive.trace");

/// A passive data connection to the port of the control connection: wharf.
pub const ONE_PORT: &str = include_str!("../tests/captures/one-port.trace");

/// A passive data connection to a port that the server's firewall does not let in.
pub const PASSIVE_BLOCKED: &str = include_str!("../tests/captures/passive-blocked.trace");

/// A user behind a NAT asks for an active data connection; recorded outside of the NAT.
pub const ACTIVE_BEHIND_NAT: &str = include_str!("../tests/captures/active-behind-nat.trace");
