//! RFC 959 §5.4, and what came after: every verb of the table, in every state, answers with a reply
//! of its row, exactly once, and the session lives on.

mod stage;

use stage::Stage;
use stage::client::Client;
use wharf_proto::{VERBS, Verb};

/// Arguments that no verb, or hardly any, takes
const BAD: &[&str] = &[
    "",
    " ",
    " \x01",
    " |",
    " 0",
    " -1 x",
    " a b c d e f g",
    " *",
    " ../../..",
    " ;=;",
];

/// Transfers say 1yz first, and end without anybody at the data port
const TRANSFERS: &[&str] = &["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"];

async fn check(client: &mut Client, verb: &Verb, line: &str, state: &str) {
    client.send(format!("{line}\r\n").as_bytes()).await;
    let (mut code, mut lines) = client.reply().await;
    if (100..200).contains(&code) {
        assert!(verb.allows(code), "{state}: {line}: {lines:?}");
        assert!(TRANSFERS.contains(&verb.word), "{state}: {line}: {lines:?}");
        (code, lines) = client.reply().await;
        assert!(code >= 200, "{state}: {line}: {lines:?}");
    }
    assert!(verb.allows(code), "{state}: {line}: {lines:?}");
    assert!(
        client.is_quiet().await,
        "{state}: {line}: more than one final reply"
    );
}

#[tokio::test(start_paused = true)]
async fn every_verb_answers_from_its_row_before_the_login() {
    let stage = Stage::new().await;
    for verb in VERBS {
        for argument in BAD
            .iter()
            .map(|bad| format!("{}{bad}", verb.word))
            .chain([verb.example.to_owned()])
        {
            let mut client = Client::connect(&stage).await;
            client.expect(220).await;
            check(&mut client, verb, &argument, "before login").await;
            let closes = verb.word == "QUIT" && argument == verb.example;
            if !closes && verb.word != "QUIT" {
                client.say("NOOP", 200).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_verb_that_needs_a_login_is_refused_with_530() {
    let stage = Stage::new().await;
    for verb in VERBS.iter().filter(|verb| verb.needs_login) {
        for word in std::iter::once(&verb.word).chain(verb.aliases) {
            let mut client = Client::connect(&stage).await;
            client.expect(220).await;
            let line = verb.example.replacen(verb.word, word, 1);
            client.say(&line, 530).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_verb_answers_from_its_row_after_the_login() {
    for prepared in [
        "",
        "EPSV",
        "REST 3",
        "RNFR digits",
        "TYPE I",
        "EPSV ALL",
        "CWD set",
    ] {
        let stage = Stage::new().await;
        for verb in VERBS {
            let examples = std::iter::once(verb.word)
                .chain(verb.aliases.iter().copied())
                .map(|word| verb.example.replacen(verb.word, word, 1));
            let bad = BAD.iter().map(|bad| format!("{}{bad}", verb.word));
            for line in examples.chain(bad) {
                let mut client = Client::login(&stage, "ann").await;
                if !prepared.is_empty() {
                    client.send(format!("{prepared}\r\n").as_bytes()).await;
                    client.reply().await;
                }
                check(&mut client, verb, &line, prepared).await;
                if verb.word != "QUIT" {
                    client.say("NOOP", 200).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_transfer_verb_completes_with_226() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    for (command, expected) in [
        ("RETR hello.txt", Some(&b"hello\r\n"[..])),
        ("LIST void", Some(b"")),
        ("NLST set/f1.txt", Some(b"set/f1.txt\r\n")),
        ("MLSD void", Some(b"")),
    ] {
        let got = client.download(command).await;
        assert_eq!(Some(&got[..]), expected, "{command}");
    }
    for command in ["STOR notes.txt", "APPE notes.txt", "STOU", "STOU notes.txt"] {
        client.upload(command, b"words").await;
    }
    assert_eq!(client.download("RETR notes.txt").await, b"wordswords");
}

/// The verbs that are known and answered 502 on purpose; a verb that falls out of the server's
/// match would show up here.
#[tokio::test(start_paused = true)]
async fn verbs_that_are_not_offered_are_known() {
    let stage = Stage::new().await;
    let mut not_offered = Vec::new();
    for verb in VERBS.iter().filter(|verb| verb.word != "QUIT") {
        let mut client = Client::login(&stage, "ann").await;
        client
            .send(format!("{}\r\n", verb.example).as_bytes())
            .await;
        let (mut code, _) = client.reply().await;
        if code == 150 {
            (code, _) = client.reply().await;
        }
        if code == 502 {
            not_offered.push(verb.word);
        }
    }
    assert_eq!(
        not_offered,
        [
            "SMNT", "AUTH", "ADAT", "PBSZ", "PROT", "CCC", "MIC", "CONF", "ENC", "HOST", "MFCT"
        ]
    );
}
