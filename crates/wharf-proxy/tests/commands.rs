//! Dialogues about everything but the bytes: what is arranged, refused, hidden and passed on.
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
                to client: 502 AUTH is not offered here
            C PBSZ 0
                to client: 502 PBSZ is not offered here
            C PROT P
                to client: 502 PROT is not offered here
            C CCC
                to client: 502 CCC is not offered here
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
