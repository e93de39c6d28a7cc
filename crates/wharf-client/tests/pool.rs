//! The pool against servers that allow a few sessions only, on a network in memory and in virtual time.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wharf_client::memory::Memory;
use wharf_client::{Client, Error, ErrorKind, FileOptions, Lent, Login, Options, Pool, Target};
use wharf_net::{Conn, ListenAt, Net};
use wharf_proto::Pathname;
use wharf_sim::World;

/// When a server says that there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Connect,
    User,
    Password,
}

/// Server, moment, words (sources of the servers, or seen).
const WORDINGS: &[(&str, At, &str)] = &[
    (
        "vsftpd",
        At::Connect,
        "421 There are too many connected users, please try later.",
    ),
    (
        "vsftpd",
        At::Connect,
        "421 There are too many connections from your internet address.",
    ),
    (
        "ProFTPD",
        At::Password,
        "530 Sorry, the maximum number of allowed clients (3) are already connected.",
    ),
    (
        "ProFTPD",
        At::Password,
        "530 Sorry, the maximum number of clients (3) for this user are already connected.",
    ),
    (
        "ProFTPD",
        At::User,
        "530 Sorry, the maximum number of clients (3) from your host are already connected.",
    ),
    (
        "Pure-FTPd",
        At::Connect,
        "421 3 users (the maximum) are already logged in, sorry",
    ),
    (
        "Pure-FTPd",
        At::Connect,
        "421 Too many connections (3) from this IP",
    ),
    (
        "pyftpdlib",
        At::Connect,
        "421 Too many connections. Service temporarily unavailable.",
    ),
    (
        "pyftpdlib",
        At::Connect,
        "421 Too many connections from the same IP address.",
    ),
    (
        "FileZilla Server",
        At::User,
        "421 Too many users are connected, please try again later.",
    ),
    (
        "IIS",
        At::Connect,
        "421 Maximum number of connections exceeded",
    ),
    ("a local one", At::Password, "530 Not today."),
];

/// A server with a limit. It can do nothing but let in.
struct Server {
    limit: AtomicUsize,
    at: At,
    refusal: String,
    sessions: AtomicUsize,
    /// The most there were at once, and how many were refused.
    most: AtomicUsize,
    refused: AtomicUsize,
    dialed: Mutex<Vec<Instant>>,
}

impl Server {
    fn new(limit: usize, at: At, refusal: &str) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            at,
            refusal: refusal.to_owned(),
            sessions: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            dialed: Mutex::new(Vec::new()),
        })
    }

    async fn serve(self: Arc<Self>, net: Arc<dyn Net>) {
        let at = ListenAt::one("192.0.2.1:21".parse().unwrap());
        let mut door = net.listen(at).await.unwrap();
        while let Ok(conn) = door.accept().await {
            self.dialed.lock().unwrap().push(Instant::now());
            tokio::spawn(Arc::clone(&self).session(conn));
        }
    }

    async fn session(self: Arc<Self>, mut conn: Conn) {
        let number = self.sessions.fetch_add(1, SeqCst) + 1;
        if number <= self.limit.load(SeqCst) {
            self.most.fetch_max(number, SeqCst);
            // That the client goes away is an end like QUIT.
            let _ = self.talk(&mut conn, None).await;
        } else {
            self.refused.fetch_add(1, SeqCst);
            let _ = self.talk(&mut conn, Some(self.at)).await;
        }
        self.sessions.fetch_sub(1, SeqCst);
    }

    async fn talk(&self, conn: &mut Conn, refuse: Option<At>) -> std::io::Result<()> {
        let refusal = format!("{}\r\n", self.refusal);
        if refuse == Some(At::Connect) {
            return conn.write_all(refusal.as_bytes()).await;
        }
        conn.write_all(b"220 ready\r\n").await?;
        let mut line = Vec::new();
        loop {
            line.clear();
            while !line.ends_with(b"\r\n") {
                line.push(conn.read_u8().await?);
            }
            sleep(Duration::from_millis(20)).await;
            let reply: &[u8] = match line.get(..4) {
                Some(b"USER") if refuse == Some(At::User) => refusal.as_bytes(),
                Some(b"USER") => b"331 password\r\n",
                Some(b"PASS") if refuse == Some(At::Password) => refusal.as_bytes(),
                Some(b"PASS") => b"230 in\r\n",
                Some(b"NOOP") => b"200 ok\r\n",
                Some(b"CWD ") => b"250 there\r\n",
                Some(b"QUIT") => return conn.write_all(b"221 bye\r\n").await,
                _ => b"500 what\r\n",
            };
            conn.write_all(reply).await?;
            if reply.starts_with(b"421") {
                return Ok(());
            }
        }
    }
}

/// A pool of at most `most` sessions with that server.
fn pool(server: &Arc<Server>, most: usize, options: Options) -> Pool {
    let world = World::new();
    world.add_host("server", World::INTERNET, ["192.0.2.1"]);
    world.add_host("client", World::INTERNET, ["198.51.100.7"]);
    tokio::spawn(Arc::clone(server).serve(world.host("server")));
    let target: Target = "ftp://server/".parse().unwrap();
    let most = NonZeroUsize::new(most).unwrap();
    Pool::new(
        world.host("client"),
        &target,
        Login::anonymous(),
        options,
        most,
    )
}

/// Tasks that each work with a session a few times. Returns how often one got one.
async fn takers(pool: &Pool, tasks: usize, times: usize) -> usize {
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let pool = pool.clone();
        set.spawn(async move {
            for _ in 0..times {
                let mut lent = pool.take().await?;
                lent.noop().await?;
                sleep(Duration::from_millis(100)).await;
            }
            Ok::<_, Error>(times)
        });
    }
    let mut served = 0;
    while let Some(ended) = set.join_next().await {
        served += ended.unwrap().expect("no taker fails");
    }
    served
}

#[tokio::test(start_paused = true)]
async fn eight_takers_share_three_sessions_whatever_the_server_calls_it() {
    for (name, at, refusal) in WORDINGS {
        let server = Server::new(3, *at, refusal);
        let pool = pool(&server, 8, Options::default());
        let began = Instant::now();
        assert_eq!(takers(&pool, 8, 5).await, 40, "{name}: {refusal}");
        assert_eq!((pool.limit(), pool.open()), (3, 3), "{name}: {refusal}");
        assert!(server.refused.load(SeqCst) <= 4, "{name}: {refusal}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{name}: all three were at work"
        );
        let notes = pool.take_notes();
        let [note] = &notes[..] else {
            panic!("{name}: {notes:?}");
        };
        assert!(
            note.starts_with("server allows no more than 3 sessions at once"),
            "{note}"
        );
        assert!(note.contains(&refusal[4..]), "the server's words: {note}");
        pool.close().await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.sessions.load(SeqCst), 0, "{name}: all have left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_remembered_and_found_out_anew_when_it_has_grown() {
    let directory = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::at(directory.path().join("ways")));
    let options = || Options {
        memory: Some(Arc::clone(&memory)),
        ..Options::default()
    };
    let server = Server::new(2, At::Connect, "421 Too many connections");
    let first = pool(&server, 4, options());
    takers(&first, 4, 2).await;
    assert!(server.refused.load(SeqCst) > 0);
    first.close().await;
    sleep(Duration::from_mins(1)).await;

    let again = Server::new(5, At::Connect, "421 Too many connections");
    let second = pool(&again, 4, options());
    takers(&second, 4, 2).await;
    assert_eq!((again.refused.load(SeqCst), second.limit()), (0, 2));
    let notes = second.take_notes();
    assert_eq!(
        notes,
        ["server allowed no more than 2 sessions at once before; going on with 2"]
    );
    // In the long run it is asked again, once nobody would be disturbed by a refusal.
    takers(&second, 4, 3500).await;
    assert_eq!((again.most.load(SeqCst), second.limit()), (4, 4));

    second.close().await;
    sleep(Duration::from_mins(1)).await;
    let third = pool(&again, 4, options());
    takers(&third, 4, 2).await;
    assert_eq!(
        third.limit(),
        4,
        "what was better known stands in the memory"
    );
}

#[tokio::test(start_paused = true)]
async fn who_asked_first_is_served_first() {
    let server = Server::new(1, At::Connect, "421 Too many connections");
    let pool = pool(&server, 1, Options::default());
    let held = pool.take().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut set = JoinSet::new();
    for number in 0..6 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        set.spawn(async move {
            // The fourth loses its patience.
            let patience = Duration::from_secs(if number == 3 { 1 } else { 1000 });
            match pool.take_within(patience).await {
                Ok(_lent) => {
                    order.lock().unwrap().push(number);
                    sleep(Duration::from_secs(2)).await;
                }
                Err(error) => assert_eq!((number, error.kind()), (3, ErrorKind::Busy)),
            }
        });
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_secs(5)).await;
    drop(held);
    while let Some(ended) = set.join_next().await {
        ended.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 4, 5]);
    assert_eq!(server.dialed.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_waited_for_with_growing_pauses_and_not_for_ever() {
    let server = Server::new(0, At::Connect, "421 Too many connections");
    let waiting = pool(&server, 4, Options::default());
    let began = Instant::now();
    let error = waiting.take().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let dialed: Vec<u64> = {
        let dialed = server.dialed.lock().unwrap();
        dialed.iter().map(|at| (*at - began).as_secs()).collect()
    };
    assert_eq!(dialed, [0, 1, 3, 7, 15, 31]);

    let server = Server::new(0, At::Connect, "421 Too many connections");
    let waiting = pool(&server, 4, Options::default());
    let (taken, ()) = tokio::join!(waiting.take(), async {
        sleep(Duration::from_secs(5)).await;
        server.limit.store(1, SeqCst);
    });
    assert!(taken.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once() {
    let server = Server::new(0, At::Password, "530 Login incorrect.");
    let pool = pool(&server, 4, Options::default());
    assert_eq!(pool.take().await.unwrap_err().kind(), ErrorKind::Login);
    assert_eq!(server.dialed.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_unfit_is_replaced() {
    let server = Server::new(2, At::Connect, "421 Too many connections");
    let pool = pool(&server, 2, Options::default());
    let dialed = || server.dialed.lock().unwrap().len();

    // A reply that nobody waited for is read by the next taker's session.
    let mut lent = pool.take().await.unwrap();
    assert!(
        timeout(Duration::from_millis(1), lent.noop())
            .await
            .is_err()
    );
    drop(lent);
    let mut lent = pool.take().await.unwrap();
    lent.noop().await.unwrap();
    assert_eq!((dialed(), pool.open()), (1, 1));

    // One that has moved is not where the next taker expects it.
    lent.change_dir(&"/elsewhere".parse().unwrap())
        .await
        .unwrap();
    drop(lent);
    assert_eq!(pool.open(), 0);
    drop(pool.take().await.unwrap());
    assert_eq!((dialed(), pool.open()), (2, 1));

    pool.take().await.unwrap().discard();
    assert_eq!(pool.open(), 0);
    // A login that is dropped half-way does not count.
    assert!(
        timeout(Duration::from_millis(30), pool.take())
            .await
            .is_err()
    );
    takers(&pool, 2, 2).await;
    assert_eq!(pool.open(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_lends_nothing_and_what_comes_back_leaves() {
    let server = Server::new(2, At::Connect, "421 Too many connections");
    let pool = pool(&server, 1, Options::default());
    let lent = pool.take().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.take().await.map(drop).unwrap_err().kind() }
    });
    tokio::task::yield_now().await;
    pool.clone().close().await;
    assert_eq!(waiting.await.unwrap(), ErrorKind::Aborted);
    drop(lent);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.sessions.load(SeqCst), 0);
    assert_eq!(pool.take().await.unwrap_err().kind(), ErrorKind::Aborted);
}

#[test]
fn what_tasks_share_and_carry_may_be_sent() {
    fn kept<T: Send + 'static>() {}
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send>(_: T) {}
    kept::<Client>();
    kept::<Lent>();
    shared::<Pool>();
    shared::<Error>();
    // Never run: it is enough that it compiles.
    let _ = |pool: &Pool, client: &mut Client, path: &Pathname, file: &Path| {
        sent(pool.take());
        sent(pool.clone().close());
        sent(client.abort());
        sent(client.retrieve(path, 0));
        sent(client.store(path, 0));
        sent(client.append(path));
        sent(client.list(None));
        sent(client.nlst(None));
        sent(client.entry(path));
        sent(client.rename(path, path));
        sent(client.retrieve_to_file(path, file, &FileOptions::default()));
        sent(client.store_from_file(file, path, &FileOptions::default()));
    };
}
