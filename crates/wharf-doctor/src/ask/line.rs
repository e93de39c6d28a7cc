//! Lines of the conversation, and reading them with a bound.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::token::{Challenge, Proof};

/// The only version.
const VERSION: &str = "1";
/// The longest line, with its end.
pub const MOST_BYTES: usize = 256;
/// The longest text that is passed on.
const MOST_TEXT: usize = 80;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `WHARF-LISTEN 1 challenge`
    Greeting(Challenge),
    /// `HELLO 1 challenge proof`
    Hello(Challenge, Proof),
    /// `WELCOME proof address:port`
    Welcome(Proof, SocketAddr),
    /// `NO text`
    No(String),
    /// `KNOCK id address:port`
    Knock(u32, SocketAddr),
    /// `AWAIT id`
    Await(u32),
    /// `CALL id proof`
    Call(u32, Proof),
    /// `SAW id what`
    Saw(u32, Saw),
    /// `BYE`
    Bye,
    /// `WHARF-KNOCK proof`, on a port that is knocked at
    Here(Proof),
}

/// What became of a knock or a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saw {
    /// Connected, and it is the asker's port.
    Matched,
    /// A reset.
    Refused,
    /// No answer.
    Silent,
    /// An ICMP error, or no route.
    Unreachable,
    /// Connected, and nothing was said.
    Mute,
    /// Connected, and somebody else said this; fit for a terminal.
    Other(String),
    /// Not tried, or not told: nothing proves that the address is the asker's.
    Unproven,
    /// The call came from here.
    Called(SocketAddr),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting(challenge) => write!(f, "WHARF-LISTEN {VERSION} {challenge}"),
            Self::Hello(challenge, proof) => write!(f, "HELLO {VERSION} {challenge} {proof}"),
            Self::Welcome(proof, seen) => write!(f, "WELCOME {proof} {seen}"),
            Self::No(text) => write!(f, "NO {}", short(text)),
            Self::Knock(id, to) => write!(f, "KNOCK {id} {to}"),
            Self::Await(id) => write!(f, "AWAIT {id}"),
            Self::Call(id, proof) => write!(f, "CALL {id} {proof}"),
            Self::Saw(id, saw) => match saw {
                Saw::Other(text) => write!(f, "SAW {id} other {}", short(text)),
                Saw::Called(from) => write!(f, "SAW {id} called {from}"),
                Saw::Matched => write!(f, "SAW {id} matched"),
                Saw::Refused => write!(f, "SAW {id} refused"),
                Saw::Silent => write!(f, "SAW {id} silent"),
                Saw::Unreachable => write!(f, "SAW {id} unreachable"),
                Saw::Mute => write!(f, "SAW {id} mute"),
                Saw::Unproven => write!(f, "SAW {id} unproven"),
            },
            Self::Bye => f.write_str("BYE"),
            Self::Here(proof) => write!(f, "WHARF-KNOCK {proof}"),
        }
    }
}

/// Text of somebody else: on one line, harmless, not long.
pub fn short(text: &str) -> String {
    let ascii: String = wharf_proto::visible(text.as_bytes())
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .take(MOST_TEXT)
        .collect();
    ascii.trim().to_owned()
}

impl Line {
    /// Reads a line without its end; `None` is no line of this protocol and version.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let words: Vec<&str> = rest.split(' ').filter(|it| !it.is_empty()).collect();
        Some(match (word, words.as_slice()) {
            ("WHARF-LISTEN", [VERSION, challenge]) => Self::Greeting(challenge.parse().ok()?),
            ("HELLO", [VERSION, challenge, proof]) => {
                Self::Hello(challenge.parse().ok()?, proof.parse().ok()?)
            }
            ("WELCOME", [proof, seen]) => Self::Welcome(proof.parse().ok()?, seen.parse().ok()?),
            ("NO", _) => Self::No(short(rest)),
            ("KNOCK", [id, to]) => Self::Knock(id.parse().ok()?, to.parse().ok()?),
            ("AWAIT", [id]) => Self::Await(id.parse().ok()?),
            ("CALL", [id, proof]) => Self::Call(id.parse().ok()?, proof.parse().ok()?),
            ("SAW", [id, what, more @ ..]) => {
                let saw = match (*what, more) {
                    ("matched", []) => Saw::Matched,
                    ("refused", []) => Saw::Refused,
                    ("silent", []) => Saw::Silent,
                    ("unreachable", []) => Saw::Unreachable,
                    ("mute", []) => Saw::Mute,
                    ("unproven", []) => Saw::Unproven,
                    ("called", [from]) => Saw::Called(from.parse().ok()?),
                    ("other", text) => Saw::Other(short(&text.join(" "))),
                    _ => return None,
                };
                Self::Saw(id.parse().ok()?, saw)
            }
            ("BYE", []) => Self::Bye,
            ("WHARF-KNOCK", [proof]) => Self::Here(proof.parse().ok()?),
            _ => return None,
        })
    }
}

/// Reads lines; what is read and not used yet is kept, so that a reader may be dropped and asked again.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    read: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            read: Vec::new(),
        }
    }

    /// The next line as text. Cancel-safe.
    ///
    /// # Errors
    /// `UnexpectedEof` at the end, `InvalidData` when a line is longer than [`MOST_BYTES`], `TimedOut` after the
    /// patience.
    pub async fn text(&mut self, patience: Duration) -> io::Result<String> {
        let reading = async {
            loop {
                if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.read.drain(..=end).collect();
                    return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
                }
                if self.read.len() >= MOST_BYTES {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let mut some = [0; MOST_BYTES];
                let count = self.reader.read(&mut some).await?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.read.extend(some.iter().take(count));
            }
        };
        match timeout(patience, reading).await {
            Ok(read) => read,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The next line of the protocol. Cancel-safe.
    ///
    /// # Errors
    /// Those of [`text`](Self::text); `InvalidData` for what is no line of the protocol.
    pub async fn line(&mut self, patience: Duration) -> io::Result<Line> {
        let text = self.text(patience).await?;
        Line::parse(&text).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("not a line of wharf's: `{}`", short(&text)),
            )
        })
    }

    /// What has been read of a line that did not end.
    pub fn begun(&self) -> &[u8] {
        &self.read
    }
}

/// Writes a line, within some seconds.
///
/// # Errors
/// Those of the connection; `TimedOut` if the other end does not read.
pub async fn write(writer: &mut (impl AsyncWrite + Unpin), line: &Line) -> io::Result<()> {
    let text = format!("{line}\r\n");
    match timeout(Duration::from_secs(5), writer.write_all(text.as_bytes())).await {
        Ok(written) => written?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    }
    writer.flush().await
}
