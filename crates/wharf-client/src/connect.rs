//! From a name to a logged-in client: resolve, connect, greeting, login.
//!
//! Addresses are tried in turn, the next one 250 ms after the one before when nothing has come of it (the idea of
//! RFC 8305, without its history): a dead IPv6 route costs a quarter of a second. Not here: how TLS begins (`tls.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use wharf_net::tls::{ServerCertVerifier, TlsVersions};
use wharf_net::{Conn, Net, Source, Trace, UserControl};
use wharf_proto::ftp_proxy::Names;
use wharf_proto::{Command, Features, Pathname, Reply, ReplyClass, Secret, Text};

use crate::client::Client;
use crate::dialogue::{Dialogue, seconds};
use crate::error::{Access, Error, ErrorKind, Result};
use crate::options::{FamilyChoice, Options};
use crate::target::{Endpoint, Target};
use crate::tls::{CccChoice, TlsChoice};
use crate::via::FtpProxy;

/// Between the starts of two connection attempts (RFC 8305 §5: recommended 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// What anonymous servers are given for a mail address when none is set.
const ANONYMOUS_PASSWORD: &str = "wharf@";

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// USER.
    pub user: Text,
    /// PASS, sent when the server asks for it.
    pub password: Secret,
    /// ACCT, sent when the server asks for it.
    pub account: Option<Secret>,
}

impl Login {
    /// A user with a password.
    pub fn new(user: Text, password: Secret) -> Self {
        Self {
            user,
            password,
            account: None,
        }
    }

    /// `anonymous`, with a placeholder where a mail address is customary (RFC 1635).
    pub fn anonymous() -> Self {
        Self::new(
            Text::lossy("anonymous"),
            Secret::new(Text::lossy(ANONYMOUS_PASSWORD)),
        )
    }
}

/// A server that has greeted and waits for USER.
pub struct Greeting {
    place: Place,
    dialogue: Dialogue,
    reply: Reply,
}

/// What is needed to come to the same server again.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) endpoint: Endpoint,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) options: Arc<Options>,
    /// Judges the server's certificate; `None`: no TLS.
    pub(crate) verifier: Option<Arc<dyn ServerCertVerifier>>,
    /// Other versions than the options say: the server was found to need them.
    pub(crate) tls_versions: Option<TlsVersions>,
    /// Control connections leave TLS after the login.
    pub(crate) ccc: bool,
    /// Somebody wants data connections in clear although there is TLS.
    pub(crate) data_in_clear: bool,
}

/// What is needed to be logged in once more as the same user in the same directory.
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) login: Login,
    /// The server knows FEAT.
    pub(crate) features: bool,
    /// Where CWD led; `None` is the login directory.
    pub(crate) directory: Option<Pathname>,
}

/// Resolves the endpoint, connects and reads the greeting.
///
/// # Errors
/// [`ErrorKind::Resolve`], [`ErrorKind::Connect`], [`ErrorKind::Timeout`]; [`ErrorKind::Busy`] when the server greets
/// with 421; [`ErrorKind::Protocol`] when whatever answers is not an FTP server.
pub async fn connect(net: Arc<dyn Net>, to: &Endpoint, options: Options) -> Result<Greeting> {
    let began = Instant::now();
    let near = options.ftp_proxy.as_ref().map_or(to, |it| &it.endpoint);
    let resolved = timeout(options.connect_timeout, net.resolve(&near.host, near.port)).await;
    let resolved = resolved
        .map_err(|_| {
            Error::new(
                ErrorKind::Resolve,
                format!("no answer from the resolver about {}", near.host),
            )
        })?
        .map_err(|error| {
            Error::from_source(
                ErrorKind::Resolve,
                format!("cannot resolve {}", near.host),
                error,
            )
        })?;
    let addresses = in_order(resolved, options.family);
    if addresses.is_empty() {
        let what = format!("{} has no address of the wanted family", near.host);
        return Err(Error::new(ErrorKind::Resolve, what));
    }
    let mut place = Place {
        net,
        endpoint: to.clone(),
        addresses,
        ccc: options.tls.ccc == CccChoice::Always,
        data_in_clear: false,
        options: Arc::new(options),
        tls_versions: None,
        verifier: None,
    };
    if place.options.tls.choice != TlsChoice::Off {
        let Endpoint { host, port } = place.near();
        let verifier = place.options.tls.trust.verifier(host, *port);
        place.verifier = Some(verifier.map_err(|error| place.no_tls(error))?);
    }
    // On the heap, as below: the whole handshake of TLS would otherwise be carried by everybody who waits.
    Box::pin(place.dial(began)).await
}

/// [`connect`] and [`Greeting::login`] with what the address itself says about the user, anonymously if it says nothing.
///
/// # Errors
/// Those of the two.
pub async fn open(net: Arc<dyn Net>, target: &Target, options: Options) -> Result<Client> {
    let login = match target.user() {
        Some(user) => {
            let nothing = || Secret::new(Text::lossy(""));
            Login::new(
                user.clone(),
                target.password().cloned().unwrap_or_else(nothing),
            )
        }
        None => Login::anonymous(),
    };
    connect(net, target.endpoint(), options.for_scheme(target.scheme()))
        .await?
        .login(login)
        .await
}

impl Greeting {
    /// The 220 reply. It may hold a banner of several lines.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// The server's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.dialogue.control().peer_addr()
    }

    /// Logs in, then asks what the server can do (FEAT) and switches names to UTF-8 where that is offered (RFC 2640).
    ///
    /// # Errors
    /// [`ErrorKind::Login`] when user, password or account is refused, [`ErrorKind::Busy`] when the refusal is about the
    /// number of connections.
    pub async fn login(mut self, login: Login) -> Result<Client> {
        let within = self.place.options.reply_timeout;
        let welcome = log_in(&mut self.dialogue, &self.place, &login, within).await?;
        let features = features(&mut self.dialogue, within).await?;
        Ok(Client::new(
            self.place,
            login,
            self.dialogue,
            features,
            welcome,
        ))
    }

    /// Whether the connection is in TLS.
    pub fn is_in_tls(&self) -> bool {
        self.dialogue.control().is_secured()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn into_dialogue(self) -> Dialogue {
        self.dialogue
    }

    /// Leaves without logging in.
    pub async fn quit(mut self) {
        let within = self.dialogue.patience();
        if self.dialogue.exchange(&Command::Quit, within).await.is_ok() {
            self.dialogue.close().await;
        }
    }
}

impl Session {
    /// A new control connection, logged in.
    pub(crate) async fn log_in(&self) -> Result<Dialogue> {
        let within = self.place.options.reply_timeout;
        let greeting = Box::pin(self.place.dial(Instant::now())).await?;
        let mut dialogue = greeting.into_dialogue();
        log_in(&mut dialogue, &self.place, &self.login, within).await?;
        if self.features {
            // Asked again for its side effect OPTS UTF8, not for its answer.
            features(&mut dialogue, within).await?;
        }
        if let Some(directory) = &self.directory {
            let cwd = Command::Cwd(directory.clone());
            let reply = dialogue.exchange(&cwd, within).await?;
            if reply.class() != ReplyClass::Completion {
                return Err(Error::refused(Access::Reads, cwd.redacted(), reply));
            }
        }
        Ok(dialogue)
    }
}

impl Place {
    /// Where connections go: to the server, or to the FTP proxy before it.
    pub(crate) fn near(&self) -> &Endpoint {
        let proxy = self.options.ftp_proxy.as_ref();
        proxy.map_or(&self.endpoint, |it| &it.endpoint)
    }

    /// Connects to one of the addresses and reads the greeting. `began`: since when the connect time runs.
    pub(crate) async fn dial(&self, began: Instant) -> Result<Greeting> {
        let options = &self.options;
        let conn = self.first_to_answer(began).await?;
        let took = began.elapsed();
        let trace = Trace::new(options.recorder.clone(), next_session());
        let (own, peer) = (conn.local_addr().ip(), conn.peer_addr().ip());
        let control = UserControl::new(conn, options.reply_limits, trace);
        let mut dialogue = Dialogue::new(control);
        dialogue.write_names_in(options.charset);
        let mut protection = self.protection(own, peer)?;
        if options.tls.implicit
            && let Some(protection) = protection.take()
        {
            let secured = dialogue.secure(protection).await;
            secured.map_err(|error| self.no_tls(error))?;
        }
        if self.addresses.len() == 1 {
            // With one address the handshake was one round trip; with several it may have been a wait for a dead one.
            dialogue.measured(took);
        }
        // 120 announces a delay (RFC 959 §5.4), the real greeting follows.
        let reply =
            dialogue
                .final_reply(options.reply_timeout)
                .await
                .map_err(|error| match error.kind() {
                    ErrorKind::Timeout => Error::new(
                        ErrorKind::Timeout,
                        format!(
                            "{} accepted the connection but sent no greeting within {} s",
                            self.endpoint,
                            seconds(options.reply_timeout)
                        ),
                    ),
                    _ => error,
                })?;
        if reply.class() != ReplyClass::Completion {
            let what = format!("{} refuses the connection", self.endpoint);
            return Err(Error::refused(Access::Login, what, reply));
        }
        if let Some(protection) = protection {
            self.authenticate(&mut dialogue, protection).await?;
        }
        Ok(Greeting {
            place: self.clone(),
            dialogue,
            reply,
        })
    }

    async fn first_to_answer(&self, began: Instant) -> Result<Conn> {
        let deadline = began + self.options.connect_timeout;
        let mut waiting = self.addresses.iter().copied();
        let mut attempts = JoinSet::new();
        let mut last = None;
        let mut next_start = Instant::now();
        let mut exhausted = false;
        loop {
            tokio::select! {
                biased;
                Some(ended) = attempts.join_next(), if !attempts.is_empty() => match ended {
                    Ok((_, Ok(conn))) => return Ok(conn),
                    Ok((address, Err(error))) => {
                        last = Some((address, error));
                        next_start = Instant::now(); // a refusal starts the next attempt at once
                    }
                    Err(stopped) => tracing::debug!(%stopped, "a connection attempt was stopped"),
                },
                () = sleep_until(next_start), if !exhausted => match waiting.next() {
                    Some(address) => {
                        let net = Arc::clone(&self.net);
                        attempts.spawn(async move { (address, net.connect(Source::Any, address).await) });
                        next_start = Instant::now() + STAGGER;
                    }
                    None => exhausted = true,
                },
                () = sleep_until(deadline) => {
                    let what = format!("no answer from {} within {} s", self.endpoint, seconds(self.options.connect_timeout));
                    return Err(Error::new(ErrorKind::Connect, what));
                }
            }
            if exhausted && attempts.is_empty() {
                return Err(match last {
                    Some((address, error)) => Error::from_source(
                        ErrorKind::Connect,
                        format!("cannot connect to {} ({address})", self.endpoint),
                        error,
                    ),
                    None => Error::new(
                        ErrorKind::Connect,
                        format!("cannot connect to {}", self.endpoint),
                    ),
                });
            }
        }
    }
}

/// USER, PASS, ACCT as far as the server asks for them (RFC 959 §5.4 and the diagram in §6), then, in TLS, PBSZ, PROT and, where it is wanted, CCC.
/// Returns the 230.
pub(crate) async fn log_in(
    dialogue: &mut Dialogue,
    place: &Place,
    login: &Login,
    within: Duration,
) -> Result<Reply> {
    if let Some(proxy) = &place.options.ftp_proxy {
        let reply = log_in_through(dialogue, proxy, &place.endpoint, login, within).await?;
        dialogue.protect_data(within).await?;
        return Ok(reply);
    }
    let user = Command::User(login.user.clone());
    let mut reply = dialogue.exchange(&user, within).await?;
    if reply.code() == 331 {
        reply = dialogue
            .exchange(&Command::Pass(login.password.clone()), within)
            .await?;
    }
    if reply.code() == 332 {
        let Some(account) = &login.account else {
            let what = "the server asks for an account (ACCT) besides the password";
            return Err(Error::new(ErrorKind::Login, what).with_reply(reply));
        };
        reply = dialogue
            .exchange(&Command::Acct(account.clone()), within)
            .await?;
    }
    if reply.class() != ReplyClass::Completion {
        let what = format!("login as {} refused", login.user.display());
        return Err(Error::refused(Access::Login, what, reply));
    }
    dialogue.protect_data(within).await?;
    Ok(reply)
}

/// The dialogue of an FTP proxy.
async fn log_in_through(
    dialogue: &mut Dialogue,
    proxy: &FtpProxy,
    to: &Endpoint,
    login: &Login,
    within: Duration,
) -> Result<Reply> {
    let names = Names {
        host: &to.host,
        port: to.port,
        user: &login.user,
        password: &login.password,
        account: login.account.as_ref(),
        proxy_user: proxy.user.as_ref(),
        proxy_password: proxy.password.as_ref(),
    };
    let steps = proxy.dialogue.steps(&names);
    let steps = steps.map_err(|error| Error::new(ErrorKind::Argument, error.to_string()))?;
    let mut reply = Reply::new(220, "");
    for step in steps {
        if !step.is_wanted(&reply) {
            continue;
        }
        reply = dialogue.exchange_line(&step.line, within).await?;
        if !step.is_borne(&reply) {
            break;
        }
    }
    if reply.class() != ReplyClass::Completion {
        let what = format!(
            "login as {} on {to} through the FTP proxy {} refused",
            login.user.display(),
            proxy.endpoint
        );
        return Err(Error::refused(Access::Login, what, reply));
    }
    Ok(reply)
}

/// FEAT and its consequences. A server without FEAT has no features; everything else then stands on trying.
pub(crate) async fn features(
    dialogue: &mut Dialogue,
    within: Duration,
) -> Result<Option<Features>> {
    let reply = dialogue.exchange(&Command::Feat, within).await?;
    let Some(features) = Features::from_reply(&reply) else {
        return Ok(None);
    };
    // Who names a charset knows what is on the server's disk; a server that is told UTF-8 would convert it.
    if features.has("UTF8") && dialogue.charset().is_none() {
        let utf8 = Command::Opts {
            name: Text::lossy("UTF8"),
            value: Some(Text::lossy("ON")),
        };
        // Whatever it answers: RFC 2640 servers speak UTF-8 without being told.
        dialogue.exchange(&utf8, within).await?;
    }
    Ok(Some(features))
}

/// Sessions are numbered through the process, so that one trace may hold several.
fn next_session() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The addresses of the wanted family. With [`FamilyChoice::Any`] the families alternate, beginning with the resolver's
/// first (RFC 8305 §4).
fn in_order(resolved: Vec<SocketAddr>, family: FamilyChoice) -> Vec<SocketAddr> {
    let first_is_v6 = match family {
        FamilyChoice::Any => resolved.first().is_some_and(SocketAddr::is_ipv6),
        FamilyChoice::PreferIpv6 | FamilyChoice::Ipv6 => true,
        FamilyChoice::PreferIpv4 | FamilyChoice::Ipv4 => false,
    };
    let (mut first, mut second): (Vec<_>, Vec<_>) = resolved
        .into_iter()
        .partition(|it| it.is_ipv6() == first_is_v6);
    match family {
        FamilyChoice::Ipv4 | FamilyChoice::Ipv6 => first,
        FamilyChoice::PreferIpv4 | FamilyChoice::PreferIpv6 => {
            first.append(&mut second);
            first
        }
        FamilyChoice::Any => {
            let mut mixed = Vec::with_capacity(first.len() + second.len());
            let (mut first, mut second) = (first.into_iter(), second.into_iter());
            loop {
                let (a, b) = (first.next(), second.next());
                if a.is_none() && b.is_none() {
                    return mixed;
                }
                mixed.extend(a.into_iter().chain(b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_tried_in_the_wanted_order() {
        let all = [
            "[2001:db8::1]:21",
            "[2001:db8::2]:21",
            "192.0.2.1:21",
            "192.0.2.2:21",
        ];
        let check = |family, expected: &[usize]| {
            let resolved = all.iter().map(|it| it.parse().unwrap()).collect();
            let seen: Vec<String> = in_order(resolved, family)
                .iter()
                .map(ToString::to_string)
                .collect();
            let expected: Vec<&str> = expected.iter().map(|it| all[*it]).collect();
            assert_eq!(seen, expected, "{family:?}");
        };
        check(FamilyChoice::Any, &[0, 2, 1, 3]);
        check(FamilyChoice::PreferIpv4, &[2, 3, 0, 1]);
        check(FamilyChoice::PreferIpv6, &[0, 1, 2, 3]);
        check(FamilyChoice::Ipv4, &[2, 3]);
        check(FamilyChoice::Ipv6, &[0, 1]);
    }
}
