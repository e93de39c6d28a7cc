//! A control connection by hand, for what no client program would do.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketType};

use crate::Result;
use crate::namespace::Namespace;
use crate::server::{PASSWORD, USER};

/// How long a reply may take before the wire says that none came.
const PATIENCE: Duration = Duration::from_secs(15);

/// One reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Its code.
    pub(crate) code: u16,
    /// All its lines.
    pub(crate) text: String,
}

impl Reply {
    /// The port in a 229.
    pub(crate) fn extended_port(&self) -> Option<u16> {
        self.text.split('|').nth(3)?.parse().ok()
    }

    /// The port in a 227.
    pub(crate) fn passive_port(&self) -> Option<u16> {
        let inner = self.text.split_once('(')?.1.split_once(')')?.0;
        let numbers: Option<Vec<u16>> = inner.split(',').map(|part| part.parse().ok()).collect();
        match numbers?.as_slice() {
            [_, _, _, _, high, low] => Some(high << 8 | low),
            _ => None,
        }
    }
}

/// A control connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Dials from inside the namespace and reads the greeting.
    pub(crate) fn greet(namespace: &Namespace, to: SocketAddr) -> Result<Self> {
        Self::over(dial(namespace, to)?)
    }

    /// Reads the greeting on a connection that stands.
    pub(crate) fn over(stream: TcpStream) -> Result<Self> {
        // What is measured here is the server's promptness, not Nagle's.
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream,
            unread: Vec::new(),
        };
        wire.expect(&[220])?;
        Ok(wire)
    }

    /// Dials, and logs in as the lab's user, representation type image.
    pub(crate) fn login(namespace: &Namespace, to: SocketAddr) -> Result<Self> {
        let mut wire = Self::greet(namespace, to)?;
        wire.enter()?;
        Ok(wire)
    }

    /// Logs in as the lab's user, representation type image.
    pub(crate) fn enter(&mut self) -> Result<()> {
        if self.command(&format!("USER {USER}"))?.code == 331 {
            self.send(&format!("PASS {PASSWORD}"))?;
            self.expect(&[230, 202])?;
        }
        self.send("TYPE I")?;
        self.expect(&[200])?;
        Ok(())
    }

    /// The socket.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends a line.
    pub(crate) fn send(&mut self, line: &str) -> Result<()> {
        Ok(self.stream.write_all(format!("{line}\r\n").as_bytes())?)
    }

    /// Sends a line and reads a reply.
    pub(crate) fn command(&mut self, line: &str) -> Result<Reply> {
        self.send(line)?;
        self.reply()
            .map_err(|failure| format!("{line}: {failure}").into())
    }

    /// Sends bytes of which the last is urgent.
    pub(crate) fn send_urgent(&mut self, bytes: &[u8]) -> Result<()> {
        rustix::net::send(&self.stream, bytes, SendFlags::OOB)?;
        Ok(())
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> Result<Reply> {
        self.next(PATIENCE)?
            .ok_or_else(|| "the control connection was closed".into())
    }

    /// The next reply, which has to have one of these codes.
    pub(crate) fn expect(&mut self, codes: &[u16]) -> Result<Reply> {
        let reply = self.reply()?;
        if codes.contains(&reply.code) {
            Ok(reply)
        } else {
            Err(format!("expected {codes:?}, got: {}", reply.text.trim_end()).into())
        }
    }

    /// The next reply, or `None` at the end of the connection; an error when neither comes in time.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Option<Reply>> {
        let start = Instant::now();
        let mut text = String::new();
        let mut code = None;
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                text.push_str(&line);
                let number = line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
                let separator = line.as_bytes().get(3).copied();
                match (number, separator, code) {
                    (Some(number), Some(b'-'), None) => code = Some(number),
                    (Some(number), Some(b' ' | b'\r'), None) => {
                        return Ok(Some(Reply { code: number, text }));
                    }
                    (Some(number), Some(b' '), Some(first)) if number == first => {
                        return Ok(Some(Reply { code: number, text }));
                    }
                    (_, _, Some(_)) => {}
                    _ => return Err(format!("not a reply: {}", line.trim_end()).into()),
                }
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(format!("no reply within {} ms", patience.as_millis()).into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// EPSV: where to connect.
    pub(crate) fn passive(&mut self) -> Result<SocketAddr> {
        let reply = self.command("EPSV")?;
        let port = reply
            .extended_port()
            .ok_or_else(|| format!("no port in: {}", reply.text.trim_end()))?;
        Ok(SocketAddr::new(self.stream.peer_addr()?.ip(), port))
    }

    /// PORT with an address and a port.
    pub(crate) fn port(ip: Ipv4Addr, port: u16) -> String {
        let [a, b, c, d] = ip.octets();
        format!("PORT {a},{b},{c},{d},{},{}", port >> 8, port & 255)
    }

    /// Runs a listing command over EPSV and returns the data.
    pub(crate) fn listing(&mut self, namespace: &Namespace, command: &str) -> Result<Vec<u8>> {
        let at = self.passive()?;
        self.send(command)?;
        let mut data = dial(namespace, at)?;
        data.set_read_timeout(Some(PATIENCE))?;
        let mut bytes = Vec::new();
        self.expect(&[150, 125])?;
        data.read_to_end(&mut bytes)?;
        self.expect(&[226, 250])?;
        Ok(bytes)
    }
}

/// Connects from inside the namespace.
pub(crate) fn dial(namespace: &Namespace, to: SocketAddr) -> Result<TcpStream> {
    let stream = namespace.inside(|| TcpStream::connect_timeout(&to, PATIENCE))?;
    Ok(stream.map_err(|error| format!("{to}: {error}"))?)
}

/// Connects from inside the namespace, from this address.
pub(crate) fn dial_from(namespace: &Namespace, from: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    namespace.inside(|| connect_from(from, to))?
}

/// Connects from where the calling thread stands, from this address.
pub(crate) fn connect_from(from: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let connect = || -> rustix::io::Result<TcpStream> {
        let family = if from.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
        rustix::net::connect(&socket, &to)?;
        Ok(TcpStream::from(socket))
    };
    Ok(connect().map_err(|error| format!("{from} to {to}: {error}"))?)
}

/// Listens inside the namespace.
pub(crate) fn listen(namespace: &Namespace, at: SocketAddr) -> Result<TcpListener> {
    let listener = namespace.inside(|| TcpListener::bind(at))?;
    Ok(listener.map_err(|error| format!("{at}: {error}"))?)
}

/// Waits for a connection, at most this long.
pub(crate) fn accept(listener: &TcpListener, patience: Duration) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if start.elapsed() > patience {
                    return Err(
                        format!("nobody connected within {} ms", patience.as_millis()).into(),
                    );
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
