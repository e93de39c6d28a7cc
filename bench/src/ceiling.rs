//! The bare loops without any FTP: what the machine itself allows, measured in the same run.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

/// Sends a file by sendfile into a reading thread; gives the sender's CPU seconds.
pub(crate) fn send_file(path: &Path, buffer: &mut [u8]) -> io::Result<f64> {
    let (mut reader, sender) = pair()?;
    let path = path.to_owned();
    let sending = thread::spawn(move || -> io::Result<f64> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let before = thread_cpu();
        let mut offset = 0;
        while offset < length {
            let sent = rustix::fs::sendfile(&sender, &file, Some(&mut offset), 1 << 20)?;
            if sent == 0 {
                break;
            }
        }
        Ok(thread_cpu() - before)
    });
    while reader.read(buffer)? > 0 {}
    sending
        .join()
        .map_err(|_| io::Error::other("the sender died"))?
}

/// Receives into a fresh file with large reads and writes; gives the receiver's CPU seconds.
pub(crate) fn receive_file(path: &Path, length: u64, buffer: &[u8]) -> io::Result<f64> {
    let (receiver, mut sender) = pair()?;
    let path = path.to_owned();
    let receiving = thread::spawn(move || -> io::Result<f64> {
        let mut receiver = receiver;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let mut own = vec![0; 1 << 18];
        let before = thread_cpu();
        loop {
            let n = receiver.read(&mut own)?;
            if n == 0 {
                return Ok(thread_cpu() - before);
            }
            file.write_all(&own[..n])?;
        }
    });
    let mut left = length;
    while left > 0 {
        let n = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        sender.write_all(&buffer[..n])?;
        left -= n as u64;
    }
    drop(sender);
    receiving
        .join()
        .map_err(|_| io::Error::other("the receiver died"))?
}

/// So many small files, each over a connection of its own and after one line each way: a server without thought.
pub(crate) fn small_files(path: &Path, count: u32, buffer: &mut [u8]) -> io::Result<()> {
    let (mut control, serving) = pair()?;
    let path = path.to_owned();
    control.set_nodelay(true)?;
    serving.set_nodelay(true)?;
    let server = thread::spawn(move || -> io::Result<()> {
        let mut serving = serving;
        let mut line = [0; 64];
        // One port for all: finding a fresh one among those that linger is work of its own.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        for _ in 0..count {
            let _ = serving.read(&mut line)?;
            serving.write_all(format!("{}\n", listener.local_addr()?.port()).as_bytes())?;
            let _ = serving.read(&mut line)?;
            let file = File::open(&path)?;
            let length = file.metadata()?.len();
            let (data, _) = listener.accept()?;
            serving.write_all(b"150\n")?;
            let mut offset = 0;
            while offset < length {
                rustix::fs::sendfile(&data, &file, Some(&mut offset), 1 << 20)?;
            }
            drop(data);
            serving.write_all(b"226\n")?;
        }
        Ok(())
    });
    let mut line = [0; 64];
    for _ in 0..count {
        control.write_all(b"EPSV\n")?;
        let n = control.read(&mut line)?;
        let port = std::str::from_utf8(&line[..n])
            .ok()
            .and_then(|t| t.trim().parse().ok())
            .ok_or_else(|| io::Error::other("the bare server did not name a port"))?;
        let mut data = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        control.write_all(b"RETR\n")?;
        while data.read(buffer)? > 0 {}
        let mut replies = Vec::new();
        while !replies.ends_with(b"226\n") {
            let n = control.read(&mut line)?;
            replies.extend_from_slice(&line[..n]);
        }
    }
    server
        .join()
        .map_err(|_| io::Error::other("the bare server died"))?
}

fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    Ok((one, other))
}

fn thread_cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a run's nanoseconds fit")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}
