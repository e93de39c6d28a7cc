//! User side: the ways that are left, given what was seen.
//!
//! The order is that of [`Path::WORDS`] (with [`DataHost::Reply`] the address in the 227 goes first, for it is what was
//! asked for). PORT stands before EPRT, since a NAT helper on the way may know only PORT and on IPv4 EPRT has no advantage;
//! LPRT is the last. Behind a NAT our own address still goes before a mapped one: a helper may rewrite it, and a server
//! that does not want it says so at once.
//!
//! What each kind of evidence rules out:
//!
//! | evidence | rules out |
//! |---|---|
//! | command answered 5yz, or its reply unreadable | that command, for the session; the same way by the other command stays |
//! | command answered 4yz | that command, for this search |
//! | 501/504 to PORT or EPRT, or a text that blames the address | every server-opened path with this kind of address, for the session; with an address that the user configured only the command, for it may be a wrong setting |
//! | 522 to EPRT | server-opened paths, for the session: the server sees us in another family, PORT cannot say it better |
//! | 522 to EPSV | EPSV, for the session |
//! | silence or "unreachable" on EPSV's port | EPSV, for this search. PASV to the same address stays: there are boxes that read only PASV and open only its port |
//! | silence or "unreachable" on PASV's port | every user-opened path to that address, for this search |
//! | connection refused | that port only: the next command asks for another port once more; a second refusal rules out the address, for this search |
//! | 227 names an address that cannot be used | the path "address in the 227", for the session |
//! | 425/426 to the transfer, a connection that was broken off at once, or nothing came to our listener | every path with the same opener and kind of address, for this search |
//! | we cannot listen | server-opened paths, for the session |
//! | no router forwards ports, or not usefully | mapped ports, for the session |
//!
//! Replies about the file (550, 553) or the login (530) say nothing about paths: [`Evidence::from_reply`] returns
//! `None` and the caller stops.

use super::evidence::Evidence;
use super::path::{Address, Path};
use super::policy::{DataHost, DataModeChoice, PathPolicy};
use super::{Offer, Opener, canonical};

/// One way and what is known about it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    path: Path,
    /// The user asked for the other opener: only if the server turns out to refuse our address.
    fallback: bool,
    /// It failed in an earlier run.
    lost_before: bool,
    /// Never again on this control connection.
    closed: bool,
    /// Not again in this search.
    done: bool,
    /// How often a port of this candidate answered RST in this search.
    refusals: u8,
}

impl Candidate {
    fn open(self) -> bool {
        !self.closed && !self.done
    }
}

/// All ways that the policy and the family of the control connection leave.
#[derive(Debug, Clone)]
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    pub(super) fn new(policy: &PathPolicy) -> Self {
        let ipv6 = canonical(policy.control_peer).is_ipv6();
        let choice = policy.choice;
        let mut order: Vec<Path> = Path::WORDS.iter().map(|(_, path)| *path).collect();
        if policy.data_host == DataHost::Reply {
            order.sort_by_key(|path| *path != Path::PASV_AS_REPLIED); // stable
        }
        let candidates = order
            .into_iter()
            .filter(|path| path.offer.speaks_ipv6() || !ipv6)
            .filter(|path| policy.extended || !matches!(path.offer, Offer::Epsv | Offer::Eprt))
            .filter(|path| choice.allows(path.offer) || Self::falls_back(choice, *path))
            .map(|path| Candidate {
                path,
                fallback: !choice.allows(path.offer),
                lost_before: false,
                closed: false,
                done: false,
                refusals: 0,
            })
            .collect();
        Self(candidates)
    }

    /// Whoever asked for active data connections and cannot have them because of a NAT gets the file all the same.
    fn falls_back(choice: DataModeChoice, path: Path) -> bool {
        choice.is_active() && matches!(path, Path::EPSV | Path::PASV)
    }

    /// A new search: what was ruled out for the last one may be tried again.
    pub(super) fn begin(&mut self) {
        for candidate in &mut self.0 {
            candidate.done = false;
            candidate.refusals = 0;
        }
    }

    pub(super) fn lost_before(&mut self, path: Path) {
        self.each(|c| c.path == path, |c| c.lost_before = true);
    }

    pub(super) fn is_open(&self, path: Path) -> bool {
        self.0.iter().any(|c| c.path == path && c.open())
    }

    /// Whether there is a path of this opener at all, its fallbacks not counted.
    pub(super) fn has(&self, opener: Opener) -> bool {
        self.0
            .iter()
            .any(|c| c.path.opener == opener && !c.fallback)
    }

    /// The open paths of one opener, those that failed in an earlier run last.
    pub(super) fn open(&self, opener: Opener, fallback: bool) -> impl Iterator<Item = Path> {
        let of = move |lost_before: bool| {
            self.0
                .iter()
                .filter(move |c| c.path.opener == opener && c.fallback == fallback)
                .filter(move |c| c.open() && c.lost_before == lost_before)
                .map(|c| c.path)
        };
        of(false).chain(of(true))
    }

    /// Not again in this search.
    pub(super) fn done(&mut self, path: Path) {
        self.each(|c| c.path == path, |c| c.done = true);
    }

    /// What the failure of `path` means for all of them.
    pub(super) fn rule_out(&mut self, path: Path, evidence: Evidence, policy: &PathPolicy) {
        self.done(path);
        match evidence {
            Evidence::CommandRefused { code: 400..=499 } => {}
            Evidence::CommandRefused { .. } | Evidence::ReplyUnreadable => {
                self.close(|c| c.path.offer == path.offer);
            }
            Evidence::AddressRefused { .. } if policy.external_address => {
                self.close(|c| c.path.offer == path.offer);
            }
            Evidence::AddressRefused { .. } => self.close(|c| c.path.same_way(path)),
            Evidence::FamilyRefused if path.opener == Opener::User => {
                self.close(|c| c.path.offer == path.offer);
            }
            Evidence::FamilyRefused | Evidence::CannotListen(_) => {
                self.close(|c| c.path.opener == Opener::Server);
            }
            Evidence::AddressUnusable { .. } => self.close(|c| c.path == path),
            Evidence::NoMapper | Evidence::MappingRefused | Evidence::MappedElsewhere { .. } => {
                self.close(|c| c.path.address == Address::Mapped);
            }
            // A box that reads only PASV would open only its port: EPSV's silence leaves PASV.
            Evidence::Silent | Evidence::Unreachable if path.offer == Offer::Epsv => {}
            Evidence::Silent
            | Evidence::Unreachable
            | Evidence::NobodyCame
            | Evidence::Dropped
            | Evidence::Greeted
            | Evidence::NoDataConnection { .. } => {
                self.each(|c| c.path.same_way(path), |c| c.done = true);
            }
            Evidence::Refused => {
                self.each(
                    |c| c.path.same_way(path),
                    |c| c.refusals = c.refusals.saturating_add(1),
                );
                self.ask_for_another_port(path);
            }
        }
    }

    /// After one RST another port of the same way gets one chance: by the other command if it is still open, else by
    /// the same.
    fn ask_for_another_port(&mut self, path: Path) {
        let same_way = |c: &&Candidate| c.path.same_way(path);
        let refusals = self.0.iter().filter(same_way).map(|c| c.refusals).max();
        if refusals.is_some_and(|refusals| refusals > 1) {
            self.each(|c| c.path.same_way(path), |c| c.done = true);
        } else if !self.0.iter().any(|c| c.path.same_way(path) && c.open()) {
            let again = self.0.iter_mut().find(|c| c.path == path && !c.closed);
            if let Some(candidate) = again {
                candidate.done = false;
                candidate.refusals = 2; // the last time, however it ends
            }
        }
    }

    fn close(&mut self, which: impl Fn(&Candidate) -> bool) {
        self.each(which, |c| c.closed = true);
    }

    fn each(&mut self, which: impl Fn(&Candidate) -> bool, mut change: impl FnMut(&mut Candidate)) {
        for candidate in self.0.iter_mut().filter(|candidate| which(candidate)) {
            change(candidate);
        }
    }
}
