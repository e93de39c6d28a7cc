//! Asking the default gateway in PCP and NAT-PMP: one socket, one or two round trips, nothing believed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::granted::{Granted, NoGrant, Undo, credible};
use super::pcp::{self, Answer};
use super::{MappedBy, nat_pmp};

/// How long an answer is waited for before the question is repeated, and before nobody is there (RFC 6886 §3.1 and
/// RFC 6887 §8.1.1 begin with 250 ms and 3 s; a router that takes longer on a LAN is not there).
const PATIENCE: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];

/// Once more where the router is known to answer: it may be busy.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// How much longer PCP may take than NAT-PMP. Old routers drop what they do not know instead of refusing it.
const BEHIND: Duration = Duration::from_millis(50);

/// More than either protocol's longest datagram (1100 bytes, RFC 6887 §7).
const DATAGRAM: usize = 1200;

/// For a mapping whose address alone matters: a port that hosts are usually allowed to ask for. Asked for one that is not,
/// miniupnpd 2.3.1 walks through all outside ports before it refuses.
const ANY_PORT: u16 = 61_021;

/// Asks for an outside port; `only` in the protocol that is known to work.
pub(super) async fn map(
    inside: SocketAddr,
    gateway: SocketAddr,
    lifetime: u32,
    only: Option<MappedBy>,
) -> Result<Granted, NoGrant> {
    let mut gate = Gate::open(inside.ip(), gateway).await?;
    let asking = pcp::MapRequest {
        nonce: nonce()?,
        inside,
        lifetime,
    };
    let in_pcp = only != Some(MappedBy::NatPmp);
    // Its address request changes nothing at the router, so it can go out beside PCP's: no second mapping comes of it.
    let in_nat_pmp = only != Some(MappedBy::Pcp) && inside.is_ipv4();
    let mut refusal = None;
    let mut address = None;
    let mut pcp_is_open = in_pcp;
    for patience in PATIENCE.into_iter().chain(only.map(|_| LAST_PATIENCE)) {
        if pcp_is_open {
            gate.send(&asking.bytes()).await?;
        }
        if in_nat_pmp && address.is_none() {
            gate.send(&nat_pmp::ADDRESS_REQUEST).await?;
        }
        let mut until = Instant::now() + patience;
        while let Some(datagram) = gate.hear(until).await? {
            match in_pcp.then(|| asking.answer(datagram)).flatten() {
                Some(Answer::Granted { outside, lifetime }) => {
                    return gate.granted_by_pcp(asking, outside, lifetime);
                }
                Some(Answer::Refused(result)) => {
                    refusal = Some(gate.refused(MappedBy::Pcp, pcp::meaning(result)));
                    pcp_is_open = false;
                }
                Some(Answer::OtherVersion) => pcp_is_open = false,
                None if in_nat_pmp => address = nat_pmp::address(datagram).or(address),
                None => (),
            }
            let all_said = !pcp_is_open && (address.is_some() || !in_nat_pmp);
            if all_said {
                break;
            }
            if address.is_some() {
                until = until.min(Instant::now() + BEHIND);
            }
        }
        if address.is_some() || (!pcp_is_open && !in_nat_pmp) {
            break;
        }
    }
    if pcp_is_open {
        // The answer may be what was lost; the port must not stay.
        let _ = gate.send(&undo(asking)).await;
    }
    match address {
        Some(Ok(address)) => gate.map_in_nat_pmp(inside, address.into(), lifetime).await,
        Some(Err(result)) => {
            Err(refusal.unwrap_or_else(|| gate.refused(MappedBy::NatPmp, nat_pmp::meaning(result))))
        }
        None => Err(refusal.unwrap_or(NoGrant::Silence)),
    }
}

/// The gateway's outside address, in NAT-PMP; a router of PCP alone tells it only with a port, which is given back.
pub(super) async fn outside_address(
    inside: IpAddr,
    gateway: SocketAddr,
) -> Result<(IpAddr, MappedBy), NoGrant> {
    if inside.is_ipv4() {
        let mut gate = Gate::open(inside, gateway).await?;
        'asking: for patience in PATIENCE {
            gate.send(&nat_pmp::ADDRESS_REQUEST).await?;
            let until = Instant::now() + patience;
            while let Some(datagram) = gate.hear(until).await? {
                match nat_pmp::address(datagram) {
                    Some(Ok(address)) => {
                        let address = credible(address.into()).map_err(|e| gate.untrue(e))?;
                        return Ok((address, MappedBy::NatPmp));
                    }
                    Some(Err(result)) => {
                        return Err(gate.refused(MappedBy::NatPmp, nat_pmp::meaning(result)));
                    }
                    // It speaks PCP.
                    None if datagram.first() == Some(&2) => break 'asking,
                    None => (),
                }
            }
        }
    }
    let inside = SocketAddr::new(inside, ANY_PORT);
    let granted = map(inside, gateway, 30, Some(MappedBy::Pcp)).await?;
    Ok((granted.outside().ip(), MappedBy::Pcp))
}

/// Gives a port back; the answer is waited for only so that a lost request is repeated.
pub(super) async fn give_back(inside: IpAddr, gateway: SocketAddr, request: &[u8]) {
    let Ok(mut gate) = Gate::open(inside, gateway).await else {
        return;
    };
    for patience in PATIENCE {
        if gate.send(request).await.is_err() {
            return;
        }
        // Refused or granted, it has been heard.
        if !matches!(gate.hear(Instant::now() + patience).await, Ok(None)) {
            return;
        }
    }
}

/// A socket that hears the gateway alone.
struct Gate {
    socket: UdpSocket,
    gateway: SocketAddr,
    buffer: [u8; DATAGRAM],
}

impl Gate {
    async fn open(inside: IpAddr, gateway: SocketAddr) -> Result<Self, NoGrant> {
        let socket = UdpSocket::bind(SocketAddr::new(inside, 0))
            .await
            .map_err(NoGrant::Failed)?;
        socket.connect(gateway).await.map_err(NoGrant::Failed)?;
        Ok(Self {
            socket,
            gateway,
            buffer: [0; DATAGRAM],
        })
    }

    /// Nobody hears on that port (ICMP), or no way leads there: both are silence.
    async fn send(&self, datagram: &[u8]) -> Result<(), NoGrant> {
        match self.socket.send(datagram).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(gateway = %self.gateway, %error, "gateway not asked");
                Err(NoGrant::Silence)
            }
        }
    }

    /// The next datagram of the gateway until then.
    async fn hear(&mut self, until: Instant) -> Result<Option<&[u8]>, NoGrant> {
        match timeout_at(until, self.socket.recv(&mut self.buffer)).await {
            Err(_elapsed) => Ok(None),
            Ok(Ok(n)) => Ok(Some(self.buffer.get(..n).unwrap_or_default())),
            Ok(Err(error)) => {
                tracing::debug!(gateway = %self.gateway, %error, "gateway does not answer");
                Err(NoGrant::Silence)
            }
        }
    }

    fn granted_by_pcp(
        &self,
        asking: pcp::MapRequest,
        outside: SocketAddr,
        lifetime: u32,
    ) -> Result<Granted, NoGrant> {
        let undo = self.undo(asking.inside.ip(), undo(asking));
        self.granted(MappedBy::Pcp, outside, lifetime, undo)
    }

    async fn map_in_nat_pmp(
        &mut self,
        inside: SocketAddr,
        address: IpAddr,
        lifetime: u32,
    ) -> Result<Granted, NoGrant> {
        let request = nat_pmp::MapRequest {
            inside: inside.port(),
            lifetime,
        };
        let delete = nat_pmp::MapRequest {
            lifetime: 0,
            ..request
        };
        for patience in PATIENCE.into_iter().chain([LAST_PATIENCE]) {
            self.send(&request.bytes()).await?;
            let until = Instant::now() + patience;
            while let Some(datagram) = self.hear(until).await? {
                match request.answer(datagram) {
                    Some(Ok((port, lifetime))) => {
                        let undo = self.undo(inside.ip(), delete.bytes());
                        let outside = SocketAddr::new(address, port);
                        return self.granted(MappedBy::NatPmp, outside, lifetime, undo);
                    }
                    Some(Err(result)) => {
                        return Err(self.refused(MappedBy::NatPmp, nat_pmp::meaning(result)));
                    }
                    None => (),
                }
            }
        }
        let _ = self.send(&delete.bytes()).await;
        Err(NoGrant::Silence)
    }

    /// What was granted, if it can be true. If not, dropping it gives it back.
    fn granted(
        &self,
        by: MappedBy,
        outside: SocketAddr,
        lifetime: u32,
        undo: Undo,
    ) -> Result<Granted, NoGrant> {
        let granted = Granted::new(outside, by, undo);
        credible(outside.ip()).map_err(|e| self.untrue(e))?;
        if outside.port() == 0 || lifetime == 0 {
            return Err(self.refused(by, "a port that is none"));
        }
        tracing::debug!(%outside, %by, lifetime, gateway = %self.gateway, "port mapped");
        Ok(granted)
    }

    fn undo(&self, inside: IpAddr, request: Vec<u8>) -> Undo {
        Undo::Datagram {
            inside,
            gateway: self.gateway,
            request,
        }
    }

    fn refused(&self, by: MappedBy, why: &str) -> NoGrant {
        NoGrant::Refused(format!(
            "the router {} says over {by}: {why}",
            self.gateway.ip()
        ))
    }

    fn untrue(&self, why: String) -> NoGrant {
        NoGrant::Refused(format!("the router {} {why}", self.gateway.ip()))
    }
}

/// The request that ends what `asking` began.
fn undo(asking: pcp::MapRequest) -> Vec<u8> {
    pcp::MapRequest {
        lifetime: 0,
        ..asking
    }
    .bytes()
}

fn nonce() -> Result<pcp::Nonce, NoGrant> {
    let mut nonce = pcp::Nonce::default();
    getrandom::fill(&mut nonce).map_err(|e| NoGrant::Failed(io::Error::other(e)))?;
    Ok(nonce)
}
