//! The server's side of a data connection: one way after the other until there is one, then the transfer command.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wharf_proto::data_connection::{Offer, Opener};
use wharf_proto::host_port::{read_227, read_229, write_eprt, write_port};
use wharf_proto::user_transfer::Direction;
use wharf_proto::{Reply, Text};

use super::transfer::{ServerSide, Transfer};
use super::{ClientSide, Order, State, Translator, Unopened};

/// A transfer command of the client's whose data connection to the server is being arranged.
#[derive(Debug)]
pub(super) struct Arranging {
    line: Text,
    direction: Direction,
    client: ClientSide,
    ways: VecDeque<Offer>,
    tried: Vec<Offer>,
    step: Step,
    /// Why the last way failed.
    trouble: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// EPSV, PASV, EPRT or PORT is with the server.
    Asked(Offer),
    /// Its data port is being connected to.
    Connecting(Offer),
    /// A port for its data connection is being opened.
    Opening(Offer),
    /// REST is repeated: servers forget it with the command that came between.
    Restarting(Offer),
}

impl Arranging {
    /// Which way the bytes of the transfer will flow.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether a reply of the server is to come.
    fn is_asked(&self) -> bool {
        matches!(self.step, Step::Asked(_) | Step::Restarting(_))
    }
}

impl Translator {
    /// A command that needs a data connection.
    pub(super) fn transfer(&mut self, line: Text, direction: Direction) {
        if !self.logged_in {
            return self.tell(530, "Log in first");
        }
        let client = std::mem::replace(&mut self.client_side, ClientSide::Nothing);
        let offer = match client {
            ClientSide::Nothing => return self.tell(425, "Use PASV, EPSV, PORT or EPRT first"),
            // LPSV is EPSV with an address.
            ClientSide::Passive(Offer::Lprt) => Offer::Epsv,
            ClientSide::Passive(offer) | ClientSide::Active(offer) => offer,
        };
        self.stale = true;
        self.preliminaries = 0;
        let arranging = Arranging {
            line,
            direction,
            client,
            ways: self.ways.next(offer).into(),
            tried: Vec::new(),
            step: Step::Opening(Offer::Port),
            trouble: None,
        };
        self.try_next(Box::new(arranging));
    }

    fn try_next(&mut self, mut arranging: Box<Arranging>) {
        let Some(offer) = arranging.ways.pop_front() else {
            return self.no_way(&arranging);
        };
        arranging.tried.push(offer);
        match offer.opener() {
            Opener::User => {
                arranging.step = Step::Asked(offer);
                self.order(Order::ToServer(Text::lossy(offer.word())));
            }
            Opener::Server => {
                arranging.step = Step::Opening(offer);
                self.order(Order::ListenForServer);
            }
        }
        self.state = State::Arranging(arranging);
    }

    /// 425: the transfer command never reached the server.
    fn no_way(&mut self, arranging: &Arranging) {
        let tried: Vec<&str> = arranging.tried.iter().map(|offer| offer.word()).collect();
        let text = match (&arranging.trouble, tried.as_slice()) {
            (None, _) => {
                "No data connection between proxy and server: its control connection is IPv6, which \
                 leaves EPSV and EPRT, and they are refused or not allowed here"
                    .to_owned()
            }
            (Some(why), [_]) => format!("No data connection between proxy and server: {why}"),
            (Some(why), _) => format!(
                "No data connection between proxy and server (tried {}): {why}",
                tried.join(", ")
            ),
        };
        self.order(Order::Cut);
        self.tell(425, text);
        self.settle(0);
    }

    pub(super) fn arranging_reply(&mut self, reply: Reply) {
        if reply.is_preliminary() {
            self.count_preliminary();
            return;
        }
        if reply.code() == 421 {
            self.order(Order::Cut);
            self.order(Order::ToClient(reply));
            return self.hang_up();
        }
        let Some(mut arranging) = self.take_arranging() else {
            return;
        };
        match arranging.step {
            Step::Asked(offer) => {
                let port = match (offer, reply.code()) {
                    (Offer::Epsv, 229) => read_229(reply.text().as_bytes()),
                    (Offer::Pasv, 227) => read_227(reply.text().as_bytes()).map(|at| at.port()),
                    (Offer::Eprt | Offer::Port, 200..=299) => {
                        return self.server_side_is_ready(arranging, offer);
                    }
                    _ => None,
                };
                if let Some(port) = port {
                    // Whatever address a 227 names, only the control peer's is connected to: a server must not send us
                    // elsewhere, and a private address behind a NAT leads nowhere.
                    let to = SocketAddr::new(self.ends.server.ip(), port);
                    let to =
                        wharf_proto::data_connection::guard::Guard::scoped(self.ends.server, to);
                    arranging.step = Step::Connecting(offer);
                    self.state = State::Arranging(arranging);
                    return self.order(Order::ConnectServer(to));
                }
                if reply.code() >= 500 {
                    self.ways.refused(offer);
                }
                arranging.trouble = Some(format!("the server answers {offer} with {reply}"));
                self.order(Order::Cut);
                self.try_next(arranging);
            }
            Step::Restarting(offer) if (300..=399).contains(&reply.code()) => {
                self.restart = None;
                self.begin_transfer(*arranging, offer);
            }
            Step::Restarting(_) => {
                self.restart = None;
                self.order(Order::Cut);
                self.order(Order::ToClient(reply));
                self.settle(0);
            }
            Step::Connecting(_) | Step::Opening(_) => {
                self.state = State::Arranging(arranging);
                self.unasked(&reply);
            }
        }
    }

    pub(super) fn server_port(&mut self, outcome: Result<SocketAddr, String>) {
        let Some(mut arranging) = self.take_arranging() else {
            return;
        };
        let Step::Opening(offer) = arranging.step else {
            self.state = State::Arranging(arranging);
            return;
        };
        let argument = match (offer, outcome) {
            (Offer::Port, Ok(SocketAddr::V4(at))) => write_port(at),
            (Offer::Port, Ok(SocketAddr::V6(at))) => {
                arranging.trouble = Some(format!("PORT cannot name {}", at.ip()));
                self.order(Order::Cut);
                return self.try_next(arranging);
            }
            (_, Ok(at)) => write_eprt(at),
            (_, Err(why)) => {
                arranging.trouble = Some(why);
                return self.try_next(arranging);
            }
        };
        arranging.step = Step::Asked(offer);
        self.order(Order::ToServer(Text::lossy(format!("{offer} {argument}"))));
        self.state = State::Arranging(arranging);
    }

    /// The connection to the server's data port stands, or not.
    pub(super) fn server_connected(&mut self, outcome: Result<(), Unopened>) {
        let Some(mut arranging) = self.take_arranging() else {
            return;
        };
        let Step::Connecting(offer) = arranging.step else {
            self.state = State::Arranging(arranging);
            return;
        };
        match outcome {
            Ok(()) => self.server_side_is_ready(arranging, offer),
            Err(Unopened { silent, why }) => {
                self.ways.failed(offer);
                arranging.trouble = Some(why);
                if silent && offer == Offer::Epsv && arranging.ways.front() == Some(&Offer::Pasv) {
                    // To the same address through the same filter: what else there is comes first.
                    arranging.ways.rotate_left(1);
                }
                self.order(Order::Cut);
                self.try_next(arranging);
            }
        }
    }

    /// Nothing but the transfer command is missing, and REST before it.
    fn server_side_is_ready(&mut self, mut arranging: Box<Arranging>, offer: Offer) {
        match &self.restart {
            Some(restart) => {
                let restart = restart.clone();
                self.order(Order::ToServer(restart));
                arranging.step = Step::Restarting(offer);
                self.state = State::Arranging(arranging);
            }
            None => self.begin_transfer(*arranging, offer),
        }
    }

    fn begin_transfer(&mut self, arranging: Arranging, offer: Offer) {
        let Arranging {
            line,
            direction,
            client,
            ..
        } = arranging;
        let server = match offer.opener() {
            Opener::User => {
                self.ways.worked(offer);
                ServerSide::Open
            }
            Opener::Server => {
                self.order(Order::AcceptServer);
                ServerSide::Awaited
            }
        };
        self.order(Order::ToServer(line));
        let client_listens = matches!(client, ClientSide::Active(_));
        let transfer = Transfer::new(direction, client_listens, offer, server);
        self.state = State::Transfer(Box::new(transfer));
    }

    /// ABOR before the transfer command was sent.
    pub(super) fn abort_arranging(&mut self) {
        let Some(arranging) = self.take_arranging() else {
            return;
        };
        self.order(Order::Cut);
        self.tell(426, "Transfer aborted");
        self.tell(226, "ABOR successful");
        self.settle(u32::from(arranging.is_asked()));
    }

    fn take_arranging(&mut self) -> Option<Box<Arranging>> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Arranging(arranging) => Some(arranging),
            other => {
                self.state = other;
                None
            }
        }
    }
}
