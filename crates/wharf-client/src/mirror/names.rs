//! Which names and link targets may arrive at the destination.

use wharf_proto::Pathname;

use crate::local::local_name;

/// Why a name is not taken; `None` when it is.
pub(super) fn objection(name: &[u8], foreign: bool, any: bool) -> Option<&'static str> {
    if name.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Some("a line break in a name cannot be told to an FTP server");
    }
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Some("it is not a name but a way to another directory");
    }
    if foreign && !any && local_name(name).is_err() {
        return Some("a control character or backslash in a server's name; --any-names takes it");
    }
    None
}

/// Whether a symbolic link at `path` that holds `target` stays inside of the tree, by its text alone. `..` behind a name
/// is not believed: the name may be a link, too.
pub(super) fn stays_inside(path: &Pathname, target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    // The link's own name is not a level of its own.
    let mut up = path.components().count().saturating_sub(1);
    let mut named = false;
    for component in target.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if named => return false,
            b".." => match up.checked_sub(1) {
                Some(fewer) => up = fewer,
                None => return false,
            },
            _ => named = true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        // name, from a server, with --any-names, taken
        for (name, foreign, any, taken) in [
            (&b"a"[..], true, false, true),
            (b"-rf |x [a]*? ", true, false, true),
            (b"\xff\xfe", true, false, true),
            (b"a\\b", true, false, false),
            (b"a\\b", true, true, true),
            (b"a\\b", false, false, true),
            (b"\x1b[2J", true, false, false),
            (b"\x1b[2J", true, true, true),
            (b"a\nb", false, true, false),
            (b"..", true, true, false),
            (b"a/b", true, true, false),
            (b"", true, true, false),
        ] {
            let judged = objection(name, foreign, any).is_none();
            assert_eq!(judged, taken, "{} {foreign} {any}", name.escape_ascii());
        }
    }

    #[test]
    fn links_that_lead_out_are_known() {
        for (path, target, inside) in [
            ("/l", "a", true),
            ("/l", "a/../b", false),
            ("/l", "../a", false),
            ("/d/l", "../a", true),
            ("/d/l", "../../a", false),
            ("/d/l", "../e/a", true),
            ("/d/l", "/etc/passwd", false),
            ("/d/l", "", false),
            ("/d/l", ".", true),
        ] {
            let path: Pathname = path.parse().unwrap();
            assert_eq!(
                stays_inside(&path, target.as_bytes()),
                inside,
                "{path:?} {target}"
            );
        }
    }
}
