//! Listings of foreign servers: no line panics, no name holds a line end or is a path that walks.

use wharf_proto::Timestamp;
use wharf_proto::listing::{ListLine, ListReader};

pub(crate) fn check(data: &[u8]) {
    let now = Timestamp::from_wire(b"20260901120000").expect("a timestamp");
    let mut reader = ListReader::new(now);
    for line in reader.read_all(data) {
        if let ListLine::Entry(entry) = line {
            assert!(!entry.name.is_empty());
            assert!(!entry.name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            assert!(entry.name != b"." && entry.name != b"..");
        }
    }
}
