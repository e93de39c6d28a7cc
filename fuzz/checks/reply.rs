//! Replies: limits hold, splits do not matter, what was read can be written.

use wharf_proto::data_connection::as_seen;
use wharf_proto::{Reply, ReplyDecoder, ReplyLimits};

pub(crate) fn check(data: &[u8]) {
    let whole = replies(data, usize::MAX);
    assert_eq!(whole, replies(data, 1));
    for reply in whole {
        assert!(reply.lines().len() <= 20);
        for told in [
            as_seen::from_whoami(&reply),
            as_seen::from_status(&reply),
            as_seen::from_refusal(&reply),
        ] {
            assert!(!told.is_some_and(|it| it.is_unspecified() || it.is_multicast()));
        }
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        let mut decoder = ReplyDecoder::new(limits(8));
        decoder.push(&bytes);
        match decoder.next() {
            Ok(Some(again)) => assert_eq!(again.code(), reply.code()),
            other => panic!("{bytes:?} read back as {other:?}"),
        }
    }
}

/// All replies before the first error.
fn replies(data: &[u8], size: usize) -> Vec<Reply> {
    let mut decoder = ReplyDecoder::new(limits(1));
    let mut replies = Vec::new();
    for part in data.chunks(size.min(data.len().max(1))) {
        decoder.push(part);
        loop {
            match decoder.next() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(_) => return replies,
            }
        }
    }
    replies
}

fn limits(times: usize) -> ReplyLimits {
    ReplyLimits {
        line: 256 * times,
        lines: 20 * times,
        bytes: 2048 * times,
    }
}
