//! What happened on the connections of a session, as values and as text.
//!
//! One text format serves `--trace`, the transcripts of tests and the tool that draws a session:
//!
//! ```text
//! # wharf trace 1
//! @0.000 s1 + user 192.0.2.7:40000 203.0.113.9:21
//! @0.012 s1 < 220 ready
//! @0.013 s1 > RETR notes.txt
//! @0.030 s1 ! opened user 192.0.2.7:40001 203.0.113.9:51213
//! @0.031 s1 < 150 here it comes
//! @0.040 s1 ! closed 1024 end
//! @0.041 s1 < 226 done
//! @0.050 s1 - end
//! ```
//!
//! The first sign says who speaks: `>` user to server, `<` server to user, `!` the data connection, `+` and `-` begin
//! and end of the control connection, `*` TLS on one of the two, `#` a note. Before it may stand `@seconds` since the beginning of the recording
//! and `sN`, the session; both count on until they are given again, so that a transcript written by hand needs neither.
//! A line with nothing behind `@seconds` only moves the time on.
//!
//! ```text
//! @0.103 s1 * control secured 1.3 TLS13_AES_256_GCM_SHA384 anew 98 AB:CD:EF:...
//! @0.117 s1 * data secured 1.3 TLS13_AES_256_GCM_SHA384 resumed 2 -
//! @0.150 s1 * data failed 12 the peer cut the connection
//! @0.160 s1 * control cleared
//! ```
//!
//! A handshake on the control or the data connection: the version, the suite, whether it resumed a session, milliseconds, the
//! SHA-256 of the certificate that the other side has shown (`-`: none); or why it failed; or the end of TLS where the
//! connection goes on (CCC).
//!
//! Bytes: UTF-8 as it is, a backslash doubled, everything else (controls, invalid UTF-8) as `\xNN`; reading gives back
//! the same bytes. Times have milliseconds. Whoever makes the events masks secrets first
//! ([`Command::redacted`](crate::command::Command::redacted)).

mod read;

pub use read::{TraceReader, Transcript, Unread, read};

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use crate::data_connection::Opener;
use crate::reply::Reply;

/// The first line of a trace file.
pub const HEADER: &str = "# wharf trace 1";

/// The reason of a [`What::DataFailed`] that nobody waited for any longer: another way was quicker, the server had
/// refused, the transfer was aborted.
pub const GIVEN_UP: &str = "given up";

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Since the recording began; kept to the millisecond.
    pub at: Duration,
    /// Which control connection; numbered by the recorder.
    pub session: u64,
    /// What it was.
    pub what: What,
}

/// What happened. Addresses are named from the recorder's side: `local` is its own end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The control connection is there.
    Connected {
        /// The side that records.
        side: Side,
        /// The recorder's end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
    },
    /// A command line, secrets masked, without line end.
    Command(Vec<u8>),
    /// A reply, each of its lines as on the wire, without line ends. Never empty.
    Reply(Vec<Vec<u8>>),
    /// Somebody waits for a data connection.
    DataAwaited {
        /// The side that will open it; the other one listens.
        opener: Opener,
        /// Where it listens.
        at: SocketAddr,
    },
    /// A data connection came about.
    DataOpened {
        /// The side that opened it.
        opener: Opener,
        /// The recorder's end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
    },
    /// No data connection came about.
    DataFailed {
        /// The side that should have opened it.
        opener: Opener,
        /// Where it should have gone, or where somebody listened.
        at: SocketAddr,
        /// What was seen.
        reason: String,
    },
    /// Somebody who may not have it came for the data connection and was dropped.
    Stranger {
        /// Where it came from.
        peer: SocketAddr,
    },
    /// The data connection ended.
    DataClosed {
        /// Bytes that went over it, in both directions.
        bytes: u64,
        /// How it ended.
        end: DataEnd,
    },
    /// TLS began, did not begin, or ended on a connection that is there.
    Tls {
        /// On which.
        on: TlsOn,
        /// What came of it.
        step: TlsStep,
    },
    /// The control connection ended; the reason in words, e.g. `end`, `reset`, `idle`.
    Closed(String),
    /// Anything else worth telling.
    Note(String),
}

/// Which of FTP's two connections TLS is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsOn {
    /// Commands and replies.
    Control,
    /// A file or listing.
    Data,
}

/// What became of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsStep {
    /// The handshake is done. Words, without white space.
    Secured {
        /// `1.2`, `1.3`.
        version: String,
        /// The cipher suite.
        suite: String,
        /// The session of the control connection was resumed.
        resumed: bool,
        /// The handshake took so long; kept to the millisecond.
        took: Duration,
        /// SHA-256 of the certificate that the other side has shown.
        certificate: Option<String>,
    },
    /// The handshake failed, and with it the connection.
    Failed {
        /// After so long; kept to the millisecond.
        took: Duration,
        /// Why.
        reason: String,
    },
    /// The connection goes on in clear (CCC).
    Cleared,
}

/// A side of the control connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The user-PI.
    User,
    /// The server-PI.
    Server,
}

/// How a data connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataEnd {
    /// With an orderly close: in MODE S the end of the file.
    Clean,
    /// The other side reset it, or the network lost it.
    Broken,
    /// We gave it up on request (ABOR, a dropped transfer).
    Aborted,
    /// We gave it up because nothing moved any more.
    Stalled,
}

impl DataEnd {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::Clean, "end"),
        (Self::Broken, "broken"),
        (Self::Aborted, "aborted"),
        (Self::Stalled, "stalled"),
    ];

    fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(end, _)| *end == self)
            .map_or("end", |(_, word)| word)
    }

    fn find(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(end, _)| *end)
    }
}

impl What {
    /// A reply as it goes over the wire.
    pub fn reply(reply: &Reply) -> Self {
        let mut wire = Vec::new();
        reply.encode(&mut wire);
        Self::Reply(
            wire.strip_suffix(b"\r\n")
                .unwrap_or(&wire)
                .split(|&b| b == b'\n')
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
                .collect(),
        )
    }

    /// The code of a reply, if this is one and it has one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Reply(lines) => lines.first().and_then(|line| read::code(line)),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    /// The lines of the text format, without line end behind the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = format!(
            "@{}.{:03} s{}",
            self.at.as_secs(),
            self.at.subsec_millis(),
            self.session
        );
        match &self.what {
            What::Connected { side, local, peer } => {
                let side = match side {
                    Side::User => "user",
                    Side::Server => "server",
                };
                write!(f, "{head} + {side} {local} {peer}")
            }
            What::Command(line) => write!(f, "{head} > {}", escape(line)),
            What::Reply(lines) => {
                for (number, line) in lines.iter().enumerate() {
                    if number > 0 {
                        f.write_char('\n')?;
                    }
                    write!(f, "{head} < {}", escape(line))?;
                }
                Ok(())
            }
            What::DataAwaited { opener, at } => write!(f, "{head} ! awaited {opener} {at}"),
            What::DataOpened {
                opener,
                local,
                peer,
            } => write!(f, "{head} ! opened {opener} {local} {peer}"),
            What::DataFailed { opener, at, reason } => write!(
                f,
                "{head} ! failed {opener} {at} {}",
                escape(reason.as_bytes())
            ),
            What::Stranger { peer } => write!(f, "{head} ! stranger {peer}"),
            What::DataClosed { bytes, end } => write!(f, "{head} ! closed {bytes} {}", end.word()),
            What::Tls { on, step } => {
                let on = match on {
                    TlsOn::Control => "control",
                    TlsOn::Data => "data",
                };
                write!(f, "{head} * {on} {step}")
            }
            What::Closed(reason) => write!(f, "{head} - {}", escape(reason.as_bytes())),
            What::Note(text) => write!(f, "{head} # {}", escape(text.as_bytes())),
        }
    }
}

impl fmt::Display for TlsStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secured {
                version,
                suite,
                resumed,
                took,
                certificate,
            } => write!(
                f,
                "secured {} {} {} {} {}",
                word(version),
                word(suite),
                if *resumed { "resumed" } else { "anew" },
                took.as_millis(),
                word(certificate.as_deref().unwrap_or_default())
            ),
            Self::Failed { took, reason } => {
                write!(
                    f,
                    "failed {} {}",
                    took.as_millis(),
                    escape(reason.as_bytes())
                )
            }
            Self::Cleared => f.write_str("cleared"),
        }
    }
}

/// One word, whatever it was; nothing is `-`.
fn word(text: &str) -> String {
    let word = escape(text.as_bytes()).replace(char::is_whitespace, "_");
    if word.is_empty() {
        "-".to_owned()
    } else {
        word
    }
}

/// A whole trace: the header and a line or more per event.
pub fn write(events: &[Event]) -> String {
    let mut text = String::from(HEADER);
    text.push('\n');
    for event in events {
        // writing to a String does not fail
        let _ = writeln!(text, "{event}");
    }
    text
}

/// Controls, invalid UTF-8 and the backslash made visible, so that one line of text holds any bytes and gives them
/// back. Invisible and direction-changing characters are escaped as well: a trace is read by people.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str(r"\\"),
                c if c.is_control() || misleads(c) => {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        let _ = write!(out, "\\x{byte:02x}");
                    }
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Line and paragraph separators, and the marks that reorder or hide text (Unicode UAX #9).
fn misleads(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64, session: u64, what: What) -> Event {
        Event {
            at: Duration::from_millis(millis),
            session,
            what,
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn one_of_each() -> Vec<Event> {
        let (user, server) = (address("192.0.2.7:40000"), address("[2001:db8::9]:21"));
        vec![
            at(
                0,
                1,
                What::Connected {
                    side: Side::Server,
                    local: server,
                    peer: user,
                },
            ),
            at(5, 1, What::Reply(vec![b"220 ready".to_vec()])),
            at(1005, 1, What::Command(b"PASS ****".to_vec())),
            at(
                1006,
                2,
                What::Reply(vec![
                    b"211-features".to_vec(),
                    b" UTF8".to_vec(),
                    b"211 end".to_vec(),
                ]),
            ),
            at(
                1007,
                2,
                What::DataAwaited {
                    opener: Opener::User,
                    at: server,
                },
            ),
            at(
                1008,
                2,
                What::DataOpened {
                    opener: Opener::User,
                    local: server,
                    peer: user,
                },
            ),
            at(
                1009,
                2,
                What::DataOpened {
                    opener: Opener::Server,
                    local: server,
                    peer: user,
                },
            ),
            at(
                1010,
                2,
                What::DataFailed {
                    opener: Opener::Server,
                    at: user,
                    reason: "no answer in 10 s".to_owned(),
                },
            ),
            at(1011, 2, What::Stranger { peer: user }),
            at(
                1012,
                2,
                What::DataClosed {
                    bytes: u64::MAX,
                    end: DataEnd::Clean,
                },
            ),
            at(
                1013,
                2,
                What::DataClosed {
                    bytes: 0,
                    end: DataEnd::Broken,
                },
            ),
            at(
                3_600_000,
                2,
                What::Command(b"RETR \xff\\\x1b[1m\xe2\x80\xae ".to_vec()),
            ),
            at(
                3_600_000,
                2,
                What::Tls {
                    on: TlsOn::Control,
                    step: TlsStep::Secured {
                        version: "1.3".to_owned(),
                        suite: "TLS13_AES_256_GCM_SHA384".to_owned(),
                        resumed: false,
                        took: Duration::from_millis(98),
                        certificate: Some("AB:CD".to_owned()),
                    },
                },
            ),
            at(
                3_600_000,
                2,
                What::Tls {
                    on: TlsOn::Data,
                    step: TlsStep::Secured {
                        version: "1.2".to_owned(),
                        suite: "-".to_owned(),
                        resumed: true,
                        took: Duration::ZERO,
                        certificate: None,
                    },
                },
            ),
            at(
                3_600_000,
                2,
                What::Tls {
                    on: TlsOn::Data,
                    step: TlsStep::Failed {
                        took: Duration::from_secs(2),
                        reason: "the peer cut the connection".to_owned(),
                    },
                },
            ),
            at(
                3_600_000,
                2,
                What::Tls {
                    on: TlsOn::Control,
                    step: TlsStep::Cleared,
                },
            ),
            at(3_600_000, 2, What::Note("a note".to_owned())),
            at(3_600_001, 1, What::Closed("end".to_owned())),
        ]
    }

    #[test]
    fn the_text_is_made_for_people() {
        expect![[r"
            # wharf trace 1
            @0.000 s1 + server [2001:db8::9]:21 192.0.2.7:40000
            @0.005 s1 < 220 ready
            @1.005 s1 > PASS ****
            @1.006 s2 < 211-features
            @1.006 s2 <  UTF8
            @1.006 s2 < 211 end
            @1.007 s2 ! awaited user [2001:db8::9]:21
            @1.008 s2 ! opened user [2001:db8::9]:21 192.0.2.7:40000
            @1.009 s2 ! opened server [2001:db8::9]:21 192.0.2.7:40000
            @1.010 s2 ! failed server 192.0.2.7:40000 no answer in 10 s
            @1.011 s2 ! stranger 192.0.2.7:40000
            @1.012 s2 ! closed 18446744073709551615 end
            @1.013 s2 ! closed 0 broken
            @3600.000 s2 > RETR \xff\\\x1b[1m\xe2\x80\xae 
            @3600.000 s2 * control secured 1.3 TLS13_AES_256_GCM_SHA384 anew 98 AB:CD
            @3600.000 s2 * data secured 1.2 - resumed 0 -
            @3600.000 s2 * data failed 2000 the peer cut the connection
            @3600.000 s2 * control cleared
            @3600.000 s2 # a note
            @3600.001 s1 - end
        "]]
        .assert_eq(&write(&one_of_each()));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let transcript = read(write(&one_of_each()).as_bytes());
        assert_eq!(transcript.unread, []);
        assert_eq!(transcript.events, one_of_each());
    }

    #[test]
    fn a_transcript_by_hand_needs_no_times() {
        let transcript = read(b"> USER joe\r\n  < 331 password\n\n@2.5\n> PASS ****\n< 230-hello\n< 331 not the end\n<  230 neither\n< 230 welcome\nwhat?\n! nonsense\n@x\n@9 s7 # late");
        let got: Vec<(u64, u64, String)> = transcript
            .events
            .iter()
            .map(|event| {
                (
                    u64::try_from(event.at.as_millis()).unwrap(),
                    event.session,
                    format!(
                        "{:?}",
                        event.what.code().ok_or(()).map_err(|()| &event.what)
                    ),
                )
            })
            .collect();
        expect![[r#"
            [
                (
                    0,
                    1,
                    "Err(Command([85, 83, 69, 82, 32, 106, 111, 101]))",
                ),
                (
                    0,
                    1,
                    "Ok(331)",
                ),
                (
                    2500,
                    1,
                    "Err(Command([80, 65, 83, 83, 32, 42, 42, 42, 42]))",
                ),
                (
                    2500,
                    1,
                    "Ok(230)",
                ),
                (
                    9000,
                    7,
                    "Err(Note(\"late\"))",
                ),
            ]
        "#]]
        .assert_debug_eq(&got);
        let lines: Vec<usize> = transcript.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [10, 11, 12]);
    }

    #[test]
    fn a_reply_that_never_ends_is_still_told() {
        let transcript = read(b"< 211-features\n<  UTF8\n@1 s2 < 200 other session");
        assert_eq!(transcript.events.len(), 2);
        assert_eq!(
            transcript
                .events
                .first()
                .and_then(|event| event.what.code()),
            Some(211)
        );
    }

    #[test]
    fn a_reply_value_becomes_its_wire_lines() {
        let lines = vec![
            crate::Text::lossy("first"),
            crate::Text::lossy("200 inside"),
            crate::Text::lossy("last"),
        ];
        let What::Reply(wire) = What::reply(&Reply::with_lines(200, lines)) else {
            panic!()
        };
        assert_eq!(
            wire,
            [
                b"200-first".to_vec(),
                b" 200 inside".to_vec(),
                b"200 last".to_vec()
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_survive_the_text(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let event = at(1, 1, What::Command(line));
            let transcript = read(event.to_string().as_bytes());
            prop_assert_eq!(transcript.events, vec![event]);
        }

        #[test]
        fn reading_never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&text);
        }
    }
}
