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

/// Wharf's server with every client, then wharf's client with the foreign servers that have TLS of their own; then
/// the clients that lose sessions.
pub(crate) fn run(settings: &Settings, tally: &Tally) {
    let demand = Demand {
        amount: Amount::each(if settings.full { 20 } else { 6 }),
        times: if settings.full { 10 } else { 1 },
    };
    let mut clients = caller::FOREIGN.to_vec();
    clients.push(caller::WHARF);
    let mut all = pairs(&[Kind::Wharf], &clients);
    all.extend(pairs(&server::FOREIGN, &[caller::WHARF]));
    print(
        settings,
        tally,
        demand,
        &all,
        "over TLS, the sessions resumed",
    );
    losers(settings, tally, demand);
}

/// The foreign clients with the foreign servers: what the lab itself is worth.
pub(crate) fn witnesses(settings: &Settings, tally: &Tally) {
    let demand = Demand {
        amount: Amount::each(2),
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
        let ground = Ground::prepare(settings, self.kind, self.implicit, "require")?;
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

    /// Control connections that a session may take. ProFTPD sends no tickets on uploads, so that under TLS 1.3 those of
    /// the control connection are soon used up: wharf logs in again with TLS 1.2, whose sessions last.
    fn controls(&self, version: Version) -> u64 {
        let ours = self.caller.name == caller::WHARF.name;
        match (self.kind, version) {
            (Kind::ProFtpd, Version::V13) if ours => 2,
            _ => 1,
        }
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
        if controls > self.controls(terms.version) {
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

/// A client that does not resume its session, in some versions of TLS.
struct Loser {
    caller: Caller,
    version: Version,
    amount: fn(Amount) -> Amount,
}

/// Stock ftplib never resumes; curl's uploads under TLS 1.3 leave before the next ticket has come, so that the
/// second in a row may have none.
const LOSERS: [Loser; 3] = [
    Loser {
        caller: caller::FTPLIB_STOCK,
        version: Version::V12,
        amount: |amount| amount,
    },
    Loser {
        caller: caller::FTPLIB_STOCK,
        version: Version::V13,
        amount: |amount| amount,
    },
    Loser {
        caller: caller::CURL,
        version: Version::V13,
        amount: |amount| Amount {
            gets: 0,
            lists: 0,
            ..amount
        },
    },
];

/// What a reply has to hold that refuses a data connection: the cause, and the setting.
const CAUSE: [&str; 2] = ["session", "data_session"];

/// Those clients work with `prefer`; with `require` they are told why not, in the reply itself.
fn losers(settings: &Settings, tally: &Tally, demand: Demand) {
    let rows: Vec<(&Loser, bool, &str)> = LOSERS
        .iter()
        .flat_map(|loser| [false, true].map(|implicit| (loser, implicit)))
        .flat_map(|(loser, implicit)| ["prefer", "require"].map(|word| (loser, implicit, word)))
        .filter(|(loser, _, word)| {
            settings.wants(&format!("{} not resuming, {word}", loser.caller.name))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    println!("\nclients that do not resume their session, with wharf serve");
    let answers = concurrently(&rows, AT_ONCE, |(loser, implicit, word)| {
        loser.meet(settings, *implicit, word, demand)
    });
    for ((loser, implicit, word), answer) in rows.iter().zip(answers) {
        let start = if *implicit { "implicit" } else { "explicit" };
        let (name, version) = (loser.caller.name, loser.version.name());
        tally.check(&format!("{name}, TLS {version}, {start}, {word}"), answer);
    }
}

impl Loser {
    fn meet(
        &self,
        settings: &Settings,
        implicit: bool,
        word: &str,
        demand: Demand,
    ) -> Result<String> {
        let ground = Ground::prepare(settings, Kind::Wharf, implicit, word)?;
        let amount = (self.amount)(demand.amount);
        let mut notes = Vec::new();
        for active in [false, true] {
            let terms = Terms {
                version: self.version,
                active,
                implicit,
            };
            if (self.caller.cannot)(terms).is_some() {
                continue;
            }
            for _ in 0..demand.times {
                let session = ground.session(&self.caller, terms, amount)?;
                let said = String::from_utf8_lossy(&session.outcome.stderr).into_owned();
                let told = said.lines().find(|line| {
                    line.contains("522") && CAUSE.iter().all(|word| line.contains(word))
                });
                match (word, session.failure(), told) {
                    ("prefer", Some(why), _) => return Err(why.into()),
                    ("prefer", None, _) => notes.push("all arrived".to_owned()),
                    (_, None, _) if self.caller.name == caller::CURL.name => {
                        notes.push("all arrived, this time".to_owned());
                    }
                    (_, None, _) => return Err("worked, and must not".into()),
                    (_, Some(_), Some(told)) => {
                        notes.push(format!("told: {}", told.trim_start_matches("< ")));
                    }
                    (_, Some(why), None) => return Err(format!("not told why: {why}").into()),
                }
            }
        }
        notes.dedup();
        Ok(notes.join("; "))
    }
}
