//! What the memory store pretends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_proto::Pathname;
use wharf_storage::{
    Error, ErrorKind, Kind, ListOrder, Memory, MemoryOptions, Storage, Write, collect,
};

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

#[tokio::test]
async fn a_full_store_says_so_and_recovers() {
    let memory = Memory::with_options(MemoryOptions {
        capacity: Some(10),
        ..MemoryOptions::default()
    });
    memory.add_file(&path("/a"), "1234").unwrap();
    assert_eq!(memory.free_space(&path("/")).await.unwrap(), Some(6));

    let mut upload = memory.create(&path("/b"), Write::Replace).await.unwrap();
    upload.write_all(b"123456").await.unwrap();
    let full = Error::from(upload.write_all(b"7").await.unwrap_err());
    assert_eq!(full.kind(), ErrorKind::NoSpace);
    assert_eq!(memory.free_space(&path("/")).await.unwrap(), Some(0));
    drop(upload);
    assert_eq!(memory.free_space(&path("/")).await.unwrap(), Some(6));

    // Replacing needs room for both until the commit.
    let mut upload = memory.create(&path("/a"), Write::Replace).await.unwrap();
    upload.write_all(b"123456").await.unwrap();
    upload.commit().await.unwrap();
    assert_eq!(memory.free_space(&path("/")).await.unwrap(), Some(4));
    memory.remove_file(&path("/a")).await.unwrap();
    assert_eq!(memory.free_space(&path("/")).await.unwrap(), Some(10));
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_takes_its_time() {
    let memory = Memory::with_options(MemoryOptions {
        latency: Some(Duration::from_secs(3)),
        now: Some(SystemTime::UNIX_EPOCH),
        ..MemoryOptions::default()
    });
    let start = tokio::time::Instant::now();
    let root = memory.metadata(&path("/")).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(root.modified, SystemTime::UNIX_EPOCH);
}

#[tokio::test]
async fn links_are_followed_and_told() {
    let memory = Memory::new();
    memory.add_dir(&path("/d")).unwrap();
    memory.add_file(&path("/d/file"), "x").unwrap();
    memory.add_link(&path("/to-dir"), "d").unwrap();
    memory
        .add_link(&path("/to-file"), "/d/../to-dir/file")
        .unwrap();
    memory.add_link(&path("/d/up"), "../d").unwrap();
    memory.add_link(&path("/loop"), "loop").unwrap();

    let memory: Arc<dyn Storage> = Arc::new(memory);
    for name in ["/to-dir/file", "/to-file", "/d/up/up/file"] {
        let mut data = String::new();
        let mut reader = memory.open(&path(name), 0).await.unwrap();
        reader.read_to_string(&mut data).await.unwrap();
        assert_eq!(data, "x", "{name}");
    }
    let looped = memory.metadata(&path("/loop")).await.unwrap_err();
    assert_eq!(looped.kind(), ErrorKind::NameNotAllowed);
    assert_eq!(memory.read_link(&path("/to-dir")).await.unwrap(), b"d");
    let link = memory.link_metadata(&path("/to-dir")).await.unwrap();
    assert_eq!(link.kind, Kind::Symlink);
    let listing = memory.list(&path("/"), ListOrder::Name).await.unwrap();
    let targets: Vec<_> = collect(listing)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|entry| entry.link_target)
        .collect();
    assert_eq!(targets, [&b"loop"[..], b"d", b"/d/../to-dir/file"]);
}
