//! What is remembered between runs: for which server, from which network, which way to a data connection works.
//!
//! It is advice, not truth: the way that worked last is tried first, and when it fails the search goes on as if nothing
//! had been known. Therefore nothing here is an error for a transfer. A file that cannot be read or written, is damaged
//! or comes from another version costs a new search and nothing else.
//!
//! *Whose knowledge.* A record belongs to a server (host as it was typed, port), to the address it had, and to the own
//! network. The own network is the local address of the control connection cut to /24 (IPv4) or /64 (IPv6); the real
//! prefix is unknown here. Limits of that: two homes that both use 192.168.1.0/24 look the same, so a laptop that moved
//! from one to the other tries the other's winner once, sees it fail, and is corrected; a network with another address at
//! every login (mobile IPv4 without NAT) learns anew each time.
//!
//! *Where.* One text file, given by the caller ([`Memory::at`]); its format stands in `remembered.rs`. It is replaced by
//! a rename, under a lock of its directory, so that concurrent runs add to each other's records. Mode 0600 in a directory
//! 0700: it tells with which servers somebody works. No password and no user name is in it.
//!
//! *How long.* Ways that failed, and how many sessions a server allows: a day. Ways that worked: thirty days after they were last used.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::remembered::{Key, Outcome, Remembered, SESSIONS, is_way, reason};
use crate::state_file::StateFile;
use crate::target::Endpoint;

/// Remembered knowledge in a state file. Every call reads the file anew: other runs write it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    path: PathBuf,
}

/// What is known about the ways to one server, or what one search has found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Experience {
    /// The word of the way that works.
    pub winner: Option<String>,
    /// Ways that did not.
    pub losers: Vec<Loser>,
}

/// A way that did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The word of the way.
    pub way: String,
    /// What was seen, for people: `no answer, 1.5 s`.
    pub reason: String,
}

impl Memory {
    /// The memory in this file. Neither it nor its directory need exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known about `server`, which has the address `peer`, seen from a machine whose own address on the control
    /// connection is `own`. `None` when nothing is known, or nothing that is young enough at `now`.
    pub fn recall(
        &self,
        server: &Endpoint,
        peer: IpAddr,
        own: IpAddr,
        now: SystemTime,
    ) -> Option<Experience> {
        let key = Key::new(server, peer, own)?;
        let all = self.read(now);
        let losers: Vec<Loser> = all
            .of(&key)
            .filter_map(|(way, entry)| match &entry.outcome {
                Outcome::Works | Outcome::Most(_) => None,
                Outcome::Fails(reason) => Some(Loser {
                    way: way.to_owned(),
                    reason: reason.clone(),
                }),
            })
            .collect();
        let winner = all.winner(&key).map(str::to_owned);
        (winner.is_some() || !losers.is_empty()).then_some(Experience { winner, losers })
    }

    /// Lays what one search has found out over what was known: a new winner replaces the old one, a way that failed is no
    /// winner any more, what is not mentioned stays until it is too old. Words that are no ways are left out. When nothing
    /// is new nothing is written. Errors are for the log: a transfer has nothing to do with them.
    pub fn learn(
        &self,
        server: &Endpoint,
        peer: IpAddr,
        own: IpAddr,
        experience: &Experience,
        now: SystemTime,
    ) {
        let Some(key) = Key::new(server, peer, own) else {
            return;
        };
        let lay_over = |all: &mut Remembered| {
            let mut new = false;
            for loser in experience.losers.iter().filter(|it| is_way(&it.way)) {
                let fails = Outcome::Fails(reason(&loser.reason));
                new |= all.learn(&key, &loser.way, fails, now);
            }
            if let Some(winner) = experience.winner.as_deref().filter(|it| is_way(it)) {
                new |= all.learn(&key, winner, Outcome::Works, now);
            }
            new
        };
        self.lay_over(now, lay_over);
    }

    /// How many sessions at once the server allowed when it last refused one more; remembered for a day.
    pub fn sessions(
        &self,
        server: &Endpoint,
        peer: IpAddr,
        own: IpAddr,
        now: SystemTime,
    ) -> Option<usize> {
        let key = Key::new(server, peer, own)?;
        self.read(now)
            .of(&key)
            .find_map(|(_, entry)| match entry.outcome {
                Outcome::Most(sessions) => Some(sessions.into()),
                _ => None,
            })
    }

    /// The server refused one more than `most` sessions. Errors are for the log, as with [`learn`](Self::learn).
    pub fn learn_sessions(
        &self,
        server: &Endpoint,
        peer: IpAddr,
        own: IpAddr,
        most: usize,
        now: SystemTime,
    ) {
        let (Some(key), Ok(most)) = (Key::new(server, peer, own), u16::try_from(most)) else {
            return;
        };
        if most > 0 {
            self.lay_over(now, |all| {
                all.learn(&key, SESSIONS, Outcome::Most(most), now)
            });
        }
    }

    /// Writes only what is new.
    fn lay_over(&self, now: SystemTime, learn: impl Fn(&mut Remembered) -> bool) {
        if !learn(&mut self.read(now)) {
            return;
        }
        let written = self.change(now, |all| {
            learn(all);
        });
        if let Err(error) = written {
            tracing::debug!(%error, path = %self.path.display(), "not remembered");
        }
    }

    /// Forgets a host: a name or an address, with or without `:PORT` (IPv6 with a port in brackets). Returns how many
    /// records were removed; a record is a server with one address, seen from one own network.
    ///
    /// # Errors
    /// When the file could not be read or written.
    pub fn forget(&self, host: &str) -> io::Result<usize> {
        let (host, port) = host_and_port(host);
        self.remove(|key| key.is_meant(host, port))
    }

    /// Forgets everything. Returns how many records there were.
    ///
    /// # Errors
    /// When the file could not be read or written.
    pub fn forget_all(&self) -> io::Result<usize> {
        self.remove(|_| true)
    }

    fn remove(&self, mut meant: impl FnMut(&Key) -> bool) -> io::Result<usize> {
        let now = SystemTime::now();
        if Remembered::read(&self.bytes()?, now).forget(&mut meant) == 0 {
            return Ok(0);
        }
        self.change(now, |all| all.forget(meant))
    }

    fn read(&self, now: SystemTime) -> Remembered {
        match self.bytes() {
            Ok(bytes) => Remembered::read(&bytes, now),
            Err(error) => {
                tracing::debug!(%error, path = %self.path.display(), "memory not read");
                Remembered::default()
            }
        }
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        StateFile::at(&self.path).read()
    }

    /// Reads, changes and replaces the file while no other run does.
    fn change<T>(
        &self,
        now: SystemTime,
        change: impl FnOnce(&mut Remembered) -> T,
    ) -> io::Result<T> {
        StateFile::at(&self.path).change(|bytes| {
            let mut all = Remembered::read(bytes, now);
            let result = change(&mut all);
            Ok((all.text(now), result))
        })
    }
}

/// `host`, `host:21`, `2001:db8::1`, `[2001:db8::1]:21`.
pub(crate) fn host_and_port(text: &str) -> (&str, Option<u16>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    let bare = |host: &'_ str| -> Option<(usize, usize)> {
        (host.starts_with('[') && host.ends_with(']')).then(|| (1, host.len() - 1))
    };
    let inside = |host| match bare(host) {
        Some((from, to)) => host.get(from..to).unwrap_or(host),
        None => host,
    };
    match text.rsplit_once(':') {
        Some((host, port)) if bare(host).is_some() || !host.contains(':') => match port.parse() {
            Ok(port) => (inside(host), Some(port)),
            Err(_) => (inside(text), None),
        },
        _ => (inside(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::thread;
    use tempfile::TempDir;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 5));
    const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 77));

    fn now() -> SystemTime {
        SystemTime::now()
    }

    fn works(way: &str) -> Experience {
        Experience {
            winner: Some(way.to_owned()),
            losers: Vec::new(),
        }
    }

    fn fails(way: &str) -> Experience {
        let (way, reason) = (way.to_owned(), "no answer, 1.5 s".to_owned());
        Experience {
            winner: None,
            losers: vec![Loser { way, reason }],
        }
    }

    fn place() -> (TempDir, Memory) {
        let directory = TempDir::new().unwrap();
        let memory = Memory::at(directory.path().join("state/wharf/ways"));
        (directory, memory)
    }

    fn endpoint(host: &str) -> Endpoint {
        Endpoint::new(host, 21)
    }

    #[test]
    fn what_was_learnt_is_recalled_for_the_same_server_and_network_only() {
        let (_directory, memory) = place();
        let server = endpoint("files.example");
        assert_eq!(memory.recall(&server, PEER, OWN, now()), None);
        let found = Experience {
            winner: Some("pasv".to_owned()),
            ..fails("epsv")
        };
        memory.learn(&server, PEER, OWN, &found, now());
        let recall =
            |server: &Endpoint, peer: IpAddr, own: IpAddr| memory.recall(server, peer, own, now());
        assert_eq!(recall(&server, PEER, OWN), Some(found.clone()));
        let neighbour = "192.168.1.2".parse().unwrap();
        assert_eq!(
            recall(&endpoint("FILES.example"), PEER, neighbour),
            Some(found)
        );
        assert_eq!(recall(&server, PEER, "192.168.2.77".parse().unwrap()), None);
        assert_eq!(recall(&server, "203.0.113.6".parse().unwrap(), OWN), None);
        assert_eq!(
            recall(&Endpoint::new("files.example", 2121), PEER, OWN),
            None
        );
        assert_eq!(recall(&endpoint("other.example"), PEER, OWN), None);
    }

    #[test]
    fn a_winner_that_fails_is_no_winner_any_more() {
        let (_directory, memory) = place();
        let server = endpoint("files.example");
        memory.learn(&server, PEER, OWN, &works("epsv"), now());
        memory.learn(&server, PEER, OWN, &fails("epsv"), now());
        assert_eq!(
            memory.recall(&server, PEER, OWN, now()),
            Some(fails("epsv"))
        );
        memory.learn(&server, PEER, OWN, &works("port-mapped"), now());
        let both = Experience {
            winner: Some("port-mapped".to_owned()),
            ..fails("epsv")
        };
        assert_eq!(memory.recall(&server, PEER, OWN, now()), Some(both));
    }

    #[test]
    fn the_file_is_for_its_owner_only_and_nothing_else_is_left() {
        let (directory, memory) = place();
        memory.learn(&endpoint("files.example"), PEER, OWN, &works("epsv"), now());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(memory.path()), 0o600);
        assert_eq!(mode(memory.path().parent().unwrap()), 0o700);
        let names = fs::read_dir(directory.path().join("state/wharf")).unwrap();
        assert_eq!(names.count(), 1);
    }

    #[test]
    fn nothing_new_writes_nothing() {
        let (_directory, memory) = place();
        let server = endpoint("files.example");
        memory.learn(&server, PEER, OWN, &works("epsv"), now());
        let mut marked = fs::read_to_string(memory.path()).unwrap();
        marked.push_str("# mark\n");
        fs::write(memory.path(), &marked).unwrap();
        memory.learn(&server, PEER, OWN, &works("epsv"), now());
        memory.learn(&server, PEER, OWN, &works("NO WAY"), now());
        memory.learn(&endpoint("a b"), PEER, OWN, &works("epsv"), now());
        assert_eq!(fs::read_to_string(memory.path()).unwrap(), marked);
    }

    #[test]
    fn foreign_files_are_replaced_and_never_an_error() {
        let server = endpoint("files.example");
        for before in [
            &b"wharf ways 9\nwhatever\n"[..],
            b"",
            b"\0\xff\n\n",
            b"wharf ways 1",
        ] {
            let (_directory, memory) = place();
            fs::create_dir_all(memory.path().parent().unwrap()).unwrap();
            fs::write(memory.path(), before).unwrap();
            assert_eq!(memory.recall(&server, PEER, OWN, now()), None);
            memory.learn(&server, PEER, OWN, &works("epsv"), now());
            assert_eq!(
                memory.recall(&server, PEER, OWN, now()),
                Some(works("epsv"))
            );
        }
    }

    #[test]
    fn places_that_cannot_be_written_are_harmless() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "x").unwrap();
        let server = endpoint("files.example");
        for path in [file.join("ways"), directory.path().to_owned()] {
            let memory = Memory::at(path);
            memory.learn(&server, PEER, OWN, &works("epsv"), now());
            assert_eq!(memory.recall(&server, PEER, OWN, now()), None);
            assert!(memory.forget("files.example").is_err());
        }
    }

    #[test]
    fn runs_at_the_same_time_keep_each_others_records() {
        let (_directory, memory) = place();
        thread::scope(|scope| {
            for run in 0..4 {
                let memory = &memory;
                scope.spawn(move || {
                    for n in 0..5 {
                        let server = endpoint(&format!("host{run}-{n}"));
                        memory.learn(&server, PEER, OWN, &works("epsv"), now());
                    }
                });
            }
        });
        for run in 0..4 {
            for n in 0..5 {
                let server = endpoint(&format!("host{run}-{n}"));
                assert!(
                    memory.recall(&server, PEER, OWN, now()).is_some(),
                    "{run} {n}"
                );
            }
        }
    }

    #[test]
    fn hosts_are_forgotten_by_name_address_and_port() {
        let v6 = "2001:db8::21".parse().unwrap();
        for (host, expected) in [
            ("files.example", 3),
            ("FILES.example", 3),
            ("files.example:21", 2),
            ("files.example:2121", 1),
            ("files.example:22", 0),
            ("203.0.113.5", 3),
            ("203.0.113.5:2121", 1),
            ("2001:db8::21", 1),
            ("[2001:db8::21]", 1),
            ("[2001:db8::21]:21", 1),
            ("[2001:db8::21]:22", 0),
            ("files", 0),
            ("", 0),
            (":21", 0),
        ] {
            let (_directory, memory) = place();
            memory.learn(&endpoint("files.example"), PEER, OWN, &works("epsv"), now());
            memory.learn(&endpoint("files.example"), v6, v6, &works("epsv"), now());
            let other = Endpoint::new("files.example", 2121);
            memory.learn(&other, PEER, OWN, &works("epsv"), now());
            memory.learn(
                &endpoint("mirror.example"),
                PEER,
                OWN,
                &works("epsv"),
                now(),
            );
            assert_eq!(memory.forget(host).unwrap(), expected, "{host}");
            assert_eq!(memory.forget(host).unwrap(), 0, "{host}");
            assert_eq!(memory.forget_all().unwrap(), 4 - expected, "{host}");
        }
        assert_eq!(place().1.forget_all().unwrap(), 0);
    }
}
