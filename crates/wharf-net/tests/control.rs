//! Both ends of the control connection, in memory and on virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use wharf_net::{Conn, ControlError, Recorder, ServerControl, Stream, Trace, UserControl};
use wharf_proto::trace::Event;
use wharf_proto::{Command, Line, Reply, ReplyLimits, Text};

const LIMITS: ReplyLimits = ReplyLimits {
    line: 1024,
    lines: 100,
    bytes: 8192,
};

fn conn(stream: impl Stream) -> Conn {
    Conn::foreign(
        Box::new(stream),
        "203.0.113.1:21".parse().unwrap(),
        "198.51.100.1:40000".parse().unwrap(),
    )
}

fn server(buffer: usize) -> (ServerControl, DuplexStream) {
    let (near, far) = tokio::io::duplex(buffer);
    (ServerControl::new(conn(near), 512, Trace::off()), far)
}

fn user(buffer: usize) -> (UserControl, DuplexStream) {
    let (near, far) = tokio::io::duplex(buffer);
    (UserControl::new(conn(near), LIMITS, Trace::off()), far)
}

async fn sent(peer: &mut DuplexStream) -> String {
    let mut buffer = [0; 4096];
    let n = peer.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..n]).into_owned()
}

/// Counts how often it is written to.
struct Counting(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_pipelined_burst_is_answered_in_one_write() {
    let writes = Arc::new(AtomicUsize::new(0));
    let (near, mut far) = tokio::io::duplex(4096);
    let near = Counting(near, Arc::clone(&writes));
    let mut server = ServerControl::new(conn(near), 512, Trace::off());
    far.write_all(b"NOOP\r\nSYST\r\nPWD\r\n").await.unwrap();
    for code in [200, 215, 257] {
        server.next_line().await.unwrap().unwrap();
        server.send(&Reply::new(code, "done")).await.unwrap();
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    assert_eq!(sent(&mut far).await, "200 done\r\n215 done\r\n257 done\r\n");
}

#[tokio::test]
async fn a_preliminary_reply_does_not_wait_for_the_end_of_the_burst() {
    let (mut server, mut far) = server(4096);
    far.write_all(b"RETR a\r\nRETR b\r\n").await.unwrap();
    server.next_line().await.unwrap().unwrap();
    server
        .send(&Reply::new(150, "here it comes"))
        .await
        .unwrap();
    assert_eq!(sent(&mut far).await, "150 here it comes\r\n");
}

#[tokio::test]
async fn half_a_line_survives_a_dropped_wait() {
    let (mut server, mut far) = server(4096);
    far.write_all(b"NO").await.unwrap();
    tokio::select! {
        biased;
        _ = server.next_line() => unreachable!("half a line"),
        () = tokio::task::yield_now() => (),
    }
    far.write_all(b"OP\r\n").await.unwrap();
    assert_eq!(
        server.next_line().await.unwrap(),
        Some(Line::Command(b"NOOP".to_vec()))
    );
}

#[tokio::test]
async fn the_end_of_the_connection_is_none() {
    let (mut server, far) = server(64);
    drop(far);
    assert_eq!(server.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn telnet_options_are_refused() {
    let (mut server, mut far) = server(4096);
    // IAC DO ECHO is answered with IAC WONT ECHO.
    far.write_all(&[255, 253, 1]).await.unwrap();
    far.write_all(b"NOOP\r\n").await.unwrap();
    server.next_line().await.unwrap().unwrap();
    tokio::select! {
        biased;
        _ = server.next_line() => unreachable!("nothing was sent"),
        () = tokio::task::yield_now() => (),
    }
    let mut answer = [0; 3];
    far.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [255, 252, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let (mut server, _far) = server(8);
    let began = tokio::time::Instant::now();
    let error = server
        .send(&Reply::new(200, "more than eight bytes"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn write_patience_counts_from_the_last_byte_taken() {
    let (mut server, mut far) = server(8);
    server.set_write_patience(Duration::from_secs(5));
    let reply = Reply::new(200, "x".repeat(42));
    let (outcome, ()) = tokio::join!(server.send(&reply), async {
        let mut buffer = [0; 8];
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            far.read_exact(&mut buffer).await.unwrap();
        }
    });
    outcome.unwrap();
}

#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl Recorder for Kept {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_do_not_reach_the_trace() {
    let kept = Arc::new(Kept::default());
    let recorder: Arc<dyn Recorder> = Arc::clone(&kept) as _;
    let (near, mut far) = tokio::io::duplex(4096);
    let mut server =
        ServerControl::new(conn(near), 512, Trace::new(Some(Arc::clone(&recorder)), 7));
    far.write_all(b"PASS secret\r\nacct secret\r\n PASS\tsecret\r\nPASSsecret\r\n")
        .await
        .unwrap();
    for _ in 0..4 {
        server.next_line().await.unwrap().unwrap();
    }
    let (near, _far) = tokio::io::duplex(4096);
    let mut user = UserControl::new(conn(near), LIMITS, Some(recorder));
    let pass = Command::parse(b"PASS secret").unwrap();
    user.send(&pass).await.unwrap();
    user.send_line(&Text::new("pass secret").unwrap())
        .await
        .unwrap();
    user.send_line(&Text::new("passsecret").unwrap())
        .await
        .unwrap();
    let told = kept.0.lock().unwrap().join("\n");
    assert!(!told.contains("secret"), "{told}");
    assert!(told.contains("s7 > "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_trace_tells_how_a_session_began_and_ended() {
    let kept = Arc::new(Kept::default());
    let recorder: Arc<dyn Recorder> = Arc::clone(&kept) as _;
    let (near, mut far) = tokio::io::duplex(4096);
    let mut server = ServerControl::new(conn(near), 512, Trace::new(Some(recorder), 1));
    far.write_all(b"QUIT\r\n").await.unwrap();
    server.next_line().await.unwrap().unwrap();
    server.send(&Reply::new(221, "goodbye")).await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(server.next_line().await.unwrap(), None);
    server.close().await.unwrap();
    assert_eq!(
        *kept.0.lock().unwrap(),
        [
            "@0.000 s1 + server 203.0.113.1:21 198.51.100.1:40000",
            "@0.000 s1 > QUIT",
            "@0.000 s1 < 221 goodbye",
            "@0.000 s1 - end",
        ]
    );
}

#[tokio::test]
async fn a_reply_in_pieces_survives_a_dropped_wait() {
    let (mut user, mut far) = user(4096);
    far.write_all(b"211-first\r\n sec").await.unwrap();
    tokio::select! {
        biased;
        _ = user.next_reply() => unreachable!("half a reply"),
        () = tokio::task::yield_now() => (),
    }
    far.write_all(b"ond\r\n211 last\r\n").await.unwrap();
    let reply = user.next_reply().await.unwrap();
    assert_eq!((reply.code(), reply.lines().len()), (211, 3));
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_as_such() {
    let (mut user, mut far) = user(4096);
    far.write_all(b"220 read").await.unwrap();
    drop(far);
    assert!(matches!(user.next_reply().await, Err(ControlError::Closed)));
}

#[tokio::test]
async fn something_that_is_not_ftp_is_told_as_such() {
    let (mut user, mut far) = user(64 * 1024);
    far.write_all(&[b'x'; 5000]).await.unwrap();
    assert!(matches!(
        user.next_reply().await,
        Err(ControlError::Reply(_))
    ));
}

#[tokio::test]
async fn a_quoted_line_goes_out_as_it_is_with_iac_doubled() {
    let (mut user, mut far) = user(4096);
    user.send_line(&Text::new(vec![b'X', 255, b'Y']).unwrap())
        .await
        .unwrap();
    let mut line = [0; 6];
    far.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"X\xff\xffY\r\n");
}

#[tokio::test]
async fn an_abort_over_a_foreign_stream_is_just_abor() {
    let (mut user, mut far) = user(4096);
    user.send_abort().await.unwrap();
    assert_eq!(sent(&mut far).await, "ABOR\r\n");
}
