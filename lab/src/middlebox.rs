//! Programs on the gateways: a port mapper, a load balancer, a translator. Each gets files of its
//! own in a directory that lives as long as it does.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use crate::namespace::Namespace;
use crate::payload::Workspace;
use crate::process::{Daemon, isolate, must, tail};
use crate::topology::{Middlebox, RANGE};
use crate::{Result, setup};

/// The server behind the balancer.
const BEHIND: &str = "10.20.0.2";

/// A program that runs on a gateway; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    _daemon: Daemon,
    _work: Workspace,
}

/// Starts a row's program in its gateway and waits until it does its work.
pub(crate) fn start(what: Middlebox, gateway: &Namespace) -> Result<Running> {
    let work = Workspace::create("middlebox", false)?;
    let file = work.path().join("configuration");
    let (package, configuration, arguments): (_, _, &[&str]) = match what {
        Middlebox::PortMapper => ("miniupnpd-nftables", mapper(), &["-d", "-f"]),
        Middlebox::Balancer { range, header } => {
            ("haproxy", balancer(range, header), &["-db", "-f"])
        }
        Middlebox::Translator => ("tayga", translator(), &["--nodetach", "--config"]),
    };
    fs::write(&file, configuration)?;
    let program = setup::unpacked(package);
    let command = |before: &[&str]| {
        let mut command = gateway.command(&program);
        command.args(before).args(arguments).arg(&file);
        isolate(&mut command, work.path());
        command
    };
    let mut started = command(&[]);
    match what {
        Middlebox::PortMapper => {
            started.arg("-P").arg(work.path().join("pid"));
        }
        Middlebox::Balancer { .. } => {}
        Middlebox::Translator => {
            let mut device = gateway.command(&program);
            device.arg("--mktun").arg("--config").arg(&file);
            must(device, b"")?;
            gateway.ip("link set nat64 up\n\
                        route add 192.168.255.0/24 dev nat64\n\
                        route add 2001:db8:64::/96 dev nat64\n")?;
        }
    }
    let daemon = Daemon::start(started)?;
    let ready = match what {
        Middlebox::PortMapper => await_udp(gateway, 5351),
        Middlebox::Balancer { .. } => {
            gateway.await_listener(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 21))
        }
        Middlebox::Translator => await_carrier(gateway, "nat64"),
    };
    ready.map_err(|failure| format!("{package}: {failure}: {}", tail(&daemon.said())))?;
    Ok(Running {
        _daemon: daemon,
        _work: work,
    })
}

/// No description to fetch from outside, no leases on disk; whoever asks may map its own ports only.
fn mapper() -> String {
    "ext_ifname=wan\nlistening_ip=lan\nenable_natpmp=yes\nenable_upnp=yes\n\
     secure_mode=yes\nsystem_uptime=yes\nnotify_interval=30\nmin_lifetime=60\nmax_lifetime=86400\n\
     uuid=5d2c1a1e-6f0b-4d0e-9a57-1abf00c0ffee\nupnp_forward_chain=miniupnpd\n\
     upnp_nat_chain=prerouting_miniupnpd\nupnp_nat_postrouting_chain=postrouting_miniupnpd\n\
     allow 1024-65535 192.168.10.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
        .to_owned()
}

/// Every port is forwarded to the same port of the server.
fn balancer(range: bool, header: Option<&str>) -> String {
    let header = header.unwrap_or_default();
    let mut text = format!(
        "global\n  nbthread 1\n  maxconn 500\ndefaults\n  mode tcp\n  timeout connect 5s\n\
         \x20 timeout client 1h\n  timeout server 1h\n\
         listen control\n  bind 203.0.113.1:21\n  server ftp {BEHIND}:21 {header}\n"
    );
    if range {
        let _ = writeln!(
            text,
            "listen data\n  bind 203.0.113.1:{}-{}\n  server ftp {BEHIND} {header}",
            RANGE.0, RANGE.1
        );
    }
    text
}

fn translator() -> String {
    "tun-device nat64\nipv4-addr 192.168.255.1\nipv6-addr 2001:db8:c:64::1\n\
     prefix 2001:db8:64::/96\ndynamic-pool 192.168.255.0/24\n"
        .to_owned()
}

/// Waits until something in a gateway receives at this UDP port, at most five seconds.
fn await_udp(gateway: &Namespace, port: u16) -> Result<()> {
    let wanted = format!(":{port:04X}");
    await_inside(gateway, &format!("nobody receives at {port}/udp"), || {
        fs::read_to_string("/proc/thread-self/net/udp").is_ok_and(|table| {
            let mut locals = table
                .lines()
                .filter_map(|line| line.split_whitespace().nth(1));
            locals.any(|local| local.ends_with(&wanted))
        })
    })
}

/// Waits until a program has opened its tunnel device, at most five seconds.
fn await_carrier(gateway: &Namespace, device: &str) -> Result<()> {
    // /sys belongs to the mount namespace, /proc to the thread: the device's own address appears
    // with its carrier.
    await_inside(gateway, &format!("{device} stays down"), || {
        fs::read_to_string("/proc/thread-self/net/if_inet6")
            .is_ok_and(|table| table.lines().any(|line| line.ends_with(device)))
    })
}

fn await_inside(
    gateway: &Namespace,
    complaint: &str,
    ready: impl Fn() -> bool + Send,
) -> Result<()> {
    gateway.inside(move || {
        for _ in 0..500 {
            if ready() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{complaint} after five seconds").into())
    })?
}

/// The idle NAT: silent connections are forgotten after this many seconds.
const FORGOTTEN_AFTER: &str = "4";

/// Connections that are shaped apart; more than a scene ever opens.
const LANES: u32 = 200;

/// Makes a gateway forgetful and slow: every connection is a lane of its own, in which `bytes` take
/// `takes` in either direction, while the control connections have nothing to wait for.
pub(crate) fn forget_and_slow(gateway: &Namespace, bytes: u64, takes: Duration) -> Result<()> {
    gateway.set(
        FORGOTTEN_AFTER,
        &["netfilter/nf_conntrack_tcp_timeout_established"],
    )?;
    gateway.set("0", &["netfilter/nf_conntrack_tcp_loose"])?;
    let rate = bytes * 1000 / u64::try_from(takes.as_millis())?.max(1);
    let mut lanes = String::new();
    for device in ["lan", "wan"] {
        let _ = writeln!(lanes, "qdisc add dev {device} root handle 1: htb default 0");
        for lane in 1..=LANES {
            let _ = writeln!(
                lanes,
                "class add dev {device} parent 1: classid 1:{lane:x} htb rate {rate}bps burst 4k \
                 cburst 4k quantum 3000\n\
                 qdisc add dev {device} parent 1:{lane:x} bfifo limit 200000"
            );
        }
    }
    gateway.tc(&lanes)?;
    let marks: Vec<String> = (1..=LANES)
        .map(|lane| format!("{lane} : 1:{lane:x}"))
        .collect();
    gateway.nft(&format!(
        "table inet lanes {{\n\
           chain forward {{ type filter hook forward priority mangle;\n\
             ct state new ct mark 0 ct mark set numgen inc mod {LANES} offset 1\n\
             meta priority set ct mark map {{ {} }}\n\
           }}\n\
         }}",
        marks.join(", ")
    ))
}
