//! Text in columns of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that it takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns of it, an ellipsis at the end where something is missing.
pub(super) fn fit(text: &str, room: usize, ellipsis: &str) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let room_for_text = room.saturating_sub(width(ellipsis));
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > room_for_text {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width(ellipsis) <= room {
        out.push_str(ellipsis);
    }
    out
}

/// In lines of at most `room` columns, broken at spaces where there are any; at most `most` lines.
pub(super) fn wrap(text: &str, room: usize, most: usize, ellipsis: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if lines.len() >= most {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if lines.len() < most && !line.is_empty() {
        lines.push(line);
    } else if let Some(last) = lines.last_mut() {
        last.push(' ');
        last.push_str(ellipsis);
    }
    lines.iter().map(|line| fit(line, room, ellipsis)).collect()
}

/// The same in ASCII: what is not becomes the pictures of control characters as `^[`, all else `\u{e4}`.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            '…' => out.push_str("..."),
            '×' => out.push('x'),
            '→' => out.push_str("->"),
            '\u{2421}' => out.push_str("^?"),
            c @ '\u{2400}'..='\u{241f}' => {
                let code = u8::try_from(u32::from(c) - 0x2400).unwrap_or(0);
                out.push('^');
                out.push(char::from(code + 0x40));
            }
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}
