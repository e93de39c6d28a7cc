//! `wharf shell`: the everyday language of lftp, at a prompt (`wharf shell URL`), in an argument (`wharf -c 'open h; get f'`),
//! in a file (`-f`). `ln -s wharf lftp` makes the program answer to that name.
//!
//! In reading order: [`syntax`] (text becomes commands) and [`options`] (their options), both pure; [`table`] (which command a
//! word is); [`settings`] (what `set` does); [`mod@run`] (conditions, groups, output, background); then the commands:
//! [`place`] (open, cd, lcd…), [`transfer`] (get, put…), [`files`] (rm, mv…), [`listing`] (ls, find, du…), [`mirror`],
//! [`other`] (set, alias, jobs…). [`jobs`] is what runs beside, [`sink`] where output goes, [`grammar`] what the line editor
//! is told.
//!
//! The status at the end: of the last command that failed and that no `||` followed, jobs in the background included. With
//! `--classic-exit`, and under the name `lftp`, only the last command counts, as in lftp. Either way a script that ends in a
//! failure does not end with 0.

#![allow(
    clippy::match_bool,
    reason = "two cases of equal weight read better side by side"
)]

mod files;
mod grammar;
mod jobs;
mod listing;
mod mirror;
mod options;
mod other;
mod pattern;
mod place;
mod run;
mod settings;
mod sink;
mod syntax;
mod table;
mod transfer;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use etcetera::BaseStrategy as _;
use tokio::task::LocalSet;
use wharf_client::Client;
use wharf_net::RateLimit;
use wharf_proto::{Pathname, visible};

use crate::args::ShellArgs;
use crate::editor::{Announcer, Desk, Editing, Editor, Line, RemoteName};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::login::LoginSources;
use crate::output::Output;
use crate::screen::Screen;
use crate::session::{Connector, Wishes, start_log};

use grammar::Lftp;
use jobs::Jobs;
use place::Place;
use settings::Settings;
use sink::Sink;
use syntax::{Script, Word};

/// So deep may `source`, aliases and groups call each other.
const DEEPEST: usize = 40;

/// Everything that commands work on. A job in the background and a group in parentheses have one of their own.
struct Shell {
    output: Output,
    connector: Rc<Connector>,
    jobs: Jobs,
    announcer: Announcer,
    /// Of all sessions together, down and up.
    limits: (RateLimit, RateLimit),
    place: Option<Place>,
    client: Option<Client>,
    /// The directory on the server, absolute; `None` is the login directory.
    cwd: Option<Pathname>,
    /// Where `cd -` leads.
    cwd_before: Option<Pathname>,
    /// The directory on this machine; `local` says whether it is still the process's own.
    here: PathBuf,
    here_is_own: bool,
    here_before: Option<PathBuf>,
    settings: Settings,
    aliases: BTreeMap<Vec<u8>, Vec<u8>>,
    sink: Sink,
    /// Somebody types and sees what is written.
    person: bool,
    background: bool,
    /// Lines that were typed, for `history`.
    past: Vec<String>,
    /// `history -c`, `cache flush` and what changes names: for the one who has the editor.
    wishes: Vec<EditorWish>,
    depth: usize,
    /// Status of the last command.
    status: u8,
    /// Status of the one before: what `exit` ends with.
    status_before: u8,
    /// Status of a command that failed in the chain that runs; `||` takes it back.
    pending: Option<u8>,
    /// Status of the last failure that nobody took back.
    failed: Option<u8>,
    /// Only the last command counts.
    classic: bool,
    /// Set by `exit`.
    leave: Option<Leave>,
}

/// How `exit` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leave {
    status: Option<u8>,
    /// Jobs are ended, not waited for.
    kill: bool,
}

/// What the editor is to do before the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EditorWish {
    ForgetNames,
    ClearHistory,
}

/// A typed word as a local path; `~/` is the home directory.
fn local_path(word: &[u8]) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    if word == b"~"
        && let Some(home) = home()
    {
        return home;
    }
    if let Some(rest) = word.strip_prefix(b"~/")
        && let Some(home) = home()
    {
        return home.join(OsStr::from_bytes(rest));
    }
    PathBuf::from(OsStr::from_bytes(word))
}

/// Runs what the arguments say.
pub(crate) async fn run(args: ShellArgs, output: &Output) -> Result<(), Failure> {
    start_log(args.verbose)?;
    let shell = Shell::new(&args, output)?;
    let tasks = LocalSet::new();
    Box::pin(tasks.run_until(begin(args, shell))).await
}

async fn begin(args: ShellArgs, mut shell: Shell) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new()?;
    let script = opening(&args)?;
    let alone = args.command.is_some() || args.file.is_some();
    let mut editor = None;
    if !alone {
        let started = Editor::start(Editing::Auto, "shell-history", Lftp)?;
        shell.person = started.person();
        shell.announcer = started.announcer();
        editor = Some(started);
    }
    let text = tokio::select! {
        missing = shell.text(&script) => missing,
        exit = interrupt.wait() => {
            shell.cut_short();
            return Err(Failure::told(exit));
        }
    };
    if let Some(missing) = text {
        shell.fail(&Failure::usage(missing));
    }
    if let Some(editor) = &mut editor
        && shell.leave.is_none()
    {
        session(&mut shell, editor, &mut interrupt).await?;
    }
    tokio::select! {
        status = shell.finish() => status,
        exit = interrupt.wait() => {
            shell.cut_short();
            Err(Failure::told(exit))
        }
    }
}

/// The commands that the arguments stand for: the place first, then what is to be done there.
fn opening(args: &ShellArgs) -> Result<Vec<u8>, Failure> {
    let mut script = Vec::new();
    if !args.norc
        && let Ok(places) = etcetera::choose_base_strategy()
        && let Ok(text) = std::fs::read(places.config_dir().join("wharf/rc"))
    {
        script.extend_from_slice(&text);
        script.push(b'\n');
    }
    if let Some(level) = args.debug {
        script.extend_from_slice(format!("debug {level}\n").as_bytes());
    }
    if let Some(place) = &args.place {
        script.extend_from_slice(b"open ");
        if let Some(login) = &args.login {
            let login = Word::name(login.clone().into_bytes());
            script.extend_from_slice(&[b"-u ", login.quoted().as_slice(), b" "].concat());
        }
        if let Some(port) = args.port {
            script.extend_from_slice(format!("-p {port} ").as_bytes());
        }
        script.extend_from_slice(&Word::name(place.clone().into_bytes()).quoted());
        script.push(b'\n');
    } else if args.login.is_some() || args.port.is_some() {
        return Err(Failure::usage("-u and -p need a host").with_hint("wharf shell -u USER HOST"));
    }
    if let Some(first) = &args.first {
        script.extend_from_slice(first.as_bytes());
        script.push(b'\n');
    }
    if let Some(path) = &args.file {
        let text = if path.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin()).map(String::into_bytes)
        } else {
            std::fs::read(path)
        };
        let text = text.map_err(|error| {
            let path = visible(path.as_os_str().as_bytes());
            Failure::new(Exit::LocalFile, format!("cannot read {path}: {error}"))
        })?;
        script.extend_from_slice(&text);
        script.push(b'\n');
    }
    if let Some(command) = &args.command {
        script.extend_from_slice(command.as_bytes());
        script.push(b'\n');
    }
    Ok(script)
}

/// Reads and does lines until `exit` or the end of input.
async fn session(
    shell: &mut Shell,
    editor: &mut Editor,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    let mut script = Script::default();
    let mut open = false;
    while shell.leave.is_none() {
        let prompt = if open {
            "> ".to_owned()
        } else {
            shell.prompt()
        };
        let line = tokio::select! {
            line = editor.line(&prompt, &mut *shell) => line?,
            exit = interrupt.wait() => {
                if exit == Exit::Terminated || !shell.person {
                    return Err(Failure::told(exit));
                }
                script.clear();
                open = false;
                shell.output.line("");
                continue;
            }
        };
        match line {
            Line::Typed(line) => script.feed(&line),
            Line::Interrupted => {
                script.clear();
                open = false;
                continue;
            }
            Line::End => {
                if open {
                    shell.fail(&Failure::usage("the last command is not finished"));
                }
                break;
            }
        }
        if shell.person && shell.past.is_empty() {
            shell.past = editor.history().await;
        }
        let done = tokio::select! {
            missing = shell.all(&mut script) => missing,
            exit = interrupt.wait() => {
                if exit == Exit::Terminated || !shell.person {
                    shell.cut_short();
                    return Err(Failure::told(exit));
                }
                script.clear();
                let _ = shell.output.bars().clear();
                shell.output.line("interrupted");
                after_interrupt(shell, interrupt).await;
                None
            }
        };
        open = done.is_some();
        shell.past.clear();
        for wish in std::mem::take(&mut shell.wishes) {
            match wish {
                EditorWish::ForgetNames => editor.forget_names(),
                EditorWish::ClearHistory => editor.clear_history(),
            }
        }
    }
    Ok(())
}

/// Comes in step with the server after a command was dropped; a second SIGINT cuts the line.
async fn after_interrupt(shell: &mut Shell, interrupt: &mut Interrupt) {
    shell.status = Exit::Interrupted.code();
    shell.pending = None;
    shell.depth = 0;
    shell.sink = Sink::stdout();
    let Some(client) = &mut shell.client else {
        return;
    };
    let lost = tokio::select! {
        aborted = client.abort() => aborted.is_err(),
        _ = interrupt.wait() => true,
    };
    if lost {
        shell.client = None;
    }
}

impl Shell {
    fn new(args: &ShellArgs, output: &Output) -> Result<Self, Failure> {
        let screen = (output.verbosity() > 0).then(|| Screen {
            output: output.clone(),
        });
        let mut logins = LoginSources::default();
        logins.password_file.clone_from(&args.password_file);
        logins.netrc.clone_from(&args.netrc);
        logins.certificate = args.tls.cert.is_some();
        let connector = Connector::with(&Wishes::from(args), logins, screen, output)?;
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(
                Exit::LocalFile,
                format!("there is no current directory: {error}"),
            )
        })?;
        Ok(Self {
            output: output.clone(),
            connector: Rc::new(connector),
            jobs: Jobs::default(),
            announcer: Announcer::default(),
            limits: (RateLimit::new(None), RateLimit::new(None)),
            place: None,
            client: None,
            cwd: None,
            cwd_before: None,
            here,
            here_is_own: true,
            here_before: None,
            settings: Settings::default(),
            aliases: BTreeMap::new(),
            sink: Sink::stdout(),
            person: false,
            background: false,
            past: Vec::new(),
            wishes: Vec::new(),
            depth: 0,
            status: 0,
            status_before: 0,
            pending: None,
            failed: None,
            classic: args.classic_exit,
            leave: None,
        })
    }

    /// One that works beside this one, at the same place, with a session of its own.
    fn fork(&self) -> Self {
        Self {
            output: Output::new(true, self.output.verbosity()),
            connector: Rc::clone(&self.connector),
            jobs: self.jobs.clone(),
            announcer: self.announcer.clone(),
            limits: self.limits.clone(),
            place: self.place.clone(),
            client: None,
            cwd: self.cwd.clone(),
            cwd_before: self.cwd_before.clone(),
            here: self.here.clone(),
            here_is_own: self.here_is_own,
            here_before: self.here_before.clone(),
            settings: self.settings.clone(),
            aliases: self.aliases.clone(),
            sink: Sink::stdout(),
            person: false,
            background: true,
            past: Vec::new(),
            wishes: Vec::new(),
            depth: self.depth,
            status: 0,
            status_before: 0,
            pending: None,
            failed: None,
            classic: self.classic,
            leave: None,
        }
    }

    /// Whether the person, or a script with cmd:verbose, wants to know what was done.
    fn talks(&self) -> bool {
        if self.background || self.output.is_quiet() {
            return false;
        }
        let told = self.settings.switch("cmd:interactive", "");
        told.unwrap_or(self.person) || self.settings.switch("cmd:verbose", "") == Some(true)
    }

    fn say(&self, text: &str) {
        if self.talks() {
            self.output.line(text);
        }
    }

    /// A note; also from a job, above the line that is being typed.
    fn note(&self, text: &str) {
        if self.background {
            self.announcer.say(&format!("note: {text}"));
        } else {
            self.output.note(text);
        }
    }

    /// Tells a failure, at once.
    fn tell(&self, failure: &Failure) {
        if !self.background {
            self.output.failure(failure);
            return;
        }
        if failure.told {
            return;
        }
        self.announcer.say(&format!("error: {}", failure.message));
        for line in &failure.details {
            self.announcer.say(&format!("  {line}"));
        }
        if let Some(hint) = &failure.hint {
            self.announcer.say(&format!("hint: {hint}"));
        }
    }

    /// Tells a failure and keeps its status.
    fn fail(&mut self, failure: &Failure) {
        self.tell(failure);
        self.status = failure.code();
        self.pending = Some(failure.code());
    }

    /// A typed word as a path on this machine.
    fn local(&self, word: &[u8]) -> PathBuf {
        let path = local_path(word);
        if self.here_is_own {
            path
        } else {
            self.here.join(path)
        }
    }

    /// What the library found worth telling.
    fn tell_notes(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        let (warnings, notes) = (client.take_warnings(), client.take_notes());
        for warning in warnings {
            if self.background {
                self.announcer.say(&format!("warning: {warning}"));
            } else {
                self.output.warning(&warning);
            }
        }
        for note in notes {
            self.note(&note);
        }
    }

    /// Waits for the jobs, does what cmd:at-exit says, says goodbye; the status of everything.
    async fn finish(&mut self) -> Result<(), Failure> {
        let leave = self.leave.take();
        let at_exit = self.settings.text("cmd:at-exit", "");
        if !at_exit.is_empty() {
            let (status, pending) = (self.status, self.pending.take());
            self.text(at_exit.as_bytes()).await;
            (self.status, self.pending) = (status, pending);
        }
        if leave.is_some_and(|leave| leave.kill) {
            for number in self.jobs.running() {
                self.jobs.kill(number);
            }
        }
        let running = self.jobs.running();
        if !running.is_empty() && self.person {
            let count = running.len();
            self.output
                .line(&format!("waiting for {count} jobs; Ctrl-C ends them"));
        }
        let mut jobs = Vec::new();
        for number in running {
            jobs.extend(self.jobs.wait(number).await);
        }
        jobs.extend(self.jobs.collect());
        self.tell_notes();
        if let Some(client) = self.client.take() {
            client.quit().await;
        }
        let failed = self.pending.take().or(self.failed);
        let jobs = jobs.into_iter().rfind(|status| *status != 0);
        let status = match leave.and_then(|leave| leave.status) {
            Some(status) => status,
            None if self.person => 0,
            None if self.classic => match self.status {
                0 => jobs.unwrap_or(0),
                status => status,
            },
            None => failed.or(jobs).unwrap_or(0),
        };
        match status {
            0 => Ok(()),
            status => Err(Failure::told(Exit::Partial).with_code(status)),
        }
    }

    /// What an interrupted command leaves.
    fn cut_short(&mut self) {
        let _ = self.output.bars().clear();
    }

    /// The prompt as cmd:prompt has it.
    fn prompt(&self) -> String {
        let form = self.settings.text("cmd:prompt", "");
        let (mut host, mut user) = (String::new(), String::new());
        if let Some(place) = &self.place {
            host.clone_from(&place.endpoint.host);
            user = place.user_name().unwrap_or_default();
        }
        let directory = match &self.cwd {
            Some(path) => path.display().to_string(),
            None => "~".to_owned(),
        };
        let base = directory.rsplit('/').next().unwrap_or_default().to_owned();
        let mut text = String::new();
        let mut letters = form.chars();
        while let Some(letter) = letters.next() {
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            match letters.next() {
                Some('h') => text.push_str(&visible(host.as_bytes())),
                Some('u') => text.push_str(&visible(user.as_bytes())),
                Some('@') if !user.is_empty() => text.push('@'),
                Some('w') if !host.is_empty() => text.push_str(&directory),
                Some('W') if !host.is_empty() => text.push_str(&base),
                Some('l') => text.push_str(&visible(self.here.as_os_str().as_bytes())),
                Some('v') => text.push_str(env!("CARGO_PKG_VERSION")),
                Some('n') => text.push('\n'),
                Some('\\') => text.push('\\'),
                // \S, \?, and what has nothing to show here.
                _ => {}
            }
        }
        text.replace(" :> ", "> ").replace("  ", " ")
    }
}

impl Desk for Shell {
    async fn names(&mut self, directory: Option<&[u8]>) -> Vec<RemoteName> {
        if self.settings.switch("cmd:remote-completion", "") == Some(false) {
            return Vec::new();
        }
        let path = match directory.map(Pathname::new) {
            None => None,
            Some(Ok(path)) => Some(path),
            Some(Err(_)) => return Vec::new(),
        };
        // Completion never logs in: that may ask for a password.
        let Some(client) = &mut self.client else {
            return Vec::new();
        };
        let listed = client.list(path.as_ref()).await.unwrap_or_default();
        listed
            .into_iter()
            .map(|entry| RemoteName {
                directory: entry.is_directory(),
                name: entry.name,
            })
            .collect()
    }

    async fn idle(&mut self) {
        if self.settings.time("ftp:nop-interval", "").is_some()
            && let Some(client) = &mut self.client
        {
            // Who is gone is noticed by the next command, which comes back by itself.
            let _ = client.noop().await;
        }
    }
}
