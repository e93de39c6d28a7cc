//! Every cause of a failure, with its number: `WF-<exit status><number in its class>`.
//!
//! Number 00 of a class is for whoever knows no more than the exit status. A variant that nobody constructs is a warning of the
//! compiler, a code without a row cannot be written; the texts are in `messages/*/errors.toml`, the same keys in each.

use rustix::io::Errno;

use crate::exit::{Exit, TABLE};

macro_rules! causes {
    ($($name:ident = $number:literal, $example:literal;)*) => {
        /// Why something failed. The number is the code: exit status times 100, and the number in its class.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum Cause {
            $($name = $number,)*
        }

        /// Number and an example: a command, or a situation, that ends so.
        pub(super) const NUMBERS: &[(u16, &str)] = &[$(($number, $example),)*];
    };
}

causes! {
    Partial = 100, "wharf cat ftp://host/there ftp://host/missing";
    Usage = 200, "wharf get";
    Address = 201, "wharf get http://example.org/";
    Exclusive = 202, "wharf get --passive --active ftp://host/file";
    NoSuchWord = 203, "wharf help no-such-topic";
    PasswordSource = 204, "wharf get --password-file empty ftp://user@host/file";
    NotSendable = 205, "ftp://host/a%0Db";
    Unreachable = 300, "wharf ls ftp://host/";
    UnknownName = 301, "wharf ls ftp://no-such-host.invalid/";
    NoConnection = 302, "wharf ls ftp://192.0.2.1/";
    ConnectionRefused = 303, "wharf ls ftp://localhost:1/";
    ConnectionLost = 304, "the server is stopped during a download";
    NotConnected = 305, "ftp> ls, before open";
    Unconfirmed = 306, "the connection breaks between the last byte and the 226";
    Login = 400, "wharf ls ftp://user@host/, with a wrong password";
    NoPassword = 401, "wharf ls ftp://user@host/ < /dev/null";
    NotLoggedIn = 402, "ftp> ls, after a refused login";
    AnonymousRefused = 403, "wharf ls ftp://host/, where everybody has a name";
    NotFound = 500, "wharf get ftp://host/missing";
    Denied = 600, "wharf get ftp://host/directory";
    Permission = 601, "wharf rm ftp://host/pub/file, as anonymous";
    ExistsThere = 602, "wharf mkdir ftp://host/there";
    NotOffered = 603, "wharf get -c ftp://host/file, where REST is not known";
    DataConnection = 700, "wharf get ftp://host/file, behind a firewall that drops the data ports";
    DataConnectionRefused = 701, "425 Can't open data connection";
    Timeout = 800, "a reply does not come within --timeout";
    Stalled = 801, "no byte within --timeout in the middle of a file";
    Tls = 900, "the handshake fails";
    CertificateExpired = 901, "wharf ls ftpes://host/, with a certificate of last year";
    CertificateName = 902, "wharf ls ftpes://192.0.2.1/, with a certificate for ftp.example.org";
    CertificateUnknown = 903, "wharf ls ftpes://host/, with a self-signed certificate";
    CertificateChanged = 904, "another certificate than at the first visit";
    CertificateNotPinned = 905, "wharf ls --pin FINGERPRINT ftpes://host/";
    NoTlsThere = 906, "wharf ls --tls require ftp://host/, where AUTH is not known";
    NotResumed = 907, "522 session reuse required";
    InjectedBeforeTls = 908, "220 and a forged 230 in one packet before AUTH TLS";
    Truncated = 1000, "426 after half of the file";
    Mismatch = 1001, "226 after half of the file";
    Protocol = 1100, "wharf ls ftp://host:80/, where a web server answers";
    LocalFile = 1200, "wharf put no-directory/.. ftp://host/";
    LocalMissing = 1201, "wharf put no-such-file ftp://host/";
    LocalPermission = 1202, "wharf get -o /etc/motd ftp://host/file, not as root";
    LocalFull = 1203, "wharf get ftp://host/large.iso, on a full disk";
    UnsafeName = 1204, "wharf get ftp://host/..%2Fx, or a listing that has such a name";
    LocalDirectory = 1205, "wharf put directory ftp://host/";
    LocalReadOnly = 1206, "wharf get -O /sys ftp://host/file";
    RemoteStorage = 1300, "552 quota exceeded";
    Busy = 1400, "421 too many connections";
    Changed = 1500, "wharf get -c ftp://host/file, after the file was replaced";
    Nothing = 1600, "wharf ls --fail-if-empty ftp://host/empty/";
    Differs = 2000, "wharf mirror --check ftp://host/pub/ pub";
    ServerUsage = 6400, "wharf serve --no-such-flag";
    NoUser = 6700, "wharf user remove nobody";
    Unavailable = 6900, "wharf serve no-such-directory";
    AddressInUse = 6901, "wharf serve --listen 127.0.0.1:21, twice";
    NotThere = 6902, "wharf serve no-such-directory";
    NotOurAddress = 6903, "wharf serve --listen 203.0.113.9:21, on a machine that has it not";
    Software = 7000, "wharf serve > /dev/full";
    CannotCreate = 7300, "wharf serve --trace no/such/directory/trace";
    NoRights = 7700, "wharf serve --listen 127.0.0.1:21, not as root";
    Config = 7800, "wharf check, with a mistake in wharf.toml";
    ConfigUnreadable = 7801, "wharf serve --config no-such-file";
}

impl Cause {
    /// `WF-0301`.
    pub(crate) fn code(self) -> String {
        code(self as u16)
    }

    /// The exit status of its class.
    pub(crate) fn exit(self) -> Exit {
        let status = self as u16 / 100;
        TABLE
            .iter()
            .map(|(exit, _)| *exit)
            .find(|exit| u16::from(exit.code()) == status)
            .unwrap_or(Exit::Software)
    }

    /// What is known when nothing but the exit status and the message is.
    pub(crate) fn of(exit: Exit, message: &str) -> Self {
        Self::by_system_error(exit, message).unwrap_or(match exit {
            // `Done` fails nobody; signals end without a word.
            Exit::Done | Exit::Partial | Exit::Interrupted | Exit::Terminated => Self::Partial,
            Exit::Usage => Self::Usage,
            Exit::Unreachable => Self::Unreachable,
            Exit::Login => Self::Login,
            Exit::NotFound => Self::NotFound,
            Exit::Denied => Self::Denied,
            Exit::DataConnection => Self::DataConnection,
            Exit::Timeout => Self::Timeout,
            Exit::Tls => Self::Tls,
            Exit::Truncated => Self::Truncated,
            Exit::Protocol => Self::Protocol,
            Exit::LocalFile => Self::LocalFile,
            Exit::RemoteStorage => Self::RemoteStorage,
            Exit::Busy => Self::Busy,
            Exit::Changed => Self::Changed,
            Exit::Nothing => Self::Nothing,
            Exit::Differs => Self::Differs,
            Exit::ServerUsage => Self::ServerUsage,
            Exit::NoUser => Self::NoUser,
            Exit::Unavailable => Self::Unavailable,
            Exit::Software => Self::Software,
            Exit::CannotCreate => Self::CannotCreate,
            Exit::NoPermission => Self::NoRights,
            Exit::Config => Self::Config,
        })
    }

    /// std writes the system's error as `… (os error 28)`; what a call site was told stands in its message.
    fn by_system_error(exit: Exit, message: &str) -> Option<Self> {
        let (_, number) = message.rsplit_once("(os error ")?;
        let number: i32 = number.split(')').next()?.parse().ok()?;
        ROWS.iter()
            .find(|(when, numbers, _)| {
                *when == exit && numbers.iter().any(|it| it.raw_os_error() == number)
            })
            .map(|(_, _, cause)| *cause)
    }
}

/// Which numbers of the system say more than the exit status.
const ROWS: &[(Exit, &[Errno], Cause)] = &[
    (Exit::LocalFile, &[Errno::NOENT], Cause::LocalMissing),
    (
        Exit::LocalFile,
        &[Errno::ACCESS, Errno::PERM],
        Cause::LocalPermission,
    ),
    (
        Exit::LocalFile,
        &[Errno::NOSPC, Errno::DQUOT, Errno::FBIG],
        Cause::LocalFull,
    ),
    (
        Exit::LocalFile,
        &[Errno::ISDIR, Errno::NOTDIR],
        Cause::LocalDirectory,
    ),
    (Exit::LocalFile, &[Errno::ROFS], Cause::LocalReadOnly),
    (
        Exit::Unreachable,
        &[Errno::CONNREFUSED],
        Cause::ConnectionRefused,
    ),
    (Exit::Unavailable, &[Errno::ADDRINUSE], Cause::AddressInUse),
    (
        Exit::Unavailable,
        &[Errno::NOENT, Errno::NOTDIR],
        Cause::NotThere,
    ),
    (
        Exit::Unavailable,
        &[Errno::ADDRNOTAVAIL],
        Cause::NotOurAddress,
    ),
    (
        Exit::Config,
        &[Errno::NOENT, Errno::ACCESS],
        Cause::ConfigUnreadable,
    ),
];

/// A number as it is printed.
pub(super) fn code(number: u16) -> String {
    format!("WF-{number:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_more_than_the_exit_status() {
        for (exit, message, expected) in [
            (
                Exit::LocalFile,
                "cannot read x: gone (os error 2)",
                "WF-1201",
            ),
            (Exit::LocalFile, "x (os error 28)", "WF-1203"),
            (Exit::LocalFile, "x (os error 9999)", "WF-1200"),
            (Exit::LocalFile, "x (os error y)", "WF-1200"),
            (
                Exit::Unreachable,
                "no: Connection refused (os error 111)",
                "WF-0303",
            ),
            (Exit::Usage, "x (os error 2)", "WF-0200"),
            (Exit::Unavailable, "cannot listen (os error 98)", "WF-6901"),
        ] {
            assert_eq!(Cause::of(exit, message).code(), expected, "{message}");
        }
    }

    #[test]
    fn every_class_of_the_exit_table_has_its_codes_and_no_other() {
        for (number, example) in NUMBERS {
            let known = TABLE
                .iter()
                .any(|(exit, _)| u16::from(exit.code()) == number / 100);
            assert!(known, "{number}");
            assert!(!example.is_empty());
        }
        for (exit, _) in TABLE {
            if matches!(exit, Exit::Done | Exit::Interrupted | Exit::Terminated) {
                continue; // these say nothing
            }
            let general = u16::from(exit.code()) * 100;
            assert_eq!(Cause::of(*exit, "") as u16, general);
        }
        assert!(NUMBERS.is_sorted_by(|(one, _), (next, _)| one < next));
    }
}
