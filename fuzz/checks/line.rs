//! Command lines: bounded, resynchronising, and the same however the bytes are split.

use wharf_proto::{Command, Line, LineDecoder};

const LIMIT: usize = 64;

pub(crate) fn check(data: &[u8]) {
    let whole = lines(data, usize::MAX);
    for size in [1, 3, 7] {
        assert_eq!(whole, lines(data, size), "split into {size}");
    }
    for line in whole {
        if let Line::Command(bytes) = line {
            assert!(bytes.len() <= LIMIT);
            let _ = Command::parse(&bytes);
        }
    }
}

fn lines(data: &[u8], size: usize) -> Vec<Line> {
    let mut decoder = LineDecoder::new(LIMIT);
    let mut lines = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let n = rest.len().min(decoder.room()).min(size);
        assert!(n > 0, "no room although every line was taken");
        let (now, later) = rest.split_at(n);
        decoder.push(now);
        rest = later;
        while let Some(line) = decoder.next() {
            lines.push(line);
        }
        assert!(decoder.take_answers().len() <= 1024);
    }
    lines
}
