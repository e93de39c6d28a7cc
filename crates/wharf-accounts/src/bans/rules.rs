//! The rules: who has failed how often, and what follows. No clock, no file: time is an argument.
//!
//! | what happens | what it costs |
//! |---|---|
//! | a login fails | one point for the address; one for the user name too, or, where that user has logged in from that address before, for the pair of both |
//! | a login succeeds | takes back what that very user name had cost the address in this session; the pair is *known* for thirty days |
//! | other offences | points for the address, see [`Offence`] |
//! | an address reaches `after` | it is banned: nobody of it gets in |
//! | ... and somebody is known there | known users get in, strangers do not: one guesser behind a NAT locks out nobody who works there |
//! | a user name reaches `users_after` | strangers cannot try that name; wherever the user is known, they can log in as always |
//! | a pair reaches `after` | it is not known any more: at that address the guesser is too close to be told from the user |
//!
//! Unknown user names are counted exactly as existing ones, so that nothing here tells which of them exist. Everything is
//! bounded: when a table is full, what weighs least goes.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use wharf_proto::data_connection::advertise::Network;

use super::ban::{Ban, BanPolicy, Offence, Subject, counted, counted_name};
use super::list::{BanList, Known};

/// Addresses, and user names, whose failures are counted at the same time.
const MOST_COUNTED: usize = 16_384;

/// For so long a login speaks for its address.
pub(super) const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// A login that is known is written down anew after this time, not at every login.
const KNOWN_ANEW: Duration = Duration::from_hours(24);

/// Failures that lose weight with time.
#[derive(Clone, Copy, Debug)]
struct Score {
    points: f64,
    at: SystemTime,
}

/// What is counted, and who is banned.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) policy: BanPolicy,
    addresses: HashMap<Network, Score>,
    users: HashMap<String, Score>,
    pairs: HashMap<(Network, String), Score>,
    pub(super) list: BanList,
}

/// Something that the list has to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Ban(Ban),
    Lift(Subject),
    Know(Known),
    Forget(Network, String),
}

impl Rules {
    pub(super) fn new(policy: BanPolicy) -> Self {
        Self {
            policy,
            addresses: HashMap::new(),
            users: HashMap::new(),
            pairs: HashMap::new(),
            list: BanList::default(),
        }
    }

    /// Why nobody at this address is let in, if so.
    pub(super) fn closed_to(&self, client: IpAddr, now: SystemTime) -> Option<&Ban> {
        let ban = self.ban_of(client, now)?;
        let somebody_known = || self.list.knows_anybody_at(counted(client), now);
        (ban.is_by_hand() || !somebody_known()).then_some(ban)
    }

    /// Why this user cannot be tried from this address, if so.
    pub(super) fn refuses(&self, client: IpAddr, user: &[u8], now: SystemTime) -> Option<&Ban> {
        let name = counted_name(user);
        let known = self.list.knows(counted(client), &name, now);
        if let Some(ban) = self.ban_of(client, now)
            && (ban.is_by_hand() || !known)
        {
            return Some(ban);
        }
        let ban = self.list.find(&Subject::User(name), now)?;
        let exempt = known || self.policy.trusts(client);
        (ban.is_by_hand() || !exempt).then_some(ban)
    }

    fn ban_of(&self, client: IpAddr, now: SystemTime) -> Option<&Ban> {
        let ban = self.list.covering(client, now)?;
        (ban.is_by_hand() || !self.policy.trusts(client)).then_some(ban)
    }

    /// A login was refused.
    pub(super) fn failed(&mut self, client: IpAddr, user: &[u8], now: SystemTime) -> Vec<Change> {
        if self.policy.trusts(client) || !self.is_on() {
            return Vec::new();
        }
        let network = counted(client);
        let name = counted_name(user);
        let mut changes = Vec::new();
        if self.list.knows(network, &name, now) {
            let key = (network, name);
            let points = add(
                &mut self.pairs,
                key.clone(),
                1.0,
                now,
                self.policy.half_life,
            );
            if reaches(points, self.policy.after) {
                self.pairs.remove(&key);
                changes.push(Change::Forget(key.0, key.1));
            }
        } else {
            let half_life = self.policy.half_life;
            let points = add(&mut self.users, name.clone(), 1.0, now, half_life);
            let limit = self.policy.users_after;
            if limit > 0 && reaches(points, limit) {
                self.users.remove(&name);
                changes.extend(self.banned(Subject::User(name), Offence::FailedLogin, limit, now));
            }
        }
        changes.extend(self.offended(client, Offence::FailedLogin, now));
        for change in &changes {
            self.list.apply(change.clone(), now);
        }
        changes
    }

    /// Something else was done that no client does by mistake for long.
    pub(super) fn offended(
        &mut self,
        client: IpAddr,
        offence: Offence,
        now: SystemTime,
    ) -> Option<Change> {
        if self.policy.trusts(client) || !self.is_on() {
            return None;
        }
        let network = counted(client);
        let half_life = self.policy.half_life;
        let points = add(
            &mut self.addresses,
            network,
            offence.weight(),
            now,
            half_life,
        );
        if !reaches(points, self.policy.after) {
            return None;
        }
        self.addresses.remove(&network);
        let change = self.banned(Subject::Clients(network), offence, self.policy.after, now)?;
        self.list.apply(change.clone(), now);
        Some(change)
    }

    /// A login succeeded, after `forgiven` failures of the same name in the same session.
    pub(super) fn succeeded(
        &mut self,
        client: IpAddr,
        user: &[u8],
        forgiven: u32,
        now: SystemTime,
    ) -> Option<Change> {
        // Who is never banned needs nobody to speak for him.
        if self.policy.trusts(client) || !self.is_on() {
            return None;
        }
        let network = counted(client);
        let name = counted_name(user);
        let half_life = self.policy.half_life;
        let back = -f64::from(forgiven);
        if forgiven > 0 {
            add(&mut self.addresses, network, back, now, half_life);
            add(&mut self.users, name.clone(), back, now, half_life);
        }
        self.pairs.remove(&(network, name.clone()));
        let last = self.list.last_login(network, &name);
        let is_news = last.is_none_or(|last| {
            now.duration_since(last).is_ok_and(|age| age > KNOWN_ANEW) || last > now
        });
        let change = is_news.then_some(Change::Know(Known {
            clients: network,
            user: name,
            last: now,
        }))?;
        self.list.apply(change.clone(), now);
        Some(change)
    }

    fn is_on(&self) -> bool {
        self.policy.after > 0
    }

    /// A ban that follows; `None` when one holds already.
    fn banned(
        &self,
        subject: Subject,
        offence: Offence,
        count: u32,
        now: SystemTime,
    ) -> Option<Change> {
        let before = self.list.any(&subject);
        if before.is_some_and(|ban| ban.holds(now)) {
            return None;
        }
        let times = before.map_or(0, |ban| ban.times).saturating_add(1);
        Some(Change::Ban(Ban {
            subject,
            since: now,
            until: now.checked_add(self.policy.lasts(times)),
            times,
            reason: format!("{count} {}", offence.words()),
        }))
    }
}

/// What has faded by less than half a failure has not faded: ten in a minute are ten.
fn reaches(points: f64, limit: u32) -> bool {
    points + 0.5 >= f64::from(limit)
}

/// Adds to a score and tells what it is now. Never below zero.
fn add<K: Hash + Eq + Clone>(
    table: &mut HashMap<K, Score>,
    key: K,
    points: f64,
    now: SystemTime,
    half_life: Duration,
) -> f64 {
    if !table.contains_key(&key) {
        if points <= 0.0 {
            return 0.0;
        }
        make_room(table, now, half_life);
    }
    let score = table.entry(key).or_insert(Score {
        points: 0.0,
        at: now,
    });
    score.points = (score.now(now, half_life) + points).max(0.0);
    score.at = now;
    score.points
}

impl Score {
    fn now(self, now: SystemTime, half_life: Duration) -> f64 {
        // A clock that was set back lets nothing fade.
        let age = now.duration_since(self.at).unwrap_or_default();
        let half_lives = age.as_secs_f64() / half_life.as_secs_f64().max(1.0);
        self.points * (-half_lives).exp2()
    }
}

/// Before an entry is added: what has faded goes, and if that is not enough, the lighter half.
fn make_room<K: Hash + Eq + Clone>(
    table: &mut HashMap<K, Score>,
    now: SystemTime,
    half_life: Duration,
) {
    if table.len() < MOST_COUNTED {
        return;
    }
    table.retain(|_, score| score.now(now, half_life) >= 0.1);
    if table.len() < MOST_COUNTED {
        return;
    }
    let mut points: Vec<(f64, K)> = table
        .iter()
        .map(|(key, score)| (score.now(now, half_life), key.clone()))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, key) in points.into_iter().take(MOST_COUNTED / 2) {
        table.remove(&key);
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
