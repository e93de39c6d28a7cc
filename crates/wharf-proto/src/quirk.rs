//! Named tolerances: where real peers differ from the RFCs and this crate copes with it.
//!
//! One row per deviation, with who does it, where that was seen, and what is done. A tolerance that is not in this
//! table does not exist; code that implements one names it in a comment or test. The table is for readers and for
//! messages, nothing is decided by looking it up.

/// Which side of the connection deviates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deviant {
    /// A server; our user side copes.
    Server,
    /// A client; our server side copes.
    Client,
    /// A box between the two; both sides cope.
    Middlebox,
}

/// A deviation and the answer to it.
#[derive(Debug, Clone, Copy)]
pub struct Quirk {
    /// Short name, unique.
    pub name: &'static str,
    /// Which side deviates.
    pub deviant: Deviant,
    /// Products known to do it, with versions where they are known.
    pub seen_in: &'static str,
    /// What was observed: our own measurement, or the public report.
    pub evidence: &'static str,
    /// What the RFC says instead.
    pub rfc: &'static str,
    /// What this crate does about it, and where.
    pub tolerance: &'static str,
}

/// All of them, by theme: addresses, replies, commands, listings.
pub static QUIRKS: &[Quirk] = &[
    Quirk {
        name: "227-private-address",
        deviant: Deviant::Server,
        seen_in: "any server behind NAT without an advertised address (vsftpd, ProFTPD, Pure-FTPd defaults)",
        evidence: "227 names 192.168.77.5 to a client on the internet; wget 1.21 and suppaftp 10 then wait 135 s for nothing",
        rfc: "RFC 959 §4.1.2: the 227 names where the server listens",
        tolerance: "the control peer's address with the port of the 227 (data_connection::path, Address::ControlPeer)",
    },
    Quirk {
        name: "227-zero-address",
        deviant: Deviant::Server,
        seen_in: "AWS Transfer Family (PassiveIp=0.0.0.0); vsftpd 3.0.3 with listen_ipv6=YES and pasv_address",
        evidence: "227 Entering Passive Mode (0,0,0,0,195,86); ncftp 3.2.6 connects to its own host",
        rfc: "RFC 959 §4.1.2",
        tolerance: "0.0.0.0 stands for the control peer even where addresses in replies are followed (PathPolicy::targets)",
    },
    Quirk {
        name: "227-foreign-address",
        deviant: Deviant::Server,
        seen_in: "hostile servers; balancers that hand out back ends",
        evidence: "curl CVE-2020-8284; FluentFTP issue 1258 for the honest case",
        rfc: "RFC 2577 §3 (the same bounce, the other way round)",
        tolerance: "followed first only on request (DataHost::Reply); a public or trusted one beside the control peer's, 250 ms later, after EPSV has failed; never to loopback (PathPolicy::targets)",
    },
    Quirk {
        name: "227-form",
        deviant: Deviant::Server,
        seen_in: "embedded servers, old mainframes",
        evidence: "no parentheses, '=' before the numbers, missing ')', a digit in the text; aria2 1.36 and suppaftp 10 fail on the first three, wget 1.21 on the last",
        rfc: "RFC 1123 §4.1.2.6: the user must scan for the first digit",
        tolerance: "the last six numbers joined by commas are taken (host_port::read_227)",
    },
    Quirk {
        name: "epsv-port-dropped",
        deviant: Deviant::Middlebox,
        seen_in: "firewalls whose FTP inspection reads PASV only",
        evidence: "229, then silence, while PASV works: jlaffaye/ftp issue 43, git-ftp issue 492, the man page of tnftp; curl 7.88 needs 134 s to find out",
        rfc: "RFC 2428 §3",
        tolerance: "silence on EPSV's port leaves PASV to the same address, tried next (data_connection::candidates)",
    },
    Quirk {
        name: "port-only-helper",
        deviant: Deviant::Middlebox,
        seen_in: "NAT helpers that rewrite PORT and do not know EPRT",
        evidence: "Apache Commons Net prefers PORT on IPv4 for this reason and says so in its source",
        rfc: "RFC 2428 §2",
        tolerance: "PORT before EPRT on IPv4 (data_connection::candidates)",
    },
    Quirk {
        name: "500-for-refused-address",
        deviant: Deviant::Server,
        seen_in: "vsftpd 3.0.3, Pure-FTPd 1.0.50",
        evidence: "500 Illegal PORT command. / 500 I won't open a connection to 192.168.10.2 (only to 198.51.100.1)",
        rfc: "RFC 959 §5.4: 501 for a parameter",
        tolerance: "500 to PORT closes PORT only and EPRT is still asked: one round trip, then the path is closed, too (Evidence::from_reply)",
    },
    Quirk {
        name: "no-522",
        deviant: Deviant::Server,
        seen_in: "vsftpd 3.0.3 (500 Bad EPRT protocol.), ProFTPD 1.3.8 (500 Illegal EPRT command)",
        evidence: "EPRT |2| on an IPv4 control connection, as behind NAT64",
        rfc: "RFC 2428 §2: 522",
        tolerance: "any 5yz closes the command (Evidence::from_reply)",
    },
    Quirk {
        name: "active-attempt-blocks-session",
        deviant: Deviant::Server,
        seen_in: "vsftpd 3.0.3 (60 s), ProFTPD 1.3.8 (134 s), Pure-FTPd 1.0.50 (134 s)",
        evidence: "while connect() waits, neither NOOP nor ABOR is answered",
        rfc: "RFC 959 §4.1.3: ABOR and STAT during a transfer",
        tolerance: "server-opened paths come last in a search (data_connection::path)",
    },
    Quirk {
        name: "one-reply-to-abor",
        deviant: Deviant::Server,
        seen_in: "servers whose transfer had just ended; embedded servers",
        evidence: "226 alone, or 426 alone, where two replies are due",
        rfc: "RFC 959 §4.1.3: 426 then 226, or 226",
        tolerance: "owed replies are counted, a PWD behind them ends the wait (UserPi::fence)",
    },
    Quirk {
        name: "226-before-data-end",
        deviant: Deviant::Server,
        seen_in: "any server: the two connections overtake each other",
        evidence: "226 is read before the last bytes of the data connection",
        rfc: "RFC 959 §5.4 leaves the order between the connections open",
        tolerance: "a verdict needs both ends, in either order (UserTransfer)",
    },
    Quirk {
        name: "226-for-a-short-file",
        deviant: Deviant::Server,
        seen_in: "servers whose file or disk fails during RETR; boxes that cut the data connection with FIN",
        evidence: "1,000 of 65,536 bytes, then 226: seven of ten clients report success",
        rfc: "RFC 959 §4.2: 451 or 426",
        tolerance: "the byte count must agree with SIZE or MLST (Verdict::WrongSize)",
    },
    Quirk {
        name: "reset-behind-the-last-byte",
        deviant: Deviant::Server,
        seen_in: "servers and TLS stacks that close with unread input",
        evidence: "all bytes, then RST instead of FIN, then 226",
        rfc: "RFC 959 §3.3: closing the connection ends the file",
        tolerance: "complete only if the expected size is known and reached (UserTransfer)",
    },
    Quirk {
        name: "rest-then-pasv",
        deviant: Deviant::Client,
        seen_in: "every client",
        evidence: "REST, PASV, RETR in this order",
        rfc: "RFC 959 §4.1.3: REST is followed immediately by the transfer",
        tolerance: "the marker survives commands that prepare a transfer (Verb::keeps_markers)",
    },
    Quirk {
        name: "type-a-n",
        deviant: Deviant::Client,
        seen_in: "old clients and scripts",
        evidence: "TYPE A N; servers that answer 504 break them",
        rfc: "RFC 959 §3.1.1.5.1: N is the default format",
        tolerance: "the same as TYPE A (ServerPi::admit)",
    },
    Quirk {
        name: "pass-when-logged-in",
        deviant: Deviant::Client,
        seen_in: "clients and scripts that pipeline USER and PASS",
        evidence: "PASS after USER was answered 230",
        rfc: "RFC 959 §5.4: 202",
        tolerance: "202, the login stays (ServerPi::admit)",
    },
    Quirk {
        name: "list-without-group",
        deviant: Deviant::Server,
        seen_in: "embedded and old Unix servers",
        evidence: "three or fewer columns before the size, or no link count",
        rfc: "RFC 959 leaves the form of LIST open",
        tolerance: "columns are counted from the date to both sides (listing::unix)",
    },
    Quirk {
        name: "list-negative-size",
        deviant: Deviant::Server,
        seen_in: "servers with 32-bit sizes",
        evidence: "-2147483648 for a file above 2 GiB",
        rfc: "RFC 959 leaves the form of LIST open",
        tolerance: "the entry is there, its size unknown (listing::unix)",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tolerance_has_a_name_and_evidence() {
        for (number, quirk) in QUIRKS.iter().enumerate() {
            assert!(
                QUIRKS
                    .iter()
                    .take(number)
                    .all(|other| other.name != quirk.name),
                "{} twice",
                quirk.name
            );
            for text in [
                quirk.name,
                quirk.seen_in,
                quirk.evidence,
                quirk.rfc,
                quirk.tolerance,
            ] {
                assert!(!text.is_empty(), "{}", quirk.name);
            }
            assert!(quirk.rfc.starts_with("RFC "), "{}", quirk.name);
        }
    }
}
