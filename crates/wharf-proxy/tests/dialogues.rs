//! Dialogues as text: what is heard (`C` client, `S` server, `.` data connections), then, indented, what is ordered.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the dialogues"
)]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use wharf_proto::data_connection::port_policy::PortPolicy;

use wharf_proto::{Line, Reply, Text};
use wharf_proxy::UpstreamMode;
use wharf_proxy::translate::ways::{Learnt, ServerWays};
use wharf_proxy::translate::{Ends, Input, Order, Translator, Unopened};

const LOGIN: &str = "C USER joe\nS 331 password\nC PASS x\nS 230 in";

fn ends(family: &str) -> Ends {
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
    }
}

fn machine(family: &str, mode: UpstreamMode) -> Translator {
    let ends = ends(family);
    let ways = ServerWays::new(mode, ends.server.is_ipv4(), Learnt::default());
    Translator::new(ends, ways)
}

fn input(line: &str) -> Input {
    let reply = |text: &str| {
        let (code, rest) = text.split_at(3);
        let lines = rest.trim_start().split('/').map(Text::lossy).collect();
        Input::Reply(Reply::with_lines(code.parse().unwrap(), lines))
    };
    let outcome = |text: &str| match text {
        "" => Ok(()),
        why => Err(why.to_owned()),
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
        "client-data" => Input::ClientData(outcome(rest)),
        "server-data" => Input::ServerData(outcome(rest).map_err(|why| Unopened {
            silent: why.contains("did not"),
            why,
        })),
        "moved" => Input::Moved(outcome(rest)),
        "late" => Input::Late,
        "synch" => Input::Line(Line::Synch),
        "long" => Input::Line(Line::TooLong),
        other => panic!("{other}"),
    }
}

fn shown(order: &Order) -> String {
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

fn play(machine: &mut Translator, script: &str) -> String {
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
fn check(family: &str, mode: UpstreamMode, script: &str, want: Expect) {
    let mut machine = machine(family, mode);
    play(&mut machine, LOGIN);
    want.assert_eq(&play(&mut machine, script));
}

#[test]
fn a_download_passive_on_both_sides() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C PASV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 here it comes
         . client-ready
         . client-data
         S 226 done
         . moved",
        expect![[r#"
            C PASV
                ListenForClient(Pasv)
            . client-port 192.0.2.1:50001
                to client: 227 Entering Passive Mode (192,0,2,1,195,81)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 here it comes
                AnnounceToClient(Download)
            . client-ready
                to client: 150 here it comes
                OpenClient
            . client-data
                Move(Download)
            S 226 done
            . moved
                Calm
                to client: 226 done
        "#]],
    );
}

#[test]
fn an_active_client_and_a_passive_server_of_the_other_family() {
    check(
        "6-4",
        UpstreamMode::Pasv,
        "C EPRT |2|2001:db8::9|4000|
         C STOR a
         S 227 =198,51,100,99,23,112
         . server-data
         S 150 ok
         . client-ready
         . client-data
         . moved
         S 226 done",
        expect![[r#"
            C EPRT |2|2001:db8::9|4000|
                AimAtClient([2001:db8::9]:4000)
                to client: 200 EPRT accepted
            C STOR a
                to server: PASV
            S 227 =198,51,100,99,23,112
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: STOR a
            S 150 ok
                AnnounceToClient(Upload)
            . client-ready
                OpenClient
            . client-data
                to client: 150 ok
                Move(Upload)
            . moved
            S 226 done
                Calm
                to client: 226 done
        "#]],
    );
}

#[test]
fn a_passive_client_and_an_active_server() {
    check(
        "4-4",
        UpstreamMode::Active,
        "C EPSV
         . client-port 192.0.2.1:50001
         C LIST
         . server-port 198.51.100.2:7000
         S 500 what is EPRT?
         . server-port 198.51.100.2:7001
         S 200 ok
         S 150 here
         . server-data
         . client-ready
         . client-data
         . moved
         S 226 done
         C PASV
         . client-port 192.0.2.1:50002
         C NLST
         . server-port 198.51.100.2:7002",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C LIST
                ListenForServer
            . server-port 198.51.100.2:7000
                to server: EPRT |1|198.51.100.2|7000|
            S 500 what is EPRT?
                Cut
                ListenForServer
            . server-port 198.51.100.2:7001
                to server: PORT 198,51,100,2,27,89
            S 200 ok
                AcceptServer
                to server: LIST
            S 150 here
            . server-data
                Calm
                AnnounceToClient(Download)
            . client-ready
                to client: 150 here
                OpenClient
            . client-data
                Move(Download)
            . moved
            S 226 done
                Calm
                to client: 226 done
            C PASV
                ListenForClient(Pasv)
            . client-port 192.0.2.1:50002
                to client: 227 Entering Passive Mode (192,0,2,1,195,82)
            C NLST
                ListenForServer
            . server-port 198.51.100.2:7002
                to server: PORT 198,51,100,2,27,90
        "#]],
    );
}

#[test]
fn every_way_is_tried_and_what_failed_is_remembered() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 502 no EPSV
         S 227 (198,51,100,1,23,112)
         . server-data the server's data port did not answer within 5 s
         . server-port 198.51.100.2:7000
         S 200 ok
         S 150 here
         . server-data
         . client-ready
         . client-data
         S 226 done
         . moved
         C EPSV
         . client-port 192.0.2.1:50001
         C RETR b
         . server-port 198.51.100.2:7001",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 502 no EPSV
                Cut
                to server: PASV
            S 227 (198,51,100,1,23,112)
                ConnectServer(198.51.100.1:6000)
            . server-data the server's data port did not answer within 5 s
                Cut
                ListenForServer
            . server-port 198.51.100.2:7000
                to server: EPRT |1|198.51.100.2|7000|
            S 200 ok
                AcceptServer
                to server: RETR a
            S 150 here
            . server-data
                Calm
                AnnounceToClient(Download)
            . client-ready
                to client: 150 here
                OpenClient
            . client-data
                Move(Download)
            S 226 done
            . moved
                Calm
                to client: 226 done
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR b
                ListenForServer
            . server-port 198.51.100.2:7001
                to server: EPRT |1|198.51.100.2|7001|
        "#]],
    );
}

#[test]
fn no_way_at_all_is_a_425_of_the_proxys_and_restart_is_undone() {
    check(
        "4-4",
        UpstreamMode::Passive,
        "C REST 100
         S 350 go
         C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 (|||6000|)
         . server-data the server's data port refuses the connection
         S 227 (198,51,100,1,23,112)
         . server-data the server's data port refuses the connection
         C PWD
         S 350 zero
         S 257 x",
        expect![[r#"
            C REST 100
                to server: REST 100
            S 350 go
                to client: 350 go
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data the server's data port refuses the connection
                Cut
                to server: PASV
            S 227 (198,51,100,1,23,112)
                ConnectServer(198.51.100.1:6000)
            . server-data the server's data port refuses the connection
                Cut
                Cut
                to client: 425 No data connection between proxy and server (tried EPSV, PASV): the server's data port refuses the connection
                Calm
                to server: REST 0
                Alarm(Patience)
            C PWD
            S 350 zero
                Calm
                Release
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn restart_is_repeated_after_the_command_that_came_between() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C REST 100
         S 350 go
         C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 350 go
         S 150 x",
        expect![[r#"
            C REST 100
                to server: REST 100
            S 350 go
                to client: 350 go
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: REST 100
            S 350 go
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
        "#]],
    );
}

#[test]
fn a_refusal_before_the_data_connection_keeps_the_port_until_the_next_command() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 550 no such file
         C CWD x
         S 250 ok",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 550 no such file
                Cut
                Calm
                to client: 550 no such file
            C CWD x
                Release
                to server: CWD x
            S 250 ok
                to client: 250 ok
        "#]],
    );
}

#[test]
fn a_client_that_cannot_be_reached_is_told_so_and_the_server_is_made_to_give_up() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C PORT 192,0,2,9,15,160
         C RETR a
         S 229 (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data 192.0.2.9:4000 refused the connection
         C PWD
         S 426 broken
         S 257 x",
        expect![[r#"
            C PORT 192,0,2,9,15,160
                AimAtClient(192.0.2.9:4000)
                to client: 200 PORT accepted
            C RETR a
                to server: EPSV
            S 229 (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                OpenClient
            . client-data 192.0.2.9:4000 refused the connection
                Cut
                to client: 425 No data connection between client and proxy: 192.0.2.9:4000 refused the connection
                Alarm(Patience)
            C PWD
            S 426 broken
                Calm
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn a_server_that_never_connects_is_given_up() {
    check(
        "4-4",
        UpstreamMode::Port,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         . server-port 198.51.100.2:7000
         S 200 ok
         . server-data the server did not connect within 10 s
         C NOOP
         C STAT
         C PWD
         . late
         S 425 cannot connect
         S 257 fence
         S 257 x",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                ListenForServer
            . server-port 198.51.100.2:7000
                to server: PORT 198,51,100,2,27,88
            S 200 ok
                AcceptServer
                to server: RETR a
            . server-data the server did not connect within 10 s
                Cut
                to client: 425 No data connection between proxy and server (PORT): the server did not connect within 10 s
                Abort
                Alarm(Patience)
            C NOOP
                to client: 200 NOOP ok
            C STAT
                TellProgress
            C PWD
            . late
                to server: PWD
                Alarm(Long)
            S 425 cannot connect
                Alarm(Short)
            S 257 fence
                Calm
                Release
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn bytes_that_break_on_the_clients_side_are_not_called_complete() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S 226 done
         . moved The client's data connection was reset",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            S 226 done
            . moved The client's data connection was reset
                Calm
                to client: 426 The client's data connection was reset
        "#]],
    );
}

#[test]
fn an_upload_that_breaks_waits_for_the_servers_word() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C STOR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         . moved The client's data connection was reset
         S 426 broken pipe",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C STOR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: STOR a
            S 150 x
                AnnounceToClient(Upload)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Upload)
            . moved The client's data connection was reset
                Alarm(Patience)
            S 426 broken pipe
                Calm
                to client: 426 broken pipe
        "#]],
    );
}

#[test]
fn an_upload_that_the_server_refuses_half_way_is_cut() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C STOR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S 552 disk full
         C NOOP
         S 200 ok",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C STOR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: STOR a
            S 150 x
                AnnounceToClient(Upload)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Upload)
            S 552 disk full
                Cut
                Calm
                to client: 552 disk full
            C NOOP
                to server: NOOP
            S 200 ok
                to client: 200 ok
        "#]],
    );
}

#[test]
fn a_failed_download_passes_on_what_was_sent() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S 451 disk error
         . moved",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            S 451 disk error
                Alarm(Patience)
            . moved
                Calm
                to client: 451 disk error
        "#]],
    );
}

#[test]
fn a_failed_download_without_end_is_cut() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S 451 disk error
         . late",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            S 451 disk error
                Alarm(Patience)
            . late
                Cut
                Calm
                to client: 451 disk error
        "#]],
    );
}

#[test]
fn an_empty_listing_without_data_connection() {
    check(
        "4-4",
        UpstreamMode::Port,
        "C PORT 192,0,2,9,15,160
         C LIST
         . server-port 198.51.100.2:7000
         S 200 ok
         S 226 nothing
         . late
         . client-ready
         . client-data
         . moved",
        expect![[r#"
            C PORT 192,0,2,9,15,160
                AimAtClient(192.0.2.9:4000)
                to client: 200 PORT accepted
            C LIST
                ListenForServer
            . server-port 198.51.100.2:7000
                to server: PORT 198,51,100,2,27,88
            S 200 ok
                AcceptServer
                to server: LIST
            S 226 nothing
                Alarm(Short)
            . late
                AnnounceToClient(Download)
            . client-ready
                OpenClient
            . client-data
                to client: 150 Opening data connection
                Move(Download)
            . moved
                Calm
                to client: 226 nothing
        "#]],
    );
}

#[test]
fn a_final_reply_without_preliminary() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 226 quick
         . client-ready
         . client-data
         . moved",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 226 quick
                AnnounceToClient(Download)
            . client-ready
                to client: 150 Opening data connection
                OpenClient
            . client-data
                Move(Download)
            . moved
                Calm
                to client: 226 quick
        "#]],
    );
}

#[test]
fn abort_while_bytes_move_with_two_replies() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         . synch
         C ABOR
         C PWD
         S 426 aborted
         S 226 ok
         S 257 x",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            . synch
            C ABOR
                Cut
                to client: 426 Transfer aborted
                to client: 226 ABOR successful
                Abort
                Alarm(Patience)
            C PWD
            S 426 aborted
                Alarm(Short)
            S 226 ok
                Calm
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn abort_while_bytes_move_with_one_reply() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         C ABOR
         C PWD
         S 226 both
         . late
         S 257 fence
         S 257 x",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            C ABOR
                Cut
                to client: 426 Transfer aborted
                to client: 226 ABOR successful
                Abort
                Alarm(Patience)
            C PWD
            S 226 both
                Alarm(Short)
            . late
                to server: PWD
                Alarm(Long)
            S 257 fence
                Calm
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn abort_while_the_server_is_asked_for_a_way() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         C ABOR
         C PWD
         S 229 (|||6000|)
         S 257 x",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            C ABOR
                Cut
                to client: 426 Transfer aborted
                to client: 226 ABOR successful
                Alarm(Patience)
            C PWD
            S 229 (|||6000|)
                Calm
                Release
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn abort_while_the_servers_port_is_connected_to() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 (|||6000|)
         C ABOR
         C PWD
         S 257 x",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 (|||6000|)
                ConnectServer(198.51.100.1:6000)
            C ABOR
                Cut
                to client: 426 Transfer aborted
                to client: 226 ABOR successful
                Calm
            C PWD
                Release
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn abort_before_anything_was_said_about_the_transfer() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         C ABOR
         S 426 a
         S 226 b",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            C ABOR
                Cut
                to client: 426 Transfer aborted
                to client: 226 ABOR successful
                Abort
                Alarm(Patience)
            S 426 a
                Alarm(Short)
            S 226 b
                Calm
        "#]],
    );
}

#[test]
fn abort_when_all_bytes_are_through() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C STOR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         . moved
         C ABOR
         S 226 committed",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C STOR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: STOR a
            S 150 x
                AnnounceToClient(Upload)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Upload)
            . moved
            C ABOR
            S 226 committed
                Calm
                to client: 226 committed
                to client: 226 Nothing to abort: the transfer was over
        "#]],
    );
}

#[test]
fn abort_without_a_transfer_is_the_servers() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C ABOR
         S 226 nothing",
        expect![[r#"
            C ABOR
                to server: ABOR
            S 226 nothing
                to client: 226 nothing
        "#]],
    );
}

#[test]
fn noop_and_stat_are_answered_beside_a_transfer_and_the_rest_waits() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         C NOOP
         C STAT
         C STAT a
         C NOOP
         C QUIT
         . moved
         S 226 done
         S 213 a
         S 200 ok
         S 221 bye",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            C NOOP
                to client: 200 Transfer goes on
            C STAT
                TellProgress
            C STAT a
            C NOOP
            C QUIT
            . moved
            S 226 done
                Calm
                to client: 226 done
                to server: STAT a
            S 213 a
                to client: 213 a
                to server: NOOP
            S 200 ok
                to client: 200 ok
                to server: QUIT
            S 221 bye
                to client: 221 bye
                HangUp
        "#]],
    );
}

#[test]
fn a_421_in_mid_transfer() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C STOR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S 421 going down",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C STOR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: STOR a
            S 150 x
                AnnounceToClient(Upload)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Upload)
            S 421 going down
                Cut
                Calm
                to client: 421 going down
                HangUp
        "#]],
    );
}

#[test]
fn the_server_leaves_in_mid_transfer() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S gone",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            S gone
                Cut
                to client: 421 The server has closed the control connection, goodbye
                HangUp
        "#]],
    );
}

#[test]
fn the_server_leaves_after_its_final_reply() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C EPSV
         . client-port 192.0.2.1:50001
         C RETR a
         S 229 Entering (|||6000|)
         . server-data
         S 150 x
         . client-ready
         . client-data
         S 226 done
         S gone
         . moved",
        expect![[r#"
            C EPSV
                ListenForClient(Epsv)
            . client-port 192.0.2.1:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C RETR a
                to server: EPSV
            S 229 Entering (|||6000|)
                ConnectServer(198.51.100.1:6000)
            . server-data
                to server: RETR a
            S 150 x
                AnnounceToClient(Download)
            . client-ready
                to client: 150 x
                OpenClient
            . client-data
                Move(Download)
            S 226 done
            S gone
            . moved
                Calm
                to client: 226 done
                to client: 421 The server has closed the control connection, goodbye
                HangUp
        "#]],
    );
}

#[test]
fn an_unasked_421() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "S 200 twice
         S 421 idle for too long
         C NOOP",
        expect![[r#"
            S 200 twice
                note: a reply that nobody asked for was dropped: 200 twice
            S 421 idle for too long
                to client: 421 idle for too long
                HangUp
            C NOOP
        "#]],
    );
}

#[test]
fn only_the_clients_own_address_and_high_ports() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C PORT 192,0,2,10,15,160
         C PORT 192,0,2,9,0,22
         C EPRT |1|127.0.0.1|4000|
         C EPRT |2|2001:db8::9|4000|
         C EPRT |3|x|4000|
         C PORT 1,2,3
         C LPRT 4,4,192,0,2,9,2,15,160
         C LIST",
        expect![[r#"
            C PORT 192,0,2,10,15,160
                note: PORT refused: data connections go only to 192.0.2.9, where this control connection comes from, not to 192.0.2.10
                to client: 501 data connections go only to 192.0.2.9, where this control connection comes from, not to 192.0.2.10
            C PORT 192,0,2,9,0,22
                note: PORT refused: data connections do not go to port 22: below 1024
                to client: 504 data connections do not go to port 22: below 1024
            C EPRT |1|127.0.0.1|4000|
                note: EPRT refused: data connections go only to 192.0.2.9, where this control connection comes from, not to 127.0.0.1 (a private address: NAT; use passive mode)
                to client: 501 data connections go only to 192.0.2.9, where this control connection comes from, not to 127.0.0.1 (a private address: NAT; use passive mode)
            C EPRT |2|2001:db8::9|4000|
                note: EPRT refused: network protocol not supported on this control connection, use (1); you arrive here over IPv4, by NAT64 perhaps, where EPSV works without an address
                to client: 522 network protocol not supported on this control connection, use (1); you arrive here over IPv4, by NAT64 perhaps, where EPSV works without an address
            C EPRT |3|x|4000|
                to client: 522 Network protocol not supported, use (1)
            C PORT 1,2,3
                to client: 501 Syntax: PORT <SP> <host-port>
            C LPRT 4,4,192,0,2,9,2,15,160
                AimAtClient(192.0.2.9:4000)
                to client: 200 LPRT accepted
            C LIST
                to server: EPSV
        "#]],
    );
}

#[test]
fn families_and_epsv_all() {
    check(
        "6-4",
        UpstreamMode::Auto,
        "C PASV
         C EPSV 1
         C EPSV 2
         . client-port [2001:db8::1]:50001
         C EPSV ALL
         C EPRT |2|2001:db8::9|4000|
         C EPSV
         . client-port [2001:db8::1]:50001
         C LPSV",
        expect![[r#"
            C PASV
                to client: 501 PASV is for IPv4; use EPSV on this connection
            C EPSV 1
                to client: 522 Network protocol not supported, use (2)
            C EPSV 2
                ListenForClient(Epsv)
            . client-port [2001:db8::1]:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C EPSV ALL
                to client: 200 From now on EPSV only
            C EPRT |2|2001:db8::9|4000|
                to client: 503 only EPSV is allowed after EPSV ALL
            C EPSV
                ListenForClient(Epsv)
            . client-port [2001:db8::1]:50001
                to client: 229 Entering Extended Passive Mode (|||50001|)
            C LPSV
                to client: 503 only EPSV is allowed after EPSV ALL
        "#]],
    );
}

#[test]
fn pasv_towards_a_server_on_ipv6() {
    check(
        "4-6",
        UpstreamMode::Pasv,
        "C PASV
         . client-port 192.0.2.1:50001
         C RETR a
         C PWD
         S 257 x",
        expect![[r#"
            C PASV
                ListenForClient(Pasv)
            . client-port 192.0.2.1:50001
                to client: 227 Entering Passive Mode (192,0,2,1,195,81)
            C RETR a
                Cut
                to client: 425 No data connection between proxy and server: its control connection is IPv6, which leaves EPSV and EPRT, and they are refused or not allowed here
                Calm
            C PWD
                Release
                to server: PWD
            S 257 x
                to client: 257 x
        "#]],
    );
}

#[test]
fn security_extensions_are_refused_and_not_listed() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C AUTH TLS
         C PBSZ 0
         C PROT P
         C CCC
         C FEAT
         S 211 Features:/ AUTH TLS/ PBSZ/ PROT/ MDTM/ UTF8/ EPSV/ SSCN/End
         C FEAT
         S 211 Features:/211-AUTH TLS/211-SIZE/End
         C FEAT
         S 500 what?
         C HELP
         S 214 Commands:/ USER PASS AUTH PBSZ PROT SYST/ok
         C HELP AUTH
         S 214 AUTH is",
        expect![[r#"
            C AUTH TLS
                to client: 502 AUTH: this proxy offers no TLS yet; what passes it is in clear
            C PBSZ 0
                to client: 503 PBSZ: this proxy offers no TLS yet; what passes it is in clear
            C PROT P
                to client: 503 PROT: this proxy offers no TLS yet; what passes it is in clear
            C CCC
                to client: 533 CCC: this proxy offers no TLS yet; what passes it is in clear
            C FEAT
                to server: FEAT
            S 211 Features:/ AUTH TLS/ PBSZ/ PROT/ MDTM/ UTF8/ EPSV/ SSCN/End
                to client: 211 Features: /  MDTM /  UTF8 /  EPSV /  EPRT / End
            C FEAT
                to server: FEAT
            S 211 Features:/211-AUTH TLS/211-SIZE/End
                to client: 211 Features: / 211-SIZE /  EPRT /  EPSV / End
            C FEAT
                to server: FEAT
            S 500 what?
                to client: 500 what?
            C HELP
                to server: HELP
            S 214 Commands:/ USER PASS AUTH PBSZ PROT SYST/ok
                to client: 214 Commands: /  USER PASS                SYST / ok
            C HELP AUTH
                to server: HELP AUTH
            S 214 AUTH is
                to client: 214 AUTH is
        "#]],
    );
}

#[test]
fn what_is_not_about_data_goes_through() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C SITE CHMOD 644 ä
         S 200 ok
         C XYZZY
         S 500 what?
         C   noop
         S 200 ok
         C
         S 500 empty
         . long
         C STAT a
         S 213 first/213-like/ 9/last",
        expect![[r#"
            C SITE CHMOD 644 ä
                to server: SITE CHMOD 644 ä
            S 200 ok
                to client: 200 ok
            C XYZZY
                to server: XYZZY
            S 500 what?
                to client: 500 what?
            C   noop
                to server: noop
            S 200 ok
                to client: 200 ok
            C
                to server: 
            S 500 empty
                to client: 500 empty
            . long
                to client: 500 Line longer than 100 octets
            C STAT a
                to server: STAT a
            S 213 first/213-like/ 9/last
                to client: 213 first / 213-like /  9 / last
        "#]],
    );
}

#[test]
fn a_flood_of_lines_waits_and_quit_ends_it() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C PWD
         C CWD a
         C QUIT
         C PWD
         S 257 x
         S 250 ok
         S 221 bye
         C NOOP",
        expect![[r#"
            C PWD
                to server: PWD
            C CWD a
            C QUIT
            C PWD
            S 257 x
                to client: 257 x
                to server: CWD a
            S 250 ok
                to client: 250 ok
                to server: QUIT
            S 221 bye
                to client: 221 bye
                HangUp
            C NOOP
        "#]],
    );
}

#[test]
fn a_web_browser_is_sent_away() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C GET / HTTP/1.1",
        expect![[r#"
            C GET / HTTP/1.1
                to client: 500 This is an FTP server, goodbye.
                HangUp
        "#]],
    );
}

#[test]
fn rein_forgets_the_login_and_what_was_arranged() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C PORT 192,0,2,9,15,160
         C REIN
         S 220 again
         C LIST
         C PASV",
        expect![[r#"
            C PORT 192,0,2,9,15,160
                AimAtClient(192.0.2.9:4000)
                to client: 200 PORT accepted
            C REIN
                to server: REIN
            S 220 again
                Release
                LoggedOut
                to client: 220 again
            C LIST
                to client: 530 Log in first
            C PASV
                to client: 530 Log in first
        "#]],
    );
}

#[test]
fn an_upload_that_no_data_connection_took_is_not_complete() {
    check(
        "4-4",
        UpstreamMode::Port,
        "C PORT 192,0,2,9,15,160
         C STOR a
         . server-port 198.51.100.2:7000
         S 200 ok
         S 226 thanks
         . late",
        expect![[r#"
            C PORT 192,0,2,9,15,160
                AimAtClient(192.0.2.9:4000)
                to client: 200 PORT accepted
            C STOR a
                ListenForServer
            . server-port 198.51.100.2:7000
                to server: PORT 198,51,100,2,27,88
            S 200 ok
                AcceptServer
                to server: STOR a
            S 226 thanks
                Alarm(Short)
            . late
                Cut
                Calm
                to client: 426 The server says that it is done and has taken no data; transfer incomplete
        "#]],
    );
}

#[test]
fn guessing_passwords_ends_the_session() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C USER jim
         S 331 password
         C PASS a
         S 530 no
         C PASS b
         S 530 no
         C PASS c",
        expect![[r#"
            C USER jim
                to server: USER jim
            S 331 password
                LoggedOut
                to client: 331 password
            C PASS a
                to server: PASS a
            S 530 no
                to client: 530 no
            C PASS b
                to server: PASS b
            S 530 no
                to client: 530 no
                to client: 421 Too many wrong passwords, goodbye
                HangUp
            C PASS c
        "#]],
    );
}

#[test]
fn another_user_needs_its_own_login() {
    check(
        "4-4",
        UpstreamMode::Auto,
        "C USER jim
         S 530 no change of user
         C EPSV ALL
         C USER jim
         S 331 password
         C EPSV
         C PASS x
         S 230 in",
        expect![[r#"
            C USER jim
                to server: USER jim
            S 530 no change of user
                to client: 530 no change of user
            C EPSV ALL
                to client: 200 From now on EPSV only
            C USER jim
                to server: USER jim
            S 331 password
                LoggedOut
                to client: 331 password
            C EPSV
                to client: 530 Log in first
            C PASS x
                to server: PASS x
            S 230 in
                logged in: jim
                to client: 230 in
        "#]],
    );
}

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
                    10 if driver.client_data => { driver.client_data = false; Input::ClientData(ok(fine)) }
                    10 if driver.moving => { driver.moving = false; Input::Moved(ok(fine)) }
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
