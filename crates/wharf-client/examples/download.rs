//! Downloads a file and continues what an earlier run has left: `download ftp://files.example/pub/big.iso`.
//!
//! The data goes to `NAME.part` and gets its name when the server has confirmed it and the length agrees.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::path::Path;
use std::sync::Arc;

use wharf_client::{FileOptions, Options, Target, local_name, open};
use wharf_net::TcpNet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: download ftp://HOST/FILE")?;
    let target: Target = address.parse()?;
    let remote = target.path().ok_or("the address names no file")?;
    // What a server or an address calls a file need not be a safe name here.
    let name = local_name(remote.file_name().ok_or("the address names no file")?)?;

    let mut client = open(Arc::new(TcpNet::new()), &target, Options::default()).await?;
    let how = FileOptions {
        resume: true,
        ..FileOptions::default()
    };
    let moved = client
        .retrieve_to_file(remote, Path::new(&name), &how)
        .await?;
    println!("{} bytes, continued at {}", moved.length, moved.resumed_at);
    client.quit().await;
    Ok(())
}
