//! One open port: wharf's server tells its passive clients the control port itself, and unmodified
//! clients download, upload and list in every topology in which the control connection stands. Then one
//! shared data port beside it, where a firewall, a gateway or a balancer lets it through. And what the
//! server does untold: after one client who could not reach its range, everybody of that address gets
//! through.
//!
//! Nothing is told to the clients but "passive", and what each needs where the server's announced
//! address is not the one it dialled.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::client::{Client, Family, Way};
use crate::operation::{Cell, Does, Errand, OPERATIONS, find};
use crate::payload;
use crate::server::Kind;
use crate::stage::Stage;
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::{Expected, Middlebox, POOLS, ServerSide, TOPOLOGIES, Topology};
use crate::{Result, Settings};

/// The clients, as `client::FOREIGN` and `client::WHARF` name them.
const CLIENTS: &[&str] = &["curl", "lftp", "tnftp", "ncftp", "inetutils", "wharf"];

/// Those that speak TLS, as `client::SECURED` names them.
const SECURED: &[&str] = &["curl", "lftp", "ftplib", "wharf"];

/// No operation lasts longer; the slow topology's time comes on top. NcFTP, which tries a wrong address
/// four times over before it turns to PORT, needs 22 s.
const LIMIT: Duration = Duration::from_secs(40);

/// Within this time the first client arrives at a server that does not know yet that its range is closed.
const FIRST: Duration = Duration::from_secs(5);

/// Between the beginnings of operations that overlap.
const APART: Duration = Duration::from_millis(1500);

/// Topologies at once. Most of a cell is work, not waiting.
const AT_ONCE: usize = 4;

/// What the server offers to passive clients.
#[derive(Clone, Copy, Debug)]
struct Offer {
    title: &'static str,
    arguments: &'static [&'static str],
    /// The topologies in which it has to work; all of them when empty.
    rows: &'static [&'static str],
    /// Somebody has to have failed first: wharf's client, which asks twice and so arrives at once.
    learns: bool,
    /// Over TLS, where every data connection has to resume the control connection's session.
    secured: bool,
}

impl Offer {
    const fn clients(self) -> &'static [&'static str] {
        if self.secured { SECURED } else { CLIENTS }
    }

    const fn over_tls(self, title: &'static str) -> Self {
        Self {
            title,
            secured: true,
            ..self
        }
    }
}

const ONE_PORT: Offer = Offer {
    title: "the control port itself",
    arguments: &["--one-port", "on"],
    rows: &[],
    learns: false,
    secured: false,
};

const SHARED_PORT: Offer = Offer {
    title: "one data port for everybody",
    arguments: &["--one-port", "off", "--data-port", "50000"],
    rows: &[
        "open",
        "server-fw-range",
        "client-nat",
        "both-nat-fixed",
        "server-dnat-snat",
        "haproxy-range",
        "haproxy-range-proxy",
        "ipv6-server-range",
    ],
    learns: false,
    secured: false,
};

/// What the server does untold: the range, and the control port for those who do not get there.
const AUTOMATIC: Offer = Offer {
    title: "the control port for those to whom the range is closed",
    arguments: &[],
    rows: &[
        "open",
        "client-egress-21",
        "server-fw-21-strict",
        "server-fw-range-reject",
        "both-fw",
        "server-dnat-21",
        "both-nat-upnp",
        "haproxy-21",
        "haproxy-21-proxy",
    ],
    learns: true,
    secured: false,
};

/// Fills and prints the matrices.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    for offer in [ONE_PORT, SHARED_PORT, AUTOMATIC] {
        print(settings, tally, offer);
    }
    Ok(())
}

/// The same over TLS; there also where every connection comes from another address.
pub(crate) fn secured(settings: &Settings, tally: &Tally) {
    for (offer, title) in [
        (ONE_PORT, "over TLS: the control port itself"),
        (SHARED_PORT, "over TLS: one data port for everybody"),
        (
            AUTOMATIC,
            "over TLS: the control port for those to whom the range is closed",
        ),
    ] {
        print(settings, tally, offer.over_tls(title));
    }
}

fn print(settings: &Settings, tally: &Tally, offer: Offer) {
    let pools = if offer.secured { POOLS } else { &[] };
    let clients = offer.clients();
    let mut rows: Vec<Topology> = TOPOLOGIES
        .iter()
        .chain(pools)
        .filter(|row| settings.wants(row.name))
        .filter(|row| offer.rows.is_empty() || offer.rows.contains(&row.name))
        .map(|row| {
            if offer.secured {
                row.over_tls(true)
            } else {
                *row
            }
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    // The slow ones first, so that nobody waits for them at the end.
    rows.sort_by_key(|row| row.takes.is_zero() && row.name != "server-dnat-wrongaddr");
    let answers = concurrently(&rows, AT_ONCE, |row| Scene::play(settings, *row, offer));
    let mut heads = vec!["topology"];
    heads.extend(clients);
    let mut matrix = Matrix::new(&heads);
    for (row, answer) in rows.iter().zip(answers) {
        let cells = match answer {
            Ok(cells) => cells,
            Err(failure) => {
                tally.fail(row.name, &failure.to_string());
                matrix.push(row.name, vec!["?".to_owned(); clients.len()]);
                continue;
            }
        };
        let shown = clients.iter().zip(cells.chunks(OPERATIONS.len()));
        let shown = shown.map(|(name, cells)| {
            let words = cells.iter().zip(OPERATIONS).map(|(cell, does)| match cell {
                Cell::Works(elapsed) => {
                    tally.pass();
                    seconds(*elapsed)
                }
                Cell::Fails(why) => {
                    let what = format!("{} / {} / {name} {does:?}", offer.title, row.name);
                    tally.fail(&what, why);
                    "!!".to_owned()
                }
                Cell::Cannot => "-".to_owned(),
            });
            words.collect::<Vec<_>>().join(" ")
        });
        matrix.push(row.name, shown.collect());
    }
    matrix.print(&format!(
        "{} x topologies, unmodified clients, passive (seconds of get, put, ls; - the client has no \
         IPv6; !! does not work)",
        offer.title
    ));
}

/// One topology with its server.
struct Scene {
    stage: Stage,
    row: Topology,
    payload: PathBuf,
}

impl Scene {
    /// All operations of all clients, one after another as one user would. Only where a transfer is slow
    /// do they overlap; each begins when the one before has its data connection, because what many
    /// sessions of one address do to each other is the part `races`.
    fn play(settings: &Settings, row: Topology, offer: Offer) -> Result<Vec<Cell>> {
        let stage = Stage::in_topology(
            settings,
            &format!("one-port-{}", row.name),
            row,
            Kind::Wharf,
        )?;
        let stage = if offer.secured {
            stage.secured()?
        } else {
            stage
        };
        let payload = stage.root.join("payload.bin");
        payload::write(&payload, payload::SMALL)?;
        let server = stage.serve_with(offer.arguments)?;
        let scene = Self {
            stage,
            row,
            payload,
        };
        if offer.learns {
            match scene.operate("wharf", Does::Get)? {
                Cell::Fails(why) => return Err(format!("the first client: {why}").into()),
                Cell::Works(elapsed) if elapsed > FIRST => {
                    return Err(format!("the first client took {}", seconds(elapsed)).into());
                }
                _ => {}
            }
        }
        let operations: Vec<(u32, (&str, Does))> = (0..)
            .zip(
                offer
                    .clients()
                    .iter()
                    .flat_map(|name| OPERATIONS.map(|does| (*name, does))),
            )
            .collect();
        let (workers, apart) = if row.takes.is_zero() {
            (1, Duration::ZERO)
        } else {
            (operations.len(), APART)
        };
        let cells = concurrently(&operations, workers, |(number, (name, does))| {
            thread::sleep(apart * *number);
            scene
                .operate(name, *does)
                .unwrap_or_else(|failure| Cell::Fails(failure.to_string()))
        });
        drop(server);
        Ok(cells)
    }

    fn operate(&self, name: &str, does: Does) -> Result<Cell> {
        let stage = &self.stage;
        let client = find(name, stage.certificates.is_some())?;
        let host = stage.network.host();
        let errand = Errand {
            from: &stage.network.client,
            work: &stage.work,
            wharf: &stage.wharf,
            secret: &stage.secret,
            host: &host,
            user: Errand::USER,
            payload: &self.payload,
            root: &stage.root,
            certificates: stage.certificates.as_ref(),
            limit: LIMIT + self.row.takes,
        };
        Ok(errand.run(client, self.way(client)?, does, name))
    }

    /// The client's passive way in this topology.
    fn way(&self, client: &'static Client) -> Result<&'static Way> {
        let family = if self.row.ipv6 {
            Family::V6
        } else {
            Family::V4
        };
        let wanted = passive(client.name, family, self.misnamed());
        let mut ways = client.ways.iter();
        ways.find(|way| way.name == wanted && way.family == family)
            .ok_or_else(|| format!("{} has no way {wanted}", client.name).into())
    }

    /// Whether a 227 names another address than the one that the client dialled, and nobody on the way
    /// corrects it.
    fn misnamed(&self) -> bool {
        let row = &self.row;
        // Told by the balancer, the server names what the client dialled.
        let told = matches!(
            row.middlebox,
            Some(Middlebox::Balancer {
                header: Some(_),
                ..
            })
        );
        let announced = match (row.advertise, row.server) {
            (Some(told), _) => told,
            (None, ServerSide::Public) => "203.0.113.130",
            (None, ServerSide::Forwarded) => "10.20.0.2",
        };
        announced != self.stage.network.dial.to_string()
            && !told
            && row.ways.reply != Expected::Works
    }
}

/// The word that `client`'s table has for its normal passive transfer. Where the 227 names an address
/// that leads nowhere, lftp and inetutils have to be asked for EPSV, which names none; NcFTP knows PASV
/// alone: it repairs a private address, and after any other that fails it turns to PORT by itself.
fn passive(client: &str, family: Family, misnamed: bool) -> &'static str {
    match (client, family, misnamed) {
        ("ncftp", Family::V6, _) => "any",
        ("wharf", Family::V4, _) => "passive",
        ("wharf", Family::V6, _) => "epsv",
        ("inetutils", Family::V4, false) => "PASV (-p)",
        ("inetutils", ..) => "EPSV (-p)",
        // It asks for PASV and does not believe the address.
        ("ftplib", Family::V4, _) | ("lftp" | "ncftp", Family::V4, false) => "PASV",
        ("ncftp", Family::V4, true) => "PASV, else PORT",
        _ => "EPSV",
    }
}
