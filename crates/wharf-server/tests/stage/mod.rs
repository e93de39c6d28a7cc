//! The stage that transcripts and tables play on: a world with one server, one client and a
//! stranger, a store in memory, and a few users. Virtual time, no sockets.

#![allow(dead_code, reason = "each test file uses its own part of the stage")]
#![allow(unreachable_pub, reason = "the stage is a module of several tests")]

pub mod certificates;
pub mod client;
pub mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_net::Net;
use wharf_proto::Pathname;
use wharf_server::{Config, Handle, Observer, Server, Transferred};
use wharf_sim::World;
use wharf_storage::{Memory, Permissions, Scoped, Storage};

pub const SERVER: &str = "203.0.113.9";
pub const SERVER_V6: &str = "2001:db8::9";
pub const CLIENT: &str = "198.51.100.7";
pub const CLIENT_V6: &str = "2001:db8::7";
pub const STRANGER: &str = "198.51.100.66";

/// A running server and the world around it
pub struct Stage {
    pub world: World,
    pub store: Arc<Memory>,
    pub handle: Handle,
    pub running: tokio::task::JoinHandle<()>,
    pub transfers: Arc<Transfers>,
}

/// Remembers what an observer is told
#[derive(Default)]
pub struct Transfers(pub Mutex<Vec<Transferred>>);

impl Observer for Transfers {
    fn transferred(&self, transfer: &Transferred) {
        self.0.lock().unwrap().push(transfer.clone());
    }
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_accounts(change, None).await
    }

    pub async fn with_accounts(
        change: impl FnOnce(&mut Config),
        accounts: Option<Arc<dyn Authenticator>>,
    ) -> Self {
        let world = World::new();
        world.add_host("server", World::INTERNET, [SERVER, SERVER_V6]);
        world.add_host("client", World::INTERNET, [CLIENT, CLIENT_V6]);
        world.add_host("stranger", World::INTERNET, [STRANGER]);
        let store = Arc::new(furnished());
        let transfers = Arc::new(Transfers::default());
        let mut config = Config {
            // Both families, as a dual-stack socket has it; and a door to be closed.
            listen: vec!["[::]:21".parse().unwrap(), "[::]:990".parse().unwrap()],
            observer: Some(Arc::clone(&transfers) as Arc<dyn Observer>),
            ..Config::default()
        };
        change(&mut config);
        let accounts = accounts.unwrap_or_else(|| Arc::new(Users(Arc::clone(&store))));
        let server = Server::bind(config, world.host("server"), accounts)
            .await
            .unwrap();
        let handle = server.handle();
        Self {
            world,
            store,
            handle,
            running: tokio::spawn(server.run()),
            transfers,
        }
    }

    pub fn net(&self, host: &str) -> Arc<dyn Net> {
        self.world.host(host)
    }
}

pub fn path(text: &str) -> Pathname {
    text.parse().unwrap()
}

/// What every test finds in the store
fn furnished() -> Memory {
    let store = Memory::new();
    store.add_file(&path("/hello.txt"), "hello\n").unwrap();
    store.add_file(&path("/digits"), "0123456789").unwrap();
    store.add_file(&path("/empty"), "").unwrap();
    store.add_file(&path("/.hidden"), "shy").unwrap();
    store
        .add_file(&path("/big"), vec![b'x'; 2_000_000])
        .unwrap();
    store.add_dir(&path("/set")).unwrap();
    store.add_file(&path("/set/f1.txt"), "one").unwrap();
    store.add_file(&path("/set/f2.txt"), "two").unwrap();
    store.add_file(&path("/set/g.bin"), "three").unwrap();
    store.add_dir(&path("/set/deep")).unwrap();
    store.add_file(&path("/set/deep/last"), "four").unwrap();
    store.add_dir(&path("/void")).unwrap();
    store.add_dir(&path("/home")).unwrap();
    store.add_link(&path("/link"), "hello.txt").unwrap();
    store.add_link(&path("/way"), "set").unwrap();
    store.add_link(&path("/nowhere"), "gone").unwrap();
    store
}

/// `ann`/`secret` may do everything, `bob`/`secret` may read, `eve` may have one session,
/// `home`/`secret` begins in /home, `slow` takes its time, `walk` needs no password, `kat` has a certificate alone and
/// `two` one and the password `secret`
pub struct Users(Arc<Memory>);

#[async_trait]
impl Authenticator for Users {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        let granted = |permissions: Permissions, home: &str| Granted {
            user: String::from_utf8_lossy(who.user.as_bytes()).into_owned(),
            storage: Arc::new(Scoped::new(
                Arc::clone(&self.0) as Arc<dyn Storage>,
                &Pathname::root(),
                permissions,
            )),
            home: path(home),
            welcome: None,
            limits: UserLimits::default(),
        };
        if who.user.is_word("walk") {
            return Ok(granted(Permissions::READ_ONLY, "/"));
        }
        if who.user.is_word("broken") {
            return Err(Denied::Broken("the users' file is on fire".into()));
        }
        if who.user.is_word("busy") {
            return Err(Denied::TooBusy);
        }
        let certificate = who.certificate.as_ref();
        let shown = |name: &str| certificate.is_some_and(|it| it.names.contains(&name.to_owned()));
        if who.password.expose() != b"secret" {
            return Err(Denied::Refused);
        }
        match who.user.as_bytes() {
            b"ann" => Ok(granted(Permissions::FULL, "/")),
            b"two" if shown("two@example.org") => Ok(granted(Permissions::FULL, "/")),
            b"bob" => Ok(granted(Permissions::READ_ONLY, "/")),
            b"home" => Ok(granted(Permissions::FULL, "/home")),
            b"slow" => {
                tokio::time::sleep(Duration::from_millis(700)).await;
                let mut granted = granted(Permissions::FULL, "/");
                granted.welcome = Some("It took a while\nbut here we are".to_owned());
                Ok(granted)
            }
            b"eve" => {
                let mut granted = granted(Permissions::FULL, "/");
                granted.limits.sessions = Some(1);
                Ok(granted)
            }
            _ => Err(Denied::Refused),
        }
    }

    async fn login_by_certificate(&self, who: &Credentials) -> Result<Option<Granted>, Denied> {
        let certificate = who.certificate.as_ref().expect("asked with one only");
        let is_kats = certificate.names.contains(&"kat@example.org".to_owned());
        if !is_kats || !who.user.is_word("kat") {
            return Ok(None);
        }
        Ok(Some(Granted {
            user: "kat".to_owned(),
            storage: Arc::clone(&self.0) as Arc<dyn Storage>,
            home: path("/home"),
            welcome: Some("Your certificate will do".to_owned()),
            limits: UserLimits::default(),
        }))
    }

    fn needs_password(&self, user: &[u8]) -> bool {
        user != b"walk"
    }
}
