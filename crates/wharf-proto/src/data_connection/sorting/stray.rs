//! Arrivals from addresses where nobody is armed, held for a moment because a session in TLS may mean them (rule 28).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{ConnId, Door, HOLD_AT_DATA_DOOR, HOLD_LEAST, HOLD_MOST, Takes};

/// Everybody who is held
#[derive(Debug, Default)]
pub(super) struct Strays {
    held: BTreeMap<ConnId, Stray>,
    alarms: BTreeSet<(Duration, ConnId)>,
}

#[derive(Debug)]
struct Stray {
    door: Door,
    at: Duration,
    until: Duration,
}

/// For how long one is held that came so long after a session was armed
pub(super) fn hold(door: Door, since_armed: Duration) -> Duration {
    match door.takes {
        Takes::Data => HOLD_AT_DATA_DOOR,
        Takes::Control | Takes::ControlInTls => (HOLD_LEAST + 2 * since_armed).min(HOLD_MOST),
    }
}

impl Strays {
    pub(super) fn insert(&mut self, conn: ConnId, door: Door, at: Duration, until: Duration) {
        self.held.insert(conn, Stray { door, at, until });
        self.alarms.insert((until, conn));
    }

    /// Whether it was there
    pub(super) fn remove(&mut self, conn: ConnId) -> bool {
        let Some(stray) = self.held.remove(&conn) else {
            return false;
        };
        self.alarms.remove(&(stray.until, conn));
        true
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn contains(&self, conn: ConnId) -> bool {
        self.held.contains_key(&conn)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    pub(super) fn overdue(&self, now: Duration) -> Vec<ConnId> {
        let due = self.alarms.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, conn)| *conn).collect()
    }

    /// In the order in which they were numbered: where and when each came
    pub(super) fn all(&self) -> Vec<(ConnId, Door, Duration)> {
        let held = self.held.iter();
        held.map(|(conn, stray)| (*conn, stray.door, stray.at))
            .collect()
    }
}
