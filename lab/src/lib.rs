//! The laboratory: wharf against foreign programs, on the real kernel.
//!
//! In scope: installing the peers, network namespaces with nftables, every foreign client against
//! wharf's server and wharf's client against every foreign server, the topologies of the article,
//! crashes in mid-upload, and hostile input over a bare socket. Needs root and Debian 12.
//! Out of scope: anything `cargo test` can show without root; that is the simulated network's part.
//!
//! The tables are data: [`topology`], [`client`], [`server`]; the rest interprets them. Results go to
//! standard output as matrices, notes to standard error. Only processes and namespaces made by this
//! run (or by an earlier run that is dead) are ever ended.

// The laboratory is a program for a terminal; its output is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod certificates;
pub mod namespace;
pub mod process;
pub mod server;
pub mod setup;

pub mod client;
pub mod topology;

mod middlebox;
mod network;
mod operation;
mod payload;
mod stage;
mod tally;
mod wire;

mod acme;
mod attacks;
mod auto;
mod captures;
mod changes;
mod crash;
mod doctor;
mod drill;
mod firewall;
mod ftps;
mod harness;
mod host;
mod hostile;
mod idle;
mod interop;
mod mapper;
mod matrix;
mod mirror;
mod names;
mod one_port;
mod outcomes;
mod proxy;
mod races;
mod recipes;
mod refusal;
mod segments;
mod sessions;
mod system_users;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tally::Tally;

/// What the laboratory's functions fail with: a sentence for the person who runs it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Result of the laboratory's functions.
pub type Result<T> = std::result::Result<T, Failure>;

/// How the laboratory was called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The released program under test.
    pub wharf: PathBuf,
    /// One gibibyte instead of eight mebibytes as the large file.
    pub full: bool,
    /// The server that `crash` and `hostile` are tried on; another than wharf's shows what they find.
    pub server: server::Kind,
    /// Only rows whose name contains one of these words; all of them when empty.
    pub only: Vec<String>,
}

impl Settings {
    /// Whether a row of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }
}

type Part = fn(&Settings, &Tally) -> Result<()>;

/// The parts by name, in the order in which `all` runs them.
const PARTS: &[(&str, Part, &str)] = &[
    (
        "interop",
        interop::run,
        "foreign clients with wharf serve, wharf's client with foreign servers",
    ),
    (
        "topologies",
        matrix::run,
        "the article's topologies x data modes",
    ),
    (
        "one-port",
        one_port::run,
        "one open port: unmodified clients in every topology",
    ),
    (
        "proxy",
        proxy::run,
        "wharf proxy between unmodified clients and servers",
    ),
    (
        "auto",
        auto::run,
        "wharf's client in auto with four servers in every topology, and again",
    ),
    (
        "doctor",
        doctor::run,
        "wharf doctor in every topology: the cause, and the side that must act",
    ),
    (
        "host",
        host::run,
        "wharf doctor --server on the server, alone and with --ask: what is found where",
    ),
    (
        "changes",
        changes::run,
        "the network changes between two runs of wharf's client",
    ),
    (
        "nat-idle",
        idle::run,
        "a gateway that forgets the control connection in mid-transfer",
    ),
    (
        "names",
        names::run,
        "forty odd names listed, fetched, stored and removed on every server",
    ),
    (
        "races",
        races::run,
        "one-port: a thousand transfers by fifty sessions, with strangers",
    ),
    (
        "ftps",
        ftps::run,
        "TLS: many transfers on one control connection, every pair of client and server",
    ),
    (
        "acme",
        acme::run,
        "a certificate from an authority: obtained, believed, renewed beside a running session",
    ),
    (
        "firewall",
        firewall::run,
        "the rules of wharf firewall, loaded: what is offered works, nothing else passes",
    ),
    (
        "refusal",
        refusal::run,
        "wharf ftp -A behind NAT: what is said, and that the file arrives",
    ),
    (
        "sessions",
        sessions::run,
        "wharf ftp in a pseudo-terminal: the sessions of the tests with foreign servers",
    ),
    (
        "captures",
        captures::run,
        "sessions recorded with tcpdump give the pictures that are checked in",
    ),
    (
        "mirror",
        mirror::run,
        "wharf mirror with five servers: both ways, killed, three sessions, time zones",
    ),
    (
        "crash",
        crash::run,
        "kill -9 in mid-upload, twenty times each",
    ),
    (
        "segments",
        segments::run,
        "downloads over several connections, killed at random: never a wrong byte",
    ),
    (
        "recipes",
        recipes::run,
        "docs/recipes.md by lftp and by wharf: the same files, success or failure",
    ),
    (
        "outcomes",
        outcomes::run,
        "truncation, stalls, lost replies, changed files, full disks: how wharf and others end",
    ),
    (
        "hostile",
        hostile::run,
        "bursts, Synchs, and commands while a transfer stands still",
    ),
    (
        "attacks",
        attacks::run,
        "the attack table: wharf and four peers, one row an attack",
    ),
    (
        "flood",
        attacks::flood::run,
        "idle sockets and a flood of logins: what another session waits",
    ),
    (
        "system-users",
        system_users::run,
        "users of the system: whose processes, whose files, who is refused",
    ),
    (
        "racer",
        attacks::race::run,
        "links and directories swapped while they are used: no escape",
    ),
    (
        "drill",
        drill::run,
        "an attacker's code in the process that talks to the network: what it comes to",
    ),
    (
        "harness",
        harness::run,
        "the topologies themselves: curl and vsftpd only",
    ),
];

/// Runs what the arguments name; the exit status is 0 when everything that must work works, 1 when
/// something does not, 2 for wrong arguments or a laboratory that cannot run here.
pub fn run(arguments: Vec<String>) -> ExitCode {
    let mut settings = Settings {
        wharf: PathBuf::from("target/release/wharf"),
        full: false,
        server: server::Kind::Wharf,
        only: Vec::new(),
    };
    let mut commands = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--full" => settings.full = true,
            "--wharf" | "--only" | "--server" => match (argument.as_str(), rest.next()) {
                ("--wharf", Some(path)) => settings.wharf = PathBuf::from(path),
                ("--server", Some(word)) => match server::Kind::find(&word) {
                    Some(kind) => settings.server = kind,
                    None => return usage(&format!("unknown server: {word}")),
                },
                ("--only", Some(word)) => settings.only.push(word),
                _ => return usage(&format!("{argument} needs a value")),
            },
            "-h" | "--help" => return usage(""),
            word if word.starts_with('-') => return usage(&format!("unknown option: {word}")),
            _ => commands.push(argument),
        }
    }
    if commands.is_empty() {
        commands.push("all".to_owned());
    }
    let mut parts: Vec<&(&str, Part, &str)> = Vec::new();
    for command in &commands {
        match command.as_str() {
            "all" => parts.extend(PARTS),
            "setup" => {}
            word => match PARTS.iter().find(|part| part.0 == word) {
                Some(part) => parts.push(part),
                None => return usage(&format!("unknown command: {word}")),
            },
        }
    }
    match work(&mut settings, &parts) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn usage(complaint: &str) -> ExitCode {
    if !complaint.is_empty() {
        eprintln!("error: {complaint}\n");
    }
    eprintln!("wharf-lab [--wharf PATH] [--full] [--server NAME] [--only WORD]... [COMMAND]...\n");
    eprintln!("  setup       install the peers and nothing else");
    for (name, _, what) in PARTS {
        eprintln!("  {name:<11} {what}");
    }
    eprintln!("  all         setup and everything (the default)");
    ExitCode::from(if complaint.is_empty() { 0 } else { 2 })
}

fn work(settings: &mut Settings, parts: &[&(&str, Part, &str)]) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        return Err("the lab makes network namespaces: run it as root".into());
    }
    setup::install()?;
    if parts.is_empty() {
        return Ok(true);
    }
    if parts.iter().any(|part| part.0 != "harness") && settings.server == server::Kind::Wharf {
        settings.wharf = settings.wharf.canonicalize().map_err(|error| {
            format!(
                "{}: {error}\nhint: cargo build --release -p wharf",
                settings.wharf.display()
            )
        })?;
    }
    namespace::sweep()?;
    payload::sweep();
    let tally = Tally::default();
    for (name, part, _) in parts {
        let start = Instant::now();
        eprintln!("== {name}");
        if let Err(failure) = part(settings, &tally) {
            tally.fail(name, &failure.to_string());
        }
        eprintln!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(tally.summary())
}
