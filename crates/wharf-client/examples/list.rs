//! Lists a directory: `list ftp://me:secret@files.example/pub/`.
//!
//! Entries come as they arrive, in one form whatever the server calls a listing.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::sync::Arc;

use wharf_client::{Options, Target, open};
use wharf_net::TcpNet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: list ftp://HOST/DIRECTORY/")?;
    let target: Target = address.parse()?;
    let mut client = open(Arc::new(TcpNet::new()), &target, Options::default()).await?;
    let mut listing = client.listing(target.path()).await?;
    while let Some(entry) = listing.next().await? {
        let size = entry.size.map_or("-".to_owned(), |it| it.to_string());
        let name = String::from_utf8_lossy(&entry.name);
        println!(
            "{size:>12} {name}{}",
            if entry.is_directory() { "/" } else { "" }
        );
    }
    client.quit().await;
    Ok(())
}
