//! The network process's side: asking the broker, and hearing its orders.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};

use crate::channel::{Channel, Packet};
use crate::message::{Answer, Certificate, Kept, Order, Request};

/// Signals that the broker hears for both; the network process gets an [`Order`] instead.
pub(crate) const PASSED_ON: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Asks the broker. Every question blocks until it is answered: microseconds, a signature with RSA a millisecond.
#[derive(Clone, Debug)]
pub struct Link {
    requests: Arc<Mutex<Channel>>,
    /// Of their own, so that no handshake waits for a file.
    signatures: Arc<Mutex<Channel>>,
}

/// What the broker says on its own account.
#[derive(Debug)]
pub struct Orders(Channel);

impl Link {
    /// Takes up the connection that standard input is, in a process that a [`Broker`](crate::Broker) has started.
    ///
    /// # Errors
    /// Standard input is something else: somebody has used the hidden argument.
    pub fn from_stdin() -> io::Result<(Self, Orders)> {
        let orders = Channel::of(io::stdin().as_fd().try_clone_to_owned()?);
        let strange = || io::Error::new(io::ErrorKind::InvalidData, "standard input is no broker");
        let packet = orders.receive()?.ok_or_else(strange)?;
        let mut channels = packet.descriptors.into_iter().map(Channel::of);
        let (Ok(Order::Begin), Some(requests), Some(signatures)) = (
            Order::decode(&packet.bytes),
            channels.next(),
            channels.next(),
        ) else {
            return Err(strange());
        };
        // Inherited blocked; whoever listens to them decides from here on.
        let mut passed_on = SigSet::empty();
        for signal in PASSED_ON {
            passed_on.add(signal);
        }
        passed_on.thread_unblock()?;
        let link = Self {
            requests: Arc::new(Mutex::new(requests)),
            signatures: Arc::new(Mutex::new(signatures)),
        };
        Ok((link, Orders(orders)))
    }

    /// A file of the configuration, opened by the broker.
    ///
    /// # Errors
    /// What the system said to the broker.
    pub fn open(&self, kept: Kept) -> io::Result<File> {
        self.descriptor(&Request::Open(kept)).map(File::from)
    }

    /// The certificates whose keys the broker keeps, in their order.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn certificates(&self) -> io::Result<Vec<(u16, Certificate)>> {
        let mut found: Vec<(u16, Certificate)> = Vec::new();
        let mut number = 0;
        loop {
            match self.ask(&Request::Certificate(number))?.0 {
                Answer::Certificate(it) => {
                    if found
                        .first()
                        .is_some_and(|(_, first)| first.generation != it.generation)
                    {
                        // Exchanged while we asked.
                        found.clear();
                        number = 0;
                        continue;
                    }
                    found.push((number, it));
                    number += 1;
                }
                Answer::NoCertificate { .. } => return Ok(found),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Tells that it listens, or what has come of a reload: for the service manager.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn ready(&self) -> io::Result<()> {
        match self.ask(&Request::Ready)?.0 {
            Answer::Noted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn sign(
        &self,
        key: u16,
        generation: u32,
        scheme: u16,
        message: &[u8],
    ) -> io::Result<Vec<u8>> {
        let request = Request::Sign {
            key,
            generation,
            scheme,
            message: message.to_vec(),
        };
        match talk(&self.signatures, &request)?.0 {
            Answer::Signature(signature) => Ok(signature),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn descriptor(&self, request: &Request) -> io::Result<OwnedFd> {
        let (answer, mut descriptors) = self.ask(request)?;
        match (answer, descriptors.pop()) {
            (Answer::Descriptor, Some(descriptor)) => Ok(descriptor),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Any bytes, with a descriptor beside them or without: for the drill.
    ///
    /// # Errors
    /// The broker is gone, or was not amused.
    #[cfg(feature = "drill")]
    pub fn drill(&self, bytes: &[u8], beside: bool) -> io::Result<Answer> {
        let channel = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptors: Vec<_> = beside.then(|| channel.as_fd()).into_iter().collect();
        channel.send(bytes, &descriptors)?;
        let packet = channel.receive()?.ok_or(io::ErrorKind::BrokenPipe)?;
        Answer::decode(&packet.bytes).map_err(io::Error::other)
    }

    /// Any bytes, and the answer is left where it is: for the drill.
    ///
    /// # Errors
    /// The broker is gone.
    #[cfg(feature = "drill")]
    pub fn drill_unread(&self, bytes: &[u8]) -> io::Result<()> {
        let channel = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        channel.send(bytes, &[])
    }

    fn ask(&self, request: &Request) -> io::Result<(Answer, Vec<OwnedFd>)> {
        talk(&self.requests, request)
    }
}

fn talk(channel: &Mutex<Channel>, request: &Request) -> io::Result<(Answer, Vec<OwnedFd>)> {
    let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the broker process has ended");
    let channel = channel.lock().unwrap_or_else(PoisonError::into_inner);
    channel.send(&request.encode(), &[])?;
    let Packet { bytes, descriptors } = channel.receive()?.ok_or_else(gone)?;
    let answer = Answer::decode(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((answer, descriptors))
}

fn unexpected(answer: &Answer) -> io::Error {
    match answer {
        Answer::Refused { errno: 0, why } => {
            io::Error::new(io::ErrorKind::PermissionDenied, format!("broker: {why}"))
        }
        Answer::Refused { errno, .. } => io::Error::from_raw_os_error(*errno),
        _ => io::Error::new(
            io::ErrorKind::InvalidData,
            "the broker answers something else",
        ),
    }
}

impl Orders {
    /// The next order; `None` when the broker has ended. Blocks.
    ///
    /// # Errors
    /// Those of `recvmsg(2)`, and a packet that makes no sense.
    pub fn next(&self) -> io::Result<Option<Order>> {
        let Some(packet) = self.0.receive()? else {
            return Ok(None);
        };
        Order::decode(&packet.bytes)
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
