//! One thing that a client program does with a server, and whether what had to cross has crossed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::certificates::Certificates;
use crate::client::{self, Client, Job, Recipe, Way};
use crate::namespace::Namespace;
use crate::payload::{self, Workspace};
use crate::process::{isolate, last_lines, run as run_bounded};
use crate::server::{PASSWORD, USER};
use crate::stage::speak;

/// What a client does, in the order of a cell's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Get,
    Put,
    List,
}

/// All of them.
pub(crate) const OPERATIONS: [Does; 3] = [Does::Get, Does::Put, Does::List];

/// What it comes to.
#[derive(Debug)]
pub(crate) enum Cell {
    /// The bytes have crossed, in this time.
    Works(Duration),
    /// They have not; why.
    Fails(String),
    /// The client program does not know such a thing.
    Cannot,
}

/// From where, to where, and what crosses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand<'a> {
    /// The client's machine.
    pub(crate) from: &'a Namespace,
    /// Where the operations have directories of their own.
    pub(crate) work: &'a Workspace,
    /// The program under test.
    pub(crate) wharf: &'a Path,
    /// File with the password.
    pub(crate) secret: &'a Path,
    /// Where it is dialled, as a URL has it.
    pub(crate) host: &'a str,
    /// Who logs in, as the lab's user unless something stands in front of the server.
    pub(crate) user: &'a str,
    /// The file that crosses; the server has it as `payload.bin`.
    pub(crate) payload: &'a Path,
    /// The server's directory.
    pub(crate) root: &'a Path,
    /// With this, over TLS.
    pub(crate) certificates: Option<&'a Certificates>,
    /// No operation lasts longer.
    pub(crate) limit: Duration,
}

impl Errand<'_> {
    /// The lab's user in a URL.
    pub(crate) const USER: &'static str = USER;

    /// Does it; `name` is one that no other operation of this work has at the same time.
    pub(crate) fn run(&self, client: &Client, way: &Way, does: Does, name: &str) -> Cell {
        self.attempt(client, way, does, name)
            .unwrap_or_else(|failure| Cell::Fails(failure.to_string()))
    }

    fn attempt(&self, client: &Client, way: &Way, does: Does, name: &str) -> Result<Cell> {
        if way.cannot.is_some() {
            return Ok(Cell::Cannot);
        }
        let here = self.work.directory(&format!("{name}-{does:?}"))?;
        let (recipe, remote): (&Recipe, _) = match does {
            Does::Get => (&client.get, "payload.bin".to_owned()),
            Does::Put => (&client.put, format!("{name}.bin")),
            Does::List => (&client.list, String::new()),
        };
        let local = here.join(if does == Does::Put {
            &remote
        } else {
            "got.bin"
        });
        // Of whoever failed first.
        let _ = fs::remove_file(&local);
        if does == Does::Put {
            fs::hard_link(self.payload, &local)?;
        }
        // In wharf's URLs an @ belongs to the host.
        let user = if client.name == client::WHARF.name {
            self.user.replace('@', "%40")
        } else {
            self.user.to_owned()
        };
        let job = Job {
            host: self.host.to_owned(),
            user,
            password: PASSWORD.to_owned(),
            secret: shown(self.secret),
            remote,
            local: shown(&local),
            wharf: shown(self.wharf),
            authority: self
                .certificates
                .map(|certificates| shown(&certificates.authority))
                .unwrap_or_default(),
        };
        let Some((arguments, input)) = recipe.fill(way, &job) else {
            return Err("the recipe has nothing to run".into());
        };
        let mut command = self.from.command(&arguments[0]);
        let trace = here.join("trace");
        command.args(&arguments[1..]).current_dir(&here);
        isolate(&mut command, self.work.path());
        speak(&mut command, self.certificates);
        command.env("WHARF_TRACE", &trace);
        let outcome = run_bounded(command, input.as_bytes(), self.limit)?;
        let stored = self.root.join(&job.remote);
        let arrived = match does {
            Does::Get => payload::same(self.payload, &local),
            Does::Put => payload::same(self.payload, &stored),
            Does::List if String::from_utf8_lossy(&outcome.stdout).contains("payload.bin") => {
                Ok(())
            }
            Does::List => Err("the listing lacks payload.bin".into()),
        };
        if does == Does::Put {
            let _ = fs::remove_file(&stored);
        }
        Ok(match arrived {
            Ok(()) if outcome.succeeded() => Cell::Works(outcome.elapsed),
            arrived => {
                let why = arrived.err().map(|why| format!("{why}; "));
                let dialogue = fs::read_to_string(&trace).unwrap_or_default();
                Cell::Fails(format!(
                    "{}{} {}",
                    why.unwrap_or_default(),
                    outcome.last_words(),
                    last_lines(&dialogue, 8)
                ))
            }
        })
    }
}

/// A client program of the lab by its name, as it is told over TLS or without.
pub(crate) fn find(name: &str, secured: bool) -> Result<&'static Client> {
    let foreign = if secured {
        client::SECURED
    } else {
        client::FOREIGN
    };
    foreign
        .iter()
        .chain([&client::WHARF])
        .find(|client| client.name == name)
        .ok_or_else(|| format!("no client {name}").into())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
