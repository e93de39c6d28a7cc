//! Every order of events, at random: one final reply a command, and nothing moves that was not arranged.
#![allow(clippy::unwrap_used, reason = "tests")]

mod dialogue;

use dialogue::{LOGIN, machine, play};
use wharf_proto::{Line, Reply};
use wharf_proxy::UpstreamMode;
use wharf_proxy::translate::{Input, Order, Translator, Unopened};

mod every_order {
    use proptest::prelude::*;

    use super::*;

    /// What keeps the driver's promises: an outcome comes only for what was ordered and not cut since.
    #[derive(Default)]
    struct Driver {
        client_port: bool,
        server_port: bool,
        ready: bool,
        client_data: bool,
        server_data: bool,
        moving: bool,
        alarm: bool,
        /// Commands of ours without a final reply of the server's.
        asked: u32,
        aborts: u32,
        finals: u32,
        hung_up: bool,
        client_listens: bool,
    }

    impl Driver {
        fn carry_out(&mut self, orders: &[Order]) {
            for order in orders {
                assert!(!self.hung_up, "{order:?} after the end");
                match order {
                    Order::ToClient(reply) if !reply.is_preliminary() => self.finals += 1,
                    Order::TellProgress => self.finals += 1,
                    Order::ToServer(_) => self.asked += 1,
                    Order::Abort => self.aborts += 1,
                    Order::ListenForClient(_) => self.client_port = true,
                    Order::AimAtClient(_) => self.client_listens = true,
                    Order::ListenForServer => self.server_port = true,
                    Order::ConnectServer(_) | Order::AcceptServer => self.server_data = true,
                    Order::AnnounceToClient(_) => self.ready = true,
                    Order::OpenClient => self.client_data = true,
                    Order::Move(_) => self.moving = true,
                    Order::Cut => {
                        self.server_port = false;
                        self.ready = false;
                        self.client_data = false;
                        self.server_data = false;
                        self.moving = false;
                    }
                    Order::Alarm(_) => self.alarm = true,
                    Order::Calm => self.alarm = false,
                    Order::HangUp => self.hung_up = true,
                    _ => {}
                }
            }
            assert!(self.asked <= 2, "one command at a time, and a fence");
        }
    }

    const LINES: &[&str] = &[
        "NOOP",
        "STAT",
        "ABOR",
        "PASV",
        "EPSV",
        "PORT 192,0,2,9,15,160",
        "RETR a",
        "STOR a",
        "REST 7",
        "PWD",
        "QUIT",
        "REIN",
        "USER x",
        "AUTH TLS",
        "FEAT",
    ];
    const REPLIES: &[&str] = &[
        "150 a",
        "125 a",
        "200 a",
        "226 a",
        "227 (1,2,3,4,5,6)",
        "229 (|||7|)",
        "230 a",
        "257 a",
        "331 a",
        "350 a",
        "425 a",
        "426 a",
        "500 a",
        "550 a",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        /// Whatever happens in whatever order: no panic, one command at a time with the server, nothing after the end,
        /// and when everything has been answered every line has had its one final reply.
        #[test]
        fn every_line_gets_one_final_reply(
            mode in prop::sample::select(UpstreamMode::ALL.map(|(_, mode)| mode).to_vec()),
            steps in prop::collection::vec((0u8..12, any::<usize>(), any::<bool>()), 1..120),
        ) {
            let mut machine = machine("4-4", mode);
            play(&mut machine, LOGIN);
            let mut driver = Driver::default();
            let mut lines = 0;
            let ok = |fine: bool| if fine { Ok(()) } else { Err("broken".to_owned()) };
            let mut step = |driver: &mut Driver, machine: &mut Translator, what: u8, index: usize, fine: bool| {
                let port = || if fine { "192.0.2.1:5000".parse().map_err(|_| String::new()) } else { Err("none".to_owned()) };
                let input = match what {
                    0..=2 if machine.has_room() => {
                        let line = LINES[index % LINES.len()];
                        // These end or lose the session; they have tests of their own.
                        if !driver.hung_up && line != "QUIT" { lines += 1 } else if line == "QUIT" { return lines; }
                        Input::Line(Line::Command(line.as_bytes().to_vec()))
                    }
                    3..=5 if driver.asked + driver.aborts > 0 => {
                        let (code, text) = REPLIES[index % REPLIES.len()].split_at(3);
                        let reply = Reply::new(code.parse().unwrap(), text.trim());
                        if !reply.is_preliminary() {
                            if driver.asked > 0 { driver.asked -= 1 } else { driver.aborts -= 1 }
                        }
                        Input::Reply(reply)
                    }
                    6 if driver.client_port => { driver.client_port = false; Input::ClientPort(port()) }
                    7 if driver.server_port => { driver.server_port = false; Input::ServerPort(port()) }
                    8 if driver.server_data => { driver.server_data = false; Input::ServerData(ok(fine).map_err(|why| Unopened { silent: why.len() % 2 == 0, why })) }
                    9 if driver.ready => { driver.ready = false; Input::ClientReady(ok(fine)) }
                    10 if driver.client_data => { driver.client_data = false; Input::ClientData(ok(fine).map_err(Into::into)) }
                    10 if driver.moving => { driver.moving = false; Input::Moved(ok(fine).map_err(Into::into)) }
                    11 if driver.alarm && index.is_multiple_of(4) => { driver.alarm = false; Input::Late }
                    _ => return lines,
                };
                driver.carry_out(&machine.hear(input));
                lines
            };
            let mut said = 0;
            for (what, index, fine) in steps {
                said = step(&mut driver, &mut machine, what, index, fine);
            }
            // Everything comes to its end.
            for round in 0..3000usize {
                if machine.is_idle() || driver.hung_up { break; }
                let what = [3, 6, 7, 8, 9, 10, 11][round % 7];
                // Final replies in turn; an alarm goes off.
                let index = if what == 3 { 2 + (round / 7) % 12 } else { 0 };
                step(&mut driver, &mut machine, what, index, true);
            }
            prop_assert!(machine.is_idle() || driver.hung_up, "{machine:?}");
            if !driver.hung_up {
                // ABOR beside a transfer answers the transfer as well: both are lines.
                prop_assert_eq!(driver.finals, said);
            }
        }
    }
}
