//! The files that cross, and the working directory they live in.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Result, process};

/// What the names of working directories begin with.
const PREFIX: &str = "wharf-lab-";

/// Bytes of the file that crosses where networks are compared.
pub(crate) const SMALL: u64 = 300_000;

/// Where large files are.
const MEMORY: &str = "/dev/shm";

/// A directory of this run, removed with everything in it when dropped.
#[derive(Debug)]
pub(crate) struct Workspace {
    path: PathBuf,
}

impl Workspace {
    /// A new directory; in memory when the files are large, so that the disk is not what is measured.
    pub(crate) fn create(what: &str, full: bool) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let base = if full {
            PathBuf::from(MEMORY)
        } else {
            std::env::temp_dir()
        };
        let path = base.join(format!("{PREFIX}{}-{number}-{what}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // The foreign servers drop root and still have to reach their directories.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory inside that every server may write to.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        Ok(path)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("note: {}: {error}", self.path.display());
        }
    }
}

/// Removes the directories of earlier runs whose process is gone; they may hold gibibytes.
pub(crate) fn sweep() {
    for base in [std::env::temp_dir(), PathBuf::from(MEMORY)] {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|owner| !process::is_lab(owner)) {
                eprintln!(
                    "note: removing {}, left behind by an earlier run",
                    entry.path().display()
                );
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Xorshift: reproducible bytes and moments; nothing here needs more.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// From the clock.
    pub(crate) fn from_clock() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::new(u64::from(now.subsec_nanos()) ^ now.as_secs())
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

/// Writes `size` bytes that no compression and no line-end conversion leaves alone.
pub(crate) fn write(path: &Path, size: u64) -> Result<()> {
    let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut random = Random::new(size ^ 0x5eed_1234_5678_9abc);
    let mut left = size;
    while left > 0 {
        let word = random.next().to_le_bytes();
        let take = left.min(8);
        file.write_all(&word[..usize::try_from(take)?])?;
        left -= take;
    }
    file.flush()?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    Ok(())
}

/// Whether two files hold the same bytes; an error names what is wrong.
pub(crate) fn same(expected: &Path, found: &Path) -> Result<()> {
    let open =
        |path: &Path| File::open(path).map_err(|error| format!("{}: {error}", path.display()));
    let (mut left, mut right) = (open(expected)?, open(found)?);
    let (want, have) = (left.metadata()?.len(), right.metadata()?.len());
    if want != have {
        return Err(format!("{}: {have} bytes instead of {want}", found.display()).into());
    }
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    loop {
        let n = left.read(&mut a)?;
        if n == 0 {
            return Ok(());
        }
        right.read_exact(&mut b[..n])?;
        if a[..n] != b[..n] {
            return Err(format!("{}: other bytes from offset {at} on", found.display()).into());
        }
        at += n;
    }
}
