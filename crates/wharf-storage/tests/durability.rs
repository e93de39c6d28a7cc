//! What stands under a name after an upload of every length, with every policy, however it ended.

use std::path::Path;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use wharf_proto::Pathname;
use wharf_storage::{ErrorKind, Fsync, Local, LocalOptions, Storage, Uploads, Write};

/// What is written at once.
const BUFFER: usize = 512 << 10;

/// Nothing, one, around the end of a buffer, many.
const LENGTHS: [usize; 6] = [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 7];

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The client has ended it: everything has come.
    Commit,
    /// Cut; the server lives.
    Abandon,
    /// The session has died with it.
    Drop,
}

/// Looked at as the operator would: names and lengths, hidden ones included.
fn seen(dir: &Path) -> Vec<(String, usize)> {
    let mut seen: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let length = entry.metadata().unwrap().len();
            let name = entry.file_name().into_string().unwrap();
            (name, usize::try_from(length).unwrap())
        })
        .collect();
    seen.sort();
    seen
}

fn names(list: &[(&str, usize)]) -> Vec<(String, usize)> {
    list.iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect()
}

#[tokio::test]
async fn old_or_new_or_a_partial_file_under_its_documented_name() {
    let bytes: Vec<u8> = (0..=250u8).cycle().take(3 * BUFFER + 7).collect();
    let name: Pathname = "/a".parse().unwrap();
    let atomic = LocalOptions::default();
    let resume = LocalOptions {
        resume: true,
        ..atomic
    };
    let direct = LocalOptions {
        uploads: Uploads::Direct,
        ..atomic
    };
    for (policy, options) in [("atomic", atomic), ("resume", resume), ("direct", direct)] {
        for (length, old, end, fsync) in cases() {
            let dir = TempDir::new().unwrap();
            let store = Local::open(dir.path(), LocalOptions { fsync, ..options }).unwrap();
            if old {
                std::fs::write(dir.path().join("a"), "old").unwrap();
            }
            let mut upload = store.create(&name, Write::Replace).await.unwrap();
            upload.write_all(&bytes[..length]).await.unwrap();
            match end {
                End::Commit => upload.commit().await.unwrap(),
                End::Abandon => upload.abandon().await.unwrap(),
                End::Drop => drop(upload),
            }
            let case = format!("{policy}, {length} bytes, old: {old}, {end:?}, {fsync:?}");
            // A draft that is dropped goes on a thread of its own.
            let expected = match (policy, end, old) {
                (_, End::Commit, _) | ("direct", End::Abandon, _) => names(&[("a", length)]),
                (_, _, true) if policy != "direct" => names(&[("a", 3)]),
                ("resume", End::Abandon, false) if length > 0 => {
                    names(&[(".wharf-partial.a", length)])
                }
                ("direct" | "resume", End::Drop, _) => {
                    // What was in a buffer is lost; the beginning of the bytes is there, or nothing.
                    let seen = settled(dir.path(), |_| true).await;
                    assert!(seen.iter().all(|(_, n)| *n <= length), "{case}: {seen:?}");
                    continue;
                }
                _ => Vec::new(),
            };
            assert_eq!(
                settled(dir.path(), |it| *it == expected).await,
                expected,
                "{case}"
            );
            if end == End::Commit {
                assert!(
                    std::fs::read(dir.path().join("a")).unwrap() == bytes[..length],
                    "{case}"
                );
            }
        }
    }
}

fn cases() -> impl Iterator<Item = (usize, bool, End, Fsync)> {
    let ends = [
        (End::Commit, Fsync::None),
        (End::Commit, Fsync::Data),
        (End::Commit, Fsync::Full),
        (End::Abandon, Fsync::None),
        (End::Drop, Fsync::None),
    ];
    LENGTHS.into_iter().flat_map(move |length| {
        ends.into_iter()
            .flat_map(move |(end, fsync)| [false, true].map(|old| (length, old, end, fsync)))
    })
}

/// Waits for the threads that remove what is not wanted.
async fn settled(
    dir: &Path,
    wanted: impl Fn(&Vec<(String, usize)>) -> bool,
) -> Vec<(String, usize)> {
    for _ in 0..1000 {
        if wanted(&seen(dir)) {
            break;
        }
        tokio::task::spawn_blocking(std::thread::yield_now)
            .await
            .unwrap();
    }
    seen(dir)
}

#[tokio::test]
async fn a_direct_upload_goes_into_the_file_that_is_there() {
    let dir = TempDir::new().unwrap();
    let options = LocalOptions {
        uploads: Uploads::Direct,
        ..LocalOptions::default()
    };
    let store = Local::open(dir.path(), options).unwrap();
    let path = |name: &str| -> Pathname { name.parse().unwrap() };
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("a"), "0123456789").unwrap();
    std::fs::hard_link(at("a"), at("same")).unwrap();
    std::os::unix::fs::symlink("a", at("link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("out")).unwrap();
    std::fs::create_dir(at("dir")).unwrap();

    for (how, content, expected) in [
        (Write::Append, "ab", "0123456789ab"),
        (Write::At(3), "cd", "012cd"),
        (Write::At(0), "x", "x"),
        (Write::Replace, "", ""),
        (Write::Replace, "new", "new"),
    ] {
        let mut upload = store.create(&path("/a"), how.clone()).await.unwrap();
        let second = store.create(&path("/link"), Write::Append).await.err();
        assert_eq!(second.map(|it| it.kind()), Some(ErrorKind::Busy), "{how:?}");
        upload.write_all(content.as_bytes()).await.unwrap();
        upload.commit().await.unwrap();
        assert_eq!(
            std::fs::read_to_string(at("same")).unwrap(),
            expected,
            "{how:?}"
        );
    }
    for (name, how, kind) in [
        ("/a", Write::At(4), ErrorKind::InvalidOffset),
        ("/none", Write::At(1), ErrorKind::InvalidOffset),
        ("/a", Write::New, ErrorKind::Exists),
        ("/dir", Write::Replace, ErrorKind::IsDirectory),
    ] {
        let refused = store.create(&path(name), how.clone()).await.err();
        assert_eq!(refused.map(|it| it.kind()), Some(kind), "{name} {how:?}");
    }
    assert!(store.create(&path("/out"), Write::Replace).await.is_err());
    assert_eq!(std::fs::read_to_string(at("a")).unwrap(), "new");
    assert!(!at("none").exists());
}
