//! Who is sent away, when, and who is not

mod stage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use stage::client::Client;
use stage::{CLIENT, SERVER, STRANGER, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_accounts::{Ban, BanPolicy, Bans, Subject};
use wharf_net::Source;

fn bans() -> Arc<Bans> {
    Arc::new(Bans::in_memory(BanPolicy::default()))
}

async fn stage(bans: &Arc<Bans>) -> Stage {
    let bans = Arc::clone(bans);
    Stage::with(|config| config.bans = Some(bans)).await
}

/// So many wrong passwords, five a connection; what the last one is answered.
async fn guess(stage: &Stage, user: &str, times: u32) -> u16 {
    let mut client = Client::connect(stage).await;
    client.expect(220).await;
    for n in 1..=times {
        client.say(&format!("USER {user}"), 331).await;
        client.send(b"PASS guess\r\n").await;
        let (code, _) = client.reply().await;
        if n == times {
            return code;
        }
        if n % 5 == 0 {
            assert_eq!(client.line().await, None);
            client = Client::connect(stage).await;
            client.expect(220).await;
        }
    }
    0
}

/// Everything that an address which is not the client's hears when it connects and sends this.
async fn stranger_hears(stage: &Stage, lines: &str) -> String {
    let net = stage.net("stranger");
    let at = SocketAddr::new(SERVER.parse().unwrap(), 21);
    let mut conn = net.connect(Source::Any, at).await.unwrap();
    conn.write_all(lines.as_bytes()).await.unwrap();
    let mut said = String::new();
    let _ = conn.read_to_string(&mut said).await;
    said
}

#[tokio::test(start_paused = true)]
async fn who_guesses_is_sent_away_before_the_greeting() {
    let bans = bans();
    let stage = stage(&bans).await;
    assert_eq!(guess(&stage, "ann", 9).await, 530);
    assert_eq!(guess(&stage, "nobody", 1).await, 421, "the tenth");
    let mut client = Client::connect(&stage).await;
    let said = client.expect(421).await;
    assert!(said.contains("come back in 5 min"), "{said}");
    assert_eq!(client.line().await, None);
    assert!(
        stranger_hears(&stage, "QUIT\r\n").await.starts_with("220"),
        "others are served"
    );
    bans.lift(
        &[Subject::client(CLIENT.parse().unwrap())],
        SystemTime::now(),
    );
    Client::login(&stage, "ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_running_session_of_the_banned_may_not_go_on_guessing() {
    let bans = bans();
    let stage = stage(&bans).await;
    let mut early = Client::connect(&stage).await;
    early.expect(220).await;
    let mut logged_in = Client::login(&stage, "bob").await;
    assert_eq!(guess(&stage, "ann", 10).await, 421);
    // bob is known here, so the door is open; who is not known is still not tried.
    early.say("USER eve", 331).await;
    early.say("PASS secret", 421).await;
    assert_eq!(early.line().await, None);
    logged_in.say("NOOP", 200).await;
    Client::login(&stage, "bob").await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_attacked_from_elsewhere_is_let_in_where_known() {
    let bans = bans();
    let stage = stage(&bans).await;
    drop(Client::login(&stage, "ann").await);
    for bot in 0..60 {
        bans.failed([192, 0, 2, bot].into(), b"ann", SystemTime::now());
        bans.failed([192, 0, 2, bot].into(), b"nobody", SystemTime::now());
    }
    Client::login(&stage, "ann").await;
    // The same text for a name that nobody has.
    let known = stranger_hears(&stage, "USER ann\r\nPASS secret\r\nQUIT\r\n").await;
    let unknown = stranger_hears(&stage, "USER nobody\r\nPASS secret\r\nQUIT\r\n").await;
    assert!(
        known.contains("530 Too many failed logins for this user"),
        "{known}"
    );
    assert_eq!(known, unknown);
}

#[tokio::test(start_paused = true)]
async fn browsers_and_babblers_count_and_are_cut_off() {
    let bans = bans();
    let stage = stage(&bans).await;
    let address = STRANGER.parse().unwrap();
    for n in 0.. {
        let said = stranger_hears(&stage, "GET / HTTP/1.1\r\n").await;
        if said.starts_with("421 Too many failures") {
            assert_eq!(n, 48);
            break;
        }
    }
    bans.lift(&[Subject::client(address)], SystemTime::now());
    for _ in 0..10 {
        assert!(
            stranger_hears(&stage, &"XYZZY\r\n".repeat(11))
                .await
                .ends_with("goodbye\r\n")
        );
    }
    assert!(bans.closed_to(address, SystemTime::now()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_person_may_ban_anybody() {
    let bans = bans();
    let stage = stage(&bans).await;
    drop(Client::login(&stage, "ann").await);
    let now = SystemTime::now();
    bans.add(Ban::by_hand(Subject::user(b"ann"), now, None, ""), now);
    let mut client = Client::connect(&stage).await;
    client.expect(220).await;
    client.say("USER ann", 331).await;
    client.say("PASS secret", 530).await;
    client.say("USER bob", 331).await;
    client.say("PASS secret", 230).await;
    bans.add(
        Ban::by_hand(Subject::client(CLIENT.parse().unwrap()), now, None, ""),
        now,
    );
    Client::connect(&stage).await.expect(421).await;
    client.say("NOOP", 200).await;
}

#[tokio::test(start_paused = true)]
async fn anonymous_logins_do_not_hold_the_door_open() {
    let bans = bans();
    bans.succeeded(CLIENT.parse().unwrap(), b"bob", 0, SystemTime::now());
    let accounts = wharf_accounts::Anonymous::new(
        Arc::new(wharf_storage::Memory::new()),
        wharf_proto::Pathname::root(),
    );
    let shared = Arc::clone(&bans);
    let stage = Stage::with_accounts(
        |config| config.bans = Some(shared),
        Some(Arc::new(accounts)),
    )
    .await;
    assert!(
        stranger_hears(&stage, "USER anonymous\r\nPASS x\r\nQUIT\r\n")
            .await
            .contains("230")
    );
    for _ in 0..10 {
        bans.failed(STRANGER.parse().unwrap(), b"ann", SystemTime::now());
    }
    assert!(stranger_hears(&stage, "").await.starts_with("421"));
}
