//! The generated server's data connections.
//!
//! The byte `how`: bits 0 to 2 how much is sent or read, bits 3 and 4 how it ends, bit 5 what stands in a listing, bits 6
//! and 7 what is said when.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use wharf_net::tls::ServerSession;
use wharf_net::{Conn, Listener, Source};
use wharf_proto::Command;
use wharf_sim::World;

use super::files::{self, Memory, Transfer};
use super::program::Program;
use super::server::HANDSHAKE;

/// How a data connection is to come about.
pub(crate) enum Way {
    None,
    Passive(Box<dyn Listener>),
    Active(SocketAddr),
}

pub(crate) struct Order {
    pub(crate) world: World,
    pub(crate) program: Program,
    pub(crate) memory: Memory,
    pub(crate) command: Command,
    pub(crate) path: String,
    pub(crate) offset: usize,
    pub(crate) how: u8,
    /// Protects the data connection.
    pub(crate) session: Option<ServerSession>,
}

/// Bytes behind the end of a file that has none, and lines behind the end of a listing.
const MUCH: usize = 80_000;

/// Carries out a transfer; the reply to be said at its end.
pub(crate) async fn carry(order: Order, way: Way) -> Option<Vec<u8>> {
    let Some(mut conn) = open(&order, way).await else {
        return Some(refusal(&order, "425 no data connection"));
    };
    if let Some(session) = &order.session {
        match session.secure_data(conn, HANDSHAKE).await {
            Ok(secured) => conn = secured,
            Err(_) => return Some(refusal(&order, "522 no TLS")),
        }
    }
    let upload = matches!(
        order.command,
        Command::Stor(_) | Command::Appe(_) | Command::Stou(_)
    );
    let listing = !upload && !matches!(order.command, Command::Retr(_));
    let at = (!listing).then(|| {
        order.memory.begin(Transfer {
            name: order.path.clone(),
            upload,
            offset: order.offset,
            protected: order.session.is_some(),
            ..Transfer::default()
        })
    });
    let whole = if upload {
        receive(&order, &mut conn, at).await
    } else {
        send(&order, &mut conn, at).await
    };
    let ended = match order.how >> 3 & 3 {
        1 => {
            conn.abort();
            false
        }
        2 => {
            // Stays open behind the final reply.
            tokio::spawn(async move {
                sleep(Duration::from_mins(20)).await;
                drop(conn);
            });
            false
        }
        // Inside TLS an end that does not say so is none.
        3 if conn.is_secured() => {
            drop(conn);
            if let Some(at) = at {
                order.memory.change(at, |it| it.cut = true);
            }
            false
        }
        _ => {
            let ended = conn.shutdown().await.is_ok();
            drop(conn);
            ended
        }
    };
    let code = match order.how >> 6 {
        1 | 2 => None,
        3 if !whole => Some(426),
        _ => Some(226),
    };
    if let Some(at) = at {
        order.memory.change(at, |transfer| {
            // Whoever uploads ends the data connection.
            transfer.ended = if upload { transfer.ended } else { ended };
            transfer.reply = code.or((order.how >> 6 == 1).then_some(226));
        });
    }
    code.map(|code| format!("{code} that was it\r\n").into_bytes())
}

/// There is nothing to transfer on.
fn refusal(order: &Order, text: &str) -> Vec<u8> {
    // Its 226 was said already: this one the client takes for the answer to what it asks next.
    order.memory.look().out_of_step |= order.how >> 6 == 1;
    format!("{text}\r\n").into_bytes()
}

async fn open(order: &Order, way: Way) -> Option<Conn> {
    match way {
        Way::None => None,
        Way::Passive(mut listener) => timeout(Duration::from_secs(10), listener.accept())
            .await
            .ok()?
            .ok(),
        Way::Active(at) => {
            if order.how & 7 == 6 {
                // Somebody else is there first.
                let stranger = order.world.host("stranger");
                if let Ok(mut conn) = stranger.connect(Source::Any, at).await {
                    let _ = conn.write_all(b"not the file").await;
                    let _ = conn.shutdown().await;
                }
            }
            let server = order.world.host("server");
            timeout(Duration::from_secs(10), server.connect(Source::Any, at))
                .await
                .ok()?
                .ok()
        }
    }
}

/// Whether everything was sent.
async fn send(order: &Order, conn: &mut Conn, at: Option<usize>) -> bool {
    let all = match at {
        Some(_) => {
            let length = files::length(&order.path).unwrap_or_default();
            files::content(&order.path, order.offset, length).to_vec()
        }
        None => listing(order),
    };
    let cut = match order.how & 7 {
        1 => 0,
        2 | 6 => all.len() / 2,
        3 => all.len().saturating_sub(1),
        _ => all.len(),
    };
    let parts: &[&[u8]] = match order.how & 7 {
        7 => {
            let (first, second) = all.split_at(all.len().min(40));
            &[first, second]
        }
        _ => &[&all[..cut]],
    };
    for part in parts {
        if conn.write_all(part).await.is_err() {
            return false;
        }
        count(order, at, part.len(), 0);
        if parts.len() > 1 {
            sleep(Duration::from_secs(2)).await;
        }
    }
    match (order.how & 7, at) {
        (4, Some(_)) => {
            let sent = conn.write_all(b"!").await;
            count(order, at, 0, usize::from(sent.is_ok()));
        }
        (4, None) => loop {
            // A listing that does not end.
            if conn.write_all(&b"a name\r\n".repeat(1000)).await.is_err() {
                return false;
            }
            count(order, at, 8000, 0);
            tokio::task::yield_now().await;
        },
        (5, Some(_)) => {
            let mut sent = 0;
            while sent < MUCH && conn.write_all(&[b'+'; 10_000]).await.is_ok() {
                sent += 10_000;
                count(order, at, 0, 10_000);
            }
        }
        (6, _) => std::future::pending().await, // stalls
        _ => {}
    }
    cut == all.len()
}

fn count(order: &Order, at: Option<usize>, moved: usize, more: usize) {
    match at {
        Some(at) => order.memory.change(at, |it| {
            it.moved += moved;
            it.more += more;
        }),
        None => order.memory.look().said += moved,
    }
}

async fn receive(order: &Order, conn: &mut Conn, at: Option<usize>) -> bool {
    let limit = match order.how & 7 {
        1 => 0,
        2 => 500,
        3 => 999,
        6 => std::future::pending().await,
        _ => usize::MAX,
    };
    let mut buffer = vec![0; 16 * 1024];
    let mut seen = 0;
    while seen < limit {
        let room = buffer.len().min(limit - seen);
        match conn.read(&mut buffer[..room]).await {
            Ok(0) => {
                order
                    .memory
                    .change(at.unwrap_or_default(), |it| it.ended = true);
                return true;
            }
            Ok(read) => {
                let here = order.offset + seen;
                let wrong = buffer[..read] != *files::content(super::UPLOAD, here, here + read);
                order.memory.change(at.unwrap_or_default(), |it| {
                    it.moved += read;
                    it.wrong |= wrong;
                });
                seen += read;
            }
            Err(_) => return false,
        }
    }
    false
}

/// A directory with everything that a name can be.
fn listing(order: &Order) -> Vec<u8> {
    if order.how & 32 != 0 {
        let count = usize::from(order.program.byte()) * 4;
        return order.program.take(count);
    }
    let mut lines = Vec::new();
    let prefix = if order.path.is_empty() {
        String::new()
    } else {
        format!("{}/", order.path)
    };
    let mut seen = Vec::new();
    for (name, length) in files::FILES {
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        let (name, kind, size) = match rest.split_once('/') {
            Some((directory, _)) => (directory, "dir", 0),
            None => (rest, "file", *length),
        };
        if !seen.contains(&name) {
            seen.push(name);
            line(order, &mut lines, kind, size, name.as_bytes());
        }
    }
    let hostile = order.program.byte();
    for (at, name) in files::HOSTILE.iter().enumerate() {
        if usize::from(hostile) % (at + 2) == 1 {
            let kind = if hostile & 128 != 0 { "dir" } else { "file" };
            line(order, &mut lines, kind, 1000, name);
        }
    }
    if hostile & 64 != 0 {
        line(order, &mut lines, "OS.unix=slink:/etc", 4, b"link");
    }
    lines
}

fn line(order: &Order, out: &mut Vec<u8>, kind: &str, size: usize, name: &[u8]) {
    let facts = match &order.command {
        Command::Mlsd(_) => format!("type={kind};size={size};modify=20200102030405; "),
        Command::List(_) => {
            let letter = match kind {
                "dir" => 'd',
                "file" => '-',
                _ => 'l',
            };
            format!("{letter}rw-r--r--   1 ftp ftp {size:>10} Jan 02  2020 ")
        }
        _ => String::new(),
    };
    out.extend_from_slice(facts.as_bytes());
    out.extend_from_slice(name);
    if kind.starts_with("OS") && matches!(order.command, Command::List(_)) {
        out.extend_from_slice(b" -> /etc");
    }
    out.extend_from_slice(b"\r\n");
}
