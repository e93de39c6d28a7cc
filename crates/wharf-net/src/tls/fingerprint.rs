//! The short name of a certificate, by which people compare it.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use wharf_proto::Fingerprint;

/// Of a certificate in DER, or of whatever else is told apart by it.
pub fn fingerprint_of(certificate: &[u8]) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let mut bytes = [0; 32];
    for (into, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *into = *from;
    }
    Fingerprint(bytes)
}

/// Of the first certificate in a PEM text, which is the owner's in a chain.
pub fn fingerprint_in(pem: &[u8]) -> Option<Fingerprint> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    Some(fingerprint_of(&certificate))
}
