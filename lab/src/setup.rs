//! Installs the peers from the ordinary Debian and Python registries. An absent peer is an error.
//!
//! The clients are installed as packages. The servers exclude each other as packages (all provide
//! `ftp-server`), and what stands on a gateway is no business of this machine's, so theirs are only
//! unpacked, below `lab/cache`, and run from there. Nothing is
//! allowed to start by itself: `policy-rc.d` answers 101 while packages are installed and is put
//! back afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::process::run;

/// Packages with the programs that the lab looks for.
const PACKAGES: [(&str, &str); 16] = [
    ("curl", "/usr/bin/curl"),
    ("lftp", "/usr/bin/lftp"),
    ("tnftp", "/usr/bin/tnftp"),
    ("ncftp", "/usr/bin/ncftpget"),
    ("inetutils-ftp", "/usr/bin/inetutils-ftp"),
    ("wget", "/usr/bin/wget"),
    ("aria2", "/usr/bin/aria2c"),
    ("miniupnpc", "/usr/bin/upnpc"),
    ("natpmpc", "/usr/bin/natpmpc"),
    ("nftables", "/usr/sbin/nft"),
    ("iptables", "/usr/sbin/iptables-restore"),
    ("iproute2", "/usr/sbin/ip"),
    ("tcpdump", "/usr/bin/tcpdump"),
    ("python3-venv", "/usr/bin/python3"),
    ("nodejs", "/usr/bin/node"),
    ("npm", "/usr/bin/npm"),
];

/// Servers, a module of one, and what stands on gateways, unpacked: package, program inside it.
const UNPACKED: [(&str, &str); 8] = [
    ("vsftpd", "usr/sbin/vsftpd"),
    ("proftpd-core", "usr/sbin/proftpd"),
    ("proftpd-mod-crypto", "usr/lib/proftpd/mod_tls.so"),
    ("pure-ftpd", "usr/sbin/pure-ftpd"),
    ("haproxy", "usr/sbin/haproxy"),
    ("miniupnpd-nftables", "usr/sbin/miniupnpd"),
    ("tayga", "usr/sbin/tayga"),
    ("pebble", "usr/bin/pebble"),
];

/// Shared libraries of the unpacked programs, by package: Debian 12's names.
const LIBRARIES: [&str; 11] = [
    "liblua5.3-0",
    "libopentracing-c-wrapper0",
    "libnftnl11",
    "libwrap0",
    "libhiredis0.14",
    "libmemcached11",
    "libmemcachedutil2",
    "libpcre2-posix3",
    "libsodium23",
    "libpam0g",
    "libcap2",
];

/// The versions of pyftpdlib, and of what it speaks TLS with, under which the expectations were made.
const PYTHON: [&str; 2] = ["pyftpdlib==2.2.0", "pyOpenSSL==26.4.0"];

/// What has to be there for pyftpdlib to serve, also over TLS.
const PYTHON_HAS: &str = "import pyftpdlib.servers, pyftpdlib.handlers as h; h.TLS_FTPHandler";

/// The version of npm's client under which the expectations were made.
const BASIC_FTP: &str = "basic-ftp@6.2.6";

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Where unpacked servers and the Python environment live: `lab/cache` of this source tree.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cache")
}

/// The program of an unpacked package.
pub fn unpacked(package: &str) -> PathBuf {
    let inside = UNPACKED
        .iter()
        .find(|row| row.0 == package)
        .map_or("", |row| row.1);
    cache().join(package).join(inside)
}

/// The Python interpreter that has pyftpdlib.
pub fn python() -> PathBuf {
    cache().join("venv/bin/python")
}

/// Where npm's packages are: a program there finds them by itself.
pub fn node() -> PathBuf {
    cache().join("node")
}

fn basic_ftp() -> bool {
    let program = "const v = require('basic-ftp/package.json').version; process.exit('basic-ftp@' + v == process.argv[1] ? 0 : 1)";
    let mut command = Command::new("/usr/bin/node");
    command.args(["-e", program, BASIC_FTP]);
    command.env("NODE_PATH", node().join("node_modules"));
    run(command, b"", Duration::from_secs(20)).is_ok_and(|outcome| outcome.succeeded())
}

/// Installs what is missing; quick when nothing is.
pub fn install() -> Result<()> {
    let cache = cache();
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let mut wanted: Vec<&str> = PACKAGES
        .iter()
        .filter(|row| !Path::new(row.1).exists())
        .map(|row| row.0)
        .collect();
    // python3 may be there without the module that makes environments.
    if !runs("/usr/bin/python3", &["-c", "import ensurepip, venv"]) {
        wanted.push("python3-venv");
    }
    let servers: Vec<&(&str, &str)> = UNPACKED
        .iter()
        .filter(|row| !unpacked(row.0).exists())
        .collect();
    if !wanted.is_empty() || !servers.is_empty() {
        wanted.extend(LIBRARIES);
        let policy = Policy::hold()?;
        apt(&["update", "-q"])?;
        let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
        arguments.extend(&wanted);
        apt(&arguments)?;
        drop(policy);
    }
    for (package, _) in servers {
        unpack(&cache, package)?;
    }
    if !runs(&python().to_string_lossy(), &["-c", PYTHON_HAS]) {
        let venv = cache.join("venv");
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "venv", "--clear"]).arg(&venv);
        step(command, "python environment")?;
        let mut command = Command::new(venv.join("bin/pip"));
        command.args(["install", "--quiet", "--disable-pip-version-check"]);
        command.args(PYTHON);
        step(command, "pyftpdlib")?;
    }
    if !basic_ftp() {
        fs::create_dir_all(node())?;
        let mut command = Command::new("/usr/bin/npm");
        command.args(["install", "--silent", "--no-audit", "--no-fund"]);
        command.args(["--ignore-scripts", "--no-save", "--prefix"]);
        command.arg(node()).arg(BASIC_FTP).current_dir(node());
        step(command, BASIC_FTP)?;
    }
    verify()
}

/// Everything has to be there and able to start, or the lab would skip without saying so.
fn verify() -> Result<()> {
    let mut missing: Vec<String> = PACKAGES
        .iter()
        .filter(|row| !Path::new(row.1).exists())
        .map(|row| format!("{} ({})", row.0, row.1))
        .collect();
    for (package, _) in UNPACKED {
        let program = unpacked(package);
        let mut command = Command::new("ldd");
        command.arg(&program);
        let outcome = run(command, b"", Duration::from_secs(10))?;
        let shown = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let absent: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains("not found"))
            .collect();
        if !outcome.succeeded() || !absent.is_empty() {
            missing.push(format!(
                "{}: {}",
                program.display(),
                absent.join(", ").replace('\t', "")
            ));
        }
    }
    if !runs(&python().to_string_lossy(), &["-c", PYTHON_HAS]) {
        missing.push("pyftpdlib".to_owned());
    }
    if !basic_ftp() {
        missing.push(BASIC_FTP.to_owned());
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("peers are missing: {}", missing.join("; ")).into())
    }
}

fn unpack(cache: &Path, package: &str) -> Result<()> {
    let staging = cache.join("deb").join(package);
    let _ = fs::remove_dir_all(&staging);
    fs::create_dir_all(&staging)?;
    let mut command = Command::new("apt-get");
    // As root the download would drop to user _apt, who may not write here; apt only warns.
    command
        .args(["download", "-q", package])
        .current_dir(&staging);
    step(command, package)?;
    let archive = fs::read_dir(&staging)?
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("{package}: nothing was downloaded"))?;
    let mut command = Command::new("dpkg");
    command.arg("-x").arg(&archive).arg(cache.join(package));
    step(command, package)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    step(
        command,
        &format!("apt-get {}", arguments.first().unwrap_or(&"")),
    )
}

fn step(command: Command, what: &str) -> Result<()> {
    eprintln!("setup: {what}");
    let outcome = run(command, b"", Duration::from_mins(5))?;
    if outcome.succeeded() {
        Ok(())
    } else {
        Err(format!("setup: {what}: {}", outcome.last_words()).into())
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command, b"", Duration::from_secs(20)).is_ok_and(|outcome| outcome.succeeded())
}

/// A `policy-rc.d` that forbids starting services, for as long as it lives.
struct Policy {
    before: Option<(Vec<u8>, u32)>,
}

impl Policy {
    fn hold() -> Result<Self> {
        let before = match fs::read(POLICY) {
            Ok(text) => Some((text, fs::metadata(POLICY)?.permissions().mode())),
            Err(_) => None,
        };
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { before })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let restored = match &self.before {
            Some((text, mode)) => fs::write(POLICY, text)
                .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(*mode))),
            None => fs::remove_file(POLICY),
        };
        if let Err(error) = restored {
            eprintln!("note: {POLICY} could not be restored: {error}");
        }
    }
}
