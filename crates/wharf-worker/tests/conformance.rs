//! A store in another process passes the suite of every store. Here the other process is a task: what is between the two
//! is the same pair of sockets.

use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use wharf_storage::{Fsync, Local, LocalOptions, Storage, Uploads, conformance};
use wharf_worker::{Remote, channel, serve};

struct Dirs(Mutex<Vec<TempDir>>);

impl Dirs {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn remote(&self, options: LocalOptions) -> Arc<dyn Storage> {
        let dir = tempfile::tempdir().unwrap();
        let local = Arc::new(Local::open(dir.path(), options).unwrap());
        self.0.lock().unwrap().push(dir);
        let (here, there) = channel::pair().unwrap();
        tokio::spawn(serve(local, there));
        Arc::new(Remote::new(here).unwrap())
    }
}

#[tokio::test]
async fn a_remote_directory_conforms() {
    let dirs = Dirs::new();
    conformance::run(|| dirs.remote(LocalOptions::default())).await;
}

#[tokio::test]
async fn a_remote_directory_that_keeps_partial_data_conforms() {
    let dirs = Dirs::new();
    let options = LocalOptions {
        resume: true,
        fsync: Fsync::Full,
        uploads: Uploads::Atomic,
    };
    conformance::run(|| dirs.remote(options)).await;
    conformance::run_resume(|| dirs.remote(options)).await;
}
