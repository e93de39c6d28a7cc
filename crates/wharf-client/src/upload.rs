//! A file that goes to the server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use wharf_net::DataConnection;
use wharf_net::pump::{self, Conversion, Progress, PumpError};
use wharf_proto::user_transfer::{DataEvent, Direction};
use wharf_proto::{AsciiEncoder, Command, Pathname, Reply};

use crate::client::Client;
use crate::error::{Access, Error, ErrorKind, Result};
use crate::reach::Content;
use crate::transfer::{Running, paced};

/// Bytes taken from one `write` while line ends are converted.
const ASCII_WRITE: usize = 64 * 1024;

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

/// An upload that the server has confirmed.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The final reply. `None`: it never came, and SIZE was compared over a new control connection instead.
    pub reply: Option<Reply>,
    /// Bytes on the data connection.
    pub bytes: u64,
    /// Whether SIZE afterwards told the same length; not in TYPE A, and not when the server tells no size.
    pub verified: bool,
    /// The name that the server has chosen after STOU, when it tells it the way RFC 1123 §4.1.2.9 wants.
    pub name: Option<Vec<u8>>,
}

impl Client {
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
            self.length(path).await?
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
        let mut opened = opened;
        if let (Some(data), Some(limit)) = (&mut opened.data, &self.options().upload_limit) {
            data.limit(limit.clone());
        }
        let name = opened.preliminary.as_ref().and_then(unique_name);
        let mut running = Running::new(self, command, Direction::Upload, None, opened);
        if let (Some(path), Some(base)) = (path, base) {
            running.may_compare(path, base);
        }
        let encoding = (conversion == Some(Conversion::NvtAscii)).then(|| {
            Box::new(Encoding {
                encoder: AsciiEncoder::new(),
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

impl Upload<'_> {
    /// Bytes that went through the data connection so far; may be kept and read while the transfer runs.
    pub fn progress(&self) -> &Progress {
        &self.running.progress
    }

    /// Counts into this one, so that a caller can make it before the transfer begins.
    pub fn count_into(&mut self, progress: Progress) {
        self.running.count_into(progress);
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
        let bytes = self.running.moved();
        let settled = self.running.settle(DataEvent::Ended { bytes }).await?;
        let Some(reply) = settled.reply() else {
            return Ok(Stored {
                reply: None,
                bytes,
                verified: true,
                name: self.name,
            });
        };
        let name = self.name.or_else(|| unique_name(&reply));
        let mut verified = false;
        if let (Some(path), Some(base)) = (&self.path, self.base) {
            match self.running.client.length(path).await {
                Ok(Some(size)) if size == base + bytes => verified = true,
                Ok(Some(size)) => {
                    let what = format!(
                        "{}: the server confirms with {} but holds {size} bytes instead of {}",
                        self.running.command,
                        reply.code(),
                        base + bytes
                    );
                    return Err(Error::new(ErrorKind::Mismatch, what));
                }
                Ok(None) => {}
                // A server that stops right after its 226 leaves nobody to ask; the 226 stands.
                Err(error) if error.lost_the_server() => {
                    self.running.client.note(format!(
                        "{} is confirmed, but the server left before its size could be compared",
                        self.running.command
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Stored {
            reply: Some(reply),
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
            Some(data) if data.handshake().is_some() => {
                pump::end_upload(data, self.running.client.dialogue.patience()).await
            }
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
        let conversion = if self.encoding.is_some() {
            Conversion::NvtAscii
        } else {
            Conversion::Verbatim
        };
        let Running {
            client,
            data: Some(data),
            overheard,
            progress,
            stall,
            ..
        } = &mut self.running
        else {
            return Ok(());
        };
        let sending = send(file, offset, data, conversion, progress, stall.after);
        let sending = paced(stall.after, progress.clone(), sending);
        match overheard
            .unless_ended(client, || progress.moved(), sending)
            .await
        {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(self.running.pump_failed(error).await),
            Some(Err(dripped)) => Err(self.running.too_slow(dripped)),
            None => Err(self.running.ended_by_server().await),
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
                self.running.stall.moved(n);
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
        let taken = &bytes[..bytes.len().min(ASCII_WRITE)];
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

/// The rest of the file, without copying it where that is possible.
async fn send(
    file: std::fs::File,
    offset: u64,
    data: &mut DataConnection,
    conversion: Conversion,
    progress: &Progress,
    stall: Duration,
) -> std::result::Result<(), PumpError> {
    if conversion == Conversion::Verbatim
        && wharf_net::zero_copy::send_file(&file, offset, data, progress, stall)
            .await?
            .is_some()
    {
        return Ok(());
    }
    let mut file = tokio::fs::File::from_std(file);
    tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(offset))
        .await
        .map_err(PumpError::File)?;
    pump::send(&mut file, data, conversion, progress, stall).await?;
    Ok(())
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
