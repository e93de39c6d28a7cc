//! The copying itself: two buffers, so that one is filled while the other is emptied.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::conversion::{Conversion, Stage};
use super::progress::Progress;
use crate::data::DataConnection;

/// One buffer. With 8 KiB the same transfer costs five to ten times the processor time, above this nothing is won.
const BUFFER: usize = 256 * 1024;

/// How much went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes on the data connection.
    pub wire: u64,
    /// Bytes of the file; differs from `wire` where line ends were converted.
    pub file: u64,
}

/// Why a transfer ended early. The data connection is then to be dropped or aborted, never closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PumpError {
    /// The file, or the storage below it. The error is the storage's own.
    #[error("file: {0}")]
    File(#[source] io::Error),
    /// The data connection broke.
    #[error("data connection: {0}")]
    Connection(#[source] io::Error),
    /// No byte moved for so long.
    #[error("no byte moved for {} s", .0.as_secs())]
    Stalled(Duration),
}

/// From a file to the data connection. The caller closes the connection afterwards.
///
/// `stall`: the longest time without a byte being read or written. Dropping the future is safe; dropping the connection
/// after it resets it.
///
/// # Errors
/// [`PumpError`].
pub async fn send<R>(
    reader: &mut R,
    data: &mut DataConnection,
    conversion: Conversion,
    progress: &Progress,
    stall: Duration,
) -> Result<Moved, PumpError>
where
    R: AsyncRead + Unpin + ?Sized,
{
    let mut stage = Stage::outgoing(conversion);
    let mut moved = Moved::default();
    let mut filling = Vec::with_capacity(BUFFER);
    let mut emptying = Vec::with_capacity(BUFFER);
    loop {
        let converted = stage.convert(&emptying);
        let ((), wire) = tokio::try_join!(
            async {
                fill(reader, &mut filling, stall)
                    .await?
                    .map_err(PumpError::File)
            },
            async {
                empty(data, converted, stall, |n| progress.add(n))
                    .await?
                    .map_err(PumpError::Connection)
            },
        )?;
        moved.wire += wire;
        moved.file += filling.len() as u64;
        if filling.is_empty() {
            break;
        }
        std::mem::swap(&mut filling, &mut emptying);
    }
    moved.wire += empty(data, stage.finish(), stall, |n| progress.add(n))
        .await?
        .map_err(PumpError::Connection)?;
    timeout(stall, data.flush())
        .await
        .map_err(|_| PumpError::Stalled(stall))?
        .map_err(PumpError::Connection)?;
    Ok(moved)
}

/// From the data connection to a file, until the peer's end of file. The writer is flushed; committing is the caller's.
///
/// `stall` as for [`send`].
///
/// # Errors
/// [`PumpError`].
pub async fn receive<W>(
    data: &mut DataConnection,
    writer: &mut W,
    conversion: Conversion,
    progress: &Progress,
    stall: Duration,
) -> Result<Moved, PumpError>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut stage = Stage::incoming(conversion);
    let mut moved = Moved::default();
    let mut filling = Vec::with_capacity(BUFFER);
    let mut emptying = Vec::with_capacity(BUFFER);
    loop {
        let converted = stage.convert(&emptying);
        let ((), file) = tokio::try_join!(
            async {
                fill(data, &mut filling, stall)
                    .await?
                    .map_err(PumpError::Connection)?;
                progress.add(filling.len() as u64);
                Ok(())
            },
            async {
                empty(writer, converted, stall, |_| ())
                    .await?
                    .map_err(PumpError::File)
            },
        )?;
        moved.file += file;
        moved.wire += filling.len() as u64;
        if filling.is_empty() {
            break;
        }
        std::mem::swap(&mut filling, &mut emptying);
    }
    moved.file += empty(writer, stage.finish(), stall, |_| ())
        .await?
        .map_err(PumpError::File)?;
    writer.flush().await.map_err(PumpError::File)?;
    Ok(moved)
}

/// One read into the emptied buffer; it stays empty at the end of the file.
async fn fill<R: AsyncRead + Unpin + ?Sized>(
    reader: &mut R,
    buffer: &mut Vec<u8>,
    stall: Duration,
) -> Result<io::Result<()>, PumpError> {
    buffer.clear();
    let read = timeout(stall, reader.read_buf(buffer))
        .await
        .map_err(|_| PumpError::Stalled(stall))?;
    Ok(read.map(drop))
}

/// Writes all of `bytes`; every piece that gets away starts the stall clock anew.
async fn empty<W: AsyncWrite + Unpin + ?Sized>(
    writer: &mut W,
    mut bytes: &[u8],
    stall: Duration,
    mut count: impl FnMut(u64),
) -> Result<io::Result<u64>, PumpError> {
    let mut written = 0;
    while !bytes.is_empty() {
        let n = match timeout(stall, writer.write(bytes)).await {
            Err(_elapsed) => return Err(PumpError::Stalled(stall)),
            Ok(Err(error)) => return Ok(Err(error)),
            Ok(Ok(0)) => return Ok(Err(io::ErrorKind::WriteZero.into())),
            Ok(Ok(n)) => n,
        };
        bytes = bytes.get(n..).unwrap_or_default();
        written += n as u64;
        count(n as u64);
    }
    Ok(Ok(written))
}
