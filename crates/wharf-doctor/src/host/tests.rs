//! What is said of hosts that are written down, with rulesets as nft printed them.
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the text"
)]

use std::net::IpAddr;
use std::time::Duration;

use expect_test::expect;
use wharf_firewall::Passive;
use wharf_firewall::loaded::{Family, Ruleset};
use wharf_proto::data_connection::passive::PortRange;

use super::offered::{Offered, Told};
use super::seen::{DefaultRoute, Listening, Owner, Rules, Seen};
use super::{checks, examine};
use crate::finding::{Severity, WhoActs};
use crate::report::{Look, Outcome, text};

fn offered() -> Offered {
    Offered {
        listen: vec!["0.0.0.0:21".parse().unwrap()],
        passive: Passive::Range(PortRange::new(50_000, 50_199).unwrap()),
        one_port_auto: false,
        told: Told::Reached,
        told_by_network: false,
        active: true,
        active_port: Some(20),
        max_sessions: Some(100),
        keepalive: Duration::from_secs(30),
        balanced: false,
    }
}

fn host(address: &str, rules: &str) -> Seen {
    let owner = |pid, name: &str| {
        Some(Owner {
            pid,
            name: name.to_owned(),
        })
    };
    Seen {
        listening: vec![
            Listening {
                at: "[::]:21".parse().unwrap(),
                owner: owner(7, "wharf"),
            },
            Listening {
                at: "127.0.0.1:50100".parse().unwrap(),
                owner: owner(9, "redis-server"),
            },
        ],
        addresses: vec![address.parse().unwrap()],
        default_routes: vec![DefaultRoute {
            family: Family::Ipv4,
            interface: "eth".to_owned(),
        }],
        rules: Rules::Read(Box::new(Ruleset::from_nft_json(rules).unwrap())),
        local_ports: Some((32_768, 60_999)),
        unprivileged_from: Some(1024),
        may_use_low_ports: Some(true),
        established_timeout: Some(Duration::from_hours(120)),
        descriptors: 20_000,
        ..Seen::default()
    }
}

macro_rules! rules {
    ($name:literal) => {
        include_str!(concat!(
            "../../../wharf-firewall/tests/loaded/",
            $name,
            ".json"
        ))
    };
}

/// The words of what must be put right, and of notes in brackets.
fn words(offered: &Offered, seen: &Seen) -> String {
    let report = examine(offered, seen, Duration::ZERO);
    let words = report.findings.iter().map(|finding| {
        let no_remedy = finding.remedy.is_empty() && finding.side != WhoActs::Nobody;
        assert!(!no_remedy, "{} has no remedy", finding.word);
        match finding.severity {
            Severity::Note => format!("({})", finding.word),
            _ => finding.word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Every tenth port of the range is let in, each by a rule of its own: one finding, and one rule that opens the range.
#[test]
fn a_patchwork_of_rules_is_one_finding() {
    let rule = |port: u16| {
        format!(
            r#",{{"rule": {{"family": "inet", "table": "t", "chain": "input", "handle": {port}, "expr": [
                {{"match": {{"op": "==", "left": {{"payload": {{"protocol": "tcp", "field": "dport"}}}}, "right": {port}}}}},
                {{"accept": null}}]}}}}"#
        )
    };
    let open = (50_000..50_200).step_by(10).chain([21]);
    let json = format!(
        r#"{{"nftables": [{{"metainfo": {{"json_schema_version": 1}}}},
            {{"table": {{"family": "inet", "name": "t", "handle": 1}}}},
            {{"chain": {{"family": "inet", "table": "t", "name": "input", "handle": 1, "type": "filter",
                "hook": "input", "prio": 0, "policy": "drop"}}}}{}]}}"#,
        open.map(rule).collect::<String>()
    );
    let report = examine(&offered(), &host("203.0.113.130", &json), Duration::ZERO);
    let closed: Vec<_> = report
        .findings
        .iter()
        .filter(|it| it.word == "passive-closed")
        .collect();
    let [closed] = closed.as_slice() else {
        panic!("{:?}", report.findings)
    };
    expect_test::expect![[r#"
        this host's own firewall lets nobody reach ports 50001-50009, 50011-50019, 50021-50029 and 17 stretches more over IPv4
        nft insert rule inet t input tcp dport 50001-50199 ct state new accept
    "#]]
    .assert_eq(&format!(
        "{}\n{}\n",
        closed.cause,
        closed.remedy[0].lines.join("\n")
    ));
}

#[test]
fn every_host_has_its_findings() {
    let open = host("203.0.113.130", rules!("empty"));
    assert_eq!(words(&offered(), &open), "");
    let cases: &[(&str, Offered, Seen)] = &[
        ("", offered(), host("203.0.113.130", rules!("host-accept"))),
        (
            "passive-closed",
            offered(),
            host("203.0.113.130", rules!("host-helper")),
        ),
        (
            "(told-private)",
            offered(),
            host("10.20.0.2", rules!("empty")),
        ),
        (
            "",
            Offered {
                told: Told::Address("203.0.113.1".parse().unwrap()),
                ..offered()
            },
            host("10.20.0.2", rules!("empty")),
        ),
        (
            "told-elsewhere",
            Offered {
                told: Told::Address("203.0.113.1".parse().unwrap()),
                ..offered()
            },
            open.clone(),
        ),
        (
            "told-private",
            Offered {
                told: Told::Address("192.168.1.1".parse().unwrap()),
                ..offered()
            },
            host("10.20.0.2", rules!("empty")),
        ),
        (
            "not-listening",
            Offered {
                listen: vec!["0.0.0.0:2121".parse().unwrap()],
                ..offered()
            },
            open.clone(),
        ),
        (
            "range-taken (range-ephemeral)",
            Offered {
                passive: Passive::Range(PortRange::new(50_100, 50_100).unwrap()),
                ..offered()
            },
            open.clone(),
        ),
        (
            "range-small (range-ephemeral)",
            Offered {
                passive: Passive::Range(PortRange::new(50_000, 50_004).unwrap()),
                ..offered()
            },
            open.clone(),
        ),
        (
            "no-keepalive",
            Offered {
                keepalive: Duration::ZERO,
                ..offered()
            },
            open.clone(),
        ),
        (
            "forgets-early",
            offered(),
            Seen {
                established_timeout: Some(Duration::from_secs(10)),
                ..open.clone()
            },
        ),
        (
            "(source-port-denied)",
            offered(),
            Seen {
                may_use_low_ports: Some(false),
                ..open.clone()
            },
        ),
        (
            "(no-route)",
            offered(),
            Seen {
                default_routes: Vec::new(),
                ..open.clone()
            },
        ),
        (
            "port-taken",
            offered(),
            Seen {
                listening: vec![Listening {
                    at: "0.0.0.0:21".parse().unwrap(),
                    owner: Some(Owner {
                        pid: 3,
                        name: "vsftpd".to_owned(),
                    }),
                }],
                ..open.clone()
            },
        ),
    ];
    for (expected, offered, seen) in cases {
        assert_eq!(words(offered, seen), *expected);
    }
}

#[test]
fn a_closed_range_is_told_with_its_rule() {
    let mut seen = host("203.0.113.130", rules!("host-helper"));
    seen.helper_loaded = true;
    let report = examine(&offered(), &seen, Duration::ZERO);
    expect![[r#"
        this server
          offers: control at 0.0.0.0:21, passive ports 50000-50199, active data connections from port 20

          ✓ control port      0.0.0.0:21  wharf (process 7) listens
          ✓ passive ports     50000-50199: 1 of 200 belongs to another program
          ✓ passive ports     200 of them may be taken by outgoing connections (32768-60999); wharf then takes the next free one
          ✓ rules: control    IPv4, 21: admitted by `tcp dport 21 ct state new accept` in chain inet wharf input (handle 7)
          ✗ rules: passive    IPv4, 50000-50199: dropped by `policy drop` in chain inet wharf input
          ✓ rules: active     IPv4, from port 20: admitted: no rule is about it
          ✓ rules: elsewhere  no tables of iptables-legacy are loaded
          ✓ conntrack helper  nf_conntrack_ftp is loaded; port 21 has it, by `tcp dport 21 ct helper set ftp` in chain inet wharf pre (handle 4)
          ✓ route             IPv4: everywhere by eth, this host is 203.0.113.130
          ✓ told address      the one that the client reached; 203.0.113.130 is public
          ✓ reverse path      nothing comes by another way than it goes
          ✓ source port       20 may be used
          ✓ idle time         probed after 30 s of silence; this host remembers connections for 432000 s
          ✓ descriptors       20000 here: room for 6666 sessions at work, 100 are allowed

        cause: this host's own firewall lets nobody reach ports 50000-50199 over IPv4
          seen: dropped by `policy drop` in chain inet wharf input
          who acts: the server's firewall
          do: let them in, before the rule that closes (`wharf firewall --dialect nftables` prints a whole ruleset)
              nft insert rule inet wharf input tcp dport 50000-50199 ct state new accept

        verdict: one thing must be put right
    "#]]
    .assert_eq(&text(&report, Look::default()));
}

#[test]
fn what_nobody_may_see_is_not_guessed() {
    let seen = Seen {
        rules: Rules::Denied("Operation not permitted".to_owned()),
        ..host("203.0.113.130", rules!("empty"))
    };
    let report = examine(&offered(), &seen, Duration::ZERO);
    let mut about_rules = report.paths.iter().filter(|path| {
        ["rules-control", "rules-passive", "rules-active", "helper"].contains(&&*path.way)
    });
    assert!(about_rules.all(|path| path.outcome == Outcome::Skipped));
    let iptables = host("203.0.113.130", rules!("iptables-nft"));
    let report = examine(&offered(), &iptables, Duration::ZERO);
    assert!(report.findings.is_empty());
    let unsure = report
        .paths
        .iter()
        .filter(|path| path.outcome == Outcome::Unfinished);
    assert_eq!(unsure.count(), 4);
}

#[test]
fn checks_have_words_of_their_own() {
    for (at, check) in checks::CHECKS.iter().enumerate() {
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(check.word.chars().all(plain), "{}", check.word);
        let mut others = checks::CHECKS.iter().skip(at + 1);
        assert!(others.all(|other| other.word != check.word));
        assert!(!check.what.is_empty());
    }
    let nowhere: IpAddr = "0.0.0.0".parse().unwrap();
    assert!(
        !host("192.0.2.1", rules!("empty"))
            .addresses
            .contains(&nowhere)
    );
}
