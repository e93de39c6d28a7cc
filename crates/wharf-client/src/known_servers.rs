//! The servers that were seen over TLS before, in a file: trust on first use.
//!
//! One line a server, for people too:
//!
//! ```text
//! wharf known servers 1
//! 2026-11-22T13:50:00Z files.example:2121 certificate AB:CD:…
//! 2026-11-22T13:50:02Z mirror.example:21 authority
//! ```
//!
//! When it was first seen, the server as it was typed, and either the SHA-256 of its certificate or that a known
//! authority vouched for it. Unlike the memory of ways this is no advice: a file that cannot be read or is damaged makes
//! wharf believe nobody new, for otherwise whoever damages it could be any server. The file is replaced whole, under a
//! lock, mode 0600: it tells with which servers somebody works.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wharf_net::tls::trust::{Known, KnownServers};

use crate::memory::host_and_port;
use crate::remembered::{read_time, written};
use crate::state_file::StateFile;

/// The first line. Another number is another format, and such a file is not read.
const VERSION: &str = "wharf known servers 1";

const COMMENT: &str = "# first seen (UTC), server, its certificate (SHA-256) or that an authority vouched for it; `wharf forget HOST` removes lines";

/// Servers that are kept; those that were seen first go first.
const SERVERS: usize = 2000;

/// The longest name that a resolver takes, with room for a zone.
const HOST: usize = 255;

/// The file with the servers that were seen before. Every call reads it anew: other runs write it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServersFile {
    path: PathBuf,
}

type Server = (String, u16);

/// What is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Servers(BTreeMap<Server, (SystemTime, Known)>);

impl KnownServersFile {
    /// Neither the file nor its directory need exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets a server: a name or an address as it was typed, with or without `:PORT` (IPv6 with a port in brackets).
    /// Returns how many there were.
    ///
    /// # Errors
    /// When the file could not be read or written.
    pub fn forget(&self, host: &str) -> io::Result<usize> {
        let (host, port) = host_and_port(host);
        self.remove(|(known, at)| {
            known.eq_ignore_ascii_case(host) && port.is_none_or(|port| port == *at)
        })
    }

    /// Forgets all of them. Returns how many there were; of a damaged file, whose lines cannot be counted, none.
    ///
    /// # Errors
    /// When the file could not be read or written.
    pub fn forget_all(&self) -> io::Result<usize> {
        let file = StateFile::at(&self.path);
        if file.read()?.is_empty() {
            return Ok(0);
        }
        file.change(|bytes| {
            let before = Servers::read(bytes).unwrap_or_default();
            Ok((Servers::default().text(), before.0.len()))
        })
    }

    fn remove(&self, meant: impl Fn(&Server) -> bool) -> io::Result<usize> {
        let file = StateFile::at(&self.path);
        let known = Servers::read(&file.read()?)?;
        if !known.0.keys().any(&meant) {
            return Ok(0);
        }
        file.change(|bytes| {
            let mut servers = Servers::read(bytes)?;
            let before = servers.0.len();
            servers.0.retain(|server, _| !meant(server));
            Ok((servers.text(), before - servers.0.len()))
        })
    }
}

impl KnownServers for KnownServersFile {
    fn known(&self, host: &str, port: u16) -> Result<Option<Known>, String> {
        let told = |error: io::Error| format!("{}: {error}", self.path.display());
        let bytes = StateFile::at(&self.path).read().map_err(told)?;
        let servers = Servers::read(&bytes).map_err(told)?;
        let found = servers.0.get(&(host.to_ascii_lowercase(), port));
        Ok(found.map(|(_, known)| *known))
    }

    fn remember(&self, host: &str, port: u16, what: Known) {
        if !writable(host) {
            tracing::warn!(host, "a name that cannot be remembered");
            return;
        }
        let server = (host.to_ascii_lowercase(), port);
        let now = SystemTime::now();
        let written = StateFile::at(&self.path).change(|bytes| {
            let mut servers = Servers::read(bytes)?;
            servers.learn(server, what, now);
            Ok((servers.text(), ()))
        });
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.path.display(), "the server is not remembered");
        }
    }
}

impl Servers {
    /// Any bytes are either read whole or an error.
    fn read(bytes: &[u8]) -> io::Result<Self> {
        let mut servers = Self::default();
        if bytes.is_empty() {
            return Ok(servers);
        }
        let damaged = |number: usize| io::Error::other(format!("line {number} is damaged"));
        let text = str::from_utf8(bytes).map_err(io::Error::other)?;
        let mut lines = (1..).zip(text.lines());
        if lines.next().is_none_or(|(_, line)| line != VERSION) {
            return Err(io::Error::other(format!(
                "it does not begin with “{VERSION}”"
            )));
        }
        for (number, line) in lines {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let (server, at, known) = read_line(line).ok_or_else(|| damaged(number))?;
            servers.0.insert(server, (at, known));
        }
        if !text.ends_with('\n') {
            return Err(io::Error::other("it is cut off"));
        }
        Ok(servers)
    }

    /// Of two runs that see a server for the first time the first one wins; an authority's word is above both.
    fn learn(&mut self, server: Server, what: Known, now: SystemTime) {
        if what != Known::Authority && self.0.contains_key(&server) {
            return;
        }
        self.0.insert(server, (now, what));
        while self.0.len() > SERVERS {
            let oldest = self.0.iter().min_by_key(|(_, (at, _))| *at);
            let Some(oldest) = oldest.map(|(server, _)| server.clone()) else {
                return;
            };
            self.0.remove(&oldest);
        }
    }

    fn text(&self) -> String {
        use fmt::Write as _;
        let mut text = format!("{VERSION}\n{COMMENT}\n");
        for ((host, port), (at, known)) in &self.0 {
            let at = written(*at);
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            // Writing to a String cannot fail.
            let _ = match known {
                Known::Certificate(it) => writeln!(text, "{at} {host}:{port} certificate {it}"),
                Known::Authority => writeln!(text, "{at} {host}:{port} authority"),
            };
        }
        text
    }
}

fn read_line(line: &str) -> Option<(Server, SystemTime, Known)> {
    let mut words = line.split(' ');
    let at = read_time(words.next()?)?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .map_or(Some(host), |host| host.strip_suffix(']'))?;
    let known = match (words.next()?, words.next()) {
        ("certificate", Some(fingerprint)) => Known::Certificate(fingerprint.parse().ok()?),
        ("authority", None) => Known::Authority,
        _ => return None,
    };
    let whole = words.next().is_none() && writable(host);
    whole.then(|| Some(((host.to_owned(), port.parse().ok()?), at, known)))?
}

/// Whether a host can stand in a line.
fn writable(host: &str) -> bool {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !"/\\@<>\"[]#".contains(c);
    (1..=HOST).contains(&host.len()) && host.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;
    use wharf_net::tls::Fingerprint;

    const ONE: Known = Known::Certificate(Fingerprint([1; 32]));
    const TWO: Known = Known::Certificate(Fingerprint([0xab; 32]));

    fn place() -> (tempfile::TempDir, KnownServersFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = KnownServersFile::at(directory.path().join("state/wharf/known-servers"));
        (directory, file)
    }

    #[test]
    fn what_was_seen_first_stays_until_it_is_forgotten() {
        let (_directory, file) = place();
        assert_eq!(file.known("files.example", 21), Ok(None));
        file.remember("Files.example", 21, ONE);
        file.remember("files.example", 21, TWO);
        file.remember("2001:db8::21", 990, TWO);
        assert_eq!(file.known("files.EXAMPLE", 21), Ok(Some(ONE)));
        assert_eq!(file.known("files.example", 990), Ok(None));
        assert_eq!(file.known("2001:db8::21", 990), Ok(Some(TWO)));
        file.remember("files.example", 21, Known::Authority);
        assert_eq!(file.known("files.example", 21), Ok(Some(Known::Authority)));
        file.remember("files.example", 21, TWO);
        assert_eq!(file.known("files.example", 21), Ok(Some(Known::Authority)));
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        for (host, expected) in [
            ("other.example", 0),
            ("files.example:22", 0),
            ("files.example:21", 1),
            ("files.example", 0),
            ("[2001:db8::21]:990", 1),
        ] {
            assert_eq!(file.forget(host).unwrap(), expected, "{host}");
        }
        file.remember("files.example", 21, TWO);
        assert_eq!(file.known("files.example", 21), Ok(Some(TWO)));
        assert_eq!(file.forget_all().unwrap(), 1);
        assert_eq!(file.forget_all().unwrap(), 0);
    }

    #[test]
    fn the_file_is_written_as_it_is_read() {
        let mut servers = Servers::default();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_355_401);
        servers.learn(("files.example".to_owned(), 2121), TWO, at);
        servers.learn(("2001:db8::21".to_owned(), 990), Known::Authority, at);
        let text = servers.text();
        let ab = ["AB"; 32].join(":");
        let expected = format!(
            "{VERSION}\n{COMMENT}\n2026-11-22T13:50:01Z [2001:db8::21]:990 authority\n\
             2026-11-22T13:50:01Z files.example:2121 certificate {ab}\n"
        );
        assert_eq!(text, expected);
        assert_eq!(Servers::read(text.as_bytes()).unwrap(), servers);
        // Whatever is cut off is noticed: the rest could be the line of the server in question.
        for end in 1..text.len() {
            let whole = text[..end].ends_with('\n') && end > VERSION.len();
            assert_eq!(
                Servers::read(&text.as_bytes()[..end]).is_ok(),
                whole,
                "{end}"
            );
        }
    }

    #[test]
    fn damaged_files_believe_nobody_new() {
        for damaged in [
            "wharf known servers 2\n",
            "wharf known servers 1\nx\n",
            "wharf known servers 1\n2026-11-22T13:50:00Z a:21 certificate AB\n",
            "wharf known servers 1\n2026-11-22T13:50:00Z a:21 authority really\n",
            "wharf known servers 1\n2026-11-22T13:50:00Z a:21\n",
            "wharf known servers 1\n2026-11-22T13:50:00Z a:99999 authority\n",
            "\0\n",
        ] {
            let (_directory, file) = place();
            fs::create_dir_all(file.path().parent().unwrap()).unwrap();
            fs::write(file.path(), damaged).unwrap();
            assert!(file.known("a", 21).is_err(), "{damaged}");
            file.remember("a", 21, ONE);
            assert!(file.forget("a").is_err(), "{damaged}");
            assert_eq!(fs::read_to_string(file.path()).unwrap(), damaged);
            // The way out that the error names.
            file.forget_all().unwrap();
            assert_eq!(file.known("a", 21), Ok(None));
        }
    }

    #[test]
    fn the_file_is_bounded() {
        let mut servers = Servers::default();
        for number in 0..SERVERS + 3 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64);
            servers.learn((format!("{number:0>200}"), 21), ONE, at);
        }
        assert_eq!(servers.0.len(), SERVERS);
        assert!(!servers.0.contains_key(&(format!("{:0>200}", 2), 21)));
        assert!(servers.0.contains_key(&(format!("{:0>200}", 3), 21)));
        assert!(servers.text().len() < 1024 * 1024);
    }
}
