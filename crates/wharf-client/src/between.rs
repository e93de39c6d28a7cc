//! From server to server (FXP, RFC 959 §2.3's figure 2): one listens, the other opens the data connection to it, and this
//! program only speaks with both. Where one of them does not want that, [`relay`] carries the bytes through here.
//!
//! Who listens is told to the other by the address of its own control connection, never by what its 227 says: a server shall
//! not choose whom another one connects to. With TLS one side must act as the client of the handshake, which it does when
//! asked with SSCN or CPSV; both sides protect their data or neither does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wharf_net::pump::Progress;
use wharf_proto::data_connection::guard::LOWEST_TARGET_PORT;
use wharf_proto::host_port::{read_227, read_229};
use wharf_proto::{Command, EprtArgument, EpsvArgument, Pathname, Reply, ReplyClass, Text};

use crate::client::Client;
use crate::error::{Access, Error, ErrorKind, Result};

/// Bytes that a relay carries at once.
const BUFFER: usize = 256 * 1024;

/// How a transfer between servers ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// The file is there.
    Done {
        /// Its length, where it is known.
        length: Option<u64>,
        /// Whether both lengths were compared.
        verified: bool,
    },
    /// The servers do not connect to each other, and this is why. The file can be carried through here: [`relay`].
    Refused(String),
}

/// Which of the two opens the data connection.
#[derive(Clone, Copy)]
enum Opens {
    Source,
    Goal,
}

/// Moves a file from one server to another without moving it through here. Both use the representation type of
/// `source`. Waits for the end of the transfer without a limit; dropping it gives both sides up.
///
/// # Errors
/// [`ErrorKind::NotFound`] and the like when the file cannot be read or written at all, and those of a lost connection.
pub async fn between(
    source: &mut Client,
    from: &Pathname,
    goal: &mut Client,
    to: &Pathname,
) -> Result<Between> {
    goal.set_type(source.representation())?;
    source.apply_type().await?;
    goal.apply_type().await?;
    // A file that is not there must not leave an empty one behind.
    let length = source.size(from).await?;
    let mut why = String::new();
    for opens in [Opens::Goal, Opens::Source] {
        match attempt(source, from, goal, to, opens).await? {
            Ok(()) => {
                let there = if source.is_binary() {
                    goal.length(to).await?
                } else {
                    None
                };
                return match (length.filter(|_| source.is_binary()), there) {
                    (Some(length), Some(there)) if length != there => {
                        let what = format!("{}: {there} bytes arrived of {length}", to.display());
                        Err(Error::new(ErrorKind::Truncated, what))
                    }
                    (length, there) => Ok(Between::Done {
                        length: length.or(there),
                        verified: length.is_some() && there.is_some(),
                    }),
                };
            }
            Err(refused) if why.is_empty() => why = refused,
            Err(refused) if refused == why => {}
            Err(refused) => why = format!("{why}; {refused}"),
        }
    }
    Ok(Between::Refused(why))
}

/// Reads from one server and writes to the other, through here.
///
/// # Errors
/// Those of [`Client::retrieve`] and [`Client::store`], and of their ends.
pub async fn relay(
    source: &mut Client,
    from: &Pathname,
    goal: &mut Client,
    to: &Pathname,
    progress: &Progress,
) -> Result<u64> {
    goal.set_type(source.representation())?;
    let mut download = source.retrieve(from, 0).await?;
    let mut upload = goal.store(to, 0).await?;
    upload.count_into(progress.clone());
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match download.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(download.explain(error).await),
        };
        if let Err(error) = upload.write_all(&buffer[..count]).await {
            return Err(upload.explain(error).await);
        }
    }
    // The source's word first: what was cut there must not be complete here.
    download.finish().await?;
    Ok(upload.finish().await?.bytes)
}

/// One attempt. The inner error is a refusal after which something else can be tried.
async fn attempt(
    source: &mut Client,
    from: &Pathname,
    goal: &mut Client,
    to: &Pathname,
    opens: Opens,
) -> Result<std::result::Result<(), String>> {
    let retr = Command::Retr(from.clone());
    let stor = Command::Stor(to.clone());
    match opens {
        Opens::Goal => arranged(source, &retr, goal, &stor).await,
        Opens::Source => arranged(goal, &stor, source, &retr).await,
    }
}

/// `listener` listens, `opener` connects to it.
async fn arranged(
    listener: &mut Client,
    at_listener: &Command,
    opener: &mut Client,
    at_opener: &Command,
) -> Result<std::result::Result<(), String>> {
    let secured = match (listener.protects_data(), opener.protects_data()) {
        (true, true) => match Secured::of(listener, opener) {
            Some(secured) => Some(secured),
            None => {
                let what = "with TLS one of the servers must be the client of the handshake, and neither offers SSCN or CPSV";
                return Ok(Err(what.to_owned()));
            }
        },
        (false, false) => None,
        _ => {
            let what = "data is in TLS with one server only";
            return Ok(Err(what.to_owned()));
        }
    };
    if let Some(secured) = secured
        && let Some(refused) = secured.switch(listener, opener, true).await?
    {
        return Ok(Err(refused));
    }
    let result = moved(
        listener,
        at_listener,
        opener,
        at_opener,
        secured == Some(Secured::ByCpsv),
    )
    .await;
    if let Some(secured) = secured {
        secured.switch(listener, opener, false).await?;
    }
    result
}

async fn moved(
    listener: &mut Client,
    at_listener: &Command,
    opener: &mut Client,
    at_opener: &Command,
    cpsv: bool,
) -> Result<std::result::Result<(), String>> {
    let at = match listens_at(listener, cpsv).await? {
        Ok(at) => at,
        Err(refused) => return Ok(Err(refused)),
    };
    let port = match at {
        SocketAddr::V4(at) => Command::Port(at),
        SocketAddr::V6(_) => Command::Eprt(EprtArgument::Address(at)),
    };
    let reply = opener.ask(&port).await?;
    if reply.class() != ReplyClass::Completion {
        return Ok(Err(told(&port, &reply)));
    }
    // Who opens the connection comes first: it can say no before anything has happened at the other end, and its
    // connection waits in the other's queue.
    let opened = opener.begin_elsewhere(at_opener).await?;
    if let Some(reply) = negative(&opened) {
        return refused_or_error(at_opener, reply);
    }
    let listened = match listener.begin_elsewhere(at_listener).await {
        Ok(listened) => listened,
        Err(error) => return Err(error),
    };
    if let Some(reply) = negative(&listened) {
        // The other one waits for bytes that nobody will send.
        opener.abort().await?;
        return refused_or_error(at_listener, reply);
    }
    let Some((one, other)) = both_ends(opener, listener).await? else {
        opener.abort().await?;
        listener.abort().await?;
        return Ok(Err("one of the servers does not come to an end".to_owned()));
    };
    for (command, reply) in [(at_opener, &one), (at_listener, &other)] {
        if reply.class() != ReplyClass::Completion {
            return refused_or_error(command, reply.clone());
        }
    }
    Ok(Ok(()))
}

/// Both final replies. When one has come, the other has a limited time; `None` when it did not come.
async fn both_ends(opener: &mut Client, listener: &mut Client) -> Result<Option<(Reply, Reply)>> {
    let patient = opener.options().confirmation_timeout;
    let short = opener.options().completion_timeout;
    let left = |reply: &Reply| match reply.class() {
        ReplyClass::Completion => patient,
        _ => short,
    };
    let mut one = std::pin::pin!(opener.end_elsewhere());
    let mut other = std::pin::pin!(listener.end_elsewhere());
    tokio::select! {
        first = &mut one => {
            let first = first?;
            match timeout(left(&first), other).await {
                Ok(second) => Ok(Some((first, second?))),
                Err(_) if first.class() == ReplyClass::Completion => Ok(None),
                Err(_) => Ok(Some((first.clone(), first))),
            }
        }
        second = &mut other => {
            let second = second?;
            match timeout(left(&second), one).await {
                Ok(first) => Ok(Some((first?, second))),
                Err(_) if second.class() == ReplyClass::Completion => Ok(None),
                Err(_) => Ok(Some((second.clone(), second))),
            }
        }
    }
}

/// PASV, EPSV or CPSV: where a server listens for another one.
async fn listens_at(
    listener: &mut Client,
    cpsv: bool,
) -> Result<std::result::Result<SocketAddr, String>> {
    let peer = listener.peer_addr().ip().to_canonical();
    let (name, reply) = if cpsv {
        ("CPSV", listener.quote(Text::lossy("CPSV")).await?)
    } else if peer.is_ipv6() {
        let epsv = Command::Epsv(EpsvArgument::Unspecified);
        ("EPSV", listener.ask(&epsv).await?)
    } else {
        ("PASV", listener.ask(&Command::Pasv).await?)
    };
    let text = reply.text().as_bytes();
    let port = match reply.code() {
        227 => read_227(text).map(|at| at.port()),
        229 => read_229(text),
        _ => None,
    };
    Ok(match port {
        Some(port) if port >= LOWEST_TARGET_PORT => Ok(SocketAddr::new(peer, port)),
        Some(port) => Err(format!(
            "{name}: port {port} is not one for data connections"
        )),
        None => Err(format!("{name}: {}", reply.text().display())),
    })
}

/// What makes one of two servers the client of the TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secured {
    /// CPSV instead of PASV.
    ByCpsv,
    /// SSCN ON at the one that listens.
    AtListener,
    /// SSCN ON at the one that connects.
    AtOpener,
}

impl Secured {
    fn of(listener: &Client, opener: &Client) -> Option<Self> {
        let offers = |client: &Client, label| client.features().is_some_and(|it| it.has(label));
        if offers(listener, "CPSV") && !listener.peer_addr().ip().to_canonical().is_ipv6() {
            Some(Self::ByCpsv)
        } else if offers(listener, "SSCN") {
            Some(Self::AtListener)
        } else if offers(opener, "SSCN") {
            Some(Self::AtOpener)
        } else {
            None
        }
    }

    /// Switches it on or off; the reply where the server refuses.
    async fn switch(
        self,
        listener: &mut Client,
        opener: &mut Client,
        on: bool,
    ) -> Result<Option<String>> {
        let client = match self {
            Self::ByCpsv => return Ok(None),
            Self::AtListener => listener,
            Self::AtOpener => opener,
        };
        let line = if on { "SSCN ON" } else { "SSCN OFF" };
        let reply = client.quote(Text::lossy(line)).await?;
        let refused = reply.class() != ReplyClass::Completion;
        Ok(refused.then(|| format!("{line}: {}", reply.text().display())))
    }
}

/// Replies that are about the connection between the two let the file be carried another way; the others are about the
/// file.
fn refused_or_error(command: &Command, reply: Reply) -> Result<std::result::Result<(), String>> {
    if matches!(reply.code(), 421 | 425 | 426 | 500..=504 | 521 | 522 | 535) {
        return Ok(Err(told(command, &reply)));
    }
    let access = match command {
        Command::Retr(_) => Access::Reads,
        _ => Access::Writes,
    };
    Err(Error::refused(access, command.redacted(), reply))
}

fn told(command: &Command, reply: &Reply) -> String {
    format!(
        "{}: {} {}",
        command.word(),
        reply.code(),
        reply.text().display()
    )
}

fn negative(reply: &Reply) -> Option<Reply> {
    let fine = matches!(
        reply.class(),
        ReplyClass::Preliminary | ReplyClass::Completion
    );
    (!fine).then(|| reply.clone())
}

impl Client {
    /// Sends a transfer command whose data connection is somebody else's, and waits for the first reply.
    async fn begin_elsewhere(&mut self, command: &Command) -> Result<Reply> {
        self.ready().await?;
        self.in_transfer = true;
        self.dialogue.send(command).await?;
        let reply = self.dialogue.reply(self.options().reply_timeout).await?;
        if reply.class() != ReplyClass::Preliminary {
            self.in_transfer = false;
        }
        Ok(reply)
    }

    /// The final reply, however long the file is.
    async fn end_elsewhere(&mut self) -> Result<Reply> {
        if !self.in_transfer
            && let Some(reply) = self.dialogue.last()
        {
            return Ok(reply.clone());
        }
        self.dialogue.keep_warm(true);
        let reply = self.dialogue.final_reply(Duration::MAX).await;
        self.dialogue.keep_warm(false);
        let reply = reply?;
        self.in_transfer = false;
        Ok(reply)
    }
}
