//! Pathnames as they travel: bytes, never CR, LF or NUL (RFC 959 §5.3.2, RFC 2640 §2, RFC 3659 §6 TVFS).

use std::fmt;
use std::str::FromStr;

use crate::text::visible;

/// A name of a file or directory, as the user-PI wrote it or as the server-PI resolved it. `/` separates components
/// (TVFS, RFC 3659 §6). Never empty; never holds CR, LF or NUL; otherwise any bytes, so that names that are not UTF-8
/// come back as they were.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pathname(Vec<u8>);

/// Why bytes are no pathname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathnameError {
    /// Nothing at all.
    Empty,
    /// More than [`Pathname::MAX_LENGTH`] bytes.
    TooLong,
    /// CR, LF or NUL.
    ForbiddenByte(u8),
    /// A component that is empty, `.`, `..` or holds `/` where one plain name is wanted.
    NotOneName,
}

impl Pathname {
    /// Longest pathname taken from a line, in bytes: Linux' `PATH_MAX`. [`join`](Self::join) may make longer ones; the
    /// file store refuses those.
    pub const MAX_LENGTH: usize = 4096;

    /// Takes the bytes as they are.
    ///
    /// # Errors
    /// [`PathnameError`] if they are empty, too long or hold CR, LF or NUL.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PathnameError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(PathnameError::Empty);
        }
        if bytes.len() > Self::MAX_LENGTH {
            return Err(PathnameError::TooLong);
        }
        match forbidden(&bytes) {
            Some(byte) => Err(PathnameError::ForbiddenByte(byte)),
            None => Ok(Self(bytes)),
        }
    }

    /// `/`
    pub fn root() -> Self {
        Self(vec![b'/'])
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as UTF-8, if it is.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether it begins with `/`.
    pub fn is_absolute(&self) -> bool {
        self.0.first() == Some(&b'/')
    }

    /// Whether it names the root: nothing but `/`.
    pub fn is_root(&self) -> bool {
        self.0.iter().all(|byte| *byte == b'/')
    }

    /// `other` as seen from here: an absolute one replaces this one.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        if other.is_absolute() {
            return other.clone();
        }
        let mut bytes = self.0.clone();
        if bytes.last() != Some(&b'/') {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&other.0);
        Self(bytes)
    }

    /// The absolute normal form: begins with one `/`, no `//`, no trailing `/`, `.` and `..` resolved by name alone,
    /// never above `/`. A relative name is taken from the root.
    #[must_use]
    pub fn normalize(&self) -> Self {
        let mut kept: Vec<&[u8]> = Vec::new();
        for component in self.components() {
            match component {
                b"." => {}
                b".." => {
                    kept.pop();
                }
                name => kept.push(name),
            }
        }
        if kept.is_empty() {
            return Self::root();
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1);
        for name in kept {
            bytes.push(b'/');
            bytes.extend_from_slice(name);
        }
        Self(bytes)
    }

    /// Everything but the last component. `None` for the root and for a single relative name.
    pub fn parent(&self) -> Option<Self> {
        let name_end = self.0.iter().rposition(|byte| *byte != b'/')?;
        let slash = self
            .0
            .get(..name_end)?
            .iter()
            .rposition(|byte| *byte == b'/')?;
        let parent = self.0.get(..slash)?;
        match parent.iter().rposition(|byte| *byte != b'/') {
            Some(end) => parent.get(..=end).map(|bytes| Self(bytes.to_vec())),
            None => Some(Self::root()),
        }
    }

    /// The last component. `None` for the root and when the last component is `.` or `..`.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components()
            .last()
            .filter(|name| !matches!(*name, b"." | b".."))
    }

    /// The names between the slashes, `.` and `..` among them; empty ones are left out.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
    }

    /// A name inside this directory.
    ///
    /// # Errors
    /// [`PathnameError`] if `name` is not one plain name, or the whole becomes too long.
    pub fn child(&self, name: &[u8]) -> Result<Self, PathnameError> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(PathnameError::NotOneName);
        }
        Ok(self.join(&Self::new(name)?)).and_then(|whole| Self::new(whole.0))
    }

    /// Between quotation marks, those inside doubled: the form of 257 (RFC 959 Appendix II).
    pub fn quoted(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 2);
        out.push(b'"');
        for byte in &self.0 {
            if *byte == b'"' {
                out.push(b'"');
            }
            out.push(*byte);
        }
        out.push(b'"');
        out
    }

    /// Reads the text of a 257 reply: `"/a ""b""" is the current directory`. Servers that forget the quotation marks are
    /// understood if the text begins with an absolute name without spaces.
    pub fn from_257(text: &[u8]) -> Option<Self> {
        let Some(start) = text.iter().position(|byte| *byte == b'"') else {
            let word = text
                .split(|byte| *byte == b' ')
                .find(|word| !word.is_empty())?;
            return Self::new(word).ok().filter(Self::is_absolute);
        };
        let mut name = Vec::new();
        let mut rest = text.get(start + 1..)?.iter().peekable();
        while let Some(byte) = rest.next() {
            if *byte == b'"' && rest.next_if_eq(&&b'"').is_none() {
                return Self::new(name).ok();
            }
            name.push(*byte);
        }
        None
    }

    /// For people: control characters and invalid UTF-8 made visible, see [`visible`].
    pub fn display(&self) -> impl fmt::Display + '_ {
        visible(&self.0)
    }

    /// The bytes, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Pathname {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pathname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.display())
    }
}

impl FromStr for Pathname {
    type Err = PathnameError;

    fn from_str(text: &str) -> Result<Self, PathnameError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Pathname {
    type Error = PathnameError;

    fn try_from(text: &str) -> Result<Self, PathnameError> {
        Self::new(text)
    }
}

impl TryFrom<Vec<u8>> for Pathname {
    type Error = PathnameError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, PathnameError> {
        Self::new(bytes)
    }
}

impl fmt::Display for PathnameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty pathname"),
            Self::TooLong => write!(f, "pathname longer than {} bytes", Pathname::MAX_LENGTH),
            Self::ForbiddenByte(byte) => write!(f, "byte 0x{byte:02x} cannot stand in a pathname"),
            Self::NotOneName => f.write_str("not a single name"),
        }
    }
}

impl std::error::Error for PathnameError {}

fn forbidden(bytes: &[u8]) -> Option<u8> {
    bytes
        .iter()
        .copied()
        .find(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Pathname {
        text.parse().unwrap()
    }

    #[test]
    fn normal_form() {
        for (given, normal) in [
            ("/", "/"),
            ("a", "/a"),
            ("/a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/..", "/"),
            ("../../etc/passwd", "/etc/passwd"),
            ("/a/../../..", "/"),
            ("/...", "/..."),
            ("/ a ", "/ a "),
            (".", "/"),
        ] {
            assert_eq!(path(given).normalize(), path(normal), "{given}");
        }
    }

    #[test]
    fn parents_and_names() {
        for (given, parent, name) in [
            ("/", None, None),
            ("//", None, None),
            ("/a", Some("/"), Some("a")),
            ("/a/b", Some("/a"), Some("b")),
            ("/a//b/", Some("/a"), Some("b")),
            ("a", None, Some("a")),
            ("a/b", Some("a"), Some("b")),
            ("/a/..", Some("/a"), None),
        ] {
            assert_eq!(path(given).parent(), parent.map(path), "{given}");
            assert_eq!(path(given).file_name(), name.map(str::as_bytes), "{given}");
        }
    }

    #[test]
    fn an_absolute_name_replaces_the_working_directory() {
        assert_eq!(path("/home").join(&path("a b")), path("/home/a b"));
        assert_eq!(path("/").join(&path("a")), path("/a"));
        assert_eq!(path("/home").join(&path("/etc")), path("/etc"));
    }

    #[test]
    fn children_are_single_names() {
        assert_eq!(path("/a").child(b"b"), Ok(path("/a/b")));
        for bad in ["", ".", "..", "a/b", "/"] {
            assert_eq!(
                path("/a").child(bad.as_bytes()),
                Err(PathnameError::NotOneName)
            );
        }
        assert_eq!(
            path("/a").child(b"x\ny"),
            Err(PathnameError::ForbiddenByte(b'\n'))
        );
        assert_eq!(path("/a").child(&[b'x'; 4096]), Err(PathnameError::TooLong));
    }

    #[test]
    fn no_line_break_is_ever_part_of_a_name() {
        for byte in [b'\r', b'\n', 0] {
            assert_eq!(
                Pathname::new(vec![b'a', byte]),
                Err(PathnameError::ForbiddenByte(byte))
            );
        }
        assert_eq!(Pathname::new(""), Err(PathnameError::Empty));
        assert_eq!(Pathname::new(vec![b'a'; 4097]), Err(PathnameError::TooLong));
    }

    #[test]
    fn names_of_257() {
        for (text, name) in [
            (r#""/" is the current directory"#, Some("/")),
            (r#""/a ""b""" created"#, Some(r#"/a "b""#)),
            (r#"directory "/x y""#, Some("/x y")),
            ("/plain is cwd", Some("/plain")),
            ("\"unfinished", None),
            ("\"\"", None),
            ("created", None),
        ] {
            assert_eq!(
                Pathname::from_257(text.as_bytes()),
                name.map(path),
                "{text}"
            );
        }
    }

    #[test]
    fn debug_shows_what_a_terminal_would_hide() {
        assert_eq!(
            format!("{:?}", Pathname::new(b"a\x1b\xff".to_vec()).unwrap()),
            "\"a␛\\xff\""
        );
    }

    prop_compose! {
        fn any_path()(bytes in prop::collection::vec(any::<u8>().prop_filter("line", |b| !matches!(b, 0 | 10 | 13)), 1..60)) -> Pathname {
            Pathname::new(bytes).unwrap()
        }
    }

    proptest! {
        #[test]
        fn quoting_round_trips(path in any_path()) {
            prop_assert_eq!(Pathname::from_257(&path.quoted()), Some(path));
        }

        #[test]
        fn normalizing_twice_changes_nothing(path in any_path()) {
            let once = path.normalize();
            prop_assert_eq!(once.normalize(), once.clone());
            prop_assert!(once.is_absolute());
            prop_assert!(once.components().all(|name| name != b".." && name != b"."));
        }

        #[test]
        fn parent_and_name_make_the_whole(path in any_path()) {
            let normal = path.normalize();
            if let Some(parent) = normal.parent() {
                prop_assert_eq!(parent.child(normal.file_name().unwrap()).unwrap(), normal);
            } else {
                prop_assert!(normal.is_root());
            }
        }
    }
}
