//! RFC 959 §5.4 and §6 as properties of the table and the server-PI together: whatever is refused is refused with a
//! code that the verb may get, in every state a session can be in.

use wharf_proto::command::{Command, VERBS};
use wharf_proto::server_pi::{LoginStage, ServerPi};
use wharf_proto::{Pathname, Text};

fn text(word: &str) -> Text {
    Text::new(word).unwrap()
}

/// The states of a session, with a name each.
fn states() -> Vec<(&'static str, ServerPi)> {
    let home: Pathname = "/home".parse().unwrap();
    let fresh = ServerPi::new;
    let logged_in = || {
        let mut pi = fresh();
        pi.logged_in(text("joe"), &home);
        pi
    };
    let with = |mut pi: ServerPi, change: fn(&mut ServerPi)| {
        change(&mut pi);
        pi
    };
    vec![
        ("nobody", fresh()),
        (
            "needs password",
            with(fresh(), |pi| pi.expect_password(text("joe"))),
        ),
        (
            "needs account",
            with(fresh(), |pi| pi.expect_account(text("joe"))),
        ),
        ("logged in", logged_in()),
        ("failed", with(logged_in(), ServerPi::login_failed)),
        (
            "after REST",
            with(logged_in(), |pi| pi.set_restart_marker(5)),
        ),
        (
            "after RNFR",
            with(logged_in(), |pi| pi.set_rename_marker(Pathname::root())),
        ),
        ("after EPSV ALL", with(logged_in(), ServerPi::set_epsv_all)),
        ("after REIN", with(logged_in(), ServerPi::reinitialize)),
    ]
}

#[test]
fn every_refusal_is_a_reply_the_verb_may_get() {
    let extra = [
        "TYPE E", "TYPE A T", "TYPE L 7", "STRU R", "STRU P", "MODE B", "MODE C", "MODE Z",
        "EPSV ALL", "EPSV 2",
    ];
    for (state, pi) in states() {
        for line in VERBS.iter().map(|verb| verb.example).chain(extra) {
            let command =
                Command::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"));
            let verb = command.verb();
            if let Err(reply) = pi.clone().admit(&command) {
                assert!(
                    verb.allows(reply.code()),
                    "{state}: {line} was answered {}",
                    reply.code()
                );
                assert!(!reply.is_preliminary());
            }
        }
    }
}

#[test]
fn before_login_only_what_needs_none_is_admitted() {
    for (state, pi) in states() {
        let logged_in = matches!(pi.stage(), LoginStage::In(_));
        for verb in VERBS {
            let command = Command::parse(verb.example.as_bytes()).unwrap();
            let admitted = pi.clone().admit(&command);
            if verb.needs_login && !logged_in {
                assert_eq!(admitted.unwrap_err().code(), 530, "{state}: {}", verb.word);
            } else if let Err(reply) = admitted {
                assert_ne!(reply.code(), 530, "{state}: {}", verb.word);
            }
        }
    }
}

#[test]
fn no_marker_outlives_a_verb_that_does_not_keep_it() {
    for verb in VERBS {
        let mut pi = ServerPi::new();
        pi.logged_in(text("joe"), &Pathname::root());
        pi.set_restart_marker(5);
        pi.set_rename_marker(Pathname::root());
        pi.finish(verb);
        assert_eq!(
            pi.take_restart_marker() == 5,
            verb.keeps_markers,
            "{}",
            verb.word
        );
        assert_eq!(
            pi.take_rename_marker().is_some(),
            verb.keeps_markers || verb.word == "RNFR",
            "{}",
            verb.word
        );
    }
    for word in ["PASV", "EPSV", "PORT", "EPRT", "TYPE", "REST"] {
        assert!(
            VERBS
                .iter()
                .any(|verb| verb.word == word && verb.keeps_markers),
            "{word} stands between REST and RETR"
        );
    }
    for word in ["RETR", "STOR", "CWD", "RNTO", "RNFR", "NOOP", "LIST"] {
        assert!(
            VERBS
                .iter()
                .any(|verb| verb.word == word && !verb.keeps_markers),
            "{word} ends REST's reach"
        );
    }
}

/// RFC 959 §6, the state diagram of USER, PASS and ACCT: which of the three leads on from where.
#[test]
fn the_login_diagram() {
    let table = [
        ("nobody", "USER joe", None),
        ("nobody", "PASS x", Some(503)),
        ("nobody", "ACCT x", Some(503)),
        ("needs password", "USER joe", None),
        ("needs password", "PASS x", None),
        ("needs password", "ACCT x", Some(503)),
        ("needs account", "USER joe", None),
        ("needs account", "PASS x", Some(503)),
        ("needs account", "ACCT x", None),
        ("logged in", "USER jim", None),
        ("logged in", "PASS x", Some(202)),
        ("logged in", "ACCT x", Some(202)),
        ("failed", "PASS x", Some(503)),
        ("after REIN", "PASS x", Some(503)),
        ("after REIN", "USER joe", None),
    ];
    for (state, line, want) in table {
        let (_, mut pi) = states()
            .into_iter()
            .find(|(name, _)| *name == state)
            .unwrap();
        let got = pi
            .admit(&Command::parse(line.as_bytes()).unwrap())
            .err()
            .map(|reply| reply.code());
        assert_eq!(got, want, "{state}: {line}");
    }
}
