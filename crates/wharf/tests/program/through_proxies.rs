//! The client behind proxies of every kind: files there and back, listings, and what the proxy was asked for.

use crate::boundary::{Place, Running, Server, noise};
use crate::gateway::{Gateway, Rules};

/// Server and bytes that must come through.
fn scene() -> (Place, Server, Vec<u8>) {
    let place = Place::new();
    let server = Server::start_with(&place, &["--active-port", "0"]);
    let bytes = noise(300_000);
    place.write("files/down", &bytes);
    place.write("up", &bytes);
    (place, server, bytes)
}

#[test]
fn every_connection_goes_through_the_proxy() {
    let (place, server, bytes) = scene();
    let open = Gateway::start(Rules::default());
    let closed = Gateway::start(Rules {
        login: Some(("me", "secret")),
        ..Rules::default()
    });
    let port = server.port();
    for (proxy, gateway, mode, host, word, second) in [
        (
            "socks5://",
            &open,
            "passive",
            "127.0.0.1",
            "socks5",
            "connect",
        ),
        (
            "socks5h://",
            &open,
            "passive",
            "ftp.invalid",
            "socks5",
            "connect",
        ),
        (
            "socks5h://",
            &open,
            "pasv",
            "ftp.invalid",
            "socks5",
            "connect",
        ),
        (
            "socks5h://me:secret@",
            &closed,
            "passive",
            "ftp.invalid",
            "socks5",
            "connect",
        ),
        ("socks5://", &open, "port", "127.0.0.1", "socks5", "bind"),
        ("socks5://", &open, "eprt", "127.0.0.1", "socks5", "bind"),
        (
            "socks5h://me:secret@",
            &closed,
            "active",
            "ftp.invalid",
            "socks5",
            "bind",
        ),
        (
            "socks4://",
            &open,
            "passive",
            "127.0.0.1",
            "socks4",
            "connect",
        ),
        (
            "socks4a://",
            &open,
            "passive",
            "ftp.invalid",
            "socks4a",
            "connect",
        ),
        (
            "socks4a://me@",
            &open,
            "active",
            "ftp.invalid",
            "socks4a",
            "bind",
        ),
        ("http://", &open, "passive", "127.0.0.1", "http", "connect"),
        ("", &open, "passive", "ftp.invalid", "http", "connect"),
        (
            "http://me:secret@",
            &closed,
            "epsv",
            "ftp.invalid",
            "http",
            "connect",
        ),
    ] {
        let row = format!("{proxy} {mode} {host}");
        let via = format!("{proxy}127.0.0.1:{}", gateway.port);
        let url = |path: &str| format!("ftp://tester:geheim@{host}:{port}/{path}");
        let run = |words: &[&str]| {
            let more = ["--proxy", &via, "--mode", mode];
            place.run([words, &more[..]].concat()).expect(0)
        };
        run(&["get", "-o", "back", &url("down")]);
        assert!(place.read("back") == bytes, "{row}");
        run(&["put", "up", &url("up")]);
        assert!(place.read("files/up") == bytes, "{row}");
        let listed = run(&["ls", &url("")]);
        assert_eq!(listed.text(), "down\nup\n", "{row}");
        let asked = gateway.asked(port);
        let control = format!("{word} connect {host}:PORT");
        let data = match second {
            "bind" => format!("{word} bind {host}:PORT"),
            _ => format!("{word} connect {host}:N"),
        };
        assert!(
            asked.iter().filter(|it| **it == control).count() >= 3,
            "{row}: {asked:?}"
        );
        assert!(
            asked.iter().filter(|it| **it == data).count() >= 3,
            "{row}: {asked:?}"
        );
        assert!(
            asked.iter().all(|it| [&control, &data].contains(&it)),
            "{row}: {asked:?}"
        );
        std::fs::remove_file(place.path("files/up")).expect("it is there");
    }
}

#[test]
fn tls_with_the_server_goes_through_the_proxy_unread() {
    let place = Place::new();
    let server = Server::start_with(&place, &["--tls", "required"]);
    place.write("files/down", noise(100_000));
    let gateway = Gateway::start(Rules::default());
    for proxy in ["socks5", "http"] {
        let via = format!("{proxy}://127.0.0.1:{}", gateway.port);
        let url = server.url("down");
        let words = [
            "get", "--tls", "prefer", "--proxy", &via, "-o", "back", &url, "-v",
        ];
        let ended = place.run(words).expect(0);
        assert!(ended.stderr.contains("> PROT P"), "{}", ended.stderr);
        assert!(place.read("back") == place.read("files/down"), "{proxy}");
        assert!(gateway.asked(server.port()).len() >= 2, "{proxy}");
    }
}

#[test]
fn what_a_proxy_refuses_is_said_with_the_next_step() {
    let (place, server, _) = scene();
    let open = Gateway::start(Rules {
        no_bind: true,
        ..Rules::default()
    });
    let closed = Gateway::start(Rules {
        login: Some(("me", "secret")),
        ..Rules::default()
    });
    let (open, closed) = (open.port, closed.port);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let url = server.url("down");
    let dead = format!("ftp://tester:geheim@127.0.0.1:{silent}/down");
    for (proxy, url, more, code, said) in [
        (
            format!("socks5://127.0.0.1:{closed}"),
            &url,
            None,
            3,
            "it wants a user and a password",
        ),
        (
            format!("socks5://me:wrong@127.0.0.1:{closed}"),
            &url,
            None,
            3,
            "user and password refused",
        ),
        (format!("http://127.0.0.1:{closed}"), &url, None, 3, "(407)"),
        (
            format!("http://127.0.0.1:{silent}"),
            &url,
            None,
            3,
            "it cannot be reached",
        ),
        (
            format!("socks5://127.0.0.1:{open}"),
            &dead,
            None,
            3,
            "connection refused",
        ),
        (format!("http://127.0.0.1:{open}"), &dead, None, 3, "503"),
        (
            format!("http://127.0.0.1:{open}"),
            &url,
            Some("--active"),
            2,
            "--mode passive, or a SOCKS proxy",
        ),
        (
            format!("socks5h://127.0.0.1:{open}"),
            &url,
            Some("--ipv6"),
            2,
            "socks5:// resolves names here",
        ),
        (
            format!("socks5://127.0.0.1:{open}"),
            &url,
            Some("--active"),
            7,
            "the proxy takes no connections for us",
        ),
        (
            "gopher://proxy".to_owned(),
            &url,
            None,
            2,
            "wharf help proxies",
        ),
        (
            format!("socks5://me:geh%00eim@127.0.0.1:{open}"),
            &url,
            None,
            2,
            "cannot be read",
        ),
    ] {
        let mut words = vec!["get", "--proxy", &proxy, "-o", "-", url];
        words.extend(more);
        let ended = place.run(words).expect(code);
        assert!(
            ended.stderr.contains(said),
            "{proxy} {more:?}: {}",
            ended.stderr
        );
        for secret in ["secret", "wrong", "geheim", "geh%00eim"] {
            assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
        }
    }
}

#[test]
fn the_environment_names_the_proxy_as_for_curl() {
    let (place, server, _) = scene();
    let gateway = Gateway::start(Rules::default());
    let (port, url) = (server.port(), server.url("down"));
    let via = format!("socks5h://127.0.0.1:{}", gateway.port);
    let nowhere = "http://127.0.0.1:1";
    for (variables, flags, through) in [
        (vec![("ftp_proxy", &*via)], vec![], true),
        (vec![("FTP_PROXY", &*via)], vec![], true),
        (vec![("all_proxy", &*via)], vec![], true),
        (vec![("ALL_PROXY", &*via)], vec![], true),
        (
            vec![("ftp_proxy", &*via), ("all_proxy", nowhere)],
            vec![],
            true,
        ),
        (
            vec![("http_proxy", nowhere), ("https_proxy", nowhere)],
            vec![],
            false,
        ),
        (
            vec![("ftp_proxy", &*via), ("no_proxy", "127.0.0.0/8")],
            vec![],
            false,
        ),
        (vec![("ftp_proxy", &*via), ("NO_PROXY", "*")], vec![], false),
        (
            vec![("ftp_proxy", &*via), ("no_proxy", "example.org")],
            vec![],
            true,
        ),
        (
            vec![("ftp_proxy", nowhere)],
            vec!["--proxy", "direct"],
            false,
        ),
        (vec![("ftp_proxy", nowhere)], vec!["--proxy", &*via], true),
        (
            vec![("ftp_proxy", &*via)],
            vec!["--no-proxy", "127.0.0.1"],
            false,
        ),
        (
            vec![("WHARF_PROXY", &*via), ("no_proxy", "x")],
            vec!["--no-proxy", ""],
            true,
        ),
        (
            vec![("WHARF_PROXY", &*via), ("no_proxy", "*")],
            vec![],
            false,
        ),
    ] {
        let mut command = place.command([&["get", "-o", "back", &url], &flags[..]].concat());
        command.envs(variables.clone());
        Running::start(command).end().expect(0);
        let asked = gateway.asked(port);
        assert_eq!(
            !asked.is_empty(),
            through,
            "{variables:?} {flags:?}: {asked:?}"
        );
    }
}

#[test]
fn an_ftp_proxy_is_logged_in_to() {
    let (place, server, bytes) = scene();
    // It leads to whichever server the user names.
    let allowed = format!("127.0.0.0/8:{}", server.port());
    let words = [
        "proxy",
        "--listen",
        "127.0.0.1:0",
        "--upstream",
        "user@host",
        "--allow",
        &allowed,
    ];
    let mut proxy = Running::start(place.command(words));
    let line = proxy.says("listening on ");
    let via = format!("ftp://{}", line.trim_start_matches("listening on "));
    let url = server.url("down");
    for mode in ["passive", "active"] {
        let words = [
            "get", "-v", "--mode", mode, "--proxy", &via, "-o", "back", &url,
        ];
        let ended = place.run(words).expect(0);
        assert!(place.read("back") == bytes, "{mode}");
        let said = format!("> USER tester@127.0.0.1:{}", server.port());
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    }
    let ended = place
        .run(["get", "--proxy", &via, "--proxy-login", "nonsense", &url])
        .expect(2);
    assert!(
        ended.stderr.contains("user@proxyuser@host"),
        "{}",
        ended.stderr
    );
    let wrong = format!("ftp://tester:falsch@{}/down", server.address);
    let ended = place.run(["get", "--proxy", &via, &wrong]).expect(4);
    assert!(
        ended.stderr.contains("through the FTP proxy"),
        "{}",
        ended.stderr
    );
}
