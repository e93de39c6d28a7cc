//! The editor's thread: waits for a person so that nobody else has to.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History, MemHistory, SearchDirection};
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};
use tokio::sync::mpsc::UnboundedSender;

use super::completion::{self, Candidate, Wanted};
use super::{Grammar, Line, RemoteName, history};
use crate::output::color_wanted;

/// So long a tab waits for names from the server; meanwhile no key is heard.
const PATIENCE: Duration = Duration::from_secs(4);

/// More candidates than this are shown only to who says so.
const MANY: usize = 100;

/// What prints above a line that is being typed.
pub(super) type Printer = Box<dyn rustyline::ExternalPrinter + Send>;

/// What the session orders.
pub(super) enum Order {
    Read { prompt: String, command: bool },
    History,
    ClearHistory,
}

/// What the thread tells the session.
pub(super) enum Told {
    Line(std::io::Result<Line>),
    Names {
        directory: Option<Vec<u8>>,
        answer: mpsc::Sender<Vec<RemoteName>>,
    },
    History(Vec<String>),
}

/// Plain lines, until the session has ended.
pub(super) fn plain(orders: &mpsc::Receiver<Order>, tell: &UnboundedSender<Told>) {
    let mut stdin = std::io::stdin().lock();
    while let Ok(order) = orders.recv() {
        let told = match order {
            Order::Read { .. } => {
                let mut line = Vec::new();
                Told::Line(stdin.read_until(b'\n', &mut line).map(|_| ended(line)))
            }
            Order::History => Told::History(Vec::new()),
            Order::ClearHistory => continue,
        };
        if tell.send(told).is_err() {
            return;
        }
    }
}

fn ended(mut line: Vec<u8>) -> Line {
    if line.is_empty() {
        return Line::End;
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Line::Typed(line)
}

/// Edited lines, until the session has ended.
pub(super) fn edited(
    file: Option<PathBuf>,
    grammar: Box<dyn Grammar>,
    printer: &Mutex<Option<Printer>>,
    orders: &mpsc::Receiver<Order>,
    tell: &UnboundedSender<Told>,
) {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_prompt_limit(MANY)
        .history_ignore_space(true)
        .auto_add_history(false);
    let config = match config.max_history_size(history::MOST) {
        Ok(config) => config.build(),
        Err(_) => Config::default(),
    };
    let past = MemHistory::with_config(&config);
    let mut editor = match rustyline::Editor::with_history(config, past) {
        Ok(editor) => editor,
        Err(error) => {
            let _ = tell.send(Told::Line(Err(io_error(error))));
            return plain(orders, tell);
        }
    };
    let mut kept = history::Kept::open(file);
    for line in kept.lines() {
        // In memory; adding cannot fail.
        let _ = editor.add_history_entry(line);
    }
    if let (Ok(above), Ok(mut printer)) = (editor.create_external_printer(), printer.lock()) {
        *printer = Some(Box::new(above));
    }
    editor.set_helper(Some(Assistant {
        grammar,
        tell: tell.clone(),
        command: true,
        color: color_wanted(true),
    }));
    while let Ok(order) = orders.recv() {
        let told = match order {
            Order::Read { prompt, command } => {
                if let Some(assistant) = editor.helper_mut() {
                    assistant.command = command;
                }
                let read = editor.readline(&prompt);
                if command
                    && let Ok(line) = &read
                    && !line.starts_with(' ')
                    && let Some(line) = editor.helper().and_then(|it| it.grammar.for_history(line))
                    && editor.add_history_entry(&line).unwrap_or(false)
                {
                    kept.append(&line);
                }
                Told::Line(match read {
                    Ok(line) => Ok(Line::Typed(line.into_bytes())),
                    Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                    Err(ReadlineError::Eof) => Ok(Line::End),
                    Err(error) => Err(io_error(error)),
                })
            }
            Order::History => Told::History(past_lines(editor.history())),
            Order::ClearHistory => {
                let _ = editor.clear_history();
                kept.clear();
                continue;
            }
        };
        if tell.send(told).is_err() {
            return;
        }
    }
}

fn io_error(error: ReadlineError) -> std::io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => std::io::Error::other(other.to_string()),
    }
}

fn past_lines(history: &MemHistory) -> Vec<String> {
    let entry = |at| history.get(at, SearchDirection::Forward).ok().flatten();
    (0..history.len())
        .filter_map(entry)
        .map(|found| found.entry.into_owned())
        .collect()
}

/// What rustyline asks while a line is typed.
struct Assistant {
    grammar: Box<dyn Grammar>,
    tell: UnboundedSender<Told>,
    /// The line is a command, not the answer to a question.
    command: bool,
    color: bool,
}

impl Assistant {
    fn remote_names(&self, directory: Option<Vec<u8>>) -> Vec<RemoteName> {
        let (answer, answered) = mpsc::channel();
        if self.tell.send(Told::Names { directory, answer }).is_err() {
            return Vec::new();
        }
        answered.recv_timeout(PATIENCE).unwrap_or_default()
    }

    fn candidates(&self, wanted: &Wanted, word: &[u8]) -> Vec<Candidate> {
        match wanted {
            Wanted::Words(words) => completion::words(words, word),
            Wanted::Remote { only_directories } => {
                let (directory, _) = completion::split(word);
                let names = self.remote_names(directory.map(<[u8]>::to_vec));
                completion::names(&names, word, *only_directories)
            }
            Wanted::Local { only_directories } => {
                let (directory, _) = completion::split(word);
                let names = completion::local_names(directory);
                completion::names(&names, word, *only_directories)
            }
        }
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if !self.command {
            return Ok((cursor, Vec::new()));
        }
        let expected = self.grammar.expected(line, cursor);
        let mut found: Vec<Candidate> = Vec::new();
        for wanted in &expected.wanted {
            found.extend(self.candidates(wanted, &expected.word));
        }
        found.sort_by(|a, b| a.word.cmp(&b.word));
        found.dedup_by(|a, b| a.word == b.word);
        let open_quote = line[expected.start..].starts_with('"');
        let pairs = found.iter().filter_map(|it| it.pair(open_quote)).collect();
        Ok((expected.start, pairs))
    }
}

impl Hinter for Assistant {
    type Hint = Hint;

    fn hint(&self, line: &str, cursor: usize, _: &Context<'_>) -> Option<Hint> {
        if !self.command || cursor < line.len() {
            return None;
        }
        self.grammar.hint(line).map(Hint)
    }
}

/// Shown, never inserted: it says what may follow.
struct Hint(String);

impl rustyline::hint::Hint for Hint {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> std::borrow::Cow<'h, str> {
        if self.color {
            format!("\x1b[2m{hint}\x1b[0m").into()
        } else {
            hint.into()
        }
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}
