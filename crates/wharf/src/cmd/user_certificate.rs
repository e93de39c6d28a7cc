//! What `wharf user` is told about certificates, as a rule of the users file.

use std::path::Path;

use wharf_accounts::{Besides, CertificateRule};
use wharf_net::tls::{Fingerprint, fingerprint_in};

use crate::args::user_certificate::UserCertificateArgs;
use crate::exit::{Exit, Failure};

/// The rule that the flags name; `None` where they name no certificate.
pub(super) fn rule(args: &UserCertificateArgs) -> Result<Option<CertificateRule>, Failure> {
    let usage = |message: String| Failure::new(Exit::ServerUsage, message);
    if args.certificate_name.iter().any(String::is_empty) {
        return Err(usage("a certificate's name must not be empty".to_owned()));
    }
    let rule = CertificateRule {
        fingerprints: args
            .certificate
            .iter()
            .map(|text| fingerprint(text).map_err(usage))
            .collect::<Result<_, _>>()?,
        names: args.certificate_name.clone(),
        besides: if args.and_password {
            Besides::Password
        } else {
            Besides::Nothing
        },
    };
    match (rule.is_empty(), args.and_password) {
        (true, true) => Err(usage(
            "--and-password says what is wanted besides a certificate, and none is named"
                .to_owned(),
        )
        .with_hint("--certificate FILE, or --certificate-name NAME")),
        (is_empty, _) => Ok((!is_empty).then_some(rule)),
    }
}

/// Of a file, or as it was written.
fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    if let Ok(fingerprint) = text.parse() {
        return Ok(fingerprint);
    }
    let path = Path::new(text);
    let pem = std::fs::read(path).map_err(|error| {
        format!("{text} is neither a SHA-256 fingerprint nor a file that can be read: {error}")
    })?;
    fingerprint_in(&pem).ok_or_else(|| format!("{text}: no certificate in it (PEM)"))
}

/// For people: `certificate`, `certificate and password`, `certificate or password`; `None` without a certificate.
pub(super) fn words(user: &wharf_accounts::User) -> Option<&'static str> {
    let rule = user.certificate.as_ref()?;
    Some(match (rule.besides, &user.password) {
        (Besides::Password, _) => "certificate and password",
        (Besides::Nothing, Some(_)) => "certificate or password",
        (Besides::Nothing, None) => "certificate",
    })
}
