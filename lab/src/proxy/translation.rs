//! Any data mode towards the client, any towards the server: the 4 x 4 matrix, and IPv4 with IPv6.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::scene::{Plan, Proxy, SERVERS, Scene, Upstream, in_url};
use super::{MODES, cannot, ways};
use crate::client::{Family, Way};
use crate::operation::{Cell, Does, OPERATIONS, find};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::{Result, Settings};

/// Operations at once. Most of one is the start of a program.
const AT_ONCE: usize = 6;

/// The families of a matrix: the client's, then the server's.
#[derive(Clone, Copy, Debug)]
struct Families {
    title: &'static str,
    client: Family,
    server: Family,
    /// Modes of the client's side.
    ours: &'static [&'static str],
    /// Modes of the server's side.
    theirs: &'static [&'static str],
}

/// Where the families differ, the commands that know one family alone are the ones in question.
const MATRICES: [Families; 3] = [
    Families {
        title: "IPv4 on both sides",
        client: Family::V4,
        server: Family::V4,
        ours: &MODES,
        theirs: &MODES,
    },
    Families {
        title: "IPv6 clients, servers at their IPv4 addresses",
        client: Family::V6,
        server: Family::V4,
        ours: &["EPRT", "EPSV"],
        theirs: &["PORT", "PASV"],
    },
    Families {
        title: "IPv4 clients, servers at their IPv6 addresses",
        client: Family::V4,
        server: Family::V6,
        ours: &["PORT", "PASV"],
        theirs: &["EPRT", "EPSV"],
    },
];

/// One client in one way at one proxy: the unit of work.
struct Visit<'a> {
    upstream: &'a Upstream,
    /// The proxy's mode towards the server.
    theirs: &'static str,
    /// The client's mode.
    mode: &'static str,
    client: &'static str,
    way: &'static Way,
    host: String,
    number: usize,
}

/// Fills and prints the matrices.
pub(super) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    if !settings.wants("translation") {
        return Ok(());
    }
    let scene = Scene::build(settings, "translation", &SERVERS, Plan::default())?;
    let mut address = 10;
    for families in MATRICES {
        print(&scene, tally, families, &mut address)?;
    }
    Ok(())
}

fn print(scene: &Scene, tally: &Tally, families: Families, address: &mut u8) -> Result<()> {
    let mut proxies: Vec<(Proxy, PathBuf, &str)> = Vec::new();
    let mut visits = Vec::new();
    let mut clients = ways(families.client)?;
    clients.retain(|(.., mode)| families.ours.contains(mode));
    for upstream in &scene.servers {
        for theirs in families.theirs {
            let (v4, v6) = scene.address(*address)?;
            *address += 1;
            let listen: IpAddr = match families.client {
                Family::V4 => v4.into(),
                Family::V6 => v6.into(),
            };
            let server: IpAddr = match families.server {
                Family::V4 => upstream.v4.into(),
                Family::V6 => upstream.v6.into(),
            };
            let trace = scene.work.path().join(format!("trace-{address}"));
            let proxy = scene.proxy(
                &[SocketAddr::new(listen, 21)],
                &SocketAddr::new(server, 21).to_string(),
                &[
                    "--upstream-mode",
                    &theirs.to_lowercase(),
                    "--trace",
                    &trace.to_string_lossy(),
                ],
            )?;
            proxies.push((proxy, trace, theirs));
            for (client, way, mode) in &clients {
                visits.push(Visit {
                    upstream,
                    theirs,
                    mode,
                    client,
                    way,
                    host: in_url(listen),
                    number: visits.len(),
                });
            }
        }
    }
    let answers = concurrently(&visits, AT_ONCE, |visit| visit.pay(scene, families.title));
    for (proxy, trace, theirs) in proxies {
        drop(proxy);
        let what = format!("{}, {theirs} towards the server", families.title);
        match translated(&fs::read_to_string(&trace)?, families.ours, theirs) {
            Ok(()) => tally.pass(),
            Err(why) => tally.fail(&what, &why.to_string()),
        }
    }
    let columns: Vec<(&Upstream, &str)> = (scene.servers.iter())
        .flat_map(|server| families.theirs.iter().map(move |mode| (server, *mode)))
        .collect();
    let titles: Vec<String> = columns
        .iter()
        .map(|(server, mode)| format!("{} {mode}", server.kind.name()))
        .collect();
    let mut heads = vec!["client's side"];
    heads.extend(titles.iter().map(String::as_str));
    let mut matrix = Matrix::new(&heads);
    for mode in families.ours {
        let cells = columns.iter().map(|(server, theirs)| {
            let here = visits.iter().zip(&answers).filter(|(visit, _)| {
                (visit.mode, visit.theirs) == (*mode, *theirs) && visit.upstream.kind == server.kind
            });
            account(tally, families.title, here)
        });
        matrix.push(mode, cells.collect());
    }
    matrix.print(&format!(
        "data modes through the proxy, {}: client's side x server's side (operations that worked, the slowest)",
        families.title
    ));
    Ok(())
}

/// Whether both sides spoke as they were meant to: the clients every mode of theirs, the proxy its one and no other. In its
/// trace a client's side has an odd number and the server's side the next one.
fn translated(trace: &str, ours: &[&str], theirs: &str) -> Result<()> {
    let mut heard = Vec::new();
    for line in trace.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(session), Some(">"), Some(verb)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let odd = session.ends_with(['1', '3', '5', '7', '9']);
        match (odd, MODES.contains(&verb)) {
            (true, true) => heard.push(verb),
            (false, true) if verb != theirs => {
                return Err(format!("the server was told {verb}").into());
            }
            _ => {}
        }
    }
    let unheard = ours.iter().find(|mode| !heard.contains(mode));
    unheard.map_or(Ok(()), |mode| Err(format!("no client said {mode}").into()))
}

/// What a cell shows, with every failure told to the tally.
fn account<'a>(
    tally: &Tally,
    title: &str,
    answers: impl Iterator<Item = (&'a Visit<'a>, &'a Vec<(Does, Cell)>)>,
) -> String {
    let (mut worked, mut all) = (0, 0);
    let mut slowest = std::time::Duration::ZERO;
    for (visit, cells) in answers {
        for (does, cell) in cells {
            all += 1;
            match cell {
                Cell::Works(elapsed) => {
                    worked += 1;
                    slowest = slowest.max(*elapsed);
                    tally.pass();
                }
                Cell::Fails(why) => tally.fail(
                    &format!(
                        "{title} / {} {} / {} {} {does:?}",
                        visit.upstream.kind.name(),
                        visit.theirs,
                        visit.client,
                        visit.mode,
                    ),
                    why,
                ),
                Cell::Cannot => all -= 1,
            }
        }
    }
    if worked == all {
        format!("{worked} {}", seconds(slowest))
    } else {
        format!("{worked} of {all} !!")
    }
}

impl Visit<'_> {
    fn pay(&self, scene: &Scene, title: &str) -> Vec<(Does, Cell)> {
        let errand = scene.errand(&self.host, self.upstream);
        let name = format!("{}-{}", self.number, title.replace([' ', ','], "-"));
        let does = |does| {
            let cell = match find(self.client, false) {
                Ok(_) if cannot(self.upstream.kind, self.client, does) => Cell::Cannot,
                Ok(client) => errand.run(client, self.way, does, &name),
                Err(failure) => Cell::Fails(failure.to_string()),
            };
            (does, cell)
        };
        OPERATIONS.map(does).into()
    }
}
