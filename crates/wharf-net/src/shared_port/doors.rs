//! Listening ports and who comes in: one task a door, one queue for all.
//!
//! What arrives at a control door or at a shared data door is handed on with the door's number; whose it is, the porter
//! finds out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf_proto::data_connection::sorting::{Door, Takes};

use crate::conn::Conn;
use crate::net::Listener;

/// After `accept` fails for want of descriptors there is no use in trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the log is told that `accept` fails
const ACCEPT_WARNING: Duration = Duration::from_secs(10);

/// What a door reports
pub(super) enum Event {
    /// Somebody came
    Arrived(Entrance, Box<Conn>),
    /// Nobody else had come when this sweep was asked for
    Swept(u64),
}

/// Where somebody came in.
#[derive(Debug, Clone, Copy)]
pub struct Entrance {
    /// The door.
    pub door: Door,
    /// The address in the configuration, which data doors have in common with their control door.
    pub wanted: SocketAddr,
}

/// A listener that has become a door, and is not open yet.
pub struct NewDoor {
    entrance: Entrance,
    listener: Box<dyn Listener>,
    /// For data doors: the door is closed with the last session that may use it
    until: Option<oneshot::Receiver<()>>,
}

impl NewDoor {
    /// A control door. `number` is its own among all doors of its [`Reception`](super::Reception); `wanted` is the address
    /// in the configuration, whose port may be 0.
    pub fn control(number: u32, wanted: SocketAddr, listener: Box<dyn Listener>) -> Self {
        Self::new(number, Takes::Control, wanted, listener)
    }

    /// The same where control connections begin in TLS (implicit FTPS).
    pub fn implicit(number: u32, wanted: SocketAddr, listener: Box<dyn Listener>) -> Self {
        Self::new(number, Takes::ControlInTls, wanted, listener)
    }

    fn new(number: u32, takes: Takes, wanted: SocketAddr, listener: Box<dyn Listener>) -> Self {
        Self {
            entrance: Entrance {
                door: Door { number, takes },
                wanted,
            },
            listener,
            until: None,
        }
    }

    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }
}

/// A shared data port, open for as long as somebody has this.
pub struct DataDoor {
    /// The door.
    pub door: Door,
    /// Of the control listeners whose clients it serves.
    pub ip: IpAddr,
    /// Its real port.
    pub port: u16,
    /// Held for its drop, which closes the door
    _open: oneshot::Sender<()>,
}

/// The shared data ports of a configuration.
pub type DataDoors = Arc<[Arc<DataDoor>]>;

impl DataDoor {
    /// A data door for the clients of the control listeners on `ip`; `number` is its own among all doors. The second half
    /// is to be opened.
    pub fn new(number: u32, ip: IpAddr, listener: Box<dyn Listener>) -> (Arc<Self>, NewDoor) {
        let door = Door {
            number,
            takes: Takes::Data,
        };
        let (open, until) = oneshot::channel();
        let at = listener.local_addr();
        let new = NewDoor {
            entrance: Entrance {
                door,
                wanted: SocketAddr::new(ip, at.port()),
            },
            listener,
            until: Some(until),
        };
        let this = Self {
            door,
            ip,
            port: at.port(),
            _open: open,
        };
        (Arc::new(this), new)
    }
}

/// Every open door
pub(super) struct Doors {
    control: Vec<ControlDoor>,
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
}

struct ControlDoor {
    entrance: Entrance,
    task: tokio::task::AbortHandle,
    sweep: Arc<Sweep>,
}

/// Asks a door whether it has handed on everybody who has come so far
#[derive(Default)]
struct Sweep {
    wanted: std::sync::atomic::AtomicU64,
    notify: Notify,
}

impl Default for Doors {
    fn default() -> Self {
        let (sender, events) = mpsc::channel(1);
        Self {
            control: Vec::new(),
            tasks: JoinSet::new(),
            sender,
            events,
        }
    }
}

impl Doors {
    pub(super) fn open(&mut self, new: NewDoor) {
        let NewDoor {
            entrance,
            listener,
            until,
        } = new;
        let sweep = Arc::new(Sweep::default());
        let accepting = accept(listener, entrance, self.sender.clone(), Arc::clone(&sweep));
        match until {
            Some(until) => {
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = accepting => {}
                        _ = until => {}
                    }
                });
            }
            None => self.control.push(ControlDoor {
                entrance,
                task: self.tasks.spawn(accepting),
                sweep,
            }),
        }
    }

    /// Whether there is a control door for this address of the configuration
    pub(super) fn has_control(&self, wanted: SocketAddr) -> bool {
        self.control
            .iter()
            .any(|door| door.entrance.wanted == wanted)
    }

    /// Whether a door is still open; data doors are as long as anybody may ask
    pub(super) fn is_open(&self, door: Door) -> bool {
        door.takes == Takes::Data || self.control.iter().any(|it| it.entrance.door == door)
    }

    /// Closes the control doors that are not `wanted` any more
    pub(super) fn keep(&mut self, wanted: &[SocketAddr]) {
        self.control.retain(|door| {
            let stays = wanted.contains(&door.entrance.wanted);
            if !stays {
                door.task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
    }

    /// Every control door answers with [`Event::Swept`] when it has handed on whoever came before now; how many they are
    pub(super) fn sweep(&self, number: u64) -> usize {
        for door in &self.control {
            let wanted = &door.sweep.wanted;
            wanted.store(number, std::sync::atomic::Ordering::Release);
            door.sweep.notify.notify_one();
        }
        self.control.len()
    }

    pub(super) async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // Not reached: a sender lives in `self`.
            None => std::future::pending().await,
        }
    }
}

async fn accept(
    mut listener: Box<dyn Listener>,
    entrance: Entrance,
    events: mpsc::Sender<Event>,
    sweep: Arc<Sweep>,
) {
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            // First those who have come, then the answer that they were all.
            biased;
            accepted = listener.accept() => accepted,
            () = sweep.notify.notified() => {
                let number = sweep.wanted.load(std::sync::atomic::Ordering::Acquire);
                if events.send(Event::Swept(number)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        match accepted {
            Ok(conn) => {
                if events
                    .send(Event::Arrived(entrance, Box::new(conn)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => {
                if warned.is_none_or(|when| when.elapsed() >= ACCEPT_WARNING) {
                    tracing::warn!(%error, address = %listener.local_addr(), "cannot accept");
                    warned = Some(Instant::now());
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
