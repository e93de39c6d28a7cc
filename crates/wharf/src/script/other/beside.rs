//! jobs, wait, fg, kill and queue: what runs beside.

use super::super::Shell;
use super::super::jobs::{self, Queued, State};
use super::super::options::{self, switch};
use super::super::pattern;
use super::super::syntax::Word;
use super::number;
use crate::exit::{Exit, Failure};

impl Shell {
    /// `jobs [-v] [job...]`
    pub(in crate::script) async fn list_jobs(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("jobs", &[switch('v', "verbose"), switch('r', "")], words)?;
        let wanted: Vec<usize> = given.rest.iter().map(number).collect::<Result<_, _>>()?;
        for (number, text, state) in self.jobs.list() {
            if !wanted.is_empty() && !wanted.contains(&number) {
                continue;
            }
            let state = match state {
                State::Running => "running".to_owned(),
                State::Ended(0) => "done".to_owned(),
                State::Ended(status) => format!("failed ({status})"),
            };
            self.sink
                .line(format!("[{number}] {text} -- {state}").as_bytes())
                .await?;
        }
        Ok(())
    }

    /// `wait [all|job]`
    pub(in crate::script) async fn wait(&mut self, words: &[Word]) -> Result<(), Failure> {
        let wanted = match words.first() {
            None => self
                .jobs
                .list()
                .into_iter()
                .map(|(number, ..)| number)
                .collect(),
            Some(word) if word.text == b"all" => self
                .jobs
                .list()
                .into_iter()
                .map(|(number, ..)| number)
                .collect(),
            Some(word) => vec![number(word)?],
        };
        self.wait_for(wanted).await
    }

    /// `fg [job]`
    pub(in crate::script) async fn fg(&mut self, words: &[Word]) -> Result<(), Failure> {
        let wanted = match words.first() {
            Some(word) => number(word)?,
            None => self
                .jobs
                .latest()
                .ok_or_else(|| Failure::usage("fg: nothing runs beside"))?,
        };
        self.wait_for(vec![wanted]).await
    }

    async fn wait_for(&mut self, numbers: Vec<usize>) -> Result<(), Failure> {
        let mut worst = 0;
        for number in numbers {
            match self.jobs.wait(number).await {
                Some(0) => {}
                Some(status) => worst = status,
                None => {
                    return Err(
                        Failure::usage(format!("there is no job {number}")).with_hint("jobs")
                    );
                }
            }
        }
        match worst {
            0 => Ok(()),
            status => Err(Failure::told(Exit::Partial).with_code(status)),
        }
    }

    /// `kill all|job...`
    pub(in crate::script) fn kill(&mut self, words: &[Word]) -> Result<(), Failure> {
        let numbers = match words {
            [] => self.jobs.latest().into_iter().collect(),
            [word] if word.text == b"all" => self.jobs.running(),
            several => several.iter().map(number).collect::<Result<Vec<_>, _>>()?,
        };
        for number in numbers {
            let queue = self.job_text(number) == "queue";
            if !self.jobs.kill(number) {
                return Err(
                    Failure::usage(format!("there is no job {number} that runs")).with_hint("jobs"),
                );
            }
            if queue {
                self.jobs.dismissed();
            }
        }
        Ok(())
    }

    /// `queue [options] [command]`
    pub(in crate::script) async fn queue(&mut self, words: &[Word]) -> Result<(), Failure> {
        let own = words
            .iter()
            .take_while(|word| word.text.starts_with(b"-"))
            .count();
        let flag = words
            .first()
            .map(|word| word.text.clone())
            .filter(|_| own > 0)
            .unwrap_or_default();
        let place =
            |at: usize| -> Result<Option<usize>, Failure> { words.get(at).map(number).transpose() };
        match flag.as_slice() {
            b"-d" => {
                let place = match words.get(1) {
                    Some(word) if number(word).is_err() => self
                        .jobs
                        .queued()
                        .iter()
                        .position(|it| pattern::fits(&word.pattern, it.as_bytes()))
                        .map(|at| at + 1)
                        .ok_or_else(|| Failure::usage("queue: nothing fits"))
                        .map(Some)?,
                    _ => place(1)?,
                };
                let gone = self.jobs.dequeue(place);
                let gone =
                    gone.ok_or_else(|| Failure::usage("queue: there is nothing at that place"))?;
                self.say(&format!("taken out: {}", gone.shown));
                return Ok(());
            }
            b"-m" => {
                let from = place(1)?.ok_or_else(|| Failure::usage("queue: -m FROM [TO]"))?;
                return match self.jobs.requeue(from, place(2)?) {
                    true => Ok(()),
                    false => Err(Failure::usage("queue: there is nothing at that place")),
                };
            }
            b"" | b"-q" | b"-n" => {}
            _ => {
                return Err(Failure::usage(
                    "queue: -d PLACE, -m FROM [TO], -n PLACE, -q",
                ));
            }
        }
        let skipped = match flag.as_slice() {
            b"-n" => 2,
            b"-q" => 1,
            _ => 0,
        };
        let rest = words.get(skipped..).unwrap_or_default();
        match rest {
            [] => {
                for (at, text) in self.jobs.queued().iter().enumerate() {
                    self.sink
                        .line(format!("{:>3}. {text}", at + 1).as_bytes())
                        .await?;
                }
                return Ok(());
            }
            [word] if word.text == b"stop" => {
                self.jobs.stop(true);
                return Ok(());
            }
            [word] if word.text == b"start" => {
                self.jobs.stop(false);
                self.work_on_queue();
                return Ok(());
            }
            _ => {}
        }
        let first = self.jobs.queued().is_empty();
        let mut text = Vec::new();
        if first && let Some(cwd) = &self.cwd {
            // The queue works where it was filled.
            text.extend_from_slice(
                &[
                    b"cd ",
                    Word::name(cwd.as_bytes().to_vec()).quoted().as_slice(),
                    b"\n",
                ]
                .concat(),
            );
        }
        text.extend_from_slice(&Self::command_text(rest));
        let shown = jobs::shown(rest);
        self.jobs.enqueue(Queued { text, shown });
        if flag == b"-n"
            && let Some(before) = place(1)?
        {
            let last = self.jobs.queued().len();
            self.jobs.requeue(last, Some(before));
        }
        self.work_on_queue();
        Ok(())
    }
}
