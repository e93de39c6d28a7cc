//! A NAT that forgets the silent control connection while a file of 12 s is under way: who probes it keeps it, and where
//! nobody does in time, the transfer is verified on a new one. On virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use wharf_accounts::Anonymous;
use wharf_client::{Client, Endpoint, Login, Options};
use wharf_proto::Pathname;
use wharf_server::{Config, Server};
use wharf_sim::{Gateway, World};
use wharf_storage::{Memory, Permissions};

/// Enough that the server is not done long before the client: the network holds a quarter of a megabyte.
const LENGTH: usize = 4_000_000;
const PIECE: usize = 64 * 1024;
const TRANSFER: Duration = Duration::from_secs(12);

/// Probes while a transfer runs come every 2 s, from both ends; a NAT that forgets sooner forgets.
#[test]
fn a_forgotten_control_connection_does_not_cost_the_transfer() {
    let table = [
        // the NAT forgets after, the server probes, the final reply comes
        (4, true, true),
        (4, false, true),
        (1, true, false),
        (1, false, false),
    ];
    for (forgets, probes, confirmed) in table {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let case = format!("NAT of {forgets} s, server probes: {probes}");
        runtime.block_on(transfers(forgets, probes, confirmed, &case));
    }
}

async fn transfers(forgets: u64, probes: bool, confirmed: bool, case: &str) {
    let content: Vec<u8> = (0..LENGTH).map(|n| b"wharf\r\n\xff\0"[n % 9]).collect();
    let world = World::new();
    let idle = Some(Duration::from_secs(forgets));
    let nat = Gateway::nat(["198.51.100.1"]).with_nat(|nat| nat.idle = idle);
    let home = world.site(World::INTERNET, nat);
    world.add_host("client", home, ["192.168.10.2"]);
    world.add_host("server", World::INTERNET, ["203.0.113.130"]);
    serve(&world, &content, probes).await;

    let began = Instant::now();
    let mut client = connect(&world).await;
    let path = "/down".parse::<Pathname>().unwrap();
    let mut download = client.retrieve(&path, 0).await.unwrap();
    let mut received = Vec::with_capacity(LENGTH);
    loop {
        received.reserve(PIECE);
        let n = download.read_buf(&mut received).await.unwrap();
        if n == 0 {
            break;
        }
        linger(n).await;
    }
    let end = download.finish().await.unwrap();
    assert!(received == content, "{case}: damaged");
    assert_eq!(end.reply.is_some(), confirmed, "{case}");
    assert!(end.verified, "{case}");
    // 12 s of transfer, and 10 s of waiting for a reply that does not come.
    let patience = Duration::from_secs(if confirmed { 13 } else { 25 });
    assert!(began.elapsed() < patience, "{case}: {:?}", began.elapsed());

    let mut client = connect(&world).await;
    let path = "/up".parse::<Pathname>().unwrap();
    let mut upload = client.store(&path, 0).await.unwrap();
    for piece in content.chunks(PIECE) {
        upload.write_all(piece).await.unwrap();
        linger(piece.len()).await;
    }
    let end = upload.finish().await.unwrap();
    assert_eq!(end.reply.is_some(), confirmed, "{case}, upload");
}

async fn connect(world: &World) -> Client {
    let endpoint = Endpoint::new("203.0.113.130".to_owned(), 21);
    let net = world.host("client");
    let greeting = wharf_client::connect(net, &endpoint, Options::default()).await;
    let client = greeting.unwrap().login(Login::anonymous()).await;
    client.unwrap()
}

async fn serve(world: &World, content: &[u8], probes: bool) {
    let storage = Memory::new();
    let path = "/down".parse().unwrap();
    storage.add_file(&path, content).unwrap();
    let accounts =
        Anonymous::with_permissions(Arc::new(storage), Pathname::root(), Permissions::FULL);
    let config = Config {
        listen: vec!["203.0.113.130:21".parse().unwrap()],
        keepalive: if probes {
            Config::default().keepalive
        } else {
            Duration::ZERO
        },
        ..Config::default()
    };
    let server = Server::bind(config, world.host("server"), Arc::new(accounts)).await;
    tokio::spawn(server.unwrap().run());
}

/// The part of the whole transfer's time that `n` of its bytes take.
async fn linger(n: usize) {
    let (n, length) = (u32::try_from(n).unwrap(), u32::try_from(LENGTH).unwrap());
    sleep(TRANSFER * n / length).await;
}
