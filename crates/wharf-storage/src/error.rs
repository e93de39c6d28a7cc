//! Why a store refused, as a kind that the server turns into a reply, with the cause for the log.

use std::error::Error as StdError;
use std::{fmt, io};

use rustix::io::Errno;

/// The result of everything a store does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a store and its user share.
///
/// The server maps each kind to one reply code; the kind says nothing about FTP itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing has that name, or a symbolic link leads nowhere.
    NotFound,
    /// The permissions of the user, of the file system or of the jail forbid it.
    Denied,
    /// The name is taken.
    Exists,
    /// A directory stands where a file is needed.
    IsDirectory,
    /// Something other than a directory stands where a directory is needed.
    NotDirectory,
    /// Neither a file nor a directory: a socket, a device, a named pipe.
    WrongKind,
    /// The directory to be removed or replaced has entries.
    NotEmpty,
    /// The store does not accept such a name: too long, reserved, or a link chain without end.
    NameNotAllowed,
    /// The position to read or write from lies beyond the end.
    InvalidOffset,
    /// The file system is full.
    NoSpace,
    /// The user's allocation, or the largest possible file, is exceeded.
    Quota,
    /// In use just now, or too much is going on: trying again may work.
    Busy,
    /// This store cannot do that at all.
    Unsupported,
    /// Everything was sent to wherever the files are, and nothing tells what became of it.
    Unconfirmed,
    /// Anything else: disks and networks that fail.
    Io,
}

impl ErrorKind {
    /// A fixed sentence for people; it never contains names or paths of the host.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "no such file or directory",
            Self::Denied => "permission denied",
            Self::Exists => "the name exists already",
            Self::IsDirectory => "is a directory",
            Self::NotDirectory => "not a directory",
            Self::WrongKind => "not a plain file",
            Self::NotEmpty => "the directory is not empty",
            Self::NameNotAllowed => "the name is not allowed",
            Self::InvalidOffset => "the position lies beyond the end of the file",
            Self::NoSpace => "no space left",
            Self::Quota => "storage allocation exceeded",
            Self::Busy => "busy, try again",
            Self::Unsupported => "not supported by this store",
            Self::Unconfirmed => "not confirmed: it may be done or not",
            Self::Io => "input/output error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: a kind for the user, a cause for the log.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that needs no further cause.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error with its cause, which may name things that the user must not see.
    pub fn with_source(
        kind: ErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    /// The answer of a store that has no such operation.
    pub fn unsupported() -> Self {
        Self::new(ErrorKind::Unsupported)
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::with_source(kind_of_errno(errno), io::Error::from(errno))
    }
}

/// Also gives back the [`Error`] that travelled through an `AsyncRead` or `AsyncWrite` as an [`io::Error`].
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if let Some(code) = error.raw_os_error() {
            return Self::with_source(kind_of_errno(Errno::from_raw_os_error(code)), error);
        }
        let kind = kind_of_io(error.kind());
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) => Self::with_source(kind, error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::Exists => io::ErrorKind::AlreadyExists,
            ErrorKind::IsDirectory => io::ErrorKind::IsADirectory,
            ErrorKind::NotDirectory => io::ErrorKind::NotADirectory,
            ErrorKind::NotEmpty => io::ErrorKind::DirectoryNotEmpty,
            ErrorKind::NameNotAllowed => io::ErrorKind::InvalidFilename,
            ErrorKind::InvalidOffset => io::ErrorKind::InvalidInput,
            ErrorKind::NoSpace => io::ErrorKind::StorageFull,
            ErrorKind::Quota => io::ErrorKind::QuotaExceeded,
            ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::WrongKind | ErrorKind::Unconfirmed | ErrorKind::Io => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn kind_of_io(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
        io::ErrorKind::AlreadyExists => ErrorKind::Exists,
        io::ErrorKind::IsADirectory => ErrorKind::IsDirectory,
        io::ErrorKind::NotADirectory => ErrorKind::NotDirectory,
        io::ErrorKind::DirectoryNotEmpty => ErrorKind::NotEmpty,
        io::ErrorKind::InvalidFilename => ErrorKind::NameNotAllowed,
        io::ErrorKind::StorageFull | io::ErrorKind::WriteZero => ErrorKind::NoSpace,
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => ErrorKind::Quota,
        io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => ErrorKind::Busy,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

fn kind_of_errno(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT => ErrorKind::NotFound,
        // EXDEV: openat2 found that the way leads out, or a rename crosses file systems.
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::XDEV => ErrorKind::Denied,
        Errno::EXIST => ErrorKind::Exists,
        Errno::ISDIR => ErrorKind::IsDirectory,
        Errno::NOTDIR => ErrorKind::NotDirectory,
        // ENXIO: a named pipe or socket was opened for writing.
        Errno::NXIO | Errno::NODEV => ErrorKind::WrongKind,
        Errno::NOTEMPTY => ErrorKind::NotEmpty,
        // EILSEQ and EINVAL: how vfat and others refuse characters; the latter is mapped where names are made.
        Errno::LOOP | Errno::NAMETOOLONG | Errno::ILSEQ => ErrorKind::NameNotAllowed,
        Errno::NOSPC => ErrorKind::NoSpace,
        Errno::DQUOT | Errno::FBIG => ErrorKind::Quota,
        Errno::AGAIN | Errno::BUSY | Errno::MFILE | Errno::NFILE | Errno::TXTBSY => ErrorKind::Busy,
        Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_the_kernel_have_a_kind() {
        let table = [
            (Errno::NOENT, ErrorKind::NotFound),
            (Errno::ACCESS, ErrorKind::Denied),
            (Errno::PERM, ErrorKind::Denied),
            (Errno::ROFS, ErrorKind::Denied),
            (Errno::XDEV, ErrorKind::Denied),
            (Errno::LOOP, ErrorKind::NameNotAllowed),
            (Errno::NAMETOOLONG, ErrorKind::NameNotAllowed),
            (Errno::NOTEMPTY, ErrorKind::NotEmpty),
            (Errno::NOSPC, ErrorKind::NoSpace),
            (Errno::DQUOT, ErrorKind::Quota),
            (Errno::FBIG, ErrorKind::Quota),
            (Errno::AGAIN, ErrorKind::Busy),
            (Errno::IO, ErrorKind::Io),
        ];
        for (errno, kind) in table {
            assert_eq!(Error::from(errno).kind(), kind, "{errno:?}");
            assert_eq!(
                Error::from(io::Error::from(errno)).kind(),
                kind,
                "{errno:?}"
            );
        }
    }

    #[test]
    fn a_kind_survives_the_way_through_an_io_error() {
        for kind in [
            ErrorKind::NoSpace,
            ErrorKind::WrongKind,
            ErrorKind::InvalidOffset,
        ] {
            let there = io::Error::from(Error::new(kind));
            assert_eq!(Error::from(there).kind(), kind);
        }
    }
}
