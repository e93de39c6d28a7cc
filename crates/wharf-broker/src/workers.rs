//! The storage workers of users who are logged in: one process for each, started by the broker, ended by itself.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use wharf_worker::{Post, channel};

/// Workers at the same time. Each is a process of a few MiB.
const MOST: usize = 512;

/// How a worker is started: the program and its arguments.
pub type WorkerCommand = Box<dyn Fn() -> Command + Send + Sync>;

/// All of them, by the names of their users. Every clone holds the same ones.
#[derive(Clone)]
pub(crate) struct Workers(Arc<Inner>);

struct Inner {
    command: WorkerCommand,
    /// May be gone already; then the next login finds out.
    running: Mutex<HashMap<String, Worker>>,
}

struct Worker {
    post: Post,
    orders: Arc<OwnedFd>,
}

impl Workers {
    pub(crate) fn new(command: WorkerCommand) -> Self {
        Self(Arc::new(Inner {
            command,
            running: Mutex::default(),
        }))
    }

    /// A connection to the worker with that post, which is started where there is none. Waits for nobody: it may have been
    /// taken over by its user.
    ///
    /// Errors: no process, no descriptors, too many of them, or one that does not read any more.
    pub(crate) fn connection(&self, post: &Post) -> io::Result<OwnedFd> {
        let mut running = self.running();
        let (here, there) = channel::pair()?;
        let of_before = running.get(&post.name).filter(|it| it.post == *post);
        if let Some(worker) = of_before {
            match channel::send(&*worker.orders, b"serve", Some(there.as_fd())) {
                Ok(()) => return Ok(here),
                // It has ended, or is about to.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        if running.len() >= MOST && !running.contains_key(&post.name) {
            return Err(io::Error::other("too many storage workers"));
        }
        let orders = self.start(post, &there)?;
        // One with another post goes on for its sessions; whoever waits for it keeps its orders open.
        let worker = Worker {
            post: post.clone(),
            orders,
        };
        running.insert(post.name.clone(), worker);
        Ok(here)
    }

    /// With its first connection.
    fn start(&self, post: &Post, first: &OwnedFd) -> io::Result<Arc<OwnedFd>> {
        let (orders, theirs) = channel::pair()?;
        rustix::io::ioctl_fionbio(&orders, true)?;
        channel::send(&orders, &post.encode(), None)?;
        channel::send(&orders, b"serve", Some(first.as_fd()))?;
        let child = (self.0.command)().stdin(Stdio::from(theirs)).spawn()?;
        tracing::info!(user = ?post.name, uid = post.uid, pid = child.id(), "storage worker started");
        let orders = Arc::new(orders);
        let (workers, name, kept) = (self.clone(), post.name.clone(), Arc::clone(&orders));
        thread::Builder::new()
            .name("worker's end".to_owned())
            .spawn(move || workers.see_out(&name, child, &kept))?;
        Ok(orders)
    }

    /// Waits until it has ended.
    fn see_out(&self, name: &str, mut child: Child, orders: &Arc<OwnedFd>) {
        let ended = child.wait();
        let mut running = self.running();
        if running
            .get(name)
            .is_some_and(|it| Arc::ptr_eq(&it.orders, orders))
        {
            running.remove(name);
        }
        drop(running);
        match ended {
            Ok(status) if status.success() => tracing::info!(user = ?name, "storage worker ended"),
            Ok(status) => {
                tracing::error!(user = ?name, %status, "a storage worker has ended: that user's sessions are refused their files until they log in again");
            }
            Err(error) => tracing::error!(user = ?name, %error, "a storage worker"),
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Worker>> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use wharf_storage::LocalOptions;

    use super::*;

    fn post(name: &str, directory: &str) -> Post {
        Post {
            name: name.to_owned(),
            uid: 1000,
            gid: 1000,
            groups: vec![1000],
            directory: directory.as_bytes().to_vec(),
            read_only: false,
            options: LocalOptions::default(),
            umask: 0o022,
            best_effort: true,
        }
    }

    fn counted(program: &'static str) -> (Workers, Arc<AtomicUsize>) {
        let started = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&started);
        let command = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            let mut command = Command::new(program);
            command.stdout(Stdio::null());
            command
        };
        (Workers::new(Box::new(command)), started)
    }

    #[test]
    fn a_user_has_one_worker() {
        // It reads its orders until there are no more.
        let (workers, started) = counted("cat");
        let mut kept = Vec::new();
        for (name, directory, processes) in [
            ("anna", "/home/anna", 1),
            ("anna", "/home/anna", 1),
            ("bert", "/home/bert", 2),
            ("anna", "/home/anna", 2),
            // Something about her has changed.
            ("anna", "/srv/anna", 3),
            ("anna", "/srv/anna", 3),
        ] {
            kept.push(workers.connection(&post(name, directory)).unwrap());
            assert_eq!(
                started.load(Ordering::Relaxed),
                processes,
                "{name} {directory}"
            );
        }
    }

    #[test]
    fn one_that_has_ended_is_replaced() {
        let (workers, started) = counted("true");
        for processes in 1..4 {
            workers.connection(&post("anna", "/")).unwrap();
            assert_eq!(started.load(Ordering::Relaxed), processes);
            while !workers.running().is_empty() {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn no_process_is_no_connection() {
        let (workers, _) = counted("/nonexistent/worker");
        assert!(workers.connection(&post("anna", "/")).is_err());
        assert!(workers.running().is_empty());
    }
}
