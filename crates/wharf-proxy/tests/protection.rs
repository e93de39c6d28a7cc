//! Dialogues about TLS on the client's side: it ends at the proxy, and nothing of it reaches the server.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the dialogues"
)]

mod dialogue;

use dialogue::{LOGIN, ends, play};
use expect_test::{Expect, expect};
use wharf_proto::security::Requirement;
use wharf_proxy::UpstreamMode;
use wharf_proxy::translate::Translator;
use wharf_proxy::translate::protection::Protection;
use wharf_proxy::translate::ways::{Learnt, ServerWays};

fn check(wanted: Requirement, script: &str, want: Expect) {
    let mut ends = ends("4-4");
    ends.protection = Protection::new(wanted);
    let ways = ServerWays::new(UpstreamMode::Auto, true, Learnt::default());
    want.assert_eq(&play(&mut Translator::new(ends, ways), script));
}

#[test]
fn the_order_of_rfc_4217() {
    check(
        Requirement::Allowed,
        "C PBSZ 0
         C PROT P
         C AUTH KERBEROS_V4
         C AUTH TLS
         C AUTH TLS
         C PROT P
         C PBSZ x
         C PBSZ 0
         C PROT S
         C PROT X
         C PROT P
         C PROT C
         C CCC
         C ADAT x",
        expect![[r#"
            C PBSZ 0
                to client: 503 send AUTH TLS before PBSZ
            C PROT P
                to client: 503 send AUTH TLS and PBSZ 0 before PROT
            C AUTH KERBEROS_V4
                to client: 504 the only mechanism is TLS
            C AUTH TLS
                to client: 234 Begin with TLS
                SecureClient
            C AUTH TLS
                to client: 503 this control connection is in TLS
            C PROT P
                to client: 503 send PBSZ 0 before PROT
            C PBSZ x
                to client: 501 PBSZ takes a number, 0 for TLS
            C PBSZ 0
                to client: 200 PBSZ=0
            C PROT S
                to client: 536 TLS protects wholly (PROT P) or not at all (PROT C)
            C PROT X
                to client: 504 PROT is C or P
            C PROT P
                ProtectData(true)
                to client: 200 Data connections are protected
            C PROT C
                ProtectData(false)
                to client: 200 Data connections are in clear
            C CCC
                to client: 534 the control connection stays in TLS (server setting tls.ccc = false)
            C ADAT x
                to client: 503 ADAT is not offered by this proxy
        "#]],
    );
}

#[test]
fn what_features_say() {
    check(
        Requirement::Allowed,
        "C FEAT
         S 211 Features:/ AUTH TLS/ SIZE/ PBSZ/ PROT/End",
        expect![[r#"
            C FEAT
                to server: FEAT
            S 211 Features:/ AUTH TLS/ SIZE/ PBSZ/ PROT/End
                to client: 211 Features: /  SIZE /  EPRT /  EPSV /  AUTH TLS /  PBSZ /  PROT / End
        "#]],
    );
}

#[test]
fn nobody_logs_in_or_transfers_without_it_where_it_is_required() {
    check(
        Requirement::Required,
        &format!(
            "C USER joe
             C AUTH TLS
             {LOGIN}
             C PASV
             . client-port 192.0.2.1:50001
             C RETR a
             C PBSZ 0
             C PROT C
             C PROT P
             C RETR a
             C PASV
             . client-port 192.0.2.1:50002
             C RETR a"
        ),
        expect![[r#"
            C USER joe
                to client: 534 log in with TLS: send AUTH TLS first (server setting tls.control = "required")
            C AUTH TLS
                to client: 234 Begin with TLS
                SecureClient
            C USER joe
                to server: USER joe
            S 331 password
                to client: 331 password
            C PASS x
                to server: PASS x
            S 230 in
                logged in: joe
                to client: 230 in
            C PASV
                ListenForClient(Pasv)
            . client-port 192.0.2.1:50001
                to client: 227 Entering Passive Mode (192,0,2,1,195,81)
            C RETR a
                to client: 521 data connections must be protected: send PBSZ 0 and PROT P first (server setting tls.data = "required")
            C PBSZ 0
                to client: 200 PBSZ=0
            C PROT C
                to client: 534 data connections must be protected (server setting tls.data = "required")
            C PROT P
                Release
                ProtectData(true)
                to client: 200 Data connections are protected
            C RETR a
                to client: 425 Use PASV, EPSV, PORT or EPRT first
            C PASV
                ListenForClient(Pasv)
            . client-port 192.0.2.1:50002
                to client: 227 Entering Passive Mode (192,0,2,1,195,82)
            C RETR a
                to server: EPSV
        "#]],
    );
}

/// Lines that waited behind a command of the server's were sent before TLS began.
#[test]
fn what_was_sent_in_clear_behind_auth_is_not_taken_for_protected() {
    check(
        Requirement::Allowed,
        "C FEAT
         C AUTH TLS
         C USER smuggled
         S 211 End",
        expect![[r#"
            C FEAT
                to server: FEAT
            C AUTH TLS
            C USER smuggled
            S 211 End
                to client: 211 End
                to client: 421 Nothing may follow AUTH in clear, goodbye
                HangUp
        "#]],
    );
}

#[test]
fn a_data_connection_that_is_not_protected_as_agreed_is_a_522() {
    for (script, told) in [
        (
            "C PASV
             . client-port 192.0.2.1:50001
             C RETR a
             S 229 Entering (|||6000|)
             . server-data
             S 150 here it comes
             . client-ready
             . client-data did not resume the TLS session",
            "to client: 522 No data connection between client and proxy: did not resume the TLS session",
        ),
        (
            "C PORT 192,0,2,9,156,64
             C RETR a
             S 229 Entering (|||6000|)
             . server-data
             S 150 here it comes
             . client-ready
             . client-data
             . moved no TLS
             S 426 broken",
            "to client: 426 broken",
        ),
        (
            "C PORT 192,0,2,9,156,64
             C RETR a
             S 229 Entering (|||6000|)
             . server-data
             S 150 here it comes
             . client-ready
             . client-data
             S 226 done
             . moved no TLS",
            "to client: 522 no TLS",
        ),
    ] {
        let mut ends = ends("4-4");
        ends.protection = Protection::new(Requirement::Allowed);
        let ways = ServerWays::new(UpstreamMode::Auto, true, Learnt::default());
        let mut machine = Translator::new(ends, ways);
        play(&mut machine, LOGIN);
        let said = play(&mut machine, script);
        assert!(said.contains(told), "{said}");
    }
}
