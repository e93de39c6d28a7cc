//! The mapper of the real network: asks the router in every protocol and remembers which one it speaks.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::granted::{Granted, NoGrant};
use super::igd::{self, Device};
use super::{MappedBy, Mapping, PortMapper, gate, gateway};

/// UPnP begins so much later: where PCP works (11-20 ms) nobody is bothered by multicast.
const HEAD_START: Duration = Duration::from_millis(100);

/// For the whole question. What is granted later is given back.
const PATIENCE: Duration = Duration::from_millis(2300);

/// So long nobody is asked again where nobody answered.
const SILENCE_LASTS: Duration = Duration::from_mins(5);

/// Questions at the same time. Home routers answer one after the other, and repeated ones queue up behind each other.
const AT_ONCE: usize = 2;

/// Own addresses of which something is remembered: a bound, not a figure that matters.
const REMEMBERED: usize = 64;

/// What a router may be asked for at least and at most: time enough for a connection to come, and no more than a day.
const LIFETIMES: std::ops::RangeInclusive<u64> = 10..=86_400;

/// The process's one mapper, so that what it learned serves every session.
pub(crate) fn shared() -> Arc<dyn PortMapper> {
    static SHARED: LazyLock<Arc<Router>> = LazyLock::new(|| Arc::new(Router::default()));
    Arc::clone(&SHARED) as Arc<dyn PortMapper>
}

/// The router in front of this machine.
pub(super) struct Router {
    gateway: Box<dyn Fn(IpAddr) -> Option<SocketAddr> + Send + Sync>,
    ssdp: SocketAddr,
    known: Mutex<HashMap<IpAddr, Known>>,
    busy: Semaphore,
}

/// What is known about the router in front of one address of ours.
#[derive(Clone)]
enum Known {
    /// It speaks PCP or NAT-PMP.
    Gate(MappedBy),
    /// It is this UPnP device.
    Device(Device),
    /// Nobody answered; asked again from then on.
    Nobody(Instant),
}

impl Default for Router {
    fn default() -> Self {
        Self {
            gateway: Box::new(gateway::of),
            ssdp: igd::SSDP,
            known: Mutex::default(),
            busy: Semaphore::new(AT_ONCE),
        }
    }
}

#[cfg(test)]
impl Router {
    /// One whose gateway and UPnP device are there.
    pub(super) fn of(gateway: SocketAddr, ssdp: SocketAddr) -> Self {
        Self {
            gateway: Box::new(move |_| Some(gateway)),
            ssdp,
            known: Mutex::default(),
            busy: Semaphore::new(AT_ONCE),
        }
    }
}

/// What one of the protocols achieved.
struct Achieved<T> {
    what: T,
    how: Known,
}

/// One protocol's end.
type End<T> = Result<Achieved<T>, NoGrant>;

#[async_trait]
impl PortMapper for Router {
    async fn map(&self, inside: SocketAddr, lifetime: Duration) -> io::Result<Box<dyn Mapping>> {
        let seconds = lifetime
            .as_secs()
            .clamp(*LIFETIMES.start(), *LIFETIMES.end());
        let seconds = u32::try_from(seconds).unwrap_or(120);
        let granted = self.ask(inside.ip(), Port { inside, seconds }).await?;
        Ok(Box::new(granted))
    }

    async fn outside_address(&self, inside: IpAddr) -> io::Result<IpAddr> {
        self.ask(inside, Address { inside }).await
    }
}

impl Router {
    /// Asks in the protocol that is known to work, or in all of them.
    async fn ask<Q: Question>(&self, inside: IpAddr, question: Q) -> io::Result<Q::Got> {
        if inside.is_unspecified() || inside.is_multicast() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if inside.is_loopback() && !self.is_on_loopback(inside) {
            // Nobody stands in front of this machine's own network.
            return Err(NoGrant::Silence.into());
        }
        let _turn = self.busy.acquire().await.map_err(io::Error::other)?;
        let known = self.known(inside);
        if matches!(&known, Some(Known::Nobody(until)) if Instant::now() < *until) {
            return Err(NoGrant::Silence.into());
        }
        let known = known.filter(|known| !matches!(known, Known::Nobody(_)));
        let asked_one = known.is_some();
        let mut end = self.race(inside, question, known).await;
        if asked_one && matches!(end, Err(NoGrant::Silence)) {
            // Another network by now, or the router restarted: from the beginning.
            end = self.race(inside, question, None).await;
        }
        match end {
            Ok(Achieved { what, how }) => {
                self.learn(inside, how);
                Ok(what)
            }
            Err(reason) => {
                if matches!(reason, NoGrant::Silence) {
                    self.learn(inside, Known::Nobody(Instant::now() + SILENCE_LASTS));
                }
                Err(reason.into())
            }
        }
    }

    /// The protocols beside each other; the first that achieves it wins. They run as tasks of their own and to their end,
    /// so that a grant that comes too late is not lost but given back.
    async fn race<Q: Question>(
        &self,
        inside: IpAddr,
        question: Q,
        known: Option<Known>,
    ) -> End<Q::Got> {
        let gateway = (self.gateway)(inside);
        let (ended, mut ends) = mpsc::channel(2);
        match known {
            Some(Known::Device(device)) => {
                tokio::spawn(async move {
                    let _ = ended.send(question.ask_device(device).await).await;
                });
            }
            known => {
                let only = match known {
                    Some(Known::Gate(by)) => Some(by),
                    _ => None,
                };
                if let Some(gateway) = gateway {
                    let ended = ended.clone();
                    tokio::spawn(async move {
                        let _ = ended.send(question.ask_gate(gateway, only).await).await;
                    });
                }
                if let (None, IpAddr::V4(inside)) = (only, inside) {
                    let ssdp = self.ssdp;
                    tokio::spawn(async move {
                        sleep(HEAD_START).await;
                        if ended.is_closed() {
                            return;
                        }
                        let end = match igd::search(inside, gateway.map(|at| at.ip()), ssdp).await {
                            Ok(_) if ended.is_closed() => return,
                            Ok(device) => question.ask_device(device).await,
                            Err(reason) => Err(reason),
                        };
                        let _ = ended.send(end).await;
                    });
                }
            }
        }
        let mut reason = NoGrant::Silence;
        let racing = async {
            while let Some(end) = ends.recv().await {
                match end {
                    Ok(achieved) => return Some(achieved),
                    // What a router says is worth more than another's silence.
                    Err(NoGrant::Silence) => (),
                    Err(said) => reason = said,
                }
            }
            None
        };
        match timeout(PATIENCE, racing).await {
            Ok(Some(achieved)) => Ok(achieved),
            Ok(None) => Err(reason),
            // Somebody has been found, else the search had ended.
            Err(_elapsed) => Err(NoGrant::Failed(io::Error::new(
                io::ErrorKind::TimedOut,
                "the router does not answer in time",
            ))),
        }
    }

    /// As in tests.
    fn is_on_loopback(&self, inside: IpAddr) -> bool {
        (self.gateway)(inside).is_some_and(|at| at.ip().is_loopback())
    }

    fn known(&self, inside: IpAddr) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&inside).cloned()
    }

    fn learn(&self, inside: IpAddr, how: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&inside) {
            known.clear();
        }
        known.insert(inside, how);
    }
}

/// What is wanted of a router.
trait Question: Copy + Send + Sync + 'static {
    /// The answer.
    type Got: Send;

    /// Asks in PCP and NAT-PMP, or in one of them.
    fn ask_gate(
        self,
        gateway: SocketAddr,
        only: Option<MappedBy>,
    ) -> impl Future<Output = End<Self::Got>> + Send;

    /// Asks in UPnP.
    fn ask_device(self, device: Device) -> impl Future<Output = End<Self::Got>> + Send;
}

/// A port.
#[derive(Clone, Copy)]
struct Port {
    inside: SocketAddr,
    seconds: u32,
}

impl Question for Port {
    type Got = Granted;

    async fn ask_gate(self, gateway: SocketAddr, only: Option<MappedBy>) -> End<Granted> {
        let what = gate::map(self.inside, gateway, self.seconds, only).await?;
        let how = Known::Gate(what.by());
        Ok(Achieved { what, how })
    }

    async fn ask_device(self, device: Device) -> End<Granted> {
        let how = Known::Device(device.clone());
        let what = device.map(self.inside, self.seconds).await?;
        Ok(Achieved { what, how })
    }
}

/// The outside address.
#[derive(Clone, Copy)]
struct Address {
    inside: IpAddr,
}

impl Question for Address {
    type Got = IpAddr;

    async fn ask_gate(self, gateway: SocketAddr, only: Option<MappedBy>) -> End<IpAddr> {
        let (what, by) = gate::outside_address(self.inside, gateway).await?;
        // What it speaks for ports is known already; many speak both.
        let how = Known::Gate(only.unwrap_or(by));
        Ok(Achieved { what, how })
    }

    async fn ask_device(self, device: Device) -> End<IpAddr> {
        let what = device.outside_address().await?;
        Ok(Achieved {
            what,
            how: Known::Device(device),
        })
    }
}
