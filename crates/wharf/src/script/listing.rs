//! ls, cls, nlist, find, du, glob.

mod look;
mod sums;

use wharf_client::{Client, Entry, EntryKind};
use wharf_proto::Pathname;

use super::Shell;
use super::files::DEEPEST_TREE;
use super::options::{self, switch, valued};
use super::pattern::{self, Kinds, no_match, pathname};
use super::place::{failed, is_address, target};
use super::sink::Sink;
use super::syntax::{Script, What, Word};
use crate::exit::{Exit, Failure};
use crate::listing::{Reader, long_line};

use look::{CLS, Look};
use sums::{Sums, Unit};

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

#[cfg(test)]
mod tests {
    use super::*;

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
