//! `mirror` with lftp's options, carried out by the client library. The mapping is pure.

use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use wharf_client::mirror::{
    Action, Compare, Delete, Event, Filter, How, Links, Mirror, Observer, Only, Outcome, Rules,
};
use wharf_client::{EntryKind, Pool, RemoteStorage, RemoteUploads};
use wharf_proto::{Pathname, visible};
use wharf_storage::{Local, LocalOptions, Memory, Storage, Uploads};

use super::Shell;
use super::options::{self, Known, attached, switch, valued};
use super::pattern::{base_name, pathname};
use super::place::{failed, is_address, target};
use super::settings::{Settings, bytes, duration};
use super::syntax::Word;
use crate::exit::{Exit, Failure};
use crate::output::human_bytes;

/// lftp's options.
pub(super) const OPTIONS: &[Known] = &[
    switch('c', "continue"),
    switch('e', "delete"),
    switch(' ', "delete-excluded"),
    switch(' ', "delete-first"),
    switch(' ', "depth-first"),
    switch(' ', "scan-all-first"),
    switch('s', "allow-suid"),
    switch(' ', "allow-chown"),
    switch(' ', "ascii"),
    switch(' ', "ignore-time"),
    switch(' ', "ignore-size"),
    switch(' ', "only-missing"),
    switch(' ', "only-existing"),
    switch('n', "only-newer"),
    switch(' ', "upload-older"),
    switch(' ', "transfer-all"),
    switch(' ', "no-empty-dirs"),
    switch('r', "no-recursion"),
    valued(' ', "recursion"),
    switch(' ', "no-symlinks"),
    switch('p', "no-perms"),
    switch(' ', "no-umask"),
    switch('R', "reverse"),
    switch('L', "dereference"),
    switch(' ', "overwrite"),
    switch(' ', "no-overwrite"),
    valued('N', "newer-than"),
    valued(' ', "older-than"),
    valued(' ', "size-range"),
    attached('P', "parallel"),
    attached(' ', "use-pget-n"),
    valued(' ', "on-change"),
    switch(' ', "loop"),
    valued('i', "include"),
    valued('x', "exclude"),
    valued('I', "include-glob"),
    valued('X', "exclude-glob"),
    valued(' ', "include-rx-from"),
    valued(' ', "exclude-rx-from"),
    valued(' ', "include-glob-from"),
    valued(' ', "exclude-glob-from"),
    valued('f', "file"),
    valued('F', "directory"),
    valued('O', "target-directory"),
    attached('v', "verbose"),
    valued(' ', "log"),
    valued(' ', "script"),
    switch(' ', "just-print"),
    switch(' ', "dry-run"),
    valued(' ', "max-errors"),
    switch(' ', "skip-noaccess"),
    switch(' ', "use-cache"),
    switch(' ', "Remove-source-files"),
    switch(' ', "Remove-source-dirs"),
    switch(' ', "Move"),
    switch('a', "archive"),
];

/// Options that ask for what wharf's mirror cannot do, and why.
const REFUSED: &[(&str, &str)] = &[
    ("allow-chown", "FTP has no command for owners"),
    ("archive", "-a sets owners, for which FTP has no command"),
    ("allow-suid", "suid bits of a server are not taken over"),
    ("ascii", "line ends would make every length differ"),
    ("ignore-size", "a file of another length is another file"),
    ("transfer-all", "remove the target first"),
    ("no-empty-dirs", "empty directories belong to the tree"),
    (
        "upload-older",
        "files that differ are always copied; -n copies newer ones only",
    ),
    ("log", "-v tells what is done"),
    ("max-errors", "every failure is told and the rest goes on"),
    ("Remove-source-files", "mirror first, then `rm`"),
    ("Remove-source-dirs", "mirror first, then `rm -r`"),
    ("Move", "mirror first, then `rm -r`"),
    ("file", "`mget` and `mput` copy files that fit a pattern"),
    ("loop", "`repeat --while-ok` does so"),
];

/// What the options come to.
#[derive(Debug)]
struct Wanted {
    rules: Rules,
    jobs: NonZeroUsize,
    dry_run: bool,
    verbose: bool,
    reverse: bool,
    on_change: Option<String>,
    source: Option<Word>,
    destination: Option<Word>,
    /// `-O`: the base name of the source goes into it.
    into: bool,
}

impl Wanted {
    fn of(words: &[Word], settings: &Settings, now: SystemTime) -> Result<Self, Failure> {
        let given = options::read("mirror", OPTIONS, words)?;
        for (name, why) in REFUSED {
            if given.has(name) {
                return Err(Failure::usage(format!(
                    "mirror: --{name} is not offered: {why}"
                )));
            }
        }
        let only = match (
            given.has("only-newer"),
            given.has("only-missing"),
            given.has("only-existing"),
        ) {
            (true, _, _) => Only::Newer,
            (_, true, _) => Only::Missing,
            (_, _, true) => Only::Existing,
            _ => Only::Differing,
        };
        let delete = match (given.has("delete-first"), given.has("delete")) {
            (true, _) => Delete::Before,
            (_, true) => Delete::After,
            _ => Delete::Never,
        };
        let age = |name: &str| -> Result<Option<SystemTime>, Failure> {
            given.text(name).map(|text| moment(&text, now)).transpose()
        };
        let (min_size, max_size) = match given.text("size-range") {
            Some(range) => size_range(&range)?,
            None => (None, None),
        };
        let max_depth = match (
            given.has("no-recursion"),
            given.text("recursion").as_deref(),
        ) {
            (true, _) | (_, Some("never")) => Some(0),
            (_, None | Some("always")) => None,
            (_, Some(other)) => {
                return Err(
                    Failure::usage(format!("mirror: --recursion={other} is not offered"))
                        .with_hint("always, never"),
                );
            }
        };
        let follow =
            given.has("dereference") || settings.switch("mirror:dereference", "") == Some(true);
        let links = match (follow, given.has("no-symlinks")) {
            (true, _) => Links::Follow,
            (_, true) => Links::Skip,
            _ => Links::Keep,
        };
        let parallel = match given.has("parallel") {
            true => given.number("mirror", "parallel")?.unwrap_or(3),
            false => settings.number("mirror:parallel-transfer-count", ""),
        };
        let limit = settings.number("net:connection-limit", "");
        let parallel = if limit > 0 {
            parallel.min(limit)
        } else {
            parallel
        };
        let jobs = usize::try_from(parallel).ok().and_then(NonZeroUsize::new);
        let script = given.text("script");
        if script.as_deref().is_some_and(|to| to != "-") {
            return Err(
                Failure::usage("mirror: --script writes to standard output only")
                    .with_hint("--script=-"),
            );
        }
        let mut rest = given.rest.clone();
        let from_directory = given.value("directory").cloned();
        if from_directory.is_some() && !rest.is_empty() {
            return Err(Failure::usage("mirror: -F names the source, -O the target"));
        }
        let source = from_directory.or_else(|| (!rest.is_empty()).then(|| rest.remove(0)));
        let into = given.value("target-directory").cloned();
        let destination = into
            .clone()
            .or_else(|| (!rest.is_empty()).then(|| rest.remove(0)));
        if !rest.is_empty() {
            return Err(Failure::usage("mirror: one source and one target"));
        }
        Ok(Self {
            rules: Rules {
                filter: filter(&given, settings)?,
                compare: if given.has("ignore-time") {
                    Compare::Size
                } else {
                    Compare::SizeAndTime
                },
                only,
                links,
                permissions: !given.has("no-perms")
                    && settings.switch("mirror:set-permissions", "") != Some(false),
                delete,
                delete_excluded: given.has("delete-excluded"),
                min_size,
                max_size,
                newer_than: age("newer-than")?,
                older_than: age("older-than")?,
                max_depth,
                ..Rules::default()
            },
            jobs: jobs.unwrap_or(NonZeroUsize::MIN),
            dry_run: script.is_some() || given.has("just-print") || given.has("dry-run"),
            verbose: given.has("verbose"),
            reverse: given.has("reverse"),
            on_change: given.text("on-change"),
            source,
            destination,
            into: into.is_some(),
        })
    }
}

/// Which names are taken, in the order of the options.
fn filter(given: &options::Given, settings: &Settings) -> Result<Filter, Failure> {
    let mut filter = Filter::new();
    let wrong =
        |error: wharf_client::mirror::PatternError| Failure::usage(format!("mirror: {error}"));
    let exclude = settings.text("mirror:exclude-regex", "");
    if !exclude.is_empty() {
        filter.exclude_regex(&exclude).map_err(wrong)?;
        let include = settings.text("mirror:include-regex", "");
        if !include.is_empty() {
            filter.include_regex(&include).map_err(wrong)?;
        }
    }
    for (name, value) in &given.options {
        let Some(value) = value else {
            continue;
        };
        let text = String::from_utf8_lossy(&value.pattern).into_owned();
        let lines = || {
            let path = super::local_path(&value.text);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| super::transfer::local_failure(&path, &error))?;
            Ok::<Vec<String>, Failure>(
                text.lines()
                    .filter(|it| !it.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )
        };
        match name.as_str() {
            "exclude" => filter.exclude_regex(&text).map_err(wrong)?,
            "include" => filter.include_regex(&text).map_err(wrong)?,
            "exclude-glob" => filter.exclude(&text).map_err(wrong)?,
            "include-glob" => filter.include(&text).map_err(wrong)?,
            "exclude-rx-from" => {
                for line in lines()? {
                    filter.exclude_regex(&line).map_err(wrong)?;
                }
            }
            "include-rx-from" => {
                for line in lines()? {
                    filter.include_regex(&line).map_err(wrong)?;
                }
            }
            "exclude-glob-from" => {
                for line in lines()? {
                    filter.exclude(&line).map_err(wrong)?;
                }
            }
            "include-glob-from" => {
                for line in lines()? {
                    filter.include(&line).map_err(wrong)?;
                }
            }
            _ => {}
        }
    }
    Ok(filter)
}

/// `now-7days`, `now - 1h`, `2026-01-31`, a local file whose time is meant.
fn moment(text: &str, now: SystemTime) -> Result<SystemTime, Failure> {
    let wrong = || {
        Failure::usage(format!("mirror: `{text}` is no time"))
            .with_hint("now-7days, now-12h, 2026-01-31, a local file")
    };
    if let Some(ago) = text.trim().strip_prefix("now") {
        let Some(ago) = ago.trim().strip_prefix('-') else {
            return if ago.trim().is_empty() {
                Ok(now)
            } else {
                Err(wrong())
            };
        };
        let ago = ago.trim();
        let letters = ago
            .find(|it: char| it.is_ascii_alphabetic())
            .unwrap_or(ago.len());
        let (number, unit) = ago.split_at(letters);
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        let unit = match unit {
            "" | "s" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            "w" | "week" | "weeks" => 7 * 86_400,
            "month" | "months" => 30 * 86_400,
            "y" | "year" | "years" => 365 * 86_400,
            _ => {
                return duration(ago)?
                    .and_then(|ago| now.checked_sub(ago))
                    .ok_or_else(wrong);
            }
        };
        let ago = number.checked_mul(unit).map(Duration::from_secs);
        return ago.and_then(|ago| now.checked_sub(ago)).ok_or_else(wrong);
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let begin = day
            .to_zoned(jiff::tz::TimeZone::system())
            .map_err(|_| wrong())?;
        return Ok(SystemTime::from(begin.timestamp()));
    }
    let facts = std::fs::metadata(super::local_path(text.as_bytes())).map_err(|_| wrong())?;
    facts.modified().map_err(|_| wrong())
}

/// `10k-2M`, `-100`, `1G-`.
fn size_range(text: &str) -> Result<(Option<u64>, Option<u64>), Failure> {
    let wrong = || {
        Failure::usage(format!("mirror: `{text}` is no range of sizes"))
            .with_hint("10k-2M, -100, 1G-")
    };
    let (min, max) = text.split_once('-').ok_or_else(wrong)?;
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text => bytes(text).map(Some).ok_or_else(wrong),
    };
    Ok((number(min)?, number(max)?))
}

/// One of the two trees.
struct Side {
    store: Arc<dyn Storage>,
    exists: bool,
    pool: Option<Pool>,
}

impl Shell {
    /// `mirror [options] [source [target]]`
    pub(super) async fn mirror(&mut self, words: &[Word]) -> Result<(), Failure> {
        let wanted = Wanted::of(words, &self.settings, SystemTime::now())?;
        let (source, destination) = self.operands(&wanted)?;
        let from = self
            .side(&source, !wanted.reverse, Make::No, &wanted)
            .await?;
        let make = if wanted.dry_run {
            Make::Pretend
        } else {
            Make::Yes
        };
        let to = self
            .side(&destination, wanted.reverse, make, &wanted)
            .await?;
        let observer = Arc::new(Seen {
            verbose: wanted.verbose || wanted.dry_run,
            dry_run: wanted.dry_run,
            lines: Mutex::default(),
        });
        let how = How {
            jobs: wanted.jobs,
            dry_run: wanted.dry_run,
            foreign_names: to.pool.is_none(),
            ..How::default()
        };
        let mirror = Mirror::new(
            Arc::clone(&from.store),
            Arc::clone(&to.store),
            wanted.rules.clone(),
            how,
            Arc::clone(&observer) as Arc<dyn Observer>,
        );
        let outcome = mirror.run(to.exists).await;
        for pool in [from.pool, to.pool].into_iter().flatten() {
            for warning in pool.take_warnings() {
                self.output.warning(&warning);
            }
            for note in pool.take_notes() {
                self.note(&note);
            }
            pool.close().await;
        }
        let lines = std::mem::take(
            &mut *observer
                .lines
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for line in lines {
            match line {
                Told::Line(line) => {
                    self.sink.line(line.as_bytes()).await?;
                }
                Told::Failure(line) => self.tell(&Failure::new(Exit::Partial, line)),
                Told::Note(line) => self.note(&line),
            }
        }
        let outcome = outcome.map_err(|failed| {
            let shown = visible(&source);
            Failure::new(
                exit_of(&failed.error),
                format!("mirror: {shown}: cannot {}: {}", failed.doing, failed.error),
            )
        })?;
        self.summary(&outcome, &wanted);
        if outcome.copied + outcome.removed + outcome.links > 0
            && !wanted.dry_run
            && let Some(command) = &wanted.on_change
        {
            let missing = Box::pin(self.text(command.as_bytes())).await;
            if let Some(missing) = missing {
                return Err(Failure::usage(missing));
            }
        }
        match outcome.failed + outcome.refused {
            0 => Ok(()),
            _ => Err(Failure::told(Exit::Partial)),
        }
    }

    /// Both names, the target's as lftp makes it of the source's.
    fn operands(&self, wanted: &Wanted) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let source = wanted.source.as_ref().map_or(&b"."[..], |word| &word.text);
        let name = || -> Result<Vec<u8>, Failure> {
            let plain: Vec<u8> = match is_address(source) {
                true => target(source)?
                    .path()
                    .map(|it| it.as_bytes().to_vec())
                    .unwrap_or_default(),
                false => source.to_vec(),
            };
            let last = plain
                .split(|it| *it == b'/')
                .rfind(|part| !matches!(*part, b"" | b"." | b".."));
            let last = last
                .ok_or_else(|| Failure::usage("mirror: the source has no name; name the target"))?;
            if wanted.reverse {
                return base_name(std::path::Path::new(std::ffi::OsStr::from_bytes(last)));
            }
            let name = wharf_client::local_name(last).map_err(failed)?;
            Ok(name.as_bytes().to_vec())
        };
        let destination = match &wanted.destination {
            // Nothing is named: the current directories are meant.
            None if wanted.source.is_none() || source == b"." => b".".to_vec(),
            None => name()?,
            Some(word)
                if (wanted.into || word.text.ends_with(b"/"))
                    && word.text != b"/"
                    && source != b"." =>
            {
                let mut path = word.text.clone();
                if !path.ends_with(b"/") {
                    path.push(b'/');
                }
                path.extend(name()?);
                path
            }
            Some(word) => word.text.clone(),
        };
        Ok((source.to_vec(), destination))
    }

    async fn side(
        &mut self,
        name: &[u8],
        remote: bool,
        make: Make,
        wanted: &Wanted,
    ) -> Result<Side, Failure> {
        if is_address(name) {
            let target = target(name)?;
            let mut other = self.elsewhere(&target);
            let side = match target.path() {
                Some(path) => other.remote_side(path, make, wanted).await,
                None => {
                    other
                        .remote_side(
                            &Pathname::new(".")
                                .map_err(|error| Failure::usage(error.to_string()))?,
                            make,
                            wanted,
                        )
                        .await
                }
            };
            other.hang_up().await;
            return side;
        }
        match remote {
            true => self.remote_side(&pathname(name)?, make, wanted).await,
            false => local_side(&self.local(name), make),
        }
    }

    /// The directory, seen with the session at hand; then a pool for the work.
    async fn remote_side(
        &mut self,
        path: &Pathname,
        make: Make,
        wanted: &Wanted,
    ) -> Result<Side, Failure> {
        let here = matches!(path.as_bytes(), b"." | b"./");
        let entry = match here {
            true => {
                self.client().await?;
                Ok(())
            }
            false => match self.client().await?.entry(path).await {
                Ok(entry) if entry.kind == EntryKind::File => {
                    let shown = path.display().to_string();
                    return Err(Failure::new(
                        Exit::NotFound,
                        format!("mirror: {shown} is not a directory"),
                    )
                    .with_hint("get copies files"));
                }
                Ok(_) => Ok(()),
                Err(error) if error.reply().is_some() => Err(error),
                Err(error) => return Err(failed(error)),
            },
        };
        let exists = match (entry, make) {
            (Ok(()), _) => true,
            (Err(error), Make::No) => return Err(failed(error)),
            (Err(_), Make::Pretend) => false,
            (Err(_), Make::Yes) => {
                self.make_remote(path).await?;
                true
            }
        };
        let base = match (&self.cwd, here) {
            (cwd, true) => cwd.clone(),
            (Some(cwd), false) => Some(cwd.join(path).normalize()),
            (None, false) => Some(path.clone()),
        };
        let (pool, _) = self.pool(wanted.jobs)?;
        let store = RemoteStorage::new(pool.clone(), base).uploads(RemoteUploads::Direct);
        // A server that allows few sessions shall not miss the one that waits here.
        self.hang_up().await;
        Ok(Side {
            store: Arc::new(store),
            exists,
            pool: Some(pool),
        })
    }

    fn summary(&self, outcome: &Outcome, wanted: &Wanted) {
        let verb = if wanted.dry_run { "would be " } else { "" };
        let mut text = format!("mirror: {} files {verb}copied", outcome.copied);
        if outcome.bytes > 0 {
            text.push_str(&format!(" ({})", human_bytes(outcome.bytes)));
        }
        text.push_str(&format!(", {} the same", outcome.same));
        for (count, what) in [
            (outcome.made, "directories made"),
            (outcome.links, "links made"),
            (outcome.removed, "removed"),
            (outcome.spared, "not removed"),
            (outcome.refused, "refused"),
            (outcome.failed, "failed"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        if wanted.verbose || self.talks() {
            self.output.info(&text);
        }
    }
}

/// What is done about a tree that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Make {
    No,
    Yes,
    /// It is taken for empty.
    Pretend,
}

fn local_side(path: &PathBuf, make: Make) -> Result<Side, Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        let shown = visible(path.as_os_str().as_bytes());
        Failure::new(Exit::LocalFile, format!("mirror: {shown}: {error}"))
    };
    let exists = path.is_dir();
    if !exists && make == Make::No {
        return Err(refused(&"is not a directory"));
    }
    let store: Arc<dyn Storage> = if exists || make == Make::Yes {
        std::fs::create_dir_all(path).map_err(|error| refused(&error))?;
        let options = LocalOptions {
            uploads: Uploads::Direct,
            ..LocalOptions::default()
        };
        Arc::new(Local::open(path, options).map_err(|error| refused(&error))?)
    } else {
        Arc::new(Memory::new())
    };
    Ok(Side {
        store,
        exists,
        pool: None,
    })
}

/// The status of a failure of a store.
fn exit_of(error: &wharf_storage::Error) -> Exit {
    use wharf_storage::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::Denied => Exit::Denied,
        ErrorKind::Busy => Exit::Busy,
        _ => Exit::Partial,
    }
}

enum Told {
    Line(String),
    Failure(String),
    Note(String),
}

/// What the library tells, kept until the mirror has ended: its tasks must not wait for whoever reads.
struct Seen {
    verbose: bool,
    dry_run: bool,
    lines: Mutex<Vec<Told>>,
}

impl Observer for Seen {
    fn see(&self, event: &Event<'_>) {
        let told = match event {
            Event::Failed(failed) => Told::Failure(format!(
                "cannot {} {}: {}",
                failed.doing,
                failed.path.display(),
                failed.error
            )),
            Event::Refused(refused) => Told::Failure(format!(
                "{}: not taken: {}",
                visible(&[refused.directory.as_bytes(), b"/", &refused.name].concat()),
                refused.why
            )),
            Event::Note(note) => Told::Note((*note).to_owned()),
            Event::Copied { copy, .. } if self.verbose => {
                Told::Line(format!("copied {}", copy.path.display()))
            }
            Event::Removed(removal) if self.verbose => {
                Told::Line(format!("removed {}", removal.path.display()))
            }
            Event::PlannedRemoval(removal) if self.dry_run => {
                Told::Line(format!("would remove {}", removal.path.display()))
            }
            Event::Planned(action) if self.dry_run => Told::Line(planned(action)),
            _ => return,
        };
        self.lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(told);
    }
}

fn planned(action: &Action) -> String {
    match action {
        Action::Copy(copy) => format!("would copy {}", copy.path.display()),
        other => format!("would do {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_lftp_become_rules() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (line, expected) in [
            ("a b", "Differing Never SizeAndTime Keep perms jobs 1"),
            (
                "-R a b",
                "Differing Never SizeAndTime Keep perms jobs 1 reverse",
            ),
            ("-e -n a b", "Newer After SizeAndTime Keep perms jobs 1"),
            (
                "--delete-first -P4 -p",
                "Differing Before SizeAndTime Keep jobs 4",
            ),
            (
                "--parallel=2 --ignore-time -L",
                "Differing Never Size Follow perms jobs 2",
            ),
            (
                "-P -r --no-symlinks",
                "Differing Never SizeAndTime Skip perms jobs 3 depth 0",
            ),
            (
                "--only-missing --dry-run",
                "Missing Never SizeAndTime Keep perms jobs 1 dry",
            ),
            (
                "-ev --use-pget-n=4",
                "Differing After SizeAndTime Keep perms jobs 1",
            ),
            (
                "-a x",
                "mirror: --archive is not offered: -a sets owners, for which FTP has no command",
            ),
            ("a b c", "mirror: one source and one target"),
        ] {
            let words: Vec<Word> = line.split(' ').map(Word::plain).collect();
            let shown = match Wanted::of(&words, &Settings::default(), now) {
                Err(failure) => failure.message,
                Ok(wanted) => {
                    let rules = &wanted.rules;
                    let mut text = format!(
                        "{:?} {:?} {:?} {:?}",
                        rules.only, rules.delete, rules.compare, rules.links
                    );
                    for (is, word) in [(rules.permissions, " perms")] {
                        text.push_str(if is { word } else { "" });
                    }
                    text.push_str(&format!(" jobs {}", wanted.jobs));
                    if let Some(depth) = rules.max_depth {
                        text.push_str(&format!(" depth {depth}"));
                    }
                    text.push_str(if wanted.dry_run { " dry" } else { "" });
                    text.push_str(if wanted.reverse { " reverse" } else { "" });
                    text
                }
            };
            assert_eq!(shown, expected, "{line}");
        }
    }

    #[test]
    fn times_and_sizes_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let ago = |seconds| now - Duration::from_secs(seconds);
        for (text, expected) in [
            ("now-7days", Some(ago(7 * 86_400))),
            ("now - 2h", Some(ago(7200))),
            ("now-90", Some(ago(90))),
            ("now", Some(now)),
            ("tomorrow?", None),
        ] {
            assert_eq!(moment(text, now).ok(), expected, "{text}");
        }
        assert_eq!(
            size_range("10k-2M").unwrap(),
            (Some(10 << 10), Some(2 << 20))
        );
        assert_eq!(size_range("-100").unwrap(), (None, Some(100)));
        assert_eq!(size_range("1G-").unwrap(), (Some(1 << 30), None));
        assert!(size_range("x").is_err());
    }
}
