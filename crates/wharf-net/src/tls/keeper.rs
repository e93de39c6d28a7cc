//! Keeps a server's certificates as its files say, while it runs.

use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;

use super::described::Described;
use super::pair::{LoadedPair, PemPair, Stamp};
use super::{CertificateStore, TlsError};

/// So long before its end people hear of it, once a day.
const NOTICE: i64 = 30 * 24 * 3600;

/// How often [`Keeper::refresh`] is worth calling: looking at the files costs microseconds.
pub const LOOK: Duration = Duration::from_secs(5);

/// A server's certificates, each from its files.
///
/// Later ones need not be there yet (such as one that an authority is about to sign); each stands in its place as soon as
/// it is there. A client that names a host gets the first one that is for it, everybody else the first of all.
#[derive(Debug)]
pub struct Keeper {
    kept: Vec<Kept>,
    /// What is in no file.
    fixed: Option<LoadedPair>,
    store: Arc<CertificateStore>,
}

#[derive(Debug)]
struct Kept {
    pair: PemPair,
    /// Of the files when they were last read; `None`: they were not there.
    stamp: Option<Stamp>,
    loaded: Option<LoadedPair>,
}

/// What [`Keeper::refresh`] has come upon, for the log.
#[derive(Debug)]
pub enum Noticed {
    /// From now on another certificate is in force.
    Renewed {
        /// Its files.
        pair: PemPair,
        /// What it says.
        described: Described,
        /// Everybody on this machine can read or change its key.
        exposed: bool,
    },
    /// New files are of no use; what was in force stays in force.
    Broken {
        /// The files.
        pair: PemPair,
        /// What is wrong with them.
        error: TlsError,
    },
}

impl Keeper {
    /// Reads all `pairs`, and of `later` those that are there. Their order is that of preference, `later` first: what an
    /// authority signs goes before what stands in for it.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: one of `pairs` is of no use.
    pub fn open(pairs: Vec<PemPair>, later: Vec<PemPair>) -> Result<Self, TlsError> {
        Self::reopen(pairs, later, &[]).map(|(keeper, _)| keeper)
    }

    /// The same while a server runs: what is broken now, and was in force `before` from the same files, stays in force, and
    /// is told.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: one of `pairs` is of no use, and nothing stands in for it.
    pub fn reopen(
        pairs: Vec<PemPair>,
        later: Vec<PemPair>,
        before: &[(PemPair, LoadedPair)],
    ) -> Result<(Self, Vec<Noticed>), TlsError> {
        let known = |pair: &PemPair| {
            let known = before.iter().find(|(it, _)| it == pair);
            known.map(|(_, loaded)| loaded.clone())
        };
        let mut noticed = Vec::new();
        let mut kept = Vec::new();
        for pair in later {
            let stamp = pair.stamp().ok();
            // Broken ones are told of when they are looked at again, with a new stamp or by demand.
            let loaded = stamp.and_then(|_| pair.load().ok());
            let loaded = loaded.or_else(|| known(&pair));
            kept.push(Kept {
                pair,
                stamp,
                loaded,
            });
        }
        for pair in pairs {
            let stamp = pair.stamp().ok();
            let loaded = match pair.load() {
                Ok(loaded) => Some(loaded),
                Err(error) => {
                    let Some(loaded) = known(&pair) else {
                        return Err(error);
                    };
                    let pair = pair.clone();
                    noticed.push(Noticed::Broken { pair, error });
                    Some(loaded)
                }
            };
            kept.push(Kept {
                pair,
                stamp,
                loaded,
            });
        }
        let keeper = Self {
            store: Arc::new(CertificateStore::new(Vec::new())),
            kept,
            fixed: None,
        };
        keeper.store.replace(keeper.certified());
        Ok((keeper, noticed))
    }

    /// Adds one that is in no file, behind all others.
    #[must_use]
    pub fn with(mut self, fixed: LoadedPair) -> Self {
        self.fixed = Some(fixed);
        self.store.replace(self.certified());
        self
    }

    /// Where handshakes find what is in force.
    pub fn store(&self) -> Arc<CertificateStore> {
        Arc::clone(&self.store)
    }

    /// What is in force, in order; for whoever keeps the keys elsewhere than the handshakes.
    pub fn certified(&self) -> Vec<Arc<CertifiedKey>> {
        let loaded = self.loaded();
        loaded.map(|(_, it)| Arc::clone(&it.certified)).collect()
    }

    /// What is in force from files, for [`reopen`](Self::reopen).
    pub fn from_files(&self) -> Vec<(PemPair, LoadedPair)> {
        let loaded = self.loaded();
        loaded
            .filter_map(|(pair, it)| Some((pair?.clone(), it.clone())))
            .collect()
    }

    /// What is in force, with its files.
    pub fn loaded(&self) -> impl Iterator<Item = (Option<&PemPair>, &LoadedPair)> {
        let kept = self.kept.iter();
        let kept = kept.filter_map(|it| Some((Some(&it.pair), it.loaded.as_ref()?)));
        kept.chain(self.fixed.iter().map(|it| (None, it)))
    }

    /// Looks whether files were exchanged and reads those, or all of them `by_demand`. Chain and key in two files are not
    /// exchanged in one moment: what does not belong together is read again when it has changed again.
    pub fn refresh(&mut self, by_demand: bool) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        for kept in &mut self.kept {
            let stamp = kept.pair.stamp().ok();
            if stamp == kept.stamp && !by_demand {
                continue;
            }
            if stamp.is_none() && kept.loaded.is_none() {
                continue;
            }
            kept.stamp = stamp;
            let pair = kept.pair.clone();
            match kept.pair.load() {
                Ok(new) => {
                    let old = kept.loaded.as_ref().map(|it| &it.certified.cert);
                    if old != Some(&new.certified.cert) {
                        noticed.push(Noticed::Renewed {
                            pair,
                            described: new.described.clone(),
                            exposed: new.exposed,
                        });
                    }
                    kept.loaded = Some(new);
                }
                Err(error) => noticed.push(Noticed::Broken { pair, error }),
            }
        }
        if noticed
            .iter()
            .any(|it| matches!(it, Noticed::Renewed { .. }))
        {
            self.store.replace(self.certified());
        }
        noticed
    }
}

/// What people should hear, once a day, of a certificate's end: nothing until 30 days before, or until the last quarter of
/// a shorter life. `now` in seconds since 1970.
pub fn ending(described: &Described, now: i64) -> Option<String> {
    let Described { begins, ends, .. } = *described;
    let left = ends.saturating_sub(now);
    let notice = NOTICE.min(ends.saturating_sub(begins) / 4);
    let date = super::date(ends);
    let is_for = described.is_for();
    if left < 0 {
        return Some(format!(
            "the certificate for {is_for} ended on {date}: clients refuse it"
        ));
    }
    let days = left / (24 * 3600);
    let when = match days {
        0 => "today or tomorrow".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    };
    (left < notice).then(|| format!("the certificate for {is_for} ends {when}, on {date}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Fingerprint;

    #[test]
    fn the_end_is_told_in_time() {
        const DAY: i64 = 24 * 3600;
        let end = 20_000 * DAY;
        for (life, left, expected) in [
            (365, 31 * DAY, None),
            (365, 30 * DAY, None),
            (365, 30 * DAY - 1, Some("ends in 29 days, on 2024-10-04")),
            (365, 2 * DAY - 1, Some("ends in 1 day, on 2024-10-04")),
            (365, DAY - 1, Some("ends today or tomorrow, on 2024-10-04")),
            (365, 0, Some("ends today or tomorrow, on 2024-10-04")),
            (365, -1, Some("ended on 2024-10-04: clients refuse it")),
            // Renewed when a third is left: only what is late is told.
            (90, 25 * DAY, None),
            (90, 22 * DAY, Some("ends in 22 days, on 2024-10-04")),
            (6, 2 * DAY, None),
            (6, DAY, Some("ends in 1 day, on 2024-10-04")),
        ] {
            let described = Described {
                fingerprint: Fingerprint([0; 32]),
                common_name: None,
                dns_names: vec!["a.example".to_owned()],
                addresses: Vec::new(),
                emails: Vec::new(),
                issuer: String::new(),
                self_signed: false,
                begins: end - life * DAY,
                ends: end,
            };
            let expected = expected.map(|it| format!("the certificate for a.example {it}"));
            assert_eq!(ending(&described, end - left), expected, "{life} {left}");
        }
    }
}
