//! What the terminal can show: columns, colours, letters.

use wharf_ladder::render::Look;

use crate::output::color_wanted;

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;

/// How pictures look on a stream that is, or is not, a terminal.
pub(crate) fn look(is_terminal: bool) -> Look {
    Look {
        width: columns(is_terminal),
        colour: color_wanted(is_terminal),
        ascii: !speaks_utf8(),
        times: false,
    }
}

/// Whether the locale's letters are UTF-8: POSIX says that LC_ALL beats LC_CTYPE beats LANG.
pub(crate) fn speaks_utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

fn columns(is_terminal: bool) -> usize {
    if let Some(columns) = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return columns;
    }
    if !is_terminal {
        return COLUMNS;
    }
    terminal_size::terminal_size().map_or(COLUMNS, |(width, _)| usize::from(width.0))
}
