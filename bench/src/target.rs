//! The servers under load, each on a loopback port of its own and with a folder of its own in memory.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wharf_lab::server::{Kind, Place, Server, ServerPlan, start};

use crate::load::Session;
use crate::note;
use crate::size::{LARGE, SMALL, Size};

const USER: &str = "bench";
const PASSWORD: &str = "bench-password";
/// Memory-backed, so that a disk is not what is measured.
const MEMORY: &str = "/dev/shm";

/// One running server.
pub(crate) struct Target {
    /// Its name in the tables.
    pub(crate) name: String,
    /// What it says of its version.
    pub(crate) version: String,
    /// Its main process.
    pub(crate) pid: u32,
    /// The folder it serves.
    pub(crate) folder: PathBuf,
    port: u16,
    _server: Server,
    _space: Space,
}

impl Target {
    /// A fresh session.
    pub(crate) fn login(&self) -> io::Result<Session> {
        Session::login(self.port, USER, PASSWORD)
    }
}

/// A folder that goes when its target goes.
struct Space(PathBuf);

impl Drop for Space {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.0) {
            note(&format!("{}: {e}", self.0.display()));
        }
    }
}

/// Name, kind, and how its version is asked.
const TABLE: &[(&str, Kind, Version)] = &[
    ("wharf", Kind::Wharf, Version::Program),
    ("vsftpd", Kind::Vsftpd, Version::Package("vsftpd")),
    ("ProFTPD", Kind::ProFtpd, Version::Package("proftpd-core")),
    ("Pure-FTPd", Kind::PureFtpd, Version::Package("pure-ftpd")),
    ("pyftpdlib", Kind::Pyftpdlib, Version::Python("pyftpdlib")),
];

enum Version {
    Program,
    Package(&'static str),
    Python(&'static str),
}

/// Starts wharf and its peers.
pub(crate) fn start_all(wharf: &str, size: &Size) -> Result<Vec<Target>, String> {
    let wharf = fs::canonicalize(wharf).map_err(|e| format!("{wharf}: {e}"))?;
    TABLE
        .iter()
        .enumerate()
        .map(|(at, (name, kind, version))| {
            begin(name, *kind, version, at, &wharf, size).map_err(|e| format!("{name}: {e}"))
        })
        .collect()
}

fn begin(
    name: &str,
    kind: Kind,
    version: &Version,
    at: usize,
    wharf: &Path,
    size: &Size,
) -> Result<Target, String> {
    let own = format!("wharf-bench-{}-{}", std::process::id(), kind.name());
    let space = Space(Path::new(MEMORY).join(own));
    let (folder, work) = (space.0.join("served"), space.0.join("work"));
    let prepared = || -> io::Result<u16> {
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(&work)?;
        fs::write(folder.join(SMALL), vec![b'x'; 4096])?;
        fs::File::create(folder.join(LARGE))?.set_len(size.large)?;
        // A hole would be read without touching memory; make the pages real.
        fill(&folder.join(LARGE), size.large)?;
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port())
    };
    let port = prepared().map_err(|e| e.to_string())?;
    let low = 20_000 + u16::try_from(at).unwrap_or_default() * 2_500;
    let plan = ServerPlan {
        wharf,
        directory: &folder,
        work: &work,
        port,
        user: USER,
        password: PASSWORD,
        // Pure-FTPd admits half as many sessions as it has ports.
        passive: (low, low + 2_399),
        advertise: None,
        max_sessions: size.idle + 100,
        further: &[],
        lines: &[],
        tls: None,
    };
    let server = start(kind, Place::Host, &plan).map_err(|e| e.to_string())?;
    let target = Target {
        name: name.to_owned(),
        version: ask_version(version, wharf),
        pid: server.pid(),
        folder,
        port,
        _server: server,
        _space: space,
    };
    let greeted = target.login().map_err(|e| format!("cannot log in: {e}"))?;
    drop(greeted);
    Ok(target)
}

fn fill(path: &Path, length: u64) -> io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    let block = vec![b'w'; 1 << 20];
    let mut left = length;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(&block[..n])?;
        left -= n as u64;
    }
    Ok(())
}

fn ask_version(version: &Version, wharf: &Path) -> String {
    let output = match version {
        Version::Program => Command::new(wharf).arg("--version").output(),
        Version::Package(name) => Command::new("apt-cache")
            .args(["show", "--no-all-versions", name])
            .output(),
        Version::Python(name) => Command::new(wharf_lab::setup::python())
            .args(["-m", "pip", "show", name])
            .output(),
    };
    let text = output
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    match version {
        Version::Program => text.trim().to_owned(),
        Version::Package(_) | Version::Python(_) => text
            .lines()
            .find_map(|l| l.strip_prefix("Version: "))
            .unwrap_or("unknown")
            .to_owned(),
    }
}

/// Holding a thousand sessions takes more descriptors than a shell usually allows.
pub(crate) fn raise_file_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(65_536, |most| most.min(65_536));
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        },
    )?;
    Ok(())
}
