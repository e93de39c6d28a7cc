//! Our client, the proxy and our server in the simulated network: every data mode on either side, in either family, on
//! virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the table"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_accounts::Anonymous;
use wharf_client::{Client, DataModeChoice, Endpoint, Login, Options};
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::{Pathname, Secret, Text};
use wharf_proxy::{Allowed, Proxy, Upstream, UpstreamMode};
use wharf_server::Server;
use wharf_sim::{Filter, Gateway, Outcome, Verdict, World};
use wharf_storage::{Memory as Stored, Permissions};

const CLIENT: [&str; 2] = ["192.0.2.9", "2001:db8:1::9"];
const PROXY: [&str; 2] = ["192.0.2.1", "2001:db8:1::1"];
const SERVER: [&str; 2] = ["198.51.100.1", "2001:db8:2::1"];

const CLIENT_MODES: &[(&str, DataModeChoice)] = &[
    ("EPSV", DataModeChoice::Epsv),
    ("PASV", DataModeChoice::Pasv),
    ("EPRT", DataModeChoice::Eprt),
    ("PORT", DataModeChoice::Port),
];

const FAMILIES: &[(&str, usize, usize)] = &[
    ("IPv4 - IPv4", 0, 0),
    ("IPv6 - IPv4", 1, 0),
    ("IPv4 - IPv6", 0, 1),
    ("IPv6 - IPv6", 1, 1),
];

/// More than fits into the buffers of the simulated network.
const LENGTH: usize = 300_000;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|n| b"wharf\r\n\xff\0"[n % 9]).collect()
}

fn on_virtual_time<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// Server, proxy and client, each with an address of either family; the proxy before `gateway`'s hosts, which are the
/// server's.
fn world(gateway: Gateway) -> World {
    let world = World::new();
    let farm = world.site(World::INTERNET, gateway);
    world.add_host("client", World::INTERNET, CLIENT);
    world.add_host("proxy", World::INTERNET, PROXY);
    world.add_host("server", farm, SERVER);
    world
}

async fn serve(world: &World) {
    let storage = Stored::new();
    storage
        .add_file(&"/down".parse().unwrap(), content())
        .unwrap();
    let accounts =
        Anonymous::with_permissions(Arc::new(storage), Pathname::root(), Permissions::FULL);
    let config = wharf_server::Config {
        listen: SERVER
            .map(|ip| std::net::SocketAddr::new(ip.parse().unwrap(), 21))
            .into(),
        one_port: wharf_server::OnePort::Off,
        passive_ports: PortRange::new(40_000, 49_999).unwrap(),
        ..wharf_server::Config::default()
    };
    let net = world.host("server");
    let server = Server::bind(config, net, Arc::new(accounts)).await.unwrap();
    tokio::spawn(server.run());
}

async fn proxy(world: &World, config: wharf_proxy::Config) {
    let config = wharf_proxy::Config {
        listen: PROXY
            .map(|ip| std::net::SocketAddr::new(ip.parse().unwrap(), 21))
            .into(),
        ..config
    };
    let net = world.host("proxy");
    tokio::spawn(Proxy::bind(config, net).await.unwrap().run());
}

fn towards(server: usize) -> wharf_proxy::Config {
    let host = SERVER[server].to_owned();
    wharf_proxy::Config::new(Upstream::Fixed(wharf_proxy::Place { host, port: 21 }))
}

async fn log_in(world: &World, family: usize, mode: DataModeChoice, login: Login) -> Client {
    let options = Options {
        data_mode: mode,
        ..Options::default()
    };
    let endpoint = Endpoint::new(PROXY[family].to_owned(), 21);
    let greeting = wharf_client::connect(world.host("client"), &endpoint, options)
        .await
        .unwrap();
    greeting.login(login).await.unwrap()
}

/// Download, upload and listing; whether all of it works.
async fn transfers(client: &mut Client) -> bool {
    let path = "/down".parse::<Pathname>().unwrap();
    let Ok(mut download) = client.retrieve(&path, 0).await else {
        return false;
    };
    let mut received = Vec::new();
    if download.read_to_end(&mut received).await.is_err() {
        let _ = download.finish().await;
        return false;
    }
    download.finish().await.unwrap();
    assert!(received == content(), "the file arrived damaged");
    let mut rest = Vec::new();
    let mut download = client.retrieve(&path, 299_990).await.unwrap();
    download.read_to_end(&mut rest).await.unwrap();
    download.finish().await.unwrap();
    assert_eq!(rest, content()[299_990..], "from the middle");
    let mut upload = client.store(&"/up".parse().unwrap(), 0).await.unwrap();
    upload.write_all(&content()).await.unwrap();
    upload.finish().await.unwrap();
    let names = client.nlst(None).await.unwrap();
    assert_eq!(names, [b"down".to_vec(), b"up".to_vec()]);
    assert_eq!(
        client.size(&"/up".parse().unwrap()).await.unwrap(),
        Some(LENGTH as u64)
    );
    true
}

/// Who opened the first data connection of the server's side, and to which port of what kind.
fn opened(world: &World, after: usize) -> &'static str {
    let attempts = world.attempts().split_off(after);
    let between = |from: &str, to: &str| {
        attempts.iter().any(|it| {
            it.outcome == Outcome::Connected && it.host == from && it.to.ip().to_string() == to
        })
    };
    if SERVER.iter().any(|ip| between("proxy", ip)) {
        "passive"
    } else if PROXY.iter().any(|ip| between("server", ip)) {
        "active"
    } else {
        "none"
    }
}

#[test]
fn every_data_mode_on_either_side() {
    let mut table = String::new();
    for (families, client_family, server_family) in FAMILIES {
        write!(table, "{families:12}").unwrap();
        for (name, _) in UpstreamMode::ALL {
            write!(table, "{name:>9}").unwrap();
        }
        table.push('\n');
        for (name, mode) in CLIENT_MODES {
            write!(table, "{name:12}").unwrap();
            for (_, upstream) in UpstreamMode::ALL {
                let cell = on_virtual_time(async {
                    let world = world(Gateway::router());
                    serve(&world).await;
                    let config = wharf_proxy::Config {
                        upstream_mode: upstream,
                        ..towards(*server_family)
                    };
                    proxy(&world, config).await;
                    let mut client =
                        log_in(&world, *client_family, *mode, Login::anonymous()).await;
                    let before = world.attempts().len();
                    let works = transfers(&mut client).await;
                    client.noop().await.unwrap();
                    client.quit().await;
                    if works { opened(&world, before) } else { "-" }
                });
                write!(table, "{cell:>9}").unwrap();
            }
            table.push('\n');
        }
    }
    expect![[r#"
        IPv4 - IPv4      auto   client  passive   active     epsv     pasv     eprt     port
        EPSV          passive  passive  passive   active  passive  passive   active   active
        PASV          passive  passive  passive   active  passive  passive   active   active
        EPRT          passive   active  passive   active  passive  passive   active   active
        PORT          passive   active  passive   active  passive  passive   active   active
        IPv6 - IPv4      auto   client  passive   active     epsv     pasv     eprt     port
        EPSV          passive  passive  passive   active  passive  passive   active   active
        PASV                -        -        -        -        -        -        -        -
        EPRT          passive   active  passive   active  passive  passive   active   active
        PORT                -        -        -        -        -        -        -        -
        IPv4 - IPv6      auto   client  passive   active     epsv     pasv     eprt     port
        EPSV          passive  passive  passive   active  passive        -   active        -
        PASV          passive  passive  passive   active  passive        -   active        -
        EPRT          passive   active  passive   active  passive        -   active        -
        PORT          passive   active  passive   active  passive        -   active        -
        IPv6 - IPv6      auto   client  passive   active     epsv     pasv     eprt     port
        EPSV          passive  passive  passive   active  passive        -   active        -
        PASV                -        -        -        -        -        -        -        -
        EPRT          passive   active  passive   active  passive        -   active        -
        PORT                -        -        -        -        -        -        -        -
    "#]]
    .assert_eq(&table);
}

/// The server's range is closed without an answer: the way that works is found while the client still waits, and later
/// sessions know it.
#[test]
fn a_server_that_only_port_21_leads_to() {
    on_virtual_time(async {
        let closed = Filter::only(&[(21, 21)], Verdict::Drop);
        let world = world(Gateway::router().inbound(closed));
        serve(&world).await;
        proxy(&world, towards(0)).await;
        let mut times = Vec::new();
        for _ in 0..2 {
            let mut client = log_in(&world, 0, DataModeChoice::Epsv, Login::anonymous()).await;
            let (before, began) = (world.attempts().len(), Instant::now());
            assert!(transfers(&mut client).await);
            assert_eq!(opened(&world, before), "active");
            client.quit().await;
            times.push(began.elapsed().as_secs());
        }
        assert_eq!(times, [2, 0], "seconds");
    });
}

/// Where nothing leads from the server to the proxy nor back, the client hears which side it is, in seconds, and the
/// session lives on.
#[test]
fn a_server_without_any_way_is_told_in_seconds() {
    on_virtual_time(async {
        let gateway = Gateway::router()
            .inbound(Filter::only(&[(21, 21)], Verdict::Drop))
            .outbound(Filter::nothing(Verdict::Drop));
        let world = world(gateway);
        serve(&world).await;
        proxy(&world, towards(0)).await;
        let mut client = log_in(&world, 0, DataModeChoice::Epsv, Login::anonymous()).await;
        let began = Instant::now();
        let error = client
            .retrieve(&"/down".parse().unwrap(), 0)
            .await
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
        assert!(error.contains("the server answered 425"), "{error}");
        client.noop().await.unwrap();
        client.quit().await;
    });
}

/// `USER name@host`: only where the rules lead.
#[test]
fn the_client_names_the_server() {
    on_virtual_time(async {
        let world = world(Gateway::router());
        world.add_name("ftp.example.org", SERVER[0]);
        world.add_name("inside.example.org", "127.0.0.1");
        serve(&world).await;
        let allowed = Allowed {
            rules: vec!["*.example.org".parse().unwrap()],
        };
        proxy(
            &world,
            wharf_proxy::Config::new(Upstream::UserAtHost(allowed)),
        )
        .await;
        let login = |user: &str| Login::new(Text::lossy(user), Secret::new(Text::lossy("me@home")));
        let mut client = log_in(
            &world,
            0,
            DataModeChoice::Pasv,
            login("anonymous@ftp.example.org"),
        )
        .await;
        assert!(transfers(&mut client).await);
        client.quit().await;
        for user in [
            "anonymous",
            "anonymous@inside.example.org",
            "anonymous@198.51.100.1",
            "anonymous@ftp.example.org:22",
        ] {
            let options = Options::default();
            let endpoint = Endpoint::new(PROXY[0].to_owned(), 21);
            let greeting = wharf_client::connect(world.host("client"), &endpoint, options)
                .await
                .unwrap();
            assert!(greeting.login(login(user)).await.is_err(), "{user}");
        }
        let touched = world.attempts();
        let touched = touched.iter().filter(|it| it.host == "proxy");
        assert!(
            touched
                .clone()
                .all(|it| it.to.ip().to_string() == SERVER[0])
        );
    });
}

/// A firewall in front of the proxy lets in its control port and nothing else, and the server needs a range.
#[test]
fn one_port_in_front_of_any_server() {
    on_virtual_time(async {
        let world = World::new();
        let closed = Filter::only(&[(21, 21)], Verdict::Drop);
        let inside = world.site(World::INTERNET, Gateway::router().inbound(closed));
        world.add_host("client", World::INTERNET, CLIENT);
        world.add_host("proxy", inside, PROXY);
        world.add_host("server", inside, SERVER);
        serve(&world).await;
        let config = wharf_proxy::Config {
            one_port: true,
            ..towards(0)
        };
        proxy(&world, config).await;
        for mode in [DataModeChoice::Epsv, DataModeChoice::Pasv] {
            let mut client = log_in(&world, 0, mode, Login::anonymous()).await;
            assert!(transfers(&mut client).await, "{mode:?}");
            client.quit().await;
        }
    });
}
