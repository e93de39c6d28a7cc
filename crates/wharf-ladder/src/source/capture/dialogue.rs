//! A control connection, read from its bytes: commands with their secrets masked, replies, and what they arrange for
//! data connections.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wharf_proto::data_connection::Opener;
use wharf_proto::host_port::{
    EprtArgument, LprtArgument, read_227, read_228, read_229, read_eprt, read_lprt, read_port,
};
use wharf_proto::trace::What;
use wharf_proto::{Command, Line, LineDecoder, Reply, ReplyDecoder, ReplyLimits, Verb};

use super::connection::Mark;
use super::stream::{Piece, Stream};

/// Longest command line and reply line that is kept.
const LINE: usize = 4096;

const REPLIES: ReplyLimits = ReplyLimits {
    line: LINE,
    lines: 10_000,
    bytes: 1 << 20,
};

/// Commands that may wait for their replies.
const OUTSTANDING: usize = 64;

/// Verbs that begin a transfer.
const TRANSFERS: [&[u8]; 7] = [
    b"RETR", b"STOR", b"STOU", b"APPE", b"LIST", b"NLST", b"MLSD",
];

/// Where the next data connection was arranged to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Who is to open it.
    pub(super) opener: Opener,
    /// The address that was named; that of the control connection where none was.
    pub(super) named: SocketAddr,
    /// Since when.
    pub(super) since: Mark,
    /// The reply that says that nobody came.
    pub(super) in_vain: Option<Mark>,
    /// Arranged by nobody: RFC 959's default data port.
    pub(super) by_default: bool,
}

/// What was said on one control connection.
#[derive(Debug)]
pub(super) struct Dialogue<'a> {
    server: SocketAddr,
    /// What happened, in order.
    pub(super) events: Vec<(Mark, What)>,
    /// What was arranged, in order.
    pub(super) offers: Vec<Offer>,
    /// From here on it is encrypted.
    pub(super) opaque: Option<Mark>,
    commands: Stream<'a>,
    replies: Stream<'a>,
    lines: LineDecoder,
    decoder: ReplyDecoder,
    /// After a gap the rest of a line means nothing.
    commands_torn: bool,
    replies_torn: bool,
    /// Verbs without final reply, and what each arranges when it gets one.
    outstanding: VecDeque<Outstanding>,
    /// Lines that were no replies.
    unread: usize,
    /// The greeting is behind us.
    greeted: bool,
}

#[derive(Clone, Debug)]
struct Outstanding {
    verb: Vec<u8>,
    names: Option<SocketAddr>,
}

impl<'a> Dialogue<'a> {
    /// Between these two ends.
    ///
    /// `from_start`: the capture shows how it began, and so the greeting comes first.
    pub(super) fn new(user: SocketAddr, server: SocketAddr, begin: Mark, from_start: bool) -> Self {
        Self {
            server,
            events: Vec::new(),
            offers: vec![Offer {
                opener: Opener::Server,
                named: user,
                since: begin,
                in_vain: None,
                by_default: true,
            }],
            opaque: None,
            commands: Stream::default(),
            replies: Stream::default(),
            lines: LineDecoder::new(LINE),
            decoder: ReplyDecoder::new(REPLIES),
            commands_torn: false,
            replies_torn: false,
            outstanding: VecDeque::new(),
            unread: 0,
            greeted: !from_start,
        }
    }

    /// Takes a segment of the user's or the server's.
    pub(super) fn segment(
        &mut self,
        by_user: bool,
        segment: &super::packet::Segment<'a>,
        mark: Mark,
    ) {
        if self.opaque.is_some() {
            return;
        }
        let mut pieces = Vec::new();
        // First what the other side is told to have arrived: the answer to a line never comes before it.
        if let Some(acknowledged) = segment.acknowledged.filter(|_| !segment.syn) {
            let other = self.stream(!by_user);
            other.acknowledged(acknowledged, &mut pieces);
            self.pieces(!by_user, &pieces, mark);
            pieces.clear();
        }
        let stream = self.stream(by_user);
        if segment.syn {
            stream.begin(segment.sequence);
        } else if !segment.rst {
            stream.segment(segment.sequence, segment.payload, segment.cut, &mut pieces);
        }
        self.pieces(by_user, &pieces, mark);
    }

    /// Nothing more comes; `mark` is where the capture or the connection ends.
    pub(super) fn finish(&mut self, mark: Mark) {
        for by_user in [true, false] {
            let mut pieces = Vec::new();
            self.stream(by_user).finish(&mut pieces);
            self.pieces(by_user, &pieces, mark);
        }
        if self.unread > 0 {
            let text = format!("{} lines of the server are no replies", self.unread);
            self.note(mark, text);
        }
    }

    fn stream(&mut self, of_user: bool) -> &mut Stream<'a> {
        if of_user {
            &mut self.commands
        } else {
            &mut self.replies
        }
    }

    fn note(&mut self, mark: Mark, text: String) {
        self.events.push((mark, What::Note(text)));
    }

    fn pieces(&mut self, by_user: bool, pieces: &[Piece<'a>], mark: Mark) {
        for piece in pieces {
            match piece {
                _ if self.opaque.is_some() => return,
                Piece::Bytes(bytes) if by_user => self.command_bytes(bytes, mark),
                Piece::Bytes(bytes) => self.reply_bytes(bytes, mark),
                Piece::Gap(bytes) => self.gap(by_user, *bytes, mark),
            }
        }
    }

    fn gap(&mut self, by_user: bool, bytes: u64, mark: Mark) {
        let whose = if by_user { "user" } else { "server" };
        self.note(
            mark,
            format!("the capture lacks {bytes} bytes of what the {whose} said here"),
        );
        if by_user {
            self.lines = LineDecoder::new(LINE);
            self.commands_torn = true;
        } else {
            self.decoder = ReplyDecoder::new(REPLIES);
            self.replies_torn = true;
        }
        // Which reply belongs to which command is not known any more.
        self.outstanding.clear();
    }

    fn command_bytes(&mut self, bytes: &[u8], mark: Mark) {
        let mut rest = untorn(bytes, &mut self.commands_torn);
        if self.offers.len() == 1 && self.events.len() <= 1 && is_tls(rest) {
            self.encrypted(mark);
            return;
        }
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.lines.room().min(rest.len()));
            self.lines.push(now);
            rest = later;
            while let Some(line) = self.lines.next() {
                match line {
                    Line::Command(line) => self.command(&line, mark),
                    Line::TooLong => self.note(mark, "an over-long command line".to_owned()),
                    Line::Synch => self.note(mark, "Telnet Synch".to_owned()),
                }
            }
            if now.is_empty() {
                return;
            }
        }
    }

    fn reply_bytes(&mut self, bytes: &[u8], mark: Mark) {
        let rest = untorn(bytes, &mut self.replies_torn);
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            if self.opaque.is_some() {
                return;
            }
            self.decoder.push(line);
            loop {
                match self.decoder.next() {
                    Ok(Some(reply)) => self.reply(&reply, mark),
                    Ok(None) => break,
                    Err(_) => {
                        // The next line may be one.
                        self.decoder = ReplyDecoder::new(REPLIES);
                        self.unread += 1;
                        break;
                    }
                }
            }
        }
    }

    fn command(&mut self, line: &[u8], mark: Mark) {
        self.events.push((mark, What::Command(shown(line))));
        let line = line.trim_ascii();
        let at = line
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(line.len());
        let (verb, argument) = line.split_at(at);
        let verb = verb.to_ascii_uppercase();
        let names = match verb.as_slice() {
            b"PORT" => read_port(argument).ok().map(SocketAddr::V4),
            b"EPRT" => match read_eprt(argument) {
                Ok(EprtArgument::Address(address)) => Some(address),
                _ => None,
            },
            b"LPRT" => match read_lprt(argument) {
                Ok(LprtArgument::Address(address)) => Some(address),
                _ => None,
            },
            _ => None,
        };
        if TRANSFERS.contains(&verb.as_slice())
            && let Some(offer) = self.offers.last()
            && offer.opener == Opener::Server
            && !offer.by_default
        {
            let (opener, at) = (offer.opener, offer.named);
            self.events.push((mark, What::DataAwaited { opener, at }));
        }
        if self.outstanding.len() < OUTSTANDING {
            self.outstanding.push_back(Outstanding { verb, names });
        }
    }

    fn reply(&mut self, reply: &Reply, mark: Mark) {
        self.events.push((mark, What::reply(reply)));
        let text = reply.text().as_bytes();
        let passive = match reply.code() {
            227 => read_227(text).map(SocketAddr::V4),
            228 => read_228(text),
            229 => read_229(text).map(|port| SocketAddr::new(self.server.ip(), port)),
            _ => None,
        };
        if let Some(named) = passive {
            self.offer(Opener::User, named, mark);
        }
        if reply.code() == 425
            && let Some(offer) = self.offers.last_mut()
        {
            offer.in_vain.get_or_insert(mark);
        }
        // Neither a preliminary reply nor the greeting is the last word about a command.
        if reply.code() < 200 || !std::mem::replace(&mut self.greeted, true) {
            return;
        }
        let Some(answered) = self.outstanding.pop_front() else {
            return;
        };
        if let Some(named) = answered.names
            && (200..300).contains(&reply.code())
        {
            self.offer(Opener::Server, named, mark);
        }
        if answered.verb == b"AUTH" && reply.code() == 234 {
            self.encrypted(mark);
        }
    }

    fn offer(&mut self, opener: Opener, named: SocketAddr, since: Mark) {
        self.offers.push(Offer {
            opener,
            named,
            since,
            in_vain: None,
            by_default: false,
        });
    }

    fn encrypted(&mut self, mark: Mark) {
        self.note(
            mark,
            "TLS from here: what is said cannot be read, and data connections are known by their ends alone"
                .to_owned(),
        );
        self.opaque = Some(mark);
    }
}

/// A command line for people. What a damaged capture glues to it, or leaves of it, may be a password.
fn shown(line: &[u8]) -> Vec<u8> {
    const HIDDEN: &[u8] = b"****";
    let torn = line.iter().position(|byte| matches!(byte, b'\r' | 0));
    let whole = torn.and_then(|at| line.get(..at)).unwrap_or(line);
    let start = whole.iter().position(u8::is_ascii_alphabetic);
    let whole = start.and_then(|at| whole.get(at..)).unwrap_or_default();
    let word = whole.split(|byte| *byte == b' ').next().unwrap_or_default();
    if word.len() > 4 && Verb::find(word).is_none() {
        return HIDDEN.to_vec();
    }
    let mut shown = Command::redact_line(whole).into_bytes();
    if torn.is_some() {
        shown.extend_from_slice(HIDDEN);
    }
    shown
}

/// What follows the first line end when the beginning of the line is missing.
fn untorn<'b>(bytes: &'b [u8], torn: &mut bool) -> &'b [u8] {
    if !*torn {
        return bytes;
    }
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return &[];
    };
    *torn = false;
    bytes.get(end + 1..).unwrap_or_default()
}

/// A TLS handshake record: implicit TLS, as on port 990.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x16, 0x03])
}
