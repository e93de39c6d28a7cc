//! What both ends of a control connection share: bytes that wait to be written, and the patience with a peer that does
//! not read them.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use wharf_proto::Command;
use wharf_proto::trace::What;

use crate::conn::Conn;
use crate::trace::Trace;

/// For so long a peer may take nothing of what we have to say before the connection is given up.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_mins(1);

/// One read. Commands and replies are short; a burst takes more reads.
pub(super) const READ_SIZE: usize = 1024;

/// For so long, and so many bytes, a closing side listens to what the peer still sends: a socket that is closed with
/// unread bytes is reset, and the reset would destroy our last reply on its way.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 * 1024;

pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    patience: Duration,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            written: 0,
            patience: WRITE_PATIENCE,
        }
    }

    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.written)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The end of the buffer, for encoders that append.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes everything. Cancel-safe: what was not written stays.
    pub(super) async fn flush(&mut self, conn: &mut Conn) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        while let Some(rest) = self.bytes.get(self.written..).filter(|r| !r.is_empty()) {
            match tokio::time::timeout(self.patience, conn.write(rest)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(n)) => self.written += n,
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => return Err(not_read()),
            }
        }
        self.bytes.clear();
        self.written = 0;
        match tokio::time::timeout(self.patience, conn.flush()).await {
            Ok(flushed) => flushed,
            Err(_elapsed) => Err(not_read()),
        }
    }
}

fn not_read() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the peer does not read the control connection",
    )
}

/// One read; 0 is the end. Cancel-safe, and the task that polled it last is woken even when the future is gone: beside a
/// transfer it is made anew with every poll.
///
/// Not tokio's `read` where the socket is TCP: the kernel stops a read at the urgent mark, and tokio takes a short read
/// for an empty socket and would wait for the next segment while ABOR already lies behind the mark.
pub(super) async fn read(conn: &mut Conn, into: &mut [u8]) -> io::Result<usize> {
    let Some(stream) = conn.as_tcp() else {
        return match conn.read(into).await {
            // Many programs end a control connection in TLS without saying so; nothing is lost by it, a line counts only
            // when it is whole.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            outcome => outcome,
        };
    };
    loop {
        poll_fn(|cx| stream.poll_read_ready(cx)).await?; // `readable()` forgets its task when dropped
        match stream.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
            outcome => return outcome,
        }
    }
}

/// Tells the trace of the end of the control connection when it comes, and how it came.
pub(super) struct Farewell {
    pub(super) trace: Trace,
    how: &'static str,
}

impl Farewell {
    pub(super) fn new(trace: Trace) -> Self {
        // Unless anything else is known, we are the ones who close.
        Self {
            trace,
            how: "closed",
        }
    }

    /// The peer has ended the connection.
    pub(super) fn peer_ended(&mut self) {
        self.how = "end";
    }

    /// Passes an outcome on and remembers it if it is the end.
    pub(super) fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome {
            self.how = match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset",
                io::ErrorKind::TimedOut => "silent",
                _ => "broken",
            };
        }
        outcome
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.trace.record(|| What::Closed(self.how.to_owned()));
    }
}

/// FIN, then a short look at what the peer still has to say, so that it gets our last words.
pub(crate) async fn part(mut conn: Conn) -> io::Result<()> {
    conn.shutdown().await?;
    let drain = async {
        let mut scrap = [0; READ_SIZE];
        let mut seen = 0;
        while seen < LINGER_BYTES {
            match conn.read(&mut scrap).await {
                Ok(0) | Err(_) => return,
                Ok(n) => seen += n,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
    Ok(())
}

/// A command line without its secrets, also when it is not well-formed.
pub(super) fn redacted(line: &[u8]) -> String {
    match Command::parse(line) {
        Ok(command) => command.redacted(),
        Err(_) => Command::redact_line(line),
    }
}
