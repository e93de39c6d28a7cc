//! `wharf doctor --server` on the server's host, and `wharf doctor --listen` elsewhere.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wharf_doctor::ask::USUAL_PORT;
use wharf_doctor::ask::asker::{Question, ask};
use wharf_doctor::ask::conclusion::{Conclusion, conclude};
use wharf_doctor::ask::listen::{Ended, Waiting};
use wharf_doctor::ask::rules::sample;
use wharf_doctor::ask::token::{Challenge, Token};
use wharf_doctor::host::offered::{Offered, Told};
use wharf_doctor::host::seen::Seen;
use wharf_doctor::host::{self, gather};
use wharf_doctor::report::Report;
use wharf_firewall::Passive;
use wharf_net::{ListenAt, Net, TcpNet};

use super::{doctor, foundation};
use crate::args::doctor_host::HostArgs;
use crate::args::value::{AdvertiseHost, OnePort, wildcard};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Where `wharf serve` listens when nothing was said: the first that may be bound.
const USUAL_PORTS: &[u16] = &[21, 2121];
/// Ranges up to this size are tried whole,
const SMALL: u16 = 40;
/// of larger ones so many ports.
const SAMPLE: u16 = 24;

pub(crate) async fn run(args: &HostArgs, json: bool, output: &Output) -> Result<(), Failure> {
    if let Some(at) = args.listen {
        return wait_for_a_server(at, args.wait, output).await;
    }
    let serve = args
        .serve_args()
        .map_err(|error| Failure::usage(error.to_string().trim_end().to_owned()))?;
    let settings = foundation::settings(&serve)?;
    let began = Instant::now();
    let mut ports: Vec<u16> = settings.listen.iter().map(SocketAddr::port).collect();
    if ports.is_empty() {
        ports.extend(USUAL_PORTS);
    }
    let seen = gather::look(&ports, TcpNet.descriptors()).await;
    let offered = offered(&settings, &seen);
    let mut report = host::examine(&offered, &seen, began.elapsed());
    let mut unasked = None;
    if let Some([host, token]) = args.ask.as_deref() {
        match answers(host, token, &offered).await {
            Ok(found) => host::add(&mut report, found),
            Err(failure) => unasked = Some(failure),
        }
        report.took = began.elapsed();
    }
    let printed = print(&report, json);
    match unasked {
        Some(failure) => Err(failure),
        None => printed,
    }
}

/// What another wharf says that it reaches of this server.
async fn answers(host: &str, token: &str, offered: &Offered) -> Result<Conclusion, Failure> {
    let token = token.parse().map_err(|error| {
        Failure::usage(format!(
            "`{}`: {error}",
            wharf_proto::visible(token.as_bytes())
        ))
    })?;
    let (name, port) = host_and_port(host)?;
    let unreachable = |error| Failure::new(Exit::Unreachable, format!("{name}: {error}"));
    let addresses = TcpNet.resolve(name, port).await.map_err(unreachable)?;
    let listener = addresses.first().copied();
    let listener = listener
        .ok_or_else(|| Failure::new(Exit::Unreachable, format!("{name} has no address")))?;
    let told = match &offered.told {
        Told::Address(address) => Some(*address),
        Told::Name(name) => {
            let known = TcpNet.resolve(name, 0).await.ok();
            known.and_then(|all| all.first().map(SocketAddr::ip))
        }
        Told::Reached | Told::Auto => None,
    };
    let question = Question {
        listener,
        token,
        control_ports: offered.control_ports(),
        data_ports: match offered.passive {
            Passive::Range(range) | Passive::DataPorts(range) => {
                let most = if range.len() <= SMALL { SMALL } else { SAMPLE };
                sample(range.lo(), range.hi(), most)
            }
            Passive::OnePort => Vec::new(),
        },
        told,
        active: offered.active.then_some(offered.active_port),
        challenge: Challenge::new(random().map_err(no_randomness)?),
    };
    match ask(Arc::new(TcpNet), &question).await {
        Ok(answer) => Ok(conclude(offered, &answer)),
        Err(error) => Err(Failure::new(Exit::Unreachable, error.to_string()).with_hint(
            "`wharf doctor --listen` there prints the command with its token; a token is good for one use",
        )),
    }
}

/// `HOST`, `HOST:PORT`, `[V6]:PORT`.
fn host_and_port(text: &str) -> Result<(&str, u16), Failure> {
    let wrong = || {
        Failure::usage(format!(
            "`{}` is not HOST or HOST:PORT",
            wharf_proto::visible(text.as_bytes())
        ))
    };
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, USUAL_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (text, USUAL_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        Err(wrong())
    } else {
        Ok((host, port))
    }
}

/// `wharf doctor --listen`: the command for the server on stdout, everything else on stderr.
async fn wait_for_a_server(at: SocketAddr, wait: Duration, output: &Output) -> Result<(), Failure> {
    let token = Token::new(random().map_err(no_randomness)?);
    let net: Arc<dyn Net> = Arc::new(TcpNet);
    let waiting = Waiting::open(net, ListenAt::one(at), token.clone(), random).await;
    let waiting = waiting.map_err(|error| {
        Failure::new(
            foundation::listen_exit(&error),
            format!("cannot listen on {at}: {error}"),
        )
    })?;
    let listens = waiting.local_addr();
    let known = match listens.ip() {
        any if any.is_unspecified() => TcpNet.own_address(),
        one => Some(one),
    };
    let here = match known {
        Some(ip) => SocketAddr::new(ip, listens.port()).to_string(),
        None => format!("THIS-HOST:{}", listens.port()),
    };
    output.info(&format!(
        "listening on {listens} for {} s; type this on the server (behind a NAT or with a name: another HOST):",
        wait.as_secs()
    ));
    {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(
            stdout,
            "wharf doctor --server --ask {here} {}",
            token.reveal()
        );
        let _ = stdout.flush();
    }
    match waiting.serve(wait).await {
        Ok(Ended::Asked { peer, knocks }) => {
            output.info(&format!(
                "{} asked, {knocks} ports were tried for it; its report says the rest",
                peer.ip()
            ));
            Ok(())
        }
        Ok(Ended::Nobody { strangers }) => {
            let failure = Failure::new(
                Exit::Timeout,
                format!("no server asked within {} s", wait.as_secs()),
            );
            Err(match strangers {
                0 => failure.with_hint(format!(
                    "nobody connected at all: can the server reach {here}?"
                )),
                _ => failure,
            })
        }
        Err(error) => Err(Failure::new(
            Exit::Software,
            format!("cannot go on listening: {error}"),
        )),
    }
}

fn random() -> std::io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

fn no_randomness(error: std::io::Error) -> Failure {
    Failure::new(
        Exit::Software,
        format!("the system has no randomness: {error}"),
    )
}

/// What these settings offer.
fn offered(settings: &Settings, seen: &Seen) -> Offered {
    let data = &settings.data;
    let config = foundation::server_config(settings, Vec::new(), None, None);
    let default = data.advertise.iter().find(|rule| rule.clients.is_none());
    Offered {
        listen: listen(settings, seen),
        passive: match (data.one_port, data.port) {
            (OnePort::On, _) => Passive::OnePort,
            (_, Some(ports)) => Passive::DataPorts(ports),
            (_, None) => Passive::Range(data.passive_ports),
        },
        one_port_auto: data.one_port == OnePort::Auto,
        told: match default.map(|rule| &rule.host) {
            None => Told::Reached,
            Some(AdvertiseHost::Auto) => Told::Auto,
            Some(AdvertiseHost::Address(address)) => Told::Address(*address),
            Some(AdvertiseHost::Name(name)) => Told::Name(name.clone()),
        },
        told_by_network: data.advertise.iter().any(|rule| rule.clients.is_some()),
        active: data.active,
        active_port: config.active_port,
        max_sessions: Some(config.max_sessions).filter(|most| *most != usize::MAX),
        keepalive: config.keepalive,
        balanced: !settings.proxy_protocol.is_empty(),
    }
}

/// Where the server listens. When nothing was said: where one does, else where it would.
fn listen(settings: &Settings, seen: &Seen) -> Vec<SocketAddr> {
    if !settings.listen.is_empty() {
        return settings.listen.clone();
    }
    let any: IpAddr = wildcard();
    let is_ours = |port: u16| {
        seen.listening.iter().any(|it| {
            let owner = it.owner.as_ref();
            it.at.port() == port && owner.is_some_and(|owner| owner.name.starts_with("wharf"))
        })
    };
    let port = USUAL_PORTS.iter().copied().find(|port| is_ours(*port));
    vec![SocketAddr::new(any, port.unwrap_or(21))]
}

/// The report; status 1 where somebody must act.
fn print(report: &Report, json: bool) -> Result<(), Failure> {
    doctor::say(report, json);
    if report.verdict.works {
        Ok(())
    } else {
        Err(Failure::told(Exit::Partial))
    }
}
