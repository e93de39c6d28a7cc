//! Copies a tree from one store to another, here from a server to memory, over four sessions at most:
//! `mirror_by_hand ftp://files.example/pub/`.
//!
//! It shows [`Pool`] and [`RemoteStorage`]; a real mirror compares, resumes and deletes, and is `wharf_client::mirror`.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::task::JoinSet;
use wharf_client::{Login, Options, Pool, RemoteStorage, Target};
use wharf_net::TcpNet;
use wharf_proto::{Pathname, Secret, Text};
use wharf_storage::{Kind, ListOrder, Memory, Storage, Write, collect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: mirror_by_hand ftp://HOST/DIRECTORY/")?;
    let target: Target = address.parse()?;
    let login = match (target.user(), target.password()) {
        (None, _) => Login::anonymous(),
        (Some(user), Some(password)) => Login::new(user.clone(), password.clone()),
        (Some(user), None) => Login::new(user.clone(), Secret::new(Text::lossy(""))),
    };
    let most = NonZeroUsize::new(4).ok_or("four")?;
    let net = Arc::new(TcpNet::new());
    let pool = Pool::new(net, &target, login, Options::default(), most);
    let from: Arc<dyn Storage> = Arc::new(RemoteStorage::new(pool.clone(), target.path().cloned()));
    let to: Arc<dyn Storage> = Arc::new(Memory::new());

    let mut copying = JoinSet::new();
    let mut directories = vec![Pathname::root()];
    while let Some(directory) = directories.pop() {
        for entry in collect(from.list(&directory, ListOrder::Name).await?).await? {
            // A server may send any bytes for a name; one that is no name of one file goes nowhere.
            let Ok(path) = directory.child(&entry.name) else {
                continue;
            };
            match entry.metadata.kind {
                Kind::Directory => {
                    to.create_dir(&path).await?;
                    directories.push(path);
                }
                Kind::File => {
                    copying.spawn(copy(Arc::clone(&from), Arc::clone(&to), path));
                }
                Kind::Symlink | Kind::Other => {}
            }
        }
    }
    let (mut files, mut bytes) = (0, 0);
    while let Some(copied) = copying.join_next().await {
        bytes += copied??;
        files += 1;
    }
    println!(
        "{files} files, {bytes} bytes, over {} sessions",
        pool.open()
    );
    for note in pool.take_notes() {
        println!("note: {note}");
    }
    pool.close().await;
    Ok(())
}

async fn copy(
    from: Arc<dyn Storage>,
    to: Arc<dyn Storage>,
    path: Pathname,
) -> Result<u64, wharf_storage::Error> {
    let mut reader = from.open(&path, 0).await?;
    let mut upload = to.create(&path, Write::Replace).await?;
    let bytes = tokio::io::copy(&mut reader, &mut upload).await?;
    upload.commit().await?;
    Ok(bytes)
}
