//! The facade without `async`, against wharf's own server on the loopback interface.
#![cfg(feature = "blocking")]

use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_client::blocking::Client;
use wharf_client::{ErrorKind, FileOptions, Options, Target};
use wharf_net::TcpNet;
use wharf_proto::Pathname;
use wharf_server::{Config, Handle, Server};
use wharf_storage::{Memory, Storage};

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

/// A server in a thread of its own; it has begun to listen when this returns.
fn serve() -> (Target, Handle, thread::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let serving = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let config = Config {
                listen: vec!["127.0.0.1:0".parse().unwrap()],
                ..Config::default()
            };
            let accounts = Arc::new(Open(Arc::new(Memory::new())));
            let net = Arc::new(TcpNet::new());
            let server = Server::bind(config, net, accounts).await.unwrap();
            sender
                .send((server.local_addrs()[0], server.handle()))
                .unwrap();
            server.run().await;
        });
    });
    let (at, handle) = receiver.recv().unwrap();
    (format!("ftp://{at}/").parse().unwrap(), handle, serving)
}

#[test]
fn files_are_readers_writers_and_directories_iterators() {
    let (target, handle, serving) = serve();
    let mut client = Client::open(&target, Options::default()).unwrap();
    let path = |name: &str| name.parse::<Pathname>().unwrap();

    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut upload = client.store(&path("/big"), 0).unwrap();
    upload.write_all(&data).unwrap();
    assert!(upload.finish().unwrap().verified);

    let mut download = client.retrieve(&path("/big"), 10).unwrap();
    assert_eq!(download.size(), Some(1_000_000));
    let mut seen = Vec::new();
    download.read_to_end(&mut seen).unwrap();
    assert_eq!(download.finish().unwrap().bytes, 999_990);
    assert!(seen == data[10..]);

    // Dropped half-way: the next call brings the session in step.
    let mut download = client.retrieve(&path("/big"), 0).unwrap();
    download.read_exact(&mut [0; 10]).unwrap();
    drop(download);
    let mut upload = client.store(&path("/half"), 0).unwrap();
    upload.write_all(b"half").unwrap();
    drop(upload);

    client.make_dir(&path("/dir")).unwrap();
    let names: Vec<Vec<u8>> = client
        .listing(None)
        .unwrap()
        .map(|entry| entry.unwrap().name)
        .collect();
    assert_eq!(names, [b"big".to_vec(), b"dir".to_vec()]);
    let error = client.entry(&path("/none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let local = tempfile::tempdir().unwrap();
    let copy = local.path().join("copy");
    let how = FileOptions::default();
    client.retrieve_to_file(&path("/big"), &copy, &how).unwrap();
    assert!(std::fs::read(copy).unwrap() == data);
    assert_eq!(
        client
            .with(async |client| client.noop().await)
            .unwrap()
            .code(),
        200
    );
    client.quit();
    handle.stop(Duration::ZERO);
    serving.join().unwrap();
}
