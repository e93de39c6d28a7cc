//! Probes that keep a control connection known to the NATs and balancers on its way.
//!
//! A control connection is silent while a transfer runs. Whoever forgets it meanwhile takes the final reply away: all
//! bytes have arrived, and the client waits for ever. TCP's own probes prevent that, from either end, and need nothing
//! of the peer but a kernel.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::conn::Conn;

/// Probes on a control connection unless something else is set. Shorter than the idle timers of NATs and load
/// balancers (AWS NLB 350 s, Azure 240 s), see RFC 5382 REQ-5 for what they should be.
pub(super) const USUAL: Duration = Duration::from_secs(30);

/// Probes while a transfer runs: there are NATs that forget after seconds.
const WARM: Duration = Duration::from_secs(2);

/// A peer that answers no probe is given up after so many intervals of the setting, however often it was probed.
const GIVEN_UP: u32 = 5;

/// What `TCP_KEEPIDLE` and `TCP_KEEPINTVL` (seconds) and `TCP_KEEPCNT` have room for on Linux.
const LONGEST: u64 = 32_767;
const MOST_PROBES: u64 = 127;

/// The probes of one control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keepalive {
    setting: Duration,
    warm: bool,
}

/// What the system is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probes {
    /// Seconds of silence before the first probe, and between two of them.
    every: u64,
    /// Probes without an answer before the connection is given up.
    most: u32,
}

impl Keepalive {
    /// `setting`: zero is no probes at all.
    pub(super) fn new(setting: Duration) -> Self {
        Self {
            setting,
            warm: false,
        }
    }

    /// Another setting from now on.
    pub(super) fn set(&mut self, conn: &Conn, setting: Duration) {
        self.setting = setting;
        self.apply(conn);
    }

    /// Probes every two seconds, or back to the setting.
    pub(super) fn warm(&mut self, conn: &Conn, warm: bool) {
        if self.warm != warm {
            self.warm = warm;
            self.apply(conn);
        }
    }

    /// A foreign stream is told and does what it can.
    pub(super) fn apply(&self, conn: &Conn) {
        let Some(stream) = conn.socket() else {
            return conn.keep_alive(self.probes().map(|p| Duration::from_secs(p.every)));
        };
        let socket = SockRef::from(stream);
        let outcome = match self.probes() {
            None => socket.set_keepalive(false),
            Some(Probes { every, most }) => {
                let every = Duration::from_secs(every);
                socket.set_tcp_keepalive(
                    &TcpKeepalive::new()
                        .with_time(every)
                        .with_interval(every)
                        .with_retries(most),
                )
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(peer = %conn.peer_addr(), %error, "keepalive not set");
        }
    }

    fn probes(self) -> Option<Probes> {
        if self.setting.is_zero() {
            return None;
        }
        let setting = u64::from(self.setting.subsec_nanos() > 0)
            .saturating_add(self.setting.as_secs())
            .clamp(1, LONGEST);
        let every = if self.warm {
            setting.min(WARM.as_secs())
        } else {
            setting
        };
        // More probes are no less patience: an outage that was survived before is survived with them.
        let most = (setting.saturating_mul(GIVEN_UP.into()) / every)
            .saturating_sub(1)
            .min(MOST_PROBES);
        Some(Probes {
            every,
            most: u32::try_from(most).unwrap_or(GIVEN_UP),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_come_more_often_while_a_transfer_runs_and_are_as_patient() {
        let table = [
            // setting in ms, warm, every s, most
            (30_000, false, Some((30, 4))),
            (30_000, true, Some((2, 74))),
            (2_000, true, Some((2, 4))),
            (1_000, true, Some((1, 4))),
            (300, false, Some((1, 4))),
            (300, true, Some((1, 4))),
            (1_500, false, Some((2, 4))),
            (0, false, None),
            (0, true, None),
            (86_400_000, false, Some((32_767, 4))),
            (86_400_000, true, Some((2, 127))),
        ];
        for (setting, warm, want) in table {
            let keepalive = Keepalive {
                setting: Duration::from_millis(setting),
                warm,
            };
            let probes = keepalive.probes().map(|p| (p.every, p.most));
            assert_eq!(probes, want, "{setting} ms, warm {warm}");
        }
    }

    #[tokio::test]
    async fn the_system_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let conn = Conn::tcp(stream.await.unwrap()).unwrap();
        let seen = || {
            let socket = SockRef::from(conn.socket().unwrap());
            (
                socket.keepalive().unwrap(),
                socket.tcp_keepalive_time().unwrap().as_secs(),
                socket.tcp_keepalive_interval().unwrap().as_secs(),
            )
        };
        let mut keepalive = Keepalive::new(USUAL);
        keepalive.apply(&conn);
        assert_eq!(seen(), (true, 30, 30));
        keepalive.warm(&conn, true);
        assert_eq!(seen(), (true, 2, 2));
        keepalive.warm(&conn, false);
        assert_eq!(seen(), (true, 30, 30));
        keepalive.set(&conn, Duration::ZERO);
        assert!(!seen().0);
        keepalive.warm(&conn, true);
        assert!(!seen().0);
    }
}
