//! A file or listing that comes from the server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use wharf_net::pump::{Conversion, Moved, Progress};
use wharf_proto::user_transfer::{DataEvent, Direction};
use wharf_proto::{AsciiDecoder, Command, Pathname, Reply, ReplyClass, Timestamp};

use crate::client::Client;
use crate::data::Opened;
use crate::error::{Access, Error, ErrorKind, Result};
use crate::reach::Content;
use crate::secured::end_download;
use crate::transfer::{Known, Running, paced};

/// One read from the data connection while line ends are converted.
const ASCII_READ: usize = 64 * 1024;

/// A file or listing that comes from the server.
pub struct Download<'c> {
    running: Running<'c>,
    path: Option<Pathname>,
    /// Of the whole remote file.
    size: Option<u64>,
    verified: bool,
    modified: Option<Timestamp>,
    decoding: Option<Box<Decoding>>,
    ended: bool,
    /// The data ended without close_notify: somebody on the way may have ended it.
    cut: bool,
}

struct Decoding {
    decoder: AsciiDecoder,
    wire: Box<[u8]>,
    text: Vec<u8>,
    given: usize,
    finished: bool,
}

/// A download that the server has confirmed and whose length agrees.
#[derive(Clone, Debug)]
pub struct Received {
    /// The final reply. `None`: it never came, and the length was compared over a new control connection instead.
    pub reply: Option<Reply>,
    /// Bytes on the data connection.
    pub bytes: u64,
    /// Whether the length could be compared; not in TYPE A, and not when the server tells no size.
    pub verified: bool,
}

impl Client {
    /// RETR, with REST before it when `offset` is not 0. The remote size is asked for first, to compare with.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`], [`ErrorKind::DataConnection`] with the ways that were tried,
    /// [`ErrorKind::Unsupported`] when REST is refused, [`ErrorKind::Changed`] when the remote file is shorter than
    /// `offset`.
    pub async fn retrieve(&mut self, path: &Pathname, offset: u64) -> Result<Download<'_>> {
        self.still_hopeless(path.display())?;
        let known = match (self.is_binary(), offset) {
            (true, 0) => self.known(path).await?,
            (true, _) => Known {
                size: self.length(path).await?,
                modified: None,
            },
            (false, _) => Known::default(),
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
        let ascii = conversion == Some(Conversion::NvtAscii);
        let size = if ascii { None } else { known.size };
        if opened.data.is_none() && size != Some(offset) {
            // Nothing has arrived, and only a file without anything to send needs no data connection.
            let what = format!(
                "{}: reported complete without a data connection",
                command.redacted()
            );
            return Err(match opened.completion {
                Some(reply) => Error::new(ErrorKind::DataConnection, what).with_reply(reply),
                None => Error::new(ErrorKind::DataConnection, what),
            });
        }
        let expected = size.map(|it| it - offset);
        let limit = self.options().download_limit.clone();
        let mut download = Download::new(self, &command, expected, opened);
        if let (Some(data), Some(limit)) = (&mut download.running.data, limit) {
            data.limit(limit);
        }
        download.running.offset = offset;
        download.size = size;
        let decodes = ascii && !download.running.client.options().keep_line_ends;
        download.decoding = decodes.then(|| Box::new(Decoding::new()));
        download.modified = known.modified;
        download.path = Some(path.clone());
        if !ascii {
            download.running.may_compare(path, offset);
        }
        Ok(download)
    }
}

impl<'c> Download<'c> {
    fn new(
        client: &'c mut Client,
        command: &Command,
        expected: Option<u64>,
        opened: Opened,
    ) -> Self {
        let mut opened = opened;
        if let Some(data) = &mut opened.data {
            data.take_cut_for_end();
        }
        let ended = opened.data.is_none();
        let running = Running::new(client, command, Direction::Download, expected, opened);
        Self {
            running,
            path: None,
            size: None,
            verified: expected.is_some(),
            modified: None,
            decoding: None,
            ended,
            cut: false,
        }
    }

    pub(crate) fn of_listing(client: &'c mut Client, command: &Command, opened: Opened) -> Self {
        let mut download = Self::new(client, command, None, opened);
        download.running.listing = true;
        download
    }

    /// Whose it is.
    pub(crate) fn client(&mut self) -> &mut Client {
        self.running.client
    }

    /// Something a person may want to know.
    pub(crate) fn note(&mut self, note: String) {
        self.running.client.note(note);
    }

    pub(crate) fn listing_limit(&self) -> u64 {
        self.running.client.options().listing_limit
    }

    /// Length of the whole remote file, when the server told it.
    pub fn size(&self) -> Option<u64> {
        self.size
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
        self.running.count_into(progress);
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
            self.cut = data.was_cut();
            if data.handshake().is_some() {
                end_download(data, self.running.client.dialogue.patience()).await;
            } else {
                // Everything has been received; how our own end of the connection goes down concerns nobody.
                let _ = data.close().await;
            }
        }
        let bytes = self.running.moved();
        let reply = match self.running.settle(DataEvent::Ended { bytes }).await {
            Ok(settled) => settled.reply(),
            Err(error) => Some(self.judge_again(error).await?),
        };
        let verified = self.verified || reply.is_none();
        if self.cut && !verified {
            let what = format!(
                "{}: the data connection ended without TLS close_notify after {bytes} bytes, and no size tells whether that was all",
                self.running.command
            );
            return Err(Error::new(ErrorKind::Truncated, what));
        }
        Ok(Received {
            reply,
            bytes,
            verified,
        })
    }

    /// The length was wrong although the server confirmed. ProFTPD 1.3.8 and Pure-FTPd 1.0.50 tell in MLST how long a
    /// symbolic link itself is; when MLST still says so and SIZE agrees with what came, the file is whole.
    async fn judge_again(&mut self, error: Error) -> Result<Reply> {
        let confirmed = error
            .reply()
            .filter(|it| it.class() == ReplyClass::Completion)
            .cloned();
        let (Some(reply), Some(path), Some(announced)) = (confirmed, self.path.clone(), self.size)
        else {
            return Err(error);
        };
        let seen = self.running.offset + self.running.moved();
        let client = &mut *self.running.client;
        if client.offers("MLST")
            && client.known(&path).await?.size == Some(announced)
            && client.length(&path).await? == Some(seen)
        {
            self.size = Some(seen);
            return Ok(reply);
        }
        Err(error)
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
        let Running {
            client,
            data: Some(data),
            overheard,
            progress,
            stall,
            ..
        } = &mut self.running
        else {
            return Ok(Moved::default());
        };
        let conversion = if self.decoding.is_some() {
            Conversion::NvtAscii
        } else {
            Conversion::Verbatim
        };
        let pump = wharf_net::pump::receive(data, writer, conversion, progress, stall.after);
        let pump = paced(stall.after, progress.clone(), pump);
        match overheard
            .unless_ended(client, || progress.moved(), pump)
            .await
        {
            Some(Ok(Ok(moved))) => {
                self.ended = true;
                Ok(moved)
            }
            Some(Ok(Err(error))) => Err(self.running.pump_failed(error).await),
            Some(Err(dripped)) => Err(self.running.too_slow(dripped)),
            None => Err(self.running.ended_by_server().await),
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
                let read = buffer.filled().len() - before;
                self.running.stall.moved(read);
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
