//! Client commands talk to servers through here: addresses, logins, one control connection for
//! consecutive addresses on the same server, and errors as [`Failure`]s.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wharf_client::{
    Client, DataHost, DataModeChoice, Endpoint, FamilyChoice, Login, Options, Pool, Scheme, Target,
    TlsChoice,
};
use wharf_net::mapping::PortMapper;
use wharf_net::{Conn, ListenAt, Listener, Net, Recorder, Source, TcpNet};
use wharf_proto::Pathname;
use wharf_proto::data_connection::passive::PortRange;

use crate::args::client::DataHostArg;
use crate::args::ssl::SslWord;
use crate::args::tls::TlsArgs;
use crate::args::via::ViaArgs;
use crate::args::{ClientArgs, FtpArgs, ModeArg, ShellArgs};
use crate::catalogue::Cause;
pub(crate) use crate::client_error::{cut_short, failure};
use crate::event::{self, Event};
use crate::exit::{Exit, Failure, summed};
use crate::live_ladder::LiveLadder;
use crate::login::LoginSources;
use crate::output::Output;
use crate::profile;
use crate::screen::{Screen, Several};
use crate::terminal;
use crate::trace_file::TraceFile;
use crate::via::Proxies;

/// What is the same for every connection of a command.
#[derive(Clone)]
pub(crate) struct Connector {
    net: Arc<dyn Net>,
    options: Options,
    pub(crate) logins: LoginSources,
    pub(crate) proxies: Proxies,
    output: Output,
    /// A certificate that nobody vouches for is believed the first time, even where TLS is required.
    believes_first: bool,
}

/// How to come to one server: what a connection to it needs.
pub(crate) struct Door {
    /// The network that leads there, through a proxy maybe.
    pub(crate) net: Arc<dyn Net>,
    /// The settings that hold for this server.
    pub(crate) options: Options,
}

/// Where a session is, and whether it is in TLS.
pub(crate) type Server = (Scheme, Endpoint);

/// The choice of data connections and everything else that flags say about connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) mode: ModeArg,
    pub(crate) passive: bool,
    pub(crate) active: bool,
    pub(crate) active_addr: Option<IpAddr>,
    pub(crate) port_range: Option<PortRange>,
    pub(crate) data_host: DataHostArg,
    pub(crate) data_timeout: Option<Duration>,
    pub(crate) no_memory: bool,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) local_addr: Option<IpAddr>,
    pub(crate) charset: Option<wharf_client::Charset>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) tls: TlsArgs,
    pub(crate) via: ViaArgs,
}

impl From<&ClientArgs> for Wishes {
    fn from(args: &ClientArgs) -> Self {
        Self {
            mode: args.mode,
            passive: args.passive,
            active: args.active,
            active_addr: args.active_addr,
            port_range: args.port_range,
            data_host: args.data_host,
            data_timeout: args.data_timeout,
            no_memory: args.no_memory,
            ipv4: args.ipv4,
            ipv6: args.ipv6,
            connect_timeout: args.connect_timeout,
            timeout: args.timeout,
            local_addr: None,
            charset: args.charset.0,
            trace: args.trace.clone(),
            tls: args.tls.clone(),
            via: args.via.clone(),
        }
    }
}

impl From<&FtpArgs> for Wishes {
    fn from(args: &FtpArgs) -> Self {
        let mut tls = args.tls.clone();
        SslWord::apply(&args.ssl, &mut tls);
        Self {
            mode: args.mode,
            passive: args.passive,
            active: args.active,
            active_addr: args.active_addr,
            port_range: args.port_range,
            data_host: args.data_host,
            data_timeout: None,
            no_memory: args.no_memory,
            ipv4: args.ipv4,
            ipv6: args.ipv6,
            connect_timeout: args.connect_timeout,
            timeout: args.stall_timeout,
            local_addr: args.local_addr,
            charset: None,
            trace: args.trace.clone(),
            tls,
            via: args.via.clone(),
        }
    }
}

impl From<&ShellArgs> for Wishes {
    fn from(args: &ShellArgs) -> Self {
        Self {
            mode: args.mode,
            passive: args.passive,
            active: args.active,
            active_addr: args.active_addr,
            port_range: args.port_range,
            data_host: args.data_host,
            data_timeout: None,
            no_memory: args.no_memory,
            ipv4: args.ipv4,
            ipv6: args.ipv6,
            connect_timeout: None,
            timeout: args.timeout,
            local_addr: None,
            charset: None,
            trace: args.trace.clone(),
            tls: args.tls.clone(),
            via: args.via.clone(),
        }
    }
}

impl Connector {
    /// For a one-shot command; starts its log, too.
    pub(crate) fn new(args: &ClientArgs, output: &Output) -> Result<Self, Failure> {
        start_log(output.verbosity())?;
        let dialogue = output.verbosity() > 0 && !output.only_events();
        // the ladder tells the dialogue, too
        let screen = (dialogue && !args.ladder).then(|| Screen {
            output: output.clone(),
        });
        let logins = LoginSources::from(args);
        let mut connector = Self::with(&Wishes::from(args), logins, screen, output)?;
        if output.stream().is_some() {
            connector.add_recorder(Arc::new(event::Teller::new(output.clone())));
        }
        if args.ladder {
            let look = terminal::look(std::io::stderr().is_terminal());
            let ladder = LiveLadder::new(output.clone(), &look, dialogue);
            connector.add_recorder(Arc::new(ladder));
        }
        Ok(connector)
    }

    pub(crate) fn with(
        wishes: &Wishes,
        logins: LoginSources,
        screen: Option<Screen>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let net: Arc<dyn Net> = match wishes.local_addr {
            None => Arc::new(TcpNet),
            Some(address) => Arc::new(FromAddress { address }),
        };
        Ok(Self {
            net,
            options: options(wishes, screen, output)?,
            logins,
            proxies: Proxies::from(&wishes.via),
            output: output.clone(),
            believes_first: false,
        })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Another network in the place of the one it has.
    pub(crate) fn wrap_net(&mut self, wrap: impl FnOnce(Arc<dyn Net>) -> Arc<dyn Net>) {
        self.net = wrap(Arc::clone(&self.net));
    }

    /// Whether a certificate that nobody vouches for is believed the first time, even where TLS is required.
    pub(crate) fn believe_first(&mut self, believes: bool) {
        self.believes_first = believes;
    }

    /// One more listener to what happens.
    pub(crate) fn add_recorder(&mut self, recorder: Arc<dyn Recorder>) {
        let before = self.options.recorder.take();
        let all = before.into_iter().chain([recorder]).collect();
        self.options.recorder = Some(Arc::new(Several(all)));
    }

    /// The way to a server, with the settings of its scheme.
    pub(crate) fn door(&self, server: &Server) -> Result<Door, Failure> {
        let (scheme, endpoint) = server;
        self.door_with(endpoint, self.options_for(*scheme))
    }

    /// The same with these settings.
    pub(crate) fn door_with(
        &self,
        endpoint: &Endpoint,
        mut options: Options,
    ) -> Result<Door, Failure> {
        let said = profile::book()?.settings(&endpoint.host, Some(endpoint.port));
        said.fill(&mut options)?;
        let net = Arc::clone(&self.net);
        let proxy = said.proxy.as_deref();
        let before = self
            .proxies
            .before(endpoint, proxy, said.proxy_login.as_ref())?;
        let net = match before {
            Some(via) => self
                .proxies
                .lead(via, net, &mut options, &self.logins, &self.output)?,
            None => net,
        };
        Ok(Door { net, options })
    }

    /// The settings for addresses with this scheme.
    pub(crate) fn options_for(&self, scheme: Scheme) -> Options {
        let mut options = self.options.clone().for_scheme(scheme);
        // Who asks for TLS wants to know whom it is with.
        options.tls.trust.first_use &=
            options.tls.choice == TlsChoice::Prefer || self.believes_first;
        options
    }

    /// Connects and logs in.
    pub(crate) async fn open(&self, server: &Server, login: Login) -> Result<Client, Failure> {
        let anonymous = login.user.is_word("anonymous");
        let user = login.user.display().to_string();
        let (_, endpoint) = server;
        let Door { net, options } = self.door(server)?;
        // On the heap: whoever opens would otherwise carry it along.
        let greeting = Box::pin(wharf_client::connect(net, endpoint, options))
            .await
            .map_err(|error| failure(&error))?;
        let client = Box::pin(greeting.login(login)).await;
        let client = client.map_err(|error| login_failure(&error, anonymous))?;
        let server = endpoint.to_string();
        self.output.event(&Event::Login { server, user });
        Ok(client)
    }
}

/// Why a login came to nothing.
pub(crate) fn login_failure(error: &wharf_client::Error, anonymous: bool) -> Failure {
    let failure = failure(error);
    if failure.exit == Exit::Login && anonymous {
        failure
            .because(Cause::AnonymousRefused)
            .with_hint("this was anonymous; name a user: ftp://USER@host/ or --user NAME")
    } else {
        failure
    }
}

/// Whether a word is an address, and not a host or a file.
pub(crate) fn is_address(word: &str) -> bool {
    word.contains("://") || word.starts_with(profile::PREFIX)
}

/// The address of a bookmark with exactly this name; a host of the same name is still `ftp://NAME/`.
pub(crate) fn named(word: &str) -> Result<Option<Target>, Failure> {
    Ok(profile::book()?.find(word).map(|it| it.target.clone()))
}

/// Reads an address; `bookmark:NAME/path` is one.
pub(crate) fn target(url: &str) -> Result<Target, Failure> {
    let bookmarked = match url.strip_prefix(profile::PREFIX) {
        Some(reference) => Some(profile::book()?.address(reference)?),
        None => None,
    };
    let url = bookmarked.as_deref().unwrap_or(url);
    url.parse::<Target>().map_err(|error| {
        Failure::of(Cause::Address, error.to_string()).with_hint("`wharf help urls`")
    })
}

/// Reads several addresses; all of them are right before anything is done.
pub(crate) fn targets(urls: &[String]) -> Result<Vec<Target>, Failure> {
    urls.iter().map(|url| target(url)).collect()
}

/// Reads addresses that must name files.
pub(crate) fn file_targets(urls: &[String]) -> Result<Vec<Target>, Failure> {
    let targets = targets(urls)?;
    for target in &targets {
        if target.is_directory() {
            return Err(Failure::usage(format!("{target} is a directory"))
                .with_hint("`wharf ls` lists it; a file's address does not end in /"));
        }
    }
    Ok(targets)
}

/// The pathname of an address, where it must have one.
pub(crate) fn path_of(target: &Target) -> Result<Pathname, Failure> {
    target
        .path()
        .cloned()
        .ok_or_else(|| Failure::usage(format!("{target} names no file")))
}

/// Prints a failure at once and keeps its status: for commands that go on with the next address.
fn tell(result: Result<(), Failure>, output: &Output) -> Exit {
    match result {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// The connection in use. Consecutive addresses on one server and user share it.
pub(crate) struct Sessions {
    connector: Connector,
    open: Option<(Server, Login, Client)>,
    /// With whom there was one.
    once_open: Vec<Server>,
    /// Asked for once: a prompt for every file would be rude.
    asked: Vec<(Target, Login)>,
    /// Not knocked at again.
    closed_doors: Vec<(Server, Login, Exit)>,
    /// How each of the command's operands went.
    results: Vec<Exit>,
}

impl Sessions {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            open: None,
            once_open: Vec::new(),
            asked: Vec::new(),
            closed_doors: Vec::new(),
            results: Vec::new(),
        }
    }

    /// Tells how one of the command's operands went; the command goes on with the next.
    pub(crate) fn settle(&mut self, result: Result<(), Failure>) {
        self.tell_notes();
        self.results.push(tell(result, &self.connector.output));
    }

    /// Says goodbye, and sums up what was settled.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        self.close().await;
        summed(&self.results)
    }

    /// A logged-in client for the server of `target`.
    pub(crate) async fn client(&mut self, target: &Target) -> Result<&mut Client, Failure> {
        let login = self.login(target)?;
        let endpoint = (target.scheme(), target.endpoint().clone());
        let fits = self
            .open
            .as_ref()
            .is_some_and(|(open, user, _)| *open == endpoint && *user == login);
        if !fits {
            self.close().await;
            let known = self
                .closed_doors
                .iter()
                .find(|(host, user, _)| *host == endpoint && *user == login);
            if let Some((_, _, exit)) = known {
                let message = format!(
                    "{target}: not tried, no session with {} came about",
                    endpoint.1
                );
                return Err(Failure::new(*exit, message));
            }
            match self.connector.open(&endpoint, login.clone()).await {
                Ok(client) => {
                    if !self.once_open.contains(&endpoint) {
                        self.once_open.push(endpoint.clone());
                    }
                    self.open = Some((endpoint, login, client));
                    self.tell_notes();
                }
                Err(failure) => {
                    self.closed_doors.push((endpoint, login, failure.exit));
                    return Err(failure);
                }
            }
        }
        match &mut self.open {
            Some((_, _, client)) => Ok(client),
            None => Err(Failure::new(Exit::Software, "the connection vanished")),
        }
    }

    /// Whether there was a session with the server of `target` in this run.
    pub(crate) fn was_open(&self, target: &Target) -> bool {
        self.once_open
            .contains(&(target.scheme(), target.endpoint().clone()))
    }

    /// Forgets that no session came about.
    pub(crate) fn knock_again(&mut self, target: &Target) {
        let server = (target.scheme(), target.endpoint().clone());
        self.closed_doors.retain(|(host, _, _)| *host != server);
    }

    /// Several sessions for the server of `target`, beside the one that is open.
    pub(crate) fn pool(&mut self, target: &Target, most: NonZeroUsize) -> Result<Pool, Failure> {
        let login = self.login(target)?;
        let server = (target.scheme(), target.endpoint().clone());
        let Door { net, options } = self.connector.door(&server)?;
        Ok(Pool::new(net, target, login, options, most))
    }

    /// Prints what the library found worth telling, e.g. that a data mode did not work.
    pub(crate) fn tell_notes(&mut self) {
        if let Some((_, _, client)) = &mut self.open {
            for warning in client.take_warnings() {
                self.connector.output.warning(&warning);
            }
            for note in client.take_notes() {
                self.connector.output.note(&note);
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(&mut self) {
        self.tell_notes();
        if let Some((_, _, client)) = self.open.take() {
            client.quit().await;
        }
    }

    fn login(&mut self, target: &Target) -> Result<Login, Failure> {
        let door = target.clone().with_path(None);
        if let Some((_, login)) = self.asked.iter().find(|(known, _)| *known == door) {
            return Ok(login.clone());
        }
        let login = self
            .connector
            .logins
            .login(target, &self.connector.output)?;
        self.asked.push((door, login.clone()));
        Ok(login)
    }
}

fn options(wishes: &Wishes, screen: Option<Screen>, output: &Output) -> Result<Options, Failure> {
    if wishes.passive && wishes.active {
        return Err(Failure::of(
            Cause::Exclusive,
            "passive and active exclude each other",
        ));
    }
    if wishes.ipv4 && wishes.ipv6 {
        return Err(Failure::of(
            Cause::Exclusive,
            "-4 and -6 exclude each other",
        ));
    }
    let mut options = Options {
        data_mode: match wishes.mode {
            _ if wishes.passive => DataModeChoice::Passive,
            _ if wishes.active => DataModeChoice::Active,
            mode => mode_choice(mode),
        },
        active_addr: wishes.active_addr,
        port_range: wishes.port_range,
        data_host: match wishes.data_host {
            DataHostArg::Peer => DataHost::Peer,
            DataHostArg::Reply => DataHost::Reply,
        },
        data_timeout: wishes.data_timeout,
        charset: wishes.charset,
        memory: if wishes.no_memory {
            None
        } else {
            crate::cmd::forget::memory().map(Arc::new)
        },
        tls: crate::client_tls::tls(
            &wishes.tls,
            crate::cmd::forget::known_servers().filter(|_| !wishes.no_memory),
            output,
        )?,
        family: match (wishes.ipv4, wishes.ipv6) {
            (true, _) => FamilyChoice::Ipv4,
            (_, true) => FamilyChoice::Ipv6,
            _ => FamilyChoice::Any,
        },
        ..Options::default()
    };
    if let Some(time) = wishes.connect_timeout {
        options.connect_timeout = time;
    }
    if let Some(time) = wishes.timeout {
        options.reply_timeout = time;
        options.stall_timeout = time;
        options.completion_timeout = options.completion_timeout.min(time);
        options.confirmation_timeout = time;
    }
    let mut recorders: Vec<Arc<dyn Recorder>> = Vec::new();
    if let Some(path) = &wishes.trace {
        let file = TraceFile::create(path).map_err(|error| {
            Failure::new(
                Exit::LocalFile,
                format!("cannot write the trace {}: {error}", path.display()),
            )
        })?;
        recorders.push(Arc::new(file));
    }
    if let Some(screen) = screen {
        recorders.push(Arc::new(screen));
    }
    if !recorders.is_empty() {
        options.recorder = Some(Arc::new(Several(recorders)));
    }
    Ok(options)
}

/// The library's word for a `--mode`.
pub(crate) fn mode_choice(mode: ModeArg) -> DataModeChoice {
    match mode {
        ModeArg::Auto => DataModeChoice::Auto,
        ModeArg::Passive => DataModeChoice::Passive,
        ModeArg::Active => DataModeChoice::Active,
        ModeArg::Epsv => DataModeChoice::Epsv,
        ModeArg::Pasv => DataModeChoice::Pasv,
        ModeArg::Eprt => DataModeChoice::Eprt,
        ModeArg::Port => DataModeChoice::Port,
    }
}

/// The log of a client command: warnings, or what `-vv` or `WHARF_LOG` asks for.
pub(crate) fn start_log(verbose: u8) -> Result<(), Failure> {
    let filter = match std::env::var("WHARF_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ => crate::logging::filter_for("warn", verbose.saturating_sub(1) * 2).to_owned(),
    };
    crate::logging::init(crate::logging::LogFormat::Human, &filter).map_err(Failure::usage)
}

/// The network seen from one local address (`ftp -s`).
struct FromAddress {
    address: IpAddr,
}

#[async_trait]
impl Net for FromAddress {
    async fn connect(&self, from: Source, to: std::net::SocketAddr) -> std::io::Result<Conn> {
        let from = match from {
            Source::Any => Source::Address(self.address),
            other => other,
        };
        TcpNet.connect(from, to).await
    }

    async fn listen(&self, at: ListenAt) -> std::io::Result<Box<dyn Listener>> {
        TcpNet.listen(at).await
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        TcpNet.mapper()
    }

    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<std::net::SocketAddr>> {
        let mut found = TcpNet.resolve(host, port).await?;
        found.retain(|address| address.is_ipv4() == self.address.is_ipv4());
        Ok(found)
    }
}
