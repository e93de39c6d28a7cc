//! Names on the server, kept for a while so that a second tab costs nothing.

use std::collections::VecDeque;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteName {
    /// As the server wrote it.
    pub(crate) name: Vec<u8>,
    pub(crate) directory: bool,
}

/// So many directories are kept.
const DIRECTORIES: usize = 32;

/// So many names of one directory; completion among more helps nobody.
const NAMES: usize = 20_000;

/// The directories that were listed last.
#[derive(Default)]
pub(super) struct NameCache {
    listed: VecDeque<(Option<Vec<u8>>, Vec<RemoteName>)>,
}

impl NameCache {
    pub(super) fn get(&self, directory: Option<&[u8]>) -> Option<Vec<RemoteName>> {
        let found = self
            .listed
            .iter()
            .find(|(known, _)| known.as_deref() == directory);
        found.map(|(_, names)| names.clone())
    }

    /// Keeps the names and gives those back that were kept. Nothing is kept of a directory without names: the server may
    /// only have been busy.
    pub(super) fn put(
        &mut self,
        directory: Option<&[u8]>,
        mut names: Vec<RemoteName>,
    ) -> Vec<RemoteName> {
        names.truncate(NAMES);
        if names.is_empty() {
            return names;
        }
        if self.listed.len() >= DIRECTORIES {
            self.listed.pop_front();
        }
        let directory = directory.map(<[u8]>::to_vec);
        self.listed.push_back((directory, names.clone()));
        names
    }

    pub(super) fn clear(&mut self) {
        self.listed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_the_oldest_goes_first() {
        let name = |text: &str| RemoteName {
            name: text.as_bytes().to_vec(),
            directory: false,
        };
        let mut cache = NameCache::default();
        cache.put(None, vec![name("here")]);
        for number in 0..DIRECTORIES {
            cache.put(Some(number.to_string().as_bytes()), vec![name("x")]);
        }
        assert_eq!(cache.listed.len(), DIRECTORIES);
        assert_eq!(cache.get(None), None);
        assert_eq!(cache.get(Some(b"0")), Some(vec![name("x")]));
        assert_eq!(
            cache.put(Some(b"big"), vec![name("y"); NAMES + 1]).len(),
            NAMES
        );
        cache.put(Some(b"empty"), Vec::new());
        assert_eq!(cache.get(Some(b"empty")), None);
        cache.clear();
        assert_eq!(cache.get(Some(b"0")), None);
    }
}
