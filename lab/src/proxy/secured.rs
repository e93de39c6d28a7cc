//! TLS on either side of the proxy, or on both: it ends there, so that each side has a session of its own, and each side
//! insists that its data connections resume it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::scene::{Plan, Proxy, SERVERS, Scene, Upstream, in_url};
use crate::client::Family;
use crate::operation::{Cell, Does, Errand, OPERATIONS, find};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::{Result, Settings};

/// Operations at once.
const AT_ONCE: usize = 4;

/// Who comes over TLS, and by which way; some active, some passive.
const SECURED: &[(&str, &str)] = &[
    ("curl", "EPSV"),
    ("lftp", "PORT"),
    ("lftp", "PASV"),
    ("ftplib", "PASV"),
    ("wharf", "epsv"),
    ("wharf", "port"),
];

/// Who comes in clear.
const CLEAR: &[(&str, &str)] = &[
    ("curl", "EPRT"),
    ("tnftp", "EPSV"),
    ("lftp", "PASV"),
    ("wharf", "port"),
];

/// The proxy's side towards the server.
const THEIRS: [&str; 2] = ["pasv", "eprt"];

/// Which sides are in TLS.
#[derive(Clone, Copy, Debug)]
struct Sides {
    name: &'static str,
    client: bool,
    server: bool,
}

const SIDES: [Sides; 3] = [
    Sides {
        name: "TLS with the client",
        client: true,
        server: false,
    },
    Sides {
        name: "TLS with the server",
        client: false,
        server: true,
    },
    Sides {
        name: "TLS with both",
        client: true,
        server: true,
    },
];

/// Fills and prints the matrix.
pub(super) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    if !settings.wants("secured") {
        return Ok(());
    }
    let names: Vec<&str> = SERVERS.iter().map(|kind| kind.name()).collect();
    let mut heads = vec!["sides in TLS, mode towards the server"];
    heads.extend(&names);
    let mut matrix = Matrix::new(&heads);
    for secured in [false, true] {
        let plan = Plan {
            secured,
            ..Plan::default()
        };
        let what = if secured { "to-tls" } else { "from-tls" };
        let scene = Scene::build(settings, what, &SERVERS, plan)?;
        let mut address = 10;
        for sides in SIDES.iter().filter(|sides| sides.server == secured) {
            for theirs in THEIRS {
                let row = format!("{}, {}", sides.name, theirs.to_uppercase());
                let mut cells = Vec::new();
                for upstream in &scene.servers {
                    let visit = Visit {
                        scene: &scene,
                        upstream,
                        sides: *sides,
                        theirs,
                    };
                    cells.push(visit.pay(tally, &row, address)?);
                    address += 1;
                }
                matrix.push(&row, cells);
            }
        }
    }
    matrix.print("the proxy and TLS, unmodified clients (operations that worked, the slowest)");
    Ok(())
}

/// One proxy in front of one server.
struct Visit<'a> {
    scene: &'a Scene,
    upstream: &'a Upstream,
    sides: Sides,
    theirs: &'static str,
}

impl Visit<'_> {
    /// All clients, and what the cell shows.
    fn pay(&self, tally: &Tally, row: &str, address: u8) -> Result<String> {
        let (own, _) = self.scene.address(address)?;
        let proxy = self.proxy(own.into())?;
        let host = in_url(own.into());
        let plain = self.scene.errand(&host, self.upstream);
        let errand = Errand {
            certificates: self.sides.client.then_some(&self.scene.certificates),
            ..plain
        };
        let clients = if self.sides.client { SECURED } else { CLEAR };
        let server = self.upstream.kind.name();
        let work: Vec<_> = (clients.iter())
            .flat_map(|client| OPERATIONS.map(|does| (*client, does)))
            // What clients in TLS send, and in which order tickets come then, is the part `ftps`.
            .filter(|(_, does)| !self.sides.client || *does != Does::Put)
            .collect();
        let answers = concurrently(&work, AT_ONCE, |((name, way), does)| {
            let client = match find(name, self.sides.client) {
                Ok(client) => client,
                Err(failure) => return Cell::Fails(failure.to_string()),
            };
            let mut ways = client.ways.iter();
            match ways.find(|it| it.name == *way && it.family == Family::V4) {
                Some(found) => errand.run(client, found, *does, &format!("{address}-{name}-{way}")),
                None => Cell::Fails(format!("{name} has no way {way}")),
            }
        });
        let said = proxy.said();
        if said.contains("panicked") {
            return Err(said.into());
        }
        let (mut worked, mut slowest) = (0, Duration::ZERO);
        for (((name, way), does), answer) in work.iter().zip(&answers) {
            match answer {
                Cell::Works(elapsed) => {
                    worked += 1;
                    slowest = slowest.max(*elapsed);
                    tally.pass();
                }
                Cell::Fails(why) => {
                    tally.fail(&format!("{row} / {server} / {name} {way} {does:?}"), why);
                }
                Cell::Cannot => worked += 1,
            }
        }
        Ok(if worked == answers.len() {
            format!("{worked} {}", seconds(slowest))
        } else {
            format!("{worked} of {} !!", answers.len())
        })
    }

    fn proxy(&self, own: IpAddr) -> Result<Proxy> {
        let files = &self.scene.certificates;
        let (chain, key) = (files.chain.to_string_lossy(), files.key.to_string_lossy());
        let authority = files.authority.to_string_lossy();
        let mut further = vec!["--upstream-mode", self.theirs];
        if self.sides.client {
            further.extend(["--tls", "required", "--tls-cert", &chain, "--tls-key", &key]);
        }
        if self.sides.server {
            further.extend(["--upstream-tls", "require", "--upstream-ca", &authority]);
        }
        let at = SocketAddr::new(self.upstream.v4.into(), 21).to_string();
        self.scene.proxy(&[SocketAddr::new(own, 21)], &at, &further)
    }
}
