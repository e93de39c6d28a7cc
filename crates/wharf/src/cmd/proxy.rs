//! `wharf proxy`: listen, say where, translate until a signal.

use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use wharf_net::tls::{Keeper, LOOK};
use wharf_net::{Net, Recorder, TcpNet, TransparentNet};
use wharf_proto::data_connection::advertise::{Advertise, AdvertiseRule, Named, Network};
use wharf_proto::data_connection::port_policy::PortPolicy;
use wharf_proxy::{Allowed, Config, Proxy, Upstream};

use super::{certificate, foundation, proxy_tls};
use crate::args::ProxyArgs;
use crate::args::proxy::{OnOff, UpstreamArg};
use crate::args::value::{self, AdvertiseHost};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::output::Output;
use crate::trace_file::TraceFile;

/// Time for transfers after SIGTERM when nothing was said.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Translates until SIGTERM or SIGINT.
pub(crate) async fn run(args: &ProxyArgs, output: &Output) -> Result<(), Failure> {
    start_log(args)?;
    let (tls, mut keeper) = proxy_tls::towards_clients(&args.tls)?;
    let config = Config {
        tls,
        upstream_tls: proxy_tls::towards_server(&args.tls)?,
        ..config(args)?
    };
    // Before the addresses are told: whoever reads them may send a signal at once.
    let catch = |kind| {
        signal(kind)
            .map_err(|error| Failure::new(Exit::Software, format!("cannot catch signals: {error}")))
    };
    let (mut terminate, mut interrupt) = (
        catch(SignalKind::terminate())?,
        catch(SignalKind::interrupt())?,
    );
    let hint = upstream_hint(&config);
    let net: Arc<dyn Net> = match config.upstream {
        Upstream::OriginalDestination => Arc::new(TransparentNet),
        _ => Arc::new(TcpNet),
    };
    let proxy = Proxy::bind(config, net)
        .await
        .map_err(|error| bind_failure(&error))?;
    output.info(&hint);
    announce(proxy.local_addrs())?;
    let handle = proxy.handle();
    let stop_timeout = args.stop_timeout.unwrap_or(STOP_TIMEOUT);
    let mut looks = tokio::time::interval(LOOK);
    let mut hang_up = catch(SignalKind::hangup())?;
    let mut serving = pin!(proxy.run());
    let mut stopping = false;
    loop {
        tokio::select! {
            () = &mut serving => return Ok(()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {
                if keeper.is_some() {
                    look(keeper.as_mut(), true);
                    continue;
                }
            }
            _ = looks.tick(), if keeper.is_some() => {
                look(keeper.as_mut(), false);
                continue;
            }
        }
        if stopping {
            tracing::warn!("second signal: stopping at once");
            handle.stop(Duration::ZERO);
        } else {
            stopping = true;
            tracing::info!(sessions = handle.sessions(), deadline = ?stop_timeout, "stopping");
            handle.stop(stop_timeout);
        }
    }
}

/// Certificates are what their files say; by demand all of them are read anew.
fn look(keeper: Option<&mut Keeper>, by_demand: bool) {
    if let Some(keeper) = keeper {
        certificate::log_noticed(keeper.refresh(by_demand));
    }
}

fn start_log(args: &ProxyArgs) -> Result<(), Failure> {
    let base = if args.quiet { "warn" } else { "info" };
    let variable = std::env::var("WHARF_LOG").ok().filter(|it| !it.is_empty());
    let filter = match (&args.log_level, variable) {
        (Some(level), _) => level.clone(),
        _ if args.verbose > 0 => logging::filter_for(base, args.verbose).to_owned(),
        (None, Some(variable)) => variable,
        (None, None) => base.to_owned(),
    };
    logging::init(args.log_format.unwrap_or_default(), &filter)
        .map_err(|message| Failure::new(Exit::ServerUsage, message))
}

/// The configuration that the flags mean.
fn config(args: &ProxyArgs) -> Result<Config, Failure> {
    if !args.allow.is_empty() && args.upstream != UpstreamArg::UserAtHost {
        return Err(Failure::new(
            Exit::ServerUsage,
            "--allow belongs to --upstream user@host: any other upstream is decided by you alone",
        ));
    }
    let upstream = match &args.upstream {
        UpstreamArg::Fixed(place) => Upstream::Fixed(place.clone()),
        UpstreamArg::UserAtHost => Upstream::UserAtHost(Allowed {
            rules: args.allow.clone(),
        }),
        UpstreamArg::Transparent => Upstream::OriginalDestination,
    };
    let default = Config::new(upstream);
    let unlimited = |count: u32| match count {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    Ok(Config {
        listen: [&args.listen[..], &args.tls.implicit_listen[..]].concat(),
        upstream_mode: args.upstream_mode.unwrap_or_default(),
        upstream_source: args.upstream_source,
        upstream_ports: args.upstream_ports,
        upstream_advertise: args.upstream_advertise,
        passive_ports: args.passive_ports.unwrap_or(default.passive_ports),
        one_port: args.one_port == Some(OnOff::On),
        advertise: advertise(args)?,
        active_port: match args.active_port {
            None => default.active_port,
            Some(port) => Some(port).filter(|port| *port != 0),
        },
        port_policy: match args.port_policy {
            Some(value::PortPolicy::Repair) => PortPolicy::Repair,
            Some(value::PortPolicy::Refuse) | None => PortPolicy::Refuse,
        },
        patience: args.data_timeout.unwrap_or(default.patience),
        connect_patience: args.upstream_timeout.unwrap_or(default.connect_patience),
        max_sessions: args.max_sessions.map_or(default.max_sessions, unlimited),
        max_per_address: args
            .max_per_address
            .map_or(default.max_per_address, unlimited),
        login_attempts: args.login_attempts.unwrap_or(default.login_attempts),
        no_login: args.login_timeout.unwrap_or(default.no_login),
        idle: args.idle_timeout.unwrap_or(default.idle),
        stall: args.stall_timeout.unwrap_or(default.stall),
        keepalive: args.keepalive.unwrap_or(default.keepalive),
        proxy_protocol: args.proxy_protocol.clone(),
        recorder: recorder(args)?,
        ..default
    })
}

fn recorder(args: &ProxyArgs) -> Result<Option<Arc<dyn Recorder>>, Failure> {
    let Some(path) = &args.trace else {
        return Ok(None);
    };
    let file = TraceFile::append(path).map_err(|error| {
        Failure::new(
            Exit::CannotCreate,
            format!("cannot write the trace {}: {error}", path.display()),
        )
    })?;
    Ok(Some(Arc::new(file)))
}

fn advertise(args: &ProxyArgs) -> Result<Advertise, Failure> {
    let mut rules = Vec::new();
    let mut default = Named::Reached;
    for rule in &args.advertise {
        let AdvertiseHost::Address(address) = rule.host else {
            return Err(Failure::new(
                Exit::ServerUsage,
                "--advertise of a proxy takes addresses, not names and not `auto`",
            ));
        };
        let network = rule
            .clients
            .and_then(|net| Network::new(net.network(), net.prefix_len()).ok());
        let named = Named::Fixed(address);
        match network {
            Some(clients) => rules.push(AdvertiseRule { clients, named }),
            None => default = named,
        }
    }
    Ok(Advertise::with_rules(rules, default))
}

fn upstream_hint(config: &Config) -> String {
    let to = match &config.upstream {
        Upstream::Fixed(place) => place.to_string(),
        Upstream::UserAtHost(allowed) if allowed.rules.is_empty() => {
            "the server in USER name@host: port 21 of public addresses (--allow names others)"
                .to_owned()
        }
        Upstream::UserAtHost(_) => "the server in USER name@host, as --allow says".to_owned(),
        Upstream::OriginalDestination => "where the client was going".to_owned(),
    };
    format!(
        "upstream   {to}, data connections: {}",
        config.upstream_mode
    )
}

fn bind_failure(error: &wharf_proxy::Error) -> Failure {
    match error {
        wharf_proxy::Error::Listen { at, source } => foundation::listen_failure(*at, source),
        _ => Failure::new(Exit::Unavailable, error.to_string()),
    }
}

/// One line an address on stdout, for scripts.
fn announce(addresses: &[SocketAddr]) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Software, format!("cannot write to stdout: {error}"));
    let mut stdout = std::io::stdout().lock();
    for address in addresses {
        writeln!(stdout, "listening on {address}").map_err(failed)?;
    }
    stdout.flush().map_err(failed)
}
