//! Dialogues as text: what is heard (`C` client, `S` server, `.` data connections), then, indented, what is ordered.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file has it for itself and needs a part of it"
)]

use std::fmt::Write as _;

use expect_test::Expect;
use wharf_proto::data_connection::port_policy::PortPolicy;
use wharf_proto::{Line, Reply, Text};
use wharf_proxy::UpstreamMode;
use wharf_proxy::translate::protection::Protection;
use wharf_proxy::translate::ways::{Learnt, ServerWays};
use wharf_proxy::translate::{Ends, Input, Order, Translator, Trouble, Unopened};

pub const LOGIN: &str = "C USER joe\nS 331 password\nC PASS x\nS 230 in";

pub fn ends(family: &str) -> Ends {
    let (client, reached, server) = match family {
        "4-4" => ("192.0.2.9:40000", "192.0.2.1", "198.51.100.1:21"),
        "4-6" => ("192.0.2.9:40000", "192.0.2.1", "[2001:db8::21]:21"),
        "6-4" => ("[2001:db8::9]:40000", "2001:db8::1", "198.51.100.1:21"),
        other => panic!("{other}"),
    };
    Ends {
        client: client.parse().unwrap(),
        reached: reached.parse().unwrap(),
        server: server.parse().unwrap(),
        port_policy: PortPolicy::Refuse,
        host_in_user: None,
        line_limit: 100,
        login_attempts: 2,
        protection: Protection::default(),
    }
}

pub fn machine(family: &str, mode: UpstreamMode) -> Translator {
    let ends = ends(family);
    let ways = ServerWays::new(mode, ends.server.is_ipv4(), Learnt::default());
    Translator::new(ends, ways)
}

pub fn input(line: &str) -> Input {
    let reply = |text: &str| {
        let (code, rest) = text.split_at(3);
        let lines = rest.trim_start().split('/').map(Text::lossy).collect();
        Input::Reply(Reply::with_lines(code.parse().unwrap(), lines))
    };
    let outcome = |text: &str| match text {
        "" => Ok(()),
        why => Err(why.to_owned()),
    };
    let trouble = |why: String| Trouble {
        unprotected: why.contains("TLS"),
        why,
    };
    let port = |text: &str| text.parse().map_err(|_| text.to_owned());
    let (who, what) = line.split_at(1);
    let what = what.trim_start();
    if who == "C" {
        return Input::Line(Line::Command(what.as_bytes().to_vec()));
    }
    if who == "S" {
        return match what {
            "gone" => Input::ServerGone,
            text => reply(text),
        };
    }
    let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
    match word {
        "client-port" => Input::ClientPort(port(rest)),
        "server-port" => Input::ServerPort(port(rest)),
        "client-ready" => Input::ClientReady(outcome(rest)),
        "client-data" => Input::ClientData(outcome(rest).map_err(trouble)),
        "server-data" => Input::ServerData(outcome(rest).map_err(|why| Unopened {
            silent: why.contains("did not"),
            why,
        })),
        "moved" => Input::Moved(outcome(rest).map_err(trouble)),
        "late" => Input::Late,
        "synch" => Input::Line(Line::Synch),
        "long" => Input::Line(Line::TooLong),
        other => panic!("{other}"),
    }
}

pub fn shown(order: &Order) -> String {
    let reply = |reply: &Reply| {
        let lines: Vec<String> = reply
            .lines()
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        format!("{} {}", reply.code(), lines.join(" / "))
    };
    match order {
        Order::ToClient(it) => format!("to client: {}", reply(it)),
        Order::ToServer(line) => format!("to server: {}", line.display()),
        Order::Note(text) => format!("note: {text}"),
        Order::LoggedIn(user) => format!("logged in: {}", user.display()),
        other => format!("{other:?}"),
    }
}

pub fn play(machine: &mut Translator, script: &str) -> String {
    let mut out = String::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let _ = writeln!(out, "{line}");
        for order in machine.hear(input(line)) {
            let _ = writeln!(out, "    {}", shown(&order));
        }
    }
    out
}

/// The dialogue after a login.
pub fn check(family: &str, mode: UpstreamMode, script: &str, want: Expect) {
    let mut machine = machine(family, mode);
    play(&mut machine, LOGIN);
    want.assert_eq(&play(&mut machine, script));
}
