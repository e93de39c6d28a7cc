//! The client library against a server that the fuzzer generates, over a network in memory and on virtual time.
//!
//! Byte 0: how data connections are searched for; byte 1: bits 0 to 7 leave features out of FEAT; byte 2: TLS. Its bits 0
//! and 1: off, where the server has it, required, implicit; bit 2: the server has none; bit 3: 1.2 alone; bit 4: the
//! server's data connections do not know the session of the control connection; bit 5: the server shows a certificate that
//! nobody believes. Bytes 3 to 18: eight operations of two bytes each; the rest is the server's program, read in the order
//! in which it asks (`client/server.rs`).
//!
//! The client never panics, never hangs, reads a bounded amount, writes nothing outside its directory, shows no secret and
//! no control character in its trace, and calls a transfer complete only if by the rules it can be:
//!
//! * the bytes of a downloaded file are those that the server sent, and the data connection ended with a FIN, inside TLS with
//!   a close_notify, or the length was told and is there;
//! * with TLS required, or inside it, neither the password nor a file goes over a connection in clear;
//! * they are all of them where the server told the length and did not lie;
//! * no refusal was sent, and where no final reply was sent at all, lengths were compared;
//! * what the server took for the end of an upload came behind all of its bytes.

#[path = "client/data.rs"]
mod data;
#[path = "client/disk.rs"]
mod disk;
#[path = "client/files.rs"]
mod files;
#[path = "client/program.rs"]
mod program;
#[path = "client/server.rs"]
mod server;
#[path = "tls.rs"]
mod tls;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wharf_client::{
    Client, DataHost, DataModeChoice, Endpoint, EntryKind, Error, FileOptions, Login, Moved,
    Options, Tls, TlsChoice, connect, local_name,
};
use wharf_net::Recorder;
use wharf_net::tls::TlsVersions;
use wharf_proto::trace::{self, Event};
use wharf_proto::{Format, Pathname, RepresentationType, Secret, Text};
use wharf_sim::{Filter, Gateway, Verdict, World};

use disk::Disk;
use files::{Memory, Moment};
use program::Program;

const OPERATIONS: usize = 8;
const HEADER: usize = 3 + 2 * OPERATIONS;

/// Of the local file that is uploaded; longer than one read of a socket.
const UPLOAD: &str = "upload";
const UPLOADED: usize = 40_000;

const PASSWORD: &str = "kX7-vqTzw93";

/// Longer than any one operation may take: the server drips, and every wait of the client has an end.
const FOR_EVER: Duration = Duration::from_hours(12);

/// What a listing may have.
const LISTING_LIMIT: u64 = 64 * 1024;

pub(crate) fn check(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let events = runtime.block_on(session(data));
    let events = events.lock().unwrap_or_else(PoisonError::into_inner);
    let text = trace::write(&events);
    // The server could know the password only from the input.
    let told = data
        .windows(PASSWORD.len())
        .any(|it| it == PASSWORD.as_bytes());
    assert!(
        told || !text.contains(PASSWORD),
        "the password is in the trace"
    );
    assert!(
        !text.chars().any(|c| c != '\n' && c.is_control()),
        "a control character is in the trace"
    );
}

#[derive(Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Recorder for Events {
    fn record(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

async fn session(data: &[u8]) -> Arc<Mutex<Vec<Event>>> {
    let header: [u8; HEADER] = std::array::from_fn(|at| data.get(at).copied().unwrap_or_default());
    let program = Program::new(data.get(HEADER..).unwrap_or_default());
    let world = World::new();
    let filter = Filter::only(&[(1, 5999)], Verdict::Drop);
    let near = world.site(World::INTERNET, Gateway::router().inbound(filter));
    world.add_host("server", near, ["192.0.2.1"]);
    world.add_host("client", World::INTERNET, ["198.51.100.7"]);
    world.add_host("stranger", World::INTERNET, ["203.0.113.66"]);
    let memory = Memory::default();
    let host = server::Host {
        world: world.clone(),
        program,
        features: header[1],
        memory: memory.clone(),
        tls: server::Protection::of(header[2]),
    };
    let serving = server::serve(host);
    let serving = tokio::spawn(serving);
    let events = Events::default();
    let seen = Arc::clone(&events.0);
    let (_, mode) = DataModeChoice::WORDS[usize::from(header[0]) % DataModeChoice::WORDS.len()];
    let options = Options {
        data_mode: mode,
        data_host: if header[0] & 128 == 0 {
            DataHost::Peer
        } else {
            DataHost::Reply
        },
        list_hidden: header[0] & 64 != 0,
        listing_limit: LISTING_LIMIT,
        tls: wanted_tls(header[2]),
        recorder: Some(Arc::new(events)),
        ..Options::default()
    };
    // The server must listen before somebody comes.
    tokio::task::yield_now().await;
    let login = Login::new(
        Text::new("u").expect("a text"),
        Secret::new(Text::new(PASSWORD).expect("a text")),
    );
    let net = world.host("client");
    let client = timeout(FOR_EVER, async {
        let port = if header[2] & 3 == 3 { 990 } else { 21 };
        connect(net, &Endpoint::new("192.0.2.1", port), options)
            .await?
            .login(login)
            .await
    });
    let mut disk = Disk::default();
    match client.await.expect("a login comes to an end") {
        Ok(mut client) => {
            for operation in header[3..].chunks_exact(2) {
                let &[what, how] = operation else { break };
                let acting = timeout(FOR_EVER, act(&mut client, &mut disk, &memory, what, how));
                if let Err(error) = acting.await.expect("an operation comes to an end") {
                    shown(&error);
                }
                for note in client.take_notes() {
                    assert!(!note.chars().any(char::is_control), "{note:?}");
                }
            }
            timeout(FOR_EVER, client.quit())
                .await
                .expect("a farewell comes to an end");
        }
        Err(error) => shown(&error),
    }
    disk.check();
    if header[2] & 2 != 0 {
        let log = memory.look();
        assert!(!log.bared, "TLS is required, and something went in clear");
    }
    serving.abort();
    seen
}

fn wanted_tls(byte: u8) -> Tls {
    let (choice, implicit) = match byte & 3 {
        0 => (TlsChoice::Off, false),
        1 => (TlsChoice::Prefer, false),
        2 => (TlsChoice::Require, false),
        _ => (TlsChoice::Require, true),
    };
    Tls {
        choice,
        implicit,
        versions: if byte & 8 == 0 {
            TlsVersions::All
        } else {
            TlsVersions::Only12
        },
        trust: tls::trust(),
        ..Tls::default()
    }
}

/// What a person is shown of an error.
fn shown(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains(PASSWORD), "{text}");
    assert!(
        !text.chars().any(|c| c != '\n' && c.is_control()),
        "{text:?}"
    );
}

async fn act(
    client: &mut Client,
    disk: &mut Disk,
    memory: &Memory,
    what: u8,
    how: u8,
) -> Result<(), Error> {
    let name = files::FILES[usize::from(how) % files::FILES.len()].0;
    let path = Pathname::new(name).expect("a pathname");
    match what % 20 {
        0 => {} // nothing
        1 => {
            client.list((how & 1 == 1).then_some(&path)).await?;
        }
        2 => mirror(client, disk, memory, None, how & 1 == 1).await?,
        3 => download(client, disk, memory, name, how & 128 != 0).await?,
        4 => upload(client, disk, memory, how & 128 != 0).await?,
        5 => {
            let names = client.nlst(None).await?;
            for name in names.iter().take(20) {
                get(client, disk, name).await?;
            }
        }
        6 => {
            let lines = client.raw_list(None).await?;
            let bytes: usize = lines.iter().map(Vec::len).sum();
            assert!(bytes as u64 <= LISTING_LIMIT, "{bytes} bytes of a listing");
        }
        7 => {
            let mut download = client.retrieve(&path, u64::from(how & 3)).await?;
            let mut some = [0; 500];
            if let Err(error) = download.read(&mut some).await {
                return Err(download.explain(error).await);
            }
            if how & 128 != 0 {
                download.abort().await?;
            }
        }
        8 => {
            let begun = memory.look().moment().transfers;
            let mut upload = client.store(&path, 0).await?;
            let written = async {
                upload.write_all(files::content(UPLOAD, 0, 1000)).await?;
                upload.flush().await
            };
            if let Err(error) = written.await {
                return Err(upload.explain(error).await);
            }
            if how & 128 != 0 {
                upload.abort().await?;
            } else {
                drop(upload);
            }
            let log = memory.look();
            let seen = log.transfers.get(begun..).unwrap_or_default();
            assert!(
                !seen.iter().any(|it| it.upload && it.ended),
                "a dropped upload has an end"
            );
        }
        9 => {
            client.entry(&path).await?;
        }
        10 => {
            client
                .change_dir(&Pathname::new("sub").expect("a pathname"))
                .await?;
        }
        11 => {
            client.current_dir().await?;
        }
        12 => {
            client.make_dir(&path).await?;
            client
                .rename(&path, &Pathname::new("other").expect("a pathname"))
                .await?;
            client.remove_file(&path).await?;
            client.remove_dir(&path).await?;
        }
        13 => {
            client.status().await?;
            client.system().await?;
            client.help(None).await?;
        }
        14 => client.abort().await?,
        15 => {
            let (_, mode) = DataModeChoice::WORDS[usize::from(how) % DataModeChoice::WORDS.len()];
            client.set_data_mode(mode);
            client.search_again();
        }
        16 => {
            let ascii = RepresentationType::Ascii(Format::NonPrint);
            client.set_type(if how & 1 == 1 {
                ascii
            } else {
                RepresentationType::Image
            })?;
        }
        17 => {
            client.change_dir_up().await?;
        }
        18 => {
            let mut listing = client.listing(None).await?;
            for _ in 0..how {
                if listing.next().await?.is_none() {
                    break;
                }
            }
        }
        _ => {
            let line = Text::lossy(format!("SITE {how}"));
            client.quote(line).await?;
            client.noop().await?;
        }
    }
    Ok(())
}

/// A directory with everything below it, as far as its names can be local ones.
async fn mirror(
    client: &mut Client,
    disk: &mut Disk,
    memory: &Memory,
    at: Option<(Pathname, PathBuf)>,
    resume: bool,
) -> Result<(), Error> {
    let mut waiting = vec![(at, 0)];
    let mut files = 0;
    while let Some((at, depth)) = waiting.pop() {
        let (remote, local) = match &at {
            Some((remote, local)) => (Some(remote), local.clone()),
            None => (None, disk.root()),
        };
        for entry in client.list(remote).await? {
            let Ok(name) = local_name(&entry.name) else {
                continue;
            };
            let Ok(path) = Pathname::new(entry.name.as_slice()) else {
                continue;
            };
            let path = remote.map_or(path.clone(), |it| it.join(&path));
            let local = local.join(name);
            match entry.kind {
                EntryKind::Directory if depth < 3 && files < 6 => {
                    // What is there already may be a file; then nothing can be put there.
                    let _ = std::fs::create_dir_all(&local);
                    waiting.push((Some((path, local)), depth + 1));
                }
                EntryKind::File if files < 6 => {
                    files += 1;
                    let how = FileOptions {
                        resume,
                        ..FileOptions::default()
                    };
                    let began = memory.look().moment();
                    match client.retrieve_to_file(&path, &local, &how).await {
                        Ok(moved) => judge_download(client, memory, began, &moved, &local, resume),
                        Err(error) => shown(&error),
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

async fn get(client: &mut Client, disk: &mut Disk, name: &[u8]) -> Result<(), Error> {
    let (Ok(local), Ok(path)) = (local_name(name), Pathname::new(name)) else {
        return Ok(());
    };
    let local = disk.root().join(local);
    client
        .retrieve_to_file(&path, &local, &FileOptions::default())
        .await?;
    Ok(())
}

async fn download(
    client: &mut Client,
    disk: &mut Disk,
    memory: &Memory,
    name: &str,
    resume: bool,
) -> Result<(), Error> {
    let path = Pathname::new(name).expect("a pathname");
    let local = disk.root().join(name.replace('/', "+"));
    let how = FileOptions {
        resume,
        ..FileOptions::default()
    };
    let began = memory.look().moment();
    let moved = client.retrieve_to_file(&path, &local, &how).await?;
    judge_download(client, memory, began, &moved, &local, resume);
    Ok(())
}

/// A download is said to be complete: can it be?
fn judge_download(
    client: &Client,
    memory: &Memory,
    began: Moment,
    moved: &Moved,
    local: &std::path::Path,
    resume: bool,
) {
    if client.representation() != RepresentationType::Image {
        return;
    }
    let log = memory.look();
    // A server that answers one command twice, or REST with a refusal that it does not mean, cannot be found out.
    if log.out_of_step {
        return;
    }
    let seen = std::fs::read(local).expect("the file is there");
    let transfers = log.transfers.get(began.transfers..).unwrap_or_default();
    let Some(last) = transfers.iter().rfind(|it| !it.upload) else {
        // An empty file needs no data connection where its length was told.
        let empty = moved.length == 0 && moved.verified;
        assert!(
            moved.complete_before || empty,
            "nothing was transferred: {moved:?}"
        );
        return;
    };
    assert_eq!(moved.length, seen.len() as u64);
    let truth = files::length(&last.name).unwrap_or_default();
    if moved.complete_before {
        return;
    }
    let told = format!("{moved:?} {last:?}, {} lies", log.lies);
    // Nothing is what an empty file is, by the length that was told inside TLS, however the data connection ended.
    if last.protected && !last.ended && moved.length == 0 && moved.verified && truth == 0 {
        return;
    }
    // Without close_notify a download counts where all of it is there by the length that was told inside TLS.
    let counted = last.cut && moved.verified;
    assert!(
        last.ended || counted,
        "the data connection did not end: {told}"
    );
    let whole = last.offset + last.moved + last.more;
    assert_eq!(seen.len(), whole, "{told}");
    if !resume {
        let own = seen.len() - last.more;
        let same = seen[..own] == *files::content(&last.name, last.offset, own);
        assert!(same, "other bytes than were sent: {told}");
    }
    if let Some(code) = last.reply {
        assert!(code < 400, "{told}");
    }
    let sizes = log.sizes.get(began.sizes..).unwrap_or_default();
    if log.lies == began.lies && sizes.contains(&last.name) {
        assert_eq!(seen.len(), truth, "{told}");
    }
}

async fn upload(
    client: &mut Client,
    disk: &mut Disk,
    memory: &Memory,
    resume: bool,
) -> Result<(), Error> {
    let local = disk.upload();
    let path = Pathname::new(UPLOAD).expect("a pathname");
    let how = FileOptions {
        resume,
        ..FileOptions::default()
    };
    let began = memory.look().moment();
    let done = client.store_from_file(&local, &path, &how).await;
    if client.representation() != RepresentationType::Image {
        return done.map(|_| ());
    }
    let log = memory.look();
    for transfer in log.transfers.get(began.transfers..).unwrap_or_default() {
        assert!(
            log.marker_denied || !transfer.wrong,
            "other bytes than the file has: {transfer:?}"
        );
        if transfer.upload && transfer.ended {
            assert_eq!(
                transfer.offset + transfer.moved,
                UPLOADED,
                "an end before the end: {transfer:?}"
            );
        }
    }
    drop(log);
    done.map(|_| ())
}
