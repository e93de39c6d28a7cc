//! What sessions are started with and have in common.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use wharf_accounts::Authenticator;
use wharf_net::Net;
use wharf_net::proxy_protocol::Balancers;
use wharf_net::shared_port::DataDoors;
use wharf_proto::data_connection::passive_choice::{Lesson, PassiveMemory, PassivePort};

use crate::commands::digest::AT_ONCE;
use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::limits::Limits;
use crate::log::XferLog;
use crate::outside::Outside;

/// Listeners, the log, the runtime, clients that are being turned away
const DESCRIPTORS_OF_THE_SERVER: usize = 16 + COURTESY;

/// So many clients that are turned away at the same time are given the time to read why
const COURTESY: usize = 8;

/// What a session is started with; a reload makes a new one, running sessions keep theirs
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) accounts: Arc<dyn Authenticator>,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) shared: Arc<Shared>,
    /// The data ports that its sessions share
    pub(crate) data_doors: DataDoors,
}

/// What all sessions of a server have in common
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    /// What their descriptors come from: one connection too many would take them from transfers
    pub(crate) descriptors: Arc<Descriptors>,
    /// Held while a client that is turned away gets the time to read why
    pub(crate) courtesy: Semaphore,
    /// Held while a file is read for its digest
    pub(crate) digests: Semaphore,
    pub(crate) xferlog: XferLog,
    /// Whose connections begin with a PROXY protocol header
    pub(crate) balancers: Balancers,
    /// For `advertise = auto`
    pub(crate) outside: Outside,
    sessions: AtomicU64,
    doors: AtomicU32,
    began: Instant,
    /// Which clients need the control port for data
    passive: Mutex<PassiveMemory>,
    /// What advertised names resolved to, and when
    names: Mutex<HashMap<String, (Instant, IpAddr)>>,
}

/// For so long an answer of the resolver is used again
const NAME_AGE: Duration = Duration::from_secs(30);

impl Shared {
    pub(crate) fn new(descriptors: usize, balancers: Balancers) -> Self {
        Self {
            limits: Arc::default(),
            descriptors: Arc::new(Descriptors::new(
                descriptors.saturating_sub(DESCRIPTORS_OF_THE_SERVER),
            )),
            courtesy: Semaphore::new(COURTESY),
            digests: Semaphore::new(AT_ONCE),
            xferlog: XferLog::default(),
            balancers,
            outside: Outside::default(),
            sessions: AtomicU64::default(),
            doors: AtomicU32::default(),
            began: Instant::now(),
            passive: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// What an advertised name resolved to a moment ago
    pub(crate) fn resolved(&self, name: &str) -> Option<IpAddr> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, address) = names.get(name)?;
        (when.elapsed() < NAME_AGE).then_some(*address)
    }

    pub(crate) fn remember(&self, name: &str, address: IpAddr) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_owned(), (Instant::now(), address));
    }

    /// What a client's sessions begin with
    pub(crate) fn recall(&self, client: IpAddr) -> PassivePort {
        let passive = self.passive.lock().unwrap_or_else(PoisonError::into_inner);
        passive.begin(self.began.elapsed(), client)
    }

    /// What a session has learnt about its client
    pub(crate) fn learn(&self, client: IpAddr, lesson: Lesson) {
        let mut passive = self.passive.lock().unwrap_or_else(PoisonError::into_inner);
        passive.learn(self.began.elapsed(), client, lesson);
    }

    pub(crate) fn next_door(&self) -> u32 {
        self.doors.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }
}
