//! The file of the queue: JSON lines, for its owner only, changed under a lock and replaced whole, so that whatever
//! happens it is as it was before a change or as it is after.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::item::Item;

/// More than this is not read: a queue of this size was not written by us.
const READ: u64 = 16 * 1024 * 1024;

/// Where the queue is.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    path: PathBuf,
}

impl Store {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    }

    /// What is in it, in its order.
    pub(crate) fn items(&self) -> io::Result<Vec<Item>> {
        let mut text = String::new();
        match File::open(&self.path) {
            Ok(file) => file.take(READ).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut items = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let item = serde_json::from_str(line).map_err(|error| {
                // To go on would be to lose what could not be read.
                io::Error::other(format!("line {} cannot be read: {error}", number + 1))
            })?;
            items.push(item);
        }
        Ok(items)
    }

    /// Changes it while nobody else does. An error leaves it as it is.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Vec<Item>) -> T) -> io::Result<T> {
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let lock = self.open_lock(".lock")?;
        lock.lock()?;
        let mut items = self.items()?;
        let done = change(&mut items);
        let mut text = Vec::new();
        for item in &items {
            serde_json::to_writer(&mut text, item)?;
            text.push(b'\n');
        }
        let new = self.beside(".new");
        // Left behind by somebody who was killed; under the lock nobody writes it.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        File::open(directory)?.sync_all()?;
        Ok(done)
    }

    /// The right to carry the queue out, for one at a time; given back when it is dropped, or when its process dies. `None`:
    /// somebody has it.
    pub(crate) fn take_turn(&self) -> io::Result<Option<File>> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let turn = self.open_lock(".run")?;
        match turn.try_lock() {
            Ok(()) => Ok(Some(turn)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn open_lock(&self, end: &str) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.beside(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Standing;

    fn item(number: u64) -> Item {
        Item {
            number,
            words: vec!["get".to_owned(), format!("ftp://host/{number}")],
            directory: PathBuf::from("/tmp"),
            standing: Standing::Waiting,
            failures: 2,
            not_before: 7,
            exit: Some(14),
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_rubbish_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().join("state/queue"));
        assert_eq!(store.items().unwrap(), []);
        store
            .change(|items| items.extend([item(1), item(2)]))
            .unwrap();
        assert_eq!(store.items().unwrap(), [item(1), item(2)]);
        fs::write(directory.path().join("state/queue"), "{\n").unwrap();
        assert!(store.items().is_err());
        assert!(store.change(Vec::clear).is_err());
        assert_eq!(
            fs::read(directory.path().join("state/queue")).unwrap(),
            b"{\n"
        );
    }

    #[test]
    fn one_at_a_time_carries_it_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().join("queue"));
        let turn = store.take_turn().unwrap();
        assert!(turn.is_some());
        assert!(store.take_turn().unwrap().is_none());
        drop(turn);
        assert!(store.take_turn().unwrap().is_some());
    }
}
