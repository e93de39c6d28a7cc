//! Lines that a person types, or that a script holds: the line editor of `wharf shell` and `wharf ftp`.
//!
//! On a terminal it is rustyline, with history and completion; elsewhere (and with `-e`) plain lines. Either way the reading
//! is done by a thread of its own, so that the session's task lives on while somebody thinks: jobs run, the server is kept
//! awake, and names on the server are asked for when the person presses the tab key.
//!
//! In reading order: [`Grammar`] (what a front end says about its own language: which kind of word stands at the cursor),
//! [`Desk`] (what the session does for the editor meanwhile), [`Editor`]; then [`completion`] (a word and what fits it, pure),
//! [`names`] (the bounded cache of remote names), [`history`] (the file, and what never gets into it), [`thread`].

mod completion;
mod history;
mod names;
mod thread;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) use completion::{Expected, Wanted};
pub(crate) use history::without_url_password;
pub(crate) use names::RemoteName;

use crate::exit::{Exit, Failure};
use names::NameCache;
use thread::{Order, Told};

/// How often [`Desk::idle`] is called while nobody types.
const IDLE: Duration = Duration::from_secs(30);

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line without its end.
    Typed(Vec<u8>),
    /// Ctrl-C: what stood in the line is gone.
    Interrupted,
    /// Ctrl-D in an empty line, or the end of the file.
    End,
}

/// What a front end knows about its language. Lives in the editor's thread; never waits.
pub(crate) trait Grammar: Send + 'static {
    /// What may stand where the cursor (a byte index) is.
    fn expected(&self, line: &str, cursor: usize) -> Expected;

    /// What is shown behind the cursor at the end of `line`, for instance the arguments of a command.
    fn hint(&self, line: &str) -> Option<String>;

    /// How the line is kept in the history: without its passwords, or not at all.
    fn for_history(&self, line: &str) -> Option<String>;
}

/// What the session does while the editor waits for a line. An implementation that is dropped half-way loses nothing.
pub(crate) trait Desk {
    /// The names in a directory of the server (`None`: the current one), for completion. Empty where nobody can tell.
    async fn names(&mut self, directory: Option<&[u8]>) -> Vec<RemoteName>;

    /// Half a minute has passed without a line: the place for a NOOP. Does nothing by default.
    async fn idle(&mut self) {}
}

/// For questions and scripts: no session stands behind the editor.
pub(crate) struct NobodyThere;

impl Desk for NobodyThere {
    async fn names(&mut self, _directory: Option<&[u8]>) -> Vec<RemoteName> {
        Vec::new()
    }
}

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Editing {
    /// With history and completion where stdin and stdout are a terminal that can do it, else as `Plain`.
    Auto,
    /// Lines as they come. On a terminal with a prompt.
    Plain,
}

/// The source of lines. One for a program: it owns standard input.
pub(crate) struct Editor {
    orders: mpsc::Sender<Order>,
    told: UnboundedReceiver<Told>,
    /// A line was ordered and has not come: whoever waited for it was interrupted.
    reading: bool,
    rich: bool,
    person: bool,
    cache: NameCache,
    announcer: Announcer,
    /// As the terminal was; a program that ends in the middle of a line puts it back.
    before: Option<Termios>,
}

impl Editor {
    /// `history` is the name of the history file in the state directory, for instance `shell-history`.
    pub(crate) fn start(
        editing: Editing,
        history: &str,
        grammar: impl Grammar,
    ) -> Result<Self, Failure> {
        let stdin = std::io::stdin();
        let person = stdin.is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let rich = editing == Editing::Auto && person && std::io::stdout().is_terminal() && !dumb;
        let before = if rich { tcgetattr(&stdin).ok() } else { None };
        let (orders, received) = mpsc::channel();
        let (tell, told) = unbounded_channel();
        let file = if rich { history::file(history) } else { None };
        let announcer = Announcer::default();
        let printer = Arc::clone(&announcer.printer);
        std::thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || {
                if rich {
                    thread::edited(file, Box::new(grammar), &printer, &received, &tell);
                } else {
                    thread::plain(&received, &tell);
                }
            })
            .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
        Ok(Self {
            orders,
            told,
            reading: false,
            rich,
            person,
            cache: NameCache::default(),
            announcer,
            before,
        })
    }

    /// Whether a person types, who can be asked.
    pub(crate) fn person(&self) -> bool {
        self.person
    }

    /// The next line. The prompt is shown to a person only. The history gets the line as the grammar says. Cancel-safe: a
    /// line that comes later is the next one.
    pub(crate) async fn line(
        &mut self,
        prompt: &str,
        desk: &mut impl Desk,
    ) -> Result<Line, Failure> {
        self.read(prompt, true, desk).await
    }

    /// The answer to a question: no history, no completion. In a script it is the next line, as with other ftp programs.
    pub(crate) async fn answer(&mut self, question: &str) -> Result<Line, Failure> {
        self.read(question, false, &mut NobodyThere).await
    }

    async fn read(
        &mut self,
        prompt: &str,
        command: bool,
        desk: &mut impl Desk,
    ) -> Result<Line, Failure> {
        let gone = || Failure::new(Exit::Software, "the line editor has ended");
        if !self.reading {
            if self.person && !self.rich {
                let mut stderr = std::io::stderr().lock();
                let _ = stderr.write_all(prompt.as_bytes());
                let _ = stderr.flush();
            }
            let prompt = prompt.to_owned();
            let order = Order::Read { prompt, command };
            self.orders.send(order).map_err(|_| gone())?;
            self.reading = true;
        }
        loop {
            let told = tokio::select! {
                told = self.told.recv() => told.ok_or_else(gone)?,
                () = tokio::time::sleep(IDLE) => {
                    desk.idle().await;
                    continue;
                }
            };
            match told {
                Told::Line(read) => {
                    self.reading = false;
                    let line = read.map_err(|error| {
                        let what = format!("cannot read standard input: {error}");
                        Failure::new(Exit::LocalFile, what)
                    })?;
                    if line == Line::End && self.person && !self.rich {
                        // The cursor stands behind the prompt.
                        let _ = std::io::stderr().write_all(b"\n");
                    }
                    return Ok(line);
                }
                Told::Names { directory, answer } => {
                    let directory = directory.as_deref();
                    let names = match self.cache.get(directory) {
                        Some(names) => names,
                        None => {
                            let names = desk.names(directory).await;
                            self.cache.put(directory, names)
                        }
                    };
                    // Who asked may have lost patience.
                    let _ = answer.send(names);
                }
                Told::History(_) => {}
            }
        }
    }

    /// Remote names may have changed, or the current directory or the server are another one.
    pub(crate) fn forget_names(&mut self) {
        self.cache.clear();
    }

    /// The lines of the history, the oldest first. Not while a line is being read.
    pub(crate) async fn history(&mut self) -> Vec<String> {
        if self.reading || self.orders.send(Order::History).is_err() {
            return Vec::new();
        }
        while let Some(told) = self.told.recv().await {
            if let Told::History(lines) = told {
                return lines;
            }
        }
        Vec::new()
    }

    /// Forgets the history, its file, too.
    pub(crate) fn clear_history(&mut self) {
        // Who has ended holds none.
        let _ = self.orders.send(Order::ClearHistory);
    }

    /// For whoever has something to say while a line may be half typed.
    pub(crate) fn announcer(&self) -> Announcer {
        self.announcer.clone()
    }
}

/// Says something to the person: above the line that is being typed, if there is one, else on stderr.
#[derive(Clone, Default)]
pub(crate) struct Announcer {
    printer: Arc<Mutex<Option<thread::Printer>>>,
}

impl Announcer {
    /// One line, fit for a terminal.
    pub(crate) fn say(&self, text: &str) {
        if let Ok(mut printer) = self.printer.lock()
            && let Some(printer) = printer.as_mut()
            && printer.print(format!("{text}\n")).is_ok()
        {
            return;
        }
        // Nobody listens on a closed stderr.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if self.reading
            && let Some(before) = &self.before
        {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
            // Bracketed paste was switched on for the line that never came.
            let _ = std::io::stdout().write_all(b"\x1b[?2004l\n");
            let _ = std::io::stdout().flush();
        }
    }
}
