//! The proxy where neither end can be changed: on a gateway between two sides whose firewalls let no data connection
//! through, in front of a server with one open port, and unseen.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::cannot;
use super::gateways::{Found, ROWS, Row, TPROXY_ROUTES, TPROXY_ROUTES_V6};
use super::scene::{GATEWAY, SERVERS, Scene, Upstream, in_url};
use crate::client::{Client, Family, Way};
use crate::operation::{Cell, Does, OPERATIONS, find};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::{Result, Settings};

/// Scenes at once.
const AT_ONCE: usize = 2;

/// For so long curl tries what cannot work.
const IN_VAIN: Duration = Duration::from_secs(3);

/// Fills and prints the matrix.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(super) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let rows: Vec<&Row> = (ROWS.iter())
        .filter(|row| settings.wants(&format!("middle {}", row.name)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let answers = concurrently(&rows, AT_ONCE, |row| play(settings, row));
    let mut heads = vec!["the proxy in the middle"];
    let names: Vec<String> = SERVERS.iter().map(|kind| kind.name().to_owned()).collect();
    heads.extend(names.iter().map(String::as_str));
    let mut matrix = Matrix::new(&heads);
    for (row, answer) in rows.iter().zip(answers) {
        let servers = match answer {
            Ok(servers) => servers,
            Err(failure) => {
                tally.fail(row.name, &failure.to_string());
                matrix.push(row.name, vec!["?".to_owned(); SERVERS.len()]);
                continue;
            }
        };
        let cells = servers.into_iter().zip(&names).map(|(cells, server)| {
            let (mut worked, mut all) = (0, 0);
            let mut slowest = Duration::ZERO;
            for (what, cell) in cells {
                all += 1;
                match cell {
                    Cell::Works(elapsed) => {
                        worked += 1;
                        slowest = slowest.max(elapsed);
                        tally.pass();
                    }
                    Cell::Fails(why) => {
                        tally.fail(&format!("{} / {server} / {what}", row.name), &why);
                    }
                    Cell::Cannot => all -= 1,
                }
            }
            if worked == all {
                format!("{worked} {}", seconds(slowest))
            } else {
                format!("{worked} of {all} !!")
            }
        });
        matrix.push(row.name, cells.collect());
    }
    matrix
        .print("the proxy in the middle, unmodified clients (operations that worked, the slowest)");
    Ok(())
}

type Cells = Vec<(String, Cell)>;

/// One row with all servers.
fn play(settings: &Settings, row: &Row) -> Result<Vec<Cells>> {
    let what = row.name.replace([' ', ',', ':', '@'], "-");
    let scene = Scene::build(settings, &what, &SERVERS, row.plan)?;
    if row.routes {
        scene.middle.ip(TPROXY_ROUTES)?;
        for line in TPROXY_ROUTES_V6 {
            let mut command = scene.middle.command("ip");
            command.args(line.split(' '));
            crate::process::must(command, b"")?;
        }
    }
    let number = |index: usize| 10 + u8::try_from(index).unwrap_or_default();
    let mut proxies = Vec::new();
    let mut hosts = Vec::new();
    for (index, upstream) in scene.servers.iter().enumerate() {
        let (v4, v6) = scene.address(number(index))?;
        let (own, server): (IpAddr, IpAddr) = match row.family {
            Family::V4 => (v4.into(), upstream.v4.into()),
            Family::V6 => (v6.into(), upstream.v6.into()),
        };
        match row.found {
            Found::Dialled => {
                let at = SocketAddr::new(server, 21).to_string();
                proxies.push(scene.proxy(&[SocketAddr::new(own, 21)], &at, row.arguments)?);
                hosts.push(own);
            }
            Found::Named => hosts.push(GATEWAY.into()),
            Found::Unseen => hosts.push(server),
        }
    }
    match row.found {
        Found::Dialled => {}
        Found::Named => {
            let at = SocketAddr::new(GATEWAY.into(), 21);
            proxies.push(scene.proxy(&[at], "user@host", row.arguments)?);
        }
        Found::Unseen => {
            let at: SocketAddr = match row.family {
                Family::V4 => "0.0.0.0:2121".parse()?,
                Family::V6 => "[::]:2121".parse()?,
            };
            proxies.push(scene.proxy(&[at], "transparent", row.arguments)?);
        }
    }
    let pairs: Vec<(&Upstream, IpAddr)> = scene.servers.iter().zip(hosts).collect();
    // Several clients of one address at one control port: what they do to each other is the part `races`.
    let one_door = row.found == Found::Unseen && row.arguments.contains(&"--one-port");
    let at_once = if one_door { 1 } else { pairs.len() };
    let mut answers = concurrently(&pairs, at_once, |(upstream, host)| {
        serve(&scene, row, upstream, *host)
    })
    .into_iter()
    .collect::<Result<Vec<Cells>>>()?;
    if row.impossible
        && let (Some(upstream), Some(cells)) = (scene.servers.first(), answers.first_mut())
    {
        cells.extend(in_vain(&scene, upstream)?);
    }
    for proxy in &proxies {
        if proxy.said().contains("panicked") {
            return Err(proxy.said().into());
        }
    }
    Ok(answers)
}

/// All clients at one server.
fn serve(scene: &Scene, row: &Row, upstream: &Upstream, host: IpAddr) -> Result<Cells> {
    let host = in_url(host);
    let user = format!("{}@{}", crate::operation::Errand::USER, upstream.v4);
    let mut errand = scene.errand(&host, upstream);
    if row.found == Found::Named {
        errand.user = &user;
    }
    let mut cells = Vec::new();
    for name in row.clients {
        let client = find(name, false)?;
        let Some(way) = way(client, row) else {
            continue;
        };
        for does in OPERATIONS {
            if cannot(upstream.kind, name, does) {
                continue;
            }
            let what = format!("{name}-{}", upstream.kind.name());
            cells.push((
                format!("{name} {} {does:?}", way.name),
                errand.run(client, way, does, &what),
            ));
        }
    }
    Ok(cells)
}

/// The client's usual way in the row's data mode.
fn way(client: &'static Client, row: &Row) -> Option<&'static Way> {
    let wanted: &[&str] = if row.passive {
        &["EPSV", "epsv", "EPSV (-p)", "PASV"]
    } else {
        &["EPRT", "eprt", "PORT"]
    };
    let mut ways = wanted.iter().filter_map(|name| {
        let mut ways = client.ways.iter();
        ways.find(|way| way.name == *name && way.family == row.family && way.cannot.is_none())
    });
    ways.next()
}

/// Without the proxy: the client and the server cannot meet, whoever opens the data connection.
fn in_vain(scene: &Scene, upstream: &Upstream) -> Result<Cells> {
    let host = upstream.v4.to_string();
    let mut errand = scene.errand(&host, upstream);
    errand.limit = IN_VAIN;
    let curl = find("curl", false)?;
    let ways: Vec<&Way> = (curl.ways.iter())
        .filter(|way| way.family == Family::V4 && way.name.starts_with('E'))
        .collect();
    let outcomes = concurrently(&ways, 2, |way| {
        let what = format!("in-vain-{}", way.name);
        let cell = match errand.run(curl, way, Does::Get, &what) {
            Cell::Works(_) => Cell::Fails("it works without a proxy".to_owned()),
            Cell::Fails(_) => Cell::Works(Duration::ZERO),
            Cell::Cannot => Cell::Cannot,
        };
        (format!("without the proxy, curl {}", way.name), cell)
    });
    Ok(outcomes)
}
