//! What a hostile server, or somebody between, can try against the client: one named row an attack.
//!
//! The dialogues are in the language of `transcripts.rs`. Rows about names and words that never reach the wire are tables
//! of their own below; those about the programs' own commands are in `crates/wharf/tests/program/hostile.rs`, those about
//! TLS with the transcripts in TLS. `fuzz/checks/client.rs` looks for the rows that are missing here.

mod play;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use wharf_client::{Endpoint, ErrorKind, Login, Options, Target, connect};
use wharf_net::{ListenAt, Recorder};
use wharf_proto::trace::{self, Event};
use wharf_proto::{Pathname, Secret, Text};
use wharf_sim::World;

/// The attack, who has fallen for it, and what happens here.
const DIALOGUES: &[(&str, &str, &str)] = &[
    (
        "227 names this host",
        "CVE-2020-8284 (curl), CVE-2021-4189 (ftplib): a port scan of the user's own network",
        r"
mode: pasv
: retrieve a
= ok hello
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> PASV
! listen 5000
< 227 Entering Passive Mode (127,0,0,1,19,136).
! accept
> RETR a
< 150 here it comes
! send hello
! close
< 226 done
",
    ),
    (
        "227 names a third host",
        "CVE-2021-37533 (Commons Net), CVE-2021-40491 (inetutils); RFC 2577 §3",
        r"
mode: pasv
: retrieve a
= ok hello
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> PASV
! listen-elsewhere 5000
! listen 5000
< 227 Entering Passive Mode (203,0,113,80,19,136).
! accept
> RETR a
< 150 here it comes
! send hello
! close
< 226 done
",
    ),
    (
        "229 names a third host",
        "RFC 2428 §3 leaves the address out; a client that reads one is sent anywhere",
        r"
mode: epsv
: retrieve a
= ok hello
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> EPSV
! listen-elsewhere 5000
! listen 5000
< 229 ok (|1|203.0.113.80|5000|)
! accept
> RETR a
< 150 here it comes
! send hello
! close
< 226 done
",
    ),
    (
        "227 without an address",
        "suppaftp before 10.0 panics",
        r"
mode: pasv
: retrieve a
= DataConnection: *
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> PASV
< 227 Entering Passive Mode (999,1,2,3,4,5)
",
    ),
    (
        "data connection theft, active mode",
        "curl, wget, aria2, lftp, tnftp, inetutils, ftplib, suppaftp take whoever comes first",
        r"
mode: port
: retrieve a
= ok hello
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> PORT *
< 200 ok
> RETR a
! stranger
< 150 here it comes
! connect
! send hello
! close
< 226 done
",
    ),
    (
        "data connection theft, and the server goes along",
        "an empty file that the server calls complete",
        r"
mode: port
: retrieve a
= DataConnection: *
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> PORT *
< 200 ok
> RETR a
! stranger
< 150 here it comes
< 226 done
",
    ),
    (
        "short data with 226",
        "the end of the data connection is the end of the file (RFC 959 §3.4.1)",
        r"
features: SIZE, EPSV
: get a
= Truncated: RETR a: 4 of 5 bytes came, although the server reports success: 226 done
: disk
= ok a.part: hell
login
> TYPE I
< 200 ok
> SIZE a
< 213 5
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> RETR a
< 150 here it comes
! send hell
! close
< 226 done
",
    ),
    (
        "a reset data connection with 226",
        "somebody between cuts the data connection; the server has sent everything",
        r"
mode: epsv
: retrieve a
= Truncated: *
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> RETR a
< 150 here it comes
! send hell
! reset
< 226 done
",
    ),
    (
        "226 and no data connection",
        "an empty file that the server calls complete; found by fuzzing",
        r"
mode: epsv
: retrieve a
= ok hello
: get b
= DataConnection: RETR b: reported complete without a data connection*
: disk
= ok
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> RETR a
< 150 here it comes
! send hello
! close
< 226 done
> MDTM b
< 500 what
> EPSV
< 229 ok (|||6000|)
> RETR b
< 150 here it comes
< 226 done
",
    ),
    (
        "more data than announced",
        "what is appended to a file that was checked by its length",
        r"
features: SIZE, EPSV
: get a
= Changed: *
login
> TYPE I
< 200 ok
> SIZE a
< 213 4
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> RETR a
< 150 here it comes
! send hello
! close
< 226 done
",
    ),
    (
        "an endless listing",
        "GHSA-rp42-5vxx-qpwr (basic-ftp): memory without bound",
        r"
mode: epsv
listing-limit: 50000
: nlst
= Protocol: the listing is longer than 50000 bytes*
login
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> NLST
< 150 here it comes
! zeros 49999
! send \r\n
! zeros 10000
! dropped
",
    ),
    (
        "an endless line in a listing",
        "memory without bound",
        r"
mode: epsv
: nlst
= Protocol: a line of the listing is longer than 64 KiB*
login
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> NLST
< 150 here it comes
! zeros 70000
! dropped
",
    ),
    (
        "preliminary replies without end",
        "a client that waits for the final one waits for ever",
        r"
: noop
= Protocol: more than 16 preliminary replies, and no final one*
login
> NOOP
< 150 a
< 150 b
< 150 c
< 150 d
< 150 e
< 150 f
< 150 g
< 150 h
< 150 i
< 150 j
< 150 k
< 150 l
< 150 m
< 150 n
< 150 o
< 150 p
< 150 q
< 150 r
",
    ),
    (
        "response splitting: a second reply behind the first",
        "whatever echoes a name with CR and LF in it answers the next command as well",
        r"
features: SIZE, EPSV
: noop
= ok 200 a
: retrieve a
= Truncated: RETR a: 0 of 5 bytes came, although the server reports success: 226 done
login
> NOOP
< 200 a\n226 b
> TYPE I
< 200 ok
> SIZE a
< 213 5
> EPSV
! listen 5000
< 229 ok (|||5000|)
! accept
> RETR a
< 150 here it comes\r\n226 done
! close
",
    ),
    (
        "terminal escapes in a refusal",
        "raw ESC reaches the terminal in curl -v, lftp, tnftp, inetutils, ncftp, wget",
        r"
mode: epsv
: retrieve a
= NotFound: RETR a: 550 ␛[2J␛]0;owned␇\u{9b}31m
login
> TYPE I
< 200 ok
> SIZE a
< 500 what
> EPSV
! listen 5000
< 229 ok (|||5000|)
> RETR a
! accept
< 550 \x1b[2J\x1b]0;owned\x07\xc2\x9b31m
",
    ),
    (
        "a file that is a link at the user's side",
        "CVE-2014-4877 (wget): a link planted first, a file written through it",
        r"
features: SIZE, EPSV
: local outside precious
: link a.part outside
: get a
= ok
= ok
= Local: *
: disk
= ok a.part: precious, outside: precious
login
> TYPE I
< 200 ok
> SIZE a
< 213 5
",
    ),
];

#[test]
fn attacks_by_dialogue() {
    let mut failures = String::new();
    for (name, reference, transcript) in DIALOGUES {
        if let Err(why) = play::check(transcript) {
            writeln!(failures, "--- {name} ({reference})\n{why}").unwrap();
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// What a name or word would do to the dialogue; it is refused before anything is sent.
#[test]
fn words_that_would_be_several_commands_are_refused() {
    for (name, word) in [
        ("a command behind a line end", &b"a\r\nDELE b"[..]),
        ("a lone LF", b"a\nb"),
        ("a lone CR", b"a\rb"),
        ("NUL", b"a\0b"),
    ] {
        assert!(Pathname::new(word).is_err(), "{name}");
        assert!(Text::new(word).is_err(), "{name}");
        let encoded: String = word.iter().fold(String::new(), |mut all, byte| {
            write!(all, "%{byte:02X}").unwrap();
            all
        });
        for url in [
            format!("ftp://h/{encoded}"),
            format!("ftp://{encoded}@h/f"),
            format!("ftp://u:{encoded}@h/f"),
        ] {
            assert!(url.parse::<Target>().is_err(), "{name}: {url}");
        }
    }
    // Not refused, since it is a byte of many encodings: it is doubled, so that Telnet takes it for itself.
    let name = Pathname::new(&b"a\xffb"[..]).unwrap();
    let line = wharf_proto::Command::Retr(name).encode();
    assert_eq!(line, b"RETR a\xff\xffb\r\n");
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Recorder for Told {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A server of the given bytes: reads a line, answers with the next of `replies`, pausing after each byte.
async fn server(world: &World, replies: &'static [&'static [u8]], pause: Duration) {
    let at = "192.0.2.1:21".parse().unwrap();
    let mut door = world
        .host("server")
        .listen(ListenAt::one(at))
        .await
        .unwrap();
    tokio::spawn(async move {
        while let Ok(mut conn) = door.accept().await {
            tokio::spawn(async move {
                let mut line = [0; 512];
                for reply in replies {
                    for part in reply.chunks(if pause.is_zero() { reply.len() } else { 1 }) {
                        if conn.write_all(part).await.is_err() {
                            return;
                        }
                        sleep(pause).await;
                    }
                    if !matches!(conn.read(&mut line).await, Ok(1..)) {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
}

fn world() -> World {
    let world = World::new();
    world.add_host("server", World::INTERNET, ["192.0.2.1"]);
    world.add_host("client", World::INTERNET, ["198.51.100.7"]);
    world
}

fn secret(text: &str) -> Secret {
    Secret::new(Text::new(text).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_drips_has_an_end() {
    let world = world();
    server(&world, &[&[b'2'; 4000]], Duration::from_secs(5)).await;
    let (began, endpoint) = (Instant::now(), Endpoint::new("192.0.2.1", 21));
    let connected = connect(world.host("client"), &endpoint, Options::default());
    let error = connected.await.err().expect("no greeting");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        began.elapsed() <= Duration::from_secs(61),
        "{:?}",
        began.elapsed()
    );
}

/// The secrets of a login and what a person types in the wrong place, in everything that is recorded or shown.
#[tokio::test(start_paused = true)]
async fn no_secret_is_recorded_or_shown() {
    const REPLIES: &[&[u8]] = &[
        b"220 ready\r\n",
        b"331 password\r\n",
        b"332 account\r\n",
        b"230 in\r\n",
        b"500 no FEAT\r\n",
        b"530 wrong password hunter2? no\r\n",
        b"500 what\r\n",
    ];
    let world = world();
    server(&world, REPLIES, Duration::ZERO).await;
    let endpoint = Endpoint::new("192.0.2.1", 21);
    let told = Arc::new(Told::default());
    let options = Options {
        recorder: Some(Arc::clone(&told) as Arc<dyn Recorder>),
        ..Options::default()
    };
    let greeting = connect(world.host("client"), &endpoint, options);
    let login = Login {
        account: Some(secret("account-x9")),
        ..Login::new(Text::new("u").unwrap(), secret("word-x9"))
    };
    let mut client = greeting.await.unwrap().login(login.clone()).await.unwrap();
    let again = client.quote(Text::new("PASS other-x9").unwrap()).await;
    let mistyped = client.quote(Text::new("PAS mistyped-x9").unwrap()).await;
    let recorded = trace::write(&told.0.lock().unwrap());
    let shown = format!("{again:?} {mistyped:?} {login:?} {:?}", client.options());
    for text in [recorded, shown] {
        assert!(!text.contains("x9"), "{text}");
    }
    let url: Target = "ftp://u:word-x9@h/f".parse().unwrap();
    assert!(!format!("{url} {url:?}").contains("x9"), "{url}");
}
