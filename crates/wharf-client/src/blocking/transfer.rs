//! Files on their way, as readers and writers.

use std::io::{self, Read, Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use wharf_net::pump::Progress;

use crate::download::Received;
use crate::error::{Error, Result};
use crate::upload::Stored;

/// A file that comes from the server, see [`crate::Download`]. Reads of 64 KiB and more are worth their cost:
/// [`std::io::copy`] with a `BufReader` of that size around it.
#[derive(Debug)]
pub struct Download<'c> {
    runtime: &'c Runtime,
    inner: crate::Download<'c>,
}

impl<'c> Download<'c> {
    pub(super) fn new(runtime: &'c Runtime, inner: crate::Download<'c>) -> Self {
        Self { runtime, inner }
    }

    /// Length of the whole remote file, when the server told it.
    pub fn size(&self) -> Option<u64> {
        self.inner.size()
    }

    /// Bytes so far; may be kept, sent to another thread and read while the transfer runs.
    pub fn progress(&self) -> &Progress {
        self.inner.progress()
    }

    /// See [`crate::Download::finish`]: the end of the data proves nothing before this has succeeded.
    ///
    /// # Errors
    /// Those of that.
    pub fn finish(self) -> Result<Received> {
        self.runtime.block_on(self.inner.finish())
    }

    /// After an error of `read`: why the data connection broke, as the server tells it.
    pub fn explain(self, error: io::Error) -> Error {
        self.runtime.block_on(self.inner.explain(error))
    }

    /// See [`crate::Download::abort`].
    ///
    /// # Errors
    /// Those of that.
    pub fn abort(self) -> Result<()> {
        self.runtime.block_on(self.inner.abort())
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.inner.read(buffer))
    }
}

/// A file that goes to the server, see [`crate::Upload`]. Dropped without [`finish`](Self::finish) it is cut off, and the
/// server is told so by a reset of the data connection.
#[derive(Debug)]
pub struct Upload<'c> {
    runtime: &'c Runtime,
    inner: crate::Upload<'c>,
}

impl<'c> Upload<'c> {
    pub(super) fn new(runtime: &'c Runtime, inner: crate::Upload<'c>) -> Self {
        Self { runtime, inner }
    }

    /// Bytes so far; may be kept, sent to another thread and read while the transfer runs.
    pub fn progress(&self) -> &Progress {
        self.inner.progress()
    }

    /// See [`crate::Upload::finish`]: only then the file is there.
    ///
    /// # Errors
    /// Those of that.
    pub fn finish(self) -> Result<Stored> {
        self.runtime.block_on(self.inner.finish())
    }

    /// After an error of `write`: why the data connection broke, as the server tells it.
    pub fn explain(self, error: io::Error) -> Error {
        self.runtime.block_on(self.inner.explain(error))
    }

    /// See [`crate::Upload::abort`].
    ///
    /// # Errors
    /// Those of that.
    pub fn abort(self) -> Result<()> {
        self.runtime.block_on(self.inner.abort())
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.inner.flush())
    }
}
