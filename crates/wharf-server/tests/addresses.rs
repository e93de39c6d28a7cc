//! Which addresses a server tells, believes and repairs when something between it and its clients rewrites them

mod stage;

use stage::client::Client;
use stage::{CLIENT, Stage};
use wharf_server::PortPolicy;

/// The argument of PORT for the client's port that was listened on, with a host of the caller's choice
fn port(host: &str, port: u16) -> String {
    format!(
        "PORT {},{},{}",
        host.replace('.', ","),
        port / 256,
        port % 256
    )
}

#[tokio::test(start_paused = true)]
async fn a_port_with_a_private_address_is_refused_with_the_reason() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    let reply = client.say(&port("192.168.10.2", 40_001), 501).await;
    assert!(
        reply.contains("data connections go only to 198.51.100.7") && reply.contains("NAT"),
        "{reply}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_port_with_a_private_address_is_repaired_where_that_is_the_policy() {
    let stage = Stage::with(|config| config.port_policy = PortPolicy::Repair).await;
    let mut client = Client::login(&stage, "ann").await;
    let at = client.listen().await;
    for command in [
        port("192.168.10.2", at.port()),
        format!("EPRT |1|10.0.0.9|{}|", at.port()),
        format!(
            "LPRT 4,4,172,16,0,1,2,{},{}",
            at.port() / 256,
            at.port() % 256
        ),
    ] {
        let reply = client.say(&command, 200).await;
        let word = &command[..4];
        assert_eq!(
            reply,
            format!(
                "200 {word} accepted, to your address {CLIENT}:{}",
                at.port()
            )
        );
        client.send(b"RETR digits\r\n").await;
        client.accept().await;
        client.expect(150).await;
        assert_eq!(client.receive().await, b"0123456789");
        client.expect(226).await;
    }
    client.say(&port("192.168.10.2", 25), 504).await;
    client.say(&port("203.0.113.66", at.port()), 501).await;
    let reply = client.say(&port(CLIENT, at.port()), 200).await;
    assert_eq!(reply, "200 PORT accepted");
}

#[tokio::test(start_paused = true)]
async fn a_client_learns_where_it_is_seen() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    let from = client.control().local_addr();
    let reply = client.say("SITE WHOAMI", 200).await;
    assert_eq!(reply, format!("200 You are {from}, logged in as ann"));
    let status = client.say("STAT", 211).await;
    assert!(
        status.contains(&format!("\n Connected from {from}\n")),
        "{status}"
    );
}
