//! Flags of `wharf user` that are about certificates.

use clap::Args;

/// By which certificates a user is known.
#[derive(Debug, Args)]
pub(crate) struct UserCertificateArgs {
    /// A certificate of the user: a file (PEM), or its SHA-256 fingerprint; may be repeated
    ///
    /// It must be one that `wharf serve --tls-client-ca` believes.
    #[arg(
        long,
        value_name = "FILE|SHA256",
        env = "WHARF_CERTIFICATE",
        value_delimiter = ','
    )]
    pub(crate) certificate: Vec<String>,

    /// A name in certificates of the user: common name, host name, mail address or URI; may be repeated
    ///
    /// It is compared exactly. Whoever gets a certificate with that name from the authority is the user.
    #[arg(long, value_name = "NAME", env = "WHARF_CERTIFICATE_NAME")]
    pub(crate) certificate_name: Vec<String>,

    /// The password is wanted besides the certificate
    #[arg(long, env = "WHARF_AND_PASSWORD")]
    pub(crate) and_password: bool,
}
