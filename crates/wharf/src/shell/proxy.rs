//! `proxy`: a second server. What moves files goes from one server to the other, without passing through here where they
//! let it; every other command is done on the second one.

use std::time::Instant;

use wharf_client::{Between, between, relay};
use wharf_net::pump::Progress;
use wharf_proto::{Pathname, visible};

use super::run::{self, failed, pathname};
use super::table::{Action, COMMANDS};
use super::{Shell, print};
use crate::exit::Failure;

/// Which way a file goes.
#[derive(Clone, Copy)]
enum Way {
    /// `proxy get`: from the first server to the second.
    ToSecond,
    /// `proxy put`.
    ToFirst,
}

impl Shell {
    /// `proxy command [argument]...`
    pub(super) async fn proxy(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let Some((command, arguments)) = words.split_first() else {
            return Err(Failure::usage("usage: proxy command [argument]..."));
        };
        if self.proxied {
            return Err(Failure::usage("proxy before proxy: there are two servers"));
        }
        let row = run::look_up(command)?;
        if row.action == Action::Help && arguments.is_empty() {
            for row in COMMANDS.iter().filter(|row| row.proxied) {
                print(&self.output, &format!("  {:<12} {}", row.name, row.help));
            }
            return Ok(());
        }
        if !row.proxied {
            return Err(
                Failure::usage(format!("?Invalid proxy command: {}", row.name))
                    .with_hint("proxy ? lists those that can be"),
            );
        }
        let mut words = arguments.to_vec();
        match row.action {
            Action::Get | Action::Reget => {
                self.complete(row, &mut words).await?;
                self.across(Way::ToSecond, &words).await
            }
            Action::Put | Action::Append => {
                self.complete(row, &mut words).await?;
                self.across(Way::ToFirst, &words).await
            }
            Action::Mget => {
                self.complete(row, &mut words).await?;
                let names = self.remote_names(&words).await?;
                self.each("mget", names, async |shell, name| {
                    shell.across(Way::ToSecond, &[name]).await
                })
                .await
            }
            Action::Mput => {
                self.complete(row, &mut words).await?;
                self.change_servers();
                let names = self.remote_names(&words).await;
                self.change_servers();
                self.each("mput", names?, async |shell, name| {
                    shell.across(Way::ToFirst, &[name]).await
                })
                .await
            }
            _ => {
                self.change_servers();
                let done = Box::pin(run::command(self, row, words)).await;
                self.change_servers();
                done
            }
        }
    }

    /// What the commands are about becomes the other server.
    pub(super) fn change_servers(&mut self) {
        std::mem::swap(&mut self.now, &mut self.other);
        self.proxied = !self.proxied;
    }

    /// A file from one server to the other.
    async fn across(&mut self, way: Way, words: &[Vec<u8>]) -> Result<(), Failure> {
        let from = pathname(&words[0])?;
        let to = match words.get(1) {
            Some(word) => pathname(word)?,
            None => last_part(&from)?,
        };
        let (first, second) = (&self.now, &self.other);
        let (source_host, goal_host) = match way {
            Way::ToSecond => (&first.host, &second.host),
            Way::ToFirst => (&second.host, &first.host),
        };
        self.say(&format!(
            "{source_host}: {} -> {goal_host}: {}",
            from.display(),
            to.display()
        ));
        let meter = self.meter();
        let began = Instant::now();
        let (Some(first), Some(second)) = (&mut self.now.client, &mut self.other.client) else {
            return Err(Failure::usage("Not connected to two servers.")
                .with_hint("open HOST, proxy open OTHER-HOST"));
        };
        let (source, goal) = match way {
            Way::ToSecond => (first, second),
            Way::ToFirst => (second, first),
        };
        let length = match Box::pin(between(source, &from, goal, &to))
            .await
            .map_err(failed)?
        {
            Between::Done { length, .. } => length,
            Between::Refused(why) => {
                self.output.note(&format!(
                    "the servers do not connect to each other ({}); the file goes through here",
                    visible(why.as_bytes())
                ));
                let progress = Progress::new();
                let name = to.display().to_string();
                let work = Box::pin(relay(source, &from, goal, &to, &progress));
                let moved = meter.watch(&name, None, &progress, work).await;
                Some(moved.map_err(failed)?)
            }
        };
        match length {
            Some(length) => self.moved(length, "moved between the servers", began),
            None => self.say("moved between the servers"),
        }
        Ok(())
    }
}

fn last_part(path: &Pathname) -> Result<Pathname, Failure> {
    pathname(path.file_name().unwrap_or_default())
}
