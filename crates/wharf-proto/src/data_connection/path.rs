//! User side: which ways to a data connection there are, and which are left after what was seen.
//!
//! A [`Path`] is *who opens, to which address, arranged by which command*. The search walks candidates in this order
//! (IPv4; IPv6 has only EPSV and EPRT):
//!
//! 1. EPSV to the control peer
//! 2. PASV to the control peer: the same way through the network as 1, by another command
//! 3. PASV to the address in the 227, if that is allowed ([`DataHost::Reply`], or the address lies in a trusted
//!    network) and it is another address; with [`DataHost::Reply`] this one goes first, for it is what was asked for
//! 4. PORT, then EPRT. PORT first, since a NAT helper on the way may know only PORT and on IPv4 EPRT has no advantage.
//!    Server-opened paths go last: servers that cannot reach us sit in connect() for one to two minutes and answer
//!    nothing meanwhile (vsftpd, ProFTPD, Pure-FTPd).
//!
//! What each kind of evidence rules out:
//!
//! | evidence | rules out |
//! |---|---|
//! | command answered 5yz, or its reply unreadable | that command, for the session; the same way by the other command stays |
//! | command answered 4yz | that command, for this round |
//! | 501/504 to PORT or EPRT: our address is refused (NAT) | server-opened paths, for the session |
//! | 522 to EPRT | server-opened paths, for the session: the server sees us in another family, PORT cannot say it better |
//! | 522 to EPSV | EPSV, for the session |
//! | silence or "unreachable" on EPSV's port | EPSV, for this round. PASV to the same address stays, at half the patience: there are boxes that read only PASV and open only its port |
//! | silence or "unreachable" on PASV's port | every user-opened path to that address, for this round |
//! | connection refused | that port only: the next command asks for another port once more; a second refusal rules out the address, for this round |
//! | 227 names an address that cannot be used | the path "address in the 227", for the session |
//! | 425/426 to the transfer, or nothing came to our listener | user-opened: that address, for this round; server-opened: all of them, for this round |
//! | we cannot listen | server-opened paths, for the session |
//!
//! Replies about the file (550, 553) or the login (530) say nothing about paths: [`Evidence::from_reply`] returns
//! `None` and the caller stops.
//!
//! Patience for one attempt is max(1.5 s, 8 control round trips): long enough for one lost SYN (repeated after 1 s). If
//! all candidates failed, those that failed by time get one more round with doubled patience. One whole search fits in
//! 7 s, or in the same proportion to the patience on slower lines; what does not fit any more is cut. No clock is read
//! here: the caller says how long each attempt took.
//!
//! What worked stays first for the session ([`Paths::worked`]). If it fails later the search goes on with the other
//! candidates.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use super::evidence::{Asked, Evidence, Tried};
pub use super::policy::{DataHost, DataModeChoice, PathPolicy};
use super::{Offer, Opener, canonical};

/// The least patience with one attempt: a lost SYN is repeated after one second and needs a round trip more.
pub const LEAST_PATIENCE: Duration = Duration::from_millis(1500);
/// Patience in control round trips, on slow lines.
pub const PATIENCE_ROUND_TRIPS: u32 = 8;
/// What a whole search may take, while [`LEAST_PATIENCE`] holds; it grows with the patience on slower lines. With the
/// login before it and the goodbye behind it a command that finds no way is over within 8 s.
pub const SEARCH: Duration = Duration::from_secs(7);
/// The least that makes an attempt worth its commands: what is left of a search may be less.
const WORTHWHILE: Duration = Duration::from_millis(500);

/// Where a user-opened connection goes, or which address a server-opened one was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// To the peer of the control connection, whatever the reply says.
    ControlPeer,
    /// To the address in the 227.
    AsReplied,
    /// To us: the address in PORT or EPRT.
    Own,
}

/// One way to a data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Who sends the first SYN.
    pub opener: Opener,
    /// The command that arranges it.
    pub offer: Offer,
    /// The address it goes to.
    pub address: Address,
}

impl Path {
    const EPSV: Self = Self {
        opener: Opener::User,
        offer: Offer::Epsv,
        address: Address::ControlPeer,
    };
    const PASV: Self = Self {
        opener: Opener::User,
        offer: Offer::Pasv,
        address: Address::ControlPeer,
    };
    const PASV_AS_REPLIED: Self = Self {
        opener: Opener::User,
        offer: Offer::Pasv,
        address: Address::AsReplied,
    };
    const PORT: Self = Self {
        opener: Opener::Server,
        offer: Offer::Port,
        address: Address::Own,
    };
    const EPRT: Self = Self {
        opener: Opener::Server,
        offer: Offer::Eprt,
        address: Address::Own,
    };

    /// The same way through the network? Command and reply differ, packets do not.
    fn same_way(self, other: Self) -> bool {
        self.opener == other.opener && self.address == other.address
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Address::ControlPeer | Address::Own => write!(f, "{}", self.offer),
            Address::AsReplied => write!(f, "{} (address in the reply)", self.offer),
        }
    }
}

/// One thing to try now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The way.
    pub path: Path,
    /// How long the data connection may take to come about, from the moment connect or accept begins.
    pub patience: Duration,
    /// This path carried data before in this session. If not, a user-opened connection is best established *before* the
    /// transfer command is sent: a failure then leaves nothing to abort.
    pub proven: bool,
}

/// The search for a data connection, over the transfers of one control connection.
#[derive(Debug, Clone)]
pub struct Paths {
    policy: PathPolicy,
    candidates: Vec<Candidate>,
    proven: Option<Path>,
    replied: Option<SocketAddr>,
    // this search
    round: Round,
    spent: Duration,
    tried: Vec<Tried>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    path: Path,
    /// Never again on this control connection.
    closed: bool,
    /// Not again in this round.
    done: bool,
    /// Failed by time in this search.
    slow: bool,
    /// Failed by time in this round.
    silent: bool,
    /// How often a port of this candidate answered RST in this search.
    refusals: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Second,
}

impl Paths {
    /// The candidates that the policy and the family of the control connection leave.
    pub fn new(policy: PathPolicy) -> Self {
        let policy = PathPolicy {
            control_peer: canonical(policy.control_peer),
            ..policy
        };
        let ipv6 = policy.control_peer.is_ipv6();
        let order = match policy.data_host {
            DataHost::Peer => [
                Path::EPSV,
                Path::PASV,
                Path::PASV_AS_REPLIED,
                Path::PORT,
                Path::EPRT,
            ],
            DataHost::Reply => [
                Path::PASV_AS_REPLIED,
                Path::EPSV,
                Path::PASV,
                Path::PORT,
                Path::EPRT,
            ],
        };
        let candidates = order
            .into_iter()
            .filter(|path| policy.choice.allows(path.offer))
            .filter(|path| path.offer.speaks_ipv6() || !ipv6)
            .filter(|path| {
                path.address != Address::AsReplied
                    || policy.data_host == DataHost::Reply
                    || !policy.trusted.is_empty()
            })
            .map(|path| Candidate {
                path,
                closed: false,
                done: false,
                slow: false,
                silent: false,
                refusals: 0,
            })
            .collect();
        Self {
            policy,
            candidates,
            proven: None,
            replied: None,
            round: Round::First,
            spent: Duration::ZERO,
            tried: Vec::new(),
        }
    }

    /// A new transfer: what was ruled out for a round may be tried again, and the time for the search starts anew.
    pub fn begin(&mut self) {
        self.round = Round::First;
        self.spent = Duration::ZERO;
        self.tried.clear();
        self.replied = None;
        for candidate in &mut self.candidates {
            candidate.done = false;
            candidate.slow = false;
            candidate.silent = false;
            candidate.refusals = 0;
        }
    }

    /// What to try now; `None` when nothing is left. `round_trip` is the shortest control round trip seen so far.
    pub fn next(&mut self, round_trip: Duration) -> Option<Attempt> {
        loop {
            if let Some(path) = self.candidate() {
                match self.patience(path, round_trip) {
                    Some(patience) => {
                        return Some(Attempt {
                            path,
                            patience,
                            proven: self.proven == Some(path),
                        });
                    }
                    None => self.each(|c| c.path == path, |c| c.done = true),
                }
            } else if self.round == Round::First
                && self.policy.patience.is_none()
                && self.candidates.iter().any(|c| c.slow && !c.closed)
            {
                self.round = Round::Second;
                for candidate in &mut self.candidates {
                    candidate.done = !candidate.slow;
                    candidate.silent = false;
                }
            } else {
                return None;
            }
        }
    }

    /// The proven path first, then in order.
    fn candidate(&self) -> Option<Path> {
        let open = |c: &&Candidate| !c.closed && !c.done;
        let proven = self
            .candidates
            .iter()
            .filter(open)
            .find(|c| Some(c.path) == self.proven);
        proven
            .or_else(|| self.candidates.iter().find(open))
            .map(|c| c.path)
    }

    /// How long to wait for this path now; `None` if too little of the search is left to make it worthwhile.
    fn patience(&self, path: Path, round_trip: Duration) -> Option<Duration> {
        if self.policy.patience.is_some() {
            return self.policy.patience;
        }
        let full = LEAST_PATIENCE.max(round_trip.saturating_mul(PATIENCE_ROUND_TRIPS));
        let search = SEARCH.max(full.saturating_mul(14) / 3); // 7 s : 1.5 s
        let same_way_was_silent = self
            .candidates
            .iter()
            .any(|c| c.path != path && c.silent && c.path.same_way(path));
        let wanted = if same_way_was_silent { full / 2 } else { full };
        let wanted = match self.round {
            Round::First => wanted,
            Round::Second => wanted.saturating_mul(2),
        };
        let left = search
            .saturating_sub(self.spent)
            .saturating_sub(round_trip.saturating_mul(2));
        let patience = wanted.min(left);
        (patience >= WORTHWHILE).then_some(patience)
    }

    /// Where to connect after a 227 that names `replied` (for EPSV: the control peer and the port of the 229), on this
    /// path.
    ///
    /// The unspecified address in a 227 means "the address you know" (AWS Transfer Family; vsftpd with `listen_ipv6`).
    /// Addresses that are no host, or this very machine while the control peer is another, are never followed: the path
    /// is not usable then, and the evidence is returned for [`Self::learn`].
    pub fn target(&mut self, path: &Path, replied: SocketAddr) -> Result<SocketAddr, Evidence> {
        let peer = self.policy.control_peer;
        let named = canonical(replied.ip());
        let at_peer = SocketAddr::new(peer, replied.port());
        if path.offer == Offer::Pasv && named != peer {
            self.replied = Some(replied);
        }
        if replied.port() == 0 {
            return Err(Evidence::ReplyUnreadable);
        }
        if path.address != Address::AsReplied || named == peer || named.is_unspecified() {
            return Ok(at_peer);
        }
        let trusted = self.policy.data_host == DataHost::Reply
            || self
                .policy
                .trusted
                .iter()
                .any(|network| network.contains(named));
        let this_machine = named.is_loopback() && !peer.is_loopback();
        let no_host = named.is_multicast()
            || matches!(named, IpAddr::V4(v4) if v4.is_broadcast() || matches!(v4.octets(), [0, ..]));
        if !trusted || this_machine || no_host {
            return Err(Evidence::AddressUnusable { named: replied });
        }
        Ok(SocketAddr::new(named, replied.port()))
    }

    /// The attempt led to no data connection: `target` is the address it got to, if any, `took` what it cost from the
    /// arranging command on.
    pub fn learn(
        &mut self,
        path: &Path,
        target: Option<SocketAddr>,
        evidence: Evidence,
        took: Duration,
    ) {
        self.spent = self.spent.saturating_add(took);
        let replied = self
            .replied
            .filter(|replied| path.offer == Offer::Pasv && Some(*replied) != target);
        self.tried.push(Tried {
            path: *path,
            target,
            replied,
            evidence,
            took,
        });
        if self.proven.is_some_and(|proven| proven == *path) {
            self.proven = None;
        }
        if evidence.by_time() {
            self.each(|c| c.path == *path, |c| (c.slow, c.silent) = (true, true));
        }
        self.each(|c| c.path == *path, |c| c.done = true);
        match evidence {
            Evidence::CommandRefused { code: 400..=499 } => {}
            Evidence::CommandRefused { .. } | Evidence::ReplyUnreadable => {
                self.close(|c| c.path.offer == path.offer);
            }
            Evidence::AddressRefused { .. } if self.policy.external_address => {
                self.close(|c| c.path.offer == path.offer);
            }
            Evidence::FamilyRefused if path.opener == Opener::User => {
                self.close(|c| c.path.offer == path.offer);
            }
            Evidence::AddressRefused { .. } | Evidence::FamilyRefused | Evidence::CannotListen => {
                self.close(|c| c.path.opener == Opener::Server);
            }
            Evidence::AddressUnusable { .. } => self.close(|c| c.path == *path),
            // A box that reads only PASV would open only its port: EPSV's silence leaves PASV.
            Evidence::Silent | Evidence::Unreachable if path.offer == Offer::Epsv => {}
            Evidence::Silent
            | Evidence::Unreachable
            | Evidence::NobodyCame
            | Evidence::NoDataConnection { .. } => {
                self.each(|c| c.path.same_way(*path), |c| c.done = true);
            }
            Evidence::Refused => self.each(
                |c| c.path.same_way(*path),
                |c| c.refusals = c.refusals.saturating_add(1),
            ),
        }
        self.ask_for_another_port(*path);
        self.drop_replied_address_if_it_is_no_other_way();
    }

    /// After one RST another port of the same way gets one chance: by the other command if it is still open, else by
    /// the same.
    fn ask_for_another_port(&mut self, path: Path) {
        let refusals = self
            .candidates
            .iter()
            .filter(|c| c.path.same_way(path))
            .map(|c| c.refusals)
            .max();
        if refusals.is_some_and(|refusals| refusals > 1) {
            self.each(|c| c.path.same_way(path), |c| c.done = true);
        } else if refusals == Some(1)
            && !self
                .candidates
                .iter()
                .any(|c| c.path.same_way(path) && !c.closed && !c.done)
        {
            let again = self
                .candidates
                .iter_mut()
                .find(|c| c.path.same_way(path) && !c.closed);
            if let Some(candidate) = again {
                candidate.done = false;
                candidate.refusals = 2; // the last time, however it ends
            }
        }
    }

    /// After a 227 was seen: its address is a way of its own only if it is another one and may be followed.
    fn drop_replied_address_if_it_is_no_other_way(&mut self) {
        let Some(last) = self.tried.last() else {
            return;
        };
        if last.path != Path::PASV {
            return;
        }
        let other = self
            .replied
            .map(|replied| canonical(replied.ip()))
            .filter(|named| !named.is_unspecified());
        let allowed = other.is_some_and(|named| {
            self.policy.data_host == DataHost::Reply
                || self
                    .policy
                    .trusted
                    .iter()
                    .any(|network| network.contains(named))
        });
        if !allowed {
            self.each(|c| c.path == Path::PASV_AS_REPLIED, |c| c.done = true);
        }
    }

    /// Not again on this control connection.
    fn close(&mut self, which: impl Fn(&Candidate) -> bool) {
        self.each(which, |c| c.closed = true);
    }

    fn each(&mut self, which: impl Fn(&Candidate) -> bool, mut change: impl FnMut(&mut Candidate)) {
        for candidate in self
            .candidates
            .iter_mut()
            .filter(|candidate| which(candidate))
        {
            change(candidate);
        }
    }

    /// A data connection came about on this path: it goes first from now on.
    pub fn worked(&mut self, path: &Path) {
        self.proven = Some(*path);
    }

    /// The path that goes first because it worked before.
    pub fn proven(&self) -> Option<Path> {
        self.proven
    }

    /// The attempts of this search that failed, in order.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// One line per failed attempt (method, address and port, what was seen, seconds), then what was never tried and
    /// why. For error messages.
    pub fn explain(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.tried.iter().map(Tried::to_string).collect();
        for (opener, name) in [(Opener::User, "passive"), (Opener::Server, "active")] {
            if self.tried.iter().any(|tried| tried.path.opener == opener) {
                continue;
            }
            if !self.candidates.iter().any(|c| c.path.opener == opener) {
                let (extended, classic) = match opener {
                    Opener::User => (Offer::Epsv, Offer::Pasv),
                    Opener::Server => (Offer::Eprt, Offer::Port),
                };
                let choice = self.policy.choice;
                lines.push(if choice.allows(classic) && !choice.allows(extended) {
                    format!("{name}: not tried, {classic} cannot name an IPv6 address")
                } else {
                    format!("{name}: not tried, another data mode was asked for")
                });
            } else if self
                .candidates
                .iter()
                .all(|c| c.closed || c.path.opener != opener)
            {
                lines.push(format!(
                    "{name}: not tried, ruled out earlier in this session"
                ));
            }
        }
        lines
    }
}
