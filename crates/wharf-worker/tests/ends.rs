//! What becomes of questions, listings and uploads when one of the two ends goes, and of a worker when nobody needs it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use wharf_proto::Pathname;
use wharf_storage::{ErrorKind, ListOrder, Local, LocalOptions, Storage, Write};
use wharf_worker::{Post, Remote, Worker, channel, serve};

const IDLE: Duration = Duration::from_secs(20);

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

fn local(dir: &Path) -> Arc<dyn Storage> {
    Arc::new(Local::open(dir, LocalOptions::default()).unwrap())
}

fn post() -> Post {
    Post {
        name: "anna".to_owned(),
        uid: 1001,
        gid: 1001,
        groups: vec![1001],
        directory: b"/home/anna".to_vec(),
        read_only: false,
        options: LocalOptions::default(),
        umask: 0o022,
        best_effort: false,
    }
}

/// A worker in a task, and the end that whoever starts workers keeps.
fn worker(dir: &Path) -> (OwnedFd, JoinHandle<std::io::Result<()>>) {
    let (kept, orders) = channel::pair().unwrap();
    channel::send(&kept, &post().encode(), None).unwrap();
    let (worker, told) = Worker::begin(orders).unwrap();
    assert_eq!(told, post());
    (kept, tokio::spawn(worker.run(local(dir), IDLE)))
}

fn session(worker: &OwnedFd) -> std::io::Result<Remote> {
    let (here, there) = channel::pair()?;
    channel::send(worker, b"serve", Some(there.as_fd()))?;
    Remote::new(here)
}

#[tokio::test]
async fn everything_is_refused_when_the_worker_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = channel::pair().unwrap();
    let serving = tokio::spawn(serve(local(dir.path()), there));
    let remote = Remote::new(here).unwrap();
    let mut upload = remote.create(&path("/a"), Write::New).await.unwrap();
    upload.write_all(b"half").await.unwrap();
    serving.abort();
    let kinds = [
        upload.commit().await.unwrap_err().kind(),
        remote.metadata(&path("/")).await.unwrap_err().kind(),
        remote.open(&path("/a"), 0).await.err().unwrap().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Io; 3]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_nobody_needs_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = channel::pair().unwrap();
    tokio::spawn(serve(local(dir.path()), there));
    let remote = Remote::new(here).unwrap();
    // More than are held at once, so each has to go with its owner.
    for _ in 0..200 {
        drop(remote.create(&path("/a"), Write::New).await.unwrap());
        drop(remote.list(&path("/"), ListOrder::Name).await.unwrap());
    }
    let mut kept = Vec::new();
    let refused = loop {
        match remote.create(&path("/a"), Write::New).await {
            Ok(upload) => kept.push(upload),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!((refused, kept.len()), (ErrorKind::Busy, 64));
    assert!(remote.metadata(&path("/")).await.unwrap().is_dir());
    kept.pop().unwrap().commit().await.unwrap();
    assert!(remote.create(&path("/b"), Write::New).await.is_ok());
}

#[tokio::test]
async fn a_question_that_was_given_up_is_answered_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = channel::pair().unwrap();
    tokio::spawn(serve(local(dir.path()), there));
    let remote = Remote::new(here).unwrap();
    let name = path("/a");
    for _ in 0..200 {
        // Polled once: it is on its way.
        let mut asking = Box::pin(remote.create(&name, Write::New));
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_ready()));
        assert!(!polled.await);
        drop(asking);
    }
    assert!(remote.metadata(&path("/")).await.unwrap().is_dir());
    let upload = remote.create(&path("/a"), Write::New).await.unwrap();
    upload.commit().await.unwrap();
}

#[tokio::test]
async fn nonsense_ends_that_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = channel::pair().unwrap();
    let serving = tokio::spawn(serve(local(dir.path()), there));
    channel::send(&here, b"\0\0\0\x01\xFF", None).unwrap();
    let error = serving.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no such question");

    let (here, there) = channel::pair().unwrap();
    let remote = Remote::new(here).unwrap();
    let answering = async {
        tokio::task::spawn_blocking(move || {
            let question = channel::receive(&there).unwrap().unwrap();
            channel::send(&there, &[&question.bytes[..4], &[99]].concat(), None).unwrap();
            // It hangs up.
            assert!(channel::receive(&there).unwrap().is_none());
        })
        .await
        .unwrap();
    };
    let root = path("/");
    let (asked, ()) = tokio::join!(remote.metadata(&root), answering);
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test(start_paused = true)]
async fn a_worker_ends_when_nobody_has_needed_it_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, worker) = worker(dir.path());
    let one = session(&kept).unwrap();
    assert!(one.metadata(&path("/")).await.unwrap().is_dir());
    tokio::time::sleep(IDLE * 10).await;
    assert!(one.metadata(&path("/")).await.unwrap().is_dir());
    drop(one);
    tokio::time::sleep(IDLE / 2).await;
    let two = session(&kept).unwrap();
    assert!(two.metadata(&path("/")).await.unwrap().is_dir());
    drop(two);
    worker.await.unwrap().unwrap();
    assert!(session(&kept).is_err(), "another one has to be started");
}

#[tokio::test]
async fn a_worker_ends_with_whoever_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, worker) = worker(dir.path());
    let session = session(&kept).unwrap();
    assert!(session.metadata(&path("/")).await.unwrap().is_dir());
    drop(kept);
    worker.await.unwrap().unwrap();
    let asked = session.metadata(&path("/")).await;
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Io);
}
