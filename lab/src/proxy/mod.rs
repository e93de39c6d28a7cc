//! `wharf proxy` between programs that know nothing of it: unmodified clients on one side, vsftpd, ProFTPD, Pure-FTPd and
//! wharf's server on the other.
//!
//! * `translation`: four data modes towards the client times four towards the server, both families
//! * `middle`, `gateways`: the proxy on a gateway between two sides that cannot meet; one port towards the world; transparently, by
//!   `redirect` and by `tproxy`; `user@host`
//! * `secured`: TLS on the client's side, on the server's, on both, each by itself
//! * `dialogue`: by hand, what is answered during a transfer, and what strangers and bounces get

mod dialogue;
mod gateways;
mod middle;
mod scene;
mod secured;
mod translation;

use std::thread;

use crate::client::{Family, Way};
use crate::operation::Does;
use crate::server::Kind;
use crate::tally::Tally;
use crate::{Result, Settings};

/// The clients, as `client::FOREIGN` and `client::WHARF` name them.
const CLIENTS: [&str; 6] = ["curl", "lftp", "tnftp", "ncftp", "inetutils", "wharf"];

/// The data modes by their commands.
const MODES: [&str; 4] = ["PORT", "EPRT", "PASV", "EPSV"];

/// Which of [`MODES`] a way of a client is, if it is one of them and nothing else.
fn mode_of(way: &Way) -> Option<&'static str> {
    let name = way.name.strip_suffix(" (-p)").unwrap_or(way.name);
    let mut modes = MODES.into_iter();
    modes.find(|mode| mode.eq_ignore_ascii_case(name))
}

/// The ways of all clients in one family that are one mode each, with the client's name.
fn ways(family: Family) -> Result<Vec<(&'static str, &'static Way, &'static str)>> {
    let mut found = Vec::new();
    for name in CLIENTS {
        let client = crate::operation::find(name, false)?;
        for way in client.ways.iter().filter(|way| way.family == family) {
            if let Some(mode) = mode_of(way).filter(|_| way.cannot.is_none()) {
                found.push((name, way, mode));
            }
        }
    }
    Ok(found)
}

/// What two programs cannot do with each other, proxy or none: Pure-FTPd answers the NLST of `ncftpls` with 550.
fn cannot(server: Kind, client: &str, does: Does) -> bool {
    (server, client, does) == (Kind::PureFtpd, "ncftp", Does::List)
}

/// All of it; the matrices share the time with what is mostly waiting.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    thread::scope(|scope| {
        let beside = scope.spawn(|| -> Result<()> {
            middle::run(settings, tally)?;
            dialogue::run(settings, tally)?;
            secured::run(settings, tally)
        });
        let matrices = translation::run(settings, tally);
        let beside = beside
            .join()
            .unwrap_or_else(|_| Err("a thread of the lab panicked".into()));
        matrices.and(beside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_clients_and_every_client_a_mode() {
        let found = ways(Family::V4).unwrap();
        for name in CLIENTS {
            assert!(found.iter().any(|(client, ..)| *client == name), "{name}");
        }
        for mode in MODES {
            let who = found.iter().filter(|(.., it)| *it == mode).count();
            assert!(who >= 4, "{mode}: {who} clients");
        }
    }
}
