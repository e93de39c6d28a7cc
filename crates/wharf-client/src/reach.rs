//! The first half of an attempt at a data connection: what has to be arranged, and what can be opened, before the transfer
//! command is sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wharf_net::mapping::Mapping;
use wharf_net::{DataConnection, DataPort, OpenError, Source, Trace};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::path::{Attempt, Path};
use wharf_proto::data_connection::plan::{Asked, Evidence, Tried};
use wharf_proto::data_connection::policy::Targets;
use wharf_proto::data_connection::{Offer, Opener};
use wharf_proto::{Command, Reply, ReplyClass, host_port};

use crate::active::{Invitation, no_listener};
use crate::client::Client;
use crate::error::{Access, Error, Result};

/// Which representation a transfer needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file: the TYPE that the caller has set.
    File,
    /// A listing: text in whatever TYPE is set. Servers end its lines with CRLF in TYPE I as well, and a TYPE more would
    /// cost every listing two round trips.
    Listing,
}

/// The address in a 227 is tried so much later than the control peer's (RFC 8305 §5: recommended 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// The first half of an attempt is done.
pub(crate) struct Reached {
    pub(crate) path: Path,
    pub(crate) target: SocketAddr,
    pub(crate) began: Instant,
    pub(crate) way: Way,
    pub(crate) mapping: Option<Box<dyn Mapping>>,
}

pub(crate) enum Way {
    Connected(Box<DataConnection>),
    /// It comes about while the transfer command is answered.
    Open(DataPort, Duration),
}

/// What an attempt without a data connection leaves: for the plan.
pub(crate) type Failures = Vec<Tried>;

impl Client {
    /// Arranges the data connection, and opens it where that can be done before the transfer command.
    pub(crate) async fn reach(
        &mut self,
        attempt: &Attempt,
        content: Content,
    ) -> Result<std::result::Result<Reached, Failures>> {
        let began = Instant::now();
        self.ready().await?;
        if content == Content::File {
            self.apply_type().await?;
        }
        match attempt.path.opener {
            Opener::User => self.ask_for_port(attempt, began).await,
            Opener::Server => self.invite(attempt, began).await,
        }
    }

    async fn ask_for_port(
        &mut self,
        attempt: &Attempt,
        began: Instant,
    ) -> Result<std::result::Result<Reached, Failures>> {
        let path = attempt.path;
        let failed = |evidence| Ok(Err(vec![tried(path, None, None, evidence, began)]));
        let command = match path.offer {
            Offer::Epsv => Command::Epsv(host_port::EpsvArgument::Unspecified),
            _ => Command::Pasv,
        };
        let reply = match self.arranged(path, &command).await? {
            Ok(reply) => reply,
            Err(evidence) => return failed(evidence),
        };
        let peer = self.peer_addr();
        let text = reply.text().as_bytes();
        let named = match (path.offer, reply.code()) {
            (Offer::Epsv, 229) => {
                host_port::read_229(text).map(|port| SocketAddr::new(peer.ip(), port))
            }
            (Offer::Pasv, 227) => host_port::read_227(text).map(SocketAddr::V4),
            _ => None,
        };
        let Some(named) = named else {
            return failed(Evidence::ReplyUnreadable);
        };
        let targets = match self.plan.policy().targets(path, named) {
            Ok(targets) => targets,
            Err(evidence) => return failed(evidence),
        };
        let target = Guard::scoped(peer, targets.first);
        if attempt.proven {
            let way = Way::Open(self.port_to(target), attempt.patience);
            return Ok(Ok(Reached {
                path,
                target,
                began,
                way,
                mapping: None,
            }));
        }
        let opened = self.first_to_stand(attempt, targets).await;
        Ok(opened
            .map(|(path, target, data)| Reached {
                path,
                target,
                began,
                way: Way::Connected(Box::new(data)),
                mapping: None,
            })
            .map_err(|errors| {
                let tell = |(path, to, error): (Path, SocketAddr, OpenError)| {
                    let replied = (path.offer == Offer::Pasv && named != to).then_some(named);
                    tried(path, Some(to), replied, evidence(&error), began)
                };
                errors.into_iter().map(tell).collect()
            }))
    }

    /// Connects to the first target and, a little later or as soon as it has failed, to the one beside it.
    async fn first_to_stand(
        &self,
        attempt: &Attempt,
        targets: Targets,
    ) -> std::result::Result<(Path, SocketAddr, DataConnection), Vec<(Path, SocketAddr, OpenError)>>
    {
        let net = self.net();
        let guard = Guard::new(self.peer_addr().ip());
        let trace: Trace = self.dialogue.control().trace().clone();
        let connect = |to| {
            let port = self.port_to(to);
            port.open_traced(&*net, &guard, attempt.patience, &trace)
        };
        let first = (attempt.path, Guard::scoped(self.peer_addr(), targets.first));
        let Some(beside) = targets.beside else {
            let opened = connect(first.1).await;
            return opened
                .map(|data| (first.0, first.1, data))
                .map_err(|error| vec![(first.0, first.1, error)]);
        };
        let beside = (Path::PASV_AS_REPLIED, beside);
        let mut start = Instant::now() + STAGGER;
        let (one, other) = (connect(first.1), connect(beside.1));
        tokio::pin!(one, other);
        let mut failed = Vec::new();
        let (mut one_failed, mut other_failed) = (false, false);
        while !(one_failed && other_failed) {
            tokio::select! {
                opened = &mut one, if !one_failed => match opened {
                    Ok(data) => return Ok((first.0, first.1, data)),
                    Err(error) => {
                        failed.push((first.0, first.1, error));
                        one_failed = true;
                        start = Instant::now();
                    }
                },
                opened = async { sleep_until(start).await; (&mut other).await }, if !other_failed => match opened {
                    Ok(data) => return Ok((beside.0, beside.1, data)),
                    Err(error) => {
                        failed.push((beside.0, beside.1, error));
                        other_failed = true;
                    }
                },
            }
        }
        Err(failed)
    }

    fn port_to(&self, to: SocketAddr) -> DataPort {
        // From the address that the control connection uses: servers check that both come from one host.
        let source = match self.local_addr().ip() {
            // Means nothing without its interface, which the target names.
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Source::Any,
            ip => Source::Address(ip),
        };
        DataPort::Target { source, to }
    }

    async fn invite(
        &mut self,
        attempt: &Attempt,
        began: Instant,
    ) -> Result<std::result::Result<Reached, Failures>> {
        let path = attempt.path;
        let failed = |at, evidence| Ok(Err(vec![tried(path, at, None, evidence, began)]));
        let local = self.local_addr().ip();
        let net = self.net();
        let invited =
            Invitation::prepare(&*net, self.options(), local, self.peer_addr(), attempt).await;
        let Invitation {
            port,
            told,
            command,
            mapping,
        } = match invited {
            Ok(invitation) => invitation,
            Err((told, evidence)) => return failed(told, evidence),
        };
        match self.arranged(path, &command).await? {
            Ok(_) => Ok(Ok(Reached {
                path,
                target: told,
                began,
                way: Way::Open(port, attempt.patience),
                mapping,
            })),
            Err(evidence) => failed(Some(told), evidence),
        }
    }

    /// Sends the arranging command; a negative reply is evidence unless it is about the session as a whole.
    async fn arranged(
        &mut self,
        path: Path,
        command: &Command,
    ) -> Result<std::result::Result<Reply, Evidence>> {
        let reply = self.ask(command).await?;
        match Evidence::from_reply(path.offer, Asked::Offer, &reply) {
            Some(evidence) => Ok(Err(evidence)),
            None if reply.class() == ReplyClass::Completion => Ok(Ok(reply)),
            None => Err(Error::refused(Access::Other, command.redacted(), reply)),
        }
    }
}

pub(crate) fn tried(
    path: Path,
    target: Option<SocketAddr>,
    replied: Option<SocketAddr>,
    evidence: Evidence,
    began: Instant,
) -> Tried {
    Tried {
        path,
        target,
        replied,
        evidence,
        took: began.elapsed(),
    }
}

pub(crate) fn evidence(error: &OpenError) -> Evidence {
    match error {
        OpenError::NobodyCame { .. } => Evidence::NobodyCame,
        OpenError::Refused { .. } => Evidence::Refused,
        OpenError::Silent { .. } => Evidence::Silent,
        OpenError::Listener { source, .. } => Evidence::CannotListen(no_listener(source, None)),
        _ => Evidence::Unreachable,
    }
}
