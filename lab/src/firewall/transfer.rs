//! Transfers by real programs in each data mode, and whether the bytes arrived.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::rows::{Mode, Row};
use crate::network::Network;
use crate::process::{isolate, run as run_bounded};
use crate::server::{PASSWORD, USER};
use crate::{Result, payload, topology};

/// Patience of a client with a data connection that must come about: a busy machine's.
const WORKS: Duration = Duration::from_secs(12);

/// Patience with one that must not; being too impatient here cannot make a wrong answer out of a right one.
const FAILS: Duration = Duration::from_millis(1_500);

/// Ports that a client in active mode is given for each of its transfers: a port that was used a minute ago
/// cannot be reached from port 20 again.
const LISTENING: u16 = 5;

/// Who transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// wharf's own client.
    Wharf,
    /// curl.
    Curl,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// A download.
    Get,
    /// An upload.
    Put,
    /// A listing.
    List,
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Its number among those of the row.
    pub(super) number: u16,
    /// By whom.
    pub(super) by: By,
    /// In which data mode.
    pub(super) mode: Mode,
    /// What.
    pub(super) does: Does,
    /// Whether it has to work; else it has to fail.
    pub(super) works: bool,
}

/// What all transfers of a server have in common.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    /// The row.
    pub(super) row: &'a Row,
    /// The network.
    pub(super) network: &'a Network,
    /// The program.
    pub(super) wharf: &'a Path,
    /// The file that crosses.
    pub(super) payload: &'a Path,
    /// The server's directory, with the payload in it.
    pub(super) root: &'a Path,
    /// The client's directory.
    pub(super) directory: &'a Path,
    /// File with the password.
    pub(super) secret: &'a Path,
}

impl Bench<'_> {
    /// Makes the transfer; the answer is what is wrong, if anything is.
    pub(super) fn make(&self, transfer: Transfer) -> Option<String> {
        let wrong = match (self.try_it(transfer), transfer.works) {
            (Ok(()), true) | (Err(_), false) => return None,
            (Ok(()), false) => "worked, and must not".to_owned(),
            (Err(failure), true) => failure.to_string(),
        };
        let Transfer { by, mode, does, .. } = transfer;
        Some(format!("{by:?} {does:?} {}: {wrong}", mode.name()))
    }

    fn try_it(&self, transfer: Transfer) -> Result<()> {
        let name = format!("transfer-{}.bin", transfer.number);
        let local = self.directory.join(&name);
        let uploaded = self.root.join(&name);
        if transfer.does == Does::Put {
            fs::hard_link(self.payload, &local)?;
        }
        let mut command = match transfer.by {
            By::Wharf => self.wharf(transfer, &local),
            By::Curl => self.curl(transfer, &local),
        };
        command.current_dir(self.directory);
        isolate(&mut command, self.directory);
        let limit = if transfer.works { WORKS } else { FAILS } + Duration::from_secs(3);
        let outcome = run_bounded(command, b"", limit)?;
        if !outcome.succeeded() {
            return Err(outcome.last_words().into());
        }
        match transfer.does {
            Does::Get => payload::same(self.payload, &local),
            Does::Put => payload::same(self.payload, &uploaded),
            Does::List if String::from_utf8_lossy(&outcome.stdout).contains("payload.bin") => {
                Ok(())
            }
            Does::List => Err("the listing lacks payload.bin".into()),
        }
    }

    fn url(&self, mode: Mode) -> String {
        if mode.is_ipv6() {
            format!("[{}]", topology::SERVER_V6)
        } else {
            self.network.host()
        }
    }

    /// The ports at which this transfer's client may listen.
    fn listens(&self, transfer: Transfer) -> Option<(u16, u16)> {
        let (low, high) = self.row.listens.filter(|_| transfer.mode.is_active())?;
        let first = low + transfer.number * LISTENING % (high - low + 1);
        Some((first, first + LISTENING - 1))
    }

    fn wharf(&self, transfer: Transfer, local: &Path) -> Command {
        let mut command = self.network.client.command(self.wharf);
        let patience = if transfer.works { WORKS } else { FAILS };
        let patience = format!("{}ms", patience.as_millis());
        let mode = transfer.mode.name().trim_end_matches('6');
        let verb = match transfer.does {
            Does::Get => "get",
            Does::Put => "put",
            Does::List => "ls",
        };
        command.args([
            verb,
            "-q",
            "--no-memory",
            "--mode",
            mode,
            "--data-timeout",
            &patience,
        ]);
        command.arg("--password-file").arg(self.secret);
        if let Some((low, high)) = self.listens(transfer) {
            command.args(["--port-range", &format!("{low}-{high}")]);
        }
        let url = format!("ftp://{USER}@{}/", self.url(transfer.mode));
        match transfer.does {
            Does::Get => command
                .arg(format!("{url}payload.bin"))
                .arg("-o")
                .arg(local),
            Does::Put => command.arg(local).arg(url),
            Does::List => command.arg(url),
        };
        command
    }

    fn curl(&self, transfer: Transfer, local: &Path) -> Command {
        let mut command = self.network.client.command("curl");
        let patience = if transfer.works { WORKS } else { FAILS };
        let patience = format!("{:.1}", patience.as_secs_f64());
        command.args([
            "-sS",
            "-g",
            "--connect-timeout",
            &patience,
            "--max-time",
            &patience,
        ]);
        match transfer.mode {
            Mode::Pasv => drop(command.arg("--disable-epsv")),
            Mode::Port => drop(command.arg("--disable-eprt")),
            _ => {}
        }
        if transfer.mode.is_active() {
            let at = self.listens(transfer);
            let at = at.map_or_else(|| "-".to_owned(), |(low, high)| format!(":{low}-{high}"));
            command.args(["-P", &at]);
        }
        command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
        let url = format!("ftp://{}/", self.url(transfer.mode));
        let name = local.file_name().unwrap_or_default().to_string_lossy();
        match transfer.does {
            Does::Get => command
                .arg("-o")
                .arg(local)
                .arg(format!("{url}payload.bin")),
            Does::Put => command.arg("-T").arg(local).arg(format!("{url}{name}")),
            Does::List => command.arg(url),
        };
        command
    }
}

/// The transfers that are tried with a server of which these data modes work: every one of them, and of the
/// others a download.
pub(super) fn plan(works: &[Mode], all: bool) -> Vec<Transfer> {
    let mut plan: Vec<Transfer> = Vec::new();
    for mode in Mode::ALL {
        let works = works.contains(&mode);
        for by in [By::Wharf, By::Curl] {
            let does: &[Does] = match (works, all) {
                (true, true) => &[Does::Get, Does::Put, Does::List],
                (true, false) if by == By::Curl => &[Does::Get, Does::Put],
                _ => &[Does::Get],
            };
            for &does in does {
                let number = u16::try_from(plan.len()).unwrap_or(u16::MAX);
                plan.push(Transfer {
                    number,
                    by,
                    mode,
                    does,
                    works,
                });
            }
        }
    }
    plan
}

/// Where the payload is put so that a server has it.
pub(super) fn furnish(payload: &Path, root: &Path) -> Result<PathBuf> {
    let there = root.join("payload.bin");
    fs::hard_link(payload, &there)?;
    Ok(there)
}
