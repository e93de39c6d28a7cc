//! An FTP application-layer gateway, as far as Linux's `nf_conntrack_ftp` and `nf_nat_ftp` go: it looks at whole lines
//! in what one segment carries, finds PORT, EPRT, 227 and 229, rewrites the address where the gateway translates, and
//! lets the connection that they announce through once. In bytes that it does not understand (TLS) it finds nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use wharf_proto::host_port::{
    EprtArgument, read_227, read_229, read_eprt, read_port, write_227_text, write_229_text,
    write_eprt, write_port,
};

use crate::gateway::Expectation;
use crate::stream::lock;
use crate::world::{Map, Site};

/// Who sends what a helper reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Commands: PORT and EPRT announce a connection from the server.
    User,
    /// Replies: 227 and 229 announce a connection from the user.
    Server,
}

/// An address on both sides of the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faces {
    pub(crate) inside: IpAddr,
    pub(crate) outside: IpAddr,
}

/// A helper's ear at one direction of one control connection.
pub(crate) struct Tap {
    pub(crate) map: Arc<Mutex<Map>>,
    /// The site whose gateway has the helper.
    pub(crate) site: Site,
    pub(crate) speaker: Speaker,
    /// Whether the speaker is the one who stands inside the site.
    pub(crate) from_inside: bool,
    pub(crate) own: Faces,
    pub(crate) other: Faces,
}

impl Tap {
    /// What the gateway passes on instead of `bytes`.
    pub(crate) fn rewrite(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            match line.ends_with(b"\n").then(|| self.announcement(line)) {
                Some(Some(rewritten)) => {
                    out.extend_from_slice(rewritten.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                _ => out.extend_from_slice(line),
            }
        }
        out
    }

    /// The line anew, if it announces a connection.
    fn announcement(&self, line: &[u8]) -> Option<String> {
        let line = line.trim_ascii_end();
        let (word, rest) = line.split_at_checked(line.iter().position(|&b| b == b' ')?)?;
        let rest = rest.get(1..)?;
        match (self.speaker, word.to_ascii_uppercase().as_slice()) {
            (Speaker::User, b"PORT") => match self.announce(read_port(rest).ok()?.into())? {
                SocketAddr::V4(told) => Some(format!("PORT {}", write_port(told))),
                SocketAddr::V6(_) => None,
            },
            (Speaker::User, b"EPRT") => match read_eprt(rest).ok()? {
                EprtArgument::Address(named) => {
                    Some(format!("EPRT {}", write_eprt(self.announce(named)?)))
                }
                EprtArgument::UnknownProtocol(_) => None,
            },
            (Speaker::Server, b"227") => match self.announce(read_227(rest)?.into())? {
                SocketAddr::V4(told) => Some(format!("227 {}", write_227_text(told))),
                SocketAddr::V6(_) => None,
            },
            (Speaker::Server, b"229") => {
                let here = if self.from_inside {
                    self.own.inside
                } else {
                    self.own.outside
                };
                let told = self.announce(SocketAddr::new(here, read_229(rest)?))?;
                Some(format!("229 {}", write_229_text(told.port())))
            }
            _ => None,
        }
    }

    /// Lets the connection to `named` through and says under which address the other side finds it. An address that is
    /// not the speaker's own is none of the helper's business.
    fn announce(&self, named: SocketAddr) -> Option<SocketAddr> {
        let mut map = lock(&self.map);
        let gateway = map.gateway(self.site)?;
        if self.from_inside {
            if named.ip() != self.own.inside {
                return None;
            }
            let told = gateway.expose(self.own.outside, named);
            gateway.expect(Expectation {
                from: self.other.outside,
                to: told,
                inside: named,
            });
            Some(told)
        } else {
            if named.ip() != self.own.outside {
                return None;
            }
            gateway.expect(Expectation {
                from: self.other.inside,
                to: named,
                inside: named,
            });
            Some(named)
        }
    }
}
