//! A transfer that runs: [`Download`] is read, [`Upload`] is written, both are finished.
//!
//! In stream mode the end of the data connection is the end of the file (RFC 959 §3.4.1), so an end alone proves nothing:
//! [`Download::finish`] and [`Upload::finish`] report success only when the server confirmed with 2yz *and* the number of
//! bytes agrees with what SIZE or MLST told. Dropping either half-way resets the data connection (a FIN would tell the
//! server that an upload is complete) and leaves a mark; the next operation of the client aborts and comes in step.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};
use wharf_net::DataConnection;
use wharf_net::pump::{Conversion, Moved, Progress, PumpError};
use wharf_proto::{AsciiDecoder, AsciiEncoder, Command, Pathname, Reply, ReplyClass, Timestamp};

use crate::client::Client;
use crate::data::{Content, Opened};
use crate::dialogue::seconds;
use crate::error::{Access, Error, ErrorKind, Result};

/// One read from the data connection while line ends are converted.
const ASCII_READ: usize = 64 * 1024;

/// What both directions share.
struct Running<'c> {
    client: &'c mut Client,
    command: String,
    access: Access,
    data: Option<DataConnection>,
    completion: Option<Reply>,
    /// Where in the remote file the data begins.
    offset: u64,
    progress: Progress,
    /// What `progress` had counted before this transfer.
    before: u64,
    stall: Stall,
}

/// A file or listing that comes from the server.
pub struct Download<'c> {
    running: Running<'c>,
    expected: Option<u64>,
    modified: Option<Timestamp>,
    decoding: Option<Box<Decoding>>,
    ended: bool,
}

struct Decoding {
    decoder: AsciiDecoder,
    wire: Box<[u8]>,
    text: Vec<u8>,
    given: usize,
    finished: bool,
}

/// A file that goes to the server.
pub struct Upload<'c> {
    running: Running<'c>,
    path: Option<Pathname>,
    /// What SIZE must say afterwards, without the bytes sent; `None`: not to be asked.
    base: Option<u64>,
    name: Option<Vec<u8>>,
    encoding: Option<Box<Encoding>>,
}

struct Encoding {
    encoder: AsciiEncoder,
    wire: Vec<u8>,
    written: usize,
}

/// A download that the server has confirmed and whose length agrees.
#[derive(Clone, Debug)]
pub struct Received {
    /// The final reply.
    pub reply: Reply,
    /// Bytes on the data connection.
    pub bytes: u64,
    /// Whether the length could be compared; not in TYPE A, and not when the server tells no size.
    pub verified: bool,
}

/// An upload that the server has confirmed.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The final reply.
    pub reply: Reply,
    /// Bytes on the data connection.
    pub bytes: u64,
    /// Whether SIZE afterwards told the same length; not in TYPE A, and not when the server tells no size.
    pub verified: bool,
    /// The name that the server has chosen after STOU, when it tells it the way RFC 1123 §4.1.2.9 wants.
    pub name: Option<Vec<u8>>,
}

impl Client {
    /// RETR, with REST before it when `offset` is not 0. The remote size is asked for first, to compare with.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`], [`ErrorKind::DataConnection`] with the ways that were tried,
    /// [`ErrorKind::Unsupported`] when REST is refused, [`ErrorKind::Changed`] when the remote file is shorter than
    /// `offset`.
    pub async fn retrieve(&mut self, path: &Pathname, offset: u64) -> Result<Download<'_>> {
        let known = if self.is_binary() {
            self.known(path).await?
        } else {
            Known::default()
        };
        self.retrieve_known(path, offset, known).await
    }

    /// As [`retrieve`](Self::retrieve), with size and time from a listing or MLST instead of asking again.
    ///
    /// # Errors
    /// Those of [`retrieve`](Self::retrieve).
    pub async fn retrieve_known(
        &mut self,
        path: &Pathname,
        offset: u64,
        known: Known,
    ) -> Result<Download<'_>> {
        if let Some(size) = known.size
            && offset > size
        {
            let what = format!(
                "{} has {size} bytes now, less than the {offset} to begin at",
                path.display()
            );
            return Err(Error::new(ErrorKind::Changed, what));
        }
        let command = Command::Retr(path.clone());
        let conversion = Conversion::of(self.representation());
        let opened = self
            .open_data(&command, offset, Content::File, Access::Reads)
            .await?;
        let mut download = Download::new(self, &command, offset, opened);
        if conversion == Some(Conversion::NvtAscii) {
            download.decoding = Some(Box::new(Decoding::new()));
        } else {
            download.expected = known.size;
        }
        download.modified = known.modified;
        Ok(download)
    }

    /// STOR, with REST before it when `offset` is not 0: the server keeps the first `offset` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`], [`ErrorKind::RemoteStorage`], [`ErrorKind::DataConnection`],
    /// [`ErrorKind::Unsupported`] when REST is refused.
    pub async fn store(&mut self, path: &Pathname, offset: u64) -> Result<Upload<'_>> {
        let base = self.is_binary().then_some(offset);
        self.upload(&Command::Stor(path.clone()), Some(path), offset, base)
            .await
    }

    /// APPE: the data goes behind what is there, or makes the file.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub async fn append(&mut self, path: &Pathname) -> Result<Upload<'_>> {
        let base = if self.is_binary() {
            self.known(path).await?.size
        } else {
            None
        };
        self.upload(&Command::Appe(path.clone()), Some(path), 0, base)
            .await
    }

    /// STOU: the server chooses a name that is free; [`Stored::name`] tells it. `hint` is what some servers build the name
    /// from; RFC 959 §4.1.3 gives STOU no argument.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub async fn store_unique(&mut self, hint: Option<&Pathname>) -> Result<Upload<'_>> {
        self.upload(&Command::Stou(hint.cloned()), None, 0, None)
            .await
    }

    async fn upload(
        &mut self,
        command: &Command,
        path: Option<&Pathname>,
        offset: u64,
        base: Option<u64>,
    ) -> Result<Upload<'_>> {
        let conversion = Conversion::of(self.representation());
        let opened = self
            .open_data(command, offset, Content::File, Access::Writes)
            .await?;
        let name = opened.preliminary.as_ref().and_then(unique_name);
        let running = Running::new(self, command, Access::Writes, offset, opened);
        let encoding = (conversion == Some(Conversion::NvtAscii)).then(|| {
            Box::new(Encoding {
                encoder: AsciiEncoder::default(),
                wire: Vec::new(),
                written: 0,
            })
        });
        Ok(Upload {
            running,
            path: path.cloned(),
            base,
            name,
            encoding,
        })
    }
}

/// What is known about a remote file before it is transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Length in bytes, as it will be transferred in TYPE I.
    pub size: Option<u64>,
    /// Last modification (UTC).
    pub modified: Option<Timestamp>,
}

impl<'c> Running<'c> {
    fn new(
        client: &'c mut Client,
        command: &Command,
        access: Access,
        offset: u64,
        opened: Opened,
    ) -> Self {
        let stall = Stall::new(client.options().stall_timeout);
        Self {
            client,
            command: command.redacted(),
            access,
            data: opened.data,
            completion: opened.completion,
            offset,
            progress: Progress::new(),
            before: 0,
            stall,
        }
    }

    fn moved(&self) -> u64 {
        self.progress.moved() - self.before
    }

    /// The final reply, once the data connection has ended.
    async fn complete(&mut self) -> Result<Reply> {
        let bytes = self.moved();
        if let Some(reply) = self.completion.take() {
            return Ok(reply);
        }
        let within = self.client.options().completion_timeout;
        let reply = self
            .client
            .dialogue
            .final_reply(within)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Timeout => {
                    let what = format!(
                        "{}: the data ended, but no final reply came within {} s",
                        self.command,
                        seconds(within)
                    );
                    Error::new(ErrorKind::Timeout, what)
                }
                ErrorKind::Closed => {
                    let what = format!(
                        "{}: control connection lost before the final reply, after {bytes} bytes",
                        self.command
                    );
                    Error::from_source(ErrorKind::Closed, what, error)
                }
                _ => error,
            })?;
        self.client.in_transfer = false;
        match reply.class() {
            ReplyClass::Completion => Ok(reply),
            _ => Err(Error::refused(self.access, &self.command, reply)),
        }
    }

    /// Why the data connection broke: the server usually says it on the control connection.
    async fn explain(&mut self, error: io::Error) -> Error {
        self.data = None;
        let error = match error.downcast::<Error>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        let within = self.client.dialogue.patience();
        let what = format!(
            "{}: data connection broke after {} bytes",
            self.command,
            self.moved()
        );
        if self.completion.is_none()
            && let Ok(reply) = self.client.dialogue.final_reply(within).await
        {
            self.client.in_transfer = false;
            if reply.class() != ReplyClass::Completion {
                return Error::refused(self.access, &self.command, reply);
            }
        }
        Error::from_source(ErrorKind::Truncated, what, error)
    }

    async fn pump_failed(&mut self, error: PumpError) -> Error {
        match error {
            PumpError::File(error) => {
                self.data = None;
                Error::from_source(ErrorKind::Local, "local file", error)
            }
            PumpError::Stalled(after) => {
                self.data = None;
                self.stalled(after)
            }
            PumpError::Connection(error) => self.explain(error).await,
            error => Error::from_source(ErrorKind::Truncated, self.command.clone(), error),
        }
    }

    fn stalled(&self, after: Duration) -> Error {
        let bytes = self.moved();
        let what = format!(
            "{}: no byte moved for {} s, after {bytes} bytes",
            self.command,
            seconds(after)
        );
        Error::new(ErrorKind::Stalled, what)
    }

    /// An operation on the data connection that is pending: becomes an error when the stall time is over.
    fn poll_stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.stall.poll(cx));
        let error = self.stalled(self.stall.after);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)))
    }
}

impl<'c> Download<'c> {
    fn new(client: &'c mut Client, command: &Command, offset: u64, opened: Opened) -> Self {
        let ended = opened.data.is_none();
        let running = Running::new(client, command, Access::Reads, offset, opened);
        Self {
            running,
            expected: None,
            modified: None,
            decoding: None,
            ended,
        }
    }

    pub(crate) fn of_listing(client: &'c mut Client, command: &Command, opened: Opened) -> Self {
        Self::new(client, command, 0, opened)
    }

    pub(crate) fn listing_limit(&self) -> u64 {
        self.running.client.options().listing_limit
    }

    /// Length of the whole remote file, when the server told it.
    pub fn size(&self) -> Option<u64> {
        self.expected
    }

    /// When the remote file was last modified (UTC), when the server told it.
    pub fn modified(&self) -> Option<Timestamp> {
        self.modified
    }

    /// Bytes that came through the data connection so far; may be kept and read while the transfer runs.
    pub fn progress(&self) -> &Progress {
        &self.running.progress
    }

    /// Counts into this one, so that a caller can make it before the transfer begins.
    pub fn count_into(&mut self, progress: Progress) {
        self.running.before = progress.moved();
        self.running.progress = progress;
    }

    /// Ends the transfer: waits for the final reply and compares the length. To be called when everything has been read.
    ///
    /// # Errors
    /// [`ErrorKind::Aborted`] when there is more to read; [`ErrorKind::Truncated`] when the server announced more bytes
    /// than came, or answers 426; [`ErrorKind::Changed`] when more came than announced; [`ErrorKind::Closed`] or
    /// [`ErrorKind::Timeout`] when no final reply came; otherwise what the reply says.
    pub async fn finish(mut self) -> Result<Received> {
        if !self.ended {
            let mut more = [0; 1];
            match self.read(&mut more).await {
                Ok(0) => {}
                Ok(_) => {
                    return Err(Error::new(
                        ErrorKind::Aborted,
                        format!("{}: not read to its end", self.running.command),
                    ));
                }
                Err(error) => return Err(self.running.explain(error).await),
            }
        }
        self.complete().await
    }

    /// What [`finish`](Self::finish) does after the end of the data.
    pub(crate) async fn complete(&mut self) -> Result<Received> {
        if let Some(data) = self.running.data.take() {
            // Everything has been received; how our own end of the connection goes down concerns nobody.
            let _ = data.close().await;
        }
        let reply = self.running.complete().await?;
        let bytes = self.running.moved();
        let Some(size) = self.expected else {
            return Ok(Received {
                reply,
                bytes,
                verified: false,
            });
        };
        let seen = self.running.offset + bytes;
        let command = &self.running.command;
        match seen.cmp(&size) {
            std::cmp::Ordering::Equal => Ok(Received {
                reply,
                bytes,
                verified: true,
            }),
            std::cmp::Ordering::Less => {
                let what = format!(
                    "{command}: {seen} of {size} bytes, although the server reports success"
                );
                Err(Error::new(ErrorKind::Truncated, what).with_reply(reply))
            }
            std::cmp::Ordering::Greater => {
                let what = format!(
                    "{command}: {seen} bytes came, {size} were announced: the file grew meanwhile"
                );
                Err(Error::new(ErrorKind::Changed, what).with_reply(reply))
            }
        }
    }

    /// After an error of `read`: why the data connection broke, as the server tells it on the control connection.
    pub async fn explain(mut self, error: io::Error) -> Error {
        self.failed(error).await
    }

    pub(crate) async fn failed(&mut self, error: io::Error) -> Error {
        self.running.explain(error).await
    }

    /// Reads the rest into `writer`, which is flushed. In TYPE A nothing may have been read before.
    pub(crate) async fn receive<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> Result<Moved> {
        let Some(data) = &mut self.running.data else {
            return Ok(Moved::default());
        };
        let conversion = if self.decoding.is_some() {
            Conversion::NvtAscii
        } else {
            Conversion::Verbatim
        };
        let stall = self.running.stall.after;
        match wharf_net::pump::receive(data, writer, conversion, &self.running.progress, stall)
            .await
        {
            Ok(moved) => {
                self.ended = true;
                Ok(moved)
            }
            Err(error) => Err(self.running.pump_failed(error).await),
        }
    }

    /// Stops here and comes in step again, instead of leaving that to the next operation.
    ///
    /// # Errors
    /// Those of [`Client::abort`].
    pub async fn abort(mut self) -> Result<()> {
        self.running.data = None;
        self.running.client.abort().await
    }

    fn poll_wire(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(data) = &mut self.running.data else {
            return Poll::Ready(Ok(()));
        };
        let before = buffer.filled().len();
        match Pin::new(data).poll_read(cx, buffer) {
            Poll::Pending => self.running.poll_stall(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                self.running.stall.moved();
                let read = buffer.filled().len() - before;
                self.running.progress.add(read as u64);
                self.ended |= read == 0 && buffer.remaining() > 0;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncRead for Download<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended && self.decoding.is_none() {
            return Poll::Ready(Ok(()));
        }
        let Some(mut decoding) = self.decoding.take() else {
            return self.poll_wire(cx, buffer);
        };
        let polled = decoding.poll(&mut self, cx, buffer);
        self.decoding = Some(decoding);
        polled
    }
}

impl Decoding {
    fn new() -> Self {
        Self {
            decoder: AsciiDecoder::default(),
            wire: vec![0; ASCII_READ].into_boxed_slice(),
            text: Vec::new(),
            given: 0,
            finished: false,
        }
    }

    fn poll(
        &mut self,
        download: &mut Download<'_>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let waiting = &self.text[self.given..];
            if !waiting.is_empty() {
                let n = waiting.len().min(buffer.remaining());
                buffer.put_slice(&waiting[..n]);
                self.given += n;
                return Poll::Ready(Ok(()));
            }
            if self.finished {
                return Poll::Ready(Ok(()));
            }
            self.text.clear();
            self.given = 0;
            let mut wire = ReadBuf::new(&mut self.wire);
            if !download.ended {
                ready!(download.poll_wire(cx, &mut wire))?;
            }
            if download.ended {
                self.decoder.finish(&mut self.text);
                self.finished = true;
            } else {
                self.decoder.convert(wire.filled(), &mut self.text);
            }
        }
    }
}

impl Upload<'_> {
    /// Bytes that went through the data connection so far; may be kept and read while the transfer runs.
    pub fn progress(&self) -> &Progress {
        &self.running.progress
    }

    /// Counts into this one, so that a caller can make it before the transfer begins.
    pub fn count_into(&mut self, progress: Progress) {
        self.running.before = progress.moved();
        self.running.progress = progress;
    }

    /// The name that the server has chosen after STOU, as far as it is known already.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Ends the file: sends what is buffered, closes the data connection, waits for the final reply, and compares SIZE
    /// with what was sent.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when the server holds another length; [`ErrorKind::RemoteStorage`] when it has no space;
    /// [`ErrorKind::Closed`] or [`ErrorKind::Timeout`] when no final reply came; otherwise what the reply says.
    pub async fn finish(mut self) -> Result<Stored> {
        if let Err(error) = self.end_of_file().await {
            return Err(self.running.explain(error).await);
        }
        let reply = self.running.complete().await?;
        let name = self.name.or_else(|| unique_name(&reply));
        let bytes = self.running.moved();
        let mut verified = false;
        if let (Some(path), Some(base)) = (&self.path, self.base) {
            match self.running.client.known(path).await?.size {
                Some(size) if size == base + bytes => verified = true,
                Some(size) => {
                    let what = format!(
                        "{}: the server confirms with {} but holds {size} bytes instead of {}",
                        self.running.command,
                        reply.code(),
                        base + bytes
                    );
                    return Err(Error::new(ErrorKind::Mismatch, what));
                }
                None => {}
            }
        }
        Ok(Stored {
            reply,
            bytes,
            verified,
            name,
        })
    }

    async fn end_of_file(&mut self) -> io::Result<()> {
        if let Some(encoding) = &mut self.encoding {
            encoding.encoder.finish(&mut encoding.wire);
        }
        self.flush().await?;
        match self.running.data.take() {
            Some(data) => data.close().await,
            None => Ok(()),
        }
    }

    /// After an error of `write`: why the data connection broke, as the server tells it on the control connection.
    pub async fn explain(mut self, error: io::Error) -> Error {
        self.running.explain(error).await
    }

    /// Whether the bytes go over the wire as they are.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.encoding.is_none()
    }

    /// Sends an opened file from `offset` on, without copying where the system can (`sendfile`). Nothing may have been
    /// written before.
    pub(crate) async fn send_file(&mut self, file: std::fs::File, offset: u64) -> Result<()> {
        let Some(data) = &mut self.running.data else {
            return Ok(());
        };
        let (progress, stall) = (&self.running.progress, self.running.stall.after);
        if self.encoding.is_none() {
            match wharf_net::zero_copy::send_file(&file, offset, data, progress, stall).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(error) => return Err(self.running.pump_failed(error).await),
            }
        }
        let conversion = if self.encoding.is_some() {
            Conversion::NvtAscii
        } else {
            Conversion::Verbatim
        };
        let mut file = tokio::fs::File::from_std(file);
        if let Err(error) =
            tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(offset)).await
        {
            return Err(Error::from_source(ErrorKind::Local, "local file", error));
        }
        match wharf_net::pump::send(&mut file, data, conversion, progress, stall).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.running.pump_failed(error).await),
        }
    }

    /// Stops here and comes in step again. What the server does with the part that it has is the server's affair.
    ///
    /// # Errors
    /// Those of [`Client::abort`].
    pub async fn abort(mut self) -> Result<()> {
        self.running.data = None;
        self.running.client.abort().await
    }

    fn poll_wire(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(data) = &mut self.running.data else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        match Pin::new(data).poll_write(cx, bytes) {
            Poll::Pending => self.running.poll_stall(cx),
            Poll::Ready(Ok(n)) => {
                self.running.stall.moved();
                self.running.progress.add(n as u64);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut encoding) = self.encoding.take() else {
            return Poll::Ready(Ok(()));
        };
        let polled = loop {
            let waiting = &encoding.wire[encoding.written..];
            if waiting.is_empty() {
                encoding.wire.clear();
                encoding.written = 0;
                break Poll::Ready(Ok(()));
            }
            match self.poll_wire(cx, waiting) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => encoding.written += n,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.encoding = Some(encoding);
        polled
    }
}

impl AsyncWrite for Upload<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.encoding.is_none() {
            return self.poll_wire(cx, bytes);
        }
        ready!(self.poll_encoded(cx))?;
        let taken = &bytes[..bytes.len().min(ASCII_READ)];
        if let Some(encoding) = &mut self.encoding {
            encoding.encoder.convert(taken, &mut encoding.wire);
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_encoded(cx))?;
        match &mut self.running.data {
            Some(data) => Pin::new(data).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Flushes only: the end of the data connection is the end of the file, and that is for [`Upload::finish`] to say.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl std::fmt::Debug for Download<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "Download({}, {} bytes)",
            self.running.command,
            self.running.moved()
        )
    }
}

impl std::fmt::Debug for Upload<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "Upload({}, {} bytes)",
            self.running.command,
            self.running.moved()
        )
    }
}

/// Notices that nothing moves. The timer is touched only when an operation has to wait, never once a chunk.
struct Stall {
    after: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Stall {
    fn new(after: Duration) -> Self {
        Self {
            after,
            timer: None,
            armed: false,
        }
    }

    fn moved(&mut self) {
        self.armed = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = Instant::now() + self.after;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if !self.armed {
            timer.as_mut().reset(at);
            self.armed = true;
        }
        timer.as_mut().poll(cx)
    }
}

/// `FILE: name` in the reply to STOU (RFC 1123 §4.1.2.9).
fn unique_name(reply: &Reply) -> Option<Vec<u8>> {
    let text = reply.text().as_bytes();
    let at = text
        .windows(5)
        .position(|it| it.eq_ignore_ascii_case(b"FILE:"))?;
    let name = text[at + 5..].trim_ascii();
    (!name.is_empty()).then(|| name.to_vec())
}
