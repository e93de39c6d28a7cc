//! A small SOCKS 4, 4a, 5 and HTTP CONNECT proxy on one port, which knows them apart by their first byte and writes down
//! what it was asked for. Every name is this machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::boundary::LIMIT;

/// A proxy that serves on threads until the test ends.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What it wants and does.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rules {
    /// User and password, else nobody is let in.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// BIND is refused.
    pub(crate) no_bind: bool,
}

impl Gateway {
    pub(crate) fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                // Whoever is not understood is left.
                thread::spawn(move || serve(&stream, rules, &log));
            }
        });
        Self { port, asked }
    }

    /// What it was asked for since the last time; ports other than `port` are `N`.
    pub(crate) fn asked(&self, port: &str) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().expect("no panic"));
        let masked = |line: String| match line.rsplit_once(':') {
            Some((before, other)) if other != port => format!("{before}:N"),
            _ => line.replace(&format!(":{port}"), ":PORT"),
        };
        asked.into_iter().map(masked).collect()
    }
}

fn serve(mut client: &TcpStream, rules: Rules, log: &Mutex<Vec<String>>) -> io::Result<()> {
    client.set_read_timeout(Some(LIMIT))?;
    match byte(client)? {
        5 => {
            let methods = take(client, usize::from(byte(client)?))?;
            let wanted = if rules.login.is_some() { 2 } else { 0 };
            if !methods.contains(&wanted) {
                return client.write_all(&[5, 255]);
            }
            client.write_all(&[5, wanted])?;
            if let Some((user, password)) = rules.login {
                byte(client)?;
                let name = text(client)?;
                let right = text(client)? == password && name == user;
                client.write_all(&[1, u8::from(!right)])?;
                if !right {
                    return Ok(());
                }
            }
            let [_, command, _, kind] = take(client, 4)?[..] else {
                return Ok(());
            };
            let host = match kind {
                1 => Ipv4Addr::from(<[u8; 4]>::try_from(&take(client, 4)?[..]).expect("four"))
                    .to_string(),
                3 => text(client)?,
                _ => return client.write_all(&[5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
            };
            let port = port(client)?;
            let tell = |mut client: &TcpStream, code: u8, at: SocketAddr| {
                let mut reply = vec![5, code, 0, 1, 127, 0, 0, 1];
                reply.extend(at.port().to_be_bytes());
                client.write_all(&reply)
            };
            lead(client, command, ("socks5", host, port), rules, log, tell)
        }
        4 => {
            let command = byte(client)?;
            let port = port(client)?;
            let address = take(client, 4)?;
            until_nul(client)?;
            let (word, host) = match address[..] {
                [0, 0, 0, _] => ("socks4a", until_nul(client)?),
                _ => (
                    "socks4",
                    Ipv4Addr::from(<[u8; 4]>::try_from(&address[..]).expect("four")).to_string(),
                ),
            };
            let tell = |mut client: &TcpStream, code: u8, at: SocketAddr| {
                let mut reply = vec![0, if code == 0 { 90 } else { 91 }];
                reply.extend(at.port().to_be_bytes());
                reply.extend([127, 0, 0, 1]);
                client.write_all(&reply)
            };
            lead(client, command, (word, host, port), rules, log, tell)
        }
        b'C' => {
            let mut head = vec![b'C'];
            while !head.ends_with(b"\r\n\r\n") {
                head.push(byte(client)?);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let authority = head.split(' ').nth(1).unwrap_or_default();
            let (host, port) = authority.rsplit_once(':').unwrap_or_default();
            // "me:secret" in base64
            let known = head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n");
            if rules.login.is_some() && !known {
                return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
            }
            let tell = |mut client: &TcpStream, code: u8, _: SocketAddr| {
                let answer: &[u8] = match code {
                    0 => b"HTTP/1.1 200 Connection established\r\n\r\n",
                    _ => b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
                };
                client.write_all(answer)
            };
            let to = ("http", host.to_owned(), port.parse().unwrap_or(0));
            lead(client, 1, to, rules, log, tell)
        }
        _ => Ok(()),
    }
}

fn lead(
    client: &TcpStream,
    command: u8,
    (word, host, port): (&str, String, u16),
    rules: Rules,
    log: &Mutex<Vec<String>>,
    tell: impl Fn(&TcpStream, u8, SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let verb = if command == 2 { "bind" } else { "connect" };
    let line = format!("{word} {verb} {host}:{port}");
    log.lock().expect("no panic").push(line);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = if command == 2 {
        if rules.no_bind {
            return tell(client, 7, nowhere);
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        tell(client, 0, listener.local_addr()?)?;
        let (server, from) = listener.accept()?;
        tell(client, 0, from)?;
        server
    } else {
        let ip = host.parse().unwrap_or(Ipv4Addr::LOCALHOST);
        match TcpStream::connect((ip, port)) {
            Ok(server) => {
                tell(client, 0, server.local_addr()?)?;
                server
            }
            Err(_) => return tell(client, 5, nowhere),
        }
    };
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    let upwards = thread::spawn(move || {
        let _ = io::copy(&mut up, &mut down);
        let _ = down.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client.try_clone()?);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = upwards.join();
    Ok(())
}

fn take(mut from: &TcpStream, number: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; number];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn byte(from: &TcpStream) -> io::Result<u8> {
    Ok(take(from, 1)?[0])
}

fn port(from: &TcpStream) -> io::Result<u16> {
    Ok(u16::from_be_bytes([byte(from)?, byte(from)?]))
}

fn text(from: &TcpStream) -> io::Result<String> {
    let length = usize::from(byte(from)?);
    Ok(String::from_utf8_lossy(&take(from, length)?).into_owned())
}

fn until_nul(from: &TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        match byte(from)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            other => bytes.push(other),
        }
    }
}
