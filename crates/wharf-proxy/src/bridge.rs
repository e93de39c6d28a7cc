//! One session: two control connections, what [`translate`](crate::translate) decides about them, and the data
//! connections between.
//!
//! One task owns all of it (law 2). Both control connections are listened to at any time, also while bytes move.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use wharf_net::shared_port::Place as SharedPlace;
use wharf_net::tls::UserSession;
use wharf_net::{Conn, ServerControl, Stop, Trace, UserControl};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::sorting::User;
use wharf_proto::trace::{Side as Whose, What};
use wharf_proto::{Reply, ReplyLimits, Text};

use crate::config::Config;
use crate::joint::{Joint, Side, Terms};
use crate::proxy::Setup;
use crate::shield::Shield;
use crate::translate::ways::ServerWays;
use crate::translate::{Ends, Input, Order, Translator, Wait};
use crate::upstream::{Place, Scruples, Upstream, connect};

/// What a server may say in one reply.
const REPLY_LIMITS: ReplyLimits = ReplyLimits {
    line: 16 * 1024,
    lines: 4096,
    bytes: 512 * 1024,
};

/// A transfer of this length has its control connections probed more often: nobody speaks meanwhile, and a NAT that
/// forgets them takes the final reply away.
const LONG_TRANSFER: Duration = Duration::from_secs(1);

/// 120 may come before 220 (RFC 959 §5.4), and once is enough.
const GREETINGS: usize = 8;

const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_mins(1);

/// Both control connections of a session.
pub(crate) struct Bridge {
    setup: Arc<Setup>,
    client: ServerControl,
    server: UserControl,
    shield: Shield,
    rules: Translator,
    joint: Joint,
    stop: watch::Receiver<Stop>,
    /// Since when nobody is logged in, if so.
    nobody_since: Instant,
    /// When something last happened.
    quiet_since: Instant,
    alarm: Option<Instant>,
    warm_from: Option<Instant>,
    hung_up: bool,
    server_gone: bool,
    over: bool,
}

/// What ends the wait.
enum Wake {
    Said(Input),
    ClientGone,
    Alarm,
    Warm,
    Silence,
    NoLogin,
    Stop,
    Cut,
}

/// A control connection of a client that has a place.
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) conn: Conn,
    pub(crate) place: Option<SharedPlace>,
    /// TLS begins before anything is said.
    pub(crate) implicit: bool,
}

/// A server that has greeted.
struct Reached {
    control: UserControl,
    /// With this its data connections are protected.
    tls: Option<UserSession>,
}

/// Serves until either side leaves.
pub(crate) async fn serve(
    setup: Arc<Setup>,
    arrival: Arrival,
    mut stop: watch::Receiver<Stop>,
) -> io::Result<()> {
    let config = &setup.config;
    let Arrival {
        number,
        conn,
        place,
        implicit,
    } = arrival;
    let meant = conn.original_destination();
    let trace = Trace::new(config.recorder.clone(), number).on_side(Whose::Server);
    let mut client = ServerControl::new(conn, config.line_limit, trace);
    client.set_write_patience(config.stall);
    client.set_keepalive(config.keepalive);
    let began = Instant::now();
    let mut shield = Shield::new(config.tls.as_ref())?;
    if implicit {
        shield.secure(&mut client, true, config.patience).await?;
    }
    let wanted = match &config.upstream {
        Upstream::Fixed(place) => Some(place.clone()),
        Upstream::OriginalDestination => meant.map(|at| Place {
            host: at.ip().to_string(),
            port: at.port(),
        }),
        Upstream::UserAtHost(_) => {
            let named = tokio::select! {
                named = crate::lobby::receive(&mut client, config, &mut shield) => named?,
                () = Stop::stopping(&mut stop) => {
                    client.queue(&Reply::new(421, "The proxy is stopping, goodbye"));
                    None
                }
            };
            let Some(named) = named else {
                return client.close().await;
            };
            let server = match reach(&setup, &named.place, &mut client, number).await {
                Ok(server) => server,
                Err(told) => {
                    client.queue(&Reply::new(421, told));
                    return client.close().await;
                }
            };
            let host = Some(named.written);
            let ends = (client, server, shield);
            let mut bridge = Bridge::new(setup, ends, place, host, stop, began);
            bridge
                .say(Input::Line(wharf_proto::Line::Command(named.line)))
                .await?;
            return bridge.run().await;
        }
    };
    let Some(wanted) = wanted else {
        tracing::warn!("not on its way to a server: dialled here, or from this host");
        client.queue(&Reply::new(
            421,
            "This proxy serves connections to others: dial an FTP server, not the proxy",
        ));
        return client.close().await;
    };
    let reached = tokio::select! {
        reached = reach(&setup, &wanted, &mut client, number) => reached,
        () = Stop::stopping(&mut stop) => Err("The proxy is stopping, goodbye".to_owned()),
    };
    match reached {
        Ok(server) => {
            let ends = (client, server, shield);
            let bridge = Bridge::new(setup, ends, place, None, stop, began);
            bridge.run().await
        }
        Err(told) => {
            client.queue(&Reply::new(421, told));
            client.close().await
        }
    }
}

/// Connects to the server and hears its greeting, which is passed on where the client has had none yet.
async fn reach(
    setup: &Setup,
    place: &Place,
    client: &mut ServerControl,
    number: u64,
) -> Result<Reached, String> {
    let config = &setup.config;
    let until = Instant::now() + config.connect_patience;
    let own: Vec<IpAddr> = [client.local_addr().ip(), client.bound_addr().ip()].into();
    let allowed = match &config.upstream {
        Upstream::UserAtHost(allowed) => Some(allowed),
        _ => None,
    };
    let scruples = Scruples { allowed, own: &own };
    let conn = connect(
        &*setup.net,
        place,
        config.upstream_source,
        scruples,
        config.connect_patience,
    )
    .await
    .map_err(|why| {
        tracing::warn!(upstream = %place, why = why.logged, "server not reached");
        why.told
    })?;
    // Two control connections are two sessions of a trace.
    let trace = Trace::new(config.recorder.clone(), number + 1).on_side(Whose::User);
    client.trace().record(|| {
        let at = conn.peer_addr();
        What::Note(format!("upstream {at} is session {}", number + 1))
    });
    let mut server = UserControl::new(conn, REPLY_LIMITS, trace);
    server.set_write_patience(config.stall);
    server.set_keepalive(config.keepalive);
    server.keep_replies_as_written();
    let tls = crate::upstream_tls::Beginning::new(config.upstream_tls.as_ref(), place)?;
    tls.before_the_greeting(&mut server, until).await?;
    let mut greetings = Vec::new();
    loop {
        let greeting = match tokio::time::timeout_at(until, server.next_reply()).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                tracing::warn!(upstream = %place, %error, "no greeting from the server");
                return Err("The server does not greet; try again later".to_owned());
            }
            Err(_) => {
                tracing::warn!(upstream = %place, "no greeting from the server in time");
                return Err("The server does not greet in time; try again later".to_owned());
            }
        };
        tracing::debug!(upstream = %server.peer_addr(), "server reached");
        let last = !greeting.is_preliminary();
        if greeting.code() >= 400 {
            let text = String::from_utf8_lossy(greeting.text().as_bytes()).into_owned();
            return Err(text);
        }
        greetings.push(greeting);
        if greetings.len() > GREETINGS {
            return Err("The server does not come to the end of its greeting".to_owned());
        }
        if last {
            break;
        }
    }
    let protected = tls.after_the_greeting(&mut server, until).await;
    let tls = protected
        .inspect_err(|why| tracing::warn!(upstream = %place, why, "no TLS with the server"))?;
    if allowed.is_none() {
        for greeting in &greetings {
            client.queue(greeting);
        }
    }
    Ok(Reached {
        control: server,
        tls,
    })
}

impl Bridge {
    fn new(
        setup: Arc<Setup>,
        (client, reached_server, shield): (ServerControl, Reached, Shield),
        place: Option<SharedPlace>,
        host_in_user: Option<String>,
        stop: watch::Receiver<Stop>,
        began: Instant,
    ) -> Self {
        let config = &setup.config;
        let Reached {
            control: server,
            tls: upstream_tls,
        } = reached_server;
        let (peer, reached) = (client.peer_addr(), client.local_addr());
        let ends = Ends {
            client: peer,
            reached: reached.ip(),
            server: server.peer_addr(),
            port_policy: config.port_policy,
            host_in_user,
            line_limit: config.line_limit,
            login_attempts: config.login_attempts.max(1),
            protection: shield.protection,
        };
        let to = server.peer_addr().ip().to_canonical();
        let ways = ServerWays::new(config.upstream_mode, to.is_ipv4(), setup.recall(to));
        let terms = terms(&setup, &client, &server);
        let now = Instant::now();
        let data_is_protected = shield.protection.data();
        let mut this = Self {
            rules: Translator::new(ends, ways),
            joint: Joint::new(terms, place, upstream_tls),
            setup,
            shield,
            client,
            server,
            stop,
            nobody_since: began,
            quiet_since: now,
            alarm: None,
            warm_from: None,
            hung_up: false,
            server_gone: false,
            over: false,
        };
        this.protect_data(data_is_protected);
        this
    }

    fn protect_data(&mut self, whether: bool) {
        let session = self.shield.session().filter(|_| whether).cloned();
        self.joint.protect_client(session, self.shield.data_session);
    }

    async fn run(mut self) -> io::Result<()> {
        self.client.flush().await?;
        while !self.over {
            match self.wake().await {
                Wake::Said(input) => {
                    self.quiet_since = Instant::now();
                    self.say(input).await?;
                }
                // Who said QUIT may hang up: the transfer goes on (RFC 959 §4.1.1 QUIT).
                Wake::ClientGone if self.rules.quit_is_waiting() => self.hung_up = true,
                Wake::ClientGone => {
                    tracing::debug!("the client is gone");
                    return Ok(());
                }
                Wake::Alarm => {
                    self.alarm = None;
                    self.say(Input::Late).await?;
                }
                Wake::Warm => {
                    self.warm_from = None;
                    self.keep_warm(true);
                }
                Wake::Silence => {
                    let idle = self.setup.config.idle.as_secs();
                    self.dismiss(&format!("Nothing heard for {idle} s, goodbye"));
                }
                Wake::NoLogin => self.dismiss("No login in time, goodbye"),
                Wake::Stop | Wake::Cut => self.dismiss("The proxy is stopping, goodbye"),
            }
        }
        drop(self.joint);
        let server = async {
            if !self.server_gone {
                let _ = self.server.close().await;
            }
        };
        let (closed, ()) = tokio::join!(self.client.close(), server);
        closed
    }

    fn dismiss(&mut self, text: &str) {
        self.client.queue(&Reply::new(421, text));
        self.over = true;
    }

    async fn wake(&mut self) -> Wake {
        let config = &self.setup.config;
        let busy = self.rules.is_transferring();
        // A transfer has limits of its own; anything else ends when nobody says anything.
        let mut deadline = (!busy).then(|| (self.quiet_since + config.idle, Wake::Silence));
        if !self.rules.is_logged_in() {
            let login = self.nobody_since + config.no_login;
            match &deadline {
                Some((at, _)) if *at <= login => {}
                _ => deadline = Some((login, Wake::NoLogin)),
            }
        }
        let (at, late) = match deadline {
            Some((at, late)) => (Some(at), late),
            None => (None, Wake::Silence),
        };
        if self.rules.is_idle() && *self.stop.borrow() != Stop::No {
            return Wake::Stop;
        }
        let listen = self.rules.has_room() && !self.hung_up;
        let idle = self.rules.is_idle();
        let (mut stop, mut end) = (self.stop.clone(), self.stop.clone());
        tokio::select! {
            biased;
            line = self.client.next_line(), if listen => match line {
                Ok(Some(line)) => Wake::Said(Input::Line(line)),
                Ok(None) | Err(_) => Wake::ClientGone,
            },
            reply = self.server.next_reply(), if !self.server_gone => match reply {
                Ok(reply) => Wake::Said(Input::Reply(reply)),
                Err(error) => {
                    tracing::debug!(%error, "the server is gone");
                    self.server_gone = true;
                    Wake::Said(Input::ServerGone)
                }
            },
            input = self.joint.next() => Wake::Said(input),
            () = Stop::stopping(&mut stop), if idle => Wake::Stop,
            () = Stop::cut(&mut end) => Wake::Cut,
            () = until(self.alarm) => Wake::Alarm,
            () = until(at) => late,
            () = until(self.warm_from) => Wake::Warm,
        }
    }

    /// Tells the rules, and does what they order.
    async fn say(&mut self, input: Input) -> io::Result<()> {
        let mut gone = false;
        let transferring = self.rules.is_transferring();
        for order in self.rules.hear(input) {
            gone |= !self.carry_out(order).await;
        }
        if let Some(direction) = self.rules.transfer_ahead() {
            self.joint.foretell_to_client(direction);
        }
        if gone && !self.server_gone {
            self.server_gone = true;
            for order in self.rules.hear(Input::ServerGone) {
                self.carry_out(order).await;
            }
        }
        if transferring && !self.rules.is_transferring() {
            let to = self.server.peer_addr().ip().to_canonical();
            self.setup.learn(to, self.rules.ways().learnt());
        }
        if !self.rules.is_transferring() && !self.joint.is_moving() {
            self.warm_from = None;
            self.keep_warm(false);
        }
        // The replies to a burst are written together, when none of its commands waits any more.
        if self.hung_up || self.rules.is_idle() && self.client.has_line() {
            return Ok(());
        }
        self.client.flush().await
    }

    /// `false`: the server cannot be written to.
    async fn carry_out(&mut self, order: Order) -> bool {
        match order {
            Order::ToClient(reply) => {
                if !self.hung_up {
                    self.client.queue(&reply);
                }
            }
            Order::TellProgress => {
                let text = self.progress();
                self.client.queue(&Reply::new(211, text));
            }
            Order::ToServer(line) => return self.server.send_line(&line).await.is_ok(),
            Order::Abort => return self.server.send_abort().await.is_ok(),
            Order::ListenForClient(_) => self.joint.listen_for_client(),
            Order::AimAtClient(to) => self.joint.aim_at_client(to),
            Order::ListenForServer => self.joint.listen_for_server(),
            Order::ConnectServer(to) => self.joint.connect_server(to),
            Order::AcceptServer => self.joint.accept_server(),
            Order::AnnounceToClient(direction) => self.joint.announce_to_client(direction),
            Order::OpenClient => self.joint.open_client(),
            Order::Move(direction) => {
                self.warm_from = Some(Instant::now() + LONG_TRANSFER);
                self.joint.begin_to_move(direction);
            }
            Order::Cut => self.joint.cut(),
            Order::Release => self.joint.release(),
            Order::Alarm(wait) => {
                let wait = match wait {
                    Wait::Short => SHORT,
                    Wait::Patience => self.setup.config.patience,
                    Wait::Long => LONG,
                };
                self.alarm = Some(Instant::now() + wait);
            }
            Order::Calm => self.alarm = None,
            Order::LoggedIn(user) => {
                tracing::info!(user = %user.display(), "login");
                if let Some(place) = self.joint.place() {
                    place.logged_in(sharing_user(&user));
                }
            }
            Order::LoggedOut => {
                self.nobody_since = Instant::now();
                if let Some(place) = self.joint.place() {
                    place.logged_out();
                }
            }
            Order::SecureClient => {
                let patience = self.setup.config.patience;
                if self
                    .shield
                    .secure(&mut self.client, false, patience)
                    .await
                    .is_err()
                {
                    // Nothing can be told: the client has left FTP behind, or somebody stands between.
                    self.over = true;
                    self.hung_up = true;
                }
            }
            Order::ProtectData(whether) => self.protect_data(whether),
            Order::Note(text) => {
                tracing::info!("{text}");
                self.client.trace().record(|| What::Note(text));
            }
            Order::HangUp => self.over = true,
        }
        true
    }

    fn progress(&self) -> String {
        if !self.joint.is_moving() {
            return "The data connections of a transfer are being made".to_owned();
        }
        let bytes = self.joint.progress.moved();
        let millis = u64::try_from(self.joint.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = bytes.saturating_mul(1000) / millis.max(1);
        format!("Transfer in progress: {bytes} bytes, {rate} bytes/s")
    }

    fn keep_warm(&mut self, warm: bool) {
        self.client.keep_warm(warm);
        self.server.keep_warm(warm);
    }
}

/// What the data connections of this session are made with.
fn terms(setup: &Setup, client: &ServerControl, server: &UserControl) -> Terms {
    let config: &Config = &setup.config;
    let (peer, reached) = (client.peer_addr(), client.local_addr());
    let told = config.advertise.choose(peer.ip(), reached.ip());
    if let Some(warning) = told.warning {
        tracing::debug!(client = %peer, "{warning}");
    }
    Terms {
        net: Arc::clone(&setup.net),
        client: Side {
            guard: Guard::new(peer.ip()),
            own: client.bound_addr().ip(),
            trace: client.trace().clone(),
        },
        server: Side {
            guard: Guard::new(server.peer_addr().ip()),
            own: server.local_addr().ip(),
            trace: server.trace().clone(),
        },
        reached,
        told_client: told.address,
        told_server: config
            .upstream_advertise
            .unwrap_or_else(|| server.local_addr().ip().to_canonical()),
        passive_ports: config.passive_ports,
        upstream_ports: config.upstream_ports,
        active_port: config.active_port,
        patience: config.patience,
        stall: config.stall,
    }
}

/// Who shares a control port for data: anonymous sessions are one user.
fn sharing_user(user: &Text) -> User {
    if user.is_word("anonymous") || user.is_word("ftp") {
        User::Anonymous
    } else {
        User::Named(user.display().to_string())
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// 421 instead of a session, and `patience` for the client to read it and leave.
pub(crate) async fn refuse(setup: &Setup, conn: Conn, number: u64, text: &str, patience: Duration) {
    let trace = Trace::new(setup.config.recorder.clone(), number).on_side(Whose::Server);
    let mut control = ServerControl::new(conn, setup.config.line_limit, trace);
    control.queue(&Reply::new(421, text));
    // Whether a client that is turned away reads why is its own affair.
    let _ = timeout(patience, control.close()).await;
}
