//! A certificate chain and its key in files.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::described::Described;
use super::{CertificateStore, TlsError, files};

/// Most bytes of either file.
const FILE: u64 = 1024 * 1024;

/// Where a certificate chain (own certificate first) and its key are, both PEM. They may be the same file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PemPair {
    /// The file with the certificates.
    pub chain: PathBuf,
    /// The file with the key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
}

/// What was in the files.
#[derive(Clone, Debug)]
pub struct LoadedPair {
    /// For a [`CertificateStore`].
    pub certified: Arc<CertifiedKey>,
    /// What the certificate says of itself.
    pub described: Described,
    /// Everybody on this machine can read or change the key.
    pub exposed: bool,
}

/// What tells that files were exchanged: device, inode, length, time of change in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp([(u64, u64, u64, i64, i64); 2]);

impl PemPair {
    /// Both in one file.
    pub fn together(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            chain: path.clone(),
            key: path,
        }
    }

    /// Reads both.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: a file that cannot be read, or has nothing of use in it, or the two do not belong
    /// together.
    pub fn load(&self) -> Result<LoadedPair, TlsError> {
        let fault = |what: &PathBuf, why: String| TlsError::Certificate {
            what: what.display().to_string(),
            why,
        };
        let read = |path: &PathBuf| {
            files::read(path, FILE).map_err(|error| fault(path, error.to_string()))
        };
        let (chain, key) = (read(&self.chain)?, read(&self.key)?);
        let certified = CertificateStore::from_pem(&self.to_string(), &chain, &key)?;
        let own = certified.end_entity_cert()?;
        let described = Described::read(own).ok_or_else(|| {
            fault(
                &self.chain,
                "its first certificate cannot be read".to_owned(),
            )
        })?;
        let mode = fs::metadata(&self.key).map_or(0, |it| it.mode());
        Ok(LoadedPair {
            certified,
            described,
            exposed: mode & 0o007 != 0,
        })
    }

    /// What stands in memory as it would in one file.
    ///
    /// # Errors
    /// [`TlsError::Certificate`].
    pub fn from_memory(what: &str, pem: &[u8]) -> Result<LoadedPair, TlsError> {
        let certified = CertificateStore::from_pem(what, pem, pem)?;
        let described = Described::read(certified.end_entity_cert()?);
        let described = described.ok_or_else(|| TlsError::Certificate {
            what: what.to_owned(),
            why: "its first certificate cannot be read".to_owned(),
        })?;
        Ok(LoadedPair {
            certified,
            described,
            exposed: false,
        })
    }

    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let of = |it: &Metadata| (it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec());
        let (chain, key) = (fs::metadata(&self.chain)?, fs::metadata(&self.key)?);
        Ok(Stamp([of(&chain), of(&key)]))
    }
}

impl fmt::Display for PemPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chain.display())?;
        if self.key != self.chain {
            write!(f, " with {}", self.key.display())?;
        }
        Ok(())
    }
}
