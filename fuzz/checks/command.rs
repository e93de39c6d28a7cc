//! Commands: what parses can be written, and reads back as the same; what does not has a reply.

use wharf_proto::{Command, Line, LineDecoder};

pub(crate) fn check(data: &[u8]) {
    match Command::parse(data) {
        Ok(command) => {
            let written = command.encode();
            assert!(written.ends_with(b"\r\n"));
            let inside = &written[..written.len() - 2];
            assert!(!inside.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            let mut decoder = LineDecoder::new(written.len());
            let mut rest = written.as_slice();
            let mut read = None;
            while !rest.is_empty() {
                let n = rest.len().min(decoder.room());
                decoder.push(&rest[..n]);
                rest = &rest[n..];
                if let Some(line) = decoder.next() {
                    assert!(read.is_none(), "one command became two lines");
                    read = Some(line);
                }
            }
            let Some(Line::Command(line)) = read else {
                panic!("{command:?} was written as {written:?}, which is no line");
            };
            // Not the same value always: `LIST -l x` asks with `./-l` what would be a flag otherwise.
            let again = Command::parse(&line).expect("what was written is a command");
            assert_eq!(again.encode(), written);
            assert_eq!(again.verb().word, command.verb().word);
            let _ = command.redacted();
        }
        Err(error) => {
            let reply = error.reply();
            assert!((500..600).contains(&reply.code()), "{reply:?}");
        }
    }
}
