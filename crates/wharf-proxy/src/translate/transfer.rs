//! One transfer, from the moment its command is with the server: two data connections, the server's replies and ABOR in
//! any order, one final reply to the client.
//!
//! | seen | told |
//! |---|---|
//! | 1yz, and the server's data connection stands | passive client: the 1yz, then its connection is awaited; active client: it is connected to, then the 1yz |
//! | everything moved, and the server's final reply | that reply |
//! | 2yz while bytes still move | nothing until they have |
//! | 2yz, and something broke on our side | 426: the server's word is not true for the client |
//! | 4yz/5yz, upload | that reply, and the data connections are reset |
//! | 4yz/5yz, download | what was sent is still passed on, then that reply |
//! | 2yz, and no connection of the server's | an empty download; 426 for an upload |
//! | no connection to or from the client | 425 that says so; the server's data connection is reset |
//! | no connection from the server (active) | 425 that says so, ABOR to the server |
//! | ABOR | 426 and 226 at once; ABOR to the server, its replies are awaited before the next command |
//! | ABOR when everything has moved | comes too late: the final reply, then 226 |
//!
//! What is reset on one side is reset on the other: in stream mode an orderly end says that the file is whole.

use wharf_proto::data_connection::Offer;
use wharf_proto::user_transfer::Direction;
use wharf_proto::{Reply, Text};

use super::{Order, State, Translator, Trouble, Unopened, Wait};

/// Final replies to what was given up, after which a server is in step whatever it meant by them.
const MOST_OWED: u32 = 4;

/// A transfer command that is with the server.
#[derive(Debug)]
pub(super) struct Transfer {
    direction: Direction,
    /// The client listens (PORT): we connect, and say 150 when the connection stands. BSD's clients go to accept it
    /// when they hear 150, and would never read a 425.
    client_listens: bool,
    offer: Offer,
    server: ServerSide,
    client: ClientData,
    /// The first 1yz, until it is passed on.
    opening: Option<Reply>,
    told: bool,
    answer: Option<Reply>,
    moved: Option<Result<(), Trouble>>,
    /// ABOR came when it was too late.
    abort_waits: bool,
    pub(super) server_gone: bool,
}

/// The data connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerSide {
    /// The server opens it.
    Awaited,
    /// It stands.
    Open,
    /// The server was done without it.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientData {
    NotYet,
    /// Whoever shares our port is asked whether the connection can come about.
    Announced,
    Opening,
    Open,
}

/// Replies of the server to what was given up.
#[derive(Debug)]
pub(super) struct Settling {
    /// Final replies that are to come.
    owed: u32,
    heard: u32,
    /// ABOR was sent: some servers answer with two replies, some with one.
    aborted: bool,
    /// A PWD behind everything: no other command gets its 257.
    fence: bool,
}

impl Transfer {
    pub(super) fn new(
        direction: Direction,
        client_listens: bool,
        offer: Offer,
        server: ServerSide,
    ) -> Self {
        Self {
            direction,
            client_listens,
            offer,
            server,
            client: ClientData::NotYet,
            opening: None,
            told: false,
            answer: None,
            moved: None,
            abort_waits: false,
            server_gone: false,
        }
    }

    /// The server has given its final reply, and bytes still move.
    pub(super) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    fn is_moving(&self) -> bool {
        self.client == ClientData::Open && self.moved.is_none()
    }
}

impl Translator {
    pub(super) fn transfer_reply(&mut self, reply: Reply) {
        if reply.is_preliminary() && !self.count_preliminary() {
            return;
        }
        let State::Transfer(transfer) = &mut self.state else {
            return;
        };
        if transfer.answer.is_some() {
            return self.unasked(&reply);
        }
        if reply.is_preliminary() {
            if transfer.told {
                return self.order(Order::ToClient(reply));
            }
            transfer.opening = Some(reply);
            return self.open_client();
        }
        let positive = reply.is_positive();
        transfer.answer = Some(reply);
        match (positive, &transfer.moved) {
            (_, Some(_)) => self.finish(),
            (true, None) => match transfer.server {
                // The server thinks that it is done: what it sent is here now, if there is anything.
                ServerSide::Awaited => self.order(Order::Alarm(Wait::Short)),
                ServerSide::Open | ServerSide::None => self.open_client(),
            },
            (false, None) if transfer.is_moving() && transfer.direction == Direction::Download => {
                self.order(Order::Alarm(Wait::Patience));
            }
            (false, None) => {
                self.order(Order::Cut);
                self.finish();
            }
        }
    }

    /// Begins with the client's data connection as soon as the server's stands and it has said so.
    fn open_client(&mut self) {
        let State::Transfer(transfer) = &mut self.state else {
            return;
        };
        if transfer.server == ServerSide::Awaited || transfer.client != ClientData::NotYet {
            return;
        }
        if transfer.opening.is_none() && transfer.answer.is_none() {
            return;
        }
        transfer.client = ClientData::Announced;
        let direction = transfer.direction;
        self.stale = false;
        self.order(Order::AnnounceToClient(direction));
    }

    /// Whether nothing is in the way of the client's data connection.
    pub(super) fn client_ready(&mut self, outcome: Result<(), String>) {
        let State::Transfer(transfer) = &mut self.state else {
            return;
        };
        if transfer.client != ClientData::Announced {
            return;
        }
        if let Err(why) = outcome {
            let text = format!("No data connection between client and proxy: {why}");
            return self.give_up(&Reply::new(425, text));
        }
        transfer.client = ClientData::Opening;
        transfer.told = !transfer.client_listens;
        let told = transfer.told;
        let opening = transfer
            .opening
            .get_or_insert_with(|| Reply::new(150, "Opening data connection"))
            .clone();
        if told {
            self.order(Order::ToClient(opening));
        }
        self.order(Order::OpenClient);
    }

    /// The server's data connection.
    pub(super) fn server_data(&mut self, outcome: Result<(), Unopened>) {
        let State::Transfer(transfer) = &mut self.state else {
            return self.server_connected(outcome);
        };
        if transfer.server != ServerSide::Awaited {
            return;
        }
        let offer = transfer.offer;
        match outcome {
            Ok(()) => {
                transfer.server = ServerSide::Open;
                self.ways.worked(offer);
                self.order(Order::Calm);
                self.open_client();
            }
            Err(_) if transfer.answer.is_some() => self.without_server(),
            Err(Unopened { why, .. }) => {
                self.ways.failed(offer);
                let text = format!("No data connection between proxy and server ({offer}): {why}");
                self.give_up(&Reply::new(425, text));
            }
        }
    }

    /// The server has said that it is done, and never opened a data connection: there was nothing to send.
    fn without_server(&mut self) {
        let State::Transfer(transfer) = &mut self.state else {
            return;
        };
        transfer.server = ServerSide::None;
        if transfer.direction == Direction::Download {
            return self.open_client();
        }
        let why = "The server says that it is done and has taken no data; transfer incomplete";
        transfer.moved = Some(Err(why.to_owned().into()));
        self.order(Order::Cut);
        self.finish();
    }

    /// The client's data connection.
    pub(super) fn client_data(&mut self, outcome: Result<(), Trouble>) {
        let State::Transfer(transfer) = &mut self.state else {
            return;
        };
        if transfer.client != ClientData::Opening {
            return;
        }
        match outcome {
            Ok(()) => {
                transfer.client = ClientData::Open;
                let direction = transfer.direction;
                let opening = transfer.opening.clone().filter(|_| !transfer.told);
                transfer.told = true;
                if let Some(opening) = opening {
                    self.order(Order::ToClient(opening));
                }
                self.order(Order::Move(direction));
            }
            Err(trouble) => {
                let code = trouble.code(425);
                let text = format!(
                    "No data connection between client and proxy: {}",
                    trouble.why
                );
                self.give_up(&Reply::new(code, text));
            }
        }
    }

    /// Bytes have moved to the end, or not.
    pub(super) fn moved(&mut self, outcome: Result<(), Trouble>) {
        let State::Transfer(transfer) = &mut self.state else {
            return;
        };
        if !transfer.is_moving() {
            return;
        }
        let broke = outcome.is_err();
        transfer.moved = Some(outcome);
        if transfer.answer.is_some() {
            self.finish();
        } else if broke {
            // The server notices the reset and says what it makes of it.
            self.order(Order::Alarm(Wait::Patience));
        }
    }

    /// The final reply to the client.
    fn finish(&mut self) {
        let State::Transfer(transfer) = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        self.order(Order::Calm);
        let reply = match (transfer.answer, transfer.moved) {
            (Some(reply), Some(Err(trouble))) if reply.is_positive() => {
                Reply::new(trouble.code(426), trouble.why)
            }
            (Some(reply), _) => reply,
            (None, Some(Err(trouble))) => Reply::new(trouble.code(426), trouble.why),
            (None, _) => Reply::new(426, "Transfer incomplete"),
        };
        let leaving = reply.code() == 421 || transfer.server_gone;
        self.order(Order::ToClient(reply.clone()));
        if transfer.abort_waits {
            self.tell(226, "Nothing to abort: the transfer was over");
        }
        if leaving {
            if reply.code() != 421 {
                self.tell(421, "The server has closed the control connection, goodbye");
            }
            self.hang_up();
        }
    }

    /// Our side of the transfer fails: this is told, and the server is made to give up, too.
    fn give_up(&mut self, reply: &Reply) {
        let State::Transfer(transfer) = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        self.order(Order::Cut);
        self.order(Order::ToClient(reply.clone()));
        if transfer.answer.is_some() {
            return self.order(Order::Calm);
        }
        if transfer.server == ServerSide::Open {
            // It is reset, which the server notices: ABOR would only make it uncertain how many replies follow.
            self.settle(1);
        } else {
            self.order(Order::Abort);
            self.settle_aborted();
        }
    }

    /// ABOR of the client.
    pub(super) fn abort(&mut self) {
        let State::Transfer(transfer) = &mut self.state else {
            return self.abort_arranging();
        };
        if transfer.moved == Some(Ok(())) {
            transfer.abort_waits = true;
            return;
        }
        let answered = transfer.answer.is_some();
        self.state = State::Idle;
        self.order(Order::Cut);
        self.tell(426, "Transfer aborted");
        self.tell(226, "ABOR successful");
        if answered {
            return self.order(Order::Calm);
        }
        self.order(Order::Abort);
        self.settle_aborted();
    }

    /// Waits for so many final replies that nobody wants; then the server is made to forget a REST that no transfer used.
    pub(super) fn settle(&mut self, owed: u32) {
        if owed == 0 {
            return self.settled();
        }
        self.state = State::Settling(Settling {
            owed,
            heard: 0,
            aborted: false,
            fence: false,
        });
        self.order(Order::Alarm(Wait::Patience));
    }

    fn settle_aborted(&mut self) {
        self.settle(2);
        if let State::Settling(settling) = &mut self.state {
            settling.aborted = true;
        }
    }

    fn settled(&mut self) {
        self.state = State::Idle;
        self.order(Order::Calm);
        if self.restart.take().is_some() {
            self.order(Order::ToServer(Text::lossy("REST 0")));
            self.settle(1);
        }
    }

    pub(super) fn settling_reply(&mut self, reply: Reply) {
        if reply.is_preliminary() {
            self.count_preliminary();
            return;
        }
        if reply.code() == 421 {
            self.order(Order::ToClient(reply));
            return self.hang_up();
        }
        let State::Settling(settling) = &mut self.state else {
            return;
        };
        settling.heard += 1;
        let in_step = if settling.fence {
            reply.code() == 257 || settling.heard >= MOST_OWED
        } else {
            settling.heard >= settling.owed
        };
        if in_step {
            self.settled();
        } else if settling.aborted {
            // The second reply follows on the heels of the first, or never.
            self.order(Order::Alarm(Wait::Short));
        }
    }

    /// The alarm.
    pub(super) fn late(&mut self) {
        match &mut self.state {
            State::Transfer(transfer) => {
                if transfer.answer.is_some() && transfer.server == ServerSide::Awaited {
                    return self.without_server();
                }
                let positive = transfer.answer.as_ref().is_some_and(Reply::is_positive);
                if transfer.answer.is_some() && !positive {
                    self.order(Order::Cut);
                    return self.finish();
                }
                if let Some(Err(why)) = transfer.moved.clone() {
                    // Reset, and it has not noticed.
                    let reply = Reply::new(why.code(426), why.why);
                    self.order(Order::ToClient(reply));
                    self.order(Order::Cut);
                    self.order(Order::Abort);
                    self.settle_aborted();
                }
            }
            State::Settling(settling) => {
                if settling.fence {
                    self.order(Order::Cut);
                    self.tell(421, "The server does not answer any more, goodbye");
                    return self.hang_up();
                }
                if settling.heard == 0 && !settling.aborted {
                    settling.aborted = true;
                    settling.owed += 1;
                    self.order(Order::Abort);
                    return self.order(Order::Alarm(Wait::Patience));
                }
                settling.fence = true;
                self.order(Order::ToServer(Text::lossy("PWD")));
                self.order(Order::Alarm(Wait::Long));
            }
            _ => {}
        }
    }
}
