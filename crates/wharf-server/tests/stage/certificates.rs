//! Certificates that users of the stage show: an authority that the server believes, and one that it does not

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use wharf_net::tls::{CertificateStore, ClientCertificate, ClientCertificates, ServerTls};
use wharf_net::tls::{ResolvesClientCert, TlsVersions};

struct Authorities {
    believed: CertifiedIssuer<'static, KeyPair>,
    foreign: CertifiedIssuer<'static, KeyPair>,
}

fn authorities() -> &'static Authorities {
    static MADE: OnceLock<Authorities> = OnceLock::new();
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    MADE.get_or_init(|| Authorities {
        believed: authority("Example CA"),
        foreign: authority("Foreign CA"),
    })
}

/// TLS that judges certificates of clients
pub fn judging(store: Arc<CertificateStore>, required: bool) -> ServerTls {
    let believed = ClientCertificates {
        authorities: vec!["ca.pem".into()],
        required,
        revoked: Vec::new(),
    };
    let pem = authorities().believed.pem();
    let verifier = believed.verifier_of(|_| Ok(pem.clone().into_bytes()));
    ServerTls::new(store, Some(verifier.unwrap()), TlsVersions::All).unwrap()
}

/// What a user shows: `NAME` for a good one of that name, `ended` and `foreign` for what is not believed
pub fn shown(name: &str) -> Arc<dyn ResolvesClientCert> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let mail = format!("{name}@example.org").as_str().try_into().unwrap();
    params.subject_alt_names.push(SanType::Rfc822Name(mail));
    if name == "ended" {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let issuer = match name {
        "foreign" => &authorities().foreign,
        _ => &authorities().believed,
    };
    let certificate = params.signed_by(&key, issuer).unwrap();
    let (chain, key) = (certificate.pem(), key.serialize_pem());
    let own = ClientCertificate::from_pem("user", chain.as_bytes(), key.as_bytes());
    Arc::new(own.unwrap())
}
