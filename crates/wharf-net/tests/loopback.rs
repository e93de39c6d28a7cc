//! Real sockets on the loopback interface, ports chosen by the system.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_net::{
    Conn, DataConnection, DataPort, ListenAt, Listener, Net, OpenError, Ports, RangeExhausted,
    ServerControl, Source, TcpNet, Trace, TransparentNet, UserControl,
};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::{Line, ReplyLimits};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: ReplyLimits = ReplyLimits {
    line: 1024,
    lines: 100,
    bytes: 8192,
};

async fn door() -> Box<dyn Listener> {
    TcpNet.listen(ListenAt::any(LOOPBACK)).await.unwrap()
}

/// The opener's end and the other one.
async fn pair() -> (Conn, Conn) {
    let mut door = door().await;
    let near = TcpNet
        .connect(Source::Any, door.local_addr())
        .await
        .unwrap();
    (near, door.accept().await.unwrap())
}

/// A port that nobody uses at the moment.
async fn free_port() -> u16 {
    door().await.local_addr().port()
}

async fn ends_with(peer: &mut Conn) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.map(|_| all)
}

#[tokio::test]
async fn a_closed_data_connection_ends_cleanly() {
    let (near, mut far) = pair().await;
    let mut data = DataConnection::new(near);
    data.write_all(b"whole").await.unwrap();
    data.close().await.unwrap();
    assert_eq!(ends_with(&mut far).await.unwrap(), b"whole");
}

#[tokio::test]
async fn a_dropped_data_connection_is_reset() {
    let (near, mut far) = pair().await;
    let mut data = DataConnection::new(near);
    data.write_all(b"half").await.unwrap();
    drop(data);
    let error = ends_with(&mut far).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn after_the_end_of_file_there_is_nothing_to_reset() {
    let (near, mut far) = pair().await;
    let mut data = DataConnection::new(near);
    far.shutdown().await.unwrap();
    assert_eq!(data.read(&mut [0; 8]).await.unwrap(), 0);
    drop(data);
    assert_eq!(ends_with(&mut far).await.unwrap(), b"");
}

#[tokio::test]
async fn a_stranger_is_dropped_and_the_client_still_served() {
    let door = door().await;
    let at = door.local_addr();
    let stranger_ip: IpAddr = "127.0.0.2".parse().unwrap();
    let mut stranger = TcpNet
        .connect(Source::Address(stranger_ip), at)
        .await
        .unwrap();
    let mut client = TcpNet.connect(Source::Address(LOOPBACK), at).await.unwrap();
    let data = DataPort::Listening(door)
        .open(&TcpNet, &Guard::new(LOOPBACK), PATIENCE)
        .await
        .unwrap();
    assert_eq!(data.peer_addr(), client.local_addr());
    assert_eq!(
        ends_with(&mut stranger).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    data.close().await.unwrap();
    assert_eq!(ends_with(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn nobody_came_names_the_place_and_the_stranger() {
    let door = door().await;
    let at = door.local_addr();
    let stranger = TcpNet
        .connect(Source::Address("127.0.0.2".parse().unwrap()), at)
        .await
        .unwrap();
    let error = DataPort::Listening(door)
        .open(&TcpNet, &Guard::new(LOOPBACK), Duration::from_millis(100))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&at.to_string()), "{text}");
    assert!(text.contains("127.0.0.2"), "{text}");
    let OpenError::NobodyCame { strangers, .. } = error else {
        unreachable!("{error}");
    };
    assert_eq!(strangers, [stranger.local_addr()]);
}

#[tokio::test]
async fn a_client_that_is_gone_before_it_was_accepted_has_come_all_the_same() {
    let door = door().await;
    let client = TcpNet
        .connect(Source::Any, door.local_addr())
        .await
        .unwrap();
    let came_from = client.local_addr();
    client.abort();
    let mut data = DataPort::Listening(door)
        .open(&TcpNet, &Guard::new(LOOPBACK), PATIENCE)
        .await
        .unwrap();
    assert_eq!(data.peer_addr(), came_from);
    let error = data.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let to = SocketAddr::new(LOOPBACK, free_port().await);
    let port = DataPort::Target {
        source: Source::Any,
        to,
    };
    let error = port
        .open(&TcpNet, &Guard::new(LOOPBACK), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::Refused { to: seen } if seen == to));
}

#[tokio::test]
async fn the_passive_range_is_never_left() {
    let first = door().await;
    let port = first.local_addr().port();
    let range = PortRange::new(port, port).unwrap();
    let Err(full) = TcpNet.listen(ListenAt::range(LOOPBACK, range)).await else {
        unreachable!("left the range");
    };
    assert_eq!(full.kind(), ErrorKind::AddrInUse);
    assert_eq!(RangeExhausted::of(&full).unwrap().range, range);
    drop(first);
    let second = TcpNet
        .listen(ListenAt::range(LOOPBACK, range))
        .await
        .unwrap();
    assert_eq!(second.local_addr().port(), port);
}

#[tokio::test]
async fn one_port_in_use_is_not_an_exhausted_range() {
    let first = door().await;
    let at = ListenAt {
        ports: Ports::One(first.local_addr().port()),
        ..ListenAt::any(LOOPBACK)
    };
    let error = TcpNet.listen(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(RangeExhausted::of(&error).is_none());
}

#[tokio::test]
async fn a_source_port_in_use_is_replaced_and_told() {
    let mut door = door().await;
    let occupied = self::door().await;
    let wanted = occupied.local_addr();
    let conn = TcpNet
        .connect(Source::Port(wanted), door.local_addr())
        .await
        .unwrap();
    let note = conn.source_note().unwrap();
    assert_eq!((note.wanted, note.used), (wanted, conn.local_addr()));
    assert_eq!(door.accept().await.unwrap().peer_addr(), conn.local_addr());
}

#[tokio::test]
async fn transfers_in_a_row_from_one_source_port_to_one_client_port_all_connect() {
    let mut door = door().await;
    let wanted = SocketAddr::new(LOOPBACK, free_port().await);
    for _transfer in 0..4 {
        let conn = TcpNet
            .connect(Source::Port(wanted), door.local_addr())
            .await
            .unwrap();
        assert!(conn.local_addr() == wanted || conn.source_note().is_some());
        let mut far = door.accept().await.unwrap();
        // Our FIN first: the pair of addresses is in TIME_WAIT on our side.
        DataConnection::new(conn).close().await.unwrap();
        assert_eq!(ends_with(&mut far).await.unwrap(), b"");
    }
}

#[tokio::test]
async fn ipv4_on_a_dual_stack_listener_is_seen_as_ipv4() {
    let any = ListenAt::any("::".parse().unwrap());
    let Ok(mut door) = TcpNet.listen(any).await else {
        return; // no IPv6 here
    };
    let to = SocketAddr::new(LOOPBACK, door.local_addr().port());
    let near = TcpNet.connect(Source::Any, to).await.unwrap();
    let far = door.accept().await.unwrap();
    assert_eq!(far.local_addr(), to);
    assert_eq!(far.peer_addr(), near.local_addr());
}

#[tokio::test]
async fn both_families_may_have_a_listener_of_their_own_on_one_port() {
    let v4 = TcpNet
        .listen(ListenAt::any(Ipv4Addr::UNSPECIFIED.into()))
        .await
        .unwrap();
    let v6 = SocketAddr::new("::".parse().unwrap(), v4.local_addr().port());
    match TcpNet.listen(ListenAt::one(v6)).await {
        Err(e) if e.kind() == ErrorKind::AddrInUse => (),
        Err(_) => return, // no IPv6 here
        Ok(_) => unreachable!("a dual-stack listener needs both"),
    }
    TcpNet.listen(ListenAt::one(v6).only_ipv6()).await.unwrap();
}

#[tokio::test]
async fn an_address_needs_no_resolver() {
    let found = TcpNet.resolve("::1", 2121).await.unwrap();
    assert_eq!(found, ["[::1]:2121".parse().unwrap()]);
}

#[tokio::test]
async fn an_abort_arrives_as_synch_and_command_in_their_order() {
    let (near, far) = pair().await;
    let mut user = UserControl::new(near, LIMITS, Trace::off());
    let mut server = ServerControl::new(far, 512, Trace::off());
    user.send_abort().await.unwrap();
    assert_eq!(server.next_line().await.unwrap(), Some(Line::Synch));
    assert_eq!(
        server.next_line().await.unwrap(),
        Some(Line::Command(b"ABOR".to_vec()))
    );
}

#[tokio::test]
async fn the_urgent_mark_does_not_hold_up_what_lies_behind_it() {
    let (near, far) = pair().await;
    let mut server = ServerControl::new(far, 512, Trace::off());
    let socket = socket2::SockRef::from(near.as_tcp().unwrap());
    socket.send(b"\xff\xf4\xff").unwrap();
    socket.send_out_of_band(b"\xf2").unwrap();
    socket.send(b"ABOR\r\n").unwrap();
    let abor = Line::Command(b"ABOR".to_vec());
    while let Some(line) = tokio::time::timeout(PATIENCE, server.next_line())
        .await
        .unwrap()
        .unwrap()
    {
        if line == abor {
            return;
        }
        assert_eq!(line, Line::Synch);
    }
    unreachable!("no ABOR");
}

/// As a client does beside a transfer.
#[tokio::test]
async fn a_reply_wakes_who_has_asked_for_it_with_a_future_that_is_gone() {
    let (near, far) = pair().await;
    let mut user = UserControl::new(near, LIMITS, Trace::off());
    let mut server = ServerControl::new(far, 512, Trace::off());
    let (asked, has_asked) = tokio::sync::oneshot::channel();
    let mut asked = Some(asked);
    // A task of its own: nothing else wakes it.
    let hearing = tokio::spawn(std::future::poll_fn(move |cx| {
        let polled = std::pin::pin!(user.next_reply()).poll(cx);
        if let Some(asked) = asked.take() {
            asked.send(()).unwrap();
        }
        polled
    }));
    has_asked.await.unwrap();
    server.queue(&wharf_proto::Reply::new(226, "done"));
    server.flush().await.unwrap();
    let heard = tokio::time::timeout(PATIENCE, hearing).await;
    assert_eq!(heard.unwrap().unwrap().unwrap().code(), 226);
}

#[tokio::test]
async fn the_last_reply_arrives_although_the_user_sends_on() {
    let (near, far) = pair().await;
    let mut user = UserControl::new(near, LIMITS, Trace::off());
    let mut server = ServerControl::new(far, 512, Trace::off());
    for _ in 0..50 {
        user.send(&wharf_proto::Command::Noop).await.unwrap();
    }
    server.queue(&wharf_proto::Reply::new(421, "closing"));
    let (closed, reply) = tokio::join!(server.close(), async {
        let reply = user.next_reply().await;
        user.close().await.unwrap();
        reply
    });
    closed.unwrap();
    assert_eq!(reply.unwrap().code(), 421);
}

#[tokio::test]
async fn what_was_meant_for_this_host_has_no_original_destination() {
    let mut door = TransparentNet
        .listen(ListenAt::any(LOOPBACK))
        .await
        .unwrap();
    let at = door.local_addr();
    let near = TransparentNet
        .connect(Source::Address(LOOPBACK), at)
        .await
        .unwrap();
    let conn = door.accept().await.unwrap();
    assert_eq!(conn.original_destination(), None);
    assert_eq!(
        (conn.local_addr(), conn.peer_addr()),
        (at, near.local_addr())
    );

    let meant = "203.0.113.5:21".parse().unwrap();
    let conn = conn.intercepted(meant);
    assert_eq!(conn.original_destination(), Some(meant));
    assert_eq!((conn.local_addr(), conn.bound_addr()), (meant, at));
}
