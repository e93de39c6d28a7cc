//! Uploads what it reads on its standard input: `upload ftp://me:secret@files.example/notes.txt < notes.txt`.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::sync::Arc;

use wharf_client::{Options, Target, open};
use wharf_net::TcpNet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: upload ftp://HOST/FILE")?;
    let target: Target = address.parse()?;
    let remote = target.path().ok_or("the address names no file")?;
    let mut client = open(Arc::new(TcpNet::new()), &target, Options::default()).await?;

    let mut upload = client.store(remote, 0).await?;
    if let Err(error) = tokio::io::copy(&mut tokio::io::stdin(), &mut upload).await {
        // The server tells why on the control connection: a full disk, as a rule.
        return Err(upload.explain(error).await.into());
    }
    // In stream mode the end of the data is the end of the file; only this makes sure that the server has all of it.
    let stored = upload.finish().await?;
    println!(
        "{} bytes, length compared: {}",
        stored.bytes, stored.verified
    );
    client.quit().await;
    Ok(())
}
