//! How `cls` shows entries.

use std::time::SystemTime;

use wharf_client::{Entry, EntryKind};

use super::super::options::{self, Known, switch, valued};
use super::super::sink::Sink;
use crate::exit::Failure;
use crate::listing::{Reader, long_line};
use crate::output::human_bytes;

/// Options of cls; those that only change what a terminal shows are among them.
pub(super) const CLS: &[Known] = &[
    switch('1', "single-column"),
    switch('a', "all"),
    switch('B', "basename"),
    valued(' ', "block-size"),
    switch('d', "directory"),
    switch('D', "dirsfirst"),
    switch('F', "classify"),
    switch('h', "human-readable"),
    switch('i', "case-insensitive"),
    switch('k', "kilobytes"),
    switch('l', "long"),
    switch('q', "quiet"),
    switch('r', "reverse"),
    switch('s', "size"),
    switch(' ', "filesize"),
    switch(' ', "date"),
    switch(' ', "perms"),
    switch(' ', "user"),
    switch(' ', "group"),
    switch(' ', "linkcount"),
    switch(' ', "links"),
    switch(' ', "nouser"),
    switch(' ', "nogroup"),
    switch(' ', "si"),
    valued(' ', "sort"),
    switch('S', "by-size"),
    switch('t', "by-date"),
];

/// How cls shows entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    all: bool,
    pub(super) basename: bool,
    pub(super) directory: bool,
    directories_first: bool,
    classify: bool,
    long: bool,
    size: bool,
    exact_size: bool,
    date: bool,
    permissions: bool,
    human: bool,
    reverse: bool,
    blind: bool,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Size,
    Date,
}

impl Look {
    pub(super) fn of(given: &options::Given) -> Result<Self, Failure> {
        let sort = match given.text("sort").as_deref() {
            Some("size") => Sort::Size,
            Some("date" | "time") => Sort::Date,
            Some("name") => Sort::Name,
            Some(other) => {
                return Err(Failure::usage(format!("cls: `{other}` is no order"))
                    .with_hint("name, size, date"));
            }
            None if given.has("by-size") => Sort::Size,
            None if given.has("by-date") => Sort::Date,
            None => Sort::Name,
        };
        Ok(Self {
            all: given.has("all"),
            basename: given.has("basename"),
            directory: given.has("directory"),
            directories_first: given.has("dirsfirst"),
            classify: given.has("classify"),
            long: given.has("long"),
            size: given.has("size") || given.has("kilobytes"),
            exact_size: given.has("filesize"),
            date: given.has("date"),
            permissions: given.has("perms"),
            human: given.has("human-readable") || given.has("si"),
            reverse: given.has("reverse"),
            blind: given.has("case-insensitive"),
            sort,
        })
    }

    pub(super) async fn write(
        &self,
        mut found: Vec<(Vec<u8>, Entry)>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        found.retain(|(_, entry)| self.all || self.directory || !entry.name.starts_with(b"."));
        self.order(&mut found);
        let reader = sink.reader();
        for (shown, entry) in &found {
            if !sink.line(&self.line(shown, entry, reader)).await? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn order(&self, found: &mut [(Vec<u8>, Entry)]) {
        let time = |entry: &Entry| entry.modified.map(|it| SystemTime::from(it.timestamp()));
        found.sort_by(|(a, one), (b, two)| {
            let by_name = match self.blind {
                true => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
                false => a.cmp(b),
            };
            let order = match self.sort {
                Sort::Name => by_name,
                Sort::Size => two.size.cmp(&one.size).then(by_name),
                Sort::Date => time(two).cmp(&time(one)).then(by_name),
            };
            let order = if self.reverse { order.reverse() } else { order };
            match self.directories_first {
                true => two.is_directory().cmp(&one.is_directory()).then(order),
                false => order,
            }
        });
    }

    pub(super) fn line(&self, shown: &[u8], entry: &Entry, reader: Reader) -> Vec<u8> {
        let mark: &[u8] = match &entry.kind {
            EntryKind::Directory if self.classify => b"/",
            EntryKind::Symlink { .. } if self.classify => b"@",
            EntryKind::File
                if self.classify && entry.mode.is_some_and(|mode| mode & 0o111 != 0) =>
            {
                b"*"
            }
            _ => b"",
        };
        let named = Entry {
            name: [shown, mark].concat(),
            ..entry.clone()
        };
        if self.long {
            return long_line(&named, reader);
        }
        let mut line = Vec::new();
        if self.permissions {
            let mode = entry
                .mode
                .map_or_else(|| "-".to_owned(), |mode| format!("{mode:04o}"));
            line.extend_from_slice(format!("{mode:>4} ").as_bytes());
        }
        if self.size || self.exact_size {
            let size = match (entry.size, self.human) {
                (None, _) => "-".to_owned(),
                (Some(size), true) => human_bytes(size),
                (Some(size), false) if self.exact_size => size.to_string(),
                (Some(size), false) => size.div_ceil(1024).to_string(),
            };
            line.extend_from_slice(format!("{size:>10} ").as_bytes());
        }
        if self.date {
            let text = long_line(&Entry::new(Vec::new(), EntryKind::File), reader);
            let time = long_line(
                &Entry {
                    modified: entry.modified,
                    ..Entry::new(Vec::new(), EntryKind::File)
                },
                reader,
            );
            // Only the column of the time.
            let column = time
                .get(text.len().saturating_sub(17)..)
                .unwrap_or_default();
            line.extend_from_slice(column.trim_ascii());
            line.push(b' ');
        }
        line.extend(reader.text(&named.name));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::syntax::Word;
    use super::*;

    #[test]
    fn entries_are_ordered_as_asked() {
        let file = |name: &str, size| Entry {
            size: Some(size),
            ..Entry::new(name.as_bytes().to_vec(), EntryKind::File)
        };
        let directory = Entry::new(b"zdir".to_vec(), EntryKind::Directory);
        let all = [file("b", 1), file("a", 2), directory, file("C", 3)];
        for (line, expected) in [
            ("-1", "C a b zdir"),
            ("-i", "a b C zdir"),
            ("-S", "C a b zdir"),
            ("-D", "zdir C a b"),
            ("-r", "zdir b a C"),
            ("--sort=size", "C a b zdir"),
            ("-F", "C a b zdir/"),
            (
                "-s",
                "         1 C          1 a          1 b          - zdir",
            ),
        ] {
            let words: Vec<Word> = line.split(' ').map(Word::plain).collect();
            let look = Look::of(&options::read("cls", CLS, &words).unwrap()).unwrap();
            let mut found: Vec<(Vec<u8>, Entry)> =
                all.iter().map(|it| (it.name.clone(), it.clone())).collect();
            look.order(&mut found);
            let lines: Vec<String> = found
                .iter()
                .map(|(shown, entry)| {
                    String::from_utf8(look.line(shown, entry, Reader::Program)).unwrap()
                })
                .collect();
            assert_eq!(lines.join(" "), expected, "{line}");
        }
    }
}
