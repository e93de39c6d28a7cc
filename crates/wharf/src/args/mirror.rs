//! Flags of `wharf mirror`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum, ValueHint};

use super::transfer::Retries;
use super::{ClientArgs, value};

pub(super) const MIRROR_LONG: &str = "Make one tree like another: a directory of this machine or of a server, either way.\n\n\
        The content of SRC becomes the content of DST; which way files go follows from what they are. A file is copied when it is \
        missing, when its length or its time differs, and arrives under a temporary name, so that under its own stands the old \
        one or the whole new one. A run that was cut is continued by the next. Nothing is deleted without --delete. \
        docs/mirror.md tells how it decides.\n\n\
        Patterns are read in their order, the last that matches decides; they are those of gitignore files: `*.o` at any \
        depth, `/build` at the top, `tmp/` directories. With -i as the first, only what matches is taken.";

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinksArg {
    /// They are left out
    #[default]
    Skip,
    /// What they lead to is mirrored, unless it is outside of SRC
    Follow,
    /// They are made again, unless they lead out of the tree
    Keep,
}

/// Flags of `wharf mirror`.
#[derive(Debug, Args)]
#[command(
    override_usage = "wharf mirror [OPTIONS] SRC DST",
    after_long_help = super::client_footer()
)]
pub(crate) struct MirrorArgs {
    /// What is mirrored: a directory, or ftp://[user[:password]@]host[:port]/dir/
    #[arg(value_name = "SRC", value_hint = ValueHint::AnyPath)]
    pub(crate) source: PathBuf,

    /// What becomes like it: a directory, or an address; made if it is missing
    #[arg(value_name = "DST", value_hint = ValueHint::AnyPath)]
    pub(crate) destination: PathBuf,

    #[command(flatten)]
    pub(crate) how: MirrorHow,

    /// Change nothing and print what would be done
    #[arg(long, env = "WHARF_DRY_RUN")]
    pub(crate) dry_run: bool,

    /// As --dry-run, and end with status 20 if there is a difference; with -q without a word
    #[arg(long, env = "WHARF_CHECK")]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

impl MirrorHow {
    /// How often something is tried at all.
    pub(crate) fn attempts(&self) -> u32 {
        match self.retry {
            None => 6,
            Some(Retries::Times(again)) => again.saturating_add(1),
            Some(Retries::Forever) => u32::MAX,
        }
    }
}

/// What `wharf mirror` and `wharf watch` have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct MirrorHow {
    /// Files that are copied at the same time; fewer when the server allows no more sessions
    #[arg(short, long, value_name = "N", env = "WHARF_JOBS", default_value = "1")]
    pub(crate) jobs: NonZeroUsize,

    /// Delete what only DST has, after everything is copied
    #[arg(
        long,
        visible_alias = "delete-after",
        env = "WHARF_DELETE",
        help_heading = "Deleting"
    )]
    pub(crate) delete: bool,

    /// Delete it before anything is copied; both trees are read twice
    #[arg(long, env = "WHARF_DELETE_BEFORE", help_heading = "Deleting")]
    pub(crate) delete_before: bool,

    /// Delete what the patterns leave out, too
    #[arg(long, env = "WHARF_DELETE_EXCLUDED", help_heading = "Deleting")]
    pub(crate) delete_excluded: bool,

    /// Delete nothing if it would be more than N
    #[arg(
        long,
        value_name = "N",
        env = "WHARF_MAX_DELETE",
        help_heading = "Deleting"
    )]
    pub(crate) max_delete: Option<u64>,

    #[command(flatten)]
    pub(crate) patterns: Patterns,

    /// Leave out smaller files: 100k, 1M, 2GiB
    #[arg(long, value_name = "SIZE", env = "WHARF_MIN_SIZE", value_parser = bytes, help_heading = "Which files")]
    pub(crate) min_size: Option<u64>,

    /// Leave out larger files
    #[arg(long, value_name = "SIZE", env = "WHARF_MAX_SIZE", value_parser = bytes, help_heading = "Which files")]
    pub(crate) max_size: Option<u64>,

    /// Leave out files that were changed before: 2d, 2026-01-31 or 2026-01-31T12:00:00 (local time, UTC with a Z)
    #[arg(long, value_name = "AGE|TIME", env = "WHARF_NEWER_THAN", value_parser = age, help_heading = "Which files")]
    pub(crate) newer_than: Option<Age>,

    /// Leave out files that were changed since
    #[arg(long, value_name = "AGE|TIME", env = "WHARF_OLDER_THAN", value_parser = age, help_heading = "Which files")]
    pub(crate) older_than: Option<Age>,

    /// Enter at most N levels of directories; 0: only the files of SRC itself
    #[arg(
        long,
        value_name = "N",
        env = "WHARF_MAX_DEPTH",
        help_heading = "Which files"
    )]
    pub(crate) max_depth: Option<usize>,

    /// Take names with control characters or backslashes from a server, too
    #[arg(long, env = "WHARF_ANY_NAMES", help_heading = "Which files")]
    pub(crate) any_names: bool,

    /// Symbolic links: left out, followed, or made again
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        env = "WHARF_LINKS",
        default_value_t,
        help_heading = "Which files"
    )]
    pub(crate) links: LinksArg,

    /// Copy only what differs in length
    #[arg(
        long,
        visible_alias = "ignore-time",
        env = "WHARF_SIZE_ONLY",
        help_heading = "Comparing"
    )]
    pub(crate) size_only: bool,

    /// Compare the content of files of the same length; reads both
    #[arg(
        long,
        env = "WHARF_CHECKSUM",
        conflicts_with = "size_only",
        help_heading = "Comparing"
    )]
    pub(crate) checksum: bool,

    /// Times that differ by no more are the same
    #[arg(long, value_name = "TIME", env = "WHARF_MODIFY_WINDOW", value_parser = value::duration, default_value = "1s", help_heading = "Comparing")]
    pub(crate) modify_window: Duration,

    /// Copy only files that are newer than those of DST, or missing there
    #[arg(long, env = "WHARF_ONLY_NEWER", help_heading = "Comparing")]
    pub(crate) only_newer: bool,

    /// Copy only files that DST does not have
    #[arg(
        long,
        env = "WHARF_ONLY_MISSING",
        conflicts_with = "only_newer",
        help_heading = "Comparing"
    )]
    pub(crate) only_missing: bool,

    /// Copy only files that DST has already
    #[arg(long, env = "WHARF_ONLY_EXISTING", conflicts_with_all = ["only_newer", "only_missing"], help_heading = "Comparing")]
    pub(crate) only_existing: bool,

    /// Do not give files the times of SRC
    #[arg(long, env = "WHARF_NO_TIMES", help_heading = "Keeping")]
    pub(crate) no_times: bool,

    /// Give files and directories the permission bits of SRC
    #[arg(long, env = "WHARF_PERMS", help_heading = "Keeping")]
    pub(crate) perms: bool,

    /// Try a file or listing again so often while connections break, or `forever` [default: 5]
    #[arg(long, value_name = "N", env = "WHARF_RETRY", value_parser = value::retries, help_heading = "Connection")]
    pub(crate) retry: Option<Retries>,

    /// Wait so long before the second attempt; it doubles up to half a minute
    #[arg(long, value_name = "TIME", env = "WHARF_RETRY_DELAY", value_parser = value::duration, default_value = "500ms", help_heading = "Connection")]
    pub(crate) retry_delay: Duration,

    /// Bytes a second for all connections together: 100k, 2M
    #[arg(long, value_name = "RATE", env = "WHARF_LIMIT_RATE", value_parser = value::rate, help_heading = "Connection")]
    pub(crate) limit_rate: Option<NonZeroU64>,
}

/// One pattern, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Exclude(String),
    Include(String),
    ExcludeRegex(String),
    IncludeRegex(String),
    ExcludeFrom(PathBuf),
}

/// All patterns, in the order of the command line; those from variables come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patterns(pub(crate) Vec<Pattern>);

/// The flags behind [`Patterns`]: clap keeps each apart, and the order besides.
#[derive(Debug, Args)]
struct PatternFlags {
    /// Leave out what matches the pattern
    #[arg(
        short = 'x',
        long,
        value_name = "GLOB",
        env = "WHARF_EXCLUDE",
        help_heading = "Which files"
    )]
    exclude: Vec<String>,

    /// Take what matches the pattern
    #[arg(
        short = 'i',
        long,
        value_name = "GLOB",
        env = "WHARF_INCLUDE",
        help_heading = "Which files"
    )]
    include: Vec<String>,

    /// Leave out what the regular expression finds in the pathname below SRC; a directory's ends in /
    #[arg(
        long,
        value_name = "REGEX",
        env = "WHARF_EXCLUDE_REGEX",
        help_heading = "Which files"
    )]
    exclude_regex: Vec<String>,

    /// Take what the regular expression finds
    #[arg(
        long,
        value_name = "REGEX",
        env = "WHARF_INCLUDE_REGEX",
        help_heading = "Which files"
    )]
    include_regex: Vec<String>,

    /// Read patterns from a file as git reads .gitignore
    #[arg(long, value_name = "FILE", env = "WHARF_EXCLUDE_FROM", value_hint = ValueHint::FilePath, help_heading = "Which files")]
    exclude_from: Vec<PathBuf>,
}

impl FromArgMatches for Patterns {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = PatternFlags::from_arg_matches(matches)?;
        let mut placed: Vec<(usize, Pattern)> = Vec::new();
        let mut place = |id: &str, patterns: Vec<Pattern>| {
            let mut places = matches.indices_of(id).into_iter().flatten();
            placed.extend(
                patterns
                    .into_iter()
                    .map(|it| (places.next().unwrap_or(0), it)),
            );
        };
        let each =
            |texts: Vec<String>, kind: fn(String) -> Pattern| texts.into_iter().map(kind).collect();
        place("exclude", each(flags.exclude, Pattern::Exclude));
        place("include", each(flags.include, Pattern::Include));
        place(
            "exclude_regex",
            each(flags.exclude_regex, Pattern::ExcludeRegex),
        );
        place(
            "include_regex",
            each(flags.include_regex, Pattern::IncludeRegex),
        );
        let files = flags.exclude_from.into_iter().map(Pattern::ExcludeFrom);
        place("exclude_from", files.collect());
        placed.sort_by_key(|(place, _)| *place);
        Ok(Self(
            placed.into_iter().map(|(_, pattern)| pattern).collect(),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Patterns {
    fn augment_args(command: Command) -> Command {
        PatternFlags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        PatternFlags::augment_args_for_update(command)
    }
}

/// A limit of age: so long ago, or a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Ago(Duration),
    At(SystemTime),
}

impl Age {
    /// The point in time, seen from `now`.
    pub(crate) fn before(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ago(long) => now.checked_sub(long).unwrap_or(SystemTime::UNIX_EPOCH),
            Self::At(time) => time,
        }
    }
}

/// `2d`, `90m`, `2026-01-31`, `2026-01-31T12:00:00`, `2026-01-31T12:00:00Z`
fn age(text: &str) -> Result<Age, String> {
    if let Ok(ago) = value::duration(text) {
        return Ok(Age::Ago(ago));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Age::At(time.into()));
    }
    let wrong = || {
        format!("`{text}` is neither an age (2d, 12h) nor a time (2026-01-31, 2026-01-31T12:00:00)")
    };
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
    let zoned = civil
        .to_zoned(jiff::tz::TimeZone::system())
        .map_err(|_| wrong())?;
    Ok(Age::At(zoned.timestamp().into()))
}

/// `512`, `100k`, `1.5M` is not: whole numbers of bytes, KiB, MiB, GiB, TiB.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: expected e.g. 512, 100k, 10M, 2G");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        patterns: Patterns,
    }

    #[test]
    fn patterns_keep_their_order() {
        use Pattern::{Exclude, ExcludeFrom, ExcludeRegex, Include, IncludeRegex};
        let words = [
            "x",
            "-x",
            "a",
            "--include",
            "b",
            "-x",
            "c",
            "--exclude-from",
            "f",
            "--include-regex=d",
            "-ie",
            "--exclude-regex",
            "g",
        ];
        let parsed = <Alone as clap::Parser>::try_parse_from(words)
            .unwrap()
            .patterns;
        let text = |text: &str| text.to_owned();
        assert_eq!(
            parsed.0,
            [
                Exclude(text("a")),
                Include(text("b")),
                Exclude(text("c")),
                ExcludeFrom("f".into()),
                IncludeRegex(text("d")),
                Include(text("e")),
                ExcludeRegex(text("g")),
            ]
        );
    }

    #[test]
    fn sizes_and_ages() {
        for (text, size) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("100k", Some(102_400)),
            ("1MiB", Some(1 << 20)),
            ("2GB", Some(2 << 30)),
            ("1.5M", None),
            ("k", None),
            ("", None),
            ("99999999999T", None),
        ] {
            assert_eq!(bytes(text).ok(), size, "{text}");
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(48);
        let day = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        assert_eq!(age("1d").unwrap().before(now), day);
        assert_eq!(age("1970-01-02T00:00:00Z").unwrap().before(now), day);
        assert!(matches!(age("2026-01-31"), Ok(Age::At(_))));
        assert!(matches!(age("2026-01-31T10:00:00"), Ok(Age::At(_))));
        assert!(age("yesterday").is_err());
    }
}
