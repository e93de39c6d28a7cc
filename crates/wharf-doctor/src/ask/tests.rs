//! Both sides on the simulated network, and hostile ones.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_firewall::Passive;
use wharf_net::{ListenAt, Net, Source};
use wharf_proto::data_connection::passive::PortRange;
use wharf_sim::topologies::{Scene, TOPOLOGIES};

use super::asker::{Answer, AskError, Question, ask};
use super::conclusion::conclude;
use super::line::{Line, Lines, MOST_BYTES, Saw};
use super::listen::{Ended, Waiting};
use super::rules::{MOST_KNOCKS, Refusal, Visit, sample};
use super::token::{Challenge, Challenges, Purpose, Token};
use crate::host::offered::{Offered, Told};

#[expect(clippy::unnecessary_wraps, reason = "the real one asks the system")]
fn random() -> io::Result<[u8; 16]> {
    Ok([7; 16])
}

fn token() -> Token {
    Token::new([9; 16])
}

const PORTS: (u16, u16) = (50_000, 50_049);

fn offered(told: Option<IpAddr>) -> Offered {
    Offered {
        listen: vec!["0.0.0.0:21".parse().unwrap()],
        passive: Passive::Range(PortRange::new(PORTS.0, PORTS.1).unwrap()),
        one_port_auto: false,
        told: told.map_or(Told::Reached, Told::Address),
        told_by_network: false,
        active: true,
        active_port: Some(20),
        max_sessions: None,
        keepalive: Duration::from_secs(30),
        balanced: false,
    }
}

fn question(listener: SocketAddr, told: Option<IpAddr>) -> Question {
    Question {
        listener,
        token: token(),
        control_ports: vec![21],
        data_ports: sample(PORTS.0, PORTS.1, 8),
        told,
        active: Some(Some(20)),
        challenge: Challenge::new([3; 16]),
    }
}

/// A server that greets at its control port, and the two wharfs.
async fn asked(scene: &Scene, told: Option<IpAddr>) -> (Answer, Ended) {
    let client: Arc<dyn Net> = scene.world.host("client");
    let server: Arc<dyn Net> = scene.world.host("server");
    let mut control = server.listen(ListenAt::one(scene.listen)).await.unwrap();
    let greeter = tokio::spawn(async move {
        while let Ok(mut conn) = control.accept().await {
            let _ = conn.write_all(b"220 ready\r\n").await;
        }
    });
    let here = "198.51.100.130:2120".parse().unwrap();
    let waiting = Waiting::open(client, ListenAt::one(here), token(), random)
        .await
        .unwrap();
    let serving = tokio::spawn(waiting.serve(Duration::from_mins(10)));
    let answer = ask(server, &question(here, told)).await.unwrap();
    greeter.abort();
    (answer, serving.await.unwrap().unwrap())
}

/// What the conclusion finds, per topology.
#[tokio::test(start_paused = true)]
async fn every_advertised_port_is_proved_or_refuted() {
    let rows = [
        ("open", ""),
        ("server-fw-21", "data-unreachable"),
        ("server-dnat-leak", "told-private"),
        ("server-dnat-fixed", ""),
        ("server-dnat-21", "data-unreachable told-private"),
    ];
    for (name, expected) in rows {
        let row = TOPOLOGIES.iter().find(|row| row.name == name).unwrap();
        let scene = (row.build)();
        let (answer, ended) = asked(&scene, scene.advertise).await;
        let found = conclude(&offered(scene.advertise), &answer);
        let words: Vec<&str> = found.findings.iter().map(|it| it.word).collect();
        assert_eq!(words.join(" "), expected, "{name}: {answer:?}");
        assert!(
            matches!(ended, Ended::Asked { knocks: 9, .. }),
            "{name}: {ended:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_source_port_of_the_call_is_seen() {
    let row = TOPOLOGIES.iter().find(|row| row.name == "open").unwrap();
    let (answer, _) = asked(&(row.build)(), None).await;
    let call = answer.call.unwrap();
    assert_eq!(
        call.saw,
        Some(Saw::Called("203.0.113.130:20".parse().unwrap()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_learns_nothing_and_the_right_one_works_once() {
    let row = TOPOLOGIES.iter().find(|row| row.name == "open").unwrap();
    let scene = (row.build)();
    let here: SocketAddr = "198.51.100.130:2120".parse().unwrap();
    let client: Arc<dyn Net> = scene.world.host("client");
    let server: Arc<dyn Net> = scene.world.host("server");
    let waiting = Waiting::open(client, ListenAt::one(here), token(), random)
        .await
        .unwrap();
    let serving = tokio::spawn(waiting.serve(Duration::from_mins(10)));
    let wrong = Question {
        token: Token::new([1; 16]),
        ..question(here, None)
    };
    let refused = ask(Arc::clone(&server), &wrong).await;
    assert!(matches!(refused, Err(AskError::Refused(..))), "{refused:?}");
    ask(Arc::clone(&server), &question(here, None))
        .await
        .unwrap();
    assert!(matches!(
        serving.await.unwrap().unwrap(),
        Ended::Asked { .. }
    ));
    let again = ask(server, &question(here, None)).await;
    assert!(matches!(again, Err(AskError::Unreachable(..))), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_and_it_ends() {
    let row = TOPOLOGIES.iter().find(|row| row.name == "open").unwrap();
    let scene = (row.build)();
    let client: Arc<dyn Net> = scene.world.host("client");
    let here = ListenAt::one("198.51.100.130:2120".parse().unwrap());
    let waiting = Waiting::open(client, here, token(), random).await.unwrap();
    let ended = waiting.serve(Duration::from_mins(10)).await.unwrap();
    assert_eq!(ended, Ended::Nobody { strangers: 0 });
}

/// Whoever connects and says anything but the proof is sent away, and the wharf that waits goes on waiting.
#[tokio::test(start_paused = true)]
async fn hostile_peers_are_sent_away() {
    let row = TOPOLOGIES.iter().find(|row| row.name == "open").unwrap();
    let scene = (row.build)();
    let here: SocketAddr = "198.51.100.130:2120".parse().unwrap();
    let client: Arc<dyn Net> = scene.world.host("client");
    let server = scene.world.host("server");
    let waiting = Waiting::open(client, ListenAt::one(here), token(), random)
        .await
        .unwrap();
    let serving = tokio::spawn(waiting.serve(Duration::from_mins(10)));
    let long = vec![b'x'; 100_000];
    let sayings: &[&[u8]] = &[
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        b"KNOCK 1 203.0.113.130:22\r\n",
        b"AWAIT 1\r\n",
        b"CALL 1 0000000000000000000000000000000000000000000000000000000000000000\r\n",
        b"HELLO 2 x y\r\n",
        b"\xff\x00\r\n",
        &long,
    ];
    for saying in sayings {
        let mut conn = server.connect(Source::Any, here).await.unwrap();
        let _ = conn.write_all(saying).await;
        let mut said = Vec::new();
        let _ = conn.read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.starts_with("WHARF-LISTEN 1 "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    ask(server, &question(here, None)).await.unwrap();
    assert!(matches!(
        serving.await.unwrap().unwrap(),
        Ended::Asked { .. }
    ));
}

#[test]
fn only_the_asker_is_knocked_at() {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let mut visit = Visit::new("203.0.113.1".parse().unwrap());
    assert_eq!(visit.knock(at("203.0.113.1:22")), Ok(()));
    assert_eq!(visit.knock(at("203.0.113.1:0")), Err(Refusal::Unproven));
    for private in [
        "10.0.0.1:80",
        "127.0.0.1:22",
        "[::1]:22",
        "169.254.169.254:80",
        "192.168.1.1:80",
    ] {
        assert_eq!(
            visit.knock(at(private)),
            Err(Refusal::Unproven),
            "{private}"
        );
    }
    // A public address: four ports, of which nothing is told,
    for port in 1..=4 {
        let to = SocketAddr::new("198.51.100.9".parse().unwrap(), port);
        assert_eq!(visit.knock(to), Ok(()));
        assert_eq!(visit.tell(to, Saw::Refused), Saw::Unproven);
    }
    assert_eq!(visit.knock(at("198.51.100.9:5")), Err(Refusal::Unproven));
    // one that proves itself is as good as the asker's own,
    assert_eq!(visit.knock(at("198.51.100.8:50000")), Ok(()));
    assert_eq!(
        visit.tell(at("198.51.100.8:50000"), Saw::Matched),
        Saw::Matched
    );
    for port in 50_001..50_020 {
        let to = SocketAddr::new("198.51.100.8".parse().unwrap(), port);
        assert_eq!(visit.knock(to), Ok(()));
        assert_eq!(visit.tell(to, Saw::Silent), Saw::Silent);
    }
    // and there is no third.
    assert_eq!(
        visit.knock(at("198.51.100.7:50000")),
        Err(Refusal::Unproven)
    );
    let mut last = Ok(());
    for _ in 0..=MOST_KNOCKS {
        last = visit.knock(at("203.0.113.1:1"));
    }
    assert_eq!(last, Err(Refusal::TooMany));
}

#[test]
fn samples_have_both_ends() {
    assert_eq!(sample(50_000, 50_003, 40), [50_000, 50_001, 50_002, 50_003]);
    assert_eq!(sample(5, 5, 40), [5]);
    let many = sample(50_000, 50_999, 24);
    assert_eq!((many.len(), many[0], many[23]), (24, 50_000, 50_999));
    assert_eq!(sample(1, u16::MAX, 3), [1, 32_768, 65_535]);
}

#[test]
fn proofs_are_of_one_purpose_and_one_conversation() {
    let challenges = Challenges {
        listener: Challenge::new([1; 16]),
        asker: Challenge::new([2; 16]),
    };
    let proof = token().prove(Purpose::Asker, &challenges);
    assert!(token().accepts(&proof, Purpose::Asker, &challenges));
    assert!(!token().accepts(&proof, Purpose::Listener, &challenges));
    assert!(!Token::new([0; 16]).accepts(&proof, Purpose::Asker, &challenges));
    let turned = Challenges {
        listener: challenges.asker,
        asker: challenges.listener,
    };
    assert!(!token().accepts(&proof, Purpose::Asker, &turned));
    assert!(!format!("{:?}", token()).contains('9'));
    assert_eq!(token().reveal().parse::<Token>(), Ok(token()));
}

fn saws() -> impl Strategy<Value = Saw> {
    prop_oneof![
        Just(Saw::Matched),
        Just(Saw::Refused),
        Just(Saw::Silent),
        Just(Saw::Unreachable),
        Just(Saw::Mute),
        Just(Saw::Unproven),
        any::<(IpAddr, u16)>().prop_map(|(ip, port)| Saw::Called(SocketAddr::new(ip, port))),
    ]
}

proptest! {
    /// What is written is read, and fits into a line.
    #[test]
    fn lines_go_through(id: u32, to: SocketAddr, saw in saws(), bytes: [u8; 16]) {
        let challenges = Challenges { listener: Challenge::new(bytes), asker: Challenge::new(bytes) };
        let proof = Token::new(bytes).prove(Purpose::Call(id), &challenges);
        let to = SocketAddr::new(to.ip(), to.port());
        for line in [
            Line::Greeting(challenges.listener),
            Line::Hello(challenges.asker, proof),
            Line::Welcome(proof, to),
            Line::Knock(id, to),
            Line::Await(id),
            Line::Call(id, proof),
            Line::Saw(id, saw.clone()),
            Line::Bye,
            Line::Here(proof),
        ] {
            let text = line.to_string();
            prop_assert!(text.len() + 2 <= MOST_BYTES);
            prop_assert_eq!(Line::parse(&text), Some(line.clone()), "{}", text);
        }
    }

    /// Whatever is said elsewhere arrives on one line of printable characters.
    #[test]
    fn foreign_words_are_harmless(id: u32, said: String, junk: String) {
        let text = Line::Saw(id, Saw::Other(said)).to_string();
        prop_assert!(text.len() + 2 <= MOST_BYTES);
        prop_assert!(text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()));
        let _ = Line::parse(&junk);
        let _ = Line::parse(&format!("SAW {junk}"));
        let _ = Line::parse(&format!("KNOCK {junk}"));
    }

    /// In whatever pieces bytes arrive, nothing is held beyond two lines' worth and nothing panics.
    #[test]
    fn reading_is_bounded(bytes: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut lines = Lines::new(&*bytes);
            while let Ok(text) = lines.text(Duration::from_secs(1)).await {
                assert!(text.len() <= bytes.len() * 3);
            }
            assert!(lines.begun().len() <= 2 * MOST_BYTES);
        });
    }
}
