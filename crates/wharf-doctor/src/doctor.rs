//! Gathers the facts: logs in, sends sessions for every way at once, as many as the server allows, and stops in time.
//! What to ask next is decided in `errand.rs`, what the answers mean in [`checks`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wharf_client::examine::{self, Door, Examiner};
use wharf_client::{Endpoint, Error, ErrorKind, FamilyChoice, Login, Options, Tls, TlsChoice};
use wharf_net::{Net, Source, touch};
use wharf_proto::data_connection::{as_seen, canonical};
use wharf_proto::{Command, Reply, Text};

use crate::checks;
use crate::errand::OTHER_PORTS;
use crate::facts::{Facts, Seen};
use crate::no_session::NoSession;
use crate::remedy::Wording;
use crate::report::Report;
use crate::round::{HOP, NEXT_PORT, Round};
use crate::software::Software;

/// The verdict is there within 8 s; a moment of it is for saying goodbye and printing.
pub const VERDICT: Duration = Duration::from_millis(7500);

/// The session itself must have come about within this time, or there is nothing to examine.
const LOGIN: Duration = Duration::from_secs(6);

/// A step of the login ends so much earlier than all of it.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Control connections at once, with one family and with two: a home server allows its user three to five, as a rule.
const SESSIONS: [usize; 2] = [5, 3];

/// No session came about.
#[derive(Debug)]
pub struct Stopped {
    /// Why: those of connecting and logging in.
    pub error: Error,
    /// What it means, and who must act.
    pub report: Report,
}

/// What is to be examined.
pub struct Doctor {
    /// The network.
    pub net: Arc<dyn Net>,
    /// The server.
    pub endpoint: Endpoint,
    /// Who logs in.
    pub login: Login,
    /// Addresses, ports and families as for any client.
    pub options: Options,
    /// How remedies are worded.
    pub wording: Wording,
    /// Afterwards leave a control connection silent for so long.
    pub idle: Option<Duration>,
}

impl Doctor {
    /// Finds out and judges. Within [`VERDICT`], except for the idle test.
    ///
    /// # Errors
    /// Why no session came about at all, with a report that says who must act about that.
    pub async fn examine(&self) -> Result<Report, Box<Stopped>> {
        let began = Instant::now();
        let subject = subject(&self.options.tls, &self.endpoint);
        match Box::pin(self.gather(began)).await {
            Ok(facts) => Ok(checks::report(
                &facts,
                &self.wording,
                subject,
                began.elapsed(),
            )),
            Err(error) => {
                let seen = self.around(&error, began).await;
                let report = seen.report(&self.wording, subject, began.elapsed());
                Err(Box::new(Stopped { error, report }))
            }
        }
    }

    /// What can be seen of a server that gives no session.
    async fn around(&self, error: &Error, began: Instant) -> NoSession {
        let mut seen = NoSession {
            endpoint: self.endpoint.clone(),
            kind: error.kind(),
            said: error.to_string(),
            control: None,
            others: Vec::new(),
        };
        let left = |most: Duration| VERDICT.saturating_sub(began.elapsed()).min(most);
        if error.kind() == ErrorKind::Resolve {
            return seen;
        }
        let (host, port) = (&self.endpoint.host, self.endpoint.port);
        let resolved = timeout(left(NEXT_PORT), self.net.resolve(host, port)).await;
        let all: Vec<SocketAddr> = resolved.ok().and_then(Result::ok).unwrap_or_default();
        let wanted = |at: &&SocketAddr| match self.options.family {
            FamilyChoice::Ipv4 => canonical(at.ip()).is_ipv4(),
            FamilyChoice::Ipv6 => canonical(at.ip()).is_ipv6(),
            FamilyChoice::Any | FamilyChoice::PreferIpv4 | FamilyChoice::PreferIpv6 => true,
        };
        let Some(at) = all.iter().find(wanted).copied() else {
            return seen;
        };
        let within = left(NEXT_PORT);
        let net = &*self.net;
        let [one, other] = OTHER_PORTS.map(|port| SocketAddr::new(at.ip(), port));
        let (control, a, b) = tokio::join!(
            touch(net, Source::Any, at, None, within),
            touch(net, Source::Any, one, None, within),
            touch(net, Source::Any, other, None, within),
        );
        seen.control = Some((at, control));
        seen.others = vec![(one.port(), a), (other.port(), b)];
        seen
    }

    /// Everything that can be seen in time.
    ///
    /// # Errors
    /// Why no session came about at all: those of connecting and logging in.
    pub async fn gather(&self, began: Instant) -> Result<Facts, Error> {
        let families = self.families().await;
        let share = SESSIONS
            .get(families.len().saturating_sub(1))
            .copied()
            .unwrap_or(1);
        let (v4, v6) = tokio::join!(
            self.family(&families, FamilyChoice::Ipv4, began, share),
            self.family(&families, FamilyChoice::Ipv6, began, share),
        );
        let mut facts = Facts {
            families: Vec::new(),
            absent: Vec::new(),
        };
        let mut failure: Option<Error> = None;
        for (is_ipv6, outcome) in [(false, v4), (true, v6)] {
            match outcome {
                None => {}
                Some(Ok(seen)) => facts.families.push(seen),
                Some(Err(error)) => {
                    facts.absent.push((is_ipv6, error.to_string()));
                    // A refused login says more than a missing route.
                    let says_more = error.kind() != ErrorKind::Connect;
                    if failure.is_none() || says_more {
                        failure = Some(error);
                    }
                }
            }
        }
        match failure {
            Some(error) if facts.families.is_empty() => Err(error),
            _ => Ok(facts),
        }
    }

    /// The families in which the server has an address. Where that cannot be found out, connecting says why.
    async fn families(&self) -> Vec<FamilyChoice> {
        let (host, port) = (&self.endpoint.host, self.endpoint.port);
        let resolved = timeout(LOGIN, self.net.resolve(host, port)).await;
        let all: Vec<SocketAddr> = resolved.ok().and_then(Result::ok).unwrap_or_default();
        let has = |ipv6: bool| all.iter().any(|it| canonical(it.ip()).is_ipv6() == ipv6);
        let mut families = Vec::new();
        if has(false) && self.options.family != FamilyChoice::Ipv6 {
            families.push(FamilyChoice::Ipv4);
        }
        if has(true) && self.options.family != FamilyChoice::Ipv4 {
            families.push(FamilyChoice::Ipv6);
        }
        if families.is_empty() {
            families.push(match self.options.family {
                FamilyChoice::Ipv6 => FamilyChoice::Ipv6,
                _ => FamilyChoice::Ipv4,
            });
        }
        families
    }

    async fn family(
        &self,
        wanted: &[FamilyChoice],
        family: FamilyChoice,
        began: Instant,
        sessions: usize,
    ) -> Option<Result<Seen, Error>> {
        if !wanted.contains(&family) {
            return None;
        }
        Some(self.look(family, began, sessions).await)
    }

    async fn look(
        &self,
        family: FamilyChoice,
        began: Instant,
        sessions: usize,
    ) -> Result<Seen, Error> {
        let within = LOGIN.saturating_sub(began.elapsed()).max(HOP);
        // A step that takes all the time says itself which one it was.
        let step = within.saturating_sub(LAST_WORD);
        let options = Options {
            family,
            connect_timeout: self.options.connect_timeout.min(step),
            reply_timeout: self.options.reply_timeout.min(step),
            memory: None,
            ..self.options.clone()
        };
        let net = Arc::clone(&self.net);
        let login = self.login.clone();
        let mut session = examine::open(net, &self.endpoint, options, login, within).await?;
        let mut seen = ask(&mut session).await;
        seen.round_trip = session.round_trip();
        let door = session.door();
        let mut round = Round::new(Arc::clone(&self.net), session, sessions, began + VERDICT);
        round.run(&mut seen).await;
        if let Some(time) = self.idle {
            seen.idle = Some((time, silent(&door, time).await));
        }
        Ok(seen)
    }
}

/// What the server tells of itself and of us.
async fn ask(session: &mut Examiner) -> Seen {
    let within = NEXT_PORT.max(session.round_trip() * 8);
    let whoami = session
        .ask(&Command::Site(Text::lossy("WHOAMI")), within)
        .await
        .ok();
    let status = session.ask(&Command::Stat(None), within).await.ok();
    let system = session.ask(&Command::Syst, within).await.ok();
    let told = whoami
        .as_ref()
        .and_then(as_seen::from_whoami)
        .or_else(|| status.as_ref().and_then(as_seen::from_status));
    let greeting = text(session.greeting());
    let mut said = vec![greeting];
    said.extend(system.as_ref().map(text));
    said.extend(status.as_ref().map(text));
    // A greeting can be set to anything; the form of this answer is wharf's own.
    let is_wharf = whoami
        .as_ref()
        .is_some_and(|it| as_seen::from_whoami(it).is_some());
    said.extend(is_wharf.then(|| "wharf".to_owned()));
    let software = Software::recognise(said.iter().map(String::as_str));
    let mut seen = Seen::new(session.peer_addr(), session.local_addr().ip(), software);
    seen.told = told.map(canonical);
    seen
}

fn text(reply: &Reply) -> String {
    let lines: Vec<_> = reply
        .lines()
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    lines.join("\n")
}

/// Leaves a session alone for so long, and asks whether it is still there.
async fn silent(door: &Door, time: Duration) -> Result<(), String> {
    let mut session = door.enter(LOGIN).await.map_err(|error| error.to_string())?;
    tokio::time::sleep(time).await;
    let answer = session.ask(&Command::Noop, LOGIN).await;
    session.quit().await;
    answer.map(|_| ()).map_err(|error| error.to_string())
}

/// The address that was examined, with the scheme that wants the same of TLS.
fn subject(tls: &Tls, endpoint: &Endpoint) -> String {
    let scheme = match (tls.choice, tls.implicit) {
        (TlsChoice::Off | TlsChoice::Prefer, _) => "ftp",
        (TlsChoice::Require, false) => "ftpes",
        (TlsChoice::Require, true) => "ftps",
    };
    format!("{scheme}://{endpoint}/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_client::Target;

    #[test]
    fn the_heading_is_the_address_that_was_asked_for() {
        for address in [
            "ftp://a.example/",
            "ftpes://a.example/",
            "ftps://a.example/",
            "ftp://a.example:2121/",
        ] {
            let target: Target = address.parse().unwrap();
            let options = Options::default().for_scheme(target.scheme());
            let heading = subject(&options.tls, target.endpoint());
            assert_eq!(heading.replace(":990", ""), address, "{heading}");
        }
    }
}
