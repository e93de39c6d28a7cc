//! Errors of the client library as [`Failure`]s: the exit status, the table of tried ways, a hint.

use std::error::Error as _;

use wharf_client::{Error, ErrorKind};
use wharf_net::tls::TlsError;
use wharf_net::tls::trust::Distrust;
use wharf_proto::visible;

use crate::catalogue::Cause;
use crate::exit::{Exit, Failure};

/// An error of the client library with its exit status, its table and what may help.
pub(crate) fn failure(error: &Error) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines();
    let mut message = lines.next().unwrap_or_default().to_owned();
    if let Some(reply) = error.reply() {
        message = told_by_server(&message, reply.code(), &visible(reply.text().as_bytes()));
    }
    let details: Vec<String> = if error.explanation().is_empty() {
        lines.map(|line| line.trim().to_owned()).collect()
    } else {
        // As they are: rules to add are indented, so that they can be copied.
        let lines = error.explanation().iter();
        lines.map(|line| visible(line.as_bytes())).collect()
    };
    let mut failure = Failure::new(exit_of(error.kind()), message).with_details(details);
    if let Some(cause) = cause_of(error) {
        failure = failure.because(cause);
    }
    failure.unconfirmed = error.is_unconfirmed();
    match error.kind() {
        // Only said again.
        ErrorKind::DataConnection if error.tried().is_empty() && error.reply().is_none() => failure,
        ErrorKind::DataConnection => failure.with_hint(
            "`wharf help modes` explains the ways that are tried, -v shows what happens",
        ),
        ErrorKind::Tls => match tls_step(error) {
            Some(step) => failure.with_hint(step),
            None => failure,
        },
        ErrorKind::Truncated | ErrorKind::Stalled => {
            failure.with_hint("-c goes on where a transfer stopped")
        }
        _ if error.is_unconfirmed() => failure.with_hint(
            "-c compares what is there and goes on; only binary transfers can be compared",
        ),
        ErrorKind::Busy => failure.with_hint("trying again later may help"),
        _ => failure,
    }
}

/// What may be done where there is no TLS.
fn tls_step(error: &Error) -> Option<String> {
    let cause = error.source().and_then(|it| it.downcast_ref::<TlsError>());
    match cause {
        Some(cause) => cause.next_step(),
        None if error.is_not_resumed() => Some(
            "the server can do without: vsftpd require_ssl_reuse=NO, ProFTPD TLSOptions NoSessionReuseRequired, wharf --tls-data-session prefer"
                .to_owned(),
        ),
        None if error.reply().is_some() => Some(
            "--tls off with an ftp:// address goes on in clear, where everybody on the way can read along"
                .to_owned(),
        ),
        None => None,
    }
}

/// Commands whose argument a person knows as a file or directory.
const BY_NAME: &[&str] = &[
    "APPE", "CWD", "DELE", "LIST", "MDTM", "MFMT", "MKD", "MLSD", "MLST", "NLST", "RETR", "RMD",
    "RNFR", "RNTO", "SIZE", "STAT", "STOR",
];

/// `RETR a: 550 a: no such file` is said as `a: the server says 550 no such file`: the command that
/// asked is of no interest, and many servers repeat the name.
fn told_by_server(message: &str, code: u16, text: &str) -> String {
    let Some(what) = message.strip_suffix(&format!(": {code} {text}")) else {
        return message.to_owned();
    };
    let name = match what.split_once(' ') {
        // `TYPE I` and the like name no file.
        Some((verb, name)) if BY_NAME.contains(&verb) => name,
        _ => what,
    };
    let said = text
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(text);
    format!("{name}: the server says {code} {said}")
}

/// The cause, where the error tells more than its exit status.
fn cause_of(error: &Error) -> Option<Cause> {
    // Whatever it was that was lost: what matters is that all data moved.
    if error.is_unconfirmed() && exit_of(error.kind()) == Exit::Unreachable {
        return Some(Cause::Unconfirmed);
    }
    Some(match error.kind() {
        ErrorKind::Resolve => Cause::UnknownName,
        ErrorKind::Connect => match error.source().and_then(|it| it.downcast_ref()) {
            Some(cause) if std::io::Error::kind(cause) == std::io::ErrorKind::ConnectionRefused => {
                Cause::ConnectionRefused
            }
            _ => Cause::NoConnection,
        },
        ErrorKind::Closed => Cause::ConnectionLost,
        ErrorKind::Permission => Cause::Permission,
        ErrorKind::Exists => Cause::ExistsThere,
        ErrorKind::Unsupported => Cause::NotOffered,
        ErrorKind::DataConnection if error.reply().is_some() => Cause::DataConnectionRefused,
        ErrorKind::Stalled => Cause::Stalled,
        ErrorKind::Mismatch => Cause::Mismatch,
        ErrorKind::Argument => Cause::NotSendable,
        ErrorKind::Tls => return tls_cause(error),
        // The one that has no system's error behind it.
        ErrorKind::Local if error.to_string().contains("cannot be a local file name") => {
            Cause::UnsafeName
        }
        _ => return None,
    })
}

/// Why there is no TLS.
fn tls_cause(error: &Error) -> Option<Cause> {
    let cause = error.source().and_then(|it| it.downcast_ref::<TlsError>());
    Some(match cause {
        Some(TlsError::Untrusted(why)) => match why {
            Distrust::Expired { .. } | Distrust::NotYetValid { .. } => Cause::CertificateExpired,
            Distrust::WrongName { .. } => Cause::CertificateName,
            Distrust::UnknownAuthority { .. } => Cause::CertificateUnknown,
            Distrust::Changed { .. } => Cause::CertificateChanged,
            Distrust::NotPinned { .. } => Cause::CertificateNotPinned,
            _ => return None,
        },
        Some(TlsError::Injected) => Cause::InjectedBeforeTls,
        None if error.is_not_resumed() => Cause::NotResumed,
        None if error.reply().is_some() => Cause::NoTlsThere,
        _ => return None,
    })
}

/// The exit status of each kind of error.
pub(crate) fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Resolve | ErrorKind::Connect | ErrorKind::Closed => Exit::Unreachable,
        ErrorKind::Tls => Exit::Tls,
        ErrorKind::Login => Exit::Login,
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::Permission | ErrorKind::Exists | ErrorKind::Unsupported | ErrorKind::Refused => {
            Exit::Denied
        }
        ErrorKind::DataConnection => Exit::DataConnection,
        ErrorKind::Timeout | ErrorKind::Stalled => Exit::Timeout,
        ErrorKind::Truncated | ErrorKind::Mismatch => Exit::Truncated,
        ErrorKind::Changed => Exit::Changed,
        ErrorKind::Local => Exit::LocalFile,
        ErrorKind::RemoteStorage => Exit::RemoteStorage,
        ErrorKind::Busy => Exit::Busy,
        ErrorKind::Argument => Exit::Usage,
        ErrorKind::Aborted => Exit::Interrupted,
        // Protocol, and kinds of a newer library.
        _ => Exit::Protocol,
    }
}

/// A refusal after some bytes (451): what is missing is the rest of the file, not a right to it. Says whether it was one.
pub(crate) fn cut_short(failure: &mut Failure, moved: u64) -> bool {
    let cut = failure.exit == Exit::Denied && moved > 0;
    if cut {
        failure.exit = Exit::Truncated;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_said_once() {
        for (message, code, text, expected) in [
            (
                "RETR a: 550 a: no such file",
                550,
                "a: no such file",
                "a: the server says 550 no such file",
            ),
            (
                "RETR a b: 550 Failed.",
                550,
                "Failed.",
                "a b: the server says 550 Failed.",
            ),
            (
                "TYPE I: 421 bye",
                421,
                "bye",
                "TYPE I: the server says 421 bye",
            ),
            ("PWD: 550 no", 550, "no", "PWD: the server says 550 no"),
            (
                "login as u refused: 530 Login incorrect",
                530,
                "Login incorrect",
                "login as u refused: the server says 530 Login incorrect",
            ),
            ("something else", 550, "no", "something else"),
        ] {
            assert_eq!(told_by_server(message, code, text), expected);
        }
    }
}
