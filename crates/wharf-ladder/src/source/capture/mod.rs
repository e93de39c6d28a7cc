//! A packet capture as the events of the FTP sessions in it, told as a trace on the user's side tells them.
//!
//! pcap and pcapng, Ethernet, cooked, raw IP or loopback, IPv4 and IPv6. Where the capture was made does not matter: on
//! the user's machine, on the server's, on a gateway between, where addresses inside of the dialogue may be others than
//! those of the packets (that is said in a note). Secrets are masked. What the capture lacks is said, never invented.
//!
//! Bytes of a capture are not to be believed: everything here takes time and memory in proportion to the file, and no
//! input panics.

mod connection;
mod dialogue;
mod file;
mod packet;
mod session;
mod stream;

use std::time::Duration;

use wharf_proto::trace::{Event, What};

use connection::{Connections, Mark};

/// Why there are no events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// Neither pcap nor pcapng.
    #[error("not a capture: neither pcap nor pcapng")]
    NotACapture,
    /// Frames of a kind that is not read.
    #[error(
        "frames of link type {0} cannot be read; capture on an Ethernet, `any`, loopback or tunnel interface"
    )]
    LinkType(i32),
    /// Nothing in it is FTP.
    #[error(
        "no FTP control connection among the {connections} TCP connections of the capture; \
         capture from before the login on, the control port and everything else of the two hosts"
    )]
    NoSession {
        /// TCP connections that are in it.
        connections: usize,
    },
}

/// Whether these are the first bytes of a capture file.
pub fn begins(bytes: &[u8]) -> bool {
    file::is_capture(bytes)
}

/// Reads a capture: every FTP session in it, numbered in order of their beginnings, times counted from the first.
///
/// # Errors
/// [`CaptureError`]. A file that is cut off or damaged further on is read as far as it goes, and a note says so.
pub fn read(bytes: &[u8]) -> Result<Vec<Event>, CaptureError> {
    let file = file::frames(bytes)?;
    if let Some(frame) = file.frames.first()
        && !file.frames.iter().any(|frame| packet::is_known(frame.link))
    {
        return Err(CaptureError::LinkType(frame.link));
    }
    let mut connections = Connections::default();
    let mut at = Duration::ZERO;
    for (index, frame) in file.frames.iter().enumerate() {
        // Interfaces have clocks of their own; time does not run back.
        at = at.max(frame.at);
        if let Some(packet) = packet::packet(frame) {
            connections.take(&packet, Mark { index, at });
        }
    }
    let mut events = session::events(&connections).ok_or(CaptureError::NoSession {
        connections: connections.all.len(),
    })?;
    if file.damaged
        && let Some(last) = events.last()
    {
        let (at, session) = (last.at, last.session);
        let what = What::Note("the capture file is cut off or damaged here".to_owned());
        events.push(Event { at, session, what });
    }
    for event in &mut events {
        // Traces have milliseconds.
        event.at = Duration::new(event.at.as_secs(), event.at.subsec_millis() * 1_000_000);
    }
    Ok(events)
}
