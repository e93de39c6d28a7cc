//! Who may do what.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::io::AsyncWriteExt;
use wharf_proto::Pathname;
use wharf_storage::{
    ErrorKind, ListOrder, Memory, MemoryOptions, Permissions, Result, Scoped, Storage, Write,
};

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

fn store(permissions: Permissions) -> Scoped {
    let memory = Memory::with_options(MemoryOptions {
        resume: true,
        ..MemoryOptions::default()
    });
    memory.add_dir(&path("/home")).unwrap();
    memory.add_dir(&path("/home/dir")).unwrap();
    memory.add_file(&path("/home/file"), "data").unwrap();
    Scoped::new(Arc::new(memory), &path("/home"), permissions)
}

async fn write(store: &Scoped, name: &str, how: Write) -> Result<()> {
    let mut upload = store.create(&path(name), how).await?;
    upload.write_all(b"new").await?;
    upload.commit().await
}

/// What came of everything a user can try, as one line.
async fn tried(permissions: Permissions) -> String {
    let store = store(permissions);
    let unique = Write::Unique { prefix: Vec::new() };
    let outcomes = [
        ("stat", store.metadata(&path("/file")).await.map(drop)),
        (
            "list",
            store.list(&path("/"), ListOrder::Name).await.map(drop),
        ),
        ("open", store.open(&path("/file"), 0).await.map(drop)),
        ("new", write(&store, "/new", Write::Replace).await),
        ("unique", write(&store, "/", unique).await),
        ("replace", write(&store, "/file", Write::Replace).await),
        ("append", write(&store, "/file", Write::Append).await),
        ("at", write(&store, "/file", Write::At(1)).await),
        ("append-new", write(&store, "/new2", Write::Append).await),
        ("mkdir", store.create_dir(&path("/dir2")).await),
        (
            "time",
            store
                .set_modified(&path("/file"), SystemTime::UNIX_EPOCH)
                .await,
        ),
        ("mode", store.set_mode(&path("/file"), 0o600).await),
        (
            "rename",
            store.rename(&path("/file"), &path("/file2")).await,
        ),
        ("remove", store.remove_file(&path("/file2")).await),
        ("rmdir", store.remove_dir(&path("/dir")).await),
    ];
    let mut line = String::new();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(()) => {
                line.push_str(name);
                line.push(' ');
            }
            // Only because it was not renamed before.
            Err(error) if name == "remove" && error.kind() == ErrorKind::NotFound => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Denied, "{name}: {error:?}"),
        }
    }
    line.trim_end().to_owned()
}

#[tokio::test]
async fn permissions_allow_exactly_what_they_say() {
    let none = Permissions {
        read: false,
        list: false,
        ..Permissions::READ_ONLY
    };
    let table = [
        (
            Permissions::FULL,
            "stat list open new unique replace append at append-new mkdir time mode rename remove rmdir",
        ),
        (Permissions::READ_ONLY, "stat list open"),
        (
            Permissions::UPLOAD_ONLY,
            "stat list new unique append-new mkdir",
        ),
        (
            Permissions {
                change: true,
                ..Permissions::READ_ONLY
            },
            "stat list open replace append at time mode",
        ),
        (
            Permissions {
                remove: false,
                ..Permissions::FULL
            },
            "stat list open new unique replace append at append-new mkdir time mode",
        ),
        (none, ""),
    ];
    for (permissions, expected) in table {
        assert_eq!(tried(permissions).await, expected, "{permissions:?}");
    }
}

#[tokio::test]
async fn a_letter_box_takes_the_rest_of_an_interrupted_upload() {
    let store = store(Permissions::UPLOAD_ONLY);
    let mut upload = store.create(&path("/new"), Write::Replace).await.unwrap();
    upload.write_all(b"first").await.unwrap();
    upload.abandon().await.unwrap();
    write(&store, "/new", Write::At(5)).await.unwrap();
    let again = write(&store, "/new", Write::At(5)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn without_the_right_to_change_nothing_is_renamed_over() {
    let permissions = Permissions {
        change: false,
        ..Permissions::FULL
    };
    let store = store(permissions);
    write(&store, "/new", Write::Replace).await.unwrap();
    let over = store.rename(&path("/new"), &path("/file")).await;
    assert_eq!(over.unwrap_err().kind(), ErrorKind::Denied);
    store.rename(&path("/new"), &path("/free")).await.unwrap();
}

#[tokio::test]
async fn uploads_tell_names_of_the_users_view() {
    let store = store(Permissions::FULL);
    let upload = store
        .create(&path("dir/new"), Write::Replace)
        .await
        .unwrap();
    assert_eq!(upload.name(), &path("/dir/new"));
    let how = Write::Unique {
        prefix: b"u".to_vec(),
    };
    let upload = store.create(&path("/dir"), how).await.unwrap();
    assert!(upload.name().as_bytes().starts_with(b"/dir/u."));
}

#[tokio::test]
async fn a_home_of_a_home_stays_inside() {
    let store = store(Permissions::READ_ONLY);
    let inner = store.subtree(&path("/dir")).await.unwrap().unwrap();
    let up = inner.metadata(&path("/../file")).await.unwrap_err();
    assert_eq!(up.kind(), ErrorKind::NotFound);
    let made = inner.create_dir(&path("/x")).await.unwrap_err();
    assert_eq!(made.kind(), ErrorKind::Denied);
}
