//! `wharf bookmark`: names for addresses, kept in a file that people edit, too.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use wharf_client::Target;
use wharf_proto::visible;

use crate::args::bookmark::{BookmarkArgs, BookmarkCommand, KeepArgs};
use crate::exit::{Exit, Failure};
use crate::listing::Lines;
use crate::output::Output;
use crate::profile::import::{self, Imported, PROGRAMS};
use crate::profile::settings::Settings;
use crate::profile::{self, edit};

/// A file bigger than this is no book of bookmarks.
const SIZE: u64 = 16 << 20;

pub(crate) fn run(args: &BookmarkArgs, output: &Output) -> Result<(), Failure> {
    match &args.command {
        BookmarkCommand::Add {
            name,
            url,
            set,
            keep,
        } => add(name, url, set, keep, output),
        BookmarkCommand::List { json } => list(*json),
        BookmarkCommand::Show { name } => show(name),
        BookmarkCommand::Remove { names } => remove(names, output),
        BookmarkCommand::Import {
            program,
            file,
            keep,
        } => take_over(program, file.as_deref(), keep, output),
        BookmarkCommand::Export => export(),
    }
}

fn place() -> Result<PathBuf, Failure> {
    profile::path().ok_or_else(|| {
        Failure::new(
            Exit::LocalFile,
            "no home directory, so there is no place for bookmarks",
        )
        .with_hint("XDG_CONFIG_HOME names one")
    })
}

fn text(path: &Path) -> Result<String, Failure> {
    profile::text(path).map_err(|error| Failure::new(Exit::LocalFile, error))
}

/// Beside the old one, then in its place: a reader sees the one or the other.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        // Behind a link: who keeps the file elsewhere keeps it there.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let beside = directory.join(format!(".profiles.{}.new", std::process::id()));
        let mut options = std::fs::File::options();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
        let written = options.open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written
    };
    write().map_err(|error| {
        Failure::new(
            Exit::LocalFile,
            format!("cannot write {}: {error}", path.display()),
        )
    })
}

fn add(
    name: &str,
    url: &str,
    set: &[String],
    keep: &KeepArgs,
    output: &Output,
) -> Result<(), Failure> {
    let target: Target = url.parse().map_err(|error: wharf_client::TargetError| {
        Failure::usage(error.to_string()).with_hint("`wharf help urls`")
    })?;
    let mut settings = Vec::new();
    let mut judged = Settings::default();
    for pair in set {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "--set {}: it is KEY=VALUE",
                visible(pair.as_bytes())
            ))
        })?;
        judged.set(key, value).map_err(|error| {
            Failure::usage(format!("{key}: {error}")).with_hint("`wharf help profiles`")
        })?;
        settings.push((key.to_owned(), value.to_owned()));
    }
    let mut address = url.to_owned();
    if let Some(password) = target.password() {
        address = without_password(url);
        match (target.user(), keep.keyring) {
            (Some(user), Some(keyring)) => {
                let by = keyring.store(&target.endpoint().host, user, password)?;
                output.note(&format!("{by} keeps the password"));
                settings.push(("keyring".to_owned(), by.to_owned()));
            }
            _ => output.note("the password is left out: --keyring keeps it, or ~/.netrc"),
        }
    }
    let path = place()?;
    let before = text(&path)?;
    let section = edit::section(name, &address, &settings, None);
    let changed = edit::add(&before, name, &section).map_err(Failure::usage)?;
    write(&path, &changed)?;
    output.info(&format!("bookmark:{name} is {address}"));
    Ok(())
}

/// The address as it was typed, but for what stands between the first `:` of the login and its last `@`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            format!("{scheme}://{user}@{host}{path}")
        }
        None => url.to_owned(),
    }
}

fn list(json: bool) -> Result<(), Failure> {
    let mut lines = Lines::default();
    for bookmark in &profile::book()?.bookmarks {
        let (name, address) = (&bookmark.name, &bookmark.address);
        let line = if json {
            json!({"name": name, "address": address}).to_string()
        } else {
            format!("{name:<20} {address}")
        };
        lines.push(line.as_bytes());
    }
    lines.print()
}

fn show(name: &str) -> Result<(), Failure> {
    let before = text(&place()?)?;
    let unknown = |error| Failure::usage(error).with_hint("`wharf bookmark list`");
    // What would go away is what there is.
    let without = edit::remove(&before, name).map_err(unknown)?;
    let mut rest = without.lines().peekable();
    let mut lines = Lines::default();
    for line in before.lines() {
        if rest.peek() == Some(&line) {
            rest.next();
        } else if !line.trim().is_empty() {
            lines.push(line.as_bytes());
        }
    }
    lines.print()
}

fn remove(names: &[String], output: &Output) -> Result<(), Failure> {
    let path = place()?;
    let mut changed = text(&path)?;
    for name in names {
        changed = edit::remove(&changed, name)
            .map_err(|error| Failure::usage(error).with_hint("`wharf bookmark list`"))?;
    }
    write(&path, &changed)?;
    for name in names {
        output.info(&format!("removed {name}"));
    }
    Ok(())
}

fn take_over(
    word: &str,
    file: Option<&Path>,
    keep: &KeepArgs,
    output: &Output,
) -> Result<(), Failure> {
    let program = PROGRAMS.iter().find(|it| it.word == word).ok_or_else(|| {
        let known: Vec<&str> = PROGRAMS.iter().map(|it| it.word).collect();
        Failure::usage(format!(
            "nothing is known about the bookmarks of {}",
            visible(word.as_bytes())
        ))
        .with_hint(format!("one of {}", known.join(", ")))
    })?;
    let file = file
        .map(Path::to_owned)
        .or_else(|| program.file())
        .ok_or_else(|| {
            Failure::new(Exit::LocalFile, format!("no bookmarks of {word} are there"))
                .with_hint(format!("wharf bookmark import {word} FILE"))
        })?;
    let shown = file.display().to_string();
    let failed = |why: String| Failure::new(Exit::LocalFile, format!("cannot read {shown}: {why}"));
    let mut bytes = Vec::new();
    std::fs::File::open(&file)
        .and_then(|it| std::io::Read::read_to_end(&mut std::io::Read::take(it, SIZE), &mut bytes))
        .map_err(|error| failed(error.to_string()))?;
    let read = (program.read)(&String::from_utf8_lossy(&bytes)).map_err(failed)?;
    for note in &read.notes {
        output.note(note);
    }
    let path = place()?;
    let mut changed = text(&path)?;
    let (mut number, mut left_out) = (0, 0);
    for one in &read.bookmarks {
        match taken(one, keep, &changed, &shown, output, &mut left_out) {
            Ok(with) => {
                changed = with;
                number += 1;
            }
            Err(why) => output.note(&format!("{} left out: {why}", visible(one.name.as_bytes()))),
        }
    }
    if number > 0 {
        write(&path, &changed)?;
    }
    if left_out > 0 {
        output.note(&format!(
            "{left_out} passwords are left out: --keyring keeps them, or ~/.netrc"
        ));
    }
    output.info(&format!("{number} bookmarks from {shown}"));
    Ok(())
}

/// The text with this one, under its own name or the next that is free.
fn taken(
    one: &Imported,
    keep: &KeepArgs,
    text: &str,
    from: &str,
    output: &Output,
    left_out: &mut usize,
) -> Result<String, String> {
    let address = one.address()?;
    let mut settings: Vec<(String, String)> = Vec::new();
    for (key, value) in &one.settings {
        match Settings::default().set(key, value) {
            Ok(()) => settings.push(((*key).to_owned(), value.clone())),
            Err(error) => output.note(&format!(
                "{}: {key} left out: {error}",
                visible(one.name.as_bytes())
            )),
        }
    }
    if let Some((user, secret)) = one.secret() {
        match keep.keyring.map(|it| it.store(&one.host, &user, &secret)) {
            Some(Ok(by)) => settings.push(("keyring".to_owned(), by.to_owned())),
            Some(Err(failure)) => {
                output.warning(&failure.message);
                *left_out += 1;
            }
            None => *left_out += 1,
        }
    }
    let plain = import::name(&one.name);
    let book: profile::Book = text.parse()?;
    if book.bookmarks.iter().any(|it| {
        it.address == address && (it.name == plain || it.name.starts_with(&format!("{plain}-")))
    }) {
        return Err(format!("bookmark:{plain} has this address already"));
    }
    let names = std::iter::once(plain.clone()).chain((2..1000).map(|it| format!("{plain}-{it}")));
    let name = names
        .into_iter()
        .find(|it| book.find(it).is_none())
        .ok_or("too many of this name")?;
    let comment = one
        .comment
        .as_deref()
        .map_or_else(|| format!("from {from}"), |it| format!("from {from}\n{it}"));
    edit::add(
        text,
        &name,
        &edit::section(&name, &address, &settings, Some(&comment)),
    )
}

fn export() -> Result<(), Failure> {
    let mut lines = Lines::default();
    for bookmark in &profile::book()?.bookmarks {
        lines.push(format!("{}\t{}", bookmark.name, bookmark.address).as_bytes());
    }
    lines.print()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_stays_in_an_address() {
        for (url, expected) in [
            ("ftp://me:pw@h/a", "ftp://me@h/a"),
            ("ftp://me@corp:p:w@x@h:21/a@b:c", "ftp://me@corp@h:21/a@b:c"),
            ("ftp://me@h", "ftp://me@h"),
            ("ftp://h/a:b@c", "ftp://h/a:b@c"),
        ] {
            assert_eq!(without_password(url), expected);
        }
    }
}
