//! lftp's options of `mirror` as rules of wharf's. Pure, but for files of patterns.

use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use wharf_client::mirror::{Compare, Delete, Filter, Links, Only, PatternError, Rules};

use super::super::options::{self, Known, attached, switch, valued};
use super::super::settings::{Settings, bytes, duration};
use super::super::syntax::Word;
use crate::exit::Failure;

/// lftp's options.
pub(in crate::script) const OPTIONS: &[Known] = &[
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
pub(super) struct Wanted {
    pub(super) rules: Rules,
    pub(super) jobs: NonZeroUsize,
    pub(super) dry_run: bool,
    pub(super) verbose: bool,
    pub(super) reverse: bool,
    pub(super) on_change: Option<String>,
    pub(super) source: Option<Word>,
    pub(super) destination: Option<Word>,
    /// `-O`: the base name of the source goes into it.
    pub(super) into: bool,
}

impl Wanted {
    pub(super) fn of(
        words: &[Word],
        settings: &Settings,
        now: SystemTime,
    ) -> Result<Self, Failure> {
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
    let wrong = |error: PatternError| Failure::usage(format!("mirror: {error}"));
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
            let path = super::super::local_path(&value.text);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| super::super::transfer::local_failure(&path, &error))?;
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
    let facts =
        std::fs::metadata(super::super::local_path(text.as_bytes())).map_err(|_| wrong())?;
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

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
                    text.push_str(if rules.permissions { " perms" } else { "" });
                    let _ = write!(text, " jobs {}", wanted.jobs);
                    if let Some(depth) = rules.max_depth {
                        let _ = write!(text, " depth {depth}");
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
