//! Packets between two processes, with a descriptor beside them: one end of a pair of Unix sockets that keeps packets apart
//! (`SOCK_SEQPACKET`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    recvmsg, sendmsg, shutdown, socketpair,
};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::packet::LONGEST;

/// A packet that has arrived.
#[derive(Debug)]
pub struct Packet {
    /// What it says; never empty.
    pub bytes: Vec<u8>,
    /// What came beside it.
    pub descriptor: Option<OwnedFd>,
}

/// Both ends of a new connection.
///
/// # Errors
/// No descriptors are left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Sends a packet; blocks, where the socket does. Never raises SIGPIPE.
///
/// # Errors
/// An end that is gone, or listens no more, is [`BrokenPipe`](io::ErrorKind::BrokenPipe).
pub fn send(to: impl AsFd, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let one = descriptor.map(|it| [it]);
    if let Some(one) = &one
        && !beside.push(SendAncillaryMessage::ScmRights(one))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL;
    let sent = retry(|| sendmsg(&to, &[IoSlice::new(bytes)], &mut beside, flags))?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// The next packet, `None` when the other end is gone; blocks, where the socket does.
///
/// # Errors
/// Those of `recvmsg(2)`, and a packet that is too long.
pub fn receive(from: impl AsFd) -> io::Result<Option<Packet>> {
    let mut bytes = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = retry(|| {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        recvmsg(&from, &mut slices, &mut beside, flags)
    })?;
    let mut descriptor = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptor = came.into_iter().next();
        }
    }
    let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
    if received.flags.intersects(cut) {
        let long = "a packet, or what is beside it, is too long";
        return Err(io::Error::new(io::ErrorKind::InvalidData, long));
    }
    if received.bytes == 0 {
        // No packet of ours is empty.
        return Ok(None);
    }
    bytes.truncate(received.bytes);
    bytes.shrink_to_fit();
    Ok(Some(Packet { bytes, descriptor }))
}

/// One end, for a runtime. It is watched as a socket of datagrams, which packets are for whoever waits for them; a socket
/// of packets has no type of its own in tokio, and `AsyncFd` asks for a promise that only unsafe code can make.
#[derive(Debug)]
pub(crate) struct Channel(UnixDatagram);

impl Channel {
    /// Errors: the runtime cannot watch it.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(descriptor);
        socket.set_nonblocking(true)?;
        UnixDatagram::from_std(socket).map(Self)
    }

    /// Cancel-safe: the packet is sent whole or not at all.
    pub(crate) async fn send(
        &self,
        bytes: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let now = || send(&self.0, bytes, descriptor);
        self.0.async_io(Interest::WRITABLE, now).await
    }

    /// Cancel-safe: a packet is taken whole or stays.
    pub(crate) async fn receive(&self) -> io::Result<Option<Packet>> {
        let now = || receive(&self.0);
        self.0.async_io(Interest::READABLE, now).await
    }

    /// Tells the other end that nothing more is received; what is on its way can still be.
    pub(crate) fn refuse_more(&self) -> io::Result<()> {
        Ok(shutdown(&self.0, Shutdown::Read)?)
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_descriptor_travels_beside_a_packet() {
        let (one, other) = pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"kept").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        send(&one, b"take", Some(file.as_fd())).unwrap();
        send(&one, b"and", None).unwrap();
        drop(one);

        let packet = receive(&other).unwrap().unwrap();
        assert_eq!(packet.bytes, b"take");
        let mut text = String::new();
        let mut came = std::fs::File::from(packet.descriptor.unwrap());
        came.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept");
        assert_eq!(receive(&other).unwrap().unwrap().bytes, b"and");
        assert!(receive(&other).unwrap().is_none());
    }

    #[test]
    fn more_than_a_packet_is_not_received() {
        let (one, other) = pair().unwrap();
        send(&one, &vec![1; LONGEST + 1], None).unwrap();
        let error = receive(&other).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    /// A worker that ends must not lose a session that was on its way to it.
    #[tokio::test]
    async fn what_was_sent_before_the_end_still_comes() {
        let (one, other) = pair().unwrap();
        let channel = Channel::new(other).unwrap();
        send(&one, b"first", None).unwrap();
        channel.refuse_more().unwrap();
        let late = send(&one, b"late", None).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(channel.receive().await.unwrap().unwrap().bytes, b"first");
        assert!(channel.receive().await.unwrap().is_none());
    }
}
