//! Which proxy leads to a server: flags, then the environment as curl reads it; and what a proxy makes of the settings.

use std::sync::{Arc, Mutex, PoisonError};

use wharf_client::{DataModeChoice, Endpoint, FamilyChoice, FtpProxy, Options, Via, is_direct};
use wharf_net::Net;
use wharf_net::through::{Protocol, Proxy, Through};
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{TlsVersions, UserTls};
use wharf_proto::ftp_proxy::Dialogue;
use wharf_proto::{Secret, Text};

use crate::args::via::ViaArgs;
use crate::exit::{Exit, Failure};
use crate::login::LoginSources;
use crate::output::Output;
use crate::password;

/// In this order, as in curl: the small one first.
const ENVIRONMENT: [&str; 4] = ["ftp_proxy", "FTP_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Words for "none".
const DIRECT: [&str; 3] = ["", "direct", "none"];

/// What is known about proxies before a server is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    /// A flag's; text, for it may be about another host.
    asked: Option<String>,
    no_proxy: Option<String>,
    login: Option<Dialogue>,
    /// Asked for once.
    passwords: Arc<Mutex<Vec<(String, Secret)>>>,
}

impl From<&ViaArgs> for Proxies {
    fn from(args: &ViaArgs) -> Self {
        Self {
            asked: args.proxy.clone(),
            no_proxy: args.no_proxy.clone(),
            login: args.proxy_login.clone(),
            ..Self::default()
        }
    }
}

/// The first of these variables that is set and not empty.
fn variable(names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
}

impl Proxies {
    /// The proxy before a server, if there is one. `profile` and `profile_login`: what a profile says for this server.
    pub(crate) fn before(
        &self,
        server: &Endpoint,
        profile: Option<&str>,
        profile_login: Option<&Dialogue>,
    ) -> Result<Option<Via>, Failure> {
        let listed = || {
            let list = self.no_proxy.clone().or_else(|| variable(&EXCEPTIONS));
            list.is_some_and(|list| is_direct(&list, &server.host))
        };
        let (text, from) = match (&self.asked, profile) {
            (Some(asked), _) if listed() => (asked.clone(), None),
            (Some(asked), _) => (asked.clone(), Some("--proxy")),
            // A profile names a proxy for this very server.
            (None, Some(profile)) => (profile.to_owned(), Some("the profile")),
            (None, None) if listed() => return Ok(None),
            (None, None) => match variable(&ENVIRONMENT) {
                Some(text) => (text, Some("the environment (ftp_proxy, all_proxy)")),
                None => return Ok(None),
            },
        };
        let Some(from) = from.filter(|_| !DIRECT.contains(&text.as_str())) else {
            return Ok(None);
        };
        let via = text.parse::<Via>().map_err(|error| {
            Failure::usage(format!("{from}: {error}")).with_hint("`wharf help proxies`")
        })?;
        let login = self.login.as_ref().or(profile_login);
        Ok(Some(match (via, login) {
            (Via::Login(proxy), Some(dialogue)) => Via::Login(FtpProxy {
                dialogue: dialogue.clone(),
                ..proxy
            }),
            (via, _) => via,
        }))
    }

    /// The network that leads there, and the settings that hold behind the proxy.
    pub(crate) fn lead(
        &self,
        via: Via,
        net: Arc<dyn Net>,
        options: &mut Options,
        logins: &LoginSources,
        output: &Output,
    ) -> Result<Arc<dyn Net>, Failure> {
        // What works through a proxy says nothing about the way without it, and the reverse.
        options.memory = None;
        let shown = via.to_string();
        match via {
            Via::Login(mut proxy) => {
                if let (Some(user), None) = (&proxy.user, &proxy.password) {
                    let host = &proxy.endpoint.host;
                    proxy.password = self.password(host, user, logins, output)?;
                }
                options.ftp_proxy = Some(proxy);
                Ok(net)
            }
            Via::Connections(mut proxy) => {
                if let (Some(user), None) = (&proxy.user, &proxy.password)
                    && !matches!(proxy.protocol, Protocol::Socks4 | Protocol::Socks4a)
                {
                    let user = Text::lossy(user);
                    proxy.password = self.password(&proxy.host, &user, logins, output)?;
                }
                fits(proxy.protocol, &shown, options)?;
                if proxy.protocol.resolves() {
                    options.family = FamilyChoice::Any;
                }
                let tls = (proxy.protocol == Protocol::Https).then(|| tls(&proxy, options));
                Ok(Arc::new(Through::new(net, proxy, tls.transpose()?)))
            }
        }
    }

    /// The password of a proxy's user: as of a server, from netrc, or a person.
    fn password(
        &self,
        host: &str,
        user: &Text,
        logins: &LoginSources,
        output: &Output,
    ) -> Result<Option<Secret>, Failure> {
        let door = format!("{}@{host}", user.display());
        let mut known = self
            .passwords
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, password)) = known.iter().find(|(it, _)| *it == door) {
            return Ok(Some(password.clone()));
        }
        let machine = logins.machine(host, Some(user), output)?;
        let found = match machine.and_then(|it| it.password) {
            Some(password) => Some(password),
            None if password::can_prompt() => Some(password::prompt(
                &format!("Password for {door} (the proxy): "),
                Exit::Login,
            )?),
            None => None,
        };
        known.extend(found.clone().map(|it| (door, it)));
        Ok(found)
    }
}

/// Whether what was asked for is possible behind such a proxy.
fn fits(protocol: Protocol, shown: &str, options: &Options) -> Result<(), Failure> {
    let active = matches!(
        options.data_mode,
        DataModeChoice::Active | DataModeChoice::Eprt | DataModeChoice::Port
    );
    if active && !protocol.listens() {
        return Err(Failure::usage(format!(
            "the proxy {shown} takes no connections, and active mode needs one"
        ))
        .with_hint("--mode passive, or a SOCKS proxy that knows BIND"));
    }
    if protocol.resolves() && options.family == FamilyChoice::Ipv6 {
        return Err(Failure::usage(format!(
            "the proxy {shown} resolves the server's name, so -6 cannot be kept"
        ))
        .with_hint("socks5:// resolves names here"));
    }
    Ok(())
}

/// Whom to believe to be the proxy: as servers, but pins are the server's, and nobody is believed for the first time.
fn tls(proxy: &Proxy, options: &Options) -> Result<UserTls, Failure> {
    let trust = Trust {
        pins: Vec::new(),
        first_use: false,
        ..options.tls.trust.clone()
    };
    let verifier = trust.verifier(&proxy.host, proxy.port);
    let tls = verifier.and_then(|it| UserTls::new(it, None, TlsVersions::All));
    tls.map_err(|error| Failure::new(Exit::Tls, format!("no TLS with the proxy {proxy}: {error}")))
}
