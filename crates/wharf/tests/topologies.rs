//! Who stands behind which NAT or firewall, and which data mode works there: our client against our server in every
//! topology of the simulated network, on virtual time. The table below is the result; no cell is expected by hand.
//!
//! "PASV as replied" connects to the address in the 227 first and to the control peer's when nothing answers there, so
//! that a wrong address costs time and not the transfer. Where PORT and EPRT work behind a NAT, the client has found out
//! that they cannot and did it otherwise, or the router forwards. "again" is the second run of a client that remembers: no
//! attempt of it fails. What no mode can do (only port 21, both ways) needs a server that takes data connections on its
//! control port: "one port" has to work wherever the control connection does. Before it stand the columns of a server
//! without it, as foreign ones are; after it those of a server that decides by itself.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the table"
)]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use expect_test::expect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_accounts::Anonymous;
use wharf_client::memory::Memory;
use wharf_client::{Client, DataHost, DataModeChoice, Endpoint, Login, Options, Result};
use wharf_net::Recorder;
use wharf_proto::Pathname;
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::trace::{Event, What};
use wharf_server::{Address, Advertise, Config, OnePort, Server};
use wharf_sim::Outcome;
use wharf_sim::topologies::{Scene, TOPOLOGIES};
use wharf_storage::{Memory as Stored, Permissions};

/// A column: who connects how.
struct Way {
    name: &'static str,
    mode: DataModeChoice,
    /// Whose address a passive connection goes to.
    host: DataHost,
    /// Whether the server takes data connections at its control port.
    one_port: OnePort,
    /// The run that counts: the first, or the second of a client that remembers.
    run: Run,
}

#[derive(Clone, Copy, PartialEq)]
enum Run {
    First,
    Again,
}

const WAYS: &[Way] = &[
    Way::told("EPSV", DataModeChoice::Epsv, DataHost::Peer),
    Way::told("PASV as replied", DataModeChoice::Pasv, DataHost::Reply),
    Way::told("PASV at peer", DataModeChoice::Pasv, DataHost::Peer),
    Way::told("PORT", DataModeChoice::Port, DataHost::Peer),
    Way::told("EPRT", DataModeChoice::Eprt, DataHost::Peer),
    Way::told("auto", DataModeChoice::Auto, DataHost::Peer),
    Way::told("auto again", DataModeChoice::Auto, DataHost::Peer).again(),
    Way::told("one port", DataModeChoice::Epsv, DataHost::Peer).at(OnePort::On),
    Way::told("auto, one port", DataModeChoice::Auto, DataHost::Peer).at(OnePort::On),
    Way::told("auto, auto", DataModeChoice::Auto, DataHost::Peer).at(OnePort::Auto),
    Way::told("auto, auto again", DataModeChoice::Auto, DataHost::Peer)
        .at(OnePort::Auto)
        .again(),
];

impl Way {
    const fn told(name: &'static str, mode: DataModeChoice, host: DataHost) -> Self {
        Self {
            name,
            mode,
            host,
            one_port: OnePort::Off,
            run: Run::First,
        }
    }

    const fn at(self, one_port: OnePort) -> Self {
        Self { one_port, ..self }
    }

    const fn again(self) -> Self {
        Self {
            run: Run::Again,
            ..self
        }
    }
}

/// `auto` has the first byte within this time wherever any way works, and gives up within that where none does.
const AUTO_PATIENCE: Duration = Duration::from_secs(5);
const HOPELESS_PATIENCE: Duration = Duration::from_secs(8);

/// Where one open port does not suffice in plaintext: the data connection comes from an address that nobody has seen, and
/// nothing shows whose it is. It takes a proof, which only TLS can give.
const WITHOUT_PROOF: &[&str] = &["cgnat-pool"];

/// More than fits into the buffers of the simulated network; where a transfer has to last, many times more, so that the
/// server is not done long before the client.
const LENGTH: usize = 300_000;
const LONG: usize = 4_000_000;

/// Bytes that are read or written at once.
const PIECE: usize = 64 * 1024;

/// What a run came to.
struct Cell {
    works: bool,
    /// The virtual time until the first byte, or until it failed.
    took: Duration,
    /// Connections that did not come about, and refusals, on the way there.
    failures: usize,
}

#[test]
fn every_data_mode_in_every_topology() {
    let mut table = format!("{:24}", "");
    for way in WAYS {
        write!(table, "{:>17}", way.name).unwrap();
    }
    let mut faults = Vec::new();
    for topology in TOPOLOGIES {
        write!(table, "\n{:24}", topology.name).unwrap();
        let cells: Vec<_> = WAYS
            .iter()
            .map(|way| (way, session((topology.build)(), way)))
            .collect();
        for (way, cell) in &cells {
            let unproven = WITHOUT_PROOF.contains(&topology.name);
            if way.one_port != OnePort::Off
                && (cell.works == unproven || cell.took > HOPELESS_PATIENCE)
            {
                faults.push(format!("{}, {}", topology.name, way.name));
            }
            let word = if cell.works { "ok" } else { "fail" };
            let tenths = (cell.took.as_millis() + 50) / 100;
            let text = format!("{word} {}.{} s", tenths / 10, tenths % 10);
            write!(table, "{text:>17}").unwrap();
            if way.mode != DataModeChoice::Auto {
                continue;
            }
            // By the same server.
            let alike = |(other, cell): &(&Way, Cell)| other.one_port == way.one_port && cell.works;
            let in_time = if cells.iter().any(alike) {
                cell.works && cell.took <= AUTO_PATIENCE
            } else {
                cell.took <= HOPELESS_PATIENCE
            };
            let knowing = way.run == Run::First || !cell.works || cell.failures == 0;
            if !in_time || !knowing {
                faults.push(format!(
                    "{}, {}: {text}, {} failed attempts",
                    topology.name, way.name, cell.failures
                ));
            }
        }
    }
    table.push('\n');
    expect![[r#"
                                             EPSV  PASV as replied     PASV at peer             PORT             EPRT             auto       auto again         one port   auto, one port       auto, auto auto, auto again
        open                             ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-fw-drop                   ok 0.1 s         ok 0.1 s         ok 0.1 s       fail 2.4 s       fail 2.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-fw-reject                 ok 0.1 s         ok 0.1 s         ok 0.1 s       fail 0.1 s       fail 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-fw-helper                 ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-egress-21               fail 1.4 s       fail 2.7 s       fail 1.4 s       fail 2.4 s       fail 2.4 s       fail 4.0 s       fail 4.0 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 0.2 s
        client-egress-21-helper          ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-fw-21                   fail 1.4 s       fail 2.7 s       fail 1.4 s         ok 0.1 s         ok 0.1 s         ok 1.8 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 0.2 s
        server-fw-21-strict            fail 1.4 s       fail 2.7 s       fail 1.4 s       fail 2.4 s       fail 2.4 s       fail 4.0 s       fail 4.0 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 0.2 s
        server-fw-range                  ok 0.1 s         ok 0.1 s         ok 0.1 s       fail 2.4 s       fail 2.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-fw-range-norange        fail 1.4 s       fail 2.7 s       fail 1.4 s       fail 2.4 s       fail 2.4 s       fail 4.0 s       fail 4.0 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 0.2 s
        server-fw-range-reject         fail 0.1 s       fail 0.2 s       fail 0.1 s       fail 0.1 s       fail 0.1 s       fail 0.3 s       fail 0.3 s         ok 0.2 s         ok 0.2 s         ok 0.3 s         ok 0.2 s
        server-fw-helper                 ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        acl-active                     fail 1.4 s       fail 2.7 s       fail 1.4 s         ok 0.1 s         ok 0.1 s         ok 1.8 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 0.2 s
        acl-passive                      ok 0.1 s         ok 0.1 s         ok 0.1 s       fail 2.4 s       fail 2.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        acl-passive-range                ok 0.1 s         ok 0.1 s         ok 0.1 s       fail 2.4 s       fail 2.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-hostfw                    ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-hostfw-helper             ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s
        both-fw                        fail 1.4 s       fail 2.7 s       fail 1.4 s       fail 2.4 s       fail 2.4 s       fail 4.0 s       fail 4.0 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 0.2 s
        client-nat                       ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 1.4 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-nat-helper                ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        client-nat-upnp                  ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        cgnat                            ok 0.2 s         ok 0.2 s         ok 0.2 s         ok 1.5 s         ok 1.5 s         ok 0.2 s         ok 0.2 s         ok 0.3 s         ok 0.3 s         ok 0.2 s         ok 0.2 s
        cgnat-pool                     fail 1.6 s       fail 1.6 s       fail 1.6 s       fail 2.9 s       fail 2.9 s       fail 1.6 s       fail 1.6 s       fail 0.1 s       fail 1.6 s       fail 1.6 s       fail 1.6 s
        server-dnat-leak                 ok 0.1 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-dnat-fixed                ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-dnat-wrongaddr            ok 0.1 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-dnat-21                 fail 0.1 s       fail 1.4 s       fail 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.3 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.3 s         ok 0.2 s
        server-dnat-helper               ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        server-dnat-snat                 ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        haproxy-21                     fail 0.1 s       fail 1.4 s       fail 0.1 s       fail 0.1 s       fail 0.1 s       fail 0.2 s       fail 0.2 s         ok 0.2 s         ok 0.2 s         ok 0.3 s         ok 0.2 s
        haproxy-21-proxy               fail 0.1 s       fail 0.2 s       fail 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.3 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.3 s         ok 0.2 s
        haproxy-range                    ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        haproxy-range-proxy              ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        both-nat                         ok 0.1 s         ok 1.4 s         ok 0.1 s         ok 1.4 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        both-nat-fixed                   ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 1.4 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        both-nat-upnp                  fail 0.1 s       fail 1.4 s       fail 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.4 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.3 s         ok 0.2 s
        hairpin                          ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 1.4 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.1 s
        nat-idle                         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 1.4 s         ok 1.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        ipv6-open                        ok 0.1 s       fail 0.0 s       fail 0.0 s       fail 0.0 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        ipv6-client-fw                   ok 0.1 s       fail 0.0 s       fail 0.0 s       fail 0.0 s       fail 2.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        ipv6-client-fw-helper            ok 0.1 s       fail 0.0 s       fail 0.0 s       fail 0.0 s         ok 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        ipv6-server-range                ok 0.1 s       fail 0.0 s       fail 0.0 s       fail 0.0 s       fail 2.4 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
        nat64                            ok 0.1 s       fail 0.0 s       fail 0.0 s       fail 0.0 s       fail 0.1 s         ok 0.1 s         ok 0.1 s         ok 0.2 s         ok 0.2 s         ok 0.1 s         ok 0.1 s
    "#]].assert_eq(&table);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// One world, one server, one client, and a second one that remembers what the first found out.
fn session(scene: Scene, way: &Way) -> Cell {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let length = if scene.pace.is_some() { LONG } else { LENGTH };
        let content: Vec<u8> = (0..length).map(|n| b"wharf\r\n\xff\0"[n % 9]).collect();
        let config = Config {
            one_port: way.one_port,
            ..Config::default()
        };
        serve(&scene, &content, config).await;
        match way.run {
            Run::First => run(&scene, &content, way, None).await,
            Run::Again => {
                let folder = tempfile::tempdir().unwrap();
                let memory = Arc::new(Memory::at(folder.path().join("memory")));
                run(&scene, &content, way, Some(Arc::clone(&memory))).await;
                run(&scene, &content, way, Some(memory)).await
            }
        }
    })
}

/// Download, upload and listing.
async fn run(scene: &Scene, content: &[u8], way: &Way, memory: Option<Arc<Memory>>) -> Cell {
    let refusals = Arc::new(Refusals::default());
    let options = Options {
        data_mode: way.mode,
        data_host: way.host,
        memory,
        recorder: Some(Arc::clone(&refusals) as Arc<dyn Recorder>),
        ..Options::default()
    };
    let endpoint = Endpoint::new(scene.dial.ip().to_string(), scene.dial.port());
    let net = scene.world.host("client");
    let greeting = wharf_client::connect(net, &endpoint, options)
        .await
        .unwrap();
    let mut client = greeting.login(Login::anonymous()).await.unwrap();
    let before = scene.world.attempts().len();
    refusals.0.store(0, Ordering::Relaxed);
    let began = Instant::now();
    let first = download(&mut client, scene.pace, content.len()).await;
    let attempts = scene.world.attempts().split_off(before);
    let lost = attempts
        .iter()
        .filter(|it| it.outcome != Outcome::Connected);
    let failures = lost.count() + refusals.0.load(Ordering::Relaxed);
    let (works, took) = match first {
        Ok((received, first_byte)) => {
            assert!(received == content, "the file arrived damaged");
            // Where one transfer works, all have to.
            upload(&mut client, scene.pace, content).await.unwrap();
            let names = client.nlst(None).await.unwrap();
            assert_eq!(names, [b"down".to_vec(), b"up".to_vec()]);
            (true, first_byte - began)
        }
        Err(_) => {
            let took = began.elapsed();
            // The session has outlived its failed transfer.
            client.noop().await.unwrap();
            (false, took)
        }
    };
    client.quit().await;
    // What routers were asked for is given back.
    assert_eq!(scene.world.forwarded(), []);
    Cell {
        works,
        took,
        failures,
    }
}

/// Counts the replies that refuse something.
#[derive(Default)]
struct Refusals(AtomicUsize);

impl Recorder for Refusals {
    fn record(&self, event: Event) {
        if let What::Reply(lines) = event.what
            && matches!(lines[0].first(), Some(b'4' | b'5'))
        {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn serve(scene: &Scene, content: &[u8], config: Config) {
    let storage = Stored::new();
    storage
        .add_file(&"/down".parse().unwrap(), content)
        .unwrap();
    let accounts =
        Anonymous::with_permissions(Arc::new(storage), Pathname::root(), Permissions::FULL);
    let config = Config {
        listen: vec![scene.listen],
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

/// The file, and when its first byte came.
async fn download(
    client: &mut Client,
    pace: Option<Duration>,
    length: usize,
) -> Result<(Vec<u8>, Instant)> {
    let path = "/down".parse::<Pathname>().unwrap();
    let mut download = client.retrieve(&path, 0).await?;
    let mut content = Vec::with_capacity(length);
    let mut first_byte = None;
    loop {
        content.reserve(PIECE);
        match download.read_buf(&mut content).await {
            Ok(0) => break,
            Ok(n) => {
                first_byte.get_or_insert_with(Instant::now);
                linger(pace, n, length).await;
            }
            Err(error) => return Err(download.explain(error).await),
        }
    }
    download.finish().await?;
    Ok((content, first_byte.unwrap()))
}

async fn upload(client: &mut Client, pace: Option<Duration>, content: &[u8]) -> Result<()> {
    let path = "/up".parse::<Pathname>().unwrap();
    let mut upload = client.store(&path, 0).await?;
    for piece in content.chunks(PIECE) {
        if let Err(error) = upload.write_all(piece).await {
            return Err(upload.explain(error).await);
        }
        linger(pace, piece.len(), content.len()).await;
    }
    upload.finish().await?;
    Ok(())
}

/// The part of the whole transfer's time that `n` of its bytes take.
async fn linger(pace: Option<Duration>, n: usize, length: usize) {
    if let Some(pace) = pace {
        let (n, length) = (u32::try_from(n).unwrap(), u32::try_from(length).unwrap());
        tokio::time::sleep(pace * n / length).await;
    }
}

fn just(host: IpAddr) -> Network {
    Network::new(host, if host.is_ipv4() { 32 } else { 128 }).unwrap()
}

/// Where the server allows one session, no second one can try another way meanwhile; the one there is has to do.
#[test]
fn auto_needs_no_second_session() {
    for (topology, works) in [
        ("open", true),
        ("client-nat", true),
        ("server-fw-21", true),
        ("server-dnat-21", true),
        ("both-fw", false),
    ] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let cell = runtime.block_on(async {
            let found = TOPOLOGIES.iter().find(|row| row.name == topology);
            let scene = (found.unwrap().build)();
            let content = vec![7; LENGTH];
            let config = Config {
                max_sessions: 1,
                one_port: OnePort::Off,
                ..Config::default()
            };
            serve(&scene, &content, config).await;
            let way = Way::told("auto", DataModeChoice::Auto, DataHost::Peer);
            run(&scene, &content, &way, None).await
        });
        let patience = if works {
            AUTO_PATIENCE
        } else {
            HOPELESS_PATIENCE
        };
        assert_eq!(cell.works, works, "{topology}");
        assert!(cell.took <= patience, "{topology}: {:?}", cell.took);
    }
}
