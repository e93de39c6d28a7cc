//! Flags of the server side that are about a certificate from an authority.

use std::net::SocketAddr;

use clap::Args;

use super::value;

/// A certificate from an authority that signs by itself (ACME).
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Certificate from an authority")]
pub(crate) struct AcmeArgs {
    /// Have a certificate for this name signed (ACME, HTTP-01) and renewed; may be repeated
    ///
    /// The name must lead to this host. Until there is one, and for clients that ask for another name, the
    /// server shows the certificate of --tls-cert, or the one that it makes for itself. With this you agree
    /// to the authority's terms.
    #[arg(long, value_name = "DOMAIN", env = "WHARF_ACME", value_delimiter = ',', value_parser = domain)]
    pub(crate) acme: Vec<String>,

    /// Where the authority writes to when something is wrong
    #[arg(long, value_name = "EMAIL", env = "WHARF_ACME_EMAIL", value_parser = email)]
    pub(crate) acme_email: Option<String>,

    /// The authority's directory [default: Let's Encrypt's]
    #[arg(long, value_name = "URL", env = "WHARF_ACME_DIRECTORY", value_parser = directory)]
    pub(crate) acme_directory: Option<String>,

    /// Where the authority's question is answered over HTTP [default: [::]:80]
    ///
    /// It asks at port 80 of every name, so this is that port, or the one that a firewall leads it to.
    #[arg(long, value_name = "ADDR:PORT", env = "WHARF_ACME_HTTP", value_parser = value::listen)]
    pub(crate) acme_http: Option<SocketAddr>,
}

/// Reads a host name (in small letters) or an address.
pub(crate) fn domain(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text);
    }
    let label = |it: &str| {
        (1..=63).contains(&it.len())
            && it
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    if text.starts_with("*.") {
        return Err(
            "an authority signs names with * only over DNS, which wharf does not do".to_owned(),
        );
    }
    if text.len() > 253 || !text.split('.').all(label) {
        return Err("not a host name (others than ASCII as xn--…)".to_owned());
    }
    Ok(text)
}

/// Reads a mail address, as far as it matters here.
pub(crate) fn email(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_graphic() && !"<>,;\"?#".contains(c);
    match text.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && text.chars().all(fits) => {
            Ok(text.to_owned())
        }
        _ => Err("not a mail address".to_owned()),
    }
}

/// Reads the address of a directory.
pub(crate) fn directory(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").unwrap_or_default();
    if host.is_empty() || host.starts_with('/') || !text.chars().all(|it| it.is_ascii_graphic()) {
        return Err("not an address that begins with https://".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mail_and_directories_are_read() {
        for (text, expected) in [
            ("ftp.example.org", Some("ftp.example.org")),
            ("FTP.Example.org.", Some("ftp.example.org")),
            ("192.0.2.1", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("*.example.org", None),
            ("a..b", None),
            ("", None),
            ("a b", None),
            ("häfen.example", None),
            ("https://a", None),
        ] {
            assert_eq!(domain(text).ok().as_deref(), expected, "{text}");
        }
        for (text, good) in [
            ("a@b.example", true),
            ("a", false),
            ("@b", false),
            ("a@b,c@d", false),
            ("a@b\n", false),
        ] {
            assert_eq!(email(text).is_ok(), good, "{text}");
        }
        for (text, good) in [
            ("https://ca.example/dir", true),
            ("https://127.0.0.1:14000/dir", true),
            ("http://ca.example/dir", false),
            ("https://", false),
            ("https:///dir", false),
            ("ca.example", false),
        ] {
            assert_eq!(directory(text).is_ok(), good, "{text}");
        }
    }
}
