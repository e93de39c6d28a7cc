//! What is about more than one session, or about what the world sees of one

mod stage;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use stage::client::Client;
use stage::{CLIENT, SERVER, STRANGER, Stage, path};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_net::{Recorder, Source};
use wharf_proto::Pathname;
use wharf_proto::trace::{Event, What};
use wharf_server::{Address, Advertise, AdvertiseRule, Config, Direction, OnePort, Outcome};
use wharf_storage::{
    Entry, Kind, ListOrder, Listing, Memory, MemoryOptions, Metadata, Reader, Storage, Upload,
    Write,
};

#[tokio::test(start_paused = true)]
async fn sessions_are_limited_in_total_and_per_address() {
    let stage = Stage::with(|config| {
        config.max_sessions = 3;
        config.max_per_address = 2;
    })
    .await;
    let mut first = Client::connect(&stage).await;
    first.expect(220).await;
    let mut second = Client::connect(&stage).await;
    second.expect(220).await;
    let mut third = Client::connect(&stage).await;
    assert!(third.expect(421).await.contains("your address"));
    assert_eq!(third.line().await, None);
    let stranger = stage.net("stranger");
    let at = SocketAddr::new(SERVER.parse().unwrap(), 21);
    let _third = stranger.connect(Source::Any, at).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(stage.handle.sessions(), 3);
    let mut fourth = stranger.connect(Source::Any, at).await.unwrap();
    let mut said = String::new();
    fourth.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("421 Too many sessions"), "{said}");
    first.say("QUIT", 221).await;
    assert_eq!(first.line().await, None);
    drop(first);
    let mut fifth = Client::connect(&stage).await;
    fifth.expect(220).await;
}

#[tokio::test(start_paused = true)]
async fn both_wildcards_can_be_listened_on() {
    for listen in [["0.0.0.0:21", "[::]:21"], ["[::]:21", "0.0.0.0:21"]] {
        let listen = listen.map(|at| at.parse().unwrap()).to_vec();
        let stage = Stage::with(|config| config.listen = listen).await;
        Client::connect(&stage).await.expect(220).await;
        Client::connect_v6(&stage).await.expect(220).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_has_the_sessions_that_the_account_allows() {
    let stage = Stage::new().await;
    let mut first = Client::login(&stage, "eve").await;
    let mut second = Client::connect(&stage).await;
    second.expect(220).await;
    second.say("USER eve", 331).await;
    second.say("PASS secret", 530).await;
    first.say("REIN", 220).await;
    second.say("USER eve", 331).await;
    second.say("PASS secret", 230).await;
}

/// Checks passwords one second each and remembers how many at the same time
#[derive(Default)]
struct Counting(Mutex<(usize, usize)>);

#[async_trait]
impl Authenticator for Counting {
    async fn login(&self, _: &Credentials) -> Result<Granted, Denied> {
        {
            let mut now_and_most = self.0.lock().unwrap();
            now_and_most.0 += 1;
            now_and_most.1 = now_and_most.1.max(now_and_most.0);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.lock().unwrap().0 -= 1;
        Err(Denied::Refused)
    }
}

#[tokio::test(start_paused = true)]
async fn one_address_has_a_few_logins_checked_at_once() {
    let accounts = Arc::new(Counting::default());
    let stage = Stage::with_accounts(|_| {}, Some(accounts.clone())).await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = Client::connect(&stage).await;
        client.expect(220).await;
        client.send(b"USER ann\r\nPASS guess\r\n").await;
        clients.push(client);
    }
    for client in &mut clients {
        client.expect(331).await;
        assert!(client.expect(530).await.contains("incorrect"));
    }
    assert_eq!(*accounts.0.lock().unwrap(), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_lets_transfers_finish() {
    let stage = Stage::new().await;
    let mut idle = Client::login(&stage, "ann").await;
    let mut busy = Client::login(&stage, "ann").await;
    busy.say("EPSV", 229).await;
    busy.open().await;
    busy.say("STOR late", 150).await;
    busy.data().write_all(b"not yet").await.unwrap();
    stage.handle.stop(Duration::from_secs(30));
    idle.expect(421).await;
    assert_eq!(idle.line().await, None);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let net = stage.net("client");
    let at = SocketAddr::new(SERVER.parse().unwrap(), 21);
    assert!(net.connect(Source::Any, at).await.is_err());
    busy.data().shutdown().await.unwrap();
    busy.expect(226).await;
    busy.expect(421).await;
    stage.running.await.unwrap();
    assert!(stage.store.metadata(&path("/late")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_ends_at_its_deadline() {
    let stage = Stage::new().await;
    let mut busy = Client::login(&stage, "ann").await;
    busy.say("EPSV", 229).await;
    busy.open().await;
    busy.say("STOR late", 150).await;
    busy.data().write_all(b"never").await.unwrap();
    let began = Instant::now();
    stage.handle.stop(Duration::from_mins(10));
    stage.handle.stop(Duration::from_secs(30));
    busy.expect(426).await;
    busy.expect(421).await;
    drop(busy);
    stage.running.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(35));
    assert!(stage.store.metadata(&path("/late")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reload_is_for_new_sessions() {
    let stage = Stage::new().await;
    let mut old = Client::login(&stage, "ann").await;
    let config = Config {
        listen: vec![
            "[::]:21".parse().unwrap(),
            format!("{SERVER}:2121").parse().unwrap(),
        ],
        greeting: "another one".to_owned(),
        active: false,
        ..Config::default()
    };
    stage.handle.reload(config, None).await.unwrap();
    let mut new = Client::connect(&stage).await;
    assert_eq!(new.expect(220).await, "220 another one");
    new.say("USER ann", 331).await;
    new.say("PASS secret", 230).await;
    new.say("PORT 198,51,100,7,200,1", 502).await;
    old.say("PORT 198,51,100,7,200,1", 200).await;
    let net = stage.net("client");
    let second: SocketAddr = format!("{SERVER}:2121").parse().unwrap();
    assert!(net.connect(Source::Any, second).await.is_ok());
    let closed: SocketAddr = format!("{SERVER}:990").parse().unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(net.connect(Source::Any, closed).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_during_an_upload_leaves_nothing() {
    let stage = Stage::new().await;
    // A killed process leaves a FIN on both connections, or resets them; the kernel may take its time.
    for (clean_end, apart) in [(true, 0), (true, 1), (true, 20), (false, 0), (false, 1000)] {
        let mut client = Client::login(&stage, "ann").await;
        client.say("EPSV", 229).await;
        client.open().await;
        client.say("STOR half", 150).await;
        client.data().write_all(&vec![b'h'; 100_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if clean_end {
            client.data().shutdown().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(apart)).await;
        client.vanish();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let stored = stage.store.metadata(&path("/half")).await;
        assert!(stored.is_err(), "{clean_end} {apart}");
    }
    let told = stage.transfers.0.lock().unwrap().clone();
    assert_eq!(told.len(), 5);
    assert!(
        told.iter()
            .all(|transfer| transfer.outcome == Outcome::Incomplete)
    );
}

/// Everybody gets this store
struct OneStore(Arc<dyn Storage>);

#[async_trait]
impl Authenticator for OneStore {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        Ok(Granted {
            user: who.user.display().to_string(),
            storage: Arc::clone(&self.0),
            home: path("/"),
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_appears_is_told_as_complete_even_if_its_client_is_gone() {
    let slow = Arc::new(Memory::with_options(MemoryOptions {
        latency: Some(Duration::from_secs(10)),
        ..MemoryOptions::default()
    }));
    let stage = Stage::with_accounts(|_| {}, Some(Arc::new(OneStore(slow.clone())))).await;
    let mut client = Client::login(&stage, "ann").await;
    client.say("EPSV", 229).await;
    client.open().await;
    client.say("STOR whole", 150).await;
    client.data().write_all(b"whole").await.unwrap();
    client.data().shutdown().await.unwrap();
    // The commit has begun and takes ten seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.vanish();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(slow.metadata(&path("/whole")).await.unwrap().size, 5);
    let told = stage.transfers.0.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_said_quit_may_vanish() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    client.say("EPSV", 229).await;
    client.open().await;
    client.say("STOR whole", 150).await;
    client.say("QUIT", 221).await;
    client.control().shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.data().write_all(b"whole").await.unwrap();
    client.data().shutdown().await.unwrap();
    client.expect(226).await;
    assert_eq!(client.line().await, None);
    assert!(stage.store.metadata(&path("/whole")).await.is_ok());
    let told = stage.transfers.0.lock().unwrap().clone();
    assert_eq!(told[0].direction, Direction::Upload);
    assert_eq!(told[0].outcome, Outcome::Complete);
    assert_eq!((told[0].bytes, told[0].user.as_str()), (5, "ann"));
}

#[tokio::test(start_paused = true)]
async fn no_packet_goes_to_a_refused_target() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    for target in [
        "PORT 198,51,100,66,200,1",
        "EPRT |1|198.51.100.66|51201|",
        "PORT 198,51,100,7,0,21",
        "PORT 0,0,0,0,200,1",
        "PORT 127,0,0,1,200,1",
        "EPRT |2|::ffff:198.51.100.66|51201|",
    ] {
        client
            .send(format!("{target}\r\nLIST\r\n").as_bytes())
            .await;
        let (refusal, _) = client.reply().await;
        assert!(refusal >= 500, "{target}");
        client.expect(425).await;
    }
    let connects = stage.world.attempts();
    assert!(
        connects.iter().all(|attempt| attempt.host == "client"),
        "{connects:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn active_connections_come_from_port_20_when_it_can_be_had() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    let at = client.listen().await;
    // Twice to the same port: the address pair of the first one must not stand in the way.
    for _ in 0..2 {
        client
            .say(&format!("EPRT |1|{}|{}|", at.ip(), at.port()), 200)
            .await;
        client.say("NLST void", 150).await;
        let from = client.accept().await;
        assert_eq!(from, SocketAddr::new(SERVER.parse().unwrap(), 20));
        client.receive().await;
        client.expect(226).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_passive_range_is_never_left() {
    let stage = Stage::with(|config| {
        config.one_port = OnePort::Off;
        config.passive_ports = "60000-60001".parse().unwrap();
    })
    .await;
    let mut first = Client::login(&stage, "ann").await;
    let mut second = Client::login(&stage, "ann").await;
    let mut third = Client::login(&stage, "ann").await;
    first.say("EPSV", 229).await;
    second.say("PASV", 227).await;
    let mut ports = [first.told.unwrap().port(), second.told.unwrap().port()];
    ports.sort_unstable();
    assert_eq!(ports, [60000, 60001]);
    for command in ["PASV", "EPSV", "LPSV"] {
        let text = third.say(command, 425).await;
        assert!(text.contains("60000-60001"), "{text}");
    }
    // Asking again takes no second port.
    first.say("EPSV", 229).await;
    third.say("EPSV", 425).await;
    first.say("ABOR", 225).await;
    third.say("EPSV", 229).await;
}

#[tokio::test(start_paused = true)]
async fn a_passive_port_that_is_not_used_is_given_back() {
    let stage = Stage::with(|config| {
        config.one_port = OnePort::Off;
        config.passive_ports = "60000-60000".parse().unwrap();
    })
    .await;
    let mut first = Client::login(&stage, "ann").await;
    let mut second = Client::login(&stage, "ann").await;
    for refused in [None, Some("RETR gone")] {
        first.say("EPSV", 229).await;
        if let Some(command) = refused {
            first.say(command, 550).await;
        }
        tokio::time::sleep(Duration::from_secs(58)).await;
        second.say("EPSV", 425).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        second.say("EPSV", 229).await;
        second.say("ABOR", 225).await;
        first.say("LIST", 425).await;
    }
    // The session itself waits for as long as ever.
    first.say("EPSV", 229).await;
    tokio::time::sleep(Duration::from_secs(599)).await;
    first.say("NOOP", 200).await;
    first.say("EPSV", 229).await;
    tokio::time::sleep(Duration::from_secs(601)).await;
    first.expect(421).await;
}

#[tokio::test(start_paused = true)]
async fn each_client_is_told_an_address_that_it_can_use() {
    let named =
        |address| Stage::with(move |config| config.advertise = Advertise::everybody(address));
    let passive = async |stage: &Stage| {
        let mut client = Client::login(stage, "ann").await;
        client.say("PASV", 227).await;
        client.told.unwrap().ip().to_string()
    };
    assert_eq!(passive(&Stage::new().await).await, SERVER);
    let fixed = named(Address::Fixed("192.0.2.77".parse().unwrap())).await;
    assert_eq!(passive(&fixed).await, "192.0.2.77");
    let name = named(Address::Name("ftp.example".to_owned())).await;
    name.world.add_name("ftp.example", "192.0.2.78");
    assert_eq!(passive(&name).await, "192.0.2.78");
    let unknown = named(Address::Name("nobody.example".to_owned())).await;
    assert_eq!(passive(&unknown).await, SERVER);
    let rules = Stage::with(|config| {
        config.advertise = Advertise {
            rules: vec![AdvertiseRule {
                clients: "198.51.100.0/24".parse().unwrap(),
                address: Address::Fixed("192.0.2.79".parse().unwrap()),
            }],
            default: Address::Reached,
        };
    })
    .await;
    assert_eq!(passive(&rules).await, "192.0.2.79");
}

/// A store whose one directory holds what another program on the host has made
struct Forged;

struct Once(Option<Vec<Entry>>);

#[async_trait]
impl Listing for Once {
    async fn next(&mut self) -> wharf_storage::Result<Option<Vec<Entry>>> {
        Ok(self.0.take())
    }
}

fn facts_of(kind: Kind) -> Metadata {
    Metadata {
        kind,
        size: 1,
        modified: SystemTime::UNIX_EPOCH,
        mode: None,
        uid: None,
        gid: None,
        links: 1,
        unique: None,
    }
}

#[async_trait]
impl Storage for Forged {
    async fn metadata(&self, _: &Pathname) -> wharf_storage::Result<Metadata> {
        Ok(facts_of(Kind::Directory))
    }

    async fn link_metadata(&self, path: &Pathname) -> wharf_storage::Result<Metadata> {
        self.metadata(path).await
    }

    async fn list(&self, _: &Pathname, _: ListOrder) -> wharf_storage::Result<Box<dyn Listing>> {
        let entry = |name: &[u8], target: Option<&[u8]>| Entry {
            name: name.to_vec(),
            metadata: facts_of(if target.is_some() {
                Kind::Symlink
            } else {
                Kind::File
            }),
            link_target: target.map(<[u8]>::to_vec),
        };
        Ok(Box::new(Once(Some(vec![
            entry(b"fake\r\n226 Transfer complete", None),
            entry(b"fake\nline", None),
            entry(b"fake\rline", None),
            entry(b"fake\0line", None),
            entry(b"link", Some(b"fake\r\ntarget")),
            entry(b"r\xe9al", None),
        ]))))
    }

    async fn open(&self, _: &Pathname, _: u64) -> wharf_storage::Result<Reader> {
        Err(wharf_storage::Error::unsupported())
    }

    async fn create(&self, _: &Pathname, _: Write) -> wharf_storage::Result<Box<dyn Upload>> {
        Err(wharf_storage::Error::unsupported())
    }

    async fn remove_file(&self, _: &Pathname) -> wharf_storage::Result<()> {
        Err(wharf_storage::Error::unsupported())
    }

    async fn create_dir(&self, _: &Pathname) -> wharf_storage::Result<()> {
        Err(wharf_storage::Error::unsupported())
    }

    async fn remove_dir(&self, _: &Pathname) -> wharf_storage::Result<()> {
        Err(wharf_storage::Error::unsupported())
    }

    async fn rename(&self, _: &Pathname, _: &Pathname) -> wharf_storage::Result<()> {
        Err(wharf_storage::Error::unsupported())
    }
}

#[async_trait]
impl Authenticator for Forged {
    async fn login(&self, _: &Credentials) -> Result<Granted, Denied> {
        Ok(Granted {
            user: "any".to_owned(),
            storage: Arc::new(Self),
            home: path("/"),
            welcome: Some("two\r\nlines".to_owned()),
            limits: UserLimits::default(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn names_with_line_breaks_forge_no_listing_line() {
    let stage = Stage::with_accounts(|_| {}, Some(Arc::new(Forged))).await;
    let mut client = Client::login(&stage, "ann").await;
    for (command, lines) in [("LIST -a", 2), ("NLST -a", 2), ("MLSD", 2), ("LIST *", 2)] {
        let listing = client.download(command).await;
        let lossy = String::from_utf8_lossy(&listing);
        assert!(!lossy.contains("fake"), "{command}: {lossy}");
        assert_eq!(lossy.lines().count(), lines, "{command}: {lossy}");
        assert!(
            listing.windows(4).any(|bytes| bytes == b"r\xe9al"),
            "{command}: {lossy}"
        );
    }
    let text = client.say("STAT -a /", 212).await;
    assert!(!text.contains("fake"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_line_without_an_end_costs_no_memory() {
    let stage = Stage::new().await;
    let mut client = Client::connect(&stage).await;
    client.expect(220).await;
    let block = vec![b'A'; 1 << 20];
    for _ in 0..20 {
        client.control().write_all(&block).await.unwrap();
    }
    client.send(b"\r\nNOOP\r\n").await;
    client.expect(500).await;
    client.expect(200).await;
}

#[tokio::test(start_paused = true)]
async fn lines_that_come_during_a_transfer_are_bounded_and_not_lost() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    client.say("EPSV", 229).await;
    client.open().await;
    client.say("STOR slow", 150).await;
    let burst = "PWD\r\n".repeat(100);
    client.send(burst.as_bytes()).await;
    assert!(client.is_quiet().await);
    client.data().shutdown().await.unwrap();
    client.expect(226).await;
    for _ in 0..100 {
        client.expect(257).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_saturated_transfer_does_not_deafen_the_control_connection() {
    let stage = Stage::new().await;
    let all = vec![b'z'; 64 << 20];
    stage.store.add_file(&path("/huge"), all).unwrap();
    let mut client = Client::login(&stage, "ann").await;
    client.say("TYPE I", 200).await;
    client.say("EPSV", 229).await;
    client.open().await;
    client.say("RETR huge", 150).await;
    let mut data = client.data.take().unwrap();
    let reader = tokio::spawn(async move {
        let mut sum = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match data.read(&mut buffer).await {
                Ok(0) => return Ok(sum),
                Ok(n) => sum += n,
                Err(error) => return Err(error),
            }
        }
    });
    client.say("NOOP", 200).await;
    client.say("STAT", 211).await;
    assert!(client.last_sent.elapsed() < Duration::from_millis(100));
    assert!(!reader.is_finished());
    client.expect(226).await;
    assert_eq!(reader.await.unwrap().unwrap(), 64 << 20);
}

/// Keeps the events
#[derive(Default)]
struct Tape(Mutex<Vec<Event>>);

impl Recorder for Tape {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_hears_everything_but_the_password() {
    let tape = Arc::new(Tape::default());
    let recorder = Arc::clone(&tape);
    let stage = Stage::with(move |config| config.recorder = Some(recorder)).await;
    let mut client = Client::login(&stage, "ann").await;
    client.download("NLST void").await;
    client.say("QUIT", 221).await;
    assert_eq!(client.line().await, None);
    let events = tape.0.lock().unwrap();
    let text = wharf_proto::trace::write(&events);
    assert!(text.contains("> USER ann"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(
        events
            .iter()
            .any(|event| matches!(event.what, What::DataOpened { .. })),
        "{text}"
    );
    assert!(
        events
            .iter()
            .any(|event| matches!(event.what, What::DataClosed { .. })),
        "{text}"
    );
    assert!(events.iter().all(|event| event.session == 1), "{text}");
}

#[tokio::test(start_paused = true)]
async fn one_session_runs_over_any_connection() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let conn = wharf_net::Conn::foreign(
        Box::new(theirs),
        format!("{SERVER}:21").parse().unwrap(),
        format!("{CLIENT}:40000").parse().unwrap(),
    );
    let stage = Stage::new().await;
    let session = tokio::spawn(wharf_server::serve_connection(
        conn,
        Config::default(),
        Arc::new(wharf_accounts::Anonymous::new(
            Arc::new(Memory::new()),
            path("/"),
        )),
        stage.net("server"),
    ));
    let (mut read, mut write) = tokio::io::split(ours);
    write.write_all(b"SYST\r\nQUIT\r\n").await.unwrap();
    let mut said = String::new();
    read.read_to_string(&mut said).await.unwrap();
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["220", "215", "221"]);
    drop((read, write));
    session.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_transfer_log_is_written_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("xferlog");
    let xferlog = Some(file.clone());
    let stage = Stage::with(move |config| config.xferlog = xferlog).await;
    let mut client = Client::login(&stage, "ann").await;
    client.upload("STOR one", b"1").await;
    let rotated = folder.path().join("xferlog.1");
    std::fs::rename(&file, &rotated).unwrap();
    let config = Config {
        listen: vec!["[::]:21".parse().unwrap()],
        xferlog: Some(file.clone()),
        ..Config::default()
    };
    stage.handle.reload(config, None).await.unwrap();
    client.download("RETR one").await;
    let old = std::fs::read_to_string(rotated).unwrap();
    let new = std::fs::read_to_string(&file).unwrap();
    assert!(
        old.contains(&format!(" {CLIENT} 1 /one a _ i r ann ftp 0 * c\n")),
        "{old}"
    );
    assert!(
        new.contains(&format!(" {CLIENT} 1 /one a _ o r ann ftp 0 * c\n")),
        "{new}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bind_that_fails_names_its_address() {
    let stage = Stage::new().await;
    let taken: SocketAddr = format!("{SERVER}:21").parse().unwrap();
    let config = Config {
        listen: vec![taken],
        ..Config::default()
    };
    let error = stage.handle.reload(
        Config {
            listen: vec!["192.0.2.99:21".parse().unwrap()],
            ..Config::default()
        },
        None,
    );
    assert!(
        error
            .await
            .unwrap_err()
            .to_string()
            .contains("192.0.2.99:21")
    );
    let accounts = Arc::new(wharf_accounts::Anonymous::new(
        Arc::new(Memory::new()),
        path("/"),
    ));
    let bound = wharf_server::Server::bind(config, stage.net("server"), accounts).await;
    let error = bound.err().expect("the address is taken").to_string();
    assert!(error.contains(&taken.to_string()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_stranger_gets_no_file_and_the_client_does() {
    let stage = Stage::new().await;
    for _ in 0..100 {
        let mut client = Client::login(&stage, "ann").await;
        client.say("EPSV", 229).await;
        let mut stranger = client.stranger().await;
        client.open().await;
        client.say("RETR hello.txt", 150).await;
        assert_eq!(client.receive().await, b"hello\r\n");
        client.expect(226).await;
        let mut stolen = Vec::new();
        let end: io::Result<usize> = stranger.read_to_end(&mut stolen).await;
        assert!(
            end.is_err() && stolen.is_empty(),
            "{STRANGER} got {stolen:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_listing_streams() {
    let stage = Stage::new().await;
    stage.store.add_dir(&path("/many")).unwrap();
    for number in 0..5000 {
        stage
            .store
            .add_file(&path(&format!("/many/{number:05}")), "")
            .unwrap();
    }
    let mut client = Client::login(&stage, "ann").await;
    let listing = client.download("NLST many").await;
    let text = String::from_utf8(listing).unwrap();
    let names: Vec<&str> = text.lines().collect();
    assert_eq!(names.len(), 5000);
    assert!(names.is_sorted());
    let text = client.say("STAT many", 212).await;
    assert_eq!(text.lines().count(), 1001);
}
