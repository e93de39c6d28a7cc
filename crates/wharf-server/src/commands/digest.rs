//! What a server tells about the bytes of a file: HASH and RANG (draft-bryan-ftpext-hash-02), and the verbs that were there
//! before: XCRC XMD5 XSHA1 XSHA256 XSHA512.
//!
//! Reading a file costs the disk what a transfer costs, and nobody has to receive it, so it is bounded: one at a time in a
//! session, few in the server, and each within its time. It is read by the storage of the login, so nobody is told about
//! bytes that he may not read.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use wharf_proto::{Digest, Pathname, Reply, Text};
use wharf_storage::Hasher;

use crate::failure::{AtPath, Failure, Outcome};
use crate::session::Session;

/// What HASH computes until OPTS HASH says otherwise
pub(crate) const DEFAULT: Digest = Digest::Sha256;

/// So many files are read at once in the whole server
pub(crate) const AT_ONCE: usize = 4;

/// A file that takes longer is too large for this disk
const LIMIT: Duration = Duration::from_mins(2);

/// One read
const CHUNK: usize = 256 * 1024;

impl Session {
    /// The bytes of the next HASH; `1 0` takes it back (draft-bryan-ftp-range §3)
    pub(super) fn rang(&mut self, start: u64, end: u64) -> Outcome {
        if (start, end) == (1, 0) {
            self.range = None;
            return Ok(Reply::new(350, "The next HASH is of the whole file"));
        }
        if start > end {
            return Err(Failure::argument("The range ends before it begins"));
        }
        self.range = Some((start, end));
        Ok(Reply::new(
            350,
            format!("The next HASH is of bytes {start} to {end}"),
        ))
    }

    /// `213 SHA-256 0-49 DIGEST NAME`; the range is the first byte and the one behind the last
    pub(super) async fn hash(&mut self, path: &Pathname) -> Outcome {
        let (digest, range) = (self.digest, self.range.take());
        // RANG counts its last byte in.
        let range = range.map(|(start, end)| (start, end.saturating_add(1)));
        let (sum, (start, end)) = self.digest_of(path, digest, range).await?;
        let mut text = format!("{digest} {start}-{end} {sum} ").into_bytes();
        text.extend_from_slice(path.as_bytes());
        Ok(Reply::new(213, text))
    }

    /// `250 DIGEST`, as ProFTPD and GlobalSCAPE answer
    pub(super) async fn checksum(
        &mut self,
        digest: Digest,
        path: &Pathname,
        range: Option<(u64, Option<u64>)>,
    ) -> Outcome {
        let range = range.map(|(start, end)| (start, end.unwrap_or(u64::MAX)));
        let (sum, _) = self.digest_of(path, digest, range).await?;
        Ok(Reply::new(250, sum.to_uppercase()))
    }

    /// OPTS HASH, with a name or to ask
    pub(super) fn opts_hash(&mut self, name: Option<&Text>) -> Outcome {
        if let Some(name) = name {
            self.digest = Digest::of_name(name.as_bytes())
                .ok_or_else(|| Failure::parameter("HASH cannot compute that"))?;
        }
        Ok(Reply::new(200, self.digest.name()))
    }

    /// The line of FEAT: all names, the chosen one with an asterisk
    pub(super) fn hash_feature(&self) -> String {
        let names = Digest::ALL.into_iter().rev().map(|digest| {
            let mark = if digest == self.digest { "*" } else { "" };
            format!("{digest}{mark}")
        });
        format!("HASH {}", names.collect::<Vec<_>>().join(";"))
    }

    async fn digest_of(
        &mut self,
        path: &Pathname,
        digest: Digest,
        range: Option<(u64, u64)>,
    ) -> Result<(String, (u64, u64)), Failure> {
        let full = self.pi.resolve(path);
        let storage = self.storage()?;
        let found = storage.metadata(&full).await.at(path)?;
        if !found.is_file() {
            return Err(Failure::file(path, "not a plain file"));
        }
        let (start, end) = range.unwrap_or((0, found.size));
        let end = end.min(found.size);
        if start > end {
            return Err(Failure::argument("The range is beyond the end of the file"));
        }
        let Ok(_turn) = self.setup.shared.digests.try_acquire() else {
            return Err(Failure::Refused(Reply::new(
                450,
                "Too many files are being read for their digests; try again later",
            )));
        };
        let mut reader = storage.open(&full, start).await.at(path)?.take(end - start);
        let mut hasher = Hasher::new(digest);
        let read = async {
            let mut chunk = vec![0; CHUNK];
            loop {
                let n = reader.read(&mut chunk).await?;
                let Some(bytes) = chunk.get(..n).filter(|bytes| !bytes.is_empty()) else {
                    return Ok::<_, std::io::Error>(());
                };
                hasher.update(bytes);
                // A disk that is always ready would keep the thread from all others.
                tokio::task::yield_now().await;
            }
        };
        match timeout(LIMIT, read).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(wharf_storage::Error::from(error)).at(path),
            Err(_) => {
                return Err(Failure::Refused(Reply::new(
                    451,
                    "Reading the file took too long; ask for a part of it",
                )));
            }
        }
        Ok((hasher.finish(), (start, end)))
    }
}
