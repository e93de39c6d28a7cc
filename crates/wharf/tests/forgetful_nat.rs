//! A NAT that forgets a silent connection after four seconds, and transfers that take twelve: our client behind it against
//! a server that does nothing about it (the simulated network has no keepalive), on virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use wharf_accounts::Anonymous;
use wharf_client::{Client, Endpoint, ErrorKind, Login, Options};
use wharf_proto::{Format, Pathname, RepresentationType};
use wharf_server::{Config, Server};
use wharf_sim::{Gateway, World};
use wharf_storage::{Memory, Permissions};

const IDLE: Duration = Duration::from_secs(4);

/// More than the buffers on the way hold, so that a slow reader makes a slow transfer.
const LENGTH: usize = 12 * 200_000;

/// Twelve seconds for the transfer, ten for the final reply, and what a login takes.
const WITHIN: Duration = Duration::from_secs(23);

const NOTE: &str = "complete, verified by size; control connection lost (idle NAT?)";

fn content() -> Vec<u8> {
    (0..LENGTH).map(|n| b"wharf\r\n\xff\0"[n % 9]).collect()
}

async fn session() -> Client {
    let world = World::new();
    world.add_host("server", World::INTERNET, ["203.0.113.5"]);
    let nat = Gateway::nat(["198.51.100.1"]).with_nat(|nat| nat.idle = Some(IDLE));
    let home = world.site(World::INTERNET, nat);
    world.add_host("client", home, ["192.168.1.7"]);

    let storage = Memory::new();
    let down: Pathname = "/down".parse().unwrap();
    storage.add_file(&down, content()).unwrap();
    let accounts =
        Anonymous::with_permissions(Arc::new(storage), Pathname::root(), Permissions::FULL);
    let config = Config {
        listen: vec!["203.0.113.5:21".parse().unwrap()],
        ..Config::default()
    };
    let server = Server::bind(config, world.host("server"), Arc::new(accounts));
    tokio::spawn(server.await.unwrap().run());

    let endpoint = Endpoint::new("203.0.113.5", 21);
    let greeting = wharf_client::connect(world.host("client"), &endpoint, Options::default());
    let login = Login::anonymous();
    greeting.await.unwrap().login(login).await.unwrap()
}

async fn slow_download(client: &mut Client) -> wharf_client::Result<bool> {
    let path = "/down".parse().unwrap();
    let mut download = client.retrieve(&path, 0).await?;
    let mut bytes = Vec::new();
    for _ in 0..12 {
        sleep(Duration::from_secs(1)).await;
        let mut piece = vec![0; LENGTH / 12];
        download.read_exact(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece);
    }
    let received = download.finish().await?;
    assert!(bytes == content(), "the file arrived damaged");
    Ok(received.verified)
}

async fn slow_upload(client: &mut Client, path: &str) -> wharf_client::Result<bool> {
    let path = path.parse().unwrap();
    let mut upload = client.store(&path, 0).await?;
    for piece in content().chunks(LENGTH / 12) {
        sleep(Duration::from_secs(1)).await;
        upload.write_all(piece).await.unwrap();
    }
    Ok(upload.finish().await?.verified)
}

#[tokio::test(start_paused = true)]
async fn long_transfers_end_as_verified_and_the_session_goes_on() {
    let mut client = session().await;
    let began = Instant::now();
    assert!(slow_download(&mut client).await.unwrap());
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    assert_eq!(client.take_notes(), [format!("/down: {NOTE}")]);

    let began = Instant::now();
    assert!(slow_upload(&mut client, "/up").await.unwrap());
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    assert_eq!(client.take_notes(), [format!("/up: {NOTE}")]);

    let began = Instant::now();
    let mut names = client.nlst(None).await.unwrap();
    names.sort();
    assert_eq!(names, [b"down".to_vec(), b"up".to_vec()]);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(client.take_notes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_compared_is_not_called_complete() {
    let mut client = session().await;
    let text = RepresentationType::Ascii(Format::NonPrint);
    client.set_type(text).unwrap();
    let error = slow_upload(&mut client, "/up").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    client.noop().await.unwrap();
}
