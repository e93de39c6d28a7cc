//! What a search for a data connection leaves behind: for people, for this session, and for later runs.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use wharf_proto::data_connection::path::Path;
use wharf_proto::data_connection::plan::{Event, Evidence, Lane, Plan, Tried};
use wharf_proto::data_connection::policy;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Experience, Loser};
use crate::tls::CccChoice;

/// So long a search in vain speaks for the transfers after it.
const HOPELESS: Duration = Duration::from_secs(30);

/// Before the word of a way: with the control connection in clear after CCC.
pub(crate) const AFTER_CCC: &str = "ccc-";

impl Client {
    pub(crate) fn no_way(&self, plan: &Plan) -> Error {
        let what = format!("no data connection to {}", self.peer_addr().ip());
        Error::new(ErrorKind::DataConnection, what).with_tried(plan.tried(), plan.explain())
    }

    /// What has just been sought in vain is not sought again for every file of many: the explanation has been given.
    ///
    /// # Errors
    /// [`ErrorKind::DataConnection`], as long as the last hopeless search is not long ago.
    pub(crate) fn still_hopeless(&self, name: impl fmt::Display) -> Result<()> {
        let Some(ago) = self.hopeless.map(|it| it.elapsed()) else {
            return Ok(());
        };
        if ago >= HOPELESS {
            return Ok(());
        }
        let peer = self.peer_addr().ip();
        let what =
            format!("{name}: not tried, no data connection to {peer} came about just before");
        Err(Error::new(ErrorKind::DataConnection, what))
    }

    /// A change of path is told once.
    pub(crate) fn announce(&mut self, plan: &Plan) {
        if let Some(news) = plan.news() {
            let kept = if self.remembers(plan) {
                "remembered"
            } else {
                "kept for this session"
            };
            self.note(format!("{news}, {kept}"));
        }
    }

    /// What is found out in a data mode that the user asked for says nothing about the best one.
    fn remembers(&self, plan: &Plan) -> bool {
        self.options().memory.is_some()
            && plan.policy().choice == policy::DataModeChoice::Auto
            && plan.policy().data_host == policy::DataHost::Peer
    }

    /// Before the first transfer: what earlier runs have found out.
    pub(crate) fn recall(&mut self, plan: &Plan) -> Option<Recalled> {
        if std::mem::replace(&mut self.recalled, true) || !self.remembers(plan) {
            return None;
        }
        let (peer, own) = (plan.policy().control_peer, plan.policy().own);
        let known = self
            .options()
            .memory
            .as_ref()
            .and_then(|memory| memory.recall(self.endpoint(), peer, own, SystemTime::now()))?;
        let after_ccc = known
            .winner
            .as_deref()
            .and_then(|it| it.strip_prefix(AFTER_CCC));
        let leaves =
            self.options().tls.ccc == CccChoice::Auto && plan.is_blind() && after_ccc.is_some();
        // What was seen in clear says nothing about TLS, and the reverse.
        let clear = leaves || self.left_tls();
        let path = |word: &str| match (word.strip_prefix(AFTER_CCC), clear) {
            (Some(word), true) => Path::from_word(word),
            (None, false) => Path::from_word(word),
            _ => None,
        };
        let winner = known.winner.as_deref().and_then(path);
        let losers: Vec<Path> = known.losers.iter().filter_map(|it| path(&it.way)).collect();
        Some(Recalled {
            leaves,
            winner,
            losers,
        })
    }

    /// After a search: for later runs. The memory itself sees whether anything is new.
    pub(crate) fn learnt(&self, plan: &Plan, winner: Option<Path>) {
        let proven = self.plan.proven().is_some() && self.plan.proven() == winner;
        let Some(memory) = self.options().memory.as_ref() else {
            return;
        };
        if !self.remembers(plan) || proven {
            return;
        }
        let left_tls = self.left_tls();
        let word = |path: Path| match (left_tls, path.word()) {
            (true, word) => format!("{AFTER_CCC}{word}"),
            (false, word) => word.to_owned(),
        };
        let losers = plan
            .tried()
            .get(plan.tried_before_clear()..)
            .unwrap_or_default();
        let losers = losers.iter().filter(|it| Some(it.path) != winner);
        let experience = Experience {
            winner: winner.map(word),
            losers: losers
                .map(|it| Loser {
                    way: word(it.path),
                    reason: it.reason(),
                })
                .collect(),
        };
        let (peer, own) = (plan.policy().control_peer, plan.policy().own);
        memory.learn(self.endpoint(), peer, own, &experience, SystemTime::now());
    }

    /// The way that had just begun to be used broke before a byte came through, or the server goes on waiting for a data
    /// connection: it was none.
    pub(crate) fn fell_through(
        &mut self,
        fresh: &Fresh,
        evidence: Evidence,
        took: Duration,
    ) -> Error {
        let tried = Tried {
            path: fresh.path,
            target: Some(fresh.target),
            replied: None,
            evidence,
            took,
        };
        let mut plan = self.plan.clone();
        plan.on(Event::Failed(Lane::Main, tried));
        self.learnt(&plan, None);
        let error = self.no_way(&plan);
        self.plan = plan;
        error
    }
}

/// What an earlier run has found out.
pub(crate) struct Recalled {
    /// Nothing came about before the control connection had left TLS.
    pub(crate) leaves: bool,
    pub(crate) winner: Option<Path>,
    pub(crate) losers: Vec<Path>,
}

/// A way that carries data for the first time in this session.
pub(crate) struct Fresh {
    pub(crate) path: Path,
    pub(crate) target: SocketAddr,
    pub(crate) since: Instant,
}
