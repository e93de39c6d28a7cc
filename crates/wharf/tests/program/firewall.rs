//! `wharf firewall`. nft is a script here: nothing is ever loaded.

use std::os::unix::fs::PermissionsExt;

use expect_test::expect;

use crate::boundary::{Ended, Place, Running};

/// A table that is not wharf's and drops what it does not know: only port 21 comes in.
const STRICT: &str = r#"{"nftables": [
    {"table": {"family": "inet", "name": "t"}},
    {"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
    {"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 3, "expr": [
      {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "established"}}, {"accept": null}]}},
    {"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 4, "expr": [
      {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 21}},
      {"accept": null}]}}]}"#;

/// A place whose nft writes down how it was called, and answers as told
pub(crate) fn with_nft(answer: &str) -> Place {
    let place = Place::new();
    let nft = place.write(
        "bin/nft",
        format!("#!/bin/sh\nPATH=/usr/bin:/bin\necho \"nft $*\" >> calls\n{answer}\n"),
    );
    std::fs::set_permissions(&nft, PermissionsExt::from_mode(0o755)).unwrap();
    place
}

/// `wharf firewall` with that nft and no other
#[track_caller]
pub(crate) fn firewall(place: &Place, words: &[&str]) -> Ended {
    assert!(place.path("bin/nft").exists(), "never the real one");
    let mut command = place.command(std::iter::once("firewall").chain(words.iter().copied()));
    command.env("PATH", place.path("bin"));
    Running::start(command).end()
}

fn calls(place: &Place) -> String {
    std::fs::read_to_string(place.path("calls")).unwrap_or_default()
}

/// The rules alone
fn rules(ended: &Ended) -> String {
    let text = ended.text();
    let lines = text.split_inclusive('\n');
    lines.filter(|it| !it.starts_with('#')).collect()
}

#[test]
fn the_servers_own_settings_become_rules() {
    let place = Place::new();
    place.write(
        "wharf.toml",
        "listen = [\"0.0.0.0:2121\", \"127.0.0.1:21\"]\n\
         [data]\n\
         passive_ports = \"40000-40009\"\n\
         active = false\n",
    );
    let words = [
        "firewall",
        "--dialect",
        "nftables",
        "--config",
        "wharf.toml",
    ];
    let ended = place.run(words).expect(0);
    expect![[r"
        add table inet wharf
        delete table inet wharf
        table inet wharf {
        	chain input {
        		type filter hook input priority filter; policy accept;
        		meta nfproto ipv4 tcp dport 2121 ct state new accept
        		meta nfproto ipv4 tcp dport 40000-40009 ct state new accept
        	}
        }
    "]]
    .assert_eq(&rules(&ended));
    expect![[r"
        note: one-port is auto: clients to which the data ports (40000-40009) do not work are sent to the control port; with --one-port on the data ports stay closed, and port 2121 is all that is open
    "]]
    .assert_eq(&ended.stderr);

    let flags = [
        "--one-port",
        "on",
        "--modes",
        "active,passive",
        "--active-port",
        "0",
        "-q",
    ];
    let ended = place.run(words.iter().chain(&flags)).expect(0);
    expect![[r"
        add table inet wharf
        delete table inet wharf
        table inet wharf {
        	chain input {
        		type filter hook input priority filter; policy accept;
        		meta nfproto ipv4 tcp dport 2121 ct state new accept
        	}
        	chain output {
        		type filter hook output priority filter; policy accept;
        		meta nfproto ipv4 tcp dport 1024-65535 ct state new accept
        	}
        }
    "]]
    .assert_eq(&rules(&ended));
    assert_eq!(ended.stderr, "");
}

#[test]
fn every_dialect_of_the_command_line_is_there() {
    let place = Place::new();
    for (dialect, side) in [
        ("nftables", "server"),
        ("iptables", "server"),
        ("firewalld", "server"),
        ("ufw", "server"),
        ("pf", "server"),
        ("windows", "server"),
        ("cisco", "server"),
        ("routeros", "server-gateway"),
        ("aws", "server"),
        ("azure", "server"),
        ("gcp", "server"),
        ("kubernetes", "server"),
        ("docker", "server"),
        ("haproxy", "server-gateway"),
        ("systemd", "server"),
    ] {
        let ports = ["--passive-ports", "50000-50009"];
        let at = ["--server", "203.0.113.5", "--side", side];
        let behind = ["--inside", "10.20.0.2"];
        let behind = &behind[..if side == "server" { 0 } else { 2 }];
        let words = ["firewall", "--dialect", dialect];
        let words: Vec<&str> = [&words[..], &ports, &at, behind].concat();
        let ended = place.run(&words).expect(0);
        assert!(ended.text().contains("21"), "{dialect}: {}", ended.text());
        let plain = ended.stdout.len();
        let ended = place.run(words.iter().chain(&["--explain"])).expect(0);
        assert!(ended.stdout.len() > plain, "{dialect} explains nothing");
        assert_eq!(
            ended.stderr, "",
            "{dialect}: with --explain the notes are in the text"
        );
    }
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    let place = with_nft("exit 9");
    for (words, part) in [
        (&[][..], "--dialect"),
        (&["--dialect", "nft"], "'nftables'"),
        (
            &["--dialect", "nftables", "--side", "router"],
            "server-gateway",
        ),
        (&["--dialect", "nftables", "--modes", "pasiv"], "'passive'"),
        (
            &["--dialect", "nftables", "--listen", "127.0.0.1:21"],
            "nothing has to pass",
        ),
        (&["--dialect", "nftables", "--listen", ":0"], "port 0"),
        (
            &["--dialect", "nftables", "--passive-ports", "20-30"],
            "--one-port on",
        ),
        (
            &["--dialect", "nftables", "--side", "server-gateway"],
            "--server ADDR",
        ),
        (
            &["--dialect", "nftables", "--inside", "10.0.0.1"],
            "--side server-gateway",
        ),
        (
            &["--dialect", "nftables", "--clients", "10.0.0.0/40"],
            "not a network",
        ),
        (
            &[
                "--dialect",
                "nftables",
                "--server",
                "2001:db8::1",
                "--clients",
                "10.0.0.0/8",
            ],
            "no address family",
        ),
        (
            &["--dialect", "ufw", "--helper"],
            "hint: open the data ports",
        ),
        (
            &["--dialect", "ufw", "--apply", "nftables", "--yes"],
            "ufw cannot be loaded from here",
        ),
        (&["--apply", "nftables", "--check"], "cannot be used with"),
        (&["--apply", "nftables"], "hint: --yes loads without asking"),
    ] {
        let ended = firewall(&place, words).expect(2);
        assert!(ended.stderr.contains(part), "{words:?}: {}", ended.stderr);
        assert_eq!(ended.text(), "", "{words:?}");
    }
    assert_eq!(calls(&place), "", "nft was not asked");
    place.write("wharf.toml", "lisen = 1\n");
    let ended = firewall(&place, &["--dialect", "pf", "--config", "wharf.toml"]).expect(78);
    assert!(
        ended.stderr.contains("did you mean `listen`?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_dry_run_checks_and_loads_nothing() {
    let place = with_nft("cat > rules");
    let ended = firewall(&place, &["--apply", "nftables", "--dry-run"]).expect(0);
    assert_eq!(calls(&place), "nft --check --file -\n");
    assert_eq!(
        place.read("rules"),
        ended.stdout,
        "what is shown is what is checked"
    );
    assert!(
        ended.stderr.contains("nothing was loaded"),
        "{}",
        ended.stderr
    );
}

#[test]
fn rules_are_loaded_and_what_is_still_in_the_way_is_said() {
    let place = with_nft("if [ \"$1\" = -j ]; then cat state; else cat > rules; fi");
    place.write("state", STRICT);
    let ended = firewall(&place, &["--apply", "nftables", "--yes", "-q"]).expect(0);
    assert_eq!(
        calls(&place),
        "nft --check --file -\nnft --file -\nnft -j list ruleset\n"
    );
    assert_eq!(place.read("rules"), ended.stdout);
    expect![[r"
        warning: passive data connection, IPv4, in to port 50000-50999: dropped by `policy drop` in chain inet t in; an accept in the table inet wharf does not override it
        warning: passive data connection, IPv6, in to port 50000-50999: dropped by `policy drop` in chain inet t in; an accept in the table inet wharf does not override it
    "]]
    .assert_eq(&ended.stderr);
}

#[test]
fn what_nft_refuses_has_its_status() {
    for (answer, code, part) in [
        (
            "echo 'Error: syntax error' >&2; exit 1",
            69,
            "Error: syntax error",
        ),
        (
            "echo 'Operation not permitted (you must be root)' >&2; exit 1",
            77,
            "CAP_NET_ADMIN",
        ),
    ] {
        for words in [&["--apply", "nftables", "--yes"][..], &["--check"]] {
            let ended = firewall(&with_nft(answer), words).expect(code);
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
    }
    let ended = firewall(&with_nft("echo nonsense"), &["--check"]).expect(69);
    assert!(
        ended.stderr.contains("cannot understand what nft says"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_check_compares_with_what_is_loaded() {
    let place = with_nft("cat state");
    place.write("state", STRICT);
    let ended = firewall(
        &place,
        &["--check", "--one-port", "on", "--modes", "passive"],
    )
    .expect(0);
    assert!(
        ended
            .text()
            .contains("ok: control connection, IPv4, in to port 21: admitted"),
        "{}",
        ended.text()
    );
    assert_eq!(ended.stderr, "");

    let words = [
        "--check",
        "--modes",
        "passive",
        "--passive-ports",
        "50000-50009",
        "-q",
    ];
    let ended = firewall(&place, &words).expect(1);
    assert_eq!(ended.text(), "");
    expect![[r"
        error[WF-0100]: passive data connection, IPv4, in to port 50000-50009: dropped by `policy drop` in chain inet t in
        error[WF-0100]: passive data connection, IPv6, in to port 50000-50009: dropped by `policy drop` in chain inet t in
    "]]
    .assert_eq(&ended.stderr);

    place.write("state", r#"{"nftables": []}"#);
    let ended = firewall(&place, &["--check"]).expect(0);
    assert!(
        ended.stderr.contains("everything passes"),
        "{}",
        ended.stderr
    );
    // what the helper needs is missing where there are no rules at all
    let ended = firewall(&place, &["--check", "--helper"]).expect(1);
    assert!(
        ended.stderr.contains("no rule assigns it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_check_warns_of_what_is_wider_than_needed() {
    let place = with_nft("cat state");
    place.write("state", STRICT);
    let words = [
        "--check",
        "--modes",
        "passive",
        "--one-port",
        "on",
        "--clients",
        "10.0.0.0/8",
        "-q",
    ];
    let ended = firewall(&place, &words).expect(0);
    expect![[r"
        warning: wider than needed, IPv4: anybody gets to port 21, admitted by `tcp dport 21 accept` in chain inet t in (handle 4)
        warning: wider than needed, IPv6: anybody gets to port 21, admitted by `tcp dport 21 accept` in chain inet t in (handle 4)
    "]]
    .assert_eq(&ended.stderr);
}
