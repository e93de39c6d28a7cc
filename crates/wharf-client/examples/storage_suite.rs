//! Runs the conformance suite of stores on a real server, in directories that it makes below the one of the address and
//! leaves behind: `storage_suite ftp://me:secret@127.0.0.1/scratch/`. What a server cannot do fails by name.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wharf_client::{Login, Options, Pool, RemoteStorage, Target, open};
use wharf_net::TcpNet;
use wharf_proto::{Secret, Text};
use wharf_storage::conformance;

/// More cases than the suite has.
const DIRECTORIES: usize = 60;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: storage_suite ftp://USER:PASSWORD@HOST/SCRATCH/")?;
    let target: Target = address.parse()?;
    let scratch = target
        .path()
        .ok_or("the address names no directory")?
        .clone();
    let net = Arc::new(TcpNet::new());
    let mut client = open(net.clone(), &target, Options::default()).await?;
    for number in 0..DIRECTORIES {
        client
            .make_dir(&scratch.child(format!("case{number}").as_bytes())?)
            .await?;
    }
    client.quit().await;
    let nobody = || Text::lossy("anonymous");
    let login = Login::new(
        target.user().cloned().unwrap_or_else(nobody),
        target
            .password()
            .cloned()
            .unwrap_or_else(|| Secret::new(nobody())),
    );
    let most = NonZeroUsize::new(4).ok_or("four")?;
    let pool = Pool::new(net, &target, login, Options::default(), most);
    let next = AtomicUsize::new(0);
    conformance::run(|| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let base = scratch.child(format!("case{number}").as_bytes()).ok();
        Arc::new(RemoteStorage::new(pool.clone(), base))
    })
    .await;
    pool.close().await;
    Ok(())
}
