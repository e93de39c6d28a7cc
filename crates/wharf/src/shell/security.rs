//! auth, prot, ccc: the TLS of a session that runs. And a person who is asked whether a certificate is to be believed for
//! which nobody vouches.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use wharf_client::{Client, Endpoint, Error, Greeting, Options, Scheme, TlsChoice};
use wharf_net::tls::TlsError;
use wharf_net::tls::trust::{Distrust, Known};
use wharf_proto::visible;

use super::run::failed;
use super::{Shell, print};
use crate::exit::{Exit, Failure};

/// What is in TLS, in a line of `status`.
pub(super) fn line(client: &Client) -> String {
    let data = if client.protects_data() {
        "data connections as well"
    } else {
        "data connections in clear"
    };
    match client.tls() {
        Some(tls) => format!("{tls}, {data}"),
        None if client.left_tls() && client.protects_data() => {
            "control connection in clear again (CCC), data connections in TLS".to_owned()
        }
        None if client.left_tls() => {
            "control connection in clear again (CCC), as is the data".to_owned()
        }
        None => "no TLS".to_owned(),
    }
}

/// What a person says to a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Remember,
    Once,
    No,
}

impl Answer {
    /// Whatever is not a clear yes is a no.
    fn read(typed: &[u8]) -> Self {
        match typed.trim_ascii().to_ascii_lowercase().as_slice() {
            b"y" | b"yes" => Self::Remember,
            b"o" | b"once" => Self::Once,
            _ => Self::No,
        }
    }
}

impl Shell {
    /// `auth [tls]`
    pub(super) async fn auth(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        if words.iter().any(|it| !it.eq_ignore_ascii_case(b"tls")) {
            return Err(Failure::usage("usage: auth [tls]"));
        }
        if let Some(client) = &mut self.now.client {
            client.enter_tls().await.map_err(failed)?;
            let now = line(client);
            self.say(&format!("TLS: {now}."));
            return Ok(());
        }
        let (Some(greeting), Some((scheme, endpoint))) =
            (self.now.greeting.take(), self.now.pending.clone())
        else {
            return Err(Failure::new(Exit::Unreachable, "Not connected.").with_hint("open HOST"));
        };
        if greeting.is_in_tls() {
            self.now.greeting = Some(greeting);
        } else {
            // What the server has said in clear counts for nothing; AUTH is said to a new greeting.
            greeting.quit().await;
            let mut options = self.options_for(scheme);
            options.tls.choice = TlsChoice::Require;
            self.now.greeting = Some(self.greeted_with(&endpoint, options).await?);
        }
        self.say("TLS: the control connection is in it.");
        Ok(())
    }

    /// `prot [p|c]`
    pub(super) async fn prot(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let protect = match words.first().map(|it| it.to_ascii_lowercase()).as_deref() {
            None => None,
            Some(b"p" | b"private") => Some(true),
            Some(b"c" | b"clear") => Some(false),
            Some(_) => return Err(Failure::usage("usage: prot [p|c]")),
        };
        let client = self.client()?;
        if let Some(protect) = protect {
            client.protect_data(protect).await.map_err(failed)?;
        }
        let now = if client.protects_data() { "p" } else { "c" };
        if protect.is_none() {
            print(&self.output, now);
        }
        Ok(())
    }

    /// `ccc`
    pub(super) async fn ccc(&mut self) -> Result<(), Failure> {
        let client = self.client()?;
        client.leave_tls().await.map_err(failed)?;
        let now = line(client);
        self.say(&format!("TLS: {now}."));
        Ok(())
    }

    fn options_for(&self, scheme: Scheme) -> Options {
        let mut options = self.connector.options_for(scheme);
        // Who can be asked decides himself whom to believe.
        options.tls.trust.first_use &= !self.interactive;
        options
    }

    /// Connects and reads the greeting; again and again if that is wanted (`-r`).
    pub(super) async fn greeted(
        &mut self,
        scheme: Scheme,
        endpoint: &Endpoint,
    ) -> Result<Greeting, Failure> {
        let options = self.options_for(scheme);
        let greeting = loop {
            *self.switches.connecting() = Some(endpoint.host.clone());
            let failure = match self.greeted_with(endpoint, options.clone()).await {
                Ok(greeting) => break greeting,
                Err(failure) => failure,
            };
            let Some(seconds) = self.again.filter(|_| is_about_connecting(failure.exit)) else {
                return Err(failure);
            };
            self.output.failure(&failure);
            self.output.line(&format!("Retrying in {seconds} seconds."));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        };
        let gate = &self.options.gate;
        if let (Some(server), true) = (&gate.server, gate.on) {
            self.say(&format!("Connected via pass-through server {server}"));
        }
        Ok(greeting)
    }

    /// A person is asked about a server that nobody knows; about one that has changed nobody is asked, for a yes would be
    /// said too easily.
    async fn greeted_with(
        &mut self,
        endpoint: &Endpoint,
        options: Options,
    ) -> Result<Greeting, Failure> {
        let door = self.connector.door_with(endpoint, options)?;
        let (net, mut options) = (door.net, door.options);
        let connect = wharf_client::connect(Arc::clone(&net), endpoint, options.clone());
        let error = match connect.await {
            Ok(greeting) => return Ok(greeting),
            Err(error) => error,
        };
        let Some(Distrust::UnknownAuthority { shown, .. }) =
            distrust(&error).filter(|_| self.interactive)
        else {
            return Err(failed(error));
        };
        let (shown, question) = (*shown, question(endpoint, &error));
        for line in question {
            self.output.line(&line);
        }
        let typed = self
            .read_line("Believe it? y = yes, remember it; o = once; n = no: ")
            .await?;
        let answer = Answer::read(&typed.unwrap_or_default());
        if answer == Answer::No {
            return Err(failed(error));
        }
        // That one alone, as long as this session lasts.
        options.tls.trust.pins = vec![shown];
        let known = options.tls.trust.known.clone();
        let connect = wharf_client::connect(net, endpoint, options);
        let greeting = connect.await.map_err(failed)?;
        // Only now has the server proved that it holds the key.
        if let (Answer::Remember, Some(known)) = (answer, known) {
            let host = endpoint.host.to_ascii_lowercase();
            known.remember(&host, endpoint.port, Known::Certificate(shown));
        }
        Ok(greeting)
    }
}

fn distrust(error: &Error) -> Option<&Distrust> {
    let cause = error.source().and_then(|it| it.downcast_ref::<TlsError>());
    cause?.distrust()
}

/// Whether another attempt may end otherwise.
pub(super) fn is_about_connecting(exit: Exit) -> bool {
    matches!(exit, Exit::Unreachable | Exit::Timeout | Exit::Busy)
}

/// What is to be known for an answer.
fn question(endpoint: &Endpoint, error: &Error) -> Vec<String> {
    let Some(Distrust::UnknownAuthority {
        shown,
        self_signed,
        issuer,
        says,
    }) = distrust(error)
    else {
        return Vec::new();
    };
    let why = if *self_signed {
        "it has signed itself, and this server is not known"
    } else {
        "no authority that is known here has signed it, and this server is not known"
    };
    vec![
        format!("The certificate of {endpoint} is not believed: {why}."),
        format!("  it is       {}", visible(says.as_bytes())),
        format!("  signed by   {}", visible(issuer.as_bytes())),
        format!("  SHA-256     {shown}"),
        "Whoever stands in between could show one like it: compare the fingerprint with the server's administrator.".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (typed, expected) in [
            ("y", Answer::Remember),
            ("Yes ", Answer::Remember),
            ("o", Answer::Once),
            ("once", Answer::Once),
            ("n", Answer::No),
            ("", Answer::No),
            ("yy", Answer::No),
            ("maybe", Answer::No),
        ] {
            assert_eq!(Answer::read(typed.as_bytes()), expected, "{typed}");
        }
    }
}
