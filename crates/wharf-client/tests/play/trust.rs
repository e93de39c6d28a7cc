//! Certificates in transcripts: the server's, and a user who trusts everybody or nobody.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use wharf_net::tls::{CertificateStore, SelfSigned, ServerTls, TlsVersions};

/// Who is trusted.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) trusts: bool,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.trusts {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The server's, self-signed.
pub(crate) fn server_tls() -> ServerTls {
    let own = SelfSigned::new(&["server".to_owned()]).unwrap();
    let (chain, key) = (own.certificate.as_bytes(), own.key.as_bytes());
    let certificate = CertificateStore::from_pem("test", chain, key).unwrap();
    let store = Arc::new(CertificateStore::new(vec![certificate]));
    ServerTls::new(store, None, TlsVersions::All).unwrap()
}
