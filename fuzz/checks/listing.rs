//! Listings of foreign servers: no line panics, no name holds a line end or is a path that walks; in whatever dialect.

use wharf_proto::Timestamp;
use wharf_proto::listing::zone::Zone;
use wharf_proto::listing::{DIALECTS, ListLine, ListReader};

pub(crate) fn check(data: &[u8]) {
    let now = Timestamp::from_wire(b"20260901120000").expect("a timestamp");
    check_with(ListReader::new(now), now, data);
    for dialect in DIALECTS {
        check_with(ListReader::new(now).in_dialect(dialect), now, data);
    }
}

fn check_with(mut reader: ListReader, now: Timestamp, data: &[u8]) {
    let mut zone = Zone::UNKNOWN;
    for line in reader.read_all(data) {
        if let ListLine::Entry(entry) = line {
            assert!(!entry.name.is_empty());
            assert!(!entry.name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            assert!(entry.name != b"." && entry.name != b"..");
            assert!(entry.size.is_none() || entry.about.is_none());
            if let Some(listed) = entry.modified {
                zone.learn(listed, now);
                if let Some(known) = zone.to_utc(listed) {
                    assert!(zone.agrees(listed, known.at));
                }
            }
        }
    }
}
