//! Directories: MLSD where it is offered (exact, in UTC), LIST otherwise, read with the dialects that `wharf_proto` knows.
//! Either way the result is an [`Entry`].
//!
//! Names are the server's bytes and never interpreted here; [`local_name`](crate::local_name) judges whether one may
//! become a local file.

use tokio::io::AsyncReadExt;
use wharf_proto::command::ListArgument;
use wharf_proto::facts::{FactType, Facts};
use wharf_proto::listing::Dialect;
use wharf_proto::listing::zone::Zone;
use wharf_proto::{Command, Pathname, Reply, ReplyClass};

use crate::charset::Charset;
use crate::client::Client;
use crate::data::Opened;
use crate::download::Download;
use crate::entry::{Entry, EntryKind, Line, Modified, Reader};
use crate::error::{Access, Error, ErrorKind, Result};
use crate::reach::Content;
use crate::verbs::is_about_the_file;

/// Longest line of a listing; longer than any name on any file system.
const LINE_LIMIT: usize = 64 * 1024;

/// Told once, when the charset was left open.
const NOT_UTF8: &str = "names here are not all UTF-8: bytes that are not are kept, and shown as \\xNN; a charset (--charset gbk, cp1251, sjis, latin1, ...) shows them";

/// A directory that is being listed.
pub struct Listing<'c> {
    lines: Lines<'c>,
    format: Format,
    /// A name was not UTF-8.
    not_utf8: bool,
    /// Lines that were understood.
    read: u64,
    /// Lines that were not, and the last of them.
    unread: u64,
    last_unread: Vec<u8>,
}

enum Format {
    Mlsd,
    List(Box<Reader>),
}

/// What the listings of a server have told about it, and later ones are read with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listings {
    /// The dialect of its LIST.
    dialect: Option<&'static Dialect>,
    /// How far the times in LIST are from UTC.
    pub(crate) zone: Zone,
    /// Files that were asked for their exact time to find that out.
    pub(crate) asked: u8,
    /// It was told that names are not UTF-8.
    told_not_utf8: bool,
}

impl Client {
    /// Lists a directory (`None`: the current one), entry by entry as they arrive. MLSD, or LIST when the server has no
    /// MLSD. The listing must be read to its end, or be dropped, before the client can do anything else.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`], [`ErrorKind::DataConnection`].
    pub async fn listing(&mut self, path: Option<&Pathname>) -> Result<Listing<'_>> {
        if self.offers("MLSD") {
            let command = Command::Mlsd(path.cloned());
            match self.open_listing(&command).await {
                Ok(opened) => {
                    let lines = Lines::new(Download::of_listing(self, &command, opened));
                    return Ok(Listing::new(lines, Format::Mlsd));
                }
                Err(error) if error.kind() == ErrorKind::Unsupported => self.not_offered("MLSD"),
                Err(error) => return Err(error),
            }
        }
        let command = Command::List(self.list_argument(path));
        let opened = self.open_listing(&command).await?;
        let reader = Reader::new(self.listings.zone, self.listings.dialect);
        let lines = Lines::new(Download::of_listing(self, &command, opened));
        Ok(Listing::new(lines, Format::List(Box::new(reader))))
    }

    /// Lists a directory (`None`: the current one) into memory.
    ///
    /// # Errors
    /// Those of [`listing`](Self::listing) and [`Listing::next`].
    pub async fn list(&mut self, path: Option<&Pathname>) -> Result<Vec<Entry>> {
        match path {
            Some(path) if !self.offers("MLSD") && is_globbed(path) => {
                self.inside(path, async |client| client.collect(None).await)
                    .await
            }
            Some(path) => {
                let entries = self.collect(Some(path)).await?;
                if entries.is_empty() && !self.offers("MLSD") {
                    // vsftpd answers LIST of a missing name like LIST of an empty directory.
                    self.inside(path, async |_| Ok(())).await?;
                }
                Ok(entries)
            }
            None => self.collect(None).await,
        }
    }

    async fn collect(&mut self, path: Option<&Pathname>) -> Result<Vec<Entry>> {
        match self.collect_once(path).await {
            Err(error) if error.is_unconfirmed() => {
                self.repeat_listing(&error).await?;
                self.collect_once(path).await
            }
            collected => collected,
        }
    }

    /// All of a listing came, as it seems, and no final reply: nothing tells whether it is whole, but it can be had again.
    async fn repeat_listing(&mut self, error: &Error) -> Result<()> {
        tracing::debug!(%error, "listed again");
        self.log_in_anew("listed again: control connection lost (idle NAT?)")
            .await
    }

    async fn collect_once(&mut self, path: Option<&Pathname>) -> Result<Vec<Entry>> {
        let mut listing = match self.listing(path).await {
            Ok(listing) => listing,
            Err(error) if says_nothing_there(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        while let Some(entry) = listing.next().await? {
            entries.push(entry);
        }
        Ok(entries)
    }

    /// NLST: names only, as the server writes them: bare, or with the path that was asked for in front. An argument with
    /// `*` or `?` is a pattern to most servers.
    ///
    /// # Errors
    /// As [`listing`](Self::listing).
    pub async fn nlst(&mut self, path: Option<&Pathname>) -> Result<Vec<Vec<u8>>> {
        let command = Command::Nlst(self.list_argument(path));
        self.lines_of(&command).await
    }

    /// LIST, each line as it came.
    ///
    /// # Errors
    /// As [`listing`](Self::listing).
    pub async fn raw_list(&mut self, path: Option<&Pathname>) -> Result<Vec<Vec<u8>>> {
        let command = Command::List(self.list_argument(path));
        self.lines_of(&command).await
    }

    /// LIST with the flags that are understood everywhere, each line as it came.
    ///
    /// # Errors
    /// As [`listing`](Self::listing).
    pub async fn raw_list_with(&mut self, mut argument: ListArgument) -> Result<Vec<Vec<u8>>> {
        argument.path = argument.path.as_ref().map(no_flag);
        self.lines_of(&Command::List(argument)).await
    }

    /// MLSD, each line as it came: facts and name (RFC 3659 §7).
    ///
    /// # Errors
    /// As [`listing`](Self::listing).
    pub async fn raw_mlsd(&mut self, path: Option<&Pathname>) -> Result<Vec<Vec<u8>>> {
        let command = Command::Mlsd(path.cloned());
        self.lines_of(&command).await
    }

    async fn lines_of(&mut self, command: &Command) -> Result<Vec<Vec<u8>>> {
        match self.lines_once(command).await {
            Err(error) if error.is_unconfirmed() => {
                self.repeat_listing(&error).await?;
                self.lines_once(command).await
            }
            lines => lines,
        }
    }

    async fn lines_once(&mut self, command: &Command) -> Result<Vec<Vec<u8>>> {
        let mut lines = match self.open_listing(command).await {
            Ok(opened) => Lines::new(Download::of_listing(self, command, opened)),
            Err(error) if says_nothing_there(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut all = Vec::new();
        while let Some(line) = lines.next().await? {
            if !line.is_empty() {
                all.push(lines.in_utf8(line));
            }
        }
        Ok(all)
    }

    /// What one name is: MLST; else SIZE and MDTM, which tell a file; else the listing of its parent.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn entry(&mut self, path: &Pathname) -> Result<Entry> {
        if self.offers("MLST") {
            match self.entry_of_mlst(path).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                answered => return answered,
            }
        }
        let name = path.file_name().unwrap_or(path.as_bytes()).to_vec();
        match self.size(path).await {
            Ok(Some(size)) => {
                let modified = match self.modified(path).await {
                    Ok(modified) => modified.map(Modified::Utc),
                    Err(error) if is_about_the_file(&error) => None,
                    Err(error) => return Err(error),
                };
                return Ok(Entry {
                    size: Some(size),
                    modified,
                    ..Entry::new(name, EntryKind::File)
                });
            }
            Ok(None) => {}
            Err(error) if is_about_the_file(&error) => {}
            Err(error) => return Err(error),
        }
        if path.file_name().is_none() || matches!(path.as_bytes(), b"." | b"..") {
            self.inside(path, async |_| Ok(())).await?;
            return Ok(Entry::new(name, EntryKind::Directory));
        }
        let parent = path.parent();
        let entries = self.list(parent.as_ref()).await?;
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                format!("{}: not in the listing of its directory", path.display()),
            )
        };
        entries
            .into_iter()
            .find(|it| it.name == name)
            .ok_or_else(missing)
    }

    pub(crate) async fn entry_of_mlst(&mut self, path: &Pathname) -> Result<Entry> {
        let mlst = Command::Mlst(Some(path.clone()));
        let reply = self.ask(&mlst).await?;
        if reply.class() != ReplyClass::Completion {
            return Err(Error::refused(Access::Reads, mlst.redacted(), reply));
        }
        match facts_of(&reply) {
            Some(facts) => {
                let name = path.file_name().unwrap_or(path.as_bytes()).to_vec();
                Ok(Entry::from_facts(facts, name))
            }
            None => Err(
                Error::new(ErrorKind::Protocol, "MLST: no facts in the reply").with_reply(reply),
            ),
        }
    }

    async fn open_listing(&mut self, command: &Command) -> Result<Opened> {
        self.open_data(command, 0, Content::Listing, Access::Reads)
            .await
    }

    fn list_argument(&self, path: Option<&Pathname>) -> ListArgument {
        let mut argument = ListArgument::of(path.map(no_flag));
        argument.all = self.options().list_hidden;
        argument
    }

    /// Does something in another directory and comes back.
    async fn inside<T>(
        &mut self,
        path: &Pathname,
        act: impl AsyncFnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let here = self.current_dir().await?;
        let before = self.directory().cloned();
        self.change_dir(path).await?;
        let done = act(self).await;
        self.come_back(&here, before).await?;
        done
    }
}

impl<'c> Listing<'c> {
    fn new(lines: Lines<'c>, format: Format) -> Self {
        Self {
            lines,
            format,
            not_utf8: false,
            read: 0,
            unread: 0,
            last_unread: Vec::new(),
        }
    }

    /// The next entry, `None` when the listing is complete and the server has confirmed it. Entries for the directory
    /// itself and its parent are left out. Cancel-safe.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when no line is understood, and when the listing exceeds its limits;
    /// [`ErrorKind::Truncated`] when it was cut off. Some lines that are not understood are no error but a note, and
    /// [`unread`](Self::unread) counts them.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        let entry = self.next_entry().await?;
        match &entry {
            Some(entry) => self.not_utf8 |= std::str::from_utf8(&entry.name).is_err(),
            None if self.not_utf8 => {
                let client = self.lines.download.client();
                if !std::mem::replace(&mut client.listings.told_not_utf8, true) {
                    client.note(NOT_UTF8.to_owned());
                }
            }
            None => {}
        }
        Ok(entry)
    }

    async fn next_entry(&mut self) -> Result<Option<Entry>> {
        while let Some(line) = self.lines.next().await? {
            if line.is_empty() {
                continue;
            }
            match &mut self.format {
                Format::Mlsd => {
                    // One name that no command could carry must not hide all others.
                    let line = self.lines.in_utf8(line);
                    let Ok((facts, path)) = Facts::read_line(&line) else {
                        self.not_understood(line);
                        continue;
                    };
                    self.read += 1;
                    let itself = matches!(
                        facts.kind,
                        Some(FactType::CurrentDirectory | FactType::ParentDirectory)
                    );
                    if !itself && !matches!(path.as_bytes(), b"." | b"..") {
                        return Ok(Some(Entry::from_facts(facts, path.into_bytes())));
                    }
                }
                Format::List(reader) => match reader.line(&line) {
                    Line::Entry(entry) => {
                        self.read += 1;
                        return Ok(Some(entry.map_texts(|bytes| self.lines.in_utf8(bytes))));
                    }
                    Line::Nothing => {}
                    Line::Unknown => self.not_understood(line),
                },
            }
        }
        let verb = match &mut self.format {
            Format::Mlsd => "MLSD",
            Format::List(reader) => {
                let (half, dialect) = (reader.finish(), reader.dialect());
                if let Some(half) = half {
                    self.not_understood(half);
                }
                if dialect.is_some() {
                    self.lines.download.client().listings.dialect = dialect;
                }
                "LIST"
            }
        };
        if self.unread == 0 {
            return Ok(None);
        }
        let line = wharf_proto::visible(&self.last_unread);
        if self.read == 0 {
            let what = format!("{verb}: format not understood: {line}");
            return Err(Error::new(ErrorKind::Protocol, what));
        }
        self.lines.download.note(format!(
            "{verb}: lines not understood were left out, the last: {line}"
        ));
        Ok(None)
    }

    /// Lines that were not understood so far: entries may be missing. Who deletes what is not listed looks here first.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    fn not_understood(&mut self, line: Vec<u8>) {
        self.unread += 1;
        self.last_unread = line;
    }
}

/// The lines of a data connection.
struct Lines<'c> {
    download: Download<'c>,
    buffer: Vec<u8>,
    given: usize,
    seen: u64,
    limit: u64,
    ended: bool,
    confirmed: bool,
    /// What the server writes names in, when it is not UTF-8.
    charset: Option<Charset>,
}

impl<'c> Lines<'c> {
    fn new(mut download: Download<'c>) -> Self {
        let limit = download.listing_limit();
        let charset = download.client().options().charset;
        Self {
            download,
            buffer: Vec::new(),
            given: 0,
            seen: 0,
            limit,
            ended: false,
            confirmed: false,
            charset,
        }
    }

    /// A name, or a line with one.
    fn in_utf8(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.charset {
            Some(charset) => charset.shown(&bytes),
            None => bytes,
        }
    }

    /// The next line without its end. At the end of the data waits for the final reply.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut searched = self.given;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|it| *it == b'\n') {
                let line = &self.buffer[self.given..searched + at];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.given = searched + at + 1;
                return Ok(Some(line));
            }
            if self.ended {
                let rest = self.buffer.split_off(self.given);
                self.given = self.buffer.len();
                if !self.confirmed {
                    self.download.complete().await?;
                    self.confirmed = true;
                }
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.buffer.drain(..self.given);
            self.given = 0;
            searched = self.buffer.len();
            if searched > LINE_LIMIT {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    "a line of the listing is longer than 64 KiB",
                ));
            }
            match self.download.read_buf(&mut self.buffer).await {
                Ok(0) => self.ended = true,
                Ok(n) => self.seen += n as u64,
                Err(error) => return Err(self.download.failed(error).await),
            }
            if self.seen > self.limit {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("the listing is longer than {} bytes", self.limit),
                ));
            }
        }
    }
}

/// The facts in the reply to MLST.
pub(crate) fn facts_of(reply: &Reply) -> Option<Facts> {
    match reply.lines() {
        // The middle line; a server that lists more than one answers something else.
        [_, facts, .., _] => Facts::read_line(facts.as_bytes()).ok().map(|it| it.0),
        _ => None,
    }
}

/// Servers expand patterns in the argument of LIST, and some take a leading `~` for a home.
fn is_globbed(path: &Pathname) -> bool {
    path.as_bytes().iter().any(|it| b"*?[]{}\\".contains(it)) || path.as_bytes().starts_with(b"~")
}

/// A name that begins with `-` is an option to LIST and NLST; with `./` in front it is not.
fn no_flag(path: &Pathname) -> Pathname {
    if path.as_bytes().starts_with(b"-") {
        let mut dotted = b"./".to_vec();
        dotted.extend_from_slice(path.as_bytes());
        return Pathname::new(dotted).unwrap_or_else(|_| path.clone());
    }
    path.clone()
}

/// Some servers answer LIST or NLST of an empty directory with 450 or 550 and such a text.
fn says_nothing_there(error: &Error) -> bool {
    error.reply().is_some_and(|reply: &Reply| {
        let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
        matches!(reply.code(), 450 | 550)
            && (text.contains("no files") || text.contains("directory is empty"))
    })
}
