//! The facts of MLST and MLSD (RFC 3659 §7), written and read, and the selection of OPTS MLST (§7.9).

use std::fmt;

use crate::pathname::Pathname;
use crate::text::{Text, decimal};
use crate::timestamp::Timestamp;

/// What is told about one name. A server fills in what it knows; a client finds what the server told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `type`
    pub kind: Option<FactType>,
    /// `size`: bytes of a transfer in TYPE I.
    pub size: Option<u64>,
    /// `modify`
    pub modify: Option<Timestamp>,
    /// `create`
    pub create: Option<Timestamp>,
    /// `perm`: what this user may do, not the bits of the file.
    pub perm: Option<Perm>,
    /// `unique`: equal for two names of the same file.
    pub unique: Option<Text>,
    /// `charset` of the contents.
    pub charset: Option<Text>,
    /// `media-type` of the contents.
    pub media_type: Option<Text>,
    /// `UNIX.mode`, the lower twelve bits.
    pub unix_mode: Option<u32>,
    /// `UNIX.owner`
    pub unix_owner: Option<Text>,
    /// `UNIX.group`
    pub unix_group: Option<Text>,
    /// Facts not known here, and known ones whose value makes no sense, as they came.
    pub other: Vec<(Text, Text)>,
}

/// The value of the fact `type` (RFC 3659 §7.5.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FactType {
    /// `file`
    File,
    /// `dir`
    Directory,
    /// `cdir`: the listed directory itself.
    CurrentDirectory,
    /// `pdir`: a parent of it.
    ParentDirectory,
    /// `OS.unix=slink:target` or `OS.unix=symlink`, the two spellings that are in use.
    Symlink(Option<Text>),
    /// Any other `OS.name=type`.
    Other(Text),
}

/// A set of letters of the fact `perm` (RFC 3659 §7.5.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Perm(u16);

/// The line is not of the form `facts SP pathname`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactsError;

/// A fact that a server may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Facts says what each one is")]
pub enum Fact {
    Type,
    Size,
    Modify,
    Create,
    Perm,
    Unique,
    Charset,
    MediaType,
    UnixMode,
    UnixOwner,
    UnixGroup,
}

/// A set of facts: those that a server offers, or those that a user selected with OPTS MLST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FactSet(u16);

impl Fact {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 11] = [
        Self::Type,
        Self::Size,
        Self::Modify,
        Self::Create,
        Self::Perm,
        Self::Unique,
        Self::Charset,
        Self::MediaType,
        Self::UnixMode,
        Self::UnixOwner,
        Self::UnixGroup,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Size => "size",
            Self::Modify => "modify",
            Self::Create => "create",
            Self::Perm => "perm",
            Self::Unique => "unique",
            Self::Charset => "charset",
            Self::MediaType => "media-type",
            Self::UnixMode => "UNIX.mode",
            Self::UnixOwner => "UNIX.owner",
            Self::UnixGroup => "UNIX.group",
        }
    }

    /// The fact of a name, letters of either case being the same (RFC 3659 §7.5).
    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|fact| name.eq_ignore_ascii_case(fact.name().as_bytes()))
    }
}

impl Facts {
    /// Reads a line of MLSD, or the middle line of MLST with its space in front. Facts in any order and case; a missing
    /// `;` before the space is forgiven.
    ///
    /// # Errors
    /// [`FactsError`] if there is no name, or what stands before it are no facts.
    pub fn read_line(line: &[u8]) -> Result<(Self, Pathname), FactsError> {
        // The facts hold no space, so a space in front cannot be part of the line proper unless there are no facts; the
        // line of a name without facts begins with exactly one (§7.2), the MLST form of it with two.
        let facts_begin = match line {
            [b' ', rest @ ..] if looks_like_facts(rest) => rest,
            _ => line,
        };
        let at = facts_begin
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or(FactsError)?;
        let (facts, name) = facts_begin.split_at_checked(at).ok_or(FactsError)?;
        let name = name.get(1..).ok_or(FactsError)?;
        let path = Pathname::new(name).map_err(|_| FactsError)?;
        let mut read = Self::default();
        for fact in facts
            .split(|byte| *byte == b';')
            .filter(|fact| !fact.is_empty())
        {
            let at = fact
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or(FactsError)?;
            let (name, value) = fact.split_at_checked(at).ok_or(FactsError)?;
            read.put(name, value.get(1..).unwrap_or_default())?;
        }
        Ok((read, path))
    }

    /// Appends `facts SP pathname` without a line end: those facts that are known and selected. A value that holds a byte
    /// which would end it (space, `;`, CR, LF, NUL) is left out, a symbolic link keeps its type without the target.
    pub fn write_line(&self, selected: FactSet, path: &Pathname, out: &mut Vec<u8>) {
        for fact in Fact::ALL
            .into_iter()
            .filter(|fact| selected.contains(*fact))
        {
            if let Some(value) = self.value(fact).filter(|value| is_value(value)) {
                write_fact(fact.name().as_bytes(), &value, out);
            }
        }
        if !self.other.is_empty() && selected == FactSet::all() {
            for (name, value) in &self.other {
                if is_value(name.as_bytes()) && is_value(value.as_bytes()) {
                    write_fact(name.as_bytes(), value.as_bytes(), out);
                }
            }
        }
        out.push(b' ');
        out.extend_from_slice(path.as_bytes());
    }

    fn value(&self, fact: Fact) -> Option<Vec<u8>> {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.as_bytes().to_vec());
        let time = |time: Option<Timestamp>| time.map(|time| time.to_wire().into_bytes());
        match fact {
            Fact::Type => self.kind.as_ref().map(FactType::write),
            Fact::Size => self.size.map(|size| size.to_string().into_bytes()),
            Fact::Modify => time(self.modify),
            Fact::Create => time(self.create),
            Fact::Perm => self.perm.map(|perm| perm.to_string().into_bytes()),
            Fact::Unique => text(&self.unique),
            Fact::Charset => text(&self.charset),
            Fact::MediaType => text(&self.media_type),
            Fact::UnixMode => self
                .unix_mode
                .map(|mode| format!("{mode:04o}").into_bytes()),
            Fact::UnixOwner => text(&self.unix_owner),
            Fact::UnixGroup => text(&self.unix_group),
        }
    }

    fn put(&mut self, name: &[u8], value: &[u8]) -> Result<(), FactsError> {
        let text = || Text::new(value).ok().filter(|text| !text.is_empty());
        let known = match Fact::find(name) {
            Some(Fact::Type) => fill(&mut self.kind, FactType::read(value)),
            Some(Fact::Size) => fill(&mut self.size, decimal(value)),
            Some(Fact::Modify) => fill(&mut self.modify, Timestamp::from_wire(value).ok()),
            Some(Fact::Create) => fill(&mut self.create, Timestamp::from_wire(value).ok()),
            Some(Fact::Perm) => fill(&mut self.perm, Some(Perm::read(value))),
            Some(Fact::Unique) => fill(&mut self.unique, text()),
            Some(Fact::Charset) => fill(&mut self.charset, text()),
            Some(Fact::MediaType) => fill(&mut self.media_type, text()),
            Some(Fact::UnixMode) => fill(&mut self.unix_mode, octal(value)),
            Some(Fact::UnixOwner) => fill(&mut self.unix_owner, text()),
            Some(Fact::UnixGroup) => fill(&mut self.unix_group, text()),
            None => false,
        };
        if !known {
            let as_text = |bytes: &[u8]| Text::new(bytes).map_err(|_| FactsError);
            self.other.push((as_text(name)?, as_text(value)?));
        }
        Ok(())
    }
}

impl FactType {
    /// Whether it is a directory of any kind.
    pub const fn is_directory(&self) -> bool {
        matches!(
            self,
            Self::Directory | Self::CurrentDirectory | Self::ParentDirectory
        )
    }

    fn read(value: &[u8]) -> Option<Self> {
        const SLINK: &[u8] = b"OS.unix=slink";
        let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
        if is("file") {
            return Some(Self::File);
        }
        if is("dir") {
            return Some(Self::Directory);
        }
        if is("cdir") {
            return Some(Self::CurrentDirectory);
        }
        if is("pdir") {
            return Some(Self::ParentDirectory);
        }
        if is("OS.unix=symlink") {
            return Some(Self::Symlink(None));
        }
        if let Some((head, tail)) = value.split_at_checked(SLINK.len())
            && head.eq_ignore_ascii_case(SLINK)
            && matches!(tail, [] | [b':', ..])
        {
            let target = tail.strip_prefix(b":").filter(|target| !target.is_empty());
            return Some(Self::Symlink(
                target.and_then(|target| Text::new(target).ok()),
            ));
        }
        Text::new(value)
            .ok()
            .filter(|text| !text.is_empty())
            .map(Self::Other)
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::File => b"file".to_vec(),
            Self::Directory => b"dir".to_vec(),
            Self::CurrentDirectory => b"cdir".to_vec(),
            Self::ParentDirectory => b"pdir".to_vec(),
            Self::Symlink(Some(target)) if is_value(target.as_bytes()) && !target.is_empty() => {
                [b"OS.unix=slink:", target.as_bytes()].concat()
            }
            Self::Symlink(_) => b"OS.unix=symlink".to_vec(),
            Self::Other(text) => text.as_bytes().to_vec(),
        }
    }
}

impl Perm {
    const LETTERS: &'static [u8; 10] = b"acdeflmprw";

    /// Nothing is allowed.
    pub const NONE: Self = Self(0);
    /// `a`: APPE to the file.
    pub const APPEND: Self = Self(1);
    /// `c`: create files in the directory.
    pub const CREATE: Self = Self(1 << 1);
    /// `d`: delete it.
    pub const DELETE: Self = Self(1 << 2);
    /// `e`: CWD into the directory.
    pub const ENTER: Self = Self(1 << 3);
    /// `f`: rename it.
    pub const RENAME: Self = Self(1 << 4);
    /// `l`: list the directory.
    pub const LIST: Self = Self(1 << 5);
    /// `m`: MKD in the directory.
    pub const MAKE: Self = Self(1 << 6);
    /// `p`: delete what is in the directory.
    pub const PURGE: Self = Self(1 << 7);
    /// `r`: RETR the file.
    pub const RETRIEVE: Self = Self(1 << 8);
    /// `w`: STOR to the file.
    pub const STORE: Self = Self(1 << 9);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads letters of either case; unknown ones are ignored (RFC 3659 §7.5.5 allows later additions).
    fn read(letters: &[u8]) -> Self {
        let bit = |letter: &u8| {
            Self::LETTERS
                .iter()
                .position(|known| *known == letter.to_ascii_lowercase())
        };
        Self(
            letters
                .iter()
                .filter_map(bit)
                .fold(0, |bits, at| bits | 1 << at),
        )
    }
}

impl std::ops::BitOr for Perm {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl fmt::Display for Perm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = Self::LETTERS
            .iter()
            .enumerate()
            .filter(|(at, _)| self.0 & 1 << at != 0);
        letters
            .map(|(_, letter)| char::from(*letter))
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl FactSet {
    /// No facts: names only.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Every fact that this crate knows.
    pub fn all() -> Self {
        Self::of(&Fact::ALL)
    }

    /// These facts.
    pub fn of(facts: &[Fact]) -> Self {
        Self(facts.iter().fold(0, |bits, fact| bits | 1 << *fact as u16))
    }

    /// Whether the fact is in it.
    pub const fn contains(self, fact: Fact) -> bool {
        self.0 & 1 << fact as u16 != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Reads the options of OPTS MLST: `type;size;`. Facts that nobody knows are ignored, as RFC 3659 §7.9 asks; no
    /// option at all selects none. The server intersects the result with what it offers.
    pub fn read_options(options: &[u8]) -> Self {
        let facts: Vec<Fact> = options
            .trim_ascii()
            .split(|byte| *byte == b';')
            .filter_map(Fact::find)
            .collect();
        Self::of(&facts)
    }

    /// The text of the 200 that answers OPTS MLST: `MLST OPTS type;size;`.
    pub fn options_text(self) -> String {
        let mut out = String::from("MLST OPTS");
        if self != Self::none() {
            out.push(' ');
        }
        for fact in Fact::ALL.into_iter().filter(|fact| self.contains(*fact)) {
            out.push_str(fact.name());
            out.push(';');
        }
        out
    }

    /// The FEAT line of a server that offers these facts: `MLST type*;size;`, an asterisk at those now selected (§7.8).
    pub fn feature_line(self, selected: Self) -> String {
        let mut out = String::from("MLST ");
        for fact in Fact::ALL.into_iter().filter(|fact| self.contains(*fact)) {
            out.push_str(fact.name());
            out.push_str(if selected.contains(fact) { "*;" } else { ";" });
        }
        out
    }

    /// Reads what follows MLST in a FEAT reply: the offered and the selected facts, as far as they are known here.
    pub fn read_feature(parameters: &[u8]) -> (Self, Self) {
        let (mut offered, mut selected) = (Vec::new(), Vec::new());
        for word in parameters.trim_ascii().split(|byte| *byte == b';') {
            let (name, star) = match word.strip_suffix(b"*") {
                Some(name) => (name, true),
                None => (word, false),
            };
            if let Some(fact) = Fact::find(name) {
                offered.push(fact);
                if star {
                    selected.push(fact);
                }
            }
        }
        (Self::of(&offered), Self::of(&selected))
    }
}

impl fmt::Display for FactsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a line of facts")
    }
}

impl std::error::Error for FactsError {}

/// Whether facts, each with its `;`, and a name follow: the only way to tell the line of MLST, which has a space in front,
/// from one of MLSD without facts, whose name may hold anything.
fn looks_like_facts(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == b' ') else {
        return false;
    };
    let (facts, name) = bytes.split_at_checked(at).unwrap_or_default();
    let whole = facts.strip_suffix(b";").is_some_and(|facts| {
        facts
            .split(|byte| *byte == b';')
            .all(|fact| fact.iter().skip(1).any(|byte| *byte == b'='))
    });
    whole && name.len() > 1
}

fn write_fact(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b';');
}

/// Whether the bytes may stand in a fact (RFC 3659 §7.2, SCHAR; bytes above 127 are let through).
fn is_value(bytes: &[u8]) -> bool {
    !bytes
        .iter()
        .any(|byte| matches!(byte, 0..=b' ' | b';' | 0x7f))
}

/// Puts the first value that makes sense; says whether it was used.
fn fill<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    if place.is_some() || value.is_none() {
        return false;
    }
    *place = value;
    true
}

/// Octal digits, at most the twelve bits of a mode after masking the file type away.
fn octal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let bits = digits.iter().try_fold(0u32, |sum, digit| {
        matches!(digit, b'0'..=b'7').then(|| sum << 3 | u32::from(digit - b'0'))
    })?;
    Some(bits & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Text {
        text.parse().unwrap()
    }

    fn time(wire: &str) -> Timestamp {
        Timestamp::from_wire(wire.as_bytes()).unwrap()
    }

    #[test]
    fn lines_of_servers() {
        let cases: &[(&str, Facts, &str)] = &[
            // RFC 3659 §7.7.2 and §7.7.3, in form
            (
                "Type=file;Size=1024990;Perm=r; /tmp/cap60.pl198.tar.gz",
                Facts {
                    kind: Some(FactType::File),
                    size: Some(1_024_990),
                    perm: Some(Perm::RETRIEVE),
                    ..Facts::default()
                },
                "/tmp/cap60.pl198.tar.gz",
            ),
            (
                " type=dir;  two spaces",
                Facts {
                    kind: Some(FactType::Directory),
                    ..Facts::default()
                },
                " two spaces",
            ),
            (" name only", Facts::default(), "name only"),
            // ProFTPD 1.3.8
            (
                "modify=20260101120000;perm=adfrw;size=5;type=file;unique=801U1F;UNIX.group=0;UNIX.groupname=root;UNIX.mode=0644;UNIX.owner=0; a;b=c",
                Facts {
                    kind: Some(FactType::File),
                    size: Some(5),
                    modify: Some(time("20260101120000")),
                    perm: Some(
                        Perm::APPEND | Perm::DELETE | Perm::RENAME | Perm::RETRIEVE | Perm::STORE,
                    ),
                    unique: Some(text("801U1F")),
                    unix_mode: Some(0o644),
                    unix_owner: Some(text("0")),
                    unix_group: Some(text("0")),
                    other: vec![(text("UNIX.groupname"), text("root"))],
                    ..Facts::default()
                },
                "a;b=c",
            ),
            // Pure-FTPd 1.0
            (
                "type=cdir;sizd=4096;modify=20260101120000.123;UNIX.mode=040755; .",
                Facts {
                    kind: Some(FactType::CurrentDirectory),
                    modify: Some(time("20260101120000.123")),
                    unix_mode: Some(0o755),
                    other: vec![(text("sizd"), text("4096"))],
                    ..Facts::default()
                },
                ".",
            ),
            (
                "type=OS.unix=slink:/a/b; link",
                Facts {
                    kind: Some(FactType::Symlink(Some(text("/a/b")))),
                    ..Facts::default()
                },
                "link",
            ),
            (
                "type=OS.UNIX=symlink;size=x; link",
                Facts {
                    kind: Some(FactType::Symlink(None)),
                    other: vec![(text("size"), text("x"))],
                    ..Facts::default()
                },
                "link",
            ),
            (
                "type=OS.unix=chr-1/3; null",
                Facts {
                    kind: Some(FactType::Other(text("OS.unix=chr-1/3"))),
                    ..Facts::default()
                },
                "null",
            ),
            (
                "type=pdir ..",
                Facts {
                    kind: Some(FactType::ParentDirectory),
                    ..Facts::default()
                },
                "..",
            ),
        ];
        for (line, facts, name) in cases {
            assert_eq!(
                Facts::read_line(line.as_bytes()),
                Ok((facts.clone(), name.parse().unwrap())),
                "{line}"
            );
        }
        for bad in [
            "",
            "type=file;",
            "type=file; ",
            "garbage name",
            "-rw-r--r-- 1 x",
            "type=file;x\ry=1; a",
            "total 0",
        ] {
            assert_eq!(Facts::read_line(bad.as_bytes()), Err(FactsError), "{bad}");
        }
    }

    #[test]
    fn a_name_that_resembles_facts_is_a_name() {
        for name in ["name00:;xfy=my=m", "a=b", "a=b c", "a=b;", "; x", "=; x"] {
            let read = Facts::read_line(format!(" {name}").as_bytes());
            assert_eq!(
                read,
                Ok((Facts::default(), name.parse().unwrap())),
                "{name}"
            );
        }
    }

    #[test]
    fn unselected_facts_are_not_written() {
        let facts = Facts {
            kind: Some(FactType::File),
            size: Some(3),
            modify: Some(time("20260101120000")),
            unix_mode: Some(0o1),
            ..Facts::default()
        };
        let write = |set: FactSet| {
            let mut out = Vec::new();
            facts.write_line(set, &"x y".parse().unwrap(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            write(FactSet::all()),
            "type=file;size=3;modify=20260101120000;UNIX.mode=0001; x y"
        );
        assert_eq!(write(FactSet::of(&[Fact::Size, Fact::Perm])), "size=3; x y");
        assert_eq!(write(FactSet::none()), " x y");
    }

    #[test]
    fn a_value_cannot_forge_a_fact() {
        let facts = Facts {
            kind: Some(FactType::Symlink(Some(text("x;size=9")))),
            unix_owner: Some(text("a b")),
            ..Facts::default()
        };
        let mut out = Vec::new();
        facts.write_line(FactSet::all(), &"l".parse().unwrap(), &mut out);
        assert_eq!(out, b"type=OS.unix=symlink; l");
    }

    #[test]
    fn selection() {
        let offered = FactSet::of(&[Fact::Type, Fact::Size, Fact::Modify, Fact::UnixMode]);
        for (options, text) in [
            ("type;size;", "MLST OPTS type;size;"),
            ("SIZE;TYPE", "MLST OPTS type;size;"),
            ("perm;unknown;unix.MODE;", "MLST OPTS UNIX.mode;"),
            ("", "MLST OPTS"),
        ] {
            let selected = FactSet::read_options(options.as_bytes()).and(offered);
            assert_eq!(selected.options_text(), text);
        }
        let selected = FactSet::of(&[Fact::Size]);
        let line = offered.feature_line(selected);
        assert_eq!(line, "MLST type;size*;modify;UNIX.mode;");
        assert_eq!(
            FactSet::read_feature(&line.as_bytes()[5..]),
            (offered, selected)
        );
    }

    prop_compose! {
        fn any_text()(text in "[!-:<-~]{1,8}") -> Text { Text::new(text).unwrap() }
    }

    prop_compose! {
        fn any_facts()(
            kind in prop::option::of(prop_oneof![
                Just(FactType::File), Just(FactType::Directory), Just(FactType::CurrentDirectory),
                Just(FactType::ParentDirectory), prop::option::of(any_text()).prop_map(FactType::Symlink),
            ]),
            size: Option<u64>,
            modify in prop::option::of(0i64..253_402_300_799),
            perm in prop::option::of(0u16..1024),
            unique in prop::option::of(any_text()),
            unix_mode in prop::option::of(0u32..0o10000),
            unix_group in prop::option::of(any_text()),
        ) -> Facts {
            Facts {
                kind, size, unique, unix_mode, unix_group,
                modify: modify.map(|secs| Timestamp::new(secs, 0)),
                perm: perm.map(Perm),
                ..Facts::default()
            }
        }
    }

    proptest! {
        #[test]
        fn lines_round_trip(facts in any_facts(), name in "[^\r\n\0]{1,20}") {
            let path: Pathname = name.parse().unwrap();
            let mut line = Vec::new();
            facts.write_line(FactSet::all(), &path, &mut line);
            // A line without facts cannot be told from one of MLST whose name looks like facts.
            prop_assume!(facts != Facts::default());
            prop_assert_eq!(Facts::read_line(&line), Ok((facts, path)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(line: Vec<u8>) {
            let _ = (Facts::read_line(&line), FactSet::read_feature(&line), FactSet::read_options(&line));
        }
    }
}
