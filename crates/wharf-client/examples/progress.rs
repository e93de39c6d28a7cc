//! Shows how far a download is, and stops it after some time: `progress ftp://files.example/big.iso 5`.
//!
//! Stopping is dropping: the transfer's future goes, the data connection is reset, and the next command brings both sides
//! in step again. The session lives on.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{interval, sleep};
use wharf_client::{FileOptions, Options, Target, open};
use wharf_net::TcpNet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let target: Target = words
        .next()
        .ok_or("usage: progress ftp://HOST/FILE SECONDS")?
        .parse()?;
    let seconds = words.next().map_or(Ok(10), |it| it.parse())?;
    let remote = target.path().ok_or("the address names no file")?;
    let mut client = open(Arc::new(TcpNet::new()), &target, Options::default()).await?;

    let how = FileOptions::default();
    let progress = how.progress.clone(); // counts along, wherever it is looked at
    let local = std::env::temp_dir().join("wharf-progress-example");
    let transfer = client.retrieve_to_file(remote, &local, &how);
    let mut tick = interval(Duration::from_millis(500));
    let ended = {
        let mut transfer = std::pin::pin!(transfer);
        let mut patience = std::pin::pin!(sleep(Duration::from_secs(seconds)));
        loop {
            tokio::select! {
                ended = &mut transfer => break Some(ended),
                () = &mut patience => break None,
                _ = tick.tick() => println!("{} bytes", progress.moved()),
            }
        }
    };
    match ended {
        Some(moved) => println!("done: {} bytes", moved?.length),
        None => println!("stopped after {} bytes", progress.moved()),
    }
    println!("the session goes on: {}", client.noop().await?);
    client.quit().await;
    Ok(())
}
