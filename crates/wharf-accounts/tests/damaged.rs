//! A damaged users file closes: nobody comes in with more than is written, and every refusal says where.

use std::path::Path;

use tempfile::TempDir;
use wharf_accounts::{Besides, CertificateRule, UserList, UsersError};
use wharf_proto::{Fingerprint, Pathname};

/// What a damage may leave behind.
const BYTES: &[u8] = b"\"#=[\nx\xff";

fn written(dir: &Path) -> Vec<u8> {
    let mut list = UserList::new();
    let home = Pathname::new("/homes/ann").unwrap();
    let secret = "right".parse().unwrap();
    list.add("ann", &secret, Some(&home), true).unwrap();
    list.add("bob", &secret, Some(&home), false).unwrap();
    list.add("eve", &secret, None, true).unwrap();
    for (name, besides) in [("sue", Besides::Nothing), ("tom", Besides::Password)] {
        let rule = CertificateRule {
            fingerprints: vec![Fingerprint([0xAB; 32])],
            besides,
            ..CertificateRule::default()
        };
        let secret = (besides == Besides::Password).then_some(&secret);
        list.add_known_by(name, Some(&rule), secret, None, true)
            .unwrap();
    }
    let path = dir.join("users.toml");
    list.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// Name, home, rights, password and certificates of everybody in the file.
type Rights = Vec<(String, String, bool, Option<String>, String)>;

fn load(path: &Path, text: &[u8]) -> Result<Rights, UsersError> {
    std::fs::write(path, text).unwrap();
    let list = UserList::load(path)?;
    let rights = list.users().map(|user| {
        (
            user.name.clone(),
            user.home.display().to_string(),
            user.read_only,
            user.password.as_ref().map(|it| it.expose().to_owned()),
            user.certificate.as_ref().map_or(String::new(), |it| {
                format!("{:?} {}", it.besides, it.fingerprints[0])
            }),
        )
    });
    Ok(rights.collect())
}

fn told(error: &UsersError, text: &[u8]) {
    let lines = text.split(|byte| *byte == b'\n').count();
    match error {
        UsersError::Invalid { problems, .. } => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!((1..=lines).contains(&problem.line), "{problem:?}");
                assert!(!problem.message.is_empty());
            }
        }
        // Not UTF-8.
        UsersError::Io { .. } => assert!(std::str::from_utf8(text).is_err()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_that_is_cut_off_gives_nobody_more() {
    let dir = TempDir::new().unwrap();
    let text = written(dir.path());
    let path = dir.path().join("damaged.toml");
    let whole = load(&path, &text).unwrap();
    assert_eq!(whole.len(), 5);
    for length in 0..text.len() {
        match load(&path, &text[..length]) {
            Ok(rights) => assert_eq!(rights, whole[..rights.len()], "cut at {length}"),
            Err(error) => told(&error, &text[..length]),
        }
    }
}

/// What stands in the text, read by nothing but the TOML reader: what of it is no right is refused.
fn as_written(text: &[u8]) -> Option<Rights> {
    let table: toml::Table = std::str::from_utf8(text).ok()?.parse().ok()?;
    let mut rights = Vec::new();
    for (key, users) in table {
        assert_eq!(key, "user");
        for user in users.as_array()? {
            let text = |key: &str| user.get(key).map(|it| it.as_str().map(str::to_owned));
            let known = [
                "name",
                "home",
                "read_only",
                "sessions",
                "welcome",
                "password",
                "certificate",
                "certificates",
            ];
            assert!(
                user.as_table()?
                    .keys()
                    .all(|it| known.contains(&it.as_str()))
            );
            rights.push((
                text("name")??,
                text("home").unwrap_or(Some("/".to_owned()))?,
                user.get("read_only")
                    .map_or(Some(false), toml::Value::as_bool)?,
                match text("password") {
                    Some(text) => Some(text?),
                    None => None,
                },
                match user.get("certificates") {
                    None => String::new(),
                    Some(these) => {
                        let besides = match (text("certificate"), user.get("password")) {
                            (Some(Some(word)), _) if word == "alone" => "Nothing",
                            (None, None) => "Nothing",
                            _ => "Password",
                        };
                        let these = these.as_array()?.first()?.as_str()?;
                        format!("{besides} {}", these.strip_prefix("sha256:")?)
                    }
                },
            ));
        }
    }
    Some(rights)
}

#[test]
fn one_wrong_byte_gives_nobody_more_than_is_written() {
    let dir = TempDir::new().unwrap();
    let text = written(dir.path());
    let path = dir.path().join("damaged.toml");
    let mut refused = 0;
    // The hashes are long and alike: a part of each is enough.
    let interesting = (0..text.len()).filter(|at| {
        let line = text[..*at]
            .rsplit(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        line.len() < 30 || line.len() % 32 == 0
    });
    for at in interesting {
        for byte in BYTES {
            let mut damaged = text.clone();
            damaged[at] = *byte;
            match load(&path, &damaged) {
                Ok(rights) => {
                    let written = as_written(&damaged).expect("it was read");
                    let normal = |mut all: Rights| {
                        for user in &mut all {
                            let home: Pathname = user.1.parse().expect("a pathname");
                            user.1 = home.normalize().display().to_string();
                        }
                        all
                    };
                    assert_eq!(rights, normal(written), "byte {at}: {byte:?}");
                }
                Err(error) => {
                    refused += 1;
                    told(&error, &damaged);
                }
            }
        }
    }
    assert!(refused > 300, "{refused}");
}
