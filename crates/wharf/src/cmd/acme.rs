//! `--acme`: the certificate that an authority signs, obtained and renewed beside the server.

use wharf_acme::{Acme, Settings as AcmeSettings};
use wharf_net::tls::trust::Trust;

use super::state_directory;
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// As the settings say; none without `--acme`.
pub(crate) fn settings(settings: &Settings) -> Result<Option<AcmeSettings>, Failure> {
    let wanted = &settings.acme;
    if wanted.domains.is_empty() {
        return Ok(None);
    }
    let state = state_directory::of_server().ok_or_else(|| {
        let variable = state_directory::VARIABLE;
        Failure::new(
            Exit::Config,
            "a certificate from an authority must be kept, and there is no directory for it",
        )
        .with_hint(format!("{variable} names one"))
    })?;
    Ok(Some(AcmeSettings {
        domains: wanted.domains.clone(),
        email: wanted.email.clone(),
        directory: wanted.directory.clone(),
        http: wanted.http,
        trust: Trust {
            system: true,
            ..Trust::default()
        },
        state,
    }))
}

/// The task that obtains and renews; ends when it is dropped.
#[derive(Default)]
pub(crate) struct Renewal {
    running: Option<(AcmeSettings, tokio::task::JoinHandle<()>)>,
}

impl Renewal {
    /// From now on as the settings say. A task that does so already goes on.
    pub(crate) async fn apply(&mut self, wanted: Option<AcmeSettings>) -> Result<(), Failure> {
        if let (Some((running, _)), Some(wanted)) = (&self.running, &wanted)
            && is_same(running, wanted)
        {
            return Ok(());
        }
        if let Some((_, task)) = self.running.take() {
            task.abort();
            // Its port is free when it has ended.
            let _ = task.await;
        }
        let Some(wanted) = wanted else { return Ok(()) };
        let at = wanted.http;
        let acme = Acme::bind(wanted.clone()).await.map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("cannot listen on {at} for the certificate authority: {error}"),
            )
            .with_hint(
                "the authority asks at port 80: --acme-http names another address that this port is led to",
            )
        })?;
        self.running = Some((wanted, tokio::spawn(acme.run())));
        Ok(())
    }

    /// The same where the server goes on without it.
    pub(crate) async fn apply_or_say(&mut self, wanted: Option<AcmeSettings>) {
        if let Err(failure) = self.apply(wanted).await {
            tracing::error!(
                reason = %failure.message,
                "certificates are not renewed by an authority any more"
            );
        }
    }
}

fn is_same(one: &AcmeSettings, other: &AcmeSettings) -> bool {
    let of = |it: &AcmeSettings| {
        (
            it.domains.clone(),
            it.email.clone(),
            it.directory.clone(),
            it.http,
            it.state.clone(),
        )
    };
    of(one) == of(other)
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some((_, task)) = self.running.take() {
            task.abort();
        }
    }
}
