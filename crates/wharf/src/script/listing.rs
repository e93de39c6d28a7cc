//! ls, cls, nlist, find, du, glob.

use std::time::SystemTime;

use wharf_client::{Client, Entry, EntryKind};
use wharf_proto::Pathname;

use super::Shell;
use super::files::DEEPEST_TREE;
use super::options::{self, Known, switch, valued};
use super::pattern::{self, Kinds, no_match, pathname};
use super::place::{failed, is_address, target};
use super::sink::Sink;
use super::syntax::{Script, What, Word};
use crate::exit::{Exit, Failure};
use crate::listing::{Reader, long_line};
use crate::output::human_bytes;

/// Options of cls; those that only change what a terminal shows are among them.
const CLS: &[Known] = &[
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

impl Shell {
    /// `ls [options] [name...]`: the server's own lines.
    pub(super) async fn ls(&mut self, words: &[Word]) -> Result<(), Failure> {
        let default = self.settings.text("cmd:ls-default", "");
        let defaults: Vec<Word> = match words.is_empty() {
            true => default
                .split_whitespace()
                .map(|it| Word::name(it.as_bytes().to_vec()))
                .collect(),
            false => Vec::new(),
        };
        let words = if words.is_empty() { &defaults } else { words };
        let (flags, names): (Vec<&Word>, Vec<&Word>) = words
            .iter()
            .partition(|word| word.text.starts_with(b"-") && word.text.len() > 1);
        let all = flags
            .iter()
            .any(|word| word.text.contains(&b'a') || word.text.contains(&b'A'));
        let recursive = flags.iter().any(|word| word.text.contains(&b'R'));
        let names: Vec<Option<Vec<u8>>> = match names.is_empty() {
            true => vec![None],
            false => names.iter().map(|word| Some(word.text.clone())).collect(),
        };
        let mut results = Vec::new();
        for name in names {
            results.push(self.ls_one(name.as_deref(), all, recursive).await);
        }
        self.summed(results)
    }

    async fn ls_one(
        &mut self,
        name: Option<&[u8]>,
        all: bool,
        recursive: bool,
    ) -> Result<(), Failure> {
        if let Some(name) = name
            && is_address(name)
        {
            let target = target(name)?;
            let mut other = self.elsewhere(&target);
            std::mem::swap(&mut other.sink, &mut self.sink);
            let path = target.path().map(|path| path.as_bytes().to_vec());
            let done = Box::pin(other.ls_one(path.as_deref(), all, recursive)).await;
            std::mem::swap(&mut other.sink, &mut self.sink);
            other.hang_up().await;
            return done;
        }
        if recursive {
            return Err(Failure::usage("ls: -R is not offered").with_hint("find, or du -a"));
        }
        let path = name.map(pathname).transpose()?;
        let host = self
            .place
            .as_ref()
            .map(|it| it.endpoint.host.clone())
            .unwrap_or_default();
        let hidden = self.settings.text("ftp:list-options", &host).contains('a');
        let (client, sink) = self.both().await?;
        client.set_list_hidden(all || hidden);
        let listed = client.raw_list(path.as_ref()).await;
        client.set_list_hidden(hidden);
        let listed = listed.map_err(failed)?;
        if listed.is_empty()
            && let Some(path) = &path
            && !pattern::is_pattern(path.as_bytes())
        {
            // Some servers list a name that is missing as if it were an empty directory.
            client.entry(path).await.map_err(failed)?;
        }
        write_lines(sink, listed).await
    }

    /// `nlist [name]`
    pub(super) async fn nlist(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("nlist", &[switch('a', "all")], words)?;
        let mut results = Vec::new();
        let names: Vec<Option<&Word>> = match given.rest.is_empty() {
            true => vec![None],
            false => given.rest.iter().map(Some).collect(),
        };
        for name in names {
            let path = name.map(|word| pathname(&word.text)).transpose()?;
            let (client, sink) = self.both().await?;
            let done = match client.nlst(path.as_ref()).await {
                Ok(lines) => write_lines(sink, lines).await,
                Err(error) => Err(failed(error)),
            };
            results.push(done);
        }
        self.summed(results)
    }

    /// `cls [options] [name...]`: one format, whatever the server.
    pub(super) async fn cls(&mut self, words: &[Word]) -> Result<(), Failure> {
        let mut given = options::read("cls", CLS, words)?;
        if given.options.is_empty() {
            let default = self.settings.text("cmd:cls-default", "");
            let defaults: Vec<Word> = default
                .split_whitespace()
                .map(|it| Word::name(it.as_bytes().to_vec()))
                .collect();
            given.options = options::read("cls", CLS, &defaults)?.options;
        }
        let how = Look::of(&given)?;
        let names: Vec<Word> = match given.rest.is_empty() {
            true => vec![Word::name(Vec::new())],
            false => given.rest.clone(),
        };
        let mut results = Vec::new();
        for word in &names {
            results.push(self.cls_one(word, &how).await);
        }
        self.summed(results)
    }

    async fn cls_one(&mut self, word: &Word, how: &Look) -> Result<(), Failure> {
        let mut found: Vec<(Vec<u8>, Entry)> = Vec::new();
        if word.text.is_empty() {
            let (client, sink) = self.both().await?;
            match how.directory {
                true => found.push((
                    b".".to_vec(),
                    Entry::new(b".".to_vec(), EntryKind::Directory),
                )),
                false => found.extend(listed(client, None).await?),
            }
            return how.write(found, sink).await;
        }
        let names = pattern::remote(self.client().await?, word, Kinds::All).await?;
        if names.is_empty() {
            return Err(no_match(word));
        }
        for name in names {
            let path = pathname(&name)?;
            let client = self.client().await?;
            let entry = client.entry(&path).await.map_err(failed)?;
            if entry.is_directory() && !how.directory {
                let mut before = name.clone();
                if !before.ends_with(b"/") {
                    before.push(b'/');
                }
                for (below, entry) in listed(client, Some(&path)).await? {
                    let shown = if how.basename {
                        below
                    } else {
                        [before.as_slice(), &below].concat()
                    };
                    found.push((shown, entry));
                }
            } else {
                found.push((name, entry));
            }
        }
        how.write(found, &mut self.sink).await
    }

    /// `find [-d depth] [-l] [directory...]`
    pub(super) async fn find(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [valued('d', "max-depth"), switch('l', "ls")];
        let given = options::read("find", &known, words)?;
        let depth = given
            .number("find", "max-depth")?
            .map_or(DEEPEST_TREE, |it| {
                usize::try_from(it).unwrap_or(DEEPEST_TREE)
            });
        let long = given.has("ls");
        let names: Vec<Vec<u8>> = match given.rest.is_empty() {
            true => vec![b".".to_vec()],
            false => given.rest.iter().map(|word| word.text.clone()).collect(),
        };
        let mut results = Vec::new();
        for name in names {
            results.push(self.find_in(&name, depth, long).await);
        }
        self.summed(results)
    }

    async fn find_in(&mut self, name: &[u8], depth: usize, long: bool) -> Result<(), Failure> {
        let top = pathname(name)?;
        let client = self.client().await?;
        let entry = match name {
            b"." => Entry::new(b".".to_vec(), EntryKind::Directory),
            _ => client.entry(&top).await.map_err(failed)?,
        };
        if !entry.is_directory() {
            let line = if long {
                long_line(&entry, self.sink.reader())
            } else {
                name.to_vec()
            };
            return self.sink.line(&line).await.map(drop);
        }
        let mut shown = name.to_vec();
        if !shown.ends_with(b"/") {
            shown.push(b'/');
        }
        let reader = self.sink.reader();
        if !self
            .sink
            .line(&line_of(&entry, &shown, long, reader))
            .await?
        {
            return Ok(());
        }
        self.walk(&top, &shown, depth, &mut async |sink, entry, shown| {
            let mut shown = shown.to_vec();
            if entry.is_directory() {
                shown.push(b'/');
            }
            sink.line(&line_of(entry, &shown, long, reader)).await
        })
        .await
    }

    /// Every entry below a directory, a directory before what is in it. Links are not followed. `see` says whether anybody
    /// wants more.
    async fn walk(
        &mut self,
        top: &Pathname,
        shown: &[u8],
        depth: usize,
        see: &mut impl AsyncFnMut(&mut Sink, &Entry, &[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut worst = Ok(());
        let mut open = vec![(top.clone(), shown.to_vec(), depth, None::<Entry>)];
        while let Some((path, shown, depth, entry)) = open.pop() {
            let (client, sink) = self.both().await?;
            if let Some(entry) = &entry {
                if !see(sink, entry, &shown).await? {
                    return Ok(());
                }
                if !entry.is_directory() {
                    continue;
                }
            }
            if depth == 0 {
                continue;
            }
            let entries = match client.list(Some(&path)).await {
                Ok(mut entries) => {
                    entries.sort_by(|a, b| b.name.cmp(&a.name));
                    entries
                }
                Err(error) if error.reply().is_some() => {
                    let failure = failed(error);
                    self.tell(&failure);
                    worst = Err(Failure::told(failure.exit));
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let mut before = shown;
            if !before.ends_with(b"/") {
                before.push(b'/');
            }
            for entry in entries {
                // A listing holds names; what is none leads elsewhere.
                if let Ok(below) = path.child(&entry.name) {
                    let shown = [before.as_slice(), &entry.name].concat();
                    open.push((below, shown, depth - 1, Some(entry)));
                }
            }
        }
        worst
    }

    /// `du [options] [directory...]`
    pub(super) async fn du(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [
            switch('a', "all"),
            switch('b', "bytes"),
            valued(' ', "block-size"),
            switch('c', "total"),
            valued('d', "max-depth"),
            switch('F', "files"),
            switch('h', "human-readable"),
            switch('k', "kilobytes"),
            switch('m', "megabytes"),
            switch('s', "summarize"),
            switch('S', "separate-dirs"),
            valued(' ', "exclude"),
        ];
        let given = options::read("du", &known, words)?;
        let unit = Unit::of(&given)?;
        let deepest = match given.has("summarize") {
            true => 0,
            false => given.number("du", "max-depth")?.map_or(DEEPEST_TREE, |it| {
                usize::try_from(it).unwrap_or(DEEPEST_TREE)
            }),
        };
        let exclude = given.value("exclude").map(|word| word.pattern.clone());
        let names: Vec<Vec<u8>> = match given.rest.is_empty() {
            true => vec![b".".to_vec()],
            false => given.rest.iter().map(|word| word.text.clone()).collect(),
        };
        let mut total = 0;
        let mut results = Vec::new();
        for name in names {
            let mut sums = Sums {
                all: given.has("all"),
                separate: given.has("separate-dirs"),
                deepest,
                files: given.has("files"),
                exclude: exclude.clone(),
                unit,
            };
            let done = self.du_of(&name, &mut sums).await;
            results.push(done.map(|sum| total += sum));
        }
        if given.has("total") {
            self.sink
                .line(format!("{}\ttotal", unit.shown(total)).as_bytes())
                .await?;
        }
        self.summed(results)
    }

    async fn du_of(&mut self, name: &[u8], sums: &mut Sums) -> Result<u64, Failure> {
        let top = pathname(name)?;
        let client = self.client().await?;
        let entry = match name {
            b"." => Entry::new(b".".to_vec(), EntryKind::Directory),
            _ => client.entry(&top).await.map_err(failed)?,
        };
        if !entry.is_directory() {
            let size = sums.of(&entry);
            self.sink.line(&sums.line(size, name)).await?;
            return Ok(size);
        }
        Box::pin(self.du_in(&top, name, 0, sums)).await
    }

    /// The sum of a directory; tells those below first, as du does.
    async fn du_in(
        &mut self,
        path: &Pathname,
        shown: &[u8],
        level: usize,
        sums: &mut Sums,
    ) -> Result<u64, Failure> {
        if level > DEEPEST_TREE {
            let shown = path.display().to_string();
            return Err(Failure::new(
                Exit::Protocol,
                format!("{shown}: directories within directories without end"),
            ));
        }
        let mut entries = self
            .client()
            .await?
            .list(Some(path))
            .await
            .map_err(failed)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let (mut own, mut below) = (0, 0);
        for entry in entries {
            let Ok(inner) = path.child(&entry.name) else {
                continue;
            };
            if sums
                .exclude
                .as_deref()
                .is_some_and(|it| pattern::fits(it, &entry.name))
            {
                continue;
            }
            let name = [shown.strip_suffix(b"/").unwrap_or(shown), b"/", &entry.name].concat();
            if entry.is_directory() {
                below += Box::pin(self.du_in(&inner, &name, level + 1, sums)).await?;
            } else {
                let size = sums.of(&entry);
                own += size;
                if sums.all && level < sums.deepest {
                    self.sink.line(&sums.line(size, &name)).await?;
                }
            }
        }
        let told = if sums.separate { own } else { own + below };
        if level <= sums.deepest {
            self.sink.line(&sums.line(told, shown)).await?;
        }
        Ok(own + below)
    }

    /// `glob [-a|-d|-f] [--exist|--not-exist] command pattern...`
    pub(super) async fn glob(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [
            switch('a', "all"),
            switch('d', "directories"),
            switch('f', "files"),
            switch(' ', "exist"),
            switch(' ', "not-exist"),
        ];
        // What stands behind the command is the command's.
        let own = words
            .iter()
            .take_while(|word| word.text.starts_with(b"-"))
            .count();
        let given = options::read("glob", &known, &words[..own])?;
        let rest = &words[own..];
        let kinds = match (given.has("all"), given.has("directories")) {
            (true, _) => Kinds::All,
            (_, true) => Kinds::Directories,
            _ => Kinds::Files,
        };
        if given.has("exist") || given.has("not-exist") {
            let mut any = false;
            for word in rest {
                any |= match pattern::is_pattern(&word.pattern) {
                    true => !pattern::remote(self.client().await?, word, kinds)
                        .await?
                        .is_empty(),
                    false => self
                        .client()
                        .await?
                        .entry(&pathname(&word.text)?)
                        .await
                        .is_ok(),
                };
            }
            return match any == given.has("exist") {
                true => Ok(()),
                false => Err(Failure::told(Exit::Partial)),
            };
        }
        let Some((command, patterns)) = rest.split_first() else {
            return Err(Failure::usage("glob: which command?"));
        };
        let mut words = vec![command.clone()];
        for word in patterns {
            if word.text.starts_with(b"-") {
                words.push(word.clone());
                continue;
            }
            let names = pattern::remote(self.client().await?, word, kinds).await?;
            if names.is_empty() {
                return Err(no_match(word));
            }
            words.extend(names.into_iter().map(Word::name));
        }
        Box::pin(self.words(&words)).await
    }

    /// The words of a command that are one text, as `repeat` and `queue` take it: `"cd a; get b"`.
    pub(super) fn command_text(words: &[Word]) -> Vec<u8> {
        match words {
            [only] => {
                // One word that holds several is a script of its own.
                let parsed = Script::of(&only.text).next(&|_| None);
                let single = matches!(&parsed, super::syntax::Next::Command(it) if matches!(&it.what, What::Words(words) if words.len() == 1));
                if single {
                    only.quoted()
                } else {
                    only.text.clone()
                }
            }
            several => {
                let quoted: Vec<Vec<u8>> = several.iter().map(Word::quoted).collect();
                quoted.join(&b' ')
            }
        }
    }
}

fn line_of(entry: &Entry, shown: &[u8], long: bool, reader: Reader) -> Vec<u8> {
    if !long {
        return reader.text(shown);
    }
    let named = Entry {
        name: shown.to_vec(),
        ..entry.clone()
    };
    long_line(&named, reader)
}

async fn write_lines(sink: &mut Sink, lines: Vec<Vec<u8>>) -> Result<(), Failure> {
    let reader = sink.reader();
    for line in lines {
        if !sink.line(&reader.text(&line)).await? {
            break;
        }
    }
    Ok(())
}

async fn listed(
    client: &mut Client,
    path: Option<&Pathname>,
) -> Result<Vec<(Vec<u8>, Entry)>, Failure> {
    let entries = client.list(path).await.map_err(failed)?;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.name.clone(), entry))
        .collect())
}

/// How cls shows entries.
#[derive(Clone, Debug, Default)]
struct Look {
    all: bool,
    basename: bool,
    directory: bool,
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
enum Sort {
    #[default]
    Name,
    Size,
    Date,
}

impl Look {
    fn of(given: &options::Given) -> Result<Self, Failure> {
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

    async fn write(
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

    fn order(&self, found: &mut [(Vec<u8>, Entry)]) {
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

    fn line(&self, shown: &[u8], entry: &Entry, reader: Reader) -> Vec<u8> {
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

/// In which unit du counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Bytes(u64),
    Human,
}

impl Unit {
    fn of(given: &options::Given) -> Result<Self, Failure> {
        if given.has("human-readable") {
            return Ok(Self::Human);
        }
        if let Some(size) = given.text("block-size") {
            let size = super::settings::bytes(&size).filter(|it| *it > 0);
            return size
                .map(Self::Bytes)
                .ok_or_else(|| Failure::usage("du: --block-size is a number of bytes"));
        }
        Ok(Self::Bytes(
            match (given.has("bytes"), given.has("megabytes")) {
                (true, _) => 1,
                (_, true) => 1 << 20,
                _ => 1 << 10,
            },
        ))
    }

    fn shown(self, bytes: u64) -> String {
        match self {
            Self::Bytes(unit) => bytes.div_ceil(unit).to_string(),
            Self::Human => human_bytes(bytes),
        }
    }
}

/// What du adds up.
struct Sums {
    all: bool,
    separate: bool,
    deepest: usize,
    /// Files are counted, not bytes.
    files: bool,
    exclude: Option<Vec<u8>>,
    unit: Unit,
}

impl Sums {
    fn of(&self, entry: &Entry) -> u64 {
        if self.files {
            1
        } else {
            entry.size.unwrap_or(0)
        }
    }

    fn line(&self, sum: u64, name: &[u8]) -> Vec<u8> {
        let number = if self.files {
            sum.to_string()
        } else {
            self.unit.shown(sum)
        };
        [number.as_bytes(), b"\t", name].concat()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn one_word_may_be_a_script() {
        for (words, expected) in [
            (vec!["get", "a b"], "get \"a b\""),
            (vec!["cd a; get b"], "cd a; get b"),
            (vec!["ls"], "ls"),
        ] {
            let words: Vec<Word> = words.into_iter().map(Word::plain).collect();
            assert_eq!(Shell::command_text(&words), expected.as_bytes());
        }
    }
}
