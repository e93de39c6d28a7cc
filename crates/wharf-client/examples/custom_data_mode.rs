//! One way to a data connection and no other, with a short patience: `custom_data_mode ftp://files.example/ epsv`.
//!
//! Left alone the client finds a way that works by itself; this is for networks whose way is known.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::sync::Arc;
use std::time::Duration;

use wharf_client::{ErrorKind, Options, Target, open};
use wharf_net::TcpNet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let usage = "usage: custom_data_mode ftp://HOST/ auto|passive|active|epsv|pasv|eprt|port";
    let target: Target = words.next().ok_or(usage)?.parse()?;
    let options = Options {
        data_mode: words.next().ok_or(usage)?.parse()?,
        data_timeout: Some(Duration::from_secs(2)),
        ..Options::default()
    };
    let mut client = open(Arc::new(TcpNet::new()), &target, options).await?;
    match client.list(target.path()).await {
        Ok(entries) => {
            let way = client.data_way().map_or("none", |it| it.word());
            println!("{} entries, by way of {way}", entries.len());
        }
        // One line a way, then who is the likely cause and what to try.
        Err(error) if error.kind() == ErrorKind::DataConnection => {
            for line in error.explanation() {
                println!("{line}");
            }
        }
        Err(error) => return Err(error.into()),
    }
    for note in client.take_notes() {
        println!("note: {note}");
    }
    client.quit().await;
    Ok(())
}
