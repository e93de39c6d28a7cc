//! Code of an attacker who has taken over the process that talks to the network. Built for the lab's part `drill` alone:
//! `SITE DRILL WORD [ARGUMENT]...` runs an attempt here, and the reply says `done` or what kept it from being done.
//!
//! Nothing here goes around the language: what an attacker would do in machine code is asked of the kernel by the same
//! calls.

mod files;
mod kernel;
mod processes;
mod requests;
mod sockets;

/// What came of an attempt: what was got, or what was said instead.
type Outcome = Result<String, String>;

/// An attempt by its words.
type Attempt = fn(&[&str]) -> Outcome;

const ATTEMPTS: &[(&str, Attempt)] = &[
    ("read", files::read),
    ("write", files::write),
    ("link", files::link),
    ("own-memory", files::own_memory),
    ("spawn", processes::spawn),
    ("posix-spawn", processes::posix_spawn),
    ("memfd", processes::memfd),
    ("exec", processes::exec),
    ("kill", processes::kill),
    ("ptrace", processes::ptrace),
    ("memory-of", processes::memory_of),
    ("read-memory-of", processes::read_memory_of),
    ("uid", processes::uid),
    ("tcp", sockets::tcp),
    ("mptcp", sockets::mptcp),
    ("udp", sockets::udp),
    ("unix", sockets::unix),
    ("abstract", sockets::abstract_name),
    ("netlink", sockets::netlink),
    ("raw", sockets::raw),
    ("packet", sockets::packet),
    ("vsock", sockets::vsock),
    ("bind", sockets::bind),
    ("listen", sockets::listen),
    ("module", kernel::module),
    ("mount", kernel::mount),
    ("unshare", kernel::unshare),
    ("setns", kernel::setns),
    ("chroot", kernel::chroot),
    ("io-uring", kernel::io_uring),
    ("ask-file", requests::file),
    ("ask-users", requests::users),
    ("ask-port", requests::port),
    ("ask-connection", requests::connection),
    ("ask-letter", requests::letter),
    ("ask-certificate", requests::certificate),
    ("ask-handshake", requests::handshake),
    ("ask-nonsense", requests::nonsense),
    ("ask-beside", requests::beside),
    ("ask-unread", requests::unread),
];

/// Runs one on a thread of its own, which keeps what is done to a thread.
pub(crate) fn attempt(words: &str) -> String {
    let words = words.to_owned();
    let thread = std::thread::Builder::new().spawn(move || {
        let words: Vec<&str> = words.split(' ').collect();
        let Some((word, arguments)) = words.split_first() else {
            return "unknown".to_owned();
        };
        match ATTEMPTS.iter().find(|(name, _)| name == word) {
            None => format!("unknown: {word}"),
            Some((_, attempt)) => match attempt(arguments) {
                Ok(got) => format!("done: {got}"),
                Err(why) => format!("refused: {why}"),
            },
        }
    });
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => "broken: the attempt panicked".to_owned(),
        Err(error) => format!("broken: no thread: {error}"),
    }
}

/// What the system said, as the lab reads it.
fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn argument<'a>(arguments: &[&'a str], at: usize) -> Result<&'a str, String> {
    let found = arguments.get(at).copied();
    found.ok_or_else(|| "an argument is missing".to_owned())
}

fn number<T: std::str::FromStr>(arguments: &[&str], at: usize) -> Result<T, String> {
    let word = argument(arguments, at)?;
    word.parse().map_err(|_| format!("{word} is no number"))
}
