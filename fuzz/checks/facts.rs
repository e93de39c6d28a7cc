//! MLSx lines: what was read can be written and reads back as the same facts.

use wharf_proto::{FactSet, Facts};

pub(crate) fn check(data: &[u8]) {
    let Ok((facts, name)) = Facts::read_line(data) else {
        return;
    };
    let mut line = Vec::new();
    facts.write_line(FactSet::all(), &name, &mut line);
    assert!(!line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{line:?}");
    match Facts::read_line(&line) {
        Ok((_, again)) => assert_eq!(again, name, "{line:?}"),
        Err(e) => panic!("{data:?} was written as {line:?}: {e:?}"),
    }
    let set = FactSet::read_options(data);
    assert_eq!(FactSet::read_options(set.options_text().as_bytes()), set);
}
