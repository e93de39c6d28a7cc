//! Opening a data connection: walks the paths that `wharf_proto` plans, gives up politely, tries the next.
//!
//! On a path that has carried data before, the transfer command goes out while the data connection is being made: two
//! round trips a file. On a path that is not proven yet a connection that *we* open is made first: if nothing comes of
//! it, the server is not in the middle of a transfer and there is nothing to abort (vsftpd and Pure-FTPd do not answer
//! ABOR while they wait in `accept`). A connection that the *server* opens can only be waited for after the transfer
//! command, therefore active paths are the last.

use std::net::{IpAddr, SocketAddr};

use tokio::time::{Instant, sleep_until};
use wharf_net::{DataConnection, DataPort, ListenAt, OpenError, Ports, Source};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::path::{Asked, Attempt, Evidence, Path};
use wharf_proto::data_connection::{Offer, Opener};
use wharf_proto::{Command, Reply, ReplyClass, host_port};

use crate::client::Client;
use crate::dialogue::{LEAST_PATIENCE, seconds};
use crate::error::{Access, Error, ErrorKind, Result};

/// A transfer that has begun.
pub(crate) struct Opened {
    /// `None`: the server completed at once without opening one (some do for empty listings).
    pub(crate) data: Option<DataConnection>,
    /// The 150 or 125.
    pub(crate) preliminary: Option<Reply>,
    /// The final reply, where it came together with the data connection.
    pub(crate) completion: Option<Reply>,
}

/// An attempt that led to no data connection, for [`wharf_proto::data_connection::path::Paths::learn`].
struct Failed {
    target: Option<SocketAddr>,
    evidence: Evidence,
}

/// Which representation a transfer needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file: the TYPE that the caller has set.
    File,
    /// A listing: text in whatever TYPE is set. Servers end its lines with CRLF in TYPE I as well, and a TYPE more would
    /// cost every listing two round trips.
    Listing,
}

impl Client {
    /// Opens a data connection for `command`, with REST before it when `offset` is not 0.
    pub(crate) async fn open_data(
        &mut self,
        command: &Command,
        offset: u64,
        content: Content,
        access: Access,
    ) -> Result<Opened> {
        self.paths.begin();
        loop {
            // First of all, for when nothing is left the caller need not wait until both sides are in step.
            let Some(attempt) = self.paths.next(self.dialogue.round_trip()) else {
                return Err(self.no_way());
            };
            let began = Instant::now();
            self.ready().await?;
            if content == Content::File {
                self.apply_type().await?;
            }
            match self.attempt(&attempt, command, offset, access).await? {
                Ok(opened) => {
                    if let Some(last) = self.paths.tried().last() {
                        let note =
                            format!("{last}; using {} (kept for this session)", attempt.path);
                        self.note(note);
                    }
                    self.paths.worked(&attempt.path);
                    return Ok(opened);
                }
                Err(Failed { target, evidence }) => {
                    self.paths
                        .learn(&attempt.path, target, evidence, began.elapsed());
                }
            }
        }
    }

    fn no_way(&self) -> Error {
        let what = format!("no data connection to {}", self.peer_addr().ip());
        Error::new(ErrorKind::DataConnection, what)
            .with_tried(self.paths.tried(), self.paths.explain())
    }

    async fn attempt(
        &mut self,
        attempt: &Attempt,
        command: &Command,
        offset: u64,
        access: Access,
    ) -> Result<std::result::Result<Opened, Failed>> {
        let (mut port, target) = match self.arrange(&attempt.path).await? {
            Ok((port, target)) => (Some(port), target),
            Err(failed) => return Ok(Err(failed)),
        };
        let failed = |evidence| {
            Ok(Err(Failed {
                target: Some(target),
                evidence,
            }))
        };
        let net = self.net();
        let guard = Guard::new(self.peer_addr().ip());
        let trace = self.dialogue.control().trace().clone();
        let mut data = None;
        if attempt.path.opener == Opener::User
            && !attempt.proven
            && let Some(port) = port.take()
        {
            match port
                .open_traced(&*net, &guard, attempt.patience, &trace)
                .await
            {
                Ok(opened) => data = Some(opened),
                Err(error) => return failed(evidence(&error)),
            }
        }
        if offset > 0 {
            // RFC 3659 §5: REST stands immediately before the transfer command.
            let rest = Command::Rest(offset);
            let reply = self.ask(&rest).await?;
            if reply.code() != 350 {
                return Err(Error::refused(Access::Other, rest.redacted(), reply));
            }
        }

        self.in_transfer = true;
        self.dialogue.send(command).await?;
        let mut deadline = Instant::now() + self.place.options.reply_timeout;
        let opening = async {
            match port {
                Some(port) => {
                    port.open_traced(&*net, &guard, attempt.patience, &trace)
                        .await
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(opening);
        let (mut preliminary, mut completion) = (None, None);
        while data.is_none() || preliminary.is_none() && completion.is_none() {
            tokio::select! {
                opened = &mut opening, if data.is_none() => match opened {
                    Ok(opened) => data = Some(opened),
                    Err(_) if completion.is_some() => break,
                    Err(error) => return failed(evidence(&error)),
                },
                reply = self.dialogue.any_reply(), if completion.is_none() => {
                    let reply = reply?;
                    match reply.class() {
                        ReplyClass::Preliminary => preliminary = Some(reply),
                        ReplyClass::Completion => {
                            // Nothing more will be said; a connection that is on its way may still arrive.
                            completion = Some(reply);
                            self.in_transfer = false;
                            deadline = Instant::now() + LEAST_PATIENCE.min(attempt.patience);
                        }
                        _ => {
                            self.in_transfer = false;
                            return match Evidence::from_reply(attempt.path.offer, Asked::Transfer, reply.code()) {
                                Some(evidence) => failed(evidence),
                                None => Err(Error::refused(access, command.redacted(), reply)),
                            };
                        }
                    }
                }
                () = sleep_until(deadline) => {
                    if completion.is_some() {
                        break;
                    }
                    return Err(Error::new(ErrorKind::Timeout, format!("{}: no reply within {} s", command.redacted(), seconds(self.place.options.reply_timeout))));
                }
            }
        }
        Ok(Ok(Opened {
            data,
            preliminary,
            completion,
        }))
    }

    /// PASV, EPSV, PORT or EPRT: where the data connection will come from, and the address for messages.
    async fn arrange(
        &mut self,
        path: &Path,
    ) -> Result<std::result::Result<(DataPort, SocketAddr), Failed>> {
        match path.opener {
            Opener::User => self.ask_for_port(path).await,
            Opener::Server => self.offer_port(path).await,
        }
    }

    async fn ask_for_port(
        &mut self,
        path: &Path,
    ) -> Result<std::result::Result<(DataPort, SocketAddr), Failed>> {
        let command = match path.offer {
            Offer::Epsv => Command::Epsv(host_port::EpsvArgument::Unspecified),
            _ => Command::Pasv,
        };
        let reply = match self.arranged(path, &command).await? {
            Ok(reply) => reply,
            Err(failed) => return Ok(Err(failed)),
        };
        let text = reply.text().as_bytes();
        let named = match (path.offer, reply.code()) {
            (Offer::Epsv, 229) => {
                host_port::read_229(text).map(|port| SocketAddr::new(self.peer_addr().ip(), port))
            }
            (Offer::Pasv, 227) => host_port::read_227(text).map(SocketAddr::V4),
            _ => None,
        };
        let Some(named) = named else {
            return Ok(Err(Failed {
                target: None,
                evidence: Evidence::ReplyUnreadable,
            }));
        };
        match self.paths.target(path, named) {
            Ok(to) => {
                let to = Guard::scoped(self.peer_addr(), to);
                // From the address that the control connection uses: servers check that both come from one host.
                let source = match self.local_addr().ip() {
                    // Means nothing without its interface, which the target names.
                    IpAddr::V6(ip) if ip.is_unicast_link_local() => Source::Any,
                    ip => Source::Address(ip),
                };
                Ok(Ok((DataPort::Target { source, to }, to)))
            }
            Err(evidence) => Ok(Err(Failed {
                target: None,
                evidence,
            })),
        }
    }

    async fn offer_port(
        &mut self,
        path: &Path,
    ) -> Result<std::result::Result<(DataPort, SocketAddr), Failed>> {
        let ip = self.local_addr().ip();
        let told_ip = self.options().active_addr.unwrap_or(ip);
        let ports = self.options().port_range.map_or(Ports::Any, Ports::Range);
        let port = match DataPort::listen(&*self.place.net, ListenAt::new(ip, ports)).await {
            Ok(port) => port,
            Err(error) => {
                tracing::warn!(%error, %ip, "cannot listen for an active data connection");
                return Ok(Err(Failed {
                    target: None,
                    evidence: Evidence::CannotListen,
                }));
            }
        };
        let told = SocketAddr::new(told_ip, port.listening_at().map_or(0, |it| it.port()));
        let command = match (path.offer, told) {
            (Offer::Port, SocketAddr::V4(told)) => Command::Port(told),
            (Offer::Port, SocketAddr::V6(_)) => {
                return Ok(Err(Failed {
                    target: Some(told),
                    evidence: Evidence::FamilyRefused,
                }));
            }
            _ => Command::Eprt(host_port::EprtArgument::Address(told)),
        };
        Ok(self.arranged(path, &command).await?.map(|_| (port, told)))
    }

    /// Sends the arranging command; a negative reply is evidence unless it is about the session as a whole.
    async fn arranged(
        &mut self,
        path: &Path,
        command: &Command,
    ) -> Result<std::result::Result<Reply, Failed>> {
        let reply = self.ask(command).await?;
        match Evidence::from_reply(path.offer, Asked::Offer, reply.code()) {
            Some(evidence) => Ok(Err(Failed {
                target: None,
                evidence,
            })),
            None if reply.class() == ReplyClass::Completion => Ok(Ok(reply)),
            None => Err(Error::refused(Access::Other, command.redacted(), reply)),
        }
    }
}

fn evidence(error: &OpenError) -> Evidence {
    match error {
        OpenError::NobodyCame { .. } => Evidence::NobodyCame,
        OpenError::Refused { .. } => Evidence::Refused,
        OpenError::Silent { .. } => Evidence::Silent,
        OpenError::Listener { .. } => Evidence::CannotListen,
        _ => Evidence::Unreachable,
    }
}
