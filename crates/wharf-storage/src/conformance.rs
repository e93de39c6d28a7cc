//! The suite that every store passes: what commands rely on, as named cases.
//!
//! [`run`] is for any store, [`run_resume`] for one that keeps partial data. A store that cannot do something at all
//! answers [`ErrorKind::Unsupported`], which passes for times, modes and links. Behind the feature `conformance`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_proto::Pathname;

use crate::{
    BATCH, Entry, ErrorKind, Kind, ListOrder, Reader, Result, Storage, Upload, Write, collect,
};

type Store = Arc<dyn Storage>;
type Case = fn(Store) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($list:ident: $($(#[doc = $doc:literal])* async fn $name:ident($store:ident) $body:block)*) => {
        $($(#[doc = $doc])* async fn $name($store: Store) $body)*
        const $list: &[(&str, Case)] = &[$((stringify!($name), |store| Box::pin($name(store)))),*];
    };
}

/// Runs every case on a store of its own, which `make` gives empty.
///
/// # Panics
/// When a case fails, after all have run, with the names of those that failed.
pub async fn run(make: impl Fn() -> Arc<dyn Storage>) {
    run_cases(CASES, make).await;
}

/// As [`run`], for a store that keeps what interrupted uploads brought.
///
/// # Panics
/// When a case fails.
pub async fn run_resume(make: impl Fn() -> Arc<dyn Storage>) {
    run_cases(RESUME_CASES, make).await;
}

async fn run_cases(cases: &[(&str, Case)], make: impl Fn() -> Store) {
    let mut failed = Vec::new();
    for (name, case) in cases {
        if tokio::spawn(case(make())).await.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

fn path(name: &str) -> Pathname {
    name.parse().expect("a pathname")
}

async fn upload(store: &Store, name: &str, how: Write, data: &[u8]) -> Result<()> {
    let mut upload = store.create(&path(name), how).await?;
    upload.write_all(data).await?;
    upload.commit().await
}

async fn put(store: &Store, name: &str, data: &[u8]) {
    upload(store, name, Write::Replace, data)
        .await
        .unwrap_or_else(|error| panic!("{name} cannot be written: {error:?}"));
}

/// An upload that has brought something and stands still.
async fn begun(store: &Store, name: &str, how: Write, data: &[u8]) -> Box<dyn Upload> {
    let mut upload = store
        .create(&path(name), how)
        .await
        .expect("begins an upload");
    upload.write_all(data).await.expect("writes");
    upload
}

async fn read_all(mut reader: Reader) -> Vec<u8> {
    let mut data = Vec::new();
    reader.read_to_end(&mut data).await.expect("reads");
    data
}

async fn content(store: &Store, name: &str) -> Vec<u8> {
    read_all(store.open(&path(name), 0).await.expect("opens")).await
}

async fn names(store: &Store, dir: &str) -> Vec<Vec<u8>> {
    let listing = store
        .list(&path(dir), ListOrder::Name)
        .await
        .expect("lists");
    let entries = collect(listing).await.expect("lists");
    entries.into_iter().map(|entry| entry.name).collect()
}

#[track_caller]
fn refused<T>(outcome: Result<T>, kind: ErrorKind) {
    match outcome {
        Ok(_) => panic!("succeeded instead of: {kind}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error:?}"),
    }
}

/// A different byte at every place, so that shifted data is noticed.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap_or_default())
        .collect()
}

cases! { CASES:
    async fn a_new_store_is_an_empty_directory(store) {
        assert_eq!(store.metadata(&path("/")).await.expect("a root").kind, Kind::Directory);
        assert_eq!(store.link_metadata(&path("/")).await.expect("a root").kind, Kind::Directory);
        assert!(names(&store, "/").await.is_empty());
    }

    async fn what_was_stored_is_retrieved(store) {
        put(&store, "/a", b"hello").await;
        let facts = store.metadata(&path("/a")).await.expect("facts");
        assert_eq!((facts.kind, facts.size), (Kind::File, 5));
        assert_eq!(content(&store, "/a").await, b"hello");
        assert_eq!(store.open(&path("/a"), 0).await.expect("opens").length().unwrap_or(5), 5);
    }

    async fn an_empty_file_exists(store) {
        put(&store, "/empty", b"").await;
        assert_eq!(store.metadata(&path("/empty")).await.expect("facts").size, 0);
        assert_eq!(content(&store, "/empty").await, b"");
    }

    async fn large_files_in_odd_pieces(store) {
        let data = pattern(3 * 1024 * 1024 + 7);
        let mut upload = store.create(&path("/large"), Write::Replace).await.expect("begins");
        for piece in data.chunks(65_537) {
            upload.write_all(piece).await.expect("writes");
            upload.flush().await.expect("flushes");
        }
        upload.shutdown().await.expect("shuts down");
        upload.commit().await.expect("commits");
        assert!(content(&store, "/large").await == data);
        let at = data.len() - 70_000;
        let tail = read_all(store.open(&path("/large"), at as u64).await.expect("opens")).await;
        assert!(tail == data[at..]);
    }

    async fn nothing_is_visible_before_the_commit(store) {
        let upload = begun(&store, "/a", Write::Replace, &pattern(2_000_000)).await;
        assert_eq!(upload.name(), &path("/a"));
        refused(store.link_metadata(&path("/a")).await, ErrorKind::NotFound);
        assert!(names(&store, "/").await.is_empty());
        upload.commit().await.expect("commits");
        assert_eq!(names(&store, "/").await, [b"a"]);
    }

    async fn a_dropped_upload_leaves_nothing_to_see(store) {
        drop(begun(&store, "/a", Write::New, &pattern(2_000_000)).await);
        refused(store.open(&path("/a"), 0).await, ErrorKind::NotFound);
        assert!(names(&store, "/").await.is_empty());
    }

    async fn an_abandoned_upload_leaves_nothing_to_see(store) {
        begun(&store, "/a", Write::Replace, b"half").await.abandon().await.expect("abandons");
        refused(store.open(&path("/a"), 0).await, ErrorKind::NotFound);
        assert!(names(&store, "/").await.is_empty());
    }

    async fn the_old_content_stays_until_the_commit(store) {
        put(&store, "/a", b"old content").await;
        let upload = begun(&store, "/a", Write::Replace, b"new").await;
        assert_eq!(content(&store, "/a").await, b"old content");
        upload.commit().await.expect("commits");
        assert_eq!(content(&store, "/a").await, b"new");
        begun(&store, "/a", Write::Replace, b"newer").await.abandon().await.expect("abandons");
        drop(begun(&store, "/a", Write::Append, b"newer").await);
        assert_eq!(content(&store, "/a").await, b"new");
    }

    async fn a_replaced_file_keeps_its_mode(store) {
        put(&store, "/a", b"old").await;
        match store.set_mode(&path("/a"), 0o640).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => return,
            other => other.expect("sets the mode"),
        }
        for how in [Write::Replace, Write::Append, Write::At(1)] {
            upload(&store, "/a", how, b"new").await.expect("writes");
            assert_eq!(store.metadata(&path("/a")).await.expect("facts").mode, Some(0o640));
        }
    }

    async fn new_refuses_a_taken_name(store) {
        put(&store, "/a", b"first").await;
        refused(store.create(&path("/a"), Write::New).await, ErrorKind::Exists);
        let upload = begun(&store, "/b", Write::New, b"late").await;
        put(&store, "/b", b"first").await;
        refused(upload.commit().await, ErrorKind::Exists);
        assert_eq!(content(&store, "/b").await, b"first");
        assert_eq!(names(&store, "/").await, [b"a", b"b"]);
    }

    async fn append_continues_and_begins(store) {
        upload(&store, "/a", Write::Append, b"one").await.expect("begins");
        upload(&store, "/a", Write::Append, b"two").await.expect("continues");
        upload(&store, "/a", Write::Append, b"").await.expect("continues with nothing");
        assert_eq!(content(&store, "/a").await, b"onetwo");
    }

    async fn restart_keeps_the_beginning_and_cuts_the_tail(store) {
        let table: [(u64, &[u8], &[u8]); 5] = [
            (4, b"XY", b"0123XY"),
            (0, b"XY", b"XY"),
            (10, b"XY", b"0123456789XY"),
            (9, b"XY", b"012345678XY"),
            (3, b"", b"012"),
        ];
        for (at, data, expected) in table {
            put(&store, "/a", b"0123456789").await;
            upload(&store, "/a", Write::At(at), data).await.expect("writes");
            assert_eq!(content(&store, "/a").await, expected, "REST {at}");
        }
    }

    async fn restart_beyond_the_end_is_refused(store) {
        put(&store, "/a", b"0123").await;
        refused(store.create(&path("/a"), Write::At(5)).await, ErrorKind::InvalidOffset);
        refused(store.create(&path("/a"), Write::At(u64::MAX)).await, ErrorKind::InvalidOffset);
        refused(store.create(&path("/none"), Write::At(1)).await, ErrorKind::InvalidOffset);
        upload(&store, "/none", Write::At(0), b"x").await.expect("begins a new file");
        assert_eq!(content(&store, "/none").await, b"x");
    }

    async fn large_files_are_continued(store) {
        let data = pattern(2_500_000);
        put(&store, "/a", &data[..1_300_000]).await;
        upload(&store, "/a", Write::At(1_200_001), &data[1_200_001..]).await.expect("continues");
        assert!(content(&store, "/a").await == data);
    }

    async fn unique_names_are_different_and_told(store) {
        store.create_dir(&path("/d")).await.expect("makes a directory");
        let unique = |prefix: &[u8]| Write::Unique { prefix: prefix.to_vec() };
        let one = begun(&store, "/d", unique(b"log"), b"1").await;
        let two = begun(&store, "/d", unique(b"log"), b"2").await;
        let three = begun(&store, "/d", unique(b""), b"3").await;
        let told: Vec<Pathname> = [&one, &two, &three].map(|u| u.name().clone()).to_vec();
        for upload in [one, two, three] {
            upload.commit().await.expect("commits");
        }
        let listed = names(&store, "/d").await;
        assert_eq!(listed.len(), 3);
        for (name, data) in told.iter().zip([b"1", b"2", b"3"]) {
            let in_dir = path("/d").child(name.file_name().expect("a name")).expect("a name");
            assert_eq!(name, &in_dir);
            assert_eq!(read_all(store.open(name, 0).await.expect("opens")).await, data);
        }
        assert!(told[0].file_name().expect("a name").starts_with(b"log"));
    }

    async fn reading_begins_anywhere_up_to_the_end(store) {
        put(&store, "/a", b"0123").await;
        for (at, expected) in [(0, &b"0123"[..]), (3, b"3"), (4, b"")] {
            let reader = store.open(&path("/a"), at).await.expect("opens");
            assert_eq!(read_all(reader).await, expected, "from {at}");
        }
        refused(store.open(&path("/a"), 5).await, ErrorKind::InvalidOffset);
        refused(store.open(&path("/a"), u64::MAX).await, ErrorKind::InvalidOffset);
    }

    async fn missing_names_are_not_found(store) {
        let none = path("/none");
        refused(store.metadata(&none).await, ErrorKind::NotFound);
        refused(store.link_metadata(&none).await, ErrorKind::NotFound);
        refused(store.list(&none, ListOrder::Name).await, ErrorKind::NotFound);
        refused(store.open(&none, 0).await, ErrorKind::NotFound);
        refused(store.remove_file(&none).await, ErrorKind::NotFound);
        refused(store.remove_dir(&none).await, ErrorKind::NotFound);
        refused(store.rename(&none, &path("/other")).await, ErrorKind::NotFound);
        refused(store.create_dir(&path("/none/below")).await, ErrorKind::NotFound);
        refused(store.create(&path("/none/below"), Write::Replace).await, ErrorKind::NotFound);
    }

    async fn files_and_directories_are_not_confused(store) {
        put(&store, "/file", b"x").await;
        store.create_dir(&path("/dir")).await.expect("makes a directory");
        refused(store.open(&path("/dir"), 0).await, ErrorKind::IsDirectory);
        refused(store.create(&path("/dir"), Write::Replace).await, ErrorKind::IsDirectory);
        refused(store.create(&path("/dir"), Write::Append).await, ErrorKind::IsDirectory);
        refused(store.remove_file(&path("/dir")).await, ErrorKind::IsDirectory);
        refused(store.list(&path("/file"), ListOrder::Name).await, ErrorKind::NotDirectory);
        refused(store.remove_dir(&path("/file")).await, ErrorKind::NotDirectory);
        refused(store.metadata(&path("/file/below")).await, ErrorKind::NotDirectory);
        refused(store.create(&path("/file/below"), Write::Replace).await, ErrorKind::NotDirectory);
        refused(store.rename(&path("/file"), &path("/dir")).await, ErrorKind::IsDirectory);
        refused(store.rename(&path("/dir"), &path("/file")).await, ErrorKind::NotDirectory);
    }

    async fn directories_come_and_go(store) {
        store.create_dir(&path("/d")).await.expect("makes");
        refused(store.create_dir(&path("/d")).await, ErrorKind::Exists);
        put(&store, "/d/f", b"x").await;
        refused(store.create_dir(&path("/d/f")).await, ErrorKind::Exists);
        refused(store.remove_dir(&path("/d")).await, ErrorKind::NotEmpty);
        store.remove_file(&path("/d/f")).await.expect("removes");
        store.remove_dir(&path("/d")).await.expect("removes");
        assert!(names(&store, "/").await.is_empty());
    }

    async fn the_root_stays(store) {
        put(&store, "/a", b"x").await;
        let root = path("/");
        refused(store.remove_dir(&root).await, ErrorKind::Denied);
        refused(store.remove_dir(&path("/x/..")).await, ErrorKind::Denied);
        refused(store.create_dir(&root).await, ErrorKind::Exists);
        refused(store.create(&root, Write::Replace).await, ErrorKind::IsDirectory);
        refused(store.rename(&root, &path("/b")).await, ErrorKind::Denied);
        refused(store.rename(&path("/a"), &root).await, ErrorKind::Denied);
        assert!(store.remove_file(&root).await.is_err());
        assert_eq!(content(&store, "/a").await, b"x");
    }

    async fn rename_moves_and_replaces(store) {
        put(&store, "/a", b"moved").await;
        put(&store, "/b", b"replaced").await;
        store.rename(&path("/a"), &path("/b")).await.expect("replaces");
        assert_eq!(content(&store, "/b").await, b"moved");
        store.rename(&path("/b"), &path("/b")).await.expect("stays");
        for dir in ["/d", "/d/e", "/empty"] {
            store.create_dir(&path(dir)).await.expect("makes");
        }
        store.rename(&path("/b"), &path("/d/e/c")).await.expect("moves deeper");
        store.rename(&path("/d"), &path("/empty")).await.expect("replaces an empty directory");
        assert_eq!(content(&store, "/empty/e/c").await, b"moved");
        assert_eq!(names(&store, "/").await, [b"empty"]);
        store.create_dir(&path("/x")).await.expect("makes");
        refused(store.rename(&path("/x"), &path("/empty")).await, ErrorKind::NotEmpty);
        refused(store.rename(&path("/empty"), &path("/empty/e/f")).await, ErrorKind::NameNotAllowed);
        refused(store.rename(&path("/x"), &path("/none/x")).await, ErrorKind::NotFound);
    }

    async fn listings_are_sorted_by_bytes_and_complete(store) {
        let mut expected = Vec::new();
        for number in 0..(2 * BATCH + 3) {
            let name = format!("f{}", number * 7919 % 1000);
            put(&store, &format!("/{name}"), b"").await;
            expected.push(name.into_bytes());
        }
        for special in ["Z", "a b", "-la", "\"quoted\"", ".hidden", "*"] {
            put(&store, &format!("/{special}"), b"").await;
            expected.push(special.as_bytes().to_vec());
        }
        expected.sort();
        expected.dedup();
        assert_eq!(names(&store, "/").await, expected);

        for order in [ListOrder::Name, ListOrder::Unsorted] {
            let mut listing = store.list(&path("/"), order).await.expect("lists");
            let mut all = Vec::new();
            while let Some(batch) = listing.next().await.expect("lists") {
                assert!(!batch.is_empty() && batch.len() <= BATCH);
                all.extend(batch.into_iter().map(|entry| entry.name));
            }
            assert!(listing.next().await.expect("stays at the end").is_none());
            all.sort();
            assert_eq!(all, expected);
        }
    }

    async fn listings_tell_the_facts(store) {
        put(&store, "/file", b"12345").await;
        store.create_dir(&path("/dir")).await.expect("makes");
        put(&store, "/dir/below", b"").await;
        let listing = store.list(&path("/"), ListOrder::Name).await.expect("lists");
        let entries: Vec<Entry> = collect(listing).await.expect("lists");
        let facts: Vec<_> = entries.iter().map(|e| (e.name.as_slice(), e.metadata.kind)).collect();
        assert_eq!(facts, [(&b"dir"[..], Kind::Directory), (b"file", Kind::File)]);
        assert_eq!(entries[1].metadata.size, 5);
        let one = store.metadata(&path("/file")).await.expect("facts");
        assert_eq!(entries[1].metadata.unique, one.unique);
        assert_eq!(entries[1].link_target, None);
    }

    async fn names_are_bytes(store) {
        let name: &[u8] = b"/caf\xe9 \xff\xfe";
        let path = Pathname::new(name).expect("a pathname");
        let mut upload = match store.create(&path, Write::Replace).await {
            Err(error) if error.kind() == ErrorKind::NameNotAllowed => return,
            other => other.expect("begins"),
        };
        upload.write_all(b"x").await.expect("writes");
        upload.commit().await.expect("commits");
        assert_eq!(names(&store, "/").await, [&name[1..]]);
        assert_eq!(store.metadata(&path).await.expect("facts").size, 1);
    }

    async fn dots_cannot_climb_above_the_root(store) {
        put(&store, "/a", b"x").await;
        for name in ["/../a", "/../../../../a", "a", "/./a", "//a", "/none/../a"] {
            assert_eq!(content(&store, name).await, b"x", "{name}");
        }
        assert_eq!(names(&store, "/..").await, [b"a"]);
    }

    async fn times_are_set(store) {
        put(&store, "/a", b"x").await;
        for seconds in [1_000_000_000, 1, 4_000_000_000] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            match store.set_modified(&path("/a"), time).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => return,
                other => other.expect("sets the time"),
            }
            assert_eq!(store.metadata(&path("/a")).await.expect("facts").modified, time);
        }
        assert_eq!(content(&store, "/a").await, b"x");
        refused(store.set_modified(&path("/none"), SystemTime::now()).await, ErrorKind::NotFound);
    }

    async fn modes_are_set_without_set_id_bits(store) {
        put(&store, "/a", b"x").await;
        match store.set_mode(&path("/a"), 0o604).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => return,
            other => other.expect("sets the mode"),
        }
        assert_eq!(store.metadata(&path("/a")).await.expect("facts").mode, Some(0o604));
        refused(store.set_mode(&path("/a"), 0o4755).await, ErrorKind::Denied);
        refused(store.set_mode(&path("/none"), 0o644).await, ErrorKind::NotFound);
    }

    async fn free_space_is_told_for_names_to_come(store) {
        let root = store.free_space(&path("/")).await.expect("answers");
        let there = store.free_space(&path("/not/there/yet")).await.expect("answers");
        assert_eq!(root.is_some(), there.is_some());
    }

    async fn the_last_commit_wins_whole(store) {
        let one = begun(&store, "/a", Write::Replace, &vec![b'1'; 600_000]).await;
        let two = begun(&store, "/a", Write::Replace, &vec![b'2'; 700_000]).await;
        two.commit().await.expect("commits");
        one.commit().await.expect("commits");
        assert!(content(&store, "/a").await == vec![b'1'; 600_000]);
        assert_eq!(names(&store, "/").await, [b"a"]);
    }

    async fn a_subtree_is_a_store_of_its_own(store) {
        store.create_dir(&path("/home")).await.expect("makes");
        put(&store, "/outside", b"x").await;
        let Some(home) = store.subtree(&path("/home")).await.expect("answers") else {
            return;
        };
        put(&home, "/a", b"in").await;
        assert_eq!(content(&store, "/home/a").await, b"in");
        refused(home.metadata(&path("/../outside")).await, ErrorKind::NotFound);
        refused(home.remove_dir(&path("/")).await, ErrorKind::Denied);
    }
}

cases! { RESUME_CASES:
    async fn partial_data_is_told_by_its_length_but_not_shown(store) {
        begun(&store, "/a", Write::Replace, &pattern(1_000_000)).await.abandon().await.expect("abandons");
        assert_eq!(store.metadata(&path("/a")).await.expect("facts").size, 1_000_000);
        assert!(names(&store, "/").await.is_empty());
        refused(store.open(&path("/a"), 0).await, ErrorKind::NotFound);
        refused(store.rename(&path("/a"), &path("/b")).await, ErrorKind::NotFound);
    }

    async fn restart_continues_partial_data(store) {
        let data = pattern(1_500_000);
        begun(&store, "/a", Write::Replace, &data[..1_000_000]).await.abandon().await.expect("abandons");
        begun(&store, "/a", Write::At(900_000), &data[900_000..1_200_000]).await.abandon().await.expect("abandons");
        assert_eq!(store.metadata(&path("/a")).await.expect("facts").size, 1_200_000);
        refused(store.create(&path("/a"), Write::At(1_200_001)).await, ErrorKind::InvalidOffset);
        upload(&store, "/a", Write::At(1_200_000), &data[1_200_000..]).await.expect("continues");
        assert!(content(&store, "/a").await == data);
        assert_eq!(names(&store, "/").await, [b"a"]);
    }

    async fn append_continues_partial_data(store) {
        begun(&store, "/a", Write::Append, b"one").await.abandon().await.expect("abandons");
        upload(&store, "/a", Write::Append, b"two").await.expect("continues");
        assert_eq!(content(&store, "/a").await, b"onetwo");
    }

    async fn replace_starts_over(store) {
        begun(&store, "/a", Write::Replace, b"long and forgotten").await.abandon().await.expect("abandons");
        put(&store, "/a", b"short").await;
        assert_eq!(content(&store, "/a").await, b"short");
        store.remove_file(&path("/a")).await.expect("removes");
        refused(store.metadata(&path("/a")).await, ErrorKind::NotFound);
    }

    async fn an_existing_file_is_not_disturbed(store) {
        put(&store, "/a", b"complete").await;
        begun(&store, "/a", Write::Replace, b"hal").await.abandon().await.expect("abandons");
        assert_eq!(store.metadata(&path("/a")).await.expect("facts").size, 8);
        upload(&store, "/a", Write::Append, b"!").await.expect("continues");
        assert_eq!(content(&store, "/a").await, b"complete!");
    }

    async fn only_one_upload_continues(store) {
        begun(&store, "/a", Write::Replace, b"one").await.abandon().await.expect("abandons");
        let first = begun(&store, "/a", Write::At(3), b"two").await;
        refused(store.create(&path("/a"), Write::At(3)).await, ErrorKind::Busy);
        refused(store.create(&path("/a"), Write::Append).await, ErrorKind::Busy);
        put(&store, "/a", b"another").await;
        first.commit().await.expect("commits");
        assert_eq!(content(&store, "/a").await, b"onetwo");
    }

    async fn partial_data_is_removed(store) {
        store.create_dir(&path("/d")).await.expect("makes");
        for name in ["/a", "/d/a"] {
            begun(&store, name, Write::Replace, b"half").await.abandon().await.expect("abandons");
        }
        store.remove_file(&path("/a")).await.expect("removes");
        refused(store.metadata(&path("/a")).await, ErrorKind::NotFound);
        store.remove_dir(&path("/d")).await.expect("is empty for the client");
        refused(store.metadata(&path("/d/a")).await, ErrorKind::NotFound);
    }

    async fn nothing_is_kept_of_nothing(store) {
        begun(&store, "/a", Write::Replace, b"").await.abandon().await.expect("abandons");
        refused(store.metadata(&path("/a")).await, ErrorKind::NotFound);
        let unique = Write::Unique { prefix: b"u".to_vec() };
        let upload = begun(&store, "/", unique, b"half").await;
        let name = upload.name().clone();
        upload.abandon().await.expect("abandons");
        refused(store.metadata(&name).await, ErrorKind::NotFound);
    }
}
