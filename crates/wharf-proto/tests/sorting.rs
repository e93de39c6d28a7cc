//! Every rule and every race as a small play, and the safety law over all orders of events.
//!
//! A line of a play is `MILLISECONDS EVENT => VERDICTS`. Sessions are `s1`, connections `a`, addresses `A`, the control door
//! `ctl`, one where control connections begin in TLS `imp`, data doors `d1`, `d2`. A session in TLS asks with `tls` if it is
//! known by its session alone, else with `either`; `hello a s1` is a ClientHello with a ticket of `s1`, `hello a -` one
//! without. Verdicts that time alone brought about between two lines carry their own moment: `@45 ...`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use wharf_proto::data_connection::Flow;
use wharf_proto::data_connection::sorting::{
    ARRIVALS, ARRIVALS_IN_ALL, Ask, ConnId, Door, DropReason, HELD, KnownBy, Refusal, SessionId,
    SharedAddress, Sorter, Takes, UNDECIDED, UNPROVED, User, Verdict, WAITERS, Word,
};

struct Play {
    sorter: Sorter,
    now: Duration,
    heard: Vec<(Duration, Verdict)>,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn session(word: &str) -> SessionId {
    SessionId(word.strip_prefix('s').unwrap().parse().unwrap())
}

fn conn(word: &str) -> ConnId {
    ConnId(u64::from_str_radix(word, 36).unwrap())
}

fn conn_word(conn: ConnId) -> String {
    let digit = |n: u64| char::from_digit(u32::try_from(n).unwrap(), 36).unwrap();
    match conn.0 {
        n if n < 36 => digit(n).to_string(),
        n => format!("{}{}", digit(n / 36), digit(n % 36)),
    }
}

fn address(word: &str) -> IpAddr {
    match word {
        "A" => "192.0.2.1".parse().unwrap(),
        "A6" => "::ffff:192.0.2.1".parse().unwrap(),
        "B" => "192.0.2.2".parse().unwrap(),
        "X" => "2001:db8::1".parse().unwrap(),
        "Y" => "2001:db8::2".parse().unwrap(),
        word => panic!("no such address: {word}"),
    }
}

fn door(word: &str) -> Door {
    match word.strip_prefix('d') {
        Some(number) => Door {
            number: number.parse().unwrap(),
            takes: Takes::Data,
        },
        None if word == "imp" => Door {
            number: 200,
            takes: Takes::ControlInTls,
        },
        None => Door {
            number: if word == "ctl" { 0 } else { 100 },
            takes: Takes::Control,
        },
    }
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Granted { session, door } => match (door.takes, door.number) {
            (Takes::Control, 0) => format!("granted s{} ctl", session.0),
            (Takes::Control, _) => format!("granted s{} ctl2", session.0),
            (Takes::ControlInTls, _) => format!("granted s{} imp", session.0),
            (Takes::Data, number) => format!("granted s{} d{number}", session.0),
        },
        Verdict::Refused { session, why } => {
            let why = match why {
                Refusal::ManyUsers { .. } => "many-users".to_owned(),
                Refusal::CannotTell { count, .. } => format!("cannot-tell-{count}"),
                Refusal::AlikeInTls { count } => format!("alike-{count}"),
                Refusal::Crowded { .. } => "crowded".to_owned(),
                Refusal::NoTurn { .. } => "no-turn".to_owned(),
                Refusal::TurnOver { .. } => "turn-over".to_owned(),
                Refusal::NoDoor => "no-door".to_owned(),
            };
            format!("refused s{} {why}", session.0)
        }
        Verdict::NobodyYet { session } => format!("nobody s{}", session.0),
        Verdict::Control { conn } => format!("control {}", conn_word(*conn)),
        Verdict::Data { conn, session } => format!("data {} s{}", conn_word(*conn), session.0),
        Verdict::Drop { conn, why } => {
            let why = match why {
                DropReason::Stranger => "stranger",
                DropReason::NotResumed => "not-resumed",
                DropReason::Gone => "gone",
                DropReason::Ambiguous => "ambiguous",
                DropReason::Flood => "flood",
            };
            format!("drop {} {why}", conn_word(*conn))
        }
    }
}

fn known_by(word: Option<&&str>) -> KnownBy {
    match word {
        Some(&"tls") => KnownBy::Session,
        Some(&"either") => KnownBy::Either,
        _ => KnownBy::Address,
    }
}

impl Play {
    fn new() -> Self {
        Self {
            sorter: Sorter::new(),
            now: Duration::ZERO,
            heard: Vec::new(),
        }
    }

    fn hear(&mut self) {
        while let Some(verdict) = self.sorter.next_verdict() {
            self.heard.push((self.now, verdict));
        }
    }

    /// Time passes, every deadline is kept to the moment
    fn wait_until(&mut self, to: Duration) {
        while let Some(at) = self.sorter.deadline().filter(|at| *at <= to) {
            assert!(at >= self.now, "a deadline in the past does nothing");
            self.now = at;
            let before = self.sorter.deadline();
            self.sorter.elapsed(at);
            self.hear();
            assert_ne!(
                self.sorter.deadline(),
                before,
                "a deadline that moves nothing"
            );
        }
        self.now = to;
    }

    fn act(&mut self, event: &str) {
        let now = self.now;
        let words: Vec<&str> = event.split(' ').collect();
        match *words.as_slice() {
            ["."] => {}
            ["login", who, from, user] => {
                let user = match user {
                    "anonymous" => User::Anonymous,
                    name => User::Named(name.to_owned()),
                };
                let (who, from) = (session(who), address(from));
                self.sorter.logged_in(now, who, from, user);
            }
            ["logout", who] => self.sorter.logged_out(now, session(who)),
            ["ask", who, from, doors, ..] => {
                let doors: Vec<Door> = doors.split(',').filter(|it| *it != "-").map(door).collect();
                let shared_address = match words.last() {
                    Some(&"any") => SharedAddress::AnyUser,
                    _ => SharedAddress::OneUser,
                };
                let ask = Ask {
                    session: session(who),
                    address: address(from),
                    doors: &doors,
                    shared_address,
                    known_by: known_by(words.last()),
                };
                self.sorter.ask(now, &ask);
            }
            ["come", what, from, at] => {
                let (what, at, from) = (conn(what), door(at), address(from));
                self.sorter.arrived(now, what, at, from);
            }
            ["spoke", what] => self.sorter.spoke(now, conn(what), Word::Clear),
            ["begun", what] => self.sorter.spoke(now, conn(what), Word::Begun),
            ["hello", what, "-"] => self.sorter.spoke(now, conn(what), Word::Hello(None)),
            ["hello", what, who] => {
                let word = Word::Hello(Some(session(who)));
                self.sorter.spoke(now, conn(what), word);
            }
            ["ended", what] => self.sorter.ended(now, conn(what)),
            ["say", who, "out"] => self.sorter.announced(now, session(who), Flow::Outgoing),
            ["say", who, "in"] => self.sorter.announced(now, session(who), Flow::Incoming),
            ["withdraw", who] => self.sorter.withdrawn(now, session(who)),
            ["gone", who] => self.sorter.gone(now, session(who)),
            _ => panic!("not an event: {event}"),
        }
        self.hear();
    }
}

#[track_caller]
fn check(name: &str, text: &str) {
    let mut play = Play::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, expected) = line.split_once("=>").unwrap_or((line, ""));
        let (at, event) = head.trim().split_once(' ').unwrap();
        play.wait_until(ms(at.parse().unwrap()));
        play.act(event);
        let got: Vec<String> = std::mem::take(&mut play.heard)
            .iter()
            .map(|(when, verdict)| {
                if *when == play.now {
                    word(verdict)
                } else {
                    format!("@{} {}", when.as_millis(), word(verdict))
                }
            })
            .collect();
        assert_eq!(got.join(", "), expected.trim(), "{name}: {line}");
    }
}

#[test]
fn rules_of_a_single_session() {
    let table = [
        (
            "1: nobody is armed, control door",
            "
            0 come a A ctl => control a
            0 login s1 A ann
            1 come b A ctl => control b",
        ),
        (
            "2: nobody is armed, data door",
            "
            0 come a A d1 => drop a stranger
            0 login s1 A ann
            1 come b A d1 => drop b stranger",
        ),
        (
            "3: data door",
            "
            0 ask s1 A d1 => granted s1 d1
            30 come a A d1 => data a s1
            60 say s1 out => nobody s1
            61 withdraw s1",
        ),
        (
            "3: the one that lives may come second",
            "
            0 ask s1 A d1 => granted s1 d1
            30 come a A d1 => data a s1
            31 come b A d1 => data b s1",
        ),
        (
            "6, 10: connection, then command (curl and all common clients)",
            "
            0 ask s1 A ctl => granted s1 ctl
            40 come a A ctl
            90 say s1 out
            179 .
            180 . => data a s1",
        ),
        (
            "10: command, then connection",
            "
            0 ask s1 A ctl => granted s1 ctl
            40 say s1 out => nobody s1
            60 come a A ctl
            1000 . => @120 data a s1",
        ),
        (
            "10: the settle time is 5 ms at least",
            "
            0 ask s1 A ctl => granted s1 ctl
            0 come a A ctl
            0 say s1 out
            1000 . => @5 data a s1",
        ),
        (
            "10: and 200 ms at most",
            "
            0 ask s1 A ctl => granted s1 ctl
            900 come a A ctl
            1000 say s1 in
            2000 . => @1200 data a s1",
        ),
        (
            "10: data in an upload may follow the announcement",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            10 say s1 in
            11 spoke a
            20 . => data a s1",
        ),
        (
            "10: so may the end of an empty upload",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            10 say s1 in
            11 ended a
            20 . => data a s1",
        ),
        (
            "8: the first word of an upload may come before its command",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 spoke a
            10 say s1 in
            20 . => data a s1",
        ),
        (
            "8: but not for long",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 spoke a
            300 . => @256 control a
            301 say s1 in => nobody s1",
        ),
        (
            "7: who speaks before a download is no data client",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 spoke a
            10 say s1 out => control a, nobody s1",
        ),
        (
            "7: nor who speaks after its announcement",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            10 say s1 out
            11 spoke a => control a, nobody s1
            12 come b A ctl
            40 . => @24 data b s1",
        ),
        (
            "9: a health check between 229 and command",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 ended a => drop a gone
            7 come b A ctl
            9 say s1 in
            40 . => @18 data b s1",
        ),
        (
            "9: a download has nobody to go to when its client has ended",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            7 say s1 out
            8 ended a => drop a gone, nobody s1",
        ),
        (
            "9: who ends with unread bytes has spoken",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 spoke a
            8 say s1 in
            20 . => @16 data a s1",
        ),
        (
            "12: a connection that no command follows",
            "
            0 ask s1 A ctl => granted s1 ctl
            100 come a A ctl
            3000 . => @1800 control a
            3001 say s1 out => nobody s1",
        ),
        (
            "12: a slow way gives more time",
            "
            0 ask s1 A ctl => granted s1 ctl
            1000 come a A ctl
            4400 say s1 out
            7000 . => @4600 data a s1",
        ),
        (
            "12: but not for ever",
            "
            0 ask s1 A ctl => granted s1 ctl
            20000 come a A ctl
            40000 . => @30000 control a",
        ),
        (
            "15: 60 s without anybody",
            "
            0 ask s1 A ctl => granted s1 ctl
            70000 . => @60000 refused s1 turn-over
            70000 come a A ctl => control a",
        ),
        (
            "addresses are compared in canonical form",
            "
            0 ask s1 A6 ctl => granted s1 ctl
            1 come a A ctl
            2 say s1 out
            9 . => @7 data a s1",
        ),
        (
            "a stranger is a control client, and disturbs nobody",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 come a B ctl => control a
            2 come b A ctl
            3 come c B ctl => control c
            4 say s1 out
            5 come d B ctl => control d
            9 . => data b s1",
        ),
        (
            "IPv6 addresses are taken exactly",
            "
            0 ask s1 X ctl => granted s1 ctl
            1 come a Y ctl => control a",
        ),
        (
            "a stranger at a data door",
            "
            0 ask s1 A d1,d2 => granted s1 d1
            1 come a B d1 => drop a stranger
            2 come b A d2 => drop b stranger
            3 come c A d1 => data c s1",
        ),
        (
            "nothing to ask for",
            "
            0 ask s1 A - => refused s1 no-door",
        ),
        (
            "nobody armed announces nothing",
            "
            0 say s1 out
            0 ask s1 A ctl => granted s1 ctl
            1 withdraw s1
            2 say s1 out
            3 withdraw s1
            4 gone s1
            5 spoke a
            6 ended a",
        ),
        (
            "a new PASV replaces the old one",
            "
            0 ask s1 A d1,d2 => granted s1 d1
            1 ask s1 A d1,d2 => granted s1 d2
            2 come a A d1 => drop a stranger
            3 come b A d2 => data b s1",
        ),
    ];
    for (name, text) in table {
        check(name, text);
    }
}

#[test]
fn races_that_cannot_be_told_apart_are_refused() {
    let table = [
        (
            "11: a control client of the same address, before the data connection",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            10 come b A ctl
            12 say s1 out => refused s1 cannot-tell-2
            20 ended b => drop b gone, control a",
        ),
        (
            "11: after the data connection, before the command",
            "
            0 ask s1 A ctl => granted s1 ctl
            10 come a A ctl
            11 come b A ctl
            12 say s1 in => refused s1 cannot-tell-2
            20 ended a => drop a gone, control b",
        ),
        (
            "11: within the settle time",
            "
            0 ask s1 A ctl => granted s1 ctl
            10 come a A ctl
            12 say s1 out
            21 come b A ctl => refused s1 cannot-tell-2
            2000 . => @1021 control a, @1021 control b",
        ),
        (
            "11: behind a 150 nobody is greeted",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 ask s2 A ctl
            5 say s1 out => nobody s1
            10 come a A ctl
            11 come b A ctl => refused s1 cannot-tell-2, drop a ambiguous, drop b ambiguous
            300 . => @261 granted s2 ctl",
        ),
        (
            "10: a control client first, and a client that sends command and SYN at once (FileZilla)",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 come a A ctl
            40 say s1 out
            79 come b A ctl => refused s1 cannot-tell-2
            120 ended b => drop b gone, control a",
        ),
        (
            "after the settle time it is a control client",
            "
            0 ask s1 A ctl => granted s1 ctl
            10 come a A ctl
            12 say s1 out
            25 come b A ctl => @24 data a s1, control b",
        ),
        (
            "a control client that left in time is no harm",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            10 come b A ctl
            11 ended a => drop a gone
            12 say s1 out
            30 . => @24 data b s1",
        ),
        (
            "11: three",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 come b A ctl
            7 come c A ctl
            12 say s1 out => refused s1 cannot-tell-3
            20 ended b => drop b gone, control a, control c",
        ),
        (
            "11: an upload's client had ended already",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 say s1 in
            7 ended a
            8 come b A ctl => refused s1 cannot-tell-2, drop a gone, control b",
        ),
        (
            "13: who comes while it clears up is a control client",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 come b A ctl
            7 say s1 out => refused s1 cannot-tell-2
            9 come c A ctl => control c
            20 ended a => drop a gone, control b",
        ),
        (
            "13, 14: the next one is armed when it has cleared up",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 ask s2 A ctl
            5 come a A ctl
            6 come b A ctl
            7 say s1 out => refused s1 cannot-tell-2
            9 ask s1 A ctl
            20 ended a => drop a gone, control b, granted s2 ctl
            25 come c A ctl
            30 say s2 out
            50 . => @40 data c s2, @40 granted s1 ctl",
        ),
        (
            "13: ABOR with an undecided arrival",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 say s1 out
            7 withdraw s1
            9 ended a => drop a gone
            10 ask s1 A ctl => granted s1 ctl",
        ),
        (
            "13: ABOR, and its client keeps the data connection open",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 withdraw s1
            10 ask s1 A ctl
            2000 . => @1006 control a, @1006 granted s1 ctl",
        ),
        (
            "13: the session goes with an undecided arrival",
            "
            0 login s1 A ann
            0 ask s1 A ctl => granted s1 ctl
            5 come a A ctl
            6 gone s1
            9 ended a => drop a gone
            9 come b A ctl => control b",
        ),
        (
            "13: the session goes while it waits",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 ask s2 A ctl
            2 gone s2
            5 withdraw s1
            400 ask s3 A ctl => granted s3 ctl",
        ),
        (
            "two sessions behind one address take turns",
            "
            0 ask s1 A ctl => granted s1 ctl
            0 ask s2 A ctl
            0 ask s3 B ctl => granted s3 ctl
            5 come a A ctl
            6 say s1 out
            20 . => @12 data a s1, @12 granted s2 ctl
            20 come b A ctl
            21 say s2 in
            40 . => @30 data b s2",
        ),
        (
            "the command of the other session decides nothing",
            "
            0 ask s1 A ctl => granted s1 ctl
            0 ask s2 A ctl
            5 come a A ctl
            6 say s2 out
            900 .
            901 say s1 out
            1200 . => @1101 data a s1, @1101 granted s2 ctl",
        ),
        (
            "two control doors are two desks",
            "
            0 ask s1 A ctl => granted s1 ctl
            0 ask s2 A ctl2 => granted s2 ctl2
            1 come a A ctl2
            2 come b A ctl
            3 say s1 out
            9 say s2 out => @8 data b s1
            20 . => @18 data a s2",
        ),
        (
            "16: a late SYN is no connection of the next session",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 withdraw s1
            6 ask s2 A ctl
            7 come a A ctl => control a
            300 . => @255 granted s2 ctl",
        ),
        (
            "16: the same session may have it at once",
            "
            0 ask s1 A ctl => granted s1 ctl
            5 withdraw s1
            6 ask s1 A ctl => granted s1 ctl",
        ),
        (
            "16: who got its connection leaves nothing under way",
            "
            0 ask s1 A d1 => granted s1 d1
            1 come a A d1 => data a s1
            2 ask s2 A d1
            5 withdraw s1 => granted s2 d1",
        ),
        (
            "15: no turn for ever while others wait",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 ask s2 A ctl
            5000 . => @4000 refused s1 turn-over, @4250 granted s2 ctl",
        ),
        (
            "15: counted from the announcement",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 ask s2 A ctl
            3000 say s1 out => nobody s1
            9000 . => @7000 refused s1 turn-over, @7250 granted s2 ctl",
        ),
        (
            "15: who has its connection at a data door keeps it",
            "
            0 ask s1 A d1 => granted s1 d1
            1 come a A d1 => data a s1
            2 ask s2 A d1
            20000 . => @10002 refused s2 no-turn",
        ),
        (
            "14: ten seconds at most",
            "
            0 ask s1 A ctl => granted s1 ctl
            1 come a A ctl
            2 ask s2 A ctl
            1400 say s1 in
            1401 ask s1 A ctl
            1402 ended a => drop a gone, granted s2 ctl
            5000 ask s3 A ctl
            5402 . => refused s2 turn-over
            5500 come b A ctl => control b
            5652 . => granted s1 ctl",
        ),
        (
            "17: the least recently used door first, so that a late SYN meets nobody",
            "
            0 ask s1 A d1,d2,d3 => granted s1 d1
            1 come a A d1 => data a s1
            2 withdraw s1
            3 ask s1 A d1,d2,d3 => granted s1 d2
            4 come b A d1 => drop b stranger
            5 come c A d2 => data c s1
            6 withdraw s1
            7 ask s2 A d1,d2,d3 => granted s2 d3
            8 ask s3 A d1,d2,d3 => granted s3 d1
            9 ask s4 A d1,d2,d3 => granted s4 d2
            10 ask s5 A d1,d2,d3
            11 come d A d3 => data d s2
            12 withdraw s2 => granted s5 d3
            13 ask s6 B d1,d2,d3 => granted s6 d1",
        ),
    ];
    for (name, text) in table {
        check(name, text);
    }
}

#[test]
fn a_file_stays_with_its_user() {
    let table = [
        (
            "18: one user with several sessions",
            "
            0 login s1 A ann
            0 login s2 A ann
            1 ask s1 A ctl => granted s1 ctl",
        ),
        (
            "18: several users",
            "
            0 login s1 A ann
            0 login s2 A bob
            1 ask s1 A ctl => refused s1 many-users
            2 ask s2 A ctl => refused s2 many-users
            3 gone s2
            4 ask s1 A ctl => granted s1 ctl",
        ),
        (
            "18: from several addresses",
            "
            0 login s1 A ann
            0 login s2 B bob
            1 ask s1 A ctl => granted s1 ctl",
        ),
        (
            "18: anonymous is one user",
            "
            0 login s1 A anonymous
            0 login s2 A anonymous
            1 ask s1 A ctl => granted s1 ctl
            2 login s3 A anonymous
            3 login s4 A ann => refused s1 many-users
            4 logout s4
            300 ask s1 A ctl => granted s1 ctl",
        ),
        (
            "18: another user logs in at the last moment",
            "
            0 login s1 A ann
            1 ask s1 A ctl => granted s1 ctl
            2 come a A ctl
            3 say s1 out
            4 login s2 A bob => refused s1 many-users
            2000 . => @1004 control a",
        ),
        (
            "18: and while somebody waits",
            "
            0 login s1 A ann
            1 ask s1 A ctl => granted s1 ctl
            2 ask s2 A ctl
            4 login s3 A bob => refused s1 many-users, refused s2 many-users",
        ),
        (
            "18: data doors mistake nobody for a control client",
            "
            0 login s1 A ann
            0 login s2 A bob
            1 ask s1 A ctl,d1 => granted s1 d1
            2 ask s2 A d1,d2 => granted s2 d2",
        ),
        (
            "18: if the operator says so",
            "
            0 login s1 A ann
            0 login s2 A bob
            1 ask s1 A ctl any => granted s1 ctl
            2 come a A ctl
            3 say s1 out
            9 . => @8 data a s1",
        ),
    ];
    for (name, text) in table {
        check(name, text);
    }
}

#[test]
fn a_session_in_tls_is_found_by_its_ticket() {
    let table = [
        (
            "4, 21: connection, command, and the ClientHello after the 150 (curl, lftp)",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            40 come a A ctl
            90 say s1 out => nobody s1
            130 hello a s1 => data a s1
            150 withdraw s1",
        ),
        (
            "4: a ClientHello in several segments, before the command (basic-ftp)",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            40 come a A ctl
            41 begun a
            42 hello a s1 => data a s1
            90 say s1 in => nobody s1",
        ),
        (
            "4: from another address",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            40 come a B ctl
            90 say s1 out => nobody s1
            130 hello a s1 => data a s1",
        ),
        (
            "4: from another address with sessions of its own",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            0 ask s2 B ctl tls => granted s2 ctl
            40 come a B ctl
            90 say s1 out => nobody s1
            91 say s2 out => nobody s2
            130 hello a s1 => data a s1
            131 come b A ctl
            132 hello b s2 => data b s2",
        ),
        (
            "4: a data door, whatever the address",
            "
            0 ask s1 A d1 tls => granted s1 d1
            0 ask s2 A d1 tls => granted s2 d1
            1 come a B d1
            2 come b A d1
            30 hello a s2 => data a s2
            31 hello b s1 => data b s1
            32 come c B d2 => drop c stranger",
        ),
        (
            "20: side by side, and no turn is waited for",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            0 ask s2 A ctl tls => granted s2 ctl
            0 ask s3 A ctl tls => granted s3 ctl
            5 come a A ctl
            6 come b A ctl
            7 come c A ctl
            8 say s1 out => nobody s1
            8 say s2 out => nobody s2
            8 say s3 in => nobody s3
            12 hello b s3 => data b s3
            13 hello c s1 => data c s1
            14 hello a s2 => data a s2",
        ),
        (
            "20: several users of one address are no reason to refuse",
            "
            0 login s1 A ann
            0 login s2 A bob
            1 ask s1 A ctl tls => granted s1 ctl
            2 ask s2 A ctl either => refused s2 many-users
            3 ask s2 A ctl tls => granted s2 ctl",
        ),
        (
            "20, 14: one in clear waits for those in TLS, and they for it",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            1 ask s2 A ctl
            2 ask s3 A ctl tls
            5 come a A ctl
            6 hello a s1 => data a s1
            9 withdraw s1 => granted s2 ctl
            15 come b A ctl
            16 say s2 out
            30 . => @23 data b s2, @23 granted s3 ctl",
        ),
        (
            "26: a thief with a sniffed ClientHello, and then the right one",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 say s1 out => nobody s1
            6 come a B ctl
            6 hello a s1 => data a s1
            7 come b B ctl
            7 hello b s1 => data b s1
            9 come c A ctl
            10 hello c s1 => data c s1
            12 withdraw s1
            13 come d B ctl => control d
            13 hello d s1",
        ),
        (
            "22: a client that does not resume is told by its handshake",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 come a A ctl
            6 say s1 out => nobody s1
            7 hello a - => data a s1",
        ),
        (
            "22, 5: the ticket of a session that is not armed is none",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 come a A ctl
            6 say s1 out => nobody s1
            7 hello a s9 => data a s1",
        ),
        (
            "22: not before the command",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 come a A ctl
            6 hello a -
            9 say s1 out => nobody s1, data a s1",
        ),
        (
            "22: without a command it is dropped",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 come a A ctl
            6 hello a -
            5000 . => @3015 drop a not-resumed",
        ),
        (
            "22: each of several gets its own, and four at most",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            0 ask s2 A ctl tls => granted s2 ctl
            1 say s1 out => nobody s1
            2 say s2 out => nobody s2
            3 come a A ctl
            3 hello a - => data a s1
            4 come b A ctl
            4 hello b - => data b s2
            5 withdraw s2
            6 come c A ctl
            6 hello c - => data c s1
            7 come d A ctl
            7 hello d - => data d s1
            8 come e A ctl
            8 hello e - => data e s1
            9 come f A ctl
            9 hello f -
            10 come g A ctl
            11 hello g s1 => data g s1
            12 withdraw s1 => control f",
        ),
        (
            "23: where control connections begin in TLS",
            "
            0 ask s1 A imp tls => granted s1 imp
            5 come a A imp
            6 say s1 out => nobody s1
            7 come b A imp
            7 hello b - => control b
            8 hello a s1 => data a s1
            9 come c B imp
            9 hello c - => control c",
        ),
        (
            "24: who speaks in clear is a control client",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            0 ask s2 A d1 tls => granted s2 d1
            5 come a A ctl
            6 spoke a => control a
            7 come b A d1
            7 spoke b => drop b stranger",
        ),
        (
            "25: a control client waits for those that were armed before it",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 come a A ctl
            6 come b A ctl
            7 ask s2 A ctl tls => granted s2 ctl
            8 say s1 out => nobody s1
            9 hello a s1 => data a s1
            11 withdraw s1 => control b
            12 come c A ctl
            13 hello c s2 => data c s2",
        ),
        (
            "25: not for ever",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            50 come a A ctl
            100 come b A ctl
            1000 say s1 out => nobody s1
            9000 . => @4100 control a, @4200 control b",
        ),
        (
            "25, 13: a client whose transfer was refused closes its connection",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            0 ask s2 A ctl tls => granted s2 ctl
            5 come a A ctl
            6 come b A ctl
            9 withdraw s1
            9 withdraw s2
            20 ended a => drop a gone, control b",
        ),
        (
            "28: control connections from elsewhere are held for a moment",
            "
            0 come a B ctl => control a
            0 ask s1 A ctl tls => granted s1 ctl
            10 come b B ctl
            500 . => @430 control b
            501 come c A ctl
            503 hello c s1 => data c s1",
        ),
        (
            "28: or until nobody is left who could mean them",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            10 come a B ctl
            11 come b B ctl
            11 ended b => drop b gone
            12 come c B ctl
            12 spoke c => control c
            13 come d B ctl
            13 begun d
            14 ask s2 X ctl tls => granted s2 ctl
            15 come e A ctl
            16 hello e s1 => data e s1
            17 withdraw s1 => control a, control d",
        ),
        (
            "28: nor long after the session was armed",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            2001 come a B ctl => control a",
        ),
        (
            "28: never while nobody in TLS is armed there",
            "
            0 ask s1 A ctl => granted s1 ctl
            0 ask s2 A ctl2 tls => granted s2 ctl2
            1 come a B ctl => control a
            2 come b B imp => control b",
        ),
        (
            "29: an empty upload that ends before its handshake",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            5 come a A ctl
            6 say s1 in => nobody s1
            7 ended a => data a s1",
        ),
        (
            "29: but whose of two",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            0 ask s2 A ctl tls => granted s2 ctl
            5 come a A ctl
            6 say s1 in => nobody s1
            7 ended a => drop a gone",
        ),
        (
            "15: 60 s without anybody, 4 s while one in clear waits",
            "
            0 ask s1 A ctl tls => granted s1 ctl
            60000 . => refused s1 turn-over
            60001 ask s2 A ctl tls => granted s2 ctl
            60002 ask s3 A ctl
            65000 . => @64001 refused s2 turn-over, @64251 granted s3 ctl",
        ),
    ];
    for (name, text) in table {
        check(name, text);
    }
}

#[test]
fn a_session_that_should_be_resumed_takes_its_turn() {
    let table = [
        (
            "27: it resumes",
            "
            0 ask s1 A ctl either => granted s1 ctl
            5 come a A ctl
            6 say s1 out => nobody s1
            9 hello a s1 => data a s1
            12 withdraw s1",
        ),
        (
            "27: it does not",
            "
            0 ask s1 A ctl either => granted s1 ctl
            5 come a A ctl
            6 say s1 out => nobody s1
            9 hello a -
            50 . => @12 data a s1
            51 come b A ctl
            52 hello b - => drop b not-resumed
            60 withdraw s1",
        ),
        (
            "27: two that cannot be told apart",
            "
            0 ask s1 A ctl either => granted s1 ctl
            10 come a A ctl
            11 come b A ctl
            12 hello a -
            14 say s1 out => nobody s1
            15 hello b - => refused s1 alike-2, drop a ambiguous, drop b ambiguous",
        ),
        (
            "27: a ticket tells them apart",
            "
            0 ask s1 A ctl either => granted s1 ctl
            10 come a A ctl
            11 come b A ctl
            14 say s1 out => nobody s1
            15 hello b -
            16 hello a s1 => data a s1
            18 withdraw s1 => control b",
        ),
        (
            "27: one at a time",
            "
            0 ask s1 A ctl either => granted s1 ctl
            1 ask s2 A ctl either
            10 come a A ctl
            11 say s1 out => nobody s1
            12 hello a s1 => data a s1
            15 withdraw s1 => granted s2 ctl",
        ),
        (
            "27: at a door where control connections begin in TLS",
            "
            0 ask s1 A imp either => granted s1 imp
            10 come a A imp
            11 say s1 out => nobody s1
            12 hello a -
            50 . => @22 data a s1
            60 come b A imp
            61 hello b - => control b",
        ),
        (
            "3: at a data door at once",
            "
            0 ask s1 A d1 either => granted s1 d1
            10 come a A d1 => data a s1
            11 come b B d1
            12 withdraw s1 => drop b stranger",
        ),
        (
            "28: and from another address with a ticket",
            "
            0 ask s1 A d1 either => granted s1 d1
            10 come a B d1
            12 hello a s1 => data a s1",
        ),
    ];
    for (name, text) in table {
        check(name, text);
    }
}

#[test]
fn everything_is_bounded() {
    let mut play = Play::new();
    play.act("ask s1 A ctl");
    for number in 0..UNDECIDED + 4 {
        play.act(&format!("come {} A ctl", conn_word(ConnId(number as u64))));
    }
    let count = |play: &Play, what: &str| {
        let words = play.heard.iter().map(|(_, verdict)| word(verdict));
        words.filter(|word| word.contains(what)).count()
    };
    assert_eq!(play.sorter.held(), UNDECIDED);
    assert_eq!(count(&play, "flood"), 4);

    // Those who wait
    for number in 0..WAITERS + 3 {
        play.act(&format!("ask s{} A ctl", number + 2));
    }
    assert_eq!(count(&play, "crowded"), 3);

    // All addresses together
    let mut sorter = Sorter::new();
    let control = door("ctl");
    let mut conns = 0;
    for host in 0..80_u8 {
        let address = IpAddr::from([10, 0, 0, host]);
        let ask = Ask {
            session: SessionId(u64::from(host)),
            address,
            doors: &[control],
            shared_address: SharedAddress::OneUser,
            known_by: KnownBy::Address,
        };
        sorter.ask(Duration::ZERO, &ask);
        for _ in 0..ARRIVALS {
            conns += 1;
            sorter.arrived(ms(1), ConnId(conns), control, address);
        }
    }
    assert_eq!(sorter.held(), ARRIVALS_IN_ALL);

    // Who is held for a session in TLS takes no room from those of its address
    let mut sorter = Sorter::new();
    let ask = Ask {
        session: SessionId(1),
        address: IpAddr::from([10, 0, 0, 1]),
        doors: &[control],
        shared_address: SharedAddress::OneUser,
        known_by: KnownBy::Session,
    };
    sorter.ask(Duration::ZERO, &ask);
    let elsewhere = IpAddr::from([10, 0, 0, 2]);
    for number in 0..2 * ARRIVALS_IN_ALL {
        sorter.arrived(ms(1), ConnId(number as u64), control, elsewhere);
    }
    assert_eq!(sorter.held(), HELD);
    sorter.arrived(ms(1), ConnId(u64::MAX), control, ask.address);
    assert_eq!(sorter.held(), HELD + 1);

    // Data doors: connections of one grant
    let mut play = Play::new();
    play.act("ask s1 A d1");
    for number in 0..ARRIVALS + 2 {
        play.act(&format!("come {} A d1", conn_word(ConnId(number as u64))));
    }
    assert_eq!(count(&play, "flood"), 2);

    // Nothing is remembered for ever
    for host in 0..80_u64 {
        sorter.gone(ms(2), SessionId(host));
    }
    while let Some(at) = sorter.deadline() {
        sorter.elapsed(at);
    }
    assert_eq!(sorter.held(), 0);
    assert!(sorter.is_idle());
}

/// What must hold whatever happens in whatever order
#[derive(Default)]
struct Law {
    undecided: BTreeMap<ConnId, Door>,
    /// What a ClientHello showed: nothing, or a session's ticket
    hello: BTreeMap<ConnId, Option<SessionId>>,
    known_by: BTreeMap<SessionId, KnownBy>,
    unproved: BTreeMap<SessionId, usize>,
    decided: BTreeSet<ConnId>,
    armed: BTreeMap<SessionId, Door>,
    announced: BTreeSet<SessionId>,
    asked: BTreeMap<SessionId, usize>,
    answered: BTreeMap<SessionId, usize>,
}

impl Law {
    fn event(&mut self, event: &str) {
        let words: Vec<&str> = event.split(' ').collect();
        match *words.as_slice() {
            ["ask", who, ..] => {
                *self.asked.entry(session(who)).or_default() += 1;
                self.known_by.insert(session(who), known_by(words.last()));
                self.disarm(session(who));
            }
            ["come", what, _, at] => {
                self.undecided.insert(conn(what), door(at));
            }
            ["hello", what, whose] if self.undecided.contains_key(&conn(what)) => {
                let whose = (whose != "-").then(|| session(whose));
                self.hello.insert(conn(what), whose);
            }
            ["say", who, _] if self.armed.contains_key(&session(who)) => {
                self.announced.insert(session(who));
            }
            ["withdraw" | "gone", who] => {
                // Who withdraws before it is answered is not answered.
                let asked = self.asked.get(&session(who)).copied().unwrap_or(0);
                self.answered.insert(session(who), asked);
                self.disarm(session(who));
            }
            _ => {}
        }
    }

    fn disarm(&mut self, session: SessionId) {
        self.armed.remove(&session);
        self.announced.remove(&session);
    }

    fn verdict(&mut self, verdict: &Verdict, story: &str) {
        let told = word(verdict);
        match verdict {
            Verdict::Granted { session, door } => {
                let beside = self.known_by[session] == KnownBy::Session;
                for (other, taken) in &self.armed {
                    let both = beside && self.known_by[other] == KnownBy::Session;
                    assert!(taken != door || both, "{told}: not alone: {story}");
                }
                assert!(
                    beside || self.undecided.values().all(|at| at != door),
                    "{told}: armed before the desk is clear: {story}"
                );
                self.unproved.remove(session);
                self.armed.insert(*session, *door);
                *self.answered.entry(*session).or_default() += 1;
            }
            Verdict::Refused { session, .. } => {
                if !self.armed.contains_key(session) {
                    *self.answered.entry(*session).or_default() += 1;
                }
                self.disarm(*session);
            }
            Verdict::NobodyYet { session } => {
                assert!(self.announced.contains(session), "{told}: {story}");
            }
            Verdict::Control { conn } | Verdict::Drop { conn, .. } => self.decide(*conn, story),
            Verdict::Data { conn, session } => {
                self.decide(*conn, story);
                let door = self.armed.get(session).copied();
                assert!(door.is_some(), "{told}: nobody is armed: {story}");
                let control = door.is_some_and(|door| door.takes != Takes::Data);
                let hello = self.hello.get(conn).copied();
                match self.known_by[session] {
                    KnownBy::Address if control => {
                        assert!(
                            self.announced.contains(session),
                            "{told}: before the announcement: {story}"
                        );
                        assert!(
                            self.undecided.values().all(|at| Some(*at) != door),
                            "{told}: another one was undecided: {story}"
                        );
                        self.disarm(*session);
                    }
                    KnownBy::Address => {}
                    _ if hello == Some(Some(*session)) => {}
                    known_by => {
                        // Its ticket does not say so: it may be the session's, or an empty upload.
                        assert!(
                            !control || self.announced.contains(session),
                            "{told}: before the announcement: {story}"
                        );
                        let count = self.unproved.entry(*session).or_default();
                        *count += usize::from(hello.is_some());
                        let most = if known_by == KnownBy::Either {
                            1
                        } else {
                            UNPROVED
                        };
                        assert!(!control || *count <= most, "{told}: {story}");
                    }
                }
            }
        }
    }

    fn decide(&mut self, conn: ConnId, story: &str) {
        assert!(
            self.undecided.remove(&conn).is_some(),
            "{} was decided twice: {story}",
            conn_word(conn)
        );
        assert!(self.decided.insert(conn));
    }
}

/// Calls `act` with every order of `events`
fn every_order(events: &mut Vec<&'static str>, from: usize, act: &mut impl FnMut(&[&'static str])) {
    if from == events.len() {
        act(events);
        return;
    }
    let mut tried = BTreeSet::new();
    for at in from..events.len() {
        if tried.insert(events[at]) {
            events.swap(from, at);
            every_order(events, from + 1, act);
            events.swap(from, at);
        }
    }
}

#[test]
fn in_every_order_of_events_the_law_holds() {
    // `+N`: N milliseconds pass
    let sets: [&[&'static str]; 12] = [
        &[
            "ask s1 A ctl",
            "come a A ctl",
            "come b A ctl",
            "say s1 out",
            "ended a",
            "+1100",
            "withdraw s1",
        ],
        &[
            "ask s1 A ctl",
            "ask s2 A ctl",
            "come a A ctl",
            "come b A ctl",
            "say s1 in",
            "say s2 out",
            "+12",
            "+12",
        ],
        &[
            "ask s1 A ctl",
            "ask s2 A ctl",
            "come a A ctl",
            "spoke a",
            "say s1 in",
            "gone s1",
            "+300",
        ],
        &[
            "ask s1 A ctl",
            "ask s1 A ctl",
            "come a A ctl",
            "come b A ctl",
            "say s1 out",
            "spoke b",
            "+5000",
        ],
        &[
            "ask s1 A ctl,d1",
            "ask s2 A d1",
            "come a A d1",
            "come b A ctl",
            "say s1 out",
            "say s2 in",
            "withdraw s1",
            "+4100",
        ],
        &[
            "ask s1 A ctl",
            "login s1 A ann",
            "login s2 A bob",
            "come a A ctl",
            "say s1 out",
            "come b A ctl",
            "+12",
        ],
        // Known by their sessions: a connection of each, whatever the address
        &[
            "ask s1 A ctl tls",
            "ask s2 A ctl tls",
            "come a B ctl",
            "come b A ctl",
            "hello a s1",
            "hello b s2",
            "+350",
        ],
        // A thief, a client that does not resume, and somebody who waits for a greeting
        &[
            "ask s1 A ctl tls",
            "come a A ctl",
            "come b A ctl",
            "hello a -",
            "say s1 in",
            "ended b",
            "+3100",
        ],
        // Beside sessions of other kinds
        &[
            "ask s1 A ctl tls",
            "ask s2 A ctl",
            "come a A ctl",
            "come b A ctl",
            "say s2 out",
            "withdraw s1",
            "+4100",
        ],
        &[
            "ask s1 A ctl either",
            "ask s2 A ctl tls",
            "come a A ctl",
            "come b A ctl",
            "hello a -",
            "hello b s1",
            "say s1 out",
        ],
        // Where control connections begin in TLS, and a data door
        &[
            "ask s1 A imp tls",
            "come a A imp",
            "come b B imp",
            "hello a -",
            "hello b s1",
            "say s1 out",
            "gone s1",
        ],
        &[
            "ask s1 A d1 tls",
            "ask s2 A d1 tls",
            "come a A d1",
            "come b B d1",
            "hello a s1",
            "hello b s2",
            "withdraw s2",
        ],
    ];
    let mut orders = 0;
    for set in sets {
        every_order(&mut set.to_vec(), 0, &mut |events| {
            orders += 1;
            let mut play = Play::new();
            let mut law = Law::default();
            let story = events.join("; ");
            let mut told = 0;
            for event in events {
                match event.strip_prefix('+') {
                    Some(millis) => play.wait_until(play.now + ms(millis.parse().unwrap())),
                    None => {
                        law.event(event);
                        play.act(event);
                    }
                }
                for (_, verdict) in play.heard.drain(..) {
                    law.verdict(&verdict, &story);
                    told += 1;
                }
            }
            // In the end everything is settled.
            play.wait_until(play.now + Duration::from_mins(3));
            for (_, verdict) in play.heard.drain(..) {
                law.verdict(&verdict, &story);
                told += 1;
            }
            assert!(told > 0);
            assert!(law.undecided.is_empty(), "an arrival is forgotten: {story}");
            for (session, asked) in &law.asked {
                let answered = law.answered.get(session).copied().unwrap_or(0);
                assert!(answered <= *asked, "{session:?}: {story}");
            }
            assert!(law.armed.is_empty(), "armed for ever: {story}");
            assert_eq!(play.sorter.held(), 0, "{story}");
        });
    }
    assert!(orders > 80_000, "{orders}");
}
