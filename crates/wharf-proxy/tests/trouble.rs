//! Dialogues of transfers that go wrong on one side or the other.
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
