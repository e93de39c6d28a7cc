//! The list of bans and of known logins: values, and their text.
//!
//! ```toml
//! [[ban]]
//! clients = "192.0.2.7/32"     # or: user = "anna"
//! since = "20261122201343"     # UTC, as MDTM has it
//! until = "20261122201843"     # without it: for ever
//! times = 1                    # the how manieth in a row; 0: made by hand
//! reason = "10 failed logins"
//!
//! [[known]]
//! clients = "198.51.100.3/32"
//! user = "anna"
//! last = "20261121070000"
//! ```
//!
//! A text with a mistake is not read at all: half of a list of bans would let somebody in.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use wharf_proto::Timestamp;
use wharf_proto::data_connection::advertise::Network;

use super::ban::{Ban, Subject, within};
use super::rules::{Change, KNOWN_FOR};

/// Bans, and known logins, that are kept at most.
const MOST: usize = 10_000;

/// A user who has logged in from these addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) clients: Network,
    pub(super) user: String,
    pub(super) last: SystemTime,
}

/// Who is banned, and who is known where.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BanList {
    bans: HashMap<Subject, Ban>,
    known: HashMap<Network, HashMap<String, SystemTime>>,
}

impl BanList {
    /// The ban in force that an address falls under; one by hand before others.
    pub(super) fn covering(&self, client: IpAddr, now: SystemTime) -> Option<&Ban> {
        let mut found: Option<&Ban> = None;
        let longest = if client.to_canonical().is_ipv4() {
            32
        } else {
            128
        };
        for prefix in (0..=longest).rev() {
            let subject = Subject::Clients(within(client, prefix));
            if let Some(ban) = self.find(&subject, now)
                && (found.is_none() || ban.is_by_hand())
            {
                found = Some(ban);
            }
        }
        found
    }

    /// The ban in force against exactly that.
    pub(super) fn find(&self, subject: &Subject, now: SystemTime) -> Option<&Ban> {
        self.any(subject).filter(|ban| ban.holds(now))
    }

    /// The ban against exactly that, in force or over.
    pub(super) fn any(&self, subject: &Subject) -> Option<&Ban> {
        self.bans.get(subject)
    }

    /// All that are in force, the newest first.
    pub(super) fn in_force(&self, now: SystemTime) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self
            .bans
            .values()
            .filter(|it| it.holds(now))
            .cloned()
            .collect();
        bans.sort_by(|a, b| {
            b.since
                .cmp(&a.since)
                .then_with(|| a.subject.to_string().cmp(&b.subject.to_string()))
        });
        bans
    }

    pub(super) fn knows(&self, clients: Network, user: &str, now: SystemTime) -> bool {
        self.last_login(clients, user)
            .is_some_and(|last| is_young(last, now))
    }

    pub(super) fn knows_anybody_at(&self, clients: Network, now: SystemTime) -> bool {
        let users = self.known.get(&clients);
        users.is_some_and(|users| users.values().any(|last| is_young(*last, now)))
    }

    pub(super) fn last_login(&self, clients: Network, user: &str) -> Option<SystemTime> {
        self.known.get(&clients)?.get(user).copied()
    }

    pub(super) fn apply(&mut self, change: Change, now: SystemTime) {
        match change {
            Change::Ban(ban) => {
                self.bans.insert(ban.subject.clone(), ban);
            }
            Change::Lift(subject) => {
                self.bans.remove(&subject);
            }
            Change::Know(known) => {
                let users = self.known.entry(known.clients).or_default();
                users.insert(known.user, known.last);
            }
            Change::Forget(clients, user) => {
                if let Some(users) = self.known.get_mut(&clients) {
                    users.remove(&user);
                    if users.is_empty() {
                        self.known.remove(&clients);
                    }
                }
            }
        }
        if self.bans.len() > MOST {
            self.drop_bans(now);
        }
        if self.known.values().map(HashMap::len).sum::<usize>() > MOST {
            self.drop_known();
        }
    }

    /// What is over for longer than `memory` goes.
    pub(super) fn forget_old(&mut self, memory: Duration, now: SystemTime) {
        self.bans.retain(|_, ban| {
            let end = ban.until.and_then(|until| until.checked_add(memory));
            ban.holds(now) || (!ban.is_by_hand() && end.is_none_or(|end| now < end))
        });
        self.known.retain(|_, users| {
            users.retain(|_, last| is_young(*last, now));
            !users.is_empty()
        });
    }

    /// Those made by hand stay; of the others, the eighth that ends first goes.
    fn drop_bans(&mut self, now: SystemTime) {
        self.bans.retain(|_, ban| ban.holds(now));
        let mut ends: Vec<(SystemTime, Subject)> = self
            .bans
            .values()
            .filter(|ban| !ban.is_by_hand())
            .filter_map(|ban| Some((ban.until?, ban.subject.clone())))
            .collect();
        if self.bans.len() <= MOST {
            return;
        }
        ends.sort_by_key(|(until, _)| *until);
        for (_, subject) in ends.into_iter().take(MOST / 8) {
            self.bans.remove(&subject);
        }
    }

    fn drop_known(&mut self) {
        let mut all: Vec<(SystemTime, Network, String)> = self
            .known
            .iter()
            .flat_map(|(at, users)| users.iter().map(|(user, last)| (*last, *at, user.clone())))
            .collect();
        all.sort_by_key(|(last, ..)| *last);
        for (_, clients, user) in all.into_iter().take(MOST / 8) {
            if let Some(users) = self.known.get_mut(&clients) {
                users.remove(&user);
                if users.is_empty() {
                    self.known.remove(&clients);
                }
            }
        }
    }

    /// The text of a file.
    pub(super) fn text(&self) -> String {
        let mut out = String::from(
            "# Who is not let in, and who has logged in from where. Written by `wharf serve` and `wharf ban`.\n",
        );
        let mut bans: Vec<&Ban> = self.bans.values().collect();
        bans.sort_by_cached_key(|ban| (ban.since, ban.subject.to_string()));
        // Writing to a string does not fail.
        for ban in bans {
            let _ = match &ban.subject {
                Subject::Clients(network) => {
                    write!(
                        out,
                        "\n[[ban]]\nclients = {}\n",
                        quoted(&network.to_string())
                    )
                }
                Subject::User(name) => write!(out, "\n[[ban]]\nuser = {}\n", quoted(name)),
            };
            let _ = writeln!(out, "since = {}", wire(ban.since));
            if let Some(until) = ban.until {
                let _ = writeln!(out, "until = {}", wire(until));
            }
            let _ = writeln!(
                out,
                "times = {}\nreason = {}",
                ban.times,
                quoted(&ban.reason)
            );
        }
        let mut known: Vec<(String, &String, SystemTime)> = self
            .known
            .iter()
            .flat_map(|(at, users)| {
                users
                    .iter()
                    .map(move |(user, last)| (at.to_string(), user, *last))
            })
            .collect();
        known.sort();
        for (clients, user, last) in known {
            let (clients, user) = (quoted(&clients), quoted(user));
            let last = wire(last);
            let _ = write!(
                out,
                "\n[[known]]\nclients = {clients}\nuser = {user}\nlast = {last}\n"
            );
        }
        out
    }

    /// Reads the text of a file; the mistake otherwise.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| {
                1 + text
                    .bytes()
                    .take(span.start)
                    .filter(|b| *b == b'\n')
                    .count()
            });
            format!("line {line}: {}", error.message())
        })?;
        let mut list = Self::default();
        for (key, entries) in &table {
            let entries = entries
                .as_array()
                .ok_or_else(|| format!("{key}: expected [[{key}]]"))?;
            for (number, entry) in entries.iter().enumerate() {
                let place = |mistake: String| format!("{key} {}: {mistake}", number + 1);
                let entry = entry
                    .as_table()
                    .ok_or_else(|| place("expected a table".to_owned()))?;
                let entry = Entry(entry);
                match key.as_str() {
                    "ban" => {
                        let ban = entry.ban().map_err(place)?;
                        list.bans.insert(ban.subject.clone(), ban);
                    }
                    "known" => {
                        let known = entry.known().map_err(place)?;
                        list.known
                            .entry(known.clients)
                            .or_default()
                            .insert(known.user, known.last);
                    }
                    other => {
                        return Err(format!(
                            "unknown key: {other}, expected [[ban]] or [[known]]"
                        ));
                    }
                }
            }
        }
        Ok(list)
    }
}

struct Entry<'a>(&'a toml::Table);

impl Entry<'_> {
    fn ban(&self) -> Result<Ban, String> {
        self.only(&["clients", "user", "since", "until", "times", "reason"])?;
        let subject = match (self.0.contains_key("clients"), self.0.contains_key("user")) {
            (true, false) => Subject::Clients(self.network()?),
            (false, true) => Subject::User(self.text("user")?.to_owned()),
            _ => return Err("expected either clients or user".to_owned()),
        };
        let times = self.0.get("times").and_then(toml::Value::as_integer);
        let times = times.and_then(|times| u32::try_from(times).ok());
        Ok(Ban {
            subject,
            since: self.time("since")?,
            until: self
                .0
                .contains_key("until")
                .then(|| self.time("until"))
                .transpose()?,
            times: times.ok_or("times: expected a number")?,
            reason: self.text("reason")?.to_owned(),
        })
    }

    fn known(&self) -> Result<Known, String> {
        self.only(&["clients", "user", "last"])?;
        Ok(Known {
            clients: self.network()?,
            user: self.text("user")?.to_owned(),
            last: self.time("last")?,
        })
    }

    fn only(&self, keys: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(other) => Err(format!(
                "unknown key: {other}, expected {}",
                keys.join(", ")
            )),
        }
    }

    fn text(&self, key: &str) -> Result<&str, String> {
        let value = self.0.get(key).and_then(toml::Value::as_str);
        value.ok_or_else(|| format!("{key}: expected a string"))
    }

    fn network(&self) -> Result<Network, String> {
        let network: Network = self
            .text("clients")?
            .parse()
            .map_err(|_| "clients: expected ADDRESS/BITS")?;
        Ok(within(network.address(), network.prefix()))
    }

    fn time(&self, key: &str) -> Result<SystemTime, String> {
        let stamp = Timestamp::from_wire(self.text(key)?.as_bytes());
        Ok(stamp
            .map_err(|_| format!("{key}: expected YYYYMMDDHHMMSS"))?
            .into())
    }
}

fn is_young(last: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last).is_ok_and(|age| age < KNOWN_FOR) || last > now
}

fn wire(time: SystemTime) -> String {
    quoted(&Timestamp::from(time).whole_seconds().to_wire())
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
