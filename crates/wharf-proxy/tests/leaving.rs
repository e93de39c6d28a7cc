//! Dialogues: ABOR, commands beside a transfer, and who leaves when.
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
