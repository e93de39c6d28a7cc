//! What a certificate says of itself, read for people and for rules. Nothing of it is proved by being read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wharf_proto::{Timestamp, visible};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::{Fingerprint, fingerprint_of};

/// Names of one certificate that are kept: it comes from the network, and nobody reads more of them.
const NAMES: usize = 100;

/// Bytes of one name that are kept; a host name has at most 255.
const NAME: usize = 255;

/// Names that a sentence tells.
const TOLD: usize = 8;

/// A certificate's own words (RFC 5280): whose it is, for whom, from when to when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// SHA-256 of the whole certificate.
    pub fingerprint: Fingerprint,
    /// The subject's common name (CN), if it has one.
    pub common_name: Option<String>,
    /// The host names it is for (dNSName), `*.example.org` included.
    pub dns_names: Vec<String>,
    /// The addresses it is for (iPAddress).
    pub addresses: Vec<IpAddr>,
    /// The mail addresses of whom it belongs to (rfc822Name).
    pub emails: Vec<String>,
    /// Who says to have signed it, for people: `CN=Example CA,O=Example`.
    pub issuer: String,
    /// Issuer and subject have the same name: nobody else vouches for it.
    pub self_signed: bool,
    /// Seconds since 1970 from which it is valid.
    pub begins: i64,
    /// Seconds since 1970 of its last valid second.
    pub ends: i64,
}

impl Described {
    /// Reads a certificate (DER). `None` for what is no certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let own = certificate.tbs_certificate();
        let seconds = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        let common_name = own.subject().common_name().ok().flatten();
        let mut described = Self {
            fingerprint: fingerprint_of(der),
            common_name: common_name.map(|it| cut(&it.value())),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            emails: Vec::new(),
            issuer: cut(&own.issuer().to_string()),
            self_signed: own.issuer() == own.subject(),
            begins: seconds(own.validity().not_before),
            ends: seconds(own.validity().not_after),
        };
        let names = own.get_extension::<SubjectAltName>().ok().flatten();
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        for name in names.into_iter().take(NAMES) {
            match name {
                GeneralName::DnsName(name) => described.dns_names.push(cut(name.as_str())),
                GeneralName::Rfc822Name(name) => described.emails.push(cut(name.as_str())),
                GeneralName::IpAddress(bytes) => {
                    described.addresses.extend(address(bytes.as_bytes()));
                }
                _ => {}
            }
        }
        Some(described)
    }

    /// The host names and addresses it is for, at most eight, for a sentence. Names are checked only against these: the
    /// common name counts for nothing since RFC 6125, so one without them is for nobody.
    pub fn is_for(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let mut all: Vec<String> = self.dns_names.iter().cloned().chain(addresses).collect();
        if all.is_empty() {
            return match &self.common_name {
                Some(name) => {
                    format!("no host (only its common name says {name}, which counts for nothing)")
                }
                None => "no host".to_owned(),
            };
        }
        let more = all.len().saturating_sub(TOLD);
        all.truncate(TOLD);
        let all = all.join(", ");
        match more {
            0 => all,
            more => format!("{all} and {more} more"),
        }
    }
}

/// The names of a certificate (DER) by which somebody is known, unchanged: the common name, host names, mail addresses and
/// URIs. One that is too long, or not fit to be shown, is none.
pub(super) fn exact_names(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else {
        return Vec::new();
    };
    let own = certificate.tbs_certificate();
    let common_name = own.subject().common_name().ok().flatten();
    let mut names: Vec<String> = common_name
        .map(|it| it.value().into_owned())
        .into_iter()
        .collect();
    let others = own.get_extension::<SubjectAltName>().ok().flatten();
    let others = others.map(|(_, names)| names.0).unwrap_or_default();
    for name in others.into_iter().take(NAMES) {
        match name {
            GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) => {
                names.push(name.as_str().to_owned());
            }
            GeneralName::UniformResourceIdentifier(name) => names.push(name.as_str().to_owned()),
            _ => {}
        }
    }
    names.retain(|it| !it.is_empty() && it.len() <= NAME && !it.contains(char::is_control));
    names
}

/// `2026-11-22`, of seconds since 1970 (UTC).
pub fn date(seconds: i64) -> String {
    let (year, month, day, ..) = Timestamp::new(seconds, 0).civil();
    format!("{year:04}-{month:02}-{day:02}")
}

/// Fit to be shown, and not longer than a name can be.
fn cut(text: &str) -> String {
    let end = (0..=NAME.min(text.len())).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at));
    visible(text.get(..end.unwrap_or(0)).unwrap_or_default().as_bytes())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    let bytes = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begins, ends) = (date(self.begins), date(self.ends));
        write!(f, "for {}, {begins} to {ends}", self.is_for())
    }
}
