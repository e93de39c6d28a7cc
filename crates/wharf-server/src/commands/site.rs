//! SITE HELP, CHMOD, UTIME, IDLE, WHOAMI: what servers have agreed on outside of the RFCs.

use std::time::Duration;

use wharf_proto::command::{SITE_VERBS, SiteCommand};
use wharf_proto::{Reply, Text};

use crate::failure::{AtPath, Failure, Outcome};
use crate::session::Session;

/// SITE IDLE cannot make the idle time shorter than this
const SHORTEST_IDLE: Duration = Duration::from_secs(30);

impl Session {
    pub(super) async fn site(&mut self, parameters: &Text) -> Outcome {
        #[cfg(feature = "drill")]
        if let Some(run) = self.setup.config.drill
            && let Some(attempt) = parameters.as_str().and_then(|it| it.strip_prefix("DRILL "))
        {
            return Ok(Reply::new(200, run(attempt)));
        }
        let command =
            SiteCommand::parse(parameters).map_err(|error| Failure::Refused(error.reply()))?;
        // The verb table lets SITE HELP alone through before a login? It does not: SITE needs one.
        match command {
            SiteCommand::Help(_) => Ok(help()),
            SiteCommand::Chmod { mode, path } => {
                let full = self.pi.resolve(&path);
                self.storage()?.set_mode(&full, mode).await.at(&path)?;
                Ok(Reply::new(200, format!("Mode is {mode:04o}")))
            }
            SiteCommand::Utime { modified, path } => {
                self.set_modified(modified, &path).await?;
                Ok(Reply::new(
                    200,
                    format!("Time is {} UTC", modified.to_wire()),
                ))
            }
            SiteCommand::Idle(None) => Ok(Reply::new(
                200,
                format!(
                    "Idle time is {} s, at most {} s",
                    self.idle.as_secs(),
                    self.setup.config.max_idle.as_secs()
                ),
            )),
            SiteCommand::Idle(Some(seconds)) => {
                let longest = self.setup.config.max_idle.max(SHORTEST_IDLE);
                let wanted = Duration::from_secs(seconds.into());
                if wanted < SHORTEST_IDLE || wanted > longest {
                    return Err(Failure::argument(format!(
                        "Idle time is {} to {} s",
                        SHORTEST_IDLE.as_secs(),
                        longest.as_secs()
                    )));
                }
                self.idle = wanted;
                Ok(Reply::new(200, format!("Idle time is {seconds} s")))
            }
            SiteCommand::Whoami => {
                let peer = self.peer();
                Ok(Reply::new(
                    200,
                    match &self.login {
                        Some(login) => {
                            format!("You are {peer}, logged in as {}", login.granted.user)
                        }
                        None => format!("You are {peer}, not logged in"),
                    },
                ))
            }
            SiteCommand::Umask(_) => Err(Failure::parameter("UMASK is the server's own affair")),
        }
    }
}

pub(super) fn help() -> Reply {
    let mut lines = vec![Text::lossy("SITE commands:")];
    for verb in SITE_VERBS.iter().filter(|verb| verb.word != "UMASK") {
        lines.push(Text::lossy(format!(" {}: {}", verb.syntax, verb.help)));
    }
    lines.push(Text::lossy("End"));
    Reply::with_lines(214, lines)
}
