//! Certificates as login: `wharf user` says whose they are, `wharf serve` asks for them, the client shows one.

use std::net::Ipv4Addr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use crate::boundary::{Place, Server};

/// An authority in `ca.pem`.
fn authority(place: &Place, name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let made = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    place.write("ca.pem", made.pem());
    made
}

/// A certificate with its key in `NAME.pem`.
fn client(place: &Place, authority: &CertifiedIssuer<'static, KeyPair>, name: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let mail = format!("{name}@example.org").as_str().try_into().unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![
        SanType::Rfc822Name(mail),
        SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let both = certificate.pem() + &key.serialize_pem();
    place.write(format!("{name}.pem"), both);
}

#[test]
fn users_log_in_by_certificate() {
    let place = Place::new();
    let ours = authority(&place, "Example CA");
    for name in ["ann", "bob", "eve", "server"] {
        client(&place, &ours, name);
    }
    let other = Place::new();
    client(&place, &authority(&other, "Foreign CA"), "foreign");
    place.write("password", "geheim\n");
    place.write("files/a", "abc");

    let user = |words: &[&str], status: i32| {
        let words = [&["user"], words, &["--file", "users.toml"]].concat();
        place.run(words).expect(status)
    };
    user(&["add", "ann", "--certificate", "ann.pem"], 0);
    let bob = "bob@example.org";
    let both = ["--and-password", "--password-file", "password"];
    user(
        &[&["add", "bob", "--certificate-name", bob][..], &both].concat(),
        0,
    );
    user(&["add", "eve", "--certificate", "nowhere.pem"], 64);
    user(&["add", "eve", "--and-password"], 64);
    user(
        &[
            "certify",
            "ann",
            "--and-password",
            "--certificate",
            "ann.pem",
        ],
        64,
    );
    user(&["certify", "ann"], 64);
    user(&["certify", "nobody"], 67);
    assert_eq!(
        user(&["list"], 0).text(),
        "ann                  may write  / (certificate)\n\
         bob                  may write  / (certificate and password)\n"
    );

    let server = Server::start_bare(
        &place,
        &[
            "--users",
            "users.toml",
            "--tls",
            "required",
            "--tls-client-ca",
            "ca.pem",
            "--tls-cert",
            "server.pem",
            "--tls-key",
            "server.pem",
        ],
    );
    let cat = |login: &str, certificate: &str, status: i32| {
        let url = format!("ftpes://{login}@{}/a", server.address);
        let mut words = vec!["cat", "--ca", "ca.pem", &url];
        if !certificate.is_empty() {
            words.extend(["--cert", certificate]);
        }
        place.run(words).expect(status)
    };
    assert_eq!(cat("ann:", "ann.pem", 0).text(), "abc");
    // Nobody is there to be asked for a password, and none is needed.
    assert_eq!(cat("ann", "ann.pem", 0).text(), "abc");
    cat("ann:geheim", "", 4);
    cat("ann:geheim", "bob.pem", 4);
    cat("ann:geheim", "eve.pem", 4);
    assert_eq!(cat("bob:geheim", "bob.pem", 0).text(), "abc");
    cat("bob:geheim", "", 4);
    cat("bob:wrong", "bob.pem", 4);
    cat("bob:geheim", "ann.pem", 4);
    // No TLS for what is not believed.
    cat("ann:", "foreign.pem", 9);

    // Read again while the server runs.
    user(&["certify", "ann", "--certificate", "eve.pem"], 0);
    assert_eq!(cat("ann:", "eve.pem", 0).text(), "abc");
    cat("ann:", "ann.pem", 4);
}

#[test]
fn settings_about_certificates_of_clients_must_agree() {
    let place = Place::new();
    authority(&place, "Example CA");
    place.write("empty.pem", "");
    place.write("files/a", "abc");
    let ca = ["--tls-client-ca", "ca.pem"];
    let required = ["--tls-client-certificates", "required"];
    for (words, status, said) in [
        (&required[..], 78, "need an authority that signs them"),
        (
            &[&ca[..], &required].concat(),
            78,
            "control = \"required\" belongs to it",
        ),
        (
            &[&ca[..], &["--tls-client-certificates", "off"]].concat(),
            78,
            "nobody is asked for one",
        ),
        (
            &["--tls-client-crl", "ca.pem"],
            78,
            "nobody is asked for one",
        ),
        (&[&ca[..], &["--tls", "off"]].concat(), 78, "TLS is off"),
        (
            &["--tls-client-ca", "empty.pem"],
            78,
            "empty.pem: no certificate in it",
        ),
        (
            &["--tls-client-ca", "nowhere.pem"],
            78,
            "nowhere.pem: No such file",
        ),
        (
            &[&ca[..], &["--tls-client-crl", "empty.pem"]].concat(),
            78,
            "empty.pem: no list of revoked certificates in it",
        ),
        (&ca[..], 0, "clients may log in by certificates of ca.pem"),
        (
            &[&ca[..], &required, &["--tls", "required"]].concat(),
            0,
            "clients must show a certificate of ca.pem",
        ),
    ] {
        let common = ["check", "files", "--listen", "127.0.0.1:0"];
        let tls = if words.contains(&"--tls") {
            &[][..]
        } else {
            &["--tls", "allowed"]
        };
        let ended = place.run([&common[..], tls, words].concat()).expect(status);
        let all = format!("{}{}", ended.text(), ended.stderr);
        assert!(all.contains(said), "{words:?}: {all}");
    }
}

#[test]
fn a_broken_certificate_file_keeps_nothing_else_from_being_reloaded() {
    let place = Place::new();
    let ours = authority(&place, "Example CA");
    client(&place, &ours, "server");
    place.write("files/a", "abc");
    let configuration = |anonymous: bool| {
        let text = format!(
            "[tls]\ncontrol = \"allowed\"\ncertificate = \"server.pem\"\nkey = \"server.pem\"\n\
             [login]\nuser = \"ann\"\npassword_file = \"password\"\nanonymous = {anonymous}\n"
        );
        place.write("wharf.toml", text);
    };
    place.write("password", "geheim\n");
    configuration(false);
    let mut server = Server::start_bare(&place, &["--config", "wharf.toml", "--tls", "allowed"]);
    let url = format!("ftpes://{}/a", server.address);
    place.run(["cat", "--ca", "ca.pem", &url]).expect(4);
    configuration(true);
    place.write("server.pem", "half a fi");
    server.running.signal("HUP");
    let line = server
        .running
        .complains("of no use; what was in force stays");
    assert!(line.contains("server.pem"), "{line}");
    server.running.complains("reloaded");
    let got = place.run(["cat", "--ca", "ca.pem", &url]).expect(0);
    assert_eq!(got.text(), "abc");
}
