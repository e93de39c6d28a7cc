//! `wharf proxy` between the client and the server of this program, on loopback.

use crate::boundary::{Place, Running, Server, noise};

struct Proxy {
    running: Running,
    address: String,
}

impl Proxy {
    #[track_caller]
    fn start(place: &Place, upstream: &str, more: &[&str]) -> Self {
        let words = ["proxy", "--listen", "127.0.0.1:0", "--upstream", upstream];
        let mut running = Running::start(place.command([&words[..], more].concat()));
        let line = running.says("listening on ");
        let address = line.trim_start_matches("listening on ").to_owned();
        Self { running, address }
    }
}

#[test]
fn files_go_through_in_every_data_mode() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--active-port", "0"]);
    let content = noise(300_000);
    place.write("files/down", &content);
    for upstream_mode in ["auto", "client", "pasv", "port"] {
        let more = [
            "--upstream-mode",
            upstream_mode,
            "--active-port",
            "0",
            "--trace",
            "trace",
        ];
        let proxy = Proxy::start(&place, &server.address, &more);
        let url = |path: &str| format!("ftp://tester:geheim@{}/{path}", proxy.address);
        for mode in ["epsv", "pasv", "eprt", "port"] {
            let got = format!("{upstream_mode}-{mode}");
            place
                .run(["get", "--mode", mode, &url("down"), "-o", &got])
                .expect(0);
            assert!(place.read(&got) == content, "{got}");
            place
                .run(["put", "--mode", mode, &got, &url(&got)])
                .expect(0);
            assert!(place.read(format!("files/{got}")) == content, "{got}");
        }
        proxy.running.signal("TERM");
        proxy.running.end().expect(0);
    }
    let trace = String::from_utf8(place.read("trace")).expect("text");
    assert!(trace.contains("s1 > PASS ****"), "the client's side");
    assert!(trace.contains("s2 > PASS ****"), "the server's side");
    assert!(trace.contains("s1 # upstream "), "which belong together");
    assert!(!trace.contains("geheim"), "no password");
    place.run(["ladder", "trace"]).expect(0);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let place = Place::new();
    // Nobody listens on the discard port of a test machine.
    let proxy = Proxy::start(&place, "127.0.0.1:9", &[]);
    let url = format!("ftp://{}/x", proxy.address);
    let text = place.run(["get", &url]).stderr;
    assert!(text.contains("The server cannot be reached"), "{text}");
    assert!(!text.contains("127.0.0.1:9"), "the network behind: {text}");
}

#[test]
fn nobody_comes_to_this_machine_through_user_at_host() {
    let place = Place::new();
    let server = Server::start(&place);
    let port = server.port();
    let at = format!("tester%40127.0.0.1%3A{port}");
    place.write("files/down", b"x");
    let closed = Proxy::start(&place, "user@host", &[]);
    let url = format!("ftp://{at}:geheim@{}/down", closed.address);
    let text = place.run(["get", &url]).stderr;
    assert!(text.contains("This proxy does not lead to"), "{text}");
    let rule = format!("127.0.0.0/8:{port}");
    let open = Proxy::start(&place, "user@host", &["--allow", &rule]);
    let url = format!("ftp://{at}:geheim@{}/down", open.address);
    place.run(["get", &url, "-o", "got"]).expect(0);
    assert_eq!(place.read("got"), b"x");
}

#[test]
fn wrong_usage() {
    let place = Place::new();
    for words in [
        &["proxy"][..],
        &["proxy", "--listen", ":0"],
        &["proxy", "--listen", ":0", "--upstream", "host:0"],
        &[
            "proxy",
            "--listen",
            ":0",
            "--upstream",
            "host",
            "--allow",
            "10.0.0.0/8",
        ],
        &[
            "proxy",
            "--listen",
            ":0",
            "--upstream",
            "host",
            "--upstream-mode",
            "mixed",
        ],
    ] {
        place.run(words.iter().copied()).expect(64);
    }
}
