//! Where we are: open, close, user, cd, lcd, pwd, and the session that a command needs.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use wharf_client::{Client, Endpoint, Login, Scheme, Target};
use wharf_proto::{Pathname, Secret, Text, visible};

use super::options::{self, switch, valued};
use super::pattern::pathname;
use super::sink::Sink;
use super::syntax::Word;
use super::{EditorWish, Shell};
use crate::exit::{Exit, Failure};
use crate::login::anonymous;
use crate::session;

/// A server, and who we are there.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) scheme: Scheme,
    pub(super) endpoint: Endpoint,
    pub(super) user: Option<Text>,
    password: Option<Secret>,
    /// Once it is known; asked for once.
    login: Option<Login>,
}

impl Place {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            scheme: target.scheme(),
            endpoint: target.endpoint().clone(),
            user: target.user().cloned(),
            password: target.password().cloned(),
            login: None,
        }
    }

    /// For prompts and messages.
    pub(super) fn user_name(&self) -> Option<String> {
        let login = self.login.as_ref().map(|login| &login.user);
        let user = self.user.as_ref().or(login)?;
        Some(user.display().to_string())
    }

    /// As an address without a password.
    pub(super) fn address(&self, path: Option<&Pathname>) -> String {
        let user = match &self.user {
            Some(user) => format!("{}@", crate::listing::percent(user.as_bytes())),
            None => String::new(),
        };
        let host = match self.endpoint.host.contains(':') {
            true => format!("[{}]", self.endpoint.host),
            false => self.endpoint.host.clone(),
        };
        let port = match self.endpoint.port {
            port if port == self.scheme.port() => String::new(),
            port => format!(":{port}"),
        };
        let path = match path {
            // The first slash of an absolute path is written as %2F (RFC 1738 §3.2.2).
            Some(path) => {
                let parts: Vec<String> = path.components().map(crate::listing::percent).collect();
                let root = if path.is_absolute() { "%2F" } else { "" };
                format!("/{root}{}", parts.join("/"))
            }
            None => String::new(),
        };
        format!("{}://{user}{host}{port}{path}", self.scheme.word())
    }
}

/// A word that is an address of a protocol.
pub(super) fn is_address(word: &[u8]) -> bool {
    let at = word.windows(3).position(|it| it == b"://");
    at.is_some_and(|at| at > 0 && word[..at].iter().all(u8::is_ascii_alphanumeric))
}

/// Reads an address that was typed.
pub(super) fn target(word: &[u8]) -> Result<Target, Failure> {
    let text = std::str::from_utf8(word)
        .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", visible(word))))?;
    session::target(text)
}

/// `user`, `user,password`.
fn login_of(word: &[u8]) -> Result<(Text, Option<Secret>), Failure> {
    let (user, password) = match word.iter().position(|byte| *byte == b',') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let text = |bytes: &[u8]| {
        Text::new(bytes).map_err(|_| Failure::usage("a login cannot hold line breaks"))
    };
    let password = password.map(text).transpose()?;
    Ok((text(user)?, password.map(Secret::new)))
}

impl Shell {
    /// `open [-u user[,pass]] [-p port] [-e command] [host|url]`
    pub(super) async fn open(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [
            valued('u', "user"),
            valued('p', "port"),
            valued('e', ""),
            valued('s', "slot"),
            switch('d', ""),
        ];
        let given = options::read("open", &known, words)?;
        if given.has("slot") {
            return Err(Failure::usage("open: slots are not offered")
                .with_hint("jobs have sessions of their own"));
        }
        if given.has("d") {
            super::other::show_dialogue(self);
        }
        let Some(word) = given.rest.first() else {
            return match given.value("e") {
                Some(command) => self.at_once(command).await,
                None => Err(Failure::usage("open: which host?")),
            };
        };
        let target = self.door(&word.text)?;
        let mut place = Place::of(&target);
        if let Some(login) = given.value("user") {
            let (user, password) = login_of(&login.text)?;
            place.user = Some(user);
            place.password = password;
        }
        if let Some(port) = given.number("open", "port")? {
            let port = u16::try_from(port).ok().filter(|it| *it > 0);
            place.endpoint.port =
                port.ok_or_else(|| Failure::usage("open: a port is a number from 1 to 65535"))?;
        }
        self.leave_server().await;
        let named = place.user.is_some();
        self.place = Some(place);
        // Who says `user` next must not be logged in as somebody else before.
        if named || self.person {
            self.connect().await?;
        }
        if let Some(path) = target.path() {
            self.change_to(path).await?;
        }
        match given.value("e") {
            Some(command) => self.at_once(command).await,
            None => Ok(()),
        }
    }

    async fn at_once(&mut self, command: &Word) -> Result<(), Failure> {
        let missing = Box::pin(self.text(&command.text)).await;
        match missing {
            Some(missing) => Err(Failure::usage(missing)),
            None => Ok(()),
        }
    }

    /// What `open` is given: an address, a host with or without a path.
    fn door(&self, word: &[u8]) -> Result<Target, Failure> {
        if is_address(word) {
            return target(word);
        }
        let protocol = self.settings.text("cmd:default-protocol", "");
        let mut address = format!("{protocol}://").into_bytes();
        address.extend_from_slice(word);
        target(&address)
    }

    /// A shell at an address, with a session of its own, and the path in it.
    pub(super) fn elsewhere(&self, target: &Target) -> Self {
        let mut other = self.fork();
        other.output = self.output.clone();
        other.background = self.background;
        other.person = self.person;
        let mut place = Place::of(target);
        if let Some(known) = self
            .place
            .as_ref()
            .filter(|it| it.endpoint == place.endpoint)
            && (place.user.is_none() || place.user == known.user)
        {
            place.user.clone_from(&known.user);
            place.password = place.password.or_else(|| known.password.clone());
            place.login.clone_from(&known.login);
        }
        other.place = Some(place);
        other.cwd = None;
        other
    }

    /// Says goodbye to the server and forgets where we were.
    pub(super) async fn leave_server(&mut self) {
        self.hang_up().await;
        self.cwd = None;
        self.cwd_before = None;
        self.place = None;
    }

    pub(super) async fn hang_up(&mut self) {
        self.tell_notes();
        if let Some(client) = self.client.take() {
            client.quit().await;
        }
    }

    /// `close [-a]`: the place stays, the session ends.
    pub(super) async fn close(&mut self, words: &[Word]) -> Result<(), Failure> {
        options::read("close", &[switch('a', "")], words)?;
        self.hang_up().await;
        Ok(())
    }

    /// `user name [password]`
    pub(super) async fn user(&mut self, words: &[Word]) -> Result<(), Failure> {
        self.hang_up().await;
        let place = self.place.as_mut().ok_or_else(not_open)?;
        place.login = None;
        let Some(name) = words.first() else {
            (place.user, place.password) = (None, None);
            return Ok(());
        };
        if is_address(&name.text) {
            return Err(Failure::usage("user: a name is wanted, not an address"));
        }
        let (user, _) = login_of(&name.text)?;
        place.user = Some(user);
        place.password = match words.get(1) {
            Some(word) => {
                Some(Secret::new(Text::new(word.text.clone()).map_err(|_| {
                    Failure::usage("a password cannot hold line breaks")
                })?))
            }
            None => None,
        };
        if self.person {
            self.connect().await?;
        }
        Ok(())
    }

    /// The session with the server; begins one where there is none.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        if self.client.is_some() {
            return Ok(());
        }
        let mut place = self.place.clone().ok_or_else(not_open)?;
        let host = place.endpoint.host.clone();
        let login = match place.login.clone() {
            Some(login) => login,
            None => {
                let login = self.login(&place)?;
                place.login = Some(login.clone());
                self.place = Some(place.clone());
                login
            }
        };
        let connector = self.tuned(&host)?;
        let server = (place.scheme, place.endpoint.clone());
        // As often as the script says; somebody who types sees it and may type it again.
        let tries = match self.settings.number("net:max-retries", &host) {
            0 => 5,
            tries => tries,
        };
        let longest = self.settings.time("net:reconnect-interval-max", &host);
        let first = self.settings.time("net:reconnect-interval-base", &host);
        let mut pause = first.unwrap_or(Duration::from_secs(2));
        let mut tried = 1;
        let mut client = loop {
            match connector.open(&server, login.clone()).await {
                Ok(client) => break client,
                Err(failure) => {
                    let passing =
                        matches!(failure.exit, Exit::Unreachable | Exit::Busy | Exit::Timeout);
                    if !passing || tried >= tries || self.person {
                        return Err(failure);
                    }
                    let seconds = pause.as_secs();
                    self.note(&format!("{}; trying again in {seconds} s", failure.message));
                    tokio::time::sleep(pause).await;
                    tried += 1;
                    pause = (pause * 2).min(longest.unwrap_or(Duration::from_mins(1)));
                }
            }
        };
        if let Some(cwd) = &self.cwd {
            client.change_dir(cwd).await.map_err(failed)?;
        }
        self.client = Some(client);
        self.tell_notes();
        Ok(())
    }

    /// The connector as the settings want it for a host.
    pub(super) fn tuned(&self, host: &str) -> Result<session::Connector, Failure> {
        let mut connector = (*self.connector).clone();
        let options = connector.options_mut();
        let (down, up) = &self.limits;
        options.download_limit = Some(down.clone());
        options.upload_limit = Some(up.clone());
        self.settings.apply(host, options)?;
        let listing = self.settings.text("ftp:list-options", host);
        options.list_hidden = listing.contains('a');
        connector.believe_first(self.settings.believes_first(host));
        Ok(connector)
    }

    /// Who we are at a place; a person may be asked.
    pub(super) fn login(&self, place: &Place) -> Result<Login, Failure> {
        let host = &place.endpoint.host;
        let logins = &self.connector.logins;
        let login = logins.login_as(
            host,
            place.user.clone(),
            place.password.clone(),
            &self.output,
        )?;
        if place.user.is_some() || !login.user.is_word("anonymous") {
            return Ok(login);
        }
        let mut nobody = anonymous();
        let name = self.settings.text("ftp:anon-user", host);
        if let Ok(name) = Text::new(name.into_bytes()) {
            nobody.user = name;
        }
        let password = self.settings.text("ftp:anon-pass", host);
        if !password.is_empty() {
            nobody.password = Secret::new(Text::lossy(password));
        }
        Ok(nobody)
    }

    /// The session that a command needs.
    pub(super) async fn client(&mut self) -> Result<&mut Client, Failure> {
        self.connect().await?;
        self.client.as_mut().ok_or_else(not_open)
    }

    /// The session, and where output goes.
    pub(super) async fn both(&mut self) -> Result<(&mut Client, &mut Sink), Failure> {
        self.connect().await?;
        match &mut self.client {
            Some(client) => Ok((client, &mut self.sink)),
            None => Err(not_open()),
        }
    }

    /// `cd directory`, `cd -`, `cd url`, `cd` home.
    pub(super) async fn cd(&mut self, words: &[Word]) -> Result<(), Failure> {
        let word = words.first().map_or(&b"~"[..], |word| &word.text);
        if is_address(word) {
            let target = target(word)?;
            let same = self.place.as_ref().is_some_and(|place| {
                place.endpoint == *target.endpoint()
                    && (target.user().is_none() || target.user() == place.user.as_ref())
            });
            if !same {
                return Box::pin(self.open(words)).await;
            }
            return match target.path() {
                Some(path) => self.change_to(path).await,
                None => self.go_home().await,
            };
        }
        match word {
            b"-" => {
                let Some(before) = self.cwd_before.clone() else {
                    return Err(Failure::usage("cd: there is no directory before this one"));
                };
                self.change_to(&before).await
            }
            b"~" => self.go_home().await,
            word => {
                let word = word.strip_prefix(b"~/").unwrap_or(word);
                self.change_to(&pathname(word)?).await
            }
        }
    }

    /// The login directory: only a new login knows where it is.
    async fn go_home(&mut self) -> Result<(), Failure> {
        if self.cwd.is_some() {
            self.hang_up().await;
            self.cwd_before = self.cwd.take();
        }
        self.connect().await
    }

    pub(super) async fn change_to(&mut self, path: &Pathname) -> Result<(), Failure> {
        let client = self.client().await?;
        let before = match client.current_dir().await {
            Ok(directory) => Some(directory),
            Err(error) if error.reply().is_some() => None,
            Err(error) => return Err(failed(error)),
        };
        client.change_dir(path).await.map_err(failed)?;
        let now = match client.current_dir().await {
            Ok(directory) => Some(directory),
            // Whoever does not tell is believed to be where it was sent.
            Err(error) if error.reply().is_some() => {
                before.as_ref().map(|it| it.join(path).normalize())
            }
            Err(error) => return Err(failed(error)),
        };
        self.cwd_before = before;
        self.cwd = now;
        self.wishes.push(EditorWish::ForgetNames);
        if let Some(now) = &self.cwd {
            self.say(&format!("cd ok, cwd={}", now.display()));
        }
        Ok(())
    }

    /// `pwd`
    pub(super) async fn pwd(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("pwd", &[switch('p', "")], words)?;
        if given.has("p") {
            return Err(Failure::usage("pwd: passwords are not shown"));
        }
        let place = self.place.clone().ok_or_else(not_open)?;
        let address = place.address(self.cwd.as_ref());
        self.sink.line(address.as_bytes()).await.map(drop)
    }

    /// `lcd [directory]`, `lcd -`
    pub(super) fn lcd(&mut self, words: &[Word]) -> Result<(), Failure> {
        let word = words.first().map_or(&b"~"[..], |word| &word.text);
        let path = match word {
            b"-" => match self.here_before.clone() {
                Some(before) => before,
                None => return Err(Failure::usage("lcd: there is no directory before this one")),
            },
            word => self.here.join(super::local_path(word)),
        };
        let refused = |error| {
            let shown = visible(path.as_os_str().as_bytes());
            Failure::new(Exit::LocalFile, format!("lcd: {shown}: {error}"))
        };
        let found = std::fs::canonicalize(&path).map_err(refused)?;
        if !found.is_dir() {
            let shown = visible(path.as_os_str().as_bytes());
            return Err(Failure::new(
                Exit::LocalFile,
                format!("lcd: {shown} is not a directory"),
            ));
        }
        let now = std::mem::replace(&mut self.here, found);
        self.here_before = Some(now);
        self.here_is_own = std::env::current_dir().is_ok_and(|own| own == self.here);
        let shown = visible(self.here.as_os_str().as_bytes());
        self.say(&format!("lcd ok, local cwd={shown}"));
        Ok(())
    }

    /// `lpwd`
    pub(super) async fn lpwd(&mut self) -> Result<(), Failure> {
        let here = self.here.as_os_str().as_bytes().to_vec();
        self.sink.line(&here).await.map(drop)
    }
}

/// The client library's error as what a command ends with.
pub(super) fn failed(error: wharf_client::Error) -> Failure {
    session::failure(&error)
}

pub(super) fn not_open() -> Failure {
    Failure::new(Exit::Unreachable, "no server is open").with_hint("open HOST")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_without_passwords() {
        for (address, path, expected) in [
            ("ftp://h/", None, "ftp://h"),
            (
                "ftp://me:secret@h:2121/",
                Some("/a b"),
                "ftp://me@h:2121/%2Fa%20b",
            ),
            ("ftps://[::1]/", Some("rel/x"), "ftps://[::1]/rel/x"),
        ] {
            let place = Place::of(&target(address.as_bytes()).unwrap());
            let path = path.map(|path| Pathname::new(path).unwrap());
            assert_eq!(place.address(path.as_ref()), expected);
        }
    }

    #[test]
    fn logins_end_at_their_first_comma() {
        let (user, password) = login_of(b"me,a,b").unwrap();
        assert!(user.is_word("me"));
        assert_eq!(password.unwrap().expose(), b"a,b");
        assert!(login_of(b"me").unwrap().1.is_none());
    }
}
