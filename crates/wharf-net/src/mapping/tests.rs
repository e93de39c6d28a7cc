//! The mapper against routers of our own making on loopback.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;

use super::router::Router;
use super::{MappedBy, PortMapper};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TWO_MINUTES: Duration = Duration::from_mins(2);

fn inside() -> SocketAddr {
    (LOCAL, 5000).into()
}

/// What a router was asked: `pcp 120`, `pcp 0`, `address`, `nat-pmp 0`, `AddPortMapping`, ...
type Asked = Arc<Mutex<VecDeque<String>>>;

fn all(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().cloned().collect()
}

/// A gateway that speaks these; each is answered from its `from`-th request on.
#[derive(Clone, Copy, Default)]
struct Speaks {
    pcp: bool,
    nat_pmp: bool,
    /// Answers PCP with NAT-PMP's "unsupported version" rather than with silence.
    says_version: bool,
    /// PCP's result code.
    result: u8,
    /// So many datagrams are lost first.
    loses: usize,
    outside: [u8; 4],
}

const BOTH: Speaks = Speaks {
    pcp: true,
    nat_pmp: true,
    says_version: false,
    result: 0,
    loses: 0,
    outside: [198, 51, 100, 1],
};

async fn gateway(speaks: Speaks) -> (SocketAddr, Asked) {
    let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut lost = 0;
        loop {
            let mut buffer = [0; 1200];
            let (n, from) = socket.recv_from(&mut buffer).await.unwrap();
            let request = &buffer[..n];
            if lost < speaks.loses {
                lost += 1;
                continue;
            }
            let (what, answer) = gateway_answer(speaks, request);
            heard.lock().unwrap().push_back(what);
            // Something about somebody else comes first.
            socket.send_to(&[2, 0x81, 0, 0], from).await.unwrap();
            if let Some(answer) = answer {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    (at, asked)
}

fn gateway_answer(speaks: Speaks, request: &[u8]) -> (String, Option<Vec<u8>>) {
    let number = |at: usize| u32::from_be_bytes(request[at..at + 4].try_into().unwrap());
    match (request[0], request[1]) {
        (2, 1) => {
            let what = format!("pcp {}", number(4));
            if !speaks.pcp {
                let refusal = vec![0, 0x81, 0, 1, 0, 0, 0, 0];
                return (what, speaks.says_version.then_some(refusal));
            }
            let mut answer = request.to_vec();
            answer[1] |= 0x80;
            answer[3] = speaks.result;
            answer[8..24].fill(0);
            answer[42..44].copy_from_slice(&50_000u16.to_be_bytes());
            answer[44..60].fill(0);
            answer[54..56].fill(0xff);
            answer[56..60].copy_from_slice(&speaks.outside);
            (what, Some(answer))
        }
        (0, 0) => {
            let mut answer = vec![0, 128, 0, 0, 0, 0, 0, 0];
            answer.extend(speaks.outside);
            ("address".to_owned(), speaks.nat_pmp.then_some(answer))
        }
        (0, 2) => {
            let mut answer = vec![0, 130, 0, 0, 0, 0, 0, 0];
            answer.extend(&request[4..6]);
            answer.extend(50_001u16.to_be_bytes());
            answer.extend(&request[8..12]);
            let what = format!("nat-pmp {}", number(8));
            (what, speaks.nat_pmp.then_some(answer))
        }
        other => panic!("asked {other:?}"),
    }
}

/// A UPnP device: SSDP on the first address, HTTP wherever its answer says.
async fn device(external: &'static str) -> (SocketAddr, Asked) {
    let search = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let http = TcpListener::bind((LOCAL, 0)).await.unwrap();
    let (at, location) = (search.local_addr().unwrap(), http.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (_, from) = search.recv_from(&mut [0; 1200]).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{location}/root.xml\r\n\r\n");
            search.send_to(answer.as_bytes(), from).await.unwrap();
        }
    });
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = http.accept().await.unwrap();
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !is_whole(&request) {
                    stream.read_buf(&mut request).await.unwrap();
                }
                let request = String::from_utf8(request).unwrap();
                let (what, body) = device_answer(&request, external);
                heard.lock().unwrap().push_back(what.to_owned());
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    (at, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |text| text.parse().unwrap())
}

fn device_answer(request: &str, external: &str) -> (&'static str, String) {
    let soap = |action: &str, inner: &str| {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
             <u:{action}Response xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\">{inner}</u:{action}Response>\
             </s:Body></s:Envelope>"
        )
    };
    if request.starts_with("GET /root.xml") {
        let root = "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device><deviceList><device>\
             <deviceList><device><serviceList><service>\
             <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
             <controlURL>/control</controlURL><SCPDURL>/scpd.xml</SCPDURL>\
             </service></serviceList></device></deviceList></device></deviceList></device></root>";
        return ("root", root.to_owned());
    }
    if request.starts_with("GET /scpd.xml") {
        let arguments: String = [
            "NewRemoteHost",
            "NewExternalPort",
            "NewProtocol",
            "NewInternalPort",
            "NewInternalClient",
            "NewEnabled",
            "NewPortMappingDescription",
            "NewLeaseDuration",
        ]
        .map(|name| format!("<argument><name>{name}</name><direction>in</direction></argument>"))
        .concat();
        let action = |name: &str, arguments: &str| {
            format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
        };
        return (
            "scpd",
            format!(
                "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>{}{}</actionList></scpd>",
                action("AddPortMapping", &arguments),
                action(
                    "DeletePortMapping",
                    "<argument><name>NewRemoteHost</name><direction>in</direction></argument>\
                     <argument><name>NewExternalPort</name><direction>in</direction></argument>\
                     <argument><name>NewProtocol</name><direction>in</direction></argument>"
                )
            ),
        );
    }
    if request.contains("#GetExternalIPAddress") {
        let address = format!("<NewExternalIPAddress>{external}</NewExternalIPAddress>");
        return ("address", soap("GetExternalIPAddress", &address));
    }
    if request.contains("#AddPortMapping") {
        assert!(
            request.contains("<NewLeaseDuration>120</NewLeaseDuration>"),
            "{request}"
        );
        return ("add", soap("AddPortMapping", ""));
    }
    assert!(request.contains("#DeletePortMapping"), "{request}");
    ("delete", soap("DeletePortMapping", ""))
}

/// Somebody who hears and says nothing.
async fn nobody() -> (SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Until the router has been asked for `what`, which comes from a task of its own.
async fn until_asked(asked: &Asked, what: &str) {
    while !all(asked).iter().any(|request| request == what) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_is_mapped_in_pcp_and_given_back() {
    let (at, asked) = gateway(BOTH).await;
    let (ssdp, _silent) = nobody().await;
    let router = Router::of(at, ssdp);
    let mapping = router.map(inside(), TWO_MINUTES).await.unwrap();
    assert_eq!(mapping.outside(), "198.51.100.1:50000".parse().unwrap());
    assert_eq!(mapping.by(), MappedBy::Pcp);
    mapping.remove().await;
    assert_eq!(all(&asked), ["pcp 120", "address", "pcp 0"]);
    // The second time it is asked in what it speaks.
    let mapping = router.map(inside(), TWO_MINUTES).await.unwrap();
    drop(mapping);
    until_asked(&asked, "pcp 120").await;
    while all(&asked).len() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(all(&asked)[3..], ["pcp 120", "pcp 0"]);
}

#[tokio::test]
async fn a_router_of_nat_pmp_alone_is_asked_in_it() {
    for says_version in [true, false] {
        let speaks = Speaks {
            pcp: false,
            says_version,
            ..BOTH
        };
        let (at, asked) = gateway(speaks).await;
        let (ssdp, _silent) = nobody().await;
        let router = Router::of(at, ssdp);
        let mapping = router.map(inside(), TWO_MINUTES).await.unwrap();
        assert_eq!(mapping.outside(), "198.51.100.1:50001".parse().unwrap());
        assert_eq!(mapping.by(), MappedBy::NatPmp);
        assert!(all(&asked).contains(&"nat-pmp 120".to_owned()));
        mapping.remove().await;
        until_asked(&asked, "nat-pmp 0").await;
    }
}

#[tokio::test]
async fn a_lost_datagram_is_repeated() {
    let (at, _asked) = gateway(Speaks { loses: 2, ..BOTH }).await;
    let (ssdp, _silent) = nobody().await;
    let mapping = Router::of(at, ssdp).map(inside(), TWO_MINUTES).await;
    assert_eq!(mapping.unwrap().by(), MappedBy::Pcp);
}

#[tokio::test]
async fn upnp_is_asked_where_the_gateway_is_silent() {
    let (at, _silent) = nobody().await;
    let (ssdp, asked) = device("198.51.100.7").await;
    let router = Router::of(at, ssdp);
    for _time in 0..2 {
        let mapping = router.map(inside(), TWO_MINUTES).await.unwrap();
        assert_eq!(mapping.outside().ip().to_string(), "198.51.100.7");
        assert_ne!(mapping.outside().port(), 0);
        assert_eq!(mapping.by(), MappedBy::Igd);
        mapping.remove().await;
    }
    let asked = all(&asked);
    let times = |what: &str| asked.iter().filter(|request| *request == what).count();
    assert_eq!((times("add"), times("delete")), (2, 2), "{asked:?}");
    // Found once, known from then on.
    assert_eq!((times("root"), times("scpd")), (1, 1), "{asked:?}");
    let address = router.outside_address(LOCAL).await.unwrap();
    assert_eq!(address.to_string(), "198.51.100.7");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_routers_words() {
    let refusing = Speaks {
        result: 2,
        nat_pmp: false,
        ..BOTH
    };
    let (at, _asked) = gateway(refusing).await;
    let (ssdp, _silent) = nobody().await;
    let refused = Router::of(at, ssdp).map(inside(), TWO_MINUTES).await;
    assert_eq!(
        refused.err().unwrap().to_string(),
        "the router 127.0.0.1 says over PCP: not authorized"
    );
}

#[tokio::test]
async fn an_impossible_address_is_refused_and_the_port_given_back() {
    let lying = Speaks {
        outside: [127, 0, 0, 1],
        ..BOTH
    };
    let (at, asked) = gateway(lying).await;
    let (ssdp, devices_asked) = device("0.0.0.0").await;
    let refused = Router::of(at, ssdp).map(inside(), TWO_MINUTES).await;
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("impossible outside address")
    );
    until_asked(&asked, "pcp 0").await;
    until_asked(&devices_asked, "delete").await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_again_for_five_minutes() {
    let (at, _silent) = nobody().await;
    let (ssdp, searched) = nobody().await;
    let router = Router::of(at, ssdp);
    let began = Instant::now();
    let error = router.map(inside(), TWO_MINUTES).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(began.elapsed() <= Duration::from_secs(2));
    let mut buffer = [0; 1200];
    while searched.try_recv(&mut buffer).is_ok() {}
    let began = Instant::now();
    let _ = router.outside_address(LOCAL).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
    tokio::time::advance(Duration::from_mins(5)).await;
    let _ = router.outside_address(LOCAL).await.unwrap_err();
    assert!(searched.try_recv(&mut buffer).is_ok(), "searched anew");
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_mapped() {
    let (at, asked) = gateway(BOTH).await;
    let (ssdp, _silent) = nobody().await;
    let router = Router::of(at, ssdp);
    tokio::select! {
        biased;
        _ = router.map(inside(), TWO_MINUTES) => panic!("answered before it was asked"),
        () = std::future::ready(()) => (),
    }
    until_asked(&asked, "pcp 0").await;
}

#[tokio::test(start_paused = true)]
async fn no_router_stands_before_loopback() {
    let began = Instant::now();
    let router = Router::default();
    for inside in ["127.0.0.1", "::1"] {
        let error = router.outside_address(inside.parse().unwrap()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported, "{inside}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}
