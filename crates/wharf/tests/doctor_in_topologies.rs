//! The doctor in every topology of the simulated network, on virtual time: which causes it names, and whose they are. The
//! table is the result; no cell is expected by hand. Nothing counts hops there, and no hole can be opened: what the real
//! network adds stands in the lab's table.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the table"
)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use tokio::time::Instant;
use wharf_accounts::Anonymous;
use wharf_client::{Endpoint, Login, Options};
use wharf_doctor::Doctor;
use wharf_doctor::remedy::Wording;
use wharf_doctor::report::Report;
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::{Pathname, Secret, Text};
use wharf_server::{Address, Advertise, Config, OnePort, Server};
use wharf_sim::topologies::{Scene, TOPOLOGIES};
use wharf_storage::{Memory as Stored, Permissions};

/// The verdict is there within this time, always.
const VERDICT: Duration = Duration::from_secs(8);

#[test]
fn the_causes_in_every_topology() {
    let mut table = String::new();
    for topology in TOPOLOGIES {
        let (report, took) = examined((topology.build)(), Config::default());
        assert!(took <= VERDICT, "{}: {took:?}", topology.name);
        assert_eq!(report.unfinished, [""; 0], "{}", topology.name);
        let mut causes = String::new();
        for finding in &report.findings {
            write!(causes, " {}@{}", finding.word, finding.side.word()).unwrap();
            for side in &finding.perhaps {
                write!(causes, "/{}", side.word()).unwrap();
            }
        }
        let uses = report.verdict.uses.as_deref().unwrap_or("no way");
        let uses = uses.trim_start_matches("wharf get uses ");
        let tenths = (took.as_millis() + 50) / 100;
        let took = format!("{}.{} s", tenths / 10, tenths % 10);
        let line = format!("{:24} {took:6} {uses:20}{causes}", topology.name);
        writeln!(table, "{}", line.trim_end()).unwrap();
    }
    expect![[r#"
        open                     0.5 s  EPSV
        client-fw-drop           2.6 s  EPSV                 active-dropped@client-firewall/server-firewall
        client-fw-reject         0.5 s  EPSV                 active-refused@client-firewall/server-firewall
        client-fw-helper         0.5 s  EPSV
        client-egress-21         5.5 s  no way               passive-dropped@server-firewall/client-firewall active-dropped@client-firewall/server-firewall
        client-egress-21-helper  0.5 s  EPSV
        server-fw-21             5.5 s  PORT                 passive-dropped@server-firewall
        server-fw-21-strict      5.5 s  no way               passive-dropped@server-firewall/client-firewall active-dropped@client-firewall/server-firewall
        server-fw-range          2.6 s  EPSV                 active-dropped@client-firewall/server-firewall
        server-fw-range-norange  5.5 s  no way               passive-dropped@server-firewall/client-firewall active-dropped@client-firewall/server-firewall
        server-fw-range-reject   0.5 s  no way               passive-refused@server-firewall/server-nat active-refused@client-firewall/server-firewall
        server-fw-helper         0.5 s  EPSV
        acl-active               5.5 s  PORT                 passive-dropped@server-firewall
        acl-passive              2.6 s  EPSV                 active-dropped@client-firewall/server-firewall
        acl-passive-range        2.6 s  EPSV                 active-dropped@client-firewall/server-firewall
        server-hostfw            0.5 s  EPSV
        client-hostfw-helper     0.3 s  EPSV
        both-fw                  5.5 s  no way               passive-dropped@server-firewall/client-firewall active-dropped@client-firewall/server-firewall
        client-nat               1.6 s  EPSV                 client-nat@client-nat
        client-nat-helper        1.7 s  EPSV                 helper-at-work@nobody
        client-nat-upnp          0.5 s  EPSV                 mapped-port@nobody
        cgnat                    1.8 s  EPSV                 client-nat@client-nat
        cgnat-pool               1.6 s  no way               passive-not-accepted@client-nat/server-nat client-nat@client-nat
        server-dnat-leak         0.6 s  EPSV                 address-private@server-configuration
        server-dnat-fixed        0.5 s  EPSV
        server-dnat-wrongaddr    1.9 s  EPSV                 address-wrong@server-configuration
        server-dnat-21           0.5 s  PORT                 passive-refused@server-nat address-private@server-configuration
        server-dnat-helper       0.5 s  EPSV                 reply-rewritten@nobody
        server-dnat-snat         2.6 s  EPSV                 client-hidden@server-nat
        haproxy-21               2.6 s  no way               passive-refused@server-nat client-hidden@server-nat address-private@server-configuration
        haproxy-21-proxy         0.5 s  PORT                 passive-refused@server-firewall/server-nat
        haproxy-range            2.6 s  EPSV                 client-hidden@server-nat
        haproxy-range-proxy      0.5 s  EPSV
        both-nat                 1.6 s  EPSV                 address-private@server-configuration client-nat@client-nat
        both-nat-fixed           1.6 s  EPSV                 client-nat@client-nat
        both-nat-upnp            0.5 s  PORT (mapped port)   passive-refused@server-nat address-private@server-configuration mapped-port@nobody
        hairpin                  2.5 s  EPSV                 hairpin@server-nat
        nat-idle                 1.6 s  EPSV                 client-nat@client-nat
        ipv6-open                0.4 s  EPSV
        ipv6-client-fw           2.6 s  EPSV                 active-dropped@client-firewall/server-firewall
        ipv6-client-fw-helper    0.4 s  EPSV
        ipv6-server-range        2.6 s  EPSV                 active-dropped@client-firewall/server-firewall
        nat64                    0.4 s  EPSV                 nat64@nobody
    "#]].assert_eq(&table);
}

/// Where a server allows one session, everything is asked on that one, and the end is in time as well.
#[test]
fn one_session_is_enough_for_a_verdict() {
    for (name, works) in [("open", true), ("both-fw", false), ("client-nat", true)] {
        let topology = TOPOLOGIES.iter().find(|row| row.name == name).unwrap();
        let config = Config {
            max_sessions: 1,
            ..Config::default()
        };
        let (report, took) = examined((topology.build)(), config);
        assert!(took <= VERDICT, "{name}: {took:?}");
        assert_eq!(report.verdict.works, works, "{name}");
        let few = report.findings.iter().any(|it| it.word == "few-sessions");
        assert!(few, "{name}");
    }
}

/// Without a session there is no path to try, and still somebody who must act.
#[test]
fn where_no_session_comes_about_it_says_why() {
    for (login, serves, config, expected) in [
        (
            Login::anonymous(),
            false,
            Config::default(),
            "server-refuses@server-configuration",
        ),
        (
            Login::new(Text::lossy("nobody"), Secret::new(Text::lossy("wrong"))),
            true,
            Config::default(),
            "login-refused@client-configuration",
        ),
        (
            Login::anonymous(),
            true,
            Config {
                max_sessions: 0,
                ..Config::default()
            },
            "server-busy@server-configuration",
        ),
    ] {
        let topology = TOPOLOGIES.iter().find(|row| row.name == "open").unwrap();
        let scene = (topology.build)();
        let (outcome, took) = on_virtual_time(async {
            if serves {
                serve(&scene, config).await;
            }
            doctor(&scene, login).examine().await
        });
        let stopped = outcome.unwrap_err();
        let words: Vec<String> = stopped
            .report
            .findings
            .iter()
            .map(|it| format!("{}@{}", it.word, it.side.word()))
            .collect();
        assert_eq!(words, [expected], "{}", stopped.error);
        assert!(took <= VERDICT, "{expected}: {took:?}");
        assert!(!stopped.report.verdict.works);
    }
}

fn examined(scene: Scene, config: Config) -> (Report, Duration) {
    on_virtual_time(async {
        serve(&scene, config).await;
        doctor(&scene, Login::anonymous()).examine().await.unwrap()
    })
}

fn doctor(scene: &Scene, login: Login) -> Doctor {
    Doctor {
        net: scene.world.host("client"),
        endpoint: Endpoint::new(scene.dial.ip().to_string(), scene.dial.port()),
        login,
        options: Options::default(),
        wording: Wording::new("nftables").unwrap(),
        idle: None,
    }
}

/// What comes of it, and how long it took.
fn on_virtual_time<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let done = work.await;
        (done, began.elapsed())
    })
}

/// A server that keeps to its range, as foreign ones do.
async fn serve(scene: &Scene, config: Config) {
    let storage = Stored::new();
    storage.add_file(&"/file".parse().unwrap(), b"x").unwrap();
    let accounts =
        Anonymous::with_permissions(Arc::new(storage), Pathname::root(), Permissions::FULL);
    let config = Config {
        listen: vec![scene.listen],
        one_port: OnePort::Off,
        // Whoever was not told the range uses another one than the firewall opens.
        passive_ports: scene
            .passive
            .unwrap_or_else(|| PortRange::new(40_000, 49_999).unwrap()),
        advertise: Advertise::everybody(scene.advertise.map_or(Address::Reached, Address::Fixed)),
        proxy_protocol: scene.balancer.into_iter().map(just).collect(),
        ..config
    };
    let net = scene.world.host("server");
    let server = Server::bind(config, net, Arc::new(accounts)).await.unwrap();
    tokio::spawn(server.run());
}

fn just(host: IpAddr) -> Network {
    Network::new(host, if host.is_ipv4() { 32 } else { 128 }).unwrap()
}
