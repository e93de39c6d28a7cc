//! What a server refuses, in the words of a store.
//!
//! Servers have one code (550) for most of it, so the text decides where it is clear; most are the system's own words.

use wharf_proto::{Pathname, Reply, ReplyClass};
use wharf_storage::{Error as StoreError, ErrorKind as StoreKind};

use crate::entry::EntryKind;
use crate::error::{Error, ErrorKind};
use crate::pool::Lent;

/// Words of servers; lower case. First match wins.
const TEXTS: &[(&str, StoreKind)] = &[
    ("not a directory", StoreKind::NotDirectory),
    ("is a directory", StoreKind::IsDirectory),
    ("not empty", StoreKind::NotEmpty), // "Directory not empty"; IIS: "The directory is not empty."
    ("not a plain file", StoreKind::WrongKind),
    ("not a regular file", StoreKind::WrongKind), // ProFTPD
    ("beyond the end", StoreKind::InvalidOffset),
    ("restart offset", StoreKind::InvalidOffset), // Pure-FTPd: "Restart offset ... is too large file size ..."
    ("name not allowed", StoreKind::NameNotAllowed),
    ("name too long", StoreKind::NameNotAllowed),
    ("prohibited file name", StoreKind::NameNotAllowed), // Pure-FTPd
    ("invalid argument", StoreKind::NameNotAllowed),
    ("no space", StoreKind::NoSpace),
    ("disk full", StoreKind::NoSpace),
    ("quota", StoreKind::Quota),
];

/// The text decided it, so that asking again would tell nothing new.
fn is_clear(reply: Option<&Reply>) -> bool {
    let words = ["no such", "exists", "permission denied", "not permitted"];
    // pyftpdlib answers 501 "No such directory." to MLSD of a file.
    reply.filter(|it| it.code() != 501).is_some_and(|reply| {
        let text = text(reply);
        by_text(&text).is_some() || words.iter().any(|it| text.contains(it))
    })
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase()
}

fn by_text(text: &str) -> Option<StoreKind> {
    TEXTS
        .iter()
        .find(|(words, _)| text.contains(words))
        .map(|(_, kind)| *kind)
}

/// The kind of a client's error in a store's terms.
pub(super) fn kind(error: &Error) -> StoreKind {
    let refusal = error.reply().filter(|it| {
        matches!(
            it.class(),
            ReplyClass::TransientNegative | ReplyClass::PermanentNegative
        )
    });
    if let Some(reply) = refusal
        && reply.code() != 421
        && let Some(kind) = by_text(&text(reply))
    {
        return kind;
    }
    if error.is_unconfirmed() {
        return StoreKind::Unconfirmed;
    }
    match error.kind() {
        ErrorKind::NotFound => StoreKind::NotFound,
        ErrorKind::Permission | ErrorKind::Login => StoreKind::Denied,
        ErrorKind::Exists => StoreKind::Exists,
        ErrorKind::Unsupported => StoreKind::Unsupported,
        ErrorKind::RemoteStorage if refusal.is_some_and(|it| it.code() == 552) => StoreKind::Quota,
        ErrorKind::RemoteStorage => StoreKind::NoSpace,
        ErrorKind::Busy => StoreKind::Busy,
        ErrorKind::Argument => StoreKind::NameNotAllowed,
        _ => StoreKind::Io,
    }
}

/// The same with the client's error as its cause.
pub(super) fn told(error: Error) -> StoreError {
    StoreError::with_source(kind(&error), error)
}

/// What an operation needed to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    File,
    Directory,
    /// A directory without entries.
    Empty,
    Nothing,
}

/// A refusal whose words say too little ("Delete operation failed."): what is there tells more.
pub(super) async fn refined(
    lent: &mut Lent,
    path: &Pathname,
    wanted: Wanted,
    error: Error,
) -> StoreError {
    let kind = kind(&error);
    let vague = matches!(
        kind,
        StoreKind::Denied | StoreKind::NotFound | StoreKind::Io
    );
    if !vague || error.reply().is_none() || is_clear(error.reply()) {
        return told(error);
    }
    let better = match (lent.entry(path).await, wanted) {
        (Err(seen), Wanted::File | Wanted::Directory | Wanted::Empty)
            if seen.kind() == ErrorKind::NotFound =>
        {
            StoreKind::NotFound
        }
        (Err(_), _) => kind,
        (Ok(_), Wanted::Nothing) => StoreKind::Exists,
        (Ok(seen), Wanted::File) if seen.is_directory() => StoreKind::IsDirectory,
        (Ok(seen), Wanted::Directory | Wanted::Empty) if seen.kind == EntryKind::File => {
            StoreKind::NotDirectory
        }
        (Ok(_), Wanted::Empty) => match lent.list(Some(path)).await {
            Ok(entries) if !entries.is_empty() => StoreKind::NotEmpty,
            _ => StoreKind::Denied,
        },
        (Ok(_), Wanted::File | Wanted::Directory) => StoreKind::Denied,
    };
    StoreError::with_source(better, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Access;

    #[test]
    fn the_text_decides_where_it_is_clear_then_the_kind() {
        let table = [
            (550, "/a/b: Not a directory", StoreKind::NotDirectory),
            (550, "/a: Is a directory", StoreKind::IsDirectory),
            (550, "/a: Directory not empty", StoreKind::NotEmpty),
            (550, "The directory is not empty. ", StoreKind::NotEmpty),
            (550, "/a: No such file or directory", StoreKind::NotFound),
            (550, "/a: File exists", StoreKind::Exists),
            (550, "/a: Permission denied", StoreKind::Denied),
            (550, "/a: not a regular file", StoreKind::WrongKind),
            (
                553,
                "Prohibited file name: .ftpaccess",
                StoreKind::NameNotAllowed,
            ),
            (552, "Quota exceeded", StoreKind::Quota),
            (452, "x: No space left on device", StoreKind::NoSpace),
            (552, "Requested file action aborted", StoreKind::Quota),
            (452, "Try later", StoreKind::NoSpace),
            (
                421,
                "Too many connections, directory not empty",
                StoreKind::Busy,
            ),
            (450, "busy", StoreKind::Busy),
            (500, "SITE CHMOD not understood", StoreKind::Unsupported),
            (530, "Login incorrect", StoreKind::Denied),
            (451, "local error", StoreKind::Io),
        ];
        for (code, text, expected) in table {
            let error = Error::refused(Access::Reads, "DELE /a", Reply::new(code, text));
            assert_eq!(kind(&error), expected, "{code} {text}");
        }
        let lost = Error::new(ErrorKind::Closed, "gone").unconfirmed();
        assert_eq!(kind(&lost), StoreKind::Unconfirmed);
        assert_eq!(
            told(Error::new(ErrorKind::Stalled, "slow")).kind(),
            StoreKind::Io
        );
    }
}
