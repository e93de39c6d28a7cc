//! Flags of the server side that are about TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use wharf_proto::data_connection::advertise::Network;

use super::value;

/// TLS of `wharf serve`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// TLS on control and data connections: off, allowed or required [default: allowed]
    ///
    /// With `required` no password is taken and no file is sent in clear. --tls-data says it for data
    /// connections alone.
    #[arg(long, value_name = "WHEN", env = "WHARF_TLS", value_enum)]
    pub(crate) tls: Option<Requirement>,

    /// TLS on data connections, when it is not as --tls says
    #[arg(long, value_name = "WHEN", env = "WHARF_TLS_DATA", value_enum)]
    pub(crate) tls_data: Option<Requirement>,

    /// The certificate with its chain, PEM; needs --tls-key. Without one the server makes its own
    ///
    /// May be repeated, each with its --tls-key in the same order: a client that names a host (SNI) gets
    /// the first one that is for it, any other the first. New files are noticed while the server runs.
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_CERT", value_hint = ValueHint::FilePath)]
    pub(crate) tls_cert: Vec<PathBuf>,

    /// The key of --tls-cert, PEM
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_KEY", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Vec<PathBuf>,

    /// Whether clients show a certificate to log in: off, allowed or required [default: allowed with --tls-client-ca]
    ///
    /// Whose a certificate is stands in the users file (`wharf user add --certificate`): a user may need it
    /// instead of the password, or besides. With `required` nobody logs in without one, and there is no
    /// TLS without one.
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_TLS_CLIENT_CERTIFICATES",
        value_enum
    )]
    pub(crate) tls_client_certificates: Option<Requirement>,

    /// Authorities that sign the certificates of clients, PEM
    ///
    /// A client's own certificate does as well: then it is believed itself. A client that shows a
    /// certificate which is not believed gets no TLS at all.
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_CLIENT_CA", value_hint = ValueHint::FilePath)]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Lists of revoked certificates of clients (CRL), PEM or DER
    ///
    /// With it every certificate needs a list of its authority that has not ended. It is read again on
    /// SIGHUP.
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_CLIENT_CRL", value_hint = ValueHint::FilePath)]
    pub(crate) tls_client_crl: Option<PathBuf>,

    /// Whether data connections must resume the TLS session of their control connection [default: require]
    ///
    /// That proves whose they are, whatever address they come from. Clients that cannot do it (Python's
    /// ftplib is one) get a reply that says so, and need `prefer`: then the address must do.
    #[arg(long, value_name = "WHEN", env = "WHARF_TLS_DATA_SESSION", value_enum)]
    pub(crate) tls_data_session: Option<DataSession>,

    /// What becomes of an upload that ends without saying so: strict (426) or lenient (226) [default: strict]
    ///
    /// In TLS the end of a file is told apart from a connection that somebody has cut. Some clients
    /// never say it.
    #[arg(long, value_name = "POLICY", env = "WHARF_TLS_TRUNCATION", value_enum)]
    pub(crate) tls_truncation: Option<Truncation>,

    /// Let clients take the control connection out of TLS again (CCC), for NATs that must read along
    #[arg(long, env = "WHARF_TLS_CCC")]
    pub(crate) tls_ccc: bool,

    /// What is different for a network or a user; may be repeated
    ///
    /// WHO is a network, an address or a user's name, each KEY one of control, data, data_session and
    /// truncation: `10.0.0.0/8 data_session=prefer`, `backup control=required,data=required`.
    #[arg(long, value_name = "WHO KEY=VALUE,...", env = "WHARF_TLS_EXCEPTION", value_parser = exception, value_delimiter = ';')]
    pub(crate) tls_exception: Vec<Exception>,

    /// Address for control connections that are in TLS from their first byte; may be repeated
    ///
    /// Implicit TLS, as old clients want it on port 990. Needs no port of its own otherwise: explicit
    /// TLS (AUTH TLS) is on every address of --listen.
    #[arg(long, value_name = "ADDR:PORT", env = "WHARF_IMPLICIT_LISTEN", value_parser = value::listen, value_delimiter = ',')]
    pub(crate) implicit_listen: Vec<SocketAddr>,
}

/// Whether a connection is in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Requirement {
    /// Never
    Off,
    /// As the client wishes
    // The other words are those of the client commands' --tls, which reads the same variable.
    #[value(alias = "prefer")]
    Allowed,
    /// Always
    #[value(alias = "require")]
    Required,
}

impl From<Requirement> for wharf_server::Requirement {
    fn from(it: Requirement) -> Self {
        match it {
            Requirement::Off => Self::Off,
            Requirement::Allowed => Self::Allowed,
            Requirement::Required => Self::Required,
        }
    }
}

/// Whether a data connection must resume the control connection's TLS session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataSession {
    /// It must
    Require,
    /// One that does is taken from any address, others are judged by theirs
    Prefer,
    /// It does not matter, the address does
    Off,
}

impl From<DataSession> for wharf_server::DataSession {
    fn from(it: DataSession) -> Self {
        match it {
            DataSession::Require => Self::Require,
            DataSession::Prefer => Self::Prefer,
            DataSession::Off => Self::Off,
        }
    }
}

/// What becomes of an upload whose data connection ends without close_notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Truncation {
    /// It is not complete: 426
    Strict,
    /// It is taken: 226
    Lenient,
}

impl From<Truncation> for wharf_server::Truncation {
    fn from(it: Truncation) -> Self {
        match it {
            Truncation::Strict => Self::Strict,
            Truncation::Lenient => Self::Lenient,
        }
    }
}

/// What is different for some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception(pub(crate) wharf_server::TlsException);

/// Reads `off`, `allowed` or `required`.
pub(crate) fn requirement(text: &str) -> Result<Requirement, String> {
    word(text, "off, allowed or required")
}

/// Reads `require`, `prefer` or `off`.
pub(crate) fn data_session(text: &str) -> Result<DataSession, String> {
    word(text, "require, prefer or off")
}

/// Reads `strict` or `lenient`.
pub(crate) fn truncation(text: &str) -> Result<Truncation, String> {
    word(text, "strict or lenient")
}

fn word<T: ValueEnum>(text: &str, expected: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| format!("`{text}` is not known: expected {expected}"))
}

/// Reads `WHO KEY=VALUE KEY=VALUE`, commas or blanks between the pairs.
pub(crate) fn exception(text: &str) -> Result<Exception, String> {
    let mut words = text
        .split([' ', ','])
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let expected = "expected e.g. `10.0.0.0/8 data_session=prefer` or `backup control=required`";
    let who = words
        .next()
        .ok_or_else(|| format!("nobody is named: {expected}"))?;
    let who = match who.parse::<Network>() {
        Ok(network) => wharf_server::Who::Network(network),
        Err(error) if who.contains('/') => {
            return Err(format!("`{who}` is not a network: {error}"));
        }
        Err(_) => wharf_server::Who::User(super::user_name(who)?),
    };
    let mut read = wharf_server::TlsException {
        who,
        control: None,
        data: None,
        data_session: None,
        truncation: None,
    };
    let mut nothing = true;
    for pair in words {
        nothing = false;
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("`{pair}` is not KEY=VALUE: {expected}"))?;
        match key {
            "control" => read.control = Some(requirement(value)?.into()),
            "data" => read.data = Some(requirement(value)?.into()),
            "data_session" => read.data_session = Some(data_session(value)?.into()),
            "truncation" => read.truncation = Some(truncation(value)?.into()),
            _ => {
                return Err(format!(
                    "`{key}` cannot be different for some: expected control, data, data_session or truncation"
                ));
            }
        }
    }
    if nothing {
        return Err(format!("`{text}` says nothing: {expected}"));
    }
    Ok(Exception(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_or_refused_with_a_reason() {
        for (text, read) in [
            ("10.0.0.0/8 data_session=prefer", Ok(true)),
            ("192.0.2.1 truncation=lenient, data=off", Ok(true)),
            ("backup control=required data=required", Ok(false)),
            ("", Err("nobody is named")),
            ("10.0.0.0/99 data=off", Err("is not a network")),
            ("backup", Err("says nothing")),
            ("backup sometimes", Err("is not KEY=VALUE")),
            ("backup ccc=on", Err("cannot be different")),
            (
                "backup data=maybe",
                Err("expected off, allowed or required"),
            ),
        ] {
            match (exception(text), read) {
                (Ok(Exception(got)), Ok(network)) => assert_eq!(
                    matches!(got.who, wharf_server::Who::Network(_)),
                    network,
                    "{text}"
                ),
                (Err(got), Err(why)) => assert!(got.contains(why), "{text}: {got}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}
