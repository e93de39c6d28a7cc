//! A certificate that nobody has signed but its own key, for a server that was given none.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

use super::TlsError;

/// It lives for ten years: its worth is that it stays the same.
const LIFE: Duration = Duration::from_hours(3650 * 24);

/// Clocks of clients may be slow.
const SLOW: Duration = Duration::from_hours(24);

/// A certificate and its key.
pub struct SelfSigned {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its key (ECDSA on P-256), in PEM.
    pub key: String,
}

impl SelfSigned {
    /// For these host names and addresses, of which the first is its common name; valid at any time.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: a name that no certificate could have.
    pub fn new(names: &[String]) -> Result<Self, TlsError> {
        Self::make(names, None).map_err(fault)
    }

    /// The same, valid from a day before `now` for ten years.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_ten_years(names: &[String], now: SystemTime) -> Result<Self, TlsError> {
        Self::make(names, Some(now)).map_err(fault)
    }

    fn make(names: &[String], now: Option<SystemTime>) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(first) = names.first() {
            params.distinguished_name.push(DnType::CommonName, first);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if let Some(now) = now {
            params.not_before = (now - SLOW).into();
            params.not_after = (now + LIFE).into();
        }
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Both in one file, the key first.
    pub fn together(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

fn fault(error: rcgen::Error) -> TlsError {
    TlsError::Certificate {
        what: "self-signed certificate".to_owned(),
        why: error.to_string(),
    }
}

impl fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfSigned")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
