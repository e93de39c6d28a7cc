//! One method a verb, in the order of RFC 959 §4.1 and the later RFCs. Transfers are in `transfer.rs`, listings in
//! `listing.rs`.
//!
//! Pathnames are sent as they are, in one argument: `a/b/c` means the same to every common server as the CWDs that
//! RFC 1738 §3.2.2 describes, and costs one round trip. For the few that only take names of the current directory there
//! is [`Client::change_dir`].

use wharf_proto::{Command, Pathname, Reply, ReplyClass, Secret, Text, Timestamp};

use crate::client::Client;
use crate::error::{Access, Error, ErrorKind, Result};
use crate::transfer::Known;

impl Client {
    /// CWD.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn change_dir(&mut self, path: &Pathname) -> Result<Reply> {
        let reply = self
            .command(Access::Reads, &Command::Cwd(path.clone()))
            .await?;
        self.moved_to(path);
        Ok(reply)
    }

    /// CDUP.
    ///
    /// # Errors
    /// As [`change_dir`](Self::change_dir).
    pub async fn change_dir_up(&mut self) -> Result<Reply> {
        let reply = self.command(Access::Reads, &Command::Cdup).await?;
        if let Ok(up) = Pathname::new("..") {
            self.moved_to(&up);
        }
        Ok(reply)
    }

    /// PWD: the current directory as the server names it.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the 257 cannot be read.
    pub async fn current_dir(&mut self) -> Result<Pathname> {
        let reply = self.command(Access::Other, &Command::Pwd).await?;
        Pathname::from_257(reply.text().as_bytes()).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "PWD: no directory in the reply").with_reply(reply)
        })
    }

    /// MKD. Returns the name in the 257, or `path` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`], [`ErrorKind::Permission`], [`ErrorKind::NotFound`] when the parent is missing.
    pub async fn make_dir(&mut self, path: &Pathname) -> Result<Pathname> {
        let reply = self
            .command(Access::Writes, &Command::Mkd(path.clone()))
            .await?;
        Ok(Pathname::from_257(reply.text().as_bytes()).unwrap_or_else(|| path.clone()))
    }

    /// RMD.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`]; what a server says about a directory that is not empty varies.
    pub async fn remove_dir(&mut self, path: &Pathname) -> Result<Reply> {
        self.command(Access::Reads, &Command::Rmd(path.clone()))
            .await
    }

    /// DELE.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn remove_file(&mut self, path: &Pathname) -> Result<Reply> {
        self.command(Access::Reads, &Command::Dele(path.clone()))
            .await
    }

    /// RNFR and RNTO.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for `from`, [`ErrorKind::Permission`] or [`ErrorKind::Exists`] for `to`.
    pub async fn rename(&mut self, from: &Pathname, to: &Pathname) -> Result<Reply> {
        let rnfr = Command::Rnfr(from.clone());
        let reply = self.ask(&rnfr).await?;
        if reply.code() != 350 {
            return Err(Error::refused(Access::Reads, rnfr.redacted(), reply));
        }
        self.command(Access::Writes, &Command::Rnto(to.clone()))
            .await
    }

    /// SITE CHMOD with the lower 12 bits of `mode`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn chmod(&mut self, path: &Pathname, mode: u32) -> Result<Reply> {
        let mut line = format!("CHMOD {:o} ", mode & 0o7777).into_bytes();
        line.extend_from_slice(path.as_bytes());
        self.command(Access::Reads, &Command::Site(Text::lossy(line)))
            .await
    }

    /// ACCT: the password of an account, for servers that want one for some commands. Logins to come send it, too.
    ///
    /// # Errors
    /// [`ErrorKind::Login`], [`ErrorKind::Unsupported`].
    pub async fn account(&mut self, password: Secret) -> Result<Reply> {
        let reply = self
            .command(Access::Login, &Command::Acct(password.clone()))
            .await?;
        self.login.account = Some(password);
        Ok(reply)
    }

    /// SITE with anything.
    ///
    /// # Errors
    /// What the reply says.
    pub async fn site(&mut self, line: Text) -> Result<Reply> {
        self.command(Access::Other, &Command::Site(line)).await
    }

    /// SYST.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub async fn system(&mut self) -> Result<Reply> {
        self.command(Access::Other, &Command::Syst).await
    }

    /// STAT without an argument: the server about itself.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub async fn status(&mut self) -> Result<Reply> {
        self.command(Access::Other, &Command::Stat(None)).await
    }

    /// HELP.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub async fn help(&mut self, about: Option<Text>) -> Result<Reply> {
        self.command(Access::Other, &Command::Help(about)).await
    }

    /// NOOP.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when the server is gone.
    pub async fn noop(&mut self) -> Result<Reply> {
        self.command(Access::Other, &Command::Noop).await
    }

    /// SIZE in TYPE I: the length of a file, `None` when the server cannot tell.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn size(&mut self, path: &Pathname) -> Result<Option<u64>> {
        if !self.offers("SIZE") {
            return Ok(None);
        }
        if self.is_binary() {
            self.apply_type().await?; // RFC 3659 §4: SIZE counts what a transfer in the current TYPE would move
        }
        let size = Command::Size(path.clone());
        let reply = self.ask(&size).await?;
        match (reply.class(), reply.code()) {
            (ReplyClass::Completion, _) => Ok(number(reply.text())),
            (_, 500 | 502 | 504) => Ok(None),
            _ => Err(Error::refused(Access::Reads, size.redacted(), reply)),
        }
    }

    /// MDTM: when a file was last modified (UTC), `None` when the server cannot tell.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn modified(&mut self, path: &Pathname) -> Result<Option<Timestamp>> {
        if !self.offers("MDTM") {
            return Ok(None);
        }
        let mdtm = Command::Mdtm(path.clone());
        let reply = self.ask(&mdtm).await?;
        match (reply.class(), reply.code()) {
            (ReplyClass::Completion, _) => Ok(time(&reply)),
            (_, 500 | 502 | 504) => Ok(None),
            _ => Err(Error::refused(Access::Reads, mdtm.redacted(), reply)),
        }
    }

    /// Sets the time of last modification: MFMT where FEAT lists it, else MDTM with a time, else SITE UTIME.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the server knows none of them, [`ErrorKind::NotFound`], [`ErrorKind::Permission`].
    pub async fn set_modified(&mut self, path: &Pathname, time: Timestamp) -> Result<Reply> {
        let time = time.whole_seconds(); // none of the three has fractions that servers agree on
        if self.offers("MFMT") {
            return self
                .command(
                    Access::Reads,
                    &Command::Mfmt {
                        time,
                        path: path.clone(),
                    },
                )
                .await;
        }
        let reply = self
            .ask(&Command::MdtmSet {
                time,
                path: path.clone(),
            })
            .await?;
        if reply.class() == ReplyClass::Completion {
            return Ok(reply);
        }
        let mut line = b"UTIME ".to_vec();
        line.extend_from_slice(time.to_wire().as_bytes());
        line.push(b' ');
        line.extend_from_slice(path.as_bytes());
        self.command(Access::Reads, &Command::Site(Text::lossy(line)))
            .await
    }

    /// Size and time as far as the server tells them without an error: MLST where it is offered, else SIZE and MDTM. What
    /// the server refuses to tell is unknown, also when the file does not exist: the transfer will say so.
    ///
    /// # Errors
    /// Those of the connection, never those of the file.
    pub async fn known(&mut self, path: &Pathname) -> Result<Known> {
        if self.offers("MLST") {
            match self.entry_of_mlst(path).await {
                Ok(entry) => {
                    return Ok(Known {
                        size: entry.size,
                        modified: entry.modified_utc(),
                    });
                }
                Err(error) if is_about_the_file(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Known {
            size: told(self.size(path).await)?,
            modified: None,
        })
    }

    /// What a transfer in TYPE I would move: SIZE, which is defined that way (RFC 3659 §4), else MLST. `None` when the
    /// server does not tell, for whatever reason.
    pub(crate) async fn length(&mut self, path: &Pathname) -> Result<Option<u64>> {
        if self.offers("SIZE") {
            return told(self.size(path).await);
        }
        Ok(self.known(path).await?.size)
    }

    /// Any line, as `quote` sends it, and its reply. What changes the session (TYPE, CWD) is taken note of. Not for
    /// transfer commands: nobody would serve their data connection.
    ///
    /// # Errors
    /// Those of the connection; a negative reply is not an error.
    pub async fn quote(&mut self, line: Text) -> Result<Reply> {
        self.ready().await?;
        let within = self.options().reply_timeout;
        let reply = self.dialogue.exchange_line(&line, within).await?;
        if reply.class() == ReplyClass::Completion {
            match Command::parse(line.as_bytes()) {
                Ok(Command::Cwd(path)) => self.moved_to(&path),
                Ok(Command::Cdup) => {
                    if let Ok(up) = Pathname::new("..") {
                        self.moved_to(&up);
                    }
                }
                _ => {}
            }
        }
        Ok(reply)
    }
}

/// A refusal of the server about one file leaves it unknown; anything else is an error.
fn told<T>(asked: Result<Option<T>>) -> Result<Option<T>> {
    match asked {
        Ok(it) => Ok(it),
        Err(error) if is_about_the_file(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn is_about_the_file(error: &Error) -> bool {
    let final_word = |it: &Reply| {
        matches!(
            it.class(),
            ReplyClass::TransientNegative | ReplyClass::PermanentNegative
        )
    };
    error
        .reply()
        .is_some_and(|it| final_word(it) && it.code() != 421)
}

/// The time in a 213.
pub(crate) fn time(reply: &Reply) -> Option<Timestamp> {
    if reply.class() != ReplyClass::Completion {
        return None;
    }
    let word = reply.text().as_bytes().split(|it| *it == b' ').next_back();
    Timestamp::from_wire(word.unwrap_or_default()).ok()
}

/// `213 1234`: the number may be followed by text.
pub(crate) fn number(text: &Text) -> Option<u64> {
    let digits = text.as_bytes().trim_ascii();
    let end = digits
        .iter()
        .position(|it| !it.is_ascii_digit())
        .unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
