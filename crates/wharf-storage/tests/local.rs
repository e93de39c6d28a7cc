//! What only a directory of the host can do wrong: links that lead out, races, remains, foreign things.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_proto::Pathname;
use wharf_storage::{
    Entry, ErrorKind, Kind, ListOrder, Local, LocalOptions, Permissions, Result, SORT_LIMIT,
    Scoped, Storage, Write, collect,
};

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

/// `jail` is served, `outside` must not be reached.
struct House {
    dir: TempDir,
    local: Local,
}

impl House {
    fn new() -> Self {
        Self::with(LocalOptions::default())
    }

    fn with(options: LocalOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for part in ["jail", "outside", "outside/dir"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        std::fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        let local = Local::open(dir.path().join("jail"), options).unwrap();
        Self { dir, local }
    }

    fn jail(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("jail").join(name)
    }

    fn outside(&self) -> std::path::PathBuf {
        self.dir.path().join("outside")
    }

    /// Everything that is in the directory of the host, hidden or not.
    fn on_disk(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.jail(dir))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    async fn entries(&self, dir: &str) -> Vec<Entry> {
        let listing = self.local.list(&path(dir), ListOrder::Name).await.unwrap();
        collect(listing).await.unwrap()
    }

    async fn put(&self, name: &str, how: Write, data: &[u8]) -> Result<()> {
        let mut upload = self.local.create(&path(name), how).await?;
        upload.write_all(data).await?;
        upload.commit().await
    }

    async fn content(&self, name: &str) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        let mut reader = self.local.open(&path(name), 0).await?;
        reader.read_to_end(&mut data).await?;
        Ok(data)
    }

    /// What was outside is as it was, and nothing new is there.
    fn check_outside(&self) {
        let secret = std::fs::read(self.outside().join("secret")).unwrap();
        assert_eq!(secret, b"secret");
        let mut names: Vec<_> = std::fs::read_dir(self.outside())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["dir", "secret"]);
        let below = std::fs::read_dir(self.outside().join("dir")).unwrap();
        assert_eq!(below.count(), 0);
    }
}

#[tokio::test]
async fn links_do_not_lead_out() {
    let house = House::new();
    let outside = house.outside();
    let outside = outside.to_str().unwrap();
    let links = [
        ("absolute", outside.to_owned()),
        ("relative", "../outside".to_owned()),
        (
            "far",
            "../../../../../../../../../../..".to_owned() + outside,
        ),
        ("through", format!("here/../..{outside}")),
        ("root", "/".to_owned()),
        ("proc", "/proc/self/root".to_owned() + outside),
        ("chain", "absolute".to_owned()),
    ];
    std::fs::create_dir(house.jail("here")).unwrap();
    for (name, target) in &links {
        symlink(target, house.jail(name)).unwrap();
    }
    let local = &house.local;
    for (link, _) in &links {
        let secret = path(&format!("/{link}/secret"));
        let new = path(&format!("/{link}/dir/new"));
        let kept = path("/kept");
        house.put("/kept", Write::Replace, b"kept").await.unwrap();
        assert!(local.metadata(&secret).await.is_err(), "{link}");
        assert!(local.open(&secret, 0).await.is_err(), "{link}");
        assert!(local.remove_file(&secret).await.is_err(), "{link}");
        assert!(local.rename(&secret, &kept).await.is_err(), "{link}");
        assert!(local.rename(&kept, &new).await.is_err(), "{link}");
        assert!(local.create_dir(&new).await.is_err(), "{link}");
        assert!(local.create(&new, Write::Replace).await.is_err(), "{link}");
        assert!(local.create(&secret, Write::At(1)).await.is_err(), "{link}");
        let dir = path(&format!("/{link}/dir"));
        assert!(local.remove_dir(&dir).await.is_err(), "{link}");
        assert!(local.subtree(&dir).await.is_err(), "{link}");
        assert!(local.list(&dir, ListOrder::Name).await.is_err(), "{link}");
        let past = std::time::SystemTime::UNIX_EPOCH;
        assert!(local.set_modified(&secret, past).await.is_err(), "{link}");
        assert!(local.set_mode(&secret, 0o777).await.is_err(), "{link}");
        house.check_outside();
    }
    // The link to the root is the served directory, as in a chroot.
    assert_eq!(house.content("/root/kept").await.unwrap(), b"kept");
}

#[tokio::test]
async fn uploads_over_links_stay_inside() {
    let house = House::new();
    let secret = house.outside().join("secret");
    symlink(&secret, house.jail("absolute")).unwrap();
    symlink("../outside/secret", house.jail("relative")).unwrap();
    symlink("../outside/new", house.jail("dangling")).unwrap();
    symlink("loop", house.jail("loop")).unwrap();
    symlink("file", house.jail("good")).unwrap();
    symlink("/file", house.jail("good-absolute")).unwrap();
    symlink("not-yet", house.jail("good-new")).unwrap();
    std::fs::write(house.jail("file"), "old").unwrap();

    for link in ["/absolute", "/relative", "/dangling"] {
        for how in [Write::Replace, Write::Append, Write::At(0)] {
            assert!(house.put(link, how, b"written").await.is_err(), "{link}");
        }
        house.check_outside();
    }
    let looped = house.put("/loop", Write::Replace, b"x").await;
    assert_eq!(looped.unwrap_err().kind(), ErrorKind::NameNotAllowed);

    // Links inside are written through, as Unix servers do.
    house.put("/good", Write::Replace, b"one").await.unwrap();
    assert_eq!(std::fs::read(house.jail("file")).unwrap(), b"one");
    house
        .put("/good-absolute", Write::Append, b"two")
        .await
        .unwrap();
    assert_eq!(std::fs::read(house.jail("file")).unwrap(), b"onetwo");
    house
        .put("/good-new", Write::Replace, b"new")
        .await
        .unwrap();
    assert_eq!(std::fs::read(house.jail("not-yet")).unwrap(), b"new");
    assert!(house.jail("good").is_symlink() && house.jail("good-new").is_symlink());
    let taken = house.put("/good", Write::New, b"x").await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Exists);
}

/// A directory is exchanged with a link to the outside as fast as possible while its content is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_of_links_does_not_lead_out() {
    let house = House::new();
    std::fs::create_dir(house.jail("d")).unwrap();
    std::fs::write(house.jail("d/secret"), "inside").unwrap();
    symlink("../outside", house.jail("swap")).unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let racer = std::thread::spawn({
        let (stop, d, swap) = (Arc::clone(&stop), house.jail("d"), house.jail("swap"));
        move || {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &d, CWD, &swap, RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    let end = Instant::now() + Duration::from_millis(800);
    let (mut inside, mut refused) = (0, 0);
    while Instant::now() < end {
        match house.content("/d/secret").await {
            Ok(data) => {
                assert_eq!(data, b"inside");
                inside += 1;
            }
            Err(_) => refused += 1,
        }
        for how in [Write::Replace, Write::Append] {
            // Published into the directory that was resolved, wherever its name is now.
            let _ = house.put("/d/new", how, b"written").await;
        }
        let _ = house.local.remove_file(&path("/d/new")).await;
        let _ = house.local.create_dir(&path("/d/sub")).await;
        let _ = house.local.remove_dir(&path("/d/sub")).await;
    }
    stop.store(true, Ordering::Relaxed);
    racer.join().unwrap();
    house.check_outside();
    assert!(
        inside > 0 && refused > 0,
        "{inside} inside, {refused} refused"
    );
}

#[tokio::test]
async fn a_home_is_jailed_too() {
    let house = House::new();
    std::fs::create_dir_all(house.jail("home/anna")).unwrap();
    std::fs::write(house.jail("home/bert"), "of bert").unwrap();
    symlink("../bert", house.jail("home/anna/link")).unwrap();
    symlink("/home/bert", house.jail("home/anna/absolute")).unwrap();
    let root: Arc<dyn Storage> =
        Arc::new(Local::open(house.jail(""), LocalOptions::default()).unwrap());
    for permissions in [Permissions::FULL, Permissions::READ_ONLY] {
        let home = Scoped::home(Arc::clone(&root), &path("/home/anna"), permissions)
            .await
            .unwrap();
        assert!(home.open(&path("/link"), 0).await.is_err());
        assert!(home.open(&path("/absolute"), 0).await.is_err());
        assert_eq!(home.access(&path("/")), permissions);
    }
    let missing = Scoped::home(Arc::clone(&root), &path("/none"), Permissions::FULL).await;
    assert_eq!(missing.err().unwrap().kind(), ErrorKind::NotFound);
    let file = Scoped::home(root, &path("/home/bert"), Permissions::FULL).await;
    assert_eq!(file.err().unwrap().kind(), ErrorKind::NotDirectory);
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing_on_disk() {
    let house = House::new();
    std::fs::write(house.jail("old"), "old").unwrap();
    for how in [Write::Replace, Write::Append, Write::At(1)] {
        let mut upload = house
            .local
            .create(&path("/old"), how.clone())
            .await
            .unwrap();
        upload.write_all(&vec![1; 3 << 20]).await.unwrap();
        assert_eq!(house.on_disk(""), ["old"]);
        drop(upload);
        let upload = house.local.create(&path("/old"), how).await.unwrap();
        upload.abandon().await.unwrap();
        assert_eq!(house.on_disk(""), ["old"]);
    }
    assert_eq!(std::fs::read(house.jail("old")).unwrap(), b"old");
}

#[tokio::test]
async fn remains_of_a_killed_server_are_swept_but_not_the_uploads_of_another() {
    let house = House::with(LocalOptions {
        resume: true,
        ..LocalOptions::default()
    });
    let working = house.jail(".wharf-0123456789abcdef.part");
    std::fs::write(&working, "working").unwrap();
    let other_server = std::fs::File::open(&working).unwrap();
    other_server.lock().unwrap();
    std::fs::write(house.jail(".wharf-fedcba9876543210.part"), "killed").unwrap();
    std::fs::write(house.jail(".wharf-partial.kept"), "partial").unwrap();

    assert_eq!(house.entries("/").await, []);
    let expected = [".wharf-0123456789abcdef.part", ".wharf-partial.kept"];
    assert_eq!(house.on_disk(""), expected);
    assert_eq!(house.local.metadata(&path("/kept")).await.unwrap().size, 7);
}

#[tokio::test]
async fn reserved_names_cannot_be_named() {
    let house = House::new();
    std::fs::create_dir(house.jail(".wharf-dir")).unwrap();
    std::fs::write(house.jail("file"), "x").unwrap();
    let (file, hidden) = (path("/file"), path("/.wharf-partial.x"));
    let local = &house.local;
    let kind = ErrorKind::NameNotAllowed;
    assert_eq!(local.metadata(&hidden).await.unwrap_err().kind(), kind);
    assert_eq!(local.link_metadata(&hidden).await.unwrap_err().kind(), kind);
    assert_eq!(local.open(&hidden, 0).await.err().unwrap().kind(), kind);
    let created = local.create(&hidden, Write::Replace).await;
    assert_eq!(created.err().unwrap().kind(), kind);
    assert_eq!(local.create_dir(&hidden).await.unwrap_err().kind(), kind);
    assert_eq!(local.rename(&file, &hidden).await.unwrap_err().kind(), kind);
    assert_eq!(local.rename(&hidden, &file).await.unwrap_err().kind(), kind);
    assert_eq!(local.remove_file(&hidden).await.unwrap_err().kind(), kind);
    let below = path("/.WHARF-DIR/x");
    assert_eq!(local.create_dir(&below).await.unwrap_err().kind(), kind);
    symlink(".wharf-partial.y", house.jail("link")).unwrap();
    let through = house.put("/link", Write::Replace, b"x").await;
    assert_eq!(through.unwrap_err().kind(), kind);
}

/// Name, kind, and where a link points.
type Told = (&'static [u8], Kind, Option<&'static [u8]>);

#[tokio::test]
async fn listings_tell_links_and_odd_names_as_they_are() {
    let house = House::new();
    let odd: [&[u8]; 3] = [b"caf\xe9", b"line\r\nbreak", b"tab\t\x1b[31m"];
    for name in odd {
        std::fs::write(house.jail("").join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    symlink("nowhere/\u{e9}", house.jail("dangling")).unwrap();
    symlink("..", house.jail("up")).unwrap();
    rustix::fs::mknodat(
        CWD,
        house.jail("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();

    let entries = house.entries("/").await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let target = entry.link_target.as_deref();
            (entry.name.as_slice(), entry.metadata.kind, target)
        })
        .collect();
    let expected: [Told; 6] = [
        (b"caf\xe9", Kind::File, None),
        (
            b"dangling",
            Kind::Symlink,
            Some("nowhere/\u{e9}".as_bytes()),
        ),
        (b"line\r\nbreak", Kind::File, None),
        (b"pipe", Kind::Other, None),
        (b"tab\t\x1b[31m", Kind::File, None),
        (b"up", Kind::Symlink, Some(b"..")),
    ];
    assert_eq!(told, expected);

    let local = &house.local;
    assert_eq!(local.read_link(&path("/up")).await.unwrap(), b"..");
    let plain = local.read_link(&path("/pipe")).await.unwrap_err();
    assert_eq!(plain.kind(), ErrorKind::WrongKind);
    assert_eq!(
        local.link_metadata(&path("/up")).await.unwrap().kind,
        Kind::Symlink
    );
    assert_eq!(
        local.metadata(&path("/up")).await.unwrap().kind,
        Kind::Directory
    );
    let nowhere = local.metadata(&path("/dangling")).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn pipes_and_devices_are_never_opened() {
    let house = House::new();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(CWD, house.jail("pipe"), fifo, mode, 0).unwrap();
    let pipe = path("/pipe");
    let kind = ErrorKind::WrongKind;
    assert_eq!(house.local.open(&pipe, 0).await.err().unwrap().kind(), kind);
    for how in [Write::Replace, Write::Append, Write::At(1)] {
        let created = house.local.create(&pipe, how).await;
        assert_eq!(created.err().unwrap().kind(), kind);
    }
}

#[tokio::test]
async fn huge_directories_come_whole_in_their_own_order() {
    let house = House::new();
    std::fs::create_dir(house.jail("huge")).unwrap();
    for number in 0..=SORT_LIMIT {
        symlink("x", house.jail(&format!("huge/{number}"))).unwrap();
    }
    let mut names: Vec<_> = house.entries("/huge").await;
    names.sort_by(|a, b| a.name.cmp(&b.name));
    names.dedup_by(|a, b| a.name == b.name);
    assert_eq!(names.len(), SORT_LIMIT + 1);
}

#[tokio::test]
async fn modes_of_new_and_replaced_files() {
    let house = House::new();
    let mode = |name: &str| std::fs::metadata(house.jail(name)).unwrap().mode() & 0o7777;
    std::fs::write(house.jail("by-hand"), "").unwrap();
    house.put("/new", Write::Replace, b"x").await.unwrap();
    assert_eq!(mode("new"), mode("by-hand"), "0666 without the umask");

    for (before, after) in [(0o600, 0o600), (0o664, 0o664), (0o4755, 0o755)] {
        set_mode(&house.jail("new"), before);
        house.put("/new", Write::Replace, b"y").await.unwrap();
        assert_eq!(mode("new"), after);
    }
    std::fs::create_dir(house.jail("dir")).unwrap();
    set_mode(&house.jail("dir"), 0o3755);
    house.local.set_mode(&path("/dir"), 0o770).await.unwrap();
    assert_eq!(mode("dir"), 0o3770);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_file_protected_against_writing_is_not_replaced() {
    let house = House::new();
    std::fs::write(house.jail("a"), "old").unwrap();
    set_mode(&house.jail("a"), 0o444);
    let outcome = house.put("/a", Write::Replace, b"new").await;
    // The superuser may write everywhere, whatever the mode says.
    if rustix::process::geteuid().is_root() {
        outcome.unwrap();
    } else {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(std::fs::read(house.jail("a")).unwrap(), b"old");
    }
}

#[tokio::test]
async fn a_read_continues_with_the_file_it_began_with() {
    let house = House::new();
    house
        .put("/a", Write::Replace, &vec![1; 1 << 20])
        .await
        .unwrap();
    let mut reader = house.local.open(&path("/a"), 0).await.unwrap();
    assert_eq!(reader.length(), Some(1 << 20));
    let mut first = [0; 10];
    reader.read_exact(&mut first).await.unwrap();
    house
        .put("/a", Write::Replace, &vec![2; 1 << 20])
        .await
        .unwrap();
    assert_eq!(reader.as_file().map(|(_, at)| at), Some(10));
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    assert!(rest == vec![1; (1 << 20) - 10]);
}

#[tokio::test]
async fn a_directory_that_vanishes_takes_its_upload_along() {
    let house = House::new();
    std::fs::create_dir(house.jail("d")).unwrap();
    let upload = house
        .local
        .create(&path("/d/a"), Write::Replace)
        .await
        .unwrap();
    house.local.remove_dir(&path("/d")).await.unwrap();
    assert_eq!(
        upload.commit().await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(house.on_disk("").is_empty());
}

#[tokio::test]
async fn long_names_are_refused_kindly() {
    let house = House::with(LocalOptions {
        resume: true,
        ..LocalOptions::default()
    });
    let too_long = format!("/{}", "x".repeat(256));
    let outcome = house.put(&too_long, Write::Replace, b"x").await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NameNotAllowed);
    let longest = format!("/{}", "x".repeat(255));
    house.put(&longest, Write::Replace, b"x").await.unwrap();
    assert_eq!(house.content(&longest).await.unwrap(), b"x");
}

#[tokio::test]
async fn what_cannot_be_served_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let kind = |path: &Path| {
        Local::open(path, LocalOptions::default())
            .err()
            .unwrap()
            .kind()
    };
    assert_eq!(kind(&file), ErrorKind::NotDirectory);
    assert_eq!(kind(&dir.path().join("none")), ErrorKind::NotFound);
}

#[tokio::test]
async fn links_are_made_as_told_and_lead_nowhere_outside() {
    let house = House::new();
    let store = &house.local;
    let out = path("/out");
    store.create_link(&out, b"../outside").await.unwrap();
    assert_eq!(store.read_link(&out).await.unwrap(), b"../outside");
    let again = store.create_link(&out, b"x").await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Exists);
    assert!(store.open(&path("/out/secret"), 0).await.is_err());
    assert!(store.create_link(&path("/out/new"), b"x").await.is_err());
    assert!(house.outside().join("new").symlink_metadata().is_err());
}
