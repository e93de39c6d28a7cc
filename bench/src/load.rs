//! A plain FTP client for loading servers: blocking, no protocol comfort, as little work per byte as can be.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

/// How long any single read or write may take before a run counts as failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Size of the receive and send buffers.
const CHUNK: usize = 1 << 20;

/// One logged-in control connection.
pub(crate) struct Session {
    replies: BufReader<TcpStream>,
    control: TcpStream,
    line: String,
}

impl Session {
    /// Connects, logs in and sets TYPE I.
    pub(crate) fn login(port: u16, user: &str, password: &str) -> io::Result<Self> {
        let control = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        control.set_nodelay(true)?;
        control.set_read_timeout(Some(PATIENCE))?;
        let mut session = Self {
            replies: BufReader::new(control.try_clone()?),
            control,
            line: String::new(),
        };
        session.expect(220)?;
        session.say(&format!("USER {user}\r\n"))?;
        if session.reply()? == 331 {
            session.command(&format!("PASS {password}\r\n"), 230)?;
        }
        session.command("TYPE I\r\n", 200)?;
        Ok(session)
    }

    /// Sends a line and requires that reply.
    pub(crate) fn command(&mut self, line: &str, code: u16) -> io::Result<()> {
        self.say(line)?;
        self.expect(code)
    }

    /// Downloads a file into nothing; gives its length.
    pub(crate) fn retrieve(&mut self, name: &str, buffer: &mut [u8]) -> io::Result<u64> {
        let mut data = self.passive()?;
        self.say(&format!("RETR {name}\r\n"))?;
        self.preliminary()?;
        let mut total = 0;
        loop {
            let n = data.read(buffer)?;
            if n == 0 {
                break;
            }
            total += n as u64;
        }
        drop(data);
        self.expect(226)?;
        Ok(total)
    }

    /// Uploads that many bytes of zeros.
    pub(crate) fn store(&mut self, name: &str, length: u64, buffer: &[u8]) -> io::Result<()> {
        let mut data = self.passive()?;
        self.say(&format!("STOR {name}\r\n"))?;
        self.preliminary()?;
        let mut left = length;
        while left > 0 {
            let n = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            data.write_all(&buffer[..n])?;
            left -= n as u64;
        }
        rustix::net::shutdown(data.as_fd(), rustix::net::Shutdown::Write)?;
        drop(data);
        self.expect(226)
    }

    fn passive(&mut self) -> io::Result<TcpStream> {
        self.say("EPSV\r\n")?;
        self.expect(229)?;
        let port = self
            .line
            .split('|')
            .nth(3)
            .and_then(|p| p.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no port in {:?}", self.line)))?;
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let data = TcpStream::connect(to)?;
        data.set_read_timeout(Some(PATIENCE))?;
        data.set_write_timeout(Some(PATIENCE))?;
        Ok(data)
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.control.write_all(line.as_bytes())
    }

    /// 125 and 150 are the same to a load generator.
    fn preliminary(&mut self) -> io::Result<()> {
        match self.reply()? {
            125 | 150 => Ok(()),
            _ => Err(io::Error::other(format!("instead of 150: {}", self.line))),
        }
    }

    fn expect(&mut self, code: u16) -> io::Result<()> {
        if self.reply()? == code {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "instead of {code}: {}",
            self.line.trim_end()
        )))
    }

    /// The next reply's code; its last line stays in `line`.
    fn reply(&mut self) -> io::Result<u16> {
        loop {
            self.line.clear();
            if self.replies.read_line(&mut self.line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let bytes = self.line.as_bytes();
            let last = bytes.get(3) == Some(&b' ');
            if let (true, Some(code)) = (last, self.line.get(..3).and_then(|c| c.parse().ok())) {
                return Ok(code);
            }
        }
    }
}

/// A buffer as large as one read or write here.
pub(crate) fn buffer() -> Vec<u8> {
    vec![0; CHUNK]
}
