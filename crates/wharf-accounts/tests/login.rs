//! Who gets in, and what they may do then.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use wharf_accounts::{
    Anonymous, Authenticator, Chain, Credentials, Denied, Granted, Single, UserLimits,
};
use wharf_proto::{Pathname, Text};
use wharf_storage::{Memory, Permissions, Storage};

fn path(name: &str) -> Pathname {
    name.parse().unwrap()
}

fn who(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.parse().unwrap_or_else(|_| Text::lossy("")),
        password: password.parse().unwrap(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate: None,
    }
}

fn single() -> Arc<dyn Authenticator> {
    let password = "right".parse().unwrap();
    Arc::new(Single::new(
        "anna",
        password,
        Arc::new(Memory::new()),
        path("/home"),
    ))
}

/// The user's name, or the word for why not.
async fn outcome(source: &dyn Authenticator, user: &str, password: &str) -> String {
    match source.login(&who(user, password)).await {
        Ok(granted) => granted.user,
        Err(Denied::Refused) => "-".to_owned(),
        Err(Denied::TooBusy) => "busy".to_owned(),
        Err(_) => "broken".to_owned(),
    }
}

#[tokio::test]
async fn one_user_needs_the_one_password() {
    let single = single();
    for (user, password, expected) in [
        ("anna", "right", "anna"),
        ("anna", "wrong", "-"),
        ("anna", "", "-"),
        ("anna", "right ", "-"),
        ("Anna", "right", "-"),
        ("", "right", "-"),
        ("bert", "right", "-"),
    ] {
        assert_eq!(outcome(&*single, user, password).await, expected);
    }
    assert!(single.needs_password(b"anna") && single.needs_password(b"bert"));
    let granted = single.login(&who("anna", "right")).await.unwrap();
    assert_eq!(granted.home, path("/home"));
}

#[tokio::test]
async fn anonymous_takes_any_password_and_may_only_read() {
    let memory = Memory::new();
    memory.add_file(&path("/a"), "x").unwrap();
    let anonymous = Anonymous::new(Arc::new(memory.clone()), path("/"));
    for (user, password, expected) in [
        ("anonymous", "me@example.org", "anonymous"),
        ("ftp", "", "anonymous"),
        ("Anonymous", "x", "anonymous"),
        ("anna", "x", "-"),
        ("anonymous2", "x", "-"),
    ] {
        assert_eq!(outcome(&anonymous, user, password).await, expected);
    }
    let storage = anonymous.login(&who("ftp", "")).await.unwrap().storage;
    assert_eq!(storage.access(&path("/a")), Permissions::READ_ONLY);
    assert!(storage.open(&path("/a"), 0).await.is_ok());
    assert!(storage.remove_file(&path("/a")).await.is_err());

    let writable =
        Anonymous::with_permissions(Arc::new(memory), path("/"), Permissions::UPLOAD_ONLY);
    let storage = writable.login(&who("ftp", "")).await.unwrap().storage;
    assert!(storage.open(&path("/a"), 0).await.is_err());
    assert!(storage.create_dir(&path("/new")).await.is_ok());
}

/// Always gives the same answer.
struct Always(fn() -> Denied);

#[async_trait]
impl Authenticator for Always {
    async fn login(&self, _: &Credentials) -> Result<Granted, Denied> {
        Err((self.0)())
    }

    fn needs_password(&self, user: &[u8]) -> bool {
        user != b"open"
    }
}

type Sources = Vec<Arc<dyn Authenticator>>;

#[tokio::test]
async fn a_chain_asks_in_order() {
    let busy: Arc<dyn Authenticator> = Arc::new(Always(|| Denied::TooBusy));
    let broken: Arc<dyn Authenticator> = Arc::new(Always(|| Denied::Broken("down".into())));
    let other: Arc<dyn Authenticator> = Arc::new(Single::new(
        "anna",
        "other".parse().unwrap(),
        Arc::new(Memory::new()) as Arc<dyn Storage>,
        path("/"),
    ));
    let table: [(Sources, &str, &str); 7] = [
        (vec![], "right", "-"),
        (vec![single()], "right", "anna"),
        (vec![single()], "wrong", "-"),
        (vec![single(), Arc::clone(&other)], "other", "anna"),
        (vec![Arc::clone(&broken), single()], "right", "anna"),
        (
            vec![Arc::clone(&broken), Arc::clone(&busy), single()],
            "wrong",
            "broken",
        ),
        (vec![busy, other], "wrong", "busy"),
    ];
    for (sources, password, expected) in table {
        let chain = Chain::new(sources);
        assert_eq!(outcome(&chain, "anna", password).await, expected);
    }
    let chain = Chain::new([single(), broken]);
    assert!(chain.needs_password(b"anna") && !chain.needs_password(b"open"));
}

#[test]
fn what_is_granted_prints_no_more_than_who_and_where() {
    let granted = Granted {
        user: "anna".to_owned(),
        storage: Arc::new(Memory::new()),
        home: path("/"),
        welcome: None,
        limits: UserLimits::default(),
    };
    assert_eq!(
        format!("{granted:?}"),
        r#"Granted { user: "anna", home: "/", .. }"#
    );
    let printed = format!("{:?}", who("anna", "right"));
    assert!(!printed.contains("right"), "{printed}");
}
