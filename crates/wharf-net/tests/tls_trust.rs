//! Whom the user's side believes, in real handshakes, and what it says of the others.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use wharf_net::Conn;
use wharf_net::tls::trust::{Distrust, Known, KnownServers, Trust};
use wharf_net::tls::{
    CertificateStore, Described, Fingerprint, ServerTls, TlsError, fingerprint_of,
};
use wharf_net::tls::{TlsVersions, UserTls, date};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Notes(Mutex<HashMap<(String, u16), Known>>);

impl KnownServers for Notes {
    fn known(&self, host: &str, port: u16) -> Result<Option<Known>, String> {
        let notes = self.0.lock().unwrap();
        Ok(notes.get(&(host.to_owned(), port)).copied())
    }

    fn remember(&self, host: &str, port: u16, what: Known) {
        let mut notes = self.0.lock().unwrap();
        notes.insert((host.to_owned(), port), what);
    }
}

impl Notes {
    fn all(&self) -> Vec<(String, u16, Known)> {
        let notes = self.0.lock().unwrap();
        notes
            .iter()
            .map(|((host, port), it)| (host.clone(), *port, *it))
            .collect()
    }
}

/// A certificate and its key.
struct Made {
    pem: String,
    key: String,
}

impl Made {
    fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.held().cert[0])
    }

    fn held(&self) -> Arc<CertifiedKey> {
        CertificateStore::from_pem("made", self.pem.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn self_signed(params: &CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    Made {
        pem: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut own = CertificateParams::new(Vec::new()).unwrap();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        own.distinguished_name
            .push(rcgen::DnType::CommonName, "Example CA");
        let key = KeyPair::generate().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), own.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(own, key);
        Self { issuer, file }
    }

    fn signs(&self, params: &CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        Made {
            pem: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn trusted(&self) -> Trust {
        Trust {
            authorities: vec![self.file.path().to_owned()],
            ..Trust::default()
        }
    }
}

/// What a handshake with that server comes to for who believes so, under both versions.
async fn shake(server: Arc<CertifiedKey>, trust: &Trust, host: &str) -> Result<(), TlsError> {
    let mut results = Vec::new();
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let store = CertificateStore::new(vec![Arc::clone(&server)]);
        let server = ServerTls::new(Arc::new(store), None, TlsVersions::All).unwrap();
        let user = UserTls::new(trust.verifier(host, 2121)?, None, versions).unwrap();
        let (server, user) = (server.session().unwrap(), user.session(host).unwrap());
        let (a, b) = tokio::io::duplex(64 * 1024);
        let near = "192.0.2.1:2121".parse().unwrap();
        let far = "198.51.100.1:40000".parse().unwrap();
        let (_, user) = tokio::join!(
            server.secure_control(Conn::foreign(Box::new(a), near, far), PATIENCE),
            user.secure_control(Conn::foreign(Box::new(b), far, near), PATIENCE)
        );
        results.push(user.map(|_| ()));
    }
    let second = results.pop().unwrap();
    let first = results.pop().unwrap();
    assert_eq!(told(&first), told(&second), "both versions");
    first
}

fn told(result: &Result<(), TlsError>) -> String {
    match result {
        Ok(()) => "believed".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_authority_vouches_for_name_and_time() {
    let authority = Authority::new();
    let trust = authority.trusted();
    let good = params("ftp.example");
    let mut ended = params("ftp.example");
    ended.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let mut begins = params("ftp.example");
    begins.not_before = rcgen::date_time_ymd(4001, 2, 3);
    let mut client = params("ftp.example");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let wild = params("*.wild.example");
    for (made, host, expected) in [
        (&good, "ftp.example", "believed"),
        (&good, "FTP.example", "believed"),
        (
            &good,
            "other.example",
            "the server's certificate is not for other.example but for ftp.example",
        ),
        (
            &good,
            "192.0.2.1",
            "the server's certificate is not for 192.0.2.1 but for ftp.example",
        ),
        (&params("192.0.2.1"), "192.0.2.1", "believed"),
        (&wild, "a.wild.example", "believed"),
        (
            &wild,
            "a.b.wild.example",
            "the server's certificate is not for a.b.wild.example but for *.wild.example",
        ),
        (
            &ended,
            "ftp.example",
            "the server's certificate ended on 2001-02-03",
        ),
        (
            &begins,
            "ftp.example",
            "the server's certificate is valid only from 4001-02-03 on",
        ),
        (
            &client,
            "ftp.example",
            "the server's certificate is of no use: it was not made for a TLS server",
        ),
    ] {
        let result = shake(authority.signs(made).held(), &trust, host).await;
        assert_eq!(told(&result), expected);
    }
    let other = Authority::new().signs(&good);
    let error = shake(other.held(), &trust, "ftp.example")
        .await
        .unwrap_err();
    let TlsError::Untrusted(Distrust::UnknownAuthority {
        shown, self_signed, ..
    }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((*shown, *self_signed), (other.fingerprint(), false));
    assert!(
        error
            .next_step()
            .unwrap()
            .contains(&format!("--pin {shown}"))
    );
}

#[tokio::test]
async fn a_servers_own_certificate_as_authority_is_believed_for_its_name() {
    let mut as_openssl_makes_it = params("ftp.example");
    as_openssl_makes_it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [params("ftp.example"), as_openssl_makes_it] {
        let own = self_signed(&params);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &own.pem).unwrap();
        let trust = Trust {
            authorities: vec![file.path().to_owned()],
            ..Trust::default()
        };
        shake(own.held(), &trust, "ftp.example").await.unwrap();
        let wrong = shake(own.held(), &trust, "other.example").await;
        assert!(matches!(
            wrong,
            Err(TlsError::Untrusted(Distrust::WrongName { .. }))
        ));
        let other = shake(self_signed(&params).held(), &trust, "ftp.example").await;
        assert!(matches!(other, Err(TlsError::Untrusted(_))), "{other:?}");
    }
}

#[tokio::test]
async fn a_pin_is_believed_alone() {
    let authority = Authority::new();
    let (own, signed) = (
        self_signed(&params("x.example")),
        authority.signs(&params("ftp.example")),
    );
    let trust = Trust {
        pins: vec![own.fingerprint()],
        ..authority.trusted()
    };
    shake(own.held(), &trust, "ftp.example").await.unwrap();
    let error = shake(signed.held(), &trust, "ftp.example")
        .await
        .unwrap_err();
    assert!(
        matches!(error, TlsError::Untrusted(Distrust::NotPinned { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_first_certificate_is_remembered_and_another_is_an_error_of_its_own() {
    let authority = Authority::new();
    let notes = Arc::new(Notes::default());
    let known: Arc<dyn KnownServers> = notes.clone();
    let trust = Trust {
        known: Some(known),
        first_use: true,
        ..authority.trusted()
    };
    let mut old = params("whatever.example");
    old.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let (first, second) = (self_signed(&old), self_signed(&params("ftp.example")));
    shake(first.held(), &trust, "FTP.example").await.unwrap();
    let remembered = Known::Certificate(first.fingerprint());
    assert_eq!(notes.all(), [("ftp.example".to_owned(), 2121, remembered)]);
    shake(first.held(), &trust, "ftp.example").await.unwrap();

    let error = shake(second.held(), &trust, "ftp.example")
        .await
        .unwrap_err();
    let TlsError::Untrusted(Distrust::Changed { was, shown }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*was, *shown), (remembered, second.fingerprint()));
    assert!(error.next_step().unwrap().contains("wharf forget"));
    assert_eq!(notes.all().len(), 1);

    // Once an authority has vouched for it, nothing less will do.
    let real = authority.signs(&params("ftp.example"));
    shake(real.held(), &trust, "ftp.example").await.unwrap();
    assert_eq!(
        notes.all(),
        [("ftp.example".to_owned(), 2121, Known::Authority)]
    );
    let error = shake(first.held(), &trust, "ftp.example")
        .await
        .unwrap_err();
    assert!(
        matches!(error, TlsError::Untrusted(Distrust::Changed { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn who_copied_a_certificate_without_its_key_gets_nowhere() {
    let authority = Authority::new();
    let notes = Arc::new(Notes::default());
    let known: Arc<dyn KnownServers> = notes.clone();
    let real = self_signed(&params("ftp.example"));
    let key = self_signed(&params("ftp.example")).key;
    let key =
        <PrivateKeyDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(key.as_bytes());
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.unwrap()).unwrap();
    let forged = Arc::new(CertifiedKey::new(real.held().cert.clone(), key));
    for trust in [
        Trust {
            known: Some(known),
            first_use: true,
            ..authority.trusted()
        },
        Trust {
            pins: vec![real.fingerprint()],
            ..Trust::default()
        },
    ] {
        let error = shake(Arc::clone(&forged), &trust, "ftp.example")
            .await
            .unwrap_err();
        assert!(matches!(error, TlsError::Handshake(_)), "{error:?}");
    }
    assert_eq!(notes.all(), []);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_believes_nobody_new() {
    #[derive(Debug)]
    struct Torn;
    impl KnownServers for Torn {
        fn known(&self, _: &str, _: u16) -> Result<Option<Known>, String> {
            Err("torn".to_owned())
        }
        fn remember(&self, _: &str, _: u16, _: Known) {
            panic!("nothing to remember");
        }
    }
    let trust = Trust {
        known: Some(Arc::new(Torn)),
        first_use: true,
        ..Trust::default()
    };
    let error = shake(
        self_signed(&params("ftp.example")).held(),
        &trust,
        "ftp.example",
    )
    .await;
    assert_eq!(
        told(&error),
        "the list of known servers cannot be read: torn"
    );
}

#[test]
fn files_of_authorities_must_have_some() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "nothing\n").unwrap();
    let absent = directory.path().join("absent");
    let here: PathBuf = directory.path().to_owned();
    for (path, why) in [
        (&empty, "no certificate in it"),
        (&absent, "No such file or directory (os error 2)"),
        (&here, "not a regular file"),
    ] {
        let trust = Trust {
            authorities: vec![path.clone()],
            ..Trust::default()
        };
        let error = trust.verifier("ftp.example", 21).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {why}", path.display()));
    }
}

#[test]
fn fingerprints_are_read_as_others_show_them() {
    let fingerprint = fingerprint_of(b"x");
    let shown = fingerprint.to_string();
    let bare = shown.replace(':', "");
    for text in [
        shown.clone(),
        bare.to_lowercase(),
        format!(" sha256:{bare} "),
        format!("SHA256:{shown}"),
    ] {
        assert_eq!(text.parse(), Ok(fingerprint), "{text}");
    }
    let (short, odd) = (&bare[..62], &bare[..63]);
    for text in [
        "",
        "sha256:",
        short,
        odd,
        &format!("{bare}00"),
        &bare.replace('A', "G"),
        "äääääääää",
    ] {
        assert!(
            text.parse::<Fingerprint>().is_err() || text == bare,
            "{text}"
        );
    }
}

#[test]
fn a_certificate_tells_its_names_and_dates() {
    let mut params = CertificateParams::new(vec![
        "a.example".into(),
        "192.0.2.7".into(),
        "2001:db8::7".into(),
    ])
    .unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "An\u{1b}[2J example");
    let mail = "ann@example.org".try_into().unwrap();
    params
        .subject_alt_names
        .push(rcgen::SanType::Rfc822Name(mail));
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    params.not_after = rcgen::date_time_ymd(2027, 3, 4);
    let described = Described::read(&self_signed(&params).held().cert[0]).unwrap();
    assert_eq!(described.common_name.as_deref(), Some("An␛[2J example"));
    assert_eq!(described.emails, ["ann@example.org"]);
    assert_eq!(described.is_for(), "a.example, 192.0.2.7, 2001:db8::7");
    assert_eq!(
        (
            date(described.begins).as_str(),
            date(described.ends).as_str()
        ),
        ("2026-01-02", "2027-03-04")
    );
    assert!(described.self_signed);
    for garbage in [
        &b""[..],
        b"\x30",
        b"\x30\x84\xff\xff\xff\xff",
        &[0x30; 4096],
    ] {
        assert_eq!(Described::read(garbage), None);
    }
}
