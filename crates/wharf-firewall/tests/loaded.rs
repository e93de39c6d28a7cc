//! Rulesets as `nft -j list ruleset` printed them in namespaces where they were loaded: those of the lab's topologies
//! and a few that hold one of everything. What is said of a fixed list of probes is kept beside them.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use wharf_firewall::loaded::{Family, Hook, Ports, Probe, Ruleset, State};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 130));
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 2));

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loaded")
}

fn recorded(name: &str) -> Ruleset {
    let text = fs::read_to_string(directory().join(name)).unwrap();
    Ruleset::from_nft_json(&text).unwrap()
}

fn host(port: u16) -> Probe {
    Probe {
        source: Some(CLIENT),
        ..Probe::arriving(Family::Ipv4, port)
    }
}

/// From the client through a gateway to the server behind it, rewritten or not.
fn through(port: u16, rewritten: bool) -> Probe {
    Probe {
        hook: Hook::Forward,
        input_interface: Some("wan".to_owned()),
        output_interface: Some("lan".to_owned()),
        destination: Some(INSIDE),
        destination_rewritten: rewritten,
        ..host(port)
    }
}

fn probes() -> Vec<(&'static str, Probe)> {
    let six = |port| Probe::arriving(Family::Ipv6, port);
    vec![
        ("to 21", host(21)),
        ("to 50000", host(50_000)),
        ("to 50100", host(50_100)),
        ("to 40000", host(40_000)),
        ("to 21, IPv6", six(21)),
        ("to 50000, IPv6", six(50_000)),
        (
            "to 50000, by whomever",
            Probe {
                source: None,
                ..host(50_000)
            },
        ),
        (
            "to 50000, established",
            Probe {
                state: State::Established,
                ..host(50_000)
            },
        ),
        (
            "to 50000, related by ftp",
            Probe {
                state: State::Related,
                helper: Some("ftp".to_owned()),
                ..host(50_000)
            },
        ),
        ("from 20", Probe::leaving(Family::Ipv4, Ports::One(20))),
        (
            "from anything",
            Probe::leaving(Family::Ipv4, Ports::UNPRIVILEGED),
        ),
        ("through to 21", through(21, false)),
        ("through to 21, rewritten", through(21, true)),
        ("through to 50000", through(50_000, false)),
        ("through to 50000, rewritten", through(50_000, true)),
        (
            "through from lan to wan",
            Probe {
                input_interface: Some("lan".to_owned()),
                output_interface: Some("wan".to_owned()),
                ..through(50_000, false)
            },
        ),
    ]
}

fn answers(rules: &Ruleset) -> String {
    let mut text = String::new();
    for (name, probe) in probes() {
        let _ = writeln!(text, "{name}: {}", rules.judge(&probe));
    }
    for port in [21, 50_000, 8021, 2121] {
        let probe = Probe {
            destination: Some(GATEWAY),
            ..host(port).at(Hook::Prerouting)
        };
        let _ = writeln!(text, "arrives at {port}: {}", rules.judge_arrival(&probe));
        let _ = writeln!(text, "destination of {port}: {:?}", rules.translate(&probe));
    }
    let helped = rules.helper(&host(21).at(Hook::Prerouting));
    let _ = writeln!(text, "helper of what arrives at 21: {helped:?}");
    let calls = Probe {
        destination_port: Ports::One(21),
        ..Probe::leaving(Family::Ipv4, Ports::UNPRIVILEGED)
    };
    let _ = writeln!(text, "helper of what calls 21: {:?}", rules.helper(&calls));
    text
}

#[test]
fn what_is_said_of_each_recorded_ruleset() {
    let mut seen = 0;
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        expect_file![path.with_extension("txt")].assert_eq(&answers(&recorded(name)));
        seen += 1;
    }
    assert!(seen > 30, "only {seen} rulesets");
}

#[test]
fn neighbouring_ports_with_one_answer_are_one_line() {
    let rules = recorded("host-accept.json");
    let found = rules.judge_ports(&host(0), 49_990, 50_210);
    let found: Vec<_> = found
        .iter()
        .map(|(lo, hi, it)| (*lo, *hi, it.admits()))
        .collect();
    assert_eq!(
        found,
        [
            (49_990, 49_999, Some(false)),
            (50_000, 50_199, Some(true)),
            (50_200, 50_210, Some(false)),
        ]
    );
}

/// Everything that is cut off, left out or replaced in a recorded ruleset is an error or an answer, never a panic.
#[test]
fn damaged_rulesets_do_no_harm() {
    let text = fs::read_to_string(directory().join("maps.json")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for missing in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(missing);
        if let Ok(rules) = Ruleset::from_nft_json(&fewer.join("\n")) {
            answers(&rules);
        }
    }
    for end in (0..text.len())
        .step_by(97)
        .filter(|end| text.is_char_boundary(*end))
    {
        assert!(Ruleset::from_nft_json(&text[..end]).is_err());
    }
    for (from, to) in [
        ("21", "{}"),
        ("\"dport\"", "[]"),
        ("{\"accept\": null}", "{\"jump\": {\"target\": \"input\"}}"),
        ("\"range\"", "\"prefix\""),
        ("\"len\": 8", "\"len\": 99"),
        ("null", "[[[]]]"),
    ] {
        if let Ok(rules) = Ruleset::from_nft_json(&text.replace(from, to)) {
            answers(&rules);
        }
    }
}

/// Chains that call each other in a ring cannot be loaded, but can be written.
#[test]
fn a_ring_of_chains_is_unknown() {
    let chain = |name: &str, more: &str| {
        format!(r#"{{"chain": {{"family": "inet", "table": "t", "name": "{name}"{more}}}}}"#)
    };
    let jump = |from: &str, to: &str| {
        format!(
            r#"{{"rule": {{"family": "inet", "table": "t", "chain": "{from}", "expr": [{{"jump": {{"target": "{to}"}}}}]}}}}"#
        )
    };
    let base = r#", "type": "filter", "hook": "input", "prio": 0, "policy": "drop""#;
    let mut objects = vec![chain("in", base)];
    objects.extend((0..400).map(|it| chain(&format!("c{it}"), "")));
    objects.push(jump("in", "c0"));
    for it in 0..400 {
        objects.push(jump(&format!("c{it}"), &format!("c{}", (it + 1) % 400)));
        objects.push(jump(&format!("c{it}"), &format!("c{}", (it + 7) % 400)));
    }
    let text = format!(r#"{{"nftables": [{}]}}"#, objects.join(","));
    let rules = Ruleset::from_nft_json(&text).unwrap();
    assert_eq!(rules.judge(&host(21)).admits(), None);
}
