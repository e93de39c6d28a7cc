//! Reading a file from async code: the next piece is fetched while the last one is on its way out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{ErrorKind, ReadFile, Result};

/// Bytes per read call, for the same reasons as when writing.
const CHUNK: u64 = 512 << 10;

/// A file not longer than this is read when it is opened, which saves small files a thread hop.
const AT_ONCE: u64 = 64 << 10;

/// An open file that is read from a position on.
pub struct FileReader {
    file: Arc<File>,
    length: u64,
    /// Of the next byte that is handed out.
    position: u64,
    buffer: Vec<u8>,
    used: usize,
    spare: Vec<u8>,
    /// Where the next read begins.
    fetch_at: u64,
    fetching: Option<JoinHandle<io::Result<Fetched>>>,
    ended: bool,
}

struct Fetched {
    buffer: Vec<u8>,
    /// Fewer bytes came than were asked for: a plain file does that at its end only.
    last: bool,
}

impl FileReader {
    /// Reads a plain file of that length from byte `at` on. Blocks: a short file is read at once.
    ///
    /// Errors: [`ErrorKind::InvalidOffset`], and those of reading.
    pub fn new(file: File, length: u64, at: u64) -> Result<Self> {
        if at > length {
            return Err(ErrorKind::InvalidOffset.into());
        }
        let mut reader = Self {
            file: Arc::new(file),
            length,
            position: at,
            buffer: Vec::new(),
            used: 0,
            spare: Vec::new(),
            fetch_at: at,
            fetching: None,
            ended: false,
        };
        if length - at <= AT_ONCE {
            let fetched = fetch(&reader.file, Vec::new(), at, length)?;
            reader.take(fetched);
        }
        Ok(reader)
    }

    fn take(&mut self, fetched: Fetched) {
        self.fetch_at += fetched.buffer.len() as u64;
        self.ended = fetched.last;
        self.spare = std::mem::replace(&mut self.buffer, fetched.buffer);
        self.used = 0;
    }

    fn start_fetching(&mut self) {
        let file = Arc::clone(&self.file);
        let buffer = std::mem::take(&mut self.spare);
        let (at, length) = (self.fetch_at, self.length);
        self.fetching = Some(spawn_blocking(move || fetch(&file, buffer, at, length)));
    }
}

fn fetch(file: &File, mut buffer: Vec<u8>, at: u64, length: u64) -> io::Result<Fetched> {
    // One byte more than there should be, so that the end shows without another read.
    let wanted = (length.saturating_sub(at) + 1).min(CHUNK);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    buffer.resize(wanted, 0);
    let mut filled = 0;
    while filled < wanted {
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    let last = filled < wanted;
    Ok(Fetched { buffer, last })
}

impl AsyncRead for FileReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        loop {
            let ready = reader.buffer.get(reader.used..).unwrap_or_default();
            if !ready.is_empty() {
                let n = ready.len().min(out.remaining());
                out.put_slice(ready.get(..n).unwrap_or_default());
                reader.used += n;
                reader.position += n as u64;
                return Poll::Ready(Ok(()));
            }
            if reader.ended || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if reader.fetching.is_none() {
                reader.start_fetching();
            }
            if let Some(fetching) = &mut reader.fetching {
                let outcome = ready!(Pin::new(fetching).poll(cx));
                reader.fetching = None;
                let fetched = outcome.map_err(io::Error::other)??;
                reader.take(fetched);
                if !reader.ended {
                    reader.start_fetching();
                }
            }
        }
    }
}

impl ReadFile for FileReader {
    fn as_file(&self) -> Option<(&File, u64)> {
        Some((&self.file, self.position))
    }

    fn length(&self) -> Option<u64> {
        Some(self.length)
    }
}
