//! The attempts.

use super::ground::{ABSTRACT, Came, STRANGER, Seat, an_address};
use crate::Result;

/// One attempt.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What is done; nothing where there is nobody to do it to.
    pub(super) attempt: fn(&mut Seat<'_>) -> Result<Option<Came>>,
    /// Why a server without a broker cannot refuse it.
    pub(super) alone: Option<&'static str>,
    /// Why a broker grants it.
    pub(super) granted: Option<&'static str>,
    /// Where it must succeed without a sandbox.
    pub(super) works: Works,
}

/// For whom the kernel does it when nobody objects.
#[derive(Clone, Copy)]
pub(super) enum Works {
    ForAll,
    ForRoot,
    /// Not on every kernel that the lab runs on.
    Perhaps,
}

impl Works {
    pub(super) fn as_root(self) -> bool {
        matches!(self, Self::ForAll | Self::ForRoot)
    }

    pub(super) fn as_user(self) -> bool {
        matches!(self, Self::ForAll)
    }
}

const fn row(
    name: &'static str,
    works: Works,
    attempt: fn(&mut Seat<'_>) -> Result<Option<Came>>,
) -> Row {
    Row {
        name,
        attempt,
        alone: None,
        granted: None,
        works,
    }
}

impl Row {
    /// Possible without a broker, for this reason.
    const fn open(mut self, why: &'static str) -> Self {
        self.alone = Some(why);
        self
    }
}

/// Asked of the broker, where there is one.
const fn asked(name: &'static str, attempt: fn(&mut Seat<'_>) -> Result<Option<Came>>) -> Row {
    row(name, Works::Perhaps, attempt)
}

fn question(seat: &mut Seat<'_>, words: &str) -> Result<Option<Came>> {
    if seat.broker().is_none() {
        return Ok(None);
    }
    tried(seat, words)
}

fn last_question(seat: &mut Seat<'_>, words: &str) -> Result<Option<Came>> {
    if seat.broker().is_none() {
        return Ok(None);
    }
    seat.last_attempt(words).map(Some)
}

fn tried(seat: &mut Seat<'_>, words: &str) -> Result<Option<Came>> {
    seat.attempt(words).map(Some)
}

/// To the broker, and where there is none to another process of the same user.
fn to_a_process(seat: &mut Seat<'_>, word: &str) -> Result<Option<Came>> {
    let pid = match seat.broker() {
        Some(broker) => broker,
        None => seat.victim()?,
    };
    let address = an_address(pid)?;
    tried(seat, &format!("{word} {pid} {address:x}"))
}

const ON_RELOAD: &str = "it is read again when it changes";

pub(super) const ROWS: &[Row] = &[
    row("read /etc/shadow", Works::ForRoot, |seat| {
        tried(seat, "read /etc/shadow")
    }),
    row("read the key's file", Works::ForAll, |seat| {
        let path = seat.path("own/key.pem");
        tried(seat, &format!("read {path}"))
    })
    .open(ON_RELOAD),
    row("find the key in its memory", Works::ForAll, |seat| {
        seat.key_in_memory().map(Some)
    })
    .open("it signs by itself"),
    row("look through its memory by /proc", Works::ForAll, |seat| {
        let key = seat.inverted_key();
        tried(seat, &format!("own-memory {key}"))
    }),
    row("read the users' file", Works::ForAll, |seat| {
        let path = seat.path("own/users.toml");
        tried(seat, &format!("read {path}"))
    })
    .open(ON_RELOAD),
    row(
        "read another process's environment",
        Works::ForAll,
        |seat| {
            let pid = match seat.broker() {
                Some(broker) => broker,
                None => seat.victim()?,
            };
            tried(seat, &format!("read /proc/{pid}/environ"))
        },
    ),
    row("write where everybody may", Works::ForAll, |seat| {
        let path = seat.ground.outside.join(format!("{:?}", seat.way));
        tried(seat, &format!("write {}", path.display()))
    }),
    row("lay a symbolic link", Works::ForAll, |seat| {
        let path = seat.path("served/link");
        tried(seat, &format!("link /etc/shadow {path}"))
    }),
    row("start a process (fork, exec)", Works::ForAll, |seat| {
        tried(seat, "spawn")
    }),
    row("start a process (posix_spawn)", Works::ForAll, |seat| {
        tried(seat, "posix-spawn")
    }),
    row("become another program", Works::ForAll, |seat| {
        tried(seat, "exec")
    }),
    row("become a program without a file", Works::ForAll, |seat| {
        tried(seat, "memfd")
    }),
    row("connect out (TCP)", Works::ForAll, |seat| {
        tried(seat, &format!("tcp {STRANGER}"))
    })
    .open("it makes active data connections by itself"),
    row("connect out (Multipath TCP)", Works::Perhaps, |seat| {
        tried(seat, &format!("mptcp {STRANGER}"))
    }),
    row("send a datagram", Works::ForAll, |seat| {
        tried(seat, &format!("udp {STRANGER}"))
    }),
    row(
        "connect to a socket in a directory",
        Works::ForAll,
        |seat| {
            let path = seat.ground.socket.display().to_string();
            tried(seat, &format!("unix {path}"))
        },
    ),
    row("connect to an abstract socket", Works::ForAll, |seat| {
        tried(seat, &format!("abstract {ABSTRACT}"))
    }),
    row("a netlink socket", Works::ForAll, |seat| {
        tried(seat, "netlink")
    }),
    row("a raw socket", Works::ForRoot, |seat| tried(seat, "raw")),
    row("a packet socket", Works::ForRoot, |seat| {
        tried(seat, "packet")
    }),
    row("a socket to the hypervisor", Works::Perhaps, |seat| {
        tried(seat, "vsock")
    }),
    row("listen at another port", Works::ForAll, |seat| {
        tried(seat, "bind 127.0.0.1:4444")
    })
    .open(
        "a port that SIGHUP brings could not be had any more; with --sandbox strict it is refused",
    ),
    row("listen without a port", Works::ForAll, |seat| {
        tried(seat, "listen")
    })
    .open("landlock does not look at a socket that listens without having been bound"),
    row("trace the broker", Works::ForAll, |seat| {
        to_a_process(seat, "ptrace")
    }),
    row("read the broker's memory by /proc", Works::ForAll, |seat| {
        to_a_process(seat, "memory-of")
    }),
    row("read the broker's memory by call", Works::ForAll, |seat| {
        to_a_process(seat, "read-memory-of")
    }),
    row("end the broker", Works::ForAll, |seat| {
        to_a_process(seat, "kill")
    }),
    row("end a process of its user", Works::ForAll, |seat| {
        let pid = seat.victim()?;
        tried(seat, &format!("kill {pid}"))
    }),
    row("become root", Works::ForRoot, |seat| tried(seat, "uid")),
    row("load a module", Works::Perhaps, |seat| {
        tried(seat, "module")
    }),
    row("mount", Works::ForRoot, |seat| {
        let path = seat.path("served");
        tried(seat, &format!("mount {path}"))
    }),
    row("a network of its own", Works::ForRoot, |seat| {
        tried(seat, "unshare")
    }),
    row("the machine's network", Works::ForRoot, |seat| {
        tried(seat, &format!("setns {}", std::process::id()))
    }),
    row("another root directory", Works::ForRoot, |seat| {
        tried(seat, "chroot")
    }),
    row("io_uring", Works::Perhaps, |seat| tried(seat, "io-uring")),
    asked("ask for a file that is not configured", |seat| {
        question(seat, "ask-file")
    }),
    asked("ask for another port", |seat| {
        question(seat, "ask-port 127.0.0.1:4444")
    }),
    asked("ask for a connection to a stranger", |seat| {
        question(seat, &format!("ask-connection {STRANGER}"))
    }),
    asked("ask for a connection to a service here", |seat| {
        question(seat, "ask-connection 127.0.0.1:25")
    }),
    asked("have a letter signed", |seat| question(seat, "ask-letter")),
    asked("have a certificate signed", |seat| {
        question(seat, "ask-certificate")
    }),
    Row {
        granted: Some("it is what a server signs, as long as the process lives"),
        ..asked("have a handshake signed", |seat| {
            question(seat, "ask-handshake")
        })
    },
    Row {
        granted: Some("the network process checks the passwords of these users itself"),
        ..asked("ask for the users' hashes", |seat| {
            question(seat, "ask-users")
        })
    },
    asked("ask nonsense", |seat| last_question(seat, "ask-nonsense")),
    asked("ask with a descriptor beside it", |seat| {
        last_question(seat, "ask-beside")
    }),
    asked("ask and read no answer", |seat| {
        last_question(seat, "ask-unread")
    }),
];
