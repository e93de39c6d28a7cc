//! The suite of every store, run on every store of this crate.

use std::sync::Arc;

use tempfile::TempDir;
use wharf_proto::Pathname;
use wharf_storage::{
    Fsync, Local, LocalOptions, Memory, MemoryOptions, Permissions, Scoped, Storage, Uploads,
    conformance,
};

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

/// Directories that live as long as the test.
struct Dirs(std::sync::Mutex<Vec<TempDir>>);

impl Dirs {
    fn new() -> Self {
        Self(std::sync::Mutex::new(Vec::new()))
    }

    fn local(&self, options: LocalOptions) -> Local {
        let dir = tempfile::tempdir().unwrap();
        let local = Local::open(dir.path(), options).unwrap();
        self.0.lock().unwrap().push(dir);
        local
    }
}

const RESUME: LocalOptions = LocalOptions {
    resume: true,
    fsync: Fsync::None,
    uploads: Uploads::Atomic,
};

fn memory(resume: bool) -> Memory {
    Memory::with_options(MemoryOptions {
        resume,
        ..MemoryOptions::default()
    })
}

/// A home inside a store that has something else too.
fn scoped_memory(resume: bool) -> Arc<dyn Storage> {
    let memory = memory(resume);
    memory.add_dir(&path("/homes")).unwrap();
    memory.add_dir(&path("/homes/anna")).unwrap();
    memory.add_file(&path("/homes/a"), "outside").unwrap();
    Arc::new(Scoped::new(
        Arc::new(memory),
        &path("/homes/anna"),
        Permissions::FULL,
    ))
}

#[tokio::test]
async fn memory_conforms() {
    conformance::run(|| Arc::new(memory(false))).await;
    conformance::run(|| Arc::new(memory(true))).await;
    conformance::run_resume(|| Arc::new(memory(true))).await;
}

#[tokio::test]
async fn scoped_conforms() {
    conformance::run(|| scoped_memory(false)).await;
    conformance::run_resume(|| scoped_memory(true)).await;

    let dirs = Dirs::new();
    conformance::run(|| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let local = Local::open(dir.path(), LocalOptions::default()).unwrap();
        dirs.0.lock().unwrap().push(dir);
        Arc::new(Scoped::new(
            Arc::new(local),
            &path("/home"),
            Permissions::FULL,
        ))
    })
    .await;
}

#[tokio::test]
async fn local_conforms() {
    let dirs = Dirs::new();
    conformance::run(|| Arc::new(dirs.local(LocalOptions::default()))).await;
}

#[tokio::test]
async fn local_with_resume_conforms() {
    let dirs = Dirs::new();
    conformance::run(|| Arc::new(dirs.local(RESUME))).await;
    conformance::run_resume(|| Arc::new(dirs.local(RESUME))).await;
}

#[tokio::test]
async fn local_with_fsync_conforms() {
    let dirs = Dirs::new();
    let options = LocalOptions {
        fsync: Fsync::Full,
        ..LocalOptions::default()
    };
    conformance::run(|| Arc::new(dirs.local(options))).await;
}
