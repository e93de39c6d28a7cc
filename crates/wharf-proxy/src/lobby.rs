//! Before a server is known (`user@host`): we greet, and wait for the USER that names it.

use std::io;

use tokio::time::{Instant, timeout_at};
use wharf_net::ServerControl;
use wharf_proto::{Command, CommandError, CommandErrorKind, Line, Reply, Text};

use crate::config::Config;
use crate::shield::Shield;
use crate::translate::protection::Answer as Protecting;
use crate::translate::word_of;
use crate::upstream::{Place, user_at_host};

/// So many lines may come before the right one.
const LINES: u32 = 20;

/// Where the client wants to go.
pub(crate) struct Named {
    pub(crate) place: Place,
    /// The host as it was written.
    pub(crate) written: String,
    /// The line with which it wanted that.
    pub(crate) line: Vec<u8>,
}

/// Greets, and answers until a USER names a server. `None`: the client has said goodbye, or is sent away; what was said
/// about it waits to be written.
pub(crate) async fn receive(
    client: &mut ServerControl,
    config: &Config,
    shield: &mut Shield,
) -> io::Result<Option<Named>> {
    let until = Instant::now() + config.no_login;
    client.queue(&Reply::new(220, &config.greeting));
    for _ in 0..LINES {
        let line = match timeout_at(until, client.next_line()).await {
            Ok(line) => line?,
            Err(_) => {
                client.queue(&Reply::new(421, "No login in time, goodbye"));
                return Ok(None);
            }
        };
        let line = match line {
            None => return Ok(None),
            Some(Line::Synch) => continue,
            Some(Line::TooLong) => {
                client.queue(&Reply::new(500, "Line too long"));
                continue;
            }
            Some(Line::Command(line)) => line,
        };
        let parsed = Command::parse(&line);
        let protection = &mut shield.protection;
        if let Some(about_tls) = protection.answer(word_of(&line), parsed.as_ref().ok()) {
            match about_tls {
                Protecting::Say(reply) | Protecting::ProtectData(_, reply) => client.queue(&reply),
                Protecting::Secure(reply) => {
                    client.queue(&reply);
                    shield.secure(client, false, config.patience).await?;
                }
            }
            continue;
        }
        match answer(&line, parsed, protection.features()) {
            Answer::Go(named) => return Ok(Some(named)),
            Answer::Say(reply) => client.queue(&reply),
            Answer::Leave(reply) => {
                client.queue(&reply);
                return Ok(None);
            }
        }
    }
    client.queue(&Reply::new(
        421,
        "No USER name@host among so many lines, goodbye",
    ));
    Ok(None)
}

enum Answer {
    Go(Named),
    Say(Reply),
    Leave(Reply),
}

fn answer(line: &[u8], parsed: Result<Command, CommandError>, features: &[&'static str]) -> Answer {
    let command = match parsed {
        Ok(command) => command,
        Err(error) if error.kind == CommandErrorKind::ForeignProtocol => {
            return Answer::Leave(error.reply());
        }
        Err(error) => return Answer::Say(error.reply()),
    };
    Answer::Say(match command {
        Command::User(argument) => match user_at_host(argument.as_bytes()) {
            None => Reply::new(530, "Say where to: USER name@host"),
            Some((_, Err(why))) => Reply::new(530, why),
            Some((_, Ok(place))) => {
                let at = argument.as_bytes().iter().rposition(|byte| *byte == b'@');
                let host = at.and_then(|at| argument.as_bytes().get(at + 1..));
                return Answer::Go(Named {
                    place,
                    written: String::from_utf8_lossy(host.unwrap_or_default()).into_owned(),
                    line: line.to_vec(),
                });
            }
        },
        Command::Quit => return Answer::Leave(Reply::new(221, "Goodbye")),
        Command::Noop => Reply::new(200, "Say where to: USER name@host"),
        Command::Feat => {
            let known = features.iter().chain(&["EPRT", "EPSV"]);
            let lines = known.map(|line| Text::lossy(format!(" {line}")));
            let (first, last) = (Text::lossy("Features:"), Text::lossy("End"));
            Reply::with_lines(
                211,
                [first].into_iter().chain(lines).chain([last]).collect(),
            )
        }
        Command::Help(_) => Reply::new(214, "Say where to: USER name@host or USER name@host:port"),
        _ => Reply::new(530, "Say where to first: USER name@host"),
    })
}
