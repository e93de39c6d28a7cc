//! Bans at work: at the door, before a login is tried, and after it.
//!
//! The rules and the list are `wharf_accounts::bans`; what is here asks them and words the answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wharf_accounts::{Ban, Bans, Offence, Subject};
use wharf_proto::{Reply, visible};

use crate::failure::Failure;
use crate::session::Session;
use crate::setup::Setup;

/// Lets other processes know what is new, and looks what they know; at most once a second if there is nothing new
async fn exchange(bans: &Arc<Bans>, now: SystemTime) {
    if !bans.is_due(now) {
        return;
    }
    let bans = Arc::clone(bans);
    let done = tokio::task::spawn_blocking(move || bans.exchange(now)).await;
    if let Ok(Err(error)) = done {
        tracing::error!(%error, "bans are not shared, those in memory stay in force");
    }
}

/// Why a client is sent away before anything is done for it
pub(crate) async fn at_the_door(setup: &Setup, client: IpAddr) -> Option<String> {
    let bans = setup.config.bans.as_ref()?;
    let now = SystemTime::now();
    exchange(bans, now).await;
    let ban = bans.closed_to(client, now)?;
    Some(words(&ban, now))
}

/// What a banned client is told: the cause and when it ends
fn words(ban: &Ban, now: SystemTime) -> String {
    if ban.is_by_hand() {
        return match ban.left(now) {
            None => "Your address is banned here, goodbye".to_owned(),
            Some(left) => format!("Your address is banned for {}, goodbye", rounded(left)),
        };
    }
    let left = rounded(ban.left(now).unwrap_or_default());
    format!("Too many failures from your address, come back in {left}")
}

/// At least what is left, in one unit
fn rounded(left: Duration) -> String {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    match seconds {
        0..100 => format!("{seconds} s"),
        100..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

impl Session {
    /// Before a login is checked, and before that costs anything
    pub(crate) async fn may_try(&mut self, client: IpAddr, user: &[u8]) -> Result<(), Failure> {
        let Some(bans) = self.setup.config.bans.clone() else {
            return Ok(());
        };
        let now = SystemTime::now();
        exchange(&bans, now).await;
        let Some(ban) = bans.refuses(client, user, now) else {
            return Ok(());
        };
        self.pi.login_failed();
        tracing::info!(%client, user = visible(user), ban = %ban.subject, "login not tried: banned");
        if let Subject::Clients(_) = ban.subject {
            self.closing = true;
            return Err(Failure::Refused(Reply::new(421, words(&ban, now))));
        }
        // Said of a name that nobody has as well, so it tells nothing about who exists.
        Err(Failure::Refused(Reply::new(
            530,
            "Too many failed logins for this user: try later, or from an address where you have logged in before",
        )))
    }

    /// The same where no password is looked at. What others have guessed for this user keeps nobody out who has shown a
    /// certificate; what came from this address does
    pub(crate) async fn may_try_by_certificate(
        &mut self,
        client: IpAddr,
        user: &[u8],
    ) -> Result<(), Failure> {
        let Some(bans) = self.setup.config.bans.clone() else {
            return Ok(());
        };
        let now = SystemTime::now();
        exchange(&bans, now).await;
        match bans.refuses(client, user, now) {
            Some(ban) if matches!(ban.subject, Subject::Clients(_)) => {
                self.may_try(client, user).await
            }
            _ => Ok(()),
        }
    }

    /// A login was refused; whether the client is banned now and has to go
    pub(crate) async fn note_failed(&mut self, client: IpAddr, user: &[u8]) -> Option<String> {
        let same = self.failed_as.as_ref().filter(|(name, _)| name == user);
        let before = same.map_or(0, |(_, count)| *count);
        self.failed_as = Some((user.to_vec(), before.saturating_add(1)));
        let bans = self.setup.config.bans.clone()?;
        let now = SystemTime::now();
        let new = bans.failed(client, user, now);
        told(&new);
        exchange(&bans, now).await;
        let ban = bans.refuses(client, user, now)?;
        matches!(ban.subject, Subject::Clients(_)).then(|| words(&ban, now))
    }

    /// A login stands; those that failed before it were slips
    pub(crate) async fn note_succeeded(&mut self, client: IpAddr, user: &[u8], anonymous: bool) {
        let before = self.failed_as.take().filter(|(name, _)| name == user);
        // That anybody may log in as anonymous speaks for nobody.
        let Some(bans) = self.setup.config.bans.clone().filter(|_| !anonymous) else {
            return;
        };
        let now = SystemTime::now();
        bans.succeeded(client, user, before.map_or(0, |(_, count)| count), now);
        exchange(&bans, now).await;
    }

    /// Something no honest client does often; the list hears of it when somebody next comes
    pub(crate) fn note_offence(&self, offence: Offence) {
        if let Some(bans) = &self.setup.config.bans {
            let ban = bans.offended(self.peer().ip(), offence, SystemTime::now());
            told(ban.as_slice());
        }
    }
}

fn told(bans: &[Ban]) {
    for ban in bans {
        let left = ban
            .until
            .and_then(|until| until.duration_since(ban.since).ok());
        tracing::warn!(
            target: "wharf::auth",
            subject = %ban.subject,
            times = ban.times,
            seconds = left.map(|left| left.as_secs()),
            reason = ban.reason,
            "banned"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_one_unit_and_never_too_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (99, "99 s"),
            (300, "5 min"),
            (301, "6 min"),
            (86_400, "24 h"),
        ] {
            assert_eq!(rounded(Duration::from_secs(seconds)), text);
        }
    }
}
