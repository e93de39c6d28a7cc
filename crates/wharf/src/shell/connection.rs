//! open, user, account, close: the control connection of the interactive client.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use wharf_client::{Endpoint, Login, Scheme, Target};
use wharf_proto::{Secret, Text, visible};

use super::Shell;
use super::settings::type_word;
use crate::exit::{Exit, Failure};
use crate::session::Server;
use crate::{login, password, profile, session};

/// The standard port (RFC 959 §8).
const CONTROL_PORT: u16 = 21;

impl Shell {
    /// `open host [port]` or `open ftp://...`.
    pub(super) async fn open(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        if self.now.client.is_some() {
            let host = &self.now.host;
            return Err(
                Failure::usage(format!("Already connected to {host}, use close first."))
                    .with_hint("close"),
            );
        }
        let place = text(words.first().map_or(&[][..], Vec::as_slice))?;
        if session::is_address(&place) {
            let target = session::target(&place)?;
            return self.open_target(&target).await;
        }
        if words.len() < 2
            && let Some(target) = session::named(&place)?
        {
            return self.open_target(&target).await;
        }
        let port = match words.get(1) {
            None => None,
            Some(word) => Some(port(word)?),
        };
        let endpoint = self.endpoint(&place, port)?;
        self.connect((Scheme::Ftp, endpoint.clone()), None, None)
            .await?;
        self.begin_locally(&endpoint)
    }

    /// Changes to the local directory that the book has for this server.
    fn begin_locally(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        let said = profile::book()?.settings(&endpoint.host, Some(endpoint.port));
        match said.local_dir {
            Some(directory) => self.local_cd(&[directory.into_os_string().into_encoded_bytes()]),
            None => Ok(()),
        }
    }

    /// Connects to the server of an address and changes to its directory.
    pub(super) async fn open_target(&mut self, target: &Target) -> Result<(), Failure> {
        let user = target.user().cloned();
        let password = target.password().cloned();
        let server = (target.scheme(), target.endpoint().clone());
        self.connect(server, user, password).await?;
        self.begin_locally(target.endpoint())?;
        if let (Some(path), Some(client)) = (target.path(), &mut self.now.client) {
            client
                .change_dir(path)
                .await
                .map_err(|error| session::failure(&error))?;
        }
        Ok(())
    }

    /// Host and port, the port from arguments, `-P` or the standard.
    pub(super) fn endpoint(&self, host: &str, port: Option<u16>) -> Result<Endpoint, Failure> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let odd = |c: char| c.is_control() || c.is_whitespace() || "/\\@<>\"".contains(c);
        if host.is_empty() || host.contains(odd) {
            return Err(Failure::usage(format!(
                "`{}` is not a host name",
                visible(host.as_bytes())
            )));
        }
        Ok(Endpoint::new(
            host,
            port.or(self.port).unwrap_or(CONTROL_PORT),
        ))
    }

    /// Connects, and logs in unless `-n` was given.
    async fn connect(
        &mut self,
        server: Server,
        user: Option<Text>,
        password: Option<Secret>,
    ) -> Result<(), Failure> {
        let (scheme, endpoint) = &server;
        self.now.host.clone_from(&endpoint.host);
        self.now.pending = Some(server.clone());
        self.now.greeting = Some(self.greeted(*scheme, endpoint).await?);
        if !self.auto_login && user.is_none() {
            return Ok(());
        }
        let login = match self.login_for(endpoint, user, password).await {
            Ok(login) => login,
            Err(failure) => {
                self.now.quit().await;
                return Err(failure);
            }
        };
        self.log_in(&server, login).await?;
        let (_, endpoint) = server;
        self.take_macros(&endpoint.host)?;
        if self.macros.lines(b"init").is_some() && !self.proxied {
            return Box::pin(self.execute_macro(&[b"init".to_vec()])).await;
        }
        Ok(())
    }

    /// The macros of netrc; a second server brings none.
    fn take_macros(&mut self, host: &str) -> Result<(), Failure> {
        if self.proxied {
            return Ok(());
        }
        let machine = self.connector.logins.machine(host, None, &self.output)?;
        for (name, lines) in machine.map(|it| it.macros).unwrap_or_default() {
            let lines = lines.into_iter().map(String::into_bytes).collect();
            if let Err(why) = self.macros.define(name.as_bytes(), lines) {
                let name = visible(name.as_bytes());
                self.output
                    .warning(&format!("macro {name} of netrc is left out: {why}"));
            }
        }
        Ok(())
    }

    /// `user name [password [account]]`.
    pub(super) async fn user(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let Some(server) = self.now.pending.clone() else {
            return Err(Failure::new(Exit::Unreachable, "Not connected.").with_hint("open HOST"));
        };
        let bytes = |index: usize| words.get(index).cloned();
        let name = bytes(0).unwrap_or_default();
        let name = Text::new(name).map_err(|_| Failure::usage("not a user's name"))?;
        let mut login = match bytes(1) {
            Some(word) => Login::new(name, secret(word)?),
            None => self.login_for(&server.1, Some(name), None).await?,
        };
        if let Some(word) = bytes(2) {
            login.account = Some(secret(word)?);
        }
        if let Some(client) = self.now.client.take() {
            // A second login on one connection (REIN) is offered by few servers; a new one always works.
            client.quit().await;
        }
        self.log_in(&server, login).await
    }

    async fn log_in(&mut self, server: &Server, login: Login) -> Result<(), Failure> {
        let (scheme, endpoint) = server;
        let anonymous = login.user.is_word("anonymous");
        let user = login.user.display().to_string();
        let greeting = match self.now.greeting.take() {
            Some(greeting) => greeting,
            None => self.greeted(*scheme, endpoint).await?,
        };
        let client = greeting.login(login).await;
        self.now.client = Some(client.map_err(|error| session::login_failure(&error, anonymous))?);
        self.now.user = Some(user);
        self.tell_system().await
    }

    /// What kind of machine it is, and how files are transferred: the two lines that every ftp begins with.
    async fn tell_system(&mut self) -> Result<(), Failure> {
        if !self.switches.verbose() {
            return Ok(());
        }
        self.switches.muted.store(true, Ordering::Relaxed);
        let reply = match &mut self.now.client {
            Some(client) => client.system().await,
            None => return Ok(()),
        };
        self.switches.muted.store(false, Ordering::Relaxed);
        // Who does not tell is no less a server.
        let Ok(reply) = reply else {
            return Ok(());
        };
        let told = visible(reply.text().as_bytes());
        let system = told.split_whitespace().next().unwrap_or_default();
        self.say(&format!("Remote system type is {system}."));
        let word = match &self.now.client {
            Some(client) => type_word(client.representation()),
            None => return Ok(()),
        };
        self.say(&format!("Using {word} mode to transfer files."));
        if told.starts_with("TOPS20") {
            self.say(
                "Remember to set tenex mode when transferring binary files from this machine.",
            );
        }
        Ok(())
    }

    /// `account [password]`
    pub(super) async fn account(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        self.client()?;
        let password = match words.first() {
            Some(word) => secret(word.clone())?,
            None if self.interactive => password::prompt("Account: ", Exit::Login)?,
            None => return Err(Failure::usage("usage: account password")),
        };
        let reply = self.client()?.account(password).await;
        reply.map(drop).map_err(|error| session::failure(&error))
    }

    /// The login for a host: flags, netrc, and a person who is asked.
    async fn login_for(
        &mut self,
        endpoint: &Endpoint,
        user: Option<Text>,
        password: Option<Secret>,
    ) -> Result<Login, Failure> {
        if self.anonymous && user.is_none() {
            return Ok(match self.options.get("anonpass") {
                Some(password) => {
                    Login::new(Text::lossy("anonymous"), Secret::new(Text::lossy(password)))
                }
                None => login::anonymous(),
            });
        }
        let host = endpoint.host.clone();
        let given = match (&user, &self.connector.logins.user) {
            (Some(user), _) => Some(user.clone()),
            (None, Some(name)) => Text::new(name.as_bytes()).ok(),
            (None, None) => None,
        };
        if given.is_none() {
            let machine = self.connector.logins.machine(&host, None, &self.output)?;
            let known = machine.is_some_and(|machine| machine.login.is_some());
            if !known {
                let name = self.ask_name(&host).await?;
                return self
                    .connector
                    .logins
                    .login_as(&host, Some(name), password, &self.output);
            }
        }
        self.connector
            .logins
            .login_as(&host, given, password, &self.output)
    }

    async fn ask_name(&mut self, host: &str) -> Result<Text, Failure> {
        if !self.interactive {
            return Err(Failure::new(
                Exit::Login,
                format!("no login for {host}, and no terminal to ask on"),
            )
            .with_hint("-a is anonymous, -n leaves it to `user`, ~/.netrc and --user know names"));
        }
        let own = std::env::var("USER").ok().filter(|name| !name.is_empty());
        let question = match &own {
            Some(own) => format!("Name ({host}:{own}): "),
            None => format!("Name ({host}): "),
        };
        let typed = self.read_line(&question).await?.unwrap_or_default();
        let typed = typed.trim_ascii().to_vec();
        let name = match own {
            Some(own) if typed.is_empty() => own.into_bytes(),
            _ => typed,
        };
        if name.is_empty() {
            return Err(Failure::new(Exit::Login, "login needs a name"));
        }
        Text::new(name).map_err(|_| Failure::usage("not a user's name"))
    }

    /// close, disconnect.
    pub(super) async fn close(&mut self) {
        self.tell_notes();
        self.now.quit().await;
        if !self.proxied {
            self.macros.clear();
        }
    }
}

/// Whether a word of the command line is a host with a path behind: `host:path`, but not an IPv6
/// address.
pub(super) fn host_and_path(word: &str) -> Option<(&str, &str)> {
    if word.parse::<IpAddr>().is_ok() {
        return None;
    }
    if let Some(rest) = word.strip_prefix('[') {
        let (host, path) = rest.split_once("]:")?;
        return Some((host, path));
    }
    word.split_once(':')
}

pub(super) fn port(word: &[u8]) -> Result<u16, Failure> {
    std::str::from_utf8(word)
        .ok()
        .and_then(|word| word.parse().ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| {
            Failure::usage(format!("`{}` is not a port", visible(word)))
                .with_hint("open host [port]")
        })
}

fn secret(word: Vec<u8>) -> Result<Secret, Failure> {
    Text::new(word)
        .map(Secret::new)
        .map_err(|_| Failure::usage("a password cannot hold line breaks"))
}

pub(super) fn text(word: &[u8]) -> Result<String, Failure> {
    String::from_utf8(word.to_vec())
        .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", visible(word))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_separates_host_and_path_but_not_in_addresses() {
        for (word, expected) in [
            ("host", None),
            ("host:dir/", Some(("host", "dir/"))),
            ("host:", Some(("host", ""))),
            ("::1", None),
            ("[::1]:dir", Some(("::1", "dir"))),
            ("192.0.2.1:dir", Some(("192.0.2.1", "dir"))),
        ] {
            assert_eq!(host_and_path(word), expected, "{word}");
        }
    }
}
