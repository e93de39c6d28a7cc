//! Which port a 227, 228 or 229 names: one of the passive range, one that sessions share, or the control port; and what
//! is learnt from whether the client comes to it.
//!
//! The rules are `wharf_proto::data_connection`'s: `passive_choice` for automatic one-port passive, `sorting` for ports
//! that are shared.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wharf_net::shared_port::DataIdentity;
use wharf_net::{DataPort, ListenAt, OpenError};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::passive_choice::{PassiveChoice, PassivePort};
use wharf_proto::data_connection::sorting::{Door, Refusal};
use wharf_proto::trace::What;

use crate::config::OnePort;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// A client that leaves earlier may not have tried its passive port at all
const TRIED: Duration = Duration::from_secs(1);

impl Session {
    /// Waits for a data connection from now on, at the address that the control connection reached
    pub(crate) async fn passive_port(&mut self) -> Result<SocketAddr, Failure> {
        // Gives the port of an earlier PASV back first: a client may hold one at a time. Who asks again, and has not
        // come to the port that it was told, could not.
        self.give_back().await;
        self.passive_since = Instant::now();
        let control = self.place.as_ref().map(|place| place.entrance.door);
        let one_port = self.setup.config.one_port;
        match (control, one_port) {
            (Some(control), OnePort::On) => {
                return self.listen_with_others(vec![control]).await;
            }
            (Some(control), OnePort::Auto) if self.passive.next() == PassivePort::Control => {
                match self.listen_with_others(vec![control]).await {
                    Ok(at) => {
                        tracing::info!(%at, "data connection expected at the control port");
                        self.passive.named(PassivePort::Control);
                        return Ok(at);
                    }
                    Err(Failure::Shared(why)) => {
                        tracing::info!(%why, "no data connection at the control port");
                    }
                    Err(other) => return Err(other),
                }
            }
            _ => {}
        }
        let at = match self.data_port_of_its_own().await {
            Err(full @ (Failure::NoPassivePort { .. } | Failure::Shared(_)))
                if one_port == OnePort::Auto =>
            {
                // There is one more.
                let at = match control {
                    Some(control) => self.listen_with_others(vec![control]).await.ok(),
                    None => None,
                };
                self.passive.named(PassivePort::Control);
                return at.ok_or(full);
            }
            outcome => outcome?,
        };
        self.passive.named(PassivePort::Data);
        Ok(at)
    }

    /// A port of the range, or one of those shared instead of it
    async fn data_port_of_its_own(&mut self) -> Result<SocketAddr, Failure> {
        let shared = self.shared_data_doors();
        if !shared.is_empty() {
            return self.listen_with_others(shared).await;
        }
        let range = self.setup.config.passive_ports;
        let at = ListenAt::range(self.control.bound_addr().ip(), range);
        match DataPort::listen(&*self.setup.net, at).await {
            Ok(port) => {
                let at = port.listening_at();
                self.data_port = Some(port);
                at.ok_or_else(|| Failure::NoPassivePort {
                    error: io::ErrorKind::AddrNotAvailable.into(),
                    range: range.to_string(),
                })
            }
            Err(error) => Err(Failure::NoPassivePort {
                error,
                range: range.to_string(),
            }),
        }
    }

    /// Who may come for the data connections of this session
    pub(crate) fn guard(&self) -> Guard {
        let client = self.peer().ip();
        Guard::new(client).or_pool(self.setup.config.pool_of(client))
    }

    fn shared_data_doors(&self) -> Vec<Door> {
        let Some(place) = &self.place else {
            return Vec::new();
        };
        let here = place.entrance.wanted.ip();
        let doors = self.setup.data_doors.iter().filter(|it| it.ip == here);
        doors.map(|it| it.door).collect()
    }

    /// Waits for a turn at a shared port
    async fn listen_with_others(&mut self, doors: Vec<Door>) -> Result<SocketAddr, Failure> {
        let Some(mut place) = self.place.take() else {
            return Err(Failure::Shared(Refusal::NoDoor));
        };
        let setup = Arc::clone(&self.setup);
        let reached = self.control.local_addr();
        let at = |door: Door| match setup.data_doors.iter().find(|it| it.door == door) {
            Some(data) => SocketAddr::new(reached.ip(), data.port),
            None => reached,
        };
        let protect = self.protect();
        let identity = DataIdentity::of(protect.as_ref().map(|it| (&it.session, it.policy)));
        let turn = place.ask(doors, setup.config.shared_address, identity, at);
        let waited = self.wait_for_turn(turn).await;
        self.place = Some(place);
        let listener = waited?.map_err(Failure::Shared)?;
        let at = listener.local_addr();
        self.data_port = Some(DataPort::Listening(listener));
        Ok(at)
    }

    /// PROT changes: a shared port that was named waits for a connection as PROT was then
    pub(crate) fn leave_shared_port(&mut self) {
        let named = self.data_port.as_ref().and_then(DataPort::listening_at);
        let Some(port) = named.map(|at| at.port()) else {
            return;
        };
        let mut shared = self.setup.data_doors.iter().map(|it| it.port);
        if port == self.control.local_addr().port() || shared.any(|it| it == port) {
            self.data_port = None;
        }
    }

    /// Closes a port that no transfer command followed, and learns from it
    pub(crate) async fn give_back(&mut self) {
        let port = self.data_port.take();
        if self.passive.pending() == Some(PassivePort::Data)
            && let Some(port) = port
            && port.is_unused(&self.guard()).await
        {
            self.nobody_came();
        }
    }

    /// The session ends. Many clients give the whole session up when their data connection does not come about.
    pub(crate) async fn leave_passive_port(&mut self) {
        if self.passive_since.elapsed() >= TRIED {
            self.give_back().await;
        }
    }

    /// What a transfer command shows about the port that was named for it
    pub(crate) fn learn_from(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(_) => {
                if let Some(lesson) = self.passive.came() {
                    self.setup.shared.learn(self.peer().ip(), lesson);
                }
            }
            Err(Failure::Open(OpenError::NobodyCame { strangers, .. })) if strangers.is_empty() => {
                self.nobody_came();
            }
            Err(_) => self.passive.forget(),
        }
    }

    fn nobody_came(&mut self) {
        let client = self.peer().ip();
        let Some(lesson) = self.passive.nobody_came() else {
            return;
        };
        self.setup.shared.learn(client, lesson);
        if self.next_is_control_port() {
            let text = "nobody came to the passive port: the next one will be the control port";
            tracing::info!(%client, "{text}");
            self.control.trace().record(|| What::Note(text.to_owned()));
        }
    }

    /// Whether the next PASV or EPSV names the control port although data ports come first
    pub(crate) fn next_is_control_port(&self) -> bool {
        self.setup.config.one_port == OnePort::Auto
            && self.place.is_some()
            && self.passive.next() == PassivePort::Control
    }

    /// What this client's sessions begin with
    pub(crate) fn recall_passive_port(&mut self) {
        let port = self.setup.shared.recall(self.peer().ip());
        self.passive = PassiveChoice::beginning_with(port);
    }
}
