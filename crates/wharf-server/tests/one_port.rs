//! Several sessions at one port: turns, users, a new configuration, a stop

mod stage;

use std::sync::Arc;
use std::time::Duration;

use stage::client::Client;
use stage::{CLIENT, SERVER, Stage};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};
use wharf_accounts::Anonymous;
use wharf_net::{Conn, Source};
use wharf_proto::Pathname;
use wharf_server::{Config, OnePort, SharedAddress, serve_connection};
use wharf_storage::Memory;

async fn one_port() -> Stage {
    Stage::with(|config| config.one_port = OnePort::On).await
}

#[tokio::test(start_paused = true)]
async fn sessions_of_one_address_take_turns() {
    let stage = one_port().await;
    let mut first = Client::login(&stage, "ann").await;
    let mut second = Client::login(&stage, "ann").await;
    first.say("EPSV", 229).await;
    second.send(b"EPSV\r\n").await;
    assert!(second.is_quiet().await, "it waits for its turn");
    first.open().await;
    first.say("RETR digits", 150).await;
    assert_eq!(first.receive().await, b"0123456789");
    second.expect(229).await;
    first.expect(226).await;
    second.open().await;
    second.download_here("RETR hello.txt", b"hello\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_not_deaf() {
    let stage = one_port().await;
    let mut first = Client::login(&stage, "ann").await;
    let mut second = Client::login(&stage, "ann").await;
    first.say("EPSV", 229).await;
    second.send(b"EPSV\r\n").await;
    second.say("NOOP", 200).await;
    second.send(b"ABOR\r\n").await;
    second.expect(425).await;
    second.expect(226).await;
    // Who waited and went away leaves nothing behind.
    second.send(b"EPSV\r\n").await;
    sleep(Duration::from_millis(1)).await;
    second.vanish();
    first.say("ABOR", 225).await;
    first.say("EPSV", 229).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_used_ends_when_others_wait() {
    let stage = one_port().await;
    let mut first = Client::login(&stage, "ann").await;
    let mut second = Client::login(&stage, "ann").await;
    first.say("EPSV", 229).await;
    let began = Instant::now();
    second.say("EPSV", 229).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let text = first.say("LIST", 425).await;
    assert!(text.contains("ask for it again"), "{text}");
    second.open().await;
    second.download_here("RETR digits", b"0123456789").await;
}

#[tokio::test(start_paused = true)]
async fn different_users_at_one_address_do_not_share_the_control_port() {
    let stage = one_port().await;
    let mut ann = Client::login(&stage, "ann").await;
    ann.say("EPSV", 229).await;
    let mut bob = Client::login(&stage, "bob").await;
    for client in [&mut ann, &mut bob] {
        let text = client.say("PASV", 425).await;
        assert!(text.contains("several users are logged in from"), "{text}");
    }
    // The other one leaves.
    bob.say("QUIT", 221).await;
    assert!(bob.line().await.is_none());
    sleep(Duration::from_secs(1)).await;
    ann.say("EPSV", 229).await;

    let stage = Stage::with(|config| {
        config.one_port = OnePort::On;
        config.shared_address = SharedAddress::AnyUser;
    })
    .await;
    let mut ann = Client::login(&stage, "ann").await;
    let _bob = Client::login(&stage, "bob").await;
    assert_eq!(ann.download("RETR digits").await, b"0123456789");

    // With data ports of their own nothing can be mistaken.
    let stage = Stage::with(|config| {
        config.one_port = OnePort::Auto;
        config.data_port = "2020".parse().ok();
    })
    .await;
    let mut ann = Client::login(&stage, "ann").await;
    let mut bob = Client::login(&stage, "bob").await;
    assert_eq!(ann.download("RETR digits").await, b"0123456789");
    assert_eq!(bob.download("RETR digits").await, b"0123456789");
}

/// The control port is one more
#[tokio::test(start_paused = true)]
async fn a_range_that_is_used_up_ends_at_the_control_port() {
    let stage = Stage::with(|config| config.passive_ports = "60000".parse().unwrap()).await;
    let mut first = Client::login(&stage, "ann").await;
    let mut second = Client::login(&stage, "ann").await;
    first.say("EPSV", 229).await;
    second.say("EPSV", 229).await;
    assert_eq!(first.told.unwrap().port(), 60000);
    assert_eq!(second.told.unwrap().port(), 21);
    second.open().await;
    second.download_here("RETR digits", b"0123456789").await;
}

#[tokio::test(start_paused = true)]
async fn a_running_session_keeps_its_shared_port_over_a_reload() {
    let stage = Stage::with(|config| {
        config.one_port = OnePort::Off;
        config.data_port = "2020".parse().ok();
    })
    .await;
    let mut old = Client::login(&stage, "ann").await;
    let config = Config {
        listen: vec!["[::]:21".parse().unwrap()],
        one_port: OnePort::On,
        ..Config::default()
    };
    stage.handle.reload(config, None).await.unwrap();
    let mut new = Client::login(&stage, "ann").await;
    assert_eq!(old.download("RETR digits").await, b"0123456789");
    assert_eq!(old.told.unwrap().port(), 2020);
    assert_eq!(new.download("RETR digits").await, b"0123456789");
    assert_eq!(new.told.unwrap().port(), 21);
    // With its last session the port is closed.
    old.vanish();
    sleep(Duration::from_secs(1)).await;
    let at = format!("{SERVER}:2020").parse().unwrap();
    let again = stage.net("client").connect(Source::Any, at).await;
    assert!(again.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_closed_control_port_is_no_data_port() {
    let stage = one_port().await;
    let mut old = Client::login(&stage, "ann").await;
    let config = Config {
        listen: vec!["[::]:990".parse().unwrap()],
        ..Config::default()
    };
    stage.handle.reload(config, None).await.unwrap();
    let text = old.say("EPSV", 425).await;
    assert!(text.contains("log in again"), "{text}");
}

/// The announced transfer is finished, nobody else is served
#[tokio::test(start_paused = true)]
async fn a_stop_lets_an_awaited_data_connection_in() {
    let stage = one_port().await;
    let mut client = Client::login(&stage, "ann").await;
    client.say("EPSV", 229).await;
    client.say("RETR digits", 150).await;
    stage.handle.stop(Duration::from_secs(30));
    sleep(Duration::from_millis(10)).await;
    client.open().await;
    assert_eq!(client.receive().await, b"0123456789");
    client.expect(226).await;
    client.expect(421).await;
    assert!(client.line().await.is_none());
    client.vanish();
    timeout(Duration::from_secs(1), stage.running)
        .await
        .unwrap()
        .unwrap();
}

/// No door belongs to it
#[tokio::test(start_paused = true)]
async fn a_session_without_a_server_uses_the_range() {
    let world = wharf_sim::World::new();
    world.add_host("server", wharf_sim::World::INTERNET, [SERVER]);
    let (mut ours, theirs) = tokio::io::duplex(4096);
    let conn = Conn::foreign(
        Box::new(theirs),
        format!("{SERVER}:21").parse().unwrap(),
        format!("{CLIENT}:4000").parse().unwrap(),
    );
    let config = Config {
        one_port: OnePort::On,
        ..Config::default()
    };
    let accounts = Anonymous::new(Arc::new(Memory::new()), Pathname::root());
    let serving = serve_connection(conn, config, Arc::new(accounts), world.host("server"));
    tokio::spawn(serving);
    let lines = b"USER ftp\r\nPASS x\r\nEPSV\r\nQUIT\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut ours, lines)
        .await
        .unwrap();
    let mut told = String::new();
    ours.read_to_string(&mut told).await.unwrap();
    assert!(told.contains("(|||50"), "{told}");
}

/// A carrier's NAT gives the data connection another address than the control connection
#[tokio::test(start_paused = true)]
async fn a_listed_pool_of_addresses_is_one_client() {
    for one_port in [OnePort::On, OnePort::Off] {
        for data_port in [None, "2020".parse().ok()] {
            let stage = Stage::with(|config| {
                config.one_port = one_port;
                config.data_port = data_port;
                config.address_pools = vec!["198.51.100.0/24".parse().unwrap()];
            })
            .await;
            let mut client = Client::login(&stage, "ann").await;
            client.say("EPSV", 229).await;
            client.data = Some(client.stranger().await);
            client.download_here("RETR digits", b"0123456789").await;
        }
    }
}
