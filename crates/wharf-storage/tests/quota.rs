//! What a user may keep, in every way in which it can grow and shrink

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use wharf_proto::Pathname;
use wharf_storage::{ErrorKind, Memory, Quota, QuotaLimits, Storage, Usage, Write};

fn path(text: &str) -> Pathname {
    text.parse().unwrap()
}

async fn store(bytes: u64, names: u64) -> (Quota, Arc<Usage>) {
    let memory = Memory::new();
    memory.add_file(&path("/old"), vec![b'o'; 40]).unwrap();
    memory.add_dir(&path("/set")).unwrap();
    memory.add_file(&path("/set/one"), vec![b'1'; 10]).unwrap();
    let memory: Arc<dyn Storage> = Arc::new(memory);
    let usage = Arc::new(Usage::count(&*memory).await.unwrap());
    assert_eq!(usage.now(), (50, 3));
    let limits = QuotaLimits {
        bytes: Some(bytes),
        names: Some(names),
    };
    (Quota::new(memory, limits, Arc::clone(&usage), false), usage)
}

/// Writes in pieces of seven; whether it stands.
async fn put(store: &Quota, name: &str, how: Write, size: usize) -> Result<(), ErrorKind> {
    let mut upload = store
        .create(&path(name), how)
        .await
        .map_err(|it| it.kind())?;
    for piece in vec![b'x'; size].chunks(7) {
        if let Err(error) = upload.write_all(piece).await {
            upload.abandon().await.unwrap();
            return Err(wharf_storage::Error::from(error).kind());
        }
    }
    upload.commit().await.map_err(|it| it.kind())
}

/// Name, how it is written, bytes, whether that is let, and what is used then: bytes, files.
type Row<'a> = (&'a str, Write, usize, bool, (u64, u64));

#[tokio::test]
async fn every_way_to_write_is_charged() {
    use Write::{Append, At, New, Replace};
    // There is room for 100 bytes and 5 names.
    let table: &[Row<'_>] = &[
        ("/new", Replace, 50, true, (100, 4)),
        ("/new", Replace, 51, false, (50, 3)),
        ("/old", Replace, 90, true, (100, 3)),
        ("/old", Replace, 91, false, (50, 3)),
        ("/old", Replace, 5, true, (15, 3)),
        ("/old", Append, 50, true, (100, 3)),
        ("/old", Append, 51, false, (50, 3)),
        ("/old", At(20), 70, true, (100, 3)),
        ("/old", At(20), 71, false, (50, 3)),
        ("/old", At(20), 5, true, (35, 3)),
        ("/fresh", New, 50, true, (100, 4)),
        ("/fresh", Append, 51, false, (50, 3)),
    ];
    for (name, how, size, fits, used) in table {
        let (store, usage) = store(100, 5).await;
        let result = put(&store, name, how.clone(), *size).await;
        let expected = if *fits { Ok(()) } else { Err(ErrorKind::Quota) };
        assert_eq!(result, expected, "{name} {how:?} {size}");
        assert_eq!(usage.now(), *used, "{name} {how:?} {size}");
        // What is followed is what a count finds.
        assert_eq!(
            Usage::count(&store).await.unwrap().now(),
            *used,
            "{name} {how:?} {size}"
        );
    }
}

#[tokio::test]
async fn names_are_counted_however_they_are_made() {
    let (store, usage) = store(1000, 5).await;
    store.create_dir(&path("/more")).await.unwrap();
    put(&store, "/five", Write::Replace, 1).await.unwrap();
    assert_eq!(
        store.create_dir(&path("/six")).await.unwrap_err().kind(),
        ErrorKind::Quota
    );
    assert_eq!(
        put(&store, "/six", Write::Append, 1).await,
        Err(ErrorKind::Quota)
    );
    assert_eq!(
        put(&store, "/", Write::Unique { prefix: Vec::new() }, 1).await,
        Err(ErrorKind::Quota)
    );
    put(&store, "/old", Write::Replace, 1).await.unwrap();
    store.remove_dir(&path("/more")).await.unwrap();
    put(&store, "/", Write::Unique { prefix: Vec::new() }, 1)
        .await
        .unwrap();
    assert_eq!(usage.now(), (13, 5));
    store.rename(&path("/five"), &path("/old")).await.unwrap();
    store.remove_file(&path("/set/one")).await.unwrap();
    assert_eq!(usage.now(), (2, 3));
    assert_eq!(Usage::count(&store).await.unwrap().now(), (2, 3));
    assert_eq!(store.free_space(&path("/")).await.unwrap(), Some(998));
}

#[tokio::test]
async fn uploads_at_the_same_time_cannot_get_past_the_limit_together() {
    let (store, usage) = store(100, 9).await;
    let mut one = store.create(&path("/a"), Write::Replace).await.unwrap();
    let mut two = store.create(&path("/b"), Write::Replace).await.unwrap();
    one.write_all(&[1; 30]).await.unwrap();
    two.write_all(&[2; 20]).await.unwrap();
    assert!(two.write_all(&[2; 1]).await.is_err());
    assert!(one.write_all(&[2; 1]).await.is_err());
    // One gives up, by being dropped, and the other goes on.
    drop(two);
    one.write_all(&[1; 20]).await.unwrap();
    one.commit().await.unwrap();
    assert_eq!(usage.now(), (100, 4));
}

#[tokio::test]
async fn what_is_kept_of_broken_uploads_stays_charged() {
    let memory: Arc<dyn Storage> = Arc::new(Memory::new());
    let usage = Arc::new(Usage::default());
    let limits = QuotaLimits {
        bytes: Some(100),
        names: None,
    };
    let store = Quota::new(memory, limits, Arc::clone(&usage), true);
    let mut upload = store.create(&path("/a"), Write::Replace).await.unwrap();
    upload.write_all(&[1; 60]).await.unwrap();
    upload.abandon().await.unwrap();
    assert_eq!(
        put(&store, "/b", Write::Replace, 60).await,
        Err(ErrorKind::Quota)
    );
    assert_eq!(usage.now().0, 100, "another one was kept");
}
