//! A client's machine, the proxy's machine, and servers behind it, each with a cable of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::namespace::Namespace;
use crate::operation::Errand;
use crate::payload::{self, Workspace};
use crate::process::{Daemon, isolate, tail};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, Tls, USER};
use crate::stage::CLIENT;
use crate::{Result, Settings, topology};

/// The proxy's machine as the client sees it: its main address. Each proxy has one of its own beside it.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 129);

/// The servers that stand behind proxies; the order is that of their cables.
pub(super) const SERVERS: [Kind; 4] = [Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd, Kind::Wharf];

/// The last number that a proxy's address may have, see [`Scene::address`], to be in the certificate.
const PROXIES: u8 = 60;

/// No operation lasts longer.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// There are no name servers here; a program that asks one is told so at once.
const NO_RESOLVER: &str = r"
table inet resolver {
  chain output { type filter hook output priority filter; meta l4proto { tcp, udp } th dport 53 reject; }
}";

/// What stands in a scene, besides the proxies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// Rules of the client's machine; interface `eth`.
    pub(super) client: &'static str,
    /// Rules of the proxy's machine; interfaces `lan` towards the client and `wan0`, `wan1`, ...
    pub(super) middle: &'static str,
    /// Rules of the servers' machines; interface `eth`.
    pub(super) servers: &'static str,
    /// The proxy's machine forwards: the client could reach the servers without it.
    pub(super) forwards: bool,
    /// The servers speak TLS, and nothing else.
    pub(super) secured: bool,
}

/// A server behind the proxy.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) kind: Kind,
    pub(super) root: PathBuf,
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
    _server: Server,
    _namespace: Namespace,
}

/// Machines and cables.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) client: Namespace,
    pub(super) middle: Namespace,
    pub(super) servers: Vec<Upstream>,
    pub(super) work: Workspace,
    /// What crosses.
    pub(super) payload: PathBuf,
    /// For the proxies and the servers.
    pub(super) certificates: Certificates,
    secret: PathBuf,
    wharf: PathBuf,
}

/// A running proxy; stopped when dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    daemon: Daemon,
}

impl Scene {
    /// Lays the cables, loads the rules, starts the servers.
    pub(super) fn build(
        settings: &Settings,
        what: &str,
        kinds: &[Kind],
        plan: Plan,
    ) -> Result<Self> {
        let work = Workspace::create(&format!("proxy-{what}"), false)?;
        let payload = work.path().join("payload.bin");
        payload::write(&payload, payload::SMALL)?;
        let secret = work.path().join("secret");
        std::fs::write(&secret, PASSWORD)?;
        let proxies = (10..=PROXIES).map(|number| Ipv4Addr::new(198, 51, 100, number));
        let servers = (0..).zip(kinds).map(|(cable, _)| server_address(cable));
        let addresses: Vec<IpAddr> = proxies.chain(servers).map(IpAddr::V4).collect();
        let certificates = Certificates::make_for(&work.path().join("certificates"), &addresses)?;
        let client = Namespace::create("client")?;
        let middle = Namespace::create("proxy")?;
        middle.join("lan", &client, "eth")?;
        client.ip(&format!(
            "addr add {CLIENT}/24 dev eth\naddr add {}/24 dev eth\n\
             route add default via {GATEWAY}\n\
             addr add 2001:db8:c::2/64 dev eth nodad\nroute add ::/0 via 2001:db8:c::1 dev eth\n",
            crate::stage::STRANGER
        ))?;
        middle.ip(&format!(
            "addr add {GATEWAY}/24 dev lan\naddr add 2001:db8:c::1/64 dev lan nodad\n"
        ))?;
        let forwards = if plan.forwards { "1" } else { "0" };
        middle.set(forwards, &["ipv4/ip_forward", "ipv6/conf/all/forwarding"])?;
        for (host, rules) in [(&client, plan.client), (&middle, plan.middle)] {
            host.nft(NO_RESOLVER)?;
            host.nft(rules)?;
        }
        let mut scene = Self {
            client,
            middle,
            servers: Vec::new(),
            work,
            payload,
            certificates,
            secret,
            wharf: settings.wharf.clone(),
        };
        for (cable, kind) in (0..).zip(kinds) {
            let upstream = scene.place(cable, *kind, plan)?;
            scene.servers.push(upstream);
        }
        Ok(scene)
    }

    /// A server at the end of its cable.
    fn place(&self, cable: u8, kind: Kind, plan: Plan) -> Result<Upstream> {
        let namespace = Namespace::create(kind.name())?;
        self.middle
            .join(&format!("wan{cable}"), &namespace, "eth")?;
        let near = Ipv4Addr::new(203, 0, 113, 64 * cable + 1);
        let v4 = server_address(cable);
        let segment = 0x50 + u16::from(cable);
        let near_v6 = Ipv6Addr::new(0x2001, 0xdb8, segment, 0, 0, 0, 0, 1);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, segment, 0, 0, 0, 0, 2);
        self.middle.ip(&format!(
            "addr add {near}/26 dev wan{cable}\naddr add {near_v6}/64 dev wan{cable} nodad\n"
        ))?;
        namespace.ip(&format!(
            "addr add {v4}/26 dev eth\nroute add default via {near}\n\
             addr add {v6}/64 dev eth nodad\nroute add ::/0 via {near_v6} dev eth\n"
        ))?;
        namespace.nft(NO_RESOLVER)?;
        namespace.nft(plan.servers)?;
        let root = self.work.directory(&format!("root-{}", kind.name()))?;
        std::fs::hard_link(&self.payload, root.join("payload.bin"))?;
        let server = server::start(
            kind,
            Place::Namespace(&namespace),
            &ServerPlan {
                wharf: &self.wharf,
                directory: &root,
                work: &self.work.directory(&format!("server-{}", kind.name()))?,
                port: 21,
                user: USER,
                password: PASSWORD,
                passive: topology::RANGE,
                advertise: None,
                max_sessions: 200,
                further: &["--one-port", "off"],
                lines: &[],
                tls: plan.secured.then(|| Tls::explicit(&self.certificates)),
            },
        )?;
        Ok(Upstream {
            kind,
            root,
            v4,
            v6,
            _server: server,
            _namespace: namespace,
        })
    }

    /// Gives the proxy's machine one more pair of addresses towards the client.
    pub(super) fn address(&self, number: u8) -> Result<(Ipv4Addr, Ipv6Addr)> {
        let v4 = Ipv4Addr::new(198, 51, 100, number);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 1, u16::from(number));
        self.middle.ip(&format!(
            "addr add {v4}/24 dev lan\naddr add {v6}/64 dev lan nodad\n"
        ))?;
        Ok((v4, v6))
    }

    /// Starts `wharf proxy` and waits until it listens.
    pub(super) fn proxy(
        &self,
        listen: &[SocketAddr],
        upstream: &str,
        further: &[&str],
    ) -> Result<Proxy> {
        let mut command = self.middle.command(&self.wharf);
        command.arg("proxy");
        for at in listen {
            command.arg("--listen").arg(at.to_string());
        }
        command.arg("--upstream").arg(upstream).args(further);
        isolate(&mut command, self.work.path());
        let mut proxy = Proxy {
            daemon: Daemon::start(command)?,
        };
        let start = Instant::now();
        while proxy.said().matches("listening on ").count() < listen.len() {
            if !proxy.daemon.alive() || start.elapsed() > Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(50));
                return Err(format!("wharf proxy: {}", tail(&proxy.said())).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(proxy)
    }

    /// An errand of the client's machine to whoever answers at this address.
    pub(super) fn errand<'a>(&'a self, host: &'a str, upstream: &'a Upstream) -> Errand<'a> {
        Errand {
            from: &self.client,
            work: &self.work,
            wharf: &self.wharf,
            secret: &self.secret,
            host,
            user: Errand::USER,
            payload: &self.payload,
            root: &upstream.root,
            certificates: None,
            limit: LIMIT,
        }
    }
}

impl Proxy {
    /// What it printed and said so far.
    pub(super) fn said(&self) -> String {
        self.daemon.said()
    }
}

/// The server's at the end of a cable.
fn server_address(cable: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 64 * cable + 2)
}

/// An address as a URL has it.
pub(super) fn in_url(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
