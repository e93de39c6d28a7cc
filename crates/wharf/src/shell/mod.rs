//! The interactive client: what `ftp`, `pftp` and `wharf ftp` start. Lines come from a terminal or a
//! script, by the line editor, which learns from [`grammar`] what the words are.
//!
//! In reading order: [`words`] (a line becomes words), [`table`] (which command a word is), [`mod@run`]
//! (one arm a command); then the commands by what they are about: [`settings`] (switches and values) with [`naming`],
//! [`quantity`] and [`macros`], which are pure; [`connection`] (open, user, close), [`security`] (TLS, and whom to believe),
//! [`directory`] and [`listing`] (what is on the server), [`transfer`] and [`several`] (get, put and their relatives) with
//! [`sink`], [`pattern`] and [`meter`], [`proxy`] (two servers), [`local`] (this machine), [`options`] (set), [`rate`],
//! [`buffers`], [`status`], [`fetch`] (`ftp ftp://host/file`).
//!
//! Replies of the server go to stdout when `verbose` is on, as `ftp` has always done; messages of
//! this program go to stderr.

mod buffers;
mod connection;
mod directory;
mod fetch;
mod grammar;
mod listing;
mod local;
mod macros;
mod meter;
mod naming;
mod options;
pub(crate) mod pattern;
mod proxy;
pub(crate) mod quantity;
mod rate;
mod run;
mod security;
mod settings;
mod several;
mod sink;
mod start;
mod status;
mod table;
mod teller;
mod transfer;
mod words;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wharf_client::{Client, DataModeChoice, Greeting};
use wharf_proto::Pathname;

use self::buffers::BufferSizes;
use self::macros::Macros;
use self::meter::Asked;
use self::options::Options;
use self::rate::Rates;
use self::settings::{Settings, Toggle};
use self::teller::Switches;
use crate::args::FtpArgs;
use crate::args::via::ViaArgs;
use crate::catalogue::Cause;
use crate::editor::{Desk, Editor, Line, RemoteName};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::session::{Connector, Server};

/// One server, or none.
#[derive(Default)]
struct Connection {
    client: Option<Client>,
    /// Connected but not logged in (`-n`).
    greeting: Option<Greeting>,
    /// Where `user` logs in.
    pending: Option<Server>,
    /// Name of the server for messages.
    host: String,
    /// Who is logged in.
    user: Option<String>,
}

/// Everything the commands work on.
struct Shell {
    output: Output,
    connector: Connector,
    /// What the commands are about.
    now: Connection,
    /// The other one: the second server, and while `proxy` says so the first.
    other: Connection,
    /// `now` is the second server.
    proxied: bool,
    mode: DataModeChoice,
    port: Option<u16>,
    auto_login: bool,
    anonymous: bool,
    /// Seconds between attempts to connect (`-r`).
    again: Option<u64>,
    settings: Settings,
    macros: Macros,
    options: Options,
    /// What the arguments say about proxies.
    via: ViaArgs,
    rates: Rates,
    buffers: BufferSizes,
    switches: Arc<Switches>,
    /// Somebody wants to know how fast it goes.
    asked: Asked,
    /// A person types, and sees what is written.
    interactive: bool,
    /// The prompt is shown although nobody types (`--prompt`).
    prompts: bool,
    editor: Editor,
    /// A signal came while the editor waited, which goes on waiting for the same line.
    prompt_again: bool,
    /// How deep in macros.
    depth: u8,
    /// Set by bye.
    done: bool,
}

/// A line of data or a reply, on stdout. A closed stdout is noticed where data is written.
fn print(output: &Output, line: &str) {
    output.bars().suspend(|| {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(line.as_bytes());
        let _ = stdout.write_all(b"\n");
        let _ = stdout.flush();
    });
}

/// Runs a session, or fetches what the arguments name.
pub(crate) async fn run(args: FtpArgs, output: &Output) -> Result<(), Failure> {
    let mut shell = Shell::start(&args, output)?;
    let mut interrupt = Interrupt::new()?;
    let begun = Box::pin(shell.begin(&args, &mut interrupt)).await;
    let result = match begun {
        Ok(Begun::Finished) => Ok(()),
        Ok(Begun::Session) => shell.session(&mut interrupt).await,
        Err(failure) => Err(failure),
    };
    shell.hang_up().await;
    match result {
        Err(failure) if args.classic_exit && failure.is_of_a_session() => {
            shell.output.failure(&failure);
            Ok(())
        }
        result => result,
    }
}

/// Whether the arguments were all there was to do.
enum Begun {
    Finished,
    Session,
}

impl Shell {
    /// Does what the arguments say.
    async fn begin(&mut self, args: &FtpArgs, interrupt: &mut Interrupt) -> Result<Begun, Failure> {
        let work = async {
            if let Some(url) = &args.upload {
                fetch::upload(self, url, &args.places, args.strict).await?;
                return Ok(Begun::Finished);
            }
            fetch::arguments(self, args).await
        };
        tokio::select! {
            result = work => result,
            exit = interrupt.wait() => Err(Failure::told(exit)),
        }
    }

    /// Reads and executes lines until bye or the end of input.
    async fn session(&mut self, interrupt: &mut Interrupt) -> Result<(), Failure> {
        let mut first = None;
        while !self.done {
            let line = tokio::select! {
                line = self.command_line() => line?,
                exit = interrupt.wait() => {
                    if exit == Exit::Terminated || !self.interactive {
                        return Err(Failure::told(exit));
                    }
                    self.prompt_again = true;
                    Line::Interrupted
                }
            };
            let line = match line {
                Line::Typed(line) => line,
                Line::Interrupted => {
                    self.output.line("");
                    continue;
                }
                Line::End => break,
            };
            let outcome = Box::pin(self.one_line(&line, interrupt)).await?;
            self.tell_notes();
            if let Err(failure) = outcome {
                self.output.failure(&failure);
                if failure.exit == Exit::Unreachable {
                    // The library has tried to come back already; a new `open` starts afresh.
                    self.now.client = None;
                }
                first.get_or_insert(failure.exit);
            }
            if self.proxied {
                self.change_servers();
            }
            self.editor.forget_names();
        }
        match first {
            // A person has seen it.
            Some(exit) if !self.interactive => Err(Failure::told(exit)),
            _ => Ok(()),
        }
    }

    /// The outer failure ends the program.
    async fn one_line(
        &mut self,
        line: &[u8],
        interrupt: &mut Interrupt,
    ) -> Result<Result<(), Failure>, Failure> {
        let switches = Arc::clone(&self.switches);
        let interactive = self.interactive;
        let interrupted = {
            let mut work = std::pin::pin!(run::line(self, line));
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut work => {
                        switches.own_interrupts.store(false, Ordering::Relaxed);
                        return Ok(outcome);
                    }
                    exit = interrupt.wait() => {
                        if exit == Exit::Terminated || !interactive {
                            break exit;
                        }
                        // m-commands ask whether they shall go on.
                        if !switches.own_interrupts.load(Ordering::Relaxed) {
                            break exit;
                        }
                    }
                }
            }
        };
        let _ = self.output.bars().clear();
        self.switches.own_interrupts.store(false, Ordering::Relaxed);
        self.depth = 0;
        if interrupted == Exit::Terminated || !self.interactive {
            return Err(Failure::told(interrupted));
        }
        self.output.line("interrupted");
        self.after_interrupt(interrupt).await;
        Ok(Ok(()))
    }

    /// Comes in step with the servers after a command was dropped; a second SIGINT cuts the line.
    async fn after_interrupt(&mut self, interrupt: &mut Interrupt) {
        for connection in [&mut self.now, &mut self.other] {
            let Some(client) = &mut connection.client else {
                continue;
            };
            let lost = tokio::select! {
                aborted = client.abort() => match aborted {
                    Ok(()) => false,
                    Err(error) => {
                        self.output.failure(&crate::session::failure(&error));
                        true
                    }
                },
                _ = interrupt.wait() => true,
            };
            if lost {
                connection.client = None;
                self.output.line("connection closed");
            }
        }
    }

    /// The next command. The prompt is shown to a person, and to whoever asks for it.
    async fn command_line(&mut self) -> Result<Line, Failure> {
        let prompt = self.prompt();
        self.show_beside(&prompt);
        if !self.is_on(Toggle::Edit) {
            return self.editor.answer(&prompt).await;
        }
        let mut desk = FtpDesk {
            client: self.now.client.as_mut(),
        };
        self.editor.line(&prompt, &mut desk).await
    }

    /// The prompt where the editor shows none, and the one on the right.
    fn show_beside(&mut self, prompt: &str) {
        let mut stderr = std::io::stderr().lock();
        if self.prompts && !self.interactive || std::mem::take(&mut self.prompt_again) {
            let _ = stderr.write_all(prompt.as_bytes());
        }
        if let Some(right) = self.options.get("rprompt").filter(|_| self.interactive) {
            let text = self.filled_prompt(right);
            let width = text.chars().count();
            // Written at the right margin, from where the cursor comes back.
            let _ = write!(
                stderr,
                "\x1b7\x1b[999C\x1b[{}D{text}\x1b8",
                width.saturating_sub(1)
            );
        }
        let _ = stderr.flush();
    }

    /// The answer to a question, or a line of a macro; `None` at the end of input.
    async fn read_line(&mut self, prompt: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.editor.answer(prompt).await? {
            Line::Typed(line) => Ok(Some(line)),
            Line::Interrupted => Err(Failure::told(Exit::Interrupted)),
            Line::End => Ok(None),
        }
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        let logged_out = self.now.greeting.is_some();
        self.now.client.as_mut().ok_or_else(|| {
            if logged_out {
                Failure::of(Cause::NotLoggedIn, "Not logged in.").with_hint("user NAME")
            } else {
                Failure::of(Cause::NotConnected, "Not connected.").with_hint("open HOST")
            }
        })
    }

    /// Those of both servers.
    fn clients(&mut self) -> impl Iterator<Item = &mut Client> {
        let both = [&mut self.now.client, &mut self.other.client];
        both.into_iter().flatten()
    }

    fn tell_notes(&mut self) {
        let output = self.output.clone();
        for client in self.clients() {
            for warning in client.take_warnings() {
                output.warning(&warning);
            }
            for note in client.take_notes() {
                output.note(&note);
            }
        }
    }

    /// Says goodbye to both servers.
    async fn hang_up(&mut self) {
        self.tell_notes();
        for mut connection in [
            std::mem::take(&mut self.now),
            std::mem::take(&mut self.other),
        ] {
            connection.quit().await;
        }
    }

    /// Says something to a person who wants to see what happens.
    fn say(&self, text: &str) {
        if self.switches.verbose() {
            print(&self.output, text);
        }
    }
}

/// What the editor may ask the session for.
struct FtpDesk<'c> {
    client: Option<&'c mut Client>,
}

impl Desk for FtpDesk<'_> {
    async fn names(&mut self, directory: Option<&[u8]>) -> Vec<RemoteName> {
        let Some(client) = &mut self.client else {
            return Vec::new();
        };
        let directory = match directory.map(Pathname::new) {
            None => None,
            Some(Ok(directory)) => Some(directory),
            Some(Err(_)) => return Vec::new(),
        };
        let listed = client.list(directory.as_ref()).await.unwrap_or_default();
        let names = listed.into_iter().map(|entry| RemoteName {
            directory: entry.is_directory(),
            name: entry.name,
        });
        names.collect()
    }
}

impl Connection {
    /// Says goodbye.
    async fn quit(&mut self) {
        if let Some(client) = self.client.take() {
            client.quit().await;
        }
        if let Some(greeting) = self.greeting.take() {
            greeting.quit().await;
        }
        self.pending = None;
    }
}

impl Failure {
    /// Not the wrong usage of the program itself.
    fn is_of_a_session(&self) -> bool {
        !matches!(self.exit, Exit::Interrupted | Exit::Terminated)
            && (self.told || self.exit != Exit::Usage)
    }
}
