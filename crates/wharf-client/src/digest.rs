//! Digests of files, as the server tells them and as the local copy has them.
//!
//! Sizes that agree do not say that bytes do. Where the server computes digests (HASH, XSHA256 and its like), a copy whose
//! making was not one straight transfer is compared with them before it gets its final name ([`Verify::Auto`]), or every
//! copy is ([`Verify::Always`]).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wharf_proto::{Command, Digest, Pathname, ReplyClass, Text};
use wharf_storage::Hasher;

use crate::client::Client;
use crate::error::{Access, Error, ErrorKind, Result};
use crate::verbs::is_about_the_file;

/// A server reads the whole file before it answers.
const PATIENCE: u32 = 10;

/// How a copy is compared with the original, beyond its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// By its length only.
    Size,
    /// By a digest, where the server tells one and the copy was resumed or made by several connections.
    #[default]
    Auto,
    /// By a digest, always; a server that tells none is an error.
    Always,
}

/// A digest and its value in hexadecimal, small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How it was computed.
    pub digest: Digest,
    /// Its value.
    pub hex: String,
}

impl Client {
    /// The digest of a remote file, computed by the server: with HASH, or with the best of XSHA512, XSHA256, XSHA1, XMD5, MD5
    /// and XCRC that FEAT lists. `None`: it offers none of them.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`], [`ErrorKind::Busy`]; [`ErrorKind::Protocol`] when no digest is in
    /// the reply.
    pub async fn digest(&mut self, path: &Pathname) -> Result<Option<Sum>> {
        let Some((digest, command)) = self.way_to_digest(path).await? else {
            return Ok(None);
        };
        self.ready().await?;
        let within: Duration = self.options().reply_timeout * PATIENCE;
        let reply = self.dialogue.exchange_line(&command, within).await?;
        if matches!(reply.code(), 500 | 502 | 504) {
            return Ok(None);
        }
        if reply.class() != ReplyClass::Completion {
            let shown = command.display().to_string();
            return Err(Error::refused(Access::Reads, shown, reply));
        }
        match digest.in_reply(reply.text().as_bytes()) {
            Some(hex) => Ok(Some(Sum { digest, hex })),
            None => Err(Error::new(
                ErrorKind::Protocol,
                format!("{}: no {digest} in the reply", path.display()),
            )
            .with_reply(reply)),
        }
    }

    /// The best digest that is offered, and the line that asks for it.
    async fn way_to_digest(&mut self, path: &Pathname) -> Result<Option<(Digest, Text)>> {
        let Some(features) = self.features() else {
            return Ok(None);
        };
        let hash = features.parameters("HASH").map(offered);
        let older = Digest::ALL
            .into_iter()
            .rev()
            .find(|digest| features.has(digest.verb()));
        let md5 = features.has("MD5");
        if let Some((chosen, all)) = hash
            && let Some(best) = chosen.or_else(|| all.iter().max().copied())
        {
            if chosen != Some(best) {
                let opts = Command::Opts {
                    name: Text::lossy("HASH"),
                    value: Some(Text::lossy(best.name())),
                };
                self.command(Access::Other, &opts).await?;
            }
            return Ok(Some((best, line("HASH", path.as_bytes()))));
        }
        Ok(match older {
            Some(digest) => Some((digest, line(digest.verb(), &quoted(path)))),
            None if md5 => Some((Digest::Md5, line("MD5", path.as_bytes()))),
            None => None,
        })
    }

    /// Compares a local copy with what the server tells of the original. `doubtful`: it was not made in one go. `None`:
    /// nothing was compared.
    pub(crate) async fn compare_digests(
        &mut self,
        local: &Path,
        remote: &Pathname,
        verify: Verify,
        doubtful: bool,
    ) -> Result<Option<Digest>> {
        let wanted = verify == Verify::Always || verify == Verify::Auto && doubtful;
        if !wanted || !self.is_binary() {
            return Ok(None);
        }
        let told = match self.digest(remote).await {
            Err(error) if verify == Verify::Auto && is_about_the_file(&error) => None,
            told => told?,
        };
        match told {
            Some(sum) => {
                let digest = sum.digest;
                expect(local, sum, &remote.display().to_string()).await?;
                Ok(Some(digest))
            }
            None if verify == Verify::Always => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{}: the server tells no digest, so the copy cannot be verified",
                    remote.display()
                ),
            )),
            None => Ok(None),
        }
    }
}

/// Whether a local file has this digest.
///
/// # Errors
/// [`ErrorKind::Mismatch`] when it has another one; [`ErrorKind::Local`].
pub(crate) async fn expect(local: &Path, sum: Sum, name: &str) -> Result<()> {
    let path: PathBuf = local.to_owned();
    let digest = sum.digest;
    let computed = tokio::task::spawn_blocking(move || of_file(&path, digest)).await;
    let computed = computed.unwrap_or_else(|error| Err(io::Error::other(error)));
    let found = computed.map_err(|error| {
        Error::from_source(ErrorKind::Local, local.display().to_string(), error)
    })?;
    if found == sum.hex {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Mismatch,
        format!(
            "{name}: {digest} is {found} here, and should be {}",
            sum.hex
        ),
    ))
}

/// The digest of a local file. Blocks.
///
/// # Errors
/// Those of reading it.
pub fn of_file(path: &Path, digest: Digest) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new(digest);
    let mut chunk = vec![0; 1024 * 1024];
    loop {
        let n = file.read(&mut chunk)?;
        match chunk.get(..n) {
            Some(bytes) if n > 0 => hasher.update(bytes),
            _ => return Ok(hasher.finish()),
        }
    }
}

/// `SHA-256*;SHA-512;MD5`: what is chosen, and all that we can compute.
fn offered(parameters: &Text) -> (Option<Digest>, Vec<Digest>) {
    let mut chosen = None;
    let mut all = Vec::new();
    for word in parameters.as_bytes().split(|byte| *byte == b';') {
        let word = word.trim_ascii();
        let (name, marked) = match word.strip_suffix(b"*") {
            Some(name) => (name, true),
            None => (word, false),
        };
        if let Some(digest) = Digest::of_name(name) {
            all.push(digest);
            if marked {
                chosen = Some(digest);
            }
        }
    }
    (chosen, all)
}

/// XCRC and its like take a range behind the name, so one with spaces stands in quotation marks.
fn quoted(path: &Pathname) -> Vec<u8> {
    let bytes = path.as_bytes();
    if bytes.contains(&b' ') || bytes.first() == Some(&b'"') {
        path.quoted()
    } else {
        bytes.to_vec()
    }
}

fn line(verb: &str, argument: &[u8]) -> Text {
    Text::lossy([verb.as_bytes(), b" ", argument].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hash_offers_is_read() {
        for (text, chosen, count) in [
            ("SHA-256*;SHA-512;SHA-1;MD5;CRC32", Some(Digest::Sha256), 5),
            ("SHA-1;MD5*", Some(Digest::Md5), 2),
            ("WHIRLPOOL*;MD5", None, 1),
            ("", None, 0),
        ] {
            let (found, all) = offered(&Text::lossy(text));
            assert_eq!((found, all.len()), (chosen, count), "{text}");
        }
    }

    #[tokio::test]
    async fn a_file_with_another_digest_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let sum = |hex: &str| Sum {
            digest: Digest::Crc32,
            hex: hex.to_owned(),
        };
        assert!(expect(&path, sum("352441c2"), "abc").await.is_ok());
        let error = expect(&path, sum("00000000"), "abc").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
    }
}
