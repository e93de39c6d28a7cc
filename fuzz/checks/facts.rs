//! MLSx lines: what was read can be written and reads back as the same facts.

use wharf_proto::{FactSet, Facts};

pub(crate) fn check(data: &[u8]) {
    let Ok((facts, name)) = Facts::read_line(data) else {
        return;
    };
    let mut line = Vec::new();
    facts.write_line(FactSet::all(), &name, &mut line);
    assert!(
        !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)),
        "{line:?}"
    );
    match Facts::read_line(&line) {
        // A name that itself looks like facts cannot be told from facts when there are none before it.
        Ok((_, again)) => assert!(again == name || line.starts_with(b" "), "{line:?}"),
        Err(e) => panic!("{data:?} was written as {line:?}: {e:?}"),
    }
    let set = FactSet::read_options(data);
    let text = set.options_text();
    let options = text.strip_prefix("MLST OPTS").expect("the text of the 200");
    assert_eq!(FactSet::read_options(options.as_bytes()), set);
}
