//! What is said when a data connection does not come about (425) or does not last (426): what was
//! waited for, where, for how long, what is likely in the way, and what else is offered.
//!
//! People read these lines in curl and lftp, so each stands for itself, and is short. Nothing in
//! them is new to the client: its own address, the one it was told, the ports a firewall is told.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_net::OpenError;
use wharf_proto::Verb;
use wharf_proto::data_connection::advertise::{is_private, is_public};
use wharf_proto::data_connection::passive::PortRange;

/// What a session knows that its failures do not
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// The peer of the control connection
    pub(crate) peer: IpAddr,
    /// The control port as the client has reached it
    pub(crate) control_port: u16,
    /// Where the client was told to connect to
    pub(crate) told: Option<Told>,
    /// Ports of passive data connections
    pub(crate) range: PortRange,
    /// Whether PORT or EPRT would be accepted now
    pub(crate) active: bool,
    /// Whether the next PASV or EPSV will name the control port, since the range does not work
    pub(crate) control_port_next: bool,
    /// Octets that have gone through the data connection
    pub(crate) moved: u64,
}

/// What a 227, 228 or 229 said
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) at: SocketAddr,
    /// A 229 names a port only
    pub(crate) with_address: bool,
}

impl Circumstances {
    /// Text of a 425
    pub(super) fn unopened(&self, error: &OpenError) -> String {
        match error {
            OpenError::NobodyCame {
                at,
                waited,
                strangers,
            } => self.nobody_came(*at, *waited, strangers),
            OpenError::Refused { to } => self.unreached(format!(
                "{to} refused the connection: nothing listens there, or a firewall in front of it rejects"
            )),
            OpenError::Silent { to, waited } => self.unreached(format!(
                "{to} did not answer in {}: a firewall or NAT in front of the client drops it?",
                seconds(*waited)
            )),
            OpenError::Unreachable { to, .. } => {
                self.unreached(format!("No way leads from this server to {to}"))
            }
            OpenError::Connect { to, .. } => {
                self.unreached(format!("{to} cannot be connected to from this server"))
            }
            OpenError::SharedPort { why, .. } => format!("No data connection: {why}"),
            _ => self.or_active("The server cannot accept a data connection now".to_owned()),
        }
    }

    fn nobody_came(&self, at: SocketAddr, waited: Duration, strangers: &[SocketAddr]) -> String {
        let at = self.told.map_or(at, |told| told.at);
        let place = match self.told {
            Some(told) if !told.with_address => format!("port {}", at.port()),
            _ => at.to_string(),
        };
        let waited = seconds(waited);
        let mut text = match strangers.split_first() {
            None => format!("No connection came to {place} in {waited}"),
            Some((first, rest)) => {
                let mut text = format!(
                    "No connection came from {} to {place} in {waited}, but a stranger's from {}",
                    self.peer,
                    first.ip()
                );
                if !rest.is_empty() {
                    let _ = write!(text, " and {} more", rest.len());
                }
                text
            }
        };
        match self.cause(at, strangers) {
            Cause::SeveralAddresses => {}
            Cause::PrivateAddress => {
                text.push_str("; that address is private: this server does not know its outer one");
            }
            Cause::RangeClosed => {
                let _ = write!(text, "; is {}/tcp open?", self.range);
            }
            Cause::PortClosed => {
                let _ = write!(text, "; is {}/tcp open?", at.port());
            }
            Cause::NotTried => text.push_str(", the port of this control connection"),
        }
        if self.control_port_next {
            next_sentence(&mut text);
            text.push_str("Ask again: the next passive attempt uses this control port");
        }
        self.or_active(text)
    }

    /// What most likely kept a passive client away
    fn cause(&self, at: SocketAddr, strangers: &[SocketAddr]) -> Cause {
        let named = self.told.is_some_and(|told| told.with_address);
        if !strangers.is_empty() {
            Cause::SeveralAddresses
        } else if named && is_private(at.ip()) && is_public(self.peer) {
            Cause::PrivateAddress
        } else if at.port() == self.control_port {
            Cause::NotTried
        } else if self.range.contains(at.port()) {
            Cause::RangeClosed
        } else {
            Cause::PortClosed
        }
    }

    fn or_active(&self, mut text: String) -> String {
        if self.active {
            next_sentence(&mut text);
            let verb = if self.peer.is_ipv4() { "PORT" } else { "EPRT" };
            let _ = write!(text, "Active mode ({verb}) is also offered");
        }
        text
    }

    /// Active mode did not reach the client
    fn unreached(&self, mut text: String) -> String {
        next_sentence(&mut text);
        let verbs = if self.peer.is_ipv4() {
            "EPSV, PASV"
        } else {
            "EPSV"
        };
        let _ = write!(text, "Passive mode ({verbs}) is also offered");
        text
    }

    /// Text of a 425 when every port is taken
    pub(super) fn exhausted(&self, range: &str) -> String {
        self.or_active(format!(
            "Every passive port of {range} is in use; try again later"
        ))
    }

    /// Text of a 425 when nothing was arranged
    pub(super) fn unarranged(&self) -> &'static str {
        if self.active {
            "Use PASV, EPSV, PORT or EPRT first"
        } else {
            "Use PASV or EPSV first"
        }
    }

    /// Text of a 426 when the data connection broke
    pub(super) fn broken(&self, error: &io::Error, verb: &Verb) -> String {
        let how = match error.kind() {
            io::ErrorKind::ConnectionReset => "was reset, by the client or something between,",
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::WriteZero
            | io::ErrorKind::ConnectionAborted => "was closed by the client",
            io::ErrorKind::TimedOut => "is dead: nothing answers any more",
            _ => "broke",
        };
        format!(
            "The data connection {how} after {}; transfer incomplete",
            self.so_far(verb)
        )
    }

    /// Text of a 426 when nothing moved for so long
    pub(super) fn stalled(&self, waited: Duration, verb: &Verb) -> String {
        let who = if is_upload(verb) { "send" } else { "read" };
        format!(
            "Nothing moved for {} after {}: the client does not {who}, or the path is gone; transfer incomplete",
            seconds(waited),
            self.so_far(verb)
        )
    }

    fn so_far(&self, verb: &Verb) -> String {
        let way = if is_upload(verb) { "received" } else { "sent" };
        format!("{} bytes {way}", self.moved)
    }

    /// One event with all of it
    pub(super) fn log(&self, error: &OpenError) {
        match error {
            OpenError::NobodyCame {
                at,
                waited,
                strangers,
            } => {
                let named = self.told.map_or(*at, |told| told.at);
                tracing::info!(
                    waited = waited.as_secs_f64(),
                    %at,
                    told = %named,
                    range = %self.range,
                    strangers = strangers.len(),
                    stranger = strangers.first().map(tracing::field::display),
                    cause = self.cause(named, strangers).word(),
                    "no data connection: nobody came"
                );
            }
            OpenError::Silent { to, waited } => tracing::info!(
                waited = waited.as_secs_f64(),
                at = %to,
                cause = "dropped on the way or at the client",
                "no data connection: no answer"
            ),
            OpenError::Refused { to } => tracing::info!(
                at = %to,
                cause = "nothing listens at the client, or a firewall rejects",
                "no data connection: refused"
            ),
            OpenError::Unreachable { to, source } | OpenError::Connect { to, source } => {
                tracing::info!(at = %to, cause = %source, "no data connection: cannot connect");
            }
            OpenError::SharedPort { at, why } => {
                tracing::info!(%at, cause = %why, "no data connection: refused at a shared port");
            }
            OpenError::NotResumed { peer } => tracing::warn!(
                %peer,
                "no data connection: it does not resume the session's TLS"
            ),
            OpenError::Handshake { peer, error } => {
                tracing::info!(%peer, %error, "no data connection: no TLS on it");
            }
            other => tracing::warn!(error = %other, "no data connection: cannot accept"),
        }
    }
}

/// Why a passive client did not come, as far as can be told from here
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody else came: a stranger, or the client by another address of its NAT
    SeveralAddresses,
    /// It was told an address that nobody outside can reach
    PrivateAddress,
    /// The control connection came to this port, and so would have the other
    NotTried,
    /// The range is not let through
    RangeClosed,
    /// A port outside of the range is not let through
    PortClosed,
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::SeveralAddresses => "a stranger, or a client with several addresses",
            Self::PrivateAddress => "a private address was told; see the advertise setting",
            Self::NotTried => "the client did not connect",
            Self::RangeClosed => "the passive range is not let through a firewall or NAT",
            Self::PortClosed => "the port is not let through a firewall or NAT",
        }
    }
}

fn is_upload(verb: &Verb) -> bool {
    matches!(verb.word, "STOR" | "STOU" | "APPE")
}

/// Ends the sentence before another one
fn next_sentence(text: &mut String) {
    text.push_str(if text.ends_with('?') { " " } else { ". " });
}

/// `10 s`, `1.5 s`
fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        tenth => format!("{}.{tenth} s", tenths / 10),
    }
}

#[cfg(test)]
mod tests;
