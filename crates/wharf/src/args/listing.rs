//! Flags of `wharf ls`, `wharf find` and `wharf du`.

use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::{ClientArgs, value};

pub(super) const LIST_LONG: &str = "List directories, in one format whatever the server.\n\nNames are sorted. On a terminal \
        control characters in names are made visible; into a pipe or file names go as the bytes the server sent, except \
        that control characters are written as \\xNN so that a name cannot forge a line. Columns and members: \
        docs/listing.md.\n\nExamples:\n  wharf ls ftp://host/pub/\n  wharf ls -lR ftp://host/pub/\n  \
        wharf ls --json ftp://host/pub/ | jq -r 'select(.kind==\"file\").url'\n  \
        wharf ls --csv --charset gbk ftp://host/";

pub(super) const FIND_LONG: &str = "Find files in a tree on the server.\n\nPrints what fits all conditions, one path a line, \
        relative to the address. Symbolic links are not followed.\n\nExamples:\n  \
        wharf find ftp://host/pub/ --name '*.iso' --min-size 1G\n  \
        wharf find ftp://host/logs/ --type f --older 30d --urls | xargs wharf rm";

pub(super) const DU_LONG: &str = "Sum up the sizes of the files below directories on the server.\n\nOne line a directory, the \
        inner ones first: bytes, tab, path. Symbolic links are not followed. Sizes that a server tells in blocks or \
        rounded units count as they are told.\n\nExamples:\n  wharf du -s ftp://host/pub/\n  \
        wharf du --human --max-depth 1 ftp://host/";

/// Flags of `wharf ls`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct ListArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/dir/
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    /// Kind, size and time, too
    #[arg(short, long, env = "WHARF_LONG")]
    pub(crate) long: bool,

    /// Names beginning with a dot, too
    #[arg(short, long, env = "WHARF_ALL")]
    pub(crate) all: bool,

    /// The directories in it, too, to any depth
    #[arg(short = 'R', long, env = "WHARF_RECURSIVE")]
    pub(crate) recursive: bool,

    /// Comma-separated values with a line of column names (RFC 4180)
    #[arg(long, env = "WHARF_CSV", conflicts_with = "json")]
    pub(crate) csv: bool,

    /// End with status 16 when there is nothing to list
    #[arg(long, env = "WHARF_FAIL_IF_EMPTY")]
    pub(crate) fail_if_empty: bool,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What `find --type` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Files
    #[value(name = "f", alias = "file")]
    File,
    /// Directories
    #[value(name = "d", alias = "directory")]
    Directory,
    /// Symbolic links
    #[value(name = "l", alias = "symlink")]
    Symlink,
    /// Anything else
    #[value(name = "o", alias = "other")]
    Other,
}

/// Flags of `wharf find`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct FindArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/dir/
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    /// Names that fit: * ? [a-z] [!a-z], \x for x itself; several: any of them
    #[arg(short, long, value_name = "GLOB", env = "WHARF_NAME")]
    pub(crate) name: Vec<String>,

    /// f (files), d (directories), l (symbolic links), o (others)
    #[arg(
        long = "type",
        value_enum,
        value_name = "KIND",
        env = "WHARF_TYPE",
        hide_possible_values = true
    )]
    pub(crate) kind: Option<KindArg>,

    /// At least so large: 4096, 100k, 1.5M, 2G
    #[arg(long, value_name = "SIZE", env = "WHARF_MIN_SIZE", value_parser = value::bytes)]
    pub(crate) min_size: Option<u64>,

    /// At most so large
    #[arg(long, value_name = "SIZE", env = "WHARF_MAX_SIZE", value_parser = value::bytes)]
    pub(crate) max_size: Option<u64>,

    /// Changed within the last AGE: 30m, 12h, 7d
    #[arg(long, value_name = "AGE", env = "WHARF_NEWER", value_parser = value::duration)]
    pub(crate) newer: Option<Duration>,

    /// Not changed within the last AGE
    #[arg(long, value_name = "AGE", env = "WHARF_OLDER", value_parser = value::duration)]
    pub(crate) older: Option<Duration>,

    /// So many directories deep; 1 is the directory itself
    #[arg(long, value_name = "N", env = "WHARF_MAX_DEPTH")]
    pub(crate) max_depth: Option<usize>,

    /// As `wharf ls -l`
    #[arg(short, long, env = "WHARF_LONG")]
    pub(crate) long: bool,

    /// Whole addresses instead of paths, as other commands take them
    #[arg(long = "urls", env = "WHARF_URLS", conflicts_with_all = ["long", "json"])]
    pub(crate) urls_only: bool,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Flags of `wharf du`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct DuArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/dir/
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    /// Only one line an address
    #[arg(short, long, env = "WHARF_SUMMARIZE", conflicts_with = "max_depth")]
    pub(crate) summarize: bool,

    /// Lines for directories so many deep only; all are counted
    #[arg(long, value_name = "N", env = "WHARF_MAX_DEPTH")]
    pub(crate) max_depth: Option<usize>,

    /// Sizes as 1.5K, 20M
    #[arg(long, env = "WHARF_HUMAN")]
    pub(crate) human: bool,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
