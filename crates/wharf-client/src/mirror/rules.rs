//! What a mirror is told to do, and when two files count as the same.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wharf_storage::{Kind, Metadata};

use super::filter::Filter;

/// How it is judged whether a file has to be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// Same length and same time.
    #[default]
    SizeAndTime,
    /// Same length.
    Size,
    /// Same length and same bytes; both are read.
    Content,
}

/// What becomes of symbolic links in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Left out, and what has their name at the destination stays.
    #[default]
    Skip,
    /// What they lead to is mirrored, unless that is outside of the source.
    Follow,
    /// Made again at the destination, unless they lead out of the tree.
    Keep,
}

/// Which files are wanted beyond those that differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All that differ.
    #[default]
    Differing,
    /// Those that are newer than the destination's, or missing there.
    Newer,
    /// Those that are missing at the destination.
    Missing,
    /// Those that the destination has already.
    Existing,
}

/// When what only the destination has is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delete {
    /// Never.
    #[default]
    Never,
    /// Before anything is copied; both trees are walked twice.
    Before,
    /// After everything is copied.
    After,
}

/// The rules of one mirror.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which names are looked at.
    pub filter: Filter,
    /// When two files are the same.
    pub compare: Compare,
    /// By how much times may differ and still be the same.
    pub modify_window: Duration,
    /// Which of the files that differ are copied.
    pub only: Only,
    /// What becomes of symbolic links.
    pub links: Links,
    /// Whether files get the source's times.
    pub times: bool,
    /// Whether files and directories get the source's permission bits.
    pub permissions: bool,
    /// When extraneous things are deleted.
    pub delete: Delete,
    /// Whether what [`filter`](Self::filter) leaves out is deleted at the destination, too.
    pub delete_excluded: bool,
    /// Files with fewer bytes are left out.
    pub min_size: Option<u64>,
    /// Files with more bytes are left out.
    pub max_size: Option<u64>,
    /// Files that were changed before are left out.
    pub newer_than: Option<SystemTime>,
    /// Files that were changed after are left out.
    pub older_than: Option<SystemTime>,
    /// How many levels of directories below the top are entered; `Some(0)`: only the top's own files.
    pub max_depth: Option<usize>,
    /// Whether names that a terminal or another system would stumble over are taken, too: control characters and `\`.
    pub any_names: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            filter: Filter::new(),
            compare: Compare::default(),
            modify_window: Duration::from_secs(1),
            only: Only::default(),
            links: Links::default(),
            times: true,
            permissions: false,
            delete: Delete::default(),
            delete_excluded: false,
            min_size: None,
            max_size: None,
            newer_than: None,
            older_than: None,
            max_depth: None,
            any_names: false,
        }
    }
}

impl Rules {
    /// Whether a file of the source is of a size and age that are wanted.
    pub(super) fn wants(&self, file: &Metadata) -> bool {
        self.min_size.is_none_or(|min| file.size >= min)
            && self.max_size.is_none_or(|max| file.size <= max)
            && self.newer_than.is_none_or(|then| file.modified >= then)
            && self.older_than.is_none_or(|then| file.modified <= then)
    }
}

/// What is known of the two stores beyond their listings.
#[derive(Clone, Copy)]
pub struct Stores<'a> {
    /// How far the truth may lie from a listed time of the source.
    pub source_precision: &'a (dyn Fn(SystemTime) -> Duration + Sync),
    /// The same for the destination.
    pub destination_precision: &'a (dyn Fn(SystemTime) -> Duration + Sync),
    /// Whether the destination keeps the times that it is told to keep.
    pub keeps_times: bool,
    /// Whether the destination takes `A` and `a` for one name.
    pub case_blind: bool,
    /// Whether names come from somebody who may mean harm and go to this machine.
    pub foreign_names: bool,
}

impl Stores<'_> {
    /// Two stores that know everything exactly.
    pub const EXACT: Stores<'static> = Stores {
        source_precision: &|_| Duration::ZERO,
        destination_precision: &|_| Duration::ZERO,
        keeps_times: true,
        case_blind: false,
        foreign_names: false,
    };
}

/// Why a file is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The destination has none.
    New,
    /// Something else has its name.
    Kind,
    /// The lengths differ.
    Size,
    /// The source's was changed later.
    Newer,
    /// The source's was changed earlier.
    Older,
    /// The bytes differ.
    Content,
}

impl Why {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Kind => "kind",
            Self::Size => "size",
            Self::Newer => "newer",
            Self::Older => "older",
            Self::Content => "content",
        }
    }
}

/// What comparing two files by their facts says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Differs(Why),
    /// Their bytes must be compared.
    AskContent,
}

/// Compares two plain files.
pub(super) fn judge(
    source: &Metadata,
    destination: &Metadata,
    rules: &Rules,
    stores: &Stores<'_>,
) -> Verdict {
    debug_assert!(source.kind == Kind::File && destination.kind == Kind::File);
    let times = compare_times(source, destination, rules, stores);
    match rules.only {
        Only::Missing => return Verdict::Same,
        Only::Newer if times != Times::SourceNewer => return Verdict::Same,
        _ => {}
    }
    if source.size != destination.size {
        return Verdict::Differs(Why::Size);
    }
    match (rules.compare, times) {
        (Compare::Size, _) | (Compare::SizeAndTime, Times::Same | Times::Unknown) => Verdict::Same,
        (Compare::Content, _) => Verdict::AskContent,
        (Compare::SizeAndTime, Times::SourceNewer) => Verdict::Differs(Why::Newer),
        // The time there is that of the copy, which came after the source's last change.
        (Compare::SizeAndTime, Times::SourceOlder) if !keeps(rules, stores) => Verdict::Same,
        (Compare::SizeAndTime, Times::SourceOlder) => Verdict::Differs(Why::Older),
    }
}

/// Whether times at the destination say anything about versions.
fn keeps(rules: &Rules, stores: &Stores<'_>) -> bool {
    rules.times && stores.keeps_times
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Same,
    SourceNewer,
    SourceOlder,
    Unknown,
}

/// Two times, each somewhere in the stretch that its store could not tell.
pub(super) fn compare_times(
    source: &Metadata,
    destination: &Metadata,
    rules: &Rules,
    stores: &Stores<'_>,
) -> Times {
    // How stores say that nobody told them.
    if source.modified == UNIX_EPOCH || destination.modified == UNIX_EPOCH {
        return Times::Unknown;
    }
    let end = |from: SystemTime, precision: Duration| {
        from.checked_add(precision.saturating_add(rules.modify_window))
            .unwrap_or(from)
    };
    let source_end = end(source.modified, (stores.source_precision)(source.modified));
    let destination_end = end(
        destination.modified,
        (stores.destination_precision)(destination.modified),
    );
    if source.modified > destination_end {
        Times::SourceNewer
    } else if destination.modified > source_end {
        Times::SourceOlder
    } else {
        Times::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, seconds: u64) -> Metadata {
        Metadata {
            kind: Kind::File,
            size,
            modified: UNIX_EPOCH + Duration::from_secs(seconds),
            mode: None,
            uid: None,
            gid: None,
            links: 1,
            unique: None,
        }
    }

    #[test]
    fn files_are_compared() {
        use Compare::{Content, Size, SizeAndTime};
        use Only::{Differing, Existing, Missing, Newer};
        use Verdict::{AskContent, Differs, Same};
        let table = [
            ((1, 100), (1, 100), SizeAndTime, Differing, Same),
            ((1, 100), (1, 101), SizeAndTime, Differing, Same),
            (
                (1, 100),
                (1, 102),
                SizeAndTime,
                Differing,
                Differs(Why::Older),
            ),
            (
                (1, 102),
                (1, 100),
                SizeAndTime,
                Differing,
                Differs(Why::Newer),
            ),
            (
                (2, 100),
                (1, 100),
                SizeAndTime,
                Differing,
                Differs(Why::Size),
            ),
            ((1, 0), (1, 500), SizeAndTime, Differing, Same),
            ((1, 500), (1, 0), SizeAndTime, Differing, Same),
            ((1, 500), (1, 100), Size, Differing, Same),
            ((2, 500), (1, 500), Size, Differing, Differs(Why::Size)),
            ((1, 500), (1, 500), Content, Differing, AskContent),
            ((2, 500), (1, 500), Content, Differing, Differs(Why::Size)),
            ((2, 500), (1, 600), SizeAndTime, Newer, Same),
            ((2, 600), (1, 500), SizeAndTime, Newer, Differs(Why::Size)),
            ((1, 600), (1, 500), SizeAndTime, Newer, Differs(Why::Newer)),
            ((2, 600), (1, 500), SizeAndTime, Missing, Same),
            (
                (2, 600),
                (1, 500),
                SizeAndTime,
                Existing,
                Differs(Why::Size),
            ),
        ];
        for ((size, time), (there, then), compare, only, want) in table {
            let rules = Rules {
                compare,
                only,
                ..Rules::default()
            };
            let got = judge(
                &file(size, time),
                &file(there, then),
                &rules,
                &Stores::EXACT,
            );
            assert_eq!(
                got, want,
                "{size}@{time} {there}@{then} {compare:?} {only:?}"
            );
        }
    }

    #[test]
    fn coarse_times_are_the_same_while_they_may_be() {
        const DAY: u64 = 86_400;
        let minute = |_: SystemTime| Duration::from_secs(59);
        let day = |_: SystemTime| Duration::from_secs(DAY - 1);
        let rules = Rules::default();
        // source, destination, source listed to the day?, destination to the minute
        for (source, destination, by_day, want) in [
            (1_000_030, 1_000_000, false, Times::Same),
            (1_000_060, 1_000_000, false, Times::Same),
            (1_000_061, 1_000_000, false, Times::SourceNewer),
            (999_999, 1_000_000, false, Times::Same),
            (999_998, 1_000_000, false, Times::SourceOlder),
            (20 * DAY, 20 * DAY + 43_200, true, Times::Same),
            (20 * DAY, 21 * DAY + 120, true, Times::SourceOlder),
        ] {
            let stores = Stores {
                source_precision: if by_day { &day } else { &|_| Duration::ZERO },
                destination_precision: &minute,
                ..Stores::EXACT
            };
            let got = compare_times(&file(1, source), &file(1, destination), &rules, &stores);
            assert_eq!(got, want, "{source} {destination}");
        }
    }

    #[test]
    fn where_times_are_not_kept_a_later_copy_is_the_same() {
        let forgetful = Stores {
            keeps_times: false,
            ..Stores::EXACT
        };
        let rules = Rules::default();
        let judged = |source, destination| {
            judge(&file(1, source), &file(1, destination), &rules, &forgetful)
        };
        assert_eq!(judged(100, 5000), Verdict::Same);
        assert_eq!(judged(5000, 100), Verdict::Differs(Why::Newer));
    }
}
