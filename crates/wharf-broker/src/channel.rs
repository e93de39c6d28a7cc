//! Packets between the two processes, with descriptors beside them: a pair of Unix sockets that keeps packets apart
//! (`SOCK_SEQPACKET`). All of it blocks but [`Channel::send_at_once`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

use crate::message::LONGEST;

/// The most descriptors beside a packet.
const DESCRIPTORS: usize = 2;

/// A packet that has arrived.
#[derive(Debug)]
pub(crate) struct Packet {
    /// What it says.
    pub(crate) bytes: Vec<u8>,
    /// What came beside it.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Both ends.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(one), Self(other)))
    }

    /// One end that came here by another way.
    pub(crate) fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Never raises SIGPIPE: an end that is gone is `BrokenPipe`.
    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_as(SendFlags::NOSIGNAL, bytes, descriptors)
    }

    /// The same to an end that may have stopped reading: it is not waited for, and the error is `WouldBlock`.
    pub(crate) fn send_at_once(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        self.send_as(
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            bytes,
            descriptors,
        )
    }

    fn send_as(
        &self,
        flags: SendFlags,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sent = retry(|| sendmsg(&self.0, &[IoSlice::new(bytes)], &mut beside, flags))?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    /// The next packet; `None` when the other end is gone. One that is too long is an error.
    pub(crate) fn receive(&self) -> io::Result<Option<Packet>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = retry(|| {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            recvmsg(&self.0, &mut slices, &mut beside, flags)
        })?;
        let mut descriptors = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(came) = message {
                descriptors.extend(came);
            }
        }
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a packet is too long",
            ));
        }
        if received.bytes == 0 {
            // No packet of ours is empty.
            return Ok(None);
        }
        bytes.truncate(received.bytes);
        Ok(Some(Packet { bytes, descriptors }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_descriptor_travels_beside_a_packet() {
        let (one, other) = Channel::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"kept").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        one.send(b"take", &[file.as_fd()]).unwrap();
        one.send(b"and", &[]).unwrap();
        drop(one);

        let mut packet = other.receive().unwrap().unwrap();
        assert_eq!(packet.bytes, b"take");
        let mut text = String::new();
        let mut came = std::fs::File::from(packet.descriptors.remove(0));
        came.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept");
        assert_eq!(other.receive().unwrap().unwrap().bytes, b"and");
        assert!(other.receive().unwrap().is_none());
        let error = other.send(b"nobody", &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let (one, _other) = Channel::pair().unwrap();
        let error = loop {
            if let Err(error) = one.send_at_once(b"answer", &[]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_packet_that_is_too_long_is_an_error() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&vec![1; LONGEST + 1], &[]).unwrap();
        let error = other.receive().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
