//! From commands to what they do: conditions, groups, output, background.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use wharf_proto::visible;

use super::jobs::{self, Queued};
use super::sink::{self, Sink};
use super::syntax::{Condition, Next, Parsed, Script, What, Word};
use super::table::{self, Action, NotFound};
use super::{DEEPEST, Leave, Shell};
use crate::exit::{Exit, Failure};

impl Shell {
    /// Does everything in a text; what is missing at its end, if anything is.
    pub(super) async fn text(&mut self, text: &[u8]) -> Option<&'static str> {
        self.all(&mut Script::of(text)).await
    }

    /// Does every command that is complete; what is missing for the next one.
    pub(super) async fn all(&mut self, script: &mut Script) -> Option<&'static str> {
        while self.leave.is_none() {
            let next = script.next(&|word| self.aliases.get(word).cloned());
            match next {
                Next::End => break,
                Next::More(missing) => return Some(missing),
                Next::Wrong(why) => {
                    self.chain_ends();
                    self.fail(&Failure::usage(why));
                }
                Next::Command(parsed) => Box::pin(self.one(*parsed)).await,
            }
        }
        self.chain_ends();
        None
    }

    /// What failed in a chain and was not taken back has failed.
    fn chain_ends(&mut self) {
        if let Some(status) = self.pending.take() {
            self.failed = Some(status);
            if self.settings.switch("cmd:fail-exit", "") == Some(true) && !self.person {
                self.leave.get_or_insert(Leave {
                    status: Some(status),
                    kill: false,
                });
            }
        }
    }

    async fn one(&mut self, parsed: Parsed) {
        match parsed.condition {
            Condition::Always => {
                if parsed.what == What::Nothing {
                    return;
                }
                self.chain_ends();
                if self.leave.is_some() {
                    return;
                }
            }
            Condition::And if self.status != 0 => return,
            Condition::Or if self.status == 0 => return,
            Condition::And => {}
            Condition::Or => self.pending = None,
        }
        if self.settings.switch("cmd:trace", "") == Some(true) {
            self.output.line(&format!("+ {}", shown(&parsed)));
        }
        if parsed.background {
            self.begin_job(parsed);
            return;
        }
        if let Err(failure) = self.in_its_place(parsed).await {
            self.fail(&failure);
        }
        self.tell_notes();
    }

    /// Does a command with its output where it belongs.
    async fn in_its_place(&mut self, parsed: Parsed) -> Result<(), Failure> {
        let before = match &parsed.output {
            None => None,
            Some(redirect) => {
                let sink = Sink::open(redirect, &self.here).await?;
                Some(std::mem::replace(&mut self.sink, sink))
            }
        };
        let done = self.what(parsed.what).await;
        let finished = match before {
            None => self.sink.flush().await,
            Some(before) => std::mem::replace(&mut self.sink, before).finish().await,
        };
        done.and(finished)
    }

    async fn what(&mut self, what: What) -> Result<(), Failure> {
        if self.depth >= DEEPEST {
            return Err(Failure::usage("commands call each other too deeply"));
        }
        self.depth += 1;
        self.status_before = self.status;
        let done = match what {
            What::Nothing => Ok(()),
            What::Words(words) => {
                self.status = 0;
                self.words(&words).await
            }
            What::Local(command) => {
                self.status = 0;
                self.system(&command).await
            }
            What::Group(text) => self.group(&text).await,
        };
        self.depth = self.depth.saturating_sub(1);
        done
    }

    /// What stands in parentheses: the place is as before when they close.
    async fn group(&mut self, text: &[u8]) -> Result<(), Failure> {
        let mut inner = self.fork();
        inner.output = self.output.clone();
        inner.background = self.background;
        inner.person = self.person;
        inner.client = self.client.take();
        std::mem::swap(&mut inner.sink, &mut self.sink);
        let missing = Box::pin(inner.text(text)).await;
        if let Some(missing) = missing {
            inner.fail(&Failure::usage(missing));
            inner.chain_ends();
        }
        std::mem::swap(&mut inner.sink, &mut self.sink);
        let same = inner.place.as_ref().map(|it| &it.endpoint)
            == self.place.as_ref().map(|it| &it.endpoint);
        if let Some(mut client) = inner.client.take() {
            let back = match (&self.cwd, inner.cwd == self.cwd) {
                (_, true) => true,
                (Some(cwd), false) => client.change_dir(cwd).await.is_ok(),
                (None, false) => false,
            };
            if same && back {
                self.client = Some(client);
            } else {
                client.quit().await;
            }
        }
        if let Some(leave) = inner.leave {
            self.status = leave.status.unwrap_or(inner.status);
        } else {
            self.status = inner.status;
        }
        if inner.status == 0
            && let Some(failed) = inner.failed
        {
            self.failed = Some(failed);
        }
        match self.status {
            0 => Ok(()),
            status => Err(Failure::told(Exit::Partial).with_code(status)),
        }
    }

    /// `command &`
    fn begin_job(&mut self, mut parsed: Parsed) {
        parsed.background = false;
        parsed.condition = Condition::Always;
        let shown = shown(&parsed);
        let number = self.jobs.begin(shown.clone());
        let mut shell = self.fork();
        let person = self.person;
        let task = tokio::task::spawn_local(async move {
            Box::pin(shell.one(parsed)).await;
            shell.chain_ends();
            if let Some(client) = shell.client.take() {
                client.quit().await;
            }
            let status = shell.status;
            if person {
                let how = match status {
                    0 => "done".to_owned(),
                    status => format!("failed (status {status})"),
                };
                shell.announcer.say(&format!("[{number}] {how}: {shown}"));
            }
            shell.jobs.end(number, status);
        });
        self.jobs.runs_as(number, task.abort_handle());
        self.status = 0;
        if person {
            self.output
                .line(&format!("[{number}] {} &", self.job_text(number)));
        }
    }

    pub(super) fn job_text(&self, number: usize) -> String {
        let jobs = self.jobs.list();
        let found = jobs.into_iter().find(|(known, ..)| *known == number);
        found.map(|(_, text, _)| text).unwrap_or_default()
    }

    /// Puts workers to the queue, as many as cmd:queue-parallel wants.
    pub(super) fn work_on_queue(&mut self) {
        let most = usize::try_from(self.settings.number("cmd:queue-parallel", "")).unwrap_or(1);
        while self.jobs.hire(most) {
            let number = self.jobs.begin("queue".to_owned());
            let mut shell = self.fork();
            let person = self.person;
            let task = tokio::task::spawn_local(async move {
                while let Some(Queued { text, shown }) = shell.jobs.next_queued() {
                    if let Some(missing) = shell.text(&text).await {
                        shell.fail(&Failure::usage(missing));
                    }
                    if person {
                        let how = if shell.status == 0 { "done" } else { "failed" };
                        shell.announcer.say(&format!("queue: {how}: {shown}"));
                    }
                }
                shell.chain_ends();
                if let Some(client) = shell.client.take() {
                    client.quit().await;
                }
                let status = shell.failed.unwrap_or(0);
                shell.jobs.end(number, status);
            });
            self.jobs.runs_as(number, task.abort_handle());
        }
    }

    /// A command and its words.
    pub(super) async fn words(&mut self, words: &[Word]) -> Result<(), Failure> {
        let Some((name, rest)) = words.split_first() else {
            return Ok(());
        };
        let row = table::find(&name.text).map_err(|error| {
            let shown = visible(&name.text);
            match error {
                NotFound::Unknown => {
                    Failure::usage(format!("no such command: {shown}")).with_hint("help")
                }
                NotFound::Ambiguous(names) => {
                    Failure::usage(format!("`{shown}` is ambiguous")).with_hint(names.join(", "))
                }
            }
        })?;
        if let (true, Some(client)) = (self.person, &mut self.client) {
            client.search_again(); // who has read why may have changed something
        }
        if row.changes {
            self.wishes.push(super::EditorWish::ForgetNames);
        }
        Box::pin(self.execute(row, rest)).await
    }

    async fn execute(&mut self, row: &'static table::Row, words: &[Word]) -> Result<(), Failure> {
        let name = row.name;
        match row.action {
            Action::Alias => self.alias(words).await,
            Action::Cache => self.cache(words),
            Action::Cat => self.cat(name, words).await,
            Action::Cd => self.cd(words).await,
            Action::Chmod => self.chmod(words).await,
            Action::Close => self.close(words).await,
            Action::Cls => self.cls(words).await,
            Action::Command => self.command(words).await,
            Action::Debug => self.debug(words),
            Action::Du => self.du(words).await,
            Action::Echo => self.echo(words).await,
            Action::Edit => self.edit(words).await,
            Action::Eval => self.eval(words).await,
            Action::Exit => self.exit(words),
            Action::Fg => self.fg(words).await,
            Action::Find => self.find(words).await,
            Action::Get => self.get(name, words).await,
            Action::Glob => self.glob(words).await,
            Action::Help => self.help(words).await,
            Action::History => self.history(words).await,
            Action::Jobs => self.list_jobs(words).await,
            Action::Kill => self.kill(words),
            Action::Lcd => self.lcd(words),
            Action::Link => self.link(words).await,
            Action::Local => self.local_command(name, words).await,
            Action::LocalPwd => self.lpwd().await,
            Action::Ls => self.ls(words).await,
            Action::Mget => self.mget(words).await,
            Action::Mirror => self.mirror(words).await,
            Action::Mkdir => self.mkdir(words).await,
            Action::Mmv => self.mmv(words).await,
            Action::More => self.more(name, words).await,
            Action::Mput => self.mput(words).await,
            Action::Mrm => self.mrm(words).await,
            Action::Mv => self.rename(words).await,
            Action::Nlist => self.nlist(words).await,
            Action::Open => self.open(words).await,
            Action::Pget => self.pget(words).await,
            Action::Put => self.put(name, words).await,
            Action::Pwd => self.pwd(words).await,
            Action::Queue => self.queue(words).await,
            Action::Quote => self.quote(words).await,
            Action::Refused(why) => Err(Failure::new(
                Exit::Denied,
                format!("{name} is not offered: {why}"),
            )),
            Action::Repeat => self.repeat(words).await,
            Action::Rm => self.rm(words).await,
            Action::Rmdir => self.rmdir(words).await,
            Action::Set => self.set(words).await,
            Action::Site => self.site(words).await,
            Action::Source => self.source(words).await,
            Action::User => self.user(words).await,
            Action::Version => self.version().await,
            Action::Wait => self.wait(words).await,
        }
    }

    /// `!command`, a shell without one. The output goes where the sink says.
    pub(super) async fn system(&mut self, command: &[u8]) -> Result<(), Failure> {
        let mut child = if command.is_empty() {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            let mut child = tokio::process::Command::new(shell);
            child.current_dir(&self.here).kill_on_drop(true);
            child
        } else {
            sink::shell(command, &self.here)
        };
        self.sink.flush().await?;
        let status = match &self.sink {
            Sink::Stdout(_) => child
                .status()
                .await
                .map_err(|error| sink::cannot_run(command, &error))?,
            _ => {
                let made = child.stderr(std::process::Stdio::inherit()).output().await;
                let made = made.map_err(|error| sink::cannot_run(command, &error))?;
                self.sink.write(&made.stdout).await?;
                made.status
            }
        };
        match status.code() {
            Some(0) => Ok(()),
            // Only a status: whoever failed has said why.
            Some(code) => {
                let code = u8::try_from(code).unwrap_or(1).max(1);
                Err(Failure::told(Exit::Partial).with_code(code))
            }
            None => Err(Failure::new(
                Exit::Partial,
                format!("`{}`: {status}", visible(command)),
            )),
        }
    }

    /// Runs an editor or pager for a file.
    pub(super) async fn program(
        &mut self,
        variable: &str,
        default: &str,
        file: &OsStr,
    ) -> Result<(), Failure> {
        let program = std::env::var_os(variable)
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| default.into());
        let mut line = program.as_bytes().to_vec();
        line.push(b' ');
        line.extend_from_slice(&single_quoted(file.as_bytes()));
        self.system(&line).await
    }
}

/// A word for the system's shell.
pub(super) fn single_quoted(word: &[u8]) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => text.extend_from_slice(b"'\\''"),
            byte => text.push(*byte),
        }
    }
    text.push(b'\'');
    text
}

/// A command for the list of jobs: without passwords.
fn shown(parsed: &Parsed) -> String {
    match &parsed.what {
        What::Words(words) => jobs::shown(words),
        _ => {
            let line = String::from_utf8_lossy(&parsed.text);
            let line = crate::editor::without_url_password(&line);
            visible(super::grammar::without_passwords(&line).as_bytes())
        }
    }
}
