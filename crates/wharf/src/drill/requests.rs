//! What the broker is asked for that it must not give, and what it must not survive being asked by.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wharf_broker::Link;
use wharf_broker::message::{Answer, Kept, Request};

use super::{Outcome, number, said};
use crate::cmd::broker;

/// ECDSA with P-256 and SHA-256, as IANA has it; the lab's key signs so.
const SCHEME: u16 = 0x0403;

/// `ask-file`: one that the configuration does not name.
pub(super) fn file(_: &[&str]) -> Outcome {
    asked(&Request::Open(Kept::TransferLog))
}

/// `ask-users`: those whose passwords are checked here.
pub(super) fn users(_: &[&str]) -> Outcome {
    asked(&Request::Open(Kept::Users))
}

/// `ask-port ADDR:PORT`
pub(super) fn port(arguments: &[&str]) -> Outcome {
    asked(&Request::Listen {
        at: number(arguments, 0)?,
        only_ipv6: false,
    })
}

/// `ask-connection ADDR:PORT`
pub(super) fn connection(arguments: &[&str]) -> Outcome {
    asked(&Request::Connect {
        from: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        to: number(arguments, 0)?,
    })
}

/// `ask-letter`: a signature under any text.
pub(super) fn letter(_: &[&str]) -> Outcome {
    signed(b"The bearer of this is who he says he is.".to_vec())
}

/// `ask-certificate`: a signature under the body of a certificate, made to look like the key exchange of TLS 1.2: P-384's
/// parameters lie in its issuer's name.
pub(super) fn certificate(_: &[&str]) -> Outcome {
    let mut body = vec![0x30, 0x81, 162, 2, 1, 7, 0x30, 0x81, 154];
    body.resize(64, b'a');
    body.extend([3, 0, 24, 97, 4]);
    body.resize(163, b'a');
    body.extend([5, 0]);
    signed(body)
}

/// `ask-handshake`: what a server signs.
pub(super) fn handshake(_: &[&str]) -> Outcome {
    let mut message = vec![b' '; 64];
    message.extend(b"TLS 1.3, server CertificateVerify\0");
    message.extend([7; 32]);
    signed(message)
}

/// `ask-nonsense`
pub(super) fn nonsense(_: &[&str]) -> Outcome {
    told(link()?.drill(&[9, 9, 9], false).map_err(said)?)
}

/// `ask-beside`: an honest question with a descriptor beside it.
pub(super) fn beside(_: &[&str]) -> Outcome {
    let question = Request::Certificate(0).encode();
    told(link()?.drill(&question, true).map_err(said)?)
}

/// `ask-unread`: questions, and nobody reads the answers.
pub(super) fn unread(_: &[&str]) -> Outcome {
    let question = Request::Certificate(0).encode();
    for _ in 0..100_000 {
        link()?.drill_unread(&question).map_err(said)?;
    }
    Ok("a hundred thousand".to_owned())
}

fn signed(message: Vec<u8>) -> Outcome {
    asked(&Request::Sign {
        key: 0,
        generation: 1,
        scheme: SCHEME,
        message,
    })
}

fn asked(request: &Request) -> Outcome {
    told(link()?.drill(&request.encode(), false).map_err(said)?)
}

fn told(answer: Answer) -> Outcome {
    match answer {
        Answer::Refused { why, .. } => Err(format!("broker, {why}")),
        Answer::Signature(signature) => Ok(format!("{} bytes", signature.len())),
        _ => Ok("given".to_owned()),
    }
}

fn link() -> Result<&'static Link, String> {
    broker().ok_or_else(|| "there is no broker".to_owned())
}
