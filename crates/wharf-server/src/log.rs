//! What is told about transfers and logins, apart from tracing's spans.
//!
//! Three receivers: an [`Observer`] in the program that embeds the server, the classic xferlog
//! file of wu-ftpd (xferlog(5), read by many log analysers), and one stable tracing line a failed
//! login for programs that ban addresses. Secrets reach none of them.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use wharf_proto::{Pathname, visible};

/// Which way the bytes of a transfer went
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// RETR
    Download,
    /// STOR, APPE, STOU
    Upload,
}

/// How a transfer ended
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything arrived; an upload stands under its name now
    Complete,
    /// Cut, aborted or refused half-way; nothing of an upload is visible
    Incomplete,
    /// An upload that ended without saying that this was its end (no close_notify in TLS), and was taken
    Unknown,
}

impl Outcome {
    pub(crate) fn of(complete: bool) -> Self {
        if complete {
            Self::Complete
        } else {
            Self::Incomplete
        }
    }
}

/// A transfer that has ended
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transferred {
    /// The session's number, as in the log
    pub session: u64,
    /// The user as the authenticator names it
    pub user: String,
    /// Logged in without an account of its own
    pub anonymous: bool,
    /// The client's address
    pub client: IpAddr,
    /// The file, absolute in the user's storage
    pub path: Pathname,
    /// Which way
    pub direction: Direction,
    /// In octets on the data connection
    pub bytes: u64,
    /// From the first to the last octet
    pub took: Duration,
    /// Sent as TYPE A
    pub ascii: bool,
    /// How it ended
    pub outcome: Outcome,
}

/// Is told of every transfer at its end: an upload is committed before it is told as complete
///
/// Called on the session's task: return at once, hand longer work to another task.
pub trait Observer: Send + Sync + 'static {
    /// A transfer has ended
    fn transferred(&self, transfer: &Transferred);
}

/// The xferlog file; every line is one write in append mode, so that no lock is needed
#[derive(Debug, Default)]
pub(crate) struct XferLog {
    open: RwLock<Option<File>>,
}

impl XferLog {
    /// Takes the place of the file open now: at the start and, after a rotation, at a reload
    pub(crate) fn install(&self, file: Option<File>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = file;
    }

    pub(crate) fn write(&self, transfer: &Transferred) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut file) = open.as_ref() {
            let line = line(transfer, &jiff::Zoned::now());
            if let Err(error) = file.write_all(line.as_bytes()) {
                tracing::warn!(%error, "xferlog cannot be written");
            }
        }
    }
}

/// A transfer log to be installed
pub(crate) fn open_xferlog(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// One line of xferlog(5); a blank or control character in a name becomes `_` there
fn line(transfer: &Transferred, at: &jiff::Zoned) -> String {
    let mut line = String::with_capacity(160);
    let name: String = visible(transfer.path.as_bytes())
        .chars()
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .collect();
    let user: String = visible(transfer.user.as_bytes())
        .chars()
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .collect();
    let _ = writeln!(
        line,
        "{time} {seconds} {client} {bytes} {name} {kind} _ {direction} {access} {user} ftp 0 * {status}",
        time = at.strftime("%a %b %e %H:%M:%S %Y"),
        seconds = transfer.took.as_secs().max(1),
        client = transfer.client,
        bytes = transfer.bytes,
        kind = if transfer.ascii { 'a' } else { 'b' },
        direction = match transfer.direction {
            Direction::Download => 'o',
            Direction::Upload => 'i',
        },
        access = if transfer.anonymous { 'a' } else { 'r' },
        status = match transfer.outcome {
            Outcome::Complete => 'c',
            Outcome::Incomplete | Outcome::Unknown => 'i',
        },
    );
    line
}

pub(crate) fn login_failed(user: &[u8], client: IpAddr) {
    tracing::warn!(target: "wharf::auth", "{}", login_failed_line(user, client));
}

/// The line that programs like fail2ban match; its form is a promise
fn login_failed_line(user: &[u8], client: IpAddr) -> String {
    let user = visible(user).replace('\\', "\\\\").replace('"', "\\\"");
    format!("auth failed user=\"{user}\" client={client}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_failed_login_is_one_stable_line() {
        let client = "192.0.2.9".parse().expect("an address");
        for (user, line) in [
            ("ann", r#"auth failed user="ann" client=192.0.2.9"#),
            // A name cannot pretend to be another line, or another client.
            (
                "x\" client=198.51.100.1\nauth failed",
                r#"auth failed user="x\" client=198.51.100.1␊auth failed" client=192.0.2.9"#,
            ),
        ] {
            assert_eq!(login_failed_line(user.as_bytes(), client), line);
        }
    }

    #[test]
    fn an_xferlog_line_has_the_fields_of_wu_ftpd() {
        let transfer = Transferred {
            session: 7,
            user: "ann".to_owned(),
            anonymous: false,
            client: "192.0.2.9".parse().expect("an address"),
            path: "/set/two words.bin".parse().expect("a pathname"),
            direction: Direction::Upload,
            bytes: 1_048_576,
            took: Duration::from_millis(2_300),
            ascii: false,
            outcome: Outcome::Complete,
        };
        let at = jiff::civil::date(2026, 9, 5)
            .at(16, 1, 5, 0)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .expect("a time");
        expect![[r"
            Sat Sep  5 16:01:05 2026 2 192.0.2.9 1048576 /set/two_words.bin b _ i r ann ftp 0 * c
        "]]
        .assert_eq(&line(&transfer, &at));
    }
}
