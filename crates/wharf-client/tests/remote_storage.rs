//! A server as a store: the conformance suite of stores over wharf's own server, in memory and in virtual time; and what a
//! server of another kind makes of it.

use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_client::{Login, Options, Pool, RemoteStorage, RemoteUploads, Target, Tls, TlsChoice};
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{
    CertificateStore, Fingerprint, SelfSigned, ServerTls, TlsVersions, fingerprint_of,
};
use wharf_proto::Pathname;
use wharf_server::{Config, Server, TlsPolicy};
use wharf_sim::World;
use wharf_storage::{ErrorKind, ListOrder, Memory, Storage, Write, collect, conformance};

/// Lets everybody in to one store.
struct Open(Arc<Memory>);

#[async_trait]
impl Authenticator for Open {
    async fn login(&self, _: &Credentials) -> Result<Granted, Denied> {
        Ok(Granted {
            user: "ann".to_owned(),
            storage: Arc::clone(&self.0) as Arc<dyn Storage>,
            home: Pathname::root(),
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}

/// The server's certificate and what a client believes.
static TLS: LazyLock<(ServerTls, Fingerprint)> = LazyLock::new(|| {
    let own = SelfSigned::new(&["server".to_owned()]).unwrap();
    let (chain, key) = (own.certificate.as_bytes(), own.key.as_bytes());
    let certified = CertificateStore::from_pem("test", chain, key).unwrap();
    let fingerprint = fingerprint_of(&certified.cert[0]);
    let store = Arc::new(CertificateStore::new(vec![certified]));
    let tls = ServerTls::new(store, None, TlsVersions::All).unwrap();
    (tls, fingerprint)
});

/// What is ready at once: nothing in memory needs to be waited for before somebody connects.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match Pin::new(&mut future)
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("has to wait"),
    }
}

struct Stage {
    store: Arc<Memory>,
    pool: Pool,
}

/// A running server with an empty store, and a pool of sessions with it.
fn stage(change: impl FnOnce(&mut Config, &mut Options)) -> Stage {
    let world = World::new();
    world.add_host("server", World::INTERNET, ["192.0.2.1"]);
    world.add_host("client", World::INTERNET, ["198.51.100.7"]);
    let store = Arc::new(Memory::new());
    let mut config = Config {
        listen: vec!["0.0.0.0:21".parse().unwrap()],
        ..Config::default()
    };
    let mut options = Options::default();
    change(&mut config, &mut options);
    let accounts = Arc::new(Open(Arc::clone(&store)));
    let server = at_once(Server::bind(config, world.host("server"), accounts));
    tokio::spawn(server.unwrap().run());
    let target: Target = "ftp://server/".parse().unwrap();
    let most = NonZeroUsize::new(8).unwrap();
    let pool = Pool::new(
        world.host("client"),
        &target,
        Login::anonymous(),
        options,
        most,
    );
    Stage { store, pool }
}

fn path(text: &str) -> Pathname {
    text.parse().unwrap()
}

async fn content(store: &dyn Storage, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = store.open(&path(name), 0).await.unwrap();
    reader.read_to_end(&mut bytes).await.unwrap();
    bytes
}

async fn names(store: &dyn Storage, directory: &str) -> Vec<String> {
    let listing = store.list(&path(directory), ListOrder::Name).await.unwrap();
    let entries = collect(listing).await.unwrap();
    entries
        .into_iter()
        .map(|it| String::from_utf8(it.name).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_server_passes_the_suite_of_stores() {
    conformance::run(|| {
        let stage = stage(|_, _| {});
        Arc::new(RemoteStorage::new(stage.pool, None))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_does_in_tls() {
    conformance::run(|| {
        let stage = stage(|config, options| {
            config.tls = Some(TlsPolicy::new(TLS.0.clone()));
            options.tls = Tls {
                choice: TlsChoice::Require,
                trust: Trust {
                    pins: vec![TLS.1],
                    ..Trust::default()
                },
                ..Tls::default()
            };
        });
        Arc::new(RemoteStorage::new(stage.pool, None))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_does_below_a_directory() {
    conformance::run(|| {
        let stage = stage(|_, _| {});
        stage.store.add_dir(&path("/deep")).unwrap();
        stage.store.add_dir(&path("/deep/down")).unwrap();
        Arc::new(RemoteStorage::new(stage.pool, Some(path("deep/down/"))))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_leaves_the_session_in_step_and_nothing_behind() {
    let stage = stage(|_, _| {});
    stage
        .store
        .add_file(&path("/big"), vec![7; 3_000_000])
        .unwrap();
    let remote = RemoteStorage::new(stage.pool.clone(), None);
    for _ in 0..20 {
        let mut reader = remote.open(&path("/big"), 1).await.unwrap();
        assert_eq!(reader.length(), Some(3_000_000));
        reader.read_exact(&mut [0; 5]).await.unwrap();
        drop(reader);
        let mut upload = remote.create(&path("/new"), Write::Replace).await.unwrap();
        upload.write_all(&vec![1; 300_000]).await.unwrap();
        drop(upload);
        let listing = remote.list(&path("/"), ListOrder::Unsorted).await.unwrap();
        drop(listing);
    }
    assert_eq!(content(&remote, "/big").await.len(), 3_000_000);
    assert_eq!(names(&remote, "/").await, ["big"]);
    assert_eq!(names(&*stage.store, "/").await, ["big"]);
    // They were stopped and brought in step in the background, and none was lost on the way.
    assert!(stage.pool.open() <= 4, "{}", stage.pool.open());
    assert!(stage.pool.take_notes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn direct_uploads_have_their_own_name_from_the_beginning() {
    let stage = stage(|_, _| {});
    let remote = RemoteStorage::new(stage.pool.clone(), None).uploads(RemoteUploads::Direct);
    stage.store.add_file(&path("/a"), "0123456789").unwrap();
    let mut upload = remote.create(&path("/a"), Write::At(4)).await.unwrap();
    upload.write_all(b"xy").await.unwrap();
    upload.commit().await.unwrap();
    assert_eq!(content(&*stage.store, "/a").await, b"0123xy");
    let mut upload = remote.create(&path("/b"), Write::Replace).await.unwrap();
    upload.write_all(b"whole").await.unwrap();
    upload.commit().await.unwrap();
    assert_eq!(names(&*stage.store, "/").await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_lost_of_an_upload_is_told() {
    let stage = stage(|config, _| config.stall = std::time::Duration::from_secs(5));
    let remote = RemoteStorage::new(stage.pool.clone(), None);
    let mut upload = remote.create(&path("/a"), Write::Replace).await.unwrap();
    upload.write_all(b"some").await.unwrap();
    // The server's patience ends; ours does not.
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let error = upload.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    assert!(names(&remote, "/").await.is_empty());
    assert!(names(&*stage.store, "/").await.is_empty());
}
