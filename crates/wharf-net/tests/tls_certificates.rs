//! A server's certificates in files: chosen by name, exchanged while it runs; and those that clients show.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use wharf_net::Conn;
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{
    CertificateStore, ClientCertificates, Described, Keeper, Noticed, PemPair, fingerprint_of,
};
use wharf_net::tls::{SelfSigned, ServerTls, TlsError, TlsVersions, UserTls, replace_private};

const PATIENCE: Duration = Duration::from_secs(10);

/// Writes a new certificate for the name with its key, in two files.
fn write(directory: &Path, file: &str, name: &str) -> PemPair {
    let made = SelfSigned::new(&[name.to_owned()]).unwrap();
    let pair = PemPair {
        chain: directory.join(format!("{file}.crt")),
        key: directory.join(format!("{file}.key")),
    };
    replace_private(&pair.chain, made.certificate.as_bytes()).unwrap();
    replace_private(&pair.key, made.key.as_bytes()).unwrap();
    pair
}

/// Which of a server's certificates a client gets that asks for this host.
async fn shown(store: Arc<CertificateStore>, host: &str) -> Described {
    let server = ServerTls::new(store, None, TlsVersions::All).unwrap();
    let (server, user) = handshake(&server, host, None).await;
    server.unwrap();
    user.unwrap().handshake().unwrap().peer().unwrap()
}

type Shaken = (Result<Conn, TlsError>, Result<Conn, TlsError>);

async fn handshake(
    server: &ServerTls,
    host: &str,
    certificate: Option<Arc<dyn rustls::client::ResolvesClientCert>>,
) -> Shaken {
    let trust = Trust {
        known: Some(Arc::new(Anybody)),
        first_use: true,
        ..Trust::default()
    };
    let verifier = trust.verifier(host, 21).unwrap();
    // TLS 1.2: there a client knows at the end of its handshake whether the server liked its certificate.
    let user = UserTls::new(verifier, certificate, TlsVersions::Only12).unwrap();
    let (a, b) = tokio::io::duplex(64 * 1024);
    let near = "192.0.2.1:21".parse().unwrap();
    let far = "198.51.100.1:40000".parse().unwrap();
    let (server, user) = (server.session().unwrap(), user.session(host).unwrap());
    tokio::join!(
        server.secure_control(Conn::foreign(Box::new(a), near, far), PATIENCE),
        user.secure_control(Conn::foreign(Box::new(b), far, near), PATIENCE)
    )
}

#[derive(Debug)]
struct Anybody;

impl wharf_net::tls::trust::KnownServers for Anybody {
    fn known(&self, _: &str, _: u16) -> Result<Option<wharf_net::tls::trust::Known>, String> {
        Ok(None)
    }
    fn remember(&self, _: &str, _: u16, _: wharf_net::tls::trust::Known) {}
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses() {
    let directory = tempfile::tempdir().unwrap();
    let pair = |file, name| write(directory.path(), file, name);
    let pairs = vec![
        pair("first", "first.example"),
        pair("wild", "*.wild.example"),
        pair("special", "special.wild.example"),
        pair("address", "192.0.2.1"),
    ];
    let store = Keeper::open(pairs, Vec::new()).unwrap().store();
    for (host, expected) in [
        ("first.example", "first.example"),
        ("a.wild.example", "*.wild.example"),
        // The order of the files decides.
        ("special.wild.example", "*.wild.example"),
        ("a.b.wild.example", "first.example"),
        ("unknown.example", "first.example"),
        // No SNI is sent for addresses.
        ("192.0.2.1", "first.example"),
    ] {
        let described = shown(Arc::clone(&store), host).await;
        assert_eq!(described.dns_names, [expected], "{host}");
    }
}

#[tokio::test]
async fn exchanged_files_are_noticed_and_broken_ones_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let pair = write(directory.path(), "a", "old.example");
    let mut keeper = Keeper::open(vec![pair.clone()], Vec::new()).unwrap();
    assert!(keeper.refresh(false).is_empty());
    assert!(keeper.refresh(true).is_empty(), "the same again is no news");

    // Chain before key, as many tools write them: between the two nothing fits.
    let new = write(directory.path(), "b", "new.example");
    fs::copy(&new.chain, directory.path().join("a.crt.tmp")).unwrap();
    fs::rename(directory.path().join("a.crt.tmp"), &pair.chain).unwrap();
    let noticed = keeper.refresh(false);
    let [Noticed::Broken { error, .. }] = noticed.as_slice() else {
        panic!("{noticed:?}");
    };
    assert!(error.to_string().starts_with(&pair.to_string()), "{error}");
    assert!(keeper.refresh(false).is_empty(), "said once");
    assert_eq!(shown(keeper.store(), "x").await.dns_names, ["old.example"]);

    // Written in place, as `cp` does.
    fs::copy(&new.key, &pair.key).unwrap();
    let noticed = keeper.refresh(false);
    let [
        Noticed::Renewed {
            described, exposed, ..
        },
    ] = noticed.as_slice()
    else {
        panic!("{noticed:?}");
    };
    assert_eq!(
        (described.dns_names.as_slice(), *exposed),
        (&["new.example".to_owned()][..], false)
    );
    assert_eq!(shown(keeper.store(), "x").await.dns_names, ["new.example"]);

    fs::remove_file(&pair.key).unwrap();
    assert!(matches!(
        keeper.refresh(false).as_slice(),
        [Noticed::Broken { .. }]
    ));
    assert!(keeper.refresh(false).is_empty(), "said once");
    assert_eq!(shown(keeper.store(), "x").await.dns_names, ["new.example"]);
}

#[tokio::test]
async fn a_later_certificate_takes_the_place_of_what_stood_in_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let stand_in = write(directory.path(), "own", "own.example");
    let later = directory.path().join("state/later.pem");
    let later_pair = PemPair::together(&later);
    let mut keeper = Keeper::open(vec![stand_in.clone()], vec![later_pair.clone()]).unwrap();
    assert!(keeper.refresh(false).is_empty());
    assert_eq!(shown(keeper.store(), "x").await.dns_names, ["own.example"]);
    let signed = SelfSigned::new(&["ftp.example".to_owned()]).unwrap();
    replace_private(&later, signed.together().as_bytes()).unwrap();
    assert_eq!(keeper.refresh(false).len(), 1);
    assert_eq!(shown(keeper.store(), "x").await.dns_names, ["ftp.example"]);
    assert_eq!(
        shown(keeper.store(), "own.example").await.dns_names,
        ["own.example"]
    );
    let again = Keeper::open(vec![stand_in], vec![later_pair]).unwrap();
    assert_eq!(shown(again.store(), "x").await.dns_names, ["ftp.example"]);
    assert_eq!(
        fs::metadata(&later).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn what_is_wrong_with_files_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let good = write(directory.path(), "good", "good.example");
    let other = write(directory.path(), "other", "other.example");
    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    let here = directory.path().to_owned();
    let with = |chain: &Path, key: &Path| PemPair {
        chain: chain.to_owned(),
        key: key.to_owned(),
    };
    for (pair, expected) in [
        (with(&empty, &good.key), "no certificate in it"),
        (with(&good.chain, &empty), "no key in it"),
        (
            with(&good.chain, &other.key),
            "the key is not that of the certificate",
        ),
        (
            with(&good.chain, &here.join("none")),
            "No such file or directory",
        ),
        (with(&here, &good.key), "not a regular file"),
        (with(&good.key, &good.chain), "no certificate in it"),
    ] {
        let error = Keeper::open(vec![pair.clone()], Vec::new()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(!good.load().unwrap().exposed);
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(!good.load().unwrap().exposed, "a group for it is usual");
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(good.load().unwrap().exposed);
}

#[test]
fn a_self_signed_certificate_is_for_its_names_and_ten_years() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_001);
    let names = ["host", "localhost", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
    let made = SelfSigned::for_ten_years(&names, now).unwrap();
    let together = made.together();
    let held = CertificateStore::from_pem("x", together.as_bytes(), together.as_bytes()).unwrap();
    let described = Described::read(&held.cert[0]).unwrap();
    assert_eq!(
        described.is_for(),
        "host, localhost, 192.0.2.1, 2001:db8::1"
    );
    assert_eq!(described.common_name.as_deref(), Some("host"));
    assert!(described.begins < 1_795_000_001 && described.ends == 1_795_000_001 + 3650 * 86_400);
    let error = SelfSigned::new(&["ä".to_owned()]).unwrap_err();
    assert!(matches!(error, TlsError::Certificate { .. }));
}

#[tokio::test]
async fn clients_show_who_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let own = write(directory.path(), "server", "ftp.example");
    let store = Keeper::open(vec![own], Vec::new()).unwrap().store();

    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "Example CA");
    let key = KeyPair::generate().unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, authority.self_signed(&key).unwrap().pem()).unwrap();
    let authority = Issuer::new(authority, key);

    let client = |signed: bool, ends: i32| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "ann");
        let mail = "ann@example.org".try_into().unwrap();
        params
            .subject_alt_names
            .push(rcgen::SanType::Rfc822Name(mail));
        params.not_after = rcgen::date_time_ymd(ends, 1, 1);
        if !signed {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = if signed {
            params.signed_by(&key, &authority).unwrap()
        } else {
            params.self_signed(&key).unwrap()
        };
        let pem = certificate.pem();
        let key = key.serialize_pem();
        let held = CertificateStore::from_pem("client", pem.as_bytes(), key.as_bytes());
        (held.unwrap(), pem)
    };
    let (signed, ended) = (client(true, 4000).0, client(true, 2001).0);
    let ((own, pem), (foreign, _)) = (client(false, 4000), client(false, 4000));
    let own_file = directory.path().join("own.pem");
    fs::write(&own_file, pem).unwrap();

    for required in [false, true] {
        let believed = ClientCertificates {
            authorities: vec![file.clone(), own_file.clone()],
            required,
            revoked: Vec::new(),
        };
        let clients = Some(believed.verifier().unwrap());
        let server = ServerTls::new(store.clone(), clients, TlsVersions::All).unwrap();
        let no_news = "TLS handshake: the peer showed no certificate, and one is demanded";
        let not_believed = "TLS handshake: the peer's certificate is not believed";
        for (certificate, expected) in [
            (None, Err(no_news)),
            (Some(&signed), Ok(())),
            (Some(&own), Ok(())),
            (
                Some(&ended),
                Err("TLS handshake: the peer's certificate is not believed: it has ended"),
            ),
            (Some(&foreign), Err(not_believed)),
        ] {
            let shows = certificate.map(|it| {
                let resolver = rustls::sign::SingleCertAndKey::from(Arc::clone(it));
                Arc::new(resolver) as Arc<dyn rustls::client::ResolvesClientCert>
            });
            let (got, user) = handshake(&server, "ftp.example", shows).await;
            let expected = match certificate {
                None if !required => Ok(()),
                _ => expected,
            };
            match (expected, got) {
                (Ok(()), Ok(conn)) => {
                    user.unwrap();
                    let peer = conn.handshake().unwrap().peer();
                    let fingerprint = certificate.map(|it| fingerprint_of(&it.cert[0]));
                    assert_eq!(peer.as_ref().map(|it| it.fingerprint), fingerprint);
                    let Some(peer) = peer else { continue };
                    assert_eq!(peer.common_name.as_deref(), Some("ann"));
                    assert_eq!(peer.emails, ["ann@example.org"]);
                }
                (Err(expected), Err(error)) => {
                    assert!(error.to_string().starts_with(expected), "{error}");
                    assert!(user.is_err());
                }
                (expected, got) => panic!("{expected:?} {got:?}"),
            }
        }
    }
}

#[tokio::test]
async fn revoked_certificates_are_refused_and_lists_must_be_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let own = write(directory.path(), "server", "ftp.example");
    let store = Keeper::open(vec![own], Vec::new()).unwrap().store();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = "Example CA";
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
    let authority = Issuer::new(params, key);

    let list = |ends: i32, revoked: u64| {
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2000, 1, 1),
            next_update: rcgen::date_time_ymd(ends, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: revoked.into(),
                revocation_time: rcgen::date_time_ymd(2000, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&authority).unwrap()
    };
    let shown = |serial: u64| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(serial.into());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        CertificateStore::from_pem("client", chain.as_bytes(), key.as_bytes()).unwrap()
    };
    let file = directory.path().join("revoked");
    let believed = ClientCertificates {
        authorities: vec![ca],
        required: true,
        revoked: vec![file.clone()],
    };
    for (bytes, serial, expected) in [
        (list(4000, 5).pem().unwrap().into_bytes(), 4, Ok(())),
        (list(4000, 5).der().to_vec(), 4, Ok(())),
        (list(4000, 5).der().to_vec(), 5, Err("it was revoked")),
        (list(2001, 5).der().to_vec(), 4, Err("not believed")),
    ] {
        fs::write(&file, bytes).unwrap();
        let clients = Some(believed.verifier().unwrap());
        let server = ServerTls::new(store.clone(), clients, TlsVersions::All).unwrap();
        let resolver = rustls::sign::SingleCertAndKey::from(shown(serial));
        let (got, _) = handshake(&server, "ftp.example", Some(Arc::new(resolver))).await;
        match (got, expected) {
            (Ok(conn), Ok(())) => {
                let handshake = conn.handshake().unwrap();
                let now = SystemTime::now();
                server.believes(&handshake, now).unwrap();
                let later = now + Duration::from_hours(24 * 365 * 3000);
                let error = server.believes(&handshake, later).unwrap_err();
                assert!(error.is_about_the_peers_certificate(), "{error}");
            }
            (Err(error), Err(why)) => {
                assert!(error.is_about_the_peers_certificate());
                assert!(error.to_string().contains(why), "{error}");
            }
            (got, expected) => panic!("{got:?} {expected:?}"),
        }
    }
}

#[test]
fn a_pair_that_is_broken_when_settings_are_read_again_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let kept = write(directory.path(), "kept", "kept.example");
    let new = write(directory.path(), "new", "new.example");
    let before = Keeper::open(vec![kept.clone()], Vec::new()).unwrap();
    let before = before.from_files();
    fs::write(&kept.key, "half a fi").unwrap();
    let pairs = vec![new.clone(), kept.clone()];
    let (mut keeper, noticed) = Keeper::reopen(pairs, Vec::new(), &before).unwrap();
    let [Noticed::Broken { pair, error }] = noticed.as_slice() else {
        panic!("{noticed:?}");
    };
    assert_eq!(pair, &kept);
    let file = kept.key.display().to_string();
    assert!(error.to_string().contains(&file), "{error}");
    let in_force = |keeper: &Keeper| -> Vec<_> {
        let loaded = keeper.loaded();
        loaded
            .map(|(_, it)| it.described.dns_names.concat())
            .collect()
    };
    assert_eq!(in_force(&keeper), ["new.example", "kept.example"]);
    assert!(keeper.refresh(false).is_empty(), "told once");
    write(directory.path(), "kept", "again.example");
    assert_eq!(keeper.refresh(false).len(), 1);
    assert_eq!(in_force(&keeper), ["new.example", "again.example"]);
    // A pair that never was in force cannot stay so.
    fs::write(&new.key, "half a fi").unwrap();
    assert!(Keeper::reopen(vec![new], Vec::new(), &before).is_err());
}
