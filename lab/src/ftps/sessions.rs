//! Uploads, downloads and listings on one control connection: every pair of client and server, TLS 1.2 and 1.3,
//! passive and active, explicit and implicit.

use super::caller::{self, Caller, Terms, VERSIONS, Version};
use super::ground::{Amount, Ground};
use crate::server::{self, Kind};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::{Result, Settings};

/// Pairs at once. Most of a session is waiting.
const AT_ONCE: usize = 8;

/// A client with a server, begun in one way; its sessions are had one after another, so that their control
/// connections can be counted.
#[derive(Clone, Copy)]
struct Pair {
    kind: Kind,
    caller: Caller,
    implicit: bool,
}

/// What is asked of all pairs of a table.
#[derive(Clone, Copy)]
struct Demand {
    amount: Amount,
    /// How often each session is had.
    times: u32,
}

enum Cell {
    Works(String),
    Fails(String),
    Cannot(&'static str),
}

/// The foreign clients with the foreign servers: what the lab itself is worth.
pub(crate) fn witnesses(settings: &Settings, tally: &Tally) {
    let demand = Demand {
        amount: Amount::each(3),
        times: 1,
    };
    let pairs = pairs(&server::FOREIGN, &caller::FOREIGN);
    print(
        settings,
        tally,
        demand,
        &pairs,
        "the lab itself: foreign clients with foreign servers",
    );
}

fn pairs(servers: &[Kind], callers: &[Caller]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for kind in servers {
        // The others have no implicit TLS.
        let starts: &[bool] = match kind {
            Kind::PureFtpd | Kind::Pyftpdlib => &[false],
            _ => &[false, true],
        };
        for caller in callers {
            pairs.extend(starts.iter().map(|implicit| Pair {
                kind: *kind,
                caller: *caller,
                implicit: *implicit,
            }));
        }
    }
    pairs
}

impl Pair {
    fn name(&self, active: bool) -> String {
        let mode = if active { "active" } else { "passive" };
        let start = if self.implicit {
            "implicit"
        } else {
            "explicit"
        };
        format!(
            "{}, {}, {mode}, {start}",
            self.kind.name(),
            self.caller.name
        )
    }

    /// Why these two have no such session, be it the client or both.
    fn cannot(&self, terms: Terms) -> Option<&'static str> {
        let strict = matches!(self.kind, Kind::Wharf | Kind::Vsftpd | Kind::ProFtpd);
        let stock = self.caller.name == caller::FTPLIB_STOCK.name;
        (self.caller.cannot)(terms)
            .or((strict && stock).then_some("stock ftplib does not resume; the server requires it"))
    }

    /// What of the demand these two are asked for.
    fn amount(&self, amount: Amount, version: Version) -> Amount {
        // Its uploads close the data connection before the next ticket has been read.
        let loses = self.caller.name == caller::CURL.name && version == Version::V13;
        Amount {
            puts: if loses { 1 } else { amount.puts },
            puts_last: loses,
            ..amount
        }
    }

    /// The cells in the order passive, active, and in each that of the versions.
    fn meet(&self, settings: &Settings, demand: Demand) -> Result<Vec<Cell>> {
        let ground = Ground::prepare(settings, self.kind, self.implicit, "require", &[])?;
        let mut cells = Vec::new();
        for active in [false, true] {
            for version in VERSIONS {
                let terms = Terms {
                    version,
                    active,
                    implicit: self.implicit,
                };
                cells.push(match self.cannot(terms) {
                    Some(why) => Cell::Cannot(why),
                    None => self
                        .sessions(&ground, terms, demand)
                        .unwrap_or_else(|failure| Cell::Fails(failure.to_string())),
                });
            }
        }
        Ok(cells)
    }

    fn sessions(&self, ground: &Ground, terms: Terms, demand: Demand) -> Result<Cell> {
        let amount = self.amount(demand.amount, terms.version);
        let mut longest = std::time::Duration::ZERO;
        let mut controls = 0;
        for run in 1..=demand.times {
            let session = ground.session(&self.caller, terms, amount)?;
            if let Some(why) = session.failure() {
                return Ok(Cell::Fails(format!("run {run}: {why}")));
            }
            longest = longest.max(session.outcome.elapsed);
            controls = controls.max(session.controls);
        }
        if controls != 1 {
            return Ok(Cell::Fails(format!("{controls} control connections")));
        }
        let times = if demand.times == 1 {
            String::new()
        } else {
            format!("{}x ", demand.times)
        };
        Ok(Cell::Works(format!("{times}{}", seconds(longest))))
    }
}

fn print(settings: &Settings, tally: &Tally, demand: Demand, pairs: &[Pair], title: &str) {
    let pairs: Vec<Pair> = pairs
        .iter()
        .filter(|pair| settings.wants(&pair.name(false)) || settings.wants(&pair.name(true)))
        .copied()
        .collect();
    if pairs.is_empty() {
        return;
    }
    let answers = concurrently(&pairs, AT_ONCE, |pair| pair.meet(settings, demand));
    let mut matrix = Matrix::new(&["server, client", "TLS 1.2", "TLS 1.3"]);
    let mut reasons = Vec::new();
    for (pair, answer) in pairs.iter().zip(answers) {
        let cells = match answer {
            Ok(cells) => cells,
            Err(failure) => {
                tally.fail(&pair.name(false), &failure.to_string());
                matrix.push(&pair.name(false), vec!["?".to_owned(); VERSIONS.len()]);
                continue;
            }
        };
        for (active, row) in [false, true].into_iter().zip(cells.chunks(VERSIONS.len())) {
            let name = pair.name(active);
            let shown = row.iter().zip(VERSIONS).map(|(cell, version)| match cell {
                Cell::Works(text) => {
                    tally.pass();
                    text.clone()
                }
                Cell::Fails(why) => {
                    tally.fail(&format!("ftps / {name}, TLS {}", version.name()), why);
                    "!!".to_owned()
                }
                Cell::Cannot(why) => {
                    reasons.push(*why);
                    "-".to_owned()
                }
            });
            let shown: Vec<String> = shown.collect();
            if shown.iter().any(|cell| cell != "-") {
                matrix.push(&name, shown);
            }
        }
    }
    let Amount {
        puts, gets, lists, ..
    } = demand.amount;
    matrix.print(&format!(
        "{title} (seconds of the longest session of {puts} uploads, {gets} downloads, {lists} listings on one \
         control connection; - cannot; !! does not work)"
    ));
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        eprintln!("note: - {reason}");
    }
}
