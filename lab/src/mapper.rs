//! The port mapper of the topologies, proved with programs that are not ours: what asks by NAT-PMP,
//! UPnP-IGD or PCP is granted a port, and what dials that port from outside arrives.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::network::Network;
use crate::process::run as run_bounded;
use crate::tally::Tally;
use crate::topology::TOPOLOGIES;
use crate::{Result, Settings};

/// The topology with a port mapper and nothing else.
const TOPOLOGY: &str = "client-nat-upnp";

/// The client, and its gateway on the inside.
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 1);

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks for a port by each protocol.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let Some(row) = TOPOLOGIES.iter().find(|row| row.name == TOPOLOGY) else {
        return Err(format!("no topology {TOPOLOGY}").into());
    };
    if !settings.wants(row.name) {
        return Ok(());
    }
    let outside: IpAddr = row.outside.parse()?;
    let network = Network::build(row)?;
    println!();
    for (name, ask, port) in [
        (
            "NAT-PMP",
            nat_pmp as fn(&Network, u16) -> Result<()>,
            41_001,
        ),
        ("UPnP-IGD", upnp, 41_002),
        ("PCP", pcp, 41_003),
    ] {
        let reached = ask(&network, port)
            .and_then(|()| reach(&network, SocketAddr::new(outside, port)))
            .map(|()| String::new());
        tally.check(&format!("miniupnpd grants a port by {name}"), reached);
    }
    Ok(())
}

/// A program that has to say that the port is granted.
fn told(network: &Network, words: &[&str], port: u16) -> Result<()> {
    let mut command = network.client.command(words[0]);
    command.args(&words[1..]);
    let outcome = run_bounded(command, b"", LIMIT)?;
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    if outcome.succeeded() && said.contains(&port.to_string()) {
        Ok(())
    } else {
        Err(format!("{}: {}", words[0], outcome.last_words()).into())
    }
}

fn nat_pmp(network: &Network, port: u16) -> Result<()> {
    let (router, port_word) = (ROUTER.to_string(), port.to_string());
    let words = [
        "natpmpc", "-g", &router, "-a", &port_word, &port_word, "tcp", "600",
    ];
    told(network, &words, port)
}

fn upnp(network: &Network, port: u16) -> Result<()> {
    let (client, port_word) = (CLIENT.to_string(), port.to_string());
    let words = ["upnpc", "-a", &client, &port_word, &port_word, "TCP", "600"];
    told(network, &words, port)
}

/// RFC 6887 §11: a MAP request of sixty bytes; Debian has no program that sends one.
fn pcp(network: &Network, port: u16) -> Result<()> {
    let mut request = vec![2, 1, 0, 0];
    request.extend(600_u32.to_be_bytes());
    request.extend(CLIENT.to_ipv6_mapped().octets());
    request.extend(*b"nonce of lab");
    request.extend([6, 0, 0, 0]);
    request.extend(port.to_be_bytes());
    request.extend(port.to_be_bytes());
    request.extend(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    let reply = network.client.inside(|| {
        let socket = UdpSocket::bind((CLIENT, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        socket.send_to(&request, (ROUTER, 5351))?;
        let mut reply = [0; 1100];
        let length = socket.recv(&mut reply)?;
        Ok::<_, std::io::Error>(reply[..length].to_vec())
    })??;
    let (result, granted) = (reply.get(3).copied(), reply.get(42..44));
    if result == Some(0) && granted == Some(&port.to_be_bytes()[..]) {
        Ok(())
    } else {
        Err(format!("result {result:?}, port {granted:?}").into())
    }
}

/// Dials the granted port from the server's machine; the client's machine answers.
fn reach(network: &Network, granted: SocketAddr) -> Result<()> {
    let listener = network
        .client
        .inside(|| TcpListener::bind((CLIENT, granted.port())))??;
    thread::scope(|scope| {
        // Whoever connects is closed at once, which the other side reads as an end.
        let acceptor = scope.spawn(move || listener.accept().map(drop));
        let dialled = network.server.inside(|| {
            let mut stream = TcpStream::connect_timeout(&granted, Duration::from_secs(3))?;
            stream.set_read_timeout(Some(Duration::from_secs(3)))?;
            stream.read(&mut [0; 1]).map(drop)
        })?;
        if dialled.is_err() {
            // So that nobody waits for a caller who never comes.
            let _ = network
                .client
                .inside(|| TcpStream::connect((CLIENT, granted.port())));
        }
        let _ = acceptor.join();
        dialled.map_err(|error| format!("{granted}: {error}").into())
    })
}
