//! `ls`, `dir`, `nlist`, `mlsd` and those that list into the pager or a file.

use std::io::IsTerminal;

use wharf_client::Client;
use wharf_proto::Pathname;
use wharf_proto::command::ListArgument;

use super::Shell;
use super::run::{failed, pathname};
use super::sink::Sink;
use super::table::Listing;
use crate::exit::Failure;
use crate::output::color_wanted;

/// Flags of ls(1) that people type, and that servers understand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    all: bool,
    recursive: bool,
}

impl Flags {
    /// Takes them from the beginning of the words. `l` is what LIST does; letters that not every server knows are left out.
    fn take(words: &[Vec<u8>]) -> (Self, &[Vec<u8>]) {
        let mut flags = Self::default();
        let mut rest = words;
        while let Some((first, behind)) = rest.split_first() {
            let letters = first.strip_prefix(b"-").unwrap_or_default();
            if letters.is_empty() || !letters.iter().all(u8::is_ascii_alphanumeric) {
                break;
            }
            flags.all |= letters.iter().any(|it| matches!(it, b'a' | b'A'));
            flags.recursive |= letters.contains(&b'R');
            rest = behind;
        }
        (flags, rest)
    }
}

impl Shell {
    /// `dir [-aR] [path [local-file]]`
    pub(super) async fn list(&mut self, words: &[Vec<u8>], what: Listing) -> Result<(), Failure> {
        let (flags, rest) = Flags::take(words);
        // `dir |more` lists the current directory.
        let (path, sink) = match rest {
            [] => (None, None),
            [only] if only.starts_with(b"|") => (None, Some(only)),
            [path] => (Some(path), None),
            [path, sink] => (Some(path), Some(sink)),
            _ => {
                return Err(Failure::usage("usage: dir [remote-path [local-file]]")
                    .with_hint("mdir lists several; blanks in names need \"...\""));
            }
        };
        let path = named(path)?;
        let lines = listed(self.client()?, path.as_ref(), flags, what).await?;
        let mut sink = match sink {
            Some(word) => Sink::create(word)?,
            None => Sink::Stdout,
        };
        write(&mut sink, lines, what)?;
        sink.finish()
    }

    /// `pls`, `pdir`, `pmlsd`
    pub(super) async fn paged(&mut self, words: &[Vec<u8>], what: Listing) -> Result<(), Failure> {
        let (flags, rest) = Flags::take(words);
        let path = named(rest.first())?;
        let lines = listed(self.client()?, path.as_ref(), flags, what).await?;
        let mut sink = self.page_sink()?;
        write(&mut sink, lines, what)?;
        sink.finish()
    }

    /// `mdir path... local-file`, `mls path... local-file`
    pub(super) async fn list_several(
        &mut self,
        words: &[Vec<u8>],
        what: Listing,
    ) -> Result<(), Failure> {
        let mut words = words.to_vec();
        if words.len() < 2 {
            let answer = if self.interactive {
                self.question("(local-file) ").await?
            } else {
                None
            };
            match answer.filter(|it| !it.trim_ascii().is_empty()) {
                Some(name) => words.push(name.trim_ascii().to_vec()),
                None => {
                    return Err(Failure::usage("usage: mdir remote-path... local-file"));
                }
            }
        }
        let (Some(word), paths) = (words.pop(), words) else {
            return Ok(());
        };
        if self.asks() && !super::sink::is_special(&word) {
            let shown = wharf_proto::visible(&word);
            let question = format!("output to local-file: {shown} [anpqy?]? ");
            let answer = self.question(&question).await?.unwrap_or_default();
            if matches!(answer.trim_ascii().first(), Some(b'n' | b'N' | b'q' | b'Q')) {
                return Ok(());
            }
        }
        let mut sink = Sink::create(&word)?;
        for path in paths {
            let path = pathname(&path)?;
            let lines = listed(self.client()?, Some(&path), Flags::default(), what).await?;
            write(&mut sink, lines, what)?;
        }
        sink.finish()
    }
}

/// An empty word (`dir "" |more`) is the current directory.
fn named(word: Option<&Vec<u8>>) -> Result<Option<Pathname>, Failure> {
    match word {
        Some(word) if !word.is_empty() => Ok(Some(pathname(word)?)),
        _ => Ok(None),
    }
}

async fn listed(
    client: &mut Client,
    path: Option<&Pathname>,
    flags: Flags,
    what: Listing,
) -> Result<Vec<Vec<u8>>, Failure> {
    match what {
        Listing::Lines => {
            let argument = ListArgument {
                all: flags.all,
                recursive: flags.recursive,
                path: path.cloned(),
            };
            client.raw_list_with(argument).await
        }
        Listing::Names => {
            client.set_list_hidden(flags.all);
            let names = client.nlst(path).await;
            client.set_list_hidden(false);
            names
        }
        Listing::Facts => client.raw_mlsd(path).await,
    }
    .map_err(failed)
}

fn write(sink: &mut Sink, lines: Vec<Vec<u8>>, what: Listing) -> Result<(), Failure> {
    let reader = sink.reader();
    let on_screen = matches!(sink, Sink::Stdout) && color_wanted(std::io::stdout().is_terminal());
    for line in lines {
        let mut text = reader.text(&line);
        if on_screen && what == Listing::Lines {
            text = coloured(text);
        }
        text.push(b'\n');
        if !sink.write(&text)? {
            break;
        }
    }
    Ok(())
}

/// A line of a Unix listing: the name of a directory in blue, of a link in cyan, of a program in green. Lines of other
/// systems stay as they are. What comes in is fit for a terminal already.
fn coloured(line: Vec<u8>) -> Vec<u8> {
    let kind = line.first().copied();
    let executable = [3, 6, 9]
        .iter()
        .any(|at| matches!(line.get(*at), Some(b'x' | b's' | b't')));
    let colour: &[u8] = match kind {
        Some(b'd') => b"1;34",
        Some(b'l') => b"36",
        Some(b'-') if executable => b"32",
        _ => return line,
    };
    let Some(at) = name_at(&line) else {
        return line;
    };
    let end = match kind {
        Some(b'l') => {
            let arrow = line[at..].windows(4).position(|it| it == b" -> ");
            arrow.map_or(line.len(), |arrow| at + arrow)
        }
        _ => line.len(),
    };
    let mut out = line[..at].to_vec();
    out.extend([b"\x1b[", colour, b"m"].concat());
    out.extend(&line[at..end]);
    out.extend(b"\x1b[0m");
    out.extend(&line[end..]);
    out
}

/// Where the name begins: behind eight words and one blank.
fn name_at(line: &[u8]) -> Option<usize> {
    let mut at = 0;
    for _ in 0..8 {
        at += line[at..].iter().position(|byte| *byte != b' ')?;
        at += line[at..].iter().position(|byte| *byte == b' ')?;
    }
    (at + 1 < line.len()).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_before_the_path() {
        let words = |words: &[&str]| -> Vec<Vec<u8>> {
            words.iter().map(|it| it.as_bytes().to_vec()).collect()
        };
        for (typed, all, recursive, left) in [
            (&["-la", "dir"][..], true, false, 1),
            (&["-R"], false, true, 0),
            (&["-l", "-A", "x", "y"], true, false, 2),
            (&["dir", "-a"], false, false, 2),
            (&["-"], false, false, 1),
            (&["--x"], false, false, 1),
        ] {
            let typed = words(typed);
            let (flags, rest) = Flags::take(&typed);
            assert_eq!(flags, Flags { all, recursive }, "{typed:?}");
            assert_eq!(rest.len(), left, "{typed:?}");
        }
    }

    #[test]
    fn names_are_coloured_by_their_kind() {
        for (line, expected) in [
            (
                "drwxr-xr-x   2 u  g   4096 Jan  1 12:00 a dir",
                "drwxr-xr-x   2 u  g   4096 Jan  1 12:00 \x1b[1;34ma dir\x1b[0m",
            ),
            (
                "lrwxrwxrwx   1 u  g   3 Jan  1  2024 a -> b",
                "lrwxrwxrwx   1 u  g   3 Jan  1  2024 \x1b[36ma\x1b[0m -> b",
            ),
            (
                "-rwxr-xr-x   1 u  g   3 Jan  1  2024 run",
                "-rwxr-xr-x   1 u  g   3 Jan  1  2024 \x1b[32mrun\x1b[0m",
            ),
            (
                "-rw-r--r--   1 u  g   3 Jan  1  2024 a",
                "-rw-r--r--   1 u  g   3 Jan  1  2024 a",
            ),
            ("total 3", "total 3"),
            ("d", "d"),
            ("01-02-26  03:04PM  <DIR>  x", "01-02-26  03:04PM  <DIR>  x"),
        ] {
            let got = coloured(line.as_bytes().to_vec());
            assert_eq!(String::from_utf8_lossy(&got), expected, "{line}");
        }
    }
}
