//! The user-PI's bookkeeping: which commands wait for a reply, and which reply belongs to which command.
//!
//! Replies come in the order of the commands, with two exceptions this file is about:
//!
//! * STAT and NOOP during a transfer are answered before the transfer's final reply (RFC 959 §4.1.3). Which of the two
//!   a reply answers follows from the codes that the verb table allows for each verb.
//! * After ABOR there may be two replies (426, 226), or only one: servers differ, and a transfer may have ended by
//!   itself just before. The abandoned commands stay on the books as *owed*; a PWD behind them is the fence, for no
//!   other command gets its 257: it ends the wait whatever was left out before it. (NOOP would not do: there are
//!   servers that answer ABOR with 200.)
//!
//! No time here: when to send the fence is the caller's decision ([`UserPi::wants_fence`]).

use std::collections::VecDeque;

use crate::command::{Command, Verb};
use crate::parameter::RepresentationType;
use crate::reply::{Reply, ReplyClass};

/// The reply to PWD, and to MKD, which is never pipelined behind an ABOR.
const FENCE: u16 = 257;

/// Names a command that was sent, so that its reply can be told from others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What a reply means for the commands that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The greeting is complete (220), or refused (421, 5yz).
    Greeting,
    /// 1yz for this command; its final reply is still to come.
    Preliminary(Ticket),
    /// The final reply for this command. 3yz is final, too: it asks for the next command of the sequence.
    Final(Ticket),
    /// A reply that was owed to an abandoned command. Of no interest, but counted.
    Owed,
    /// Nothing waits for it: a 421 before the server hangs up, or a server that answers twice.
    Unasked,
}

/// The commands of one control connection that wait for replies.
#[derive(Debug, Clone)]
pub struct UserPi {
    greeted: bool,
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    /// TYPE as the server has it; `None` when unknown.
    representation: Option<RepresentationType>,
    /// A restart marker other than 0 may stand at the server.
    marker: bool,
    closing: bool,
}

#[derive(Debug, Clone)]
struct Waiting {
    ticket: Ticket,
    verb: &'static Verb,
    means: Means,
    /// 1yz came: a transfer runs.
    running: bool,
    /// Nobody wants the reply any more.
    abandoned: bool,
    /// The PWD behind an ABOR.
    fence: bool,
}

/// What a command changes at the server when it is answered as it should be.
#[derive(Debug, Clone, Copy, Default)]
struct Means {
    representation: Option<RepresentationType>,
    /// REST
    marker: Option<Marker>,
    /// A transfer, which uses the marker up as soon as it begins
    transfers: bool,
}

#[derive(Debug, Clone, Copy)]
struct Marker {
    /// It is not 0.
    stands: bool,
    /// One stood already.
    before: bool,
}

impl Default for UserPi {
    fn default() -> Self {
        Self::new()
    }
}

impl UserPi {
    /// Right after connecting: the greeting is to come, TYPE A N is in force (RFC 959 §5.1).
    pub fn new() -> Self {
        Self {
            greeted: false,
            waiting: VecDeque::new(),
            next_ticket: 0,
            representation: Some(RepresentationType::default()),
            marker: false,
            closing: false,
        }
    }

    /// The command was sent.
    pub fn sent(&mut self, command: &Command) -> Ticket {
        let mut means = Means::default();
        match command {
            Command::Type(representation) => {
                // until the reply is there, either may be in force
                self.representation = None;
                means.representation = Some(*representation);
            }
            Command::Rein => {
                self.representation = None;
                means.representation = Some(RepresentationType::default());
            }
            Command::Rest(marker) => {
                let (stands, before) = (*marker != 0, self.marker);
                self.marker |= stands;
                means.marker = Some(Marker { stands, before });
            }
            Command::Retr(_)
            | Command::Stor(_)
            | Command::Stou(_)
            | Command::Appe(_)
            | Command::List(_)
            | Command::Nlst(_)
            | Command::Mlsd(_) => means.transfers = true,
            _ => {}
        }
        self.push(command.verb(), means)
    }

    fn push(&mut self, verb: &'static Verb, means: Means) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.waiting.push_back(Waiting {
            ticket,
            verb,
            means,
            running: false,
            abandoned: false,
            fence: false,
        });
        ticket
    }

    /// Everything that waits is given up: ABOR was sent, or will never be answered to anybody. Its replies are owed and
    /// swallowed.
    pub fn abandon(&mut self) {
        for waiting in &mut self.waiting {
            waiting.abandoned = true;
        }
    }

    /// Is something owed, and no fence behind it yet? A caller that has waited a while for the reply to ABOR sends one.
    pub fn wants_fence(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.abandoned)
            && !self.waiting.iter().any(|waiting| waiting.fence)
    }

    /// The fence: this command is to be sent now. Its reply is swallowed, too.
    pub fn fence(&mut self) -> Command {
        self.push(Command::Pwd.verb(), Means::default());
        if let Some(fence) = self.waiting.back_mut() {
            fence.abandoned = true;
            fence.fence = true;
        }
        Command::Pwd
    }

    /// A reply was read.
    pub fn heard(&mut self, reply: &Reply) -> Heard {
        if reply.code() == 421 {
            self.closing = true;
        }
        if !self.greeted {
            // 120 announces a delay, 220 follows
            self.greeted = reply.class() != ReplyClass::Preliminary;
            return Heard::Greeting;
        }
        let Some(at) = self.addressee(reply) else {
            return Heard::Unasked;
        };
        if reply.class() == ReplyClass::Preliminary {
            return match self.waiting.get_mut(at) {
                Some(waiting) => {
                    waiting.running = true;
                    self.marker &= !waiting.means.transfers;
                    if waiting.abandoned {
                        Heard::Owed
                    } else {
                        Heard::Preliminary(waiting.ticket)
                    }
                }
                None => Heard::Unasked,
            };
        }
        if self.waiting.get(at).is_some_and(|waiting| waiting.fence) {
            // what is older will never be answered
            self.waiting.drain(..at);
            self.waiting.pop_front();
            return Heard::Owed;
        }
        match self.waiting.remove(at) {
            Some(waiting) => {
                self.answered(waiting.means, reply.class());
                if waiting.abandoned {
                    Heard::Owed
                } else {
                    Heard::Final(waiting.ticket)
                }
            }
            None => Heard::Unasked,
        }
    }

    fn answered(&mut self, means: Means, class: ReplyClass) {
        let done = class == ReplyClass::Completion;
        if let Some(representation) = means.representation {
            self.representation = done.then_some(representation);
        }
        if let Some(Marker { stands, before }) = means.marker {
            self.marker = match class {
                ReplyClass::Intermediate => stands,
                ReplyClass::TransientNegative | ReplyClass::PermanentNegative => before,
                // neither accepted nor refused
                _ => true,
            };
        }
        self.marker &= !(means.transfers && done);
    }

    /// The place of the command that this reply answers: the oldest, unless a transfer runs there and the code is none
    /// of a transfer's but one that a later command may get.
    fn addressee(&self, reply: &Reply) -> Option<usize> {
        let oldest = self.waiting.front()?;
        let code = reply.code();
        let fence = self.waiting.iter().position(|waiting| waiting.fence);
        if code == FENCE && fence.is_some() {
            return fence;
        }
        if oldest.running && reply.class() != ReplyClass::Preliminary && !belongs(oldest.verb, code)
        {
            let later = self
                .waiting
                .iter()
                .position(|waiting| !waiting.running && belongs(waiting.verb, code));
            return Some(later.unwrap_or(0));
        }
        Some(0)
    }

    /// How many final replies are still to come, of abandoned commands too.
    pub fn outstanding(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing is owed: the next reply belongs to the next command.
    pub fn in_step(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Was the greeting read?
    pub fn greeted(&self) -> bool {
        self.greeted
    }

    /// The server said 421: it closes the control connection, whatever else is outstanding.
    pub fn closing(&self) -> bool {
        self.closing
    }

    /// May the server hold a restart marker, so that REST 0 must stand before a transfer that begins at the beginning? It
    /// should forget one with the next command (RFC 3659 §5.3), but vsftpd 3.0.3 keeps it until something is transferred, and a
    /// REST may be left alone: no data connection came about, or nobody wanted the transfer any more.
    pub fn may_hold_marker(&self) -> bool {
        self.marker
    }

    /// Must TYPE be sent before a transfer in this representation type?
    pub fn needs_type(&self, wanted: RepresentationType) -> bool {
        self.representation != Some(wanted)
    }
}

/// Is this a code that the verb's own reply list has? Generic errors (500 to 504, 421) belong to the oldest command.
fn belongs(verb: &Verb, code: u16) -> bool {
    verb.replies.contains(&code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends `lines`, then hears `codes`; what was heard as text: the place of the command, `p` for preliminary, `o`
    /// owed, `?` unasked.
    fn heard(pi: &mut UserPi, lines: &[&str], codes: &[u16]) -> String {
        let tickets: Vec<Ticket> = lines
            .iter()
            .map(|line| pi.sent(&Command::parse(line.as_bytes()).unwrap()))
            .collect();
        listen(pi, &tickets, codes)
    }

    fn listen(pi: &mut UserPi, tickets: &[Ticket], codes: &[u16]) -> String {
        let place = |ticket: Ticket| {
            tickets
                .iter()
                .position(|known| *known == ticket)
                .map_or("!".to_owned(), |at| at.to_string())
        };
        let words: Vec<String> = codes
            .iter()
            .map(|code| match pi.heard(&Reply::new(*code, "text")) {
                Heard::Greeting => "g".to_owned(),
                Heard::Preliminary(ticket) => format!("p{}", place(ticket)),
                Heard::Final(ticket) => place(ticket),
                Heard::Owed => "o".to_owned(),
                Heard::Unasked => "?".to_owned(),
            })
            .collect();
        words.join(" ")
    }

    fn greeted() -> UserPi {
        let mut pi = UserPi::new();
        assert_eq!(pi.heard(&Reply::new(220, "ready")), Heard::Greeting);
        pi
    }

    #[test]
    fn the_greeting_may_be_delayed() {
        let mut pi = UserPi::new();
        assert_eq!(heard(&mut pi, &[], &[120, 220, 220]), "g g ?");
        let mut pi = UserPi::new();
        assert_eq!(heard(&mut pi, &[], &[421]), "g");
        assert!(pi.closing());
    }

    #[test]
    fn replies_find_their_commands() {
        let table: [(&[&str], &[u16], &str); 12] = [
            (&["USER joe", "PASS x", "PWD"], &[331, 230, 257], "0 1 2"),
            (&["RETR a"], &[150, 226], "p0 0"),
            (&["RETR a"], &[550], "0"),
            (&["RETR a"], &[125, 150, 226], "p0 p0 0"),
            // commands sent during a transfer
            (&["RETR a", "STAT"], &[150, 211, 226], "p0 1 0"),
            (&["RETR a", "STAT"], &[150, 213, 226], "p0 1 0"),
            (&["RETR a", "NOOP"], &[150, 200, 226], "p0 1 0"),
            (&["RETR a", "NOOP"], &[150, 226, 200], "p0 0 1"),
            (
                &["RETR a", "STAT", "NOOP"],
                &[150, 211, 200, 426],
                "p0 1 2 0",
            ),
            // a server that does not know NOOP answers in order
            (&["RETR a", "NOOP"], &[150, 226, 500], "p0 0 1"),
            // nothing runs: order alone counts
            (&["PASV", "RETR a"], &[227, 150, 226], "0 p1 1"),
            (&["QUIT"], &[221, 221], "0 ?"),
        ];
        for (lines, codes, want) in table {
            let mut pi = greeted();
            assert_eq!(heard(&mut pi, lines, codes), want, "{lines:?} {codes:?}");
            assert!(pi.in_step());
        }
    }

    #[test]
    fn after_an_abort_the_replies_owed_are_swallowed() {
        // what the server says after ABOR, and whether that was all
        let table: [(&[u16], bool); 8] = [
            (&[426, 226], true),
            (&[226, 226], true),
            (&[425, 226], true),
            (&[426, 225], true),
            (&[226, 200], true),
            (&[226, 500], true),
            (&[226], false),
            (&[426], false),
        ];
        for (codes, in_step) in table {
            let mut pi = greeted();
            assert_eq!(heard(&mut pi, &["RETR a"], &[150]), "p0");
            pi.sent(&Command::Abor);
            pi.abandon();
            for code in codes {
                assert_eq!(pi.heard(&Reply::new(*code, "x")), Heard::Owed);
            }
            assert_eq!(pi.in_step(), in_step, "{codes:?}");
            if !in_step {
                assert!(pi.wants_fence());
                assert_eq!(pi.fence(), Command::Pwd);
                assert!(!pi.wants_fence());
                assert_eq!(pi.heard(&Reply::new(257, "\"/\"")), Heard::Owed);
                assert!(pi.in_step());
            }
            assert_eq!(heard(&mut pi, &["PWD"], &[257]), "0");
        }
    }

    #[test]
    fn a_late_reply_before_the_fence_is_still_owed() {
        let mut pi = greeted();
        heard(&mut pi, &["RETR a"], &[150]);
        pi.sent(&Command::Abor);
        pi.abandon();
        pi.fence();
        let pwd = pi.sent(&Command::Pwd);
        assert_eq!(listen(&mut pi, &[pwd], &[426, 226, 257, 257]), "o o o 0");
        heard(&mut pi, &["RETR a"], &[150]);
        pi.sent(&Command::Abor);
        pi.abandon();
        pi.fence();
        let noop = pi.sent(&Command::Noop);
        assert_eq!(listen(&mut pi, &[noop], &[426, 257, 200]), "o o 0");
        assert!(pi.in_step());
    }

    #[test]
    fn type_is_sent_only_when_it_changes() {
        let ascii = RepresentationType::default();
        let mut pi = greeted();
        assert!(!pi.needs_type(ascii));
        assert!(pi.needs_type(RepresentationType::Image));
        heard(&mut pi, &["TYPE I"], &[200]);
        assert!(!pi.needs_type(RepresentationType::Image));
        heard(&mut pi, &["TYPE A"], &[504]);
        assert!(pi.needs_type(ascii) && pi.needs_type(RepresentationType::Image));
        heard(&mut pi, &["REIN"], &[220]);
        assert!(!pi.needs_type(ascii));
    }

    #[test]
    fn a_marker_stands_until_it_is_used_or_taken_back() {
        let table: [(&[&str], &[u16], bool); 12] = [
            (&["REST 3"], &[], true),
            (&["REST 3"], &[350], true),
            (&["REST 3"], &[502], false),
            (&["REST 3"], &[226], true),
            (&["REST 3", "REST 4"], &[350, 501], true),
            (&["REST 3", "EPSV", "NOOP"], &[350, 229, 200], true),
            (&["REST 3", "REST 0"], &[350, 350], false),
            (&["REST 3", "REST 0"], &[350, 500], true),
            (&["REST 3", "RETR a"], &[350, 150], false),
            (&["REST 3", "STOR a"], &[350, 226], false),
            (&["REST 3", "STOR a"], &[350, 425], true),
            (&["REST 0"], &[350], false),
        ];
        for (lines, codes, stands) in table {
            let mut pi = greeted();
            heard(&mut pi, lines, codes);
            assert_eq!(pi.may_hold_marker(), stands, "{lines:?} {codes:?}");
        }
    }

    proptest! {
        #[test]
        fn the_books_balance_whatever_the_server_says(
            steps in proptest::collection::vec((0_u8..8, prop_oneof![
                Just(150_u16), Just(200), Just(211), Just(226), Just(257), Just(331), Just(421), Just(426), Just(500), Just(550),
            ]), 0..60),
        ) {
            let mut pi = UserPi::new();
            let (mut sent, mut answered) = (0_usize, 0_usize);
            for (step, code) in steps {
                match step {
                    0 => { pi.sent(&Command::Pasv); sent += 1; }
                    1 => { pi.sent(&Command::Noop); sent += 1; }
                    2 => { pi.sent(&Command::Abor); pi.abandon(); sent += 1; }
                    3 if pi.wants_fence() => { pi.fence(); sent += 1; }
                    _ => {
                        let before = pi.outstanding();
                        let heard = pi.heard(&Reply::new(code, "x"));
                        let fewer = before - pi.outstanding();
                        answered += fewer;
                        match heard {
                            Heard::Final(_) => prop_assert_eq!(fewer, 1),
                            Heard::Owed => {}
                            Heard::Greeting | Heard::Preliminary(_) | Heard::Unasked => prop_assert_eq!(fewer, 0),
                        }
                    }
                }
                prop_assert_eq!(pi.outstanding(), sent - answered);
            }
        }
    }
}
