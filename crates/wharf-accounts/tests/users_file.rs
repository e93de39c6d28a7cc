//! The users file: reading, watching, editing.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;
use wharf_accounts::{
    Authenticator, Besides, Certificate, CertificateRule, Credentials, Denied, Granted,
    PasswordHash, UserList, UsersError, UsersFile,
};
use wharf_proto::{Fingerprint, Pathname, Secret};
use wharf_storage::{Local, LocalOptions, Memory, Permissions, Storage};

/// A hash of "right".
fn right() -> &'static str {
    static RIGHT: OnceLock<String> = OnceLock::new();
    RIGHT.get_or_init(|| {
        let hash = PasswordHash::of(&secret("right")).unwrap();
        hash.expose().to_owned()
    })
}

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    text.parse().unwrap()
}

fn who(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.parse().unwrap(),
        password: secret(password),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate: None,
    }
}

struct House {
    dir: TempDir,
}

impl House {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("served")).unwrap();
        let house = Self { dir };
        house.write(text);
        house
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("users.toml")
    }

    fn write(&self, text: &str) {
        // As editors do it, so that the file is another one even within one tick of the clock.
        let new = self.dir.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn open(&self) -> Result<UsersFile, UsersError> {
        let root = Local::open(self.dir.path().join("served"), LocalOptions::default()).unwrap();
        UsersFile::open(&self.file(), Arc::new(root))
    }
}

fn user(name: &str, more: &str) -> String {
    let hash = right();
    format!("[[user]]\nname = \"{name}\"\npassword = \"{hash}\"\n{more}\n")
}

async fn login(users: &UsersFile, user: &str, password: &str) -> Result<Granted, Denied> {
    users.login(&who(user, password)).await
}

#[tokio::test]
async fn the_right_password_gives_the_users_own_storage() {
    let house = House::new(
        &(user(
            "anna",
            "home = \"/anna\"\nwelcome = \"hello\"\nsessions = 2",
        ) + &user("bert", "home = \"/pub\"\nread_only = true")
            + &user("root", "")),
    );
    std::fs::create_dir(house.dir.path().join("served/pub")).unwrap();
    let users = house.open().unwrap();

    let anna = login(&users, "anna", "right").await.unwrap();
    assert_eq!(anna.welcome.as_deref(), Some("hello"));
    assert_eq!((anna.home, anna.limits.sessions), (path("/"), Some(2)));
    anna.storage.create_dir(&path("/own")).await.unwrap();
    let own = house.dir.path().join("served/anna/own");
    assert!(own.is_dir(), "the home was made");

    let bert = login(&users, "bert", "right").await.unwrap();
    assert_eq!(bert.storage.access(&path("/")), Permissions::READ_ONLY);
    assert!(bert.storage.create_dir(&path("/own")).await.is_err());
    assert!(bert.storage.metadata(&path("/../anna")).await.is_err());

    let root = login(&users, "root", "right").await.unwrap();
    assert!(root.storage.metadata(&path("/anna/own")).await.is_ok());

    for (name, password) in [
        ("anna", "wrong"),
        ("anna", ""),
        ("nobody", "right"),
        ("Anna", "right"),
    ] {
        let outcome = login(&users, name, password).await;
        assert!(matches!(outcome, Err(Denied::Refused)), "{name} {password}");
    }
}

#[tokio::test]
async fn a_home_that_cannot_be_is_a_broken_login() {
    let house = House::new(
        &(user("reader", "home = \"/none\"\nread_only = true")
            + &user("deep", "home = \"/a/b/c\"")
            + &user("file", "home = \"/file\"")),
    );
    std::fs::write(house.dir.path().join("served/file"), "").unwrap();
    let users = house.open().unwrap();
    for name in ["reader", "deep", "file"] {
        match login(&users, name, "right").await {
            Err(Denied::Broken(cause)) => assert!(cause.to_string().contains(name)),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_a_bad_one_is_not_used() {
    let house = House::new(&user("anna", ""));
    let users = house.open().unwrap();
    assert!(login(&users, "anna", "right").await.is_ok());

    house.write(&(user("anna", "") + &user("bert", "")));
    assert!(login(&users, "bert", "right").await.is_ok());
    house.write("[[user]]\nname = 5\n");
    assert!(login(&users, "bert", "right").await.is_ok(), "as before");
    std::fs::remove_file(house.file()).unwrap();
    assert!(login(&users, "bert", "right").await.is_ok(), "as before");
    house.write(&user("anna", ""));
    assert!(matches!(
        login(&users, "bert", "right").await,
        Err(Denied::Refused)
    ));
}

#[tokio::test]
async fn the_sessions_of_a_user_share_one_quota() {
    let house = House::new(&user(
        "anna",
        "home = \"/anna\"\nquota_bytes = 100\nquota_files = 3",
    ));
    let home = house.dir.path().join("served/anna");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("old"), [0; 40]).unwrap();
    let users = house.open().unwrap();
    let one = login(&users, "anna", "right").await.unwrap();
    let two = login(&users, "anna", "right").await.unwrap();
    let root = path("/");
    assert_eq!(one.storage.free_space(&root).await.unwrap(), Some(60));
    one.storage.create_dir(&path("/set")).await.unwrap();
    two.storage.create_dir(&path("/more")).await.unwrap();
    let refused = one.storage.create_dir(&path("/fourth")).await.unwrap_err();
    assert_eq!(refused.kind(), wharf_storage::ErrorKind::Quota);
    // Changed behind the server's back: seen by the first session after the last one.
    std::fs::write(home.join("old"), [0; 90]).unwrap();
    drop((one, two));
    let three = login(&users, "anna", "right").await.unwrap();
    assert_eq!(three.storage.free_space(&root).await.unwrap(), Some(10));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let table = [
        ("", ""),
        ("# nobody yet\n", ""),
        (
            "usr = 1\n\nuser = 2\n",
            "1: unknown key: usr, expected [[user]]\n3: users are written as [[user]]",
        ),
        (
            "[[user]]\nnmae = \"anna\"\nread_only = \"yes\"\nhome = \"\"\nsessions = 0\nquota_bytes = -1\n",
            "1: a user without name\n1: a user without password and without certificates\n\
             2: unknown key: nmae, expected name, password, certificates, certificate_names, certificate, home, read_only, sessions, quota_bytes, quota_files or welcome\n\
             3: read_only: expected true or false\n4: home: *\n5: sessions: expected a number of at least 1\n\
             6: quota_bytes: expected a number of at least 1",
        ),
        (
            "[[user]]\nname = 7\npassword = \"secret\"\n[[user]]\nname = \" a\"\npassword = true\n",
            "2: name: expected a string, found integer\n\
             3: password: not a password hash of the form $argon2id$..., as written by `wharf user passwd`\n\
             5: name: a user's name must not begin or end with a space\n\
             6: password: expected a string, found boolean",
        ),
        (
            &(user("anna", "") + &user("bert", "") + &user("anna", "")),
            "9: user anna is there already, in line 1",
        ),
        (
            "[[user]]\nname = \"a\"\ncertificate = \"and-password\"\ncertificates = [\"abc\", 5]\n\
             [[user]]\nname = \"b\"\ncertificate_names = [\"\"]\ncertificate = \"sometimes\"\n\
             [[user]]\nname = \"c\"\ncertificates = []\n[[user]]\nname = \"d\"\ncertificate = \"alone\"\n",
            "1: a user whom no certificate and no password lets in\n\
             3: certificate: which one must be said with certificates or certificate_names\n\
             3: certificate: and-password needs a password\n\
             4: certificates: expected a string, found integer\n4: certificates: a SHA-256 fingerprint has *\n\
             7: certificate_names: a name must not be empty\n8: certificate: expected alone or and-password\n\
             9: a user whom no certificate and no password lets in\n\
             12: a user whom no certificate and no password lets in\n\
             14: certificate: which one must be said with certificates or certificate_names",
        ),
        ("[[user]\nname = \"a\"\n", "1: *"),
    ];
    for (text, expected) in table {
        let house = House::new(text);
        let told = match house.open() {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        let prefix = format!("{}:", house.file().display());
        let told: Vec<String> = told
            .lines()
            .map(|line| line.replacen(&prefix, "", 1))
            .collect();
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            match expected.strip_suffix('*') {
                Some(start) => assert!(told.starts_with(start), "{told}"),
                None => assert_eq!(told, expected),
            }
        }
    }
}

#[test]
fn a_missing_file_is_told_as_missing() {
    let nowhere = Path::new("/nowhere/users.toml");
    let root: Arc<dyn Storage> = Arc::new(Memory::new());
    assert!(UsersFile::open(nowhere, root).err().unwrap().is_missing());
    assert!(UserList::load(nowhere).unwrap_err().is_missing());
}

#[tokio::test]
async fn users_are_added_changed_and_removed() {
    let house = House::new("");
    std::fs::remove_file(house.file()).unwrap();
    let mut list = UserList::new();
    list.add("anna", &secret("one"), None, false).unwrap();
    let home = path("/pub");
    list.add("b \"ert\" é", &secret("two"), Some(&home), true)
        .unwrap();
    list.save(&house.file()).unwrap();
    let mode = std::fs::metadata(house.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::create_dir(house.dir.path().join("served/pub")).unwrap();

    let users = house.open().unwrap();
    assert!(login(&users, "anna", "one").await.is_ok());
    let bert = login(&users, "b \"ert\" é", "two").await.unwrap();
    assert_eq!(bert.storage.access(&path("/")), Permissions::READ_ONLY);

    let mut list = UserList::load(&house.file()).unwrap();
    list.set_password("anna", &secret("three")).unwrap();
    assert!(list.remove("b \"ert\" é").unwrap());
    assert!(!list.remove("b \"ert\" é").unwrap());
    list.save(&house.file()).unwrap();
    assert!(login(&users, "anna", "three").await.is_ok());
    assert!(login(&users, "anna", "one").await.is_err());
    assert!(login(&users, "b \"ert\" é", "two").await.is_err());
    let left: Vec<_> = std::fs::read_dir(house.dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "no temporary file: {left:?}");
}

#[test]
fn editing_keeps_what_it_is_not_about() {
    let right = right();
    let text = format!(
        "# the users of pier 3\n\n  [[user]]   # first\nwelcome = \"\"\"\n[[user]]\n\"\"\"\nname = 'anna'\n\
         password = '{right}' # old\n\n# about bert\n[[user]]\npassword = \"{right}\"\nname = \"bert\"\n\
         [[user]]\nname = \"carl\" # the last\npassword = \"{right}\""
    );
    let house = House::new(&text);
    let mut list = UserList::load(&house.file()).unwrap();
    assert_eq!(list.users().len(), 3);
    list.set_password("anna", &secret("new")).unwrap();
    list.remove("bert").unwrap();
    list.add("dora", &secret("new"), None, false).unwrap();
    list.save(&house.file()).unwrap();

    let saved = std::fs::read_to_string(house.file()).unwrap();
    let hash = |at: usize| {
        list.users()
            .nth(at)
            .unwrap()
            .password
            .as_ref()
            .unwrap()
            .expose()
            .to_owned()
    };
    let expected = format!(
        "# the users of pier 3\n\n  [[user]]   # first\nwelcome = \"\"\"\n[[user]]\n\"\"\"\nname = 'anna'\n\
         password = \"{}\" # old\n\n# about bert\n\
         [[user]]\nname = \"carl\" # the last\npassword = \"{right}\"\n\n\
         [[user]]\nname = \"dora\"\npassword = \"{}\"\n",
        hash(0),
        hash(2)
    );
    assert_eq!(saved, expected);
    let names: Vec<_> = list.users().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["anna", "carl", "dora"]);
    list.remove("carl").unwrap();
    list.remove("dora").unwrap();
    list.remove("anna").unwrap();
    assert_eq!(list.users().len(), 0);
}

/// Shown by a client: the fingerprint's byte, and one name.
fn shown(byte: u8, name: &str) -> Certificate {
    Certificate {
        fingerprint: Fingerprint([byte; 32]),
        names: vec![name.to_owned()],
    }
}

#[tokio::test]
async fn certificates_let_in_alone_or_with_the_password() {
    let fingerprint = Fingerprint([1; 32]);
    let by = |more: &str| format!("certificates = [\"sha256:{fingerprint}\"]\n{more}");
    let house = House::new(
        &(user("plain", "")
            + &user("both", &by(""))
            + &user("either", &by("certificate = \"alone\""))
            + &format!("[[user]]\nname = \"only\"\n{}", by(""))
            + "[[user]]\nname = \"named\"\ncertificate_names = \"ann\"\n"),
    );
    let users = house.open().unwrap();
    let (own, foreign) = (Some(shown(1, "x")), Some(shown(2, "x")));
    // Who, what was shown, what it gives alone, and with the right password; never with the wrong one.
    for (name, certificate, alone, with_password) in [
        ("plain", None, false, true),
        ("plain", own.clone(), false, true),
        ("both", None, false, false),
        ("both", foreign.clone(), false, false),
        ("both", own.clone(), false, true),
        ("either", None, false, true),
        ("either", foreign.clone(), false, true),
        ("either", own.clone(), true, true),
        ("only", None, false, false),
        ("only", foreign.clone(), false, false),
        ("only", own.clone(), true, false),
        ("named", own.clone(), false, false),
        ("named", Some(shown(2, "ann")), true, false),
        ("nobody", own, false, false),
    ] {
        let case = format!("{name} {certificate:?}");
        let with = |password: &str| Credentials {
            certificate: certificate.clone(),
            ..who(name, password)
        };
        let got = users.login_by_certificate(&with("")).await.unwrap();
        assert_eq!(
            got.map(|it| it.user),
            alone.then(|| name.to_owned()),
            "{case}"
        );
        let got = users.login(&with("right")).await;
        assert_eq!(got.is_ok(), with_password, "{case}");
        for wrong in ["wrong", ""] {
            let got = users.login(&with(wrong)).await;
            assert!(matches!(got, Err(Denied::Refused)), "{case}");
        }
    }
}

#[test]
fn certificates_are_edited_like_passwords() {
    let rule = |names: &[&str], besides| CertificateRule {
        fingerprints: vec![Fingerprint([0xAB; 32])],
        names: names.iter().map(|it| (*it).to_owned()).collect(),
        besides,
    };
    let text = "[[user]] # first\nname = \"ann\"\ncertificates = [\n  # old\n  \"ab\"\n] # gone\nread_only = true\n";
    let text = text.replace("ab\"", &format!("{}\"", Fingerprint([1; 32])));
    let house = House::new(&text);
    let mut list = UserList::load(&house.file()).unwrap();
    let new = rule(&["ann", "a\"b"], Besides::Nothing);
    list.set_certificate("ann", Some(&new)).unwrap();
    list.save(&house.file()).unwrap();
    let ab = Fingerprint([0xAB; 32]);
    let expected = format!(
        "[[user]] # first\ncertificate = \"alone\"\ncertificates = [\"sha256:{ab}\"]\n\
         certificate_names = [\"ann\", 'a\"b']\nname = \"ann\"\nread_only = true\n"
    );
    assert_eq!(std::fs::read_to_string(house.file()).unwrap(), expected);
    // Neither a way in nor a second one too many.
    assert!(list.set_certificate("ann", None).is_err());
    let both = rule(&[], Besides::Password);
    assert!(list.set_certificate("ann", Some(&both)).is_err());
    list.set_password("ann", &secret("new")).unwrap();
    list.set_certificate("ann", Some(&both)).unwrap();
    list.set_certificate("ann", None).unwrap();
    let unknown = list.set_certificate("bob", None);
    assert!(matches!(unknown, Err(UsersError::Unknown(_))));
    let ann = list.users().next().unwrap();
    assert!(ann.password.is_some() && ann.certificate.is_none() && ann.read_only);
}

#[test]
fn what_cannot_be_edited_is_refused() {
    let right = right();
    let house = House::new(&user("anna", ""));
    let mut list = UserList::load(&house.file()).unwrap();
    let password = secret("x");
    let long = "x".repeat(129);
    for name in ["", " a", "a\n", "a/b", &long] {
        let refused = list.add(name, &password, None, false);
        assert!(matches!(refused, Err(UsersError::Name(_))), "{name:?}");
    }
    let exists = list.add("anna", &password, None, false);
    assert!(matches!(exists, Err(UsersError::Exists(_))));
    let unknown = list.set_password("bert", &password);
    assert!(matches!(unknown, Err(UsersError::Unknown(_))));
    let home = Pathname::new(b"/caf\xe9".to_vec()).unwrap();
    let home = list.add("bert", &password, Some(&home), false);
    assert!(matches!(home, Err(UsersError::Home)));

    house.write(&user("somebody-else-was-here", ""));
    list.set_password("anna", &password).unwrap();
    assert!(matches!(
        list.save(&house.file()),
        Err(UsersError::Changed(_))
    ));
    let mut fresh = UserList::new();
    assert!(matches!(
        fresh.save(&house.file()),
        Err(UsersError::Changed(_))
    ));

    house.write(&format!(
        "user = [{{ name = \"anna\", password = \"{right}\" }}]"
    ));
    let mut inline = UserList::load(&house.file()).unwrap();
    inline.set_password("anna", &password).unwrap();
    assert!(matches!(inline.remove("anna"), Err(UsersError::Form)));
}

#[test]
fn a_saved_file_keeps_its_group_and_the_link_to_it() {
    let house = House::new(&user("anna", ""));
    let real = house.dir.path().join("real.toml");
    std::fs::rename(house.file(), &real).unwrap();
    std::os::unix::fs::symlink("real.toml", house.file()).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o664)).unwrap();
    let before = std::fs::metadata(&real).unwrap();

    let mut list = UserList::load(&house.file()).unwrap();
    list.set_password("anna", &secret("x")).unwrap();
    list.save(&house.file()).unwrap();
    list.set_password("anna", &secret("y")).unwrap();
    list.save(&house.file()).unwrap();
    assert!(house.file().is_symlink());
    let after = std::fs::metadata(&real).unwrap();
    assert_eq!(after.mode() & 0o777, 0o640);
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
}
