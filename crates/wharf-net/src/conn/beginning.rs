//! What a connection begins with, found out without reading it.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::net::RecvFlags;
use tokio::io::Interest;

use super::{Carrier, Conn, Heard};
use crate::tls::{FirstBytes, LONGEST_HELLO, TicketName};

/// What the peer of an undecided connection has done so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It is there and silent.
    Nothing,
    /// It has ended the connection and left nothing to read.
    End,
    /// It has said something that is not TLS.
    Clear,
    /// What it has said may become a ClientHello.
    Part,
    /// A ClientHello, which shows the tickets of these sessions.
    Hello(Vec<TicketName>),
}

impl Conn {
    /// Looks at the first bytes. Only when there are some, and nothing but the copy of them is asked for: `MSG_PEEK` on an
    /// empty queue would take the error of a reset off the socket, see [`heard`](Self::heard). Bytes that have arrived stay
    /// in front of such an error, and nobody else reads them meanwhile.
    pub(crate) fn beginning(&self) -> Beginning {
        match self.heard() {
            Heard::Nothing => return Beginning::Nothing,
            Heard::End => return Beginning::End,
            Heard::Bytes => {}
        }
        let mut bytes = [0; LONGEST_HELLO];
        let length = match self.bottom() {
            Carrier::Tcp(stream) => {
                rustix::net::recv(stream, &mut bytes, RecvFlags::PEEK).map(|(copied, _)| copied)
            }
            Carrier::Foreign(foreign) => {
                let peek = foreign.peek.as_ref();
                Ok(peek.map_or(0, |peek| peek(&mut bytes)))
            }
            Carrier::Tls(_) | Carrier::Gone => return Beginning::End,
        };
        match bytes.get(..length.unwrap_or(0)).map(FirstBytes::of) {
            Some(FirstBytes::Hello(tickets)) => Beginning::Hello(tickets),
            // One that cannot be looked into has said something all the same.
            Some(FirstBytes::Part) if matches!(length, Ok(0) | Err(_)) => Beginning::Clear,
            Some(FirstBytes::Part) => Beginning::Part,
            Some(FirstBytes::Clear) | None => Beginning::Clear,
        }
    }

    /// What it has done since it was looked at last; ready as soon as the system tells. A part of a ClientHello is told once,
    /// and then again when more has come. Never ready for foreign streams: who waits for one looks from time to time.
    pub(crate) fn poll_beginning(&self, cx: &mut Context<'_>) -> Poll<Beginning> {
        let Some(stream) = self.socket() else {
            return Poll::Pending;
        };
        loop {
            if ready!(stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Beginning::End);
            }
            // Looked at inside, so that what comes meanwhile is not forgotten: the readiness of before is cleared alone.
            let mut seen = Beginning::Nothing;
            let looked = stream.try_io(Interest::READABLE, || {
                seen = self.beginning();
                match seen {
                    Beginning::Nothing | Beginning::Part => Err(io::ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            });
            if looked.is_ok() || seen == Beginning::Part {
                return Poll::Ready(seen);
            }
        }
    }
}
