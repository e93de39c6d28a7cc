//! What the two processes of a server say to each other: any bytes are read or refused; what was read is written as it
//! came, so that there is one way to say a thing; and what is granted is what the configuration names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wharf_broker::Grant;
use wharf_broker::message::{Answer, LONGEST, LONGEST_SIGNED, Order, Request};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

/// A client with a control connection.
const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

pub(crate) fn check(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    if let Ok(request) = Request::decode(data) {
        assert_eq!(request.encode(), data, "{request:?}");
        if let Request::Sign { message, .. } = &request {
            assert!(message.len() <= LONGEST_SIGNED);
        }
        granted(&request);
    }
    if let Ok(answer) = Answer::decode(data) {
        assert_eq!(answer.encode(), data, "{answer:?}");
    }
    if let Ok(order) = Order::decode(data) {
        assert_eq!(order.encode(), data, "{order:?}");
    }
}

/// Said in other words than the broker's.
fn granted(request: &Request) {
    let network = |text: &str, bits| {
        let ip: IpAddr = text.parse().expect("an address");
        Network::new(ip, bits).expect("a network")
    };
    let grant = Grant {
        listen: vec![SocketAddr::from(([192, 0, 2, 1], 21))],
        data: vec![PortRange::new(50_000, 50_009).expect("a range")],
        active: Some(20),
        pools: vec![network("198.51.100.0", 24)],
        ..Grant::default()
    };
    match request {
        Request::Listen { at, .. } if grant.listens(*at).is_ok() => match at.port() {
            21 => assert_eq!(at.ip(), Ipv4Addr::new(192, 0, 2, 1)),
            port => assert!((50_000..=50_009).contains(&port)),
        },
        Request::Connect { from, to } => {
            assert!(grant.connects(*from, *to, &[]).is_err());
            let clients = [CLIENT.into(), IpAddr::from([198, 51, 100, 7])];
            if grant.connects(*from, *to, &clients).is_ok() {
                assert!(matches!(from.port(), 0 | 20) && to.port() >= 1024);
                let IpAddr::V4(to) = to.ip().to_canonical() else {
                    panic!("no client has {to}");
                };
                assert!(to == CLIENT || to.octets()[..3] == [198, 51, 100], "{to}");
            }
        }
        Request::Open(kept) => assert!(grant.file(*kept).is_err()),
        _ => {}
    }
}
