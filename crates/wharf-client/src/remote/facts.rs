//! What a server tells about a name, as a store tells it.

use std::time::{Duration, SystemTime};

use wharf_storage::{Entry as StoreEntry, Kind, Metadata};

use crate::entry::{Entry, EntryKind};

/// How far the truth may lie from a time of MLSD or MDTM: they have whole seconds.
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// What the server did not tell is zero, and a time that it did not tell is the epoch.
pub(super) fn metadata(entry: &Entry) -> Metadata {
    let number = |told: &Option<Vec<u8>>| {
        let text = std::str::from_utf8(told.as_deref()?).ok()?;
        text.parse().ok()
    };
    Metadata {
        kind: match entry.kind {
            EntryKind::File => Kind::File,
            EntryKind::Directory => Kind::Directory,
            EntryKind::Symlink { .. } => Kind::Symlink,
            EntryKind::Other => Kind::Other,
        },
        size: entry.size.unwrap_or(0),
        modified: entry
            .modified
            .map_or(SystemTime::UNIX_EPOCH, |it| it.timestamp().into()),
        mode: entry.mode,
        uid: number(&entry.owner),
        gid: number(&entry.group),
        links: entry.links.unwrap_or(1),
        unique: entry
            .unique
            .as_ref()
            .map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()),
    }
}

pub(super) fn listed(entry: Entry) -> StoreEntry {
    let metadata = metadata(&entry);
    let link_target = match entry.kind {
        EntryKind::Symlink { target } => target,
        _ => None,
    };
    StoreEntry {
        name: entry.name,
        metadata,
        link_target,
    }
}

/// Zones are whole quarters of an hour apart.
const QUARTER: u64 = 15 * 60;

/// Of what is older, LIST tells the day alone.
const OLD: Duration = Duration::from_hours(24 * 175);

/// How exactly a time of a listing is known. LIST tells minutes, and of what is old the day alone: then it was midnight
/// somewhere. Some times of day are taken for such a midnight, which makes whoever compares look twice, never miss.
pub(super) fn precision(told: SystemTime, by_list: bool, now: SystemTime) -> Duration {
    let Ok(since) = told.duration_since(SystemTime::UNIX_EPOCH) else {
        return if by_list { DAY } else { SECOND };
    };
    let old = told + OLD < now || told > now + DAY;
    match (since.as_secs(), by_list) {
        (0, _) => Duration::MAX,
        (seconds, true) if old && seconds % QUARTER == 0 => DAY,
        (seconds, true) if seconds % 60 == 0 => MINUTE,
        _ => SECOND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_says_how_exactly_it_was_told() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let day = 20_000 * 86400;
        for (told, by_list, now, expected) in [
            (day + 660, false, day, SECOND),
            (day + 660, true, day, MINUTE),
            (day + 661, true, day, SECOND),
            (day, true, day, MINUTE),
            (day, true, day + 200 * 86400, DAY),
            (day - 5 * 3600 - 1800, true, day + 200 * 86400, DAY), // midnight in India
            (0, false, day, Duration::MAX),                        // was not told
        ] {
            let seen = precision(at(told), by_list, at(now));
            assert_eq!(seen, expected, "{told} {by_list} {now}");
        }
    }
}
