//! Dialogues: from whatever the client arranges to whatever the server takes.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the dialogues"
)]

mod dialogue;

use dialogue::check;
use expect_test::expect;
use wharf_proxy::UpstreamMode;

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
