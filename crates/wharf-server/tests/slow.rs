//! Transfers that are kept open by a byte now and then

mod stage;

use std::time::Duration;

use stage::Stage;
use stage::client::Client;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

/// Sends so many octets so often until the server has enough of it; after how many seconds, if it has.
async fn upload(octets: usize, every: Duration) -> Option<u64> {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    client.say("EPSV", 229).await;
    client.open().await;
    client.say("STOR slow", 150).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(20) {
        if client.data().write_all(&vec![b'x'; octets]).await.is_err() {
            client.expect(426).await;
            return Some(start.elapsed().as_secs());
        }
        sleep(every).await;
    }
    client.data().shutdown().await.unwrap();
    client.expect(226).await;
    None
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_keeps_nothing_open() {
    // The stall time is two minutes, in which 512 octets have to move.
    let ended = upload(1, Duration::from_secs(1)).await.expect("is ended");
    assert!((120..=125).contains(&ended), "{ended} s");
    assert_eq!(
        upload(6, Duration::from_secs(1)).await,
        None,
        "slow, and a transfer"
    );
    assert_eq!(
        upload(5000, Duration::from_secs(119)).await,
        None,
        "slow, in lumps"
    );
}
