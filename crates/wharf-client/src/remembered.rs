//! The text of the state file and what its lines mean: reading, ageing, laying new over old. No file is opened here, no
//! clock is read.
//!
//! One line a way, for people too:
//!
//! ```text
//! wharf ways 1
//! 2026-11-22T13:50:00Z files.example:21 203.0.113.5 192.168.1.0/24 epsv fails no answer, 1.5 s
//! 2026-11-22T13:50:02Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works
//! 2026-11-22T13:51:00Z files.example:21 203.0.113.5 192.168.1.0/24 sessions most 3
//! ```
//!
//! When, server as it was typed, its address, the own network, the way, how it went; or how many sessions the server allows at once. Whatever stands in the file is
//! judged like something from the network: a line that is not exactly of this form is skipped.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use wharf_proto::{Timestamp, visible};

use crate::target::Endpoint;

/// The first line. Another number is another format, and such a file is not read.
pub(crate) const VERSION: &str = "wharf ways 1";

const COMMENT: &str = "# when (UTC), server, its address, own network, way, how it went; `wharf forget HOST` removes lines";

/// Servers (with their address and from one own network) that are kept; the longest unused go first.
pub(crate) const SERVERS: usize = 500;

/// Ways of one server; there are fewer.
const WAYS: usize = 16;

/// Bytes of one line that is read.
const LINE: usize = 1024;

/// Characters of a reason.
const REASON: usize = 160;

/// Bytes of the file that is written: half of what is read.
const FILE: usize = 512 * 1024;

/// A way that did not work is worth a new try after so long.
pub(crate) const LOSERS_AGE: Duration = Duration::from_hours(24);

/// A way that worked is forgotten when it was not used for so long.
pub(crate) const WINNERS_AGE: Duration = Duration::from_hours(30 * 24);

/// An entry that is younger is not written again: a thousand transfers in a row write once.
const FRESH: Duration = Duration::from_hours(1);

/// Stands in the place of a way where the number of sessions is remembered.
pub(crate) const SESSIONS: &str = "sessions";

/// The longest name that a resolver takes, with room for a zone.
const HOST: usize = 255;

/// For whom something is remembered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    host: String,
    port: u16,
    peer: IpAddr,
    network: Network,
}

/// The network that this machine was in, as far as one can tell: the local address of the control connection, cut to /24
/// or /64. The real prefix is not known, and need not be: two halves of a wider network merely learn on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network(IpAddr);

/// What is known about one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: SystemTime,
    pub(crate) outcome: Outcome,
}

/// How a way went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Works,
    Fails(String),
    /// No way: so many sessions the server allows at once.
    Most(u16),
}

/// Everything that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    servers: BTreeMap<Key, BTreeMap<String, Entry>>,
}

impl Key {
    /// `None` for a host that cannot stand in a line.
    pub(crate) fn new(server: &Endpoint, peer: IpAddr, own: IpAddr) -> Option<Self> {
        let host = server.host.to_ascii_lowercase();
        let fits = !host.is_empty()
            && host.len() <= HOST
            && visible(host.as_bytes()) == host
            && !host
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "/\\@<>\"[]".contains(c));
        (fits && server.port != 0).then(|| Self {
            host,
            port: server.port,
            peer: peer.to_canonical(),
            network: Network::of(own),
        })
    }

    /// Whether a person means this server: the name or the address, with or without a port.
    pub(crate) fn is_meant(&self, host: &str, port: Option<u16>) -> bool {
        let named = self.host.eq_ignore_ascii_case(host);
        let addressed = host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical() == self.peer);
        (named || addressed) && port.is_none_or(|port| port == self.port)
    }

    fn server(&self) -> impl fmt::Display {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl Network {
    pub(crate) fn of(own: IpAddr) -> Self {
        Self(match own.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Ipv4Addr::new(a, b, c, 0).into()
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let expected = if address.is_ipv4() { "24" } else { "64" };
        let network = Self::of(address);
        (prefix == expected && network.0 == address).then_some(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 64 })
    }
}

/// Whether a word may name a way: `epsv`, `port-mapped`.
pub(crate) fn is_way(word: &str) -> bool {
    (1..=32).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
}

/// Fit for the end of a line and for a terminal.
pub(crate) fn reason(text: &str) -> String {
    visible(text.trim().as_bytes())
        .chars()
        .take(REASON)
        .collect()
}

impl Remembered {
    /// Reads a state file. What is too old at `now` is left out; a time in the future (the clock was set back) counts as
    /// now. Any bytes can be read.
    pub(crate) fn read(bytes: &[u8], now: SystemTime) -> Self {
        let mut all = Self::default();
        let mut lines = bytes.split(|it| *it == b'\n');
        if lines.next().map(<[u8]>::trim_ascii_end) != Some(VERSION.as_bytes()) {
            return all;
        }
        for line in lines.filter(|line| line.len() <= LINE) {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            if let Some((key, way, entry)) = read_line(line.trim_end(), now) {
                all.add(key, way, entry);
            }
        }
        all
    }

    fn add(&mut self, key: Key, way: &str, entry: Entry) {
        let ways = self.servers.entry(key).or_default();
        match ways.get_mut(way) {
            // Twice in the file, which only an editor can bring about.
            Some(known) if known.at >= entry.at => {}
            Some(known) => *known = entry,
            None => {
                ways.insert(way.to_owned(), entry);
            }
        }
    }

    /// What is known about one server: ways with how they went.
    pub(crate) fn of(&self, key: &Key) -> impl Iterator<Item = (&str, &Entry)> {
        self.servers
            .get(key)
            .into_iter()
            .flatten()
            .map(|(way, entry)| (way.as_str(), entry))
    }

    /// The way that works; the youngest, should there be several.
    pub(crate) fn winner(&self, key: &Key) -> Option<&str> {
        self.of(key)
            .filter(|(_, entry)| entry.outcome == Outcome::Works)
            .max_by_key(|(_, entry)| entry.at)
            .map(|(way, _)| way)
    }

    /// Lays one observation over what is known. There is one winner: the last. Returns whether the file is worth writing.
    pub(crate) fn learn(
        &mut self,
        key: &Key,
        way: &str,
        outcome: Outcome,
        now: SystemTime,
    ) -> bool {
        let ways = self.servers.entry(key.clone()).or_default();
        let before = ways.len();
        if outcome == Outcome::Works {
            ways.retain(|known, entry| known == way || entry.outcome != Outcome::Works);
        }
        let same = ways.get(way).is_some_and(|known| {
            known.outcome == outcome && age(known.at, now).is_some_and(|age| age < FRESH)
        });
        if same && ways.len() == before {
            return false;
        }
        let entry = Entry { at: now, outcome };
        ways.insert(way.to_owned(), entry);
        true
    }

    /// Removes the servers that are meant. Returns how many there were.
    pub(crate) fn forget(&mut self, mut meant: impl FnMut(&Key) -> bool) -> usize {
        let before = self.servers.len();
        self.servers.retain(|key, _| !meant(key));
        before - self.servers.len()
    }

    /// The text of the state file: the servers that were used last first, and no more than fit.
    pub(crate) fn text(&self, now: SystemTime) -> String {
        let mut servers: Vec<_> = self
            .servers
            .iter()
            .filter_map(|(key, ways)| Some((key, ways, ways.values().map(|it| it.at).max()?)))
            .collect();
        servers.sort_by_key(|(_, _, at)| std::cmp::Reverse(*at));
        let mut text = format!("{VERSION}\n{COMMENT}\n");
        for (key, ways, _) in servers.into_iter().take(SERVERS) {
            let before = text.len();
            let mut ways: Vec<_> = ways.iter().collect();
            ways.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
            for (way, entry) in ways.into_iter().take(WAYS) {
                text.push_str(&line(key, way, entry, now));
            }
            if text.len() > FILE {
                text.truncate(before);
                break;
            }
        }
        text
    }
}

fn line(key: &Key, way: &str, entry: &Entry, now: SystemTime) -> String {
    let at = written(entry.at.min(now));
    let outcome = match &entry.outcome {
        Outcome::Works => "works".to_owned(),
        Outcome::Fails(reason) => format!("fails {reason}").trim_end().to_owned(),
        Outcome::Most(sessions) => format!("most {sessions}"),
    };
    format!(
        "{at} {} {} {} {way} {outcome}\n",
        key.server(),
        key.peer,
        key.network
    )
}

fn read_line(line: &str, now: SystemTime) -> Option<(Key, &str, Entry)> {
    let mut words = line.splitn(7, ' ');
    let mut word = || words.next();
    let (at, server, peer) = (word()?, word()?, word()?);
    let (network, way, outcome) = (word()?, word()?, word()?);
    let rest = word();
    let (host, port) = server.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .map_or(Some(host), |host| host.strip_suffix(']'))?;
    let port = port.parse().ok()?;
    let mut key = Key::new(
        &Endpoint::new(host, port),
        peer.parse().ok()?,
        Ipv4Addr::UNSPECIFIED.into(),
    )?;
    key.network = Network::read(network)?;
    if !is_way(way) {
        return None;
    }
    let at = read_time(at)?;
    let (outcome, longest) = match (outcome, rest) {
        ("works", None) => (Outcome::Works, WINNERS_AGE),
        ("fails", why) => (Outcome::Fails(reason(why.unwrap_or_default())), LOSERS_AGE),
        ("most", Some(sessions)) if way == SESSIONS => {
            let sessions = sessions.parse().ok().filter(|it| *it > 0)?;
            (Outcome::Most(sessions), LOSERS_AGE)
        }
        _ => return None,
    };
    let at = at.min(now);
    (age(at, now)? < longest).then_some((key, way, Entry { at, outcome }))
}

/// `None`: in the future.
fn age(at: SystemTime, now: SystemTime) -> Option<Duration> {
    now.duration_since(at).ok()
}

/// `2026-11-22T13:50:00Z`.
pub(crate) fn written(at: SystemTime) -> String {
    let (year, month, day, hour, minute, second) = Timestamp::from(at).civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same, read.
pub(crate) fn read_time(text: &str) -> Option<SystemTime> {
    let separators = [
        (4, '-'),
        (7, '-'),
        (10, 'T'),
        (13, ':'),
        (16, ':'),
        (19, 'Z'),
    ];
    let fits = text.len() == 20
        && text.char_indices().all(|(at, c)| {
            separators
                .iter()
                .find(|(place, _)| *place == at)
                .map_or(c.is_ascii_digit(), |(_, wanted)| c == *wanted)
        });
    if !fits {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    Timestamp::from_wire(digits.as_bytes())
        .ok()
        .map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000 + seconds)
    }

    fn key(host: &str) -> Key {
        let (peer, own) = (
            "203.0.113.5".parse().unwrap(),
            "192.168.1.77".parse().unwrap(),
        );
        Key::new(&Endpoint::new(host, 21), peer, own).unwrap()
    }

    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn what_is_written_is_read_again() {
        let mut all = Remembered::default();
        let own = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let peer = "2001:db8::21".parse().unwrap();
        let other = Key::new(&Endpoint::new("fe80::1%eth0", 2121), peer, own).unwrap();
        all.learn(
            &key("Files.Example"),
            "epsv",
            Outcome::Fails("no answer, 1.5 s".into()),
            at(0),
        );
        all.learn(&key("files.example"), "pasv", Outcome::Works, at(2));
        all.learn(&other, "port-mapped", Outcome::Works, at(1));
        let text = all.text(at(2));
        assert_eq!(
            text.lines().skip(2).collect::<Vec<_>>(),
            [
                "2026-11-18T11:06:42Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works",
                "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 epsv fails no answer, 1.5 s",
                "2026-11-18T11:06:41Z [fe80::1%eth0]:2121 2001:db8::21 2001:db8:1:2::/64 port-mapped works",
            ]
        );
        assert_eq!(Remembered::read(text.as_bytes(), at(2)), all);
    }

    #[test]
    fn damaged_lines_are_skipped_and_the_others_kept() {
        let good = "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works";
        let damaged = [
            "",
            "# a comment",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv perhaps",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works well",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 PASV works",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pa\x1bsv works",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.7/24 pasv works",
            "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/16 pasv works",
            "2026-11-18T11:06:40Z files.example:21 203.0.113 192.168.1.0/24 pasv works",
            "2026-11-18T11:06:40Z files.example:0 203.0.113.5 192.168.1.0/24 pasv works",
            "2026-11-18T11:06:40Z files.example 203.0.113.5 192.168.1.0/24 pasv works",
            "2026-11-18T11:06:40Z [files.example:21 203.0.113.5 192.168.1.0/24 pasv works",
            "2026-11-18T11:06:40Z a/b:21 203.0.113.5 192.168.1.0/24 pasv works",
            "2026-13-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works",
            "2026-11-18 11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works",
            "+026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works",
        ];
        for bad in damaged {
            let read = Remembered::read(format!("{VERSION}\n{bad}\n").as_bytes(), at(0));
            assert_eq!(read, Remembered::default(), "{bad}");
        }
        let mut text = format!("{VERSION}\r\n{}\n{good}\r\n", damaged.join("\n")).into_bytes();
        text.extend_from_slice(b"\xff\xfe");
        let read = Remembered::read(&text, at(0));
        assert_eq!(read.winner(&key("files.example")), Some("pasv"));
    }

    #[test]
    fn another_version_is_not_read() {
        let good = "2026-11-18T11:06:40Z files.example:21 203.0.113.5 192.168.1.0/24 pasv works";
        for first in ["wharf ways 2", "wharf ways 10", "ways", ""] {
            let read = Remembered::read(format!("{first}\n{good}\n").as_bytes(), at(0));
            assert_eq!(read, Remembered::default(), "{first}");
        }
    }

    #[test]
    fn ages_and_clocks() {
        let server = key("files.example");
        let mut all = Remembered::default();
        all.learn(&server, "epsv", Outcome::Fails("silent".into()), at(0));
        all.learn(&server, "pasv", Outcome::Works, at(0));
        let text = all.text(at(0));
        let ways = |now| {
            let read = Remembered::read(text.as_bytes(), now);
            read.of(&server)
                .map(|(way, _)| way.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ways(at(DAY - 1)), ["epsv", "pasv"]);
        assert_eq!(ways(at(DAY)), ["pasv"]);
        assert_eq!(ways(at(30 * DAY - 1)), ["pasv"]);
        assert_eq!(ways(at(30 * DAY)), [""; 0]);
        // The clock was wrong: ten years ahead when it was written. From the next writing on it ages.
        let back = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        assert_eq!(ways(back), ["epsv", "pasv"]);
        let text = Remembered::read(text.as_bytes(), back).text(back);
        assert!(text.contains("\n1970-01-01T01:00:00Z"), "{text}");
        assert_eq!(
            Remembered::read(text.as_bytes(), at(0)),
            Remembered::default()
        );
    }

    #[test]
    fn there_is_one_winner_and_the_last_word_counts() {
        let server = key("files.example");
        let mut all = Remembered::default();
        assert!(all.learn(&server, "epsv", Outcome::Works, at(0)));
        assert!(!all.learn(&server, "epsv", Outcome::Works, at(HOUR - 1)));
        assert!(all.learn(&server, "epsv", Outcome::Works, at(HOUR)));
        assert!(all.learn(&server, "epsv", Outcome::Fails("silent".into()), at(HOUR)));
        assert_eq!(all.winner(&server), None);
        assert!(all.learn(&server, "port", Outcome::Works, at(HOUR)));
        assert!(all.learn(&server, "pasv", Outcome::Works, at(HOUR)));
        assert_eq!(all.winner(&server), Some("pasv"));
        assert_eq!(
            all.of(&server).count(),
            2,
            "port is neither winner nor loser"
        );
        // A clock that was set back does not freeze the entry.
        assert!(all.learn(&server, "pasv", Outcome::Works, at(0)));
    }

    #[test]
    fn the_file_is_bounded_and_the_oldest_go_first() {
        let mut all = Remembered::default();
        for n in 0..=SERVERS {
            let host = format!("{n}.{}", "long".repeat(60));
            let server = key(&host);
            for way in 0..40 {
                let fails = Outcome::Fails(reason(&"why ".repeat(200)));
                all.learn(&server, &format!("way{way}"), fails, at(n as u64));
            }
        }
        let text = all.text(at(1000));
        assert!(text.len() <= FILE, "{}", text.len());
        assert!(text.lines().all(|line| line.len() <= LINE));
        assert!(text.contains(&format!(" {SERVERS}.long")), "the youngest");
        assert!(!text.contains(" 0.long"), "the oldest");
        let mut all = Remembered::default();
        for n in 0..=SERVERS {
            all.learn(
                &key(&format!("host{n}")),
                "epsv",
                Outcome::Works,
                at(n as u64),
            );
        }
        let text = all.text(at(1000));
        assert_eq!(text.lines().count(), 2 + SERVERS);
        assert!(!text.contains(" host0:"));
    }

    #[test]
    fn networks_are_told_apart_by_the_cut_address() {
        for (own, expected) in [
            ("192.168.1.77", "192.168.1.0/24"),
            ("::ffff:10.1.2.3", "10.1.2.0/24"),
            ("2001:db8:1:2:3::1", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            let network = Network::of(own.parse().unwrap());
            assert_eq!(network.to_string(), expected);
            assert_eq!(Network::read(expected), Some(network));
        }
    }

    #[test]
    fn a_reason_stays_on_its_line() {
        assert_eq!(reason(" a\nb\x1b[2J "), "a␊b␛[2J");
        assert_eq!(reason(&"ä".repeat(500)).chars().count(), REASON);
    }

    #[test]
    fn hosts_that_break_the_line_are_not_remembered() {
        let own = "192.168.1.77".parse().unwrap();
        for host in ["", "a b", "a\nb", "a\tb", "a/b", "a]b", "\u{202e}a"] {
            assert_eq!(
                Key::new(&Endpoint::new(host, 21), own, own),
                None,
                "{host:?}"
            );
        }
        assert_eq!(
            Key::new(&Endpoint::new("a".repeat(256), 21), own, own),
            None
        );
        assert_eq!(Key::new(&Endpoint::new("a", 0), own, own), None);
    }

    /// Lines that are nearly right find more than noise does.
    fn nearly() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            Just("2026-11-18T11:06:40Z".to_owned()),
            Just("files.example:21".to_owned()),
            Just("[2001:db8::1]:21".to_owned()),
            Just("203.0.113.5".to_owned()),
            Just("192.168.1.0/24".to_owned()),
            Just("epsv".to_owned()),
            Just("works".to_owned()),
            Just("fails".to_owned()),
            "\\PC{0,12}",
        ];
        proptest::collection::vec(proptest::collection::vec(word, 0..9), 0..8).prop_map(|lines| {
            let lines: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
            format!("{VERSION}\n{}", lines.join("\n")).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000), now in 0..u64::from(u32::MAX)) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            let with_version = [VERSION.as_bytes(), b"\n", &bytes].concat();
            for bytes in [bytes, with_version] {
                let read = Remembered::read(&bytes, now);
                prop_assert_eq!(Remembered::read(read.text(now).as_bytes(), now), read);
            }
        }

        #[test]
        fn what_was_read_is_written_so_that_it_reads_the_same(bytes in nearly()) {
            let read = Remembered::read(&bytes, at(0));
            prop_assert_eq!(Remembered::read(read.text(at(0)).as_bytes(), at(0)), read);
        }
    }
}
