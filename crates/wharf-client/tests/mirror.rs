//! Mirrors between stores in memory and directories of this machine: what arrives, what stays, what is left behind.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::io::AsyncReadExt;
use wharf_client::mirror::{
    Compare, Delete, Event, Filter, How, Links, Mirror, Observer, Outcome, Rules,
};
use wharf_proto::Pathname;
use wharf_storage::{
    Error, ErrorKind, Kind, ListOrder, Listing, Local, LocalOptions, Memory, Metadata, Reader,
    Result, Storage, Upload, Uploads, Write, collect,
};

fn path(text: &str) -> Pathname {
    text.parse().unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Notes what it is told, in words.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn see(&self, event: &Event<'_>) {
        let word = match event {
            Event::Failed(failed) => {
                format!("{} {:?}: {}", failed.doing, failed.path, failed.error)
            }
            Event::Refused(refused) => format!("refused: {}", refused.why),
            Event::Note(note) => (*note).to_owned(),
            Event::Retried { path, .. } => format!("again {path:?}"),
            Event::Changed { path } => format!("changed {path:?}"),
            Event::Copied { resumed_at, .. } if *resumed_at > 0 => {
                format!("resumed at {resumed_at}")
            }
            _ => return,
        };
        self.0.lock().unwrap().push(word);
    }
}

impl Told {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

async fn run(
    source: &(impl Storage + Clone),
    destination: &(impl Storage + Clone),
    rules: Rules,
    how: How,
) -> (Outcome, Vec<String>) {
    let told = Arc::new(Told::default());
    let (source, destination) = (Arc::new(source.clone()), Arc::new(destination.clone()));
    let mirror = Mirror::new(source, destination, rules, how, told.clone());
    let outcome = mirror.run(true).await.unwrap();
    (outcome, told.all())
}

fn jobs(jobs: usize) -> How {
    How {
        jobs: NonZeroUsize::new(jobs).unwrap(),
        ..How::default()
    }
}

fn deleting() -> Rules {
    Rules {
        delete: Delete::After,
        ..Rules::default()
    }
}

/// Everything in a store: pathname, content or what it is.
async fn tree(store: &dyn Storage) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut todo = vec![Pathname::root()];
    while let Some(dir) = todo.pop() {
        let entries = collect(store.list(&dir, ListOrder::Name).await.unwrap())
            .await
            .unwrap();
        for entry in entries {
            let path = dir.child(&entry.name).unwrap();
            let what = match entry.metadata.kind {
                Kind::Directory => {
                    todo.push(path.clone());
                    "/".to_owned()
                }
                Kind::File => content(store, &path).await,
                Kind::Symlink => format!("-> {}", entry.link_target.unwrap().escape_ascii()),
                Kind::Other => "?".to_owned(),
            };
            all.push((path.display().to_string(), what));
        }
    }
    all.sort();
    all
}

async fn content(store: &dyn Storage, path: &Pathname) -> String {
    let mut text = String::new();
    let mut reader = store.open(path, 0).await.unwrap();
    reader.read_to_string(&mut text).await.unwrap();
    text
}

/// A few directories, and files with old times.
async fn sample() -> Memory {
    let store = Memory::new();
    for dir in ["/d", "/d/e", "/empty"] {
        store.add_dir(&path(dir)).unwrap();
    }
    for name in ["/a", "/d/b [*]?", "/d/e/ c", "/d/e/z"] {
        store.add_file(&path(name), name).unwrap();
        store
            .set_modified(&path(name), at(1_000_000))
            .await
            .unwrap();
    }
    store
}

#[tokio::test]
async fn the_second_run_does_nothing() {
    for count in [1, 8] {
        let (source, destination) = (sample().await, Memory::new());
        destination.add_file(&path("/extra"), "x").unwrap();
        let (first, _) = run(&source, &destination, deleting(), jobs(count)).await;
        assert_eq!((first.copied, first.made, first.removed), (4, 3, 1));
        assert_eq!(tree(&destination).await, tree(&source).await);
        let facts = destination.metadata(&path("/d/e/z")).await.unwrap();
        assert_eq!(facts.modified, at(1_000_000));
        let (second, _) = run(&source, &destination, deleting(), jobs(count)).await;
        let nothing = Outcome {
            same: 4,
            ..Outcome::default()
        };
        assert_eq!(second, nothing);
    }
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let (source, destination) = (sample().await, Memory::new());
    destination.add_dir(&path("/old")).unwrap();
    destination.add_file(&path("/old/x"), "x").unwrap();
    let dry = How {
        dry_run: true,
        ..jobs(4)
    };
    for delete in [Delete::After, Delete::Before] {
        let rules = Rules {
            delete,
            ..Rules::default()
        };
        let (outcome, _) = run(&source, &destination, rules, dry).await;
        assert_eq!((outcome.copied, outcome.made, outcome.removed), (4, 3, 2));
        assert_eq!(outcome.differences(), 9);
        assert_eq!(tree(&destination).await.len(), 2);
    }
}

#[tokio::test]
async fn deletion_has_a_cap_and_spares_what_is_excluded() {
    let (source, destination) = (sample().await, sample().await);
    for dir in ["/old", "/old/kept"] {
        destination.add_dir(&path(dir)).unwrap();
    }
    for name in ["/old/x", "/old/kept/y.bak", "/z.bak"] {
        destination.add_file(&path(name), "x").unwrap();
    }
    let capped = How {
        max_delete: Some(1),
        ..jobs(2)
    };
    let (outcome, told) = run(&source, &destination, deleting(), capped).await;
    assert_eq!((outcome.removed, outcome.spared), (0, 5));
    assert_eq!(
        told,
        ["nothing is deleted: 5 would be, which is more than 1"]
    );

    let filter = || {
        let mut filter = Filter::new();
        filter.exclude("*.bak").unwrap();
        filter
    };
    let rules = Rules {
        filter: filter(),
        ..deleting()
    };
    let (outcome, told) = run(&source, &destination, rules, jobs(2)).await;
    assert_eq!((outcome.removed, outcome.failed), (1, 0), "{told:?}");
    assert!(destination.metadata(&path("/old/kept/y.bak")).await.is_ok());

    for delete in [Delete::Before, Delete::After] {
        let rules = Rules {
            filter: filter(),
            delete,
            delete_excluded: true,
            ..Rules::default()
        };
        let (outcome, told) = run(&source, &destination, rules, jobs(2)).await;
        assert_eq!(outcome.failed, 0, "{told:?}");
        assert_eq!(tree(&destination).await, tree(&source).await);
    }
}

#[tokio::test]
async fn kinds_are_exchanged_only_with_delete() {
    let (source, destination) = (Memory::new(), Memory::new());
    source.add_dir(&path("/a")).unwrap();
    source.add_file(&path("/a/x"), "x").unwrap();
    source.add_file(&path("/b"), "file").unwrap();
    destination.add_file(&path("/a"), "file").unwrap();
    destination.add_dir(&path("/b")).unwrap();
    destination.add_dir(&path("/b/c")).unwrap();
    destination.add_file(&path("/b/c/y"), "y").unwrap();
    let (outcome, told) = run(&source, &destination, Rules::default(), jobs(2)).await;
    assert_eq!((outcome.refused, outcome.copied), (2, 0), "{told:?}");
    let (outcome, told) = run(&source, &destination, deleting(), jobs(2)).await;
    assert!(outcome.is_complete(), "{told:?}");
    assert_eq!(tree(&destination).await, tree(&source).await);
}

#[tokio::test]
async fn content_is_compared_where_it_is_asked_for() {
    let (source, destination) = (sample().await, sample().await);
    destination.add_file(&path("/a"), "XX").unwrap();
    destination
        .set_modified(&path("/a"), at(1_000_000))
        .await
        .unwrap();
    destination
        .set_modified(&path("/d/e/z"), at(9))
        .await
        .unwrap();
    let rules = || Rules {
        compare: Compare::Content,
        ..Rules::default()
    };
    let (outcome, _) = run(&source, &destination, rules(), jobs(3)).await;
    assert_eq!((outcome.copied, outcome.same, outcome.adjusted), (1, 3, 1));
    assert_eq!(tree(&destination).await, tree(&source).await);
    let (outcome, _) = run(&source, &destination, rules(), jobs(3)).await;
    assert_eq!(outcome.differences(), 0);
}

#[tokio::test]
async fn links_are_left_out_followed_or_kept() {
    let source = sample().await;
    source.add_link(&path("/to-dir"), "d").unwrap();
    source.add_link(&path("/d/to-file"), "../a").unwrap();
    source.add_link(&path("/d/out"), "../../etc").unwrap();
    source.add_link(&path("/d/circle"), "../d").unwrap();
    for (links, expected) in [(Links::Skip, (4, 0, 0, 0)), (Links::Keep, (4, 3, 1, 0))] {
        let destination = Memory::new();
        let rules = || Rules {
            links,
            ..deleting()
        };
        let (outcome, told) = run(&source, &destination, rules(), jobs(2)).await;
        let got = (
            outcome.copied,
            outcome.links,
            outcome.refused,
            outcome.failed,
        );
        assert_eq!(got, expected, "{links:?} {told:?}");
        let (outcome, _) = run(&source, &destination, rules(), jobs(2)).await;
        assert_eq!(outcome.differences(), 0, "{links:?}");
    }
    let destination = Memory::new();
    let rules = Rules {
        links: Links::Follow,
        ..Rules::default()
    };
    let (outcome, told) = run(&source, &destination, rules, jobs(2)).await;
    assert!(outcome.failed > 0, "{told:?}");
    assert!(told.iter().any(|it| it.contains("follow")), "{told:?}");
    assert_eq!(content(&destination, &path("/to-dir/to-file")).await, "/a");
}

#[tokio::test]
async fn local_directories_both_ways_and_a_link_planted_in_the_destination() {
    let house = tempfile::tempdir().unwrap();
    for dir in ["source", "source/d", "there", "outside"] {
        std::fs::create_dir(house.path().join(dir)).unwrap();
    }
    std::fs::write(house.path().join("source/d/evil"), "evil").unwrap();
    std::fs::write(house.path().join("source/file"), "new").unwrap();
    std::fs::write(house.path().join("outside/target"), "precious").unwrap();
    let link = std::os::unix::fs::symlink::<&str, _>;
    link("../outside", house.path().join("there/d")).unwrap();
    link("../outside/target", house.path().join("there/file")).unwrap();
    let options = LocalOptions {
        uploads: Uploads::Direct,
        ..LocalOptions::default()
    };
    let open = |name| Arc::new(Local::open(house.path().join(name), options).unwrap());
    let told = Arc::new(Told::default());
    let mirror = |rules| Mirror::new(open("source"), open("there"), rules, jobs(2), told.clone());
    let outcome = mirror(Rules::default()).run(true).await.unwrap();
    assert_eq!(
        (outcome.refused, outcome.copied),
        (1, 1),
        "{:?}",
        told.all()
    );
    let outcome = mirror(deleting()).run(true).await.unwrap();
    assert!(outcome.is_complete(), "{:?}", told.all());
    let outside: Vec<_> = std::fs::read_dir(house.path().join("outside"))
        .unwrap()
        .collect();
    assert_eq!(outside.len(), 1);
    let precious = std::fs::read_to_string(house.path().join("outside/target")).unwrap();
    assert_eq!(precious, "precious");
    assert_eq!(tree(&*open("there")).await, tree(&*open("source")).await);
    let outcome = mirror(deleting()).run(true).await.unwrap();
    assert_eq!(outcome.differences(), 0);
}

/// A memory store in which something goes wrong.
#[derive(Clone)]
struct Faulty {
    inner: Memory,
    fault: Arc<Mutex<Fault>>,
}

enum Fault {
    None,
    /// So many times no directory of this name can be listed, for this reason.
    Listing(&'static str, usize, ErrorKind),
    /// So many uploads break when they are to be committed; what has arrived stays.
    Commit(usize),
    /// No time can be set.
    Times,
    /// The next file that is opened is another one afterwards.
    Changes,
}

impl Faulty {
    fn new(inner: Memory, fault: Fault) -> Self {
        let fault = Arc::new(Mutex::new(fault));
        Self { inner, fault }
    }
}

/// Keeps what it has, then fails.
struct Cut(Box<dyn Upload>);

impl tokio::io::AsyncWrite for Cut {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        data: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[async_trait]
impl Upload for Cut {
    fn name(&self) -> &Pathname {
        self.0.name()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.0.commit().await?;
        Err(ErrorKind::Io.into())
    }

    async fn abandon(self: Box<Self>) -> Result<()> {
        self.0.abandon().await
    }
}

#[async_trait]
impl Storage for Faulty {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.inner.metadata(path).await
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.inner.link_metadata(path).await
    }

    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>> {
        if let Fault::Listing(name, left, kind) = &mut *self.fault.lock().unwrap()
            && path.as_bytes() == name.as_bytes()
            && *left > 0
        {
            *left -= 1;
            return Err(Error::new(*kind));
        }
        self.inner.list(path, order).await
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        let reader = self.inner.open(path, at).await;
        let changes = matches!(*self.fault.lock().unwrap(), Fault::Changes);
        if changes {
            *self.fault.lock().unwrap() = Fault::None;
            self.inner
                .add_file(path, "another one, and longer")
                .unwrap();
            return self.inner.open(path, at).await;
        }
        reader
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        let upload = self.inner.create(path, how).await?;
        if let Fault::Commit(left) = &mut *self.fault.lock().unwrap()
            && *left > 0
        {
            *left -= 1;
            return Ok(Box::new(Cut(upload)));
        }
        Ok(upload)
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        self.inner.remove_file(path).await
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        self.inner.create_dir(path).await
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        self.inner.remove_dir(path).await
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        self.inner.rename(from, to).await
    }

    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        if matches!(*self.fault.lock().unwrap(), Fault::Times) {
            return Err(Error::unsupported());
        }
        self.inner.set_modified(path, to).await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_when_a_listing_failed() {
    let fault = Fault::Listing("/d", usize::MAX, ErrorKind::Denied);
    let source = Faulty::new(sample().await, fault);
    for delete in [Delete::Before, Delete::After] {
        let destination = Memory::new();
        destination.add_file(&path("/extra"), "x").unwrap();
        let rules = Rules {
            delete,
            ..Rules::default()
        };
        let (outcome, told) = run(&source, &destination, rules, jobs(2)).await;
        assert_eq!(
            (outcome.removed, outcome.spared, outcome.failed),
            (0, 1, 1),
            "{told:?}"
        );
        assert!(!outcome.is_complete());
        assert!(destination.metadata(&path("/extra")).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn broken_connections_are_tried_again() {
    let source = Faulty::new(sample().await, Fault::Listing("/d", 2, ErrorKind::Io));
    let destination = Faulty::new(Memory::new(), Fault::Commit(3));
    let (outcome, told) = run(&source, &destination, deleting(), jobs(3)).await;
    assert!(outcome.is_complete(), "{told:?}");
    assert_eq!(
        told.iter().filter(|it| it.starts_with("again")).count(),
        5,
        "{told:?}"
    );
    assert_eq!(tree(&destination).await, tree(&source).await);
}

#[tokio::test(start_paused = true)]
async fn what_never_works_ends() {
    let destination = Faulty::new(Memory::new(), Fault::Commit(usize::MAX));
    let (outcome, _) = run(&sample().await, &destination, Rules::default(), jobs(3)).await;
    assert_eq!((outcome.copied, outcome.failed), (0, 4));
    let names: Vec<_> = tree(&destination).await;
    let finished = names
        .iter()
        .filter(|(name, what)| what != "/" && !name.ends_with(".wharf-part"));
    assert_eq!(finished.count(), 0, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_remnant_is_continued_and_a_wrong_one_is_not() {
    let data = "0123456789".repeat(30_000);
    for (left, resumed) in [
        (&data[..200_000], true),
        (&data[1..200_000], false),
        ("0", false),
    ] {
        let (source, destination) = (Memory::new(), Memory::new());
        source.add_file(&path("/a"), data.clone()).unwrap();
        source.set_modified(&path("/a"), at(77)).await.unwrap();
        // The name of the remnant, learned from a run that fails.
        let broken = Faulty::new(destination.clone(), Fault::Commit(usize::MAX));
        let once = How {
            attempts: 1,
            ..jobs(1)
        };
        run(&source, &broken, Rules::default(), once).await;
        let names = tree(&destination).await;
        let part = path(&names[0].0);
        destination.add_file(&part, left).unwrap();
        let (outcome, told) = run(&source, &destination, deleting(), jobs(1)).await;
        assert_eq!(
            told,
            if resumed {
                vec!["resumed at 200000".to_owned()]
            } else {
                vec![]
            }
        );
        assert!(outcome.is_complete());
        assert_eq!(
            tree(&destination).await,
            vec![("/a".to_owned(), data.clone())]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_meanwhile_is_told_and_comes_whole() {
    let source = Faulty::new(sample().await, Fault::Changes);
    let destination = Memory::new();
    let (outcome, told) = run(&source, &destination, Rules::default(), jobs(1)).await;
    assert_eq!(
        (outcome.copied, outcome.changed, outcome.failed),
        (4, 1, 0),
        "{told:?}"
    );
    assert_eq!(tree(&destination).await, tree(&source).await);
    let (outcome, _) = run(&source, &destination, Rules::default(), jobs(1)).await;
    assert_eq!(outcome.differences(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_times_are_not_kept_the_second_run_still_does_nothing() {
    let (source, destination) = (sample().await, Faulty::new(Memory::new(), Fault::Times));
    let (first, told) = run(&source, &destination, Rules::default(), jobs(2)).await;
    assert_eq!((first.copied, told.len()), (4, 1), "{told:?}");
    let (second, told) = run(&source, &destination, Rules::default(), jobs(2)).await;
    assert_eq!((second.copied, second.same), (0, 4), "{told:?}");
}

#[tokio::test]
async fn directories_that_changed_are_mirrored_alone() {
    let (source, destination) = (sample().await, sample().await);
    // Elsewhere things differ, too, and are not looked at.
    source.add_file(&path("/d/e/z"), "elsewhere").unwrap();
    source.add_file(&path("/d/new"), "x").unwrap();
    source.add_dir(&path("/d/made")).unwrap();
    source.add_file(&path("/d/made/x"), "x").unwrap();
    destination.add_dir(&path("/d/gone")).unwrap();
    destination.add_file(&path("/d/gone/x"), "x").unwrap();
    let told = Arc::new(Told::default());
    let (from, to) = (Arc::new(source.clone()), Arc::new(destination.clone()));
    let mirror = Mirror::new(from, to, deleting(), jobs(2), told.clone());
    let changed = ["/d", "/d/made", "/nowhere"].map(path);
    let outcome = mirror.run_in(changed).await.unwrap();
    assert_eq!(
        (outcome.copied, outcome.made, outcome.removed),
        (2, 1, 2),
        "{:?}",
        told.all()
    );
    assert!(outcome.is_complete());
    assert_eq!(content(&destination, &path("/d/made/x")).await, "x");
    assert_ne!(content(&destination, &path("/d/e/z")).await, "elsewhere");
}
