//! Files through data connections: in memory on virtual time, and `sendfile` on the loopback interface.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use wharf_net::pump::{self, Conversion, Moved, Progress, PumpError};
use wharf_net::{Conn, DataConnection, ListenAt, Net, Source, TcpNet, zero_copy};

const STALL: Duration = Duration::from_secs(30);

fn data(buffer: usize) -> (DataConnection, DuplexStream) {
    let (near, far) = tokio::io::duplex(buffer);
    let conn = Conn::foreign(
        Box::new(near),
        "203.0.113.1:20".parse().unwrap(),
        "198.51.100.1:40001".parse().unwrap(),
    );
    (DataConnection::new(conn), far)
}

/// What goes over the wire for `file`, and the counts.
async fn outgoing(file: &[u8], conversion: Conversion) -> (Vec<u8>, Moved) {
    let (mut data, mut far) = data(7);
    let progress = Progress::new();
    let (moved, wire) = tokio::join!(
        async {
            let mut reader = file;
            let moved = pump::send(&mut reader, &mut data, conversion, &progress, STALL)
                .await
                .unwrap();
            data.close().await.unwrap();
            moved
        },
        async {
            let mut wire = Vec::new();
            far.read_to_end(&mut wire).await.unwrap();
            wire
        }
    );
    assert_eq!(progress.moved(), moved.wire);
    assert_eq!(moved.wire, wire.len() as u64);
    (wire, moved)
}

/// What arrives in the file for `wire`, and the counts.
async fn incoming(wire: &[u8], conversion: Conversion) -> (Vec<u8>, Moved) {
    let (mut data, mut far) = data(7);
    let progress = Progress::new();
    let mut file = Vec::new();
    let (moved, ()) = tokio::join!(
        async {
            pump::receive(&mut data, &mut file, conversion, &progress, STALL)
                .await
                .unwrap()
        },
        async {
            far.write_all(wire).await.unwrap();
            far.shutdown().await.unwrap();
        }
    );
    assert_eq!(progress.moved(), wire.len() as u64);
    assert_eq!(moved.file, file.len() as u64);
    (file, moved)
}

#[tokio::test]
async fn image_bytes_pass_as_they_are() {
    let big: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    for file in [&b""[..], b"x", b"a\nb\r\nc\r", &big] {
        assert_eq!(outgoing(file, Conversion::Verbatim).await.0, file);
        assert_eq!(incoming(file, Conversion::Verbatim).await.0, file);
    }
}

#[tokio::test]
async fn line_ends_are_converted_on_the_wire_only() {
    let table: &[(&[u8], &[u8])] = &[
        (b"", b""),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"no end", b"no end"),
    ];
    for &(file, wire) in table {
        let (sent, moved) = outgoing(file, Conversion::NvtAscii).await;
        assert_eq!(sent, wire);
        assert_eq!(moved.file, file.len() as u64);
        let (stored, moved) = incoming(wire, Conversion::NvtAscii).await;
        assert_eq!(stored, file);
        assert_eq!(moved.wire, wire.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_in_which_no_byte_moves_ends() {
    let (mut data, _far) = data(8);
    let mut reader: &[u8] = &[0; 100];
    let progress = Progress::new();
    let error = pump::send(
        &mut reader,
        &mut data,
        Conversion::Verbatim,
        &progress,
        STALL,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, PumpError::Stalled(STALL)));
    assert_eq!(progress.moved(), 8);

    let (mut data, _far) = self::data(8);
    let error = pump::receive(
        &mut data,
        &mut Vec::new(),
        Conversion::Verbatim,
        &progress,
        STALL,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, PumpError::Stalled(STALL)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_transfer_is_not_a_stalled_one() {
    let (mut data, mut far) = data(8);
    let mut reader: &[u8] = &[7; 64];
    let progress = Progress::new();
    let (outcome, ()) = tokio::join!(
        pump::send(
            &mut reader,
            &mut data,
            Conversion::Verbatim,
            &progress,
            STALL
        ),
        async {
            let mut piece = [0; 8];
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                far.read_exact(&mut piece).await.unwrap();
            }
        }
    );
    assert_eq!(outcome.unwrap().wire, 64);
}

/// A disk without room.
struct Full;

impl AsyncWrite for Full {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::StorageFull.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_full_disk_and_a_lost_connection_are_told_apart() {
    let progress = Progress::new();
    let (mut connection, mut far) = data(64);
    far.write_all(b"bytes").await.unwrap();
    let error = pump::receive(
        &mut connection,
        &mut Full,
        Conversion::Verbatim,
        &progress,
        STALL,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, PumpError::File(e) if e.kind() == io::ErrorKind::StorageFull));

    let (mut connection, far) = data(64);
    drop(far);
    let mut reader: &[u8] = b"bytes";
    let error = pump::send(
        &mut reader,
        &mut connection,
        Conversion::Verbatim,
        &progress,
        STALL,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, PumpError::Connection(_)));
}

async fn tcp() -> (DataConnection, Conn) {
    let mut door = TcpNet
        .listen(ListenAt::any("127.0.0.1".parse().unwrap()))
        .await
        .unwrap();
    let near = TcpNet
        .connect(Source::Any, door.local_addr())
        .await
        .unwrap();
    (DataConnection::new(near), door.accept().await.unwrap())
}

#[tokio::test]
async fn sendfile_sends_from_the_offset_to_the_end() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 241) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let (mut data, mut far) = tcp().await;
    let progress = Progress::new();
    let (moved, arrived) = tokio::join!(
        async {
            let moved = zero_copy::send_file(&file, 1_000, &mut data, &progress, STALL)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(data.bytes(), moved.wire);
            data.close().await.unwrap();
            moved
        },
        async {
            let mut arrived = Vec::new();
            far.read_to_end(&mut arrived).await.unwrap();
            arrived
        }
    );
    assert_eq!(arrived, bytes[1_000..]);
    assert_eq!(moved.wire, progress.moved());
    assert_eq!(moved.file, 2_999_000);
}

#[tokio::test]
async fn sendfile_beyond_the_end_sends_nothing() {
    let file = tempfile::tempfile().unwrap();
    let (mut data, _far) = tcp().await;
    let moved = zero_copy::send_file(&file, 5, &mut data, &Progress::new(), STALL)
        .await
        .unwrap();
    assert_eq!(moved, Some(Moved::default()));
}

#[tokio::test]
async fn sendfile_leaves_foreign_connections_to_the_pump() {
    let file = tempfile::tempfile().unwrap();
    let (mut data, _far) = data(64);
    let moved = zero_copy::send_file(&file, 0, &mut data, &Progress::new(), STALL)
        .await
        .unwrap();
    assert_eq!(moved, None);
}

#[tokio::test]
async fn sendfile_to_a_peer_that_does_not_read_is_stalled() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    let (mut data, _far) = tcp().await;
    let short = Duration::from_millis(100);
    let error = zero_copy::send_file(&file, 0, &mut data, &Progress::new(), short)
        .await
        .unwrap_err();
    assert!(matches!(error, PumpError::Stalled(_)));
}

#[test]
fn transfers_can_move_between_threads() {
    fn is_send<T: Send>(_future: T) {}
    let (mut data, _far) = data(8);
    let file = tempfile::tempfile().unwrap();
    let progress = Progress::new();
    is_send(zero_copy::send_file(&file, 0, &mut data, &progress, STALL));
    let mut reader: &[u8] = b"";
    is_send(pump::send(
        &mut reader,
        &mut data,
        Conversion::NvtAscii,
        &progress,
        STALL,
    ));
    let mut file = Vec::new();
    is_send(pump::receive(
        &mut data,
        &mut file,
        Conversion::NvtAscii,
        &progress,
        STALL,
    ));
}
