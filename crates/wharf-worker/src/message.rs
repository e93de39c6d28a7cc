//! What is asked of a store in another process, and what it answers: one packet a message, one kind for each operation of
//! [`Storage`](wharf_storage::Storage), every field bounded, nothing left over. Pure: bytes to values and back.
//!
//! Neither side believes the other: a worker may have been taken over by its user, a server by the network. Data of files
//! is in no message. A file that is read or uploaded travels as a descriptor beside the answer.

use std::time::SystemTime;

use wharf_proto::Pathname;
use wharf_storage::{Entry, ErrorKind, Kind, ListOrder, Metadata, Write};

use crate::packet::{In, LONGEST, Malformed, Out};

/// The longest name of a file, of anything that is read.
const LONGEST_NAME: usize = 1024;

/// The longest target of a symbolic link.
const LONGEST_TARGET: usize = 4096;

/// The longest reason, in bytes; it is for the log.
const LONGEST_REASON: usize = 512;

/// The longest number of a file in words (`unique`).
const LONGEST_UNIQUE: usize = 128;

/// A question, with the number by which its answer is known. A listing or an upload that comes of it has that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The asker's choice; none that is still in use.
    pub number: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// [`Storage::metadata`](wharf_storage::Storage::metadata).
    Metadata(Pathname),
    /// [`Storage::link_metadata`](wharf_storage::Storage::link_metadata).
    LinkMetadata(Pathname),
    /// [`Storage::read_link`](wharf_storage::Storage::read_link).
    ReadLink(Pathname),
    /// [`Storage::list`](wharf_storage::Storage::list).
    List(Pathname, ListOrder),
    /// [`Listing::next`](wharf_storage::Listing::next) of the listing with that number.
    Next(u32),
    /// [`Storage::open`](wharf_storage::Storage::open).
    Open(Pathname, u64),
    /// [`Storage::create`](wharf_storage::Storage::create).
    Create(Pathname, Write),
    /// [`Upload::commit`](wharf_storage::Upload::commit) of the upload with that number.
    Commit(u32),
    /// [`Upload::abandon`](wharf_storage::Upload::abandon).
    Abandon(u32),
    /// [`Storage::remove_file`](wharf_storage::Storage::remove_file).
    RemoveFile(Pathname),
    /// [`Storage::create_dir`](wharf_storage::Storage::create_dir).
    CreateDir(Pathname),
    /// [`Storage::remove_dir`](wharf_storage::Storage::remove_dir).
    RemoveDir(Pathname),
    /// [`Storage::rename`](wharf_storage::Storage::rename).
    Rename(Pathname, Pathname),
    /// [`Storage::set_modified`](wharf_storage::Storage::set_modified).
    SetModified(Pathname, SystemTime),
    /// [`Storage::set_mode`](wharf_storage::Storage::set_mode).
    SetMode(Pathname, u32),
    /// [`Storage::free_space`](wharf_storage::Storage::free_space).
    FreeSpace(Pathname),
    /// Nobody waits any more for what has that number: a question is given up, a listing or an upload dropped. It has no
    /// answer.
    Forget(u32),
}

/// What is answered to the question with that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of the question.
    pub number: u32,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done; a listing is open.
    Done,
    /// The facts.
    Metadata(Metadata),
    /// Where a link points.
    Target(Vec<u8>),
    /// Some entries; without any the listing has ended and is forgotten.
    Entries(Vec<Entry>),
    /// An open file, which is beside it.
    Reader {
        /// Of the whole file, in bytes.
        length: u64,
    },
    /// An upload on its way; its file is beside it.
    Upload {
        /// Under which name it will appear.
        name: Pathname,
        /// Where in the file the first new byte goes.
        begins_at: u64,
    },
    /// Bytes that can still be written, where known.
    Space(Option<u64>),
    /// It was refused.
    Refused {
        /// What the user is told.
        kind: ErrorKind,
        /// What the log is told.
        why: String,
    },
}

impl Request {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.four(self.number);
        match &self.ask {
            Ask::Metadata(path) => out.byte(1).path(path),
            Ask::LinkMetadata(path) => out.byte(2).path(path),
            Ask::ReadLink(path) => out.byte(3).path(path),
            Ask::List(path, order) => {
                out.byte(4).path(path);
                out.switch(*order == ListOrder::Unsorted)
            }
            Ask::Next(listing) => out.byte(5).four(*listing),
            Ask::Open(path, at) => out.byte(6).path(path).eight(*at),
            Ask::Create(path, how) => {
                out.byte(7).path(path);
                match how {
                    Write::Replace => out.byte(1),
                    Write::New => out.byte(2),
                    Write::Append => out.byte(3),
                    Write::At(at) => out.byte(4).eight(*at),
                    Write::Unique { prefix } => out.byte(5).bytes(prefix),
                }
            }
            Ask::Commit(upload) => out.byte(8).four(*upload),
            Ask::Abandon(upload) => out.byte(9).four(*upload),
            Ask::RemoveFile(path) => out.byte(10).path(path),
            Ask::CreateDir(path) => out.byte(11).path(path),
            Ask::RemoveDir(path) => out.byte(12).path(path),
            Ask::Rename(from, to) => out.byte(13).path(from).path(to),
            Ask::SetModified(path, time) => out.byte(14).path(path).time(*time),
            Ask::SetMode(path, mode) => out.byte(15).path(path).four(*mode),
            Ask::FreeSpace(path) => out.byte(16).path(path),
            Ask::Forget(number) => out.byte(17).four(*number),
        };
        out.0
    }

    /// From a packet.
    ///
    /// # Errors
    /// Whatever [`encode`](Self::encode) would not have written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let number = rest.four()?;
        let ask = match rest.byte()? {
            1 => Ask::Metadata(rest.path()?),
            2 => Ask::LinkMetadata(rest.path()?),
            3 => Ask::ReadLink(rest.path()?),
            4 => Ask::List(
                rest.path()?,
                if rest.switch()? {
                    ListOrder::Unsorted
                } else {
                    ListOrder::Name
                },
            ),
            5 => Ask::Next(rest.four()?),
            6 => Ask::Open(rest.path()?, rest.eight()?),
            7 => Ask::Create(rest.path()?, how(&mut rest)?),
            8 => Ask::Commit(rest.four()?),
            9 => Ask::Abandon(rest.four()?),
            10 => Ask::RemoveFile(rest.path()?),
            11 => Ask::CreateDir(rest.path()?),
            12 => Ask::RemoveDir(rest.path()?),
            13 => Ask::Rename(rest.path()?, rest.path()?),
            14 => Ask::SetModified(rest.path()?, rest.time()?),
            15 => Ask::SetMode(rest.path()?, rest.four()?),
            16 => Ask::FreeSpace(rest.path()?),
            17 => Ask::Forget(rest.four()?),
            _ => return Err(Malformed("no such question")),
        };
        rest.end()?;
        Ok(Self { number, ask })
    }
}

fn how(rest: &mut In<'_>) -> Result<Write, Malformed> {
    Ok(match rest.byte()? {
        1 => Write::Replace,
        2 => Write::New,
        3 => Write::Append,
        4 => Write::At(rest.eight()?),
        5 => Write::Unique {
            prefix: rest.bytes(Pathname::MAX_LENGTH)?.to_vec(),
        },
        _ => return Err(Malformed("no such way to write")),
    })
}

impl Reply {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.four(self.number);
        match &self.answer {
            Answer::Done => out.byte(1),
            Answer::Metadata(facts) => {
                out.byte(2);
                metadata_out(&mut out, facts);
                &mut out
            }
            Answer::Target(target) => out.byte(3).bytes(target),
            Answer::Entries(entries) => {
                out.byte(4)
                    .two(u16::try_from(entries.len()).unwrap_or(u16::MAX));
                for entry in entries {
                    out.0.extend(entry_bytes(entry));
                }
                &mut out
            }
            Answer::Reader { length } => out.byte(5).eight(*length),
            Answer::Upload { name, begins_at } => out.byte(6).path(name).eight(*begins_at),
            Answer::Space(bytes) => out.byte(7).optional(*bytes, |out, bytes| {
                out.eight(bytes);
            }),
            Answer::Refused { kind, why } => {
                let number = KINDS.iter().position(|it| it == kind);
                let number = number.and_then(|number| u8::try_from(number).ok());
                out.byte(8).byte(number.unwrap_or(OTHER));
                out.bytes(cut(why, LONGEST_REASON).as_bytes())
            }
        };
        out.0
    }

    /// From a packet.
    ///
    /// # Errors
    /// Whatever [`encode`](Self::encode) would not have written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let number = rest.four()?;
        let answer = match rest.byte()? {
            1 => Answer::Done,
            2 => Answer::Metadata(metadata_in(&mut rest)?),
            3 => Answer::Target(rest.bytes(LONGEST_TARGET)?.to_vec()),
            4 => {
                let count = rest.two()?;
                let entries = (0..count).map(|_| entry_in(&mut rest));
                Answer::Entries(entries.collect::<Result<_, _>>()?)
            }
            5 => Answer::Reader {
                length: rest.eight()?,
            },
            6 => Answer::Upload {
                name: rest.path()?,
                begins_at: rest.eight()?,
            },
            7 => Answer::Space(rest.optional(In::eight)?),
            8 => {
                let kind = usize::from(rest.byte()?);
                Answer::Refused {
                    kind: *KINDS.get(kind).ok_or(Malformed("no such refusal"))?,
                    why: rest.text(LONGEST_REASON)?,
                }
            }
            _ => return Err(Malformed("no such answer")),
        };
        rest.end()?;
        Ok(Self { number, answer })
    }
}

/// Every kind of refusal; its place is its number.
const KINDS: [ErrorKind; 14] = [
    ErrorKind::Io,
    ErrorKind::NotFound,
    ErrorKind::Denied,
    ErrorKind::Exists,
    ErrorKind::IsDirectory,
    ErrorKind::NotDirectory,
    ErrorKind::WrongKind,
    ErrorKind::NotEmpty,
    ErrorKind::NameNotAllowed,
    ErrorKind::InvalidOffset,
    ErrorKind::NoSpace,
    ErrorKind::Quota,
    ErrorKind::Busy,
    ErrorKind::Unsupported,
];

/// The place of [`ErrorKind::Io`], for kinds that a later store may have.
const OTHER: u8 = 0;

/// As many of the entries as fit in one packet, at least one; the others stay.
pub(crate) fn fitting(waiting: &mut std::collections::VecDeque<Entry>) -> Vec<Entry> {
    let mut room = LONGEST - 16;
    let mut taken = Vec::new();
    while let Some(entry) = waiting.pop_front() {
        let length = entry_bytes(&entry).len();
        if length > room {
            waiting.push_front(entry);
            break;
        }
        room -= length;
        taken.push(entry);
    }
    taken
}

fn entry_bytes(entry: &Entry) -> Vec<u8> {
    let mut out = Out::default();
    out.bytes(&entry.name);
    metadata_out(&mut out, &entry.metadata);
    out.optional(entry.link_target.as_deref(), |out, target| {
        out.bytes(target);
    });
    out.0
}

fn entry_in(rest: &mut In<'_>) -> Result<Entry, Malformed> {
    let name = rest.bytes(LONGEST_NAME)?.to_vec();
    if matches!(name.as_slice(), b"" | b"." | b"..") || name.iter().any(|it| matches!(it, 0 | b'/'))
    {
        return Err(Malformed("not the name of an entry"));
    }
    Ok(Entry {
        name,
        metadata: metadata_in(rest)?,
        link_target: rest.optional(|rest| Ok(rest.bytes(LONGEST_TARGET)?.to_vec()))?,
    })
}

fn metadata_out(out: &mut Out, facts: &Metadata) {
    out.byte(match facts.kind {
        Kind::File => 1,
        Kind::Directory => 2,
        Kind::Symlink => 3,
        Kind::Other => 4,
    });
    out.eight(facts.size).time(facts.modified);
    for number in [facts.mode, facts.uid, facts.gid] {
        out.optional(number, |out, number| {
            out.four(number);
        });
    }
    out.eight(facts.links);
    out.optional(facts.unique.as_deref(), |out, unique| {
        out.bytes(unique.as_bytes());
    });
}

fn metadata_in(rest: &mut In<'_>) -> Result<Metadata, Malformed> {
    Ok(Metadata {
        kind: match rest.byte()? {
            1 => Kind::File,
            2 => Kind::Directory,
            3 => Kind::Symlink,
            4 => Kind::Other,
            _ => return Err(Malformed("no such kind")),
        },
        size: rest.eight()?,
        modified: rest.time()?,
        mode: rest.optional(In::four)?,
        uid: rest.optional(In::four)?,
        gid: rest.optional(In::four)?,
        links: rest.eight()?,
        unique: rest.optional(|rest| rest.text(LONGEST_UNIQUE))?,
    })
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let end = text.floor_char_boundary(most);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
