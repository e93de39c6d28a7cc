//! FEAT (RFC 2389 §3): what a server can do beyond RFC 959.

use crate::facts::FactSet;
use crate::reply::Reply;
use crate::text::Text;

/// The lines of a FEAT reply, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    lines: Vec<Feature>,
}

/// One line: a label and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// `MLST`, `REST`, `UTF8`, …
    pub label: Text,
    /// Empty if there is nothing.
    pub parameters: Text,
}

impl Features {
    /// Nothing beyond RFC 959.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line as it stands in the reply: `REST STREAM`. CR, LF and NUL become `?`.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.lines.extend(Feature::read(line.as_bytes()));
        self
    }

    /// Reads a reply. `None` unless it is a 211. Servers differ: features indented by one space or by none, the code
    /// repeated on every line, a single line for no features: all of it is understood.
    pub fn from_reply(reply: &Reply) -> Option<Self> {
        if reply.code() != 211 {
            return None;
        }
        let between = match reply.lines() {
            [_first, between @ .., _last] => between,
            _ => &[],
        };
        Some(Self {
            lines: between
                .iter()
                .filter_map(|line| Feature::read(line.as_bytes()))
                .collect(),
        })
    }

    /// The reply: one line a feature, each with a space in front.
    pub fn to_reply(&self) -> Reply {
        if self.lines.is_empty() {
            return Reply::new(211, "No features.");
        }
        let mut lines = vec![Text::lossy("Features:")];
        for feature in &self.lines {
            let mut line = vec![b' '];
            line.extend_from_slice(feature.label.as_bytes());
            if !feature.parameters.is_empty() {
                line.push(b' ');
                line.extend_from_slice(feature.parameters.as_bytes());
            }
            lines.push(Text::lossy(line));
        }
        lines.push(Text::lossy("End"));
        Reply::with_lines(211, lines)
    }

    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.lines.iter()
    }

    /// Whether a line has this label, letters of either case being the same (RFC 2389 §3.2).
    pub fn has(&self, label: &str) -> bool {
        self.lines
            .iter()
            .any(|feature| feature.label.is_word(label))
    }

    /// What follows the label, on the first line that has it.
    pub fn parameters(&self, label: &str) -> Option<&Text> {
        self.lines
            .iter()
            .find(|feature| feature.label.is_word(label))
            .map(|feature| &feature.parameters)
    }

    /// Whether the parameters of any line with this label contain the word; words end at spaces and semicolons, an
    /// asterisk at the end of a word is not part of it: `AUTH TLS;SSL;`, `MODE Z`, `LANG EN*;DE`.
    pub fn has_parameter(&self, label: &str, word: &str) -> bool {
        self.lines
            .iter()
            .filter(|feature| feature.label.is_word(label))
            .any(|feature| {
                feature
                    .parameters
                    .as_bytes()
                    .split(|byte| matches!(byte, b' ' | b';'))
                    .map(|given| given.strip_suffix(b"*").unwrap_or(given))
                    .any(|given| given.eq_ignore_ascii_case(word.as_bytes()))
            })
    }

    /// Whether REST counts bytes in MODE S (RFC 3659 §5.4).
    pub fn has_rest_stream(&self) -> bool {
        self.has_parameter("REST", "STREAM")
    }

    /// The facts of MLST and MLSD that are offered and selected. `None` if the server has no MLST.
    pub fn mlst(&self) -> Option<(FactSet, FactSet)> {
        self.parameters("MLST")
            .map(|parameters| FactSet::read_feature(parameters.as_bytes()))
    }
}

impl Feature {
    /// A label and its parameters; `None` for a blank line.
    fn read(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        let end = line
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(line.len());
        let (label, parameters) = line.split_at_checked(end)?;
        if label.is_empty() {
            return None;
        }
        Some(Self {
            label: Text::lossy(label),
            parameters: Text::lossy(parameters.trim_ascii_start()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;
    use crate::reply::{ReplyDecoder, ReplyLimits};

    fn read(bytes: &str) -> Option<Features> {
        let mut decoder = ReplyDecoder::new(ReplyLimits {
            line: 1000,
            lines: 100,
            bytes: 10_000,
        });
        decoder.push(bytes.as_bytes());
        Features::from_reply(&decoder.next().unwrap().unwrap())
    }

    #[test]
    fn replies_of_servers() {
        for (bytes, labels) in [
            (
                "211-Features:\r\n EPRT\r\n MLST type*;size*;\r\n REST STREAM\r\n211 End\r\n",
                vec!["EPRT", "MLST", "REST"],
            ),
            (
                "211-Extensions\r\nMDTM\r\n\tSIZE\r\n\r\n211 END\r\n",
                vec!["MDTM", "SIZE"],
            ),
            (
                "211-x\r\n211-MDTM\r\n211-SIZE\r\n211 x\r\n",
                vec!["MDTM", "SIZE"],
            ),
            ("211 no features\r\n", vec![]),
            ("211-none\r\n211 end\r\n", vec![]),
        ] {
            let features = read(bytes).unwrap();
            let read: Vec<_> = features
                .iter()
                .map(|feature| feature.label.to_string())
                .collect();
            assert_eq!(read, labels, "{bytes:?}");
        }
        assert_eq!(read("500 what?\r\n"), None);
        assert_eq!(read("502 no\r\n"), None);
    }

    #[test]
    fn parameters_are_words() {
        let features = Features::new()
            .with("AUTH TLS;SSL;")
            .with("rest stream")
            .with("MODE Z")
            .with("LANG EN*;DE")
            .with("MLST type*;size;");
        assert!(features.has_parameter("auth", "tls"));
        assert!(features.has_parameter("LANG", "en"));
        assert!(!features.has_parameter("MODE", "B"));
        assert!(features.has_rest_stream());
        assert_eq!(
            features.mlst(),
            Some((
                FactSet::of(&[Fact::Type, Fact::Size]),
                FactSet::of(&[Fact::Type])
            ))
        );
        assert_eq!(Features::new().mlst(), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let features = Features::new()
            .with("UTF8")
            .with("REST STREAM")
            .with("MDTM");
        let reply = features.to_reply();
        assert_eq!(
            reply.to_bytes(),
            b"211-Features:\r\n UTF8\r\n REST STREAM\r\n MDTM\r\n211 End\r\n"
        );
        assert_eq!(Features::from_reply(&reply), Some(features));
        assert_eq!(
            Features::from_reply(&Features::new().to_reply()),
            Some(Features::new())
        );
    }
}
