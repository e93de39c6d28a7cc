//! Bookmarks added to and removed from the text of the file, whose comments and order stay as they are.

use std::fmt::Write as _;

use toml::Value;

use super::{Book, is_name};

/// The section of a bookmark. `settings`: keys of `settings.rs` and their texts; several of one key become an array.
pub(crate) fn section(
    name: &str,
    address: &str,
    settings: &[(String, String)],
    comment: Option<&str>,
) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut text = String::new();
    for line in comment.unwrap_or_default().lines() {
        let _ = writeln!(text, "# {}", wharf_proto::visible(line.as_bytes()));
    }
    let _ = writeln!(
        text,
        "[bookmark.{}]
address = {}",
        key(name),
        quoted(address)
    );
    let mut written: Vec<&str> = Vec::new();
    for (name, value) in settings {
        if written.contains(&name.as_str()) {
            continue;
        }
        written.push(name);
        let all: Vec<String> = settings
            .iter()
            .filter(|(it, _)| it == name)
            .map(|(_, it)| quoted(it))
            .collect();
        let value = match (name.as_str(), value.as_str()) {
            ("ca" | "pin", _) => format!("[{}]", all.join(", ")),
            (_, "true" | "false") => value.clone(),
            _ => quoted(value),
        };
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// A key as TOML writes it: bare where that is possible.
fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if name.bytes().all(bare) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// The text with one section more.
///
/// # Errors
/// The name is taken or none, or the result would not be a book: in words.
pub(crate) fn add(text: &str, name: &str, section: &str) -> Result<String, String> {
    let book: Book = text.parse()?;
    if !is_name(name) {
        return Err(format!(
            "`{}` cannot be a name: no blanks, and none of / : @ [ ] \\ \" ' # ? %",
            wharf_proto::visible(name.as_bytes())
        ));
    }
    if book.find(name).is_some() {
        return Err(format!("there is a bookmark {name} already"));
    }
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let changed = format!("{text}{gap}{section}");
    let after: Book = changed.parse()?;
    if after.bookmarks.len() != book.bookmarks.len() + 1 || after.find(name).is_none() {
        return Err(
            "the file is written in a way that cannot be added to: edit it by hand".to_owned(),
        );
    }
    Ok(changed)
}

/// The text without a section and the comment right before it.
///
/// # Errors
/// There is no such bookmark, or it does not stand in a section of its own: in words.
pub(crate) fn remove(text: &str, name: &str) -> Result<String, String> {
    let book: Book = text.parse()?;
    if book.find(name).is_none() {
        return Err(format!(
            "no bookmark has the name {}",
            wharf_proto::visible(name.as_bytes())
        ));
    }
    let heads = [
        format!("[bookmark.{}]", key(name)),
        format!("[bookmark.{}]", Value::from(name)),
        format!("[bookmark.'{name}']"),
    ];
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_head = |line: &str| {
        heads
            .iter()
            .any(|head| line.trim().starts_with(head.as_str()))
    };
    let by_hand =
        || "the file is written in a way that cannot be changed: edit it by hand".to_owned();
    let at = lines
        .iter()
        .position(|line| is_head(line))
        .ok_or_else(by_hand)?;
    let next = lines
        .iter()
        .skip(at + 1)
        .position(|line| line.trim_start().starts_with('['));
    let mut end = next.map_or(lines.len(), |it| at + 1 + it);
    // The comment before the next section belongs to that one.
    while end > at + 1 && end < lines.len() && lines[end - 1].trim_start().starts_with('#') {
        end -= 1;
    }
    let mut begin = at;
    while begin > 0 && lines[begin - 1].trim_start().starts_with('#') {
        begin -= 1;
    }
    let changed = [&lines[..begin], &lines[end..]].concat().concat();
    let after: Book = changed.parse().map_err(|_| by_hand())?;
    if after.bookmarks.len() + 1 != book.bookmarks.len() || after.find(name).is_some() {
        return Err(by_hand());
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_removed_and_nothing_else_changes() {
        let own = "# mine\n\n[bookmark.a]\naddress = \"ftp://a/\" # why\n\n# about hosts\n[[for]]\nhost = \"*\"\nmode = \"pasv\"\n";
        for (before, name) in [
            ("", "x"),
            (own, "x"),
            (own, "ümläut"),
            (own.trim_end(), "x.y"),
        ] {
            let settings = [
                ("pin", "ab".repeat(32)),
                ("memory", "false".to_owned()),
                ("pin", "cd".repeat(32)),
                ("user", "a\"b\\".to_owned()),
            ];
            let settings = settings.map(|(name, value)| (name.to_owned(), value));
            let text = section(name, "ftp://h/\"x", &settings, Some("from\nlftp \x1b[2J"));
            let text = text.replace("\\\"x", "");
            let added = add(before, name, &text).unwrap();
            assert!(!added.contains('\x1b'), "{added}");
            let book: Book = added.parse().unwrap();
            assert_eq!(
                book.find(name).unwrap().settings.user.as_deref(),
                Some("a\"b\\")
            );
            assert!(add(&added, name, &text).unwrap_err().contains("already"));
            let removed = remove(&added, name).unwrap();
            assert_eq!(removed.trim_end(), before.trim_end());
        }
        let without = remove(own, "a").unwrap();
        assert_eq!(
            without,
            "# mine\n\n# about hosts\n[[for]]\nhost = \"*\"\nmode = \"pasv\"\n"
        );
    }

    #[test]
    fn what_cannot_be_done_as_text_is_refused() {
        let inline = "bookmark = { a = { address = \"ftp://a\" } }\n";
        assert!(remove(inline, "a").unwrap_err().contains("by hand"));
        assert!(add(inline, "b", &section("b", "ftp://b", &[], None)).is_err());
        assert!(remove("", "a").unwrap_err().contains("no bookmark"));
        for name in ["", "a b", "a/b", "-x", "a]", "a\"", "a\n"] {
            assert!(
                add("", name, &section(name, "ftp://b", &[], None)).is_err(),
                "{name:?}"
            );
        }
    }
}
