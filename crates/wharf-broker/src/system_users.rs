//! Users of this system, in the process that talks to the network: it knows none of them and asks the broker.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_proto::Pathname;
use wharf_storage::{Permissions, Scoped, Storage};
use wharf_worker::Remote;

use crate::channel::Channel;
use crate::link::Link;
use crate::login::{Admission, Login, Outcome};
use crate::message::Request;

/// How long an answer is waited for. All logins that may wait take less, but for a module of PAM that hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Lets in whom the broker lets in. What it gives is a process that is that user.
pub struct SystemUsers {
    asker: Arc<Asker>,
    permissions: Permissions,
}

struct Asker {
    channel: Arc<Channel>,
    waiting: Arc<Waiting>,
    last: AtomicU32,
}

type Answered = (Outcome, Option<OwnedFd>);

/// Who waits for which answer; `None` when no more will come.
struct Waiting(Mutex<Option<HashMap<u32, oneshot::Sender<Answered>>>>);

impl Waiting {
    fn all(&self) -> MutexGuard<'_, Option<HashMap<u32, oneshot::Sender<Answered>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SystemUsers {
    /// Asks the broker from now on, which it can be asked for once.
    ///
    /// # Errors
    /// The broker lets no system users in, or is gone.
    pub fn new(link: &Link) -> io::Result<Self> {
        Self::at(Channel::of(link.descriptor(&Request::Logins)?))
    }

    /// The same users: everybody may do so much, where the files of the system do not say less.
    #[must_use]
    pub fn with_permissions(&self, permissions: Permissions) -> Self {
        Self {
            asker: Arc::clone(&self.asker),
            permissions,
        }
    }

    fn at(channel: Channel) -> io::Result<Self> {
        let channel = Arc::new(channel);
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let (heard, answers) = (Arc::clone(&channel), Arc::clone(&waiting));
        thread::Builder::new()
            .name("admissions".to_owned())
            .spawn(move || {
                if let Err(error) = hear(&heard, &answers) {
                    tracing::error!(%error, "the broker answers no logins of system users any more");
                }
                *answers.all() = None;
            })?;
        Ok(Self {
            asker: Arc::new(Asker {
                channel,
                waiting,
                last: AtomicU32::new(0),
            }),
            permissions: Permissions::FULL,
        })
    }
}

impl Asker {
    async fn ask(&self, login: Login) -> Result<Answered, Denied> {
        let gone = || Denied::Broken("the broker lets no system users in any more".into());
        let Some(packet) = login.encode() else {
            // Nobody's name or password is as long.
            return Err(Denied::Refused);
        };
        let (answer, answered) = oneshot::channel();
        match self.waiting.all().as_mut() {
            Some(waiting) => waiting.insert(login.number, answer),
            None => return Err(gone()),
        };
        if let Err(error) = self.channel.send_at_once(&packet, &[]) {
            if let Some(waiting) = self.waiting.all().as_mut() {
                waiting.remove(&login.number);
            }
            return Err(match error.kind() {
                io::ErrorKind::WouldBlock => Denied::TooBusy,
                _ => Denied::Broken(error.into()),
            });
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(answer) => answer.map_err(|_| gone()),
            Err(_) => {
                // What comes yet is nobody's.
                if let Some(waiting) = self.waiting.all().as_mut() {
                    waiting.remove(&login.number);
                }
                Err(Denied::Broken("the broker does not answer in time".into()))
            }
        }
    }
}

/// Gives out the answers, for as long as they come.
fn hear(channel: &Channel, waiting: &Waiting) -> io::Result<()> {
    while let Some(packet) = channel.receive()? {
        let Admission { number, outcome } = Admission::decode(&packet.bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let waits = waiting.all().as_mut().and_then(|all| all.remove(&number));
        if let Some(waits) = waits {
            // The session has ended meanwhile: its worker sees that nobody is there.
            let _ = waits.send((outcome, packet.descriptors.into_iter().next()));
        }
    }
    Ok(())
}

#[async_trait]
impl Authenticator for SystemUsers {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        // A name that is no text is nobody's, and takes the time of everybody's.
        let name = std::str::from_utf8(who.user.as_bytes()).unwrap_or_default();
        let login = Login {
            number: self.asker.last.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            password: who.password.clone(),
            from: who.peer,
        };
        let (outcome, descriptor) = self.asker.ask(login).await?;
        let (home, connection) = match (outcome, descriptor) {
            (Outcome::Welcome { home }, Some(connection)) => (home, connection),
            (Outcome::Welcome { .. }, None) => {
                return Err(Denied::Broken("the broker answers something else".into()));
            }
            (Outcome::Refused, _) => return Err(Denied::Refused),
            (Outcome::TooBusy, _) => return Err(Denied::TooBusy),
            (Outcome::Broken(why), _) => return Err(Denied::Broken(why.into())),
        };
        let remote = Remote::new(connection).map_err(|error| Denied::Broken(error.into()))?;
        // Whether the worker could begin; its own log says why not.
        let begun = remote.metadata(&Pathname::root()).await;
        begun.map_err(|error| Denied::Broken(error.into()))?;
        // One that is not there, or is closed to its own user, is no reason to stay outside.
        let home = match remote.metadata(&home).await {
            Ok(found) if found.is_dir() => home,
            _ => Pathname::root(),
        };
        let remote: Arc<dyn Storage> = Arc::new(remote);
        let storage = if self.permissions == Permissions::FULL {
            remote
        } else {
            Arc::new(Scoped::new(remote, &Pathname::root(), self.permissions))
        };
        Ok(Granted {
            user: name.to_owned(),
            storage,
            home,
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::path::Path;

    use wharf_proto::Text;
    use wharf_storage::{ErrorKind, Local, LocalOptions, Write};
    use wharf_worker::{channel, serve};

    use super::*;

    fn who(name: &[u8]) -> Credentials {
        Credentials {
            user: Text::new(name).unwrap(),
            password: "right".parse().unwrap(),
            peer: [127, 0, 0, 1].into(),
            certificate: None,
        }
    }

    /// A broker that answers as many logins, anna's with a connection.
    fn broker(logins: usize, served: &Path) -> (SystemUsers, tokio::task::JoinHandle<()>) {
        let (own, theirs) = Channel::pair().unwrap();
        let users = SystemUsers::at(theirs)
            .unwrap()
            .with_permissions(Permissions::READ_ONLY);
        let store = Local::open(served, LocalOptions::default()).unwrap();
        let store: Arc<dyn Storage> = Arc::new(store);
        let runtime = tokio::runtime::Handle::current();
        let answering = tokio::task::spawn_blocking(move || {
            for _ in 0..logins {
                let packet = own.receive().unwrap().unwrap();
                let login = Login::decode(&packet.bytes).unwrap();
                let (number, name) = (login.number, login.name.as_str());
                let outcome = match name {
                    "anna" | "nothing" => Outcome::Welcome {
                        home: "/in".parse().unwrap(),
                    },
                    "busy" => Outcome::TooBusy,
                    "homeless" => Outcome::Broken("no home".to_owned()),
                    _ => Outcome::Refused,
                };
                let answer = Admission { number, outcome }.encode();
                if name == "anna" {
                    let (here, there) = channel::pair().unwrap();
                    runtime.spawn(serve(Arc::clone(&store), there));
                    own.send(&answer, &[here.as_fd()]).unwrap();
                } else {
                    own.send(&answer, &[]).unwrap();
                }
            }
        });
        (users, answering)
    }

    /// A module of PAM may hang.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let (_own, theirs) = Channel::pair().unwrap();
        let users = SystemUsers::at(theirs).unwrap();
        let outcome = users.login(&who(b"anna")).await.unwrap_err();
        assert_eq!(
            outcome.to_string(),
            "login is not possible: the broker does not answer in time"
        );
        assert!(users.asker.waiting.all().as_ref().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_broker_decides() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "hello").unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        let (users, answering) = broker(6, dir.path());
        let granted = users.login(&who(b"anna")).await.unwrap();
        assert_eq!(
            (granted.user.as_str(), granted.home.as_bytes()),
            ("anna", &b"/in"[..])
        );
        let a: Pathname = "/a".parse().unwrap();
        assert_eq!(granted.storage.metadata(&a).await.unwrap().size, 5);
        let denied = granted.storage.create(&a, Write::Replace).await;
        assert_eq!(
            denied.err().unwrap().kind(),
            ErrorKind::Denied,
            "reading only"
        );

        for (name, denied) in [
            (&b"bert"[..], "login refused"),
            (b"\xFF", "login refused"),
            (b"busy", "too many logins at once"),
            (b"homeless", "login is not possible: no home"),
            (
                b"nothing",
                "login is not possible: the broker answers something else",
            ),
        ] {
            let outcome = users.login(&who(name)).await;
            assert_eq!(outcome.unwrap_err().to_string(), denied, "{name:?}");
        }
        answering.await.unwrap();
        // The broker has gone.
        let outcome = users.login(&who(b"anna")).await;
        assert!(matches!(outcome, Err(Denied::Broken(_))), "{outcome:?}");
    }
}
