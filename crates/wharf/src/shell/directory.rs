//! Commands about names on the server, and those that only ask the server something.

use std::sync::atomic::Ordering;

use wharf_proto::{Pathname, Reply, Text, visible};

use super::run::{failed, pathname};
use super::{Shell, print};
use crate::exit::{Exit, Failure};

type Words = [Vec<u8>];

/// Verbs whose data connection nobody would serve.
const MOVES_DATA: [&str; 7] = ["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"];

impl Shell {
    pub(super) async fn cd(&mut self, words: &Words) -> Result<(), Failure> {
        let path = pathname(&words[0])?;
        let client = self.client()?;
        client.change_dir(&path).await.map(drop).map_err(failed)
    }

    pub(super) async fn pwd(&mut self) -> Result<(), Failure> {
        let path = self.client()?.current_dir().await.map_err(failed)?;
        if !self.switches.verbose() {
            print(&self.output, &path.display().to_string());
        }
        Ok(())
    }

    pub(super) async fn delete(&mut self, words: &Words) -> Result<(), Failure> {
        for path in pathnames(words)? {
            self.client()?.remove_file(&path).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(super) async fn make_directory(&mut self, words: &Words) -> Result<(), Failure> {
        for path in pathnames(words)? {
            self.client()?.make_dir(&path).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(super) async fn remove_directory(&mut self, words: &Words) -> Result<(), Failure> {
        for path in pathnames(words)? {
            self.client()?.remove_dir(&path).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(super) async fn rename(&mut self, words: &Words) -> Result<(), Failure> {
        let (from, to) = (pathname(&words[0])?, pathname(&words[1])?);
        let renamed = self.client()?.rename(&from, &to).await;
        renamed.map(drop).map_err(failed)
    }

    /// `chmod mode file...`; modes other than numbers are the server's to understand.
    pub(super) async fn chmod(&mut self, words: &Words) -> Result<(), Failure> {
        let mode = std::str::from_utf8(&words[0])
            .ok()
            .and_then(|word| u32::from_str_radix(word, 8).ok())
            .filter(|mode| *mode <= 0o7777);
        for path in pathnames(&words[1..])? {
            let client = self.client()?;
            match mode {
                Some(mode) => client.chmod(&path, mode).await.map_err(failed)?,
                None => {
                    let line = [b"CHMOD ", &words[0][..], b" ", path.as_bytes()].concat();
                    client.site(line_of(line)?).await.map_err(failed)?
                }
            };
        }
        Ok(())
    }

    pub(super) async fn modtime(&mut self, words: &Words) -> Result<(), Failure> {
        for path in pathnames(words)? {
            let time = self.client()?.modified(&path).await.map_err(failed)?;
            let shown = time
                .and_then(|time| jiff::Timestamp::try_from(std::time::SystemTime::from(time)).ok())
                .map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
                .ok_or_else(|| Failure::new(Exit::Denied, "the server does not tell times"))?;
            print(&self.output, &format!("{}\t{shown}", path.display()));
        }
        Ok(())
    }

    pub(super) async fn size(&mut self, words: &Words) -> Result<(), Failure> {
        for path in pathnames(words)? {
            let size = self.client()?.size(&path).await.map_err(failed)?;
            let size =
                size.ok_or_else(|| Failure::new(Exit::Denied, "the server does not tell sizes"))?;
            print(&self.output, &format!("{}\t{size}", path.display()));
        }
        Ok(())
    }

    /// `site`, and what is short for some of it.
    pub(super) async fn site(&mut self, before: &str, words: &Words) -> Result<(), Failure> {
        let line = line_of(joined(before, words))?;
        let reply = self.client()?.site(line).await.map_err(failed)?;
        self.answered(&reply);
        Ok(())
    }

    /// `rhelp [command]`
    pub(super) async fn remote_help(&mut self, words: &Words) -> Result<(), Failure> {
        let about = match words {
            [] => None,
            words => Some(line_of(joined("", words))?),
        };
        let reply = self.client()?.help(about).await.map_err(failed)?;
        self.answered(&reply);
        Ok(())
    }

    pub(super) async fn system(&mut self) -> Result<(), Failure> {
        let reply = self.client()?.system().await.map_err(failed)?;
        self.answered(&reply);
        Ok(())
    }

    /// Words behind a verb, sent as they are: `rstatus`, `mlst`, `remopts`, `features`.
    pub(super) async fn verb(&mut self, verb: &str, words: &Words) -> Result<(), Failure> {
        let line = line_of(joined(verb, words))?;
        let reply = self.asked_reply(line).await?;
        if reply.code() >= 400 {
            let why = visible(reply.text().as_bytes());
            return Err(Failure::new(Exit::Denied, format!("{verb}: {why}")));
        }
        self.answered(&reply);
        Ok(())
    }

    /// `quote word...`
    pub(super) async fn quote(&mut self, words: &Words) -> Result<(), Failure> {
        let verb = words[0].to_ascii_uppercase();
        let first = verb.split(|byte| *byte == b' ').next().unwrap_or_default();
        if MOVES_DATA.iter().any(|word| word.as_bytes() == first) {
            return Err(Failure::usage(
                "a transfer cannot be quoted: nobody would serve its data connection",
            )
            .with_hint("get, put, append, dir, nlist"));
        }
        let line = line_of(joined("", words))?;
        let reply = self.asked_reply(line).await?;
        self.answered(&reply);
        Ok(())
    }

    async fn asked_reply(&mut self, line: Text) -> Result<Reply, Failure> {
        self.switches.asked.store(true, Ordering::Relaxed);
        let reply = match self.client() {
            Ok(client) => client.quote(line).await.map_err(failed),
            Err(failure) => Err(failure),
        };
        self.switches.asked.store(false, Ordering::Relaxed);
        reply
    }

    /// The reply is the answer that was asked for: shown even when replies are not.
    fn answered(&self, reply: &Reply) {
        if !self.switches.verbose() {
            for line in reply.lines() {
                print(&self.output, &visible(line.as_bytes()));
            }
        }
    }
}

fn pathnames(words: &Words) -> Result<Vec<Pathname>, Failure> {
    words.iter().map(|word| pathname(word)).collect()
}

/// `before word word`
fn joined(before: &str, words: &Words) -> Vec<u8> {
    let mut line = before.as_bytes().to_vec();
    for word in words {
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(word);
    }
    line
}

/// What is typed goes out as it is, or not at all.
fn line_of(line: Vec<u8>) -> Result<Text, Failure> {
    Text::new(line).map_err(|_| Failure::usage("a line break cannot be sent"))
}
