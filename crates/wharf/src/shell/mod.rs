//! The interactive client: what `ftp`, `pftp` and `wharf ftp` start. Lines come from a terminal or a
//! script; there is no line editor.
//!
//! In reading order: [`words`] (a line becomes words), [`table`] (which command a word is), [`mod@run`]
//! (one arm a command), [`settings`] (switches), [`transfer`] (get, put and their relatives), [`connection`] (open, user,
//! close), [`security`] (TLS, and whom to believe), [`fetch`] (`ftp ftp://host/file`), [`pattern`] (wildcards).
//!
//! Replies of the server go to stdout when `verbose` is on, as `ftp` has always done; messages of
//! this program go to stderr.

mod connection;
mod fetch;
mod pattern;
mod run;
mod security;
mod settings;
mod table;
mod transfer;
mod words;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncBufReadExt, BufReader, Stdin};
use wharf_client::{Client, DataModeChoice, Greeting};
use wharf_net::Recorder;
use wharf_proto::trace::{Event, What};
use wharf_proto::visible;

use crate::args::FtpArgs;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::login::LoginSources;
use crate::output::Output;
use crate::screen::Screen;
use crate::session::{Connector, Server, Wishes, start_log};

/// Everything the commands work on.
struct Shell {
    output: Output,
    connector: Connector,
    client: Option<Client>,
    /// Connected but not logged in (`-n`).
    greeting: Option<Greeting>,
    /// Where `user` logs in.
    pending: Option<Server>,
    /// Name of the server for messages.
    host: String,
    mode: DataModeChoice,
    port: Option<u16>,
    auto_login: bool,
    anonymous: bool,
    /// Ask for each file in m-commands; a script is never asked.
    prompt: bool,
    glob: bool,
    progress: bool,
    switches: Arc<Switches>,
    /// A person types, and sees what is written.
    interactive: bool,
    input: BufReader<Stdin>,
    /// Set by bye.
    done: bool,
}

/// What the recorder shows; commands turn these on and off while a connection is open.
#[derive(Default)]
struct Switches {
    verbose: AtomicBool,
    debug: AtomicBool,
    data: AtomicBool,
    /// The user asked for this very reply: show it even if it is about features.
    asked: AtomicBool,
    /// The reply that comes next answers FEAT or OPTS, which the library sends of its own accord.
    own: AtomicBool,
}

impl Switches {
    fn verbose(&self) -> bool {
        self.verbose.load(Ordering::Relaxed)
    }
}

/// Shows replies on stdout and, with `debug`, commands on stderr.
struct Teller {
    switches: Arc<Switches>,
    output: Output,
}

impl Recorder for Teller {
    fn record(&self, event: Event) {
        match &event.what {
            What::Reply(lines) => {
                let hidden = self.switches.own.swap(false, Ordering::Relaxed)
                    && !self.switches.asked.load(Ordering::Relaxed)
                    && !self.switches.debug.load(Ordering::Relaxed);
                if self.switches.verbose() && !hidden {
                    for line in lines {
                        print(&self.output, &visible(line));
                    }
                }
            }
            What::Command(line) => {
                let own = line.starts_with(b"FEAT") || line.starts_with(b"OPTS UTF8");
                self.switches.own.store(own, Ordering::Relaxed);
                if self.switches.debug.load(Ordering::Relaxed) {
                    self.output.line(&format!("---> {}", visible(line)));
                }
            }
            _ => {
                if self.switches.data.load(Ordering::Relaxed) {
                    let output = self.output.clone();
                    Screen { output }.record(event);
                }
            }
        }
    }
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
    start_log(u8::from(args.debug))?;
    let interactive = std::io::stdin().is_terminal();
    let switches = Arc::new(Switches::default());
    let verbose = !args.quiet && (args.verbose || interactive);
    switches.verbose.store(verbose, Ordering::Relaxed);
    switches
        .debug
        .store(args.debug || args.packet_trace, Ordering::Relaxed);
    switches.data.store(args.packet_trace, Ordering::Relaxed);

    let logins = LoginSources::from(&args);
    let mut wishes = Wishes::from(&args);
    environment_mode(&mut wishes)?;
    let mut connector = Connector::with(&wishes, logins, None, output)?;
    let teller: Arc<dyn Recorder> = Arc::new(Teller {
        switches: Arc::clone(&switches),
        output: output.clone(),
    });
    connector.add_recorder(teller);

    let mut shell = Shell {
        output: output.clone(),
        mode: connector.options().data_mode,
        connector,
        client: None,
        greeting: None,
        pending: None,
        host: String::new(),
        port: args.port.or_else(environment_port),
        auto_login: !args.no_login,
        anonymous: args.anonymous,
        prompt: !args.no_prompt,
        glob: !args.no_glob,
        progress: true,
        switches,
        interactive,
        input: BufReader::new(tokio::io::stdin()),
        done: false,
    };
    let mut interrupt = Interrupt::new()?;
    let result = match shell.begin(&args, &mut interrupt).await? {
        Begun::Finished => Ok(()),
        Begun::Session => shell.session(&mut interrupt).await,
    };
    shell.hang_up().await;
    match result {
        Err(_) if args.classic_exit => Ok(()),
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
                let files: Vec<PathBuf> = args.places.iter().map(PathBuf::from).collect();
                fetch::upload(self, url, &files).await?;
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
                line = self.read_line("ftp> ") => line?,
                exit = interrupt.wait() => {
                    if exit == Exit::Terminated || !self.interactive {
                        return Err(Failure::told(exit));
                    }
                    self.output.line("");
                    continue;
                }
            };
            let Some(line) = line else {
                break;
            };
            let outcome = tokio::select! {
                outcome = run::line(self, &line) => outcome,
                exit = interrupt.wait() => {
                    let _ = self.output.bars().clear();
                    if exit == Exit::Terminated || !self.interactive {
                        return Err(Failure::told(exit));
                    }
                    self.output.line("interrupted");
                    self.after_interrupt(interrupt).await;
                    Ok(())
                }
            };
            self.tell_notes();
            if let Err(failure) = outcome {
                self.output.failure(&failure);
                if failure.exit == Exit::Unreachable {
                    // The library has tried to come back already; a new `open` starts afresh.
                    self.client = None;
                }
                first.get_or_insert(failure.exit);
            }
        }
        match first {
            // A person has seen it.
            Some(exit) if !self.interactive => Err(Failure::told(exit)),
            _ => Ok(()),
        }
    }

    /// Comes in step with the server after a command was dropped; a second SIGINT cuts the line.
    async fn after_interrupt(&mut self, interrupt: &mut Interrupt) {
        let Some(client) = &mut self.client else {
            return;
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
            self.client = None;
            self.output.line("connection closed");
        }
    }

    /// A line without its end; `None` at the end of input. The prompt is shown to a person only.
    async fn read_line(&mut self, prompt: &str) -> Result<Option<Vec<u8>>, Failure> {
        if self.interactive {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(prompt_text(prompt).as_bytes());
            let _ = stderr.flush();
        }
        let mut line = Vec::new();
        let read = self.input.read_until(b'\n', &mut line).await;
        read.map_err(|error| {
            Failure::new(
                Exit::LocalFile,
                format!("cannot read standard input: {error}"),
            )
        })?;
        if line.is_empty() {
            if self.interactive {
                self.output.line("");
            }
            return Ok(None);
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some(line))
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        let logged_out = self.greeting.is_some();
        self.client.as_mut().ok_or_else(|| {
            if logged_out {
                Failure::new(Exit::Login, "not logged in").with_hint("user NAME")
            } else {
                Failure::new(Exit::Unreachable, "not connected").with_hint("open HOST")
            }
        })
    }

    fn tell_notes(&mut self) {
        if let Some(client) = &mut self.client {
            for warning in client.take_warnings() {
                self.output.warning(&warning);
            }
            for note in client.take_notes() {
                self.output.note(&note);
            }
        }
    }

    async fn hang_up(&mut self) {
        self.tell_notes();
        if let Some(client) = self.client.take() {
            client.quit().await;
        }
        if let Some(greeting) = self.greeting.take() {
            greeting.quit().await;
        }
    }

    /// Says something to a person who wants to see what happens.
    fn say(&self, text: &str) {
        if self.switches.verbose() {
            print(&self.output, text);
        }
    }
}

/// `FTPPROMPT` replaces the ordinary prompt.
fn prompt_text(prompt: &str) -> String {
    match std::env::var("FTPPROMPT") {
        Ok(own) if prompt == "ftp> " && !own.is_empty() => own,
        _ => prompt.to_owned(),
    }
}

/// `FTPMODE`: active, auto, gate (not offered), passive; flags beat it.
fn environment_mode(wishes: &mut Wishes) -> Result<(), Failure> {
    use crate::args::ModeArg;
    let chosen = wishes.passive || wishes.active || wishes.mode != ModeArg::Auto;
    match std::env::var("FTPMODE").as_deref() {
        Ok("active") if !chosen => wishes.active = true,
        Ok("passive") if !chosen => wishes.passive = true,
        Ok("" | "auto" | "active" | "passive") | Err(_) => {}
        Ok(other) => {
            let other = visible(other.as_bytes());
            return Err(
                Failure::usage(format!("FTPMODE: `{other}` is not a data mode"))
                    .with_hint("active, auto or passive"),
            );
        }
    }
    Ok(())
}

fn environment_port() -> Option<u16> {
    std::env::var("FTPSERVERPORT").ok()?.parse().ok()
}
