//! Resumption by session ID under TLS 1.2, as curl does it: OpenSSL is asked for no tickets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{Resumption, Tls12Resumption};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio_rustls::TlsConnector;
use wharf_net::Conn;
use wharf_net::tls::{CertificateStore, SelfSigned, ServerSession, ServerTls, TlsVersions};

const PATIENCE: Duration = Duration::from_secs(10);

struct Scene {
    server: ServerTls,
    own: SelfSigned,
}

impl Scene {
    fn new() -> Self {
        let own = SelfSigned::new(&["ftp.example".to_owned()]).unwrap();
        let (certificate, key) = (own.certificate.as_bytes(), own.key.as_bytes());
        let certificate = CertificateStore::from_pem("test", certificate, key).unwrap();
        let store = Arc::new(CertificateStore::new(vec![certificate]));
        let server = ServerTls::new(store, None, TlsVersions::All).unwrap();
        Self { server, own }
    }

    /// A client with a memory of its own that takes no tickets.
    fn client(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.own.certificate.as_bytes());
        roots.add(certificate.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption =
            Resumption::in_memory_sessions(8).tls12_resumption(Tls12Resumption::SessionIdOnly);
        TlsConnector::from(Arc::new(config))
    }
}

/// A handshake; whether both ends say that it resumed a session.
async fn shake(client: &TlsConnector, server: &ServerSession, control: bool) -> bool {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let at: SocketAddr = "192.0.2.1:50000".parse().unwrap();
    let near = Conn::foreign(Box::new(near), at, at);
    let name = ServerName::try_from("ftp.example").unwrap();
    let accept = async {
        if control {
            server.secure_control(near, PATIENCE).await
        } else {
            server.secure_data(near, PATIENCE).await
        }
    };
    let (ours, theirs) = tokio::join!(accept, client.connect(name, far));
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let resumed = theirs.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    assert_eq!(ours.handshake().unwrap().resumed, resumed);
    resumed
}

#[tokio::test]
async fn data_connections_resume_the_control_connections_session_and_no_other() {
    let scene = Scene::new();
    let (client, server) = (scene.client(), scene.server.session().unwrap());
    assert_eq!(server.id_name(), None);
    assert!(!shake(&client, &server, true).await);
    let name = server.id_name();
    assert!(name.is_some());
    for _ in 0..5 {
        assert!(shake(&client, &server, false).await);
    }
    let (thief, elsewhere) = (scene.client(), scene.server.session().unwrap());
    assert!(!shake(&thief, &elsewhere, true).await);
    // With another control connection's session, and again with what that handshake left behind.
    for _ in 0..3 {
        assert!(!shake(&thief, &server, false).await);
    }
    assert!(shake(&client, &server, false).await);
    assert_eq!(server.id_name(), name);
    assert_ne!(elsewhere.id_name(), name);
}
