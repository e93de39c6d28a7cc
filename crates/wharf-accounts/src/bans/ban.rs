//! What a ban is, whom it is against, and what earns one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use wharf_proto::data_connection::advertise::Network;
use wharf_proto::visible;

/// The longest user name that is remembered, in bytes; what is longer is cut.
const LONGEST_NAME: usize = 128;

/// Whom a ban is against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Clients of a network: an IPv4 address, an IPv6 /64 (what one subscriber has, RFC 6177 §2), or what
    /// somebody banned by hand.
    Clients(Network),
    /// A user name, from addresses at which that user has not logged in before.
    User(String),
}

/// One ban. It stays on the list for a while after its end, so that the next one is longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Against whom.
    pub subject: Subject,
    /// When it began.
    pub since: SystemTime,
    /// When it ends; `None` is never.
    pub until: Option<SystemTime>,
    /// The how manieth in a row; zero when it was made by hand.
    pub times: u32,
    /// Why, in one line.
    pub reason: String,
}

/// When somebody is banned, and for how long.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BanPolicy {
    /// Failed logins, counted with their decay, after which an address is banned; zero is never.
    pub after: u32,
    /// Failed logins from strangers' addresses after which a user name is closed to strangers; zero is never.
    pub users_after: u32,
    /// After this time a failure counts half.
    pub half_life: Duration,
    /// How long the first ban lasts; each further one twice as long as the one before.
    pub first: Duration,
    /// How long a ban lasts at most, and how long it is remembered after its end.
    pub longest: Duration,
    /// Networks that are never banned, except by hand.
    pub trusted: Vec<Network>,
}

/// What is held against a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offence {
    /// A login was refused, whether the user exists or not.
    FailedLogin,
    /// Too many lines before the login that are no FTP commands.
    Nonsense,
    /// Another protocol: a web browser that was led here, a scanner.
    NotFtp,
    /// A client certificate that is not believed, or none where one is demanded.
    Certificate,
    /// Something in clear came behind AUTH, to be taken for protected.
    Injected,
}

impl Subject {
    /// A client as it is counted.
    pub fn client(address: IpAddr) -> Self {
        Self::Clients(counted(address))
    }

    /// Clients of a network as a person writes it.
    pub fn network(network: Network) -> Self {
        Self::Clients(within(network.address(), network.prefix()))
    }

    /// A user as it is counted: fit to be shown, and of bounded length.
    pub fn user(name: &[u8]) -> Self {
        Self::User(counted_name(name))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(network) if is_single(*network) => network.address().fmt(f),
            Self::Clients(network) => network.fmt(f),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}

impl Ban {
    /// One made by hand.
    pub fn by_hand(
        subject: Subject,
        now: SystemTime,
        lasts: Option<Duration>,
        reason: &str,
    ) -> Self {
        Self {
            subject,
            since: now,
            until: lasts.and_then(|lasts| now.checked_add(lasts)),
            times: 0,
            reason: visible(reason.as_bytes()),
        }
    }

    /// Whether it is in force.
    pub fn holds(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether a person made it: such a ban holds at the door, whatever is known of the address.
    pub fn is_by_hand(&self) -> bool {
        self.times == 0
    }

    /// How much longer it lasts; `None` is for ever.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let until = self.until?;
        Some(until.duration_since(now).unwrap_or_default())
    }
}

impl Default for BanPolicy {
    /// Ten failed logins with a half-life of ten minutes: five minutes, ten, twenty ... up to a day.
    fn default() -> Self {
        let networks = ["127.0.0.0/8", "::1/128"];
        Self {
            after: 10,
            users_after: 50,
            half_life: Duration::from_mins(10),
            first: Duration::from_mins(5),
            longest: Duration::from_hours(24),
            trusted: networks.iter().filter_map(|it| it.parse().ok()).collect(),
        }
    }
}

impl BanPolicy {
    pub(super) fn trusts(&self, client: IpAddr) -> bool {
        self.trusted.iter().any(|it| it.contains(client))
    }

    /// How long the ban lasts that is the `times`th in a row.
    pub(super) fn lasts(&self, times: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(times.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let lasts = self.first.checked_mul(factor).unwrap_or(self.longest);
        lasts.min(self.longest.max(self.first))
    }
}

impl Offence {
    /// In failed logins. Web requests are made by browsers that a page has led here, and cost little.
    pub(super) fn weight(self) -> f64 {
        match self {
            Self::FailedLogin | Self::Nonsense | Self::Certificate => 1.0,
            Self::NotFtp => 0.2,
            Self::Injected => 3.0,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::FailedLogin => "failed logins",
            Self::Nonsense => "lines that are no FTP",
            Self::NotFtp => "requests of other protocols",
            Self::Certificate => "client certificates that are not believed",
            Self::Injected => "commands injected before TLS",
        }
    }
}

/// What an address counts as.
pub(super) fn counted(address: IpAddr) -> Network {
    let address = address.to_canonical();
    within(address, if address.is_ipv4() { 32 } else { 64 })
}

/// The network of that length around an address, with the bits behind it cleared: equal networks are equal values.
pub(super) fn within(address: IpAddr, prefix: u8) -> Network {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let prefix = prefix.min(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let cut = Ipv4Addr::from_bits(v4.to_bits() & mask).into();
            Network::new(cut, prefix)
        }
        IpAddr::V6(v6) => {
            let prefix = prefix.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            let cut = Ipv6Addr::from_bits(v6.to_bits() & mask).into();
            Network::new(cut, prefix)
        }
    }
    .unwrap_or_else(|_| unreachable!("the prefix was made to fit"))
}

pub(super) fn counted_name(name: &[u8]) -> String {
    visible(name.get(..LONGEST_NAME).unwrap_or(name))
}

fn is_single(network: Network) -> bool {
    network.prefix() == if network.address().is_ipv4() { 32 } else { 128 }
}
