//! `wharf queue`: transfers that are to happen, kept until they have.

use std::io::Write as _;

use clap::FromArgMatches as _;
use wharf_client::Target;
use wharf_proto::visible;

use crate::args::queue::{QueueArgs, QueueCommand};
use crate::args::{self, Cli};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::queue::{self, Item, Standing, Store};

/// What may be put into the queue.
const COMMANDS: [&str; 3] = ["get", "put", "mirror"];

pub(crate) async fn run(args: QueueArgs, output: &Output) -> Result<(), Failure> {
    let directory = super::forget::directory().ok_or_else(|| {
        Failure::new(
            Exit::LocalFile,
            "no place for a queue: there is no home directory",
        )
        .with_hint("WHARF_STATE_DIR names a directory for it")
    })?;
    let store = Store::at(directory.join("queue"));
    let change = |change: &mut dyn FnMut(&mut Item)| {
        let changed = store.change(|items| items.iter_mut().for_each(&mut *change));
        changed.map_err(queue::unusable)
    };
    match args.command {
        QueueCommand::Add { words } => add(&store, words, output),
        QueueCommand::List { json } => list(&store, json),
        QueueCommand::Run { jobs, queue_retry } => {
            queue::run(&store, jobs.get(), queue_retry, output).await
        }
        QueueCommand::Pause { numbers } => {
            known(&store, &numbers)?;
            change(&mut |item| {
                let running = matches!(item.standing, Standing::Waiting | Standing::Running);
                if running && is_meant(&numbers, item) {
                    item.standing = Standing::Paused;
                }
            })
        }
        QueueCommand::Resume { numbers } => {
            known(&store, &numbers)?;
            change(&mut |item| {
                if is_meant(&numbers, item) {
                    item.resume();
                }
            })
        }
        QueueCommand::Remove { numbers, all } => {
            known(&store, &numbers)?;
            let removed = store.change(|items| {
                items.retain(|item| !all && !numbers.contains(&item.number));
            });
            removed.map_err(queue::unusable)
        }
    }
}

fn is_meant(numbers: &[u64], item: &Item) -> bool {
    numbers.is_empty() || numbers.contains(&item.number)
}

fn known(store: &Store, numbers: &[u64]) -> Result<(), Failure> {
    let items = store.items().map_err(queue::unusable)?;
    let unknown = numbers
        .iter()
        .find(|number| items.iter().all(|item| item.number != **number));
    match unknown {
        None => Ok(()),
        Some(number) => Err(Failure::usage(format!("there is no {number} in the queue"))
            .with_hint("`wharf queue list` shows what is there")),
    }
}

fn add(store: &Store, words: Vec<String>, output: &Output) -> Result<(), Failure> {
    let verb = words.first().map(String::as_str).unwrap_or_default();
    if !COMMANDS.contains(&verb) {
        return Err(Failure::usage(format!(
            "`{}` cannot be put into the queue: expected get, put or mirror",
            visible(verb.as_bytes())
        )));
    }
    for word in &words {
        let secret = word
            .parse::<Target>()
            .is_ok_and(|target| target.password().is_some());
        if secret {
            return Err(
                Failure::usage("an address with a password would stay in the queue")
                    .with_hint("put the password into ~/.netrc, or name a --password-file"),
            );
        }
    }
    // Wrong usage is told now, not when it runs.
    let line = std::iter::once("wharf").chain(words.iter().map(String::as_str));
    let parsed = args::wharf()
        .try_get_matches_from(line)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    if let Err(error) = parsed {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        return Err(Failure::usage(
            first.trim_start_matches("error: ").to_owned(),
        ));
    }
    let directory = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::LocalFile, format!("no working directory: {error}")))?;
    let number = store
        .change(|items| {
            let number = items.iter().map(|item| item.number).max().unwrap_or(0) + 1;
            items.push(Item {
                number,
                words,
                directory,
                standing: Standing::Waiting,
                failures: 0,
                not_before: 0,
                exit: None,
            });
            number
        })
        .map_err(queue::unusable)?;
    output.info(&format!(
        "queue {number}: added; `wharf queue run` carries it out"
    ));
    Ok(())
}

fn list(store: &Store, json: bool) -> Result<(), Failure> {
    let items = store.items().map_err(queue::unusable)?;
    let mut stdout = std::io::stdout().lock();
    for item in &items {
        let line = if json {
            serde_json::to_string(item).map_err(|error| queue::unusable(error.into()))?
        } else {
            let words = visible(item.words.join(" ").as_bytes());
            let exit = match item.exit {
                Some(code) if item.standing != Standing::Running => format!(" (status {code})"),
                _ => String::new(),
            };
            format!(
                "{:>4}  {:<8} {words}{exit}",
                item.number,
                item.standing.word()
            )
        };
        if let Err(error) = writeln!(stdout, "{line}") {
            // The reader has seen enough.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                return Ok(());
            }
            return Err(Failure::new(
                Exit::LocalFile,
                format!("cannot write to stdout: {error}"),
            ));
        }
    }
    Ok(())
}
