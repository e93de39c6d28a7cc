//! Gateways whose FTP helper opens ports by reading along, which it cannot inside TLS; CCC lets it read again.
//!
//! In every topology with such a helper, with servers that know CCC: what needs the helper fails in TLS, and every data
//! mode works after CCC, data connections in TLS all the same. `--ccc=auto` finds out by itself that nothing else works, and
//! remembers it. With servers that refuse CCC it stays as it is, and the client says that it is they who refuse.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::payload;
use crate::process::{Outcome, last_lines, run as run_bounded};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::{Judged, Tally, by_peers, seconds};
use crate::topology::{Expected, TOPOLOGIES, Topology};
use crate::{Result, Settings};

/// Wharf's without one-port, which needs no helper.
const PEERS: [Kind; 4] = [Kind::Wharf, Kind::PureFtpd, Kind::ProFtpd, Kind::Vsftpd];

/// Vsftpd does not know CCC; `ProFTPD` refuses it where the control connection must be in TLS (534).
const REFUSING: [Kind; 2] = [Kind::ProFtpd, Kind::Vsftpd];

/// What wharf's server is told; the foreign ones allow it.
const ALLOWED: &[&str] = &["--tls-ccc", "--one-port", "off"];

/// Two of the foreign clients leave their session behind with TLS, and can only be borne.
const BEARING: &str = "prefer";

/// Two searches, each of seven seconds, and the login.
const LAST_WORD: Duration = Duration::from_secs(18);

/// A run that remembers what to do.
const REMEMBERED: Duration = Duration::from_secs(5);

const LIMIT: Duration = Duration::from_secs(30);

/// Exit status "no data connection came about".
const NO_WAY: i32 = 7;

const SIZE: u64 = 20_000;

/// The foreign clients meet this one: nothing gets through it but port 21 and what the helper opens.
const NARROW: &str = "client-egress-21-helper";

/// Fills and prints the matrix, then the foreign clients.
pub(super) fn run(settings: &Settings, tally: &Tally) {
    let rows: Vec<Topology> = TOPOLOGIES
        .iter()
        .filter(|row| row.blind.is_some() && settings.wants(row.name))
        .copied()
        .collect();
    if rows.is_empty() {
        return;
    }
    let matrix = by_peers("CCC", &rows, &PEERS, tally, |row, kind| {
        meet(settings, row, kind)
    });
    matrix.print(
        "wharf's client behind helpers that TLS blinds (seconds: PORT in TLS, where the helper is needed; after CCC by PORT, \
         PASV, EPSV, EPRT; --ccc=auto, and again with its memory. ProFTPD and vsftpd refuse CCC: PORT, --ccc=auto)",
    );
    if settings.wants(NARROW) {
        for caller in CALLERS {
            tally.check(
                &format!("CCC, {NARROW}, {}", caller.name),
                caller.meet(settings),
            );
        }
    }
}

fn meet(settings: &Settings, row: Topology, kind: Kind) -> Result<Judged> {
    let name = format!("ccc-{}-{}", row.name, kind.name());
    let stage = Stage::in_topology(settings, &name, row, kind)?.secured()?;
    payload::write(&stage.root.join("payload.bin"), SIZE)?;
    let _server = stage.serve_with(ALLOWED)?;
    let blind = row.over_tls(kind == Kind::Wharf).ways;
    let mut text = String::new();
    let mut fault = None;
    if blind.port == Expected::Silent {
        let run = Run::of(&stage, "in-tls", &["--mode", "port", "--no-memory"])?;
        let _ = write!(text, "no {} ", seconds(run.outcome.elapsed));
        fault = fault.or(run.wrong_failure("--ccc ends TLS"));
    }
    let needed = !blind.any();
    if REFUSING.contains(&kind) {
        let run = Run::of(&stage, "auto", &["--ccc=auto"])?;
        let (word, wrong) = if needed {
            ("no ", run.wrong_failure("refuses CCC"))
        } else {
            ("", run.wrong_success(REMEMBERED * 2, false))
        };
        let _ = write!(text, "{word}{}", seconds(run.outcome.elapsed));
        fault = fault.or(wrong);
        return Ok(Judged { text, fault });
    }
    // PORT and PASV cannot name an IPv6 address.
    let read = if kind == Kind::Wharf {
        row
    } else {
        row.for_foreign()
    }
    .ways;
    for (mode, expected) in [
        ("port", read.port),
        ("pasv", read.pasv),
        ("epsv", read.epsv),
        ("eprt", read.eprt),
    ] {
        if expected != Expected::Works {
            text.push_str("- ");
            continue;
        }
        let run = Run::of(&stage, mode, &["--ccc", "--mode", mode, "--no-memory"])?;
        let _ = write!(text, "{} ", seconds(run.outcome.elapsed));
        fault = fault.or(run.wrong_success(LAST_WORD, true));
        fault = fault.or(run.wrong_order());
    }
    for (name, within) in [("first", LAST_WORD), ("second", REMEMBERED)] {
        let run = Run::of(&stage, name, &["--ccc=auto"])?;
        let _ = write!(text, "{} ", seconds(run.outcome.elapsed));
        fault = fault.or(run.wrong_success(within, needed));
    }
    Ok(Judged { text, fault })
}

/// A download by wharf's client.
struct Run {
    outcome: Outcome,
    trace: String,
    file: Result<()>,
}

impl Run {
    fn of(stage: &Stage, name: &str, flags: &[&str]) -> Result<Self> {
        let local = stage.work.path().join(name);
        let trace = local.with_extension("trace");
        let mut command = stage.client(&stage.wharf);
        let host = stage.network.host();
        command.args(["get", &format!("ftp://{USER}@{host}/payload.bin"), "-o"]);
        command.arg(&local).args(flags);
        command.arg("--password-file").arg(&stage.secret);
        command.arg("--trace").arg(&trace);
        let outcome = run_bounded(command, b"", LIMIT)?;
        Ok(Self {
            outcome,
            trace: fs::read_to_string(&trace).unwrap_or_default(),
            file: payload::same(&stage.root.join("payload.bin"), &local),
        })
    }

    fn says(&self, word: &str) -> bool {
        self.trace.lines().any(|line| line.contains(word))
    }

    /// What is wrong with a run that has to arrive. `ccc`: and only so.
    fn wrong_success(&self, within: Duration, ccc: bool) -> Option<String> {
        let wrong = if let Err(why) = &self.file {
            why.to_string()
        } else if !self.outcome.succeeded() {
            "arrived, but failed".to_owned()
        } else if self.outcome.elapsed > within {
            format!("took {}", seconds(self.outcome.elapsed))
        } else if self.says("> CCC") != ccc {
            format!("CCC was {}said", if ccc { "not " } else { "" })
        } else if !self.says("* data secured ") {
            "the data connection was in clear".to_owned()
        } else {
            return None;
        };
        Some(self.with_dialogue(&wrong))
    }

    /// A password in clear, or a helper that is not given its line.
    fn wrong_order(&self) -> Option<String> {
        let at = |word: &str| self.trace.lines().position(|line| line.contains(word));
        let (pass, ccc, noop) = (at("> PASS"), at("> CCC"), at("> NOOP"));
        let right = pass < ccc && ccc < noop && self.says("200") && pass.is_some();
        (!right).then(|| self.with_dialogue("PASS, CCC and NOOP are not in this order"))
    }

    /// What is wrong with a run that cannot arrive, and has to say why.
    fn wrong_failure(&self, says: &str) -> Option<String> {
        let said = String::from_utf8_lossy(&self.outcome.stderr).into_owned();
        let wrong = if self.file.is_ok() {
            "worked, and must not".to_owned()
        } else if self.outcome.code != Some(NO_WAY) {
            format!("status {:?}", self.outcome.code)
        } else if !said.contains(says) {
            format!("does not say {says}")
        } else {
            return None;
        };
        Some(self.with_dialogue(&wrong))
    }

    fn with_dialogue(&self, fault: &str) -> String {
        let said = String::from_utf8_lossy(&self.outcome.stderr).into_owned();
        let first = said.lines().next().unwrap_or_default().to_owned();
        format!(
            "{fault}; {first}; {}; {}",
            self.outcome.last_words(),
            last_lines(&self.trace, 12)
        )
    }
}

/// A foreign client that is to go out of TLS.
struct Caller {
    name: &'static str,
    command: fn(&Errand<'_>) -> Vec<String>,
    /// Without CCC.
    witness: fn(&Errand<'_>) -> Vec<String>,
}

/// What a foreign client has to fetch.
struct Errand<'a> {
    host: String,
    authority: &'a Path,
    to: PathBuf,
}

const CALLERS: [Caller; 3] = [
    Caller {
        name: "curl --ftp-ssl-ccc --ftp-ssl-ccc-mode active",
        command: |errand| curl(errand, &["--ftp-ssl-ccc", "--ftp-ssl-ccc-mode", "active"]),
        witness: |errand| curl(errand, &[]),
    },
    Caller {
        name: "curl --ftp-ssl-ccc",
        command: |errand| curl(errand, &["--ftp-ssl-ccc"]),
        witness: |errand| curl(errand, &[]),
    },
    Caller {
        name: "lftp ftp:ssl-use-ccc",
        command: |errand| lftp(errand, "on"),
        witness: |errand| lftp(errand, "off"),
    },
];

fn curl(errand: &Errand<'_>, flags: &[&str]) -> Vec<String> {
    let mut command: Vec<String> = ["curl", "-q", "-sS", "-v", "--ssl-reqd", "--disable-epsv"]
        .into_iter()
        .chain(["--max-time", if flags.is_empty() { "6" } else { "20" }])
        .chain(["--cacert"])
        .map(str::to_owned)
        .collect();
    command.push(errand.authority.display().to_string());
    command.extend([
        "-u".to_owned(),
        format!("{USER}:{PASSWORD}"),
        "-o".to_owned(),
    ]);
    command.push(errand.to.display().to_string());
    command.extend(flags.iter().map(|flag| (*flag).to_owned()));
    command.push(format!("ftp://{}/payload.bin", errand.host));
    command
}

fn lftp(errand: &Errand<'_>, ccc: &str) -> Vec<String> {
    let script = format!(
        "set cmd:fail-exit on; set net:max-retries 1; set net:timeout 5; set ftp:ssl-force on; \
         set ftp:ssl-protect-data on; set ftp:ssl-use-ccc {ccc}; set ssl:ca-file {}; \
         set ftp:auto-passive-mode off; open -u {USER},{PASSWORD} ftp://{}; get payload.bin -o {}; quit",
        errand.authority.display(),
        errand.host,
        errand.to.display()
    );
    ["lftp", "--norc", "-c", &script]
        .map(str::to_owned)
        .to_vec()
}

impl Caller {
    fn meet(&self, settings: &Settings) -> Result<String> {
        let row = TOPOLOGIES.iter().find(|row| row.name == NARROW);
        let row = *row.ok_or("no such topology")?;
        let stage = Stage::in_topology(
            settings,
            &format!("ccc-{}", &self.name[..4]),
            row,
            Kind::Wharf,
        )?;
        let stage = stage.secured()?;
        let payload = stage.root.join("payload.bin");
        payload::write(&payload, SIZE)?;
        let _server = stage.serve_bearing(ALLOWED, BEARING)?;
        let Some(certificates) = &stage.certificates else {
            return Err("no certificates".into());
        };
        let fetch =
            |words: fn(&Errand<'_>) -> Vec<String>, to: &str| -> Result<(Outcome, Result<()>)> {
                let errand = Errand {
                    host: stage.network.host().clone(),
                    authority: &certificates.authority,
                    to: stage.work.path().join(to),
                };
                let words = words(&errand);
                let (program, arguments) = words.split_first().ok_or("nothing to run")?;
                let mut command = stage.client(program);
                command.args(arguments);
                let outcome = run_bounded(command, b"", LIMIT)?;
                let file = payload::same(&payload, &errand.to);
                Ok((outcome, file))
            };
        let (outcome, file) = fetch(self.witness, "witness")?;
        if file.is_ok() {
            return Err("it works without CCC: the helper is not needed".into());
        }
        let without = outcome.elapsed;
        let (outcome, file) = fetch(self.command, "got")?;
        if let Err(why) = file {
            return Err(format!("{why}; {}", outcome.last_words()).into());
        }
        if !outcome.succeeded() {
            return Err(outcome.last_words().into());
        }
        Ok(format!(
            "{}; without no {}",
            seconds(outcome.elapsed),
            seconds(without)
        ))
    }
}
