//! Carries out what waits in the queue, each item in a process of its own: one that crashes takes no other with it, and
//! what it says and how it ends is what `wharf get` and its like say and how they end.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::item::{Item, Standing};
use super::store::Store;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// How often children and the file are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long a child that was told to stop may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// A command that runs; told to stop when this is dropped.
struct Running {
    number: u64,
    child: Child,
    stopped: bool,
}

impl Running {
    fn start(program: &PathBuf, item: &Item) -> io::Result<Self> {
        let child = Command::new(program)
            .args(item.words_to_run())
            .current_dir(&item.directory)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self {
            number: item.number,
            child,
            stopped: false,
        })
    }

    fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.stopped) {
            // One that has ended meanwhile has not been waited for, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
            self.stopped = true;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
            let began = std::time::Instant::now();
            while began.elapsed() < FAREWELL && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| it.as_secs())
}

/// Carries out what waits until nothing does; `jobs` at once, each again up to `most` times.
pub(crate) async fn run(
    store: &Store,
    jobs: usize,
    most: u32,
    output: &Output,
) -> Result<(), Failure> {
    let _turn = store
        .take_turn()
        .map_err(unusable)?
        .ok_or_else(|| Failure::new(Exit::Busy, "another process carries the queue out"))?;
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Software, format!("cannot find this program: {error}"))
    })?;
    // Nobody else has the turn: who is said to be running was killed.
    change(store, |items| {
        for item in items
            .iter_mut()
            .filter(|it| it.standing == Standing::Running)
        {
            item.standing = Standing::Waiting;
        }
    })?;
    let mut running: Vec<Running> = Vec::new();
    let mut failed = Vec::new();
    loop {
        let mut still = Vec::new();
        for mut one in running.drain(..) {
            match one.child.try_wait() {
                Ok(None) => still.push(one),
                Ok(Some(status)) => {
                    let code = status.code().and_then(|code| u8::try_from(code).ok());
                    settle(store, one.number, code, most, &mut failed, output)?;
                }
                Err(error) => {
                    let number = one.number;
                    output.warning(&format!("queue {number}: cannot be waited for: {error}"));
                    settle(store, number, None, most, &mut failed, output)?;
                }
            }
        }
        running = still;
        let items = store.items().map_err(unusable)?;
        for one in &mut running {
            let item = items.iter().find(|item| item.number == one.number);
            // Paused or removed.
            if item.is_none_or(|item| item.standing != Standing::Running) {
                one.stop();
            }
        }
        while running.len() < jobs {
            let taken = change(store, |items| {
                let busy = |number| running.iter().any(|one: &Running| one.number == number);
                let at = now();
                let due = items
                    .iter_mut()
                    .find(|item| item.is_due(at) && !busy(item.number))?;
                due.standing = Standing::Running;
                Some(due.clone())
            })?;
            let Some(item) = taken else { break };
            output.note(&format!(
                "queue {}: wharf {}",
                item.number,
                item.words.join(" ")
            ));
            match Running::start(&program, &item) {
                Ok(one) => running.push(one),
                Err(error) => {
                    output.warning(&format!(
                        "queue {}: cannot be started: {error}",
                        item.number
                    ));
                    let code = Some(Exit::LocalFile.code());
                    settle(store, item.number, code, most, &mut failed, output)?;
                }
            }
        }
        let waits = items.iter().any(|item| item.standing == Standing::Waiting);
        if running.is_empty() && !waits {
            break;
        }
        sleep(LOOK).await;
    }
    match failed.as_slice() {
        [] => Ok(()),
        // Told by the commands themselves.
        _ => Err(Failure::told(Exit::Partial)),
    }
}

fn settle(
    store: &Store,
    number: u64,
    code: Option<u8>,
    most: u32,
    failed: &mut Vec<u64>,
    output: &Output,
) -> Result<(), Failure> {
    let at = now();
    let item = change(store, |items| {
        let position = items.iter().position(|item| item.number == number)?;
        let item = items.get_mut(position)?;
        let stays = item.ended(code, most, at);
        let item = item.clone();
        if !stays {
            items.remove(position);
        }
        Some((item, stays))
    })?;
    match item {
        Some((_, false)) => output.info(&format!("queue {number}: done")),
        Some((item, true)) if item.standing == Standing::Failed => {
            failed.push(number);
            output.warning(&format!(
                "queue {number}: failed with status {}; `wharf queue resume {number}` tries it again",
                code.unwrap_or_default()
            ));
        }
        Some((item, true)) if item.not_before > at => output.note(&format!(
            "queue {number}: status {}, again in {} s",
            code.unwrap_or_default(),
            item.not_before - at
        )),
        // Paused, stopped, or removed meanwhile.
        Some(_) | None => {}
    }
    Ok(())
}

fn change<T>(store: &Store, change: impl FnOnce(&mut Vec<Item>) -> T) -> Result<T, Failure> {
    store.change(change).map_err(unusable)
}

pub(crate) fn unusable(error: io::Error) -> Failure {
    Failure::new(
        Exit::LocalFile,
        format!("the queue cannot be used: {error}"),
    )
}
