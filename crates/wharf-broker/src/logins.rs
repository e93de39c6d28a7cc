//! The broker's part in logins of system users: whoever asks brings a password, and gets a connection to a process that is
//! that user, or nothing.
//!
//! Passwords are checked by threads of their own, as many as the doorman says, with a queue that ends: whoever asks for more
//! is told so. The broker's loop never waits for any of it.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{getpriority_process, setpriority_process};
use wharf_proto::{Pathname, Secret};
use wharf_worker::Post;

use crate::channel::Channel;
use crate::login::{Admission, Login, Outcome};
use crate::workers::{WorkerCommand, Workers};

/// Logins that may wait for a thread. A hash takes 10 to 100 ms.
const QUEUE: usize = 64;

/// The nice value of a thread that checks passwords: all cores may be busy with guesses.
const LESS_URGENT: i32 = 5;

/// Somebody whose password is right, and who may log in.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// What its worker is told.
    pub post: Post,
    /// Where the session begins, in the worker's view.
    pub home: Pathname,
}

/// Why somebody is not let in.
#[derive(Clone, Debug)]
pub enum Rejected {
    /// Not this name with this password, or not today. The reason is for this process's log.
    Refused(String),
    /// It could not be found out, or there is nothing to serve.
    Broken(String),
}

/// Who is let in. Called on several threads at once; blocks for as long as a password takes.
pub trait Doorman: Send + Sync + 'static {
    /// How many logins are judged at once. As many as there are cores, where judging is computing.
    fn at_once(&self) -> usize {
        thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }

    /// Judges one login. It takes the same time whoever it is.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, name: &str, password: &Secret, from: IpAddr) -> Result<Admitted, Rejected>;
}

/// What answers logins. Nothing runs before somebody asks for it.
pub struct Logins {
    doorman: Arc<dyn Doorman>,
    workers: Workers,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logins")
    }
}

impl Logins {
    /// With that doorman, and a worker's program.
    pub fn new(doorman: Arc<dyn Doorman>, worker: WorkerCommand) -> Self {
        Self {
            doorman,
            workers: Workers::new(worker),
        }
    }

    /// Starts the threads that answer at that end. They end with it.
    pub(crate) fn answer(self, channel: Channel) -> io::Result<()> {
        let channel = Arc::new(channel);
        let (queue, waiting) = sync_channel(QUEUE);
        let (welcome, welcomed) = sync_channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..self.doorman.at_once().max(1) {
            let (waiting, welcome) = (Arc::clone(&waiting), welcome.clone());
            let (doorman, channel) = (Arc::clone(&self.doorman), Arc::clone(&channel));
            named("password", move || {
                check(&*doorman, &waiting, &welcome, &channel);
            })?;
        }
        let answers = Arc::clone(&channel);
        let workers = self.workers;
        named("workers", move || give_out(&workers, &welcomed, &answers))?;
        named("logins", move || hear(&channel, &queue))
    }
}

fn named(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

/// Takes what comes, and turns away what is too much.
fn hear(channel: &Channel, queue: &SyncSender<Login>) {
    loop {
        let packet = match channel.receive() {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "logins of system users are not heard any more");
                return;
            }
        };
        let login = match Login::decode(&packet.bytes) {
            Ok(login) if packet.descriptors.is_empty() => login,
            _ => {
                tracing::error!("what no honest process asks for; logins of system users end here");
                return;
            }
        };
        match queue.try_send(login) {
            Ok(()) => {}
            Err(TrySendError::Full(login)) => tell(channel, login.number, Outcome::TooBusy),
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

type Welcomed = (u32, Admitted);

/// One of the threads that check passwords.
fn check(
    doorman: &dyn Doorman,
    waiting: &Mutex<Receiver<Login>>,
    welcome: &SyncSender<Welcomed>,
    channel: &Channel,
) {
    // Where it is not allowed, the check is as important as everything else.
    if getpriority_process(None).is_ok_and(|now| now < LESS_URGENT) {
        let _ = setpriority_process(None, LESS_URGENT);
    }
    loop {
        // One of the threads waits in it, the others for the lock.
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(login) = next else {
            return;
        };
        let Login {
            number,
            name,
            password,
            from,
        } = login;
        match doorman.admit(&name, &password, from) {
            // Given out by another thread: a process inherits how urgent its starter is.
            Ok(admitted) => match welcome.send((number, admitted)) {
                Ok(()) => {}
                Err(_) => return,
            },
            Err(Rejected::Refused(why)) => {
                tracing::warn!(user = ?name, %from, why, "login of a system user refused");
                tell(channel, number, Outcome::Refused);
            }
            Err(Rejected::Broken(why)) => {
                tracing::error!(user = ?name, %from, why, "login of a system user is not possible");
                tell(channel, number, Outcome::Broken(why));
            }
        }
    }
}

/// Gives connections to workers to those who are let in.
fn give_out(workers: &Workers, welcomed: &Receiver<Welcomed>, channel: &Channel) {
    while let Ok((number, Admitted { post, home })) = welcomed.recv() {
        let connection = match workers.connection(&post) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::error!(user = ?post.name, %error, "no storage worker");
                let why = format!("no storage worker: {error}");
                tell(channel, number, Outcome::Broken(why));
                continue;
            }
        };
        let outcome = Outcome::Welcome { home };
        let answer = Admission { number, outcome }.encode();
        if let Err(error) = channel.send_at_once(&answer, &[connection.as_fd()]) {
            tracing::warn!(%error, "a login is not answered");
        }
    }
}

/// Whoever does not read is not waited for.
fn tell(channel: &Channel, number: u32, outcome: Outcome) {
    let answer = Admission { number, outcome }.encode();
    if let Err(error) = channel.send_at_once(&answer, &[]) {
        tracing::warn!(%error, "a login is not answered");
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::Barrier;

    use wharf_storage::LocalOptions;

    use super::*;

    /// Lets anna in, and holds guest up.
    struct Strict {
        held: Barrier,
    }

    impl Doorman for Strict {
        fn admit(&self, name: &str, password: &Secret, _: IpAddr) -> Result<Admitted, Rejected> {
            if name == "slow" {
                // Here they are, and on they go.
                self.held.wait();
                self.held.wait();
            }
            match (name, password.expose()) {
                ("anna", b"right") => Ok(Admitted {
                    post: Post {
                        name: name.to_owned(),
                        uid: 1000,
                        gid: 1000,
                        groups: vec![1000],
                        directory: b"/home/anna".to_vec(),
                        read_only: false,
                        options: LocalOptions::default(),
                        umask: 0o022,
                        best_effort: true,
                    },
                    home: Pathname::root(),
                }),
                ("homeless", _) => Err(Rejected::Broken("no home".to_owned())),
                _ => Err(Rejected::Refused("wrong password".to_owned())),
            }
        }
    }

    fn cores() -> usize {
        thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }

    fn answering() -> (Channel, Arc<Strict>) {
        let held = Barrier::new(cores() + 1);
        let doorman = Arc::new(Strict { held });
        let worker = || {
            let mut command = Command::new("cat");
            command.stdout(Stdio::null());
            command
        };
        let (own, theirs) = Channel::pair().unwrap();
        let logins = Logins::new(doorman.clone(), Box::new(worker));
        logins.answer(own).unwrap();
        (theirs, doorman)
    }

    fn ask(channel: &Channel, number: u32, name: &str, password: &str) {
        let login = Login {
            number,
            name: name.to_owned(),
            password: password.parse().unwrap(),
            from: [127, 0, 0, 1].into(),
        };
        channel.send(&login.encode().unwrap(), &[]).unwrap();
    }

    fn answer(channel: &Channel) -> (Admission, usize) {
        let packet = channel.receive().unwrap().unwrap();
        let admission = Admission::decode(&packet.bytes).unwrap();
        (admission, packet.descriptors.len())
    }

    #[test]
    fn whoever_is_let_in_gets_a_connection_and_nobody_else() {
        let (channel, _) = answering();
        let home = Pathname::root();
        let broken = Outcome::Broken("no home".to_owned());
        for (number, name, password, outcome, descriptors) in [
            (1, "anna", "right", Outcome::Welcome { home }, 1),
            (2, "anna", "wrong", Outcome::Refused, 0),
            (3, "root", "right", Outcome::Refused, 0),
            (4, "homeless", "right", broken, 0),
        ] {
            ask(&channel, number, name, password);
            assert_eq!(
                answer(&channel),
                (Admission { number, outcome }, descriptors)
            );
        }
    }

    #[test]
    fn too_many_are_turned_away_and_the_others_are_not() {
        let (channel, doorman) = answering();
        let slow = u32::try_from(cores()).unwrap();
        let queued = u32::try_from(QUEUE).unwrap();
        for number in 0..slow {
            ask(&channel, number, "slow", "x");
        }
        // Every thread has one.
        doorman.held.wait();
        for number in slow..slow + queued + 5 {
            ask(&channel, number, "anna", "wrong");
        }
        for number in slow + queued..slow + queued + 5 {
            let outcome = Outcome::TooBusy;
            assert_eq!(answer(&channel), (Admission { number, outcome }, 0));
        }
        doorman.held.wait();
        for _ in 0..slow + queued {
            assert_eq!(answer(&channel).0.outcome, Outcome::Refused);
        }
        ask(&channel, 0, "anna", "right");
        assert_eq!(answer(&channel).1, 1, "and served again");
    }

    #[test]
    fn nonsense_ends_it() {
        let (channel, _) = answering();
        channel.send(&[1, 2, 3], &[]).unwrap();
        // The threads that checked have gone, and their end with them.
        assert!(channel.receive().unwrap().is_none());
    }
}
