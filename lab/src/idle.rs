//! A gateway that forgets a silent control connection after four seconds, while a transfer takes twelve.
//!
//! Unmodified clients end in success with wharf's server, which keeps the connection alive; wharf's client
//! ends in success with servers that do not, because it verifies what arrived on a new connection. A witness
//! shows that the gateway does forget: curl with vsftpd hangs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::client::{self, Client, Job, Way};
use crate::payload;
use crate::process::{Outcome, last_lines, must, run as run_bounded};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::{self, ClientSide, Topology};
use crate::{Result, Settings};

/// The client's gateway: connections without a packet for four seconds are forgotten, and nothing but a SYN begins one.
const FORGETFUL: &str = r#"
table ip lab {
  ct timeout idle {
    protocol tcp; l3proto ip
    policy = { established : 4, close_wait : 4, last_ack : 4 }
  }
  chain pre { type filter hook prerouting priority filter; meta l4proto tcp ct timeout set "idle"; }
  chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
  chain input { type filter hook input priority filter; iifname "wan" ct state invalid,new drop; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname "lan" tcp flags & (syn | ack) == syn accept
  }
}"#;

const TOPOLOGY: Topology = Topology {
    name: "nat-idle",
    what: "client NAT that forgets a silent control connection after 4 s",
    client: ClientSide::Nat,
    client_gateway: FORGETFUL,
    ..topology::PLAIN
};

/// What the line between the two carries, and how much has to cross: twelve seconds.
const RATE: &str = "1mbit";
const SIZE: u64 = 1_440_000;

/// A transfer that took less did not try the gateway's patience.
const AT_LEAST: Duration = Duration::from_secs(9);

/// With a control connection that lives, the end of the transfer is the end of the run.
const KEPT: Duration = Duration::from_secs(18);

/// Without one: the wait for the final reply and the verification.
const VERIFIED: Duration = Duration::from_secs(30);

/// No run lasts longer.
const LIMIT: Duration = Duration::from_secs(34);

/// What becomes of the control connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// What a silent connection meets at this gateway, and nothing else.
    Idle,
    /// Its packets vanish from the fourth second on, probes or not.
    Lost,
}

/// What has to come of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    /// Success, within [`KEPT`]: the connection lives.
    Keep,
    /// Success, with the connection or without it.
    Arrive,
    /// Success, and the client says that it verified by size.
    Verify,
    /// No success: this is the witness.
    Hang,
}

/// One cell.
struct Case {
    /// A foreign client and its way; `None` for wharf's.
    foreign: Option<(&'static Client, &'static Way)>,
    kind: Kind,
    upload: bool,
    fate: Fate,
    must: Must,
}

impl Case {
    fn name(&self) -> String {
        let client = self.foreign.map_or("wharf", |(client, _)| client.name);
        let verb = if self.upload { "put" } else { "get" };
        let fate = if self.fate == Fate::Lost {
            ", connection lost"
        } else {
            ""
        };
        format!("{client} {verb} {}{fate}", self.kind.name())
    }
}

/// The passive way of each client.
const WAYS: [(&str, &str); 5] = [
    ("curl", "EPSV"),
    ("lftp", "EPSV"),
    ("tnftp", "EPSV"),
    ("ncftp", "PASV"),
    ("inetutils", "PASV (-p)"),
];

fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, way) in WAYS {
        let foreign = client::FOREIGN
            .iter()
            .find(|client| client.name == name)
            .and_then(|client| {
                let way = client.ways.iter().find(|row| row.name == way)?;
                Some((client, way))
            })
            .ok_or_else(|| format!("no row {name} {way}"))?;
        cases.extend([false, true].map(|upload| Case {
            foreign: Some(foreign),
            kind: Kind::Wharf,
            upload,
            fate: Fate::Idle,
            must: Must::Keep,
        }));
        if name == "curl" {
            cases.push(Case {
                foreign: Some(foreign),
                kind: Kind::Vsftpd,
                upload: false,
                fate: Fate::Idle,
                must: Must::Hang,
            });
        }
    }
    for kind in [Kind::Wharf, Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd] {
        for (fate, must) in [(Fate::Idle, Must::Arrive), (Fate::Lost, Must::Verify)] {
            cases.extend([false, true].map(|upload| Case {
                foreign: None,
                kind,
                upload,
                fate,
                must,
            }));
        }
    }
    Ok(cases)
}

/// Every case, all at once: they wait.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let cases: Vec<Case> = cases()?
        .into_iter()
        .filter(|case| settings.wants(&case.name()))
        .collect();
    let answers = concurrently(&cases, cases.len(), |case| case.try_it(settings));
    let mut matrix = Matrix::new(&["transfer of 12 s, idle timer 4 s", "", "seconds"]);
    for (case, answer) in cases.iter().zip(answers) {
        let name = case.name();
        match answer {
            Ok((end, elapsed)) => {
                tally.pass();
                matrix.push(&name, vec![end, seconds(elapsed)]);
            }
            Err(why) => {
                tally.fail(&format!("nat-idle / {name}"), &why.to_string());
                matrix.push(&name, vec!["!!".to_owned(), String::new()]);
            }
        }
    }
    matrix.print("a gateway that forgets silent connections");
    Ok(())
}

/// Both ends send at this rate, and the server's kernel takes no whole file on credit: otherwise 226
/// comes before the bytes.
fn throttle(stage: &Stage) -> Result<()> {
    for end in [&stage.network.client, &stage.network.server] {
        end.set("4096 16384 32768", &["ipv4/tcp_wmem"])?;
        let mut command = end.command("tc");
        command.args(["qdisc", "add", "dev", "eth", "root", "tbf", "rate", RATE]);
        command.args(["burst", "16kb", "latency", "200ms"]);
        must(command, b"")?;
    }
    Ok(())
}

impl Case {
    /// How it ended, and after which time.
    fn try_it(&self, settings: &Settings) -> Result<(String, Duration)> {
        let name = self.name().replace([' ', ','], "-");
        let stage = Stage::in_topology(settings, &name, TOPOLOGY, self.kind)?;
        throttle(&stage)?;
        let source = stage.work.path().join("source.bin");
        payload::write(&source, SIZE)?;
        let (local, stored) = if self.upload {
            (source.clone(), stage.root.join("stored.bin"))
        } else {
            fs::hard_link(&source, stage.root.join("stored.bin"))?;
            let local = stage.work.path().join("local.bin");
            (local.clone(), local)
        };
        let _server = stage.serve()?;
        let trace = stage.work.path().join("trace");
        let mut command = self.command(&stage, &local)?;
        command.0.env("WHARF_TRACE", &trace);
        let limit = if self.must == Must::Hang {
            VERIFIED.min(Duration::from_secs(18))
        } else {
            LIMIT
        };
        let outcome = thread::scope(|scope| {
            let loss = (self.fate == Fate::Lost).then(|| scope.spawn(|| lose(&stage, &trace)));
            let outcome = run_bounded(command.0, command.1.as_bytes(), limit);
            if let Some(loss) = loss {
                match loss.join() {
                    Ok(result) => result?,
                    Err(_) => return Err("the thread that cuts the connection panicked".into()),
                }
            }
            outcome
        })?;
        self.judge(&outcome, &source, &stored)
            .map_err(|why| {
                let dialogue = fs::read_to_string(&trace).unwrap_or_default();
                let dialogue = last_lines(&dialogue, 8);
                format!("{why}; {}; {dialogue}", outcome.last_words()).into()
            })
            .map(|end| (end, outcome.elapsed))
    }

    fn command(&self, stage: &Stage, local: &Path) -> Result<(Command, String)> {
        let Some((client, way)) = self.foreign else {
            let mut command = stage.client(&stage.wharf);
            command.arg(if self.upload { "put" } else { "get" });
            command.arg("--password-file").arg(&stage.secret);
            let url = format!("ftp://{USER}@{}/stored.bin", stage.network.host());
            if self.upload {
                command.arg(local).arg(url);
            } else {
                command.arg(url).arg("-o").arg(local);
            }
            return Ok((command, String::new()));
        };
        let job = Job {
            host: stage.network.host(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            secret: stage.secret.to_string_lossy().into_owned(),
            remote: "stored.bin".to_owned(),
            local: local.to_string_lossy().into_owned(),
            wharf: String::new(),
            authority: String::new(),
        };
        let recipe = if self.upload {
            &client.put
        } else {
            &client.get
        };
        let (arguments, input) = recipe
            .fill(way, &job)
            .ok_or_else(|| format!("{} cannot", client.name))?;
        let (program, rest) = arguments.split_first().ok_or("an empty recipe")?;
        let mut command = stage.client(program);
        command.args(rest);
        Ok((command, input))
    }

    fn judge(&self, outcome: &Outcome, source: &Path, stored: &Path) -> Result<String> {
        if self.must == Must::Hang {
            // curl writes the last bytes when it ends by itself.
            let nearly = SIZE - (64 << 10);
            return if outcome.killed && fs::metadata(stored)?.len() > nearly {
                Ok("hangs".to_owned())
            } else {
                Err("this gateway forgets nothing".into())
            };
        }
        payload::same(source, stored)?;
        if !outcome.succeeded() {
            return Err("all bytes, but no success".into());
        }
        if outcome.elapsed < AT_LEAST {
            return Err("too quick to mean anything".into());
        }
        let said = String::from_utf8_lossy(&outcome.stderr);
        let verified = said.contains("verified by size");
        let limit = if verified { VERIFIED } else { KEPT };
        if outcome.elapsed > limit {
            return Err(format!("took {}", seconds(outcome.elapsed)).into());
        }
        // Of these two the exit status means nothing.
        let interactive = self
            .foreign
            .is_some_and(|(client, _)| ["tnftp", "inetutils"].contains(&client.name));
        if interactive && !String::from_utf8_lossy(&outcome.stdout).contains("226 ") {
            return Err("all bytes, but no 226".into());
        }
        if self.must == Must::Verify && !verified {
            return Err("does not say that it verified".into());
        }
        Ok(if verified { "verified by size" } else { "kept" }.to_owned())
    }
}

/// Four seconds into the session, all packets of the control connection vanish.
fn lose(stage: &Stage, trace: &Path) -> Result<()> {
    thread::sleep(Duration::from_secs(4));
    let text = fs::read_to_string(trace)?;
    let port: u16 = text
        .lines()
        .find_map(|line| line.split_once(" + user ")?.1.split(' ').next())
        .and_then(|own| own.rsplit(':').next()?.parse().ok())
        .ok_or("the transcript names no control connection")?;
    stage.network.gateway("cgw")?.nft(&format!(
        "table ip lost {{
           chain forward {{ type filter hook forward priority raw;
             tcp sport 21 tcp dport {port} drop
             tcp dport 21 tcp sport {port} drop
           }}
         }}"
    ))
}
